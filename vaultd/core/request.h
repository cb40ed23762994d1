/* vaultd/core/request.h - one request, from whoever makes it to its answer.
 *
 * What:    HTTP, the Unix socket, the vault's own timers and the tests all fill in a struct request
 *          and hand it to pipeline_run(); nothing reaches a handler another way.
 * Owner:   request_init() .. request_free() by whoever made it. Everything in it lives in its arena
 *          (wiped at the end) or is borrowed from the origin until then.
 * Handler: looks at req->snapshot, writes its answer into req->reply and its changes into
 *          req->batch (request_batch()), and returns KT_OK; or returns an error. It has no other
 *          effect, so the pipeline may call it again from a new snapshot when its conditions no
 *          longer held. When the batch has operations, the pipeline commits it together with the
 *          request's outcome and answers after that; else it answers at once.
 * Waiting: a handler that has nothing to say yet calls request_wait() and returns KT_OK; when woken,
 *          the whole pipeline runs again (seal, token and policy are checked anew).
 * Threads: one thread at a time; which one may change across a wait or a commit. */
#pragma once

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/jsonw.h"
#include "lib/log.h"
#include "vaultd/audit/audit.h"
#include "vaultd/barrier/barrier.h"
#include "vaultd/store/store.h"

struct core;
struct string_list;
struct engine;
struct identity;
struct mount;
struct route;
struct token;
struct request;

enum operation {
    OP_NONE = 0,
    OP_READ = 1 << 0,
    OP_LIST = 1 << 1,
    OP_CREATE = 1 << 2, /* a write to what does not exist yet, where the route can tell */
    OP_UPDATE = 1 << 3,
    OP_PATCH = 1 << 4,
    OP_DELETE = 1 << 5,
    OP_HELP = 1 << 6,
    OP_HEAD = 1 << 7  /* no capability grants it: it is for the public status paths */
};
const char *operation_name(enum operation op); /* "read" ... */

enum request_origin {
    ORIGIN_TCP,
    ORIGIN_UNIX,
    ORIGIN_INTERNAL /* the vault's own timers: no token; only request_internal() makes these */
};

/* How the pipeline stops and continues its carrier. suspend() is called on the carrier's thread
 * before the request is handed to another one; resume() may come from any thread, once per
 * suspend, perhaps before the call that suspended has returned; afterwards the carrier calls
 * pipeline_run() again. */
struct request_carrier {
    void (*suspend)(struct request *req);
    void (*resume)(struct request *req);
    /* Whether nobody is there any more to hear the answer of a suspended request, as far as the kernel
     * knows. May be NULL: there always is. */
    bool (*gone)(const struct request *req);
};

enum reply_form {
    REPLY_ENVELOPE, /* Vault's envelope around data/auth; 204 when there is nothing to say */
    REPLY_BARE,     /* data is the whole body */
    REPLY_RAW       /* data is the whole body, of reply.content_type */
};
#define REPLY_WARNINGS_MAX 8
struct reply {
    unsigned status; /* 0: 200, or 204 when there is neither data nor auth nor warnings */
    enum reply_form form;
    struct kt_buf data; /* the JSON value of "data", or the body */
    struct kt_buf auth; /* the JSON value of "auth"; empty: null */
    const char *content_type; /* REPLY_RAW */
    const char *lease_id;     /* NULL: "" */
    int64_t lease_duration_s;
    bool renewable;
    const char *warnings[REPLY_WARNINGS_MAX];
    unsigned n_warnings;
    const struct audit_wrap *wrap; /* "wrap_info": the answer waits for a wrapping token; NULL: null */
    struct kt_bytes secret_token; /* a token text inside auth, for the audit record's HMAC */
    struct kt_bytes key; /* where it is the same, so is data; empty: nobody knows. For the audit log */
    unsigned retry_after_s;
    bool explains; /* data goes along with a KT_INVALID, or with a KT_UNKNOWN: what may be committed now
                    * and is of no use if nobody is told (new key shares) */
};

/* What a quota leaves to the client, for the X-Ratelimit-* lines of the answer. */
struct request_limit {
    bool told;
    unsigned limit, remaining, reset_s;
};

