/* tests/unit/driver_message_test.c - steps and results survive their message form, nothing else
 * does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/driver/driver.h"
#include "lib/driver/table.h"
#include "lib/failpoint.h"
#include "lib/secret.h"

static struct driver_step full_step(void)
{
    return (struct driver_step){
        .driver = "postgresql",
        .op = DRIVER_APPLY,
        .target = {.host = "db.example",
                   .port = 5432,
                   .database = "orders",
                   .sslmode = "verify-full",
                   .ca = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
                   .server_id = "7300000000000000001",
                   .keys_file = "/etc/ssh/keys/%u",
                   .servers = "db.example:5432,[::1]:5432",
                   .connect_timeout_ms = 5000,
                   .statement_timeout_ms = 10000},
        .logins = {[DRIVER_ADMIN] = {"kt_vault", kt_str("administrator")},
                   [DRIVER_OLD] = {"app_a", kt_str("the old one")}},
        .account = "app_b",
        .other_account = "app_a",
        .group = "app",
        .public_part = kt_str("SCRAM-SHA-256$..."),
        .keep_part = kt_str("the one that stays"),
        .secret = "01S",
        .run = "01J",
        .digest = "00ff",
        .attempt = 3,
        .settle_ms = 20,
        .timeout_ms = 60000,
    };
}

static void encode(const struct driver_step *step, struct kt_buf *out)
{
    kt_buf_init(out, DRIVER_MESSAGE_MAX);
    assert_int_equal(kt_driver_step_encode(step, out, NULL), KT_OK);
}

static void step_survives(void **state)
{
    (void)state;
    struct driver_step step = full_step(), back;
    struct kt_buf message, again;
    struct kt_arena arena;
    kt_arena_init(&arena, 1 << 20);
    encode(&step, &message);
    assert_int_equal(kt_driver_step_decode(kt_buf_bytes(&message), &arena, &back, NULL), KT_OK);
    assert_string_equal(back.driver, "postgresql");
    assert_int_equal(back.op, DRIVER_APPLY);
    assert_string_equal(back.target.ca, step.target.ca);
    assert_string_equal(back.target.keys_file, "/etc/ssh/keys/%u");
    assert_string_equal(back.target.servers, "db.example:5432,[::1]:5432");
    assert_string_equal(back.secret, "01S");
    assert_int_equal(back.target.port, 5432);
    assert_string_equal(back.logins[DRIVER_ADMIN].username, "kt_vault");
    assert_true(kt_bytes_is(back.logins[DRIVER_ADMIN].password, "administrator"));
    assert_null(back.logins[DRIVER_NEW].username);
    assert_string_equal(back.logins[DRIVER_OLD].username, "app_a");
    assert_string_equal((const char *)back.public_part.at, "SCRAM-SHA-256$...");
    assert_string_equal((const char *)back.keep_part.at, "the one that stays");
    assert_int_equal(back.attempt, 3);
    encode(&back, &again);
    assert_true(kt_bytes_equal(kt_buf_bytes(&message), kt_buf_bytes(&again)));
    kt_buf_free(&message);
    kt_buf_free(&again);
    kt_arena_free(&arena);
}

static void absent_texts_are_empty(void **state)
{
    (void)state;
    struct driver_step step = {.driver = "postgresql", .op = DRIVER_PROBE, .timeout_ms = 1}, back;
    struct kt_buf message;
    struct kt_arena arena;
    kt_arena_init(&arena, 1 << 20);
    encode(&step, &message);
    assert_int_equal(kt_driver_step_decode(kt_buf_bytes(&message), &arena, &back, NULL), KT_OK);
    assert_string_equal(back.group, "");
    assert_string_equal(back.target.host, "");
    assert_int_equal(back.public_part.len, 0);
    kt_buf_free(&message);
    kt_arena_free(&arena);
}

static void step_of_any_other_length_is_refused(void **state)
{
    (void)state;
    struct driver_step step = full_step(), back = {.attempt = 77};
    struct kt_buf message;
    struct kt_arena arena;
    kt_arena_init(&arena, 1 << 20);
    encode(&step, &message);
    struct kt_bytes whole = kt_buf_bytes(&message);
    for (size_t len = 0; len < whole.len; len++) {
        /* An own copy of exactly that size, so that a sanitizer sees a read behind it. */
        unsigned char *cut = malloc(len + 1);
        assert_non_null(cut);
        memcpy(cut, whole.at, len);
        assert_int_equal(kt_driver_step_decode(kt_bytes(cut, len), &arena, &back, NULL),
                         KT_INVALID);
        free(cut);
        kt_arena_reset(&arena);
    }
    kt_buf_add_u8(&message, 0);
    assert_int_equal(kt_driver_step_decode(kt_buf_bytes(&message), &arena, &back, NULL),
                     KT_INVALID);
    assert_int_equal(back.attempt, 77);
    kt_buf_free(&message);
    kt_arena_free(&arena);
}

