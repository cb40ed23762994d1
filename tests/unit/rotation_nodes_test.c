/* A target of two servers: what each pair of their answers comes to, and whole runs in which the second one is
 * away, says no, forgets or is another one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/rotation_scene.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/job.h"
#include "vaultd/rotation/nodes.h"

/* ---- what a step came to ---- */

#define OK    DRIVER_OK
#define AWAY  DRIVER_UNREACH
#define ADMIN DRIVER_REFUSED
#define NO    DRIVER_PERMANENT
#define VALUE DRIVER_BAD_VALUE
#define OTHER DRIVER_WRONG_SERVER

static void classes(void **state)
{
    static const enum driver_class order[] = {OK, VALUE, NO, AWAY, ADMIN, OTHER};
    static const enum driver_class wanted[6][6] = {
        {OK, NO, NO, AWAY, ADMIN, OTHER},       {NO, VALUE, NO, AWAY, ADMIN, OTHER},
        {NO, NO, NO, AWAY, ADMIN, OTHER},       {AWAY, AWAY, AWAY, AWAY, ADMIN, OTHER},
        {ADMIN, ADMIN, ADMIN, ADMIN, ADMIN, OTHER}, {OTHER, OTHER, OTHER, OTHER, OTHER, OTHER},
    };
    (void)state;
    assert_int_equal(DRIVER_CLASS_COUNT, 6);
    for (size_t a = 0; a < 6; a++)
        for (size_t b = 0; b < 6; b++)
            assert_int_equal(nodes_class(order[a], order[b]), wanted[a][b]);
}

static bool unsent_of(const char *first, const char *other)
{
    const struct driver_step step = {.op = DRIVER_APPLY};
    struct target_node nodes[2] = {{.name = "a", .ran = true}, {.name = "b", .ran = true}};
    struct driver_result both;
    nodes[0].result.class = nodes[1].result.class = AWAY;
    (void)snprintf(nodes[0].result.code, sizeof nodes[0].result.code, "%s", first);
    (void)snprintf(nodes[1].result.code, sizeof nodes[1].result.code, "%s", other);
    nodes_combine(&step, (struct node_aim){.all = true}, nodes, 2, &both);
    return strcmp(both.code, DRIVER_UNSENT) == 0;
}

/* One that was really away makes the whole a try of the target. */
static void unsent(void **state)
{
    (void)state;
    assert_true(unsent_of(DRIVER_UNSENT, DRIVER_UNSENT));
    assert_false(unsent_of(DRIVER_UNSENT, "08006"));
    assert_false(unsent_of("08006", DRIVER_UNSENT));
    assert_false(unsent_of(DRIVER_UNSENT, ""));
}

/* ---- what a login came to ---- */

static const struct driver_reply accepted = {.answer = ANSWER_ACCEPTED}, refused = {.answer = ANSWER_REFUSED},
                                 barred = {.answer = ANSWER_UNKNOWN, .barred = true},
                                 unknown = {.answer = ANSWER_UNKNOWN},
                                 unasked = {.answer = ANSWER_ACCEPTED, .unasked = true};

static struct driver_reply both(const struct driver_reply *a, const struct driver_reply *b, enum driver_who who,
                                enum node_wish wish, bool new_everywhere)
{
    struct target_node nodes[2] = {{.name = "a"}, {.name = "b"}};
    nodes[0].result.replies[who] = *a;
    nodes[1].result.replies[who] = *b;
    return nodes_reply(nodes, 2, who, wish, new_everywhere);
}

/* A: accepted, R: refused, b: not known, but alive, ?: not known, O: accepted without being asked. */
static char letter(struct driver_reply reply)
{
    if (reply.answer == ANSWER_ACCEPTED)
        return reply.unasked ? 'O' : 'A';
    if (reply.answer == ANSWER_REFUSED)
        return 'R';
    assert_int_equal(reply.answer, ANSWER_UNKNOWN);
    return reply.barred ? 'b' : '?';
}

