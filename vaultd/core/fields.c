#include <stdlib.h>

#include "lib/duration.h"
#include "lib/num.h"
#include "vaultd/core/engine.h"
#include "vaultd/core/private.h"

/* A list's items: more than anybody needs. It says nothing of how long they are: who compares each with each has a
 * lower bound of its own. */
#define ITEMS_MAX 4096u

/* Typed fields of a request, converted as Vault converts them (its "weak" decoding), so that no
 * client is surprised. An error names the field and what is wanted, never the value. */

static enum kt_kind wrong(const struct request *req, struct kt_err *err, const char *name,
                          const char *wanted)
{
    if (req->arena.failed)
        return kt_fail(err, KT_NO_MEMORY, "reading field \"%s\"", name);
    return kt_fail(err, KT_INVALID,
                   "Field validation failed: error converting input for field \"%s\": wanted %s",
                   name, wanted);
}

enum kt_kind request_member(struct request *req, const char *name, struct kt_json *ret)
{
    struct kt_json value;
    if (req->data.at == NULL || !kt_json_member(req->data, name, &value))
        return KT_NOT_FOUND;
    *ret = value;
    return KT_OK;
}

/* Null counts as absent. */
static bool present(struct request *req, const char *name, struct kt_json *ret)
{
    return request_member(req, name, ret) == KT_OK && kt_json_type(*ret) != KT_JSON_NULL;
}

/* A scalar as text: strings decoded, numbers as written, booleans "1" and "0". NULL: no scalar. */
static const char *scalar_text(struct kt_arena *arena, struct kt_json value)
{
    bool yes = false;
    switch (kt_json_type(value)) {
    case KT_JSON_STRING:
        return kt_json_text(value, arena);
    case KT_JSON_NUMBER:
        return kt_arena_text(arena, kt_json_bytes(value));
    case KT_JSON_BOOL:
        return kt_json_bool(value, &yes) && yes ? "1" : "0";
    case KT_JSON_NULL:
        return "";
    case KT_JSON_NONE:
    case KT_JSON_ARRAY:
    case KT_JSON_OBJECT:
        break;
    }
    return NULL;
}

enum kt_kind request_string(struct request *req, const char *name, const char **ret,
                            struct kt_err *err)
{
    struct kt_json value;
    if (!present(req, name, &value))
        return KT_NOT_FOUND;
    const char *text = scalar_text(&req->arena, value);
    if (text == NULL)
        return wrong(req, err, name, "a string");
    *ret = text;
    return KT_OK;
}

/* Decimal; or with Go's prefixes 0x, 0o, 0b, and a leading zero for octal: "0x10", "-010". */
static bool parse_int(const char *text, int64_t *ret)
{
    static const struct {
        char letter;
        unsigned base;
    } prefixes[] = {{'x', 16}, {'o', 8}, {'b', 2}};
    const char *digits = text + (text[0] == '-');
    if (digits[0] != '0' || digits[1] == '\0')
        return kt_i64_parse(kt_str(text), INT64_MIN + 1, INT64_MAX, ret);
    unsigned base = 8;
    digits++;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if ((digits[0] | 0x20) == prefixes[i].letter) {
            base = prefixes[i].base;
            digits++;
            break;
        }
    int64_t value = 0;
    if (*digits == '\0')
        return false;
    for (; *digits != '\0'; digits++) {
        char c = (char)(*digits | (*digits > '9' ? 0x20 : 0));
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : base;
        if (digit >= base || __builtin_mul_overflow(value, (int64_t)base, &value) ||
            __builtin_add_overflow(value, (int64_t)digit, &value))
            return false;
    }
    *ret = text[0] == '-' ? -value : value;
    return true;
}

static enum kt_kind int_of(struct request *req, const char *name, struct kt_json value,
                           int64_t *ret, struct kt_err *err)
{
    const char *text = scalar_text(&req->arena, value);
    if (text == NULL)
        return wrong(req, err, name, "a whole number");
    if (text[0] == '\0') {
        *ret = 0;
        return KT_OK;
    }
    bool ok = kt_json_type(value) == KT_JSON_NUMBER
                  ? kt_i64_parse(kt_str(text), INT64_MIN + 1, INT64_MAX, ret)
                  : parse_int(text, ret);
    return ok ? KT_OK : wrong(req, err, name, "a whole number");
}

enum kt_kind request_int(struct request *req, const char *name, int64_t *ret, struct kt_err *err)
{
    struct kt_json value;
    return present(req, name, &value) ? int_of(req, name, value, ret, err) : KT_NOT_FOUND;
}

