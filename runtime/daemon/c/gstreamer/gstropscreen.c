/*
 * ropscreen: a GStreamer element that has the frames of a pipeline read by ropscreend.
 *
 *   v4l2src ! video/x-raw,format=NV12 ! ropscreen ! autovideosink
 *
 * Frames go on untouched. Each reading is posted as an element message `ropscreen-reading`, and the newest one that is
 * fresh rides on the next buffer as custom meta `RopReadingMeta`; both hold the fields that `describe` writes. Who shows
 * the text of the newest message shows nothing old while this program runs: a finding that ages is followed by NO_RESULT.
 * Who draws should take a finding away at its `fresh-until-ns` (CLOCK_BOOTTIME), for when this program hangs.
 *
 * A thread of the element speaks with the daemon; the streaming thread only copies a frame into a slot, and leaves it
 * out where none is free. A daemon that is not there makes NO_RESULT, never an error of the pipeline.
 */
#include <gst/base/gstbasetransform.h>
#include <gst/gst.h>
#include <gst/video/video.h>
#include <string.h>

#include "ropscreen.h"

#define READING "ropscreen-reading"
#define META "RopReadingMeta"
#define LOOK_MS 20
#define AGAIN_NS 200000000u
#define SLOTS 6u /* one read, one waiting, one being written, and three that the daemon gives back late */
#define MOST_BYTES ((guint64)1 << 26) /* of a slot: the daemon's limit */
#define SHORT_NS 2000000u /* the stream waits for no longer while a reading is being told */
#define PAUSES 8u /* that frames still under way may come from before of */
#define PAUSING_NS 100000000u /* the source goes on for so long after this element was told of a pause */
#define JUMP_NS 50000000 /* by more than this between two looks, CLOCK_BOOTTIME only moves away when the machine slept */

G_DECLARE_FINAL_TYPE(GstRopScreen, gst_rop_screen, GST, ROP_SCREEN, GstBaseTransform)

/* What became of the stream's frames: FRAMES is the sum of HANDED_OVER, the LEFT_OUT and REFUSED; of those handed over
 * each is READ (a reading, or NO_RESULT with its reason, was told), SUPERSEDED, UNANSWERED or under way. */
enum count { FRAMES, HANDED_OVER, READ, SUPERSEDED, UNANSWERED, LEFT_OUT_ABSENT, LEFT_OUT_BUSY, LEFT_OUT_NO_SLOT, REFUSED, COUNTS };
static const gchar *const COUNT_NAMES[COUNTS] = {"frames", "handed-over", "read", "superseded", "unanswered",
                                                 "left-out-absent", "left-out-busy", "left-out-no-slot", "refused"};

/* How running times of the pipeline are brought to CLOCK_BOOTTIME: of now, or as it was until a pause. */
typedef struct {
    GstClockTime base, end;     /* base time; running time at the pause */
    gint64 ahead, ahead_before; /* CLOCK_BOOTTIME less the pipeline's clock, 0: not known; before the machine slept */
    GstClockTime slept_until;   /* by the pipeline's clock */
} stretch;

struct _GstRopScreen {
    GstBaseTransform parent;
    /* properties */
    gchar *socket, *name;
    guint max_age_ms, matrix, range;
    gboolean wait, stored_pictures;
    /* guarded by `lock` */
    GMutex lock;
    rop_client *client;
    gboolean is_ready; /* open, with a ring */
    uint64_t again_ns;
    GstVideoInfo info; /* of raw video */
    rop_picture lying; /* how its frames lie; width 0: not known yet */
    guint slot_bytes;
    uint64_t sequence, under_way;
    GstClockTime pts[256]; /* by sequence */
    char notice[128];
    GstStructure *newest; /* the last reading; NULL: none */
    uint64_t newest_until; /* 0: it is no finding */
    gboolean said_absent;
    guint64 counts[COUNTS];
    GQueue told;     /* messages to be posted, in order */
    GThread *poster; /* posts them now, NULL: nobody */
    GCond posted;
    /* guarded by `dating`, which is never held for long: a pause must not wait for the daemon */
    GMutex dating;
    stretch current, before[PAUSES]; /* `before` each pause, the first one first */
    guint pauses;
    gboolean plays, has_played;
    /* the thread that speaks with the daemon */
    GThread *thread;
    gint stopping;
    /* without the lock */
    gint reaching; /* a daemon is being reached, which takes its time */
    gint busy;     /* LEFT_OUT_BUSY that is not in `counts` yet: it was left out for want of the lock */
};

G_DEFINE_TYPE(GstRopScreen, gst_rop_screen, GST_TYPE_BASE_TRANSFORM)
GST_DEBUG_CATEGORY_STATIC(ropscreen_debug);
#define GST_CAT_DEFAULT ropscreen_debug

enum { PROP_0, PROP_SOCKET, PROP_NAME, PROP_MAX_AGE, PROP_MATRIX, PROP_RANGE, PROP_WAIT, PROP_STORED, PROP_STATS };

