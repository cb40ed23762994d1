#include <sodium.h>

#include "lib/driver/ldap_name.h"
#include "vaultd/rotation/credential.h"
#include "vaultd/rotation/order.h"
#include "vaultd/rotation/run.h"
#include "vaultd/rotation/strategy.h"

/* An administrative login that is a secret's: read for each step, kept with no target. */

bool target_admin_is(struct request *req, const struct rotation_target *target, const unsigned char id[RUN_ID])
{
    const struct mount *mount = NULL;
    const char *path = NULL;
    unsigned char admin[RUN_ID];
    if (target->admin_secret[0] == '\0' || secret_place(req, target->admin_secret, &mount, &path, NULL) != KT_OK)
        return false;
    secret_id(req->core, mount->scope, path, admin);
    return memcmp(admin, id, RUN_ID) == 0;
}

static enum kt_kind say_what(const struct rotation_target *target, enum kt_kind kind, struct kt_err *err)
{
    if (kind == KT_NOT_FOUND) {
        (void)kt_fail(err, KT_INVALID, "the secret '%s' has no version to log in with", target->admin_secret);
        kt_hint(err, "write the login that works: secretctl kv put %s username= password=", target->admin_secret);
    }
    if (kind == KT_INVALID || kind == KT_NOT_FOUND)
        kt_context(err, "the administrative login of target '%s'", target->name);
    return kind == KT_NOT_FOUND ? KT_INVALID : kind;
}

enum kt_kind target_login(struct request *req, struct rotation_target *target, struct kt_err *err)
{
    struct rotation_secret secret;
    struct kv_secret *kv = NULL;
    struct credential login;
    if (target->admin_secret[0] == '\0')
        return KT_OK;
    enum kt_kind kind = secret_load(req, target->admin_secret, &secret, err);
    if (kind == KT_OK || (kind == KT_NOT_FOUND && secret.mount != NULL))
        kind = kv_load(req->core, secret.mount, req->snapshot, &req->arena, secret.path, &kv, err);
    const struct kv_version *now = kind == KT_OK ? kv_version(kv, kv->current) : NULL;
    bool there = now != NULL && !kv_version_deleted(kv, now, req->now_ms);
    if (kind == KT_OK && !there)
        kind = KT_NOT_FOUND;
    /* Without a target of its own credential_read() asks for no name. */
    secret.settings.target = target->name;
    if (kind == KT_OK)
        kind = credential_load(req, &secret, &secret.settings, kv, kv->current, &login, NULL, err);
    if (kind != KT_OK)
        return say_what(target, kind, err);
    target->admin_username = login.username;
    target->admin_password = login.password;
    return KT_OK;
}

static bool is_login(const struct rotation_target *target, const struct driver_login *used)
{
    struct kt_bytes now = kt_str(target->admin_password);
    return used->username != NULL && strcmp(used->username, target->admin_username) == 0 &&
           used->password.len == now.len && sodium_memcmp(used->password.at, now.at, now.len) == 0;
}

/* Changed in-place it is another one at its own target before it is in the store. */
static bool is_ahead(enum run_state state)
{
    return state == RUN_APPLYING || state == RUN_APPLIED || state == RUN_VERIFYING || state == RUN_ROLLING_BACK ||
           state == RUN_MENDING;
}

static bool rotates_now(struct request *req, const struct rotation_target *target)
{
    struct rotation_secret secret;
    struct run run;
    return target->admin_secret[0] != '\0' && secret_load(req, target->admin_secret, &secret, NULL) == KT_OK &&
           secret.active && run_load(req, secret.run, &run, NULL) == KT_OK && is_ahead(run.machine.state);
}

bool target_login_moves(struct request *req, const struct rotation_target *target, const struct driver_login *used)
{
    return !is_login(target, used) || rotates_now(req, target);
}

/* Where one account has one password the login that changes it would be dead halfway. */
enum kt_kind target_admin_strategy(struct request *req, const struct rotation_target *target,
                                   const struct rotation_secret *secret, struct kt_err *err)
{
    if (secret->settings.strategy != STRATEGY_IN_PLACE || strcmp(secret->settings.target, target->name) != 0 ||
        !target_admin_is(req, target, secret->id))
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "'%s' is the administrative login of its own target '%s': changed in-place it "
                                   "would end itself", secret->name, target->name);
    kt_hint(err, "strategy=alternate with two administrative accounts, each of which may change the other; or "
                 "strategy=overlap where the driver can");
    return KT_INVALID;
}

/* ---- whose the login is ---- */

/* The account whose credential logs in, as accounts are written; "": none that a secret may rotate. An SSH login has
 * a file of keys of its own; keys of a list are known by their ids, and a login beside them is none of them. */
static enum kt_kind login_account(struct request *req, const struct rotation_target *target, const char **ret,
                                  struct kt_err *err)
{
    struct driver_info can = {.name = ""};
    bool ids = false;
    *ret = "";
    enum kt_kind kind = strategy_abilities(req, target, &can, &ids, err);
    if (kind != KT_OK || ids || can.names_server)
        return kind;
    char folded[DRIVER_NAME_MAX];
    bool entry = can.entries && kt_ldap_name_fold(target->admin_username, folded, sizeof folded);
    *ret = kt_arena_text(&req->arena, kt_str(entry ? folded : target->admin_username));
    return *ret == NULL ? kt_fail(err, KT_NO_MEMORY, "asking whose a login is") : KT_OK;
}

