#include "lib/arena.h"
#include "vaultd/policy/rule.h"

/* What a template could become, without knowing what it is filled with: a directive stands for any text
 * within one segment, since a value with a '/' would be refused. */

#define ANY_TEXT '\001' /* no path has it */

enum kt_kind template_read(struct kt_arena *arena, const char *pattern, size_t len,
                           const char **ret_form, struct kt_err *err)
{
    *ret_form = NULL;
    if (memmem(pattern, len, "{{", 2) == NULL && memmem(pattern, len, "}}", 2) == NULL)
        return KT_OK;
    char *form = kt_arena_take(arena, len + 1);
    if (form == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a policy");
    size_t n = 0;
    const char *at = pattern, *end = pattern + len;
    while (at < end) {
        size_t left = (size_t)(end - at);
        bool opens = left >= 2 && at[0] == '{' && at[1] == '{';
        if (left >= 2 && at[0] == '}' && at[1] == '}')
            return kt_fail(err, KT_INVALID, "a template's braces do not close");
        if (!opens) {
            bool alone = *at == '+' && (at == pattern || at[-1] == '/') &&
                         (at + 1 == end || at[1] == '/');
            form[n++] = alone ? ANY_TEXT : *at;
            at++;
            continue;
        }
        const char *close = memmem(at + 2, left - 2, "}}", 2);
        const char *next = memmem(at + 2, left - 2, "{{", 2);
        if (close == NULL || (next != NULL && next < close))
            return kt_fail(err, KT_INVALID, "a template's braces do not close");
        form[n++] = ANY_TEXT;
        at = close + 2;
    }
    form[n] = '\0';
    *ret_form = form;
    return KT_OK;
}

/* No wildcard matches a '/', so the segments of both stand one against the other, and within a
 * segment only the newest wildcard ever has to give. */
bool template_may_cover(const char *form, bool star, const char *path, size_t len)
{
    const char *p = form, *s = path, *end = path + len;
    const char *wild = NULL, *from = NULL; /* behind the newest wildcard, and what it left over */
    for (;;) {
        if (*p == '\0' && (star || s == end))
            return true;
        if (*p == ANY_TEXT) {
            wild = ++p;
            from = s;
        } else if (*p != '\0' && s < end && *p == *s) {
            p++;
            s++;
        } else if (wild != NULL && from < end && *from != '/') {
            p = wild;
            s = ++from;
        } else {
            return false;
        }
    }
}
