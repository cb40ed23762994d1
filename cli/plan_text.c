/* cli/plan_text.c - see cli/plan_text.h. */
#include "cli/plan_text.h"

#include <stdio.h>

#include "cli/cli.h"
#include "cli/gap_view.h"
#include "cli/output.h"
#include "lib/clock.h"
#include "lib/plain_text.h"
#include "lib/shell_word.h"

#define TEXT_MAX 2200

void plan_safe(struct kt_buf *out, const char *text)
{
    size_t begin = out->len;
    for (const char *at = text; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        if (strchr("\\`*[]<>|#", c) != NULL)
            kt_buf_add_char(out, '\\');
        kt_buf_add_char(out, (char)c);
    }
    if (out->len > begin)
        kt_make_plain((char *)out->at + begin, out->len - begin);
}

/* ---- members ---- */

static void take(struct kt_json object, const char *name, char out[TEXT_MAX])
{
    out[0] = '\0';
    (void)kt_api_text(object, name, out, TEXT_MAX);
}

static int64_t number(struct kt_json object, const char *name)
{
    int64_t value = 0;
    (void)kt_api_i64(object, name, &value);
    return value;
}

/* "-" for nothing. */
static void add_text(struct kt_json object, const char *name, struct kt_buf *out)
{
    char text[TEXT_MAX];
    take(object, name, text);
    plan_safe(out, text[0] != '\0' ? text : "-");
}

static void add_seconds(struct kt_json object, const char *name, struct kt_buf *out)
{
    char span[OUTPUT_TIME];
    output_span(number(object, name) * 1000, span);
    kt_buf_add_text(out, number(object, name) == 0 ? "0 s" : span);
}

static void add_list(struct kt_json object, const char *name, struct kt_buf *out)
{
    struct kt_json list = {0};
    bool first = true;
    (void)kt_json_member(object, name, &list);
    struct kt_json_iter it = kt_json_iter(list);
    while (kt_json_next(&it)) {
        kt_autobuf struct kt_buf text = {0};
        kt_buf_init(&text, TEXT_MAX);
        output_value(&text, it.value);
        kt_buf_add_text(out, first ? "" : ", ");
        plan_safe(out, kt_buf_text(&text));
        first = false;
    }
    if (first)
        kt_buf_add_char(out, '-');
}

static size_t list_count(struct kt_json object, const char *name)
{
    struct kt_json list = {0};
    return kt_json_member(object, name, &list) ? kt_json_count(list) : 0;
}

/* The nth of "next"; 0: there is none. */
static int64_t next_time(struct kt_json secret, size_t nth)
{
    struct kt_json list = {0};
    int64_t ms = 0;
    (void)kt_json_member(secret, "next", &list);
    struct kt_json_iter it = kt_json_iter(list);
    for (size_t i = 0; kt_json_next(&it); i++) {
        kt_autobuf struct kt_buf text = {0};
        kt_buf_init(&text, 64);
        if (i == nth && kt_json_string(it.value, &text))
            (void)kt_time_parse(kt_buf_text(&text), text.len, &ms);
    }
    return ms;
}

static void add_time(struct cli *cli, int64_t ms, const char *none, struct kt_buf *out)
{
    char time[OUTPUT_TIME];
    output_time(cli, ms, time);
    kt_buf_add_text(out, ms == 0 ? none : time);
}

/* ---- what it is ---- */

/* One row a strategy: what is rotated, and how a person would do and undo it. */
#define ISSUED_GAP    "none: what was issued before is good until it ends"
#define ISSUED_BY     "secretctl rotate SECRET is the procedure by hand as well; without the vault: make it elsewhere, then secretctl kv put SECRET"
#define ISSUED_BEFORE "not before a commit: there is nothing between the two versions"
#define ISSUED_SEEN   "consumers report that they run the new version and are healthy; servers in served_at show it"
#define ISSUED_STEPS  {"it is made and signed, and becomes the current version, in one commit", \
                       "agents fetch it, restart or reload what they run, and check it"}
