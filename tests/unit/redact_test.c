/* What a target says passes a redactor that knows the values of the run, however they are encoded (0.3.1 (2015),
 * 0.10.0 (2018): a request, an address with its password, in an error). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <jansson.h>
#include <sodium.h>

#include "lib/failpoint.h"
#include "lib/random.h"
#include "lib/redact.h"
#include "lib/secret.h"

#define R KT_REDACTED

static struct kt_redactor *redactor_of(const char *value)
{
    struct kt_redactor *redactor = kt_redactor_new();
    assert_non_null(redactor);
    assert_int_equal(kt_redactor_add(redactor, kt_str(value), NULL), KT_OK);
    return redactor;
}

static void expect(const struct kt_redactor *redactor, struct kt_bytes text, struct kt_bytes left)
{
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, 4 * KT_REDACT_TEXT_MAX);
    assert_int_equal(kt_redact(redactor, text, &buf, NULL), KT_OK);
    if (!kt_bytes_equal(kt_buf_bytes(&buf), left))
        fail_msg("'%.*s' became '%s', expected '%.*s'", (int)text.len, (const char *)text.at,
                 kt_buf_text(&buf), (int)left.len, (const char *)left.at);
}

/* ---- one form a row ---- */

static const struct row {
    const char *name, *value, *text, *left;
} rows[] = {
    /* clang-format off */
    {"plain", "hunter22", "password hunter22 is wrong", "password " R " is wrong"},
    {"plain, alone", "hunter22", "hunter22", R},
    {"plain, twice in a row", "hunter22", "hunter22hunter22", R},
    {"plain, overlapping itself", "ababababab", "xabababababab", "x" R},
    {"plain, short in a word", "pass", "refused the password of u", "refused the " R " of u"},
    {"plain, short between words", "pass", "user=u password='pass'", "user=u " R "='" R "'"},
    {"plain, short in a word that is no ASCII", "pass", "\xc3\xa4passw\xc3\xb6rd.", R "."},
    {"plain, seven in a word", "sswords", "of passwords", "of " R},
    {"plain, eight in a word", "password", "of passwords", "of " R "s"},
    {"plain, three in a word", "pas", "the server refused the password", R},
    {"plain, three that are not there", "pxs", "the server refused the password", "the server refused the password"},
    {"plain, short, over two words and itself", "a-a-", "y xa-a-a-az y", "y " R " y"},
    {"plain, short beside one that is not", "pass", "passx.pass", R "." R},
    {"escaped, short in a word", "a/bc", "xa\\/bcd e", R " e"},
    {"plain, other case stays", "hunter22", "Hunter22", "Hunter22"},
    {"plain, one character", "x", "a b axb", R},
    {"plain, a part stays", "hunter22", "hunter2", "hunter2"},
    {"empty text", "hunter22", "", ""},
    {"URL, RFC 3986", "a b/c%d+e", "p=a%20b%2Fc%25d%2Be&q", "p=" R "&q"},
    {"URL, form", "a b/c%d+e", "p=a+b%2fc%25d%2be&q", "p=" R "&q"},
    {"URL, some characters", "p@ss:w/rd", "postgres://u:p%40ss:w/rd@h/", "postgres://u:" R "@h/"},
    {"URL, everything escaped", "abcdefgh", "%61%62%63%64%65%66%67%68i", R "i"},
    {"JSON", "a\"b\\c\nd\te", "{\"v\":\"a\\\"b\\\\c\\nd\\te\"}", "{\"v\":\"" R "\"}"},
    {"JSON, solidus", "a/b", "a\\/b", R},
    {"JSON, unicode", "p\xc3\xa4ss\xe2\x82\xac", "p\\u00e4ss\\u20AC.", R "."},
    {"JSON, pair", "k\xf0\x9f\x94\x91y", "k\\ud83d\\udd11y.", R "."},
    {"JSON, ASCII as unicode", "a<b", "a\\u003cb", R},
    {"C, hex", "a/b", "a\\x2fb", R},
    {"C, octal", "a\377b", "a\\377b", R},
    {"connection string", "it's a \\", "password='it\\'s a \\\\' host=h", "password='" R "' host=h"},
    {"SQL quotes", "it's", "PASSWORD 'it''s'", "PASSWORD '" R "'"},
    {"SQL identifier", "a\"b", "x \"a\"\"b\"", R},
    {"hex, lower", "secret", "\\x736563726574 bytes", "\\x" R " bytes"},
    {"hex, upper", "secret", "<736563726574>", "<" R ">"},
    {"hex, mixed", "zzzz", "7A7a7A7a", R},
    {"hex, one byte stays", "z", "7a", "7a"},
    {"base64", "secret", "Basic c2VjcmV0.", "Basic " R "."},
    {"base64, one byte on", "secret", "Basic OnNlY3JldA==.", "Basic O" R "==."},
    {"base64, two bytes on", "secret", "Basic dTpzZWNyZXQ=.", "Basic dT" R "=."},
    {"base64, in the middle", "secret", "Basic dXNlcjpzZWNyZXQhISE=", "Basic dXNlcj" R "hISE="},
    {"base64, URL alphabet", "\xfb\xef\xff\xfb\xef\xff", "a=--___--__.", "a=--___--__."},
    {"base64, URL alphabet, whole", "\xfb\xef\xbe\xff\xff\xff", "a=----____.", "a=" R "."},
    {"base64, wrapped", "secretsecret", "c2VjcmV0\r\nc2VjcmV0\n", R "\n"},
    /* clang-format on */
};

