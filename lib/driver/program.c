#include "lib/driver/program.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/num.h"

#define OPEN_TO_OTHERS (S_IWGRP | S_IWOTH)

bool kt_program_name_ok(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    return len > 0 && len <= PROGRAM_NAME_MAX && name[len] == '\0' && name[0] != '.';
}

const struct kt_program *kt_program_find(const struct kt_programs *programs, const char *name)
{
    for (size_t i = 0; programs != NULL && i < programs->n; i++)
        if (strcmp(programs->at[i].name, name) == 0)
            return &programs->at[i];
    return NULL;
}

/* ---- is it safe to start? ---- */

static enum kt_kind judge_paths(const struct kt_program *program, const char *what,
                                const struct kt_words *paths, struct kt_err *err)
{
    if (paths->n > PROGRAM_WORDS_MAX)
        return kt_fail(err, KT_INVALID, "driver_program \"%s\" has more than %u words in '%s'",
                       program->name, PROGRAM_WORDS_MAX, what);
    for (size_t i = 0; i < paths->n; i++)
        if (paths->at[i][0] != '/')
            return kt_fail(err, KT_INVALID, "driver_program \"%s\": '%s' takes absolute paths",
                           program->name, what);
    return KT_OK;
}

enum kt_kind kt_program_judge(const struct kt_program *program, struct kt_err *err)
{
    if (!kt_program_name_ok(program->name))
        return kt_fail(err, KT_INVALID,
                       "a driver_program's name is 1 to %u letters, digits, '-', '_' and '.', which is "
                       "not the first",
                       PROGRAM_NAME_MAX);
    const struct kt_words file = {program->command.at, program->command.n > 0};
    enum kt_kind kind = KT_OK;
    if (program->command.n == 0 || program->command.n > PROGRAM_WORDS_MAX)
        kind = kt_fail(err, KT_INVALID, "driver_program \"%s\" needs a command of 1 to %u words",
                       program->name, PROGRAM_WORDS_MAX);
    if (kind == KT_OK)
        kind = judge_paths(program, "command", &file, err);
    if (kind == KT_OK)
        kind = judge_paths(program, "read", &program->read, err);
    if (kind == KT_OK)
        kind = judge_paths(program, "write", &program->write, err);
    if (kind != KT_OK)
        kt_hint(err, "driver_program \"billing\" { command = [\"/usr/libexec/keyturn/billing\"] }");
    return kind;
}

/* `path` is a whole path, or the part of one up to a folder. */
static enum kt_kind check_owner(const struct kt_program *program, const char *path,
                                const struct stat *info, struct kt_err *err)
{
    bool shared = S_ISDIR(info->st_mode) && (info->st_mode & S_ISVTX) != 0;
    if (info->st_uid != 0 && info->st_uid != geteuid()) {
        (void)kt_fail(err, KT_DENIED,
                      "driver_program \"%s\": '%s' belongs to user %u, who could have vaultd start "
                      "anything",
                      program->name, path, (unsigned)info->st_uid);
        kt_hint(err, "chown root: %s", path);
        return KT_DENIED;
    }
    if ((info->st_mode & OPEN_TO_OTHERS) != 0 && !shared) {
        (void)kt_fail(err, KT_DENIED,
                      "driver_program \"%s\": others may write '%s' (mode %04o), and could have vaultd "
                      "start anything",
                      program->name, path, (unsigned)info->st_mode & 07777u);
        kt_hint(err, "chmod go-w %s", path);
        return KT_DENIED;
    }
    return KT_OK;
}

static enum kt_kind check_folders(const struct kt_program *program, char *path, struct kt_err *err)
{
    for (char *slash = path; slash != NULL; slash = strchr(slash + 1, '/')) {
        struct stat info;
        char kept = slash[1];
        if (slash == path)
            slash[1] = '\0';
        else
            *slash = '\0';
        int rc = lstat(path, &info);
        enum kt_kind kind = rc != 0 ? kt_fail(err, KT_IO, "driver_program \"%s\": cannot look at '%s'",
                                              program->name, path)
                                    : check_owner(program, path, &info, err);
        *slash = '/';
        slash[1] = kept;
        if (kind != KT_OK)
            return kind;
    }
    return KT_OK;
}

/* Links are refused, not followed: where they lead may change without anybody's writing here. */
static enum kt_kind check_path(const struct kt_program *program, const char *path, struct kt_err *err)
{
    kt_autofree char *real = realpath(path, NULL);
    struct stat info;
    if (real == NULL || stat(path, &info) != 0) {
        (void)kt_fail(err, KT_IO, "driver_program \"%s\": cannot use '%s'", program->name, path);
        kt_hint(err, "install it, or correct command in the configuration");
        return KT_IO;
    }
    if (strcmp(real, path) != 0) {
        (void)kt_fail(err, KT_INVALID, "driver_program \"%s\": '%s' leads over a link", program->name,
                      path);
        kt_hint(err, "write where it leads to: %s", real);
        return KT_INVALID;
    }
    enum kt_kind kind = check_owner(program, path, &info, err);
    return kind == KT_OK ? check_folders(program, real, err) : kind;
}

