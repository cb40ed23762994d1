/* A secret copied and moved without being read: all of it, in one commit; and by nobody who could read
 * afterwards what he may not read now. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/log.h"
#include "tests/support/meanwhile.h"
#include "tests/support/one_vault.h"
#include "tests/support/rows.h"
#include "tests/support/sim_target.h"
#include "vaultd/engine/kv_record.h"

/* Rows leave out what they do not need. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TO(path) "{\"to\":\"" path "\"}"

static void as(const char *token, unsigned status, const char *method, const char *path, const char *body)
{
    unsigned got = test_vault_call(vault, method, path, token, body);
    if (got != status)
        fail_msg("%s %s: expected %u, got %u: %s", method, path, status, got, vault->body);
}

static void ok(unsigned status, const char *method, const char *path, const char *body)
{
    as(vault->root, status, method, path, body);
}

static void says(const char *text)
{
    if (!test_vault_said(vault, text))
        fail_msg("expected '%s' in %s", text, vault->body);
}

static void value_is(const char *path, const char *value)
{
    char text[64];
    (void)snprintf(text, sizeof text, "{\"v\":\"%s\"}", value);
    ok(200, "GET", path, NULL);
    says(text);
}

static void write_value(const char *path, const char *value)
{
    char body[96];
    (void)snprintf(body, sizeof body, "{\"data\":{\"v\":\"%s\"}}", value);
    ok(200, "POST", path, body);
}

/* Version 1 destroyed, 2 deleted, 3 and 4 readable; notes and limits. */
static void write_history(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "secret/data/%s", name);
    write_value(path, "one");
    write_value(path, "two");
    write_value(path, "three");
    write_value(path, "four");
    (void)snprintf(path, sizeof path, "secret/destroy/%s", name);
    ok(204, "POST", path, "{\"versions\":[1]}");
    (void)snprintf(path, sizeof path, "secret/delete/%s", name);
    ok(204, "POST", path, "{\"versions\":[2]}");
    (void)snprintf(path, sizeof path, "secret/metadata/%s", name);
    ok(204, "POST", path, "{\"max_versions\":7,\"cas_required\":true,\"custom_metadata\":{\"owner\":\"me\"}}");
}

static void has_history(const char *mount, const char *name)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/metadata/%s", mount, name);
    ok(200, "GET", path, NULL);
    says("\"max_versions\":7");
    says("\"cas_required\":true");
    says("\"owner\":\"me\"");
    says("\"current_version\":4");
    (void)snprintf(path, sizeof path, "%s/data/%s", mount, name);
    value_is(path, "four");
    (void)snprintf(path, sizeof path, "%s/data/%s?version=3", mount, name);
    value_is(path, "three");
    (void)snprintf(path, sizeof path, "%s/data/%s?version=2", mount, name);
    ok(404, "GET", path, NULL);
    (void)snprintf(path, sizeof path, "%s/data/%s?version=1", mount, name);
    ok(404, "GET", path, NULL);
    says("\"destroyed\":true");
    (void)snprintf(path, sizeof path, "%s/undelete/%s", mount, name);
    ok(204, "POST", path, "{\"versions\":[1,2]}");
    (void)snprintf(path, sizeof path, "%s/data/%s?version=2", mount, name);
    value_is(path, "two");
    (void)snprintf(path, sizeof path, "%s/data/%s", mount, name);
    ok(200, "POST", path, "{\"data\":{\"v\":\"five\"},\"options\":{\"cas\":4}}");
    value_is(path, "five");
}

static void listed(const char *folder, const char *keys)
{
    char path[160];
    (void)snprintf(path, sizeof path, "secret/metadata/%s", folder);
    ok(keys == NULL ? 404 : 200, "LIST", path, NULL);
    if (keys != NULL)
        says(keys);
}

/* ---- what comes along ---- */

static void a_copy_has_the_history(void **state)
{
    (void)state;
    write_history("a/b");
    ok(200, "POST", "secret/copy/a/b", TO("secret/c/d/e"));
    says("{\"current_version\":4,\"from\":\"secret/a/b\",\"to\":\"secret/c/d/e\",\"versions\":4}");
    has_history("secret", "c/d/e");
    has_history("secret", "a/b");
    listed("c/d", "[\"e\"]");
    listed("", "[\"a/\",\"c/\"]");
}

