/* Secrets that rotate as one: none ends its old credential before all could, and all go back where one does. First the
 * rule in every order of what can happen to two runs, then whole runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/meanwhile.h"
#include "tests/support/rotation_scene.h"
#include "vaultd/rotation/together.h"

/* ---- the rule ---- */

#define WORLDS_MAX 200000u
#define FAULTS_MAX 3
#define ENDS_WITHIN 100

struct side {
    struct machine m;
    bool ready;
};
struct world {
    struct side sides[2];
    uint8_t faults;
};
struct model {
    struct world *worlds;
    size_t n;
    bool unbound; /* the rule taken away: whoever is ready goes */
    bool given;   /* the targets make the values, and may forget them */
    bool dead;    /* the first's old one is dead and meant to be; the vault may lack a version that a step needs */
    const char *broken;
    unsigned done, back;
};

static bool same(const struct world *a, const struct world *b)
{
    for (int i = 0; i < 2; i++) {
        const struct machine *x = &a->sides[i].m, *y = &b->sides[i].m;
        if (x->state != y->state || x->back != y->back || x->past != y->past || x->bound != y->bound ||
            x->promoted != y->promoted || x->open != y->open || x->doubt != y->doubt || x->intent != y->intent ||
            x->fresh != y->fresh || x->frozen != y->frozen || a->sides[i].ready != b->sides[i].ready ||
            x->frozen_in != y->frozen_in || x->revoked_again != y->revoked_again ||
            x->applied_again != y->applied_again || x->both_dead != y->both_dead || x->restored != y->restored ||
            x->refused_back != y->refused_back || x->said_no != y->said_no || x->values != y->values ||
            x->alone != y->alone)
            return false;
    }
    return a->faults == b->faults;
}

static bool went_back(const struct machine *m)
{
    return m->state == RUN_ROLLING_BACK || m->state == RUN_ROLLED_BACK ||
           (m->state == RUN_CANCELLED && !machine_gave_up(m));
}

/* What it would go back to was deleted at the target, which makes the values, or is meant to be dead: it goes ahead
 * whatever the other does. */
static bool has_no_way_back(const struct machine *m)
{
    return (m->given && m->alone) || m->old_dead;
}

static void reach(struct model *model, struct world w)
{
    for (int i = 0; i < 2; i++)
        w.sides[i].ready = w.sides[i].ready && w.sides[i].m.state == RUN_OVERLAPPING && !w.sides[i].m.doubt;
    for (size_t i = 0; i < model->n; i++)
        if (same(&model->worlds[i], &w))
            return;
    assert_true(model->n < WORLDS_MAX);
    model->worlds[model->n++] = w;
    for (int i = 0; i < 2; i++) {
        const struct machine *one = &w.sides[i].m, *other = &w.sides[1 - i].m;
        if ((one->past || one->state == RUN_DONE) && !has_no_way_back(one) && went_back(other))
            model->broken = "one is past the point of no return, and the other goes back";
        if (one->frozen == FROZEN_BOTH_DEAD && !one->old_dead)
            model->broken = "the old one lives, and both are said to be dead";
    }
    model->done += w.sides[0].m.state == RUN_DONE && w.sides[1].m.state == RUN_DONE;
    model->back += went_back(&w.sides[0].m) && went_back(&w.sides[1].m);
}

static void event(struct model *model, const struct world *from, int i, enum run_event event, bool fault)
{
    struct world w = *from;
    unsigned fx = 0;
    if (fault && w.faults++ == FAULTS_MAX)
        return;
    if (machine_event(&w.sides[i].m, event, &fx))
        reach(model, w);
}

enum forgets { NOTHING, THE_NEW, THE_OLD };

static void answers(struct model *model, const struct world *from, int i, enum forgets forgot)
{
    struct world w = *from;
    const struct machine *m = &w.sides[i].m;
    unsigned fx = 0;
    bool new_ok = forgot != THE_NEW && (m->state != RUN_ROLLING_BACK || m->back != BACK_CONFIRM_OLD);
    bool old_ok = forgot != THE_OLD && m->state != RUN_CONFIRMING && !has_no_way_back(m);
    if (forgot != NOTHING && w.faults++ == FAULTS_MAX)
        return;
    machine_answers(&w.sides[i].m, new_ok, old_ok, &fx);
    reach(model, w);
}

/* Its consumers have the new one, or nobody waits for them any more. */
static bool is_as_far(const struct side *side)
{
    const struct machine *m = &side->m;
    enum run_state state = m->state == RUN_FROZEN ? m->frozen_in : m->state;
    return m->bound || state == RUN_REVOKING || state == RUN_CONFIRMING || state == RUN_DONE ||
           state == RUN_OVERLAPPING || machine_gave_up(m);
}

static void bind(struct world *w)
{
    for (int i = 0; i < 2; i++)
        w->sides[i].m.bound = w->sides[i].m.bound || !run_state_ended(w->sides[i].m.state);
}

/* What together_hold() does. */
static void hold(struct model *model, const struct world *from, int i)
{
    struct world w = *from;
    const struct mate mate = {.machine = &from->sides[1 - i].m, .ready = from->sides[1 - i].ready};
    size_t who = 0;
    if (machine_only_ahead(&w.sides[i].m) || model->unbound) {
        event(model, from, i, EV_OK, false);
        return;
    }
    switch (together_judge(&mate, 1, &who)) {
    case TOGETHER_GO:
        if (w.sides[1 - i].m.doubt && !machine_only_ahead(&w.sides[1 - i].m))
            model->broken = "bound while the target is asked about a consumer's trouble";
        if (!is_as_far(&w.sides[1 - i]))
            model->broken = "one ends its old one, and the other's consumers have nothing yet";
        bind(&w);
        reach(model, w);
        break;
    case TOGETHER_WAIT:
        w.sides[i].ready = true;
        reach(model, w);
        break;
    case TOGETHER_BACK:
        break;
    }
}

static void lacks_a_version(struct model *model, const struct world *from, int i)
{
    struct world w = *from;
    unsigned fx = 0;
    if (w.faults++ == FAULTS_MAX || !machine_ends_old(&w.sides[i].m))
        return;
    machine_freeze(&w.sides[i].m, FROZEN_STORE, &fx);
    reach(model, w);
}

