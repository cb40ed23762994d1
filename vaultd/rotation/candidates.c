#include "vaultd/rotation/candidates.h"

#include "vaultd/rotation/pass.h"

bool candidates_matter(const struct run *run)
{
    return run->machine.strategy == STRATEGY_IN_PLACE && !run->machine.given;
}

bool candidates_tries_two(const struct run *run, const struct consumer *consumer)
{
    return consumer->candidates == CONSUMER_TWO &&
           (run->settings.require_healthy || consumer->state != CONSUMER_UNHEALTHY);
}

bool candidates_has_both(const struct run *run, const struct consumer *consumer)
{
    return consumer->candidates == CONSUMER_TWO && consumer->holds == run->to && consumer->state == CONSUMER_HEALTHY;
}

struct judged {
    size_t both, declared;
    const struct consumer *missing; /* one that declared it and has not both */
    const struct consumer *bare;    /* one that did not declare it, or is not well and need not be */
    const struct consumer *lost;    /* one that had both when its host was heard of last */
    size_t n_lost;
    int64_t since_ms;               /* when the last of them had both */
    int64_t lacks_ms;               /* since when the last of them that has not */
};

static struct judged judge(const struct work *w)
{
    struct judged judged = {0};
    for (size_t i = 0; i < w->n_consumers; i++) {
        const struct consumer *c = &w->consumers[i];
        if (!candidates_tries_two(&w->run, c)) {
            judged.bare = i == judged.declared ? c : judged.bare; /* the first one */
            continue;
        }
        judged.declared++;
        if (candidates_has_both(&w->run, c)) {
            judged.both++;
            if (consumer_lost(w->req, c) && judged.n_lost++ == 0)
                judged.lost = c;
            judged.since_ms = c->holds_ms > judged.since_ms ? c->holds_ms : judged.since_ms;
            continue;
        }
        judged.missing = judged.missing == NULL ? c : judged.missing;
        judged.lacks_ms = c->lacks_ms > judged.lacks_ms ? c->lacks_ms : judged.lacks_ms;
    }
    return judged;
}

static enum kt_kind give_up(struct pass *p, struct work *w, const struct consumer *c, struct kt_err *err)
{
    const struct run *run = &w->run;
    const char *why = kt_arena_printf(
        &w->req->arena, "%s@%s did not say within %lld s that it has v%u beside v%u (it is %s on v%u%s%s)", c->service,
        c->host, (long long)run->settings.ack_timeout_s, run->to, run->from, consumer_state_text(c->state),
        c->version, c->detail[0] == '\0' ? "" : ": ", c->detail);
    if (why == NULL)
        return kt_fail(err, KT_NO_MEMORY, "noting who does not have both");
    w->blameless = true; /* the target was not asked */
    return pass_event(p, w, EV_SILENT, why, err);
}

/* Who had it and was started again, or came, or counts again, has as long as in the beginning; for ever so, but for
 * max_overlap. */
static bool is_late(struct pass *p, const struct run *run, int64_t lacks_ms, int64_t *ret_at)
{
    if (p->had_both)
        p->lost_ms = p->now_ms;
    p->had_both = false;
    int64_t again = (lacks_ms > p->lost_ms ? lacks_ms : p->lost_ms) + run->settings.ack_timeout_s * 1000;
    int64_t most = run->state_ms + run->settings.max_overlap_s * 1000;
    bool late = pass_deadline_over(p, run, ret_at);
    again = again < most ? again : most;
    if (*ret_at != 0 && *ret_at < again)
        *ret_at = again;
    return late && p->now_ms >= again;
}

/* After a restart it has a moment left: who was started again meanwhile could not say so. */
static int64_t overlap_ends(const struct pass *p, const struct run *run, int64_t since_ms)
{
    int64_t span = run->settings.overlap_s * 1000, until = since_ms + span;
    int64_t least = p->active->since_ms + (span < PASS_RESTART_MS ? span : PASS_RESTART_MS);
    return until > least ? until : least;
}

enum kt_kind await_candidates(struct pass *p, struct work *w, bool *ret_held, struct kt_err *err)
{
    const struct run *run = &w->run;
    struct judged judged = judge(w);
    int64_t at = 0;
    *ret_held = false;
    if (!candidates_matter(run))
        return KT_OK;
    p->had_both = p->had_both || judged.declared == 0;
    if (judged.declared == 0)
        return KT_OK;
    *ret_held = true;
    if (judged.missing != NULL) {
        const struct consumer *c = judged.missing;
        bool late = is_late(p, run, judged.lacks_ms, &at);
        if (late && !run->machine.hold_silent)
            return give_up(p, w, c, err);
        pass_wait(p, pass_or_window(p, w, late ? 0 : at),
                  "consumers %zu/%zu to have v%u beside v%u; %s@%s is %s on v%u%s%s", judged.both, judged.declared,
                  run->to, run->from, c->service, c->host, consumer_state_text(c->state), c->version,
                  c->detail[0] == '\0' ? "" : ": ", c->detail);
        return KT_OK;
    }
    p->had_both = true;
    int64_t until = overlap_ends(p, run, judged.since_ms);
    *ret_held = p->now_ms < until;
    if (*ret_held)
        pass_wait(p, pass_or_window(p, w, until), "the overlap, for who got v%u alone before each consumer had both",
                  run->from);
    else
        *ret_held = await_lost(p, judged.n_lost, judged.lost,
                               pass_or_window(p, w, await_most_from(p, run, run->state_ms)));
    return KT_OK;
}

enum kt_kind candidates_note(struct work *w, struct kt_err *err)
{
    struct run *run = &w->run;
    struct judged judged = judge(w);
    struct batch *batch = request_batch(w->req);
    if (!candidates_matter(run))
        return KT_OK;
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "noting who has both");
    consumers_require(w->req, run->secret_id, batch);
    run->n_both = run->n_bare = 0; /* of a value before */
    if (judged.declared == 0)
        return KT_OK;
    run->n_both = (uint32_t)judged.both;
    run->n_bare = (uint32_t)(w->n_consumers - judged.declared);
    const char *text =
        judged.bare == NULL
            ? kt_arena_printf(&w->req->arena, "each of %u consumers has v%u beside v%u", run->n_both, run->to, run->from)
            : kt_arena_printf(&w->req->arena,
                              "%u consumers have v%u beside v%u; %u have one at a time or are not well, and are cut off "
                              "until they run v%u (%s@%s)",
                              run->n_both, run->to, run->from, run->n_bare, run->to, judged.bare->service,
                              judged.bare->host);
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "noting who has both");
    enum kt_kind kind = work_note(w, STEP_NOTE, STEP_NAME_BOTH, true, text, 0, err);
    return kind == KT_OK && judged.lost != NULL ? await_note_lost(w, judged.lost, err) : kind;
}
