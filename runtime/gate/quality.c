/* The measures of the quality gate: those of runtime/gate/plain.py, equal to it bit by bit. */
#include <math.h>
#include <stdlib.h>

#include "squares.h"

#define SIDE GATE_SIDE
#define PIXELS (SIDE * SIDE)
#define REACH 7 /* pixels around the picture, for the coarse blur */
#define PITCH (SIDE + 2 * REACH)
#define KEPT 16 /* rows: more than 2 * REACH */
#define FEW (SIDE / 4)
#define HALF (SIDE / 2)
#define WHITE 220 /* every channel over it: blown out */
#define BRIGHT 200 /* so is light over it where no channel differs by more than FLAT within 5 x 5 */
#define FLAT 2
#define RELIEF_REACH 3 /* cells: two of the window's, and the one beyond that the outermost of these curves by */
#define RELIEF 240 /* 0.6 levels, summed over 16 pixels and 25 cells */
#define CALM 3     /* levels by which no pixel of 3 x 3 cells curves */
#define GRAINY_CELLS 6 /* a window of cells in which nothing but a sensor's noise curves */
#define GRAINY_REACH 5 /* cells around its middle that it rests on */
#define WINDOW 12      /* cells each way, over which relief is held against what a sensor's noise makes */
#define WINDOW_REACH 7 /* cells around its middle that it rests on */
#define RELIEF_RANK 4  /* windows that may have less relief by chance */
#define WELL_INSIDE 12
#define TOO_FEW 100
#define CELL 8 /* pixels each way, over which light is taken together */
#define CELLS (SIDE / CELL)
#define OFF 2 /* cells by which a field may lie off the middle */
#define LIT_ROW 32 /* more lit pixels than that: a row or column of the field, not of marks beside it */
#define WITHIN 3   /* pixels within the field's rectangle, where its edge is looked at */
#define STEP_SCALE 4096.0f
#define STEP_MAX 65534.0f

/* Gaussians of 0.8 and 1.6 pixels as OpenCV cuts them off, from the middle on. */
static const float FINE[] = {0.49867645f, 0.22831072f, 0.021910314f, 0.00044074337f};
static const float COARSE[] = {0.2493394f,   0.205101f,    0.114155896f,   0.042991504f,
                               0.010955209f, 0.001888915f, 0.00022037272f, 1.7396305e-05f};
enum { FINE_REACH = 3, COARSE_REACH = 7 };

typedef struct {
    uint8_t red[PIXELS], green[PIXELS], blue[PIXELS], field[PIXELS], inside[PIXELS];
    uint16_t cells[CELLS * CELLS];
    uint8_t lit[CELLS * CELLS], expected[CELLS * CELLS];
    uint16_t sums[HALF * HALF + FEW * FEW], curves[HALF * HALF + FEW * FEW];
    int64_t rough[FEW * FEW];
    uint32_t curved_sums[FEW * FEW];
    uint32_t added[(HALF + 1) * (HALF + 1)];
    uint8_t few[FEW * FEW], room[ROOM(SIDE, WELL_INSIDE)];
    Run runs[(HALF + 1) / 2 * HALF];
    uint8_t blown[HALF * HALF], flat[PIXELS], highest[PIXELS], lowest[PIXELS];
    float levels[PITCH]; /* a row of green with its mirrored ends */
    float fine[KEPT][SIDE], coarse[KEPT][SIDE]; /* the rows around the one that is made */
    uint16_t steps[PIXELS];
} Work;

/* Without repeating the edge: -1 is 1. */
INLINE int mirrored(int place) { return place < 0 ? -place : place >= SIDE ? 2 * SIDE - 2 - place : place; }

INLINE uint32_t grey_of(uint32_t r, uint32_t g, uint32_t b) { return (r * 9798 + g * 19235 + b * 3735 + (1 << 14)) >> 15; }

