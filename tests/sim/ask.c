/* One request through the pipeline, over a network that has its faults. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "tests/sim/actors.h"

#define MS INT64_C(1000000)

struct carrier {
    bool ready;
};

static void suspend(struct request *req)
{
    ((struct carrier *)req->carrier_data)->ready = false;
}

static void resume(struct request *req)
{
    struct carrier *carrier = req->carrier_data;
    carrier->ready = true;
    sched_wake(carrier);
}

static const struct request_carrier carrier_calls = {suspend, resume, NULL};

static void take_answer(struct world *world, struct ask *ask, struct request *req)
{
    struct kt_bytes answer = pipeline_body(req);
    ask->status = pipeline_status(req);
    size_t n = answer.len < ASK_BODY - 1 ? answer.len : ASK_BODY - 1;
    if (n > 0)
        memcpy(ask->answer, answer.at, n);
    ask->answer[n] = '\0';
    memcpy(ask->id, req->id, sizeof req->id);
    ask->unknown = world->dead;
    ask->effect = ask->changes && !ask->unknown && ask->status >= 200 && ask->status < 300;
}

static void pass(struct world *world, struct ask *ask, struct request *req, struct carrier *carrier)
{
    ask->begun_ms = sched_true_ms();
    ask->least_ms = world_life_least_ms(world);
    for (;;) {
        int64_t last_look_ms = req->now_ms;
        tokens_before_pass(world, ask);
        enum pipeline_state state = pipeline_run(req);
        if (req->now_ms != last_look_ms)
            tokens_looked_at(ask);
        if (state != PIPELINE_WAIT)
            break;
        while (!carrier->ready)
            sched_wait(carrier, INT64_MAX);
    }
    ask->ended_ms = sched_true_ms();
    ask->most_ms = world_life_most_ms(world);
}

void ask_vault(struct world *world, struct ask *ask, bool network)
{
    ask->status = 0;
    ask->unknown = ask->unheard = ask->effect = ask->passed = false;
    ask->token_number = -1;
    ask->id[0] = ask->answer[0] = '\0';
    ask->lost = world->dead || (network && sim_chance(20));
    if (network)
        sched_sleep_ns(sim_below(sim_chance(20) ? 2000 : 10) * MS / 2);
    if (ask->lost || world->dead) {
        ask->lost = true;
        return;
    }
    char target[600];
    (void)snprintf(target, sizeof target, "/v1/%s", ask->path);
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    struct carrier carrier = {.ready = true};
    struct request req;
    request_init(&req, world->core, ORIGIN_TCP, &carrier_calls, &carrier);
    req.method = kt_str(ask->method);
    req.target = kt_str(target);
    req.query = kt_str(query);
    req.body = kt_str(ask->body);
    req.token_text = kt_str(ask->token);
    (void)snprintf(req.remote_address, sizeof req.remote_address, "127.0.0.1");
    pass(world, ask, &req, &carrier);
    take_answer(world, ask, &req);
    request_free(&req);
    const char *who = ask->token == NULL          ? "nobody"
                      : ask->token == world->root ? "root"
                                                  : ask->token;
    world_say(world, "%s: %s %s %s-> %u%s %.*s", who, ask->method, ask->path,
              ask->body == NULL ? "" : ask->body, ask->status, ask->unknown ? " (unknown)" : "",
              1500, ask->answer);
    sched_note(ask->status);
    audit_note_answer(world, ask);
    tokens_after_pass(world, ask);
    if (!ask->unknown && ask->status >= 500)
        sim_fail("%s %s is answered %u: %s", ask->method, ask->path, ask->status, ask->answer);
    if (!ask->unknown)
        world_place(world, PLACE_ANSWER);
    if (network)
        sched_sleep_ns(sim_below(10) * MS / 2);
    ask->unheard = ask->unknown || (network && (world->dead || sim_chance(20)));
}

bool answer_text(const struct ask *ask, const char *dotted, char *out, size_t size)
{
    struct kt_json at = kt_json_value(kt_str(ask->answer));
    while (*dotted != '\0') {
        char name[64];
        size_t n = strcspn(dotted, ".");
        (void)snprintf(name, sizeof name, "%.*s", (int)n, dotted);
        if (!kt_json_member(at, name, &at))
            return false;
        dotted += n + (dotted[n] == '.');
    }
    struct kt_buf text;
    kt_buf_init(&text, size - 1);
    if (kt_json_string(at, &text))
        (void)snprintf(out, size, "%s", kt_buf_text(&text));
    else
        (void)snprintf(out, size, "%.*s", (int)at.len, at.at);
    kt_buf_free(&text);
    return true;
}

int64_t answer_int(const struct ask *ask, const char *dotted, int64_t absent)
{
    char text[32];
    return answer_text(ask, dotted, text, sizeof text) ? strtoll(text, NULL, 10) : absent;
}