static void hides(void **state)
{
    const struct row *row = *state;
    kt_autoredactor struct kt_redactor *redactor = redactor_of(row->value);
    expect(redactor, kt_str(row->text), kt_str(row->left));
}

/* ---- against other people's encoders ---- */

static void draw_value(char *out, size_t len)
{
    /* With the characters that encoders care about; printable, so that JSON takes it. */
    static const char characters[] = "ab1 %+/\\\"'&=?#:;<>{}$`~^@!*()[]|,.-_\t\n";
    for (size_t i = 0; i < len; i++)
        out[i] = characters[kt_random_below(sizeof characters - 1)];
    out[len] = '\0';
}

static void around(const struct kt_redactor *redactor, const char *before, const char *encoded,
                   const char *after)
{
    kt_autobuf struct kt_buf text, left;
    kt_buf_init(&text, 8192);
    kt_buf_init(&left, 8192);
    kt_buf_printf(&text, "%s%s%s", before, encoded, after);
    kt_buf_printf(&left, "%s%s%s", before, R, after);
    expect(redactor, kt_buf_bytes(&text), kt_buf_bytes(&left));
}

static void encoders_of_libraries(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        char value[41], encoded[400];
        size_t len = 8 + kt_random_below(32);
        draw_value(value, len);
        kt_autoredactor struct kt_redactor *redactor = redactor_of(value);
        around(redactor, "~~ZZ", value, "ZZ~~");

        char *url = curl_easy_escape(NULL, value, (int)len);
        assert_non_null(url);
        around(redactor, "ZZ", url, "ZZ");
        curl_free(url);

        json_t *json = json_stringn(value, len);
        char *text = json_dumps(json, JSON_ENCODE_ANY | (round % 2 ? JSON_ENSURE_ASCII : 0));
        assert_non_null(text);
        text[strlen(text) - 1] = '\0';
        around(redactor, "\"", text + 1, "\"");
        free(text);
        json_decref(json);

        (void)sodium_bin2hex(encoded, sizeof encoded, (unsigned char *)value, len);
        around(redactor, "ZZ", encoded, "ZZ");
    }
}

/* Behind 0..5 bytes and before 0..5: at most one character at each edge may be left of what the
 * value takes part in. */
static void every_base64_alignment(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 400; round++) {
        unsigned char bytes[64];
        char value[24], encoded[120];
        size_t before = round % 6, after = round / 6 % 6, len = 6 + kt_random_below(16);
        int variant = round % 2 ? sodium_base64_VARIANT_ORIGINAL : sodium_base64_VARIANT_URLSAFE;
        for (size_t i = 0; i < len; i++)
            value[i] = (char)(1 + kt_random_below(255));
        value[len] = '\0';
        memset(bytes, 'u', sizeof bytes);
        memcpy(bytes + before, value, len);
        (void)sodium_bin2base64(encoded, sizeof encoded, bytes, before + len + after, variant);

        kt_autoredactor struct kt_redactor *redactor = redactor_of(value);
        kt_autobuf struct kt_buf buf, wanted;
        kt_buf_init(&buf, 8192);
        kt_buf_init(&wanted, 8192);
        assert_int_equal(kt_redact(redactor, kt_str(encoded), &buf, NULL), KT_OK);
        size_t first = before * 8 / 6, end = ((before + len) * 8 + 5) / 6;
        kt_buf_add(&wanted, encoded, first);
        kt_buf_add_text(&wanted, R);
        kt_buf_add_text(&wanted, encoded + end);
        assert_string_equal(kt_buf_text(&buf), kt_buf_text(&wanted));
    }
}

/* ---- limits ---- */