/* Colours and light of the field, or of all where there is none. */
INLINE void lights(Work *w, GateMeasures *to) {
    uint32_t lit = 0, red = 0, green = 0, blue = 0, brightness = 0, glare = 0;
    for (int i = 0; i < PIXELS; i++) lit += w->field[i];
    const uint8_t all = lit == 0;
    for (int i = 0; i < PIXELS; i++) {
        const uint32_t on = w->field[i] | all;
        const uint32_t r = w->red[i], g = w->green[i], b = w->blue[i];
        const uint32_t grey = on * grey_of(r, g, b);
        red += on * r;
        green += on * g;
        blue += on * b;
        brightness += grey;
        glare += grey > 235;
    }
    const double looked_at = lit ? lit : PIXELS;
    const double mean_red = red / looked_at, mean_green = green / looked_at, mean_blue = blue / looked_at;
    const double total = mean_red + mean_green + mean_blue > 1e-6 ? mean_red + mean_green + mean_blue : 1e-6;
    to->brightness = brightness / looked_at;
    to->glare_share = glare / looked_at;
    to->field_share = (double)lit / PIXELS;
    to->redness = (mean_red - mean_blue) / total;
    to->green_excess = (mean_green - mean_red) / total;
}

/* How many separate parts the field has, narrow bridges cut: counted on every fourth pixel. */
INLINE double separate_fields(Work *w) {
    thinned(w->field, w->few, SIDE, 4);
    windowed(w->few, w->few, w->room, FEW, 6, 0, 1);
    const int count = parts_of(w->few, FEW, w->runs);
    int parts = 0;
    for (int i = 0; i < count; i++) parts += w->runs[i].root == i && 50 * w->runs[i].area > FEW * FEW;
    return parts;
}

/* Light of each cell, added up, and whether the field fills half of it. */
INLINE void light_of_cells(Work *w) {
    for (int cell_y = 0; cell_y < CELLS; cell_y++) {
        uint16_t light[SIDE] = {0}, field[SIDE] = {0};
        for (int i = cell_y * CELL * SIDE, row = 0; row < CELL; row++) {
            for (int x = 0; x < SIDE; x++, i++) {
                light[x] = (uint16_t)(light[x] + grey_of(w->red[i], w->green[i], w->blue[i]));
                field[x] = (uint16_t)(field[x] + w->field[i]);
            }
        }
        for (int cell_x = 0; cell_x < CELLS; cell_x++) {
            uint16_t sum = 0, seen = 0;
            for (int x = cell_x * CELL; x < (cell_x + 1) * CELL; x++) {
                sum = (uint16_t)(sum + light[x]);
                seen = (uint16_t)(seen + field[x]);
            }
            w->cells[cell_y * CELLS + cell_x] = sum;
            w->lit[cell_y * CELLS + cell_x] = 2 * seen >= CELL * CELL;
        }
    }
}

/* The light of the cell that so many of those in `of` are darker than; 0 where there are fewer. */
INLINE int ranked_cell(const Work *w, const uint8_t *of, int rank) {
    int found = 0;
    for (int bit = 1 << 13; bit; bit >>= 1) {
        int below = 0;
        for (int i = 0; i < CELLS * CELLS; i++) below += of[i] & (w->cells[i] < found + bit);
        if (below <= rank) found += bit;
    }
    return found;
}

/* Light of the darkest twentieth of where the field lies, or would lie were it as wide on every side (but for OFF cells),
 * over the field's median, and of the darkest third over the brightest quarter. */
INLINE void shade(Work *w, GateMeasures *to) {
    light_of_cells(w);
    int lit = 0, expected = 0;
    for (int y = 0; y < CELLS; y++) {
        const uint8_t *row = w->lit + y * CELLS, *other = w->lit + (CELLS - 1 - y) * CELLS;
        for (int x = 0; x < CELLS; x++) {
            w->expected[y * CELLS + x] = row[x] | other[x] | row[CELLS - 1 - x] | other[CELLS - 1 - x];
            lit += row[x];
        }
    }
    windowed(w->expected, w->expected, w->room, CELLS, OFF, 1, 1);
    for (int i = 0; i < CELLS * CELLS; i++) {
        w->expected[i] |= w->lit[i];
        expected += w->expected[i];
    }
    to->dark_twentieth = to->dark_third = 0;
    if (!lit) return;
    const int middle = ranked_cell(w, w->lit, lit / 2), bright = ranked_cell(w, w->lit, lit * 3 / 4);
    to->dark_twentieth = ranked_cell(w, w->expected, expected / 20) / (double)(middle > 1 ? middle : 1);
    to->dark_third = ranked_cell(w, w->expected, expected / 3) / (double)(bright > 1 ? bright : 1);
}

