/* Runs among what is much, long, late, or comes at the same moment: they end, everybody can read of them,
 * and whoever is not to blame is not blamed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "lib/log.h"
#include "tests/support/rotation_scene.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/run.h"

/* An acknowledgement or another word, with much behind it. */
static void say(struct scene *s, const char *host, unsigned version, const char *state,
                const char *detail)
{
    static char body[4096];
    char path[128];
    (void)snprintf(path, sizeof path, "fleet/consumers/%s/" SECRET, host);
    (void)snprintf(body, sizeof body,
                   "{\"service\":\"orders\",\"version\":%u,\"state\":\"%s\",\"detail\":\"%s\"}",
                   version, state, detail);
    s->vault->now_ms += 1;
    if (as_agent(s, "POST", path, body) != 200)
        fail_msg("%s: %s", path, s->vault->body);
}

/* ---- much ---- */

#define MANY 60u

struct fit {
    unsigned char secret[RUN_ID];
    unsigned looked;
    uint32_t least;
    bool fits;
    size_t grew; /* the request's memory */
};

static bool has_version(const void *arg, const struct consumer *consumer)
{
    struct fit *fit = (struct fit *)(uintptr_t)arg;
    fit->looked++;
    return consumer->version >= fit->least;
}

static enum kt_kind look_at_all(struct request *req, struct kt_err *err)
{
    struct fit *fit = req->handler_data;
    struct rotation_secret secret;
    enum kt_kind kind = secret_load(req, SECRET, &secret, err);
    if (kind != KT_OK)
        return kind;
    size_t before = req->arena.taken;
    kind = consumers_fit(req, secret.id, has_version, fit, &fit->fits, err);
    fit->grew = req->arena.taken - before;
    return kind;
}

static struct fit fit_of(struct scene *s, uint32_t least)
{
    struct fit fit = {.least = least};
    assert_int_equal(request_internal(s->vault->core, "test/consumers", look_at_all, &fit, NULL), KT_OK);
    return fit;
}

/* Asked whether all are well, it takes the memory of one, and no longer than until the first that is not. */
static void one_at_a_time(void **state)
{
    struct scene *s = scene(*state);
    char host[16], detail[1001], path[128];
    memset(detail, 'd', sizeof detail - 1);
    detail[sizeof detail - 1] = '\0';
    struct fit fit = fit_of(s, 1);
    assert_true(fit.fits && fit.looked == 0);
    read_version(s, 1);
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(host, sizeof host, "h%u", i);
        say(s, host, 1, "registered", "");
        say(s, host, 1, "healthy", detail);
    }
    fit = fit_of(s, 1);
    assert_true(fit.fits);
    assert_int_equal(fit.looked, MANY);
    assert_int_equal(fit.grew, 0);
    fit = fit_of(s, 2);
    assert_false(fit.fits);
    assert_int_equal(fit.looked, 1);
    /* Those that are put aside are passed over, and the others are not. */
    for (unsigned i = 0; i < MANY; i++) {
        fit = fit_of(s, 2);
        assert_false(fit.fits);
        (void)snprintf(path, sizeof path, "rotation/quarantine/h%u/" SECRET, i);
        need(s, 200, "POST", path, "{\"service\":\"orders\",\"reason\":\"r\"}");
    }
    fit = fit_of(s, 2);
    assert_true(fit.fits);
    assert_int_equal(fit.looked, MANY);
    assert_int_equal(fit.grew, 0);
    scene_end(s);
}

/* ---- long ---- */

