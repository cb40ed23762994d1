/* What needs the approval of others is kept instead of being carried out, and carried out later, once, as
 * the request that it was, by whoever asked: his token, his entity and his policies are looked at then. */
#include "vaultd/core/approve.h"

#include <sodium.h>

#include "vaultd/auth/token.h"
#include "vaultd/core/bound.h"
#include "vaultd/core/mounts.h"
#include "vaultd/identity/identity.h"

#define WRITES (OP_CREATE | OP_UPDATE | OP_PATCH | OP_DELETE)

struct carried {
    struct approval approval;
    const char *by; /* who approved it */
    /* what it was asked as */
    const char *path, *typed;
    size_t path_len;
    enum operation op;
    struct kt_bytes query, content_type, body;
};

const char *approve_carried(const struct request *req, const char **ret_by)
{
    const struct carried *carried = req->own->carried;
    *ret_by = carried == NULL ? NULL : carried->by;
    return carried == NULL ? NULL : carried->approval.id;
}

/* ---- what it rests on ---- */

void request_binds(struct request *req, struct kt_bytes plan, const char *about, const char *told)
{
    struct request_private *own = req->own;
    crypto_generichash_state state;
    own->about = kt_arena_printf(&req->arena, "%.*s", (int)BOUND_TEXT, about);
    own->told = kt_arena_text(&req->arena, kt_str(told));
    if (own->about == NULL || own->told == NULL)
        return; /* the arena has failed, and the request with it */
    (void)crypto_generichash_init(&state, NULL, 0, sizeof own->bound);
    (void)crypto_generichash_update(&state, (const unsigned char *)own->about, strlen(own->about) + 1);
    (void)crypto_generichash_update(&state, plan.at, plan.len);
    (void)crypto_generichash_final(&state, own->bound, sizeof own->bound);
}

const char *request_approved_by(const struct request *req)
{
    const char *by = NULL;
    (void)approve_carried(req, &by);
    return by;
}

/* ---- keeping ---- */

/* The approvals themselves need none; nobody waits for anybody to seal the vault, to keep his token alive or to
 * end one. Ending one and freeing its children is another thing. */
