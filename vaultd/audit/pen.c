#include "vaultd/audit/pen.h"

void pen_text(struct pen *pen, enum audit_piece piece, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    pen_name(pen, piece);
    audit_line_quote(pen->line, kt_str(text));
}

void pen_number(struct pen *pen, enum audit_piece piece, uint64_t number)
{
    pen_name(pen, piece);
    audit_line_decimal(pen->line, number);
}

static void rare_name(struct pen *pen, const char *name)
{
    if (!pen->first)
        audit_line_char(pen->line, ',');
    audit_line_add(pen->line, kt_str(name));
    pen->first = false;
}

void pen_rare_number(struct pen *pen, const char *name, uint64_t number)
{
    rare_name(pen, name);
    audit_line_decimal(pen->line, number);
}

void pen_rare_text(struct pen *pen, const char *name, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    rare_name(pen, name);
    audit_line_quote(pen->line, kt_str(text));
}

void pen_time(struct pen *pen, int64_t ms)
{
    char own[AUDIT_TIME_QUOTED];
    audit_line_add(pen->line, audit_hasher_time(pen->hasher, ms, own));
}

void pen_hmac(struct pen *pen, struct kt_bytes text)
{
    struct audit_hmac own;
    audit_line_hmac(pen->line, audit_hasher_get(pen->hasher, text, &own));
}

void pen_hashed(struct pen *pen, enum audit_piece piece, struct kt_bytes text)
{
    if (text.len == 0)
        return;
    pen_name(pen, piece);
    pen_hmac(pen, text);
}

void pen_json(struct pen *pen, enum audit_piece piece, struct kt_bytes json)
{
    bool raw = true;
    for (size_t i = 0; i < json.len; i++)
        raw = raw && json.at[i] >= 0x20;
    if (raw) {
        pen_name(pen, piece);
        audit_line_add(pen->line, json);
    } else {
        pen_hashed(pen, piece, json);
    }
}

void pen_plain(struct pen *pen, const char *text)
{
    audit_line_add(pen->line, kt_str(text));
}
