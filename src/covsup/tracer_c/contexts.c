/* contexts.c - under which context facts are recorded: what is current, and its label.
 *
 * The value of our context variable is a chain, an immutable object; None stands for "no context"
 * where a thread or the interpreter has one. What is told under a label is shared by all chains of
 * that label, and kept for a while after the last of them is gone, so that a label which comes
 * again and again (a route) does not tell everything anew each time.
 *
 * Threads: with an attached thread state; what an interpreter has is its own. `recent` and
 * `beginning` belong to one thread.
 * Must never know: where events come from, what they tell. */
#include "contexts.h"

#include <stdlib.h>
#include <string.h>

/* A label is cut at this many bytes of UTF-8. */
enum { MOST_LABEL = 4096 };

/* What is kept of contexts that have ended, in bytes. */
enum { MOST_IDLE = 2 << 20 };

/* So often the interpreter may go back to measuring without contexts; then it stays prepared. */
enum { MOST_RETURNS = 16 };

/* What is told under one label. */
typedef struct record record;
struct record {
    record *older, *newer; /* among the idle ones */
    told_context *told;
    PyObject *label; /* owned: the key in `records` */
    size_t size;     /* while idle */
    int chains;      /* how many have it; 0: idle */
};

struct contexts {
    core *owner;
    PyObject *var;        /* owned, like all that follow */
    PyTypeObject *type;   /* of chains */
    PyObject *records;    /* label -> PyLong of the record's address */
    PyObject *separator;  /* "|" */
    PyObject *process;    /* the process's segment, or NULL */
    PyObject *inherited;  /* the segment, or NULL */
    PyObject *root;       /* the chain of flows that have no other, or NULL */
    PyObject *main_name;  /* of the main thread */
    PyObject *work;       /* dict of context_flows.c */
    PyObject *entered;    /* likewise */
    unsigned kinds;       /* bits: recorded of themselves */
    unsigned long thread; /* the main thread's identity */
    uint32_t epoch;       /* a change makes every thread look again */
    unsigned greenlets;   /* numbered so far */
    int returns;
    size_t chains; /* alive */
    record *newest, *oldest;
    size_t idle_size;
};

typedef struct {
    PyObject_HEAD contexts *owner;
    PyObject *segments; /* owned tuple of (kind, text) */
    record *record;
} chain_object;

/* What the thread found last; valid while nothing has changed in its context variables. */
static _Thread_local struct {
    contexts *owner;
    uint64_t thread, version;
    uint32_t epoch;
    told_context *told;
} recent;

/* What the thread began with. */
static _Thread_local struct {
    contexts *owner;
    PyObject *chain; /* owned, or NULL */
    PyObject *name;  /* owned, or NULL */
} beginning;

/* --- records ----------------------------------------------------------------------------- */

static void
remove_idle(contexts *self, record *which)
{
    *(which->older != NULL ? &which->older->newer : &self->oldest) = which->newer;
    *(which->newer != NULL ? &which->newer->older : &self->newest) = which->older;
    which->older = which->newer = NULL;
    self->idle_size -= which->size;
}

static void
add_idle(contexts *self, record *which)
{
    which->size = sizeof(*which) + told_size(which->told);
    self->idle_size += which->size;
    which->older = self->newest;
    *(self->newest != NULL ? &self->newest->newer : &self->oldest) = which;
    self->newest = which;
}

/* Forget the contexts that ended longest ago. */
static void
trim_idle(contexts *self)
{
    while (self->idle_size > MOST_IDLE && self->oldest != NULL) {
        record *oldest = self->oldest;
        if (PyDict_DelItem(self->records, oldest->label) < 0) {
            PyErr_Clear();
            return; /* no memory: the next one tries again */
        }
        remove_idle(self, oldest);
        Py_DECREF(oldest->label);
        told_free(oldest->told);
        free(oldest);
    }
}