#define CAPS GST_VIDEO_CAPS_MAKE("{ RGB, BGR, RGBx, NV12, YUY2, UYVY }") "; image/jpeg, width = [1, 65535], height = [1, 65535]"
static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(CAPS));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(CAPS));

/* ---- readings as structures ---- */

static const char *outcome_name(uint8_t outcome)
{
    switch (outcome) {
    case ROP_REFER:
        return "REFER";
    case ROP_NO_REFERRAL_FINDINGS:
        return "NO_REFERRAL_FINDINGS";
    case ROP_RETAKE:
        return "RETAKE";
    default:
        return "NO_RESULT";
    }
}

static gchar *hex(const uint8_t sha256[32])
{
    GString *const text = g_string_sized_new(64);
    for (int i = 0; i < 32; i++) {
        g_string_append_printf(text, "%02x", sha256[i]);
    }
    return g_string_free(text, FALSE);
}

static GstStructure *describe(const GstRopScreen *self, const rop_result *result, const char *name)
{
    GValue all = G_VALUE_INIT, one = G_VALUE_INIT;
    gchar *const frame = hex(result->frame_sha256), *const bundle = hex(result->bundle_sha256);
    GstStructure *const it = gst_structure_new(
        name, "outcome", G_TYPE_STRING, outcome_name(result->outcome), "text", G_TYPE_STRING, result->text, "reason",
        G_TYPE_STRING, result->reason, "sequence", G_TYPE_UINT64, result->sequence, "pts", G_TYPE_UINT64,
        self->pts[result->sequence % G_N_ELEMENTS(self->pts)], "captured-ns", G_TYPE_UINT64, result->captured_ns, "fresh-until-ns",
        G_TYPE_UINT64, result->outcome == ROP_NO_RESULT ? (guint64)0 : result->fresh_until_ns, "vessel-fraction", G_TYPE_DOUBLE,
        (double)result->vessel_fraction, "total-ms", G_TYPE_DOUBLE, (double)result->timings_ms[ROP_MS_TOTAL], "clinical-use",
        G_TYPE_BOOLEAN, (result->flags & ROP_CLINICAL_USE) != 0u, "notice", G_TYPE_STRING, self->notice, "frame-sha256",
        G_TYPE_STRING, frame, "bundle-sha256", G_TYPE_STRING, bundle, NULL);
    g_value_init(&all, GST_TYPE_ARRAY);
    g_value_init(&one, G_TYPE_DOUBLE);
    for (int i = 0; i < result->class_count; i++) {
        g_value_set_double(&one, (double)result->probabilities[i]);
        gst_value_array_append_value(&all, &one);
    }
    gst_structure_take_value(it, "probabilities", &all);
    g_value_unset(&one);
    g_free(frame);
    g_free(bundle);
    return it;
}

/* With the lock. */
static void give(GstRopScreen *self, const rop_result *result)
{
    GstStructure *const it = describe(self, result, READING);
    g_clear_pointer(&self->newest, gst_structure_free);
    self->newest = gst_structure_copy(it);
    self->newest_until = result->outcome == ROP_NO_RESULT ? 0 : result->fresh_until_ns;
    g_queue_push_tail(&self->told, gst_message_new_element(GST_OBJECT(self), it));
}

/* Give the lock back, and post what was given first: without the lock, as an application's synchronous handler may ask this
   element for anything; and by one thread at a time, so that no finding comes after the NO_RESULT that follows it. */
static void unlock(GstRopScreen *self)
{
    if (self->poster == NULL) {
        GstMessage *message;
        self->poster = g_thread_self();
        while ((message = g_queue_pop_head(&self->told)) != NULL) {
            g_mutex_unlock(&self->lock);
            (void)gst_element_post_message(GST_ELEMENT(self), message);
            g_mutex_lock(&self->lock);
        }
        self->poster = NULL;
        g_cond_broadcast(&self->posted);
    }
    g_mutex_unlock(&self->lock);
}

/* With the lock, which is let go of meanwhile: until all that was given is posted. */
static void wait_posted(GstRopScreen *self)
{
    while (self->poster != NULL && self->poster != g_thread_self()) {
        g_cond_wait(&self->posted, &self->lock);
    }
}

static void give_none(GstRopScreen *self, uint64_t sequence, const char *reason)
{
    rop_result none;
    memset(&none, 0, sizeof none);
    none.outcome = (uint8_t)ROP_NO_RESULT;
    none.sequence = sequence;
    none.vessel_fraction = -1.0F;
    none.timings_ms[ROP_MS_TOTAL] = -1.0F;
    g_strlcpy(none.reason, reason, sizeof none.reason);
    g_snprintf(none.text, sizeof none.text, "No result - %.200s", none.reason);
    give(self, &none);
}

/* ---- the daemon; all with the lock ---- */

static void leave(GstRopScreen *self)
{
    rop_close(self->client);
    self->is_ready = FALSE;
    self->counts[UNANSWERED] += self->under_way;
    self->under_way = 0;
}

