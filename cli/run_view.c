/* cli/run_view.c - see cli/run_view.h. */
#include "cli/run_view.h"

#include <stdio.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "lib/clock.h"

#define LINE_MAX_BYTES ((size_t)1024)

/* A version is 0 until it is made: a run that ends before has none to go to, the first one none to come from. */
void run_view_versions(int64_t from, int64_t to, char out[RUN_VERSIONS])
{
    if (from > 0 && to > 0)
        (void)snprintf(out, RUN_VERSIONS, "%jd -> %jd", (intmax_t)from, (intmax_t)to);
    else if (to > 0)
        (void)snprintf(out, RUN_VERSIONS, "none -> %jd", (intmax_t)to);
    else if (from > 0)
        (void)snprintf(out, RUN_VERSIONS, "%jd", (intmax_t)from);
    else
        (void)snprintf(out, RUN_VERSIONS, "none");
}

/* ---- lines ---- */

/* One line of at most columns characters: a picture is only drawn anew right if no line wraps. */
static void add_cut(struct kt_buf *out, struct kt_bytes line, unsigned columns)
{
    static const unsigned char blank[] = " ";
    size_t width = 0;
    kt_autobuf struct kt_buf safe = {0};
    kt_buf_init(&safe, 8 * LINE_MAX_BYTES);
    output_safe(&safe, line);
    for (size_t i = 0; i < safe.len; i++) {
        width += (safe.at[i] & 0xC0) != 0x80;
        if (width > columns)
            break;
        bool moves = safe.at[i] == '\n' || safe.at[i] == '\t';
        kt_buf_add(out, moves ? blank : safe.at + i, 1);
    }
    kt_buf_add_char(out, '\n');
}

void run_view_step(struct cli *cli, const struct run_model *run, const struct run_step *step,
                   struct kt_buf *out)
{
    char clock[OUTPUT_TIME];
    char took[OUTPUT_TIME];
    char tail[OUTPUT_TIME + 8] = "";
    kt_autobuf struct kt_buf line = {0};
    kt_buf_init(&line, LINE_MAX_BYTES);
    output_clock(cli, step->at_ms, clock);
    output_took(step->took_ms, took);
    if (step->took_ms > 0)
        (void)snprintf(tail, sizeof tail, "   (%s)", took);
    /* A drill is there to go back: its states on the way are none that failed. */
    bool state = strcmp(step->kind, "state") == 0, drilled = state && run->drill[0] != '\0';
    const char *mark = !step->ok && !drilled ? "FAILED"
                       : state               ? "->"
                       : strcmp(step->kind, "intent") == 0 || strcmp(step->kind, "note") == 0
                           ? ".."
                           : "ok";
    kt_buf_printf(&line, "%s  %-6s  %-12s %s%s\n", clock, mark, step->name, step->text, tail);
    output_safe(out, kt_buf_bytes(&line));
}

static void consumer_line(const struct run_consumer *consumer, struct kt_buf *out)
{
    char name[132];
    (void)snprintf(name, sizeof name, "%s@%s", consumer->service, consumer->host);
    kt_buf_printf(out, "%-24s v%jd %s", name, (intmax_t)consumer->version, consumer->state);
    if (consumer->p95_ms > 0)
        kt_buf_printf(out, "  p95 %jd ms", (intmax_t)consumer->p95_ms);
    if (consumer->p95_ms > 0 && consumer->before_ms > 0)
        kt_buf_printf(out, " (before %jd)", (intmax_t)consumer->before_ms);
    if (consumer->detail[0] != '\0')
        kt_buf_printf(out, "  %s", consumer->detail);
}

void run_view_consumers(const struct run_model *run, unsigned indent, size_t most, unsigned columns,
                        struct kt_buf *out)
{
    kt_autobuf struct kt_buf line = {0};
    kt_buf_init(&line, LINE_MAX_BYTES);
    for (size_t i = 0; i < run->consumer_count && i < most; i++) {
        kt_buf_reset(&line);
        kt_buf_printf(&line, "%*s", (int)indent, "");
        consumer_line(&run->consumers[i], &line);
        add_cut(out, kt_buf_bytes(&line), columns);
    }
    if (run->consumer_count <= most)
        return;
    kt_buf_reset(&line);
    kt_buf_printf(&line, "%*s... and %zu more", (int)indent, "", run->consumer_count - most);
    add_cut(out, kt_buf_bytes(&line), columns);
}

/* ---- the picture ---- */

