/* How many runs do something at a target at the same time, in all, and how many schedules start a minute: never
 * more than was said, over a restart too, and in the order in which they are due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/failpoint.h"
#include "lib/log.h"
#include "tests/support/many_target.h"
#include "tests/support/rotation_scene.h"
#include "vaultd/core/rows.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/secret.h"

#define MANY 12u /* secrets m0.., each with an account of its own */

/* ---- a target that answers when it is let ---- */

static struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opens;
    bool open;
    unsigned inside, peak;
    char order[64][32]; /* accounts, as they were asked for first */
    unsigned n_order;
    struct rotation_executor behind;
} gate;

static void note_order(const char *account)
{
    for (unsigned i = 0; i < gate.n_order; i++)
        if (strcmp(gate.order[i], account) == 0)
            return;
    if (gate.n_order < 64)
        (void)snprintf(gate.order[gate.n_order++], sizeof gate.order[0], "%s", account);
}

static enum kt_kind gate_run(void *arg, const struct driver_step *step, struct driver_result *ret,
                             struct kt_err *err)
{
    (void)arg;
    (void)pthread_mutex_lock(&gate.lock);
    if (step->logins[DRIVER_OLD].username != NULL)
        note_order(step->logins[DRIVER_OLD].username);
    gate.inside++;
    gate.peak = gate.inside > gate.peak ? gate.inside : gate.peak;
    while (!gate.open)
        (void)pthread_cond_wait(&gate.opens, &gate.lock);
    (void)pthread_mutex_unlock(&gate.lock);
    enum kt_kind kind = gate.behind.run(gate.behind.arg, step, ret, err);
    (void)pthread_mutex_lock(&gate.lock);
    gate.inside--;
    (void)pthread_mutex_unlock(&gate.lock);
    return kind;
}

static unsigned seen(const unsigned *what)
{
    (void)pthread_mutex_lock(&gate.lock);
    unsigned n = *what;
    (void)pthread_mutex_unlock(&gate.lock);
    return n;
}

static void let_in(bool open)
{
    (void)pthread_mutex_lock(&gate.lock);
    gate.open = open;
    (void)pthread_cond_broadcast(&gate.opens);
    (void)pthread_mutex_unlock(&gate.lock);
}

/* ---- a scene with many secrets ---- */

static atomic_uint sleeps;
int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    atomic_fetch_add(&sleeps, 1);
    return __real_poll(fds, n, timeout_ms);
}

/* The thread looks at everything twice from here on. */
static void looks_around(struct scene *s)
{
    for (unsigned look = 0; look < 3; look++) {
        unsigned before = atomic_load(&sleeps);
        rotation_wake(s->vault->core->rotation);
        for (int i = 0; i < PATIENCE && atomic_load(&sleeps) == before; i++)
            pause_ms(1);
        assert_true(atomic_load(&sleeps) != before);
    }
}

static void add_target(struct scene *s, const char *name, const char *more)
{
    char path[96], body[512];
    (void)snprintf(path, sizeof path, "rotation/targets/%s", name);
    (void)snprintf(body, sizeof body,
                   "{\"driver\":\"postgresql\",\"host\":\"/run/sim\",\"database\":\"d\","
                   "\"sslmode\":\"disable\",\"admin_username\":\"kt\",\"admin_password\":\"admin\","
                   "\"max_refusals_per_hour\":0,\"probe_spacing\":0%s}",
                   more);
    need(s, 204, "POST", path, body);
}

/* schedule: "" or members behind the settings. */
static void add_secret(struct scene *s, unsigned i, const char *target, const char *schedule)
{
    char path[96], body[512];
    (void)snprintf(body, sizeof body, "u%u", i);
    sim_add(&s->sim, body, "p");
    (void)snprintf(path, sizeof path, "secret/data/m%u", i);
    (void)snprintf(body, sizeof body, "{\"data\":{\"username\":\"u%u\",\"password\":\"p\"}}", i);
    need(s, 200, "POST", path, body);
    (void)snprintf(path, sizeof path, "rotation/secrets/secret/m%u", i);
    (void)snprintf(body, sizeof body,
                   "{\"target\":\"%s\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":\"u%u\",\"overlap\":0,"
                   "\"soak\":0%s}",
                   target, i, schedule);
    need(s, 204, "POST", path, body);
}

