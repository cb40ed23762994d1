/* sys/leases: what ends by itself, by its id or by where it was made. All leases are tokens': no engine here makes
 * secrets that have one. */
#include <stdlib.h>

#include "lib/cleanup.h"
#include "vaultd/auth/lease.h"
#include "vaultd/core/jobs.h"
#include "vaultd/core/rows.h"
#include "vaultd/engine/sys.h"

#define COUNTED_HERE 2000u  /* rows; more are looked at where nobody waits behind it */
#define ID_MAX       8192u
#define LISTED_MAX   10000u /* a list is for people */
#define STEPS_MAX    400u   /* of a revocation that is waited for: some thousand leases */

/* ---- one ---- */

/* The body's id wins over the path's, as in Vault. */
static enum kt_kind read_id(struct request *req, const char **ret, struct kt_err *err)
{
    const char *id = "";
    enum kt_kind kind = request_string(req, "lease_id", &id, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    const char *in_path = request_param(req, "url_lease_id");
    /* Policies were asked about the path. */
    if (id[0] != '\0' && in_path[0] != '\0' && strcmp(id, in_path) != 0)
        return kt_fail(err, KT_INVALID, "lease_id is another than the path's");
    if (id[0] == '\0')
        id = in_path;
    if (id[0] == '\0')
        return kt_fail(err, KT_INVALID, "lease_id must be specified");
    *ret = id;
    return KT_OK;
}

static enum kt_kind find(struct request *req, const struct token **ret, const char **ret_id, struct kt_err *err)
{
    enum kt_kind kind = read_id(req, ret_id, err);
    return kind == KT_OK ? lease_find(req->core, req->snapshot, *ret_id, req->now_ms, ret, err) : kind;
}

static void write_time(struct kt_jsonw *w, const char *key, int64_t ms)
{
    if (ms == 0)
        kt_jsonw_kv_null(w, key);
    else
        kt_jsonw_kv_time(w, key, ms);
}

enum kt_kind sys_lease_lookup(struct request *req, struct kt_err *err)
{
    const char *id = NULL;
    const struct token *token = NULL;
    enum kt_kind kind = find(req, &token, &id, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "invalid lease");
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    write_time(&w, "expire_time", token->expires_ms);
    kt_jsonw_kv_text(&w, "id", id);
    write_time(&w, "issue_time", token->created_ms);
    write_time(&w, "last_renewal", token->last_renewal_ms);
    kt_jsonw_kv_text(&w, "path", token->path);
    kt_jsonw_kv_bool(&w, "renewable", token->renewable);
    kt_jsonw_kv_int(&w, "ttl", (token->expires_ms - req->now_ms) / 1000);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* A token is renewed by who has it, or an accessor and a policy for it: an id of a lease gives no such right. */
enum kt_kind sys_lease_renew(struct request *req, struct kt_err *err)
{
    const char *id = NULL;
    const struct token *token = NULL;
    enum kt_kind kind = find(req, &token, &id, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "lease not found");
    if (kind != KT_OK)
        return kind;
    if (!token->renewable)
        return kt_fail(err, KT_INVALID, "lease is not renewable");
    (void)kt_fail(err, KT_INVALID, "tokens cannot be renewed through this endpoint");
    kt_hint(err, "auth/token/renew, renew-self or renew-accessor");
    return KT_INVALID;
}

static enum kt_kind read_sync(struct request *req, bool *ret, struct kt_err *err)
{
    *ret = true;
    enum kt_kind kind = request_bool(req, "sync", ret, err);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

enum kt_kind sys_lease_revoke(struct request *req, struct kt_err *err)
{
    const char *id = NULL;
    const struct token *token = NULL;
    bool sync = true;
    enum kt_kind kind = read_sync(req, &sync, err);
    if (kind == KT_OK)
        kind = find(req, &token, &id, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    req->reply.status = sync ? 0 : 202;
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "revoking a lease");
    return token_end(req->core, batch, token, false, err);
}

/* ---- all below a prefix ---- */

static bool job_is_there(struct core *core, const unsigned char id[JOB_ID])
{
    struct snapshot *snapshot = NULL;
    if (snapshot_begin(core->store, &snapshot) != STORE_OK)
        return true;
    unsigned char key[1 + JOB_ID];
    job_key(id, key);
    struct entry entry;
    bool there = snapshot_get(snapshot, kt_bytes(key, sizeof key), &entry) != STORE_NOT_FOUND;
    snapshot_end(snapshot);
    return there;
}

/* What one commit does not hold is done here as far as one may wait for it, then by the housekeeper. */
static enum kt_kind go_on(struct request *req, struct kt_err *err)
{
    (void)err;
    const unsigned char *id = req->handler_data;
    bool more = true, there = true;
    for (unsigned i = 0; i < STEPS_MAX && more && there; i++) {
        struct kt_err why = {0};
        if (jobs_run(req->core, &more, &why) != KT_OK)
            break;
        there = job_is_there(req->core, id);
    }
    req->reply.status = there ? 202 : 0;
    return KT_OK;
}

/* As in Vault: without a slash at its end it may be one lease's id. */
static enum kt_kind revoke_one(struct request *req, const char *id, bool *ret_was, struct kt_err *err)
{
    const struct token *token = NULL;
    enum kt_kind kind = lease_find(req->core, req->snapshot, id, req->now_ms, &token, err);
    *ret_was = kind == KT_OK;
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "revoking a lease");
    return token_end(req->core, batch, token, false, err);
}

static enum kt_kind revoke_below(struct request *req, struct kt_err *err)
{
    const char *prefix = request_param(req, "prefix");
    unsigned char *id = kt_arena_take(&req->arena, JOB_ID);
    bool sync = true, left = false, one = false;
    if (id == NULL)
        return kt_fail(err, KT_NO_MEMORY, "revoking leases");
    enum kt_kind kind = read_sync(req, &sync, err);
    if (kind == KT_OK)
        kind = revoke_one(req, prefix, &one, err);
    if (kind == KT_OK && !one)
        kind = lease_revoke_prefix(req, prefix, &left, id, err);
    if (kind != KT_OK)
        return kind;
    req->reply.status = sync ? 0 : 202;
    if (left && sync) {
        req->handler_data = id;
        req->defer = go_on;
        req->defer_long = true;
    }
    return KT_OK;
}

enum kt_kind sys_lease_revoke_prefix(struct request *req, struct kt_err *err)
{
    return revoke_below(req, err);
}

/* No engine can fail to revoke a token: there is nothing to force. */
enum kt_kind sys_lease_revoke_force(struct request *req, struct kt_err *err)
{
    return revoke_below(req, err);
}

/* ---- lists and counts ---- */

struct names {
    struct request *req;
    const char *prefix; /* with a slash at its end, or empty */
    const char **at;
    size_t n, room, looked_at;
    bool aside, cut;
};

static enum kt_kind add_name(struct names *names, const char *name, size_t len, bool folder, struct kt_err *err)
{
    struct request *req = names->req;
    names->at = rows_room(req, names->at, names->n, &names->room, sizeof *names->at);
    char *copy = names->at == NULL ? NULL : kt_arena_take(&req->arena, len + 2);
    if (copy == NULL)
        return kt_fail(err, KT_NO_MEMORY, "listing leases");
    memcpy(copy, name, len);
    copy[len] = folder ? '/' : '\0';
    copy[len + folder] = '\0';
    names->at[names->n++] = copy;
    return KT_OK;
}

static bool goes_aside(struct request *req, size_t *looked_at)
{
    return ++*looked_at == COUNTED_HERE && request_aside(req);
}

static enum kt_kind list_one(void *arg, const char *path, const unsigned char hash[32], struct kt_err *err)
{
    struct names *names = arg;
    struct request *req = names->req;
    names->aside = goes_aside(req, &names->looked_at);
    if (names->aside)
        return KT_GONE;
    size_t len = strlen(names->prefix), path_len = strlen(path);
    if (path_len + 1 > len) { /* it goes deeper */
        const char *below = path + len;
        enum kt_kind kind = add_name(names, below, strcspn(below, "/"), true, err);
        return kind == KT_OK ? KT_NOT_FOUND : kind;
    }
    const struct token *token = NULL;
    enum kt_kind kind = token_find_hash(req->core, req->snapshot, hash, req->now_ms, &token, err);
    if (kind == KT_DENIED) {
        kt_err_clear(err);
        return KT_OK;
    }
    if (kind != KT_OK)
        return kind;
    names->cut = names->n == LISTED_MAX;
    if (names->cut)
        return KT_NOT_FOUND;
    kt_autobuf struct kt_buf id;
    kt_buf_init(&id, ID_MAX);
    if (!lease_id(req->core, token, &id))
        return KT_OK;
    if (!kt_buf_ok(&id))
        return kt_fail(err, KT_NO_MEMORY, "listing leases");
    return add_name(names, kt_buf_text(&id) + path_len + 1, id.len - path_len - 1, false, err);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void write_names(struct request *req, struct names *names)
{
    qsort(names->at, names->n, sizeof *names->at, by_text);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "keys");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < names->n; i++)
        if (i == 0 || strcmp(names->at[i], names->at[i - 1]) != 0)
            kt_jsonw_text(&w, names->at[i]);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    if (names->cut)
        request_warn(req, "the list is cut after %u leases: sys/leases/count counts all", LISTED_MAX);
}

enum kt_kind sys_lease_list(struct request *req, struct kt_err *err)
{
    const char *prefix = request_param(req, "prefix");
    size_t len = strlen(prefix);
    if (len > 0 && prefix[len - 1] != '/')
        prefix = kt_arena_printf(&req->arena, "%s/", prefix);
    if (prefix == NULL)
        return kt_fail(err, KT_NO_MEMORY, "listing leases");
    struct names names = {.req = req, .prefix = prefix};
    enum kt_kind kind = lease_each(req, prefix, list_one, &names, err);
    if (kind != KT_OK || names.aside)
        return kind;
    if (names.n == 0)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    write_names(req, &names);
    return KT_OK;
}

struct tally {
    struct request *req;
    struct kt_jsonw *w;
    const char *path; /* of the count that is going on; NULL: none yet */
    int64_t n, total;
    size_t looked_at;
    bool aside;
};

static void tell_count(struct tally *tally)
{
    if (tally->path != NULL && tally->n > 0)
        kt_jsonw_kv_int(tally->w, tally->path, tally->n);
    tally->total += tally->n;
    tally->n = 0;
}

/* The walk takes one path after the other. */
static enum kt_kind count_one(void *arg, const char *path, const unsigned char hash[32], struct kt_err *err)
{
    (void)hash;
    struct tally *tally = arg;
    tally->aside = goes_aside(tally->req, &tally->looked_at);
    if (tally->aside)
        return KT_GONE;
    if (tally->path == NULL || strcmp(tally->path, path) != 0) {
        tell_count(tally);
        tally->path = kt_arena_text(&tally->req->arena, kt_str(path));
        if (tally->path == NULL)
            return kt_fail(err, KT_NO_MEMORY, "counting leases");
    }
    tally->n++;
    return KT_OK;
}

/* "irrevocable": those that an engine could not revoke and that are given up; there are none. "all" is ours. */
static enum kt_kind read_type(struct request *req, bool *ret_none, struct kt_err *err)
{
    const char *type = "";
    enum kt_kind kind = request_string(req, "type", &type, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    *ret_none = strcmp(type, "irrevocable") == 0;
    if (!*ret_none && strcmp(type, "all") != 0)
        return kt_fail(err, KT_INVALID, "\"type\" must be \"irrevocable\" or \"all\"");
    return KT_OK;
}

enum kt_kind sys_lease_count(struct request *req, struct kt_err *err)
{
    bool none = false;
    enum kt_kind kind = read_type(req, &none, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    struct tally tally = {.req = req, .w = &w};
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "counts");
    kt_jsonw_object(&w);
    if (!none)
        kind = lease_each(req, "", count_one, &tally, err);
    if (kind != KT_OK || tally.aside)
        return kind;
    tell_count(&tally);
    kt_jsonw_end(&w);
    kt_jsonw_kv_int(&w, "lease_count", tally.total);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind sys_leases(struct request *req, struct kt_err *err)
{
    bool none = false;
    enum kt_kind kind = read_type(req, &none, err);
    if (kind != KT_OK)
        return kind;
    if (!none)
        return kt_fail(err, KT_INVALID, "\"type\" must be \"irrevocable\": sys/leases/lookup lists the others");
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "lease_count", 0);
    kt_jsonw_key(&w, "leases");
    kt_jsonw_raw(&w, kt_str("[]"));
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind sys_lease_tidy(struct request *req, struct kt_err *err)
{
    enum kt_kind kind = lease_tidy(req, err);
    if (kind != KT_OK)
        return kind;
    req->reply.status = 202;
    request_warn(req, "Tidy operation successfully started. Leases that are over end by themselves; this removes what "
                      "is left of paths without any.");
    return KT_OK;
}
