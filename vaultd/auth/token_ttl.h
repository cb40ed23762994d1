/* vaultd/auth/token_ttl.h - how long a token lives: one function, tested by table.
 *
 * What:    Vault's rules: the wish, else the system's default, capped by the system's maximum and
 *          by the token's own explicit maximum; a periodic token gets its period, bound only by the
 *          explicit maximum. Capping is a warning, not an error. Expiry is an absolute time; zero
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
    int64_t created_ms, now_ms; /* equal at creation */
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