static struct scene *begin(bool open)
{
    struct scene *s = scene("in-place");
    gate = (struct gate){.open = open, .behind = s->executor};
    (void)pthread_mutex_init(&gate.lock, NULL);
    (void)pthread_cond_init(&gate.opens, NULL);
    s->executor.run = gate_run;
    s->executor.interrupt = NULL;
    return s;
}

static void end(struct scene *s)
{
    let_in(true);
    scene_end(s);
}

/* As vaultd's configuration would. */
static void configure(struct scene *s, unsigned runs, unsigned starts)
{
    struct core *core = s->vault->core;
    core_seal(core, "test");
    core->config.rotation_max_runs = runs;
    if (starts != 0) {
        struct rotation *rotation = core->rotation;
        free(rotation->starts);
        rotation->starts = kt_calloc(starts, sizeof *rotation->starts);
        rotation->n_starts = starts;
        rotation->next_start = 0;
        assert_non_null(rotation->starts);
    }
    test_vault_reseal(s->vault);
}

static void rotate_by_hand(struct scene *s, unsigned i)
{
    char path[96];
    (void)snprintf(path, sizeof path, "rotation/rotate/secret/m%u", i);
    need(s, 200, "POST", path, "{}");
    text_at(s, "data.run", s->run, sizeof s->run);
}

/* So many are at work, and not one more however often the thread looks. */
static void are_inside(struct scene *s, unsigned n)
{
    for (int i = 0; i < PATIENCE && seen(&gate.inside) < n; i++)
        pause_ms(1);
    looks_around(s);
    assert_int_equal(seen(&gate.inside), n);
}

static unsigned runs_of(struct scene *s, const char *state)
{
    unsigned n = 0;
    if (test_vault_call(s->vault, "LIST", "rotation/runs?limit=1000", s->vault->root, NULL) == 404)
        return 0;
    for (const char *at = s->vault->body; (at = strstr(at, state)) != NULL; at++)
        n++;
    return n;
}

static void all_are_done(struct scene *s, unsigned n)
{
    unsigned done = 0;
    for (int i = 0; i < PATIENCE && (done = runs_of(s, "\"state\":\"done\"")) < n; i++) {
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    if (done != n)
        fail_msg("%u of %u are done: %.3000s", done, n, s->vault->body);
}

/* ---- at a target ---- */

static void one_unless_said(void **state)
{
    struct scene *s = begin(false);
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        add_secret(s, i, "pg", "");
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"max_runs\":1,\"starts_per_minute\":0,\"runs\":0");
    for (unsigned i = 0; i < 3; i++) {
        s->vault->now_ms++; /* runs of one moment have no order */
        rotate_by_hand(s, 2 - i);
    }
    are_inside(s, 1);
    soon_says(s, "its turn at target pg: 1 of 1 runs at a time are under way (max_runs)");
    let_in(true);
    all_are_done(s, 3);
    assert_int_equal(seen(&gate.peak), 1);
    for (unsigned i = 0; i < 3; i++) /* who came first was first */
        assert_int_equal(gate.order[i][1], '0' + 2 - (int)i);
    end(s);
}

static void as_many_as_said(void **state)
{
    struct scene *s = begin(false);
    (void)state;
    add_target(s, "pg", ",\"max_runs\":2");
    for (unsigned i = 0; i < 6; i++)
        add_secret(s, i, "pg", "");
    for (unsigned i = 0; i < 6; i++)
        rotate_by_hand(s, i);
    are_inside(s, 2);
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"max_runs\":2,\"starts_per_minute\":0,\"runs\":2");
    add_target(s, "pg", ",\"max_runs\":3");
    are_inside(s, 3);
    add_target(s, "pg", ",\"max_runs\":1"); /* who is there stays */
    are_inside(s, 3);
    let_in(true);
    all_are_done(s, 6);
    assert_int_equal(seen(&gate.peak), 3);
    end(s);
}

static void says_of_m0(struct scene *s, unsigned version, unsigned holds)
{
    char body[160];
    (void)snprintf(body, sizeof body,
                   "{\"service\":\"a\",\"version\":%u,\"state\":\"healthy\",\"candidates\":2,\"holds\":%u}", version,
                   holds);
    if (as_agent(s, "POST", "fleet/consumers/h/secret/m0", body) != 200)
        fail_msg("version %u, holds %u: %s", version, holds, s->vault->body);
}

