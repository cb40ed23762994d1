#include "vaultd/rotation/text.h"

#include "lib/shell_word.h"
#include "vaultd/rotation/served.h"

/* ---- filling in names ---- */

static void add_value(struct kt_buf *out, const struct run *run, bool command, const char *name,
                      size_t len)
{
    char id[RUN_ID_TEXT];
    run_id_text(run->id, id);
    const struct {
        const char *name, *text;
        uint32_t number;
    } values[] = {
        {"run", id, 0},
        {"secret", run->name, 0},
        {"mate", run->back_with == 0 ? "" : run_mate_name(run, run->back_with - 1), 0},
        {"target", run->settings.target, 0},
        {"old", NULL, run->from},
        {"new", NULL, run->to},
        {"account_old", run_account(run, run->slot_old), 0},
        {"account_new", run_account(run, run->slot_new), 0},
        {"password_field", run->settings.password_field, 0},
        {"because", run->because, 0},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (strlen(values[i].name) != len || memcmp(values[i].name, name, len) != 0)
            continue;
        if (values[i].text != NULL && command)
            kt_add_shell_word(out, values[i].text);
        else if (values[i].text != NULL)
            kt_buf_add_text(out, values[i].text);
        else
            kt_buf_printf(out, "%u", values[i].number);
    }
}

const char *text_word(struct request *req, const char *text)
{
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 32768);
    kt_add_shell_word(&out, text);
    return kt_buf_ok(&out) ? kt_arena_text(&req->arena, kt_buf_bytes(&out)) : NULL;
}

static const char *fill_in(struct request *req, const struct run *run, const char *form,
                           bool command)
{
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, RUN_NEXT_MAX);
    while (*form != '\0') {
        size_t plain = strcspn(form, "{");
        kt_buf_add(&out, form, plain);
        form += plain;
        if (*form == '\0')
            break;
        size_t len = strcspn(form + 1, "}");
        add_value(&out, run, command, form + 1, len);
        form += len + 1 + (form[len + 1] == '}');
    }
    const char *text = kt_arena_text(&req->arena, kt_buf_bytes(&out));
    return text == NULL ? "" : text;
}

static const char *fill(struct request *req, const struct run *run, const char *form)
{
    return fill_in(req, run, form, false);
}

/* ---- states ---- */

