/* tests/unit/driver_http_test.c - the driver "http": which declarations are taken, what is made of their templates,
 * what each answer of an API comes to, and that no secret is in an address or a text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/driver/http.h"
#include "lib/driver/http_api.h"
#include "lib/ipc.h"
#include "lib/json_pointer.h"
#include "lib/secret.h"
#include "tests/support/canned_server.h"

#define ADMIN_TOKEN "adm1n-planted"
#define VALUE       "va\"lue-planted"
#define ARENA       ((size_t)1024 * 1024)

/* ---- templates ----------------------------------------------------------------------------------- */

static void templates_are_checked(void **state)
{
    static const struct {
        const char *text;
        bool taken;
        unsigned names;
    } rows[] = {
        {"", true, 0},
        {"plain", true, 0},
        {"{account}", true, TEMPLATE_BIT(TEMPLATE_ACCOUNT)},
        {"a{run}b{attempt}", true, TEMPLATE_BIT(TEMPLATE_RUN) | TEMPLATE_BIT(TEMPLATE_ATTEMPT)},
        {"{admin}{admin_name}", true, TEMPLATE_BIT(TEMPLATE_ADMIN) | TEMPLATE_BIT(TEMPLATE_ADMIN_NAME)},
        {"{{value}}", true, 0},
        {"{", false, 0},
        {"}", false, 0},
        {"{}", false, 0},
        {"{account", false, 0},
        {"{acc{ount}}", false, 0},
        {"{Account}", false, 0},
        {"{password}", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kt_err err = {0};
        unsigned names = 0;
        bool taken = kt_template_check(rows[i].text, &names, &err) == KT_OK;
        if (taken != rows[i].taken || (taken && names != rows[i].names))
            fail_msg("'%s': taken %d, names %x: %s", rows[i].text, taken, names, err.what);
    }
}

static const struct template_values values = {.at = {[TEMPLATE_ACCOUNT] = {(const unsigned char *)"a/b c", 5},
                                                     [TEMPLATE_VALUE] = {(const unsigned char *)"x\"{run}&", 8},
                                                     [TEMPLATE_ID] = {(const unsigned char *)"..", 2}}};

static void what_is_filled_in_stays_what_it_is(void **state)
{
    (void)state;
    struct kt_buf out;
    kt_buf_init(&out, 1024);
    kt_template_fill("<{account}|{{{value}}}>", &values, &out);
    assert_string_equal(kt_buf_text(&out), "<a/b c|{x\"{run}&}>");
    kt_buf_reset(&out);
    kt_template_fill_url("/v1/{account}?q={value}", &values, &out);
    assert_string_equal(kt_buf_text(&out), "/v1/a%2Fb%20c?q=x%22%7Brun%7D%26");
    kt_buf_reset(&out);
    kt_template_fill_json(kt_json_value(kt_str("{\"{value}\": [1, true, \"v={value}\"], \"b\": {}}")), &values, &out);
    assert_string_equal(kt_buf_text(&out), "{\"{value}\":[1,true,\"v=x\\\"{run}\\u0026\"],\"b\":{}}");
    kt_buf_reset(&out);
    kt_template_fill_url("/keys/{id}", &values, &out); /* it would be a step up */
    assert_false(kt_buf_ok(&out));
    kt_buf_free(&out);
}

static void pointers_point(void **state)
{
    static const struct {
        const char *pointer, *value; /* NULL: nothing is there */
    } rows[] = {{"", "{\"a\":[10,{\"b/c\":\"x\"}],\"d~\":null}"},
                {"/a/0", "10"},
                {"/a/1/b~1c", "\"x\""},
                {"/d~0", "null"},
                {"/a/2", NULL},
                {"/a/-1", NULL},
                {"/a/0/x", NULL},
                {"/b", NULL},
                {"a", NULL},
                {"/d~2", NULL},
                {"/d~", NULL}};
    (void)state;
    struct kt_json document = kt_json_value(kt_str("{\"a\":[10,{\"b/c\":\"x\"}],\"d~\":null}"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kt_json value;
        bool there = kt_json_pointer(document, rows[i].pointer, &value);
        if (there != (rows[i].value != NULL) || (there && !kt_bytes_is(kt_json_bytes(value), rows[i].value)))
            fail_msg("%s: there %d", rows[i].pointer, there);
    }
}

/* ---- declarations -------------------------------------------------------------------------------- */

#define TOKEN   "\"headers\":{\"X-Admin\":\"{admin}\"}"
#define ADMIN   "\"admin\":{\"method\":\"GET\",\"path\":\"/admin\"," TOKEN "}"
#define TEST    "\"test\":{\"method\":\"GET\",\"path\":\"/me\",\"basic\":[\"{account}\",\"{value}\"]}"
#define SET     "\"set\":{\"method\":\"PUT\",\"path\":\"/p/{account}\"," TOKEN ",\"body\":{\"p\":\"{value}\"}}"
#define CREATE  "\"create\":{\"method\":\"POST\",\"path\":\"/k\"," TOKEN ",\"body\":{\"n\":\"{run}\"},\"value\":\"/s\",\"id\":\"/i\"}"
#define CREATES "\"create\":{\"method\":\"POST\",\"path\":\"/k\"," TOKEN ",\"value\":\"/s\"}"
#define LIST    "\"list\":{\"method\":\"GET\",\"path\":\"/k\"," TOKEN ",\"items\":\"/k\",\"id\":\"/i\",\"tag\":\"/n\",\"tag_is\":\"{run}\"," \
                "\"more\":\"/more\"}"
#define DELETE  "\"delete\":{\"method\":\"DELETE\",\"path\":\"/k/{id}\"," TOKEN "}"
#define DELETES "\"delete\":{\"method\":\"DELETE\",\"path\":\"/s/{account}\"," TOKEN "}"
#define API(set) "{" ADMIN "," TEST "," set "}"
#define PUT(more) API("\"set\":{\"method\":\"PUT\",\"path\":\"/p\"," more "}")
#define KEYS    API(CREATE "," LIST "," DELETE)

static const struct declaration {
    const char *name, *text, *error; /* NULL: it is taken */
    bool in_place, alternate, overlap, makes;
} declarations[] = {
    {"a value that is set", API(SET), NULL, true, false, false, false},
    {"that can be deleted, too", API(SET "," DELETES), NULL, true, true, false, false},
    {"slots", API(CREATES "," DELETES), NULL, false, true, false, true},
    {"keys in a list", KEYS, NULL, false, false, true, true},
    {"every status", PUT("\"headers\":{\"A\":\"{admin}\"},\"form\":{\"a\":\"{value}\"},\"ok\":[200],\"refused\":[401],"
                         "\"permanent\":[400],\"bad_value\":[422],\"retry\":[503],\"message\":\"/m\",\"match\":{\"/a\":\"b\"}"),
     NULL, true, false, false, false},
    {"nothing", "", "no JSON that is taken", 0, 0, 0, 0},
    {"a list", "[]", "no JSON object", 0, 0, 0, 0},
    {"a member twice", "{" ADMIN "," ADMIN "}", "no JSON that is taken", 0, 0, 0, 0},
    {"an unknown request", "{\"drop\":{}}", "none of admin, test", 0, 0, 0, 0},
    {"an unknown member", PUT("\"verify\":false"), "api: set: a member that it does not have", 0, 0, 0, 0},
    {"a member of another request", PUT("\"items\":\"/a\""), "set: a member that it does not have", 0, 0, 0, 0},
    {"no test", "{" ADMIN "," SET "}", "\"admin\" and \"test\"", 0, 0, 0, 0},
    {"neither set nor create", "{" ADMIN "," TEST "}", "either \"set\"", 0, 0, 0, 0},
    {"both", API(SET "," CREATE "," DELETE), "either \"set\"", 0, 0, 0, 0},
    {"a list of what is set", API(SET "," LIST "," DELETE), "\"list\" goes with", 0, 0, 0, 0},
    {"made and never deleted", API(CREATES), "needs \"delete\"", 0, 0, 0, 0},
    {"made, and no one knows where", API("\"create\":{\"method\":\"POST\",\"path\":\"/k\"," TOKEN "}," DELETES), "needs \"value\"",
     0, 0, 0, 0},
    {"keys without ids", API(CREATES "," LIST "," DELETE), "need \"id\"", 0, 0, 0, 0},
    {"deleted without an id", API(CREATE "," LIST "," DELETES), "delete: with \"list\" it needs {id}", 0, 0, 0, 0},
    {"a list without a tag", API(CREATE ",\"list\":{\"method\":\"GET\",\"path\":\"/k\"," TOKEN ",\"items\":\"/k\",\"id\":\"/i\"}," DELETE),
     "\"tag\" and \"tag_is\"", 0, 0, 0, 0},
    {"a key without the run", API("\"create\":{\"method\":\"POST\",\"path\":\"/k\"," TOKEN ",\"value\":\"/s\",\"id\":\"/i\"}," LIST
                                  "," DELETE), "create: with \"list\" it needs {run}", 0, 0, 0, 0},
    {"a value in a path", API("\"set\":{\"method\":\"PUT\",\"path\":\"/p?v={value}\"}"), "set: its path names a secret", 0, 0, 0, 0},
    {"a token in a path", API("\"set\":{\"method\":\"PUT\",\"path\":\"/{admin}\",\"body\":{\"p\":\"{value}\"}}"),
     "set: its path names a secret", 0, 0, 0, 0},
    {"a test without the value", "{" ADMIN ",\"test\":{\"method\":\"GET\",\"path\":\"/me\"}," SET "}",
     "test: it nowhere uses {value}", 0, 0, 0, 0},
    {"a test with the token", "{" ADMIN ",\"test\":{\"method\":\"GET\",\"path\":\"/\",\"basic\":[\"{admin}\",\"{value}\"]}," SET "}",
     "test: it has no {admin}", 0, 0, 0, 0},
    {"an administrator without the token", "{\"admin\":{\"method\":\"GET\",\"path\":\"/\"}," TEST "," SET "}",
     "admin: it nowhere uses {admin}", 0, 0, 0, 0},
    {"a test that only compares the value", "{" ADMIN ",\"test\":{\"method\":\"GET\",\"path\":\"/me\","
     "\"match\":{\"/v\":\"{value}\"}}," SET "}", "test: it nowhere uses {value}", 0, 0, 0, 0},
    {"a list that only compares the token", API(CREATE ",\"list\":{\"method\":\"GET\",\"path\":\"/k\",\"items\":\"/k\",\"id\":\"/i\","
     "\"tag\":\"/n\",\"tag_is\":\"{run}{admin}\"}," DELETE), "list: it nowhere uses {admin}", 0, 0, 0, 0},
    {"a key that only compares the run", API("\"create\":{\"method\":\"POST\",\"path\":\"/k\"," TOKEN ",\"match\":{\"/n\":\"{run}\"},"
     "\"value\":\"/s\",\"id\":\"/i\"}," LIST "," DELETE), "create: with \"list\" it needs {run}", 0, 0, 0, 0},
    {"a key that is ended by its id in basic", API(CREATE "," LIST ",\"delete\":{\"method\":\"POST\",\"path\":\"/gone\","
     "\"basic\":[\"{id}\",\"{admin}\"]}"), NULL, false, false, true, true},
    {"another method", "{\"admin\":{\"method\":\"TRACE\",\"path\":\"/\"}}", "method: it is none of", 0, 0, 0, 0},
    {"no path", "{\"admin\":{\"method\":\"GET\"}}", "lacks \"method\" or \"path\"", 0, 0, 0, 0},
    {"a whole address", "{\"admin\":{\"method\":\"GET\",\"path\":\"https://evil/\"}}", "does not begin with '/'", 0, 0, 0, 0},
    {"a blank in a path", "{\"admin\":{\"method\":\"GET\",\"path\":\"/a b\"}}", "encoded", 0, 0, 0, 0},
    {"a fragment", "{\"admin\":{\"method\":\"GET\",\"path\":\"/a#b\"}}", "encoded", 0, 0, 0, 0},
    {"a second line in a header", PUT("\"headers\":{\"A\":\"b\\r\\nc: d\"}"), "headers: a control character", 0, 0, 0, 0},
    {"another host", PUT("\"headers\":{\"Host\":\"evil\"}"), "headers: the name of a member", 0, 0, 0, 0},
    {"a length", PUT("\"headers\":{\"content-LENGTH\":\"1\"}"), "headers: the name of a member", 0, 0, 0, 0},
    {"a header's name with a colon", PUT("\"headers\":{\"a:b\":\"1\"}"), "headers: the name of a member", 0, 0, 0, 0},
    {"a header that is a number", PUT("\"headers\":{\"a\":1}"), "headers: it is no text", 0, 0, 0, 0},
    {"half of basic", PUT("\"basic\":[\"{value}\"]"), "basic: it is no list of two", 0, 0, 0, 0},
    {"a body and a form", PUT("\"body\":{},\"form\":{}"), "both a \"body\" and a \"form\"", 0, 0, 0, 0},
    {"a body that is a text", PUT("\"body\":\"{value}\""), "body: it is neither", 0, 0, 0, 0},
    {"an unknown name in a body", PUT("\"body\":{\"a\":[{\"b\":\"{x}\"}]}"), "body: a brace in it", 0, 0, 0, 0},
    {"a redirect for a yes", PUT("\"ok\":[302]"), "ok: it has what is no status, or a redirect", 0, 0, 0, 0},
    {"a status that is none", PUT("\"ok\":[99]"), "ok: it has what is no status", 0, 0, 0, 0},
    {"a pointer that is none", PUT("\"message\":\"a\""), "message: it is no JSON pointer", 0, 0, 0, 0},
    {"a permanent no of a test", "{\"test\":{\"permanent\":[403]}}", "test: a member that it does not have", 0, 0, 0, 0},
};

static void is_taken_or_refused(void **state)
{
    const struct declaration *row = *state;
    struct kt_arena arena;
    struct http_api api;
    struct kt_err err = {0};
    kt_arena_init(&arena, ARENA);
    enum kt_kind kind = kt_http_api_read(row->text, &arena, &api, &err);
    if (row->error == NULL) {
        if (kind != KT_OK)
            fail_msg("%s", err.what);
        assert_int_equal(api.in_place, row->in_place);
        assert_int_equal(api.alternate, row->alternate);
        assert_int_equal(api.overlap, row->overlap);
        assert_int_equal(api.makes, row->makes);
    } else {
        assert_int_equal(kind, KT_INVALID);
        if (strstr(err.what, row->error) == NULL)
            fail_msg("%s", err.what);
    }
    kt_arena_free(&arena);
}

static void a_declaration_without_memory_is_none(void **state)
{
    (void)state;
    enum kt_kind kind = KT_NO_MEMORY;
    for (size_t room = 0; kind == KT_NO_MEMORY; room += 16) {
        struct kt_arena arena;
        struct http_api api;
        assert_in_range(room, 0, 64 * 1024);
        kt_arena_init(&arena, room);
        kind = kt_http_api_read(KEYS, &arena, &api, NULL);
        kt_arena_free(&arena);
    }
    assert_int_equal(kind, KT_OK);
}

/* ---- answers ------------------------------------------------------------------------------------- */

struct scene {
    struct canned *server;
    struct kt_arena arena;
    struct kt_redactor *redactor;
    struct driver_step step;
    struct driver_run run;
    struct driver_result result;
};

static void begin(struct scene *s, const char *api, enum driver_op op)
{
    *s = (struct scene){.server = canned_start(&(struct canned_options){0})};
    const char *port = strrchr(canned_address(s->server), ':') + 1;
    kt_arena_init(&s->arena, ARENA);
    s->step = (struct driver_step){
        .driver = "http",
        .op = op,
        .target = {.host = "127.0.0.1", .port = (uint32_t)strtoul(port, NULL, 10), .sslmode = "disable", .api = api},
        .logins = {[DRIVER_ADMIN] = {"root", kt_str(ADMIN_TOKEN)}, [DRIVER_NEW] = {"app", kt_str(VALUE)}},
        .account = "app",
        .run = "r1",
        .attempt = 2,
        .keep_part = kt_str("K1"),
        .timeout_ms = 60000};
    s->step.ids[DRIVER_NEW] = "K8";
    if (op == DRIVER_APPLY && strstr(api, "\"create\"") != NULL)
        s->step.logins[DRIVER_NEW] = (struct driver_login){.username = NULL};
    if (op == DRIVER_PROBE) {
        s->step.logins[DRIVER_CONTROL] = (struct driver_login){"app", kt_str("wrong-planted")};
        s->step.logins[DRIVER_OLD] = (struct driver_login){"app", kt_str("old-planted")};
    }
    s->redactor = kt_driver_redactor(&s->step);
    assert_non_null(s->redactor);
    s->run = (struct driver_run){
        .step = &s->step, .arena = &s->arena, .redactor = s->redactor, .deadline = kt_ipc_deadline(60000)};
}

/* With its length, unless it is no whole answer. */
static void answer(struct scene *s, const char *text)
{
    char whole[2048];
    const char *body = strstr(text, "\r\n\r\n");
    if (body == NULL || strstr(text, "Content-Length") != NULL) {
        canned_answer(s->server, text);
        return;
    }
    (void)snprintf(whole, sizeof whole, "%.*s\r\nContent-Length: %zu%s", (int)(body - text), text, strlen(body + 4), body);
    canned_answer(s->server, whole);
}

static void go(struct scene *s)
{
    if (kt_http_driver_prepare(&s->run, &s->result))
        kt_http_driver_run(&s->run, &s->result);
}

static void end(struct scene *s)
{
    assert_null(strstr(s->result.text, "planted"));
    for (size_t i = 0; i < canned_requests(s->server); i++) {
        const char *asked = canned_request(s->server, i), *line = strstr(asked, "\r\n");
        const char *at = strstr(asked, "planted");
        assert_non_null(line);
        assert_true(at == NULL || at > line);
    }
    canned_stop(s->server);
    kt_redactor_free(s->redactor);
    kt_arena_free(&s->arena);
}

#define ANSWERS_MAX 6u
#define JSON(status, body) "HTTP/1.1 " status " x\r\nContent-Type: application/json\r\n\r\n" body
#define PAGE(status)       "HTTP/1.1 " status " x\r\nContent-Type: text/html\r\n\r\n<html>"
#define NONE_LISTED        JSON("200", "{\"k\":[{\"i\":\"K1\",\"n\":\"r0\"},{\"i\":\"K9\",\"n\":\"mine\"}]}")

static const struct answer_row {
    const char *name, *api;
    enum driver_op op;
    const char *answers[ANSWERS_MAX];
    enum driver_class class;
    const char *code, *text, *made, *id, *last; /* last: how the last request begins */
    size_t requests;
} answers[] = {
    {"set", API(SET), DRIVER_APPLY, {JSON("204", "")}, DRIVER_OK, "", "status 204", "", "", "PUT /p/app HTTP", 1},
    {"set: the administrator is refused", API(SET), DRIVER_APPLY, {JSON("401", "{}")}, DRIVER_REFUSED, "401", "", "", "", "PUT", 1},
    {"set: no right", API(SET), DRIVER_APPLY, {JSON("403", "{\"message\":\"read only\"}")}, DRIVER_PERMANENT, "403", ": read only",
     "", "", "PUT", 1},
    {"set: not this value", API(SET), DRIVER_APPLY, {JSON("422", "{\"error\":{\"message\":\"too short\"}}")}, DRIVER_BAD_VALUE,
     "422", ": too short", "", "", "PUT", 1},
    {"set: it echoes the value", API(SET), DRIVER_APPLY, {JSON("422", "{\"message\":\"'va\\\"lue-planted' is weak\"}")},
     DRIVER_BAD_VALUE, "422", "'[redacted]' is weak", "", "", "PUT", 1},
    {"set: a status that nobody declared", API(SET), DRIVER_APPLY, {JSON("418", "{}")}, DRIVER_UNREACH, "418", "says nothing", "",
     "", "PUT", 1},
    {"set: broken", API(SET), DRIVER_APPLY, {JSON("500", "")}, DRIVER_UNREACH, "500", "says nothing", "", "", "PUT", 1},
    {"set: a page that says yes", API(SET), DRIVER_APPLY, {PAGE("200")}, DRIVER_UNREACH, "200", "an HTML page", "", "", "PUT", 1},
    {"set: a page that says no", API(SET), DRIVER_APPLY, {PAGE("403")}, DRIVER_UNREACH, "403", "an HTML page", "", "", "PUT", 1},
    {"set: elsewhere", API(SET), DRIVER_APPLY,
     {"HTTP/1.1 307 x\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"}, DRIVER_UNREACH, "307",
     "redirect, which is not followed", "", "", "PUT", 1},
    {"set: cut off", API(SET), DRIVER_APPLY, {CANNED_CLOSE}, DRIVER_UNREACH, "connect", "\"set\": ", "", "", "PUT", 1},
    {"set: no HTTP", API(SET), DRIVER_APPLY, {"SSH-2.0-x\r\n"}, DRIVER_UNREACH, "connect", "\"set\": ", "", "", "PUT", 1},
    {"restore sets", API(SET), DRIVER_RESTORE, {JSON("200", "{}")}, DRIVER_OK, "", "", "", "", "PUT /p/app HTTP", 1},
    {"wait, then yes", API(SET), DRIVER_APPLY,
     {"HTTP/1.1 429 x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", JSON("200", "{}")}, DRIVER_OK, "", "",
     "", "", "PUT", 2},
    {"a long wait is the engine's", API(SET), DRIVER_APPLY,
     {"HTTP/1.1 503 x\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n", JSON("200", "{}")}, DRIVER_UNREACH,
     "503", "status 503", "", "", "PUT", 1},
    {"made in a slot", API(CREATES "," DELETES), DRIVER_APPLY, {JSON("201", "{\"s\":\"made-1\"}")}, DRIVER_OK, "", "made a new key",
     "made-1", "", "POST /k HTTP", 1},
    {"made in a list", KEYS, DRIVER_APPLY, {NONE_LISTED, JSON("201", "{\"s\":\"made-1\",\"i\":7}")}, DRIVER_OK, "", "made a new key",
     "made-1", "7", "POST /k HTTP", 2},
    {"an orphan is deleted first", KEYS, DRIVER_APPLY,
     {JSON("200", "{\"k\":[{\"i\":\"K2\",\"n\":\"r1\"},{\"i\":\"K1\",\"n\":\"r1\"}]}"), JSON("204", ""),
      JSON("201", "{\"s\":\"made-1\",\"i\":\"K3\"}")}, DRIVER_OK, "", "", "made-1", "K3", "POST /k HTTP", 3},
    {"the stored one is no orphan", KEYS, DRIVER_APPLY,
     {JSON("200", "{\"k\":[{\"i\":\"K8\",\"n\":\"r1\"},{\"i\":\"K2\",\"n\":\"r1\"}]}"), JSON("204", ""),
      JSON("201", "{\"s\":\"made-1\",\"i\":\"K9\"}")}, DRIVER_OK, "", "", "made-1", "K9", "POST /k HTTP", 3},
    {"nor is there anything else to delete", KEYS, DRIVER_APPLY,
     {JSON("200", "{\"k\":[{\"i\":\"K8\",\"n\":\"r1\"}]}"), JSON("201", "{\"s\":\"made-1\",\"i\":\"K9\"}")}, DRIVER_OK, "", "",
     "made-1", "K9", "POST /k HTTP", 2},
    {"it is one where something is ended", KEYS, DRIVER_REVOKE,
     {JSON("204", ""), JSON("200", "{\"k\":[{\"i\":\"K1\",\"n\":\"r1\"},{\"i\":\"K8\",\"n\":\"r1\"}]}"), JSON("204", "")}, DRIVER_OK,
     "", "", "", "", "DELETE /k/K8 HTTP", 3},
    {"what is made is the old one", KEYS, DRIVER_APPLY, {NONE_LISTED, JSON("201", "{\"s\":\"planted-made\",\"i\":\"K1\"}")},
     DRIVER_PERMANENT, "answer", "was there before", "", "", "POST", 2},
    {"what is made is somebody's", KEYS, DRIVER_APPLY, {NONE_LISTED, JSON("201", "{\"s\":\"planted-made\",\"i\":\"K9\"}")},
     DRIVER_PERMANENT, "answer", "was there before", "", "", "POST", 2},
    {"what is made is the stored one", KEYS, DRIVER_APPLY, {NONE_LISTED, JSON("201", "{\"s\":\"planted-made\",\"i\":\"K8\"}")},
     DRIVER_PERMANENT, "answer", "was there before", "", "", "POST", 2},
    {"the id of one that was deleted is free", KEYS, DRIVER_APPLY,
     {JSON("200", "{\"k\":[{\"i\":\"K2\",\"n\":\"r1\"}]}"), JSON("204", ""), JSON("201", "{\"s\":\"made-1\",\"i\":\"K2\"}")}, DRIVER_OK,
     "", "", "made-1", "K2", "POST", 3},
    {"an orphan cannot be deleted", KEYS, DRIVER_APPLY,
     {JSON("200", "{\"k\":[{\"i\":\"K2\",\"n\":\"r1\"}]}"), JSON("500", "")}, DRIVER_UNREACH, "500", "\"delete\"", "", "",
     "DELETE /k/K2 HTTP", 2},
    {"a list that goes on", KEYS, DRIVER_APPLY, {JSON("200", "{\"k\":[],\"more\":true}")}, DRIVER_PERMANENT, "answer",
     "another page", "", "", "GET /k HTTP", 1},
    {"a list that is none", KEYS, DRIVER_APPLY, {JSON("200", "{\"k\":{}}")}, DRIVER_UNREACH, "answer", "no list", "", "", "GET", 1},
    {"a key without an id", KEYS, DRIVER_APPLY, {JSON("200", "{\"k\":[{\"n\":\"r1\"}]}")}, DRIVER_PERMANENT, "answer", "no id", "", "",
     "GET", 1},
    {"half an answer", KEYS, DRIVER_APPLY, {NONE_LISTED, JSON("201", "{\"s\":\"planted-made")}, DRIVER_UNREACH, "answer",
     "only half of it", "", "", "POST", 2},
    {"no value in it", KEYS, DRIVER_APPLY, {NONE_LISTED, JSON("201", "{\"secret\":\"planted-made\",\"i\":1}")}, DRIVER_PERMANENT,
     "answer", "has no value", "", "", "POST", 2},
    {"no id in it", KEYS, DRIVER_APPLY, {NONE_LISTED, JSON("201", "{\"s\":\"planted-made\"}")}, DRIVER_PERMANENT, "answer",
     "or no id", "", "", "POST", 2},
    {"a value with a blank", KEYS, DRIVER_APPLY, {NONE_LISTED, JSON("201", "{\"s\":\"planted made\",\"i\":1}")}, DRIVER_PERMANENT,
     "answer", "printable", "", "", "POST", 2},
    {"what was made is not set", KEYS, DRIVER_RESTORE, {JSON("200", "{}")}, DRIVER_PERMANENT, "step", "makes its values itself", "",
     "", "", 0},
    {"ended: it was gone already", API(SET "," DELETES), DRIVER_REVOKE, {JSON("404", "{}")}, DRIVER_OK, "", "", "", "",
     "DELETE /s/app HTTP", 1},
    {"ended: nothing says how", API(SET), DRIVER_REVOKE, {JSON("200", "{}")}, DRIVER_PERMANENT, "step", "no \"delete\"", "", "", "",
     0},
    {"ended: one key, and orphans of the run", KEYS, DRIVER_REVOKE,
     {JSON("204", ""), JSON("200", "{\"k\":[{\"i\":\"K1\",\"n\":\"r1\"},{\"i\":\"K5\",\"n\":\"r1\"},{\"i\":\"K6\",\"n\":\"x\"}]}"),
      JSON("204", "")}, DRIVER_OK, "", "the key is deleted", "", "", "DELETE /k/K5 HTTP", 3},
    {"looked at", KEYS, DRIVER_INSPECT, {JSON("200", "{}"), NONE_LISTED}, DRIVER_OK, "", "has 2 keys", "", "", "GET /k HTTP", 2},
    {"an account is not made", KEYS, DRIVER_CREATE, {JSON("200", "{}")}, DRIVER_PERMANENT, "step", "by hand", "", "", "", 0},
    {"verified", KEYS, DRIVER_VERIFY, {JSON("200", "{}")}, DRIVER_OK, "", "", "", "", "GET /me HTTP", 1},
    {"verified: refused", KEYS, DRIVER_VERIFY, {JSON("401", "{}")}, DRIVER_REFUSED, "login", "", "", "", "GET /me HTTP", 1},
    {"verified: no right", KEYS, DRIVER_VERIFY, {JSON("403", "{}")}, DRIVER_UNREACH, "403", "says nothing", "", "", "GET /me HTTP",
     1},
};

static void is_judged(void **state)
{
    const struct answer_row *row = *state;
    struct scene s;
    begin(&s, row->api, row->op);
    if (row->op == DRIVER_REVOKE)
        s.step.public_part = kt_str("K4");
    for (size_t i = 0; i < ANSWERS_MAX && row->answers[i] != NULL; i++)
        answer(&s, row->answers[i]);
    go(&s);
    if (s.result.class != row->class || strcmp(s.result.code, row->code) != 0 || strstr(s.result.text, row->text) == NULL)
        fail_msg("%s, %s: %s", kt_driver_class_text(s.result.class), s.result.code, s.result.text);
    assert_int_equal(canned_requests(s.server), row->requests);
    assert_true(kt_bytes_is(s.result.made, row->made) && kt_bytes_is(s.result.made_id, row->id));
    if (row->requests > 0 && strncmp(canned_request(s.server, row->requests - 1), row->last, strlen(row->last)) != 0)
        fail_msg("%s", canned_request(s.server, row->requests - 1));
    end(&s);
}

static void the_key_that_stays_is_not_ended(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, KEYS, DRIVER_REVOKE);
    s.step.public_part = kt_str("K1");
    answer(&s, JSON("204", ""));
    answer(&s, NONE_LISTED);
    go(&s);
    assert_int_equal(s.result.class, DRIVER_PERMANENT);
    assert_non_null(strstr(s.result.text, "is the one that stays"));
    assert_int_equal(canned_requests(s.server), 0);
    end(&s);
}

/* The declaration was changed under a run: nothing is sent, and no account gets an empty password. */
static void a_run_of_the_other_kind_changes_nothing(void **state)
{
    static const struct {
        const char *api;
        enum driver_op op;
        const char *value, *text;
    } rows[] = {
        {API(SET), DRIVER_APPLY, NULL, "there is no value to set"},
        {API(SET), DRIVER_APPLY, "", "there is no value to set"},
        {API(SET "," DELETES), DRIVER_RESTORE, NULL, "there is no value to set"},
        {KEYS, DRIVER_APPLY, VALUE, "the declaration says that the API makes it"},
        {API(CREATES "," DELETES), DRIVER_APPLY, VALUE, "the declaration says that the API makes it"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene s;
        begin(&s, rows[i].api, rows[i].op);
        s.step.logins[DRIVER_NEW] = rows[i].value == NULL ? (struct driver_login){.username = NULL}
                                                          : (struct driver_login){"app", kt_str(rows[i].value)};
        answer(&s, JSON("200", "{}"));
        go(&s);
        assert_int_equal(s.result.class, DRIVER_PERMANENT);
        assert_string_equal(s.result.code, "step");
        if (strstr(s.result.text, rows[i].text) == NULL)
            fail_msg("row %zu: %s", i, s.result.text);
        assert_int_equal(canned_requests(s.server), 0);
        end(&s);
    }
}

static void requests_are_as_declared(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, API(SET), DRIVER_APPLY);
    answer(&s, JSON("204", ""));
    go(&s);
    const char *asked = canned_request(s.server, 0);
    assert_non_null(strstr(asked, "X-Admin: " ADMIN_TOKEN "\r\n"));
    assert_non_null(strstr(asked, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(asked, "\r\n\r\n{\"p\":\"va\\\"lue-planted\"}"));
    end(&s);
    begin(&s, API("\"set\":{\"method\":\"POST\",\"path\":\"/p\",\"form\":{\"new value\":\"{value}\",\"run\":\"{run}-{attempt}\"}}"),
          DRIVER_APPLY);
    answer(&s, JSON("200", "{}"));
    go(&s);
    asked = canned_request(s.server, 0);
    assert_non_null(strstr(asked, "Content-Type: application/x-www-form-urlencoded\r\n"));
    assert_non_null(strstr(asked, "\r\n\r\nnew%20value=va%22lue-planted&run=r1-2"));
    end(&s);
    begin(&s, KEYS, DRIVER_VERIFY);
    answer(&s, JSON("200", "{}"));
    go(&s);
    assert_non_null(strstr(canned_request(s.server, 0), "Authorization: Basic YXBwOnZhImx1ZS1wbGFudGVk\r\n"));
    end(&s);
}

/* ---- probes -------------------------------------------------------------------------------------- */

static const struct probe_row {
    const char *name;
    const char *answers[ANSWERS_MAX];
    enum driver_class class;
    enum driver_answer admin, control, new_, old;
} probes[] = {
    {"all as it should be", {JSON("200", "{\"t\":\"eu-1\"}"), JSON("401", "{}"), JSON("200", "{}"), JSON("401", "{}")}, DRIVER_OK,
     ANSWER_ACCEPTED, ANSWER_REFUSED, ANSWER_ACCEPTED, ANSWER_REFUSED},
    {"the administrator is refused", {JSON("401", "{}")}, DRIVER_REFUSED, ANSWER_REFUSED, ANSWER_UNKNOWN, ANSWER_UNKNOWN,
     ANSWER_UNKNOWN},
    {"the administrator may not", {JSON("403", "{}")}, DRIVER_REFUSED, ANSWER_UNKNOWN, ANSWER_UNKNOWN, ANSWER_UNKNOWN,
     ANSWER_UNKNOWN},
    {"another tenant", {JSON("200", "{\"t\":\"eu-2\"}")}, DRIVER_WRONG_SERVER, ANSWER_ACCEPTED, ANSWER_UNKNOWN, ANSWER_UNKNOWN,
     ANSWER_UNKNOWN},
    {"no tenant", {JSON("200", "{}")}, DRIVER_UNREACH, ANSWER_UNKNOWN, ANSWER_UNKNOWN, ANSWER_UNKNOWN, ANSWER_UNKNOWN},
    {"a page", {PAGE("200")}, DRIVER_UNREACH, ANSWER_UNKNOWN, ANSWER_UNKNOWN, ANSWER_UNKNOWN, ANSWER_UNKNOWN},
    {"anything goes", {JSON("200", "{\"t\":\"eu-1\"}"), JSON("200", "{}")}, DRIVER_OK, ANSWER_ACCEPTED, ANSWER_ACCEPTED,
     ANSWER_UNKNOWN, ANSWER_UNKNOWN},
    {"no word on a wrong one", {JSON("200", "{\"t\":\"eu-1\"}"), PAGE("401")}, DRIVER_UNREACH, ANSWER_ACCEPTED, ANSWER_UNKNOWN,
     ANSWER_UNKNOWN, ANSWER_UNKNOWN},
    {"no word on the new one", {JSON("200", "{\"t\":\"eu-1\"}"), JSON("401", "{}"), JSON("403", "{}"), JSON("200", "{}")}, DRIVER_OK,
     ANSWER_ACCEPTED, ANSWER_REFUSED, ANSWER_UNKNOWN, ANSWER_ACCEPTED},
};

static void is_probed(void **state)
{
    const struct probe_row *row = *state;
    struct scene s;
    begin(&s, "{\"admin\":{\"method\":\"GET\",\"path\":\"/admin\"," TOKEN ",\"server_id\":\"/t\"}," TEST "," SET "}", DRIVER_PROBE);
    s.step.target.server_id = "eu-1";
    for (size_t i = 0; i < ANSWERS_MAX && row->answers[i] != NULL; i++)
        answer(&s, row->answers[i]);
    go(&s);
    if (s.result.class != row->class)
        fail_msg("%s: %s", kt_driver_class_text(s.result.class), s.result.text);
    assert_int_equal(s.result.replies[DRIVER_ADMIN].answer, row->admin);
    assert_int_equal(s.result.replies[DRIVER_CONTROL].answer, row->control);
    assert_int_equal(s.result.replies[DRIVER_NEW].answer, row->new_);
    assert_int_equal(s.result.replies[DRIVER_OLD].answer, row->old);
    end(&s);
}

static void an_answer_of_another_account_says_nothing(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, "{" ADMIN ",\"test\":{\"method\":\"GET\",\"path\":\"/me\",\"basic\":[\"{account}\",\"{value}\"],"
              "\"match\":{\"/who\":\"{account}\"}}," SET "}", DRIVER_VERIFY);
    answer(&s, JSON("200", "{\"who\":\"other\"}"));
    go(&s);
    assert_int_equal(s.result.class, DRIVER_UNREACH);
    assert_non_null(strstr(s.result.text, "\"match\""));
    end(&s);
}

static void without_memory_nothing_is_believed(void **state)
{
    (void)state;
    enum driver_class class = DRIVER_UNREACH;
    for (size_t room = 0; class == DRIVER_UNREACH; room += 2048) {
        struct scene s;
        assert_in_range(room, 0, 128 * 1024);
        begin(&s, KEYS, DRIVER_APPLY);
        kt_arena_free(&s.arena);
        kt_arena_init(&s.arena, room);
        answer(&s, NONE_LISTED);
        answer(&s, JSON("201", "{\"s\":\"made-1\",\"i\":\"K3\"}"));
        go(&s);
        class = s.result.class;
        assert_int_equal(s.result.made.len > 0, class == DRIVER_OK);
        end(&s);
    }
    assert_int_equal(class, DRIVER_OK);
}

static void an_address_that_cannot_be_reached(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, API(SET), DRIVER_APPLY);
    s.step.target.port = 1;
    go(&s);
    assert_int_equal(s.result.class, DRIVER_UNREACH);
    assert_non_null(strstr(s.result.text, "cannot connect"));
    s.step.target.api = "{}";
    go(&s);
    assert_int_equal(s.result.class, DRIVER_PERMANENT);
    assert_string_equal(s.result.code, "api");
    end(&s);
}

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* What a test gets of cmocka is not const; the rows stay as they are. */
static void *state_of(const void *row)
{
    void *state;
    memcpy(&state, &row, sizeof state);
    return state;
}

