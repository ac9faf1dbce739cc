/* The resize of runtime/preprocess, equal to plain.py and weights.py bit by bit: whole-number reduction, rows, then columns.
 *
 * Thirty-two rows are taken at a time and turned on their side, so that a weighted sum of neighbouring pixels is a sum
 * of whole vectors. Four bytes lie in each 32-bit number of a vector; they are taken out by shifts where they are
 * needed, which is quicker than to keep them wide. Compilers do the rest: GCC's and clang's vector types, no instruction
 * is named. On x86-64 the same code is compiled a second time for AVX2 and chosen when it runs.
 *
 * Sums are exact in 32 bits: weights are 22-bit fractions that add up to one, pixels have 8 bits. To be compiled without
 * contraction to fused multiplications and additions, by which the last bit of a weight would be another.
 */
#include "resize.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SIDE RESIZED_SIDE
#define CHANNELS 3
#define OUT_ROW (SIDE * CHANNELS)
#define TURNED 32 /* rows that are turned together, a byte each */
#define RUN 16    /* bytes of a row that are turned together */
#define WEIGHT_BITS 22
#define KEEP_AT_LEAST 480 /* pixels of the shorter side, before factors are larger */
#define LARGEST_FACTOR 16 /* sums of 16 x 16 pixels still fit into 16 bits */
#define TALL 100          /* times as high as wide; of those that are taller see resize.h */

typedef uint32_t ints __attribute__((vector_size(TURNED)));
typedef uint8_t bytes __attribute__((vector_size(16)));

#ifdef __clang__
#define INTERLEAVE(a, b, from)                                                                                         \
    __builtin_shufflevector(a, b, from, 16 + from, from + 1, 17 + from, from + 2, 18 + from, from + 3, 19 + from,      \
                            from + 4, 20 + from, from + 5, 21 + from, from + 6, 22 + from, from + 7, 23 + from)
#else
#define INTERLEAVE(a, b, from)                                                                                         \
    __builtin_shuffle(a, b, (bytes){from, 16 + from, from + 1, 17 + from, from + 2, 18 + from, from + 3, 19 + from,    \
                                    from + 4, 20 + from, from + 5, 21 + from, from + 6, 22 + from, from + 7, 23 + from})
#endif

#define INLINE static inline __attribute__((always_inline))

/* Of each of 256 places the first pixel, how many, and their weights (`taps` are kept for each). */
typedef struct {
    int32_t first[SIDE], count[SIDE];
    uint32_t *weights;
    int taps;
    double scale, width; /* pixels from place to place, and to either side of one that count */
} Axis;

typedef struct {
    const uint8_t *pixels;
    int height, width; /* of the frame */
    int factor;        /* pixels that become one before anything else */
    int rows, columns; /* after that */
    Axis across, down;
    uint8_t *out;      /* [256, 256, 3] */
    uint16_t *sums;    /* [3 * width + 8]: `factor` rows added up */
    uint8_t *strip;    /* [32, row]: rows of the reduced frame */
    uint8_t *turned;   /* [row, 32]: the same on its side */
    uint8_t *summed;   /* [768, 32]: 256 wide, still on its side */
    uint8_t *narrow;   /* [rows rounded up to 32, 768]: 256 wide, still as high as the reduced frame */
    size_t row;        /* bytes of a strip's row: a multiple of 16 */
} Work;

/* Sixteen runs of sixteen bytes to columns: four times, the first half's bytes between the second half's. */
INLINE void turn(const uint8_t *from, size_t from_step, uint8_t *to, size_t to_step) {
    bytes a[RUN], b[RUN];
    for (int i = 0; i < RUN; i++) memcpy(&a[i], from + i * from_step, RUN);
    for (int pass = 0; pass < 4; pass++) {
        for (int i = 0; i < RUN / 2; i++) {
            b[2 * i] = INTERLEAVE(a[i], a[i + RUN / 2], 0);
            b[2 * i + 1] = INTERLEAVE(a[i], a[i + RUN / 2], 8);
        }
        memcpy(a, b, sizeof a);
    }
    for (int i = 0; i < RUN; i++) memcpy(to + i * to_step, &a[i], RUN);
}

/* 32 weighted sums side by side: `count` runs of 32 bytes, `step` apart, by as many weights. */
INLINE void weigh(const uint8_t *from, size_t step, const uint32_t *weights, int count, uint8_t *to) {
    ints v, a = {0}, b, c, d;
    a += 1 << (WEIGHT_BITS - 1);
    b = c = d = a;
    for (int i = 0; i < count; i++, from += step) {
        memcpy(&v, from, sizeof v);
        a += (v & 255) * weights[i];
        b += ((v >> 8) & 255) * weights[i];
        c += ((v >> 16) & 255) * weights[i];
        d += (v >> 24) * weights[i];
    }
    v = (a >> WEIGHT_BITS) | ((b >> WEIGHT_BITS) << 8) | ((c >> WEIGHT_BITS) << 16) | ((d >> WEIGHT_BITS) << 24);
    memcpy(to, &v, sizeof v);
}

