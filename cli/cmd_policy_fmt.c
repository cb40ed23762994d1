/* cli/cmd_policy_fmt.c - policy fmt: a policy file laid out anew, comments kept.
 *
 * Works on the text, line by line: indentation by depth, one blank around "=", no blank at an end, no
 * two empty lines. Strings, comments and heredocs are left as they are. The text was parsed before, so
 * brackets match. */
#include <stdio.h>
#include <unistd.h>
#include <errno.h>
#include <fcntl.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/output.h"
#include "lib/hcl/hcl.h"
#include "lib/random.h"

struct layout {
    struct kt_buf *out;
    int depth;
    bool in_comment;  /* of the slash-star kind */
    char heredoc[64]; /* the word that ends it, "" outside */
    unsigned empty;   /* empty lines before this one */
    bool any;
};

static struct kt_bytes trim(struct kt_bytes line)
{
    while (line.len > 0 && (line.at[0] == ' ' || line.at[0] == '\t'))
        line = kt_bytes(line.at + 1, line.len - 1);
    while (line.len > 0 && memchr(" \t\r", line.at[line.len - 1], 3) != NULL)
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
    rest = trim(rest);
    (void)snprintf(layout->heredoc, sizeof layout->heredoc, "%.*s", (int)rest.len,
                   (const char *)rest.at);
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

static void add_line(struct layout *layout, struct kt_bytes line)
{
    if (layout->heredoc[0] != '\0') {
        kt_buf_add_bytes(layout->out, line);
        kt_buf_add_char(layout->out, '\n');
        if (kt_bytes_is(trim(line), layout->heredoc))
            layout->heredoc[0] = '\0';
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

static void lay_out(struct kt_bytes text, struct kt_buf *out)
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

/* The new text beside the old, then renamed over it. */
static enum kt_kind replace_file(const char *path, struct kt_bytes text, struct kt_err *err)
{
    char temporary[4096];
    uint64_t id = 0;
    kt_random_id(&id, sizeof id);
    int n = snprintf(temporary, sizeof temporary, "%s.%016jx", path, (uintmax_t)id);
    if (n < 0 || (size_t)n >= sizeof temporary)
        return kt_fail(err, KT_INVALID, "the file's path is too long");
    kt_autoclose int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return kt_fail(err, KT_IO, "cannot write beside '%.200s'", path);
    ssize_t written = write(fd, text.at, text.len);
    if (written < 0 || (size_t)written != text.len || fsync(fd) != 0 ||
        rename(temporary, path) != 0) {
        enum kt_kind kind = kt_fail(err, KT_IO, "cannot write '%.200s'", path);
        (void)unlink(temporary);
        return kind;
    }
    return KT_OK;
}

int cmd_policy_fmt(struct cli *cli)
{
    const char *file = cli->words[0];
    struct kt_err err = {0};
    struct kt_hcl_body *root = NULL;
    bool write_back = flags_on(&cli->flags, FLAG_WRITE) && strcmp(file, "-") != 0;
    kt_autobuf struct kt_buf text = {0};
    kt_autobuf struct kt_buf laid_out = {0};
    kt_buf_init(&text, KT_HCL_MAX_BYTES * 2);
    kt_buf_init(&laid_out, KT_HCL_MAX_BYTES * 8);
    if (input_file(cli, file, KT_HCL_MAX_BYTES, &text, &err) != KT_OK)
        return cli_fail(cli, &err);
    enum kt_kind kind = kt_hcl_parse(kt_buf_bytes(&text), file, &root, &err);
    kt_hcl_free(root);
    if (kind != KT_OK)
        return cli_fail(cli, &err);
    lay_out(kt_buf_bytes(&text), &laid_out);
    if (!kt_buf_ok(&laid_out))
        return cli_wrong(cli, "", "the file is too large");
    if (!write_back) {
        kt_buf_add_bytes(&cli->out, kt_buf_bytes(&laid_out));
        return CLI_DONE;
    }
    if (replace_file(file, kt_buf_bytes(&laid_out), &err) != KT_OK)
        return cli_fail(cli, &err);
    cli_success(cli, "Formatted policy: %s", file);
    return CLI_DONE;
}