static void lost(GstRopScreen *self)
{
    GST_WARNING_OBJECT(self, "%s", rop_error(self->client));
    if (!self->said_absent) {
        const gboolean refused = rop_last_refusal(self->client)->code != 0u;
        give_none(self, self->sequence, refused ? rop_error(self->client) : "the reading program does not run");
        self->said_absent = TRUE;
    }
    leave(self);
    self->again_ns = rop_now_ns() + AGAIN_NS;
}

static void reach(GstRopScreen *self)
{
    const rop_options options = {.size = sizeof options, .max_age_ms = self->max_age_ms};
    rop_bundle_report bundle;
    if (self->is_ready || self->lying.width == 0u || rop_now_ns() < self->again_ns) {
        return;
    }
    if (rop_open(self->client, self->socket, self->name, &options) != ROP_OK ||
        rop_configure(self->client, SLOTS, self->slot_bytes, ROP_ORDER_NEWEST, self->stored_pictures ? ROP_STORED_PICTURES : 0u) != ROP_OK) {
        lost(self);
        return;
    }
    self->notice[0] = '\0';
    if (rop_bundle(self->client, &bundle) == ROP_OK) { /* refused while the daemon loads: its frames are refused as well */
        g_strlcpy(self->notice, bundle.notice, sizeof self->notice);
    }
    self->is_ready = TRUE;
    self->said_absent = FALSE;
}

/* Take results, waiting for the first up to `wait_ms`; whether one of frame `wanted` was among them. */
static gboolean collect(GstRopScreen *self, guint wait_ms, uint64_t wanted)
{
    gboolean found = FALSE;
    rop_result result;
    rop_status status;
    while (self->is_ready && self->under_way > 0u && (status = rop_wait(self->client, wait_ms, &result)) != ROP_NOTHING_YET) {
        if (status != ROP_OK) {
            lost(self);
            break;
        }
        self->under_way--;
        found |= result.sequence == wanted;
        if (self->notice[0] == '\0' && result.refused == 0u) {
            rop_bundle_report bundle;
            if (rop_bundle(self->client, &bundle) == ROP_OK) {
                g_strlcpy(self->notice, bundle.notice, sizeof self->notice);
            }
        }
        self->counts[(result.flags & ROP_SUPERSEDED) != 0u ? SUPERSEDED : READ]++;
        if ((result.flags & ROP_SUPERSEDED) == 0u) { /* one that a newer frame took the place of says nothing new */
            give(self, &result);
        }
        wait_ms = 0;
    }
    if (self->newest_until != 0u && rop_now_ns() > self->newest_until) {
        give_none(self, self->sequence, "waiting for the next picture");
    }
    return found;
}

/* How far CLOCK_BOOTTIME is ahead of the pipeline's clock, and when that changed because the machine slept. With `dating`. */
static void look_at_clocks(GstRopScreen *self)
{
    GstClock *const clock = gst_element_get_clock(GST_ELEMENT(self));
    stretch *const it = &self->current;
    if (clock != NULL) {
        const GstClockTime now = gst_clock_get_time(clock);
        const gint64 ahead = (gint64)rop_now_ns() - (gint64)now;
        if (it->ahead != 0 && ahead > it->ahead + JUMP_NS) {
            it->ahead_before = it->ahead;
            it->slept_until = now;
        }
        it->ahead = ahead;
        gst_object_unref(clock);
    }
}

static void forget_pauses(GstRopScreen *self)
{
    g_mutex_lock(&self->dating);
    self->pauses = 0;
    self->has_played = self->plays;
    g_mutex_unlock(&self->dating);
}

/* The pipeline moves its base time by each pause's length: what was captured before keeps the one that held then. */
static void note_pause(GstRopScreen *self)
{
    g_mutex_lock(&self->dating);
    look_at_clocks(self);
    self->plays = FALSE;
    if (self->current.ahead != 0) {
        self->current.base = gst_element_get_base_time(GST_ELEMENT(self));
        const gint64 running = (gint64)rop_now_ns() - self->current.ahead - (gint64)self->current.base;
        self->current.end = (GstClockTime)MAX(running, 0) + PAUSING_NS;
        if (self->pauses == PAUSES) { /* the two first become one, by the older base time: older is never too fresh */
            self->before[0].end = self->before[1].end;
            memmove(&self->before[1], &self->before[2], (PAUSES - 2u) * sizeof self->before[0]);
            self->pauses--;
        }
        self->before[self->pauses++] = self->current;
    }
    g_mutex_unlock(&self->dating);
}

static GstStateChangeReturn change_state(GstElement *element, GstStateChange change)
{
    GstRopScreen *const self = GST_ROP_SCREEN(element);
    if (change == GST_STATE_CHANGE_PAUSED_TO_PLAYING) {
        g_mutex_lock(&self->dating);
        self->plays = self->has_played = TRUE;
        g_mutex_unlock(&self->dating);
    } else if (change == GST_STATE_CHANGE_PLAYING_TO_PAUSED) {
        note_pause(self);
    }
    return GST_ELEMENT_CLASS(gst_rop_screen_parent_class)->change_state(element, change);
}