/* A run that waits for consumers to have both passwords has no place meanwhile, and needs one then. */
static void none_while_consumers_get_both(void **state)
{
    struct scene *s = begin(true);
    char first[64];
    (void)state;
    add_target(s, "pg", ",\"max_runs\":1");
    for (unsigned i = 0; i < 3; i++)
        add_secret(s, i, "pg", ",\"on_ack_timeout\":\"hold\"");
    assert_int_equal(as_agent(s, "GET", "secret/data/m0?version=1", NULL), 200);
    says_of_m0(s, 1, 0);
    rotate_by_hand(s, 0);
    memcpy(first, s->run, sizeof first);
    soon_says(s, "consumers 0/1 to have v2 beside v1");
    rotate_by_hand(s, 1);
    soon(s, "done");
    let_in(false);
    rotate_by_hand(s, 2);
    are_inside(s, 1);
    assert_int_equal(as_agent(s, "GET", "secret/data/m0?version=2", NULL), 200);
    says_of_m0(s, 1, 2);
    memcpy(s->run, first, sizeof first);
    soon_says(s, "its turn at target pg: 1 of 1 runs at a time are under way (max_runs)");
    are_inside(s, 1);
    let_in(true);
    soon(s, "acking");
    says_of_m0(s, 2, 1);
    all_are_done(s, 3);
    end(s);
}

static void in_all(void **state)
{
    struct scene *s = begin(false);
    char name[16];
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        (void)snprintf(name, sizeof name, "t%u", i);
        add_target(s, name, ",\"max_runs\":16");
        add_secret(s, i, name, "");
        rotate_by_hand(s, i);
    }
    are_inside(s, 4);
    soon_says(s, "its turn: 4 of 4 runs at a time are under way at targets");
    let_in(true);
    all_are_done(s, 8);
    assert_int_equal(seen(&gate.peak), 4);
    end(s);
}

static void as_many_as_configured(void **state)
{
    struct scene *s = begin(false);
    (void)state;
    configure(s, 6, 0);
    add_target(s, "pg", ",\"max_runs\":16");
    for (unsigned i = 0; i < 9; i++) {
        add_secret(s, i, "pg", "");
        rotate_by_hand(s, i);
    }
    are_inside(s, 6);
    let_in(true);
    all_are_done(s, 9);
    assert_int_equal(seen(&gate.peak), 6);
    end(s);
}

static void bounds(void **state)
{
    struct scene *s = begin(true);
    (void)state;
    need(s, 400, "POST", "rotation/targets/pg", "{\"max_runs\":0}");
    says(s, "max_runs must be from 1 to 16");
    need(s, 400, "POST", "rotation/targets/pg", "{\"max_runs\":17}");
    need(s, 400, "POST", "rotation/targets/pg", "{\"starts_per_minute\":601}");
    need(s, 400, "POST", "rotation/targets/pg", "{\"starts_per_minute\":-1}");
    end(s);
}

/* ---- what is asked besides ---- */

static void add_pair(struct scene *s, unsigned i, unsigned sessions)
{
    char one[16], other[16], path[96], body[512];
    (void)snprintf(one, sizeof one, "x%u", i);
    (void)snprintf(other, sizeof other, "y%u", i);
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_add(&s->sim, one, "p");
    sim_add(&s->sim, other, NULL);
    sim_account(&s->sim, one)->sessions = sessions;
    (void)pthread_mutex_unlock(&s->sim.lock);
    (void)snprintf(path, sizeof path, "secret/data/m%u", i);
    (void)snprintf(body, sizeof body, "{\"data\":{\"username\":\"%s\",\"password\":\"p\"}}", one);
    need(s, 200, "POST", path, body);
    (void)snprintf(path, sizeof path, "rotation/secrets/secret/m%u", i);
    (void)snprintf(body, sizeof body,
                   "{\"target\":\"pg\",\"strategy\":\"alternate\",\"accounts\":[\"%s\",\"%s\"],\"group\":\"g%u\","
                   "\"overlap\":0,\"soak\":0,\"drain\":600,\"loose_readers\":\"ignore\"}",
                   one, other, i);
    need(s, 204, "POST", path, body);
}

/* Several runs that wait for sessions of the old account look at the target in turn, and not while another run has
 * the place there. */
