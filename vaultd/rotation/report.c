#include "vaultd/rotation/work.h"

#include "lib/duration.h"
#include "lib/plain_text.h"
#include "lib/report_check.h"
#include "vaultd/barrier/format.h"
#include "vaultd/rotation/acks.h"
#include "vaultd/rotation/back.h"
#include "vaultd/rotation/drill.h"
#include "vaultd/rotation/gap.h"
#include "vaultd/rotation/served.h"
#include "vaultd/rotation/tell.h"
#include "vaultd/rotation/text.h"
#include "vaultd/rotation/veto.h"

/* The report of a run: written once, in the commit that ends it, as data and as a text for people.
 * Verdict first, then who is hurt, then what comes next; nothing in it is a value. */

#define FORMAT     1u
#define REPORT_MAX ((size_t)512 * 1024) /* of both forms: a batch has to take it */

struct report {
    struct work *w;
    struct run_step *steps;
    size_t n;
    size_t from;        /* steps before that are left out: they do not fit */
    size_t n_consumers; /* so many are told of */
    struct loose loose; /* when they held it until max_overlap */
    int64_t audit_to;
    struct gap gap;
    struct kt_due due;  /* the next time, if there is one */
};

int64_t audit_size_now(const struct request *req)
{
    struct audit_status status = {0};
    if (req->core->audit != NULL)
        audit_status(req->core->audit, &status);
    return (int64_t)status.size;
}