#define REVOKE        "the old one is accepted until it ends or is revoked: secretctl certificate revoke SECRET"
#define LIST_IS_OLD   "an older list is believed until it ends: have those who read it fetch the new one"
static const struct way {
    const char *strategy;
    const char *generator; /* of generate: what a new value is, where that is no random one; "": any */
    const char *type, *gap;
    const char *steps[6];
    const char *verification, *before, *by_hand, *emergency;
} ways[] = {
    {"generate", "x509", "X.509 certificate", ISSUED_GAP, ISSUED_STEPS, ISSUED_SEEN, ISSUED_BEFORE, ISSUED_BY, REVOKE},
    {"generate", "x509-ca", "X.509 authority", ISSUED_GAP, ISSUED_STEPS, ISSUED_SEEN, ISSUED_BEFORE, ISSUED_BY,
     "whoever has the old key signs with it until those who trust it do not any more: take it out of their trust, rotate "
     "what it signed, and where it was signed by another: secretctl certificate revoke SECRET"},
    {"generate", "ssh-cert", "SSH certificate", ISSUED_GAP, ISSUED_STEPS, ISSUED_SEEN, ISSUED_BEFORE, ISSUED_BY, REVOKE},
    {"generate", "x509-crl", "revocation list of an X.509 authority", ISSUED_GAP, ISSUED_STEPS, ISSUED_SEEN, ISSUED_BEFORE,
     ISSUED_BY, LIST_IS_OLD},
    {"generate", "ssh-krl", "revocation list of an SSH authority", ISSUED_GAP, ISSUED_STEPS, ISSUED_SEEN, ISSUED_BEFORE,
     ISSUED_BY, LIST_IS_OLD},
    {"generate", "", "random value in the vault", "none at a target: there is none",
     {"a new value is drawn and becomes the current version, in one commit",
                           "agents fetch it, restart or reload what they run, and check it"},
     "consumers report that they run the new version and are healthy",
     "not before a commit: there is nothing between the two values",
     "write the new value: secretctl kv patch SECRET password=-",
     "where the old value is accepted it lives on: it has to be ended there"},
    {"alternate", "", "login, two accounts in turn", "none: one account works while the other is changed",
     {
         "the target is asked: administrative login, a wrong password, the old one",
         "the account that is not in use gets a new value; a login with it is tried",
         "the new version becomes current; agents fetch it, restart or reload what they run, check it, and say so",
         "when all have, and the overlap is over, the old account loses its password and its sessions",
         "proof: the old one is refused, the new one accepted, a wrong one refused"},
     "a login with the new value, one with a wrong one, and the consumers' health checks",
     "before the old account is closed: secretctl run cancel SECRET; nothing at the target has to change for it",
     "secretctl rotate SECRET is the procedure by hand as well; without the vault: set the other account's password at "
     "the target, then secretctl kv put SECRET with it",
     "the old value is dead when the run is done. Sooner, cutting off who has not reloaded, first: "
     "secretctl schedule set SECRET overlap=0 soak=0 drain=0 max_overlap=0"},
    {"overlap", "", "login, two passwords on one account", "none: both passwords are accepted until the old one ends",
     {"the target is asked: administrative login, a wrong password, the old one",
      "the account gets a second password; a login with it is tried",
      "the new version becomes current; agents fetch it, restart or reload what they run, check it, and say so",
      "when all have, and the overlap is over, the old password is removed",
      "proof: the old one is refused, the new one accepted, a wrong one refused"},
     "a login with the new value, one with a wrong one, and the consumers' health checks",
     "before the old password is removed: secretctl run cancel SECRET removes the new one",
     "secretctl rotate SECRET is the procedure by hand as well; without the vault: add the password at the target, then "
     "secretctl kv put SECRET with it",
     "the old value is dead when the run is done. Sooner, cutting off who has not reloaded, first: "
     "secretctl schedule set SECRET overlap=0 soak=0 drain=0 max_overlap=0"},
    {"in-place", "", "login, one account",
     "from the change until each consumer has reloaded, who connects with the old value is refused",
     {
         "the target is asked: administrative login, a wrong password, the old one",
         "the account's password is changed, and at once the new version becomes current",
         "agents fetch it, restart or reload what they run, check it, and say so",
         "proof: the old one is refused, the new one accepted, a wrong one refused"},
     "a login with the new value, one with a wrong one, and the consumers' health checks",
     "before the end: secretctl run cancel SECRET sets the old value at the target again",
     "secretctl rotate SECRET is the procedure by hand as well; without the vault: change the password at the target, "
     "then secretctl kv put SECRET with it",
     "the old value is dead as soon as the run changed the account"},
};

static void take_generator(struct kt_json secret, const char *name, char out[TEXT_MAX])
{
    struct kt_json generator = {0};
    (void)kt_json_member(secret, "generator", &generator);
    take(generator, name, out);
}

