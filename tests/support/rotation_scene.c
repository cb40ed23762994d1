#include "tests/support/rotation_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/run.h"

#define STEP_MS 500
#define LONGEST_MS (25 * 60000)

char scene_alternate[] = "alternate", scene_in_place[] = "in-place", scene_overlap[] = "overlap";

/* ---- asking ---- */

void need(struct scene *s, unsigned wanted, const char *method, const char *path,
          const char *body)
{
    unsigned status = test_vault_call(s->vault, method, path, s->vault->root, body);
    if (status != wanted)
        fail_msg("%s %s: %u, wanted %u: %s", method, path, status, wanted, s->vault->body);
}

void text_at(struct scene *s, const char *dotted, char *out, size_t size)
{
    test_vault_text(s->vault, dotted, out, size);
}

void load_run(struct scene *s)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s", s->run);
    need(s, 200, "GET", path, NULL);
}

void pause_ms(long ms)
{
    const struct timespec left = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&left, NULL);
}

bool is_in(struct scene *s, const char *state)
{
    char now[64];
    load_run(s);
    text_at(s, "data.state", now, sizeof now);
    return strcmp(now, state) == 0;
}

/* It has begun to look since it was woken last, and no step is under way. Checks wait for whoever asked. */
static bool keeps_up(struct rotation *rotation)
{
    bool at_work = atomic_load(&rotation->poked);
    (void)pthread_mutex_lock(&rotation->lock);
    for (const struct job *job = rotation->jobs; job != NULL; job = job->next)
        at_work = at_work || job->kind != JOB_CHECK;
    (void)pthread_mutex_unlock(&rotation->lock);
    return !at_work;
}

bool goes_by(struct scene *s, int64_t ms)
{
    bool goes = keeps_up(s->vault->core->rotation);
    if (goes)
        s->vault->now_ms += ms;
    rotation_wake(s->vault->core->rotation);
    return goes;
}

/* Lets the vault's time pass until the run is there. */
void until(struct scene *s, const char *state)
{
    int64_t passed = 0;
    for (int i = 0; i < PATIENCE; i++) {
        if (is_in(s, state))
            return;
        if (passed >= LONGEST_MS)
            rotation_wake(s->vault->core->rotation);
        else if (goes_by(s, STEP_MS))
            passed += STEP_MS;
        pause_ms(1);
    }
    fail_msg("the run is not %s: %.1800s", state, s->vault->body);
}

/* The same without letting time pass: only what needs no waiting. */
void soon(struct scene *s, const char *state)
{
    for (int i = 0; i < PATIENCE; i++) {
        if (is_in(s, state))
            return;
        pause_ms(1);
    }
    fail_msg("the run is not %s: %.1800s", state, s->vault->body);
}

/* max_overlap passes. */
void let_go(struct scene *s)
{
    s->vault->now_ms += 601000;
    rotation_wake(s->vault->core->rotation);
}

void says(struct scene *s, const char *text)
{
    if (!test_vault_said(s->vault, text))
        fail_msg("no '%s' in %.3000s", text, s->vault->body);
}

void soon_says(struct scene *s, const char *text)
{
    for (int i = 0; i < PATIENCE; i++) {
        load_run(s);
        if (test_vault_said(s->vault, text))
            return;
        pause_ms(1);
    }
    says(s, text);
}

/* ---- the scene ---- */

static const char agent_policy[] =
    "path \"secret/data/*\" { capabilities = [\"read\"] }\n"
    "path \"fleet/consumers/*\" { capabilities = [\"update\"] }\n"
    "path \"fleet/watch/*\" { capabilities = [\"read\"] }\n";

static void set_rotation(struct scene *s, bool allow_gap)
{
    char body[512];
    bool alternate = strcmp(s->strategy, "alternate") == 0;
    (void)snprintf(body, sizeof body,
                   "{\"target\":\"pg\",\"strategy\":\"%s\",\"allow_gap\":%s,%s,\"overlap\":2,\"soak\":1,"
                   "\"max_overlap\":600,\"ack_timeout\":30,\"drain\":5}",
                   s->strategy, allow_gap ? "true" : "false",
                   alternate ? "\"accounts\":[\"app_a\",\"app_b\"],\"group\":\"app\""
                             : "\"accounts\":[\"app_a\"]");
    need(s, 204, "POST", "rotation/secrets/" SECRET, body);
}

