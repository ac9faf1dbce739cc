/*
 * ropscreen: camera firmware's side of ropscreend, the daemon that reads frames for retinopathy of prematurity.
 *
 * C11 for Linux, libc only. ../PROTOCOL.md describes ROPD; this speaks its version 3.
 *
 *     rop_client *client = rop_new();
 *     rop_open(client, "/run/ropscreend/socket", "camera-1", NULL);
 *     rop_configure(client, 3, 2040 * 2040 * 3, ROP_ORDER_NEWEST, 0);
 *     rop_acquire_slot(client, &slot);                // the camera writes into slot.pixels, nothing is copied
 *     rop_submit(client, &slot, &picture);
 *     rop_wait(client, 20, &result);                  // result.text may be shown until result.fresh_until_ns
 *     rop_free(client);
 *
 * ropscreen_loop.c is a whole program. Every function that returns a rop_status must have it looked at; rop_error says
 * in words why the last call on a client failed: which argument, what it got, what it needed.
 *
 * Threads: a client is used by one thread at a time; it holds no lock. Different clients share nothing and may be used
 * by different threads at once. Between rop_acquire_slot and rop_submit any thread (or a DMA engine) may write the
 * slot's pixels, as long as it is done before rop_submit is called.
 *
 * Waiting: rop_open, rop_configure, rop_health and rop_bundle wait for at most the options' timeout; rop_wait for its
 * own; nothing else waits. A daemon that dies ends every wait at once.
 *
 * Time: every `_ns` is CLOCK_BOOTTIME, which goes on while the machine is suspended; rop_now_ns gives it. Other clocks
 * are refused where they can be told.
 *
 * Safety: only ROP_OK from rop_poll or rop_wait gives a result. Whatever else happens, the result is filled with
 * ROP_NO_RESULT and its reason, so that one that is shown without a look at the status cannot be an old finding. A
 * frame captured longer than the options' max_age_ms ago gets ROP_NO_RESULT, by this side's clock and also while the
 * daemon says nothing. A result that is shown already is old at its fresh_until_ns: whoever draws it must clear it then.
 *
 * Compatibility: rop_client is opaque, the other structures keep their sizes for as long as the library's soname stays
 * (reserved bytes are zeros), and only rop_* is exported.
 */
#ifndef ROPSCREEN_H
#define ROPSCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of this header; rop_version is the library's. The major number is the soname's. */
#define ROPSCREEN_VERSION_MAJOR 2u
#define ROPSCREEN_VERSION_MINOR 0u
#define ROPSCREEN_VERSION_PATCH 0u
#define ROPSCREEN_VERSION ((ROPSCREEN_VERSION_MAJOR << 16) | (ROPSCREEN_VERSION_MINOR << 8) | ROPSCREEN_VERSION_PATCH)

#define ROP_MOST_SLOTS 16u
#define ROP_MOST_CLASSES 8u
#define ROP_VESSEL_SIDE 256u
#define ROP_VESSEL_BYTES (ROP_VESSEL_SIDE * ROP_VESSEL_SIDE)
#define ROP_NAME_BYTES 32u   /* of a client's name, with its closing zero */
#define ROP_REASON_BYTES 160u
#define ROP_TEXT_BYTES 240u
#define ROP_DEFAULT_TIMEOUT_MS 1000u
#define ROP_DEFAULT_MAX_AGE_MS 2000u
#define ROP_MOST_MAX_AGE_MS 60000u

/* What a call came to. Below zero: it failed; from ROP_GONE down the connection is over as well: rop_close, rop_open. */
typedef enum {
    ROP_OK = 0,
    ROP_NOTHING_YET = 1,    /* no result within the time given, or no room to send; try again */
    ROP_NO_SLOT = 2,        /* every slot holds a frame whose result was not fetched yet, or pixels being written */
    ROP_STALE = 3,          /* the slot holds no vessel map of this result (any more) */
    ROP_REFUSED = 4,        /* the daemon refused the request; rop_error and rop_last_refusal say why */
    ROP_BAD_ARGUMENT = -1,  /* an argument cannot be; nothing was done; rop_error says which and why */
    ROP_BAD_STATE = -2,     /* not open, open already, not configured, configured already, or not this slot's turn */
    ROP_PATH_TOO_LONG = -3, /* of the socket: at most 107 bytes */
    ROP_NO_DAEMON = -4,     /* nobody listens at the socket */
    ROP_NO_PERMISSION = -5, /* the socket's permissions do not let this user in */
    ROP_IMPOSTOR = -6,      /* the socket is of a user that is not the daemon's */
    ROP_GONE = -10,         /* the daemon ended or was killed; frames under way have no result */
    ROP_TIMEOUT = -11,      /* the daemon did not answer in time */
    ROP_CLOSED = -12,       /* the daemon closed the connection; rop_error and rop_last_refusal say why */
    ROP_PROTOCOL = -13,     /* the daemon sent what cannot be */
    ROP_SYSTEM = -14        /* the system refused something; rop_error says what */
} rop_status;

