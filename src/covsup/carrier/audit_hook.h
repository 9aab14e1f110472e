/* audit_hook.h - the audit hook that is added before Python is initialised.
 *
 * Threads: audit_hook_add() before main(), the others in a call of the hook.
 * Must never know: what the hook does. */
#ifndef COVSUP_CARRIER_AUDIT_HOOK_H
#define COVSUP_CARRIER_AUDIT_HOOK_H

#include <stdbool.h>

typedef struct object PyObject;
typedef int audit_hook(const char *event, PyObject *arguments, void *unused);

/* Add the hook. False: there is no Python, or one without audit hooks. */
bool audit_hook_add(audit_hook *hook);

/* Remove the hook, so that audited calls are as fast as without it. Does nothing if Python keeps
 * its hooks in another way than in the known versions. */
void audit_hook_remove(void);

/* Call this at the event cpython._PySys_ClearAuditHooks: Python is about to free its hooks. */
void audit_hook_on_finalize(void);

#endif
