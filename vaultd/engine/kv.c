#include "vaultd/engine/kv.h"

#include <sodium.h>

#include "lib/cleanup.h"
#include "lib/random.h"
#include "vaultd/engine/kv_clear.h"
#include "vaultd/engine/kv_record.h"

#define META_MAX         ((size_t)768 * 1024)
#define META_USUAL       1024u /* a dozen versions */
#define VERSIONS_DEFAULT 10u
#define PRUNE_MAX        60u /* a batch has room for 100 operations */

enum kt_kind kv_load(struct core *core, const struct mount *mount, struct snapshot *snapshot,
                     struct kt_arena *arena, const char *path, struct kv_secret **ret,
                     struct kt_err *err)
{
    struct kv_secret *secret = kt_arena_take(arena, sizeof *secret);
    if (secret == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a secret");
    unsigned char key[KV_KEY];
    kv_key(core, mount, path, 0, key);
    KT_UNINIT unsigned char usual[META_USUAL];
    kt_autobuf struct kt_buf record;
    kt_buf_init_in(&record, META_MAX, usual, sizeof usual);
    generation changed = 0;
    enum kt_kind kind =
        barrier_get(core->barrier, snapshot, kt_bytes(key, sizeof key), &record, &changed, err);
    if (kind == KT_OK)
        kind = kv_meta_read(kt_buf_bytes(&record), arena, secret, err);
    if (kind == KT_NOT_FOUND) {
        secret->versions = kt_arena_take(arena, sizeof *secret->versions);
        if (secret->versions == NULL)
            return kt_fail(err, KT_NO_MEMORY, "reading a secret");
    } else if (kind != KT_OK) {
        return kind;
    }
    secret->changed = changed;
    *ret = secret;
    return kind;
}

const struct kv_version *kv_version(const struct kv_secret *secret, uint32_t number)
{
    for (size_t i = secret->n_versions; i > 0; i--)
        if (secret->versions[i - 1].number == number)
            return &secret->versions[i - 1];
    return NULL;
}

static bool plays(const struct kv_secret *secret, const struct kv_version *v)
{
    return v->number == secret->current || v->number == secret->pending || v->number == secret->previous ||
           v->accepted_maybe;
}

bool kv_in_use(const struct kv_secret *secret, const struct kv_version *version)
{
    return secret->has_driver && plays(secret, version);
}

int64_t kv_version_ends(const struct kv_secret *secret, const struct kv_version *version)
{
    if (!version->deleted && kv_in_use(secret, version))
        return 0;
    bool needed = !version->deleted && version->deletion_ms != 0 && version->needed_until_ms > version->deletion_ms;
    return needed ? version->needed_until_ms : version->deletion_ms;
}

bool kv_version_deleted(const struct kv_secret *secret, const struct kv_version *version, int64_t now_ms)
{
    int64_t ends_ms = kv_version_ends(secret, version);
    return version->slot == 0 || version->deleted || (ends_ms != 0 && ends_ms <= now_ms);
}

void kv_retire(struct kv_version *version, int64_t now_ms)
{
    version->accepted_maybe = false;
    if (!version->deleted && version->deletion_ms != 0 && version->deletion_ms < now_ms)
        version->deletion_ms = now_ms;
}

enum kt_kind kv_value(struct core *core, const struct mount *mount, struct snapshot *snapshot,
                      const char *path, const struct kv_version *version, struct kt_buf *out,
                      struct kt_err *err)
{
    if (version == NULL || version->slot == 0)
        return KT_NOT_FOUND;
    unsigned char key[KV_KEY];
    kv_key(core, mount, path, version->slot, key);
    struct entry entry;
    enum store_error found = snapshot_get(snapshot, kt_bytes(key, sizeof key), &entry);
    if (found != STORE_OK)
        return kt_fail(err, found == STORE_NOT_FOUND ? KT_CORRUPT : KT_IO,
                       "version %u of the secret is missing in the store", version->number);
    return kv_value_open(version->dek, kt_bytes(key, sizeof key), entry.value, out, err);
}

void kv_require(struct core *core, const struct mount *mount, struct batch *batch, const char *path,
                const struct kv_secret *secret)
{
    unsigned char key[KV_KEY];
    kv_key(core, mount, path, 0, key);
    batch_require(batch, secret->changed == 0 ? KEY_ABSENT : KEY_CHANGED_AT,
                  kt_bytes(key, sizeof key), secret->changed);
}

enum kt_kind kv_save(struct core *core, const struct mount *mount, struct batch *batch,
                     const char *path, const struct kv_secret *secret, struct kt_err *err)
{
    unsigned char key[KV_KEY];
    if (secret->n_versions > KV_VERSIONS_MAX) {
        (void)kt_fail(err, KT_INVALID, "the secret has %u versions that must be kept, and room for no more",
                      KV_VERSIONS_MAX);
        kt_hint(err, "each is one that its target may still accept (secretctl schedule remove NAME lets all but the "
                     "current one go, and then it can be set up anew), or one that signed certificates that were "
                     "revoked and have not ended (secretctl certificate revoked NAME)");
        return KT_INVALID;
    }
    kv_key(core, mount, path, 0, key);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, META_MAX);
    kv_meta_write(secret, &record);
    if (!kt_buf_ok(&record) && !record.full)
        return kt_fail(err, KT_NO_MEMORY, "writing a secret's metadata");
    if (record.full)
        return kt_fail(err, KT_INVALID, "the secret's metadata would be larger than %zu bytes",
                       META_MAX);
    kv_require(core, mount, batch, path, secret);
    return barrier_put(core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record), err);
}

