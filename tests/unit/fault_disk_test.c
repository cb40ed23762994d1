/* A disk that is full or fails, under the database, the audit log, or both; calls that do half of what
 * they should or are interrupted; a clock that goes back. What was acknowledged is there afterwards; a
 * sync that failed ends the vault, and is not tried again as if nothing had been. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <time.h>

#include "lib/log.h"
#include "tests/support/fault.h"
#include "tests/support/fault_vault.h"

#define WRITES  40u
#define READS   400u /* more than fit what is left of a segment */

struct scene {
    struct fault_vault v;
    char below[96];
    bool acknowledged[WRITES + 1], maybe[WRITES + 1];
    unsigned refused;
    char last[512]; /* what was said when it refused */
};

static void begin(struct scene *s, const char *part)
{
    *s = (struct scene){.refused = 0};
    (void)fault_clear(); /* of a case that failed */
    fault_vault_new(&s->v, NULL, true);
    (void)snprintf(s->below, sizeof s->below, "%s%s", s->v.folder, part);
}

static unsigned call(struct scene *s, const char *method, const char *path, const char *body)
{
    return test_vault_call(s->v.vault, method, path, s->v.root, body);
}

static void note_refusal(struct scene *s, unsigned status)
{
    s->refused++;
    (void)snprintf(s->last, sizeof s->last, "%u %s", status, s->v.vault->body);
    if ((status != 500 && status != 503) || !test_vault_said(s->v.vault, "{\"errors\":[\""))
        fail_msg("not a refusal: %s", s->last);
}

static void write_one(struct scene *s, unsigned n)
{
    char path[64], body[64];
    (void)snprintf(path, sizeof path, "secret/data/n%u", n);
    (void)snprintf(body, sizeof body, "{\"data\":{\"k\":\"v%u\"}}", n);
    unsigned status = call(s, "POST", path, body);
    s->acknowledged[n] = s->acknowledged[n] || status == 200;
    if (status == 200)
        return;
    note_refusal(s, status);
    s->maybe[n] = s->maybe[n] || test_vault_said(s->v.vault, "outcome unknown");
}

static void read_one(struct scene *s, unsigned n)
{
    /* A path as long as they may be: the log's segments fill. */
    char path[3200];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    memcpy(path, "secret/data/", 12);
    for (size_t at = 200; at < sizeof path; at += 200)
        path[at] = '/';
    (void)snprintf(path + sizeof path - 6, 6, "%05u", n % 100000);
    unsigned status = call(s, "GET", path, NULL);
    if (status != 404)
        note_refusal(s, status);
}

static void load(struct scene *s)
{
    for (unsigned n = 1; n <= WRITES; n++) {
        write_one(s, n);
        for (unsigned i = 0; i < READS / WRITES; i++)
            read_one(s, n * 100 + i);
    }
}

static void check(struct scene *s)
{
    for (unsigned n = 1; n <= WRITES; n++) {
        char path[64], value[32];
        (void)snprintf(path, sizeof path, "secret/data/n%u", n);
        (void)snprintf(value, sizeof value, "\"v%u\"", n);
        unsigned status = call(s, "GET", path, NULL);
        bool there = status == 200 && test_vault_said(s->v.vault, value);
        if (status != 200 && status != 404)
            fail_msg("reading %u: %u %s", n, status, s->v.vault->body);
        if (there != s->acknowledged[n] && !s->maybe[n])
            fail_msg("write %u was %sacknowledged and is %sthere", n,
                     s->acknowledged[n] ? "" : "not ", there ? "" : "not ");
    }
    fault_vault_check_log(&s->v, NULL, 0);
}

static void fail_from_now(struct scene *s, enum fault_kind kind, enum fault_how how, int error,
                          bool for_good)
{
    fault_set(&(const struct fault){.kind = kind,
                                    .how = how,
                                    .nth = 1,
                                    .for_good = for_good,
                                    .error = error,
                                    .below = s->below});
}

/* ---- full and failing ---- */

struct trouble {
    const char *name, *part; /* below the data folder; "": all of it */
    enum fault_kind kind;
    int error;
    bool stops;              /* the vault says that it stopped; else it goes on by itself */
    const char *says;
};
static const struct trouble troubles[] = {
    {"the database is full", "/store", FAULT_WRITE, ENOSPC, false, "the store is full"},
    {"the database cannot be written", "/store", FAULT_WRITE, EIO, true, "stopped"},
    {"the database cannot be synced", "/store", FAULT_SYNC, EIO, true, "stopped"},
    /* Before the meta page nothing of a fold can show, and what it wrote are pages that nobody refers
     * to: a sync that says that the disk is full takes nothing away. */
    {"the database's sync finds no room", "/store", FAULT_SYNC, ENOSPC, false, "the store is full"},
    {"the audit log is full", "/audit", FAULT_WRITE, ENOSPC, false, "audit log can grow"},
    {"the audit log cannot be written", "/audit", FAULT_WRITE, EIO, false, "audit log"},
    {"the audit log cannot be synced", "/audit", FAULT_SYNC, EIO, true, "the audit log stopped"},
    {"the audit log's sync finds no room", "/audit", FAULT_SYNC, ENOSPC, true, "the audit log stopped"},
    {"both are full", "", FAULT_WRITE, ENOSPC, false, "full"},
    {"both cannot be written", "", FAULT_WRITE, EIO, true, "stopped"},
    {"both cannot be synced", "", FAULT_SYNC, EIO, true, "stopped"},
};

static void until_refused(struct scene *s)
{
    for (unsigned i = 0; i < 20000 && s->refused == 0; i++) {
        write_one(s, 1 + i % WRITES);
        read_one(s, i);
    }
    assert_true(s->refused > 0);
}

