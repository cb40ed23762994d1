/* cli/input.c - see cli/input.h. */
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/prompt.h"
#include "cli/write_settings.h"
#include "lib/cleanup.h"
#include "lib/duration.h"
#include "lib/json.h"
#include "lib/nearest.h"
#include "lib/num.h"

#define NAME_MAX_LEN 255

/* ---- files ---- */

/* An undumpable process may not open its own /proc/self/fd, so what leads there is duplicated. */
static int open_input(struct cli *cli, const char *path)
{
    static const char fds[] = "/dev/fd/";
    uint64_t number = 0;
    if (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdin") == 0)
        return fcntl(cli->in_fd, F_DUPFD_CLOEXEC, 3);
    if (strncmp(path, fds, sizeof fds - 1) == 0 &&
        kt_u64_parse(kt_str(path + sizeof fds - 1), 1023, &number))
        return fcntl((int)number, F_DUPFD_CLOEXEC, 3);
    return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

enum kt_kind input_file(struct cli *cli, const char *path, size_t max, struct kt_buf *ret,
                        struct kt_err *err)
{
    kt_autoclose int fd = open_input(cli, path);
    if (fd < 0)
        return kt_fail(err, KT_IO, "cannot open '%.200s'", path);
    for (;;) {
        unsigned char *at = kt_buf_grow(ret, 16384);
        if (at == NULL)
            return kt_fail(err, KT_NO_MEMORY, "reading '%.200s'", path);
        ssize_t n = read(fd, at, 16384);
        ret->len -= 16384;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return kt_fail(err, KT_IO, "cannot read '%.200s'", path);
        ret->len += (size_t)n;
        if (n == 0)
            return KT_OK;
        if (ret->len > max)
            return kt_fail(err, KT_TOO_LARGE, "'%.200s' is larger than %zu KiB", path, max / 1024);
    }
}

/* ---- values ---- */

static bool is_utf8(struct kt_bytes text)
{
    for (size_t i = 0; i < text.len;) {
        unsigned char c = text.at[i];
        size_t more = c < 0x80                ? 0
                      : c >= 0xC2 && c < 0xE0 ? 1
                      : c >= 0xE0 && c < 0xF0 ? 2
                      : c >= 0xF0 && c < 0xF5 ? 3
                                              : SIZE_MAX;
        if (more == SIZE_MAX || c == 0 || text.len - i <= more)
            return false;
        for (size_t k = 1; k <= more; k++)
            if ((text.at[i + k] & 0xC0) != 0x80)
                return false;
        i += more + 1;
    }
    return true;
}

/* One line, with its newline: what echo and editors make of a password. */
static bool is_line(const struct kt_buf *text)
{
    return text->len > 0 && memchr(text->at, '\n', text->len) == text->at + text->len - 1;
}

static void drop_single_newline(struct kt_buf *text)
{
    if (!is_line(text))
        return;
    text->len--;
    if (text->len > 0 && text->at[text->len - 1] == '\r')
        text->len--;
}

/* once: it is known to somebody who finds a typing error out; what is new is asked for twice. */
static enum kt_kind ask(struct cli *cli, const char *name, bool once, struct kt_buf *ret,
                        struct kt_err *err)
{
    char question[NAME_MAX_LEN + 32];
    kt_autobuf struct kt_buf again = {0};
    kt_buf_init(&again, PROMPT_ANSWER_MAX);
    if (!cli->in_terminal) {
        (void)kt_fail(err, KT_INVALID, "'%.60s' has no value, and nobody can be asked", name);
        kt_hint(err, "%.60s=@FILE, or %.60s=- and the value on the standard input", name, name);
        return KT_INVALID;
    }
    (void)snprintf(question, sizeof question, "%.*s (not shown): ", NAME_MAX_LEN, name);
    enum kt_kind kind = prompt_secret(cli, question, ret, err);
    if (kind != KT_OK || once)
        return kind;
    (void)snprintf(question, sizeof question, "%.*s once more: ", NAME_MAX_LEN, name);
    kind = prompt_secret(cli, question, &again, err);
    if (kind != KT_OK && kind != KT_GONE)
        return kind;
    if (kt_bytes_equal(kt_buf_bytes(ret), kt_buf_bytes(&again)))
        return KT_OK;
    return kt_fail(err, KT_INVALID, "the two answers for '%.60s' differ; nothing was written",
                   name);
}

/* A secret's word: what stands after its "=" is "", "-" or "@FILE". */
struct secret_word {
    const char *name, *text;
    bool once; /* ask() */
};

/* KT_DENIED: it is the value itself. */
static enum kt_kind fetch(struct cli *cli, const struct secret_word *word, bool *stdin_used,
                          struct kt_buf *ret, struct kt_err *err)
{
    const char *name = word->name, *text = word->text;
    enum kt_kind kind = KT_OK;
    bool input = strcmp(text, "-") == 0;
    if (text[0] == '\0' || (input && cli->in_terminal)) {
        kind = ask(cli, name, word->once, ret, err);
    } else if (input) {
        if (*stdin_used)
            return kt_fail(err, KT_INVALID, "only one value can come from the standard input");
        *stdin_used = true;
        kind = input_file(cli, "-", INPUT_VALUE_MAX, ret, err);
    } else if (text[0] == '@') {
        kind = input_file(cli, text + 1, INPUT_VALUE_MAX, ret, err);
    } else {
        return KT_DENIED;
    }
    if (kind != KT_OK)
        return kind;
    if (is_utf8(kt_buf_bytes(ret)))
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "the value of '%.60s' is not text", name);
    kt_hint(err, "encode it: base64 -w0 FILE > FILE.b64, then %.60s=@FILE.b64", name);
    return KT_INVALID;
}

/* "name" of "name=..."; false when there is no '='. */
static bool split_word(const char *word, char name[NAME_MAX_LEN + 1], const char **ret_value)
{
    const char *equals = strchr(word, '=');
    if (equals == NULL || equals == word || (size_t)(equals - word) > NAME_MAX_LEN)
        return false;
    (void)snprintf(name, NAME_MAX_LEN + 1, "%.*s", (int)(equals - word), word);
    *ret_value = equals + 1;
    return true;
}

static bool named_before(const char *const *words, size_t at, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < at; i++)
        if (strncmp(words[i], name, len) == 0 && words[i][len] == '=')
            return true;
    return false;
}