typedef enum { ROP_REFER = 1, ROP_NO_REFERRAL_FINDINGS = 2, ROP_RETAKE = 3, ROP_NO_RESULT = 4 } rop_outcome;

typedef enum {
    ROP_ORDER_NEWEST = 1, /* only the newest frame waits; an older one that waited comes back as superseded */
    ROP_ORDER_EVERY = 2   /* every frame, in the order of submission */
} rop_order;

/* How pixels lie; PROTOCOL.md has each. GRAY8, RGB48 and Bayer are known so that they can be refused with a reason. */
typedef enum {
    ROP_RGB8 = 1,
    ROP_BGR8 = 2,
    ROP_GRAY8 = 3,  /* refused: the networks read colour */
    ROP_RGBX8 = 4,  /* 4 bytes a pixel, the last counts for nothing */
    ROP_NV12 = 5,   /* luma rows, then rows of Cb Cr pairs; even width and height */
    ROP_YUYV = 6,   /* even width */
    ROP_UYVY = 7,   /* even width */
    ROP_JPEG = 8,   /* a baseline JPEG in colour: data_bytes of it */
    ROP_RGB48 = 9,  /* refused: on the camera's own scale; its processor (ISP) gives 8 bits */
    ROP_BAYER8 = 10 /* refused: no colour yet; the camera's processor (ISP) gives it */
} rop_format;

/* By which matrix and range NV12, YUYV and UYVY were made; 0 for all others. */
typedef enum { ROP_MATRIX_NONE = 0, ROP_BT601 = 1, ROP_BT709 = 2 } rop_matrix;
typedef enum { ROP_RANGE_NONE = 0, ROP_FULL_RANGE = 1, ROP_LIMITED_RANGE = 2 } rop_range;

/* Flags of rop_configure. */
#define ROP_STORED_PICTURES 1u /* a picture that is one of the last 32 is not refused as a frozen camera's */

/* Flags of rop_options. */
#define ROP_CHECK_UID 1u    /* the socket must be of daemon_uid; without it, of root or of this process's user */
#define ROP_CHECK_BUNDLE 2u /* what another bundle than bundle_sha256 read has no result */

/* Flags of a rop_picture. */
#define ROP_WANT_VESSELS 1u

/* Flags of a rop_result. */
#define ROP_LATE 1u
#define ROP_TORN 2u
#define ROP_SUPERSEDED 4u
#define ROP_HAS_VESSELS 8u
#define ROP_GRADED 16u
#define ROP_GRADABLE 32u
#define ROP_CLINICAL_USE 64u /* without it: demonstration bundle, not for clinical use */
#define ROP_CANCELLED 128u

/* Reasons of a rop_health_report. */
#define ROP_SELF_TEST_FAILED 1u
#define ROP_NO_SELF_TEST 2u
#define ROP_DRIFT 4u
#define ROP_ENGINE_FAILING 8u
#define ROP_RELOAD_FAILED 16u
#define ROP_OFTEN_LATE 32u
#define ROP_REAL_TIME_REFUSED 64u

typedef enum { ROP_LIVE = 1, ROP_READY = 2, ROP_DEGRADED = 3 } rop_state;

/* Places in rop_result.timings_ms; a value below zero: the stage did not run. */
enum {
    ROP_MS_QUEUE,
    ROP_MS_QUALITY,
    ROP_MS_PREPROCESS,
    ROP_MS_SEGMENT,
    ROP_MS_CLASSIFY,
    ROP_MS_DECIDE,
    ROP_MS_TOTAL, /* the queue is not in it */
    ROP_MS_COUNT
};

/* One connection. Opaque: its content may change with every release. */
typedef struct rop_client rop_client;

/* How a connection is to be; all zeros but `size` is what NULL means. */
typedef struct {
    uint32_t size;       /* sizeof(rop_options) */
    uint32_t flags;      /* ROP_CHECK_UID, ROP_CHECK_BUNDLE */
    uint32_t timeout_ms; /* of opening, configuring and questions; 0: ROP_DEFAULT_TIMEOUT_MS */
    uint32_t max_age_ms; /* a result of a frame captured longer ago is ROP_NO_RESULT; 0: ROP_DEFAULT_MAX_AGE_MS */
    uint32_t daemon_uid;
    uint8_t bundle_sha256[32];
    uint32_t reserved[3];
} rop_options;

