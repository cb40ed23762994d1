/* A record of another layout than this vaultd knows, as another version would have written it: it is named, with its
 * format and what to do, it hides in no list, and holds up nothing else. On a simulated target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "lib/log.h"
#include "tests/support/rotation_scene.h"
#include "vaultd/core/mounts.h"
#include "vaultd/rotation/names.h"
#include "vaultd/rotation/run.h"
#include "vaultd/rotation/secret.h"

/* ---- one byte more than its rows ---- */

static enum kt_kind lengthen(struct request *req, struct kt_bytes key, struct kt_err *err)
{
    struct kt_bytes record;
    generation changed = 0;
    kt_autobuf struct kt_buf longer;
    kt_buf_init(&longer, (size_t)64 * 1024);
    enum kt_kind kind = request_record(req, key, &record, &changed, err);
    if (kind != KT_OK)
        return kind;
    kt_buf_add_bytes(&longer, record);
    kt_buf_add_u8(&longer, 0);
    return barrier_put(req->core->barrier, request_batch(req), key, kt_buf_bytes(&longer), err);
}

static enum kt_kind lengthen_secret(struct request *req, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    const char *path = NULL;
    const struct mount *mount = mounts_find(req, SECRET, &path);
    secret_key(req->core, mount->scope, path, key);
    return lengthen(req, kt_bytes(key, sizeof key), err);
}

static enum kt_kind lengthen_target(struct request *req, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    target_key(req->core, "pg", key);
    return lengthen(req, kt_bytes(key, sizeof key), err);
}

static enum kt_kind lengthen_run(struct request *req, struct kt_err *err)
{
    unsigned char key[RUN_KEY], id[RUN_ID];
    const struct scene *s = req->handler_data;
    if (!run_id_parse(s->run, id))
        return kt_fail(err, KT_INVALID, "no run");
    run_key(id, key);
    return lengthen(req, kt_bytes(key, sizeof key), err);
}

static void make_unreadable(struct scene *s, enum kt_kind (*how)(struct request *req, struct kt_err *err))
{
    struct kt_err err = {0};
    if (request_internal(s->vault->core, "test/record", how, s, &err) != KT_OK)
        fail_msg("%s", err.what);
}

/* ---- cases ---- */

static void is_named(void **state)
{
    struct scene *s = scene(*state);
    char text[160];
    rotate(s);
    until(s, "done");
    make_unreadable(s, lengthen_run);
    (void)snprintf(text, sizeof text, "rotation/runs/%s", s->run);
    need(s, 500, "GET", text, NULL);
    (void)snprintf(text, sizeof text, "run %s: a rotation run of format %u, ", s->run, run_kind.forms[0].format);
    says(s, text);
    says(s, "another version of vaultd wrote it; install that one");
    make_unreadable(s, lengthen_target);
    need(s, 500, "GET", "rotation/targets/pg", NULL);
    says(s, "target 'pg': a rotation target of format ");
    make_unreadable(s, lengthen_secret);
    need(s, 500, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "the rotation of '" SECRET "': a rotation setting of format ");
    says(s, "no disk damaged it");
    scene_end(s);
}

static void hides_in_no_list(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"period\":\"20d\"}");
    need(s, 200, "POST", "secret/data/other", "{\"data\":{\"password\":\"x\"}}");
    need(s, 204, "POST", "rotation/secrets/secret/other", "{\"strategy\":\"generate\",\"period\":\"30d\"}");
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"unreadable\":0");
    make_unreadable(s, lengthen_secret);
    need(s, 200, "GET", "rotation/due", NULL);
    says(s, "\"secret\":\"secret/other\"");
    says(s, "1 more have a time, and cannot be read");
    assert_false(test_vault_said(s->vault, SECRET));
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"checked\":1,\"count\":0,");
    says(s, "\"unreadable\":1");
    says(s, "1 more cannot be read");
    scene_end(s);
}

static void is_counted(void **state)
{
    struct scene *s = scene(*state);
    make_unreadable(s, lengthen_secret);
    for (int i = 0; i < PATIENCE; i++) {
        need(s, 200, "GET", "sys/metrics?format=prometheus", NULL);
        if (test_vault_said(s->vault, "\nkeyturn_rotation_unreadable 1\n"))
            break;
        if (i % 100 == 0)
            s->vault->now_ms += 300000;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    says(s, "\nkeyturn_rotation_unreadable 1\n");
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {OVERLAP(is_named), OVERLAP(hides_in_no_list), OVERLAP(is_counted)};
    kt_log_set_level((enum kt_log_level)0);
    return cmocka_run_group_tests_name("rotation_unreadable", tests, NULL, NULL);
}