static gpointer speak(gpointer data)
{
    GstRopScreen *const self = data;
    while (!g_atomic_int_get(&self->stopping)) {
        g_mutex_lock(&self->dating);
        look_at_clocks(self);
        g_mutex_unlock(&self->dating);
        g_mutex_lock(&self->lock);
        g_atomic_int_set(&self->reaching, !self->is_ready);
        reach(self);
        g_atomic_int_set(&self->reaching, 0);
        (void)collect(self, 0, 0);
        GPollFD one = {.fd = self->is_ready ? rop_descriptor(self->client) : -1, .events = G_IO_IN};
        unlock(self);
        (void)g_poll(&one, one.fd >= 0 ? 1 : 0, LOOK_MS);
    }
    return NULL;
}

/* ---- frames ---- */

/* By which stretch a running time is dated; NULL: by none. With `dating`. */
static const stretch *stretch_of(GstRopScreen *self, GstClockTime running)
{
    look_at_clocks(self);
    for (guint i = 0; i < self->pauses; i++) {
        if (running < self->before[i].end) {
            return &self->before[i];
        }
    }
    if (!self->plays) { /* the base time may be that of after the pause already */
        return self->pauses > 0u ? &self->before[self->pauses - 1u] : NULL;
    }
    self->current.base = gst_element_get_base_time(GST_ELEMENT(self));
    return self->current.ahead != 0 ? &self->current : NULL;
}

/* When a buffer was captured, by CLOCK_BOOTTIME; now where its time stamp does not tell. */
static uint64_t captured_ns(GstRopScreen *self, const GstBuffer *buffer)
{
    const GstSegment *const segment = &GST_BASE_TRANSFORM(self)->segment;
    const uint64_t now = rop_now_ns();
    if (!GST_BUFFER_PTS_IS_VALID(buffer) || segment->format != GST_FORMAT_TIME) {
        return now;
    }
    const GstClockTime running = gst_segment_to_running_time(segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
    if (!GST_CLOCK_TIME_IS_VALID(running)) {
        return now;
    }
    gint64 boot = 0;
    g_mutex_lock(&self->dating);
    const stretch *const by = self->has_played ? stretch_of(self, running) : NULL; /* sinks start first: frames come before */
    if (by != NULL) {
        const GstClockTime at = by->base + running;
        boot = (gint64)at + (at < by->slept_until ? by->ahead_before : by->ahead);
    }
    g_mutex_unlock(&self->dating);
    return boot > 0 && (uint64_t)boot < now ? (uint64_t)boot : now; /* files run ahead of the clock */
}

/* Where the picture begins in a buffer that holds more than is meant (GstVideoCropMeta); FALSE where that cannot be read. */
static gboolean cut(const GstRopScreen *self, GstBuffer *buffer, guint *x, guint *y)
{
    const GstVideoCropMeta *const crop = gst_buffer_get_video_crop_meta(buffer);
    if (crop == NULL) {
        return TRUE;
    }
    const GstVideoMeta *const whole = gst_buffer_get_video_meta(buffer);
    const guint width = whole != NULL ? whole->width : self->lying.width;
    const guint height = whole != NULL ? whole->height : self->lying.height;
    *x = crop->x;
    *y = crop->y;
    const gboolean odd = GST_VIDEO_INFO_IS_YUV(&self->info) && (crop->x | crop->y) % 2u != 0u; /* within a pair of chroma */
    return crop->width == self->lying.width && crop->height == self->lying.height && crop->width <= width && crop->height <= height &&
           crop->x <= width - crop->width && crop->y <= height - crop->height && !odd;
}

/* Copy a frame's planes into a slot, without padding between its planes. */
static gboolean fill(GstRopScreen *self, GstBuffer *buffer, rop_slot *slot, rop_picture *picture)
{
    *picture = self->lying;
    if (picture->format == ROP_JPEG) {
        const gsize size = gst_buffer_get_size(buffer);
        picture->data_bytes = (uint32_t)size;
        return size <= slot->bytes && gst_buffer_extract(buffer, 0, slot->pixels, size) == size;
    }
    GstVideoFrame frame;
    guint x = 0, y = 0;
    if (!cut(self, buffer, &x, &y) || !gst_video_frame_map(&frame, &self->info, buffer, GST_MAP_READ)) {
        return FALSE;
    }
    uint8_t *to = slot->pixels;
    for (guint plane = 0; plane < GST_VIDEO_FRAME_N_PLANES(&frame); plane++) {
        const guint rows = plane == 0 ? picture->height : picture->height / 2u;
        const gsize apart = (gsize)GST_VIDEO_FRAME_PLANE_STRIDE(&frame, plane);
        const guint8 *from = (const guint8 *)GST_VIDEO_FRAME_PLANE_DATA(&frame, plane) + (plane == 0 ? y : y / 2u) * apart +
                             (gsize)x * (gsize)GST_VIDEO_INFO_COMP_PSTRIDE(&self->info, 0);
        for (guint row = 0; row < rows; row++) {
            memcpy(to, from + row * apart, picture->stride);
            to += picture->stride;
        }
    }
    gst_video_frame_unmap(&frame);
    return TRUE;
}

/* With the lock; whether the frame is under way. */
static gboolean hand_over(GstRopScreen *self, GstBuffer *buffer)
{
    rop_slot slot;
    rop_picture picture;
    const guint64 unlocked = (guint64)g_atomic_int_and((guint *)&self->busy, 0u);
    self->counts[LEFT_OUT_BUSY] += unlocked;
    self->counts[FRAMES] += unlocked + 1u;
    if (GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_CORRUPTED)) { /* by a camera's driver, a decoder, a network's source */
        self->counts[REFUSED]++;
        give_none(self, self->sequence, "the frame is marked as damaged");
        return FALSE;
    }
    if (!self->is_ready) {
        self->counts[LEFT_OUT_ABSENT]++;
        return FALSE;
    }
    rop_status status = rop_acquire_slot(self->client, &slot);
    if (status != ROP_OK) {
        self->counts[status < ROP_OK ? LEFT_OUT_ABSENT : LEFT_OUT_NO_SLOT]++;
        if (status < ROP_OK) {
            lost(self);
        }
        return FALSE;
    }
    const uint64_t captured = captured_ns(self, buffer);
    if (!fill(self, buffer, &slot, &picture)) {
        (void)rop_release_slot(self->client, &slot);
        self->counts[REFUSED]++;
        give_none(self, self->sequence, "the frame cannot be mapped, or is not as large, or cut, as its caps say");
        return FALSE;
    }
    picture.sequence = ++self->sequence;
    picture.captured_ns = captured;
    self->pts[picture.sequence % G_N_ELEMENTS(self->pts)] = GST_BUFFER_PTS(buffer);
    status = rop_submit(self->client, &slot, &picture);
    if (status == ROP_OK) {
        self->under_way++;
        self->counts[HANDED_OVER]++;
        return TRUE;
    }
    self->counts[status <= ROP_GONE ? LEFT_OUT_ABSENT : REFUSED]++;
    if (status == ROP_BAD_ARGUMENT) { /* as a frame that is more than a minute old */
        give_none(self, picture.sequence, rop_error(self->client));
    }
    if (status <= ROP_GONE) {
        lost(self);
    } else {
        (void)rop_release_slot(self->client, &slot);
    }
    return FALSE;
}

