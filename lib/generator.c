#include "lib/generator.h"

#include <math.h>
#include <sodium.h>

#include "lib/cleanup.h"
#include "lib/random.h"
#include "lib/ssh_key.h"
#include "lib/uuid.h"
#include "lib/words.h"

#define LENGTH_MIN    4
#define BYTES_MAX     256
#define BYTES_DEFAULT 32
#define WORDS_MAX     51
#define UUID_BITS     122
#define ED25519_BITS  256
#define UUID_CHARS    (KT_UUID_TEXT - 1)
#define CLASSES       4
#define DRAWINGS      20000 /* at 1 in 64 the chance to need more is below 10^-136 */

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

const struct kt_alphabet kt_alphabets[] = {
    {"default", "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
     "letters and digits without 0 O 1 l I, which are mistaken for each other"},
    {"base62", DIGITS UPPER LOWER, "letters and digits"},
    {"base36", DIGITS LOWER, "lower-case letters and digits"},
    {"letters", UPPER LOWER, "letters"},
    {"digits", DIGITS, "digits; needs any_first"},
    {"url", DIGITS UPPER LOWER "-._~", "what a URL may hold unescaped"},
    {"printable", DIGITS UPPER LOWER "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
     "all of ASCII but the blank; most files and shells need escaping for it"},
    {NULL, NULL, NULL},
};

const struct kt_alphabet kt_places[] = {
    {"url", ":/?#[]@%+&=\\", "the user's part of a URL"},
    {"conninfo", "'\\:", "libpq's connection strings and .pgpass"},
    {"shell", "$`\"'\\!*?~#;&<>(){}[]|=%", "shells, and files of variables"},
    {"ini", "#;\"'\\=%[]", "INI files, my.cnf"},
    {"yaml", ":#{}[],&*!>%@|`\"'\\-?<=~", "YAML"},
    {"json", "\"\\", "JSON"},
    {"xml", "<>&\"'", "XML"},
    {"template", "${}", "Compose, Helm, Jinja"},
    {"crontab", "%", "commands of a crontab"},
    {"ldap", "*()\\,+\"<>;=#{}", "names and filters of LDAP"},
    {"redis", "><#!", "rules of Redis' ACLs"},
    {"basic", ":", "HTTP Basic, where the user's name is generated, too"},
    {"oracle", "\"@/", "Oracle"},
    {"sqlserver", ";", "SQL Server's connection strings"},
    {NULL, NULL, NULL},
};

static const char *const class_names[CLASSES] = {"lower-case letters", "upper-case letters",
                                                 "digits", "symbols"};

static int class_of(char c)
{
    return c >= 'a' && c <= 'z' ? 0 : c >= 'A' && c <= 'Z' ? 1 : c >= '0' && c <= '9' ? 2 : 3;
}

/* ---- entropy ---- */

/* The chance that n characters, of class c with chance p[c], have at least min[c] of each class:
 * n! times the n-th coefficient of the product of the series sum over k >= min of p^k / k!. */
static long double chance_of(size_t n, const long double p[CLASSES], const size_t min[CLASSES])
{
    long double product[KT_GENERATOR_LENGTH_MAX + 1] = {1}, next[KT_GENERATOR_LENGTH_MAX + 1];
    for (size_t c = 0; c < CLASSES; c++) {
        long double term = 1; /* p^k / k! */
        for (size_t i = 0; i <= n; i++)
            next[i] = 0;
        for (size_t k = 0; k <= n; k++) {
            if (k > 0)
                term *= p[c] / (long double)k;
            if (k < min[c])
                continue;
            for (size_t i = 0; i + k <= n; i++)
                next[i + k] += product[i] * term;
        }
        memcpy(product, next, sizeof next);
    }
    long double chance = product[n];
    for (size_t i = 2; i <= n; i++)
        chance *= (long double)i;
    return chance;
}

static void class_chances(const char *alphabet, size_t n, long double p[CLASSES])
{
    for (size_t c = 0; c < CLASSES; c++)
        p[c] = 0;
    for (size_t i = 0; i < n; i++)
        p[class_of(alphabet[i])] += 1 / (long double)n;
}

