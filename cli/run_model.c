/* cli/run_model.c - see cli/run_model.h. */
#include "cli/run_model.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/output.h"
#include "lib/api.h"
#include "lib/failpoint.h"

void run_model_init(struct run_model *run)
{
    *run = (struct run_model){0};
}

void run_model_free(struct run_model *run)
{
    free(run->steps);
    *run = (struct run_model){0};
}

static bool make_room(struct run_model *run)
{
    if (run->step_count < run->step_room)
        return true;
    size_t room = run->step_room == 0 ? 64 : run->step_room * 2;
    struct run_step *steps = kt_calloc(room, sizeof *steps);
    if (steps == NULL)
        return false;
    if (run->step_count > 0)
        memcpy(steps, run->steps, run->step_count * sizeof *steps);
    free(run->steps);
    run->steps = steps;
    run->step_room = room;
    return true;
}

static bool take_steps(struct run_model *run, struct kt_json list)
{
    struct kt_json_iter it = kt_json_iter(list);
    while (kt_json_next(&it)) {
        struct run_step step = {.ok = true};
        (void)kt_api_i64(it.value, "seq", &step.seq);
        if (step.seq <= run->seq || run->step_count >= RUN_STEPS_MAX)
            continue;
        if (!make_room(run))
            return false;
        (void)kt_api_text(it.value, "kind", step.kind, sizeof step.kind);
        (void)kt_api_text(it.value, "name", step.name, sizeof step.name);
        (void)kt_api_text(it.value, "text", step.text, sizeof step.text);
        (void)kt_api_bool(it.value, "ok", &step.ok);
        (void)kt_api_i64(it.value, "took_ms", &step.took_ms);
        step.at_ms = output_time_of(it.value, "at");
        run->steps[run->step_count++] = step;
        run->seq = step.seq;
    }
    return true;
}

static void take_consumers(struct run_model *run, struct kt_json list)
{
    run->consumer_count = 0;
    struct kt_json_iter it = kt_json_iter(list);
    while (run->consumer_count < RUN_CONSUMERS_MAX && kt_json_next(&it)) {
        struct run_consumer *consumer = &run->consumers[run->consumer_count++];
        *consumer = (struct run_consumer){0};
        (void)kt_api_text(it.value, "service", consumer->service, sizeof consumer->service);
        (void)kt_api_text(it.value, "host", consumer->host, sizeof consumer->host);
        (void)kt_api_text(it.value, "state", consumer->state, sizeof consumer->state);
        (void)kt_api_text(it.value, "detail", consumer->detail, sizeof consumer->detail);
        (void)kt_api_i64(it.value, "version", &consumer->version);
        (void)kt_api_i64(it.value, "p95_ms", &consumer->p95_ms);
        (void)kt_api_i64(it.value, "baseline_p95_ms", &consumer->before_ms);
    }
}

/* "known" may be one text or a list of them. */
static void take_known(struct run_model *run, struct kt_json frozen)
{
    struct kt_json known = {0};
    size_t used = 0;
    if (kt_api_text(frozen, "known", run->frozen_known, sizeof run->frozen_known))
        return;
    if (!kt_json_member(frozen, "known", &known))
        return;
    struct kt_json_iter it = kt_json_iter(known);
    while (kt_json_next(&it) && used < sizeof run->frozen_known) {
        kt_autobuf struct kt_buf text = {0};
        kt_buf_init(&text, sizeof run->frozen_known);
        output_value(&text, it.value);
        int n = snprintf(run->frozen_known + used, sizeof run->frozen_known - used, "%s%s",
                         used > 0 ? "\n" : "", kt_buf_text(&text));
        used += n > 0 ? (size_t)n : 0;
    }
}