/* Whether the lock was had; not while a daemon is being reached, nor for longer than SHORT_NS: the stream goes on. */
static gboolean lock_soon(GstRopScreen *self)
{
    const uint64_t until = rop_now_ns() + SHORT_NS;
    while (!g_mutex_trylock(&self->lock)) {
        if (g_atomic_int_get(&self->reaching) || rop_now_ns() > until) {
            return FALSE;
        }
        g_usleep(100);
    }
    return TRUE;
}

static GstFlowReturn transform_ip(GstBaseTransform *base, GstBuffer *buffer)
{
    GstRopScreen *const self = GST_ROP_SCREEN(base);
    gboolean own = TRUE; /* the newest reading may ride on this buffer */
    if (self->wait) {
        g_mutex_lock(&self->lock);
        reach(self);
        own = hand_over(self, buffer);
        if (own) {
            const uint64_t mine = self->sequence;
            while (!g_atomic_int_get(&self->stopping) && self->under_way > 0u && !collect(self, LOOK_MS, mine)) {
            }
        }
        wait_posted(self); /* else this thread posts it */
    } else if (lock_soon(self)) {
        (void)hand_over(self, buffer);
        (void)collect(self, 0, 0);
    } else {
        g_atomic_int_inc(&self->busy);
        return GST_FLOW_OK;
    }
    if (self->newest != NULL && (self->newest_until == 0u || (own && rop_now_ns() <= self->newest_until))) {
        GstCustomMeta *const meta = gst_buffer_add_custom_meta(buffer, META);
        if (meta != NULL) {
            GstStructure *const to = gst_custom_meta_get_structure(meta);
            for (gint i = 0; i < gst_structure_n_fields(self->newest); i++) {
                const gchar *const field = gst_structure_nth_field_name(self->newest, (guint)i);
                gst_structure_set_value(to, field, gst_structure_get_value(self->newest, field));
            }
        }
    }
    unlock(self);
    return GST_FLOW_OK;
}

/* ---- caps ---- */

static uint8_t format_of(GstVideoFormat format)
{
    switch (format) {
    case GST_VIDEO_FORMAT_RGB:
        return ROP_RGB8;
    case GST_VIDEO_FORMAT_BGR:
        return ROP_BGR8;
    case GST_VIDEO_FORMAT_RGBx:
        return ROP_RGBX8;
    case GST_VIDEO_FORMAT_NV12:
        return ROP_NV12;
    case GST_VIDEO_FORMAT_YUY2:
        return ROP_YUYV;
    default:
        return ROP_UYVY;
    }
}

