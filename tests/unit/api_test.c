/* Answers of a vault, good and bad, as lib/api.h hands them on. */
#include "lib/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/failpoint.h"
#include "lib/secret.h"
#include "tests/support/canned_server.h"

/* ---- answers ---- */

static const struct row {
    const char *name;
    unsigned status;
    const char *body;
    enum kt_kind kind;
    const char *what, *hint, *data;
} rows[] = {
    {"envelope", 200,
     "{\"request_id\":\"7d\",\"data\":{\"a\":1.0},\"auth\":null,\"warnings\":null}", KT_OK, "", "",
     "{\"a\":1.0}"},
    {"bare object", 200, "{\"initialized\":true,\"sealed\":false}", KT_OK, "", "",
     "{\"initialized\":true,\"sealed\":false}"},
    {"begun", 202, "{\"request_id\":\"7d\",\"data\":{\"a\":1}}", KT_OK, "", "", "{\"a\":1}"},
    {"kept for approval", 202, "{\"request_id\":\"7d\",\"data\":{\"approval_id\":\"7d\"}}", KT_PRECONDITION,
     "nothing was done yet: this needs the approval of others, and waits for it",
     "others: secretctl approve 7d; then you: secretctl approvals finish 7d", "{\"approval_id\":\"7d\"}"},
    {"kept for approval, with a command for an id", 202, "{\"request_id\":\"7d\",\"data\":{\"approval_id\":\"7d;id\"}}",
     KT_PRECONDITION, "nothing was done yet", "secretctl approvals list -mine", "{\"approval_id\":\"7d;id\"}"},
    {"kept for approval, with an id that is too long", 202,
     "{\"request_id\":\"7d\",\"data\":{\"approval_id\":\"00000000000000000000000000000000000000000\"}}", KT_PRECONDITION,
     "nothing was done yet", "secretctl approvals list -mine",
     "{\"approval_id\":\"00000000000000000000000000000000000000000\"}"},
    {"kept for approval, without an id", 202, "{\"request_id\":\"7d\",\"data\":{\"approval_id\":\"\"}}", KT_PRECONDITION,
     "nothing was done yet", "secretctl approvals list -mine", "{\"approval_id\":\"\"}"},
    {"no content", 204, "", KT_OK, "", "", ""},
    {"login", 200, "{\"request_id\":\"7d\",\"data\":null,\"auth\":{\"accessor\":\"x\"}}", KT_OK, "",
     "", ""},
    {"huge number", 200, "{\"request_id\":\"7d\",\"data\":{\"n\":123456789012345678901234567890}}",
     KT_OK, "", "", "{\"n\":123456789012345678901234567890}"},
    {"one error", 400, "{\"errors\":[\"no data provided\"]}", KT_INVALID, "no data provided", "",
     ""},
    {"denied", 403,
     "{\"errors\":[\"2 errors occurred:\\n\\t* permission denied\\n\\t* invalid token\\n\\n\"]}",
     KT_DENIED, "permission denied; invalid token", "", ""},
    {"the second is what to do", 400,
     "{\"errors\":[\"KT-R-003 a run is active\",\"run watch 1\"],"
     "\"data\":{\"run\":\"1\"}}",
     KT_INVALID, "KT-R-003 a run is active", "run watch 1", "{\"run\":\"1\"}"},
    {"nothing there", 404, "{\"errors\":[]}", KT_NOT_FOUND, "no such thing", "", ""},
    {"deleted version", 404, "{\"request_id\":\"7d\",\"data\":{\"data\":null,\"metadata\":{}}}",
     KT_NOT_FOUND, "no such thing", "", "{\"data\":null,\"metadata\":{}}"},
    {"sealed", 503, "{\"errors\":[\"Vault is sealed\"]}", KT_SEALED, "Vault is sealed",
     "secretctl operator unseal", ""},
    {"busy", 503, "{\"errors\":[\"queue is full\"]}", KT_BUSY, "queue is full", "", ""},
    {"too many", 429, "{\"errors\":[]}", KT_TOO_MANY, "too many requests", "", ""},
    {"too large", 413, "{\"errors\":[\"http: request body too large\"]}", KT_TOO_LARGE,
     "http: request body too large", "", ""},
    {"method", 405, "{\"errors\":[]}", KT_METHOD, "unsupported operation", "", ""},
    {"internal", 500, "{\"errors\":[\"internal error\"]}", KT_INTERNAL, "internal error", "", ""},
    {"error without JSON", 502, "<html>bad gateway</html>", KT_INTERNAL, "internal error", "", ""},
    {"error without a body", 400, "", KT_INVALID, "the request is not valid", "", ""},
    {"errors of a wrong type", 400, "{\"errors\":7}", KT_INVALID, "the request is not valid", "",
     ""},
    {"control characters", 400, "{\"errors\":[\"a\\u001b[31mb\"]}", KT_INVALID, "a [31mb", "", ""},
    {"no JSON", 200, "hello", KT_CORRUPT, "the answer is not what a vault sends",
     "is there a vault at this address?", ""},
    {"cut JSON", 200, "{\"request_id\":\"7d\",\"da", KT_CORRUPT, "the answer is not", "", ""},
    {"a list", 200, "[1]", KT_OK, "", "", ""},
};

