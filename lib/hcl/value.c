#include "lib/duration.h"
#include "lib/hcl/tree.h"
#include "lib/num.h"

/* key NULL: unknown */
static enum kt_kind wrong(const struct kt_hcl_value *value, const char *key, const char *wanted,
                          struct kt_err *err)
{
    static const char *const found[] = {
        [KT_HCL_STRING] = "this string", [KT_HCL_NUMBER] = "this number",
        [KT_HCL_BOOL] = "true or false", [KT_HCL_LIST] = "a list",
        [KT_HCL_OBJECT] = "a block",
    };
    if (key == NULL)
        return kt_hcl_fail(value->pos, err, "expected %s, not %s", wanted, found[value->type]);
    return kt_hcl_fail(value->pos, err, "'%s' must be %s, not %s", key, wanted, found[value->type]);
}

static enum kt_kind as_text(const struct kt_hcl_value *value, const char *key, const char **ret,
                            struct kt_err *err)
{
    if (value->type != KT_HCL_STRING)
        return wrong(value, key, "a string in double quotes", err);
    *ret = value->text;
    return KT_OK;
}

static enum kt_kind as_bool(const struct kt_hcl_value *value, const char *key, bool *ret,
                            struct kt_err *err)
{
    static const char *const words[2][6] = {{"0", "f", "F", "false", "FALSE", "False"},
                                            {"1", "t", "T", "true", "TRUE", "True"}};
    if (value->type == KT_HCL_BOOL) {
        *ret = value->truth;
        return KT_OK;
    }
    size_t count = value->type == KT_HCL_STRING ? 6 : value->type == KT_HCL_NUMBER ? 1 : 0;
    for (size_t truth = 0; truth < 2; truth++) {
        for (size_t i = 0; i < count; i++) {
            if (strcmp(value->text, words[truth][i]) == 0) {
                *ret = truth == 1;
                return KT_OK;
            }
        }
    }
    return wrong(value, key, "true or false", err);
}

/* Digits of one base, without sign or prefix. */
static bool digits(const char *text, unsigned base, uint64_t *ret)
{
    uint64_t sum = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        /* What is no digit becomes large. */
        unsigned d = c <= '9' ? c - 48u : (c | 0x20u) - 97u + 10u;
        if (d >= base || __builtin_mul_overflow(sum, (uint64_t)base, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)d, &sum))
            return false;
    }
    *ret = sum;
    return true;
}

/* Decimal, 0x hexadecimal, 0 octal. */
static bool whole(const char *text, int64_t *ret)
{
    bool negative = text[0] == '-';
    text += negative;
    unsigned base = 10;
    if (text[0] == '0' && text[1] != '\0') {
        base = (text[1] | 0x20) == 'x' ? 16 : 8;
        text += base == 16 ? 2 : 1;
    }
    uint64_t size = 0;
    if (!digits(text, base, &size) || size > (uint64_t)INT64_MAX + negative)
        return false;
    *ret = !negative || size == 0 ? (int64_t)size : -(int64_t)(size - 1) - 1;
    return true;
}

static enum kt_kind as_int(const struct kt_hcl_value *value, const char *key, int64_t min,
                           int64_t max, int64_t *ret, struct kt_err *err)
{
    int64_t n = 0;
    if ((value->type != KT_HCL_NUMBER && value->type != KT_HCL_STRING) || !whole(value->text, &n))
        return wrong(value, key, "a whole number", err);
    if (n < min || n > max)
        return kt_hcl_fail(value->pos, err, "%s%s%s must be between %jd and %jd",
                           key != NULL ? "'" : "", key != NULL ? key : "this number",
                           key != NULL ? "'" : "", (intmax_t)min, (intmax_t)max);
    *ret = n;
    return KT_OK;
}

static enum kt_kind as_duration(const struct kt_hcl_value *value, const char *key, uint64_t *ret_ms,
                                struct kt_err *err)
{
    if ((value->type != KT_HCL_NUMBER && value->type != KT_HCL_STRING) ||
        kt_duration_parse(kt_str(value->text), ret_ms, NULL) != KT_OK)
        return wrong(value, key, "a duration such as \"90s\", \"1h30m\" or \"30d\"", err);
    return KT_OK;
}

static enum kt_kind as_texts(const struct kt_hcl_value *value, const char *key,
                             const char *const **ret, size_t *ret_count, struct kt_err *err)
{
    if (value->type != KT_HCL_LIST)
        return wrong(value, key, "a list of strings such as [\"a\", \"b\"]", err);
    if (value->texts == NULL) {
        const struct kt_hcl_value *element = value->first;
        while (element->next != NULL && element->type == KT_HCL_STRING)
            element = element->next;
        return wrong(element, key, "a list of strings only", err);
    }
    *ret = value->texts;
    *ret_count = value->count;
    return KT_OK;
}

enum kt_kind kt_hcl_as_text(const struct kt_hcl_value *value, const char **ret, struct kt_err *err)
{
    return as_text(value, NULL, ret, err);
}

enum kt_kind kt_hcl_as_bool(const struct kt_hcl_value *value, bool *ret, struct kt_err *err)
{
    return as_bool(value, NULL, ret, err);
}

enum kt_kind kt_hcl_as_int(const struct kt_hcl_value *value, int64_t min, int64_t max, int64_t *ret,
                           struct kt_err *err)
{
    return as_int(value, NULL, min, max, ret, err);
}

enum kt_kind kt_hcl_as_duration(const struct kt_hcl_value *value, uint64_t *ret_ms,
                                struct kt_err *err)
{
    return as_duration(value, NULL, ret_ms, err);
}

enum kt_kind kt_hcl_as_texts(const struct kt_hcl_value *value, const char *const **ret,
                             size_t *ret_count, struct kt_err *err)
{
    return as_texts(value, NULL, ret, ret_count, err);
}

/* A block of that name is of the wrong type, not absent. */
static const struct kt_hcl_value *find(const struct kt_hcl_body *body, const char *key)
{
    for (const struct kt_hcl_item *item = body->first; item != NULL; item = item->next) {
        if (strcmp(item->key, key) == 0)
            return &item->value;
    }
    return NULL;
}

enum kt_kind kt_hcl_get_text(const struct kt_hcl_body *body, const char *key, const char **ret,
                             struct kt_err *err)
{
    const struct kt_hcl_value *value = find(body, key);
    return value == NULL ? KT_OK : as_text(value, key, ret, err);
}

enum kt_kind kt_hcl_get_bool(const struct kt_hcl_body *body, const char *key, bool *ret,
                             struct kt_err *err)
{
    const struct kt_hcl_value *value = find(body, key);
    return value == NULL ? KT_OK : as_bool(value, key, ret, err);
}

enum kt_kind kt_hcl_get_int(const struct kt_hcl_body *body, const char *key, int64_t min,
                            int64_t max, int64_t *ret, struct kt_err *err)
{
    const struct kt_hcl_value *value = find(body, key);
    return value == NULL ? KT_OK : as_int(value, key, min, max, ret, err);
}

enum kt_kind kt_hcl_get_duration(const struct kt_hcl_body *body, const char *key, uint64_t *ret_ms,
                                 struct kt_err *err)
{
    const struct kt_hcl_value *value = find(body, key);
    return value == NULL ? KT_OK : as_duration(value, key, ret_ms, err);
}

enum kt_kind kt_hcl_get_texts(const struct kt_hcl_body *body, const char *key,
                              const char *const **ret, size_t *ret_count, struct kt_err *err)
{
    const struct kt_hcl_value *value = find(body, key);
    return value == NULL ? KT_OK : as_texts(value, key, ret, ret_count, err);
}
