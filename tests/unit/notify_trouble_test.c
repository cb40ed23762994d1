/* Messages to people when something is in the way: a record that cannot be opened, a clock that was set, a
 * commit that is tried again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/log.h"
#include "tests/support/hearing.h"
#include "tests/support/meanwhile.h"
#include "vaultd/rotation/engine.h"

/* ---- vaultd's log, as it would be seen ---- */

static int stderr_was = -1;
static char log_path[] = "/tmp/notify-trouble-XXXXXX";

static void begin_log(void)
{
    (void)snprintf(log_path, sizeof log_path, "/tmp/notify-trouble-XXXXXX");
    int fd = mkstemp(log_path);
    assert_true(fd >= 0);
    stderr_was = dup(STDERR_FILENO);
    assert_true(stderr_was >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    assert_int_equal(close(fd), 0);
    kt_log_set_level(KT_LOG_INFO);
}

static unsigned logged(const char *text)
{
    char line[2048];
    unsigned n = 0;
    FILE *file = fopen(log_path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        n += strstr(line, text) != NULL;
    assert_int_equal(fclose(file), 0);
    return n;
}

static void end_log(void)
{
    kt_log_set_level(KT_LOG_ERROR);
    assert_true(dup2(stderr_was, STDERR_FILENO) >= 0);
    assert_int_equal(close(stderr_was), 0);
    assert_int_equal(unlink(log_path), 0);
}

/* Two pause everything at once: one of them did, and that is said once. */
static void said_once_when_it_is_true(void **state)
{
    static const struct visit first[] = {
        {.method = "POST", .path = "rotation/pause", .body = "{\"reason\":\"first\"}", .status = 200}, {0}};
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    begin_log();
    meanwhile(s->vault, first, NULL);
    need(s, 200, "POST", "rotation/pause", "{\"reason\":\"second\"}");
    assert_true(meanwhile_over());
    soon_heard(p, "ops", "PAUSED  all rotations; by root: first", 1);
    all_told(s);
    unsigned lines = logged("notice event=paused id=");
    end_log();
    assert_int_equal(lines, 1);
    assert_int_equal(heard(p, NULL, "\"event\":"), 1);
    scene_end(s);
}

/* ---- what cannot be opened ---- */

static enum kt_kind damage_handler(struct request *req, struct kt_err *err)
{
    static const unsigned char junk[] = {200, 1, 2, 3}; /* of a format that nobody knows */
    unsigned char key[DUE_KEY];
    const unsigned char *which = req->handler_data;
    unsigned char id[RUN_ID] = {*which};
    struct batch *batch = request_batch(req);
    notice_key(req->now_ms - 1, id, key);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_bytes(junk, sizeof junk), err);
}

static size_t rows(struct scene *s)
{
    return test_vault_rows(s->vault, TABLE_NOTICE);
}

/* Before all others in the line. */
static void a_damaged_message_stops_nobody(void **state)
{
    struct people *p = people_of(2);
    struct scene *s = begin(p, *state);
    unsigned char which[] = {1, 2};
    begin_log();
    assert_int_equal(request_internal(s->vault->core, "test", damage_handler, &which[0], NULL), KT_OK);
    assert_int_equal(request_internal(s->vault->core, "test", damage_handler, &which[1], NULL), KT_OK);
    need(s, 200, "POST", "rotation/pause", "{\"reason\":\"x\"}");
    soon_heard(p, "ops", "PAUSED", 1);
    soon_heard(p, "dba", "PAUSED", 1);
    all_told(s);
    for (int i = 0; i < PATIENCE && logged("notices-damaged messages=2") == 0; i++)
        pause_ms(1);
    unsigned lines = logged("notices-damaged messages=2");
    assert_int_equal(rows(s), 2);
    /* After three days nobody waits for them any more. */
    s->vault->now_ms += NOTIFY_OLD_MS + 1000;
    for (int i = 0; i < PATIENCE && rows(s) > 0; i++) {
        notifier_wake(s->vault->core->rotation->notifier);
        pause_ms(1);
    }
    end_log();
    assert_int_equal(lines, 1);
    assert_int_equal(rows(s), 0);
    scene_end(s);
}

/* ---- clocks ---- */

/* What was put off by a clock that was ahead does not wait until that time comes again. */
static void a_clock_that_was_set_back(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    p->deaf = true;
    s->vault->wall_ahead_ms = (int64_t)24 * 3600000;
    need(s, 200, "POST", "rotation/notify/ops/test", "{}");
    for (int i = 0; i < PATIENCE && tried(p) == 0; i++)
        pause_ms(1);
    assert_true(tried(p) > 0);
    (void)pthread_mutex_lock(&p->lock);
    p->deaf = false;
    (void)pthread_mutex_unlock(&p->lock);
    s->vault->wall_ahead_ms = 0;
    heard_in_the_end(p, s, "ops", "\"event\":\"test\""); /* in much less than a day */
    all_told(s);
    scene_end(s);
}

/* ---- numbers ---- */

static void wait_for_number(struct scene *s, const char *line)
{
    char text[128];
    (void)snprintf(text, sizeof text, "\n%s\n", line);
    for (int i = 0; i < PATIENCE; i++) {
        need(s, 200, "GET", "sys/metrics?format=prometheus", NULL);
        if (test_vault_said(s->vault, text))
            return;
        s->vault->now_ms += 1000; /* what failed may be put off only now */
        pause_ms(1);
    }
    fail_msg("never %s in %s", line, s->vault->body);
}

static void numbers_of_channels(void **state)
{
    struct people *p = people_of(2);
    struct scene *s = begin(p, *state);
    wait_for_number(s, "keyturn_notices_sent_total 0");
    p->deaf = true;
    need(s, 200, "POST", "rotation/notify/dba/test", "{}");
    wait_for_number(s, "keyturn_notify_channels_failing 1");
    wait_for_number(s, "keyturn_notices_waiting 1");
    assert_false(test_vault_said(s->vault, "\nkeyturn_notices_failed_total 0\n"));
    (void)pthread_mutex_lock(&p->lock);
    p->deaf = false;
    (void)pthread_mutex_unlock(&p->lock);
    s->vault->now_ms += NOTIFY_REST_MS;
    wait_for_number(s, "keyturn_notices_waiting 0");
    wait_for_number(s, "keyturn_notices_sent_total 1");
    wait_for_number(s, "keyturn_notify_channels_failing 0");
    wait_for_number(s, "keyturn_notices_given_up_total 0");
    scene_end(s);
}

/* ---- a name that is no channel's ---- */

static void a_name_that_is_no_channels(void **state)
{
    struct people *p = people_of(2);
    struct scene *s = begin(p, *state);
    need(s, 200, "POST", "rotation/secrets/" SECRET, "{\"notify\":\"obs\"}");
    says(s, "notify names none of the channels of vaultd's configuration (ops, dba)");
    need(s, 204, "POST", "rotation/secrets/" SECRET, "{\"notify\":\"obs dba\"}");
    need(s, 204, "POST", "rotation/secrets/" SECRET, "{\"notify\":\"\"}");
    need(s, 204, "POST", "rotation/secrets/" SECRET, "{\"owner\":\"x\"}");
    scene_end(s);
}

int main(void)
{
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        ALTERNATE(said_once_when_it_is_true),
        ALTERNATE(a_damaged_message_stops_nobody),
        ALTERNATE(a_clock_that_was_set_back),
        ALTERNATE(numbers_of_channels),
        ALTERNATE(a_name_that_is_no_channels),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("notify_trouble", tests, NULL, NULL);
}
