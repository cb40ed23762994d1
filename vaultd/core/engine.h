/* vaultd/core/engine.h - what can be asked of a mount: its routes, one row each.
 *
 * What:    An engine is a table of routes. The pipeline finds the row, makes every check that the
 *          row says, and only then calls the handler. No handler checks a permission itself.
 * Pattern: segments separated by '/'; "{name}" is one segment, "{name...}" the rest of the path
 *          (may be empty only in "{name...?}"); everything else is literal. Rows are tried in
 *          order. "mounts/{path...}/tune" is allowed: a tail after the rest.
 * Fields:  what a row declares is checked before its handler is called: a value that cannot be of the
 *          field's type is answered with 400 and the field's name. Absent ones are the handler's matter.
 * Add one: one row, and a handler in a file of its own. An engine: a row in vaultd/engine/table.c. */
#pragma once

#include "vaultd/core/request.h"

enum field_type {
    FIELD_STRING,
    FIELD_INT,
    FIELD_NUMBER, /* perhaps with a fraction */
    FIELD_BOOL,
    FIELD_DURATION,
    FIELD_SIGNED_DURATION, /* a negative one means something, too */
    FIELD_LIST,       /* string-list */
    FIELD_COMMA_LIST, /* comma-string-list */
    FIELD_INT_LIST,
    FIELD_PAIRS,
    FIELD_MAP,
    FIELD_ANY
};
struct field {
    const char *name; /* NULL ends the array */
    enum field_type type;
    const char *help;
};

enum route_flag {
    ROUTE_PUBLIC = 1 << 0,      /* no token needed; one that comes along is not looked at */
    ROUTE_ANY_TOKEN = 1 << 1,   /* a valid token, no policy */
    ROUTE_SUDO = 1 << 2,        /* the deciding pattern must grant sudo as well */
    ROUTE_WHILE_SEALED = 1 << 3,
    ROUTE_NO_AUDIT = 1 << 4,    /* health, seal-status, leader, GET init only */
    ROUTE_LIFT = 1 << 5,        /* data's members also at the top level, as Vault does */
    ROUTE_ANY_FIELDS = 1 << 6,  /* takes arbitrary input: no "unrecognized parameters" warning */
    ROUTE_TRAILING_SLASH = 1 << 7, /* writes to a path ending in '/' are fine */
    ROUTE_NO_USE = 1 << 8,      /* does not count against a token's uses */
    ROUTE_MAYBE_TOKEN = 1 << 9, /* with ROUTE_ANY_TOKEN: none at all is fine too; req->token NULL */
    ROUTE_OWNER = 1 << 10,      /* on the Unix socket, root needs no token: it could read the vault's
                                 * memory. Not the vault's own user: its workers are that, too */
    ROUTE_WRAPPING = 1 << 11,   /* about a wrapping token, the field "token" or the request's own: a
                                 * bad one is refused before it matters who asks */
    ROUTE_LOWERED = 1 << 12,    /* a name in the path is the same whatever its case: what a policy says of
                                 * the path in lower case must not forbid it either */
    ROUTE_CARRIES = 1 << 14,    /* carries out a request that waited for approval: from then on it is that one */
    ROUTE_OF_MOUNT = 1 << 15,   /* to write there changes what is in the mount: rules of approval about that are
                                 * about it */
    ROUTE_TO_LOWER = 1 << 13    /* names in the path are lowered before anybody is asked for a policy; what
                                 * one says of the path as it was typed must not forbid it either */
};

/* Whether the object that the path names exists: decides create against update. */
typedef enum kt_kind exists_fn(struct request *req, bool *ret_exists, struct kt_err *err);

struct route {
    const char *pattern;
    unsigned flags;
    handler_fn *read, *list, *write, *patch, *delete_; /* NULL: 405 */
    /* What nobody needs a token for, whatever the flags say of the rest (enum operation): one that comes
     * along is looked at, to know who it is; one that is not valid counts as none, and none is used up. */
    unsigned open;
    exists_fn *exists;
    const struct field *fields; /* NULL: none */
    unsigned body_max;          /* 0: 32 MiB */
    const char *help;           /* one sentence */
};

