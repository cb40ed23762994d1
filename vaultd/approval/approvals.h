/* vaultd/approval/approvals.h - requests that wait for approval: found, written, and who may approve.
 *
 * Who:     An approver is one person: the entity of who logged in. He is a direct member of the rule's
 *          group, which is an internal one; he, the alias by which he logged in and the group are older than
 *          the request, were not changed since, and were never made or changed by who asked. Who asked, root,
 *          and tokens without an entity or made by other tokens approve nothing; nor does who made or changed
 *          the asker's entity or one of its aliases.
 * Counted: approvals are a set of entities. What counts is looked at when the request is carried out: an
 *          approver who is disabled, gone, no member any more, or became the same entity as the asker or as
 *          another approver, is none; and for a rule whose group who asked made or changed there are none.
 * Ends:    once. Denied, withdrawn or carried out it keeps what is known of it for APPROVAL_KEPT_MS; what was
 *          sent goes in the commit of its end.
 * Limits:  APPROVALS_MAX at all, APPROVALS_OF_ONE_MAX of one asker, APPROVAL_SENT_MAX bytes each.
 * Owner:   the request's arena.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/approval/record.h"
#include "vaultd/approval/rules.h"

#define APPROVALS_MAX        1024u
#define APPROVALS_OF_ONE_MAX 16u
#define APPROVAL_SENT_MAX    ((size_t)600 * 1024)
#define APPROVAL_KEPT_MS     INT64_C(604800000) /* 7 days */

/* KT_NOT_FOUND, without a text: no such. */
enum kt_kind approval_find(struct request *req, const char *id, struct approval *ret, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind approval_find_sent(struct request *req, const struct approval *approval,
                                struct approval_sent *ret, struct kt_err *err) KT_MUST_CHECK;
/* Into the request's batch: a new one (changed 0) with what was sent, or one that was read, on condition
 * that it is as it was. When its state says that it ended, what was sent is deleted. */
enum kt_kind approval_put(struct request *req, const struct approval *approval,
                          const struct approval_sent *sent, struct kt_err *err) KT_MUST_CHECK;
void approval_remove(struct batch *batch, const struct approval *approval);
/* Nobody ended it, and its time is not over. */
bool approval_waits(const struct approval *approval, int64_t now_ms);
/* "waiting", "expired", "done", "denied", "withdrawn" */
const char *approval_state_text(const struct approval *approval, int64_t now_ms);

/* All of them, in no order; in the arena. One that cannot be read is left out: it holds up no other one. What
 * waited in it was not done, and is asked anew. */
struct approval_list {
    struct approval *at;
    size_t n, room;
    unsigned damaged; /* left out */
};
enum kt_kind approvals_all(struct request *req, struct approval_list *ret, struct kt_err *err)
    KT_MUST_CHECK;

/* Told to people (vaultd/notify/): somebody asked for it; its time is over, nobody carried it out. */
enum kt_kind approval_tell_asked(struct request *req, const struct approval *approval,
                                 const struct approval_rule *rule, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind approval_tell_expired(struct request *req, const struct approval *approval, struct kt_err *err)
    KT_MUST_CHECK;

/* Whether it was this request's token that asked, or one of the same entity. */
enum kt_kind approval_is_asker(struct request *req, const struct approval *approval, bool *ret,
                               struct kt_err *err) KT_MUST_CHECK;
/* Whether a rule of now is about it, or was when it was asked (core/approve_rules.c). */
enum kt_kind approval_about(struct request *req, const struct approval_rule *rule, const struct approval *approval,
                            bool *ret, struct kt_err *err) KT_MUST_CHECK;
/* Why who asks now does not approve for this rule, a sentence; *ret NULL: he may. */
enum kt_kind approval_hinders(struct request *req, const struct approval_rule *rule,
                              const struct approval *approval, const char **ret, struct kt_err *err)
    KT_MUST_CHECK;
/* How many of its approvals count for a rule now. */
enum kt_kind approval_count(struct request *req, const struct approval_rule *rule,
                            const struct approval *approval, unsigned *ret, struct kt_err *err)
    KT_MUST_CHECK;