/* The record of `label`; NULL with an exception set. */
static record *
record_of(contexts *self, PyObject *label)
{
    PyObject *known = PyDict_GetItemWithError(self->records, label); /* borrowed */
    if (known != NULL) {
        record *found = PyLong_AsVoidPtr(known);
        if (found->chains == 0) {
            remove_idle(self, found);
        }
        found->chains++;
        return found;
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    trim_idle(self);
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(label, &size);
    record *made = text != NULL ? calloc(1, sizeof(*made)) : NULL;
    PyObject *address = made != NULL ? PyLong_FromVoidPtr(made) : NULL; /* owned */
    if (address == NULL || (made->told = told_new(text, (size_t)size)) == NULL ||
        PyDict_SetItem(self->records, label, address) < 0) {
        if (made != NULL && made->told != NULL) {
            told_free(made->told);
        }
        free(made);
        Py_XDECREF(address);
        return PyErr_Occurred() ? NULL : (record *)PyErr_NoMemory();
    }
    Py_DECREF(address);
    made->label = Py_NewRef(label);
    made->chains = 1;
    return made;
}

/* --- chains ------------------------------------------------------------------------------ */

static void
chain_dealloc(PyObject *object)
{
    chain_object *self = (chain_object *)object;
    contexts *owner = self->owner;
    PyTypeObject *type = Py_TYPE(object);
    if (--self->record->chains == 0) {
        add_idle(owner, self->record);
    }
    Py_XDECREF(self->segments);
    if (--owner->chains == 0 && owner->kinds == 0 && owner->returns < MOST_RETURNS) {
        owner->returns++;
        owner->owner->in_contexts = false;
    }
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *
chain_repr(PyObject *object)
{
    return PyUnicode_FromFormat("<covsup context %R>", ((chain_object *)object)->record->label);
}

static PyType_Slot chain_slots[] = {
    {Py_tp_dealloc, chain_dealloc},
    {Py_tp_repr, chain_repr},
    {0, NULL},
};

static PyType_Spec chain_spec = {
    .name = "covsup.tracer_c._tracer.Context",
    .basicsize = sizeof(chain_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = chain_slots,
};

/* `text` as a label may be: UTF-8 (lone surrogates as \udcxx), without NUL (as \x00), and cut. */
static PyObject *
clean(PyObject *text)
{
    PyObject *zero = NULL, *escaped = NULL, *shown = NULL, *bytes = NULL,
             *result = NULL;                                  /* owned */
    PyObject *cut = PyUnicode_Substring(text, 0, MOST_LABEL); /* owned */
    if (cut == NULL || (zero = PyUnicode_FromStringAndSize("\0", 1)) == NULL ||
        (escaped = PyUnicode_FromString("\\x00")) == NULL ||
        (shown = PyUnicode_Replace(cut, zero, escaped, -1)) == NULL ||
        (bytes = PyUnicode_AsEncodedString(shown, "utf-8", "backslashreplace")) == NULL) {
        goto done;
    }
    const char *start = PyBytes_AS_STRING(bytes);
    Py_ssize_t size = PyBytes_GET_SIZE(bytes);
    if (size > MOST_LABEL) {
        for (size = MOST_LABEL; size > 0 && ((unsigned char)start[size] & 0xC0) == 0x80; size--) {
        }
    }
    result = PyUnicode_DecodeUTF8(start, size, NULL);
done:
    Py_XDECREF(cut);
    Py_XDECREF(zero);
    Py_XDECREF(escaped);
    Py_XDECREF(shown);
    Py_XDECREF(bytes);
    return result;
}

static PyObject *
new_segment(segment_kind kind, PyObject *text)
{
    PyObject *cleaned = clean(text); /* owned */
    PyObject *segment = cleaned != NULL ? Py_BuildValue("(iO)", (int)kind, cleaned) : NULL;
    Py_XDECREF(cleaned);
    return segment;
}

static segment_kind
kind_of(PyObject *segment)
{
    return (segment_kind)PyLong_AsLong(PyTuple_GET_ITEM(segment, 0));
}

/* The texts of the segments that are not of `without` (bits), joined; NULL with an exception. */
static PyObject *
joined(contexts *self, PyObject *segments, unsigned without)
{
    PyObject *label = NULL;
    PyObject *texts = PyList_New(0); /* owned */
    Py_ssize_t size = 0;
    /* What is cut off need not be joined: deep chains stay cheap. */
    for (Py_ssize_t i = 0; texts != NULL && i < PyTuple_GET_SIZE(segments) && size <= MOST_LABEL;
         i++) {
        PyObject *segment = PyTuple_GET_ITEM(segments, i);
        if ((without & KIND_BIT(kind_of(segment))) != 0) {
            continue;
        }
        PyObject *text = PyTuple_GET_ITEM(segment, 1);
        size += PyUnicode_GET_LENGTH(text) + 1;
        if (PyList_Append(texts, text) < 0) {
            Py_CLEAR(texts);
        }
    }
    if (texts != NULL) {
        PyObject *whole = PyUnicode_Join(self->separator, texts); /* owned */
        label = whole != NULL ? clean(whole) : NULL;
        Py_XDECREF(whole);
        Py_DECREF(texts);
    }
    return label;
}

/* The chain of `segments` (a tuple); NULL with an exception set. */
static PyObject *
new_chain(contexts *self, PyObject *segments)
{
    PyObject *label = joined(self, segments, 0); /* owned */
    if (label == NULL) {
        return NULL;
    }
    record *record = record_of(self, label);
    Py_DECREF(label);
    if (record == NULL) {
        return NULL;
    }
    chain_object *chain = PyObject_New(chain_object, self->type);
    if (chain == NULL) {
        if (--record->chains == 0) {
            add_idle(self, record);
        }
        return NULL;
    }
    chain->owner = self;
    chain->segments = Py_NewRef(segments);
    chain->record = record;
    self->chains++;
    return (PyObject *)chain;
}

static bool
is_chain(const contexts *self, PyObject *object)
{
    return object != NULL && Py_IS_TYPE(object, self->type);
}

/* The segment of a kind in a tuple of them, borrowed, or NULL. */
static PyObject *
find_segment(PyObject *segments, segment_kind kind)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(segments); i++) {
        if (kind_of(PyTuple_GET_ITEM(segments, i)) == kind) {
            return PyTuple_GET_ITEM(segments, i);
        }
    }
    return NULL;
}

/* A new tuple: `segments` without the kinds (bits) and without `but` (NULL: none), then with `more`
 * (NULL: nothing) at its end, or in front where that is the process's. */
static PyObject *
changed(PyObject *segments, unsigned without, PyObject *but, PyObject *more)
{
    PyObject *result = NULL;
    PyObject *list = PyList_New(0); /* owned */
    if (list == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(segments); i++) {
        PyObject *segment = PyTuple_GET_ITEM(segments, i);
        if (segment != but && (without & KIND_BIT(kind_of(segment))) == 0 &&
            PyList_Append(list, segment) < 0) {
            goto done;
        }
    }
    if (more != NULL) {
        bool first = kind_of(more) == SEGMENT_PROCESS;
        if (PyList_Insert(list, first ? 0 : PyList_GET_SIZE(list), more) < 0) {
            goto done;
        }
    }
    result = PyList_AsTuple(list);
done:
    Py_DECREF(list);
    return result;
}

/* --- where code runs --------------------------------------------------------------------- */

/* The result of a method or function of a module that is imported, or NULL without an exception. */
static PyObject *
ask(const char *module, const char *function, PyObject *argument)
{
    PyObject *name = PyUnicode_InternFromString(module);                              /* owned */
    PyObject *there = name != NULL ? PyImport_GetModule(name) : NULL;                 /* owned */
    PyObject *asked = there != NULL ? PyObject_GetAttrString(there, function) : NULL; /* owned */
    PyObject *result = asked != NULL ? PyObject_CallFunctionObjArgs(asked, argument, NULL) : NULL;
    Py_XDECREF(name);
    Py_XDECREF(there);
    Py_XDECREF(asked);
    PyErr_Clear();
    return result;
}

/* The name of the task that runs; NULL without an exception where none does. */
static PyObject *
task_name(void)
{
    PyObject *loop = ask("_asyncio", "_get_running_loop", NULL); /* owned */
    PyObject *task = NULL, *name = NULL;                         /* owned */
    if (loop != NULL && loop != Py_None) {
        task = ask(COMPAT_CURRENT_TASK_MODULE, "current_task", loop);
        if (task != NULL && task != Py_None) {
            name = PyObject_CallMethod(task, "get_name", NULL);
        }
    }
    Py_XDECREF(loop);
    Py_XDECREF(task);
    if (name != NULL && !PyUnicode_Check(name)) {
        Py_CLEAR(name);
    }
    PyErr_Clear();
    return name;
}

/* The name of the greenlet that runs: its own, or a number; NULL where it is a thread's first. */
static PyObject *
greenlet_name(contexts *self)
{
    PyObject *current = ask("greenlet._greenlet", "getcurrent", NULL); /* owned */
    PyObject *parent =
        current != NULL ? PyObject_GetAttrString(current, "parent") : NULL; /* owned */
    PyObject *name = NULL;
    if (parent != NULL && parent != Py_None) {
        name = PyObject_GetAttrString(current, "name");
        if (name == NULL || !PyUnicode_Check(name) || PyUnicode_GET_LENGTH(name) == 0) {
            PyErr_Clear();
            Py_XSETREF(name, PyUnicode_FromFormat("greenlet-%u", ++self->greenlets));
        }
    }
    Py_XDECREF(current);
    Py_XDECREF(parent);
    PyErr_Clear();
    return name;
}

/* `segments` (stolen) with this segment of a place, where it says another; NULL: exception set. */
static PyObject *
placed(PyObject *segments, segment_kind kind, PyObject *name)
{
    PyObject *now = find_segment(segments, kind); /* borrowed */
    if (name == NULL) {
        if (now == NULL) {
            return segments;
        }
        PyObject *result = changed(segments, KIND_BIT(kind), NULL, NULL);
        Py_DECREF(segments);
        return result;
    }
    PyObject *result = NULL;
    PyObject *segment = new_segment(kind, name); /* owned */
    if (segment != NULL) {
        int same = now == NULL ? 0 : PyObject_RichCompareBool(now, segment, Py_EQ);
        if (same == 1) {
            result = Py_NewRef(segments);
        } else if (same == 0) {
            result = changed(segments, KIND_BIT(kind), NULL, segment);
        }
        Py_DECREF(segment);
    }
    Py_DECREF(segments);
    return result;
}

/* The segments (owned, a tuple) that the flow has which runs here, given those that it was found
 * with; NULL with an exception set. */
static PyObject *
segments_here(contexts *self, PyObject *found)
{
    PyObject *segments = Py_NewRef(found);
    if (self->process != NULL && find_segment(segments, SEGMENT_PROCESS) != self->process) {
        Py_SETREF(segments, changed(segments, KIND_BIT(SEGMENT_PROCESS), NULL, self->process));
    }
    if (segments != NULL && (self->kinds & KIND_BIT(SEGMENT_THREAD)) != 0) {
        bool ours = beginning.owner == self && beginning.name != NULL;
        PyObject *name = ours ? beginning.name : NULL;
        if (!ours && PyThread_get_thread_ident() == self->thread) {
            name = self->main_name;
        }
        segments = placed(segments, SEGMENT_THREAD, name);
    }
    if (segments != NULL && (self->kinds & KIND_BIT(SEGMENT_GREENLET)) != 0 &&
        find_segment(segments, SEGMENT_GREENLET) == NULL) {
        PyObject *name = greenlet_name(self); /* owned */
        segments = placed(segments, SEGMENT_GREENLET, name);
        Py_XDECREF(name);
    }
    if (segments != NULL && (self->kinds & KIND_BIT(SEGMENT_TASK)) != 0) {
        PyObject *name = task_name(); /* owned */
        segments = placed(segments, SEGMENT_TASK, name);
        Py_XDECREF(name);
    }
    return segments;
}

/* --- what is current --------------------------------------------------------------------- */

/* The chain that the context variable, the thread or the interpreter has; borrowed, or NULL
 * without an exception. */
static PyObject *
found_chain(contexts *self)
{
    PyObject *value = NULL;
    if (PyContextVar_Get(self->var, NULL, &value) < 0) {
        PyErr_Clear();
        return NULL;
    }
    if (value != NULL) {
        Py_DECREF(value); /* the context has it */
        return is_chain(self, value) ? value : NULL;
    }
    return beginning.owner == self ? beginning.chain : self->root;
}

/* The segments that are current; owned, or NULL with an exception set. */
static PyObject *
current_segments(contexts *self)
{
    PyObject *chain = found_chain(self);
    PyObject *found = chain != NULL ? Py_NewRef(((chain_object *)chain)->segments) : PyTuple_New(0);
    PyObject *segments = found != NULL ? segments_here(self, found) : NULL;
    Py_XDECREF(found);
    return segments;
}

/* Python's own count of changes leaves out what is set and reset. New reference, or NULL. */
static PyObject *
set_chain(contexts *self, PyObject *chain)
{
    recent.owner = NULL;
    return contexts_change(self->owner) < 0 ? NULL : PyContextVar_Set(self->var, chain);
}

static int
reset_chain(contexts *self, PyObject *token)
{
    recent.owner = NULL;
    if (contexts_change(self->owner) < 0) {
        PyErr_Clear(); /* no memory; the context has to change all the same */
    }
    return PyContextVar_Reset(self->var, token);
}

/* Make the segments the current ones. The context variable's token (owned), or NULL with an
 * exception set. */
static PyObject *
set_segments(contexts *self, PyObject *segments)
{
    PyObject *chain =
        PyTuple_GET_SIZE(segments) > 0 ? new_chain(self, segments) : Py_NewRef(Py_None);
    PyObject *token = chain != NULL ? set_chain(self, chain) : NULL;
    Py_XDECREF(chain);
    return token;
}

/* The chain that is current, with what it says of the place put right; borrowed, or NULL without
 * an exception. */
static PyObject *
current_chain(contexts *self)
{
    PyObject *chain = found_chain(self);
    if (self->kinds == 0) {
        return chain;
    }
    PyObject *nothing = chain == NULL ? PyTuple_New(0) : NULL; /* owned */
    PyObject *found = chain != NULL ? ((chain_object *)chain)->segments : nothing;
    PyObject *segments = found != NULL ? segments_here(self, found) : NULL; /* owned */
    if (segments != NULL && segments != found &&
        (PyTuple_GET_SIZE(segments) > 0 || chain != NULL)) {
        Py_XDECREF(set_segments(self, segments));
        chain = found_chain(self);
    }
    Py_XDECREF(nothing);
    Py_XDECREF(segments);
    PyErr_Clear(); /* no memory: the label stays what it was */
    return chain;
}

told_context *
contexts_told(core *owner)
{
    contexts *self = owner->contexts;
    PyThreadState *thread = PyThreadState_Get();
    if (recent.owner == self && recent.thread == thread->id &&
        recent.version == thread->context_ver && recent.epoch == self->epoch) {
        return recent.told;
    }
    PyObject *chain = current_chain(self);
    recent.owner = self;
    recent.thread = thread->id;
    recent.version = thread->context_ver;
    recent.epoch = self->epoch;
    recent.told = chain != NULL ? ((chain_object *)chain)->record->told : NULL;
    return recent.told;
}

PyObject *
contexts_carried(core *owner)
{
    if (!owner->in_contexts) {
        return NULL;
    }
    return Py_XNewRef(current_chain(owner->contexts));
}

PyObject *
contexts_carried_without(core *owner, unsigned kinds)
{
    PyObject *chain = contexts_carried(owner);
    if (chain == NULL) {
        return NULL;
    }
    PyObject *segments = ((chain_object *)chain)->segments;
    bool any = false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(segments); i++) {
        any = any || (kinds & KIND_BIT(kind_of(PyTuple_GET_ITEM(segments, i)))) != 0;
    }
    if (!any) {
        return chain;
    }
    PyObject *left = changed(segments, kinds, NULL, NULL); /* owned */
    if (left != NULL && PyTuple_GET_SIZE(left) == 0) {
        Py_CLEAR(chain);
    } else if (left != NULL) {
        Py_SETREF(chain, new_chain(owner->contexts, left));
    }
    Py_XDECREF(left);
    PyErr_Clear();
    return chain;
}

