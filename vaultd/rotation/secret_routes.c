#include <stdlib.h>

#include "vaultd/core/mounts.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/work.h"

#define CLAIM_FORMAT 1u
#define LIST_MAX     5000u

static void wake_after(struct request *req, const struct commit_result *result)
{
    if (result->error == STORE_OK)
        rotation_wake(req->core->rotation);
}

static enum kt_kind load_named(struct request *req, struct rotation_secret *ret,
                               struct kt_err *err)
{
    return secret_load(req, request_param(req, "path"), ret, err);
}

enum kt_kind secret_exists(struct request *req, bool *ret_exists, struct kt_err *err)
{
    struct rotation_secret secret;
    enum kt_kind kind = load_named(req, &secret, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (err != NULL)
        *err = (struct kt_err){0};
    *ret_exists = kind == KT_OK;
    return KT_OK;
}

/* ---- reading ---- */

static void show_state(const struct rotation_secret *secret, const struct kv_secret *kv,
                       struct kt_jsonw *w)
{
    char id[RUN_ID_TEXT];
    static const unsigned char none[RUN_ID];
    run_id_text(secret->run, id);
    kt_jsonw_key(w, "state");
    kt_jsonw_object(w);
    kt_jsonw_kv_int(w, "current", kv == NULL ? 0 : kv->current);
    kt_jsonw_kv_int(w, "pending", kv == NULL ? 0 : kv->pending);
    kt_jsonw_kv_int(w, "previous", kv == NULL ? 0 : kv->previous);
    kt_jsonw_kv_text(w, "run", secret->active ? id : "");
    kt_jsonw_kv_text(w, "last_run", memcmp(secret->run, none, RUN_ID) == 0 ? "" : id);
    kt_jsonw_kv_time(w, "next_due", secret->due ? secret->due_ms : 0);
    kt_jsonw_kv_text(w, "next_reason", secret->due ? kt_due_reason_text(secret->reason) : "");
    kt_jsonw_kv_time(w, "last_fire", secret->last_fire_ms);
    kt_jsonw_kv_time(w, "last_done", secret->last_done_ms);
    kt_jsonw_kv_text(w, "last_result",
                     secret->last_state == RUN_PLANNED ? "" : run_state_text(secret->last_state));
    kt_jsonw_kv_int(w, "failures", secret->failures);
    kt_jsonw_kv_text(w, "held", secret->held);
    kt_jsonw_end(w);
}

enum kt_kind secret_read(struct request *req, struct kt_err *err)
{
    struct rotation_secret secret;
    enum kt_kind kind = load_named(req, &secret, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "'%s' has no rotation", request_param(req, "path"));
    struct kv_secret *kv = NULL;
    if (kind == KT_OK)
        kind = kv_load(req->core, secret.mount, req->snapshot, &req->arena, secret.path, &kv, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 4096);
    struct kt_schedule_text schedule_text;
    settings_schedule(&secret.settings, &schedule_text);
    kt_autoschedule struct kt_schedule *schedule = NULL;
    if (kt_schedule_parse(&schedule_text, &schedule, NULL) == KT_OK)
        kt_schedule_describe(schedule, &text);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    settings_show(&secret.settings, &w);
    kt_jsonw_kv_text(&w, "schedule", kt_buf_text(&text));
    show_state(&secret, kv, &w);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* ---- listing ---- */

struct name_list {
    const char **at;
    size_t n, room;
};

static bool add_name(struct request *req, struct name_list *list, const char *name)
{
    if (list->n == list->room) {
        size_t room = list->room == 0 ? 64 : list->room * 2;
        const char **more = kt_arena_take(&req->arena, room * sizeof *more);
        if (more == NULL)
            return false;
        if (list->n > 0)
            memcpy(more, list->at, list->n * sizeof *more);
        list->at = more;
        list->room = room;
    }
    list->at[list->n++] = name;
    return true;
}

static bool below(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);
    while (len > 0 && prefix[len - 1] == '/')
        len--;
    return strncmp(name, prefix, len) == 0 &&
           (len == 0 || name[len] == '/' || name[len] == '\0');
}

static enum kt_kind list_mount(struct request *req, const struct mount *mount, const char *prefix,
                               struct name_list *list, struct kt_err *err)
{
    unsigned char key[BARRIER_FOLDER_PREFIX];
    secrets_prefix(req->core, mount->scope, key);
    struct cursor *cursor = NULL;
    if (cursor_open(req->snapshot, kt_bytes(key, sizeof key), kt_bytes(NULL, 0), &cursor) !=
        STORE_OK)
        return kt_fail(err, KT_IO, "listing rotations");
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, 65536);
    struct entry entry;
    enum kt_kind kind = KT_OK;
    while (kind == KT_OK && list->n < LIST_MAX && cursor_next(cursor, &entry) == STORE_OK) {
        struct rotation_secret secret;
        kt_buf_reset(&plain);
        kind = barrier_open_entry(req->core->barrier, entry.key, entry.value, &plain, err);
        if (kind == KT_OK)
            kind = record_read(&secret_kind, kt_buf_bytes(&plain), &req->arena, &secret, err);
        if (kind == KT_OK && below(secret.name, prefix) && !add_name(req, list, secret.name))
            kind = kt_fail(err, KT_NO_MEMORY, "listing rotations");
    }
    cursor_close(cursor);
    return kind;
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

enum kt_kind secrets_list(struct request *req, struct kt_err *err)
{
    const char *prefix = request_param(req, "path");
    const struct mount *const *mounts = NULL;
    size_t n = mounts_all(req, &mounts);
    struct name_list list = {0};
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; i < n && kind == KT_OK; i++)
        if (strcmp(mounts[i]->type, "kv") == 0)
            kind = list_mount(req, mounts[i], prefix, &list, err);
    if (kind != KT_OK || list.n == 0)
        return kind;
    qsort(list.at, list.n, sizeof list.at[0], by_text);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "keys");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < list.n; i++)
        kt_jsonw_text(&w, list.at[i]);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}

