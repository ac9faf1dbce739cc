/* The measures of a frame's structure: those of runtime/gate/plain.py, equal to it bit by bit. picture.c has those of what
 * the networks see of it.
 *
 * The frame's memory is read once. Its brightness is added up over whole powers of two: some 480 to 960 lines each way,
 * each as 160 to 320 means. Where a line is of several rows, lines are made once more from half a line on.
 */
#include <stdlib.h>

#include "squares.h"

#define FEWEST_LINES 480
#define FEWEST_MEANS 160
#define LARGEST_LINE_BITS 6 /* sums of half a line of 64 rows, weighed, still fit in 16 bits */
#define LONGEST (1 << 20)
#define COMB_COLUMNS 64

#define STEP_MAX 63 /* quarters of a level */
#define WINDOW_STEP 4 /* means from one window along a line to the next */
#define AROUND 16   /* lines that a step is held against, and no farther */
#define CLEAR 12    /* lines around a step that are full */
#define SCORE 1000 /* of a seam: parts of one */

typedef struct {
    const uint8_t *pixels;
    int height, width;
    int line_bits, mean_bits; /* pixels of a line, and of a mean, each way: powers of two */
    int unit;                 /* half of a line, or the whole of a line of one row */
    int high, wide;           /* units each way */
    int comb_step, combs;     /* columns that are looked at one by one */
    uint8_t *green;           /* [height, combs] */
    uint16_t *sums, *light;   /* [3 * width], [width]: of a unit's rows */
    uint32_t *column, *row, *spare; /* of a mean's rows, [wide]; of a unit's, [width]; to add up */
    uint32_t *row_units;      /* [high, width >> mean_bits] */
    uint32_t *column_units;   /* [height >> mean_bits, wide] */
    uint8_t *lines;           /* [means, lines] */
    uint8_t *lit;             /* the same with room around for the margin */
    uint8_t *steps, *seen;    /* [means, lines] */
    uint16_t *total, *share;  /* [lines] */
    uint8_t *mean, *full, *judged, *near; /* [lines + 2 * AROUND] */
    int small;                /* fewer than FEWEST_LINES both ways */
    int seam, repeated;       /* the largest yet */
} Frame;

/* Neighbours added `bits` times; the sums lie in what is returned, one of the two. */
INLINE uint32_t *added(uint32_t *values, uint32_t *spare, int count, int bits) {
    for (; bits > 0; bits--) {
        const uint32_t *restrict from = values;
        uint32_t *restrict to = spare;
        count /= 2;
        for (int i = 0; i < count; i++) to[i] = from[2 * i] + from[2 * i + 1];
        spare = values;
        values = to;
    }
    return values;
}

/* 2 red + 5 green + blue of `unit` rows, from row `y` on; their samples of green on the way. */
INLINE void unit_of_rows(const Frame *f, int y) {
    const int length = f->width * 3;
    const uint8_t *from = f->pixels + (size_t)y * (size_t)length;
    uint16_t *restrict sums = f->sums, *restrict light = f->light;
    if (f->unit == 1) {
        for (int x = 0; x < f->width; x++) {
            light[x] = (uint16_t)(2 * from[3 * x] + 5 * from[3 * x + 1] + from[3 * x + 2]);
        }
        return;
    }
    const uint8_t *second = from + length;
    for (int i = 0; i < length; i++) sums[i] = (uint16_t)(from[i] + second[i]);
    for (int row = 2; row < f->unit; row++) {
        const uint8_t *next = from + (size_t)row * (size_t)length;
        for (int i = 0; i < length; i++) sums[i] = (uint16_t)(sums[i] + next[i]);
    }
    for (int x = 0; x < f->width; x++) {
        light[x] = (uint16_t)(2 * sums[3 * x] + 5 * sums[3 * x + 1] + sums[3 * x + 2]);
    }
}

INLINE void sample_green(const Frame *f, int y, int rows) {
    const int combs = f->combs;
    const size_t step = (size_t)f->comb_step * 3, length = (size_t)f->width * 3;
    for (int row = y; row < y + rows; row++) {
        const uint8_t *restrict from = f->pixels + (size_t)row * length + 1;
        uint8_t *restrict to = f->green + (size_t)row * (size_t)combs;
        for (int i = 0; i < combs; i++) to[i] = from[(size_t)i * step];
    }
}

