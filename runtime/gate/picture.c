/* The measures of a frame's structure that the networks' picture shows: halves alike, its field, strokes, colours. */
#include <math.h>

#include "squares.h"

#define SIDE GATE_SIDE
#define HALF (SIDE / 2)
#define ROW (SIDE * 3)
#define FINE 50 /* levels by which a fine stroke stands out */

typedef struct {
    uint8_t field[SIDE * SIDE], whole[SIDE * SIDE], room[ROOM(SIDE, 10)];
    uint8_t few[HALF * HALF], inside[HALF * HALF], turned_inside[HALF * HALF];
    int16_t green[HALF * HALF], detail[HALF * HALF], turned[HALF * HALF];
    Run runs[(HALF + 1) / 2 * HALF];
    uint8_t highest[ROW + 16], lowest[ROW + 16], strokes[ROW], grains[ROW];
} Work;

/* Correlation of two halves, [64, 128]: row i of one with row first + step * i of the other. */
INLINE double correlation(const int16_t *detail, const uint8_t *inside, int first, int step) {
    int64_t one = 0, other = 0, both = 0;
    int seen = 0;
    for (int y = 0; y < HALF / 2; y++) {
        const int16_t *a = detail + y * HALF, *b = detail + (first + step * y) * HALF;
        const uint8_t *in_a = inside + y * HALF, *in_b = inside + (first + step * y) * HALF;
        int32_t aa = 0, bb = 0, ab = 0, in = 0;
        for (int x = 0; x < HALF; x++) {
            const int32_t where = in_a[x] & in_b[x], p = where * a[x], q = where * b[x];
            aa += p * p;
            bb += q * q;
            ab += p * q;
            in += where;
        }
        one += aa;
        other += bb;
        both += ab;
        seen += in;
    }
    if (seen < SEEN_MIN) return 0;
    const double lengths = (double)one * (double)other;
    return (double)both / sqrt(lengths > 1 ? lengths : 1);
}

/* Largest correlation of the fine detail of the left half with the right, or the upper with the lower, or mirrored. */
INLINE double likeness(const uint8_t *image, Work *w) {
    thinned(w->field, w->few, SIDE, 2);
    windowed(w->few, w->inside, w->room, HALF, 5, 0, 1);
    for (int y = 0; y < HALF; y++) {
        for (int x = 0; x < HALF; x++) {
            const uint8_t *at = image + 2 * y * ROW + 6 * x + 1;
            w->green[y * HALF + x] = (int16_t)((at[0] + at[3] + at[ROW] + at[ROW + 3] + 2) >> 2);
        }
    }
    memset(w->detail, 0, sizeof w->detail);
    int16_t down[HALF];
    for (int y = 3; y < HALF - 3; y++) {
        for (int x = 0; x < HALF; x++) {
            int16_t sum = 0;
            for (int i = -3; i <= 3; i++) sum = (int16_t)(sum + w->green[(y + i) * HALF + x]);
            down[x] = sum;
        }
        for (int x = 3; x < HALF - 3; x++) {
            int16_t apart = (int16_t)(49 * w->green[y * HALF + x] - down[x - 3] - down[x - 2] - down[x - 1] - down[x] -
                                      down[x + 1] - down[x + 2] - down[x + 3]);
            apart = apart > 8 * 49 ? 8 * 49 : apart < -8 * 49 ? -8 * 49 : apart;
            w->detail[y * HALF + x] = (int16_t)(apart * w->inside[y * HALF + x]);
        }
    }
    for (int y = 0; y < HALF; y++) {
        for (int x = 0; x < HALF; x++) {
            w->turned[x * HALF + y] = w->detail[y * HALF + x];
            w->turned_inside[x * HALF + y] = w->inside[y * HALF + x];
        }
    }
    double most = correlation(w->detail, w->inside, HALF / 2, 1);
    most = fmax(most, correlation(w->detail, w->inside, HALF - 1, -1));
    most = fmax(most, correlation(w->turned, w->turned_inside, HALF / 2, 1));
    return fmax(most, correlation(w->turned, w->turned_inside, HALF - 1, -1));
}

