#include "vaultd/rotation/machine.h"

#include "lib/assert.h"

/* A change that the target took and lost again is applied once more, before consumers have it; once
 * they have, a second time. Then the run goes back, or a person has to look. */
#define APPLY_AGAIN          1u
#define APPLY_AGAIN_PROMOTED 2u
#define OTHER_VALUES         1u /* in place of one that the target does not allow */
#define REVOKE_AGAIN         2u
#define RESTORE_AGAIN        2u
#define MEND_AGAIN           1u

/* ---- texts ---- */

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

/* ---- moving ---- */

static void go(struct machine *m, enum run_state state)
{
    m->state = state;
    m->fresh = false;
    m->doubt = false;
}

static void freeze(struct machine *m, enum frozen_code code, unsigned *fx)
{
    m->frozen = code;
    m->frozen_in = m->state;
    go(m, RUN_FROZEN);
    *fx |= FX_PAGE;
}

static void intend(struct machine *m, enum run_intent intent, unsigned *fx)
{
    m->intent = intent;
    m->open = true;
    m->fresh = true;
    m->doubt = false;
    *fx |= FX_INTENT;
}

static void apply(struct machine *m, unsigned *fx)
{
    m->state = RUN_APPLYING;
    intend(m, INTENT_APPLY, fx);
    *fx |= FX_MARK_NEW;
}

static void revoke(struct machine *m, unsigned *fx)
{
    m->state = RUN_REVOKING;
    m->past = true;
    intend(m, INTENT_REVOKE, fx);
}

static void restore(struct machine *m, unsigned *fx)
{
    m->state = RUN_ROLLING_BACK;
    m->back = BACK_RESTORE_OLD;
    intend(m, INTENT_RESTORE, fx);
}

static void revoke_new(struct machine *m, unsigned *fx)
{
    m->back = BACK_REVOKE_NEW;
    intend(m, INTENT_REVOKE_NEW, fx);
}

/* The old credential is touched in-place only: else switching the stage back is enough, and then the
 * new one is ended. In-place has to set the old one first. */
static void begin_back(struct machine *m, unsigned *fx)
{
    if (m->strategy == STRATEGY_IN_PLACE) {
        restore(m, fx);
        return;
    }
    go(m, RUN_ROLLING_BACK);
    if (m->promoted)
        m->back = BACK_DEMOTE;
    else
        revoke_new(m, fx);
}

static void end(struct machine *m, enum run_state state, unsigned effects, unsigned *fx)
{
    go(m, state);
    m->open = false;
    m->back = BACK_NONE;
    *fx |= FX_END | effects;
}

/* ---- the probe's decisions ---- */

static void forward_from(struct machine *m, bool old_accepted, unsigned *fx)
{
    *fx |= old_accepted ? 0u : FX_ALONE;
    m->alone = !old_accepted;
    if (m->promoted) {
        go(m, RUN_ACKING);
        *fx |= FX_AGAIN;
        return;
    }
    m->promoted = true;
    go(m, RUN_PROMOTED);
    *fx |= FX_PROMOTE;
}

/* The new one is in place, the old one may be dead or not. */
static void in_place_now(struct machine *m, bool old_accepted, unsigned *fx)
{
    m->open = false;
    switch (m->state) {
    case RUN_APPLYING:
        if (m->strategy == STRATEGY_IN_PLACE || !old_accepted)
            forward_from(m, old_accepted, fx);
        else
            go(m, RUN_APPLIED);
        break;
    case RUN_VERIFYING:
        forward_from(m, old_accepted, fx);
        break;
    case RUN_ACKING:
    case RUN_OVERLAPPING:
        /* Asked because a consumer is in trouble: it is not the target. Without an old credential
         * there is nothing to go back to, but for in-place, which can set it again. */
        m->doubt = false;
        if (!m->hold_unhealthy && (old_accepted || m->strategy == STRATEGY_IN_PLACE))
            begin_back(m, fx);
        break;
    case RUN_PLANNED:
    case RUN_PREFLIGHT:
    case RUN_GENERATED:
    case RUN_APPLIED:
    case RUN_PROMOTED:
    case RUN_REVOKING:
    case RUN_CONFIRMING:
    case RUN_DONE:
    case RUN_ROLLING_BACK:
    case RUN_ROLLED_BACK:
    case RUN_CANCELLED:
    case RUN_FROZEN:
    case RUN_MENDING:
    case RUN_STATE_COUNT:
        KT_ASSERT(!"a probe was not asked for in this state");
    }
}