static bool is_exempt(const struct request *req)
{
    static const char *const folders[] = {"sys/approvals/requests/", "sys/approvals/mine/"};
    static const char *const paths[] = {"auth/token/renew",           "auth/token/renew-accessor",
                                        "auth/token/renew-self",      "auth/token/revoke",
                                        "auth/token/revoke-accessor", "auth/token/revoke-self",
                                        "sys/seal"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (strncmp(req->path, folders[i], strlen(folders[i])) == 0)
            return true;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (strcmp(req->path, paths[i]) == 0)
            return true;
    return (req->route->flags & ROUTE_WRAPPING) != 0;
}

static bool changes_something(const struct request *req)
{
    return req->defer != NULL || (req->batch != NULL && batch_ops(req->batch) > req->own->ops_before);
}

/* Root on the host, with a root token: nobody approves what has no entity, but break-glass lets it pass. */
static bool by_break_glass(const struct request *req)
{
    return req->token->is_root && req->origin == ORIGIN_UNIX && req->peer_uid == 0;
}

static enum kt_kind check_asker(struct request *req, const struct approval_rule *rule, struct kt_err *err)
{
    if (req->token->entity_id[0] != '\0' || by_break_glass(req))
        return KT_OK;
    (void)kt_fail(err, KT_DENIED, "this needs approval (rule \"%s\"), and a token without an entity cannot ask for it",
                  rule->name);
    kt_hint(err, "log in as yourself and ask again; if nobody can: a root token on the Unix socket, as root "
                 "(docs/approvals.md, break-glass)");
    return KT_DENIED;
}

/* How many wait; those that ended long ago go with this commit, some at a time. However many people ask, root's
 * break-glass still finds room. */
static enum kt_kind make_room(struct request *req, struct kt_err *err)
{
    struct approval_list all;
    const char *asker = token_identity(req->token);
    unsigned waiting = 0, of_asker = 0, removed = 0;
    enum kt_kind kind = approvals_all(req, &all, err);
    for (size_t i = 0; kind == KT_OK && i < all.n; i++) {
        const struct approval *one = &all.at[i];
        int64_t ended_ms = one->ended_ms != 0 ? one->ended_ms : one->expires_ms;
        bool waits = approval_waits(one, req->now_ms);
        waiting += waits;
        of_asker += waits && strcmp(one->entity_id[0] != '\0' ? one->entity_id : one->accessor, asker) == 0;
        if (!waits && (ended_ms + APPROVAL_KEPT_MS < req->now_ms || all.n >= APPROVALS_MAX) && removed < 16) {
            approval_remove(req->batch, one);
            removed++;
        }
    }
    if (kind != KT_OK)
        return kind;
    bool full = of_asker >= APPROVALS_OF_ONE_MAX || waiting >= APPROVALS_MAX;
    if ((full && !by_break_glass(req)) || all.n - removed >= (size_t)2 * APPROVALS_MAX) {
        (void)kt_fail(err, KT_TOO_MANY, "%u requests of yours wait for approval, %u at all: no more are kept",
                      of_asker, waiting);
        kt_hint(err, "secretctl approvals list -mine; withdraw some: secretctl approvals withdraw ID");
        return KT_TOO_MANY;
    }
    return KT_OK;
}

static const char *asker_name(const struct request *req)
{
    return req->identity != NULL ? req->identity->entity->name : req->token->display_name;
}

static enum kt_kind describe(struct request *req, const struct approval_rule *const *rules, size_t n,
                             struct approval *ret, struct kt_err *err)
{
    *ret = (struct approval){.kind = APPROVAL_REQUEST,
                             .state = APPROVAL_WAITING,
                             .created_ms = req->now_ms,
                             .entity_id = req->identity != NULL ? req->identity->entity->id : "",
                             .name = asker_name(req),
                             .accessor = req->token->accessor,
                             .op = req->op == OP_CREATE ? OP_UPDATE : req->op,
                             .wrap_ttl_s = req->wrap_ttl_s,
                             .path = req->path,
                             .about = req->own->about == NULL ? "" : req->own->about,
                             .told = req->own->told == NULL ? "" : req->own->told,
                             .rules = {kt_arena_take(&req->arena, n * sizeof(char *)), 0},
                             .needed = kt_arena_take(&req->arena, n * sizeof(unsigned)),
                             .touched = kt_arena_take(&req->arena, APPROVAL_TOUCHED_MAX * sizeof(struct touched))};
    if (ret->rules.at == NULL || ret->needed == NULL || ret->touched == NULL)
        return kt_fail(err, KT_NO_MEMORY, "keeping a request for approval");
    (void)snprintf(ret->id, sizeof ret->id, "%s", req->id);
    memcpy(ret->token, req->token->hash, sizeof ret->token);
    memcpy(ret->bound, req->own->bound, sizeof ret->bound);
    for (const struct changed_path *at = req->own->changes; at != NULL && ret->n_touched < APPROVAL_TOUCHED_MAX;
         at = at->next)
        ret->touched[ret->n_touched++] = (struct touched){at->path, at->below};
    int64_t ttl_s = APPROVAL_TTL_MAX_S;
    for (size_t i = 0; i < n; i++) {
        ret->needed[i] = rules[i]->needed;
        ret->rules.at[ret->rules.n++] = rules[i]->name;
        ttl_s = rules[i]->ttl_s < ttl_s ? rules[i]->ttl_s : ttl_s;
    }
    ret->expires_ms = req->now_ms + ttl_s * 1000;
    return KT_OK;
}

/* 202: what is understood by every client is that it is not done: some take any other status than 200 and
 * 204 for an error, the others show warnings. */
static void answer(struct request *req, const struct approval *approval, const struct approval_rule *const *rules,
                   size_t n)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "approval_id", approval->id);
    kt_jsonw_kv_time(&w, "expires_at", approval->expires_ms);
    kt_jsonw_kv_text(&w, "operation", operation_name(approval->op));
    kt_jsonw_kv_text(&w, "path", approval->path);
    kt_jsonw_key(&w, "rules");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < n; i++) {
        kt_jsonw_object(&w);
        kt_jsonw_kv_text(&w, "group_id", rules[i]->group);
        kt_jsonw_kv_text(&w, "name", rules[i]->name);
        kt_jsonw_kv_int(&w, "needed", rules[i]->needed);
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    kt_jsonw_kv_text(&w, "state", "waiting");
    kt_jsonw_end(&w);
    req->reply.status = 202;
    request_warn(req, "nothing was done yet: this needs the approval of %u (rule \"%s\"): secretctl approve %s",
                 rules[0]->needed, rules[0]->name, approval->id);
    request_warn(req, "when it is approved, you carry it out: secretctl approvals finish %s", approval->id);
}