/* The one walk over the frame. */
INLINE void walk(const Frame *f) {
    const int unit_bits = f->line_bits ? f->line_bits - 1 : 0, units_a_mean = 1 << (f->mean_bits - unit_bits);
    const int width = f->width, wide = f->wide, means = width >> f->mean_bits;
    uint32_t *restrict column = f->column;
    memset(column, 0, (size_t)wide * sizeof *column);
    for (int k = 0; k < f->high; k++) {
        unit_of_rows(f, k * f->unit);
        sample_green(f, k * f->unit, f->unit);
        const uint16_t *restrict light = f->light;
        uint32_t *restrict pairs = f->row;
        for (int i = 0; i < width / 2; i++) pairs[i] = (uint32_t)light[2 * i] + light[2 * i + 1];
        uint32_t *sums = f->row;
        if (unit_bits) {
            sums = added(f->row, f->spare, width / 2, unit_bits - 1);
            const uint32_t *restrict units = sums;
            for (int i = 0; i < wide; i++) column[i] += units[i];
        } else {
            for (int i = 0; i < width; i++) column[i] += light[i];
        }
        const int done = unit_bits ? unit_bits : 1;
        if (f->mean_bits) {
            sums = added(sums, sums == f->row ? f->spare : f->row, width >> done, f->mean_bits - done);
        } else {
            for (int i = 0; i < width; i++) pairs[i] = light[i];
        }
        memcpy(f->row_units + (size_t)k * (size_t)means, sums, (size_t)means * sizeof *sums);
        if ((k + 1) % units_a_mean == 0) {
            memcpy(f->column_units + (size_t)(k / units_a_mean) * (size_t)wide, column, (size_t)wide * sizeof *column);
            memset(column, 0, (size_t)wide * sizeof *column);
        }
    }
    sample_green(f, f->high * f->unit, f->height - f->high * f->unit);
}

/* Means of lines, each of the one or two units from `units` on that lie `next` apart, rounded. */
INLINE void means_of(const uint32_t *restrict units, int step, size_t next, int shift, uint8_t *restrict to, int count) {
    const uint32_t half = 1u << (shift - 1);
    if (next) {
        for (int i = 0; i < count; i++) to[i] = (uint8_t)((units[i * step] + units[(size_t)(i * step) + next] + half) >> shift);
    } else {
        for (int i = 0; i < count; i++) to[i] = (uint8_t)((units[i * step] + half) >> shift);
    }
}

/* Eight lines of rows turned on their side: the lines' bytes next to each other. */
INLINE void turned(const uint8_t *restrict rows, size_t means, uint8_t *restrict to, size_t count, int here) {
    for (size_t x = 0; x < means; x++) {
        uint8_t together[8];
        for (size_t j = 0; j < 8; j++) together[j] = rows[j * means + x];
        memcpy(to + x * count, together, here == 8 ? 8 : (size_t)here);
    }
}

/* Lines of rows, or of columns, from unit `first` on: [means, lines]. Gives how many lines. */
INLINE int lines_of(const Frame *f, int rows, int first) {
    const int side = rows ? f->height : f->width, a_line = f->line_bits ? 2 : 1;
    const int count = side > first * f->unit ? (side - first * f->unit) >> f->line_bits : 0;
    const int means = (rows ? f->width : f->height) >> f->mean_bits, shift = f->line_bits + f->mean_bits + 3;
    if (!rows) {
        for (int x = 0; x < means; x++) {
            const uint32_t *units = f->column_units + (size_t)x * (size_t)f->wide + first;
            uint8_t *to = f->lines + (size_t)x * (size_t)count;
            if (f->line_bits) {
                means_of(units, 2, 1, shift, to, count);
            } else {
                means_of(units, 1, 0, shift, to, count);
            }
        }
        return count;
    }
    uint8_t *eight = f->steps; /* not in use yet */
    for (int j = 0; j < count; j += 8) {
        const int here = count - j < 8 ? count - j : 8;
        for (int i = 0; i < here; i++) {
            const uint32_t *units = f->row_units + (size_t)(first + (j + i) * a_line) * (size_t)means;
            means_of(units, 1, f->line_bits ? (size_t)means : 0, shift, eight + i * means, means);
        }
        turned(eight, (size_t)means, f->lines + j, (size_t)count, here);
    }
    return count;
}