static bool is_file(const char *path)
{
    struct stat info;
    return path[0] == '/' && stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

enum kt_kind kt_program_check(const struct kt_program *program, struct kt_err *err)
{
    const char *file = program->command.at[0];
    enum kt_kind kind = check_path(program, file, err);
    if (kind != KT_OK)
        return kind;
    if (!is_file(file) || access(file, X_OK) != 0) {
        (void)kt_fail(err, KT_INVALID, "driver_program \"%s\": '%s' is no file that this user may start",
                      program->name, file);
        kt_hint(err, "chmod 0755 %s", file);
        return KT_INVALID;
    }
    for (size_t i = 1; kind == KT_OK && i < program->command.n; i++)
        if (is_file(program->command.at[i]))
            kind = check_path(program, program->command.at[i], err);
    return kind;
}

/* ---- as words ---- */

enum word_kind { WORD_NAME, WORD_TIMEOUT, WORD_RUN, WORD_READ, WORD_WRITE, WORD_KINDS };
static const char *const word_heads[WORD_KINDS] = {"name=", "timeout=", "run=", "read=", "write="};

size_t kt_programs_count(const struct kt_programs *programs)
{
    size_t n = 0;
    for (size_t i = 0; programs != NULL && i < programs->n; i++)
        n += 2 + programs->at[i].command.n + programs->at[i].read.n + programs->at[i].write.n;
    return n;
}

struct writing {
    char *text;
    size_t left;
    char **words;
    bool full;
};

static void put_word(struct writing *w, enum word_kind kind, const char *value)
{
    int n = w->full ? -1 : snprintf(w->text, w->left, "%s%s", word_heads[kind], value);
    if (n < 0 || (size_t)n >= w->left) {
        w->full = true;
        return;
    }
    *w->words++ = w->text;
    w->text += n + 1;
    w->left -= (size_t)n + 1;
}

static void put_words(struct writing *w, enum word_kind kind, const struct kt_words *words)
{
    for (size_t i = 0; i < words->n; i++)
        put_word(w, kind, words->at[i]);
}

bool kt_programs_words(const struct kt_programs *programs, char *text, size_t size, char **words)
{
    struct writing w = {.text = text, .left = size, .words = words};
    for (size_t i = 0; programs != NULL && i < programs->n; i++) {
        const struct kt_program *program = &programs->at[i];
        char timeout[24];
        (void)snprintf(timeout, sizeof timeout, "%ju", (uintmax_t)program->timeout_ms);
        put_word(&w, WORD_NAME, program->name);
        put_word(&w, WORD_TIMEOUT, timeout);
        put_words(&w, WORD_RUN, &program->command);
        put_words(&w, WORD_READ, &program->read);
        put_words(&w, WORD_WRITE, &program->write);
    }
    *w.words = NULL;
    return !w.full;
}

/* Words of one kind stand together, so each list is a piece of one pool. */
static bool take_value(struct kt_words *list, const char **next, const char *value)
{
    if (list->n == PROGRAM_WORDS_MAX || (list->n > 0 && list->at + list->n != next))
        return false;
    *next = value;
    *list = (struct kt_words){list->n == 0 ? next : list->at, list->n + 1};
    return true;
}

static bool take_word(struct kt_programs *programs, enum word_kind kind, const char *value,
                      const char **next, bool *ret_kept)
{
    if (kind == WORD_NAME) {
        if (programs->n == PROGRAMS_MAX || !kt_program_name_ok(value))
            return false;
        programs->at[programs->n++] = (struct kt_program){.name = value};
        return true;
    }
    if (programs->n == 0)
        return false;
    struct kt_program *program = &programs->at[programs->n - 1];
    if (kind == WORD_TIMEOUT)
        return kt_u64_parse(kt_str(value), PROGRAM_TIMEOUT_MAX, &program->timeout_ms);
    struct kt_words *const lists[WORD_KINDS] = {
        [WORD_RUN] = &program->command, [WORD_READ] = &program->read, [WORD_WRITE] = &program->write};
    *ret_kept = true;
    return take_value(lists[kind], next, value);
}

bool kt_programs_read(char *const *words, struct kt_programs *ret)
{
    static const char *pool[PROGRAMS_MAX * 3 * PROGRAM_WORDS_MAX];
    size_t n = 0;
    *ret = (struct kt_programs){.n = 0};
    for (; *words != NULL; words++) {
        unsigned kind = 0;
        bool kept = false;
        while (kind < WORD_KINDS && strncmp(*words, word_heads[kind], strlen(word_heads[kind])) != 0)
            kind++;
        if (kind == WORD_KINDS || n == sizeof pool / sizeof pool[0] ||
            !take_word(ret, (enum word_kind)kind, *words + strlen(word_heads[kind]), &pool[n], &kept))
            return false;
        n += kept;
    }
    struct kt_err ignored = {0};
    for (size_t i = 0; i < ret->n; i++)
        if (kt_program_judge(&ret->at[i], &ignored) != KT_OK || ret->at[i].timeout_ms == 0)
            return false;
    return true;
}
