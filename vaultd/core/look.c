/* Whether a request that waits has to run again although nothing that it waits for was told: its client
 * has left, or what let it in may not be so any more. A pass looks at all of it; ten thousand requests
 * that wait cannot all make one every half minute. */
#include "vaultd/auth/token.h"
#include "vaultd/core/mount_table.h"
#include "vaultd/core/private.h"

/* Tables that decide on the rights of many tokens. */
static const unsigned char rights[] = {TABLE_POLICY, TABLE_IDENTITY};

static void rights_changed(void *arg, const struct fold_event *event)
{
    struct core *core = arg;
    atomic_store(&core->own->rights_changed, event->at);
}

bool look_follow(struct core *core)
{
    for (size_t i = 0; i < sizeof rights; i++)
        if (store_on_fold(core->store, kt_bytes(&rights[i], 1), rights_changed, core) != STORE_OK)
            return false;
    return true;
}

static generation changed(struct snapshot *snapshot, struct kt_bytes key)
{
    struct entry entry;
    return snapshot_get(snapshot, key, &entry) == STORE_OK ? entry.changed : 0;
}

void look_remember(struct request *req)
{
    struct look *look = &req->own->look;
    *look = (struct look){.at = snapshot_generation(req->snapshot), .has_token = req->token != NULL};
    mount_table_key(req->core, look->mounts);
    look->mounts_changed = changed(req->snapshot, kt_bytes(look->mounts, sizeof look->mounts));
    if (req->token == NULL)
        return;
    memcpy(look->token, req->token->hash, sizeof look->token);
    look->token_changed = req->token->changed;
    look->token_expires_ms = req->token->expires_ms;
}

static bool is_over(const struct core *core, const struct look *look)
{
    return look->token_expires_ms != 0 &&
           look->token_expires_ms <= pass_expiry_ms(core, kt_wall_ms(core->clock));
}

/* A parent that was revoked takes its children's records with it within a second. */
static bool records_are_same(const struct core *core, const struct look *look)
{
    struct snapshot *snapshot = NULL;
    if (snapshot_begin(core->store, &snapshot) != STORE_OK)
        return true; /* a pass could not have one either; there is another look */
    bool same = changed(snapshot, kt_bytes(look->mounts, sizeof look->mounts)) == look->mounts_changed;
    if (look->has_token)
        same = same && token_generation(snapshot, look->token) == look->token_changed;
    snapshot_end(snapshot);
    return same;
}

bool look_due(struct request *req)
{
    struct look *look = &req->own->look;
    if (req->carrier->gone != NULL && req->carrier->gone(req))
        return true;
    look->changed = atomic_load(&req->core->own->rights_changed) > look->at ||
                    is_over(req->core, look) || !records_are_same(req->core, look);
    return look->changed;
}
