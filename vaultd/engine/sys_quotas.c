/* How many requests a client may make: sys/quotas/config, sys/quotas/rate-limit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/random.h"
#include "vaultd/core/mounts.h"
#include "vaultd/core/quotas.h"
#include "vaultd/engine/sys.h"

typedef enum kt_kind change_fn(struct request *req, struct quota_table *table, struct kt_err *err);

/* Reads the table, has it changed, puts it into the batch. */
static enum kt_kind change(struct request *req, change_fn *fn, struct kt_err *err)
{
    struct quota_table *table = NULL;
    enum kt_kind kind = quotas_load(req, &table, err);
    if (kind == KT_OK)
        kind = fn(req, table, err);
    if (kind == KT_OK)
        kind = quotas_save(req, table, err);
    quota_table_free(table);
    return kind;
}

/* ---- settings ---- */

/* Vault takes what is left out for false and for none. */
static enum kt_kind change_config(struct request *req, struct quota_table *table, struct kt_err *err)
{
    table->audit_logging = table->headers = false;
    table->exempt = (struct string_list){0};
    enum kt_kind kinds[] = {
        request_bool(req, "enable_rate_limit_audit_logging", &table->audit_logging, err),
        request_bool(req, "enable_rate_limit_response_headers", &table->headers, err),
        request_list(req, "rate_limit_exempt_paths", false, &table->exempt, err),
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i] != KT_OK && kinds[i] != KT_NOT_FOUND)
            return kinds[i];
    if (table->exempt.n > QUOTA_EXEMPT_MAX)
        return kt_fail(err, KT_INVALID, "\"rate_limit_exempt_paths\" has more than %u paths",
                       QUOTA_EXEMPT_MAX);
    for (size_t i = 0; i < table->exempt.n; i++) {
        const char *path = table->exempt.at[i];
        path += strspn(path, "/");
        if (path[0] == '\0')
            return kt_fail(err, KT_INVALID, "\"rate_limit_exempt_paths\" has an empty path");
        if (strlen(path) > QUOTA_PATH_MAX)
            return kt_fail(err, KT_INVALID, "\"rate_limit_exempt_paths\" has a path of more than %u bytes",
                           QUOTA_PATH_MAX);
        table->exempt.at[i] = path;
    }
    table->exempt_set = true;
    return KT_OK;
}

enum kt_kind sys_quotas_config_write(struct request *req, struct kt_err *err)
{
    return change(req, change_config, err);
}

enum kt_kind sys_quotas_config_read(struct request *req, struct kt_err *err)
{
    struct quota_table *table = NULL;
    enum kt_kind kind = quotas_load(req, &table, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "enable_rate_limit_audit_logging", table->audit_logging);
    kt_jsonw_kv_bool(&w, "enable_rate_limit_response_headers", table->headers);
    kt_jsonw_key(&w, "rate_limit_exempt_paths");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < table->exempt.n; i++)
        kt_jsonw_text(&w, table->exempt.at[i]);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    quota_table_free(table);
    return KT_OK;
}

/* ---- the quotas ---- */

/* The mount that a quota stands on; NULL: it is gone, and the quota with it. */
static const struct mount *mount_of(struct request *req, const struct quota *row)
{
    const struct mount *const *all = NULL;
    size_t n = mounts_all(req, &all);
    for (size_t i = 0; i < n; i++)
        if (memcmp(all[i]->scope, row->scope, BARRIER_SCOPE) == 0)
            return all[i];
    return NULL;
}

static bool stands(struct request *req, const struct quota *row)
{
    return !row->of_mount || mount_of(req, row) != NULL;
}

static struct quota *find(struct request *req, struct quota_table *table, const char *name)
{
    for (size_t i = 0; i < table->n; i++)
        if (strcmp(table->rows[i].name, name) == 0)
            return stands(req, &table->rows[i]) ? &table->rows[i] : NULL;
    return NULL;
}

static void drop_fallen(struct request *req, struct quota_table *table)
{
    size_t n = 0;
    for (size_t i = 0; i < table->n; i++)
        if (stands(req, &table->rows[i]))
            table->rows[n++] = table->rows[i];
    table->n = n;
}