/* Steps between lines that lie well inside the field, less what the slope there makes of them; others are 0, unseen. */
INLINE void steps_of(const Frame *f, int count, int means) {
    const int longest = f->height > f->width ? f->height : f->width, margin = (longest >> f->line_bits) / 40;
    const int sideways = margin >> (f->mean_bits - f->line_bits), steps = count - 3;
    const size_t pitch = (size_t)count + 2 * (size_t)margin, all = pitch * ((size_t)means + 2 * (size_t)sideways);
    memset(f->lit, 1, all);
    for (int x = 0; x < means; x++) {
        const uint8_t *line = f->lines + (size_t)x * (size_t)count;
        uint8_t *to = f->lit + ((size_t)x + (size_t)sideways) * pitch + (size_t)margin;
        for (int y = 0; y < count; y++) to[y] = line[y] > GATE_DARK;
    }
    window(f->lit, all, 1, 2 * margin + 1, 1);
    window(f->lit, all, pitch, 2 * sideways + 1, 1);
    for (int x = 0; x < means; x++) {
        const uint8_t *restrict line = f->lines + (size_t)x * (size_t)count, *restrict lit = f->lit + (size_t)x * pitch;
        uint8_t *restrict step = f->steps + (size_t)x * (size_t)steps, *restrict seen = f->seen + (size_t)x * (size_t)steps;
        for (int y = 0; y < steps; y++) {
            const int16_t size = (int16_t)abs(3 * (line[y + 2] - line[y + 1]) + (line[y] - line[y + 3]));
            seen[y] = lit[y] & lit[y + 3];
            step[y] = (uint8_t)((size < STEP_MAX ? size : STEP_MAX) * seen[y]);
        }
    }
}

/* How far the mean steps along one window stand out from those near them: the largest, in 1 / SCORE. */
INLINE int standing_out(const Frame *f, int steps) {
    uint8_t *restrict judged = f->judged + AROUND, *restrict near = f->near;
    const uint8_t *restrict mean = f->mean + AROUND;
    memcpy(f->judged, f->full, (size_t)steps + 2 * AROUND);
    window(f->judged, (size_t)steps + 2 * AROUND, 1, 2 * CLEAR + 1, 1); /* from AROUND - CLEAR on */
    uint8_t any = 0;
    for (int y = 0; y < steps; y++) {
        judged[y - CLEAR] = (uint8_t)(judged[y - CLEAR] * mean[y]);
        any |= judged[y - CLEAR];
    }
    if (!any) return 0;
    for (int y = 0; y < steps; y++) {
        const uint8_t *restrict at = mean + y;
        const uint8_t a = larger(larger(at[-2], at[2]), larger(at[-3], at[3]));
        const uint8_t b = larger(larger(at[-4], at[4]), larger(at[-5], at[5]));
        const uint8_t c = larger(larger(at[-6], at[6]), larger(at[-8], at[8]));
        near[y] = larger(larger(a, b), larger(c, larger(at[-16], at[16])));
    }
    int most = 0;
    for (int y = 0; y < steps; y++) {
        const int score = (int)((float)(10 * SCORE * judged[y - CLEAR]) / (float)(10 * near[y] + 84));
        const int allowed = y % 8 == 6 ? score * 3 / 4 : score; /* the step from line 7 to 8, where blocks meet */
        most = most > allowed ? most : allowed;
    }
    return most;
}

/* The longest run of lines that are all but equal, where there is something to see. */
INLINE int repeated_lines(const Frame *f, int count, int means, const uint8_t *seen_there) {
    uint8_t *restrict changed = f->near;
    memset(changed, 0, (size_t)count);
    for (int x = 0; x < means; x++) {
        const uint8_t *restrict line = f->lines + (size_t)x * (size_t)count;
        for (int y = 0; y < count - 3; y++) changed[y] |= abs(line[y + 1] - line[y]) > 1;
    }
    int run = 0, longest = 0;
    for (int y = 0; y < count - 3; y++) {
        run = changed[y] || !seen_there[y] ? 0 : run + 1;
        longest = longest > run ? longest : run;
    }
    return longest;
}

