/* What one pass of a request looks at, in the order of the checks (vaultd/core/pipeline.h), up to its
 * handler. Where the request stands between two passes is pipeline.c's. */
#include <stdio.h>

#include "lib/assert.h"
#include "lib/duration.h"
#include "vaultd/auth/token.h"
#include "vaultd/auth/wrapping.h"
#include "vaultd/core/mounts.h"
#include "vaultd/core/path.h"
#include "vaultd/core/private.h"
#include "vaultd/core/quotas.h"
#include "vaultd/identity/identity.h"
#include "vaultd/policy/policies.h"
#include "vaultd/policy/rule.h"

#define BODY_MAX (32u * 1024u * 1024u)

static const char denied_text[] = "1 error occurred:\n\t* permission denied\n\n";

/* ---- before the vault is entered ------------------------------------------------------------ */

static enum kt_kind check_namespace(const struct request *req, struct kt_err *err)
{
    struct kt_bytes ns = req->ns;
    while (ns.len > 0 && ns.at[0] == '/')
        ns = kt_bytes(ns.at + 1, ns.len - 1);
    while (ns.len > 0 && ns.at[ns.len - 1] == '/')
        ns.len--;
    if (ns.len == 0 || kt_bytes_is(ns, "root"))
        return KT_OK;
    return kt_fail(err, KT_NOT_FOUND, "namespace not found");
}

/* A part of a second is a whole one: who asks for wrapping never means a bare answer. */
static enum kt_kind read_wrap_ttl(struct request *req, struct kt_err *err)
{
    req->wrap_ttl_s = -1;
    if (req->wrap_ttl.at == NULL || req->wrap_ttl.len == 0)
        return KT_OK;
    uint64_t ms = 0;
    if (kt_duration_parse(req->wrap_ttl, &ms, NULL) != KT_OK) {
        (void)kt_fail(err, KT_INVALID, "error parsing X-Vault-Wrap-TTL header: not a duration");
        kt_hint(err, "seconds, or a text like 90s, 5m or 1h30m; 0 wraps nothing");
        return KT_INVALID;
    }
    if (ms > 0)
        req->wrap_ttl_s = (int64_t)((ms + 999) / 1000);
    if (req->wrap_ttl_s > MOUNT_LEASE_SYSTEM_S) /* no token but root's lives longer */
        req->wrap_ttl_s = MOUNT_LEASE_SYSTEM_S;
    return KT_OK;
}

static enum kt_kind check_headers(struct request *req, struct kt_err *err)
{
    enum kt_kind kind = check_namespace(req, err);
    return kind == KT_OK ? read_wrap_ttl(req, err) : kind;
}

/* Everything that is said before it matters whether the vault is sealed. */
enum kt_kind pass_prepare(struct request *req, struct kt_err *err)
{
    if (req->refusal != NULL) {
        req->reply.status = req->refusal_status;
        req->reply.retry_after_s = req->refusal_status == 503 ? 1 : 0;
        return kt_fail(err, KT_INVALID, "%s", req->refusal);
    }
    enum kt_kind kind = path_canonical(&req->arena, req->target, &req->path, &req->path_len, err);
    if (kind != KT_OK)
        return kind;
    if (req->body_too_large)
        return kt_fail(err, KT_TOO_LARGE, "%s", kt_kind_text(KT_TOO_LARGE));
    return input_operation(req, err);
}

/* ---- in the barrier, on a snapshot ------------------------------------------------------------ */

static enum kt_kind check_slash(struct request *req, struct kt_err *err)
{
    const struct route *route = req->route;
    bool write = (req->op & (OP_UPDATE | OP_PATCH)) != 0;
    if (write && req->path_len > 0 && req->path[req->path_len - 1] == '/' &&
        (route == NULL || (route->flags & ROUTE_TRAILING_SLASH) == 0))
        return kt_fail(err, KT_INVALID, "cannot write to a path ending in '/'");
    return KT_OK;
}

/* A row's own limit is only told to whom the row is: else it would tell what is mounted where. */
static enum kt_kind check_body(const struct request *req, struct kt_err *err)
{
    const struct route *route = req->route;
    if (route != NULL && req->body.len > (route->body_max != 0 ? route->body_max : BODY_MAX))
        return kt_fail(err, KT_TOO_LARGE, "%s", kt_kind_text(KT_TOO_LARGE));
    return KT_OK;
}

int64_t pass_expiry_ms(const struct core *core, int64_t now_ms)
{
    int64_t at_least_ms = core_steady_ms(core) - 1; /* of times that were cut: not before its time */
    return now_ms > at_least_ms ? now_ms : at_least_ms;
}

static bool is_open(const struct request *req)
{
    return req->route != NULL && (req->route->open & (unsigned)req->op) != 0;
}

