#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/failpoint.h"
#include "lib/generator.h"
#include "lib/random.h"
#include "lib/words.h"

/* ---- a stream that is the same each time ---- */

static uint64_t stream_state;
static void stream(void *out, size_t len)
{
    static unsigned char key[randombytes_SEEDBYTES];
    kt_put_u64(key, stream_state++);
    randombytes_buf_deterministic(out, len, key);
}

static int seeded(void **state)
{
    (void)state;
    stream_state = 1;
    kt_random_source(stream);
    return 0;
}

static int unseeded(void **state)
{
    (void)state;
    kt_random_source(NULL);
    return 0;
}

static struct kt_generator parse(struct kt_generator_config config)
{
    struct kt_generator generator = {0};
    struct kt_err err = {0};
    if (kt_generator_parse(&config, &generator, &err) != KT_OK)
        fail_msg("%s", err.what);
    return generator;
}

static struct kt_secret *draw(const struct kt_generator *generator)
{
    struct kt_secret *secret = NULL;
    assert_int_equal(kt_generate(generator, NULL, 0, &secret, NULL), KT_OK);
    return secret;
}

static unsigned count_of(const struct kt_secret *secret, const char *characters)
{
    unsigned n = 0;
    for (size_t i = 0; i < secret->len; i++)
        n += strchr(characters, secret->at[i]) != NULL;
    return n;
}

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS  "0123456789"

/* ---- what is made ---- */

static void default_form(void **state)
{
    (void)state;
    struct kt_generator generator = parse((struct kt_generator_config){.kind = NULL});
    assert_int_equal(generator.length, 28);
    assert_int_equal(generator.n_alphabet, 57);
    assert_true(generator.bits > 163.0 && generator.bits < 163.2);
    for (unsigned i = 0; i < 300; i++) {
        kt_autosecret struct kt_secret *secret = draw(&generator);
        assert_int_equal(secret->len, 28);
        assert_int_equal(count_of(secret, LETTERS DIGITS), 28);
        assert_int_equal(count_of(secret, "0O1lI"), 0);
        assert_non_null(strchr(LETTERS, secret->at[0]));
    }
}

static void demanded_classes(void **state)
{
    (void)state;
    struct kt_generator generator = parse((struct kt_generator_config){.length = 20,
                                                                       .alphabet = "printable",
                                                                       .exclude = "\"'`\\$ ",
                                                                       .min_lower = 2,
                                                                       .min_upper = 2,
                                                                       .min_digits = 3,
                                                                       .min_symbols = 2});
    for (unsigned i = 0; i < 300; i++) {
        kt_autosecret struct kt_secret *secret = draw(&generator);
        assert_true(count_of(secret, "abcdefghijklmnopqrstuvwxyz") >= 2);
        assert_true(count_of(secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") >= 2);
        assert_true(count_of(secret, DIGITS) >= 3);
        assert_true(20 - count_of(secret, LETTERS DIGITS) >= 2);
        assert_int_equal(count_of(secret, "\"'`\\$ "), 0);
        assert_non_null(strchr(LETTERS, secret->at[0]));
    }
}

static void encoded_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *characters;
        size_t bytes, len;
    } rows[] = {
        {"hex", "0123456789abcdef", 32, 64},        {"hex", "0123456789abcdef", 16, 32},
        {"base64", LETTERS DIGITS "+/=", 32, 44},   {"base64", LETTERS DIGITS "+/=", 48, 64},
        {"base64url", LETTERS DIGITS "-_", 32, 43}, {"base64url", LETTERS DIGITS "-_", 256, 342},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kt_generator generator = parse(
            (struct kt_generator_config){.kind = rows[i].kind, .length = (int64_t)rows[i].bytes});
        assert_true(fabs(generator.bits - 8.0 * (double)rows[i].bytes) < 0.01);
        kt_autosecret struct kt_secret *secret = draw(&generator);
        assert_int_equal(secret->len, rows[i].len);
        assert_int_equal(count_of(secret, rows[i].characters), rows[i].len);
    }
    assert_int_equal(parse((struct kt_generator_config){.kind = "hex"}).length, 32);
    assert_int_equal(parse((struct kt_generator_config){.kind = "hex", .bits = 121}).length, 16);
}

