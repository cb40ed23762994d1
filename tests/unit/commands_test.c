/* The table of commands: what holds for every row, and what cli_run() does with words. */
#include "cli/commands.h"

#include <ctype.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/help.h"
#include "cli/rotation_fields.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/secret.h"
#include "tests/support/canned_server.h"

#define LINE_MAX_WIDTH 120u

/* ---- every row ---- */

static void words_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < command_count(); i++) {
        for (size_t k = 0; k < command_count(); k++) {
            const struct command *a = command_at(i);
            const struct command *b = command_at(k);
            bool same = i != k && strcmp(a->words, b->words) == 0;
            bool alias = a->alias != NULL &&
                         (strcmp(a->alias, b->words) == 0 ||
                          (i != k && b->alias != NULL && strcmp(a->alias, b->alias) == 0));
            if (same || alias)
                fail_msg("'%s' and '%s' are the same to a person", a->words, b->words);
        }
    }
}

static void a_row_is_complete(void **state)
{
    const struct command *command = *state;
    size_t len = strlen(command->summary);
    if (len < 10 || command->summary[len - 1] != '.' || !isupper(command->summary[0]))
        fail_msg("the summary is no sentence: '%s'", command->summary);
    assert_non_null(command->run);
    assert_true(command->min_words <= command->max_words);
    assert_true(command->group < GROUP_COUNT);
    assert_true((command->max_words == 0) == (command->usage[0] == '\0'));
    if (strstr(command->examples, "secretctl") == NULL)
        fail_msg("no example to paste");
}

static void a_row_takes_each_flag_once(void **state)
{
    const struct command *command = *state;
    enum flag_id ids[FLAG_ID_COUNT];
    bool seen[FLAG_ID_COUNT] = {false};
    size_t count = command_flags(command, ids);
    for (size_t i = 0; i < count; i++) {
        if (seen[ids[i]])
            fail_msg("-%s twice", cli_flag_table[ids[i]].name);
        seen[ids[i]] = true;
    }
    assert_true(seen[FLAG_HELP]);
}

static void a_row_is_found_by_its_words(void **state)
{
    const struct command *command = *state;
    char text[64];
    const char *words[8];
    size_t count = 0;
    size_t used = 0;
    (void)snprintf(text, sizeof text, "%s", command->words);
    for (char *at = text; *at != '\0'; count++) {
        words[count] = at;
        at += strcspn(at, " ");
        if (*at == ' ')
            *at++ = '\0';
    }
    assert_ptr_equal(command_find(words, count, &used), command);
    assert_int_equal(used, count);
    words[0] = command->alias;
    if (command->alias != NULL)
        assert_ptr_equal(command_find(words, 1, &used), command);
}

static void help_fits_a_screen(void **state)
{
    const struct command *command = *state;
    kt_autobuf struct kt_buf out = {0};
    kt_buf_init(&out, 1 << 20);
    help_command(command, &out);
    assert_true(kt_buf_ok(&out));
    assert_non_null(strstr(kt_buf_text(&out), command->summary));
    const char *at = kt_buf_text(&out);
    while (*at != '\0') {
        size_t len = strcspn(at, "\n");
        if (len > LINE_MAX_WIDTH)
            fail_msg("%zu characters: %.*s", len, (int)len, at);
        at += len + (at[len] == '\n' ? 1 : 0);
    }
}

/* Every "secretctl ..." of the examples is a command with flags and words it takes. */
static void examples_are_right(void **state)
{
    const struct command *command = *state;
    const char *at = command->examples;
    while ((at = strstr(at, "secretctl ")) != NULL) {
        char line[512];
        char *argv[64] = {NULL};
        int argc = 0;
        size_t used = 0;
        struct flags flags;
        struct kt_err err = {0};
        enum flag_id ids[FLAG_ID_COUNT];
        (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "<>|\n\\"), at);
        bool quoted = false;
        argv[argc++] = line;
        for (char *c = line; *c != '\0'; c++) {
            quoted = *c == '"' ? !quoted : quoted;
            if (*c != ' ' || quoted)
                continue;
            *c = '\0';
            if (c[1] != '\0' && c[1] != ' ')
                argv[argc++] = c + 1;
        }
        assert_int_equal(flags_split(argc, argv, &flags, &err), KT_OK);
        const struct command *found = command_find(flags.words, flags.word_count, &used);
        if (found != command)
            fail_msg("the example is another command: %s", at);
        size_t words = flags.word_count - used;
        bool continues = strchr(at, '\\') != NULL;
        if (!continues && (words < command->min_words || words > command->max_words))
            fail_msg("the example has %zu words: %s", words, at);
        if (flags_check(&flags, ids, command_flags(command, ids), command->words, &err) != KT_OK)
            fail_msg("%s: %s", at, err.what);
        at++;
    }
}