/* The chance that one drawing has the demanded classes. */
static long double success_of(const struct kt_generator *generator, size_t length)
{
    long double first[CLASSES], rest[CLASSES], success = 0;
    bool demanded = false;
    for (size_t c = 0; c < CLASSES; c++)
        demanded |= generator->min[c] > 0;
    if (!demanded)
        return 1;
    class_chances(generator->first, generator->n_first, first);
    class_chances(generator->alphabet, generator->n_alphabet, rest);
    for (size_t c = 0; c < CLASSES; c++) {
        size_t min[CLASSES];
        memcpy(min, generator->min, sizeof min);
        min[c] -= min[c] > 0;
        if (first[c] > 0)
            success += first[c] * chance_of(length - 1, rest, min);
    }
    return success;
}

static double bits_of(const struct kt_generator *generator, size_t length, long double success)
{
    return (double)(log2l((long double)generator->n_first) +
                    (long double)(length - 1) * log2l((long double)generator->n_alphabet) +
                    log2l(success));
}

/* ---- configuration ---- */

static enum kt_kind find_alphabet(const char *asked, const char **ret, struct kt_err *err)
{
    static const char custom[] = "custom:";
    if (asked == NULL || asked[0] == '\0')
        asked = "default";
    for (const struct kt_alphabet *a = kt_alphabets; a->name != NULL; a++)
        if (strcmp(a->name, asked) == 0) {
            *ret = a->characters;
            return KT_OK;
        }
    if (strncmp(asked, custom, sizeof custom - 1) == 0) {
        *ret = asked + sizeof custom - 1;
        return KT_OK;
    }
    (void)kt_fail(err, KT_INVALID, "alphabet: there is none of this name");
    kt_hint(err, "write default, base62, base36, letters, digits, url or printable; for your own "
                 "characters \"custom:\" and the characters");
    return KT_INVALID;
}

static const char *find_place(const char *name, size_t len)
{
    for (const struct kt_alphabet *p = kt_places; p->name != NULL; p++)
        if (strlen(p->name) == len && memcmp(p->name, name, len) == 0)
            return p->characters;
    return NULL;
}

static enum kt_kind no_such_place(struct kt_err *err)
{
    kt_autobuf struct kt_buf names;
    kt_buf_init(&names, 1024);
    for (const struct kt_alphabet *p = kt_places; p->name != NULL; p++)
        kt_buf_printf(&names, "%s%s", p == kt_places ? "" : ", ", p->name);
    (void)kt_fail(err, KT_INVALID, "exclude: there is no such place");
    kt_hint(err, "\"places:\" and of these, with commas: %s", kt_buf_text(&names));
    return KT_INVALID;
}

static enum kt_kind take_excluded(const char *exclude, bool excluded[256], struct kt_err *err)
{
    static const char places[] = "places:";
    bool named = exclude != NULL && strncmp(exclude, places, sizeof places - 1) == 0;
    const char *at = exclude == NULL ? "" : named ? exclude + sizeof places - 1 : exclude;
    while (named) {
        size_t len = strcspn(at, ",");
        const char *characters = find_place(at, len);
        if (characters == NULL)
            return no_such_place(err);
        for (; *characters != '\0'; characters++)
            excluded[(unsigned char)*characters] = true;
        if (at[len] == '\0')
            return KT_OK;
        at += len + 1;
    }
    for (; *at != '\0'; at++)
        excluded[(unsigned char)*at] = true;
    return KT_OK;
}

static enum kt_kind take_alphabet(const struct kt_generator_config *config,
                                  struct kt_generator *generator, struct kt_err *err)
{
    const char *characters = NULL;
    bool seen[256] = {false}, excluded[256] = {false};
    enum kt_kind kind = find_alphabet(config->alphabet, &characters, err);
    if (kind == KT_OK)
        kind = take_excluded(config->exclude, excluded, err);
    if (kind != KT_OK)
        return kind;
    for (const char *c = characters; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~')
            return kt_fail(err, KT_INVALID, "alphabet: only printable ASCII without the blank");
        if (seen[(unsigned char)*c])
            return kt_fail(err, KT_INVALID, "alphabet: '%c' stands in it twice", *c);
        seen[(unsigned char)*c] = true;
        if (excluded[(unsigned char)*c])
            continue;
        generator->alphabet[generator->n_alphabet++] = *c;
        if (config->any_first || class_of(*c) < 2)
            generator->first[generator->n_first++] = *c;
    }
    if (generator->n_alphabet < 2)
        return kt_fail(err, KT_INVALID, "alphabet: fewer than two characters are left");
    if (generator->n_first == 0) {
        (void)kt_fail(err, KT_INVALID, "alphabet: it has no letter for the first character");
        kt_hint(err, "set any_first = true if a value may begin with a digit or symbol: some files "
                     "and command lines take it for a number, an option or a comment");
        return KT_INVALID;
    }
    return KT_OK;
}

