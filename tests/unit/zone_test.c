#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/failpoint.h"
#include "lib/zone.h"

static int64_t at(const char *text)
{
    int64_t ms = 0;
    if (!kt_time_parse(text, strlen(text), &ms))
        fail_msg("'%s' is no time", text);
    return ms / 1000;
}

static struct kt_zone *load(const char *name)
{
    struct kt_zone *zone = NULL;
    struct kt_err err = {0};
    if (kt_zone_load(NULL, name, &zone, &err) != KT_OK)
        fail_msg("%s: %s", name, err.what);
    return zone;
}

/* ---- local to UTC ---- */

static const struct local_row {
    const char *name, *zone, *local;
    enum kt_local_kind kind;
    const char *first, *last;
    int64_t size_s;
} local_rows[] = {
    /* clang-format off */
    {"UTC", "UTC", "2027-03-28T02:30:00Z", KT_LOCAL_ONCE, "2027-03-28T02:30:00Z", NULL, 0},
    {"Berlin, winter", "Europe/Berlin", "2027-01-01T12:00:00Z", KT_LOCAL_ONCE, "2027-01-01T11:00:00Z", NULL, 0},
    {"Berlin, before the gap", "Europe/Berlin", "2027-03-28T01:59:59Z", KT_LOCAL_ONCE, "2027-03-28T00:59:59Z", NULL, 0},
    {"Berlin, gap begins", "Europe/Berlin", "2027-03-28T02:00:00Z", KT_LOCAL_GAP, "2027-03-28T01:00:00Z", NULL, 3600},
    {"Berlin, gap ends", "Europe/Berlin", "2027-03-28T02:59:59Z", KT_LOCAL_GAP, "2027-03-28T01:00:00Z", NULL, 3600},
    {"Berlin, after the gap", "Europe/Berlin", "2027-03-28T03:00:00Z", KT_LOCAL_ONCE, "2027-03-28T01:00:00Z", NULL, 0},
    {"Berlin, before the fold", "Europe/Berlin", "2027-10-31T01:59:59Z", KT_LOCAL_ONCE, "2027-10-30T23:59:59Z", NULL, 0},
    {"Berlin, fold begins", "Europe/Berlin", "2027-10-31T02:00:00Z", KT_LOCAL_FOLD, "2027-10-31T00:00:00Z", "2027-10-31T01:00:00Z", 3600},
    {"Berlin, fold ends", "Europe/Berlin", "2027-10-31T02:59:59Z", KT_LOCAL_FOLD, "2027-10-31T00:59:59Z", "2027-10-31T01:59:59Z", 3600},
    {"Berlin, after the fold", "Europe/Berlin", "2027-10-31T03:00:00Z", KT_LOCAL_ONCE, "2027-10-31T02:00:00Z", NULL, 0},
    {"Berlin by its footer, gap", "Europe/Berlin", "2399-03-28T02:30:00Z", KT_LOCAL_GAP, "2399-03-28T01:00:00Z", NULL, 3600},
    {"Lord Howe, half an hour", "Australia/Lord_Howe", "2027-10-03T02:15:00Z", KT_LOCAL_GAP, "2027-10-02T15:30:00Z", NULL, 1800},
    {"Lord Howe, fold", "Australia/Lord_Howe", "2027-04-04T01:45:00Z", KT_LOCAL_FOLD, "2027-04-03T14:45:00Z", "2027-04-03T15:15:00Z", 1800},
    {"Troll, two hours", "Antarctica/Troll", "2027-03-28T01:30:00Z", KT_LOCAL_GAP, "2027-03-28T01:00:00Z", NULL, 7200},
    {"Apia, a whole day", "Pacific/Apia", "2011-12-30T12:00:00Z", KT_LOCAL_GAP, "2011-12-30T10:00:00Z", NULL, 86400},
    {"Dublin's summer is its standard", "Europe/Dublin", "2027-10-31T01:30:00Z", KT_LOCAL_FOLD, "2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z", 3600},
    {"Kathmandu", "Asia/Kathmandu", "2027-01-01T00:00:00Z", KT_LOCAL_ONCE, "2026-12-31T18:15:00Z", NULL, 0},
    /* clang-format on */
};

