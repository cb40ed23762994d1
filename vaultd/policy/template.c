#include "lib/arena.h"
#include "lib/utf8.h"
#include "vaultd/policy/rule.h"

/* A pattern with {{directives}}. Filled in, it is a pattern like any other: a value is text within one
 * segment and nothing else, so it can neither end its segment nor be a wildcard. Where one cannot be
 * filled in, what is left is its form: what it could become. There a directive that has no value stands
 * for any text within one segment, and one whose value was refused for any text at all, since nobody
 * knows what was meant by it. */

#define ANY_TEXT '\001' /* no path has these */
#define ANY_PATH '\002'

/* The pattern from *at on: one byte of text, or a whole directive without its braces and the spaces
 * around it. KT_INVALID: braces that do not close. */
struct piece {
    bool directive;
    struct kt_bytes text;
};

static enum kt_kind next_piece(const char **at, const char *end, struct piece *ret)
{
    const char *from = *at;
    size_t left = (size_t)(end - from);
    if (left >= 2 && from[0] == '}' && from[1] == '}')
        return KT_INVALID;
    *ret = (struct piece){.text = kt_bytes(from, 1)};
    *at = from + 1;
    if (left < 2 || from[0] != '{' || from[1] != '{')
        return KT_OK;
    const char *close = memmem(from + 2, left - 2, "}}", 2);
    const char *next = memmem(from + 2, left - 2, "{{", 2);
    if (close == NULL || (next != NULL && next < close))
        return KT_INVALID;
    *at = close + 2;
    for (from += 2; from < close && *from == ' '; from++)
        ;
    while (close > from && close[-1] == ' ')
        close--;
    *ret = (struct piece){.directive = true, .text = kt_bytes(from, (size_t)(close - from))};
    return KT_OK;
}

/* A '+' that is a whole segment. */
static bool is_plus(const char *pattern, const char *at, const char *end)
{
    return *at == '+' && (at == pattern || at[-1] == '/') && (at + 1 == end || at[1] == '/');
}

enum kt_kind template_read(struct kt_arena *arena, const char *pattern, size_t len,
                           const char **ret_form, struct kt_err *err)
{
    *ret_form = NULL;
    if (memmem(pattern, len, "{{", 2) == NULL && memmem(pattern, len, "}}", 2) == NULL)
        return KT_OK;
    char *form = kt_arena_take(arena, len + 1);
    if (form == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a policy");
    size_t n = 0;
    const char *at = pattern, *end = pattern + len;
    while (at < end) {
        const char *from = at;
        struct piece piece;
        if (next_piece(&at, end, &piece) != KT_OK)
            return kt_fail(err, KT_INVALID, "a template's braces do not close");
        form[n++] = piece.directive || is_plus(pattern, from, end) ? ANY_TEXT : *from;
    }
    form[n] = '\0';
    *ret_form = form;
    return KT_OK;
}

bool template_value_fits(struct kt_bytes value)
{
    if (value.len == 0 || kt_bytes_is(value, ".") || kt_bytes_is(value, ".."))
        return false;
    for (size_t i = 0; i < value.len;) {
        size_t step = kt_utf8_step(value.at + i, value.len - i);
        if (step == 0 || value.at[i] < ' ' || value.at[i] == 0x7f ||
            memchr("/*+,{}", value.at[i], 6) != NULL)
            return false;
        i += step;
    }
    return true;
}

bool template_fill(struct kt_arena *arena, const struct rule *rule, const struct acl_source *source,
                   struct template_filled *ret)
{
    struct kt_buf text, form;
    kt_buf_init(&text, TEMPLATE_MAX);
    kt_buf_init(&form, TEMPLATE_MAX);
    const char *at = rule->pattern, *end = rule->pattern + rule->len;
    *ret = (struct template_filled){.whole = true};
    while (at < end) {
        const char *from = at;
        struct piece piece;
        struct kt_bytes value = {0};
        if (next_piece(&at, end, &piece) != KT_OK)
            break; /* cannot be: it was read */
        if (!piece.directive) {
            kt_buf_add_char(&text, *from);
            kt_buf_add_char(&form, is_plus(rule->pattern, from, end) ? ANY_TEXT : *from);
            continue;
        }
        bool has = source->value(source->arg, piece.text, arena, &value);
        bool fits = has && template_value_fits(value);
        ret->whole = ret->whole && fits;
        kt_buf_add_bytes(&text, value);
        if (fits)
            kt_buf_add_bytes(&form, value);
        else
            kt_buf_add_char(&form, has ? ANY_PATH : ANY_TEXT);
    }
    ret->len = text.len;
    if (rule->star)
        kt_buf_add_char(&text, '*');
    /* What is longer than any path cannot be one; what it denies then stays as wide as it was. */
    bool no_memory = (!kt_buf_ok(&text) && !text.full) || (!kt_buf_ok(&form) && !form.full);
    ret->whole = ret->whole && kt_buf_ok(&text);
    ret->text = kt_arena_text(arena, kt_buf_bytes(ret->whole ? &text : &form));
    if (!ret->whole && !kt_buf_ok(&form))
        ret->text = rule->template_form;
    kt_buf_free(&text);
    kt_buf_free(&form);
    return !no_memory && !arena->failed;
}

/* Of each kind of wildcard only the newest ever has to give: one within a segment before one that goes
 * across. */
bool template_may_cover(const char *form, bool star, const char *path, size_t len)
{
    const char *p = form, *s = path, *end = path + len;
    const char *text = NULL, *text_from = NULL; /* behind the newest ANY_TEXT, and what it left over */
    const char *any = NULL, *any_from = NULL;   /* the same of ANY_PATH */
    for (;;) {
        if (*p == '\0' && (star || s == end))
            return true;
        if (*p == ANY_TEXT) {
            text = ++p;
            text_from = s;
        } else if (*p == ANY_PATH) {
            any = ++p;
            any_from = s;
            text = NULL;
        } else if (*p != '\0' && s < end && *p == *s) {
            p++;
            s++;
        } else if (text != NULL && text_from < end && *text_from != '/') {
            p = text;
            s = ++text_from;
        } else if (any != NULL && any_from < end) {
            p = any;
            s = ++any_from;
            text = NULL;
        } else {
            return false;
        }
    }
}
