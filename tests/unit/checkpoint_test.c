#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>

#include "lib/checkpoint.h"

/* One leaf {"seq":0}, signed by another implementation (OpenSSL's Ed25519). */
#define BODY                                                                                       \
    "keyturn.example/vault-1\n1\npAKw429aroVFc2D88AolRbh91H8xBVPnsNMtbQrEQA0=\n"
#define SIGNATURE                                                                                  \
    "\xE2\x80\x94 keyturn.example/vault-1 "                                                       \
    "kzUA2yOtpJKtj8qOPCGtbGp3CvHVCqGT1B+U9D/qNn31VZ+nYDV/"                                         \
    "GoyVWRD6D9Z4SR0sOiD4tT2PClLVwysLmO3IVg4=\n"
#define NOTE  BODY "\n" SIGNATURE
#define KEY   "keyturn.example/vault-1+933500db+Ae3DaSIlbnQmICEi3U70VtADKit3Xu0MuNbJ/bgQf9Qp"
#define OTHER "\xE2\x80\x94 witness.example AAAAAAAAAAAAAAAAAAAAAAAA\n"

static void vector(void **state)
{
    (void)state;
    struct kt_note_key key, again;
    assert_int_equal(kt_note_key_parse(kt_str(KEY), &key, NULL), KT_OK);
    assert_string_equal(key.name, "keyturn.example/vault-1");
    char text[KT_NOTE_KEY_TEXT];
    kt_note_key_text(&key, text);
    assert_string_equal(text, KEY);
    assert_int_equal(kt_note_key_make(key.name, key.key, &again, NULL), KT_OK);
    assert_memory_equal(again.id, "\x93\x35\x00\xdb", 4);
    assert_int_equal(kt_note_key_parse(kt_str(KEY "\n"), &again, NULL), KT_OK);

    struct kt_checkpoint checkpoint;
    assert_int_equal(kt_checkpoint_open(kt_str(NOTE), &key, &checkpoint, NULL), KT_OK);
    assert_string_equal(checkpoint.origin, "keyturn.example/vault-1");
    assert_int_equal(checkpoint.size, 1);
    unsigned char root[KT_HASH_BYTES];
    kt_merkle_leaf(kt_str("{\"seq\":0}"), root);
    assert_memory_equal(checkpoint.root, root, sizeof root);
}

/* Ed25519 signatures are deterministic: what we sign with a known seed stands here whole. */
static void signs(void **state)
{
    (void)state;
    unsigned char seed[32], public[32], secret[64];
    memset(seed, 7, sizeof seed);
    (void)crypto_sign_seed_keypair(public, secret, seed);
    struct kt_note_key key;
    assert_int_equal(kt_note_key_make("keyturn/test/f1", public, &key, NULL), KT_OK);
    struct kt_checkpoint checkpoint = {.origin = "keyturn/test/f1", .size = 12345}, back;
    kt_merkle_leaf(kt_str("x"), checkpoint.root);
    kt_autobuf struct kt_buf note;
    kt_buf_init(&note, 4096);
    assert_int_equal(kt_checkpoint_sign(&checkpoint, &key, secret, &note, NULL), KT_OK);
    assert_int_equal(kt_checkpoint_open(kt_buf_bytes(&note), &key, &back, NULL), KT_OK);
    assert_memory_equal(&back, &checkpoint, sizeof back);
    const char *text = kt_buf_text(&note);
    const char *start = "keyturn/test/f1\n12345\n";
    assert_memory_equal(text, start, strlen(start));
    assert_non_null(strstr(text, "=\n\n\xE2\x80\x94 keyturn/test/f1 "));
    struct kt_checkpoint bad = {.origin = "has space"};
    assert_int_equal(kt_checkpoint_sign(&bad, &key, secret, &note, NULL), KT_INVALID);
}