/* The help of "set" names every setting there is. */
/* An exit code means something else there. */
static void who_asks_is_named(void **state)
{
    (void)state;
    size_t asking = 0;
    kt_autobuf struct kt_buf all, page;
    kt_buf_init(&all, 65536);
    kt_buf_init(&page, 1 << 20);
    help_all(&all);
    help_markdown(&page);
    const char *codes = strstr(kt_buf_text(&all), "Exit codes:");
    const char *codes_of_page = strstr(kt_buf_text(&page), "Exit codes:");
    assert_non_null(codes);
    assert_non_null(codes_of_page);
    char *before = strndup(codes_of_page, strcspn(codes_of_page, "#"));
    for (size_t i = 0; i < command_count(); i++) {
        const char *words = command_at(i)->words;
        if ((command_at(i)->traits & COMMAND_ASKS) == 0)
            continue;
        asking++;
        if (strstr(codes, words) == NULL || strstr(before, words) == NULL)
            fail_msg("'%s' answers a question, which its exit code tells; nothing says so", words);
    }
    free(before);
    assert_true(asking > 2);
}

static void settings_are_in_the_help(void **state)
{
    (void)state;
    static const struct {
        const char *words[2];
        const struct input_field *fields;
    } rows[] = {
        {{"schedule", "set"}, cli_schedule_fields},
        {{"target", "set"}, cli_target_fields},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t used = 0;
        const struct command *command = command_find(rows[i].words, 2, &used);
        for (const struct input_field *field = rows[i].fields; field->name != NULL; field++)
            if (strstr(command->details, field->name) == NULL)
                fail_msg("'%s' does not say %s", command->words, field->name);
    }
}

/* ---- running ---- */

struct ran {
    int code;
    char out[4096], err[4096];
};

static void slurp(int fd, char text[4096])
{
    ssize_t n = pread(fd, text, 4095, 0);
    text[n > 0 ? n : 0] = '\0';
}

static struct ran run(const char *line)
{
    struct ran ran = {0};
    struct cli cli;
    char text[512];
    char *argv[32] = {NULL};
    int argc = 0;
    (void)snprintf(text, sizeof text, "%s", line);
    for (char *at = text; *at != '\0';) {
        argv[argc++] = at;
        at += strcspn(at, " ");
        if (*at == ' ')
            *at++ = '\0';
    }
    kt_autoclose int out = memfd_create("out", MFD_CLOEXEC);
    kt_autoclose int err = memfd_create("err", MFD_CLOEXEC);
    kt_autoclose int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    cli_init(&cli);
    cli.in_fd = in;
    cli.out_fd = out;
    cli.err_fd = err;
    cli.in_terminal = cli.out_terminal = cli.err_terminal = false;
    ran.code = cli_run(&cli, argc, argv);
    cli_free(&cli);
    slurp(out, ran.out);
    slurp(err, ran.err);
    return ran;
}

