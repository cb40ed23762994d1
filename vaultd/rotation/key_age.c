#include "vaultd/rotation/key_age.h"

#include "lib/duration.h"
#include "lib/log.h"
#include "vaultd/core/key_set.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/tell.h"

#define RECORD_MAX ((size_t)4096)
#define TOLD_MOST  6u /* of a walk: each takes an operation a channel, of a batch's 100 */

static const struct record_row rows_1[] = {RECORD_ROW(struct keys_told, ids, RECORD_LIST, KEY_AGES_MAX)};
static const struct record_form forms[] = {RECORD_FORM(1, rows_1)};
const struct record_kind keys_told_kind = {"list of keys that people were told of", forms, 1, sizeof(struct keys_told)};

#define X(name, text) text,
static const char *const reasons[] = {KEY_AGE_REASONS(X)};
#undef X

/* ---- how old ---- */

static void judge(struct key_ages *ages, struct key_age *key, int64_t vault_ms, int64_t now_ms)
{
    if (key->made_ms > now_ms) /* by a clock that was wrong then, or is now */
        key->made_ms = 0;
    if (ages->max_age_ms == 0)
        return;
    int64_t oldest_ms = now_ms - ages->max_age_ms;
    if (key->made_ms != 0 && key->made_ms < oldest_ms) {
        key->why = KEY_AGE_OLD;
        key->since_ms = key->made_ms + ages->max_age_ms;
    } else if (key->made_ms == 0 && (vault_ms < oldest_ms || vault_ms > now_ms)) {
        key->why = KEY_AGE_UNKNOWN;
    }
    ages->overdue += key->why != KEY_AGE_FINE;
}

/* Of a record that cannot be read nothing is known: the secrets that are overdue have to be told of all the same. */
static enum kt_kind set_made(struct request *req, const char *id, int64_t *ret_ms, struct kt_err *err)
{
    struct kt_err unread = {0};
    enum kt_kind kind = key_set_made(req, id, ret_ms, &unread);
    if (kind != KT_CORRUPT)
        return kind == KT_OK ? KT_OK : kt_fail(err, kind, "%s", unread.what);
    kt_log_err(KT_LOG_WARNING, "rotation-key-age", &unread);
    *ret_ms = 0;
    return KT_OK;
}

enum kt_kind key_ages_load(struct request *req, struct key_ages *ret, struct kt_err *err)
{
    struct seals_stored seals;
    enum kt_kind kind = barrier_seals_stored(req->snapshot, &seals, err);
    if (kind != KT_OK)
        return kind;
    *ret = (struct key_ages){.shares = seals.shares,
                             .threshold = seals.threshold,
                             .max_age_ms = req->core->config.max_key_age_ms,
                             .n = 1 + seals.n};
    memcpy(ret->at[0].id, seals.id, sizeof ret->at[0].id);
    kind = set_made(req, seals.id, &ret->at[0].made_ms, err);
    for (unsigned i = 0; i < seals.n; i++) {
        struct key_age *key = &ret->at[1 + i];
        memcpy(key->id, seals.more[i].id, sizeof key->id);
        memcpy(key->seal, seals.more[i].name, sizeof key->seal);
        key->made_ms = seals.more[i].made_ms;
    }
    for (size_t i = 0; i < ret->n && kind == KT_OK; i++)
        judge(ret, &ret->at[i], seals.initialized_ms, req->now_ms);
    return kind;
}

/* ---- in words ---- */

static const char *name_of(struct request *req, const struct key_ages *ages, const struct key_age *key)
{
    return key->seal[0] == '\0' ? kt_arena_printf(&req->arena, "key shares (%u of %u)", ages->threshold, ages->shares)
                                : kt_arena_printf(&req->arena, "credential %s", key->seal);
}

/* A credential is made by root on the machine first: docs/seals.md. */
static const char *next_of(struct request *req, const struct key_ages *ages, const struct key_age *key)
{
    return key->seal[0] == '\0'
               ? kt_arena_printf(&req->arena, "secretctl operator rekey -init -key-shares=%u -key-threshold=%u",
                                 ages->shares, ages->threshold)
               : kt_arena_printf(&req->arena, "secretctl operator seal-add %s", key->seal);
}

