#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>

#include "lib/json.h"
#include "lib/num.h"
#include "vaultd/audit/outcome.h"
#include "vaultd/audit/record.h"

static const unsigned char key[32] = "the key of these tests is public";

static struct audit_hasher *hasher; /* made in main(), before any test */

static void hmac(const char *text, char out[AUDIT_HMAC_TEXT])
{
    unsigned char bytes[AUDIT_HMAC_BYTES];
    (void)crypto_auth_hmacsha256(bytes, (const unsigned char *)text, strlen(text), key);
    audit_hmac_text(bytes, out);
}

/* RFC 4231 has no 32-byte key; libsodium's own function is the other implementation. */
static void hmac_vector(void **state)
{
    (void)state;
    unsigned char ours[AUDIT_HMAC_BYTES], theirs[AUDIT_HMAC_BYTES];
    static unsigned char text[300];
    for (size_t len = 0; len < sizeof text; len++) {
        text[len] = (unsigned char)(len * 7);
        audit_hasher_bytes(hasher, kt_bytes(text, len), ours);
        assert_int_equal(crypto_auth_hmacsha256(theirs, text, len, key), 0);
        assert_memory_equal(ours, theirs, sizeof ours);
    }
    /* Remembered or not, evicted or not, long or short: the same. */
    char form[AUDIT_HMAC_TEXT], want[AUDIT_HMAC_TEXT];
    static char number[1000];
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 20000; i++) {
            int len = snprintf(number, sizeof number, "%*u", i % 1000 == 7 ? 900 : 4, i);
            audit_hasher_text(hasher, kt_bytes(number, (size_t)len), form);
            if (i % 100 != 7)
                continue;
            hmac(number, want);
            assert_string_equal(form, want);
        }
    hmac("", form);
    assert_int_equal(strlen(form), AUDIT_HMAC_TEXT - 1);
    assert_memory_equal(form, "hmac-sha256:", 12);
}

/* The finished line of an event: expanded, with its end. Made on the heap and in lent memory. */
static const char *line_of(const struct audit_event *event, struct kt_buf *line)
{
    static unsigned char lent[AUDIT_LINE_USUAL];
    kt_buf_init(line, AUDIT_LINE_MAX + 64);
    for (size_t size = 0; size <= sizeof lent; size += sizeof lent / 2) {
        struct audit_line made;
        audit_line_init_in(&made, size == 0 ? NULL : lent, size);
        assert_int_equal(audit_line_event(hasher, event, &made, NULL), KT_OK);
        kt_buf_reset(line);
        assert_true(audit_terse_expand(kt_buf_bytes(&made.terse), line));
        assert_true(made.terse.len < line->len);
        assert_int_equal(audit_line_length(&made), line->len);
        assert_memory_equal(audit_line_text(&made).at, line->at, line->len);
        audit_line_free(&made);
    }
    kt_buf_add_text(line, ",\"seq\":0}");
    const char *text = kt_buf_text(line);
    struct kt_err err = {0};
    if (kt_json_check(kt_str(text), NULL, &err) != KT_OK)
        fail_msg("%s: %s", err.what, text);
    assert_null(strchr(text, '\n'));
    return text;
}

/* ---- data: what stays and what is hashed ---- */

/* In `want`, <text> stands for the HMAC of text. */
static const struct row {
    const char *name, *data, *want;
} rows[] = {
    {"string", "{\"a\":\"x\"}", "{\"a\":<x>}"},
    {"empty string", "{\"a\":\"\"}", "{\"a\":<>}"},
    {"number", "{\"a\":12345678901234567890.00}", "{\"a\":12345678901234567890.00}"},
    {"booleans and null", "{\"a\":true,\"b\":false,\"c\":null}",
     "{\"a\":true,\"b\":false,\"c\":null}"},
    {"nested", "{\"a\":{\"b\":[\"x\",1,{\"c\":\"y\"}]}}", "{\"a\":{\"b\":[<x>,1,{\"c\":<y>}]}}"},
    {"empty containers", "{\"a\":{},\"b\":[],\"c\":[[],{}]}", "{\"a\":{},\"b\":[],\"c\":[[],{}]}"},
    {"keys stay", "{\"p\\u0061ss\":\"x\"}", "{\"p\\u0061ss\":<x>}"},
    {"escapes are decoded before", "{\"a\":\"\\u0078\\n\"}", "{\"a\":<x\n>}"},
    {"a time stays", "{\"a\":\"2025-01-02T03:04:05.678Z\"}", "{\"a\":\"2025-01-02T03:04:05.678Z\"}"},
    {"a time with an offset stays", "{\"a\":\"2025-01-02T03:04:05+01:00\"}",
     "{\"a\":\"2025-01-02T03:04:05+01:00\"}"},
    {"nearly a time", "{\"a\":\"2025-01-02 03:04:05Z!\"}", "{\"a\":<2025-01-02 03:04:05Z!>}"},
    {"a number in quotes", "{\"a\":\"1234\"}", "{\"a\":<1234>}"},
    {"white space goes", "{ \"a\" : [ \"x\" , 2 ] }", "{\"a\":[<x>,2]}"},
    {"an array at the top", "[\"x\"]", "[<x>]"},
    {"a string at the top", "\"x\"", "<x>"},
    {"looks like a hash", "{\"a\":\"hmac-sha256:00\"}", "{\"a\":<hmac-sha256:00>}"},
};