/* Matrix and range of YUV: the properties', or those that the caps name; GStreamer would guess them by the size. */
static gboolean colours(const rop_picture *named_here, const GstCaps *caps, const GstVideoInfo *info, rop_picture *lying)
{
    const gboolean named = gst_structure_has_field(gst_caps_get_structure(caps, 0), "colorimetry");
    const GstVideoColorMatrix matrix = info->colorimetry.matrix;
    const GstVideoColorRange range = info->colorimetry.range;
    lying->matrix = named_here->matrix != 0u                          ? named_here->matrix
                    : named && matrix == GST_VIDEO_COLOR_MATRIX_BT601 ? ROP_BT601
                    : named && matrix == GST_VIDEO_COLOR_MATRIX_BT709 ? ROP_BT709
                                                                                : ROP_MATRIX_NONE;
    lying->range = named_here->range != 0u                          ? named_here->range
                   : named && range == GST_VIDEO_COLOR_RANGE_0_255  ? ROP_FULL_RANGE
                   : named && range == GST_VIDEO_COLOR_RANGE_16_235 ? ROP_LIMITED_RANGE
                                                                       : ROP_RANGE_NONE;
    return lying->matrix != ROP_MATRIX_NONE && lying->range != ROP_RANGE_NONE;
}

/* Without the lock, as it may post an error. named_here: matrix and range by the properties, or 0. */
static gboolean read_caps(GstRopScreen *self, GstCaps *caps, const rop_picture *named_here, GstVideoInfo *info, rop_picture *lying,
                          guint *bytes)
{
    const GstStructure *const first = gst_caps_get_structure(caps, 0);
    memset(lying, 0, sizeof *lying);
    if (gst_structure_has_name(first, "image/jpeg")) {
        gint width = 0, height = 0;
        if (!gst_structure_get_int(first, "width", &width) || !gst_structure_get_int(first, "height", &height)) {
            return FALSE;
        }
        lying->format = ROP_JPEG;
        lying->width = (uint32_t)width;
        lying->height = (uint32_t)height;
        const guint64 room = (guint64)width * (guint64)height * 3u + 65536u;
        *bytes = (guint)MIN(room, MOST_BYTES);
        return TRUE;
    }
    if (!gst_video_info_from_caps(info, caps)) {
        return FALSE;
    }
    lying->format = format_of(GST_VIDEO_INFO_FORMAT(info));
    lying->width = (uint32_t)GST_VIDEO_INFO_WIDTH(info);
    lying->height = (uint32_t)GST_VIDEO_INFO_HEIGHT(info);
    const guint64 stride = (guint64)lying->width * (guint64)GST_VIDEO_INFO_COMP_PSTRIDE(info, 0);
    const guint64 size = stride * lying->height * (lying->format == ROP_NV12 ? 3u : 2u) / 2u;
    if (stride > G_MAXUINT32 || size > MOST_BYTES) {
        GST_ELEMENT_ERROR(self, STREAM, FORMAT, ("ropscreen: a frame of %u x %u pixels is larger than a slot may be", lying->width, lying->height), (NULL));
        return FALSE;
    }
    lying->stride = (uint32_t)stride;
    *bytes = (guint)size;
    if (GST_VIDEO_INFO_IS_YUV(info) && !colours(named_here, caps, info, lying)) {
        GST_ELEMENT_ERROR(self, STREAM, FORMAT, ("ropscreen: the caps do not say by which matrix and range the YUV was made"),
                          ("name them: ropscreen matrix=bt709 range=limited, or colorimetry=bt709 (bt601) in the caps"));
        return FALSE;
    }
    return TRUE;
}

static gboolean set_caps(GstBaseTransform *base, GstCaps *caps, GstCaps *out)
{
    GstRopScreen *const self = GST_ROP_SCREEN(base);
    (void)out;
    rop_picture lying, named_here;
    GstVideoInfo info;
    guint bytes = 0;
    memset(&named_here, 0, sizeof named_here);
    gst_video_info_init(&info);
    g_mutex_lock(&self->lock);
    named_here.matrix = (uint8_t)self->matrix;
    named_here.range = (uint8_t)self->range;
    g_mutex_unlock(&self->lock);
    if (!read_caps(self, caps, &named_here, &info, &lying, &bytes)) {
        return FALSE;
    }
    g_mutex_lock(&self->lock);
    leave(self); /* slots of another size are another ring; results of frames before are not of this stream */
    self->info = info;
    self->lying = lying;
    self->slot_bytes = bytes;
    self->again_ns = 0;
    if (self->newest_until != 0u) {
        give_none(self, self->sequence, "waiting for the next picture");
    }
    unlock(self);
    return TRUE;
}

/* ---- life ---- */

static gboolean start(GstBaseTransform *base)
{
    GstRopScreen *const self = GST_ROP_SCREEN(base);
    self->client = rop_new();
    if (self->client == NULL) {
        return FALSE;
    }
    self->lying.width = 0;
    self->sequence = self->under_way = self->newest_until = 0;
    memset(self->counts, 0, sizeof self->counts);
    g_atomic_int_set(&self->busy, 0);
    self->again_ns = 0;
    self->said_absent = FALSE;
    memset(&self->current, 0, sizeof self->current);
    self->plays = FALSE;
    forget_pauses(self);
    g_atomic_int_set(&self->stopping, 0);
    self->thread = g_thread_new("ropscreen", speak, self);
    return TRUE;
}

