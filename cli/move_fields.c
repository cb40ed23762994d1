/* cli/move_fields.c - see cli/move_fields.h. */
#include "cli/move_fields.h"

bool move_field_is_empty(struct kt_json value)
{
    enum kt_json_type type = kt_json_type(value);
    bool truth = true;
    int64_t number = 1;
    if (type == KT_JSON_ARRAY || type == KT_JSON_OBJECT)
        return kt_json_count(value) == 0;
    return type == KT_JSON_NONE || type == KT_JSON_NULL || kt_json_is(value, "") ||
           (kt_json_bool(value, &truth) && !truth) || (kt_json_i64(value, &number) && number == 0);
}

static bool has(struct kt_json list, struct kt_json wanted)
{
    struct kt_json_iter it = kt_json_iter(list);
    while (kt_json_next(&it))
        if (kt_json_equal(it.value, wanted))
            return true;
    return false;
}

static bool same(struct kt_json a, struct kt_json b)
{
    if (move_field_is_empty(a) || move_field_is_empty(b))
        return move_field_is_empty(a) && move_field_is_empty(b);
    if (kt_json_type(a) != KT_JSON_ARRAY || kt_json_type(b) != KT_JSON_ARRAY)
        return kt_json_equal(a, b);
    struct kt_json_iter it = kt_json_iter(a);
    while (kt_json_next(&it))
        if (!has(b, it.value))
            return false;
    return kt_json_count(a) == kt_json_count(b);
}

void move_fields_write(struct kt_jsonw *w, struct kt_json data, const struct move_field *fields)
{
    for (; fields->name != NULL; fields++) {
        struct kt_json value = {0};
        if (kt_json_member(data, fields->name, &value) && kt_json_type(value) != KT_JSON_NULL)
            kt_jsonw_kv_raw(w, fields->name, kt_json_bytes(value));
        else if (fields->empty != NULL)
            kt_jsonw_kv_raw(w, fields->name, kt_str(fields->empty));
    }
}

bool move_fields_equal(struct kt_json a, struct kt_json b, const struct move_field *fields)
{
    for (; fields->name != NULL; fields++) {
        struct kt_json left = {0}, right = {0};
        (void)kt_json_member(a, fields->name, &left);
        (void)kt_json_member(b, fields->name, &right);
        if (!same(left, right))
            return false;
    }
    return true;
}
