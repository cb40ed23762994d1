#include "vaultd/rotation/tell.h"

#include "lib/duration.h"
#include "vaultd/rotation/drill.h"
#include "vaultd/rotation/rotation.h"
#include "vaultd/rotation/served.h"
#include "vaultd/rotation/overdue.h"
#include "vaultd/rotation/text.h"
#include "vaultd/rotation/veto.h"
#include "vaultd/rotation/zombies.h"

/* *notice has event, hurt, verdict and next; NULL of one of them: there was no memory for it. */
static enum kt_kind tell(struct work *w, struct notice *notice, struct kt_err *err)
{
    char id[RUN_ID_TEXT];
    run_id_text(w->run.id, id);
    notice->secret = w->run.name;
    notice->run = kt_arena_text(&w->req->arena, kt_str(id));
    if (notice->run == NULL || notice->verdict == NULL || notice->hurt == NULL || notice->next == NULL)
        return kt_fail(err, KT_NO_MEMORY, "telling people");
    return notify_tell(w->req, notice, w->run.settings.notify, NULL, err);
}

static const char *command(struct work *w, const char *form)
{
    char id[RUN_ID_TEXT];
    run_id_text(w->run.id, id);
    return kt_arena_printf(&w->req->arena, "secretctl %s %s", form, id);
}

static enum kt_kind is_noted(struct work *w, const char *name, bool *ret, struct kt_err *err)
{
    struct run_step *steps = NULL;
    size_t n = 0;
    enum kt_kind kind = steps_load(w->req, w->run.id, 0, &steps, &n, err);
    *ret = false;
    for (size_t i = 0; kind == KT_OK && i < n; i++)
        *ret = *ret || (steps[i].kind == STEP_NOTE && strcmp(steps[i].name, name) == 0);
    return kind;
}

/* ---- frozen ---- */

static const char *hurt_when_frozen(enum frozen_code code)
{
    switch (code) {
    case FROZEN_BOTH_DEAD:
    case FROZEN_NEW_DEAD:
        return "whoever opens a new connection; open sessions go on";
    case FROZEN_DRIFT:
    case FROZEN_UNMENDED:
        return "whoever logs in with what the vault has";
    case FROZEN_ROLLBACK:
    case FROZEN_STORE:
        return "perhaps services: see which of the two the target accepts";
    case FROZEN_NOT:
    case FROZEN_ADMIN:
    case FROZEN_OPEN:
    case FROZEN_SERVER:
    case FROZEN_OLD_ALIVE:
    case FROZEN_CANNOT_REVOKE:
    case FROZEN_CODE_COUNT:
        break;
    }
    return "nobody now";
}

enum kt_kind tell_frozen(struct work *w, struct kt_err *err)
{
    const struct run *run = &w->run;
    struct notice notice = {
        .event = NOTICE_FROZEN,
        .verdict = kt_arena_printf(&w->req->arena, "FROZEN  %s: %s (%s)", run->name, run->frozen_text,
                                   frozen_code_text(run->machine.frozen)),
        .hurt = hurt_when_frozen(run->machine.frozen),
        .next = command(w, "run show"),
    };
    return tell(w, &notice, err);
}

/* ---- ended ---- */

static enum kt_kind tell_back(struct work *w, struct kt_err *err)
{
    const struct run *run = &w->run;
    bool left = false;
    enum kt_kind kind = is_noted(w, STEP_NAME_SILENT, &left, err);
    if (kind != KT_OK)
        return kind;
    struct notice notice = {
        .event = NOTICE_ROLLED_BACK,
        .verdict = run->machine.drills
                       ? kt_arena_printf(&w->req->arena, "DRILL FAILED  %s: %s", run->name,
                                         w->secret.drill_text)
                       : kt_arena_printf(&w->req->arena, "ROLLED BACK  %s: v%u is in use again, v%u %s; because %s",
                                         run->name, run->from, run->to,
                                         run_touches_target(run) ? "is dead" : "lasts until it ends or is revoked",
                                         run->because),
        .hurt = left && run_touches_target(run) ? "who has the new one still: not everybody went back in time"
                : run->machine.both_dead > 0 ? "for a while whoever opened a new connection"
                                             : "nobody now",
        .next = command(w, "run report"),
    };
    return tell(w, &notice, err);
}

