#include <stdlib.h>

#include "vaultd/core/mounts.h"
#include "vaultd/core/rows.h"
#include "vaultd/rotation/calendar.h"
#include "vaultd/rotation/drill.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/issue.h"
#include "vaultd/rotation/order.h"
#include "vaultd/rotation/pause.h"
#include "vaultd/rotation/places.h"
#include "vaultd/rotation/revoked.h"
#include "vaultd/rotation/strategy.h"
#include "vaultd/rotation/together.h"
#include "vaultd/rotation/truth.h"

/* Secrets that are rotated, as people look at them; secret_write.c changes them. */

#define LIST_MAX 5000u

enum kt_kind secret_exists(struct request *req, bool *ret_exists, struct kt_err *err)
{
    struct rotation_secret secret;
    enum kt_kind kind = secret_load(req, request_param(req, "path"), &secret, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (err != NULL)
        *err = (struct kt_err){0};
    *ret_exists = kind == KT_OK;
    return KT_OK;
}

/* ---- reading ---- */

/* Texts for people; "": nothing of it. */
struct hindered {
    const char *paused, *blocked;
    const char *refused; /* what a rotation by hand would be told */
};

/* What is not due yet is told of as well: who asks may mend it before it is. */
static enum kt_kind find_hindered(struct request *req, const struct rotation_secret *secret, struct hindered *ret,
                                  struct kt_err *err)
{
    struct rotation_pause pause;
    struct kt_err why = {0};
    bool on = false;
    *ret = (struct hindered){"", "", ""};
    enum kt_kind kind = pause_load(req, &pause, &on, err);
    if (kind != KT_OK)
        return kind;
    ret->paused = pause_text(req, &pause, on);
    if (ret->paused == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a rotation");
    if (secret->due && secret->held[0] == '\0')
        kind = secret_blocked_by(req, secret, "", &ret->blocked, err);
    /* It is seen by signing one: of a list of revoked ones that would keep other readers waiting. */
    if (kind != KT_OK || secret->active || !settings_issue(&secret->settings) || revoked_is_list(&secret->settings))
        return kind;
    kind = issue_try(req, secret->name, &secret->settings, &why);
    if (kind == KT_INVALID)
        ret->refused = kt_arena_printf(&req->arena, "%s%s%s", why.what, why.hint[0] == '\0' ? "" : "; ", why.hint);
    else if (kind != KT_OK)
        return kt_fail(err, kind, "%s", why.what);
    return ret->refused == NULL ? kt_fail(err, KT_NO_MEMORY, "reading a rotation") : KT_OK;
}

static void show_state(const struct rotation_secret *secret, const struct kv_secret *kv,
                       const struct hindered *by, const struct strategy_instead *instead, struct kt_jsonw *w)
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
    kt_jsonw_kv_text(w, "paused", by->paused);
    kt_jsonw_kv_text(w, "blocked_by", by->blocked);
    kt_jsonw_kv_text(w, "refused", by->refused);
    kt_jsonw_kv_text(w, "led_by", secret->led_by);
    truth_show(secret, kv == NULL ? 0 : kv->current, w);
    drill_show(secret, w);
    strategy_show_gap(secret, instead, w);
    kt_jsonw_end(w);
}

static enum kt_kind look_for_better(struct request *req, const struct rotation_secret *secret,
                                    struct strategy_instead *ret, struct kt_err *err)
{
    struct rotation_target target;
    *ret = (struct strategy_instead){.n = 0};
    if (secret->settings.strategy != STRATEGY_IN_PLACE)
        return KT_OK;
    enum kt_kind kind = target_load(req, secret->settings.target, &target, err);
    if (kind == KT_NOT_FOUND) {
        *err = (struct kt_err){0};
        return KT_OK;
    }
    return kind == KT_OK ? strategy_instead_at(req, &secret->settings, &target, ret, err) : kind;
}

enum kt_kind secret_read(struct request *req, struct kt_err *err)
{
    struct rotation_secret secret;
    enum kt_kind kind = secret_load(req, request_param(req, "path"), &secret, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "'%s' has no rotation", request_param(req, "path"));
    struct kv_secret *kv = NULL;
    if (kind == KT_OK)
        kind = kv_load(req->core, secret.mount, req->snapshot, &req->arena, secret.path, &kv, err);
    struct hindered by;
    struct strategy_instead instead;
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = find_hindered(req, &secret, &by, err);
    if (kind == KT_OK)
        kind = look_for_better(req, &secret, &instead, err);
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 4096);
    kt_autowhen struct rotation_when when = {0};
    if (when_load(req, &secret.settings, NULL, &when, NULL) == KT_OK)
        kt_schedule_describe(when.schedule, &text);
    kt_autobuf struct kt_buf generates;
    struct kt_generator generator;
    kt_buf_init(&generates, 8192);
    if (settings_issue(&secret.settings))
        issue_describe(&secret.settings, &generates);
    else if (settings_generator(&secret.settings, &generator, NULL) == KT_OK)
        kt_generator_describe(&generator, &generates);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    settings_show(&secret.settings, &w);
    kt_jsonw_kv_text(&w, "schedule", kt_buf_text(&text));
    kt_jsonw_kv_text(&w, "generates", kt_buf_text(&generates));
    show_state(&secret, kv, &by, &instead, &w);
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
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, 65536);
    enum kt_kind kind = KT_OK;
    struct rows rows;
    rows_begin(&rows, req, kt_bytes(key, sizeof key), kt_bytes(NULL, 0), "listing rotations");
    while (kind == KT_OK && list->n < LIST_MAX && rows_next(&rows)) {
        struct rotation_secret secret;
        kind = rows_open(req, &rows.entry, &plain, err);
        if (kind == KT_OK)
            kind = record_read(&secret_kind, kt_buf_bytes(&plain), &req->arena, &secret, err);
        if (kind == KT_OK && below(secret.name, prefix) && !add_name(req, list, secret.name))
            kind = kt_fail(err, KT_NO_MEMORY, "listing rotations");
    }
    return rows_end(&rows, kind, err);
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

