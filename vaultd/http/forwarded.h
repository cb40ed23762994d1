/* vaultd/http/forwarded.h - whose request a proxy hands on: X-Forwarded-For, from addresses that are trusted.
 *
 * What:    The header's addresses are those of the way that a request took, each proxy adding the one that it
 *          heard it from; so from the end as many are true as proxies are trusted. Only who comes from a
 *          trusted address may say anything. What is taken instead of the connection's address is everything
 *          that goes by one: limits, bound addresses, quotas, the audit log.
 * Errors:  a sentence for a 400; the address that was sent is not in it.
 * Threads: any thread; rules are only read.
 * Source:  Vault's listener settings x_forwarded_for_*, their texts and order of checks. Stricter: what
 *          stands at the place that counts must be an address. */
#pragma once

#include "lib/cidr.h"

#define FORWARDED_LINES   8u /* header lines of one request */
#define FORWARDED_ADDRESS 64u

struct forwarded_rules {
    struct kt_cidrs trusted; /* none: the header is not looked at */
    unsigned hop_skips;      /* so many at the end are proxies' of ours */
    bool refuse_absent;      /* a request without the header */
    bool refuse_stranger;    /* one with it that comes from elsewhere; else it is as if it had none */
};

/* lines: the header's values, in their order; n: how many came. peer: the connection's address. NULL: fine,
 * and out is the address to go by. */
const char *forwarded_client(const struct forwarded_rules *rules, const struct kt_bytes *lines, size_t n,
                             const char *peer, char out[FORWARDED_ADDRESS]);