/* strtod() would take hexadecimal, "inf" and "nan", too. */
static bool parse_number(const char *text, double *ret)
{
    char *end = NULL;
    if (text[0] == '\0' || text[strspn(text, "0123456789+-.eE")] != '\0')
        return false;
    double value = strtod(text, &end);
    if (*end != '\0' || !(value > -1e300 && value < 1e300))
        return false;
    *ret = value;
    return true;
}

static enum kt_kind number_of(struct request *req, const char *name, struct kt_json value, double *ret,
                              struct kt_err *err)
{
    const char *text = scalar_text(&req->arena, value);
    bool fine = text != NULL && (text[0] == '\0' || parse_number(text, ret));
    if (fine && text[0] == '\0')
        *ret = 0;
    return fine ? KT_OK : wrong(req, err, name, "a number");
}

enum kt_kind request_number(struct request *req, const char *name, double *ret, struct kt_err *err)
{
    struct kt_json value;
    return present(req, name, &value) ? number_of(req, name, value, ret, err) : KT_NOT_FOUND;
}

static bool word_bool(const char *text, bool *ret)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const no[] = {"", "0", "f", "F", "FALSE", "false", "False"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        if (strcmp(text, yes[i]) == 0) {
            *ret = true;
            return true;
        }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        if (strcmp(text, no[i]) == 0) {
            *ret = false;
            return true;
        }
    return false;
}

static enum kt_kind bool_of(struct request *req, const char *name, struct kt_json value, bool *ret,
                            struct kt_err *err)
{
    const char *text = scalar_text(&req->arena, value);
    if (text == NULL || !word_bool(text, ret))
        return wrong(req, err, name, "true or false");
    return KT_OK;
}

enum kt_kind request_bool(struct request *req, const char *name, bool *ret, struct kt_err *err)
{
    struct kt_json value;
    return present(req, name, &value) ? bool_of(req, name, value, ret, err) : KT_NOT_FOUND;
}

static enum kt_kind duration_of(struct request *req, const char *name, struct kt_json value,
                                int64_t *ret, struct kt_err *err)
{
    if (kt_json_type(value) == KT_JSON_BOOL)
        return wrong(req, err, name, "a duration");
    const char *text = scalar_text(&req->arena, value);
    if (text == NULL)
        return wrong(req, err, name, "a duration such as 30, \"90s\" or \"1h30m\"");
    if (text[0] == '\0') {
        *ret = 0;
        return KT_OK;
    }
    if (text[0] == '-')
        return kt_fail(err, KT_INVALID, "cannot provide negative value for field \"%s\"", name);
    uint64_t ms = 0;
    if (kt_duration_parse(kt_str(text), &ms, NULL) != KT_OK)
        return wrong(req, err, name, "a duration such as 30, \"90s\" or \"1h30m\"");
    *ret = (int64_t)(ms / 1000);
    return KT_OK;
}

enum kt_kind request_duration_s(struct request *req, const char *name, int64_t *ret,
                                struct kt_err *err)
{
    struct kt_json value;
    return present(req, name, &value) ? duration_of(req, name, value, ret, err) : KT_NOT_FOUND;
}

static struct kt_bytes trimmed(struct kt_bytes text)
{
    while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t' || text.at[0] == '\n'))
        text = kt_bytes(text.at + 1, text.len - 1);
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t' ||
                            text.at[text.len - 1] == '\n'))
        text.len--;
    return text;
}

static enum kt_kind too_long(struct kt_err *err, const char *name)
{
    return kt_fail(err, KT_INVALID, "field \"%s\" has more than %u items", name, ITEMS_MAX);
}

static enum kt_kind split_commas(struct kt_arena *arena, const char *name, const char *text,
                                 struct string_list *ret, struct kt_err *err)
{
    size_t most = 1;
    for (const char *at = text; *at != '\0'; at++)
        most += *at == ',';
    if (most > ITEMS_MAX)
        return too_long(err, name);
    struct string_list list = {kt_arena_take(arena, most * sizeof(char *)), 0};
    while (list.at != NULL && *text != '\0') {
        size_t n = strcspn(text, ",");
        list.at[list.n++] = kt_arena_text(arena, trimmed(kt_bytes(text, n)));
        text += n + (text[n] == ',');
    }
    if (arena->failed)
        return kt_fail(err, KT_NO_MEMORY, "reading field \"%s\"", name);
    *ret = list;
    return KT_OK;
}

