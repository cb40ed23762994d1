#include "vaultd/audit/outcome.h"

#include <string.h>

#include "lib/jsonw.h"
#include "lib/uuid.h"
#include "vaultd/audit/plain.h"
#include "vaultd/audit/record.h"

#define PATH_MAX_OUT 1024u
#define TEXT_MAX_OUT 255u

enum outcome_flag {
    OUTCOME_ACCESSOR = 1 << 0,
    OUTCOME_TOKEN = 1 << 1,
    OUTCOME_ID_UUID = 1 << 2,
    OUTCOME_ENTITY_UUID = 1 << 3,
    OUTCOME_WRAP = 1 << 4,        /* the answer was wrapped */
    OUTCOME_WRAP_INSIDE = 1 << 5, /* with a token in it */
    OUTCOME_WRAP_PATH = 1 << 6    /* which was made by another request's path */
};

/* ---- packing ---- */

static void pack_text(struct kt_buf *out, struct kt_bytes text, size_t max)
{
    if (text.len > max)
        text.len = max;
    kt_buf_add_u16(out, (uint16_t)text.len);
    kt_buf_add_bytes(out, text);
}

static void pack_id(struct kt_buf *out, struct kt_bytes text, bool uuid)
{
    unsigned char bytes[KT_UUID_BYTES];
    if (uuid && kt_uuid_parse(text, bytes))
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
    unsigned char uuid[KT_UUID_BYTES];
    const struct audit_auth *auth = event->auth;
    struct kt_bytes id = kt_str(event->request_id);
    struct kt_bytes entity = kt_str(auth == NULL ? NULL : auth->entity_id);
    struct kt_bytes accessor = kt_str(auth == NULL ? NULL : auth->accessor);
    unsigned flags = wrap_flags(event);
    flags |= accessor.len > 0 ? OUTCOME_ACCESSOR : 0u;
    flags |= event->wrapped.len > 0 ? OUTCOME_TOKEN : 0u;
    flags |= kt_uuid_parse(id, uuid) ? OUTCOME_ID_UUID : 0u;
    flags |= kt_uuid_parse(entity, uuid) ? OUTCOME_ENTITY_UUID : 0u;
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

/* ---- unpacking ---- */

struct outcome {
    int64_t time_ms;
    unsigned status;
    char id[KT_UUID_TEXT], entity[KT_UUID_TEXT];
    struct kt_bytes accessor, token, id_text, entity_text, name, operation, path, error;
    struct {
        bool there;
        int64_t ttl_s, created_ms;
        struct kt_bytes token, accessor, inside, path; /* path empty: the request's own */
    } wrap;
};

static struct kt_bytes read_text(struct kt_reader *r)
{
    return kt_read_bytes(r, kt_read_u16(r));
}

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

static struct kt_bytes read_id(struct kt_reader *r, bool uuid, char text[KT_UUID_TEXT])
{
    if (!uuid)
        return read_text(r);
    struct kt_bytes bytes = kt_read_bytes(r, KT_UUID_BYTES);
    if (bytes.len != KT_UUID_BYTES)
        return bytes;
    kt_uuid_text(bytes.at, text);
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

/* ---- the line ---- */

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
    audit_plain_begin(line);
    struct kt_jsonw w = kt_jsonw(line);
    kt_jsonw_object(&w);
    audit_plain_time(&w, outcome.time_ms);
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
        audit_plain_salt(&w);
    /* Written by hand: a generation may pass what a signed integer holds. */
    kt_buf_printf(line, ",\"generation\":%ju,\"place\":%u", (uintmax_t)mark.generation, mark.place);
    return audit_plain_end(line, err);
}

/* ---- the room that it takes ---- */

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
            room = AUDIT_OVERHEAD + line.len + AUDIT_SUFFIX_ROOM;
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