/* ---- writing a version ---- */

static uint32_t versions_kept(const struct kv_secret *secret, const struct kv_settings *settings)
{
    uint32_t keep = secret->max_versions > settings->max_versions ? secret->max_versions
                                                                  : settings->max_versions;
    return keep == 0 ? VERSIONS_DEFAULT : keep;
}

static bool must_stay(const struct kv_secret *secret, const struct kv_version *v, int64_t now_ms)
{
    return plays(secret, v) || v->needed_until_ms >= now_ms;
}

/* Versions at or below newest - keep vanish, but never one that must stay. Returns the slot of the first,
 * whose record stays to be overwritten; 0: none. */
static uint32_t prune(struct core *core, const struct mount *mount, struct batch *batch, const char *path,
                      struct kv_secret *secret, uint32_t keep, int64_t now_ms)
{
    if (secret->newest - secret->oldest >= keep)
        secret->oldest = secret->newest - keep + 1;
    size_t kept = 0;
    unsigned removed = 0;
    uint32_t slot = 0;
    for (size_t i = 0; i < secret->n_versions; i++) {
        struct kv_version *v = &secret->versions[i];
        bool old = secret->newest >= keep && v->number <= secret->newest - keep;
        if (old && !must_stay(secret, v, now_ms) && removed < PRUNE_MAX) {
            if (slot == 0) {
                slot = v->slot;
            } else if (v->slot != 0) {
                unsigned char key[KV_KEY];
                kv_key(core, mount, path, v->slot, key);
                batch_delete(batch, kt_bytes(key, sizeof key));
            }
            removed++;
            continue;
        }
        if (kept != i)
            secret->versions[kept] = *v;
        kept++;
    }
    for (size_t i = kept; i < secret->n_versions; i++)
        sodium_memzero(&secret->versions[i], sizeof secret->versions[i]);
    secret->n_versions = kept;
    return slot;
}

static uint32_t new_slot(const struct kv_secret *secret)
{
    uint32_t last = 0;
    for (size_t i = 0; i < secret->n_versions; i++)
        if (secret->versions[i].slot > last)
            last = secret->versions[i].slot;
    return last + 1;
}

/* Seals the newest version's data into its slot. */
static enum kt_kind put_value(struct core *core, const struct mount *mount, struct batch *batch,
                              const char *path, const struct kv_version *v, struct kt_bytes data,
                              struct kt_err *err)
{
    unsigned char key[KV_KEY];
    kv_key(core, mount, path, v->slot, key);
    kt_autobuf struct kt_buf sealed;
    kt_buf_init(&sealed, STORE_VALUE_MAX);
    enum kt_kind kind = kv_value_seal(v->dek, kt_bytes(key, sizeof key), data, &sealed, err);
    if (kind == KT_OK)
        batch_put(batch, kt_bytes(key, sizeof key), kt_buf_bytes(&sealed));
    return kind;
}

int64_t kv_deletion_time(const struct kv_secret *secret, const struct kv_settings *settings,
                         int64_t now_ms)
{
    int64_t a = secret->delete_version_after_s, b = settings->delete_version_after_s;
    if (a < 0 || b < 0)
        return 0;
    int64_t after = a == 0 || (b != 0 && b < a) ? b : a;
    return after == 0 ? 0 : now_ms + after * 1000;
}

static enum kt_kind check_size(struct kt_bytes data, struct kt_err *err)
{
    if (data.len <= KV_DATA_MAX)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "the secret is larger than %zu KiB", KV_DATA_MAX / 1024);
    kt_hint(err, "keep the file elsewhere, and the key that opens it here");
    return KT_INVALID;
}

enum kt_kind kv_replace(struct core *core, const struct mount *mount, struct snapshot *snapshot,
                        struct batch *batch, const char *path, struct kv_secret *secret,
                        struct kt_bytes data, int64_t now_ms, struct kt_err *err)
{
    enum kt_kind kind = check_size(data, err);
    if (kind == KT_OK && secret->changed == 0)
        kind = kv_name_add(core, mount, snapshot, batch, path, err);
    if (kind != KT_OK)
        return kind;
    if (secret->changed == 0)
        secret->created_ms = now_ms;
    secret->updated_ms = now_ms;
    secret->newest = secret->current = 1;
    secret->n_versions = 1;
    secret->versions[0] = (struct kv_version){.number = 1, .slot = 1, .created_ms = now_ms};
    kt_random(secret->versions[0].dek, sizeof secret->versions[0].dek);
    kind = put_value(core, mount, batch, path, &secret->versions[0], data, err);
    return kind == KT_OK ? kv_save(core, mount, batch, path, secret, err) : kind;
}

