/* vaultd/audit/hasher.h - HMACs of texts, and what else one record leaves for a thread's next.
 *
 * What:    Every read records the same token and accessor, and often the same values. Each thread keeps
 *          some hundred HMACs, under a SipHash of the text with a key from the system's randomness, so
 *          that no text is kept; for its last tokens, what records say of their owners; and the time of
 *          its last record as text. Nothing is shared, so no thread waits for another.
 * Owner:   audit_hasher_new() borrows the key; audit_hasher_free() wipes what all threads kept, NULL is
 *          fine. A thread's end frees its part before.
 * Threads: any thread; what is handed out is the thread's own, and good until its next call. */
#pragma once

#include "lib/bytes.h"
#include "vaultd/audit/audit.h"
#include "vaultd/audit/line.h"

struct audit_hasher;

/* NULL: out of memory. */
struct audit_hasher *audit_hasher_new(const unsigned char key[32]);
void audit_hasher_free(struct audit_hasher *hasher);
/* The thread's, or *own, filled in, where none is kept. */
const struct audit_hmac *audit_hasher_get(struct audit_hasher *hasher, struct kt_bytes text,
                                          struct audit_hmac *own);
void audit_hasher_text(struct audit_hasher *hasher, struct kt_bytes text,
                       char out[AUDIT_HMAC_TEXT]);
/* Not remembered. */
void audit_hasher_bytes(const struct audit_hasher *hasher, struct kt_bytes text,
                        unsigned char out[AUDIT_HMAC_BYTES]);

/* The time as text in quotes; the thread's last one, or made in own. */
#define AUDIT_TIME_QUOTED (KT_TIME_TEXT + 2u)
struct kt_bytes audit_hasher_time(struct audit_hasher *hasher, int64_t ms,
                                  char own[AUDIT_TIME_QUOTED]);

/* What records say of an answer's data: the value of "data". A place is first given to a key, and
 * filled in when that key comes again: what is read once takes no memory. */
#define AUDIT_SAID_KEY 64u
struct audit_said {
    unsigned char key[AUDIT_SAID_KEY];
    size_t len;  /* of the key; 0: free */
    bool filled; /* the line is the key's */
    struct audit_line line;
};
/* The thread's place that the key has; NULL: it had none (and has one from now on), or no memory. */
struct audit_said *audit_hasher_said(struct audit_hasher *hasher, struct kt_bytes key);

/* What records say of a token's owner: the members of "auth" up to `end_auth`, then those of "request"
 * that are the token's. */
struct audit_who {
    unsigned char hash[32];
    uint64_t changed; /* 0: not filled in */
    uint64_t identity_at;
    struct audit_line line;
    struct audit_part begin, end_auth, end;
};
/* What records say of where it was asked: "operation" and the mount's members in "request", the mount's
 * again at the beginning of "response". The thread's last one. */
#define AUDIT_WHERE_TEXT 64u /* longer names are not kept */
struct audit_where {
    bool known;
    char operation[AUDIT_WHERE_TEXT], mount_point[AUDIT_WHERE_TEXT], mount_type[AUDIT_WHERE_TEXT];
    struct audit_line line;
    struct audit_part begin, end_request, end;
};
/* NULL: no memory. Whoever finds another place in it resets its line and fills it in. */
struct audit_where *audit_hasher_where(struct audit_hasher *hasher);

/* The thread's place for this token: filled in if its hash and changed are those asked for, else the
 * caller resets its line and fills it in. NULL: no memory. */
struct audit_who *audit_hasher_who(struct audit_hasher *hasher, const unsigned char hash[32]);
