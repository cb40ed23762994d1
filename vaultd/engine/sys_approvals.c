/* Requests that wait for approval: sys/approvals/requests for those who approve, sys/approvals/mine for
 * those who asked. What carries one out is vaultd/core/approve.c. */
#include <stdlib.h>

#include "lib/log.h"
#include "lib/plain_text.h"
#include "vaultd/auth/token.h"
#include "vaultd/engine/sys_approvals.h"
#include "vaultd/identity/identity.h"

#define REASON_MAX 1024u

/* What people say of a decision is for the auditor to read. */
static const char *clear_keys[] = {"reason"};
static const struct string_list clear = {clear_keys, sizeof clear_keys / sizeof clear_keys[0]};

static enum kt_kind read_reason(struct request *req, const char **ret, struct kt_err *err)
{
    *ret = "";
    enum kt_kind kind = request_string(req, "reason", ret, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && (*ret)[0] == '\0'))
        return kt_fail(err, KT_INVALID, "missing \"reason\"");
    if (kind != KT_OK)
        return kind;
    if (!kt_text_is_plain(*ret))
        return kt_fail(err, KT_INVALID, "\"reason\" has control characters");
    if (strlen(*ret) > REASON_MAX)
        return kt_fail(err, KT_INVALID, "\"reason\" is longer than %u bytes", REASON_MAX);
    req->told = &clear;
    return KT_OK;
}

/* ---- those who approve ---- */

static enum kt_kind waiting(struct request *req, const struct approval *approval, bool *ret, struct kt_err *err)
{
    (void)err;
    *ret = approval_waits(approval, req->now_ms);
    return KT_OK;
}

enum kt_kind sys_approvals_list(struct request *req, struct kt_err *err)
{
    return approvals_show(req, waiting, err);
}

