#include "vaultd/approval/approvals.h"
#include "vaultd/notify/notice.h"

/* What was sent is in no message: who may see it looks at it there. */

/* "update sys/policies/acl/x", and for a rotation what it rests on. */
static const char *what(struct request *req, const struct approval *approval)
{
    return kt_arena_printf(&req->arena, "%s %s%s%s%s", operation_name(approval->op), approval->path,
                           approval->about[0] == '\0' ? "" : " (", approval->about,
                           approval->about[0] == '\0' ? "" : ")");
}

static enum kt_kind tell(struct request *req, const struct approval *approval, struct notice *notice,
                         struct kt_err *err)
{
    notice->next = kt_arena_printf(&req->arena, "secretctl approvals show %s", approval->id);
    if (notice->verdict == NULL || notice->hurt == NULL || notice->next == NULL)
        return kt_fail(err, KT_NO_MEMORY, "telling people");
    return notify_tell(req, notice, approval->told, NULL, err);
}

enum kt_kind approval_tell_asked(struct request *req, const struct approval *approval,
                                 const struct approval_rule *rule, struct kt_err *err)
{
    char until[KT_TIME_TEXT];
    const char *asked = what(req, approval);
    kt_time_text(approval->expires_ms, until);
    struct notice notice = {.event = NOTICE_ASKED,
                            .hurt = kt_arena_printf(&req->arena, "nobody: nothing was done; it waits until %s", until)};
    if (asked != NULL)
        notice.verdict = kt_arena_printf(&req->arena, "APPROVAL WANTED  %s asks for: %s; it needs %u (rule \"%s\")",
                                         approval->name, asked, rule->needed, rule->name);
    return tell(req, approval, &notice, err);
}

enum kt_kind approval_tell_expired(struct request *req, const struct approval *approval, struct kt_err *err)
{
    const char *asked = what(req, approval);
    struct notice notice = {.event = NOTICE_NOT_APPROVED, .hurt = "nobody: nothing was done"};
    if (asked != NULL)
        notice.verdict = kt_arena_printf(&req->arena,
                                         "NOT DONE  its time to be approved and carried out is over: %s asked for: %s",
                                         approval->name, asked);
    return tell(req, approval, &notice, err);
}