/* Facts get contexts from now on. -1: exception set. */
static int
turn_on(contexts *self)
{
    if (self->owner->in_contexts) {
        return 0;
    }
    self->owner->in_contexts = true;
#if COMPAT_MONITORING
    if (monitoring_rearm(self->owner) < 0) {
        return -1;
    }
#endif
    return 0;
}

PyObject *
contexts_enter(core *owner, PyObject *chain)
{
    return set_chain(owner->contexts, chain != NULL ? chain : Py_None);
}

PyObject *
contexts_push(core *owner, segment_kind kind, PyObject *text)
{
    contexts *self = owner->contexts;
    PyObject *token = NULL;
    PyObject *segments = current_segments(self);                                   /* owned */
    PyObject *segment = segments != NULL ? new_segment(kind, text) : NULL;         /* owned */
    PyObject *more = segment != NULL ? changed(segments, 0, NULL, segment) : NULL; /* owned */
    if (more != NULL && turn_on(self) == 0) {
        token = set_segments(self, more);
    }
    Py_XDECREF(segments);
    Py_XDECREF(segment);
    Py_XDECREF(more);
    return token;
}

void
contexts_leave(core *owner, PyObject *entered)
{
    if (reset_chain(owner->contexts, entered) < 0) {
        PyErr_Clear(); /* another context than it was entered in */
    }
    Py_DECREF(entered);
}

