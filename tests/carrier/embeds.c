/* embeds.c - a program with a Python in it: embeds run SOURCE | import MODULE | main WORDS... */
#include <Python.h>

#include <string.h>

int
main(int argc, char **argv)
{
    if (strcmp(argv[1], "main") == 0) {
        return Py_BytesMain(argc - 1, argv + 1);
    }
    Py_Initialize();
    int rc = 0;
    if (strcmp(argv[1], "run") == 0) {
        rc = PyRun_SimpleString(argv[2]);
    } else {
        PyObject *path = PySys_GetObject("path");
        PyObject *here = PyUnicode_FromString(".");
        PyObject *module = NULL;
        if (here != NULL && PyList_Insert(path, 0, here) == 0) {
            module = PyImport_ImportModule(argv[2]);
        }
        rc = module == NULL;
        Py_XDECREF(module);
        Py_XDECREF(here);
    }
    return Py_FinalizeEx() < 0 ? 1 : rc != 0;
}
