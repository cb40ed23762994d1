#include "lib/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/plain_text.h"

#define TEXT_MAX   300u
#define QUOTED_MAX (2 * TEXT_MAX + 1)

static atomic_int threshold = KT_LOG_INFO;

void kt_log_set_level(enum kt_log_level level)
{
    atomic_store(&threshold, (int)level);
}

void kt_log(enum kt_log_level level, const char *event, const char *format, ...)
{
    if ((int)level > atomic_load(&threshold))
        return;
    char line[1024];
    int head = isatty(STDERR_FILENO) ? snprintf(line, sizeof line, "%s ", event)
                                     : snprintf(line, sizeof line, "<%d>%s ", (int)level, event);
    if (head < 0 || (size_t)head >= sizeof line)
        return;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + head, sizeof line - (size_t)head - 1, format, args);
    va_end(args);
    if (n < 0)
        return;
    size_t len = (size_t)head + (size_t)n;
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    kt_make_plain(line, len); /* one event, one line */
    line[len] = '\n';
    if (write(STDERR_FILENO, line, len + 1) < 0)
        return;  /* nowhere left to say it */
}

/* At most 300 bytes of the text. For programs a quote in it does not end what is quoted; at a terminal a person
 * copies it as it is. */
static const char *quoted(const char *text, char out[QUOTED_MAX])
{
    size_t len = 0;
    bool escapes = isatty(STDERR_FILENO) == 0;
    for (size_t i = 0; i < TEXT_MAX && text[i] != '\0'; i++) {
        if (escapes && (text[i] == '"' || text[i] == '\\'))
            out[len++] = '\\';
        out[len++] = text[i];
    }
    out[len] = '\0';
    return out;
}

void kt_log_err(enum kt_log_level level, const char *event, const struct kt_err *err)
{
    char what[QUOTED_MAX], hint[QUOTED_MAX];
    if (err->hint[0] != '\0')
        kt_log(level, event, "error=\"%s\" next=\"%s\"", quoted(err->what, what), quoted(err->hint, hint));
    else
        kt_log(level, event, "error=\"%s\"", quoted(err->what, what));
}
