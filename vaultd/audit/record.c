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

/* A terse line (terse.h) in the making. */
struct pen {
    struct kt_buf *out;
    bool first;      /* an object was just opened: no comma is due */
    size_t expanded; /* how much longer than out the line is */
};

static size_t longer_by(enum audit_piece piece)
{
    static const unsigned char lengths[0x20] = {
#define X(name, code, text) [name] = sizeof(text) - 1,
        AUDIT_PIECES(X)
#undef X
    };
    return lengths[piece] - 1u;
}

/* A piece as it is: it brings its own comma. */
static void add_piece(struct pen *pen, enum audit_piece piece)
{
    kt_buf_add_char(pen->out, (char)piece);
    pen->expanded += longer_by(piece);
    pen->first = false;
}

static void add_name(struct pen *pen, enum audit_piece piece)
{
    if (!pen->first)
        kt_buf_add_char(pen->out, ',');
    add_piece(pen, piece);
}

static void open_object(struct pen *pen, enum audit_piece piece)
{
    add_name(pen, piece);
    pen->first = true;
}

static void close_object(struct pen *pen)
{
    kt_buf_add_char(pen->out, '}');
    pen->first = false;
}

static void add_text(struct pen *pen, enum audit_piece piece, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    add_name(pen, piece);
    kt_json_quote(pen->out, kt_str(text));
}

/* Of ours, never in need of escapes. */
static void add_plain(struct pen *pen, enum audit_piece piece, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    add_name(pen, piece);
    kt_buf_add_char(pen->out, '"');
    kt_buf_add_text(pen->out, text);
    kt_buf_add_char(pen->out, '"');
}

static void add_number(struct pen *pen, enum audit_piece piece, uint64_t number)
{
    add_name(pen, piece);
    kt_buf_add_decimal(pen->out, number);
}

static void add_time(struct kt_buf *out, int64_t ms)
{
    char text[KT_TIME_TEXT];
    kt_time_text(ms, text);
    kt_buf_add_char(out, '"');
    kt_buf_add_text(out, text);
    kt_buf_add_char(out, '"');
}

static void add_hmac(struct pen *pen, const unsigned char hmac[AUDIT_HMAC_BYTES])
{
    kt_buf_add_char(pen->out, PIECE_HMAC);
    kt_buf_add(pen->out, hmac, AUDIT_HMAC_BYTES);
    pen->expanded += AUDIT_HMAC_TEXT + 1 - AUDIT_TERSE_HMAC;
}

/* The HMAC of a text, if there is one. */
struct hashed {
    bool any;
    unsigned char hmac[AUDIT_HMAC_BYTES];
};

static void hash(struct audit_hasher *hasher, struct kt_bytes text, struct hashed *ret)
{
    ret->any = text.len > 0;
    if (ret->any)
        audit_hasher_get(hasher, text, ret->hmac);
}

static void add_hashed(struct pen *pen, enum audit_piece piece, const struct hashed *hashed)
{
    if (!hashed->any)
        return;
    add_name(pen, piece);
    add_hmac(pen, hashed->hmac);
}

/* ---- data ---- */

struct redaction {
    struct audit_hasher *hasher;
    struct pen *pen;
};

static bool pen_is_over(const struct pen *pen)
{
    return pen->out->len + pen->expanded > AUDIT_LINE_MAX;
}

static void redact(void *arg, struct kt_json value, struct kt_buf *out)
{
    const struct redaction *redaction = arg;
    if (pen_is_over(redaction->pen))
        return; /* what is written here is thrown away */
    unsigned char hmac[AUDIT_HMAC_BYTES];
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
    if (string && text.len < 64 && kt_time_parse((const char *)text.at, text.len, &ms)) {
        kt_buf_add_bytes(out, raw);
        return;
    }
    audit_hasher_get(redaction->hasher, text, hmac);
    add_hmac(redaction->pen, hmac);
}

/* Whatever is not a plain number, boolean or null is hashed: a type that nobody thought of must not
 * pass in clear. So is what is nested too deep. */
static void add_data(struct pen *pen, struct audit_hasher *hasher, struct kt_bytes data, bool whole)
{
    struct redaction redaction = {hasher, pen};
    struct hashed hashed;
    if (data.len == 0)
        return;
    if (whole) {
        add_name(pen, PIECE_DATA);
        kt_json_replace(kt_json_value(data), DATA_DEPTH, redact, &redaction, pen->out);
    } else {
        hash(hasher, data, &hashed);
        add_hashed(pen, PIECE_DATA, &hashed);
    }
}

