#include "vaultd/auth/token_ttl.h"

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

struct token_ttl token_ttl(const struct token_ttl_wish *wish)
{
    struct token_ttl ret = {.max_s = wish->max_s > 0 ? wish->max_s : TOKEN_TTL_SYSTEM_S};
    bool explicit_max = wish->explicit_max_ttl_s > 0;
    if (wish->root && wish->ttl_s == 0 && wish->period_s == 0 && !explicit_max)
        return ret;
    if (wish->role_max_ttl_s > 0)
        ret.max_s = smaller(ret.max_s, wish->role_max_ttl_s);
    int64_t period_max_s = ret.max_s;
    if (explicit_max)
        ret.max_s = smaller(ret.max_s, wish->explicit_max_ttl_s);
    int64_t age_ms = wish->now_ms > wish->created_ms ? wish->now_ms - wish->created_ms : 0;
    ret.wanted_s = wish->ttl_s > 0       ? wish->ttl_s
                   : wish->default_s > 0 ? wish->default_s
                                         : TOKEN_TTL_SYSTEM_S;
    int64_t left = (ret.max_s * 1000 - age_ms) / 1000;
    if (wish->period_s > 0) {
        ret.wanted_s = wish->period_s;
        left = period_max_s;
        if (explicit_max)
            left = smaller(left, (wish->explicit_max_ttl_s * 1000 - age_ms) / 1000);
    }
    if (left <= 0) {
        ret.past_max = true;
        return ret;
    }
    ret.capped = ret.wanted_s > left;
    ret.ttl_s = smaller(ret.wanted_s, left);
    ret.expires_ms = wish->now_ms + ret.ttl_s * 1000;
    return ret;
}
