#include "vaultd/rotation/own.h"
#include "vaultd/rotation/plan.h"
#include "vaultd/rotation/probe.h"
#include "vaultd/rotation/served.h"
#include "vaultd/rotation/tell.h"

/* From the results of a job to the run's next state: evidence is noted first, then the machine
 * moves, and all of it is one commit. */

#define GIVE_UP_AFTER 5u /* tries before the point of no return */
#define PAGE_AFTER    3u

static const char *text_of(struct work *w, const struct kt_buf *buf)
{
    const char *text = kt_arena_text(&w->req->arena, kt_buf_bytes(buf));
    return text == NULL ? "" : text;
}

/* ---- what is noted ---- */

static uint32_t slot_of(const struct run *run, const char *username)
{
    return username != NULL && strcmp(username, run->settings.accounts[1]) == 0 ? 1 : 0;
}

static void note_budgets(struct work *w, const struct job_part *part, int64_t now_ms)
{
    unsigned refusals[2] = {0, 0};
    bool asked[2] = {false, false};
    for (size_t who = DRIVER_CONTROL; who < DRIVER_LOGIN_COUNT; who++) {
        const struct driver_login *login = &part->step.logins[who];
        if (login->username == NULL)
            continue;
        uint32_t slot = slot_of(&w->run, login->username);
        asked[slot] = true;
        const struct driver_reply *reply = &part->result.replies[who];
        refusals[slot] += reply->answer == ANSWER_REFUSED || reply->refused_by_one;
    }
    for (size_t slot = 0; slot < 2; slot++)
        if (asked[slot])
            budget_note(&w->run.budgets[slot], refusals[slot], now_ms);
}

static bool was_kept_out(const struct driver_result *result)
{
    return result->class == DRIVER_UNREACH && strcmp(result->code, DRIVER_STAYS) == 0;
}

/* A step that ends one of two accounts logs in as the other (kt_driver_stays()) and has no reply that says how: what
 * was not let in counts as refused. */
static void note_stays(struct work *w, const struct job_part *part, int64_t now_ms)
{
    bool kept_out = was_kept_out(&part->result);
    for (size_t i = 0; i < part->n_nodes; i++)
        kept_out = kept_out || (part->nodes[i].ran && was_kept_out(&part->nodes[i].result));
    for (size_t who = DRIVER_NEW; kept_out && who < DRIVER_LOGIN_COUNT; who++)
        if (part->step.logins[who].username != NULL)
            budget_note(&w->run.budgets[slot_of(&w->run, part->step.logins[who].username)], 1, now_ms);
}

/* Of several servers, each with its name: as many as there is room for. */
static enum kt_kind note_nodes(struct work *w, const struct job_part *part, struct kt_err *err)
{
    char ids[RUN_SERVER_ID_MAX + 1] = "";
    for (size_t i = 0; i < part->n_nodes; i++) {
        const struct target_node *node = &part->nodes[i];
        if (!node->ran || node->result.server_id[0] == '\0')
            continue;
        bool news = false;
        enum kt_kind kind = target_learn(w->req, &w->target, node->name, node->result.server_id, &news, err);
        if (kind != KT_OK)
            return kind;
        w->target_news = w->target_news || news;
        size_t len = strlen(ids);
        (void)snprintf(ids + len, sizeof ids - len, "%s%s %s", len == 0 ? "" : ", ", node->name,
                       node->result.server_id);
    }
    const char *text = kt_arena_text(&w->req->arena, kt_str(ids));
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "noting what servers say they are");
    if (text[0] != '\0')
        w->run.server_id = text;
    return KT_OK;
}

static void note_server(struct work *w, const struct driver_result *result, bool one)
{
    if (result->server_version[0] != '\0') {
        const char *text = kt_arena_text(&w->req->arena, kt_str(result->server_version));
        w->run.server_version = text == NULL ? "" : text;
    }
    if (result->server_id[0] == '\0' || !one)
        return;
    const char *id = kt_arena_text(&w->req->arena, kt_str(result->server_id));
    w->run.server_id = id == NULL ? "" : id;
    if (w->target.server_id[0] == '\0') {
        w->target.server_id = w->run.server_id;
        w->target_news = true;
    }
}

static void add_findings(const struct driver_result *r, struct kt_buf *text)
{
    for (size_t i = 0; i < DRIVER_FINDINGS_MAX && r->findings[i][0] != '\0'; i++)
        kt_buf_printf(text, "; %s", r->findings[i]);
}

