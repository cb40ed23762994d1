#include "vaultd/auth/cidr_list.h"

#include "lib/cidr.h"

bool cidr_list_holds(const struct string_list *list, const char *address)
{
    struct kt_cidr cidr;
    for (size_t i = 0; i < list->n; i++)
        if (kt_cidr_parse(kt_str(list->at[i]), &cidr) && kt_cidr_holds(&cidr, kt_str(address)))
            return true;
    return false;
}

static bool within_any(const char *block, const struct string_list *outer)
{
    struct kt_cidr inner, cidr;
    if (!kt_cidr_parse(kt_str(block), &inner))
        return false;
    for (size_t i = 0; i < outer->n; i++)
        if (kt_cidr_parse(kt_str(outer->at[i]), &cidr) && kt_cidr_within(&inner, &cidr))
            return true;
    return false;
}

bool cidr_list_within(const struct string_list *list, const struct string_list *outer)
{
    for (size_t i = 0; outer->n > 0 && i < list->n; i++)
        if (!within_any(list->at[i], outer))
            return false;
    return true;
}
