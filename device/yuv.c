/* YUV to RGB, whole or reduced to means of 2 x 2: device/pixels.py in C, equal to its `_plain` bit by bit.
 *
 * Levels are kept in 1/32, so that luma and chroma add up within 16 bits and compilers make whole vectors of them; no
 * instruction is named. On x86-64 the same code is compiled a second time for AVX2 and chosen when it runs. Each pixel is
 * cut to 0..255 before means are taken, as a converter that makes the whole picture does.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>

#define INLINE static inline __attribute__((always_inline))

enum { NV12, YUYV, UYVY };

/* By what luma and chroma, times 256, are multiplied (then shifted by 16), and what is added to red, green, blue. */
typedef struct {
    int luma, red_cr, green_cb, green_cr, blue_cb, red, green, blue;
} Weights;

typedef struct {
    const uint8_t *data;
    uint8_t *out; /* RGB [height, width, 3], or half of each */
    size_t stride, chroma_at;
    int layout, width, height, halve;
    Weights by;
    int16_t *levels, *red, *green, *blue; /* [width] each: of a row's luma, and what its chroma adds */
    uint8_t *planes;                      /* [2, 3, width]: two rows, red, green and blue apart */
    uint8_t *parted;                      /* [2, width]: a row's luma and chroma apart */
} Work;

typedef uint16_t two_bytes __attribute__((aligned(1), may_alias));

/* The upper half of 16 x 16 bits: one instruction for many values. */
INLINE int16_t upper_half(int16_t value, int16_t weight) { return (int16_t)((value * weight) >> 16); }
INLINE int16_t upper_half_unsigned(uint16_t value, uint16_t weight) {
    return (int16_t)(uint16_t)(((uint32_t)value * weight) >> 16);
}

/* Short loops over whole rows, which compilers make vectors of. */

/* What Cb Cr pairs add to the two pixels of each. 256 x (chroma - 128): the byte in the upper half, its first bit turned. */
INLINE void chroma(const Work *w, const two_bytes *restrict pairs) {
    int16_t *restrict red = w->red, *restrict green = w->green, *restrict blue = w->blue;
    const int half = w->width / 2;
    const int16_t red_cr = (int16_t)w->by.red_cr, green_cb = (int16_t)w->by.green_cb, green_cr = (int16_t)w->by.green_cr;
    const int16_t blue_cb = (int16_t)w->by.blue_cb, to_red = (int16_t)w->by.red, to_green = (int16_t)w->by.green;
    const int16_t to_blue = (int16_t)w->by.blue;
    for (int i = 0; i < half; i++) {
        const int16_t cb = (int16_t)(uint16_t)(pairs[i] << 8 ^ 0x8000), cr = (int16_t)(uint16_t)((pairs[i] & 0xff00) ^ 0x8000);
        const int16_t of_red = (int16_t)(upper_half(cr, red_cr) + to_red);
        const int16_t of_green = (int16_t)(upper_half(cb, green_cb) + upper_half(cr, green_cr) + to_green);
        const int16_t of_blue = (int16_t)(upper_half(cb, blue_cb) + to_blue);
        red[2 * i] = red[2 * i + 1] = of_red;
        green[2 * i] = green[2 * i + 1] = of_green;
        blue[2 * i] = blue[2 * i + 1] = of_blue;
    }
}

INLINE void luma(const Work *w, const uint8_t *restrict at) {
    int16_t *restrict levels = w->levels;
    const int width = w->width;
    const uint16_t by = (uint16_t)w->by.luma;
    for (int i = 0; i < width; i++) levels[i] = upper_half_unsigned((uint16_t)(at[i] << 8), by);
}

/* A row of YUYV or UYVY: its luma, and its chroma pairs. */
INLINE void split(const two_bytes *restrict at, uint8_t *restrict first, uint8_t *restrict second, int width) {
    for (int i = 0; i < width; i++) first[i] = (uint8_t)at[i];
    for (int i = 0; i < width; i++) second[i] = (uint8_t)(at[i] >> 8);
}

INLINE void plane(const int16_t *restrict levels, const int16_t *restrict added, uint8_t *restrict to, int width) {
    for (int i = 0; i < width; i++) {
        int16_t whole = (int16_t)((int16_t)(levels[i] + added[i]) >> 5);
        whole = whole < 0 ? 0 : whole;
        to[i] = (uint8_t)(whole > 255 ? 255 : whole);
    }
}

INLINE void mean(const uint8_t *restrict upper, const uint8_t *restrict lower, uint8_t *restrict to, int half) {
    for (int i = 0; i < half; i++) {
        to[i] = (uint8_t)((upper[2 * i] + upper[2 * i + 1] + lower[2 * i] + lower[2 * i + 1] + 2) >> 2);
    }
}

INLINE void interleave(const uint8_t *restrict red, const uint8_t *restrict green, const uint8_t *restrict blue,
                       uint8_t *restrict to, int count) {
    for (int i = 0; i < count; i++) {
        to[3 * i] = red[i];
        to[3 * i + 1] = green[i];
        to[3 * i + 2] = blue[i];
    }
}