typedef struct {
    int first, last, step, count; /* pixels from `first` on, lines that are `step` apart */
} Lines;

/* From the first to the last line of more than LIT_ROW lit pixels; `last` is before `first` where there is none. */
INLINE Lines lit_lines(const uint8_t *field, int step, int across) {
    Lines found = {SIDE, -1, step, 0};
    for (int i = 0; i < SIDE; i++) {
        int lit = 0;
        for (int j = 0; j < SIDE; j++) lit += field[i * step + j * across];
        if (lit <= LIT_ROW) continue;
        if (found.last < 0) found.first = i;
        found.last = i;
    }
    found.count = found.last - found.first + 1;
    return found;
}

/* Share of two opposite edges of the rectangle around the field that is lit; lines: those along the edges. */
INLINE double edge_share(const uint8_t *field, Lines lines, Lines across) {
    const int within = WITHIN < (lines.count - 1) / 2 ? WITHIN : (lines.count - 1) / 2;
    int lit = 0;
    for (int i = across.first; i <= across.last; i++) {
        lit += field[(lines.first + within) * lines.step + i * across.step];
        lit += field[(lines.last - within) * lines.step + i * across.step];
    }
    return (double)lit / (2 * across.count);
}

/* How much is lit along the edge of the rectangle around the field, of the two sides opposite each other where it is
 * less, and in the corner of it where it is most. A circle lights little of both, a part cut out of it much. */
INLINE void cut(const uint8_t *field, GateMeasures *to) {
    const Lines rows = lit_lines(field, SIDE, 1), columns = lit_lines(field, 1, SIDE);
    to->edge_lit = to->corner_lit = 1;
    if (rows.last < 0 || columns.last < 0) return;
    to->edge_lit = fmin(edge_share(field, rows, columns), edge_share(field, columns, rows));
    const int high = rows.count * 7 / 64 > 1 ? rows.count * 7 / 64 : 1, wide = columns.count * 7 / 64 > 1 ? columns.count * 7 / 64 : 1;
    int all = 0, most = 0;
    for (int corner = 0; corner < 4; corner++) {
        int lit = 0;
        all = 0;
        for (int y = 0; y < high; y++) {
            const uint8_t *row = field + (corner & 1 ? rows.last - y : rows.first + y) * SIDE;
            for (int x = 0; x < wide && y * wide + x * high < high * wide; x++, all++) {
                lit += row[corner & 2 ? columns.last - x : columns.first + x];
            }
        }
        most = most > lit ? most : lit;
    }
    to->corner_lit = (double)most / all;
}

/* Of the parts whose pixels touch by their sides, how many the largest has. */
INLINE int largest_part(const uint8_t *picture, int side, Run *runs) {
    const int count = parts_of(picture, side, runs);
    int largest = 0;
    for (int i = 0; i < count; i++) largest = largest > runs[i].area ? largest : runs[i].area;
    return largest;
}

/* The highest and lowest of 5 x 5; what lies outside of the picture does not count. */
INLINE void extremes(const uint8_t *channel, uint8_t *restrict highest, uint8_t *restrict lowest) {
    for (int y = 0; y < SIDE; y++) {
        uint8_t high[SIDE + 4], low[SIDE + 4];
        memset(high, 0, sizeof high);
        memset(low, 255, sizeof low);
        for (int near = y < 2 ? 0 : y - 2; near <= y + 2 && near < SIDE; near++) {
            const uint8_t *row = channel + near * SIDE;
            for (int x = 0; x < SIDE; x++) {
                high[x + 2] = larger(high[x + 2], row[x]);
                low[x + 2] = smaller(low[x + 2], row[x]);
            }
        }
        for (int x = 0; x < SIDE; x++) {
            const uint8_t *h = high + x, *l = low + x;
            highest[y * SIDE + x] = larger(larger(larger(h[0], h[1]), larger(h[3], h[4])), h[2]);
            lowest[y * SIDE + x] = smaller(smaller(smaller(l[0], l[1]), smaller(l[3], l[4])), l[2]);
        }
    }
}

