#include "vaultd/fleet/fleet.h"

#include <stdlib.h>

#include "lib/failpoint.h"

struct fleet {
    struct core *core;
};

struct fleet *fleet_new(struct core *core)
{
    struct fleet *fleet = kt_calloc(1, sizeof *fleet);
    if (fleet != NULL)
        fleet->core = core;
    return fleet;
}

void fleet_free(struct fleet *fleet)
{
    free(fleet);
}

const struct engine fleet_engine = {
    .type = "fleet",
    .help = "Consumers of secrets: who runs which version.",
};