static void uuids(void **state)
{
    (void)state;
    struct kt_generator generator = parse((struct kt_generator_config){.kind = "uuid"});
    for (unsigned i = 0; i < 100; i++) {
        kt_autosecret struct kt_secret *secret = draw(&generator);
        assert_int_equal(secret->len, 36);
        for (size_t k = 0; k < 36; k++)
            if (k == 8 || k == 13 || k == 18 || k == 23)
                assert_int_equal(secret->at[k], '-');
            else
                assert_non_null(strchr("0123456789abcdef", secret->at[k]));
        assert_int_equal(secret->at[14], '4');
        assert_non_null(strchr("89ab", secret->at[19]));
    }
}

/* ---- entropy ---- */

/* The sum over all sets S of demanded classes: (-1)^#S (A - size of S)^L. */
static double by_inclusion_exclusion(const unsigned sizes[4], const bool demanded[4],
                                     unsigned length)
{
    long double sum = 0;
    for (unsigned set = 0; set < 16; set++) {
        long double left = 0, power = 1;
        bool odd = false, counts = true;
        for (unsigned c = 0; c < 4; c++) {
            bool in = (set >> c) & 1;
            counts = counts && (!in || demanded[c]);
            odd ^= in;
            left += in ? 0 : sizes[c];
        }
        for (unsigned i = 0; i < length; i++)
            power *= left;
        if (counts)
            sum += odd ? -power : power;
    }
    return (double)log2l(sum);
}

static void entropy_is_exact(void **state)
{
    (void)state;
    const unsigned sizes[4] = {26, 26, 10, 32};
    for (unsigned demanded = 0; demanded < 16; demanded++)
        for (unsigned length = 16; length <= 64; length += 6) {
            bool set[4];
            for (unsigned c = 0; c < 4; c++)
                set[c] = (demanded >> c) & 1;
            struct kt_generator generator =
                parse((struct kt_generator_config){.length = length,
                                                   .alphabet = "printable",
                                                   .any_first = true,
                                                   .min_lower = set[0],
                                                   .min_upper = set[1],
                                                   .min_digits = set[2],
                                                   .min_symbols = set[3]});
            double expected = by_inclusion_exclusion(sizes, set, length);
            if (fabs(generator.bits - expected) > 1e-9)
                fail_msg("%u %u: %.12f, expected %.12f", demanded, length, generator.bits,
                         expected);
        }
}

/* All strings of a small alphabet, counted one by one: minimums of two, first a letter. */
static void entropy_of_small_sets(void **state)
{
    (void)state;
    static const char alphabet[] = "abX12";
    struct kt_generator generator = parse((struct kt_generator_config){.length = 7,
                                                                       .alphabet = "custom:abX12",
                                                                       .min_lower = 2,
                                                                       .min_digits = 2,
                                                                       .min_upper = 1,
                                                                       .allow_weak = true});
    unsigned count = 0;
    for (unsigned n = 0; n < 78125; n++) {
        unsigned have[3] = {0}, rest = n;
        for (unsigned i = 0; i < 7; i++, rest /= 5)
            have[alphabet[rest % 5] <= '9' ? 2 : alphabet[rest % 5] == 'X']++;
        count += n % 5 < 3 && have[0] >= 2 && have[1] >= 1 && have[2] >= 2;
    }
    assert_true(fabs(generator.bits - log2(count)) < 1e-9);
}

static void derives_the_length(void **state)
{
    (void)state;
    static const struct {
        struct kt_generator_config config;
        size_t length;
    } rows[] = {
        {{.bits = 160}, 28},
        {{.bits = 163}, 28},
        {{.bits = 164}, 29},
        {{.alphabet = "base62", .any_first = true}, 27},
        {{.alphabet = "digits", .any_first = true, .bits = 96}, 29},
        {{.alphabet = "printable", .min_symbols = 20, .bits = 96}, 40},
        {{.bits = 128, .min_digits = 8}, 26},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kt_generator generator = parse(rows[i].config);
        if (generator.length != rows[i].length)
            fail_msg("row %zu: %zu", i, generator.length);
    }
}

