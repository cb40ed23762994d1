/* lib/driver/redis_sentinel.c - see lib/driver/redis_sentinel.h. */
#include "lib/driver/redis_sentinel.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>

#include "lib/driver/redis_members.h"
#include "lib/driver/redis_session.h"
#include "lib/driver/server.h"
#include "lib/driver/step.h"

#define NAMED_MAX 3u /* in a text, of the servers that are too many */

/* One of the servers that the target names. */
struct named {
    struct driver_server server;
    struct kt_stream_address addresses[STREAM_ADDRESSES_MAX];
    size_t n_addresses; /* 0: the name has none now */
    size_t hits;        /* members that it is */
};

struct own {
    struct kt_stream_place place; /* first: the session's */
    struct named servers[DRIVER_SERVERS_MAX];
    size_t n_servers;
};

struct question {
    const struct driver_run *run;
    struct driver_result *ret;
    struct redis_session s;
    const struct own *own;
    const char *doing;
};

bool kt_redis_is_sentinel(const struct driver_step *step)
{
    return !kt_step_lacks(step->target.sentinel_master);
}

/* ---- before the sandbox -------------------------------------------------------------------- */

static bool add_server(const struct driver_run *run, struct kt_bytes text, struct own *own, struct driver_result *ret)
{
    struct named *named = &own->servers[own->n_servers];
    enum kt_kind kind = own->n_servers == DRIVER_SERVERS_MAX
                            ? KT_INVALID
                            : kt_server_parse(text, 1, run->arena, &named->server, NULL);
    if (kind == KT_NO_MEMORY)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
    if (kind != KT_OK)
        return kt_driver_say(run, ret, DRIVER_PERMANENT, "step", "the target's servers cannot be read");
    own->n_servers++;
    int error = 0;
    if (named->server.host[0] != '/')
        named->n_addresses = kt_stream_addresses(named->server.host, named->server.port, named->addresses, &error);
    return true;
}

static bool add_servers(const struct driver_run *run, struct own *own, struct driver_result *ret)
{
    struct kt_bytes rest = kt_str(kt_step_text(run->step->target.servers));
    while (rest.len > 0) {
        const unsigned char *end = memchr(rest.at, ',', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.at);
        if (!add_server(run, kt_bytes(rest.at, len), own, ret))
            return false;
        len += end == NULL ? 0u : 1u;
        rest = kt_bytes(rest.at + len, rest.len - len);
    }
    return kt_step_whole(run, own->n_servers == 0 ? "the target's servers" : NULL, ret);
}

bool kt_redis_sentinel_prepare(struct driver_run *run, struct driver_result *ret)
{
    const struct driver_step *step = run->step;
    bool place = !kt_step_lacks(step->target.host) && step->target.host[0] != '/' && step->target.port != 0;
    if (!kt_step_whole(run, step->op != DRIVER_INSPECT ? "a Redis server: a Sentinel is only asked" : NULL, ret) ||
        !kt_step_whole(run, place ? NULL : "the Sentinel's host or port", ret))
        return false;
    struct own *own = kt_arena_take(run->arena, sizeof(*own));
    if (own == NULL)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
    *own = (struct own){.n_servers = 0};
    run->own = own;
    return kt_stream_find(run, &own->place, ret) && add_servers(run, own, ret);
}

/* ---- what it says --------------------------------------------------------------------------- */

/* Its errors, by what they begin with. */
static const struct {
    const char *prefix, *code, *sentence;
} refusals[] = {
    {"ERR No such master", "nomaster", "it watches no master of that name: sentinel_master"},
    {"NOAUTH", "noauth", "it wants a login, and no Sentinel is sent one"},
    {"NOPERM", "noperm", "it does not tell everybody"},
    {"ERR unknown command", "command", "it is no Sentinel"},
};

static bool failed(struct question *q)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (strncmp(q->s.detail, refusals[i].prefix, strlen(refusals[i].prefix)) == 0)
            return kt_driver_say(q->run, q->ret, DRIVER_PERMANENT, refusals[i].code, "%s: %s", q->doing,
                                 refusals[i].sentence);
    (void)kt_redis_fail(&q->s, q->ret, q->doing);
    if (q->ret->class == DRIVER_REFUSED) /* it has no login of ours that it could refuse */
        q->ret->class = DRIVER_PERMANENT;
    return false;
}