static void answers(void **state)
{
    const struct row *row = *state;
    struct kt_err err = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    reply.http.status = row->status;
    kt_buf_add_text(&reply.http.body, row->body);
    enum kt_kind kind = kt_api_reply_read(&reply, false, &err);
    struct kt_bytes data = kt_json_bytes(reply.data);
    if (kind != row->kind || strstr(err.what, row->what) == NULL ||
        strstr(err.hint, row->hint) == NULL || !kt_bytes_is(data, row->data))
        fail_msg("expected %s '%s' '%s' %s, got %s '%s' '%s' %.*s", kt_kind_name(row->kind),
                 row->what, row->hint, row->data, kt_kind_name(kind), err.what, err.hint,
                 (int)data.len, (const char *)data.at);
}

static void raw_answers_are_left_alone(void **state)
{
    (void)state;
    struct kt_err err = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    reply.http.status = 200;
    kt_buf_add_text(&reply.http.body, "{\"seq\":0}\n{\"seq\":1}\n");
    assert_int_equal(kt_api_reply_read(&reply, true, &err), KT_OK);
    assert_int_equal(kt_json_type(reply.root), KT_JSON_NONE);
}

static void parts_are_found_or_left_alone(void **state)
{
    (void)state;
    char text[8] = "x";
    int64_t number = 7;
    bool truth = true;
    struct kt_bytes json =
        kt_str("{\"n\":5,\"b\":false,\"t\":\"abcdefghij\",\"s\":\"ok\",\"f\":1.5}");
    assert_int_equal(kt_json_check(json, NULL, NULL), KT_OK);
    struct kt_json object = kt_json_value(json);
    assert_true(kt_api_i64(object, "n", &number));
    assert_int_equal(number, 5);
    assert_false(kt_api_i64(object, "f", &number));
    assert_false(kt_api_i64(object, "absent", &number));
    assert_int_equal(number, 5);
    assert_true(kt_api_bool(object, "b", &truth));
    assert_false(truth);
    assert_false(kt_api_text(object, "t", text, sizeof text));
    assert_string_equal(text, "abcdefg");
    assert_true(kt_api_text(object, "s", text, sizeof text));
    assert_string_equal(text, "ok");
    assert_false(kt_api_text((struct kt_json){0}, "s", text, sizeof text));
    assert_string_equal(text, "");
}

/* ---- calls ---- */

struct fixture {
    struct canned *server;
    struct kt_api *api;
    struct kt_api_reply reply;
    struct kt_err err;
};

static struct fixture begin(const char *namespace_path)
{
    struct fixture f = {.server = canned_start(&(struct canned_options){0})};
    struct kt_api_options options = {.address = canned_address(f.server),
                                     .token = kt_str("hvs.token"),
                                     .namespace_path = namespace_path};
    assert_int_equal(kt_api_open(&options, &f.api, &f.err), KT_OK);
    kt_api_reply_init(&f.reply);
    return f;
}

static void end(struct fixture *f)
{
    kt_api_close(f->api);
    kt_api_reply_free(&f->reply);
    canned_stop(f->server);
}