static void explore(struct model *model, const struct world *w, int i)
{
    const struct machine *m = &w->sides[i].m;
    const struct mate mate = {.machine = &w->sides[1 - i].m, .ready = w->sides[1 - i].ready};
    size_t who = 0;
    if (machine_can_go_back(m) && m->state != RUN_FROZEN && together_judge(&mate, 1, &who) == TOGETHER_BACK)
        event(model, w, i, EV_CANCEL, false);
    switch (machine_want(m)) {
    case WANT_NOTHING:
        return;
    case WANT_PERSON:
        event(model, w, i, EV_THAW, true);
        break;
    case WANT_PROBE:
    case WANT_VERIFY:
        answers(model, w, i, NOTHING);
        if (model->given && m->state != RUN_ROLLING_BACK) {
            answers(model, w, i, THE_NEW);
            answers(model, w, i, THE_OLD);
        }
        event(model, w, i, EV_ADMIN, true);
        break;
    case WANT_OVERLAP:
        hold(model, w, i);
        event(model, w, i, EV_LATE, true);
        event(model, w, i, EV_UNHEALTHY, true);
        break;
    case WANT_ACKS:
        event(model, w, i, EV_OK, false);
        event(model, w, i, EV_SILENT, true);
        break;
    case WANT_COMMIT:
        if (m->state == RUN_GENERATED)
            event(model, w, i, EV_SILENT, true);
        event(model, w, i, EV_OK, false);
        break;
    case WANT_PREFLIGHT:
    case WANT_APPLY:
    case WANT_RESTORE:
    case WANT_REVOKE:
    case WANT_REVOKE_NEW:
    case WANT_RETURN:
        event(model, w, i, EV_OK, false);
        break;
    case WANT_ASK_OLD:
        event(model, w, i, EV_OK, false);
        answers(model, w, i, NOTHING);
        answers(model, w, i, THE_OLD);
        break;
    }
    event(model, w, i, EV_CANCEL, true);
    if (model->dead)
        lacks_a_version(model, w, i);
    if (m->fresh || m->doubt) { /* a restart */
        struct world after = *w;
        machine_resumed(&after.sides[i].m);
        if (after.faults++ < FAULTS_MAX)
            reach(model, after);
    }
}

/* The next step of one whose consumers never say a word and to which nothing else happens. bound_wait: what cannot
 * go back waits for them, too. */
static void goes_on(struct world *w, int i, bool bound_wait)
{
    struct side *side = &w->sides[i];
    struct machine *m = &side->m;
    const struct mate mate = {.machine = &w->sides[1 - i].m, .ready = w->sides[1 - i].ready};
    size_t who = 0;
    unsigned fx = 0;
    enum run_event event = EV_OK;
    enum machine_want want = machine_want(m);
    if (machine_can_go_back(m) && m->state != RUN_FROZEN && together_judge(&mate, 1, &who) == TOGETHER_BACK) {
        event = EV_CANCEL;
    } else if (want == WANT_NOTHING || want == WANT_PERSON) {
        return;
    } else if (want == WANT_PROBE || want == WANT_VERIFY || want == WANT_ASK_OLD) {
        machine_answers(m, m->state != RUN_ROLLING_BACK || m->back != BACK_CONFIRM_OLD,
                        m->state != RUN_CONFIRMING && !has_no_way_back(m), &fx);
        return;
    } else if (want == WANT_ACKS && machine_can_go_back(m)) {
        event = EV_SILENT;
    } else if (want == WANT_ACKS && bound_wait) {
        return;
    } else if (want == WANT_OVERLAP && !machine_only_ahead(m)) {
        side->ready = true;
        if (together_judge(&mate, 1, &who) == TOGETHER_GO)
            bind(w);
        return;
    }
    (void)machine_event(m, event, &fx);
    side->ready = side->ready && m->state == RUN_OVERLAPPING;
}

/* Both are over, or one is a person's matter. */
static bool comes_to_an_end(struct world w, bool bound_wait)
{
    for (int step = 0; step < ENDS_WITHIN; step++) {
        enum run_state first = w.sides[0].m.state, other = w.sides[1].m.state;
        if ((run_state_ended(first) && run_state_ended(other)) || first == RUN_FROZEN || other == RUN_FROZEN)
            return true;
        for (int i = 0; i < 2; i++)
            goes_on(&w, i, bound_wait);
    }
    return false;
}

static bool all_end(const struct model *model, bool bound_wait)
{
    for (size_t at = 0; at < model->n; at++)
        if (!comes_to_an_end(model->worlds[at], bound_wait))
            return false;
    return true;
}

static void model_run(struct model *model, struct model of)
{
    const struct side side = {.m = {.strategy = STRATEGY_ALTERNATE, .given = of.given}};
    struct world first = {.sides = {side, side}};
    first.sides[0].m.old_dead = of.dead;
    *model = of;
    model->worlds = calloc(WORLDS_MAX, sizeof *model->worlds);
    assert_non_null(model->worlds);
    reach(model, first);
    for (size_t at = 0; at < model->n && model->broken == NULL; at++)
        for (int i = 0; i < 2; i++) {
            struct world w = model->worlds[at];
            explore(model, &w, i);
        }
}

static char the_targets_make_them[] = "given", one_is_dead[] = "dead";

static void the_rule_holds(void **state)
{
    struct model of = {.given = *state == the_targets_make_them, .dead = *state == one_is_dead};
    struct model model;
    model_run(&model, of);
    if (model.broken != NULL)
        fail_msg("%s", model.broken);
    print_message("%zu worlds, both done in %u, both back in %u\n", model.n, model.done, model.back);
    assert_true(model.done > 0 && (model.back > 0 || of.dead));
    assert_true(all_end(&model, false)); /* whoever is silent */
    assert_false(all_end(&model, true));
    free(model.worlds);
    of.unbound = true;
    model_run(&model, of);
    assert_non_null(model.broken);
    free(model.worlds);
}

/* ---- whole runs ---- */

#define OTHER  "secret/db/second"
#define FIRST  "first-password-of-c"

static struct scene *two(const char *strategy)
{
    struct scene *s = scene(strategy);
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_add(&s->sim, "app_c", FIRST);
    (void)pthread_mutex_unlock(&s->sim.lock);
    need(s, 200, "POST", "secret/data/db/second",
         "{\"data\":{\"username\":\"app_c\",\"password\":\"" FIRST "\"}}");
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"target\":\"pg\",\"strategy\":\"%s\",\"allow_gap\":true,\"accounts\":[\"app_c\"],\"overlap\":2,\"soak\":1,"
                   "\"max_overlap\":600,\"ack_timeout\":7200}",
                   strcmp(strategy, "overlap") == 0 ? "overlap" : "in-place");
    need(s, 204, "POST", "rotation/secrets/" OTHER, body);
    /* Time that passes for one of the two passes for the other, too. */
    change_rotation(s, "{\"together\":[\"" OTHER "\"],\"ack_timeout\":7200}");
    return s;
}