static void maps_local(void **state)
{
    const struct local_row *row = *state;
    kt_autozone struct kt_zone *zone = load(row->zone);
    struct kt_local local = kt_zone_local(zone, at(row->local));
    assert_int_equal(local.kind, row->kind);
    assert_int_equal(local.first_s, at(row->first));
    assert_int_equal(local.last_s, at(row->last == NULL ? row->first : row->last));
    assert_int_equal(local.size_s, row->size_s);
}

/* UTC to local and back again finds the instant, around every change. */
static void there_and_back(void **state)
{
    (void)state;
    static const char *const names[] = {"Europe/Berlin",     "America/New_York", "Pacific/Apia",
                                        "Africa/Casablanca", "Europe/Dublin",    "America/Caracas",
                                        "Asia/Pyongyang",    "Pacific/Chatham",  "UTC"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        kt_autozone struct kt_zone *zone = load(names[i]);
        int64_t change_s = at("1900-01-01T00:00:00Z");
        while (kt_zone_change_after(zone, change_s, &change_s) &&
               change_s < at("2100-01-01T00:00:00Z")) {
            assert_int_not_equal(kt_zone_offset(zone, change_s),
                                 kt_zone_offset(zone, change_s - 1));
            for (int64_t t = change_s - 9000; t < change_s + 9000; t += 599) {
                struct kt_local local = kt_zone_local(zone, t + kt_zone_offset(zone, t));
                assert_int_not_equal(local.kind, KT_LOCAL_GAP);
                assert_true(local.first_s == t || local.last_s == t);
            }
        }
    }
}

/* ---- names ---- */

