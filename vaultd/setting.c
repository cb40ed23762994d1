#include "vaultd/setting.h"

#include "lib/cidr.h"
#include "lib/duration.h"
#include "lib/num.h"

static enum kt_kind parse_size(const struct kt_hcl_value *value, uint64_t *ret, struct kt_err *err)
{
    static const struct {
        const char *unit;
        uint64_t factor;
    } units[] = {{"", 1},     {"B", 1},     {"KiB", KIB}, {"KB", KIB},  {"MiB", MIB},
                 {"MB", MIB}, {"GiB", GIB}, {"GB", GIB},  {"TiB", TIB}, {"TB", TIB}};
    const char *text = value->text;
    if (value->type == KT_HCL_STRING || value->type == KT_HCL_NUMBER) {
        size_t digits = strspn(text, "0123456789");
        const char *unit = text + digits + strspn(text + digits, " ");
        uint64_t number = 0;
        if (kt_u64_parse(kt_bytes(text, digits), UINT64_MAX, &number))
            for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
                if (strcmp(unit, units[i].unit) == 0 &&
                    !__builtin_mul_overflow(number, units[i].factor, ret))
                    return KT_OK;
    }
    return kt_hcl_fail(value->pos, err, "expected a size such as \"64MiB\"");
}

static enum kt_kind parse_mode(const struct kt_hcl_value *value, uint64_t *ret, struct kt_err *err)
{
    const char *text = value->text;
    size_t len = value->type == KT_HCL_STRING || value->type == KT_HCL_NUMBER ? strlen(text) : 0;
    if (len < 3 || len > 4 || strspn(text, "01234567") != len)
        return kt_hcl_fail(value->pos, err, "expected a file mode such as \"0660\"");
    uint64_t mode = 0;
    for (size_t i = 0; i < len; i++)
        mode = mode * 8 + (uint64_t)(text[i] - '0');
    *ret = mode;
    return KT_OK;
}

static enum kt_kind parse_choice(const struct setting *setting, const struct kt_hcl_value *value,
                                 uint64_t *ret, struct kt_err *err)
{
    const char *word = NULL;
    enum kt_kind kind = kt_hcl_as_text(value, &word, err);
    if (kind != KT_OK)
        return kind;
    for (const struct choice *at = setting->choices; at->word != NULL; at++)
        if (strcmp(at->word, word) == 0) {
            *ret = at->value;
            return KT_OK;
        }
    (void)kt_hcl_fail(value->pos, err, "'%s' has no such value", setting->name);
    kt_hint(err, "%s", setting->help);
    return KT_INVALID;
}

static bool add_cidrs(struct kt_bytes text, struct kt_cidrs *cidrs)
{
    while (text.len > 0) {
        const unsigned char *comma = memchr(text.at, ',', text.len);
        size_t len = comma == NULL ? text.len : (size_t)(comma - text.at), skip = 0;
        struct kt_bytes part = kt_bytes(text.at, len);
        while (skip < part.len && part.at[skip] == ' ')
            skip++;
        part = kt_bytes(part.at + skip, part.len - skip);
        while (part.len > 0 && part.at[part.len - 1] == ' ')
            part.len--;
        if (cidrs->n == KT_CIDRS_MAX || !kt_cidr_parse(part, &cidrs->at[cidrs->n]))
            return false;
        cidrs->n++;
        text = kt_bytes(text.at + len + (comma != NULL), text.len - len - (comma != NULL));
    }
    return true;
}

static enum kt_kind parse_cidrs(const struct kt_hcl_value *value, void *at, struct kt_err *err)
{
    struct kt_cidrs cidrs = {.n = 0};
    bool fine = value->type == KT_HCL_STRING || (value->type == KT_HCL_LIST && value->texts != NULL);
    if (fine && value->type == KT_HCL_STRING)
        fine = add_cidrs(kt_str(value->text), &cidrs);
    for (size_t i = 0; fine && value->type == KT_HCL_LIST && i < value->count; i++)
        fine = add_cidrs(kt_str(value->texts[i]), &cidrs);
    if (!fine || cidrs.n == 0)
        return kt_hcl_fail(value->pos, err, "expected at most %u addresses or blocks such as \"10.0.0.0/8\"",
                           KT_CIDRS_MAX);
    memcpy(at, &cidrs, sizeof cidrs);
    return KT_OK;
}

static enum kt_kind parse_words(const struct setting *setting, const struct kt_hcl_value *value, void *at,
                                struct kt_err *err)
{
    struct kt_words words = {NULL, 0};
    enum kt_kind kind = kt_hcl_as_texts(value, &words.at, &words.n, err);
    for (size_t i = 0; kind == KT_OK && i < words.n; i++)
        if (words.at[i][0] == '\0')
            kind = kt_hcl_fail(value->pos, err, "'%s' has an empty text", setting->name);
    if (kind == KT_OK)
        memcpy(at, &words, sizeof words);
    return kind;
}