static void replies(void **state)
{
    static const struct driver_reply *const kinds[] = {&accepted, &refused, &barred, &unknown, &unasked};
    static const struct {
        enum driver_who who;
        enum node_wish wish;
        bool new_everywhere;
        const char *wanted[5]; /* by the first server's answer; by the second's within */
    } rows[] = {
        {DRIVER_NEW, WISH_EVERYWHERE, false, {"ARbbO", "RRR?O", "bRbbO", "b?b?O", "OOOOO"}},
        {DRIVER_NEW, WISH_NOWHERE, false, {"AAbbO", "ARA?O", "bAbbO", "b?b?O", "OOOOO"}},
        {DRIVER_OLD, WISH_EVERYWHERE, true, {"ARbbO", "RRR?O", "bRbbO", "b?b?O", "OOOOO"}},
        {DRIVER_OLD, WISH_NOWHERE, true, {"AAbbO", "ARA?O", "bAbbO", "b?b?O", "OOOOO"}},
        {DRIVER_OLD, WISH_BESIDE, true, {"ARbbO", "RRR?O", "bRbbO", "b?b?O", "OOOOO"}},
        {DRIVER_OLD, WISH_BESIDE, false, {"AAbbO", "ARA?O", "bAbbO", "b?b?O", "OOOOO"}},
        {DRIVER_ADMIN, WISH_EVERYWHERE, false, {"AR??O", "RRRRO", "?R??O", "?R??O", "OOOOO"}},
        {DRIVER_CONTROL, WISH_EVERYWHERE, false, {"AAAAO", "AR??O", "A???O", "A???O", "OOOOO"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t a = 0; a < 5; a++)
            for (size_t b = 0; b < 5; b++) {
                struct driver_reply got =
                    both(kinds[a], kinds[b], rows[i].who, rows[i].wish, rows[i].new_everywhere);
                if (letter(got) != rows[i].wanted[a][b])
                    fail_msg("row %zu, %zu and %zu: %c, wanted %c", i, a, b, letter(got), rows[i].wanted[a][b]);
                assert_int_equal(got.refused_by_one, kinds[a] == &refused || kinds[b] == &refused);
                bool same = a == b || (a % 4 == 0 && b % 4 == 0);
                assert_int_equal(got.mixed, !same);
            }
}

/* ---- texts and evidence ---- */

static struct target_node node(const char *name, enum driver_class class, const char *text)
{
    struct target_node node = {.name = name, .ran = true, .result = {.class = class, .took_ms = 7, .sessions = 2}};
    (void)snprintf(node.result.text, sizeof node.result.text, "%s", text);
    (void)snprintf(node.result.findings[0], sizeof node.result.findings[0], "it is old");
    return node;
}

static void who_said_it(void **state)
{
    const struct driver_step apply = {.op = DRIVER_APPLY};
    const struct node_aim aim = {.all = false};
    struct driver_result r;
    (void)state;
    struct target_node nodes[] = {node("db1:5432", OK, "the server has it"), node("db2:5432", AWAY, "no route"),
                                  node("db3:5432", NO, "permission denied"), node("db4:5432", OK, "never asked")};
    nodes[3].ran = false;
    nodes_combine(&apply, aim, nodes, 4, &r);
    assert_int_equal(r.class, AWAY);
    assert_string_equal(r.text, "db2:5432: no route; db3:5432: permission denied; done at db1:5432");
    assert_string_equal(r.findings[1], "db2:5432: it is old");
    assert_string_equal(r.findings[3], "");
    assert_int_equal(r.sessions, 6);
    assert_int_equal(r.took_ms, 21);
    nodes_combine(&apply, aim, nodes, 1, &r);
    assert_int_equal(r.class, OK);
    assert_string_equal(r.text, "each of 1 servers: the server has it");
}

/* Said by any of them, it is what stops a run before anything is changed. */
static void unfit_wins(void **state)
{
    const struct driver_step inspect = {.op = DRIVER_INSPECT};
    struct driver_result r;
    (void)state;
    struct target_node nodes[] = {node("a:1", NO, "permission denied"), node("b:1", NO, "it would forget"),
                                  node("c:1", AWAY, "no route")};
    memcpy(nodes[0].result.code, "42501", sizeof "42501");
    memcpy(nodes[1].result.code, DRIVER_UNFIT, sizeof DRIVER_UNFIT);
    for (size_t n = 2; n <= 3; n++) {
        nodes_combine(&inspect, (struct node_aim){.all = true}, nodes, n, &r);
        assert_int_equal(r.class, n == 2 ? NO : AWAY);
        assert_string_equal(r.code, DRIVER_UNFIT);
    }
    nodes_combine(&inspect, (struct node_aim){.all = true}, nodes, 1, &r);
    assert_string_equal(r.code, "42501");
}

/* Only what was asked has an answer, and what disagrees is told by name. */
static void who_accepts_it(void **state)
{
    struct driver_step probe = {.op = DRIVER_PROBE};
    struct driver_result r;
    (void)state;
    probe.logins[DRIVER_ADMIN].username = probe.logins[DRIVER_OLD].username = "x";
    struct target_node nodes[] = {node("a:1", OK, ""), node("b:1", OK, "")};
    for (size_t i = 0; i < 2; i++) {
        nodes[i].result.replies[DRIVER_ADMIN] = accepted;
        nodes[i].result.replies[DRIVER_NEW] = accepted; /* of a worker that lies */
        nodes[i].result.replies[DRIVER_OLD] = i == 0 ? accepted : refused;
    }
    nodes_combine(&probe, (struct node_aim){.old = WISH_EVERYWHERE}, nodes, 2, &r);
    assert_int_equal(r.replies[DRIVER_NEW].answer, ANSWER_NONE);
    assert_int_equal(r.replies[DRIVER_OLD].answer, ANSWER_REFUSED);
    assert_string_equal(r.text, "the stored one: accepted at a:1, refused at b:1");
    /* One account, two values, both accepted at one of them: that one lets anything in. */
    probe.logins[DRIVER_NEW].username = "x";
    nodes[1].result.replies[DRIVER_NEW] = refused;
    nodes_combine(&probe, (struct node_aim){.old = WISH_BESIDE, .one = true}, nodes, 2, &r);
    assert_int_equal(r.replies[DRIVER_CONTROL].answer, ANSWER_ACCEPTED);
    /* Two accounts, or one that takes two values: that is as it should be. */
    nodes_combine(&probe, (struct node_aim){.old = WISH_BESIDE, .one = false}, nodes, 2, &r);
    assert_int_equal(r.replies[DRIVER_CONTROL].answer, ANSWER_NONE);
}

/* ---- whole runs ---- */

struct pair {
    struct scene *s;
    struct sim second;
    struct rotation_executor at_one;
};

static enum kt_kind run_at(void *arg, const struct driver_step *step, struct driver_result *ret, struct kt_err *err)
{
    struct pair *pair = arg;
    bool second = strcmp(step->target.host, "/run/two") == 0;
    return pair->at_one.run(second ? &pair->second : &pair->s->sim, step, ret, err);
}

static struct pair *pair(const char *strategy)
{
    struct pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->s = scene(strategy);
    struct sim *two = &p->second;
    sim_init(two);
    two->vault = p->s->vault;
    two->secret = p->s->sim.secret;
    two->hashes = p->s->sim.hashes;
    SIM_SAY(two, server_id, "7000000000000000002");
    sim_add(two, "app_a", "first-password-of-a");
    if (alternates(p->s))
        sim_add(two, "app_b", NULL);
    p->at_one = p->s->executor;
    p->s->executor = (struct rotation_executor){.run = run_at, .arg = p};
    need(p->s, 204, "POST", "rotation/targets/pg", "{\"hosts\":\"/run/one:1,/run/two:1\"}");
    return p;
}

static void pair_end(struct pair *p)
{
    char locked_out[128];
    (void)snprintf(locked_out, sizeof locked_out, "%s", p->second.locked_out);
    scene_end(p->s);
    sim_free(&p->second);
    free(p);
    assert_string_equal(locked_out, "");
}

/* Nobody is ever given a value that one of the servers refuses; in-place that is so but for a moment. */
static void both_accept(struct pair *p)
{
    char user[64], password[128];
    (void)current(p->s, user, password);
    if (!revokes(p->s))
        return;
    assert_true(sim_accepts(&p->s->sim, user, password));
    assert_true(sim_accepts(&p->second, user, password));
}

static void watched(struct pair *p, const char *state)
{
    for (int i = 0; i < 4000 && !is_in(p->s, state); i++) {
        both_accept(p);
        (void)goes_by(p->s, 200);
        pause_ms(1);
    }
    until(p->s, state);
    both_accept(p);
    load_run(p->s);
}

static void done(struct pair *p)
{
    watched(p, "done");
    ends_done(p->s);
    char user[64], password[128];
    (void)current(p->s, user, password);
    assert_true(sim_accepts(&p->second, user, password));
    assert_false(sim_accepts(&p->second, "app_a", "first-password-of-a"));
}

static void back(struct pair *p)
{
    watched(p, "rolled_back");
    ends_back(p->s);
    assert_true(sim_accepts(&p->second, "app_a", "first-password-of-a"));
    if (alternates(p->s))
        assert_string_equal(sim_account(&p->second, "app_b")->verifier, "");
    assert_string_equal(sim_account(&p->second, "app_a")->also, "");
}

static void there_and_on(void **state)
{
    struct pair *p = pair(*state);
    rotate(p->s);
    done(p);
    need(p->s, 200, "GET", "rotation/targets/pg", NULL);
    says(p->s, "\"hosts\":[\"/run/one:1\",\"/run/two:1\"]");
    says(p->s, "\"server_id\":\"7000000000000000001\"");
    says(p->s, "{\"name\":\"/run/two:1\",\"server_id\":\"7000000000000000002\"}");
    pair_end(p);
}

/* ---- time ---- */

struct given {
    uint32_t ms[DRIVER_SERVERS_MAX];
    size_t n;
};

static enum kt_kind note_time(void *arg, const struct driver_step *step, struct driver_result *ret, struct kt_err *err)
{
    struct given *given = arg;
    (void)err;
    assert_true(given->n < DRIVER_SERVERS_MAX);
    given->ms[given->n++] = step->timeout_ms;
    *ret = (struct driver_result){.class = DRIVER_OK};
    return KT_OK;
}

static void give(struct scene *s, struct job_part *part, size_t n, struct given *ret)
{
    struct target_node *nodes = calloc(n, sizeof *nodes);
    assert_non_null(nodes);
    for (size_t at = 0; at < n; at++)
        nodes[at] = (struct target_node){.name = "a:1", .host = "a", .port = 1, .server_id = ""};
    part->step.op = DRIVER_PROBE;
    part->step.driver = "postgres";
    part->nodes = nodes;
    part->n_nodes = n;
    *ret = (struct given){.n = 0};
    s->executor = (struct rotation_executor){.run = note_time, .arg = ret};
    struct kt_arena arena;
    kt_arena_init(&arena, 65536);
    nodes_run(s->vault->core->rotation, part, &arena);
    kt_arena_free(&arena);
    free(nodes);
}

/* Each has enough, and no more than the step may take. */
static void shares(void **state)
{
    static const struct {
        size_t n;
        uint32_t connect_ms, statement_ms, timeout_ms, least_ms, first_most_ms;
    } rows[] = {
        {2, 5000, 10000, 70000, 40000, 55000},         /* but for what the second one needs */
        {8, 60000, 120000, 600000, 60000, 600000 / 8}, /* the seven others would need more than there is */
        {3, 60000, 120000, 90000, 20000, 90000 / 3},
    };
    struct scene *s = scene(*state);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct job_part *part = calloc(1, sizeof *part);
        assert_non_null(part);
        struct given given;
        part->step.timeout_ms = rows[i].timeout_ms;
        part->step.target.connect_timeout_ms = rows[i].connect_ms;
        part->step.target.statement_timeout_ms = rows[i].statement_ms;
        give(s, part, rows[i].n, &given);
        free(part);
        assert_int_equal(given.n, rows[i].n);
        assert_true(given.ms[0] <= rows[i].first_most_ms);
        for (size_t at = 0; at < given.n; at++)
            assert_in_range(given.ms[at], rows[i].least_ms, rows[i].timeout_ms);
    }
    scene_end(s);
}

/* ---- what goes wrong ---- */

/* What it is told of, and what it comes to. */
static void finds(struct pair *p, const char *text)
{
    soon_says(p->s, text);
}

/* Put back to a backup of the middle of the run, the server that took it accepts nothing else. */
static void stays_readable(struct pair *p)
{
    need(p->s, 200, "GET", "secret/data/db/orders?version=2", NULL);
}

static void away_at_apply(void **state)
{
    struct pair *p = pair(*state);
    SIM_SET(&p->second, slow, true);
    rotate(p->s);
    soon(p->s, "applying");
    SIM_SET(&p->second, down, true);
    sim_answer(&p->second);
    finds(p, "/run/two:1: connection refused; done at /run/one:1");
    char user[64], password[128];
    assert_int_equal(current(p->s, user, password), 1);
    SIM_SET(&p->second, down, false);
    done(p);
    pair_end(p);
}

static void says_no(void **state)
{
    struct pair *p = pair(*state);
    SIM_SET(&p->second, says_no, true);
    rotate(p->s);
    finds(p, "/run/two:1: permission denied; done at /run/one:1");
    SIM_SET(&p->second, says_no, false); /* in-place the old one is set again */
    back(p);
    stays_readable(p);
    pair_end(p);
}

/* The first server has it: it is gone back from, and not thrown away as one that nobody took. */
static void no_such_value(void **state)
{
    struct pair *p = pair(*state);
    SIM_SET(&p->second, bad_values, 1);
    rotate(p->s);
    back(p);
    stays_readable(p);
    load_run(p->s);
    says(p->s, "\"to\":2,");
    pair_end(p);
}

/* The same where the first server took it when it was asked before, and does not allow it again. */
static void took_it_before(void **state)
{
    struct pair *p = pair(*state);
    SIM_SET(&p->second, slow, true);
    rotate(p->s);
    soon(p->s, "applying");
    SIM_SET(&p->second, down, true);
    sim_answer(&p->second);
    finds(p, "/run/two:1: connection refused; done at /run/one:1");
    SIM_SET(&p->s->sim, bad_values, 1);
    SIM_SET(&p->second, down, false);
    back(p);
    stays_readable(p);
    load_run(p->s);
    says(p->s, "/run/one:1: the server does not accept the value");
    says(p->s, "\"to\":2,");
    pair_end(p);
}

static void loses_it(void **state)
{
    struct pair *p = pair(*state);
    register_agent(p->s, "h1");
    rotate(p->s);
    watched(p, "acking");
    sim_lose_last(&p->second);
    acknowledge(p->s, "h1", 2);
    until(p->s, "done");
    done(p);
    pair_end(p);
}

static void cannot_revoke(void **state)
{
    struct pair *p = pair(*state);
    SIM_SET(&p->second, no_revoke, true);
    rotate(p->s);
    watched(p, "frozen");
    says(p->s, "KT-R-024");
    says(p->s, "/run/two:1: permission denied; done at /run/one:1");
    SIM_SET(&p->second, no_revoke, false);
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/thaw", p->s->run);
    need(p->s, 200, "POST", path, "{}");
    done(p);
    pair_end(p);
}

static void old_survives(void **state)
{
    struct pair *p = pair(*state);
    SIM_SET(&p->second, old_survives, true);
    rotate(p->s);
    watched(p, "frozen");
    says(p->s, "KT-R-022");
    says(p->s, "the old one: refused at /run/one:1 (28P01), accepted at /run/two:1");
    need(p->s, 400, "POST", "secret/destroy/db/orders", "{\"versions\":[1]}");
    pair_end(p);
}

static void lets_anybody_in(void **state)
{
    struct pair *p = pair(*state);
    SIM_SET(&p->second, trust, true);
    rotate(p->s);
    until(p->s, "frozen");
    says(p->s, "KT-R-012");
    assert_int_equal(sim_ops(&p->s->sim, DRIVER_APPLY), 0);
    pair_end(p);
}

static void another_server(void **state)
{
    struct pair *p = pair(*state);
    rotate(p->s);
    done(p);
    SIM_SAY(&p->second, server_id, "7000000000000000003");
    rotate(p->s);
    until(p->s, "frozen");
    says(p->s, "KT-R-013");
    says(p->s, "/run/two:1: this is another server");
    need(p->s, 204, "POST", "rotation/targets/pg", "{\"server_id\":\"\"}");
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/thaw", p->s->run);
    need(p->s, 200, "POST", path, "{}");
    watched(p, "done");
    need(p->s, 200, "GET", "rotation/targets/pg", NULL);
    says(p->s, "7000000000000000003");
    pair_end(p);
}

/* Put back to an old password, or never told: drifted there, and mended there. */
static void drifted(void **state)
{
    struct pair *p = pair(*state);
    rotate(p->s);
    done(p);
    sim_lose_last(&p->second); /* the revocation: it accepts the old one, too; or, in-place, the old one alone */
    (void)pthread_mutex_lock(&p->second.lock);
    for (unsigned i = 0; i < p->second.n_accounts; i++)
        p->second.accounts[i].login = false;
    (void)pthread_mutex_unlock(&p->second.lock);
    rotate(p->s);
    until(p->s, "frozen");
    says(p->s, "KT-R-010");
    says(p->s, "the stored one: accepted at /run/one:1, refused at /run/two:1 (28P01)");
    cancel(p->s, 200);
    until(p->s, "cancelled");
    need(p->s, 200, "POST", "rotation/reconcile/" SECRET, "{}");
    text_at(p->s, "data.run", p->s->run, sizeof p->s->run);
    until(p->s, "done");
    char user[64], password[128];
    assert_int_equal(current(p->s, user, password), 2);
    assert_true(sim_accepts(&p->second, user, password));
    pair_end(p);
}

/* One that may not be looked into does not answer for the others: unused is what is seen unused twice. */
static void sessions_of_one(void **state)
{
    struct pair *p = pair(*state);
    change_rotation(p->s, "{\"drain\":3600}");
    SIM_SET(&p->s->sim, accounts[0].sessions, 3);
    SIM_SET(&p->second, slow, true);
    rotate(p->s);
    soon(p->s, "applying");
    SIM_SET(&p->second, unfit, true); /* says no to whoever looks */
    sim_answer(&p->second);
    SIM_SET(&p->second, slow, false);
    soon(p->s, "overlapping");
    struct sim *one = &p->s->sim;
    unsigned looks = sim_ops(one, DRIVER_INSPECT);
    for (int i = 0; i < PATIENCE && sim_ops(one, DRIVER_INSPECT) < looks + 3; i++) {
        p->s->vault->now_ms += i < 1000 ? 1000 : 0; /* much less than the drain */
        rotation_wake(p->s->vault->core->rotation);
        pause_ms(2);
    }
    soon_says(p->s, "3 sessions of app_a to end by themselves");
    (void)pthread_mutex_lock(&one->lock);
    looks = one->ops[DRIVER_INSPECT];
    one->accounts[0].sessions = 0;
    (void)pthread_mutex_unlock(&one->lock);
    done(p);
    assert_true(sim_ops(&p->s->sim, DRIVER_INSPECT) >= looks + 2);
    pair_end(p);
}

static void unfit_one(void **state)
{
    struct pair *p = pair(*state);
    SIM_SET(&p->s->sim, down, true); /* the other one is known to be unfit nevertheless */
    SIM_SET(&p->second, unfit, true);
    rotate(p->s);
    soon(p->s, "cancelled"); /* at its first look: nobody waits for the one that is away */
    says(p->s, "/run/two:1: it would forget what is changed");
    SIM_SET(&p->s->sim, down, false);
    assert_int_equal(sim_ops(&p->s->sim, DRIVER_APPLY), 0);
    pair_end(p);
}

#ifdef KT_FAULT
/* After the first server was changed, and after the second: the answer is lost. In a process of its own each. */
static void answers_lost(void **state)
{
    for (unsigned at = 1; at <= 4; at++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            char armed[64];
            (void)snprintf(armed, sizeof armed, "run_node_changed=error@%u", at);
            struct pair *p = pair(*state);
            (void)setenv("KEYTURN_FAILPOINTS", armed, 1);
            rotate(p->s);
            done(p);
            pair_end(p);
            _exit(0);
        }
        int status = 0;
        (void)waitpid(pid, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("%s, the %u. change: status %d", (const char *)*state, at, status);
    }
}
#endif

/* ---- writing such a target ---- */

static void refuses(struct scene *s, const char *body, const char *text)
{
    need(s, 400, "POST", "rotation/targets/pg", body);
    says(s, text);
}

static void written(void **state)
{
    struct pair *p = pair(*state);
    struct scene *s = p->s;
    refuses(s, "{\"hosts\":\"a,b,a:5432\"}", "hosts names a:5432 twice");
    refuses(s, "{\"hosts\":\"a,b:x\"}", "hosts, number 2: that is no server");
    refuses(s, "{\"hosts\":[\"a\",\"b c\"]}", "hosts, number 2: that is no server");
    refuses(s, "{\"hosts\":\"a,b,c,d,e,f,g,h,i\"}", "a target has 8 at most");
    refuses(s, "{\"hosts\":\"a,b\",\"host\":\"c\"}", "leave host out");
    refuses(s, "{\"host\":\"c\"}", "this target is several servers");
    refuses(s, "{\"port\":77}", "this target is several servers");
    refuses(s, "{\"server_id\":\"70\"}", "server_id can only be emptied");
    need(s, 204, "POST", "rotation/targets/pg", "{\"host\":\"/run/one\",\"port\":1,\"server_id\":\"\"}");
    need(s, 204, "POST", "rotation/targets/pg", "{\"hosts\":[\"[::1]:7\",\"::2\",\"db3\"],\"port\":9,"
                                              "\"sslmode\":\"verify-full\"}");
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"host\":\"::1\",\"port\":7,\"hosts\":[\"[::1]:7\",\"[::2]:9\",\"db3:9\"]");
    need(s, 204, "POST", "rotation/targets/pg", "{\"hosts\":\"\"}");
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"host\":\"::1\",\"port\":7,\"hosts\":[]");
    need(s, 204, "POST", "rotation/targets/pg", "{\"hosts\":\"db9\"}");
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"host\":\"db9\",\"port\":7,\"hosts\":[]");
    need(s, 400, "POST", "rotation/targets/k", "{\"driver\":\"ssh-key\",\"hosts\":\"a,b\",\"admin_username\":\"x\","
                                               "\"admin_password\":\"y\"}");
    says(s, "with driver ssh-key a target is one server");
    pair_end(p);
}

