#include "vaultd/audit/plain.h"

#include "vaultd/audit/record.h"

void audit_plain_begin(struct kt_buf *line)
{
    kt_buf_reset(line);
    if (line->room < AUDIT_PLAIN_USUAL && kt_buf_grow(line, AUDIT_PLAIN_USUAL) != NULL)
        line->len = 0;
}

enum kt_kind audit_plain_end(const struct kt_buf *line, struct kt_err *err)
{
    return kt_buf_ok(line) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "writing an audit record");
}

void audit_plain_time(struct kt_jsonw *w, int64_t ms)
{
    char text[KT_TIME_TEXT];
    kt_time_text(ms, text);
    kt_jsonw_kv_text(w, "time", text);
}

void audit_plain_salt(struct kt_jsonw *w)
{
    char salt[AUDIT_SALT_TEXT];
    audit_salt_text(salt);
    kt_jsonw_kv_text(w, "salt", salt);
}

enum kt_kind audit_line_note(const struct audit_note *note, struct kt_buf *line,
                             struct kt_err *err)
{
    audit_plain_begin(line);
    struct kt_jsonw w = kt_jsonw(line);
    kt_jsonw_object(&w);
    audit_plain_time(&w, note->time_ms);
    kt_jsonw_kv_text(&w, "type", note->type);
    if (note->body.len > 0)
        kt_jsonw_kv_raw(&w, note->type, note->body);
    audit_plain_salt(&w);
    return audit_plain_end(line, err);
}