static enum kt_kind blocked_by(struct request *req, const struct rotation_secret *secret,
                               const char **ret, struct kt_err *err)
{
    *ret = secret->held;
    struct rotation *rotation = req->core->rotation;
    (void)pthread_mutex_lock(&rotation->lock);
    if (rotation->clock.alarm)
        *ret = kt_arena_text(&req->arena, kt_str(rotation->clock.text));
    (void)pthread_mutex_unlock(&rotation->lock);
    if (*ret == NULL)
        return kt_fail(err, KT_NO_MEMORY, "asking what is due");
    if ((*ret)[0] != '\0' || !settings_has_target(&secret->settings))
        return KT_OK;
    struct rotation_target target;
    enum kt_kind kind = target_load(req, secret->settings.target, &target, err);
    if (kind == KT_OK && target.failures >= ROTATION_BREAKER)
        *ret = kt_arena_printf(&req->arena, "%u runs in a row failed at target %s", target.failures,
                               target.name);
    return kind == KT_NOT_FOUND || *ret != NULL ? KT_OK : kind;
}

enum kt_kind due_list(struct request *req, struct kt_err *err)
{
    int64_t limit = 50;
    enum kt_kind kind = request_int(req, "limit", &limit, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (limit < 1 || limit > (int64_t)LIST_MAX)
        return kt_fail(err, KT_INVALID, "limit must be from 1 to %u", LIST_MAX);
    unsigned char table = TABLE_DUE;
    struct cursor *cursor = NULL;
    if (cursor_open(req->snapshot, kt_bytes(&table, 1), kt_bytes(NULL, 0), &cursor) != STORE_OK)
        return kt_fail(err, KT_IO, "asking what is due");
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "due");
    kt_jsonw_array(&w);
    struct entry entry;
    kind = KT_OK;
    while (kind == KT_OK && limit-- > 0 && cursor_next(cursor, &entry) == STORE_OK) {
        const char *name = NULL, *blocked = NULL;
        struct rotation_secret secret;
        kind = due_row_name(req, &entry, &name, err);
        if (kind == KT_OK && secret_load(req, name, &secret, NULL) != KT_OK)
            continue;
        if (kind == KT_OK)
            kind = blocked_by(req, &secret, &blocked, err);
        if (kind != KT_OK)
            break;
        int64_t due = due_time_of_key(entry.key);
        kt_jsonw_object(&w);
        kt_jsonw_kv_text(&w, "secret", name);
        kt_jsonw_kv_time(&w, "next_due", due);
        kt_jsonw_kv_text(&w, "reason", kt_due_reason_text(secret.reason));
        kt_jsonw_kv_int(&w, "overdue_s", due < req->now_ms ? (req->now_ms - due) / 1000 : 0);
        kt_jsonw_kv_text(&w, "blocked_by", blocked);
        kt_jsonw_end(&w);
    }
    cursor_close(cursor);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return kind;
}

