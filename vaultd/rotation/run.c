#include "vaultd/rotation/run.h"

#define RECORD_MAX ((size_t)96 * 1024)

#define ROW(member, type, most) RECORD_ROW(struct run, member, type, most)
#define ROWS_1                                                                                     \
    ROW(id, RECORD_BYTES, RUN_ID),                                                                 \
    ROW(secret_id, RECORD_BYTES, RUN_ID),                                                          \
    ROW(name, RECORD_TEXT, 8192),                                                                  \
    ROW(scope, RECORD_BYTES, BARRIER_SCOPE),                                                       \
    ROW(driver, RECORD_TEXT, 64),                                                                  \
    SETTINGS_ROWS(struct run, settings),                                                           \
    ROW(machine.strategy, RECORD_ENUM, STRATEGY_COUNT),                                            \
    ROW(machine.state, RECORD_ENUM, RUN_STATE_COUNT),                                              \
    ROW(machine.back, RECORD_ENUM, BACK_STEP_COUNT),                                               \
    ROW(machine.intent, RECORD_ENUM, RUN_INTENT_COUNT),                                            \
    ROW(machine.open, RECORD_BOOL, 1),                                                             \
    ROW(machine.promoted, RECORD_BOOL, 1),                                                         \
    ROW(machine.past, RECORD_BOOL, 1),                                                             \
    ROW(machine.hold_unhealthy, RECORD_BOOL, 1),                                                   \
    ROW(machine.hold_silent, RECORD_BOOL, 1),                                                      \
    ROW(machine.said_no, RECORD_BOOL, 1),                                                          \
    ROW(machine.bad_value, RECORD_BOOL, 1),                                                        \
    ROW(machine.fixed_value, RECORD_BOOL, 1),                                                      \
    ROW(machine.values, RECORD_U8, 0),                                                             \
    ROW(machine.applied_again, RECORD_U8, 0),                                                      \
    ROW(machine.both_dead, RECORD_U8, 0),                                                          \
    ROW(machine.revoked_again, RECORD_U8, 0),                                                      \
    ROW(machine.restored, RECORD_U8, 0),                                                           \
    ROW(machine.refused_back, RECORD_U8, 0),                                                       \
    ROW(machine.frozen, RECORD_ENUM, FROZEN_CODE_COUNT),                                           \
    ROW(machine.frozen_in, RECORD_ENUM, RUN_STATE_COUNT),                                          \
    ROW(from, RECORD_U32, 0),                                                                      \
    ROW(to, RECORD_U32, 0),                                                                        \
    ROW(back_to, RECORD_U32, 0),                                                                   \
    ROW(slot_old, RECORD_ENUM, 2),                                                                 \
    ROW(slot_new, RECORD_ENUM, 2),                                                                 \
    ROW(public_old, RECORD_TEXT, DRIVER_PUBLIC_MAX),                                               \
    ROW(public_new, RECORD_TEXT, DRIVER_PUBLIC_MAX),                                               \
    ROW(trigger, RECORD_ENUM, RUN_TRIGGER_COUNT),                                                  \
    ROW(reason, RECORD_TEXT, 1024),                                                                \
    ROW(by, RECORD_TEXT, 1024),                                                                    \
    ROW(cancel, RECORD_BOOL, 1),                                                                   \
    ROW(cancel_why, RECORD_TEXT, 1024),                                                            \
    ROW(because, RECORD_WORDS, 2048),                                                              \
    ROW(started_ms, RECORD_I64, 1),                                                                \
    ROW(ended_ms, RECORD_I64, 1),                                                                  \
    ROW(closes_ms, RECORD_I64, 1),                                                                 \
    ROW(audit_from, RECORD_I64, 1),                                                                \
    ROW(state_ms, RECORD_I64, 1),                                                                  \
    ROW(promoted_ms, RECORD_I64, 1),                                                               \
    ROW(acked_ms, RECORD_I64, 1),                                                                  \
    ROW(deadline_ms, RECORD_I64, 1),                                                               \
    ROW(span_ms, RECORD_I64, 1),                                                                   \
    ROW(next_seq, RECORD_U32, 0),                                                                  \
    ROW(attempt, RECORD_U32, 0),                                                                   \
    ROW(tries, RECORD_U32, 0),                                                                     \
    ROW(last_step, RECORD_U32, 0),                                                                 \
    ROW(last_digest, RECORD_BYTES, 16),                                                            \
    ROW(repeats, RECORD_U32, 0),                                                                   \
    ROW(frozen_text, RECORD_WORDS, 4096),                                                          \
    ROW(frozen_known, RECORD_WORDS, 4096),                                                         \
    ROW(frozen_next, RECORD_TEXT, RUN_NEXT_MAX),                                                   \
    ROW(frozen_now, RECORD_WORDS, 4096),                                                           \
    ROW(looked_ms, RECORD_I64, 1),                                                                 \
    ROW(budgets[0].last_ms, RECORD_I64, 1),                                                        \
    ROW(budgets[0].refused_ms, RECORD_I64, REFUSALS_KEPT),                                         \
    ROW(budgets[1].last_ms, RECORD_I64, 1),                                                        \
    ROW(budgets[1].refused_ms, RECORD_I64, REFUSALS_KEPT),                                         \
    ROW(sessions, RECORD_U32, 0),                                                                  \
    ROW(unused_ms, RECORD_I64, 1),                                                                 \
    ROW(drained, RECORD_BOOL, 1),                                                                  \
    ROW(loose_passed, RECORD_BOOL, 1),                                                             \
    ROW(server_id, RECORD_TEXT, RUN_SERVER_ID_MAX),                                               \
    ROW(server_version, RECORD_TEXT, 256)