static void drop_what_was_made(struct request *req)
{
    pipeline_drop_batch(req);
    req->defer = NULL;
    req->defer_seals = false;
    kt_buf_reset(&req->reply.data);
    kt_buf_reset(&req->reply.auth);
    struct kt_buf data = req->reply.data, auth = req->reply.auth;
    req->reply = (struct reply){.data = data, .auth = auth};
}

static enum kt_kind keep(struct request *req, const struct approval_rule *const *rules, size_t n,
                         struct kt_err *err)
{
    const struct approval_sent sent = {req->query, req->content_type, req->body};
    struct approval approval;
    enum kt_kind kind = check_asker(req, rules[0], err);
    if (kind != KT_OK)
        return kind;
    if (sent.body.len + sent.query.len > APPROVAL_SENT_MAX)
        return kt_fail(err, KT_INVALID, "this needs approval, and is larger than the %zu KiB that can wait for it",
                       APPROVAL_SENT_MAX / 1024);
    drop_what_was_made(req);
    kind = request_batch(req) == NULL ? kt_fail(err, KT_NO_MEMORY, "keeping a request for approval")
                                      : pass_count_use(req, err);
    if (kind == KT_OK)
        kind = make_room(req, err);
    if (kind == KT_OK)
        kind = describe(req, rules, n, &approval, err);
    if (kind == KT_OK)
        kind = approval_put(req, &approval, &sent, err);
    if (kind == KT_OK)
        kind = approval_tell_asked(req, &approval, rules[0], err);
    if (kind != KT_OK)
        return kind;
    req->own->kept = true;
    answer(req, &approval, rules, n);
    return KT_OK;
}

/* ---- carrying out ---- */

static enum kt_kind check_rule(struct request *req, const struct approval_rule *rule,
                               const struct approval *approval, struct kt_err *err)
{
    unsigned have = 0;
    enum kt_kind kind = approval_count(req, rule, approval, &have, err);
    if (kind != KT_OK || have >= rule->needed)
        return kind;
    (void)kt_fail(err, KT_DENIED, "not approved yet: %u of the %u approvals that the rule \"%s\" wants", have,
                  rule->needed, rule->name);
    if (rule->group[0] == '\0')
        kt_hint(err, "there is no such rule any more: break-glass lets it pass (docs/approvals.md), or write the rule "
                     "again: secretctl write sys/approvals/rules/%s", rule->name);
    else
        kt_hint(err, "members of its group give them: secretctl approve %s", approval->id);
    return KT_DENIED;
}

static enum kt_kind check_bound(const struct request *req, const struct approval *approval, struct kt_err *err)
{
    if (sodium_memcmp(approval->bound, req->own->bound, sizeof approval->bound) == 0)
        return KT_OK;
    (void)kt_fail(err, KT_DENIED, "the approvals are void: what it rests on has changed since it was asked for (%.300s)",
                  approval->about);
    kt_hint(err, "ask anew; and let this one go: secretctl approvals withdraw %s", approval->id);
    return KT_DENIED;
}

static enum kt_kind finish(struct request *req, const struct approval_rule *const *rules, size_t n,
                           struct kt_err *err)
{
    struct approval ended = req->own->carried->approval;
    enum kt_kind kind = check_bound(req, &ended, err);
    for (size_t i = 0; kind == KT_OK && i < n && !ended.break_glass; i++)
        kind = check_rule(req, rules[i], &ended, err);
    if (kind != KT_OK)
        return kind;
    ended.state = APPROVAL_DONE;
    ended.ended_ms = req->now_ms;
    return approval_put(req, &ended, NULL, err);
}

