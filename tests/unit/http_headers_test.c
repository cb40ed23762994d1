/* The rules for header lines, one row a case. */
#include "vaultd/http/headers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LINES_MAX 6

struct row {
    const char *name;
    const char *lines[LINES_MAX]; /* "Name: value"; the name ends at the first ':' */
    const char *refusal;          /* a part of it; NULL: fine */
    bool framing;
    const char *token; /* NULL: "" */
};

/* clang-format off */
static const struct row rows[] = {
    {"plain request", {"Host: a", "Accept: */*"}, NULL, false, NULL},
    {"token", {"Host: a", "X-Vault-Token: s.abc"}, NULL, false, "s.abc"},
    {"token, other case", {"host: a", "x-vault-token: s.abc"}, NULL, false, "s.abc"},
    {"bearer", {"Host: a", "Authorization: Bearer s.abc"}, NULL, false, "s.abc"},
    {"bearer, trimmed", {"Host: a", "Authorization: Bearer  s.abc \t"}, NULL, false, "s.abc"},
    {"bearer in lower case is another scheme", {"Host: a", "Authorization: bearer s.abc"}, NULL, false, NULL},
    {"basic is ignored", {"Host: a", "Authorization: Basic eDp5"}, NULL, false, NULL},
    {"token beside bearer wins", {"Host: a", "Authorization: Bearer b", "X-Vault-Token: a"}, NULL, false, "a"},
    {"empty token gives way to bearer", {"Host: a", "Authorization: Bearer b", "X-Vault-Token: "}, NULL, false, "b"},
    {"same token twice", {"Host: a", "X-Vault-Token: a", "X-Vault-Token: a"}, NULL, false, "a"},
    {"two tokens", {"Host: a", "X-Vault-Token: a", "X-Vault-Token: b"}, "two different X-Vault-Token", false, "a"},
    {"two bearers", {"Host: a", "Authorization: Bearer a", "Authorization: Bearer b"}, "two different values", false, "a"},
    {"two namespaces", {"Host: a", "X-Vault-Namespace: a", "X-Vault-Namespace: b"}, "two different values", false, NULL},
    {"two wrap ttls", {"Host: a", "X-Vault-Wrap-TTL: 5", "X-Vault-Wrap-TTL: 6"}, "two different values", false, NULL},
    {"two hosts", {"Host: a", "Host: a"}, "may appear once", true, NULL},
    {"length", {"Host: a", "Content-Length: 5"}, NULL, false, NULL},
    {"length twice, the same", {"Host: a", "Content-Length: 5", "Content-Length: 5"}, "may appear once", true, NULL},
    {"length twice, different", {"Host: a", "Content-Length: 5", "Content-Length: 6"}, "may appear once", true, NULL},
    {"length not a number", {"Host: a", "Content-Length: +5"}, "not a number", true, NULL},
    {"length and chunked", {"Host: a", "Content-Length: 5", "Transfer-Encoding: chunked"}, "exclude each other", true, NULL},
    {"chunked", {"Host: a", "Transfer-Encoding: Chunked"}, NULL, false, NULL},
    {"gzip, chunked", {"Host: a", "Transfer-Encoding: gzip, chunked"}, "must be chunked", true, NULL},
    {"xchunked", {"Host: a", "Transfer-Encoding: xchunked"}, "must be chunked", true, NULL},
    {"chunked twice", {"Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"}, "may appear once", true, NULL},
    {"name with a space", {"Host : a"}, "malformed", true, NULL},
    {"name with a control character", {"X\x01: a"}, "malformed", true, NULL},
    {"name with a high byte", {"X\xc3\xa9: a"}, "malformed", true, NULL},
    {"empty name", {": a"}, "malformed", true, NULL},
    {"folded line glued to a name", {"Host: a", "Content-Length7: 5"}, "folded", true, NULL},
    {"folded line glued with a dash", {"Host: a", "Transfer-Encoding-x: chunked"}, "folded", true, NULL},
    {"folded token is no token", {"Host: a", "X-Vault-Tokenb: a"}, NULL, false, NULL},
};
/* clang-format on */

