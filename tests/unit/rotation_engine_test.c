/* Whole runs on a simulated target: every way to end, every kind of trouble, crashes at each named
 * place. After each change at the target the store is looked into as if the vault had died then:
 * never may the target accept nothing that is stored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/failpoint.h"
#include "lib/log.h"
#include "tests/support/sim_target.h"

#define SECRET "secret/db/orders"
#define STEP_MS 500

struct scene {
    struct sim sim;
    struct rotation_executor executor;
    struct test_vault *vault;
    char agent[128];
    char run[64];
    const char *strategy;
};

/* ---- asking ---- */

static void need(struct scene *s, unsigned wanted, const char *method, const char *path,
                 const char *body)
{
    unsigned status = test_vault_call(s->vault, method, path, s->vault->root, body);
    if (status != wanted)
        fail_msg("%s %s: %u, wanted %u: %s", method, path, status, wanted, s->vault->body);
}

static void text_at(struct scene *s, const char *dotted, char *out, size_t size)
{
    test_vault_text(s->vault, dotted, out, size);
}

static void load_run(struct scene *s)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s", s->run);
    need(s, 200, "GET", path, NULL);
}

static void pause_ms(long ms)
{
    const struct timespec left = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&left, NULL);
}

static bool is_in(struct scene *s, const char *state)
{
    char now[64];
    load_run(s);
    text_at(s, "data.state", now, sizeof now);
    return strcmp(now, state) == 0;
}