/* ---- checking what is written ---- */

static enum kt_kind check_strategy(const struct rotation_settings *s,
                                   const struct rotation_target *target, struct kt_err *err)
{
    const struct driver_info *info = kt_driver_info(target->driver);
    if (info == NULL)
        return kt_fail(err, KT_INVALID, "target '%s' has a driver that this vaultd does not have",
                       target->name);
    if (s->strategy == STRATEGY_GENERATE) {
        (void)kt_fail(err, KT_INVALID, "strategy generate has no target");
        kt_hint(err, "strategy=alternate with two accounts and a group changes the password without "
                     "a gap; strategy=in-place has one account and a gap");
        return KT_INVALID;
    }
    bool alternate = s->strategy == STRATEGY_ALTERNATE;
    if (alternate ? !info->alternate : !info->in_place)
        return kt_fail(err, KT_INVALID, "driver %s cannot do strategy %s", target->driver,
                       run_strategy_text(s->strategy));
    if (alternate && (settings_accounts(s) != 2 || strcmp(s->accounts[0], s->accounts[1]) == 0)) {
        (void)kt_fail(err, KT_INVALID, "strategy alternate needs two different accounts");
        kt_hint(err, "accounts=app_a,app_b, both in group=app");
        return KT_INVALID;
    }
    if (alternate && s->group[0] == '\0')
        return kt_fail(err, KT_INVALID,
                       "strategy alternate needs group: the role that owns everything");
    if (alternate && (strcmp(s->group, s->accounts[0]) == 0 ||
                      strcmp(s->group, s->accounts[1]) == 0))
        return kt_fail(err, KT_INVALID, "group must be another role than the accounts");
    if (!alternate && settings_accounts(s) != 1)
        return kt_fail(err, KT_INVALID, "strategy in-place needs one account");
    return KT_OK;
}

static enum kt_kind check_current(struct request *req, const struct rotation_secret *secret,
                                  const struct kv_secret *kv, struct kt_err *err)
{
    const struct rotation_settings *s = &secret->settings;
    if (kv->current == 0) {
        (void)kt_fail(err, KT_INVALID, "'%s' has no version: there is nothing to rotate",
                      secret->name);
        kt_hint(err, "write the credential that is in use first: secretctl kv put %s %s= %s=",
                secret->name, s->username_field, s->password_field);
        return KT_INVALID;
    }
    struct credential now;
    enum kt_kind kind = credential_load(req, secret, s, kv, kv->current, &now, NULL, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "the current version of '%s' is gone", secret->name);
    if (kind != KT_OK)
        return kind;
    if (strcmp(now.username, s->accounts[0]) != 0 &&
        (s->accounts[1][0] == '\0' || strcmp(now.username, s->accounts[1]) != 0)) {
        (void)kt_fail(err, KT_INVALID, "the secret's \"%s\" is none of the accounts",
                      s->username_field);
        kt_hint(err,
                "name the account that is in use in accounts, or mend the secret (%s?): secretctl kv "
                "patch %s %s=",
                s->accounts[0], secret->name, s->username_field);
        return KT_INVALID;
    }
    for (const char *at = now.password; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at > 0x7e)
            return kt_fail(err, KT_INVALID,
                           "the current password has characters that are not printable ASCII: "
                           "this driver cannot tell how the server reads them");
    return KT_OK;
}