/* ---- uniform ---- */

/* Wilson and Hilferty: the normal deviate of a chi-square. */
static double deviate(double chi, double freedom)
{
    double a = 2.0 / (9.0 * freedom);
    return (cbrt(chi / freedom) - (1.0 - a)) / sqrt(a);
}

static void uniform(void **state)
{
    (void)state;
    for (const struct kt_alphabet *a = kt_alphabets; a->name != NULL; a++) {
        struct kt_generator generator = parse(
            (struct kt_generator_config){.length = 512, .alphabet = a->name, .any_first = true});
        double counts[256] = {0}, chi = 0;
        const unsigned rounds = 100;
        for (unsigned i = 0; i < rounds; i++) {
            kt_autosecret struct kt_secret *secret = draw(&generator);
            for (size_t k = 0; k < secret->len; k++)
                counts[secret->at[k]]++;
        }
        double expected = rounds * 512.0 / (double)generator.n_alphabet;
        for (size_t i = 0; i < generator.n_alphabet; i++) {
            double off = counts[(unsigned char)generator.alphabet[i]] - expected;
            chi += off * off / expected;
        }
        double z = deviate(chi, (double)generator.n_alphabet - 1);
        if (fabs(z) > 3.3) /* p > 0.001; the stream is fixed, so this never fails by chance */
            fail_msg("%s: chi-square %f, deviate %f", a->name, chi, z);
    }
}

/* With demanded classes each allowed string is as likely as any other: no place is special. */
static void uniform_with_classes(void **state)
{
    (void)state;
    struct kt_generator generator = parse((struct kt_generator_config){.length = 4,
                                                                       .alphabet = "custom:ab12",
                                                                       .any_first = true,
                                                                       .min_digits = 2,
                                                                       .min_lower = 1,
                                                                       .allow_weak = true});
    double counts[256] = {0}, chi = 0, allowed = pow(2, generator.bits);
    const unsigned rounds = 8000;
    for (unsigned i = 0; i < rounds; i++) {
        kt_autosecret struct kt_secret *secret = draw(&generator);
        unsigned n = 0;
        for (size_t k = 0; k < 4; k++)
            n = n * 4 + (unsigned)(strchr("ab12", secret->at[k]) - strchr("ab12", 'a')) % 4;
        counts[n]++;
    }
    unsigned seen = 0;
    for (unsigned n = 0; n < 256; n++) {
        double off = counts[n] - rounds / allowed;
        seen += counts[n] > 0;
        chi += counts[n] > 0 ? off * off / (rounds / allowed) : 0;
    }
    assert_true(fabs(allowed - 160) < 1e-6); /* 6 * 4 * 4 with two digits, 4 * 8 * 2 with three */
    assert_int_equal(seen, 160);
    assert_true(fabs(deviate(chi, 159)) < 3.3);
}

/* The statistic is one that sees what it is for: bytes taken modulo 62, of which eight come more often. */
static void finds_a_bias(void **state)
{
    (void)state;
    enum { CHARACTERS = 62, DRAWN = 51200 };
    double counts[CHARACTERS] = {0}, chi = 0, expected = (double)DRAWN / CHARACTERS;
    for (unsigned i = 0; i < DRAWN; i++) {
        unsigned char byte = 0;
        stream(&byte, 1);
        counts[byte % CHARACTERS]++;
    }
    for (unsigned i = 0; i < CHARACTERS; i++)
        chi += (counts[i] - expected) * (counts[i] - expected) / expected;
    assert_true(deviate(chi, CHARACTERS - 1) > 3.3);
}

/* ---- words ---- */

static const unsigned char *word_at(size_t place, size_t *ret_len)
{
    struct kt_bytes list = kt_words_list();
    size_t line = 0;
    for (size_t i = 0; i < list.len; i++) {
        if (line == place && list.at[i] == '\t') {
            const unsigned char *end = memchr(list.at + i, '\n', list.len - i);
            assert_non_null(end);
            *ret_len = (size_t)(end - list.at) - i - 1;
            return list.at + i + 1;
        }
        line += list.at[i] == '\n';
    }
    fail_msg("there is no word %zu", place);
    return NULL;
}