INLINE void seams(Frame *f, int count, int means) {
    const int steps = count - 3, wide = means / 6 > 8 ? means / 6 : 8;
    if (steps < 1 || means < wide) return;
    steps_of(f, count, means);
    uint16_t *restrict total = f->total, *restrict share = f->share;
    uint8_t *restrict mean = f->mean + AROUND, *restrict full = f->full + AROUND, *restrict anywhere = f->lit;
    memset(total, 0, (size_t)steps * sizeof *total);
    memset(share, 0, (size_t)steps * sizeof *share);
    memset(f->mean, 0, (size_t)steps + 2 * AROUND);
    memset(f->full, 0, (size_t)steps + 2 * AROUND);
    memset(anywhere, 0, (size_t)steps);
    int most_of_all = 0;
    for (int x = 0; x < means; x++) {
        const uint8_t *restrict step = f->steps + (size_t)x * (size_t)steps, *restrict seen = f->seen + (size_t)x * (size_t)steps;
        for (int y = 0; y < steps; y++) {
            total[y] = (uint16_t)(total[y] + step[y]);
            share[y] = (uint16_t)(share[y] + seen[y]);
        }
        if (x >= wide) {
            const size_t back = (size_t)wide * (size_t)steps;
            for (int y = 0; y < steps; y++) {
                total[y] = (uint16_t)(total[y] - step[y - (ptrdiff_t)back]);
                share[y] = (uint16_t)(share[y] - seen[y - (ptrdiff_t)back]);
            }
        }
        if (x + 1 < wide || (x + 1 - wide) % WINDOW_STEP) continue;
        for (int y = 0; y < steps; y++) { /* twelfths of a level */
            const float of = share[y] ? share[y] : 1;
            full[y] = 5 * share[y] > 4 * wide;
            mean[y] = (uint8_t)((int)((float)(3 * total[y]) / of) * full[y]);
            anywhere[y] |= full[y];
        }
        const int most = standing_out(f, steps);
        most_of_all = most_of_all > most ? most_of_all : most;
    }
    if (f->small) most_of_all = most_of_all * 4 / 5; /* vessels are a pixel or two wide there, and sharper */
    f->seam = f->seam > most_of_all ? f->seam : most_of_all;
    const int run = repeated_lines(f, count, means, anywhere);
    f->repeated = f->repeated > run ? f->repeated : run;
}

/* How one row of green differs from the rows next to it and next but one: what is looked at, and by how much. */
typedef struct {
    int16_t next[2 * COMB_COLUMNS];
    uint8_t inside[2 * COMB_COLUMNS];
    uint16_t seen, next_but_one;
    int16_t sum;
} CombRow;

INLINE void comb_row(const Frame *f, int y, CombRow *to) {
    const uint8_t *a = f->green + (size_t)y * (size_t)f->combs, *b = a + f->combs, *c = b + f->combs;
    const uint8_t *d = c + f->combs, *e = d + f->combs;
    uint16_t seen = 0, far = 0;
    int16_t sum = 0;
    for (int i = 0; i < f->combs; i++) {
        const int16_t inside = (a[i] > GATE_DARK) & (e[i] > GATE_DARK);
        int16_t next = (int16_t)(2 * c[i] - b[i] - d[i]), but_one = (int16_t)abs(2 * c[i] - a[i] - e[i]);
        next = next > 32 ? 32 : next < -32 ? -32 : next;
        but_one = but_one > 32 ? 32 : but_one;
        to->inside[i] = (uint8_t)inside;
        to->next[i] = next;
        seen = (uint16_t)(seen + inside);
        far = (uint16_t)(far + inside * but_one);
        sum = (int16_t)(sum + inside * next);
    }
    to->seen = seen;
    to->next_but_one = far;
    to->sum = sum;
}

/* Whether even and odd rows are of two moments (the ratio), or of two brightnesses (the offset). */
INLINE void comb(const Frame *f, StructureMeasures *to) {
    int64_t count = 0, far = 0, sum = 0, under = 0, under_sum = 0;
    CombRow row;
    to->comb_ratio = to->comb_offset = 0;
    for (int y = 0; y + 4 < f->height; y++) {
        comb_row(f, y, &row);
        count += row.seen;
        far += row.next_but_one;
        sum += y % 2 ? -row.sum : row.sum;
    }
    if (count < SEEN_MIN) return;
    /* The sum of |step - offset|, where the offset is sum / count: by the steps that are not over it. */
    const int16_t offset = (int16_t)(sum >= 0 ? sum / count : -((-sum + count - 1) / count));
    for (int y = 0; y + 4 < f->height; y++) {
        comb_row(f, y, &row);
        const int16_t sign = y % 2 ? -1 : 1;
        uint16_t few = 0;
        int16_t few_sum = 0;
        for (int i = 0; i < f->combs; i++) {
            const int16_t step = (int16_t)(sign * row.next[i]), below = (step <= offset) & row.inside[i];
            few = (uint16_t)(few + below);
            few_sum = (int16_t)(few_sum + below * step);
        }
        under += few;
        under_sum += few_sum;
    }
    const int64_t moved = (sum - 2 * under_sum) * count + sum * (2 * under - count);
    to->comb_ratio = (double)moved / (double)count / ((double)far + 0.25 * (double)count);
    to->comb_offset = (double)(sum < 0 ? -sum : sum) / (double)count / 2;
}