static enum kt_kind check_settings(struct request *req, const struct rotation_secret *secret,
                                   struct kt_err *err)
{
    const struct rotation_settings *s = &secret->settings;
    struct kt_generator generator;
    enum kt_kind kind = settings_generator(s, &generator, err);
    if (kind != KT_OK)
        return kind;
    struct kt_schedule_text text;
    settings_schedule(s, &text);
    kt_autoschedule struct kt_schedule *schedule = NULL;
    kind = kt_schedule_parse(&text, &schedule, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_INVALID : kind;
    kt_autobuf struct kt_buf warnings;
    kt_buf_init(&warnings, 4096);
    kt_schedule_warn(schedule, req->now_ms, &warnings);
    if (warnings.len > 0)
        request_warn(req, "%s", kt_buf_text(&warnings));
    if (s->password_field[0] == '\0' || strcmp(s->username_field, s->password_field) == 0)
        return kt_fail(err, KT_INVALID,
                       "password_field and username_field must name two members of the secret");
    if (!settings_has_target(s) && s->strategy != STRATEGY_GENERATE) {
        (void)kt_fail(err, KT_INVALID, "strategy %s needs a target", run_strategy_text(s->strategy));
        kt_hint(err, "target=NAME; make one: secretctl target set NAME driver=postgresql ...");
        return KT_INVALID;
    }
    if (s->max_overlap_s < s->overlap_s)
        request_warn(req, "max_overlap is shorter than overlap: it has no effect");
    return KT_OK;
}

/* ---- claims: no two secrets rotate one account ---- */

static enum kt_kind claim(struct request *req, const struct rotation_secret *secret,
                          const char *account, struct kt_err *err)
{
    unsigned char key[BARRIER_HASH_KEY];
    lock_key(req->core, "account", secret->settings.target, account, key);
    struct batch *batch = request_batch(req);
    struct kt_bytes record;
    generation changed = 0;
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, &changed, err);
    if (kind == KT_OK) {
        struct kt_reader r = kt_reader(record);
        unsigned format = kt_read_u8(&r);
        struct kt_bytes owner = kt_read_field(&r);
        if (format != CLAIM_FORMAT || !kt_reader_done(&r))
            return kt_fail(err, KT_CORRUPT, "a claim on an account is damaged");
        if (!kt_bytes_is(owner, secret->name)) {
            (void)kt_fail(err, KT_INVALID, "KT-R-007 account '%s' at '%s' is rotated by '%.*s'",
                          account, secret->settings.target, (int)owner.len,
                          (const char *)owner.at);
            kt_hint(err, "each secret needs an account of its own");
            return KT_INVALID;
        }
        return KT_OK;
    }
    if (kind != KT_NOT_FOUND)
        return kind;
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, 16384);
    kt_buf_add_u8(&plain, CLAIM_FORMAT);
    kt_buf_add_field(&plain, kt_str(secret->name));
    if (batch == NULL || !kt_buf_ok(&plain))
        return kt_fail(err, KT_NO_MEMORY, "claiming an account");
    batch_require(batch, KEY_ABSENT, kt_bytes(key, sizeof key), 0);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&plain),
                       err);
}

static bool still_claimed(const struct rotation_settings *now, const char *target,
                          const char *account)
{
    return strcmp(now->target, target) == 0 && (strcmp(now->accounts[0], account) == 0 ||
                                                strcmp(now->accounts[1], account) == 0);
}