static const struct row {
    const char *name, *note;
    enum kt_kind kind;
} rows[] = {
    {"as it is", NOTE, KT_OK},
    {"an unknown signature before", BODY "\n" OTHER SIGNATURE, KT_OK},
    {"an unknown signature behind", BODY "\n" SIGNATURE OTHER, KT_OK},
    {"signed twice", BODY "\n" SIGNATURE SIGNATURE, KT_OK},
    {"not signed by the key", BODY "\n" OTHER, KT_DENIED},
    {"another size", "keyturn.example/vault-1\n2\npAKw429aroVFc2D88AolRbh91H8xBVPnsNMtbQrEQA0=\n\n"
     SIGNATURE, KT_DENIED},
    {"an extension line that is not signed", BODY "extension\n\n" SIGNATURE, KT_DENIED},
    {"a leading zero",
     "keyturn.example/vault-1\n01\npAKw429aroVFc2D88AolRbh91H8xBVPnsNMtbQrEQA0=\n\n" SIGNATURE,
     KT_INVALID},
    {"no size", "keyturn.example/vault-1\n\npAKw429aroVFc2D88AolRbh91H8xBVPnsNMtbQrEQA0=\n\n" SIGNATURE,
     KT_INVALID},
    {"a size over 64 bits", "keyturn.example/vault-1\n18446744073709551616\n"
     "pAKw429aroVFc2D88AolRbh91H8xBVPnsNMtbQrEQA0=\n\n" SIGNATURE, KT_INVALID},
    {"a root that is too short", "keyturn.example/vault-1\n1\npAKw429aroVFc2D88AolRbh91H8xBVPn\n\n"
     SIGNATURE, KT_INVALID},
    {"a root with bits too many",
     "keyturn.example/vault-1\n1\npAKw429aroVFc2D88AolRbh91H8xBVPnsNMtbQrEQA1=\n\n" SIGNATURE,
     KT_INVALID},
    {"no empty line", BODY SIGNATURE, KT_INVALID},
    {"no signature", BODY "\n", KT_INVALID},
    {"no signature and no empty line", BODY, KT_INVALID},
    {"a torn signature", BODY "\n\xE2\x80\x94 keyturn.example/vault-1 kzUA2yOt", KT_INVALID},
    {"a short signature", BODY "\n\xE2\x80\x94 keyturn.example/vault-1 kzUA2yOt\n", KT_DENIED},
    {"a signature line without a name", BODY "\n\xE2\x80\x94 kzUA2yOt\n", KT_INVALID},
    {"a hyphen for the dash", BODY "\n- keyturn.example/vault-1 kzUA2yOt\n", KT_INVALID},
    {"a control character", "keyturn.example/vault-1\n1\r\n"
     "pAKw429aroVFc2D88AolRbh91H8xBVPnsNMtbQrEQA0=\n\n" SIGNATURE, KT_INVALID},
    {"not UTF-8", "keyturn\xC3(\n1\npAKw429aroVFc2D88AolRbh91H8xBVPnsNMtbQrEQA0=\n\n" SIGNATURE,
     KT_INVALID},
    {"two empty lines", BODY "\n\n" SIGNATURE, KT_INVALID},
    {"only newlines", "\n\n\n", KT_INVALID},
    {"nothing", "", KT_INVALID},
};

static void opens(void **state)
{
    const struct row *row = *state;
    struct kt_note_key key;
    struct kt_checkpoint checkpoint = {.size = 77};
    assert_int_equal(kt_note_key_parse(kt_str(KEY), &key, NULL), KT_OK);
    struct kt_err err = {0};
    enum kt_kind kind = kt_checkpoint_open(kt_str(row->note), &key, &checkpoint, &err);
    if (kind != row->kind)
        fail_msg("expected %s, got %s (%s)", kt_kind_name(row->kind), kt_kind_name(kind), err.what);
    if (kind != KT_OK) {
        assert_int_equal(checkpoint.size, 77);
        assert_true(err.what[0] != '\0');
    }
}

static void every_flipped_bit(void **state)
{
    (void)state;
    struct kt_note_key key;
    struct kt_checkpoint checkpoint;
    assert_int_equal(kt_note_key_parse(kt_str(KEY), &key, NULL), KT_OK);
    for (size_t i = 0; i < strlen(NOTE) * 8; i++) {
        char note[] = NOTE;
        note[i / 8] = (char)(note[i / 8] ^ (1 << i % 8));
        assert_int_not_equal(
            kt_checkpoint_open(kt_bytes(note, strlen(NOTE)), &key, &checkpoint, NULL), KT_OK);
    }
}

