#include "vaultd/http/forwarded.h"

#include <arpa/inet.h>
#include <stdio.h>

static struct kt_bytes trimmed(struct kt_bytes text)
{
    while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = kt_bytes(text.at + 1, text.len - 1);
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* The part of a line behind its last comma; *line becomes what is before it. False: that was all. */
static bool take_last(struct kt_bytes *line, struct kt_bytes *ret)
{
    size_t start = line->len;
    while (start > 0 && line->at[start - 1] != ',')
        start--;
    *ret = trimmed(kt_bytes(line->at + start, line->len - start));
    line->len = start > 0 ? start - 1 : 0;
    return start > 0;
}

/* The skip-th of all addresses, from the end. */
static bool pick(const struct kt_bytes *lines, size_t n, unsigned skip, struct kt_bytes *ret)
{
    for (size_t i = n; i > 0; i--) {
        struct kt_bytes line = lines[i - 1];
        for (bool more = true; more; skip--) {
            more = take_last(&line, ret);
            if (skip == 0)
                return true;
        }
    }
    return false;
}

/* As one address is always written, so that no second writing of it has a budget of its own. */
static bool write_address(struct kt_bytes text, char out[FORWARDED_ADDRESS])
{
    struct kt_cidr one;
    if (text.len == 0 || memchr(text.at, '/', text.len) != NULL || !kt_cidr_parse(text, &one))
        return false;
    return inet_ntop(one.v6 ? AF_INET6 : AF_INET, one.at, out, FORWARDED_ADDRESS) != NULL;
}

const char *forwarded_client(const struct forwarded_rules *rules, const struct kt_bytes *lines, size_t n,
                             const char *peer, char out[FORWARDED_ADDRESS])
{
    struct kt_bytes client;
    (void)snprintf(out, FORWARDED_ADDRESS, "%s", peer);
    if (rules->trusted.n == 0 || (n == 0 && !rules->refuse_absent))
        return NULL;
    if (n == 0)
        return "missing x-forwarded-for header and configured to reject when not present";
    if (!kt_cidrs_hold(&rules->trusted, kt_str(peer)))
        return rules->refuse_stranger ? "client address not authorized for x-forwarded-for and configured to "
                                        "reject connection"
                                      : NULL;
    if (n > FORWARDED_LINES)
        return "too many x-forwarded-for headers";
    if (!pick(lines, n, rules->hop_skips, &client))
        return "malformed x-forwarded-for configuration or request, hops to skip would skip before earliest "
               "chain link";
    return write_address(client, out) ? NULL : "malformed x-forwarded-for header: no address where one is due";
}
