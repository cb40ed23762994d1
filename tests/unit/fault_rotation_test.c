/* A whole rotation, one per strategy, a drill, and one of a token of the vault itself, with a call failing on the way: once, or from there on until the
 * disk and memory are well again. However it ends, the run says how, and the target never accepts
 * nothing that is stored.
 *
 *     build/release/unit/fault_rotation_test [alternate|in-place|overlap|drill|token]
 *
 * A run makes thousands of calls. KT_FAULT_POINTS=40 of each kind are tried, spread over the run from
 * KT_SEED on; 0: every one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/num.h"
#include "tests/support/fault.h"
#include "tests/support/fault_vault.h"
#include "tests/support/sim_target.h"
#include "tests/support/stuck.h"
#include "vaultd/barrier/tables.h"

#define POINTS    8u
#define TICK_MS   500   /* of the vault's time */
#define ROUNDS    60000u /* of looking at the run: how long a busy machine may take */
#define PATIENCE  40u   /* rounds for which everything may go on failing */
#define STUCK_S   300u

struct scene {
    struct fault_vault v;
    struct sim sim;
    struct rotation_executor target, executor; /* the simulated one; and with our pauses */
    const char *strategy;
    char run[64], state[32];
    struct fault fault;
};

static struct {
    const char *strategy, *kind;
    unsigned long nth;
    bool for_good;
} at; /* for the words of a crash */

static unsigned call(struct scene *s, const char *method, const char *path, const char *body)
{
    return test_vault_call(s->v.vault, method, path, s->v.root, body);
}

static void need(struct scene *s, unsigned wanted, const char *method, const char *path,
                 const char *body)
{
    unsigned status = call(s, method, path, body);
    if (status != wanted)
        fail_msg("%s %s: %u, not %u: %s", method, path, status, wanted, s->v.vault->body);
}

/* The target is another machine, and who watches it is the test: nothing fails there. */
static enum kt_kind run_step(void *arg, const struct driver_step *step, struct driver_result *ret,
                             struct kt_err *err)
{
    struct scene *s = arg;
    fault_outside(true);
    enum kt_kind kind = s->target.run(s->target.arg, step, ret, err);
    fault_outside(false);
    return kind;
}

static void watch_vault(struct scene *s)
{
    if (strcmp(s->strategy, "token") == 0)
        return;
    (void)pthread_mutex_lock(&s->sim.lock);
    s->sim.vault = s->v.vault;
    (void)pthread_mutex_unlock(&s->sim.lock);
}

/* There and back with two accounts. */
static bool is_drill(const char *strategy)
{
    return strcmp(strategy, "drill") == 0;
}

/* Of the vault itself, which is the target. */
static bool is_token(const char *strategy)
{
    return strcmp(strategy, "token") == 0;
}

static const char *good_end(const char *strategy)
{
    return is_drill(strategy) ? "rolled_back" : "done";
}

static void begin_token(struct scene *s)
{
    char token[128], accessor[64], body[320];
    need(s, 204, "POST", "auth/token/roles/ci", "{\"orphan\":true,\"allowed_policies\":[\"default\"]}");
    need(s, 200, "POST", "auth/token/create/ci", "{}");
    test_vault_text(s->v.vault, "auth.client_token", token, sizeof token);
    test_vault_text(s->v.vault, "auth.accessor", accessor, sizeof accessor);
    (void)snprintf(body, sizeof body,
                   "{\"data\":{\"username\":\"auth/token/roles/ci\",\"password\":\"%s\",\"key_id\":\"%s\"}}", token,
                   accessor);
    need(s, 200, "POST", "secret/data/db/orders", body);
    need(s, 204, "POST", "rotation/targets/here", "{\"driver\":\"vault\"}");
    need(s, 204, "POST", "rotation/secrets/secret/db/orders",
         "{\"target\":\"here\",\"strategy\":\"overlap\",\"accounts\":[\"auth/token/roles/ci\"],\"overlap\":2,\"soak\":1,"
         "\"max_overlap\":600,\"max_age\":\"10d\"}");
    need(s, 200, "POST", "rotation/rotate/secret/db/orders", "{\"reason\":\"test\"}");
    test_vault_text(s->v.vault, "data.run", s->run, sizeof s->run);
}