/* Lets the vault's time pass until the run is there. */
static void until(struct scene *s, const char *state)
{
    for (int i = 0; i < 3000; i++) {
        if (is_in(s, state))
            return;
        s->vault->now_ms += STEP_MS;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    fail_msg("the run is not %s: %.1800s", state, s->vault->body);
}

/* The same without letting time pass: only what needs no waiting. */
static void soon(struct scene *s, const char *state)
{
    for (int i = 0; i < 3000; i++) {
        if (is_in(s, state))
            return;
        pause_ms(1);
    }
    fail_msg("the run is not %s: %.1800s", state, s->vault->body);
}

/* max_overlap passes. */
static void let_go(struct scene *s)
{
    s->vault->now_ms += 601000;
    rotation_wake(s->vault->core->rotation);
}

static void says(struct scene *s, const char *text)
{
    if (!test_vault_said(s->vault, text))
        fail_msg("no '%s' in %.3000s", text, s->vault->body);
}

static void soon_says(struct scene *s, const char *text)
{
    for (int i = 0; i < 3000; i++) {
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

static void set_rotation(struct scene *s)
{
    char body[512];
    bool alternate = strcmp(s->strategy, "alternate") == 0;
    (void)snprintf(body, sizeof body,
                   "{\"target\":\"pg\",\"strategy\":\"%s\",%s,\"overlap\":2,\"soak\":1,"
                   "\"max_overlap\":600,\"ack_timeout\":30,\"drain\":5}",
                   s->strategy,
                   alternate ? "\"accounts\":[\"app_a\",\"app_b\"],\"group\":\"app\""
                             : "\"accounts\":[\"app_a\"]");
    need(s, 204, "POST", "rotation/secrets/" SECRET, body);
}

/* A partial update. */
static void change_rotation(struct scene *s, const char *body)
{
    need(s, 204, "POST", "rotation/secrets/" SECRET, body);
}

static struct scene *scene(const char *strategy)
{
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->strategy = strategy;
    sim_init(&s->sim);
    sim_executor(&s->sim, &s->executor);
    s->vault = test_vault_with(true, &s->executor);
    s->sim.vault = s->vault;
    s->sim.secret = "db/orders";
    sim_add(&s->sim, "app_a", "first-password-of-a");
    if (strcmp(strategy, "alternate") == 0)
        sim_add(&s->sim, "app_b", NULL);
    need(s, 200, "POST", "secret/data/db/orders",
         "{\"data\":{\"username\":\"app_a\",\"password\":\"first-password-of-a\",\"host\":\"h\"}}");
    need(s, 204, "POST", "rotation/targets/pg",
         "{\"driver\":\"postgresql\",\"host\":\"/run/sim\",\"database\":\"d\","
         "\"sslmode\":\"disable\",\"admin_username\":\"kt\",\"admin_password\":\"admin\","
         "\"max_refusals_per_hour\":0,\"probe_spacing\":0}");
    set_rotation(s);
    test_vault_token(s->vault, "agent", agent_policy, s->agent, sizeof s->agent);
    return s;
}

static void scene_end(struct scene *s)
{
    char locked_out[128];
    (void)snprintf(locked_out, sizeof locked_out, "%s", s->sim.locked_out);
    test_vault_free(s->vault);
    sim_free(&s->sim);
    free(s);
    assert_string_equal(locked_out, "");
}

static void rotate(struct scene *s)
{
    need(s, 200, "POST", "rotation/rotate/" SECRET, "{\"reason\":\"test\"}");
    text_at(s, "data.run", s->run, sizeof s->run);
}

static unsigned as_agent(struct scene *s, const char *method, const char *path, const char *body)
{
    return test_vault_call(s->vault, method, path, s->agent, body);
}

static unsigned report(struct scene *s, const char *host, unsigned version, const char *state)
{
    char path[128], body[256];
    (void)snprintf(path, sizeof path, "fleet/consumers/%s/" SECRET, host);
    (void)snprintf(body, sizeof body,
                   "{\"service\":\"orders\",\"version\":%u,\"state\":\"%s\",\"detail\":\"d\"}",
                   version, state);
    s->vault->now_ms += 1;
    return as_agent(s, "POST", path, body);
}

static void read_version(struct scene *s, unsigned version)
{
    char path[128];
    (void)snprintf(path, sizeof path, "secret/data/db/orders?version=%u", version);
    assert_int_equal(as_agent(s, "GET", path, NULL), 200);
}

/* An agent that runs version 1 and is well. */
static void register_agent(struct scene *s, const char *host)
{
    read_version(s, 1);
    assert_int_equal(report(s, host, 1, "registered"), 200);
    assert_int_equal(report(s, host, 1, "healthy"), 200);
}

static void acknowledge(struct scene *s, const char *host, unsigned version)
{
    read_version(s, version);
    if (report(s, host, version, "healthy") != 200)
        fail_msg("acknowledging: %s", s->vault->body);
}

static unsigned current(struct scene *s, char user[64], char password[128])
{
    char number[16];
    need(s, 200, "GET", "secret/data/db/orders", NULL);
    text_at(s, "data.data.username", user, 64);
    text_at(s, "data.data.password", password, 128);
    text_at(s, "data.metadata.version", number, sizeof number);
    return (unsigned)strtoul(number, NULL, 10);
}

/* The value that everybody gets is the one that works. */
static void current_is(struct scene *s, unsigned version, const char *user)
{
    char name[64], password[128];
    assert_int_equal(current(s, name, password), version);
    assert_string_equal(name, user);
    assert_true(sim_accepts(&s->sim, name, password));
}

static bool alternates(const struct scene *s)
{
    return strcmp(s->strategy, "alternate") == 0;
}

static void ends_done(struct scene *s)
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

static void ends_back(struct scene *s)
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

static void cancel(struct scene *s, unsigned wanted)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/cancel", s->run);
    need(s, wanted, "POST", path, "{\"reason\":\"changed my mind\"}");
}

/* ---- the ways to end ---- */

static void full_run(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon_says(s, "consumers 0/1 on v2");
    acknowledge(s, "h1", 2);
    ends_done(s);
    /* No value is in what people read. */
    load_run(s);
    assert_false(test_vault_said(s->vault, "first-password-of-a"));
    assert_false(test_vault_said(s->vault, "SCRAM-SHA-256"));
    scene_end(s);
}

static void without_consumers(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    ends_done(s);
    /* And once more, the other way round. The test itself read version 2, and holds it. */
    rotate(s);
    soon(s, "overlapping");
    let_go(s);
    until(s, "done");
    current_is(s, 3, "app_a");
    scene_end(s);
}

static void first_account_is_made(void **state)
{
    struct scene *s = scene(*state);
    s->sim.n_accounts = 1; /* app_b does not exist yet */
    rotate(s);
    ends_done(s);
    assert_int_equal(sim_ops(&s->sim, DRIVER_CREATE), 1);
    scene_end(s);
}

static void unhealthy_consumer(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    soon(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "rolled_back"), 200);
    ends_back(s);
    load_run(s);
    says(s, "orders@h1 is not healthy on v2");
    scene_end(s);
}

static void unhealthy_holds(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"on_unhealthy\":\"hold\",\"on_ack_timeout\":\"hold\"}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    s->vault->now_ms += 120000;
    pause_ms(50);
    assert_true(is_in(s, "acking"));
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void target_lost_it(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    /* The consumer fails because the target lost the change: nobody is blamed, it is applied again. */
    sim_lose_last(&s->sim);
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    for (int i = 0; i < 2000 && sim_ops(&s->sim, DRIVER_APPLY) < 2; i++)
        pause_ms(1);
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 2);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void silent_consumer(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    register_agent(s, "h2");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    s->vault->now_ms += 31000;
    rotation_wake(s->vault->core->rotation);
    /* One of them runs the new version: it is not cut off. */
    soon_says(s, "1 consumers that still run v2");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    ends_back(s);
    load_run(s);
    says(s, "orders@h2 did not acknowledge v2 within 30 s");
    scene_end(s);
}

/* It fetched the new version, and then nothing was heard of it when the run was turned back. */
static void unheard_consumer(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    read_version(s, 2);
    cancel(s, 200);
    soon(s, "rolling_back");
    s->vault->now_ms += 60000;
    rotation_wake(s->vault->core->rotation);
    soon_says(s, "1 consumers that read v2 to say what they run (orders@h1)");
    assert_int_equal(sim_ops(&s->sim, DRIVER_REVOKE), 0);
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    ends_back(s);
    scene_end(s);
}

/* The vault was away for longer than max_overlap while the run went back: the consumer that runs the new
 * version had no chance to hear of it. */
static void away_while_going_back(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    cancel(s, 200);
    soon_says(s, "1 consumers that still run v2");
    s->vault->now_ms += 7200000;
    test_vault_reseal(s->vault);
    soon_says(s, "1 consumers that still run v2");
    s->vault->now_ms += 20000;
    rotation_wake(s->vault->core->rotation);
    soon_says(s, "1 consumers that still run v2");
    assert_int_equal(sim_ops(&s->sim, DRIVER_REVOKE), 0);
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    ends_back(s);
    scene_end(s);
}

static void late_consumer(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"overlap\":60}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    soon(s, "overlapping");
    /* Started from an old image: the acknowledgement is withdrawn. */
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    soon(s, "acking");
    assert_int_equal(sim_ops(&s->sim, DRIVER_REVOKE), 0);
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void loose_reader(void **state)
{
    struct scene *s = scene(*state);
    char person[128];
    test_vault_token(s->vault, "person", "path \"secret/data/*\" { capabilities = [\"read\"] }",
                     person, sizeof person);
    assert_int_equal(test_vault_call(s->vault, "GET", "secret/data/db/orders", person, NULL), 200);
    rotate(s);
    soon(s, "overlapping");
    s->vault->now_ms += 60000;
    rotation_wake(s->vault->core->rotation);
    pause_ms(50);
    assert_true(is_in(s, "overlapping"));
    soon_says(s, "1 readers of v1 that are no agents");
    assert_int_equal(sim_ops(&s->sim, DRIVER_REVOKE), 0);
    assert_int_equal(test_vault_call(s->vault, "GET", "secret/data/db/orders", person, NULL), 200);
    ends_done(s);
    scene_end(s);
}

static void loose_reader_ends(void **state)
{
    struct scene *s = scene(*state);
    char person[128];
    test_vault_token(s->vault, "person", "path \"secret/data/*\" { capabilities = [\"read\"] }",
                     person, sizeof person);
    assert_int_equal(test_vault_call(s->vault, "GET", "secret/data/db/orders", person, NULL), 200);
    rotate(s);
    soon(s, "overlapping");
    /* A token that ended reads nothing any more. */
    assert_int_equal(
        test_vault_call(s->vault, "POST", "auth/token/revoke-self", person, NULL), 204);
    ends_done(s);
    scene_end(s);
}

static void loose_reader_is_passed(void **state)
{
    struct scene *s = scene(*state);
    char person[128];
    test_vault_token(s->vault, "person", "path \"secret/data/*\" { capabilities = [\"read\"] }",
                     person, sizeof person);
    assert_int_equal(test_vault_call(s->vault, "GET", "secret/data/db/orders", person, NULL), 200);
    rotate(s);
    soon(s, "overlapping");
    s->vault->now_ms += 601000;
    ends_done(s);
    says(s, "when max_overlap ended");
    scene_end(s);
}

static unsigned first_reads(struct scene *s, uint32_t version)
{
    const unsigned char table = TABLE_LEDGER;
    struct snapshot *snapshot = NULL;
    struct cursor *cursor = NULL;
    struct entry entry;
    unsigned n = 0;
    assert_int_equal(snapshot_begin(s->vault->store, &snapshot), STORE_OK);
    assert_int_equal(cursor_open(snapshot, kt_bytes(&table, 1), kt_bytes(NULL, 0), &cursor),
                     STORE_OK);
    while (cursor_next(cursor, &entry) == STORE_OK)
        n += entry.key.len == BARRIER_NAME_KEY + 4 &&
             kt_get_be32(entry.key.at + BARRIER_NAME_KEY) == version;
    cursor_close(cursor);
    snapshot_end(snapshot);
    return n;
}

/* More of them than fit into the commit that ends the run. */
static void many_readers_are_forgotten(void **state)
{
    enum { READERS = 250 };
    struct scene *s = scene(*state);
    char person[128];
    change_rotation(s, "{\"loose_readers\":\"ignore\"}");
    for (unsigned i = 0; i < READERS; i++) {
        test_vault_token(s->vault, "person", "path \"secret/data/*\" { capabilities = [\"read\"] }",
                         person, sizeof person);
        assert_int_equal(test_vault_call(s->vault, "GET", "secret/data/db/orders", person, NULL),
                         200);
    }
    rotate(s);
    soon(s, "overlapping");
    assert_int_equal(first_reads(s, 1), READERS);
    until(s, "done");
    for (int i = 0; i < 3000 && first_reads(s, 1) > 0; i++)
        pause_ms(1);
    assert_int_equal(first_reads(s, 1), 0);
    scene_end(s);
}

static void sessions_drain(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"drain\":3600}");
    sim_account(&s->sim, "app_a")->sessions = 3;
    rotate(s);
    soon(s, "overlapping");
    for (int i = 0; i < 100 && sim_ops(&s->sim, DRIVER_INSPECT) < 4; i++) {
        s->vault->now_ms += 1000;
        rotation_wake(s->vault->core->rotation);
        pause_ms(2);
    }
    assert_true(is_in(s, "overlapping"));
    soon_says(s, "3 sessions of app_a to end by themselves");
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_account(&s->sim, "app_a")->sessions = 0;
    (void)pthread_mutex_unlock(&s->sim.lock);
    ends_done(s);
    scene_end(s);
}

/* ---- cancel ---- */

/* No answer is no evidence of anything: it goes on looking. */
static void sessions_of_a_silent_target(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"drain\":3600}");
    sim_account(&s->sim, "app_a")->sessions = 1;
    rotate(s);
    soon(s, "overlapping");
    unsigned inspected = sim_ops(&s->sim, DRIVER_INSPECT);
    s->sim.down = true;
    sim_account(&s->sim, "app_a")->sessions = 0;
    for (int i = 0; i < 60 || sim_ops(&s->sim, DRIVER_INSPECT) < inspected + 3; i++) {
        assert_true(i < 3000);
        s->vault->now_ms += 1000;
        rotation_wake(s->vault->core->rotation);
        pause_ms(2);
    }
    assert_true(is_in(s, "overlapping"));
    s->sim.down = false;
    ends_done(s);
    scene_end(s);
}

static void cancel_before(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200); /* holds it in preflight */
    rotate(s);
    soon_says(s, "to be healthy before anything is changed");
    cancel(s, 200);
    soon(s, "cancelled");
    current_is(s, 1, "app_a");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    cancel(s, 400);
    says(s, "KT-R-008");
    scene_end(s);
}