bool
contexts_of_kind(const core *owner, segment_kind kind)
{
    return owner->contexts != NULL && (owner->contexts->kinds & KIND_BIT(kind)) != 0;
}

bool
contexts_has(core *owner, segment_kind kind)
{
    PyObject *chain = found_chain(owner->contexts);
    return chain != NULL && find_segment(((chain_object *)chain)->segments, kind) != NULL;
}

PyObject *
contexts_work(core *owner)
{
    return owner->contexts->work;
}

PyObject *
contexts_entered(core *owner)
{
    return owner->contexts->entered;
}

bool
contexts_in_other_thread(core *owner)
{
    return PyThread_get_thread_ident() != owner->contexts->thread;
}

PyObject *
contexts_seeded(core *owner, PyObject *chain)
{
    PyObject *context = PyContext_New(); /* owned */
    if (context == NULL || PyContext_Enter(context) < 0) {
        Py_XDECREF(context);
        return NULL;
    }
    PyObject *token = set_chain(owner->contexts, chain); /* owned */
    if (PyContext_Exit(context) < 0 || token == NULL) {
        Py_CLEAR(context);
    }
    Py_XDECREF(token);
    return context;
}

void
contexts_thread_begins(core *owner, PyObject *chain, PyObject *name)
{
    beginning.owner = owner->contexts;
    beginning.chain = Py_XNewRef(chain);
    beginning.name = Py_XNewRef(name);
    recent.owner = NULL;
}