/* Both runs, by whichever was started: s->run is the first's. */
static void rotate_both(struct scene *s, const char *by, char other[64])
{
    char path[128], mine[64];
    (void)snprintf(path, sizeof path, "rotation/rotate/%s", by);
    need(s, 200, "POST", path, "{}");
    text_at(s, "data.run", mine, sizeof mine);
    says(s, "\"together\":[{\"run\":\"");
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    text_at(s, "data.state.last_run", s->run, sizeof s->run);
    need(s, 200, "GET", "rotation/secrets/" OTHER, NULL);
    text_at(s, "data.state.last_run", other, 64);
    assert_string_not_equal(s->run, "");
    assert_string_not_equal(other, "");
    assert_string_equal(mine, strcmp(by, SECRET) == 0 ? s->run : other);
}

static void look_at(struct scene *s, const char *run)
{
    if (run != s->run)
        (void)snprintf(s->run, sizeof s->run, "%s", run);
}

/* Lets the vault's time pass until the run says it. */
static void until_says(struct scene *s, const char *text)
{
    for (int i = 0; i < PATIENCE; i++) {
        load_run(s);
        if (test_vault_said(s->vault, text))
            return;
        (void)goes_by(s, 500);
        pause_ms(1);
    }
    says(s, text);
}

/* So often that whatever would happen by itself did. */
static void a_while(struct scene *s)
{
    for (int i = 0; i < 20; i++) {
        s->vault->now_ms += 1000;
        rotation_wake(s->vault->core->rotation);
        need(s, 200, "POST", "rotation/targets/pg/check", "{}");
    }
}

static bool other_works(struct scene *s, const char *password)
{
    return sim_accepts(&s->sim, "app_c", password);
}

/* What an agent says of the other secret. */
static void says_of_other(struct scene *s, unsigned version, const char *state)
{
    char path[128], body[128];
    (void)snprintf(path, sizeof path, "secret/data/db/second?version=%u", version);
    assert_int_equal(as_agent(s, "GET", path, NULL), 200);
    (void)snprintf(body, sizeof body, "{\"service\":\"orders\",\"version\":%u,\"state\":\"%s\",\"detail\":\"d\"}",
                   version, state);
    s->vault->now_ms += 1;
    assert_int_equal(as_agent(s, "POST", "fleet/consumers/h2/" OTHER, body), 200);
}