static enum kt_kind note_probe(struct work *w, const struct job_part *part, int64_t now_ms,
                               struct kt_err *err)
{
    note_budgets(w, part, now_ms);
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 3000);
    probe_text(&part->result, w->run.machine.mends, &text);
    add_findings(&part->result, &text);
    bool asks_new = part->step.logins[DRIVER_NEW].username != NULL;
    bool asks_old = part->step.logins[DRIVER_OLD].username != NULL;
    struct evidence evidence;
    probe_judge(&part->result, asks_new, asks_old, DEATH_OF_NONE, &evidence);
    return work_note(w, STEP_PROBE, run_state_text(w->run.machine.state),
                     evidence.event != EV_OPEN && evidence.event != EV_ADMIN &&
                         part->result.class == DRIVER_OK,
                     text_of(w, &text), part->result.took_ms, err);
}

static enum kt_kind note_outcome(struct work *w, const struct job_part *part, struct kt_err *err)
{
    const struct driver_result *r = &part->result;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 3500);
    kt_buf_add_text(&text, r->text[0] != '\0' ? r->text : kt_driver_class_text(r->class));
    if (r->code[0] != '\0')
        kt_buf_printf(&text, " (%s)", r->code);
    if (part->step.op == DRIVER_INSPECT && r->class == DRIVER_OK)
        kt_buf_printf(&text, "; %u sessions of %s", r->sessions, part->step.account);
    if (part->step.op == DRIVER_REVOKE && r->ended_sessions > 0)
        kt_buf_printf(&text, "; %u sessions were ended", r->ended_sessions);
    add_findings(r, &text);
    return work_note(w, STEP_OUTCOME, kt_driver_op_text(part->step.op), r->class == DRIVER_OK,
                     text_of(w, &text), r->took_ms, err);
}

static enum kt_kind note_parts(struct work *w, const struct job *job, int64_t now_ms,
                               struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; i < job->n && kind == KT_OK; i++) {
        const struct job_part *part = &job->parts[i];
        if (!part->ran)
            continue;
        note_server(w, &part->result, part->n_nodes == 0);
        if (part->step.op == DRIVER_REVOKE)
            note_stays(w, part, now_ms);
        kind = note_nodes(w, part, err);
        if (kind != KT_OK)
            return kind;
        kind = part->step.op == DRIVER_PROBE ? note_probe(w, part, now_ms, err)
                                             : note_outcome(w, part, err);
    }
    return kind;
}

/* ---- moving ---- */

/* What the last part that ran said, as an event. */
static enum run_event event_of(const struct driver_result *result)
{
    static const enum run_event events[DRIVER_CLASS_COUNT] = {
        [DRIVER_UNREACH] = EV_UNREACH,     [DRIVER_OK] = EV_OK,
        [DRIVER_REFUSED] = EV_ADMIN,       [DRIVER_PERMANENT] = EV_PERMANENT,
        [DRIVER_BAD_VALUE] = EV_PERMANENT, [DRIVER_WRONG_SERVER] = EV_SERVER,
    };
    return events[result->class];
}

static const struct job_part *last_of(const struct job *job, enum driver_op op)
{
    const struct job_part *found = NULL;
    for (size_t i = 0; i < job->n; i++)
        if (job->parts[i].ran && job->parts[i].step.op == op)
            found = &job->parts[i];
    return found;
}

static const char *reason(struct work *w, const struct job_part *part)
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 2000);
    if (part->step.op == DRIVER_PROBE)
        probe_text(&part->result, w->run.machine.mends, &text);
    else
        kt_buf_printf(&text, "%s: %s", kt_driver_op_text(part->step.op), part->result.text);
    return text_of(w, &text);
}

/* A refused login that was another one's turn meanwhile says nothing about the one that it is now. */
static enum run_event meant(struct work *w, enum run_event event, const struct job_part *part)
{
    bool moves = event == EV_ADMIN && part != NULL &&
                 target_login_moves(w->req, &w->target, &part->step.logins[DRIVER_ADMIN]);
    return moves ? EV_UNREACH : event;
}

/* What the vault itself could not start says nothing about the target: it counts as no try of it. */
static bool was_sent(const struct job_part *part)
{
    return part == NULL || part->result.class != DRIVER_UNREACH || strcmp(part->result.code, DRIVER_UNSENT) != 0;
}

