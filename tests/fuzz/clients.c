/*
 * What the C code reads from others, for libFuzzer: the daemon's messages and the light board's line, with right sums too.
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -Iruntime/daemon/c -Idevice/light/c tests/fuzz/clients.c \
 *       runtime/daemon/c/ropscreen_wire.c device/light/c/ropboard.c -o fuzz_clients
 */
#include <stdlib.h>
#include <string.h>

#include "ropboard.h"
#include "ropscreen_wire.h"

static void on_send(void *context, const uint8_t *bytes, size_t count)
{
    rop_frame frame;
    (void)context;
    if (count < 1 || !rop_decode(bytes, count - 1, &frame)) {
        abort(); /* the board says only what can be read */
    }
}

static unsigned flashes;

static void on_led(void *context, uint16_t level)
{
    (void)context;
    if (level > 1000) {
        abort();
    }
}

static void on_flash(void *context, uint32_t flash_us, uint16_t level)
{
    (void)context;
    if (++flashes > 1 || flash_us > 5000 || level > 2000) {
        abort(); /* all happens in one moment, and the recharge takes longer */
    }
}

static uint32_t on_draw(void *context)
{
    (void)context;
    return 7;
}

static void board(const uint8_t *data, size_t size, uint8_t version)
{
    static rop_board machine;
    const rop_config config = {
        .board_id = 7, .max_led_level = 1000, .max_flash_us = 5000, .max_flash_level = 2000, .recharge_ms = 100};
    const rop_actions actions = {
        .send = on_send, .set_led = on_led, .flash = on_flash, .draw = version == 2u ? on_draw : NULL};
    flashes = 0;
    rop_board_init(&machine, &config, &actions, 0);
    rop_board_set_interlock(&machine, true, 0);
    rop_board_receive(&machine, data, size, 10);
    rop_board_receive(&machine, (const uint8_t[]){0}, 1, 10);
    for (size_t at = 0; at + 4 <= size;) {
        uint8_t wire[ROP_MAX_WIRE];
        rop_frame frame = {.version = version, .type = data[at], .seq = data[at + 1], .connection = data[at + 2] % 9u};
        const size_t left = size - at - 4, length = data[at + 3] % (ROP_MAX_PAYLOAD + 1u);
        frame.length = (uint8_t)(length < left ? length : left);
        memcpy(frame.payload, data + at + 4, frame.length);
        rop_board_receive(&machine, wire, rop_encode(&frame, wire), 10);
        at += 4u + frame.length;
    }
}

static void read_as(const uint8_t *wire, size_t count, ropd_sender sender)
{
    ropd_message message;
    uint8_t again[ROPD_LARGEST];
    if (ropd_decode(wire, count, sender, &message) == ROPD_ACCEPTED &&
        (ropd_encode(&message, again) != count || memcmp(again, wire, count) != 0)) {
        abort(); /* a message has one form */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t wire[ROPD_LARGEST];
    read_as(data, size, ROPD_FROM_DAEMON);
    read_as(data, size, ROPD_FROM_CLIENT);
    if (size >= 20 && size <= sizeof wire) {
        memcpy(wire, data, size);
        const uint32_t crc = ropd_crc32(wire, size - 4);
        for (size_t i = 0; i < 4; i++) {
            wire[size - 4 + i] = (uint8_t)(crc >> (8 * i));
        }
        read_as(wire, size, ROPD_FROM_DAEMON);
        read_as(wire, size, ROPD_FROM_CLIENT);
    }
    board(data, size, 1);
    board(data, size, 2);
    return 0;
}