static int by_word(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* What entropy is said to be rests on it: none twice, none the beginning of another. */
static void the_list(void **state)
{
    (void)state;
    static char all[KT_WORDS][KT_WORD_MAX + 1];
    struct kt_bytes list = kt_words_list();
    unsigned char digest[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof digest + 1];
    size_t n = 0;
    (void)crypto_hash_sha256(digest, list.at, list.len);
    assert_string_equal(sodium_bin2hex(hex, sizeof hex, digest, sizeof digest),
                        "addd35536511597a02fa0a9ff1e5284677b8883b83e986e43f15a3db996b903e");
    for (const unsigned char *at = list.at; at < list.at + list.len; n++) {
        const unsigned char *end = memchr(at, '\n', (size_t)(list.at + list.len - at));
        const unsigned char *tab = memchr(at, '\t', (size_t)(end - at));
        assert_true(n < KT_WORDS && tab - at == 5 && end - tab - 1 >= 3 && end - tab - 1 <= (int)KT_WORD_MAX);
        memcpy(all[n], tab + 1, (size_t)(end - tab - 1));
        at = end + 1;
    }
    assert_int_equal(n, KT_WORDS);
    qsort(all, n, sizeof all[0], by_word);
    for (size_t i = 1; i < n; i++)
        assert_true(strncmp(all[i], all[i - 1], strlen(all[i - 1])) != 0);
}

static void a_word_by_its_place(void **state)
{
    (void)state;
    static const size_t places[] = {0, 1, 2560, 4000, KT_WORDS - 1};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        unsigned char word[KT_WORD_MAX];
        size_t len = 0, found = kt_word((uint32_t)places[i], word);
        const unsigned char *wanted = word_at(places[i], &len);
        assert_int_equal(found, len);
        assert_memory_equal(word, wanted, len);
    }
    unsigned char none[KT_WORD_MAX];
    assert_int_equal(kt_word(KT_WORDS, none), 0);
}

/* ---- a known answer through the rejection branch ---- */

static uint32_t words[64];
static size_t word;
static void from_words(void *out, size_t len)
{
    assert_int_equal(len, 4);
    memcpy(out, &words[word++], 4);
}

static void known_answer(void **state)
{
    (void)state;
    struct kt_generator generator = parse(
        (struct kt_generator_config){.length = 20,
                                     .alphabet = "custom:abcdefghijklmnopqrstuvwxyz0123456789",
                                     .any_first = true});
    /* 2^32 mod 36 is 4: 0..3 are refused, 4 gives 4 ('e'), 5 gives 'f', 2^32 - 1 gives 3 ('d'). */
    size_t n = 0;
    for (uint32_t v = 0; v < 4; v++)
        words[n++] = v;
    for (uint32_t v = 4; v < 22; v++)
        words[n++] = v;
    words[n++] = 0xFFFFFFFFu;
    words[n++] = 2;
    words[n++] = 35 + 36 * 1000;
    word = 0;
    kt_random_source(from_words);
    kt_autosecret struct kt_secret *secret = draw(&generator);
    kt_random_source(NULL);
    assert_int_equal(word, n);
    assert_int_equal(secret->len, 20);
    assert_memory_equal(secret->at, "efghijklmnopqrstuvd9", 20);
}

static void known_words(void **state)
{
    (void)state;
    struct kt_generator generator = parse((struct kt_generator_config){
        .kind = "words", .length = 4, .separator = ".", .allow_weak = true});
    /* 2^32 mod 7776 is 2560: what is below is refused; 7776 times two is the first word. */
    size_t n = 0;
    words[n++] = 0;
    words[n++] = 2559;
    words[n++] = 7776 * 2;
    words[n++] = 7776 * 2 - 1;
    words[n++] = 7776 + 1;
    words[n++] = 7776 + 2;
    word = 0;
    kt_random_source(from_words);
    kt_autosecret struct kt_secret *secret = draw(&generator);
    kt_random_source(NULL);
    assert_int_equal(word, n);
    static const char wanted[] = "abacus.zoom.abdomen.abdominal";
    assert_int_equal(secret->len, sizeof wanted - 1);
    assert_memory_equal(secret->at, wanted, sizeof wanted - 1);
}

