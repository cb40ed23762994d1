/* cli/dotenv.c - see cli/dotenv.h. */
#include "cli/dotenv.h"

#include "lib/jsonw.h"
#include "lib/utf8.h"

#define NAMES_MAX 1000u
#define NAME_MAX_LEN 255u

struct text {
    const unsigned char *at, *end;
    size_t line;
};

static bool is_name_start(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(unsigned char c)
{
    return is_name_start(c) || (c >= '0' && c <= '9') || c == '.' || c == '-';
}

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct text *t)
{
    while (t->at < t->end && is_blank(*t->at))
        t->at++;
}

static enum kt_kind wrong(const struct text *t, struct kt_err *err, const char *why)
{
    return kt_fail(err, KT_INVALID, "line %zu: %s", t->line, why);
}

static bool at_end(const struct text *t)
{
    return t->at == t->end || *t->at == '\n';
}

/* ---- a line's parts ---- */

static enum kt_kind read_name(struct text *t, struct kt_bytes *ret, struct kt_err *err)
{
    static const char word[] = "export";
    size_t len = sizeof word - 1;
    if ((size_t)(t->end - t->at) > len && memcmp(t->at, word, len) == 0 && is_blank(t->at[len])) {
        t->at += len;
        skip_blanks(t);
    }
    const unsigned char *start = t->at;
    if (t->at == t->end || !is_name_start(*t->at))
        return wrong(t, err, "it has to begin with a name, like NAME=VALUE");
    while (t->at < t->end && is_name(*t->at))
        t->at++;
    *ret = kt_bytes(start, (size_t)(t->at - start));
    skip_blanks(t);
    if (t->at == t->end || *t->at != '=')
        return wrong(t, err, "there is no '=' behind the name");
    if (ret->len > NAME_MAX_LEN)
        return wrong(t, err, "the name is longer than 255 bytes");
    t->at++;
    skip_blanks(t);
    return KT_OK;
}

static enum kt_kind read_bare(struct text *t, struct kt_buf *ret)
{
    const unsigned char *start = t->at, *last = t->at;
    while (!at_end(t) && !(*t->at == '#' && (t->at == start || is_blank(t->at[-1])))) {
        t->at++;
        if (!is_blank(t->at[-1]))
            last = t->at;
    }
    kt_buf_add(ret, start, (size_t)(last - start));
    return KT_OK;
}

static bool add_escape(unsigned char c, struct kt_buf *ret)
{
    static const char from[] = "nrt\"\\$`", to[] = "\n\r\t\"\\$`";
    const char *found = c == '\0' ? NULL : strchr(from, c);
    if (found != NULL)
        kt_buf_add_char(ret, to[found - from]);
    return found != NULL;
}

static enum kt_kind read_quoted(struct text *t, struct kt_buf *ret, struct kt_err *err)
{
    unsigned char quote = *t->at++;
    const struct text start = *t;
    while (t->at < t->end && *t->at != quote) {
        unsigned char c = *t->at++;
        if (c == '\n')
            t->line++;
        if (c != '\\' || quote == '\'')
            kt_buf_add_char(ret, (char)c);
        else if (t->at == t->end || !add_escape(*t->at++, ret))
            return wrong(t, err, "only \\n \\r \\t \\\" \\\\ \\$ and \\` are known in double quotes");
    }
    if (t->at == t->end)
        return wrong(&start, err, "the quotes that begin here do not end");
    t->at++;
    skip_blanks(t);
    return at_end(t) || *t->at == '#' ? KT_OK : wrong(t, err, "something follows the quotes");
}

/* ---- the whole ---- */

/* Names that were there, quoted, in the object that is being written. */
static bool is_twice(const struct kt_buf *seen, struct kt_bytes name)
{
    const unsigned char *at = seen->at;
    size_t left = seen->len;
    while (left > 0) {
        const unsigned char *end = memchr(at, '\n', left);
        size_t len = (size_t)(end - at);
        if (len == name.len && memcmp(at, name.at, len) == 0)
            return true;
        at = end + 1;
        left -= len + 1;
    }
    return false;
}

static enum kt_kind read_line(struct text *t, struct kt_jsonw *w, struct kt_buf *seen, struct kt_err *err)
{
    struct kt_bytes name = {0};
    kt_autobuf struct kt_buf value = {0};
    kt_buf_init(&value, (size_t)(t->end - t->at) + 1);
    enum kt_kind kind = read_name(t, &name, err);
    if (kind == KT_OK && is_twice(seen, name))
        kind = wrong(t, err, "the name was there before");
    if (kind != KT_OK)
        return kind;
    bool quoted = t->at < t->end && (*t->at == '\'' || *t->at == '"');
    kind = quoted ? read_quoted(t, &value, err) : read_bare(t, &value);
    if (kind != KT_OK)
        return kind;
    kt_buf_add_bytes(seen, name);
    kt_buf_add_char(seen, '\n');
    kt_jsonw_key_bytes(w, name);
    kt_jsonw_bytes(w, kt_buf_bytes(&value));
    return kt_buf_ok(&value) && kt_buf_ok(seen) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "reading the file");
}

