/*
 * ropboard: the board's side of ROPLINK as a state machine in portable C11.
 *
 * No hardware, no heap, no clock of its own: the firmware feeds it bytes, switch states and milliseconds, and it
 * calls back with bytes for the host and with what the light must do. ../PROTOCOL.md describes the protocol;
 * ../board.py is the same machine in Python. Not reentrant: call it from one context, and do not call it from
 * inside a callback.
 */
#ifndef ROPBOARD_H
#define ROPBOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ROP_MAX_PAYLOAD 64u
#define ROP_HEADER_1 4u  /* ROPLINK/1: version, type, seq u8, length */
#define ROP_HEADER_2 9u  /* ROPLINK/2: version, type, seq u16, connection u32, length */
#define ROP_MAX_RAW (ROP_HEADER_2 + ROP_MAX_PAYLOAD + 2u) /* header, payload, CRC */
#define ROP_MAX_ENCODED (ROP_MAX_RAW + 1u)        /* after COBS, closing zero not counted */
#define ROP_MAX_WIRE (ROP_MAX_ENCODED + 1u)       /* closing zero counted */

#define ROP_WATCHDOG_MS 500u    /* the light is off no later than this after the host has sent its last heartbeat */
#define ROP_TICK_MS 20u         /* call rop_board_tick at least this often */
#define ROP_LINK_MS 50u         /* so long may a heartbeat have been on its way */
#define ROP_TRIP_MS (ROP_WATCHDOG_MS - ROP_TICK_MS - ROP_LINK_MS) /* without a heartbeat for this long it is dark */
#define ROP_ARM_WINDOW_MS 2000u /* FIRE is valid for less than this after ARM */
#define ROP_MAX_RECHARGE_MS 3600000u

enum rop_type {
    ROP_SET_LED = 0x01,
    ROP_HEARTBEAT = 0x02,
    ROP_ARM = 0x03,
    ROP_FIRE = 0x04,
    ROP_STOP = 0x05,
    ROP_STATUS = 0x06,
    ROP_DOSE = 0x07,
    ROP_OPEN = 0x08, /* ROPLINK/2 only */
    ROP_ACK = 0x80,
    ROP_NAK = 0x81,
    ROP_EVENT = 0x90
};

enum rop_nak {
    ROP_NAK_NONE = 0,
    ROP_NAK_UNKNOWN_TYPE = 1,
    ROP_NAK_BAD_LENGTH = 2,
    ROP_NAK_SEQUENCE = 3,
    ROP_NAK_NO_HEARTBEAT = 4,
    ROP_NAK_INTERLOCK_OPEN = 5,
    ROP_NAK_OVERHEATED = 6,
    ROP_NAK_LED_CEILING = 7,
    ROP_NAK_FLASH_TIME_CEILING = 8,
    ROP_NAK_FLASH_LEVEL_CEILING = 9,
    ROP_NAK_NOT_ARMED = 10,
    ROP_NAK_RECHARGING = 11,
    ROP_NAK_CONNECTION = 12 /* ROPLINK/2 only */
};

enum rop_event {
    ROP_EVENT_WATCHDOG = 1,
    ROP_EVENT_FOOT_SWITCH = 2,
    ROP_EVENT_THERMAL = 3,
    ROP_EVENT_INTERLOCK = 4
};

enum rop_flag {
    ROP_FLAG_LIGHT_ON = 0x01,
    ROP_FLAG_ARMED = 0x02,
    ROP_FLAG_INTERLOCK_CLOSED = 0x04,
    ROP_FLAG_OVERHEATED = 0x08,
    ROP_FLAG_HEARTBEAT_ALIVE = 0x10,
    ROP_FLAG_RECHARGING = 0x20,
    ROP_FLAG_SEQUENCE_KNOWN = 0x40,
    ROP_FLAG_FOOT_SWITCH = 0x80
};