static bool ask_for(struct question *q, const char *what, bool (*read)(struct kt_bytes, struct redis_members *),
                    struct redis_members *ret)
{
    if (!KT_REDIS_ASK(&q->s, kt_str("SENTINEL"), kt_str(what), kt_str(q->run->step->target.sentinel_master)))
        return failed(q);
    const char *kept = kt_arena_text(q->run->arena, q->s.reply);
    if (kept == NULL)
        return kt_driver_say(q->run, q->ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
    return read(kt_bytes(kept, q->s.reply.len), ret) ||
           kt_driver_say(q->run, q->ret, DRIVER_PERMANENT, "protocol", "%s: its SENTINEL %s is not understood", q->doing,
                         what);
}

/* ---- who is who ----------------------------------------------------------------------------- */

static bool is_address(const struct kt_stream_address *address, const char *host, uint32_t port)
{
    struct sockaddr_in four;
    struct sockaddr_in6 six;
    struct in_addr a;
    struct in6_addr b;
    memcpy(&four, &address->at, sizeof(four));
    memcpy(&six, &address->at, sizeof(six));
    if (address->at.ss_family == AF_INET)
        return inet_pton(AF_INET, host, &a) == 1 && a.s_addr == four.sin_addr.s_addr && ntohs(four.sin_port) == port;
    return address->at.ss_family == AF_INET6 && inet_pton(AF_INET6, host, &b) == 1 &&
           memcmp(&b, &six.sin6_addr, sizeof(b)) == 0 && ntohs(six.sin6_port) == port;
}

static bool is_same(const struct named *named, const char *host, uint32_t port)
{
    if (named->server.port == port && strcasecmp(named->server.host, host) == 0)
        return true;
    for (size_t i = 0; i < named->n_addresses; i++)
        if (is_address(&named->addresses[i], host, port))
            return true;
    return false;
}

struct judgement {
    struct named servers[DRIVER_SERVERS_MAX];
    struct kt_buf missing; /* the servers that the target does not name, as far as a text has room */
    size_t n_missing;
};

static void judge_member(struct question *q, const struct redis_member *member, struct judgement *j)
{
    const char *host = kt_arena_text(q->run->arena, member->host);
    bool found = false;
    for (size_t i = 0; i < q->own->n_servers && host != NULL; i++)
        if (is_same(&j->servers[i], host, member->port)) {
            j->servers[i].hits++;
            found = true;
        }
    if (found)
        return;
    if (j->n_missing++ < NAMED_MAX)
        kt_buf_printf(&j->missing, "%s%s:%u%s", j->missing.len == 0 ? "" : ", ", kt_step_text(host), member->port,
                      member->down ? " (down)" : "");
}

/* A name without an address may be the one that is missing. */
static const struct named *unresolved(const struct question *q)
{
    for (size_t i = 0; i < q->own->n_servers; i++)
        if (q->own->servers[i].n_addresses == 0)
            return &q->own->servers[i];
    return NULL;
}

static bool say_missing(struct question *q, struct judgement *j)
{
    const struct named *lost = unresolved(q);
    if (lost != NULL)
        return kt_driver_say(q->run, q->ret, DRIVER_UNREACH, "resolve",
                             "no address for %s, so it cannot be told whether it is %s, which the Sentinel knows",
                             lost->server.name, kt_buf_text(&j->missing));
    const char *more = j->n_missing > NAMED_MAX ? " and more" : "";
    return kt_driver_say(q->run, q->ret, DRIVER_PERMANENT, DRIVER_UNFIT,
                         "the Sentinel knows %s%s, not named in hosts=: it would keep the old password. Name all: secretctl "
                         "target set TARGET hosts=...; what is gone for good the Sentinels forget by SENTINEL RESET %s",
                         kt_buf_text(&j->missing), more, q->run->step->target.sentinel_master);
}

/* The two answers are two moments: after a failover between them the old primary is in both. */
static bool is_again(const struct redis_members *members, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (members->at[i].port == members->at[at].port && kt_bytes_equal(members->at[i].host, members->at[at].host))
            return true;
    return false;
}

static bool judge(struct question *q, const struct redis_members *members, struct judgement *j)
{
    memcpy(j->servers, q->own->servers, sizeof(j->servers));
    for (size_t i = 0; i < members->n && i < REDIS_MEMBERS_MAX; i++)
        if (!is_again(members, i))
            judge_member(q, &members->at[i], j);
    if (j->n_missing > 0)
        return say_missing(q, j);
    for (size_t i = 0; i < q->own->n_servers; i++) {
        const char *name = j->servers[i].server.name;
        if (j->servers[i].hits > 1) /* only one of its addresses is ever connected to */
            return kt_driver_say(q->run, q->ret, DRIVER_PERMANENT, DRIVER_UNFIT,
                                 "hosts= names %s, which is several of the servers that the Sentinel knows: name each "
                                 "by itself, secretctl target set TARGET hosts=...",
                                 name);
        if (j->servers[i].hits == 0)
            kt_driver_finding(q->run, q->ret, "hosts= names %s, which the Sentinel does not know", name);
    }
    return kt_step_done(q->run, "hosts= names all servers that it knows", q->ret);
}

void kt_redis_sentinel_run(const struct driver_run *run, struct driver_result *ret)
{
    struct question q = {.run = run, .ret = ret, .own = run->own, .s = {.run = run}};
    struct redis_members members = {.n = 0};
    struct judgement j = {.n_missing = 0};
    kt_buf_init(&j.missing, (size_t)NAMED_MAX * (DRIVER_NAME_MAX + 32));
    q.doing = kt_step_phrase(run, "asking for the servers of", run->step->target.sentinel_master);
    if (!kt_redis_connect(run, &q.s))
        (void)failed(&q);
    else if (ask_for(&q, "MASTER", kt_redis_master_read, &members) &&
             ask_for(&q, "REPLICAS", kt_redis_replicas_read, &members))
        (void)judge(&q, &members, &j);
    kt_redis_close(&q.s);
    kt_buf_free(&j.missing);
}