/* Whoever asks for a run may have a long name, and say much about it. */
static void long_names(void **state)
{
    struct scene *s = scene(*state);
    char name[1001], reason[501], body[2048], token[256], path[128];
    memset(name, 'n', sizeof name - 1);
    memset(reason, 'r', sizeof reason - 1);
    name[sizeof name - 1] = reason[sizeof reason - 1] = '\0';
    (void)snprintf(body, sizeof body, "{\"policies\":[\"root\"],\"display_name\":\"%s\"}", name);
    need(s, 200, "POST", "auth/token/create", body);
    text_at(s, "auth.client_token", token, sizeof token);
    (void)snprintf(body, sizeof body, "{\"reason\":\"%s\"}", reason);
    register_agent(s, "h1");
    assert_int_equal(test_vault_call(s->vault, "POST", "rotation/rotate/" SECRET, token, body), 200);
    text_at(s, "data.run", s->run, sizeof s->run);
    soon(s, "acking");
    need(s, 200, "LIST", "rotation/runs", NULL);
    (void)snprintf(path, sizeof path, "rotation/runs/%s/cancel", s->run);
    assert_int_equal(test_vault_call(s->vault, "POST", path, token, body), 200);
    ends_back(s);
    need(s, 200, "LIST", "rotation/runs", NULL);
    says(s, "\"state\":\"rolled_back\"");
    scene_end(s);
}

static void long_paths(void **state)
{
    struct scene *s = scene(*state);
    char path[1400] = "fleet/consumers/h1/secret", body[128];
    for (int i = 0; i < 6; i++) { /* a name in the mount that is not too long */
        char part[171];
        memset(part, 'p', sizeof part);
        part[0] = '/';
        part[sizeof part - 1] = '\0';
        (void)snprintf(path + strlen(path), sizeof path - strlen(path), "%s", part);
    }
    (void)snprintf(body, sizeof body, "{\"service\":\"x\",\"version\":1,\"state\":\"registered\"}");
    char data[1400];
    (void)snprintf(data, sizeof data, "secret/data%s", path + strlen("fleet/consumers/h1/secret"));
    need(s, 200, "POST", data, "{\"data\":{\"a\":\"b\"}}");
    need(s, 400, "POST", path, body);
    says(s, "the secret's name is longer than 1024 bytes");
    scene_end(s);
}

/* Values set by hand that the target may accept are all kept: as many as a record of the secret holds. */
static void many_values_by_hand(void **state)
{
    struct scene *s = scene(*state);
    static const char path[] = "secret/data/db/orders";
    static const char body[] = "{\"data\":{\"username\":\"app_a\",\"password\":\"by-hand\"}}";
    unsigned n = 1, status = 200;
    for (; status == 200 && n < 5000; n++) {
        status = test_vault_call(s->vault, "POST", path, s->vault->root, body);
        if (status == 200)
            change_rotation(s, "{\"overlap\":2}"); /* takes it for one that works there */
    }
    if (status != 400)
        fail_msg("after %u values: %u %.500s", n, status, s->vault->body);
    says(s, "4096 versions");
    need(s, 200, "GET", path, NULL);
    scene_end(s);
}

/* What is printed to be pasted is one word of a shell, whatever a secret is called. */
static void names_are_words(void **state)
{
    struct scene *s = scene(*state);
    sim_add(&s->sim, "app_q", "another");
    need(s, 200, "POST", "secret/data/db/it's%3B%20b",
         "{\"data\":{\"username\":\"app_q\",\"password\":\"first\"}}");
    need(s, 204, "POST", "rotation/secrets/secret/db/it's%3B%20b",
         "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":\"app_q\"}");
    need(s, 200, "POST", "rotation/rotate/secret/db/it's%3B%20b", NULL);
    text_at(s, "data.run", s->run, sizeof s->run);
    until(s, "frozen");
    says(s, "secretctl kv patch 'secret/db/it'\\\\''s; b' password=-");
    scene_end(s);
}

/* ---- many ---- */

/* What all of them say does not fit into a report: the run ends all the same. */
static void many_consumers(void **state)
{
    enum { CONSUMERS = 300 };
    struct scene *s = scene(*state);
    char host[32], detail[1781] = "";
    for (unsigned i = 0; i < 890; i++)
        memcpy(detail + 2 * (size_t)i, "\\\"", 2);
    read_version(s, 1);
    for (unsigned i = 0; i < CONSUMERS; i++) {
        (void)snprintf(host, sizeof host, "h%u", i);
        say(s, host, 1, "healthy", "");
    }
    rotate(s);
    soon(s, "acking");
    read_version(s, 2);
    for (unsigned i = 0; i < CONSUMERS; i++) {
        (void)snprintf(host, sizeof host, "h%u", i);
        say(s, host, 2, "healthy", detail);
    }
    ends_done(s);
    says(s, "\"state\":\"done\",\"at\":");
    says(s, "There was no room for ");
    assert_false(test_vault_said(s->vault, "\"consumers_left_out\":0"));
    assert_false(test_vault_said(s->vault, "\"steps_left_out\":0"));
    scene_end(s);
}

