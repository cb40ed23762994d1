/* vaultd/auth/token_ttl.h - how long a token lives: one function, tested by table.
 *
 * What:    Vault's rules: the wish, else the mount's or the system's default, capped by the mount's or
 *          the system's maximum, by that of the role or user, and by the token's own explicit maximum; a
 *          periodic token gets its period, as long as the first two allow, and lives on as long as the
 *          explicit maximum does. Capping is a warning, not an error. Expiry is an absolute time; zero
 *          never means "for ever" except for root tokens without a wish.
 * Threads: any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TOKEN_TTL_SYSTEM_S 2764800 /* 768h: default and maximum */

struct token_ttl_wish {
    int64_t ttl_s;              /* 0: none */
    int64_t period_s;           /* 0: not periodic */
    int64_t explicit_max_ttl_s; /* 0: none */
    int64_t default_s, max_s;   /* the mount's; 0: the system's */
    int64_t role_max_ttl_s;     /* 0: none */
    int64_t created_ms, now_ms; /* by the clock of its end (request.h): equal at creation */
    bool root;                  /* may live for ever */
};
struct token_ttl {
    int64_t ttl_s;      /* granted from now; 0: for ever (root only) */
    int64_t expires_ms; /* 0: never */
    int64_t wanted_s;   /* the wish, or what stands for one */
    bool capped;
    int64_t max_s;      /* what capped it */
    bool past_max;      /* a renewal that comes too late */
};
struct token_ttl token_ttl(const struct token_ttl_wish *wish);
