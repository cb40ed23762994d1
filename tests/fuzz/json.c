/* The pre-scan against jansson, and the readers on what it accepted. */
#include "lib/json.h"

#include "lib/assert.h"
#include "lib/jsonw.h"
#include "tests/fuzz/fuzz.h"

/* jansson's limits lie elsewhere. */
static const struct kt_json_limits wide = {1u << 20, 250, 1u << 20, 1u << 20, 1u << 20, 1u << 20};

/* jansson accepts what we accept but for numbers out of its range, and refuses what we refuse but
 * for limits and for a raw NUL after a number (`[0\0,1]`), which its reader loses. */
static void compare(struct kt_bytes text)
{
    struct kt_json_fault fault = {0};
    bool accepted = kt_json_find_fault(text, &wide, &fault) == KT_OK;
    json_error_t error;
    json_t *tree = json_loadb((const char *)text.at, text.len,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (accepted)
        KT_ASSERT(tree != NULL || json_error_code(&error) == json_error_numeric_overflow);
    else if (fault.limit == 0 && memchr(text.at, '\0', text.len) == NULL)
        KT_ASSERT(tree == NULL);
    json_decref(tree);
}

/* Writes the value again by way of every reader, and decodes each string both ways. */
static void rewrite(struct kt_json value, struct kt_buf *out)
{
    bool truth = false;
    int64_t number = 0;
    struct kt_json_iter it = kt_json_iter(value);
    size_t count = kt_json_count(value);
    switch (kt_json_type(value)) {
    case KT_JSON_NONE:
        KT_ASSERT(false);
        break;
    case KT_JSON_NULL:
        KT_ASSERT(value.len == 4);
        break;
    case KT_JSON_BOOL:
        KT_ASSERT(kt_json_bool(value, &truth) && value.len == (truth ? 4 : 5));
        break;
    case KT_JSON_NUMBER:
        if (kt_json_i64(value, &number))
            KT_ASSERT(value.len <= 20);
        break;
    case KT_JSON_STRING: {
        struct kt_buf text, again;
        kt_buf_init(&text, 1u << 20);
        kt_buf_init(&again, 1u << 23);
        KT_ASSERT(kt_json_string(value, &text));
        KT_ASSERT(kt_json_is(value, kt_buf_text(&text)));
        struct kt_jsonw w = kt_jsonw(&again);
        kt_jsonw_bytes(&w, kt_buf_bytes(&text));
        KT_ASSERT(kt_json_check(kt_buf_bytes(&again), &wide, NULL) == KT_OK);
        KT_ASSERT(kt_json_is(kt_json_value(kt_buf_bytes(&again)), kt_buf_text(&text)));
        kt_buf_free(&text);
        kt_buf_free(&again);
        break;
    }
    case KT_JSON_ARRAY:
    case KT_JSON_OBJECT:
        kt_buf_add_char(out, it.object ? '{' : '[');
        for (size_t i = 0; i < count; i++) {
            KT_ASSERT(kt_json_next(&it));
            kt_buf_add_text(out, i > 0 ? "," : "");
            if (it.object) {
                rewrite(it.key, out);
                kt_buf_add_char(out, ':');
            }
            rewrite(it.value, out);
        }
        KT_ASSERT(!kt_json_next(&it));
        kt_buf_add_char(out, it.object ? '}' : ']');
        return;
    }
    kt_buf_add_bytes(out, kt_json_bytes(value));
}

/* Whatever the bytes, what the writer makes of them is JSON (NUL apart, which the check refuses).
 */
static void write_bytes(struct kt_bytes text)
{
    struct kt_buf out;
    kt_buf_init(&out, 1u << 23);
    struct kt_jsonw w = kt_jsonw(&out);
    kt_jsonw_array(&w);
    kt_jsonw_bytes(&w, text);
    kt_jsonw_end(&w);
    if (memchr(text.at, '\0', text.len) == NULL)
        KT_ASSERT(kt_json_check(kt_buf_bytes(&out), &wide, NULL) == KT_OK);
    kt_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_bytes text = kt_bytes(data, size);
    struct kt_err err = {0};
    bool accepted = kt_json_check(text, &wide, &err) == KT_OK;
    KT_ASSERT(accepted || kt_json_check(text, NULL, &err) != KT_OK);
    compare(text);
    write_bytes(text);
    if (!accepted)
        return 0;
    struct kt_buf walked, compact, keys;
    kt_buf_init(&walked, 1u << 23);
    kt_buf_init(&compact, 1u << 23);
    kt_buf_init(&keys, 1u << 23);
    struct kt_json value = kt_json_value(text);
    rewrite(value, &walked);
    KT_ASSERT(kt_json_compact(value, &compact));
    KT_ASSERT(kt_bytes_equal(kt_buf_bytes(&walked), kt_buf_bytes(&compact)));
    KT_ASSERT(kt_json_check(kt_buf_bytes(&compact), &wide, NULL) == KT_OK);
    KT_ASSERT(kt_json_subkeys(value, size % 4, &keys));
    KT_ASSERT(kt_json_check(kt_buf_bytes(&keys), &wide, NULL) == KT_OK);
    kt_buf_free(&walked);
    kt_buf_free(&compact);
    kt_buf_free(&keys);
    return 0;
}
