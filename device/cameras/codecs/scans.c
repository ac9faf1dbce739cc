/* How many blocks the data of a progressive JPEG's first scan of details lasts for: device/cameras/codecs/progressive.py.
 *
 * Only the codes are walked over (ITU-T T.81, G.1.2.2, F.2.2.3); no coefficient is kept. Data and table may be anything.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

enum { LONGEST = 16, AHEAD = 8, TOO_FEW = -1, NO_CODE = -2 };

typedef struct {
    const uint8_t *at, *end;
    uint64_t bits; /* the lowest `count` are yet to be read */
    int count;
} Bits;

typedef struct {
    int32_t largest[LONGEST + 1], offset[LONGEST + 1]; /* code of a length, -1 where there is none; its first value's place */
    uint8_t length[1 << AHEAD], short_value[1 << AHEAD];
    uint8_t values[256];
} Codes;

/* 0xFF stands before a 0 where it is data, and before a marker, which ends the data, where not; more of it fills. */
static void fill(Bits *b) {
    while (b->count <= 48 && b->at < b->end) {
        const uint8_t byte = *b->at++;
        if (byte == 0xFF) {
            while (b->at < b->end && *b->at == 0xFF) b->at++;
            if (b->at == b->end || *b->at++ != 0) {
                b->at = b->end;
                return;
            }
        }
        b->bits = b->bits << 8 | byte;
        b->count += 8;
    }
}

/* So many bits as a number, or TOO_FEW. */
static int taken(Bits *b, int count) {
    if (b->count < count) fill(b);
    if (b->count < count) return TOO_FEW;
    b->count -= count;
    return (int)(b->bits >> b->count & ((1u << count) - 1));
}

/* The next code's value, TOO_FEW or NO_CODE. */
static int decoded(Bits *b, const Codes *c) {
    if (b->count < LONGEST) fill(b);
    const int missing = b->count < LONGEST ? LONGEST - b->count : 0;
    const int32_t next = (int32_t)((missing ? b->bits << missing : b->bits >> (b->count - LONGEST)) & 0xFFFF);
    int length = c->length[next >> (LONGEST - AHEAD)], value = c->short_value[next >> (LONGEST - AHEAD)];
    if (!length) {
        length = AHEAD + 1;
        while (length <= LONGEST && next >> (LONGEST - length) > c->largest[length]) length++;
        if (length > LONGEST) return missing ? TOO_FEW : NO_CODE;
        value = c->values[(next >> (LONGEST - length)) + c->offset[length]];
    }
    if (length > b->count) return TOO_FEW;
    b->count -= length;
    return value;
}

/* table: how many codes there are of each length, then their values. 0 where it is none. */
static int read_codes(const uint8_t *table, Py_ssize_t size, Codes *c) {
    int32_t code = 0, place = 0;
    memset(c, 0, sizeof *c);
    if (size < LONGEST) return 0;
    for (int length = 1; length <= LONGEST; length++, code *= 2) {
        const int many = table[length - 1];
        if (place + many > 256 || LONGEST + place + many > size || code + many > 1 << length) return 0;
        for (int i = 0; length <= AHEAD && i < many; i++) {
            const int spare = AHEAD - length;
            memset(c->length + ((code + i) << spare), length, (size_t)1 << spare);
            memset(c->short_value + ((code + i) << spare), table[LONGEST + place + i], (size_t)1 << spare);
        }
        c->offset[length] = place - code;
        code += many;
        place += many;
        c->largest[length] = many ? code - 1 : -1;
    }
    memcpy(c->values, table + LONGEST, (size_t)place);
    return 1;
}

/* One block, of which the band holds `wide` frequencies, or a run of blocks with nothing (more), whose length is returned;
 * TOO_FEW or NO_CODE. */
static int blocks_read(Bits *b, const Codes *c, int wide) {
    for (int k = 0; k < wide; k++) {
        const int value = decoded(b, c);
        if (value < 0) return value;
        const int zeros = value >> 4, bits = value & 15;
        if (bits) {
            if (taken(b, bits) < 0) return TOO_FEW;
        } else if (zeros < 15) {
            const int more = taken(b, zeros);
            return more < 0 ? more : (1 << zeros) + more;
        }
        k += zeros;
    }
    return 1;
}

/* Whether `blocks` are there, no run of nothing reaches beyond them, and one block more finds too few bits. */
static int ends(Bits *b, const Codes *c, int wide, int64_t blocks) {
    while (blocks >= 0) {
        const int found = blocks_read(b, c, wide);
        if (found < 0) return found == TOO_FEW && blocks == 0;
        blocks -= found;
    }
    return 0;
}

static PyObject *ends_with(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer data, table;
    int wide, whole;
    long long blocks;
    Codes codes;
    if (!PyArg_ParseTuple(args, "y*y*iL:ends_with", &data, &table, &wide, &blocks)) return NULL;
    whole = read_codes(table.buf, table.len, &codes);
    if (whole) {
        Bits bits = {data.buf, (const uint8_t *)data.buf + data.len, 0, 0};
        Py_BEGIN_ALLOW_THREADS
        whole = ends(&bits, &codes, wide, blocks);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&table);
    return PyBool_FromLong(whole);
}

static PyMethodDef methods[] = {
    {"ends_with", ends_with, METH_VARARGS,
     "ends_with(data, table, frequencies, blocks)\n--\n\n"
     "Whether the data lasts for so many blocks and no more."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_scans", "Scans of progressive JPEG, walked over.", -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__scans(void) {
    PyObject *made = PyModule_Create(&module);
    if (made != NULL && PyModule_AddStringConstant(made, "SOURCES", ROP_SOURCES) < 0) { /* see device/compiled.py */
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
