/* cpython/builtin_patch.h - have a builtin function call a handler, without replacing it.
 *
 * The function object stays: its identity, name, doc, text signature, __self__, hash, and every
 * reference that a program took earlier (`from os import fork`). Its vectorcall becomes covsup's.
 * A builtin's hash and equality are those of its C function, so that stays in its PyMethodDef. The
 * PyMethodDef becomes a copy whose flags name no calling convention: the interpreter's specialised
 * calls, tp_call, and C code that reads the flags then all go through the vectorcall. The originals
 * are static data of CPython's modules, so one patch serves all interpreters of a process, and
 * works as long as the function object does, interpreter shutdown included. No frame is added, and
 * trace and profile functions see the one call.
 *
 * Threads: installing takes a lock of its own; calling takes none.
 * Must never know: what a handler does. */
#ifndef COVSUP_CPYTHON_BUILTIN_PATCH_H
#define COVSUP_CPYTHON_BUILTIN_PATCH_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdatomic.h>
#include <stdbool.h>

typedef struct builtin_patch builtin_patch;

/* One call of a patched function. The caller owns the arguments and keeps them until it ends. */
typedef struct {
    const builtin_patch *patch;
    PyObject *function;    /* the patched one */
    PyObject *const *args; /* positional, then those named by kwnames */
    size_t nargsf;         /* as of a vectorcall */
    Py_ssize_t nargs;      /* positional ones */
    PyObject *kwnames;     /* a tuple, or NULL */
} patched_call;

/* Gives the result of the patched function: as a rule that of patch_call_original(). The arguments
 * may be wrong; the original reports that. */
typedef PyObject *(*patch_handler)(const patched_call *call);

struct builtin_patch {
    const char *module, *name;
    vectorcallfunc entry;
    /* Written once, under the lock of install() in builtin_patch.c, before any call can come. */
    PyMethodDef *definition; /* the original's; NULL until first installed */
    vectorcallfunc original; /* NULL: its convention takes a tuple */
    PyMethodDef ours;
    builtin_patch *next; /* in the list of those installed; written with `definition` */
    atomic_bool wanted;  /* patch_install() was called: patch a fresh copy of the module, too */
};

/* Call the original. The result and the exception are the original's. */
PyObject *patch_call_original(const patched_call *call);

/* The same with one argument replaced, which was given by position or by this keyword. */
PyObject *patch_call_original_with(const patched_call *call, Py_ssize_t position,
                                   const char *keyword, PyObject *value);

/* An argument, borrowed; NULL: it was not given. keyword NULL: positional only. */
PyObject *patch_argument(const patched_call *call, Py_ssize_t position, const char *keyword);

/* The number of arguments, by position and by keyword. */
static inline Py_ssize_t
patch_argument_count(const patched_call *call)
{
    return call->nargs + (call->kwnames != NULL ? PyTuple_GET_SIZE(call->kwnames) : 0);
}

/* The argument of a call with one positional argument and no other; borrowed, or NULL. */
static inline PyObject *
patch_only_argument(const patched_call *call)
{
    return call->nargs == 1 && patch_argument_count(call) == 1 ? call->args[0] : NULL;
}

/* Patch the function in the running interpreter, if its module is imported and has it. A second
 * call changes nothing. Appends "module.name: reason" to the list `skipped` if the function cannot
 * be patched. -1: exception set. */
int patch_install(builtin_patch *which, PyObject *skipped);

/* The same in `module`, which may be missing in sys.modules. */
int patch_install_in(builtin_patch *which, PyObject *module, PyObject *skipped);

/* Undo every patch in the running interpreter. A function that its module no longer has keeps its
 * patch, which does nothing where there is no journal, no session and no core. */
void patch_remove_all(void);

/* A function that calls a builtin without its patch, for covsup's own use; any other object itself.
 * New reference, or NULL with an exception set. */
PyObject *unpatched_builtin(PyObject *function);

/* Define the patch `id` of module.name, which calls id##_handler. */
#define PATCH(id, module_name, function_name)                                                      \
    static builtin_patch id;                                                                       \
    static PyObject *id##_vectorcall(PyObject * function, PyObject *const *args, size_t nargsf,    \
                                     PyObject *kwnames)                                            \
    {                                                                                              \
        return id##_handler(&(patched_call){.patch = &id,                                          \
                                            .function = function,                                  \
                                            .args = args,                                          \
                                            .nargsf = nargsf,                                      \
                                            .nargs = PyVectorcall_NARGS(nargsf),                   \
                                            .kwnames = kwnames});                                  \
    }                                                                                              \
    static builtin_patch id = {                                                                    \
        .module = module_name, .name = function_name, .entry = id##_vectorcall}

#endif