enum kt_kind work_steps(struct work *w, struct run_step **ret, size_t *ret_n, struct kt_err *err)
{
    struct run_step *stored = NULL;
    size_t n = 0;
    enum kt_kind kind = steps_load(w->req, w->run.id, 0, &stored, &n, err);
    if (kind != KT_OK)
        return kind;
    struct run_step *all = kt_arena_take(&w->req->arena, (n + STEPS_ADDED) * sizeof *all);
    if (all == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking at a run's steps");
    uint32_t first_new = w->run.n_added > 0 ? w->run.added[0].seq : UINT32_MAX;
    size_t kept = 0;
    for (size_t i = 0; i < n && stored[i].seq < first_new; i++)
        all[kept++] = stored[i];
    for (unsigned i = 0; i < w->run.n_added; i++) {
        if (kept > 0 && all[kept - 1].seq == w->run.added[i].seq)
            kept--;
        all[kept++] = w->run.added[i];
    }
    *ret = all;
    *ret_n = kept;
    return KT_OK;
}

static enum kt_kind begin_report(struct work *w, struct report *ret, struct kt_err *err)
{
    struct run_step *all = NULL;
    size_t n = 0;
    enum kt_kind kind = work_steps(w, &all, &n, err);
    if (kind != KT_OK)
        return kind;
    *ret = (struct report){.w = w,
                           .steps = all,
                           .n = n,
                           .n_consumers = w->n_all,
                           .gap = gap_of(&w->run, all, n),
                           .audit_to = audit_size_now(w->req)};
    return KT_OK;
}

/* When the state that a step begins ended: at the next state's step, or with the run. */
static int64_t state_end(const struct report *report, size_t i)
{
    for (size_t k = i + 1; k < report->n; k++)
        if (report->steps[k].kind == STEP_STATE)
            return report->steps[k].at_ms;
    return report->w->run.ended_ms;
}

static const char *verdict_word(const struct run *run)
{
    enum run_state state = run->machine.state;
    if (run->machine.drills)
        return drill_was_good(run) ? "DRILLED" : "DRILL FAILED";
    if (machine_gave_up(&run->machine))
        return "GIVEN UP";
    return state == RUN_DONE ? "DONE" : state == RUN_ROLLED_BACK ? "ROLLED BACK" : "CANCELLED";
}

/* The stored credential was to be accepted again. */
static void add_mended(const struct run *run, struct kt_buf *out)
{
    bool sent = run->machine.intent != INTENT_NONE;
    if (run->machine.state == RUN_DONE && sent)
        kt_buf_printf(out, "%s accepts v%u again.  Whoever logs in with a password that was set "
                           "there by hand fails from now on.",
                      run->settings.target, run->from);
    else if (run->machine.state == RUN_DONE)
        kt_buf_printf(out, "%s accepts v%u; nothing was changed.", run->settings.target, run->from);
    else if (sent)
        kt_buf_printf(out, "v%u was sent to %s; whether it is accepted was not seen.", run->from,
                      run->settings.target);
    else
        kt_buf_printf(out, "v%u is as it was; nothing was changed at the target.", run->from);
}

static void add_verdict(const struct report *report, struct kt_buf *out)
{
    const struct run *run = &report->w->run;
    kt_buf_printf(out, "%s  %s: ", verdict_word(run), run->name);
    if (run->machine.mends) {
        add_mended(run, out);
        return;
    }
    if (machine_gave_up(&run->machine)) {
        kt_buf_printf(out, "it was not seen whether %s accepts v%u or v%u: look at both.",
                      run_touches_target(run) ? run->settings.target : "anybody", run->from, run->to);
    } else if (run->machine.state == RUN_DONE && run_touches_target(run)) {
        kt_buf_printf(out, "v%u is in use, v%u is refused.  ", run->to, run->from);
        gap_say(&report->gap, out);
    } else if (run->machine.state == RUN_DONE && served_wanted(&run->settings)) {
        kt_buf_printf(out, "v%u is current; %zu of %zu listeners show it.", run->to, served_good(run), served_count(run));
    } else if (run->machine.state == RUN_DONE) {
        kt_buf_printf(out, "v%u has a new value.", run->to);
    } else if (run->machine.state == RUN_ROLLED_BACK && !run_touches_target(run)) {
        kt_buf_printf(out, "v%u is current again; v%u lasts until it ends or is revoked.", run->from, run->to);
    } else if (run->machine.state == RUN_ROLLED_BACK) {
        kt_buf_printf(out, "v%u is in use, v%u is dead.  ", run->from, run->to);
        gap_say(&report->gap, out);
    } else {
        kt_buf_printf(out, "v%u is as it was; nothing was changed at the target.", run->from);
    }
    back_say(run, out);
}

static int64_t consumers_left_out(const struct report *report)
{
    return (int64_t)(report->w->n_all - report->n_consumers);
}

/* ---- as data ---- */

static void data_timeline(const struct report *report, struct kt_jsonw *w)
{
    kt_jsonw_key(w, "timeline");
    kt_jsonw_array(w);
    for (size_t i = report->from; i < report->n; i++) {
        const struct run_step *step = &report->steps[i];
        if (step->kind != STEP_STATE)
            continue;
        kt_jsonw_object(w);
        kt_jsonw_kv_text(w, "state", step->name);
        kt_jsonw_kv_time(w, "at", step->at_ms);
        kt_jsonw_kv_int(w, "took_ms", state_end(report, i) - step->at_ms);
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
}

static bool has_note(const struct report *report, const char *name)
{
    for (size_t i = 0; i < report->n; i++)
        if (report->steps[i].kind == STEP_NOTE && strcmp(report->steps[i].name, name) == 0)
            return true;
    return false;
}

struct deviation {
    bool is;
    const char *text;
    const char *next; /* what somebody has to do about it: a command, and why */
};

/* What was not as it should be; NULL behind the last. *ret_next may be NULL. */
static const char *deviation(const struct report *report, size_t i, const char **ret_next)
{
    const struct run *run = &report->w->run;
    bool with = run->back_with != 0;
    const struct deviation rows[] = {
        {run->loose_passed, "readers that are no agents had not read the new version when max_overlap ended",
         "secretctl run show {run}   # who they are: each has to read the new version"},
        {run->silent_passed, "consumers had not acknowledged the new version when max_overlap ended",
         "secretctl run show {run}   # who they are: each has to take the new version"},
        {run->served_passed, "listeners did not show the new certificate when max_overlap ended",
         "secretctl run show {run}   # which: have each read its files again"},
        {!run->silent_passed && has_note(report, STEP_NAME_SILENT),
         "consumers had not gone back to the old version when max_overlap ended",
         "secretctl run show {run}   # who they are: each has to take the old version"},
        {has_note(report, STEP_NAME_LOST), "consumers were not heard of any more when max_overlap ended",
         "secretctl agent list   # whether their hosts are gone, or only their agents"},
        {has_note(report, STEP_NAME_ASIDE), "consumers that are put aside were not waited for",
         "secretctl consumer quarantined   # who: mended, it is waited for again by secretctl consumer release"},
        {has_note(report, STEP_NAME_ORDER), "a secret that is rotated first was not waited for",
         "secretctl schedule show {secret}   # which one, and why it did not end"},
        {has_note(report, STEP_NAME_VETO), "a consumer kept more than one run in a row from ending well",
         "secretctl consumer quarantined   # who: mend it, or put it aside by secretctl consumer quarantine"},
        {has_note(report, STEP_NAME_ZOMBIE), "the old credential was not proven dead within max_overlap",
         "secretctl target check {target}   # why the proof took so long"},
        {run->machine.values > 0, "the target did not allow the first value, another one was made",
         "secretctl schedule show {secret}   # have new values fit the target's rules"},
        {run->machine.applied_again > 0, "the target lost the new credential and got it again",
         "secretctl target check {target}   # it forgets what it confirmed: a failover, or no synchronous writes?"},
        {run->machine.both_dead > 0, "the target refused both credentials, the new one was set again",
         "secretctl run show {run}   # who else changes this account at the target?"},
        {run->machine.revoked_again > 0, "a credential had to be ended more than once",
         "secretctl run show {run}   # the target's words"},
        {machine_gave_up(&run->machine), "somebody gave it up: what the target accepts was not seen",
         "secretctl rotate {secret} --dry-run   # asks the target; what it does not accept is replaced in the vault first"},
        {with && run->machine.state != RUN_DONE, "one that rotates together with it went back",
         "secretctl run why {mate}   # what was wrong there; then secretctl rotate"},
        {run->cancel && !with && run->machine.state != RUN_DONE && !machine_gave_up(&run->machine),
         "somebody asked to go back",
         "secretctl rotate {secret}   # when what was wrong is mended: the old value is in use"},
        {back_time(run).missed, "going back took longer than its objective, or was not seen to end well",
         "secretctl drill {secret}   # measures it again"},
        {run->machine.state == RUN_ROLLED_BACK && !run->cancel && !with && !run->machine.drills,
         "it went back by itself: the old value is in use",
         "secretctl run why {secret}   # what was wrong; then secretctl rotate"},
    };
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++)
        if (rows[row].is && i-- == 0) {
            *ret_next = text_command(report->w->req, run, rows[row].next);
            return rows[row].text;
        }
    return NULL;
}

static void data_deviations(const struct report *report, struct kt_jsonw *w)
{
    kt_jsonw_key(w, "deviations");
    kt_jsonw_array(w);
    const char *text = NULL, *next = NULL;
    for (size_t i = 0; (text = deviation(report, i, &next)) != NULL; i++)
        kt_jsonw_text(w, text);
    kt_jsonw_end(w);
    kt_jsonw_key(w, "follow_ups");
    kt_jsonw_array(w);
    for (size_t i = 0; deviation(report, i, &next) != NULL; i++)
        kt_jsonw_text(w, next);
    kt_jsonw_end(w);
}

static void write_data(const struct report *report, struct kt_buf *out)
{
    const struct run *run = &report->w->run;
    struct kt_jsonw w = kt_jsonw(out);
    kt_autobuf struct kt_buf verdict;
    kt_buf_init(&verdict, 16384);
    add_verdict(report, &verdict);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "verdict", kt_buf_text(&verdict));
    run_show(report->w->req->core->rotation, run, "", 0, 0, &w);
    kt_jsonw_kv_int(&w, "took_ms", run->ended_ms - run->started_ms);
    kt_jsonw_kv_text(&w, "server_id", run->server_id);
    kt_jsonw_kv_text(&w, "server_version", run->server_version);
    kt_jsonw_kv_int(&w, "sessions_of_old", run->sessions);
    kt_jsonw_kv_time(&w, "promoted", run->promoted_ms);
    kt_jsonw_kv_time(&w, "acknowledged", rotation_wall_of(report->w->req->core->rotation, run->acked_ms));
    gap_show(&report->gap, &w);
    kt_jsonw_key(&w, "audit");
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "from", run->audit_from);
    kt_jsonw_kv_int(&w, "to", report->audit_to);
    kt_jsonw_end(&w);
    data_timeline(report, &w);
    data_deviations(report, &w);
    kt_jsonw_key(&w, "consumers");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < report->n_consumers; i++)
        consumer_show(&report->w->consumers[i], &w);
    kt_jsonw_end(&w);
    kt_jsonw_kv_int(&w, "consumers_left_out", consumers_left_out(report));
    kt_jsonw_key(&w, "steps");
    kt_jsonw_array(&w);
    for (size_t i = report->from; i < report->n; i++)
        step_show(&report->steps[i], &w);
    kt_jsonw_end(&w);
    kt_jsonw_kv_int(&w, "steps_left_out", (int64_t)report->from);
    kt_jsonw_key(&w, "settings");
    kt_jsonw_object(&w);
    settings_show(&run->settings, &w);
    kt_jsonw_end(&w);
    due_show(&w, report->w->secret.due ? &report->due : NULL);
    kt_jsonw_end(&w);
}

