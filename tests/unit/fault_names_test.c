/* A vault's lists: all of it, or an error, or the word that there may be more. */
#include "cli/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/walk.h"
#include "lib/secret.h"
#include "tests/support/canned_server.h"
#include "tests/support/fault.h"
#include "tests/support/rows.h"

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])
#define LIST(keys, more) "{\"request_id\":\"7\",\"data\":{\"keys\":[" keys "]}" more "}"
#define CUT      ",\"warnings\":[\"only 2 of them\\nare listed\"]"
#define NO_MORE  "{\"errors\":[]}"
#define PAGES    4u

static const struct row {
    const char *name;
    struct {
        unsigned status;
        const char *json;
    } pages[PAGES];
    bool folder;
    enum kt_kind kind;
    const char *all; /* the names, each with a blank */
    size_t bad, asked;
    enum kt_kind rest;
} rows[] = {
    {"a whole list", {{200, LIST("\"a\",\"b/\"", "")}}, true, KT_OK, "a b/ ", 0, 1, KT_OK},
    {"an empty list", {{404, NO_MORE}}, true, KT_OK, "", 0, 1, KT_OK},
    {"nobody there", {{404, "{\"errors\":[\"no handler\"]}"}}, true, KT_NOT_FOUND, "", 0, 1, KT_OK},
    {"may not", {{403, "{\"errors\":[\"permission denied\"]}"}}, true, KT_DENIED, "", 0, 1, KT_OK},
    {"escapes", {{200, LIST("\"\\u00e4 \\\"b\"", "")}}, true, KT_OK, "ä \"b ", 0, 1, KT_OK},
    {"no names", {{200, LIST("\"\",\"..\",\".\",\"../\",\"/\",\"a/b\",7,\"good\"", "")}}, true, KT_OK,
     "good ", 7, 1, KT_OK},
    {"names of several parts", {{200, LIST("\"a/b\",\"a/../b\",\"a//b\",\"./c\"", "")}}, false, KT_OK, "a/b ", 3, 1, KT_OK},
    {"a warning, and nothing behind it", {{200, LIST("\"a\",\"b\"", CUT)}, {404, NO_MORE}}, false, KT_OK, "a b ", 0, 2, KT_OK},
    {"three pages", {{200, LIST("\"a\",\"b\"", CUT)}, {200, LIST("\"c\",\"d\"", CUT)}, {200, LIST("\"e\"", "")}},
     false, KT_OK, "a b c d e ", 0, 3, KT_OK},
    {"a vault that does not know pages", {{200, LIST("\"a\",\"b\"", CUT)}, {200, LIST("\"a\",\"b\"", CUT)}}, false,
     KT_OK, "a b ", 0, 2, KT_TOO_LARGE},
    {"it stops to know them", {{200, LIST("\"a\",\"b\"", CUT)}, {200, LIST("\"c\"", CUT)}, {200, LIST("\"a\"", CUT)}}, false,
     KT_OK, "a b c ", 0, 3, KT_TOO_LARGE},
    {"a page that may not be seen", {{200, LIST("\"a\"", CUT)}, {403, "{\"errors\":[\"permission denied\"]}"}}, false,
     KT_DENIED, "", 0, 2, KT_OK},
};

static struct canned *serve(const struct row *row)
{
    struct canned *server = canned_start(&(struct canned_options){0});
    for (size_t i = 0; i < PAGES && row->pages[i].json != NULL; i++)
        canned_json(server, row->pages[i].status, row->pages[i].json);
    return server;
}

static struct kt_api *open_api(struct canned *server)
{
    struct kt_err err = {0};
    struct kt_api *api = NULL;
    assert_int_equal(kt_api_open(&(struct kt_api_options){.address = canned_address(server)}, &api, &err), KT_OK);
    return api;
}

static void assert_names(const struct names *names, const char *all)
{
    char joined[256] = "";
    size_t len = 0;
    for (size_t i = 0; i < names->count; i++)
        len += (size_t)snprintf(joined + len, sizeof joined - len, "%s ", names->at[i]);
    assert_string_equal(joined, all);
}

static void reads(void **state)
{
    const struct row *row = *state;
    struct kt_err err = {0};
    struct names names = {0};
    struct canned *server = serve(row);
    struct kt_api *api = open_api(server);
    const struct names_ask ask = {.path = "secret/metadata/", .folder = row->folder};
    assert_int_equal(names_read(api, &ask, &names, &err), row->kind);
    assert_names(&names, row->all);
    assert_int_equal(names.bad, row->bad);
    assert_int_equal(names.rest.kind, row->rest);
    if (row->rest != KT_OK)
        assert_string_equal(names.rest.what, "its list may not be whole: only 2 of them are listed");
    assert_int_equal(canned_requests(server), row->asked);
    names_free(&names);
    kt_api_close(api);
    canned_stop(server);
}

