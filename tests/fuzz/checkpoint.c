/* tests/fuzz/checkpoint.c - signed notes and public keys: what opens is written again the same; what
 * nobody signed is never taken for signed; a file of notes is taken apart without losing a byte. */
#include <sodium.h>

#include "lib/assert.h"
#include "lib/checkpoint.h"

#include "tests/fuzz/fuzz.h"

static void round_trip(const struct kt_checkpoint *checkpoint)
{
    unsigned char seed[32] = {1}, public[32], secret[64];
    struct kt_note_key key;
    struct kt_checkpoint back;
    (void)crypto_sign_seed_keypair(public, secret, seed);
    if (kt_note_key_make(checkpoint->origin, public, &key, NULL) != KT_OK)
        return; /* other logs' origins may have spaces */
    kt_autobuf struct kt_buf note;
    kt_buf_init(&note, 4096);
    KT_ASSERT(kt_checkpoint_sign(checkpoint, &key, secret, &note, NULL) == KT_OK);
    KT_ASSERT(kt_checkpoint_open(kt_buf_bytes(&note), &key, &back, NULL) == KT_OK);
    KT_ASSERT(memcmp(&back, checkpoint, sizeof back) == 0);
}

static void key_text(struct kt_bytes text)
{
    struct kt_note_key key, again;
    char out[KT_NOTE_KEY_TEXT];
    if (kt_note_key_parse(text, &key, NULL) != KT_OK)
        return;
    kt_note_key_text(&key, out);
    KT_ASSERT(kt_note_key_parse(kt_str(out), &again, NULL) == KT_OK);
    KT_ASSERT(memcmp(&key, &again, sizeof key) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_bytes input = kt_bytes(data, size), rest = input, note;
    struct kt_checkpoint checkpoint;
    struct kt_note_key nobody;
    static const unsigned char no_key[32] = {7};
    if (kt_checkpoint_open(input, NULL, &checkpoint, NULL) == KT_OK) {
        round_trip(&checkpoint);
        struct kt_bytes whole = input;
        KT_ASSERT(kt_note_next(&whole, &note) && note.len <= size);
    }
    KT_ASSERT(kt_note_key_make("keyturn.example/vault-1", no_key, &nobody, NULL) == KT_OK);
    KT_ASSERT(kt_checkpoint_open(input, &nobody, &checkpoint, NULL) != KT_OK);
    size_t taken = 0;
    while (kt_note_next(&rest, &note)) {
        KT_ASSERT(note.len > 0 && note.at == data + taken);
        taken += note.len;
    }
    KT_ASSERT(taken + rest.len == size);
    key_text(input);
    return 0;
}
