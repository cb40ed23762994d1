/* cli/hcl_layout.c - see cli/hcl_layout.h. */
#include "cli/hcl_layout.h"

#include "lib/hcl/hcl.h"

struct layout {
    struct kt_buf *out;
    int depth;
    bool in_comment;         /* of the slash-star kind */
    struct kt_bytes heredoc; /* the word that ends it, empty outside */
    unsigned empty;          /* empty lines before this one */
    bool any;
};

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct kt_bytes trim(struct kt_bytes line)
{
    while (line.len > 0 && (line.at[0] == ' ' || line.at[0] == '\t'))
        line = kt_bytes(line.at + 1, line.len - 1);
    while (line.len > 0 && is_blank(line.at[line.len - 1]))
        line.len--;
    return line;
}

/* How far a string reaches from its first quote. */
static size_t string_end(struct kt_bytes line, size_t at)
{
    for (at++; at < line.len && line.at[at] != '"'; at++)
        if (line.at[at] == '\\')
            at++;
    return at < line.len ? at + 1 : line.len;
}

static void begin_heredoc(struct layout *layout, struct kt_bytes rest)
{
    rest = kt_bytes(rest.at + 2, rest.len - 2);
    if (rest.len > 0 && rest.at[0] == '-')
        rest = kt_bytes(rest.at + 1, rest.len - 1);
    layout->heredoc = trim(rest);
}

/* Copies a line's code with single blanks and counts its brackets; the depth's change. */
static int copy_code(struct layout *layout, struct kt_bytes line, struct kt_buf *out)
{
    int change = 0;
    for (size_t i = 0; i < line.len;) {
        char c = (char)line.at[i];
        if (layout->in_comment) {
            layout->in_comment = !(c == '*' && i + 1 < line.len && line.at[i + 1] == '/');
            kt_buf_add(out, line.at + i, layout->in_comment ? 1 : 2);
            i += layout->in_comment ? 1 : 2;
            continue;
        }
        bool slash = c == '/' && i + 1 < line.len;
        if (c == '#' || (slash && line.at[i + 1] == '/')) {
            kt_buf_add(out, line.at + i, line.len - i);
            break;
        }
        if (slash && line.at[i + 1] == '*') {
            layout->in_comment = true;
            kt_buf_add(out, line.at + i, 2);
            i += 2;
        } else if (c == '"') {
            size_t end = string_end(line, i);
            kt_buf_add(out, line.at + i, end - i);
            i = end;
        } else if (c == '<' && i + 1 < line.len && line.at[i + 1] == '<') {
            begin_heredoc(layout, kt_bytes(line.at + i, line.len - i));
            kt_buf_add(out, line.at + i, line.len - i);
            break;
        } else if (c == '=') {
            while (out->len > 0 && out->at[out->len - 1] == ' ')
                out->len--;
            kt_buf_add_text(out, " = ");
            for (i++; i < line.len && (line.at[i] == ' ' || line.at[i] == '\t');)
                i++;
        } else if (c == ' ' || c == '\t') {
            if (out->len > 0 && out->at[out->len - 1] != ' ')
                kt_buf_add_char(out, ' ');
            i++;
        } else {
            change += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
            kt_buf_add_char(out, c);
            i++;
        }
    }
    return change;
}

/* As the reader sees it: blanks may stand before the word, not behind it. */
static bool ends_heredoc(struct kt_bytes line, struct kt_bytes word)
{
    while (line.len > 0 && (line.at[0] == ' ' || line.at[0] == '\t'))
        line = kt_bytes(line.at + 1, line.len - 1);
    while (line.len > 0 && line.at[line.len - 1] == '\r')
        line.len--;
    return kt_bytes_equal(line, word);
}

static void add_line(struct layout *layout, struct kt_bytes line)
{
    if (layout->heredoc.len > 0) {
        kt_buf_add_bytes(layout->out, line);
        kt_buf_add_char(layout->out, '\n');
        if (ends_heredoc(line, layout->heredoc))
            layout->heredoc.len = 0;
        return;
    }
    struct kt_bytes code = trim(line);
    if (code.len == 0) {
        layout->empty++;
        return;
    }
    if (layout->any && layout->empty > 0)
        kt_buf_add_char(layout->out, '\n');
    layout->any = true;
    layout->empty = 0;
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, KT_HCL_MAX_BYTES * 3);
    bool comment = layout->in_comment;
    int change = copy_code(layout, code, &text);
    bool closes = !comment && (code.at[0] == '}' || code.at[0] == ']');
    int depth = layout->depth - (closes ? 1 : 0);
    for (int i = 0; i < depth; i++)
        kt_buf_add_text(layout->out, "  ");
    kt_buf_add_bytes(layout->out, trim(kt_buf_bytes(&text)));
    kt_buf_add_char(layout->out, '\n');
    if (!kt_buf_ok(&text))
        layout->out->failed = true;
    layout->depth += change;
    if (layout->depth < 0)
        layout->depth = 0;
}

void hcl_layout(struct kt_bytes text, struct kt_buf *out)
{
    struct layout layout = {.out = out};
    while (text.len > 0) {
        const unsigned char *end = memchr(text.at, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.at) : text.len;
        add_line(&layout, kt_bytes(text.at, len));
        len += end != NULL ? 1 : 0;
        text = kt_bytes(text.at + len, text.len - len);
    }
}