INLINE int looked_at(Frame *f, StructureMeasures *to) {
    walk(f);
    comb(f, to);
    for (int rows = 0; rows < 2; rows++) {
        for (int first = 0; first < (f->line_bits ? 2 : 1); first++) {
            seams(f, lines_of(f, rows, first), (rows ? f->width : f->height) >> f->mean_bits);
        }
    }
    to->seam = f->seam / (double)SCORE;
    to->repeated_rows = f->repeated;
    return GATE_DONE;
}

FOR_THIS_CPU(looked_at, (Frame *f, StructureMeasures *to), (f, to))

/* Room for everything in one piece, and its parts; NULL where there is none. */
static uint8_t *room_for(Frame *f) {
    const size_t height = (size_t)f->height, width = (size_t)f->width;
    const size_t longest = height > width ? height : width, lines = (longest >> f->line_bits) + 1;
    const size_t means = (longest >> f->mean_bits) + 1, margin = lines / 40 + 1, padded = lines + 2 * AROUND;
    const size_t means_high = (height >> f->mean_bits) + 1, means_wide = (width >> f->mean_bits) + 1;
    struct {
        void **to;
        size_t bytes;
    } parts[] = {
        {(void **)&f->row_units, (size_t)f->high * means_wide * 4},
        {(void **)&f->column_units, means_high * (size_t)f->wide * 4},
        {(void **)&f->column, width * 4},
        {(void **)&f->row, width * 4},
        {(void **)&f->spare, width * 4},
        {(void **)&f->sums, width * 6},
        {(void **)&f->light, width * 2},
        {(void **)&f->total, lines * 2},
        {(void **)&f->share, lines * 2},
        {(void **)&f->green, height * (size_t)f->combs},
        {(void **)&f->lines, lines * means},
        {(void **)&f->lit, (lines + 2 * margin) * (means + 2 * margin)},
        {(void **)&f->steps, (lines + 8) * means},
        {(void **)&f->seen, lines * means},
        {(void **)&f->mean, padded},
        {(void **)&f->full, padded},
        {(void **)&f->judged, padded},
        {(void **)&f->near, padded},
    };
    size_t total = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) total += (parts[i].bytes + 63) / 64 * 64;
    uint8_t *memory = room_taken(ROOM_OF_FRAME, total), *at = memory;
    for (size_t i = 0; memory && i < sizeof parts / sizeof *parts; i++) {
        *parts[i].to = at;
        at += (parts[i].bytes + 63) / 64 * 64;
    }
    return memory;
}

int structure_measures(const uint8_t *pixels, int height, int width, const uint8_t *image, StructureMeasures *to) {
    if (height < 1 || width < 1 || height > LONGEST || width > LONGEST) return GATE_DOES_NOT_FIT;
    Frame f = {.pixels = pixels, .height = height, .width = width};
    const int longest = height > width ? height : width;
    while (f.line_bits < LARGEST_LINE_BITS && longest >> (f.line_bits + 1) >= FEWEST_LINES) f.line_bits++;
    while (longest >> (f.mean_bits + 1) >= FEWEST_MEANS) f.mean_bits++;
    f.unit = f.line_bits ? 1 << (f.line_bits - 1) : 1;
    f.small = longest < FEWEST_LINES;
    f.high = height / f.unit;
    f.wide = width / f.unit;
    f.comb_step = width / COMB_COLUMNS > 1 ? width / COMB_COLUMNS : 1;
    f.combs = (width + f.comb_step - 1) / f.comb_step;
    uint8_t *memory = room_for(&f);
    const int done = memory ? looked_at_here(&f, to) : GATE_NO_MEMORY;
    room_given_back(ROOM_OF_FRAME, memory);
    return done == GATE_DONE ? picture_measures(pixels, height, width, f.small ? 0 : 1 << f.line_bits, image, to) : done;
}
