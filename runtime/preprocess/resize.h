/* The resize to the networks' input, for Python (kernel.c) and for programs in C and C++ (runtime/native). */
#ifndef ROP_RESIZE_H
#define ROP_RESIZE_H

#include <stdint.h>

#define RESIZED_SIDE 256

#ifdef __cplusplus
extern "C" {
#endif

/* For each of 256 places: its first pixel, how many, and their weights (`taps` are kept for each). */
typedef struct {
    const int32_t *first;
    const int32_t *count;
    const uint32_t *weights;
    int taps;
} ResizeAxis;

enum { RESIZE_DONE = 0, RESIZE_DOES_NOT_FIT = 1, RESIZE_NO_MEMORY = 2 };

/* pixels: RGB [height, width, 3]; factor: so many pixels of each direction become one first; the axes are of what there
 * is then, see weights.py; out: RGB [256, 256, 3]. Arrays that do not belong together are refused, and nothing is read. */
int resize_to_input(const uint8_t *pixels, int height, int width, int factor, const ResizeAxis *across_rows,
                    const ResizeAxis *down_columns, uint8_t *out);

#ifdef __cplusplus
}
#endif
#endif
