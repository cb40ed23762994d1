#include "vaultd/rotation/machine.h"

/* What things are called, in the API and in records. */

#define X(name, text, waits) [name] = (text),
static const char *const state_texts[] = {RUN_STATES(X)};
#undef X
#define X(name, text, waits) [name] = (waits),
static const char *const state_waits[] = {RUN_STATES(X)};
#undef X
#define X(name, text) [name] = (text),
static const char *const back_texts[] = {BACK_STEPS(X)};
static const char *const intent_texts[] = {RUN_INTENTS(X)};
static const char *const event_texts[] = {RUN_EVENTS(X)};
#undef X
#define X(name, code, word) [name] = (code),
static const char *const code_texts[] = {FROZEN_CODES(X)};
#undef X
#define X(name, code, word) [name] = (word),
static const char *const code_words[] = {FROZEN_CODES(X)};
#undef X
static const char *const strategy_texts[] = {[STRATEGY_GENERATE] = "generate",
                                             [STRATEGY_ALTERNATE] = "alternate",
                                             [STRATEGY_IN_PLACE] = "in-place",
                                             [STRATEGY_OVERLAP] = "overlap"};
static const char *const act_texts[] = {
    [ACT_UNKNOWN] = "cannot happen", [ACT_STAY] = "goes on",         [ACT_GO] = "to",
    [ACT_RETRY] = "again, later",    [ACT_PROBE] = "asks the target", [ACT_BACK] = "goes back",
    [ACT_FREEZE] = "freezes",        [ACT_CANCEL] = "to cancelled",   [ACT_THAW] = "goes on",
    [ACT_REFUSE] = "refused: too late"};
static const char *const decision_texts[] = {
    [DECIDE_APPLIED] = "it is in place: go on",
    [DECIDE_APPLY] = "the new one is not in place: apply the same again",
    [DECIDE_PROMOTE] = "the old one is dead already: promote now",
    [DECIDE_REAPPLY] = "both dead: apply the new one again, once",
    [DECIDE_REVOKE] = "the old one lives: revoke it",
    [DECIDE_REVOKED] = "the old one is dead",
    [DECIDE_REVOKE_NEW] = "both alive: revoke the new one",
    [DECIDE_RETURNED] = "only the old one lives: back where it was",
    [DECIDE_RESTORE] = "the old one is dead: set it again first"};

const char *run_state_text(enum run_state state)
{
    return state_texts[state];
}

const char *run_state_waits(enum run_state state)
{
    return state_waits[state];
}

bool run_state_ended(enum run_state state)
{
    return state == RUN_DONE || state == RUN_ROLLED_BACK || state == RUN_CANCELLED;
}

const char *run_strategy_text(enum run_strategy strategy)
{
    return strategy_texts[strategy];
}

bool run_strategy_parse(const char *text, enum run_strategy *ret)
{
    for (size_t i = 0; i < STRATEGY_COUNT; i++)
        if (strcmp(text, strategy_texts[i]) == 0) {
            *ret = (enum run_strategy)i;
            return true;
        }
    return false;
}

const char *back_step_text(enum back_step step)
{
    return back_texts[step];
}

const char *run_intent_text(enum run_intent intent)
{
    return intent_texts[intent];
}

const char *run_event_text(enum run_event event)
{
    return event_texts[event];
}

const char *frozen_code_text(enum frozen_code code)
{
    return code_texts[code];
}

const char *frozen_code_word(enum frozen_code code)
{
    return code_words[code];
}

const char *run_act_text(enum run_act act)
{
    return act_texts[act];
}

const char *decision_text(enum decision decision)
{
    return decision_texts[decision];
}
