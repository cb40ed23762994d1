/* cli/flags.c - see cli/flags.h. */
#include "cli/flags.h"

#include <stdio.h>

#include "lib/duration.h"
#include "lib/nearest.h"
#include "lib/num.h"

#define NAME_MAX_LEN 63

#define X(id, name, other, kind, value, help) [id] = {name, other, kind, value, help},
const struct flag cli_flag_table[FLAG_ID_COUNT] = {CLI_FLAGS(X)};
#undef X

/* Flags that somebody may expect, and why they are not here. */
static const struct absent {
    const char *name, *what, *instead;
} absent[] = {
    {"token", "a token is never an argument: others see it in the list of processes",
     "secretctl login, or VAULT_TOKEN"},
    {"password", "a password is never an argument: others see it in the list of processes",
     "admin_password=@FILE, admin_password=- or admin_password= (asks)"},
    {"tls-skip-verify", "the vault's certificate is always verified",
     "-ca-cert FILE names the CA that signed it"},
    {"non-interactive", "nothing is asked when the input is no terminal", "leave it out"},
    {"output-policy", "there is -output-curl-string, and token capabilities PATH",
     "secretctl token capabilities PATH"},
};

static bool find(const char *name, size_t len, enum flag_id *ret)
{
    for (unsigned i = 0; i < FLAG_ID_COUNT; i++) {
        const struct flag *flag = &cli_flag_table[i];
        bool same = strlen(flag->name) == len && strncmp(flag->name, name, len) == 0;
        bool other = flag->other != NULL && strlen(flag->other) == len &&
                     strncmp(flag->other, name, len) == 0;
        if (same || other) {
            *ret = (enum flag_id)i;
            return true;
        }
    }
    return false;
}

/* One flag at argv[*at]; moves *at to its last word. */
static enum kt_kind take_flag(int argc, char *const *argv, int *at, struct flags *flags,
                              struct kt_err *err)
{
    const char *text = argv[*at] + (argv[*at][1] == '-' ? 2 : 1);
    const char *equals = strchr(text, '=');
    size_t len = equals != NULL ? (size_t)(equals - text) : strlen(text);
    enum flag_id id = FLAG_ID_COUNT;
    if (!find(text, len, &id)) {
        if (flags->unknown == NULL)
            flags->unknown = text;
        return KT_OK;
    }
    if (flags->given_count == CLI_FLAGS_MAX)
        return kt_fail(err, KT_INVALID, "more than %u flags", CLI_FLAGS_MAX);
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (value == NULL && cli_flag_table[id].kind != FLAG_SWITCH) {
        if (*at + 1 >= argc) {
            (void)kt_fail(err, KT_INVALID, "-%s needs a value", cli_flag_table[id].name);
            kt_hint(err, "-%s=%s", cli_flag_table[id].name, cli_flag_table[id].value);
            return KT_INVALID;
        }
        value = argv[++*at];
    }
    flags->given[flags->given_count++] = (struct flag_given){id, value};
    return KT_OK;
}

enum kt_kind flags_split(int argc, char *const *argv, struct flags *ret, struct kt_err *err)
{
    bool ended = false;
    *ret = (struct flags){0};
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (!ended && strcmp(word, "--") == 0) {
            ended = true;
        } else if (ended || word[0] != '-' || word[1] == '\0') {
            if (ret->word_count == CLI_WORDS_MAX)
                return kt_fail(err, KT_INVALID, "more than %u words", CLI_WORDS_MAX);
            ret->words[ret->word_count++] = word;
        } else {
            enum kt_kind kind = take_flag(argc, argv, &i, ret, err);
            if (kind != KT_OK)
                return kind;
        }
    }
    return KT_OK;
}