static const struct run_row {
    const char *name, *line;
    int code;
    const char *out, *err;
} run_rows[] = {
    {"no words", "secretctl", 1, "Usage: secretctl COMMAND", ""},
    {"help", "secretctl --help", 0, "Keep secrets", ""},
    {"help of a family", "secretctl kv --help", 0, "kv rollback", ""},
    {"a family alone", "secretctl kv", 1, "kv rollback", ""},
    {"help of a command", "secretctl kv put --help", 0, "Examples", ""},
    {"help by an alias", "secretctl put -h", 0, "secretctl kv put PATH", ""},
    {"help as a word", "secretctl help", 0, "Keep secrets", ""},
    {"help, then a family", "secretctl help kv", 0, "kv rollback", ""},
    {"help, then a command", "secretctl help kv put", 0, "secretctl kv put PATH", ""},
    {"help, then an alias", "secretctl help put", 0, "secretctl kv put PATH", ""},
    {"help, then nothing known", "secretctl help gte", 1, "", "secretctl get?"},
    {"version as JSON", "secretctl version -o json", 0, "\"version\": \"", ""},
    {"codes as JSON", "secretctl explain -o json", 0, "\"code\": \"KT-F-001\"", ""},
    {"a code as JSON", "secretctl explain -o json both-dead", 0, "\"code\": \"KT-R-021\"", ""},
    {"a tree of nothing", "secretctl kv tree", 1, "", "next   secretctl kv tree secret/;"},
    {"version", "secretctl -version", 0, "secretctl (Keyturn) v", ""},
    {"mistyped command", "secretctl rotat", 1, "", "secretctl rotate?"},
    {"mistyped second word", "secretctl kv gte x", 1, "", "secretctl kv get?"},
    {"mistyped flag", "secretctl kv get -feild=x y", 1, "", "-field?"},
    {"too few words", "secretctl kv get", 1, "", "something is missing"},
    {"too many words", "secretctl kv get a b", 1, "", "too many words"},
    {"unknown format", "secretctl kv get a -o yaml", 1, "", "-format=json"},
    {"value as a word", "secretctl kv put secret/x password=hunter2", 1, "",
     "the value of 'password' stands on the command line"},
    {"nobody to ask", "secretctl kv put secret/x password=", 1, "", "password=@FILE"},
    {"a word without =", "secretctl kv put secret/x password", 1, "", "key=..."},
    {"key twice", "secretctl kv put secret/x a=@/dev/null a=@/dev/null", 1, "", "given twice"},
    {"no such file", "secretctl kv put secret/x a=@/nope", 1, "", "cannot open '/nope'"},
    {"unseal key as a word", "secretctl operator unseal abcdef", 1, "", "never an argument"},
    {"password as a word", "secretctl login -method=userpass username=bob password=x", 1, "",
     "the value of 'password' stands on the command line"},
    {"secret id as a word", "secretctl login -method=approle role_id=r secret_id=x", 1, "",
     "the value of 'secret_id' stands on the command line"},
    {"a user without a way", "secretctl login username=bob", 1, "", "-method=userpass"},
    {"a way without a user", "secretctl login -method=userpass", 1, "", "username= is missing"},
    {"a signed token as a word", "secretctl login -method=jwt role=r jwt=x", 1, "",
     "the value of 'jwt' stands on the command line"},
    {"a way that is none", "secretctl login -method=ldap", 1, "", "token, userpass, pam, approle, cert, jwt or unix"},
    {"token as a word", "secretctl login hvs.abc", 1, "", "never an argument"},
    {"target password as a word", "secretctl target set pg admin_password=x", 1, "",
     "the value of 'admin_password' stands on the command line"},
    {"unknown setting", "secretctl schedule set secret/x crn=x", 1, "", "cron=...?"},
    {"wrong duration", "secretctl schedule set secret/x overlap=9x", 1, "", "overlap"},
    {"wrong boolean", "secretctl schedule set secret/x require_healthy=yes", 1, "",
     "true or false"},
    {"a schedule that never fires", "secretctl schedule preview cron=0_0_30_2_*", 1, "", "Error: "},
    {"preview", "secretctl schedule preview cron=@daily zone=Europe/Berlin -count=2", 0,
     "Europe/Berlin", ""},
    {"unknown zone", "secretctl schedule preview cron=@daily zone=Europe/Berln", 1, "", "Berln"},
    {"explain", "secretctl explain kt-r-021", 0, "both-dead", ""},
    {"explain nothing known", "secretctl explain KT-R-999", 1, "", "secretctl explain"},
    {"no vault", "secretctl kv get -address=http://127.0.0.1:1 a", 2, "", "is vaultd running"},
    {"no vault, a question", "secretctl status -address=http://127.0.0.1:1", 1, "",
     "is vaultd running"},
    {"bad address", "secretctl status -address=vault", 1, "", "https://"},
    {"no bundle", "secretctl audit verify /nope", 1, "", "is no folder"},
    {"curl", "secretctl read sys/health -output-curl-string -address=http://127.0.0.1:1", 0,
     "curl -X GET -H \"X-Vault-Token: $VAULT_TOKEN\"", ""},
};

