/* sanitized_interpreter.c - Python with AddressSanitizer and UndefinedBehaviorSanitizer in it.
 *
 * The settings of the sanitizers and the allocator are compiled in, because environment variables
 * do not reach every process: tests clear the environment, and so do programs. */

#define _GNU_SOURCE
#include <Python.h>

#include <dlfcn.h>

/* Reports go to files, one for each process, so that none is lost with a process's stderr.
 * detect_leaks: Python keeps much at its end, by design; tests/leaks looks for leaks instead.
 * verify_asan_link_order: the library of the carrier (LD_PRELOAD) may be before that of ASan.
 * handle_*, use_sigaltstack: the tests' programs die by these signals, and handle them themselves.
 * allocator_may_return_null: a failing malloc() is a MemoryError, not the end. */
__attribute__((visibility("default"))) const char *
__asan_default_options(void)
{
    return "log_path=" REPORTS "/address:detect_leaks=0:verify_asan_link_order=0:handle_segv=0:"
           "handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0:use_sigaltstack=0:"
           "allocator_may_return_null=1:quarantine_size_mb=32:malloc_context_size=20:exitcode=99";
}

__attribute__((visibility("default"))) const char *
__ubsan_default_options(void)
{
    return "print_stacktrace=1:handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:"
           "handle_abort=0:use_sigaltstack=0:exitcode=99";
}

/* With both libraries, the option log_path of either one sets that of AddressSanitizer's. */
static int
set_report_path_of_ubsan(void)
{
    void *library = dlopen("libubsan.so.1", RTLD_LAZY | RTLD_NOLOAD);
    void *found = library != NULL ? dlsym(library, "__sanitizer_set_report_path") : NULL;
    void (*set_report_path)(const char *);
    if (found == NULL) {
        return -1;
    }
    memcpy(&set_report_path, &found, sizeof(found));
    set_report_path(REPORTS "/undefined");
    return 0;
}

int
main(int argc, char **argv)
{
    if (set_report_path_of_ubsan() < 0) {
        fputs("libubsan.so.1 has no __sanitizer_set_report_path()\n", stderr);
        return 1;
    }
    /* PYTHONMALLOC=malloc_debug: the checks of PYTHONMALLOC=debug, and every object is a block of
     * malloc(), so that the use of an object that was freed is seen. */
    PyPreConfig configuration;
    PyPreConfig_InitPythonConfig(&configuration);
    configuration.allocator = PYMEM_ALLOCATOR_MALLOC_DEBUG;
    PyStatus status = Py_PreInitializeFromBytesArgs(&configuration, argc, argv);
    if (PyStatus_Exception(status)) {
        Py_ExitStatusException(status);
    }
    return Py_BytesMain(argc, argv);
}
