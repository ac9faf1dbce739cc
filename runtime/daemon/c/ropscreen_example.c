/*
 * ropscreen-example SOCKET PICTURE.ppm: have one picture read by the daemon, print the reading as one line of JSON.
 *
 * The picture is read from its file straight into the slot; nothing is copied on the way to the daemon.
 * Exit status: 0 a reading was given (whatever its outcome), 1 none was to be had, 2 wrong call or unusable picture.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ropscreen.h"

#define TIMEOUT_MS 5000u
#define MOST_PIXELS_A_SIDE 16384u

/* ---- the picture: binary PPM (P6) with 8 bits a sample ---- */

/* The next number of a PPM header; 0 when there is none. Comments run from # to the end of the line. */
static uint32_t header_number(FILE *file)
{
    uint32_t value = 0;
    int c = fgetc(file);
    while (c == '#' || isspace(c)) {
        if (c == '#') {
            while (c != '\n' && c != EOF) {
                c = fgetc(file);
            }
        }
        c = fgetc(file);
    }
    while (c >= '0' && c <= '9' && value <= MOST_PIXELS_A_SIDE) {
        value = value * 10u + (uint32_t)(c - '0');
        c = fgetc(file);
    }
    return isspace(c) ? value : 0u; /* exactly one white space ends the header */
}

static bool read_header(FILE *file, rop_picture *picture)
{
    if (fgetc(file) != 'P' || fgetc(file) != '6') {
        return false;
    }
    picture->width = header_number(file);
    picture->height = header_number(file);
    picture->stride = picture->width * 3u;
    picture->format = (uint8_t)ROP_RGB8;
    return header_number(file) == 255u && picture->width >= 1u && picture->width <= MOST_PIXELS_A_SIDE &&
           picture->height >= 1u && picture->height <= MOST_PIXELS_A_SIDE;
}

/* ---- JSON ---- */

static void print_text(const char *name, const char *text, const char *after)
{
    (void)printf("\"%s\": \"", name);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            (void)printf("\\%c", *text);
        } else if ((unsigned char)*text < 0x20u) {
            (void)printf("\\u%04x", (unsigned)(unsigned char)*text);
        } else {
            (void)putchar(*text);
        }
    }
    (void)printf("\"%s", after);
}

static void print_number(const char *name, float value, bool known, const char *after)
{
    if (known) {
        (void)printf("\"%s\": %.6g%s", name, (double)value, after);
    } else {
        (void)printf("\"%s\": null%s", name, after);
    }
}

static void print_flag(const char *name, bool set, const char *after)
{
    (void)printf("\"%s\": %s%s", name, set ? "true" : "false", after);
}

static void print_sha256(const uint8_t sha256[32], const char *after)
{
    (void)printf("\"sha256\": \"");
    for (size_t i = 0; i < 32u; i++) {
        (void)printf("%02x", sha256[i]);
    }
    (void)printf("\"%s", after);
}

static const char *outcome_name(uint8_t outcome)
{
    static const char *const names[] = {"NO_RESULT", "REFER", "NO_REFERRAL_FINDINGS", "RETAKE", "NO_RESULT"};
    return outcome <= ROP_NO_RESULT ? names[outcome] : "NO_RESULT";
}

static void print_probabilities(const rop_result *result, const rop_bundle_report *bundle)
{
    const uint8_t count = result->class_count < bundle->class_count ? result->class_count : bundle->class_count;
    if (count == 0u) {
        (void)printf("\"probabilities\": null, ");
        return;
    }
    (void)printf("\"probabilities\": {");
    for (uint8_t i = 0; i < count; i++) {
        print_number(bundle->class_names[i], result->probabilities[i], true, i + 1 < count ? ", " : "}, ");
    }
}

static void print_timings(const rop_result *result)
{
    static const char *const names[ROP_MS_COUNT] = {"queue",    "quality", "preprocess", "segment",
                                                    "classify", "decide",  "total"};
    (void)printf("\"timings_ms\": {");
    for (size_t i = 0; i < (size_t)ROP_MS_COUNT; i++) {
        const float ms = result->timings_ms[i];
        print_number(names[i], ms, ms >= 0.0F, i + 1u < (size_t)ROP_MS_COUNT ? ", " : "}, ");
    }
}

