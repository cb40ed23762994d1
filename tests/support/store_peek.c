#include "tests/support/store_peek.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/jsonw.h"
#include "tests/support/folder.h"
#include "vaultd/engine/kv.h"

#define SHARES_MAX 16u
#define READERS    512u
#define ARENA_MAX  ((size_t)4 * 1024 * 1024)

struct store_peek {
    MDB_env *live;
    unsigned char shares[SHARES_MAX][SHAMIR_SHARE_BYTES];
    size_t n_shares;
};

/* A copy that was opened. */
struct state {
    char folder[64];
    struct store *store;
    struct core core; /* of which kv_load() needs the barrier only */
};

static enum kt_kind lmdb_failed(int rc, const char *what, struct kt_err *err)
{
    return kt_fail(err, KT_IO, "%s: %s", what, mdb_strerror(rc));
}

static enum kt_kind open_live(const char *data_folder, MDB_env **ret, struct kt_err *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/store", data_folder);
    MDB_env *env = NULL;
    int rc = mdb_env_create(&env);
    if (rc != 0)
        return lmdb_failed(rc, "opening the live store", err);
    rc = mdb_env_set_maxreaders(env, READERS);
    if (rc == 0)
        rc = mdb_env_open(env, path, MDB_RDONLY | MDB_NOTLS, 0600);
    if (rc != 0) {
        mdb_env_close(env);
        return lmdb_failed(rc, "opening the live store", err);
    }
    *ret = env;
    return KT_OK;
}

enum kt_kind store_peek_open(const char *data_folder, const char *const *shares, size_t n_shares,
                             struct store_peek **ret, struct kt_err *err)
{
    struct store_peek *peek = calloc(1, sizeof *peek);
    if (peek == NULL || n_shares > SHARES_MAX) {
        free(peek);
        return kt_fail(err, KT_NO_MEMORY, "opening the live store");
    }
    enum kt_kind kind = KT_OK;
    for (; peek->n_shares < n_shares && kind == KT_OK; peek->n_shares++)
        kind =
            shamir_share_parse(kt_str(shares[peek->n_shares]), peek->shares[peek->n_shares], err);
    if (kind == KT_OK)
        kind = open_live(data_folder, &peek->live, err);
    if (kind != KT_OK) {
        free(peek);
        return kind;
    }
    *ret = peek;
    return KT_OK;
}

void store_peek_close(struct store_peek *peek)
{
    if (peek == NULL)
        return;
    mdb_env_close(peek->live);
    free(peek);
}

/* ---- the copy ---- */

static enum kt_kind copy_live(struct store_peek *peek, struct state *state, struct kt_err *err)
{
    if (folder_make(state->folder) != 0) {
        state->folder[0] = '\0';
        return kt_fail(err, KT_IO, "making a folder for the copy");
    }
    char path[80];
    (void)snprintf(path, sizeof path, "%s/store", state->folder);
    mode_t before = umask(077);
    int rc = mkdir(path, 0700) == 0 ? mdb_env_copy(peek->live, path) : EIO;
    (void)umask(before);
    if (rc != 0)
        return lmdb_failed(rc, "copying the live store", err);
    /* vaultd looks for the lock file; what is in it is of this boot and this open only. */
    (void)snprintf(path, sizeof path, "%s/store/lock.mdb", state->folder);
    kt_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 ? KT_OK : kt_fail(err, KT_IO, "making a lock file for the copy");
}

static enum kt_kind open_copy(struct store_peek *peek, struct state *state, struct kt_err *err)
{
    const struct store_config config = {.engine = STORE_LMDB, .path = state->folder};
    enum kt_kind kind = store_open(&config, &state->store, err);
    if (kind == KT_OK)
        kind = barrier_new(state->store, &state->core.barrier, err);
    bool unsealed = false;
    for (size_t i = 0; i < peek->n_shares && kind == KT_OK; i++)
        kind = barrier_unseal_share(state->core.barrier, peek->shares[i], &unsealed, err);
    if (kind == KT_OK && !unsealed)
        kind = kt_fail(err, KT_SEALED, "these shares do not suffice");
    if (kind == KT_OK)
        barrier_admit(state->core.barrier);
    return kind;
}

static void drop_copy(struct state *state)
{
    barrier_free(state->core.barrier);
    store_close(state->store);
    if (state->folder[0] != '\0')
        folder_remove(state->folder);
}

/* ---- what is in it ---- */

static enum kt_kind show_version(struct state *state, const struct mount *mount,
                                 struct snapshot *snapshot, const char *path,
                                 const struct kv_version *version, struct kt_jsonw *w,
                                 struct kt_err *err)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_int(w, "number", version->number);
    kt_jsonw_kv_bool(w, "destroyed", version->destroyed);
    kt_jsonw_kv_bool(w, "accepted_maybe", version->accepted_maybe);
    kt_jsonw_kv_int(w, "dead_proven", version->dead_proven_ms);
    kt_autobuf struct kt_buf data;
    kt_buf_init(&data, ARENA_MAX);
    enum kt_kind kind = KT_OK;
    if (!version->destroyed)
        kind = kv_value(&state->core, mount, snapshot, path, version, &data, err);
    if (kind == KT_OK && data.len > 0)
        kt_jsonw_kv_raw(w, "data", kt_buf_bytes(&data));
    kt_jsonw_end(w);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

static enum kt_kind show_secret(struct state *state, const struct mount *mount,
                                struct snapshot *snapshot, struct kt_arena *arena, const char *path,
                                struct kt_buf *out, struct kt_err *err)
{
    struct kv_secret *secret = NULL;
    enum kt_kind kind = kv_load(&state->core, mount, snapshot, arena, path, &secret, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(out);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "generation", (int64_t)snapshot_generation(snapshot));
    kt_jsonw_kv_int(&w, "current", secret->current);
    kt_jsonw_kv_int(&w, "pending", secret->pending);
    kt_jsonw_kv_int(&w, "previous", secret->previous);
    kt_jsonw_key(&w, "versions");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < secret->n_versions && kind == KT_OK; i++)
        kind = show_version(state, mount, snapshot, path, &secret->versions[i], &w, err);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return kind;
}

enum kt_kind store_peek_secret(struct store_peek *peek, const unsigned char scope[BARRIER_SCOPE],
                               const char *path, struct kt_buf *out, struct kt_err *err)
{
    struct state state = {.store = NULL};
    struct mount mount = {.path = "secret/"};
    memcpy(mount.scope, scope, sizeof mount.scope);
    enum kt_kind kind = copy_live(peek, &state, err);
    if (kind == KT_OK)
        kind = open_copy(peek, &state, err);
    struct snapshot *snapshot = NULL;
    if (kind == KT_OK && snapshot_begin(state.store, &snapshot) != STORE_OK)
        kind = kt_fail(err, KT_IO, "reading the copy");
    if (kind == KT_OK && !barrier_enter(state.core.barrier))
        kind = kt_fail(err, KT_SEALED, "the copy stays sealed");
    if (kind == KT_OK) {
        struct kt_arena arena;
        kt_arena_init(&arena, ARENA_MAX);
        kind = show_secret(&state, &mount, snapshot, &arena, path, out, err);
        kt_arena_free(&arena);
        barrier_leave(state.core.barrier);
    }
    snapshot_end(snapshot);
    drop_copy(&state);
    return kind;
}
