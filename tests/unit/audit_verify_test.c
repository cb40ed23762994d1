#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/audit_verify.h"

#define RECORDS 1000u

/* An export of 1,000 records with checkpoints of 0, 100, 400, 401 and 900 in a folder of its own. */
static const uint64_t sizes[] = {0, 100, 400, 401, 900};
struct export {
    char folder[64];
    struct kt_buf records, leaves, notes;
    unsigned char secret[64];
    struct kt_note_key key;
    char key_text[KT_NOTE_KEY_TEXT];
};

static void add_record(struct export *e, unsigned seq, const char *what)
{
    char line[200];
    unsigned char leaf[KT_HASH_BYTES];
    int n = snprintf(line, sizeof line, "{\"type\":\"%s\",\"salt\":\"%08x\",\"seq\":%u}", what,
                     seq * 2654435761u, seq);
    kt_merkle_leaf(kt_bytes(line, (size_t)n), leaf);
    kt_buf_add(&e->records, line, (size_t)n);
    kt_buf_add_char(&e->records, '\n');
    kt_buf_add(&e->leaves, leaf, sizeof leaf);
}

static void sign(struct export *e, uint64_t size, struct kt_buf *out)
{
    struct kt_checkpoint checkpoint = {.size = size};
    struct kt_merkle tree;
    kt_merkle_init(&tree);
    for (uint64_t i = 0; i < size; i++)
        kt_merkle_push(&tree, e->leaves.at + i * KT_HASH_BYTES, NULL, NULL);
    kt_merkle_root(&tree, checkpoint.root);
    memcpy(checkpoint.origin, e->key.name, sizeof checkpoint.origin);
    assert_int_equal(kt_checkpoint_sign(&checkpoint, &e->key, e->secret, out, NULL), KT_OK);
}

