#include "vaultd/engine/kv_clear.h"

#include "vaultd/core/mounts.h"
#include "vaultd/engine/kv_record.h"

#define DEPTH_MAX 64u /* more than any path has had */

struct clearing {
    struct job_step *step;
    enum table table;
    unsigned char scope[BARRIER_SCOPE];
};

/* Deletes the entries with a prefix while there is room; *ret_all: none is left. */
static enum kt_kind delete_entries(struct job_step *step, struct kt_bytes prefix, bool *ret_all,
                                   struct kt_err *err)
{
    struct cursor *cursor = NULL;
    if (cursor_open(step->req->snapshot, prefix, kt_bytes(NULL, 0), &cursor) != STORE_OK)
        return kt_fail(err, KT_IO, "clearing secrets");
    struct entry entry;
    enum store_error found = STORE_OK;
    while ((found = cursor_next(cursor, &entry)) == STORE_OK && step->room > 0) {
        batch_delete(step->batch, entry.key);
        step->room--;
    }
    cursor_close(cursor);
    *ret_all = found == STORE_NOT_FOUND;
    return *ret_all || found == STORE_OK ? KT_OK : kt_fail(err, KT_IO, "clearing secrets");
}

static enum kt_kind clear_folder(struct clearing *c, const char *folder, unsigned depth,
                                 bool *ret_all, struct kt_err *err);

/* One child, file or folder, with its own name record last. */
static enum kt_kind clear_child(struct clearing *c, const char *path, struct kt_bytes name_key,
                                unsigned depth, bool *ret_all, struct kt_err *err)
{
    struct job_step *step = c->step;
    size_t len = strlen(path);
    enum kt_kind kind = KT_OK;
    if (len > 0 && path[len - 1] == '/') {
        kind = clear_folder(c, path, depth + 1, ret_all, err);
    } else {
        unsigned char key[BARRIER_NAME_KEY];
        barrier_name_key(step->req->core->barrier, c->table, c->scope, kt_bytes(path, len), key);
        kind = delete_entries(step, kt_bytes(key, sizeof key), ret_all, err);
    }
    if (kind != KT_OK || !*ret_all)
        return kind;
    *ret_all = step->room > 0;
    if (*ret_all) {
        batch_delete(step->batch, name_key);
        step->room--;
    }
    return KT_OK;
}

static enum kt_kind clear_children(struct clearing *c, struct cursor *cursor, const char *folder,
                                   unsigned depth, bool *ret_all, struct kt_err *err)
{
    struct request *req = c->step->req;
    struct entry entry;
    enum store_error found = STORE_OK;
    *ret_all = true;
    while (*ret_all && (found = cursor_next(cursor, &entry)) == STORE_OK) {
        struct kt_bytes name = {0};
        enum kt_kind kind = kv_name_read(req->core, &entry, &req->arena, &name, err);
        if (kind != KT_OK)
            return kind;
        const char *path =
            kt_arena_printf(&req->arena, "%s%.*s", folder, (int)name.len, (const char *)name.at);
        if (path == NULL)
            return kt_fail(err, KT_NO_MEMORY, "clearing secrets");
        kind = clear_child(c, path, entry.key, depth, ret_all, err);
        if (kind != KT_OK)
            return kind;
    }
    if (*ret_all && found != STORE_NOT_FOUND)
        return kt_fail(err, KT_IO, "clearing secrets");
    return KT_OK;
}

static enum kt_kind clear_folder(struct clearing *c, const char *folder, unsigned depth,
                                 bool *ret_all, struct kt_err *err)
{
    if (depth > DEPTH_MAX)
        return kt_fail(err, KT_CORRUPT, "names nest deeper than paths may");
    struct core *core = c->step->req->core;
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    barrier_folder_prefix(core->barrier, TABLE_KV_NAME, c->scope, kt_str(folder), prefix);
    struct cursor *cursor = NULL;
    if (cursor_open(c->step->req->snapshot, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0),
                    &cursor) != STORE_OK)
        return kt_fail(err, KT_IO, "clearing secrets");
    enum kt_kind kind = clear_children(c, cursor, folder, depth, ret_all, err);
    cursor_close(cursor);
    return kind;
}

enum kt_kind kv_clear(struct job_step *step, enum table table,
                      const unsigned char scope[BARRIER_SCOPE], bool *ret_done, struct kt_err *err)
{
    struct clearing c = {.step = step, .table = table};
    memcpy(c.scope, scope, sizeof c.scope);
    return clear_folder(&c, "", 0, ret_done, err);
}