static void take_back(struct run_model *run, struct kt_json back)
{
    int64_t rto_s = 0;
    (void)kt_api_i64(back, "took_ms", &run->back_took_ms);
    (void)kt_api_i64(back, "rto_s", &rto_s);
    (void)kt_api_bool(back, "measured", &run->back_measured);
    (void)kt_api_bool(back, "missed", &run->back_missed);
    run->back_ordered_ms = output_time_of(back, "ordered");
    run->rto_ms = rto_s * 1000;
}

bool run_model_take(struct run_model *run, struct kt_json data)
{
    struct kt_json value = {0};
    const struct {
        const char *name;
        char *out;
        size_t size;
    } texts[] = {
        {"id", run->id, sizeof run->id},
        {"secret", run->secret, sizeof run->secret},
        {"target", run->target, sizeof run->target},
        {"strategy", run->strategy, sizeof run->strategy},
        {"state", run->state, sizeof run->state},
        {"why", run->why, sizeof run->why},
        {"trigger", run->trigger, sizeof run->trigger},
        {"by", run->by, sizeof run->by},
        {"reason", run->reason, sizeof run->reason},
        {"waits_for", run->waits_for, sizeof run->waits_for},
        {"drill", run->drill, sizeof run->drill},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        (void)kt_api_text(data, texts[i].name, texts[i].out, texts[i].size);
    (void)kt_api_i64(data, "from", &run->from);
    (void)kt_api_i64(data, "to", &run->to);
    run->eta_s = 0;
    (void)kt_api_i64(data, "eta_s", &run->eta_s);
    (void)kt_api_bool(data, "can_go_back", &run->can_go_back);
    run->started_ms = output_time_of(data, "started");
    run->ended_ms = output_time_of(data, "ended");
    run->waits_until_ms = output_time_of(data, "waits_until");
    if (kt_json_member(data, "back", &value) && kt_json_type(value) == KT_JSON_OBJECT)
        take_back(run, value);
    if (kt_json_member(data, "frozen", &value) && kt_json_type(value) == KT_JSON_OBJECT) {
        (void)kt_api_text(value, "code", run->frozen_code, sizeof run->frozen_code);
        (void)kt_api_text(value, "word", run->frozen_word, sizeof run->frozen_word);
        (void)kt_api_text(value, "text", run->frozen_text, sizeof run->frozen_text);
        (void)kt_api_text(value, "next", run->frozen_next, sizeof run->frozen_next);
        (void)kt_api_text(value, "now", run->frozen_now, sizeof run->frozen_now);
        take_known(run, value);
    }
    if (kt_json_member(data, "consumers", &value))
        take_consumers(run, value);
    return !kt_json_member(data, "steps", &value) || take_steps(run, value);
}

bool run_ended(const struct run_model *run)
{
    return run_done(run) || strcmp(run->state, "rolled_back") == 0 ||
           strcmp(run->state, "cancelled") == 0;
}

bool run_frozen(const struct run_model *run)
{
    return strcmp(run->state, "frozen") == 0;
}

bool run_done(const struct run_model *run)
{
    return strcmp(run->state, "done") == 0;
}

bool run_good(const struct run_model *run)
{
    return run_done(run) || strcmp(run->drill, "good") == 0;
}

const char *run_why(const struct run_model *run)
{
    if (run->why[0] != '\0')
        return run->why;
    for (size_t i = run->step_count; i > 0; i--)
        if (!run->steps[i - 1].ok && run->steps[i - 1].text[0] != '\0')
            return run->steps[i - 1].text;
    return "";
}

const char *run_known(const struct run_model *run)
{
    for (size_t i = run->step_count; i > 0; i--)
        if (strcmp(run->steps[i - 1].kind, "probe") == 0)
            return run->steps[i - 1].text;
    return "";
}

size_t run_healthy(const struct run_model *run)
{
    size_t healthy = 0;
    for (size_t i = 0; i < run->consumer_count; i++)
        healthy +=
            strcmp(run->consumers[i].state, "healthy") == 0 && run->consumers[i].version == run->to;
    return healthy;
}