static void cancel_while_acking(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    cancel(s, 200);
    ends_back(s);
    scene_end(s);
}

static void cancel_while_overlapping(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"overlap\":600,\"max_overlap\":6000}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    soon(s, "overlapping");
    cancel(s, 200);
    soon(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    let_go(s);
    ends_back(s);
    scene_end(s);
}

static void cancel_too_late(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    soon(s, "overlapping");
    s->sim.no_revoke = true;
    until(s, "frozen");
    says(s, "KT-R-024");
    cancel(s, 400);
    says(s, "it goes forward");
    s->sim.no_revoke = false;
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/thaw", s->run);
    need(s, 200, "POST", path, NULL);
    ends_done(s);
    scene_end(s);
}

/* ---- frozen ---- */

static void freezes(struct scene *s, const char *code)
{
    until(s, "frozen");
    says(s, code);
    says(s, "\"next\":\"");
}

static void thaw(struct scene *s)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/thaw", s->run);
    need(s, 200, "POST", path, NULL);
}

static void frozen_drift(void **state)
{
    struct scene *s = scene(*state);
    sim_account(&s->sim, "app_a")->verifier[0] = '\0';
    rotate(s);
    freezes(s, "KT-R-010");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    /* The printed way out: cancel, write what works, rotate. */
    cancel(s, 200);
    soon(s, "cancelled");
    s->sim.n_accounts = 0;
    sim_add(&s->sim, "app_a", "by-hand-of-a-dba");
    sim_add(&s->sim, "app_b", NULL);
    need(s, 200, "POST", "secret/data/db/orders",
         "{\"data\":{\"username\":\"app_a\",\"password\":\"by-hand-of-a-dba\"}}");
    rotate(s);
    until(s, "done");
    scene_end(s);
}