/* Pixels of the largest blown-out spot, counted on every second one each way. */
INLINE int glare_spot(Work *w) {
    const uint8_t *const channels[] = {w->red, w->green, w->blue};
    uint8_t any = 0;
    for (int i = 0; i < PIXELS; i++) {
        any |= w->flat[i] = grey_of(w->red[i], w->green[i], w->blue[i]) > BRIGHT;
    }
    for (int c = 0; any && c < 3; c++) { /* most pictures have none */
        extremes(channels[c], w->highest, w->lowest);
        for (int i = 0; i < PIXELS; i++) w->flat[i] &= (uint8_t)(w->highest[i] - w->lowest[i]) <= FLAT;
    }
    for (int i = 0; i < PIXELS; i++) w->flat[i] |= smaller(smaller(w->red[i], w->green[i]), w->blue[i]) > WHITE;
    thinned(w->flat, w->blown, SIDE, 2);
    return 4 * largest_part(w->blown, HALF, w->runs);
}

/* A channel's sums over cells of 4 x 4. */
INLINE void sums_of_cells(const uint8_t *channel, uint16_t *restrict to) {
    for (int cell_y = 0; cell_y < FEW; cell_y++) {
        uint16_t down[SIDE];
        const uint8_t *row = channel + 4 * cell_y * SIDE;
        for (int x = 0; x < SIDE; x++) {
            down[x] = (uint16_t)(row[x] + row[SIDE + x] + row[2 * SIDE + x] + row[3 * SIDE + x]);
        }
        for (int x = 0; x < FEW; x++) {
            to[cell_y * FEW + x] = (uint16_t)(down[4 * x] + down[4 * x + 1] + down[4 * x + 2] + down[4 * x + 3]);
        }
    }
}

/* How much the pixel of each cell of 4 x 4 curves that does so most; of cells at the picture's edge nothing is noted. */
INLINE void sharpest_of_cells(const uint8_t *channel, int16_t *restrict to) {
    for (int cell_y = 1; cell_y < FEW - 1; cell_y++) {
        int16_t most[SIDE] = {0};
        for (int y = 4 * cell_y; y < 4 * cell_y + 4; y++) {
            const uint8_t *row = channel + y * SIDE;
            for (int x = 1; x < SIDE - 1; x++) {
                const int16_t bent = (int16_t)(row[x - SIDE] + row[x + SIDE] + row[x - 1] + row[x + 1] - 4 * row[x]);
                const int16_t curved = (int16_t)(bent < 0 ? -bent : bent);
                most[x] = most[x] > curved ? most[x] : curved;
            }
        }
        for (int x = 1; x < FEW - 1; x++) {
            const int16_t *at = most + 4 * x;
            const int16_t one = at[0] > at[1] ? at[0] : at[1], other = at[2] > at[3] ? at[2] : at[3];
            const int16_t here = one > other ? one : other;
            to[cell_y * FEW + x] = to[cell_y * FEW + x] > here ? to[cell_y * FEW + x] : here;
        }
    }
}

/* |curving| of sums `side` wide against those `apart` places away, where it is more than in the channels before. */
INLINE void curving(const uint16_t *sums, uint16_t *restrict most, int side, int apart) {
    for (int y = apart; y < side - apart; y++) {
        for (int x = apart; x < side - apart; x++) {
            const uint16_t *at = sums + y * side + x;
            const int bent = abs(at[-apart * side] + at[apart * side] + at[-apart] + at[apart] - 4 * at[0]);
            most[y * side + x] = most[y * side + x] > bent ? most[y * side + x] : (uint16_t)bent;
        }
    }
}

/* A channel's sums over 2 x 2 pixels. */
INLINE void sums_of_twos(const uint8_t *channel, uint16_t *restrict to) {
    for (int y = 0; y < HALF; y++) {
        const uint8_t *row = channel + 2 * y * SIDE;
        for (int x = 0; x < HALF; x++) {
            to[y * HALF + x] = (uint16_t)(row[2 * x] + row[2 * x + 1] + row[SIDE + 2 * x] + row[SIDE + 2 * x + 1]);
        }
    }
}

