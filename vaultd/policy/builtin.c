#include "vaultd/policy/policy.h"

/* What every token may do with itself; Vault's default policy, as far as the paths exist here. */
static const char default_policy[] =
    "# Given to every token unless it was made with no_default_policy.\n"
    "path \"identity/entity/id/{{identity.entity.id}}\" { capabilities = [\"read\"] }\n"
    "path \"identity/entity/name/{{identity.entity.name}}\" { capabilities = [\"read\"] }\n"
    "path \"auth/token/lookup-self\" { capabilities = [\"read\"] }\n"
    "path \"auth/token/renew-self\" { capabilities = [\"update\"] }\n"
    "path \"auth/token/revoke-self\" { capabilities = [\"update\"] }\n"
    "path \"sys/capabilities-self\" { capabilities = [\"update\"] }\n"
    "path \"sys/internal/ui/resultant-acl\" { capabilities = [\"read\"] }\n"
    "path \"sys/renew\" { capabilities = [\"update\"] }\n"
    "path \"sys/leases/renew\" { capabilities = [\"update\"] }\n"
    "path \"sys/leases/lookup\" { capabilities = [\"update\"] }\n"
    "path \"cubbyhole/*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\"] }\n"
    "path \"sys/wrapping/wrap\" { capabilities = [\"update\"] }\n"
    "path \"sys/wrapping/lookup\" { capabilities = [\"update\"] }\n"
    "path \"sys/wrapping/unwrap\" { capabilities = [\"update\"] }\n"
    "path \"sys/tools/hash\" { capabilities = [\"update\"] }\n"
    "path \"sys/tools/hash/*\" { capabilities = [\"update\"] }\n";

/* What a wrapping token may do with its one use. */
static const char wrapping_policy[] =
    "path \"cubbyhole/response\" { capabilities = [\"create\", \"read\"] }\n"
    "path \"sys/wrapping/unwrap\" { capabilities = [\"update\"] }\n"
    "path \"sys/wrapping/rewrap\" { capabilities = [\"update\"] }\n";

const char *policy_builtin(const char *name)
{
    if (strcmp(name, "response-wrapping") == 0)
        return wrapping_policy;
    return strcmp(name, "default") == 0 ? default_policy : NULL;
}

const char *policy_unalterable(const char *name)
{
    return strcmp(name, "response-wrapping") == 0 ? policy_builtin(name) : NULL;
}
