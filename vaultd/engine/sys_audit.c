#include <sodium.h>

#include "vaultd/engine/sys.h"

#define EXPORT_MAX ((size_t)8 * 1024 * 1024)
#define LEAVES_MAX 100000
#define NOTE_MAX   65536u

/* ---- checkpoints ---- */

static void write_checkpoint(struct request *req, struct kt_buf *note)
{
    struct audit_status status;
    audit_status(req->core->audit, &status);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "checkpoint");
    kt_jsonw_bytes(&w, kt_buf_bytes(note));
    kt_jsonw_kv_text(&w, "origin", status.origin);
    kt_jsonw_kv_text(&w, "public_key", status.public_key);
    kt_jsonw_kv_int(&w, "size", (int64_t)status.size);
    kt_jsonw_end(&w);
}

enum kt_kind sys_audit_checkpoint_read(struct request *req, struct kt_err *err)
{
    kt_autobuf struct kt_buf note;
    kt_buf_init(&note, NOTE_MAX);
    enum kt_kind kind = audit_last_checkpoint(req->core->audit, &note, err);
    if (kind == KT_NOT_FOUND) {
        (void)kt_fail(err, KT_NOT_FOUND, "no checkpoint was made yet");
        kt_hint(err, "make one: POST sys/audit-log/checkpoint");
        return KT_NOT_FOUND;
    }
    if (kind == KT_OK)
        write_checkpoint(req, &note);
    return kind;
}

static enum kt_kind make_checkpoint(struct request *req, struct kt_err *err)
{
    struct core *core = req->core;
    if (!barrier_enter(core->barrier))
        return kt_fail(err, KT_SEALED, "%s", kt_kind_text(KT_SEALED));
    kt_autobuf struct kt_buf note;
    kt_buf_init(&note, NOTE_MAX);
    enum kt_kind kind = audit_checkpoint(core->audit, &note, err);
    if (kind == KT_OK)
        write_checkpoint(req, &note);
    barrier_leave(core->barrier);
    return kind;
}

enum kt_kind sys_audit_checkpoint_write(struct request *req, struct kt_err *err)
{
    (void)err;
    req->defer = make_checkpoint;
    return KT_OK;
}

enum kt_kind sys_audit_checkpoints(struct request *req, struct kt_err *err)
{
    kt_autobuf struct kt_buf notes;
    kt_buf_init(&notes, EXPORT_MAX);
    enum kt_kind kind = audit_checkpoints(req->core->audit, &notes, err);
    if (kind != KT_OK)
        return kind;
    struct audit_status status;
    audit_status(req->core->audit, &status);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "checkpoints");
    kt_jsonw_bytes(&w, kt_buf_bytes(&notes));
    kt_jsonw_kv_text(&w, "origin", status.origin);
    kt_jsonw_kv_text(&w, "public_key", status.public_key);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* ---- records and leaves ---- */

/* from and to of the query, held to [0, size]. */
static enum kt_kind range(struct request *req, uint64_t *ret_from, uint64_t *ret_to,
                          struct kt_err *err)
{
    struct audit_status status;
    audit_status(req->core->audit, &status);
    int64_t from = 0, to = (int64_t)status.size;
    enum kt_kind kind = request_int(req, "from", &from, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_int(req, "to", &to, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (to > (int64_t)status.size)
        to = (int64_t)status.size;
    if (from < 0 || from > to)
        return kt_fail(err, KT_INVALID, "\"from\" must be at most \"to\" and the log's size %llu",
                       (unsigned long long)status.size);
    *ret_from = (uint64_t)from;
    *ret_to = (uint64_t)to;
    return KT_OK;
}

/* The next index stands in the last line's place: a reader asks again from last seq + 1. */
enum kt_kind sys_audit_export(struct request *req, struct kt_err *err)
{
    uint64_t from = 0, to = 0, next = 0;
    enum kt_kind kind = range(req, &from, &to, err);
    if (kind != KT_OK)
        return kind;
    req->reply.form = REPLY_RAW;
    req->reply.content_type = "application/x-ndjson";
    return audit_export(req->core->audit, from, to, EXPORT_MAX, &req->reply.data, &next, err);
}

static bool write_base64(struct kt_jsonw *w, struct kt_bytes bytes)
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, EXPORT_MAX);
    size_t len = sodium_base64_ENCODED_LEN(bytes.len, sodium_base64_VARIANT_ORIGINAL);
    unsigned char *out = kt_buf_grow(&text, len);
    if (out == NULL)
        return false;
    (void)sodium_bin2base64((char *)out, len, bytes.at, bytes.len, sodium_base64_VARIANT_ORIGINAL);
    kt_jsonw_bytes(w, kt_bytes(out, len - 1));
    return true;
}