static enum kt_kind change_claims(struct request *req, const struct rotation_settings *before,
                                  const struct rotation_secret *secret, struct kt_err *err)
{
    const struct rotation_settings *now = &secret->settings;
    for (size_t i = 0; i < 2; i++) {
        const char *account = before->accounts[i];
        if (!settings_has_target(before) || account[0] == '\0' ||
            still_claimed(now, before->target, account))
            continue;
        unsigned char key[BARRIER_HASH_KEY];
        lock_key(req->core, "account", before->target, account, key);
        batch_delete(request_batch(req), kt_bytes(key, sizeof key));
    }
    for (size_t i = 0; i < 2 && settings_has_target(now); i++) {
        if (now->accounts[i][0] == '\0')
            continue;
        enum kt_kind kind = claim(req, secret, now->accounts[i], err);
        if (kind != KT_OK)
            return kind;
    }
    return KT_OK;
}

static enum kt_kind count_user(struct request *req, const char *name, int change,
                               struct kt_err *err)
{
    if (name[0] == '\0')
        return KT_OK;
    struct rotation_target target;
    enum kt_kind kind = target_load(req, name, &target, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    if (change > 0)
        target.users++;
    else if (target.users > 0)
        target.users--;
    return target_save(req, &target, err);
}

static enum kt_kind change_users(struct request *req, const char *before, const char *now,
                                 struct kt_err *err)
{
    if (strcmp(before, now) == 0)
        return KT_OK;
    enum kt_kind kind = count_user(req, before, -1, err);
    return kind == KT_OK ? count_user(req, now, 1, err) : kind;
}

/* ---- writing ---- */

static bool same_place(const struct rotation_settings *a, const struct rotation_settings *b)
{
    return strcmp(a->target, b->target) == 0 && a->strategy == b->strategy &&
           strcmp(a->accounts[0], b->accounts[0]) == 0 &&
           strcmp(a->accounts[1], b->accounts[1]) == 0 && strcmp(a->group, b->group) == 0 &&
           strcmp(a->username_field, b->username_field) == 0 &&
           strcmp(a->password_field, b->password_field) == 0;
}

static enum kt_kind refuse_active(const struct rotation_secret *secret, struct kt_err *err)
{
    char id[RUN_ID_TEXT];
    run_id_text(secret->run, id);
    (void)kt_fail(err, KT_INVALID, "KT-R-005 run %s of '%s' is under way: it would not know whom to "
                                   "change",
                  id, secret->name);
    kt_hint(err, "wait for it (secretctl run watch %s), or go back first: secretctl run cancel %s",
            id, id);
    return KT_INVALID;
}

/* The value that is there is what the target accepts: it stays as it is, and cannot be destroyed. */
static enum kt_kind adopt(struct request *req, struct rotation_secret *secret,
                          struct kv_secret *kv, struct kt_err *err)
{
    bool driven = settings_has_target(&secret->settings);
    if (kv->changed == 0 || (kv->has_driver == driven && !driven))
        return KT_OK;
    bool changed = kv->has_driver != driven;
    kv->has_driver = driven;
    for (size_t i = 0; i < kv->n_versions; i++) {
        struct kv_version *v = &kv->versions[i];
        bool accepted = driven && (v->accepted_maybe || v->number == kv->current);
        changed = changed || v->accepted_maybe != accepted;
        v->accepted_maybe = accepted;
        if (secret->last_done_ms == 0 && v->number == kv->current)
            secret->last_done_ms = v->created_ms;
    }
    if (!changed)
        return KT_OK;
    return kv_save(req->core, secret->mount, request_batch(req), secret->path, kv, err);
}

static enum kt_kind check_target_side(struct request *req, const struct rotation_secret *secret,
                                      const struct kv_secret *kv, struct kt_err *err)
{
    if (!settings_has_target(&secret->settings))
        return KT_OK;
    struct rotation_target target;
    enum kt_kind kind = target_load(req, secret->settings.target, &target, err);
    if (kind == KT_NOT_FOUND) {
        (void)kt_fail(err, KT_INVALID, "there is no target '%s'", secret->settings.target);
        kt_hint(err, "make it first: secretctl target set %s driver=postgresql host=...",
                secret->settings.target);
        return KT_INVALID;
    }
    if (kind != KT_OK)
        return kind;
    if (!rotation_can_run(req->core->rotation))
        return kt_fail(err, KT_INVALID, "this vaultd was started without what runs drivers");
    kind = check_strategy(&secret->settings, &target, err);
    return kind == KT_OK ? check_current(req, secret, kv, err) : kind;
}

static enum kt_kind store_settings(struct request *req, const struct rotation_settings *before,
                                   struct rotation_secret *secret, struct kv_secret *kv,
                                   struct kt_err *err)
{
    enum kt_kind kind = change_claims(req, before, secret, err);
    if (kind == KT_OK)
        kind = change_users(req, before->target, secret->settings.target, err);
    if (kind == KT_OK && !secret->active)
        kind = adopt(req, secret, kv, err);
    if (kind == KT_OK && !secret->active) {
        secret->held = "";
        kind = due_plan(req, secret, req->now_ms, err);
    }
    if (kind == KT_OK)
        kind = secret_save(req, secret, err);
    return kind;
}

enum kt_kind secret_write(struct request *req, struct kt_err *err)
{
    struct rotation_secret secret;
    enum kt_kind kind = load_named(req, &secret, err);
    if (kind == KT_NOT_FOUND && secret_place(req, request_param(req, "path"), &secret.mount,
                                             &secret.path, err) != KT_OK)
        return KT_INVALID;
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    const struct rotation_settings before = secret.settings;
    kind = settings_read(req, &secret.settings, err);
    if (kind == KT_OK)
        kind = check_settings(req, &secret, err);
    struct kv_secret *kv = NULL;
    if (kind == KT_OK)
        kind = kv_load(req->core, secret.mount, req->snapshot, &req->arena, secret.path, &kv, err);
    if (kind != KT_OK && (kind != KT_NOT_FOUND || kv == NULL))
        return kind;
    if (secret.active && !same_place(&before, &secret.settings))
        return refuse_active(&secret, err);
    if (secret.active)
        request_warn(req, "a run is under way: this applies from the next run");
    kind = check_target_side(req, &secret, kv, err);
    if (kind != KT_OK)
        return kind;
    if (request_batch(req) == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing a rotation");
    req->after_commit = wake_after;
    return store_settings(req, &before, &secret, kv, err);
}

enum kt_kind secret_delete(struct request *req, struct kt_err *err)
{
    struct rotation_secret secret;
    enum kt_kind kind = load_named(req, &secret, err);
    if (kind == KT_NOT_FOUND) {
        *err = (struct kt_err){0};
        return KT_OK;
    }
    if (kind != KT_OK)
        return kind;
    if (secret.active)
        return refuse_active(&secret, err);
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "removing a rotation");
    const struct rotation_settings before = secret.settings;
    secret.settings.target = "";
    kind = change_claims(req, &before, &secret, err);
    if (kind == KT_OK)
        kind = change_users(req, before.target, "", err);
    if (kind == KT_OK)
        kind = due_remove(req, &secret, err);
    struct kv_secret *kv = NULL;
    if (kind == KT_OK)
        kind = kv_load(req->core, secret.mount, req->snapshot, &req->arena, secret.path, &kv, err);
    if (kind == KT_OK)
        kind = adopt(req, &secret, kv, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    unsigned char key[BARRIER_NAME_KEY];
    secret_key(req->core, secret.mount->scope, secret.path, key);
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(key, sizeof key), secret.changed);
    batch_delete(batch, kt_bytes(key, sizeof key));
    return KT_OK;
}
