#include "lib/jsonw.h"

#include "lib/assert.h"
#include "lib/clock.h"
#include "lib/utf8.h"

struct kt_jsonw kt_jsonw(struct kt_buf *out)
{
    return (struct kt_jsonw){.out = out};
}

/* The comma before a key or an element. A value after its key has none. */
static void begin(struct kt_jsonw *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0 || w->depth > KT_JSONW_DEPTH)
        return;
    if (w->comma[w->depth - 1])
        kt_buf_add_char(w->out, ',');
    w->comma[w->depth - 1] = true;
}

/* Counts on beyond the limit, so that the ends still match, but the buffer has failed. */
static void open(struct kt_jsonw *w, char first, char last)
{
    begin(w);
    kt_buf_add_char(w->out, first);
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

static void add_string(struct kt_buf *out, struct kt_bytes text)
{
    const unsigned char *at = text.at, *end = text.len == 0 ? at : at + text.len;
    const unsigned char *run = at;
    kt_buf_add_char(out, '"');
    while (at < end) {
        if (plain(*at)) {
            at++;
            continue;
        }
        size_t step = *at < 0x80 ? 0 : kt_utf8_step(at, (size_t)(end - at));
        bool separator = step == 3 && at[0] == 0xe2 && at[1] == 0x80 && (at[2] & 0xfe) == 0xa8;
        if (step > 0 && !separator) {
            at += step;
            continue;
        }
        kt_buf_add(out, run, (size_t)(at - run));
        if (separator)
            kt_buf_add(out, at[2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
        else if (*at < 0x80)
            add_escape(out, *at);
        else
            kt_buf_add(out, "\\ufffd", 6);
        at += separator ? 3 : 1;
        run = at;
    }
    kt_buf_add(out, run, (size_t)(at - run));
    kt_buf_add_char(out, '"');
}

void kt_jsonw_key_bytes(struct kt_jsonw *w, struct kt_bytes key)
{
    KT_ASSERT(!w->after_key && w->depth > 0);
    begin(w);
    add_string(w->out, key);
    kt_buf_add_char(w->out, ':');
    w->after_key = true;
}

void kt_jsonw_key(struct kt_jsonw *w, const char *key)
{
    kt_jsonw_key_bytes(w, kt_str(key));
}

void kt_jsonw_bytes(struct kt_jsonw *w, struct kt_bytes text)
{
    begin(w);
    add_string(w->out, text);
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
    begin(w);
    kt_buf_add(w->out, text + at, sizeof text - at);
}

void kt_jsonw_bool(struct kt_jsonw *w, bool value)
{
    begin(w);
    kt_buf_add_text(w->out, value ? "true" : "false");
}

void kt_jsonw_null(struct kt_jsonw *w)
{
    begin(w);
    kt_buf_add_text(w->out, "null");
}

void kt_jsonw_raw(struct kt_jsonw *w, struct kt_bytes json)
{
    begin(w);
    kt_buf_add_bytes(w->out, json);
}

void kt_jsonw_kv_time(struct kt_jsonw *w, const char *key, int64_t ms)
{
    char text[KT_TIME_TEXT] = "";
    if (ms != 0)
        kt_time_text(ms, text);
    kt_jsonw_kv_text(w, key, text);
}