static enum kt_kind blocked_by_order(struct request *req, const struct rotation_secret *secret, const char **ret,
                                     struct kt_err *err)
{
    struct order_wait wait;
    enum kt_kind kind = order_look(req, secret, &wait, err);
    if (kind == KT_OK && wait.waits)
        *ret = wait.text;
    return kind;
}

static const char *who_has_the_account(struct request *req, const struct rotation_secret *secret)
{
    unsigned char holder[RUN_ID];
    char id[RUN_ID_TEXT];
    if (run_lock_holder(req, &secret->settings, holder, NULL) != KT_OK)
        return "";
    run_id_text(holder, id);
    return kt_arena_printf(&req->arena, "run %s, which changes an account of its group", id);
}

/* NULL: no memory; "": nothing. */
static const char *blocked_at(struct request *req, const struct rotation_secret *secret, bool due)
{
    struct rotation_target target;
    if (!settings_has_target(&secret->settings) || target_load(req, secret->settings.target, &target, NULL) != KT_OK)
        return ""; /* starting it says what is wrong */
    if (target.failures >= ROTATION_BREAKER)
        return kt_arena_printf(&req->arena, "%u runs in a row failed at target %s", target.failures, target.name);
    struct kt_err why = {0};
    if (target_login(req, &target, &why) == KT_INVALID)
        return kt_arena_text(&req->arena, kt_str(why.what));
    const char *place = due ? places_why(req, &target) : "";
    return due && place != NULL && place[0] == '\0' ? who_has_the_account(req, secret) : place;
}

/* What holds one of those that start with it holds it. */
static enum kt_kind blocked_with(struct request *req, const struct rotation_secret *secret, bool due,
                                 const char **ret, struct kt_err *err)
{
    const char *names[TOGETHER_MAX];
    size_t n = 0;
    enum kt_kind kind = together_others(req, secret, names, &n, err);
    for (size_t i = 0; i < n && kind == KT_OK; i++) {
        struct rotation_secret mate;
        kind = secret_load(req, names[i], &mate, err);
        if (kind == KT_NOT_FOUND) {
            *err = (struct kt_err){0};
            kind = KT_OK;
        } else if (kind == KT_OK)
            *ret = blocked_at(req, &mate, due);
        if (kind == KT_OK && *ret != NULL && (*ret)[0] != '\0') {
            *ret = kt_arena_printf(&req->arena, "%s, which rotates together with it: %s", names[i], *ret);
            break;
        }
    }
    return kind;
}

