/* tests/fuzz/audit_bundle.c - an export of the audit log: whatever the files hold, a verdict or an
 * error; nothing unsigned is ever proven; what was made from the records themselves is intact.
 *
 * First byte: 1 the leaf hashes are made from the lines, 2 a checkpoint of all leaves is signed, 4 a
 * selection. Then two lengths (u16) of the files of records and leaves; the rest is checkpoints. */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/assert.h"
#include "lib/audit_verify.h"

#include "tests/fuzz/fuzz.h"

static const char *put(int which, struct kt_bytes bytes)
{
    static char names[3][64];
    (void)snprintf(names[which], sizeof names[which], "/dev/shm/keyturn-fuzz-bundle-%d-%d",
                   (int)getpid(), which);
    int fd = open(names[which], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    KT_ASSERT(fd >= 0);
    KT_ASSERT(bytes.len == 0 || write(fd, bytes.at, bytes.len) == (ssize_t)bytes.len);
    (void)close(fd);
    return names[which];
}

static void remove_files(const struct kt_audit_bundle *bundle)
{
    (void)unlink(bundle->records);
    (void)unlink(bundle->leaves);
    (void)unlink(bundle->checkpoints);
}

static uint64_t leaves_of(struct kt_bytes records, struct kt_buf *leaves)
{
    uint64_t n = 0;
    kt_buf_reset(leaves);
    while (records.len > 0) {
        const unsigned char *end = memchr(records.at, '\n', records.len);
        size_t len = end == NULL ? records.len : (size_t)(end - records.at);
        unsigned char leaf[KT_HASH_BYTES];
        kt_merkle_leaf(kt_bytes(records.at, len), leaf);
        kt_buf_add(leaves, leaf, sizeof leaf);
        size_t step = end == NULL ? len : len + 1;
        records.at += step;
        records.len -= step;
        n++;
    }
    return n;
}

static void sign(const struct kt_buf *leaves, const struct kt_note_key *key,
                 const unsigned char secret[64], struct kt_buf *notes)
{
    struct kt_merkle tree;
    kt_merkle_init(&tree);
    for (size_t at = 0; at + KT_HASH_BYTES <= leaves->len; at += KT_HASH_BYTES)
        kt_merkle_push(&tree, leaves->at + at, NULL, NULL);
    struct kt_checkpoint checkpoint = {.size = tree.size};
    memcpy(checkpoint.origin, key->name, sizeof checkpoint.origin);
    kt_merkle_root(&tree, checkpoint.root);
    KT_ASSERT(kt_checkpoint_sign(&checkpoint, key, secret, notes, NULL) == KT_OK);
}

static struct kt_bytes part(struct kt_bytes *rest, size_t len)
{
    if (len > rest->len)
        len = rest->len;
    struct kt_bytes bytes = kt_bytes(rest->at, len);
    rest->at += len;
    rest->len -= len;
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char seed[32] = {1}, public[32], secret[64];
    struct kt_note_key key;
    char key_text[KT_NOTE_KEY_TEXT];
    if (size < 5)
        return 0;
    unsigned mode = data[0];
    struct kt_bytes rest = kt_bytes(data + 5, size - 5);
    struct kt_bytes records = part(&rest, kt_get_u16(data + 1));
    struct kt_bytes raw_leaves = part(&rest, kt_get_u16(data + 3));
    (void)crypto_sign_seed_keypair(public, secret, seed);
    KT_ASSERT(kt_note_key_make("fuzz/f1", public, &key, NULL) == KT_OK);
    kt_note_key_text(&key, key_text);
    kt_autobuf struct kt_buf leaves, notes;
    kt_buf_init(&leaves, 1 << 24);
    kt_buf_init(&notes, 1 << 24);
    uint64_t lines = leaves_of(records, &leaves);
    if ((mode & 1) == 0) {
        kt_buf_reset(&leaves);
        kt_buf_add_bytes(&leaves, raw_leaves);
    }
    if (mode & 2)
        sign(&leaves, &key, secret, &notes);
    else
        kt_buf_add_bytes(&notes, rest); /* behind a note they might change it */
    const struct kt_audit_bundle bundle = {.records = put(0, records),
                                           .leaves = put(1, kt_buf_bytes(&leaves)),
                                           .checkpoints = put(2, kt_buf_bytes(&notes)),
                                           .public_key = key_text,
                                           .partial = (mode & 4) != 0};
    struct kt_audit_verdict verdict;
    enum kt_kind kind = kt_audit_verify(&bundle, &verdict, NULL);
    remove_files(&bundle);
    KT_ASSERT((kind == KT_OK) == (leaves.len % KT_HASH_BYTES == 0));
    if (kind != KT_OK)
        return 0;
    KT_ASSERT(verdict.sentence[0] != '\0' && verdict.records == lines);
    KT_ASSERT(verdict.leaves == leaves.len / KT_HASH_BYTES);
    if ((mode & 2) == 0)
        KT_ASSERT(verdict.proven == 0);
    if ((mode & 7) == 3)
        KT_ASSERT(verdict.proven == lines && verdict.finding != KT_AUDIT_RECORD_ALTERED &&
                  verdict.finding != KT_AUDIT_RECORD_MISSING &&
                  verdict.finding != KT_AUDIT_LEAVES_ALTERED);
    return 0;
}
