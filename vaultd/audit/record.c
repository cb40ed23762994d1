#include "vaultd/audit/record.h"

#include <stdio.h>

#include "lib/json.h"
#include "lib/jsonw.h"
#include "lib/num.h"
#include "lib/random.h"

#define SUFFIX_ROOM  32u
#define DATA_DEPTH   60u /* the line around it stays within what lib/json.h reads */
#define STRING_MAX   ((size_t)1024 * 1024)
#define PATH_MAX_OUT 1024u /* of an outcome */
#define TEXT_MAX_OUT 255u
#define SALT_BYTES   16u

/* ---- members ---- */

struct pen {
    struct audit_hasher *hasher;
    struct audit_line *line;
    bool first; /* an object was just opened: no comma is due */
};

/* A piece as it is: it brings its own comma. */
static void add_piece(struct pen *pen, enum audit_piece piece)
{
    audit_line_piece(pen->line, piece);
    pen->first = false;
}

static void add_name(struct pen *pen, enum audit_piece piece)
{
    if (!pen->first)
        audit_line_char(pen->line, ',');
    add_piece(pen, piece);
}

static void open_object(struct pen *pen, enum audit_piece piece)
{
    add_name(pen, piece);
    pen->first = true;
}

static void close_object(struct pen *pen)
{
    audit_line_char(pen->line, '}');
    pen->first = false;
}

static void add_text(struct pen *pen, enum audit_piece piece, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    add_name(pen, piece);
    audit_line_quote(pen->line, kt_str(text));
}

static void add_number(struct pen *pen, enum audit_piece piece, uint64_t number)
{
    add_name(pen, piece);
    audit_line_decimal(pen->line, number);
}

/* One that is too rare for a piece of its own: a whole name, quoted and with its colon. */
static void add_rare_number(struct pen *pen, const char *name, uint64_t number)
{
    if (!pen->first)
        audit_line_char(pen->line, ',');
    audit_line_add(pen->line, kt_str(name));
    audit_line_decimal(pen->line, number);
    pen->first = false;
}

static void add_time(struct pen *pen, int64_t ms)
{
    char own[AUDIT_TIME_QUOTED];
    audit_line_add(pen->line, audit_hasher_time(pen->hasher, ms, own));
}

static void add_hmac(struct pen *pen, struct kt_bytes text)
{
    struct audit_hmac own;
    audit_line_hmac(pen->line, audit_hasher_get(pen->hasher, text, &own));
}

static void add_hashed(struct pen *pen, enum audit_piece piece, struct kt_bytes text)
{
    if (text.len == 0)
        return;
    add_name(pen, piece);
    add_hmac(pen, text);
}

/* ---- data ---- */

static void keep(void *arg, struct kt_bytes text)
{
    const struct pen *pen = arg;
    audit_line_add(pen->line, text);
}

static void redact(void *arg, struct kt_json value)
{
    struct pen *pen = arg;
    if (!audit_line_ok(pen->line))
        return; /* it is over, and what is written here is thrown away */
    struct kt_bytes raw = kt_json_bytes(value);
    struct kt_bytes text = raw; /* of what is no string, or does not decode: all of it */
    int64_t ms = 0;
    kt_autobuf struct kt_buf decoded;
    kt_buf_init(&decoded, STRING_MAX);
    bool string = raw.len >= 2 && kt_json_type(value) == KT_JSON_STRING;
    if (string && memchr(raw.at, '\\', raw.len) == NULL)
        text = kt_bytes(raw.at + 1, raw.len - 2);
    else if (string && kt_json_string(value, &decoded))
        text = kt_buf_bytes(&decoded);
    if (string && text.len < 64 && kt_time_parse((const char *)text.at, text.len, &ms))
        audit_line_add(pen->line, raw);
    else
        add_hmac(pen, text);
}

/* Whatever is not a plain number, boolean or null is hashed: a type that nobody thought of must not
 * pass in clear. So is what is nested too deep. */
static void add_data(struct pen *pen, struct kt_bytes data, bool whole)
{
    static const struct kt_json_replacer replacer = {keep, redact};
    if (data.len > 0 && whole) {
        add_name(pen, PIECE_DATA);
        kt_json_replace(kt_json_value(data), DATA_DEPTH, &replacer, pen);
    } else {
        add_hashed(pen, PIECE_DATA, data);
    }
}

/* Answers of more are seldom the same. */
#define SAID_MAX 4096u

