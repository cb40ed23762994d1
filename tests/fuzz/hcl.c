/* Printed text parses to the same tree (its print is the same); the typed readers, the block
 * iterator and the key check survive every tree. */
#include "lib/hcl/hcl.h"

#include "lib/assert.h"
#include "tests/fuzz/fuzz.h"

static void answers(enum kt_kind kind, const struct kt_err *err)
{
    KT_ASSERT(kind == KT_OK || (kind == KT_INVALID && strncmp(err->what, "f:", 2) == 0));
}

static void read_value(const struct kt_hcl_value *value)
{
    const char *text = NULL, *const *texts = NULL;
    bool truth = false;
    int64_t number = 0;
    uint64_t ms = 0;
    size_t count = 0;
    struct kt_err err = {0};
    KT_ASSERT(value->pos.line > 0 && value->pos.column > 0);
    KT_ASSERT((kt_hcl_as_text(value, &text, &err) == KT_OK) == (value->type == KT_HCL_STRING));
    answers(kt_hcl_as_bool(value, &truth, &err), &err);
    answers(kt_hcl_as_int(value, INT64_MIN, INT64_MAX, &number, &err), &err);
    answers(kt_hcl_as_duration(value, &ms, &err), &err);
    if (kt_hcl_as_texts(value, &texts, &count, &err) == KT_OK)
        KT_ASSERT(count == value->count && texts[count] == NULL);
}

static void ignore(const struct kt_hcl_item *item, const char *nearest, void *arg)
{
    KT_ASSERT(item->key != NULL && (nearest == NULL || nearest[0] != '\0') && arg == NULL);
}

static void walk(const struct kt_hcl_body *body)
{
    static const char *const known[] = {"path", "capabilities", "listener", "address", NULL};
    struct kt_err err = {0};
    KT_ASSERT(kt_hcl_check_known(body, known, ignore, NULL, NULL) == KT_OK);
    answers(kt_hcl_check_known(body, known, NULL, NULL, &err), &err);
    for (const struct kt_hcl_item *item = body->first; item != NULL; item = item->next) {
        read_value(&item->value);
        for (const struct kt_hcl_value *v = item->value.first; v != NULL; v = v->next)
            read_value(v);
        for (size_t labels = 0; labels <= KT_HCL_MAX_LABELS && body->count < 50; labels++) {
            struct kt_hcl_blocks it = kt_hcl_blocks(body, item->key, labels);
            struct kt_hcl_block block;
            while (kt_hcl_next(&it, &block, &err))
                KT_ASSERT(block.body != NULL && (labels == 0 || block.labels[labels - 1] != NULL));
            answers(it.kind, &err);
        }
        if (item->value.type == KT_HCL_OBJECT)
            walk(item->value.object);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_hcl_body *root = NULL, *again = NULL;
    struct kt_err err = {0};
    enum kt_kind kind = kt_hcl_parse(kt_bytes(data, size), "f", &root, &err);
    if (kind != KT_OK) {
        KT_ASSERT(root == NULL && strncmp(err.what, "f:", 2) == 0);
        return 0;
    }
    walk(root);
    struct kt_buf first, second;
    kt_buf_init(&first, (size_t)1 << 24);
    kt_buf_init(&second, (size_t)1 << 24);
    kt_hcl_print(root, &first);
    KT_ASSERT(kt_buf_ok(&first));
    kind = kt_hcl_parse(kt_buf_bytes(&first), "f", &again, &err);
    if (first.len <= KT_HCL_MAX_BYTES) {
        KT_ASSERT(kind == KT_OK);
        kt_hcl_print(again, &second);
        KT_ASSERT(kt_bytes_equal(kt_buf_bytes(&first), kt_buf_bytes(&second)));
    }
    kt_hcl_free(root);
    kt_hcl_free(again);
    kt_buf_free(&first);
    kt_buf_free(&second);
    return 0;
}
