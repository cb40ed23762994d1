#include "vaultd/auth/leased.h"

#include "lib/cleanup.h"
#include "lib/token_text.h"
#include "vaultd/auth/leased_record.h"
#include "vaultd/auth/revoker.h"
#include "vaultd/auth/token_ttl.h"
#include "vaultd/core/mounts.h"
#include "vaultd/core/rows.h"

#define HALF       16u
#define OF_KEY     49u
#define IN_KEY     33u
#define STUCK_KEY  17u
#define WAY        (BARRIER_NAME_KEY - 1u)
#define PAUSE_MS   10000
/* A renewal that was let in before the end is committed by then. */
#define GRACE_MS   1000

static const unsigned char no_scope[BARRIER_SCOPE];

/* ---- keys ---- */

static void key_of(struct core *core, const char *id, unsigned char key[BARRIER_NAME_KEY])
{
    barrier_name_key(core->barrier, TABLE_LEASED, no_scope, kt_str(id), key);
}

static const unsigned char *half_of(const struct leased *lease)
{
    return lease->key + BARRIER_NAME_KEY - HALF;
}

static void due_key(const struct leased *lease, unsigned char key[LEASED_DUE_KEY])
{
    key[0] = TABLE_LEASED_DUE;
    kt_put_be64(key + 1, (uint64_t)lease->due_ms);
    memcpy(key + 9, half_of(lease), HALF);
}

static void of_key(const struct leased *lease, unsigned char key[OF_KEY])
{
    key[0] = TABLE_LEASED_OF;
    memcpy(key + 1, lease->token, 32);
    memcpy(key + 33, half_of(lease), HALF);
}

static void in_key(const struct leased *lease, unsigned char key[IN_KEY])
{
    key[0] = TABLE_LEASED_IN;
    memcpy(key + 1, lease->mount, BARRIER_SCOPE);
    memcpy(key + 1 + BARRIER_SCOPE, half_of(lease), HALF);
}

static void stuck_key(const struct leased *lease, unsigned char key[STUCK_KEY])
{
    key[0] = TABLE_LEASED_STUCK;
    memcpy(key + 1, half_of(lease), HALF);
}

/* A row that leads to the lease: the rest of its key, sealed. */
static enum kt_kind put_way(struct core *core, struct batch *batch, struct kt_bytes key, const struct leased *lease,
                            struct kt_err *err)
{
    return barrier_put(core->barrier, batch, key, kt_bytes(lease->key + 1, WAY), err);
}

/* mount NULL: it stands not in this row. */
static enum kt_kind read_row(struct core *core, const struct entry *row, unsigned char key[BARRIER_NAME_KEY],
                             unsigned char *mount, struct kt_err *err)
{
    unsigned char memory[128];
    kt_autobuf struct kt_buf plain;
    kt_buf_init_in(&plain, sizeof memory, memory, sizeof memory);
    enum kt_kind kind = barrier_open_entry(core->barrier, row->key, row->value, &plain, err);
    if (kind != KT_OK)
        return kind;
    if (plain.len != WAY + (mount == NULL ? 0 : BARRIER_SCOPE))
        return kt_fail(err, KT_CORRUPT, "a row that leads to a lease is damaged");
    key[0] = TABLE_LEASED;
    memcpy(key + 1, plain.at, WAY);
    if (mount != NULL)
        memcpy(mount, plain.at + WAY, BARRIER_SCOPE);
    return KT_OK;
}

static enum kt_kind read_way(struct core *core, const struct entry *row, unsigned char key[BARRIER_NAME_KEY],
                             struct kt_err *err)
{
    return read_row(core, row, key, NULL, err);
}

/* Of the queue: who looks at it need not open the lease to know whether its mount may be asked. */
static enum kt_kind put_due(struct core *core, struct batch *batch, const struct leased *lease, struct kt_err *err)
{
    unsigned char due[LEASED_DUE_KEY], value[WAY + BARRIER_SCOPE];
    due_key(lease, due);
    memcpy(value, lease->key + 1, WAY);
    memcpy(value + WAY, lease->mount, BARRIER_SCOPE);
    return barrier_put(core->barrier, batch, kt_bytes(due, sizeof due), kt_bytes(value, sizeof value), err);
}

enum kt_kind leased_due_row(struct core *core, const struct entry *row, unsigned char key[BARRIER_NAME_KEY],
                            unsigned char mount[BARRIER_SCOPE], struct kt_err *err)
{
    return read_row(core, row, key, mount, err);
}