static enum kt_kind refuse_own_login(const struct rotation_target *target, const char *account, const char *secret,
                                     struct kt_err *err)
{
    (void)kt_fail(err, KT_INVALID, "account '%s' of '%s' is the administrative login of target '%s': once it is "
                                   "another, no step there could log in",
                  account, secret, target->name);
    kt_hint(err, "give the target a login of its own, or make the secret its login: secretctl target set %s "
                 "admin_secret=%s",
            target->name, secret);
    return KT_INVALID;
}

enum kt_kind target_login_free(struct request *req, const struct rotation_target *target,
                               const struct rotation_secret *secret, struct kt_err *err)
{
    const char *account = "";
    const struct rotation_settings *s = &secret->settings;
    if (target_admin_is(req, target, secret->id))
        return KT_OK;
    enum kt_kind kind = login_account(req, target, &account, err);
    if (kind != KT_OK || account[0] == '\0')
        return kind;
    bool own = strcmp(s->accounts[0], account) == 0 || strcmp(s->accounts[1], account) == 0;
    return own ? refuse_own_login(target, account, secret->name, err) : KT_OK;
}

/* The same of a target that is written: no secret there rotates its login, but the one that is it. */
static enum kt_kind check_own_login(struct request *req, const struct rotation_target *target, struct kt_err *err)
{
    const char *account = "", *owner = "";
    struct rotation_secret secret;
    enum kt_kind kind = login_account(req, target, &account, err);
    if (kind == KT_OK && account[0] != '\0')
        kind = claims_owner(req, target->name, account, &owner, err);
    if (kind != KT_OK || owner[0] == '\0')
        return kind;
    kind = secret_load(req, owner, &secret, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    return kind == KT_OK ? target_login_free(req, target, &secret, err) : kind;
}

static enum kt_kind permit(struct request *req, const char *name, struct kt_err *err)
{
    const struct mount *mount = NULL;
    const char *path = NULL;
    enum kt_kind kind = secret_place(req, name, &mount, &path, err);
    if (kind != KT_OK)
        return KT_INVALID;
    const char *data = kt_arena_printf(&req->arena, "%sdata/%s", mount->path, path);
    return data == NULL ? kt_fail(err, KT_NO_MEMORY, "asking the policies") : request_also(req, OP_READ, data, err);
}

/* A login that no target knows is its owner's: it may end by itself. */
static enum kt_kind warn_of_end(struct request *req, const struct rotation_target *target,
                                const struct rotation_secret *login, struct kt_err *err)
{
    char text[KT_TIME_TEXT];
    struct kv_secret *kv = NULL;
    enum kt_kind kind = kv_load(req->core, login->mount, req->snapshot, &req->arena, login->path, &kv, err);
    const struct kv_version *now = kind == KT_OK ? kv_version(kv, kv->current) : NULL;
    int64_t ends_ms = now == NULL ? 0 : kv_version_ends(kv, now);
    if (ends_ms == 0)
        return kind;
    kt_time_text(ends_ms, text);
    request_warn(req, "the current version of '%s' deletes itself at %s: from then on target '%s' has no login",
                 target->admin_secret, text, target->name);
    return KT_OK;
}

/* tried: gets the login. */
static enum kt_kind check_secret(struct request *req, const struct rotation_target *target,
                                 struct rotation_target *tried, struct kt_err *err)
{
    struct rotation_secret secret;
    if (target->admin_username[0] != '\0' || target->admin_password[0] != '\0') {
        (void)kt_fail(err, KT_INVALID, "admin_secret names the administrative login: leave admin_username and "
                                       "admin_password out");
        kt_hint(err, "or leave that: admin_secret= admin_username=NAME admin_password=");
        return KT_INVALID;
    }
    if (target->max_runs > 1)
        return kt_fail(err, KT_INVALID, "max_runs must be 1 where admin_secret names the login: while that changes "
                                        "nothing else may log in with it");
    enum kt_kind kind = permit(req, target->admin_secret, err);
    if (kind == KT_OK)
        kind = target_login(req, tried, err);
    if (kind == KT_OK)
        kind = secret_load(req, target->admin_secret, &secret, err);
    if (kind == KT_NOT_FOUND) /* it is not rotated, so nothing goes before it */
        return warn_of_end(req, target, &secret, err);
    if (kind == KT_OK)
        kind = target_admin_strategy(req, target, &secret, err);
    return kind == KT_OK ? order_check_target(req, &secret, target->name, err) : kind;
}

/* What stands can be changed otherwise: a run that froze for its login is mended by a new password. */
static bool same_login(const struct rotation_target *a, const struct rotation_target *b)
{
    return strcmp(a->driver, b->driver) == 0 && strcmp(a->admin_username, b->admin_username) == 0 &&
           strcmp(a->admin_secret, b->admin_secret) == 0;
}

enum kt_kind target_admin_check(struct request *req, const struct rotation_target *before,
                                const struct rotation_target *target, struct kt_err *err)
{
    struct rotation_target tried = *target;
    enum kt_kind kind = KT_OK;
    if (target->admin_secret[0] != '\0')
        kind = check_secret(req, target, &tried, err);
    return kind == KT_OK && !same_login(before, target) ? check_own_login(req, &tried, err) : kind;
}
