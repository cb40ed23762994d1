#include "lib/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

struct kind_row {
    const char *name;
    unsigned http;
    const char *text;
};

#define X(name, http, text) [name] = {#name, http, text},
static const struct kind_row kinds[] = {KT_ERROR_KINDS(X)};
#undef X

enum kt_kind kt_fail(struct kt_err *err, enum kt_kind kind, const char *format, ...)
{
    int saved = errno;
    if (err == NULL)
        return kind;
    err->kind = kind;
    err->saved_errno = kind == KT_IO ? saved : 0;
    err->hint[0] = '\0';
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->what, sizeof err->what, format, args);
    va_end(args);
    const char *why = NULL;
    if (err->saved_errno != 0)
        why = kt_errno_text(saved);
    else if (kind == KT_NO_MEMORY && strstr(err->what, "memory") == NULL)
        why = kinds[KT_NO_MEMORY].text;
    if (why != NULL && n >= 0 && (size_t)n < sizeof err->what)
        (void)snprintf(err->what + n, sizeof err->what - (size_t)n, ": %s", why);
    errno = saved;
    return kind;
}

void kt_hint(struct kt_err *err, const char *format, ...)
{
    if (err == NULL)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->hint, sizeof err->hint, format, args);
    va_end(args);
}

void kt_context(struct kt_err *err, const char *format, ...)
{
    if (err == NULL)
        return;
    char old[sizeof err->what];
    memcpy(old, err->what, sizeof old);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->what, sizeof err->what, format, args);
    va_end(args);
    if (n < 0 || (size_t)n + 3 > sizeof err->what)
        return;
    /* Cutting the old text is wanted; compilers take snprintf's cut for a mistake. */
    size_t at = (size_t)n + 2, len = strnlen(old, sizeof err->what - at - 1);
    memcpy(err->what + n, ": ", 2);
    memcpy(err->what + at, old, len);
    err->what[at + len] = '\0';
}

const char *kt_kind_name(enum kt_kind kind)
{
    return kind < KT_KIND_COUNT ? kinds[kind].name : "KT_INTERNAL";
}

unsigned kt_kind_http(enum kt_kind kind)
{
    return kind < KT_KIND_COUNT ? kinds[kind].http : 500;
}

const char *kt_kind_text(enum kt_kind kind)
{
    return kind < KT_KIND_COUNT ? kinds[kind].text : kinds[KT_INTERNAL].text;
}

const char *kt_errno_text(int error)
{
    const char *text = strerrordesc_np(error);
    return text == NULL ? "unknown error" : text;
}
