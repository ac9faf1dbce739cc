/* ropboard: see ropboard.h. */
#include "ropboard.h"

#include <string.h>

/* ---- little-endian fields ---- */

static uint16_t get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] | (uint16_t)((uint16_t)at[1] << 8));
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint16_t rop_crc16(const uint8_t *bytes, size_t count)
{
    uint16_t crc = 0xFFFFu;
    for (size_t i = 0; i < count; i++) {
        crc = (uint16_t)(crc ^ ((uint16_t)bytes[i] << 8));
        for (int bit = 0; bit < 8; bit++) {
            const bool top = (crc & 0x8000u) != 0;
            crc = (uint16_t)(crc << 1);
            if (top) {
                crc = (uint16_t)(crc ^ 0x1021u);
            }
        }
    }
    return crc;
}

/* ---- framing ---- */

static size_t header_bytes(uint8_t version)
{
    return version == 2u ? ROP_HEADER_2 : ROP_HEADER_1;
}

size_t rop_encode(const rop_frame *frame, uint8_t wire[ROP_MAX_WIRE])
{
    uint8_t raw[ROP_MAX_RAW];
    const size_t header = header_bytes(frame->version), body = header + (size_t)frame->length;
    raw[0] = frame->version;
    raw[1] = frame->type;
    raw[2] = (uint8_t)(frame->seq & 0xFFu);
    if (frame->version == 2u) {
        raw[3] = (uint8_t)(frame->seq >> 8);
        for (unsigned i = 0; i < 4u; i++) {
            raw[4u + i] = (uint8_t)(frame->connection >> (8u * i) & 0xFFu);
        }
    }
    raw[header - 1u] = frame->length;
    memcpy(raw + header, frame->payload, frame->length);
    const uint16_t crc = rop_crc16(raw, body);
    raw[body] = (uint8_t)(crc & 0xFFu);
    raw[body + 1] = (uint8_t)(crc >> 8);

    /* COBS; a frame is far shorter than 254 bytes, so a block never fills up. */
    size_t code_at = 0, at = 1;
    for (size_t i = 0; i < body + 2; i++) {
        if (raw[i] == 0) {
            wire[code_at] = (uint8_t)(at - code_at);
            code_at = at++;
        } else {
            wire[at++] = raw[i];
        }
    }
    wire[code_at] = (uint8_t)(at - code_at);
    wire[at++] = 0;
    return at;
}

bool rop_decode(const uint8_t *encoded, size_t count, rop_frame *frame)
{
    uint8_t raw[ROP_MAX_RAW];
    size_t length = 0;
    if (count < 7 || count > ROP_MAX_ENCODED) { /* the shortest frame is 6 bytes, 7 after COBS */
        return false;
    }
    for (size_t at = 0; at < count;) {
        const size_t code = encoded[at];
        if (code == 0 || at + code > count) {
            return false;
        }
        for (size_t i = 1; i < code; i++) {
            if (encoded[at + i] == 0) {
                return false;
            }
            raw[length++] = encoded[at + i];
        }
        at += code;
        if (at < count) {
            raw[length++] = 0;
        }
    }
    const size_t body = length - 2; /* COBS takes exactly one byte off: length is count - 1, so at least 6 */
    const size_t header = header_bytes(raw[0]);
    const uint16_t crc = (uint16_t)(raw[body] | (uint16_t)((uint16_t)raw[body + 1] << 8));
    if ((raw[0] != 1u && raw[0] != 2u) || body < header || raw[header - 1u] > ROP_MAX_PAYLOAD ||
        raw[header - 1u] != body - header || crc != rop_crc16(raw, body)) {
        return false;
    }
    frame->version = raw[0];
    frame->type = raw[1];
    frame->seq = raw[0] == 2u ? get_u16(raw + 2) : raw[2];
    frame->connection = raw[0] == 2u ? get_u32(raw + 4) : 0u;
    frame->length = raw[header - 1u];
    memcpy(frame->payload, raw + header, frame->length);
    return true;
}

static void put(rop_frame *frame, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        frame->payload[frame->length++] = (uint8_t)(value >> (8 * i) & 0xFFu);
    }
}

/* ---- what the machine does ---- */

static uint32_t since(const rop_board *board, uint32_t moment_ms)
{
    return board->now_ms - moment_ms;
}

static void send_frame(rop_board *board, const rop_frame *frame)
{
    uint8_t wire[ROP_MAX_WIRE];
    board->actions.send(board->actions.context, wire, rop_encode(frame, wire));
}

static uint8_t version_of(const rop_board *board)
{
    return board->actions.draw != NULL ? 2u : 1u;
}

