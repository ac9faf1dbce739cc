/* How many blocks the data of a progressive JPEG's scan of details lasts for: device/cameras/codecs/progressive.py.
 *
 * Only the codes are walked over (ITU-T T.81, G.1.2.2, G.1.2.3, F.2.2.3). Of the coefficients is kept which are not 0, 64
 * bits a block, since a scan that refines has a bit for each of them. Data and table may be anything.
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

/* A band of frequencies from `first` to `last`, and which coefficients are not 0; `known` is NULL where nobody asks. */
typedef struct {
    int first, last;
    uint64_t *known;
} Band;

/* One block, or a run of blocks with nothing (more), whose length is returned; TOO_FEW or NO_CODE, also for a coefficient
 * beyond the band, which libjpeg drops without a word. */
static int blocks_read(Bits *b, const Codes *c, const Band *band, int64_t block) {
    for (int k = band->first; k <= band->last; k++) {
        const int value = decoded(b, c);
        if (value < 0) return value;
        const int zeros = value >> 4, bits = value & 15;
        if (bits) {
            if (taken(b, bits) < 0) return TOO_FEW;
            if (k + zeros > band->last) return NO_CODE;
            if (band->known) band->known[block] |= UINT64_C(1) << (k + zeros);
        } else if (zeros < 15) {
            const int more = taken(b, zeros);
            return more < 0 ? more : (1 << zeros) + more;
        }
        k += zeros;
    }
    return 1;
}

/* Whether `blocks` are there, no run of nothing reaches beyond them, and one block more finds too few bits. */
static int ends(Bits *b, const Codes *c, Band *band, int64_t blocks) {
    int64_t block = 0;
    uint64_t *const known = band->known;
    while (block <= blocks) {
        if (block == blocks) band->known = NULL; /* it is none of the picture's */
        const int found = blocks_read(b, c, band, block);
        band->known = known;
        if (found < 0) return found == TOO_FEW && block == blocks;
        block += found;
    }
    return 0;
}

/* Of a block: its coefficients from `k` on to the end of the band. */
static uint64_t rest_of(const Band *band, int k) {
    return (UINT64_C(2) << band->last) - (UINT64_C(1) << k); /* 2 << 63 is 0, and the difference right */
}

/* How many bits are set; the builtin is a call where the processor's own instruction may not be used. */
static inline int set_bits(uint64_t of) {
    of -= of >> 1 & UINT64_C(0x5555555555555555);
    of = (of & UINT64_C(0x3333333333333333)) + (of >> 2 & UINT64_C(0x3333333333333333));
    return (int)(((of + (of >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F)) * UINT64_C(0x0101010101010101) >> 56);
}

/* A bit for each of these coefficients: 0, or TOO_FEW. */
static int corrected(Bits *b, uint64_t those) {
    int more = set_bits(those);
    for (; more > 24; more -= 24) {
        if (taken(b, 24) < 0) return TOO_FEW;
    }
    return more && taken(b, more) < 0 ? TOO_FEW : 0;
}

/* A bit for each coefficient from `k` on that is not 0, until `zeros` that are 0 were passed and one more is found: its
 * place, or one behind the band; TOO_FEW. */
static int refined(Bits *b, const Band *band, uint64_t known, int k, int zeros) {
    if (k > band->last) return k;
    const uint64_t of_band = rest_of(band, k);
    uint64_t open = ~known & of_band;
    for (; zeros > 0 && open; zeros--) open &= open - 1;
    const int found = open ? __builtin_ctzll(open) : band->last + 1;
    return corrected(b, known & of_band & (open ? (open & -open) - 1 : ~UINT64_C(0))) < 0 ? TOO_FEW : found;
}

/* Whether the data of a scan that adds a bit lasts for `blocks`, and no run of nothing reaches beyond them. */
static int refines(Bits *b, const Codes *c, const Band *band, int64_t blocks) {
    int64_t run = 0;
    for (int64_t block = 0; block < blocks; block++) {
        const uint64_t known = band->known[block];
        int k = band->first;
        while (!run && k <= band->last) {
            const int value = decoded(b, c);
            if (value < 0) return 0;
            const int zeros = value >> 4, bits = value & 15;
            if (bits > 1) return 0;
            if (!bits && zeros < 15) {
                const int more = taken(b, zeros);
                if (more < 0) return 0;
                run = ((int64_t)1 << zeros) + more;
                break;
            }
            if (bits && taken(b, 1) < 0) return 0;
            k = refined(b, band, known, k, zeros);
            if (k < 0 || (bits && k > band->last)) return 0;
            if (bits) band->known[block] |= UINT64_C(1) << k;
            k++;
        }
        if (run) {
            if (k <= band->last && corrected(b, known & rest_of(band, k)) < 0) return 0;
            run--;
        }
    }
    return run == 0;
}

static PyObject *ends_with(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer data, table, known;
    Band band;
    Codes codes;
    int refining, whole;
    if (!PyArg_ParseTuple(args, "y*y*iiw*p:ends_with", &data, &table, &band.first, &band.last, &known, &refining)) return NULL;
    const int64_t blocks = known.len / 8;
    band.known = known.buf;
    whole = 1 <= band.first && band.first <= band.last && band.last < 64 && read_codes(table.buf, table.len, &codes);
    if (whole) {
        Bits bits = {data.buf, (const uint8_t *)data.buf + data.len, 0, 0};
        Py_BEGIN_ALLOW_THREADS
        whole = refining ? refines(&bits, &codes, &band, blocks) : ends(&bits, &codes, &band, blocks);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&table);
    PyBuffer_Release(&known);
    return PyBool_FromLong(whole);
}

static PyMethodDef methods[] = {
    {"ends_with", ends_with, METH_VARARGS,
     "ends_with(data, table, first, last, known, refining)\n--\n\n"
     "Whether the data lasts for the blocks of `known`, 8 bytes each, and no more."},
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
