/* What parses is laid out so that it parses again, to the same items; laid out twice it is the same. */
#include "cli/hcl_layout.h"

#include "lib/assert.h"
#include "lib/hcl/hcl.h"
#include "tests/fuzz/fuzz.h"

#define OUT_MAX (8 * KT_HCL_MAX_BYTES)

static void same_body(const struct kt_hcl_body *a, const struct kt_hcl_body *b);

static void same_value(const struct kt_hcl_value *a, const struct kt_hcl_value *b)
{
    KT_ASSERT(a->type == b->type);
    switch (a->type) {
    case KT_HCL_STRING:
    case KT_HCL_NUMBER:
        KT_ASSERT(strcmp(a->text, b->text) == 0);
        break;
    case KT_HCL_BOOL:
        KT_ASSERT(a->truth == b->truth);
        break;
    case KT_HCL_LIST:
        KT_ASSERT(a->count == b->count);
        for (a = a->first, b = b->first; a != NULL; a = a->next, b = b->next)
            same_value(a, b);
        break;
    case KT_HCL_OBJECT:
        same_body(a->object, b->object);
        break;
    }
}

static void same_body(const struct kt_hcl_body *a, const struct kt_hcl_body *b)
{
    const struct kt_hcl_item *x = a->first;
    const struct kt_hcl_item *y = b->first;
    KT_ASSERT(a->count == b->count);
    for (; x != NULL; x = x->next, y = y->next) {
        KT_ASSERT(strcmp(x->key, y->key) == 0 && x->label_count == y->label_count);
        for (size_t i = 0; i < x->label_count; i++)
            KT_ASSERT(strcmp(x->labels[i], y->labels[i]) == 0);
        same_value(&x->value, &y->value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_hcl_body *before = NULL;
    struct kt_hcl_body *after = NULL;
    struct kt_buf once, twice;
    if (size > 65536 || kt_hcl_parse(kt_bytes(data, size), "x", &before, NULL) != KT_OK)
        return 0;
    kt_buf_init(&once, OUT_MAX);
    kt_buf_init(&twice, OUT_MAX);
    hcl_layout(kt_bytes(data, size), &once);
    KT_ASSERT(kt_buf_ok(&once));
    KT_ASSERT(kt_hcl_parse(kt_buf_bytes(&once), "x", &after, NULL) == KT_OK);
    same_body(before, after);
    hcl_layout(kt_buf_bytes(&once), &twice);
    KT_ASSERT(kt_bytes_equal(kt_buf_bytes(&once), kt_buf_bytes(&twice)));
    kt_hcl_free(before);
    kt_hcl_free(after);
    kt_buf_free(&once);
    kt_buf_free(&twice);
    return 0;
}
