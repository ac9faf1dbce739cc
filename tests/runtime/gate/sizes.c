/* Measures pictures of random sizes and contents, for the sanitizers: sizes SEED COUNT LONGEST [HEIGHT WIDTH]. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"

static uint32_t state;

static uint32_t next(uint32_t under) {
    state = state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)state * under) >> 32);
}

/* Of one colour, noise, stripes, or blocks: exactly as long as it is, so that one byte beyond is seen. */
static uint8_t *picture(int height, int width) {
    const size_t bytes = (size_t)height * (size_t)width * 3;
    const uint32_t kind = next(4), level = next(256), size = 1 + next(40);
    uint8_t *made = malloc(bytes);
    if (!made) exit(3);
    for (size_t i = 0; i < bytes; i++) {
        const size_t y = i / 3 / (size_t)width, x = i / 3 % (size_t)width;
        made[i] = (uint8_t)(kind == 0   ? level
                            : kind == 1 ? next(256)
                            : kind == 2 ? (x / size + level) * 37
                                        : ((x / size) ^ (y / size)) * 83 + level);
    }
    return made;
}

static int measured(int height, int width, int gate_too) {
    GateMeasures gate;
    StructureMeasures structure;
    uint8_t *pixels = picture(height, width), *image = picture(GATE_SIDE, GATE_SIDE);
    const int done = (gate_too && gate_measures(image, &gate)) || structure_measures(pixels, height, width, image, &structure);
    free(pixels);
    free(image);
    return done;
}

int main(int count, char **words) {
    state = (uint32_t)atoi(words[1]);
    if (count == 6) return measured(atoi(words[4]), atoi(words[5]), 0);
    for (int i = 0; i < atoi(words[2]); i++) {
        const uint32_t longest = (uint32_t)atoi(words[3]);
        const int height = (int)(1 + next(next(3) ? longest : 12)), width = (int)(1 + next(next(3) ? longest : 12));
        if (measured(height, width, i % 5 == 0)) return fprintf(stderr, "%d x %d\n", width, height), 1;
    }
    return 0;
}
