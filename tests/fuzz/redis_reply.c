/* tests/fuzz/redis_reply.c - what a Redis server sends: a whole reply within the limits whose items
 * stand one behind the other, or none; a user whose hashes are hashes; servers that have a place. */
#include "lib/assert.h"
#include "lib/driver/form.h"
#include "lib/driver/redis_members.h"
#include "lib/driver/redis_user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Counted by the items, the reply has to end where it was said to. */
static void walk(struct kt_bytes reply)
{
    struct kt_bytes rest = reply, skipped = reply;
    struct resp item;
    int64_t wanted = 1, items = 0;
    while (wanted > 0) {
        KT_ASSERT(kt_resp_next(&rest, &item));
        wanted += (item.type == RESP_LIST ? item.number : 0) - 1;
        KT_ASSERT(++items <= (int64_t)RESP_ITEMS_MAX);
    }
    KT_ASSERT(rest.len == 0);
    KT_ASSERT(kt_resp_skip(&skipped) && skipped.len == 0);
}

static void servers(struct kt_bytes reply)
{
    struct redis_members one = {.n = 0}, all = {.n = 0};
    KT_ASSERT(!kt_redis_master_read(reply, &one) || one.n == 1);
    (void)kt_redis_replicas_read(reply, &all);
    KT_ASSERT(all.n <= reply.len && one.n <= 1);
    for (size_t i = 0; i < all.n && i < REDIS_MEMBERS_MAX; i++)
        KT_ASSERT(all.at[i].host.len > 0 && all.at[i].port > 0 && all.at[i].port <= 65535);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_bytes bytes = kt_bytes(data, size);
    size_t len = 0, again = 0;
    if (kt_resp_whole(bytes, &len) != RESP_WHOLE)
        return 0;
    KT_ASSERT(len > 0 && len <= size);
    struct kt_bytes reply = kt_bytes(data, len);
    KT_ASSERT(kt_resp_whole(reply, &again) == RESP_WHOLE && again == len);
    KT_ASSERT(kt_resp_whole(kt_bytes(data, len - 1), &again) == RESP_MORE);
    walk(reply);
    servers(reply);
    struct redis_user user;
    uint32_t sessions = 0;
    if (kt_redis_user_read(reply, &user))
        for (size_t i = 0; i < user.n_hashes && i < REDIS_HASHES_MAX; i++)
            KT_ASSERT(kt_form_is(FORM_SHA256, user.hashes[i]) &&
                      kt_redis_user_has(&user, user.hashes[i]));
    if (kt_redis_sessions_read(reply, "app", &sessions))
        KT_ASSERT(sessions <= len);
    return 0;
}