static void few_consumers_are_all_told(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    read_version(s, 2);
    say(s, "h1", 2, "healthy", "a|b\\\\c");
    ends_done(s);
    says(s, "\"consumers_left_out\":0");
    says(s, "\"steps_left_out\":0");
    /* In a table of the text: neither ends a column. As JSON: each backslash twice. */
    says(s, "| a\\\\|b\\\\\\\\c |");
    scene_end(s);
}

static enum kt_kind add_steps(struct request *req, struct kt_err *err)
{
    struct run *run = req->handler_data;
    run->n_added = 0;
    run->next_seq = ACKS_MAX;
    static const enum step_kind kinds[] = {STEP_ACK, STEP_PROBE, STEP_OUTCOME};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        enum kt_kind kind =
            step_add(req, run, (struct run_step){.kind = kinds[i], .name = "x", .text = "y"}, err);
        if (kind != KT_OK)
            return kind;
    }
    return KT_OK;
}

/* Who talks without end leaves room for what proves that the old one is dead. */
static void words_leave_room_for_proofs(void **state)
{
    struct scene *s = scene(*state);
    struct run run = {.name = ""};
    struct kt_err err = {0};
    assert_int_equal(request_internal(s->vault->core, "test/steps", add_steps, &run, &err), KT_OK);
    assert_int_equal(run.n_added, 2);
    assert_int_equal(run.added[0].kind, STEP_PROBE);
    assert_int_equal(run.added[1].kind, STEP_OUTCOME);
    scene_end(s);
}

/* More services of one host than one commit removes: that some are left is said. */
static void many_services(void **state)
{
    struct scene *s = scene(*state);
    char body[96];
    read_version(s, 1);
    for (unsigned i = 0; i < 21; i++) {
        (void)snprintf(body, sizeof body, "{\"service\":\"s%u\",\"state\":\"registered\"}", i);
        assert_int_equal(as_agent(s, "POST", "fleet/consumers/h1/" SECRET, body), 200);
    }
    need(s, 200, "DELETE", "fleet/consumers/h1/" SECRET, NULL);
    says(s, "20 services are removed, and there are more: ask again");
    need(s, 200, "GET", "fleet/consumers/h1/" SECRET, NULL);
    need(s, 204, "DELETE", "fleet/consumers/h1/" SECRET, NULL);
    need(s, 404, "GET", "fleet/consumers/h1/" SECRET, NULL);
    need(s, 404, "LIST", "fleet/consumers/h1", NULL);
    scene_end(s);
}

/* More rows than one look takes wait for a busy target; one behind them has another. */
static void behind_a_busy_target(void **state)
{
    static const unsigned waiting = 260;
    struct scene *s = scene(*state);
    char path[96], body[192];
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200); /* holds it in preflight */
    rotate(s);
    soon_says(s, "to be healthy before anything is changed");
    need(s, 204, "POST", "rotation/targets/other",
         "{\"driver\":\"postgresql\",\"host\":\"/run/other\",\"database\":\"d\","
         "\"sslmode\":\"disable\",\"admin_username\":\"kt\",\"admin_password\":\"admin\"}");
    for (unsigned i = 0; i <= waiting; i++) {
        bool last = i == waiting;
        s->vault->now_ms += last ? 5000 : 0;
        (void)snprintf(path, sizeof path, "secret/data/m%u", i);
        (void)snprintf(body, sizeof body, "{\"data\":{\"username\":\"u%u\",\"password\":\"p\"}}", i);
        need(s, 200, "POST", path, body);
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/m%u", i);
        (void)snprintf(body, sizeof body,
                       "{\"target\":\"%s\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":\"u%u\","
                       "\"period\":\"30m\"}",
                       last ? "other" : "pg", i);
        need(s, 204, "POST", path, body);
    }
    s->vault->now_ms += 31 * 60000;
    (void)snprintf(path, sizeof path, "rotation/runs?secret=secret/m%u", waiting);
    for (int i = 0; i < 5000; i++) {
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
        if (test_vault_call(s->vault, "LIST", path, s->vault->root, NULL) == 200 &&
            test_vault_said(s->vault, "\"trigger\":\"schedule\""))
            break;
    }
    says(s, "\"trigger\":\"schedule\"");
    need(s, 404, "LIST", "rotation/runs?secret=secret/m0", NULL);
    scene_end(s);
}

