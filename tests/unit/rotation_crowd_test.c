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
    for (int i = 0; i < 6; i++) {
        char part[202];
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

#define BOTH(fn)                                                                                   \
    {#fn " (alternate)", fn, NULL, NULL, alternate}, {#fn " (in-place)", fn, NULL, NULL, in_place}
#define ALTERNATE(fn) {#fn " (alternate)", fn, NULL, NULL, alternate}
#define IN_PLACE(fn)  {#fn " (in-place)", fn, NULL, NULL, in_place}

int main(void)
{
    static char alternate[] = "alternate", in_place[] = "in-place";
    const struct CMUnitTest tests[] = {
        BOTH(long_names),
        ALTERNATE(long_paths),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("rotation_crowd", tests, NULL, NULL);
}
