/* One pass over checked text that lets names, numbers, booleans and null through and nothing else:
 * what the audit log does with each request's and answer's data. Strings are told from keys by what
 * stands before them, so that even text that nobody checked cannot smuggle one through as a key
 * where no key may stand. */
#include "lib/json_scan.h"

#define LEVELS_MAX 64u

struct place {
    uint64_t objects; /* bit n: level n + 1 is an object */
    unsigned depth;
    bool key_next; /* an object's '{' or ',' came last */
};

static bool inside_object(const struct place *place)
{
    return place->depth > 0 && (place->objects >> (place->depth - 1) & 1) != 0;
}

static void descend(struct place *place, bool object)
{
    uint64_t bit = UINT64_C(1) << place->depth;
    place->objects = object ? place->objects | bit : place->objects & ~bit;
    place->depth++;
    place->key_next = object;
}

/* The end of the string at `at`, behind its quote. *ret_clean: no raw control character is in it, so it
 * may be a key of checked text. Eight bytes at once: a bit is set where a byte is one that matters, and
 * perhaps above the first such byte. */
static const unsigned char *string_end(const unsigned char *at, const unsigned char *end,
                                       bool *ret_clean)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones * 0x80;
    bool clean = true;
    at++;
    while (at < end) {
        if (end - at >= 8) {
            uint64_t x = kt_get_u64(at), quote = x ^ (ones * '"'), slash = x ^ (ones * '\\');
            uint64_t found = (((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
                              ((x - ones * 0x20) & ~x)) &
                             highs;
            if (found == 0) {
                at += 8;
                continue;
            }
            at += (unsigned)__builtin_ctzll(found) / 8;
        }
        if (*at == '"') {
            at++;
            break;
        }
        unsigned step = *at == '\\' && end - at > 1 ? 2 : 1;
        clean = clean && at[0] >= 0x20 && at[step - 1] >= 0x20;
        at += step;
    }
    *ret_clean = clean;
    return at;
}

static bool is_number_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '.' || c == 'e' || c == 'E' || c == '+';
}

static bool is_plain_scalar(struct kt_bytes text)
{
    if (text.at[0] >= 'a')
        return kt_bytes_is(text, "true") || kt_bytes_is(text, "false") || kt_bytes_is(text, "null");
    for (size_t i = 0; i < text.len; i++)
        if (!is_number_char(text.at[i]))
            return false;
    return true;
}

static void keep(const struct kt_json_replacer *to, void *arg, const unsigned char *from,
                 const unsigned char *end)
{
    if (from < end)
        to->keep(arg, kt_bytes(from, (size_t)(end - from)));
}

void kt_json_replace(struct kt_json value, unsigned depth, const struct kt_json_replacer *to,
                     void *arg)
{
    const unsigned char *at = (const unsigned char *)value.at, *end = at + value.len, *kept = at;
    struct place place = {0};
    if (depth > LEVELS_MAX)
        depth = LEVELS_MAX;
    while (at < end) {
        unsigned char c = *at;
        bool opens = (c == '{' || c == '[') && place.depth < depth;
        if (json_space(c)) {
            keep(to, arg, kept, at);
            kept = ++at;
        } else if (opens || c == ',' || c == ':' || c == '}' || c == ']') {
            if (opens)
                descend(&place, c == '{');
            else if (c == '}' || c == ']')
                place.depth -= place.depth > 0;
            if (!opens)
                place.key_next = c == ',' && inside_object(&place);
            at++;
        } else {
            bool clean = false;
            const unsigned char *stop =
                c == '"' ? string_end(at, end, &clean) : kt_json_value_end(at, end);
            struct kt_bytes text = kt_bytes(at, (size_t)(stop - at));
            bool stays = c == '"' ? place.key_next && clean
                                  : c != '{' && c != '[' && is_plain_scalar(text);
            place.key_next = false;
            if (!stays) {
                keep(to, arg, kept, at);
                to->replace(arg, (struct kt_json){(const char *)at, text.len});
                kept = stop;
            }
            at = stop;
        }
    }
    keep(to, arg, kept, at);
}
