/* cpython/import_hook.c - call back once after the import of certain modules. See import_hook.h.
 *
 * Every import of a module that is not in sys.modules calls _frozen_importlib._find_and_load:
 * import statements from C, importlib.import_module() from Python. That function stays, but its
 * vectorcall becomes covsup's, which calls the previous one. On 3.11 a call from Python code does
 * not use the vectorcall of a Python function, so a callable of covsup's takes its place and passes
 * every attribute on. Neither adds a frame or a profile event, and sys.meta_path, which a program
 * can see, stays as it is.
 *
 * Threads: imports run on any thread. A name is taken out of a set before its callback is called,
 * so it is called once. Must never know: what the callback does. */
#include "cpython/import_hook.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "cpython/compat.h"
#include "cpython/compat_threads.h"
#include "journal/journal.h"
#include "cpython/imported_modules.h"

#define STATE_KEY "covsup.imports" /* in the interpreter's dict: a tuple of these */
enum { CALLBACK, NAMES, WAITING, ITEMS };

static _Atomic(import_hook_callback) on_every_import; /* the same in all interpreters */

/* The callback raised: write a note to the journal. The target must not see the exception. */
static void
write_failure_note(PyObject *name)
{
    PyObject *exception = compat_take_exception();                                     /* owned */
    PyObject *text = PyUnicode_FromFormat("at the import of %U: %R", name, exception); /* owned */
    Py_ssize_t size = 0;
    const char *bytes = text == NULL ? NULL : PyUnicode_AsUTF8AndSize(text, &size);
    if (bytes != NULL) {
        (void)journal_event(EVENT_NOTE, bytes, (size_t)size);
    }
    PyErr_Clear();
    Py_XDECREF(text);
    Py_XDECREF(exception);
}

/* Call back, hidden from trace, profile and monitoring functions. No signal handler of the target
 * may run in there: it would be hidden, too, and its exception would be taken for the callback's.
 * So pending handlers run before, and the thread blocks signals meanwhile. -1: a handler raised. */