/* ---- at the same moment ---- */

struct beside {
    struct scene *scene;
    unsigned tries;
    uint32_t from;
};

/* A run into the request's batch. */
static enum kt_kind begin_run(struct request *req, struct run **ret, struct kt_err *err)
{
    const struct run_wish wish = {.trigger = TRIGGER_OPERATOR, .reason = "", .by = "test"};
    struct rotation_secret secret;
    struct run *run = *ret = kt_arena_take(&req->arena, sizeof *run);
    if (run == NULL)
        return kt_fail(err, KT_NO_MEMORY, "testing");
    enum kt_kind kind = secret_load(req, SECRET, &secret, err);
    if (kind == KT_OK)
        kind = run_start(req, &secret, &wish, run, err);
    return kind;
}

/* A version is written by hand between a run's look at the secret and its commit. */
static enum kt_kind start_beside_a_write(struct request *req, struct kt_err *err)
{
    struct beside *beside = req->handler_data;
    struct scene *s = beside->scene;
    struct run *run = NULL;
    enum kt_kind kind = begin_run(req, &run, err);
    if (kind == KT_OK) {
        beside->from = run->from;
        run_id_text(run->id, s->run);
    }
    if (beside->tries++ == 0)
        need(s, 200, "POST", "secret/data/db/orders",
             "{\"data\":{\"username\":\"app_a\",\"password\":\"first-password-of-a\"}}");
    return kind;
}

static void start_and_write(void **state)
{
    struct scene *s = scene(*state);
    struct beside beside = {.scene = s};
    struct kt_err err = {0};
    assert_int_equal(
        request_internal(s->vault->core, "test/start", start_beside_a_write, &beside, &err), KT_OK);
    assert_int_equal(beside.from, 2);
    assert_int_equal(beside.tries, 2);
    rotation_wake(s->vault->core->rotation);
    until(s, "done");
    current_is(s, 3, alternates(s) ? "app_b" : "app_a");
    scene_end(s);
}

/* Of two secrets whose accounts stand in one group, the other one's run starts between this one's look at
 * the lock and its commit: one of them is turned away, never are both on their way. */
static enum kt_kind start_beside_a_start(struct request *req, struct kt_err *err)
{
    struct beside *beside = req->handler_data;
    struct run *run = NULL;
    enum kt_kind kind = begin_run(req, &run, err);
    if (beside->tries++ == 0)
        need(beside->scene, 200, "POST", "rotation/rotate/secret/db/other", "{}");
    return kind;
}

static void start_and_start(void **state)
{
    struct scene *s = scene(*state);
    struct beside beside = {.scene = s};
    struct kt_err err = {0};
    sim_add(&s->sim, "app_c", "first-password-of-c");
    sim_add(&s->sim, "app_d", NULL);
    need(s, 200, "POST", "secret/data/db/other",
         "{\"data\":{\"username\":\"app_c\",\"password\":\"first-password-of-c\"}}");
    need(s, 204, "POST", "rotation/secrets/secret/db/other",
         "{\"target\":\"pg\",\"strategy\":\"alternate\",\"accounts\":[\"app_c\",\"app_d\"],"
         "\"group\":\"app\"}");
    assert_int_not_equal(
        request_internal(s->vault->core, "test/start", start_beside_a_start, &beside, &err), KT_OK);
    assert_int_equal(beside.tries, 2);
    assert_non_null(strstr(err.what, "KT-R-003"));
    scene_end(s);
}

/* ---- late ---- */

static void poll_watch(struct scene *s)
{
    assert_int_equal(as_agent(s, "GET", "fleet/watch/h1?wait=0", NULL), 200);
    rotation_wake(s->vault->core->rotation);
}