static void looks_for_sessions(void **state)
{
    struct scene *s = begin(true);
    (void)state;
    add_secret(s, 9, "pg", "");
    for (unsigned i = 0; i < 3; i++) {
        add_pair(s, i, 1);
        rotate_by_hand(s, i);
        soon(s, "overlapping");
        soon_says(s, "1 sessions of x");
    }
    let_in(false);
    s->vault->now_ms += 60000;
    are_inside(s, 1);
    rotate_by_hand(s, 9);
    are_inside(s, 1);
    soon_says(s, "its turn at target pg: 1 of 1 runs at a time are under way (max_runs)");
    let_in(true);
    soon(s, "done");
    s->vault->now_ms += 600000; /* the drain is over */
    all_are_done(s, 4);
    assert_int_equal(seen(&gate.peak), 1);
    end(s);
}

static void m0_is(struct scene *s, unsigned version, const char *how)
{
    char path[96], body[160];
    (void)snprintf(path, sizeof path, "secret/data/m0?version=%u", version);
    assert_int_equal(as_agent(s, "GET", path, NULL), 200);
    (void)snprintf(body, sizeof body, "{\"service\":\"a\",\"version\":%u,\"state\":\"%s\"}", version, how);
    assert_int_equal(as_agent(s, "POST", "fleet/consumers/h/secret/m0", body), 200);
}

/* A consumer that is not well has its run ask the target: when what another one asks there has its answer. That
 * the run is to go back is heard meanwhile, and then it waits for nobody. */
static void a_question_of_a_run_in_doubt(void **state)
{
    struct scene *s = begin(true);
    char first[64];
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        add_secret(s, i, "pg", "");
    m0_is(s, 1, "healthy");
    rotate_by_hand(s, 0);
    memcpy(first, s->run, sizeof first);
    soon(s, "acking");
    let_in(false);
    rotate_by_hand(s, 1);
    are_inside(s, 1);
    m0_is(s, 2, "unhealthy");
    memcpy(s->run, first, sizeof first);
    soon_says(s, "what is asked at target pg now, to have its answer (max_runs)");
    are_inside(s, 1);
    cancel(s, 200);
    soon(s, "rolling_back");
    are_inside(s, 2);
    end(s);
}

/* A look of verify_every, and a run that is started by hand meanwhile. */
static void a_look_at_what_is_stored(void **state)
{
    struct scene *s = begin(false);
    (void)state;
    add_secret(s, 0, "pg", ",\"verify_every\":\"1h\"");
    add_secret(s, 1, "pg", "");
    are_inside(s, 1);
    rotate_by_hand(s, 1);
    are_inside(s, 1);
    let_in(true);
    all_are_done(s, 1);
    assert_int_equal(seen(&gate.peak), 1);
    end(s);
}

static void *check_target(void *arg)
{
    struct scene *s = arg;
    need(s, 200, "POST", "rotation/targets/pg/check", NULL);
    return NULL;
}

static void is_posted(struct scene *s, enum job_kind kind)
{
    struct rotation *rotation = s->vault->core->rotation;
    bool found = false;
    for (int i = 0; i < PATIENCE && !found; i++) {
        (void)pthread_mutex_lock(&rotation->lock);
        for (const struct job *job = rotation->jobs; job != NULL; job = job->next)
            found = found || job->kind == kind;
        (void)pthread_mutex_unlock(&rotation->lock);
        pause_ms(1);
    }
    assert_true(found);
}

