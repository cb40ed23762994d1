#include "vaultd/engine/kv_copy.h"
#include "vaultd/engine/kv_routes.h"

/* "secret/data/db/orders"; NULL: no memory. */
static const char *row_path(struct request *req, const struct kv_place *place, struct kt_bytes row)
{
    return kt_arena_printf(&req->arena, "%s%.*s%s", place->mount->path, (int)row.len,
                           (const char *)row.at, place->path);
}

static enum kt_kind need(struct request *req, enum operation op, const struct kv_place *place,
                         const char *row, struct kt_err *err)
{
    const char *path = row_path(req, place, kt_str(row));
    return path == NULL ? kt_fail(err, KT_NO_MEMORY, "asking the policies")
                        : request_also(req, op, path, err);
}

/* Whoever may not read the value needs to be told in so many words that he may have it copied. */
static enum kt_kind check_value(struct request *req, const struct kv_place *from, struct kt_err *err)
{
    const char *data = row_path(req, from, kt_str("data/"));
    if (data == NULL)
        return kt_fail(err, KT_NO_MEMORY, "asking the policies");
    if (req->sudo && !request_right(req, OP_READ, data).denied)
        return KT_OK;
    return request_also(req, OP_READ, data, err);
}

/* What can be done with a row there must be possible here. Who reads all of a secret's value needs no row
 * that tells parts of it. */
static enum kt_kind check_row(struct request *req, enum operation op, const struct kv_place *from,
                              const struct kv_place *to, struct kt_bytes row, struct kt_err *err)
{
    const char *here = row_path(req, from, row), *there = row_path(req, to, row);
    const char *data = row_path(req, from, kt_str("data/"));
    if (here == NULL || there == NULL || data == NULL)
        return kt_fail(err, KT_NO_MEMORY, "asking the policies");
    bool reads_all = op == OP_READ && request_right(req, OP_READ, data).granted;
    if (reads_all || !request_right(req, op, there).partly)
        return KT_OK;
    return request_also(req, op, here, err);
}

/* All rows that tell something of one secret, so that a new one cannot be forgotten. */
static enum kt_kind check_readers(struct request *req, const struct kv_place *from,
                                  const struct kv_place *to, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; kind == KT_OK && i < kv_v2_engine.n_routes; i++) {
        const struct route *route = &kv_v2_engine.routes[i];
        const char *parameter = strchr(route->pattern, '{');
        if (route->read == NULL || parameter == NULL)
            continue;
        struct kt_bytes row = kt_bytes(route->pattern, (size_t)(parameter - route->pattern));
        kind = check_row(req, OP_READ, from, to, row, err);
    }
    return kind;
}

enum kt_kind kv_copy_permit(struct request *req, const struct kv_place *from,
                            const struct kv_place *to, bool moves, struct kt_err *err)
{
    enum kt_kind kind = need(req, OP_READ, from, "metadata/", err);
    if (kind == KT_OK)
        kind = check_value(req, from, err);
    if (kind == KT_OK && moves)
        kind = need(req, OP_DELETE, from, "metadata/", err);
    if (kind == KT_OK)
        kind = need(req, OP_CREATE, to, "data/", err);
    if (kind == KT_OK)
        kind = need(req, OP_CREATE, to, "metadata/", err);
    return kind == KT_OK ? check_readers(req, from, to, err) : kind;
}

enum kt_kind kv_copy_permit_deleted(struct request *req, const struct kv_place *from,
                                    const struct kv_place *to, struct kt_err *err)
{
    return check_row(req, OP_UPDATE, from, to, kt_str("undelete/"), err);
}
