/* Python's door to quality.c and structure.c. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "gate.h"

static PyObject *failed(int done) {
    if (done == GATE_NO_MEMORY) return PyErr_NoMemory();
    PyErr_SetString(PyExc_ValueError, "gate: sizes of the arrays do not belong together");
    return NULL;
}

static PyObject *quality(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer image;
    GateMeasures m;
    int done = GATE_DOES_NOT_FIT;
    if (!PyArg_ParseTuple(args, "y*:quality", &image)) return NULL;
    if (image.len == GATE_SIDE * GATE_SIDE * 3) {
        Py_BEGIN_ALLOW_THREADS
        done = gate_measures(image.buf, &m);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&image);
    if (done != GATE_DONE) return failed(done);
    return Py_BuildValue("(ddddddddddddddd)", m.brightness, m.glare_share, m.field_share, m.fields, m.detail, m.edge_ratio,
                         m.redness, m.green_excess, m.dark_twentieth, m.dark_third, m.glare_spot, m.blank,
                         m.edge_lit, m.corner_lit, m.relief);
}

static PyObject *structure(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer pixels, image;
    StructureMeasures m;
    int height, width, done = GATE_DOES_NOT_FIT;
    if (!PyArg_ParseTuple(args, "y*(ii)y*:structure", &pixels, &height, &width, &image)) return NULL;
    if (height > 0 && width > 0 && (int64_t)pixels.len == (int64_t)height * width * 3 &&
        image.len == GATE_SIDE * GATE_SIDE * 3) {
        Py_BEGIN_ALLOW_THREADS
        done = structure_measures(pixels.buf, height, width, image.buf, &m);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&pixels);
    PyBuffer_Release(&image);
    if (done != GATE_DONE) return failed(done);
    return Py_BuildValue("(dddddddddddd)", m.comb_ratio, m.comb_offset, m.seam, m.repeated_rows, m.likeness, m.hull_share,
                         m.strokes, m.grains, m.blue_excess, m.spread, m.fine_strokes, m.own_colour);
}

static PyMethodDef methods[] = {
    {"quality", quality, METH_VARARGS, "quality(image)\n--\n\nThe measures of runtime/gate/plain.py, in their order."},
    {"structure", structure, METH_VARARGS, "structure(pixels, (height, width), image)\n--\n\nThe same."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_kernel", "The measures of the gate and of a frame's structure, compiled.", -1, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernel(void) {
    PyObject *made = PyModule_Create(&module);
    if (made != NULL && PyModule_AddStringConstant(made, "SOURCES", ROP_SOURCES) < 0) { /* see device/compiled.py */
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