static void a_move_has_it_and_leaves_nothing(void **state)
{
    (void)state;
    write_history("a/b");
    unsigned rows = test_vault_rows(vault, TABLE_KV);
    ok(200, "POST", "secret/move/a/b", TO("secret/c"));
    has_history("secret", "c");
    ok(404, "GET", "secret/metadata/a/b", NULL);
    ok(404, "GET", "secret/data/a/b?version=3", NULL);
    listed("", "[\"c\"]");
    listed("a", NULL);
    assert_int_equal(test_vault_rows(vault, TABLE_KV), rows + 1); /* the fifth version */
    /* The name is free: what is written there now is another secret. */
    write_value("secret/data/a/b", "new");
    value_is("secret/data/a/b?version=1", "new");
    value_is("secret/data/c?version=3", "three");
}

static void into_another_mount(void **state)
{
    (void)state;
    ok(204, "POST", "sys/mounts/team/x", "{\"type\":\"kv-v2\"}");
    write_history("a");
    ok(200, "POST", "secret/copy/a", TO("team/x/a"));
    has_history("team/x", "a");
    ok(200, "POST", "team/x/move/a", TO("secret/back/a"));
    value_is("secret/data/back/a?version=3", "three");
    ok(404, "GET", "team/x/metadata/a", NULL);
    /* A folder of the same name elsewhere does not keep this one. */
    ok(200, "POST", "secret/move/back/a", TO("team/x/back/a"));
    listed("", "[\"a\"]");
}

/* The keys of all versions of all secrets into out; how many there are. */
static size_t version_keys(unsigned char out[][32], size_t most)
{
    static const unsigned char table = TABLE_KV;
    struct barrier *barrier = vault->core->barrier;
    struct snapshot *snapshot = NULL;
    struct cursor *cursor = NULL;
    struct entry entry;
    size_t n = 0;
    assert_int_equal(snapshot_begin(vault->store, &snapshot), STORE_OK);
    assert_true(barrier_enter(barrier));
    assert_int_equal(cursor_open(snapshot, kt_bytes(&table, 1), kt_bytes(NULL, 0), &cursor), STORE_OK);
    while (cursor_next(cursor, &entry) == STORE_OK) {
        if (kt_get_be32(entry.key.at + BARRIER_NAME_KEY) != 0)
            continue;
        kt_autobuf struct kt_buf record;
        struct kt_arena arena;
        struct kv_secret secret;
        kt_buf_init(&record, 65536);
        kt_arena_init(&arena, 65536);
        assert_int_equal(barrier_open_entry(barrier, entry.key, entry.value, &record, NULL), KT_OK);
        assert_int_equal(kv_meta_read(kt_buf_bytes(&record), &arena, &secret, NULL), KT_OK);
        for (size_t i = 0; i < secret.n_versions && n < most; i++)
            memcpy(out[n++], secret.versions[i].dek, 32);
        kt_arena_free(&arena);
    }
    cursor_close(cursor);
    barrier_leave(barrier);
    snapshot_end(snapshot);
    return n;
}

static void no_two_versions_have_one_key(void **state)
{
    (void)state;
    unsigned char keys[8][32];
    write_value("secret/data/a", "one");
    write_value("secret/data/a", "two");
    ok(200, "POST", "secret/copy/a", TO("secret/b"));
    assert_int_equal(version_keys(keys, 8), 4);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(keys[i], keys[j], 32);
}

/* Each is sealed under a key of its own: what becomes of the one does not touch the other. */
static void a_copy_stands_alone(void **state)
{
    (void)state;
    write_value("secret/data/a", "one");
    ok(200, "POST", "secret/copy/a", TO("secret/b"));
    ok(204, "POST", "secret/destroy/a", "{\"versions\":[1]}");
    value_is("secret/data/b", "one");
    ok(200, "POST", "secret/copy/b", TO("secret/c"));
    ok(204, "DELETE", "secret/metadata/b", NULL);
    value_is("secret/data/c", "one");
}