static void frozen_admin(void **state)
{
    struct scene *s = scene(*state);
    (void)snprintf(s->sim.admin_password, sizeof s->sim.admin_password, "changed");
    rotate(s);
    freezes(s, "KT-R-011");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    need(s, 204, "POST", "rotation/targets/pg", "{\"admin_password\":\"changed\"}");
    thaw(s);
    ends_done(s);
    scene_end(s);
}

/* It is looked at again, changes nothing, and says when thawing is worth a try. */
static void frozen_is_looked_at(void **state)
{
    struct scene *s = scene(*state);
    (void)snprintf(s->sim.admin_password, sizeof s->sim.admin_password, "changed");
    rotate(s);
    freezes(s, "KT-R-011");
    says(s, "\"looked\":\"\"");
    s->vault->now_ms += 901000;
    rotation_wake(s->vault->core->rotation);
    soon_says(s, "\"now\":\"the old one unknown, the administrative login refused");
    (void)snprintf(s->sim.admin_password, sizeof s->sim.admin_password, "admin");
    s->vault->now_ms += 901000;
    rotation_wake(s->vault->core->rotation);
    soon_says(s, "worth a try: secretctl run thaw");
    assert_true(is_in(s, "frozen"));
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    thaw(s);
    ends_done(s);
    scene_end(s);
}

