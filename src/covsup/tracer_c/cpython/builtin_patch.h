/* cpython/builtin_patch.h - make a builtin function call ours first, without replacing it.
 *
 * The function object stays what it was: name, doc, text signature, __self__, hash, identity, and
 * every copy that somebody took of it earlier (`from os import fork`). What changes is its
 * vectorcall, which is ours. A builtin's hash and equality are those of its C function, which
 * therefore stays in its PyMethodDef; that becomes a copy whose flags name no calling convention,
 * so the interpreter's specialised calls, tp_call, and C code that looks at the flags all go
 * through the vectorcall. The originals are static data of CPython's own modules, so one table
 * serves all interpreters of a process, and calls work as long as the function object itself does,
 * interpreter shutdown included. No frame is added, and no trace or profile function sees anything
 * but the one call.
 *
 * Threads: arming takes a lock of its own; calling takes none.
 * Must never know: what a wrapper does. */
#ifndef COVSUP_CPYTHON_BUILTIN_PATCH_H
#define COVSUP_CPYTHON_BUILTIN_PATCH_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

typedef struct builtin_patch builtin_patch;

/* One call of a wrapped function. All is the caller's, and stays as it is until the call ends. */
typedef struct {
    const builtin_patch *builtin_patch;
    PyObject *function;    /* the wrapped one */
    PyObject *const *args; /* positional, then those named by kwnames */
    size_t nargsf;         /* as of a vectorcall */
    Py_ssize_t nargs;      /* positional ones */
    PyObject *kwnames;     /* a tuple, or NULL */
} patched_call;

/* Returns what the wrapped function shall return: as a rule that of patch_call_original(). The
 * arguments are as they were given, be they wrong: the original says so. */
typedef PyObject *(*patch_handler)(const patched_call *call);

struct builtin_patch {
    const char *module, *name;
    vectorcallfunc entry;
    /* What follows is written once, under the lock of patch_install(). */
    PyMethodDef *definition; /* the original's; NULL until first armed */
    vectorcallfunc original; /* NULL: its convention takes a tuple */
    PyMethodDef ours;
    bool wanted; /* armed once: to be armed again in a module that is imported anew */
};

/* The original's result; exceptions are the original's. */
PyObject *patch_call_original(const patched_call *call);

/* The same with one argument (positional, or this keyword) replaced. It must have been given. */
PyObject *patch_call_original_with(const patched_call *call, Py_ssize_t position,
                                   const char *keyword, PyObject *value);

/* An argument, borrowed, or NULL where it was not given. keyword NULL: positional only. */
PyObject *patch_argument(const patched_call *call, Py_ssize_t position, const char *keyword);

/* How many arguments there are, by position and by keyword. */
static inline Py_ssize_t
patch_argument_count(const patched_call *call)
{
    return call->nargs + (call->kwnames != NULL ? PyTuple_GET_SIZE(call->kwnames) : 0);
}

/* The one argument of a call that has one, by position, and no other; borrowed, or NULL. */
static inline PyObject *
patch_only_argument(const patched_call *call)
{
    return call->nargs == 1 && patch_argument_count(call) == 1 ? call->args[0] : NULL;
}

/* Wrap in the running interpreter, where the module is imported and has the function. Twice is
 * once. Appends "module.name: why" to the list `refused` where it cannot; -1: exception set. */
int patch_install(builtin_patch *which, PyObject *refused);

/* The same in `module`, which need not be among those that are imported. */
int patch_install_in(builtin_patch *which, PyObject *module, PyObject *refused);

/* A function that does what a builtin did when nothing was wrapped yet, for ourselves; any other
 * object as it is. New reference, or NULL with an exception set. */
PyObject *unpatched_builtin(PyObject *function);

/* Define the builtin_patch `id` for module.name, calling id##_handler. */
#define PATCH(id, module_name, function_name)                                                      \
    static builtin_patch id;                                                                       \
    static PyObject *id##_vectorcall(PyObject * function, PyObject *const *args, size_t nargsf,    \
                                     PyObject *kwnames)                                            \
    {                                                                                              \
        return id##_handler(&(patched_call){.builtin_patch = &id,                                  \
                                            .function = function,                                  \
                                            .args = args,                                          \
                                            .nargsf = nargsf,                                      \
                                            .nargs = PyVectorcall_NARGS(nargsf),                   \
                                            .kwnames = kwnames});                                  \
    }                                                                                              \
    static builtin_patch id = {                                                                    \
        .module = module_name, .name = function_name, .entry = id##_vectorcall}

#endif
