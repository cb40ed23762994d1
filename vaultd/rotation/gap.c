#include "vaultd/rotation/gap.h"

#include "lib/duration.h"

static bool is_state(const struct run_step *step, enum run_state state)
{
    return step->kind == STEP_STATE && strcmp(step->name, run_state_text(state)) == 0;
}

/* Behind the last step that counts: an acknowledgement during the overlap is of somebody who had it before. */
static size_t end_of_moving(const struct run *run, const struct run_step *steps, size_t n)
{
    if (run->machine.state != RUN_DONE)
        return n;
    for (size_t i = n; i > 0; i--)
        if (is_state(&steps[i - 1], RUN_OVERLAPPING))
            return i;
    return n;
}

static int64_t time_of(const struct run_step *steps, size_t n, enum run_state state)
{
    for (size_t i = n; i > 0; i--)
        if (is_state(&steps[i - 1], state))
            return steps[i - 1].at_ms;
    return 0;
}

static struct gap gap_between(enum gap_until until, int64_t from_ms, int64_t to_ms)
{
    return (struct gap){until, to_ms > from_ms ? to_ms - from_ms : 0};
}

static bool has_step(const struct run_step *steps, size_t n, enum step_kind kind, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (steps[i].kind == kind && strcmp(steps[i].name, name) == 0)
            return true;
    return false;
}

/* Steps have the wall clock's times, which somebody set back meanwhile. */
static bool was_set_back(const struct run_step *steps, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (steps[i].at_ms < steps[i - 1].at_ms)
            return true;
    return false;
}

/* Not all that somebody was cut off by is in the steps. */
static bool is_unknown(const struct run *run, const struct run_step *steps, size_t n)
{
    const struct machine *m = &run->machine;
    bool early = m->strategy != STRATEGY_IN_PLACE && (m->alone || (m->given && m->values > 0));
    return m->both_dead > 0 || m->mends || early || has_step(steps, n, STEP_STATE, run_state_text(RUN_FROZEN));
}

/* Somebody may have had what ended, and was not waited for. */
static bool left_some(const struct run *run, const struct run_step *steps, size_t n)
{
    if (!run_touches_target(run)) /* what lasts until it ends by itself */
        return false;
    bool silent = run->silent_passed || has_step(steps, n, STEP_NOTE, STEP_NAME_SILENT);
    if (run->machine.state != RUN_DONE)
        return silent;
    return silent || run->loose_passed || has_step(steps, n, STEP_NOTE, STEP_NAME_ASIDE) ||
           has_step(steps, n, STEP_NOTE, STEP_NAME_LOST);
}

/* The target had lost the new one, which consumers ran by then. */
static bool set_again(const struct run_step *steps, size_t n)
{
    bool promoted = false;
    for (size_t i = 0; i < n; i++) {
        if (promoted && steps[i].kind == STEP_INTENT && strcmp(steps[i].name, run_intent_text(INTENT_APPLY)) == 0)
            return true;
        promoted = promoted || is_state(&steps[i], RUN_PROMOTED);
    }
    return false;
}

static enum gap_until moved_until(const struct run *run, const struct run_step *steps, size_t n)
{
    if (left_some(run, steps, n))
        return GAP_LEAST;
    return run->machine.state == RUN_DONE ? GAP_ACKNOWLEDGED : GAP_BACK;
}

/* On the way back nobody says beforehand what he has. */
static bool all_had_both(const struct run *run, const struct run_step *steps, size_t n)
{
    return run->n_both > 0 && run->n_bare == 0 && moved_until(run, steps, n) == GAP_ACKNOWLEDGED;
}