static enum kt_kind array_list(struct request *req, const char *name, struct kt_json value,
                               struct string_list *ret, struct kt_err *err)
{
    if (kt_json_count(value) > ITEMS_MAX)
        return too_long(err, name);
    struct string_list list = {
        kt_arena_take(&req->arena, (kt_json_count(value) + 1) * sizeof(char *)), 0};
    if (list.at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading field \"%s\"", name);
    struct kt_json_iter it = kt_json_iter(value);
    while (kt_json_next(&it)) {
        const char *text = scalar_text(&req->arena, it.value);
        if (text == NULL)
            return wrong(req, err, name, "a list of strings");
        list.at[list.n++] = kt_arena_text(&req->arena, trimmed(kt_str(text)));
    }
    *ret = list;
    return req->arena.failed ? kt_fail(err, KT_NO_MEMORY, "reading field \"%s\"", name) : KT_OK;
}

static enum kt_kind list_of(struct request *req, const char *name, struct kt_json value, bool comma,
                            struct string_list *ret, struct kt_err *err)
{
    if (kt_json_type(value) == KT_JSON_ARRAY)
        return array_list(req, name, value, ret, err);
    const char *text = scalar_text(&req->arena, value);
    if (text == NULL)
        return wrong(req, err, name, "a list of strings");
    if (comma)
        return split_commas(&req->arena, name, text, ret, err);
    const char **one = kt_arena_take(&req->arena, sizeof *one);
    if (one == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading field \"%s\"", name);
    one[0] = text;
    *ret = (struct string_list){one, text[0] != '\0'};
    return KT_OK;
}

enum kt_kind request_list(struct request *req, const char *name, bool comma,
                          struct string_list *ret, struct kt_err *err)
{
    struct kt_json value;
    return present(req, name, &value) ? list_of(req, name, value, comma, ret, err) : KT_NOT_FOUND;
}

static enum kt_kind int_list_of(struct request *req, const char *name, struct kt_json value,
                                int64_t **ret, size_t *ret_n, struct kt_err *err)
{
    struct string_list texts = {0};
    enum kt_kind kind = list_of(req, name, value, true, &texts, err);
    if (kind != KT_OK)
        return kind;
    int64_t *numbers = kt_arena_take(&req->arena, (texts.n + 1) * sizeof *numbers);
    if (numbers == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading field \"%s\"", name);
    for (size_t i = 0; i < texts.n; i++)
        if (!kt_i64_parse(kt_str(texts.at[i]), INT64_MIN + 1, INT64_MAX, &numbers[i]))
            return wrong(req, err, name, "a list of whole numbers");
    *ret = numbers;
    *ret_n = texts.n;
    return KT_OK;
}

enum kt_kind request_int_list(struct request *req, const char *name, int64_t **ret, size_t *ret_n,
                              struct kt_err *err)
{
    struct kt_json value;
    return present(req, name, &value) ? int_list_of(req, name, value, ret, ret_n, err)
                                      : KT_NOT_FOUND;
}

static bool add_pair(struct kt_jsonw *w, struct kt_bytes text)
{
    const unsigned char *equals = text.len == 0 ? NULL : memchr(text.at, '=', text.len);
    if (equals == NULL || equals == text.at)
        return false;
    size_t n = (size_t)(equals - text.at);
    kt_jsonw_key_bytes(w, trimmed(kt_bytes(text.at, n)));
    kt_jsonw_bytes(w, kt_bytes(equals + 1, text.len - n - 1));
    return true;
}

static bool write_pairs(struct request *req, struct kt_json value, struct kt_jsonw *w)
{
    const char *text = NULL;
    if (kt_json_type(value) == KT_JSON_STRING) {
        text = kt_json_text(value, &req->arena);
        return text != NULL && (text[0] == '\0' || add_pair(w, kt_str(text)));
    }
    if (kt_json_type(value) != KT_JSON_ARRAY && kt_json_type(value) != KT_JSON_OBJECT)
        return false;
    struct kt_json_iter it = kt_json_iter(value);
    while (kt_json_next(&it)) {
        text = scalar_text(&req->arena, it.value);
        if (text == NULL)
            return false;
        if (kt_json_type(value) == KT_JSON_ARRAY) {
            if (!add_pair(w, kt_str(text)))
                return false;
            continue;
        }
        const char *key = kt_json_text(it.key, &req->arena);
        if (key == NULL)
            return false;
        kt_jsonw_key(w, key);
        kt_jsonw_text(w, text);
    }
    return true;
}

static enum kt_kind pairs_of(struct request *req, const char *name, struct kt_json value,
                             struct kt_bytes *ret, struct kt_err *err)
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, (size_t)1024 * 1024);
    struct kt_jsonw w = kt_jsonw(&text);
    kt_jsonw_object(&w);
    if (!write_pairs(req, value, &w))
        return wrong(req, err, name, "an object of strings, or \"key=value\"");
    kt_jsonw_end(&w);
    char *copy = kt_buf_ok(&text) ? kt_arena_text(&req->arena, kt_buf_bytes(&text)) : NULL;
    if (copy == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading field \"%s\"", name);
    *ret = kt_bytes(copy, text.len);
    return KT_OK;
}