static void only_metadata(void **state)
{
    (void)state;
    ok(204, "POST", "secret/metadata/a", "{\"custom_metadata\":{\"n\":\"x\"}}");
    ok(200, "POST", "secret/move/a", TO("secret/b"));
    says("\"versions\":0");
    ok(200, "GET", "secret/metadata/b", NULL);
    says("\"n\":\"x\"");
    listed("", "[\"b\"]");
}

static void many_versions(void **state)
{
    (void)state;
    ok(204, "POST", "secret/metadata/a", "{\"max_versions\":90}");
    for (unsigned i = 0; i < 60; i++)
        write_value("secret/data/a", i == 7 ? "seven" : "x");
    ok(200, "POST", "secret/move/a", TO("secret/b"));
    (void)test_vault_tidy(vault);
    assert_int_equal(test_vault_rows(vault, TABLE_KV), 61);
    value_is("secret/data/b?version=8", "seven");
    for (unsigned i = 0; i < 30; i++)
        write_value("secret/data/b", "x");
    ok(413, "POST", "secret/move/b", TO("secret/c"));
    says("kv destroy -versions=1,2 secret/b");
    listed("", "[\"b\"]");
    assert_int_equal(test_vault_rows(vault, TABLE_KV), 91);
}

static void large_versions(void **state)
{
    (void)state;
    static char body[400 * 1024];
    int n = snprintf(body, sizeof body, "{\"data\":{\"v\":\"%0*d\"}}", 300 * 1024, 7);
    assert_true(n > 0 && (size_t)n < sizeof body);
    ok(200, "POST", "secret/data/a", body);
    ok(200, "POST", "secret/data/a", body);
    ok(200, "POST", "secret/copy/a", TO("secret/b"));
    ok(200, "POST", "secret/data/a", body);
    ok(413, "POST", "secret/copy/a", TO("secret/c"));
    listed("", "[\"a\",\"b\"]");
}

/* ---- folders ---- */

static const struct folders {
    const char *name, *others, *from, *to, *root, *folder, *keys;
} folders[] = {
    {"within a folder, alone in it", NULL, "a/b/c", "a/b/d", "[\"a/\"]", "a/b", "[\"d\"]"},
    {"within a folder, not alone", "a/b/x", "a/b/c", "a/b/d", "[\"a/\"]", "a/b", "[\"d\",\"x\"]"},
    {"up", NULL, "a/b/c", "a/c", "[\"a/\"]", "a", "[\"c\"]"},
    {"down", NULL, "a/c", "a/b/c", "[\"a/\"]", "a", "[\"b/\"]"},
    {"into a folder of its own name", NULL, "a", "a/a", "[\"a/\"]", "a", "[\"a\"]"},
    {"out of one", NULL, "a/a", "a", "[\"a\"]", "a", NULL},
    {"a name that begins like the folder", NULL, "ab/c", "a/c", "[\"a/\"]", "ab", NULL},
    {"a folder that is left", "x/y", "x/z", "y", "[\"x/\",\"y\"]", "x", "[\"y\"]"},
};

static void folders_follow(void **state)
{
    const struct folders *row = *state;
    char path[128], to[128];
    vault = test_vault_new(true);
    if (row->others != NULL) {
        (void)snprintf(path, sizeof path, "secret/data/%s", row->others);
        write_value(path, "other");
    }
    (void)snprintf(path, sizeof path, "secret/data/%s", row->from);
    write_value(path, "one");
    (void)snprintf(path, sizeof path, "secret/move/%s", row->from);
    (void)snprintf(to, sizeof to, "{\"to\":\"secret/%s\"}", row->to);
    ok(200, "POST", path, to);
    listed("", row->root);
    listed(row->folder, row->keys);
    (void)snprintf(path, sizeof path, "secret/data/%s", row->to);
    value_is(path, "one");
    test_vault_free(vault);
}

/* ---- what is refused ---- */

