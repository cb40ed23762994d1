/* vaultd/auth/leased.h - leases of secrets: what an engine made for one token, and has to take back at its end.
 *
 * What:    An engine whose secrets end by themselves has a struct leasing in its row. Its handler issues a lease
 *          together with the secret: leased_issue() puts it into the request's batch and its id into the answer. Who
 *          has to do something at a target does it after that commit (struct request, defer), and ends the lease when
 *          it failed: so there is no account that no lease tells of.
 *          A lease is over when its time has come, when it is revoked, or when its token is over; that is looked at
 *          whenever it is used. What it stands for is revoked after that, by vaultd/auth/revoker.h, as often as that
 *          takes. One that could not be revoked LEASED_ATTEMPTS times is given up: "irrevocable". It stays until
 *          somebody revokes it once more, or forces it.
 * Format:  TABLE_LEASED, NAME of the id: u8 format (1) ‖ u8 flags (1 renewable, 2 ending, 4 given up) ‖ token32 ‖
 *          mount's scope16 ‖ i64 made, expires, latest, renewed, ttl (s), due ‖ u8 attempts ‖ field id ‖ field why ‖
 *          field the engine's own. Beside it, by the key's last 16 bytes:
 *          TABLE_LEASED_DUE, TIME: when its revocation is to be tried -> the key's last 32 bytes ‖ scope16;
 *          TABLE_LEASED_OF, token's hash32 ‖ 16: whose it is -> the key's last 32 bytes;
 *          TABLE_LEASED_IN, scope16 ‖ 16: of which mount; TABLE_LEASED_STUCK, 16: given up -> the same.
 * Owner:   struct leased: texts lie in the arena it was read into.
 * Limits:  core_config.token_leases and mount_leases: KT_TOO_MANY, which names the setting. What is asked for at the
 *          same moment may go beyond.
 * Threads: any thread, with the barrier entered. */
#pragma once

#include "vaultd/auth/lease.h"

#define LEASED_ATTEMPTS 6u
#define LEASED_ID_CHARS 24u
#define LEASED_DATA_MAX ((size_t)16 * 1024) /* of the engine's own */

struct leased {
    unsigned char key[BARRIER_NAME_KEY];
    const char *id, *path; /* path: where it was made */
    unsigned char token[32], mount[BARRIER_SCOPE];
    int64_t made_ms, expires_ms, renewed_ms; /* renewed 0: never */
    int64_t latest_ms;     /* no renewal goes beyond */
    int64_t ttl_s;         /* as issued, whatever its token left of it then */
    int64_t due_ms;        /* its place in the queue; 0: none */
    bool renewable;
    bool ending;           /* over; its revocation is left */
    bool given_up;
    unsigned attempts;     /* that failed */
    const char *why;       /* the last of them did */
    struct kt_bytes data;  /* the engine's own, secret */
    generation changed;
};

/* What an engine does with leases; one in its row, for ever. */
struct leasing {
    /* Begins to take back what the lease stands for, and returns at once: copies what it needs. Whatever becomes of it
     * is told once by revocation_done(), with that ticket, from any thread, perhaps before this returns. May be asked
     * again for what it has taken back already, after a crash or too late an answer: that is no failure. Within
     * REVOKER_DEADLINE_MS, or it counts as failed. */
    void (*revoke)(struct core *core, const struct leased *lease, uint64_t ticket);
    /* Before a renewal is committed: may refuse it. NULL: always fine. */
    enum kt_kind (*renew)(struct request *req, const struct leased *lease, int64_t expires_ms, struct kt_err *err);
};

struct leased_wish {
    int64_t ttl_s, max_ttl_s; /* 0: the mount's */
    bool renewable;
    struct kt_bytes data;
};
/* A lease of what the request's answer says, at the request's path and mount: into its batch and its reply. KT_INVALID
 * for a token's last use: it would be over at once. */
enum kt_kind leased_issue(struct request *req, const struct leased_wish *wish, struct kt_err *err) KT_MUST_CHECK;

/* One that is not over, or was given up. KT_NOT_FOUND without a text: there is none. */
enum kt_kind leased_find(struct request *req, const char *id, struct leased *ret, struct kt_err *err) KT_MUST_CHECK;
/* Dead or alive, by its store key; KT_NOT_FOUND. */
enum kt_kind leased_load(struct core *core, struct snapshot *snapshot, const unsigned char key[BARRIER_NAME_KEY],
                         struct kt_arena *arena, struct leased *ret, struct kt_err *err) KT_MUST_CHECK;
/* Longer by so much from now, 0: as long as at first; what the engine refuses, or comes too late, is KT_INVALID.
 * *ret_capped: its maximum, or its token, left less than that. */
enum kt_kind leased_renew(struct request *req, const struct leased *lease, int64_t increment_s, int64_t *ret_ttl_s,
                          bool *ret_capped, struct kt_err *err) KT_MUST_CHECK;

/* ---- ends ---- */
/* It is over, and due to be revoked now, anew if it was given up. */
enum kt_kind leased_end(struct core *core, struct batch *batch, const struct leased *lease, int64_t now_ms,
                        struct kt_err *err) KT_MUST_CHECK;
/* It is gone: revoked, or forgotten by force. */
void leased_drop(struct batch *batch, const struct leased *lease);
/* A try failed: it is due again later, or given up. */
enum kt_kind leased_failed(struct core *core, struct batch *batch, const struct leased *lease, const char *why,
                           int64_t now_ms, struct kt_err *err) KT_MUST_CHECK;
#define LEASED_COSTS 6u /* operations of each, at most */
/* How long after a failed attempt the next one is: 10 s, twice as long each time. */
int64_t leased_pause_ms(unsigned attempts);

/* Leases of a token that has ended, while there is room; *ret_all: none is left. */
enum kt_kind leased_of_ended(struct job_step *step, const unsigned char token[32], bool *ret_all,
                             struct kt_err *err) KT_MUST_CHECK;
/* Whether there is any of a mount. */
enum kt_kind leased_any_in(struct request *req, const unsigned char scope[BARRIER_SCOPE], bool *ret,
                           struct kt_err *err) KT_MUST_CHECK;

#define LEASED_MEMORY (LEASED_DATA_MAX * 4) /* that one takes in an arena, at most */
/* A row of TABLE_LEASED that a walk found; who walks over many resets the arena after each. */
enum kt_kind leased_open(struct core *core, const struct entry *row, struct kt_arena *arena, struct leased *ret,
                         struct kt_err *err) KT_MUST_CHECK;
/* Those that were given up, until fn says something else than KT_OK; KT_GONE ends the walk and is KT_OK. What fn keeps
 * of a lease it copies. */
typedef enum kt_kind leased_fn(void *arg, const struct leased *lease, struct kt_err *err);
enum kt_kind leased_each_stuck(struct request *req, leased_fn *fn, void *arg, struct kt_err *err) KT_MUST_CHECK;

/* ---- for the revoker ---- */
#define LEASED_DUE_KEY 25u
/* The store key that a row of the queue leads to, and the mount's scope. */
enum kt_kind leased_due_row(struct core *core, const struct entry *row, unsigned char key[BARRIER_NAME_KEY],
                            unsigned char mount[BARRIER_SCOPE], struct kt_err *err) KT_MUST_CHECK;
