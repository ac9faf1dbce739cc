/* Lets a test in Python drive the C board: one board, and a log of everything it did. */
#include <string.h>

#include "ropboard.h"

enum { LOG_BYTES = 1 << 16 };

static rop_board board;
static uint8_t log_bytes[LOG_BYTES];
static size_t log_count;

static void note(uint8_t kind, const uint8_t *bytes, size_t count)
{
    if (log_count + count + 2 <= LOG_BYTES) {
        log_bytes[log_count++] = kind;
        log_bytes[log_count++] = (uint8_t)count;
        memcpy(log_bytes + log_count, bytes, count);
        log_count += count;
    }
}

static void on_send(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    note('S', bytes, count);
}

static void on_led(void *context, uint16_t level)
{
    (void)context;
    const uint8_t bytes[2] = {(uint8_t)(level & 0xFFu), (uint8_t)(level >> 8)};
    note('L', bytes, sizeof bytes);
}

static void on_flash(void *context, uint32_t flash_us, uint16_t level)
{
    (void)context;
    const uint8_t bytes[6] = {(uint8_t)(flash_us & 0xFFu),       (uint8_t)(flash_us >> 8 & 0xFFu),
                              (uint8_t)(flash_us >> 16 & 0xFFu), (uint8_t)(flash_us >> 24),
                              (uint8_t)(level & 0xFFu),          (uint8_t)(level >> 8)};
    note('F', bytes, sizeof bytes);
}

static uint32_t drawn;

/* As `Draws` of the test. */
static uint32_t on_draw(void *context)
{
    (void)context;
    drawn = drawn * 1664525u + 1013904223u;
    return drawn % 5u == 0 ? 0 : drawn;
}

void harness_start(uint64_t board_id, uint16_t max_led, uint32_t max_us, uint16_t max_flash, uint32_t recharge_ms,
                   uint32_t now_ms, int version);
void harness_receive(const uint8_t *bytes, size_t count, uint32_t now_ms);
void harness_input(int which, int on, uint32_t now_ms);
size_t harness_log(uint8_t *out, size_t room);

void harness_start(uint64_t board_id, uint16_t max_led, uint32_t max_us, uint16_t max_flash, uint32_t recharge_ms,
                   uint32_t now_ms, int version)
{
    const rop_config config = {board_id, max_led, max_us, max_flash, recharge_ms};
    const rop_actions actions = {NULL, on_send, on_led, on_flash, version == 2 ? on_draw : NULL};
    log_count = 0;
    drawn = 0;
    rop_board_init(&board, &config, &actions, now_ms);
}

void harness_receive(const uint8_t *bytes, size_t count, uint32_t now_ms)
{
    rop_board_receive(&board, bytes, count, now_ms);
}

/* 0 tick, 1 interlock, 2 overheated, 3 foot switch */
void harness_input(int which, int on, uint32_t now_ms)
{
    switch (which) {
    case 1:
        rop_board_set_interlock(&board, on != 0, now_ms);
        break;
    case 2:
        rop_board_set_overheated(&board, on != 0, now_ms);
        break;
    case 3:
        rop_board_set_foot_switch(&board, on != 0, now_ms);
        break;
    default:
        rop_board_tick(&board, now_ms);
        break;
    }
}

/* Copies the log out and empties it; returns its length. */
size_t harness_log(uint8_t *out, size_t room)
{
    const size_t count = log_count < room ? log_count : room;
    memcpy(out, log_bytes, count);
    log_count = 0;
    return count;
}