/* A day of looking costs an account no refusal that who thaws it needs. */
static void looks_are_few(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/targets/pg", "{\"max_refusals_per_hour\":3}");
    sim_account(&s->sim, "app_a")->verifier[0] = '\0';
    rotate(s);
    freezes(s, "KT-R-010");
    unsigned before = sim_account(&s->sim, "app_a")->refusals;
    for (int i = 0; i < 24 * 12; i++) {
        s->vault->now_ms += 300000;
        rotation_wake(s->vault->core->rotation);
        pause_ms(2);
    }
    unsigned seen = sim_account(&s->sim, "app_a")->refusals - before;
    if (seen < 2 || seen > 24)
        fail_msg("%u refused logins in a day", seen);
    need(s, 204, "POST", "rotation/targets/pg", "{\"recheck\":0}");
    s->vault->now_ms += 7200000;
    rotation_wake(s->vault->core->rotation);
    pause_ms(20);
    assert_in_range(sim_account(&s->sim, "app_a")->refusals - before - seen, 0, 1);
    cancel(s, 200);
    soon(s, "cancelled");
    scene_end(s);
}

static void frozen_trust(void **state)
{
    struct scene *s = scene(*state);
    s->sim.trust = true;
    rotate(s);
    freezes(s, "KT-R-012");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    s->sim.trust = false;
    thaw(s);
    ends_done(s);
    scene_end(s);
}

static void frozen_server(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    ends_done(s);
    (void)snprintf(s->sim.server_id, sizeof s->sim.server_id, "another");
    rotate(s);
    freezes(s, "KT-R-013");
    need(s, 204, "POST", "rotation/targets/pg", "{\"server_id\":\"\"}");
    thaw(s);
    soon(s, "overlapping");
    let_go(s);
    until(s, "done");
    scene_end(s);
}

static void frozen_old_alive(void **state)
{
    struct scene *s = scene(*state);
    s->sim.old_survives = true;
    rotate(s);
    freezes(s, "KT-R-022");
    assert_int_equal(sim_ops(&s->sim, DRIVER_REVOKE), 3);
    s->sim.old_survives = false;
    thaw(s);
    ends_done(s);
    scene_end(s);
}

static void both_dead(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    (void)pthread_mutex_lock(&s->sim.lock);
    s->sim.vault = NULL; /* somebody else does this: no watcher */
    for (unsigned i = 0; i < s->sim.n_accounts; i++)
        s->sim.accounts[i].verifier[0] = '\0';
    s->sim.ignores = true;
    (void)pthread_mutex_unlock(&s->sim.lock);
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    freezes(s, "KT-R-021");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 2); /* once more, then a person */
    s->sim.ignores = false;
    thaw(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    until(s, "done");
    scene_end(s);
}

/* It froze while it waited for a consumer, and the target has lost the new one meanwhile: who thaws
 * it has it set again at once, not when the consumer's time is over. */
static void thawed_sets_it_again(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    (void)pthread_mutex_lock(&s->sim.lock);
    s->sim.vault = NULL; /* somebody else does this: no watcher */
    (void)snprintf(s->sim.admin_password, sizeof s->sim.admin_password, "changed");
    for (unsigned i = 0; i < s->sim.n_accounts; i++)
        s->sim.accounts[i].verifier[0] = '\0';
    (void)pthread_mutex_unlock(&s->sim.lock);
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    freezes(s, "KT-R-011");
    says(s, "\"in\":\"acking\"");
    (void)snprintf(s->sim.admin_password, sizeof s->sim.admin_password, "admin");
    thaw(s);
    soon(s, "acking");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 2);
    acknowledge(s, "h1", 2);
    until(s, "done");
    scene_end(s);
}

/* ---- the target in trouble ---- */

static void lost_replies(void **state)
{
    struct scene *s = scene(*state);
    s->sim.lose_reply = 1;
    rotate(s);
    until(s, "overlapping");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 1); /* adopted by the probe, not repeated */
    s->sim.lose_reply = 1;
    ends_done(s);
    scene_end(s);
}

static void says_no(void **state)
{
    struct scene *s = scene(*state);
    s->sim.says_no = true;
    rotate(s);
    ends_back(s);
    load_run(s);
    says(s, "\"why\":\"apply: permission denied\"");
    scene_end(s);
}

/* Another value is made, as another version; the first is destroyed. */
static void value_not_allowed(void **state)
{
    struct scene *s = scene(*state);
    s->sim.bad_values = 1;
    rotate(s);
    until(s, "done");
    current_is(s, 3, alternates(s) ? "app_b" : "app_a");
    need(s, 404, "GET", "secret/data/db/orders?version=2", NULL);
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    says(s, "the target did not allow the first value, another one was made");
    says(s, "v3 is in use, v1 is refused");
    scene_end(s);
}

