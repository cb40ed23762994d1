#include "vaultd/rotation/machine.h"

/* What the target's answers mean after the last intent, whatever the state is called. Columns: new
 * accepted and old accepted; new refused, old accepted; new accepted, old refused; both refused. */
enum row { ROW_APPLY, ROW_APPLY_IN_PLACE, ROW_REVOKE, ROW_REVOKE_NEW, ROW_RESTORE, ROW_COUNT };
enum column { BOTH, ONLY_OLD, ONLY_NEW, NEITHER, COLUMN_COUNT };

static const enum decision table[ROW_COUNT][COLUMN_COUNT] = {
    [ROW_APPLY] = {DECIDE_APPLIED, DECIDE_APPLY, DECIDE_PROMOTE, DECIDE_REAPPLY},
    [ROW_APPLY_IN_PLACE] = {DECIDE_APPLIED, DECIDE_APPLY, DECIDE_PROMOTE, DECIDE_REAPPLY},
    [ROW_REVOKE] = {DECIDE_REVOKE, DECIDE_APPLY, DECIDE_REVOKED, DECIDE_REAPPLY},
    [ROW_REVOKE_NEW] = {DECIDE_REVOKE_NEW, DECIDE_RETURNED, DECIDE_RESTORE, DECIDE_RESTORE},
    [ROW_RESTORE] = {DECIDE_REVOKE_NEW, DECIDE_RETURNED, DECIDE_RESTORE, DECIDE_RESTORE},
};

enum decision resume_decide(enum run_strategy strategy, enum run_intent intent, bool new_accepted,
                            bool old_accepted)
{
    static const enum row rows[RUN_INTENT_COUNT] = {
        [INTENT_NONE] = ROW_APPLY,
        [INTENT_APPLY] = ROW_APPLY,
        [INTENT_REVOKE] = ROW_REVOKE,
        [INTENT_REVOKE_NEW] = ROW_REVOKE_NEW,
        [INTENT_RESTORE] = ROW_RESTORE,
    };
    enum row row = rows[intent];
    if (row == ROW_APPLY && strategy == STRATEGY_IN_PLACE)
        row = ROW_APPLY_IN_PLACE;
    enum column column = new_accepted ? (old_accepted ? BOTH : ONLY_NEW)
                                      : (old_accepted ? ONLY_OLD : NEITHER);
    return table[row][column];
}
