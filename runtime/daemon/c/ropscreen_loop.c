/*
 * ropscreen-loop SOCKET RAW WIDTH HEIGHT PERIOD_MS [MAX_AGE_MS]: a camera's firmware in small; the manner to follow.
 *
 * The camera is a file of RGB pixels, exposed again every PERIOD_MS. What people are to see is printed, a line a change:
 * `UNTIL_NS WORDS`. The words may stand on a screen until that moment (rop_now_ns), then the screen must clear them by
 * itself: this program may be the one that hangs. 0: no finding, may stand.
 * Ends at SIGTERM with 0; 2: wrong call.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ropscreen.h"

#define WAIT_MS 20u      /* between two looks at the camera */
#define AGAIN_MS 100u    /* between two attempts to find the daemon */

static volatile sig_atomic_t stopping;

static void stop(int signal)
{
    (void)signal;
    stopping = 1;
}

/* ---- the screen: in a camera, whoever draws takes the words away at `until_ns` ---- */

static void show(const char *words, uint64_t until_ns)
{
    static char shown[ROP_TEXT_BYTES + 1u];
    static uint64_t shown_until;
    if (until_ns != shown_until || strcmp(words, shown) != 0) {
        (void)printf("%" PRIu64 " %s\n", until_ns, words);
        (void)fflush(stdout);
        (void)snprintf(shown, sizeof shown, "%s", words);
        shown_until = until_ns;
    }
}

/* ---- the camera ---- */

typedef struct {
    uint8_t *pixels;
    uint32_t width, height, bytes;
    uint64_t period_ns, next_ns, sequence;
} camera;

static bool has_frame(const camera *it)
{
    return rop_now_ns() >= it->next_ns;
}

static void expose_into(camera *it, uint8_t *pixels, rop_picture *picture)
{
    memset(picture, 0, sizeof *picture);
    picture->width = it->width;
    picture->height = it->height;
    picture->stride = it->width * 3u;
    picture->format = (uint8_t)ROP_RGB8;
    picture->sequence = it->sequence;
    picture->captured_ns = rop_now_ns(); /* before the first pixel, never after the last */
    picture->deadline_ns = picture->captured_ns + 500000000u;
    memcpy(pixels, it->pixels, it->bytes);
    pixels[0] = (uint8_t)it->sequence; /* no two pictures of a camera are the same */
    it->sequence++;
    it->next_ns = picture->captured_ns + it->period_ns;
}

/* ---- the loop; README.md shows it ---- */

/* Hand a frame over if there is one and a slot for it; not having one is no failure. */
static rop_status hand_over(rop_client *client, camera *eye)
{
    rop_slot slot;
    rop_picture picture;
    if (!has_frame(eye)) {
        return ROP_OK;
    }
    rop_status status = rop_acquire_slot(client, &slot);
    if (status != ROP_OK) {
        return status;
    }
    expose_into(eye, slot.pixels, &picture);
    status = rop_submit(client, &slot, &picture);
    if (status != ROP_OK) {
        (void)rop_release_slot(client, &slot);
    }
    return status;
}

/* Until the connection is over: submits while it waits, and shows nothing that is old. */
static rop_status read_frames(rop_client *client, camera *eye)
{
    uint64_t until_ns = 0;
    rop_status status = rop_configure(client, 3, eye->bytes, ROP_ORDER_NEWEST, 0);
    if (status != ROP_OK) {
        return status;
    }
    while (status > ROP_GONE && !stopping) {
        rop_result result;
        status = hand_over(client, eye);
        if (status > ROP_GONE) {
            status = rop_wait(client, WAIT_MS, &result);
        }
        if (status == ROP_OK && (result.flags & ROP_SUPERSEDED) == 0u) { /* one that a newer took the place of is no news */
            until_ns = result.outcome == ROP_NO_RESULT ? 0 : result.fresh_until_ns;
            show(result.text, until_ns);
        } else if (until_ns != 0u && rop_now_ns() >= until_ns) {
            until_ns = 0;
            show("No result - waiting for the next picture", 0);
        } else if (status == ROP_BAD_STATE) { /* nothing is under way: the camera gave no frame yet */
            const struct timespec pause = {.tv_nsec = WAIT_MS * 1000000L};
            (void)nanosleep(&pause, NULL);
        }
    }
    return status;
}

static void run(rop_client *client, const char *path, camera *eye, const rop_options *options)
{
    const struct timespec pause = {.tv_nsec = AGAIN_MS * 1000000L};
    while (!stopping) {
        rop_status status = rop_open(client, path, "camera-1", options);
        if (status == ROP_OK) {
            status = read_frames(client, eye);
        }
        if (!stopping) {
            show("No result - the reading program does not run", 0);
            (void)fprintf(stderr, "ropscreen-loop: %s\n", rop_error(client)); /* for an engineer's log */
            (void)nanosleep(&pause, NULL);
        }
        rop_close(client);
    }
}

/* ---- start ---- */

static bool load(camera *eye, char **arguments)
{
    FILE *const file = fopen(arguments[2], "rb");
    eye->width = (uint32_t)strtoul(arguments[3], NULL, 10);
    eye->height = (uint32_t)strtoul(arguments[4], NULL, 10);
    eye->period_ns = strtoull(arguments[5], NULL, 10) * 1000000u;
    if (file == NULL || eye->width < 1u || eye->width > 4096u || eye->height < 1u || eye->height > 4096u) {
        if (file != NULL) {
            (void)fclose(file);
        }
        return false;
    }
    eye->bytes = eye->width * eye->height * 3u;
    eye->pixels = malloc(eye->bytes);
    const bool whole = eye->pixels != NULL && fread(eye->pixels, 1, eye->bytes, file) == eye->bytes;
    (void)fclose(file);
    return whole;
}

int main(int count, char **arguments)
{
    camera eye = {0};
    rop_options options = {.size = sizeof options};
    rop_client *const client = rop_new();
    if (count < 6 || count > 7 || client == NULL || !load(&eye, arguments)) {
        (void)fprintf(stderr, "usage: ropscreen-loop SOCKET RAW WIDTH HEIGHT PERIOD_MS [MAX_AGE_MS]"
                              " (RAW: width x height x 3 bytes)\n");
        rop_free(client);
        free(eye.pixels);
        return 2;
    }
    if (count == 7) {
        options.max_age_ms = (uint32_t)strtoul(arguments[6], NULL, 10);
    }
    (void)signal(SIGTERM, stop);
    show("No result - no picture yet", 0);
    run(client, arguments[1], &eye, &options);
    rop_free(client);
    free(eye.pixels);
    return 0;
}
