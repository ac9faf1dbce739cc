/* Damage that no decoder tells: rows of one flat colour, or a seam along a row of blocks. seams.py has the reasons, and the
 * same in NumPy: the same rows, and a score equal but for the last bits. */
#include "looks.h"

#include <stddef.h>
#include <stdlib.h>

/* The first three are levels: darker than an eye, as white as paper, and what a seam's mean step is at most. */
enum { DARK = 24, WHITE = 245, FLAT_ROWS = 8, COLUMNS = 160, CLIP = 32, LEAST_HEIGHT = 48, LEAST_WIDTH = 32 };
#define SHIFT_MAX 0.9
#define OVER_FEW 1.6
#define OVER_MOST 4.0
#define OF_QUANTUM 1.2
#define ROUGHNESS_MAX 2.5

static int apart(const uint8_t *one, const uint8_t *other, int channel) { return abs(one[channel] - other[channel]); }

static int alike(const uint8_t *one, const uint8_t *other) {
    return apart(one, other, 0) <= 1 && apart(one, other, 1) <= 1 && apart(one, other, 2) <= 1;
}

static int larger(int one, int other) { return one > other ? one : other; }

static int brightest(const uint8_t *pixel) { return larger(larger(pixel[0], pixel[1]), pixel[2]); }

static int is_flat(const uint8_t *row, int width) {
    const int steps[] = {larger(width / 16, 1), 1}; /* far ones first: most rows end there */
    for (int i = 0; i < 2; i++) {
        for (int x = steps[i]; x < width; x += steps[i]) {
            if (!alike(row + 3 * (size_t)x, row + 3 * (size_t)(x - steps[i]))) return 0;
        }
    }
    return 1;
}

/* Whether what is seen above a band goes on below it, so that the band lies over the picture. */
static int goes_on(const uint8_t *above, const uint8_t *below, int width) {
    int64_t steps = 0, levels = 0, seen = 0;
    for (int x = 0; x < width; x++, above += 3, below += 3) {
        if (brightest(above) <= DARK || brightest(below) <= DARK) continue;
        seen++;
        for (int c = 0; c < 3; c++) {
            steps += apart(above, below, c);
            levels += above[c];
        }
    }
    return (double)seen >= 0.3 * width && (double)steps < 0.25 * (double)levels;
}

int seams_flat(const uint8_t *pixels, int height, int width, int *first, int *last) {
    if (height < LEAST_HEIGHT || width < LEAST_WIDTH) return 0;
    const size_t row = (size_t)width * 3;
    /* A band at the top and one at the bottom are a frame around the picture. */
    const int framed = is_flat(pixels, width) && is_flat(pixels + (size_t)(height - 1) * row, width);
    for (int begin = 0, end; begin < height; begin = end) {
        const uint8_t *const at = pixels + (size_t)begin * row;
        end = begin + 1;
        if (!is_flat(at, width)) continue;
        while (end < height && alike(pixels + (size_t)end * row, pixels + (size_t)(end - 1) * row) &&
               is_flat(pixels + (size_t)end * row, width)) {
            end++;
        }
        const int level = brightest(at), high = end - begin;
        const int damaged = begin > 0 && end < height ? goes_on(at - row, pixels + (size_t)end * row, width)
                                                      : high >= FLAT_ROWS && high < height && DARK < level && level < WHITE && !framed;
        if (damaged) {
            *first = begin;
            *last = end - 1;
            return 1;
        }
    }
    return 0;
}

/* Rows are taken in pairs, since interlaced cameras give even and odd rows another brightness; of about so many columns. */
typedef struct {
    int columns, count;
    int16_t *values; /* [count, 3, columns]: sums of two rows */
} Pairs;

/* What is found at every fourth pair from one on. */
typedef struct {
    double *shift, *rough; /* [count]: the largest sum of steps, and the mean step in levels */
    int count;
} Found;

static int clipped(int step, int most) { return step > most ? most : step < -most ? -most : step; }

/* Four times the step in level after a pair, less what the slope there makes. */
static int step_at(const int16_t *pair, ptrdiff_t row) { return pair[-row] - pair[2 * row] + 3 * (pair[row] - pair[0]); }

/* Largest |sum| of clipped steps from either side over a quarter of the row or more. sums: [columns]. */
static int shift_of(const int16_t *channel, ptrdiff_t row, int columns, int *sums) {
    const int quarter = columns / 4;
    int sum = 0, most = 0;
    for (int x = 0; x < columns; x++) sums[x] = sum += clipped(step_at(channel + x, row), CLIP);
    for (int x = quarter; x < columns; x++) most = larger(most, abs(sums[x]));
    for (int x = 0; x < columns - quarter; x++) most = larger(most, abs(sum - sums[x]));
    return most;
}