static enum kt_kind move(struct work *w, enum run_event event, const struct job_part *part,
                         int64_t now_ms, struct kt_err *err)
{
    event = meant(w, event, part);
    bool sent = was_sent(part);
    struct run *run = &w->run;
    bool before_return = run->machine.state == RUN_PREFLIGHT ||
                         run->machine.state == RUN_VERIFYING;
    const char *why = event == EV_OK || part == NULL ? NULL : reason(w, part);
    if (event != EV_UNREACH)
        return work_event(w, event, now_ms, why, err);
    run->tries += sent;
    if (sent && run->tries == PAGE_AFTER &&
        (machine_only_ahead(&run->machine) || run->machine.state == RUN_ROLLING_BACK ||
         run->machine.state == RUN_MENDING)) {
        char id[RUN_ID_TEXT];
        run_id_text(run->id, id);
        request_log(w->req, KT_LOG_WARNING, "rotation-target-away",
                    "run=%s state=%s next=\"secretctl run show %s\"", id,
                    run_state_text(run->machine.state), id);
        bool answers = part != NULL && (part->result.replies[DRIVER_ADMIN].answer == ANSWER_ACCEPTED ||
                                        was_kept_out(&part->result));
        enum kt_kind told = tell_stuck(w, answers, err);
        if (told != KT_OK)
            return told;
    }
    enum kt_kind late = tell_zombie(w, err);
    if (late != KT_OK)
        return late;
    if (sent && before_return && run->tries >= GIVE_UP_AFTER && !machine_only_ahead(&run->machine))
        return work_event(w, EV_TIMEOUT, now_ms, why, err);
    uint32_t tries = run->tries;
    enum kt_kind kind = work_event(w, EV_UNREACH, now_ms, NULL, err);
    run->tries = run->machine.state == w->before ? tries : run->tries;
    return kind;
}

/* Of the consumer that could not take the new version, once it is known that the target did. What it says of itself
 * stays among the run's steps: *ret_why goes to people by other ways, too. */
static enum kt_kind blame_consumer(struct work *w, const char **ret_why, struct kt_err *err)
{
    struct acks acks;
    acks_judge(&w->run, w->consumers, w->n_consumers, &acks);
    const struct consumer *c = acks.trouble;
    *ret_why = "a consumer could not take the new version";
    if (c == NULL)
        return KT_OK;
    const char *why = kt_arena_printf(&w->req->arena, "%s@%s is not healthy on v%u", c->service, c->host, w->run.to);
    const char *note = why == NULL ? NULL : kt_arena_printf(&w->req->arena, "%s: %s", why, c->detail);
    if (note == NULL)
        return kt_fail(err, KT_NO_MEMORY, "noting what a consumer says");
    *ret_why = why;
    return c->detail[0] == '\0' ? KT_OK : work_note(w, STEP_NOTE, STEP_NAME_SICK, false, note, 0, err);
}

/* One server does not allow the value and another took it: it is no value that nobody took, to be thrown away,
 * but one to go back from. */
static void keep_value(struct machine *m, const struct driver_result *probe)
{
    if (!m->bad_value || !probe->replies[DRIVER_NEW].mixed)
        return;
    m->bad_value = false;
    m->said_no = true;
}

/* Four answers, or the event that says why they are none. */
static enum kt_kind move_by(struct work *w, const struct job_part *probe, enum probe_death death,
                            int64_t now_ms, struct kt_err *err)
{
    if (probe == NULL)
        return move(w, EV_UNREACH, NULL, now_ms, err);
    struct evidence evidence;
    bool asks_new = probe->step.logins[DRIVER_NEW].username != NULL;
    bool asks_old = probe->step.logins[DRIVER_OLD].username != NULL;
    probe_judge(&probe->result, asks_new, asks_old, death, &evidence);
    if (!evidence.valid)
        return move(w, evidence.event, probe, now_ms, err);
    keep_value(&w->run.machine, &probe->result);
    const char *why = reason(w, probe);
    enum kt_kind kind = w->run.machine.doubt ? blame_consumer(w, &why, err) : KT_OK;
    if (kind != KT_OK)
        return kind;
    return work_answers(w, evidence.new_accepted, evidence.old_accepted, now_ms, why, err);
}

/* ---- one function a kind of job ---- */

/* Accepted, so that there is nothing to mend; or refused: now, or by a look whose refusals an account
 * should not have twice (plan.c). */