static const struct name_row {
    const char *name, *zone;
    enum kt_kind kind;
    const char *hint;
} name_rows[] = {
    {"refuses an empty name", "", KT_INVALID, "Europe/Berlin"},
    {"refuses a step up", "../../etc/passwd", KT_INVALID, "Europe/Berlin"},
    {"refuses a step up inside", "Europe/../UTC", KT_INVALID, "Europe/Berlin"},
    {"refuses a root path", "/etc/passwd", KT_INVALID, "Europe/Berlin"},
    {"refuses a double slash", "Europe//Berlin", KT_INVALID, "Europe/Berlin"},
    {"refuses a slash at the end", "Europe/", KT_INVALID, "Europe/Berlin"},
    {"refuses a blank", "Europe/Berlin ", KT_INVALID, "Europe/Berlin"},
    {"refuses an abbreviation", "CET", KT_INVALID, "Europe/Berlin"},
    {"refuses an abbreviation with summer", "EST5EDT", KT_INVALID, "Europe/Berlin"},
    {"refuses a fixed offset", "+02:00", KT_INVALID, "Europe/Berlin"},
    {"refuses a fixed offset of tzdata", "Etc/GMT+5", KT_INVALID, "UTC"},
    {"refuses the host's zone", "localtime", KT_INVALID, "Europe/Berlin"},
    {"refuses leap seconds", "right/Europe/Berlin", KT_INVALID, "leave out"},
    {"refuses 64 characters", "Europe/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     KT_INVALID, "Europe/Berlin"},
    {"refuses a place that is none", "Europe/Atlantis", KT_NOT_FOUND, "upper and lower case"},
    {"refuses lower case", "europe/berlin", KT_NOT_FOUND, "upper and lower case"},
    {"refuses a folder", "America/Argentina", KT_NOT_FOUND, ""},
};

static void refuses_name(void **state)
{
    const struct name_row *row = *state;
    struct kt_zone *zone = NULL;
    struct kt_err err = {0};
    assert_int_equal(kt_zone_load(NULL, row->zone, &zone, &err), row->kind);
    assert_null(zone);
    assert_true(err.what[0] != '\0');
    if (strstr(err.hint, row->hint) == NULL)
        fail_msg("'%s' does not say '%s'", err.hint, row->hint);
}

static void says_what_is_missing(void **state)
{
    (void)state;
    struct kt_zone *zone = NULL;
    struct kt_err err = {0};
    assert_int_equal(kt_zone_load("/nonexistent", "Europe/Berlin", &zone, &err), KT_IO);
    assert_non_null(strstr(err.hint, "tzdata"));
    assert_int_equal(kt_zone_load("/nonexistent", "UTC", &zone, &err), KT_OK);
    kt_zone_free(zone);
}

static void reads_the_version(void **state)
{
    (void)state;
    char version[KT_ZONE_VERSION_TEXT];
    kt_zone_data_version("/nonexistent", version);
    assert_string_equal(version, "unknown");

    char dir[] = "/tmp/zone-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/tzdata.zi", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("# version 2031c\n# This zic input file is in the public domain.\n", file);
    (void)fclose(file);
    kt_zone_data_version(dir, version);
    (void)unlink(path);
    (void)rmdir(dir);
    assert_string_equal(version, "2031c");
}

/* ---- TZif made by hand ---- */

static void add_be(struct kt_buf *out, uint64_t v, unsigned bytes)
{
    for (unsigned i = bytes; i-- > 0;)
        kt_buf_add_u8(out, (uint8_t)(v >> (8 * i)));
}

static void add_header(struct kt_buf *out, char version, uint32_t leapcnt, uint32_t timecnt,
                       uint32_t typecnt)
{
    kt_buf_add(out, "TZif", 4);
    kt_buf_add_char(out, version);
    kt_buf_add(out, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15);
    add_be(out, 0, 4);
    add_be(out, 0, 4);
    add_be(out, leapcnt, 4);
    add_be(out, timecnt, 4);
    add_be(out, typecnt, 4);
    add_be(out, 4, 4);
}

static void add_type(struct kt_buf *out, int32_t offset_s)
{
    add_be(out, (uint32_t)offset_s, 4);
    add_be(out, 0, 2);
}

/* Two changes: +1h at 1000, 0 at 2000. */
static void make_tzif(struct kt_buf *out, const char *footer)
{
    kt_buf_init(out, 4096);
    add_header(out, '2', 0, 0, 1);
    add_type(out, 0);
    kt_buf_add(out, "UTC\0", 4);
    add_header(out, '2', 0, 2, 2);
    add_be(out, 1000, 8);
    add_be(out, 2000, 8);
    kt_buf_add(out, "\1\0", 2);
    add_type(out, 0);
    add_type(out, 3600);
    kt_buf_add(out, "ABC\0", 4);
    kt_buf_add_text(out, footer);
}

static void reads_version_1(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, 4096);
    add_header(&buf, '\0', 0, 2, 2);
    add_be(&buf, (uint32_t)-1000, 4);
    add_be(&buf, 2000, 4);
    kt_buf_add(&buf, "\1\0", 2);
    add_type(&buf, -3600);
    add_type(&buf, 7200);
    kt_buf_add(&buf, "ABC\0", 4);
    kt_autozone struct kt_zone *zone = NULL;
    assert_int_equal(kt_zone_parse(kt_buf_bytes(&buf), "Some/Where", &zone, NULL), KT_OK);
    assert_string_equal(kt_zone_name(zone), "Some/Where");
    assert_int_equal(kt_zone_offset(zone, -1001), -3600);
    assert_int_equal(kt_zone_offset(zone, -1000), 7200);
    assert_int_equal(kt_zone_offset(zone, 1999), 7200);
    assert_int_equal(kt_zone_offset(zone, 2000), -3600);
    int64_t change_s = 0;
    assert_false(kt_zone_change_after(zone, 2000, &change_s));
}

static void refuses_every_cut(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf buf;
    make_tzif(&buf, "\nABC0\n");
    struct kt_zone *zone = NULL;
    for (size_t len = 0; len < buf.len; len++) {
        assert_int_equal(kt_zone_parse(kt_bytes(buf.at, len), "A/B", &zone, NULL), KT_CORRUPT);
        assert_null(zone);
    }
    assert_int_equal(kt_zone_parse(kt_buf_bytes(&buf), "A/B", &zone, NULL), KT_OK);
    kt_zone_free(zone);
}

