/* MOUNT/copy/PATH and MOUNT/move/PATH: a secret with all its versions elsewhere, in one commit, without
 * anybody reading it. Each version is sealed anew under a key of its own, bound to its new place. Never over
 * something that is there; never what a target knows, for its readers are counted by its name. */
#include "vaultd/engine/kv_copy.h"

#include <sodium.h>

#include "lib/cleanup.h"
#include "lib/random.h"
#include "vaultd/core/mounts.h"
#include "vaultd/core/path.h"
#include "vaultd/engine/kv_record.h"
#include "vaultd/engine/kv_routes.h"
#include "vaultd/fleet/fleet.h"
#include "vaultd/rotation/rotation.h"

#define BYTES_SPARE ((size_t)192 * 1024) /* of the batch, for metadata, names, keys */
#define MOVED_AWAY  10u /* records of the old place that go in this commit; the others are a job's */

struct copying {
    struct kv_place from, to;
    const char *from_name, *to_name; /* with their mounts */
    bool moves;
    struct kv_secret *old;
    struct kv_secret made;
    size_t bytes;
};

/* ---- from where, to where ---- */

/* Whoever may not create there is not told what is there. */
static enum kt_kind refuse_place(struct request *req, const char *name, struct kt_err *err)
{
    enum kt_kind kind = request_also(req, OP_CREATE, name, err);
    if (kind != KT_OK)
        return kind;
    (void)kt_fail(err, KT_INVALID, "'to' must be a secret in a KV mount of version 2");
    kt_hint(err, "MOUNT/PATH, as in secret/db/orders; the mounts: secretctl secrets list -detailed");
    return KT_INVALID;
}

static enum kt_kind read_places(struct request *req, struct copying *c, struct kt_err *err)
{
    const char *rest = NULL;
    c->from = (struct kv_place){req->mount, request_param(req, "path")};
    c->from_name = kt_arena_printf(&req->arena, "%s%s", req->mount->path, c->from.path);
    if (c->from_name == NULL)
        return kt_fail(err, KT_NO_MEMORY, "copying a secret");
    enum kt_kind kind = request_string(req, "to", &c->to_name, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && c->to_name[0] == '\0'))
        return kt_fail(err, KT_INVALID, "'to' must be supplied");
    if (kind == KT_OK)
        kind = path_check(c->to_name, err);
    if (kind != KT_OK) {
        kt_context(err, "'to'");
        return kind;
    }
    req->destination = c->to_name;
    const struct mount *mount = mounts_find(req, c->to_name, &rest);
    if (mount == NULL || mount->engine != &kv_v2_engine || rest[0] == '\0' ||
        rest[strlen(rest) - 1] == '/')
        return refuse_place(req, c->to_name, err);
    c->to = (struct kv_place){mount, rest};
    return KT_OK;
}

/* ---- what is there ---- */