static void a_check(void **state)
{
    struct scene *s = begin(false);
    pthread_t thread;
    (void)state;
    add_secret(s, 0, "pg", "");
    rotate_by_hand(s, 0);
    are_inside(s, 1);
    assert_int_equal(pthread_create(&thread, NULL, check_target, s), 0);
    is_posted(s, JOB_CHECK);
    are_inside(s, 1);
    let_in(true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    all_are_done(s, 1);
    assert_int_equal(seen(&gate.peak), 1);
    end(s);
}

/* ---- a minute ---- */

#define HALF_AN_HOUR ((int64_t)31 * 60000)

static void starts_at_a_target(void **state)
{
    struct scene *s = begin(false);
    (void)state;
    add_target(s, "pg", ",\"max_runs\":16,\"starts_per_minute\":2");
    for (unsigned i = 0; i < 4; i++)
        add_secret(s, i, "pg", ",\"period\":\"30m\"");
    int64_t now_ms = s->vault->now_ms + HALF_AN_HOUR;
    s->vault->now_ms = now_ms;
    are_inside(s, 2);
    need(s, 200, "GET", "rotation/due", NULL);
    says(s, "\"blocked_by\":\"its turn at target pg: schedules start 2 runs a minute there\"");
    s->vault->now_ms = now_ms + 60000 - 1;
    are_inside(s, 2);
    s->vault->now_ms = now_ms + 60000;
    are_inside(s, 4);
    end(s);
}

static void starts_in_all(void **state)
{
    struct scene *s = begin(true);
    (void)state;
    configure(s, 0, 3);
    add_target(s, "pg", ",\"max_runs\":16");
    for (unsigned i = 0; i < 5; i++)
        add_secret(s, i, "pg", ",\"period\":\"30m\"");
    s->vault->now_ms += HALF_AN_HOUR;
    all_are_done(s, 3);
    need(s, 200, "GET", "rotation/due", NULL);
    says(s, "\"blocked_by\":\"its turn: schedules start 3 runs a minute\"");
    looks_around(s);
    assert_int_equal(runs_of(s, "\"trigger\":\"schedule\""), 3);
    s->vault->now_ms += 60000;
    all_are_done(s, 5);
    end(s);
}

/* ---- over a restart ---- */

/* Who was at a target is there again before others may have the place. */
static void after_a_restart(void **state)
{
    struct scene *s = begin(false);
    (void)state;
    add_target(s, "pg", ",\"max_runs\":2");
    for (unsigned i = 0; i < 6; i++)
        add_secret(s, i, "pg", ",\"period\":\"30m\"");
    s->vault->now_ms += HALF_AN_HOUR;
    are_inside(s, 2);
    assert_int_equal(runs_of(s, "\"trigger\":\"schedule\""), 2);
    test_vault_reseal(s->vault); /* their steps are at work still: nobody drives them yet */
    looks_around(s);
    assert_int_equal(runs_of(s, "\"trigger\":\"schedule\""), 2);
    let_in(true);
    all_are_done(s, 6);
    assert_true(seen(&gate.peak) <= 2);
    end(s);
}

/* What was started before it counts in its minute. */
static void starts_before_a_restart(void **state)
{
    struct scene *s = begin(false);
    (void)state;
    add_target(s, "pg", ",\"max_runs\":16,\"starts_per_minute\":2");
    for (unsigned i = 0; i < 4; i++)
        add_secret(s, i, "pg", ",\"period\":\"30m\"");
    s->vault->now_ms += HALF_AN_HOUR;
    are_inside(s, 2);
    test_vault_reseal(s->vault);
    looks_around(s);
    assert_int_equal(runs_of(s, "\"trigger\":\"schedule\""), 2);
    end(s);
}

/* The order in which the names stand in the answer of rotation/due. */
static unsigned due_order(struct scene *s, char names[MANY][32])
{
    unsigned n = 0;
    need(s, 200, "GET", "rotation/due?limit=1000", NULL);
    for (const char *at = s->vault->body; (at = strstr(at, "\"secret\":\"secret/m")) != NULL; at++)
        if (n < MANY)
            (void)snprintf(names[n++], 32, "u%ld", strtol(at + strlen("\"secret\":\"secret/m"), NULL, 10));
    return n;
}

/* Twelve are due at once at one target: they come one after the other, as the index has them, before and
 * after a restart in the middle; and when they are due is the same before it and after it. */
static void in_order(void **state)
{
    struct scene *s = begin(true);
    char names[MANY][32] = {0};
    static char before[65536];
    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        add_secret(s, i, "pg", ",\"period\":\"30m\",\"jitter\":\"10m\"");
    assert_int_equal(due_order(s, names), MANY);
    (void)snprintf(before, sizeof before, "%s", strstr(s->vault->body, "\"due\""));
    test_vault_reseal(s->vault);
    for (unsigned i = 0; i < MANY; i++) { /* planned anew, from the same schedule */
        char path[96];
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/m%u", i);
        need(s, 204, "POST", path, "{\"period\":\"30m\"}");
    }
    assert_int_equal(due_order(s, names), MANY);
    assert_string_equal(strstr(s->vault->body, "\"due\""), before);
    s->vault->now_ms += HALF_AN_HOUR + INT64_C(600000);
    bool restarted = false;
    for (int i = 0; i < PATIENCE && seen(&gate.n_order) < MANY; i++) {
        if (!restarted && seen(&gate.n_order) >= MANY / 2) {
            test_vault_reseal(s->vault);
            restarted = true;
        }
        if (i < HALF_AN_HOUR / 2 / 500) /* not so long that the first is due again */
            s->vault->now_ms += 500;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    assert_int_equal(seen(&gate.n_order), MANY);
    assert_true(restarted);
    for (unsigned i = 0; i < MANY; i++)
        assert_string_equal(gate.order[i], names[i]);
    all_are_done(s, MANY);
    assert_int_equal(seen(&gate.peak), 1);
    end(s);
}

/* ---- very many: KT_ROWS of them, ten thousand in `make torture` ---- */

#define ROWS_DEFAULT 200u
#define CAP          3u

static unsigned rows_wanted(void)
{
    const char *text = getenv("KT_ROWS");
    return text == NULL ? ROWS_DEFAULT : (unsigned)strtoul(text, NULL, 10);
}

struct due_row_seen {
    int64_t due_ms;
    unsigned number;
};
struct due_seen {
    struct due_row_seen *at;
    unsigned n, room;
};

/* The index itself, from its front. */
static enum kt_kind read_due(struct request *req, struct kt_err *err)
{
    struct due_seen *seen_rows = req->handler_data;
    unsigned char table = TABLE_DUE;
    enum kt_kind kind = KT_OK;
    struct rows rows;
    seen_rows->n = 0;
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(NULL, 0), "testing");
    while (kind == KT_OK && seen_rows->n < seen_rows->room && rows_next(&rows)) {
        const char *name = NULL;
        kind = due_row_name(req, &rows.entry, &name, err);
        if (kind == KT_OK)
            seen_rows->at[seen_rows->n++] = (struct due_row_seen){
                due_time_of_key(rows.entry.key), (unsigned)strtoul(name + strlen("secret/m"), NULL, 10)};
    }
    return rows_end(&rows, kind, err);
}

static struct due_seen due_now(struct scene *s, unsigned n)
{
    struct due_seen ret = {.at = calloc(n, sizeof *ret.at), .room = n};
    struct kt_err err = {0};
    assert_non_null(ret.at);
    assert_int_equal(request_internal(s->vault->core, "test/due", read_due, &ret, &err), KT_OK);
    assert_int_equal(ret.n, n);
    return ret;
}

static void add_many(struct scene *s, unsigned n)
{
    char path[96], body[256];
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(path, sizeof path, "secret/data/m%u", i);
        (void)snprintf(body, sizeof body, "{\"data\":{\"username\":\"u%u\",\"password\":\"p\"}}", i);
        need(s, 200, "POST", path, body);
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/m%u", i);
        (void)snprintf(body, sizeof body,
                       "{\"target\":\"many\",\"strategy\":\"overlap\",\"accounts\":\"u%u\",\"overlap\":0,"
                       "\"soak\":0,\"period\":\"30d\",\"jitter\":\"10m\"}",
                       i);
        need(s, 204, "POST", path, body);
    }
}

