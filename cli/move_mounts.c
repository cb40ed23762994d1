/* cli/move_mounts.c - see cli/move_mounts.h. */
#include "cli/move_mounts.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/move_kv.h"
#include "cli/move_pool.h"
#include "cli/move_walk.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/jsonw.h"

#define BODY_MAX ((size_t)64 * 1024)

/* ---- which there are ---- */

static bool read_mount(struct kt_json key, struct kt_json info, struct move_mount *ret)
{
    struct kt_json options = {0};
    char version[8] = "";
    kt_autobuf struct kt_buf path = {0};
    kt_buf_init(&path, sizeof ret->mount.path);
    *ret = (struct move_mount){.mount = {.version = 1}};
    if (!kt_json_string(key, &path))
        return false;
    (void)snprintf(ret->mount.path, sizeof ret->mount.path, "%s", kt_buf_text(&path));
    (void)kt_api_text(info, "type", ret->type, sizeof ret->type);
    (void)kt_api_text(info, "accessor", ret->accessor, sizeof ret->accessor);
    (void)kt_api_text(info, "description", ret->description, sizeof ret->description);
    if (kt_json_member(info, "options", &options) && kt_api_text(options, "version", version, sizeof version) &&
        strcmp(version, "2") == 0)
        ret->mount.version = 2;
    return true;
}

enum kt_kind move_mounts_read(struct kt_api *api, const char *which, struct move_mounts *ret,
                              struct kt_err *err)
{
    struct kt_json secret = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    *ret = (struct move_mounts){0};
    enum kt_kind kind = move_get(api, &reply, err, "sys/internal/ui/mounts");
    if (kind != KT_OK)
        return kind;
    (void)kt_json_member(reply.data, which, &secret);
    ret->at = kt_calloc(kt_json_count(secret) + 1, sizeof *ret->at);
    if (ret->at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the mounts");
    struct kt_json_iter it = kt_json_iter(secret);
    while (kt_json_next(&it))
        ret->count += read_mount(it.key, it.value, &ret->at[ret->count]);
    return KT_OK;
}

void move_mounts_free(struct move_mounts *mounts)
{
    free(mounts->at);
    *mounts = (struct move_mounts){0};
}

const struct move_mount *move_mounts_find(const struct move_mounts *mounts, const char *path)
{
    for (size_t i = 0; i < mounts->count; i++)
        if (strcmp(mounts->at[i].mount.path, path) == 0)
            return &mounts->at[i];
    return NULL;
}

const struct move_mount *move_mounts_of(const struct move_mounts *mounts, const char *path)
{
    for (size_t i = 0; i < mounts->count; i++) {
        const char *mount = mounts->at[i].mount.path;
        size_t len = strlen(mount);
        if (strncmp(path, mount, len) == 0 || (strlen(path) == len - 1 && strncmp(path, mount, len - 1) == 0))
            return &mounts->at[i];
    }
    return NULL;
}

/* ---- the mount itself ---- */

static bool is_kv(const struct move_mount *mount)
{
    return strcmp(mount->type, "kv") == 0 || strcmp(mount->type, "generic") == 0;
}

static enum kt_kind make(struct move_run *run, const struct move_mount *mount, struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "type", "kv");
    kt_jsonw_kv_text(&w, "description", mount->description);
    kt_jsonw_key(&w, "options");
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "version", mount->mount.version == 2 ? "2" : "1");
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return move_post(run->destination, kt_buf_bytes(&body), &reply, err, "sys/mounts/%s", mount->mount.path);
}

/* What the mount says of all its secrets: versions kept, cas, deletion after a time. */
static enum kt_kind copy_config(struct move_run *run, const struct move_mount *mount, struct kt_err *err)
{
    static const char *const names[] = {"max_versions", "cas_required", "delete_version_after"};
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply, done;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    kt_api_reply_init(&done);
    enum kt_kind kind = move_get(run->source, &reply, err, "%sconfig", mount->mount.path);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct kt_json value = {0};
        if (kt_json_member(reply.data, names[i], &value))
            kt_jsonw_kv_raw(&w, names[i], kt_json_bytes(value));
    }
    kt_jsonw_end(&w);
    return move_post(run->destination, kt_buf_bytes(&body), &done, err, "%sconfig", mount->mount.path);
}