static void refuses_bad_tables(void **state)
{
    (void)state;
    struct kt_zone *zone = NULL;
    kt_autobuf struct kt_buf buf;
    make_tzif(&buf, "\nABC0\n");
    const size_t second = 44 + 6 + 4, times = second + 44;
    const struct {
        size_t at;
        unsigned char byte;
    } spoiled[] = {
        {0, 'X'},           /* magic */
        {4, 'A'},           /* version */
        {second + 3, 'g'},  /* magic of the second part */
        {second + 31, 1},   /* leap seconds */
        {second + 39, 0},   /* no types */
        {times + 0, 0x7F},  /* not ascending */
        {times + 16, 2},    /* no such type */
        {times + 18, 0x7F}, /* an offset of years */
    };
    for (size_t i = 0; i < sizeof spoiled / sizeof spoiled[0]; i++) {
        unsigned char saved = buf.at[spoiled[i].at];
        buf.at[spoiled[i].at] = spoiled[i].byte;
        assert_int_equal(kt_zone_parse(kt_buf_bytes(&buf), "A/B", &zone, NULL), KT_CORRUPT);
        buf.at[spoiled[i].at] = saved;
    }
}

static const struct footer_row {
    const char *name, *footer;
    bool good;
} footer_rows[] = {
    {"footer: none known", "\n\n", true},
    {"footer: fixed", "\nUTC0\n", true},
    {"footer: quoted name", "\n<+00>-0\n", true},
    {"footer: summer", "\nGMT0BST,M3.5.0/1,M10.5.0\n", true},
    {"footer: julian days", "\nGMT0BST,J60/1,J300\n", true},
    {"footer: days", "\nGMT0BST,59/-1,300/30:15:10\n", true},
    {"footer: contradicts the table", "\nCET-1\n", false},
    {"footer: missing", "", false},
    {"footer: not ended", "\nUTC0", false},
    {"footer: short name", "\nUT0\n", false},
    {"footer: no offset", "\nUTC\n", false},
    {"footer: summer without dates", "\nGMT0BST\n", false},
    {"footer: one date", "\nGMT0BST,M3.5.0/1\n", false},
    {"footer: month 13", "\nGMT0BST,M13.5.0/1,M10.5.0\n", false},
    {"footer: week 0", "\nGMT0BST,M3.0.0/1,M10.5.0\n", false},
    {"footer: weekday 7", "\nGMT0BST,M3.5.7/1,M10.5.0\n", false},
    {"footer: julian 0", "\nGMT0BST,J0,J300\n", false},
    {"footer: hour 168", "\nGMT0BST,M3.5.0/168,M10.5.0\n", false},
    {"footer: something after it", "\nUTC0 \n", false},
};

static void reads_footer(void **state)
{
    const struct footer_row *row = *state;
    kt_autobuf struct kt_buf buf;
    make_tzif(&buf, row->footer);
    struct kt_zone *zone = NULL;
    enum kt_kind kind = kt_zone_parse(kt_buf_bytes(&buf), "A/B", &zone, NULL);
    kt_zone_free(zone);
    assert_int_equal(kind, row->good ? KT_OK : KT_CORRUPT);
}

/* RFC 8536 3.3.1: summer time all the year is one offset and no change. */
static void summer_all_year(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, 4096);
    add_header(&buf, '3', 0, 0, 1);
    add_type(&buf, -14400);
    kt_buf_add(&buf, "EDT\0", 4);
    add_header(&buf, '3', 0, 0, 1);
    add_type(&buf, -14400);
    kt_buf_add(&buf, "EDT\0", 4);
    kt_buf_add_text(&buf, "\nXXX3EDT4,0/0,J365/23\n");
    kt_autozone struct kt_zone *zone = NULL;
    assert_int_equal(kt_zone_parse(kt_buf_bytes(&buf), "A/B", &zone, NULL), KT_OK);
    int64_t change_s = 0;
    for (int64_t t = 0; t < 400000000; t += 999983) {
        assert_int_equal(kt_zone_offset(zone, t), -14400);
        assert_false(kt_zone_change_after(zone, t, &change_s));
    }
}