/* line: a command that takes a whole object from "-"; or NULL. */
static enum kt_kind value_as_word(const char *name, const char *line, struct kt_err *err)
{
    (void)kt_fail(
        err, KT_INVALID,
        "the value of '%.60s' stands on the command line, where the list of processes and "
        "the shell's history show it to others",
        name);
    kt_hint(err,
            "%.60s= (asks), %.60s=@FILE, or %.60s=- (standard input)%s%.80s%s. And change that "
            "value: it was seen",
            name, name, name, line != NULL ? "; all: secretctl " : "", line != NULL ? line : "",
            line != NULL ? " - < FILE.json" : "");
    return KT_INVALID;
}

/* ---- secrets ---- */

static enum kt_kind whole_object(struct cli *cli, const char *word, struct kt_buf *ret,
                                 struct kt_err *err)
{
    const char *path = word[0] == '@' ? word + 1 : word;
    if (word[0] == '-' && cli->in_terminal)
        cli_note(cli, "a JSON object, ended with Ctrl-D:");
    enum kt_kind kind = input_file(cli, path, INPUT_ALL_MAX, ret, err);
    if (kind == KT_OK)
        kind = kt_json_check(kt_buf_bytes(ret), NULL, err);
    if (kind == KT_OK && kt_json_type(kt_json_value(kt_buf_bytes(ret))) != KT_JSON_OBJECT)
        kind = kt_fail(err, KT_INVALID, "no JSON object");
    if (kind == KT_INVALID) {
        kt_context(err, "'%.100s'", path);
        kt_hint(err, "it has to be like {\"username\": \"app\", \"password\": \"...\"}");
    }
    return kind;
}