static void runs(void **state)
{
    const struct run_row *row = *state;
    struct ran ran = run(row->line);
    if (ran.code != row->code || strstr(ran.out, row->out) == NULL ||
        strstr(ran.err, row->err) == NULL)
        fail_msg("expected %d '%s' '%s', got %d '%s' '%s'", row->code, row->out, row->err, ran.code,
                 ran.out, ran.err);
    assert_null(strstr(ran.out, "hunter2"));
    assert_null(strstr(ran.err, "hunter2"));
    assert_null(strstr(ran.err, "hvs.abc"));
}

/* ---- against prepared answers ---- */

static void a_run_is_followed_to_its_end(void **state)
{
    (void)state;
    struct canned *server = canned_start(&(struct canned_options){0});
    char line[256];
    canned_json(server, 200,
                "{\"request_id\":\"7\",\"data\":{\"run\":\"01J\",\"state\":\"planned\"}}");
    canned_json(
        server, 200,
        "{\"request_id\":\"7\",\"data\":{\"id\":\"01J\",\"secret\":\"secret/db\",\"target\":\"pg\",\"from\":4,"
        "\"to\":5,\"state\":\"applying\",\"steps\":[{\"seq\":1,\"kind\":\"state\",\"name\":"
        "\"generated\",\"ok\":true,\"text\":\"a new password\",\"at\":\"2025-01-02T03:04:05Z\","
        "\"took_ms\":12}]}}");
    canned_json(
        server, 200,
        "{\"request_id\":\"7\",\"data\":{\"id\":\"01J\",\"secret\":\"secret/db\",\"target\":\"pg\",\"from\":4,"
        "\"to\":5,\"state\":\"done\",\"steps\":[{\"seq\":2,\"kind\":\"state\",\"name\":\"done\","
        "\"ok\":true,\"text\":\"\",\"at\":\"2025-01-02T03:04:06Z\",\"took_ms\":0}]}}");
    (void)snprintf(line, sizeof line, "secretctl rotate secret/db -address=%s",
                   canned_address(server));
    struct ran ran = run(line);
    assert_int_equal(ran.code, 0);
    assert_non_null(strstr(ran.out, "a new password   (12 ms)\n"));
    assert_non_null(strstr(ran.out, "DONE  secret/db: v5 is in use, v4 is dead.\n"));
    assert_non_null(strstr(canned_request(server, 2), "?wait=30&since=1 "));
    canned_stop(server);
}

static const struct end_row {
    const char *name, *members;
    const char *out;
} end_rows[] = {
    {"rolled back", "\"state\":\"rolled_back\",\"why\":\"orders@h1 failed\"",
     "ROLLED BACK  secret/db: v4 is in use, v5 is not.\nbecause orders@h1 failed\n"},
    {"cancelled", "\"state\":\"cancelled\"", "CANCELLED  secret/db: v4 is in use, v5 is not.\n"},
    {"cancelled before there was a new value", "\"to\":0,\"state\":\"cancelled\"",
     "CANCELLED  secret/db: v4 is in use; no new value was made.\ntarget  pg, no new value yet, v4\n"},
    {"frozen",
     "\"state\":\"frozen\",\"frozen\":{\"code\":\"KT-R-021\",\"word\":\"both-dead\",\"text\":\"the target refuses "
     "BOTH passwords.\",\"known\":\"v4 refused\\nv5 refused\",\"next\":\"secretctl run thaw 01J\"}",
     "FROZEN  secret/db: the target refuses BOTH passwords.\n"
     "target  pg, v4 to v5\n"
     "known   v4 refused\n"
     "        v5 refused\n"
     "next    secretctl run thaw 01J\n"
     "code    KT-R-021 both-dead     secretctl explain KT-R-021\n"},
};