/* Values are shown to whoever may read them where they would be. */
enum kt_kind sys_approval_read(struct request *req, struct kt_err *err)
{
    struct approval approval;
    struct approval_sent sent;
    enum kt_kind kind = approval_named(req, &approval, err);
    if (kind != KT_OK)
        return kind;
    kind = approval_find_sent(req, &approval, &sent, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    bool shown = request_right(req, OP_READ, approval.path).granted;
    return approval_show(req, &approval, kind == KT_OK ? &sent : NULL, shown, err);
}

/* Whether who asks now has a say; *ret_why: what hinders him. */
static enum kt_kind has_say(struct request *req, const struct approval *approval, const char **ret_why,
                            struct kt_err *err)
{
    struct approval_rules rules;
    enum kt_kind kind = approval_rules_load(req, &rules, err);
    *ret_why = "the rules that were about it are gone: who asked may carry it out, or ask anew, or break-glass lets it pass";
    for (size_t i = 0; kind == KT_OK && i < rules.n && *ret_why != NULL; i++) {
        bool about = false;
        kind = approval_about(req, &rules.at[i], approval, &about, err);
        if (kind == KT_OK && about)
            kind = approval_hinders(req, &rules.at[i], approval, ret_why, err);
    }
    return kind;
}

/* One that waits, and on which who asks now decides. */
static enum kt_kind take(struct request *req, struct approval *ret, struct kt_err *err)
{
    const char *why = NULL;
    enum kt_kind kind = approval_named(req, ret, err);
    if (kind == KT_OK)
        kind = approval_still_waits(req, ret, err);
    if (kind == KT_OK)
        kind = has_say(req, ret, &why, err);
    return kind == KT_OK && why != NULL ? kt_fail(err, KT_DENIED, "%s", why) : kind;
}

static bool approved_already(const struct approval *approval, const struct entity *entity)
{
    for (size_t i = 0; i < approval->n_approvers; i++)
        if (strcmp(approval->approvers[i].entity_id, entity->id) == 0)
            return true;
    return false;
}

enum kt_kind sys_approval_approve(struct request *req, struct kt_err *err)
{
    struct approval approval;
    enum kt_kind kind = take(req, &approval, err);
    if (kind != KT_OK)
        return kind;
    const struct entity *entity = req->identity->entity;
    if (approved_already(&approval, entity))
        return approval_show(req, &approval, NULL, false, err);
    if (approval.n_approvers >= APPROVERS_MAX)
        return kt_fail(err, KT_INVALID, "%u people have approved it already", APPROVERS_MAX);
    struct approver *more = kt_arena_take(&req->arena, (approval.n_approvers + 1) * sizeof *more);
    if (more == NULL)
        return kt_fail(err, KT_NO_MEMORY, "approving a request");
    if (approval.n_approvers > 0)
        memcpy(more, approval.approvers, approval.n_approvers * sizeof *more);
    more[approval.n_approvers++] = (struct approver){entity->id, entity->name, req->now_ms};
    approval.approvers = more;
    kind = approval_put(req, &approval, NULL, err);
    return kind == KT_OK ? approval_show(req, &approval, NULL, false, err) : kind;
}

enum kt_kind sys_approval_deny(struct request *req, struct kt_err *err)
{
    struct approval approval;
    const char *why = NULL;
    enum kt_kind kind = read_reason(req, &why, err);
    if (kind == KT_OK)
        kind = take(req, &approval, err);
    if (kind != KT_OK)
        return kind;
    approval.state = APPROVAL_DENIED;
    approval.ended_ms = req->now_ms;
    approval.ended_by = req->identity->entity->name;
    approval.why = why;
    kind = approval_put(req, &approval, NULL, err);
    return kind == KT_OK ? approval_show(req, &approval, NULL, false, err) : kind;
}

/* ---- break-glass ---- */

static void log_break_glass(struct request *req, const struct commit_result *result)
{
    if (result->error == STORE_OK)
        kt_log(KT_LOG_WARNING, "approval_break_glass", "request=%s next=\"%s\"", request_param(req, "id"),
               "a change passes without the approvals that its rules want: look at it in the audit log");
}

/* Who is root on the host could read the vault's memory; a root token, where there is none any more, the
 * holders of key shares make together. Neither alone is enough. */
static enum kt_kind check_break_glass(const struct request *req, struct kt_err *err)
{
    if (req->token != NULL && req->token->is_root && req->origin == ORIGIN_UNIX && req->peer_uid == 0)
        return KT_OK;
    (void)kt_fail(err, KT_DENIED, "break-glass takes a root token, on the Unix socket, by the host's root");
    kt_hint(err, "the holders of key shares make a root token: secretctl operator generate-root");
    return KT_DENIED;
}

enum kt_kind sys_approval_break_glass(struct request *req, struct kt_err *err)
{
    struct approval approval;
    const char *why = NULL;
    enum kt_kind kind = read_reason(req, &why, err);
    if (kind == KT_OK)
        kind = check_break_glass(req, err);
    if (kind == KT_OK)
        kind = approval_named(req, &approval, err);
    if (kind == KT_OK)
        kind = approval_still_waits(req, &approval, err);
    if (kind != KT_OK)
        return kind;
    approval.break_glass = true;
    approval.ended_by = req->token->display_name;
    approval.why = why;
    req->after_commit = log_break_glass;
    kind = approval_put(req, &approval, NULL, err);
    return kind == KT_OK ? approval_show(req, &approval, NULL, false, err) : kind;
}

/* ---- those who asked ---- */

static enum kt_kind mine(struct request *req, const struct approval *approval, bool *ret, struct kt_err *err)
{
    return approval_is_asker(req, approval, ret, err);
}

enum kt_kind sys_approvals_mine(struct request *req, struct kt_err *err)
{
    return approvals_show(req, mine, err);
}

/* Another's is as one that is not there. */
static enum kt_kind find_mine(struct request *req, struct approval *ret, struct kt_err *err)
{
    bool is_mine = false;
    enum kt_kind kind = approval_find(req, request_param(req, "id"), ret, err);
    if (kind == KT_OK)
        kind = approval_is_asker(req, ret, &is_mine, err);
    if (kind != KT_NOT_FOUND && (kind != KT_OK || is_mine))
        return kind;
    (void)kt_fail(err, KT_NOT_FOUND, "no request of yours with this id waits for approval");
    kt_hint(err, "secretctl approvals list -mine");
    return KT_NOT_FOUND;
}

enum kt_kind sys_approval_mine_read(struct request *req, struct kt_err *err)
{
    struct approval approval;
    enum kt_kind kind = find_mine(req, &approval, err);
    return kind == KT_OK ? approval_show(req, &approval, NULL, false, err) : kind;
}

/* As long as nobody approved: he would have approved something else. */
enum kt_kind sys_approval_mine_write(struct request *req, struct kt_err *err)
{
    struct approval approval;
    const char *why = NULL;
    enum kt_kind kind = read_reason(req, &why, err);
    if (kind == KT_OK)
        kind = find_mine(req, &approval, err);
    if (kind == KT_OK)
        kind = approval_still_waits(req, &approval, err);
    if (kind != KT_OK)
        return kind;
    if (approval.n_approvers > 0)
        return kt_fail(err, KT_INVALID, "somebody has approved it already: its reason stays");
    approval.reason = why;
    return approval_put(req, &approval, NULL, err);
}

enum kt_kind sys_approval_mine_delete(struct request *req, struct kt_err *err)
{
    struct approval approval;
    enum kt_kind kind = find_mine(req, &approval, err);
    if (kind == KT_OK)
        kind = approval_still_waits(req, &approval, err);
    if (kind != KT_OK)
        return kind;
    approval.state = APPROVAL_WITHDRAWN;
    approval.ended_ms = req->now_ms;
    return approval_put(req, &approval, NULL, err);
}

/* Before it is called the request has become the one that waited, or was refused. */
enum kt_kind sys_approval_finish(struct request *req, struct kt_err *err)
{
    (void)req;
    return kt_fail(err, KT_INTERNAL, "a request that waited was not carried out");
}
