#include "vaultd/policy/policy_list.h"

#include <ctype.h>
#include <stdlib.h>

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n\v\f")] == '\0';
}

/* Any white space around it, not only the spaces that policy_name_normal() takes off. */
static const char *trimmed(struct kt_arena *arena, const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    return kt_arena_text(arena, kt_bytes(text, len));
}

static enum kt_kind check_name(const char *name, struct kt_err *err)
{
    if (strcmp(name, "root") == 0)
        return kt_fail(err, KT_INVALID, "policies cannot contain root");
    if (strcmp(name, "response-wrapping") == 0)
        return kt_fail(err, KT_INVALID, "cannot assign policy \"response-wrapping\"");
    return KT_OK;
}

enum kt_kind policy_list_normal(struct kt_arena *arena, const struct string_list *names,
                                struct string_list *ret, struct kt_err *err)
{
    const char **list = kt_arena_take(arena, (names->n + 1) * sizeof *list);
    if (list == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a list of policies");
    size_t n = 0, unique = 0;
    for (size_t i = 0; i < names->n; i++) {
        if (is_blank(names->at[i]))
            continue;
        const char *name = trimmed(arena, names->at[i]);
        if (name == NULL)
            return kt_fail(err, KT_NO_MEMORY, "reading a list of policies");
        enum kt_kind kind = policy_name_normal(arena, name, &list[n], err);
        if (kind == KT_OK)
            kind = check_name(list[n++], err);
        if (kind != KT_OK)
            return kind;
    }
    qsort(list, n, sizeof *list, by_text);
    for (size_t i = 0; i < n; i++)
        if (unique == 0 || strcmp(list[unique - 1], list[i]) != 0)
            list[unique++] = list[i];
    if (unique > POLICY_LIST_MAX)
        return kt_fail(err, KT_INVALID, "a list of policies has at most %u names", POLICY_LIST_MAX);
    *ret = (struct string_list){list, unique};
    return KT_OK;
}