/* Of a request's data and of an answer's, with these keys in clear. */
static void check_data(const char *data, const char *wanted, struct audit_keys clear)
{
    kt_autobuf struct kt_buf want, line = {0};
    kt_buf_init(&want, 1 << 16);
    kt_buf_add_text(&want, "\"data\":");
    for (const char *at = wanted; *at != '\0'; at++) {
        char text[64] = {0}, form[AUDIT_HMAC_TEXT];
        const char *end = *at == '<' ? strchr(at, '>') : NULL;
        if (end == NULL) {
            kt_buf_add_char(&want, *at);
            continue;
        }
        memcpy(text, at + 1, (size_t)(end - at - 1));
        hmac(text, form);
        kt_buf_printf(&want, "\"%s\"", form);
        at = end;
    }
    for (unsigned i = 0; i < 2; i++) {
        struct audit_event event = {.type = "request", .request_id = "id", .path = "p"};
        if (i == 0) {
            event.request_data = kt_str(data);
            event.clear_request = clear;
        } else {
            event.response_data = kt_str(data);
            event.clear_response = clear;
        }
        const char *text = line_of(&event, &line);
        if (strstr(text, kt_buf_text(&want)) == NULL)
            fail_msg("no %s in %s", kt_buf_text(&want), text);
        kt_buf_free(&line);
    }
}

static void redacts(void **state)
{
    const struct row *row = *state;
    static const char *const absent[] = {"none", "x", ""};
    check_data(row->data, row->want, (struct audit_keys){NULL, 0});
    /* With a key that is not there: the same, by the other way through. */
    check_data(row->data, row->want, (struct audit_keys){absent, 3});
}

/* The nearest key decides, at any depth; what stands behind a nested one belongs to the outer again. */
static void keys_in_clear(void **state)
{
    (void)state;
    static const char *const keys[] = {"user", "h\"st"};
    static const struct audit_keys clear = {keys, 2};
    static const struct {
        const char *data, *want;
    } clears[] = {
        {"{\"user\":\"bob\",\"pass\":\"x\"}", "{\"user\":\"bob\",\"pass\":<x>}"},
        {"{\"data\":{\"user\":\"bob\",\"pass\":\"x\"}}", "{\"data\":{\"user\":\"bob\",\"pass\":<x>}}"},
        {"{\"user\":[\"a\",[\"b\"],{\"pass\":\"x\"},\"c\"]}", "{\"user\":[\"a\",[\"b\"],{\"pass\":<x>},\"c\"]}"},
        {"{\"pass\":[{\"user\":\"bob\"},\"x\"]}", "{\"pass\":[{\"user\":\"bob\"},<x>]}"},
        {"{\"user\":{\"pass\":\"x\"},\"z\":\"y\"}", "{\"user\":{\"pass\":<x>},\"z\":<y>}"},
        {"{\"\\u0075ser\":\"b\\u006fb\"}", "{\"\\u0075ser\":\"b\\u006fb\"}"},
        {"{\"h\\\"st\":\"db\"}", "{\"h\\\"st\":\"db\"}"},
        {"{\"User\":\"x\",\"user \":\"y\",\"use\":\"z\"}", "{\"User\":<x>,\"user \":<y>,\"use\":<z>}"},
        {"{ \"user\" : 1.0 , \"n\" : [ null , true , -2e3 ] }", "{\"user\":1.0,\"n\":[null,true,-2e3]}"},
        {"[\"user\",{\"user\":\"\"}]", "[<user>,{\"user\":\"\"}]"},
        {"\"user\"", "<user>"},
        {"{\"user\":{},\"a\":[]}", "{\"user\":{},\"a\":[]}"},
    };
    for (size_t i = 0; i < sizeof clears / sizeof clears[0]; i++)
        check_data(clears[i].data, clears[i].want, clear);
}

/* What a thread keeps of an answer was written without such keys, and with them is not used. */
static void keys_in_clear_and_kept_answers(void **state)
{
    (void)state;
    static const char *const keys[] = {"user"};
    for (unsigned i = 0; i < 6; i++) {
        struct audit_event event = {.type = "response",
                                    .request_id = "x",
                                    .path = "p",
                                    .response_data = kt_str("{\"user\":\"bob\"}"),
                                    .response_key = kt_str("one answer's key, told several times")};
        if (i % 2 == 1)
            event.clear_response = (struct audit_keys){keys, 1};
        kt_autobuf struct kt_buf line = {0};
        assert_int_equal(strstr(line_of(&event, &line), "\"bob\"") != NULL, i % 2);
    }
}