static void are(struct scene *s, const char *body, const char *servers)
{
    char wanted[512];
    need(s, 204, "POST", "rotation/targets/pg", body);
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    (void)snprintf(wanted, sizeof wanted, "\"servers\":[%s]", servers);
    says(s, wanted);
}

#define ONE          "7000000000000000001"
#define TWO          "7000000000000000002"
#define IS(name, id) "{\"name\":\"/run/" name "\",\"server_id\":\"" id "\"}"
#define THESE        IS("one:5433", ONE) "," IS("two:5433", TWO)

/* Who applies the same once more, or names servers as before, moves none and forgets of none who it is. */
static void written_again(void **state)
{
    struct pair *p = pair(*state);
    struct scene *s = p->s;
    are(s, "{\"hosts\":\"/run/one,/run/two\",\"port\":5433,\"server_id\":\"\"}",
        IS("one:5433", "") "," IS("two:5433", ""));
    rotate(s);
    until(s, "done");
    are(s, "{\"hosts\":\"/run/one,/run/two\",\"port\":5433}", THESE);
    are(s, "{\"hosts\":\"/run/one,/run/two\"}", THESE);
    are(s, "{\"hosts\":\"/run/two,/run/one\"}", IS("two:5433", TWO) "," IS("one:5433", ONE));
    are(s, "{\"hosts\":\"/run/one,/run/six,/run/two\"}",
        IS("one:5433", ONE) "," IS("six:5432", "") "," IS("two:5433", TWO));
    are(s, "{\"hosts\":\"/run/one:5433,/run/two\",\"port\":7}", IS("one:5433", ONE) "," IS("two:7", ""));
    are(s, "{\"hosts\":\"/run/one,/run/two\",\"port\":0}", IS("one:5432", "") "," IS("two:5432", ""));
    are(s, "{\"hosts\":\"/run/one:5,/run/one:6\"}", IS("one:5", "") "," IS("one:6", ""));
    refuses(s, "{\"hosts\":\"/run/one,/run/two\"}", "two of the servers are at /run/one: say the port");
    refuses(s, "{\"hosts\":\"/run/one\"}", "two of the servers are at /run/one: say the port");
    pair_end(p);
}