static void tell(rop_board *board, enum rop_event code, bool value)
{
    rop_frame event = {.version = version_of(board), .type = ROP_EVENT, .connection = board->connection};
    event.seq = version_of(board) == 2u ? board->event_seq : (uint16_t)(board->event_seq & 0xFFu);
    board->event_seq++;
    put(&event, (uint64_t)code, 1);
    put(&event, value ? 1u : 0u, 1);
    put(&event, since(board, board->started_ms), 4);
    send_frame(board, &event);
}

static void set_led(rop_board *board, uint16_t level)
{
    if (level != board->led_level) {
        board->led_level = level;
        board->actions.set_led(board->actions.context, level);
    }
}

static void go_dark(rop_board *board)
{
    board->armed = false;
    set_led(board, 0);
}

static void pass_time(rop_board *board, uint32_t now_ms)
{
    const uint32_t before = board->now_ms;
    board->now_ms = now_ms;
    board->led_sum += (uint64_t)board->led_level * since(board, before);
    if (board->alive && since(board, board->heartbeat_ms) >= ROP_TRIP_MS) {
        const bool was_on = board->led_level > 0;
        board->alive = false;
        go_dark(board);
        tell(board, ROP_EVENT_WATCHDOG, was_on);
    }
    if (board->armed && since(board, board->armed_ms) >= ROP_ARM_WINDOW_MS) {
        board->armed = false;
    }
    if (board->gap_ms != 0 && since(board, board->flash_ms) >= board->gap_ms) {
        board->gap_ms = 0;
    }
}

static uint8_t flags(const rop_board *board)
{
    unsigned bits = 0;
    bits |= board->led_level > 0 ? ROP_FLAG_LIGHT_ON : 0u;
    bits |= board->armed ? ROP_FLAG_ARMED : 0u;
    bits |= board->interlock_closed ? ROP_FLAG_INTERLOCK_CLOSED : 0u;
    bits |= board->overheated ? ROP_FLAG_OVERHEATED : 0u;
    bits |= board->alive ? ROP_FLAG_HEARTBEAT_ALIVE : 0u;
    bits |= board->gap_ms != 0 ? ROP_FLAG_RECHARGING : 0u;
    bits |= board->have_last ? ROP_FLAG_SEQUENCE_KNOWN : 0u;
    bits |= board->foot_switch ? ROP_FLAG_FOOT_SWITCH : 0u;
    return (uint8_t)bits;
}

/* ---- answers ---- */

static void make_ack(rop_frame *reply, const rop_frame *request)
{
    reply->type = ROP_ACK;
    reply->version = request->version;
    reply->seq = request->seq;
    reply->connection = request->connection;
    reply->length = 0;
    put(reply, request->type, 1);
}

static void make_nak(rop_frame *reply, const rop_frame *request, enum rop_nak code, uint32_t detail)
{
    reply->type = ROP_NAK;
    reply->version = request->version;
    reply->seq = request->seq;
    reply->connection = request->connection;
    reply->length = 0;
    put(reply, request->type, 1);
    put(reply, (uint64_t)code, 1);
    put(reply, detail, 4);
}

/* Why there may be no light now, if so. */
static enum rop_nak unsafe(const rop_board *board)
{
    if (!board->alive) {
        return ROP_NAK_NO_HEARTBEAT;
    }
    if (!board->interlock_closed) {
        return ROP_NAK_INTERLOCK_OPEN;
    }
    return board->overheated ? ROP_NAK_OVERHEATED : ROP_NAK_NONE;
}

static void act_set_led(rop_board *board, const rop_frame *request, rop_frame *reply)
{
    const uint16_t level = get_u16(request->payload);
    const enum rop_nak why = level > 0 ? unsafe(board) : ROP_NAK_NONE;
    if (why != ROP_NAK_NONE) {
        make_nak(reply, request, why, 0);
    } else if (level > board->config.max_led_level) {
        make_nak(reply, request, ROP_NAK_LED_CEILING, board->config.max_led_level);
    } else {
        set_led(board, level);
        make_ack(reply, request);
    }
}

static void act_arm(rop_board *board, const rop_frame *request, rop_frame *reply)
{
    const uint32_t flash_us = get_u32(request->payload);
    const uint16_t level = get_u16(request->payload + 4);
    const enum rop_nak why = unsafe(board);
    if (why != ROP_NAK_NONE) {
        make_nak(reply, request, why, 0);
    } else if (flash_us == 0 || flash_us > board->config.max_flash_us) {
        make_nak(reply, request, ROP_NAK_FLASH_TIME_CEILING, board->config.max_flash_us);
    } else if (level == 0 || level > board->config.max_flash_level) {
        make_nak(reply, request, ROP_NAK_FLASH_LEVEL_CEILING, board->config.max_flash_level);
    } else {
        board->armed = true;
        board->armed_ms = board->now_ms;
        board->armed_us = flash_us;
        board->armed_level = level;
        make_ack(reply, request);
    }
}