/* Its token is not looked at: it may be another role's, or a dead one. */
static bool is_owner(const struct request *req)
{
    return req->route != NULL && (req->route->flags & ROUTE_OWNER) != 0 &&
           req->origin == ORIGIN_UNIX && req->peer_uid == 0;
}

static enum kt_kind authenticate(struct request *req, struct kt_err *err)
{
    unsigned flags = req->route == NULL ? 0 : req->route->flags;
    bool without = ((flags & ROUTE_MAYBE_TOKEN) != 0 || is_open(req)) && req->token_text.len == 0;
    req->own->owner = is_owner(req);
    if (req->own->owner) {
        (void)snprintf(req->own->owner_name, sizeof req->own->owner_name, "uid %u", req->peer_uid);
        return KT_OK;
    }
    if ((flags & ROUTE_PUBLIC) != 0 || without)
        return KT_OK;
    if (req->token_text.len == 0)
        return kt_fail(err, KT_DENIED, "permission denied");
    const struct token *token = NULL;
    enum kt_kind kind = token_find(req->core, req->snapshot, req->token_text, req->life_ms, &token, err);
    if (kind == KT_DENIED && is_open(req)) {
        kt_err_clear(err);
        return KT_OK;
    }
    if (kind != KT_OK)
        return kind;
    bool fits = token_address_fits(token, req->remote_address);
    if (!fits && is_open(req))
        return KT_OK;
    req->token = token; /* also where it does not fit: the record says whose it is */
    token_pin(req->core, token);
    if (!fits)
        return kt_fail(err, KT_DENIED, "%s", denied_text);
    identity_unref(req->identity);
    req->identity = NULL;
    if (token->entity_id[0] != '\0') {
        kind = identity_find(req->core, req->snapshot, token->entity_id, &req->identity, err);
        if (kind == KT_DENIED && is_open(req)) {
            kt_err_clear(err);
            req->token = NULL;
            return KT_OK;
        }
        if (kind != KT_OK)
            return kind;
    }
    req->own->authenticated = true;
    return KT_OK;
}

static handler_fn *handler_of(const struct route *route, enum operation op);

/* Vault says this before it looks at who asks. */
static enum kt_kind check_wrapping_token(struct request *req, struct kt_err *err)
{
    const struct route *route = req->route;
    if (route == NULL || (route->flags & ROUTE_WRAPPING) == 0 || req->op == OP_HELP ||
        handler_of(route, req->op) == NULL)
        return KT_OK;
    struct wrapping wrapping;
    enum kt_kind kind = check_body(req, err);
    if (kind == KT_OK)
        kind = input_read(req, err);
    if (kind == KT_OK)
        kind = wrapping_find(req, req->life_ms, &wrapping, err);
    /* Whose token is good is no stranger: all that he is told is recorded. */
    if (kind == KT_OK && (route->flags & ROUTE_PUBLIC) != 0)
        req->own->authenticated = true;
    if (kind != KT_OK)
        (void)authenticate(req, NULL); /* for the record: who it was that came too late */
    return kind;
}

/* The use is counted in the same commit as the request's effect, refusals included. */
enum kt_kind pass_count_use(struct request *req, struct kt_err *err)
{
    const struct token *token = req->token;
    if (token == NULL || token->num_uses == 0 || is_open(req))
        return KT_OK;
    if (req->route != NULL && (req->route->flags & ROUTE_NO_USE) != 0)
        return KT_OK;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "counting a token's use");
    if (token->num_uses == 1)
        return token_end(req->core, batch, token, false, err);
    struct token used = *token;
    used.num_uses--;
    return token_update(req->core, batch, token, &used, err);
}

/* "create" where the route can tell that the object does not exist yet. */
static enum kt_kind refine_operation(struct request *req, struct kt_err *err)
{
    if (req->op != OP_UPDATE || req->route == NULL || req->route->exists == NULL)
        return KT_OK;
    bool exists = false;
    enum kt_kind kind = req->route->exists(req, &exists, err);
    if (kind == KT_OK && !exists)
        req->op = OP_CREATE;
    return kind;
}

static struct acl_request question(const struct request *req)
{
    return (struct acl_request){.op = req->op,
                                .path = req->path,
                                .path_len = req->path_len,
                                .other = req->other_path,
                                .data = req->data,
                                .has_data = req->has_data,
                                .wrap_ttl_s = req->wrap_ttl_s};
}

/* What the token's policies say. */
static enum kt_kind rule(struct request *req, struct kt_err *err)
{
    struct request_private *own = req->own;
    acl_unref(own->acl);
    own->acl = NULL;
    own->ruled = false;
    enum kt_kind kind = policies_acl(req->core, req->snapshot, req->token, &own->acl, err);
    if (kind != KT_OK)
        return kind;
    const struct acl_request ask = question(req);
    own->ruled_op = req->op;
    acl_check(own->acl, &ask, &own->ruling);
    return KT_OK;
}

