#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "vaultd/pam/message.h"

#define MOST 6u
static const char long_text[] = /* 512 bytes */
#define TEXT64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    TEXT64 TEXT64 TEXT64 TEXT64 TEXT64 TEXT64 TEXT64 TEXT64;

static struct kt_bytes of(const char *text, size_t len)
{
    return kt_bytes(text, len);
}

static bool passes(const struct pamd_message *message, struct pamd_message *ret, struct kt_buf *out)
{
    kt_buf_init(out, (size_t)256 * 1024);
    pamd_encode(message, out);
    assert_true(kt_buf_ok(out));
    return pamd_decode(kt_buf_bytes(out), ret);
}

static void begin(void **state)
{
    (void)state;
    static const struct {
        size_t user, address;
        bool ok;
    } rows[] = {{1, 0, true},   {PAMD_NAME_MAX, PAMD_NAME_MAX, true}, {0, 1, false},
                {PAMD_NAME_MAX + 1, 0, false}, {1, PAMD_NAME_MAX + 1, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pamd_message message = {.letter = PAMD_BEGIN}, got;
        message.begin.question = i % 2 == 0 ? PAMD_LOGIN : PAMD_ACCOUNT;
        message.begin.user = of(long_text, rows[i].user);
        message.begin.address = of(long_text, rows[i].address);
        kt_autobuf struct kt_buf out;
        assert_int_equal(passes(&message, &got, &out), rows[i].ok);
        assert_true(!rows[i].ok || kt_bytes_equal(got.begin.user, message.begin.user));
        assert_true(!rows[i].ok || kt_bytes_equal(got.begin.address, message.begin.address));
        assert_true(!rows[i].ok || got.begin.question == message.begin.question);
    }
}

static void prompts_and_answers(void **state)
{
    (void)state;
    static const struct {
        size_t n, len;
        bool ok;
    } rows[] = {{1, 0, true},
                {PAMD_PROMPTS_MAX, PAMD_TEXT_MAX, true},
                {0, 0, false},
                {1, PAMD_TEXT_MAX + 1, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pamd_message prompts = {.letter = PAMD_PROMPTS}, answers = {.letter = PAMD_ANSWERS}, got;
        prompts.prompts.n = answers.answers.n = rows[i].n;
        for (size_t k = 0; k < rows[i].n; k++) {
            prompts.prompts.at[k].echo = k % 2 == 1;
            prompts.prompts.at[k].text = answers.answers.at[k] = of(long_text, rows[i].len);
        }
        kt_autobuf struct kt_buf out = {0};
        assert_int_equal(passes(&prompts, &got, &out), rows[i].ok);
        for (size_t k = 0; rows[i].ok && k < rows[i].n; k++) {
            assert_int_equal(got.prompts.at[k].echo, k % 2 == 1);
            assert_int_equal(got.prompts.at[k].text.len, rows[i].len);
        }
        kt_autobuf struct kt_buf more = {0};
        assert_int_equal(passes(&answers, &got, &more), rows[i].ok);
        assert_true(!rows[i].ok || got.answers.n == rows[i].n);
    }
}

static void fill_verdict(struct pamd_message *message, enum pamd_outcome outcome)
{
    *message = (struct pamd_message){.letter = PAMD_VERDICT};
    message->verdict.outcome = outcome;
    message->verdict.delay_ms = 1234;
    message->verdict.name = kt_str(outcome == PAMD_IN ? "alice" : "");
}

static void named(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, PAMD_NAME_MAX, PAMD_NAME_MAX + 1};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        struct pamd_message message = {.letter = PAMD_NAMED, .named = of(long_text, lens[i])}, got;
        kt_autobuf struct kt_buf out = {0};
        assert_int_equal(passes(&message, &got, &out), i == 1 || i == 2);
        assert_true(i == 0 || i == 3 || kt_bytes_equal(got.named, message.named));
    }
}

static void groups(void **state)
{
    (void)state;
    static const struct {
        size_t n, len;
        bool ok;
    } rows[] = {{1, 1, true}, {PAMD_GROUPS_EACH, PAMD_NAME_MAX, true}, {0, 0, false}, {1, 0, false},
                {1, PAMD_NAME_MAX + 1, false}};
    struct pamd_message message = {.letter = PAMD_GROUPS}, got;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        message.groups.n = rows[i].n;
        for (size_t k = 0; k < rows[i].n; k++)
            message.groups.at[k] = of(long_text, rows[i].len);
        kt_autobuf struct kt_buf out = {0};
        assert_int_equal(passes(&message, &got, &out), rows[i].ok);
        assert_true(!rows[i].ok || got.groups.n == rows[i].n);
        assert_true(out.len <= PAMD_MESSAGE_MAX);
    }
    message.groups.n = 1;
    message.groups.at[0] = of("a\0b", 3);
    kt_autobuf struct kt_buf out = {0};
    assert_false(passes(&message, &got, &out));
}

/* Only who is let in has a name. */
static void verdict(void **state)
{
    (void)state;
    struct pamd_message message, got;
    kt_autobuf struct kt_buf out = {0};
    for (unsigned outcome = 0; outcome < PAMD_OUTCOMES; outcome++) {
        fill_verdict(&message, (enum pamd_outcome)outcome);
        assert_true(passes(&message, &got, &out));
        assert_int_equal(got.verdict.outcome, outcome);
        assert_int_equal(got.verdict.delay_ms, 1234);
        kt_buf_free(&out);
        fill_verdict(&message, (enum pamd_outcome)outcome);
        message.verdict.name = kt_str(outcome == PAMD_IN ? "" : "alice");
        assert_false(passes(&message, &got, &out));
        kt_buf_free(&out);
    }
}

/* A message cut anywhere, or with a byte more, is none. */
static void whole_or_nothing(void **state)
{
    (void)state;
    struct pamd_message messages[MOST], got;
    messages[0] = (struct pamd_message){.letter = PAMD_BEGIN};
    messages[0].begin.user = kt_str("alice");
    messages[0].begin.address = kt_str("192.0.2.7");
    fill_verdict(&messages[1], PAMD_IN);
    messages[2] = (struct pamd_message){.letter = PAMD_ENDED, .status = 9};
    messages[3] = (struct pamd_message){.letter = PAMD_NAMED, .named = kt_str("alice")};
    messages[4] = (struct pamd_message){.letter = PAMD_GROUPS};
    messages[4].groups.n = 2;
    messages[4].groups.at[0] = messages[4].groups.at[1] = kt_str("ops");
    messages[5] = (struct pamd_message){.letter = PAMD_GO};
    for (size_t i = 0; i < MOST; i++) {
        kt_autobuf struct kt_buf out = {0};
        assert_true(passes(&messages[i], &got, &out));
        for (size_t len = 0; len < out.len; len++)
            assert_false(pamd_decode(kt_bytes(out.at, len), &got));
        kt_buf_add_u8(&out, 0);
        assert_false(pamd_decode(kt_buf_bytes(&out), &got));
    }
    assert_false(pamd_decode(kt_str("X"), &got));
    assert_true(pamd_decode(kt_str("B"), &got));
    assert_int_equal(got.letter, PAMD_BUSY);
    messages[0].begin.question = PAMD_QUESTIONS;
    kt_autobuf struct kt_buf odd = {0};
    assert_false(passes(&messages[0], &got, &odd));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begin),
        cmocka_unit_test(prompts_and_answers),
        cmocka_unit_test(verdict),
        cmocka_unit_test(named),
        cmocka_unit_test(groups),
        cmocka_unit_test(whole_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