/* ---- records ---- */

static enum kt_kind put_record(struct core *core, struct batch *batch, const struct leased *lease, struct kt_err *err)
{
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, LEASED_RECORD_MAX);
    leased_record_write(lease, &record);
    if (record.full)
        return kt_fail(err, KT_INVALID, "the lease's path and what belongs to it are too long");
    if (!kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing a lease");
    return barrier_put(core->barrier, batch, kt_bytes(lease->key, sizeof lease->key), kt_buf_bytes(&record), err);
}

static enum kt_kind open_record(struct core *core, struct kt_bytes key, const struct entry *entry,
                                struct kt_arena *arena, struct leased *ret, struct kt_err *err)
{
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, LEASED_RECORD_MAX);
    enum kt_kind kind = barrier_open_entry(core->barrier, key, entry->value, &plain, err);
    if (kind == KT_OK)
        kind = leased_record_read(kt_buf_bytes(&plain), arena, ret, err);
    if (kind != KT_OK)
        return kind;
    memcpy(ret->key, key.at, sizeof ret->key);
    ret->changed = entry->changed;
    return KT_OK;
}

enum kt_kind leased_load(struct core *core, struct snapshot *snapshot, const unsigned char key[BARRIER_NAME_KEY],
                         struct kt_arena *arena, struct leased *ret, struct kt_err *err)
{
    struct entry entry;
    struct kt_bytes at = kt_bytes(key, BARRIER_NAME_KEY);
    enum store_error found = snapshot_get(snapshot, at, &entry);
    if (found == STORE_NOT_FOUND)
        return KT_NOT_FOUND;
    if (found != STORE_OK)
        return kt_fail(err, KT_IO, "reading a lease");
    return open_record(core, at, &entry, arena, ret, err);
}

enum kt_kind leased_open(struct core *core, const struct entry *row, struct kt_arena *arena, struct leased *ret,
                         struct kt_err *err)
{
    if (row->key.len != BARRIER_NAME_KEY)
        return kt_fail(err, KT_CORRUPT, "a lease's row is damaged");
    return open_record(core, row->key, row, arena, ret, err);
}

static enum kt_kind is_over(struct request *req, const struct leased *lease, bool *ret, struct kt_err *err)
{
    const struct token *token = NULL;
    *ret = lease->ending || req->now_ms >= lease->expires_ms;
    if (*ret)
        return KT_OK;
    enum kt_kind kind = token_find_hash(req->core, req->snapshot, lease->token, req->life_ms, &token, err);
    *ret = kind == KT_DENIED;
    if (*ret)
        kt_err_clear(err);
    return *ret ? KT_OK : kind;
}

enum kt_kind leased_find(struct request *req, const char *id, struct leased *ret, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    bool over = false;
    key_of(req->core, id, key);
    enum kt_kind kind = leased_load(req->core, req->snapshot, key, &req->arena, ret, err);
    if (kind == KT_OK && !ret->given_up)
        kind = is_over(req, ret, &over, err);
    return kind == KT_OK && over ? KT_NOT_FOUND : kind;
}

/* ---- how many there may be ---- */

static enum kt_kind too_many(const char *what, uint64_t most, const char *setting, struct kt_err *err)
{
    (void)kt_fail(err, KT_TOO_MANY, "%s has at most %llu leases of secrets at one time", what, (unsigned long long)most);
    kt_hint(err, "revoke some (secretctl lease revoke), or change limits { %s } in the configuration", setting);
    return KT_TOO_MANY;
}

/* No further than it matters. */
static enum kt_kind check_token(struct request *req, struct kt_err *err)
{
    uint64_t most = req->core->config.token_leases, n = 0;
    unsigned char prefix[33] = {TABLE_LEASED_OF};
    struct rows rows;
    if (most == 0)
        return KT_OK;
    memcpy(prefix + 1, req->token->hash, 32);
    rows_begin(&rows, req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), "counting a token's leases");
    while (n < most && rows_next(&rows))
        n++;
    enum kt_kind kind = rows_end(&rows, KT_OK, err);
    return kind == KT_OK && n >= most ? too_many("one token", most, "max_token_leases", err) : kind;
}

static enum kt_kind check_mount(struct request *req, struct kt_err *err)
{
    uint64_t most = req->core->config.mount_leases;
    if (most == 0 || revoker_count(req->core, req->mount->scope) < most)
        return KT_OK;
    return too_many("one mount", most, "max_mount_leases", err);
}