/* A marked secret at every place where a string can be: none is in the line. */
static void nothing_leaks(void **state)
{
    (void)state;
    static const char *const places[] = {
        "{\"a\":\"SECRET\"}", "{\"a\":[\"SECRET\"]}", "{\"a\":{\"b\":{\"c\":\"SECRET\"}}}",
        "{\"a\":\"xSECRETx\"}", "{\"a\":\"\\u0053ECRET\"}", "[[[\"SECRET\"]]]", "\"SECRET\"",
        "{\"a\":\"2025-01-02T03:04:05ZSECRET\"}"};
    kt_autobuf struct kt_buf line = {0};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const struct audit_auth auth = {.token = kt_str("SECRET"), .accessor = "SECRET"};
        const struct audit_event event = {.type = "response",
                                          .auth = &auth,
                                          .path = "secret/data/x",
                                          .request_data = kt_str(places[i]),
                                          .response_data = kt_str(places[i]),
                                          .wrapped = kt_str("SECRET")};
        const char *text = line_of(&event, &line);
        assert_null(strstr(text, "SECRET"));
        assert_null(strstr(text, "ECRET"));
        kt_buf_free(&line);
    }
}

static void whole_event(void **state)
{
    (void)state;
    static const char *const policies[] = {"default", "app"};
    const struct audit_auth auth = {.token = kt_str("token"),
                                    .accessor = "accessor",
                                    .display_name = "token-<app>",
                                    .entity_id = "e1",
                                    .policies = policies,
                                    .n_policies = 2,
                                    .identity_policies = policies,
                                    .n_identity_policies = 1,
                                    .meta = kt_str("{\"host\":\"db1\"}"),
                                    .expires_ms = 1735787045000};
    const struct audit_event event = {.type = "response",
                                      .request_id = "11111111-2222-3333-4444-555555555555",
                                      .time_ms = 1735787045678,
                                      .operation = "read",
                                      .path = "secret/data/a\"b",
                                      .mount_point = "secret/",
                                      .mount_type = "kv",
                                      .remote_address = "127.0.0.1",
                                      .remote_port = 4711,
                                      .auth = &auth,
                                      .response_data = kt_str("{\"a\":1}"),
                                      .status = 200,
                                      .error = "none\n",
                                      .wrapped = kt_str("child")};
    char token[AUDIT_HMAC_TEXT], accessor[AUDIT_HMAC_TEXT], child[AUDIT_HMAC_TEXT];
    hmac("token", token);
    hmac("accessor", accessor);
    hmac("child", child);
    kt_autobuf struct kt_buf line = {0}, want;
    kt_buf_init(&want, 8192);
    kt_buf_printf(&want,
                  "{\"time\":\"2025-01-02T03:04:05.678Z\",\"type\":\"response\",\"auth\":{"
                  "\"client_token\":\"%s\",\"accessor\":\"%s\",\"display_name\":"
                  "\"token-\\u003capp\\u003e\",\"policies\":[\"default\",\"app\"],\"metadata\":"
                  "{\"host\":\"db1\"},\"entity_id\":\"e1\",\"identity_policies\":[\"default\"],\"token_expire_time\":"
                  "\"2025-01-02T03:04:05Z\"},\"request\":{\"id\":"
                  "\"11111111-2222-3333-4444-555555555555\",\"operation\":\"read\",\"mount_point\":"
                  "\"secret/\",\"mount_type\":\"kv\",\"client_token\":\"%s\","
                  "\"client_token_accessor\":\"%s\",\"namespace\":{\"id\":\"root\"},\"path\":"
                  "\"secret/data/a\\\"b\",\"remote_address\":\"127.0.0.1\",\"remote_port\":4711},"
                  "\"response\":{\"auth\":{\"client_token\":\"%s\"},\"mount_point\":\"secret/\","
                  "\"mount_type\":\"kv\",\"data\":{\"a\":1}},\"error\":\"none\\n\",\"status\":200,"
                  "\"seq\":0}",
                  token, accessor, token, accessor, child);
    assert_string_equal(line_of(&event, &line), kt_buf_text(&want));
}