static void headers_of_a_call(void **state)
{
    (void)state;
    struct fixture f = begin("team");
    canned_json(f.server, 200, "{\"request_id\":\"7d\",\"data\":{}}");
    struct kt_api_request request = {
        .method = "PATCH", .path = "secret/data/a b", .query = "x=1", .body = kt_str("{}")};
    assert_int_equal(kt_api_call(f.api, &request, -1, &f.reply, &f.err), KT_OK);
    assert_string_equal(f.reply.request_id, "7d");
    const char *asked = canned_request(f.server, 0);
    static const char *const wanted[] = {
        "PATCH /v1/secret/data/a%20b?x=1 HTTP/1.1\r\n",
        "X-Vault-Token: hvs.token\r\n",
        "X-Vault-Namespace: team\r\n",
        "X-Vault-Request: true\r\n",
        "Content-Type: application/merge-patch+json\r\n",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (strstr(asked, wanted[i]) == NULL)
            fail_msg("expected '%s' in %s", wanted[i], asked);
    end(&f);
}

static void a_token_can_be_changed_and_dropped(void **state)
{
    (void)state;
    struct fixture f = begin(NULL);
    canned_json(f.server, 200, "{}");
    struct kt_api_request request = {.method = "GET", .path = "x"};
    assert_int_equal(kt_api_set_token(f.api, kt_str("hvs.second"), &f.err), KT_OK);
    assert_int_equal(kt_api_call(f.api, &request, -1, &f.reply, &f.err), KT_OK);
    assert_non_null(strstr(canned_request(f.server, 0), "X-Vault-Token: hvs.second\r\n"));
    assert_int_equal(kt_api_set_token(f.api, kt_bytes(NULL, 0), &f.err), KT_OK);
    assert_int_equal(kt_api_call(f.api, &request, -1, &f.reply, &f.err), KT_OK);
    assert_null(strstr(canned_request(f.server, 1), "X-Vault-Token"));
    end(&f);
}

static void a_failed_call_leaves_no_old_parts(void **state)
{
    (void)state;
    struct fixture f = begin(NULL);
    canned_json(f.server, 200, "{\"request_id\":\"7d\",\"data\":{\"a\":1}}");
    canned_answer(f.server, CANNED_CLOSE);
    struct kt_api_request request = {.method = "GET", .path = "x"};
    assert_int_equal(kt_api_call(f.api, &request, -1, &f.reply, &f.err), KT_OK);
    assert_int_not_equal(kt_api_call(f.api, &request, -1, &f.reply, &f.err), KT_OK);
    assert_int_equal(kt_json_type(f.reply.data), KT_JSON_NONE);
    end(&f);
}

static void a_lost_write_is_unknown(void **state)
{
    (void)state;
    struct fixture f = begin(NULL);
    canned_answer(f.server, CANNED_SILENT);
    struct kt_api_request request = {.method = "POST", .path = "x", .timeout_ms = 60};
    assert_int_equal(kt_api_call(f.api, &request, -1, &f.reply, &f.err), KT_UNKNOWN);
    assert_int_equal(f.err.kind, KT_UNKNOWN);
    end(&f);
    f = begin(NULL);
    canned_answer(f.server, CANNED_CLOSE);
    assert_int_equal(kt_api_call(f.api, &request, -1, &f.reply, &f.err), KT_UNKNOWN);
    request.method = "GET";
    assert_int_equal(kt_api_call(f.api, &request, -1, &f.reply, &f.err), KT_IO);
    end(&f);
}

static void mounts(void **state)
{
    (void)state;
    struct fixture f = begin(NULL);
    struct kt_api_mount mount = {0};
    canned_json(f.server, 200,
                "{\"request_id\":\"7d\",\"data\":{\"path\":\"secret/\",\"type\":\"kv\","
                "\"options\":{\"version\":\"2\"}}}");
    canned_json(f.server, 200,
                "{\"request_id\":\"7d\",\"data\":{\"path\":\"old/\",\"options\":null}}");
    canned_json(f.server, 200, "{\"request_id\":\"7d\",\"data\":{}}");
    assert_int_equal(kt_api_mount_of(f.api, "secret/db", &mount, &f.err), KT_OK);
    assert_string_equal(mount.path, "secret/");
    assert_int_equal(mount.version, 2);
    assert_non_null(strstr(canned_request(f.server, 0), "/v1/sys/internal/ui/mounts/secret/db "));
    assert_int_equal(kt_api_mount_of(f.api, "old/x", &mount, &f.err), KT_OK);
    assert_int_equal(mount.version, 1);
    assert_int_equal(kt_api_mount_of(f.api, "x", &mount, &f.err), KT_CORRUPT);
    end(&f);
}

static void reading_a_secret(void **state)
{
    (void)state;
    struct fixture f = begin(NULL);
    struct kt_api_mount mount = {.path = "secret/", .version = 2};
    uint64_t version = 0;
    canned_json(f.server, 200,
                "{\"request_id\":\"7d\",\"data\":{\"data\":{\"p\":\"v\"},"
                "\"metadata\":{\"version\":4}}}");
    assert_int_equal(
        kt_api_kv_read(f.api, &mount, "secret/db/orders", 4, &f.reply, &version, &f.err), KT_OK);
    assert_int_equal(version, 4);
    assert_non_null(
        strstr(canned_request(f.server, 0), "GET /v1/secret/data/db/orders?version=4 "));
    assert_int_equal(kt_api_kv_read(f.api, &mount, "other/db", 0, &f.reply, &version, &f.err),
                     KT_INVALID);
    end(&f);
}

static void what_an_agent_says(void **state)
{
    (void)state;
    struct fixture f = begin(NULL);
    canned_json(f.server, 200, "{\"request_id\":\"7d\",\"data\":{\"want\":5}}");
    struct kt_api_consumer report = {.host = "h1",
                                     .secret = "secret/db/orders",
                                     .service = "orders",
                                     .state = "healthy",
                                     .version = 5,
                                     .samples = 10,
                                     .p95_ms = 41,
                                     .candidates = 2,
                                     .holds = 6};
    assert_int_equal(kt_api_consumer_report(f.api, &report, &f.reply, &f.err), KT_OK);
    const char *asked = canned_request(f.server, 0);
    assert_non_null(strstr(asked, "POST /v1/fleet/consumers/h1/secret/db/orders "));
    assert_non_null(strstr(asked, "{\"service\":\"orders\",\"state\":\"healthy\",\"version\":5,"
                                  "\"samples\":10,\"p95_ms\":41,\"candidates\":2,\"holds\":6}"));
    assert_int_equal(kt_api_watch(f.api, "h1", "12:a b", 300, -1, &f.reply, &f.err), KT_OK);
    assert_non_null(
        strstr(canned_request(f.server, 1), "GET /v1/fleet/watch/h1?wait=300&since=12%3Aa%20b "));
    end(&f);
}

static void a_path_that_is_too_long(void **state)
{
    (void)state;
    struct fixture f = begin(NULL);
    char path[KT_API_PATH_MAX + 2];
    memset(path, 'a', sizeof path);
    path[sizeof path - 1] = '\0';
    struct kt_api_request request = {.method = "GET", .path = path};
    assert_int_equal(kt_api_call(f.api, &request, -1, &f.reply, &f.err), KT_INVALID);
    assert_int_equal(canned_requests(f.server), 0);
    end(&f);
}

#ifdef KT_FAULT
/* Every allocation of a call fails once: an error, never a crash or a half-filled reply. */
static void when_memory_is_out(void **state)
{
    (void)state;
    struct fixture f = begin(NULL);
    canned_json(f.server, 200, "{\"request_id\":\"7d\",\"data\":{\"a\":\"b\"}}");
    for (unsigned long nth = 1; nth < 200; nth++) {
        struct kt_api_request request = {.method = "POST", .path = "x", .body = kt_str("{}")};
        (void)kt_fail_allocation(nth);
        enum kt_kind kind = kt_api_call(f.api, &request, -1, &f.reply, &f.err);
        unsigned long made = kt_fail_allocation(0);
        if (kind == KT_OK)
            assert_int_equal(kt_json_type(f.reply.data), KT_JSON_OBJECT);
        if (made < nth)
            break;
    }
    end(&f);
}
#endif

int main(void)
{
    const struct CMUnitTest fixed[] = {
        cmocka_unit_test(raw_answers_are_left_alone),
        cmocka_unit_test(parts_are_found_or_left_alone),
        cmocka_unit_test(headers_of_a_call),
        cmocka_unit_test(a_token_can_be_changed_and_dropped),
        cmocka_unit_test(a_failed_call_leaves_no_old_parts),
        cmocka_unit_test(a_lost_write_is_unknown),
        cmocka_unit_test(mounts),
        cmocka_unit_test(reading_a_secret),
        cmocka_unit_test(what_an_agent_says),
        cmocka_unit_test(a_path_that_is_too_long),
#ifdef KT_FAULT
        cmocka_unit_test(when_memory_is_out),
#endif
    };
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    enum { FIXED = sizeof fixed / sizeof fixed[0], ROWS = sizeof rows / sizeof rows[0] };
    struct CMUnitTest tests[FIXED + ROWS];
    memcpy(tests, fixed, sizeof fixed);
    for (size_t i = 0; i < ROWS; i++)
        tests[FIXED + i] = (struct CMUnitTest){.name = rows[i].name,
                                               .test_func = answers,
                                               .initial_state = (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
