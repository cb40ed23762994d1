#include "vaultd/rotation/revoked.h"

#include "vaultd/core/rows.h"
#include "vaultd/rotation/rotation.h"

#define RECORD_MAX ((size_t)16 * 1024)

#define ROW(member, type, most) RECORD_ROW(struct revoked, member, type, most)
#define ROWS_1                                                                                     \
    ROW(list, RECORD_BOOL, 1), ROW(ssh, RECORD_BOOL, 1), ROW(name, RECORD_TEXT, 8192),             \
        ROW(serial, RECORD_TEXT, KT_X509_SERIAL_TEXT), ROW(version, RECORD_U32, 0),                \
        ROW(signer, RECORD_U32, 0), ROW(revoked_ms, RECORD_I64, 1), ROW(until_ms, RECORD_I64, 1),  \
        ROW(by, RECORD_TEXT, RUN_WHO_MAX), ROW(reason, RECORD_TEXT, RUN_REASON_MAX)
static const struct record_row rows_1[] = {ROWS_1};
static const struct record_row rows_2[] = {ROWS_1, ROW(authority, RECORD_TEXT, REVOKED_AUTHORITY)};
static const struct record_form forms[] = {RECORD_FORM(2, rows_2), RECORD_FORM(1, rows_1)};
const struct record_kind revoked_kind = {"revoked certificate", forms, 2, sizeof(struct revoked)};

/* ---- rows ---- */

static enum kt_kind issuer_id(struct request *req, const char *issuer, unsigned char ret[RUN_ID], struct kt_err *err)
{
    const struct mount *mount = NULL;
    const char *path = NULL;
    enum kt_kind kind = secret_place(req, issuer, &mount, &path, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_INVALID : kind;
    secret_id(req->core, mount->scope, path, ret);
    return KT_OK;
}

static void key_of(struct request *req, const unsigned char issuer[RUN_ID], const struct revoked *row,
                   unsigned char ret[BARRIER_NAME_KEY])
{
    revoked_key(req->core, issuer, row->list ? "list" : "serial", row->list ? row->name : row->serial, ret);
}

enum kt_kind revoked_put(struct request *req, const char *issuer, const struct revoked *row, struct kt_err *err)
{
    unsigned char id[RUN_ID], key[BARRIER_NAME_KEY];
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    enum kt_kind kind = issuer_id(req, issuer, id, err);
    if (kind != KT_OK)
        return kind;
    struct batch *batch = request_batch(req);
    record_write(&revoked_kind, row, &record);
    if (batch == NULL || !kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "revoking a certificate");
    key_of(req, id, row, key);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record), err);
}

enum kt_kind revoked_drop(struct request *req, const char *issuer, const struct revoked *row, struct kt_err *err)
{
    unsigned char id[RUN_ID], key[BARRIER_NAME_KEY];
    enum kt_kind kind = issuer_id(req, issuer, id, err);
    if (kind != KT_OK)
        return kind;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "revoking a certificate");
    key_of(req, id, row, key);
    batch_delete(batch, kt_bytes(key, sizeof key));
    return KT_OK;
}

enum kt_kind revoked_load(struct request *req, const char *issuer, struct revoked **ret, size_t *ret_n,
                          struct kt_err *err)
{
    unsigned char id[RUN_ID], prefix[BARRIER_FOLDER_PREFIX];
    size_t room = 0;
    struct rows rows;
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, RECORD_MAX);
    *ret = NULL;
    *ret_n = 0;
    enum kt_kind kind = issuer_id(req, issuer, id, err);
    if (kind != KT_OK)
        return kind;
    revoked_prefix(req->core, id, prefix);
    rows_begin(&rows, req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), "reading what is revoked");
    while (kind == KT_OK && rows_next(&rows)) {
        struct revoked *more = rows_room(req, *ret, *ret_n, &room, sizeof **ret);
        if (more == NULL) {
            kind = kt_fail(err, KT_NO_MEMORY, "reading what is revoked");
            break;
        }
        *ret = more;
        kind = rows_open(req, &rows.entry, &plain, err);
        if (kind == KT_OK)
            kind = record_read(&revoked_kind, kt_buf_bytes(&plain), &req->arena, &(*ret)[*ret_n], err);
        *ret_n += kind == KT_OK;
    }
    return rows_end(&rows, kind, err);
}

/* ---- what a list has ---- */

bool revoked_stands(const struct revoked *row, bool ssh, int64_t now_ms)
{
    return !row->list && row->ssh == ssh && row->until_ms >= now_ms;
}

enum kt_kind rotation_revokes(struct request *req, const char *issuer, bool *ret, struct kt_err *err)
{
    struct revoked *rows = NULL;
    size_t n = 0;
    *ret = false;
    enum kt_kind kind = revoked_load(req, issuer, &rows, &n, err);
    for (size_t i = 0; i < n && kind == KT_OK && !*ret; i++)
        *ret = revoked_stands(&rows[i], rows[i].ssh, req->now_ms);
    return kind;
}