/* JSON of ours, checked when it was stored: in clear, but for what would be read as a piece. */
static void add_json(struct pen *pen, struct audit_hasher *hasher, enum audit_piece piece,
                     struct kt_bytes json)
{
    struct hashed hashed;
    bool raw = true;
    for (size_t i = 0; i < json.len; i++)
        raw = raw && json.at[i] >= 0x20;
    if (raw) {
        add_name(pen, piece);
        kt_buf_add_bytes(pen->out, json);
    } else {
        hash(hasher, json, &hashed);
        add_hashed(pen, piece, &hashed);
    }
}

/* ---- events ---- */

static void begin(struct kt_buf *line)
{
    kt_buf_reset(line);
    if (line->room < AUDIT_LINE_USUAL && kt_buf_grow(line, AUDIT_LINE_USUAL) != NULL)
        line->len = 0;
}

static enum kt_kind end(const struct kt_buf *line, struct kt_err *err)
{
    return kt_buf_ok(line) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "writing an audit record");
}

/* Who: the same two HMACs stand in "auth" and in "request". */
struct who {
    struct hashed token, accessor;
};

static void write_auth(struct pen *pen, struct audit_hasher *hasher, const struct audit_auth *auth,
                       const struct who *who)
{
    open_object(pen, PIECE_AUTH);
    add_hashed(pen, PIECE_TOKEN, &who->token);
    add_hashed(pen, PIECE_ACCESSOR, &who->accessor);
    add_text(pen, PIECE_DISPLAY_NAME, auth->display_name);
    if (auth->n_policies > 0) {
        add_name(pen, PIECE_POLICIES);
        for (size_t i = 0; i < auth->n_policies; i++) {
            kt_buf_add_char(pen->out, i == 0 ? '[' : ',');
            kt_json_quote(pen->out, kt_str(auth->policies[i]));
        }
        kt_buf_add_char(pen->out, ']');
    }
    if (auth->meta.len > 0 && !kt_bytes_is(auth->meta, "null") && !kt_bytes_is(auth->meta, "{}"))
        add_json(pen, hasher, PIECE_METADATA, auth->meta);
    add_text(pen, PIECE_ENTITY, auth->entity_id);
    if (auth->expires_ms != 0) {
        add_name(pen, PIECE_EXPIRES);
        add_time(pen->out, auth->expires_ms);
    }
    close_object(pen);
}

static void write_request(struct pen *pen, struct audit_hasher *hasher,
                          const struct audit_event *event, const struct who *who, bool whole)
{
    open_object(pen, PIECE_REQUEST);
    add_plain(pen, PIECE_ID, event->request_id);
    add_plain(pen, PIECE_OPERATION, event->operation);
    add_text(pen, PIECE_MOUNT_POINT, event->mount_point);
    add_plain(pen, PIECE_MOUNT_TYPE, event->mount_type);
    add_hashed(pen, PIECE_TOKEN, &who->token);
    add_hashed(pen, PIECE_TOKEN_ACCESSOR, &who->accessor);
    add_name(pen, PIECE_NAMESPACE);
    add_text(pen, PIECE_PATH, event->path);
    add_data(pen, hasher, event->request_data, whole);
    add_plain(pen, PIECE_ADDRESS, event->remote_address);
    if (event->remote_port != 0)
        add_number(pen, PIECE_PORT, event->remote_port);
    close_object(pen);
}

static void write_response(struct pen *pen, struct audit_hasher *hasher,
                           const struct audit_event *event, bool whole)
{
    if (event->response_data.len == 0 && event->wrapped.len == 0)
        return;
    open_object(pen, PIECE_RESPONSE);
    if (event->wrapped.len > 0) {
        struct hashed token;
        hash(hasher, event->wrapped, &token);
        open_object(pen, PIECE_AUTH);
        add_hashed(pen, PIECE_TOKEN, &token);
        close_object(pen);
    }
    add_text(pen, PIECE_MOUNT_POINT, event->mount_point);
    add_plain(pen, PIECE_MOUNT_TYPE, event->mount_type);
    add_data(pen, hasher, event->response_data, whole);
    close_object(pen);
}