/* Whole numbers without a point; millionths are all that is kept. */
static void write_rate(struct kt_jsonw *w, int64_t rate)
{
    char text[40];
    (void)snprintf(text, sizeof text, "%lld.%06lld", (long long)(rate / QUOTA_MILLIONTHS),
                   (long long)(rate % QUOTA_MILLIONTHS));
    size_t len = strlen(text);
    while (text[len - 1] == '0')
        len--;
    len -= text[len - 1] == '.';
    text[len] = '\0';
    kt_jsonw_kv_raw(w, "rate", kt_str(text));
}

static void write_quota(struct request *req, const struct quota *row)
{
    const struct mount *mount = row->of_mount ? mount_of(req, row) : NULL;
    const char *parts[] = {mount == NULL ? "" : mount->path, row->suffix};
    kt_autobuf struct kt_buf path;
    kt_buf_init(&path, SIZE_MAX / 4);
    for (size_t i = 0; i < 2; i++)
        kt_buf_add_text(&path, parts[i]);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "block_interval", row->block_s);
    kt_jsonw_kv_bool(&w, "inheritable", !row->of_mount);
    kt_jsonw_kv_int(&w, "interval", row->interval_s);
    kt_jsonw_kv_text(&w, "name", row->name);
    kt_jsonw_kv_text(&w, "path", kt_buf_text(&path));
    write_rate(&w, row->rate);
    kt_jsonw_kv_text(&w, "role", "");
    kt_jsonw_kv_text(&w, "type", "rate-limit");
    kt_jsonw_end(&w);
}

enum kt_kind sys_quota_read(struct request *req, struct kt_err *err)
{
    struct quota_table *table = NULL;
    enum kt_kind kind = quotas_load(req, &table, err);
    const struct quota *row = kind == KT_OK ? find(req, table, request_param(req, "name")) : NULL;
    if (row != NULL)
        write_quota(req, row);
    else if (kind == KT_OK)
        kind = kt_fail(err, KT_NOT_FOUND, "%s", "");
    quota_table_free(table);
    return kind;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct quota *)a)->name, ((const struct quota *)b)->name);
}

enum kt_kind sys_quota_list(struct request *req, struct kt_err *err)
{
    struct quota_table *table = NULL;
    enum kt_kind kind = quotas_load(req, &table, err);
    if (kind == KT_OK)
        drop_fallen(req, table);
    if (kind == KT_OK && table->n == 0)
        kind = kt_fail(err, KT_NOT_FOUND, "%s", "");
    if (kind == KT_OK) {
        qsort(table->rows, table->n, sizeof *table->rows, by_name);
        struct kt_jsonw w = kt_jsonw(&req->reply.data);
        kt_jsonw_object(&w);
        kt_jsonw_key(&w, "keys");
        kt_jsonw_array(&w);
        for (size_t i = 0; i < table->n; i++)
            kt_jsonw_text(&w, table->rows[i].name);
        kt_jsonw_end(&w);
        kt_jsonw_end(&w);
    }
    quota_table_free(table);
    return kind;
}

/* ---- writing one ---- */