static const char *const state_forms[RUN_STATE_COUNT] = {
    [RUN_PLANNED] = "version {old} is to be replaced",
    [RUN_PREFLIGHT] = "asking the target and the consumers before anything is changed",
    [RUN_GENERATED] = "version {new} is stored as pending; the target does not have it yet",
    [RUN_APPLYING] = "telling the target the new credential of {account_new}",
    [RUN_APPLIED] = "the target took it",
    [RUN_VERIFYING] = "logging in with version {new}",
    [RUN_PROMOTED] = "version {new} is current, version {old} stays until it is ended",
    [RUN_ACKING] = "waiting for the consumers to run version {new}",
    [RUN_OVERLAPPING] = "all consumers run version {new}; version {old} stays for the overlap",
    [RUN_REVOKING] = "ending version {old} at the target",
    [RUN_CONFIRMING] = "proving that version {old} is dead and version {new} works",
    [RUN_DONE] = "version {new} is in use, version {old} is refused",
    [RUN_ROLLED_BACK] = "version {old} is in use, version {new} is dead",
    [RUN_CANCELLED] = "nothing was changed",
    [RUN_FROZEN] = "a person has to look",
};
static const char *const in_place_forms[RUN_STATE_COUNT] = {
    [RUN_PROMOTED] = "version {new} is current; version {old} is not accepted any more",
    [RUN_OVERLAPPING] = "all consumers run version {new} and have to stay healthy",
    [RUN_ROLLED_BACK] = "version {old} is in use again, version {new} is dead",
};
/* The target makes the value: there is no new version before it said yes. */
static const char *const given_forms[RUN_STATE_COUNT] = {
    [RUN_GENERATED] = "the target makes the value itself; it was not asked yet",
    [RUN_APPLYING] = "having the target make a new value for {account_new}",
    [RUN_APPLIED] = "the target made one, which is stored as version {new}",
    [RUN_ROLLED_BACK] = "version {old} is in use; nothing that the target made is left",
};
static const char *const back_forms[BACK_STEP_COUNT] = {
    [BACK_ASK_OLD] = "going back: asking the target whether it accepts version {old}",
    [BACK_RESTORE_OLD] = "going back: version {old} is set again at the target",
    [BACK_DEMOTE] = "going back: version {old} becomes current again",
    [BACK_REDISTRIBUTE] = "going back: waiting for the consumers to run version {old} again",
    [BACK_REVOKE_NEW] = "going back: ending version {new} at the target",
    [BACK_CONFIRM_OLD] = "going back: proving that version {new} is dead and version {old} works",
};
static const char *const mend_forms[RUN_STATE_COUNT] = {
    [RUN_PLANNED] = "version {old} is to be accepted by the target again",
    [RUN_PREFLIGHT] = "asking the target before anything is changed",
    [RUN_MENDING] = "setting version {old} for {account_old} again, then asking for the proof",
    [RUN_DONE] = "the target accepts version {old}",
};
static const char *const drill_forms[RUN_STATE_COUNT] = {
    [RUN_PLANNED] = "a drill: version {old} is to be replaced, and then to come back",
    [RUN_PROMOTED] = "version {new} is current, for the drill",
    [RUN_OVERLAPPING] = "all consumers run version {new}; it is a drill, so nothing is ended",
};
static const char *const generate_forms[RUN_STATE_COUNT] = {
    [RUN_GENERATED] = "version {new} has a new random value",
    [RUN_PROMOTED] = "version {new} is current",
    [RUN_ACKING] = "version {new} is current; waiting for the consumers to run it and for each listener to show it",
    [RUN_ROLLED_BACK] = "version {old} is current again; version {new} lasts until it ends or is revoked",
    [RUN_DONE] = "version {new} is current; there is no target to tell",
};

const char *text_of_state(struct request *req, const struct run *run)
{
    enum run_state state = run->machine.state;
    const char *form = state_forms[state];
    if (state == RUN_ROLLING_BACK)
        form = back_forms[run->machine.back];
    else if (state == RUN_OVERLAPPING && run->silent_passed)
        form = "who did not acknowledge version {new} is not waited for any longer";
    else if (state == RUN_DONE && served_wanted(&run->settings))
        form = run->served_passed ? "version {new} is current; not every listener shows it"
                                  : "version {new} is current, and each listener shows it";
    else if (run->machine.mends && mend_forms[state] != NULL)
        form = mend_forms[state];
    else if (run->machine.mends && state == RUN_CANCELLED && run->machine.intent != INTENT_NONE)
        form = "version {old} was sent to the target; whether it is accepted was not seen";
    else if (machine_gave_up(&run->machine))
        form = "given up: it was not seen what {target} accepts of versions {old} and {new}";
    else if (run->machine.drills && drill_forms[state] != NULL)
        form = drill_forms[state];
    else if (run->machine.strategy == STRATEGY_IN_PLACE && in_place_forms[state] != NULL)
        form = in_place_forms[state];
    else if (run->machine.given && given_forms[state] != NULL && (state != RUN_ROLLED_BACK || run->to == 0))
        form = given_forms[state];
    else if (run->machine.strategy == STRATEGY_GENERATE && generate_forms[state] != NULL)
        form = generate_forms[state];
    return form == NULL ? "" : fill(req, run, form);
}

