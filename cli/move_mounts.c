/* cli/move_mounts.c - see cli/move_mounts.h. */
#include "cli/move_mounts.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/move_kv.h"
#include "cli/move_tune.h"
#include "cli/move_write.h"
#include "cli/walk.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/jsonw.h"

#define BODY_MAX   ((size_t)64 * 1024)
#define CONFIG_MAX ((size_t)64 * 1024)

/* ---- which there are ---- */

static bool read_mount(struct kt_json key, struct kt_json info, struct move_mount *ret)
{
    struct kt_json options = {0}, config = {0};
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
    bool some = kt_json_member(info, "config", &config) && kt_json_type(config) == KT_JSON_OBJECT;
    kt_buf_init(&ret->config, CONFIG_MAX);
    kt_buf_add_bytes(&ret->config, some ? kt_json_bytes(config) : kt_str("{}"));
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
    for (size_t i = 0; i < ret->count; i++)
        if (!kt_buf_ok(&ret->at[i].config))
            return kt_fail(err, KT_TOO_LARGE, "what the mount %s is set to is too large", ret->at[i].mount.path);
    return KT_OK;
}

bool move_mount_is_own(const struct move_mount *mount)
{
    static const char *const own[] = {"system",    "identity", "cubbyhole",   "ns_system", "ns_identity", "ns_cubbyhole",
                                      "rotation", "fleet",    "token",       "ns_token"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcmp(mount->type, own[i]) == 0)
            return true;
    return false;
}

static void mount_free(struct move_mount *mount)
{
    kt_buf_free(&mount->config);
}

void move_mounts_free(struct move_mounts *mounts)
{
    for (size_t i = 0; i < mounts->count; i++)
        kt_buf_free(&mounts->at[i].config);
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

/* Of a mount that is there and was not shown. */
static void tell_unseen(struct move_run *run, const char *which, const struct move_mounts *seen, struct kt_json all)
{
    struct kt_json_iter it = kt_json_iter(all);
    while (kt_json_next(&it)) {
        char what[KT_API_PATH_MAX + 8];
        KT_AUTO(mount_free) struct move_mount mount = {0};
        if (kt_json_type(it.value) != KT_JSON_OBJECT || !read_mount(it.key, it.value, &mount) ||
            move_mount_is_own(&mount) || move_mounts_find(seen, mount.mount.path) != NULL)
            continue;
        (void)snprintf(what, sizeof what, "%s%s", strcmp(which, "auth") == 0 ? "auth/" : "", mount.mount.path);
        move_left(run, what, "the token of the vault that it comes from can do nothing there");
    }
}

void move_mounts_unseen(struct move_run *run, const char *which, const struct move_mounts *seen)
{
    struct kt_err err = {0};
    char what[64];
    bool auth = strcmp(which, "auth") == 0;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    (void)snprintf(what, sizeof what, "other %s", auth ? "ways to log in" : "mounts");
    enum kt_kind kind = move_get(run->source, &reply, &err, "sys/%s", auth ? "auth" : "mounts");
    if (kind == KT_OK) {
        tell_unseen(run, which, seen, reply.data);
        return;
    }
    if (kind == KT_DENIED && !move_ends_all(&err)) {
        (void)kt_fail(&err, kind, "only those came that this token can see: whether there are more may not be asked");
        kt_hint(&err, "read on sys/%s there", auth ? "auth" : "mounts");
    }
    move_refused(run, what, &err);
}

/* ---- the mount itself ---- */

bool move_mount_is_kv(const struct move_mount *mount)
{
    return strcmp(mount->type, "kv") == 0 || strcmp(mount->type, "generic") == 0;
}

static enum kt_kind make(struct move_run *run, const struct move_mount *mount, struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "type", "kv");
    kt_jsonw_kv_text(&w, "description", mount->description);
    kt_jsonw_key(&w, "options");
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "version", mount->mount.version == 2 ? "2" : "1");
    kt_jsonw_end(&w);
    kt_jsonw_key(&w, "config");
    kt_jsonw_object(&w);
    move_tune_write(&w, mount);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return move_write(run, run->destination, 0, kt_buf_bytes(&body), err, "sys/mounts/%s", mount->mount.path);
}