static enum kt_kind read_rate(struct request *req, int64_t *ret, struct kt_err *err)
{
    double rate = 0;
    enum kt_kind kind = request_number(req, "rate", &rate, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (!(rate > 0))
        return kt_fail(err, KT_INVALID, "'rate' is invalid");
    double millionths = rate * QUOTA_MILLIONTHS;
    if (millionths < (double)QUOTA_RATE_MIN || millionths > (double)QUOTA_RATE_MAX)
        return kt_fail(err, KT_INVALID, "'rate' is invalid: it is between 0.001 and 1000000000");
    *ret = llround(millionths);
    return KT_OK;
}

static enum kt_kind read_time(struct request *req, const char *name, int64_t absent, int64_t *ret,
                              struct kt_err *err)
{
    *ret = absent;
    enum kt_kind kind = request_duration_s(req, name, ret, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (*ret > QUOTA_TIME_MAX_S)
        return kt_fail(err, KT_INVALID, "'%s' is invalid: it is at most 744h", name);
    if (*ret == 0)
        *ret = absent;
    return KT_OK;
}

static enum kt_kind read_path(struct request *req, struct quota *row, struct kt_err *err)
{
    const char *path = "";
    enum kt_kind kind = request_string(req, "path", &path, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    return quotas_aim(req, path, row, err);
}

/* What belongs to namespaces and to login roles. */
static enum kt_kind check_scope(struct request *req, const struct quota *row, struct kt_err *err)
{
    const char *role = "";
    bool inheritable = !row->of_mount;
    enum kt_kind kind = request_string(req, "role", &role, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    kind = request_bool(req, "inheritable", &inheritable, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (role[0] != '\0') {
        (void)kt_fail(err, KT_INVALID, "\"role\": quotas by login role are not supported");
        kt_hint(err, "a role's logins have a path of their own where its method has one for each name: "
                     "set \"path\" to it");
        return KT_INVALID;
    }
    if (inheritable && row->of_mount)
        return kt_fail(err, KT_INVALID, "only namespace quotas can be configured as inheritable");
    if (!inheritable && !row->of_mount)
        return kt_fail(err, KT_INVALID, "all global quotas must be inheritable");
    return KT_OK;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Vault's generic name: between two word characters also '-' and '.'. */
static bool is_name(const char *name)
{
    size_t len = strlen(name);
    bool fine = len > 0 && len <= QUOTA_NAME_MAX && is_word(name[0]) && is_word(name[len - 1]);
    for (size_t i = 0; i < len; i++)
        fine = fine && (is_word(name[i]) || name[i] == '-' || name[i] == '.');
    return fine;
}

static enum kt_kind read_quota(struct request *req, struct quota *row, struct kt_err *err)
{
    row->name = request_param(req, "name");
    if (!is_name(row->name)) {
        (void)kt_fail(err, KT_INVALID, "not a quota's name");
        kt_hint(err, "a name is 1 to %u of a-z A-Z 0-9 _, and - or . in between", QUOTA_NAME_MAX);
        return KT_INVALID;
    }
    enum kt_kind kind = read_rate(req, &row->rate, err);
    if (kind == KT_OK)
        kind = read_time(req, "interval", 1, &row->interval_s, err);
    if (kind == KT_OK)
        kind = read_time(req, "block_interval", 0, &row->block_s, err);
    if (kind == KT_OK)
        kind = read_path(req, row, err);
    return kind == KT_OK ? check_scope(req, row, err) : kind;
}

static bool govern_the_same(const struct quota *a, const struct quota *b)
{
    return a->of_mount == b->of_mount && memcmp(a->scope, b->scope, sizeof a->scope) == 0 &&
           strcmp(a->suffix, b->suffix) == 0;
}

static enum kt_kind change_quota(struct request *req, struct quota_table *table, struct kt_err *err)
{
    struct quota row = {0};
    enum kt_kind kind = read_quota(req, &row, err);
    if (kind != KT_OK)
        return kind;
    kt_random_id(&row.id, sizeof row.id);
    drop_fallen(req, table);
    size_t at = table->n;
    for (size_t i = 0; i < table->n; i++) {
        if (strcmp(table->rows[i].name, row.name) == 0)
            at = i;
        else if (govern_the_same(&table->rows[i], &row))
            return kt_fail(err, KT_INVALID, "quota rule with similar properties exists under the name \"%s\"",
                           table->rows[i].name);
    }
    if (at == QUOTAS_MAX)
        return kt_fail(err, KT_INVALID, "there are %u quotas already: delete one first", QUOTAS_MAX);
    table->rows[at] = row;
    table->n += at == table->n;
    return KT_OK;
}

enum kt_kind sys_quota_write(struct request *req, struct kt_err *err)
{
    return change(req, change_quota, err);
}

static enum kt_kind remove_quota(struct request *req, struct quota_table *table, struct kt_err *err)
{
    (void)err;
    drop_fallen(req, table);
    const struct quota *row = find(req, table, request_param(req, "name"));
    if (row == NULL)
        return KT_OK;
    size_t at = (size_t)(row - table->rows);
    table->rows[at] = table->rows[--table->n];
    return KT_OK;
}

enum kt_kind sys_quota_delete(struct request *req, struct kt_err *err)
{
    struct quota_table *table = NULL;
    enum kt_kind kind = quotas_load(req, &table, err);
    bool there = kind == KT_OK && find(req, table, request_param(req, "name")) != NULL;
    quota_table_free(table);
    return there ? change(req, remove_quota, err) : kind;
}
