/* vaultd/audit/audit.h - the append-only log of everything that was asked, and what became of it.
 *
 * What:    Sealed records in segments below DATA/audit/f<fence>/, leaf hashes of an RFC 6962 Merkle
 *          tree beside them in clear, signed checkpoints (C2SP tlog-checkpoint), and clear copies to
 *          the configured devices. A record is a JSON line; its exact bytes are the leaf.
 * Order:   What has no effect writes one record before its answer. What has an effect writes an
 *          attempt before, and its outcome in the store transaction of the effect; the outcome is
 *          copied into the log on the store thread, in (generation, place) order, before the answer.
 * Promise: An append returns once the record is in the operating system's hands: a crash of vaultd
 *          loses none. The log is synced at least every second while it grows, beside the path. Each
 *          commit's head witnesses the log's last synced size and root.
 * Owner:   audit_open() at unseal, audit_close() at seal and stop.
 * Threads: appends: any thread. audit_outcome_*(): only the store thread.
 * Errors:  every append that fails means: do not proceed, answer 500/503. Fail-closed.
 * Source:  RFC 6962 section 2.1; C2SP tlog-checkpoint and signed-note. */
#pragma once

#include "lib/clock.h"
#include "vaultd/barrier/barrier.h"

struct audit;

struct audit_device_config {
    const char *name; /* "file" */
    const char *type; /* "file" */
    const char *path;
    int64_t timeout_ms; /* how long a request waits for it */
};
struct audit_config {
    const char *folder;  /* the data folder */
    const char *origin;  /* "keyturn/<cluster name>"; the checkpoint's origin is origin/f<fence> */
    const struct audit_device_config *devices;
    size_t n_devices;
    uint64_t fence;
    int64_t sync_ms;        /* 1000 */
    int64_t checkpoint_ms;  /* 10000 */
    bool accept_rollback;   /* operator unseal -accept-rollback: begin a new history */
    size_t segment_bytes;   /* of a new log; 0: 8 MiB */
    /* Called once, on the log's thread, when the log stopped for good (a sync failed: what the kernel
     * dropped cannot be known): every request is refused from now on, so the process should end. */
    void (*broken)(void *arg, const char *what);
    void *broken_arg;
};

/* Opens or creates the log, checks it against the store's head (rollback), cuts a torn tail at the
 * first record that does not open, refills missing outcomes from the store, writes a recovery
 * record, sets the store's witness and starts the sync thread. Called with barrier_enter_early()
 * held, on a thread that may block. KT_PRECONDITION: something old was put back; the text names
 * both states and the ways on. */
enum kt_kind audit_open(const struct audit_config *config, struct barrier *barrier,
                        struct store *store, const struct kt_clock *clock, struct audit **ret,
                        struct kt_err *err) KT_MUST_CHECK;
/* Final sync and checkpoint (committed to the store), then wipes its keys. NULL is fine. */
void audit_close(struct audit *audit);

/* ---- what is recorded ---- */
struct audit_auth {
    struct kt_bytes token;      /* text; recorded as HMAC */
    const char *accessor;       /* recorded as HMAC */
    const char *display_name, *entity_id;
    const char *const *policies;          /* the token's own; sorted */
    size_t n_policies;
    const char *const *identity_policies; /* its entity's, with those of its groups; sorted */
    size_t n_identity_policies;
    struct kt_bytes meta;       /* JSON object text or empty; recorded in clear */
    int64_t expires_ms;         /* 0: never */
    /* Two auths whose hash, changed and identity_at are the same say the same in all of the above, which
     * is then written once a thread; changed 0: nobody knows. */
    unsigned char hash[32];
    uint64_t changed, identity_at;
};
/* What an answer's "wrap_info" says; tokens and accessors are recorded as HMACs. */
struct audit_wrap {
    struct kt_bytes token;        /* the wrapping token's text */
    const char *accessor;         /* its accessor */
    int64_t ttl_s, created_ms;
    const char *creation_path;    /* canonical, without /v1/ */
    const char *wrapped_accessor; /* of the token inside; NULL: there is none */
};
/* How the policies decided, and which of them. */
#define AUDIT_DECIDERS_MAX 8u
struct audit_ruling {
    bool allowed;
    const char *names[AUDIT_DECIDERS_MAX]; /* those that grant it; of a refusal, those that refuse it */
    size_t n_names;
    const char *pattern, *why; /* of a refusal: the pattern that decided (NULL: none), and the reason */
};
/* Keys whose values an operator wants in clear: a string is, whose nearest key is one of them. */
struct audit_keys {
    const char *const *at;
    size_t n;
};
struct audit_event {
    const char *type;           /* "request": an attempt; "response": with its result */
    const char *request_id;
    int64_t time_ms;
    const char *operation;      /* "read", "update", ... */
    const char *path;           /* canonical, without /v1/ */
    const char *destination;    /* where what the path names is put: a canonical path too; NULL: nowhere */
    const char *approval;       /* the id of the request that waited for approval and is carried out; NULL: none */
    const char *approved_by;    /* beside it: who approved it */
    const char *report;         /* of the run that it ends: its id, and two hashes; NULL: none */
    const char *mount_point, *mount_type;   /* may be NULL */
    const char *remote_address;             /* may be NULL */
    unsigned remote_port;
    const struct audit_auth *auth;          /* NULL: unauthenticated */
    const struct audit_ruling *ruling;      /* NULL: no policy was asked; only beside auth */
    struct kt_bytes request_data;   /* JSON object or empty; each string is recorded as HMAC */
    size_t data_max;                /* longer request_data is one HMAC of its text; 0: what fits */
    struct kt_bytes response_data;  /* the same */
    struct kt_bytes response_key;   /* where it is the same, response_data is; empty: nobody knows */
    struct audit_keys clear_request, clear_response; /* keys in the data above that stay in clear */
    unsigned status;                /* HTTP status; 0 in an attempt */
    const char *error;              /* NULL: none */
    struct kt_bytes wrapped;        /* token text handed out in auth; HMAC; or empty */
    int64_t wrap_ttl_s;             /* the answer is to be wrapped for so long; 0: it is not */
    const struct audit_wrap *wrap;  /* in an outcome: the answer was wrapped; NULL: it was not */
};
enum kt_kind audit_append(struct audit *audit, const struct audit_event *event,
                          struct kt_err *err) KT_MUST_CHECK;

