#include "lib/ssh_krl.h"

#include "lib/ssh_wire.h"

#define MAGIC        UINT64_C(0x5353484b524c0a00) /* "SSHKRL\n" and a NUL */
#define FORMAT       1u
#define CERTIFICATES 1u    /* a section: of one authority */
#define SERIALS      0x20u /* in it: one number after the other */
#define KRL_MAX      ((size_t)1024 * 1024)

/* ---- writing ---- */

static void put_part(const struct kt_ssh_krl_part *part, struct kt_buf *inner, struct kt_buf *out)
{
    kt_autobuf struct kt_buf blob;
    kt_buf_init(&blob, KT_SSH_TEXT_MAX);
    kt_ssh_public_blob(kt_bytes(part->authority, sizeof part->authority), &blob);
    kt_buf_reset(inner);
    kt_ssh_put(inner, kt_buf_bytes(&blob));
    kt_ssh_put_text(inner, ""); /* reserved */
    if (part->n > 0) {
        kt_buf_add_u8(inner, SERIALS);
        kt_ssh_put_u32(inner, (uint32_t)part->n * 8);
    }
    for (size_t i = 0; i < part->n; i++)
        kt_ssh_put_u64(inner, part->serials[i]);
    if (!kt_buf_ok(&blob) || !kt_buf_ok(inner))
        out->failed = true;
    kt_buf_add_u8(out, CERTIFICATES);
    kt_ssh_put(out, kt_buf_bytes(inner));
}

enum kt_kind kt_ssh_krl_write(const struct kt_ssh_krl *krl, struct kt_buf *out, struct kt_err *err)
{
    kt_autobuf struct kt_buf all, inner;
    kt_buf_init(&all, KRL_MAX);
    kt_buf_init(&inner, KRL_MAX);
    kt_ssh_put_u64(&all, MAGIC);
    kt_ssh_put_u32(&all, FORMAT);
    kt_ssh_put_u64(&all, krl->version);
    kt_ssh_put_u64(&all, (uint64_t)krl->made_s);
    kt_ssh_put_u64(&all, 0);    /* flags */
    kt_ssh_put_text(&all, "");  /* reserved */
    kt_ssh_put_text(&all, "");  /* a comment */
    for (size_t i = 0; i < krl->n; i++)
        put_part(&krl->parts[i], &inner, &all);
    if (!kt_buf_ok(&all))
        return kt_fail(err, KT_NO_MEMORY, "writing a list of revoked SSH certificates");
    enum kt_kind kind = kt_ssh_krl_check(kt_buf_bytes(&all), krl, err);
    if (kind != KT_OK)
        return kind;
    kt_buf_add_bytes(out, kt_buf_bytes(&all));
    return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "writing a list of revoked SSH certificates");
}

/* ---- its own test ---- */

static bool is_authority(struct kt_bytes blob, const unsigned char authority[KT_SSH_PUBLIC])
{
    struct kt_reader r = kt_reader(blob);
    bool right = kt_bytes_is(kt_ssh_get(&r), KT_SSH_ED25519);
    right = kt_bytes_equal(kt_ssh_get(&r), kt_bytes(authority, KT_SSH_PUBLIC)) && right;
    return right && kt_reader_done(&r);
}

static bool are_serials(struct kt_bytes bytes, const struct kt_ssh_krl_part *part)
{
    struct kt_reader r = kt_reader(bytes);
    bool right = bytes.len == part->n * 8;
    for (size_t i = 0; right && i < part->n; i++)
        right = kt_ssh_get_u64(&r) == part->serials[i];
    return right && kt_reader_done(&r);
}

static bool is_part(struct kt_bytes section, const struct kt_ssh_krl_part *part)
{
    struct kt_reader r = kt_reader(section);
    bool right = is_authority(kt_ssh_get(&r), part->authority);
    right = kt_ssh_get(&r).len == 0 && right;
    if (part->n > 0) {
        right = kt_read_u8(&r) == SERIALS && right;
        right = are_serials(kt_ssh_get(&r), part) && right;
    }
    return right && kt_reader_done(&r);
}

enum kt_kind kt_ssh_krl_check(struct kt_bytes bytes, const struct kt_ssh_krl *krl, struct kt_err *err)
{
    struct kt_reader r = kt_reader(bytes);
    bool right = kt_ssh_get_u64(&r) == MAGIC;
    right = kt_ssh_get_u32(&r) == FORMAT && right;
    right = kt_ssh_get_u64(&r) == krl->version && right;
    right = kt_ssh_get_u64(&r) == (uint64_t)krl->made_s && right;
    right = kt_ssh_get_u64(&r) == 0 && right;
    right = kt_ssh_get(&r).len == 0 && right;
    right = kt_ssh_get(&r).len == 0 && right;
    for (size_t i = 0; right && i < krl->n; i++)
        right = kt_read_u8(&r) == CERTIFICATES && is_part(kt_ssh_get(&r), &krl->parts[i]);
    if (right && kt_reader_done(&r))
        return KT_OK;
    return kt_fail(err, KT_INVALID, "the list of revoked SSH certificates that was made does not pass its own test");
}