/* As long as it may get, of the longest words. */
static uint32_t longest;
static void always_the_longest(void *out, size_t len)
{
    assert_int_equal(len, 4);
    uint32_t value = 7776 + longest;
    memcpy(out, &value, 4);
}

static void longest_words(void **state)
{
    (void)state;
    struct kt_generator generator = parse((struct kt_generator_config){.kind = "words", .length = 51});
    size_t len = 0;
    for (longest = 0; len < KT_WORD_MAX; longest++)
        (void)word_at(longest, &len);
    longest--;
    kt_random_source(always_the_longest);
    kt_autosecret struct kt_secret *secret = draw(&generator);
    kt_random_source(NULL);
    assert_int_equal(secret->len, 51 * (KT_WORD_MAX + 1) - 1);
    assert_null(memchr(secret->at, 0, secret->len));
}

/* What makes trouble there is not drawn, whatever the alphabet has. */
static void places(void **state)
{
    (void)state;
    for (const struct kt_alphabet *p = kt_places; p->name != NULL; p++) {
        char exclude[64];
        (void)snprintf(exclude, sizeof exclude, "places:json,%s", p->name);
        struct kt_generator generator = parse((struct kt_generator_config){
            .alphabet = "printable", .exclude = exclude, .any_first = true});
        for (const char *c = p->characters; *c != '\0'; c++)
            assert_null(strchr(generator.alphabet, *c));
        assert_null(strpbrk(generator.alphabet, "\"\\"));
        assert_non_null(strchr(generator.alphabet, 'a'));
    }
}

/* A drawing without a demanded class is thrown away whole. */
static void draws_everything_again(void **state)
{
    (void)state;
    struct kt_generator generator = parse((struct kt_generator_config){
        .length = 4, .alphabet = "custom:ab12", .min_digits = 1, .allow_weak = true});
    static const uint32_t drawn[] = {100, 100, 101, 100, 101, 103, 100, 102};
    memcpy(words, drawn, sizeof drawn);
    word = 0;
    kt_random_source(from_words);
    kt_autosecret struct kt_secret *secret = draw(&generator);
    kt_random_source(NULL);
    assert_int_equal(word, 8);
    assert_memory_equal(secret->at, "b2a1", 4);
}

static void avoids(void **state)
{
    (void)state;
    struct kt_generator generator = parse((struct kt_generator_config){
        .length = 4, .alphabet = "custom:abc", .any_first = true, .allow_weak = true});
    const struct kt_bytes avoid[] = {kt_str("ABA"), kt_str("ccc"), kt_str("a"), kt_str("")};
    for (unsigned i = 0; i < 500; i++) {
        kt_autosecret struct kt_secret *secret = NULL;
        assert_int_equal(kt_generate(&generator, avoid, 4, &secret, NULL), KT_OK);
        char text[5] = {0};
        memcpy(text, secret->at, 4);
        assert_null(strstr(text, "aba"));
        assert_null(strstr(text, "ccc"));
    }
}

static void gives_up_when_nothing_is_left(void **state)
{
    (void)state;
    struct kt_generator generator = parse((struct kt_generator_config){
        .length = 4, .alphabet = "custom:ab", .allow_weak = true, .any_first = true});
    const struct kt_bytes avoid[] = {kt_str("aaa"), kt_str("aab"), kt_str("aba"), kt_str("abb"),
                                     kt_str("baa"), kt_str("bab"), kt_str("bba"), kt_str("bbb")};
    struct kt_secret *secret = NULL;
    struct kt_err err = {0};
    assert_int_equal(kt_generate(&generator, avoid, 8, &secret, &err), KT_INVALID);
    assert_null(secret);
    assert_non_null(strstr(err.what, "account"));
}

/* ---- refusals ---- */

