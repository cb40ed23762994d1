/* Text to text: no tree, numbers and escapes stay as they were written. The input was checked, so
 * its depth bounds the recursion. */
#include "lib/json_scan.h"

#include <stdlib.h>

#include "lib/failpoint.h"

bool kt_json_compact(struct kt_json value, struct kt_buf *out)
{
    if (kt_json_type(value) == KT_JSON_NONE)
        return false;
    const unsigned char *at = (const unsigned char *)value.at, *end = at + value.len;
    const unsigned char *run = at;
    while (at < end) {
        if (*at == '"') {
            at = kt_json_value_end(at, end);
        } else if (json_space(*at)) {
            kt_buf_add(out, run, (size_t)(at - run));
            run = at = json_skip_space(at, end);
        } else {
            at++;
        }
    }
    kt_buf_add(out, run, (size_t)(at - run));
    return kt_buf_ok(out);
}

/* Writes "," between members and the member's key. */
static void begin_member(struct kt_buf *out, bool *any, struct kt_json key)
{
    if (*any)
        kt_buf_add_char(out, ',');
    *any = true;
    kt_buf_add_bytes(out, kt_json_bytes(key));
    kt_buf_add_char(out, ':');
}

/* ---- RFC 7396 ---- */

struct change {
    uint64_t hash;
    struct kt_json key, value;
    bool used;
};

static int by_hash(const void *a, const void *b)
{
    const struct change *l = a, *r = b;
    return (l->hash > r->hash) - (l->hash < r->hash);
}

/* The members of a patch, sorted by hash. Nested loops over both objects would let a body of a few
 * thousand keys cost seconds. */
static bool index_patch(struct kt_json patch, struct change **ret, size_t *ret_count)
{
    size_t count = kt_json_count(patch), i = 0;
    struct change *changes = kt_calloc(count + 1, sizeof *changes);
    if (changes == NULL)
        return false;
    struct kt_json_iter it = kt_json_iter(patch);
    while (i < count && kt_json_next(&it))
        changes[i++] =
            (struct change){kt_json_key_hash(kt_json_raw(it.key)), it.key, it.value, false};
    qsort(changes, count, sizeof *changes, by_hash);
    *ret = changes;
    *ret_count = count;
    return true;
}

static struct change *find_change(struct change *changes, size_t count, struct kt_json key)
{
    struct kt_bytes raw = kt_json_raw(key);
    uint64_t hash = kt_json_key_hash(raw);
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (changes[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < count && changes[low].hash == hash; low++) {
        if (kt_json_raw_equal(kt_json_raw(changes[low].key), raw))
            return &changes[low];
    }
    return NULL;
}

// NOLINTBEGIN(misc-no-recursion): checked text is at most 256 levels deep
static void merge(struct kt_json target, struct kt_json patch, struct kt_buf *out);

static void merge_members(struct kt_json target, struct kt_json patch, struct change *changes,
                          size_t count, struct kt_buf *out)
{
    bool any = false;
    kt_buf_add_char(out, '{');
    struct kt_json_iter it = kt_json_iter(target);
    while (kt_json_next(&it)) {
        struct change *change = find_change(changes, count, it.key);
        if (change != NULL)
            change->used = true;
        if (change != NULL && kt_json_type(change->value) == KT_JSON_NULL)
            continue;
        begin_member(out, &any, it.key);
        if (change == NULL)
            (void)kt_json_compact(it.value, out); /* out remembers */
        else
            merge(it.value, change->value, out);
    }
    it = kt_json_iter(patch);
    while (kt_json_next(&it)) {
        const struct change *change = find_change(changes, count, it.key);
        if (change == NULL || change->used || kt_json_type(it.value) == KT_JSON_NULL)
            continue;
        begin_member(out, &any, it.key);
        merge((struct kt_json){0}, it.value, out);
    }
    kt_buf_add_char(out, '}');
}

static void merge(struct kt_json target, struct kt_json patch, struct kt_buf *out)
{
    if (kt_json_type(patch) != KT_JSON_OBJECT) {
        (void)kt_json_compact(patch, out); /* out remembers */
        return;
    }
    if (kt_json_type(target) != KT_JSON_OBJECT)
        target = (struct kt_json){0};
    struct change *changes = NULL;
    size_t count = 0;
    if (!kt_buf_ok(out))
        return;
    if (!index_patch(patch, &changes, &count)) {
        out->failed = true;
        return;
    }
    merge_members(target, patch, changes, count, out);
    free(changes);
}

// NOLINTEND(misc-no-recursion)

bool kt_json_merge_patch(struct kt_json target, struct kt_json patch, struct kt_buf *out)
{
    if (kt_json_type(patch) == KT_JSON_NONE)
        return false;
    merge(target, patch, out);
    return kt_buf_ok(out);
}

/* ---- subkeys ---- */

// NOLINTBEGIN(misc-no-recursion): as above
static void subkeys(struct kt_json object, unsigned level, unsigned depth, struct kt_buf *out)
{
    bool any = false;
    kt_buf_add_char(out, '{');
    struct kt_json_iter it = kt_json_iter(object);
    while (kt_json_next(&it)) {
        begin_member(out, &any, it.key);
        bool deeper = kt_json_type(it.value) == KT_JSON_OBJECT && (depth == 0 || level < depth);
        struct kt_json_iter inner = kt_json_iter(it.value);
        if (deeper && kt_json_next(&inner))
            subkeys(it.value, level + 1, depth, out);
        else
            kt_buf_add_text(out, "null");
    }
    kt_buf_add_char(out, '}');
}

// NOLINTEND(misc-no-recursion)

bool kt_json_subkeys(struct kt_json value, unsigned depth, struct kt_buf *out)
{
    if (kt_json_type(value) == KT_JSON_NONE)
        return false;
    if (kt_json_type(value) == KT_JSON_OBJECT)
        subkeys(value, 1, depth, out);
    else
        kt_buf_add_text(out, "null");
    return kt_buf_ok(out);
}
