#include "vaultd/auth/wrapped_record.h"

#include "lib/random.h"
#include "vaultd/barrier/format.h"

#define FORMAT 1u
#define PAD    64u
#define NONCE  KT_AEAD_NONCE
#define TAG    KT_AEAD_TAG

static enum kt_kind damaged(struct kt_err *err)
{
    return kt_fail(err, KT_CORRUPT, "a wrapped answer is damaged");
}

static void write_plain(const struct wrapped *wrapped, struct kt_buf *out)
{
    kt_buf_add_u32(out, 0); /* its length, when that is known */
    kt_buf_add_i64(out, wrapped->created_ms);
    kt_buf_add_i64(out, wrapped->ttl_s);
    kt_buf_add_u16(out, (uint16_t)wrapped->status);
    kt_buf_add_field(out, wrapped->creation_path);
    kt_buf_add_field(out, wrapped->accessor);
    kt_buf_add_field(out, wrapped->content_type);
    kt_buf_add_field(out, wrapped->body);
    size_t len = out->len, padding = (PAD - len % PAD) % PAD;
    unsigned char *zeroes = kt_buf_grow(out, padding);
    if (zeroes == NULL)
        return;
    memset(zeroes, 0, padding);
    kt_put_u32(out->at, (uint32_t)(len - 4));
}

enum kt_kind wrapped_record_seal(const unsigned char key[KT_AEAD_KEY], struct kt_bytes store_key,
                                 const struct wrapped *wrapped, struct kt_buf *out,
                                 struct kt_err *err)
{
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, SIZE_MAX / 4);
    write_plain(wrapped, &plain);
    unsigned char *at = kt_buf_ok(&plain) ? kt_buf_grow(out, 1 + NONCE + plain.len + TAG) : NULL;
    if (at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "wrapping an answer");
    at[0] = FORMAT;
    kt_random_id(at + 1, NONCE);
    kt_aead_seal(key, at + 1, store_key, kt_buf_bytes(&plain), at + 1 + NONCE);
    return KT_OK;
}

static bool read_plain(struct kt_bytes plain, struct wrapped *ret)
{
    struct kt_reader outer = kt_reader(plain);
    size_t len = kt_read_u32(&outer);
    struct kt_reader r = kt_reader(kt_read_bytes(&outer, len));
    ret->created_ms = kt_read_i64(&r);
    ret->ttl_s = kt_read_i64(&r);
    ret->status = kt_read_u16(&r);
    ret->creation_path = kt_read_field(&r);
    ret->accessor = kt_read_field(&r);
    ret->content_type = kt_read_field(&r);
    ret->body = kt_read_field(&r);
    return !outer.failed && outer.left < PAD && kt_reader_done(&r);
}

typedef enum kt_kind open_fn(const unsigned char key[KT_AEAD_KEY], struct kt_bytes store_key,
                             struct kt_bytes sealed, struct kt_buf *plain, struct wrapped *ret,
                             struct kt_err *err);

static enum kt_kind open_format_1(const unsigned char key[KT_AEAD_KEY], struct kt_bytes store_key,
                                  struct kt_bytes sealed, struct kt_buf *plain, struct wrapped *ret,
                                  struct kt_err *err)
{
    if (sealed.len < 1 + NONCE + PAD + TAG)
        return damaged(err);
    size_t len = sealed.len - 1 - NONCE - TAG;
    unsigned char *at = kt_buf_grow(plain, len);
    if (at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "unwrapping an answer");
    if (!kt_aead_open(key, sealed.at + 1, store_key, kt_bytes(sealed.at + 1 + NONCE, len + TAG), at)) {
        memset(at, 0, len);
        return kt_fail(err, KT_CORRUPT, "a wrapped answer does not open where it stands");
    }
    return read_plain(kt_bytes(at, len), ret) ? KT_OK : damaged(err);
}

static open_fn *const readers[] = {[FORMAT] = open_format_1};

enum kt_kind wrapped_record_open(const unsigned char key[KT_AEAD_KEY], struct kt_bytes store_key,
                                 struct kt_bytes sealed, struct kt_buf *plain, struct wrapped *ret,
                                 struct kt_err *err)
{
    unsigned format = sealed.len > 0 ? sealed.at[0] : 0;
    open_fn *reader = FORMAT_ROW(readers, format);
    if (reader == NULL)
        return format_refuse("a wrapped answer", format, FORMAT, err);
    return reader(key, store_key, sealed, plain, ret, err);
}