/* What a person sees of the states, in order. */
static const struct phase {
    const char *label;
    const char *states[3];
} phases[] = {
    {"checked", {"planned", "preflight", NULL}}, {"new value", {"generated", NULL, NULL}},
    {"accepted", {"applying", "applied", "mending"}}, {"verified", {"verifying", NULL, NULL}},
    {"consumers", {"promoted", "acking", NULL}}, {"overlap", {"overlapping", NULL, NULL}},
    {"old one off", {"revoking", NULL, NULL}},   {"proof", {"confirming", NULL, NULL}},
};
#define PHASES (sizeof phases / sizeof phases[0])

struct shown {
    bool reached;
    bool failed;
    int64_t from_ms, to_ms; /* 0: not over */
    const char *text;
};

/* PHASES when the state is none of the way forward. */
static size_t phase_of(const char *state)
{
    for (size_t i = 0; i < PHASES; i++)
        for (size_t k = 0; k < 3 && phases[i].states[k] != NULL; k++)
            if (strcmp(phases[i].states[k], state) == 0)
                return i;
    return PHASES;
}

static size_t collect(const struct run_model *run, struct shown shown[PHASES + 1])
{
    size_t now = 0;
    if (run->step_count == 0 && phase_of(run->state) == 0)
        shown[0] = (struct shown){.reached = true, .from_ms = run->started_ms}; /* it waits before its first step */
    for (size_t i = 0; i < run->step_count; i++) {
        const struct run_step *step = &run->steps[i];
        if (strcmp(step->kind, "state") == 0) {
            size_t next = phase_of(step->name);
            if (next != now && shown[now].reached)
                shown[now].to_ms = step->at_ms;
            now = next;
        }
        if (!shown[now].reached)
            shown[now].from_ms = step->at_ms;
        shown[now].reached = true;
        shown[now].to_ms = 0;
        if (step->text[0] != '\0' && strcmp(step->kind, "intent") != 0)
            shown[now].text = step->text;
        if (!step->ok)
            shown[now].failed = true;
    }
    return now;
}

static void add_head(struct cli *cli, const struct run_model *run, unsigned columns,
                     struct kt_buf *out)
{
    char took[OUTPUT_TIME];
    char eta[OUTPUT_TIME];
    char versions[RUN_VERSIONS];
    kt_autobuf struct kt_buf line = {0};
    kt_buf_init(&line, LINE_MAX_BYTES);
    int64_t end = run->ended_ms != 0 ? run->ended_ms : kt_wall_ms(&kt_system_clock);
    output_took(run->started_ms != 0 && end > run->started_ms ? end - run->started_ms : 0, took);
    output_took(run->eta_s * 1000, eta);
    run_view_versions(run->from, run->to, versions);
    kt_buf_printf(&line, "%s (run %s)  %s  %s  %s    %s%s%s", run->secret, run->id,
                  run->target[0] != '\0' ? run->target : "no target", run->strategy, versions, took, run->eta_s > 0 ? ", ETA " : "",
                  run->eta_s > 0 ? eta : "");
    add_cut(out, kt_buf_bytes(&line), columns);
    (void)cli;
}

void run_view_wait(const struct run_model *run, unsigned columns, struct kt_buf *out)
{
    char left[OUTPUT_TIME];
    int64_t now = kt_wall_ms(&kt_system_clock);
    kt_autobuf struct kt_buf line = {0};
    kt_buf_init(&line, LINE_MAX_BYTES);
    if (run->waits_for[0] == '\0' || run_ended(run))
        return;
    output_took(run->waits_until_ms > now ? run->waits_until_ms - now : 0, left);
    kt_buf_printf(&line, "      waits for %s%s%s", run->waits_for,
                  run->waits_until_ms > now ? ", at most " : "",
                  run->waits_until_ms > now ? left : "");
    add_cut(out, kt_buf_bytes(&line), columns);
}

static void add_phase(const struct phase *phase, const struct shown *shown, bool now, bool over,
                      unsigned columns, struct kt_buf *out)
{
    char took[OUTPUT_TIME] = "";
    kt_autobuf struct kt_buf line = {0};
    kt_buf_init(&line, LINE_MAX_BYTES);
    const char *mark = now ? "\xe2\x96\xb8" : shown->failed ? "\xe2\x9c\x97" : "\xe2\x9c\x93";
    if (!now && shown->to_ms > shown->from_ms)
        output_took(shown->to_ms - shown->from_ms, took);
    kt_buf_printf(&line, "  %s %-12s %s", over && !shown->reached ? "\xc2\xb7" : mark, phase->label,
                  shown->text != NULL ? shown->text : "");
    if (took[0] != '\0')
        kt_buf_printf(&line, "  %s", took);
    add_cut(out, kt_buf_bytes(&line), columns);
}