enum kt_kind request_pairs(struct request *req, const char *name, struct kt_bytes *ret,
                           struct kt_err *err)
{
    struct kt_json value;
    return present(req, name, &value) ? pairs_of(req, name, value, ret, err) : KT_NOT_FOUND;
}

/* ---- every declared field, before the handler ------------------------------------------------ */

typedef enum kt_kind field_check_fn(struct request *req, const char *name, struct kt_json value,
                                    struct kt_err *err);

static enum kt_kind check_string(struct request *req, const char *name, struct kt_json value,
                                 struct kt_err *err)
{
    enum kt_json_type type = kt_json_type(value);
    bool scalar = type != KT_JSON_ARRAY && type != KT_JSON_OBJECT;
    return scalar ? KT_OK : wrong(req, err, name, "a string");
}

static enum kt_kind check_int(struct request *req, const char *name, struct kt_json value,
                              struct kt_err *err)
{
    int64_t number = 0;
    return int_of(req, name, value, &number, err);
}

static enum kt_kind check_number(struct request *req, const char *name, struct kt_json value,
                                 struct kt_err *err)
{
    double number = 0;
    return number_of(req, name, value, &number, err);
}

static enum kt_kind check_bool(struct request *req, const char *name, struct kt_json value,
                               struct kt_err *err)
{
    bool yes = false;
    return bool_of(req, name, value, &yes, err);
}

static enum kt_kind check_duration(struct request *req, const char *name, struct kt_json value,
                                   struct kt_err *err)
{
    int64_t seconds = 0;
    return duration_of(req, name, value, &seconds, err);
}

static enum kt_kind check_list(struct request *req, const char *name, struct kt_json value,
                               struct kt_err *err)
{
    struct string_list list;
    return list_of(req, name, value, false, &list, err);
}

static enum kt_kind check_comma_list(struct request *req, const char *name, struct kt_json value,
                                     struct kt_err *err)
{
    struct string_list list;
    return list_of(req, name, value, true, &list, err);
}

static enum kt_kind check_int_list(struct request *req, const char *name, struct kt_json value,
                                   struct kt_err *err)
{
    int64_t *numbers = NULL;
    size_t n = 0;
    return int_list_of(req, name, value, &numbers, &n, err);
}

static enum kt_kind check_pairs(struct request *req, const char *name, struct kt_json value,
                                struct kt_err *err)
{
    struct kt_bytes pairs;
    return pairs_of(req, name, value, &pairs, err);
}

static enum kt_kind check_map(struct request *req, const char *name, struct kt_json value,
                              struct kt_err *err)
{
    return kt_json_type(value) == KT_JSON_OBJECT ? KT_OK : wrong(req, err, name, "an object");
}

/* By enum field_type. NULL: the handler's own matter. */
static field_check_fn *const checks[] = {
    [FIELD_STRING] = check_string,
    [FIELD_INT] = check_int,
    [FIELD_NUMBER] = check_number,
    [FIELD_BOOL] = check_bool,
    [FIELD_DURATION] = check_duration,
    [FIELD_SIGNED_DURATION] = check_string,
    [FIELD_LIST] = check_list,
    [FIELD_COMMA_LIST] = check_comma_list,
    [FIELD_INT_LIST] = check_int_list,
    [FIELD_PAIRS] = check_pairs,
    [FIELD_MAP] = check_map,
    [FIELD_ANY] = NULL,
};

/* What the path says counts; a field of the same name is not looked at. */
static bool in_path(const struct request *req, const char *name)
{
    for (unsigned i = 0; i < req->n_params; i++)
        if (strcmp(req->params[i].name, name) == 0)
            return true;
    return false;
}

enum kt_kind input_check_fields(struct request *req, struct kt_err *err)
{
    if (req->route == NULL || req->route->fields == NULL || !req->has_data)
        return KT_OK;
    struct kt_json_iter it = kt_json_iter(req->data);
    while (kt_json_next(&it)) {
        const struct field *field = req->route->fields;
        while (field->name != NULL && !kt_json_is(it.key, field->name))
            field++;
        if (field->name == NULL || checks[field->type] == NULL || in_path(req, field->name) ||
            kt_json_type(it.value) == KT_JSON_NULL)
            continue;
        enum kt_kind kind = checks[field->type](req, field->name, it.value, err);
        if (kind != KT_OK)
            return kind;
    }
    return KT_OK;
}
