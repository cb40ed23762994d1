#include "vaultd/engine/kv_record.h"

#include <sodium.h>

#include "lib/aead.h"
#include "lib/random.h"
#include "vaultd/barrier/format.h"

#define FORMAT       1u
#define META_FORMAT  3u
#define PAD          64u
#define NONCE        KT_AEAD_NONCE
#define TAG          KT_AEAD_TAG

enum meta_flag { META_DRIVER = 1, META_CAS = 2 };
enum version_flag { VERSION_DESTROYED = 1, VERSION_ACCEPTED = 2, VERSION_ISSUED = 4, VERSION_DELETED = 8 };

void kv_key(struct core *core, const struct mount *mount, const char *path, uint32_t suffix,
            unsigned char key[KV_KEY])
{
    barrier_name_key(core->barrier, TABLE_KV, mount->scope, kt_str(path), key);
    kt_put_be32(key + BARRIER_NAME_KEY, suffix);
}

/* ---- metadata ---- */

/* The newest one only for a secret that has what it adds: an older vaultd serves all others (docs/upgrade.md). */
static unsigned format_for(const struct kv_secret *secret)
{
    for (size_t i = 0; i < secret->n_versions; i++)
        if (secret->versions[i].needed_until_ms != 0)
            return META_FORMAT;
    return META_FORMAT - 1;
}

void kv_meta_write(const struct kv_secret *secret, struct kt_buf *out)
{
    unsigned format = format_for(secret);
    kt_buf_add_u8(out, (uint8_t)format);
    kt_buf_add_u32(out, secret->newest);
    kt_buf_add_u32(out, secret->current);
    kt_buf_add_u32(out, secret->pending);
    kt_buf_add_u32(out, secret->previous);
    kt_buf_add_u8(out, (uint8_t)((secret->has_driver ? META_DRIVER : 0) |
                                 (secret->cas_required ? META_CAS : 0)));
    kt_buf_add_i64(out, secret->created_ms);
    kt_buf_add_i64(out, secret->updated_ms);
    kt_buf_add_u32(out, secret->max_versions);
    kt_buf_add_i64(out, secret->delete_version_after_s);
    kt_buf_add_u32(out, secret->oldest);
    kt_buf_add_field(out, secret->custom_metadata);
    kt_buf_add_u32(out, (uint32_t)secret->n_versions);
    for (size_t i = 0; i < secret->n_versions; i++) {
        const struct kv_version *v = &secret->versions[i];
        kt_buf_add_u32(out, v->number);
        kt_buf_add_u32(out, v->slot);
        kt_buf_add_i64(out, v->created_ms);
        kt_buf_add_i64(out, v->deletion_ms);
        kt_buf_add_u8(out, (uint8_t)((v->destroyed ? VERSION_DESTROYED : 0) |
                                     (v->accepted_maybe ? VERSION_ACCEPTED : 0) |
                                     (v->issued ? VERSION_ISSUED : 0) | (v->deleted ? VERSION_DELETED : 0)));
        kt_buf_add_i64(out, v->dead_proven_ms);
        kt_buf_add(out, v->dek, sizeof v->dek);
        if (format > 2)
            kt_buf_add_i64(out, v->needed_until_ms);
    }
}

static void read_version(struct kt_reader *r, unsigned format, struct kv_version *v)
{
    v->number = kt_read_u32(r);
    if (format != 1)
        v->slot = kt_read_u32(r);
    v->created_ms = kt_read_i64(r);
    v->deletion_ms = kt_read_i64(r);
    uint8_t flags = kt_read_u8(r);
    v->destroyed = (flags & VERSION_DESTROYED) != 0;
    v->accepted_maybe = (flags & VERSION_ACCEPTED) != 0;
    v->issued = (flags & VERSION_ISSUED) != 0;
    v->deleted = (flags & VERSION_DELETED) != 0; /* of before there was this flag: by its time */
    if (format == 1)
        v->slot = v->destroyed ? 0 : v->number;
    v->dead_proven_ms = kt_read_i64(r);
    struct kt_bytes dek = kt_read_bytes(r, sizeof v->dek);
    if (dek.at != NULL)
        memcpy(v->dek, dek.at, dek.len);
    if (format > 2)
        v->needed_until_ms = kt_read_i64(r);
}

