/*
 * The C board's own tests, for firmware engineers without Python:
 *   cc -std=c11 -Wall -Wextra -Wconversion -pedantic ropboard.c test_ropboard.c -o test_ropboard && ./test_ropboard
 */
#include <stdio.h>
#include <string.h>

#include "ropboard.h"

static struct {
    uint8_t wire[ROP_MAX_WIRE];
    size_t count;
    unsigned sent, flashes;
    uint32_t flash_us;
    uint16_t led, flash_level;
} seen;
static rop_board board;
static unsigned failures, checks;

#define CHECK(what)                                                      \
    do {                                                                 \
        checks++;                                                        \
        if (!(what)) {                                                   \
            failures++;                                                  \
            printf("%s:%d: not so: %s\n", __func__, __LINE__, #what);    \
        }                                                                \
    } while (0)

static void on_send(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    memcpy(seen.wire, bytes, count);
    seen.count = count;
    seen.sent++;
}

static void on_led(void *context, uint16_t level)
{
    (void)context;
    seen.led = level;
}

static void on_flash(void *context, uint32_t flash_us, uint16_t level)
{
    (void)context;
    seen.flashes++;
    seen.flash_us = flash_us;
    seen.flash_level = level;
}

static uint32_t drawn;
static uint8_t version = 1;
static uint32_t connection;

static uint32_t on_draw(void *context)
{
    (void)context;
    return drawn += 1000u;
}

static void start(uint32_t now_ms)
{
    const rop_config config = {
        .board_id = 7, .max_led_level = 1000, .max_flash_us = 5000, .max_flash_level = 2000, .recharge_ms = 100};
    const rop_actions actions = {.send = on_send, .set_led = on_led, .flash = on_flash,
                                 .draw = version == 2u ? on_draw : NULL};
    memset(&seen, 0, sizeof seen);
    rop_board_init(&board, &config, &actions, now_ms);
    rop_board_set_interlock(&board, true, now_ms);
}

/* Sends a request; returns the code of the NAK, 0 for an ACK, -1 when there was no reply. */
static int ask(uint8_t type, uint16_t seq, const uint8_t *payload, uint8_t length, uint32_t now_ms)
{
    uint8_t wire[ROP_MAX_WIRE];
    rop_frame frame = {.version = version, .type = type, .seq = seq, .connection = connection, .length = length}, reply;
    if (length > 0) {
        memcpy(frame.payload, payload, length);
    }
    const unsigned before = seen.sent;
    rop_board_receive(&board, wire, rop_encode(&frame, wire), now_ms);
    if (seen.sent == before || !rop_decode(seen.wire, seen.count - 1, &reply) || reply.payload[0] != type) {
        return -1;
    }
    if (reply.version != version || reply.seq != seq || reply.connection != connection) {
        return -1;
    }
    if (type == ROP_OPEN && reply.type == ROP_ACK) {
        connection = (uint32_t)reply.payload[5] | (uint32_t)reply.payload[6] << 8 | (uint32_t)reply.payload[7] << 16 |
                     (uint32_t)reply.payload[8] << 24;
    }
    return reply.type == ROP_ACK ? 0 : reply.payload[1];
}

static const uint8_t arm_2ms[6] = {0xD0, 0x07, 0, 0, 0x64, 0};
static const uint8_t led_100[2] = {100, 0};

static void test_check_value_of_the_crc(void)
{
    CHECK(rop_crc16((const uint8_t *)"123456789", 9) == 0x29B1);
}

static void test_light_goes_off_without_heartbeat(void)
{
    start(0);
    CHECK(ask(ROP_SET_LED, 1, led_100, 2, 0) == ROP_NAK_NO_HEARTBEAT);
    CHECK(ask(ROP_HEARTBEAT, 2, NULL, 0, 0) == 0);
    CHECK(ask(ROP_SET_LED, 3, led_100, 2, 10) == 0 && seen.led == 100);
    rop_board_tick(&board, ROP_TRIP_MS - 1);
    CHECK(seen.led == 100);
    rop_board_tick(&board, ROP_TRIP_MS);
    CHECK(seen.led == 0);
}

static void test_repeated_fire_flashes_once(void)
{
    start(0);
    CHECK(ask(ROP_HEARTBEAT, 1, NULL, 0, 0) == 0);
    CHECK(ask(ROP_ARM, 2, arm_2ms, 6, 0) == 0);
    CHECK(ask(ROP_FIRE, 3, NULL, 0, 1) == 0);
    CHECK(ask(ROP_FIRE, 3, NULL, 0, 2) == 0);
    CHECK(seen.flashes == 1 && seen.flash_us == 2000 && seen.flash_level == 100);
    CHECK(ask(ROP_FIRE, 4, NULL, 0, 3) == ROP_NAK_NOT_ARMED);
    CHECK(ask(ROP_ARM, 5, arm_2ms, 6, 4) == 0);
    CHECK(ask(ROP_FIRE, 3, NULL, 0, 5) == ROP_NAK_SEQUENCE);
    CHECK(ask(ROP_FIRE, 6, NULL, 0, 102) == ROP_NAK_RECHARGING);
    CHECK(ask(ROP_FIRE, 7, NULL, 0, 103) == 0 && seen.flashes == 2);
}

static void test_armed_time_interlock_and_ceilings(void)
{
    const uint8_t too_long[6] = {0x89, 0x13, 0, 0, 1, 0}, too_bright[2] = {0xE9, 0x03};
    start(UINT32_MAX - 50); /* the clock wraps on the way */
    uint32_t now = UINT32_MAX - 50;
    CHECK(ask(ROP_HEARTBEAT, 1, NULL, 0, now) == 0);
    CHECK(ask(ROP_ARM, 2, too_long, 6, now) == ROP_NAK_FLASH_TIME_CEILING);
    CHECK(ask(ROP_SET_LED, 3, too_bright, 2, now) == ROP_NAK_LED_CEILING);
    CHECK(ask(ROP_ARM, 4, arm_2ms, 6, now) == 0);
    for (uint8_t beat = 5; beat < 10; beat++) {
        now += 400;
        CHECK(ask(ROP_HEARTBEAT, beat, NULL, 0, now) == 0);
    }
    CHECK(ask(ROP_FIRE, 10, NULL, 0, now) == ROP_NAK_NOT_ARMED);
    CHECK(ask(ROP_ARM, 11, arm_2ms, 6, now) == 0);
    CHECK(ask(ROP_SET_LED, 12, led_100, 2, now) == 0);
    rop_board_set_interlock(&board, false, now + 1);
    CHECK(seen.led == 0);
    CHECK(ask(ROP_FIRE, 13, NULL, 0, now + 1) == ROP_NAK_INTERLOCK_OPEN);
    CHECK(seen.flashes == 0);
}

static void test_damaged_frames_are_dropped(void)
{
    uint8_t wire[ROP_MAX_WIRE];
    start(0);
    CHECK(ask(ROP_HEARTBEAT, 1, NULL, 0, 0) == 0);
    CHECK(ask(ROP_ARM, 2, arm_2ms, 6, 0) == 0);
    const rop_frame fire = {.version = 1, .type = ROP_FIRE, .seq = 3};
    const size_t count = rop_encode(&fire, wire);
    for (size_t at = 0; at < count; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            wire[at] ^= (uint8_t)(1u << bit);
            rop_board_receive(&board, wire, count, 1);
            rop_board_receive(&board, (const uint8_t[]){0}, 1, 1);
            wire[at] ^= (uint8_t)(1u << bit);
        }
    }
    CHECK(seen.flashes == 0 && board.rejected > 0);
    CHECK(ask(ROP_FIRE, 4, NULL, 0, 2) == 0 && seen.flashes == 1);
}