/* Who decided stands in "auth", behind what is kept of the token's owner or written anew. */
static void rulings(void **state)
{
    (void)state;
    static const struct {
        struct audit_ruling ruling;
        const char *want;
    } ruled[] = {
        {{.allowed = true, .names = {"app"}, .n_names = 1},
         "{\"allowed\":true,\"granting_policies\":[{\"name\":\"app\",\"namespace_id\":\"root\","
         "\"type\":\"acl\"}]}"},
        {{.allowed = true, .names = {"app", "b\"c"}, .n_names = 2},
         "{\"allowed\":true,\"granting_policies\":[{\"name\":\"app\",\"namespace_id\":\"root\","
         "\"type\":\"acl\"},{\"name\":\"b\\\"c\",\"namespace_id\":\"root\",\"type\":\"acl\"}]}"},
        {{.allowed = true}, "{\"allowed\":true}"},
        {{.why = "no pattern matches"}, "{\"allowed\":false,\"reason\":\"no pattern matches\"}"},
        {{.names = {"a", "b"}, .n_names = 2, .pattern = "secret/\n*", .why = "denied"},
         "{\"allowed\":false,\"pattern\":\"secret/\\n*\",\"policies\":[\"a\",\"b\"],"
         "\"reason\":\"denied\"}"},
    };
    for (size_t i = 0; i < sizeof ruled / sizeof ruled[0]; i++)
        for (unsigned bare = 0; bare < 2; bare++)
            for (uint64_t changed = 0; changed < 3; changed++) {
                const struct audit_auth auth = {.token = kt_str(bare ? NULL : "t"),
                                                .changed = changed};
                const struct audit_event event = {.type = "response",
                                                  .request_id = "x",
                                                  .path = "p",
                                                  .auth = &auth,
                                                  .ruling = &ruled[i].ruling};
                kt_autobuf struct kt_buf line = {0}, want;
                kt_buf_init(&want, 4096);
                kt_buf_printf(&want, "%s\"policy_results\":%s},\"request\":{\"id\":\"x\"",
                              bare ? "\"auth\":{" : "\",", ruled[i].want);
                const char *text = line_of(&event, &line);
                if (strstr(text, kt_buf_text(&want)) == NULL)
                    fail_msg("row %zu: no %s in %s", i, kt_buf_text(&want), text);
            }
}

/* What a thread keeps of a token is what would be written anew: hash and changed name it, whether its
 * place was another token's before, and whatever else the event says. */
static void kept_owners(void **state)
{
    (void)state;
    static const char *const policies[] = {"default", "app"};
    for (unsigned i = 0; i < 1000; i++) {
        char accessor[32], name[32];
        (void)snprintf(accessor, sizeof accessor, "accessor-%u", i % 13);
        (void)snprintf(name, sizeof name, "name-%u", i % 13);
        struct audit_auth auth = {.token = kt_str(accessor),
                                  .accessor = accessor,
                                  .display_name = name,
                                  .policies = policies,
                                  .n_policies = i % 3 % 2,
                                  .identity_policies = policies,
                                  .n_identity_policies = i / 3 % 3,
                                  .expires_ms = i % 5 == 0 ? 0 : 1735787045000 + i % 5};
        bool bare = i % 7 == 0;
        static const char *const mounts[] = {"secret/", "other/", "", NULL,
                                             "a-very-long-name-of-a-mount-that-is-not-kept-as-long-"
                                             "as-that-is-so-long/"};
        struct audit_event event = {.type = "response",
                                    .request_id = bare ? NULL : "x",
                                    .operation = bare && i % 4 == 0 ? NULL : i % 11 < 6 ? "read" : "list",
                                    .mount_point = mounts[i / 2 % 5],
                                    .mount_type = i % 13 == 0 ? NULL : "kv",
                                    .path = "p",
                                    .auth = &auth,
                                    .wrapped = i % 2 == 0 ? kt_str("w") : kt_bytes(NULL, 0),
                                    .response_data = i % 3 == 0 ? kt_str("{}") : kt_bytes(NULL, 0),
                                    .status = 200};
        kt_autobuf struct kt_buf plain = {0}, kept = {0};
        const struct audit_event elsewhere = {.operation = "update", .mount_point = "m/",
                                              .mount_type = "t", .type = "response"};
        (void)line_of(&elsewhere, &plain); /* so that the place is written anew, then found kept */
        kt_buf_free(&plain);
        char *salt = strstr(line_of(&event, &plain), ",\"salt\"");
        auth.hash[0] = (unsigned char)(i % 2 * 128); /* all in one place */
        auth.hash[31] = (unsigned char)(i % 13);
        auth.changed = 1 + i % 3 * 5 + i % 5;
        auth.identity_at = i / 3 % 3;
        char *kept_salt = strstr(line_of(&event, &kept), ",\"salt\"");
        assert_true((salt != NULL) == bare && (kept_salt != NULL) == bare);
        if (bare)
            *salt = *kept_salt = '\0';
        assert_string_equal((const char *)plain.at, (const char *)kept.at);
    }
}

/* An answer whose key came before is recorded as it would be without a key, however often it comes and
 * whatever else has its place. */