static void look(const Pairs *pairs, int first, int *sums, Found *to) {
    const ptrdiff_t row = 3 * (ptrdiff_t)pairs->columns;
    to->count = 0;
    for (int pair = first; pair + 2 < pairs->count; pair += 4) {
        const int16_t *const at = pairs->values + pair * row;
        int most = 0;
        int64_t rough = 0;
        for (int c = 0; c < 3; c++) most = larger(most, shift_of(at + c * (ptrdiff_t)pairs->columns, row, pairs->columns, sums));
        for (ptrdiff_t i = 0; i < row; i++) rough += abs(clipped(step_at(at + i, row), 4 * CLIP));
        to->shift[to->count] = most;
        to->rough[to->count++] = (double)rough / (double)row / 4;
    }
}

static void fill(const uint8_t *pixels, int width, int stride, const Pairs *to) {
    int16_t *at = to->values;
    for (int pair = 0; pair < to->count; pair++) {
        const uint8_t *const one = pixels + (size_t)pair * 2 * (size_t)width * 3, *const other = one + (size_t)width * 3;
        for (int c = 0; c < 3; c++) {
            size_t from = (size_t)(stride / 2) * 3 + (size_t)c;
            for (int x = 0; x < to->columns; x++, from += 3 * (size_t)stride) *at++ = (int16_t)(one[from] + other[from]);
        }
    }
}

static double most_of(double one, double other) { return one > other ? one : other; }
static double least_of(double one, double other) { return one < other ? one : other; }

static int by_size(const void *one, const void *other) {
    const double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

/* Of sorted values. */
static double quantile(const double *values, int count, double share) {
    const double at = share * (count - 1);
    const int below = (int)at, above = below + 1 < count ? below + 1 : below;
    return values[below] + (at - below) * (values[above] - values[below]);
}

static double score_of(Found *blocks, Found *between, int columns, double quantum) {
    qsort(blocks->shift, (size_t)blocks->count, sizeof(double), by_size);
    qsort(blocks->rough, (size_t)blocks->count, sizeof(double), by_size);
    double plain_shift = 0, plain_rough = 0;
    for (int i = 0; i < between->count; i++) {
        plain_shift = most_of(plain_shift, between->shift[i]);
        plain_rough = most_of(plain_rough, between->rough[i]);
    }
    const double largest = blocks->shift[blocks->count - 1], usual = quantile(blocks->rough, blocks->count, 0.5);
    const double step = largest / columns / 4 - 1.5 * (plain_shift / columns / 4);
    double shift = step / SHIFT_MAX;
    if (shift > 1) { /* strong compression makes each row of blocks a step */
        const double few = OVER_FEW * blocks->shift[blocks->count - 3], most = OVER_MOST * quantile(blocks->shift, blocks->count, 0.75);
        const double rounded = quantum > 0 ? least_of(1.0, OF_QUANTUM * step / quantum) : 1.0;
        shift = least_of(shift, largest / most_of(least_of(few, most), 1.0) * rounded);
    }
    const double torn = blocks->rough[blocks->count - 1] - most_of(0.0, plain_rough - usual);
    return most_of(shift, torn / (usual + 0.5) / ROUGHNESS_MAX);
}

int seams_score(const uint8_t *pixels, int height, int width, double quantum, double *score) {
    *score = 0;
    if (height < LEAST_HEIGHT || width < LEAST_WIDTH) return 1;
    const int stride = larger(width / COLUMNS, 1);
    Pairs pairs = {(width - stride / 2 + stride - 1) / stride, height / 8 * 4, NULL};
    const size_t places = (size_t)pairs.count / 4;
    pairs.values = malloc((size_t)pairs.count * 3 * (size_t)pairs.columns * sizeof *pairs.values);
    int *const sums = malloc((size_t)pairs.columns * sizeof *sums);
    double *const memory = malloc(4 * places * sizeof *memory);
    const int enough = pairs.values && sums && memory;
    if (enough) {
        Found blocks = {memory, memory + places, 0}, between = {memory + 2 * places, memory + 3 * places, 0};
        fill(pixels, width, stride, &pairs);
        look(&pairs, 3, sums, &blocks);
        look(&pairs, 5, sums, &between);
        *score = score_of(&blocks, &between, pairs.columns, quantum);
    }
    free(memory);
    free(sums);
    free(pairs.values);
    return enough;
}
