#include "vaultd/store/journal.h"

void store_journal_init(struct store_journal *journal)
{
    kt_buf_init(&journal->pending, JOURNAL_BYTES);
    kt_buf_init(&journal->told, JOURNAL_BYTES);
    (void)pthread_mutex_init(&journal->lock, NULL);
}

void store_journal_free(struct store_journal *journal)
{
    kt_buf_free(&journal->pending);
    kt_buf_free(&journal->told);
    (void)pthread_mutex_destroy(&journal->lock);
}

void store_journal_note(struct store_journal *journal, struct kt_bytes key)
{
    kt_buf_add_u8(&journal->pending, (uint8_t)key.len);
    kt_buf_add_bytes(&journal->pending, key);
}

void store_journal_commit(struct store_journal *journal)
{
    (void)pthread_mutex_lock(&journal->lock);
    if (kt_buf_ok(&journal->pending))
        kt_buf_add_bytes(&journal->told, kt_buf_bytes(&journal->pending));
    else
        journal->told.failed = true;
    (void)pthread_mutex_unlock(&journal->lock);
    kt_buf_reset(&journal->pending);
}

void store_journal_abort(struct store_journal *journal)
{
    kt_buf_reset(&journal->pending);
}

bool store_journal_take(struct store_journal *journal, struct kt_buf *out)
{
    kt_buf_reset(out);
    (void)pthread_mutex_lock(&journal->lock);
    bool whole = kt_buf_ok(&journal->told);
    if (whole) {
        struct kt_buf empty = *out;
        *out = journal->told;
        journal->told = empty;
    }
    (void)pthread_mutex_unlock(&journal->lock);
    return whole;
}
