#include "cli/write_settings.h"

#include <string.h>

#define NAMES(...) (const char *const[]){__VA_ARGS__, NULL}

/* clang-format off */
static const struct {
    const char *prefix; /* ends in '/': what is below it */
    const char *const *names;
} rows[] = {
    {"identity/", NAMES("name", "policies", "disabled", "type", "member_entity_ids", "member_group_ids",
                        "mount_accessor", "canonical_id", "entity_id")},
    {"sys/approvals/rules/", NAMES("paths", "group", "needed", "ttl")},
    {"rotation/clock", NAMES("accept")},
    {"auth/", NAMES(
        /* what its tokens are */
        "token_ttl", "token_max_ttl", "token_policies", "token_bound_cidrs", "token_explicit_max_ttl",
        "token_no_default_policy", "token_num_uses", "token_period", "token_type", "ttl", "max_ttl", "policies",
        "bound_cidrs", "num_uses", "period", "explicit_max_ttl", "renewable", "orphan", "path_suffix",
        "allowed_policies", "disallowed_policies", "allowed_policies_glob", "disallowed_policies_glob",
        /* cert */
        "display_name", "allowed_names", "allowed_common_names", "allowed_dns_sans", "allowed_email_sans",
        "allowed_uri_sans", "allowed_organizational_units", "required_extensions",
        "allowed_metadata_extensions",
        /* approle */
        "bind_secret_id", "secret_id_bound_cidrs", "secret_id_num_uses", "secret_id_ttl",
        /* jwt */
        "role_type", "user_claim", "bound_audiences", "bound_subject", "bound_claims_type", "groups_claim",
        "bound_issuer", "default_role", "jwks_url", "oidc_discovery_url",
        /* pam */
        "max_failures")},
};
/* clang-format on */

#define ROWS (sizeof rows / sizeof rows[0])

static bool is_at(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);
    if (*path == '/')
        path++;
    if (strncmp(path, "v1/", 3) == 0)
        path += 3;
    return strncmp(path, prefix, len) == 0 && (prefix[len - 1] == '/' || path[len] == '\0');
}

bool write_setting_is_public(const char *path, const char *name)
{
    for (unsigned i = 0; i < ROWS; i++)
        for (const char *const *at = rows[i].names; *at != NULL && is_at(path, rows[i].prefix); at++)
            if (strcmp(*at, name) == 0)
                return true;
    return false;
}

bool write_settings_row(unsigned i, const char **ret_prefix, const char *const **ret_names)
{
    if (i >= ROWS)
        return false;
    *ret_prefix = rows[i].prefix;
    *ret_names = rows[i].names;
    return true;
}
