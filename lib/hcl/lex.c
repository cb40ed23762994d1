#include "lib/hcl/lex.h"

#include "lib/utf8.h"

#define NUMBER_BYTES 64u

static bool name_start(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool hex_digit(unsigned char c)
{
    return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool name_char(unsigned char c)
{
    return name_start(c) || digit(c) || c == '-' || c == '.';
}

static enum kt_kind fail_here(struct lexer *l, const unsigned char *at, const char *what)
{
    return kt_hcl_fail(kt_hcl_place(l->tree, at), l->tree->err, "%s", what);
}

static bool peek(const struct lexer *l, size_t ahead, unsigned char c)
{
    return (size_t)(l->end - l->at) > ahead && l->at[ahead] == c;
}

static void skip_line(struct lexer *l)
{
    const unsigned char *newline = memchr(l->at, '\n', (size_t)(l->end - l->at));
    l->at = newline != NULL ? newline : l->end;
}

/* White space and comments. */
static enum kt_kind skip_blank(struct lexer *l)
{
    while (l->at < l->end) {
        unsigned char c = *l->at;
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            l->at++;
        } else if (c == '#' || (c == '/' && peek(l, 1, '/'))) {
            skip_line(l);
        } else if (c == '/' && peek(l, 1, '*')) {
            const unsigned char *end = memmem(l->at + 2, (size_t)(l->end - l->at) - 2, "*/", 2);
            if (end == NULL)
                return fail_here(l, l->at, "a comment does not end: '*/' is missing");
            l->at = end + 2;
        } else {
            break;
        }
    }
    return KT_OK;
}

/* A copy of l->at .. end as the token's text; moves there. */
static enum kt_kind take_text(struct lexer *l, const unsigned char *end, struct token *token)
{
    token->text = kt_arena_text(&l->tree->arena, kt_bytes(l->at, (size_t)(end - l->at)));
    if (token->text == NULL)
        return kt_hcl_no_memory(l->tree);
    l->at = end;
    return KT_OK;
}

/* ---- strings ---- */

/* \uXXXX and \UXXXXXXXX */
static enum kt_kind unicode_escape(struct lexer *l, char **out)
{
    size_t count = l->at[1] == 'u' ? 4 : 8;
    uint32_t c = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned char d = (size_t)(l->end - l->at) > i + 2 ? l->at[i + 2] : 0;
        if (!hex_digit(d))
            return fail_here(l, l->at,
                             count == 4 ? "\\u needs four hexadecimal digits"
                                        : "\\U needs eight hexadecimal digits");
        c = c << 4 | (uint32_t)(d <= '9' ? d - '0' : (d | 0x20) - 'a' + 10);
    }
    unsigned char bytes[4];
    size_t len = c == 0 ? 0 : kt_utf8_write(c, bytes);
    if (len == 0)
        return fail_here(l, l->at, "this escape is no character; above \\uFFFF use \\UXXXXXXXX");
    memcpy(*out, bytes, len);
    *out += len;
    l->at += count + 2;
    return KT_OK;
}

static enum kt_kind escape(struct lexer *l, char **out)
{
    static const char letters[] = "ntrabfv\"\\", meant[] = "\n\t\r\a\b\f\v\"\\";
    unsigned char c = l->end - l->at > 1 ? l->at[1] : 0;
    if (c == 'u' || c == 'U')
        return unicode_escape(l, out);
    const char *letter = c == 0 ? NULL : strchr(letters, c);
    if (letter == NULL)
        return fail_here(l, l->at, "an unknown escape; a backslash itself is written \\\\");
    *(*out)++ = meant[letter - letters];
    l->at += 2;
    return KT_OK;
}

static enum kt_kind quoted(struct lexer *l, struct token *token)
{
    const unsigned char *start = l->at + 1, *close = start;
    while (close < l->end && *close != '"' && *close != '\n')
        close += *close == '\\' && l->end - close > 1 ? 2 : 1;
    if (close >= l->end || *close != '"')
        return fail_here(l, l->at,
                         "a string does not end on its line; use \\n or a heredoc (<<EOF)");
    /* No escape is shorter than what it means. */
    char *text = kt_arena_take(&l->tree->arena, (size_t)(close - start) + 1);
    if (text == NULL)
        return kt_hcl_no_memory(l->tree);
    token->text = text;
    l->at = start;
    while (l->at < close) {
        unsigned char c = *l->at;
        if (c == '\\') {
            enum kt_kind kind = escape(l, &text);
            if (kind != KT_OK)
                return kind;
        } else if (c < 0x20 && c != '\t') {
            return fail_here(l, l->at, "a control character in a string must be escaped");
        } else {
            *text++ = (char)c;
            l->at++;
        }
    }
    l->at = close + 1;
    return KT_OK;
}

/* ---- heredocs ---- */

/* Copies lines without the closing line's indentation, if every line begins with it. HCL 1 does the
 * same: one line that is indented less, and all stay as they are. */
static char *unindent(struct lexer *l, struct kt_bytes body, struct kt_bytes indent)
{
    const unsigned char *end = body.at + body.len;
    bool all = true;
    for (const unsigned char *line = body.at; line < end;) {
        const unsigned char *next = memchr(line, '\n', (size_t)(end - line));
        next = next == NULL ? end : next + 1;
        if ((size_t)(next - line) < indent.len || memcmp(line, indent.at, indent.len) != 0)
            all = false;
        line = next;
    }
    char *text = kt_arena_text(&l->tree->arena, body);
    if (text == NULL || !all || indent.len == 0)
        return text;
    size_t len = 0;
    for (const unsigned char *line = body.at; line < end;) {
        const unsigned char *next = memchr(line, '\n', (size_t)(end - line));
        next = next == NULL ? end : next + 1;
        size_t n = (size_t)(next - line) - indent.len;
        memcpy(text + len, line + indent.len, n);
        len += n;
        line = next;
    }
    text[len] = '\0';
    return text;
}

