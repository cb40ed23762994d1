#include "lib/checkpoint.h"

#include <sodium.h>
#include <stdio.h>

#include "lib/num.h"

#define ALGORITHM_ED25519 0x01u
#define SIGNATURE_BYTES   (4u + 64u)
#define BASE64_MAX        256u
#define ROOT_BASE64       44u

static const unsigned char dash[] = {0xE2, 0x80, 0x94, ' '}; /* U+2014, space */

/* ---- characters ---- */

/* One UTF-8 character, shortest form, no surrogate. 0: not UTF-8 (NUL is refused with it). */
static uint32_t next_char(struct kt_bytes *text)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 1}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};
    for (size_t len = 1; len <= 4 && len <= text->len; len++) {
        unsigned char mask = forms[len - 1].mask;
        if ((text->at[0] & mask) != forms[len - 1].lead)
            continue;
        uint32_t c = text->at[0] & (unsigned char)~mask;
        for (size_t i = 1; i < len; i++) {
            if ((text->at[i] & 0xC0) != 0x80)
                return 0;
            c = (c << 6) | (text->at[i] & 0x3F);
        }
        text->at += len;
        text->len -= len;
        bool bad = c < forms[len - 1].least || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF);
        return bad ? 0 : c;
    }
    return 0;
}

static bool is_space(uint32_t c)
{
    return c <= 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static bool name_ok(struct kt_bytes name)
{
    if (name.len == 0 || name.len > KT_CHECKPOINT_NAME_MAX)
        return false;
    while (name.len > 0) {
        uint32_t c = next_char(&name);
        if (c == 0 || c == '+' || is_space(c))
            return false;
    }
    return true;
}

static bool text_ok(struct kt_bytes text)
{
    while (text.len > 0) {
        uint32_t c = next_char(&text);
        if (c == 0 || (c < 0x20 && c != '\n'))
            return false;
    }
    return true;
}

/* Standard base64 with padding, exactly out_len bytes. */
static bool decode(struct kt_bytes text, unsigned char *out, size_t out_len)
{
    size_t len = 0;
    if (text.len == 0 || text.len > BASE64_MAX)
        return false;
    return kt_base64_decode(text, out, out_len, &len) && len == out_len;
}

static void encode(const unsigned char *at, size_t len, char out[BASE64_MAX])
{
    (void)sodium_bin2base64(out, BASE64_MAX, at, len, sodium_base64_VARIANT_ORIGINAL);
}

/* ---- keys ---- */

enum kt_kind kt_note_key_make(const char *name, const unsigned char key[32],
                              struct kt_note_key *ret, struct kt_err *err)
{
    struct kt_bytes bytes = kt_str(name);
    if (!name_ok(bytes))
        return kt_fail(err, KT_INVALID,
                       "a log's name is 1 to %u characters without white space and '+'",
                       KT_CHECKPOINT_NAME_MAX);
    unsigned char input[KT_CHECKPOINT_NAME_MAX + 2 + 32], hash[KT_HASH_BYTES];
    memcpy(input, bytes.at, bytes.len);
    input[bytes.len] = '\n';
    input[bytes.len + 1] = ALGORITHM_ED25519;
    memcpy(input + bytes.len + 2, key, 32);
    kt_sha256(kt_bytes(input, bytes.len + 2 + 32), hash);
    memset(ret, 0, sizeof *ret);
    memcpy(ret->name, bytes.at, bytes.len);
    memcpy(ret->id, hash, sizeof ret->id);
    memcpy(ret->key, key, sizeof ret->key);
    return KT_OK;
}

enum kt_kind kt_note_key_parse(struct kt_bytes text, struct kt_note_key *ret, struct kt_err *err)
{
    const char *form = "a public key of a log has the form NAME+HEX8+BASE64";
    while (text.len > 0 && (text.at[text.len - 1] == '\n' || text.at[text.len - 1] == '\r'))
        text.len--;
    const unsigned char *plus = text.len == 0 ? NULL : memchr(text.at, '+', text.len);
    if (plus == NULL)
        return kt_fail(err, KT_INVALID, "%s", form);
    struct kt_bytes name = kt_bytes(text.at, (size_t)(plus - text.at));
    struct kt_bytes rest = kt_bytes(plus + 1, text.len - name.len - 1);
    unsigned char id[4], blob[33];
    if (!name_ok(name) || rest.len < 9 || rest.at[8] != '+' ||
        !kt_hex_decode(kt_bytes(rest.at, 8), id, sizeof id) ||
        !decode(kt_bytes(rest.at + 9, rest.len - 9), blob, sizeof blob) ||
        blob[0] != ALGORITHM_ED25519)
        return kt_fail(err, KT_INVALID, "%s", form);
    char copy[KT_CHECKPOINT_NAME_MAX + 1] = {0};
    memcpy(copy, name.at, name.len);
    struct kt_note_key key;
    enum kt_kind kind = kt_note_key_make(copy, blob + 1, &key, err);
    if (kind != KT_OK)
        return kind;
    if (memcmp(key.id, id, sizeof id) != 0)
        return kt_fail(err, KT_INVALID, "the public key's checksum is wrong: copy it again, whole");
    *ret = key;
    return KT_OK;
}

void kt_note_key_text(const struct kt_note_key *key, char out[KT_NOTE_KEY_TEXT])
{
    char id[9], base64[BASE64_MAX];
    unsigned char blob[33] = {ALGORITHM_ED25519};
    memcpy(blob + 1, key->key, 32);
    kt_hex_encode(key->id, sizeof key->id, id);
    encode(blob, sizeof blob, base64);
    (void)snprintf(out, KT_NOTE_KEY_TEXT, "%s+%.8s+%.44s", key->name, id, base64); /* fits */
}

/* ---- writing ---- */

enum kt_kind kt_checkpoint_sign(const struct kt_checkpoint *checkpoint,
                                const struct kt_note_key *key, const unsigned char secret[64],
                                struct kt_buf *out, struct kt_err *err)
{
    if (!name_ok(kt_str(checkpoint->origin)))
        return kt_fail(err, KT_INVALID, "the log's origin has white space, '+', or no characters");
    char root[BASE64_MAX], text[512], signature_text[BASE64_MAX];
    encode(checkpoint->root, sizeof checkpoint->root, root);
    int n = snprintf(text, sizeof text, "%s\n%ju\n%s\n", checkpoint->origin,
                     (uintmax_t)checkpoint->size, root);
    if (n < 0 || (size_t)n >= sizeof text)
        return kt_fail(err, KT_INTERNAL, "a checkpoint does not fit its buffer");
    size_t len = (size_t)n;
    unsigned char blob[SIGNATURE_BYTES];
    memcpy(blob, key->id, 4);
    (void)crypto_sign_detached(blob + 4, NULL, (const unsigned char *)text, len, secret);
    encode(blob, sizeof blob, signature_text);
    kt_buf_add(out, text, len);
    kt_buf_add_char(out, '\n');
    kt_buf_add(out, dash, sizeof dash);
    kt_buf_printf(out, "%s %s\n", key->name, signature_text);
    return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "writing a checkpoint");
}