static void trouble(void **state)
{
    const struct trouble *row = *state;
    struct scene s;
    begin(&s, row->part);
    load(&s);
    assert_int_equal(s.refused, 0);
    fail_from_now(&s, row->kind, FAULT_ERROR, row->error, true);
    until_refused(&s);
    if (row->stops) {
        if (!fault_vault_stops(&s.v))
            fail_msg("it did not stop: %s", s.last);
        /* The disk is well again. What stopped does not go on as if nothing had been. */
        (void)fault_clear();
        s.refused = 0;
        load(&s);
        if (strstr(s.last, row->says) == NULL)
            fail_msg("not '%s' but: %s", row->says, s.last);
        assert_true(s.refused >= WRITES);
        fault_vault_restart(&s.v);
    } else {
        if (strstr(s.last, row->says) == NULL)
            fail_msg("not '%s' but: %s", row->says, s.last);
        (void)fault_clear();
        s.refused = 0;
        load(&s);
        assert_int_equal(s.refused, 0); /* by itself */
        assert_int_equal(atomic_load(&s.v.stopped), 0);
    }
    check(&s);
    fault_vault_restart(&s.v);
    check(&s);
    load(&s);
    check(&s);
    fault_vault_end(&s.v);
}

/* A write that gets through half, then the disk is full: LMDB says EIO. */
static void half_a_write(void **state)
{
    (void)state;
    static const char *const parts[] = {"/store", "/audit", ""};
    for (size_t i = 0; i < 3; i++) {
        struct scene s;
        begin(&s, parts[i]);
        fail_from_now(&s, FAULT_WRITE, FAULT_SHORT, 0, false);
        until_refused(&s);
        (void)fault_clear();
        (void)fault_vault_mend(&s.v);
        check(&s);
        load(&s);
        fault_vault_restart(&s.v);
        check(&s);
        fault_vault_end(&s.v);
    }
}

static void half_of_every_read_and_log_write(void **state)
{
    (void)state;
    static const struct {
        const char *part;
        enum fault_kind kind;
    } rows[] = {{"/audit", FAULT_WRITE}, {"/audit", FAULT_READ}, {"", FAULT_READ}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene s;
        begin(&s, rows[i].part);
        fail_from_now(&s, rows[i].kind, FAULT_SHORT, 0, true);
        load(&s);
        fault_vault_check_log(&s.v, NULL, 0);
        assert_true(fault_hits() > 0);
        (void)fault_clear();
        assert_int_equal(s.refused, 0);
        fault_vault_restart(&s.v);
        check(&s);
        fault_vault_end(&s.v);
    }
}

/* Each call is interrupted once before it works. */
static void interrupted(void **state)
{
    (void)state;
    static const enum fault_kind kinds[] = {FAULT_WRITE, FAULT_READ};
    for (size_t i = 0; i < 2; i++)
        for (unsigned long nth = 1; nth < 60; nth++) {
            struct scene s;
            begin(&s, "");
            fault_set(&(const struct fault){
                .kind = kinds[i], .nth = nth, .error = EINTR, .below = s.below});
            for (unsigned n = 1; n <= 4; n++)
                write_one(&s, n);
            fault_vault_check_log(&s.v, NULL, 0);
            bool met = fault_hits() > 0;
            (void)fault_clear();
            if (s.refused > 0)
                fail_msg("%s %lu: %s", fault_kind_name(kinds[i]), nth, s.last);
            check(&s);
            fault_vault_end(&s.v);
            if (!met)
                break;
        }
}

/* ---- time ---- */

static void the_clock_goes_back(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, "");
    char token[256];
    load(&s);
    assert_int_equal(call(&s, "POST", "auth/token/create", "{\"ttl\":\"1h\",\"policies\":[\"default\"]}"),
                     200);
    test_vault_text(s.v.vault, "auth.client_token", token, sizeof token);
    s.v.vault->wall_ahead_ms = -86400000; /* a day */
    assert_int_equal(s.refused, 0);
    load(&s);
    assert_int_equal(s.refused, 0);
    assert_int_equal(test_vault_call(s.v.vault, "GET", "auth/token/lookup-self", token, NULL), 200);
    check(&s);
    /* Two hours pass: what lives an hour is over, whatever the clock on the wall says. */
    s.v.vault->now_ms += 7200000;
    assert_int_equal(test_vault_call(s.v.vault, "GET", "auth/token/lookup-self", token, NULL), 403);
    fault_vault_end(&s.v);
}

int main(int argc, char **argv)
{
    enum { TROUBLES = sizeof troubles / sizeof troubles[0] };
    struct CMUnitTest tests[TROUBLES + 4];
    if (getenv("KT_FAULT_SHOW") == NULL)
        kt_log_set_level((enum kt_log_level)0); /* failures are what is tested here */
    for (size_t i = 0; i < TROUBLES; i++) {
        union {
            const struct trouble *row;
            void *state;
        } initial = {.row = &troubles[i]};
        tests[i] = (struct CMUnitTest){
            .name = troubles[i].name, .test_func = trouble, .initial_state = initial.state};
    }
    tests[TROUBLES] = (struct CMUnitTest)cmocka_unit_test(half_a_write);
    tests[TROUBLES + 1] = (struct CMUnitTest)cmocka_unit_test(half_of_every_read_and_log_write);
    tests[TROUBLES + 2] = (struct CMUnitTest)cmocka_unit_test(interrupted);
    tests[TROUBLES + 3] = (struct CMUnitTest)cmocka_unit_test(the_clock_goes_back);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("fault_disk", tests, NULL, NULL);
}