/* Two are enough. */
static void no_value_allowed(void **state)
{
    struct scene *s = scene(*state);
    s->sim.bad_values = 2;
    rotate(s);
    ends_back(s);
    load_run(s);
    says(s, "the server does not accept the value");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 2);
    need(s, 404, "GET", "secret/data/db/orders?version=2", NULL);
    need(s, 404, "GET", "secret/data/db/orders?version=3", NULL);
    scene_end(s);
}

static void down_before(void **state)
{
    struct scene *s = scene(*state);
    s->sim.down = true;
    rotate(s);
    until(s, "cancelled");
    load_run(s);
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    s->sim.down = false;
    current_is(s, 1, "app_a");
    scene_end(s);
}

static void down_while_revoking(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    soon(s, "overlapping");
    (void)pthread_mutex_lock(&s->sim.lock);
    s->sim.down = true;
    (void)pthread_mutex_unlock(&s->sim.lock);
    until(s, alternates(s) ? "revoking" : "confirming");
    for (int i = 0; i < 200; i++) {
        s->vault->now_ms += 3000;
        pause_ms(1);
    }
    assert_true(is_in(s, alternates(s) ? "revoking" : "confirming"));
    (void)pthread_mutex_lock(&s->sim.lock);
    s->sim.down = false;
    (void)pthread_mutex_unlock(&s->sim.lock);
    ends_done(s);
    scene_end(s);
}

/* ---- how often it may ask ---- */

static void default_limits(struct scene *s)
{
    need(s, 204, "POST", "rotation/targets/pg",
         "{\"max_refusals_per_hour\":3,\"probe_spacing\":30}");
}

static void within_limits(struct scene *s, int64_t started_ms)
{
    for (unsigned i = 0; i < s->sim.n_accounts; i++) {
        assert_true(s->sim.accounts[i].refusals <= 3);
        assert_true(s->sim.accounts[i].least_gap_ms >= 30000);
    }
    /* It did not have to wait for an hour to pass. */
    assert_true(s->vault->now_ms - started_ms < 600000);
}

static void default_limits_suffice(void **state)
{
    struct scene *s = scene(*state);
    default_limits(s);
    int64_t started = s->vault->now_ms;
    rotate(s);
    until(s, "done");
    within_limits(s, started);
    scene_end(s);
}

static void default_limits_suffice_to_go_back(void **state)
{
    struct scene *s = scene(*state);
    default_limits(s);
    int64_t started = s->vault->now_ms;
    register_agent(s, "h1");
    rotate(s);
    until(s, "acking");
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    until(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    until(s, "rolled_back");
    current_is(s, 1, "app_a");
    within_limits(s, started);
    scene_end(s);
}

static void one_run_at_a_target(void **state)
{
    struct scene *s = scene(*state);
    char first[64];
    sim_add(&s->sim, "web_a", "first-password-of-a");
    need(s, 200, "POST", "secret/data/db/web",
         "{\"data\":{\"username\":\"web_a\",\"password\":\"first-password-of-a\"}}");
    need(s, 204, "POST", "rotation/secrets/secret/db/web",
         "{\"target\":\"pg\",\"strategy\":\"in-place\",\"accounts\":\"web_a\",\"overlap\":1}");
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200); /* holds it in preflight */
    rotate(s);
    soon(s, "preflight");
    (void)snprintf(first, sizeof first, "%s", s->run);
    need(s, 200, "POST", "rotation/rotate/secret/db/web", "{}");
    text_at(s, "data.run", s->run, sizeof s->run);
    soon_says(s, "another run at pg");
    assert_true(is_in(s, "planned"));
    (void)snprintf(s->run, sizeof s->run, "%s", first);
    cancel(s, 200);
    soon(s, "cancelled");
    need(s, 200, "LIST", "rotation/runs?secret=secret/db/web", NULL);
    s->sim.secret = "db/web";
    for (int i = 0; i < 2000 && !test_vault_said(s->vault, "\"state\":\"done\""); i++) {
        s->vault->now_ms += 500;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
        need(s, 200, "LIST", "rotation/runs?secret=secret/db/web", NULL);
    }
    says(s, "\"state\":\"done\"");
    scene_end(s);
}

static void schedules_rest_where_runs_fail(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"cron\":\"0 * * * *\"}");
    s->sim.down = true;
    for (int hour = 0; hour < 12; hour++)
        for (int i = 0; i < 12; i++) {
            s->vault->now_ms += 300000;
            rotation_wake(s->vault->core->rotation);
            pause_ms(4);
        }
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"failures\":3");
    need(s, 200, "GET", "rotation/due", NULL);
    says(s, "3 runs in a row failed at target pg");
    /* By hand, and it works: schedules go on. */
    s->sim.down = false;
    rotate(s);
    ends_done(s);
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"failures\":0");
    scene_end(s);
}

