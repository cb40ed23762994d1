#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/random.h"
#include "lib/token_text.h"

#define BASE62 "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static enum kt_token_form form(const char *text)
{
    return kt_token_form(kt_str(text));
}

static void made_tokens_check(void **state)
{
    (void)state;
    for (int round = 0; round < 2000; round++) {
        kt_autobuf struct kt_buf buf;
        kt_buf_init(&buf, 64);
        kt_token_make(&buf);
        assert_true(kt_buf_ok(&buf));
        assert_int_equal(buf.len, KT_TOKEN_CHARS);
        assert_int_equal(strspn(kt_buf_text(&buf) + 4, BASE62), KT_TOKEN_CHARS - 4);
        assert_int_equal(form(kt_buf_text(&buf)), KT_TOKEN_OURS);
    }
}

/* Every single wrong character, every two neighbours swapped. */
static void typing_errors_are_seen(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, 64);
    kt_token_make(&buf);
    char text[KT_TOKEN_CHARS + 1];
    for (size_t at = 4; at < KT_TOKEN_CHARS; at++) {
        memcpy(text, kt_buf_text(&buf), sizeof text);
        for (const char *c = BASE62; *c != '\0'; c++) {
            text[at] = *c;
            assert_int_equal(form(text),
                             *c == kt_buf_text(&buf)[at] ? KT_TOKEN_OURS : KT_TOKEN_DAMAGED);
        }
        memcpy(text, kt_buf_text(&buf), sizeof text);
        if (at + 1 < KT_TOKEN_CHARS && text[at] != text[at + 1]) {
            char swapped = text[at];
            text[at] = text[at + 1];
            text[at + 1] = swapped;
            assert_int_equal(form(text), KT_TOKEN_DAMAGED);
        }
    }
}

/* A stream whose first bytes are the rejected ones, then 0, 1, 2, ... */
static unsigned drawn;
static void counting(void *out, size_t len)
{
    unsigned char *at = out;
    for (size_t i = 0; i < len; i++) {
        /* Pools are used from their end. */
        unsigned n = drawn + (unsigned)(len - 1 - i);
        at[i] = (unsigned char)(n < 10 ? 0xFF - n : n - 10);
    }
    drawn += (unsigned)len;
}

static void known_answer(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, 64);
    drawn = 2; /* 0xFD .. 0xF8 are rejected, then 0xF7 = 3 * 62 + 61 and 0xF6 are taken */
    kt_random_source(counting);
    kt_token_make(&buf);
    char accessor[KT_ACCESSOR_CHARS + 1];
    drawn = 10 + 62 + 10;
    kt_accessor_make(accessor);
    kt_random_source(NULL);
    /* CRC-32 of the first 31 characters by zlib: see the row below. */
    assert_memory_equal(kt_buf_text(&buf), "hvs.zy0123456789ABCDEFGHIJKLMNO", 31);
    assert_string_equal(accessor, "ABCDEFGHIJKLMNOPQRSTUVWX");
}

static const struct row {
    const char *name, *text;
    enum kt_token_form form;
} rows[] = {
    /* Checksums by Python: zlib.crc32(text) in base 62. */
    {"ours", "hvs.zy0123456789ABCDEFGHIJKLMNO2Xbf4L", KT_TOKEN_OURS},
    {"ours, all zeros", "hvs.0000000000000000000000000000sjot6", KT_TOKEN_OURS},
    {"empty", "", KT_TOKEN_FOREIGN},
    {"root by hand", "root", KT_TOKEN_FOREIGN},
    {"old Vault form", "s.Vo9Ym2EFyMgwPvM8X4lH0cQH", KT_TOKEN_FOREIGN},
    {"Vault's own form", "hvs.6sJ7Jp0GKVAtTwmeWf7Y1bBT", KT_TOKEN_FOREIGN},
    {"batch token", "hvb.000000000000000000000000000000000", KT_TOKEN_FOREIGN},
    {"one short", "hvs.00000000000000000000000000000000", KT_TOKEN_FOREIGN},
    {"one more", "hvs.0000000000000000000000000000000000", KT_TOKEN_FOREIGN},
    {"a stroke inside", "hvs.0000000000-0000000000000000000000", KT_TOKEN_FOREIGN},
    {"a newline at the end", "hvs.00000000000000000000000000000000\n", KT_TOKEN_FOREIGN},
    {"wrong checksum", "hvs.000000000000000000000000000000000", KT_TOKEN_DAMAGED},
};

static void has_form(void **state)
{
    const struct row *row = *state;
    assert_int_equal(form(row->text), row->form);
}

/* 62 characters, 61 degrees of freedom: below 130 with p > 0.000001. */
static void uniform(void **state)
{
    (void)state;
    unsigned counts[256] = {0};
    const unsigned rounds = 8000;
    for (unsigned round = 0; round < rounds; round++) {
        char accessor[KT_ACCESSOR_CHARS + 1];
        kt_accessor_make(accessor);
        for (size_t i = 0; i < KT_ACCESSOR_CHARS; i++)
            counts[(unsigned char)accessor[i]]++;
    }
    double expected = rounds * KT_ACCESSOR_CHARS / 62.0, chi = 0;
    for (const char *c = BASE62; *c != '\0'; c++) {
        double off = counts[(unsigned char)*c] - expected;
        chi += off * off / expected;
    }
    assert_true(chi < 130);
}

#define ROWS  (sizeof rows / sizeof rows[0])
#define PLAIN 4

int main(void)
{
    static struct CMUnitTest tests[PLAIN + ROWS] = {
        cmocka_unit_test(made_tokens_check),
        cmocka_unit_test(typing_errors_are_seen),
        cmocka_unit_test(known_answer),
        cmocka_unit_test(uniform),
    };
    if (sodium_init() < 0)
        return 1;
    for (size_t i = 0; i < ROWS; i++)
        tests[PLAIN + i] =
            (struct CMUnitTest){rows[i].name, has_form, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests_name("token_text", tests, NULL, NULL);
}