/* Until its target can end a password, nothing but in-place is possible there. */
void gap_unsaid(struct scene *s)
{
    need(s, 204, "DELETE", "rotation/secrets/" SECRET, NULL);
    need(s, 200, "POST", "rotation/targets/pg",
         "{\"driver\":\"http\",\"host\":\"127.0.0.1\",\"database\":\"\",\"admin_password\":\"admin\",\"api\":\"{"
         "\\\"admin\\\":{\\\"method\\\":\\\"GET\\\",\\\"path\\\":\\\"/\\\",\\\"headers\\\":{\\\"A\\\":\\\"{admin}\\\"}},"
         "\\\"test\\\":{\\\"method\\\":\\\"GET\\\",\\\"path\\\":\\\"/\\\",\\\"basic\\\":[\\\"{account}\\\",\\\"{value}\\\"]},"
         "\\\"set\\\":{\\\"method\\\":\\\"PUT\\\",\\\"path\\\":\\\"/\\\",\\\"body\\\":{\\\"p\\\":\\\"{value}\\\"}}}\"}");
    set_rotation(s, false);
    need(s, 204, "POST", "rotation/targets/pg",
         "{\"driver\":\"postgresql\",\"host\":\"/run/sim\",\"database\":\"d\",\"api\":\"\",\"port\":5432}");
}

/* A partial update. */
void change_rotation(struct scene *s, const char *body)
{
    need(s, 204, "POST", "rotation/secrets/" SECRET, body);
}

struct scene *scene(const char *strategy)
{
    return scene_telling(strategy, NULL);
}

struct scene *scene_telling(const char *strategy, const struct notify_channels *channels)
{
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->strategy = strategy;
    sim_init(&s->sim);
    sim_executor(&s->sim, &s->executor);
    s->vault = channels == NULL ? test_vault_with(true, &s->executor)
                                : test_vault_telling(&s->executor, channels, NULL);
    s->sim.vault = s->vault;
    s->sim.secret = "db/orders";
    bool overlap = strcmp(strategy, "overlap") == 0;
    if (overlap)
        sim_keep_hashes(&s->sim);
    sim_add(&s->sim, "app_a", "first-password-of-a");
    if (strcmp(strategy, "alternate") == 0)
        sim_add(&s->sim, "app_b", NULL);
    need(s, 200, "POST", "secret/data/db/orders",
         "{\"data\":{\"username\":\"app_a\",\"password\":\"first-password-of-a\",\"host\":\"h\"}}");
    need(s, 204, "POST", "rotation/targets/pg",
         overlap ? "{\"driver\":\"redis\",\"host\":\"/run/sim\","
                   "\"sslmode\":\"disable\",\"admin_username\":\"kt\",\"admin_password\":\"admin\","
                   "\"probe_spacing\":0}" :
         "{\"driver\":\"postgresql\",\"host\":\"/run/sim\",\"database\":\"d\","
         "\"sslmode\":\"disable\",\"admin_username\":\"kt\",\"admin_password\":\"admin\","
         "\"max_refusals_per_hour\":0,\"probe_spacing\":0}");
    set_rotation(s, !revokes(s));
    test_vault_token(s->vault, "agent", agent_policy, s->agent, sizeof s->agent);
    return s;
}

void scene_end(struct scene *s)
{
    char locked_out[128];
    (void)snprintf(locked_out, sizeof locked_out, "%s", s->sim.locked_out);
    test_vault_free(s->vault);
    sim_free(&s->sim);
    free(s);
    assert_string_equal(locked_out, "");
}

void rotate(struct scene *s)
{
    need(s, 200, "POST", "rotation/rotate/" SECRET, "{\"reason\":\"test\"}");
    text_at(s, "data.run", s->run, sizeof s->run);
}

unsigned as_agent(struct scene *s, const char *method, const char *path, const char *body)
{
    return test_vault_call(s->vault, method, path, s->agent, body);
}

unsigned report(struct scene *s, const char *host, unsigned version, const char *state)
{
    char path[128], body[256];
    (void)snprintf(path, sizeof path, "fleet/consumers/%s/" SECRET, host);
    (void)snprintf(body, sizeof body,
                   "{\"service\":\"%s\",\"version\":%u,\"state\":\"%s\",\"detail\":\"d\"}",
                   s->service == NULL ? "orders" : s->service, version, state);
    s->vault->now_ms += 1;
    return as_agent(s, "POST", path, body);
}

void read_version(struct scene *s, unsigned version)
{
    char path[128];
    (void)snprintf(path, sizeof path, "secret/data/db/orders?version=%u", version);
    assert_int_equal(as_agent(s, "GET", path, NULL), 200);
}

/* An agent that runs version 1 and is well. */
void register_agent(struct scene *s, const char *host)
{
    read_version(s, 1);
    assert_int_equal(report(s, host, 1, "registered"), 200);
    assert_int_equal(report(s, host, 1, "healthy"), 200);
}

