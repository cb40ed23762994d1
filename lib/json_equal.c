/* Do two values say the same, whatever the order of their members and the spelling of their strings? */
#include "lib/json.h"

static bool strings_equal(struct kt_json a, struct kt_json b)
{
    kt_autobuf struct kt_buf left = {0};
    kt_autobuf struct kt_buf right = {0};
    kt_buf_init(&left, a.len + 1);
    kt_buf_init(&right, b.len + 1);
    return kt_json_string(a, &left) && kt_json_string(b, &right) &&
           kt_bytes_equal(kt_buf_bytes(&left), kt_buf_bytes(&right));
}

static bool arrays_equal(struct kt_json a, struct kt_json b)
{
    struct kt_json_iter left = kt_json_iter(a), right = kt_json_iter(b);
    for (;;) {
        bool more = kt_json_next(&left);
        if (kt_json_next(&right) != more)
            return false;
        if (!more)
            return true;
        if (!kt_json_equal(left.value, right.value))
            return false;
    }
}

static bool objects_equal(struct kt_json a, struct kt_json b)
{
    struct kt_json_iter it = kt_json_iter(a);
    if (kt_json_count(a) != kt_json_count(b))
        return false;
    while (kt_json_next(&it)) {
        kt_autobuf struct kt_buf name = {0};
        struct kt_json other = {0};
        kt_buf_init(&name, it.key.len + 1);
        if (!kt_json_string(it.key, &name) || !kt_json_member(b, kt_buf_text(&name), &other) ||
            !kt_json_equal(it.value, other))
            return false;
    }
    return true;
}

bool kt_json_equal(struct kt_json a, struct kt_json b)
{
    enum kt_json_type type = kt_json_type(a);
    if (type != kt_json_type(b))
        return false;
    if (kt_bytes_equal(kt_json_bytes(a), kt_json_bytes(b)))
        return true;
    switch (type) {
    case KT_JSON_STRING:
        return strings_equal(a, b);
    case KT_JSON_ARRAY:
        return arrays_equal(a, b);
    case KT_JSON_OBJECT:
        return objects_equal(a, b);
    case KT_JSON_NONE:
    case KT_JSON_NULL:
    case KT_JSON_BOOL:
    case KT_JSON_NUMBER:
        break;
    }
    return false;
}
