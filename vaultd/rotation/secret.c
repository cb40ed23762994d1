#include "vaultd/rotation/secret.h"

#include "vaultd/core/mounts.h"
#include "vaultd/rotation/calendar.h"

#define RECORD_MAX ((size_t)48 * 1024)

#define ROW(member, type, most) RECORD_ROW(struct rotation_secret, member, type, most)
#define ROWS_1                                                                                     \
    ROW(id, RECORD_BYTES, RUN_ID),                                                                 \
    ROW(name, RECORD_TEXT, 8192),                                                                  \
    SETTINGS_ROWS(struct rotation_secret, settings),                                               \
    ROW(active, RECORD_BOOL, 1),                                                                   \
    ROW(run, RECORD_BYTES, RUN_ID),                                                                \
    ROW(due, RECORD_BOOL, 1),                                                                      \
    ROW(fire_ms, RECORD_I64, 1),                                                                   \
    ROW(due_ms, RECORD_I64, 1),                                                                    \
    ROW(closes_ms, RECORD_I64, 1),                                                                 \
    ROW(reason, RECORD_ENUM, KT_DUE_NEWS + 1),                                                     \
    ROW(last_fire_ms, RECORD_I64, 1),                                                              \
    ROW(last_done_ms, RECORD_I64, 1),                                                              \
    ROW(last_state, RECORD_ENUM, RUN_STATE_COUNT),                                                 \
    ROW(failures, RECORD_U32, 0),                                                                  \
    ROW(done_from, RECORD_U32, 0),                                                                 \
    ROW(done_to, RECORD_U32, 0),                                                                   \
    ROW(held, RECORD_TEXT, 512),                                                                   \
    ROW(budgets[0].last_ms, RECORD_I64, 1),                                                        \
    ROW(budgets[0].refused_ms, RECORD_I64, REFUSALS_KEPT),                                         \
    ROW(budgets[1].last_ms, RECORD_I64, 1),                                                        \
    ROW(budgets[1].refused_ms, RECORD_I64, REFUSALS_KEPT)
static const struct record_row rows_1[] = {ROWS_1};
#define ROWS_2                                                                                     \
    ROWS_1,                                                                                        \
    SETTINGS_ROWS_2(struct rotation_secret, settings),                                             \
    ROW(look_due_ms, RECORD_I64, 1),                                                               \
    ROW(looked_ms, RECORD_I64, 1),                                                                 \
    ROW(verified_ms, RECORD_I64, 1),                                                               \
    ROW(drifted_ms, RECORD_I64, 1),                                                                \
    ROW(look_version, RECORD_U32, 0),                                                              \
    ROW(look, RECORD_TEXT, LOOK_TEXT_MAX)
static const struct record_row rows_2[] = {ROWS_2};
#define ROWS_3 ROWS_2, ROW(settings.blackout, RECORD_TEXT, CALENDAR_NAME_MAX)
static const struct record_row rows_3[] = {ROWS_3};
#define ROWS_DRILL                                                                                 \
    ROW(backed_ms, RECORD_I64, 1),                                                                 \
    ROW(back_took_ms, RECORD_I64, 1),                                                              \
    ROW(drill_fire_ms, RECORD_I64, 1),                                                             \
    ROW(drill_due_ms, RECORD_I64, 1),                                                              \
    ROW(drilled_ms, RECORD_I64, 1),                                                                \
    ROW(drill_took_ms, RECORD_I64, 1),                                                             \
    ROW(drill_ok, RECORD_BOOL, 1),                                                                 \
    ROW(drill_text, RECORD_TEXT, DRILL_TEXT_MAX)