static void judges(void **state)
{
    const struct row *row = *state;
    struct headers headers;
    headers_begin(&headers);
    for (size_t i = 0; i < LINES_MAX && row->lines[i] != NULL; i++) {
        const char *colon = strchr(row->lines[i], ':');
        assert_non_null(colon);
        headers_add(&headers, kt_bytes(row->lines[i], (size_t)(colon - row->lines[i])),
                    kt_str(colon + 1 + (colon[1] == ' ' ? 1 : 0)));
    }
    headers_end(&headers);
    bool refused = headers.refusal != NULL;
    if (refused != (row->refusal != NULL) ||
        (refused && strstr(headers.refusal, row->refusal) == NULL))
        fail_msg("expected '%s', got '%s'", row->refusal == NULL ? "(fine)" : row->refusal,
                 refused ? headers.refusal : "(fine)");
    assert_int_equal(headers.framing, row->framing);
    struct kt_bytes token = headers_token(&headers);
    struct kt_bytes wanted = kt_str(row->token);
    assert_true(kt_bytes_equal(token, wanted));
}

/* Each line in its order; what is beyond the bound is counted. */
static void forwarded_lines(void **state)
{
    (void)state;
    struct headers headers;
    headers_begin(&headers);
    for (unsigned i = 0; i < FORWARDED_LINES + 2; i++) {
        headers_add(&headers, kt_str("X-Vault-Token"), kt_str("t"));
        headers_add(&headers, kt_str(i % 2 == 0 ? "X-Forwarded-For" : "x-forwarded-for"), kt_bytes(&"0123456789"[i], 1));
    }
    headers_end(&headers);
    assert_null(headers.refusal);
    assert_int_equal(headers.n_forwarded, FORWARDED_LINES + 2);
    for (unsigned i = 0; i < FORWARDED_LINES; i++)
        assert_int_equal(headers.forwarded[i].at[0], '0' + (int)i);
}

static void bounds_lines(void **state)
{
    (void)state;
    for (unsigned n = HEADERS_MAX; n <= HEADERS_MAX + 1; n++) {
        struct headers headers;
        headers_begin(&headers);
        for (unsigned i = 0; i < n; i++)
            headers_add(&headers, kt_str("X-Other"), kt_str("1"));
        headers_end(&headers);
        assert_int_equal(headers.refusal != NULL, n > HEADERS_MAX);
        assert_int_equal(headers.status, n > HEADERS_MAX ? 431 : 400);
    }
}

static void bounds_token(void **state)
{
    (void)state;
    char *text = malloc(HEADERS_TOKEN_MAX + 1);
    assert_non_null(text);
    memset(text, 'a', HEADERS_TOKEN_MAX + 1);
    for (size_t n = HEADERS_TOKEN_MAX; n <= HEADERS_TOKEN_MAX + 1; n++) {
        struct headers headers;
        headers_begin(&headers);
        headers_add(&headers, kt_str("X-Vault-Token"), kt_bytes(text, n));
        headers_end(&headers);
        assert_int_equal(headers.refusal != NULL, n > HEADERS_TOKEN_MAX);
    }
    free(text);
}

static void knows_the_length(void **state)
{
    (void)state;
    struct headers headers;
    headers_begin(&headers);
    headers_add(&headers, kt_str("content-length"), kt_str("18446744073709551615"));
    headers_end(&headers);
    assert_null(headers.refusal);
    assert_true(headers.content_length == UINT64_MAX);
    assert_false(headers.chunked);
}

int main(void)
{
    struct CMUnitTest tests[sizeof rows / sizeof rows[0] + 4];
    size_t n = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        tests[n++] = (struct CMUnitTest){.name = rows[i].name,
                                         .test_func = judges,
                                         .initial_state = (void *)(uintptr_t)&rows[i]};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(forwarded_lines);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(bounds_lines);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(bounds_token);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(knows_the_length);
    return cmocka_run_group_tests_name("http_headers", tests, NULL, NULL);
}