/* The target was seen to refuse the value: it is thrown away, and the run goes on with another. */
static void other_value(struct machine *m, unsigned *fx)
{
    m->values++;
    m->bad_value = false;
    m->open = false;
    m->applied_again = 0;
    go(m, RUN_GENERATED);
    *fx |= FX_OTHER;
}

/* The target does not have it: never had, or lost it. */
static void apply_again(struct machine *m, unsigned *fx)
{
    if (m->bad_value && !m->fixed_value && !m->promoted && m->values < OTHER_VALUES) {
        other_value(m, fx);
        return;
    }
    m->said_no = m->said_no || m->bad_value;
    bool never_said_yes = m->state == RUN_APPLYING && m->open;
    if (m->said_no || !never_said_yes) {
        unsigned most = m->promoted ? APPLY_AGAIN_PROMOTED : APPLY_AGAIN;
        if (m->promoted)
            *fx |= FX_PAGE;
        if (m->said_no || m->applied_again >= most) {
            if (m->past)
                freeze(m, FROZEN_NEW_DEAD, fx);
            else
                begin_back(m, fx);
            return;
        }
        m->applied_again++;
    }
    apply(m, fx);
}

static void both_dead(struct machine *m, unsigned *fx)
{
    *fx |= FX_PAGE;
    if (m->both_dead > 0) {
        freeze(m, m->past ? FROZEN_NEW_DEAD : FROZEN_BOTH_DEAD, fx);
        return;
    }
    m->both_dead++;
    apply(m, fx);
}

static void revoke_again(struct machine *m, unsigned *fx)
{
    if (m->strategy == STRATEGY_IN_PLACE) {
        freeze(m, FROZEN_OLD_ALIVE, fx);
        return;
    }
    if (m->state == RUN_CONFIRMING && m->revoked_again++ >= REVOKE_AGAIN) {
        freeze(m, FROZEN_OLD_ALIVE, fx);
        return;
    }
    revoke(m, fx);
}

/* From revoking: the effect is there, and the proof is a batch of its own. From confirming: this is
 * that batch. */
static void revoked(struct machine *m, unsigned *fx)
{
    m->open = false;
    if (m->state == RUN_CONFIRMING)
        end(m, RUN_DONE, FX_DEAD_OLD, fx);
    else
        go(m, RUN_CONFIRMING);
}

/* With the old credential alive and no consumer on the new one. */
static void finish_back(struct machine *m, unsigned *fx)
{
    if (m->strategy == STRATEGY_IN_PLACE)
        m->back = BACK_CONFIRM_OLD;
    else
        revoke_new(m, fx);
}

static void after_restore(struct machine *m, unsigned *fx)
{
    m->open = false;
    m->fresh = false;
    if (m->promoted)
        m->back = BACK_DEMOTE;
    else
        finish_back(m, fx);
}

static void revoke_new_again(struct machine *m, unsigned *fx)
{
    if (m->back == BACK_RESTORE_OLD) {
        after_restore(m, fx);
        return;
    }
    if (m->strategy == STRATEGY_IN_PLACE) {
        freeze(m, FROZEN_ROLLBACK, fx);
        return;
    }
    if (m->back == BACK_CONFIRM_OLD && m->revoked_again++ >= REVOKE_AGAIN) {
        freeze(m, FROZEN_ROLLBACK, fx);
        return;
    }
    revoke_new(m, fx);
}

static void restore_again(struct machine *m, bool new_accepted, unsigned *fx)
{
    if (m->restored++ >= RESTORE_AGAIN) {
        freeze(m, new_accepted ? FROZEN_ROLLBACK : FROZEN_BOTH_DEAD, fx);
        return;
    }
    *fx |= FX_PAGE;
    restore(m, fx);
}

static void returned(struct machine *m, unsigned *fx)
{
    if (m->promoted) {
        after_restore(m, fx);
        return;
    }
    end(m, RUN_ROLLED_BACK, FX_DEAD_NEW, fx);
}

/* ---- setting the stored one again ---- */

static void mend(struct machine *m, unsigned *fx)
{
    go(m, RUN_MENDING);
    intend(m, INTENT_RESTORE, fx);
    *fx |= FX_PUBLIC;
}

/* The proof is a batch of its own, whatever the target said to the change. */
static void mended(struct machine *m, bool accepted, unsigned *fx)
{
    m->open = false;
    if (accepted)
        end(m, RUN_DONE, 0, fx);
    else if (m->restored++ >= MEND_AGAIN)
        freeze(m, FROZEN_UNMENDED, fx);
    else
        mend(m, fx);
}

