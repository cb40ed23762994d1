#include "vaultd/fleet/consumer.h"

#include "vaultd/core/rows.h"

#define RECORD_MAX ((size_t)512 * 1024)
#define HOSTS_MAX  20000u
#define ON_THREAD_MAX 2000u /* hosts; more are read where nobody else waits */
#define SCRATCH_MAX   ((size_t)8 * 1024 * 1024)

#define ROW(member, type, most) RECORD_ROW(struct host, member, type, most)
static const struct record_row rows_1[] = {
    ROW(name, RECORD_TEXT, HOST_MAX),
    ROW(at_ms, RECORD_I64, 1),
    ROW(secrets, RECORD_LIST, HOST_SECRETS_MAX),
};
static const struct record_form forms[] = {RECORD_FORM(1, rows_1)};
const struct record_kind host_kind = {"host", forms, 1, sizeof(struct host)};

enum kt_kind host_load(struct request *req, const char *name, struct host *ret, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    host_key(req->core, name, key);
    struct kt_bytes record;
    generation changed = 0;
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, &changed, err);
    if (kind == KT_OK)
        kind = record_read(&host_kind, record, &req->arena, ret, err);
    else if (kind == KT_NOT_FOUND)
        *ret = (struct host){.name = name};
    if (kind == KT_OK)
        ret->changed = changed;
    return kind;
}

enum kt_kind host_save(struct request *req, const struct host *host, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    record_write(&host_kind, host, &record);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing a host");
    if (!kt_buf_ok(&record) && !record.full)
        return kt_fail(err, KT_NO_MEMORY, "writing a host");
    if (record.full)
        return kt_fail(err, KT_INVALID, "the host's list of secrets would be too long");
    unsigned char key[BARRIER_NAME_KEY];
    host_key(req->core, host->name, key);
    batch_require(batch, host->changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT,
                  kt_bytes(key, sizeof key), host->changed);
    if (host->secrets.n == 0) {
        batch_delete(batch, kt_bytes(key, sizeof key));
        return KT_OK;
    }
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record),
                       err);
}

enum kt_kind hosts_load(struct request *req, struct host **ret, size_t *ret_n, struct kt_err *err)
{
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    hosts_prefix(req->core, prefix);
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, RECORD_MAX);
    struct host *all = NULL;
    size_t n = 0, room = 0;
    enum kt_kind kind = KT_OK;
    struct rows rows;
    rows_begin(&rows, req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), "reading the hosts");
    while (kind == KT_OK && n < HOSTS_MAX && rows_next(&rows)) {
        all = rows_room(req, all, n, &room, sizeof *all);
        kind = all == NULL ? kt_fail(err, KT_NO_MEMORY, "reading the hosts")
                           : rows_open(req, &rows.entry, &plain, err);
        if (kind == KT_OK)
            kind = record_read(&host_kind, kt_buf_bytes(&plain), &req->arena, &all[n++], err);
    }
    kind = rows_end(&rows, kind, err);
    if (kind != KT_OK)
        return kind;
    *ret = all;
    *ret_n = n;
    return KT_OK;
}

/* "secret/" and what is below it; "secret/db" alone. */
static bool is_meant(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);
    bool folder = len > 0 && prefix[len - 1] == '/';
    return strncmp(name, prefix, len) == 0 && (folder || name[len] == '\0');
}

/* However many hosts there are, no more than one record of them is in memory. */
static enum kt_kind look_below(struct request *req, struct kt_bytes record, const char *prefix,
                               const char **ret_host, struct kt_err *err)
{
    struct kt_arena scratch;
    struct host host;
    kt_arena_init(&scratch, SCRATCH_MAX);
    enum kt_kind kind = record_read(&host_kind, record, &scratch, &host, err);
    for (size_t k = 0; kind == KT_OK && k < host.secrets.n && *ret_host == NULL; k++)
        if (is_meant(host.secrets.at[k], prefix))
            *ret_host = kt_arena_text(&req->arena, kt_str(host.name));
    kt_arena_free(&scratch);
    return kind;
}

enum kt_kind host_find_below(struct request *req, const char *prefix, const char **ret_host,
                             struct kt_err *err)
{
    unsigned char hosts[BARRIER_FOLDER_PREFIX];
    hosts_prefix(req->core, hosts);
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, RECORD_MAX);
    *ret_host = NULL;
    enum kt_kind kind = KT_OK;
    struct rows rows;
    size_t n = 0;
    rows_begin(&rows, req, kt_bytes(hosts, sizeof hosts), kt_bytes(NULL, 0), "reading the hosts");
    while (kind == KT_OK && *ret_host == NULL && rows_next(&rows)) {
        if (n++ == ON_THREAD_MAX && request_aside(req))
            break;
        kind = rows_open(req, &rows.entry, &plain, err);
        if (kind == KT_OK)
            kind = look_below(req, kt_buf_bytes(&plain), prefix, ret_host, err);
    }
    return rows_end(&rows, kind, err);
}