static const struct wrong {
    const char *name, *path, *body;
    unsigned status;
    const char *says;
} wrongs[] = {
    {"without 'to'", "secret/copy/a", "{}", 400, "'to' must be supplied"},
    {"'to' is empty", "secret/copy/a", TO(""), 400, "'to' must be supplied"},
    {"'to' climbs", "secret/copy/a", TO("secret/x/../b"), 400, "'to'"},
    {"'to' begins with a slash", "secret/copy/a", TO("/secret/b"), 400, "'to'"},
    {"'to' is a folder", "secret/copy/a", TO("secret/b/"), 400, "a secret in a KV mount"},
    {"'to' is a mount", "secret/copy/a", TO("secret"), 400, "a secret in a KV mount"},
    {"'to' is elsewhere", "secret/copy/a", TO("sys/policies/acl/x"), 400, "a secret in a KV mount"},
    {"'to' is nowhere", "secret/copy/a", TO("nowhere/b"), 400, "a secret in a KV mount"},
    {"'to' is in a cubbyhole", "secret/copy/a", TO("cubbyhole/b"), 400, "a secret in a KV mount"},
    {"'to' is of version 1", "secret/copy/a", TO("kv1/b"), 400, "of version 2"},
    {"'to' is there", "secret/copy/a", TO("secret/taken"), 400, "is there already"},
    {"'to' has no version left", "secret/copy/a", TO("secret/deleted"), 400, "is there already"},
    {"'to' is itself", "secret/move/a", TO("secret/a"), 400, "the secret itself"},
    {"a list", "secret/copy/a", "{\"to\":[\"secret/b\"]}", 400, "field \\\"to\\\""},
    {"nothing there", "secret/copy/none", TO("secret/b"), 404, "{\"errors\":[]}"},
    {"a folder", "secret/copy/a/", TO("secret/b"), 400, "cannot write to a path ending in '/'"},
    {"a target knows it", "secret/copy/driven", TO("secret/b"), 400, "schedule remove secret/driven"},
    {"a target knows it, moved", "secret/move/driven", TO("secret/b"), 400, "schedule remove secret/driven"},
    {"it is rotated, moved", "secret/move/generated", TO("secret/b"), 400, "schedule remove secret/generated"},
    {"a service uses it, moved", "secret/move/used", TO("secret/b"), 400, "a service on host \\\"h\\\""},
};

#define TARGET \
    "{\"driver\":\"postgresql\",\"host\":\"/run/sim\",\"database\":\"d\",\"sslmode\":\"disable\"," \
    "\"admin_username\":\"kt\",\"admin_password\":\"admin\",\"max_refusals_per_hour\":0," \
    "\"probe_spacing\":0}"

static void make_what_stands_in_the_way(void)
{
    ok(204, "POST", "sys/mounts/kv1", "{\"type\":\"kv\"}");
    write_value("secret/data/a", "one");
    write_value("secret/data/taken", "other");
    write_value("secret/data/deleted", "other");
    ok(204, "DELETE", "secret/data/deleted", NULL);
    write_value("secret/data/generated", "other");
    ok(204, "POST", "rotation/secrets/secret/generated", "{\"strategy\":\"generate\"}");
    write_value("secret/data/used", "other");
    ok(200, "POST", "fleet/consumers/h/secret/used",
       "{\"service\":\"s\",\"version\":1,\"state\":\"registered\"}");
    ok(204, "POST", "rotation/targets/pg", TARGET);
    ok(200, "POST", "secret/data/driven",
       "{\"data\":{\"username\":\"app\",\"password\":\"first-password\"}}");
    ok(204, "POST", "rotation/secrets/secret/driven",
       "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app\"]}");
}

static void is_refused(void **state)
{
    const struct wrong *row = *state;
    struct sim sim;
    struct rotation_executor executor;
    sim_init(&sim);
    sim_executor(&sim, &executor);
    vault = test_vault_with(true, &executor);
    sim_add(&sim, "app", "first-password");
    make_what_stands_in_the_way();
    unsigned rows = test_vault_rows(vault, TABLE_KV), names = test_vault_rows(vault, TABLE_KV_NAME);
    ok(row->status, "POST", row->path, row->body);
    says(row->says);
    assert_int_equal(test_vault_rows(vault, TABLE_KV), rows);
    assert_int_equal(test_vault_rows(vault, TABLE_KV_NAME), names);
    test_vault_free(vault);
    sim_free(&sim);
}