static void forward(void **state)
{
    struct scene *s = two(*state);
    char first[64], other[64];
    register_agent(s, "h1");
    rotate_both(s, OTHER, other);
    memcpy(first, s->run, sizeof first);
    soon(s, "acking");
    /* The other is ready, and waits, whatever happens to the vault. */
    look_at(s, other);
    until(s, "overlapping");
    for (int i = 0; i < 20; i++) {
        s->vault->now_ms += 1000;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    soon_says(s, "\"waits_for\":\"" SECRET ", which rotates together with it, to come as far (it is acking)");
    test_vault_reseal(s->vault);
    assert_true(is_in(s, "overlapping"));
    look_at(s, first);
    acknowledge(s, "h1", 2);
    ends_done(s);
    says(s, "as one with the runs ");
    says(s, "from here on none goes back");
    look_at(s, other);
    until(s, "done");
    assert_false(other_works(s, FIRST));
    scene_end(s);
}

/* The one whose consumer is not well takes the other with it. */
static void both_back(void **state)
{
    struct scene *s = two(*state);
    char first[64], other[64];
    register_agent(s, "h1");
    rotate_both(s, SECRET, other);
    memcpy(first, s->run, sizeof first);
    soon(s, "acking");
    look_at(s, other);
    until(s, "overlapping");
    look_at(s, first);
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    soon(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    look_at(s, other);
    until(s, "rolled_back");
    says(s, SECRET ", which rotates together with it, went back: ");
    assert_true(other_works(s, FIRST));
    look_at(s, first);
    ends_back(s);
    scene_end(s);
}

/* The report of one that went back with another says so: nobody asked it to. It failed as the other did. */
static void whose_fault_it_was(void **state)
{
    struct scene *s = two(*state);
    char first[64], other[64], path[128];
    register_agent(s, "h1");
    rotate_both(s, SECRET, other);
    memcpy(first, s->run, sizeof first);
    soon(s, "acking");
    look_at(s, other);
    until(s, "overlapping");
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    look_at(s, first);
    soon(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    look_at(s, other);
    until(s, "rolled_back");
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", other);
    need(s, 200, "GET", path, NULL);
    says(s, "one that rotates together with it went back");
    says(s, "secretctl run why " SECRET " ");
    assert_false(test_vault_said(s->vault, "somebody asked to go back"));
    assert_false(test_vault_said(s->vault, "it went back by itself"));
    need(s, 200, "GET", "rotation/secrets/" OTHER, NULL);
    says(s, "\"failures\":1");
    look_at(s, first);
    ends_back(s);
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"failures\":1"); /* the first's */
    scene_end(s);
}

/* By hand one of them is asked to go back; restarted between the two. */
static void cancelled(void **state)
{
    struct scene *s = two(*state);
    char first[64], other[64];
    register_agent(s, "h1");
    rotate_both(s, SECRET, other);
    memcpy(first, s->run, sizeof first);
    soon(s, "acking");
    look_at(s, other);
    until(s, "overlapping");
    cancel(s, 200);
    test_vault_reseal(s->vault);
    until(s, "rolled_back");
    assert_true(other_works(s, FIRST));
    look_at(s, first);
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    ends_back(s);
    scene_end(s);
}

/* Once all are bound none goes back, though nothing was ended yet. */
static void too_late(void **state)
{
    struct scene *s = two(*state);
    char other[64];
    rotate_both(s, SECRET, other);
    until(s, "overlapping"); /* neither leaves that before the other comes */
    look_at(s, other);
    until(s, "overlapping");
    SIM_SET(&s->sim, down, true);
    until_says(s, "from here on none goes back");
    cancel(s, 400);
    says(s, "KT-R-008");
    SIM_SET(&s->sim, down, false);
    until(s, "done");
    scene_end(s);
}

/* It binds all: two runs with a step each. What waits writes its own record alone. */
static bool binds(const struct request *req)
{
    const char *end = req->path == NULL ? NULL : strrchr(req->path, '/');
    return end != NULL && strcmp(end, "/step") == 0 && req->batch != NULL && batch_ops(req->batch) >= 4;
}

/* One is asked to go back while the other is about to bind both: it looks again, and both go back. */
static void a_cancel_meets_the_binding(void **state)
{
    struct scene *s = two(*state);
    char first[64], other[64], path[128];
    rotate_both(s, SECRET, other);
    until(s, "overlapping");
    (void)snprintf(path, sizeof path, "rotation/runs/%s/cancel", s->run);
    memcpy(first, s->run, sizeof first);
    look_at(s, other);
    until(s, "overlapping");
    look_at(s, first);
    const struct visit visits[] = {{"POST", path, NULL, "{\"reason\":\"x\"}", 200, 0}, {0}};
    meanwhile(s->vault, visits, binds);
    until(s, "rolled_back");
    assert_true(meanwhile_over());
    assert_false(test_vault_said(s->vault, "from here on none goes back"));
    look_at(s, other);
    until(s, "rolled_back");
    assert_true(other_works(s, FIRST));
    scene_end(s);
}

/* A consumer of the other says that it is not well while both are about to be bound: they are not. */
static void a_sick_consumer_meets_the_binding(void **state)
{
    static const char place[] = "fleet/consumers/h2/" OTHER;
    struct scene *s = two(*state);
    char first[64], other[64];
    assert_int_equal(as_agent(s, "GET", "secret/data/db/second?version=1", NULL), 200);
    assert_int_equal(as_agent(s, "POST", place, "{\"service\":\"x\",\"version\":1,\"state\":\"registered\"}"), 200);
    assert_int_equal(as_agent(s, "POST", place, "{\"service\":\"x\",\"version\":1,\"state\":\"healthy\"}"), 200);
    rotate_both(s, SECRET, other);
    until(s, "overlapping");
    memcpy(first, s->run, sizeof first);
    look_at(s, other);
    soon(s, "acking");
    const struct visit visits[] = {
        {"POST", place, s->agent, "{\"service\":\"x\",\"version\":2,\"state\":\"unhealthy\"}", 200, 0}, {0}};
    meanwhile(s->vault, visits, binds);
    assert_int_equal(as_agent(s, "GET", "secret/data/db/second?version=2", NULL), 200);
    assert_int_equal(as_agent(s, "POST", place, "{\"service\":\"x\",\"version\":2,\"state\":\"healthy\"}"), 200);
    until(s, "rolling_back");
    assert_true(meanwhile_over());
    assert_int_equal(as_agent(s, "POST", place, "{\"service\":\"x\",\"version\":1,\"state\":\"healthy\"}"), 200);
    until(s, "rolled_back");
    assert_false(test_vault_said(s->vault, "from here on none goes back"));
    look_at(s, first);
    until(s, "rolled_back");
    assert_true(other_works(s, FIRST));
    scene_end(s);
}

static const struct word {
    const char *name, *settings;
    bool sick;  /* and it says afterwards that it is not well with the new one */
    bool holds; /* a person has to come */
} words[] = {
    {"silent", "{\"ack_timeout\":300}", false, false},
    {"silent, without a time for it", "{\"ack_timeout\":0}", false, false},
    {"not well", "{\"ack_timeout\":300}", true, false},
    {"silent, held", "{\"ack_timeout\":300,\"on_ack_timeout\":\"hold\"}", false, true},
    {"silent, held if not well", "{\"ack_timeout\":300,\"on_unhealthy\":\"hold\"}", false, false},
    {"not well, held", "{\"ack_timeout\":300,\"on_unhealthy\":\"hold\"}", true, true},
};

static struct {
    char run[64];
    bool bound;
} bound_run;

/* Its first step after all were bound. */
static bool goes_on_bound(const struct request *req)
{
    const char *end = req->path == NULL ? NULL : strrchr(req->path, '/');
    if (end == NULL || strcmp(end, "/step") != 0)
        return false;
    if (!bound_run.bound) {
        bound_run.bound = binds(req);
        return false;
    }
    return strstr(req->path, bound_run.run) != NULL;
}

/* A service starts with the old version again, and may not be well with the new one, just after all were bound: nobody
 * goes back for it, and it is waited for until max_overlap is over, not for ever. */
static void bound_and_then(const struct word *word)
{
    struct scene *s = two(scene_alternate);
    char first[64], other[64];
    const struct visit visits[] = {{"POST", "fleet/consumers/h2/" OTHER, s->agent,
                                     "{\"service\":\"orders\",\"version\":1,\"state\":\"healthy\",\"detail\":\"d\"}", 200, 0}, {0}};
    need(s, 204, "POST", "rotation/secrets/" OTHER, word->settings);
    says_of_other(s, 1, "registered");
    says_of_other(s, 1, "healthy");
    int64_t begun_ms = s->vault->now_ms;
    rotate_both(s, SECRET, other);
    memcpy(first, s->run, sizeof first);
    look_at(s, other);
    soon(s, "acking");
    look_at(s, first);
    until_says(s, "\"waits_for\":\"" OTHER ", which rotates together with it");
    says_of_other(s, 2, "healthy");
    look_at(s, other);
    soon(s, "overlapping"); /* and no time passes */
    bound_run.bound = false;
    (void)snprintf(bound_run.run, sizeof bound_run.run, "%s", other);
    meanwhile(s->vault, visits, goes_on_bound);
    look_at(s, first);
    until(s, "done");
    assert_true(meanwhile_over());
    look_at(s, other);
    until_says(s, "\"waits_for\":\"consumers 0/1");
    says(s, "from here on none goes back");
    if (word->sick)
        says_of_other(s, 2, "unhealthy");
    s->vault->now_ms = begun_ms + (int64_t)560 * 1000;
    a_while(s);
    assert_true(is_in(s, "acking"));
    if (word->holds) {
        s->vault->now_ms += (int64_t)3600 * 1000;
        a_while(s);
        assert_true(is_in(s, "acking"));
        need(s, 204, "DELETE", "fleet/consumers/h2/" OTHER, NULL);
    }
    until(s, "done");
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    if (test_vault_said(s->vault, "consumers had not acknowledged the new version when max_overlap ended") == word->holds)
        fail_msg("%s: %.3000s", word->name, s->vault->body);
    assert_false(other_works(s, FIRST));
    scene_end(s);
}

/* The target lost the new one after all were bound. It is set again; that the login with it is not what it should be
 * sends nobody back any more, and is no reason to try for ever. */
static void bound_and_misplaced(void **state)
{
    struct scene *s = two(*state);
    char first[64], other[64];
    const struct visit visits[] = {{"POST", "fleet/consumers/h2/" OTHER, s->agent,
                                     "{\"service\":\"orders\",\"version\":1,\"state\":\"healthy\",\"detail\":\"d\"}", 200, 0}, {0}};
    says_of_other(s, 1, "registered");
    says_of_other(s, 1, "healthy");
    rotate_both(s, SECRET, other);
    memcpy(first, s->run, sizeof first);
    look_at(s, other);
    soon(s, "acking");
    look_at(s, first);
    until_says(s, "\"waits_for\":\"" OTHER ", which rotates together with it");
    says_of_other(s, 2, "healthy");
    look_at(s, other);
    soon(s, "overlapping"); /* and no time passes */
    bound_run.bound = false;
    (void)snprintf(bound_run.run, sizeof bound_run.run, "%s", other);
    meanwhile(s->vault, visits, goes_on_bound);
    look_at(s, first);
    until(s, "done");
    assert_true(meanwhile_over());
    look_at(s, other);
    until_says(s, "\"waits_for\":\"consumers 0/1");
    says(s, "from here on none goes back");
    unsigned applied = sim_ops(&s->sim, DRIVER_APPLY);
    (void)pthread_mutex_lock(&s->sim.lock);
    struct sim_account *account = sim_account(&s->sim, "app_c");
    assert_string_not_equal(account->also, "");
    memcpy(account->verifier, account->also, sizeof account->verifier);
    account->also[0] = '\0';
    s->sim.misplaced = true;
    (void)pthread_mutex_unlock(&s->sim.lock);
    says_of_other(s, 2, "unhealthy");
    for (int i = 0; i < PATIENCE && sim_ops(&s->sim, DRIVER_APPLY) == applied; i++) {
        (void)goes_by(s, 500);
        pause_ms(1);
    }
    until(s, "acking");
    says_of_other(s, 2, "healthy");
    until(s, "done");
    assert_false(other_works(s, FIRST));
    scene_end(s);
}

static void nobody_waits_without_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        bound_and_then(&words[i]);
}

/* One that cannot even begin. */
static void one_cannot(void **state)
{
    struct scene *s = two(*state);
    char other[64];
    SIM_SET(&s->sim, unfit, true);
    rotate_both(s, SECRET, other);
    until(s, "cancelled");
    look_at(s, other);
    until(s, "cancelled");
    current_is(s, 1, "app_a");
    assert_true(other_works(s, FIRST));
    SIM_SET(&s->sim, unfit, false);
    /* Under a run of one alone none of them starts. */
    need(s, 200, "POST", "rotation/reconcile/" OTHER, "{}");
    unsigned status = test_vault_call(s->vault, "POST", "rotation/rotate/" SECRET, s->vault->root, "{}");
    if (status != 200) { /* else it was over already */
        assert_int_equal(status, 400);
        says(s, "which rotates together with");
    }
    scene_end(s);
}

/* The time of one is that of all; and back again, as one. */
static void scheduled_and_back(void **state)
{
    struct scene *s = two(*state);
    char first[64] = "", other[64] = "";
    need(s, 204, "POST", "rotation/secrets/" OTHER, "{\"cron\":\"0 * * * *\"}");
    s->vault->now_ms += (int64_t)3600 * 1000;
    for (int i = 0; i < PATIENCE && (first[0] == '\0' || other[0] == '\0'); i++) {
        rotation_wake(s->vault->core->rotation);
        need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
        text_at(s, "data.state.last_run", first, sizeof first);
        need(s, 200, "GET", "rotation/secrets/" OTHER, NULL);
        text_at(s, "data.state.last_run", other, sizeof other);
        pause_ms(1);
    }
    look_at(s, first);
    ends_done(s);
    look_at(s, other);
    until(s, "done");
    need(s, 204, "POST", "rotation/secrets/" OTHER, "{\"cron\":\"\"}");
    need(s, 200, "POST", "rotation/rotate/" SECRET, "{\"back\":true}");
    text_at(s, "data.run", s->run, sizeof s->run);
    until(s, "done");
    current_is(s, 3, "app_a");
    need(s, 200, "GET", "rotation/secrets/" OTHER, NULL);
    text_at(s, "data.state.last_run", s->run, sizeof s->run);
    until(s, "done");
    assert_true(other_works(s, FIRST));
    scene_end(s);
}

/* ---- a member's trouble ---- */

/* A member at whose target everybody was let in is frozen. The other goes back, and may not start again; the frozen one
 * is left to a person, and goes back as soon as he let it go on. */
static void a_frozen_one_is_a_persons_matter(void **state)
{
    struct scene *s = two(*state);
    char first[64], other[64], path[128];
    register_agent(s, "h1");
    rotate_both(s, SECRET, other);
    memcpy(first, s->run, sizeof first);
    soon(s, "acking");
    look_at(s, other);
    until(s, "overlapping");
    look_at(s, first);
    SIM_SET(&s->sim, trust, true);
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    soon(s, "frozen");
    SIM_SET(&s->sim, trust, false);
    look_at(s, other);
    cancel(s, 200);
    until(s, "rolled_back");
    look_at(s, first);
    a_while(s);
    assert_true(is_in(s, "frozen"));
    assert_false(test_vault_said(s->vault, "which rotates together with it, went back"));
    need(s, 400, "POST", "rotation/rotate/" OTHER, "{}");
    says(s, "'" SECRET "', which rotates together with '" OTHER "'");
    a_while(s);
    assert_true(is_in(s, "frozen"));
    (void)snprintf(path, sizeof path, "rotation/runs/%s/thaw", first);
    need(s, 200, "POST", path, "{}");
    soon(s, "rolling_back");
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    until(s, "rolled_back");
    assert_true(other_works(s, FIRST));
    scene_end(s);
}

#define MAY(path) "path \"rotation/rotate/" path "\" { capabilities = [\"update\"] }\n"

static void back_is(struct scene *s, unsigned wanted, const char *secret, const char *token)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/rotate/%s", secret);
    unsigned status = test_vault_call(s->vault, "POST", path, token, "{\"back\":true}");
    if (status != wanted)
        fail_msg("going back with %s: %u, wanted %u: %s", secret, status, wanted, s->vault->body);
}