static bool is_text(struct kt_bytes text)
{
    if (text.len > 0 && memchr(text.at, '\0', text.len) != NULL)
        return false;
    for (size_t i = 0; i < text.len;) {
        size_t len = kt_utf8_step(text.at + i, text.len - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

enum kt_kind dotenv_read(struct kt_bytes text, struct kt_buf *ret, struct kt_err *err)
{
    struct text t = {.at = text.at, .end = text.at + text.len, .line = 1};
    kt_autobuf struct kt_buf seen = {0};
    size_t names = 0;
    kt_buf_init(&seen, text.len + NAMES_MAX);
    if (!is_text(text))
        return kt_fail(err, KT_INVALID, "it is not text: UTF-8 without NUL");
    struct kt_jsonw w = kt_jsonw(ret);
    kt_jsonw_object(&w);
    for (; t.at < t.end; t.at += t.at < t.end, t.line++) {
        skip_blanks(&t);
        if (!at_end(&t) && *t.at != '#') {
            enum kt_kind kind = ++names > NAMES_MAX ? wrong(&t, err, "more than 1,000 names")
                                                    : read_line(&t, &w, &seen, err);
            if (kind != KT_OK)
                return kind;
        }
        while (!at_end(&t))
            t.at++;
    }
    kt_jsonw_end(&w);
    return kt_buf_ok(ret) ? KT_OK : kt_fail(err, ret->full ? KT_TOO_LARGE : KT_NO_MEMORY, "the values are too large");
}

/* ---- writing ---- */

static bool can_be_a_name(struct kt_bytes name)
{
    if (name.len == 0 || name.len > NAME_MAX_LEN || !is_name_start(name.at[0]))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!is_name(name.at[i]))
            return false;
    return true;
}

/* What no reader takes for anything else. */
static bool is_plain(struct kt_bytes value)
{
    static const char more[] = "./:@%+,=-_";
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = value.at[i];
        bool letter = is_name_start(c) || (c >= '0' && c <= '9');
        if (!letter && strchr(more, c) == NULL)
            return false;
    }
    return true;
}

static void write_value(struct kt_bytes value, struct kt_buf *ret)
{
    static const char from[] = "\n\r\t\"\\$`", to[] = "nrt\"\\$`";
    if (is_plain(value)) {
        kt_buf_add_bytes(ret, value);
        return;
    }
    if (memchr(value.at, '\'', value.len) == NULL && memchr(value.at, '\n', value.len) == NULL &&
        memchr(value.at, '\r', value.len) == NULL) {
        kt_buf_add_char(ret, '\'');
        kt_buf_add_bytes(ret, value);
        kt_buf_add_char(ret, '\'');
        return;
    }
    kt_buf_add_char(ret, '"');
    for (size_t i = 0; i < value.len; i++) {
        const char *found = strchr(from, value.at[i]);
        if (found != NULL) {
            kt_buf_add_char(ret, '\\');
            kt_buf_add_char(ret, to[found - from]);
        } else {
            kt_buf_add_char(ret, (char)value.at[i]);
        }
    }
    kt_buf_add_char(ret, '"');
}

enum kt_kind dotenv_write(struct kt_json object, struct kt_buf *ret, struct kt_err *err)
{
    struct kt_json_iter it = kt_json_iter(object);
    while (kt_json_next(&it)) {
        kt_autobuf struct kt_buf name = {0};
        kt_autobuf struct kt_buf value = {0};
        kt_buf_init(&name, it.key.len + 1);
        kt_buf_init(&value, it.value.len + 1);
        if (!kt_json_string(it.key, &name) || !can_be_a_name(kt_buf_bytes(&name))) {
            (void)kt_fail(err, KT_INVALID, "the key '%.60s' cannot be the name of a variable", kt_buf_text(&name));
            kt_hint(err, "secretctl export json keeps every key");
            return KT_INVALID;
        }
        if (kt_json_type(it.value) == KT_JSON_STRING)
            (void)kt_json_string(it.value, &value);
        else
            (void)kt_json_compact(it.value, &value);
        if (value.len > 0 && memchr(value.at, '\0', value.len) != NULL) {
            (void)kt_fail(err, KT_INVALID, "the value of '%.60s' has a NUL byte: no variable has one", kt_buf_text(&name));
            kt_hint(err, "secretctl export json keeps every value");
            return KT_INVALID;
        }
        kt_buf_add_bytes(ret, kt_buf_bytes(&name));
        kt_buf_add_char(ret, '=');
        write_value(kt_buf_bytes(&value), ret);
        kt_buf_add_char(ret, '\n');
        if (!kt_buf_ok(&value))
            return kt_fail(err, KT_NO_MEMORY, "writing the variables");
    }
    return kt_buf_ok(ret) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "writing the variables");
}