static enum kt_kind read_meta(struct kt_reader r, unsigned format, struct kt_arena *arena,
                              struct kv_secret *ret, struct kt_err *err)
{
    struct kv_secret secret = {0};
    secret.newest = kt_read_u32(&r);
    secret.current = kt_read_u32(&r);
    secret.pending = kt_read_u32(&r);
    secret.previous = kt_read_u32(&r);
    uint8_t flags = kt_read_u8(&r);
    secret.has_driver = (flags & META_DRIVER) != 0;
    secret.cas_required = (flags & META_CAS) != 0;
    secret.created_ms = kt_read_i64(&r);
    secret.updated_ms = kt_read_i64(&r);
    secret.max_versions = kt_read_u32(&r);
    secret.delete_version_after_s = kt_read_i64(&r);
    secret.oldest = kt_read_u32(&r);
    struct kt_bytes custom = kt_read_field(&r);
    const char *copy = kt_arena_text(arena, custom);
    secret.custom_metadata = kt_bytes(copy, copy == NULL ? 0 : custom.len);
    size_t n = kt_read_u32(&r);
    if (r.failed || n > KV_VERSIONS_MAX)
        return kt_fail(err, KT_CORRUPT, "a secret's metadata is damaged");
    /* One more: a writer adds its version to the array. */
    secret.versions = kt_arena_take(arena, (n + 1) * sizeof *secret.versions);
    if (secret.versions == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a secret");
    secret.n_versions = n;
    for (size_t i = 0; i < n; i++)
        read_version(&r, format, &secret.versions[i]);
    if (!kt_reader_done(&r))
        return kt_fail(err, KT_CORRUPT, "a secret's metadata is damaged");
    *ret = secret;
    return KT_OK;
}

typedef enum kt_kind read_meta_fn(struct kt_reader r, unsigned format, struct kt_arena *arena,
                                  struct kv_secret *ret, struct kt_err *err);
static read_meta_fn *const meta_readers[] = {[1] = read_meta, [2] = read_meta, [META_FORMAT] = read_meta};

enum kt_kind kv_meta_read(struct kt_bytes record, struct kt_arena *arena, struct kv_secret *ret,
                          struct kt_err *err)
{
    struct kt_reader r = kt_reader(record);
    unsigned format = kt_read_u8(&r);
    read_meta_fn *read = FORMAT_ROW(meta_readers, format);
    if (read == NULL)
        return format_refuse("a secret's metadata", format, META_FORMAT, err);
    return read(r, format, arena, ret, err);
}

/* ---- a version's value ---- */

enum kt_kind kv_value_seal(const unsigned char dek[32], struct kt_bytes key, struct kt_bytes data,
                           struct kt_buf *out, struct kt_err *err)
{
    size_t padded = (4 + data.len + PAD - 1) / PAD * PAD;
    unsigned char *at = kt_buf_grow(out, 1 + NONCE + padded + TAG);
    if (at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "sealing a secret");
    at[0] = FORMAT;
    kt_random_id(at + 1, NONCE);
    unsigned char *plain = at + 1 + NONCE;
    memset(plain, 0, padded);
    kt_put_u32(plain, (uint32_t)data.len);
    if (data.len > 0)
        memcpy(plain + 4, data.at, data.len);
    kt_aead_seal(dek, at + 1, key, kt_bytes(plain, padded), plain);
    return KT_OK;
}

static enum kt_kind open_value_1(const unsigned char dek[32], struct kt_bytes key,
                                 struct kt_bytes sealed, struct kt_buf *out, struct kt_err *err)
{
    if (sealed.len < 1 + NONCE + PAD + TAG)
        return kt_fail(err, KT_CORRUPT, "a secret's version is damaged");
    size_t padded = sealed.len - 1 - NONCE - TAG, before = out->len;
    if (padded > out->max - before) {
        /* The padding may not fit where the data does. */
        kt_autobuf struct kt_buf aside;
        kt_buf_init(&aside, padded);
        enum kt_kind kind = open_value_1(dek, key, sealed, &aside, err);
        if (kind != KT_OK)
            return kind;
        kt_buf_add_bytes(out, kt_buf_bytes(&aside));
        return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "opening a secret");
    }
    unsigned char *at = kt_buf_grow(out, padded);
    if (at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "opening a secret");
    out->len = before;
    if (!kt_aead_open(dek, sealed.at + 1, key, kt_bytes(sealed.at + 1 + NONCE, padded + TAG), at))
        return kt_fail(err, KT_CORRUPT, "a secret's version does not open where it stands");
    size_t len = kt_get_u32(at);
    bool fits = len <= padded - 4;
    /* The length in front and the padding go. */
    if (fits)
        memmove(at, at + 4, len);
    sodium_memzero(at + (fits ? len : 0), padded - (fits ? len : 0));
    out->len = before + (fits ? len : 0);
    return fits ? KT_OK : kt_fail(err, KT_CORRUPT, "a secret's version is damaged");
}

