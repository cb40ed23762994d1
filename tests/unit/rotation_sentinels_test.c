/* A target of two servers whose list Sentinels check: what each pair of their answers comes to, what a run does with
 * it, and what is said of such a target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/rotation_scene.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/job.h"
#include "vaultd/rotation/sentinels.h"

#define LOST  "the Sentinel knows 10.0.0.3:6379, not named in hosts="
#define ALONE "hosts= names two.test:2, which the Sentinel does not know"

/* What a Sentinel answers. */
enum says { ALL, FEWER, MORE, NO_MASTER, AWAY, NAMELESS, LIES, ODD, SAYS_COUNT };
static const struct {
    enum driver_class class;
    const char *code, *text, *finding;
} sayings[SAYS_COUNT] = {
    [ALL] = {DRIVER_OK, "", "hosts= names all servers that it knows", ""},
    [FEWER] = {DRIVER_OK, "", "hosts= names all servers that it knows", ALONE},
    [MORE] = {DRIVER_PERMANENT, DRIVER_UNFIT, LOST, ""},
    [NO_MASTER] = {DRIVER_PERMANENT, "nomaster", "it watches no master of that name", ""},
    [AWAY] = {DRIVER_UNREACH, "connect", "no connection", ""},
    [NAMELESS] = {DRIVER_UNREACH, "resolve", "no address for two.test:2", ""},
    [LIES] = {DRIVER_REFUSED, "wrongpw", "the administrative login was refused", ""},
    [ODD] = {DRIVER_WRONG_SERVER, "server", "it is another server", ""},
};

static void say(enum says says, struct driver_result *ret)
{
    *ret = (struct driver_result){.class = sayings[says].class};
    (void)snprintf(ret->code, sizeof ret->code, "%s", sayings[says].code);
    (void)snprintf(ret->text, sizeof ret->text, "%s", sayings[says].text);
    (void)snprintf(ret->findings[0], sizeof ret->findings[0], "%s", sayings[says].finding);
}

struct watch {
    pthread_mutex_t lock;
    enum says says[2]; /* the first and the second Sentinel */
    unsigned asked[2];
    uint32_t ms[2];
    bool login;        /* one of them was sent one */
    struct rotation_executor servers;
};

static enum kt_kind run_step(void *arg, const struct driver_step *step, struct driver_result *ret, struct kt_err *err)
{
    struct watch *watch = arg;
    if (step->target.sentinel_master == NULL || step->target.sentinel_master[0] == '\0')
        return watch->servers.run(watch->servers.arg, step, ret, err);
    unsigned which = strcmp(step->target.host, "watch2.test") == 0;
    (void)pthread_mutex_lock(&watch->lock);
    watch->asked[which]++;
    watch->ms[which] = step->timeout_ms;
    for (unsigned who = 0; who < DRIVER_LOGIN_COUNT; who++)
        watch->login = watch->login || step->logins[who].username != NULL || step->logins[who].password.len > 0;
    enum says says = watch->says[which];
    (void)pthread_mutex_unlock(&watch->lock);
    say(says, ret);
    return KT_OK;
}

/* ---- what their answers come to ---- */

static void ask(struct scene *s, struct watch *watch, enum says first, enum says second, struct job_part *part)
{
    struct target_node sentinels[2] = {{.name = "watch1.test:26379", .host = "watch1.test", .port = 26379},
                                       {.name = "watch2.test:26379", .host = "watch2.test", .port = 26379}};
    struct kt_arena arena;
    kt_arena_init(&arena, 65536);
    watch->says[0] = first;
    watch->says[1] = second;
    watch->asked[0] = watch->asked[1] = 0;
    *part = (struct job_part){.step = {.driver = "redis", .op = DRIVER_INSPECT}, .n_sentinels = 2};
    part->step.logins[DRIVER_ADMIN] = (struct driver_login){"kt", kt_str("planted")};
    part->step.target.connect_timeout_ms = 4000;
    part->step.target.statement_timeout_ms = 6000;
    part->sentinels = sentinels;
    part->sentinel_master = "caches";
    sentinels_ask(s->vault->core->rotation, part, &arena);
    part->sentinels = NULL;
    kt_arena_free(&arena);
}