#define REQUEST_PARAMS_MAX 4
struct request_param {
    const char *name;  /* from the route's pattern */
    const char *value; /* NUL-terminated, decoded */
};

/* The groups of a process, its first one at 0. */
struct peer_groups {
    size_t n;
    uint32_t at[];
};

/* Certificates that a TLS client sends along, its own first. */
#define CLIENT_CHAIN_MAX 8u

#define REQUEST_MAGIC 0x72657131u
struct request {
    uint32_t magic;
    struct core *core;
    struct kt_arena arena;

    /* ---- set by the origin before pipeline_run() ---- */
    enum request_origin origin;
    const struct request_carrier *carrier;
    void *carrier_data;
    struct kt_bytes method;    /* "GET", as sent */
    struct kt_bytes target;    /* path of the request line, percent-encoded, with its "/v1/" */
    struct kt_bytes query;     /* after '?', raw; empty: none */
    struct kt_bytes body;
    bool body_too_large;
    struct kt_bytes token_text;
    struct kt_bytes ns;           /* X-Vault-Namespace */
    struct kt_bytes wrap_ttl;     /* X-Vault-Wrap-TTL; at NULL: absent */
    struct kt_bytes content_type; /* at NULL: absent */
    struct kt_bytes request_key;  /* X-Keyturn-Request-Id; at NULL: absent */
    const char *refusal;          /* the origin refuses it with this text: a header rule was broken ... */
    unsigned refusal_status;      /* 0: 400 */
    char remote_address[64];
    uint16_t remote_port;
    uint32_t peer_uid; /* ORIGIN_UNIX, as when it connected; UINT32_MAX: not known */
    const struct peer_groups *peer_groups; /* the same, the connection's; NULL: not known */
    bool tls;
    bool forwarded; /* somebody says that it is another one's: what is known of the connection is his */
    const struct kt_bytes *chain; /* the client's certificates, DER, the connection's: it has the first one's
                                   * key, nothing else is verified */
    size_t n_chain;

    /* ---- filled by the pipeline ---- */
    char id[37];            /* UUID; the envelope's and the audit log's */
    int64_t now_ms;         /* wall time of this pass */
    int64_t life_ms;        /* what tokens are born, end and age by: the wall clock, or where that was set back the
                             * steady one; it goes back only where the wall clock was set ahead and right again */
    int64_t received_mono_ms;
    enum operation op;
    const char *path;       /* canonical, without "/v1/", decoded; no leading slash */
    size_t path_len;
    const char *other_path; /* as long, what its row takes for the same: policies are asked about both; NULL:
                             * none. path is the one that counts */
    const struct mount *mount;    /* NULL for an unknown one */
    const char *rest;             /* path behind the mount's */
    const struct route *route;
    struct request_param params[REQUEST_PARAMS_MAX];
    unsigned n_params;
    const struct token *token;    /* NULL on public routes */
    const struct identity *identity; /* the token's entity, or the one that this login is of; NULL: none.
                                      * A reference, the request's */
    struct snapshot *snapshot;
    struct kt_json data;          /* the body's object (or the query's, made into one); checked */
    bool has_data;
    int64_t wrap_ttl_s;           /* the answer is to be wrapped for so long; -1: it is not */
    bool sudo;                    /* the deciding policy grants sudo on this path */
    const struct string_list *told; /* keys of the data that the audit log has in clear, instead of the
                                   * mount's; NULL: none */
    const char *destination;      /* a canonical path to which a handler puts what the path names; for the
                                   * audit log, where it is as clear as the path; NULL: none */
    const char *report;           /* of a run that this request ends: for the audit log, before the commit;
                                   * NULL: none */
    struct batch *batch;
    struct reply reply;
    struct request_limit limit;

