/* lib/checkpoint.h - signed notes that say "this log had n records with this root".
 *
 * What:    Reads and writes C2SP tlog-checkpoint bodies inside signed notes with Ed25519 keys.
 * Format:  origin LF size LF base64(root) LF [extension lines] LF, an empty line, then one or more
 *          "U+2014 SP name SP base64(key id 4 || signature 64) LF". The signature covers the text
 *          with its last LF and without the empty line. Key id: the first 4 bytes of
 *          SHA-256(name || 0x0A || 0x01 || key 32). A key as text: name+hex8(id)+base64(0x01||key).
 * Owner:   plain values; parsed parts point into the note.
 * Limits:  KT_CHECKPOINT_NOTE_MAX bytes a note, 100 signatures, origin and name as below.
 * Errors:  KT_INVALID: not a note, or refused by a limit. KT_DENIED: a signature of the given key
 *          that does not verify, or none of that key.
 * Threads: any thread.
 * Source:  C2SP signed-note and tlog-checkpoint. */
#pragma once

#include "lib/merkle.h"

#define KT_CHECKPOINT_NOTE_MAX       ((size_t)64 * 1024)
#define KT_CHECKPOINT_SIGNATURES_MAX 100u
#define KT_CHECKPOINT_NAME_MAX       127u /* of an origin or key name, without the NUL */
#define KT_NOTE_KEY_TEXT             256u

struct kt_note_key {
    char name[KT_CHECKPOINT_NAME_MAX + 1];
    unsigned char id[4];
    unsigned char key[32]; /* Ed25519, public */
};
/* A name: 1..127 bytes of printable ASCII or UTF-8, no white space, no '+'. */
enum kt_kind kt_note_key_make(const char *name, const unsigned char key[32],
                              struct kt_note_key *ret, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind kt_note_key_parse(struct kt_bytes text, struct kt_note_key *ret, struct kt_err *err)
    KT_MUST_CHECK;
void kt_note_key_text(const struct kt_note_key *key, char out[KT_NOTE_KEY_TEXT]);

struct kt_checkpoint {
    char origin[KT_CHECKPOINT_NAME_MAX + 1];
    uint64_t size;
    unsigned char root[KT_HASH_BYTES];
};
/* Appends the signed note to out. secret is libsodium's 64-byte Ed25519 key (seed || public). */
enum kt_kind kt_checkpoint_sign(const struct kt_checkpoint *checkpoint,
                                const struct kt_note_key *key, const unsigned char secret[64],
                                struct kt_buf *out, struct kt_err *err) KT_MUST_CHECK;
/* One note, whole, with nothing after it. Signatures of other keys are ignored; one of this key
 * that fails refuses the note. key NULL: the form is checked, no signature is. */
enum kt_kind kt_checkpoint_open(struct kt_bytes note, const struct kt_note_key *key,
                                struct kt_checkpoint *ret, struct kt_err *err) KT_MUST_CHECK;
/* The first of several notes written one after the other, and what is left behind it. False: no
 * whole note at the front (a torn end). */
bool kt_note_next(struct kt_bytes *rest, struct kt_bytes *ret_note);
