#include <sodium.h>

#include "vaultd/auth/approle_secret.h"
#include "vaultd/auth/named.h"
#include "vaultd/rotation/own.h"

/* Secret ids of a role of AppRole. */

/* KT_INVALID: there is no such role, or it wants none. */
static enum kt_kind find_role(struct request *req, const struct own_place *place, struct approle_role *ret,
                              struct kt_err *err)
{
    enum kt_kind kind = KT_NOT_FOUND;
    if (named_is_name(place->role))
        kind = approle_role_find(req, place->mount->scope, place->role, ret, err);
    if (kind == KT_NOT_FOUND) {
        (void)kt_fail(err, KT_INVALID, "there is no role '%s' in %s", place->role, place->mount->path);
        kt_hint(err, "its roles: secretctl list %srole", place->mount->path);
        return KT_INVALID;
    }
    return kind;
}

static enum kt_kind permit(struct request *req, const struct own_place *place, struct kt_err *err)
{
    const char *path =
        kt_arena_printf(&req->arena, "%srole/%s/secret-id", place->mount->path, place->role);
    return path == NULL ? kt_fail(err, KT_NO_MEMORY, "asking the policies") : request_also(req, OP_UPDATE, path, err);
}

static enum kt_kind check(struct request *req, const struct own_place *place, int64_t *ret_life_s,
                          struct kt_err *err)
{
    struct approle_role role;
    struct secret_id secret;
    enum kt_kind kind = find_role(req, place, &role, err);
    if (kind != KT_OK)
        return kind;
    secret_id_begin(place->mount, &role, req->now_ms, &secret);
    *ret_life_s = secret.ttl_s;
    if (role.bind_secret_id)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "role '%s' takes logins without a secret id", place->role);
    kt_hint(err, "secretctl write %srole/%s bind_secret_id=true", place->mount->path, place->role);
    return KT_INVALID;
}

static enum kt_kind make(struct request *req, const struct own_place *place, const char *text,
                         const char **ret_accessor, struct kt_err *err)
{
    struct approle_role role;
    struct secret_id secret;
    enum kt_kind kind = find_role(req, place, &role, err);
    if (kind == KT_OK)
        kind = approle_role_require(req, role.scope, &role, err);
    if (kind != KT_OK)
        return kind;
    secret_id_begin(place->mount, &role, req->now_ms, &secret);
    kind = secret_id_create(req, &role, text, &secret, err);
    *ret_accessor = secret.accessor;
    return kind;
}

/* *ret only where it is alive, this role's and has the accessor. */
static enum kt_kind find(struct request *req, const struct own_place *place, const struct own_text *which,
                         struct secret_id *ret, enum own_life *ret_life, struct kt_err *err)
{
    struct approle_role role;
    enum kt_kind kind = find_role(req, place, &role, err);
    *ret_life = OWN_DEAD;
    if (kind == KT_OK)
        kind = secret_id_find(req, &role, which->text, ret, err);
    if (kind == KT_OK)
        *ret_life = strcmp(ret->accessor, which->accessor) == 0 ? OWN_ALIVE : OWN_FOREIGN;
    return kind == KT_NOT_FOUND || kind == KT_INVALID ? KT_OK : kind;
}

static enum kt_kind look(struct request *req, const struct own_place *place, const struct own_text *which,
                         enum own_life *ret, struct kt_err *err)
{
    struct secret_id secret;
    return find(req, place, which, &secret, ret, err);
}

static enum kt_kind end(struct request *req, const struct own_place *place, const struct own_text *which,
                        bool *ret_was, struct kt_err *err)
{
    struct secret_id secret;
    enum own_life life = OWN_DEAD;
    enum kt_kind kind = find(req, place, which, &secret, &life, err);
    *ret_was = kind == KT_OK && life == OWN_ALIVE;
    return *ret_was ? secret_id_delete(req, &secret, err) : kind;
}

static void draw(struct kt_buf *out)
{
    char text[APPROLE_UUID];
    approle_uuid(text);
    kt_buf_add_text(out, text);
    sodium_memzero(text, sizeof text);
}

const struct own_kind own_secret_id = {.mount_type = "approle",
                                       .below = "role/",
                                       .what = "secret id",
                                       .permit = permit,
                                       .check = check,
                                       .make = make,
                                       .look = look,
                                       .end = end,
                                       .draw = draw};