static void act_fire(rop_board *board, const rop_frame *request, rop_frame *reply)
{
    const enum rop_nak why = unsafe(board);
    if (why != ROP_NAK_NONE) {
        make_nak(reply, request, why, 0);
    } else if (!board->armed) {
        make_nak(reply, request, ROP_NAK_NOT_ARMED, 0);
    } else if (board->gap_ms != 0) {
        make_nak(reply, request, ROP_NAK_RECHARGING, board->gap_ms - since(board, board->flash_ms));
    } else {
        board->armed = false;
        board->flash_ms = board->now_ms;
        board->gap_ms = board->config.recharge_ms + board->armed_us / 1000u + (board->armed_us % 1000u != 0 ? 1u : 0u);
        board->flashes++;
        board->flash_sum += (uint64_t)board->armed_us * board->armed_level;
        board->actions.flash(board->actions.context, board->armed_us, board->armed_level);
        make_ack(reply, request);
        put(reply, board->flashes, 4);
        put(reply, since(board, board->started_ms), 4);
    }
}

static void act(rop_board *board, const rop_frame *request, rop_frame *reply)
{
    switch (request->type) {
    case ROP_HEARTBEAT:
        board->alive = true;
        board->heartbeat_ms = board->now_ms;
        make_ack(reply, request);
        put(reply, flags(board), 1);
        break;
    case ROP_STOP:
        go_dark(board);
        make_ack(reply, request);
        break;
    case ROP_SET_LED:
        act_set_led(board, request, reply);
        break;
    case ROP_ARM:
        act_arm(board, request, reply);
        break;
    default: /* ROP_FIRE: `handle` lets no other type through */
        act_fire(board, request, reply);
        break;
    }
}

static void tell_status(rop_board *board, rop_frame *reply)
{
    put(reply, flags(board), 1);
    put(reply, board->led_level, 2);
    put(reply, board->have_last ? board->last.seq & 0xFFu : 0u, 1);
    put(reply, board->rejected, 2);
    put(reply, since(board, board->started_ms), 4);
    put(reply, board->config.board_id, 8);
    put(reply, board->config.max_led_level, 2);
    put(reply, board->config.max_flash_us, 4);
    put(reply, board->config.max_flash_level, 2);
    put(reply, board->config.recharge_ms, 4);
}

static void tell_totals(rop_board *board, rop_frame *reply)
{
    put(reply, board->flashes, 4);
    put(reply, board->flash_sum, 8);
    put(reply, board->led_sum, 8);
}

/* ---- requests ---- */

static bool same(const rop_frame *a, const rop_frame *b)
{
    return a->type == b->type && a->connection == b->connection && a->seq == b->seq && a->length == b->length &&
           memcmp(a->payload, b->payload, a->length) == 0;
}

/* Sends a reply and keeps it for the case that the same request comes again. */
static void accept(rop_board *board, const rop_frame *request, const rop_frame *reply)
{
    board->last_reply_count = rop_encode(reply, board->last_reply);
    board->have_last = true;
    board->last = *request;
    board->actions.send(board->actions.context, board->last_reply, board->last_reply_count);
}

/* Requests that act: each sequence number once, none that is older than the last. STOP acts always. */
static void handle_in_order(rop_board *board, const rop_frame *request, rop_frame *reply)
{
    const uint8_t ahead = board->have_last ? (uint8_t)(request->seq - board->last.seq) : 1u;
    const bool newer = ahead >= 1 && ahead < 128;
    if (newer || request->type == ROP_STOP) {
        act(board, request, reply);
    } else {
        make_nak(reply, request, ROP_NAK_SEQUENCE, board->last.seq);
    }
    if (newer) {
        accept(board, request, reply);
    } else {
        send_frame(board, reply);
    }
}

/* A new connection; what came before belongs to none any more. */
static void act_open(rop_board *board, const rop_frame *request, rop_frame *reply)
{
    uint32_t number = board->actions.draw(board->actions.context);
    if (number == 0 || number == board->connection) {
        number = board->connection + 1u != 0 ? board->connection + 1u : 1u;
    }
    board->connection = number;
    board->last_seq = 0;
    make_ack(reply, request);
    put(reply, get_u32(request->payload), 4);
    put(reply, number, 4);
}

