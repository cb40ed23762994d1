/* vaultd/audit/log_own.h - the inside of struct audit_log, for log.c and log_open.c alone. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "vaultd/audit/log.h"

#define LOG_SLOTS       256u /* records being sealed at one time */
#define LOG_RETIRED_MAX 64u  /* full segments that are not synced yet */
#define LOG_SLACK       AUDIT_OUTCOME_ROOM_MAX

struct log_slot {
    bool ready;
    struct audit_entry entry;
    struct audit_mark mark;
};
struct log_retired {
    struct audit_segment segment;
    uint64_t end; /* all its records have lower numbers */
};

struct audit_log {
    int folder;
    size_t segment_bytes;
    struct audit_sealer sealer;

    pthread_mutex_t lock;
    pthread_cond_t published_more;
    /* guarded by lock */
    struct audit_segment current, spare; /* spare.map NULL: none */
    size_t at, unmapped;                 /* in current: next record; pages given up by a sync */
    size_t promised;                     /* bytes, to outcomes */
    uint64_t next;                       /* number of the next record */
    struct audit_mark mark;              /* of the last outcome that has a number */
    struct audit_mark published_mark;
    atomic_uint_fast64_t published;      /* written under the lock, read by waiters without */
    struct log_slot slots[LOG_SLOTS];
    struct log_retired retired[LOG_RETIRED_MAX];
    unsigned n_retired, waiting;
    struct audit_synced synced;
    atomic_bool wants_spare; /* written under the lock */
    bool folder_dirty; /* a file was made since the folder was synced */
    bool broken;
    struct kt_err broken_by;
    struct audit_index index; /* put: under lock */

    pthread_mutex_t keep_lock; /* one sync or proof at a time; taken before lock */
    struct audit_tree tree;    /* guarded by keep_lock */
    pthread_mutex_t make_lock; /* one maker of segments at a time; taken before lock */
};

/* Room in tree and index for so many records and for all that could fit so many segments more. */
enum kt_kind log_room(struct audit_log *log, uint64_t records, unsigned segments,
                      struct kt_err *err) KT_MUST_CHECK;
struct audit_log *log_new(int folder, const struct audit_sealer *sealer, size_t segment_bytes);
