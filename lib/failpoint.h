/* lib/failpoint.h - the seam through which tests make things fail.
 *
 * What:    kt_malloc/kt_calloc: allocation that a test can make fail at the n-th call.
 *          KT_FAILPOINT(name): a named place. In the variants built with -DKT_FAULT (fault, asan)
 *          it acts as KEYTURN_FAILPOINTS says: "name=kill", "name=kill@3" (the third time),
 *          "name=stop" (SIGSTOP), "name=error" (evaluates to true; the code there must fail as the
 *          real thing would), comma separated. In release builds it is the constant false and the
 *          name is not in the binary (a test proves it).
 * Threads: any thread.
 * The names are one list, so that torture can visit every one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define KT_FAILPOINTS(X)                                                                           \
    X(store_before_commit)                                                                         \
    X(store_after_commit)                                                                          \
    X(compact_begun)        /* the new file is there, empty */                                     \
    X(compact_piece)        /* after each piece of the copy */                                     \
    X(compact_copied)       /* everything once, before what came since */                          \
    X(compact_written)      /* the new file is whole and synced, not in place */                   \
    X(compact_exchanged)    /* in place, the folder is not synced */                               \
    X(compact_in_use)       /* in use, the old file is still open */                               \
    X(compact_removing)     /* the old file is closed, not removed */                              \
    X(reencrypt_begun)      /* the new term is there, nothing was rewritten */                     \
    X(reencrypt_piece)      /* after each piece */                                                 \
    X(reencrypt_rewritten)  /* everything, before the old terms go */                              \
    X(reencrypt_dropped)    /* the keyring without them is committed */                            \
    X(audit_append)                                                                                \
    X(audit_sync)                                                                                  \
    X(run_generated)        /* after the generate commit, before the intent */                     \
    X(run_intent_apply)     /* after intent(apply), before send */                                 \
    X(run_apply_sent)       /* sent, no reply */                                                   \
    X(run_node_changed)     /* of several servers one is changed, the next is not */               \
    X(run_apply_done)       /* effect done, outcome not stored */                                  \
    X(run_outcome_commit)   /* the outcome commit fails */                                         \
    X(run_full_generate)    /* no room for the new version */                                      \
    X(run_full_apply)       /* no room for intent(apply) */                                        \
    X(run_full_promote)     /* no room for the promotion */                                        \
    X(run_full_revoke)      /* no room for intent(revoke) */                                       \
    X(run_verified)         /* after verify, before promote */                                     \
    X(run_promoted)         /* after promote, before fan-out */                                    \
    X(run_intent_revoke)    /* after intent(revoke), before send */                                \
    X(run_revoke_sent)      /* revoke sent, no reply */                                            \
    X(run_revoke_done)

#define X(name) KT_FP_##name,
enum kt_failpoint { KT_FAILPOINTS(X) KT_FAILPOINT_COUNT };
#undef X

#ifdef KT_FAULT
bool kt_failpoint_hit(enum kt_failpoint point);
#define KT_FAILPOINT(name) kt_failpoint_hit(KT_FP_##name)
const char *kt_failpoint_name(enum kt_failpoint point);
/* Fail the n-th allocation from now (1 is the next) once; 0 turns it off. Returns how many
 * allocations were made since it was last set. */
unsigned long kt_fail_allocation(unsigned long nth);
void *kt_malloc(size_t size);
void *kt_calloc(size_t count, size_t size);
#else
#include <stdlib.h>
#define KT_FAILPOINT(name) false
static inline void *kt_malloc(size_t size)
{
    return malloc(size);
}
static inline void *kt_calloc(size_t count, size_t size)
{
    return calloc(count, size);
}
#endif
