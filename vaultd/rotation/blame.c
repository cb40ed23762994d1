#include "vaultd/rotation/candidates.h"
#include "vaultd/rotation/tell.h"
#include "vaultd/rotation/text.h"
#include "vaultd/rotation/veto.h"
#include "vaultd/rotation/work.h"

/* Which consumers keep runs of a secret from ending well. It is written in the commit that moves the run:
 * after it, going back makes them well again. */

#define CHANGED_MOST 5u /* each is up to 2 and one a channel, of a batch's 100 operations; who is left over is noted the next time */

/* Why it is blamed for what the run does now; NULL: it is not. */
typedef const char *blame_fn(struct work *w, const struct consumer *consumer);

static const char *is_in_trouble(struct work *w, const struct consumer *c)
{
    if (!consumer_in_trouble(&w->run, c))
        return NULL;
    return kt_arena_printf(&w->req->arena, "not healthy on v%u%s%s", w->run.to,
                           c->detail[0] == '\0' ? "" : ": ", c->detail);
}

static const char *is_silent(struct work *w, const struct consumer *c)
{
    if (consumer_acked(&w->run, c))
        return NULL;
    return kt_arena_printf(&w->req->arena, "did not acknowledge v%u within %lld s, it was %s on v%u",
                           w->run.to, (long long)w->run.settings.ack_timeout_s,
                           consumer_state_text(c->state), c->version);
}

static const char *is_without(struct work *w, const struct consumer *c)
{
    if (!candidates_tries_two(&w->run, c) || candidates_has_both(&w->run, c))
        return NULL;
    return kt_arena_printf(&w->req->arena, "did not say within %lld s that it has v%u beside v%u, it was %s on v%u",
                           (long long)w->run.settings.ack_timeout_s, w->run.to, w->run.from,
                           consumer_state_text(c->state), c->version);
}

static const char *is_sick(struct work *w, const struct consumer *c)
{
    if (c->state != CONSUMER_UNHEALTHY)
        return NULL;
    return kt_arena_printf(&w->req->arena, "not healthy before anything was changed%s%s",
                           c->detail[0] == '\0' ? "" : ": ", c->detail);
}

/* The command that puts it aside. */
static const char *aside(struct work *w, const struct veto *veto)
{
    const char *who = kt_arena_printf(&w->req->arena, "%s@%s", veto->service, veto->host);
    const char *secret = text_word(w->req, veto->secret);
    who = who == NULL ? NULL : text_word(w->req, who);
    return who == NULL || secret == NULL
               ? NULL
               : kt_arena_printf(&w->req->arena, "secretctl consumer quarantine %s %s -reason=\"...\"", who, secret);
}

static enum kt_kind alarm(struct work *w, const struct veto *veto, struct kt_err *err)
{
    char id[RUN_ID_TEXT];
    run_id_text(w->run.id, id);
    request_log(w->req, KT_LOG_WARNING, "rotation-consumer-vetoes",
                "run=%s times=%u next=\"secretctl consumer quarantined\"", id, veto->times);
    const char *next = aside(w, veto);
    const char *text = next == NULL ? NULL : kt_arena_printf(
        &w->req->arena, "%s@%s kept %u runs in a row from ending well (%s); until it is mended: %s",
        veto->service, veto->host, veto->times, veto->why, next);
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "noting which consumer vetoes");
    enum kt_kind kind = work_note(w, STEP_NOTE, STEP_NAME_VETO, false, text, 0, err);
    return kind == KT_OK && veto->times == VETO_ALARM ? tell_veto(w, veto, next, err) : kind;
}

static enum kt_kind add_veto(struct work *w, const struct consumer *c, const char *why, struct kt_err *err)
{
    struct veto veto = {.secret = w->run.name, .host = c->host, .service = c->service};
    if (c->veto != NULL)
        veto = *c->veto;
    else
        veto.by = veto.reason = "";
    if (veto.at_ms <= w->secret.last_done_ms)
        veto.times = 0; /* a run ended well since */
    if (veto.times < UINT32_MAX)
        veto.times++;
    veto.why = why;
    veto.at_ms = w->req->now_ms;
    enum kt_kind kind = veto_save(w->req, w->run.secret_id, &veto, err);
    return kind == KT_OK && veto.times >= VETO_ALARM ? alarm(w, &veto, err) : kind;
}

/* Of those that are waited for: adds one to each that is to blame, and ends the row of each that took the
 * new version. */
static enum kt_kind judge_all(struct work *w, blame_fn *blames, struct kt_err *err)
{
    unsigned changed = 0;
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; i < w->n_consumers && changed < CHANGED_MOST && kind == KT_OK; i++) {
        const struct consumer *c = &w->consumers[i];
        const char *why = blames == NULL ? NULL : blames(w, c);
        if (why != NULL) {
            kind = add_veto(w, c, why, err);
            changed++;
        } else if (c->veto != NULL && consumer_acked(&w->run, c)) {
            struct veto over = *c->veto;
            over.times = 0;
            kind = veto_save(w->req, w->run.secret_id, &over, err);
            changed++;
        }
    }
    return kind;
}

static enum kt_kind note_aside(struct work *w, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    for (size_t i = w->n_consumers; i < w->n_all && i < w->n_consumers + CHANGED_MOST && kind == KT_OK; i++) {
        const struct consumer *c = &w->consumers[i];
        const char *text = kt_arena_printf(
            &w->req->arena, "nobody waited for %s@%s (%s on v%u): %s put it aside: %s", c->service,
            c->host, consumer_state_text(c->state), c->version, c->veto->by, c->veto->reason);
        kind = text == NULL ? kt_fail(err, KT_NO_MEMORY, "noting who is put aside")
                            : work_note(w, STEP_NOTE, STEP_NAME_ASIDE, false, text, 0, err);
    }
    return kind;
}

enum kt_kind work_blame(struct work *w, int64_t now_ms, struct kt_err *err)
{
    const struct run *run = &w->run;
    enum run_state state = run->machine.state;
    bool waited = w->before == RUN_ACKING || w->before == RUN_OVERLAPPING;
    if (state == w->before || w->n_all == 0)
        return KT_OK;
    if (waited && (state == RUN_REVOKING || state == RUN_CONFIRMING || state == RUN_DONE)) {
        enum kt_kind kind = note_aside(w, err);
        return kind == KT_OK ? judge_all(w, NULL, err) : kind;
    }
    if (waited && state == RUN_ROLLING_BACK) {
        struct acks acks;
        acks_judge(run, w->consumers, w->n_consumers, &acks);
        bool late = run->deadline_ms != 0 && now_ms >= run->deadline_ms;
        if (acks.trouble != NULL || late)
            return judge_all(w, acks.trouble != NULL ? is_in_trouble : is_silent, err);
    }
    if (w->before == RUN_PREFLIGHT && state == RUN_CANCELLED && w->blameless)
        return judge_all(w, is_sick, err);
    if (w->before == RUN_GENERATED && state == RUN_CANCELLED && w->blameless && !run->window_closed)
        return judge_all(w, is_without, err);
    return KT_OK;
}