/* The same for an answer that is the same, which its key says. */
static void add_answer(struct pen *pen, struct kt_bytes data, struct kt_bytes key, bool whole)
{
    bool usual = whole && data.len > 0 && data.len <= SAID_MAX;
    struct audit_said *said = usual ? audit_hasher_said(pen->hasher, key) : NULL;
    if (said == NULL) {
        add_data(pen, data, whole);
        return;
    }
    if (!said->filled) {
        audit_line_reset(&said->line);
        struct pen own = {.hasher = pen->hasher, .line = &said->line, .first = true};
        add_data(&own, data, true);
        said->filled = audit_line_ok(&said->line);
    }
    if (!said->filled) {
        add_data(pen, data, true);
        return;
    }
    if (!pen->first)
        audit_line_char(pen->line, ',');
    audit_line_copy(pen->line, &said->line, (struct audit_part){0, AUDIT_LINE_LEAF},
                    audit_line_here(&said->line));
    pen->first = false;
}

/* JSON of ours, checked when it was stored: in clear, but for what would be read as a piece. */
static void add_json(struct pen *pen, enum audit_piece piece, struct kt_bytes json)
{
    bool raw = true;
    for (size_t i = 0; i < json.len; i++)
        raw = raw && json.at[i] >= 0x20;
    if (raw) {
        add_name(pen, piece);
        audit_line_add(pen->line, json);
    } else {
        add_hashed(pen, piece, json);
    }
}

/* ---- whose token it was: the same for all records of a token ---- */

static void write_auth(struct pen *pen, const struct audit_auth *auth)
{
    pen->first = true;
    add_hashed(pen, PIECE_TOKEN, auth->token);
    add_hashed(pen, PIECE_ACCESSOR, kt_str(auth->accessor));
    add_text(pen, PIECE_DISPLAY_NAME, auth->display_name);
    if (auth->n_policies > 0) {
        add_name(pen, PIECE_POLICIES);
        for (size_t i = 0; i < auth->n_policies; i++) {
            audit_line_char(pen->line, i == 0 ? '[' : ',');
            audit_line_quote(pen->line, kt_str(auth->policies[i]));
        }
        audit_line_char(pen->line, ']');
    }
    if (auth->meta.len > 0 && !kt_bytes_is(auth->meta, "null") && !kt_bytes_is(auth->meta, "{}"))
        add_json(pen, PIECE_METADATA, auth->meta);
    add_text(pen, PIECE_ENTITY, auth->entity_id);
    if (auth->expires_ms != 0) {
        char text[KT_TIME_TEXT];
        kt_time_text(auth->expires_ms, text);
        add_text(pen, PIECE_EXPIRES, text);
    }
}

static void write_owner(struct pen *pen, const struct audit_auth *auth)
{
    add_hashed(pen, PIECE_TOKEN, auth->token);
    add_hashed(pen, PIECE_TOKEN_ACCESSOR, kt_str(auth->accessor));
}

/* As the thread keeps it; NULL: the caller writes it himself. */
static const struct audit_who *known(struct audit_hasher *hasher, const struct audit_auth *auth)
{
    if (auth == NULL || auth->changed == 0)
        return NULL;
    struct audit_who *who = audit_hasher_who(hasher, auth->hash);
    if (who == NULL)
        return NULL;
    if (who->changed == auth->changed && memcmp(who->hash, auth->hash, sizeof who->hash) == 0)
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
    return who;
}

static void add_plain(struct pen *pen, const char *text)
{
    audit_line_add(pen->line, kt_str(text));
}

/* Vault's member of "auth". A refusal has ours in it: what the asker is not told. */
static void add_ruling(struct pen *pen, const struct audit_ruling *ruling)
{
    add_name(pen, PIECE_RESULTS);
    add_plain(pen, ruling->allowed ? "true" : "false");
    for (size_t i = 0; ruling->allowed && i < ruling->n_names; i++) {
        if (i == 0)
            add_name(pen, PIECE_GRANTING);
        else
            add_plain(pen, ",{\"name\":");
        audit_line_quote(pen->line, kt_str(ruling->names[i]));
        add_plain(pen, ",\"namespace_id\":\"root\",\"type\":\"acl\"}");
    }
    if (ruling->allowed && ruling->n_names > 0)
        audit_line_char(pen->line, ']');
    if (!ruling->allowed && ruling->pattern != NULL) {
        add_plain(pen, ",\"pattern\":");
        audit_line_quote(pen->line, kt_str(ruling->pattern));
    }
    for (size_t i = 0; !ruling->allowed && i < ruling->n_names; i++) {
        add_plain(pen, i == 0 ? ",\"policies\":[" : ",");
        audit_line_quote(pen->line, kt_str(ruling->names[i]));
    }
    if (!ruling->allowed) {
        add_plain(pen, ruling->n_names > 0 ? "],\"reason\":" : ",\"reason\":");
        audit_line_quote(pen->line, kt_str(ruling->why));
    }
    close_object(pen);
}