/* A slot that is the caller's to fill. */
typedef struct {
    uint8_t *pixels; /* begins on a page */
    size_t bytes;
    uint64_t offset; /* of the pixels in rop_ring_fd */
    uint32_t index;
    uint32_t reserved;
} rop_slot;

/* What was written into a slot. All zeros but the first four is fine for RGB. */
typedef struct {
    uint32_t width;       /* pixels */
    uint32_t height;      /* pixels */
    uint32_t stride;      /* bytes from row to row, of NV12 in both planes; 0 for JPEG */
    uint8_t format;       /* rop_format; RGB8 with stride = 3 x width is read where it lies, others are converted once */
    uint8_t flags;        /* ROP_WANT_VESSELS */
    uint8_t matrix;       /* rop_matrix */
    uint8_t range;        /* rop_range */
    uint64_t sequence;    /* number of the frame at its source, below 2^63 */
    uint64_t captured_ns; /* moment of capture; 0: the moment of rop_submit */
    uint64_t deadline_ns; /* a result after it is late, and late is ROP_NO_RESULT; 0: none but the largest age */
    uint32_t capture_us;  /* that exposure and transfer took; 0: not known */
    uint32_t chroma_offset; /* NV12: bytes from the first luma row to the first chroma row; 0: right behind */
    uint32_t data_bytes;  /* JPEG: of it */
    uint32_t reserved[5];
} rop_picture;

/* The reading of one frame. Texts are UTF-8 and end with a zero. */
typedef struct {
    uint64_t sequence, generation, captured_ns;
    uint64_t done_ns;        /* when the reading was finished */
    uint64_t fresh_until_ns; /* nobody may see it after this moment */
    uint32_t slot;
    uint32_t flags;
    uint8_t outcome;       /* rop_outcome */
    uint8_t class_count;   /* probabilities that count; 0 unless the outcome is REFER or NO_REFERRAL_FINDINGS */
    uint16_t refused;      /* 0, or the code of the ERROR that came in place of a reading (PROTOCOL.md) */
    float vessel_fraction; /* share of the field of view that is vessel; below 0: none */
    float budget_ms;       /* the daemon's own limit for a reading; 0: none */
    float timings_ms[ROP_MS_COUNT];
    float probabilities[ROP_MOST_CLASSES]; /* of the bundle's classes, in their order */
    uint8_t frame_sha256[32];
    uint8_t bundle_sha256[32];
    char reason[ROP_REASON_BYTES];
    char text[ROP_TEXT_BYTES]; /* the only words to show to people */
    uint8_t reserved[32];
} rop_result;

typedef struct {
    uint64_t uptime_ms;
    uint64_t last_inference_ns; /* 0: none yet */
    uint64_t frames, late, torn, superseded, refused, reloads;
    uint32_t daemon_pid, clients, waiting;
    uint32_t reasons; /* why it is degraded, as bits */
    uint8_t state;    /* rop_state */
    uint8_t sched_fifo, cpu_pinning, memory_locked, huge_pages; /* each 0 not asked, 1 obtained, 2 refused */
    uint8_t bundle_sha256[32];
    char text[ROP_TEXT_BYTES]; /* the reasons in words */
    uint8_t reserved[35];
} rop_health_report;

typedef struct {
    uint8_t sha256[32];
    char name[64], version[32], backend[32], precision[64], device[64];
    char notice[128]; /* to be said wherever a result is shown */
    float refer_threshold;
    uint8_t class_count, refer_mask; /* bit i of the mask: class i refers */
    char class_names[ROP_MOST_CLASSES][32];
    uint8_t reserved[34];
} rop_bundle_report;

/* Why the daemon refused something. */
typedef struct {
    uint16_t code; /* PROTOCOL.md, ERROR; 0: nothing was refused */
    uint16_t lowest, highest;
    uint64_t detail;
    char text[ROP_REASON_BYTES];
} rop_refusal;

/* ROPSCREEN_VERSION of the library that runs. */
uint32_t rop_version(void);

/* A client that is not open; NULL when there is no memory. */
rop_client *rop_new(void);

/* Close it and give its memory back. NULL is fine. */
void rop_free(rop_client *client);

/*
 * Connect and agree on a version. `name` (1 to 31 of A-Z a-z 0-9 . _ : -) goes into the readings as the frames' source:
 * never a patient's name. `options` NULL: the defaults.
 * Also ROP_BAD_ARGUMENT, ROP_BAD_STATE (open already), ROP_PATH_TOO_LONG, ROP_NO_DAEMON, ROP_NO_PERMISSION,
 * ROP_IMPOSTOR, ROP_TIMEOUT, ROP_GONE, ROP_CLOSED (user not admitted, too many clients, version), ROP_PROTOCOL,
 * ROP_SYSTEM. After a failure the client is closed and may be opened again at once.
 */
