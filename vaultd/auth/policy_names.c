#include "vaultd/auth/policy_names.h"

#include <ctype.h>
#include <stdlib.h>

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool policy_names_have(const struct string_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->at[i], name) == 0)
            return true;
    return false;
}

bool policy_names_same(const struct string_list *a, const struct string_list *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->at[i], b->at[i]) != 0)
            return false;
    return true;
}

static char *lowered(struct kt_arena *arena, const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    char *name = kt_arena_text(arena, kt_bytes(text, len));
    for (char *c = name; c != NULL && *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return name;
}

enum kt_kind policy_names(struct kt_arena *arena, const char *const *names, size_t n,
                          struct string_list *ret, struct kt_err *err)
{
    struct string_list list = {kt_arena_take(arena, (n + 1) * sizeof(char *)), 0};
    if (list.at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading names of policies");
    for (size_t i = 0; i < n; i++) {
        char *name = lowered(arena, names[i]);
        if (name == NULL)
            return kt_fail(err, KT_NO_MEMORY, "reading names of policies");
        if (strcmp(name, "response-wrapping") == 0)
            return kt_fail(err, KT_INVALID, "cannot assign policy \"response-wrapping\"");
        if (name[0] != '\0' && !policy_names_have(&list, name))
            list.at[list.n++] = name;
        if (list.n > POLICY_NAMES_MAX)
            return kt_fail(err, KT_INVALID, "a token has at most %u policies", POLICY_NAMES_MAX);
    }
    if (policy_names_have(&list, "root")) {
        list.at[0] = "root";
        list.n = 1;
    }
    qsort(list.at, list.n, sizeof *list.at, by_text);
    *ret = list;
    return KT_OK;
}

enum kt_kind policy_names_add(struct kt_arena *arena, const struct string_list *list,
                              const char *name, struct string_list *ret, struct kt_err *err)
{
    const char **all = kt_arena_take(arena, (list->n + 1) * sizeof *all);
    if (all == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading names of policies");
    for (size_t i = 0; i < list->n; i++)
        all[i] = list->at[i];
    all[list->n] = name;
    return policy_names(arena, all, list->n + 1, ret, err);
}
