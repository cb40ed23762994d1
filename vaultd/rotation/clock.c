#include <stdio.h>
#include <stdlib.h>

#include "lib/log.h"
#include "vaultd/barrier/format.h"
#include "vaultd/rotation/engine.h"

/* Certificates, ages and schedules all hang from the wall clock. One that jumps far is no reason to
 * start what is due, but to stop and say so: a year ahead would make every secret due at once. */

#define FORMAT      3u
#define BACK_MS     ((int64_t)3 * 60 * 60 * 1000)
#define AHEAD_MS    ((int64_t)24 * 60 * 60 * 1000)
#define NEAR_MS     ((int64_t)60 * 60 * 1000) /* one that jumped is right again when it is so near to the steady one */
#define SAVE_MS     ((int64_t)60 * 60 * 1000)
#define READS_MAX   10
#define READ_MS     1000
#define APART_MS    ((int64_t)60 * 1000) /* so far ahead of the wall clock the steady one is stored, and so often */

struct stored {
    int64_t at_ms; /* 0: nothing is known */
    int64_t steady_ms; /* of then */
    bool replan;   /* not all was planned anew yet */
    char zones[KT_ZONE_VERSION_TEXT];
    generation changed; /* not stored */
};
struct clock_pass {
    enum { CLOCK_LOOK, CLOCK_SAVE, CLOCK_SAVE_STEADY, CLOCK_REPLANNED } what; /* the third: the steady one alone */
    struct stored stored;
};

static void read_1(struct kt_reader *r, void *ret)
{
    struct stored *stored = ret;
    stored->at_ms = kt_read_i64(r);
}

static void read_2(struct kt_reader *r, void *ret)
{
    struct stored *stored = ret;
    stored->at_ms = kt_read_i64(r);
    stored->replan = kt_read_u8(r) != 0;
    struct kt_bytes zones = kt_read_field(r);
    (void)snprintf(stored->zones, sizeof stored->zones, "%.*s", (int)zones.len,
                   (const char *)zones.at);
}

static void read_3(struct kt_reader *r, void *ret)
{
    struct stored *stored = ret;
    stored->steady_ms = kt_read_i64(r);
    read_2(r, ret);
}

static format_reader *const readers[] = {[1] = read_1, [2] = read_2, [FORMAT] = read_3};

static enum kt_kind load(struct request *req, struct stored *ret, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    clock_key(req->core, key);
    struct kt_bytes record;
    generation changed = 0;
    *ret = (struct stored){0};
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, &changed, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    /* One that cannot be read only means that nothing is known, as at the first start. */
    if (kind == KT_OK && FORMAT_READ("the stored time", record, readers, ret, NULL) != KT_OK)
        *ret = (struct stored){0};
    ret->changed = changed;
    return kind;
}

static enum kt_kind put(struct request *req, const struct stored *stored, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    clock_key(req->core, key);
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, 64);
    kt_buf_add_u8(&plain, FORMAT);
    kt_buf_add_i64(&plain, stored->steady_ms);
    kt_buf_add_i64(&plain, stored->at_ms);
    kt_buf_add_u8(&plain, stored->replan ? 1 : 0);
    kt_buf_add_field(&plain, kt_str(stored->zones));
    if (batch == NULL || !kt_buf_ok(&plain))
        return kt_fail(err, KT_NO_MEMORY, "storing the time");
    batch_require(batch, stored->changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT, kt_bytes(key, sizeof key), stored->changed);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&plain),
                       err);
}

static enum kt_kind clock_handler(struct request *req, struct kt_err *err)
{
    struct clock_pass *p = req->handler_data;
    struct rotation *rotation = req->core->rotation;
    struct stored *stored = &p->stored;
    if (p->what == CLOCK_REPLANNED && req->attempt > 0) /* somebody wrote it, perhaps to have all planned anew */
        return kt_fail(err, KT_BUSY, "storing the time");
    enum kt_kind kind = load(req, stored, err);
    if (kind != KT_OK || p->what == CLOCK_LOOK)
        return kind;
    stored->steady_ms = rotation_steady_ms(rotation);
    if (p->what == CLOCK_SAVE_STEADY)
        return put(req, stored, err);
    stored->at_ms = req->now_ms;
    /* What somebody wants planned anew since is not taken from him. */
    stored->replan = p->what == CLOCK_SAVE && (stored->replan || rotation->replan.on);
    memcpy(stored->zones, rotation->clock.zones, sizeof stored->zones);
    return put(req, stored, err);
}

enum kt_kind rotation_clock_want_replan(struct request *req, struct kt_err *err)
{
    struct stored stored;
    enum kt_kind kind = load(req, &stored, err);
    stored.replan = true;
    return kind == KT_OK ? put(req, &stored, err) : kind;
}

