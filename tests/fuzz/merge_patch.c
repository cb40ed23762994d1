/* Input: a target, a 0x1e byte, a patch. The result is valid, merging the same patch again changes
 * nothing, and it equals what the algorithm of RFC 7396 makes of jansson trees. */
#include "lib/json.h"

#include "lib/assert.h"
#include "tests/fuzz/fuzz.h"

/* RFC 7396, section 2. Takes target, which may be NULL; returns a new reference. */
static json_t *reference(json_t *target, json_t *patch)
{
    if (!json_is_object(patch)) {
        json_decref(target);
        return json_incref(patch);
    }
    if (!json_is_object(target)) {
        json_decref(target);
        target = json_object();
    }
    const char *key;
    json_t *change;
    json_object_foreach(patch, key, change)
    {
        if (json_is_null(change))
            (void)json_object_del(target, key);
        else
            KT_ASSERT(json_object_set_new(
                          target, key,
                          reference(json_incref(json_object_get(target, key)), change)) == 0);
    }
    return target;
}

static json_t *load(struct kt_bytes text)
{
    return json_loadb((const char *)text.at, text.len, JSON_DECODE_ANY, NULL);
}

static void compare(struct kt_bytes target, struct kt_bytes patch, struct kt_bytes result)
{
    json_t *change = load(patch), *got = load(result), *from = load(target);
    if (change != NULL && from != NULL) { /* NULL: a number is out of jansson's range */
        json_t *wanted = reference(json_deep_copy(from), change);
        KT_ASSERT(json_equal(wanted, got));
        json_decref(wanted);
    }
    json_decref(from);
    json_decref(change);
    json_decref(got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *mark = memchr(data, 0x1e, size);
    if (mark == NULL)
        return 0;
    struct kt_bytes target = kt_bytes(data, (size_t)(mark - data));
    struct kt_bytes patch = kt_bytes(mark + 1, size - target.len - 1);
    if (kt_json_check(target, NULL, NULL) != KT_OK || kt_json_check(patch, NULL, NULL) != KT_OK)
        return 0;
    struct kt_buf once, twice;
    kt_buf_init(&once, 1u << 23);
    kt_buf_init(&twice, 1u << 23);
    KT_ASSERT(kt_json_merge_patch(kt_json_value(target), kt_json_value(patch), &once));
    struct kt_bytes result = kt_buf_bytes(&once);
    KT_ASSERT(kt_json_check(result, NULL, NULL) == KT_OK);
    KT_ASSERT(kt_json_merge_patch(kt_json_value(result), kt_json_value(patch), &twice));
    KT_ASSERT(kt_bytes_equal(result, kt_buf_bytes(&twice)));
    compare(target, patch, result);
    kt_buf_free(&once);
    kt_buf_free(&twice);
    return 0;
}