static int
call_back(PyObject *callback, PyObject *name)
{
    sigset_t all, before;
    if (PyErr_CheckSignals() < 0) {
        return -1;
    }
    PyThreadState *thread = PyThreadState_Get();
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    PyThreadState_EnterTracing(thread);
    PyObject *result = PyObject_CallOneArg(callback, name); /* owned */
    if (result == NULL) {
        write_failure_note(name);
    }
    Py_XDECREF(result);
    PyThreadState_LeaveTracing(thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return 0;
}

/* The next import of the name calls back. The current exception stays. */
static void
put_back(PyObject *names, PyObject *name)
{
    PyObject *exception = compat_take_exception(); /* owned, until it is set again */
    if (PySet_Add(names, name) < 0) {
        PyErr_Clear();
    }
    compat_restore_exception(exception);
}

/* The interpreter's state, owned; NULL: it has none. No exception. */
static PyObject *
get_state(void)
{
    PyObject *dict = PyInterpreterState_GetDict(PyInterpreterState_Get()); /* borrowed */
    return dict == NULL ? NULL : compat_dict_item(dict, STATE_KEY);
}

/* The import of `name`, one of the watched names, gave `module`. -1: a signal handler raised. */
static int
notify_when_loaded(PyObject *state, PyObject *name, PyObject *module)
{
    PyObject *names = PyTuple_GET_ITEM(state, NAMES), *waiting = PyTuple_GET_ITEM(state, WAITING);
    int rc = 0;
    switch (module_stage_of(module)) {
    case MODULE_LAZY: /* none of its code has run; later imports check again */
        (void)PySet_Add(waiting, name);
        break;
    case MODULE_LOADING: /* the import that is loading it calls back */
        break;
    case MODULE_LOADED:
        (void)PySet_Discard(waiting, name);
        if (PySet_Discard(names, name) == 1) {
            rc = call_back(PyTuple_GET_ITEM(state, CALLBACK), name);
            if (rc < 0) {
                put_back(names, name);
            }
        }
        break;
    }
    if (rc == 0) {
        PyErr_Clear(); /* no memory: the next import checks again */
    }
    return rc;
}

/* Call back for those of `names` (a set) that are loaded. -1: a signal handler raised. */
static int
check_imported(PyObject *state, PyObject *names)
{
    int rc = 0;
    PyObject *list = PySequence_List(names); /* owned */
    for (Py_ssize_t i = 0; rc == 0 && list != NULL && i < PyList_GET_SIZE(list); i++) {
        PyObject *name = PyList_GET_ITEM(list, i);
        PyObject *module = imported_module(name); /* owned */
        if (module != NULL) {
            rc = notify_when_loaded(state, name, module);
        }
        Py_XDECREF(module);
    }
    Py_XDECREF(list);
    if (rc == 0) {
        PyErr_Clear(); /* no memory: the next import checks again */
    }
    return rc;
}

/* The import of `name` gave `module` (stolen; NULL: it raised). Returns the result of the import.
 */
static PyObject *
after_import(PyObject *name, PyObject *module)
{
    if (module == NULL || !PyUnicode_CheckExact(name)) {
        return module;
    }
    import_hook_callback always = atomic_load_explicit(&on_every_import, memory_order_relaxed);
    if (always != NULL) {
        always(name);
    }
    PyObject *state = get_state(); /* owned */
    if (state == NULL) {
        return module;
    }
    int rc = 0;
    if (PySet_GET_SIZE(PyTuple_GET_ITEM(state, WAITING)) > 0) {
        rc = check_imported(state, PyTuple_GET_ITEM(state, WAITING));
    }
    if (rc == 0) {
        int is_watched = PySet_Contains(PyTuple_GET_ITEM(state, NAMES), name);
        if (is_watched < 0) {
            PyErr_Clear(); /* no memory: the next import checks again */
        }
        rc = is_watched == 1 ? notify_when_loaded(state, name, module) : 0;
    }
    if (rc < 0) {
        Py_CLEAR(module);
    }
    Py_DECREF(state);
    return module;
}

#if COMPAT_SET_VECTORCALL

static _Atomic(vectorcallfunc) original; /* the same in all interpreters */

static PyObject *
find_and_load(PyObject *function, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PyObject *module = atomic_load(&original)(function, args, nargsf, kwnames);
    return PyVectorcall_NARGS(nargsf) == 0 ? module : after_import(args[0], module);
}

/* -1: exception set. */
static int
replace(PyObject *importlib, PyObject *function)
{
    if (!PyFunction_Check(function)) {
        PyErr_SetString(PyExc_RuntimeError, "_find_and_load is not a Python function");
        return -1;
    }
    vectorcallfunc now = ((PyFunctionObject *)function)->vectorcall, none = NULL;
    if (now == find_and_load) {
        return 0;
    }
    if (!atomic_compare_exchange_strong(&original, &none, now) && none != now) {
        PyErr_SetString(PyExc_RuntimeError,
                        "_find_and_load has another vectorcall here than in the first interpreter");
        return -1;
    }
    PyFunction_SetVectorcall((PyFunctionObject *)function, find_and_load);
    return 0;
}

static void
restore(void)
{
    PyObject *importlib = PyImport_ImportModule("_frozen_importlib"); /* owned */
    PyObject *function =
        importlib != NULL ? PyObject_GetAttrString(importlib, "_find_and_load") : NULL; /* owned */
    if (function != NULL && PyFunction_Check(function) &&
        ((PyFunctionObject *)function)->vectorcall == find_and_load) {
        PyFunction_SetVectorcall((PyFunctionObject *)function, atomic_load(&original));
    }
    PyErr_Clear();
    Py_XDECREF(function);
    Py_XDECREF(importlib);
}

#else

#include <structmember.h>

typedef struct {
    PyObject_HEAD vectorcallfunc vectorcall;
    PyObject *original; /* owned */
} find_and_load_object;

static PyObject *
find_and_load(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PyObject *original = Py_NewRef(((find_and_load_object *)self)->original); /* owned */
    PyObject *module = PyObject_Vectorcall(original, args, nargsf, kwnames);
    Py_DECREF(original);
    return PyVectorcall_NARGS(nargsf) == 0 ? module : after_import(args[0], module);
}

static int
find_and_load_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((find_and_load_object *)self)->original);
    return 0;
}

static void
find_and_load_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(((find_and_load_object *)self)->original);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
find_and_load_getattr(PyObject *self, PyObject *name)
{
    return PyObject_GetAttr(((find_and_load_object *)self)->original, name);
}