enum kt_kind leased_any_in(struct request *req, const unsigned char scope[BARRIER_SCOPE], bool *ret,
                           struct kt_err *err)
{
    unsigned char prefix[1 + BARRIER_SCOPE] = {TABLE_LEASED_IN};
    struct rows rows;
    memcpy(prefix + 1, scope, BARRIER_SCOPE);
    rows_begin(&rows, req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), "looking for leases of a mount");
    *ret = rows_next(&rows);
    return rows_end(&rows, KT_OK, err);
}

/* ---- issuing ---- */

static enum kt_kind make_id(struct request *req, struct leased *lease, struct kt_err *err)
{
    char random[LEASED_ID_CHARS + 1] = {0};
    kt_base62_random(random, LEASED_ID_CHARS);
    size_t len = req->path_len;
    while (len > 0 && req->path[len - 1] == '/')
        len--;
    lease->path = kt_arena_text(&req->arena, kt_bytes(req->path, len));
    if (lease->path != NULL)
        lease->id = kt_arena_printf(&req->arena, "%s/%s", lease->path, random);
    if (lease->path == NULL || lease->id == NULL)
        return kt_fail(err, KT_NO_MEMORY, "issuing a lease");
    key_of(req->core, lease->id, lease->key);
    return KT_OK;
}

static int64_t tighter(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static int64_t left_s(int64_t expires_ms, int64_t now_ms)
{
    return expires_ms > now_ms ? (expires_ms - now_ms) / 1000 : 0;
}

/* Where the token leaves it; 0: for ever. */
static int64_t no_later_than(int64_t expires_ms, int64_t token_expires_ms)
{
    return token_expires_ms != 0 && token_expires_ms < expires_ms ? token_expires_ms : expires_ms;
}

static void set_times(struct request *req, const struct leased_wish *wish, struct leased *lease)
{
    struct mount_lease_ttl of_mount = mount_lease_ttl(req->mount);
    int64_t max_s = tighter(of_mount.max_s, wish->max_ttl_s);
    int64_t ttl_s = wish->ttl_s > 0 ? wish->ttl_s : of_mount.default_s;
    lease->ttl_s = ttl_s < max_s ? ttl_s : max_s;
    lease->made_ms = req->now_ms;
    lease->expires_ms = no_later_than(req->now_ms + lease->ttl_s * 1000, request_wall_time(req, req->token->expires_ms));
    lease->latest_ms = req->now_ms + max_s * 1000;
    lease->due_ms = lease->expires_ms + GRACE_MS;
    if (wish->ttl_s > max_s)
        request_warn(req, "the lease is %lld s, the most that it can be here", (long long)max_s);
    if (wish->ttl_s > 0 && left_s(lease->expires_ms, req->now_ms) < lease->ttl_s)
        request_warn(req, "the lease is %lld s, all that its token leaves",
                     (long long)left_s(lease->expires_ms, req->now_ms));
}

static enum kt_kind put_all(struct request *req, const struct leased *lease, struct kt_err *err)
{
    struct core *core = req->core;
    struct batch *batch = req->batch;
    static const unsigned char there = 1;
    unsigned char of[OF_KEY], in[IN_KEY], token[BARRIER_HASH_KEY] = {TABLE_TOKEN};
    /* What a token that has ended meanwhile would have hangs from nothing. */
    memcpy(token + 1, req->token->hash, 32);
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(token, sizeof token), req->token->changed);
    batch_require(batch, KEY_ABSENT, kt_bytes(lease->key, sizeof lease->key), 0);
    of_key(lease, of);
    in_key(lease, in);
    batch_put(batch, kt_bytes(in, sizeof in), kt_bytes(&there, 1));
    enum kt_kind kind = put_record(core, batch, lease, err);
    if (kind == KT_OK)
        kind = put_due(core, batch, lease, err);
    if (kind == KT_OK)
        kind = put_way(core, batch, kt_bytes(of, sizeof of), lease, err);
    if (kind == KT_OK)
        kind = lease_put_path(core, batch, lease->path, err);
    return kind == KT_OK ? mounts_keep_name(req, req->mount, err) : kind;
}

