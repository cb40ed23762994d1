#include "vaultd/pam/account.h"

#include <grp.h>
#include <pwd.h>

#define GROUPS_AT_FIRST 256

static bool is_named(const struct account_rules *rules, const char *name)
{
    for (size_t i = 0; i < rules->n_named; i++)
        if (strcmp(rules->named[i], name) == 0)
            return true;
    return false;
}

static bool may(const struct account_rules *rules, const struct passwd *entry)
{
    return entry->pw_uid >= rules->min_uid || is_named(rules, entry->pw_name);
}

static bool is_told(const char *name)
{
    return name[0] != '\0' && strlen(name) <= PAMD_NAME_MAX;
}

const char *account_named(const struct account_rules *rules, const char *name, struct kt_arena *arena,
                          bool *ret_may)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    const struct passwd *entry = getpwnam(name);
    *ret_may = entry == NULL || may(rules, entry);
    bool own = entry != NULL && is_told(entry->pw_name);
    return kt_arena_text(arena, kt_str(own ? entry->pw_name : name));
}

/* ---- groups ---- */

/* A group that has no name is none that anything could be granted to. */
static bool add_group(gid_t gid, struct kt_arena *arena, size_t *bytes, struct account *account)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    const struct group *group = getgrgid(gid);
    if (group == NULL || !is_told(group->gr_name))
        return true;
    struct kt_bytes name = kt_str(group->gr_name);
    if (account->n_groups == PAMD_GROUPS_MAX || name.len > PAMD_GROUPS_BYTES - *bytes)
        return false;
    *bytes += name.len;
    const char *copy = kt_arena_text(arena, name);
    account->groups[account->n_groups++] = kt_bytes(copy, name.len);
    return copy != NULL;
}

/* As many as there are: getgrouplist() says how many when there is no room for them. */
static gid_t *list_groups(const char *name, gid_t primary, struct kt_arena *arena, int *ret_n)
{
    for (int room = GROUPS_AT_FIRST; room > 0 && (unsigned)room <= PAMD_GROUPS_MAX;) {
        gid_t *gids = kt_arena_take(arena, (size_t)room * sizeof *gids);
        int n = room;
        if (gids == NULL)
            return NULL;
        if (getgrouplist(name, primary, gids, &n) >= 0) {
            *ret_n = n;
            return gids;
        }
        room = n > room ? n : 2 * room; /* somebody may have made him a member since */
    }
    return NULL;
}

bool account_describe(const struct account_rules *rules, const char *name, struct kt_arena *arena,
                      struct account *ret, const char **why)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    const struct passwd *entry = getpwnam(name);
    int n = 0;
    size_t bytes = 0;
    *why = "PAM let him in, but this host knows no account of the name (getent passwd)";
    if (entry == NULL || !is_told(entry->pw_name))
        return false;
    *why = "a system account: --min-uid, --allow";
    if (!may(rules, entry))
        return false;
    gid_t primary = entry->pw_gid;
    const char *copy = kt_arena_text(arena, kt_str(entry->pw_name));
    *why = "he is in more groups than can be told, or out of memory";
    const gid_t *gids = copy == NULL ? NULL : list_groups(copy, primary, arena, &n);
    if (gids == NULL)
        return false;
    *ret = (struct account){.name = copy,
                            .groups = kt_arena_take(arena, ((size_t)n + 1) * sizeof *ret->groups)};
    for (int i = 0; ret->groups != NULL && i < n; i++)
        if (!add_group(gids[i], arena, &bytes, ret))
            return false;
    return ret->groups != NULL;
}