static const struct record_row rows_4[] = {
    ROWS_3,
    SETTINGS_ROWS_3(struct rotation_secret, settings),
    ROWS_DRILL,
};
static const struct record_row rows_5[] = {
    ROWS_3,
    SETTINGS_ROWS_3(struct rotation_secret, settings),
    SETTINGS_ROWS_4(struct rotation_secret, settings),
    ROWS_DRILL,
    ROW(overdue_told, RECORD_U32, 0),
    ROW(led_by, RECORD_TEXT, 8192),
    ROW(gap_at_ms, RECORD_I64, 1),
    ROW(gap_ms, RECORD_I64, 1),
    ROW(gap_until, RECORD_TEXT, GAP_UNTIL_MAX),
};
/* Two versions of vaultd wrote 4, each with its own rows. None of one reads as the other's: behind the start that
 * they share, the later has at least 77 bytes up to drill_ok, and lengths behind it; the earlier's own drill_text
 * begins after 53, and no byte of a text is 0. */
static const struct record_form forms[] = {RECORD_FORM(5, rows_5), RECORD_FORM(4, rows_5), RECORD_FORM(4, rows_4),
                                           RECORD_FORM(3, rows_3), RECORD_FORM(2, rows_2), RECORD_FORM(1, rows_1)};
const struct record_kind secret_kind = {"rotation setting", forms, sizeof forms / sizeof forms[0],
                                        sizeof(struct rotation_secret)};

enum kt_kind secret_place(struct request *req, const char *name, const struct mount **ret_mount,
                          const char **ret_path, struct kt_err *err)
{
    const char *rest = NULL;
    const struct mount *mount = mounts_find(req, name, &rest);
    if (mount == NULL || mount->engine == NULL || strcmp(mount->type, "kv") != 0 ||
        rest[0] == '\0' || rest[strlen(rest) - 1] == '/') {
        (void)kt_fail(err, KT_NOT_FOUND, "\"%s\" is not the path of a secret", name);
        kt_hint(err, "name it with its mount and without data/: secret/db/orders");
        return KT_NOT_FOUND;
    }
    if (mount->version == NULL || strcmp(mount->version, "2") != 0) {
        (void)kt_fail(err, KT_NOT_FOUND, "\"%s\" has no versions: its mount is KV version 1", name);
        kt_hint(err, "a rotation goes from one version to the next: tune the mount, POST sys/mounts/%stune "
                     "{\"options\":{\"version\":\"2\"}}",
                mount->path);
        return KT_NOT_FOUND;
    }
    *ret_mount = mount;
    *ret_path = rest;
    return KT_OK;
}

enum kt_kind secret_load(struct request *req, const char *name, struct rotation_secret *ret,
                         struct kt_err *err)
{
    const struct mount *mount = NULL;
    const char *path = NULL;
    *ret = (struct rotation_secret){.name = name, .held = "", .look = "", .drill_text = "", .led_by = "", .gap_until = ""};
    enum kt_kind kind = secret_place(req, name, &mount, &path, err);
    if (kind != KT_OK)
        return kind;
    unsigned char key[BARRIER_NAME_KEY];
    secret_key(req->core, mount->scope, path, key);
    struct kt_bytes record;
    generation changed = 0;
    kind = request_record(req, kt_bytes(key, sizeof key), &record, &changed, err);
    if (kind == KT_NOT_FOUND) {
        settings_defaults(&ret->settings);
        secret_id(req->core, mount->scope, path, ret->id);
    } else if (kind == KT_OK) {
        kind = record_read(&secret_kind, record, &req->arena, ret, err);
    }
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        kt_context(err, "the rotation of '%s'", name);
    ret->changed = changed;
    ret->mount = mount;
    ret->path = path;
    return kind;
}

enum kt_kind secret_save(struct request *req, const struct rotation_secret *secret,
                         struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    record_write(&secret_kind, secret, &record);
    if (batch == NULL || !kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing a secret's rotation");
    unsigned char key[BARRIER_NAME_KEY];
    secret_key(req->core, secret->mount->scope, secret->path, key);
    batch_require(batch, secret->changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT,
                  kt_bytes(key, sizeof key), secret->changed);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record),
                       err);
}
