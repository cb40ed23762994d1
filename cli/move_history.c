/* cli/move_history.c - see cli/move_history.h. */
#include "cli/move_history.h"

#include <stdlib.h>

#include "cli/output.h"
#include "lib/duration.h"
#include "lib/failpoint.h"
#include "lib/num.h"

#define CUSTOM_MAX ((size_t)1024 * 1024)

static int by_number(const void *a, const void *b)
{
    const struct move_version *l = a, *r = b;
    return (l->number > r->number) - (l->number < r->number);
}

static bool read_version(struct kt_json key, struct kt_json value, struct move_version *ret)
{
    uint64_t number = 0;
    kt_autobuf struct kt_buf name = {0};
    kt_buf_init(&name, 64);
    if (!kt_json_string(key, &name) || !kt_u64_parse(kt_buf_bytes(&name), UINT32_MAX - 1, &number) ||
        number == 0)
        return false;
    *ret = (struct move_version){.number = (uint32_t)number,
                                 .created_ms = output_time_of(value, "created_time"),
                                 .deletion_ms = output_time_of(value, "deletion_time")};
    return kt_api_bool(value, "destroyed", &ret->destroyed);
}

static bool read_versions(struct kt_json versions, struct move_history *ret)
{
    size_t room = kt_json_count(versions);
    if (room > MOVE_VERSIONS_MAX)
        return false;
    ret->versions = kt_calloc(room + 1, sizeof *ret->versions);
    if (ret->versions == NULL)
        return false;
    struct kt_json_iter it = kt_json_iter(versions);
    while (kt_json_next(&it))
        if (!read_version(it.key, it.value, &ret->versions[ret->count++]))
            return false;
    qsort(ret->versions, ret->count, sizeof *ret->versions, by_number);
    for (size_t i = 1; i < ret->count; i++)
        if (ret->versions[i - 1].number == ret->versions[i].number)
            return false; /* "1" and "01" */
    return true;
}

static int64_t delete_after(struct kt_json data)
{
    char text[64];
    uint64_t ms = 0;
    if (!kt_api_text(data, "delete_version_after", text, sizeof text))
        return 0;
    if (text[0] == '-')
        return -1;
    return kt_duration_parse(kt_str(text), &ms, NULL) == KT_OK ? (int64_t)ms : 0;
}

enum kt_kind move_history_read(struct kt_json data, struct move_history *ret, struct kt_err *err)
{
    struct kt_json versions = {0}, custom = {0};
    int64_t current = -1;
    *ret = (struct move_history){.exists = true};
    kt_buf_init(&ret->custom, CUSTOM_MAX);
    bool good = kt_api_i64(data, "current_version", &current) && current >= 0 && current < UINT32_MAX &&
                kt_json_member(data, "versions", &versions) && read_versions(versions, ret);
    if (!good) {
        move_history_free(ret);
        return kt_fail(err, KT_CORRUPT, "what the vault tells of the versions cannot be read, or are more than %u",
                       MOVE_VERSIONS_MAX);
    }
    ret->current = (uint32_t)current;
    ret->created_ms = output_time_of(data, "created_time");
    ret->updated_ms = output_time_of(data, "updated_time");
    ret->delete_after_ms = delete_after(data);
    (void)kt_api_i64(data, "max_versions", &ret->max_versions);
    (void)kt_api_bool(data, "cas_required", &ret->cas_required);
    bool some = kt_json_member(data, "custom_metadata", &custom) && kt_json_type(custom) == KT_JSON_OBJECT;
    kt_buf_add_bytes(&ret->custom, some ? kt_json_bytes(custom) : kt_str("{}"));
    if (kt_buf_ok(&ret->custom))
        return KT_OK;
    move_history_free(ret);
    return kt_fail(err, KT_NO_MEMORY, "keeping the metadata");
}

void move_history_free(struct move_history *history)
{
    free(history->versions);
    kt_buf_free(&history->custom);
    *history = (struct move_history){0};
}

const struct move_version *move_history_find(const struct move_history *history, uint32_t number)
{
    struct move_version wanted = {.number = number};
    if (history->count == 0)
        return NULL;
    return bsearch(&wanted, history->versions, history->count, sizeof wanted, by_number);
}

bool move_version_deleted(const struct move_version *version, int64_t now_ms)
{
    return version->deletion_ms != 0 && version->deletion_ms <= now_ms;
}

bool move_history_same_settings(const struct move_history *a, const struct move_history *b)
{
    return a->max_versions == b->max_versions && a->cas_required == b->cas_required &&
           a->delete_after_ms == b->delete_after_ms &&
           kt_json_equal(kt_json_value(kt_buf_bytes(&a->custom)), kt_json_value(kt_buf_bytes(&b->custom)));
}

void move_history_first_settings(const struct move_history *source, int64_t after_ms, struct move_history *ret)
{
    uint32_t first = source->count > 0 ? source->versions[0].number : 1;
    int64_t span = (int64_t)source->current - first + 1;
    *ret = *source;
    ret->delete_after_ms = after_ms;
    ret->cas_required = false;
    if (ret->max_versions < span)
        ret->max_versions = span;
}

/* What is at the destination and was never at the source, or was something else there. */
static bool is_foreign(const struct move_history *source, const struct move_version *v, bool plain)
{
    const struct move_version *there = move_history_find(source, v->number);
    if (there != NULL)
        return !plain && there->created_ms != v->created_ms;
    bool pruned = source->count > 0 && v->number < source->versions[0].number;
    return v->number > source->current || (!pruned && !plain);
}

static bool same_state(const struct move_version *a, const struct move_version *b, int64_t now_ms)
{
    if (a->destroyed || b->destroyed)
        return a->destroyed == b->destroyed;
    return move_version_deleted(a, now_ms) == move_version_deleted(b, now_ms);
}

/* Of a secret that has no version: is it what a move began with, or what somebody else noted down here? */
static bool is_begun(const struct move_history *source, const struct move_history *here, bool plain)
{
    if (move_history_same_settings(source, here))
        return true;
    if (!plain)
        return here->created_ms != 0 && here->created_ms == source->created_ms;
    struct move_history first;
    bool later = source->count > 0 && source->versions[0].deletion_ms != 0 && here->delete_after_ms > 0;
    move_history_first_settings(source, later ? here->delete_after_ms : -1, &first);
    return source->current > 0 && move_history_same_settings(&first, here);
}

enum move_relation move_history_compare(const struct move_history *source, const struct move_history *here,
                                        bool plain, int64_t now_ms)
{
    if (!here->exists)
        return MOVE_NOTHING;
    for (size_t i = 0; i < here->count; i++)
        if (is_foreign(source, &here->versions[i], plain))
            return MOVE_OTHER;
    if (here->count == 0 && !is_begun(source, here, plain))
        return MOVE_OTHER;
    bool equal = here->current == source->current && move_history_same_settings(source, here);
    for (size_t i = 0; plain && i < here->count; i++)
        equal = equal && (here->versions[i].destroyed || move_history_find(source, here->versions[i].number) != NULL);
    for (size_t i = 0; i < source->count; i++) {
        const struct move_version *v = &source->versions[i];
        const struct move_version *mine = move_history_find(here, v->number);
        if (mine == NULL && v->number <= here->current)
            return MOVE_OTHER; /* it was there, and went: what comes cannot be put before what is there */
        equal = equal && mine != NULL && same_state(v, mine, now_ms);
        /* A destroyed version does not come back. */
        if (mine != NULL && mine->destroyed && !v->destroyed)
            return MOVE_OTHER;
    }
    return equal ? MOVE_EQUAL : MOVE_BEHIND;
}