/* Cells in a window in which nothing but a sensor's noise curves; seen: whole cells of the field. */
INLINE void grainy(Work *w, const uint8_t *seen, uint8_t *found) {
    const uint8_t *const channels[] = {w->red, w->green, w->blue};
    enum { EIGHTS = FEW - 1, BEYOND = GRAINY_CELLS / 2 };
    uint16_t *sums = w->sums, *eights = w->sums + HALF * HALF, *fine = w->curves, *coarse = w->curves + HALF * HALF;
    memset(w->curves, 0, sizeof w->curves);
    for (int c = 0; c < 3; c++) {
        sums_of_twos(channels[c], sums);
        curving(sums, fine, HALF, 1);
        for (int y = 0; y < EIGHTS; y++) {
            for (int x = 0; x < EIGHTS; x++) {
                int sum = 0;
                for (int row = 0; row < 4; row++) {
                    const uint16_t *at = sums + (2 * y + row) * HALF + 2 * x;
                    sum += at[0] + at[1] + at[2] + at[3];
                }
                eights[y * EIGHTS + x] = (uint16_t)sum;
            }
        }
        curving(eights, coarse, EIGHTS, 2);
    }
    uint32_t across[2][FEW * FEW] = {{0}};
    for (int y = 2; y < FEW - 3; y++) {
        for (int x = GRAINY_REACH; x < FEW - GRAINY_REACH; x++) {
            for (int cell = x - BEYOND; cell < x + BEYOND; cell++) {
                const uint16_t *at = fine + 2 * y * HALF + 2 * cell;
                across[0][y * FEW + x] += (uint32_t)(at[0] + at[1] + at[HALF] + at[HALF + 1]);
                across[1][y * FEW + x] += coarse[y * EIGHTS + cell];
            }
        }
    }
    memset(found, 0, FEW * FEW);
    for (int y = GRAINY_REACH; y < FEW - GRAINY_REACH; y++) {
        for (int x = GRAINY_REACH; x < FEW - GRAINY_REACH; x++) {
            uint32_t total[2] = {0, 0};
            for (int row = y - BEYOND; row < y + BEYOND; row++) {
                total[0] += across[0][row * FEW + x];
                total[1] += across[1][row * FEW + x];
            }
            found[y * FEW + x] = 50 * total[1] <= 63 * total[0];
        }
    }
    uint8_t whole[FEW * FEW];
    windowed(seen, whole, w->room, FEW, GRAINY_REACH, 0, 1);
    for (int i = 0; i < FEW * FEW; i++) found[i] &= whole[i];
    windowed(found, found, w->room, FEW, BEYOND, 0, 0);
}

/* Of a channel's sums over 2 x 2 pixels, how much each curves: added up from the upper left corner on. */
INLINE void curves_added(const uint8_t *channel, Work *w) {
    sums_of_twos(channel, w->sums);
    memset(w->added, 0, sizeof w->added);
    for (int y = 0; y < HALF; y++) {
        uint16_t curves[HALF] = {0};
        const uint16_t *at = w->sums + y * HALF;
        for (int x = 1; y && y < HALF - 1 && x < HALF - 1; x++) {
            curves[x] = (uint16_t)abs(at[x - HALF] + at[x + HALF] + at[x - 1] + at[x + 1] - 4 * at[x]);
        }
        uint32_t row = 0, *to = w->added + (y + 1) * (HALF + 1) + 1;
        for (int x = 0; x < HALF; x++) {
            row += curves[x];
            to[x] = to[x - (HALF + 1)] + row;
        }
    }
}

/* How far 4 x 4 sums of 12 x 12 pixels lie from a plane: 80 times the sum of squares. parts: every third of a line. */
INLINE int64_t off_plane(const uint16_t *parts) {
    int64_t all = 0, right = 0, down = 0, squares = 0;
    for (int y = 0; y < 4; y++) {
        const int64_t a = parts[3 * y * FEW], b = parts[3 * y * FEW + 3], c = parts[3 * y * FEW + 6], d = parts[3 * y * FEW + 9];
        all += a + b + c + d;
        right += 3 * (d - a) + c - b;
        down += (2 * y - 3) * (a + b + c + d);
        squares += a * a + b * b + c * c + d * d;
    }
    return 80 * squares - 5 * all * all - right * right - down * down;
}