static void begin(struct scene *s, const char *strategy)
{
    bool drills = is_drill(strategy), alternate = drills || strcmp(strategy, "alternate") == 0;
    char body[256];
    (void)fault_clear(); /* of a case that failed */
    *s = (struct scene){.strategy = strategy};
    sim_init(&s->sim);
    sim_executor(&s->sim, &s->target);
    s->executor = (struct rotation_executor){.run = run_step, .arg = s};
    fault_vault_new(&s->v, &s->executor, true);
    if (is_token(strategy)) {
        begin_token(s);
        return;
    }
    s->sim.secret = "db/orders";
    s->sim.may_stop = true;
    bool overlap = strcmp(strategy, "overlap") == 0;
    if (overlap)
        sim_keep_hashes(&s->sim);
    sim_add(&s->sim, "app_a", "first-password-of-a");
    if (alternate)
        sim_add(&s->sim, "app_b", NULL);
    watch_vault(s);
    need(s, 200, "POST", "secret/data/db/orders",
         "{\"data\":{\"username\":\"app_a\",\"password\":\"first-password-of-a\"}}");
    need(s, 204, "POST", "rotation/targets/pg",
         overlap ? "{\"driver\":\"redis\",\"host\":\"/run/sim\",\"sslmode\":\"disable\","
                   "\"admin_username\":\"kt\",\"admin_password\":\"admin\",\"probe_spacing\":0}" :
         "{\"driver\":\"postgresql\",\"host\":\"/run/sim\",\"database\":\"d\",\"sslmode\":\"disable\","
         "\"admin_username\":\"kt\",\"admin_password\":\"admin\",\"max_refusals_per_hour\":0,"
         "\"probe_spacing\":0}");
    (void)snprintf(body, sizeof body,
                   "{\"target\":\"pg\",\"strategy\":\"%s\",\"allow_gap\":true,%s,\"overlap\":2,\"soak\":1,"
                   "\"max_overlap\":600}",
                   alternate ? "alternate" : strategy,
                   alternate ? "\"accounts\":[\"app_a\",\"app_b\"],\"group\":\"app\""
                             : "\"accounts\":[\"app_a\"]");
    need(s, 204, "POST", "rotation/secrets/secret/db/orders", body);
    need(s, 200, "POST", drills ? "rotation/drill/secret/db/orders" : "rotation/rotate/secret/db/orders",
         "{\"reason\":\"test\"}");
    test_vault_text(s->v.vault, "data.run", s->run, sizeof s->run);
}

static void end(struct scene *s)
{
    fault_vault_end(&s->v);
    sim_free(&s->sim);
}