enum kt_kind input_secrets(struct cli *cli, const char *const *words, size_t count,
                           const struct input_of *of, struct kt_buf *ret, struct kt_err *err)
{
    bool stdin_used = false;
    if (count == 1 && (strcmp(words[0], "-") == 0 || words[0][0] == '@'))
        return whole_object(cli, words[0], ret, err);
    struct kt_jsonw w = kt_jsonw(ret);
    kt_jsonw_object(&w);
    for (size_t i = 0; i < count; i++) {
        char name[NAME_MAX_LEN + 1];
        const char *text = NULL;
        if (!split_word(words[i], name, &text)) {
            (void)kt_fail(err, KT_INVALID, "word %zu is not of the form key=...", i + 1);
            kt_hint(err, "password= (asks), password=@FILE, password=- (standard input)");
            return KT_INVALID;
        }
        if (named_before(words, i, name))
            return kt_fail(err, KT_INVALID, "'%.60s' is given twice", name);
        kt_autobuf struct kt_buf value = {0};
        kt_buf_init(&value, INPUT_ALL_MAX);
        const struct secret_word word = {.name = name, .text = text};
        enum kt_kind kind = fetch(cli, &word, &stdin_used, &value, err);
        if (kind == KT_DENIED && (of->path == NULL || !write_setting_is_public(of->path, name)))
            return value_as_word(name, of->line, err);
        if (kind == KT_DENIED)
            kt_buf_add_text(&value, text);
        else if (kind != KT_OK)
            return kind;
        if (is_line(&value))
            cli_note(
                cli,
                "note   the newline at the end of '%.60s' is kept; without it: printf %%s, echo -n",
                name);
        kt_jsonw_key(&w, name);
        kt_jsonw_bytes(&w, kt_buf_bytes(&value));
    }
    kt_jsonw_end(&w);
    return kt_buf_ok(ret) ? KT_OK : kt_fail(err, KT_TOO_LARGE, "the values are too large");
}

/* ---- settings ---- */

static const struct input_field *find_field(const struct input_field *fields, const char *name)
{
    for (; fields->name != NULL; fields++)
        if (strcmp(fields->name, name) == 0)
            return fields;
    return NULL;
}

static enum kt_kind unknown_field(const struct input_field *fields, const char *name,
                                  struct kt_err *err)
{
    enum { FIELDS_MAX = 64 };
    const char *names[FIELDS_MAX + 1] = {NULL};
    char all[300] = "";
    size_t used = 0;
    for (size_t i = 0; i < FIELDS_MAX && fields[i].name != NULL; i++) {
        names[i] = fields[i].name;
        if (used + strlen(fields[i].name) + 2 < sizeof all)
            used += (size_t)snprintf(all + used, sizeof all - used, " %s", fields[i].name);
    }
    const char *near = kt_nearest(name, names);
    (void)kt_fail(err, KT_INVALID, "there is no setting '%.60s'", name);
    if (near != NULL)
        kt_hint(err, "%s=...?", near);
    else if (used > 0)
        kt_hint(err, "there are:%s", all);
    else
        kt_hint(err, "leave it out: none is taken here");
    return KT_INVALID;
}

/* Names of an LDAP directory have commas in them: a semicolon anywhere says that it is what tells them
 * apart. */
static void write_list(struct kt_jsonw *w, const char *text)
{
    const char *between = strchr(text, ';') == NULL ? "," : ";";
    kt_jsonw_array(w);
    while (*text != '\0') {
        size_t len = strcspn(text, between);
        struct kt_bytes part = kt_bytes(text, len);
        while (part.len > 0 && part.at[0] == ' ')
            part = kt_bytes(part.at + 1, part.len - 1);
        if (part.len > 0)
            kt_jsonw_bytes(w, part);
        text += len + (text[len] == '\0' ? 0 : 1);
    }
    kt_jsonw_end(w);
}

