/* What is looked for in a picture's pixels and behind its file, for Python (looks.c) and for programs in C and C++
 * (runtime/native). What each means: seams.py and further.py. */
#ifndef ROP_LOOKS_H
#define ROP_LOOKS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rows that are one flat colour where a picture has none: whether there are, then first and last of them.
 * pixels: RGB [height, width, 3], as below. */
int seams_flat(const uint8_t *pixels, int height, int width, int *first, int *last);

/* How much the strongest edge along a row of blocks stands out; over 1 hardly an undamaged picture lies. 0: no memory.
 * quantum: levels that one step of a block's stored mean makes, 0 where it is not known. */
int seams_score(const uint8_t *pixels, int height, int width, double quantum, double *score);

/* How many pictures a file holds: the one that ends before `end`, and those behind it that are more than a preview of half
 * its size; more beginnings than data has by chance count, too. 0 <= end <= bytes. */
int further_pictures(const uint8_t *data, int64_t bytes, int64_t end, int64_t width, int64_t height);

#ifdef __cplusplus
}
#endif
#endif