static void is_alone(struct scene *s, const char *body, const char *host, unsigned port, const char *id)
{
    char wanted[128];
    need(s, 204, "POST", "rotation/targets/pg", "{\"hosts\":\"/run/one:1,/run/two:2\",\"server_id\":\"\"}");
    rotate(s);
    until(s, "done");
    need(s, 204, "POST", "rotation/targets/pg", body);
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    (void)snprintf(wanted, sizeof wanted, "\"host\":\"%s\",\"port\":%u,\"hosts\":[]", host, port);
    says(s, wanted);
    (void)snprintf(wanted, sizeof wanted, "\"server_id\":\"%s\"", id);
    says(s, wanted);
}

/* Which of them it is now is known still; one that was none of them is asked. */
static void one_again(void **state)
{
    struct pair *p = pair(*state);
    is_alone(p->s, "{\"hosts\":\"/run/two:2\"}", "/run/two", 2, TWO);
    is_alone(p->s, "{\"hosts\":\"/run/two\"}", "/run/two", 2, TWO);
    is_alone(p->s, "{\"hosts\":\"\",\"host\":\"/run/two\"}", "/run/two", 2, TWO);
    is_alone(p->s, "{\"hosts\":\"\",\"host\":\"/run/two\",\"port\":3}", "/run/two", 3, "");
    is_alone(p->s, "{\"hosts\":\"\"}", "/run/one", 1, ONE);
    is_alone(p->s, "{\"hosts\":\"\",\"host\":\"/run/six\"}", "/run/six", 1, "");
    is_alone(p->s, "{\"hosts\":\"/run/two:2\",\"server_id\":\"\"}", "/run/two", 2, "");
    pair_end(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes), cmocka_unit_test(unsent),
        cmocka_unit_test(replies),
        cmocka_unit_test(who_said_it),
        cmocka_unit_test(unfit_wins),
        cmocka_unit_test(who_accepts_it),
        ALTERNATE(shares),
        EACH(there_and_on),
        EACH(away_at_apply),
        EACH(says_no),
        EACH(no_such_value),
        BOTH(took_it_before),
        ALTERNATE(loses_it),
        OVERLAP(loses_it),
        ALTERNATE(cannot_revoke),
        OVERLAP(cannot_revoke),
        ALTERNATE(old_survives),
        OVERLAP(old_survives),
        BOTH(lets_anybody_in),
        ALTERNATE(another_server),
        BOTH(drifted),
        ALTERNATE(sessions_of_one),
        IN_PLACE(unfit_one),
#ifdef KT_FAULT
        EACH(answers_lost),
#endif
        ALTERNATE(written),
        ALTERNATE(written_again),
        OVERLAP(one_again),
    };
    return cmocka_run_group_tests_name("rotation_nodes", tests, NULL, NULL);
}
