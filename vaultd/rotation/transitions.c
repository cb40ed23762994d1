#include "vaultd/rotation/machine.h"

/* What each event does in each state. A pair that is not here cannot happen: it is refused, and
 * tests/unit/rotation_machine_test.c tries them all. docs/rotation.md prints this table.
 * ACT_GO to RUN_ROLLING_BACK's next step and to its end is machine.c's: see rolling_back(). */

#define GO(state)    {ACT_GO, state, FROZEN_NOT}
#define FREEZE(code) {ACT_FREEZE, RUN_FROZEN, code}
#define STAY         {ACT_STAY, RUN_STATE_COUNT, FROZEN_NOT}
#define RETRY        {ACT_RETRY, RUN_STATE_COUNT, FROZEN_NOT}
#define PROBE        {ACT_PROBE, RUN_STATE_COUNT, FROZEN_NOT}
#define BACK         {ACT_BACK, RUN_ROLLING_BACK, FROZEN_NOT}
#define CANCEL       {ACT_CANCEL, RUN_CANCELLED, FROZEN_NOT}
#define REFUSE       {ACT_REFUSE, RUN_STATE_COUNT, FROZEN_NOT}
#define THAW         {ACT_THAW, RUN_STATE_COUNT, FROZEN_NOT}

/* Whatever it was doing: such a target proves nothing. */
#define TARGET_TROUBLE                                                                             \
    [EV_ADMIN] = FREEZE(FROZEN_ADMIN), [EV_OPEN] = FREEZE(FROZEN_OPEN),                            \
    [EV_SERVER] = FREEZE(FROZEN_SERVER)

static const struct transition table[RUN_STATE_COUNT][RUN_EVENT_COUNT] = {
    [RUN_PLANNED] = {[EV_OK] = GO(RUN_PREFLIGHT), [EV_CRASH] = STAY, [EV_CANCEL] = CANCEL,
                     [EV_TIMEOUT] = CANCEL},
    [RUN_PREFLIGHT] = {[EV_OK] = GO(RUN_GENERATED), [EV_REFUSED] = FREEZE(FROZEN_DRIFT),
                       TARGET_TROUBLE, [EV_PERMANENT] = CANCEL, [EV_UNREACH] = RETRY,
                       [EV_TIMEOUT] = CANCEL, [EV_CRASH] = STAY, [EV_CANCEL] = CANCEL,
                       [EV_UNHEALTHY] = STAY},
    [RUN_GENERATED] = {[EV_OK] = GO(RUN_APPLYING), [EV_CRASH] = STAY, [EV_CANCEL] = CANCEL,
                       [EV_SILENT] = CANCEL},
    [RUN_APPLYING] = {[EV_OK] = GO(RUN_APPLIED), TARGET_TROUBLE, [EV_PERMANENT] = PROBE,
                      [EV_VALUE] = PROBE,
                      [EV_UNREACH] = PROBE, [EV_TIMEOUT] = BACK, [EV_CRASH] = PROBE,
                      [EV_CANCEL] = BACK, [EV_UNHEALTHY] = STAY},
    [RUN_APPLIED] = {[EV_OK] = GO(RUN_VERIFYING), [EV_CRASH] = STAY, [EV_CANCEL] = BACK},
    [RUN_VERIFYING] = {[EV_OK] = GO(RUN_PROMOTED), TARGET_TROUBLE, [EV_REFUSED] = PROBE,
                       [EV_PERMANENT] = BACK, [EV_UNREACH] = RETRY, [EV_TIMEOUT] = BACK,
                       [EV_CRASH] = PROBE, [EV_CANCEL] = BACK, [EV_UNHEALTHY] = STAY},
    [RUN_PROMOTED] = {[EV_OK] = GO(RUN_ACKING), [EV_CRASH] = STAY, [EV_CANCEL] = BACK,
                      [EV_UNHEALTHY] = STAY},
    [RUN_ACKING] = {[EV_OK] = GO(RUN_OVERLAPPING), TARGET_TROUBLE, [EV_UNREACH] = RETRY,
                    [EV_PERMANENT] = RETRY, [EV_CRASH] = STAY, [EV_CANCEL] = BACK,
                    [EV_UNHEALTHY] = PROBE, [EV_SILENT] = BACK},
    [RUN_OVERLAPPING] = {[EV_OK] = GO(RUN_REVOKING), TARGET_TROUBLE, [EV_UNREACH] = RETRY,
                         [EV_PERMANENT] = RETRY, [EV_CRASH] = STAY, [EV_CANCEL] = BACK,
                         [EV_UNHEALTHY] = PROBE, [EV_LATE] = GO(RUN_ACKING)},
    [RUN_REVOKING] = {[EV_OK] = GO(RUN_CONFIRMING), TARGET_TROUBLE,
                      [EV_PERMANENT] = FREEZE(FROZEN_CANNOT_REVOKE), [EV_UNREACH] = PROBE,
                      [EV_TIMEOUT] = PROBE, [EV_CRASH] = PROBE, [EV_CANCEL] = REFUSE,
                      [EV_UNHEALTHY] = STAY},
    [RUN_CONFIRMING] = {[EV_OK] = GO(RUN_DONE), TARGET_TROUBLE, [EV_UNREACH] = RETRY,
                        [EV_PERMANENT] = RETRY, [EV_CRASH] = PROBE, [EV_CANCEL] = REFUSE,
                        [EV_UNHEALTHY] = STAY},
    [RUN_DONE] = {[EV_CANCEL] = REFUSE, [EV_THAW] = REFUSE},
    [RUN_ROLLING_BACK] = {[EV_OK] = GO(RUN_ROLLING_BACK), TARGET_TROUBLE,
                          [EV_PERMANENT] = FREEZE(FROZEN_ROLLBACK), [EV_UNREACH] = PROBE,
                          [EV_TIMEOUT] = PROBE, [EV_CRASH] = PROBE, [EV_CANCEL] = REFUSE,
                          [EV_UNHEALTHY] = STAY, [EV_SILENT] = STAY},
    [RUN_ROLLED_BACK] = {[EV_CANCEL] = REFUSE, [EV_THAW] = REFUSE},
    [RUN_CANCELLED] = {[EV_CANCEL] = REFUSE, [EV_THAW] = REFUSE},
    [RUN_MENDING] = {[EV_OK] = GO(RUN_MENDING), TARGET_TROUBLE,
                     [EV_PERMANENT] = FREEZE(FROZEN_UNMENDED), [EV_UNREACH] = PROBE,
                     [EV_TIMEOUT] = PROBE, [EV_CRASH] = PROBE, [EV_CANCEL] = CANCEL,
                     [EV_UNHEALTHY] = STAY},
    [RUN_FROZEN] = {[EV_THAW] = THAW, [EV_CRASH] = STAY, [EV_CANCEL] = BACK},
};

const struct transition *transition_find(enum run_state state, enum run_event event)
{
    return &table[state][event];
}