static void add_auth(struct pen *pen, const struct audit_event *event, const struct audit_who *who)
{
    if (event->auth == NULL)
        return;
    open_object(pen, PIECE_AUTH);
    if (who != NULL)
        audit_line_copy(pen->line, &who->line, who->begin, who->end_auth);
    else
        write_auth(pen, event->auth);
    pen->first = pen->first && (who == NULL || who->begin.text == who->end_auth.text);
    if (event->ruling != NULL)
        add_ruling(pen, event->ruling);
    close_object(pen);
}

/* What is kept begins with a comma. */
static void add_owner(struct pen *pen, const struct audit_auth *auth, const struct audit_who *who)
{
    if (who != NULL && !pen->first)
        audit_line_copy(pen->line, &who->line, who->end_auth, who->end);
    else if (auth != NULL)
        write_owner(pen, auth);
}

/* ---- where it was asked: the same for all records of an operation in a mount ---- */

static void write_where(struct pen *pen, const struct audit_event *event)
{
    add_text(pen, PIECE_OPERATION, event->operation);
    add_text(pen, PIECE_MOUNT_POINT, event->mount_point);
    add_text(pen, PIECE_MOUNT_TYPE, event->mount_type);
}

static void write_mount(struct pen *pen, const struct audit_event *event)
{
    add_text(pen, PIECE_MOUNT_POINT, event->mount_point);
    add_text(pen, PIECE_MOUNT_TYPE, event->mount_type);
}

static bool is_short(const char *text)
{
    return text != NULL && text[0] != '\0' && strnlen(text, AUDIT_WHERE_TEXT) < AUDIT_WHERE_TEXT;
}

/* As the thread keeps it; NULL: the caller writes it himself. */
static const struct audit_where *place(struct audit_hasher *hasher, const struct audit_event *event)
{
    if (event->mount_point == NULL || event->mount_type == NULL || event->operation == NULL)
        return NULL;
    struct audit_where *where = audit_hasher_where(hasher);
    if (where == NULL)
        return NULL;
    if (where->known && strcmp(where->operation, event->operation) == 0 &&
        strcmp(where->mount_point, event->mount_point) == 0 &&
        strcmp(where->mount_type, event->mount_type) == 0)
        return where;
    where->known = false;
    if (!is_short(event->operation) || !is_short(event->mount_point) || !is_short(event->mount_type))
        return NULL;
    audit_line_reset(&where->line);
    struct pen pen = {.hasher = hasher, .line = &where->line};
    where->begin = audit_line_here(&where->line);
    write_where(&pen, event);
    where->end_request = audit_line_here(&where->line);
    pen.first = true;
    write_mount(&pen, event);
    where->end = audit_line_here(&where->line);
    if (!audit_line_ok(&where->line))
        return NULL;
    (void)memccpy(where->operation, event->operation, '\0', sizeof where->operation);
    (void)memccpy(where->mount_point, event->mount_point, '\0', sizeof where->mount_point);
    (void)memccpy(where->mount_type, event->mount_type, '\0', sizeof where->mount_type);
    where->known = true;
    return where;
}

/* ---- events ---- */

/* What is kept for "request" begins with a comma, what is kept for "response" does not. */
static void add_where(struct pen *pen, const struct audit_event *event,
                      const struct audit_where *where)
{
    if (where != NULL && !pen->first)
        audit_line_copy(pen->line, &where->line, where->begin, where->end_request);
    else
        write_where(pen, event);
}

static void add_mount(struct pen *pen, const struct audit_event *event,
                      const struct audit_where *where)
{
    if (where == NULL || !pen->first) {
        write_mount(pen, event);
        return;
    }
    audit_line_copy(pen->line, &where->line, where->end_request, where->end);
    pen->first = false;
}