static void kept_answers(void **state)
{
    (void)state;
    enum { KEYS = 200 };
    static char large[6000];
    (void)snprintf(large, sizeof large, "{\"a\":\"%05000d\"}", 7);
    for (unsigned i = 0; i < 6000; i++) {
        unsigned n = i < 3000 ? i / 7 % KEYS : i % KEYS;
        unsigned char answer[AUDIT_SAID_KEY + 1] = {0};
        size_t len = n % 10 == 0 ? sizeof answer : n % 2 == 0 ? 45 : AUDIT_SAID_KEY;
        answer[n % 40] = (unsigned char)(1 + n);
        const char *data = n % 17 == 0 ? large : n % 19 == 0 ? "" : rows[n % (sizeof rows / sizeof rows[0])].data;
        struct audit_event event = {.type = "response",
                                    .request_id = "x",
                                    .path = "p",
                                    .mount_point = n % 3 == 0 ? "secret/" : NULL,
                                    .mount_type = "kv",
                                    .operation = "read",
                                    .response_data = kt_str(data),
                                    .wrapped = n % 5 == 0 ? kt_str("w") : kt_bytes(NULL, 0)};
        kt_autobuf struct kt_buf plain = {0}, kept = {0};
        (void)line_of(&event, &plain);
        event.response_key = kt_bytes(answer, len);
        assert_string_equal((const char *)plain.at, line_of(&event, &kept));
    }
}

/* The second record of an owner, a place or an answer finds what the first one kept. */
static void kept_for_the_next(void **state)
{
    (void)state;
    const struct audit_auth auth = {
        .accessor = "acc", .hash = "a hash that no other test has", .changed = 77};
    const struct kt_bytes answer = kt_str("a key that no other test has");
    const struct audit_event event = {.type = "response",
                                      .request_id = "x",
                                      .operation = "rarely",
                                      .mount_point = "m/",
                                      .mount_type = "kv",
                                      .path = "p",
                                      .auth = &auth,
                                      .response_data = kt_str("{\"a\":1}"),
                                      .response_key = answer};
    for (unsigned i = 0; i < 2; i++) {
        kt_autobuf struct kt_buf line = {0};
        (void)line_of(&event, &line);
    }
    const struct audit_who *who = audit_hasher_who(hasher, auth.hash);
    const struct audit_where *where = audit_hasher_where(hasher);
    const struct audit_said *said = audit_hasher_said(hasher, answer);
    assert_non_null(who);
    assert_int_equal(who->changed, 77);
    assert_memory_equal(who->hash, auth.hash, sizeof who->hash);
    assert_non_null(where);
    assert_true(where->known);
    assert_string_equal(where->operation, "rarely");
    assert_non_null(said);
    assert_true(said->filled);
}

/* As in Vault's log, what is empty has no key. */
static void empty_fields(void **state)
{
    (void)state;
    static const char *const metas[] = {"", "null", "{}"};
    for (size_t i = 0; i < 3; i++) {
        const struct audit_auth auth = {.accessor = "", .entity_id = "", .meta = kt_str(metas[i])};
        const struct audit_event event = {.type = "response", .request_id = "x", .path = NULL,
                                          .auth = &auth, .error = ""};
        kt_autobuf struct kt_buf line = {0};
        assert_string_equal(line_of(&event, &line),
                            "{\"time\":\"1970-01-01T00:00:00Z\",\"type\":\"response\",\"auth\":{},"
                            "\"request\":{\"id\":\"x\",\"namespace\":{\"id\":\"root\"}},"
                            "\"seq\":0}");
    }
}

/* Every record carries 16 random bytes: its request's id, or its own. */
static void salted(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf a = {0}, b = {0}, c = {0};
    const struct audit_event event = {.type = "response", .path = "sys/unseal", .request_id = ""};
    const char *first = line_of(&event, &a), *second = line_of(&event, &b);
    assert_non_null(strstr(first, "\"salt\":\""));
    assert_string_not_equal(first, second);
    const struct audit_event with_id = {.type = "response", .request_id = "x"};
    assert_null(strstr(line_of(&with_id, &c), "salt"));
}

/* Data that would not fit becomes one HMAC; the record itself is always made. */
static void large_data(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf data, line = {0};
    char form[AUDIT_HMAC_TEXT], want[200];
    kt_buf_init(&data, 1 << 20);
    kt_buf_add_text(&data, "{\"a\":[0");
    for (unsigned i = 0; i < 10000; i++)
        kt_buf_add_text(&data, ",\"x\"");
    kt_buf_add_text(&data, "]}");
    const struct audit_event event = {
        .type = "request", .request_id = "x", .path = "p", .request_data = kt_buf_bytes(&data)};
    hmac(kt_buf_text(&data), form);
    (void)snprintf(want, sizeof want, "\"data\":\"%s\"", form);
    const char *text = line_of(&event, &line);
    assert_non_null(strstr(text, want));
    assert_true(strlen(text) < 500);
}

