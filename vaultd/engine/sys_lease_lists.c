/* sys/leases: lists and counts. */
#include <stdlib.h>

#include "lib/cleanup.h"
#include "vaultd/auth/leased.h"
#include "vaultd/core/mounts.h"
#include "vaultd/core/rows.h"
#include "vaultd/engine/sys.h"

#define COUNTED_HERE 2000u  /* rows; more are looked at where nobody waits behind it */
#define ID_MAX       8192u
#define LISTED_MAX   10000u /* a list is for people */

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

static enum kt_kind list_token(struct names *names, size_t path_len, const unsigned char hash[32], struct kt_err *err)
{
    struct request *req = names->req;
    const struct token *token = NULL;
    enum kt_kind kind = token_find_hash(req->core, req->snapshot, hash, req->life_ms, &token, err);
    if (kind == KT_DENIED) {
        kt_err_clear(err);
        return KT_OK;
    }
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf id;
    kt_buf_init(&id, ID_MAX);
    if (!lease_id(req->core, token, &id))
        return KT_OK;
    if (!kt_buf_ok(&id))
        return kt_fail(err, KT_NO_MEMORY, "listing leases");
    return add_name(names, kt_buf_text(&id) + path_len + 1, id.len - path_len - 1, false, err);
}

/* What is left to be revoked is there, too: its account is. */
static enum kt_kind list_secret(struct names *names, size_t path_len, const struct entry *row, struct kt_err *err)
{
    struct leased lease;
    struct kt_arena arena;
    kt_arena_init(&arena, LEASED_MEMORY);
    enum kt_kind kind = leased_open(names->req->core, row, &arena, &lease, err);
    const char *name = kind == KT_OK ? lease.id + path_len + 1 : "";
    if (kind == KT_OK)
        kind = add_name(names, name, strlen(name), false, err);
    kt_arena_free(&arena);
    return kind;
}

static enum kt_kind list_one(void *arg, const char *path, const struct lease_found *found, struct kt_err *err)
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
    names->cut = names->n == LISTED_MAX;
    if (names->cut)
        return KT_NOT_FOUND;
    return found->token != NULL ? list_token(names, path_len, found->token, err)
                                : list_secret(names, path_len, found->secret, err);
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
static enum kt_kind count_one(void *arg, const char *path, const struct lease_found *found, struct kt_err *err)
{
    (void)found;
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

/* "irrevocable": those that an engine could not revoke and that are given up. "all" is ours. */
static enum kt_kind read_type(struct request *req, bool *ret_stuck, struct kt_err *err)
{
    const char *type = "";
    enum kt_kind kind = request_string(req, "type", &type, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    *ret_stuck = strcmp(type, "irrevocable") == 0;
    if (!*ret_stuck && strcmp(type, "all") != 0)
        return kt_fail(err, KT_INVALID, "\"type\" must be \"irrevocable\" or \"all\"");
    return KT_OK;
}

/* ---- what was given up ---- */

struct shown {
    const char *id, *path, *why;
    unsigned char mount[BARRIER_SCOPE];
};

struct stuck {
    struct request *req;
    struct shown *at;
    size_t n, room, looked_at;
    bool aside, cut;
};

static enum kt_kind keep_stuck(void *arg, const struct leased *lease, struct kt_err *err)
{
    struct stuck *stuck = arg;
    stuck->aside = goes_aside(stuck->req, &stuck->looked_at);
    stuck->cut = stuck->n == LISTED_MAX;
    if (stuck->aside || stuck->cut)
        return KT_GONE;
    stuck->at = rows_room(stuck->req, stuck->at, stuck->n, &stuck->room, sizeof *stuck->at);
    struct kt_arena *arena = &stuck->req->arena;
    struct shown shown = {.id = kt_arena_text(arena, kt_str(lease->id)),
                          .path = kt_arena_text(arena, kt_str(lease->path)),
                          .why = kt_arena_text(arena, kt_str(lease->why))};
    if (stuck->at == NULL || shown.id == NULL || shown.path == NULL || shown.why == NULL)
        return kt_fail(err, KT_NO_MEMORY, "listing leases");
    memcpy(shown.mount, lease->mount, sizeof shown.mount);
    stuck->at[stuck->n++] = shown;
    return KT_OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct shown *)a)->id, ((const struct shown *)b)->id);
}

static enum kt_kind read_stuck(struct request *req, struct stuck *ret, struct kt_err *err)
{
    *ret = (struct stuck){.req = req};
    enum kt_kind kind = leased_each_stuck(req, keep_stuck, ret, err);
    if (kind == KT_OK && ret->n > 1)
        qsort(ret->at, ret->n, sizeof *ret->at, by_path);
    if (kind == KT_OK && ret->cut)
        request_warn(req, "only %u leases that were given up are here", LISTED_MAX);
    return kind;
}

static enum kt_kind count_stuck(struct request *req, struct tally *tally, struct kt_err *err)
{
    struct stuck stuck;
    enum kt_kind kind = read_stuck(req, &stuck, err);
    tally->aside = stuck.aside;
    for (size_t i = 0; kind == KT_OK && !stuck.aside && i < stuck.n; i++) {
        if (tally->path == NULL || strcmp(tally->path, stuck.at[i].path) != 0)
            tell_count(tally);
        tally->path = stuck.at[i].path;
        tally->n++;
    }
    return kind;
}

enum kt_kind sys_lease_count(struct request *req, struct kt_err *err)
{
    bool stuck = false;
    enum kt_kind kind = read_type(req, &stuck, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    struct tally tally = {.req = req, .w = &w};
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "counts");
    kt_jsonw_object(&w);
    kind = stuck ? count_stuck(req, &tally, err) : lease_each(req, "", count_one, &tally, err);
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
    bool wanted = false;
    struct stuck stuck;
    enum kt_kind kind = read_type(req, &wanted, err);
    if (kind == KT_OK && !wanted)
        return kt_fail(err, KT_INVALID, "\"type\" must be \"irrevocable\": sys/leases/lookup lists the others");
    if (kind == KT_OK)
        kind = read_stuck(req, &stuck, err);
    if (kind != KT_OK || stuck.aside)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "lease_count", (int64_t)stuck.n);
    kt_jsonw_key(&w, "leases");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < stuck.n; i++) {
        const struct mount *mount = mounts_of_scope(req, stuck.at[i].mount);
        kt_jsonw_object(&w);
        kt_jsonw_kv_text(&w, "error", stuck.at[i].why);
        kt_jsonw_kv_text(&w, "lease_id", stuck.at[i].id);
        kt_jsonw_kv_text(&w, "mount_id", mount == NULL ? "" : mount->accessor);
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}