static void put(const char *folder, const char *name, struct kt_bytes bytes)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    if (bytes.len > 0)
        assert_int_equal(fwrite(bytes.at, 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
}

static void write_files(struct export *e)
{
    put(e->folder, KT_AUDIT_RECORDS_FILE, kt_buf_bytes(&e->records));
    put(e->folder, KT_AUDIT_LEAVES_FILE, kt_buf_bytes(&e->leaves));
    put(e->folder, KT_AUDIT_CHECKPOINTS_FILE, kt_buf_bytes(&e->notes));
    put(e->folder, KT_AUDIT_KEY_FILE, kt_str(e->key_text));
}

static void make_key(struct export *e, unsigned char fill)
{
    unsigned char seed[32], public[32];
    memset(seed, fill, sizeof seed);
    (void)crypto_sign_seed_keypair(public, e->secret, seed);
    assert_int_equal(kt_note_key_make("keyturn/test/f1", public, &e->key, NULL), KT_OK);
    kt_note_key_text(&e->key, e->key_text);
}

static int setup(void **state)
{
    struct export *e = calloc(1, sizeof *e);
    if (e == NULL)
        return -1;
    (void)snprintf(e->folder, sizeof e->folder, "/tmp/audit-verify-XXXXXX");
    if (mkdtemp(e->folder) == NULL)
        return -1;
    kt_buf_init(&e->records, 1 << 24);
    kt_buf_init(&e->leaves, 1 << 24);
    kt_buf_init(&e->notes, 1 << 24);
    make_key(e, 9);
    for (unsigned i = 0; i < RECORDS; i++)
        add_record(e, i, "response");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        sign(e, sizes[i], &e->notes);
    write_files(e);
    *state = e;
    return 0;
}

static int teardown(void **state)
{
    struct export *e = *state;
    static const char *const files[] = {KT_AUDIT_RECORDS_FILE, KT_AUDIT_LEAVES_FILE,
                                        KT_AUDIT_CHECKPOINTS_FILE, KT_AUDIT_KEY_FILE, "kept"};
    char path[128];
    for (size_t i = 0; i < 5; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", e->folder, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(e->folder);
    kt_buf_free(&e->records);
    kt_buf_free(&e->leaves);
    kt_buf_free(&e->notes);
    free(e);
    return 0;
}

static struct kt_audit_verdict verify(struct export *e, const char *kept)
{
    struct kt_audit_verdict verdict = {0};
    struct kt_err err = {0};
    char path[128];
    (void)snprintf(path, sizeof path, "%s/kept", e->folder);
    enum kt_kind kind = kt_audit_verify_folder(e->folder, e->key_text, kept == NULL ? NULL : path, false,
                                               &verdict, &err);
    if (kind != KT_OK)
        fail_msg("%s: %s", kt_kind_name(kind), err.what);
    assert_true(strlen(verdict.sentence) > 40);
    assert_int_equal(kt_audit_good(&verdict), verdict.finding == KT_AUDIT_INTACT);
    return verdict;
}

#define EXPECT(verdict, wanted)                                                                    \
    do {                                                                                           \
        if ((verdict).finding != (wanted))                                                         \
            fail_msg("%s, not %s: %s", kt_audit_finding_name((verdict).finding),                  \
                     kt_audit_finding_name(wanted), (verdict).sentence);                           \
    } while (0)

/* Where line `seq` starts. */
static size_t line_at(const struct export *e, unsigned seq)
{
    size_t at = 0;
    for (unsigned i = 0; i < seq; i++)
        at = (size_t)((const unsigned char *)memchr(e->records.at + at, '\n', e->records.len - at) -
                      e->records.at) + 1;
    return at;
}

static void remove_lines(struct export *e, unsigned from, unsigned to)
{
    size_t start = line_at(e, from), end = line_at(e, to);
    memmove(e->records.at + start, e->records.at + end, e->records.len - end);
    e->records.len -= end - start;
}

static void intact(void **state)
{
    struct kt_audit_verdict verdict = verify(*state, NULL);
    EXPECT(verdict, KT_AUDIT_INTACT);
    assert_int_equal(verdict.records, RECORDS);
    assert_int_equal(verdict.leaves, RECORDS);
    assert_int_equal(verdict.checkpoints, 5);
    assert_int_equal(verdict.proven, 900);
    assert_string_equal(verdict.origin, "keyturn/test/f1");
    assert_non_null(strstr(verdict.sentence, "The last 100 records"));
    assert_false(verdict.key_from_bundle);
}

/* The key inside the export, and no newline at the end. */
static void own_key(void **state)
{
    struct export *e = *state;
    struct kt_audit_verdict verdict;
    e->records.len--;
    write_files(e);
    assert_int_equal(kt_audit_verify_folder(e->folder, NULL, NULL, false, &verdict, NULL), KT_OK);
    EXPECT(verdict, KT_AUDIT_INTACT);
    assert_true(verdict.key_from_bundle);
    assert_non_null(strstr(verdict.sentence, "The key came with the export"));
}

/* Each byte of some records, one bit at a time: the record is named, whatever the byte was. */
static void any_byte(void **state)
{
    struct export *e = *state;
    static const unsigned seqs[] = {0, 99, 100, 555, 899, 999};
    for (size_t i = 0; i < sizeof seqs / sizeof seqs[0]; i++) {
        size_t start = line_at(e, seqs[i]);
        size_t end = seqs[i] + 1 == RECORDS ? e->records.len : line_at(e, seqs[i] + 1);
        for (size_t at = start; at < end; at += 3) {
            e->records.at[at] ^= (unsigned char)(1u << at % 7);
            put(e->folder, KT_AUDIT_RECORDS_FILE, kt_buf_bytes(&e->records));
            struct kt_audit_verdict verdict = verify(e, NULL);
            EXPECT(verdict, KT_AUDIT_RECORD_ALTERED);
            assert_int_equal(verdict.seq, seqs[i]);
            assert_int_equal(verdict.line, seqs[i] + 1);
            e->records.at[at] ^= (unsigned char)(1u << at % 7);
        }
    }
}

static void record_missing(void **state)
{
    struct export *e = *state;
    remove_lines(e, 17, 20);
    write_files(e);
    struct kt_audit_verdict verdict = verify(e, NULL);
    EXPECT(verdict, KT_AUDIT_RECORD_MISSING);
    assert_int_equal(verdict.seq, 17);
    assert_int_equal(verdict.line, 18);
}

static void end_missing(void **state)
{
    struct export *e = *state;
    e->records.len = line_at(e, 950);
    write_files(e);
    struct kt_audit_verdict verdict = verify(e, NULL);
    EXPECT(verdict, KT_AUDIT_RECORD_MISSING);
    assert_int_equal(verdict.seq, 950);
}

static void swapped(void **state)
{
    struct export *e = *state;
    size_t a = line_at(e, 500), b = line_at(e, 501), c = line_at(e, 502);
    assert_int_equal(b - a, c - b);
    unsigned char line[200];
    memcpy(line, e->records.at + a, b - a);
    memcpy(e->records.at + a, e->records.at + b, b - a);
    memcpy(e->records.at + b, line, b - a);
    write_files(e);
    struct kt_audit_verdict verdict = verify(e, NULL);
    EXPECT(verdict, KT_AUDIT_RECORD_MISSING);
    assert_int_equal(verdict.seq, 500);
}

static void added(void **state)
{
    struct export *e = *state;
    kt_buf_add_text(&e->records, "{\"seq\":1000}\n");
    write_files(e);
    struct kt_audit_verdict verdict = verify(e, NULL);
    EXPECT(verdict, KT_AUDIT_RECORD_ALTERED);
    assert_int_equal(verdict.line, 1001);
}

/* A record and its leaf, as somebody would who knows the format: the range between checkpoints. */
static void with_leaf(void **state)
{
    struct export *e = *state;
    static const struct {
        unsigned seq;
        uint64_t from, to;
    } rows[] = {{50, 0, 100}, {100, 100, 400}, {399, 100, 400}, {400, 400, 401}, {500, 401, 900}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t start = line_at(e, rows[i].seq), end = line_at(e, rows[i].seq + 1);
        unsigned char *leaf = e->leaves.at + rows[i].seq * KT_HASH_BYTES, old[KT_HASH_BYTES];
        memcpy(old, leaf, sizeof old);
        e->records.at[start + 12] ^= 1;
        kt_merkle_leaf(kt_bytes(e->records.at + start, end - start - 1), leaf);
        write_files(e);
        struct kt_audit_verdict verdict = verify(e, NULL);
        EXPECT(verdict, KT_AUDIT_LEAVES_ALTERED);
        assert_int_equal(verdict.from, rows[i].from);
        assert_int_equal(verdict.to, rows[i].to);
        assert_int_equal(verdict.proven, rows[i].from);
        e->records.at[start + 12] ^= 1;
        memcpy(leaf, old, sizeof old);
    }
    /* Behind the last checkpoint nothing proves anything, and that is said. */
    size_t start = line_at(e, 950), end = line_at(e, 951);
    e->records.at[start + 12] ^= 1;
    kt_merkle_leaf(kt_bytes(e->records.at + start, end - start - 1),
                   e->leaves.at + 950 * KT_HASH_BYTES);
    write_files(e);
    struct kt_audit_verdict verdict = verify(e, NULL);
    EXPECT(verdict, KT_AUDIT_INTACT);
    assert_int_equal(verdict.proven, 900);
}

static void only_leaf(void **state)
{
    struct export *e = *state;
    e->leaves.at[500 * KT_HASH_BYTES] ^= 1;
    write_files(e);
    struct kt_audit_verdict verdict = verify(e, NULL);
    EXPECT(verdict, KT_AUDIT_LEAVES_ALTERED);
    assert_int_equal(verdict.from, 500);
    assert_int_equal(verdict.to, 501);
    assert_non_null(strstr(verdict.sentence, "the record itself"));
}

static void signature(void **state)
{
    struct export *e = *state;
    kt_buf_reset(&e->notes);
    sign(e, 100, &e->notes);
    size_t at = e->notes.len;
    sign(e, 400, &e->notes);
    size_t digit = at + strlen("keyturn/test/f1\n");
    assert_int_equal(e->notes.at[digit], '4');
    e->notes.at[digit] = '3';
    sign(e, 900, &e->notes);
    write_files(e);
    struct kt_audit_verdict verdict = verify(e, NULL);
    EXPECT(verdict, KT_AUDIT_SIGNATURE_BAD);
    assert_int_equal(verdict.note, 2);
    assert_int_equal(verdict.proven, 900);
    kt_buf_reset(&e->notes);
    kt_buf_add_text(&e->notes, "no note at all\n");
    write_files(e);
    verdict = verify(e, NULL);
    EXPECT(verdict, KT_AUDIT_SIGNATURE_BAD);
    assert_int_equal(verdict.note, 1);
}

static void another_key(void **state)
{
    struct export *e = *state;
    make_key(e, 10); /* what we keep; the export was signed by the other */
    struct kt_audit_verdict verdict = verify(e, NULL);
    EXPECT(verdict, KT_AUDIT_SIGNATURE_BAD);
    assert_int_equal(verdict.note, 1);
    assert_int_equal(verdict.proven, 0);
}

static void unproven(void **state)
{
    struct export *e = *state;
    kt_buf_reset(&e->notes);
    write_files(e);
    struct kt_audit_verdict verdict = verify(e, NULL);
    EXPECT(verdict, KT_AUDIT_UNPROVEN);
}

static void cut(void **state)
{
    struct export *e = *state;
    e->records.len = line_at(e, 700);
    e->leaves.len = (size_t)700 * KT_HASH_BYTES;
    write_files(e);
    struct kt_audit_verdict verdict = verify(e, NULL);
    EXPECT(verdict, KT_AUDIT_CUT);
    assert_int_equal(verdict.from, 700);
    assert_int_equal(verdict.to, 900);
    assert_int_equal(verdict.note, 5);
}

/* An old state put back, whole and consistent: only what was kept elsewhere tells. */
static void put_back(void **state)
{
    struct export *e = *state;
    kt_autobuf struct kt_buf kept;
    kt_buf_init(&kept, 4096);
    sign(e, 950, &kept);
    put(e->folder, "kept", kt_buf_bytes(&kept));
    struct kt_audit_verdict verdict = verify(e, "kept");
    EXPECT(verdict, KT_AUDIT_INTACT);
    assert_int_equal(verdict.proven, 950);

    e->records.len = line_at(e, 700);
    e->leaves.len = (size_t)700 * KT_HASH_BYTES;
    kt_buf_reset(&e->notes);
    sign(e, 400, &e->notes);
    sign(e, 700, &e->notes);
    write_files(e);
    verdict = verify(e, NULL);
    EXPECT(verdict, KT_AUDIT_INTACT);
    verdict = verify(e, "kept");
    EXPECT(verdict, KT_AUDIT_CUT);
    assert_int_equal(verdict.note, 0);
    assert_int_equal(verdict.from, 700);
    assert_int_equal(verdict.to, 950);

    /* And it went on from there, with other records. */
    for (unsigned i = 700; i < 1200; i++)
        add_record(e, i, "another");
    write_files(e);
    verdict = verify(e, "kept");
    EXPECT(verdict, KT_AUDIT_FORKED);
    assert_int_equal(verdict.note, 0);
    sign(e, 1200, &e->notes);
    write_files(e);
    verdict = verify(e, NULL);
    EXPECT(verdict, KT_AUDIT_INTACT);
    verdict = verify(e, "kept");
    EXPECT(verdict, KT_AUDIT_FORKED);
    assert_int_equal(verdict.from, 700);
    assert_int_equal(verdict.to, 950);
    assert_int_equal(verdict.proven, 1200);

    /* Both histories in one file of checkpoints. */
    kt_buf_add_bytes(&e->notes, kt_buf_bytes(&kept));
    write_files(e);
    verdict = verify(e, NULL);
    EXPECT(verdict, KT_AUDIT_FORKED);
    assert_int_equal(verdict.note, 4);
}

static void kept_of_another(void **state)
{
    struct export *e = *state;
    struct export other = *e;
    kt_autobuf struct kt_buf kept;
    kt_buf_init(&kept, 4096);
    make_key(&other, 11);
    sign(&other, 400, &kept);
    put(e->folder, "kept", kt_buf_bytes(&kept));
    struct kt_audit_verdict verdict = verify(e, "kept");
    EXPECT(verdict, KT_AUDIT_SIGNATURE_BAD);
    assert_int_equal(verdict.note, 0);
}

static void selection(void **state)
{
    struct export *e = *state;
    char paths[4][128];
    static const char *const files[] = {KT_AUDIT_RECORDS_FILE, KT_AUDIT_LEAVES_FILE,
                                        KT_AUDIT_CHECKPOINTS_FILE};
    for (size_t i = 0; i < 3; i++)
        (void)snprintf(paths[i], sizeof paths[i], "%s/%s", e->folder, files[i]);
    struct kt_audit_bundle bundle = {.records = paths[0], .leaves = paths[1],
                                     .checkpoints = paths[2], .public_key = e->key_text,
                                     .partial = true};
    struct kt_audit_verdict verdict;
    remove_lines(e, 600, 1000);
    remove_lines(e, 100, 500);
    remove_lines(e, 0, 3);
    write_files(e);
    assert_int_equal(kt_audit_verify(&bundle, &verdict, NULL), KT_OK);
    EXPECT(verdict, KT_AUDIT_INTACT);
    assert_int_equal(verdict.records, 197);
    size_t at = line_at(e, 150);
    e->records.at[at + 10] ^= 1;
    write_files(e);
    assert_int_equal(kt_audit_verify(&bundle, &verdict, NULL), KT_OK);
    EXPECT(verdict, KT_AUDIT_RECORD_ALTERED);
    assert_int_equal(verdict.line, 151);
    assert_int_equal(verdict.seq, 553);
    e->records.at[at + 10] ^= 1;
    kt_buf_add_text(&e->records, "{\"seq\":3}\n"); /* out of order */
    write_files(e);
    assert_int_equal(kt_audit_verify(&bundle, &verdict, NULL), KT_OK);
    EXPECT(verdict, KT_AUDIT_RECORD_ALTERED);
    assert_int_equal(verdict.line, 198);
}

static void nothing_at_all(void **state)
{
    struct export *e = *state;
    kt_buf_reset(&e->records);
    kt_buf_reset(&e->leaves);
    kt_buf_reset(&e->notes);
    write_files(e);
    struct kt_audit_verdict verdict = verify(e, NULL);
    EXPECT(verdict, KT_AUDIT_INTACT);
    assert_int_equal(verdict.leaves, 0);
}

static void unusable(void **state)
{
    struct export *e = *state;
    struct kt_audit_verdict verdict;
    struct kt_err err = {0};
    char path[128];
    e->leaves.len -= 5;
    write_files(e);
    assert_int_equal(kt_audit_verify_folder(e->folder, NULL, NULL, false, &verdict, &err), KT_INVALID);
    assert_non_null(strstr(err.what, "leaf hashes"));
    put(e->folder, KT_AUDIT_KEY_FILE, kt_str("nonsense"));
    assert_int_equal(kt_audit_verify_folder(e->folder, NULL, NULL, false, &verdict, &err), KT_INVALID);
    (void)snprintf(path, sizeof path, "%s/%s", e->folder, KT_AUDIT_KEY_FILE);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(kt_audit_verify_folder(e->folder, NULL, NULL, false, &verdict, &err), KT_NOT_FOUND);
    assert_non_null(strstr(err.what, KT_AUDIT_KEY_FILE));
}

static void long_lines(void **state)
{
    struct export *e = *state;
    static unsigned char line[3 * 1024 * 1024 + 1000];
    unsigned char leaf[KT_HASH_BYTES];
    memset(line, 'y', sizeof line);
    for (unsigned i = 0; i < 4; i++) {
        size_t len = (size_t)1024 * 1024 * i + 1000;
        kt_merkle_leaf(kt_bytes(line, len), leaf);
        kt_buf_add(&e->records, line, len);
        kt_buf_add_char(&e->records, '\n');
        kt_buf_add(&e->leaves, leaf, sizeof leaf);
    }
    sign(e, RECORDS + 4, &e->notes);
    write_files(e);
    struct kt_audit_verdict verdict = verify(e, NULL);
    EXPECT(verdict, KT_AUDIT_INTACT);
    assert_int_equal(verdict.proven, RECORDS + 4);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(intact),    T(own_key),     T(any_byte),  T(record_missing), T(end_missing),
        T(swapped),   T(added),       T(with_leaf), T(only_leaf),      T(signature),
        T(another_key), T(unproven),  T(cut),       T(put_back),       T(kept_of_another),
        T(selection), T(nothing_at_all), T(unusable), T(long_lines),
    };
    return cmocka_run_group_tests_name("audit_verify", tests, NULL, NULL);
}