const char *text_of_intent(struct request *req, const struct run *run)
{
    static const char *const overlap_forms[RUN_INTENT_COUNT] = {
        [INTENT_APPLY] = "about to have {account_new} accept version {new} beside version {old}",
        [INTENT_REVOKE] = "about to have {account_old} accept version {new} alone: no way back from here",
        [INTENT_REVOKE_NEW] = "about to have {account_new} accept version {old} alone",
    };
    static const char *const forms[RUN_INTENT_COUNT] = {
        [INTENT_APPLY] = "about to set the public part of version {new} for {account_new}",
        [INTENT_REVOKE] = "about to end {account_old}, version {old}: no way back from here",
        [INTENT_REVOKE_NEW] = "about to end {account_new}, version {new}",
        [INTENT_RESTORE] = "about to set the public part of version {old} for {account_old} again",
    };
    const char *form = forms[run->machine.intent];
    if (run->machine.given && run->machine.intent == INTENT_APPLY)
        return fill(req, run, "about to have the target make a new value for {account_new}");
    if (run->machine.given && run->to == 0)
        return fill(req, run, "about to end whatever the target made for {account_new}");
    if (run->machine.strategy == STRATEGY_OVERLAP && overlap_forms[run->machine.intent] != NULL)
        form = overlap_forms[run->machine.intent];
    return form == NULL ? "" : fill(req, run, form);
}

/* ---- frozen ---- */

/* `next` can be pasted into a shell as it is: names are words of it, what is no command is a comment. */
static const struct frozen_words words[] = {
    {FROZEN_DRIFT,
     "{target} refuses the password that the vault has as current (version {old}). Nothing was "
     "changed.",
     "secretctl run cancel {run}\n"
     "# where the stored one is right, instead of the rest: secretctl reconcile {secret}\n"
     "secretctl kv patch {secret} {password_field}=-   # the password that works, on standard input\n"
     "secretctl rotate {secret}\n"
     "# where the old one is meant to be dead, instead of the patch: secretctl schedule set {secret} "
     "old_is_dead=true"},
    {FROZEN_ADMIN,
     "{target} refuses the administrative login. Nothing more is changed until it works.",
     "secretctl target set {target} admin_password=-   # on standard input, if it is another now\n"
     "secretctl run thaw {run}   # asks the target again and goes on where it was"},
    {FROZEN_OPEN,
     "{target} lets a wrong password in: no test there proves anything.",
     "# PostgreSQL: look for trust, peer or cert lines in pg_hba.conf that match {account_old} and "
     "{account_new}, mend and reload it; Redis: for nopass in their ACL; MariaDB: was it started with "
     "skip-grant-tables, do they log in by unix_socket? An HTTP API: does the \"test\" that the "
     "target declares ask with the value?\n"
     "secretctl run thaw {run}"},
    {FROZEN_SERVER,
     "Another server answers where {target} was: its identifier is not the one seen before.",
     "secretctl target set {target} server_id=   # only if the move was meant\n"
     "secretctl run thaw {run}   # probes before it does anything"},
    {FROZEN_BOTH_DEAD,
     "{target} refuses BOTH passwords. New connections fail; open sessions still work.",
     "# somebody with rights at the target looks at {account_old} and {account_new}: changed by "
     "hand? locked? may the administrative login still change them?\n"
     "secretctl run thaw {run}   # sets version {new} again, probes, goes on; safe to repeat"},
    {FROZEN_OLD_ALIVE,
     "{target} still accepts the old password (version {old}) after it was ended. Nobody is cut "
     "off; it is a security problem, not an outage.",
     "# look for a second server or another way in for {account_old}\n"
     "secretctl run thaw {run}   # ends it again and asks for the proof"},
    {FROZEN_NEW_DEAD,
     "{target} refuses the NEW password (version {new}), which all consumers run. New connections "
     "fail.",
     "# somebody with rights at the target looks at {account_new}\n"
     "secretctl run thaw {run}   # sets version {new} again, probes, goes on; safe to repeat"},
    {FROZEN_CANNOT_REVOKE,
     "{target} does not let version {old} be ended. Version {new} is in use everywhere; version "
     "{old} still works: a security problem, not an outage.",
     "# give {target}'s administrative login the right to change {account_old}\n"
     "secretctl run thaw {run}   # tries again"},
    {FROZEN_ROLLBACK,
     "Going back did not come to an end: version {new} could not be ended, or version {old} not be "
     "set again.",
     "secretctl run show {run}   # what the target said; mend that there\n"
     "secretctl run thaw {run}   # goes on going back; safe to repeat"},
    {FROZEN_STORE,
     "The vault does not have the version that this run needs. Nothing more is changed.",
     "secretctl kv metadata get {secret}\n"
     "secretctl run cancel {run}   # gives it up, wherever it is: nothing more is changed\n"
     "secretctl kv patch {secret} {password_field}=-   # the password that {target} accepts, on standard input\n"
     "secretctl rotate {secret}"},
    {FROZEN_UNMENDED,
     "{target} does not accept the stored password (version {old}) although it was told to.",
     "# somebody with rights at the target looks at {account_old}: locked? expired? may the "
     "administrative login change it?\n"
     "secretctl run thaw {run}   # asks again, sets version {old} again if need be; safe to repeat\n"
     "secretctl run cancel {run}   # or leaves it as it is"},
};