void
contexts_thread_ends(void)
{
    recent.owner = NULL;
    beginning.owner = NULL;
    Py_CLEAR(beginning.chain);
    Py_CLEAR(beginning.name);
}

const char *
contexts_value(core *owner, PyObject **holder)
{
    const unsigned places = KIND_BIT(SEGMENT_PROCESS) | KIND_BIT(SEGMENT_THREAD) |
                            KIND_BIT(SEGMENT_GREENLET) | KIND_BIT(SEGMENT_TASK);
    PyObject *chain = contexts_carried(owner); /* owned */
    const char *text = NULL;
    *holder = NULL;
    if (chain != NULL) {
        *holder = joined(owner->contexts, ((chain_object *)chain)->segments, places);
        text = *holder != NULL ? PyUnicode_AsUTF8(*holder) : NULL;
        Py_DECREF(chain);
    }
    PyErr_Clear();
    return text != NULL && *text != '\0' ? text : NULL;
}

/* --- start and fork ---------------------------------------------------------------------- */

static int
set_process(contexts *self)
{
    PyObject *text = PyUnicode_FromFormat("process-%ld", (long)getpid());         /* owned */
    PyObject *segment = text != NULL ? new_segment(SEGMENT_PROCESS, text) : NULL; /* owned */
    Py_XDECREF(text);
    if (segment == NULL) {
        return -1;
    }
    Py_XSETREF(self->process, segment);
    return 0;
}

