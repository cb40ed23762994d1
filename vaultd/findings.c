#include "vaultd/findings.h"

#include <stdarg.h>
#include <stdio.h>

void findings_add(struct findings *findings, bool error, const struct kt_err *text)
{
    findings->errors += error;
    if (findings->n == FINDINGS_MAX) {
        findings->dropped++;
        return;
    }
    findings->at[findings->n++] = (struct finding){error, *text};
}

void findings_addf(struct findings *findings, bool error, const char *hint, const char *format, ...)
{
    struct kt_err text = {.kind = KT_INVALID};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text.what, sizeof text.what, format, args);
    va_end(args);
    if (hint != NULL)
        kt_hint(&text, "%s", hint);
    findings_add(findings, error, &text);
}