static void write_request(struct pen *pen, const struct audit_event *event,
                          const struct audit_who *who, const struct audit_where *where, bool whole)
{
    open_object(pen, PIECE_REQUEST);
    add_text(pen, PIECE_ID, event->request_id);
    add_where(pen, event, where);
    add_owner(pen, event->auth, who);
    add_name(pen, PIECE_NAMESPACE);
    add_text(pen, PIECE_PATH, event->path);
    bool small = event->data_max == 0 || event->request_data.len <= event->data_max;
    add_data(pen, event->request_data, whole && small);
    add_text(pen, PIECE_ADDRESS, event->remote_address);
    if (event->remote_port != 0)
        add_number(pen, PIECE_PORT, event->remote_port);
    if (event->wrap_ttl_s > 0)
        add_rare_number(pen, "\"wrap_ttl\":", (uint64_t)event->wrap_ttl_s);
    close_object(pen);
}

static void write_response(struct pen *pen, const struct audit_event *event,
                           const struct audit_where *where, bool whole)
{
    if (event->response_data.len == 0 && event->wrapped.len == 0)
        return;
    open_object(pen, PIECE_RESPONSE);
    if (event->wrapped.len > 0) {
        open_object(pen, PIECE_AUTH);
        add_hashed(pen, PIECE_TOKEN, event->wrapped);
        close_object(pen);
    }
    add_mount(pen, event, where);
    add_answer(pen, event->response_data, event->response_key, whole);
    close_object(pen);
}

static void salt_text(char hex[2 * SALT_BYTES + 1])
{
    unsigned char salt[SALT_BYTES];
    kt_random_id(salt, sizeof salt);
    kt_hex_encode(salt, sizeof salt, hex);
}

static void write_event(struct audit_hasher *hasher, const struct audit_event *event, bool whole,
                        struct audit_line *line)
{
    struct pen pen = {.hasher = hasher, .line = line};
    const struct audit_who *who = known(hasher, event->auth);
    const struct audit_where *where = place(hasher, event);
    bool attempt = strcmp(event->type, "request") == 0;
    audit_line_reset(line);
    add_piece(&pen, PIECE_TIME);
    add_time(&pen, event->time_ms);
    add_piece(&pen, attempt ? PIECE_REQUEST_TYPE : PIECE_RESPONSE_TYPE);
    add_auth(&pen, event, who);
    write_request(&pen, event, who, where, whole);
    write_response(&pen, event, where, whole);
    add_text(&pen, PIECE_ERROR, event->error);
    if (event->status != 0)
        add_number(&pen, PIECE_STATUS, event->status);
    /* A leaf hash stands in clear: nobody may find a record by guessing its text. */
    if (event->request_id == NULL || event->request_id[0] == '\0') {
        char salt[2 * SALT_BYTES + 1];
        salt_text(salt);
        add_text(&pen, PIECE_SALT, salt);
    }
}

enum kt_kind audit_line_event(struct audit_hasher *hasher, const struct audit_event *event,
                              struct audit_line *line, struct kt_err *err)
{
    write_event(hasher, event, true, line);
    if (!audit_line_ok(line) || audit_line_length(line) + SUFFIX_ROOM > AUDIT_LINE_MAX)
        write_event(hasher, event, false, line);
    return audit_line_ok(line) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "writing an audit record");
}

/* ---- notes and outcomes: plain text ---- */

static void begin(struct kt_buf *line)
{
    kt_buf_reset(line);
    if (line->room < AUDIT_PLAIN_USUAL && kt_buf_grow(line, AUDIT_PLAIN_USUAL) != NULL)
        line->len = 0;
}

static enum kt_kind end(const struct kt_buf *line, struct kt_err *err)
{
    return kt_buf_ok(line) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "writing an audit record");
}

static void kv_time(struct kt_jsonw *w, int64_t ms)
{
    char text[KT_TIME_TEXT];
    kt_time_text(ms, text);
    kt_jsonw_kv_text(w, "time", text);
}

static void kv_salt(struct kt_jsonw *w)
{
    char salt[2 * SALT_BYTES + 1];
    salt_text(salt);
    kt_jsonw_kv_text(w, "salt", salt);
}

enum kt_kind audit_line_note(const struct audit_note *note, struct kt_buf *line,
                             struct kt_err *err)
{
    begin(line);
    struct kt_jsonw w = kt_jsonw(line);
    kt_jsonw_object(&w);
    kv_time(&w, note->time_ms);
    kt_jsonw_kv_text(&w, "type", note->type);
    if (note->body.len > 0)
        kt_jsonw_kv_raw(&w, note->type, note->body);
    kv_salt(&w);
    return end(line, err);
}