static const struct record_row rows_1[] = {ROWS_1};
#define ROWS_2                                                                                     \
    ROWS_1,                                                                                        \
    SETTINGS_ROWS_2(struct run, settings),                                                         \
    ROW(machine.mends, RECORD_BOOL, 1)
static const struct record_row rows_2[] = {ROWS_2};
#define LISTENER(i)                                                                                \
    ROW(listeners[i].shows, RECORD_ENUM, LISTENER_SHOWS_COUNT),                                    \
        ROW(listeners[i].mark, RECORD_BYTES, RUN_CERT_MARK), ROW(listeners[i].until_ms, RECORD_I64, 1), \
        ROW(listeners[i].since_ms, RECORD_I64, 1)
#define ROWS_DRILL                                                                                 \
    ROW(machine.drills, RECORD_BOOL, 1),                                                           \
    ROW(machine.turned, RECORD_BOOL, 1),                                                           \
    ROW(machine.alone, RECORD_BOOL, 1),                                                            \
    ROW(back_asked_ms, RECORD_I64, 1),                                                             \
    ROW(back_ready_ms, RECORD_I64, 1),                                                             \
    ROW(fire_waits, RECORD_BOOL, 1)
static const struct record_row rows_3_first[] = {
    ROWS_2,
    SETTINGS_ROWS_3(struct run, settings),
    ROWS_DRILL,
};
#define ROWS_3                                                                                     \
    ROWS_2,                                                                                        \
    SETTINGS_ROWS_3(struct run, settings),                                                         \
    SETTINGS_ROWS_4(struct run, settings),                                                         \
    ROWS_DRILL,                                                                                    \
    ROW(machine.bound, RECORD_BOOL, 1),                                                            \
    ROW(ready, RECORD_BOOL, 1),                                                                    \
    ROW(mates, RECORD_LIST, 5),                                                                    \
    ROW(machine.given, RECORD_BOOL, 1),                                                            \
    ROW(silent_passed, RECORD_BOOL, 1),                                                            \
    ROW(n_both, RECORD_U32, 0),                                                                    \
    ROW(n_bare, RECORD_U32, 0),                                                                    \
    LISTENER(0), LISTENER(1), LISTENER(2), LISTENER(3), LISTENER(4), LISTENER(5), LISTENER(6),     \
    LISTENER(7),                                                                                   \
    ROW(cert_new, RECORD_BYTES, 32),                                                               \
    ROW(cert_old, RECORD_BYTES, 32),                                                               \
    ROW(serial_old, RECORD_TEXT, 64),                                                              \
    ROW(old_until_ms, RECORD_I64, 1),                                                              \
    ROW(served_passed, RECORD_BOOL, 1),                                                            \
    ROW(given_ms, RECORD_I64, 1)