/* The run that the schedule made, once it is there. */
static void scheduled_run(struct scene *s)
{
    for (int i = 0; i < 3000; i++) {
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
        need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
        text_at(s, "data.state.last_run", s->run, sizeof s->run);
        if (s->run[0] != '\0')
            return;
    }
    fail_msg("no run: %s", s->vault->body);
}

/* It is 08:00. */
static void keeps_to_its_window(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    assert_int_equal(report(s, "h1", 1, "unhealthy"), 200);
    change_rotation(s, "{\"cron\":\"30 8 * * *\",\"window\":\"08:00-09:00\"}");
    s->vault->now_ms += 31 * 60000;
    scheduled_run(s);
    soon_says(s, "to be healthy before anything is changed");
    s->vault->now_ms += 28 * 60000;
    rotation_wake(s->vault->core->rotation);
    pause_ms(20);
    assert_true(is_in(s, "preflight"));
    s->vault->now_ms += 2 * 60000;
    rotation_wake(s->vault->core->rotation);
    soon(s, "cancelled");
    says(s, "its window closed before it could begin");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"next_due\":\"2027-01-16T08:30:00");
    scene_end(s);
}

static void missed_fires(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"cron\":\"0 * * * *\",\"catchup\":\"none\"}");
    s->vault->now_ms += 135 * 60000; /* 10:15: two are missed */
    for (int i = 0; i < 3000; i++) {
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
        need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
        if (test_vault_said(s->vault, "\"next_due\":\"2027-01-15T11:00:00"))
            break;
    }
    says(s, "\"next_due\":\"2027-01-15T11:00:00");
    says(s, "\"last_run\":\"\"");
    s->vault->now_ms += 46 * 60000; /* 11:01 */
    scheduled_run(s);
    ends_done(s);
    /* The default: one run for all of them. */
    change_rotation(s, "{\"catchup\":\"one\"}");
    s->vault->now_ms += 5 * 3600000;
    char first[64];
    (void)snprintf(first, sizeof first, "%s", s->run);
    for (int i = 0; i < 3000 && strcmp(first, s->run) == 0; i++)
        scheduled_run(s);
    assert_string_not_equal(first, s->run);
    soon(s, "overlapping");
    let_go(s);
    until(s, "done");
    need(s, 200, "LIST", "rotation/runs?secret=" SECRET, NULL);
    unsigned runs = 0;
    for (const char *at = s->vault->body; (at = strstr(at, "\"trigger\":")) != NULL; at++)
        runs++;
    assert_int_equal(runs, 2);
    scene_end(s);
}

/* ---- people and tokens ---- */

static void acknowledging_without_reading(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    assert_int_equal(report(s, "h1", 2, "healthy"), 400);
    says(s, "KT-F-002 read version 2 of " SECRET " first");
    /* Another identity that read it does not help. */
    char other[128];
    test_vault_token(s->vault, "reader", "path \"secret/data/*\" { capabilities = [\"read\"] }",
                     other, sizeof other);
    assert_int_equal(test_vault_call(s->vault, "GET", "secret/data/db/orders", other, NULL), 200);
    assert_int_equal(report(s, "h1", 2, "healthy"), 400);
    assert_int_equal(test_vault_call(s->vault, "POST", "fleet/consumers/h1/" SECRET, other,
                                     "{\"service\":\"x\",\"state\":\"registered\"}"),
                     403);
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void twice_at_once(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    need(s, 400, "POST", "rotation/rotate/" SECRET, "{}");
    says(s, "KT-R-003");
    says(s, s->run);
    need(s, 400, "DELETE", "rotation/secrets/" SECRET, NULL);
    says(s, s->run);
    need(s, 400, "DELETE", "secret/metadata/db/orders", NULL);
    says(s, s->run);
    need(s, 400, "POST", "secret/data/db/orders", "{\"data\":{}}");
    says(s, s->run);
    need(s, 400, "POST", "secret/destroy/db/orders", "{\"versions\":[1]}");
    need(s, 400, "DELETE", "rotation/targets/pg", NULL);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void going_back_afterwards(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    ends_done(s);
    need(s, 200, "POST", "rotation/rotate/" SECRET, "{\"back\":true}");
    text_at(s, "data.run", s->run, sizeof s->run);
    soon(s, "overlapping");
    let_go(s);
    until(s, "done");
    char user[64], password[128];
    assert_int_equal(current(s, user, password), 3);
    assert_string_equal(user, "app_a");
    assert_string_equal(password, "first-password-of-a");
    assert_true(sim_accepts(&s->sim, user, password));
    scene_end(s);
}

/* ---- restarts ---- */

static void sealed_in_between(void **state)
{
    static const char *const states[] = {"acking", "overlapping"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        struct scene *s = scene(*state);
        change_rotation(s, "{\"overlap\":60}");
        register_agent(s, "h1");
        rotate(s);
        soon(s, "acking");
        if (i == 1)
            acknowledge(s, "h1", 2);
        soon(s, states[i]);
        test_vault_reseal(s->vault);
        if (i == 0) {
            /* Two hours later: it had no chance to acknowledge meanwhile. */
            s->vault->now_ms += 7200000;
            test_vault_reseal(s->vault);
            s->vault->now_ms += 20000;
            pause_ms(30);
            assert_true(is_in(s, "acking"));
            acknowledge(s, "h1", 2);
        }
        ends_done(s);
        scene_end(s);
    }
}

#ifdef KT_FAULT
static void crash_at(const char *strategy, const char *name, bool back)
{
    char armed[64];
    (void)snprintf(armed, sizeof armed, "%s=error@1", name);
    struct scene *s = scene(strategy);
    register_agent(s, "h1");
    (void)setenv("KEYTURN_FAILPOINTS", armed, 1);
    rotate(s);
    until(s, "acking");
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, back ? "unhealthy" : "healthy"), 200);
    if (back) {
        soon(s, "rolling_back");
        assert_int_equal(report(s, "h1", 1, "healthy"), 200);
        ends_back(s);
    } else {
        ends_done(s);
    }
    scene_end(s);
}

