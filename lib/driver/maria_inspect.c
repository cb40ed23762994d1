/* lib/driver/maria_inspect.c - see lib/driver/maria_inspect.h. */
#include "lib/driver/maria_inspect.h"

static const char *text(const char *maybe)
{
    return maybe == NULL ? "" : maybe;
}

static size_t ways_in(const struct maria_entry *entry)
{
    size_t commas = 0;
    for (const char *at = entry->others; *at != '\0'; at++)
        commas += *at == ',';
    return entry->others[0] == '\0' ? 1 : commas + 2; /* the list does not name the first */
}

/* Whichever of its entries a login meets. */
static bool never_starts_with(const struct maria_account *account, const char *group)
{
    for (size_t i = 0; i < account->n; i++)
        if (strcmp(account->entries[i].role, group) == 0)
            return false;
    return group[0] != '\0' && account->n > 0;
}

static void judge(const struct driver_run *run, const struct maria_account *account,
                  struct driver_result *ret)
{
    const char *group = text(run->step->group);
    for (size_t i = 0; i < account->n; i++) {
        const struct maria_entry *entry = &account->entries[i];
        if (ways_in(entry) > 1)
            kt_driver_finding(run, ret, "'%s'@'%s' has %zu ways in, further ones by %s; the next change leaves one",
                              account->name, entry->host, ways_in(entry), entry->others);
        if (group[0] != '\0' && strcmp(entry->role, group) != 0)
            kt_driver_finding(run, ret,
                              "'%s'@'%s' does not start with the role '%s': SET DEFAULT ROLE '%s' FOR it",
                              account->name, entry->host, group, group);
    }
    const struct maria_entry *foreign = kt_maria_foreign(account);
    if (foreign != NULL)
        kt_driver_finding(run, ret, "'%s'@'%s' logs in by %s %s: it cannot be rotated",
                          account->name, foreign->host, foreign->plugin, foreign->others);
    if (account->n == 0)
        kt_driver_finding(run, ret, "there is no account '%s'", account->name);
}

static void compare(const struct driver_run *run, const struct maria_account *one,
                    const struct maria_account *other, struct driver_result *ret)
{
    bool same = one->n == other->n;
    for (size_t i = 0; same && i < one->n; i++)
        same = strcmp(one->entries[i].host, other->entries[i].host) == 0;
    if (!same && one->n > 0 && other->n > 0)
        kt_driver_finding(run, ret, "'%s' and '%s' may log in from different hosts", one->name,
                          other->name);
}

/* The server prefers an entry without a name at a near host to a name at any host. */
static void find_nameless(struct maria_session *s, struct driver_result *ret)
{
    if (!kt_maria_run(s, "SELECT host FROM mysql.global_priv WHERE user = '' LIMIT 4"))
        return; /* who may not look has the control to tell */
    for (size_t i = 0; i < kt_maria_count(s); i++)
        kt_driver_finding(s->run, ret, "the nameless user ''@'%s' may answer for the accounts there",
                          kt_maria_cell(s, i, 0));
}

bool kt_maria_inspect(struct maria_session *s, bool routines, struct driver_result *ret,
                      const char **ret_unfit)
{
    const struct driver_step *step = s->run->step;
    struct maria_account account, other;
    bool seen = false;
    if (!kt_maria_read_account(s, routines, step->account, &account) ||
        !kt_maria_sessions(s, routines, step->account, &ret->sessions, &seen))
        return false;
    if (!seen)
        kt_driver_finding(s->run, ret, "sessions are not seen: GRANT PROCESS ON *.* to the "
                                       "administrative login");
    *ret_unfit = NULL;
    if (kt_maria_foreign(&account) != NULL)
        *ret_unfit = "it logs in by something that a password has no part in";
    else if (account.n == 0 && routines)
        *ret_unfit = "it is not there, or not in keyturn.managed, and this login can make no account";
    else if (never_starts_with(&account, text(step->group)))
        *ret_unfit = "its sessions do not start with the role of the group: GRANT the role TO it, and SET DEFAULT ROLE FOR it";
    judge(s->run, &account, ret);
    for (size_t i = 0; i < account.n; i++)
        if (account.entries[i].locked)
            kt_driver_finding(s->run, ret, "'%s'@'%s' is locked", account.name,
                              account.entries[i].host);
    if (text(step->other_account)[0] != '\0') {
        if (!kt_maria_read_account(s, routines, step->other_account, &other))
            return false;
        judge(s->run, &other, ret);
        /* It is what the run would have to close, past the point of no return. */
        if (*ret_unfit == NULL && kt_maria_foreign(&other) != NULL)
            *ret_unfit = "its sibling logs in by something that a password has no part in";
        compare(s->run, &account, &other, ret);
    }
    if (!routines)
        find_nameless(s, ret);
    return true;
}