/* What the board never passes, whatever a host asks. Set by the light's maker. */
typedef struct {
    uint64_t board_id;
    uint16_t max_led_level;
    uint32_t max_flash_us;
    uint16_t max_flash_level;
    uint32_t recharge_ms; /* from the end of a flash to the next; at most ROP_MAX_RECHARGE_MS */
} rop_config;

/* What the firmware does for the machine. Each must return soon; `context` is passed through. */
typedef struct {
    void *context;
    void (*send)(void *context, const uint8_t *bytes, size_t count);  /* one whole frame for the host */
    void (*set_led)(void *context, uint16_t level);                   /* continuous light; 0 is off */
    void (*flash)(void *context, uint32_t flash_us, uint16_t level);  /* start one flash now */
    /*
     * A number for a connection, that nobody can foretell and that does not come again, also after a start: from the
     * chip's random source, or where it has none from noise of its converter mixed with a count of starts that it
     * keeps. With it the board speaks ROPLINK/2 and nothing else; NULL makes it a board of ROPLINK/1, on which frames
     * recorded from the line can be played back.
     */
    uint32_t (*draw)(void *context);
} rop_actions;

/* One decoded frame. */
typedef struct {
    uint8_t version; /* 1 or 2 */
    uint8_t type;
    uint16_t seq;        /* of version 1 the low byte */
    uint32_t connection; /* of version 2; 0 before there is one */
    uint8_t length;
    uint8_t payload[ROP_MAX_PAYLOAD];
} rop_frame;

/* The machine's state. The firmware only provides the memory. */
typedef struct {
    rop_config config;
    rop_actions actions;
    uint32_t now_ms, started_ms, heartbeat_ms, armed_ms, flash_ms;
    uint32_t gap_ms; /* 0 when no recharge is going on */
    uint16_t led_level;
    bool alive, armed, interlock_closed, overheated, foot_switch;
    uint32_t armed_us;
    uint16_t armed_level;
    bool have_last;
    rop_frame last;
    uint8_t last_reply[ROP_MAX_WIRE];
    size_t last_reply_count;
    uint32_t connection; /* 0 before there is one, and always in ROPLINK/1 */
    uint16_t last_seq;   /* in the connection; 0 before its first request */
    uint16_t event_seq;
    uint16_t rejected;
    uint32_t flashes;
    uint64_t flash_sum, led_sum;
    uint8_t piece[ROP_MAX_ENCODED];
    size_t piece_count;
    bool overlong;
} rop_board;

/* Start dark, disarmed, with the interlock taken as open. Any start of the millisecond clock will do; it may wrap. */
void rop_board_init(rop_board *board, const rop_config *config, const rop_actions *actions, uint32_t now_ms);

/* Let time pass. At least every ROP_TICK_MS, or the watchdog's promise is not kept. */
void rop_board_tick(rop_board *board, uint32_t now_ms);

/* Bytes that came from the host, in any portions. */
void rop_board_receive(rop_board *board, const uint8_t *bytes, size_t count, uint32_t now_ms);

/* What the switches and the thermometer read (debounced); calling again with the same value does nothing. */
void rop_board_set_interlock(rop_board *board, bool closed, uint32_t now_ms);
void rop_board_set_overheated(rop_board *board, bool overheated, uint32_t now_ms);
void rop_board_set_foot_switch(rop_board *board, bool pressed, uint32_t now_ms);

/* The framing alone. */
uint16_t rop_crc16(const uint8_t *bytes, size_t count);
/* Writes a whole frame with its closing zero; returns its length, at most ROP_MAX_WIRE. `length` <= ROP_MAX_PAYLOAD. */
size_t rop_encode(const rop_frame *frame, uint8_t wire[ROP_MAX_WIRE]);
/* Reads a frame from COBS bytes without the closing zero; false when anything about it is wrong. */
bool rop_decode(const uint8_t *encoded, size_t count, rop_frame *frame);

#ifdef __cplusplus
}
#endif
#endif