/* Jitter comes from the schedule and the secret alone: a restart, and planning anew, change none. */
static void are_due_as_before(struct scene *s, const struct due_seen *before, unsigned n)
{
    char path[96];
    unsigned spread = 0;
    test_vault_reseal(s->vault);
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/m%u", i);
        need(s, 204, "POST", path, "{\"period\":\"30d\"}");
    }
    struct due_seen after = due_now(s, n);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(after.at[i].number, before->at[i].number);
        assert_int_equal(after.at[i].due_ms, before->at[i].due_ms);
        spread += i > 0 && after.at[i].due_ms != after.at[i - 1].due_ms;
    }
    assert_true(spread > n / 2);
    free(after.at);
}

static struct scene *begin_many(struct many_target *target, unsigned n, unsigned cap)
{
    struct scene *s = begin(true);
    char body[256];
    many_target_init(target, n, "p");
    many_target_executor(target, &gate.behind);
    configure(s, 16, n + 1);
    (void)snprintf(body, sizeof body,
                   "{\"driver\":\"redis\",\"host\":\"/run/many\",\"admin_username\":\"kt\",\"admin_password\":"
                   "\"admin\",\"max_refusals_per_hour\":0,\"probe_spacing\":0,\"max_runs\":%u}",
                   cap);
    need(s, 204, "POST", "rotation/targets/many", body);
    add_many(s, n);
    return s;
}

