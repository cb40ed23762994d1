/* vaultd/core/core.h - the vault as one object: what main() makes and everything hangs from.
 *
 * Owner:   core_new() gives one, core_free() ends it.
 * Threads: the fields are set before threads start and stay; `audit` comes and goes with unsealing
 *          and is valid between barrier_enter() and barrier_leave(). */
#pragma once

#include "lib/clock.h"
#include "vaultd/audit/audit.h"
#include "vaultd/barrier/barrier.h"
#include "vaultd/core/engine.h"
#include "vaultd/core/wait.h"
#include "vaultd/store/store.h"

struct identities;
struct mounts;
struct request;
struct logins;
struct tokens;
struct upkeep;
struct policies;
struct revoker;
struct rotation;
struct fleet;
struct spawner;
struct rotation_executor;
struct notify_channels;

struct core_config {
    const char *cluster_name;
    const char *data_folder;    /* for the audit log; NULL with inmem: a folder must be given */
    const char *storage_type;   /* "lmdb", "inmem" */
    const char *listeners;      /* for sys/config/state: a JSON array without secrets; NULL: [] */
    const struct audit_device_config *devices;
    size_t n_devices;
    const char *worker_path;    /* vaultd-worker's */
    struct spawner *spawner;    /* may be NULL: rotation with a target is refused */
    const struct rotation_executor *executor; /* instead of the spawner, in tests; NULL: none */
    const struct notify_channels *notify; /* who is told what happens; NULL: only the log */
    const char *pam_socket;     /* vaultd-pam's; NULL: where it usually is */
    const char *credentials;    /* $CREDENTIALS_DIRECTORY; NULL: none */
    const char *const *seals;   /* which of them may open the vault by itself */
    size_t n_seals;
    bool dev;
    const char *const *notes;   /* sandbox layers that are missing, for health; NULL ends */
    size_t audit_segment_bytes; /* of a new audit log; 0: audit.h's */
    int64_t tick_ms;            /* rotation's coarse timer; 0: 60 s */
    unsigned rotation_max_runs; /* at targets, in all, at the same time: at most 16; 0: 4 */
    unsigned rotation_starts_per_minute; /* of schedules, at targets; 0: 10 */
    int64_t max_key_age_ms;     /* of key shares, and credentials that open the vault; 0: as old as they like */
    unsigned unseal_per_minute; /* key shares and resets of one source; 0: no limit */
    int64_t token_refusals;     /* records a second of one token's refusals; 0: each gets one */
    uint64_t token_entries, token_storage; /* what one token may keep, in number and bytes; 0: no limit */
    uint64_t token_leases, mount_leases; /* leases of secrets of one token, one mount; 0: no limit */
    /* The audit log stopped after a disk error: the process should end. Any thread; NULL: nobody. */
    void (*audit_broken)(void *arg, const char *what);
    void *audit_broken_arg;
};

struct core {
    struct core_config config;
    const struct kt_clock *clock;
    struct store *store;
    struct barrier *barrier;
    struct audit *audit;        /* NULL while sealed */
    struct wait_clock *waits;
    struct mounts *mounts;
    struct tokens *tokens;
    struct revoker *revoker;
    struct identities *identities;
    struct logins *logins;
    struct policies *policies;
    struct rotation *rotation;
    struct fleet *fleet;
    struct upkeep *upkeep;
    struct core_private *own;
};

enum kt_kind core_new(const struct core_config *config, struct store *store,
                      const struct kt_clock *clock, struct core **ret, struct kt_err *err)
    KT_MUST_CHECK;
/* Wakes what waits, stops the vault's own timers, seals. Carriers must have no request left. */
void core_free(struct core *core);

/* Before a key share, or a reset while sealed, is looked at: KT_TOO_MANY when the request's source had
 * its share of them, which is two whole attempts and ten more at once, then unseal_per_minute; with
 * Retry-After in the reply. A user of the Unix socket is a source as an address is; only root there is not
 * counted: nobody can keep him out. A stranger can still spoil an attempt, but not go on doing so. */
enum kt_kind core_unseal_admit(struct request *req, struct kt_err *err) KT_MUST_CHECK;
/* The holders of enough shares have proved themselves: all sources have their budget back. */
void core_shares_proved(struct core *core);
/* One share of an attempt, as barrier_unseal_share(). accept_rollback is what its holder says; *ret_all:
 * all holders of this attempt's shares said so, which it takes to begin a new history. */
enum kt_kind core_unseal_share(struct core *core, const unsigned char share[SHAMIR_SHARE_BYTES],
                               bool accept_rollback, bool *ret_unsealed, bool *ret_all,
                               struct kt_err *err) KT_MUST_CHECK;
/* After enough shares: opens the audit log, starts rotation, admits requests. Blocks. */
enum kt_kind core_unsealed(struct core *core, bool accept_rollback, struct kt_err *err)
    KT_MUST_CHECK;
/* Refuses new requests, lets the running ones finish, closes the log, wipes the keys. Blocks. */
void core_seal(struct core *core, const char *why);
/* What sys/metrics tells of the requests and of the process. */
struct counts;
const struct counts *core_counts(const struct core *core);
int64_t core_quota_refusals(const struct core *core);
int64_t core_started_ms(const struct core *core);
/* SIGHUP: reopen audit devices. Blocks. */
void core_reload(struct core *core);

/* Makes everything a new vault has, as sys/init does; used by --dev and the tests. Blocks. */
enum kt_kind core_init(struct core *core, unsigned shares, unsigned threshold,
                       unsigned char ret_shares[][SHAMIR_SHARE_BYTES], struct kt_buf *ret_root_token,
                       struct kt_err *err) KT_MUST_CHECK;