static const struct record_row rows_3[] = {ROWS_3};
static const struct record_row rows_4[] = {
    ROWS_3,
    ROW(anothers_fire, RECORD_BOOL, 1),
    ROW(window_closed, RECORD_BOOL, 1),
    ROW(back_with, RECORD_U32, 0),
    ROW(machine.old_dead, RECORD_BOOL, 1),
};
/* Before 4 nothing was kept of what preflight saw of the old one: who said that it is dead is believed. Who asked to
 * go back to it meanwhile comes too late. */
static void complete_before_4(void *object)
{
    struct run *run = object;
    if (run->settings.old_is_dead && machine_believe_old_is_dead(&run->machine))
        run->cancel = false;
}
/* Two versions of vaultd wrote 3, each with its own rows. None of one reads as the other's: behind the start that
 * they share the first has 20 bytes, the later more. */
static const struct record_form forms[] = {RECORD_FORM(4, rows_4), RECORD_FORM_AND(3, rows_3, complete_before_4),
                                           RECORD_FORM_AND(3, rows_3_first, complete_before_4),
                                           RECORD_FORM_AND(2, rows_2, complete_before_4),
                                           RECORD_FORM_AND(1, rows_1, complete_before_4)};
const struct record_kind run_kind = {"rotation run", forms, sizeof forms / sizeof forms[0], sizeof(struct run)};

#define X(name, text) [name] = (text),
static const char *const trigger_texts[] = {RUN_TRIGGERS(X)};
#undef X

const char *run_trigger_text(enum run_trigger trigger)
{
    return trigger_texts[trigger];
}

static void name_run(const unsigned char id[RUN_ID], struct kt_err *err)
{
    char text[RUN_ID_TEXT];
    run_id_text(id, text);
    kt_context(err, "run %s", text);
}

enum kt_kind run_load(struct request *req, const unsigned char id[RUN_ID], struct run *ret,
                      struct kt_err *err)
{
    unsigned char key[RUN_KEY];
    run_key(id, key);
    struct kt_bytes record;
    generation changed = 0;
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, &changed, err);
    if (kind == KT_NOT_FOUND) {
        (void)kt_fail(err, KT_NOT_FOUND, "no such run");
        kt_hint(err, "which there are: secretctl run list");
    }
    if (kind == KT_OK)
        kind = record_read(&run_kind, record, &req->arena, ret, err);
    if (kind == KT_OK)
        ret->changed = changed;
    else if (kind != KT_NOT_FOUND)
        name_run(id, err);
    return kind;
}

enum kt_kind run_save(struct request *req, const struct run *run, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    record_write(&run_kind, run, &record);
    if (batch == NULL || !kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing a run");
    unsigned char key[RUN_KEY];
    run_key(run->id, key);
    batch_require(batch, run->changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT,
                  kt_bytes(key, sizeof key), run->changed);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record),
                       err);
}

const char *run_mate_name(const struct run *run, size_t i)
{
    const char *name = i < run->mates.n ? strchr(run->mates.at[i], ' ') : NULL;
    return name == NULL ? "" : name + 1;
}

const char *run_account(const struct run *run, uint32_t slot)
{
    return run->settings.accounts[slot < 2 ? slot : 0];
}

int64_t run_given_ms(const struct run *run)
{
    return run->given_ms != 0 ? run->given_ms : run->promoted_ms;
}

bool run_touches_target(const struct run *run)
{
    return run->machine.strategy != STRATEGY_GENERATE;
}
