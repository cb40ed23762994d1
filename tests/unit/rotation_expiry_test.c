/* delete_version_after, where a target knows the secret: what a service may need does not delete itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "tests/support/rotation_scene.h"

#define METADATA "secret/metadata/db/orders"
#define WARNING  "does not delete itself until it is out of use"

static void an_hour(struct scene *s)
{
    s->vault->now_ms += 61 * 60000;
}

static void ends_after_an_hour(struct scene *s)
{
    need(s, 200, "POST", METADATA, "{\"delete_version_after\":\"1h\"}");
    says(s, WARNING);
}

/* When the metadata says that the version deletes itself, or did; "": not at all. */
static void end_of(struct scene *s, unsigned version, char out[64])
{
    char dotted[64];
    (void)snprintf(dotted, sizeof dotted, "data.versions.%u.deletion_time", version);
    need(s, 200, "GET", METADATA, NULL);
    text_at(s, dotted, out, 64);
}

static void lives_on(struct scene *s, unsigned version)
{
    char end[64], path[64];
    end_of(s, version, end);
    assert_string_equal(end, "");
    (void)snprintf(path, sizeof path, "secret/data/db/orders?version=%u", version);
    need(s, 200, "GET", path, NULL);
}

static void is_over(struct scene *s, unsigned version)
{
    char path[64];
    (void)snprintf(path, sizeof path, "secret/data/db/orders?version=%u", version);
    need(s, 404, "GET", path, NULL);
}

static void change_rotation_warned(struct scene *s, const char *body)
{
    need(s, 200, "POST", "rotation/secrets/" SECRET, body);
    says(s, WARNING);
}

static void the_current_one_stays(void **state)
{
    struct scene *s = scene(*state);
    ends_after_an_hour(s);
    rotate(s);
    ends_done(s);
    lives_on(s, 2);
    an_hour(s);
    lives_on(s, 2);
    current_is(s, 2, alternates(s) ? "app_b" : "app_a");
    scene_end(s);
}

/* Its time goes by in the middle of a run: it is over when it is proven dead, and says so. */
static void the_old_one_ends_when_it_is_dead(void **state)
{
    struct scene *s = scene(*state);
    char end[64], seen[KT_TIME_TEXT];
    ends_after_an_hour(s);
    rotate(s);
    ends_done(s);
    change_rotation_warned(s, "{\"ack_timeout\":7200}");
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "healthy"), 200);
    rotate(s);
    soon(s, "acking");
    an_hour(s);
    lives_on(s, 2);
    lives_on(s, 3);
    kt_time_text(s->vault->now_ms, seen);
    acknowledge(s, "h1", 3);
    until(s, "done");
    lives_on(s, 3);
    is_over(s, 2);
    end_of(s, 2, end);
    assert_true(strcmp(end, seen) > 0);
    scene_end(s);
}

static void written_by_hand(void **state)
{
    struct scene *s = scene(*state);
    char end[64];
    ends_after_an_hour(s);
    need(s, 200, "POST", "secret/data/db/orders",
         "{\"data\":{\"username\":\"app_a\",\"password\":\"first-password-of-a\"}}");
    text_at(s, "data.deletion_time", end, sizeof end);
    assert_string_equal(end, "");
    an_hour(s);
    lives_on(s, 1);
    lives_on(s, 2);
    scene_end(s);
}

/* A secret whose version has its time yet, and one where that is over. */
static void adopted(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "DELETE", "rotation/secrets/" SECRET, NULL);
    need(s, 204, "POST", METADATA, "{\"delete_version_after\":\"1h\"}");
    need(s, 200, "POST", "secret/data/db/orders",
         "{\"data\":{\"username\":\"app_a\",\"password\":\"first-password-of-a\"}}");
    an_hour(s);
    is_over(s, 2);
    const char *settings = alternates(s) ? "{\"target\":\"pg\",\"strategy\":\"alternate\",\"accounts\":[\"app_a\","
                                           "\"app_b\"],\"group\":\"app\"}"
                         : revokes(s)    ? "{\"target\":\"pg\",\"strategy\":\"overlap\",\"accounts\":[\"app_a\"]}"
                                         : "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,"
                                           "\"accounts\":[\"app_a\"]}";
    need(s, 400, "POST", "rotation/secrets/" SECRET, settings);
    says(s, "the current version of '" SECRET "' is deleted");
    says(s, "secretctl kv undelete -versions=2 " SECRET);
    need(s, 204, "POST", "secret/undelete/db/orders", "{\"versions\":[2]}");
    need(s, 200, "POST", "rotation/secrets/" SECRET, settings);
    says(s, WARNING);
    an_hour(s);
    lives_on(s, 2);
    scene_end(s);
}

/* Its services go on with what is current; nobody needs what the run before had ended. */
static void let_go_of(void **state)
{
    struct scene *s = scene(*state);
    ends_after_an_hour(s);
    rotate(s);
    ends_done(s);
    an_hour(s);
    need(s, 204, "DELETE", "rotation/secrets/" SECRET, NULL);
    lives_on(s, 2);
    an_hour(s);
    lives_on(s, 2);
    scene_end(s);
}

static void an_administrative_login(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/targets/pg", "{\"admin_secret\":\"" SECRET "\"}");
    ends_after_an_hour(s);
    need(s, 200, "POST", "secret/data/db/orders",
         "{\"data\":{\"username\":\"app_a\",\"password\":\"first-password-of-a\"}}");
    an_hour(s);
    need(s, 200, "POST", "rotation/targets/pg/check", "{}");
    says(s, "\"ok\":true");
    scene_end(s);
}

/* Nobody rotates it: it does as its owner wants. */
static void a_login_that_will_end(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "secret/metadata/db/admin", "{\"delete_version_after\":\"1h\"}");
    need(s, 200, "POST", "secret/data/db/admin", "{\"data\":{\"username\":\"kt\",\"password\":\"admin\"}}");
    need(s, 200, "POST", "rotation/targets/pg", "{\"admin_secret\":\"secret/db/admin\"}");
    says(s, "deletes itself at 2027-01-15T");
    an_hour(s);
    need(s, 400, "POST", "rotation/targets/pg/check", "{}");
    says(s, "has no version to log in with");
    scene_end(s);
}

static void of_a_whole_mount(void **state)
{
    struct scene *s = scene(*state);
    need(s, 200, "POST", "secret/config", "{\"delete_version_after\":\"1h\"}");
    says(s, WARNING);
    need(s, 204, "POST", "secret/config", "{\"max_versions\":5}");
    need(s, 204, "POST", "sys/mounts/plain", "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
    need(s, 204, "POST", "plain/config", "{\"delete_version_after\":\"1h\"}");
    rotate(s);
    ends_done(s);
    an_hour(s);
    lives_on(s, 2);
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(the_current_one_stays), EACH(the_old_one_ends_when_it_is_dead), ALTERNATE(written_by_hand),
        EACH(adopted), ALTERNATE(let_go_of), ALTERNATE(an_administrative_login), ALTERNATE(a_login_that_will_end), ALTERNATE(of_a_whole_mount),
    };
    return cmocka_run_group_tests_name("rotation expiry", tests, NULL, NULL);
}