void
contexts_forked(core *owner)
{
    contexts *self = owner->contexts;
    if (self == NULL) {
        return;
    }
    self->thread = PyThread_get_thread_ident();
    if ((self->kinds & KIND_BIT(SEGMENT_PROCESS)) != 0 && set_process(self) < 0) {
        PyErr_Clear(); /* no memory: it goes on under its parent's label */
    }
    if (contexts_change(owner) < 0) {
        PyErr_Clear(); /* no memory: as above */
    }
    self->epoch++;
}

int
contexts_start(core *owner, unsigned kinds, PyObject *inherited)
{
    PyObject *segments = NULL; /* owned */
    int rc = -1;
    contexts *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->owner = owner;
    self->kinds = kinds;
    self->thread = PyThread_get_thread_ident();
    if ((self->var = PyContextVar_New("covsup", NULL)) == NULL ||
        (self->type = (PyTypeObject *)PyType_FromSpec(&chain_spec)) == NULL ||
        (self->records = PyDict_New()) == NULL ||
        (self->separator = PyUnicode_FromString("|")) == NULL ||
        (self->work = PyDict_New()) == NULL || (self->entered = PyDict_New()) == NULL ||
        (self->main_name = PyUnicode_FromString("MainThread")) == NULL) {
        goto done;
    }
    if ((kinds & KIND_BIT(SEGMENT_PROCESS)) != 0 && set_process(self) < 0) {
        goto done;
    }
    if (PyUnicode_GET_LENGTH(inherited) > 0) {
        self->inherited = new_segment(SEGMENT_INHERITED, inherited);
        if (self->inherited == NULL || (segments = PyTuple_Pack(1, self->inherited)) == NULL ||
            (self->root = new_chain(self, segments)) == NULL) {
            goto done;
        }
    }
    owner->contexts = self;
    owner->in_contexts = kinds != 0 || self->root != NULL;
    rc = 0;
done:
    Py_XDECREF(segments);
    return rc;
}

