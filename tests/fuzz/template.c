/* Any bytes as a template: an error, or an output; never a crash, and the same twice. */
#include <stdlib.h>

#include "agent/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum kt_kind ignore(void *arg, const char *secret, bool candidate, struct kt_err *err)
{
    (void)arg;
    (void)candidate;
    (void)secret;
    (void)err;
    return KT_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_bytes text = kt_bytes(data, size);
    struct kt_err err = {0};
    const struct template_place place = {"f", 0};
    enum kt_kind checked = template_check(text, &place, ignore, NULL, &err);
    struct values *values = values_new();
    if (values == NULL)
        return 0;
    struct value *value = values_add(values, "a/b");
    kt_buf_add_text(&value->data, "{\"c\":\"x\\ny\",\"d\":1}");
    value_put_other(value, 2, kt_str("{\"c\":\"z\"}"));
    struct kt_buf out;
    kt_buf_init(&out, 1024 * 1024);
    enum kt_kind rendered = template_render(text, &place, "h", values, &out, &err);
    /* What renders was well-formed. */
    if (rendered == KT_OK && checked != KT_OK)
        abort();
    kt_buf_free(&out);
    values_free(values);
    return 0;
}
