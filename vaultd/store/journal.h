/* vaultd/store/journal.h - which keys changed while a copy of the store was being made.
 *
 * What:    The store thread notes each key that a fold puts or deletes; when the fold is committed
 *          they are told, when it is given up they are forgotten. Whoever copies takes what was told
 *          and writes each key's present value into the copy, so a key may be told twice or for
 *          nothing without harm.
 * Limits:  JOURNAL_BYTES that nobody took; then it has overflowed and stays so.
 * Owner:   store_journal_init() .. store_journal_free().
 * Threads: note, commit, abort: the store thread. take: any one other.
 * Only vaultd/store includes this. */
#pragma once

#include <pthread.h>

#include "lib/buf.h"

#define JOURNAL_BYTES ((size_t)8 * 1024 * 1024)

struct store_journal {
    struct kt_buf pending; /* the store thread's */
    pthread_mutex_t lock;
    struct kt_buf told;    /* guarded by lock: u8 length, key */
};

void store_journal_init(struct store_journal *journal);
void store_journal_free(struct store_journal *journal);
void store_journal_note(struct store_journal *journal, struct kt_bytes key);
void store_journal_commit(struct store_journal *journal);
void store_journal_abort(struct store_journal *journal);
/* All that was told since the last time, into out, whose old content goes. False: something is
 * missing, it overflowed or memory ran out. */
bool store_journal_take(struct store_journal *journal, struct kt_buf *out) KT_MUST_CHECK;
