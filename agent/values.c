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
    for (size_t i = 0; i < values->n; i++) {
        kt_buf_free(&values->at[i].data);
        kt_buf_free(&values->at[i].other);
    }
    free(values);
}

struct value *values_add(struct values *values, const char *secret)
{
    if (values->n == VALUES_MAX)
        return NULL;
    struct value *value = &values->at[values->n++];
    value->secret = secret;
    kt_buf_init(&value->data, DATA_MAX);
    kt_buf_init(&value->other, DATA_MAX);
    return value;
}

const struct value *values_find(const struct values *values, const char *secret)
{
    for (size_t i = 0; i < values->n; i++)
        if (strcmp(values->at[i].secret, secret) == 0)
            return &values->at[i];
    return NULL;
}

bool values_differ(const struct values *a, const struct values *b)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->at[i].version != b->at[i].version)
            return true;
    return false;
}

void value_put_other(struct value *value, uint64_t version, struct kt_bytes data)
{
    kt_buf_reset(&value->other);
    kt_buf_add_bytes(&value->other, data);
    value->other_version = version;
}

static enum kt_kind field_of(const char *secret, uint64_t version, const struct kt_buf *data, const char *field,
                             struct kt_buf *out, struct kt_err *err)
{
    struct kt_json member;
    if (!kt_json_member(kt_json_value(kt_buf_bytes(data)), field, &member) ||
        kt_json_type(member) == KT_JSON_NULL) {
        (void)kt_fail(err, KT_NOT_FOUND, "secret %s has no field \"%s\" in version %llu", secret,
                      field, (unsigned long long)version);
        kt_hint(err, "secretctl kv get %s shows its fields", secret);
        return KT_NOT_FOUND;
    }
    if (kt_json_type(member) == KT_JSON_STRING)
        (void)kt_json_string(member, out);
    else
        kt_buf_add_bytes(out, kt_json_bytes(member));
    return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "reading a secret's field");
}

enum kt_kind values_field(const struct values *values, const char *secret, const char *field,
                          struct kt_buf *out, struct kt_err *err)
{
    const struct value *value = values_find(values, secret);
    return value == NULL ? kt_fail(err, KT_NOT_FOUND, "secret %s was not fetched", secret)
                         : field_of(secret, value->version, &value->data, field, out, err);
}

enum kt_kind values_candidate(const struct values *values, const char *secret, const char *field,
                              struct kt_buf *out, struct kt_err *err)
{
    const struct value *value = values_find(values, secret);
    if (value == NULL || value->other_version == 0)
        return values_field(values, secret, field, out, err);
    struct kt_err none = {0};
    enum kt_kind kind = field_of(secret, value->other_version, &value->other, field, out, &none);
    if (kind == KT_NOT_FOUND) /* only one of both has it: there is nothing else to try */
        return values_field(values, secret, field, out, err);
    if (kind != KT_OK)
        *err = none;
    return kind;
}