static enum kt_kind settle_before_mending(struct work *w, const struct job *job, int64_t now_ms,
                                          struct kt_err *err)
{
    const struct job_part *probe = last_of(job, DRIVER_PROBE);
    if (probe == NULL)
        return move(w, EV_UNREACH, NULL, now_ms, err);
    struct evidence evidence;
    bool asks_old = probe->step.logins[DRIVER_OLD].username != NULL;
    probe_judge(&probe->result, false, asks_old, DEATH_OF_NONE, &evidence);
    if (!evidence.valid)
        return move(w, evidence.event, probe, now_ms, err);
    return move(w, evidence.old_accepted ? EV_OK : EV_REFUSED, probe, now_ms, err);
}

static enum kt_kind settle_preflight(struct work *w, const struct job *job, int64_t now_ms,
                                     struct kt_err *err)
{
    const struct job_part *inspect = last_of(job, DRIVER_INSPECT);
    if (inspect != NULL && (inspect->result.class == DRIVER_WRONG_SERVER ||
                            inspect->result.class == DRIVER_REFUSED))
        return move(w, event_of(&inspect->result), inspect, now_ms, err);
    /* Of several servers one may be away, and another known to be unfit nevertheless. */
    if (inspect != NULL && inspect->result.class != DRIVER_OK && strcmp(inspect->result.code, DRIVER_UNFIT) == 0)
        return move(w, EV_PERMANENT, inspect, now_ms, err);
    if (inspect != NULL && inspect->n_sentinels > 0 && inspect->sentinel.class == DRIVER_UNREACH)
        return move(w, EV_UNREACH, inspect, now_ms, err);
    if (w->run.machine.mends)
        return settle_before_mending(w, job, now_ms, err);
    for (size_t i = 1; i < job->n; i++) {
        const struct job_part *probe = &job->parts[i];
        if (!probe->ran)
            continue;
        bool asks_old = probe->step.logins[DRIVER_OLD].username != NULL;
        bool said_dead = w->run.settings.old_is_dead;
        const struct driver_reply *old = &probe->result.replies[DRIVER_OLD];
        struct evidence evidence;
        probe_judge(&probe->result, false, asks_old, said_dead ? DEATH_OF_OLD : DEATH_OF_NONE, &evidence);
        if (!evidence.valid)
            return move(w, evidence.event, probe, now_ms, err);
        if (!asks_old || evidence.old_accepted)
            continue;
        if (!said_dead)
            return move(w, EV_REFUSED, probe, now_ms, err);
        if (!old->mixed) /* refused at some servers, not at all: it stays accepted beside the new one */
            machine_old_is_dead(&w->run.machine);
    }
    return move(w, EV_OK, NULL, now_ms, err);
}

/* In-place the probe came with it: applied, verified and promoted in one commit, since the old one
 * is dead from now on. */
static enum kt_kind settle_in_place(struct work *w, const struct job *job, int64_t now_ms,
                                    struct kt_err *err)
{
    struct machine *m = &w->run.machine;
    const struct job_part *probe = last_of(job, DRIVER_PROBE);
    unsigned fx = 0, more = 0;
    struct evidence evidence = {.event = EV_UNREACH};
    if (probe != NULL)
        probe_judge(&probe->result, true, true, DEATH_OF_NONE, &evidence);
    evidence.event = meant(w, evidence.event, probe);
    (void)machine_event(m, EV_OK, &fx);
    (void)machine_event(m, EV_OK, &more);
    fx |= more;
    if (evidence.valid)
        machine_answers(m, evidence.new_accepted, evidence.old_accepted, &more);
    else if (!machine_event(m, evidence.event, &more))
        more = 0;
    return work_commit(w, fx | more, now_ms, evidence.valid ? NULL : reason(w, &job->parts[0]),
                       err);
}

/* What is drawn comes into being with the version that is stored (own.h). What became of its role meanwhile is
 * the target's no. */
static enum kt_kind settle_drawn(struct work *w, const struct job_part *apply, int64_t now_ms, struct kt_err *err)
{
    int64_t life_s = 0;
    struct kt_err no = {0};
    enum kt_kind kind = own_check(w->req, run_account(&w->run, w->run.slot_new), &life_s, &no);
    if (kind == KT_OK)
        return move(w, EV_OK, apply, now_ms, err);
    if (kind != KT_INVALID)
        return kt_fail(err, kind, "%s", no.what);
    return work_event(w, EV_PERMANENT, now_ms, kt_arena_text(&w->req->arena, kt_str(no.what)), err);
}