static enum kt_kind take_minimums(const struct kt_generator_config *config,
                                  struct kt_generator *generator, size_t *ret_sum,
                                  struct kt_err *err)
{
    const int64_t asked[CLASSES] = {config->min_lower, config->min_upper, config->min_digits,
                                    config->min_symbols};
    size_t sum = 0, have[CLASSES] = {0};
    for (size_t i = 0; i < generator->n_alphabet; i++)
        have[class_of(generator->alphabet[i])]++;
    for (size_t c = 0; c < CLASSES; c++) {
        if (asked[c] < 0 || asked[c] > KT_GENERATOR_LENGTH_MAX)
            return kt_fail(err, KT_INVALID, "the minimum of %s is not 0..%u", class_names[c],
                           KT_GENERATOR_LENGTH_MAX);
        if (asked[c] > 0 && have[c] == 0) {
            (void)kt_fail(err, KT_INVALID, "%s are demanded, but the alphabet has none",
                          class_names[c]);
            kt_hint(err, "choose another alphabet, or leave the minimum out");
            return KT_INVALID;
        }
        generator->min[c] = (size_t)asked[c];
        sum += generator->min[c];
    }
    *ret_sum = sum;
    return KT_OK;
}

static size_t shortest_for(const struct kt_generator *generator, size_t from, double bits)
{
    for (size_t length = from; length <= KT_GENERATOR_LENGTH_MAX; length++) {
        /* Without the classes it would be the upper bound: no need to count them before that. */
        if (bits_of(generator, length, 1) < bits)
            continue;
        long double success = success_of(generator, length);
        if (success >= 1.0L / 64 && bits_of(generator, length, success) >= bits)
            return length;
    }
    return 0;
}

static enum kt_kind check_bits(double bits, bool allow_weak, struct kt_err *err)
{
    if (bits >= KT_GENERATOR_BITS_FLOOR || allow_weak)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "only %.1f bits of entropy: a machine's secret needs %d", bits,
                  KT_GENERATOR_BITS_FLOOR);
    kt_hint(err,
            "leave length out (%d bits are the default), or set allow_weak = true where the "
            "other side locks out who guesses",
            KT_GENERATOR_BITS);
    return KT_INVALID;
}

static enum kt_kind check_amounts(const struct kt_generator_config *config, int64_t length_max,
                                  struct kt_err *err)
{
    if (config->length != 0 && config->bits != 0)
        return kt_fail(err, KT_INVALID, "give length or bits, not both");
    if (config->length != 0 && (config->length < LENGTH_MIN || config->length > length_max))
        return kt_fail(err, KT_INVALID, "length is not %d..%lld", LENGTH_MIN,
                       (long long)length_max);
    if (config->bits != 0 && (config->bits < 8 || config->bits > 2048))
        return kt_fail(err, KT_INVALID, "bits is not 8..2048");
    return KT_OK;
}

static enum kt_kind take_password(const struct kt_generator_config *config,
                                  struct kt_generator *generator, struct kt_err *err)
{
    size_t sum = 0;
    enum kt_kind kind = check_amounts(config, KT_GENERATOR_LENGTH_MAX, err);
    if (kind == KT_OK)
        kind = take_alphabet(config, generator, err);
    if (kind == KT_OK)
        kind = take_minimums(config, generator, &sum, err);
    if (kind != KT_OK)
        return kind;

    double wanted = config->bits == 0 ? KT_GENERATOR_BITS : (double)config->bits;
    size_t from = sum < LENGTH_MIN ? LENGTH_MIN : sum;
    generator->length =
        config->length != 0 ? (size_t)config->length : shortest_for(generator, from, wanted);
    if (generator->length == 0)
        return kt_fail(err, KT_INVALID, "no length up to %u gives these bits and classes",
                       KT_GENERATOR_LENGTH_MAX);
    if (generator->length < sum)
        return kt_fail(err, KT_INVALID, "the minimum counts add up to %zu, above the length %zu",
                       sum, generator->length);
    long double success = success_of(generator, generator->length);
    if (success < 1.0L / 64) {
        (void)kt_fail(err, KT_INVALID,
                      "fewer than one drawing in 64 would have the demanded "
                      "classes");
        size_t enough = shortest_for(generator, generator->length, 0);
        if (enough != 0)
            kt_hint(err, "set length = %zu or more, or lower the minimum counts", enough);
        else
            kt_hint(err, "lower the minimum counts");
        return KT_INVALID;
    }
    generator->bits = bits_of(generator, generator->length, success);
    return check_bits(generator->bits, config->allow_weak, err);
}

