#include "lib/hcl/hcl.h"

#include "lib/hcl/lex.h"

struct parser {
    struct lexer lexer;
    struct token token; /* the next one, not yet used */
    unsigned depth;
};

static enum kt_kind fail(struct parser *p, const char *what)
{
    return kt_hcl_fail(p->token.pos, p->lexer.tree->err, "%s", what);
}

static enum kt_kind advance(struct parser *p)
{
    return kt_hcl_lex_next(&p->lexer, &p->token);
}

static enum kt_kind enter(struct parser *p)
{
    if (p->depth >= KT_HCL_MAX_DEPTH)
        return kt_hcl_fail(p->token.pos, p->lexer.tree->err, "nested deeper than %u levels",
                           KT_HCL_MAX_DEPTH);
    p->depth++;
    return advance(p);
}

/* Over the closing mark. */
static enum kt_kind leave(struct parser *p)
{
    p->depth--;
    return advance(p);
}

// NOLINTBEGIN(misc-no-recursion): enter() bounds it
static enum kt_kind read_items(struct parser *p, struct kt_hcl_body *body, enum token_kind close);
static enum kt_kind read_value(struct parser *p, struct kt_hcl_value *value);

static enum kt_kind read_object(struct parser *p, struct kt_hcl_value *value)
{
    value->type = KT_HCL_OBJECT;
    value->pos = p->token.pos;
    struct kt_hcl_body *body = kt_hcl_new_body(p->lexer.tree, p->token.pos);
    if (body == NULL)
        return kt_hcl_no_memory(p->lexer.tree);
    value->object = body;
    enum kt_kind kind = enter(p);
    if (kind == KT_OK)
        kind = read_items(p, body, TOKEN_CLOSE_BODY);
    return kind == KT_OK ? leave(p) : kind;
}

static enum kt_kind read_list(struct parser *p, struct kt_hcl_value *value)
{
    struct hcl_tree *tree = p->lexer.tree;
    value->type = KT_HCL_LIST;
    const struct kt_hcl_value **tail = &value->first;
    enum kt_kind kind = enter(p);
    while (kind == KT_OK && p->token.kind != TOKEN_CLOSE_LIST) {
        struct kt_hcl_value *element = kt_arena_take(&tree->arena, sizeof *element);
        if (element == NULL)
            return kt_hcl_no_memory(tree);
        *tail = element;
        tail = &element->next;
        value->count++;
        kind = read_value(p, element);
        if (kind != KT_OK)
            return kind;
        if (p->token.kind == TOKEN_COMMA)
            kind = advance(p);
        else if (p->token.kind != TOKEN_CLOSE_LIST)
            return fail(p, "expected ',' or ']' in a list");
    }
    if (kind == KT_OK)
        kind = kt_hcl_finish_list(tree, value);
    return kind == KT_OK ? leave(p) : kind;
}

static enum kt_kind read_value(struct parser *p, struct kt_hcl_value *value)
{
    enum kt_kind kind = kt_hcl_count(p->lexer.tree, p->token.pos);
    if (kind != KT_OK)
        return kind;
    value->pos = p->token.pos;
    switch (p->token.kind) {
    case TOKEN_STRING:
        value->type = KT_HCL_STRING;
        break;
    case TOKEN_NUMBER:
        value->type = KT_HCL_NUMBER;
        break;
    case TOKEN_BOOL:
        value->type = KT_HCL_BOOL;
        value->truth = p->token.text[0] == 't';
        return advance(p);
    case TOKEN_OPEN_LIST:
        return read_list(p, value);
    case TOKEN_OPEN_BODY:
        return read_object(p, value);
    case TOKEN_NAME:
        return fail(p, "expected a value; text stands in double quotes");
    case TOKEN_END:
        return fail(p, "the text ends where a value was expected");
    case TOKEN_CLOSE_BODY:
    case TOKEN_CLOSE_LIST:
    case TOKEN_ASSIGN:
    case TOKEN_COMMA:
        return fail(p, "expected a value");
    }
    value->text = p->token.text;
    return advance(p);
}

/* What follows a key: labels and a body, or '=' and a value. */
static enum kt_kind read_rest(struct parser *p, struct kt_hcl_item *item)
{
    struct hcl_tree *tree = p->lexer.tree;
    enum kt_kind kind = advance(p);
    while (kind == KT_OK && (p->token.kind == TOKEN_NAME || p->token.kind == TOKEN_STRING)) {
        kind = kt_hcl_count(tree, p->token.pos);
        if (kind != KT_OK)
            return kind;
        if (item->label_count == KT_HCL_MAX_LABELS)
            return fail(p, "a block has more than 4 labels");
        item->labels[item->label_count++] = p->token.text;
        kind = advance(p);
    }
    if (kind != KT_OK)
        return kind;
    if (p->token.kind == TOKEN_OPEN_BODY) {
        item->block = true;
        return read_object(p, &item->value);
    }
    if (item->label_count > 0)
        return fail(p, "expected '{' after a block's label");
    if (p->token.kind != TOKEN_ASSIGN)
        return fail(p, "expected '=' or '{' after a key");
    kind = advance(p);
    return kind == KT_OK ? read_value(p, &item->value) : kind;
}

static enum kt_kind read_items(struct parser *p, struct kt_hcl_body *body, enum token_kind close)
{
    struct hcl_tree *tree = p->lexer.tree;
    const struct kt_hcl_item **tail = &body->first;
    while (p->token.kind != close) {
        if (p->token.kind == TOKEN_END)
            return fail(p, "the text ends inside a block: '}' is missing");
        if (p->token.kind == TOKEN_CLOSE_BODY)
            return fail(p, "a '}' too many");
        if (p->token.kind != TOKEN_NAME && p->token.kind != TOKEN_STRING)
            return fail(p, "expected a key");
        enum kt_kind kind = kt_hcl_count(tree, p->token.pos);
        if (kind != KT_OK)
            return kind;
        struct kt_hcl_item *item = kt_hcl_add_item(tree, body, &tail);
        if (item == NULL)
            return kt_hcl_no_memory(tree);
        item->key = p->token.text;
        item->pos = p->token.pos;
        kind = read_rest(p, item);
        if (kind == KT_OK && p->token.kind == TOKEN_COMMA)
            kind = advance(p);
        if (kind != KT_OK)
            return kind;
    }
    return kt_hcl_finish_body(tree, body);
}

// NOLINTEND(misc-no-recursion)

enum kt_kind kt_hcl_read_native(struct hcl_tree *tree)
{
    struct parser p = {
        .lexer = {tree, tree->text.at, tree->text.at + tree->text.len},
        .depth = 1,
    };
    enum kt_kind kind = advance(&p);
    return kind == KT_OK ? read_items(&p, &tree->root, TOKEN_END) : kind;
}
