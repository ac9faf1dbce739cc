/* The resize to the networks' input, for Python (kernel.c) and for programs in C and C++ (runtime/native). */
#ifndef ROP_RESIZE_H
#define ROP_RESIZE_H

#include <stdint.h>

#define RESIZED_SIDE 256

#ifdef __cplusplus
extern "C" {
#endif

enum { RESIZE_DONE = 0, RESIZE_DOES_NOT_FIT = 1, RESIZE_NO_MEMORY = 2 };

/* pixels: RGB [height, width, 3]; out: RGB [256, 256, 3]. Frames over 100 times as high as wide do not fit: the training
 * side makes those 256 high first, which is not done here. */
int resize_to_input(const uint8_t *pixels, int height, int width, uint8_t *out);

#ifdef __cplusplus
}
#endif
#endif