static void parse_rule(const char *footer, struct kt_zone **ret)
{
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, 4096);
    for (int part = 0; part < 2; part++) {
        add_header(&buf, '3', 0, 0, 1);
        add_type(&buf, 0);
        kt_buf_add(&buf, "ABC\0", 4);
    }
    kt_buf_add_text(&buf, footer);
    assert_int_equal(kt_zone_parse(kt_buf_bytes(&buf), "A/B", ret, NULL), KT_OK);
}

/* Rules that tzdata does not have: summers that overlap, that begin and end in another year, that
 * exist in leap years only. The two questions must agree on them. */
static void unusual_rules_are_consistent(void **state)
{
    (void)state;
    static const char *const footers[] = {
        "\nXXX2EDT4,0/0,J365/23\n",   "\nAAA0BBB,J1/-167,J365/167\n",
        "\nAAA0BBB,365/167,0/-167\n", "\nAAA0BBB,J60/2,59/3\n",
        "\nAAA0BBB,J59/26,59/3\n",    "\nAAA24BBB-24,M1.1.0,M12.5.6\n",
    };
    for (size_t i = 0; i < sizeof footers / sizeof footers[0]; i++) {
        kt_autozone struct kt_zone *zone = NULL;
        parse_rule(footers[i], &zone);
        int64_t from_s = at("2003-06-01T00:00:00Z"), next_s = 0;
        int64_t offset_s = kt_zone_offset(zone, from_s);
        bool changes = kt_zone_change_after(zone, from_s, &next_s);
        for (int64_t t = from_s; t < at("2017-01-01T00:00:00Z"); t += 1800) {
            if (changes && t >= next_s) {
                offset_s = kt_zone_offset(zone, next_s);
                assert_int_not_equal(kt_zone_offset(zone, next_s - 1), offset_s);
                changes = kt_zone_change_after(zone, next_s, &next_s);
            }
            if (kt_zone_offset(zone, t) != offset_s)
                fail_msg("rule %zu: another offset at %jd", i, (intmax_t)t);
        }
    }
}

#ifdef KT_FAULT
static void survives_no_memory(void **state)
{
    (void)state;
    for (unsigned long nth = 1;; nth++) {
        struct kt_zone *zone = NULL;
        (void)kt_fail_allocation(nth);
        enum kt_kind kind = kt_zone_load(NULL, "Europe/Berlin", &zone, NULL);
        unsigned long made = kt_fail_allocation(0);
        kt_zone_free(zone);
        if (kind == KT_OK) {
            assert_true(made < nth);
            break;
        }
        assert_int_equal(kind, KT_NO_MEMORY);
    }
}
#endif

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(there_and_back),     cmocka_unit_test(says_what_is_missing),
        cmocka_unit_test(reads_the_version),  cmocka_unit_test(reads_version_1),
        cmocka_unit_test(refuses_every_cut),  cmocka_unit_test(refuses_bad_tables),
        cmocka_unit_test(summer_all_year),    cmocka_unit_test(unusual_rules_are_consistent),
#ifdef KT_FAULT
        cmocka_unit_test(survives_no_memory),
#endif
    };
    static struct CMUnitTest
        tests[COUNT(plain) + COUNT(local_rows) + COUNT(name_rows) + COUNT(footer_rows)];
    size_t n = 0;
    for (size_t i = 0; i < COUNT(plain); i++)
        tests[n++] = plain[i];
    for (size_t i = 0; i < COUNT(local_rows); i++)
        tests[n++] = (struct CMUnitTest){local_rows[i].name, maps_local, NULL, NULL,
                                         (void *)(uintptr_t)&local_rows[i]};
    for (size_t i = 0; i < COUNT(name_rows); i++)
        tests[n++] = (struct CMUnitTest){name_rows[i].name, refuses_name, NULL, NULL,
                                         (void *)(uintptr_t)&name_rows[i]};
    for (size_t i = 0; i < COUNT(footer_rows); i++)
        tests[n++] = (struct CMUnitTest){footer_rows[i].name, reads_footer, NULL, NULL,
                                         (void *)(uintptr_t)&footer_rows[i]};
    return cmocka_run_group_tests_name("zone", tests, NULL, NULL);
}