void machine_answers(struct machine *m, bool new_accepted, bool old_accepted, unsigned *ret_fx)
{
    unsigned fx = 0;
    if (m->mends) {
        mended(m, old_accepted, &fx);
        *ret_fx = fx;
        return;
    }
    enum run_intent intent = m->state == RUN_ROLLING_BACK ? m->intent
                             : m->past                    ? INTENT_REVOKE
                                                          : INTENT_APPLY;
    switch (resume_decide(m->strategy, intent, new_accepted, old_accepted)) {
    case DECIDE_APPLIED:
    case DECIDE_PROMOTE:
        in_place_now(m, old_accepted, &fx);
        break;
    case DECIDE_APPLY:
        apply_again(m, &fx);
        break;
    case DECIDE_REAPPLY:
        both_dead(m, &fx);
        break;
    case DECIDE_REVOKE:
        revoke_again(m, &fx);
        break;
    case DECIDE_REVOKED:
        revoked(m, &fx);
        break;
    case DECIDE_REVOKE_NEW:
        revoke_new_again(m, &fx);
        break;
    case DECIDE_RETURNED:
        returned(m, &fx);
        break;
    case DECIDE_RESTORE:
        restore_again(m, new_accepted, &fx);
        break;
    }
    *ret_fx = fx;
}

/* ---- events ---- */

static void rolling_back(struct machine *m, unsigned *fx)
{
    switch (m->back) {
    case BACK_RESTORE_OLD:
        after_restore(m, fx);
        break;
    case BACK_DEMOTE:
        m->promoted = false;
        m->back = BACK_REDISTRIBUTE;
        *fx |= FX_DEMOTE;
        break;
    case BACK_REDISTRIBUTE:
        finish_back(m, fx);
        break;
    case BACK_REVOKE_NEW:
        m->open = false;
        m->fresh = false;
        m->back = BACK_CONFIRM_OLD;
        break;
    case BACK_NONE:
    case BACK_CONFIRM_OLD:
    case BACK_STEP_COUNT:
        KT_ASSERT(!"this step ends with a probe");
    }
}

/* What a drill is for. Where the old one died meanwhile it is set again before anybody is sent back to it. */
static void turn(struct machine *m, unsigned *fx)
{
    m->turned = true;
    if (m->alone)
        restore(m, fx);
    else
        begin_back(m, fx);
}

static void went(struct machine *m, enum run_state next, unsigned *fx)
{
    switch (m->state) {
    case RUN_PREFLIGHT:
        if (m->mends) {
            end(m, RUN_DONE, 0, fx); /* it is accepted: nothing is to be mended */
            return;
        }
        *fx |= FX_VALUE;
        break;
    case RUN_GENERATED:
        apply(m, fx);
        return;
    case RUN_APPLYING:
    case RUN_REVOKING:
    case RUN_MENDING:
        m->open = false;
        break;
    case RUN_ROLLING_BACK:
        rolling_back(m, fx);
        return;
    case RUN_OVERLAPPING:
        if (next != RUN_REVOKING)
            break;
        if (m->drills) {
            turn(m, fx);
            return;
        }
        m->past = true;
        if (m->strategy != STRATEGY_IN_PLACE) {
            revoke(m, fx);
            return;
        }
        next = RUN_CONFIRMING; /* applying the new one ended the old one */
        break;
    case RUN_VERIFYING:
    case RUN_CONFIRMING:
        KT_ASSERT(!"these go by machine_answers()");
    case RUN_PLANNED:
    case RUN_APPLIED:
    case RUN_PROMOTED:
    case RUN_ACKING:
    case RUN_DONE:
    case RUN_ROLLED_BACK:
    case RUN_CANCELLED:
    case RUN_FROZEN:
    case RUN_STATE_COUNT:
        break;
    }
    go(m, next);
}

/* Waiting for consumers asks the target nothing, and what made the run ask it is not stored: from
 * there it goes on by way of the probe that decides whether the new one has to be set again. */
static void thaw(struct machine *m)
{
    bool waited = m->frozen_in == RUN_ACKING || m->frozen_in == RUN_OVERLAPPING;
    m->said_no = m->bad_value = false;
    m->applied_again = m->both_dead = m->revoked_again = m->restored = m->refused_back = 0;
    m->frozen = FROZEN_NOT;
    go(m, waited ? RUN_APPLYING : m->frozen_in);
}

/* Before anything was sent there is nothing to go back from. */
static bool untouched(enum run_state state)
{
    return state == RUN_PLANNED || state == RUN_PREFLIGHT || state == RUN_GENERATED;
}

static void cancel(struct machine *m, unsigned *fx)
{
    end(m, RUN_CANCELLED, m->state == RUN_GENERATED ? FX_DROP_NEW : 0, fx);
}