static enum kt_kind settle_apply(struct work *w, const struct job *job, int64_t now_ms,
                                 struct kt_err *err)
{
    const struct job_part *apply = last_of(job, DRIVER_APPLY);
    const struct job_part *create = last_of(job, DRIVER_CREATE);
    const struct job_part *last =
        create != NULL && create->result.class != DRIVER_OK ? create : apply;
    if (last == NULL)
        return move(w, EV_UNREACH, NULL, now_ms, err);
    enum run_event event =
        last->result.class == DRIVER_BAD_VALUE ? EV_VALUE : event_of(&last->result);
    if (event == EV_OK && w->run.machine.given) {
        if (last->result.made.len == 0)
            return move(w, EV_UNREACH, last, now_ms, err);
        w->made = &last->result;
        if (own_is(w->run.driver))
            return settle_drawn(w, last, now_ms, err);
    }
    if (event == EV_OK && w->run.machine.strategy == STRATEGY_IN_PLACE)
        return settle_in_place(w, job, now_ms, err);
    return move(w, event, last, now_ms, err);
}

static enum kt_kind settle_verify(struct work *w, const struct job *job, int64_t now_ms,
                                  struct kt_err *err)
{
    const struct job_part *verify = last_of(job, DRIVER_VERIFY);
    struct evidence evidence;
    probe_judge(&job->parts[0].result, true, true, DEATH_OF_NONE, &evidence);
    bool looked = evidence.valid && evidence.new_accepted && verify != NULL && !machine_only_ahead(&w->run.machine);
    if (looked && verify->result.class == DRIVER_PERMANENT)
        return move(w, EV_PERMANENT, verify, now_ms, err);
    if (looked && verify->result.class != DRIVER_OK)
        return move(w, EV_UNREACH, verify, now_ms, err);
    return move_by(w, last_of(job, DRIVER_PROBE), DEATH_OF_NONE, now_ms, err);
}

/* Both are accepted and nobody said that the change was made to last: the next restart of the target would
 * take the new one away from who has it by then. So it is made again, which says so. */
static enum kt_kind settle_unsaved(struct work *w, const struct job_part *probe, int64_t now_ms,
                                   struct kt_err *err)
{
    return work_answers(w, false, true, now_ms, reason(w, probe), err);
}

static bool may_be_unsaved(const struct work *w, const struct job_part *probe)
{
    const struct driver_info *info = kt_driver_info(w->run.driver);
    if (info == NULL || !info->saves || probe == NULL || w->run.machine.state != RUN_APPLYING)
        return false;
    struct evidence evidence;
    probe_judge(&probe->result, true, true, DEATH_OF_NONE, &evidence);
    return evidence.valid && evidence.new_accepted && evidence.old_accepted;
}

static enum kt_kind settle_probe(struct work *w, const struct job *job, int64_t now_ms,
                                 struct kt_err *err)
{
    const struct job_part *last = last_of(job, DRIVER_PROBE);
    if (may_be_unsaved(w, last))
        return settle_unsaved(w, last, now_ms, err);
    enum probe_death death = DEATH_OF_NONE;
    if (w->run.machine.state == RUN_CONFIRMING)
        death = DEATH_OF_OLD;
    else if (w->run.machine.back == BACK_CONFIRM_OLD)
        death = DEATH_OF_NEW;
    return move_by(w, last_of(job, DRIVER_PROBE), death, now_ms, err);
}

static enum kt_kind settle_revoke(struct work *w, const struct job *job, int64_t now_ms,
                                  struct kt_err *err)
{
    const struct job_part *revoke = last_of(job, DRIVER_REVOKE);
    if (revoke != NULL)
        return move(w, event_of(&revoke->result), revoke, now_ms, err);
    return move_by(w, last_of(job, DRIVER_PROBE),
                   job->kind == JOB_REVOKE ? DEATH_OF_OLD : DEATH_OF_NEW, now_ms, err);
}

static enum kt_kind settle_restore(struct work *w, const struct job *job, int64_t now_ms,
                                   struct kt_err *err)
{
    const struct job_part *restore = last_of(job, DRIVER_RESTORE);
    return move(w, restore == NULL ? EV_UNREACH : event_of(&restore->result), restore, now_ms, err);
}

/* An account that cannot be changed as it is was looked at, too. */
static bool shows_sessions(const struct driver_result *r)
{
    return r->class == DRIVER_OK || (r->class == DRIVER_PERMANENT && strcmp(r->code, DRIVER_UNFIT) == 0);
}

