#include "vaultd/approval/approvals.h"

#include "vaultd/core/rows.h"

#define RECORD_MAX ((size_t)256 * 1024)

static bool key_of(const char *id, uint32_t part, unsigned char key[APPROVAL_KEY])
{
    unsigned char bytes[KT_UUID_BYTES];
    if (!kt_uuid_parse(kt_str(id), bytes))
        return false;
    approval_key(bytes, part, key);
    return true;
}

enum kt_kind approval_find(struct request *req, const char *id, struct approval *ret, struct kt_err *err)
{
    unsigned char key[APPROVAL_KEY];
    struct kt_bytes record = {0};
    generation changed = 0;
    if (!key_of(id, 0, key))
        return KT_NOT_FOUND;
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, &changed, err);
    if (kind == KT_OK)
        kind = approval_read(record, &req->arena, ret, err);
    if (kind != KT_OK)
        return kind;
    (void)snprintf(ret->id, sizeof ret->id, "%s", id);
    ret->changed = changed;
    return KT_OK;
}

enum kt_kind approval_find_sent(struct request *req, const struct approval *approval,
                                struct approval_sent *ret, struct kt_err *err)
{
    unsigned char key[APPROVAL_KEY];
    struct kt_bytes record = {0};
    if (!key_of(approval->id, 1, key))
        return KT_NOT_FOUND;
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, NULL, err);
    return kind == KT_OK ? approval_sent_read(record, &req->arena, ret, err) : kind;
}

/* ---- writing ---- */

static enum kt_kind seal(struct request *req, const unsigned char key[APPROVAL_KEY], const struct kt_buf *plain,
                         struct kt_err *err)
{
    if (!kt_buf_ok(plain))
        return plain->full ? kt_fail(err, KT_INVALID, "the request is too large to wait for approval")
                           : kt_fail(err, KT_NO_MEMORY, "keeping a request for approval");
    return barrier_put(req->core->barrier, req->batch, kt_bytes(key, APPROVAL_KEY), kt_buf_bytes(plain), err);
}

static enum kt_kind put_sent(struct request *req, const char *id, const struct approval_sent *sent,
                             struct kt_err *err)
{
    unsigned char key[APPROVAL_KEY];
    if (!key_of(id, 1, key))
        return kt_fail(err, KT_INTERNAL, "a request without an id");
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, APPROVAL_SENT_MAX + 4096);
    approval_sent_write(sent, &plain);
    return seal(req, key, &plain, err);
}

enum kt_kind approval_put(struct request *req, const struct approval *approval,
                          const struct approval_sent *sent, struct kt_err *err)
{
    unsigned char key[APPROVAL_KEY], sent_key[APPROVAL_KEY];
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "keeping a request for approval");
    if (!key_of(approval->id, 0, key) || !key_of(approval->id, 1, sent_key))
        return kt_fail(err, KT_INTERNAL, "a request without an id");
    batch_require(batch, approval->changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT, kt_bytes(key, sizeof key),
                  approval->changed);
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, RECORD_MAX);
    approval_write(approval, &plain);
    enum kt_kind kind = seal(req, key, &plain, err);
    if (kind == KT_OK && sent != NULL)
        kind = put_sent(req, approval->id, sent, err);
    if (kind == KT_OK && approval->state != APPROVAL_WAITING)
        batch_delete(batch, kt_bytes(sent_key, sizeof sent_key));
    return kind;
}

void approval_remove(struct batch *batch, const struct approval *approval)
{
    unsigned char key[APPROVAL_KEY];
    for (uint32_t part = 0; part < 2; part++)
        if (key_of(approval->id, part, key))
            batch_delete(batch, kt_bytes(key, sizeof key));
}

/* ---- how it stands ---- */

bool approval_waits(const struct approval *approval, int64_t now_ms)
{
    return approval->state == APPROVAL_WAITING && now_ms < approval->expires_ms;
}

const char *approval_state_text(const struct approval *approval, int64_t now_ms)
{
    static const char *const texts[] = {[APPROVAL_WAITING] = "waiting",
                                        [APPROVAL_DONE] = "done",
                                        [APPROVAL_DENIED] = "denied",
                                        [APPROVAL_WITHDRAWN] = "withdrawn"};
    bool over = approval->state == APPROVAL_WAITING && !approval_waits(approval, now_ms);
    return over ? "expired" : texts[approval->state];
}

static enum kt_kind read_row(struct request *req, const struct entry *entry, struct approval *ret,
                             struct kt_err *err)
{
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, RECORD_MAX);
    enum kt_kind kind = rows_open(req, entry, &plain, err);
    if (kind == KT_OK)
        kind = approval_read(kt_buf_bytes(&plain), &req->arena, ret, err);
    kt_uuid_text(entry->key.at + 1, ret->id);
    ret->changed = entry->changed;
    return kind;
}

enum kt_kind approvals_all(struct request *req, struct approval_list *ret, struct kt_err *err)
{
    static const unsigned char prefix[] = {TABLE_APPROVAL};
    struct rows rows;
    enum kt_kind kind = KT_OK;
    *ret = (struct approval_list){0};
    rows_begin(&rows, req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), "reading what waits for approval");
    while (kind == KT_OK && rows_next(&rows)) {
        struct kt_bytes key = rows.entry.key;
        if (key.len != APPROVAL_KEY || key.at[APPROVAL_KEY - 1] != 0)
            continue;
        ret->at = rows_room(req, ret->at, ret->n, &ret->room, sizeof *ret->at);
        kind = ret->at == NULL ? kt_fail(err, KT_NO_MEMORY, "reading what waits for approval")
                               : read_row(req, &rows.entry, &ret->at[ret->n], err);
        ret->n += kind == KT_OK;
        ret->damaged += kind == KT_CORRUPT;
        if (kind == KT_CORRUPT)
            kind = KT_OK;
    }
    return rows_end(&rows, kind, err);
}