static void answers(void **state)
{
    static const struct {
        enum says first, second;
        unsigned asked; /* the second one */
        enum driver_class class;
        bool unfit;
        const char *text;
    } rows[] = {
        {ALL, MORE, 0, DRIVER_OK, false, "watch1.test:26379: hosts= names all servers that it knows"},
        {FEWER, ALL, 1, DRIVER_OK, false, "watch2.test:26379: hosts= names all servers that it knows"},
        {FEWER, MORE, 1, DRIVER_PERMANENT, true, "watch2.test:26379: " LOST},
        {FEWER, AWAY, 1, DRIVER_OK, false, "watch1.test:26379: hosts= names all servers that it knows"},
        {FEWER, NO_MASTER, 1, DRIVER_OK, false, "watch1.test:26379: hosts= names all servers that it knows"},
        {AWAY, FEWER, 1, DRIVER_OK, false, "watch2.test:26379: hosts= names all servers that it knows"},
        {MORE, ALL, 0, DRIVER_PERMANENT, true, "watch1.test:26379: " LOST},
        {AWAY, ALL, 1, DRIVER_OK, false, "watch2.test:26379: hosts= names all servers that it knows"},
        {AWAY, MORE, 1, DRIVER_PERMANENT, true, "watch2.test:26379: " LOST},
        {NO_MASTER, ALL, 1, DRIVER_OK, false, "watch2.test:26379: hosts= names all servers that it knows"},
        {AWAY, AWAY, 1, DRIVER_UNREACH, false,
         "watch1.test:26379: no connection; watch2.test:26379: no connection"},
        {AWAY, NO_MASTER, 1, DRIVER_UNREACH, false,
         "watch1.test:26379: no connection; watch2.test:26379: it watches no master of that name"},
        {NO_MASTER, NO_MASTER, 1, DRIVER_PERMANENT, true,
         "watch1.test:26379: it watches no master of that name; watch2.test:26379: it watches no master of that name"},
        {LIES, ODD, 1, DRIVER_PERMANENT, true,
         "watch1.test:26379: the administrative login was refused; watch2.test:26379: it is another server"},
        {LIES, ALL, 1, DRIVER_OK, false, "watch2.test:26379: hosts= names all servers that it knows"},
    };
    struct scene *s = scene(*state);
    struct watch watch = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct job_part *part = calloc(1, sizeof *part);
    assert_non_null(part);
    s->executor = (struct rotation_executor){.run = run_step, .arg = &watch};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ask(s, &watch, rows[i].first, rows[i].second, part);
        const struct driver_result *said = &part->sentinel;
        bool unfit = strcmp(said->code, DRIVER_UNFIT) == 0;
        if (said->class != rows[i].class || unfit != rows[i].unfit || strcmp(said->text, rows[i].text) != 0)
            fail_msg("row %zu: %s (%s) %s", i, kt_driver_class_text(said->class), said->code, said->text);
        assert_int_equal(watch.asked[1], rows[i].asked);
        /* Both together as long as one server may take. */
        assert_int_equal(watch.ms[0], 5000);
        if (rows[i].asked > 0)
            assert_in_range(watch.ms[1], 5000, 10000);
    }
    ask(s, &watch, FEWER, AWAY, part);
    assert_string_equal(part->sentinel.findings[0], "watch1.test:26379: " ALONE);
    ask(s, &watch, FEWER, ALL, part);
    assert_string_equal(part->sentinel.findings[0], "");
    assert_false(watch.login);
    free(part);
    scene_end(s);
}

