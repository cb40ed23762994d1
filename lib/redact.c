#include "lib/redact.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/secret.h"

#define ENCODED_MIN 4u /* shorter hex and base64 would be found everywhere */
/* What is left of a message says what a short value is, since people know the message: so the words around one
 * go too, and around one that stands in any words the whole text. */
#define SHORT_MAX    7u
#define ANYWHERE_MAX 3u

/* The characters of the value's base64 that depend on nothing else, when it begins `shift` bytes
 * into a group of three. */
struct core {
    struct kt_bytes text;
    bool shared_before, shared_after; /* the neighbouring character holds some of its bits too */
};

struct value {
    struct kt_secret *memory; /* owned: the value, then the three cores */
    struct kt_bytes bytes;
    struct core cores[3];
};

struct kt_redactor {
    size_t count;
    struct value values[KT_REDACT_VALUES_MAX];
};

struct kt_redactor *kt_redactor_new(void)
{
    return kt_calloc(1, sizeof(struct kt_redactor));
}

void kt_redactor_free(struct kt_redactor *redactor)
{
    if (redactor == NULL)
        return;
    int saved = errno;
    for (size_t i = 0; i < redactor->count; i++)
        kt_secret_free(redactor->values[i].memory);
    free(redactor);
    errno = saved;
}

/* ---- adding ---- */