static enum kt_kind take_bytes(const struct kt_generator_config *config,
                               struct kt_generator *generator, struct kt_err *err)
{
    enum kt_kind kind = check_amounts(config, BYTES_MAX, err);
    if (kind != KT_OK)
        return kind;
    generator->length = config->length != 0 ? (size_t)config->length
                        : config->bits != 0 ? (size_t)(config->bits + 7) / 8
                                            : BYTES_DEFAULT;
    generator->bits = (double)generator->length * 8;
    return check_bits(generator->bits, config->allow_weak, err);
}

static enum kt_kind take_uuid(const struct kt_generator_config *config,
                              struct kt_generator *generator, struct kt_err *err)
{
    if (config->length != 0 || config->bits > UUID_BITS) {
        (void)kt_fail(err, KT_INVALID, "a uuid has %d random bits and no other length", UUID_BITS);
        kt_hint(err, "leave length and bits out, or choose kind = \"hex\"");
        return KT_INVALID;
    }
    generator->length = UUID_CHARS;
    generator->bits = UUID_BITS;
    return KT_OK;
}

static enum kt_kind take_ssh(const struct kt_generator_config *config,
                             struct kt_generator *generator, struct kt_err *err)
{
    if (config->length != 0 || config->bits > ED25519_BITS) {
        (void)kt_fail(err, KT_INVALID, "an Ed25519 key has %d random bits and no other length",
                      ED25519_BITS);
        kt_hint(err, "leave length and bits out");
        return KT_INVALID;
    }
    generator->bits = ED25519_BITS;
    return KT_OK;
}

static enum kt_kind take_words(const struct kt_generator_config *config,
                               struct kt_generator *generator, struct kt_err *err)
{
    const char *separator = config->separator == NULL || config->separator[0] == '\0'
                                ? "-"
                                : config->separator;
    double each = log2((double)KT_WORDS);
    double wanted = config->bits == 0 ? KT_GENERATOR_BITS : (double)config->bits;
    enum kt_kind kind = check_amounts(config, WORDS_MAX, err);
    if (kind != KT_OK)
        return kind;
    if (separator[1] != '\0' || separator[0] <= ' ' || separator[0] > '~' || class_of(separator[0]) != 3)
        return kt_fail(err, KT_INVALID,
                       "separator: one character of ASCII that is no letter, no digit and no blank");
    generator->separator = separator[0];
    generator->length = config->length != 0 ? (size_t)config->length : (size_t)ceil(wanted / each);
    if (generator->length < LENGTH_MIN)
        generator->length = LENGTH_MIN;
    if (generator->length > WORDS_MAX)
        return kt_fail(err, KT_INVALID, "%d words have fewer bits", WORDS_MAX);
    generator->bits = (double)generator->length * each;
    return check_bits(generator->bits, config->allow_weak, err);
}

static const struct kind_row {
    const char *name;
    enum kt_generator_kind kind;
    enum kt_kind (*take)(const struct kt_generator_config *, struct kt_generator *,
                         struct kt_err *);
} kind_rows[] = {
    {"password", KT_GENERATE_PASSWORD, take_password},
    {"hex", KT_GENERATE_HEX, take_bytes},
    {"base64", KT_GENERATE_BASE64, take_bytes},
    {"base64url", KT_GENERATE_BASE64URL, take_bytes},
    {"uuid", KT_GENERATE_UUID, take_uuid},
    {"ssh-ed25519", KT_GENERATE_SSH_ED25519, take_ssh},
    {"words", KT_GENERATE_WORDS, take_words},
};
#define KINDS (sizeof kind_rows / sizeof kind_rows[0])

static bool given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