/* Sums of 3 x 3 cells from each on. */
INLINE void sums_of_parts(const uint16_t *cells, uint16_t *restrict to) {
    for (int i = 0; i < FEW * (FEW - 2) - 2; i++) {
        int sum = 0;
        for (int row = 0; row < 3; row++) sum += cells[i + row * FEW] + cells[i + row * FEW + 1] + cells[i + row * FEW + 2];
        to[i] = (uint16_t)sum;
    }
}

/* Over windows of 48 x 48 pixels, how far means of 12 x 12 lie from a plane, over how much those of 2 x 2 curve; of the
 * window where all but RELIEF_RANK have more. 1 where there are too few. */
INLINE double relief(Work *w) {
    const uint8_t *const channels[] = {w->red, w->green, w->blue};
    uint8_t seen[FEW * FEW];
    uint16_t cells[FEW * FEW], parts[FEW * FEW];
    memset(w->rough, 0, sizeof w->rough);
    memset(w->curved_sums, 0, sizeof w->curved_sums);
    for (int c = 0; c < 3; c++) {
        sums_of_cells(channels[c], cells);
        sums_of_parts(cells, parts);
        curves_added(channels[c], w);
        for (int y = 0; y <= FEW - WINDOW; y++) {
            for (int x = 0; x <= FEW - WINDOW; x++) {
                const uint32_t *at = w->added + 2 * y * (HALF + 1) + 2 * x, *below = at + 2 * WINDOW * (HALF + 1);
                const uint32_t curved = below[2 * WINDOW] - below[0] - at[2 * WINDOW] + at[0];
                const int64_t off = off_plane(parts + y * FEW + x);
                int64_t *rough = w->rough + y * FEW + x;
                uint32_t *most = w->curved_sums + y * FEW + x;
                *rough = *rough > off ? *rough : off;
                *most = *most > curved ? *most : curved;
            }
        }
    }
    sums_of_cells(w->field, cells);
    for (int i = 0; i < FEW * FEW; i++) seen[i] = cells[i] == 16;
    windowed(seen, seen, w->room, FEW, WINDOW_REACH, 0, 1);
    double least[RELIEF_RANK + 1];
    for (int i = 0; i <= RELIEF_RANK; i++) least[i] = 1;
    for (int y = 1; y <= FEW - WINDOW; y++) {
        for (int x = 1; x <= FEW - WINDOW; x++) {
            if (!seen[(y + WINDOW / 2) * FEW + x + WINDOW / 2]) continue;
            const double fine = w->curved_sums[y * FEW + x] / 2304.0, rough = sqrt((double)w->rough[y * FEW + x] / 1040.0) / 144.0;
            double value = rough / (fine > 0.3 ? fine : 0.3);
            for (int i = 0; i <= RELIEF_RANK; i++) { /* it, or the larger of the two, goes on to the next place */
                const double other = least[i];
                least[i] = value < other ? value : other;
                value = value < other ? other : value;
            }
        }
    }
    return least[RELIEF_RANK];
}

