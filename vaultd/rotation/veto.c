#include "vaultd/rotation/veto.h"

#include "vaultd/core/rows.h"
#include "vaultd/fleet/consumer.h"

#define RECORD_MAX ((size_t)16 * 1024)
#define WHO_MOST   256u
#define WHY_MOST   500u

#define ROW(member, type, most) RECORD_ROW(struct veto, member, type, most)
static const struct record_row rows_1[] = {
    ROW(secret, RECORD_TEXT, RECORD_LIST_TEXT_MAX),
    ROW(host, RECORD_TEXT, HOST_MAX),
    ROW(service, RECORD_TEXT, SERVICE_MAX),
    ROW(times, RECORD_U32, 0),
    ROW(why, RECORD_TEXT, VETO_WHY),
    ROW(at_ms, RECORD_I64, 1),
    ROW(aside_ms, RECORD_I64, 1),
    ROW(by, RECORD_TEXT, WHO_MOST),
    ROW(reason, RECORD_TEXT, WHY_MOST),
};
static const struct record_form forms[] = {RECORD_FORM(1, rows_1)};
const struct record_kind veto_kind = {"consumer that vetoes", forms, 1, sizeof(struct veto)};

enum kt_kind vetoes_load(struct request *req, const unsigned char secret[RUN_ID], struct veto **ret,
                         size_t *ret_n, struct kt_err *err)
{
    static const char doing[] = "reading which consumers veto";
    unsigned char prefix[BARRIER_FOLDER_PREFIX] = {TABLE_VETO};
    size_t len = 1;
    if (secret != NULL) {
        vetoes_prefix(req->core, secret, prefix);
        len = sizeof prefix;
    }
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, RECORD_MAX);
    struct veto *all = NULL;
    size_t n = 0, room = 0;
    enum kt_kind kind = KT_OK;
    struct rows rows;
    rows_begin(&rows, req, kt_bytes(prefix, len), kt_bytes(NULL, 0), doing);
    while (kind == KT_OK && rows_next(&rows)) {
        all = rows_room(req, all, n, &room, sizeof *all);
        kind = all == NULL ? kt_fail(err, KT_NO_MEMORY, "%s", doing)
                           : rows_open(req, &rows.entry, &plain, err);
        if (kind == KT_OK)
            kind = record_read(&veto_kind, kt_buf_bytes(&plain), &req->arena, &all[n], err);
        if (kind == KT_OK)
            all[n++].changed = rows.entry.changed;
    }
    kind = rows_end(&rows, kind, err);
    if (kind != KT_OK)
        return kind;
    *ret = all;
    *ret_n = n;
    return KT_OK;
}

enum kt_kind veto_load(struct request *req, const unsigned char secret[RUN_ID], const char *host,
                       const char *service, struct veto *ret, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    veto_key(req->core, secret, host, service, key);
    struct kt_bytes record;
    generation changed = 0;
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, &changed, err);
    if (kind == KT_OK)
        kind = record_read(&veto_kind, record, &req->arena, ret, err);
    if (kind == KT_OK)
        ret->changed = changed;
    return kind;
}

enum kt_kind veto_save(struct request *req, const unsigned char secret[RUN_ID], const struct veto *veto,
                       struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    record_write(&veto_kind, veto, &record);
    if (batch == NULL || !kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing which consumer vetoes");
    unsigned char key[BARRIER_NAME_KEY];
    veto_key(req->core, secret, veto->host, veto->service, key);
    batch_require(batch, veto->changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT, kt_bytes(key, sizeof key),
                  veto->changed);
    if (veto->times == 0 && veto->aside_ms == 0) {
        batch_delete(batch, kt_bytes(key, sizeof key));
        return KT_OK;
    }
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record), err);
}