/* Going back takes all along: who may not rotate one of them takes none, under way or afterwards. */
static void who_may_take_it_back(void **state)
{
    struct scene *s = two(*state);
    char first[64], other[64], one[128], another[128], both[128];
    test_vault_token(s->vault, "one", MAY(SECRET), one, sizeof one);
    test_vault_token(s->vault, "another", MAY(OTHER), another, sizeof another);
    test_vault_token(s->vault, "both", MAY(SECRET) MAY(OTHER), both, sizeof both);
    register_agent(s, "h1");
    rotate_both(s, SECRET, other);
    memcpy(first, s->run, sizeof first);
    soon(s, "acking");
    back_is(s, 403, SECRET, one);
    back_is(s, 403, OTHER, another);
    a_while(s);
    assert_true(is_in(s, "acking"));
    acknowledge(s, "h1", 2);
    until(s, "done");
    look_at(s, other);
    until(s, "done");
    back_is(s, 403, SECRET, one);
    back_is(s, 403, OTHER, another);
    back_is(s, 200, SECRET, both);
    text_at(s, "data.run", s->run, sizeof s->run);
    soon(s, "acking");
    scene_end(s);
}

/* Nothing starts at a target where runs fail: nor does what would start with one there. */
static void a_held_target_holds_all(void **state)
{
    struct scene *s = scene(*state);
    char path[128];
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_add(&s->sim, "app_c", FIRST);
    sim_add(&s->sim, "app_d", FIRST);
    (void)pthread_mutex_unlock(&s->sim.lock);
    need(s, 204, "POST", "rotation/targets/pg2",
         "{\"driver\":\"postgresql\",\"host\":\"/run/sim\",\"database\":\"d\",\"sslmode\":\"disable\","
         "\"admin_username\":\"kt\",\"admin_password\":\"admin\",\"max_refusals_per_hour\":0,\"probe_spacing\":0}");
    need(s, 200, "POST", "secret/data/db/second", "{\"data\":{\"username\":\"app_c\",\"password\":\"" FIRST "\"}}");
    need(s, 200, "POST", "secret/data/db/third", "{\"data\":{\"username\":\"app_d\",\"password\":\"" FIRST "\"}}");
    need(s, 204, "POST", "rotation/secrets/" OTHER,
         "{\"target\":\"pg2\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app_c\"],\"overlap\":2,\"soak\":1}");
    need(s, 204, "POST", "rotation/secrets/secret/db/third",
         "{\"target\":\"pg2\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app_d\"],\"overlap\":2,\"soak\":1}");
    SIM_SET(&s->sim, unfit, true);
    for (int i = 0; i < 3; i++) {
        need(s, 200, "POST", "rotation/rotate/secret/db/third", "{}");
        text_at(s, "data.run", s->run, sizeof s->run);
        until(s, "cancelled");
    }
    SIM_SET(&s->sim, unfit, false);
    change_rotation(s, "{\"together\":[\"" OTHER "\"],\"cron\":\"0 * * * *\"}");
    s->vault->now_ms += (int64_t)3600 * 1000;
    a_while(s);
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"last_run\":\"\"");
    need(s, 200, "POST", "rotation/rotate/secret/db/third", "{}"); /* by hand, and it works: the target is held no more */
    text_at(s, "data.run", s->run, sizeof s->run);
    until(s, "done");
    s->run[0] = '\0';
    (void)snprintf(path, sizeof path, "rotation/secrets/%s", SECRET);
    for (int i = 0; i < PATIENCE && s->run[0] == '\0'; i++) {
        (void)goes_by(s, 1000);
        need(s, 200, "GET", path, NULL);
        text_at(s, "data.state.last_run", s->run, sizeof s->run);
        pause_ms(1);
    }
    assert_string_not_equal(s->run, "");
    ends_done(s);
    scene_end(s);
}

