#include "vaultd/rotation/secret.h"

#include "vaultd/barrier/format.h"

/* Each account at a target belongs to one secret, and a target knows how many secrets name it. */

#define CLAIM_FORMAT 1u

static void read_claim_1(struct kt_reader *r, void *ret)
{
    struct kt_bytes *owner = ret;
    *owner = kt_read_field(r);
}

static format_reader *const claim_readers[] = {[CLAIM_FORMAT] = read_claim_1};

enum kt_kind claims_owner(struct request *req, const char *target, const char *account, const char **ret,
                          struct kt_err *err)
{
    unsigned char key[BARRIER_HASH_KEY];
    struct kt_bytes record, owner = {0};
    *ret = "";
    lock_key(req->core, "account", target, account, key);
    enum kt_kind kind = request_record(req, kt_bytes(key, sizeof key), &record, NULL, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind == KT_OK)
        kind = FORMAT_READ("a claim on an account", record, claim_readers, &owner, err);
    if (kind != KT_OK)
        return kind;
    *ret = kt_arena_text(&req->arena, owner);
    return *ret == NULL ? kt_fail(err, KT_NO_MEMORY, "asking whose an account is") : KT_OK;
}

static enum kt_kind claim(struct request *req, const struct rotation_secret *secret,
                          const char *account, struct kt_err *err)
{
    const char *owner = "";
    enum kt_kind kind = claims_owner(req, secret->settings.target, account, &owner, err);
    if (kind != KT_OK || strcmp(owner, secret->name) == 0)
        return kind;
    if (owner[0] != '\0') {
        (void)kt_fail(err, KT_INVALID, "KT-R-007 account '%s' at '%s' is rotated by '%s'", account,
                      secret->settings.target, owner);
        kt_hint(err, "each secret needs an account of its own");
        return KT_INVALID;
    }
    unsigned char key[BARRIER_HASH_KEY];
    struct batch *batch = request_batch(req);
    lock_key(req->core, "account", secret->settings.target, account, key);
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, 16384);
    kt_buf_add_u8(&plain, CLAIM_FORMAT);
    kt_buf_add_field(&plain, kt_str(secret->name));
    if (batch == NULL || !kt_buf_ok(&plain))
        return kt_fail(err, KT_NO_MEMORY, "claiming an account");
    batch_require(batch, KEY_ABSENT, kt_bytes(key, sizeof key), 0);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&plain),
                       err);
}

static bool still_claimed(const struct rotation_settings *now, const char *target,
                          const char *account)
{
    return strcmp(now->target, target) == 0 && (strcmp(now->accounts[0], account) == 0 ||
                                                strcmp(now->accounts[1], account) == 0);
}

static enum kt_kind change_claims(struct request *req, const struct rotation_settings *before,
                                  const struct rotation_secret *secret, struct kt_err *err)
{
    const struct rotation_settings *now = &secret->settings;
    for (size_t i = 0; i < 2; i++) {
        const char *account = before->accounts[i];
        if (!settings_has_target(before) || account[0] == '\0' ||
            still_claimed(now, before->target, account))
            continue;
        unsigned char key[BARRIER_HASH_KEY];
        lock_key(req->core, "account", before->target, account, key);
        batch_delete(request_batch(req), kt_bytes(key, sizeof key));
    }
    for (size_t i = 0; i < 2 && settings_has_target(now); i++) {
        if (now->accounts[i][0] == '\0')
            continue;
        enum kt_kind kind = claim(req, secret, now->accounts[i], err);
        if (kind != KT_OK)
            return kind;
    }
    return KT_OK;
}

static enum kt_kind count_user(struct request *req, const char *name, int change,
                               struct kt_err *err)
{
    if (name[0] == '\0')
        return KT_OK;
    struct rotation_target target;
    enum kt_kind kind = target_load(req, name, &target, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    if (change > 0)
        target.users++;
    else if (target.users > 0)
        target.users--;
    return target_save(req, &target, err);
}

static enum kt_kind change_users(struct request *req, const char *before, const char *now,
                                 struct kt_err *err)
{
    if (strcmp(before, now) == 0)
        return KT_OK;
    enum kt_kind kind = count_user(req, before, -1, err);
    return kind == KT_OK ? count_user(req, now, 1, err) : kind;
}

enum kt_kind claims_move(struct request *req, const struct rotation_settings *before,
                         const struct rotation_secret *secret, struct kt_err *err)
{
    enum kt_kind kind = change_claims(req, before, secret, err);
    return kind == KT_OK ? change_users(req, before->target, secret->settings.target, err) : kind;
}