/* The short record that goes into the store with the effect; sealed, for batch_outcome(). Without
 * data: id, time, accessor, entity, operation, path, status. */
enum kt_kind audit_outcome_seal(struct audit *audit, const struct audit_event *event,
                                struct kt_buf *out, struct kt_err *err) KT_MUST_CHECK;
/* On the store thread, in the completion of the batch that carried it (result->error STORE_OK).
 * Never fails for want of room: room for what is in flight was reserved by audit_outcome_seal(). A
 * batch that did not apply gives its reservation back. */
void audit_outcome_done(struct audit *audit, struct kt_bytes sealed,
                        const struct commit_result *result);

/* "hmac-sha256:<hex>" of a text with the log's key; out holds AUDIT_HMAC_TEXT bytes. */
#define AUDIT_HMAC_TEXT (12u + 64u + 1u)
void audit_hmac(struct audit *audit, struct kt_bytes text, char out[AUDIT_HMAC_TEXT]);

/* ---- proofs and export (sys/audit-log/) ---- */
struct audit_status {
    uint64_t size, synced_size;
    unsigned char root[32];
    char public_key[256]; /* name+hex8+base64, KT_NOTE_KEY_TEXT */
    char origin[128];
    uint64_t bytes;
    unsigned devices, devices_failing;
};
void audit_status(struct audit *audit, struct audit_status *ret);
/* Syncs, then signs a checkpoint of what is synced; the signed note into out. It also is stored
 * under TABLE_CHECKPOINT (asynchronously). May block: not on an HTTP thread. */
enum kt_kind audit_checkpoint(struct audit *audit, struct kt_buf *out, struct kt_err *err)
    KT_MUST_CHECK;
/* The newest signed checkpoint already made; never blocks. KT_NOT_FOUND before the first. */
enum kt_kind audit_last_checkpoint(struct audit *audit, struct kt_buf *out, struct kt_err *err)
    KT_MUST_CHECK;
/* Records [from, to) opened: each JSON line and '\n' appended to out, until to or until max_bytes;
 * *ret_next is where to go on. */
enum kt_kind audit_export(struct audit *audit, uint64_t from, uint64_t to, size_t max_bytes,
                          struct kt_buf *out, uint64_t *ret_next, struct kt_err *err)
    KT_MUST_CHECK;
/* Leaf hashes [from, to), 32 bytes each; all stored checkpoints, concatenated notes. */
enum kt_kind audit_leaves(struct audit *audit, uint64_t from, uint64_t to, struct kt_buf *out,
                          struct kt_err *err) KT_MUST_CHECK;
enum kt_kind audit_checkpoints(struct audit *audit, struct kt_buf *out, struct kt_err *err)
    KT_MUST_CHECK;
/* Proof hashes, 32 bytes each, RFC 6962 2.1.1 and 2.1.2. */
enum kt_kind audit_inclusion(struct audit *audit, uint64_t index, uint64_t size,
                             struct kt_buf *out, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind audit_consistency(struct audit *audit, uint64_t old_size, uint64_t size,
                               struct kt_buf *out, struct kt_err *err) KT_MUST_CHECK;
/* SIGHUP: devices are opened anew (rotated files). Waits for each at most its timeout. */
void audit_reopen(struct audit *audit);