/* Pixels of the largest part of the field in which nothing curves: on average over cells, not a single pixel, or but noise. */
INLINE int blank(Work *w) {
    const uint8_t *const channels[] = {w->red, w->green, w->blue};
    uint8_t seen[FEW * FEW], whole[FEW * FEW], found[FEW * FEW] = {0}, calm[FEW * FEW], noise[FEW * FEW];
    uint16_t most[FEW * FEW] = {0}, cells[FEW * FEW], across[FEW * FEW] = {0};
    int16_t sharpest[FEW * FEW] = {0};
    for (int c = 0; c < 3; c++) {
        sharpest_of_cells(channels[c], sharpest);
        sums_of_cells(channels[c], cells);
        for (int y = 1; y < FEW - 1; y++) {
            for (int x = 1; x < FEW - 1; x++) {
                const uint16_t *at = cells + y * FEW + x;
                const uint16_t curved = (uint16_t)abs(at[-FEW] + at[FEW] + at[-1] + at[1] - 4 * at[0]);
                most[y * FEW + x] = most[y * FEW + x] > curved ? most[y * FEW + x] : curved;
            }
        }
    }
    sums_of_cells(w->field, cells);
    for (int i = 0; i < FEW * FEW; i++) {
        seen[i] = cells[i] == 16;
        calm[i] = sharpest[i] <= CALM;
    }
    grainy(w, seen, noise);
    windowed(seen, whole, w->room, FEW, RELIEF_REACH, 0, 1);
    windowed(seen, seen, w->room, FEW, 2, 0, 1);
    windowed(calm, calm, w->room, FEW, 1, 0, 1);
    for (int i = 0; i < FEW * FEW; i++) calm[i] &= seen[i];
    for (int i = 0; i < FEW * FEW; i++) most[i] = most[i] < RELIEF ? most[i] : RELIEF + 1; /* so that sums fit */
    for (int i = 2; i < FEW * FEW - 2; i++) {
        across[i] = (uint16_t)(most[i - 2] + most[i - 1] + most[i] + most[i + 1] + most[i + 2]);
    }
    for (int i = RELIEF_REACH * FEW; i < (FEW - RELIEF_REACH) * FEW; i++) {
        const uint16_t *at = across + i;
        const uint16_t sum = (uint16_t)(at[-2 * FEW] + at[-FEW] + at[0] + at[FEW] + at[2 * FEW]);
        found[i] = whole[i] & (sum <= RELIEF);
    }
    const int even = largest_part(found, FEW, w->runs), still = largest_part(calm, FEW, w->runs);
    const int most_even = even > still ? even : still, grain = largest_part(noise, FEW, w->runs);
    return 16 * (most_even > grain ? most_even : grain);
}

/* A row of green, blurred along by both. */
INLINE void blurred_row(Work *w, int y) {
    const uint8_t *restrict from = w->green + y * SIDE;
    float *restrict middle = w->levels + REACH, *restrict to_fine = w->fine[y % KEPT], *restrict to_coarse = w->coarse[y % KEPT];
    for (int x = 0; x < SIDE; x++) middle[x] = from[x];
    for (int i = 1; i <= REACH; i++) {
        middle[-i] = from[mirrored(-i)];
        middle[SIDE - 1 + i] = from[mirrored(SIDE - 1 + i)];
    }
    for (int x = 0; x < SIDE; x++) {
        const float *at = middle + x;
        float fine = FINE[0] * at[0], coarse = COARSE[0] * at[0];
        for (int i = 1; i <= FINE_REACH; i++) fine += FINE[i] * (at[-i] + at[i]);
        for (int i = 1; i <= COARSE_REACH; i++) coarse += COARSE[i] * (at[-i] + at[i]);
        to_fine[x] = fine;
        to_coarse[x] = coarse;
    }
}

/* |fine - coarse|, in 1 / 4096 of a level, up to 16 levels; larger than all outside of `inside`. */
INLINE void blurred_steps(Work *w) {
    for (int y = 0; y < REACH; y++) blurred_row(w, y);
    for (int y = 0; y < SIDE; y++) {
        if (y + REACH < SIDE) blurred_row(w, y + REACH);
        const float *restrict above[REACH + 1], *restrict below[REACH + 1];
        const float *restrict fine_above[FINE_REACH + 1], *restrict fine_below[FINE_REACH + 1];
        for (int i = 0; i <= REACH; i++) {
            above[i] = w->coarse[mirrored(y - i) % KEPT];
            below[i] = w->coarse[mirrored(y + i) % KEPT];
        }
        for (int i = 0; i <= FINE_REACH; i++) {
            fine_above[i] = w->fine[mirrored(y - i) % KEPT];
            fine_below[i] = w->fine[mirrored(y + i) % KEPT];
        }
        const uint8_t *restrict inside = w->inside + y * SIDE;
        uint16_t *restrict steps = w->steps + y * SIDE;
        for (int x = 0; x < SIDE; x++) {
            float fine = FINE[0] * fine_above[0][x], coarse = COARSE[0] * above[0][x];
            for (int i = 1; i <= FINE_REACH; i++) fine += FINE[i] * (fine_above[i][x] + fine_below[i][x]);
            for (int i = 1; i <= COARSE_REACH; i++) coarse += COARSE[i] * (above[i][x] + below[i][x]);
            float step = fabsf(fine - coarse) * STEP_SCALE + 0.5f;
            step = step < STEP_MAX ? step : STEP_MAX;
            steps[x] = inside[x] ? (uint16_t)(int)step : 65535;
        }
    }
}