/* ---- outcomes ---- */

enum outcome_flag {
    OUTCOME_ACCESSOR = 1 << 0,
    OUTCOME_TOKEN = 1 << 1,
    OUTCOME_ID_UUID = 1 << 2,
    OUTCOME_ENTITY_UUID = 1 << 3,
    OUTCOME_WRAP = 1 << 4,        /* the answer was wrapped */
    OUTCOME_WRAP_INSIDE = 1 << 5, /* with a token in it */
    OUTCOME_WRAP_PATH = 1 << 6    /* which was made by another request's path */
};

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", lower case. */
static bool uuid_pack(struct kt_bytes text, unsigned char out[16])
{
    char hex[33] = {0};
    size_t n = 0;
    if (text.len != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool upper = text.at[i] >= 'A' && text.at[i] <= 'F';
        if (upper || dash != (text.at[i] == '-'))
            return false;
        if (!dash)
            hex[n++] = (char)text.at[i];
    }
    return kt_hex_decode(kt_bytes(hex, 32), out, 16);
}

static void uuid_text(const unsigned char bytes[16], char out[37])
{
    char hex[33];
    kt_hex_encode(bytes, 16, hex);
    (void)snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
                   hex + 20);
}

static void pack_text(struct kt_buf *out, struct kt_bytes text, size_t max)
{
    if (text.len > max)
        text.len = max;
    kt_buf_add_u16(out, (uint16_t)text.len);
    kt_buf_add_bytes(out, text);
}

static void pack_id(struct kt_buf *out, struct kt_bytes text, bool uuid)
{
    unsigned char bytes[16];
    if (uuid && uuid_pack(text, bytes))
        kt_buf_add(out, bytes, sizeof bytes);
    else
        pack_text(out, text, TEXT_MAX_OUT);
}

static void pack_hmac(struct audit_hasher *hasher, struct kt_buf *out, struct kt_bytes text)
{
    unsigned char hmac[AUDIT_HMAC_BYTES];
    audit_hasher_bytes(hasher, text, hmac);
    kt_buf_add(out, hmac, sizeof hmac);
}

static unsigned wrap_flags(const struct audit_event *event)
{
    const struct audit_wrap *wrap = event->wrap;
    if (wrap == NULL)
        return 0;
    return OUTCOME_WRAP | (wrap->wrapped_accessor != NULL ? OUTCOME_WRAP_INSIDE : 0u) |
           (strcmp(wrap->creation_path, event->path) != 0 ? OUTCOME_WRAP_PATH : 0u);
}

static void pack_wrap(struct audit_hasher *hasher, const struct audit_wrap *wrap, unsigned flags,
                      struct kt_buf *out)
{
    if ((flags & OUTCOME_WRAP) == 0)
        return;
    kt_buf_add_i64(out, wrap->ttl_s);
    kt_buf_add_i64(out, wrap->created_ms);
    pack_hmac(hasher, out, wrap->token);
    pack_hmac(hasher, out, kt_str(wrap->accessor));
    if (flags & OUTCOME_WRAP_INSIDE)
        pack_hmac(hasher, out, kt_str(wrap->wrapped_accessor));
    if (flags & OUTCOME_WRAP_PATH)
        pack_text(out, kt_str(wrap->creation_path), PATH_MAX_OUT);
}

