#include "lib/jsonw.h"

#include "lib/assert.h"
#include "lib/clock.h"
#include "lib/utf8.h"

struct kt_jsonw kt_jsonw(struct kt_buf *out)
{
    return (struct kt_jsonw){.out = out};
}

/* Is a comma due before the key or element that comes now? A value after its key has none. */
static bool comma(struct kt_jsonw *w)
{
    if (w->after_key) {
        w->after_key = false;
        return false;
    }
    if (w->depth == 0 || w->depth > KT_JSONW_DEPTH)
        return false;
    bool due = w->comma[w->depth - 1];
    w->comma[w->depth - 1] = true;
    return due;
}

/* An element's text, with its comma in one step: replies are made of many small pieces. */
static void add_element(struct kt_jsonw *w, const void *text, size_t len)
{
    bool due = comma(w);
    unsigned char *to = kt_buf_grow(w->out, len + due);
    if (to == NULL)
        return;
    if (due)
        *to++ = ',';
    if (len > 0)
        memcpy(to, text, len);
}

/* Counts on beyond the limit, so that the ends still match, but the buffer has failed. */
static void open(struct kt_jsonw *w, char first, char last)
{
    add_element(w, &first, 1);
    if (w->depth < KT_JSONW_DEPTH) {
        w->comma[w->depth] = false;
        w->close[w->depth] = last;
    } else {
        w->out->failed = true;
    }
    w->depth++;
}

void kt_jsonw_object(struct kt_jsonw *w)
{
    open(w, '{', '}');
}

void kt_jsonw_array(struct kt_jsonw *w)
{
    open(w, '[', ']');
}

void kt_jsonw_end(struct kt_jsonw *w)
{
    KT_ASSERT(w->depth > 0 && !w->after_key);
    w->depth--;
    if (w->depth < KT_JSONW_DEPTH)
        kt_buf_add_char(w->out, w->close[w->depth]);
}

/* Characters that stand for themselves in Go's encoder. */
static bool plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

/* Sets bits where a byte of x is c (and perhaps above the first such byte). */
static uint64_t match(uint64_t x, unsigned char c)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    return (x ^ (ones * c)) - ones;
}

static const unsigned char *plain_end(const unsigned char *at, const unsigned char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    while (end - at >= 8) {
        uint64_t x;
        memcpy(&x, at, 8);
        uint64_t found = match(x, '"') | match(x, '\\') | match(x, '<') | match(x, '>') |
                         match(x, '&') | (x - ones * 0x20) | x;
        if ((found & (ones * 0x80)) != 0)
            break;
        at += 8;
    }
    while (at < end && plain(*at))
        at++;
    return at;
}

static void add_escape(struct kt_buf *out, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    static const char special[] = "\"\\\n\r\t", letter[] = "\"\\nrt";
    const char *found = c == 0 ? NULL : strchr(special, c);
    if (found != NULL) {
        char text[2] = {'\\', letter[found - special]};
        kt_buf_add(out, text, 2);
    } else {
        char text[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        kt_buf_add(out, text, 6);
    }
}

/* What needs escapes, from `at` on; the text before it is plain. */
static void add_escaped(struct kt_buf *out, struct kt_bytes text, const unsigned char *at)
{
    const unsigned char *end = text.at + text.len, *run = text.at;
    while (at < end) {
        size_t step = *at < 0x80 ? 0 : kt_utf8_step(at, (size_t)(end - at));
        bool separator = step == 3 && at[0] == 0xe2 && at[1] == 0x80 && (at[2] & 0xfe) == 0xa8;
        if (step > 0 && !separator) {
            at = plain_end(at + step, end);
            continue;
        }
        kt_buf_add(out, run, (size_t)(at - run));
        if (separator)
            kt_buf_add(out, at[2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
        else if (*at < 0x80)
            add_escape(out, *at);
        else
            kt_buf_add(out, "\\ufffd", 6);
        run = at + (separator ? 3 : 1);
        at = plain_end(run, end);
    }
    kt_buf_add(out, run, (size_t)(at - run));
}

void kt_json_quote(struct kt_buf *out, struct kt_bytes text)
{
    const unsigned char *end = text.at + text.len;
    const unsigned char *stop = text.len == 0 ? end : plain_end(text.at, end);
    unsigned char *to = stop == end ? kt_buf_grow(out, text.len + 2) : NULL;
    if (to != NULL) {
        to[0] = '"';
        if (text.len > 0)
            memcpy(to + 1, text.at, text.len);
        to[text.len + 1] = '"';
    } else if (stop != end) {
        kt_buf_add_char(out, '"');
        add_escaped(out, text, stop);
        kt_buf_add_char(out, '"');
    }
}

static void add_string(struct kt_jsonw *w, struct kt_bytes text, bool key)
{
    bool due = comma(w);
    if (text.len == 0)
        text = kt_str("");
    const unsigned char *stop = plain_end(text.at, text.at + text.len);
    if (stop == text.at + text.len) {
        unsigned char *to = kt_buf_grow(w->out, text.len + 2 + due + key);
        if (to == NULL)
            return;
        if (due)
            *to++ = ',';
        *to++ = '"';
        memcpy(to, text.at, text.len);
        to[text.len] = '"';
        if (key)
            to[text.len + 1] = ':';
        return;
    }
    kt_buf_add(w->out, due ? ",\"" : "\"", due ? 2 : 1);
    add_escaped(w->out, text, stop);
    kt_buf_add(w->out, key ? "\":" : "\"", key ? 2 : 1);
}

void kt_jsonw_key_bytes(struct kt_jsonw *w, struct kt_bytes key)
{
    KT_ASSERT(!w->after_key && w->depth > 0);
    add_string(w, key, true);
    w->after_key = true;
}

void kt_jsonw_key(struct kt_jsonw *w, const char *key)
{
    kt_jsonw_key_bytes(w, kt_str(key));
}

void kt_jsonw_bytes(struct kt_jsonw *w, struct kt_bytes text)
{
    add_string(w, text, false);
}

void kt_jsonw_text(struct kt_jsonw *w, const char *text)
{
    if (text == NULL)
        kt_jsonw_null(w);
    else
        kt_jsonw_bytes(w, kt_str(text));
}

void kt_jsonw_int(struct kt_jsonw *w, int64_t value)
{
    char text[21];
    size_t at = sizeof text;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        text[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0)
        text[--at] = '-';
    add_element(w, text + at, sizeof text - at);
}

void kt_jsonw_bool(struct kt_jsonw *w, bool value)
{
    add_element(w, value ? "true" : "false", value ? 4 : 5);
}

void kt_jsonw_null(struct kt_jsonw *w)
{
    add_element(w, "null", 4);
}

void kt_jsonw_raw(struct kt_jsonw *w, struct kt_bytes json)
{
    add_element(w, json.at, json.len);
}

void kt_jsonw_name(struct kt_jsonw *w, const char *quoted, size_t len)
{
    KT_ASSERT(!w->after_key && w->depth > 0);
    bool first = !comma(w);
    kt_buf_add(w->out, quoted + first, len - first);
    w->after_key = true;
}

void kt_jsonw_time(struct kt_jsonw *w, int64_t ms)
{
    char text[KT_TIME_TEXT + 2] = "\"";
    if (ms != 0)
        kt_time_text(ms, text + 1);
    size_t len = strlen(text);
    text[len++] = '"';
    add_element(w, text, len);
}

void kt_jsonw_kv_time(struct kt_jsonw *w, const char *key, int64_t ms)
{
    kt_jsonw_key(w, key);
    kt_jsonw_time(w, ms);
}