/* Beside what the servers themselves said. */
static void weighed(void **state)
{
    static const struct {
        enum driver_class servers, sentinels, class;
        const char *servers_code, *code, *text;
    } rows[] = {
        {DRIVER_OK, DRIVER_OK, DRIVER_OK, "", "", "servers"},
        {DRIVER_UNREACH, DRIVER_OK, DRIVER_UNREACH, "connect", "connect", "servers"},
        {DRIVER_OK, DRIVER_UNREACH, DRIVER_UNREACH, "", "watch", "sentinels"},
        {DRIVER_OK, DRIVER_PERMANENT, DRIVER_PERMANENT, "", "watch", "sentinels"},
        {DRIVER_UNREACH, DRIVER_PERMANENT, DRIVER_UNREACH, "connect", "watch", "sentinels; servers"},
        {DRIVER_PERMANENT, DRIVER_UNREACH, DRIVER_UNREACH, "noperm", "noperm", "sentinels; servers"},
        {DRIVER_REFUSED, DRIVER_PERMANENT, DRIVER_REFUSED, "wrongpw", "watch", "sentinels; servers"},
        {DRIVER_WRONG_SERVER, DRIVER_UNREACH, DRIVER_WRONG_SERVER, "server", "server", "sentinels; servers"},
    };
    (void)state;
    struct job_part *part = calloc(1, sizeof *part);
    assert_non_null(part);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        *part = (struct job_part){.result = {.class = rows[i].servers, .text = "servers", .findings = {"old"}},
                                  .sentinel = {.class = rows[i].sentinels, .text = "sentinels", .code = "watch",
                                               .findings = {"alone"}}};
        (void)snprintf(part->result.code, sizeof part->result.code, "%s", rows[i].servers_code);
        sentinels_weigh(part);
        const struct driver_result *r = &part->result;
        if (r->class != rows[i].class || strcmp(r->code, rows[i].code) != 0 || strcmp(r->text, rows[i].text) != 0)
            fail_msg("row %zu: %s (%s) %s", i, kt_driver_class_text(r->class), r->code, r->text);
        assert_string_equal(r->findings[0], "old");
        assert_string_equal(r->findings[1], "alone");
        assert_string_equal(r->findings[2], "");
    }
    free(part);
}

/* ---- whole runs ---- */

static struct watch *watched(struct scene **ret)
{
    struct watch *watch = calloc(1, sizeof *watch);
    assert_non_null(watch);
    (void)pthread_mutex_init(&watch->lock, NULL);
    struct scene *s = scene("overlap");
    watch->servers = s->executor;
    s->executor = (struct rotation_executor){.run = run_step, .arg = watch};
    need(s, 200, "POST", "rotation/targets/pg",
         "{\"hosts\":\"one.test:1,two.test:2\",\"sentinels\":[\"watch1.test\",\"watch2.test:7\"],"
         "\"sentinel_master\":\"caches\"}");
    *ret = s;
    return watch;
}

static void set(struct watch *watch, enum says first, enum says second)
{
    (void)pthread_mutex_lock(&watch->lock);
    watch->says[0] = first;
    watch->says[1] = second;
    (void)pthread_mutex_unlock(&watch->lock);
}

static void unwatch(struct scene *s, struct watch *watch)
{
    scene_end(s);
    assert_false(watch->login);
    (void)pthread_mutex_destroy(&watch->lock);
    free(watch);
}

static void a_server_too_many(void **state)
{
    struct scene *s = NULL;
    struct watch *watch = watched(&s);
    (void)state;
    set(watch, AWAY, MORE);
    rotate(s);
    until(s, "cancelled");
    says(s, "watch2.test:7: " LOST);
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    set(watch, AWAY, FEWER);
    rotate(s);
    until(s, "done");
    ends_done(s);
    load_run(s);
    says(s, "watch2.test:7: " ALONE);
    unwatch(s, watch);
}

/* Nobody who could say it: nothing begins. Those who answer again let it go on. */
static void nobody_answers(void **state)
{
    struct scene *s = NULL;
    struct watch *watch = watched(&s);
    (void)state;
    set(watch, AWAY, AWAY);
    rotate(s);
    soon_says(s, "watch1.test:26379: no connection; watch2.test:7: no connection");
    assert_true(is_in(s, "preflight"));
    set(watch, ALL, AWAY);
    until(s, "done");
    ends_done(s);
    set(watch, AWAY, AWAY);
    unsigned applied = sim_ops(&s->sim, DRIVER_APPLY);
    rotate(s);
    until(s, "cancelled");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), applied);
    /* Where there are none any more. */
    need(s, 200, "POST", "rotation/targets/pg", "{\"sentinels\":\"\"}");
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"sentinels\":[],\"sentinel_master\":\"\"");
    rotate(s);
    until(s, "done");
    unwatch(s, watch);
}

/* What is stored is set again, whatever they say: who is cut off does not wait. */
static void mending_goes_on(void **state)
{
    static const enum says says_them[] = {AWAY, MORE};
    (void)state;
    for (size_t i = 0; i < sizeof says_them / sizeof says_them[0]; i++) {
        struct scene *s = NULL;
        struct watch *watch = watched(&s);
        set(watch, says_them[i], says_them[i]);
        SIM_SAY(&s->sim, accounts[0].verifier, "spoilt");
        need(s, 200, "POST", "rotation/reconcile/" SECRET, "{\"reason\":\"test\"}");
        text_at(s, "data.run", s->run, sizeof s->run);
        until(s, "done");
        assert_true(sim_accepts(&s->sim, "app_a", "first-password-of-a"));
        assert_int_equal(watch->asked[0], 0);
        unwatch(s, watch);
    }
}