void key_ages_show(struct request *req, const struct key_ages *ages, struct kt_jsonw *w)
{
    kt_jsonw_key(w, "keys");
    kt_jsonw_array(w);
    for (size_t i = 0; i < ages->n; i++) {
        const struct key_age *key = &ages->at[i];
        kt_jsonw_object(w);
        kt_jsonw_kv_text(w, "key", name_of(req, ages, key));
        kt_jsonw_kv_text(w, "id", key->id);
        kt_jsonw_kv_time(w, "made", key->made_ms);
        if (key->made_ms == 0)
            kt_jsonw_kv_null(w, "age_s");
        else
            kt_jsonw_kv_int(w, "age_s", (req->now_ms - key->made_ms) / 1000);
        kt_jsonw_kv_int(w, "max_age_s", ages->max_age_ms / 1000);
        kt_jsonw_kv_text(w, "overdue", reasons[key->why]);
        kt_jsonw_kv_time(w, "since", key->since_ms);
        kt_jsonw_kv_text(w, "next", next_of(req, ages, key));
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
    kt_jsonw_kv_int(w, "keys_overdue", (int64_t)ages->overdue);
}

/* ---- telling ---- */

static enum kt_kind tell(struct request *req, const struct key_ages *ages, const struct key_age *key, struct kt_err *err)
{
    char age[KT_DURATION_TEXT], most[KT_DURATION_TEXT];
    const char *name = name_of(req, ages, key);
    kt_duration_text((uint64_t)(req->now_ms - key->made_ms), age);
    kt_duration_text((uint64_t)ages->max_age_ms, most);
    if (name == NULL)
        return kt_fail(err, KT_NO_MEMORY, "telling people");
    const struct notice notice = {
        .event = NOTICE_OVERDUE,
        .verdict = key->why == KEY_AGE_OLD
                       ? kt_arena_printf(&req->arena, "OVERDUE  the vault's %s: %s old, may be %s", name, age, most)
                       : kt_arena_printf(&req->arena, "OVERDUE  the vault's %s: how old is not known, may be %s", name,
                                         most),
        .hurt = "nobody now; whoever came by them in all that time opens the vault",
        .next = next_of(req, ages, key),
    };
    if (notice.verdict == NULL || notice.next == NULL)
        return kt_fail(err, KT_NO_MEMORY, "telling people");
    return notify_tell(req, &notice, NULL, NULL, err);
}

static bool has(const struct record_list *ids, const char *id)
{
    for (size_t i = 0; i < ids->n; i++)
        if (strcmp(ids->at[i], id) == 0)
            return true;
    return false;
}

static enum kt_kind save(struct request *req, const struct keys_told *told, generation changed, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    record_write(&keys_told_kind, told, &record);
    if (batch == NULL || !kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "noting of which keys people were told");
    keys_told_key(req->core, key);
    batch_require(batch, changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT, kt_bytes(key, sizeof key), changed);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record), err);
}

/* One that is damaged, or of a newer vaultd, has people told once more, and is written anew: it holds up nothing. */
static enum kt_kind load(struct request *req, struct keys_told *ret, generation *ret_changed, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct kt_bytes record;
    *ret = (struct keys_told){0};
    keys_told_key(req->core, key);
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, ret_changed, err);
    if (kind == KT_OK)
        kind = record_read(&keys_told_kind, record, &req->arena, ret, err);
    else if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind == KT_CORRUPT && *ret_changed != 0) {
        kt_err_clear(err);
        kind = KT_OK;
    }
    return kind;
}

static enum kt_kind look(struct request *req, struct kt_err *err)
{
    struct key_ages *ages = req->handler_data;
    const char *ids[KEY_AGES_MAX];
    struct keys_told before, told = {.ids = {.at = ids}};
    generation changed = 0;
    unsigned news = 0;
    enum kt_kind kind = key_ages_load(req, ages, err);
    if (kind == KT_OK)
        kind = load(req, &before, &changed, err);
    for (size_t i = 0; i < ages->n && kind == KT_OK; i++) {
        const struct key_age *key = &ages->at[i];
        bool known = has(&before.ids, key->id);
        if (key->why == KEY_AGE_FINE || (!known && news == TOLD_MOST))
            continue;
        told.ids.at[told.ids.n++] = key->id;
        news += !known;
        if (!known)
            kind = tell(req, ages, key, err);
    }
    if (kind != KT_OK || (news == 0 && told.ids.n == before.ids.n))
        return kind;
    return save(req, &told, changed, err);
}

void key_age_scan(struct rotation *rotation)
{
    struct key_ages ages = {0};
    struct kt_err err = {0};
    enum kt_kind kind = request_internal(rotation->core, "rotation/overdue", look, &ages, &err);
    if (kind == KT_OK)
        atomic_store(&rotation->keys_overdue, ages.overdue);
    else if (kind != KT_SEALED)
        kt_log_err(KT_LOG_WARNING, "rotation-key-age", &err);
}