static void deep_data(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf data, line = {0};
    kt_buf_init(&data, 1 << 20);
    for (unsigned i = 0; i < 63; i++)
        kt_buf_add_char(&data, '[');
    kt_buf_add_text(&data, "\"SECRET\"");
    for (unsigned i = 0; i < 63; i++)
        kt_buf_add_char(&data, ']');
    const struct audit_event event = {
        .type = "request", .request_id = "x", .path = "p", .request_data = kt_buf_bytes(&data)};
    const char *text = line_of(&event, &line);
    assert_null(strstr(text, "SECRET"));
    assert_non_null(strstr(text, "[[[[\"hmac-sha256:"));
}

/* ---- outcomes ---- */

static const char uuid[] = "01234567-89ab-cdef-0123-456789abcdef";

static void outcome_line(struct kt_bytes packed, struct kt_buf *line)
{
    kt_buf_init(line, AUDIT_LINE_MAX);
    const struct audit_mark mark = {77, 3};
    assert_int_equal(audit_line_outcome(packed, mark, line, NULL), KT_OK);
    kt_buf_add_text(line, ",\"seq\":0}");
    struct kt_err err = {0};
    if (kt_json_check(kt_str(kt_buf_text(line)), NULL, &err) != KT_OK)
        fail_msg("%s: %s", err.what, kt_buf_text(line));
    kt_autobuf struct kt_buf expanded; /* it is its own terse form */
    kt_buf_init(&expanded, AUDIT_LINE_MAX);
    assert_true(audit_terse_expand(kt_buf_bytes(line), &expanded));
    assert_int_equal(expanded.len, line->len);
    assert_memory_equal(expanded.at, line->at, line->len);
}

static void outcome(void **state)
{
    (void)state;
    const struct audit_auth auth = {.accessor = "accessor", .display_name = "not needed",
                                    .entity_id = uuid};
    const struct audit_event event = {.type = "response",
                                      .request_id = uuid,
                                      .time_ms = 1735787045678,
                                      .operation = "update",
                                      .path = "secret/data/app/db",
                                      .auth = &auth,
                                      .status = 200};
    kt_autobuf struct kt_buf packed, line = {0}, want;
    uint16_t room = 0;
    kt_buf_init(&packed, 4096);
    kt_buf_init(&want, 4096);
    assert_int_equal(audit_outcome_pack(hasher, &event, &packed, &room, NULL), KT_OK);
    assert_true(packed.len + AUDIT_OUTCOME_OVERHEAD <= 256); /* what goes into the store */
    outcome_line(kt_buf_bytes(&packed), &line);
    char accessor[AUDIT_HMAC_TEXT];
    hmac("accessor", accessor);
    kt_buf_printf(&want,
                  "{\"time\":\"2025-01-02T03:04:05.678Z\",\"type\":\"response\",\"auth\":{"
                  "\"accessor\":\"%s\",\"entity_id\":\"%s\"},\"request\":{\"id\":\"%s\","
                  "\"operation\":\"update\",\"path\":\"secret/data/app/db\"},\"status\":200,"
                  "\"generation\":77,\"place\":3,\"seq\":0}",
                  accessor, uuid, uuid);
    assert_string_equal(kt_buf_text(&line), kt_buf_text(&want));
    assert_true(room >= AUDIT_OVERHEAD + line.len);
}

/* Odd ids, a token handed out, an error, a path of any length, and the vault's own work. */
static void odd_outcomes(void **state)
{
    (void)state;
    static char longest[5000];
    memset(longest, '"', sizeof longest - 1);
    static const char *const ids[] = {uuid, "", "not-a-uuid", "01234567-89AB-cdef-0123-456789abcdef",
                                      "0123456789abcdef0123456789abcdef0123"};
    for (size_t i = 0; i < 5; i++) {
        for (size_t len = 0; len < sizeof longest; len += 331) {
            kt_autobuf struct kt_buf packed, line = {0};
            uint16_t room = 0;
            const struct audit_auth auth = {.display_name = "keyturn", .entity_id = ids[i]};
            const struct audit_event event = {.type = "response",
                                              .request_id = ids[i],
                                              .operation = "update",
                                              .path = longest + (sizeof longest - 1 - len),
                                              .auth = i == 3 ? NULL : &auth,
                                              .error = i == 2 ? longest : NULL,
                                              .wrapped = kt_str(i == 1 ? "child" : "")};
            kt_buf_init(&packed, 4096);
            assert_int_equal(audit_outcome_pack(hasher, &event, &packed, &room, NULL), KT_OK);
            outcome_line(kt_buf_bytes(&packed), &line);
            const char *text = kt_buf_text(&line);
            assert_true(room >= AUDIT_OVERHEAD + line.len && room <= AUDIT_OUTCOME_ROOM_MAX);
            assert_true(line.len >= AUDIT_LINE_MIN);
            assert_int_equal(strstr(text + 1, "\"salt\"") != NULL, i == 1);
            if (i > 0 && i != 1)
                assert_non_null(strstr(text + 1, ids[i]));
            if (i == 1)
                assert_non_null(strstr(text + 1, "\"client_token\":\"hmac-sha256:"));
            if (len > 1024)
                assert_non_null(strstr(text + 1, "\"path\":\"hmac-sha256:"));
        }
    }
}

