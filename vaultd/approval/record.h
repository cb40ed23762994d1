/* vaultd/approval/record.h - the stored form of a request that waits for the approval of others.
 *
 * What:    Two rows: what is known of it, which changes with each approval, and what was sent, which never
 *          changes and goes when it has ended. Its id is the id of the request that it was, so the audit
 *          log's record of that one is its first.
 * Format:  TABLE_APPROVAL ‖ id16 ‖ u32be 0 -> sealed u8 format (4) ‖ u8 kind ‖ u8 state ‖ u8 flags (1 by
 *          break-glass) ‖ i64 created, expires, ended ‖ asker: hash32 of the token ‖ fields entity id ("":
 *          none), name, accessor ‖ u16 operation ‖ i64 seconds that the answer is to be wrapped, -1: not ‖
 *          fields path, reason ‖ u16 n × field rule ‖ u16 n × approver: fields entity id, name ‖ i64 time ‖
 *          fields ended by, why, about ‖ 32 bytes bound ‖ field told ‖ u16 how many each
 *          of the rules needed ‖ u16 n × touched: field path ‖ u8 (1 with all below). Format 3 ended before
 *          touched, format 2 before told, format 1 before about.
 *          TABLE_APPROVAL ‖ id16 ‖ u32be 1 -> sealed u8 format (1) ‖ fields query, content type (‖ u8: 1 it
 *          had one), body.
 * Owner:   what is read lies in the arena; what is written is borrowed.
 * Threads: any thread. */
#pragma once

#include "lib/uuid.h"
#include "vaultd/core/request.h"

#define APPROVAL_KEY 21u /* table ‖ id16 ‖ u32be */
#define APPROVAL_RULES_OF_MAX 64u
#define APPROVERS_MAX 64u
#define APPROVAL_TOUCHED_MAX 128u

enum approval_kind {
    APPROVAL_REQUEST = 1 /* it is carried out by who asked; others may come: a run of a rotation ... */
};
enum approval_state {
    APPROVAL_WAITING = 1, /* its time may be over, which nobody has written down */
    APPROVAL_DONE,
    APPROVAL_DENIED,
    APPROVAL_WITHDRAWN
};

struct approver {
    const char *entity_id, *name;
    int64_t at_ms;
};
/* What it would change: by that it is known which rules that come later are about it. */
struct touched {
    const char *path;
    bool below;
};
struct approval {
    char id[KT_UUID_TEXT];
    enum approval_kind kind;
    enum approval_state state;
    bool break_glass;
    int64_t created_ms, expires_ms, ended_ms; /* ended 0: it has not */
    unsigned char token[32];                  /* the hash of the asker's */
    const char *entity_id, *name, *accessor;  /* of the asker; the accessor of his token */
    enum operation op;                        /* create as update: it is looked at again */
    int64_t wrap_ttl_s;
    const char *path, *reason;
    const char *about;                        /* what it rests on (core/bound.h); "": nothing was said */
    unsigned char bound[32];                  /* and its digest */
    const char *told;                         /* the channels that are told of it; "": all */
    struct string_list rules;                 /* names of those that were about it when it was asked */
    unsigned *needed;                         /* how many each of them needed then; NULL: it was not kept */
    struct touched *touched;                  /* none: it was not kept; so many as there may be: perhaps not all */
    size_t n_touched;
    struct approver *approvers;               /* each entity once */
    size_t n_approvers;
    const char *ended_by, *why;               /* who denied it, or let it pass by break-glass, and why */
    generation changed;                       /* of the record that was read */
};
/* What was sent; content_type.at NULL: none. */
struct approval_sent {
    struct kt_bytes query, content_type, body;
};

void approval_key(const unsigned char id[KT_UUID_BYTES], uint32_t part, unsigned char key[APPROVAL_KEY]);
void approval_write(const struct approval *approval, struct kt_buf *out);
void approval_sent_write(const struct approval_sent *sent, struct kt_buf *out);
/* id and changed are the caller's to set. */
enum kt_kind approval_read(struct kt_bytes record, struct kt_arena *arena, struct approval *ret,
                           struct kt_err *err) KT_MUST_CHECK;
enum kt_kind approval_sent_read(struct kt_bytes record, struct kt_arena *arena, struct approval_sent *ret,
                                struct kt_err *err) KT_MUST_CHECK;