static void ends_that_are_not_good(void **state)
{
    const struct end_row *row = *state;
    struct canned *server = canned_start(&(struct canned_options){0});
    char json[1024];
    char line[256];
    (void)snprintf(
        json, sizeof json,
        "{\"request_id\":\"7\",\"data\":{\"id\":\"01J\",\"secret\":\"secret/db\",\"target\":\"pg\",\"from\":4,"
        "%s\"steps\":[],%s}}",
        strstr(row->members, "\"to\":") != NULL ? "" : "\"to\":5,", row->members);
    canned_json(server, 200, json);
    (void)snprintf(line, sizeof line, "secretctl run watch 01J -address=%s",
                   canned_address(server));
    struct ran ran = run(line);
    assert_int_equal(ran.code, 2);
    if (strstr(ran.out, row->out) == NULL)
        fail_msg("expected '%s' in '%s'", row->out, ran.out);
    canned_stop(server);
}

/* What a command says of one answer, or of two. */
static const struct answer_row {
    const char *name, *line;
    unsigned status[2];
    const char *body[2];
    int code;
    const char *out, *err;
} answer_rows[] = {
    {"a login that is not there", "secretctl login -method=unix -path=nosuch -no-store",
     {403}, {"{\"errors\":[\"permission denied\"]}"}, 2, "", "a login of type unix at auth/nosuch here (-method, -path)"},
    {"where something is mounted", "secretctl secrets enable -path=secret kv-v2",
     {400}, {"{\"errors\":[\"path is already in use at secret/\"]}"}, 2, "", "next   what is mounted: secretctl secrets list"},
    {"a token that is none", "secretctl token lookup -accessor a",
     {403}, {"{\"errors\":[\"bad token\"]}"}, 2, "", "next   the token that was given expired"},
    {"a namespace that is not there", "secretctl kv get -namespace=foo secret/a",
     {404}, {"{\"errors\":[\"namespace not found\"]}"}, 2, "", "Error: namespace not found\nnext   VAULT_NAMESPACE (-namespace)"},
    {"a namespace that is not there, of a token", "secretctl token lookup -namespace=foo",
     {404}, {"{\"errors\":[\"namespace not found\"]}"}, 2, "", "next   VAULT_NAMESPACE (-namespace)"},
    {"a drill's way back", "secretctl run watch 01J",
     {200}, {"{\"request_id\":\"7\",\"data\":{\"id\":\"01J\",\"secret\":\"secret/db\",\"from\":4,\"to\":5,\"drill\":\"good\","
             "\"state\":\"rolled_back\",\"steps\":[{\"seq\":1,\"kind\":\"state\",\"name\":\"rolling_back\",\"ok\":false,"
             "\"text\":\"a drill\",\"at\":\"2025-01-02T03:04:06Z\",\"took_ms\":0}]}}"}, 0, "  ->      rolling_back a drill\n", ""},
    {"a run that waits", "secretctl run watch 01J",
     {200, 200},
     {"{\"request_id\":\"7\",\"data\":{\"id\":\"01J\",\"secret\":\"secret/db\",\"from\":4,\"to\":0,\"state\":\"planned\","
      "\"waits_for\":\"the pause between two probes\",\"steps\":[]}}",
      "{\"request_id\":\"7\",\"data\":{\"id\":\"01J\",\"secret\":\"secret/db\",\"from\":4,\"to\":5,\"state\":\"done\",\"steps\":[]}}"},
     0, "waits for the pause between two probes\n", ""},
    {"nothing is overdue", "secretctl overdue",
     {200}, {"{\"request_id\":\"7\",\"data\":{\"checked\":1,\"count\":0,\"keys_overdue\":0,\"overdue\":[]}}"}, 0,
     "nothing is overdue: 1 secret is rotated\n", ""},
    {"a capability that is none", "secretctl can-i reed secret/data/x", {200}, {"{}"}, 1, "", "there is no capability 'reed'"},
    /* One request each: of a token with one use left it is the last. */
    {"removing a target", "secretctl target remove pg", {204}, {""}, 0, "Success! target pg is removed, if it was there; ", ""},
    {"removing a rotation", "secretctl schedule remove secret/x", {204}, {""}, 0,
     "Success! the rotation of secret/x is removed, if it was there; ", ""},
    {"removing a calendar", "secretctl calendar remove c", {204}, {""}, 0, "Success! calendar c is removed, if it was there", ""},
    {"deleting a policy", "secretctl policy delete p", {204}, {""}, 0, "Success! Deleted policy, if it was there: p", ""},
    {"a removal that is refused", "secretctl target remove pg",
     {400}, {"{\"errors\":[\"it is used\"]}"}, 2, "", "Error removing the target: it is used"},
    {"revoking a lease", "secretctl lease revoke a/b/c", {204}, {""}, 0,
     "Success! the revocation is under way, if there was any: a/b/c", ""},
    {"revoking a lease at once", "secretctl lease revoke -sync a/b/c", {204}, {""}, 0,
     "Success! revoked, if there was any: a/b/c", ""},
    {"deleting what may not be there", "secretctl delete auth/userpass/users/x", {204}, {""}, 0,
     "Success! deleted, if it was there: auth/userpass/users/x", ""},
};