static char long_text[DRIVER_CA_MAX + 2];

static void spoil_op(struct driver_step *step)
{
    step->op = DRIVER_OP_COUNT;
}
static void spoil_host(struct driver_step *step)
{
    step->target.host = "db\n.example";
}
static void spoil_account(struct driver_step *step)
{
    step->account = long_text + sizeof(long_text) - 2 - DRIVER_NAME_MAX;
}
static void spoil_ca(struct driver_step *step)
{
    step->target.ca = long_text;
}
static void spoil_run(struct driver_step *step)
{
    step->run = "1'; --";
}
static void spoil_port(struct driver_step *step)
{
    step->target.port = 65536;
}
static void spoil_timeout(struct driver_step *step)
{
    step->timeout_ms = 0;
}
static void spoil_password(struct driver_step *step)
{
    step->logins[DRIVER_ADMIN].password = kt_bytes("a\0b", 3);
}
static void spoil_username(struct driver_step *step)
{
    step->logins[DRIVER_OLD].username = "app\x7f";
}
static void spoil_public(struct driver_step *step)
{
    step->public_part = kt_bytes(long_text, DRIVER_PUBLIC_MAX + 1);
}

static const struct bad {
    const char *name;
    void (*spoil)(struct driver_step *step);
} bad_steps[] = {
    {"refused, an operation that does not exist", spoil_op},
    {"refused, a newline in the host", spoil_host},
    {"refused, an account of 129 characters", spoil_account},
    {"refused, certificates over the limit", spoil_ca},
    {"refused, a quote in the run id", spoil_run},
    {"refused, port 65536", spoil_port},
    {"refused, no time", spoil_timeout},
    {"refused, a zero byte in a password", spoil_password},
    {"refused, a control character in a username", spoil_username},
    {"refused, a public part over the limit", spoil_public},
};

static void refuses(void **state)
{
    const struct bad *row = *state;
    struct driver_step step = full_step();
    struct kt_err err = {0};
    struct kt_buf message;
    row->spoil(&step);
    kt_buf_init(&message, DRIVER_MESSAGE_MAX);
    assert_int_equal(kt_driver_step_encode(&step, &message, &err), KT_INVALID);
    assert_true(err.what[0] != '\0');
    assert_null(strstr(err.what, "administrator"));
    kt_buf_free(&message);
}

static struct driver_result full_result(void)
{
    struct driver_result result = {
        .class = DRIVER_REFUSED,
        .code = "28P01",
        .text = "the server refused the password",
        .replies = {[DRIVER_CONTROL] = {.answer = ANSWER_REFUSED, .code = "28P01", .took_ms = 12},
                    [DRIVER_NEW] = {.answer = ANSWER_ACCEPTED, .unasked = true, .took_ms = 9},
                    [DRIVER_OLD] = {.answer = ANSWER_UNKNOWN, .barred = true, .code = "28000", .took_ms = 7}},
        .server_version = "15.20",
        .server_id = "73",
        .comment = "keyturn run=1",
        .session_user = "app_a",
        .current_user = "app",
        .sessions = 4,
        .ended_sessions = 2,
        .findings = {"one", "two"},
        .missing_layers = 5,
        .took_ms = 99,
        .made = kt_str("made-4711"),
        .made_id = kt_str("key-7"),
    };
    return result;
}

