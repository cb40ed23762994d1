/* lib/driver/redis_user.c - see lib/driver/redis_user.h. */
#include "lib/driver/redis_user.h"

#include "lib/driver/form.h"

static bool read_flags(struct kt_bytes *rest, int64_t n, struct redis_user *user)
{
    struct resp item;
    for (int64_t i = 0; i < n; i++) {
        if (!kt_resp_next(rest, &item) || item.type == RESP_LIST)
            return false;
        user->on = user->on || kt_bytes_is(item.text, "on");
        user->nopass = user->nopass || kt_bytes_is(item.text, "nopass");
    }
    return true;
}

static bool read_hashes(struct kt_bytes *rest, int64_t n, struct redis_user *user)
{
    struct resp item;
    for (int64_t i = 0; i < n; i++) {
        if (!kt_resp_next(rest, &item) || !kt_form_is(FORM_SHA256, item.text))
            return false;
        if (user->n_hashes < REDIS_HASHES_MAX)
            user->hashes[user->n_hashes] = item.text;
        user->n_hashes++;
    }
    return true;
}

/* One pair of name and value. */
static bool read_member(struct kt_bytes *rest, struct redis_user *user)
{
    struct resp name, value;
    const struct {
        const char *name;
        struct kt_bytes *at;
    } texts[] = {{"commands", &user->commands}, {"keys", &user->keys},
                 {"channels", &user->channels}};
    if (!kt_resp_next(rest, &name) || name.type == RESP_LIST)
        return false;
    struct kt_bytes after = *rest;
    if (!kt_resp_skip(&after) || !kt_resp_next(rest, &value))
        return false;
    bool list = value.type == RESP_LIST;
    if (list && kt_bytes_is(name.text, "flags"))
        return read_flags(rest, value.number, user);
    if (list && kt_bytes_is(name.text, "passwords"))
        return read_hashes(rest, value.number, user);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (kt_bytes_is(name.text, texts[i].name)) /* a list (Redis 6): compared as it stands */
            *texts[i].at = list ? kt_bytes(rest->at, (size_t)(after.at - rest->at)) : value.text;
    *rest = after;
    return true;
}

bool kt_redis_user_read(struct kt_bytes reply, struct redis_user *ret)
{
    struct redis_user user = {.there = true};
    struct kt_bytes rest = reply;
    struct resp head;
    if (!kt_resp_next(&rest, &head))
        return false;
    if (head.type == RESP_NIL) {
        *ret = (struct redis_user){.there = false};
        return rest.len == 0;
    }
    if (head.type != RESP_LIST || head.number % 2 != 0)
        return false;
    for (int64_t i = 0; i < head.number; i += 2)
        if (!read_member(&rest, &user))
            return false;
    *ret = user;
    return rest.len == 0;
}

bool kt_redis_user_has(const struct redis_user *user, struct kt_bytes hash)
{
    for (size_t i = 0; i < user->n_hashes && i < REDIS_HASHES_MAX; i++)
        if (kt_bytes_equal(user->hashes[i], hash))
            return true;
    return false;
}

/* "id=3 addr=127.0.0.1:4711 ... user=app ..." */
static bool line_is_of(struct kt_bytes line, const char *user, size_t len)
{
    static const char key[] = " user=";
    const size_t key_len = sizeof(key) - 1;
    for (size_t i = 0; i + key_len + len <= line.len; i++) {
        if (memcmp(line.at + i, key, key_len) != 0)
            continue;
        size_t end = i + key_len + len;
        if (memcmp(line.at + i + key_len, user, len) == 0 &&
            (end == line.len || line.at[end] == ' ' || line.at[end] == '\n' ||
             line.at[end] == '\r'))
            return true;
    }
    return false;
}

bool kt_redis_sessions_read(struct kt_bytes reply, const char *user, uint32_t *ret)
{
    struct kt_bytes rest = reply;
    struct resp item;
    size_t len = strlen(user);
    if (!kt_resp_next(&rest, &item) || item.type != RESP_BULK || rest.len != 0)
        return false;
    *ret = 0;
    for (struct kt_bytes text = item.text; text.len > 0;) {
        const unsigned char *end = memchr(text.at, '\n', text.len);
        size_t line = end == NULL ? text.len : (size_t)(end - text.at);
        *ret += line_is_of(kt_bytes(text.at, line), user, len) ? 1u : 0u;
        line += end == NULL ? 0u : 1u;
        text = kt_bytes(text.at + line, text.len - line);
    }
    return true;
}