/* A mount is neither inside of another one nor around it: what a vault says to who makes one, of those that are
 * seen. */
static enum kt_kind check_room(const struct move_mounts *there, const char *path, struct kt_err *err)
{
    for (size_t i = 0; i < there->count; i++) {
        const char *other = there->at[i].mount.path;
        size_t len = strlen(other) < strlen(path) ? strlen(other) : strlen(path);
        if (strncmp(other, path, len) == 0)
            return kt_fail(err, KT_CONFLICT, "existing mount at %s", other);
    }
    return KT_OK;
}

/* False: told why. */
static bool is_made(struct move_run *run, const struct move_mounts *there, const struct move_mount *mount)
{
    struct kt_err err = {0};
    enum kt_kind kind = run->dry ? check_room(there, mount->mount.path, &err) : KT_OK;
    if (kind == KT_OK)
        kind = make(run, mount, &err);
    if (kind != KT_OK)
        move_refused(run, mount->mount.path, &err);
    return kind == KT_OK;
}

bool move_mount_prepare(struct move_run *run, const struct move_mounts *there, const struct move_mount *mount,
                        bool whole)
{
    struct kt_err err = {0};
    const struct move_mount *other = move_mounts_find(there, mount->mount.path);
    if (other != NULL && (!move_mount_is_kv(other) || other->mount.version != mount->mount.version)) {
        (void)kt_fail(&err, KT_CONFLICT, "there is a mount of another kind: type %s, version %u, not %s, version %u",
                      other->type, other->mount.version, mount->type, mount->mount.version);
        kt_hint(&err, "secretctl write sys/remount moves one of them");
        move_refused(run, mount->mount.path, &err);
        return false;
    }
    if (other == NULL && !is_made(run, there, mount))
        return false;
    if (whole || other == NULL)
        move_mount_settings(run, there, mount, MOVE_COPY);
    return true;
}

void move_mount_settings(struct move_run *run, const struct move_mounts *there, const struct move_mount *mount,
                         enum move_pass pass)
{
    const struct move_mount *here = move_mounts_find(there, mount->mount.path);
    move_tune(run, "mounts", mount, here, pass);
    if (mount->mount.version == 2)
        move_kv_config(run, mount, here == NULL, pass);
}

/* ---- what is in it ---- */

struct crew {
    struct move_run *run;
    const struct kt_api_mount *mount;
    enum move_pass pass;
    struct kt_api *destinations[WALK_WORKERS];
};

/* An error ends the walk: it is told already where the move is stopped. */
static enum kt_kind look(const struct walk_place *at, void *arg, enum walk_state *ret, struct kt_err *err)
{
    struct crew *crew = arg;
    struct kt_api **destination = &crew->destinations[at->worker];
    *ret = WALK_PASSED;
    if (*destination == NULL) {
        enum kt_kind kind = move_side_open(&crew->run->to, destination, err);
        if (kind != KT_OK)
            return kind;
    }
    struct move_kv kv = {.run = crew->run, .mount = crew->mount, .source = at->api, .destination = *destination};
    if (crew->pass == MOVE_COPY)
        move_kv_copy(&kv, at->path);
    else
        move_kv_compare(&kv, at->path);
    return move_stopped(crew->run) ? kt_fail(err, KT_GONE, "the move is stopped") : KT_OK;
}

static void trouble(void *arg, const char *folder, const struct kt_err *err)
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
    KT_AUTO(walk_end) struct walk walk = {0};
    struct crew crew = {.run = run, .mount = &mount->mount, .pass = pass};
    const struct walk_how how = {.options = &run->from.options, .look = look, .trouble = trouble, .arg = &crew};
    enum kt_kind kind = walk_begin(&walk, &how, &err);
    if (kind == KT_OK)
        kind = walk_from_any(&walk, &mount->mount, prefix, &err);
    if (kind == KT_OK)
        kind = walk_run(&walk, &err);
    if (kind != KT_OK && !move_stopped(run))
        move_refused(run, mount->mount.path, &err);
    for (unsigned i = 0; i < WALK_WORKERS; i++)
        kt_api_close(crew.destinations[i]);
}