/* A secret whose name only begins like that of one in use is in nobody's way. */
static void a_neighbour_in_use(void **state)
{
    (void)state;
    write_value("secret/data/used", "one");
    write_value("secret/data/use", "two");
    ok(200, "POST", "fleet/consumers/h/secret/used",
       "{\"service\":\"s\",\"version\":1,\"state\":\"registered\"}");
    ok(200, "POST", "secret/move/use", TO("secret/b"));
    ok(400, "POST", "secret/move/used", TO("secret/c"));
}

/* ---- who may ---- */

#define P(path, capabilities) "path \\\"" path "\\\" { capabilities = [" capabilities "] }\\n"
#define P_BARE(path, capabilities) "path \"" path "\" { capabilities = [" capabilities "] }"
#define Q(word)               "\\\"" word "\\\""
/* Enough for a copy of secret/from/a to secret/to/b by somebody who may not read it. */
#define COPIER     P("secret/copy/from/*", Q("update") "," Q("sudo"))
#define MOVER      P("secret/move/from/*", Q("update") "," Q("sudo"))
#define SEES       P("secret/metadata/from/*", Q("read"))
#define SEES_DROPS P("secret/metadata/from/*", Q("read") "," Q("delete"))
#define MAKES      P("secret/data/to/*", Q("create")) P("secret/metadata/to/*", Q("create"))
#define READER     P("secret/copy/from/*", Q("update")) P("secret/data/from/*", Q("read"))
#define READS_TO   P("secret/data/to/*", Q("create") "," Q("read")) P("secret/metadata/to/*", Q("create"))
#define UNDELETES  P("secret/undelete/to/*", Q("update"))
#define WHOLE      P("secret/*", Q("create") "," Q("read") "," Q("update") "," Q("patch") "," Q("delete") "," Q("list"))
#define WHOLE_SUDO P("secret/*", Q("create") "," Q("read") "," Q("update") "," Q("patch") "," Q("delete") "," Q("list") "," Q("sudo"))
#define LIMITED    "path \\\"secret/data/from/*\\\" { capabilities = [\\\"read\\\"]\\n denied_parameters = { \\\"version\\\" = [] } }\\n"
#define WRAPPED    "path \\\"secret/data/from/*\\\" { capabilities = [\\\"read\\\"]\\n min_wrapping_ttl = \\\"1s\\\" }\\n"
#define SOME_KEYS  "path \\\"secret/subkeys/to/*\\\" { capabilities = [\\\"read\\\"]\\n denied_parameters = { \\\"depth\\\" = [] } }\\n"
#define ONLY_THERE "path \\\"secret/copy/from/*\\\" { capabilities = [\\\"update\\\", \\\"sudo\\\"]\\n allowed_parameters = { \\\"to\\\" = [\\\"secret/to/*\\\"] } }\\n"
#define CREATES_IF "path \\\"secret/data/to/*\\\" { capabilities = [\\\"create\\\"]\\n required_parameters = [\\\"options\\\"] }\\n" P("secret/metadata/to/*", Q("create"))