    /* ---- for handlers that need more than one pass ---- */
    unsigned attempt; /* 0 first; grows by one each time conditions failed */
    unsigned wakes;   /* how often a wait ended */
    int64_t wait_deadline_ms; /* monotonic; 0: not waiting */
    void *handler_data; /* arena memory that survives waits; NULL at first */
    /* Called on the pipeline's thread after each commit, result->error says how it went; a batch that
     * was dropped before it was tried is told as STORE_BUSY. After a conflict the handler runs again.
     * May change the reply. Set by a handler together with its batch. */
    void (*after_commit)(struct request *req, const struct commit_result *result);
    ring_change staged; /* of the keyring, which after_commit settles */

    /* Set by a handler that returned KT_OK: blocking work (init, unseal, seal, a checkpoint) that
     * runs on the core's desk thread, outside of barrier and snapshot, after the attempt's record and
     * the commit of the batch, if there is one; it fills in the reply, and its result is recorded
     * then. defer_seals: nothing can be recorded after it, so that it succeeds is recorded before. */
    enum kt_kind (*defer)(struct request *req, struct kt_err *err);
    bool defer_seals;
    /* It takes long (many commits): it runs on a thread of its own, so that sealing and key shares, which
     * the desk does, do not wait behind it. */
    bool defer_long;
    /* Set by what was deferred, and succeeded: the handler runs again, with what was found out in
     * handler_data, to commit it. Only where no token is used up (struct route, open). */
    bool defer_again;

    struct request_private *own; /* the pipeline's */
};

/* ---- for handlers ---- */
/* The batch for this request's changes, made at the first call. NULL only out of memory: return
 * kt_fail(err, KT_NO_MEMORY, ...). */
struct batch *request_batch(struct request *req);
/* Room for an answer of so many bytes, so that what is done can be told. False: no memory. */
bool request_reserve(struct request *req, size_t bytes);
/* The decoded part of the path that {name} in the route's pattern stands for; "" if it has none. */
const char *request_param(const struct request *req, const char *name);
/* A sentence in the answer's "warnings": cut at 511 bytes, dropped beyond REPLY_WARNINGS_MAX. */
void request_warn(struct request *req, const char *format, ...) KT_PRINTF(2, 3);
/* Wait until wait_list_wake() or until the monotonic deadline. Before it the handler may run again with
 * nothing new, when policies, mounts or the token changed. Returns KT_OK next. */
struct wait_list;
void request_wait(struct request *req, struct wait_list *list, int64_t deadline_mono_ms);
/* It did so in this pass, or goes aside: it runs again. */
bool request_waits(const struct request *req);
/* The handler runs again only because time passed: no list was woken since it last asked to wait. */
bool request_quiet(const struct request *req);
/* Who asks, as he is counted against floods: an address (a /64 of IPv6), a user of the Unix socket. */
#define REQUEST_SOURCE 64u
void request_source(const struct request *req, char out[REQUEST_SOURCE]);
/* For a read that turned out to be long: true: say nothing, return KT_OK next; the handler runs again
 * from the start on a thread where it holds nobody up. False: it is there already, go on. */
bool request_aside(struct request *req);

/* ---- typed fields of the body or query (weakly typed, as Vault's) ----
 * Absent (or null): KT_NOT_FOUND and *ret untouched, no error text. Wrong type: KT_INVALID with a
 * text that names the field and never its value. */
enum kt_kind request_string(struct request *req, const char *name, const char **ret,
                            struct kt_err *err);
enum kt_kind request_int(struct request *req, const char *name, int64_t *ret, struct kt_err *err);
/* Decimal, perhaps with a fraction or an exponent. */
enum kt_kind request_number(struct request *req, const char *name, double *ret, struct kt_err *err);
enum kt_kind request_bool(struct request *req, const char *name, bool *ret, struct kt_err *err);
/* Seconds, "1h30m", "30d". Negative: KT_INVALID. */
enum kt_kind request_duration_s(struct request *req, const char *name, int64_t *ret,
                                struct kt_err *err);
struct string_list {
    const char **at;
    size_t n;
};
/* comma: a string is split at commas (Vault's comma-string-list); else it is one element. At most 4096
 * items. */
enum kt_kind request_list(struct request *req, const char *name, bool comma,
                          struct string_list *ret, struct kt_err *err);
enum kt_kind request_int_list(struct request *req, const char *name, int64_t **ret, size_t *ret_n,
                              struct kt_err *err);
