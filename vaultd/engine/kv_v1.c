/* KV version 1: one value a path, written and read as it was sent. What the two versions store is the same
 * (kv.h), so listing, existence and removal are version 2's. */
#include "lib/duration.h"
#include "lib/num.h"
#include "vaultd/engine/kv_handlers.h"
#include "vaultd/engine/kv_record.h"
#include "vaultd/engine/kv_routes.h"

/* Seconds as Vault reads them: a whole number, or a text such as "90" and "1h". */
static bool parse_seconds(struct kt_arena *arena, struct kt_json value, int64_t *ret)
{
    uint64_t ms = 0;
    int64_t number = 0;
    if (kt_json_i64(value, &number) && number >= 0) {
        *ret = number;
        return true;
    }
    const char *text = kt_json_type(value) == KT_JSON_STRING ? kt_json_text(value, arena) : NULL;
    if (text != NULL && text[0] == '\0') {
        *ret = 0;
        return true;
    }
    if (text == NULL || kt_duration_parse(kt_str(text), &ms, NULL) != KT_OK)
        return false;
    *ret = (int64_t)(ms / 1000);
    return true;
}

/* When readers should look again: what the secret itself says under "ttl", or its old name "lease". */
static int64_t lease_duration_s(struct request *req, struct kt_json data)
{
    static const char *const names[] = {"ttl", "lease"};
    int64_t seconds = mount_lease_ttl(req->mount).default_s;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct kt_json value;
        if (!kt_json_member(data, names[i], &value))
            continue;
        (void)parse_seconds(&req->arena, value, &seconds);
        break;
    }
    return seconds;
}

static enum kt_kind read_v1(struct request *req, struct kt_err *err)
{
    struct kv_secret *secret = NULL;
    enum kt_kind kind = kv_load_named(req, &secret, err);
    const struct kv_version *version = kind == KT_OK ? kv_version(secret, secret->current) : NULL;
    if (kind == KT_NOT_FOUND || (kind == KT_OK && version == NULL))
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    if (kind == KT_OK)
        kind = kv_value(req->core, req->mount, req->snapshot, request_param(req, "path"), version,
                        &req->reply.data, err);
    if (kind != KT_OK)
        return kind;
    req->reply.lease_duration_s =
        lease_duration_s(req, kt_json_value(kt_buf_bytes(&req->reply.data)));
    return KT_OK;
}

static enum kt_kind write_v1(struct request *req, struct kt_err *err)
{
    const char *path = request_param(req, "path");
    if (path[0] == '\0')
        return kt_fail(err, KT_INVALID, "missing path");
    if (!req->has_data)
        return kt_fail(err, KT_INVALID, "missing data fields");
    struct kv_secret *secret = NULL;
    enum kt_kind kind = kv_load_named(req, &secret, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, (size_t)2 * 1024 * 1024);
    if (batch == NULL || !kt_json_compact(req->data, &text))
        return kt_fail(err, KT_NO_MEMORY, "writing a secret");
    return kv_replace(req->core, req->mount, req->snapshot, batch, path, secret, kt_buf_bytes(&text),
                      req->now_ms, err);
}

static const struct route routes[] = {
    {.pattern = "{path...?}",
     .flags = ROUTE_ANY_FIELDS,
     .read = read_v1,
     .list = kv_list,
     .write = write_v1,
     .delete_ = kv_metadata_delete,
     .exists = kv_exists,
     .body_max = 2 * 1024 * 1024,
     .help = "Reads, writes, deletes and lists secrets, each with one value."},
};

const struct engine kv_v1_engine = {
    .type = "kv",
    .version = "1",
    .unversioned = true,
    .help = "Key-value secrets without versions.",
    .routes = routes,
    .n_routes = sizeof routes / sizeof routes[0],
};
