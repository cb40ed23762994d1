#include "agent/values.h"

#include <stdlib.h>

#include "lib/failpoint.h"

#define DATA_MAX ((size_t)1024 * 1024)

struct values *values_new(void)
{
    return kt_calloc(1, sizeof(struct values));
}

void values_free(struct values *values)
{
    if (values == NULL)
        return;
    for (size_t i = 0; i < values->n; i++)
        kt_buf_free(&values->at[i].data);
    free(values);
}

struct value *values_add(struct values *values, const char *secret)
{
    if (values->n == VALUES_MAX)
        return NULL;
    struct value *value = &values->at[values->n++];
    value->secret = secret;
    kt_buf_init(&value->data, DATA_MAX);
    return value;
}

const struct value *values_find(const struct values *values, const char *secret)
{
    for (size_t i = 0; i < values->n; i++)
        if (strcmp(values->at[i].secret, secret) == 0)
            return &values->at[i];
    return NULL;
}

enum kt_kind values_field(const struct values *values, const char *secret, const char *field,
                          struct kt_buf *out, struct kt_err *err)
{
    const struct value *value = values_find(values, secret);
    if (value == NULL)
        return kt_fail(err, KT_NOT_FOUND, "secret %s was not fetched", secret);
    struct kt_json member;
    if (!kt_json_member(kt_json_value(kt_buf_bytes(&value->data)), field, &member) ||
        kt_json_type(member) == KT_JSON_NULL) {
        (void)kt_fail(err, KT_NOT_FOUND, "secret %s has no field \"%s\" in version %llu", secret,
                      field, (unsigned long long)value->version);
        kt_hint(err, "secretctl kv get %s shows its fields", secret);
        return KT_NOT_FOUND;
    }
    if (kt_json_type(member) == KT_JSON_STRING)
        (void)kt_json_string(member, out);
    else
        kt_buf_add_bytes(out, kt_json_bytes(member));
    return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "reading a secret's field");
}