/* Whoever may come is told by a row that is open if he might have begun this, too: nobody is refused, and no
 * policy is said to have decided. */
static enum kt_kind authorise_open(struct request *req, struct kt_err *err)
{
    req->sudo = false;
    if (req->token == NULL)
        return KT_OK;
    enum kt_kind kind = rule(req, err);
    if (kind == KT_OK)
        req->sudo = req->own->ruling.allowed && req->own->ruling.sudo;
    return kind;
}

static enum kt_kind authorise(struct request *req, struct kt_err *err)
{
    struct request_private *own = req->own;
    const struct route *route = req->route;
    if (req->op == OP_HELP || own->owner)
        return KT_OK;
    if (is_open(req))
        return authorise_open(req, err);
    if (route != NULL && (route->flags & (ROUTE_PUBLIC | ROUTE_ANY_TOKEN)) != 0)
        return KT_OK;
    enum kt_kind kind = rule(req, err);
    if (kind != KT_OK)
        return kind;
    struct acl_decision *ruling = &own->ruling;
    own->ruled = true;
    bool needs_sudo = route != NULL && (route->flags & ROUTE_SUDO) != 0;
    if (ruling->allowed && needs_sudo && !ruling->sudo) {
        ruling->allowed = false;
        ruling->why = acl_why_sudo;
    }
    if (!ruling->allowed)
        return kt_fail(err, KT_DENIED, "%s", denied_text);
    req->sudo = ruling->sudo;
    return KT_OK;
}

/* ---- rights on other paths ---- */

static bool restricted(const struct acl_decision *decision)
{
    for (const struct rule_source *at = decision->sources; at != NULL; at = at->next)
        if (rule_restricts(at->rule))
            return true;
    return false;
}

static void decide_also(struct request *req, enum operation op, const char *path,
                        struct acl_decision *ret)
{
    const struct acl_request ask = {
        .op = op, .path = path, .path_len = strlen(path), .wrap_ttl_s = -1};
    KT_ASSERT(req->own->acl != NULL);
    acl_check(req->own->acl, &ask, ret);
    if (ret->allowed && restricted(ret)) {
        ret->allowed = false;
        ret->why = "the deciding pattern grants it only on conditions, which this request has no say in";
    }
}

struct request_right request_right(struct request *req, enum operation op, const char *path)
{
    struct acl_decision decision;
    decide_also(req, op, path, &decision);
    bool denied = decision.capabilities != ~0u && (decision.capabilities & CAP_DENY) != 0;
    return (struct request_right){
        .granted = decision.allowed,
        .partly = !denied && (decision.capabilities & capability_needed(op)) != 0,
        .denied = denied};
}

enum kt_kind request_also(struct request *req, enum operation op, const char *path,
                          struct kt_err *err)
{
    struct acl_decision decision;
    decide_also(req, op, path, &decision);
    if ((op & (OP_CREATE | OP_UPDATE | OP_PATCH | OP_DELETE)) != 0)
        request_changes(req, path, false);
    if (decision.allowed)
        return KT_OK;
    req->own->ruling = decision;
    req->own->ruled_op = op;
    return kt_fail(err, KT_DENIED, "%s", denied_text);
}

enum kt_kind request_spelled(struct request *req, const char *path, struct kt_err *err)
{
    struct acl_request ask = question(req);
    struct acl_decision decision;
    ask.path = path;
    ask.path_len = strlen(path);
    ask.other = NULL;
    KT_ASSERT(req->own->acl != NULL);
    acl_check(req->own->acl, &ask, &decision);
    if (decision.pattern == NULL || decision.allowed)
        return KT_OK;
    req->own->ruling = decision;
    return kt_fail(err, KT_DENIED, "%s", denied_text);
}

static void write_help(struct request *req, const char *text)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "help", text);
    kt_jsonw_kv_null(&w, "see_also");
    kt_jsonw_kv_null(&w, "openapi");
    kt_jsonw_end(&w);
    req->reply.form = REPLY_BARE;
}

static enum kt_kind unknown_path(struct request *req, struct kt_err *err)
{
    if (req->op == OP_HELP && req->mount != NULL && req->mount->engine != NULL &&
        req->rest[0] == '\0') {
        write_help(req, req->mount->engine->help);
        return KT_OK;
    }
    if (req->op == OP_HELP)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    if (req->mount == NULL)
        return kt_fail(err, KT_NOT_FOUND, "no handler for route \"%s\". route entry not found.",
                       req->path);
    if (req->mount->engine == NULL) {
        (void)kt_fail(err, KT_INTERNAL, "no engine of type \"%s\" is in this vaultd",
                      req->mount->type);
        kt_hint(err, "a newer vaultd made this mount: install that version");
        return KT_INTERNAL;
    }
    if (req->mount->engine->unmatched != NULL)
        return req->mount->engine->unmatched(req, err);
    return kt_fail(err, KT_NOT_FOUND, "1 error occurred:\n\t* unsupported path\n\n");
}

