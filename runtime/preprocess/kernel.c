/* Python's door to resize.c. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "resize.h"

static PyObject *resize(PyObject *self, PyObject *args) {
    (void)self;
    int height, width, done = RESIZE_DOES_NOT_FIT;
    Py_buffer pixels, out;
    if (!PyArg_ParseTuple(args, "y*w*(ii):resize", &pixels, &out, &height, &width)) return NULL;
    if (height > 0 && width > 0 && (int64_t)pixels.len == (int64_t)height * width * 3 &&
        out.len == RESIZED_SIDE * RESIZED_SIDE * 3) {
        Py_BEGIN_ALLOW_THREADS
        done = resize_to_input(pixels.buf, height, width, out.buf);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&pixels);
    PyBuffer_Release(&out);
    if (done == RESIZE_NO_MEMORY) return PyErr_NoMemory();
    if (done != RESIZE_DONE) {
        PyErr_SetString(PyExc_ValueError, "resize: sizes of the arrays do not belong together, or no frame has them");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"resize", resize, METH_VARARGS,
     "resize(pixels, out, (height, width))\n--\n\nAs runtime/preprocess/plain.py by the weights of weights.py."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_kernel", "The resize to the networks' input, compiled.", -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernel(void) {
    PyObject *made = PyModule_Create(&module);
    if (made != NULL && PyModule_AddStringConstant(made, "SOURCES", ROP_SOURCES) < 0) { /* see device/compiled.py */
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