/* One that was ready is asked about at its target, for its consumer is in trouble: until the answer it binds nobody. */
static void a_doubt_binds_nobody(void **state)
{
    struct scene *s = two(*state);
    char first[64], other[64];
    register_agent(s, "h1");
    says_of_other(s, 1, "registered");
    says_of_other(s, 1, "healthy");
    rotate_both(s, SECRET, other);
    memcpy(first, s->run, sizeof first);
    soon(s, "acking");
    look_at(s, other);
    soon(s, "acking");
    says_of_other(s, 2, "healthy");
    until(s, "overlapping");
    until_says(s, "\"waits_for\":\"" SECRET ", which rotates together with it");
    SIM_SET(&s->sim, down, true);
    says_of_other(s, 2, "unhealthy");
    soon_says(s, "connection refused");
    look_at(s, first);
    acknowledge(s, "h1", 2);
    until(s, "overlapping");
    until_says(s, "\"waits_for\":\"" OTHER ", which rotates together with it, to come as far");
    a_while(s);
    load_run(s);
    assert_false(test_vault_said(s->vault, "from here on none goes back"));
    SIM_SET(&s->sim, down, false);
    look_at(s, other);
    until(s, "rolling_back");
    says_of_other(s, 1, "healthy");
    until(s, "rolled_back");
    look_at(s, first);
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    until(s, "rolled_back");
    assert_true(other_works(s, FIRST));
    scene_end(s);
}

/* The first's run, and in *other that of the other, which has no way back; both wait for their consumers. */
static struct scene *two_of_which_one_cannot_go_back(const char *strategy, char first[64], char other[64])
{
    struct scene *s = two(strategy);
    need(s, 204, "POST", "rotation/secrets/" OTHER, "{\"overlap\":86400,\"max_overlap\":172800}");
    register_agent(s, "h1");
    says_of_other(s, 1, "registered");
    says_of_other(s, 1, "healthy");
    rotate_both(s, SECRET, other);
    memcpy(first, s->run, 64);
    soon(s, "acking");
    look_at(s, other);
    soon(s, "acking");
    put_into_run(s, other, no_way_back);
    cancel(s, 400);
    return s;
}

/* It is waited for as any other: until its consumers have the new one. */
static void what_cannot_go_back_is_waited_for(void **state)
{
    char first[64], other[64];
    struct scene *s = two_of_which_one_cannot_go_back(*state, first, other);
    look_at(s, first);
    acknowledge(s, "h1", 2);
    until(s, "overlapping");
    until_says(s, "\"waits_for\":\"" OTHER ", which rotates together with it, to come as far (it is acking)");
    a_while(s);
    assert_true(is_in(s, "overlapping"));
    says_of_other(s, 2, "healthy");
    until(s, "done");
    look_at(s, other);
    assert_true(is_in(s, "overlapping"));
    s->vault->now_ms += (int64_t)2 * 86400 * 1000;
    until(s, "done");
    assert_false(other_works(s, FIRST));
    scene_end(s);
}