/* --- the module's functions -------------------------------------------------------------- */

static contexts *
contexts_here(void)
{
    core *self = core_of_interpreter();
    return self != NULL ? self->contexts : NULL;
}

PyDoc_STRVAR(enter_context_doc,
             "enter_context(label)\n--\n\n"
             "Record under `label`, inside of what is current; what leave_context() wants.");

static PyObject *
enter_context(PyObject *module, PyObject *label)
{
    contexts *self = contexts_here();
    if (!PyUnicode_Check(label)) {
        PyErr_SetString(PyExc_TypeError, "a context's label is a str");
        return NULL;
    }
    if (self == NULL || PyUnicode_GET_LENGTH(label) == 0) {
        Py_RETURN_NONE;
    }
    PyObject *result = NULL, *more = NULL, *token = NULL;                          /* owned */
    PyObject *segments = current_segments(self);                                   /* owned */
    PyObject *segment = segments != NULL ? new_segment(SEGMENT_OWN, label) : NULL; /* owned */
    if (segment == NULL || (more = changed(segments, 0, NULL, segment)) == NULL ||
        turn_on(self) < 0 || (token = set_segments(self, more)) == NULL) {
        goto done;
    }
    result = PyTuple_Pack(3, segment, token, more);
done:
    Py_XDECREF(segments);
    Py_XDECREF(segment);
    Py_XDECREF(more);
    Py_XDECREF(token);
    return result;
}