struct gap gap_of(const struct run *run, const struct run_step *steps, size_t n)
{
    int64_t ordered = 0, moved = 0;
    uint32_t meant = run->machine.state == RUN_DONE ? run->to : run->from;
    if (is_unknown(run, steps, n))
        return (struct gap){GAP_UNKNOWN, 0};
    size_t end = end_of_moving(run, steps, n);
    for (size_t i = 0; i < end && run->machine.strategy == STRATEGY_IN_PLACE; i++) {
        const struct run_step *step = &steps[i];
        if (step->kind == STEP_INTENT && ordered == 0)
            ordered = step->at_ms;
        else if (step->kind == STEP_INTENT && strcmp(step->name, run_intent_text(INTENT_RESTORE)) == 0)
            moved = 0; /* what was said before is of the new one */
        else if (step->kind == STEP_ACK && step->ok && step->version == meant && ordered != 0)
            moved = step->stamp_ms > step->at_ms ? step->stamp_ms : step->at_ms;
    }
    if (ordered != 0 && was_set_back(steps, n) && !all_had_both(run, steps, n))
        return (struct gap){GAP_UNKNOWN, 0};
    if (ordered == 0)
        return (struct gap){left_some(run, steps, n) || set_again(steps, n) ? GAP_UNKNOWN : GAP_NONE, 0};
    if (all_had_both(run, steps, n))
        return (struct gap){GAP_HELD, 0};
    /* Of very many the last ones' words are not noted. */
    if (end > 0 && steps[end - 1].seq > ACKS_MAX && !left_some(run, steps, n))
        moved = run->machine.state == RUN_DONE ? time_of(steps, n, RUN_OVERLAPPING) : run->ended_ms;
    if (moved != 0)
        return gap_between(moved_until(run, steps, n), ordered, moved);
    if (run->machine.state != RUN_DONE)
        return gap_between(moved_until(run, steps, n), ordered, run->ended_ms);
    return gap_between(GAP_READABLE, ordered, time_of(steps, n, RUN_PROMOTED));
}

/* ---- for people and programs ---- */

static const struct gap_words {
    const char *word, *sentence, *after, *row;
} words[] = {
    [GAP_NONE] = {"", "Nobody was cut off.", NULL, "none"},
    [GAP_UNKNOWN] = {"", "The target refused somebody what he had for a while, or may have: for how long was not measured.", NULL, "not measured"},
    [GAP_ACKNOWLEDGED] = {"acknowledged", "One password at a time: new connections failed for up to ", ".",
                          "at most, from the order to the target to the last consumer's acknowledgement"},
    [GAP_READABLE] = {"readable", "One password at a time: new connections failed for at least ",
                      "; no consumer says when it took the new one.",
                      "at least, from the order to the target until the new value could be read"},
    [GAP_LEAST] = {"least", "One password at a time: new connections failed for at least ",
                   "; not everybody was waited for.",
                   "at least, from the order to the target to the acknowledgement of the last consumer that was waited for"},
    [GAP_HELD] = {"held", "One password at a time, and each registered consumer had both before the change: none of them was cut off.",
                  NULL, "none: each registered consumer had both before the change"},
    [GAP_BACK] = {"back", "One password at a time: new connections failed for up to ", ".",
                  "at most, from the order to the target until everybody had the old value again"},
};

const char *gap_word(const struct gap *gap)
{
    return words[gap->until].word;
}

void gap_say(const struct gap *gap, struct kt_buf *out)
{
    char took[KT_DURATION_TEXT];
    const struct gap_words *w = &words[gap->until];
    kt_duration_text((uint64_t)gap->ms, took);
    kt_buf_add_text(out, w->sentence);
    if (w->after != NULL)
        kt_buf_printf(out, "%s%s", took, w->after);
}

void gap_show(const struct gap *gap, struct kt_jsonw *w)
{
    kt_jsonw_key(w, "gap_ms");
    if (gap->until == GAP_UNKNOWN)
        kt_jsonw_null(w);
    else
        kt_jsonw_int(w, gap->ms);
    kt_jsonw_kv_text(w, "gap_until", words[gap->until].word);
}

void gap_row(const struct gap *gap, struct kt_buf *out)
{
    kt_buf_add_text(out, "- gap: ");
    if (words[gap->until].after != NULL)
        kt_buf_printf(out, "%lld ms ", (long long)gap->ms);
    kt_buf_printf(out, "%s\n", words[gap->until].row);
}