static void pack(struct audit_hasher *hasher, const struct audit_event *event, struct kt_bytes path,
                 struct kt_buf *out)
{
    unsigned char uuid[16];
    const struct audit_auth *auth = event->auth;
    struct kt_bytes id = kt_str(event->request_id);
    struct kt_bytes entity = kt_str(auth == NULL ? NULL : auth->entity_id);
    struct kt_bytes accessor = kt_str(auth == NULL ? NULL : auth->accessor);
    unsigned flags = wrap_flags(event);
    flags |= accessor.len > 0 ? OUTCOME_ACCESSOR : 0u;
    flags |= event->wrapped.len > 0 ? OUTCOME_TOKEN : 0u;
    flags |= uuid_pack(id, uuid) ? OUTCOME_ID_UUID : 0u;
    flags |= uuid_pack(entity, uuid) ? OUTCOME_ENTITY_UUID : 0u;
    kt_buf_add_i64(out, event->time_ms);
    kt_buf_add_u16(out, (uint16_t)event->status);
    kt_buf_add_u8(out, (uint8_t)flags);
    if (flags & OUTCOME_ACCESSOR)
        pack_hmac(hasher, out, accessor);
    if (flags & OUTCOME_TOKEN)
        pack_hmac(hasher, out, event->wrapped);
    pack_wrap(hasher, event->wrap, flags, out);
    pack_id(out, id, flags & OUTCOME_ID_UUID);
    pack_id(out, entity, flags & OUTCOME_ENTITY_UUID);
    /* Who it was, where no token says so: the vault's own work. */
    const char *name = auth == NULL || accessor.len > 0 ? NULL : auth->display_name;
    pack_text(out, kt_str(name), TEXT_MAX_OUT);
    pack_text(out, kt_str(event->operation), TEXT_MAX_OUT);
    pack_text(out, path, PATH_MAX_OUT);
    pack_text(out, kt_str(event->error), TEXT_MAX_OUT);
}

static struct kt_bytes read_text(struct kt_reader *r)
{
    return kt_read_bytes(r, kt_read_u16(r));
}

static void kv_bytes(struct kt_jsonw *w, const char *name, struct kt_bytes text)
{
    if (text.len == 0)
        return;
    kt_jsonw_key(w, name);
    kt_jsonw_bytes(w, text);
}

static void kv_hmac(struct kt_jsonw *w, const char *name, struct kt_bytes hmac)
{
    char text[AUDIT_HMAC_TEXT];
    if (hmac.len != AUDIT_HMAC_BYTES)
        return;
    audit_hmac_text(hmac.at, text);
    kt_jsonw_kv_text(w, name, text);
}

struct outcome {
    int64_t time_ms;
    unsigned status;
    char id[37], entity[37];
    struct kt_bytes accessor, token, id_text, entity_text, name, operation, path, error;
    struct {
        bool there;
        int64_t ttl_s, created_ms;
        struct kt_bytes token, accessor, inside, path; /* path empty: the request's own */
    } wrap;
};

static void unpack_wrap(struct kt_reader *r, unsigned flags, struct outcome *ret)
{
    ret->wrap.there = (flags & OUTCOME_WRAP) != 0;
    ret->wrap.inside = ret->wrap.path = kt_bytes(NULL, 0);
    if (!ret->wrap.there)
        return;
    ret->wrap.ttl_s = kt_read_i64(r);
    ret->wrap.created_ms = kt_read_i64(r);
    ret->wrap.token = kt_read_bytes(r, AUDIT_HMAC_BYTES);
    ret->wrap.accessor = kt_read_bytes(r, AUDIT_HMAC_BYTES);
    if (flags & OUTCOME_WRAP_INSIDE)
        ret->wrap.inside = kt_read_bytes(r, AUDIT_HMAC_BYTES);
    if (flags & OUTCOME_WRAP_PATH)
        ret->wrap.path = read_text(r);
}

static struct kt_bytes read_id(struct kt_reader *r, bool uuid, char text[37])
{
    if (!uuid)
        return read_text(r);
    struct kt_bytes bytes = kt_read_bytes(r, 16);
    if (bytes.len != 16)
        return bytes;
    uuid_text(bytes.at, text);
    return kt_str(text);
}

static bool unpack(struct kt_bytes packed, struct outcome *ret)
{
    struct kt_reader r = kt_reader(packed);
    ret->time_ms = kt_read_i64(&r);
    ret->status = kt_read_u16(&r);
    unsigned flags = kt_read_u8(&r);
    ret->accessor = kt_read_bytes(&r, flags & OUTCOME_ACCESSOR ? AUDIT_HMAC_BYTES : 0);
    ret->token = kt_read_bytes(&r, flags & OUTCOME_TOKEN ? AUDIT_HMAC_BYTES : 0);
    unpack_wrap(&r, flags, ret);
    ret->id_text = read_id(&r, flags & OUTCOME_ID_UUID, ret->id);
    ret->entity_text = read_id(&r, flags & OUTCOME_ENTITY_UUID, ret->entity);
    ret->name = read_text(&r);
    ret->operation = read_text(&r);
    ret->path = read_text(&r);
    ret->error = read_text(&r);
    return kt_reader_done(&r);
}

