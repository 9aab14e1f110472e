/* hooks_wrap.h - make a builtin function call ours first, without replacing it.
 *
 * The function object stays what it was: name, doc, text signature, __self__, identity, and every
 * copy that somebody took of it earlier (`from os import fork`). Only the PyMethodDef that it
 * points to becomes a copy whose C function is ours. The originals are static data of CPython's
 * own modules, so one table serves all interpreters of a process, and calls work as long as the
 * function object itself does, interpreter shutdown included. No frame is added, and no trace or
 * profile function sees anything but the one call.
 *
 * Threads: arming takes a lock of its own; calling takes none.
 * Must never know: what a wrapper does. */
#ifndef COVSUP_HOOKS_WRAP_H
#define COVSUP_HOOKS_WRAP_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

typedef struct hook hook;

/* One call of a wrapped function, whatever its calling convention. */
typedef struct {
    const hook *hook;
    PyObject *self;
    PyObject *const *args; /* borrowed; positional, then those named by kwnames */
    Py_ssize_t nargs;      /* positional ones */
    PyObject *kwnames;     /* borrowed tuple, or NULL */
    PyObject *tuple;       /* borrowed: the arguments, where the convention has a tuple */
    PyObject *keywords;    /* borrowed dict, or NULL, likewise */
} hook_call;

/* Returns what the wrapped function shall return: as a rule that of hook_original(). */
typedef PyObject *(*hook_handler)(const hook_call *call);

/* One C function per calling convention, since versions of CPython differ in it. */
typedef struct {
    PyCFunction no_arguments, one_argument, tuple, vector;
    PyCFunctionWithKeywords tuple_keywords;
    PyCFunction vector_keywords;
} hook_entries;

struct hook {
    const char *module, *name;
    const hook_entries *entries;
    const PyMethodDef *original; /* NULL until first armed */
    PyMethodDef ours;
    bool wanted; /* armed once: to be armed again in a module that is imported anew */
};

/* The original's result; exceptions are the original's. */
PyObject *hook_original(const hook_call *call);

/* The same with one argument (positional, or this keyword) replaced. It must have been given. */
PyObject *hook_original_with(const hook_call *call, Py_ssize_t position, const char *keyword,
                             PyObject *value);

/* An argument, borrowed, or NULL where it was not given. keyword NULL: positional only. */
PyObject *hook_argument(const hook_call *call, Py_ssize_t position, const char *keyword);

/* Wrap in the running interpreter, where the module is imported and has the function. Twice is
 * once. Appends "module.name: why" to the list `refused` where it cannot; -1: exception set. */
int hook_arm(hook *which, PyObject *refused);

/* Define the hook `id` for module.name, calling id##_handler. */
#define HOOK(id, module_name, function_name)                                                       \
    static hook id;                                                                                \
    static PyObject *id##_no_arguments(PyObject *self, PyObject *Py_UNUSED(none))                  \
    {                                                                                              \
        return id##_handler(&(hook_call){.hook = &id, .self = self});                              \
    }                                                                                              \
    static PyObject *id##_one_argument(PyObject *self, PyObject *argument)                         \
    {                                                                                              \
        return id##_handler(                                                                       \
            &(hook_call){.hook = &id, .self = self, .args = &argument, .nargs = 1});               \
    }                                                                                              \
    static PyObject *id##_tuple_keywords(PyObject *self, PyObject *args, PyObject *keywords)       \
    {                                                                                              \
        return id##_handler(&(hook_call){.hook = &id,                                              \
                                         .self = self,                                             \
                                         .args = ((PyTupleObject *)args)->ob_item,                 \
                                         .nargs = PyTuple_GET_SIZE(args),                          \
                                         .tuple = args,                                            \
                                         .keywords = keywords});                                   \
    }                                                                                              \
    static PyObject *id##_tuple(PyObject *self, PyObject *args)                                    \
    {                                                                                              \
        return id##_tuple_keywords(self, args, NULL);                                              \
    }                                                                                              \
    static PyObject *id##_vector_keywords(PyObject *self, PyObject *const *args, Py_ssize_t nargs, \
                                          PyObject *kwnames)                                       \
    {                                                                                              \
        return id##_handler(&(hook_call){                                                          \
            .hook = &id, .self = self, .args = args, .nargs = nargs, .kwnames = kwnames});         \
    }                                                                                              \
    static PyObject *id##_vector(PyObject *self, PyObject *const *args, Py_ssize_t nargs)          \
    {                                                                                              \
        return id##_vector_keywords(self, args, nargs, NULL);                                      \
    }                                                                                              \
    static const hook_entries id##_entries = {                                                     \
        .no_arguments = id##_no_arguments,                                                         \
        .one_argument = id##_one_argument,                                                         \
        .tuple = id##_tuple,                                                                       \
        .tuple_keywords = id##_tuple_keywords,                                                     \
        .vector = (PyCFunction)(void (*)(void))id##_vector,                                        \
        .vector_keywords = (PyCFunction)(void (*)(void))id##_vector_keywords,                      \
    };                                                                                             \
    static hook id = {.module = module_name, .name = function_name, .entries = &id##_entries}

#endif
