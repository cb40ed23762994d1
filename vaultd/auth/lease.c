#include "vaultd/auth/lease.h"

#include <stdio.h>

#include "lib/cleanup.h"
#include "lib/num.h"
#include "vaultd/auth/leased.h"
#include "vaultd/auth/tokens.h"
#include "vaultd/barrier/format.h"
#include "vaultd/core/rows.h"

#define FORMAT   1u
#define PATH_MAX_RECORD 8192u

static const unsigned char no_scope[BARRIER_SCOPE];

static bool has_lease(const struct token *token)
{
    return token->expires_ms != 0 && !token->wraps;
}

bool lease_id(struct core *core, const struct token *token, struct kt_buf *out)
{
    if (!has_lease(token))
        return false;
    unsigned char hash[BARRIER_HASH_KEY];
    char hex[LEASE_ID_HEX + 1];
    barrier_hash_key(core->barrier, TABLE_LEASE, kt_str(token->accessor), hash);
    kt_hex_encode(hash + 1, LEASE_ID_HEX / 2, hex);
    kt_buf_add_text(out, token->path);
    kt_buf_add_text(out, "/h");
    kt_buf_add_text(out, hex);
    return true;
}

static void key_of(struct core *core, struct kt_bytes id, unsigned char key[BARRIER_NAME_KEY])
{
    barrier_name_key(core->barrier, TABLE_LEASE, no_scope, id, key);
}

static void path_key(struct core *core, const char *path, unsigned char key[BARRIER_NAME_KEY])
{
    barrier_name_key(core->barrier, TABLE_LEASE_PATH, no_scope, kt_str(path), key);
}

/* ---- finding one ---- */

enum kt_kind lease_find(struct core *core, struct snapshot *snapshot, const char *id, int64_t now_ms,
                        const struct token **ret, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    kt_autobuf struct kt_buf hash;
    kt_buf_init(&hash, 64);
    key_of(core, kt_str(id), key);
    enum kt_kind kind = barrier_get(core->barrier, snapshot, kt_bytes(key, sizeof key), &hash, NULL, err);
    if (kind == KT_OK && hash.len != 32)
        return kt_fail(err, KT_CORRUPT, "a lease's row is damaged");
    if (kind == KT_OK)
        kind = token_find_hash(core, snapshot, hash.at, now_ms, ret, err);
    if (kind == KT_DENIED || kind == KT_NOT_FOUND) {
        kt_err_clear(err);
        return KT_NOT_FOUND;
    }
    return kind;
}

/* ---- with its token ---- */

enum kt_kind lease_put_path(struct core *core, struct batch *batch, const char *path, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, PATH_MAX_RECORD);
    kt_buf_add_u8(&text, FORMAT);
    kt_buf_add_field(&text, kt_str(path));
    path_key(core, path, key);
    if (!kt_buf_ok(&text))
        return kt_fail(err, KT_NO_MEMORY, "making a lease");
    return barrier_put(core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&text), err);
}

enum kt_kind lease_put(struct core *core, struct batch *batch, const struct token *token, struct kt_err *err)
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, PATH_MAX_RECORD);
    if (!lease_id(core, token, &text))
        return KT_OK;
    if (!kt_buf_ok(&text))
        return kt_fail(err, KT_NO_MEMORY, "making a lease");
    unsigned char key[BARRIER_NAME_KEY];
    key_of(core, kt_buf_bytes(&text), key);
    enum kt_kind kind =
        barrier_put(core->barrier, batch, kt_bytes(key, sizeof key), kt_bytes(token->hash, 32), err);
    return kind == KT_OK ? lease_put_path(core, batch, token->path, err) : kind;
}

enum kt_kind lease_delete(struct core *core, struct batch *batch, const struct token *token,
                          struct kt_err *err)
{
    kt_autobuf struct kt_buf id;
    kt_buf_init(&id, PATH_MAX_RECORD);
    if (!lease_id(core, token, &id))
        return KT_OK;
    if (!kt_buf_ok(&id))
        return kt_fail(err, KT_NO_MEMORY, "ending a lease");
    unsigned char key[BARRIER_NAME_KEY];
    key_of(core, kt_buf_bytes(&id), key);
    batch_delete(batch, kt_bytes(key, sizeof key));
    return KT_OK;
}

