#include "lib/driver/authorized_keys.h"

#define MARK "keyturn:"

struct line {
    struct kt_bytes whole; /* with its newline, where it has one */
    struct kt_bytes text;  /* without, and without a carriage return before it */
    struct kt_bytes options, type, key, rest;
    bool is_key;
};

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t';
}

static struct kt_bytes cut(struct kt_bytes from, size_t len)
{
    return kt_bytes(from.at + len, from.len - len);
}

static struct kt_bytes skip_blanks(struct kt_bytes text)
{
    size_t n = 0;
    while (n < text.len && is_blank(text.at[n]))
        n++;
    return cut(text, n);
}

static struct kt_bytes word(struct kt_bytes text)
{
    size_t n = 0;
    while (n < text.len && !is_blank(text.at[n]))
        n++;
    return kt_bytes(text.at, n);
}

/* As sshd ends them: at a blank outside of quotes. */
static size_t options_length(struct kt_bytes text)
{
    bool quoted = false;
    size_t n = 0;
    while (n < text.len && (quoted || !is_blank(text.at[n]))) {
        if (text.at[n] == '\\' && n + 1 < text.len && text.at[n + 1] == '"')
            n++;
        else if (text.at[n] == '"')
            quoted = !quoted;
        n++;
    }
    return n;
}

/* Each key begins with the length of its type's name, whose upper three bytes are zero. */
static bool read_key(struct kt_bytes text, struct line *line)
{
    line->type = word(text);
    struct kt_bytes after = skip_blanks(cut(text, line->type.len));
    line->key = word(after);
    line->rest = cut(after, line->key.len);
    bool option = memchr(line->type.at, '"', line->type.len) != NULL || memchr(line->type.at, '=', line->type.len) != NULL;
    return line->type.len > 0 && !option && kt_bytes_starts(line->key, "AAAA");
}

static struct line read_line(struct kt_bytes *rest)
{
    const unsigned char *end = memchr(rest->at, '\n', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->at);
    struct line line = {.whole = kt_bytes(rest->at, len + (end == NULL ? 0 : 1)),
                        .text = kt_bytes(rest->at, len)};
    *rest = cut(*rest, line.whole.len);
    if (len > 0 && line.text.at[len - 1] == '\r')
        line.text.len--;
    struct kt_bytes text = skip_blanks(line.text);
    line.options = kt_bytes(text.at, 0);
    if (text.len == 0 || text.at[0] == '#')
        return line;
    line.is_key = read_key(text, &line);
    if (line.is_key)
        return line;
    line.options = kt_bytes(text.at, options_length(text));
    line.is_key = read_key(skip_blanks(cut(text, line.options.len)), &line);
    return line;
}

static bool has_key(const struct line *line, struct kt_bytes public_part)
{
    struct kt_bytes type = word(public_part);
    return line->is_key && public_part.len > 0 && kt_bytes_equal(line->type, type) &&
           kt_bytes_equal(line->key, skip_blanks(cut(public_part, type.len)));
}

static bool is_mark(struct kt_bytes text, const char *secret)
{
    size_t len = sizeof(MARK) - 1 + strlen(secret);
    return kt_bytes_starts(text, MARK) && kt_bytes_starts(cut(text, sizeof(MARK) - 1), secret) &&
           (text.len == len || text.at[len] == ':');
}

static bool has_mark(const struct line *line, const char *secret)
{
    if (!line->is_key)
        return false;
    for (struct kt_bytes rest = skip_blanks(line->rest); rest.len > 0; rest = skip_blanks(rest)) {
        struct kt_bytes one = word(rest);
        if (is_mark(one, secret))
            return true;
        rest = cut(rest, one.len);
    }
    return false;
}

static bool expires(struct kt_bytes options)
{
    static const char name[] = "expiry-time=";
    return options.len > 0 && memmem(options.at, options.len, name, sizeof(name) - 1) != NULL;
}

struct found {
    struct kt_keys_seen seen;
    struct line model; /* whose options a new line gets */
    bool has_model, model_is_keep;
};

static struct found look(struct kt_bytes file, const struct kt_keys_wish *wish)
{
    struct found f = {.seen = {.marked_keep = true}};
    for (struct kt_bytes rest = file; rest.len > 0;) {
        struct line line = read_line(&rest);
        bool add = has_key(&line, wish->add), keep = has_key(&line, wish->keep);
        bool marked = has_mark(&line, wish->secret);
        f.seen.add = f.seen.add || add;
        f.seen.keep = f.seen.keep || keep;
        f.seen.marked_keep = f.seen.marked_keep && (!keep || marked);
        f.seen.others += marked && !add && !keep;
        f.seen.foreign += line.is_key && !marked && !add && !keep;
        if ((keep && !f.model_is_keep) || (marked && !f.has_model)) {
            f.model = line;
            f.has_model = true;
            f.model_is_keep = keep;
        }
    }
    f.seen.marked_keep = f.seen.marked_keep && f.seen.keep;
    f.seen.expires = f.has_model && expires(f.model.options);
    return f;
}

void kt_keys_look(struct kt_bytes file, const struct kt_keys_wish *wish, struct kt_keys_seen *ret)
{
    *ret = look(file, wish).seen;
}

static void add_mark(const struct kt_keys_wish *wish, struct kt_buf *out)
{
    kt_buf_printf(out, " " MARK "%s%s%s", wish->secret, wish->run[0] == '\0' ? "" : ":", wish->run);
}

static void copy_line(const struct line *line, bool mark, const struct kt_keys_wish *wish,
                      struct kt_buf *out)
{
    if (!mark) {
        kt_buf_add_bytes(out, line->whole);
        return;
    }
    kt_buf_add_bytes(out, line->text);
    add_mark(wish, out);
    kt_buf_add_bytes(out, cut(line->whole, line->text.len));
}

static void add_line(const struct line *model, const struct kt_keys_wish *wish, struct kt_buf *out)
{
    if (out->len > 0 && out->at[out->len - 1] != '\n')
        kt_buf_add_char(out, '\n');
    kt_buf_add_bytes(out, model->options);
    if (model->options.len > 0)
        kt_buf_add_char(out, ' ');
    kt_buf_add_bytes(out, wish->add);
    add_mark(wish, out);
    kt_buf_add_char(out, '\n');
}

enum kt_keys_outcome kt_keys_edit(struct kt_bytes file, const struct kt_keys_wish *wish,
                                  struct kt_buf *out, struct kt_keys_seen *ret_seen)
{
    const struct found f = look(file, wish);
    bool adds = wish->add.len > 0 && !f.seen.add, changed = adds;
    *ret_seen = f.seen;
    if (adds && !f.has_model)
        return KT_KEYS_NO_MODEL;
    for (struct kt_bytes rest = file; rest.len > 0;) {
        struct line line = read_line(&rest);
        bool ours = has_key(&line, wish->add) || has_key(&line, wish->keep);
        bool marked = has_mark(&line, wish->secret);
        bool dropped = wish->alone && marked && !ours;
        changed = changed || dropped || (ours && !marked);
        if (!dropped)
            copy_line(&line, ours && !marked, wish, out);
    }
    if (adds)
        add_line(&f.model, wish, out);
    if (!kt_buf_ok(out))
        return KT_KEYS_MEMORY;
    return changed ? KT_KEYS_CHANGED : KT_KEYS_SAME;
}