/* A strategy that this secretctl does not know yet is said to be that. */
static const struct way *way_of(struct kt_json secret)
{
    static const struct way other = {
        "", "", "credential", "see docs/rotation.md",
        {"as the strategy says: docs/rotation.md"},
        "as the strategy says: docs/rotation.md", "secretctl run cancel SECRET, as long as run show says so",
        "secretctl rotate SECRET", "the old value is dead when the run is done"};
    char strategy[TEXT_MAX], generator[TEXT_MAX];
    take(secret, "strategy", strategy);
    take_generator(secret, "type", generator);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        if (strcmp(ways[i].strategy, strategy) == 0 &&
            (ways[i].generator[0] == '\0' || strcmp(ways[i].generator, generator) == 0))
            return &ways[i];
    return &other;
}

/* Of what has no target: who accepts it. */
static void add_who_accepts(struct kt_json secret, struct kt_buf *out)
{
    char issuer[TEXT_MAX];
    bool issued = way_of(secret)->generator[0] != '\0';
    take_generator(secret, "issuer", issuer);
    if (issuer[0] != '\0') {
        kt_buf_add_text(out, "whoever trusts ");
        plan_safe(out, issuer);
    } else {
        kt_buf_add_text(out, issued ? "whoever trusts it" : "none that the vault knows");
    }
}

static void add_system(struct kt_json secret, struct kt_buf *out)
{
    char target[TEXT_MAX];
    char text[TEXT_MAX];
    struct kt_json system = {0};
    take(secret, "target", target);
    if (target[0] == '\0') {
        add_who_accepts(secret, out);
        return;
    }
    (void)kt_json_member(secret, "system", &system);
    plan_safe(out, target);
    take(system, "driver", text);
    kt_buf_add_text(out, " (");
    plan_safe(out, text);
    take(system, "host", text);
    if (text[0] != '\0')
        kt_buf_add_char(out, ' ');
    if (list_count(system, "hosts") > 0)
        add_list(system, "hosts", out);
    else
        plan_safe(out, text);
    kt_buf_add_char(out, ')');
}

static void add_age(struct kt_json secret, struct kt_buf *out)
{
    char span[OUTPUT_TIME];
    output_span(number(secret, "age_s") * 1000, span);
    kt_buf_add_text(out, number(secret, "version") == 0 ? "-" : span);
    kt_buf_add_text(out, " of ");
    output_span(number(secret, "max_age_s") * 1000, span);
    kt_buf_add_text(out, number(secret, "max_age_s") == 0 ? "no limit" : span);
}

/* ---- the table ---- */

void plan_table_heading(struct kt_buf *out)
{
    kt_buf_add_text(out, "| secret | type | system | risk | owner | age | next | last result | overdue | missing | unproven |\n"
                         "|---|---|---|---|---|---|---|---|---|---|---|\n");
}

void plan_table_row(struct cli *cli, struct kt_json secret, struct kt_buf *out)
{
    kt_buf_add_text(out, "| ");
    add_text(secret, "secret", out);
    kt_buf_printf(out, " | %s | ", way_of(secret)->type);
    add_system(secret, out);
    kt_buf_add_text(out, " | ");
    add_text(secret, "risk", out);
    kt_buf_add_text(out, " | ");
    add_text(secret, "owner", out);
    kt_buf_add_text(out, " | ");
    add_age(secret, out);
    kt_buf_add_text(out, " | ");
    add_time(cli, next_time(secret, 0), "by hand", out);
    kt_buf_add_text(out, " | ");
    add_text(secret, "last_result", out);
    kt_buf_add_text(out, " | ");
    add_text(secret, "overdue", out);
    kt_buf_printf(out, " | %zu | %zu |\n", list_count(secret, "missing"),
                  list_count(secret, "unproven"));
}

/* ---- a secret's page ---- */

static void add_sentences(struct kt_json secret, const char *name, const char *title, const char *none,
                          struct kt_buf *out)
{
    struct kt_json list = {0};
    size_t n = list_count(secret, name);
    kt_buf_printf(out, "\n%s%s\n", title, n == 0 ? none : "");
    (void)kt_json_member(secret, name, &list);
    struct kt_json_iter it = kt_json_iter(list);
    while (kt_json_next(&it)) {
        kt_autobuf struct kt_buf text = {0};
        kt_buf_init(&text, 8192);
        output_value(&text, it.value);
        kt_buf_add_text(out, "- ");
        plan_safe(out, kt_buf_text(&text));
        kt_buf_add_char(out, '\n');
    }
}

static void add_consumers(struct kt_json secret, struct kt_buf *out)
{
    struct kt_json list = {0};
    int64_t all = number(secret, "consumers_count");
    int64_t shown = 0;
    (void)kt_json_member(secret, "consumers", &list);
    struct kt_json_iter it = kt_json_iter(list);
    for (; kt_json_next(&it); shown++) {
        kt_buf_add_text(out, shown == 0 ? "" : ", ");
        add_text(it.value, "service", out);
        kt_buf_add_char(out, '@');
        add_text(it.value, "host", out);
        kt_buf_printf(out, " (v%jd ", (intmax_t)number(it.value, "version"));
        add_text(it.value, "state", out);
        kt_buf_add_char(out, ')');
    }
    if (all > shown)
        kt_buf_printf(out, " and %jd more", (intmax_t)(all - shown));
    kt_buf_add_text(out, all == 0 ? "none known\n" : "\n");
}