/* ---- as text ---- */

/* Names, and what people and targets said, are within a line, and write none: what was put in between begin_line()
 * and end_line() is one, whatever is in it. */
static size_t begin_line(const struct kt_buf *out)
{
    return out->len;
}

static void end_line(struct kt_buf *out, size_t begin)
{
    if (out->len > begin)
        kt_make_plain((char *)out->at + begin, out->len - begin);
    kt_buf_add_char(out, '\n');
}

static void text_row(struct kt_buf *out, const char *name, const char *text)
{
    size_t begin = begin_line(out);
    if (text == NULL || text[0] == '\0')
        return;
    kt_buf_printf(out, "- %s: %s", name, text);
    end_line(out, begin);
}

static void text_time(struct kt_buf *out, const char *name, int64_t ms)
{
    char time[KT_TIME_TEXT];
    if (ms == 0)
        return;
    kt_time_text(ms, time);
    text_row(out, name, time);
}

static void text_head(const struct report *report, struct kt_buf *out)
{
    const struct run *run = &report->w->run;
    char id[RUN_ID_TEXT], took[KT_DURATION_TEXT];
    run_id_text(run->id, id);
    kt_duration_text((uint64_t)(run->ended_ms - run->started_ms), took);
    size_t line = begin_line(out);
    kt_buf_add_text(out, "# ");
    add_verdict(report, out);
    end_line(out, line);
    kt_buf_add_text(out, "\n");
    text_row(out, "because", run->because);
    text_row(out, "run", id);
    if (run->machine.mends)
        kt_buf_printf(out, "- version: %u\n", run->from);
    else
        kt_buf_printf(out, "- versions: %u to %u\n", run->from, run->to);
    text_row(out, "strategy", run_strategy_text(run->machine.strategy));
    text_row(out, "target", run->settings.target);
    text_row(out, "server", run->server_version);
    line = begin_line(out);
    if (run_touches_target(run)) {
        kt_buf_printf(out, "- accounts: %s to %s", run_account(run, run->slot_old),
                      run_account(run, run->slot_new));
        end_line(out, line);
        line = begin_line(out);
    }
    kt_buf_printf(out, "- started by: %s (%s)%s%s", run->by, run_trigger_text(run->trigger),
                  run->reason[0] == '\0' ? "" : ": ", run->reason);
    end_line(out, line);
    text_time(out, "started", run->started_ms);
    text_time(out, "ended", run->ended_ms);
    text_row(out, "took", took);
    gap_row(&report->gap, out);
    kt_buf_printf(out, "- audit records: %lld to %lld, and this run's end right behind them\n",
                  (long long)run->audit_from, (long long)report->audit_to);
}

