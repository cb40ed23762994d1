#include "lib/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/plain_text.h"

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

void kt_log_err(enum kt_log_level level, const char *event, const struct kt_err *err)
{
    if (err->hint[0] != '\0')
        kt_log(level, event, "error=\"%.300s\" next=\"%.300s\"", err->what, err->hint);
    else
        kt_log(level, event, "error=\"%.300s\"", err->what);
}
