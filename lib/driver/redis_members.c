/* lib/driver/redis_members.c - see lib/driver/redis_members.h. */
#include "lib/driver/redis_members.h"

#include "lib/driver/driver.h"
#include "lib/num.h"

/* "slave,s_down,disconnected" */
static bool has_flag(struct kt_bytes flags, const char *flag)
{
    for (size_t at = 0; at < flags.len;) {
        const unsigned char *end = memchr(flags.at + at, ',', flags.len - at);
        size_t len = end == NULL ? flags.len - at : (size_t)(end - flags.at) - at;
        if (kt_bytes_is(kt_bytes(flags.at + at, len), flag))
            return true;
        at += len + 1;
    }
    return false;
}

/* One pair of name and value; a value that is a list is passed over. */
static bool read_pair(struct kt_bytes *rest, struct redis_member *member)
{
    struct resp name, value;
    uint64_t port = 0;
    if (!kt_resp_next(rest, &name) || name.type == RESP_LIST)
        return false;
    struct kt_bytes after = *rest;
    if (!kt_resp_skip(&after) || !kt_resp_next(rest, &value))
        return false;
    *rest = after;
    if (value.type != RESP_BULK)
        return true;
    if (kt_bytes_is(name.text, "ip"))
        member->host = value.text;
    else if (kt_bytes_is(name.text, "flags"))
        member->down = has_flag(value.text, "s_down") || has_flag(value.text, "o_down");
    else if (kt_bytes_is(name.text, "port") && kt_u64_parse(value.text, 65535, &port))
        member->port = (uint32_t)port;
    return true;
}

static bool read_member(struct kt_bytes *rest, struct redis_members *to)
{
    struct redis_member member = {.port = 0};
    struct resp head;
    if (!kt_resp_next(rest, &head) || head.type != RESP_LIST || head.number % 2 != 0)
        return false;
    for (int64_t i = 0; i < head.number; i += 2)
        if (!read_pair(rest, &member))
            return false;
    if (member.host.len == 0 || member.host.len >= DRIVER_NAME_MAX || member.port == 0)
        return false;
    if (to->n < REDIS_MEMBERS_MAX)
        to->at[to->n] = member;
    to->n++;
    return true;
}

bool kt_redis_master_read(struct kt_bytes reply, struct redis_members *to)
{
    struct kt_bytes rest = reply;
    return read_member(&rest, to) && rest.len == 0;
}

bool kt_redis_replicas_read(struct kt_bytes reply, struct redis_members *to)
{
    struct kt_bytes rest = reply;
    struct resp head;
    if (!kt_resp_next(&rest, &head) || head.type != RESP_LIST)
        return false;
    for (int64_t i = 0; i < head.number; i++)
        if (!read_member(&rest, to))
            return false;
    return rest.len == 0;
}