/* ---- walking ---- */

static void read_1(struct kt_reader *r, void *ret)
{
    struct kt_bytes *path = ret;
    *path = kt_read_field(r);
}
static format_reader *const readers[] = {[FORMAT] = read_1};

/* Below the prefix as folders go, with a slash at its end or without: as letters go, who may end ann's would end
 * anna's. */
static bool lies_below(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);
    while (len > 0 && prefix[len - 1] == '/')
        len--;
    return strncmp(path, prefix, len) == 0 && (len == 0 || path[len] == '/' || path[len] == '\0');
}

static enum kt_kind call_for_token(struct request *req, const char *path, const struct entry *row, lease_fn *fn,
                                   void *arg, struct kt_err *err)
{
    kt_autobuf struct kt_buf hash;
    kt_buf_init(&hash, 64);
    enum kt_kind kind = rows_open(req, row, &hash, err);
    if (kind == KT_OK && hash.len != 32)
        return kt_fail(err, KT_CORRUPT, "a lease's row is damaged");
    return kind == KT_OK ? fn(arg, path, &(const struct lease_found){.token = hash.at}, err) : kind;
}

static enum kt_kind each_in(struct request *req, enum table table, const char *path, lease_fn *fn, void *arg,
                            struct kt_err *err)
{
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    kt_autobuf struct kt_buf folder;
    kt_buf_init(&folder, PATH_MAX_RECORD);
    kt_buf_add_text(&folder, path);
    kt_buf_add_text(&folder, "/");
    if (!kt_buf_ok(&folder))
        return kt_fail(err, KT_NO_MEMORY, "reading the leases");
    barrier_folder_prefix(req->core->barrier, table, no_scope, kt_buf_bytes(&folder), prefix);
    struct rows rows;
    enum kt_kind kind = KT_OK;
    rows_begin(&rows, req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), "reading the leases");
    while (kind == KT_OK && rows_next(&rows))
        kind = table == TABLE_LEASE
                   ? call_for_token(req, path, &rows.entry, fn, arg, err)
                   : fn(arg, path, &(const struct lease_found){.secret = &rows.entry}, err);
    return rows_end(&rows, kind, err);
}

static enum kt_kind each_of_path(struct request *req, const char *path, lease_fn *fn, void *arg,
                                 struct kt_err *err)
{
    enum kt_kind kind = each_in(req, TABLE_LEASE, path, fn, arg, err);
    return kind == KT_OK ? each_in(req, TABLE_LEASED, path, fn, arg, err) : kind;
}

typedef enum kt_kind path_fn(void *arg, const struct entry *row, const char *path, struct kt_err *err);

static enum kt_kind each_path(struct request *req, const char *prefix, path_fn *fn, void *arg, struct kt_err *err)
{
    const unsigned char table[1] = {TABLE_LEASE_PATH};
    struct rows rows;
    enum kt_kind kind = KT_OK;
    rows_begin(&rows, req, kt_bytes(table, 1), kt_bytes(NULL, 0), "reading the paths of leases");
    while (kind == KT_OK && rows_next(&rows)) {
        kt_autobuf struct kt_buf record;
        kt_buf_init(&record, PATH_MAX_RECORD);
        struct kt_bytes path = {0};
        kind = rows_open(req, &rows.entry, &record, err);
        if (kind == KT_OK)
            kind = FORMAT_READ("a path of leases", kt_buf_bytes(&record), readers, &path, err);
        if (kind != KT_OK)
            break;
        kt_autobuf struct kt_buf text;
        kt_buf_init(&text, PATH_MAX_RECORD);
        kt_buf_add_bytes(&text, path);
        const char *at = kt_buf_text(&text);
        if (!kt_buf_ok(&text))
            kind = kt_fail(err, KT_NO_MEMORY, "reading the paths of leases");
        else if (lies_below(at, prefix))
            kind = fn(arg, &rows.entry, at, err);
    }
    return rows_end(&rows, kind, err);
}

