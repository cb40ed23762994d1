/* A secret with a very long name, each character of which a shell has quoted: its runs end, and say what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/rotation_scene.h"
#include "vaultd/rotation/run.h"

#define NAME_BYTES 1010u
#define PATH_BYTES (3u * NAME_BYTES + 64)

/* "x/" and quotes, as it stands in a path: each as %27. */
static void long_path(const char *before, char out[PATH_BYTES])
{
    size_t n = (size_t)snprintf(out, PATH_BYTES, "%sx/", before);
    for (unsigned i = 2; i < NAME_BYTES; i++)
        n += (size_t)snprintf(out + n, PATH_BYTES - n, "%s", i % 200 == 0 ? "/" : "%27");
}

static void ask(struct scene *s, unsigned wanted, const char *before, const char *body)
{
    char path[PATH_BYTES];
    long_path(before, path);
    need(s, wanted, "POST", path, body);
}

static struct scene *with_long_name(const char *strategy)
{
    struct scene *s = scene(strategy);
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_add(&s->sim, "app_l", "first-password-of-l");
    (void)pthread_mutex_unlock(&s->sim.lock);
    ask(s, 200, "secret/data/", "{\"data\":{\"username\":\"app_l\",\"password\":\"first-password-of-l\"}}");
    ask(s, 204, "rotation/secrets/secret/",
        "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app_l\"],\"overlap\":0,"
        "\"soak\":0,\"ack_timeout\":30}");
    return s;
}

static void begin(struct scene *s)
{
    ask(s, 200, "rotation/rotate/secret/", "{}");
    text_at(s, "data.run", s->run, sizeof s->run);
}

static void says_of_itself(struct scene *s, const char *state)
{
    char path[PATH_BYTES], body[128];
    long_path("secret/data/", path);
    (void)snprintf(path + strlen(path), sizeof path - strlen(path), "?version=1");
    assert_int_equal(as_agent(s, "GET", path, NULL), 200);
    long_path("fleet/consumers/h1/secret/", path);
    (void)snprintf(body, sizeof body, "{\"service\":\"orders\",\"version\":1,\"state\":\"%s\"}", state);
    s->vault->now_ms += 1;
    if (as_agent(s, "POST", path, body) != 200)
        fail_msg("%s", s->vault->body);
}

/* The second alarm has a command with the name in it. */
static void one_is_silent_twice(void **state)
{
    struct scene *s = with_long_name(*state);
    says_of_itself(s, "healthy");
    for (unsigned i = 0; i < 2; i++) {
        begin(s);
        soon(s, "acking");
        s->vault->now_ms += 31000;
        rotation_wake(s->vault->core->rotation);
        until(s, "rolled_back");
    }
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    says(s, "orders@h1 kept 2 runs in a row from ending well");
    scene_end(s);
}

static void frozen_says_what_is_next(void **state)
{
    struct scene *s = with_long_name(*state);
    char next[RUN_NEXT_MAX] = "";
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_account(&s->sim, "app_l")->verifier[0] = '\0';
    s->sim.vault = NULL;
    (void)pthread_mutex_unlock(&s->sim.lock);
    begin(s);
    soon(s, "frozen");
    text_at(s, "data.frozen.next", next, sizeof next);
    assert_non_null(strstr(next, "\nsecretctl kv patch 'secret/x/"));
    assert_non_null(strstr(next, "old_is_dead=true"));
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {IN_PLACE(one_is_silent_twice), IN_PLACE(frozen_says_what_is_next)};
    return cmocka_run_group_tests_name("rotation long names", tests, NULL, NULL);
}