void run_view_picture(struct cli *cli, const struct run_model *run, unsigned columns, unsigned rows,
                      struct kt_buf *out)
{
    struct shown shown[PHASES + 1] = {0};
    static const struct phase back = {"going back", {NULL, NULL, NULL}};
    size_t now = collect(run, shown);
    size_t most = rows > PHASES + 6 ? rows - (PHASES + 6) : 1;
    kt_autobuf struct kt_buf rest = {0};
    kt_buf_init(&rest, LINE_MAX_BYTES);
    add_head(cli, run, columns, out);
    for (size_t i = 0; i < PHASES; i++) {
        if (!shown[i].reached) {
            if (now != PHASES)
                kt_buf_printf(&rest, "%s\xc2\xb7 %s", rest.len > 0 ? "   " : "  ", phases[i].label);
            continue;
        }
        add_phase(&phases[i], &shown[i], i == now && !run_ended(run), false, columns, out);
        if (i == now)
            run_view_wait(run, columns, out);
        if (i == now && strcmp(phases[i].label, "consumers") == 0)
            run_view_consumers(run, 6, most, columns, out);
    }
    if (shown[PHASES].reached && !run_done(run))
        add_phase(&back, &shown[PHASES], !run_ended(run), false, columns, out);
    if (rest.len > 0 && !run_ended(run))
        add_cut(out, kt_buf_bytes(&rest), columns);
    if (run->can_go_back && !run_ended(run)) {
        kt_buf_reset(&rest);
        kt_buf_printf(&rest,
                      "  going back is possible until \"old one off\":  secretctl run cancel %s",
                      run->id);
        add_cut(out, kt_buf_bytes(&rest), columns);
    }
}

/* ---- the verdict ---- */

/* "known   first line" and the further lines below it. */
static void add_item(struct kt_buf *out, const char *label, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        kt_buf_printf(out, "%-8s%.*s\n", label, (int)len, text);
        label = "";
        text += len + (text[len] == '\n' ? 1 : 0);
    }
}

static void add_verdict(struct kt_buf *out, const char *word, const char *secret, const char *text)
{
    kt_buf_printf(out, "%s  %s: %s\n", word, secret, text);
}

static void add_hurt(const struct run_model *run, struct kt_buf *out)
{
    const char *label = "hurt";
    for (size_t i = 0; i < run->consumer_count; i++) {
        const struct run_consumer *consumer = &run->consumers[i];
        if (strcmp(consumer->state, "unhealthy") != 0 &&
            strcmp(consumer->state, "rolled_back") != 0)
            continue;
        kt_autobuf struct kt_buf line = {0};
        kt_buf_init(&line, LINE_MAX_BYTES);
        consumer_line(consumer, &line);
        add_item(out, label, kt_buf_text(&line));
        label = "";
    }
}

static bool reconciles(const struct run_model *run)
{
    return strcmp(run->trigger, "reconcile") == 0;
}

/* How long going back took, or takes. */
void run_view_back(const struct run_model *run, struct kt_buf *out)
{
    char took[OUTPUT_TIME], most[OUTPUT_TIME];
    int64_t now = kt_wall_ms(&kt_system_clock);
    bool over = run_ended(run);
    if (run->back_ordered_ms == 0 || (over && !run->back_measured && !run->back_missed))
        return;
    int64_t ms = over || run->back_measured ? run->back_took_ms : now - run->back_ordered_ms;
    output_took(ms > 0 ? ms : 0, took);
    output_took(run->rto_ms, most);
    kt_buf_add_text(out, "back    ");
    if (over && !run->back_measured)
        kt_buf_add_text(out, "not everybody was seen well again");
    else
        kt_buf_printf(out, "%s %s", over || run->back_measured ? "took" : "ordered, since", took);
    if (run->rto_ms != 0)
        kt_buf_printf(out, "; objective %s%s", most,
                      run->back_missed || ms > run->rto_ms ? ": MISSED" : "");
    kt_buf_add_char(out, '\n');
}

/* Where it was to happen, and what that said last of both credentials. */
static void add_target(const struct run_model *run, const char *known, struct kt_buf *out)
{
    if (run->target[0] != '\0' && run->from > 0 && run->to > 0)
        kt_buf_printf(out, "target  %s, v%jd to v%jd\n", run->target, (intmax_t)run->from, (intmax_t)run->to);
    else if (run->target[0] != '\0')
        kt_buf_printf(out, "target  %s, %s v%jd\n", run->target, run->to > 0 ? "the first value," : "no new value yet,",
                      (intmax_t)(run->to > 0 ? run->to : run->from));
    add_item(out, "known", known);
}

