#include "vaultd/pam/account.h"

#include <grp.h>
#include <pwd.h>

static bool is_named(const struct account_rules *rules, const char *name)
{
    for (size_t i = 0; i < rules->n_named; i++)
        if (strcmp(rules->named[i], name) == 0)
            return true;
    return false;
}

bool account_may(const struct account_rules *rules, const char *name)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    const struct passwd *entry = getpwnam(name);
    return entry == NULL || entry->pw_uid >= rules->min_uid || is_named(rules, name);
}

/* A group that has no name is none that anything could be granted to. */
static bool add_group(gid_t gid, struct kt_arena *arena, struct pamd_message *verdict)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    const struct group *group = getgrgid(gid);
    if (group == NULL || group->gr_name[0] == '\0')
        return true;
    struct kt_bytes name = kt_str(group->gr_name);
    if (name.len > PAMD_NAME_MAX || verdict->verdict.n_groups == PAMD_GROUPS_MAX)
        return false;
    const char *copy = kt_arena_text(arena, name);
    verdict->verdict.groups[verdict->verdict.n_groups++] = kt_bytes(copy, name.len);
    return copy != NULL;
}

bool account_describe(const struct account_rules *rules, const char *name, struct kt_arena *arena,
                      struct pamd_message *verdict, const char **why)
{
    gid_t gids[PAMD_GROUPS_MAX];
    int n = PAMD_GROUPS_MAX;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    const struct passwd *entry = getpwnam(name);
    *why = "PAM let him in, but this host knows no account of the name (getent passwd)";
    if (entry == NULL || strlen(name) > PAMD_NAME_MAX)
        return false;
    *why = "a system account: --min-uid, --allow";
    if (entry->pw_uid < rules->min_uid && !is_named(rules, name))
        return false;
    const char *copy = kt_arena_text(arena, kt_str(name));
    verdict->verdict.name = kt_str(copy);
    *why = "he is in more groups than can be told, or out of memory";
    if (copy == NULL || getgrouplist(copy, entry->pw_gid, gids, &n) < 0)
        return false;
    for (int i = 0; i < n; i++)
        if (!add_group(gids[i], arena, verdict))
            return false;
    return true;
}