/* A number or a boolean as such, else a text. */
static void write_plain(struct kt_jsonw *w, const char *text)
{
    int64_t number = 0;
    if (kt_i64_parse(kt_str(text), INT64_MIN, INT64_MAX, &number))
        kt_jsonw_int(w, number);
    else if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        kt_jsonw_bool(w, text[0] == 't');
    else
        kt_jsonw_text(w, text);
}

static enum kt_kind write_checked(struct kt_jsonw *w, const struct input_field *field,
                                  const char *text, struct kt_err *err)
{
    int64_t number = 0;
    uint64_t ms = 0;
    switch (field->kind) {
    case INPUT_NUMBER:
        if (!kt_i64_parse(kt_str(text), 0, INT64_MAX, &number))
            return kt_fail(err, KT_INVALID, "%s is a whole number", field->name);
        kt_jsonw_int(w, number);
        return KT_OK;
    case INPUT_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return kt_fail(err, KT_INVALID, "%s is true or false", field->name);
        kt_jsonw_bool(w, text[0] == 't');
        return KT_OK;
    case INPUT_DURATION:
        if (kt_i64_parse(kt_str(text), 0, INT64_MAX, &number)) {
            kt_jsonw_int(w, number);
            return KT_OK;
        }
        if (kt_duration_parse(kt_str(text), &ms, err) != KT_OK) {
            kt_context(err, "%s", field->name);
            kt_hint(err, "90, 90s, 5m, 1h30m, 30d");
            return KT_INVALID;
        }
        kt_jsonw_text(w, text);
        return KT_OK;
    case INPUT_LIST:
        write_list(w, text);
        return KT_OK;
    case INPUT_TEXT:
    case INPUT_FILE:
    case INPUT_MAP:
    case INPUT_SECRET:
    case INPUT_KNOWN_SECRET:
        break;
    }
    kt_jsonw_text(w, text);
    return KT_OK;
}

static enum kt_kind write_fetched(struct cli *cli, struct kt_jsonw *w,
                                  const struct input_field *field, const char *text,
                                  bool *stdin_used, struct kt_err *err)
{
    kt_autobuf struct kt_buf value = {0};
    kt_buf_init(&value, INPUT_ALL_MAX);
    const struct secret_word word = {field->name, text, field->kind == INPUT_KNOWN_SECRET};
    enum kt_kind kind = fetch(cli, &word, stdin_used, &value, err);
    if (kind == KT_DENIED)
        return value_as_word(field->name, NULL, err);
    if (kind != KT_OK)
        return kind;
    drop_single_newline(&value);
    kt_jsonw_bytes(w, kt_buf_bytes(&value));
    return KT_OK;
}

/* All words "map.member=value" as one object, when the first of them is met. */
static enum kt_kind write_map(struct kt_jsonw *w, const struct input_field *field,
                              const char *const *words, size_t count, struct kt_err *err)
{
    size_t len = strlen(field->name);
    kt_jsonw_object(w);
    for (size_t i = 0; i < count; i++) {
        char name[NAME_MAX_LEN + 1];
        const char *text = NULL;
        if (!split_word(words[i], name, &text) || strncmp(name, field->name, len) != 0 ||
            name[len] != '.')
            continue;
        if (name[len + 1] == '\0')
            return kt_fail(err, KT_INVALID, "a member's name is missing after '%s.'", field->name);
        kt_jsonw_key(w, name + len + 1);
        write_plain(w, text);
    }
    kt_jsonw_end(w);
    return KT_OK;
}