/* ROPLINK/2: requests of this connection alone, each with a higher number than the last. STOP acts always. */
static void handle_connected(rop_board *board, const rop_frame *request, rop_frame *reply)
{
    const bool ours = board->connection != 0 && request->connection == board->connection;
    if (ours && request->seq > board->last_seq) {
        board->last_seq = request->seq;
        if (request->type == ROP_OPEN) {
            act_open(board, request, reply);
        } else {
            act(board, request, reply);
        }
        accept(board, request, reply);
        return;
    }
    if (request->type == ROP_STOP) {
        act(board, request, reply);
    } else if (ours) {
        make_nak(reply, request, ROP_NAK_SEQUENCE, board->last_seq);
    } else {
        make_nak(reply, request, ROP_NAK_CONNECTION, 0);
    }
    send_frame(board, reply);
}

static int payload_bytes(const rop_board *board, uint8_t type)
{
    switch (type) {
    case ROP_OPEN:
        return version_of(board) == 2u ? 4 : -1;
    case ROP_SET_LED:
        return 2;
    case ROP_ARM:
        return 6;
    case ROP_HEARTBEAT:
    case ROP_FIRE:
    case ROP_STOP:
    case ROP_STATUS:
    case ROP_DOSE:
        return 0;
    default:
        return -1;
    }
}

static void handle_acting(rop_board *board, const rop_frame *request, rop_frame *reply)
{
    if (board->have_last && request->type != ROP_STOP && same(request, &board->last)) {
        board->actions.send(board->actions.context, board->last_reply, board->last_reply_count);
    } else if (version_of(board) == 1u) {
        handle_in_order(board, request, reply);
    } else if (request->type == ROP_OPEN && request->connection == 0) {
        go_dark(board);
        act_open(board, request, reply);
        accept(board, request, reply);
    } else {
        handle_connected(board, request, reply);
    }
}

static void handle(rop_board *board, const rop_frame *request)
{
    rop_frame reply = {.type = ROP_ACK};
    const int expected = payload_bytes(board, request->type);
    if (request->type >= 0x80u) { /* boards send these: an echoing line is harmless */
        return;
    }
    if (expected < 0) {
        make_nak(&reply, request, ROP_NAK_UNKNOWN_TYPE, 0);
    } else if (request->length != expected) {
        make_nak(&reply, request, ROP_NAK_BAD_LENGTH, (uint32_t)expected);
    } else if (request->type == ROP_STATUS) {
        make_ack(&reply, request);
        tell_status(board, &reply);
    } else if (request->type == ROP_DOSE) {
        make_ack(&reply, request);
        tell_totals(board, &reply);
    } else {
        handle_acting(board, request, &reply);
        return;
    }
    send_frame(board, &reply);
}

static void end_piece(rop_board *board)
{
    rop_frame frame;
    if (!board->overlong && board->piece_count > 0 && rop_decode(board->piece, board->piece_count, &frame) &&
        frame.version == version_of(board)) {
        handle(board, &frame);
    } else if ((board->overlong || board->piece_count > 0) && board->rejected < UINT16_MAX) {
        board->rejected++;
    }
    board->piece_count = 0;
    board->overlong = false;
}

/* ---- what the firmware calls ---- */

void rop_board_init(rop_board *board, const rop_config *config, const rop_actions *actions, uint32_t now_ms)
{
    memset(board, 0, sizeof *board);
    board->config = *config;
    if (board->config.recharge_ms > ROP_MAX_RECHARGE_MS) {
        board->config.recharge_ms = ROP_MAX_RECHARGE_MS;
    }
    board->actions = *actions;
    board->now_ms = now_ms;
    board->started_ms = now_ms;
}

void rop_board_tick(rop_board *board, uint32_t now_ms)
{
    pass_time(board, now_ms);
}

void rop_board_receive(rop_board *board, const uint8_t *bytes, size_t count, uint32_t now_ms)
{
    pass_time(board, now_ms);
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == 0) {
            end_piece(board);
        } else if (board->piece_count == ROP_MAX_ENCODED) {
            board->overlong = true;
        } else if (!board->overlong) {
            board->piece[board->piece_count++] = bytes[i];
        }
    }
}

void rop_board_set_interlock(rop_board *board, bool closed, uint32_t now_ms)
{
    pass_time(board, now_ms);
    if (closed != board->interlock_closed) {
        board->interlock_closed = closed;
        if (!closed) {
            go_dark(board);
        }
        tell(board, ROP_EVENT_INTERLOCK, closed);
    }
}

void rop_board_set_overheated(rop_board *board, bool overheated, uint32_t now_ms)
{
    pass_time(board, now_ms);
    if (overheated != board->overheated) {
        board->overheated = overheated;
        if (overheated) {
            go_dark(board);
        }
        tell(board, ROP_EVENT_THERMAL, overheated);
    }
}

void rop_board_set_foot_switch(rop_board *board, bool pressed, uint32_t now_ms)
{
    pass_time(board, now_ms);
    if (pressed != board->foot_switch) {
        board->foot_switch = pressed;
        tell(board, ROP_EVENT_FOOT_SWITCH, pressed);
    }
}
