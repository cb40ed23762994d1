/* lib/driver/info.c - what vaultd knows of the drivers without containing them. The drivers
 * themselves are rows of lib/driver/table.c, but for the one inside vaultd; a test holds the two together. */
#include "lib/driver/driver.h"

static const struct driver_info infos[] = {
    {.name = "postgresql",
     .default_port = 5432,
     .alternate = true,
     .in_place = true,
     .databases = true,
     .refusals = 3,
     .groups = true,
     .form = FORM_SCRAM,
     .asks_who_stays = true,
     .several = true},
    {.name = "mariadb",
     .default_port = 3306,
     .alternate = true,
     .overlap = true,
     .in_place = true,
     .databases = true,
     .refusals = 3,
     .groups = true,
     .form = FORM_MARIADB,
     .asks_who_stays = true,
     .several = true},
    {.name = "redis",
     .default_port = 6379,
     .alternate = true,
     .overlap = true,
     .form = FORM_SHA256,
     .shows = true,
     .saves = true,
     .asks_who_stays = true,
     .several = true,
     .sentinels = true},
    {.name = "ldap",
     .default_port = 636,
     .alternate = true,
     .overlap = true,
     .refusals = 3,
     .form = FORM_SSHA512,
     .shows = true,
     .entries = true,
     .asks_who_stays = true,
     .several = true},
    {.name = "ssh-key",
     .default_port = 22,
     .overlap = true,
     .form = FORM_SSH,
     .names_server = true,
     .only_keeps = true,
     .generator = "ssh-ed25519"},
    {.name = "exec",
     .alternate = true,
     .in_place = true,
     .refusals = 3,
     .form = FORM_NONE,
     .program = true},
    {.name = "http",
     .default_port = 443,
     .alternate = true,
     .overlap = true,
     .in_place = true,
     .form = FORM_NONE,
     .api = true,
     .shows = true},
    {.name = "vault",
     .overlap = true,
     .form = FORM_NONE,
     .inside = true},
    {.name = "tls",
     .form = FORM_NONE,
     .listens = true},
};

bool kt_driver_is_missing(const struct driver_result *result)
{
    static const char *const codes[] = {"42704", "missing"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (strcmp(result->code, codes[i]) == 0)
            return result->class == DRIVER_PERMANENT;
    }
    return false;
}

const struct driver_info *kt_driver_infos(size_t *ret_count)
{
    *ret_count = sizeof(infos) / sizeof(infos[0]);
    return infos;
}

const struct driver_info *kt_driver_info(const char *name)
{
    for (size_t i = 0; i < sizeof(infos) / sizeof(infos[0]); i++) {
        if (strcmp(infos[i].name, name) == 0)
            return &infos[i];
    }
    return NULL;
}