struct walk {
    struct request *req;
    lease_fn *fn;
    void *arg;
};

static enum kt_kind walk_path(void *arg, const struct entry *row, const char *path, struct kt_err *err)
{
    (void)row;
    const struct walk *walk = arg;
    enum kt_kind kind = each_of_path(walk->req, path, walk->fn, walk->arg, err);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

enum kt_kind lease_each(struct request *req, const char *prefix, lease_fn *fn, void *arg, struct kt_err *err)
{
    struct walk walk = {req, fn, arg};
    enum kt_kind kind = each_path(req, prefix, walk_path, &walk, err);
    return kind == KT_GONE ? KT_OK : kind;
}

/* ---- revoking all below a prefix ---- */

struct sweep {
    struct request *req;
    struct batch *batch;
    unsigned room;
    int64_t made_before_ms; /* life_ms (request.h) */
    bool force; /* what a secret's lease stands for is not revoked */
    bool left;
};

static bool has_room(struct sweep *sweep, unsigned costs)
{
    sweep->left = sweep->room < costs;
    if (!sweep->left)
        sweep->room -= costs;
    return !sweep->left;
}

/* While the sweep goes on; what is of the future is of before the clock was set back. */
static bool made_since(int64_t made_ms, int64_t asked_ms, int64_t now_ms)
{
    return made_ms > asked_ms && made_ms <= now_ms;
}

static enum kt_kind sweep_secret(struct sweep *sweep, const struct entry *row, struct kt_arena *arena,
                                 struct kt_err *err)
{
    struct leased lease;
    const struct request *req = sweep->req;
    enum kt_kind kind = leased_open(req->core, row, arena, &lease, err);
    if (kind != KT_OK || made_since(lease.made_ms, request_wall_time(req, sweep->made_before_ms), req->now_ms) ||
        (!sweep->force && lease.ending && !lease.given_up))
        return kind;
    if (!has_room(sweep, LEASED_COSTS))
        return KT_GONE;
    if (!sweep->force)
        return leased_end(req->core, sweep->batch, &lease, req->now_ms, err);
    leased_drop(sweep->batch, &lease);
    return KT_OK;
}

static enum kt_kind sweep_one(void *arg, const char *path, const struct lease_found *found, struct kt_err *err)
{
    (void)path;
    struct sweep *sweep = arg;
    const struct token *token = NULL;
    if (found->secret != NULL) {
        struct kt_arena arena;
        kt_arena_init(&arena, LEASED_MEMORY);
        enum kt_kind kind = sweep_secret(sweep, found->secret, &arena, err);
        kt_arena_free(&arena);
        return kind;
    }
    enum kt_kind kind = token_load(sweep->req->core, sweep->req->snapshot, found->token, &token, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && (token->revoked || made_since(token->created_ms, sweep->made_before_ms,
                                                                                sweep->req->life_ms))))
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    if (!has_room(sweep, TOKEN_END_COSTS))
        return KT_GONE;
    return token_end(sweep->req->core, sweep->batch, token, false, err);
}

/* The subject: i64 made before ‖ the prefix. */
static enum kt_kind put_job(struct request *req, enum job_kind job, int64_t made_before_ms, const char *prefix,
                            unsigned char ret_id[JOB_ID], struct kt_err *err)
{
    kt_autobuf struct kt_buf subject;
    kt_buf_init(&subject, PATH_MAX_RECORD);
    kt_buf_add_i64(&subject, made_before_ms);
    kt_buf_add_text(&subject, prefix);
    if (!kt_buf_ok(&subject))
        return kt_fail(err, KT_NO_MEMORY, "revoking leases");
    unsigned char hash[BARRIER_HASH_KEY];
    barrier_hash_key(req->core->barrier, TABLE_JOB, kt_buf_bytes(&subject), hash);
    memcpy(ret_id, hash + 1, JOB_ID);
    ret_id[0] ^= (unsigned char)job; /* both may be asked for at one time */
    return job_put(req->core, req->batch, job, ret_id, kt_buf_bytes(&subject), err);
}

