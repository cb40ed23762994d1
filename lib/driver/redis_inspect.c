/* lib/driver/redis_inspect.c - see lib/driver/redis_inspect.h. */
#include "lib/driver/redis_inspect.h"

struct inspection {
    const struct driver_run *run;
    struct redis_session *s;
    struct driver_result *ret;
};

/* What is not allowed is told and passed over; a connection that broke is a failure. */
static bool cannot_see(struct inspection *c, const char *what)
{
    kt_driver_finding(c->run, c->ret, "%s", what);
    return c->s->stream.is_open || kt_redis_fail(c->s, c->ret, "inspecting");
}

static const char *text(const char *maybe)
{
    return maybe == NULL ? "" : maybe;
}

static bool is_empty_setting(const struct redis_session *s)
{
    struct kt_bytes rest = s->reply;
    struct resp item = {.type = RESP_NIL};
    while (kt_resp_next(&rest, &item))
        continue;
    return item.type == RESP_BULK && item.text.len == 0;
}

/* "config_file:/etc/redis/redis.conf", with nothing behind the colon when there is none. */
static bool has_config_file(const struct redis_session *s)
{
    static const char key[] = "\nconfig_file:";
    const unsigned char *at = memmem(s->reply.at, s->reply.len, key, sizeof(key) - 1);
    return at != NULL && at[sizeof(key) - 1] != '\r' && at[sizeof(key) - 1] != '\n';
}

/* A server that has nowhere to write its users forgets them when it is restarted. */
static bool check_durable(struct inspection *c)
{
    if (!KT_REDIS_ASK(c->s, kt_str("CONFIG"), kt_str("GET"), kt_str("aclfile")))
        return cannot_see(c, "it cannot be seen whether the server writes its users down: grant "
                             "+config|get");
    if (!is_empty_setting(c->s))
        return true;
    if (!KT_REDIS_ASK(c->s, kt_str("INFO"), kt_str("server")))
        return cannot_see(c, "the server has no ACL file, and whether it has a configuration file "
                             "cannot be seen: grant +info");
    return has_config_file(c->s) ||
           kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, DRIVER_UNFIT,
                         "the server has neither an ACL file nor a configuration file: what is "
                         "changed would be forgotten when it is restarted; set aclfile");
}

static bool check_mode(struct inspection *c)
{
    if (c->s->mode[0] == '\0' || strcmp(c->s->mode, "standalone") == 0)
        return true;
    return kt_driver_say(c->run, c->ret, DRIVER_PERMANENT, DRIVER_UNFIT,
                         "the server does not stand alone (mode %s): users are not replicated, and of a cluster not all "
                         "its nodes are known; for Sentinels: secretctl target set TARGET sentinels=",
                         c->s->mode);
}

static bool count_sessions(struct inspection *c)
{
    if (!KT_REDIS_ASK(c->s, kt_str("CLIENT"), kt_str("LIST")))
        return cannot_see(c, "sessions cannot be counted: grant +client|list");
    return kt_redis_sessions_read(c->s->reply, c->run->step->account, &c->ret->sessions) ||
           kt_driver_say(c->run, c->ret, DRIVER_UNREACH, "protocol",
                         "the server's CLIENT LIST is not understood");
}

static void judge_user(struct inspection *c, const char *name, const struct redis_user *user)
{
    struct kt_bytes keep = c->run->step->keep_part;
    if (!user->there) {
        kt_driver_finding(c->run, c->ret, "there is no user '%s'", name);
        return;
    }
    if (user->nopass)
        kt_driver_finding(c->run, c->ret, "'%s' needs no password (nopass)", name);
    if (keep.len == 0)
        return;
    if (!user->on)
        kt_driver_finding(c->run, c->ret, "'%s' is off", name);
    size_t strange = user->n_hashes - (kt_redis_user_has(user, keep) ? 1u : 0u);
    if (strange > 0) /* how many, and nothing of their hashes: a report is read by many */
        kt_driver_finding(c->run, c->ret,
                          "'%s' accepts passwords that the vault does not have as current: %zu", name,
                          strange);
}

static bool compare(struct inspection *c, const struct redis_user *one)
{
    const char *other = text(c->run->step->other_account);
    struct redis_user two;
    if (other[0] == '\0')
        return true;
    if (!kt_redis_read_user(c->s, other, &two))
        return kt_redis_fail(c->s, c->ret, "inspecting its sibling");
    judge_user(c, other, &two);
    if (two.there &&
        !(kt_bytes_equal(one->commands, two.commands) && kt_bytes_equal(one->keys, two.keys) &&
          kt_bytes_equal(one->channels, two.channels)))
        kt_driver_finding(c->run, c->ret, "'%s' and '%s' have different rights: compare ACL LIST",
                          c->run->step->account, other);
    return true;
}

bool kt_redis_inspect(struct redis_session *s, struct driver_result *ret)
{
    struct inspection c = {s->run, s, ret};
    struct redis_user user;
    if (!check_mode(&c))
        return false;
    if (!kt_redis_read_user(s, s->run->step->account, &user))
        return kt_redis_fail(s, ret, "inspecting");
    if (!user.there) /* nor does DRIVER_CREATE make it */
        return kt_driver_say(s->run, ret, DRIVER_PERMANENT, DRIVER_UNFIT,
                             "there is no user '%s': make it with its rights, ACL SETUSER %s off ~... +...",
                             s->run->step->account, s->run->step->account);
    judge_user(&c, s->run->step->account, &user);
    return compare(&c, &user) && check_durable(&c) && count_sessions(&c);
}