int main(void)
{
    static struct CMUnitTest tests[COUNT(declarations) + COUNT(answers) + COUNT(probes) + 10];
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(templates_are_checked),
        cmocka_unit_test(what_is_filled_in_stays_what_it_is),
        cmocka_unit_test(pointers_point),
        cmocka_unit_test(a_declaration_without_memory_is_none),
        cmocka_unit_test(requests_are_as_declared),
        cmocka_unit_test(the_key_that_stays_is_not_ended),
        cmocka_unit_test(a_run_of_the_other_kind_changes_nothing),
        cmocka_unit_test(an_answer_of_another_account_says_nothing),
        cmocka_unit_test(without_memory_nothing_is_believed),
        cmocka_unit_test(an_address_that_cannot_be_reached),
    };
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    size_t n = COUNT(alone);
    memcpy(tests, alone, sizeof alone);
    for (size_t i = 0; i < COUNT(declarations); i++)
        tests[n++] = (struct CMUnitTest){declarations[i].name, is_taken_or_refused, NULL, NULL, state_of(&declarations[i])};
    for (size_t i = 0; i < COUNT(answers); i++)
        tests[n++] = (struct CMUnitTest){answers[i].name, is_judged, NULL, NULL, state_of(&answers[i])};
    for (size_t i = 0; i < COUNT(probes); i++)
        tests[n++] = (struct CMUnitTest){probes[i].name, is_probed, NULL, NULL, state_of(&probes[i])};
    assert_int_equal(n, COUNT(tests));
    return cmocka_run_group_tests_name("driver_http", tests, NULL, NULL);
}