/* floor(2^24 / pixels): what a sum is multiplied by to be their mean in the upper bits. */
INLINE uint32_t share(int pixels) { return (uint32_t)((1 << 24) / pixels); }

/* One row of the reduced frame: means of factor x factor pixels, of fewer at the right and the lower edge. */
INLINE void reduce(const Work *w, int row, uint8_t *restrict to) {
    const int factor = w->factor, high = (row + 1) * factor <= w->height ? factor : w->height - row * factor;
    const size_t length = (size_t)w->width * CHANNELS;
    const uint8_t *restrict from = w->pixels + (size_t)row * factor * length;
    uint16_t *restrict sums = w->sums;
    int y = high >= 4 ? 4 : high >= 2 ? 2 : 1;
    const uint8_t *restrict b = from + length, *restrict c = b + length, *restrict d = c + length;
    if (y == 4) {
        for (size_t i = 0; i < length; i++) sums[i] = (uint16_t)(from[i] + b[i] + c[i] + d[i]);
    } else if (y == 2) {
        for (size_t i = 0; i < length; i++) sums[i] = (uint16_t)(from[i] + b[i]);
    } else {
        for (size_t i = 0; i < length; i++) sums[i] = from[i];
    }
    for (; y < high; y++) {
        const uint8_t *restrict next = from + y * length;
        for (size_t i = 0; i < length; i++) sums[i] = (uint16_t)(sums[i] + next[i]);
    }
    const uint32_t multiplier = share(high * factor), half = (uint32_t)(high * factor / 2);
    const int whole = w->width / factor, left = w->width - whole * factor;
    uint16_t *together = sums;
    for (int x = 0; x < whole; x++) { /* four sums in one number: the fourth is the next pixel's and not kept */
        uint64_t total, one;
        const uint16_t *at = sums + (size_t)x * factor * CHANNELS;
        memcpy(&total, at, 8);
        for (int i = 1; i < factor; i++) {
            memcpy(&one, at + i * CHANNELS, 8);
            total += one;
        }
        memcpy(together + (size_t)x * CHANNELS, &total, 8); /* far from what is still to be read: factor is over 1 */
    }
    for (int i = 0; i < whole * CHANNELS; i++) to[i] = (uint8_t)(((together[i] + half) * multiplier) >> 24);
    if (left) {
        const uint16_t *at = sums + (size_t)whole * factor * CHANNELS;
        const uint32_t edge = share(high * left), edge_half = (uint32_t)(high * left / 2);
        for (int c = 0; c < CHANNELS; c++) {
            uint32_t total = edge_half;
            for (int i = 0; i < left; i++) total += at[i * CHANNELS + c];
            to[whole * CHANNELS + c] = (uint8_t)((total * edge) >> 24);
        }
    }
}

/* 32 rows, from `row` on, made 256 wide. */
INLINE void across(const Work *w, int row) {
    const int here = row + TURNED <= w->rows ? TURNED : w->rows - row;
    const size_t length = (size_t)w->columns * CHANNELS;
    const uint8_t *from = w->strip;
    size_t step = w->row, begin = 0;
    if (w->factor > 1) {
        for (int i = 0; i < here; i++) reduce(w, row + i, w->strip + i * w->row);
    } else if (here == TURNED) { /* whole runs straight from the frame; what is left of each row by the strip */
        from = w->pixels + (size_t)row * length;
        step = length;
        begin = length / RUN * RUN;
        for (int i = 0; i < here; i++) memcpy(w->strip + i * w->row + begin, from + i * length + begin, length - begin);
    } else {
        for (int i = 0; i < here; i++) memcpy(w->strip + i * w->row, w->pixels + (row + i) * length, length);
    }
    for (size_t x = 0; x < length; x += RUN) {
        if (begin && x == begin) from = w->strip, step = w->row;
        turn(from + x, step, w->turned + x * TURNED, TURNED);
        turn(from + x + RUN * step, step, w->turned + x * TURNED + RUN, TURNED);
    }
    for (int x = 0; x < SIDE; x++) {
        const uint32_t *weights = w->across.weights + (size_t)x * w->across.taps;
        const uint8_t *first = w->turned + (size_t)w->across.first[x] * CHANNELS * TURNED;
        for (int c = 0; c < CHANNELS; c++) {
            uint8_t *to = w->summed + (x * CHANNELS + c) * TURNED;
            weigh(first + c * TURNED, CHANNELS * TURNED, weights, w->across.count[x], to);
        }
    }
    for (int x = 0; x < OUT_ROW; x += RUN) {
        uint8_t *to = w->narrow + (size_t)row * OUT_ROW + x;
        turn(w->summed + x * TURNED, TURNED, to, OUT_ROW);
        turn(w->summed + x * TURNED + RUN, TURNED, to + RUN * OUT_ROW, OUT_ROW);
    }
}