static bool over(const struct scene *s)
{
    static const char *const states[] = {"done", "rolled_back", "frozen", "cancelled", "failed"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (strcmp(s->state, states[i]) == 0)
            return true;
    return false;
}

/* What an operator does with a vault that stopped. */
static void mend(struct scene *s)
{
    (void)pthread_mutex_lock(&s->sim.lock);
    s->sim.vault = NULL; /* nobody looks into it while it is away */
    (void)pthread_mutex_unlock(&s->sim.lock);
    if (!fault_vault_mend(&s->v) && barrier_sealed(s->v.vault->core->barrier))
        fault_vault_unseal(&s->v);
    watch_vault(s);
}

static bool stopped(struct scene *s)
{
    struct leadership leadership;
    store_leader(s->v.vault->store, &leadership);
    return atomic_load(&s->v.stopped) > 0 || !leadership.leads;
}

/* Lets time pass until the run is over. Returns how many calls failed. */
static unsigned long drive(struct scene *s)
{
    char path[96];
    unsigned long hits = 0;
    bool armed = true;
    fault_outside(true); /* who looks on */
    (void)snprintf(path, sizeof path, "rotation/runs/%s", s->run);
    for (unsigned round = 0, failing = 0; round < ROUNDS && !over(s); round++) {
        failing += fault_hits() > 0;
        /* A vault that stopped is mended together with what made it stop. */
        if (armed && ((failing > PATIENCE && s->fault.for_good) || stopped(s))) {
            (void)fault_clear();
            hits = fault_hits();
            armed = false;
        }
        if (!armed)
            mend(s);
        if (call(s, "GET", path, NULL) == 200)
            test_vault_text(s->v.vault, "data.state", s->state, sizeof s->state);
        s->v.vault->now_ms += TICK_MS;
        rotation_wake(s->v.vault->core->rotation);
        /* A thread that does not get its turn needs ours, not more of the vault's time. */
        (void)nanosleep(&(const struct timespec){.tv_nsec = round < 2000 ? 500000 : 2000000}, NULL);
    }
    fault_outside(false);
    (void)fault_clear();
    return armed ? fault_hits() : hits;
}

/* What a thread of the vault's own met before the fault was taken away may stop it only now. */
static void read_well(struct scene *s, const char *path)
{
    unsigned status = call(s, "GET", path, NULL);
    for (unsigned i = 0; i < 3 && status >= 500 && fault_vault_stops(&s->v); i++) {
        mend(s);
        status = call(s, "GET", path, NULL);
    }
    if (status != 200)
        fail_msg("%s, %s %lu%s: GET %s: %u: %s (%s)", at.strategy, at.kind, at.nth,
                 at.for_good ? " and on" : "", path, status, s->v.vault->body, s->v.why);
}

/* The root token's and the secret's: a run that ended left no other. */
static void one_token(struct scene *s)
{
    unsigned tokens = test_vault_rows(s->v.vault, TABLE_ACCESSOR);
    if (strcmp(s->state, "frozen") != 0 && tokens != 2)
        fail_msg("%s %lu%s: %u tokens after a run that is '%s'", at.kind, at.nth, at.for_good ? " and on" : "",
                 tokens, s->state);
}

static void judge(struct scene *s)
{
    char user[64], password[128], path[96];
    mend(s);
    if (!over(s))
        fail_msg("%s, %s %lu%s: stuck in '%s': %.1500s", at.strategy, at.kind, at.nth,
                 at.for_good ? " and on" : "", s->state, s->v.vault->body);
    /* A vault that stopped tells the watcher nothing. */
    if (s->sim.locked_out[0] != '\0' && strncmp(s->sim.locked_out, "watcher:", 8) != 0)
        fail_msg("%s, %s %lu%s: %s", at.strategy, at.kind, at.nth, at.for_good ? " and on" : "",
                 s->sim.locked_out);
    read_well(s, "secret/data/db/orders");
    test_vault_text(s->v.vault, "data.data.username", user, sizeof user);
    test_vault_text(s->v.vault, "data.data.password", password, sizeof password);
    bool works = is_token(at.strategy)
                     ? test_vault_call(s->v.vault, "GET", "auth/token/lookup-self", password, NULL) == 200
                     : sim_accepts(&s->sim, user, password);
    if (!works)
        fail_msg("%s, %s %lu%s: what is current does not work; the run is '%s'", at.strategy,
                 at.kind, at.nth, at.for_good ? " and on" : "", s->state);
    if (is_token(at.strategy))
        one_token(s);
    (void)snprintf(path, sizeof path, "rotation/runs/%s", s->run);
    read_well(s, path);
    if (strcmp(s->state, "frozen") == 0 && !test_vault_said(s->v.vault, "\"next\""))
        fail_msg("frozen without saying what is next: %.1500s", s->v.vault->body);
}

/* Returns how many calls failed; 0: the run was over before. */
static unsigned long try(const char *strategy, const struct fault *fault, char state[32])
{
    struct scene s;
    at.nth = fault->nth;
    at.for_good = fault->for_good;
    stuck_after(STUCK_S, "an attempt does not end");
    begin(&s, strategy);
    s.fault = *fault;
    fault_set(&s.fault);
    unsigned long hits = drive(&s);
    judge(&s);
    (void)snprintf(state, 32, "%s", s.state);
    end(&s);
    stuck_after(0, NULL);
    return hits;
}

/* How many calls of the kind a run makes in which none fails. */
static unsigned long count(const char *strategy, enum fault_kind kind)
{
    struct scene s;
    at.nth = 0;
    begin(&s, strategy);
    s.fault = (struct fault){.kind = kind};
    fault_set(&s.fault);
    (void)drive(&s);
    unsigned long calls = fault_clear();
    judge(&s);
    assert_string_equal(s.state, good_end(strategy));
    end(&s);
    return calls;
}

static unsigned long number_of(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoul(text, NULL, 10);
}

/* Names are made only when the log needs its next segment, which follows from how often the run was
 * looked at: on a busy machine more often. */
static const bool in_each_run[FAULT_KINDS] = {
    [FAULT_ALLOC] = true, [FAULT_READ] = true,    [FAULT_WRITE] = true,
    [FAULT_SYNC] = true,  [FAULT_LIBRARY] = true,
};

static void each_point(void **state)
{
    const char *strategy = *state;
    /* The way there is that of alternate; that of a token is that of overlap. */
    unsigned long usual = is_drill(strategy) ? POINTS / 2 : is_token(strategy) ? POINTS / 4 : POINTS;
    unsigned long points = number_of("KT_FAULT_POINTS", usual), seed = number_of("KT_SEED", 1);
    at.strategy = strategy;
    for (enum fault_kind kind = 0; kind < FAULT_KINDS; kind++) {
        unsigned ends[2] = {0}; /* as it is meant to, or anything else that is an end */
        at.kind = fault_kind_name(kind);
        unsigned long calls = count(strategy, kind);
        unsigned long step = points == 0 || calls < points ? 1 : calls / points;
        for (unsigned good = 0; good < 2; good++)
            for (unsigned long n = 1 + (seed + good * step / 2) % step; n <= calls; n += step) {
                char how[32];
                const struct fault fault = {.kind = kind, .nth = n, .for_good = good == 1};
                if (try(strategy, &fault, how) > 0)
                    ends[strcmp(how, good_end(strategy)) != 0]++;
            }
        (void)printf("# %-9s %-10s %lu calls: well %u, otherwise over %u\n", strategy, at.kind,
                     calls, ends[0], ends[1]);
        assert_true(!in_each_run[kind] || ends[0] + ends[1] > 0);
    }
}

int main(int argc, char **argv)
{
    static char alternate[] = "alternate", in_place[] = "in-place", overlap[] = "overlap",
                drill[] = "drill", token[] = "token";
    const struct CMUnitTest tests[] = {
        {.name = alternate, .test_func = each_point, .initial_state = alternate},
        {.name = in_place, .test_func = each_point, .initial_state = in_place},
        {.name = overlap, .test_func = each_point, .initial_state = overlap},
        {.name = drill, .test_func = each_point, .initial_state = drill},
        {.name = token, .test_func = each_point, .initial_state = token},
    };
    if (getenv("KT_FAULT_SHOW") == NULL)
        kt_log_set_level((enum kt_log_level)0); /* failures are what is tested here */
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("fault_rotation", tests, NULL, NULL);
}