/* The gate is closed: so many are at the target, and it says so. */
static void has_its_cap(struct scene *s, unsigned cap)
{
    char text[64];
    are_inside(s, cap);
    need(s, 200, "GET", "rotation/targets/many", NULL);
    (void)snprintf(text, sizeof text, "\"runs\":%u", cap);
    says(s, text);
}

static void until_seen(struct scene *s, struct many_target *target, unsigned n)
{
    unsigned before = 0;
    for (int i = 0; i < PATIENCE && many_target_seen(target) < n; i++) {
        if (many_target_seen(target) != before)
            i = 0;
        before = many_target_seen(target);
        s->vault->now_ms += 100;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    assert_true(many_target_seen(target) >= n);
}

static void until_none_accepts(struct scene *s, struct many_target *target)
{
    for (int i = 0; i < PATIENCE && many_target_accepting(target, "p") > 0; i++) {
        s->vault->now_ms += 100;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    assert_int_equal(many_target_accepting(target, "p"), 0);
}

/* All of them are due at once. However many wait: never more than the cap are at the target, before,
 * during and after a restart, and each gets its turn. */
static void very_many_at_once(void **state)
{
    struct many_target target;
    unsigned n = rows_wanted();
    struct scene *s = begin_many(&target, n, CAP);
    (void)state;
    let_in(false);
    s->vault->now_ms += INT64_C(31) * 24 * 3600000;
    has_its_cap(s, CAP);
    let_in(true);
    until_seen(s, &target, n / 2);
    let_in(false);
    has_its_cap(s, CAP);
    test_vault_reseal(s->vault); /* what is at the target is there still */
    looks_around(s);
    assert_int_equal(seen(&gate.inside), CAP);
    let_in(true);
    until_seen(s, &target, n);
    until_none_accepts(s, &target);
    assert_int_equal(seen(&gate.peak), CAP);
    assert_true(target.peak <= CAP);
    end(s);
    many_target_free(&target);
}

/* One after the other they come as the index has them, whatever restarts in between. */
static void very_many_in_order(void **state)
{
    struct many_target target;
    unsigned n = rows_wanted();
    struct scene *s = begin_many(&target, n, 1);
    struct due_seen due = due_now(s, n);
    (void)state;
    are_due_as_before(s, &due, n);
    s->vault->now_ms += INT64_C(31) * 24 * 3600000;
    for (unsigned part = 1; part <= 4; part++) {
        until_seen(s, &target, n * part / 4);
        test_vault_reseal(s->vault);
    }
    until_none_accepts(s, &target);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(target.order[i], due.at[i].number);
    assert_int_equal(target.peak, 1);
    free(due.at);
    end(s);
    many_target_free(&target);
}

/* ---- waiting ---- */

static void next_look(struct scene *s, unsigned i, char out[64])
{
    char path[96];
    (void)snprintf(path, sizeof path, "rotation/secrets/secret/w%u", i);
    need(s, 200, "GET", path, NULL);
    text_at(s, "data.state.next_look", out, 64);
}

/* Of an account of its own that the target does not know. settings: members in front of the others. */
static void add_waiting(struct scene *s, unsigned i, const char *settings)
{
    char path[96], body[512];
    (void)snprintf(path, sizeof path, "secret/data/w%u", i);
    (void)snprintf(body, sizeof body, "{\"data\":{\"username\":\"w%u\",\"password\":\"p\"}}", i);
    need(s, 200, "POST", path, body);
    (void)snprintf(path, sizeof path, "rotation/secrets/secret/w%u", i);
    (void)snprintf(body, sizeof body,
                   "{%s\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":\"w%u\",\"period\":\"1m\"}",
                   settings, i);
    need(s, 204, "POST", path, body);
}

/* More rows than one pass opens wait, for a run and for a look: nothing is written of that. */
static void rows_stay(void **state)
{
    enum { ROWS = 300 };
    static char looks[ROWS][64];
    struct scene *s = begin(false);
    char look[64];
    (void)state;
    add_secret(s, 0, "pg", "");
    rotate_by_hand(s, 0);
    are_inside(s, 1);
    for (unsigned i = 0; i < ROWS; i++) {
        add_waiting(s, i, "\"verify_every\":\"30m\",");
        next_look(s, i, looks[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        s->vault->now_ms += 45000;
        looks_around(s);
    }
    for (unsigned i = 0; i < ROWS; i++) {
        next_look(s, i, look);
        assert_string_equal(look, looks[i]);
    }
    assert_int_equal(test_vault_rows(s->vault, TABLE_DUE), ROWS);
    assert_int_equal(test_vault_rows(s->vault, TABLE_LOOK), ROWS);
    assert_int_equal(runs_of(s, "\"trigger\":\"schedule\""), 0);
    end(s);
}

static atomic_uint opened; /* rows of an index of due times */
enum kt_kind __real_due_row_name(struct request *req, const struct entry *entry, const char **ret, struct kt_err *err);
enum kt_kind __wrap_due_row_name(struct request *req, const struct entry *entry, const char **ret, struct kt_err *err);
enum kt_kind __wrap_due_row_name(struct request *req, const struct entry *entry, const char **ret, struct kt_err *err)
{
    atomic_fetch_add(&opened, 1);
    return __real_due_row_name(req, entry, ret, err);
}

/* All wait behind the run of m0: each look opens the first of them, to judge whether it still does. */
static void one_is_opened(const char *of_m0, const char *of_them, unsigned max_runs, unsigned max_runs_then)
{
    enum { ROWS = 100, ROUNDS = 10 };
    const unsigned max_runs_of[] = {max_runs, max_runs_then};
    struct scene *s = begin(false);
    char body[64];
    unsigned looks = 0, before = 0;
    add_secret(s, 0, "pg", of_m0);
    rotate_by_hand(s, 0);
    are_inside(s, 1);
    for (unsigned i = 0; i < ROWS; i++)
        add_waiting(s, i, of_them);
    s->vault->now_ms += 90000;
    for (unsigned i = 0; i < 2 + ROUNDS; i++) {
        if (i == 2) { /* each of both was met once */
            before = atomic_load(&opened);
            looks = atomic_load(&sleeps);
        }
        (void)snprintf(body, sizeof body, "{\"max_runs\":%u}", max_runs_of[i % 2]);
        need(s, 204, "POST", "rotation/targets/pg", body);
        looks_around(s);
    }
    looks = atomic_load(&sleeps) - looks;
    before = atomic_load(&opened) - before;
    assert_in_range(before, ROUNDS, looks + ROWS / 2);
    assert_int_equal(test_vault_rows(s->vault, TABLE_DUE), ROWS);
    end(s);
}

static void opened_for_a_place(void **state)
{
    (void)state;
    one_is_opened("", "", 1, 1);
}

static void opened_for_an_account(void **state)
{
    (void)state;
    one_is_opened(",\"group\":\"g\"", "\"group\":\"g\",", 2, 2);
}

static void opened_for_one_that_goes_first(void **state)
{
    (void)state;
    one_is_opened("", "\"after\":\"secret/m0\",", 2, 2);
}

/* What holds them up is one thing in this look and another in the next. */
static void opened_for_either(void **state)
{
    (void)state;
    one_is_opened(",\"group\":\"g\"", "\"group\":\"g\",", 1, 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_unless_said),    cmocka_unit_test(as_many_as_said),
        cmocka_unit_test(none_while_consumers_get_both),
        cmocka_unit_test(in_all),             cmocka_unit_test(as_many_as_configured),
        cmocka_unit_test(bounds),             cmocka_unit_test(starts_at_a_target),
        cmocka_unit_test(starts_in_all),      cmocka_unit_test(after_a_restart),
        cmocka_unit_test(starts_before_a_restart), cmocka_unit_test(in_order),
        cmocka_unit_test(rows_stay),          cmocka_unit_test(opened_for_a_place),
        cmocka_unit_test(opened_for_an_account), cmocka_unit_test(opened_for_one_that_goes_first),
        cmocka_unit_test(opened_for_either),  cmocka_unit_test(looks_for_sessions),
        cmocka_unit_test(a_question_of_a_run_in_doubt),
        cmocka_unit_test(a_look_at_what_is_stored), cmocka_unit_test(a_check),
        cmocka_unit_test(very_many_at_once),  cmocka_unit_test(very_many_in_order),
    };
    kt_log_set_level(KT_LOG_ERROR);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("rotation_places", tests, NULL, NULL);
}
