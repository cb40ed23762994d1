/* cli/input.h - "key=@FILE", "key=-" and the like: words that become a JSON object.
 *
 * What:    @FILE and - alone are a whole JSON object. key=@FILE is a file's text, key=- the
 *          standard input, key= is asked for at a terminal. Every byte of a secret is kept, as
 *          Vault keeps it; of a single line's newline at the end (echo's, an editor's) the person
 *          is told. A setting's value (a target's password) is taken without that newline. A
 *          secret value as an argument word is refused: others see it in the list of processes and
 *          it stays in the shell's history.
 * Files:   "/dev/stdin" and "/dev/fd/N", which a shell makes of <(command), are read as
 *          descriptors.
 * Limits:  a value 512 KiB, all of them 1 MiB.
 * Errors:  KT_INVALID with the right way in the hint.
 * Threads: one thread. */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/jsonw.h"

struct cli;

#define INPUT_VALUE_MAX ((size_t)512 * 1024)
#define INPUT_ALL_MAX   ((size_t)1024 * 1024)

/* What the words are for. */
struct input_of {
    const char *line; /* the command, for hints */
    const char *path; /* of the API: its settings that are no secret may be words; NULL: all are secrets */
};
/* Words of secret values. Appends a JSON object. */
enum kt_kind input_secrets(struct cli *cli, const char *const *words, size_t count,
                           const struct input_of *of, struct kt_buf *ret, struct kt_err *err) KT_MUST_CHECK;

enum input_kind {
    INPUT_TEXT,
    INPUT_NUMBER,
    INPUT_DURATION, /* sent as it is written */
    INPUT_BOOL,
    INPUT_LIST,   /* "a,b" */
    INPUT_MAP,    /* name.member=value, or name={JSON} */
    INPUT_FILE,   /* text, or @FILE */
    INPUT_SECRET, /* never a word: @FILE, - or asked for */
    INPUT_KNOWN_SECRET, /* the same, asked for once: it is not new */
};
struct input_field {
    const char *name;
    enum input_kind kind;
    const char *help;
};
/* Words of settings; fields ends with a row whose name is NULL. Words "name=value". */
enum kt_kind input_fields(struct cli *cli, const char *const *words, size_t count,
                          const struct input_field *fields, struct kt_buf *ret,
                          struct kt_err *err) KT_MUST_CHECK;
/* "KEY=VALUE" list flags as an object of texts. */
enum kt_kind input_pairs(const struct cli *cli, int flag, struct kt_buf *ret,
                         struct kt_err *err) KT_MUST_CHECK;

/* A whole file ("-": standard input). */
enum kt_kind input_file(struct cli *cli, const char *path, size_t max, struct kt_buf *ret,
                        struct kt_err *err) KT_MUST_CHECK;