static void result_survives(void **state)
{
    (void)state;
    struct driver_result result = full_result(), back = {0};
    struct kt_buf message;
    struct kt_arena arena;
    kt_arena_init(&arena, 4096);
    kt_buf_init(&message, DRIVER_MESSAGE_MAX);
    assert_int_equal(kt_driver_result_encode(&result, &message, NULL), KT_OK);
    assert_int_equal(kt_driver_result_decode(kt_buf_bytes(&message), &arena, &back, NULL), KT_OK);
    assert_int_equal(back.class, DRIVER_REFUSED);
    assert_string_equal(back.code, "28P01");
    assert_string_equal(back.text, result.text);
    assert_int_equal(back.replies[DRIVER_ADMIN].answer, ANSWER_NONE);
    assert_int_equal(back.replies[DRIVER_CONTROL].answer, ANSWER_REFUSED);
    assert_true(back.replies[DRIVER_NEW].unasked && !back.replies[DRIVER_NEW].barred);
    assert_true(back.replies[DRIVER_OLD].barred && !back.replies[DRIVER_OLD].unasked);
    assert_string_equal(back.replies[DRIVER_OLD].code, "28000");
    assert_string_equal(back.current_user, "app");
    assert_int_equal(back.sessions, 4);
    assert_int_equal(back.ended_sessions, 2);
    assert_string_equal(back.findings[1], "two");
    assert_string_equal(back.findings[2], "");
    assert_int_equal(back.missing_layers, 5);
    assert_int_equal(back.took_ms, 99);
    assert_true(kt_bytes_is(back.made, "made-4711") && kt_bytes_is(back.made_id, "key-7"));
    assert_ptr_not_equal(back.made.at, result.made.at);
    for (size_t len = 0; len < message.len; len++)
        assert_int_equal(kt_driver_result_decode(kt_bytes(message.at, len), &arena, &back, NULL),
                         KT_INVALID);
    kt_buf_free(&message);
    kt_arena_free(&arena);
}

static void foreign_text_is_made_harmless(void **state)
{
    (void)state;
    struct driver_result result = {.text = "a\n<3>b \x1b[31m \xc3\xa4"}, back = {0};
    struct kt_buf message;
    struct kt_arena arena;
    kt_arena_init(&arena, 4096);
    kt_buf_init(&message, DRIVER_MESSAGE_MAX);
    assert_int_equal(kt_driver_result_encode(&result, &message, NULL), KT_OK);
    assert_int_equal(kt_driver_result_decode(kt_buf_bytes(&message), &arena, &back, NULL), KT_OK);
    assert_string_equal(back.text, "a?<3>b ?[31m ??");
    kt_buf_free(&message);
    kt_arena_free(&arena);
}

static void what_was_made_has_no_odd_character(void **state)
{
    (void)state;
    static const char *const odd[] = {"a b", "a\nb", "a\x7f", "\xc3\xa4"};
    for (size_t i = 0; i < 2 * sizeof odd / sizeof odd[0]; i++) {
        struct driver_result result = {0}, back = {0};
        struct kt_buf message;
        struct kt_arena arena;
        kt_arena_init(&arena, 4096);
        kt_buf_init(&message, DRIVER_MESSAGE_MAX);
        *(i % 2 == 0 ? &result.made : &result.made_id) = kt_str(odd[i / 2]);
        assert_int_equal(kt_driver_result_encode(&result, &message, NULL), KT_OK);
        assert_int_equal(kt_driver_result_decode(kt_buf_bytes(&message), &arena, &back, NULL), KT_INVALID);
        assert_int_equal(back.made.len + back.made_id.len, 0);
        kt_buf_free(&message);
        kt_arena_free(&arena);
    }
}

static void nothing_is_made_without_memory(void **state)
{
    (void)state;
    struct driver_result result = {.made = kt_str("made-4711")}, back = {0};
    struct kt_buf message;
    struct kt_arena arena;
    kt_arena_init(&arena, 1);
    kt_buf_init(&message, DRIVER_MESSAGE_MAX);
    assert_int_equal(kt_driver_result_encode(&result, &message, NULL), KT_OK);
    assert_int_equal(kt_driver_result_decode(kt_buf_bytes(&message), &arena, &back, NULL), KT_NO_MEMORY);
    assert_int_equal(back.made.len, 0);
    kt_buf_free(&message);
    kt_arena_free(&arena);
}

static void nothing_is_known_of_a_zeroed_result(void **state)
{
    (void)state;
    struct driver_result result = {0};
    assert_int_equal(result.class, DRIVER_UNREACH);
    assert_int_equal(result.replies[DRIVER_NEW].answer, ANSWER_NONE);
}

static void texts_are_unique(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DRIVER_OP_COUNT; i++) {
        enum driver_op op = DRIVER_OP_COUNT;
        const char *text = kt_driver_op_text((enum driver_op)i);
        assert_true(kt_driver_op_parse(kt_str(text), &op));
        assert_int_equal(op, i);
    }
    enum driver_op op = DRIVER_PROBE;
    assert_false(kt_driver_op_parse(kt_str("unknown"), &op));
    assert_string_equal(kt_driver_class_text(DRIVER_WRONG_SERVER), "wrong-server");
    assert_string_equal(kt_driver_answer_text(ANSWER_REFUSED), "refused");
    assert_string_equal(kt_driver_who_text(DRIVER_CONTROL), "control");
    assert_string_equal(kt_driver_who_text(DRIVER_LOGIN_COUNT), "unknown");
}

