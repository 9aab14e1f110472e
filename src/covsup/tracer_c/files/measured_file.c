/* files/measured_file.c - the run's rules applied to the files of a program.
 *
 * Threads, Must never know: see files/measured_file.h. */
#include "files/measured_file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "files/module_name.h"
#include "files/search_path.h"

/* `module` with the version of the file at `path` (docs/journal-format.md), to be freed; NULL: out
 * of memory. The version is that of now, which is what the import has just read. */
static char *
with_version(const char *module, const char *path)
{
    size_t room = strlen(module) + 64;
    char *text = malloc(room);
    struct stat found = {0};
    if (text == NULL) {
        return NULL;
    }
    bool exists = stat(path, &found) == 0; /* a member of an archive does not */
#ifdef __APPLE__
    struct timespec changed = found.st_mtimespec;
#else
    struct timespec changed = found.st_mtim;
#endif
    const long long most = LLONG_MAX / 1000000000 - 1; /* seconds: some 292 years around 1970 */
    if (!exists || changed.tv_sec > most || changed.tv_sec < -most) {
        strcpy(text, module);
        return text;
    }
    long long ns = (long long)changed.tv_sec * 1000000000 + changed.tv_nsec;
    snprintf(text, room, "%s\n%lld-%lld", module, ns, (long long)found.st_size);
    return text;
}

int
file_policy_apply(core *self, const char *path, PyObject *globals, const char *plugin,
                  source_file **file)
{
    int rc = 0;
    /* Only source packages need the module's name, which may run Python. */
    char *module = self->rules.source_pkgs.count > 0 ? module_name(globals, path) : strdup("");
    if (module == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (filter_measures(&self->rules, path, module, &self->search_path)) {
        char *described = with_version(module, path);
        *file = described != NULL ? source_file_get(path, described, plugin) : NULL;
        free(described);
        if (*file == NULL) {
            PyErr_NoMemory();
            rc = -1;
        }
    }
    free(module);
    return rc;
}

char *
file_policy_measured_source(core *self, PyObject *filename)
{
    char *path = NULL, *module = NULL;
    struct stat found;
    PyObject *kept = compat_take_exception();              /* owned, or NULL */
    PyObject *bytes = PyUnicode_EncodeFSDefault(filename); /* owned */
    if (bytes != NULL && PyBytes_AS_STRING(bytes)[0] != '<' && search_path_refresh(self) == 0) {
        path = search_path_locate(self, PyBytes_AS_STRING(bytes));
    }
    Py_XDECREF(bytes);
    PyErr_Clear(); /* no file can have such a name */
    if (path != NULL && (stat(path, &found) != 0 || (module = module_name(NULL, path)) == NULL ||
                         !filter_measures(&self->rules, path, module, &self->search_path))) {
        free(path);
        path = NULL;
    }
    free(module);
    compat_restore_exception(kept);
    return path;
}
