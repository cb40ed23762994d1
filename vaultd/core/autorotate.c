#include "vaultd/core/autorotate.h"

#include "vaultd/barrier/format.h"

#define FORMAT         1u
#define RECORD_MAX     64u
#define OPERATIONS_MIN INT64_C(1000000)
#define OPERATIONS_MAX INT64_C(3865470566)
#define INTERVAL_MIN_S INT64_C(86400)
#define INTERVAL_MAX_S (INT64_MAX / 1000)

static void record_key(struct core *core, unsigned char key[BARRIER_NAME_KEY])
{
    static const unsigned char no_scope[BARRIER_SCOPE];
    barrier_name_key(core->barrier, TABLE_CONFIG, no_scope, kt_str("rotate-config"), key);
}

static enum kt_kind read_record(struct kt_bytes plain, struct autorotate *ret, struct kt_err *err)
{
    struct kt_reader r = kt_reader(plain);
    unsigned format = kt_read_u8(&r);
    if (format != FORMAT)
        return format_refuse("the settings of the keyring's rotation", format, FORMAT, err);
    struct autorotate settings = {.enabled = kt_read_u8(&r) != 0};
    settings.max_operations = kt_read_i64(&r);
    settings.interval_s = kt_read_i64(&r);
    if (!kt_reader_done(&r))
        return kt_fail(err, KT_CORRUPT, "the settings of the keyring's rotation are damaged");
    *ret = settings;
    return KT_OK;
}

enum kt_kind autorotate_load(struct request *req, struct autorotate *ret, generation *ret_changed,
                             struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct kt_bytes plain = {0};
    *ret_changed = 0;
    record_key(req->core, key);
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &plain, ret_changed, err);
    if (kind == KT_NOT_FOUND) {
        *ret = (struct autorotate){.max_operations = OPERATIONS_MAX, .enabled = true};
        return KT_OK;
    }
    return kind == KT_OK ? read_record(plain, ret, err) : kind;
}

static enum kt_kind check(const struct autorotate *settings, struct kt_err *err)
{
    if (settings->interval_s != 0 &&
        (settings->interval_s < INTERVAL_MIN_S || settings->interval_s > INTERVAL_MAX_S))
        return kt_fail(err, KT_INVALID, "interval must be greater or equal to 24h0m0s");
    if (settings->max_operations < OPERATIONS_MIN || settings->max_operations > OPERATIONS_MAX)
        return kt_fail(err, KT_INVALID, "max_operations must be in the range [%jd,%jd]",
                       (intmax_t)OPERATIONS_MIN, (intmax_t)OPERATIONS_MAX);
    return KT_OK;
}

enum kt_kind autorotate_save(struct request *req, const struct autorotate *settings,
                             generation changed, struct kt_err *err)
{
    enum kt_kind kind = check(settings, err);
    if (kind != KT_OK)
        return kind;
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, RECORD_MAX);
    kt_buf_add_u8(&plain, FORMAT);
    kt_buf_add_u8(&plain, settings->enabled);
    kt_buf_add_i64(&plain, settings->max_operations);
    kt_buf_add_i64(&plain, settings->interval_s);
    if (batch == NULL || !kt_buf_ok(&plain))
        return kt_fail(err, KT_NO_MEMORY, "keeping the settings of the keyring's rotation");
    unsigned char key[BARRIER_NAME_KEY];
    record_key(req->core, key);
    batch_require(batch, changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT, kt_bytes(key, sizeof key), changed);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&plain), err);
}

/* ---- the housekeeper's look ---- */

static bool is_time(const struct autorotate *settings, const struct barrier_status *keys,
                    int64_t now_ms)
{
    if (!settings->enabled)
        return false;
    int64_t age_ms = now_ms - keys->term_installed_ms;
    return keys->encryptions >= (uint64_t)settings->max_operations ||
           (settings->interval_s != 0 && age_ms >= settings->interval_s * 1000);
}

static void rotated(struct request *req, const struct commit_result *result)
{
    barrier_rotate_done(req->core->barrier, req->staged, result->error == STORE_OK);
    *(bool *)req->handler_data = result->error == STORE_OK;
}

static enum kt_kind look(struct request *req, struct kt_err *err)
{
    struct autorotate settings;
    struct barrier_status keys;
    generation changed = 0;
    enum kt_kind kind = autorotate_load(req, &settings, &changed, err);
    if (kind != KT_OK)
        return kind;
    barrier_status(req->core->barrier, &keys);
    if (!is_time(&settings, &keys, req->now_ms))
        return KT_OK;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "rotating the keyring");
    kind = barrier_rotate(req->core->barrier, req->now_ms, batch, &req->staged, err);
    if (kind == KT_OK)
        req->after_commit = rotated;
    return kind;
}

enum kt_kind autorotate_run(struct core *core, bool *ret_rotated, struct kt_err *err)
{
    *ret_rotated = false;
    return request_internal(core, "sys/rotate", look, ret_rotated, err);
}
