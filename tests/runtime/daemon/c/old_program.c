/*
 * A program built with the header of an earlier release and run with today's library, under AddressSanitizer:
 *   old_program SOCKET. Everything that the library writes lies between guards; 0: not a byte outside was touched.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ropscreen.h"

#define GUARD 64
#define WIDTH 64u
#define HEIGHT 64u

#define MUST(what)                                                                   \
    do {                                                                             \
        if (!(what)) {                                                               \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
            exit(1);                                                                 \
        }                                                                            \
    } while (0)

/* Memory of exactly that size on the heap, which ASan watches, with guards of its own as well. */
typedef struct {
    uint8_t *all;
    size_t size;
} guarded;

static guarded take(size_t size)
{
    const guarded it = {malloc(size + 2u * GUARD), size};
    MUST(it.all != NULL);
    memset(it.all, 0xA5, size + 2u * GUARD);
    return it;
}

static void *inside(const guarded *it)
{
    return it->all + GUARD;
}

static void give_back(guarded *it)
{
    for (size_t i = 0; i < GUARD; i++) {
        MUST(it->all[i] == 0xA5 && it->all[GUARD + it->size + i] == 0xA5);
    }
    free(it->all);
}

int main(int count, char **arguments)
{
    MUST(count == 2 && rop_version() >> 16 == ROPSCREEN_VERSION_MAJOR && rop_version() >= ROPSCREEN_VERSION);
    rop_client *const client = rop_new();
    rop_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.max_age_ms = 60000;
    options.timeout_ms = 20000;
    guarded slot = take(sizeof(rop_slot)), result = take(sizeof(rop_result)), health = take(sizeof(rop_health_report));
    guarded bundle = take(sizeof(rop_bundle_report)), map = take(ROP_VESSEL_BYTES);
    rop_slot *const mine = inside(&slot);
    rop_result *const reading = inside(&result);
    MUST(client != NULL && rop_open(client, arguments[1], "old", &options) == ROP_OK);
    MUST(rop_configure(client, 2, WIDTH * HEIGHT * 3u, ROP_ORDER_EVERY, ROP_STORED_PICTURES) == ROP_OK);
    for (uint64_t number = 0; number < 5; number++) {
        rop_picture picture;
        memset(&picture, 0, sizeof picture);
        picture.width = WIDTH;
        picture.height = HEIGHT;
        picture.stride = WIDTH * 3u;
        picture.format = (uint8_t)ROP_RGB8;
        picture.flags = ROP_WANT_VESSELS;
        picture.sequence = number;
        MUST(rop_acquire_slot(client, mine) == ROP_OK);
        memset(mine->pixels, 90 + (int)number, mine->bytes);
        MUST(rop_submit(client, mine, &picture) == ROP_OK);
        MUST(rop_wait(client, 60000, reading) == ROP_OK && reading->sequence == number && reading->text[0] != '\0');
        MUST(rop_result_vessels(client, reading, inside(&map)) >= ROP_OK);
    }
    MUST(rop_poll(client, reading) == ROP_NOTHING_YET);
    MUST(rop_health(client, inside(&health)) == ROP_OK && rop_bundle(client, inside(&bundle)) == ROP_OK);
    rop_free(client);
    give_back(&slot);
    give_back(&result);
    give_back(&health);
    give_back(&bundle);
    give_back(&map);
    (void)printf("done\n");
    return 0;
}