static const struct asker {
    const char *name, *policy;
    bool moves;
    const char *from, *to; /* NULL: from/a, to/b */
    unsigned status;
    bool deleted; /* a version of it is */
    const char *pattern; /* which decides, for the auditor; NULL: none */
} askers[] = {
    {"reads nothing, copies", COPIER SEES MAKES, .status = 200},
    {"reads nothing, moves", MOVER SEES_DROPS MAKES, true, .status = 200},
    {"reads, and needs no sudo", READER SEES MAKES, .status = 200},
    {"reads here and there", READER SEES READS_TO, .status = 200},
    {"has the whole mount", WHOLE, .status = 200},
    {"has the whole mount, moves", WHOLE, true, .status = 200},
    {"reads nothing, and nobody said sudo", P("secret/copy/from/*", Q("update")) SEES MAKES, .status = 403},
    {"has no right to copy", P("secret/data/from/*", Q("read")) SEES MAKES, .status = 403},
    {"may copy, not move", COPIER SEES_DROPS MAKES, true, .status = 403},
    {"may move, not remove", MOVER SEES MAKES, true, .status = 403, .pattern = "secret/metadata/from/*"},
    {"does not see the metadata", COPIER MAKES, .status = 403},
    {"may not create the value", COPIER SEES P("secret/metadata/to/*", Q("create")), .status = 403},
    {"may not create the metadata", COPIER SEES P("secret/data/to/*", Q("create")), .status = 403},
    {"may only update there", COPIER SEES P("secret/data/to/*", Q("update")) P("secret/metadata/to/*", Q("create")), .status = 403, .pattern = "secret/data/to/*"},
    {"creates on conditions", COPIER SEES CREATES_IF, .status = 403, .pattern = "secret/data/to/*"},
    {"only to there", ONLY_THERE SEES MAKES, .status = 200},
    {"only to there, and asks elsewhere", ONLY_THERE SEES WHOLE, .to = "other/b", .status = 403},
    /* Who could read there what he may not read here. */
    {"reads there, not here", COPIER SEES READS_TO, .status = 403},
    {"reads there, not here, moves", MOVER SEES_DROPS READS_TO, true, .status = 403},
    {"sees the keys there, not here", COPIER SEES MAKES P("secret/subkeys/to/*", Q("read")), .status = 403},
    {"sees some of the keys there, not here", COPIER SEES MAKES SOME_KEYS, .status = 403},
    {"sees the keys here and there", COPIER SEES MAKES P("secret/subkeys/+/*", Q("read")), .status = 200},
    {"reads here, sees the keys there", READER SEES MAKES P("secret/subkeys/to/*", Q("read")), .status = 200},
    {"reads some versions here, all there", COPIER SEES READS_TO LIMITED, .status = 403, .pattern = "secret/data/from/*"},
    {"reads it wrapped here, bare there", COPIER SEES READS_TO WRAPPED, .status = 403, .pattern = "secret/data/from/*"},
    {"reads some versions here, without sudo", P("secret/copy/from/*", Q("update")) SEES MAKES LIMITED, .status = 403, .pattern = "secret/data/from/*"},
    {"has the whole mount but this", WHOLE P("secret/data/from/*", Q("deny")), .status = 403, .pattern = "secret/data/from/*"},
    {"is denied, and has sudo", WHOLE_SUDO P("secret/data/from/*", Q("deny")), .status = 403, .pattern = "secret/data/from/*"},
    {"has sudo, is denied, and reads nothing there", COPIER SEES MAKES P("secret/data/from/*", Q("deny")), .status = 403, .pattern = "secret/data/from/*"},
    {"writes the whole mount, reads nothing", P("secret/*", Q("create") "," Q("update") "," Q("delete") "," Q("list")) SEES_DROPS, .status = 403},
    {"metadata is denied", WHOLE P("secret/metadata/from/*", Q("deny")), .status = 403, .pattern = "secret/metadata/from/*"},
    /* And bring back there what he may not bring back here. */
    {"undeletes there, nothing is deleted", READER SEES READS_TO UNDELETES, .status = 200},
    {"undeletes there what is deleted", READER SEES READS_TO UNDELETES, .status = 403, .deleted = true},
    {"undeletes nowhere", READER SEES READS_TO, .status = 200, .deleted = true},
    {"undeletes here and there", READER SEES READS_TO P("secret/undelete/+/*", Q("update")), .status = 200, .deleted = true},
    /* What is not there is not told to whom it is none of their business. */
    {"asks for what is not there", READER SEES MAKES, .from = "from/none", .status = 404},
    {"asks for what is not there, and may not", COPIER MAKES, .from = "from/none", .status = 403},
    {"asks for a mount", READER SEES MAKES, .to = "sys/x", .status = 403},
};

static void ruled_by(const char *pattern)
{
    char text[128];
    ok(200, "GET", "sys/audit-log/export?from=0", NULL);
    (void)snprintf(text, sizeof text, "\"pattern\":\"%s\"", pattern);
    says(text);
}