static void print_reading(const rop_result *result, const rop_picture *picture, const rop_bundle_report *bundle)
{
    (void)printf("{\"schema\": \"rop.daemon.reading/1\", \"frame\": {\"sequence\": %" PRIu64 ", \"width\": %" PRIu32
                 ", \"height\": %" PRIu32 ", ",
                 result->sequence, picture->width, picture->height);
    print_sha256(result->frame_sha256, "}, ");
    print_text("outcome", outcome_name(result->outcome), ", ");
    print_text("text", result->text, ", ");
    print_text("reason", result->reason, ", ");
    print_probabilities(result, bundle);
    if ((result->flags & ROP_GRADED) != 0u) {
        print_flag("gradable", (result->flags & ROP_GRADABLE) != 0u, ", ");
    } else {
        (void)printf("\"gradable\": null, ");
    }
    print_number("vessel_fraction", result->vessel_fraction, result->vessel_fraction >= 0.0F, ", ");
    print_timings(result);
    print_number("budget_ms", result->budget_ms, result->budget_ms > 0.0F, ", ");
    print_flag("late", (result->flags & ROP_LATE) != 0u, ", ");
    print_flag("clinical_use", (result->flags & ROP_CLINICAL_USE) != 0u, ", ");
    (void)printf("\"bundle\": {");
    print_text("name", bundle->name, ", ");
    print_text("version", bundle->version, ", ");
    print_sha256(result->bundle_sha256, ", ");
    print_text("notice", bundle->notice, "}, ");
    (void)printf("\"engine\": {");
    print_text("backend", bundle->backend, ", ");
    print_text("precision", bundle->precision, ", ");
    print_text("device", bundle->device, "}}\n");
}

/* ---- the daemon ---- */

static int failed(const rop_client *client, const char *what, rop_status status)
{
    const char *const why = rop_error(client);
    (void)fprintf(stderr, "ropscreen-example: %s: %s\n", what, why[0] != '\0' ? why : rop_status_text(status));
    return 1;
}

/* The picture's pixels are still in the file. */
static int read_by_daemon(rop_client *client, FILE *file, const char *path, rop_picture *picture)
{
    rop_slot slot;
    rop_result result;
    rop_bundle_report bundle;
    const uint32_t bytes = picture->stride * picture->height;
    rop_status status = rop_configure(client, 1, bytes, ROP_ORDER_EVERY, ROP_STORED_PICTURES);
    if (status == ROP_OK) {
        status = rop_acquire_slot(client, &slot);
    }
    if (status != ROP_OK) {
        return failed(client, "cannot prepare", status);
    }
    if (fread(slot.pixels, 1, bytes, file) != bytes) {
        (void)fprintf(stderr, "ropscreen-example: %s: fewer pixels than its header says; save it again\n", path);
        return 2;
    }
    picture->captured_ns = rop_now_ns();
    status = rop_submit(client, &slot, picture);
    if (status == ROP_OK) {
        status = rop_wait(client, TIMEOUT_MS, &result);
    }
    if (status == ROP_OK) {
        status = rop_bundle(client, &bundle);
    }
    if (status != ROP_OK) {
        return failed(client, "no reading", status);
    }
    if (result.refused != 0u || memcmp(result.bundle_sha256, bundle.sha256, sizeof bundle.sha256) != 0) {
        (void)fprintf(stderr, "ropscreen-example: no reading: %s\n",
                      result.refused != 0u ? result.reason : "the bundle was replaced meanwhile; call again");
        return 1;
    }
    print_reading(&result, picture, &bundle);
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int count, char **arguments)
{
    const rop_options options = {.size = sizeof options, .timeout_ms = TIMEOUT_MS, .max_age_ms = 60000};
    rop_picture picture = {0};
    int done = 1;
    if (count != 3) {
        (void)fprintf(stderr, "usage: ropscreen-example SOCKET PICTURE.ppm\n");
        return 2;
    }
    FILE *const file = fopen(arguments[2], "rb");
    if (file == NULL) {
        (void)fprintf(stderr, "ropscreen-example: %s: %s\n", arguments[2], strerror(errno));
        return 2;
    }
    if (!read_header(file, &picture)) {
        (void)fprintf(stderr, "ropscreen-example: %s: expected a binary PPM (P6, 8 bits a sample, sides up to %u)\n",
                      arguments[2], MOST_PIXELS_A_SIDE);
        (void)fclose(file);
        return 2;
    }
    rop_client *const client = rop_new();
    if (client == NULL) {
        (void)fprintf(stderr, "ropscreen-example: no memory\n");
        (void)fclose(file);
        return 1;
    }
    const rop_status status = rop_open(client, arguments[1], "ropscreen-example", &options);
    done = status == ROP_OK ? read_by_daemon(client, file, arguments[2], &picture)
                            : failed(client, arguments[1], status);
    rop_free(client);
    (void)fclose(file);
    return done;
}