/* One row of the result from the rows that are 256 wide. */
INLINE void down(const Work *w, int y) {
    const uint32_t *weights = w->down.weights + (size_t)y * w->down.taps;
    const uint8_t *from = w->narrow + (size_t)w->down.first[y] * OUT_ROW;
    for (int x = 0; x < OUT_ROW; x += TURNED) {
        weigh(from + x, OUT_ROW, weights, w->down.count[y], w->out + (size_t)y * OUT_ROW + x);
    }
}

INLINE void resize_all(const Work *w) {
    for (int row = 0; row < w->rows; row += TURNED) across(w, row);
    for (int y = 0; y < SIDE; y++) down(w, y);
}

static void resize_anywhere(const Work *w) { resize_all(w); }
#if defined(__x86_64__)
__attribute__((target("avx2"))) static void resize_avx2(const Work *w) { resize_all(w); }
#endif

/* A direction of which the picture fills the first `reach` pixels: before there is memory for the weights, and then. */
static void measure(Axis *axis, double reach) {
    axis->scale = (double)(float)reach / SIDE;
    axis->width = axis->scale > 1.0 ? axis->scale : 1.0;
    const int whole = (int)axis->width;
    axis->taps = (whole + (whole < axis->width)) * 2 + 1;
}

/* weights.py, operation by operation: their order is part of the contract. */
static void fill(Axis *axis, int pixels) {
    const double width = axis->width, narrow = 1.0 / width;
    for (int place = 0; place < SIDE; place++) {
        const double center = (place + 0.5) * axis->scale;
        const int begin = (int)(center - width + 0.5), end = (int)(center + width + 0.5);
        const int first = begin > 0 ? begin : 0, count = (end < pixels ? end : pixels) - first;
        uint32_t *const weights = axis->weights + (size_t)place * axis->taps;
        double total = 0;
        axis->first[place] = first;
        axis->count[place] = count;
        for (int pass = 0; pass < 2; pass++) { /* their sum, then each as a share of it */
            for (int tap = 0; tap < axis->taps; tap++) {
                const double distance = fabs((tap + first - center + 0.5) * narrow);
                const double part = tap < count && distance < 1.0 ? 1.0 - distance : 0.0;
                if (pass) {
                    weights[tap] = (uint32_t)(0.5 + part / total * (1 << WEIGHT_BITS));
                } else {
                    total = total + part;
                }
            }
        }
    }
}

/* Memory in one piece; NULL where there is none. */
static void *scratch(Work *w) {
    w->row = ((size_t)w->columns * CHANNELS + TURNED - 1) / TURNED * TURNED;
    const size_t high = ((size_t)w->rows + TURNED - 1) / TURNED * TURNED;
    const size_t parts[] = {w->row * TURNED, w->row * TURNED, OUT_ROW * TURNED, high * OUT_ROW,
                            (size_t)w->across.taps * SIDE * sizeof(uint32_t), (size_t)w->down.taps * SIDE * sizeof(uint32_t),
                            ((size_t)w->width * CHANNELS + 8) * sizeof(uint16_t)};
    size_t total = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) total += parts[i];
    uint8_t *memory = malloc(total);
    if (!memory) return NULL;
    w->strip = memory;
    w->turned = w->strip + parts[0];
    w->summed = w->turned + parts[1];
    w->narrow = w->summed + parts[2];
    w->across.weights = (uint32_t *)(w->narrow + parts[3]);
    w->down.weights = w->across.weights + parts[4] / sizeof(uint32_t);
    w->sums = (uint16_t *)(w->down.weights + parts[5] / sizeof(uint32_t));
    memset(w->strip, 0, parts[0]);
    memset(w->sums, 0, parts[6]);
    return memory;
}

static int fits(Work *w) {
    if (w->height < 1 || w->width < 1 || w->height > INT32_MAX / 2 || w->width > INT32_MAX / 64) return 0;
    if (w->height > TALL * (int64_t)w->width) return 0;
    const int least = (w->height < w->width ? w->height : w->width) / KEEP_AT_LEAST;
    w->factor = least < 1 ? 1 : least > LARGEST_FACTOR ? LARGEST_FACTOR : least;
    w->rows = (w->height + w->factor - 1) / w->factor;
    w->columns = (w->width + w->factor - 1) / w->factor;
    measure(&w->across, (double)w->width / w->factor);
    measure(&w->down, (double)w->height / w->factor);
    return 1;
}

int resize_to_input(const uint8_t *pixels, int height, int width, uint8_t *out) {
    Work w = {0};
    w.pixels = pixels;
    w.out = out;
    w.height = height;
    w.width = width;
    if (!fits(&w)) return RESIZE_DOES_NOT_FIT;
    void *memory = scratch(&w);
    if (!memory) return RESIZE_NO_MEMORY;
    fill(&w.across, w.columns);
    fill(&w.down, w.rows);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        resize_avx2(&w);
    } else {
        resize_anywhere(&w);
    }
#else
    resize_anywhere(&w);
#endif
    free(memory);
    return RESIZE_DONE;
}