static void answers(void **state)
{
    const struct answer_row *row = *state;
    struct canned *server = canned_start(&(struct canned_options){0});
    char line[256];
    for (size_t i = 0; i < 2 && row->status[i] != 0; i++) {
        if (row->body[i][0] != '\0')
            canned_json(server, row->status[i], row->body[i]);
        else
            canned_answer(server, "HTTP/1.1 204 No Content\r\n\r\n");
    }
    (void)snprintf(line, sizeof line, "%s -address=%s", row->line, canned_address(server));
    struct ran ran = run(line);
    if (ran.code != row->code || strstr(ran.out, row->out) == NULL || strstr(ran.err, row->err) == NULL ||
        (row->out[0] == '\0' && strstr(ran.out, "Success") != NULL))
        fail_msg("expected %d '%s' '%s', got %d '%s' '%s'", row->code, row->out, row->err, ran.code, ran.out, ran.err);
    canned_stop(server);
}

/* Two requests, one message. */
static void a_wrong_address_is_said_once(void **state)
{
    static const char *const lines[] = {"secretctl target remove pg -address=x", "secretctl lease revoke a/b -address=x"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct ran ran = run(lines[i]);
        const char *first = strstr(ran.err, "Error: ");
        assert_int_equal(ran.code, 1);
        assert_non_null(first);
        assert_null(strstr(first + 1, "Error: "));
    }
}

static void an_active_run_is_named_or_joined(void **state)
{
    (void)state;
    struct canned *server = canned_start(&(struct canned_options){0});
    char line[256];
    canned_json(server, 400,
                "{\"errors\":[\"KT-R-003 a run is active\"],\"data\":{\"run\":\"01J\"}}");
    (void)snprintf(line, sizeof line, "secretctl rotate secret/db -address=%s",
                   canned_address(server));
    struct ran ran = run(line);
    assert_int_equal(ran.code, 2);
    assert_non_null(strstr(ran.err, "KT-R-003"));
    assert_non_null(strstr(ran.err, "secretctl run watch 01J"));
    canned_json(server, 400,
                "{\"errors\":[\"KT-R-003 a run is active\"],\"data\":{\"run\":\"01J\"}}");
    canned_json(server, 200,
                "{\"request_id\":\"7\",\"data\":{\"id\":\"01J\",\"secret\":\"secret/db\","
                "\"from\":4,\"to\":5,\"state\":\"done\",\"steps\":[]}}");
    (void)snprintf(line, sizeof line, "secretctl rotate --join secret/db -address=%s",
                   canned_address(server));
    assert_int_equal(run(line).code, 0);
    canned_stop(server);
}

static void an_escape_from_the_vault_does_not_reach_the_terminal(void **state)
{
    (void)state;
    struct canned *server = canned_start(&(struct canned_options){0});
    char line[256];
    canned_json(server, 200, "{\"request_id\":\"7\",\"data\":{\"a\":\"x\\u001b[2Jy\\u009bz\"}}");
    (void)snprintf(line, sizeof line, "secretctl read x -address=%s", canned_address(server));
    struct ran ran = run(line);
    assert_int_equal(ran.code, 0);
    assert_non_null(strstr(ran.out, "x\\x1b[2Jy\\u009bz"));
    assert_null(strchr(ran.out, '\033'));
    (void)snprintf(line, sizeof line, "secretctl read x -field=a -address=%s",
                   canned_address(server));
    ran = run(line);
    assert_string_equal(ran.out, "x\033[2Jy\xc2\x9bz");
    canned_stop(server);
}