enum kt_kind revoked_all_listed(struct request *req, const char *issuer, const struct revoked *rows, size_t n, bool ssh,
                                struct kt_err *err)
{
    uint32_t gone = 0;
    size_t certificates = 0;
    for (size_t i = 0; i < n; i++) {
        if (rows[i].listed || !revoked_stands(&rows[i], ssh, req->now_ms))
            continue;
        gone = certificates == 0 ? rows[i].signer : gone;
        certificates += rows[i].signer == gone;
    }
    if (certificates == 0)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "version %u of the issuer '%s', which signed %zu revoked certificate%s that %s not "
                                   "ended, is gone",
                  gone, issuer, certificates, certificates == 1 ? "" : "s", certificates == 1 ? "has" : "have");
    kt_hint(err, "if it is only deleted: secretctl kv undelete -versions=%u %s; which certificates: secretctl "
                 "certificate revoked %s", gone, issuer, issuer);
    return KT_INVALID;
}

/* ---- lists ---- */

bool revoked_is_list(const struct rotation_settings *settings)
{
    return strcmp(settings->gen_type, "x509-crl") == 0 || strcmp(settings->gen_type, "ssh-krl") == 0;
}

static enum kt_kind check_room(struct request *req, const char *issuer, struct kt_err *err)
{
    struct revoked *rows = NULL;
    size_t n = 0, lists = 0;
    enum kt_kind kind = revoked_load(req, issuer, &rows, &n, err);
    for (size_t i = 0; i < n && kind == KT_OK; i++)
        lists += rows[i].list;
    if (kind == KT_OK && lists >= REVOKED_LISTS)
        return kt_fail(err, KT_INVALID, "'%s' has %zu lists of revoked certificates already", issuer, lists);
    return kind;
}

enum kt_kind revoked_move_list(struct request *req, const struct rotation_settings *before,
                               const struct rotation_secret *secret, struct kt_err *err)
{
    const struct rotation_settings *now = &secret->settings;
    const struct revoked row = {.list = true, .name = secret->name, .serial = "", .authority = "",
                                .by = "", .reason = ""};
    bool was = revoked_is_list(before), is = revoked_is_list(now);
    enum kt_kind kind = KT_OK;
    if (was == is && strcmp(before->gen_issuer, now->gen_issuer) == 0)
        return KT_OK;
    if (was)
        kind = revoked_drop(req, before->gen_issuer, &row, err);
    if (kind == KT_INVALID) /* the issuer's mount is gone, and the row with it */
        kind = KT_OK;
    if (kind == KT_OK && is)
        kind = check_room(req, now->gen_issuer, err);
    return kind == KT_OK && is ? revoked_put(req, now->gen_issuer, &row, err) : kind;
}

enum kt_kind revoked_stir(struct request *req, const char *issuer, const char *name, bool *ret, struct kt_err *err)
{
    struct rotation_secret list;
    *ret = false;
    enum kt_kind kind = secret_load(req, name, &list, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && (!revoked_is_list(&list.settings) ||
                                                   strcmp(list.settings.gen_issuer, issuer) != 0)))
        return KT_OK;
    if (kind == KT_OK)
        kind = due_news(req, &list, err);
    if (kind == KT_OK)
        kind = secret_save(req, &list, err);
    *ret = kind == KT_OK;
    return kind;
}

enum kt_kind revoked_stir_all(struct request *req, const struct rotation_secret *issuer, struct kt_err *err)
{
    struct revoked *rows = NULL;
    size_t n = 0;
    if (strcmp(issuer->settings.gen_type, "x509-ca") != 0)
        return KT_OK;
    enum kt_kind kind = revoked_load(req, issuer->name, &rows, &n, err);
    for (size_t i = 0; i < n && kind == KT_OK; i++) {
        bool stirred = false;
        if (rows[i].list)
            kind = revoked_stir(req, issuer->name, rows[i].name, &stirred, err);
    }
    return kind;
}

/* ---- for people ---- */

enum kt_kind issuer_read(struct request *req, struct kt_err *err)
{
    const char *name = request_param(req, "path");
    struct revoked *rows = NULL;
    size_t n = 0;
    enum kt_kind kind = revoked_load(req, name, &rows, &n, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "lists");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < n; i++)
        if (rows[i].list)
            kt_jsonw_text(&w, rows[i].name);
    kt_jsonw_end(&w);
    kt_jsonw_key(&w, "revoked");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].list)
            continue;
        kt_jsonw_object(&w);
        kt_jsonw_kv_text(&w, "serial_number", rows[i].serial);
        kt_jsonw_kv_text(&w, "secret", rows[i].name);
        kt_jsonw_kv_int(&w, "version", rows[i].version);
        kt_jsonw_kv_int(&w, "issuer_version", rows[i].signer);
        kt_jsonw_kv_time(&w, "revoked", rows[i].revoked_ms);
        kt_jsonw_kv_time(&w, "not_after", rows[i].until_ms);
        kt_jsonw_kv_text(&w, "by", rows[i].by);
        kt_jsonw_kv_text(&w, "reason", rows[i].reason);
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}