enum kt_kind leased_issue(struct request *req, const struct leased_wish *wish, struct kt_err *err)
{
    struct leased lease = {.renewable = wish->renewable, .why = "", .data = wish->data};
    if (request_batch(req) == NULL)
        return kt_fail(err, KT_NO_MEMORY, "issuing a lease");
    if (req->token->num_uses == 1) {
        (void)kt_fail(err, KT_INVALID, "the token has one use left: what it is given would be revoked at once");
        kt_hint(err, "ask with a token that lives longer");
        return KT_INVALID;
    }
    if (wish->data.len > LEASED_DATA_MAX)
        return kt_fail(err, KT_INVALID, "what a lease keeps is larger than %zu KiB", LEASED_DATA_MAX / 1024);
    memcpy(lease.token, req->token->hash, sizeof lease.token);
    memcpy(lease.mount, req->mount->scope, sizeof lease.mount);
    set_times(req, wish, &lease);
    enum kt_kind kind = check_token(req, err);
    if (kind == KT_OK)
        kind = check_mount(req, err);
    if (kind == KT_OK)
        kind = make_id(req, &lease, err);
    if (kind == KT_OK)
        kind = put_all(req, &lease, err);
    if (kind != KT_OK)
        return kind;
    req->reply.lease_id = lease.id;
    req->reply.lease_duration_s = left_s(lease.expires_ms, req->now_ms);
    req->reply.renewable = lease.renewable;
    return KT_OK;
}

/* ---- changing ---- */

static void require_same(struct batch *batch, const struct leased *lease)
{
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(lease->key, sizeof lease->key), lease->changed);
}

static void leave_queue(struct batch *batch, const struct leased *lease)
{
    unsigned char due[LEASED_DUE_KEY];
    if (lease->due_ms == 0)
        return;
    due_key(lease, due);
    batch_delete(batch, kt_bytes(due, sizeof due));
}

/* The record anew, and its place in the queue. */
static enum kt_kind put_changed(struct core *core, struct batch *batch, const struct leased *old,
                                const struct leased *lease, struct kt_err *err)
{
    require_same(batch, old);
    leave_queue(batch, old);
    enum kt_kind kind = put_record(core, batch, lease, err);
    return kind != KT_OK || lease->due_ms == 0 ? kind : put_due(core, batch, lease, err);
}

static enum kt_kind ask_engine(struct request *req, const struct leased *lease, int64_t expires_ms, struct kt_err *err)
{
    const struct mount *mount = mounts_of_scope(req, lease->mount);
    if (mount == NULL || mount->engine == NULL || mount->engine->leasing == NULL)
        return kt_fail(err, KT_INVALID, "what made the lease is not mounted any more");
    const struct leasing *leasing = mount->engine->leasing;
    return leasing->renew == NULL ? KT_OK : leasing->renew(req, lease, expires_ms, err);
}

enum kt_kind leased_renew(struct request *req, const struct leased *lease, int64_t increment_s, int64_t *ret_ttl_s,
                          bool *ret_capped, struct kt_err *err)
{
    const struct token_ttl_wish wish = {.ttl_s = increment_s > 0 ? increment_s : lease->ttl_s,
                                        .max_s = (lease->latest_ms - lease->made_ms) / 1000,
                                        .created_ms = lease->made_ms,
                                        .now_ms = req->now_ms};
    struct token_ttl ttl = token_ttl(&wish);
    struct leased renewed = *lease;
    if (ttl.past_max || ttl.ttl_s == 0)
        return kt_fail(err, KT_INVALID, "past the max TTL, cannot renew");
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "renewing a lease");
    const struct token *token = NULL; /* the lease's: another's may renew it */
    enum kt_kind kind = token_find_hash(req->core, req->snapshot, lease->token, req->life_ms, &token, err);
    if (kind != KT_OK)
        return kind;
    renewed.expires_ms = no_later_than(ttl.expires_ms, request_wall_time(req, token->expires_ms));
    renewed.renewed_ms = req->now_ms;
    renewed.due_ms = renewed.expires_ms + GRACE_MS;
    kind = ask_engine(req, lease, renewed.expires_ms, err);
    if (kind != KT_OK)
        return kind;
    *ret_ttl_s = left_s(renewed.expires_ms, req->now_ms);
    *ret_capped = ttl.capped || renewed.expires_ms < ttl.expires_ms;
    return put_changed(req->core, batch, lease, &renewed, err);
}