bool move_mount_prepare(struct move_run *run, const struct move_mounts *there, const struct move_mount *mount)
{
    struct kt_err err = {0};
    const struct move_mount *other = move_mounts_find(there, mount->mount.path);
    if (other != NULL && is_kv(other) && other->mount.version == mount->mount.version)
        return true;
    if (other != NULL) {
        (void)kt_fail(&err, KT_CONFLICT, "there is a mount of another kind: type %s, version %u, not %s, version %u",
                      other->type, other->mount.version, mount->type, mount->mount.version);
        kt_hint(&err, "secretctl write sys/remount moves one of them");
        move_refused(run, mount->mount.path, &err);
        return false;
    }
    if (run->dry)
        return true;
    enum kt_kind kind = make(run, mount, &err);
    if (kind != KT_OK) {
        move_refused(run, mount->mount.path, &err);
        return false;
    }
    if (mount->mount.version == 2 && copy_config(run, mount, &err) != KT_OK) {
        kt_context(&err, "its settings");
        move_refused(run, mount->mount.path, &err);
    }
    return true;
}

/* ---- what is in it ---- */

struct crew {
    struct move_run *run;
    const struct kt_api_mount *mount;
    enum move_pass pass;
    struct move_pool *pool;
    struct {
        struct kt_api *source, *destination;
    } lines[MOVE_WORKERS];
    uint64_t seen;
};

static bool connect_worker(struct crew *crew, unsigned worker)
{
    struct kt_err err = {0};
    if (crew->lines[worker].destination != NULL)
        return true;
    enum kt_kind kind = crew->lines[worker].source != NULL
                            ? KT_OK
                            : move_side_open(&crew->run->from, &crew->lines[worker].source, &err);
    if (kind == KT_OK)
        kind = move_side_open(&crew->run->to, &crew->lines[worker].destination, &err);
    if (kind != KT_OK)
        move_refused(crew->run, crew->mount->path, &err);
    return kind == KT_OK;
}

static void work(void *arg, unsigned worker, const char *path)
{
    struct crew *crew = arg;
    if (!connect_worker(crew, worker))
        return;
    struct move_kv kv = {.run = crew->run,
                         .mount = crew->mount,
                         .source = crew->lines[worker].source,
                         .destination = crew->lines[worker].destination};
    if (crew->pass == MOVE_COPY)
        move_kv_copy(&kv, path);
    else
        move_kv_compare(&kv, path);
}

static bool found(void *arg, const char *path)
{
    struct crew *crew = arg;
    crew->seen++;
    return move_pool_add(crew->pool, path) && !move_stopped(crew->run);
}

static void denied(void *arg, const char *folder, const struct kt_err *err)
{
    struct crew *crew = arg;
    char name[KT_API_PATH_MAX + 300];
    (void)snprintf(name, sizeof name, "%s%s", crew->mount->path, folder);
    move_refused(crew->run, name, err);
}

void move_mount_secrets(struct move_run *run, const struct move_mount *mount, const char *prefix,
                        enum move_pass pass)
{
    struct kt_err err = {0};
    struct crew crew = {.run = run, .mount = &mount->mount, .pass = pass};
    struct move_walk walk = {
        .api = run->source, .mount = &mount->mount, .found = found, .denied = denied, .arg = &crew};
    enum kt_kind kind = move_pool_start(work, &crew, &crew.pool, &err);
    if (kind == KT_OK) {
        kind = move_walk(&walk, prefix, &err);
        move_pool_finish(crew.pool);
    }
    if (kind != KT_OK)
        move_refused(run, mount->mount.path, &err);
    for (unsigned i = 0; i < MOVE_WORKERS; i++) {
        kt_api_close(crew.lines[i].source);
        kt_api_close(crew.lines[i].destination);
    }
}
