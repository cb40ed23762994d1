/* Records are read through a table by format number: an older format is a row more, a newer one is
 * refused by name, and what is left over is damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vaultd/barrier/format.h"

struct shape {
    unsigned corners;
    bool old;
};

/* Format 0, as a test makes one up: a byte. */
static void read_0(struct kt_reader *r, void *ret)
{
    struct shape *shape = ret;
    shape->corners = kt_read_u8(r);
    shape->old = true;
}

static void read_1(struct kt_reader *r, void *ret)
{
    struct shape *shape = ret;
    shape->corners = kt_read_u32(r);
}

static format_reader *const with_0[] = {[0] = read_0, [1] = read_1};
static format_reader *const without_0[] = {[1] = read_1};

static const struct row {
    const char *name, *bytes;
    size_t len;
    bool with_0;
    unsigned corners; /* 0: refused */
    const char *says;
} rows[] = {
    {"the newest", "\1\3\0\0\0", 5, true, 3, NULL},
    {"format 0", "\0\4", 2, true, 4, NULL},
    {"format 0 where no row is", "\0\4", 2, false, 0, "a shape: format 0 is unknown to this vaultd (1)"},
    {"a newer one", "\2\3\0\0\0", 5, true, 0,
     "a shape: format 2 is newer than this vaultd (1): install the newer version"},
    {"too short", "\1\3\0\0", 4, true, 0, "is not as this vaultd knows format 1"},
    {"too long", "\1\3\0\0\0\0", 6, true, 0, "is not as this vaultd knows format 1"},
    {"nothing", "", 0, false, 0, "a shape: format 0 is unknown"},
};

static void reads(void **state)
{
    const struct row *row = *state;
    struct kt_err err = {0};
    struct shape shape = {0};
    struct kt_bytes bytes = kt_bytes(row->bytes, row->len);
    enum kt_kind kind = row->with_0 ? FORMAT_READ("a shape", bytes, with_0, &shape, &err)
                                    : FORMAT_READ("a shape", bytes, without_0, &shape, &err);
    assert_int_equal(kind, row->corners == 0 ? KT_CORRUPT : KT_OK);
    if (kind == KT_OK) {
        assert_int_equal(shape.corners, row->corners);
        assert_int_equal(shape.old, row->bytes[0] == 0);
    } else if (strstr(err.what, row->says) == NULL) {
        fail_msg("expected '%s', got '%s'", row->says, err.what);
    }
}

int main(void)
{
    struct CMUnitTest tests[sizeof rows / sizeof rows[0]];
    memset(tests, 0, sizeof tests);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tests[i].name = rows[i].name;
        tests[i].test_func = reads;
        tests[i].initial_state = (void *)(uintptr_t)&rows[i];
    }
    return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
