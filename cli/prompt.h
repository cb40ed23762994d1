/* cli/prompt.h - asks a person, without showing what is typed.
 *
 * What:    Reads a line from the terminal with echo off. A signal that ends or stops the program
 *          puts the echo back first.
 * Owner:   the answer is appended to the caller's buffer, which wipes.
 * Errors:  KT_INVALID: the input is no terminal. KT_GONE: nothing was typed, the input ended.
 *          KT_IO.
 * Threads: one thread. */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

struct cli;

#define PROMPT_ANSWER_MAX ((size_t)64 * 1024)

enum kt_kind prompt_secret(struct cli *cli, const char *question, struct kt_buf *ret,
                           struct kt_err *err) KT_MUST_CHECK;
/* One line of standard input, terminal or not, without its newline. KT_GONE at the end. */
enum kt_kind prompt_line(struct cli *cli, struct kt_buf *ret, struct kt_err *err) KT_MUST_CHECK;
