/* vaultd/rotation/names.h - ids, and the keys under which rotation and fleet keep their records.
 *
 * Ids:     16 bytes, 6 of them the time in milliseconds; as text 26 characters of Crockford's base32
 *          ("01JD7K..."), so that texts sort by time, too.
 * Names:   a record under a path keeps its whole path in one name, the '/' replaced by 0x01 (which
 *          no path has): all records of one mount adjoin, whatever folder they are in.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/core.h"

#define RUN_ID      16u
#define RUN_ID_TEXT 27u

void run_id_make(int64_t now_ms, unsigned char out[RUN_ID]);
void run_id_text(const unsigned char id[RUN_ID], char out[RUN_ID_TEXT]);
bool run_id_parse(const char *text, unsigned char out[RUN_ID]); /* either case */

#define RUN_KEY    (1u + RUN_ID)
#define STEP_KEY   (1u + RUN_ID + 4u)
#define RUN_OF_KEY (1u + RUN_ID + RUN_ID)
#define DUE_KEY    (1u + 8u + RUN_ID)
#define LEDGER_KEY (BARRIER_NAME_KEY + 4u)
#define STEP_REPORT UINT32_MAX /* the report stands behind a run's steps */

/* A secret's id: what consumers, first reads, runs and due rows hang from. It follows from its place,
 * so that consumers can be there before the rotation. */
void secret_id(struct core *core, const unsigned char scope[BARRIER_SCOPE], const char *path,
               unsigned char out[RUN_ID]);
void target_key(struct core *core, const char *name, unsigned char out[BARRIER_NAME_KEY]);
void secret_key(struct core *core, const unsigned char scope[BARRIER_SCOPE], const char *path,
                unsigned char out[BARRIER_NAME_KEY]);
void secrets_prefix(struct core *core, const unsigned char scope[BARRIER_SCOPE],
                    unsigned char out[BARRIER_FOLDER_PREFIX]);
void targets_prefix(struct core *core, unsigned char out[BARRIER_FOLDER_PREFIX]);
void calendar_key(struct core *core, const char *name, unsigned char out[BARRIER_NAME_KEY]);
void calendars_prefix(struct core *core, unsigned char out[BARRIER_FOLDER_PREFIX]);
void run_key(const unsigned char id[RUN_ID], unsigned char out[RUN_KEY]);
void active_key(const unsigned char id[RUN_ID], unsigned char out[RUN_KEY]);
void run_of_key(const unsigned char secret[RUN_ID], const unsigned char id[RUN_ID],
                unsigned char out[RUN_OF_KEY]);
/* The run id at the end of a TABLE_RUN or TABLE_RUN_OF key. */
void run_id_of_key(struct kt_bytes key, unsigned char out[RUN_ID]);
void step_key(const unsigned char id[RUN_ID], uint32_t seq, unsigned char out[STEP_KEY]);
void due_key(int64_t due_ms, const unsigned char secret[RUN_ID], unsigned char out[DUE_KEY]);
int64_t due_time_of_key(struct kt_bytes key);
/* The same for the looks of truth.h, and for those whose stored credential is refused. */
void look_key(int64_t due_ms, const unsigned char secret[RUN_ID], unsigned char out[DUE_KEY]);
void drift_key(const unsigned char secret[RUN_ID], unsigned char out[RUN_KEY]);
/* And for the drills of drill.h. */
void drill_key(int64_t due_ms, const unsigned char secret[RUN_ID], unsigned char out[DUE_KEY]);
/* The same for messages to people (vaultd/notify/). */
void notice_key(int64_t due_ms, const unsigned char id[RUN_ID], unsigned char out[DUE_KEY]);
/* Who may change this account (or, with word "run", this group of accounts) at this target. */
void lock_key(struct core *core, const char *word, const char *target, const char *account,
              unsigned char out[BARRIER_HASH_KEY]);
void clock_key(struct core *core, unsigned char out[BARRIER_NAME_KEY]);
void keys_told_key(struct core *core, unsigned char out[BARRIER_NAME_KEY]);
void classes_key(struct core *core, unsigned char out[BARRIER_NAME_KEY]);
void pause_key(struct core *core, unsigned char out[BARRIER_NAME_KEY]);

/* Below an issuer of certificates: word "serial" and a number, or "list" and a secret's name. */
void revoked_key(struct core *core, const unsigned char issuer[RUN_ID], const char *word, const char *name,
                 unsigned char out[BARRIER_NAME_KEY]);
void revoked_prefix(struct core *core, const unsigned char issuer[RUN_ID],
                    unsigned char out[BARRIER_FOLDER_PREFIX]);

/* Below a secret (its id is the scope): consumers, first reads, and one record each that every
 * change under them puts, so that "nobody came since" can be a batch's condition. */
void consumer_key(struct core *core, const unsigned char secret[RUN_ID], const char *host,
                  const char *service, unsigned char out[BARRIER_NAME_KEY]);
void consumers_head(struct core *core, const unsigned char secret[RUN_ID],
                    unsigned char out[BARRIER_NAME_KEY]);
void consumers_prefix(struct core *core, const unsigned char secret[RUN_ID],
                      unsigned char out[BARRIER_FOLDER_PREFIX]);
/* The same of those that veto (veto.h); they have no head of their own. */
void veto_key(struct core *core, const unsigned char secret[RUN_ID], const char *host,
              const char *service, unsigned char out[BARRIER_NAME_KEY]);
void vetoes_prefix(struct core *core, const unsigned char secret[RUN_ID],
                   unsigned char out[BARRIER_FOLDER_PREFIX]);
void ledger_key(struct core *core, const unsigned char secret[RUN_ID], const char *identity,
                uint32_t version, unsigned char out[LEDGER_KEY]);
void ledger_head(struct core *core, const unsigned char secret[RUN_ID],
                 unsigned char out[LEDGER_KEY]);
void ledger_prefix(struct core *core, const unsigned char secret[RUN_ID],
                   unsigned char out[BARRIER_FOLDER_PREFIX]);
/* Hosts that have consumers. */
void host_key(struct core *core, const char *host, unsigned char out[BARRIER_NAME_KEY]);
void hosts_prefix(struct core *core, unsigned char out[BARRIER_FOLDER_PREFIX]);
