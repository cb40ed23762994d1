#include "lib/cidr.h"

#include <arpa/inet.h>

#include "lib/num.h"

#define V4_BITS   32u
#define V6_BITS   128u
#define V4_IN_V6  96u /* bits before an IPv4 address in ::ffff:0:0/96 */

static const unsigned char v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool parse_address(struct kt_bytes text, struct kt_cidr *ret)
{
    char copy[KT_CIDR_TEXT];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.at, '\0', text.len) != NULL)
        return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    *ret = (struct kt_cidr){.bits = V4_BITS};
    if (inet_pton(AF_INET, copy, ret->at) == 1)
        return true;
    ret->bits = V6_BITS;
    ret->v6 = true;
    return inet_pton(AF_INET6, copy, ret->at) == 1;
}

/* A block of IPv4 that is written as IPv6 becomes one of IPv4. */
static void unmap(struct kt_cidr *cidr)
{
    if (!cidr->v6 || cidr->bits < V4_IN_V6 || memcmp(cidr->at, v4_prefix, sizeof v4_prefix) != 0)
        return;
    unsigned char v4[4];
    memcpy(v4, cidr->at + sizeof v4_prefix, sizeof v4);
    *cidr = (struct kt_cidr){.bits = cidr->bits - V4_IN_V6};
    memcpy(cidr->at, v4, sizeof v4);
}

/* The bits behind the block's own. */
static void clear_rest(struct kt_cidr *cidr)
{
    for (unsigned i = cidr->bits; i < 8 * sizeof cidr->at; i++)
        cidr->at[i / 8] &= (unsigned char)~(0x80u >> i % 8);
}

bool kt_cidr_parse(struct kt_bytes text, struct kt_cidr *ret)
{
    struct kt_cidr cidr;
    const unsigned char *slash = text.len == 0 ? NULL : memchr(text.at, '/', text.len);
    size_t len = slash == NULL ? text.len : (size_t)(slash - text.at);
    if (!parse_address(kt_bytes(text.at, len), &cidr))
        return false;
    if (slash != NULL) {
        int64_t bits = 0;
        if (!kt_i64_parse(kt_bytes(slash + 1, text.len - len - 1), 0, (int64_t)cidr.bits, &bits))
            return false;
        cidr.bits = (unsigned)bits;
    }
    unmap(&cidr);
    clear_rest(&cidr);
    *ret = cidr;
    return true;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool kt_cidr_within(const struct kt_cidr *inner, const struct kt_cidr *outer)
{
    return inner->v6 == outer->v6 && inner->bits >= outer->bits &&
           same_bits(inner->at, outer->at, outer->bits);
}

bool kt_cidr_holds(const struct kt_cidr *cidr, struct kt_bytes address)
{
    struct kt_cidr one;
    const unsigned char *zone = address.len == 0 ? NULL : memchr(address.at, '%', address.len);
    if (zone != NULL)
        address.len = (size_t)(zone - address.at);
    if (!parse_address(address, &one))
        return false;
    unmap(&one);
    return kt_cidr_within(&one, cidr);
}

bool kt_cidrs_hold(const struct kt_cidrs *cidrs, struct kt_bytes address)
{
    for (size_t i = 0; i < cidrs->n; i++)
        if (kt_cidr_holds(&cidrs->at[i], address))
            return true;
    return false;
}
