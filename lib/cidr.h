/* lib/cidr.h - blocks of addresses: "10.0.0.0/8", "fd00::/8", or one address.
 *
 * What:    A block holds the addresses that share its first bits; the bits behind are dropped. An IPv4
 *          address that is written as IPv6 ("::ffff:10.0.0.1") is the IPv4 address, in both: a
 *          listener on IPv6 sees it so. Apart from that the two families share no block.
 * Limits:  KT_CIDR_TEXT. No names, no zones in a block; an address's zone ("%eth0") is not looked at.
 * Threads: any thread; plain values.
 * Source:  RFC 4632, RFC 4291. */
#pragma once

#include "lib/bytes.h"

#define KT_CIDR_TEXT 64u

struct kt_cidr {
    unsigned char at[16]; /* of IPv4 the first four; zeroes behind `bits` */
    unsigned bits;
    bool v6;
};

/* False: it is none. */
bool kt_cidr_parse(struct kt_bytes text, struct kt_cidr *ret) KT_MUST_CHECK;
/* False also for what is no address. */
bool kt_cidr_holds(const struct kt_cidr *cidr, struct kt_bytes address);
#define KT_CIDRS_MAX 64u
struct kt_cidrs {
    struct kt_cidr at[KT_CIDRS_MAX];
    size_t n;
};
/* One of them does. */
bool kt_cidrs_hold(const struct kt_cidrs *cidrs, struct kt_bytes address);
/* Every address of the inner one is in the outer one. */
bool kt_cidr_within(const struct kt_cidr *inner, const struct kt_cidr *outer);