static void test_a_connection_and_what_was_recorded_from_it(void)
{
    const uint8_t nonce[4] = {1, 2, 3, 4}, other[4] = {5, 6, 7, 8};
    version = 2;
    connection = 0;
    start(0);
    CHECK(ask(ROP_HEARTBEAT, 1, NULL, 0, 0) == ROP_NAK_CONNECTION);
    CHECK(ask(ROP_STOP, 1, NULL, 0, 0) == 0);
    CHECK(ask(ROP_OPEN, 0, nonce, 4, 0) == 0 && connection != 0);
    const uint32_t first = connection;
    CHECK(ask(ROP_HEARTBEAT, 1, NULL, 0, 0) == 0);
    CHECK(ask(ROP_ARM, 300, arm_2ms, 6, 0) == 0);
    CHECK(ask(ROP_FIRE, 301, NULL, 0, 1) == 0 && seen.flashes == 1);
    CHECK(ask(ROP_FIRE, 301, NULL, 0, 2) == 0 && seen.flashes == 1);
    CHECK(ask(ROP_ARM, 300, arm_2ms, 6, 200) == ROP_NAK_SEQUENCE);
    CHECK(ask(ROP_SET_LED, 302, led_100, 2, 200) == 0);
    CHECK(ask(ROP_OPEN, 0xFFFF, other, 4, 200) == 0 && connection != first && seen.led == 100); /* renewed */
    CHECK(ask(ROP_HEARTBEAT, 1, NULL, 0, 200) == 0);
    connection = first;
    CHECK(ask(ROP_ARM, 303, arm_2ms, 6, 200) == ROP_NAK_CONNECTION);
    connection = 0;
    CHECK(ask(ROP_OPEN, 0, nonce, 4, 200) == 0 && seen.led == 0); /* a recorded one gives nobody anything */
    connection = first;
    CHECK(ask(ROP_ARM, 300, arm_2ms, 6, 200) == ROP_NAK_CONNECTION);
    CHECK(ask(ROP_FIRE, 301, NULL, 0, 200) == ROP_NAK_CONNECTION);
    CHECK(seen.flashes == 1);
}

int main(void)
{
    test_check_value_of_the_crc();
    test_light_goes_off_without_heartbeat();
    test_repeated_fire_flashes_once();
    test_armed_time_interlock_and_ceilings();
    test_damaged_frames_are_dropped();
    test_a_connection_and_what_was_recorded_from_it();
    printf("%u checks, %u failed\n", checks, failures);
    return failures == 0 ? 0 : 1;
}
