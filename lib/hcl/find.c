#include <stdio.h>

#include "lib/assert.h"
#include "lib/hcl/tree.h"

const struct kt_hcl_item *kt_hcl_find(const struct kt_hcl_body *body, const char *key)
{
    for (const struct kt_hcl_item *item = body->first; item != NULL; item = item->next) {
        if (!item->block && strcmp(item->key, key) == 0)
            return item;
    }
    return NULL;
}

/* ---- blocks, however written ---- */

struct kt_hcl_blocks kt_hcl_blocks(const struct kt_hcl_body *body, const char *type,
                                   size_t label_count)
{
    KT_ASSERT(label_count <= KT_HCL_MAX_LABELS);
    return (struct kt_hcl_blocks){
        .kind = KT_OK,
        .type = type,
        .label_count = label_count,
        .depth = 1,
        .frames = {{.item = body->first}},
    };
}

static bool refuse(struct kt_hcl_blocks *it, struct kt_hcl_pos pos, struct kt_err *err)
{
    static const char *const labels[] = {"", " \"...\"", " \"...\" \"...\"",
                                         " \"...\" \"...\" \"...\"",
                                         " \"...\" \"...\" \"...\" \"...\""};
    it->depth = 0;
    it->kind = kt_hcl_fail(pos, err, "expected a block of the form %s%s { ... }", it->type,
                           labels[it->label_count]);
    return false;
}

static void push(struct kt_hcl_blocks *it, struct kt_hcl_frame frame)
{
    KT_ASSERT(it->depth < KT_HCL_FRAMES);
    it->frames[it->depth++] = frame;
}

/* Goes down into a value below `labels` labels. True: it is a block, now in *ret. */
static bool descend(struct kt_hcl_blocks *it, const struct kt_hcl_value *value, size_t labels,
                    bool in_list, struct kt_hcl_block *ret, struct kt_err *err)
{
    if (value->type == KT_HCL_LIST && !in_list) {
        push(it, (struct kt_hcl_frame){.value = value->first, .labels = labels});
        return false;
    }
    if (value->type != KT_HCL_OBJECT)
        return refuse(it, value->pos, err);
    if (labels < it->label_count) {
        push(it, (struct kt_hcl_frame){.item = value->object->first, .labels = labels});
        return false;
    }
    *ret = (struct kt_hcl_block){.pos = value->pos, .body = value->object};
    memcpy(ret->labels, it->labels, labels * sizeof it->labels[0]);
    return true;
}

static bool step_item(struct kt_hcl_blocks *it, bool top, const struct kt_hcl_item *item,
                      size_t labels, struct kt_hcl_block *ret, struct kt_err *err)
{
    if (top && strcmp(item->key, it->type) != 0)
        return false;
    size_t given = item->label_count + !top;
    if (labels + given > it->label_count)
        return refuse(it, item->pos, err);
    if (!top)
        it->labels[labels++] = item->key;
    for (size_t i = 0; i < item->label_count; i++)
        it->labels[labels++] = item->labels[i];
    if (item->block && labels < it->label_count && item->value.object->count == 0)
        return refuse(it, item->pos, err);
    bool found = descend(it, &item->value, labels, false, ret, err);
    if (found)
        ret->pos = item->pos;
    return found;
}

bool kt_hcl_next(struct kt_hcl_blocks *it, struct kt_hcl_block *ret, struct kt_err *err)
{
    while (it->depth > 0) {
        struct kt_hcl_frame *frame = &it->frames[it->depth - 1];
        bool found = false;
        if (frame->item != NULL) {
            const struct kt_hcl_item *item = frame->item;
            frame->item = item->next;
            found = step_item(it, it->depth == 1, item, frame->labels, ret, err);
        } else if (frame->value != NULL) {
            const struct kt_hcl_value *value = frame->value;
            frame->value = value->next;
            found = descend(it, value, frame->labels, true, ret, err);
        } else {
            it->depth--;
        }
        if (found)
            return true;
    }
    return false;
}

enum kt_kind kt_hcl_only_block(const struct kt_hcl_body *body, const char *type,
                               const struct kt_hcl_body **ret, struct kt_err *err)
{
    struct kt_hcl_block block = {0}, second;
    struct kt_hcl_blocks it = kt_hcl_blocks(body, type, 0);
    if (kt_hcl_next(&it, &block, err) && kt_hcl_next(&it, &second, err))
        return kt_hcl_fail(second.pos, err, "only one '%s' block may stand here; line %u has one",
                           type, block.pos.line);
    if (it.kind == KT_OK)
        *ret = block.body;
    return it.kind;
}

/* ---- unknown keys ---- */

#define NAME_MAX_COMPARED 48u

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that make one from the other. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][NAME_MAX_COMPARED + 1], a_len = strlen(a), b_len = strlen(b);
    if (a_len > NAME_MAX_COMPARED || b_len > NAME_MAX_COMPARED)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *now = rows[i % 3];
        const size_t *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            now[j] =
                least(before[j - 1] + (a[i - 1] != b[j - 1]), least(before[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], earlier[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

static const char *nearest(const char *key, const char *const *known)
{
    size_t best = 1 + strlen(key) / 4, found;
    const char *name = NULL;
    for (; *known != NULL; known++) {
        found = distance(key, *known);
        if (found < best || (found == best && name == NULL)) {
            best = found;
            name = *known;
        }
    }
    return name;
}

static bool is_known(const char *key, const char *const *known)
{
    for (; *known != NULL; known++) {
        if (strcmp(key, *known) == 0)
            return true;
    }
    return false;
}

static void list_known(const char *const *known, struct kt_err *err)
{
    char text[sizeof((struct kt_err *)NULL)->hint];
    size_t len = 0;
    text[0] = '\0';
    for (; *known != NULL; known++) {
        int n = snprintf(text + len, sizeof text - len, "%s%s", len > 0 ? ", " : "", *known);
        if (n < 0 || (size_t)n >= sizeof text - len - sizeof "known here: ")
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
    kt_hint(err, "known here: %s", text);
}

static enum kt_kind fail_unknown(const struct kt_hcl_item *item, const char *const *known,
                                 struct kt_err *err)
{
    const char *name = nearest(item->key, known);
    char shown[HCL_SHOWN];
    (void)kt_hcl_shown(item->key, shown);
    if (name != NULL)
        (void)kt_hcl_fail(item->pos, err, "unknown key '%s'; did you mean '%s'?", shown, name);
    else
        (void)kt_hcl_fail(item->pos, err, "unknown key '%s'", shown);
    list_known(known, err);
    return KT_INVALID;
}

enum kt_kind kt_hcl_check_known(const struct kt_hcl_body *body, const char *const *known,
                                kt_hcl_unknown_fn *fn, void *arg, struct kt_err *err)
{
    for (const struct kt_hcl_item *item = body->first; item != NULL; item = item->next) {
        if (is_known(item->key, known))
            continue;
        if (fn == NULL)
            return fail_unknown(item, known, err);
        fn(item, nearest(item->key, known), arg);
    }
    return KT_OK;
}
