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

/* ---- where it is ---- */

/* A frozen run is where it froze. */
static enum run_state state_of(const struct machine *m)
{
    return m->state == RUN_FROZEN ? m->frozen_in : m->state;
}

/* Before anything was sent there is nothing to go back from. */
static bool untouched(enum run_state state)
{
    return state == RUN_PLANNED || state == RUN_PREFLIGHT || state == RUN_GENERATED;
}

bool machine_only_ahead(const struct machine *m)
{
    return m->past || m->bound || (m->old_dead && !untouched(state_of(m)));
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

/* In-place has to set the old credential first, and so has whoever knows that it died meanwhile: nobody
 * is sent back to what is refused. Else switching the stage back is enough, and then the new one is ended.
 * asked: the target said just now that it accepts the old one. */
static void begin_back(struct machine *m, bool asked, unsigned *fx)
{
    KT_ASSERT(!m->old_dead);
    bool died = m->alone && m->promoted && !m->given;
    if (m->strategy == STRATEGY_IN_PLACE || died) {
        restore(m, fx);
        return;
    }
    go(m, RUN_ROLLING_BACK);
    if (m->promoted && !asked && m->strategy != STRATEGY_GENERATE)
        m->back = BACK_ASK_OLD;
    else if (m->promoted)
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

static bool asks_old(const struct machine *m)
{
    return m->state == RUN_ROLLING_BACK && m->back == BACK_ASK_OLD;
}

/* ---- the probe's decisions ---- */

/* What everybody would be sent back to. Where it is refused and cannot be set again nothing is left to go back
 * to; a drill becomes a rotation. */
static void note_old(struct machine *m, bool accepted, unsigned *fx)
{
    *fx |= accepted || (m->alone && m->promoted) ? 0u : FX_ALONE;
    m->alone = !accepted;
    if (m->given && m->alone) {
        m->past = true;
        m->drills = false;
    }
}

static void forward_from(struct machine *m, bool old_accepted, unsigned *fx)
{
    note_old(m, old_accepted, fx);
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
        if (!m->hold_unhealthy && !machine_only_ahead(m) && (old_accepted || m->strategy == STRATEGY_IN_PLACE))
            begin_back(m, true, fx);
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

/* What the target made and does not accept any more is lost: there is no setting it again. Before it said
 * yes there is no value, and another one is made. */
static bool is_lost(const struct machine *m)
{
    return m->given && !(m->state == RUN_APPLYING && m->open);
}

/* Nothing that is stored works, or there is no way back to it: the target makes another value, once. Then
 * somebody has to look at a target that forgets what it makes. */
static void make_another(struct machine *m, enum frozen_code code, unsigned *fx)
{
    if (m->values >= OTHER_VALUES) {
        freeze(m, code, fx);
        return;
    }
    m->values++;
    m->said_no = false;
    m->back = BACK_NONE;
    apply(m, fx);
}

/* The old one lives. */
static void lose(struct machine *m, unsigned *fx)
{
    *fx |= m->promoted ? FX_PAGE : 0u;
    if (machine_only_ahead(m))
        make_another(m, FROZEN_NEW_DEAD, fx);
    else
        begin_back(m, true, fx);
}

/* The target does not have it: never had, or lost it. */
static void apply_again(struct machine *m, unsigned *fx)
{
    if (is_lost(m)) {
        lose(m, fx);
        return;
    }
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
            if (machine_only_ahead(m))
                freeze(m, m->promoted ? FROZEN_NEW_DEAD : FROZEN_BOTH_DEAD, fx);
            else
                begin_back(m, true, fx);
            return;
        }
        m->applied_again++;
    }
    apply(m, fx);
}

/* The old one was dead already: that the target refuses both is what the new one is to end. */
static bool was_so_before(const struct machine *m)
{
    return m->old_dead && !m->promoted && !m->given;
}

static void both_dead(struct machine *m, unsigned *fx)
{
    /* It was asked for a value and was not heard to make one. */
    bool waits = m->given && !is_lost(m) && !m->said_no;
    *fx |= waits && m->both_dead > 0 ? 0u : FX_PAGE;
    if (is_lost(m)) {
        make_another(m, m->past ? FROZEN_NEW_DEAD : FROZEN_BOTH_DEAD, fx);
        return;
    }
    if (m->both_dead > 0 && !waits) {
        freeze(m, m->past ? FROZEN_NEW_DEAD : FROZEN_BOTH_DEAD, fx);
        return;
    }
    m->both_dead = 1;
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
    if (m->strategy == STRATEGY_GENERATE) /* there is no target where it could be ended */
        end(m, RUN_ROLLED_BACK, 0, fx);
    else if (m->strategy == STRATEGY_IN_PLACE)
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

/* The old one died, and what the target made cannot be set again: the way back has become a way into
 * nothing. A drill becomes a rotation. */
static void turn_ahead(struct machine *m, bool new_accepted, unsigned *fx)
{
    *fx |= FX_PAGE;
    m->past = true;
    m->drills = false;
    m->open = false;
    if (!new_accepted) {
        make_another(m, FROZEN_NEW_DEAD, fx);
        return;
    }
    m->back = BACK_NONE;
    go(m, RUN_VERIFYING);
}

static void restore_again(struct machine *m, bool new_accepted, unsigned *fx)
{
    if (m->given) {
        turn_ahead(m, new_accepted, fx);
        return;
    }
    if (m->restored++ >= RESTORE_AGAIN) {
        freeze(m, new_accepted ? FROZEN_ROLLBACK : FROZEN_BOTH_DEAD, fx);
        return;
    }
    *fx |= FX_PAGE;
    restore(m, fx);
}

/* What everybody is about to be sent back to. The new one is asked about where it matters. */
static void asked_old(struct machine *m, bool accepted, unsigned *fx)
{
    note_old(m, accepted, fx);
    if (accepted) {
        m->back = BACK_DEMOTE;
    } else if (m->given) {
        turn_ahead(m, true, fx);
    } else {
        *fx |= FX_PAGE;
        restore(m, fx);
    }
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

/* Another value, which the target made after the point of no return, has the way of a new one until the old
 * one is to be ended again. */
static bool is_another(const struct machine *m)
{
    return m->given && (m->state == RUN_APPLYING || m->state == RUN_VERIFYING || m->state == RUN_ACKING ||
                        m->state == RUN_OVERLAPPING);
}

void machine_answers(struct machine *m, bool new_accepted, bool old_accepted, unsigned *ret_fx)
{
    unsigned fx = 0;
    if (m->mends) {
        mended(m, old_accepted, &fx);
        *ret_fx = fx;
        return;
    }
    if (asks_old(m)) {
        asked_old(m, old_accepted, &fx);
        *ret_fx = fx;
        return;
    }
    if (m->promoted && !m->past && m->state != RUN_ROLLING_BACK)
        note_old(m, old_accepted, &fx);
    enum run_intent intent = m->state == RUN_ROLLING_BACK ? m->intent
                             : m->past && !is_another(m)  ? INTENT_REVOKE
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
        if (was_so_before(m))
            apply_again(m, &fx);
        else
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
    case BACK_ASK_OLD:
        m->back = BACK_DEMOTE;
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

static void went(struct machine *m, enum run_state next, unsigned *fx)
{
    switch (m->state) {
    case RUN_PREFLIGHT:
        if (m->mends) {
            end(m, RUN_DONE, 0, fx); /* it is accepted: nothing is to be mended */
            return;
        }
        *fx |= m->given ? FX_PUBLIC : FX_VALUE;
        break;
    case RUN_GENERATED:
        apply(m, fx);
        return;
    case RUN_APPLYING:
        *fx |= m->given ? FX_VALUE | FX_MARK_NEW : 0u;
        m->open = false;
        break;
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
            m->turned = true; /* what a drill is for */
            begin_back(m, false, fx);
            return;
        }
        m->past = true;
        if (m->strategy != STRATEGY_IN_PLACE) {
            revoke(m, fx);
            return;
        }
        next = RUN_CONFIRMING; /* applying the new one ended the old one */
        break;
    case RUN_ACKING:
        if (m->strategy != STRATEGY_GENERATE)
            break;
        end(m, RUN_DONE, 0, fx); /* without a target there is nothing to be ended */
        return;
    case RUN_VERIFYING:
    case RUN_CONFIRMING:
        KT_ASSERT(!"these go by machine_answers()");
    case RUN_PLANNED:
    case RUN_APPLIED:
    case RUN_PROMOTED:
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
    bool waited = m->strategy != STRATEGY_GENERATE &&
                  (m->frozen_in == RUN_ACKING || m->frozen_in == RUN_OVERLAPPING);
    m->said_no = m->bad_value = false;
    m->values = m->given ? 0 : m->values;
    m->applied_again = m->both_dead = m->revoked_again = m->restored = m->refused_back = 0;
    m->frozen = FROZEN_NOT;
    go(m, waited ? RUN_APPLYING : m->frozen_in);
}

static void cancel(struct machine *m, unsigned *fx)
{
    end(m, RUN_CANCELLED, m->state == RUN_GENERATED ? FX_DROP_NEW : 0, fx);
}

bool machine_ends_old(const struct machine *m)
{
    enum run_state state = state_of(m);
    return state == RUN_REVOKING || state == RUN_CONFIRMING;
}

bool machine_can_go_back(const struct machine *m)
{
    enum run_state state = state_of(m);
    return !machine_only_ahead(m) && !run_state_ended(state) && state != RUN_ROLLING_BACK;
}

bool machine_can_give_up(const struct machine *m)
{
    if (m->state != RUN_FROZEN || m->mends || untouched(m->frozen_in))
        return false;
    return m->frozen == FROZEN_STORE || (m->old_dead && !m->promoted);
}

bool machine_gave_up(const struct machine *m)
{
    return m->state == RUN_CANCELLED && m->frozen != FROZEN_NOT;
}

void machine_old_is_dead(struct machine *m)
{
    m->old_dead = true;
    m->drills = false;
}

bool machine_believe_old_is_dead(struct machine *m)
{
    enum run_state state = state_of(m);
    bool asks = state == RUN_PLANNED || state == RUN_PREFLIGHT;
    if (m->strategy == STRATEGY_GENERATE || m->mends || asks || state == RUN_ROLLING_BACK || run_state_ended(state))
        return false;
    machine_old_is_dead(m);
    return true;
}

static bool take_back(struct machine *m, enum run_event event, unsigned *fx)
{
    if (event == EV_SILENT && m->hold_silent)
        return true;
    if (event == EV_CANCEL && machine_can_give_up(m)) {
        end(m, RUN_CANCELLED, FX_GIVE_UP, fx);
        return true;
    }
    if (event == EV_CANCEL && !machine_can_go_back(m))
        return false;
    if (machine_only_ahead(m))
        return true; /* forward only: the caller goes on trying */
    if (m->state == RUN_FROZEN)
        thaw(m);
    if (m->mends || untouched(m->state))
        cancel(m, fx);
    else
        begin_back(m, false, fx);
    return true;
}

/* It does not say whether it accepts the old one: consumers that are to go back do not wait until it does. */
static bool goes_unasked(const struct machine *m, enum run_event event)
{
    enum run_act act = transition_find(m->state, event)->act;
    return asks_old(m) && event != EV_CRASH && (act == ACT_PROBE || act == ACT_FREEZE);
}

/* On the way back the first no is looked into and tried again. */
static bool first_no(struct machine *m, enum run_event event)
{
    return event == EV_PERMANENT && m->state == RUN_ROLLING_BACK && m->refused_back++ == 0;
}

bool machine_event(struct machine *m, enum run_event event, unsigned *ret_fx)
{
    if (goes_unasked(m, event))
        event = EV_OK;
    else if (first_no(m, event))
        event = EV_UNREACH;
    const struct transition *t = transition_find(m->state, event);
    unsigned fx = 0;
    bool known = true;
    if (m->mends && m->state == RUN_PREFLIGHT && event == EV_REFUSED) {
        if (m->given) {
            m->mends = false; /* what the target made cannot be set again: it is a rotation from here on */
            went(m, RUN_GENERATED, &fx);
        } else {
            mend(m, &fx); /* that is what it is there for */
        }
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
        if (m->strategy == STRATEGY_GENERATE) { /* there is no target that could be to blame */
            known = m->hold_unhealthy || take_back(m, event, &fx);
            break;
        }
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
        [BACK_CONFIRM_OLD] = WANT_PROBE,     [BACK_ASK_OLD] = WANT_ASK_OLD,
    };
    enum machine_want want = m->state == RUN_ROLLING_BACK ? back_wants[m->back] : wants[m->state];
    if ((want == WANT_APPLY || want == WANT_RESTORE) && !m->fresh)
        return WANT_PROBE;
    if (m->doubt && (want == WANT_ACKS || want == WANT_OVERLAP))
        return WANT_PROBE;
    return want;
}