typedef enum kt_kind open_value_fn(const unsigned char dek[32], struct kt_bytes key,
                                   struct kt_bytes sealed, struct kt_buf *out, struct kt_err *err);
static open_value_fn *const value_openers[] = {[FORMAT] = open_value_1};

enum kt_kind kv_value_open(const unsigned char dek[32], struct kt_bytes key,
                           struct kt_bytes sealed, struct kt_buf *out, struct kt_err *err)
{
    unsigned format = sealed.len == 0 ? 0 : sealed.at[0];
    open_value_fn *open_value = FORMAT_ROW(value_openers, format);
    if (open_value == NULL)
        return format_refuse("a secret's version", format, FORMAT, err);
    return open_value(dek, key, sealed, out, err);
}

/* ---- the mount's settings ---- */

static void settings_key(struct core *core, const struct mount *mount,
                         unsigned char key[BARRIER_NAME_KEY])
{
    barrier_name_key(core->barrier, TABLE_CONFIG, mount->scope, kt_str("kv"), key);
}

static void read_settings_1(struct kt_reader *r, void *ret)
{
    struct kv_settings *settings = ret;
    settings->max_versions = kt_read_u32(r);
    settings->cas_required = kt_read_u8(r) != 0;
    settings->delete_version_after_s = kt_read_i64(r);
}

static format_reader *const settings_readers[] = {[FORMAT] = read_settings_1};

enum kt_kind kv_settings_load(struct core *core, const struct mount *mount,
                              struct snapshot *snapshot, struct kv_settings *ret,
                              generation *ret_changed, struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    settings_key(core, mount, key);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, 256);
    enum kt_kind kind =
        barrier_get(core->barrier, snapshot, kt_bytes(key, sizeof key), &record, ret_changed, err);
    if (kind == KT_NOT_FOUND) {
        *ret = (struct kv_settings){0};
        if (ret_changed != NULL)
            *ret_changed = 0;
        return KT_OK;
    }
    if (kind != KT_OK)
        return kind;
    struct kv_settings settings = {0};
    kind = FORMAT_READ("the record of a mount's settings", kt_buf_bytes(&record), settings_readers,
                       &settings, err);
    if (kind == KT_OK)
        *ret = settings;
    return kind;
}

enum kt_kind kv_settings_put(struct core *core, const struct mount *mount, struct batch *batch,
                             const struct kv_settings *settings, generation changed,
                             struct kt_err *err)
{
    unsigned char key[BARRIER_NAME_KEY];
    settings_key(core, mount, key);
    batch_require(batch, changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT, kt_bytes(key, sizeof key),
                  changed);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, 256);
    kt_buf_add_u8(&record, FORMAT);
    kt_buf_add_u32(&record, settings->max_versions);
    kt_buf_add_u8(&record, settings->cas_required);
    kt_buf_add_i64(&record, settings->delete_version_after_s);
    if (!kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing a mount's settings");
    return barrier_put(core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record), err);
}

void kv_settings_delete(struct core *core, const struct mount *mount, struct batch *batch)
{
    unsigned char key[BARRIER_NAME_KEY];
    settings_key(core, mount, key);
    batch_delete(batch, kt_bytes(key, sizeof key));
}