#define PREFIX_ROOM 64u /* of STORE_BATCH_OPS */

enum kt_kind lease_revoke_prefix(struct request *req, const char *prefix, bool force, bool *ret_left,
                                 unsigned char ret_id[JOB_ID], struct kt_err *err)
{
    struct sweep sweep = {req, request_batch(req), PREFIX_ROOM, req->life_ms, force, false};
    if (sweep.batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "revoking leases");
    enum kt_kind kind = lease_each(req, prefix, sweep_one, &sweep, err);
    *ret_left = sweep.left;
    if (kind == KT_OK && sweep.left)
        kind = put_job(req, force ? JOB_LEASES_FORCE : JOB_LEASES, req->life_ms, prefix, ret_id, err);
    return kind;
}

static enum kt_kind revoke_job(struct job_step *step, struct kt_bytes subject, bool force, struct kt_err *err)
{
    struct kt_reader r = kt_reader(subject);
    struct sweep sweep = {.req = step->req, .batch = step->batch, .room = step->room, .force = force};
    sweep.made_before_ms = kt_read_i64(&r);
    kt_autobuf struct kt_buf prefix;
    kt_buf_init(&prefix, PATH_MAX_RECORD);
    kt_buf_add_bytes(&prefix, kt_read_bytes(&r, r.left));
    const char *text = kt_buf_text(&prefix);
    if (r.failed)
        return kt_fail(err, KT_CORRUPT, "the job that revokes leases is damaged");
    if (!kt_buf_ok(&prefix))
        return kt_fail(err, KT_NO_MEMORY, "revoking leases");
    enum kt_kind kind = lease_each(step->req, text, sweep_one, &sweep, err);
    step->done = kind == KT_OK && !sweep.left && sweep.room == step->room;
    step->room = sweep.room;
    return kind;
}

enum kt_kind lease_revoke_job(struct job_step *step, struct kt_bytes subject, struct kt_err *err)
{
    return revoke_job(step, subject, false, err);
}

enum kt_kind lease_force_job(struct job_step *step, struct kt_bytes subject, struct kt_err *err)
{
    return revoke_job(step, subject, true, err);
}

/* ---- paths without leases ---- */

static enum kt_kind is_there(void *arg, const char *path, const struct lease_found *found, struct kt_err *err)
{
    (void)path;
    (void)found;
    (void)err;
    *(bool *)arg = true;
    return KT_GONE;
}

/* Who makes the path's next lease puts the row anew, and this batch does not apply. */
static enum kt_kind tidy_path(void *arg, const struct entry *row, const char *path, struct kt_err *err)
{
    struct job_step *step = arg;
    bool used = false;
    enum kt_kind kind = each_of_path(step->req, path, is_there, &used, err);
    if ((kind != KT_OK && kind != KT_GONE) || used)
        return kind == KT_GONE ? KT_OK : kind;
    if (step->room < 2)
        return KT_GONE;
    step->room -= 2;
    batch_require(step->batch, KEY_CHANGED_AT, row->key, row->changed);
    batch_delete(step->batch, row->key);
    return KT_OK;
}

enum kt_kind lease_tidy_job(struct job_step *step, struct kt_bytes subject, struct kt_err *err)
{
    (void)subject;
    enum kt_kind kind = each_path(step->req, "", tidy_path, step, err);
    step->done = kind == KT_OK;
    return kind == KT_GONE ? KT_OK : kind;
}

enum kt_kind lease_tidy(struct request *req, struct kt_err *err)
{
    static const unsigned char id[JOB_ID] = "tidy leases";
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "tidying the leases");
    return job_put(req->core, batch, JOB_LEASE_PATHS, id, kt_bytes(NULL, 0), err);
}
