/* A Python type with attribute functions of its own that do nothing: what CPython takes to call
 * them, which no type that has some can be faster than. */
#include <Python.h>

static PyObject* number;

static PyObject* get(PyObject* self, PyObject* name) {
  (void)self;
  (void)name;
  return Py_NewRef(number);
}

static int set(PyObject* self, PyObject* name, PyObject* value) {
  (void)self;
  (void)name;
  (void)value;
  return 0;
}

static PyTypeObject type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "own_functions.Object",
    .tp_basicsize = sizeof(PyObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_getattro = get,
    .tp_setattro = set,
    .tp_new = PyType_GenericNew,
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "own_functions",
                                        .m_size = -1};

PyMODINIT_FUNC PyInit_own_functions(void) {
  number = PyLong_FromLong(5);
  PyObject* module = PyType_Ready(&type) == 0 ? PyModule_Create(&definition) : NULL;
  if (module != NULL && PyModule_AddObjectRef(module, "Object", (PyObject*)&type) != 0) {
    Py_CLEAR(module);
  }
  return module;
}