/* In a table. What an agent says may hold a column's end. */
static void text_cell(struct kt_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|' || *text == '\\')
            kt_buf_add_char(out, '\\');
        kt_buf_add_char(out, *text);
    }
}

static void text_timeline(const struct report *report, struct kt_buf *out)
{
    kt_buf_add_text(out, "\n## Timeline\n\n| state | took | |\n|---|---|---|\n");
    for (size_t i = report->from; i < report->n; i++) {
        const struct run_step *step = &report->steps[i];
        if (step->kind != STEP_STATE)
            continue;
        size_t line = begin_line(out);
        kt_buf_printf(out, "| %s | %lld ms | ", step->name,
                      (long long)(state_end(report, i) - step->at_ms));
        text_cell(out, step->text);
        kt_buf_add_text(out, " |");
        end_line(out, line);
    }
}

static void text_deviations(const struct report *report, struct kt_buf *out)
{
    const struct loose *loose = &report->loose;
    const char *next = NULL;
    const char *text = deviation(report, 0, &next);
    if (text == NULL)
        return;
    kt_buf_add_text(out, "\n## Not as it should be\n\n");
    for (size_t i = 0; (text = deviation(report, i, &next)) != NULL; i++)
        kt_buf_printf(out, "- %s\n", text);
    size_t line = begin_line(out);
    if (report->w->run.loose_passed && loose->n > 0) {
        kt_buf_printf(out, "- so many readers that still have version %u: %zu, the first is %s from %s",
                      report->w->run.from, loose->n, loose->first.identity, loose->first.host);
        end_line(out, line);
    }
    kt_buf_add_text(out, "\n## What is left to do\n\n");
    for (size_t i = 0; deviation(report, i, &next) != NULL; i++) {
        line = begin_line(out);
        kt_buf_printf(out, "- %s", next);
        end_line(out, line);
    }
}