static struct scene *acknowledged_long_ago(const char *strategy)
{
    struct scene *s = scene(strategy);
    change_rotation(s, "{\"overlap\":1000,\"max_overlap\":6000}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    soon(s, "overlapping");
    s->vault->now_ms += 1001000;
    rotation_wake(s->vault->core->rotation);
    soon_says(s, "1 consumers that were not heard of for 15 min (orders@h1), or max_overlap");
    assert_int_equal(sim_ops(&s->sim, DRIVER_REVOKE), 0);
    return s;
}

static void not_heard_of(void **state)
{
    struct scene *s = acknowledged_long_ago(*state);
    s->vault->now_ms += 60000;
    rotation_wake(s->vault->core->rotation);
    pause_ms(30);
    assert_true(is_in(s, "overlapping"));
    poll_watch(s);
    ends_done(s);
    assert_false(test_vault_said(s->vault, "not heard of"));
    scene_end(s);
}

/* The vault was away for exactly two hours, and the consumer has to acknowledge within half a minute: it had
 * no chance, so it has that time still. */
static void half_a_minute_is_left(void **state)
{
    struct scene *s = scene(*state);
    char wanted[96], time[KT_TIME_TEXT];
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    core_seal(s->vault->core, "test");
    s->vault->now_ms += INT64_C(2) * 3600 * 1000;
    test_vault_reseal(s->vault);
    kt_time_text(s->vault->now_ms + 30000, time);
    (void)snprintf(wanted, sizeof wanted, "\"waits_until\":\"%s\"", time);
    soon_says(s, wanted);
    s->vault->now_ms += 29000; /* a word of an agent takes time, too */
    rotation_wake(s->vault->core->rotation);
    acknowledge(s, "h1", 2);
    soon(s, "overlapping"); /* before time goes on */
    ends_done(s);
    scene_end(s);
}

/* And not more than that. */
static void half_a_minute_ends(void **state)
{
    struct scene *s = scene(*state);
    char wanted[96], time[KT_TIME_TEXT];
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    core_seal(s->vault->core, "test");
    s->vault->now_ms += INT64_C(2) * 3600 * 1000;
    test_vault_reseal(s->vault);
    kt_time_text(s->vault->now_ms + 30000, time);
    (void)snprintf(wanted, sizeof wanted, "\"waits_until\":\"%s\"", time);
    soon_says(s, wanted);
    s->vault->now_ms += 30000;
    rotation_wake(s->vault->core->rotation);
    soon(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    ends_back(s);
    scene_end(s);
}

/* ---- trying again ---- */

/* How long it waits for its next try; 0: it does not say yet. */
static int64_t waits_for_ms(struct scene *s)
{
    char time[64];
    int64_t until_ms = 0;
    load_run(s);
    text_at(s, "data.waits_until", time, sizeof time);
    if (!kt_time_parse(time, strlen(time), &until_ms))
        return 0;
    return until_ms - s->vault->now_ms;
}

/* Past the point of no return nothing is given up: the target is down for thirteen tries, and between two of
 * them are from one second to five minutes, by the vault's own clock, which stands still but here. */
static void pauses_between_tries(void **state)
{
    struct scene *s = scene(*state);
    int64_t least_ms = INT64_MAX, most_ms = 0;
    rotate(s);
    soon(s, "overlapping");
    SIM_SET(&s->sim, down, true);
    until(s, "revoking");
    for (unsigned tries = 0; tries <= 12; tries++) {
        int64_t pause = 0;
        for (int i = 0; i < PATIENCE && (pause = waits_for_ms(s)) <= 0; i++)
            pause_ms(1);
        if (tries > 0) /* before it the clock did not stand still */
            assert_in_range(pause, 1000, 300000);
        least_ms = tries > 0 && pause < least_ms ? pause : least_ms;
        most_ms = pause > most_ms ? pause : most_ms;
        s->vault->now_ms += pause - 1;
        rotation_wake(s->vault->core->rotation);
        assert_int_equal(waits_for_ms(s), 1);
        s->vault->now_ms++;
        rotation_wake(s->vault->core->rotation);
    }
    assert_true(most_ms > 2 * least_ms); /* they get longer, and are spread */
    SIM_SET(&s->sim, down, false);
    ends_done(s);
    scene_end(s);
}

static void not_heard_of_any_more(void **state)
{
    struct scene *s = acknowledged_long_ago(*state);
    s->vault->now_ms += 5000000;
    ends_done(s);
    says(s, "consumers were not heard of any more when max_overlap ended");
    says(s, "orders@h1 was not heard of any more");
    scene_end(s);
}

/* Who polls is heard of, whenever he acknowledged. */
static void heard_of(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"overlap\":1000,\"max_overlap\":6000}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    soon(s, "overlapping");
    s->vault->now_ms += 800000;
    poll_watch(s);
    s->vault->now_ms += 201000;
    rotation_wake(s->vault->core->rotation);
    ends_done(s);
    scene_end(s);
}

/* The target loses its last change after a run went back: what it accepts then is in the vault. */
static void forgets_what_was_restored(void **state)
{
    struct scene *s = scene(*state);
    char password[128];
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    soon(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "rolled_back"), 200);
    ends_back(s);
    sim_lose_last(&s->sim);
    assert_false(sim_accepts(&s->sim, "app_a", "first-password-of-a"));
    need(s, 200, "GET", "secret/data/db/orders?version=2", NULL);
    text_at(s, "data.data.password", password, sizeof password);
    assert_true(sim_accepts(&s->sim, "app_a", password));
    need(s, 200, "GET", "secret/metadata/db/orders", NULL);
    says(s, "\"pending\":0");
    scene_end(s);
}

static void forget_both(struct scene *s)
{
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_account(&s->sim, "app_a")->verifier[0] = '\0';
    sim_account(&s->sim, "app_b")->verifier[0] = '\0';
    (void)pthread_mutex_unlock(&s->sim.lock);
}

/* It was refused for a while what everybody had: no line of the report says otherwise. */
static void says_who_was_cut_off(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    forget_both(s);
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    for (int i = 0; i < 5000 && sim_ops(&s->sim, DRIVER_APPLY) < 2; i++)
        pause_ms(1);
    soon(s, "acking");
    cancel(s, 200);
    soon(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    ends_back(s);
    says(s, "The target refused somebody what he had for a while");
    assert_false(test_vault_said(s->vault, "obody was cut off"));
    scene_end(s);
}

/* Else what is due by then would wake the thread without end. */
static void distrusted_clock_wakes_nobody(void **state)
{
    (void)state;
    struct rotation *rotation = calloc(1, sizeof *rotation);
    assert_non_null(rotation);
    rotation->next_due_ms = 5;
    rotation->next_look_ms = 7;
    rotation->next_drill_ms = 6;
    assert_int_equal(rotation_alarm_ms(rotation), 5);
    rotation->next_look_ms = 3;
    assert_int_equal(rotation_alarm_ms(rotation), 3);
    rotation->next_drill_ms = 2;
    assert_int_equal(rotation_alarm_ms(rotation), 2);
    rotation->distrusts = true;
    assert_int_equal(rotation_alarm_ms(rotation), INT64_MAX);
    free(rotation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(long_names),
        ALTERNATE(long_paths),
        ALTERNATE(many_values_by_hand),
        ALTERNATE(names_are_words),
        ALTERNATE(many_consumers),
        ALTERNATE(one_at_a_time),
        ALTERNATE(few_consumers_are_all_told),
        ALTERNATE(words_leave_room_for_proofs),
        ALTERNATE(many_services),
        ALTERNATE(behind_a_busy_target),
        BOTH(start_and_write),
        ALTERNATE(start_and_start),
        BOTH(not_heard_of),
        BOTH(not_heard_of_any_more),
        BOTH(heard_of),
        BOTH(half_a_minute_is_left),
        ALTERNATE(half_a_minute_ends),
        ALTERNATE(pauses_between_tries),
        IN_PLACE(forgets_what_was_restored),
        ALTERNATE(says_who_was_cut_off),
        cmocka_unit_test(distrusted_clock_wakes_nobody),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("rotation_crowd", tests, NULL, NULL);
}