/* That a login was refused, or a server is another one, is no Sentinel's to say: nothing is frozen. */
static void a_liar(void **state)
{
    struct scene *s = NULL;
    struct watch *watch = watched(&s);
    (void)state;
    set(watch, LIES, ODD);
    rotate(s);
    until(s, "cancelled");
    unwatch(s, watch);
}

static void checked(void **state)
{
    struct scene *s = NULL;
    struct watch *watch = watched(&s);
    (void)state;
    static const struct {
        enum says first;
        const char *ok, *step, *next;
    } rows[] = {
        {FEWER, "\"ok\":true,\"steps\"",
         "{\"name\":\"sentinels\",\"ok\":true,\"text\":\"watch1.test:26379: hosts= names all servers that it knows; "
         "watch1.test:26379: " ALONE "\"}",
         "\"next\":\"\""},
        {MORE, "\"ok\":false,\"steps\"", "{\"name\":\"sentinels\",\"ok\":false,\"text\":\"watch1.test:26379: " LOST "\"}",
         "secretctl target set pg hosts="},
        {AWAY, "\"ok\":false,\"steps\"", "\"name\":\"sentinels\",\"ok\":false", "secretctl target set pg sentinels="},
        {NAMELESS, "\"ok\":false,\"steps\"", "no address for two.test:2", "secretctl target show pg"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set(watch, rows[i].first, AWAY);
        need(s, 200, "POST", "rotation/targets/pg/check", "{}");
        says(s, rows[i].ok);
        says(s, rows[i].step);
        says(s, rows[i].next);
    }
    set(watch, MORE, ALL);
    need(s, 200, "POST", "rotation/dry-run/" SECRET, "{}");
    says(s, LOST);
    says(s, "NOT READY");
    unwatch(s, watch);
}

/* ---- writing such a target ---- */

static void written(void **state)
{
    static const struct {
        const char *body, *text;
    } rows[] = {
        {"{\"sentinels\":\"a,b,a:26379\"}", "sentinels names a:26379 twice"},
        {"{\"sentinels\":\"a,b:x\"}", "sentinels, number 2: that is no server"},
        {"{\"sentinels\":\"a,/run/x\"}", "sentinels, number 2: a Sentinel has a name or an address"},
        {"{\"sentinels\":\"a,b,c,d,e,f,g,h,i\"}", "a target has 8 at most"},
        {"{\"sentinel_master\":\"a b\"}", "sentinels need sentinel_master"},
        {"{\"sentinel_master\":\"a\\r\\nb\"}", "sentinels need sentinel_master"},
        {"{\"sentinel_master\":\"\"}", "sentinels need sentinel_master"},
        {"{\"sentinels\":\"\",\"sentinel_master\":\"m\"}", "sentinel_master needs sentinels"},
        {"{\"hosts\":\"\"}", "Sentinels check a list of servers"},
        {"{\"hosts\":\"one.test,/run/two\"}", "hosts names a socket"},
        {"{\"driver\":\"ldap\"}", "driver ldap has no Sentinels"},
    };
    struct scene *s = NULL;
    struct watch *watch = watched(&s);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        need(s, 400, "POST", "rotation/targets/pg", rows[i].body);
        says(s, rows[i].text);
    }
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"sentinels\":[\"watch1.test:26379\",\"watch2.test:7\"],\"sentinel_master\":\"caches\"");
    need(s, 200, "POST", "rotation/targets/pg", "{\"settle\":2}");
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"sentinel_master\":\"caches\"");
    unwatch(s, watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVERLAP(answers),
        cmocka_unit_test(weighed),
        cmocka_unit_test(a_server_too_many),
        cmocka_unit_test(nobody_answers),
        cmocka_unit_test(mending_goes_on),
        cmocka_unit_test(a_liar),
        cmocka_unit_test(checked),
        cmocka_unit_test(written),
    };
    return cmocka_run_group_tests_name("rotation_sentinels", tests, NULL, NULL);
}