static void salt_text(char hex[2 * SALT_BYTES + 1])
{
    unsigned char salt[SALT_BYTES];
    kt_random_id(salt, sizeof salt);
    kt_hex_encode(salt, sizeof salt, hex);
}

/* Returns how long the line is when it is expanded. */
static size_t write_event(struct audit_hasher *hasher, const struct audit_event *event, bool whole,
                          struct kt_buf *line)
{
    struct pen pen = {.out = line};
    struct who who;
    const struct audit_auth *auth = event->auth;
    hash(hasher, auth == NULL ? kt_bytes(NULL, 0) : auth->token, &who.token);
    hash(hasher, kt_str(auth == NULL ? NULL : auth->accessor), &who.accessor);
    begin(line);
    add_piece(&pen, PIECE_TIME);
    add_time(line, event->time_ms);
    bool attempt = strcmp(event->type, "request") == 0;
    add_piece(&pen, attempt ? PIECE_REQUEST_TYPE : PIECE_RESPONSE_TYPE);
    if (auth != NULL)
        write_auth(&pen, hasher, auth, &who);
    write_request(&pen, hasher, event, &who, whole);
    write_response(&pen, hasher, event, whole);
    add_text(&pen, PIECE_ERROR, event->error);
    if (event->status != 0)
        add_number(&pen, PIECE_STATUS, event->status);
    /* A leaf hash stands in clear: nobody may find a record by guessing its text. */
    if (event->request_id == NULL || event->request_id[0] == '\0') {
        char salt[2 * SALT_BYTES + 1];
        salt_text(salt);
        add_plain(&pen, PIECE_SALT, salt);
    }
    return line->len + pen.expanded;
}

enum kt_kind audit_line_event(struct audit_hasher *hasher, const struct audit_event *event,
                              struct kt_buf *line, struct kt_err *err)
{
    size_t len = write_event(hasher, event, true, line);
    if (!kt_buf_ok(line) || len + SUFFIX_ROOM > AUDIT_LINE_MAX)
        (void)write_event(hasher, event, false, line);
    return end(line, err);
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
    OUTCOME_ENTITY_UUID = 1 << 3
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

static void pack(struct audit_hasher *hasher, const struct audit_event *event, struct kt_bytes path,
                 struct kt_buf *out)
{
    unsigned char uuid[16], hmac[AUDIT_HMAC_BYTES];
    const struct audit_auth *auth = event->auth;
    struct kt_bytes id = kt_str(event->request_id);
    struct kt_bytes entity = kt_str(auth == NULL ? NULL : auth->entity_id);
    struct kt_bytes accessor = kt_str(auth == NULL ? NULL : auth->accessor);
    unsigned flags = 0;
    flags |= accessor.len > 0 ? OUTCOME_ACCESSOR : 0u;
    flags |= event->wrapped.len > 0 ? OUTCOME_TOKEN : 0u;
    flags |= uuid_pack(id, uuid) ? OUTCOME_ID_UUID : 0u;
    flags |= uuid_pack(entity, uuid) ? OUTCOME_ENTITY_UUID : 0u;
    kt_buf_add_i64(out, event->time_ms);
    kt_buf_add_u16(out, (uint16_t)event->status);
    kt_buf_add_u8(out, (uint8_t)flags);
    if (flags & OUTCOME_ACCESSOR) {
        audit_hasher_bytes(hasher, accessor, hmac);
        kt_buf_add(out, hmac, sizeof hmac);
    }
    if (flags & OUTCOME_TOKEN) {
        audit_hasher_bytes(hasher, event->wrapped, hmac);
        kt_buf_add(out, hmac, sizeof hmac);
    }
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
};

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
    ret->id_text = read_id(&r, flags & OUTCOME_ID_UUID, ret->id);
    ret->entity_text = read_id(&r, flags & OUTCOME_ENTITY_UUID, ret->entity);
    ret->name = read_text(&r);
    ret->operation = read_text(&r);
    ret->path = read_text(&r);
    ret->error = read_text(&r);
    return kt_reader_done(&r);
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
    if (outcome.token.len > 0) {
        kt_jsonw_key(&w, "response");
        kt_jsonw_object(&w);
        kt_jsonw_key(&w, "auth");
        kt_jsonw_object(&w);
        kv_hmac(&w, "client_token", outcome.token);
        kt_jsonw_end(&w);
        kt_jsonw_end(&w);
    }
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
