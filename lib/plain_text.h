/* lib/plain_text.h - texts that people and programs give, where they are shown again.
 *
 * What:    In a report, a log, a message a text is part of a line. One with a line's end in it writes lines of its
 *          own, which nobody tells from ours; one with other controls moves the cursor or clears a screen; one that
 *          turns the direction of writing reads as what it does not say. Unicode's controls (C0, DEL, C1), its
 *          separators of lines and paragraphs, its marks and overrides of direction, and what is no UTF-8, are not
 *          plain. Whoever takes such a text refuses it; whoever prints one that is there already makes it plain.
 *          (Names in paths are bound more strictly: vaultd/core/path.h.)
 * Threads: plain functions.
 * Source:  The Unicode Standard, categories Cc, Zl, Zp; UAX 9, table 4. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

bool kt_is_plain(uint32_t code);
bool kt_text_is_plain(const char *text);
/* KT_INVALID, in the words that all use: "NAME has a control character". */
enum kt_kind kt_text_check(const char *name, const char *text, struct kt_err *err) KT_MUST_CHECK;
/* In place: a blank for each byte of what is not plain. */
void kt_make_plain(char *text, size_t len);
/* So many of the first `most` bytes as are whole characters. */
size_t kt_text_cut(const char *text, size_t most);
