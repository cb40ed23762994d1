/* cli/move_logins.c - see cli/move_logins.h. */
#include "cli/move_logins.h"

#include <stdio.h>

#include "cli/move_fields.h"
#include "cli/move_tune.h"
#include "cli/move_write.h"
#include "lib/cleanup.h"

#define BODY_MAX ((size_t)1024 * 1024)
#define NAME_LEN 1200u

static const struct move_field role_fields[] = {
    {"bind_secret_id", NULL},         {"local_secret_ids", NULL},       {"secret_id_bound_cidrs", "[]"},
    {"secret_id_num_uses", "0"},      {"secret_id_ttl", "0"},           {"token_bound_cidrs", "[]"},
    {"token_explicit_max_ttl", "0"},  {"token_max_ttl", "0"},           {"token_ttl", "0"},
    {"token_period", "0"},            {"token_policies", "[]"},         {"token_num_uses", "0"},
    {"token_no_default_policy", NULL}, {"token_type", NULL},            {NULL, NULL}};

/* ---- one role ---- */

struct role {
    struct kt_api_reply told, id; /* GET role/NAME, role/NAME/role-id */
    char role_id[512];
};

static void role_init(struct role *role)
{
    kt_api_reply_init(&role->told);
    kt_api_reply_init(&role->id);
}

static void role_free(struct role *role)
{
    kt_api_reply_free(&role->told);
    kt_api_reply_free(&role->id);
}

static enum kt_kind read_role(struct kt_api *api, const char *mount, const char *name, struct role *ret,
                              struct kt_err *err)
{
    enum kt_kind kind = move_get(api, &ret->told, err, "auth/%srole/%s", mount, name);
    if (kind == KT_OK)
        kind = move_get(api, &ret->id, err, "auth/%srole/%s/role-id", mount, name);
    if (kind == KT_OK && !kt_api_text(ret->id.data, "role_id", ret->role_id, sizeof ret->role_id))
        return kt_fail(err, KT_CORRUPT, "its role id cannot be read");
    return kind;
}

static bool roles_equal(const struct role *a, const struct role *b)
{
    return strcmp(a->role_id, b->role_id) == 0 && move_fields_equal(a->told.data, b->told.data, role_fields);
}

static enum kt_kind write_role(struct move_run *run, const char *mount, const char *name, const struct role *role,
                               bool makes, struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    move_fields_write(&w, role->told.data, role_fields);
    kt_jsonw_kv_text(&w, "role_id", role->role_id);
    kt_jsonw_end(&w);
    return move_write(run, run->destination, MOVE_AGAIN | (makes ? MOVE_MAKES : 0), kt_buf_bytes(&body), err,
                      "auth/%srole/%s", mount, name);
}

