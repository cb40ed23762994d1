/* vaultd/auth/token.h - tokens: who a request is, kept only as keyed hashes.
 *
 * What:    The decoded record of a token, its look-up, and the batch operations that make, renew and
 *          end one. Expiry, use count and ancestors are checked at each use; the sweep only tidies.
 *          A token is alive when its record is there, its time has not come, and its parent (if any)
 *          is alive: so revoking a parent refuses its children at once, in one small batch. So does
 *          disabling the way that the oldest of them came in through.
 * Owner:   struct token from token_find() belongs to a per-thread cache and lives until the next
 *          token_find() on that thread: copy what must live longer. req->token is pinned and stays
 *          for the whole pass.
 * Threads: any thread, with the barrier entered. */
#pragma once

#include "vaultd/core/core.h"

#define TOKEN_ANCESTORS_MAX 256u /* how long a line of parents may be */

struct token {
    unsigned char hash[32];
    unsigned char parent[32];    /* what it ends with; zero: nothing; of a wrapping token: who keeps it */
    bool has_parent;
    unsigned ancestors;          /* how many must be alive for it to be: as token_find() saw them */
    bool logged_in;              /* an orphan that ends with the way it came in: token_set_way() */
    const char *accessor;
    const char *display_name;    /* "token-ci" */
    const char *entity_id;       /* "" */
    const char *path;            /* "auth/token/create" */
    const char *role;            /* of auth/token it was made with, or the user or role who logged in */
    const char *const *policies; /* sorted, unique */
    size_t n_policies;
    struct kt_bytes meta;        /* JSON object text, or "null" */
    struct string_list bound_cidrs; /* where it may be used from; none: from anywhere */
    int64_t role_max_ttl_s;      /* the most that its role or user gave; 0: no such bound */
    int64_t created_ms, expires_ms;  /* expires 0: never */
    int64_t creation_ttl_s, explicit_max_ttl_s, period_s;
    int64_t last_renewal_ms;     /* 0: never */
    int64_t num_uses;            /* left; 0: unlimited */
    bool renewable, is_root;
    bool wraps;                  /* good for one wrapped answer alone: vaultd/auth/wrapping.h */
    bool revoked;                /* kept only until a job has made its children orphans */
    generation changed;          /* of the record that was read */
};

/* The identity that ledgers and acknowledgements stand on: the entity, else the accessor. */
const char *token_identity(const struct token *token);

/* KT_DENIED for every kind of no. */
enum kt_kind token_find(struct core *core, struct snapshot *snapshot, struct kt_bytes text,
                        int64_t now_ms, const struct token **ret, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind token_find_hash(struct core *core, struct snapshot *snapshot,
                             const unsigned char hash[32], int64_t now_ms,
                             const struct token **ret, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind token_find_accessor(struct core *core, struct snapshot *snapshot,
                                 const char *accessor, int64_t now_ms, const struct token **ret,
                                 struct kt_err *err) KT_MUST_CHECK;

/* A token that somebody got who logged in: it is refused from the moment that the mount of this scope is
 * not there any more, and a job ends it. */
void token_set_way(struct token *token, const unsigned char scope[BARRIER_SCOPE]);
/* Of a token that logged in: where. */
void token_way(const struct token *token, unsigned char scope[BARRIER_SCOPE]);
/* Whether the token may be used from there. "" is nowhere: who came by the Unix socket has no address.
 * A root token that never expires is not bound, as in Vault: nobody locks himself out. */
bool token_address_fits(const struct token *token, const char *address);

/* The generation that changed the record last; 0: there is none. Its ancestors and its time are not
 * looked at. */
generation token_generation(struct snapshot *snapshot, const unsigned char hash[32]);

/* Keeps this token where it is while others are looked up on this thread; NULL ends that. For the
 * pipeline, which pins the request's own. */
void token_pin(struct core *core, const struct token *token);

/* Puts a new token and its indexes into batch. `text` empty: one is made and appended to ret_text.
 * Sets token->hash, accessor (from arena). That the parent is still as it was looked at is the
 * caller's condition. */
enum kt_kind token_create(struct core *core, struct kt_arena *arena, struct batch *batch,
                          struct token *token, struct kt_bytes text, struct kt_buf *ret_text,
                          struct kt_err *err) KT_MUST_CHECK;
/* A root token, without an end: at init, and when the holders of key shares agree on one. */
enum kt_kind token_create_root(struct core *core, struct kt_arena *arena, struct batch *batch,
                               struct kt_buf *ret_text, struct kt_err *err) KT_MUST_CHECK;
/* Rewrites the record (renewal, use count), on condition that it is still the one that was read. */
enum kt_kind token_update(struct core *core, struct batch *batch, const struct token *old,
                          const struct token *new_, struct kt_err *err) KT_MUST_CHECK;
/* Ends a token with all that hangs from it; keep_children: they become orphans. TOKEN_END_COSTS operations. The
 * answer that waits with a wrapping token goes in the same commit. */
#define TOKEN_END_COSTS 7u
#define TOKEN_DUE_KEY   25u /* a row of the tokens that end by their time */
enum kt_kind token_end(struct core *core, struct batch *batch, const struct token *token,
                       bool keep_children, struct kt_err *err) KT_MUST_CHECK;

/* ---- for the core ---- */
/* Before the first commit: it follows what changes a token. */
struct tokens *tokens_new(struct store *store);
void tokens_free(struct tokens *tokens);

struct job_step;
/* Ends tokens whose time has come, as long as there is room; *ret_more: there are others. */
enum kt_kind token_due(struct job_step *step, bool *ret_more, struct kt_err *err) KT_MUST_CHECK;
/* Where n steps side by side begin that end so many tokens each, in the order of the keys; a share for which
 * nothing is due begins behind all of them. */
void token_due_shares(struct snapshot *snapshot, int64_t life_ms, unsigned each,
                      unsigned char starts[][TOKEN_DUE_KEY], unsigned n);
bool token_any_due(struct snapshot *snapshot, int64_t life_ms);
/* Ends tokens that logged in through a mount, as long as there is room; *ret_all: none is left. */
enum kt_kind token_way_closed(struct job_step *step, const unsigned char scope[BARRIER_SCOPE],
                              bool *ret_all, struct kt_err *err) KT_MUST_CHECK;
/* Children and cubbyhole of an ended token, then the record if it was kept. */
enum kt_kind token_job(struct job_step *step, struct kt_bytes subject, struct kt_err *err)
    KT_MUST_CHECK;