static void asks_behind_the_last_name(void **state)
{
    static const struct row row = {.pages = {{200, LIST("\"a\",\"b c/&\"", CUT)}, {404, NO_MORE}}};
    struct kt_err err = {0};
    struct names names = {0};
    struct canned *server = serve(&row);
    struct kt_api *api = open_api(server);
    (void)state;
    assert_int_equal(names_read(api, &(struct names_ask){.path = "x"}, &names, &err), KT_OK);
    assert_non_null(strstr(canned_request(server, 1), " /v1/x?after=b%20c%2F%26 "));
    names_free(&names);
    kt_api_close(api);
    canned_stop(server);
}

static char *json_of(size_t count, const char *name, const char *more)
{
    struct kt_buf json = {0};
    kt_buf_init(&json, (size_t)64 * 1024 * 1024);
    kt_buf_add_text(&json, "{\"request_id\":\"7\",\"data\":{\"keys\":[");
    for (size_t i = 0; i < count; i++)
        kt_buf_printf(&json, "%s\"%s\"", i > 0 ? "," : "", name);
    kt_buf_printf(&json, "]}%s}", more);
    char *text = strdup(kt_buf_text(&json));
    kt_buf_free(&json);
    assert_non_null(text);
    return text;
}

/* A vault that has one more each time it is asked: memory ends before it does. */
static void pages_without_end(void **state)
{
    static const struct {
        size_t first, then;
        enum kt_kind kind;
        size_t asked;
    } cases[] = {{1, WALK_MOST - 1, KT_OK, 2}, {1, WALK_MOST, KT_TOO_LARGE, 2}, {WALK_MOST + 1, 1, KT_TOO_LARGE, 1}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct kt_err err = {0};
        struct names names = {0};
        char *first = json_of(cases[i].first, "a", CUT), *then = json_of(cases[i].then, "b", "");
        const struct row row = {.pages = {{200, first}, {200, then}}};
        struct canned *server = serve(&row);
        struct kt_api *api = open_api(server);
        assert_int_equal(names_read(api, &(struct names_ask){.path = "x"}, &names, &err), cases[i].kind);
        assert_int_equal(names.count, cases[i].kind == KT_OK ? WALK_MOST : 0);
        assert_int_equal(canned_requests(server), cases[i].asked);
        names_free(&names);
        kt_api_close(api);
        canned_stop(server);
        free(first);
        free(then);
    }
}

/* The same with few names, which are long: each page has one, and a short one behind it. */
static void pages_without_end_of_long_names(void **state)
{
    static const size_t each = NAMES_BYTES / 2 - 1024;
    struct kt_err err = {0};
    struct names names = {0};
    struct canned *server = canned_start(&(struct canned_options){0});
    char *name = malloc(each + 8);
    (void)state;
    assert_non_null(name);
    for (char c = 'a'; c <= 'e'; c = (char)(c + 2)) {
        memset(name, c, each);
        (void)snprintf(name + each, 8, "\",\"%c", c + 1);
        char *page = json_of(1, name, CUT);
        canned_json(server, 200, page);
        free(page);
    }
    free(name);
    struct kt_api *api = open_api(server);
    assert_int_equal(names_read(api, &(struct names_ask){.path = "x"}, &names, &err), KT_TOO_LARGE);
    assert_int_equal(names.count, 0);
    assert_int_equal(canned_requests(server), 3);
    names_free(&names);
    kt_api_close(api);
    canned_stop(server);
}

/* Each allocation fails once: an error, or nothing is missing. */
static void when_memory_is_out(void **state)
{
    static const struct row row = {
        .pages = {{200, LIST("\"first\",\"second\"", CUT)}, {200, LIST("\"third\"", "")}}};
    bool untouched = false;
    (void)state;
    for (unsigned long nth = 1; !untouched; nth++) {
        struct kt_err err = {0};
        struct names names = {0};
        struct canned *server = serve(&row);
        struct kt_api *api = open_api(server);
        fault_set(&(struct fault){.kind = FAULT_ALLOC, .how = FAULT_ERROR, .nth = nth});
        enum kt_kind kind = names_read(api, &(struct names_ask){.path = "x"}, &names, &err);
        untouched = fault_clear() < nth;
        if (kind == KT_OK)
            assert_true(names.rest.kind != KT_OK || names.count == 3);
        else
            assert_int_equal(names.count, 0);
        assert_true(!untouched || kind == KT_OK);
        names_free(&names);
        kt_api_close(api);
        canned_stop(server);
    }
}

int main(void)
{
    const struct CMUnitTest fixed[] = {
        cmocka_unit_test(asks_behind_the_last_name),
        cmocka_unit_test(pages_without_end),
        cmocka_unit_test(pages_without_end_of_long_names),
        cmocka_unit_test(when_memory_is_out),
    };
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    struct CMUnitTest tests[COUNT(fixed) + COUNT(rows)];
    memcpy(tests, fixed, sizeof fixed);
    (void)add_rows(tests, COUNT(fixed), rows, COUNT(rows), sizeof rows[0], reads);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