static void put_number(char *at, uint64_t number)
{
    memcpy(at, &number, sizeof number);
}

static void put_text(char *at, const char *text)
{
    memcpy(at, &text, sizeof text);
}

enum kt_kind setting_read(const struct setting *setting, const struct kt_hcl_value *value,
                          void *target, struct kt_err *err)
{
    char *at = (char *)target + setting->offset;
    const char *text = NULL;
    bool truth = false;
    uint64_t number = 0;
    enum kt_kind kind = KT_OK;
    switch (setting->kind) {
    case SETTING_TEXT:
        kind = kt_hcl_as_text(value, &text, err);
        if (kind == KT_OK && text[0] == '\0')
            kind = kt_hcl_fail(value->pos, err, "'%s' is empty", setting->name);
        if (kind == KT_OK)
            put_text(at, text);
        return kind;
    case SETTING_BOOL:
        kind = kt_hcl_as_bool(value, &truth, err);
        if (kind == KT_OK)
            memcpy(at, &truth, sizeof truth);
        return kind;
    case SETTING_CIDRS:
        return parse_cidrs(value, at, err);
    case SETTING_WORDS:
        return parse_words(setting, value, at, err);
    case SETTING_NUMBER: {
        int64_t whole = 0;
        kind = kt_hcl_as_int(value, 0, INT64_MAX, &whole, err);
        number = (uint64_t)whole;
        break;
    }
    case SETTING_DURATION:
        kind = kt_hcl_as_duration(value, &number, err);
        break;
    case SETTING_SIZE:
        kind = parse_size(value, &number, err);
        break;
    case SETTING_MODE:
        kind = parse_mode(value, &number, err);
        break;
    case SETTING_CHOICE:
        kind = parse_choice(setting, value, &number, err);
        break;
    }
    if (kind != KT_OK)
        return kind;
    if (setting->kind != SETTING_CHOICE && (number < setting->min || number > setting->max)) {
        const char *unit = setting->kind == SETTING_DURATION ? " ms"
                           : setting->kind == SETTING_SIZE   ? " bytes"
                                                             : "";
        return kt_hcl_fail(value->pos, err, "'%s' must be from %ju to %ju%s", setting->name,
                           (uintmax_t)setting->min, (uintmax_t)setting->max, unit);
    }
    put_number(at, number);
    return KT_OK;
}

void settings_default(const struct setting *settings, size_t n, void *target)
{
    for (size_t i = 0; i < n; i++) {
        char *at = (char *)target + settings[i].offset;
        bool truth = settings[i].number != 0;
        if (settings[i].kind == SETTING_TEXT)
            put_text(at, settings[i].text);
        else if (settings[i].kind == SETTING_BOOL)
            memcpy(at, &truth, sizeof truth);
        else if (settings[i].kind == SETTING_CIDRS)
            memset(at, 0, sizeof(struct kt_cidrs));
        else if (settings[i].kind == SETTING_WORDS)
            memset(at, 0, sizeof(struct kt_words));
        else
            put_number(at, settings[i].number);
    }
}

static void describe_default(const struct setting *setting, struct kt_buf *out)
{
    char duration[KT_DURATION_TEXT];
    switch (setting->kind) {
    case SETTING_CIDRS:
    case SETTING_TEXT:
    case SETTING_WORDS:
    case SETTING_CHOICE:
        kt_buf_printf(out, "%s", setting->text != NULL ? setting->text : "-");
        return;
    case SETTING_BOOL:
        kt_buf_add_text(out, setting->number != 0 ? "true" : "false");
        return;
    case SETTING_DURATION:
        kt_duration_text(setting->number, duration);
        kt_buf_add_text(out, duration);
        return;
    case SETTING_MODE:
        kt_buf_printf(out, "%04jo", (uintmax_t)setting->number);
        return;
    case SETTING_SIZE:
        if (setting->number >= MIB && setting->number % MIB == 0)
            kt_buf_printf(out, "%juMiB", (uintmax_t)(setting->number / MIB));
        else if (setting->number >= KIB && setting->number % KIB == 0)
            kt_buf_printf(out, "%juKiB", (uintmax_t)(setting->number / KIB));
        else
            kt_buf_printf(out, "%ju", (uintmax_t)setting->number);
        return;
    case SETTING_NUMBER:
        kt_buf_printf(out, "%ju", (uintmax_t)setting->number);
        return;
    }
}

void settings_describe(const char *head, const struct setting *settings, size_t n,
                       struct kt_buf *out)
{
    kt_buf_printf(out, "%s\n", head);
    for (size_t i = 0; i < n; i++) {
        kt_buf_printf(out, "  %-22s %s (default ", settings[i].name, settings[i].help);
        describe_default(&settings[i], out);
        kt_buf_add_text(out, ")\n");
    }
}