/* A command line, with the secret's name where SECRET stands. */
static void add_command(const char *text, const char *name, struct kt_buf *out)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (strncmp(at, "SECRET", 6) == 0) {
            plan_safe(out, name);
            at += 5;
        } else {
            kt_buf_add_char(out, *at);
        }
    }
}

/* Whether the target accepts what is stored. */
static void add_truth(struct cli *cli, struct kt_json secret, struct kt_buf *out)
{
    char text[TEXT_MAX];
    take(secret, "target", text);
    if (text[0] == '\0')
        return;
    take(secret, "truth", text);
    bool accepted = strcmp(text, "accepted") == 0;
    kt_buf_add_text(out, "- the target accepts it: ");
    kt_buf_add_text(out, accepted ? "yes, seen " : text[0] != '\0' ? "NO, since " : "not seen yet");
    if (text[0] != '\0')
        add_time(cli, output_time_of(secret, accepted ? "verified" : "drifted"), "-", out);
    kt_buf_add_char(out, '\n');
}

/* A rotation by hand; what a schedule starts asks nobody. */
static void add_approvals(struct kt_json secret, struct kt_buf *out)
{
    struct kt_json list = {0};
    bool first = true;
    kt_buf_add_text(out, "- approvals of a rotation by hand: ");
    (void)kt_json_member(secret, "approvals_in_force", &list);
    struct kt_json_iter it = kt_json_iter(list);
    for (; kt_json_next(&it); first = false) {
        kt_buf_printf(out, "%s%jd by rule ", first ? "" : "; ", (intmax_t)number(it.value, "needed"));
        add_text(it.value, "rule", out);
        kt_buf_add_text(out, " (from ");
        add_text(it.value, "from", out);
        bool there = false;
        (void)kt_api_bool(it.value, "rule_is_there", &there);
        kt_buf_add_text(out, there ? ")" : "), WHICH IS GONE: nobody can approve it");
    }
    kt_buf_add_text(out, first ? "none\n" : "\n");
}

static void add_facts(struct cli *cli, struct kt_json secret, struct kt_buf *out)
{
    static const struct {
        const char *title, *member;
    } texts[] = {{"owner", "owner"},
                 {"told", "notify"},
                 {"risk class", "risk"},
                 {"strategy", "strategy"}};
    char run[TEXT_MAX];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        kt_buf_printf(out, "- %s: ", texts[i].title);
        add_text(secret, texts[i].member, out);
        kt_buf_add_char(out, '\n');
    }
    add_approvals(secret, out);
    kt_buf_printf(out, "- type: %s\n- authenticates to: ", way_of(secret)->type);
    add_system(secret, out);
    kt_buf_add_text(out, "\n- accounts: ");
    add_list(secret, "accounts", out);
    kt_buf_add_text(out, "\n- kept in: this vault, mount ");
    add_text(secret, "mount", out);
    kt_buf_printf(out, ", version %jd\n- cadence: ", (intmax_t)number(secret, "version"));
    add_text(secret, "cadence", out);
    kt_buf_add_text(out, "\n- next: ");
    add_time(cli, next_time(secret, 0), "only by hand", out);
    if (next_time(secret, 1) != 0)
        kt_buf_add_text(out, ", then ");
    add_time(cli, next_time(secret, 1), "", out);
    kt_buf_add_text(out, "\n- age: ");
    add_age(secret, out);
    kt_buf_add_text(out, "\n- last rotation: ");
    add_time(cli, output_time_of(secret, "last_done"), "never", out);
    kt_buf_add_text(out, ", result ");
    add_text(secret, "last_result", out);
    kt_buf_printf(out, ", failed in a row %jd", (intmax_t)number(secret, "failures"));
    take(secret, "run", run);
    kt_buf_printf(out, "%s%s\n", run[0] != '\0' ? "; under way: secretctl run watch " : "", run);
    add_truth(cli, secret, out);
    kt_buf_add_text(out, "- consumers: ");
    add_consumers(secret, out);
}

