#include "lib/driver/template.h"

#include "lib/http_client.h"
#include "lib/jsonw.h"

#define DEPTH 16u

#define X(name, text) [name] = (text),
static const char *const names_of[] = {TEMPLATE_NAMES(X)};
#undef X

const char *kt_template_name_text(enum template_name name)
{
    return name < TEMPLATE_NAME_COUNT ? names_of[name] : "";
}

/* ---- one piece after the other ------------------------------------------------------------------ */

enum piece { PIECE_END, PIECE_TEXT, PIECE_NAME, PIECE_WRONG };

/* What stands at *at, and moves it on: a text as it is, or a name. */
static enum piece next_piece(const char **at, struct kt_bytes *ret_text, enum template_name *ret_name)
{
    const char *text = *at;
    if (*text == '\0')
        return PIECE_END;
    size_t plain = strcspn(text, "{}");
    if (plain > 0) {
        *ret_text = kt_bytes(text, plain);
        *at = text + plain;
        return PIECE_TEXT;
    }
    if (text[1] == text[0]) {
        *ret_text = kt_bytes(text, 1);
        *at = text + 2;
        return PIECE_TEXT;
    }
    size_t len = strcspn(text + 1, "{}");
    if (text[0] != '{' || text[1 + len] != '}')
        return PIECE_WRONG;
    for (unsigned i = 0; i < TEMPLATE_NAME_COUNT; i++)
        if (kt_bytes_is(kt_bytes(text + 1, len), names_of[i])) {
            *ret_name = (enum template_name)i;
            *at = text + len + 2;
            return PIECE_NAME;
        }
    return PIECE_WRONG;
}

enum kt_kind kt_template_check(const char *text, unsigned *names, struct kt_err *err)
{
    struct kt_bytes piece;
    enum template_name name = TEMPLATE_ACCOUNT;
    if (strlen(text) > TEMPLATE_MAX)
        return kt_fail(err, KT_INVALID, "it is longer than %u bytes", TEMPLATE_MAX);
    for (;;) {
        switch (next_piece(&text, &piece, &name)) {
        case PIECE_END:
            return KT_OK;
        case PIECE_TEXT:
            break;
        case PIECE_NAME:
            *names |= TEMPLATE_BIT(name);
            break;
        case PIECE_WRONG:
            (void)kt_fail(err, KT_INVALID, "a brace in it begins no name that there is");
            kt_hint(err, "{account}, {run}, {attempt}, {id}, {admin_name}, {admin}, {value}; a brace itself is "
                         "{{ or }}");
            return KT_INVALID;
        }
    }
}

/* ---- filling in --------------------------------------------------------------------------------- */

typedef void fill_fn(struct kt_buf *out, struct kt_bytes value);

static void fill(const char *text, const struct template_values *values, fill_fn *put, struct kt_buf *out)
{
    struct kt_bytes piece;
    enum template_name name = TEMPLATE_ACCOUNT;
    for (;;) {
        switch (next_piece(&text, &piece, &name)) {
        case PIECE_TEXT:
            kt_buf_add_bytes(out, piece);
            break;
        case PIECE_NAME:
            put(out, values->at[name]);
            break;
        case PIECE_WRONG:
            out->failed = true;
            return;
        case PIECE_END:
            return;
        }
    }
}

static void put_plain(struct kt_buf *out, struct kt_bytes value)
{
    kt_buf_add_bytes(out, value);
}

static void put_escaped(struct kt_buf *out, struct kt_bytes value)
{
    size_t dots = 0;
    while (dots < value.len && value.at[dots] == '.')
        dots++;
    if (dots == value.len)
        out->failed = true;
    kt_url_escape(out, value, false);
}

void kt_template_fill(const char *text, const struct template_values *values, struct kt_buf *out)
{
    fill(text, values, put_plain, out);
}

void kt_template_fill_url(const char *text, const struct template_values *values, struct kt_buf *out)
{
    fill(text, values, put_escaped, out);
}

/* ---- JSON --------------------------------------------------------------------------------------- */

struct walk {
    const struct template_values *values;
    struct kt_buf *out;
    unsigned names;
    enum kt_kind kind;
    struct kt_err *err;
};

static void keep(void *arg, struct kt_bytes text)
{
    struct walk *walk = arg;
    if (walk->out != NULL)
        kt_buf_add_bytes(walk->out, text);
}

static void check_string(struct walk *walk, const char *text)
{
    if (walk->kind == KT_OK)
        walk->kind = kt_template_check(text, &walk->names, walk->err);
}

static void fill_string(struct walk *walk, const char *text)
{
    kt_autobuf struct kt_buf filled;
    kt_buf_init(&filled, (size_t)64 * 1024);
    kt_template_fill(text, walk->values, &filled);
    if (kt_buf_ok(&filled))
        kt_json_quote(walk->out, kt_buf_bytes(&filled));
    else
        walk->out->failed = true;
}

static void replace(void *arg, struct kt_json value)
{
    struct walk *walk = arg;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, (size_t)8 * 1024);
    bool read = kt_json_string(value, &text) && kt_buf_ok(&text);
    if (read && walk->out == NULL)
        check_string(walk, kt_buf_text(&text));
    else if (read)
        fill_string(walk, kt_buf_text(&text));
    else if (walk->out != NULL)
        walk->out->failed = true;
    else if (text.failed && !text.full)
        walk->kind = kt_fail(walk->err, KT_NO_MEMORY, "reading a template");
    else
        walk->kind = kt_fail(walk->err, KT_INVALID, "it is nested too deep, or has a text that is too long");
}

static const struct kt_json_replacer replacer = {keep, replace};

enum kt_kind kt_template_check_json(struct kt_json value, unsigned *names, struct kt_err *err)
{
    struct walk walk = {.kind = KT_OK, .err = err};
    kt_json_replace(value, DEPTH, &replacer, &walk);
    *names |= walk.names;
    return walk.kind;
}

void kt_template_fill_json(struct kt_json value, const struct template_values *values, struct kt_buf *out)
{
    struct walk walk = {.values = values, .out = out};
    kt_json_replace(value, DEPTH, &replacer, &walk);
}