/* And are well. */
static void so_is_one_whose_consumer_is_not_well(void **state)
{
    char first[64], other[64];
    struct scene *s = two_of_which_one_cannot_go_back(*state, first, other);
    says_of_other(s, 2, "healthy");
    until(s, "overlapping");
    SIM_SET(&s->sim, down, true);
    says_of_other(s, 2, "unhealthy");
    soon_says(s, "connection refused"); /* it is asked about at its target, which says nothing */
    look_at(s, first);
    acknowledge(s, "h1", 2);
    until(s, "overlapping");
    until_says(s, "\"waits_for\":\"the consumers of " OTHER ", of which one said that it is not well");
    SIM_SET(&s->sim, down, false);
    until_says(s, "\"waits_for\":\"" OTHER ", which rotates together with it, to come as far (it is acking)");
    assert_true(is_in(s, "overlapping"));
    says_of_other(s, 2, "healthy");
    until(s, "done");
    scene_end(s);
}

static void refused(struct scene *s, const char *secret, const char *body, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/secrets/%s", secret);
    need(s, 400, "POST", path, body);
    says(s, text);
}

/* ---- names as long as they may be, and longer ---- */

#define LONG    5u
#define LONGEST 1010u

/* "secret/xxx.../xxxN", of `len` bytes. */
static const char *long_name(size_t len, unsigned number)
{
    static char name[1024];
    assert_true(len < sizeof name);
    for (size_t i = 0; i < len; i++)
        name[i] = i % 200 == 199 ? '/' : 'x';
    name[len] = '\0';
    memcpy(name, "secret/", 7);
    name[len - 1] = (char)('0' + number);
    return name;
}

/* Five of them, each with an account of its own; their names with commas between. */
static void long_ones(struct scene *s, size_t len, char names[LONG * 1024])
{
    static char path[2048], body[512];
    names[0] = '\0';
    for (unsigned i = 0; i < LONG; i++) {
        const char *name = long_name(len, i);
        (void)snprintf(body, sizeof body, "app_l%u", i);
        (void)pthread_mutex_lock(&s->sim.lock);
        sim_add(&s->sim, body, FIRST);
        (void)pthread_mutex_unlock(&s->sim.lock);
        (void)snprintf(path, sizeof path, "secret/data/%s", name + 7);
        (void)snprintf(body, sizeof body, "{\"data\":{\"username\":\"app_l%u\",\"password\":\"" FIRST "\"}}", i);
        need(s, 200, "POST", path, body);
        (void)snprintf(path, sizeof path, "rotation/secrets/%s", name);
        (void)snprintf(body, sizeof body, "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app_l%u\"]}", i);
        need(s, 204, "POST", path, body);
        (void)snprintf(names + strlen(names), LONG * 1024 - strlen(names), "%s%s", i == 0 ? "" : ",", name);
    }
}

static void names_as_long_as_may_be(void **state)
{
    struct scene *s = scene(*state);
    static char names[LONG * 1024], body[LONG * 1024 + 64];
    long_ones(s, TOGETHER_NAME_MAX + 1, names);
    (void)snprintf(body, sizeof body, "{\"together\":\"%s\"}", names);
    need(s, 400, "POST", "rotation/secrets/" SECRET, body);
    says(s, "a name is longer than 768 bytes");
    scene_end(s);
    s = scene(*state);
    long_ones(s, TOGETHER_NAME_MAX, names);
    (void)snprintf(body, sizeof body, "{\"together\":\"%s\"}", names);
    change_rotation(s, body);
    rotate(s);
    load_run(s);
    says(s, long_name(TOGETHER_NAME_MAX, LONG - 1));
    scene_end(s);
}

/* What no check of the settings lets in. */
static enum kt_kind name_unchecked(struct request *req, struct kt_err *err)
{
    struct rotation_secret secret;
    enum kt_kind kind = secret_load(req, SECRET, &secret, err);
    secret.settings.together = req->handler_data;
    return kind == KT_OK ? secret_save(req, &secret, err) : kind;
}

/* A row whose start fails is looked at again later, and holds up none behind it. */
static void what_cannot_start_holds_up_nobody(void **state)
{
    struct scene *s = two(*state);
    static char names[LONG * 1024];
    char run[64] = "";
    struct kt_err err = {0};
    change_rotation(s, "{\"together\":[],\"cron\":\"0 9 * * *\"}");
    need(s, 204, "POST", "rotation/secrets/" OTHER, "{\"cron\":\"1 9 * * *\"}");
    long_ones(s, LONGEST, names);
    names[4 * (LONGEST + 1) - 1] = '\0'; /* so many fit into the setting; none fits into the others' runs */
    assert_int_equal(request_internal(s->vault->core, "rotation/due", name_unchecked, names, &err), KT_OK);
    s->vault->now_ms += (int64_t)2 * 3600 * 1000;
    for (int i = 0; i < PATIENCE && run[0] == '\0'; i++) {
        rotation_wake(s->vault->core->rotation);
        need(s, 200, "GET", "rotation/secrets/" OTHER, NULL);
        text_at(s, "data.state.last_run", run, sizeof run);
        pause_ms(1);
    }
    assert_string_not_equal(run, "");
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"last_run\":\"\"");
    scene_end(s);
}

/* All of a group start at once, so no two of them may change the accounts of one group. */
static void never_both_at_once(void **state)
{
    struct scene *s = two(*state);
    refused(s, SECRET, "{\"together\":[\"" OTHER "\",\"" OTHER "\"]}", "'" OTHER "' is named twice");
    need(s, 204, "POST", "rotation/secrets/" SECRET, "{\"together\":[]}");
    need(s, 204, "POST", "rotation/secrets/" OTHER, "{\"group\":\"app\"}");
    refused(s, SECRET, "{\"together\":[\"" OTHER "\"]}",
            "'" OTHER "' has the account group of another of them: never both at once");
    need(s, 204, "POST", "rotation/secrets/" OTHER, "{\"group\":\"\"}");
    need(s, 204, "POST", "rotation/secrets/" SECRET, "{\"together\":[\"" OTHER "\"]}");
    /* And where it came to be so afterwards. */
    need(s, 204, "POST", "rotation/secrets/" OTHER, "{\"group\":\"app\"}");
    need(s, 400, "POST", "rotation/rotate/" SECRET, "{}");
    says(s, "has the account group of another of them: never both at once");
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"last_run\":\"\"");
    need(s, 200, "GET", "rotation/secrets/" OTHER, NULL);
    says(s, "\"last_run\":\"\"");
    scene_end(s);
}