void rotation_replan(struct rotation *rotation)
{
    atomic_store(&rotation->clock.replan, true);
    rotation_wake(rotation);
}

static enum kt_kind want_replan_handler(struct request *req, struct kt_err *err)
{
    return rotation_clock_want_replan(req, err);
}

/* From here on until it is trusted again runs may end and settings be written by the wrong time: planned
 * anew after that, even when vaultd is stopped before the clock is right. */
static void alarm_on(struct rotation *rotation, const char *how, int64_t by_ms)
{
    (void)pthread_mutex_lock(&rotation->lock);
    bool news = !rotation->clock.alarm;
    rotation->clock.alarm = true;
    if (news)
        (void)snprintf(rotation->clock.text, sizeof rotation->clock.text,
                       "the clock %s by %lld minutes: nothing is started by schedule until it is "
                       "set right, or: echo '{\"accept\":true}' | secretctl write rotation/clock -",
                       how, (long long)(by_ms / 60000));
    (void)pthread_mutex_unlock(&rotation->lock);
    struct kt_err err = {0};
    if (news && request_internal(rotation->core, "rotation/clock", want_replan_handler, NULL, &err) !=
                    KT_OK)
        kt_log_err(KT_LOG_WARNING, "rotation-replan", &err);
    if (news)
        kt_log(KT_LOG_ERROR, "clock-jumped", "how=\"%s\" minutes=%lld next=\"set the clock, or "
                                             "see: secretctl read rotation/clock\"",
               how, (long long)(by_ms / 60000));
}

/* Was it on? */
static bool alarm_off(struct rotation *rotation)
{
    (void)pthread_mutex_lock(&rotation->lock);
    bool was = rotation->clock.alarm;
    rotation->clock.alarm = false;
    rotation->clock.text[0] = '\0';
    (void)pthread_mutex_unlock(&rotation->lock);
    if (was)
        kt_log(KT_LOG_NOTICE, "clock-trusted", "%s", "schedules=on");
    return was;
}

static bool save(struct rotation *rotation, struct clock_pass pass)
{
    struct kt_err err = {0};
    return request_internal(rotation->core, "rotation/clock", clock_handler, &pass, &err) == KT_OK;
}

static void replan_all(struct rotation *rotation)
{
    rotation->replan = (struct replan){.on = true};
}

/* The rules of zones are read whenever something is planned: what was planned by others is not right. */
static void look_at_zones(struct rotation *rotation)
{
    char zones[KT_ZONE_VERSION_TEXT];
    kt_zone_data_version(NULL, zones);
    if (strcmp(zones, rotation->clock.zones) == 0)
        return;
    memcpy(rotation->clock.zones, zones, sizeof zones);
    replan_all(rotation);
}

bool rotation_clock_replanned(struct rotation *rotation)
{
    if (atomic_load(&rotation->clock.replan)) /* somebody changed a calendar meanwhile */
        return false;
    return save(rotation, (struct clock_pass){.what = CLOCK_REPLANNED});
}

/* A thread that was stopped between the two would take the stop for a clock that was set. */
static int64_t offset_now(const struct rotation *rotation)
{
    int64_t before_ms = 0, wall_ms = 0;
    for (int i = 0; i < READS_MAX; i++) {
        before_ms = kt_mono_ms(rotation->core->clock);
        wall_ms = kt_wall_ms(rotation->core->clock);
        if (kt_mono_ms(rotation->core->clock) - before_ms < READ_MS)
            break;
    }
    return wall_ms - before_ms;
}

/* Before there are requests; 0: not known. */
static int64_t stored_steady_ms(struct core *core)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct snapshot *snapshot = NULL;
    struct stored stored = {0};
    struct kt_err err = {0};
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, 256);
    clock_key(core, key);
    enum kt_kind kind = snapshot_begin(core->store, &snapshot) == STORE_OK
                            ? barrier_get(core->barrier, snapshot, kt_bytes(key, sizeof key), &plain, NULL, &err)
                            : kt_fail(&err, KT_IO, "reading the stored time");
    snapshot_end(snapshot);
    if (kind == KT_OK)
        kind = FORMAT_READ("the stored time", kt_buf_bytes(&plain), readers, &stored, &err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        kt_log_err(KT_LOG_WARNING, "rotation-clock", &err);
    return kind == KT_OK ? stored.steady_ms : 0;
}

/* Once a process: set anew at each unseal it would go back with a wall clock that went back. That may also have been set
 * back since the process before: what that one noted is not in the future, or consumers' words of today would be older
 * than what they are about. */