/* The step that so many others are not over. */
INLINE int ranked(const uint16_t *steps, uint32_t rank) {
    int found = 0;
    for (int bit = 1 << 15; bit; bit >>= 1) {
        const uint16_t under = (uint16_t)(found + bit);
        uint32_t below = 0;
        for (int y = 0; y < SIDE; y++) { /* sums of a row fit in 16 bits */
            uint16_t row = 0;
            for (int x = 0; x < SIDE; x++) row = (uint16_t)(row + (steps[y * SIDE + x] < under));
            below += row;
        }
        if (below <= rank) found += bit;
    }
    return found;
}

/* Detail and edges well inside the field, whose own border is the sharpest edge of all. */
INLINE void sharpness(Work *w, GateMeasures *to) {
    windowed(w->field, w->inside, w->room, SIDE, WELL_INSIDE, 1, 1);
    uint32_t pixels = 0, detail = 0;
    for (int i = 0; i < PIXELS; i++) pixels += w->inside[i];
    to->detail = to->edge_ratio = 0;
    if (pixels < TOO_FEW) return;
    blurred_steps(w);
    for (int y = 0; y < SIDE; y++) {
        const uint8_t *row = w->green + y * SIDE, *above = w->green + mirrored(y - 1) * SIDE;
        const uint8_t *below = w->green + mirrored(y + 1) * SIDE, *inside = w->inside + y * SIDE;
        for (int x = 0; x < SIDE; x += SIDE - 1) {
            detail += (uint32_t)(inside[x] * abs(above[x] + below[x] + 2 * row[x ? x - 1 : 1] - 4 * row[x]));
        }
        for (int x = 1; x < SIDE - 1; x++) {
            detail += (uint32_t)(inside[x] * abs(above[x] + below[x] + row[x - 1] + row[x + 1] - 4 * row[x]));
        }
    }
    const double middle = ranked(w->steps, (uint32_t)(pixels * 0.5)) / 4096.0;
    const double high = ranked(w->steps, (uint32_t)(pixels * 0.97)) / 4096.0;
    to->detail = (double)detail / pixels;
    to->edge_ratio = high / (middle > 0.05 ? middle : 0.05);
}

INLINE int measured(const uint8_t *image, Work *w, GateMeasures *to) {
    for (int i = 0; i < PIXELS; i++) {
        w->red[i] = image[3 * i];
        w->green[i] = image[3 * i + 1];
        w->blue[i] = image[3 * i + 2];
    }
    for (int i = 0; i < PIXELS; i++) {
        w->field[i] = (w->red[i] > GATE_DARK) | (w->green[i] > GATE_DARK) | (w->blue[i] > GATE_DARK);
    }
    lights(w, to);
    to->fields = separate_fields(w);
    shade(w, to);
    sharpness(w, to);
    int lit = 0;
    for (int i = 0; i < PIXELS; i++) lit += w->field[i];
    const double looked_at = lit ? lit : PIXELS;
    to->glare_spot = glare_spot(w) / looked_at;
    to->blank = blank(w) / looked_at;
    cut(w->field, to);
    to->relief = relief(w);
    return GATE_DONE;
}

FOR_THIS_CPU(measured, (const uint8_t *image, Work *w, GateMeasures *to), (image, w, to))

int gate_measures(const uint8_t *image, GateMeasures *to) {
    uint8_t *room = room_taken(ROOM_OF_QUALITY, sizeof(Work));
    if (!room) return GATE_NO_MEMORY;
    const int done = measured_here(image, (Work *)(void *)room, to);
    room_given_back(ROOM_OF_QUALITY, room);
    return done;
}