static void add_waits(struct kt_json secret, struct kt_buf *out)
{
    static const char *const names[] = {"ack_timeout", "overlap", "soak", "drain", "max_overlap"};
    kt_buf_add_text(out, "- waits:");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        kt_buf_printf(out, "%s %s ", i == 0 ? "" : ",", names[i]);
        add_seconds(secret, names[i], out);
    }
    kt_buf_add_text(out, "\n- an unhealthy consumer: ");
    add_text(secret, "on_unhealthy", out);
    kt_buf_add_text(out, "; a silent one: ");
    add_text(secret, "on_ack_timeout", out);
    kt_buf_add_char(out, '\n');
}

/* How long going back may take, took, and when it was tried. */
static void add_back(struct cli *cli, struct kt_json secret, struct kt_buf *out)
{
    char span[OUTPUT_TIME], target[TEXT_MAX];
    take(secret, "target", target);
    if (target[0] == '\0')
        return;
    kt_buf_add_text(out, "\n- going back may take: ");
    output_span(number(secret, "rto") * 1000, span);
    kt_buf_add_text(out, number(secret, "rto") == 0 ? "not said (rto)" : span);
    output_took(number(secret, "back_took_ms"), span);
    if (output_time_of(secret, "backed") != 0)
        kt_buf_printf(out, "; it took %s, ", span);
    add_time(cli, output_time_of(secret, "backed"), "; never measured", out);
    kt_buf_add_text(out, "\n- last drill: ");
    add_time(cli, output_time_of(secret, "drilled"), "never", out);
    if (output_time_of(secret, "drilled") != 0) {
        kt_buf_add_text(out, ", ");
        add_text(secret, "drill_result", out);
    }
    kt_buf_add_text(out, "; next: ");
    add_time(cli, output_time_of(secret, "next_drill"), "only by hand", out);
}

/* In-place: what was measured, and the way without. */
static void add_gap(struct cli *cli, struct kt_json secret, const char *name, struct kt_buf *out)
{
    char strategy[TEXT_MAX];
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, 8192);
    take(secret, "strategy", strategy);
    if (strcmp(strategy, "in-place") != 0)
        return;
    kt_buf_add_text(out, "- gap, measured: ");
    gap_view_measured(cli, secret, &text);
    plan_safe(out, kt_buf_text(&text));
    kt_buf_reset(&text);
    kt_buf_add_text(out, "\n- without a gap: ");
    if (gap_view_instead(secret, name, &text))
        plan_safe(out, kt_buf_text(&text));
    else
        kt_buf_add_text(out, "its target can do nothing else");
    kt_buf_add_char(out, '\n');
}

static void add_procedure(struct cli *cli, struct kt_json secret, const char *name, struct kt_buf *out)
{
    const struct way *way = way_of(secret);
    kt_buf_add_text(out, "\nProcedure, by the vault itself:\n\n");
    for (size_t i = 0; way->steps[i] != NULL; i++)
        kt_buf_printf(out, "%zu. %s\n", i + 1, way->steps[i]);
    kt_buf_printf(out, "\n- gap: %s\n", way->gap);
    add_gap(cli, secret, name, out);
    kt_buf_printf(out, "- verification: %s\n", way->verification);
    add_waits(secret, out);
    kt_buf_add_text(out, "- way back: ");
    add_command(way->before, name, out);
    kt_buf_add_text(out, "; afterwards ");
    add_command("secretctl rotate --back SECRET", name, out);
    add_back(cli, secret, out);
    kt_buf_add_text(out, "\n- by hand: ");
    add_command(way->by_hand, name, out);
    kt_buf_add_text(out, "\n- who may: a token with update on rotation/rotate/");
    plan_safe(out, name);
    kt_buf_add_text(out, " (policies: secretctl policy list)\n\nEmergency, when it leaked:\n\n    ");
    kt_buf_add_text(out, "secretctl rotate --reason=leaked ");
    kt_add_shell_word(out, name);
    kt_buf_add_text(out, "\n\n");
    add_command(way->emergency, name, out);
    kt_buf_add_char(out, '\n');
}

void plan_page(struct cli *cli, struct kt_json secret, struct kt_buf *out)
{
    char name[TEXT_MAX];
    char text[TEXT_MAX];
    take(secret, "secret", name);
    kt_buf_add_text(out, "\n## ");
    plan_safe(out, name);
    kt_buf_add_text(out, "\n\n");
    take(secret, "overdue", text);
    if (text[0] != '\0')
        kt_buf_printf(out, "OVERDUE (%s): see `secretctl overdue`.\n\n", text);
    add_facts(cli, secret, out);
    add_sentences(secret, "missing", "Missing:", " nothing", out);
    add_sentences(secret, "unproven", "Unproven:", " nothing", out);
    add_procedure(cli, secret, name, out);
}
