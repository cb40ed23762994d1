#include "vaultd/core/key_set.h"

#include "vaultd/barrier/format.h"

#define FORMAT     1u
#define RECORD_MAX 64u

static void record_key(struct core *core, unsigned char key[BARRIER_NAME_KEY])
{
    static const unsigned char no_scope[BARRIER_SCOPE];
    barrier_name_key(core->barrier, TABLE_CONFIG, no_scope, kt_str("key-set"), key);
}

enum kt_kind key_set_put(struct core *core, struct batch *batch, const char *id, int64_t now_ms, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, RECORD_MAX);
    kt_buf_add_u8(&plain, FORMAT);
    kt_buf_add_field(&plain, kt_str(id));
    kt_buf_add_i64(&plain, now_ms);
    if (!kt_buf_ok(&plain))
        return kt_fail(err, KT_NO_MEMORY, "noting when the key shares were made");
    record_key(core, key);
    return barrier_put(core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&plain), err);
}

enum kt_kind key_set_made(struct request *req, const char *id, int64_t *ret_ms, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct kt_bytes plain = {0};
    generation changed = 0;
    *ret_ms = 0;
    record_key(req->core, key);
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &plain, &changed, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    struct kt_reader r = kt_reader(plain);
    unsigned format = kt_read_u8(&r);
    if (format != FORMAT)
        return format_refuse("the time of the key shares", format, FORMAT, err);
    struct kt_bytes of = kt_read_field(&r);
    int64_t made_ms = kt_read_i64(&r);
    if (!kt_reader_done(&r)) {
        (void)kt_fail(err, KT_CORRUPT, "the record of when the key shares were made is damaged");
        kt_hint(err, "new key shares write it anew: secretctl operator rekey -init");
        return KT_CORRUPT;
    }
    if (kt_bytes_is(of, id))
        *ret_ms = made_ms;
    return KT_OK;
}