/* In a process of its own: the places count how often they were passed. */
static void crashes(void **state)
{
    static const char *const names[] = {
        "run_generated",      "run_intent_apply", "run_apply_sent",    "run_apply_done",
        "run_outcome_commit", "run_verified",     "run_promoted",      "run_intent_revoke",
        "run_revoke_sent",    "run_revoke_done",  "run_full_generate", "run_full_apply",
        "run_full_promote",   "run_full_revoke",
    };
    for (size_t i = 0; i < 2 * sizeof names / sizeof names[0]; i++) {
        const char *name = names[i / 2];
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            crash_at(*state, name, i % 2 == 1);
            _exit(0);
        }
        int status = 0;
        (void)waitpid(pid, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("%s, %s, %s: status %d", (const char *)*state, name,
                     i % 2 == 1 ? "back" : "forward", status);
    }
}
#endif

#define BOTH(fn)                                                                                   \
    {#fn " (alternate)", fn, NULL, NULL, alternate}, {#fn " (in-place)", fn, NULL, NULL, in_place}
#define ALTERNATE(fn) {#fn " (alternate)", fn, NULL, NULL, alternate}

int main(void)
{
    static char alternate[] = "alternate", in_place[] = "in-place";
    const struct CMUnitTest tests[] = {
        BOTH(full_run),
        BOTH(without_consumers),
        ALTERNATE(first_account_is_made),
        BOTH(unhealthy_consumer),
        BOTH(unhealthy_holds),
        BOTH(target_lost_it),
        BOTH(silent_consumer),
        ALTERNATE(unheard_consumer),
        ALTERNATE(away_while_going_back),
        BOTH(late_consumer),
        BOTH(loose_reader),
        BOTH(loose_reader_ends),
        BOTH(loose_reader_is_passed),
        ALTERNATE(many_readers_are_forgotten),
        ALTERNATE(sessions_drain),
        ALTERNATE(sessions_of_a_silent_target),
        BOTH(cancel_before),
        BOTH(cancel_while_acking),
        BOTH(cancel_while_overlapping),
        ALTERNATE(cancel_too_late),
        ALTERNATE(frozen_drift),
        BOTH(frozen_admin),
        BOTH(frozen_is_looked_at),
        BOTH(looks_are_few),
        BOTH(frozen_trust),
        BOTH(frozen_server),
        ALTERNATE(frozen_old_alive),
        BOTH(both_dead),
        BOTH(thawed_sets_it_again),
        BOTH(lost_replies),
        BOTH(says_no),
        BOTH(value_not_allowed),
        BOTH(no_value_allowed),
        BOTH(down_before),
        BOTH(down_while_revoking),
        BOTH(default_limits_suffice),
        BOTH(default_limits_suffice_to_go_back),
        ALTERNATE(one_run_at_a_target),
        ALTERNATE(schedules_rest_where_runs_fail),
        ALTERNATE(keeps_to_its_window),
        ALTERNATE(missed_fires),
        BOTH(acknowledging_without_reading),
        BOTH(twice_at_once),
        BOTH(going_back_afterwards),
        BOTH(sealed_in_between),
#ifdef KT_FAULT
        BOTH(crashes),
#endif
    };
    kt_log_set_level(KT_LOG_ERROR);
    (void)setenv("KEYTURN_FAILPOINTS", "", 1);
    return cmocka_run_group_tests_name("rotation_engine", tests, NULL, NULL);
}
