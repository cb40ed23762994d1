/* vaultd/barrier/inside.h - the barrier's own state, for the files of this folder only.
 *
 * State:   SEALED -> INITIALIZING -> SEALED            barrier_init(), barrier_init_done()
 *          SEALED -> EARLY -> OPEN -> EARLY -> SEALING -> SEALED   the last share, barrier_admit(),
 *          barrier_close(), barrier_seal(), which any state but the first may skip to
 *          `lock` guards all that is marked; whoever is inside the gate may read `ring` without it,
 *          since it is set before the gate is raised and wiped after the gate was closed. Nobody
 *          waits for the gate with the lock held. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "lib/clock.h"
#include "lib/uuid.h"
#include "vaultd/barrier/barrier.h"
#include "vaultd/barrier/ceremony.h"
#include "vaultd/barrier/entry.h"
#include "vaultd/barrier/gate.h"
#include "vaultd/barrier/gather.h"
#include "vaultd/barrier/keyring.h"
#include "vaultd/barrier/seal_record.h"

#define UNSEAL_ATTEMPT_MS ((int64_t)10 * 60 * 1000)

enum barrier_state {
    BARRIER_SEALED,
    BARRIER_INITIALIZING,
    BARRIER_EARLY, /* the keys are here, the audit log is being opened */
    BARRIER_OPEN,
    BARRIER_SEALING
};

struct unseal_attempt {
    struct kt_secret *shares; /* seal.threshold * SHAMIR_SHARE_BYTES; NULL: no attempt */
    unsigned count;
    int64_t touched_ms; /* monotonic, of the newest share */
    char nonce[KT_UUID_TEXT];
};

enum ceremony_state {
    CEREMONY_NONE,
    CEREMONY_GATHERING,  /* shares of the current key */
    CEREMONY_AGREED,     /* they were right; what follows can be claimed, or handed out */
    CEREMONY_VERIFYING,  /* the new shares were handed out, and are gathered */
    CEREMONY_VERIFIED,   /* they came back; the commit can be claimed */
};
struct ceremony {
    enum ceremony_state state;
    bool claimed; /* AGREED or VERIFIED: a request is about to commit it */
    char nonce[CEREMONY_NONCE], verify_nonce[CEREMONY_NONCE];
    struct ceremony_plan plan; /* its pad is in `pad` */
    struct gather gather;
    struct kt_secret *pad;       /* ROOT */
    struct seal_record proposed; /* REKEY: claimed, handed out or later */
    int64_t begun_ms, touched_ms; /* monotonic; of the ceremony, of the newest share */
};

struct barrier {
    struct store *store;
    const struct kt_clock *clock;
    const struct entry_format *extra_format;
    struct gate gate;
    struct keyring *ring; /* NULL while sealed */
    atomic_bool initialized;

    pthread_mutex_t lock;
    pthread_cond_t sealed;    /* SEALING ended */
    enum barrier_state state; /* guarded by lock, as all below */
    ring_change change;       /* the newest; the ring has it staged, or it is over */
    struct seal_record seal;  /* zero before init */
    char opened_by[KT_CREDENTIAL_NAME]; /* the further seal that opened it; "": shares, or nothing */
    struct unseal_attempt attempt;
    unsigned failed_attempts;
    struct ceremony ceremonies[CEREMONY_KINDS];
};

/* The FIXED keys of TABLE_BARRIER. */
struct kt_bytes barrier_seal_key(void);
struct kt_bytes barrier_keyring_key(void);

/* Reads the seal record into barrier->seal. KT_NOT_FOUND: the vault is not initialised. Needs lock.
 */
enum kt_kind barrier_read_seal(struct barrier *barrier, struct kt_err *err) KT_MUST_CHECK;
/* Closes the gate, waits, wipes; also waits for another thread that is doing so. Without lock. */
void barrier_shut(struct barrier *barrier);
/* Forgets the shares of an attempt that was left alone for too long. Needs lock. */
void unseal_expire(struct barrier *barrier);
void unseal_forget(struct barrier *barrier);
/* The keyring with the root key, and EARLY. by: the further seal, or "". Needs lock, and SEALED. */
enum kt_kind unseal_with(struct barrier *barrier, const struct kt_secret *root, const char *by,
                         struct kt_err *err) KT_MUST_CHECK;
/* The seal record of the snapshot, and when it was changed. */
enum kt_kind seal_stored(struct snapshot *snapshot, struct seal_record *ret, generation *ret_changed,
                         struct kt_err *err) KT_MUST_CHECK;
/* In its place, on condition that what stands there is of that change. */
enum kt_kind seal_replace(const struct seal_record *seal, generation changed, struct batch *batch,
                          struct kt_err *err) KT_MUST_CHECK;
/* Wipes all ceremonies. Needs lock. */
void ceremonies_forget(struct barrier *barrier);
enum kt_kind barrier_store_failed(enum store_error error, const char *doing, struct kt_err *err);
/* Anew, from the randomness that keys come from. */
void uuid_random(unsigned char out[KT_UUID_BYTES]);

/* Test seams: before threads start. The clock is the system's unless set. */
void barrier_set_clock(struct barrier *barrier, const struct kt_clock *clock);
void barrier_add_format(struct barrier *barrier, const struct entry_format *extra);

static inline void snapshot_end_at(struct snapshot **snapshot)
{
    snapshot_end(*snapshot);
}
#define auto_snapshot __attribute__((cleanup(snapshot_end_at)))