static enum kt_kind find_block(struct request *req, const struct rotation_secret *secret, const char *paused,
                               const char **ret, struct kt_err *err)
{
    *ret = paused[0] != '\0' ? paused : secret->held;
    struct rotation *rotation = req->core->rotation;
    (void)pthread_mutex_lock(&rotation->lock);
    if (rotation->clock.alarm)
        *ret = kt_arena_text(&req->arena, kt_str(rotation->clock.text));
    (void)pthread_mutex_unlock(&rotation->lock);
    if (*ret == NULL)
        return kt_fail(err, KT_NO_MEMORY, "asking what is due");
    bool due = secret->due && secret->due_ms <= req->now_ms;
    if ((*ret)[0] == '\0' && due) {
        enum kt_kind looked = blocked_by_order(req, secret, ret, err);
        if (looked != KT_OK)
            return looked;
    }
    if ((*ret)[0] == '\0')
        *ret = blocked_at(req, secret, due);
    return *ret != NULL && (*ret)[0] == '\0' ? blocked_with(req, secret, due, ret, err) : KT_OK;
}

enum kt_kind secret_blocked_by(struct request *req, const struct rotation_secret *secret,
                               const char *paused, const char **ret, struct kt_err *err)
{
    struct kt_arena kept;
    const char *found = NULL;
    request_scratch_begin(req, &kept);
    enum kt_kind kind = find_block(req, secret, paused, &found, err);
    *ret = request_scratch_end(req, &kept, kind == KT_OK ? found : NULL);
    if (kind == KT_OK && *ret == NULL)
        return kt_fail(err, KT_NO_MEMORY, "asking what is due");
    return kind;
}

/* The secret of a row. *ret_found false: it is gone, or cannot be read, which is counted. */
static enum kt_kind due_secret(struct request *req, const struct entry *entry, struct rotation_secret *ret,
                               bool *ret_found, size_t *unreadable, struct kt_err *err)
{
    const char *name = NULL;
    enum kt_kind kind = due_row_name(req, entry, &name, err);
    if (kind == KT_OK)
        kind = secret_load(req, name, ret, err);
    *ret_found = kind == KT_OK;
    *unreadable += kind == KT_CORRUPT;
    if (kind != KT_NOT_FOUND && kind != KT_CORRUPT)
        return kind;
    if (err != NULL)
        kt_err_clear(err);
    return KT_OK;
}

enum kt_kind due_list(struct request *req, struct kt_err *err)
{
    int64_t limit = 50;
    enum kt_kind kind = request_int(req, "limit", &limit, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (limit < 1 || limit > (int64_t)LIST_MAX)
        return kt_fail(err, KT_INVALID, "limit must be from 1 to %u", LIST_MAX);
    struct rotation_pause pause;
    bool on = false;
    kind = pause_load(req, &pause, &on, err);
    const char *paused = kind == KT_OK ? pause_text(req, &pause, on) : "";
    if (kind != KT_OK || paused == NULL)
        return kind != KT_OK ? kind : kt_fail(err, KT_NO_MEMORY, "asking what is due");
    unsigned char table = TABLE_DUE;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    pause_show(&pause, on, &w);
    kind = truth_list(req, limit, &w, err);
    if (kind != KT_OK)
        return kind;
    struct rows rows;
    rows_begin(&rows, req, kt_bytes(&table, 1), kt_bytes(NULL, 0), "asking what is due");
    kt_jsonw_key(&w, "due");
    kt_jsonw_array(&w);
    size_t unreadable = 0;
    while (kind == KT_OK && limit-- > 0 && rows_next(&rows)) {
        const char *blocked = NULL;
        struct rotation_secret secret;
        bool found = false;
        kind = due_secret(req, &rows.entry, &secret, &found, &unreadable, err);
        if (kind == KT_OK && !found)
            continue;
        if (kind == KT_OK)
            kind = secret_blocked_by(req, &secret, paused, &blocked, err);
        if (kind != KT_OK)
            break;
        int64_t due = due_time_of_key(rows.entry.key);
        kt_jsonw_object(&w);
        kt_jsonw_kv_text(&w, "secret", secret.name);
        kt_jsonw_kv_time(&w, "next_due", due);
        kt_jsonw_kv_text(&w, "reason", kt_due_reason_text(secret.reason));
        kt_jsonw_kv_int(&w, "overdue_s", due < req->now_ms ? (req->now_ms - due) / 1000 : 0);
        kt_jsonw_kv_text(&w, "blocked_by", blocked);
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    if (unreadable > 0)
        request_warn(req, "%zu more have a time, and cannot be read: they do not rotate; which, says vaultd's log (rotation-due)",
                     unreadable);
    return rows_end(&rows, kind, err);
}