/* A way to log in: vaultd/auth/login.h. Secrets that end by themselves: vaultd/auth/leased.h. */
struct auth_method;
struct leasing;

struct engine {
    const char *type;        /* "kv", "system", "token", "cubbyhole" */
    const char *version;     /* options.version, or NULL */
    bool unversioned;        /* also the engine of mounts of its type that say no version */
    const char *help;
    const struct route *routes;
    size_t n_routes;
    /* Called for a path that no route matches, to answer better than 404; may be NULL. */
    handler_fn *unmatched;
    const struct auth_method *auth; /* mounted below auth/; NULL: elsewhere */
    const struct leasing *leasing;  /* NULL: its secrets have no leases */
};

/* All engines, one array in engine/table.c. */
extern const struct engine *const engines[];
extern const size_t n_engines;
const struct engine *engine_find(const char *type, const char *version);

/* Tries the engine's rows against rest; fills req->route and req->params. False: none, or, where req->arena.failed
 * says so, not enough memory to tell. */
bool route_match(const struct engine *engine, const char *rest, struct request *req);

/* Lists that a mount carries, under the names that sys/mounts/PATH/tune has for them. */
#define MOUNT_LISTS_OF(X)                                                                          \
    X(MOUNT_CLEAR_REQUEST, "audit_non_hmac_request_keys", "keys of requests whose values the audit log has in clear")   \
    X(MOUNT_CLEAR_RESPONSE, "audit_non_hmac_response_keys", "keys of answers whose values the audit log has in clear")  \
    X(MOUNT_PASS_HEADERS, "passthrough_request_headers", "kept and shown; no engine here reads headers")        \
    X(MOUNT_ALLOW_HEADERS, "allowed_response_headers", "kept and shown; no engine here sends headers")
#define X(name, text, help) name,
enum mount_list { MOUNT_LISTS_OF(X) MOUNT_LISTS };
#undef X

/* A row of the mount table, immutable once published. */
struct mount {
    const char *path;        /* "secret/"; auth mounts "auth/token/" */
    const struct engine *engine;
    const char *type;        /* "kv" */
    const char *description;
    const char *accessor;    /* "kv_1a2b3c4d" */
    const char *uuid;
    const char *version;     /* options.version or NULL */
    unsigned char scope[BARRIER_SCOPE]; /* the uuid's bytes: what the barrier's names hang from */
    int64_t default_lease_ttl_s, max_lease_ttl_s; /* 0: the system's; what binds: mount_lease_ttl() */
    bool local, seal_wrap, force_no_cache;
    const char *listing_visibility; /* "", "hidden", "unauth": seen without a token */
    const char *token_type;         /* of auth mounts; "": the method's own */
    struct string_list lists[MOUNT_LISTS];
    bool builtin;            /* sys, auth/token, cubbyhole: cannot be removed */
};
#define MOUNT_LEASE_SYSTEM_S 2764800 /* 768h: default and maximum of who sets none */
/* The lease times that bind in a mount, its own or the system's; a default is never above its maximum. */
struct mount_lease_ttl {
    int64_t default_s, max_s;
};
static inline struct mount_lease_ttl mount_lease_ttl(const struct mount *mount)
{
    struct mount_lease_ttl ttl = {mount->default_lease_ttl_s, mount->max_lease_ttl_s};
    if (ttl.default_s == 0)
        ttl.default_s = MOUNT_LEASE_SYSTEM_S;
    if (ttl.max_s == 0)
        ttl.max_s = MOUNT_LEASE_SYSTEM_S;
    if (ttl.default_s > ttl.max_s)
        ttl.default_s = ttl.max_s;
    return ttl;
}
