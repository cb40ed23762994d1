/* cli/dotenv.h - reads and writes .env files: NAME=VALUE lines as compose files, shells and sops have them.
 *
 * Grammar: a line is blank, a comment (#), or [export ]NAME=VALUE. NAME: a letter or _, then letters, digits,
 *          _ . and -. VALUE: bare up to the line's end or a blank before #, blanks around it dropped;
 *          'taken as it is', over several lines too; or "the same, with \n \r \t \" \\ \$ and \`". Nothing
 *          is expanded: a $ is a $.
 * Errors:  KT_INVALID with the line's number and never its text: no =, no name, twice the same name,
 *          quotes that do not end or something behind them, an unknown escape, a NUL, no UTF-8.
 * Limits:  those of `ret`; 1,000 names.
 * Threads: any thread. */
#pragma once

#include "lib/json.h"

/* Appends a JSON object of texts. */
enum kt_kind dotenv_read(struct kt_bytes text, struct kt_buf *ret, struct kt_err *err) KT_MUST_CHECK;
/* Appends a line for each member; what is no string is written as its JSON text. KT_INVALID: a member's name
 * cannot be a variable's, or a value has a NUL. */
enum kt_kind dotenv_write(struct kt_json object, struct kt_buf *ret, struct kt_err *err) KT_MUST_CHECK;