/* Where the target makes the values. */
static const struct frozen_words given_words[] = {
    {FROZEN_BOTH_DEAD,
     "{target} refuses BOTH values, and a third one that it made, or makes none. New connections fail.",
     "secretctl run show {run}   # what the target said; mend that there: who deletes its keys?\n"
     "secretctl run thaw {run}   # has {target} make another value, tries it, goes on; safe to repeat"},
    {FROZEN_NEW_DEAD,
     "{target} refuses the NEW value (version {new}) and one that it made in its place before, or makes "
     "none. New connections fail.",
     "secretctl run show {run}   # what the target said; mend that there: who deletes its keys?\n"
     "secretctl run thaw {run}   # has {target} make another value, tries it, goes on; safe to repeat"},
};

/* The old one was dead before, and nobody has the new one yet. */
static const struct frozen_words refused_words = {
    FROZEN_BOTH_DEAD,
    "{target} does not take the NEW password (version {new}); version {old} was dead before. Nobody gets in with "
    "what the vault has; open sessions still work.",
    "secretctl run show {run}   # what the target said; mend that there\n"
    "secretctl run thaw {run}   # sets version {new} again, probes, goes on; safe to repeat\n"
    "secretctl run cancel {run}   # or gives it up: nothing more is changed"};

static const struct frozen_words *words_of(const struct machine *m)
{
    if (m->frozen == FROZEN_BOTH_DEAD && m->old_dead && !m->promoted && !m->given)
        return &refused_words;
    for (size_t i = 0; m->given && i < sizeof given_words / sizeof given_words[0]; i++)
        if (given_words[i].code == m->frozen)
            return &given_words[i];
    return frozen_words_of(m->frozen);
}

const struct frozen_words *frozen_words_of(enum frozen_code code)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (words[i].code == code)
            return &words[i];
    return NULL;
}

void text_freeze(struct request *req, struct run *run, const char *known)
{
    const struct frozen_words *row = words_of(&run->machine);
    run->frozen_known = known;
    run->frozen_now = "";
    run->looked_ms = 0;
    run->frozen_text = row == NULL ? "" : fill(req, run, row->text);
    run->frozen_next = row == NULL ? "" : fill_in(req, run, row->next, true);
}

const char *text_command(struct request *req, const struct run *run, const char *form)
{
    return fill_in(req, run, form, true);
}

const char *text_way_forward(struct request *req, const struct run *run)
{
    if (run_state_ended(run->machine.state))
        return fill(req, run, "it has ended; secretctl rotate {secret} --back makes a new run");
    if (run->machine.state == RUN_ROLLING_BACK)
        return fill(req, run, "it is going back already; secretctl run watch {run}");
    if (run->machine.old_dead)
        return fill(req, run, "version {old} was dead before and is not set again, so it goes forward: secretctl run "
                              "watch {run}");
    if (run->machine.given)
        return fill(req, run, "version {old} may be dead already, so it goes forward: secretctl run watch {run}");
    if (run->machine.strategy == STRATEGY_GENERATE)
        return fill(req, run, "what was before is no certificate, has ended or is revoked, so it goes forward: "
                              "secretctl run watch {run}");
    return fill(req, run,
                "version {old} may be dead already, so it goes forward: secretctl run watch {run}; "
                "afterwards: secretctl rotate {secret} --back");
}