static enum kt_kind load_source(struct request *req, struct copying *c, struct kt_err *err)
{
    enum kt_kind kind = kv_load_named(req, &c->old, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    if (kind != KT_OK)
        return kind;
    if (c->old->has_driver) {
        (void)kt_fail(err, KT_INVALID, "a target accepts this secret: its readers are counted by its name");
        kt_hint(err, "end its rotation first: secretctl schedule remove %s", c->from_name);
        return KT_INVALID;
    }
    return KT_OK;
}

/* What it signed and was revoked is found by its name alone. */
static enum kt_kind check_revokes_nothing(struct request *req, const struct copying *c, struct kt_err *err)
{
    bool revokes = false;
    enum kt_kind kind = rotation_revokes(req, c->from_name, &revokes, err);
    if (kind != KT_OK || !revokes)
        return kind;
    (void)kt_fail(err, KT_INVALID, "it signed certificates that were revoked and have not ended: lists of them are made "
                                   "by this name");
    kt_hint(err, "which, and when they end: secretctl certificate revoked %s", c->from_name);
    return KT_INVALID;
}

/* Nobody may go on looking for it under its old name. */
static enum kt_kind check_unnamed(struct request *req, struct copying *c, struct kt_err *err)
{
    const char *host = NULL;
    enum kt_kind kind = rotation_allows(req, c->from.mount, c->from.path, c->old, ROTATION_METADATA, 0, err);
    if (kind == KT_OK)
        kind = fleet_host_below(req, c->from_name, &host, err);
    if (kind == KT_OK && host == NULL)
        return check_revokes_nothing(req, c, err);
    if (kind != KT_OK)
        return kind;
    (void)kt_fail(err, KT_INVALID, "a service on host \"%s\" uses the secret by this name", host);
    kt_hint(err, "take it out first: DELETE fleet/consumers/%s/%s", host, c->from_name);
    return KT_INVALID;
}

static enum kt_kind check_destination(struct request *req, const struct copying *c, struct kt_err *err)
{
    struct kv_secret *there = NULL;
    enum kt_kind kind =
        kv_load(req->core, c->to.mount, req->snapshot, &req->arena, c->to.path, &there, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    (void)kt_fail(err, KT_INVALID, "'to' is there already: nothing is ever copied over it");
    kt_hint(err, "another name, or remove it with all its versions first: secretctl kv metadata delete %s",
            c->to_name);
    return KT_INVALID;
}

static bool has_deleted(const struct kv_secret *secret, int64_t now_ms)
{
    for (size_t i = 0; i < secret->n_versions; i++)
        if (!secret->versions[i].destroyed && kv_version_deleted(secret, &secret->versions[i], now_ms))
            return true;
    return false;
}

/* ---- copying ---- */

static enum kt_kind too_large(const struct copying *c, struct kt_err *err)
{
    (void)kt_fail(err, KT_TOO_LARGE, "all versions of the secret are more than one commit holds");
    kt_hint(err, "destroy what nobody needs first: secretctl kv destroy -versions=1,2 %s", c->from_name);
    return KT_TOO_LARGE;
}

static unsigned segments(const char *path)
{
    unsigned n = 1;
    for (const char *at = strchr(path, '/'); at != NULL; at = strchr(at + 1, '/'))
        n++;
    return n;
}

/* What the batch has room for: names and folders, the two records of metadata, the mounts' and a token's
 * conditions, and a put a version. */
static bool fits(const struct copying *c)
{
    unsigned ops = segments(c->to.path) + 1 + 9 + (unsigned)c->old->n_versions;
    if (c->moves)
        ops += 2 * segments(c->from.path) + 1 + MOVED_AWAY;
    return ops <= STORE_BATCH_OPS;
}

static enum kt_kind copy_version(struct request *req, struct copying *c, struct kv_version *v,
                                 struct kt_err *err)
{
    unsigned char key[KV_KEY];
    kt_autobuf struct kt_buf value, sealed;
    kt_buf_init(&value, KV_DATA_MAX);
    kt_buf_init(&sealed, STORE_VALUE_MAX);
    struct kv_version old = *v;
    enum kt_kind kind =
        kv_value(req->core, c->from.mount, req->snapshot, c->from.path, &old, &value, err);
    sodium_memzero(&old, sizeof old); /* it has the key */
    if (kind != KT_OK)
        return kind;
    kv_key(req->core, c->to.mount, c->to.path, v->slot, key);
    kt_random(v->dek, sizeof v->dek);
    kind = kv_value_seal(v->dek, kt_bytes(key, sizeof key), kt_buf_bytes(&value), &sealed, err);
    if (kind != KT_OK)
        return kind;
    c->bytes += sealed.len;
    if (c->bytes > STORE_BATCH_BYTES - BYTES_SPARE)
        return too_large(c, err);
    batch_put(req->batch, kt_bytes(key, sizeof key), kt_buf_bytes(&sealed));
    return KT_OK;
}

static enum kt_kind copy_versions(struct request *req, struct copying *c, struct kt_err *err)
{
    c->made = *c->old;
    c->made.changed = 0;
    c->made.versions = kt_arena_take(&req->arena, (c->old->n_versions + 1) * sizeof *c->made.versions);
    if (c->made.versions == NULL)
        return kt_fail(err, KT_NO_MEMORY, "copying a secret");
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; kind == KT_OK && i < c->old->n_versions; i++) {
        c->made.versions[i] = c->old->versions[i];
        /* For the other secret, if for any: it issued it, and what it signed was revoked under its name. */
        c->made.versions[i].issued = false;
        c->made.versions[i].needed_until_ms = 0;
        if (c->old->versions[i].slot != 0)
            kind = copy_version(req, c, &c->made.versions[i], err);
    }
    return kind;
}

static enum kt_kind commit(struct request *req, struct copying *c, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "copying a secret");
    if (!fits(c))
        return too_large(c, err);
    enum kt_kind kind = copy_versions(req, c, err);
    if (kind == KT_OK)
        kind = kv_name_add(req->core, c->to.mount, req->snapshot, batch, c->to.path, err);
    if (kind == KT_OK)
        kind = kv_save(req->core, c->to.mount, batch, c->to.path, &c->made, err);
    const char *keeps = c->to.mount == c->from.mount ? c->to.path : NULL;
    if (c->moves)
        mounts_require_names(req, c->from.mount, batch);
    if (kind == KT_OK && c->moves)
        kind = kv_remove(req->core, c->from.mount, req->snapshot, batch, c->from.path, c->old,
                         MOVED_AWAY, keeps, err);
    else if (kind == KT_OK)
        kv_require(req->core, c->from.mount, batch, c->from.path, c->old);
    return kind;
}

static void answer(struct request *req, const struct copying *c)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "current_version", c->made.current);
    kt_jsonw_key(&w, "from");
    kt_jsonw_text(&w, c->from_name);
    kt_jsonw_kv_text(&w, "to", c->to_name);
    kt_jsonw_kv_int(&w, "versions", (int64_t)c->made.n_versions);
    kt_jsonw_end(&w);
}

static enum kt_kind run(struct request *req, bool moves, struct kt_err *err)
{
    struct copying c = {.moves = moves};
    enum kt_kind kind = read_places(req, &c, err);
    if (kind == KT_OK)
        kind = kv_copy_permit(req, &c.from, &c.to, moves, err);
    if (kind == KT_OK && c.from.mount == c.to.mount && strcmp(c.from.path, c.to.path) == 0)
        return kt_fail(err, KT_INVALID, "'to' is the secret itself");
    if (kind == KT_OK)
        kind = load_source(req, &c, err);
    if (kind == KT_OK && has_deleted(c.old, req->now_ms))
        kind = kv_copy_permit_deleted(req, &c.from, &c.to, err);
    if (kind == KT_OK && moves)
        kind = check_unnamed(req, &c, err);
    if (kind == KT_OK)
        kind = check_destination(req, &c, err);
    if (kind == KT_OK)
        kind = commit(req, &c, err);
    if (kind == KT_OK)
        answer(req, &c);
    return kind;
}

enum kt_kind kv_copy(struct request *req, struct kt_err *err)
{
    return run(req, false, err);
}

enum kt_kind kv_move(struct request *req, struct kt_err *err)
{
    return run(req, true, err);
}
