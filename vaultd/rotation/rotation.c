#include "vaultd/rotation/rotation.h"

#include <stdlib.h>

#include "lib/failpoint.h"
#include "vaultd/engine/kv.h"

struct rotation {
    struct core *core;
};

struct rotation *rotation_new(struct core *core)
{
    struct rotation *rotation = kt_calloc(1, sizeof *rotation);
    if (rotation != NULL)
        rotation->core = core;
    return rotation;
}

void rotation_free(struct rotation *rotation)
{
    free(rotation);
}

void rotation_start(struct rotation *rotation)
{
    (void)rotation;
}

void rotation_stop(struct rotation *rotation)
{
    (void)rotation;
}

void rotation_wake(struct rotation *rotation)
{
    (void)rotation;
}

void rotation_note_read(struct request *req, const struct mount *mount, const char *path,
                        uint32_t version)
{
    (void)req;
    (void)mount;
    (void)path;
    (void)version;
}

enum kt_kind rotation_allows(struct request *req, const struct mount *mount, const char *path,
                             const struct kv_secret *secret, enum rotation_change change,
                             uint32_t version, struct kt_err *err)
{
    (void)req;
    (void)mount;
    (void)path;
    (void)secret;
    (void)change;
    (void)version;
    (void)err;
    return KT_OK;
}

const struct engine rotation_engine = {
    .type = "rotation",
    .help = "Rotation of credentials: targets, schedules, runs.",
};