/* Encodes `shift` zero bytes and the value, and cuts off what the zeros take part in. */
static struct core core_of(struct kt_bytes value, size_t shift, struct kt_secret *scratch,
                           unsigned char *to)
{
    size_t bits_before = shift * 8, bits_after = (shift + value.len) * 8;
    size_t first = (bits_before + 5) / 6, end = bits_after / 6;
    unsigned char *padded = scratch->at;
    char *encoded = (char *)scratch->at + shift + value.len;
    memset(padded, 0, shift);
    memcpy(padded + shift, value.at, value.len);
    (void)sodium_bin2base64(encoded, scratch->len - shift - value.len, padded, shift + value.len,
                            sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    memcpy(to, encoded + first, end - first);
    return (struct core){kt_bytes(to, end - first), bits_before % 6 != 0, bits_after % 6 != 0};
}

enum kt_kind kt_redactor_add(struct kt_redactor *redactor, struct kt_bytes value,
                             struct kt_err *err)
{
    if (value.len == 0)
        return KT_OK;
    if (value.len > KT_REDACT_VALUE_MAX)
        return kt_fail(err, KT_TOO_LARGE, "a value over %u bytes cannot be hidden",
                       KT_REDACT_VALUE_MAX);
    if (redactor->count == KT_REDACT_VALUES_MAX)
        return kt_fail(err, KT_TOO_LARGE, "more than %u values to hide", KT_REDACT_VALUES_MAX);

    size_t core_max = (value.len + 2) * 4 / 3 + 2;
    kt_autosecret struct kt_secret *memory = kt_secret_new(value.len + 3 * core_max);
    kt_autosecret struct kt_secret *scratch = kt_secret_new(value.len + 2 + core_max + 2);
    if (memory == NULL || scratch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "hiding a value");
    struct value *added = &redactor->values[redactor->count];
    memcpy(memory->at, value.at, value.len);
    added->bytes = kt_bytes(memory->at, value.len);
    for (size_t shift = 0; shift < 3; shift++)
        added->cores[shift] =
            core_of(value, shift, scratch, memory->at + value.len + shift * core_max);
    added->memory = KT_TAKE(memory);
    redactor->count++;
    return KT_OK;
}

/* ---- one character of an encoded text ---- */

/* What it stands for, and how long it is. Encoders escape their own escape character always, so
 * there is one reading only. */
struct unit {
    unsigned char bytes[4];
    size_t count, used;
};

static int hex_digit(unsigned char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The number in `digits` hex digits at at, or -1. */
static int hex_number(struct kt_bytes text, size_t at, size_t digits)
{
    int v = 0;
    if (text.len < at + digits)
        return -1;
    for (size_t i = 0; i < digits; i++) {
        int digit = hex_digit(text.at[at + i]);
        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

static struct unit literal(unsigned char c, size_t used)
{
    return (struct unit){{c}, 1, used};
}

static struct unit unit_url(struct kt_bytes text, unsigned char wanted)
{
    int byte = text.at[0] == '%' ? hex_number(text, 1, 2) : -1;
    if (byte >= 0)
        return literal((unsigned char)byte, 3);
    if (text.at[0] == '+' && wanted == ' ')
        return literal(' ', 1);
    return literal(text.at[0], 1);
}

static struct unit unit_sql(struct kt_bytes text, unsigned char wanted)
{
    (void)wanted;
    bool doubled = text.len > 1 && text.at[0] == text.at[1] &&
                   (text.at[0] == '\'' || text.at[0] == '"' || text.at[0] == '\\');
    return literal(text.at[0], doubled ? 2 : 1);
}

static struct unit unit_utf8(uint32_t code, size_t used)
{
    struct unit unit = {{0}, 0, used};
    if (code < 0x80)
        return literal((unsigned char)code, used);
    size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char marks[] = {0, 0xC0, 0xE0, 0xF0};
    unit.bytes[unit.count++] = (unsigned char)(marks[more] | (code >> (6 * more)));
    while (more-- > 0)
        unit.bytes[unit.count++] = (unsigned char)(0x80 | ((code >> (6 * more)) & 0x3F));
    return unit;
}

/* \uXXXX, with its second half when it is the first of a pair. */
static struct unit unit_unicode(struct kt_bytes text)
{
    int high = hex_number(text, 2, 4);
    if (high < 0)
        return literal('u', 2);
    if (high >= 0xD800 && high < 0xDC00 && text.len >= 12 && text.at[6] == '\\' &&
        text.at[7] == 'u') {
        int low = hex_number(text, 8, 4);
        if (low >= 0xDC00 && low < 0xE000)
            return unit_utf8(0x10000u + (((uint32_t)high - 0xD800) << 10) + (uint32_t)low - 0xDC00,
                             12);
    }
    return unit_utf8((uint32_t)high, 6);
}

static struct unit unit_escaped(struct kt_bytes text, unsigned char wanted)
{
    static const char letters[] = "abfnrtv", controls[] = "\a\b\f\n\r\t\v";
    (void)wanted;
    if (text.at[0] != '\\' || text.len < 2)
        return literal(text.at[0], 1);
    unsigned char c = text.at[1];
    if (c == 'u')
        return unit_unicode(text);
    int byte = c == 'x' ? hex_number(text, 2, 2) : -1;
    if (byte >= 0)
        return literal((unsigned char)byte, 4);
    if (c >= '0' && c <= '3' && text.len >= 4 && (text.at[2] & ~7) == '0' &&
        (text.at[3] & ~7) == '0')
        return literal((unsigned char)((c - '0') * 64 + (text.at[2] & 7) * 8 + (text.at[3] & 7)),
                       4);
    const char *letter = c == '\0' ? NULL : strchr(letters, c);
    return literal(letter == NULL ? c : (unsigned char)controls[letter - letters], 2);
}

static struct unit unit_hex(struct kt_bytes text, unsigned char wanted)
{
    int byte = hex_number(text, 0, 2);
    (void)wanted;
    return byte < 0 ? (struct unit){{0}, 0, 0} : literal((unsigned char)byte, 2);
}

static const struct form {
    struct unit (*next)(struct kt_bytes text, unsigned char wanted); /* used 0: not this form */
    const char *needs; /* a text without any of these has nothing that is not found as it is */
    size_t shortest;   /* bytes of the value below which the form is not looked for */
} forms[] = {
    {unit_url, "%+", 1},
    {unit_escaped, "\\", 1},
    {unit_sql, "'\"\\", 1},
    {unit_hex, NULL, ENCODED_MIN / 2},
};
#define FORMS (sizeof forms / sizeof forms[0])

/* ---- finding ---- */

/* The length of the value's occurrence at the text's beginning, 0 if there is none. */
static size_t occurrence(const struct form *form, struct kt_bytes text, struct kt_bytes value)
{
    size_t at = 0, known = 0;
    while (known < value.len) {
        if (at >= text.len)
            return 0;
        struct unit unit = form->next(kt_bytes(text.at + at, text.len - at), value.at[known]);
        if (unit.used == 0 || unit.count > value.len - known ||
            memcmp(unit.bytes, value.at + known, unit.count) != 0)
            return 0;
        known += unit.count;
        at += unit.used;
    }
    return at;
}

static unsigned char base64_standard(unsigned char c)
{
    return c == '-' ? '+' : c == '_' ? '/' : c;
}

/* Line ends inside are skipped: MIME and PEM wrap. */
static size_t core_occurrence(struct kt_bytes text, struct kt_bytes core)
{
    size_t at = 0;
    for (size_t known = 0; known < core.len; known++, at++) {
        while (known > 0 && at < text.len && (text.at[at] == '\n' || text.at[at] == '\r'))
            at++;
        if (at >= text.len || base64_standard(text.at[at]) != core.at[known])
            return 0;
    }
    return at;
}

static bool contains_any_of(struct kt_bytes text, const char *characters)
{
    for (; *characters != '\0'; characters++)
        if (memchr(text.at, *characters, text.len) != NULL)
            return true;
    return false;
}

/* What of a text goes with a byte of it. While values are looked for only they are marked, so that an occurrence costs
 * its own length, however long the word is that it stands in; spread() does the rest once. */
enum reach { REACH_NONE, REACH_ITSELF, REACH_WORD, REACH_TEXT };

static void mark(unsigned char *reach, size_t at, size_t len, enum reach how)
{
    for (size_t i = at; i < at + len; i++)
        if (reach[i] < how)
            reach[i] = (unsigned char)how;
}

static enum reach reach_of(struct kt_bytes value)
{
    return value.len <= ANYWHERE_MAX ? REACH_TEXT : value.len <= SHORT_MAX ? REACH_WORD : REACH_ITSELF;
}

static bool is_of_word(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

static void spread(struct kt_bytes text, unsigned char *reach)
{
    if (memchr(reach, REACH_TEXT, text.len) != NULL) {
        mark(reach, 0, text.len, REACH_TEXT);
        return;
    }
    for (size_t at = 1; at < text.len; at++)
        if (reach[at - 1] == REACH_WORD && is_of_word(text.at[at]))
            reach[at] = REACH_WORD;
    for (size_t at = text.len; at-- > 1;)
        if (reach[at] == REACH_WORD && is_of_word(text.at[at - 1]))
            reach[at - 1] = REACH_WORD;
}

static void mark_plain(struct kt_bytes value, struct kt_bytes text, unsigned char *reach)
{
    for (size_t at = 0; at + value.len <= text.len; at++)
        if (text.at[at] == value.at[0] && memcmp(text.at + at, value.at, value.len) == 0)
            mark(reach, at, value.len, reach_of(value));
}

static void mark_form(const struct form *form, struct kt_bytes value, struct kt_bytes text,
                      unsigned char *reach)
{
    enum reach how = form->shortest == 1 ? reach_of(value) : REACH_ITSELF; /* no words in hex */
    if (value.len < form->shortest || (form->needs != NULL && !contains_any_of(text, form->needs)))
        return;
    for (size_t at = 0; at < text.len; at++) {
        size_t len = occurrence(form, kt_bytes(text.at + at, text.len - at), value);
        mark(reach, at, len, how);
    }
}

static void mark_core(const struct core *core, struct kt_bytes text, unsigned char *reach)
{
    if (core->text.len < ENCODED_MIN)
        return;
    for (size_t at = 0; at < text.len; at++) {
        size_t len = core_occurrence(kt_bytes(text.at + at, text.len - at), core->text);
        if (len == 0)
            continue;
        mark(reach, at, len, REACH_ITSELF);
        if (core->shared_before && at > 0)
            mark(reach, at - 1, 1, REACH_ITSELF);
        if (core->shared_after && at + len < text.len)
            mark(reach, at + len, 1, REACH_ITSELF);
    }
}

static void write_rest(struct kt_bytes text, const unsigned char *reach, struct kt_buf *out)
{
    for (size_t at = 0; at < text.len;) {
        size_t end = at;
        bool hidden = reach[at] != REACH_NONE;
        while (end < text.len && (reach[end] != REACH_NONE) == hidden)
            end++;
        if (hidden)
            kt_buf_add_text(out, KT_REDACTED);
        else
            kt_buf_add(out, text.at + at, end - at);
        at = end;
    }
}

enum kt_kind kt_redact(const struct kt_redactor *redactor, struct kt_bytes text, struct kt_buf *out,
                       struct kt_err *err)
{
    if (text.len > KT_REDACT_TEXT_MAX)
        return kt_fail(err, KT_TOO_LARGE, "a text over %zu bytes is not searched for secrets",
                       KT_REDACT_TEXT_MAX);
    kt_autofree unsigned char *reach = kt_calloc(text.len + 1, 1);
    if (reach == NULL)
        return kt_fail(err, KT_NO_MEMORY, "searching a text for secrets");
    for (size_t i = 0; redactor != NULL && text.len > 0 && i < redactor->count; i++) {
        const struct value *value = &redactor->values[i];
        mark_plain(value->bytes, text, reach);
        for (size_t f = 0; f < FORMS; f++)
            mark_form(&forms[f], value->bytes, text, reach);
        for (size_t c = 0; c < 3; c++)
            mark_core(&value->cores[c], text, reach);
    }
    spread(text, reach);
    write_rest(text, reach, out);
    return kt_buf_ok(out) ? KT_OK
                          : kt_fail(err, KT_NO_MEMORY, "the text without secrets is too long");
}
