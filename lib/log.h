/* lib/log.h - a program's log: one line an event on stderr, "<priority>event key=value ...".
 *
 * The priority prefix is sd-daemon(3)'s, so journald sorts it; on a terminal it is left out. No
 * secret, no path under a mount, no request body ever goes in. Values are quoted and cut at 300
 * bytes; kt_log_err() puts a backslash before a quote or a backslash, but for a terminal. lib/ itself never logs.
 * Threads: any thread; a line is one write(2). */
#pragma once

#include "lib/err.h"

enum kt_log_level { KT_LOG_ERROR = 3, KT_LOG_WARNING = 4, KT_LOG_NOTICE = 5, KT_LOG_INFO = 6 };

/* Events below the level are dropped; KT_LOG_INFO at start. */
void kt_log_set_level(enum kt_log_level level);
/* kt_log(KT_LOG_NOTICE, "unsealed", "term=%u", term); the format makes key=value pairs. */
void kt_log(enum kt_log_level level, const char *event, const char *format, ...) KT_PRINTF(3, 4);
/* An error where it stops travelling: event, what, and the hint as next="...". */
void kt_log_err(enum kt_log_level level, const char *event, const struct kt_err *err);
