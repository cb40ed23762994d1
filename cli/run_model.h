/* cli/run_model.h - a rotation's run as it was answered so far: what the views show.
 *
 * What:    run_model_take() adds one answer of rotation/runs/ID (docs/api-rotation.md): the run's
 *          fields as they are now, and the steps after those known.
 * Owner:   run_model_init(), run_model_free().
 * Limits:  RUN_STEPS_MAX steps and RUN_CONSUMERS_MAX consumers are kept; texts are cut.
 * Threads: one thread. */
#pragma once

#include "lib/json.h"

#define RUN_STEPS_MAX     20000u
#define RUN_CONSUMERS_MAX 64u

struct run_step {
    int64_t seq, at_ms, took_ms;
    bool ok;
    char kind[12], name[32], text[240];
};
struct run_consumer {
    char service[64], host[64], state[24], detail[160];
    int64_t version, p95_ms, before_ms;
};
struct run_model {
    char id[64], secret[512], target[128], strategy[32], state[24], why[240], trigger[24];
    char waits_for[240];
    char by[128], reason[240];
    char frozen_code[32], frozen_word[40], frozen_text[480], frozen_known[960], frozen_next[4096],
        frozen_now[960];
    char drill[16]; /* "": it is none; "under way", "good", "failed" */
    bool back_measured, back_missed;
    int64_t back_ordered_ms, back_took_ms, rto_ms; /* going back; ordered 0: nobody did */
    int64_t from, to, started_ms, ended_ms, waits_until_ms, eta_s;
    int64_t seq; /* of the last step known */
    bool can_go_back;
    struct run_step *steps;
    size_t step_count, step_room;
    struct run_consumer consumers[RUN_CONSUMERS_MAX];
    size_t consumer_count;
};

void run_model_init(struct run_model *run);
void run_model_free(struct run_model *run);
/* False: memory is out. */
bool run_model_take(struct run_model *run, struct kt_json data);

bool run_ended(const struct run_model *run); /* done, rolled_back, cancelled */
bool run_frozen(const struct run_model *run);
bool run_done(const struct run_model *run);
bool run_good(const struct run_model *run); /* done, or a drill that went back in time */
/* Why it went wrong: what the vault says, else the last failed step; "" when nothing did. */
const char *run_why(const struct run_model *run);
/* What the target said last of the old and the new one; "" when it was not asked. */
const char *run_known(const struct run_model *run);
size_t run_healthy(const struct run_model *run); /* consumers that acknowledged the new version */
