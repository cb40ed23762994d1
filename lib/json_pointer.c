#include "lib/json_pointer.h"

#include "lib/num.h"

bool kt_json_pointer_is(const char *pointer)
{
    size_t len = strlen(pointer);
    if (len > JSON_POINTER_MAX || (len > 0 && pointer[0] != '/'))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (pointer[i] == '~' && pointer[i + 1] != '0' && pointer[i + 1] != '1')
            return false;
    }
    return true;
}

/* The name up to the next '/', its escapes taken back. */
static size_t take_name(const char *at, char name[JSON_POINTER_MAX + 1])
{
    size_t len = strcspn(at, "/"), n = 0;
    for (size_t i = 0; i < len; i++) {
        name[n] = at[i];
        if (at[i] == '~')
            name[n] = "~/"[at[++i] == '1'];
        n++;
    }
    name[n] = '\0';
    return len;
}

static bool nth(struct kt_json array, const char *name, struct kt_json *ret)
{
    uint64_t index = 0;
    if (!kt_u64_parse(kt_str(name), UINT32_MAX, &index))
        return false;
    struct kt_json_iter it = kt_json_iter(array);
    while (kt_json_next(&it)) {
        if (index-- == 0) {
            *ret = it.value;
            return true;
        }
    }
    return false;
}

bool kt_json_pointer(struct kt_json document, const char *pointer, struct kt_json *ret)
{
    char name[JSON_POINTER_MAX + 1];
    struct kt_json at = document;
    if (!kt_json_pointer_is(pointer))
        return false;
    while (*pointer == '/') {
        pointer += 1 + take_name(pointer + 1, name);
        bool there = kt_json_type(at) == KT_JSON_ARRAY ? nth(at, name, &at) : kt_json_member(at, name, &at);
        if (!there)
            return false;
    }
    *ret = at;
    return true;
}