/* lib/driver/info.c and lib/driver/table.c have the same drivers. */
static void every_driver_has_both_rows(void **state)
{
    (void)state;
    size_t n = 0;
    const struct driver_info *infos = kt_driver_infos(&n);
    assert_true(n >= 1);
    for (size_t i = 0; i < n; i++) {
        if (infos[i].inside)
            assert_null(kt_driver_find(infos[i].name));
        else
            assert_non_null(kt_driver_find(infos[i].name));
        assert_ptr_equal(kt_driver_info(infos[i].name), &infos[i]);
        assert_int_equal(infos[i].alternate || infos[i].overlap || infos[i].in_place, !infos[i].listens);
    }
    assert_null(kt_driver_info("generate"));
    assert_null(kt_driver_find("generate"));
}

static void texts_pass_the_redactor(void **state)
{
    (void)state;
    struct driver_step step = full_step();
    struct kt_redactor *redactor = kt_driver_redactor(&step);
    assert_non_null(redactor);
    struct driver_run run = {.step = &step, .redactor = redactor};
    struct driver_result result = {0};
    assert_false(kt_driver_say(&run, &result, DRIVER_PERMANENT, "42601", "near \"%s\" and\n%s",
                               "administrator", "the old one"));
    assert_string_equal(result.code, "42601");
    assert_null(strstr(result.text, "administrator"));
    assert_null(strstr(result.text, "the old one"));
    assert_null(strchr(result.text, '\n'));
    for (int i = 0; i < 20; i++)
        kt_driver_finding(&run, &result, "finding %d of 'administrator'", i);
    assert_string_equal(result.findings[15], "finding 15 of '[redacted]'");
    kt_redactor_free(redactor);
}

#ifdef KT_FAULT
static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct driver_step step = full_step(), back;
    for (unsigned long nth = 1; nth < 100; nth++) {
        struct kt_buf message;
        struct kt_arena arena;
        kt_buf_init(&message, DRIVER_MESSAGE_MAX);
        kt_arena_init(&arena, 1 << 20);
        (void)kt_fail_allocation(nth);
        enum kt_kind kind = kt_driver_step_encode(&step, &message, NULL);
        if (kind == KT_OK)
            kind = kt_driver_step_decode(kt_buf_bytes(&message), &arena, &back, NULL);
        bool untouched = kt_fail_allocation(0) < nth;
        kt_buf_free(&message);
        kt_arena_free(&arena);
        assert_int_equal(kind, untouched ? KT_OK : KT_NO_MEMORY);
        if (untouched)
            return;
    }
    fail_msg("more than 100 allocations");
}
#endif

static int set_up(void **state)
{
    (void)state;
    if (kt_secret_init(NULL) != KT_OK)
        return -1;
    memset(long_text, 'x', sizeof(long_text) - 1);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(step_survives),
        cmocka_unit_test(absent_texts_are_empty),
        cmocka_unit_test(step_of_any_other_length_is_refused),
        cmocka_unit_test(result_survives),
        cmocka_unit_test(foreign_text_is_made_harmless),
        cmocka_unit_test(what_was_made_has_no_odd_character),
        cmocka_unit_test(nothing_is_made_without_memory),
        cmocka_unit_test(nothing_is_known_of_a_zeroed_result),
        cmocka_unit_test(texts_are_unique),
        cmocka_unit_test(every_driver_has_both_rows),
        cmocka_unit_test(texts_pass_the_redactor),
#ifdef KT_FAULT
        cmocka_unit_test(every_allocation_may_fail),
#endif
    };
    enum {
        PLAIN = sizeof(plain) / sizeof(plain[0]),
        BAD = sizeof(bad_steps) / sizeof(bad_steps[0])
    };
    struct CMUnitTest tests[PLAIN + BAD];
    memcpy(tests, plain, sizeof(plain));
    for (size_t i = 0; i < BAD; i++)
        tests[PLAIN + i] = (struct CMUnitTest){.name = bad_steps[i].name,
                                               .test_func = refuses,
                                               .initial_state = (void *)(uintptr_t)&bad_steps[i]};
    return cmocka_run_group_tests_name("driver_message", tests, set_up, NULL);
}
