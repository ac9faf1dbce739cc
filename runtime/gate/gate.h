/* The measures of the quality gate and of a frame's structure, for Python (kernel.c) and for programs in C and C++
 * (runtime/native). What each means, and its limit: runtime/quality.py and runtime/structure.py. */
#ifndef ROP_GATE_H
#define ROP_GATE_H

#include <stdint.h>

#define GATE_SIDE 256 /* of the networks' input */
#define GATE_DARK 20  /* no channel over this is outside of the field */

#ifdef __cplusplus
extern "C" {
#endif

/* In the order of a reading. */
typedef struct {
    double brightness, glare_share, field_share, fields, detail, edge_ratio, redness, green_excess, dark_twentieth, dark_third;
    double glare_spot, blank, edge_lit, corner_lit, relief;
} GateMeasures;

typedef struct {
    double comb_ratio, comb_offset, seam, repeated_rows, likeness, hull_share, strokes, grains, blue_excess, spread;
    double fine_strokes, own_colour;
} StructureMeasures;

/* The limits of runtime/quality.py that bundles of before do not state, and those of runtime/structure.py; held equal by
 * tests/runtime/gate. */
#define DARK_TWENTIETH_MIN 0.21
#define DARK_THIRD_MIN 0.54
#define GLARE_SPOT_MAX 0.03
#define BLANK_MAX 0.015
#define EDGE_LIT_MAX 0.55
#define CORNER_LIT_MAX 0.4
#define RELIEF_MIN 0.14
#define COMB_RATIO_MAX 1.1
#define COMB_OFFSET_MAX 4.0
#define SEAM_MAX 2.1
#define REPEATED_ROWS_MAX 11
#define STUCK_ROWS_MAX 80
#define LIKENESS_MAX 0.6
#define HULL_SHARE_MIN 0.975
#define STROKES_MAX 16
#define GRAINS_MAX 500
#define BLUE_EXCESS_MAX 0.04
#define SPREAD_MIN 1.0
#define FINE_STROKES_MAX 40
#define OWN_COLOUR_MIN 1.7
#define DIM 60.0 /* below it a frame that seems blurred is too dark first of all */

enum { GATE_DONE = 0, GATE_DOES_NOT_FIT = 1, GATE_NO_MEMORY = 2 };

/* image: RGB [256, 256, 3], what the networks see. */
int gate_measures(const uint8_t *image, GateMeasures *to);

/* pixels: the frame, RGB [height, width, 3], sides of 1 to 2^20; image: as above. */
int structure_measures(const uint8_t *pixels, int height, int width, const uint8_t *image, StructureMeasures *to);

#ifdef __cplusplus
}
#endif
#endif