enum kt_kind kt_generator_parse(const struct kt_generator_config *config, struct kt_generator *ret,
                                struct kt_err *err)
{
    const char *name = given(config->kind) ? config->kind : "password";
    size_t row = 0;
    while (row < KINDS && strcmp(kind_rows[row].name, name) != 0)
        row++;
    if (row == KINDS) {
        (void)kt_fail(err, KT_INVALID, "generator: there is no such kind");
        kt_hint(err, "write password, hex, base64, base64url, uuid, ssh-ed25519 or words");
        return KT_INVALID;
    }
    if (kind_rows[row].kind != KT_GENERATE_PASSWORD &&
        (given(config->alphabet) || given(config->exclude) || config->min_lower != 0 ||
         config->min_upper != 0 || config->min_digits != 0 || config->min_symbols != 0))
        return kt_fail(err, KT_INVALID,
                       "alphabet, exclude and minimum counts belong to kind \"password\" only");
    if (kind_rows[row].kind != KT_GENERATE_WORDS && given(config->separator))
        return kt_fail(err, KT_INVALID, "separator belongs to kind \"words\" only");
    struct kt_generator generator = {.kind = kind_rows[row].kind};
    enum kt_kind kind = kind_rows[row].take(config, &generator, err);
    if (kind == KT_OK)
        *ret = generator;
    return kind;
}

/* ---- drawing ---- */

/* A uniform character; which one must not show in what memory is touched. */
static unsigned char draw_char(const char *alphabet, size_t n)
{
    uint32_t drawn = kt_random_below((uint32_t)n);
    unsigned chosen = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t off = i ^ drawn;
        chosen |= (unsigned char)alphabet[i] & (((off | (0u - off)) >> 31) - 1);
    }
    return (unsigned char)chosen;
}

/* Returns whether every demanded class is there. */
static bool draw_password(const struct kt_generator *generator, struct kt_secret *secret)
{
    size_t have[CLASSES] = {0};
    bool all = true;
    for (size_t i = 0; i < secret->len; i++) {
        secret->at[i] = i == 0 ? draw_char(generator->first, generator->n_first)
                               : draw_char(generator->alphabet, generator->n_alphabet);
        have[class_of((char)secret->at[i])]++;
    }
    for (size_t c = 0; c < CLASSES; c++)
        all = all && have[c] >= generator->min[c];
    return all;
}

