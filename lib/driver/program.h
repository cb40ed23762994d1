/* lib/driver/program.h - the programs that the driver "exec" may start: named in vaultd's configuration.
 *
 * What:    vaultd reads them from its configuration and hands them to vaultd-spawn as words of its command
 *          line, before any key is there; vaultd-spawn hands the same words to each worker. So neither a
 *          target, nor a request, nor a vaultd that was taken over can have anything else started.
 *          kt_program_check() says whether somebody else could put another program in its place.
 * Owner:   texts are borrowed, of the configuration or of the command line.
 * Limits:  PROGRAMS_MAX programs, PROGRAM_WORDS_MAX words of a command, and as many paths of each kind.
 * Errors:  kt_program_check(): KT_INVALID (name, command), KT_DENIED (who else may write it), KT_IO.
 * Threads: plain values; kt_program_check(): any thread. */
#pragma once

#include "lib/err.h"

#define PROGRAMS_MAX        16u
#define PROGRAM_NAME_MAX    64u
#define PROGRAM_WORDS_MAX   32u
#define PROGRAM_TIMEOUT_MAX 120000u

struct kt_program {
    const char *name; /* letters, digits, '-', '_', '.', which is not the first */
    struct kt_words command; /* the first is the file, an absolute path */
    struct kt_words read, write; /* what it may see besides the system's folders */
    uint64_t timeout_ms;
};
struct kt_programs {
    struct kt_program at[PROGRAMS_MAX];
    size_t n;
};

bool kt_program_name_ok(const char *name);
/* NULL: none is called that. */
const struct kt_program *kt_program_find(const struct kt_programs *programs, const char *name);
/* What is wrong with its settings alone; looks at no file. */
enum kt_kind kt_program_judge(const struct kt_program *program, struct kt_err *err) KT_MUST_CHECK;
/* The file, each other file that a word of the command names by an absolute path, and each folder on the
 * way: of root or of this user, and nobody else may write them (in a folder with the sticky bit others
 * may, for they cannot put anything in place of what is not theirs). No link among them. */
enum kt_kind kt_program_check(const struct kt_program *program, struct kt_err *err) KT_MUST_CHECK;

/* How many words kt_programs_words() makes. */
size_t kt_programs_count(const struct kt_programs *programs);
/* The words of a command line that say the same, put behind each other into `text`; NULL ends. `words` has room
 * for kt_programs_count() and the NULL; false: `text` is too small. */
bool kt_programs_words(const struct kt_programs *programs, char *text, size_t size, char **words);
/* Reads such words; false: they are none of ours. Static memory is behind *ret: once a process. */
bool kt_programs_read(char *const *words, struct kt_programs *ret);
