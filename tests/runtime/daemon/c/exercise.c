/*
 * Uses the C library as firmware would, to be run under valgrind and the sanitizers:
 *   exercise SOCKET CLIENTS FRAMES PICTURE WIDTH HEIGHT   (PICTURE: raw RGB)
 * Every client lives in a thread of its own; its pixels are written by a further thread. Exit status 0: all was as it
 * must be. FRAMES 0: submit for ever, to be killed while doing so.
 */
#define _GNU_SOURCE 1
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ropscreen.h"

#define MOST_CLIENTS 16
#define SLOTS 3u

static struct {
    const char *path;
    unsigned long frames;
    uint32_t width, height;
    uint8_t *pixels;
    size_t bytes;
} job;

#define MUST(what)                                                             \
    do {                                                                       \
        if (!(what)) {                                                         \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

/* The camera: writes the picture into a slot. */
static void *expose(void *argument)
{
    const rop_slot *const slot = argument;
    memcpy(slot->pixels, job.pixels, job.bytes);
    return NULL;
}

static rop_picture picture_of(uint64_t sequence)
{
    rop_picture picture;
    memset(&picture, 0, sizeof picture);
    picture.width = job.width;
    picture.height = job.height;
    picture.stride = job.width * 3u;
    picture.format = (uint8_t)(sequence % 2u == 0u ? ROP_RGB8 : ROP_BGR8);
    picture.flags = ROP_WANT_VESSELS;
    picture.sequence = sequence;
    picture.captured_ns = rop_now_ns();
    return picture;
}

static void one_frame(rop_client *client, uint64_t sequence)
{
    rop_slot slot;
    pthread_t camera;
    const rop_picture picture = picture_of(sequence);
    MUST(rop_acquire_slot(client, &slot) == ROP_OK && slot.bytes >= job.bytes);
    MUST(pthread_create(&camera, NULL, expose, &slot) == 0 && pthread_join(camera, NULL) == 0);
    MUST(rop_submit(client, &slot, &picture) == ROP_OK);
}

static void one_result(rop_client *client, uint64_t sequence)
{
    rop_result result;
    uint8_t *const map = malloc(ROP_VESSEL_BYTES);
    MUST(map != NULL && rop_wait(client, 60000, &result) == ROP_OK);
    MUST(result.sequence == sequence && result.refused == 0u && result.text[0] != '\0');
    if (result.outcome == ROP_NO_REFERRAL_FINDINGS) {
        MUST((result.flags & ROP_HAS_VESSELS) != 0u && rop_result_vessels(client, &result, map) == ROP_OK);
    }
    free(map);
}

static void misuse(rop_client *client)
{
    rop_slot slot;
    rop_result result;
    rop_picture picture = picture_of(0);
    MUST(rop_poll(client, &result) == ROP_NOTHING_YET && result.outcome == ROP_NO_RESULT);
    MUST(rop_wait(client, 10, &result) == ROP_BAD_STATE && result.outcome == ROP_NO_RESULT);
    MUST(rop_acquire_slot(client, &slot) == ROP_OK);
    const uint32_t first = slot.index;
    picture.height = UINT32_MAX;
    MUST(rop_submit(client, &slot, &picture) == ROP_BAD_ARGUMENT);
    slot.index = (slot.index + 1u) % SLOTS;
    MUST(rop_submit(client, &slot, &picture) == ROP_BAD_STATE && rop_error(client)[0] != '\0');
    slot.index = UINT32_MAX;
    MUST(rop_submit(client, &slot, &picture) == ROP_BAD_ARGUMENT && rop_release_slot(client, &slot) == ROP_BAD_ARGUMENT);
    slot.index = first;
    MUST(rop_release_slot(client, &slot) == ROP_OK && rop_release_slot(client, &slot) == ROP_BAD_STATE);
    MUST(rop_open(client, job.path, "twice", NULL) == ROP_BAD_STATE);
    MUST(rop_configure(client, 1, 1, ROP_ORDER_NEWEST, 0) == ROP_BAD_STATE);
    MUST(rop_acquire_slot(NULL, &slot) == ROP_BAD_ARGUMENT && rop_acquire_slot(client, NULL) == ROP_BAD_ARGUMENT);
    MUST(rop_poll(NULL, &result) == ROP_BAD_ARGUMENT && rop_poll(client, NULL) == ROP_BAD_ARGUMENT);
}

static void *use(void *argument)
{
    const rop_options options = {.size = sizeof options, .timeout_ms = 60000, .max_age_ms = 60000};
    rop_client *const client = argument;
    rop_health_report health;
    rop_bundle_report bundle;
    for (int round = 0; round < 2; round++) {
        MUST(rop_open(client, job.path, "exercise", &options) == ROP_OK && rop_descriptor(client) >= 0);
        MUST(rop_bundle(client, &bundle) == ROP_OK && bundle.class_count == 2u);
        MUST(rop_configure(client, SLOTS, (uint32_t)job.bytes, ROP_ORDER_EVERY, ROP_STORED_PICTURES) == ROP_OK);
        misuse(client);
        for (uint64_t sequence = 0; sequence < job.frames || job.frames == 0; sequence++) {
            if (sequence >= SLOTS - 1u) {
                one_result(client, sequence - (SLOTS - 1u));
            }
            one_frame(client, sequence);
        }
        MUST(rop_health(client, &health) == ROP_OK && health.state >= ROP_READY);
        one_result(client, job.frames - 2u); /* the last one is left under way */
        rop_close(client);
        rop_close(client);
        MUST(rop_descriptor(client) == -1 && rop_ring_fd(client) == -1);
    }
    return NULL;
}

static void load(const char *path)
{
    FILE *const file = fopen(path, "rb");
    job.bytes = (size_t)job.width * job.height * 3u;
    job.pixels = malloc(job.bytes);
    MUST(file != NULL && job.pixels != NULL && fread(job.pixels, 1, job.bytes, file) == job.bytes);
    MUST(fclose(file) == 0);
}

int main(int count, char **arguments)
{
    rop_client *clients[MOST_CLIENTS];
    pthread_t threads[MOST_CLIENTS];
    MUST(count == 7);
    const unsigned long users = strtoul(arguments[2], NULL, 10);
    job.path = arguments[1];
    job.frames = strtoul(arguments[3], NULL, 10);
    job.width = (uint32_t)strtoul(arguments[5], NULL, 10);
    job.height = (uint32_t)strtoul(arguments[6], NULL, 10);
    MUST(users >= 1u && users <= MOST_CLIENTS && (job.frames == 0 || job.frames >= SLOTS));
    load(arguments[4]);
    for (unsigned long i = 0; i < users; i++) {
        clients[i] = rop_new();
        MUST(clients[i] != NULL && pthread_create(&threads[i], NULL, use, clients[i]) == 0);
    }
    for (unsigned long i = 0; i < users; i++) {
        MUST(pthread_join(threads[i], NULL) == 0);
        rop_free(clients[i]);
    }
    free(job.pixels);
    (void)printf("done\n");
    return 0;
}