/* One row's luma with the chroma at hand. */
INLINE void finish(const Work *w, int row) {
    const int width = w->width;
    uint8_t *const upper = w->planes, *const lower = upper + 3 * (size_t)width;
    uint8_t *const mine = w->halve && row % 2 ? lower : upper;
    plane(w->levels, w->red, mine, width);
    plane(w->levels, w->green, mine + width, width);
    plane(w->levels, w->blue, mine + 2 * (size_t)width, width);
    if (!w->halve) {
        interleave(mine, mine + width, mine + 2 * (size_t)width, w->out + (size_t)row * (size_t)width * 3, width);
    } else if (row % 2) {
        for (int c = 0; c < 3; c++) { /* the row's levels are not needed any more */
            mean(upper + c * (size_t)width, lower + c * (size_t)width, (uint8_t *)w->levels + c * (size_t)(width / 2), width / 2);
        }
        const uint8_t *const means = (const uint8_t *)w->levels;
        interleave(means, means + width / 2, means + width, w->out + (size_t)(row / 2) * (size_t)(width / 2) * 3, width / 2);
    }
}

INLINE void convert_all(const Work *w) {
    const int is_nv12 = w->layout == NV12, luma_first = w->layout == YUYV;
    for (int row = 0; row < w->height; row++) {
        const uint8_t *at = w->data + (size_t)row * w->stride;
        if (!is_nv12) {
            uint8_t *const lumas = w->parted, *const pairs = lumas + w->width;
            split((const two_bytes *)at, luma_first ? lumas : pairs, luma_first ? pairs : lumas, w->width);
            chroma(w, (const two_bytes *)pairs);
            at = lumas;
        } else if (row % 2 == 0) {
            chroma(w, (const two_bytes *)(w->data + w->chroma_at + (size_t)(row / 2) * w->stride));
        }
        luma(w, at);
        finish(w, row);
    }
}

static void convert_anywhere(const Work *w) { convert_all(w); }
#if defined(__x86_64__)
__attribute__((target("avx2"))) static void convert_avx2(const Work *w) { convert_all(w); }
#endif

/* Whether every byte that will be read or written is there. */
static int fits(const Work *w, Py_ssize_t in, Py_ssize_t out) {
    if (w->layout < NV12 || w->layout > UYVY || w->width < 2 || w->height < 1 || w->width > 65536 || w->height > 65536) return 0;
    if (w->width % 2 || ((w->layout == NV12 || w->halve) && w->height % 2)) return 0;
    const int64_t row = w->layout == NV12 ? w->width : 2 * (int64_t)w->width, most = (int64_t)1 << 40;
    if ((int64_t)w->stride < row || (int64_t)w->stride > most / 65536 || (int64_t)w->chroma_at > most) return 0;
    if ((int64_t)w->stride * (w->height - 1) + row > in) return 0;
    if (w->layout == NV12 && (int64_t)w->chroma_at + (int64_t)w->stride * (w->height / 2 - 1) + row > in) return 0;
    return out == (Py_ssize_t)w->width * w->height * 3 / (w->halve ? 4 : 1);
}

static PyObject *convert(PyObject *self, PyObject *args) {
    (void)self;
    Work w = {0};
    Py_buffer data, out;
    Py_ssize_t stride, chroma_at;
    Weights *by = &w.by;
    if (!PyArg_ParseTuple(args, "y*w*(iiinnp)(iiiiiiii):convert", &data, &out, &w.layout, &w.width, &w.height, &stride,
                          &chroma_at, &w.halve, &by->luma, &by->red_cr, &by->green_cb, &by->green_cr, &by->blue_cb, &by->red,
                          &by->green, &by->blue)) {
        return NULL;
    }
    w.data = data.buf;
    w.out = out.buf;
    w.stride = (size_t)stride;
    w.chroma_at = (size_t)chroma_at;
    const int good = stride > 0 && chroma_at >= 0 && fits(&w, data.len, out.len);
    const size_t width = good ? (size_t)w.width : 0;
    int16_t *memory = good ? malloc(width * (4 * sizeof *memory + 8)) : NULL;
    if (memory) {
        w.levels = memory;
        w.red = memory + width;
        w.green = memory + 2 * width;
        w.blue = memory + 3 * width;
        w.planes = (uint8_t *)(memory + 4 * width);
        w.parted = w.planes + 6 * width;
        Py_BEGIN_ALLOW_THREADS
#if defined(__x86_64__)
        if (__builtin_cpu_supports("avx2")) {
            convert_avx2(&w);
        } else {
            convert_anywhere(&w);
        }
#else
        convert_anywhere(&w);
#endif
        Py_END_ALLOW_THREADS
        free(memory);
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&out);
    if (!good) {
        PyErr_SetString(PyExc_ValueError, "convert: sizes of the picture and the arrays do not belong together");
        return NULL;
    }
    if (!memory) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"convert", convert, METH_VARARGS,
     "convert(data, out, (layout, width, height, stride, chroma_at, halve), weights)\n--\n\n"
     "layout: 0 NV12, 1 YUYV, 2 UYVY. weights: those of device/pixels.py."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_yuv", "YUV to RGB, compiled.", -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__yuv(void) {
    PyObject *made = PyModule_Create(&module);
    if (made != NULL && PyModule_AddStringConstant(made, "SOURCES", ROP_SOURCES) < 0) { /* see device/compiled.py */
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