static void too_many_signatures(void **state)
{
    (void)state;
    struct kt_note_key key;
    struct kt_checkpoint checkpoint;
    assert_int_equal(kt_note_key_parse(kt_str(KEY), &key, NULL), KT_OK);
    for (unsigned n = 99; n <= 101; n++) {
        kt_autobuf struct kt_buf note;
        kt_buf_init(&note, 64 * 1024);
        kt_buf_add_text(&note, BODY "\n" SIGNATURE);
        for (unsigned i = 1; i < n; i++)
            kt_buf_add_text(&note, OTHER);
        assert_int_equal(kt_checkpoint_open(kt_buf_bytes(&note), &key, &checkpoint, NULL),
                         n <= 100 ? KT_OK : KT_INVALID);
    }
}

static void concatenated(void **state)
{
    (void)state;
    struct kt_bytes rest = kt_str(NOTE NOTE BODY "\n" OTHER SIGNATURE BODY "\n" "torn"), note;
    static const char *const want[] = {NOTE, NOTE, BODY "\n" OTHER SIGNATURE};
    for (size_t i = 0; i < 3; i++) {
        assert_true(kt_note_next(&rest, &note));
        assert_true(kt_bytes_is(note, want[i]));
    }
    assert_false(kt_note_next(&rest, &note));
    assert_true(kt_bytes_is(rest, BODY "\n" "torn"));
    rest = kt_str(BODY "\n\xE2\x80\x94 keyturn.example/vault-1 kzUA");
    assert_false(kt_note_next(&rest, &note));
    rest = kt_bytes(NULL, 0);
    assert_false(kt_note_next(&rest, &note));
}

static const struct key_row {
    const char *name, *text;
} key_rows[] = {
    {"key: empty", ""},
    {"key: no parts", "keyturn"},
    {"key: one part", "keyturn+933500db"},
    {"key: wrong checksum",
     "keyturn.example/vault-1+933500dc+Ae3DaSIlbnQmICEi3U70VtADKit3Xu0MuNbJ/bgQf9Qp"},
    {"key: another name",
     "keyturn.example/vault-2+933500db+Ae3DaSIlbnQmICEi3U70VtADKit3Xu0MuNbJ/bgQf9Qp"},
    {"key: unknown algorithm",
     "keyturn.example/vault-1+933500db+Au3DaSIlbnQmICEi3U70VtADKit3Xu0MuNbJ/bgQf9Qp"},
    {"key: cut", "keyturn.example/vault-1+933500db+Ae3DaSIlbnQmICEi3U70VtADKit3Xu0M"},
    {"key: white space in the name",
     "keyturn example+933500db+Ae3DaSIlbnQmICEi3U70VtADKit3Xu0MuNbJ/bgQf9Qp"},
    {"key: wide space in the name",
     "keyturn\xE2\x80\x83x+933500db+Ae3DaSIlbnQmICEi3U70VtADKit3Xu0MuNbJ/bgQf9Qp"},
};

static void key_refused(void **state)
{
    const struct key_row *row = *state;
    struct kt_note_key key;
    assert_int_equal(kt_note_key_parse(kt_str(row->text), &key, NULL), KT_INVALID);
}

#define N(a) (sizeof(a) / sizeof(a)[0])

int main(void)
{
    struct CMUnitTest tests[5 + N(rows) + N(key_rows)] = {
        cmocka_unit_test(vector), cmocka_unit_test(signs), cmocka_unit_test(every_flipped_bit),
        cmocka_unit_test(too_many_signatures), cmocka_unit_test(concatenated)};
    size_t n = 5;
    for (size_t i = 0; i < N(rows); i++)
        tests[n++] = (struct CMUnitTest){.name = rows[i].name, .test_func = opens,
                                         .initial_state = (void *)(uintptr_t)&rows[i]};
    for (size_t i = 0; i < N(key_rows); i++)
        tests[n++] = (struct CMUnitTest){.name = key_rows[i].name, .test_func = key_refused,
                                         .initial_state = (void *)(uintptr_t)&key_rows[i]};
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
