/* audit_hook.h - the audit hook that a Python which is not initialised yet is given.
 *
 * Threads: audit_hook_add() before main(), the others in a call of the hook.
 * Must never know: what the hook does. */
#ifndef COVSUP_CARRIER_AUDIT_HOOK_H
#define COVSUP_CARRIER_AUDIT_HOOK_H

#include <stdbool.h>

typedef struct object PyObject;
typedef int audit_hook(const char *event, PyObject *arguments, void *unused);

/* Give Python the hook; false: there is no Python, or one that takes none. */
bool audit_hook_add(audit_hook *hook);

/* No event is of interest any more. An audited call is then as quick as without us. Where Python
 * keeps its hooks in another way than it has so far, nothing happens. */
void audit_hook_remove(void);

/* Python is about to free its hooks: to be called at cpython._PySys_ClearAuditHooks. */
void audit_hook_on_finalize(void);

#endif
