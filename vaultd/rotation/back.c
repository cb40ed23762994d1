#include "vaultd/rotation/back.h"

#include "lib/duration.h"
#include "vaultd/rotation/rotation.h"

void back_ordered(struct run *run, int64_t now_ms)
{
    if (run->back_asked_ms == 0)
        run->back_asked_ms = now_ms;
}

/* rotate --back is a run of its own: there, what was before is the new version. */
static void moved_ahead(struct run *run, enum run_state before, int64_t now_ms)
{
    enum run_state state = run->machine.state;
    if (state == before)
        return;
    if (state == RUN_OVERLAPPING)
        run->back_ready_ms = now_ms;
    else if (state == RUN_PROMOTED || state == RUN_ACKING || state == RUN_ROLLING_BACK)
        run->back_ready_ms = 0;
}

void back_moved(struct run *run, enum run_state before, enum back_step before_back, unsigned fx,
                int64_t now_ms)
{
    const struct machine *m = &run->machine;
    if (run->trigger == TRIGGER_BACK) {
        moved_ahead(run, before, now_ms);
        return;
    }
    if (m->state != RUN_ROLLING_BACK)
        return;
    back_ordered(run, now_ms);
    if ((fx & FX_INTENT) != 0 && m->intent == INTENT_RESTORE)
        run->back_ready_ms = 0; /* it is dead */
    /* Set again; consumers either have it still, or were sent back to it before. */
    if (before_back == BACK_RESTORE_OLD && m->back != BACK_RESTORE_OLD && m->back != BACK_DEMOTE)
        run->back_ready_ms = now_ms;
}

void back_returned(struct run *run, const struct consumer *consumers, size_t n, int64_t now_ms)
{
    int64_t since = run->state_ms;
    if (run->trigger == TRIGGER_BACK || run->promoted_ms == 0 || run->back_ready_ms != 0)
        return;
    for (size_t i = 0; i < n; i++) {
        if (consumers[i].state != CONSUMER_HEALTHY || consumers[i].version == run->to)
            return;
        if (consumers[i].heard_ms > since)
            since = consumers[i].heard_ms;
    }
    run->back_ready_ms = since < now_ms ? since : now_ms;
}

/* Its end says whether it came to that: a run that goes ahead after all does not count. */
static bool came_back(const struct run *run)
{
    enum run_state state = run->machine.state;
    bool ahead = run->trigger == TRIGGER_BACK;
    return !run_state_ended(state) || state == (ahead ? RUN_DONE : RUN_ROLLED_BACK);
}

struct back_time back_time(const struct run *run)
{
    struct back_time ret = {.asked = run->back_asked_ms != 0};
    int64_t most_ms = run->settings.rto_s * 1000;
    ret.measured = ret.asked && run->back_ready_ms != 0 && came_back(run);
    if (ret.measured && run->back_ready_ms > run->back_asked_ms)
        ret.took_ms = run->back_ready_ms - run->back_asked_ms;
    bool due = ret.asked && (run->trigger == TRIGGER_BACK || run->promoted_ms != 0);
    ret.missed = run_state_ended(run->machine.state) && most_ms != 0 &&
                 (ret.measured ? ret.took_ms > most_ms : due);
    return ret;
}

void back_say(const struct run *run, struct kt_buf *out)
{
    char took[KT_DURATION_TEXT], most[KT_DURATION_TEXT];
    const struct back_time time = back_time(run);
    kt_duration_text((uint64_t)time.took_ms, took);
    kt_duration_text((uint64_t)run->settings.rto_s * 1000, most);
    if (time.measured)
        kt_buf_printf(out, "  Going back took %s", took);
    else if (time.missed)
        kt_buf_add_text(out, "  It was not seen that everybody is well with it again");
    else
        return;
    if (time.missed)
        kt_buf_printf(out, ": the objective of %s was MISSED.", most);
    else if (run->settings.rto_s != 0)
        kt_buf_printf(out, ", within its objective of %s.", most);
    else
        kt_buf_add_char(out, '.');
}

void back_show(const struct rotation *rotation, const struct run *run, struct kt_jsonw *w)
{
    const struct back_time time = back_time(run);
    kt_jsonw_key(w, "back");
    if (!time.asked) {
        kt_jsonw_null(w);
        return;
    }
    kt_jsonw_object(w);
    kt_jsonw_kv_time(w, "ordered", rotation_wall_of(rotation, run->back_asked_ms));
    kt_jsonw_kv_time(w, "ready", time.measured ? rotation_wall_of(rotation, run->back_ready_ms) : 0);
    kt_jsonw_kv_int(w, "took_ms", time.took_ms);
    kt_jsonw_kv_int(w, "rto_s", run->settings.rto_s);
    kt_jsonw_kv_bool(w, "measured", time.measured);
    kt_jsonw_kv_bool(w, "missed", time.missed);
    kt_jsonw_end(w);
}
