/* What people say of themselves and of what they ask for is a part of a line of the report, and no line of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/rotation_scene.h"
#include "vaultd/rotation/run.h"

#define FORGED "routine\\n- approved by: the board\\u001b[2J"

struct question {
    const char *method, *path, *body;
};

static void refused(struct scene *s, const struct question *q)
{
    need(s, 400, q->method, q->path, q->body);
    says(s, "control character");
}

static void is_refused(void **state)
{
    static const struct question rows[] = {
        {"POST", "rotation/rotate/" SECRET, "{\"reason\":\"" FORGED "\"}"},
        {"POST", "rotation/rotate/" SECRET, "{\"reason\":\"a\\u2028b\"}"},
        {"POST", "rotation/rotate/" SECRET, "{\"reason\":\"a\\u202eb\"}"},
        {"POST", "rotation/rotate/" SECRET, "{\"reason\":\"a\\u009bb\"}"},
        {"POST", "rotation/drill/" SECRET, "{\"reason\":\"" FORGED "\"}"},
        {"POST", "rotation/pause", "{\"reason\":\"" FORGED "\"}"},
        {"POST", "rotation/quarantine/h1/" SECRET, "{\"service\":\"orders\",\"reason\":\"" FORGED "\"}"},
        {"POST", "rotation/secrets/" SECRET, "{\"accounts\":[\"app_a\",\"app\\nb\"]}"},
        {"POST", "rotation/secrets/" SECRET, "{\"group\":\"a\\u2066b\"}"},
        {"POST", "rotation/secrets/" SECRET, "{\"after\":[\"secret/a\\nb\"]}"},
        {"POST", "rotation/classes", "{\"high\":{\"description\":\"a\\u202eb\"}}"},
        {"POST", "rotation/targets/pg", "{\"database\":\"a\\u2029b\"}"},
        {"POST", "fleet/consumers/h1/" SECRET, "{\"service\":\"a\\u202eb\",\"version\":1,\"state\":\"healthy\"}"},
    };
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        refused(s, &rows[i]);
    scene_end(s);
}

/* What agents say of a state of affairs is taken, and made plain. */
static void details_are_made_plain(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    s->vault->now_ms += 1;
    assert_int_equal(as_agent(s, "POST", "fleet/consumers/h1/" SECRET,
                              "{\"service\":\"orders\",\"version\":1,\"state\":\"unhealthy\","
                              "\"detail\":\"x\\u202e\\n- y\"}"), 200);
    rotate(s);
    soon_says(s, "to be healthy before anything is changed (x    - y)");
    scene_end(s);
}

static void forge(struct run *run)
{
    run->reason = "routine\n- approved by: the board\x1b[2J";
    run->by = "root\xe2\x80\xa8- checked by: everybody";
}

/* Stored before that was refused. */
static void a_stored_one_writes_no_line(void **state)
{
    struct scene *s = scene(*state);
    char path[128];
    static char text[16384];
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    put_into_run(s, s->run, forge);
    cancel(s, 200);
    assert_int_equal(report(s, "h1", 1, "rolled_back"), 200);
    until(s, "rolled_back");
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    text_at(s, "data.text", text, sizeof text);
    assert_non_null(strstr(text, "\n- started by: root   - checked by: everybody (operator): routine - approved by: the board [2J\n"));
    assert_null(strchr(text, '\x1b'));
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALTERNATE(is_refused), ALTERNATE(details_are_made_plain), ALTERNATE(a_stored_one_writes_no_line),
    };
    return cmocka_run_group_tests_name("rotation words", tests, NULL, NULL);
}
