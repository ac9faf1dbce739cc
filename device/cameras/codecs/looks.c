/* Python's door to seams.c and further.c. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "looks.h"

/* Pixels as Python handed them over: uint8 [height, width, 3]. */
static int taken(PyObject *args, const char *format, Py_buffer *pixels, int *height, int *width, double *more) {
    if (!PyArg_ParseTuple(args, format, pixels, height, width, more)) return 0;
    if (*height > 0 && *width > 0 && (int64_t)pixels->len / 3 == (int64_t)*height * *width && pixels->len % 3 == 0) return 1;
    PyBuffer_Release(pixels);
    PyErr_SetString(PyExc_ValueError, "looks: size and pixels do not belong together");
    return 0;
}

static PyObject *flat(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer pixels;
    int height, width, found, first, last;
    if (!taken(args, "y*(ii):flat", &pixels, &height, &width, NULL)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    found = seams_flat(pixels.buf, height, width, &first, &last);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&pixels);
    if (!found) Py_RETURN_NONE;
    return Py_BuildValue("(ii)", first, last);
}

static PyObject *score(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer pixels;
    int height, width, done;
    double found, quantum;
    if (!taken(args, "y*(ii)d:score", &pixels, &height, &width, &quantum)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    done = seams_score(pixels.buf, height, width, quantum, &found);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&pixels);
    return done ? PyFloat_FromDouble(found) : PyErr_NoMemory();
}

static PyObject *pictures(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer data;
    long long end, width, height;
    int found = 0;
    if (!PyArg_ParseTuple(args, "y*L(LL):pictures", &data, &end, &width, &height)) return NULL;
    if (end >= 0) {
        Py_BEGIN_ALLOW_THREADS
        found = further_pictures(data.buf, data.len, end, width, height);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&data);
    if (!found) return PyErr_Format(PyExc_ValueError, "looks: end is %lld, expected 0 or more", end);
    return PyLong_FromLong(found);
}

static PyMethodDef methods[] = {
    {"flat", flat, METH_VARARGS, "flat(pixels, (height, width))\n--\n\nFirst and last of rows of one flat colour, or None."},
    {"score", score, METH_VARARGS, "score(pixels, (height, width), quantum)\n--\n\nHow much the strongest seam stands out."},
    {"pictures", pictures, METH_VARARGS, "pictures(data, end, (width, height))\n--\n\nHow many pictures a file holds."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_looks", "What is looked for in a picture's pixels and behind its file.", -1, methods, NULL, NULL, NULL,
    NULL,
};

PyMODINIT_FUNC PyInit__looks(void) {
    PyObject *made = PyModule_Create(&module);
    if (made != NULL && PyModule_AddStringConstant(made, "SOURCES", ROP_SOURCES) < 0) { /* see device/compiled.py */
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