enum kt_kind sys_audit_leaves(struct request *req, struct kt_err *err)
{
    uint64_t from = 0, to = 0;
    enum kt_kind kind = range(req, &from, &to, err);
    if (kind != KT_OK)
        return kind;
    if (to - from > LEAVES_MAX)
        to = from + LEAVES_MAX;
    kt_autobuf struct kt_buf leaves;
    kt_buf_init(&leaves, (size_t)LEAVES_MAX * 32);
    kind = audit_leaves(req->core->audit, from, to, &leaves, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "from", (int64_t)from);
    kt_jsonw_kv_int(&w, "to", (int64_t)to);
    kt_jsonw_key(&w, "leaves");
    bool ok = write_base64(&w, kt_buf_bytes(&leaves));
    kt_jsonw_end(&w);
    return ok ? KT_OK : kt_fail(err, KT_NO_MEMORY, "reading leaf hashes");
}

/* ---- proofs ---- */

struct proof_wish {
    int64_t index, old, size; /* index -1: a consistency proof */
};

static void write_proof(struct request *req, const struct kt_buf *proof, const struct kt_buf *leaf,
                        bool *ret_ok)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    bool ok = true;
    kt_jsonw_object(&w);
    if (leaf->len > 0) {
        kt_jsonw_key(&w, "leaf");
        ok = write_base64(&w, kt_buf_bytes(leaf));
    }
    kt_jsonw_key(&w, "proof");
    kt_jsonw_array(&w);
    for (size_t at = 0; ok && at + 32 <= proof->len; at += 32)
        ok = write_base64(&w, kt_bytes(proof->at + at, 32));
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    *ret_ok = ok;
}

static enum kt_kind prove(struct request *req, const struct proof_wish *wish, struct kt_err *err)
{
    struct audit *audit = req->core->audit;
    kt_autobuf struct kt_buf proof, leaf;
    kt_buf_init(&proof, (size_t)64 * 32 * 2);
    kt_buf_init(&leaf, 32);
    uint64_t index = (uint64_t)wish->index, size = (uint64_t)wish->size;
    enum kt_kind kind = wish->index >= 0
                            ? audit_inclusion(audit, index, size, &proof, err)
                            : audit_consistency(audit, (uint64_t)wish->old, size, &proof, err);
    if (kind == KT_OK && wish->index >= 0)
        kind = audit_leaves(audit, index, index + 1, &leaf, err);
    bool ok = true;
    if (kind == KT_OK)
        write_proof(req, &proof, &leaf, &ok);
    return ok ? kind : kt_fail(err, KT_NO_MEMORY, "making a proof");
}

/* The tree is locked while the log is synced, so whoever wants a proof may wait for the disk. */
static enum kt_kind make_proof(struct request *req, struct kt_err *err)
{
    if (!barrier_enter(req->core->barrier))
        return kt_fail(err, KT_SEALED, "%s", kt_kind_text(KT_SEALED));
    enum kt_kind kind = prove(req, req->handler_data, err);
    barrier_leave(req->core->barrier);
    return kind;
}

enum kt_kind sys_audit_proof(struct request *req, struct kt_err *err)
{
    struct audit_status status;
    struct proof_wish *wish = kt_arena_take(&req->arena, sizeof *wish);
    if (wish == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a proof");
    audit_status(req->core->audit, &status);
    *wish = (struct proof_wish){.index = -1, .old = -1, .size = (int64_t)status.size};
    enum kt_kind kinds[] = {request_int(req, "index", &wish->index, err),
                            request_int(req, "old", &wish->old, err),
                            request_int(req, "size", &wish->size, err)};
    for (size_t i = 0; i < 3; i++)
        if (kinds[i] != KT_OK && kinds[i] != KT_NOT_FOUND)
            return kinds[i];
    if ((wish->index < 0) == (wish->old < 0) || wish->size < 0)
        return kt_fail(err, KT_INVALID, "give either \"index\" or \"old\", and \"size\"");
    req->handler_data = wish;
    req->defer = make_proof;
    return KT_OK;
}

/* ---- hashes ---- */

enum kt_kind sys_audit_hash(struct request *req, struct kt_err *err)
{
    const char *input = "";
    enum kt_kind kind = request_string(req, "input", &input, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (input[0] == '\0')
        return kt_fail(err, KT_INVALID, "the \"input\" parameter is empty");
    char hash[AUDIT_HMAC_TEXT];
    audit_hmac(req->core->audit, kt_str(input), hash);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "hash", hash);
    kt_jsonw_end(&w);
    return KT_OK;
}