enum kt_kind kv_write(struct core *core, const struct mount *mount, struct snapshot *snapshot,
                      struct batch *batch, const char *path, struct kv_secret *secret,
                      struct kt_bytes data, enum kv_stage stage, int64_t now_ms, struct kt_err *err)
{
    if (secret->newest == UINT32_MAX)
        return kt_fail(err, KT_INVALID, "the secret has no version number left");
    struct kv_settings settings;
    enum kt_kind kind = check_size(data, err);
    if (kind == KT_OK)
        kind = kv_settings_load(core, mount, snapshot, &settings, NULL, err);
    if (kind == KT_OK && secret->changed == 0)
        kind = kv_name_add(core, mount, snapshot, batch, path, err);
    if (kind != KT_OK)
        return kind;
    struct kv_version *v = &secret->versions[secret->n_versions++];
    *v = (struct kv_version){.number = ++secret->newest,
                             .created_ms = now_ms,
                             .deletion_ms = kv_deletion_time(secret, &settings, now_ms),
                             .issued = stage == KV_ISSUED};
    kt_random(v->dek, sizeof v->dek);
    if (stage == KV_PENDING)
        secret->pending = v->number;
    else
        secret->current = v->number;
    if (secret->created_ms == 0)
        secret->created_ms = now_ms;
    secret->updated_ms = now_ms;
    uint32_t slot = prune(core, mount, batch, path, secret, versions_kept(secret, &settings), now_ms);
    v = &secret->versions[secret->n_versions - 1];
    v->slot = slot != 0 ? slot : new_slot(secret);
    kind = put_value(core, mount, batch, path, v, data, err);
    return kind == KT_OK ? kv_save(core, mount, batch, path, secret, err) : kind;
}

enum kt_kind kv_append(struct core *core, const struct mount *mount, struct batch *batch,
                       const char *path, struct kv_secret *secret, const struct kv_version *version,
                       struct kt_bytes data, struct kt_err *err)
{
    enum kt_kind kind = check_size(data, err);
    if (kind != KT_OK)
        return kind;
    struct kv_version *v = &secret->versions[secret->n_versions];
    *v = *version;
    v->slot = data.at == NULL ? 0 : new_slot(secret);
    secret->n_versions++;
    secret->newest = secret->current = v->number;
    if (v->slot == 0)
        return KT_OK;
    kt_random(v->dek, sizeof v->dek);
    return put_value(core, mount, batch, path, v, data, err);
}

/* ---- destroying ---- */

enum kt_kind kv_forget(struct kv_version *version, struct kt_err *err)
{
    if (version->accepted_maybe) {
        (void)kt_fail(err, KT_INVALID,
                      "version %u may be the one that the target accepts: not destroyed",
                      version->number);
        kt_hint(err, "see what the rotation is at: secretctl run list");
        return KT_INVALID;
    }
    version->destroyed = true;
    version->slot = 0;
    sodium_memzero(version->dek, sizeof version->dek);
    return KT_OK;
}

enum kt_kind kv_destroy(struct core *core, const struct mount *mount, struct batch *batch,
                        const char *path, struct kv_secret *secret, uint32_t number,
                        struct kt_err *err)
{
    for (size_t i = 0; i < secret->n_versions; i++) {
        struct kv_version *v = &secret->versions[i];
        if (v->number != number || v->destroyed)
            continue;
        uint32_t slot = v->slot;
        enum kt_kind kind = kv_forget(v, err);
        if (kind != KT_OK)
            return kind;
        if (slot == 0)
            continue;
        unsigned char key[KV_KEY];
        kv_key(core, mount, path, slot, key);
        batch_delete(batch, kt_bytes(key, sizeof key));
    }
    return KT_OK;
}

enum kt_kind kv_remove(struct core *core, const struct mount *mount, struct snapshot *snapshot,
                       struct batch *batch, const char *path, const struct kv_secret *secret,
                       unsigned most, const char *keeps, struct kt_err *err)
{
    unsigned char key[KV_KEY];
    for (size_t i = 0; i < secret->n_versions && i < most; i++) {
        if (secret->versions[i].slot == 0)
            continue;
        kv_key(core, mount, path, secret->versions[i].slot, key);
        batch_delete(batch, kt_bytes(key, sizeof key));
    }
    kv_require(core, mount, batch, path, secret);
    kv_key(core, mount, path, 0, key);
    batch_delete(batch, kt_bytes(key, sizeof key));
    enum kt_kind kind = KT_OK;
    if (secret->n_versions > most)
        kind = kv_leave_job(core, mount, batch, path, err);
    if (kind != KT_OK)
        return kind;
    return kv_name_remove(core, mount, snapshot, batch, path, keeps, err);
}
