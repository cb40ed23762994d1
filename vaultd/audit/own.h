/* vaultd/audit/own.h - the inside of struct audit, for audit.c, open.c and keeper.c. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "lib/secret.h"
#include "vaultd/audit/audit.h"
#include "vaultd/audit/devices.h"
#include "vaultd/audit/log.h"
#include "vaultd/audit/notes.h"
#include "vaultd/audit/outcome.h"
#include "vaultd/audit/plain.h"
#include "vaultd/audit/record.h"

#define AUDIT_MAGIC 0x61756469u

struct audit {
    uint32_t magic;
    struct store *store;
    const struct kt_clock *clock;
    int64_t sync_ms, checkpoint_ms;
    void (*broken)(void *arg, const char *what); /* may be NULL */
    void *broken_arg;

    struct kt_keyslab *slab;
    unsigned char *record_key, *hmac_key; /* in slab */
    struct audit_hasher *hasher;
    struct kt_secret *sign_key;           /* 64 bytes, libsodium's form */
    struct audit_sealer sealer;
    struct kt_note_key note_key;          /* its name is the origin */

    struct audit_log *log;
    struct audit_devices *devices;
    size_t n_devices;

    pthread_mutex_t check_lock; /* one maker of checkpoints at a time; taken before others */
    struct audit_notes notes;
    bool has_notes;

    /* the store thread's: no allocation while a record is copied */
    struct kt_buf outcome, outcome_line;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by lock */
    bool stop, woken;
    unsigned commits;               /* checkpoints on their way into the store */
    enum store_error commit_error;  /* of the last one */
    generation told;                /* outcomes up to here may leave the store */
    pthread_t keeper;
    bool has_keeper;
};

/* ---- keeper.c ---- */
enum kt_kind audit_keeper_start(struct audit *audit, struct kt_err *err) KT_MUST_CHECK;
void audit_keeper_stop(struct audit *audit);
void audit_keeper_wake(struct audit *audit);
/* Syncs the log and tells the store which outcomes it may drop. */
enum kt_kind audit_sync_now(struct audit *audit, struct audit_synced *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* Syncs, signs what is new, keeps it and sends it to the store; out may be NULL. */
enum kt_kind audit_checkpoint_now(struct audit *audit, struct kt_buf *out, struct kt_err *err)
    KT_MUST_CHECK;
/* Until the store has answered for every checkpoint sent; what it said of the last. */
enum store_error audit_commits_wait(struct audit *audit);

/* ---- audit.c ---- */
/* Copies one outcome into the log; the room was promised. KT_CONFLICT: it is there already. */
enum kt_kind audit_copy_outcome(struct audit *audit, struct kt_bytes sealed,
                                struct audit_mark mark, struct kt_err *err) KT_MUST_CHECK;
void audit_free(struct audit *audit, bool clean);

/* ---- the newest checkpoint, in the store ---- */
#define AUDIT_CHECKPOINT_KEY "newest"
#define AUDIT_CHECKPOINT_FORMAT 1u /* u8 format ‖ i64 ms ‖ note */