void acknowledge(struct scene *s, const char *host, unsigned version)
{
    read_version(s, version);
    if (report(s, host, version, "healthy") != 200)
        fail_msg("acknowledging: %s", s->vault->body);
}

unsigned current(struct scene *s, char user[64], char password[128])
{
    char number[16];
    need(s, 200, "GET", "secret/data/db/orders", NULL);
    text_at(s, "data.data.username", user, 64);
    text_at(s, "data.data.password", password, 128);
    text_at(s, "data.metadata.version", number, sizeof number);
    return (unsigned)strtoul(number, NULL, 10);
}

/* The value that everybody gets is the one that works. */
void current_is(struct scene *s, unsigned version, const char *user)
{
    char name[64], password[128];
    assert_int_equal(current(s, name, password), version);
    assert_string_equal(name, user);
    assert_true(sim_accepts(&s->sim, name, password));
}

bool alternates(const struct scene *s)
{
    return strcmp(s->strategy, "alternate") == 0;
}

bool revokes(const struct scene *s)
{
    return strcmp(s->strategy, "in-place") != 0;
}

void ends_done(struct scene *s)
{
    until(s, "done");
    current_is(s, 2, alternates(s) ? "app_b" : "app_a");
    assert_false(sim_accepts(&s->sim, "app_a", "first-password-of-a"));
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    says(s, "# DONE");
    says(s, "\"audit\":{\"from\":");
}

void ends_back(struct scene *s)
{
    until(s, "rolled_back");
    current_is(s, 1, "app_a");
    if (alternates(s))
        assert_string_equal(sim_account(&s->sim, "app_b")->verifier, "");
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    says(s, "# ROLLED BACK");
}

struct putting {
    const char *id;
    void (*change)(struct run *run);
};

static enum kt_kind put_handler(struct request *req, struct kt_err *err)
{
    const struct putting *p = req->handler_data;
    unsigned char id[RUN_ID];
    struct run *run = kt_arena_take(&req->arena, sizeof *run);
    if (run == NULL || !run_id_parse(p->id, id))
        return kt_fail(err, KT_INTERNAL, "changing a run's record");
    enum kt_kind kind = run_load(req, id, run, err);
    if (kind != KT_OK)
        return kind;
    p->change(run);
    return run_save(req, run, err);
}

void put_into_run(struct scene *s, const char *id, void (*change)(struct run *run))
{
    struct putting p = {id, change};
    struct kt_err err = {0};
    enum kt_kind kind = KT_CONFLICT;
    for (int i = 0; i < PATIENCE && kind == KT_CONFLICT; i++) /* with a step of the run */
        kind = request_internal(s->vault->core, "rotation/runs", put_handler, &p, &err);
    if (kind != KT_OK)
        fail_msg("changing a run's record: %s", err.what);
}

struct older {
    const char *id;
    unsigned format;
};

static enum kt_kind older_handler(struct request *req, struct kt_err *err)
{
    const struct older *o = req->handler_data;
    unsigned char id[RUN_ID], key[RUN_KEY];
    struct run *run = kt_arena_take(&req->arena, sizeof *run);
    struct batch *batch = request_batch(req);
    const struct record_form *form = run_kind.forms;
    if (run == NULL || batch == NULL || !run_id_parse(o->id, id))
        return kt_fail(err, KT_INTERNAL, "writing a run as a vaultd of before");
    while (form->format != o->format)
        form++;
    const struct record_kind before = {run_kind.name, form, 1, run_kind.size};
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, (size_t)96 * 1024);
    run_key(id, key);
    enum kt_kind kind = run_load(req, id, run, err);
    if (kind != KT_OK)
        return kind;
    record_write(&before, run, &record);
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(key, sizeof key), run->changed);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record), err);
}

void put_as_format(struct scene *s, const char *id, unsigned format)
{
    struct older older = {id, format};
    struct kt_err err = {0};
    enum kt_kind kind = KT_CONFLICT;
    for (int i = 0; i < PATIENCE && kind == KT_CONFLICT; i++) /* with a step of the run */
        kind = request_internal(s->vault->core, "rotation/runs", older_handler, &older, &err);
    if (kind != KT_OK)
        fail_msg("writing a run's record: %s", err.what);
}

void no_way_back(struct run *run)
{
    run->machine.given = run->machine.alone = run->machine.past = true;
}

void cancel(struct scene *s, unsigned wanted)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/cancel", s->run);
    need(s, wanted, "POST", path, "{\"reason\":\"changed my mind\"}");
}