static PyObject *
find_and_load_repr(PyObject *self)
{
    return PyObject_Repr(((find_and_load_object *)self)->original);
}

/* A program may use the original as a key. */
static Py_hash_t
find_and_load_hash(PyObject *self)
{
    return PyObject_Hash(((find_and_load_object *)self)->original);
}

static PyObject *
find_and_load_compare(PyObject *self, PyObject *other, int how)
{
    if (how != Py_EQ && how != Py_NE) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    bool same = other == self || other == ((find_and_load_object *)self)->original;
    return PyBool_FromLong(same == (how == Py_EQ));
}

static PyMemberDef find_and_load_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(find_and_load_object, vectorcall), READONLY,
     NULL},
    {0},
};

static PyType_Slot find_and_load_slots[] = {
    {Py_tp_call, (void *)PyVectorcall_Call},
    {Py_tp_traverse, (void *)find_and_load_traverse},
    {Py_tp_dealloc, (void *)find_and_load_dealloc},
    {Py_tp_getattro, (void *)find_and_load_getattr},
    {Py_tp_repr, (void *)find_and_load_repr},
    {Py_tp_hash, (void *)find_and_load_hash},
    {Py_tp_richcompare, (void *)find_and_load_compare},
    {Py_tp_members, find_and_load_members},
    {0, NULL},
};

static PyType_Spec find_and_load_spec = {
    .name = "covsup.function",
    .basicsize = sizeof(find_and_load_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = find_and_load_slots,
};

/* -1: exception set. */
static int
replace(PyObject *importlib, PyObject *function)
{
    int rc = -1;
    PyObject *type = NULL;             /* owned */
    find_and_load_object *made = NULL; /* owned */
    if (PyType_HasFeature(Py_TYPE(function), Py_TPFLAGS_HAVE_VECTORCALL) &&
        PyVectorcall_Function(function) == find_and_load) {
        return 0;
    }
    if ((type = PyType_FromSpec(&find_and_load_spec)) == NULL ||
        (made = PyObject_GC_New(find_and_load_object, (PyTypeObject *)type)) == NULL) {
        goto done;
    }
    made->vectorcall = find_and_load;
    made->original = Py_NewRef(function);
    PyObject_GC_Track(made);
    rc = PyObject_SetAttrString(importlib, "_find_and_load", (PyObject *)made);
done:
    Py_XDECREF(made);
    Py_XDECREF(type);
    return rc;
}

/* The callable stays: programs may have taken a reference to it. */
static void
restore(void)
{
}

#endif

void
import_hook_remove(void)
{
    PyObject *dict = PyInterpreterState_GetDict(PyInterpreterState_Get()); /* borrowed */
    if (dict != NULL && PyDict_DelItemString(dict, STATE_KEY) < 0) {
        PyErr_Clear(); /* it is not there */
    }
    restore();
}

int
import_hook_install(PyObject *callback, PyObject *names, import_hook_callback always)
{
    int rc = -1;
    PyObject *function = NULL, *state = NULL, *set = NULL, *waiting = NULL; /* owned */
    PyObject *dict = PyInterpreterState_GetDict(PyInterpreterState_Get());  /* borrowed */
    PyObject *importlib = PyImport_ImportModule("_frozen_importlib");       /* owned */
    if (importlib == NULL || dict == NULL) {
        goto done;
    }
    if ((set = PySet_New(names)) == NULL || (waiting = PySet_New(NULL)) == NULL ||
        (state = PyTuple_Pack(ITEMS, callback, set, waiting)) == NULL ||
        PyDict_SetItemString(dict, STATE_KEY, state) < 0 ||
        (function = PyObject_GetAttrString(importlib, "_find_and_load")) == NULL) {
        goto done;
    }
    atomic_store(&on_every_import, always);
    rc = replace(importlib, function);
    if (rc == 0) {
        rc = check_imported(state, set); /* an earlier startup file may have imported some */
    }
done:
    if (rc < 0 && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_RuntimeError, "this interpreter keeps no state for extensions");
    }
    Py_XDECREF(function);
    Py_XDECREF(set);
    Py_XDECREF(waiting);
    Py_XDECREF(state);
    Py_XDECREF(importlib);
    return rc;
}