static const struct refusal_row {
    const char *name;
    struct kt_generator_config config;
    const char *what, *hint;
} refusal_rows[] = {
    /* clang-format off */
    {"refuses an unknown kind", {.kind = "pin"}, "no such kind", "password, hex"},
    {"refuses an unknown alphabet", {.alphabet = "base63"}, "none of this name", "custom:"},
    {"refuses a character twice", {.alphabet = "custom:abca"}, "'a' stands in it twice", ""},
    {"refuses a blank in the alphabet", {.alphabet = "custom:ab c"}, "printable ASCII", ""},
    {"refuses other letters", {.alphabet = "custom:ab\xc3\xa4"}, "printable ASCII", ""},
    {"refuses one character", {.alphabet = "custom:a"}, "fewer than two", ""},
    {"refuses an alphabet excluded away", {.alphabet = "custom:abc", .exclude = "cb"}, "fewer than two", ""},
    {"refuses no letter to begin with", {.alphabet = "digits"}, "no letter", "any_first"},
    {"refuses length and bits", {.length = 20, .bits = 160}, "not both", ""},
    {"refuses length 3", {.length = 3}, "length is not 4..512", ""},
    {"refuses length 513", {.length = 513}, "length is not 4..512", ""},
    {"refuses a negative length", {.length = -1}, "length is not 4..512", ""},
    {"refuses 257 bytes", {.kind = "hex", .length = 257}, "length is not 4..256", ""},
    {"refuses 2049 bits", {.bits = 2049}, "bits is not", ""},
    {"refuses a weak length", {.length = 16}, "only 93.1 bits", "allow_weak"},
    {"refuses weak bits", {.bits = 80}, "bits of entropy", "leave length out"},
    {"refuses weak bytes", {.kind = "hex", .length = 11}, "only 88.0 bits", "allow_weak"},
    {"refuses a PIN", {.length = 6, .alphabet = "digits", .any_first = true}, "only 19.9 bits", "locks out"},
    {"refuses digits that are not there", {.alphabet = "letters", .min_digits = 1}, "digits are demanded", "another alphabet"},
    {"refuses a negative minimum", {.min_digits = -1}, "minimum of digits", ""},
    {"refuses minimums above the length", {.length = 20, .min_digits = 11, .min_lower = 10}, "add up to 21", ""},
    {"refuses what is rarely drawn", {.length = 28, .min_digits = 12}, "one drawing in 64", "set length ="},
    {"refuses what is never long enough", {.alphabet = "printable", .min_digits = 400}, "no length", ""},
    {"refuses an alphabet for hex", {.kind = "hex", .alphabet = "base62"}, "only", ""},
    {"refuses minimums for a uuid", {.kind = "uuid", .min_digits = 1}, "only", ""},
    {"refuses a length for a uuid", {.kind = "uuid", .length = 40}, "122 random bits", "hex"},
    {"refuses 3 words", {.kind = "words", .length = 3}, "length is not 4..51", ""},
    {"refuses 52 words", {.kind = "words", .length = 52}, "length is not 4..51", ""},
    {"refuses more bits than words have", {.kind = "words", .bits = 700}, "51 words have fewer", ""},
    {"refuses weak words", {.kind = "words", .length = 7}, "only 90.5 bits", "allow_weak"},
    {"refuses a letter between words", {.kind = "words", .separator = "x"}, "separator", ""},
    {"refuses a blank between words", {.kind = "words", .separator = " "}, "separator", ""},
    {"refuses two characters between words", {.kind = "words", .separator = "--"}, "separator", ""},
    {"refuses an alphabet for words", {.kind = "words", .alphabet = "base62"}, "only", ""},
    {"refuses a separator of a password", {.separator = "-"}, "only", ""},
    {"refuses a place that there is not", {.exclude = "places:shell,moon"}, "no such place", "shell"},
    {"refuses no place", {.exclude = "places:"}, "no such place", "shell"},
    {"refuses 128 bits of a uuid", {.kind = "uuid", .bits = 128}, "122 random bits", "hex"},
    /* clang-format on */
};

static void refuses(void **state)
{
    const struct refusal_row *row = *state;
    struct kt_generator generator = {.length = 77};
    struct kt_err err = {0};
    assert_int_equal(kt_generator_parse(&row->config, &generator, &err), KT_INVALID);
    assert_int_equal(generator.length, 77);
    if (strstr(err.what, row->what) == NULL)
        fail_msg("'%s' does not say '%s'", err.what, row->what);
    if (strstr(err.hint, row->hint) == NULL)
        fail_msg("'%s' does not say '%s'", err.hint, row->hint);
}