enum kt_kind leased_end(struct core *core, struct batch *batch, const struct leased *lease, int64_t now_ms,
                        struct kt_err *err)
{
    struct leased ending = *lease;
    unsigned char stuck[STUCK_KEY];
    ending.ending = true;
    ending.attempts = 0;
    ending.given_up = false;
    ending.due_ms = now_ms;
    batch_relief(batch);
    if (lease->given_up) {
        stuck_key(lease, stuck);
        batch_delete(batch, kt_bytes(stuck, sizeof stuck));
    }
    return put_changed(core, batch, lease, &ending, err);
}

void leased_drop(struct batch *batch, const struct leased *lease)
{
    unsigned char of[OF_KEY], in[IN_KEY], stuck[STUCK_KEY];
    batch_relief(batch);
    require_same(batch, lease);
    leave_queue(batch, lease);
    of_key(lease, of);
    in_key(lease, in);
    batch_delete(batch, kt_bytes(lease->key, sizeof lease->key));
    batch_delete(batch, kt_bytes(of, sizeof of));
    batch_delete(batch, kt_bytes(in, sizeof in));
    if (lease->given_up) {
        stuck_key(lease, stuck);
        batch_delete(batch, kt_bytes(stuck, sizeof stuck));
    }
}

int64_t leased_pause_ms(unsigned attempts)
{
    return (int64_t)PAUSE_MS << (attempts > LEASED_ATTEMPTS ? LEASED_ATTEMPTS : attempts == 0 ? 0 : attempts - 1);
}

enum kt_kind leased_failed(struct core *core, struct batch *batch, const struct leased *lease, const char *why,
                           int64_t now_ms, struct kt_err *err)
{
    struct leased failed = *lease;
    unsigned char stuck[STUCK_KEY];
    failed.ending = true;
    failed.attempts++;
    failed.why = why;
    failed.given_up = failed.attempts >= LEASED_ATTEMPTS;
    failed.due_ms = failed.given_up ? 0 : now_ms + leased_pause_ms(failed.attempts);
    batch_relief(batch);
    enum kt_kind kind = put_changed(core, batch, lease, &failed, err);
    if (kind != KT_OK || !failed.given_up)
        return kind;
    stuck_key(lease, stuck);
    return put_way(core, batch, kt_bytes(stuck, sizeof stuck), lease, err);
}

/* ---- walks ---- */

enum kt_kind leased_of_ended(struct job_step *step, const unsigned char token[32], bool *ret_all, struct kt_err *err)
{
    unsigned char prefix[33] = {TABLE_LEASED_OF}, key[BARRIER_NAME_KEY];
    struct request *req = step->req;
    struct rows rows;
    enum kt_kind kind = KT_OK;
    memcpy(prefix + 1, token, 32);
    rows_begin(&rows, req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), "ending a token's leases");
    while (kind == KT_OK && step->room > LEASED_COSTS && rows_next(&rows)) {
        struct leased lease;
        kind = read_way(req->core, &rows.entry, key, err);
        if (kind == KT_OK)
            kind = leased_load(req->core, req->snapshot, key, &req->arena, &lease, err);
        if (kind == KT_OK && !lease.ending)
            kind = leased_end(req->core, step->batch, &lease, step->now_ms, err);
        if (kind != KT_OK && kind != KT_NOT_FOUND)
            break;
        kind = KT_OK;
        batch_delete(step->batch, rows.entry.key);
        step->room -= LEASED_COSTS;
    }
    *ret_all = rows.error == STORE_NOT_FOUND;
    return rows_end(&rows, kind, err);
}

enum kt_kind leased_each_stuck(struct request *req, leased_fn *fn, void *arg, struct kt_err *err)
{
    const unsigned char prefix[1] = {TABLE_LEASED_STUCK};
    unsigned char key[BARRIER_NAME_KEY];
    struct rows rows;
    struct kt_arena arena;
    enum kt_kind kind = KT_OK;
    kt_arena_init(&arena, LEASED_MEMORY);
    rows_begin(&rows, req, kt_bytes(prefix, 1), kt_bytes(NULL, 0), "reading the leases that were given up");
    while (kind == KT_OK && rows_next(&rows)) {
        struct leased lease;
        kind = read_way(req->core, &rows.entry, key, err);
        if (kind == KT_OK)
            kind = leased_load(req->core, req->snapshot, key, &arena, &lease, err);
        if (kind == KT_OK)
            kind = fn(arg, &lease, err);
        else if (kind == KT_NOT_FOUND)
            kind = KT_OK;
        kt_arena_reset(&arena);
    }
    kt_arena_free(&arena);
    kind = rows_end(&rows, kind, err);
    return kind == KT_GONE ? KT_OK : kind;
}
