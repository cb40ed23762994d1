/* What should be dead and is not proven to be: listed until it is, and told once when that takes too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "tests/support/rotation_scene.h"

static void listed(struct scene *s, const char *text)
{
    need(s, 200, "GET", "rotation/zombies", NULL);
    says(s, text);
}

static void set_down(struct scene *s, bool down)
{
    (void)pthread_mutex_lock(&s->sim.lock);
    s->sim.down = down;
    (void)pthread_mutex_unlock(&s->sim.lock);
}

/* The target is away from then on. */
static void stuck_in_revoking(struct scene *s)
{
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    listed(s, "\"count\":0,\"late\":0,\"zombies\":[]");
    set_down(s, true);
    acknowledge(s, "h1", 2);
    until(s, revokes(s) ? "revoking" : "confirming");
}

/* Time passes, and it is asked again, until the answer has this. */
static void passes_until(struct scene *s, const char *path, const char *text)
{
    need(s, 200, "GET", path, NULL);
    for (int i = 0; i < PATIENCE && !test_vault_said(s->vault, text); i++) {
        s->vault->now_ms += 30000;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
        need(s, 200, "GET", path, NULL);
    }
    says(s, text);
}

static void listed_until_dead(void **state)
{
    struct scene *s = scene(*state);
    char path[128];
    stuck_in_revoking(s);
    listed(s, "\"count\":1,\"late\":0,\"zombies\":[{\"secret\":\"" SECRET "\",\"version\":1,\"target\":\"pg\","
              "\"account\":\"app_a\",\"run\":\"");
    says(s, s->run);
    (void)snprintf(path, sizeof path, "rotation/runs/%s", s->run);
    passes_until(s, path, "was not proven dead within max_overlap");
    listed(s, "\"count\":1,\"late\":1,");
    test_vault_reseal(s->vault);
    listed(s, "\"count\":1,\"late\":1,");
    /* Said once, however often it is asked again. */
    for (int i = 0; i < 20; i++) {
        s->vault->now_ms += 600000;
        rotation_wake(s->vault->core->rotation);
        need(s, 200, "GET", path, NULL);
    }
    const char *first = strstr(s->vault->body, "was not proven dead within max_overlap");
    assert_non_null(first);
    assert_null(strstr(first + 1, "was not proven dead within max_overlap"));
    set_down(s, false);
    until(s, "done");
    listed(s, "\"count\":0,");
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    says(s, "the old credential was not proven dead within max_overlap");
    scene_end(s);
}

/* Frozen is another state than revoking, and the credential as old as it was. */
static void its_age_stays(void **state)
{
    struct scene *s = scene(*state);
    char path[128];
    stuck_in_revoking(s);
    (void)snprintf(path, sizeof path, "rotation/runs/%s", s->run);
    passes_until(s, path, "was not proven dead within max_overlap");
    SIM_SET(&s->sim, no_revoke, true);
    set_down(s, false);
    until(s, "frozen");
    listed(s, "\"count\":1,\"late\":1,");
    says(s, "\"state\":\"frozen\"");
    scene_end(s);
}

/* A person has to do something: it lives on, and is listed. */
static void frozen_ones_are_listed(void **state)
{
    struct scene *s = scene(*state);
    s->sim.no_revoke = true;
    rotate(s);
    until(s, "frozen");
    load_run(s);
    says(s, "KT-R-024");
    listed(s, "\"count\":1,");
    says(s, "\"state\":\"frozen\"");
    says(s, "does not let version 1 be ended");
    s->sim.no_revoke = false;
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/thaw", s->run);
    need(s, 200, "POST", path, NULL);
    until(s, "done");
    listed(s, "\"count\":0,");
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALTERNATE(listed_until_dead),
        OVERLAP(listed_until_dead),
        ALTERNATE(frozen_ones_are_listed),
        ALTERNATE(its_age_stays),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("rotation_zombies", tests, NULL, NULL);
}