enum kt_kind approve_gate(struct request *req, struct kt_err *err)
{
    struct request_private *own = req->own;
    bool carries = own->carried != NULL;
    struct approval_rules rules;
    const struct approval_rule *about[APPROVAL_RULES_OF_MAX];
    size_t n = 0;
    if (own->wait_on != NULL || own->wants_aside)
        return KT_OK;
    if (carries && !own->ruled)
        return kt_fail(err, KT_DENIED, "what waited for approval cannot be carried out any more: its path is another");
    if (!own->ruled || (!carries && ((req->op & WRITES) == 0 || is_exempt(req) || !changes_something(req))))
        return KT_OK;
    enum kt_kind kind = approval_rules_load(req, &rules, err);
    if (kind == KT_OK && (rules.n > 0 || own->wants != NULL || carries))
        kind = approve_rules_of(req, &rules, about, &n, err);
    if (kind != KT_OK || (n == 0 && !carries))
        return kind;
    return carries ? finish(req, about, n, err) : keep(req, about, n, err);
}

void approve_restore(struct request *req)
{
    struct carried *carried = req->own->carried;
    if (carried == NULL)
        return;
    req->own->carried = NULL;
    req->path = carried->path;
    req->path_len = carried->path_len;
    req->own->typed = carried->typed;
    req->op = carried->op;
    req->query = carried->query;
    req->content_type = carried->content_type;
    req->body = carried->body;
}

static enum kt_kind become(struct request *req, const struct approval_sent *sent, struct kt_err *err)
{
    const struct approval *approval = &req->own->carried->approval;
    req->path = approval->path;
    req->path_len = strlen(approval->path);
    req->own->typed = NULL;
    req->op = approval->op;
    req->query = sent->query;
    req->content_type = sent->content_type;
    req->body = sent->body;
    if (approval->wrap_ttl_s > 0)
        req->wrap_ttl_s = approval->wrap_ttl_s;
    return mounts_route(req, err);
}

static enum kt_kind not_there(struct kt_err *err)
{
    (void)kt_fail(err, KT_NOT_FOUND, "no request of yours with this id waits for approval");
    kt_hint(err, "secretctl approvals list -mine");
    return KT_NOT_FOUND;
}

static enum kt_kind over(const struct approval *approval, int64_t now_ms, struct kt_err *err)
{
    const char *state = approval_state_text(approval, now_ms);
    if (approval->state == APPROVAL_DENIED)
        (void)kt_fail(err, KT_GONE, "it was denied by %s: %s", approval->ended_by, approval->why);
    else
        (void)kt_fail(err, KT_GONE, "it does not wait for approval any more: %s", state);
    kt_hint(err, "ask anew");
    return KT_GONE;
}

static const char *names_of(struct request *req, const struct approval *approval)
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, SIZE_MAX / 4);
    if (approval->break_glass)
        kt_buf_printf(&text, "break-glass by %s", approval->ended_by);
    for (size_t i = 0; i < approval->n_approvers; i++)
        kt_buf_printf(&text, "%s%s (%s)", text.len == 0 ? "" : ", ", approval->approvers[i].name,
                      approval->approvers[i].entity_id);
    return kt_arena_text(&req->arena, kt_buf_bytes(&text));
}

enum kt_kind approve_resume(struct request *req, struct kt_err *err)
{
    struct carried *carried = kt_arena_take(&req->arena, sizeof *carried);
    struct approval_sent sent;
    bool mine = false;
    if (carried == NULL)
        return kt_fail(err, KT_NO_MEMORY, "carrying out a request");
    enum kt_kind kind = approval_find(req, request_param(req, "id"), &carried->approval, err);
    if (kind == KT_OK)
        kind = approval_is_asker(req, &carried->approval, &mine, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && !mine))
        return not_there(err);
    if (kind == KT_OK && (!approval_waits(&carried->approval, req->now_ms) ||
                          carried->approval.kind != APPROVAL_REQUEST))
        return over(&carried->approval, req->now_ms, err);
    if (kind == KT_OK)
        kind = approval_find_sent(req, &carried->approval, &sent, err);
    if (kind != KT_OK)
        return kind;
    carried->by = names_of(req, &carried->approval);
    carried->path = req->path;
    carried->path_len = req->path_len;
    carried->typed = req->own->typed;
    carried->op = req->op;
    carried->query = req->query;
    carried->content_type = req->content_type;
    carried->body = req->body;
    req->own->carried = carried;
    return become(req, &sent, err);
}
