#include "agent/template.h"

#include <stdarg.h>
#include <stdio.h>

#include "agent/pipes.h"

#define ACTIONS_MAX 10000u
#define WORDS_MAX   8u
#define WORD_MAX    1024u
#define FIELD_MAX   ((size_t)1024 * 1024)

struct word {
    char text[WORD_MAX];
    bool quoted, pipe;
};

struct renderer {
    struct template_place place;
    const char *host;
    struct kt_bytes text;
    size_t at;
    const struct values *values; /* NULL: only checking */
    struct kt_buf *out;          /* NULL: only checking */
    template_secret_fn *each;
    void *each_arg;
    char with[WORD_MAX]; /* the secret of the open {{ with }}; "" outside */
    unsigned actions;
    bool trim_next; /* the last action ended in "-}}" */
    struct word words[WORDS_MAX];
    size_t n_words;
    struct kt_err *err;
};

static enum kt_kind fail(struct renderer *r, size_t at, const char *format, ...) KT_PRINTF(3, 4);
static enum kt_kind fail(struct renderer *r, size_t at, const char *format, ...)
{
    unsigned line = r->place.lines_before + 1, column = 1;
    for (size_t i = 0; i < at && i < r->text.len; i++) {
        column++;
        if (r->text.at[i] == '\n') {
            line++;
            column = 1;
        }
    }
    char what[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return kt_fail(r->err, KT_INVALID, "%s:%u:%u: %s", r->place.file, line, column, what);
}

/* ---- words of an action ---- */

static bool blank(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* A Go string: \" \\ \n \t, or a `raw` one. */
static enum kt_kind read_quoted(struct renderer *r, size_t end, struct word *word)
{
    size_t start = r->at;
    unsigned char quote = r->text.at[r->at++];
    size_t n = 0;
    while (r->at < end && r->text.at[r->at] != quote) {
        unsigned char c = r->text.at[r->at++];
        if (c == '\\' && quote == '"' && r->at < end) {
            c = r->text.at[r->at++];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        }
        if (n + 1 >= WORD_MAX)
            return fail(r, start, "a string is longer than %u bytes", WORD_MAX);
        word->text[n++] = (char)c;
    }
    if (r->at >= end)
        return fail(r, start, "a string does not end");
    r->at++;
    word->text[n] = '\0';
    word->quoted = true;
    return KT_OK;
}

static enum kt_kind read_words(struct renderer *r, size_t end)
{
    r->n_words = 0;
    while (r->at < end) {
        unsigned char c = r->text.at[r->at];
        if (blank(c)) {
            r->at++;
            continue;
        }
        if (r->n_words == WORDS_MAX)
            return fail(r, r->at, "too many words in one action");
        struct word *word = &r->words[r->n_words++];
        *word = (struct word){.pipe = c == '|'};
        enum kt_kind kind = KT_OK;
        if (c == '|') {
            r->at++;
        } else if (c == '"' || c == '`') {
            kind = read_quoted(r, end, word);
        } else {
            size_t n = 0;
            while (r->at < end && !blank(r->text.at[r->at]) && r->text.at[r->at] != '|' &&
                   n + 1 < WORD_MAX)
                word->text[n++] = (char)r->text.at[r->at++];
            word->text[n] = '\0';
        }
        if (kind != KT_OK)
            return kind;
    }
    return KT_OK;
}

static bool is_word(const struct renderer *r, size_t i, const char *text)
{
    return i < r->n_words && !r->words[i].quoted && strcmp(r->words[i].text, text) == 0;
}

/* ---- actions ---- */

static enum kt_kind named(struct renderer *r, const char *secret, bool candidate)
{
    return r->each == NULL ? KT_OK : r->each(r->each_arg, secret, candidate, r->err);
}

/* Passes a value through the pipes from word i on; found: false is fine only with a default. */
static enum kt_kind through_pipes(struct renderer *r, size_t start, size_t i, bool found,
                                  struct kt_buf *value)
{
    kt_autobuf struct kt_buf next;
    kt_buf_init(&next, FIELD_MAX);
    for (; i < r->n_words; i += 2) {
        if (!r->words[i].pipe || i + 1 >= r->n_words)
            return fail(r, start, "a '|' and a word were expected after the value");
        if (is_word(r, i + 1, "default")) {
            if (i + 2 >= r->n_words || !r->words[i + 2].quoted)
                return fail(r, start, "default needs a \"text\"");
            if (!found)
                kt_buf_add_text(value, r->words[i + 2].text);
            found = true;
            i++;
            continue;
        }
        const struct pipe *p = r->words[i + 1].quoted ? NULL : pipe_named(r->words[i + 1].text);
        if (p == NULL)
            return fail(r, start, "no pipe \"%.40s\"; known: " PIPE_NAMES " default",
                        r->words[i + 1].text);
        if (r->out == NULL || !found)
            continue;
        kt_buf_reset(&next);
        if (!p->apply(kt_buf_bytes(value), &next))
            return fail(r, start, "a value cannot be written with %s: %s", p->name, p->takes);
        kt_buf_reset(value);
        kt_buf_add_bytes(value, kt_buf_bytes(&next));
    }
    if (r->out == NULL)
        return KT_OK;
    if (!found)
        return KT_NOT_FOUND;
    kt_buf_add_bytes(r->out, kt_buf_bytes(value));
    return kt_buf_ok(value) && kt_buf_ok(r->out)
               ? KT_OK
               : fail(r, start, "the output is larger than 1 MiB");
}

static enum kt_kind emit_field(struct renderer *r, size_t start, const char *secret,
                               const char *field, values_field_fn *of, size_t next)
{
    kt_autobuf struct kt_buf value;
    kt_buf_init(&value, FIELD_MAX);
    struct kt_err missing = {0};
    bool found =
        r->values != NULL && of(r->values, secret, field, &value, &missing) == KT_OK;
    enum kt_kind kind = through_pipes(r, start, next, found, &value);
    if (kind != KT_NOT_FOUND)
        return kind;
    kind = fail(r, start, "%s", missing.what);
    kt_hint(r->err, "%s", missing.hint);
    return kind;
}

static enum kt_kind act_secret(struct renderer *r, size_t start)
{
    if (r->n_words < 3 || !r->words[1].quoted || !r->words[2].quoted)
        return fail(r, start, "write it as {{ secret \"path\" \"field\" }}");
    enum kt_kind kind = named(r, r->words[1].text, false);
    return kind == KT_OK ? emit_field(r, start, r->words[1].text, r->words[2].text, values_field, 3) : kind;
}

static enum kt_kind act_candidate(struct renderer *r, size_t start)
{
    if (r->n_words < 3 || !r->words[1].quoted || !r->words[2].quoted)
        return fail(r, start, "write it as {{ candidate \"path\" \"field\" }}");
    enum kt_kind kind = named(r, r->words[1].text, true);
    return kind == KT_OK ? emit_field(r, start, r->words[1].text, r->words[2].text, values_candidate, 3) : kind;
}

static enum kt_kind act_with(struct renderer *r, size_t start)
{
    if (!is_word(r, 1, "secret") || r->n_words != 3 || !r->words[2].quoted)
        return fail(r, start, "write it as {{ with secret \"path\" }}");
    if (r->with[0] != '\0')
        return fail(r, start, "a {{ with }} inside a {{ with }} is not offered");
    memcpy(r->with, r->words[2].text, sizeof r->with);
    return named(r, r->with, false);
}

static enum kt_kind act_end(struct renderer *r, size_t start)
{
    if (r->with[0] == '\0')
        return fail(r, start, "{{ end }} without {{ with }}");
    r->with[0] = '\0';
    return KT_OK;
}

static enum kt_kind act_version(struct renderer *r, size_t start)
{
    if (r->n_words != 2 || !r->words[1].quoted)
        return fail(r, start, "write it as {{ version \"path\" }}");
    enum kt_kind kind = named(r, r->words[1].text, false);
    if (kind != KT_OK || r->out == NULL)
        return kind;
    const struct value *value = values_find(r->values, r->words[1].text);
    if (value == NULL)
        return fail(r, start, "secret %.200s was not fetched", r->words[1].text);
    kt_buf_printf(r->out, "%llu", (unsigned long long)value->version);
    return KT_OK;
}

static enum kt_kind act_host(struct renderer *r, size_t start)
{
    if (r->n_words != 1)
        return fail(r, start, "write it as {{ host }}");
    if (r->out != NULL)
        kt_buf_add_text(r->out, r->host);
    return KT_OK;
}

static const struct {
    const char *word;
    enum kt_kind (*act)(struct renderer *r, size_t start);
} actions[] = {{"secret", act_secret},
               {"candidate", act_candidate},
               {"with", act_with},
               {"end", act_end},
               {"version", act_version},
               {"host", act_host}};

static enum kt_kind act_dot(struct renderer *r, size_t start)
{
    static const char prefix[] = ".Data.data.";
    if (r->with[0] == '\0')
        return fail(r, start, "a field is only known inside {{ with secret \"path\" }}");
    if (strncmp(r->words[0].text, prefix, sizeof prefix - 1) != 0)
        return fail(r, start, "write the field as .Data.data.NAME");
    char secret[WORD_MAX], field[WORD_MAX];
    memcpy(secret, r->with, sizeof secret);
    (void)snprintf(field, sizeof field, "%s", r->words[0].text + sizeof prefix - 1);
    return emit_field(r, start, secret, field, values_field, 1);
}

static enum kt_kind act(struct renderer *r, size_t start)
{
    if (++r->actions > ACTIONS_MAX)
        return fail(r, start, "more than %u actions", ACTIONS_MAX);
    if (r->n_words == 0)
        return fail(r, start, "an empty action");
    if (!r->words[0].quoted && r->words[0].text[0] == '.')
        return act_dot(r, start);
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (is_word(r, 0, actions[i].word))
            return actions[i].act(r, start);
    return fail(r, start, "no function \"%.40s\"; known: secret, candidate, with, end, version, host",
                r->words[0].text);
}

/* ---- the text ---- */

static bool at_text(const struct renderer *r, size_t at, const char *text)
{
    size_t n = strlen(text);
    return r->text.len - at >= n && memcmp(r->text.at + at, text, n) == 0;
}

static void emit_text(struct renderer *r, size_t from, size_t to, bool trim_end)
{
    if (r->trim_next)
        while (from < to && blank(r->text.at[from]))
            from++;
    if (trim_end)
        while (to > from && blank(r->text.at[to - 1]))
            to--;
    if (r->out != NULL)
        kt_buf_add(r->out, r->text.at + from, to - from);
    r->trim_next = false;
}

/* Where "}}" is, outside of strings; in a comment a quote begins none. The text's end or more: nowhere. */
static size_t end_of_action(const struct renderer *r, bool comment)
{
    size_t end = r->at;
    unsigned char quote = 0;
    while (end < r->text.len && (quote != 0 || !at_text(r, end, "}}"))) {
        unsigned char c = r->text.at[end];
        if (quote == 0 && !comment && (c == '"' || c == '`'))
            quote = c;
        else if (quote != 0 && c == quote)
            quote = 0;
        else if (quote == '"' && c == '\\')
            end++;
        end++;
    }
    return end;
}

/* From "{{" on; leaves r->at behind "}}". */
static enum kt_kind one_action(struct renderer *r)
{
    size_t start = r->at;
    r->at += 2;
    if (at_text(r, r->at, "-"))
        r->at++;
    bool comment = at_text(r, r->at, "!") || at_text(r, r->at, "/*");
    size_t end = end_of_action(r, comment);
    if (end >= r->text.len)
        return fail(r, start, "\"{{\" without \"}}\"");
    size_t inner_end = end;
    if (inner_end > r->at && r->text.at[inner_end - 1] == '-') {
        inner_end--;
        r->trim_next = true;
    }
    enum kt_kind kind = KT_OK;
    if (!comment) {
        kind = read_words(r, inner_end);
        if (kind == KT_OK)
            kind = act(r, start);
    }
    r->at = end + 2;
    return kind;
}

static enum kt_kind walk(struct renderer *r)
{
    size_t from = 0;
    while (r->at < r->text.len) {
        if (!at_text(r, r->at, "{{")) {
            r->at++;
            continue;
        }
        emit_text(r, from, r->at, at_text(r, r->at, "{{-"));
        enum kt_kind kind = one_action(r);
        if (kind != KT_OK)
            return kind;
        from = r->at;
    }
    emit_text(r, from, r->at, false);
    if (r->with[0] != '\0')
        return fail(r, r->text.len, "{{ with }} without {{ end }}");
    if (r->out != NULL && !kt_buf_ok(r->out))
        return fail(r, r->text.len, "the output is larger than 1 MiB");
    return KT_OK;
}

enum kt_kind template_check(struct kt_bytes text, const struct template_place *place, template_secret_fn *each,
                            void *arg, struct kt_err *err)
{
    struct renderer r = {.place = *place, .text = text, .each = each, .each_arg = arg, .err = err};
    return walk(&r);
}

enum kt_kind template_render(struct kt_bytes text, const struct template_place *place, const char *host,
                             const struct values *values, struct kt_buf *out, struct kt_err *err)
{
    struct renderer r = {
        .place = *place, .host = host, .text = text, .values = values, .out = out, .err = err};
    return walk(&r);
}