/* What was not measured took no time that anybody knows. */
static void ms_cell(struct kt_buf *out, bool measured, int64_t ms)
{
    if (measured)
        kt_buf_printf(out, "%lld ms | ", (long long)ms);
    else
        kt_buf_add_text(out, "- | ");
}

static void text_consumers(const struct report *report, struct kt_buf *out)
{
    kt_buf_add_text(out, "\n## Consumers\n\n");
    if (report->w->n_all == 0)
        kt_buf_add_text(out, "None is registered.\n");
    else
        kt_buf_add_text(out, "| consumer | version | state | p95 | before | |\n|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < report->n_consumers; i++) {
        const struct consumer *c = &report->w->consumers[i];
        size_t line = begin_line(out);
        kt_buf_add_text(out, "| ");
        text_cell(out, c->service);
        kt_buf_add_char(out, '@');
        text_cell(out, c->host);
        kt_buf_printf(out, " | %u | %s | ", c->version, consumer_state_text(c->state));
        ms_cell(out, c->samples > 0, c->p95_ms);
        ms_cell(out, c->baseline_p95_ms > 0, c->baseline_p95_ms);
        if (c->veto != NULL && c->veto->aside_ms != 0)
            kt_buf_add_text(out, "(put aside) ");
        text_cell(out, c->detail);
        kt_buf_add_text(out, " |");
        end_line(out, line);
    }
    if (consumers_left_out(report) > 0)
        kt_buf_printf(out, "\nThere was no room for %lld others.\n",
                      (long long)consumers_left_out(report));
}

static void text_listeners(const struct report *report, struct kt_buf *out)
{
    const struct run *run = &report->w->run;
    if (served_count(run) > 0)
        kt_buf_add_text(out, "\n## Listeners\n\n");
    for (size_t i = 0; i < served_count(run); i++) {
        size_t line = begin_line(out);
        kt_buf_add_text(out, "- ");
        served_listener_text(run, i, out);
        end_line(out, line);
    }
}

static void text_evidence(const struct report *report, struct kt_buf *out)
{
    char time[KT_TIME_TEXT];
    kt_buf_add_text(out, "\n## What happened\n\n");
    if (report->from > 0)
        kt_buf_printf(out, "There was no room for the first %zu steps.\n\n", report->from);
    for (size_t i = report->from; i < report->n; i++) {
        const struct run_step *step = &report->steps[i];
        if (step->kind == STEP_STATE)
            continue;
        size_t line = begin_line(out);
        kt_time_text(step->at_ms, time);
        kt_buf_printf(out, "- %s %s %s%s: %s", time, step_kind_text(step->kind), step->name,
                      step->ok ? "" : " (not ok)", step->text);
        if (step->count > 1)
            kt_buf_printf(out, " (%u times)", step->count);
        end_line(out, line);
    }
}

static void text_next(const struct report *report, struct kt_buf *out)
{
    const struct kt_due *due = &report->due;
    char time[KT_TIME_TEXT];
    text_time(out, "next due", report->w->secret.due ? due->due_ms : 0);
    if (due->moved_by == NULL)
        return;
    kt_time_text(due->moved_ms, time);
    kt_buf_printf(out, "- moved by its calendar: %s, from %s\n", due->moved_by, time);
}

static void write_text(const struct report *report, struct kt_buf *out)
{
    text_head(report, out);
    text_next(report, out);
    text_deviations(report, out);
    text_listeners(report, out);
    text_timeline(report, out);
    text_consumers(report, out);
    text_evidence(report, out);
}

/* KT_TOO_LARGE: it does not fit like that. */
static enum kt_kind write_forms(const struct report *report, struct kt_buf *record,
                                struct kt_err *err)
{
    kt_autobuf struct kt_buf data, text;
    kt_buf_init(&data, REPORT_MAX);
    kt_buf_init(&text, REPORT_MAX);
    write_data(report, &data);
    write_text(report, &text);
    if (data.full || text.full || data.len + text.len > REPORT_MAX)
        return KT_TOO_LARGE;
    kt_buf_add_u8(record, FORMAT);
    kt_buf_add_field(record, kt_buf_bytes(&data));
    kt_buf_add_field(record, kt_buf_bytes(&text));
    if (!kt_buf_ok(&data) || !kt_buf_ok(&text) || !kt_buf_ok(record))
        return kt_fail(err, KT_NO_MEMORY, "writing a report");
    return KT_OK;
}

