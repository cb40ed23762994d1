#include <stdio.h>
#include <stdlib.h>

#include "lib/log.h"
#include "vaultd/barrier/format.h"
#include "vaultd/rotation/engine.h"

/* Certificates, ages and schedules all hang from the wall clock. One that jumps far is no reason to
 * start what is due, but to stop and say so: a year ahead would make every secret due at once. */

#define FORMAT      1u
#define BACK_MS     ((int64_t)3 * 60 * 60 * 1000)
#define AHEAD_MS    ((int64_t)24 * 60 * 60 * 1000)
#define SAVE_MS     ((int64_t)60 * 60 * 1000)

struct clock_pass {
    int64_t stored_ms; /* 0: none */
    bool save;
};

static void read_1(struct kt_reader *r, void *ret)
{
    int64_t *stored_ms = ret;
    *stored_ms = kt_read_i64(r);
}

static format_reader *const readers[] = {[FORMAT] = read_1};

static enum kt_kind clock_handler(struct request *req, struct kt_err *err)
{
    struct clock_pass *p = req->handler_data;
    unsigned char key[BARRIER_NAME_KEY];
    clock_key(req->core, key);
    struct kt_bytes record;
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, NULL, err);
    p->stored_ms = 0;
    if (kind == KT_OK) {
        /* One that cannot be read only means that nothing is known, as at the first start. */
        int64_t stored_ms = 0;
        if (FORMAT_READ("the stored time", record, readers, &stored_ms, NULL) == KT_OK)
            p->stored_ms = stored_ms;
    } else if (kind != KT_NOT_FOUND) {
        return kind;
    }
    if (!p->save)
        return KT_OK;
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, 64);
    kt_buf_add_u8(&plain, FORMAT);
    kt_buf_add_i64(&plain, req->now_ms);
    if (batch == NULL || !kt_buf_ok(&plain))
        return kt_fail(err, KT_NO_MEMORY, "storing the time");
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&plain),
                       err);
}

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
    if (news)
        kt_log(KT_LOG_ERROR, "clock-jumped", "how=\"%s\" minutes=%lld next=\"set the clock, or "
                                             "see: secretctl read rotation/clock\"",
               how, (long long)(by_ms / 60000));
}

static void alarm_off(struct rotation *rotation)
{
    (void)pthread_mutex_lock(&rotation->lock);
    bool was = rotation->clock.alarm;
    rotation->clock.alarm = false;
    rotation->clock.text[0] = '\0';
    (void)pthread_mutex_unlock(&rotation->lock);
    if (was)
        kt_log(KT_LOG_NOTICE, "clock-trusted", "%s", "schedules=on");
}

static void save(struct rotation *rotation, int64_t wall_ms)
{
    struct clock_pass pass = {.save = true};
    struct kt_err err = {0};
    if (request_internal(rotation->core, "rotation/clock", clock_handler, &pass, &err) == KT_OK)
        rotation->clock.saved_ms = wall_ms;
}

static int64_t offset_now(const struct rotation *rotation)
{
    return kt_wall_ms(rotation->core->clock) - kt_mono_ms(rotation->core->clock);
}

void rotation_clock_start(struct rotation *rotation)
{
    struct rotation_clock *clock = &rotation->clock;
    clock->offset_ms = clock->base_ms;
    clock->saved_ms = 0;
    struct clock_pass pass = {.save = false};
    struct kt_err err = {0};
    alarm_off(rotation);
    if (request_internal(rotation->core, "rotation/clock", clock_handler, &pass, &err) != KT_OK)
        return;
    int64_t behind = pass.stored_ms - kt_wall_ms(rotation->core->clock);
    if (pass.stored_ms != 0 && behind > BACK_MS) {
        /* Trusted again when the wall clock reaches what is stored. */
        clock->offset_ms += behind;
        alarm_on(rotation, "is behind the last stored time", behind);
    }
}

bool rotation_clock_trusts(const struct rotation *rotation, int64_t wall_ms)
{
    int64_t delta = wall_ms - kt_mono_ms(rotation->core->clock) - rotation->clock.offset_ms;
    return delta >= -BACK_MS && delta <= AHEAD_MS;
}

bool rotation_clock_look(struct rotation *rotation)
{
    struct rotation_clock *clock = &rotation->clock;
    int64_t offset = offset_now(rotation), delta = offset - clock->offset_ms;
    if (atomic_exchange(&clock->accept, false)) {
        clock->offset_ms = offset;
        delta = 0;
    }
    if (delta < -BACK_MS) {
        alarm_on(rotation, "went back", -delta);
        return true;
    }
    if (delta > AHEAD_MS) {
        alarm_on(rotation, "went ahead", delta);
        return true;
    }
    clock->offset_ms = offset;
    alarm_off(rotation);
    int64_t wall = kt_wall_ms(rotation->core->clock);
    if (wall - clock->saved_ms >= SAVE_MS || wall < clock->saved_ms)
        save(rotation, wall);
    return false;
}
