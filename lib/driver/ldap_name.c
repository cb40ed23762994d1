/* lib/driver/ldap_name.c - see lib/driver/ldap_name.h. */
#include "lib/driver/ldap_name.h"

#include <string.h>

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* before: the character to the left, an escaped one as 'x'; '\0' at the beginning. */
static bool is_plain_at(const char *at, char before)
{
    if (*at == ' ')
        return before != '\0' && !is_one_of(before, ",= ") && at[1] != '\0' && !is_one_of(at[1], ",= ");
    if (*at == '#')
        return before != '=';
    return !(*at >= 'A' && *at <= 'Z') && !is_one_of(*at, ";+\"<>");
}

bool kt_ldap_name_is_plain(const char *name)
{
    char before = '\0';
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '\\') {
            if (!is_one_of(*++at, ",;+\"<>\\"))
                return false;
            before = 'x';
        } else {
            if (!is_plain_at(at, before))
                return false;
            before = *at;
        }
    }
    return true;
}

/* Puts one character, and takes back the blank before a separator. */
static bool put(char c, char before, char *out, size_t *len, size_t size)
{
    if (before == ' ' && is_one_of(c, ",="))
        --*len;
    if (*len + 1 >= size)
        return false;
    out[(*len)++] = c;
    return true;
}

bool kt_ldap_name_fold(const char *name, char *out, size_t size)
{
    char before = '\0';
    size_t len = 0;
    for (const char *at = name; *at != '\0'; at++) {
        char c = *at;
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c == ' ' && (before == '\0' || is_one_of(before, ",= ")))
            continue;
        if (!put(c, before, out, &len, size))
            return false;
        before = c;
        if (c == '\\' && at[1] != '\0') {
            if (!put(*++at, 'x', out, &len, size))
                return false;
            before = 'x';
        }
    }
    out[before == ' ' ? len - 1 : len] = '\0';
    return true;
}