PyDoc_STRVAR(leave_context_doc, "leave_context(entered)\n--\n\n"
                                "End what enter_context() began, wherever it is in the chain.");

static PyObject *
leave_context(PyObject *module, PyObject *entered)
{
    contexts *self = contexts_here();
    if (self == NULL || !PyTuple_Check(entered) || PyTuple_GET_SIZE(entered) != 3) {
        Py_RETURN_NONE;
    }
    PyObject *chain = found_chain(self); /* borrowed */
    if (chain != NULL && ((chain_object *)chain)->segments == PyTuple_GET_ITEM(entered, 2)) {
        /* Nothing has changed since: the variable becomes what it was, or goes. */
        if (reset_chain(self, PyTuple_GET_ITEM(entered, 1)) == 0) {
            Py_RETURN_NONE;
        }
        PyErr_Clear(); /* a copy of the context that it was entered in */
    }
    PyObject *segments = current_segments(self); /* owned */
    PyObject *left = NULL, *token = NULL;        /* owned */
    if (segments != NULL) {
        left = changed(segments, 0, PyTuple_GET_ITEM(entered, 0), NULL);
        if (left != NULL && PyTuple_GET_SIZE(left) != PyTuple_GET_SIZE(segments)) {
            token = set_segments(self, left);
        }
    }
    Py_XDECREF(segments);
    Py_XDECREF(left);
    Py_XDECREF(token);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(switch_context_doc,
             "switch_context(label)\n--\n\n"
             "Record under `label` (None: no more) in place of what was switched to before.");

static PyObject *
switch_context(PyObject *module, PyObject *label)
{
    contexts *self = contexts_here();
    bool ends = label == Py_None;
    if (!ends && !PyUnicode_Check(label)) {
        PyErr_SetString(PyExc_TypeError, "a context's label is a str or None");
        return NULL;
    }
    ends = ends || PyUnicode_GET_LENGTH(label) == 0;
    if (self == NULL || (ends && !self->owner->in_contexts)) {
        Py_RETURN_NONE;
    }
    PyObject *segment = NULL, *changed_to = NULL, *list = NULL, *token = NULL; /* owned */
    PyObject *segments = current_segments(self);                               /* owned */
    if (segments == NULL) {
        goto done;
    }
    PyObject *old = find_segment(segments, SEGMENT_SWITCHED); /* borrowed */
    if (ends) {
        if (old == NULL) {
            goto done;
        }
        changed_to = changed(segments, 0, old, NULL);
    } else if ((segment = new_segment(SEGMENT_SWITCHED, label)) != NULL) {
        if (old == NULL) {
            changed_to = changed(segments, 0, NULL, segment);
        } else if ((list = PySequence_List(segments)) != NULL) {
            Py_ssize_t at = PySequence_Index(segments, old);
            if (at >= 0 && PyList_SetItem(list, at, Py_NewRef(segment)) == 0) {
                changed_to = PyList_AsTuple(list);
            }
        }
    }
    if (changed_to != NULL && turn_on(self) == 0) {
        token = set_segments(self, changed_to);
    }
done:
    Py_XDECREF(segments);
    Py_XDECREF(segment);
    Py_XDECREF(changed_to);
    Py_XDECREF(list);
    Py_XDECREF(token);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef contexts_methods[] = {
    {"enter_context", enter_context, METH_O, enter_context_doc},
    {"leave_context", leave_context, METH_O, leave_context_doc},
    {"switch_context", switch_context, METH_O, switch_context_doc},
    {NULL, NULL, 0, NULL},
};

int
contexts_add(PyObject *module)
{
    return PyModule_AddFunctions(module, contexts_methods);
}
