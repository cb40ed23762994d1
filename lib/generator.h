/* lib/generator.h - new secret values: uniform, of known entropy, harmless where they are pasted.
 *
 * What:    kt_generator_parse() checks what was asked for and computes its entropy exactly;
 *          kt_generate() draws a value into guarded memory. Characters are chosen uniformly by
 *          rejection; when a demanded class is missing everything is drawn again, so that the result
 *          is uniform over all allowed strings.
 * Kinds:   "password" (default): length characters of an alphabet, first a letter
 *          "hex", "base64", "base64url": length random bytes (default 32), encoded (base64 with
 *          padding)
 *          "uuid": a random UUID (122 bits)
 *          "ssh-ed25519": a private key as OpenSSH writes it (lib/ssh_key.h; 256 bits)
 *          "words": length words of lib/words.h, with a separator ('-') between them
 * Places:  exclude may be "places:" and names of kt_places[]: what makes trouble there is never used.
 * Default: 57 characters (base62 without 0 O 1 l I), 28 of them: 163 bits, no escaping anywhere.
 * Entropy: of the first character's alphabet and L-1 times the other's, less what the demanded
 *          classes exclude, which is counted exactly: with one of each class it is the inclusion-
 *          exclusion sum over the sets S of classes, (-1)^#S (A - size of S)^L. What kt_generate()
 *          must avoid is not counted: of characters far below a thousandth of a bit, of words a bit or two
 *          where an account has a name of three letters.
 * Owner:   configuration and generator are plain values; the value is the caller's kt_secret.
 * Limits:  4..512 characters, 4..256 bytes, 4..51 words; alphabets of 2..94 characters of printable ASCII
 *          without the blank.
 * Errors:  KT_INVALID: impossible, or below 96 bits without allow_weak, or fewer than one drawing in
 *          64 would have the demanded classes; the hint says what to change.
 * Threads: any thread. */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/secret.h"

#define KT_GENERATOR_BITS       160 /* aimed at when neither length nor bits are given */
#define KT_GENERATOR_BITS_FLOOR 96
#define KT_GENERATOR_LENGTH_MAX 512u

/* Zero and NULL mean "not given". */
struct kt_generator_config {
    const char *kind;
    int64_t length;       /* characters, or bytes of hex and base64 */
    int64_t bits;         /* instead of length: as short as gives so many */
    const char *alphabet; /* a name from kt_alphabets[], or "custom:" and the characters */
    const char *exclude;  /* characters never to use, or "places:" and names: "places:shell,url" */
    const char *separator; /* of words: one character that is no letter and no digit */
    int64_t min_lower, min_upper, min_digits, min_symbols;
    bool any_first;       /* the first character need not be a letter */
    bool allow_weak;
};

struct kt_alphabet {
    const char *name, *characters, *help;
};
/* Ends with a row of NULLs. */
extern const struct kt_alphabet kt_alphabets[];

/* Where a value may end up, and which characters make trouble there when nobody escapes them. The same form. */
extern const struct kt_alphabet kt_places[];

enum kt_generator_kind {
    KT_GENERATE_PASSWORD,
    KT_GENERATE_HEX,
    KT_GENERATE_BASE64,
    KT_GENERATE_BASE64URL,
    KT_GENERATE_UUID,
    KT_GENERATE_SSH_ED25519,
    KT_GENERATE_WORDS,
};
struct kt_generator {
    enum kt_generator_kind kind;
    size_t length;               /* characters, bytes, or words */
    char separator;
    char alphabet[96], first[96]; /* first: the first character's; both with NUL */
    size_t n_alphabet, n_first;
    size_t min[4]; /* lower, upper, digits, symbols */
    double bits;
};

enum kt_kind kt_generator_parse(const struct kt_generator_config *config, struct kt_generator *ret,
                                struct kt_err *err) KT_MUST_CHECK;
/* avoid: texts that the new value must not contain: the previous value, account names. Compared
 * without case; those under 3 bytes are not looked for, and in a key none. n_avoid may be 0. */
enum kt_kind kt_generate(const struct kt_generator *generator, const struct kt_bytes *avoid,
                         size_t n_avoid, struct kt_secret **ret, struct kt_err *err) KT_MUST_CHECK;
/* "28 characters of 57, first a letter: 162 bits". */
void kt_generator_describe(const struct kt_generator *generator, struct kt_buf *out);