/* ---- a removed mount ---- */

enum kt_kind kv_mount_job(struct job_step *step, struct kt_bytes subject, struct kt_err *err)
{
    if (subject.len != BARRIER_SCOPE)
        return kt_fail(err, KT_CORRUPT, "a mount's job is damaged");
    bool all = false;
    enum kt_kind kind = kv_clear(step, TABLE_KV, subject.at, &all, err);
    if (kind != KT_OK || !all || step->room < 2)
        return kind;
    struct mount mount = {.path = ""};
    memcpy(mount.scope, subject.at, sizeof mount.scope);
    unsigned char kept[BARRIER_NAME_KEY];
    kv_settings_delete(step->req->core, &mount, step->batch);
    mounts_kept_key(step->req->core, mount.scope, kept);
    batch_delete(step->batch, kt_bytes(kept, sizeof kept));
    step->room -= 2;
    step->done = true;
    return KT_OK;
}

/* ---- versions without a key ---- */

enum kt_kind kv_leave_job(struct core *core, const struct mount *mount, struct batch *batch,
                          const char *path, struct kt_err *err)
{
    unsigned char id[BARRIER_HASH_KEY];
    kt_autobuf struct kt_buf subject;
    kt_buf_init(&subject, BARRIER_SCOPE + KV_PATH_MAX);
    kt_buf_add(&subject, mount->scope, sizeof mount->scope);
    kt_buf_add_text(&subject, path);
    if (!kt_buf_ok(&subject))
        return kt_fail(err, KT_NO_MEMORY, "noting what is left to do");
    barrier_hash_key(core->barrier, TABLE_JOB, kt_buf_bytes(&subject), id);
    return job_put(core, batch, JOB_SECRET, id + 1, kt_buf_bytes(&subject), err);
}

static bool holds_version(const struct kv_secret *secret, uint32_t slot)
{
    for (size_t i = 0; i < secret->n_versions; i++)
        if (secret->versions[i].slot == slot)
            return true;
    return false;
}

/* The metadata decide, and must stay as they were: a new secret of the name may have the slot. */
static enum kt_kind delete_keyless(struct job_step *step, struct cursor *cursor,
                                   const struct kv_secret *secret, struct kt_err *err)
{
    struct entry entry;
    enum store_error found = STORE_OK;
    while (step->room > 0 && (found = cursor_next(cursor, &entry)) == STORE_OK) {
        uint32_t slot = kt_get_be32(entry.key.at + BARRIER_NAME_KEY);
        if (slot == 0 || holds_version(secret, slot))
            continue;
        batch_delete(step->batch, entry.key);
        step->room--;
    }
    step->done = found == STORE_NOT_FOUND;
    return found == STORE_OK || step->done ? KT_OK : kt_fail(err, KT_IO, "clearing versions");
}

enum kt_kind kv_secret_job(struct job_step *step, struct kt_bytes subject, struct kt_err *err)
{
    struct request *req = step->req;
    if (subject.len < BARRIER_SCOPE)
        return kt_fail(err, KT_CORRUPT, "a secret's job is damaged");
    struct mount mount = {.path = ""};
    memcpy(mount.scope, subject.at, sizeof mount.scope);
    const char *path = kt_arena_text(
        &req->arena, kt_bytes(subject.at + BARRIER_SCOPE, subject.len - BARRIER_SCOPE));
    struct kv_secret *secret = NULL;
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "clearing versions");
    enum kt_kind kind = kv_load(req->core, &mount, req->snapshot, &req->arena, path, &secret, err);
    if ((kind != KT_OK && kind != KT_NOT_FOUND) || step->room < 2)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    unsigned char key[KV_KEY];
    kv_key(req->core, &mount, path, 0, key);
    batch_require(step->batch, secret->changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT,
                  kt_bytes(key, sizeof key), secret->changed);
    step->room--;
    struct cursor *cursor = NULL;
    if (cursor_open(req->snapshot, kt_bytes(key, BARRIER_NAME_KEY), kt_bytes(NULL, 0), &cursor) !=
        STORE_OK)
        return kt_fail(err, KT_IO, "clearing versions");
    kind = delete_keyless(step, cursor, secret, err);
    cursor_close(cursor);
    return kind;
}
