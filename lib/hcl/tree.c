#include "lib/hcl/tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/failpoint.h"
#include "lib/utf8.h"

struct kt_hcl_pos kt_hcl_place(struct hcl_tree *tree, const unsigned char *at)
{
    for (; tree->mark < at; tree->mark++) {
        if (*tree->mark == '\n') {
            tree->line++;
            tree->column = 1;
        } else if ((*tree->mark & 0xc0) != 0x80) {
            tree->column++;
        }
    }
    return (struct kt_hcl_pos){tree->file, tree->line, tree->column};
}

enum kt_kind kt_hcl_count(struct hcl_tree *tree, struct kt_hcl_pos pos)
{
    if (++tree->nodes > KT_HCL_MAX_NODES)
        return kt_hcl_fail(pos, tree->err, "more than %u keys, labels and values",
                           KT_HCL_MAX_NODES);
    return KT_OK;
}

enum kt_kind kt_hcl_no_memory(struct hcl_tree *tree)
{
    return kt_fail(tree->err, KT_NO_MEMORY, "%s: out of memory", tree->file);
}

struct kt_hcl_body *kt_hcl_new_body(struct hcl_tree *tree, struct kt_hcl_pos pos)
{
    struct kt_hcl_body *body = kt_arena_take(&tree->arena, sizeof *body);
    if (body != NULL)
        body->pos = pos;
    return body;
}

struct kt_hcl_item *kt_hcl_add_item(struct hcl_tree *tree, struct kt_hcl_body *body,
                                    const struct kt_hcl_item ***tail)
{
    struct kt_hcl_item *item = kt_arena_take(&tree->arena, sizeof *item);
    if (item == NULL)
        return NULL;
    **tail = item;
    *tail = &item->next;
    body->count++;
    return item;
}

enum kt_kind kt_hcl_finish_list(struct hcl_tree *tree, struct kt_hcl_value *list)
{
    for (const struct kt_hcl_value *v = list->first; v != NULL; v = v->next) {
        if (v->type != KT_HCL_STRING)
            return KT_OK;
    }
    const char **texts = kt_arena_take(&tree->arena, (list->count + 1) * sizeof *texts);
    if (texts == NULL)
        return kt_hcl_no_memory(tree);
    size_t n = 0;
    for (const struct kt_hcl_value *v = list->first; v != NULL; v = v->next)
        texts[n++] = v->text;
    list->texts = texts;
    return KT_OK;
}

/* By key, then as in the file. */
static int by_key(const void *a, const void *b)
{
    const struct kt_hcl_item *l = *(const struct kt_hcl_item *const *)a;
    const struct kt_hcl_item *r = *(const struct kt_hcl_item *const *)b;
    int order = strcmp(l->key, r->key);
    if (order != 0)
        return order;
    if (l->pos.line != r->pos.line)
        return l->pos.line < r->pos.line ? -1 : 1;
    return (l->pos.column > r->pos.column) - (l->pos.column < r->pos.column);
}

/* Sorted, so that a body of thousands of keys does not cost their square. */
enum kt_kind kt_hcl_finish_body(struct hcl_tree *tree, const struct kt_hcl_body *body)
{
    if (body->count < 2)
        return KT_OK;
    const struct kt_hcl_item **items = kt_arena_take(&tree->arena, body->count * sizeof(void *));
    if (items == NULL)
        return kt_hcl_no_memory(tree);
    size_t n = 0;
    for (const struct kt_hcl_item *item = body->first; item != NULL; item = item->next)
        items[n++] = item;
    qsort(items, n, sizeof(void *), by_key);
    for (size_t i = 1; i < n; i++) {
        const struct kt_hcl_item *before = items[i - 1], *item = items[i];
        char shown[HCL_SHOWN];
        if ((before->block && item->block) || strcmp(before->key, item->key) != 0)
            continue;
        return kt_hcl_fail(item->pos, tree->err, "'%s' stands here already, on line %u",
                           kt_hcl_shown(item->key, shown), before->pos.line);
    }
    return KT_OK;
}

const char *kt_hcl_shown(const char *key, char out[HCL_SHOWN])
{
    size_t n = 0, len = strlen(key);
    for (size_t i = 0; i < len;) {
        size_t step = kt_utf8_step((const unsigned char *)key + i, len - i);
        if (step == 0 || n + step > HCL_SHOWN - 4) {
            memcpy(out + n, "...", 3);
            n += 3;
            break;
        }
        bool control = (unsigned char)key[i] < 0x20 || key[i] == 0x7f;
        memcpy(out + n, control ? "?" : key + i, step);
        n += step;
        i += step;
    }
    out[n] = '\0';
    return out;
}

enum kt_kind kt_hcl_fail(struct kt_hcl_pos pos, struct kt_err *err, const char *format, ...)
{
    char what[sizeof((struct kt_err *)NULL)->what];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return kt_fail(err, KT_INVALID, "%s:%u:%u: %s", pos.file, pos.line, pos.column, what);
}

/* ---- the whole ---- */

static enum kt_kind check_text(struct hcl_tree *tree)
{
    struct kt_bytes text = tree->text;
    if (text.len >= 3 && memcmp(text.at, "\xef\xbb\xbf", 3) == 0)
        return kt_hcl_fail(kt_hcl_place(tree, text.at), tree->err,
                           "a byte order mark; save the file without it");
    for (size_t i = 0; i < text.len;) {
        size_t step = kt_utf8_step(text.at + i, text.len - i);
        if (step == 0 || text.at[i] == '\0')
            return kt_hcl_fail(kt_hcl_place(tree, text.at + i), tree->err, "%s",
                               step == 0 ? "invalid UTF-8" : "a NUL byte");
        i += step;
    }
    return KT_OK;
}

static bool is_json(struct kt_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (strchr(" \t\r\n", text.at[i]) == NULL)
            return text.at[i] == '{';
    }
    return false;
}

enum kt_kind kt_hcl_parse(struct kt_bytes text, const char *file, struct kt_hcl_body **ret,
                          struct kt_err *err)
{
    if (text.len > KT_HCL_MAX_BYTES)
        return kt_fail(err, KT_TOO_LARGE, "%s: longer than %zu bytes", file, KT_HCL_MAX_BYTES);
    if (text.len == 0)
        text = kt_str("");
    struct hcl_tree *tree = kt_calloc(1, sizeof *tree);
    if (tree == NULL)
        return kt_fail(err, KT_NO_MEMORY, "%s: out of memory", file);
    kt_arena_init(&tree->arena, HCL_TREE_BYTES);
    tree->text = text;
    tree->mark = text.at;
    tree->line = tree->column = 1;
    tree->err = err;
    char *name = kt_arena_text(&tree->arena, kt_str(file));
    tree->file = name != NULL ? name : file;
    tree->root.pos = kt_hcl_place(tree, text.at);
    enum kt_kind kind = name != NULL ? check_text(tree) : kt_hcl_no_memory(tree);
    if (kind == KT_OK)
        kind = is_json(text) ? kt_hcl_read_json(tree) : kt_hcl_read_native(tree);
    if (kind != KT_OK) {
        kt_hcl_free(&tree->root);
        return kind;
    }
    tree->text = kt_bytes(NULL, 0);
    tree->mark = NULL;
    tree->err = NULL;
    *ret = &tree->root;
    return KT_OK;
}

void kt_hcl_free(struct kt_hcl_body *root)
{
    if (root == NULL)
        return;
    struct hcl_tree *tree = (struct hcl_tree *)(void *)root;
    kt_arena_free(&tree->arena);
    free(tree);
}