/* ---- reading ---- */

/* The next line without its LF. False: no whole line. */
static bool next_line(struct kt_bytes *rest, struct kt_bytes *ret)
{
    const unsigned char *end = rest->len == 0 ? NULL : memchr(rest->at, '\n', rest->len);
    if (end == NULL)
        return false;
    *ret = kt_bytes(rest->at, (size_t)(end - rest->at));
    rest->at = end + 1;
    rest->len -= ret->len + 1;
    return true;
}

/* Text up to its last LF, and the signature lines behind the last empty line. */
static bool split_note(struct kt_bytes note, struct kt_bytes *ret_text, struct kt_bytes *ret_lines)
{
    if (note.len < 3 || note.at[note.len - 1] != '\n')
        return false;
    for (size_t at = note.len - 1; at-- > 1;) {
        if (note.at[at] != '\n' || note.at[at - 1] != '\n')
            continue;
        *ret_text = kt_bytes(note.at, at);
        *ret_lines = kt_bytes(note.at + at + 1, note.len - at - 1);
        return ret_lines->len > 0;
    }
    return false;
}

static bool parse_body(struct kt_bytes text, struct kt_checkpoint *ret)
{
    struct kt_bytes origin, size, root, extension;
    if (!next_line(&text, &origin) || !next_line(&text, &size) || !next_line(&text, &root))
        return false;
    /* Origins of other logs may contain spaces; none is longer than we hold. */
    if (origin.len == 0 || origin.len > KT_CHECKPOINT_NAME_MAX || root.len != ROOT_BASE64)
        return false;
    if ((size.len > 1 && size.at[0] == '0') || !kt_u64_parse(size, UINT64_MAX, &ret->size) ||
        !decode(root, ret->root, sizeof ret->root))
        return false;
    while (text.len > 0)
        if (!next_line(&text, &extension) || extension.len == 0)
            return false;
    memset(ret->origin, 0, sizeof ret->origin);
    memcpy(ret->origin, origin.at, origin.len);
    return true;
}