static void damaged_outcomes(void **state)
{
    (void)state;
    const struct audit_event event = {.type = "response", .request_id = uuid, .path = "p",
                                      .operation = "update"};
    kt_autobuf struct kt_buf packed, line;
    uint16_t room = 0;
    kt_buf_init(&packed, 4096);
    kt_buf_init(&line, 4096);
    assert_int_equal(audit_outcome_pack(hasher, &event, &packed, &room, NULL), KT_OK);
    for (size_t len = 0; len < packed.len; len++)
        assert_int_equal(audit_line_outcome(kt_bytes(packed.at, len), (struct audit_mark){1, 1},
                                            &line, NULL),
                         KT_CORRUPT);
}

/* ---- sealed forms ---- */

static void sealed_records(void **state)
{
    (void)state;
    const struct audit_sealer sealer = {.key = key, .vault = "sixteen bytes id", .log = 1};
    unsigned char line[200], record[200 + AUDIT_OVERHEAD], back[200];
    const struct audit_header header = {
        .len = sizeof line, .kind = AUDIT_OUTCOME, .mark = {12, 5}};
    memset(line, 'x', sizeof line);
    audit_record_seal(&sealer, 42, &header, line, record);
    struct kt_bytes bytes = kt_bytes(record, sizeof record);
    assert_true(audit_record_open(&sealer, 42, bytes, back));
    assert_memory_equal(line, back, sizeof line);
    struct audit_header read;
    assert_true(audit_header_read(record, &read));
    assert_int_equal(read.len, sizeof line);
    assert_int_equal(read.kind, AUDIT_OUTCOME);
    assert_int_equal(audit_mark_compare(read.mark, header.mark), 0);
    /* Nowhere else, under no other number, with no bit changed. */
    struct audit_sealer other = sealer;
    other.log = 2;
    assert_false(audit_record_open(&other, 42, bytes, back));
    other = sealer;
    other.vault[3] ^= 1;
    assert_false(audit_record_open(&other, 42, bytes, back));
    assert_false(audit_record_open(&sealer, 43, bytes, back));
    assert_false(audit_record_open(&sealer, 42, kt_bytes(record, sizeof record - 1), back));
    for (size_t i = 0; i < sizeof record * 8; i++) {
        record[i / 8] ^= (unsigned char)(1u << i % 8);
        assert_false(audit_record_open(&sealer, 42, bytes, back));
        record[i / 8] ^= (unsigned char)(1u << i % 8);
    }
}

static void sealed_outcomes(void **state)
{
    (void)state;
    const struct audit_sealer sealer = {.key = key, .vault = "sixteen bytes id", .log = 1};
    kt_autobuf struct kt_buf sealed, back;
    kt_buf_init(&sealed, 4096);
    kt_buf_init(&back, 4096);
    struct kt_err err = {0};
    assert_int_equal(audit_outcome_wrap(&sealer, kt_str("packed"), 513, &sealed, NULL), KT_OK);
    assert_int_equal(audit_outcome_room(kt_buf_bytes(&sealed)), 513);
    assert_int_equal(audit_outcome_unwrap(&sealer, kt_buf_bytes(&sealed), &back, NULL), KT_OK);
    assert_true(kt_bytes_is(kt_buf_bytes(&back), "packed"));
    for (size_t i = 0; i < sealed.len * 8; i++) {
        sealed.at[i / 8] ^= (unsigned char)(1u << i % 8);
        assert_int_equal(audit_outcome_unwrap(&sealer, kt_buf_bytes(&sealed), &back, &err),
                         KT_CORRUPT);
        sealed.at[i / 8] ^= (unsigned char)(1u << i % 8);
    }
    for (size_t len = 0; len < sealed.len; len++)
        assert_int_equal(audit_outcome_unwrap(&sealer, kt_bytes(sealed.at, len), &back, &err),
                         KT_CORRUPT);
    sealed.at[0] = AUDIT_OUTCOME_FORMAT + 1;
    assert_int_equal(audit_outcome_unwrap(&sealer, kt_buf_bytes(&sealed), &back, &err), KT_CORRUPT);
    assert_non_null(strstr(err.what, "format 2"));
}

