#include "tests/support/access.h"

#include <string.h>

#define POLICY   ACCESS_POLICY
#define SUDO     ACCESS_SUDO
#define TOKEN    ACCESS_TOKEN
#define MAYBE    ACCESS_MAYBE
#define WRAPPING ACCESS_WRAPPING
#define OPEN     ACCESS_OPEN
#define PUBLIC   ACCESS_PUBLIC

/* clang-format off */
const struct access_entry access_entries[] = {
    {"approle", NULL, "login", .write = PUBLIC},
    {"approle", NULL, "role", .list = POLICY},
    {"approle", NULL, "role/{role}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"approle", NULL, "role/{role}/role-id", .read = POLICY, .write = POLICY},
    {"approle", NULL, "role/{role}/secret-id", .list = POLICY, .write = POLICY},
    {"approle", NULL, "role/{role}/custom-secret-id", .write = POLICY},
    {"approle", NULL, "role/{role}/secret-id/lookup", .write = POLICY},
    {"approle", NULL, "role/{role}/secret-id/destroy", .write = POLICY, .delete_ = POLICY},
    {"approle", NULL, "role/{role}/secret-id-accessor/lookup", .write = POLICY},
    {"approle", NULL, "role/{role}/secret-id-accessor/destroy", .write = POLICY, .delete_ = POLICY},
    {"approle", NULL, "role/{role}/{field}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"approle", NULL, "tidy/secret-id", .write = POLICY},
    {"cert", NULL, "login", .write = PUBLIC},
    {"cert", NULL, "certs", .list = POLICY},
    {"cert", NULL, "certs/{name}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"cert", NULL, "crls", .list = POLICY},
    {"cert", NULL, "crls/{name}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"cert", NULL, "config", .read = POLICY, .write = POLICY},
    {"cubbyhole", NULL, "", .list = POLICY},
    {"cubbyhole", NULL, "{path...}", .read = POLICY, .list = POLICY, .write = POLICY, .delete_ = POLICY},
    {"fleet", NULL, "consumers/{host}/{path...}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"fleet", NULL, "consumers/{host}", .list = POLICY},
    {"fleet", NULL, "agents", .list = POLICY},
    {"fleet", NULL, "watch/{host}", .read = POLICY},
    {"identity", NULL, "entity", .write = POLICY},
    {"identity", NULL, "entity/merge", .write = SUDO},
    {"identity", NULL, "entity/id", .list = POLICY},
    {"identity", NULL, "entity/id/{id}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"identity", NULL, "entity/name", .list = POLICY},
    {"identity", NULL, "entity/name/{name...}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"identity", NULL, "entity-alias", .write = POLICY},
    {"identity", NULL, "entity-alias/id", .list = POLICY},
    {"identity", NULL, "entity-alias/id/{id}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"identity", NULL, "group", .write = POLICY},
    {"identity", NULL, "group/id", .list = POLICY},
    {"identity", NULL, "group/id/{id}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"identity", NULL, "group/name", .list = POLICY},
    {"identity", NULL, "group/name/{name...}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"identity", NULL, "group-alias", .write = POLICY},
    {"identity", NULL, "group-alias/id", .list = POLICY},
    {"identity", NULL, "group-alias/id/{id}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"identity", NULL, "lookup/entity", .write = POLICY},
    {"identity", NULL, "lookup/group", .write = POLICY},
    {"jwt", NULL, "login", .write = PUBLIC},
    {"jwt", NULL, "config", .read = POLICY, .write = POLICY},
    {"jwt", NULL, "role", .list = POLICY},
    {"jwt", NULL, "role/{role}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"kv", "1", "{path...?}", .read = POLICY, .list = POLICY, .write = POLICY, .delete_ = POLICY},
    {"kv", "2", "data/{path...}", .read = POLICY, .write = POLICY, .patch = POLICY, .delete_ = POLICY},
    {"kv", "2", "metadata/{path...?}", .read = POLICY, .list = POLICY, .write = POLICY, .patch = POLICY, .delete_ = POLICY},
    {"kv", "2", "metadata", .list = POLICY},
    {"kv", "2", "delete/{path...}", .write = POLICY},
    {"kv", "2", "undelete/{path...}", .write = POLICY},
    {"kv", "2", "destroy/{path...}", .write = POLICY},
    {"kv", "2", "subkeys/{path...}", .read = POLICY},
    {"kv", "2", "config", .read = POLICY, .write = POLICY},
    {"kv", "2", "import/{path...}", .write = SUDO},
    {"kv", "2", "copy/{path...}", .write = POLICY},
    {"kv", "2", "move/{path...}", .write = POLICY},
    {"pam", NULL, "login/{username}", .write = PUBLIC},
    {"pam", NULL, "config", .read = POLICY, .write = POLICY},
    {"pam", NULL, "users", .list = POLICY},
    {"pam", NULL, "users/{name}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"pam", NULL, "groups", .list = POLICY},
    {"pam", NULL, "groups/{name}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"rotation", NULL, "targets", .list = POLICY},
    {"rotation", NULL, "targets/{name}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"rotation", NULL, "targets/{name}/check", .write = POLICY},
    {"rotation", NULL, "calendars", .list = POLICY},
    {"rotation", NULL, "calendars/{name}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"rotation", NULL, "secrets", .list = POLICY},
    {"rotation", NULL, "secrets/{path...}", .read = POLICY, .list = POLICY, .write = POLICY, .delete_ = POLICY},
    {"rotation", NULL, "rotate/{path...}", .write = POLICY},
    {"rotation", NULL, "reconcile/{path...}", .write = POLICY},
    {"rotation", NULL, "revoke/{path...}", .write = POLICY},
    {"rotation", NULL, "issuers/{path...}", .read = POLICY},
    {"rotation", NULL, "dry-run/{path...}", .write = POLICY},
    {"rotation", NULL, "drill/{path...}", .write = POLICY},
    {"rotation", NULL, "runs", .list = POLICY},
    {"rotation", NULL, "runs/{id}", .read = POLICY},
    {"rotation", NULL, "runs/{id}/cancel", .write = POLICY},
    {"rotation", NULL, "runs/{id}/thaw", .write = POLICY},
    {"rotation", NULL, "runs/{id}/report", .read = POLICY},
    {"rotation", NULL, "due", .read = POLICY},
    {"rotation", NULL, "plan", .read = POLICY},
    {"rotation", NULL, "classes", .read = POLICY, .write = POLICY},
    {"rotation", NULL, "overdue", .read = POLICY},
    {"rotation", NULL, "quarantine", .read = POLICY},
    {"rotation", NULL, "quarantine/{host}/{path...}", .write = POLICY, .delete_ = POLICY},
    {"rotation", NULL, "zombies", .read = POLICY},
    {"rotation", NULL, "notify", .read = POLICY},
    {"rotation", NULL, "notify/{name}/test", .write = POLICY},
    {"rotation", NULL, "pause", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"rotation", NULL, "clock", .read = POLICY, .write = POLICY},
    {"system", NULL, "init", .read = PUBLIC, .write = PUBLIC},
    {"system", NULL, "seal-status", .read = PUBLIC},
    {"system", NULL, "unseal", .write = PUBLIC},
    {"system", NULL, "health", .read = PUBLIC},
    {"system", NULL, "leader", .read = PUBLIC},
    {"system", NULL, "seal", .write = SUDO},
    {"system", NULL, "key-status", .read = POLICY},
    {"system", NULL, "rotate", .write = SUDO},
    {"system", NULL, "rotate/keyring", .write = SUDO},
    {"system", NULL, "rotate/config", .read = POLICY, .write = POLICY},
    {"system", NULL, "rotate/keyring/config", .read = POLICY, .write = POLICY},
    {"system", NULL, "step-down", .write = SUDO},
    {"system", NULL, "seals", .read = POLICY},
    {"system", NULL, "seals/{name}", .write = SUDO, .delete_ = SUDO},
    {"system", NULL, "rekey/init", .read = OPEN, .write = SUDO, .delete_ = SUDO},
    {"system", NULL, "rekey/update", .write = OPEN},
    {"system", NULL, "rekey/verify", .read = OPEN, .write = OPEN, .delete_ = SUDO},
    {"system", NULL, "rekey/backup", .read = POLICY, .delete_ = POLICY},
    {"system", NULL, "rekey/recovery-key-backup", .read = POLICY, .delete_ = POLICY},
    {"system", NULL, "rekey-recovery-key/{step}", .read = SUDO, .write = SUDO, .delete_ = SUDO},
    {"system", NULL, "generate-root/attempt", .read = OPEN, .write = SUDO, .delete_ = SUDO},
    {"system", NULL, "generate-root", .read = OPEN, .write = SUDO, .delete_ = SUDO},
    {"system", NULL, "generate-root/update", .write = OPEN},
    {"system", NULL, "storage", .read = POLICY},
    {"system", NULL, "storage/compact", .read = SUDO, .write = SUDO, .delete_ = SUDO},
    {"system", NULL, "storage/reencrypt", .read = SUDO, .write = SUDO},
    {"system", NULL, "mounts", .read = POLICY},
    {"system", NULL, "mounts/{path...}/tune", .read = POLICY, .write = POLICY},
    {"system", NULL, "mounts/{path...}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"system", NULL, "remount", .write = SUDO},
    {"system", NULL, "remount/status/{id}", .read = POLICY},
    {"system", NULL, "auth", .read = POLICY},
    {"system", NULL, "internal/ui/mounts", .read = MAYBE},
    {"system", NULL, "internal/ui/mounts/{path...}", .read = TOKEN},
    {"system", NULL, "internal/specs/openapi", .read = MAYBE, .write = MAYBE},
    {"system", NULL, "internal/ui/resultant-acl", .read = POLICY},
    {"system", NULL, "policies/acl", .list = POLICY},
    {"system", NULL, "policies/acl/{name}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"system", NULL, "policies/explain", .write = POLICY},
    {"system", NULL, "policies/lint", .write = POLICY},
    {"system", NULL, "policy", .read = POLICY, .list = POLICY},
    {"system", NULL, "policy/{name}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"system", NULL, "capabilities", .write = POLICY},
    {"system", NULL, "capabilities-self", .write = POLICY},
    {"system", NULL, "capabilities-accessor", .write = POLICY},
    {"system", NULL, "wrapping/wrap", .write = POLICY},
    {"system", NULL, "wrapping/lookup", .read = PUBLIC, .write = PUBLIC},
    {"system", NULL, "wrapping/unwrap", .write = WRAPPING},
    {"system", NULL, "wrapping/rewrap", .write = WRAPPING},
    {"system", NULL, "audit-log/checkpoint", .read = POLICY, .write = POLICY},
    {"system", NULL, "audit-log/checkpoints", .read = POLICY},
    {"system", NULL, "audit-log/export", .read = POLICY},
    {"system", NULL, "audit-log/leaves", .read = POLICY},
    {"system", NULL, "audit-log/proof", .read = POLICY},
    {"system", NULL, "audit-hash/{path...}", .write = POLICY},
    {"system", NULL, "audit", .read = SUDO},
    {"system", NULL, "audit/{path...}", .write = SUDO, .delete_ = SUDO},
    {"system", NULL, "config/auditing/request-headers", .read = SUDO},
    {"system", NULL, "config/auditing/request-headers/{header}", .read = SUDO, .write = SUDO, .delete_ = SUDO},
    {"system", NULL, "config/cors", .read = SUDO, .write = SUDO, .delete_ = SUDO},
    {"system", NULL, "config/state/sanitized", .read = POLICY},
    {"system", NULL, "host-info", .read = POLICY},
    {"system", NULL, "metrics", .read = POLICY},
    {"system", NULL, "ha-status", .read = POLICY},
    {"system", NULL, "internal/counters/tokens", .read = POLICY},
    {"system", NULL, "tools/random", .write = POLICY},
    {"system", NULL, "tools/random/{source}", .write = POLICY},
    {"system", NULL, "tools/random/{source}/{urlbytes}", .write = POLICY},
    {"system", NULL, "tools/hash", .write = POLICY},
    {"system", NULL, "tools/hash/{urlalgorithm}", .write = POLICY},
    {"system", NULL, "auth/{path...}/tune", .read = SUDO, .write = SUDO},
    {"system", NULL, "auth/{path...}", .read = SUDO, .write = SUDO, .delete_ = SUDO},
    {"system", NULL, "approvals/rules", .list = POLICY},
    {"system", NULL, "approvals/rules/{name}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"system", NULL, "approvals/requests", .list = POLICY},
    {"system", NULL, "approvals/requests/{id}", .read = POLICY},
    {"system", NULL, "approvals/requests/{id}/approve", .write = POLICY},
    {"system", NULL, "approvals/requests/{id}/deny", .write = POLICY},
    {"system", NULL, "approvals/requests/{id}/break-glass", .write = SUDO},
    {"system", NULL, "approvals/mine", .list = TOKEN},
    {"system", NULL, "approvals/mine/{id}", .read = TOKEN, .write = TOKEN, .delete_ = TOKEN},
    {"system", NULL, "approvals/mine/{id}/finish", .write = TOKEN},
    {"system", NULL, "quotas/config", .read = POLICY, .write = POLICY},
    {"system", NULL, "quotas/rate-limit", .list = POLICY},
    {"system", NULL, "quotas/rate-limit/{name}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"system", NULL, "leases", .read = SUDO},
    {"system", NULL, "leases/count", .read = POLICY},
    {"system", NULL, "leases/lookup/{prefix...?}", .list = SUDO},
    {"system", NULL, "leases/lookup", .write = POLICY},
    {"system", NULL, "leases/renew", .write = POLICY},
    {"system", NULL, "leases/renew/{url_lease_id...}", .write = POLICY},
    {"system", NULL, "leases/revoke", .write = POLICY},
    {"system", NULL, "leases/revoke/{url_lease_id...}", .write = POLICY},
    {"system", NULL, "leases/revoke-prefix/{prefix...}", .write = SUDO},
    {"system", NULL, "leases/revoke-force/{prefix...}", .write = SUDO},
    {"system", NULL, "leases/tidy", .write = POLICY},
    {"system", NULL, "renew", .write = POLICY},
    {"system", NULL, "renew/{url_lease_id...}", .write = POLICY},
    {"system", NULL, "revoke", .write = POLICY},
    {"system", NULL, "revoke/{url_lease_id...}", .write = POLICY},
    {"system", NULL, "revoke-prefix/{prefix...}", .write = SUDO},
    {"system", NULL, "revoke-force/{prefix...}", .write = SUDO},
    {"token", NULL, "create", .write = POLICY},
    {"token", NULL, "create-orphan", .write = POLICY},
    {"token", NULL, "lookup", .read = POLICY, .write = POLICY},
    {"token", NULL, "lookup-self", .read = POLICY, .write = POLICY},
    {"token", NULL, "lookup-accessor", .write = POLICY},
    {"token", NULL, "renew", .write = POLICY},
    {"token", NULL, "renew-self", .write = POLICY},
    {"token", NULL, "renew-accessor", .write = POLICY},
    {"token", NULL, "revoke", .write = POLICY},
    {"token", NULL, "revoke-self", .write = POLICY},
    {"token", NULL, "revoke-accessor", .write = POLICY},
    {"token", NULL, "revoke-orphan", .write = SUDO},
    {"token", NULL, "tidy", .write = POLICY},
    {"token", NULL, "accessors", .list = SUDO},
    {"token", NULL, "create/{role}", .write = POLICY},
    {"token", NULL, "roles", .list = POLICY},
    {"token", NULL, "roles/{role}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"token", NULL, "tree", .read = SUDO},
    {"unix", NULL, "login", .write = PUBLIC},
    {"unix", NULL, "users", .list = POLICY},
    {"unix", NULL, "users/{uid}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"unix", NULL, "groups", .list = POLICY},
    {"unix", NULL, "groups/{gid}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"userpass", NULL, "login/{username}", .write = PUBLIC},
    {"userpass", NULL, "users", .list = POLICY},
    {"userpass", NULL, "users/{username}", .read = POLICY, .write = POLICY, .delete_ = POLICY},
    {"userpass", NULL, "users/{username}/password", .write = POLICY},
    {"userpass", NULL, "users/{username}/policies", .write = POLICY},
};
/* clang-format on */
const size_t n_access_entries = sizeof access_entries / sizeof access_entries[0];

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool is_of(const struct access_entry *entry, const struct engine *engine,
                  const struct route *route)
{
    return same(entry->type, engine->type) && same(entry->version, engine->version) &&
           same(entry->pattern, route->pattern);
}

const struct access_entry *access_entry_of(const struct engine *engine, const struct route *route)
{
    for (size_t i = 0; i < n_access_entries; i++)
        if (is_of(&access_entries[i], engine, route))
            return &access_entries[i];
    return NULL;
}

enum access access_of(const struct access_entry *entry, const char *method)
{
    const struct {
        const char *method;
        enum access access;
    } rows[] = {{"GET", entry->read},
                {"HEAD", entry->read == ACCESS_PUBLIC ? ACCESS_PUBLIC : ACCESS_NONE},
                {"LIST", entry->list},
                {"POST", entry->write},
                {"PUT", entry->write},
                {"PATCH", entry->patch},
                {"DELETE", entry->delete_}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].method, method) == 0)
            return rows[i].access;
    return ACCESS_NONE;
}

/* What the row's flags say. */
static enum access flagged(const struct route *route, handler_fn *handler, enum operation op)
{
    if (handler == NULL)
        return ACCESS_NONE;
    if ((route->flags & ROUTE_PUBLIC) != 0)
        return ACCESS_PUBLIC;
    if ((route->open & (unsigned)op) != 0)
        return ACCESS_OPEN;
    if ((route->flags & ROUTE_WRAPPING) != 0)
        return ACCESS_WRAPPING;
    if ((route->flags & ROUTE_ANY_TOKEN) != 0)
        return (route->flags & ROUTE_MAYBE_TOKEN) != 0 ? ACCESS_MAYBE : ACCESS_TOKEN;
    return (route->flags & ROUTE_SUDO) != 0 ? ACCESS_SUDO : ACCESS_POLICY;
}

static struct access_entry entry_as_flagged(const struct engine *engine, const struct route *route)
{
    return (struct access_entry){engine->type,
                                 engine->version,
                                 route->pattern,
                                 .read = flagged(route, route->read, OP_READ),
                                 .list = flagged(route, route->list, OP_LIST),
                                 .write = flagged(route, route->write, OP_UPDATE),
                                 .patch = flagged(route, route->patch, OP_PATCH),
                                 .delete_ = flagged(route, route->delete_, OP_DELETE)};
}

/* As it would stand in the table. */
static void print_entry(FILE *out, const struct access_entry *entry)
{
    static const char *const words[] = {
        [ACCESS_POLICY] = "POLICY", [ACCESS_SUDO] = "SUDO",         [ACCESS_TOKEN] = "TOKEN",
        [ACCESS_MAYBE] = "MAYBE",   [ACCESS_WRAPPING] = "WRAPPING", [ACCESS_OPEN] = "OPEN",
        [ACCESS_PUBLIC] = "PUBLIC"};
    const struct {
        const char *name;
        enum access access;
    } parts[] = {{"read", entry->read},
                 {"list", entry->list},
                 {"write", entry->write},
                 {"patch", entry->patch},
                 {"delete_", entry->delete_}};
    (void)fprintf(out, "    {\"%s\", ", entry->type);
    if (entry->version == NULL)
        (void)fputs("NULL", out);
    else
        (void)fprintf(out, "\"%s\"", entry->version);
    (void)fprintf(out, ", \"%s\"", entry->pattern);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i].access != ACCESS_NONE)
            (void)fprintf(out, ", .%s = %s", parts[i].name, words[parts[i].access]);
    (void)fputs("},\n", out);
}

static bool equal(const struct access_entry *a, const struct access_entry *b)
{
    return a->read == b->read && a->list == b->list && a->write == b->write &&
           a->patch == b->patch && a->delete_ == b->delete_;
}

static size_t compare_rows(FILE *out)
{
    size_t wrong = 0;
    for (size_t i = 0; i < n_engines; i++) {
        for (size_t j = 0; j < engines[i]->n_routes; j++) {
            const struct route *route = &engines[i]->routes[j];
            const struct access_entry *entry = access_entry_of(engines[i], route);
            const struct access_entry is = entry_as_flagged(engines[i], route);
            if (entry != NULL && equal(entry, &is))
                continue;
            (void)fputs(
                entry == NULL
                    ? "tests/support/access.c has no entry of a row. Is this who should come?\n"
                    : "a row is not as tests/support/access.c says. Its flags say:\n",
                out);
            print_entry(out, &is);
            wrong++;
        }
    }
    return wrong;
}

static bool has_row(const struct access_entry *entry)
{
    for (size_t i = 0; i < n_engines; i++)
        for (size_t j = 0; j < engines[i]->n_routes; j++)
            if (is_of(entry, engines[i], &engines[i]->routes[j]))
                return true;
    return false;
}

size_t access_compare(FILE *out)
{
    size_t wrong = compare_rows(out);
    for (size_t i = 0; i < n_access_entries; i++) {
        if (has_row(&access_entries[i]))
            continue;
        (void)fputs("tests/support/access.c has an entry of a row that is not there:\n", out);
        print_entry(out, &access_entries[i]);
        wrong++;
    }
    return wrong;
}
