/* What both measures share: windows over square pictures of zeros and ones, and the parts that these have. */
#ifndef ROP_SQUARES_H
#define ROP_SQUARES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gate.h"

#define SEEN_MIN 600 /* pixels; of fewer it is not told */
#define INLINE static inline __attribute__((always_inline))

/* On x86-64 each measure is compiled a second time for AVX2 and chosen when it runs; `name` is an INLINE function. */
#if defined(__x86_64__)
#define FOR_THIS_CPU(name, parameters, arguments)                                                                      \
    static int name##_anywhere parameters { return name arguments; }                                                   \
    __attribute__((target("avx2"))) static int name##_avx2 parameters { return name arguments; }                       \
    static int name##_here parameters {                                                                                \
        return __builtin_cpu_supports("avx2") ? name##_avx2 arguments : name##_anywhere arguments;                     \
    }
#else
#define FOR_THIS_CPU(name, parameters, arguments)                                                                      \
    static int name##_here parameters { return name arguments; }
#endif

INLINE uint8_t larger(uint8_t one, uint8_t other) { return one > other ? one : other; }

INLINE uint8_t smaller(uint8_t one, uint8_t other) { return one < other ? one : other; }

/* All (or any) of `width` values `step` apart, from each place on: in place, by doubling. */
INLINE void window(uint8_t *values, size_t count, size_t step, int width, int all) {
    for (int covered = 1; covered < width;) {
        const int further = covered <= width - covered ? covered : width - covered;
        const size_t apart = (size_t)further * step;
        if (apart >= count) return;
        if (all) {
            for (size_t i = 0; i < count - apart; i++) values[i] &= values[i + apart];
        } else {
            for (size_t i = 0; i < count - apart; i++) values[i] |= values[i + apart];
        }
        covered += further;
    }
}

#define ROOM(side, reach) (((size_t)(side) + 2 * (reach)) * ((size_t)(side) + 2 * (reach)))

/* 1 where all (or any) of the square window of 2 * reach + 1 is; what lies outside counts as `outside`.
 * room: ROOM(side, reach) bytes. `to` may be `from`. */
INLINE void windowed(const uint8_t *from, uint8_t *to, uint8_t *room, int side, int reach, int outside, int all) {
    const size_t pitch = (size_t)side + 2 * (size_t)reach, count = pitch * pitch;
    memset(room, outside, count);
    for (int y = 0; y < side; y++) memcpy(room + (y + reach) * pitch + reach, from + (size_t)y * side, side);
    window(room, count, 1, 2 * reach + 1, all);
    window(room, count, pitch, 2 * reach + 1, all);
    for (int y = 0; y < side; y++) memcpy(to + (size_t)y * side, room + y * pitch, side);
}

/* Every `step`th pixel of every `step`th row. */
INLINE void thinned(const uint8_t *from, uint8_t *to, int side, int step) {
    for (int y = 0; y < side / step; y++) {
        for (int x = 0; x < side / step; x++) to[y * (side / step) + x] = from[(size_t)y * step * side + x * step];
    }
}

/* Memory for one of three kinds of work, kept when given back; several threads may ask. NULL where there is none. */
enum { ROOM_OF_QUALITY, ROOM_OF_FRAME, ROOM_OF_PICTURE };
uint8_t *room_taken(int kind, size_t bytes);
void room_given_back(int kind, uint8_t *room);

/* A run of ones in a row; those that touch by their sides have one root. */
typedef struct {
    int row, begin, end; /* the last pixel's, and one more */
    int root;            /* the number of a run */
    int area;            /* of the whole part, at its root */
} Run;

INLINE int root_of(Run *runs, int number) {
    while (runs[number].root != number) number = runs[number].root = runs[runs[number].root].root;
    return number;
}

/* The runs of a picture, row by row; runs: room for (side + 1) / 2 * side. Gives how many there are. */
INLINE int parts_of(const uint8_t *picture, int side, Run *runs) {
    int count = 0, above = 0, above_end = 0;
    for (int y = 0; y < side; y++) {
        const int first = count;
        for (int x = 0; x < side;) {
            if (!picture[y * side + x]) {
                x++;
                continue;
            }
            Run *run = &runs[count];
            *run = (Run){y, x, x, count, 0};
            while (x < side && picture[y * side + x]) x++;
            run->end = x;
            while (above < above_end && runs[above].end <= run->begin) above++;
            for (int i = above; i < above_end && runs[i].begin < run->end; i++) {
                runs[root_of(runs, i)].root = root_of(runs, count);
            }
            count++;
        }
        above = first;
        above_end = count;
    }
    for (int i = 0; i < count; i++) {
        runs[i].root = root_of(runs, i);
        runs[runs[i].root].area += runs[i].end - runs[i].begin;
    }
    return count;
}

/* Where the camera saw something: a channel over GATE_DARK. field: 0 or 1 for each of 256 x 256 pixels. */
INLINE void field_of_view(const uint8_t *image, uint8_t *field) {
    for (int i = 0; i < GATE_SIDE * GATE_SIDE; i++) {
        const uint8_t a = image[3 * i], b = image[3 * i + 1], c = image[3 * i + 2];
        const uint8_t ab = a > b ? a : b;
        field[i] = (ab > c ? ab : c) > GATE_DARK;
    }
}

/* What structure.c leaves to picture.c: the measures of what the networks see. GATE_DONE or GATE_NO_MEMORY. */
int picture_measures(const uint8_t *pixels, int height, int width, int apart, const uint8_t *image, StructureMeasures *to);

#endif