static gboolean stop(GstBaseTransform *base)
{
    GstRopScreen *const self = GST_ROP_SCREEN(base);
    g_atomic_int_set(&self->stopping, 1);
    (void)g_thread_join(self->thread);
    g_mutex_lock(&self->lock);
    if (self->newest_until != 0u) { /* nobody looks at its age from here on */
        give_none(self, self->sequence, "the pipeline has stopped");
    }
    leave(self);
    g_clear_pointer(&self->newest, gst_structure_free);
    rop_free(self->client);
    self->client = NULL;
    self->is_ready = FALSE;
    wait_posted(self);
    unlock(self);
    return TRUE;
}

static gboolean sink_event(GstBaseTransform *base, GstEvent *event)
{
    GstRopScreen *const self = GST_ROP_SCREEN(base);
    if (GST_EVENT_TYPE(event) == GST_EVENT_EOS) { /* the last frames' readings come before it */
        g_mutex_lock(&self->lock);
        while (!g_atomic_int_get(&self->stopping) && self->under_way > 0u) { /* each ends at its largest age */
            (void)collect(self, LOOK_MS, 0);
        }
        wait_posted(self); /* else this thread posts them */
        unlock(self);
    } else if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP) { /* nothing from before it comes any more */
        gboolean from_zero = FALSE;
        gst_event_parse_flush_stop(event, &from_zero);
        if (from_zero) {
            forget_pauses(self);
        }
    }
    return GST_BASE_TRANSFORM_CLASS(gst_rop_screen_parent_class)->sink_event(base, event);
}

static void cancel(GstRopScreen *self)
{
    g_mutex_lock(&self->lock);
    if (self->is_ready && rop_cancel(self->client) <= ROP_GONE) {
        lost(self);
    }
    if (self->newest_until != 0u || !g_queue_is_empty(&self->told)) { /* nor does what was not posted yet come after this */
        g_queue_clear_full(&self->told, (GDestroyNotify)gst_message_unref);
        give_none(self, self->sequence, "waiting for the next picture");
    }
    wait_posted(self);
    unlock(self);
}

/* ---- properties ---- */

static GType matrix_type(void)
{
    static const GEnumValue values[] = {{0, "As the caps say", "caps"}, {ROP_BT601, "ITU-R BT.601", "bt601"}, {ROP_BT709, "ITU-R BT.709", "bt709"}, {0, NULL, NULL}};
    static gsize type;
    if (g_once_init_enter(&type)) {
        g_once_init_leave(&type, g_enum_register_static("GstRopScreenMatrix", values));
    }
    return type;
}