#ifdef KT_FAULT
/* Every allocation fails once: an exit code, a message, no crash, no leak. */
static void when_memory_is_out(void **state)
{
    static const char *const lines[] = {
        "secretctl --help",
        "secretctl schedule preview cron=@daily zone=Europe/Berlin window=22:00-04:00",
        "secretctl kv put secret/x a=@/dev/null",
        "secretctl kv get secret/x -o json",
        "secretctl run show 01J",
        "secretctl docs",
    };
    (void)state;
    struct canned *server = canned_start(&(struct canned_options){0});
    canned_json(
        server, 200,
        "{\"request_id\":\"7\",\"data\":{\"path\":\"secret/\",\"options\":{\"version\":"
        "\"2\"},\"data\":{\"a\":\"b\"},\"metadata\":{\"version\":1},\"id\":\"01J\","
        "\"state\":\"done\",\"steps\":[{\"seq\":1,\"kind\":\"state\",\"name\":\"done\"}]}}");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        for (unsigned long nth = 1; nth < 400; nth++) {
            char line[256];
            (void)snprintf(line, sizeof line, "%s%s%s", lines[i],
                           i >= 2 && i < 5 ? " -address=" : "",
                           i >= 2 && i < 5 ? canned_address(server) : "");
            (void)kt_fail_allocation(nth);
            struct ran ran = run(line);
            unsigned long made = kt_fail_allocation(0);
            if (ran.code < 0 || ran.code > 2 || (ran.code != 0 && ran.err[0] == '\0'))
                fail_msg("%s, allocation %lu: exit code %d and '%s'", line, nth, ran.code, ran.err);
            if (made < nth)
                break;
        }
    }
    canned_stop(server);
}
#endif

/* ---- */

static struct CMUnitTest row_test(const char *what, const char *name, CMUnitTestFunction function,
                                  const void *row)
{
    char *text = NULL;
    if (asprintf(&text, "%s: %s", what, name) < 0)
        abort();
    return (struct CMUnitTest){
        .name = text, .test_func = function, .initial_state = (void *)(uintptr_t)row};
}

int main(void)
{
    enum {
        PER_COMMAND = 6,
        RUNS = sizeof run_rows / sizeof run_rows[0],
        ENDS = sizeof end_rows / sizeof end_rows[0],
        ANSWERS = sizeof answer_rows / sizeof answer_rows[0],
#ifdef KT_FAULT
        FIXED = 8
#else
        FIXED = 7
#endif
    };
    static const struct {
        const char *name;
        CMUnitTestFunction function;
    } per[PER_COMMAND] = {
        {"complete", a_row_is_complete},        {"flags", a_row_takes_each_flag_once},
        {"found", a_row_is_found_by_its_words}, {"help", help_fits_a_screen},
        {"examples", examples_are_right},       {NULL, NULL},
    };
    size_t n = 0;
    struct CMUnitTest *tests =
        calloc(command_count() * PER_COMMAND + RUNS + ENDS + ANSWERS + FIXED, sizeof *tests);
    if (tests == NULL || kt_secret_init(NULL) != KT_OK)
        return 1;
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(words_are_unique);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(who_asks_is_named);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(settings_are_in_the_help);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_run_is_followed_to_its_end);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(an_active_run_is_named_or_joined);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_wrong_address_is_said_once);
    tests[n++] =
        (struct CMUnitTest)cmocka_unit_test(an_escape_from_the_vault_does_not_reach_the_terminal);
#ifdef KT_FAULT
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(when_memory_is_out);
#endif
    for (size_t i = 0; i < command_count(); i++)
        for (size_t k = 0; per[k].name != NULL; k++)
            tests[n++] =
                row_test(command_at(i)->words, per[k].name, per[k].function, command_at(i));
    for (size_t i = 0; i < ANSWERS; i++)
        tests[n++] = row_test("answer", answer_rows[i].name, answers, &answer_rows[i]);
    for (size_t i = 0; i < RUNS; i++)
        tests[n++] = row_test("run", run_rows[i].name, runs, &run_rows[i]);
    for (size_t i = 0; i < ENDS; i++)
        tests[n++] = row_test("end", end_rows[i].name, ends_that_are_not_good, &end_rows[i]);
    int failed = _cmocka_run_group_tests("commands", tests, n, NULL, NULL);
    for (size_t i = FIXED; i < n; i++) {
        char *name = (char *)(uintptr_t)tests[i].name;
        free(name);
    }
    free(tests);
    return failed;
}