bool machine_can_go_back(const struct machine *m)
{
    enum run_state state = m->state == RUN_FROZEN ? m->frozen_in : m->state;
    return !m->past && !run_state_ended(state) && state != RUN_ROLLING_BACK;
}

static bool take_back(struct machine *m, enum run_event event, unsigned *fx)
{
    if (event == EV_SILENT && m->hold_silent)
        return true;
    if (event == EV_CANCEL && !machine_can_go_back(m))
        return false;
    if (m->past)
        return true; /* forward only: the caller goes on trying */
    if (m->state == RUN_FROZEN)
        thaw(m);
    if (m->mends || untouched(m->state))
        cancel(m, fx);
    else
        begin_back(m, fx);
    return true;
}

/* On the way back the first no is looked into and tried again. */
static bool first_no(struct machine *m, enum run_event event)
{
    return event == EV_PERMANENT && m->state == RUN_ROLLING_BACK && m->refused_back++ == 0;
}

bool machine_event(struct machine *m, enum run_event event, unsigned *ret_fx)
{
    if (first_no(m, event))
        event = EV_UNREACH;
    const struct transition *t = transition_find(m->state, event);
    unsigned fx = 0;
    bool known = true;
    if (m->mends && m->state == RUN_PREFLIGHT && event == EV_REFUSED) {
        mend(m, &fx); /* that is what it is there for */
        *ret_fx = fx;
        return true;
    }
    switch (t->act) {
    case ACT_UNKNOWN:
    case ACT_REFUSE:
        return false;
    case ACT_STAY:
    case ACT_RETRY:
        m->fresh = false;
        break;
    case ACT_PROBE:
        m->fresh = false;
        m->said_no = m->said_no || (event == EV_PERMANENT && m->state == RUN_APPLYING);
        m->bad_value = m->bad_value || event == EV_VALUE;
        m->doubt = event == EV_UNHEALTHY;
        break;
    case ACT_GO:
        went(m, t->next, &fx);
        break;
    case ACT_BACK:
        known = take_back(m, event, &fx);
        break;
    case ACT_FREEZE:
        freeze(m, t->code, &fx);
        break;
    case ACT_CANCEL:
        cancel(m, &fx);
        break;
    case ACT_THAW:
        thaw(m);
        break;
    }
    if (known)
        *ret_fx = fx;
    return known;
}

void machine_freeze(struct machine *m, enum frozen_code code, unsigned *ret_fx)
{
    unsigned fx = 0;
    if (m->state != RUN_FROZEN)
        freeze(m, code, &fx);
    *ret_fx = fx;
}

void machine_resumed(struct machine *m)
{
    m->fresh = false;
    m->doubt = false;
}

enum machine_want machine_want(const struct machine *m)
{
    static const enum machine_want wants[RUN_STATE_COUNT] = {
        [RUN_PLANNED] = WANT_COMMIT,      [RUN_PREFLIGHT] = WANT_PREFLIGHT,
        [RUN_GENERATED] = WANT_COMMIT,    [RUN_APPLYING] = WANT_APPLY,
        [RUN_APPLIED] = WANT_COMMIT,      [RUN_VERIFYING] = WANT_VERIFY,
        [RUN_PROMOTED] = WANT_COMMIT,     [RUN_ACKING] = WANT_ACKS,
        [RUN_OVERLAPPING] = WANT_OVERLAP, [RUN_REVOKING] = WANT_REVOKE,
        [RUN_CONFIRMING] = WANT_PROBE,    [RUN_DONE] = WANT_NOTHING,
        [RUN_ROLLED_BACK] = WANT_NOTHING, [RUN_CANCELLED] = WANT_NOTHING,
        [RUN_FROZEN] = WANT_PERSON,       [RUN_MENDING] = WANT_RESTORE,
    };
    static const enum machine_want back_wants[BACK_STEP_COUNT] = {
        [BACK_RESTORE_OLD] = WANT_RESTORE,   [BACK_DEMOTE] = WANT_COMMIT,
        [BACK_REDISTRIBUTE] = WANT_RETURN,   [BACK_REVOKE_NEW] = WANT_REVOKE_NEW,
        [BACK_CONFIRM_OLD] = WANT_PROBE,
    };
    enum machine_want want = m->state == RUN_ROLLING_BACK ? back_wants[m->back] : wants[m->state];
    if ((want == WANT_APPLY || want == WANT_RESTORE) && !m->fresh)
        return WANT_PROBE;
    if (m->doubt && (want == WANT_ACKS || want == WANT_OVERLAP))
        return WANT_PROBE;
    return want;
}