static enum kt_kind write_whole_map(struct kt_jsonw *w, const struct input_field *field,
                                    const char *text, struct kt_err *err)
{
    struct kt_bytes json = kt_str(text);
    if (kt_json_check(json, NULL, err) != KT_OK ||
        kt_json_type(kt_json_value(json)) != KT_JSON_OBJECT) {
        (void)kt_fail(err, KT_INVALID, "%s is a map", field->name);
        kt_hint(err, "%s.NAME=VALUE for each member, or %s='{\"NAME\": VALUE}'", field->name,
                field->name);
        return KT_INVALID;
    }
    kt_jsonw_raw(w, json);
    return KT_OK;
}

static enum kt_kind write_field(struct cli *cli, struct kt_jsonw *w, const char *const *words,
                                size_t count, size_t at, const struct input_field *fields,
                                bool *stdin_used, struct kt_err *err)
{
    char name[NAME_MAX_LEN + 1];
    const char *text = NULL;
    if (!split_word(words[at], name, &text)) {
        (void)kt_fail(err, KT_INVALID, "'%.60s' is not of the form name=value", words[at]);
        kt_hint(err, "secretctl %s --help", cli->command->words);
        return KT_INVALID;
    }
    if (named_before(words, at, name))
        return kt_fail(err, KT_INVALID, "'%.60s' is given twice", name);
    char *dot = strchr(name, '.');
    if (dot != NULL) {
        *dot = '\0';
        const struct input_field *map = find_field(fields, name);
        if (map == NULL || map->kind != INPUT_MAP)
            return unknown_field(fields, name, err);
        size_t len = strlen(name);
        for (size_t i = 0; i < at; i++)
            if (strncmp(words[i], name, len) == 0 && words[i][len] == '.')
                return KT_OK; /* written with the first of them */
        kt_jsonw_key(w, map->name);
        return write_map(w, map, words + at, count - at, err);
    }
    const struct input_field *field = find_field(fields, name);
    if (field == NULL)
        return unknown_field(fields, name, err);
    kt_jsonw_key(w, field->name);
    bool secret = field->kind == INPUT_SECRET || field->kind == INPUT_KNOWN_SECRET;
    if (secret || (text[0] == '@' && field->kind == INPUT_FILE))
        return write_fetched(cli, w, field, text, stdin_used, err);
    return field->kind == INPUT_MAP ? write_whole_map(w, field, text, err)
                                    : write_checked(w, field, text, err);
}

enum kt_kind input_fields(struct cli *cli, const char *const *words, size_t count,
                          const struct input_field *fields, struct kt_buf *ret, struct kt_err *err)
{
    bool stdin_used = false;
    struct kt_jsonw w = kt_jsonw(ret);
    kt_jsonw_object(&w);
    for (size_t i = 0; i < count; i++) {
        enum kt_kind kind = write_field(cli, &w, words, count, i, fields, &stdin_used, err);
        if (kind != KT_OK)
            return kind;
    }
    kt_jsonw_end(&w);
    return kt_buf_ok(ret) ? KT_OK : kt_fail(err, KT_TOO_LARGE, "the settings are too large");
}

enum kt_kind input_pairs(const struct cli *cli, int flag, struct kt_buf *ret, struct kt_err *err)
{
    size_t at = 0;
    struct kt_jsonw w = kt_jsonw(ret);
    kt_jsonw_object(&w);
    for (;;) {
        char name[NAME_MAX_LEN + 1];
        const char *text = NULL;
        const char *pair = flags_next(&cli->flags, (enum flag_id)flag, &at);
        if (pair == NULL)
            break;
        if (!split_word(pair, name, &text))
            return kt_fail(err, KT_INVALID, "-%s is KEY=VALUE", cli_flag_table[flag].name);
        kt_jsonw_kv_text(&w, name, text);
    }
    kt_jsonw_end(&w);
    return kt_buf_ok(ret) ? KT_OK : kt_fail(err, KT_TOO_LARGE, "the pairs are too large");
}