static void several_values(void **state)
{
    (void)state;
    kt_autoredactor struct kt_redactor *redactor = redactor_of("first-value");
    assert_int_equal(kt_redactor_add(redactor, kt_str("second value"), NULL), KT_OK);
    assert_int_equal(kt_redactor_add(redactor, kt_str(""), NULL), KT_OK);
    expect(redactor, kt_str("a first-value, second%20value and first-valuesecond value"),
           kt_str("a " R ", " R " and " R));
    expect(NULL, kt_str("a first-value"), kt_str("a first-value"));
}

static void limits(void **state)
{
    (void)state;
    kt_autoredactor struct kt_redactor *redactor = kt_redactor_new();
    char *text = malloc(KT_REDACT_TEXT_MAX + 1);
    assert_non_null(text);
    memset(text, 'a', KT_REDACT_TEXT_MAX + 1);
    for (unsigned i = 0; i < KT_REDACT_VALUES_MAX; i++) {
        char value[16];
        (void)snprintf(value, sizeof value, "value-%u", i);
        assert_int_equal(kt_redactor_add(redactor, kt_str(value), NULL), KT_OK);
    }
    struct kt_err err = {0};
    assert_int_equal(kt_redactor_add(redactor, kt_str("more"), &err), KT_TOO_LARGE);
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, KT_REDACT_TEXT_MAX);
    assert_int_equal(kt_redact(redactor, kt_bytes(text, KT_REDACT_TEXT_MAX), &buf, &err), KT_OK);
    assert_int_equal(buf.len, KT_REDACT_TEXT_MAX);
    assert_int_equal(kt_redact(redactor, kt_bytes(text, KT_REDACT_TEXT_MAX + 1), &buf, &err),
                     KT_TOO_LARGE);
    /* No room left in the buffer: an error, so that nobody shows the half of it. */
    assert_int_equal(kt_redact(redactor, kt_str("x"), &buf, &err), KT_NO_MEMORY);

    kt_autoredactor struct kt_redactor *large = kt_redactor_new();
    assert_int_equal(kt_redactor_add(large, kt_bytes(text, 4097), &err), KT_TOO_LARGE);
    assert_int_equal(kt_redactor_add(large, kt_bytes(text, 4096), &err), KT_OK);
    expect(large, kt_bytes(text, KT_REDACT_TEXT_MAX), kt_str(R));
    free(text);
}

/* Each place of one long word is an occurrence: none costs the word's length again. */
static void many_in_one_word(void **state)
{
    (void)state;
    char *text = malloc(KT_REDACT_TEXT_MAX);
    assert_non_null(text);
    memset(text, 'a', KT_REDACT_TEXT_MAX);
    for (size_t len = 1; len < 8; len++) {
        kt_autoredactor struct kt_redactor *redactor = kt_redactor_new();
        assert_int_equal(kt_redactor_add(redactor, kt_bytes(text, len), NULL), KT_OK);
        expect(redactor, kt_bytes(text, KT_REDACT_TEXT_MAX), kt_str(R));
    }
    free(text);
}

#ifdef KT_FAULT
static void survives_no_memory(void **state)
{
    (void)state;
    for (unsigned long nth = 1;; nth++) {
        kt_autobuf struct kt_buf buf;
        kt_buf_init(&buf, 1024);
        (void)kt_fail_allocation(nth);
        struct kt_redactor *redactor = kt_redactor_new();
        enum kt_kind kind = redactor == NULL ? KT_NO_MEMORY : KT_OK;
        if (kind == KT_OK)
            kind = kt_redactor_add(redactor, kt_str("value"), NULL);
        if (kind == KT_OK)
            kind = kt_redact(redactor, kt_str("a value"), &buf, NULL);
        (void)kt_fail_allocation(0);
        kt_redactor_free(redactor);
        if (kind == KT_OK)
            break;
        assert_int_equal(kind, KT_NO_MEMORY);
    }
}
#endif

#define ROWS (sizeof rows / sizeof rows[0])

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(encoders_of_libraries), cmocka_unit_test(every_base64_alignment),
        cmocka_unit_test(several_values),        cmocka_unit_test(limits),
        cmocka_unit_test(many_in_one_word),
#ifdef KT_FAULT
        cmocka_unit_test(survives_no_memory),
#endif
    };
    const size_t n_plain = sizeof plain / sizeof plain[0];
    static struct CMUnitTest tests[sizeof plain / sizeof plain[0] + ROWS];
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    memcpy(tests, plain, sizeof plain);
    for (size_t i = 0; i < ROWS; i++)
        tests[n_plain + i] =
            (struct CMUnitTest){rows[i].name, hides, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests_name("redact", tests, NULL, NULL);
}
