#include "lib/hcl/hcl.h"

static void print_string(const char *text, struct kt_buf *out)
{
    static const char special[] = "\n\t\r\a\b\f\v\"\\", letters[] = "ntrabfv\"\\";
    kt_buf_add_char(out, '"');
    for (; *text != '\0'; text++) {
        const char *found = strchr(special, *text);
        if (found != NULL) {
            kt_buf_add_char(out, '\\');
            kt_buf_add_char(out, letters[found - special]);
        } else if ((unsigned char)*text < 0x20) {
            kt_buf_printf(out, "\\u%04x", (unsigned)(unsigned char)*text);
        } else {
            kt_buf_add_char(out, *text);
        }
    }
    kt_buf_add_char(out, '"');
}

static bool bare(const char *key)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char later[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789-.";
    return key[0] != '\0' && strspn(key, first) > 0 && key[strspn(key, later)] == '\0' &&
           strcmp(key, "true") != 0 && strcmp(key, "false") != 0;
}

static void indent(struct kt_buf *out, unsigned level)
{
    while (level-- > 0)
        kt_buf_add_text(out, "  ");
}

// NOLINTBEGIN(misc-no-recursion): KT_HCL_MAX_DEPTH bounds it
static void print_items(const struct kt_hcl_body *body, unsigned level, struct kt_buf *out);

static void print_object(const struct kt_hcl_body *body, unsigned level, struct kt_buf *out)
{
    kt_buf_add_char(out, '{');
    if (body->first != NULL) {
        kt_buf_add_char(out, '\n');
        print_items(body, level + 1, out);
        indent(out, level);
    }
    kt_buf_add_char(out, '}');
}

static void print_value(const struct kt_hcl_value *value, unsigned level, struct kt_buf *out);

/* Scalars on one line, anything larger a line each. */
static void print_list(const struct kt_hcl_value *list, unsigned level, struct kt_buf *out)
{
    bool large = false;
    for (const struct kt_hcl_value *v = list->first; v != NULL; v = v->next)
        large = large || v->type == KT_HCL_LIST || v->type == KT_HCL_OBJECT;
    kt_buf_add_text(out, large ? "[\n" : "[");
    for (const struct kt_hcl_value *v = list->first; v != NULL; v = v->next) {
        indent(out, large ? level + 1 : 0);
        print_value(v, large ? level + 1 : level, out);
        kt_buf_add_text(out, large ? ",\n" : v->next != NULL ? ", " : "");
    }
    indent(out, large ? level : 0);
    kt_buf_add_char(out, ']');
}

static void print_value(const struct kt_hcl_value *value, unsigned level, struct kt_buf *out)
{
    switch (value->type) {
    case KT_HCL_STRING:
        print_string(value->text, out);
        break;
    case KT_HCL_NUMBER:
        kt_buf_add_text(out, value->text);
        break;
    case KT_HCL_BOOL:
        kt_buf_add_text(out, value->truth ? "true" : "false");
        break;
    case KT_HCL_LIST:
        print_list(value, level, out);
        break;
    case KT_HCL_OBJECT:
        print_object(value->object, level, out);
        break;
    }
}

static void print_items(const struct kt_hcl_body *body, unsigned level, struct kt_buf *out)
{
    for (const struct kt_hcl_item *item = body->first; item != NULL; item = item->next) {
        indent(out, level);
        if (bare(item->key))
            kt_buf_add_text(out, item->key);
        else
            print_string(item->key, out);
        for (size_t i = 0; i < item->label_count; i++) {
            kt_buf_add_char(out, ' ');
            print_string(item->labels[i], out);
        }
        kt_buf_add_text(out, item->block ? " " : " = ");
        print_value(&item->value, level, out);
        kt_buf_add_char(out, '\n');
    }
}

// NOLINTEND(misc-no-recursion)

void kt_hcl_print(const struct kt_hcl_body *body, struct kt_buf *out)
{
    print_items(body, 0, out);
}
