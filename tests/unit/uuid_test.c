/* lib/uuid: one form of text, there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/uuid.h"

static const unsigned char id[KT_UUID_BYTES] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                                0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF};
#define TEXT "00112233-4455-6677-8899-aabbccddeeff"

static void there_and_back(void **state)
{
    (void)state;
    char text[KT_UUID_TEXT];
    unsigned char back[KT_UUID_BYTES];
    kt_uuid_text(id, text);
    assert_string_equal(text, TEXT);
    assert_true(kt_uuid_parse(kt_str(TEXT), back));
    assert_memory_equal(back, id, sizeof id);
}

static void the_marks_of_version_4(void **state)
{
    (void)state;
    unsigned char all[KT_UUID_BYTES], none[KT_UUID_BYTES] = {0};
    char text[KT_UUID_TEXT];
    memset(all, 0xFF, sizeof all);
    kt_uuid_mark(all);
    kt_uuid_text(all, text);
    assert_string_equal(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    kt_uuid_mark(none);
    kt_uuid_text(none, text);
    assert_string_equal(text, "00000000-0000-4000-8000-000000000000");
}

static void no_other_form(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "00112233445566778899aabbccddeeff",
        "00112233-4455-6677-8899-aabbccddeef",
        TEXT "0",
        "00112233-4455-6677-8899-AABBCCDDEEFF",
        "00112233-4455-6677-8899-aabbccddeefg",
        "0011223-34455-6677-8899-aabbccddeeff",
        "00112233-4455-6677-88990aabbccddeeff",
        "001122334-455-6677-8899-aabbccddeeff",
        "-0112233-4455-6677-8899-aabbccddeeff",
        "00112233-4455-6677-8899-aabbccddeef-",
        "{0112233-4455-6677-8899-aabbccddeef}",
        "00112233 4455 6677 8899 aabbccddeeff",
    };
    unsigned char out[KT_UUID_BYTES];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (kt_uuid_parse(kt_str(texts[i]), out))
            fail_msg("'%s' was taken", texts[i]);
    assert_false(kt_uuid_parse(kt_bytes("00112233-4455-6677-8899-aabbccddeef\0", 36), out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(the_marks_of_version_4),
        cmocka_unit_test(no_other_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