typedef struct {
    int64_t x, y;
} Point;

/* Twice the area left of a, b, c. */
static int64_t turn(Point a, Point b, Point c) { return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x); }

static int64_t common(int64_t a, int64_t b) {
    a = a < 0 ? -a : a;
    b = b < 0 ? -b : b;
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Points of a side of the hull, from first to last; `outwards`: 1 for the right side, -1 for the left. */
static int side_of_hull(const Point *points, int count, int outwards, Point *hull) {
    int kept = 0;
    for (int i = 0; i < count; i++) {
        while (kept > 1 && outwards * turn(hull[kept - 2], hull[kept - 1], points[i]) <= 0) kept--;
        hull[kept++] = points[i];
    }
    return kept;
}

/* Pixels in the hull of two sides, each from the top down: Pick's theorem, area + border / 2 + 1. */
static int64_t pixels_in(const Point *left, const Point *right, int rows) {
    Point ring[2 * HALF + 1];
    const int on_right = side_of_hull(right, rows, 1, ring);
    Point other[HALF];
    const int on_left = side_of_hull(left, rows, -1, other);
    int count = on_right;
    for (int i = on_left - 1; i >= 0; i--) ring[count++] = other[i];
    ring[count] = ring[0];
    int64_t area = 0, border = 0;
    for (int i = 0; i < count; i++) {
        area += ring[i].x * ring[i + 1].y - ring[i + 1].x * ring[i].y;
        border += common(ring[i + 1].x - ring[i].x, ring[i + 1].y - ring[i].y);
    }
    return ((area < 0 ? -area : area) + border) / 2 + 1;
}

/* Share of the convex hull around the larger parts of the field that they fill. */
INLINE double hull_share(Work *w) {
    thinned(w->field, w->few, SIDE, 2);
    windowed(w->few, w->few, w->room, HALF, 2, 1, 1);
    windowed(w->few, w->few, w->room, HALF, 2, 0, 0);
    const int count = parts_of(w->few, HALF, w->runs);
    Point left[HALF], right[HALF];
    int rows = 0, filled = 0;
    for (int i = 0; i < count; i++) {
        const Run *run = &w->runs[i];
        if (100 * w->runs[run->root].area <= HALF * HALF) continue;
        filled += run->end - run->begin;
        if (!rows || left[rows - 1].y != run->row) {
            left[rows] = right[rows] = (Point){run->begin, run->row};
            rows++;
        }
        right[rows - 1].x = run->end - 1; /* runs of a row come from left to right */
    }
    return rows ? (double)filled / (double)pixels_in(left, right, rows) : 0;
}

/* For 32 bytes of a row: which are over `levels` from the median of 5 x 5 around them. */
INLINE int far_from_median(const uint8_t *at, int levels, uint8_t *restrict far) {
    uint8_t low[32], high[32], under[32] = {0}, over[32] = {0}, any = 0;
    for (int i = 0; i < 32; i++) {
        low[i] = (uint8_t)(at[i] > levels ? at[i] - levels : 0);
        high[i] = (uint8_t)(at[i] < 255 - levels ? at[i] + levels : 255);
    }
    for (int y = -2; y <= 2; y++) {
        for (int x = -6; x <= 6; x += 3) {
            const uint8_t *near = at + y * ROW + x;
            for (int i = 0; i < 32; i++) {
                under[i] = (uint8_t)(under[i] + (near[i] < low[i]));
                over[i] = (uint8_t)(over[i] + (near[i] > high[i]));
            }
        }
    }
    for (int i = 0; i < 32; i++) any |= far[i] = (under[i] > 12) | (over[i] > 12);
    return any;
}

/* Which bytes of a row are farther than `levels` from the highest or lowest around: others can't be from the median. */
INLINE void may_be_far(Work *w, const uint8_t *restrict row, int levels) {
    uint8_t *restrict high = w->highest + 6, *restrict low = w->lowest + 6, *restrict far = w->grains;
    for (int i = 0; i < ROW; i++) {
        const uint8_t *at = row + i;
        high[i] = larger(larger(larger(at[-2 * ROW], at[-ROW]), larger(at[ROW], at[2 * ROW])), at[0]);
        low[i] = smaller(smaller(smaller(at[-2 * ROW], at[-ROW]), smaller(at[ROW], at[2 * ROW])), at[0]);
    }
    for (int i = 0; i < ROW; i++) {
        const uint8_t *h = high + i, *l = low + i;
        const uint8_t most = larger(larger(larger(h[-6], h[-3]), larger(h[3], h[6])), h[0]);
        const uint8_t least = smaller(smaller(smaller(l[-6], l[-3]), smaller(l[3], l[6])), l[0]);
        far[i] = ((uint8_t)(most - row[i]) > levels) | ((uint8_t)(row[i] - least) > levels);
    }
}

INLINE int any_of_32(const uint8_t *bytes) {
    uint64_t parts[4];
    memcpy(parts, bytes, sizeof parts);
    return (parts[0] | parts[1] | parts[2] | parts[3]) != 0;
}

/* Pixels well inside the field of which a channel stands out from all around: strokes by 60 levels, grains by 30. */
INLINE void drawn_over(const uint8_t *image, Work *w, StructureMeasures *to) {
    windowed(w->field, w->whole, w->room, SIDE, 3, 0, 0);
    windowed(w->whole, w->whole, w->room, SIDE, 3, 1, 1);
    windowed(w->whole, w->whole, w->room, SIDE, 10, 0, 1);
    int strokes = 0, grains = 0;
    memset(w->highest, 0, sizeof w->highest);
    memset(w->lowest, 0, sizeof w->lowest);
    for (int y = 10; y < SIDE - 10; y++) {
        const uint8_t *row = image + y * ROW, *inside = w->whole + y * SIDE;
        int found = 0;
        may_be_far(w, row, 30);
        for (int x = 0; x < ROW; x += 32) { /* what lies beyond the row's ends is of no pixel that is looked at */
            uint8_t *grain = w->grains + x, *stroke = w->strokes + x;
            if (any_of_32(grain) && far_from_median(row + x, 30, grain)) {
                far_from_median(row + x, 60, stroke);
                found = 1;
            } else {
                memset(grain, 0, 32);
                memset(stroke, 0, 32);
            }
        }
        for (int x = 0; found && x < SIDE; x++) {
            grains += (w->grains[3 * x] | w->grains[3 * x + 1] | w->grains[3 * x + 2]) & inside[x];
            strokes += (w->strokes[3 * x] | w->strokes[3 * x + 1] | w->strokes[3 * x + 2]) & inside[x];
        }
    }
    to->strokes = strokes;
    to->grains = grains;
}

/* Which of `count` bytes stand out from both beside them, or from both above and below; whether any does. */
INLINE int standing_out(const uint8_t *at, size_t across, size_t down, int count, uint8_t *restrict far) {
    uint8_t any = 0;
    for (int i = 0; i < count; i++) {
        const uint8_t here = at[i];
        const uint8_t left = at[(ptrdiff_t)i - (ptrdiff_t)across], right = at[(size_t)i + across];
        const uint8_t above = at[(ptrdiff_t)i - (ptrdiff_t)down], below = at[(size_t)i + down];
        const uint8_t high = smaller(larger(left, right), larger(above, below));
        const uint8_t low = larger(smaller(left, right), smaller(above, below));
        const uint8_t over = (uint8_t)(here - smaller(here, high)), under = (uint8_t)(larger(here, low) - here);
        any |= far[i] = (over > FINE) | (under > FINE);
    }
    return any;
}

/* Pixels of the frame, of every row `apart` from the last, that do so well inside the field (w->whole). */
INLINE int fine_strokes(const uint8_t *pixels, int height, int width, int apart, const Work *w) {
    const size_t length = (size_t)width * 3, across = (size_t)apart * 3, down = (size_t)apart * length;
    int found = 0;
    for (int y = apart; y < height - apart; y += apart) {
        const uint8_t *row = pixels + (size_t)y * length, *inside = w->whole + (int64_t)y * SIDE / height * SIDE;
        for (int x = apart; x < width - apart; x += 32) {
            uint8_t far[96];
            const int here = width - apart - x < 32 ? width - apart - x : 32;
            const uint8_t *at = row + (size_t)x * 3;
            if (!(here == 32 ? standing_out(at, across, down, 96, far) : standing_out(at, across, down, 3 * here, far))) continue;
            for (int i = 0; i < here; i++) {
                found += (far[3 * i] | far[3 * i + 1] | far[3 * i + 2]) & inside[(int64_t)(x + i) * SIDE / width];
            }
        }
    }
    return found;
}

/* Standard deviation of red and of blue, the larger, from what is usual where green is the same. */
INLINE double own_colour(const uint8_t *image, const Work *w) {
    int64_t seen[256] = {0}, sums[2][256] = {{0}}, squares[2] = {0}, all = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        const int64_t in = w->field[i], red = image[3 * i], green = image[3 * i + 1], blue = image[3 * i + 2];
        seen[green] += in;
        sums[0][green] += in * red;
        sums[1][green] += in * blue;
        squares[0] += in * red * red;
        squares[1] += in * blue * blue;
        all += in;
    }
    for (int level = 0; level < 256; level++) {
        for (int c = 0; c < 2 && seen[level]; c++) squares[c] -= sums[c][level] * sums[c][level] / seen[level];
    }
    return all ? sqrt((double)(squares[0] > squares[1] ? squares[0] : squares[1]) / (double)all) : 0;
}