/* Random bytes, encoded; bytes is scratch of the generator's length. */
static void draw_bytes(const struct kt_generator *generator, struct kt_secret *bytes,
                       struct kt_secret *secret)
{
    char *text = (char *)secret->at;
    kt_random(bytes->at, bytes->len);
    if (generator->kind == KT_GENERATE_HEX)
        (void)sodium_bin2hex(text, secret->len + 1, bytes->at, bytes->len);
    else
        (void)sodium_bin2base64(text, secret->len + 1, bytes->at, bytes->len,
                                generator->kind == KT_GENERATE_BASE64
                                    ? sodium_base64_VARIANT_ORIGINAL
                                    : sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static void draw_uuid(struct kt_secret *bytes, struct kt_secret *secret)
{
    kt_random(bytes->at, bytes->len);
    kt_uuid_mark(bytes->at);
    kt_uuid_text(bytes->at, (char *)secret->at);
}

static void draw_words(const struct kt_generator *generator, struct kt_secret *secret)
{
    size_t at = 0;
    for (size_t i = 0; i < generator->length; i++) {
        if (i > 0)
            secret->at[at++] = (unsigned char)generator->separator;
        at += kt_word(kt_random_below(KT_WORDS), secret->at + at);
    }
    secret->len = at;
}

static unsigned char folded(unsigned char c)
{
    return (unsigned char)(c + (c >= 'A' && c <= 'Z') * ('a' - 'A'));
}

/* Looks at every place to its end, so that time does not tell where they begin to differ. */
static bool contains(const struct kt_secret *secret, struct kt_bytes part)
{
    bool found = false;
    for (size_t at = 0; at + part.len <= secret->len; at++) {
        unsigned differ = 0;
        for (size_t i = 0; i < part.len; i++)
            differ |= (unsigned)folded(secret->at[at + i]) ^ folded(part.at[i]);
        found |= differ == 0;
    }
    return found;
}

static bool contains_any(const struct kt_secret *secret, const struct kt_bytes *avoid,
                         size_t n_avoid)
{
    bool found = false;
    for (size_t i = 0; i < n_avoid; i++)
        found |= avoid[i].len >= 3 && contains(secret, avoid[i]);
    return found;
}

static size_t text_length(const struct kt_generator *generator)
{
    switch (generator->kind) {
    case KT_GENERATE_PASSWORD:
    case KT_GENERATE_UUID:
    case KT_GENERATE_SSH_ED25519: /* written by its own, of one length */
        return generator->length;
    case KT_GENERATE_WORDS: /* at most; with a separator behind the last one */
        return generator->length * (KT_WORD_MAX + 1);
    case KT_GENERATE_HEX:
        return generator->length * 2;
    case KT_GENERATE_BASE64:
        return sodium_base64_encoded_len(generator->length, sodium_base64_VARIANT_ORIGINAL) - 1;
    case KT_GENERATE_BASE64URL:
        return sodium_base64_encoded_len(generator->length,
                                         sodium_base64_VARIANT_URLSAFE_NO_PADDING) -
               1;
    }
    return 0;
}

static enum kt_kind generate_ssh(struct kt_secret **ret, struct kt_err *err)
{
    kt_autosecret struct kt_secret *key = NULL;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, KT_SSH_TEXT_MAX);
    enum kt_kind kind = kt_ssh_key_new(&key, err);
    if (kind == KT_OK)
        kind = kt_ssh_private_write(key, "", &text, err);
    if (kind != KT_OK)
        return kind;
    *ret = kt_secret_copy(kt_buf_bytes(&text));
    return *ret == NULL ? kt_fail(err, KT_NO_MEMORY, "no guarded memory for a new secret") : KT_OK;
}

enum kt_kind kt_generate(const struct kt_generator *generator, const struct kt_bytes *avoid,
                         size_t n_avoid, struct kt_secret **ret, struct kt_err *err)
{
    if (generator->kind == KT_GENERATE_SSH_ED25519)
        return generate_ssh(ret, err);
    size_t len = text_length(generator);
    /* Guarded memory costs a dozen system calls: only what is needed of it. */
    bool plain = generator->kind == KT_GENERATE_PASSWORD || generator->kind == KT_GENERATE_WORDS;
    kt_autosecret struct kt_secret *bytes =
        plain ? NULL
              : kt_secret_new(generator->kind == KT_GENERATE_UUID ? KT_UUID_BYTES : generator->length);
    kt_autosecret struct kt_secret *secret = kt_secret_new(len + 1); /* encoders add a NUL */
    if ((bytes == NULL && !plain) || secret == NULL)
        return kt_fail(err, KT_NO_MEMORY, "no guarded memory for a new secret");
    secret->len = len;
    for (unsigned drawing = 0; drawing < DRAWINGS; drawing++) {
        bool good = true;
        if (generator->kind == KT_GENERATE_PASSWORD)
            good = draw_password(generator, secret);
        else if (generator->kind == KT_GENERATE_WORDS)
            draw_words(generator, secret);
        else if (generator->kind == KT_GENERATE_UUID)
            draw_uuid(bytes, secret);
        else
            draw_bytes(generator, bytes, secret);
        if (good && !contains_any(secret, avoid, n_avoid)) {
            *ret = KT_TAKE(secret);
            return KT_OK;
        }
    }
    (void)kt_fail(err, KT_INVALID, "every value that was drawn contains the account's name");
    kt_hint(err, "choose a larger alphabet");
    return KT_INVALID;
}

void kt_generator_describe(const struct kt_generator *generator, struct kt_buf *out)
{
    if (generator->kind == KT_GENERATE_PASSWORD) {
        kt_buf_printf(out, "%zu characters of %zu", generator->length, generator->n_alphabet);
        if (generator->n_first != generator->n_alphabet)
            kt_buf_add_text(out, ", first a letter");
        for (size_t c = 0; c < CLASSES; c++)
            if (generator->min[c] > 0)
                kt_buf_printf(out, ", at least %zu %s", generator->min[c], class_names[c]);
    } else if (generator->kind == KT_GENERATE_WORDS) {
        kt_buf_printf(out, "%zu words of %u (" KT_WORDS_SOURCE ")", generator->length, KT_WORDS);
    } else if (generator->kind == KT_GENERATE_UUID) {
        kt_buf_add_text(out, "a random uuid");
    } else if (generator->kind == KT_GENERATE_SSH_ED25519) {
        kt_buf_add_text(out, "an Ed25519 key as OpenSSH writes it");
    } else {
        kt_buf_printf(out, "%zu random bytes in %s", generator->length,
                      kind_rows[generator->kind].name);
    }
    kt_buf_printf(out, ": %.0f bits", floor(generator->bits));
}