static void write_handed_out(struct kt_jsonw *w, const struct outcome *outcome)
{
    if (outcome->token.len == 0 && !outcome->wrap.there)
        return;
    kt_jsonw_key(w, "response");
    kt_jsonw_object(w);
    if (outcome->token.len > 0) {
        kt_jsonw_key(w, "auth");
        kt_jsonw_object(w);
        kv_hmac(w, "client_token", outcome->token);
        kt_jsonw_end(w);
    }
    if (outcome->wrap.there) {
        struct kt_bytes own = outcome->path, other = outcome->wrap.path;
        kt_jsonw_key(w, "wrap_info");
        kt_jsonw_object(w);
        kt_jsonw_kv_int(w, "ttl", outcome->wrap.ttl_s);
        kv_hmac(w, "token", outcome->wrap.token);
        kv_hmac(w, "accessor", outcome->wrap.accessor);
        kt_jsonw_kv_time(w, "creation_time", outcome->wrap.created_ms);
        kv_bytes(w, "creation_path", other.len > 0 ? other : own);
        kv_hmac(w, "wrapped_accessor", outcome->wrap.inside);
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
}

enum kt_kind audit_line_outcome(struct kt_bytes packed, struct audit_mark mark, struct kt_buf *line,
                                struct kt_err *err)
{
    struct outcome outcome;
    if (!unpack(packed, &outcome))
        return kt_fail(err, KT_CORRUPT, "an audit outcome in the store is damaged");
    begin(line);
    struct kt_jsonw w = kt_jsonw(line);
    kt_jsonw_object(&w);
    kv_time(&w, outcome.time_ms);
    kt_jsonw_kv_text(&w, "type", "response");
    if (outcome.accessor.len + outcome.entity_text.len + outcome.name.len > 0) {
        kt_jsonw_key(&w, "auth");
        kt_jsonw_object(&w);
        kv_hmac(&w, "accessor", outcome.accessor);
        kv_bytes(&w, "display_name", outcome.name);
        kv_bytes(&w, "entity_id", outcome.entity_text);
        kt_jsonw_end(&w);
    }
    kt_jsonw_key(&w, "request");
    kt_jsonw_object(&w);
    kv_bytes(&w, "id", outcome.id_text);
    kv_bytes(&w, "operation", outcome.operation);
    kv_bytes(&w, "path", outcome.path);
    kt_jsonw_end(&w);
    write_handed_out(&w, &outcome);
    kv_bytes(&w, "error", outcome.error);
    if (outcome.status != 0)
        kt_jsonw_kv_int(&w, "status", outcome.status);
    if (outcome.id_text.len == 0)
        kv_salt(&w);
    /* Written by hand: a generation may pass what a signed integer holds. */
    kt_buf_printf(line, ",\"generation\":%ju,\"place\":%u", (uintmax_t)mark.generation, mark.place);
    return end(line, err);
}

enum kt_kind audit_outcome_pack(struct audit_hasher *hasher, const struct audit_event *event,
                                struct kt_buf *out, uint16_t *ret_room, struct kt_err *err)
{
    const struct audit_mark widest = {UINT64_MAX, UINT32_MAX};
    char hashed[AUDIT_HMAC_TEXT];
    struct kt_bytes path = kt_str(event->path);
    kt_autobuf struct kt_buf line, packed;
    kt_buf_init(&line, AUDIT_LINE_MAX);
    kt_buf_init(&packed, AUDIT_LINE_MAX);
    for (;;) {
        size_t room = SIZE_MAX;
        if (path.len <= PATH_MAX_OUT) {
            kt_buf_reset(&packed);
            pack(hasher, event, path, &packed);
            if (!kt_buf_ok(&packed))
                return kt_fail(err, KT_NO_MEMORY, "packing an audit outcome");
            enum kt_kind kind = audit_line_outcome(kt_buf_bytes(&packed), widest, &line, err);
            if (kind != KT_OK)
                return kind;
            room = AUDIT_OVERHEAD + line.len + SUFFIX_ROOM;
        }
        if (room <= AUDIT_OUTCOME_ROOM_MAX) {
            kt_buf_add_bytes(out, kt_buf_bytes(&packed));
            *ret_room = (uint16_t)room;
            return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "packing an audit outcome");
        }
        if (path.len == AUDIT_HMAC_TEXT - 1)
            return kt_fail(err, KT_TOO_LARGE, "an audit outcome is too large");
        /* A path that long is named by its HMAC; the attempt has it whole. */
        audit_hasher_text(hasher, path, hashed);
        path = kt_str(hashed);
    }
}