/* A run has to be able to end, however many consumers said however much: as often as it does not fit,
 * half of it is left out, of the steps the first, for the last ones are the proof. */
static enum kt_kind write_what_fits(struct report *report, struct kt_buf *record,
                                    struct kt_err *err)
{
    size_t n_consumers = report->w->n_all;
    size_t keep = report->n > n_consumers ? report->n : n_consumers;
    enum kt_kind kind = write_forms(report, record, err);
    while (kind == KT_TOO_LARGE && keep > 0) {
        keep /= 2;
        report->from = report->n > keep ? report->n - keep : 0;
        report->n_consumers = n_consumers < keep ? n_consumers : keep;
        kind = write_forms(report, record, err);
    }
    return kind == KT_TOO_LARGE ? kt_fail(err, KT_INTERNAL, "a report does not fit") : kind;
}

struct stored_report {
    struct kt_bytes data, text;
};

static void read_1(struct kt_reader *r, void *ret)
{
    struct stored_report *report = ret;
    report->data = kt_read_field(r);
    report->text = kt_read_field(r);
}

static format_reader *const readers[] = {[FORMAT] = read_1};

/* Into the audit log, ahead of the commit that stores it: whoever has the report and the log sees whether it
 * is the one that was written. */
static enum kt_kind hash_into_log(struct request *req, const unsigned char run[RUN_ID], struct kt_bytes record,
                                  struct kt_err *err)
{
    struct stored_report report = {0};
    char id[RUN_ID_TEXT], text[KT_REPORT_HASH], data[KT_REPORT_HASH];
    enum kt_kind kind = FORMAT_READ("a report", record, readers, &report, err);
    if (kind != KT_OK)
        return kind;
    run_id_text(run, id);
    kt_report_hash(report.text, text);
    kt_report_hash(report.data, data);
    req->report = kt_arena_printf(&req->arena, "%s %s %s", id, text, data);
    return req->report == NULL ? kt_fail(err, KT_NO_MEMORY, "writing a report") : KT_OK;
}

/* As it was planned; whether a calendar moved it is not stored, so it is asked once more. */
static enum kt_kind look_ahead(struct report *report, struct kt_err *err)
{
    struct rotation_secret secret = report->w->secret;
    struct kt_due due;
    bool found = false;
    report->due = (struct kt_due){.due_ms = secret.due_ms, .reason = secret.reason};
    if (!secret.due || secret.settings.blackout[0] == '\0')
        return KT_OK;
    enum kt_kind kind = due_ahead(report->w->req, &secret, NULL, &due, &found, err);
    if (kind == KT_OK && found && due.due_ms == secret.due_ms)
        report->due = due;
    return kind;
}

enum kt_kind report_write(struct work *w, struct kt_err *err)
{
    struct report report = {.w = w};
    enum kt_kind kind = begin_report(w, &report, err);
    if (kind == KT_OK)
        kind = look_ahead(&report, err);
    if (kind == KT_OK && w->run.loose_passed)
        kind = loose_look(w->req, &w->run, w->consumers, w->n_all, &report.loose, err);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, REPORT_MAX + 64);
    if (kind == KT_OK)
        kind = write_what_fits(&report, &record, err);
    if (kind == KT_OK)
        kind = hash_into_log(w->req, w->run.id, kt_buf_bytes(&record), err);
    if (kind != KT_OK)
        return kind;
    unsigned char key[STEP_KEY];
    step_key(w->run.id, STEP_REPORT, key);
    return barrier_put(w->req->core->barrier, request_batch(w->req), kt_bytes(key, sizeof key),
                       kt_buf_bytes(&record), err);
}

enum kt_kind report_load(struct request *req, const unsigned char id[RUN_ID],
                         struct kt_bytes *ret_json, const char **ret_text, struct kt_err *err)
{
    unsigned char key[STEP_KEY];
    step_key(id, STEP_REPORT, key);
    struct kt_bytes record;
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, NULL, err);
    struct stored_report report = {0};
    if (kind == KT_OK)
        kind = FORMAT_READ("a report", record, readers, &report, err);
    if (kind != KT_OK)
        return kind;
    *ret_json = report.data;
    *ret_text = kt_arena_text(&req->arena, report.text);
    return *ret_text == NULL ? kt_fail(err, KT_NO_MEMORY, "reading a report") : KT_OK;
}
