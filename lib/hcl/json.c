#include "lib/json.h"

#include "lib/hcl/tree.h"

static const struct kt_json_limits limits = {
    .bytes = KT_HCL_MAX_BYTES,
    .depth = KT_HCL_MAX_DEPTH,
    .nodes = KT_HCL_MAX_NODES + 1, /* the file itself is one */
    .keys = KT_HCL_MAX_NODES,
    .string_bytes = KT_HCL_MAX_BYTES,
    .number_bytes = 64,
};

// NOLINTBEGIN(misc-no-recursion): the check bounded the depth
static enum kt_kind read_object(struct hcl_tree *tree, struct kt_json json,
                                struct kt_hcl_body *body);

static struct kt_hcl_pos place(struct hcl_tree *tree, struct kt_json json)
{
    return kt_hcl_place(tree, (const unsigned char *)json.at);
}

static enum kt_kind read_value(struct hcl_tree *tree, struct kt_json json,
                               struct kt_hcl_value *value);

static enum kt_kind read_list(struct hcl_tree *tree, struct kt_json json,
                              struct kt_hcl_value *value)
{
    const struct kt_hcl_value **tail = &value->first;
    struct kt_json_iter it = kt_json_iter(json);
    value->type = KT_HCL_LIST;
    while (kt_json_next(&it)) {
        struct kt_hcl_value *element = kt_arena_take(&tree->arena, sizeof *element);
        if (element == NULL)
            return kt_hcl_no_memory(tree);
        *tail = element;
        tail = &element->next;
        value->count++;
        enum kt_kind kind = read_value(tree, it.value, element);
        if (kind != KT_OK)
            return kind;
    }
    return kt_hcl_finish_list(tree, value);
}

static enum kt_kind read_value(struct hcl_tree *tree, struct kt_json json,
                               struct kt_hcl_value *value)
{
    value->pos = place(tree, json);
    enum kt_kind kind = kt_hcl_count(tree, value->pos);
    if (kind != KT_OK)
        return kind;
    switch (kt_json_type(json)) {
    case KT_JSON_STRING:
        value->type = KT_HCL_STRING;
        value->text = kt_json_text(json, &tree->arena);
        return value->text != NULL ? KT_OK : kt_hcl_no_memory(tree);
    case KT_JSON_NUMBER:
        value->type = KT_HCL_NUMBER;
        value->text = kt_arena_text(&tree->arena, kt_json_bytes(json));
        return value->text != NULL ? KT_OK : kt_hcl_no_memory(tree);
    case KT_JSON_BOOL:
        value->type = KT_HCL_BOOL;
        (void)kt_json_bool(json, &value->truth); /* it is one */
        return KT_OK;
    case KT_JSON_ARRAY:
        return read_list(tree, json, value);
    case KT_JSON_OBJECT: {
        struct kt_hcl_body *body = kt_hcl_new_body(tree, value->pos);
        value->type = KT_HCL_OBJECT;
        value->object = body;
        return body != NULL ? read_object(tree, json, body) : kt_hcl_no_memory(tree);
    }
    case KT_JSON_NULL:
    case KT_JSON_NONE:
        break;
    }
    return kt_hcl_fail(value->pos, tree->err, "null says nothing here; leave the key out");
}

static enum kt_kind read_object(struct hcl_tree *tree, struct kt_json json,
                                struct kt_hcl_body *body)
{
    const struct kt_hcl_item **tail = &body->first;
    struct kt_json_iter it = kt_json_iter(json);
    while (kt_json_next(&it)) {
        struct kt_hcl_pos pos = place(tree, it.key);
        enum kt_kind kind = kt_hcl_count(tree, pos);
        if (kind != KT_OK)
            return kind;
        struct kt_hcl_item *item = kt_hcl_add_item(tree, body, &tail);
        if (item == NULL)
            return kt_hcl_no_memory(tree);
        item->pos = pos;
        item->key = kt_json_text(it.key, &tree->arena);
        if (item->key == NULL)
            return kt_hcl_no_memory(tree);
        kind = read_value(tree, it.value, &item->value);
        if (kind != KT_OK)
            return kind;
    }
    return KT_OK;
}

// NOLINTEND(misc-no-recursion)

enum kt_kind kt_hcl_read_json(struct hcl_tree *tree)
{
    struct kt_json_fault fault;
    enum kt_kind kind = kt_json_find_fault(tree->text, &limits, &fault);
    if (kind == KT_NO_MEMORY)
        return kt_hcl_no_memory(tree);
    if (kind != KT_OK) {
        struct kt_hcl_pos pos = kt_hcl_place(tree, tree->text.at + fault.offset);
        if (fault.limit != 0)
            return kt_hcl_fail(pos, tree->err, "%s (%zu)", fault.problem, fault.limit);
        return kt_hcl_fail(pos, tree->err, "%s", fault.problem);
    }
    struct kt_json json = kt_json_value(tree->text);
    tree->root.pos = place(tree, json);
    return read_object(tree, json, &tree->root);
}