static void is_asked_by(void **state)
{
    const struct asker *row = *state;
    char token[256], path[128], body[2048];
    vault = test_vault_new(true);
    write_value("secret/data/from/a", "old");
    write_value("secret/data/from/a", "one");
    if (row->deleted)
        ok(204, "POST", "secret/delete/from/a", "{\"versions\":[1]}");
    (void)snprintf(body, sizeof body, "{\"policy\":\"%s\"}", row->policy);
    ok(204, "PUT", "sys/policies/acl/p", body);
    ok(200, "POST", "auth/token/create", "{\"policies\":[\"p\"],\"no_default_policy\":true}");
    test_vault_text(vault, "auth.client_token", token, sizeof token);
    (void)snprintf(path, sizeof path, "secret/%s/%s", row->moves ? "move" : "copy",
                   row->from == NULL ? "from/a" : row->from);
    const char *to = row->to == NULL ? "to/b" : row->to;
    (void)snprintf(body, sizeof body, "{\"to\":\"secret/%s\"}", to);
    if (row->to != NULL && strncmp(to, "sys/", 4) == 0)
        (void)snprintf(body, sizeof body, "{\"to\":\"%s\"}", to);
    as(token, row->status, "POST", path, body);
    if (row->status == 403) {
        says("{\"errors\":[\"1 error occurred:\\n\\t* permission denied\\n\\n\"]}");
        if (row->pattern != NULL)
            ruled_by(row->pattern);
    }
    bool done = row->status == 200;
    ok(done ? 200 : 404, "GET", "secret/metadata/to/b", NULL);
    ok(done && row->moves ? 404 : 200, "GET", "secret/metadata/from/a", NULL);
    test_vault_free(vault);
}

/* Whoever reads the log sees where it went, refused or not; an unclean path is no path. */
static void the_log_says_where_to(void **state)
{
    (void)state;
    char token[256];
    write_value("secret/data/a", "one");
    test_vault_token(vault, "p", P_BARE("secret/move/*", "\"update\""), token, sizeof token);
    ok(200, "POST", "secret/copy/a", TO("secret/to/b"));
    as(token, 403, "POST", "secret/move/a", TO("secret/to/c"));
    ok(400, "POST", "secret/copy/a", TO("secret/to/../d"));
    ok(200, "GET", "sys/audit-log/export?from=0", NULL);
    says("\"path\":\"secret/copy/a\",\"destination\":\"secret/to/b\",");
    says("\"path\":\"secret/move/a\",\"destination\":\"secret/to/c\",");
    assert_false(test_vault_said(vault, "../d"));
}

/* In two steps, each of which alone would be allowed or harmless. */
static void not_by_detours_either(void **state)
{
    (void)state;
    char token[256];
    write_value("secret/data/from/a", "one");
    ok(204, "PUT", "sys/policies/acl/p",
       "{\"policy\":\"" COPIER SEES MAKES P("secret/copy/to/*", Q("update") "," Q("sudo"))
           P("secret/metadata/to/*", Q("create") "," Q("read")) P("secret/+/mine/*", Q("create") "," Q("read") "," Q("update"))
               P("secret/copy/mine/*", Q("update") "," Q("sudo")) "\"}");
    ok(200, "POST", "auth/token/create", "{\"policies\":[\"p\"]}");
    test_vault_text(vault, "auth.client_token", token, sizeof token);
    as(token, 403, "POST", "secret/copy/from/a", TO("secret/mine/a"));
    as(token, 200, "POST", "secret/copy/from/a", TO("secret/to/a"));
    as(token, 403, "POST", "secret/copy/to/a", TO("secret/mine/a"));
    as(token, 403, "GET", "secret/data/to/a", NULL);
    as(token, 404, "GET", "secret/data/mine/a", NULL);
}

/* ---- two at once ---- */