/* kv-pairs: object of strings, array of "k=v", or "k=v": as a JSON object text of strings. */
enum kt_kind request_pairs(struct request *req, const char *name, struct kt_bytes *ret,
                           struct kt_err *err);
/* The raw member. KT_NOT_FOUND when absent. */
enum kt_kind request_member(struct request *req, const char *name, struct kt_json *ret);

/* ---- rights on other paths than the request's own ----
 * For the handler of a row that asks for a policy, of a request that touches more than one path. */
struct request_right {
    bool granted; /* whatever is sent: no condition on parameters or wrapping stands beside it */
    bool partly;  /* at least to some requests */
    bool denied;  /* by a pattern that denies, not for want of one */
};
struct request_right request_right(struct request *req, enum operation op, const char *path);
/* KT_DENIED where it is not granted, as the pipeline refuses; the audit log has the rule that decided. */
enum kt_kind request_also(struct request *req, enum operation op, const char *path,
                          struct kt_err *err) KT_MUST_CHECK;

/* What the path names is found by another spelling than the typed one: a pattern that decides this path has to
 * allow this very request, too. KT_DENIED as above. */
enum kt_kind request_spelled(struct request *req, const char *path, struct kt_err *err) KT_MUST_CHECK;

/* ---- approvals (vaultd/approval/) ----
 * What the request changes, as a canonical path of that thing, whatever row it was asked by: the rules of
 * approval look at it as they look at the request's own path and at those of request_also(). below: and all
 * below it. For whoever writes what somebody may want approved, or what approvals stand on. */
void request_changes(struct request *req, const char *path, bool below);

/* ---- vaultd's own log ----
 * A line (lib/log.h) about what is in the batch: written once, when that is committed; never of what was
 * dropped, or tried again, or waits for approval instead. event: static. */
void request_log(struct request *req, enum kt_log_level level, const char *event, const char *format, ...)
    KT_PRINTF(4, 5);

/* ---- records ---- */
/* Where a list reads something of each of thousands and keeps nothing of it: from here to the end the request's
 * memory is another one, as large. The end wipes it and gives `keep`, which may live in it, as a copy that stays;
 * NULL: out of memory, or it was NULL. In between nothing is put into the answer (request_warn(), request_log()). */
void request_scratch_begin(struct request *req, struct kt_arena *ret_kept);
const char *request_scratch_end(struct request *req, const struct kt_arena *kept, const char *keep);

/* barrier_get() from the request's snapshot into arena memory. KT_NOT_FOUND comes without a text, as
 * Vault's 404 does: who knows what is missing says it. */
enum kt_kind request_record(struct request *req, struct kt_bytes key, struct kt_bytes *ret,
                            generation *ret_changed, struct kt_err *err);

/* A time of that clock as the wall's has it now, for people; 0 stays 0. */
static inline int64_t request_wall_time(const struct request *req, int64_t life_ms)
{
    return life_ms == 0 ? 0 : life_ms - req->life_ms + req->now_ms;
}

/* ---- for origins ---- */
void request_init(struct request *req, struct core *core, enum request_origin origin,
                  const struct request_carrier *carrier, void *carrier_data);
void request_free(struct request *req);
/* The vault's own work: runs fn through audit, commit and retry as a request without a token, named
 * operation "update" on `path` ("rotation/runs/ID/step"), recorded with display name "keyturn".
 * Blocks until done: never on an HTTP or the store thread. fn is a handler: req->handler_data is
 * arg; it may run more than once. Returns the handler's or the commit's error. */
typedef enum kt_kind handler_fn(struct request *req, struct kt_err *err);
enum kt_kind request_internal(struct core *core, const char *path, handler_fn *fn, void *arg,
                              struct kt_err *err) KT_MUST_CHECK;
/* Several such requests: each begins before the first has to be done, so they share commits. Fills in
 * kind and err of each; blocks until all are done. */
struct internal_request {
    const char *path;
    handler_fn *fn;
    void *arg;
    enum kt_kind kind;
    struct kt_err err;
};
void request_internal_all(struct core *core, struct internal_request *requests, size_t n);
