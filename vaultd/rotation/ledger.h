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

#define LEDGER_KNOWN 65536u

struct ledger;
struct ledger *ledger_new(struct core *core); /* NULL: out of memory */
void ledger_free(struct ledger *ledger);      /* waits for what is queued */
/* Queues the row unless it is known to be there. */
void ledger_note(struct ledger *ledger, struct request *req, const unsigned char secret[RUN_ID],
                 uint32_t version);

struct reader {
    const char *identity, *accessor, *host;
    uint32_t version;
    int64_t at_ms;    /* for people */
    int64_t heard_ms; /* the same by the steady clock of runs (engine.h), to measure with */
};
extern const struct record_kind reader_kind;
/* Identities that read `version`, and none from `newer` on: each once, in key order, until the callback
 * says false. Its reader's texts live in the request's arena. Rows of who went on are not opened. */
enum kt_kind readers_behind(struct request *req, const unsigned char secret[RUN_ID],
                            uint32_t version, uint32_t newer,
                            bool (*each)(void *arg, const struct reader *reader), void *arg,
                            struct kt_err *err) KT_MUST_CHECK;
bool reader_is_there(struct request *req, const unsigned char secret[RUN_ID], const char *identity,
                     uint32_t version);
/* Conditions on a batch. */
void reader_require(struct request *req, const unsigned char secret[RUN_ID], const char *identity,
                    uint32_t version, struct batch *batch);
void readers_require(struct request *req, const unsigned char secret[RUN_ID],
                     struct batch *batch);
/* Removes up to `most` rows of versions below `version` in req's batch; *ret_more: there are others. */
enum kt_kind readers_forget(struct request *req, const unsigned char secret[RUN_ID],
                            uint32_t version, unsigned most, bool *ret_more,
                            struct kt_err *err) KT_MUST_CHECK;
