#include "vaultd/audit/line.h"

#include "lib/jsonw.h"

void audit_line_init_in(struct audit_line *line, void *memory, size_t size)
{
    size_t terse = size / 3;
    unsigned char *at = memory;
    if (size == 0) {
        kt_buf_init(&line->terse, AUDIT_LINE_MAX);
        kt_buf_init(&line->text, AUDIT_LINE_MAX + AUDIT_LINE_LEAF);
    } else {
        kt_buf_init_in(&line->terse, AUDIT_LINE_MAX, at, terse);
        kt_buf_init_in(&line->text, AUDIT_LINE_MAX + AUDIT_LINE_LEAF, at + terse, size - terse);
    }
    kt_buf_add_u8(&line->text, 0);
}

void audit_line_free(struct audit_line *line)
{
    kt_buf_free(&line->terse);
    kt_buf_free(&line->text);
}

void audit_line_reset(struct audit_line *line)
{
    kt_buf_reset(&line->terse);
    kt_buf_reset(&line->text);
    kt_buf_add_u8(&line->text, 0);
}

bool audit_line_ok(const struct audit_line *line)
{
    return kt_buf_ok(&line->terse) && kt_buf_ok(&line->text);
}

size_t audit_line_length(const struct audit_line *line)
{
    return line->text.len - AUDIT_LINE_LEAF;
}

struct kt_bytes audit_line_text(const struct audit_line *line)
{
    return kt_bytes(line->text.at + AUDIT_LINE_LEAF, line->text.len - AUDIT_LINE_LEAF);
}

void audit_line_piece(struct audit_line *line, enum audit_piece piece)
{
    kt_buf_add_char(&line->terse, (char)piece);
    kt_buf_add_bytes(&line->text, audit_terse_piece(piece));
}

void audit_line_hmac(struct audit_line *line, const struct audit_hmac *hmac)
{
    _Static_assert(offsetof(struct audit_hmac, bytes) == 1, "the code and its bytes in one piece");
    kt_buf_add(&line->terse, hmac, AUDIT_TERSE_HMAC);
    kt_buf_add(&line->text, hmac->quoted, AUDIT_HMAC_QUOTED);
}

void audit_line_quote(struct audit_line *line, struct kt_bytes text)
{
    size_t from = line->text.len;
    kt_json_quote(&line->text, text);
    kt_buf_add(&line->terse, line->text.at + from, line->text.len - from);
}

void audit_line_decimal(struct audit_line *line, uint64_t number)
{
    size_t from = line->text.len;
    kt_buf_add_decimal(&line->text, number);
    kt_buf_add(&line->terse, line->text.at + from, line->text.len - from);
}