void run_view_target(const struct run_model *run, struct kt_buf *out)
{
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, 2 * LINE_MAX_BYTES);
    add_target(run, run_known(run), &text);
    output_safe(out, kt_buf_bytes(&text));
}

static void verdict_done(const struct run_model *run, struct kt_buf *out)
{
    char text[160];
    char took[OUTPUT_TIME];
    if (reconciles(run))
        (void)snprintf(text, sizeof text, "the target accepts v%jd.", (intmax_t)run->from);
    else if (run->target[0] == '\0')
        (void)snprintf(text, sizeof text, "v%jd has a new value; there is no target to tell.",
                       (intmax_t)run->to);
    else if (run->from > 0)
        (void)snprintf(text, sizeof text, "v%jd is in use, v%jd is dead.", (intmax_t)run->to,
                       (intmax_t)run->from);
    else
        (void)snprintf(text, sizeof text, "v%jd is in use.", (intmax_t)run->to);
    add_verdict(out, "DONE", run->secret, text);
    output_took(run->ended_ms > run->started_ms ? run->ended_ms - run->started_ms : 0, took);
    kt_buf_printf(out, "took    %s", took);
    if (run->consumer_count > 0)
        kt_buf_printf(out, "; %zu of %zu consumers healthy on v%jd", run_healthy(run),
                      run->consumer_count, (intmax_t)run->to);
    kt_buf_add_char(out, '\n');
    run_view_back(run, out);
    kt_buf_printf(out, "report  secretctl report %s\n", run->id);
}

static void verdict_back(const struct run_model *run, struct kt_buf *out)
{
    char text[160];
    bool cancelled = strcmp(run->state, "cancelled") == 0;
    if (reconciles(run))
        (void)snprintf(text, sizeof text, "whether the target accepts v%jd was not seen.",
                       (intmax_t)run->from);
    else if (run->from > 0 && run->to > 0)
        (void)snprintf(text, sizeof text, "v%jd is in use, v%jd is not.", (intmax_t)run->from,
                       (intmax_t)run->to);
    else if (run->from > 0)
        (void)snprintf(text, sizeof text, "v%jd is in use; no new value was made.", (intmax_t)run->from);
    else
        (void)snprintf(text, sizeof text, "nothing was changed.");
    bool drill = run->drill[0] != '\0', good = run_good(run);
    add_verdict(out, drill ? good ? "DRILLED" : "DRILL FAILED" : cancelled ? "CANCELLED" : "ROLLED BACK",
                run->secret, text);
    run_view_back(run, out);
    if (!good)
        add_item(out, "because", run_why(run));
    add_hurt(run, out);
    if (!good)
        add_target(run, run_known(run), out);
    kt_buf_printf(out, "next    secretctl report %s\n", run->id);
    if (!good)
        kt_buf_printf(out, "then    secretctl %s %s\n",
                      drill ? "drill" : reconciles(run) ? "reconcile" : "rotate", run->secret);
}

static void verdict_frozen(const struct run_model *run, struct kt_buf *out)
{
    kt_autobuf struct kt_buf next = {0};
    kt_buf_init(&next, LINE_MAX_BYTES);
    add_verdict(out, "FROZEN", run->secret,
                run->frozen_text[0] != '\0' ? run->frozen_text
                                            : "it can neither go on nor back by itself.");
    add_hurt(run, out);
    add_target(run, run->frozen_known, out);
    add_item(out, "now", run->frozen_now);
    add_item(out, "because", run_why(run));
    if (run->frozen_next[0] != '\0')
        kt_buf_printf(&next, "%s", run->frozen_next);
    else
        kt_buf_printf(&next, "when the cause is mended: secretctl run thaw %s", run->id);
    add_item(out, "next", kt_buf_text(&next));
    if (run->frozen_code[0] != '\0')
        kt_buf_printf(out, "code    %s %s     secretctl explain %s\n", run->frozen_code,
                      run->frozen_word, run->frozen_code);
    kt_buf_printf(out, "run     %s\n", run->id);
}

void run_view_verdict(struct cli *cli, const struct run_model *run, struct kt_buf *out)
{
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, 32 * LINE_MAX_BYTES);
    (void)cli;
    if (run_done(run))
        verdict_done(run, &text);
    else if (run_frozen(run))
        verdict_frozen(run, &text);
    else if (run_ended(run))
        verdict_back(run, &text);
    else
        kt_buf_printf(&text, "%s is %s; it goes on by itself: secretctl run watch %s\n",
                      run->secret, run->state, run->id);
    output_safe(out, kt_buf_bytes(&text));
}