static enum kt_kind copy_role(struct move_run *run, const char *mount, const char *name, bool *ret_wrote,
                              struct kt_err *err)
{
    KT_AUTO(role_free) struct role source = {0};
    KT_AUTO(role_free) struct role here = {0};
    role_init(&source);
    role_init(&here);
    enum kt_kind kind = read_role(run->source, mount, name, &source, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_OK : kind; /* it went meanwhile */
    kind = read_role(run->destination, mount, name, &here, err);
    if (kind == KT_OK && roles_equal(&source, &here))
        return KT_OK;
    if (kind == KT_OK && !run->replace) {
        (void)kt_fail(err, KT_CONFLICT, "another role of that name is there already");
        kt_hint(err, "-replace writes over it");
        return KT_CONFLICT;
    }
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    *ret_wrote = true;
    return write_role(run, mount, name, &source, kind == KT_NOT_FOUND, err);
}

static enum kt_kind compare_role(struct move_run *run, const char *mount, const char *name, bool *ret_equal,
                                 struct kt_err *err)
{
    KT_AUTO(role_free) struct role source = {0};
    KT_AUTO(role_free) struct role here = {0};
    role_init(&source);
    role_init(&here);
    enum kt_kind kind = read_role(run->source, mount, name, &source, err);
    if (kind == KT_OK)
        kind = read_role(run->destination, mount, name, &here, err);
    *ret_equal = kind == KT_OK && roles_equal(&source, &here);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

/* ---- a mount ---- */

static void tell_secret_ids(struct move_run *run, const char *mount, const char *name)
{
    char path[NAME_LEN], what[NAME_LEN + 32];
    struct kt_err err = {0};
    KT_AUTO(names_free) struct names ids = {0};
    (void)snprintf(path, sizeof path, "auth/%srole/%s/secret-id", mount, name);
    const struct names_ask ask = {.path = path, .patient = true};
    if (names_read(run->source, &ask, &ids, &err) != KT_OK || ids.count == 0)
        return;
    (void)snprintf(what, sizeof what, "%zu secret ids of auth/%srole/%s", ids.count, mount, name);
    move_left(run, what, "no vault shows them again; make new ones here, at the same path /secret-id");
}

static void one_role(struct move_run *run, const char *mount, const char *name, enum move_pass pass)
{
    struct kt_err err = {0};
    char what[NAME_LEN];
    bool wrote = false, equal = false;
    (void)snprintf(what, sizeof what, "auth/%srole/%s", mount, name);
    if (pass == MOVE_COMPARE) {
        enum kt_kind kind = compare_role(run, mount, name, &equal, &err);
        move_add(run, equal ? MOVE_COMPARED : MOVE_DIFFERENT, 1);
        if (kind != KT_OK)
            move_refused(run, what, &err);
        else if (!equal)
            move_tell(run, "different %s: it is not the same on both sides", what);
        return;
    }
    if (copy_role(run, mount, name, &wrote, &err) != KT_OK)
        move_refused(run, what, &err);
    else
        move_add(run, wrote ? MOVE_TAKEN : MOVE_SAME, 1);
    tell_secret_ids(run, mount, name);
}

static void move_roles(struct move_run *run, const struct move_mount *mount, enum move_pass pass)
{
    char path[NAME_LEN];
    KT_AUTO(names_free) struct names names = {0};
    (void)snprintf(path, sizeof path, "auth/%srole", mount->mount.path);
    if (!move_names(run, path, path, pass, &names))
        return;
    for (size_t i = 0; i < names.count && !move_stopped(run); i++)
        one_role(run, mount->mount.path, names.at[i], pass);
}

/* One that this token does not see. */
static bool is_taken(const struct kt_err *err)
{
    return strstr(err->what, "existing mount") != NULL || strstr(err->what, "path is already in use") != NULL;
}

/* KT_INVALID: there is no such way to log in here. */
static enum kt_kind prepare(struct move_run *run, const struct move_mount *other, const struct move_mount *mount,
                            struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    if (other != NULL && strcmp(other->type, mount->type) == 0)
        return KT_OK;
    if (other != NULL)
        return kt_fail(err, KT_CONFLICT, "a way to log in of type %s is there already", other->type);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "type", mount->type);
    kt_jsonw_kv_text(&w, "description", mount->description);
    kt_jsonw_key(&w, "config");
    kt_jsonw_object(&w);
    move_tune_write(&w, mount);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    enum kt_kind kind = move_write(run, run->destination, MOVE_SUDO, kt_buf_bytes(&body), err, "sys/auth/%s",
                                   mount->mount.path);
    return kind == KT_OK ? move_will(run, "auth", mount->mount.path, err) : kind;
}

static void one_mount(struct move_run *run, const struct move_mounts *there, const struct move_mount *mount,
                      enum move_pass pass)
{
    struct kt_err err = {0};
    char what[NAME_LEN], why[200];
    bool roles = strcmp(mount->type, "approle") == 0;
    const struct move_mount *here = move_mounts_find(there, mount->mount.path);
    bool is_here = here != NULL && strcmp(here->type, mount->type) == 0;
    if (pass == MOVE_COMPARE) {
        if (is_here)
            move_tune(run, "auth", mount, here, pass);
        if (roles && here != NULL)
            move_roles(run, mount, pass);
        return;
    }
    (void)snprintf(what, sizeof what, "auth/%s", mount->mount.path);
    enum kt_kind kind = prepare(run, here, mount, &err);
    if (kind == KT_OK)
        move_tune(run, "auth", mount, here, pass);
    if (kind == KT_OK && roles)
        move_roles(run, mount, pass);
    (void)snprintf(why, sizeof why, "%s of type %s%s", kind == KT_OK ? "what it holds," : "there is no way to log in",
                   mount->type, kind == KT_OK ? ", has secrets that no vault shows: set it up here" : " here");
    if (kind != KT_OK && (kind != KT_INVALID || is_taken(&err)))
        move_refused(run, what, &err);
    else if (!roles || kind != KT_OK)
        move_left(run, what, why);
}

void move_logins(struct move_run *run, enum move_pass pass)
{
    struct kt_err err = {0};
    KT_AUTO(move_mounts_free) struct move_mounts source = {0};
    KT_AUTO(move_mounts_free) struct move_mounts there = {0};
    enum kt_kind kind = move_mounts_read(run->source, "auth", &source, &err);
    if (kind == KT_OK)
        kind = move_mounts_read(run->destination, "auth", &there, &err);
    if (kind != KT_OK) {
        move_refused(run, "the ways to log in", &err);
        return;
    }
    for (size_t i = 0; i < source.count && !move_stopped(run); i++)
        if (!move_mount_is_own(&source.at[i]))
            one_mount(run, &there, &source.at[i], pass);
    if (pass == MOVE_COPY && !move_stopped(run))
        move_mounts_unseen(run, "auth", &source);
}