/* Somebody may have waited for it since he was told that it does not come to its end. */
static enum kt_kind tell_late(struct work *w, struct kt_err *err)
{
    const struct run *run = &w->run;
    bool lost = false, aside = false;
    enum kt_kind kind = is_noted(w, STEP_NAME_LOST, &lost, err);
    if (kind == KT_OK)
        kind = is_noted(w, STEP_NAME_ASIDE, &aside, err);
    if (kind != KT_OK)
        return kind;
    bool left = run_touches_target(run) && (lost || aside || run->silent_passed || run->loose_passed);
    struct notice notice = {
        .event = NOTICE_DONE_LATE,
        .verdict = run_touches_target(run)
                       ? kt_arena_printf(&w->req->arena, "DONE, late  %s: v%u is in use, v%u is refused", run->name,
                                         run->to, run->from)
                       : kt_arena_printf(&w->req->arena, "DONE, late  %s: v%u is current; %zu of %zu listeners show it",
                                         run->name, run->to, served_good(run), served_count(run)),
        .hurt = left                 ? "who has the old one still: not everybody was waited for"
                : run->served_passed ? "nobody now; who connects to a listener with another certificate, once that ends"
                                     : "nobody now",
        .next = command(w, "run report"),
    };
    return tell(w, &notice, err);
}

enum kt_kind tell_ended(struct work *w, struct kt_err *err)
{
    const struct run *run = &w->run;
    int64_t most = run->settings.max_overlap_s * 1000;
    if (run->machine.mends || drill_was_good(run))
        return KT_OK;
    if (run->machine.state == RUN_ROLLED_BACK)
        return tell_back(w, err);
    bool late = run_given_ms(run) != 0 && rotation_steady_ms(w->req->core->rotation) - run_given_ms(run) > most;
    return run->machine.state == RUN_DONE && late ? tell_late(w, err) : KT_OK;
}

/* ---- under way ---- */

enum kt_kind tell_stuck(struct work *w, bool answers, struct kt_err *err)
{
    const struct run *run = &w->run;
    bool back = !machine_ends_old(&run->machine);
    struct notice notice = {
        .event = NOTICE_STUCK,
        .verdict = kt_arena_printf(&w->req->arena, "%s  %s: %s %s; it is asked until it does",
                                   back ? "WAITS" : "OLD PASSWORD MAY STILL WORK", run->name, run->settings.target,
                                   answers ? "answers, but does not say who is let in" : "does not answer"),
        .hurt = back ? "whoever the target does not let in" : "",
        .next = command(w, "run show"),
    };
    if (!back)
        notice.hurt = kt_arena_printf(&w->req->arena,
                                      answers ? "not known: v%u is in use, and nobody saw it let in" : "nobody: v%u is in use",
                                      run->to);
    return tell(w, &notice, err);
}

enum kt_kind tell_no_way_back(struct work *w, const char *what, bool *ret_told, struct kt_err *err)
{
    const struct run *run = &w->run;
    bool noted = false;
    enum kt_kind kind = is_noted(w, STEP_NAME_AHEAD, &noted, err);
    *ret_told = kind == KT_OK && !noted && run->next_seq < STEPS_MAX; /* else it would be told over and over */
    if (!*ret_told)
        return kind;
    struct notice notice = {
        .event = NOTICE_NO_WAY_BACK,
        .verdict = kt_arena_printf(&w->req->arena, "NO WAY BACK  %s: %s, and v%u was dead before", run->name, what,
                                   run->from),
        .hurt = kt_arena_printf(&w->req->arena, "who has v%u: nobody gets in with it", run->from),
        .next = command(w, "run show"),
    };
    kind = tell(w, &notice, err);
    return kind == KT_OK ? work_note(w, STEP_NOTE, STEP_NAME_AHEAD, false, notice.verdict, 0, err) : kind;
}