/* Of several servers those that let it look count, where the others say no. */
static bool has_looked(const struct job_part *part)
{
    bool any = shows_sessions(&part->result);
    for (size_t i = 0; i < part->n_nodes && part->result.class == DRIVER_PERMANENT; i++)
        any = any || (part->nodes[i].ran && shows_sessions(&part->nodes[i].result));
    return any;
}

static enum kt_kind settle_sessions(struct work *w, const struct job *job, int64_t now_ms,
                                    struct kt_err *err)
{
    const struct driver_result *result = &job->parts[0].result;
    struct run *run = &w->run;
    bool looked = has_looked(&job->parts[0]);
    if (result->class == DRIVER_PERMANENT && !looked)
        run->drained = true; /* without the right to look there is nothing to wait for */
    if (!job->parts[0].ran || !looked)
        return run_save(w->req, run, err);
    run->sessions = result->sessions;
    if (result->sessions > 0)
        run->unused_ms = 0;
    else if (run->unused_ms == 0)
        run->unused_ms = now_ms;
    else
        run->drained = true; /* seen unused twice in a row */
    return run_save(w->req, run, err);
}

/* What the run froze at may be mended: then thawing it is worth a try. */
static bool hopeful(const struct run *run, const struct driver_result *r)
{
    enum driver_who alive = run->machine.promoted ? DRIVER_NEW : DRIVER_OLD;
    if (r->class != DRIVER_OK || r->replies[DRIVER_ADMIN].answer != ANSWER_ACCEPTED)
        return false;
    switch (run->machine.frozen) {
    case FROZEN_ADMIN:
    case FROZEN_SERVER:
        return true;
    case FROZEN_OPEN:
        return r->replies[DRIVER_CONTROL].answer == ANSWER_REFUSED;
    case FROZEN_CANNOT_REVOKE:
    case FROZEN_OLD_ALIVE:
        return r->replies[DRIVER_OLD].answer == ANSWER_REFUSED;
    case FROZEN_DRIFT:
    case FROZEN_BOTH_DEAD:
    case FROZEN_NEW_DEAD:
    case FROZEN_ROLLBACK:
    case FROZEN_UNMENDED:
        return r->replies[alive].answer == ANSWER_ACCEPTED;
    case FROZEN_NOT:
    case FROZEN_STORE:
    case FROZEN_CODE_COUNT:
        break;
    }
    return false;
}

/* It is told, and nothing else: only a person thaws. */
static enum kt_kind settle_look(struct work *w, const struct job *job, int64_t now_ms,
                                struct kt_err *err)
{
    const struct job_part *part = &job->parts[0];
    struct run *run = &w->run;
    char id[RUN_ID_TEXT];
    if (!part->ran || run->machine.state != RUN_FROZEN)
        return run_save(w->req, run, err);
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 3500);
    run_id_text(run->id, id);
    bool better = hopeful(run, &part->result);
    probe_text(&part->result, w->run.machine.mends, &text);
    if (better)
        kt_buf_printf(&text, ": worth a try: secretctl run thaw %s", id);
    run->frozen_now = text_of(w, &text);
    run->looked_ms = now_ms;
    enum kt_kind kind = work_note(w, STEP_PROBE, run_state_text(RUN_FROZEN), better,
                                  run->frozen_now, part->result.took_ms, err);
    return kind == KT_OK ? run_save(w->req, run, err) : kind;
}

enum kt_kind job_settle(struct work *w, const struct job *job, int64_t now_ms, struct kt_err *err)
{
    static enum kt_kind (*const settlers[])(struct work *, const struct job *, int64_t,
                                            struct kt_err *) = {
        [JOB_PREFLIGHT] = settle_preflight, [JOB_APPLY] = settle_apply,
        [JOB_VERIFY] = settle_verify,       [JOB_PROBE] = settle_probe,
        [JOB_REVOKE] = settle_revoke,       [JOB_REVOKE_NEW] = settle_revoke,
        [JOB_RESTORE] = settle_restore,     [JOB_SESSIONS] = settle_sessions,
        [JOB_LOOK] = settle_look,
    };
    if (job->kind == JOB_SERVED)
        return served_settle(w, job, now_ms, err);
    if (job->kind == JOB_LOOK && job->parts[0].ran)
        note_budgets(w, &job->parts[0], now_ms);
    enum kt_kind kind = job->kind == JOB_LOOK ? KT_OK : note_parts(w, job, now_ms, err);
    return kind == KT_OK ? settlers[job->kind](w, job, now_ms, err) : kind;
}