static GType range_type(void)
{
    static const GEnumValue values[] = {
        {0, "As the caps say", "caps"}, {ROP_FULL_RANGE, "0 to 255", "full"}, {ROP_LIMITED_RANGE, "Luma 16 to 235", "limited"}, {0, NULL, NULL}};
    static gsize type;
    if (g_once_init_enter(&type)) {
        g_once_init_leave(&type, g_enum_register_static("GstRopScreenRange", values));
    }
    return type;
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
    GstRopScreen *const self = GST_ROP_SCREEN(object);
    g_mutex_lock(&self->lock);
    switch (id) {
    case PROP_SOCKET:
        g_free(self->socket);
        self->socket = g_value_dup_string(value);
        break;
    case PROP_NAME:
        g_free(self->name);
        self->name = g_value_dup_string(value);
        break;
    case PROP_MAX_AGE:
        self->max_age_ms = g_value_get_uint(value);
        break;
    case PROP_MATRIX:
        self->matrix = (guint)g_value_get_enum(value);
        break;
    case PROP_RANGE:
        self->range = (guint)g_value_get_enum(value);
        break;
    case PROP_WAIT:
        self->wait = g_value_get_boolean(value);
        break;
    case PROP_STORED:
        self->stored_pictures = g_value_get_boolean(value);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
    g_mutex_unlock(&self->lock);
}

static GstStructure *stats_of(GstRopScreen *self)
{
    GstStructure *const it = gst_structure_new_empty("ropscreen-stats");
    const guint64 unlocked = (guint64)g_atomic_int_get(&self->busy);
    g_mutex_lock(&self->lock);
    for (guint i = 0; i < COUNTS; i++) {
        gst_structure_set(it, COUNT_NAMES[i], G_TYPE_UINT64, self->counts[i] + (i == FRAMES || i == LEFT_OUT_BUSY ? unlocked : 0u), NULL);
    }
    gst_structure_set(it, "under-way", G_TYPE_UINT64, (guint64)self->under_way, NULL);
    g_mutex_unlock(&self->lock);
    return it;
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    GstRopScreen *const self = GST_ROP_SCREEN(object);
    switch (id) {
    case PROP_SOCKET:
        g_value_set_string(value, self->socket);
        break;
    case PROP_NAME:
        g_value_set_string(value, self->name);
        break;
    case PROP_MAX_AGE:
        g_value_set_uint(value, self->max_age_ms);
        break;
    case PROP_MATRIX:
        g_value_set_enum(value, (gint)self->matrix);
        break;
    case PROP_RANGE:
        g_value_set_enum(value, (gint)self->range);
        break;
    case PROP_WAIT:
        g_value_set_boolean(value, self->wait);
        break;
    case PROP_STORED:
        g_value_set_boolean(value, self->stored_pictures);
        break;
    case PROP_STATS:
        g_value_take_boxed(value, stats_of(self));
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
}

static void finalize(GObject *object)
{
    GstRopScreen *const self = GST_ROP_SCREEN(object);
    g_free(self->socket);
    g_free(self->name);
    g_queue_clear_full(&self->told, (GDestroyNotify)gst_message_unref);
    g_cond_clear(&self->posted);
    g_mutex_clear(&self->lock);
    g_mutex_clear(&self->dating);
    G_OBJECT_CLASS(gst_rop_screen_parent_class)->finalize(object);
}

static void gst_rop_screen_class_init(GstRopScreenClass *class)
{
    GObjectClass *const object = G_OBJECT_CLASS(class);
    GstElementClass *const element = GST_ELEMENT_CLASS(class);
    GstBaseTransformClass *const transform = GST_BASE_TRANSFORM_CLASS(class);
    const GParamFlags ready = (GParamFlags)(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
    object->set_property = set_property;
    object->get_property = get_property;
    object->finalize = finalize;
    element->change_state = change_state;
    g_object_class_install_property(object, PROP_SOCKET, g_param_spec_string("socket", "Socket", "The daemon's", "/run/ropscreend/socket", ready));
    g_object_class_install_property(object, PROP_NAME, g_param_spec_string("source", "Source", "Goes into the readings as the frames' source; never a patient's name", "gstreamer", ready));
    g_object_class_install_property(object, PROP_MAX_AGE, g_param_spec_uint("max-age-ms", "Largest age", "A frame captured longer ago has no result", 1, ROP_MOST_MAX_AGE_MS, ROP_DEFAULT_MAX_AGE_MS, ready));
    g_object_class_install_property(object, PROP_MATRIX, g_param_spec_enum("matrix", "Matrix", "By which YUV was made", matrix_type(), 0, ready));
    g_object_class_install_property(object, PROP_RANGE, g_param_spec_enum("range", "Range", "Of YUV", range_type(), 0, ready));
    g_object_class_install_property(object, PROP_WAIT, g_param_spec_boolean("wait", "Wait", "Each frame waits for its own reading, and bears it; else frames go on at once and those are left out that come while the daemon has all slots", FALSE, ready));
    g_object_class_install_property(object, PROP_STORED, g_param_spec_boolean("stored-pictures", "Stored pictures", "A picture that is one of the last 32 is not refused as a frozen camera's", FALSE, ready));
    g_object_class_install_property(object, PROP_STATS, g_param_spec_boxed("stats", "Statistics", "What became of the frames since the start, by count", GST_TYPE_STRUCTURE, (GParamFlags)(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
    /* For when another infant's picture could be taken for this one's: no frame so far has a result then. */
    (void)g_signal_new_class_handler("cancel", G_TYPE_FROM_CLASS(class), (GSignalFlags)(G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION), G_CALLBACK(cancel), NULL, NULL, NULL, G_TYPE_NONE, 0);
    gst_element_class_set_static_metadata(element, "ROP screening", "Filter/Analyzer/Video",
                                          "Has frames read for retinopathy of prematurity by ropscreend; a screening aid, not a medical device", "rop-screening-runtime");
    gst_element_class_add_static_pad_template(element, &sink_template);
    gst_element_class_add_static_pad_template(element, &src_template);
    transform->set_caps = set_caps;
    transform->transform_ip = transform_ip;
    transform->start = start;
    transform->stop = stop;
    transform->sink_event = sink_event;
}

static void gst_rop_screen_init(GstRopScreen *self)
{
    g_mutex_init(&self->lock);
    g_queue_init(&self->told);
    g_cond_init(&self->posted);
    g_mutex_init(&self->dating);
    self->socket = g_strdup("/run/ropscreend/socket");
    self->name = g_strdup("gstreamer");
    self->max_age_ms = ROP_DEFAULT_MAX_AGE_MS;
    gst_base_transform_set_in_place(GST_BASE_TRANSFORM(self), TRUE);
}

static gboolean plugin_init(GstPlugin *plugin)
{
    static const gchar *const tags[] = {NULL};
    GST_DEBUG_CATEGORY_INIT(ropscreen_debug, "ropscreen", 0, "ROP screening");
    if (gst_meta_register_custom(META, (const gchar **)tags, NULL, NULL, NULL) == NULL) {
        return FALSE;
    }
    return gst_element_register(plugin, "ropscreen", GST_RANK_NONE, gst_rop_screen_get_type());
}

#define PACKAGE "ropscreen"
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, ropscreen, "Readings for retinopathy of prematurity from ropscreend", plugin_init,
                  ROPSCREEN_PLUGIN_VERSION, "Apache 2.0", "rop-screening-runtime", "https://arxiv.org/abs/2503.00267")