enum kt_kind tell_zombie(struct work *w, struct kt_err *err)
{
    const struct run *run = &w->run;
    bool noted = false;
    int64_t now_ms = w->req->now_ms, since_ms = now_ms; /* as steps have it, and secretctl zombies */
    if (!machine_ends_old(&run->machine))
        return KT_OK;
    enum kt_kind kind = zombie_since(w->req, run, &since_ms, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (now_ms - since_ms <= run->settings.max_overlap_s * 1000)
        return KT_OK;
    kind = is_noted(w, STEP_NAME_ZOMBIE, &noted, err);
    if (kind != KT_OK || noted)
        return kind;
    struct notice notice = {
        .event = NOTICE_ZOMBIE,
        .verdict = kt_arena_printf(&w->req->arena,
                                   "OLD PASSWORD MAY STILL WORK  %s: v%u of %s at %s was not proven dead within "
                                   "max_overlap",
                                   run->name, run->from, run_account(run, run->slot_old), run->settings.target),
        .hurt = kt_arena_printf(&w->req->arena, "nobody: v%u is in use; who has v%u may still get in", run->to,
                                run->from),
        .next = "secretctl zombies",
    };
    kind = tell(w, &notice, err);
    return kind == KT_OK ? work_note(w, STEP_NOTE, STEP_NAME_ZOMBIE, false, notice.verdict, 0, err) : kind;
}

/* Without what the host says of it, which may hold anything. */
enum kt_kind tell_veto(struct work *w, const struct veto *veto, const char *aside, struct kt_err *err)
{
    struct notice notice = {
        .event = NOTICE_VETO,
        .verdict = kt_arena_printf(&w->req->arena,
                                   "NOT ROTATED  %s: %s@%s kept %u runs in a row from ending well",
                                   veto->secret, veto->service, veto->host, veto->times),
        .hurt = "nobody now; the credential grows older than it may be",
        .next = aside,
    };
    return tell(w, &notice, err);
}

enum kt_kind tell_held(struct work *w, uint32_t failures, struct kt_err *err)
{
    struct notice notice = {
        .event = NOTICE_HELD,
        .verdict = kt_arena_printf(&w->req->arena,
                                   "NOTHING STARTS  %u runs in a row failed at %s, the last one of %s",
                                   failures, w->run.settings.target, w->run.name),
        .hurt = "nobody now; what is due there gets overdue",
        .next = command(w, "run report"),
    };
    return tell(w, &notice, err);
}

enum kt_kind tell_drifted(struct request *req, const struct rotation_secret *secret, uint32_t version,
                          struct kt_err *err)
{
    const char *name = text_word(req, secret->name);
    const struct notice notice = {
        .event = NOTICE_DRIFTED,
        .secret = secret->name,
        .verdict = kt_arena_printf(&req->arena, "DRIFTED  %s: %s refuses v%u, which the vault has as current",
                                   secret->name, secret->settings.target, version),
        .hurt = "whoever logs in with what the vault has",
        .next = name == NULL ? NULL : kt_arena_printf(&req->arena, "secretctl run why %s", name),
    };
    if (notice.verdict == NULL || notice.next == NULL)
        return kt_fail(err, KT_NO_MEMORY, "telling people");
    return notify_tell(req, &notice, secret->settings.notify, NULL, err);
}

/* ---- overdue ---- */

static const char *why_overdue(struct request *req, const struct rotation_secret *secret,
                               const struct overdue *overdue)
{
    struct kt_arena *arena = &req->arena;
    char since[KT_TIME_TEXT], age[KT_DURATION_TEXT], most[KT_DURATION_TEXT];
    kt_time_text(overdue->since_ms, since);
    switch (overdue->why) {
    case OVERDUE_AGE:
        kt_duration_text((uint64_t)(req->now_ms - overdue->value_ms), age);
        kt_duration_text((uint64_t)overdue->max_age_ms, most);
        return kt_arena_printf(arena, "its value is %s old, it may be %s", age, most);
    case OVERDUE_FAILED:
        return kt_arena_printf(arena, "its time came at %s, and no run has ended well since", since);
    case OVERDUE_HELD:
        return kt_arena_printf(arena, "it starts never: %s", secret->held);
    case OVERDUE_LATE:
        return kt_arena_printf(arena, "its time came at %s, and it did not start", since);
    case OVERDUE_DRILL:
        return secret->drill_text[0] != '\0' && !secret->drill_ok
                   ? kt_arena_printf(arena, "going back was not tried: %s", secret->drill_text)
                   : kt_arena_printf(arena, "going back was to be tried at %s, and was not", since);
    case OVERDUE_NOT:
    case OVERDUE_FROZEN:
    case OVERDUE_REASON_COUNT:
        break;
    }
    return "it is overdue";
}

enum kt_kind tell_overdue(struct request *req, const struct rotation_secret *secret, const struct overdue *overdue,
                          struct kt_err *err)
{
    const char *why = why_overdue(req, secret, overdue), *name = text_word(req, secret->name);
    struct notice notice = {
        .event = NOTICE_OVERDUE,
        .secret = secret->name,
        .hurt = overdue->why == OVERDUE_DRILL ? "nobody now; nobody knows whether going back works"
                                              : "nobody now; the credential gets older than it is meant to",
        .next = name == NULL ? NULL : kt_arena_printf(&req->arena, "secretctl run why %s", name),
    };
    if (why != NULL)
        notice.verdict = kt_arena_printf(&req->arena, "OVERDUE  %s: %s", secret->name, why);
    if (notice.verdict == NULL || notice.next == NULL)
        return kt_fail(err, KT_NO_MEMORY, "telling people");
    return notify_tell(req, &notice, secret->settings.notify, NULL, err);
}

enum kt_kind tell_many_overdue(struct request *req, unsigned told, struct kt_err *err)
{
    const struct notice notice = {
        .event = NOTICE_OVERDUE,
        .verdict = kt_arena_printf(&req->arena, "OVERDUE  more than %u secrets at a time: of the others no message "
                                                "comes one by one", told),
        .hurt = "nobody now; credentials get older than they are meant to",
        .next = "secretctl overdue",
    };
    if (notice.verdict == NULL)
        return kt_fail(err, KT_NO_MEMORY, "telling people");
    return notify_tell(req, &notice, NULL, NULL, err);
}