static enum kt_kind help(struct request *req, struct kt_err *err)
{
    (void)err;
    write_help(req, req->route->help);
    return KT_OK;
}

static handler_fn *handler_of(const struct route *route, enum operation op)
{
    switch (op) {
    case OP_READ:
        return route->read;
    case OP_HEAD:
        return (route->flags & ROUTE_PUBLIC) != 0 ? route->read : NULL;
    case OP_LIST:
        return route->list;
    case OP_CREATE:
    case OP_UPDATE:
        return route->write;
    case OP_PATCH:
        return route->patch;
    case OP_DELETE:
        return route->delete_;
    case OP_HELP:
        return help;
    case OP_NONE:
        break;
    }
    return NULL;
}

/* Said before anything is committed or recorded: an answer that cannot be given is none. */
static enum kt_kind check_answer(struct request *req, struct kt_err *err)
{
    if (req->own->wait_on == NULL && !req->own->wants_aside)
        input_warn_unknown(req);
    if (!kt_buf_ok(&req->reply.data) || !kt_buf_ok(&req->reply.auth))
        return kt_fail(err, KT_NO_MEMORY, "the answer is too large, or memory is out");
    return wrap_reply(req, err);
}

static enum kt_kind handle(struct request *req, struct kt_err *err)
{
    if (req->route == NULL)
        return unknown_path(req, err);
    handler_fn *handler = handler_of(req->route, req->op);
    if (handler == NULL) {
        /* The status paths answer without a text, as those that Vault serves outside of its router. */
        bool plain = (req->route->flags & ROUTE_WHILE_SEALED) != 0;
        return kt_fail(err, KT_METHOD, "%s",
                       plain ? "" : "1 error occurred:\n\t* unsupported operation\n\n");
    }
    enum kt_kind kind = req->op == OP_HELP ? KT_OK : input_check_fields(req, err);
    req->own->ops_before = req->batch == NULL ? 0 : batch_ops(req->batch);
    if (kind == KT_OK)
        kind = handler(req, err);
    if (kind != KT_OK)
        return kind;
    kind = approve_gate(req, err);
    if (kind == KT_OK)
        kind = check_answer(req, err);
    if (kind != KT_OK)
        req->reply.status = 0; /* it was the answer's */
    return kind;
}

/* It was let in by its token alone; from here all is asked anew, as of the one that waited. */
static enum kt_kind carry_out(struct request *req, struct kt_err *err)
{
    if (req->op != OP_UPDATE)
        return KT_OK;
    enum kt_kind kind = input_check_fields(req, err);
    if (kind == KT_OK)
        kind = approve_resume(req, err);
    if (kind == KT_OK)
        kind = check_slash(req, err);
    if (kind == KT_OK)
        kind = check_body(req, err);
    return kind == KT_OK ? input_read(req, err) : kind;
}

/* A public path's answer must not depend on what else the request says about mounts and tokens. */
enum kt_kind pass_walk(struct request *req, struct kt_err *err)
{
    if (req->own->internal != NULL)
        return req->own->internal(req, err);
    enum kt_kind kind = check_headers(req, err);
    if (kind == KT_OK)
        kind = mounts_route(req, err);
    if (kind == KT_OK)
        kind = quotas_admit(req, err);
    if (kind == KT_OK)
        kind = check_slash(req, err);
    if (kind == KT_OK)
        kind = check_wrapping_token(req, err);
    if (kind == KT_OK)
        kind = authenticate(req, err);
    if (kind == KT_OK)
        kind = pass_count_use(req, err);
    if (kind == KT_OK)
        kind = check_body(req, err);
    if (kind == KT_OK)
        kind = input_read(req, err);
    if (kind == KT_OK && req->route != NULL && (req->route->flags & ROUTE_CARRIES) != 0)
        kind = carry_out(req, err);
    if (kind == KT_OK)
        kind = refine_operation(req, err);
    if (kind == KT_OK)
        kind = authorise(req, err);
    return kind == KT_OK ? handle(req, err) : kind;
}

enum kt_kind pass_walk_sealed(struct request *req, struct kt_err *err)
{
    enum kt_kind kind = check_headers(req, err);
    if (kind == KT_OK)
        kind = check_slash(req, err);
    if (kind == KT_OK)
        kind = check_body(req, err);
    if (kind == KT_OK)
        kind = input_read(req, err);
    return kind == KT_OK ? handle(req, err) : kind;
}