/* Is this line (without its newline) white space and the marker? */
static bool closes(const unsigned char *line, const unsigned char *end, struct kt_bytes marker,
                   size_t *ret_indent)
{
    const unsigned char *at = line;
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    *ret_indent = (size_t)(at - line);
    while (end > at && end[-1] == '\r')
        end--;
    return kt_bytes_equal(kt_bytes(at, (size_t)(end - at)), marker);
}

static enum kt_kind heredoc(struct lexer *l, struct token *token)
{
    const unsigned char *start = l->at;
    l->at += 2;
    bool indented = peek(l, 0, '-');
    l->at += indented;
    const unsigned char *name = l->at;
    while (l->at < l->end && (name_start(*l->at) || digit(*l->at)))
        l->at++;
    struct kt_bytes marker = kt_bytes(name, (size_t)(l->at - name));
    if (peek(l, 0, '\r'))
        l->at++;
    if (marker.len == 0 || !peek(l, 0, '\n'))
        return fail_here(l, start,
                         "a heredoc begins with << and a word, and its text on a new line");
    const unsigned char *body = l->at + 1;
    for (const unsigned char *line = body; line < l->end;) {
        const unsigned char *end = memchr(line, '\n', (size_t)(l->end - line));
        const unsigned char *line_end = end == NULL ? l->end : end;
        size_t indent = 0;
        if (closes(line, line_end, marker, &indent)) {
            token->text = unindent(l, kt_bytes(body, (size_t)(line - body)),
                                   kt_bytes(line, indented ? indent : 0));
            if (token->text == NULL)
                return kt_hcl_no_memory(l->tree);
            l->at = line_end;
            return KT_OK;
        }
        line = line_end + 1;
    }
    return fail_here(l, start, "a heredoc does not end: no line holds its closing word alone");
}

/* ---- numbers and names ---- */

static const unsigned char *skip_digits(const unsigned char *at, const unsigned char *end,
                                        bool (*is)(unsigned char))
{
    while (at < end && is(*at))
        at++;
    return at;
}

/* The end of the number at l->at, NULL if it is none. */
static const unsigned char *number_end(const struct lexer *l)
{
    const unsigned char *at = l->at + peek(l, 0, '-'), *end = l->end, *from = at;
    if (end - at > 2 && at[0] == '0' && (at[1] | 0x20) == 'x' && hex_digit(at[2]))
        return skip_digits(at + 2, end, hex_digit);
    at = skip_digits(at, end, digit);
    const unsigned char *whole_end = at;
    if (at == from)
        return NULL;
    if (end - at > 1 && at[0] == '.' && digit(at[1]))
        at = skip_digits(at + 1, end, digit);
    if (at < end && (*at | 0x20) == 'e') {
        const unsigned char *exponent = at + 1;
        if (exponent < end && (*exponent == '+' || *exponent == '-'))
            exponent++;
        at = skip_digits(exponent, end, digit);
        if (at == exponent)
            return NULL;
    }
    /* A leading 0 makes a whole number octal. */
    if (at == whole_end && from[0] == '0') {
        for (const unsigned char *d = from; d < at; d++) {
            if (*d > '7')
                return NULL;
        }
    }
    return at;
}

static enum kt_kind number(struct lexer *l, struct token *token)
{
    const unsigned char *end = number_end(l);
    if (end == NULL || (end < l->end && (name_char(*end) || *end >= 0x80)))
        return fail_here(l, l->at, "this is no number; put sizes and durations in double quotes");
    if ((size_t)(end - l->at) > NUMBER_BYTES)
        return fail_here(l, l->at, "a number has more than 64 characters");
    return take_text(l, end, token);
}

static enum kt_kind name(struct lexer *l, struct token *token)
{
    enum kt_kind kind = take_text(l, skip_digits(l->at, l->end, name_char), token);
    if (kind == KT_OK && (strcmp(token->text, "true") == 0 || strcmp(token->text, "false") == 0))
        token->kind = TOKEN_BOOL;
    return kind;
}

static enum kt_kind mark(struct lexer *l, struct token *token)
{
    static const char marks[] = "{}[]=,";
    static const enum token_kind kinds[] = {TOKEN_OPEN_BODY,  TOKEN_CLOSE_BODY, TOKEN_OPEN_LIST,
                                            TOKEN_CLOSE_LIST, TOKEN_ASSIGN,     TOKEN_COMMA};
    const char *found = strchr(marks, *l->at);
    if (found == NULL)
        return fail_here(l, l->at, "an unexpected character; text stands in double quotes");
    token->kind = kinds[found - marks];
    l->at++;
    return KT_OK;
}

enum kt_kind kt_hcl_lex_next(struct lexer *l, struct token *ret)
{
    enum kt_kind kind = skip_blank(l);
    if (kind != KT_OK)
        return kind;
    *ret = (struct token){.kind = TOKEN_END, .pos = kt_hcl_place(l->tree, l->at)};
    if (l->at == l->end)
        return KT_OK;
    unsigned char c = *l->at;
    if (c == '"' || (c == '<' && peek(l, 1, '<'))) {
        ret->kind = TOKEN_STRING;
        return c == '"' ? quoted(l, ret) : heredoc(l, ret);
    }
    if (digit(c) || c == '-') {
        ret->kind = TOKEN_NUMBER;
        return number(l, ret);
    }
    if (name_start(c)) {
        ret->kind = TOKEN_NAME;
        return name(l, ret);
    }
    return mark(l, ret);
}