/* The codes are in logs on disks: this row is what they meant when it was written. */
static void terse_pieces(void **state)
{
    (void)state;
    unsigned char codes[0x20 - 2 + 1];
    for (size_t i = 0; i < sizeof codes; i++)
        codes[i] = (unsigned char)(i + 2);
    codes[sizeof codes - 1] = 0;
    kt_autobuf struct kt_buf line;
    kt_buf_init(&line, 4096);
    assert_true(audit_terse_expand(kt_bytes(codes, sizeof codes), &line));
    assert_string_equal(
        kt_buf_text(&line),
        "{\"time\":,\"type\":\"request\",\"type\":\"response\"\"auth\":{\"request\":{\"response\":{"
        "\"client_token\":\"accessor\":\"display_name\":\"policies\":\"metadata\":\"entity_id\":"
        "\"token_expire_time\":\"id\":\"operation\":\"mount_point\":\"mount_type\":"
        "\"client_token_accessor\":\"namespace\":{\"id\":\"root\"}\"path\":\"data\":"
        "\"remote_address\":\"remote_port\":\"error\":\"status\":\"salt\":,\"seq\":"
        "\"policy_results\":{\"allowed\":\"granting_policies\":[{\"name\":"
        "\"identity_policies\":");
}

static void terse_hmacs(void **state)
{
    (void)state;
    unsigned char terse[1 + AUDIT_HMAC_BYTES + 1] = {PIECE_HMAC};
    char form[AUDIT_HMAC_TEXT], hex[2 * AUDIT_HMAC_BYTES + 1];
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned i = 0; i < AUDIT_HMAC_BYTES; i++)
            terse[1 + i] = (unsigned char)(first + i * 37);
        terse[1 + AUDIT_HMAC_BYTES] = '}';
        kt_autobuf struct kt_buf line, want;
        kt_buf_init(&line, 4096);
        kt_buf_init(&want, 4096);
        audit_hmac_text(terse + 1, form);
        (void)sodium_bin2hex(hex, sizeof hex, terse + 1, AUDIT_HMAC_BYTES);
        assert_memory_equal(form, "hmac-sha256:", 12);
        assert_string_equal(form + 12, hex);
        kt_buf_printf(&want, "\"%s\"}", form);
        assert_true(audit_terse_expand(kt_bytes(terse, sizeof terse), &line));
        assert_string_equal(kt_buf_text(&line), kt_buf_text(&want));
    }
    kt_autobuf struct kt_buf line;
    kt_buf_init(&line, 4096);
    for (size_t len = 1; len < 1 + AUDIT_HMAC_BYTES; len++)
        assert_false(audit_terse_expand(kt_bytes(terse, len), &line));
}

/* Data as it nears the limit: the line still fits, whole or with one HMAC instead. */
static void large_lines(void **state)
{
    (void)state;
    for (size_t strings = 3300; strings < 3420; strings++) { /* 34 bytes terse, 79 in the line */
        kt_autobuf struct kt_buf data, line = {0};
        kt_buf_init(&data, 1 << 20);
        for (size_t i = 0; i < strings; i++)
            kt_buf_add_text(&data, i == 0 ? "[\"x\"" : ",\"x\"");
        kt_buf_add_char(&data, ']');
        const struct audit_event event = {
            .type = "request", .request_id = "x", .path = "p", .request_data = kt_buf_bytes(&data)};
        const char *text = line_of(&event, &line);
        assert_true(line.len <= AUDIT_LINE_MAX);
        assert_int_equal(strstr(text, "\"data\":[") != NULL, line.len > 1000);
        kt_buf_free(&line);
    }
}

#define N(a) (sizeof(a) / sizeof(a)[0])

int main(void)
{
    enum { FIXED = 21 };
    struct CMUnitTest tests[FIXED + N(rows)] = {
        cmocka_unit_test(hmac_vector),    cmocka_unit_test(nothing_leaks),
        cmocka_unit_test(whole_event),    cmocka_unit_test(salted),
        cmocka_unit_test(large_data),     cmocka_unit_test(deep_data),
        cmocka_unit_test(outcome),        cmocka_unit_test(odd_outcomes),
        cmocka_unit_test(damaged_outcomes), cmocka_unit_test(sealed_records),
        cmocka_unit_test(sealed_outcomes), cmocka_unit_test(empty_fields),
        cmocka_unit_test(terse_pieces),   cmocka_unit_test(terse_hmacs),
        cmocka_unit_test(large_lines),    cmocka_unit_test(kept_owners),
        cmocka_unit_test(kept_answers),   cmocka_unit_test(kept_for_the_next),
        cmocka_unit_test(rulings),
        cmocka_unit_test(keys_in_clear),  cmocka_unit_test(keys_in_clear_and_kept_answers),
    };
    size_t n = FIXED;
    for (size_t i = 0; i < N(rows); i++)
        tests[n++] = (struct CMUnitTest){.name = rows[i].name, .test_func = redacts,
                                         .initial_state = (void *)(uintptr_t)&rows[i]};
    hasher = audit_hasher_new(key);
    int failed = cmocka_run_group_tests_name("audit_record", tests, NULL, NULL);
    audit_hasher_free(hasher);
    return failed;
}