static const struct meeting {
    const char *name, *path, *body;
    struct visit visit; /* before the request commits */
    unsigned status;
    const char *there, *gone; /* afterwards; NULL: nothing */
} meetings[] = {
    {"the version is destroyed", "secret/copy/a", TO("secret/b"), {"POST", "secret/destroy/a", NULL, "{\"versions\":[1]}", 204, 0}, 200, "secret/metadata/b", "secret/data/b"},
    {"it is written", "secret/move/a", TO("secret/b"), {"POST", "secret/data/a", NULL, "{\"data\":{\"v\":\"two\"}}", 200, 0}, 200, "secret/data/b?version=2", "secret/metadata/a"},
    {"it is removed", "secret/copy/a", TO("secret/b"), {"DELETE", "secret/metadata/a", NULL, NULL, 204, 0}, 404, NULL, "secret/metadata/b"},
    {"another one moves it", "secret/move/a", TO("secret/b"), {"POST", "secret/move/a", NULL, TO("secret/c"), 200, 0}, 404, "secret/data/c", "secret/metadata/b"},
    {"another one is there first", "secret/move/a", TO("secret/b"), {"POST", "secret/data/b", NULL, "{\"data\":{\"v\":\"two\"}}", 200, 0}, 400, "secret/data/a", NULL},
    {"its rotation begins", "secret/move/a", TO("secret/b"), {"POST", "rotation/secrets/secret/a", NULL, "{\"strategy\":\"generate\"}", 204, 0}, 400, "secret/data/a", "secret/metadata/b"},
    {"a service begins to use it", "secret/move/a", TO("secret/b"), {"POST", "fleet/consumers/h/secret/a", NULL, "{\"service\":\"s\",\"version\":1,\"state\":\"registered\"}", 200, 0}, 400, "secret/data/a", "secret/metadata/b"},
    {"the mount goes", "secret/move/a", TO("other/b"), {"DELETE", "sys/mounts/other", NULL, NULL, 204, 0}, 400, "secret/data/a", NULL},
    {"the folder's other one goes", "secret/move/f/a", TO("secret/b"), {"DELETE", "secret/metadata/f/x", NULL, NULL, 204, 0}, 200, "secret/data/b", "secret/metadata/f/a"},
};

static void meets(void **state)
{
    const struct meeting *row = *state;
    vault = test_vault_new(true);
    ok(204, "POST", "sys/mounts/other", "{\"type\":\"kv-v2\"}");
    write_value("secret/data/a", "one");
    write_value("secret/data/f/a", "one");
    write_value("secret/data/f/x", "one");
    const struct visit visits[] = {row->visit, {0}};
    meanwhile(vault, visits, NULL);
    unsigned status = test_vault_call(vault, "POST", row->path, vault->root, row->body);
    assert_true(meanwhile_over());
    if (status != row->status)
        fail_msg("expected %u, got %u: %s", row->status, status, vault->body);
    if (row->there != NULL)
        ok(200, "GET", row->there, NULL);
    if (row->gone != NULL)
        ok(404, "GET", row->gone, NULL);
    if (strcmp(row->name, "the folder's other one goes") == 0)
        listed("f", NULL);
    test_vault_free(vault);
}

int main(int argc, char **argv)
{
    kt_log_set_level(KT_LOG_ERROR);
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test_setup_teardown(a_copy_has_the_history, make, end),
        cmocka_unit_test_setup_teardown(a_move_has_it_and_leaves_nothing, make, end),
        cmocka_unit_test_setup_teardown(into_another_mount, make, end),
        cmocka_unit_test_setup_teardown(a_copy_stands_alone, make, end),
        cmocka_unit_test_setup_teardown(no_two_versions_have_one_key, make, end),
        cmocka_unit_test_setup_teardown(only_metadata, make, end),
        cmocka_unit_test_setup_teardown(many_versions, make, end),
        cmocka_unit_test_setup_teardown(large_versions, make, end),
        cmocka_unit_test_setup_teardown(a_neighbour_in_use, make, end),
        cmocka_unit_test_setup_teardown(not_by_detours_either, make, end),
        cmocka_unit_test_setup_teardown(the_log_says_where_to, make, end),
    };
#define N(rows) (sizeof(rows) / sizeof(rows)[0])
    static struct CMUnitTest tests[N(plain) + N(folders) + N(wrongs) + N(askers) + N(meetings)];
    memcpy(tests, plain, sizeof plain);
    size_t n = N(plain);
    n = add_rows(tests, n, folders, N(folders), sizeof folders[0], folders_follow);
    n = add_rows(tests, n, wrongs, N(wrongs), sizeof wrongs[0], is_refused);
    n = add_rows(tests, n, askers, N(askers), sizeof askers[0], is_asked_by);
    n = add_rows(tests, n, meetings, N(meetings), sizeof meetings[0], meets);
    assert_int_equal(n, N(tests));
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("kv_copy", tests, NULL, NULL);
}