rop_status rop_open(rop_client *client, const char *socket_path, const char *name, const rop_options *options);

/*
 * Have the ring made and map it; once. `slots`: 1 to ROP_MOST_SLOTS; with ROP_ORDER_NEWEST three are needed (one read,
 * one waiting, one being written), and each further one bridges a frame's time in which the daemon does not get its turn.
 * `slot_bytes`: room for the largest picture.
 * Also ROP_REFUSED (too many, too large), ROP_BAD_ARGUMENT, ROP_BAD_STATE, and what ends a connection.
 */
rop_status rop_configure(rop_client *client, uint32_t slots, uint32_t slot_bytes, rop_order order, uint8_t flags);

/* Take a free slot to write pixels into, first of all what has arrived. Of the free slots it is the one whose result has
   been fetched longest ago, so that vessel maps stay as long as can be. ROP_NO_SLOT when the daemon has every slot, or
   so many results wait to be fetched that there is no room for more. Never waits. */
rop_status rop_acquire_slot(rop_client *client, rop_slot *slot);

/* Give an acquired slot back unsent. */
rop_status rop_release_slot(rop_client *client, const rop_slot *slot);

/*
 * Hand the slot's pixels over. From here to the result nothing may be written there. Each ROP_OK is followed by exactly
 * one result. ROP_BAD_ARGUMENT: a picture that does not fit the slot, a format that is refused, a moment of another clock.
 * After ROP_NOTHING_YET (the daemon takes nothing more for now) and ROP_BAD_ARGUMENT the slot is the caller's still.
 */
rop_status rop_submit(rop_client *client, const rop_slot *slot, const rop_picture *picture);

/* No frame handed over so far is to have a result: each comes, as ROP_NO_RESULT with ROP_CANCELLED, whatever the daemon
   says of it; also where this fails because the connection is over. For when another infant's picture could be taken for
   this one's. */
rop_status rop_cancel(rop_client *client);

/* The next result, if one is there: ROP_OK, or ROP_NOTHING_YET at once. Results that arrived before a connection broke
   are still given. A frame that the daemon refused comes as ROP_OK with ROP_NO_RESULT and `refused` set. */
rop_status rop_poll(rop_client *client, rop_result *result);

/* As rop_poll, waiting up to `timeout_ms` for it. ROP_BAD_STATE when no frame is under way: nothing could ever come. */
rop_status rop_wait(rop_client *client, uint32_t timeout_ms, rop_result *result);

/* Whether a result may still be shown, by the clock of now. */
bool rop_is_fresh(const rop_result *result);

/* Copy the vessel map of a result with ROP_HAS_VESSELS: probability x 255, rows of ROP_VESSEL_SIDE. ROP_STALE when its
   slot was submitted again since; `map` is then zeros. */
rop_status rop_result_vessels(rop_client *client, const rop_result *result, uint8_t map[ROP_VESSEL_BYTES]);

/* How the daemon is. Also when frames are under way; results that arrive meanwhile are kept. */
rop_status rop_health(rop_client *client, rop_health_report *health);

/* What reads the frames now. ROP_REFUSED while the daemon is not ready. */
rop_status rop_bundle(rop_client *client, rop_bundle_report *bundle);

/* The socket, to wait for it with poll(2) among others (POLLIN, then rop_poll until ROP_NOTHING_YET); -1: not open. Do
   not read or close it. rop_health and rop_bundle may fetch results too, so call rop_poll after them. */
int rop_descriptor(const rop_client *client);

/* The ring's memory, for a camera's driver that writes into it (V4L2 by udmabuf, io_uring); -1: not configured. The
   client's: do not close it. Pixels of a slot lie at its `offset`. */
int rop_ring_fd(const rop_client *client);

/* In words why the last call on this client failed; "" when it did not. Until the next call. */
const char *rop_error(const rop_client *client);

/* What the daemon said when the last call ended in ROP_REFUSED or ROP_CLOSED; all zeros otherwise. Until the next call. */
const rop_refusal *rop_last_refusal(const rop_client *client);

/* End the connection. Frames under way are dropped. Closing twice is fine; it may be opened again. */
void rop_close(rop_client *client);

/* CLOCK_BOOTTIME in nanoseconds, the clock of every `_ns` here; 0 when there is none. */
uint64_t rop_now_ns(void);

/* A few English words for an engineer's log; never for people at the cart. */
const char *rop_status_text(rop_status status);

#ifdef __cplusplus
}
#endif
#endif