/* The other's target is taken by a third: who asks what holds the one that is due is told so. */
static void held_by_the_others_target(void **state)
{
    struct scene *s = two(*state);
    need(s, 204, "POST", "rotation/targets/b",
         "{\"driver\":\"postgresql\",\"host\":\"/run/sim\",\"database\":\"d\",\"sslmode\":\"disable\","
         "\"admin_username\":\"kt\",\"admin_password\":\"admin\",\"max_refusals_per_hour\":0,\"probe_spacing\":0}");
    need(s, 204, "POST", "rotation/secrets/" OTHER, "{\"target\":\"b\"}");
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_add(&s->sim, "app_d", FIRST);
    (void)pthread_mutex_unlock(&s->sim.lock);
    need(s, 200, "POST", "secret/data/db/third", "{\"data\":{\"username\":\"app_d\",\"password\":\"" FIRST "\"}}");
    need(s, 204, "POST", "rotation/secrets/secret/db/third",
         "{\"target\":\"b\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app_d\"]}");
    SIM_SET(&s->sim, late, true);
    need(s, 200, "POST", "rotation/rotate/secret/db/third", "{}");
    text_at(s, "data.run", s->run, sizeof s->run);
    soon(s, "applying"); /* and stays there */
    change_rotation(s, "{\"cron\":\"* * * * *\"}");
    s->vault->now_ms += 61000;
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"blocked_by\":\"" OTHER ", which rotates together with it: its turn at target b");
    SIM_SET(&s->sim, late, false);
    sim_answer(&s->sim);
    scene_end(s);
}

static void what_is_refused(void **state)
{
    struct scene *s = two(*state);
    char token[128];
    need(s, 204, "POST", "rotation/secrets/secret/value", "{}");
    refused(s, SECRET, "{\"together\":[\"" SECRET "\"]}", "rotates with itself anyway");
    refused(s, SECRET, "{\"together\":[\"secret/value\"]}", "has no target");
    refused(s, SECRET, "{\"together\":[\"secret/none\"]}", "has no rotation");
    refused(s, SECRET, "{\"together\":[\"nowhere/none\"]}", "is not the path of a secret");
    refused(s, SECRET, "{\"together\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"]}", "6 secrets at most");
    refused(s, "secret/value", "{\"together\":[\"" SECRET "\"]}", "has no target");
    refused(s, OTHER, "{\"together\":[\"" SECRET "\"]}", "it rotates together with '" SECRET "' already");
    refused(s, OTHER, "{\"target\":\"\",\"strategy\":\"generate\",\"accounts\":[]}", "has no target");
    need(s, 400, "DELETE", "rotation/secrets/" OTHER, NULL);
    says(s, "rotates together with '" SECRET "'");
    /* Who may rotate one and not the other rotates none. */
    test_vault_token(s->vault, "one", "path \"rotation/rotate/" SECRET "\" { capabilities = [\"update\"] }\n"
                     "path \"rotation/secrets/" SECRET "\" { capabilities = [\"update\", \"create\", \"delete\"] }\n",
                     token, sizeof token);
    assert_int_equal(test_vault_call(s->vault, "POST", "rotation/rotate/" SECRET, token, "{}"), 403);
    need(s, 204, "POST", "rotation/secrets/" SECRET, "{\"together\":[]}");
    need(s, 200, "GET", "rotation/secrets/" OTHER, NULL);
    says(s, "\"led_by\":\"\"");
    assert_int_equal(test_vault_call(s->vault, "POST", "rotation/secrets/" SECRET, token,
                                     "{\"together\":[\"" OTHER "\"]}"), 403);
    need(s, 204, "POST", "rotation/secrets/" SECRET, "{\"together\":[\"" OTHER "\"]}");
    /* Whoever changes the list may set the rotation of all that are on it, not of the newcomer alone. */
    need(s, 200, "POST", "secret/data/db/third", "{\"data\":{\"username\":\"app_d\",\"password\":\"" FIRST "\"}}");
    need(s, 204, "POST", "rotation/secrets/secret/db/third",
         "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app_d\"]}");
    test_vault_token(s->vault, "two", "path \"rotation/secrets/" SECRET "\" { capabilities = [\"update\", \"create\"] }\n"
                     "path \"rotation/secrets/secret/db/third\" { capabilities = [\"update\"] }\n",
                     token, sizeof token);
    assert_int_equal(test_vault_call(s->vault, "POST", "rotation/secrets/" SECRET, token,
                                     "{\"together\":[\"" OTHER "\",\"secret/db/third\"]}"), 403);
    assert_int_equal(test_vault_call(s->vault, "POST", "rotation/secrets/" SECRET, token, "{\"cron\":\"\"}"), 204);
    /* Nor has somebody the others rotated by the times of his own, from either side. */
    assert_int_equal(test_vault_call(s->vault, "POST", "rotation/secrets/" SECRET, token,
                                     "{\"cron\":\"* * * * *\"}"), 403);
    test_vault_token(s->vault, "three", "path \"rotation/secrets/" OTHER "\" { capabilities = [\"update\", \"create\"] }\n",
                     token, sizeof token);
    assert_int_equal(test_vault_call(s->vault, "POST", "rotation/secrets/" OTHER, token,
                                     "{\"period\":\"1h\"}"), 403);
    assert_int_equal(test_vault_call(s->vault, "POST", "rotation/secrets/" OTHER, token, "{\"owner\":\"x\"}"), 204);
    need(s, 204, "DELETE", "rotation/secrets/" SECRET, NULL);
    need(s, 204, "DELETE", "rotation/secrets/" OTHER, NULL);
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule_holds),
        {"the_rule_holds (given)", the_rule_holds, NULL, NULL, the_targets_make_them},
        {"the_rule_holds (dead)", the_rule_holds, NULL, NULL, one_is_dead},
        EACH(forward),        EACH(both_back),          ALTERNATE(cancelled),
        ALTERNATE(whose_fault_it_was),
        ALTERNATE(a_cancel_meets_the_binding), ALTERNATE(a_sick_consumer_meets_the_binding),
        ALTERNATE(too_late),              ALTERNATE(one_cannot), ALTERNATE(scheduled_and_back),
        ALTERNATE(what_is_refused),      ALTERNATE(held_by_the_others_target), ALTERNATE(never_both_at_once),
        ALTERNATE(a_frozen_one_is_a_persons_matter), ALTERNATE(who_may_take_it_back),
        ALTERNATE(nobody_waits_without_end), OVERLAP(bound_and_misplaced), ALTERNATE(a_held_target_holds_all),
        ALTERNATE(a_doubt_binds_nobody), ALTERNATE(what_cannot_go_back_is_waited_for),
        ALTERNATE(so_is_one_whose_consumer_is_not_well),
        ALTERNATE(names_as_long_as_may_be), ALTERNATE(what_cannot_start_holds_up_nobody),
    };
    return cmocka_run_group_tests_name("rotation together", tests, NULL, NULL);
}
