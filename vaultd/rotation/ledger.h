/* vaultd/rotation/ledger.h - who read which version of a secret that has a driver.
 *
 * What:    The first read of a version by an identity queues one row before the answer leaves. An
 *          acknowledgement is a batch that requires the row; the intent to revoke is a batch that
 *          requires that no row came since it looked: the store's order makes both exact.
 * Stored:  TABLE_LEDGER below the secret's id, sealed; each row's batch puts the secret's head.
 * Limits:  LEDGER_KNOWN rows are remembered, so that a repeated read costs a look into a table.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/rotation/names.h"
#include "vaultd/rotation/record.h"

#define LEDGER_KNOWN   65536u
#define LEDGER_ROWS_MAX 20000u

struct ledger;
struct ledger *ledger_new(struct core *core); /* NULL: out of memory */
void ledger_free(struct ledger *ledger);      /* waits for what is queued */
/* Queues the row unless it is known to be there. */
void ledger_note(struct ledger *ledger, struct request *req, const unsigned char secret[RUN_ID],
                 uint32_t version);

struct reader {
    const char *identity, *accessor, *host;
    uint32_t version;
    int64_t at_ms;
};
extern const struct record_kind reader_kind;
/* Every row of the secret, those of one identity together. */
enum kt_kind readers_load(struct request *req, const unsigned char secret[RUN_ID],
                          struct reader **ret, size_t *ret_n, struct kt_err *err) KT_MUST_CHECK;
bool reader_is_there(struct request *req, const unsigned char secret[RUN_ID], const char *identity,
                     uint32_t version);
/* Conditions on a batch. */
void reader_require(struct request *req, const unsigned char secret[RUN_ID], const char *identity,
                    uint32_t version, struct batch *batch);
void readers_require(struct request *req, const unsigned char secret[RUN_ID],
                     struct batch *batch);
/* Removes up to `most` rows of versions below `version` in req's batch. */
enum kt_kind readers_forget(struct request *req, const unsigned char secret[RUN_ID],
                            uint32_t version, unsigned most, struct kt_err *err) KT_MUST_CHECK;