void rotation_clock_set(struct rotation *rotation)
{
    rotation->clock.offset_ms = offset_now(rotation);
    if (rotation->clock.set)
        return;
    int64_t mono_ms = kt_mono_ms(rotation->core->clock);
    const int64_t bases_ms[] = {stored_steady_ms(rotation->core) - mono_ms, actives_newest_ms(rotation->core) - mono_ms};
    int64_t base_ms = rotation->clock.offset_ms;
    for (size_t i = 0; i < sizeof bases_ms / sizeof bases_ms[0]; i++)
        base_ms = bases_ms[i] > base_ms ? bases_ms[i] : base_ms;
    atomic_store(&rotation->clock.base_ms, base_ms);
    rotation->clock.set = true;
}

static bool is_apart(const struct rotation *rotation)
{
    return atomic_load(&rotation->clock.base_ms) - offset_now(rotation) > APART_MS;
}

/* Needs no trust in the wall clock. */
static void save_steady(struct rotation *rotation)
{
    struct clock_pass pass = {.what = CLOCK_SAVE_STEADY};
    struct kt_err err = {0};
    enum kt_kind kind = request_internal(rotation->core, "rotation/clock", clock_handler, &pass, &err);
    if (kind != KT_OK && kind != KT_SEALED)
        kt_log_err(KT_LOG_WARNING, "rotation-clock", &err);
}

void rotation_clock_stop(struct rotation *rotation)
{
    save_steady(rotation); /* the wall clock may be set back until the next start */
}

void rotation_clock_start(struct rotation *rotation)
{
    struct rotation_clock *clock = &rotation->clock;
    clock->saved_ms = 0;
    struct clock_pass pass = {.what = CLOCK_LOOK};
    struct kt_err err = {0};
    (void)alarm_off(rotation);
    if (request_internal(rotation->core, "rotation/clock", clock_handler, &pass, &err) != KT_OK)
        return;
    rotation->replan = (struct replan){.on = pass.stored.replan};
    if (pass.stored.at_ms == 0) /* nothing was ever planned */
        kt_zone_data_version(NULL, clock->zones);
    else
        memcpy(clock->zones, pass.stored.zones, sizeof clock->zones);
    int64_t behind = pass.stored.at_ms - kt_wall_ms(rotation->core->clock);
    if (pass.stored.at_ms != 0 && behind > BACK_MS) {
        /* Trusted again when the wall clock reaches what is stored; nobody knows for how long vaultd was down. */
        clock->offset_ms += behind;
        clock->right_ahead_ms = AHEAD_MS;
        alarm_on(rotation, "is behind the last stored time", behind);
    }
}

/* An alarm ends by itself only when the clock is right again: what was just beyond the bound that raised it would be
 * just within it a moment later, and taken for true from then on. */
static bool is_trusted(const struct rotation_clock *clock, int64_t delta_ms)
{
    if (clock->alarm)
        return delta_ms >= -NEAR_MS && delta_ms <= clock->right_ahead_ms;
    return delta_ms >= -BACK_MS && delta_ms <= AHEAD_MS;
}

bool rotation_clock_trusts(const struct rotation *rotation, int64_t wall_ms)
{
    int64_t delta = wall_ms - kt_mono_ms(rotation->core->clock) - rotation->clock.offset_ms;
    return is_trusted(&rotation->clock, delta);
}

bool rotation_clock_look(struct rotation *rotation)
{
    struct rotation_clock *clock = &rotation->clock;
    int64_t mono = kt_mono_ms(rotation->core->clock);
    if (mono >= clock->apart_ms + APART_MS && is_apart(rotation)) {
        save_steady(rotation);
        clock->apart_ms = mono;
    }
    int64_t offset = offset_now(rotation), delta = offset - clock->offset_ms;
    bool anew = atomic_exchange(&clock->accept, false);
    if (anew) {
        clock->offset_ms = offset;
        delta = 0;
    }
    if (!is_trusted(clock, delta)) {
        if (!clock->alarm)
            clock->right_ahead_ms = NEAR_MS;
        alarm_on(rotation, delta < 0 ? "went back" : "went ahead", delta < 0 ? -delta : delta);
        return true;
    }
    clock->offset_ms = offset;
    /* One that came right by itself: what was stored meanwhile was planned by the wrong time. */
    anew = alarm_off(rotation) || anew;
    anew = atomic_exchange(&clock->replan, false) || anew;
    if (anew)
        replan_all(rotation);
    int64_t wall = kt_wall_ms(rotation->core->clock);
    if (anew || wall - clock->saved_ms >= SAVE_MS || wall < clock->saved_ms) {
        look_at_zones(rotation);
        if (save(rotation, (struct clock_pass){.what = CLOCK_SAVE}))
            clock->saved_ms = wall;
    }
    return false;
}