INLINE void colours(const uint8_t *image, const Work *w, StructureMeasures *to) {
    int64_t sums[3] = {0}, squares[3] = {0}, lit = 0;
    for (int y = 0; y < SIDE; y++) {
        uint32_t sum[3] = {0}, square[3] = {0}, on = 0;
        for (int x = 0; x < SIDE; x++) {
            const uint32_t in = w->field[y * SIDE + x];
            on += in;
            for (int c = 0; c < 3; c++) {
                const uint32_t value = in * image[y * ROW + 3 * x + c];
                sum[c] += value;
                square[c] += value * value;
            }
        }
        lit += on;
        for (int c = 0; c < 3; c++) {
            sums[c] += sum[c];
            squares[c] += square[c];
        }
    }
    int64_t all = sums[0] + sums[1] + sums[2], least = INT64_MAX;
    if (all < lit) all = lit;
    for (int c = 0; c < 3; c++) {
        const int64_t spread = lit * squares[c] - sums[c] * sums[c];
        least = least < spread ? least : spread;
    }
    to->blue_excess = all ? (double)(sums[2] - sums[1]) / (double)all : 0;
    to->spread = lit ? sqrt((double)least) / (double)lit : 0;
}

INLINE int measured(const uint8_t *pixels, int height, int width, int apart, const uint8_t *image, Work *w,
                    StructureMeasures *to) {
    field_of_view(image, w->field);
    to->likeness = likeness(image, w);
    to->hull_share = hull_share(w);
    drawn_over(image, w, to);
    to->fine_strokes = apart ? fine_strokes(pixels, height, width, apart, w) : 0;
    colours(image, w, to);
    to->own_colour = own_colour(image, w);
    return GATE_DONE;
}

FOR_THIS_CPU(measured,
             (const uint8_t *pixels, int height, int width, int apart, const uint8_t *image, Work *w, StructureMeasures *to),
             (pixels, height, width, apart, image, w, to))

/* apart: pixels between one of the frame and those that it is held against; 0 where the networks' picture shows all. */
int picture_measures(const uint8_t *pixels, int height, int width, int apart, const uint8_t *image, StructureMeasures *to) {
    uint8_t *room = room_taken(ROOM_OF_PICTURE, sizeof(Work));
    if (!room) return GATE_NO_MEMORY;
    const int done = measured_here(pixels, height, width, apart, image, (Work *)(void *)room, to);
    room_given_back(ROOM_OF_PICTURE, room);
    return done;
}
