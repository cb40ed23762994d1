/* The stored form of a request that waits for approval: as it is now, and as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vaultd/approval/record.h"

static void records_by_their_format(void **state)
{
    (void)state;
    struct kt_arena arena;
    struct kt_buf out;
    struct kt_err err = {0};
    struct approval read;
    struct approval_sent sent, sent_read;
    struct approver approvers[] = {{"e1", "tom", 5}, {"e2", "ann", 6}};
    const char *rules[] = {"a", "b"};
    unsigned needed[] = {2, 16};
    struct touched touched[] = {{"p", false}, {"q/", true}};
    const struct approval written = {.kind = APPROVAL_REQUEST, .state = APPROVAL_DENIED, .break_glass = true,
                                     .created_ms = 1, .expires_ms = 2, .ended_ms = 3, .entity_id = "e", .name = "bob",
                                     .accessor = "acc", .op = OP_PATCH, .wrap_ttl_s = -1, .path = "p", .reason = "r",
                                     .rules = {rules, 2}, .needed = needed, .touched = touched, .n_touched = 2, .approvers = approvers, .n_approvers = 2, .ended_by = "tom",
                                     .why = "w", .about = "of v1", .bound = {7, 8, 9}, .told = "ops"};
    kt_arena_init(&arena, 1 << 20);
    kt_buf_init(&out, 1 << 16);
    approval_write(&written, &out);
    assert_int_equal(approval_read(kt_buf_bytes(&out), &arena, &read, &err), KT_OK);
    assert_string_equal(read.approvers[1].name, "ann");
    assert_string_equal(read.rules.at[1], "b");
    assert_string_equal(read.why, "w");
    assert_string_equal(read.about, "of v1");
    assert_string_equal(read.told, "ops");
    assert_true(read.needed[0] == 2 && read.needed[1] == 16);
    assert_true(read.n_touched == 2 && read.touched[1].below && !read.touched[0].below);
    assert_string_equal(read.touched[1].path, "q/");
    assert_memory_equal(read.bound, written.bound, sizeof read.bound);
    assert_true(read.break_glass && read.op == OP_PATCH && read.wrap_ttl_s == -1 && read.ended_ms == 3);
    for (size_t len = 0; len < out.len; len++)
        assert_int_not_equal(approval_read(kt_bytes(out.at, len), &arena, &read, &err), KT_OK);
    size_t len_3 = out.len - sizeof(uint16_t) - 2 * (4 + 1) - strlen("p") - strlen("q/");
    out.at[0] = 3; /* as it was written before: without what it would change */
    assert_int_equal(approval_read(kt_bytes(out.at, len_3), &arena, &read, &err), KT_OK);
    assert_true(read.needed[1] == 16 && read.n_touched == 0);
    size_t len_2 = len_3 - 2 * sizeof(uint16_t) - 4 - strlen(written.told);
    out.at[0] = 2; /* as it was written before: without who is told, and how many each needed */
    assert_int_equal(approval_read(kt_bytes(out.at, len_2), &arena, &read, &err), KT_OK);
    assert_string_equal(read.about, "of v1");
    assert_string_equal(read.told, "");
    assert_null(read.needed);
    out.at[0] = 1; /* as it was written before: without what it rests on */
    size_t len_1 = len_2 - sizeof written.bound - 4 - strlen(written.about);
    assert_int_equal(approval_read(kt_bytes(out.at, len_1), &arena, &read, &err), KT_OK);
    assert_string_equal(read.why, "w");
    assert_string_equal(read.about, "");
    out.at[0] = 9;
    assert_int_equal(approval_read(kt_buf_bytes(&out), &arena, &read, &err), KT_CORRUPT);
    assert_non_null(strstr(err.what, "a request that waits for approval: format 9 is newer than this vaultd (4)"));
    kt_buf_reset(&out);
    sent = (struct approval_sent){kt_str("q=1"), kt_bytes(NULL, 0), kt_str("{}")};
    approval_sent_write(&sent, &out);
    assert_int_equal(approval_sent_read(kt_buf_bytes(&out), &arena, &sent_read, &err), KT_OK);
    assert_true(sent_read.content_type.at == NULL && kt_bytes_is(sent_read.body, "{}"));
    out.at[0] = 9;
    assert_int_equal(approval_sent_read(kt_buf_bytes(&out), &arena, &sent_read, &err), KT_CORRUPT);
    kt_buf_free(&out);
    kt_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(records_by_their_format)};
    return cmocka_run_group_tests_name("approval records", tests, NULL, NULL);
}
