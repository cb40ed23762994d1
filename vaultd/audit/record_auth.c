#include "vaultd/audit/record_auth.h"

#include <string.h>

static void add_names(struct pen *pen, enum audit_piece piece, const char *const *names, size_t n)
{
    if (n == 0)
        return;
    pen_name(pen, piece);
    for (size_t i = 0; i < n; i++) {
        audit_line_char(pen->line, i == 0 ? '[' : ',');
        audit_line_quote(pen->line, kt_str(names[i]));
    }
    audit_line_char(pen->line, ']');
}

static void write_auth(struct pen *pen, const struct audit_auth *auth)
{
    pen->first = true;
    pen_hashed(pen, PIECE_TOKEN, auth->token);
    pen_hashed(pen, PIECE_ACCESSOR, kt_str(auth->accessor));
    pen_text(pen, PIECE_DISPLAY_NAME, auth->display_name);
    add_names(pen, PIECE_POLICIES, auth->policies, auth->n_policies);
    if (auth->meta.len > 0 && !kt_bytes_is(auth->meta, "null") && !kt_bytes_is(auth->meta, "{}"))
        pen_json(pen, PIECE_METADATA, auth->meta);
    pen_text(pen, PIECE_ENTITY, auth->entity_id);
    add_names(pen, PIECE_IDENTITY_POLICIES, auth->identity_policies, auth->n_identity_policies);
    if (auth->expires_ms != 0) {
        char text[KT_TIME_TEXT];
        kt_time_text(auth->expires_ms, text);
        pen_text(pen, PIECE_EXPIRES, text);
    }
}

static void write_owner(struct pen *pen, const struct audit_auth *auth)
{
    pen_hashed(pen, PIECE_TOKEN, auth->token);
    pen_hashed(pen, PIECE_TOKEN_ACCESSOR, kt_str(auth->accessor));
}

const struct audit_who *record_who(struct audit_hasher *hasher, const struct audit_auth *auth)
{
    if (auth == NULL || auth->changed == 0)
        return NULL;
    struct audit_who *who = audit_hasher_who(hasher, auth->hash);
    if (who == NULL)
        return NULL;
    if (who->changed == auth->changed && who->identity_at == auth->identity_at &&
        memcmp(who->hash, auth->hash, sizeof who->hash) == 0)
        return who;
    who->changed = 0;
    audit_line_reset(&who->line);
    struct pen pen = {.hasher = hasher, .line = &who->line};
    who->begin = audit_line_here(&who->line);
    write_auth(&pen, auth);
    who->end_auth = audit_line_here(&who->line);
    write_owner(&pen, auth);
    who->end = audit_line_here(&who->line);
    if (!audit_line_ok(&who->line))
        return NULL;
    memcpy(who->hash, auth->hash, sizeof who->hash);
    who->changed = auth->changed;
    who->identity_at = auth->identity_at;
    return who;
}

/* Vault's member of "auth". A refusal has ours in it: what the asker is not told. */
static void add_ruling(struct pen *pen, const struct audit_ruling *ruling)
{
    pen_name(pen, PIECE_RESULTS);
    pen_plain(pen, ruling->allowed ? "true" : "false");
    for (size_t i = 0; ruling->allowed && i < ruling->n_names; i++) {
        if (i == 0)
            pen_name(pen, PIECE_GRANTING);
        else
            pen_plain(pen, ",{\"name\":");
        audit_line_quote(pen->line, kt_str(ruling->names[i]));
        pen_plain(pen, ",\"namespace_id\":\"root\",\"type\":\"acl\"}");
    }
    if (ruling->allowed && ruling->n_names > 0)
        audit_line_char(pen->line, ']');
    if (!ruling->allowed && ruling->pattern != NULL) {
        pen_plain(pen, ",\"pattern\":");
        audit_line_quote(pen->line, kt_str(ruling->pattern));
    }
    for (size_t i = 0; !ruling->allowed && i < ruling->n_names; i++) {
        pen_plain(pen, i == 0 ? ",\"policies\":[" : ",");
        audit_line_quote(pen->line, kt_str(ruling->names[i]));
    }
    if (!ruling->allowed) {
        pen_plain(pen, ruling->n_names > 0 ? "],\"reason\":" : ",\"reason\":");
        audit_line_quote(pen->line, kt_str(ruling->why));
    }
    pen_close(pen);
}

void record_auth(struct pen *pen, const struct audit_event *event, const struct audit_who *who)
{
    if (event->auth == NULL)
        return;
    pen_open(pen, PIECE_AUTH);
    if (who != NULL)
        audit_line_copy(pen->line, &who->line, who->begin, who->end_auth);
    else
        write_auth(pen, event->auth);
    pen->first = pen->first && (who == NULL || who->begin.text == who->end_auth.text);
    if (event->ruling != NULL)
        add_ruling(pen, event->ruling);
    pen_close(pen);
}

/* What is kept begins with a comma. */
void record_owner(struct pen *pen, const struct audit_auth *auth, const struct audit_who *who)
{
    if (who != NULL && !pen->first)
        audit_line_copy(pen->line, &who->line, who->end_auth, who->end);
    else if (auth != NULL)
        write_owner(pen, auth);
}