static const struct word_row {
    const char *name;
    struct kt_generator_config config;
    const char *words;
} word_rows[] = {
    {"says: default", {.kind = ""}, "28 characters of 57, first a letter: 163 bits"},
    {"says: classes",
     {.alphabet = "base62", .min_digits = 2, .any_first = true, .length = 32},
     "32 characters of 62, at least 2 digits: 190 bits"},
    {"says: hex", {.kind = "hex"}, "32 random bytes in hex: 256 bits"},
    {"says: base64url",
     {.kind = "base64url", .bits = 128},
     "16 random bytes in base64url: 128 bits"},
    {"says: words", {.kind = "words"}, "13 words of 7776 (the EFF's large list): 168 bits"},
    {"says: 8 words", {.kind = "words", .length = 8, .separator = "_"}, "8 words of 7776 (the EFF's large list): 103 bits"},
    {"says: uuid", {.kind = "uuid"}, "a random uuid: 122 bits"},
    {"says: ssh-ed25519", {.kind = "ssh-ed25519"}, "an Ed25519 key as OpenSSH writes it: 256 bits"},
    {"says: weak",
     {.alphabet = "digits", .any_first = true, .length = 6, .allow_weak = true},
     "6 characters of 10: 19 bits"},
};

static void describes(void **state)
{
    const struct word_row *row = *state;
    struct kt_generator generator = parse(row->config);
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, 256);
    kt_generator_describe(&generator, &buf);
    assert_string_equal(kt_buf_text(&buf), row->words);
}

#ifdef KT_FAULT
static void survives_no_memory(void **state)
{
    (void)state;
    struct kt_generator generator = parse((struct kt_generator_config){.kind = "hex"});
    for (unsigned long nth = 1;; nth++) {
        struct kt_secret *secret = NULL;
        (void)kt_fail_allocation(nth);
        enum kt_kind kind = kt_generate(&generator, NULL, 0, &secret, NULL);
        (void)kt_fail_allocation(0);
        kt_secret_free(secret);
        if (kind == KT_OK)
            break;
        assert_int_equal(kind, KT_NO_MEMORY);
    }
}
#endif

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(default_form),
        cmocka_unit_test(demanded_classes),
        cmocka_unit_test(encoded_bytes),
        cmocka_unit_test(uuids),
        cmocka_unit_test(entropy_is_exact),
        cmocka_unit_test(finds_a_bias),
        cmocka_unit_test(the_list),
        cmocka_unit_test(a_word_by_its_place),
        cmocka_unit_test(known_words),
        cmocka_unit_test(longest_words),
        cmocka_unit_test(places),
        cmocka_unit_test(entropy_of_small_sets),
        cmocka_unit_test(derives_the_length),
        cmocka_unit_test_setup_teardown(uniform, seeded, unseeded),
        cmocka_unit_test_setup_teardown(uniform_with_classes, seeded, unseeded),
        cmocka_unit_test(known_answer),
        cmocka_unit_test(draws_everything_again),
        cmocka_unit_test(avoids),
        cmocka_unit_test(gives_up_when_nothing_is_left),
#ifdef KT_FAULT
        cmocka_unit_test(survives_no_memory),
#endif
    };
    static struct CMUnitTest tests[COUNT(plain) + COUNT(refusal_rows) + COUNT(word_rows)];
    size_t n = 0;
    if (sodium_init() < 0)
        return 1;
    for (size_t i = 0; i < COUNT(plain); i++)
        tests[n++] = plain[i];
    for (size_t i = 0; i < COUNT(refusal_rows); i++)
        tests[n++] = (struct CMUnitTest){refusal_rows[i].name, refuses, NULL, NULL,
                                         (void *)(uintptr_t)&refusal_rows[i]};
    for (size_t i = 0; i < COUNT(word_rows); i++)
        tests[n++] = (struct CMUnitTest){word_rows[i].name, describes, NULL, NULL,
                                         (void *)(uintptr_t)&word_rows[i]};
    return cmocka_run_group_tests_name("generator", tests, NULL, NULL);
}
