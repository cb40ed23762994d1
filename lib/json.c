#include "lib/json.h"

#include "lib/assert.h"
#include "lib/json_scan.h"
#include "lib/num.h"

static const unsigned char *start_of(struct kt_json value)
{
    return (const unsigned char *)value.at;
}

static struct kt_json span(const unsigned char *at, const unsigned char *end)
{
    return (struct kt_json){(const char *)at, (size_t)(end - at)};
}

struct kt_json kt_json_value(struct kt_bytes checked)
{
    if (checked.len == 0)
        return (struct kt_json){0};
    const unsigned char *end = checked.at + checked.len;
    const unsigned char *at = json_skip_space(checked.at, end);
    if (at == end)
        return (struct kt_json){0};
    while (end > at && json_space(end[-1]))
        end--;
    return span(at, end);
}

enum kt_json_type kt_json_type(struct kt_json value)
{
    if (value.at == NULL || value.len == 0)
        return KT_JSON_NONE;
    switch (value.at[0]) {
    case '{':
        return KT_JSON_OBJECT;
    case '[':
        return KT_JSON_ARRAY;
    case '"':
        return KT_JSON_STRING;
    case 't':
    case 'f':
        return KT_JSON_BOOL;
    case 'n':
        return KT_JSON_NULL;
    default:
        return KT_JSON_NUMBER;
    }
}

struct kt_json_iter kt_json_iter(struct kt_json container)
{
    enum kt_json_type type = kt_json_type(container);
    if ((type != KT_JSON_OBJECT && type != KT_JSON_ARRAY) || container.len < 2)
        return (struct kt_json_iter){0};
    return (struct kt_json_iter){.at = container.at + 1,
                                 .end = container.at + container.len - 1,
                                 .object = type == KT_JSON_OBJECT};
}

/* The value at `at`, stepping over it and the white space in front. */
static struct kt_json take_value(const unsigned char **at, const unsigned char *end)
{
    const unsigned char *start = json_skip_space(*at, end);
    *at = kt_json_value_end(start, end);
    return span(start, *at);
}

bool kt_json_next(struct kt_json_iter *it)
{
    if (it->at == NULL)
        return false;
    const unsigned char *at = (const unsigned char *)it->at;
    const unsigned char *end = (const unsigned char *)it->end;
    at = json_skip_space(at, end);
    if (at < end && *at == ',')
        at = json_skip_space(at + 1, end);
    if (at >= end) {
        it->at = it->end;
        return false;
    }
    it->key = (struct kt_json){0};
    if (it->object) {
        it->key = take_value(&at, end);
        at = json_skip_space(at, end);
        if (at < end)
            at++; /* the colon */
    }
    it->value = take_value(&at, end);
    it->at = (const char *)at;
    return true;
}

size_t kt_json_count(struct kt_json container)
{
    size_t count = 0;
    struct kt_json_iter it = kt_json_iter(container);
    while (kt_json_next(&it))
        count++;
    return count;
}

bool kt_json_is(struct kt_json string, const char *text)
{
    if (kt_json_type(string) != KT_JSON_STRING || string.len < 2)
        return false;
    struct json_chars chars = {start_of(string) + 1, start_of(string) + string.len - 1};
    unsigned char store[4];
    for (;;) {
        struct kt_bytes piece = kt_json_chars_next(&chars, store);
        if (piece.len == 0)
            return *text == '\0';
        if (strnlen(text, piece.len) < piece.len || memcmp(text, piece.at, piece.len) != 0)
            return false;
        text += piece.len;
    }
}

bool kt_json_member(struct kt_json object, const char *name, struct kt_json *ret)
{
    struct kt_json_iter it = kt_json_iter(object);
    if (!it.object)
        return false;
    while (kt_json_next(&it)) {
        if (kt_json_is(it.key, name)) {
            *ret = it.value;
            return true;
        }
    }
    return false;
}

bool kt_json_string(struct kt_json value, struct kt_buf *out)
{
    if (kt_json_type(value) != KT_JSON_STRING || value.len < 2)
        return false;
    struct kt_bytes raw = kt_json_raw(value);
    struct json_chars chars = {raw.at, raw.at + raw.len};
    unsigned char store[4];
    for (;;) {
        struct kt_bytes piece = kt_json_chars_next(&chars, store);
        if (piece.len == 0)
            return kt_buf_ok(out);
        kt_buf_add_bytes(out, piece);
    }
}

char *kt_json_text(struct kt_json value, struct kt_arena *arena)
{
    if (kt_json_type(value) != KT_JSON_STRING || value.len < 2)
        return NULL;
    struct kt_bytes raw = kt_json_raw(value);
    /* No escape decodes to more bytes than it is written with. */
    char *text = kt_arena_take(arena, raw.len + 1);
    if (text == NULL)
        return NULL;
    struct json_chars chars = {raw.at, raw.at + raw.len};
    unsigned char store[4];
    size_t len = 0;
    for (;;) {
        struct kt_bytes piece = kt_json_chars_next(&chars, store);
        if (piece.len == 0)
            break;
        KT_ASSERT(piece.len <= raw.len - len);
        memcpy(text + len, piece.at, piece.len);
        len += piece.len;
    }
    text[len] = '\0';
    return text;
}

bool kt_json_bool(struct kt_json value, bool *ret)
{
    if (kt_json_type(value) != KT_JSON_BOOL)
        return false;
    *ret = value.at[0] == 't';
    return true;
}

bool kt_json_i64(struct kt_json value, int64_t *ret)
{
    if (kt_json_type(value) != KT_JSON_NUMBER)
        return false;
    bool negative = value.at[0] == '-';
    struct kt_bytes digits = kt_bytes(value.at + negative, value.len - negative);
    uint64_t size = 0;
    if (!kt_u64_parse(digits, (uint64_t)INT64_MAX + negative, &size))
        return false;
    /* -(size - 1) - 1 reaches INT64_MIN without passing it. */
    *ret = !negative || size == 0 ? (int64_t)size : -(int64_t)(size - 1) - 1;
    return true;
}

struct kt_bytes kt_json_bytes(struct kt_json value)
{
    return kt_bytes(value.at, value.len);
}
