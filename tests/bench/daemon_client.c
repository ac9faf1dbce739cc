/*
 * What the daemon adds for a client in C: `daemon_client SOCKET RAW WIDTH HEIGHT FRAMES PAUSE_US`.
 *
 * RAW holds pictures of that size, RGB bytes one after the other. After a pause each frame is copied into its slot and
 * submitted. Prints one JSON line, the 50th and 99th percentile of each in
 * milliseconds: `whole` from the submission to the result, `around` the same less the daemon's own reading, of that
 * `after` since the reading was finished, `question` a rop_health and its answer.
 */
#define _GNU_SOURCE 1
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ropscreen.h"

static int by_size(const void *one, const void *other)
{
    const double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static void print(const char *name, double *values, size_t count, const char *end)
{
    qsort(values, count, sizeof *values, by_size);
    (void)printf("\"%s\": [%.4f, %.4f]%s", name, values[count / 2u], values[count * 99u / 100u], end);
}

static double since_ms(uint64_t start_ns)
{
    return (double)(rop_now_ns() - start_ns) / 1e6;
}

static rop_status read_frame(rop_client *client, const uint8_t *picture, rop_picture *facts, long pause_us,
                             double *whole_ms, double *after_ms, rop_result *result)
{
    const struct timespec pause = {.tv_sec = pause_us / 1000000, .tv_nsec = pause_us % 1000000 * 1000};
    rop_slot slot;
    rop_status status = rop_acquire_slot(client, &slot);
    if (status != ROP_OK) {
        return status;
    }
    if (pause_us > 0) {
        (void)nanosleep(&pause, NULL);
    }
    memcpy(slot.pixels, picture, (size_t)facts->stride * facts->height);
    const uint64_t start = rop_now_ns();
    facts->captured_ns = start;
    status = rop_submit(client, &slot, facts);
    if (status != ROP_OK) {
        return status;
    }
    status = rop_wait(client, 10000u, result);
    *whole_ms = since_ms(start);
    *after_ms = since_ms(result->done_ns);
    return status;
}

int main(int argc, char **argv)
{
    const rop_options options = {.size = sizeof options, .timeout_ms = 10000u, .max_age_ms = 60000u};
    rop_client *const client = rop_new();
    if (argc != 7 || client == NULL) {
        return 2;
    }
    const uint32_t width = (uint32_t)strtoul(argv[3], NULL, 10), height = (uint32_t)strtoul(argv[4], NULL, 10);
    const size_t bytes = (size_t)width * height * 3u, frames = strtoul(argv[5], NULL, 10), warmup = 10;
    FILE *const file = fopen(argv[2], "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        return 2;
    }
    const size_t pictures = (size_t)ftell(file) / bytes;
    uint8_t *const raw = malloc(pictures * bytes);
    double *const values = calloc(frames * 4u, sizeof *values);
    rewind(file);
    if (pictures == 0u || frames == 0u || raw == NULL || values == NULL || fread(raw, bytes, pictures, file) != pictures) {
        return 2;
    }
    (void)fclose(file);
    double *const whole = values, *const around = values + frames;
    double *const after = values + 2u * frames, *const question = values + 3u * frames;
    rop_status status = rop_open(client, argv[1], "c-bench", &options);
    if (status == ROP_OK) {
        status = rop_configure(client, 2u, (uint32_t)bytes, ROP_ORDER_EVERY, ROP_STORED_PICTURES);
    }
    for (size_t number = 0; status == ROP_OK && number < frames + warmup; number++) {
        rop_picture facts = {
            .width = width, .height = height, .stride = 3u * width, .format = ROP_RGB8, .sequence = number};
        rop_result result;
        rop_health_report health;
        const size_t at = number < warmup ? 0u : number - warmup;
        status = read_frame(client, raw + number % pictures * bytes, &facts, strtol(argv[6], NULL, 10),
                            &whole[at], &after[at], &result);
        if (status == ROP_OK && result.class_count == 0u) {
            (void)fprintf(stderr, "frame %zu: %s\n", number, result.text);
            return 1;
        }
        around[at] = whole[at] - (double)result.timings_ms[ROP_MS_TOTAL];
        if (status == ROP_OK) {
            const uint64_t start = rop_now_ns();
            status = rop_health(client, &health);
            question[at] = since_ms(start);
        }
    }
    rop_free(client);
    if (status != ROP_OK) {
        (void)fprintf(stderr, "%s\n", rop_status_text(status));
        return 1;
    }
    (void)printf("{");
    print("whole", whole, frames, ", ");
    print("around", around, frames, ", ");
    print("after", after, frames, ", ");
    print("question", question, frames, "}\n");
    free(values);
    free(raw);
    return 0;
}