static enum kt_kind unknown_flag(const char *text, const enum flag_id *allowed, size_t count,
                                 const char *command, struct kt_err *err)
{
    char name[NAME_MAX_LEN + 1];
    size_t len = strcspn(text, "=");
    (void)snprintf(name, sizeof name, "%.*s", len > NAME_MAX_LEN ? NAME_MAX_LEN : (int)len, text);
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        if (strcmp(absent[i].name, name) != 0)
            continue;
        (void)kt_fail(err, KT_INVALID, "no flag -%s: %s", name, absent[i].what);
        kt_hint(err, "%s", absent[i].instead);
        return KT_INVALID;
    }
    const char *names[FLAG_ID_COUNT + 1] = {NULL};
    for (size_t i = 0; i < count; i++)
        names[i] = cli_flag_table[allowed[i]].name;
    const char *near = kt_nearest(name, names);
    (void)kt_fail(err, KT_INVALID, "no flag -%s", name);
    if (near != NULL)
        kt_hint(err, "-%s?  all flags: secretctl %s%s--help", near, command,
                command[0] != '\0' ? " " : "");
    else
        kt_hint(err, "all flags: secretctl %s%s--help", command, command[0] != '\0' ? " " : "");
    return KT_INVALID;
}

static enum kt_kind check_value(const struct flag *flag, const char *text, struct kt_err *err)
{
    static const char *const booleans[] = {"true", "false", "1", "0"};
    uint64_t number = 0;
    bool good = true;
    switch (flag->kind) {
    case FLAG_SWITCH:
        good = text == NULL;
        for (size_t i = 0; i < sizeof booleans / sizeof booleans[0]; i++)
            good = good || strcmp(text, booleans[i]) == 0;
        break;
    case FLAG_NUMBER:
        good = kt_u64_parse(kt_str(text), INT64_MAX, &number);
        break;
    case FLAG_DURATION:
        return kt_duration_parse(kt_str(text), &number, err);
    case FLAG_TEXT:
    case FLAG_LIST:
        break;
    }
    if (good)
        return KT_OK;
    return kt_fail(err, KT_INVALID, "-%s is %s", flag->name,
                   flag->kind == FLAG_SWITCH ? "true or false" : "a whole number");
}

enum kt_kind flags_check(const struct flags *flags, const enum flag_id *allowed, size_t count,
                         const char *command, struct kt_err *err)
{
    if (flags->unknown != NULL)
        return unknown_flag(flags->unknown, allowed, count, command, err);
    for (size_t i = 0; i < flags->given_count; i++) {
        const struct flag_given *given = &flags->given[i];
        const struct flag *flag = &cli_flag_table[given->id];
        bool taken = false;
        for (size_t k = 0; k < count; k++)
            taken = taken || allowed[k] == given->id;
        if (!taken)
            return unknown_flag(flag->name, allowed, count, command, err);
        enum kt_kind kind = check_value(flag, given->text, err);
        if (kind != KT_OK)
            return kind;
    }
    return KT_OK;
}

static const struct flag_given *last(const struct flags *flags, enum flag_id id)
{
    for (size_t i = flags->given_count; i > 0; i--)
        if (flags->given[i - 1].id == id)
            return &flags->given[i - 1];
    return NULL;
}

bool flags_has(const struct flags *flags, enum flag_id id)
{
    return last(flags, id) != NULL;
}

bool flags_on(const struct flags *flags, enum flag_id id)
{
    const struct flag_given *given = last(flags, id);
    if (given == NULL)
        return false;
    return given->text == NULL || strcmp(given->text, "true") == 0 || strcmp(given->text, "1") == 0;
}

const char *flags_text(const struct flags *flags, enum flag_id id)
{
    const struct flag_given *given = last(flags, id);
    return given != NULL ? given->text : NULL;
}

uint64_t flags_number(const struct flags *flags, enum flag_id id, uint64_t otherwise)
{
    uint64_t number = otherwise;
    const char *text = flags_text(flags, id);
    if (text != NULL)
        (void)kt_u64_parse(kt_str(text), INT64_MAX, &number);
    return number;
}

const char *flags_next(const struct flags *flags, enum flag_id id, size_t *at)
{
    while (*at < flags->given_count) {
        const struct flag_given *given = &flags->given[(*at)++];
        if (given->id == id)
            return given->text;
    }
    return NULL;
}