/* What one signature line is to us. */
enum signature { SIGNATURE_MALFORMED, SIGNATURE_OTHER, SIGNATURE_GOOD, SIGNATURE_BAD };

static enum signature check_signature(struct kt_bytes line, struct kt_bytes text,
                                      const struct kt_note_key *key)
{
    if (line.len < sizeof dash || memcmp(line.at, dash, sizeof dash) != 0)
        return SIGNATURE_MALFORMED;
    line.at += sizeof dash;
    line.len -= sizeof dash;
    const unsigned char *space = line.len == 0 ? NULL : memchr(line.at, ' ', line.len);
    if (space == NULL)
        return SIGNATURE_MALFORMED;
    struct kt_bytes name = kt_bytes(line.at, (size_t)(space - line.at));
    struct kt_bytes base64 = kt_bytes(space + 1, line.len - name.len - 1);
    unsigned char blob[BASE64_MAX];
    size_t len = 0;
    if (!name_ok(name) || base64.len > BASE64_MAX ||
        !kt_base64_decode(base64, blob, sizeof blob, &len) || len < 5)
        return SIGNATURE_MALFORMED;
    if (key == NULL || !kt_bytes_is(name, key->name) || memcmp(blob, key->id, 4) != 0)
        return SIGNATURE_OTHER;
    bool good = len == SIGNATURE_BYTES &&
                crypto_sign_verify_detached(blob + 4, text.at, text.len, key->key) == 0;
    return good ? SIGNATURE_GOOD : SIGNATURE_BAD;
}

enum kt_kind kt_checkpoint_open(struct kt_bytes note, const struct kt_note_key *key,
                                struct kt_checkpoint *ret, struct kt_err *err)
{
    struct kt_bytes text, lines, line;
    struct kt_checkpoint checkpoint;
    if (note.len > KT_CHECKPOINT_NOTE_MAX || !text_ok(note) || !split_note(note, &text, &lines) ||
        !parse_body(text, &checkpoint))
        return kt_fail(err, KT_INVALID, "this is not a checkpoint of a log");
    unsigned seen = 0;
    bool good = false;
    while (lines.len > 0) {
        if (!next_line(&lines, &line) || ++seen > KT_CHECKPOINT_SIGNATURES_MAX)
            return kt_fail(err, KT_INVALID, "a checkpoint has at most %u whole signature lines",
                           KT_CHECKPOINT_SIGNATURES_MAX);
        switch (check_signature(line, text, key)) {
        case SIGNATURE_MALFORMED:
            return kt_fail(err, KT_INVALID, "signature line %u of a checkpoint is malformed", seen);
        case SIGNATURE_BAD:
            return kt_fail(err, KT_DENIED, "the signature of %s under the checkpoint is wrong",
                           key->name);
        case SIGNATURE_GOOD:
            good = true;
            break;
        case SIGNATURE_OTHER:
            break;
        }
    }
    if (key != NULL && !good)
        return kt_fail(err, KT_DENIED, "the checkpoint is not signed by %s with this key",
                       key->name);
    *ret = checkpoint;
    return KT_OK;
}

bool kt_note_next(struct kt_bytes *rest, struct kt_bytes *ret_note)
{
    struct kt_bytes left = *rest, line;
    if (left.len > KT_CHECKPOINT_NOTE_MAX)
        left.len = KT_CHECKPOINT_NOTE_MAX;
    do
        if (!next_line(&left, &line))
            return false;
    while (line.len > 0);
    unsigned signatures = 0;
    while (left.len >= sizeof dash && memcmp(left.at, dash, sizeof dash) == 0) {
        if (!next_line(&left, &line))
            return false;
        signatures++;
    }
    if (signatures == 0)
        return false;
    size_t len = (size_t)(left.at - rest->at);
    *ret_note = kt_bytes(rest->at, len);
    rest->at += len;
    rest->len -= len;
    return true;
}
