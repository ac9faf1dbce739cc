/* Python's door to resize.c. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "resize.h"

/* Weights as Python handed them over: int32 [256], [256], [256, taps]. */
static int axis_from(ResizeAxis *axis, const Py_buffer *first, const Py_buffer *count, const Py_buffer *weights) {
    const Py_ssize_t one = RESIZED_SIDE * (Py_ssize_t)sizeof(int32_t);
    if (first->len != one || count->len != one || weights->len < one || weights->len % one) return 0;
    *axis = (ResizeAxis){first->buf, count->buf, weights->buf, (int)(weights->len / one)};
    return 1;
}

static PyObject *resize(PyObject *self, PyObject *args) {
    (void)self;
    int height, width, factor, done = RESIZE_DOES_NOT_FIT;
    ResizeAxis across, down;
    Py_buffer b[8] = {{0}};
    if (!PyArg_ParseTuple(args, "y*w*(iii)(y*y*y*)(y*y*y*):resize", &b[0], &b[1], &height, &width, &factor, &b[2], &b[3],
                          &b[4], &b[5], &b[6], &b[7])) {
        return NULL;
    }
    if (height > 0 && width > 0 && (int64_t)b[0].len == (int64_t)height * width * 3 &&
        b[1].len == RESIZED_SIDE * RESIZED_SIDE * 3 && axis_from(&across, &b[2], &b[3], &b[4]) &&
        axis_from(&down, &b[5], &b[6], &b[7])) {
        Py_BEGIN_ALLOW_THREADS
        done = resize_to_input(b[0].buf, height, width, factor, &across, &down, b[1].buf);
        Py_END_ALLOW_THREADS
    }
    for (int i = 0; i < 8; i++) PyBuffer_Release(&b[i]);
    if (done == RESIZE_NO_MEMORY) return PyErr_NoMemory();
    if (done != RESIZE_DONE) {
        PyErr_SetString(PyExc_ValueError, "resize: sizes of the arrays do not belong together");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"resize", resize, METH_VARARGS,
     "resize(pixels, out, (height, width, factor), (first, count, weights), (first, count, weights))\n--\n\n"
     "The weights are those of the row's direction, then of the column's; see runtime/preprocess/weights.py."},
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
