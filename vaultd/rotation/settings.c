#include "vaultd/rotation/settings.h"

#include "lib/num.h"
#include "lib/plain_text.h"
#include "vaultd/rotation/order.h"

enum kind {
    TEXT,
    STRATEGY,
    ACCOUNTS,
    NAMES, /* of secrets, kept with commas between them */
    GENERATOR,
    SECONDS,
    NUMBER,
    FLAG,  /* false or true */
    EITHER /* one of two words; the second is true */
};
struct row {
    const char *name;
    enum kind kind;
    size_t offset;
    size_t most;            /* TEXT: bytes */
    const char *no, *yes;   /* EITHER */
    const char *text;       /* default of TEXT */
    int64_t number;         /* default of SECONDS, NUMBER, FLAG */
};

#define AT(member) offsetof(struct rotation_settings, member)

/* clang-format off */
static const struct row rows[] = {
    {.name = "target",          .kind = TEXT,      .offset = AT(target),         .most = 128, .text = ""},
    {.name = "strategy",        .kind = STRATEGY,  .offset = AT(strategy)},
    {.name = "accounts",        .kind = ACCOUNTS,  .offset = AT(accounts)},
    {.name = "group",           .kind = TEXT,      .offset = AT(group),          .most = 128, .text = ""},
    {.name = "username_field",  .kind = TEXT,      .offset = AT(username_field), .most = 256, .text = "username"},
    {.name = "password_field",  .kind = TEXT,      .offset = AT(password_field), .most = 256, .text = "password"},
    {.name = "public_field",    .kind = TEXT,      .offset = AT(public_field),   .most = 256, .text = ""},
    {.name = "generator",       .kind = GENERATOR},
    {.name = "cron",            .kind = TEXT,      .offset = AT(cron),           .most = 256, .text = ""},
    {.name = "zone",            .kind = TEXT,      .offset = AT(zone),           .most = 256, .text = ""},
    {.name = "period",          .kind = TEXT,      .offset = AT(period),         .most = 256, .text = ""},
    {.name = "jitter",          .kind = TEXT,      .offset = AT(jitter),         .most = 256, .text = ""},
    {.name = "window",          .kind = TEXT,      .offset = AT(window),         .most = 256, .text = ""},
    {.name = "max_age",         .kind = TEXT,      .offset = AT(max_age),        .most = 256, .text = ""},
    {.name = "catchup",         .kind = TEXT,      .offset = AT(catchup),        .most = 256, .text = "one"},
    {.name = "blackout",        .kind = TEXT,      .offset = AT(blackout),       .most = 128, .text = ""},
    {.name = "overlap",         .kind = SECONDS,   .offset = AT(overlap_s),      .number = 60},
    {.name = "max_overlap",     .kind = SECONDS,   .offset = AT(max_overlap_s),  .number = 86400},
    {.name = "soak",            .kind = SECONDS,   .offset = AT(soak_s),         .number = 60},
    {.name = "drain",           .kind = SECONDS,   .offset = AT(drain_s),        .number = 300},
    {.name = "ack_timeout",     .kind = SECONDS,   .offset = AT(ack_timeout_s),  .number = 120},
    {.name = "propagation",     .kind = SECONDS,   .offset = AT(propagation_s),  .number = 0},
    {.name = "on_unhealthy",    .kind = EITHER,    .offset = AT(hold_unhealthy), .no = "rollback", .yes = "hold"},
    {.name = "on_ack_timeout",  .kind = EITHER,    .offset = AT(hold_silent),    .no = "rollback", .yes = "hold"},
    {.name = "loose_readers",   .kind = EITHER,    .offset = AT(ignore_loose),   .no = "hold", .yes = "ignore"},
    {.name = "require_healthy", .kind = FLAG,      .offset = AT(require_healthy), .number = 1},
    {.name = "old_is_dead",     .kind = FLAG,      .offset = AT(old_is_dead)},
    {.name = "owner",           .kind = TEXT,      .offset = AT(owner),          .most = 256, .text = ""},
    {.name = "risk",            .kind = TEXT,      .offset = AT(risk),           .most = 256, .text = ""},
    {.name = "notify",          .kind = TEXT,      .offset = AT(notify),         .most = 256, .text = ""},
    {.name = "verify_every",    .kind = SECONDS,   .offset = AT(verify_every_s)},
    {.name = "rto",             .kind = SECONDS,   .offset = AT(rto_s)},
    {.name = "drill",           .kind = TEXT,      .offset = AT(drill),          .most = 256, .text = ""},
    {.name = "allow_gap",       .kind = FLAG,      .offset = AT(allow_gap)},
    {.name = "approvals",       .kind = NUMBER,    .offset = AT(approvals)},
    {.name = "approvers",       .kind = TEXT,      .offset = AT(approvers),      .most = 128, .text = ""},
    {.name = "together",        .kind = NAMES,     .offset = AT(together),       .most = SETTINGS_AFTER_MAX, .text = ""},
    {.name = "after",           .kind = NAMES,     .offset = AT(after),          .most = SETTINGS_AFTER_MAX, .text = ""},
    {.name = "served_at",       .kind = NAMES,     .offset = AT(served_at),      .most = SETTINGS_AFTER_MAX, .text = ""},
    {.name = "served_name",     .kind = TEXT,      .offset = AT(served_name),    .most = 256, .text = ""},
};

static const struct row generator_rows[] = {
    {.name = "type",       .kind = TEXT,    .offset = AT(gen_type),     .most = 32,  .text = ""},
    {.name = "length",     .kind = SECONDS, .offset = AT(gen_length)},
    {.name = "bits",       .kind = SECONDS, .offset = AT(gen_bits)},
    {.name = "alphabet",   .kind = TEXT,    .offset = AT(gen_alphabet), .most = 256, .text = ""},
    {.name = "exclude",    .kind = TEXT,    .offset = AT(gen_exclude),  .most = 256, .text = ""},
    {.name = "min_lower",  .kind = SECONDS, .offset = AT(gen_min_lower)},
    {.name = "min_upper",  .kind = SECONDS, .offset = AT(gen_min_upper)},
    {.name = "min_digit",  .kind = SECONDS, .offset = AT(gen_min_digit)},
    {.name = "min_symbol", .kind = SECONDS, .offset = AT(gen_min_symbol)},
    {.name = "any_first",  .kind = FLAG,    .offset = AT(gen_any_first)},
    {.name = "allow_weak", .kind = FLAG,    .offset = AT(gen_allow_weak)},
    {.name = "issuer",      .kind = TEXT,   .offset = AT(gen_issuer),      .most = 1024, .text = ""},
    {.name = "common_name", .kind = TEXT,   .offset = AT(gen_common_name), .most = 256,  .text = ""},
    {.name = "names",       .kind = TEXT,   .offset = AT(gen_names),       .most = 2048, .text = ""},
    {.name = "usage",       .kind = TEXT,   .offset = AT(gen_usage),       .most = 32,   .text = ""},
    {.name = "key",         .kind = TEXT,   .offset = AT(gen_key),         .most = 32,   .text = ""},
    {.name = "life",        .kind = TEXT,   .offset = AT(gen_life),        .most = 32,   .text = ""},
    {.name = "request",     .kind = TEXT,   .offset = AT(gen_request),     .most = 4096, .text = ""},
    {.name = "options",     .kind = TEXT,   .offset = AT(gen_options),     .most = 1024, .text = ""},
    {.name = "separator",   .kind = TEXT,   .offset = AT(gen_separator),   .most = 1,    .text = ""},
};

const struct field settings_fields[] = {
    {"target", FIELD_STRING, "name of the target; \"\": only a new random value in the vault"},
    {"strategy", FIELD_STRING, "alternate, overlap, in-place, or generate"},
    {"accounts", FIELD_COMMA_LIST, "two logins for alternate, one for overlap and in-place"},
    {"group", FIELD_STRING, "alternate: the role that owns everything and that both accounts are in"},
    {"username_field", FIELD_STRING, "member of the secret that holds the account's name"},
    {"password_field", FIELD_STRING, "member of the secret that holds the password"},
    {"public_field", FIELD_STRING, "member of the secret for the public half of an SSH key, none"},
    {"generator", FIELD_MAP, "type, length, bits, alphabet, exclude, separator, min_lower, min_upper, min_digit, min_symbol, any_first, allow_weak; of certificates issuer, common_name, names, usage, key, life, request, options"},
    {"cron", FIELD_STRING, "five or six fields"},
    {"zone", FIELD_STRING, "IANA time zone of cron, UTC"},
    {"period", FIELD_STRING, "after the last success"},
    {"jitter", FIELD_STRING, "a duration, or a share of the period such as 10%"},
    {"window", FIELD_STRING, "when a run may start"},
    {"max_age", FIELD_STRING, "due after this, window or not"},
    {"catchup", FIELD_STRING, "one or none: what missed fires become"},
    {"blackout", FIELD_STRING, "name of a calendar in whose times nothing is started by schedule"},
    {"overlap", FIELD_DURATION, "least time between the last acknowledgement and the revocation, 60"},
    {"max_overlap", FIELD_DURATION, "how long readers that are no agents may hold the revocation, 86400"},
    {"soak", FIELD_DURATION, "how long consumers have to stay healthy after the last acknowledgement, 60"},
    {"drain", FIELD_DURATION, "how long sessions of the old account may take to end by themselves, 300"},
    {"ack_timeout", FIELD_DURATION, "how long a consumer may take, 120"},
    {"propagation", FIELD_DURATION, "how long the target takes to spread a change, 0"},
    {"on_unhealthy", FIELD_STRING, "rollback or hold"},
    {"on_ack_timeout", FIELD_STRING, "rollback or hold"},
    {"loose_readers", FIELD_STRING, "hold or ignore"},
    {"require_healthy", FIELD_BOOL, "consumers must be healthy before anything is changed, true"},
    {"old_is_dead", FIELD_BOOL, "the next run need not see the old credential accepted, false"},
    {"owner", FIELD_STRING, "for the plan"},
    {"risk", FIELD_STRING, "critical, high, medium or low: whose max_age counts where there is no other"},
    {"notify", FIELD_STRING, "channels that are told, and words for the plan"},
    {"verify_every", FIELD_DURATION, "how often the target is asked whether it accepts what is stored, 0 = never"},
    {"rto", FIELD_DURATION, "recovery time objective: so long may going back take, 0 = not said"},
    {"drill", FIELD_STRING, "when going back is tried: five or six fields of cron, in zone"},
    {"allow_gap", FIELD_BOOL, "consumers may be cut off for a moment: in-place where there is better, and its drills, false"},
    {"approvals", FIELD_INT, "how many other people have to approve what is started by hand, 0; the class's besides"},
    {"approvers", FIELD_STRING, "the rule of approval of whose group they are"},
    {"together", FIELD_COMMA_LIST, "secrets that rotate as one with it, five at most"},
    {"after", FIELD_COMMA_LIST, "secrets that are rotated before this one, eight at most"},
    {"served_at", FIELD_COMMA_LIST, "host:port of TLS listeners that have to show a new certificate, eight at most"},
    {"served_name", FIELD_STRING, "the name that they are asked for (SNI); each its host"},
    {NULL, FIELD_ANY, NULL},
};
/* clang-format on */

static void *member(struct rotation_settings *settings, const struct row *row)
{
    return (unsigned char *)settings + row->offset;
}

static const void *member_of(const struct rotation_settings *settings, const struct row *row)
{
    return (const unsigned char *)settings + row->offset;
}

static void set_defaults(struct rotation_settings *settings, const struct row *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool flag = table[i].number != 0;
        if (table[i].kind == TEXT || table[i].kind == NAMES)
            memcpy(member(settings, &table[i]), &table[i].text, sizeof table[i].text);
        else if (table[i].kind == SECONDS || table[i].kind == NUMBER)
            memcpy(member(settings, &table[i]), &table[i].number, sizeof table[i].number);
        else if (table[i].kind == FLAG || table[i].kind == EITHER)
            memcpy(member(settings, &table[i]), &flag, sizeof flag);
    }
}

void settings_defaults(struct rotation_settings *ret)
{
    *ret = (struct rotation_settings){.strategy = STRATEGY_GENERATE, .accounts = {"", ""}};
    set_defaults(ret, rows, sizeof rows / sizeof rows[0]);
    set_defaults(ret, generator_rows, sizeof generator_rows / sizeof generator_rows[0]);
}

/* ---- reading ---- */

static enum kt_kind read_text(struct request *req, const struct row *row, const char **ret,
                              struct kt_err *err)
{
    const char *text = NULL;
    enum kt_kind kind = request_string(req, row->name, &text, err);
    if (kind != KT_OK)
        return kind;
    if (strlen(text) > row->most)
        return kt_fail(err, KT_INVALID, "%s is longer than %zu bytes", row->name, row->most);
    *ret = text;
    return kt_text_check(row->name, text, err);
}

static enum kt_kind read_accounts(struct request *req, struct rotation_settings *settings,
                                  struct kt_err *err)
{
    struct string_list list = {0};
    enum kt_kind kind = request_list(req, "accounts", true, &list, err);
    if (kind != KT_OK)
        return kind;
    if (list.n > 2)
        return kt_fail(err, KT_INVALID, "accounts: two at most, %zu are given", list.n);
    for (size_t i = 0; i < 2; i++) {
        const char *name = i < list.n ? list.at[i] : "";
        if (strlen(name) >= DRIVER_NAME_MAX)
            return kt_fail(err, KT_INVALID, "accounts: a name is longer than %u bytes",
                           DRIVER_NAME_MAX - 1);
        if (!kt_text_is_plain(name))
            return kt_fail(err, KT_INVALID, "accounts: a name has a control character");
        settings->accounts[i] = name;
    }
    return KT_OK;
}

static enum kt_kind read_names(struct request *req, const struct row *row, const char **ret, struct kt_err *err)
{
    struct string_list list = {0};
    kt_autobuf struct kt_buf names;
    size_t len = 0;
    kt_buf_init(&names, row->most + 1);
    enum kt_kind kind = request_list(req, row->name, true, &list, err);
    if (kind != KT_OK)
        return kind;
    if (list.n > ORDER_NAMES_MAX)
        return kt_fail(err, KT_INVALID, "%s: %u at most, %zu are given", row->name, ORDER_NAMES_MAX, list.n);
    for (size_t i = 0; i < list.n; i++) {
        if (list.at[i][0] == '\0' || strchr(list.at[i], ',') != NULL)
            return kt_fail(err, KT_INVALID, "%s: a name is empty or has a comma, which cannot be kept here",
                           row->name);
        if (!kt_text_is_plain(list.at[i]))
            return kt_fail(err, KT_INVALID, "%s: a name has a control character", row->name);
        len += strlen(list.at[i]) + 1;
        if (len > row->most)
            return kt_fail(err, KT_INVALID, "%s is longer than %zu bytes", row->name, row->most);
        kt_buf_printf(&names, "%s%s", i == 0 ? "" : ",", list.at[i]);
    }
    *ret = kt_buf_ok(&names) ? kt_arena_text(&req->arena, kt_buf_bytes(&names)) : NULL;
    return *ret == NULL ? kt_fail(err, KT_NO_MEMORY, "reading %s", row->name) : KT_OK;
}

static enum kt_kind read_strategy(struct request *req, struct rotation_settings *settings,
                                  struct kt_err *err)
{
    const char *text = NULL;
    enum kt_kind kind = request_string(req, "strategy", &text, err);
    if (kind != KT_OK)
        return kind;
    if (!run_strategy_parse(text, &settings->strategy))
        return kt_fail(err, KT_INVALID, "strategy must be alternate, overlap, in-place or generate");
    return KT_OK;
}

static enum kt_kind read_either(struct request *req, const struct row *row, bool *ret,
                                struct kt_err *err)
{
    const char *text = NULL;
    enum kt_kind kind = request_string(req, row->name, &text, err);
    if (kind != KT_OK)
        return kind;
    if (strcmp(text, row->no) != 0 && strcmp(text, row->yes) != 0)
        return kt_fail(err, KT_INVALID, "%s must be %s or %s", row->name, row->no, row->yes);
    *ret = strcmp(text, row->yes) == 0;
    return KT_OK;
}

/* Numbers and texts of the map are taken as Vault takes fields: "28" is a number, too. */
static enum kt_kind read_generator_row(struct request *req, struct rotation_settings *settings,
                                       const struct row *row, struct kt_json value,
                                       struct kt_err *err)
{
    const char *text = kt_json_type(value) == KT_JSON_STRING
                           ? kt_json_text(value, &req->arena)
                           : kt_arena_text(&req->arena, kt_json_bytes(value));
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the generator");
    int64_t number = 0;
    bool flag = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    switch (row->kind) {
    case SECONDS:
        if (!kt_i64_parse(kt_str(text), 0, 100000, &number))
            return kt_fail(err, KT_INVALID, "generator.%s must be a number", row->name);
        memcpy(member(settings, row), &number, sizeof number);
        return KT_OK;
    case FLAG:
        if (!flag && strcmp(text, "false") != 0 && strcmp(text, "0") != 0)
            return kt_fail(err, KT_INVALID, "generator.%s must be true or false", row->name);
        memcpy(member(settings, row), &flag, sizeof flag);
        return KT_OK;
    case TEXT:
        if (strlen(text) > row->most)
            return kt_fail(err, KT_INVALID, "generator.%s is longer than %zu bytes", row->name,
                           row->most);
        memcpy(member(settings, row), &text, sizeof text);
        return KT_OK;
    case NUMBER:
    case STRATEGY:
    case ACCOUNTS:
    case NAMES:
    case GENERATOR:
    case EITHER:
        break;
    }
    return kt_fail(err, KT_INTERNAL, "no such kind of setting");
}

/* The map replaces the whole generator: what it does not name is the default again. */
static enum kt_kind read_generator(struct request *req, struct rotation_settings *settings,
                                   struct kt_err *err)
{
    struct kt_json map;
    if (request_member(req, "generator", &map) != KT_OK || kt_json_type(map) == KT_JSON_NULL)
        return KT_NOT_FOUND;
    size_t n = sizeof generator_rows / sizeof generator_rows[0];
    set_defaults(settings, generator_rows, n);
    struct kt_json_iter it = kt_json_iter(map);
    while (kt_json_next(&it)) {
        const struct row *row = NULL;
        for (size_t i = 0; i < n && row == NULL; i++)
            if (kt_json_is(it.key, generator_rows[i].name))
                row = &generator_rows[i];
        if (row == NULL) {
            (void)kt_fail(err, KT_INVALID, "generator has an unknown member");
            kt_hint(err, "it may have: type, length, bits, alphabet, exclude, separator, min_lower, "
                         "min_upper, min_digit, min_symbol, any_first, allow_weak; of certificates issuer, "
                         "common_name, names, usage, key, life, request, options");
            return KT_INVALID;
        }
        enum kt_kind kind = read_generator_row(req, settings, row, it.value, err);
        if (kind != KT_OK)
            return kind;
    }
    return KT_OK;
}

static enum kt_kind read_row(struct request *req, struct rotation_settings *settings,
                             const struct row *row, struct kt_err *err)
{
    const char *text = NULL;
    int64_t number = 0;
    bool flag = false;
    enum kt_kind kind = KT_OK;
    switch (row->kind) {
    case TEXT:
        kind = read_text(req, row, &text, err);
        if (kind == KT_OK)
            memcpy(member(settings, row), &text, sizeof text);
        return kind;
    case SECONDS:
        kind = request_duration_s(req, row->name, &number, err);
        if (kind == KT_OK)
            memcpy(member(settings, row), &number, sizeof number);
        return kind;
    case NUMBER:
        kind = request_int(req, row->name, &number, err);
        if (kind == KT_OK)
            memcpy(member(settings, row), &number, sizeof number);
        return kind;
    case FLAG:
        kind = request_bool(req, row->name, &flag, err);
        break;
    case EITHER:
        kind = read_either(req, row, &flag, err);
        break;
    case STRATEGY:
        return read_strategy(req, settings, err);
    case ACCOUNTS:
        return read_accounts(req, settings, err);
    case NAMES:
        kind = read_names(req, row, &text, err);
        if (kind == KT_OK)
            memcpy(member(settings, row), &text, sizeof text);
        return kind;
    case GENERATOR:
        return read_generator(req, settings, err);
    }
    if (kind == KT_OK)
        memcpy(member(settings, row), &flag, sizeof flag);
    return kind;
}

enum kt_kind settings_read(struct request *req, struct rotation_settings *settings,
                           struct kt_err *err)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum kt_kind kind = read_row(req, settings, &rows[i], err);
        if (kind != KT_OK && kind != KT_NOT_FOUND)
            return kind;
    }
    return KT_OK;
}

/* ---- showing ---- */

static void show_row(const struct rotation_settings *settings, const struct row *row,
                     struct kt_jsonw *w);

static void show_accounts(const struct rotation_settings *settings, struct kt_jsonw *w)
{
    kt_jsonw_array(w);
    for (size_t i = 0; i < 2; i++)
        if (settings->accounts[i][0] != '\0')
            kt_jsonw_text(w, settings->accounts[i]);
    kt_jsonw_end(w);
}

static void show_names(const char *text, struct kt_jsonw *w)
{
    kt_jsonw_array(w);
    struct kt_bytes name;
    while (settings_name(&text, &name))
        kt_jsonw_bytes(w, name);
    kt_jsonw_end(w);
}

/* All of a generator's members are off by default. */
static bool is_set(const struct rotation_settings *settings, const struct row *row)
{
    const char *text = "";
    int64_t number = 0;
    bool flag = false;
    if (row->kind == TEXT)
        memcpy(&text, member_of(settings, row), sizeof text);
    else if (row->kind == SECONDS)
        memcpy(&number, member_of(settings, row), sizeof number);
    else
        memcpy(&flag, member_of(settings, row), sizeof flag);
    return text[0] != '\0' || number != 0 || flag;
}

static void show_generator(const struct rotation_settings *settings, struct kt_jsonw *w)
{
    kt_jsonw_object(w);
    for (size_t i = 0; i < sizeof generator_rows / sizeof generator_rows[0]; i++)
        if (is_set(settings, &generator_rows[i]))
            show_row(settings, &generator_rows[i], w);
    kt_jsonw_end(w);
}

static void show_row(const struct rotation_settings *settings, const struct row *row,
                     struct kt_jsonw *w)
{
    const char *text = NULL;
    int64_t number = 0;
    bool flag = false;
    kt_jsonw_key(w, row->name);
    switch (row->kind) {
    case TEXT:
        memcpy(&text, member_of(settings, row), sizeof text);
        if (text == NULL) /* of a run: it keeps no calendar */
            kt_jsonw_null(w);
        else
            kt_jsonw_text(w, text);
        break;
    case SECONDS:
    case NUMBER:
        memcpy(&number, member_of(settings, row), sizeof number);
        kt_jsonw_int(w, number);
        break;
    case FLAG:
        memcpy(&flag, member_of(settings, row), sizeof flag);
        kt_jsonw_bool(w, flag);
        break;
    case EITHER:
        memcpy(&flag, member_of(settings, row), sizeof flag);
        kt_jsonw_text(w, flag ? row->yes : row->no);
        break;
    case STRATEGY:
        kt_jsonw_text(w, run_strategy_text(settings->strategy));
        break;
    case ACCOUNTS:
        show_accounts(settings, w);
        break;
    case NAMES:
        memcpy(&text, member_of(settings, row), sizeof text);
        show_names(text, w);
        break;
    case GENERATOR:
        show_generator(settings, w);
        break;
    }
}

void settings_show(const struct rotation_settings *settings, struct kt_jsonw *w)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        show_row(settings, &rows[i], w);
}

/* ---- what is made of them ---- */

bool settings_name(const char **at, struct kt_bytes *ret)
{
    size_t len = strcspn(*at, ",");
    *ret = kt_bytes(*at, len);
    *at += len + ((*at)[len] == ',');
    return len > 0;
}

bool settings_has_target(const struct rotation_settings *settings)
{
    return settings->target[0] != '\0';
}

size_t settings_accounts(const struct rotation_settings *settings)
{
    return (size_t)(settings->accounts[0][0] != '\0') + (settings->accounts[1][0] != '\0');
}

void settings_schedule(const struct rotation_settings *settings, struct kt_schedule_text *ret)
{
    *ret = (struct kt_schedule_text){.cron = settings->cron,
                                     .zone = settings->zone,
                                     .period = settings->period,
                                     .jitter = settings->jitter,
                                     .window = settings->window,
                                     .max_age = settings->max_age,
                                     .catchup = settings->catchup};
}

static const char *given(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

enum kt_kind settings_generator(const struct rotation_settings *settings,
                                struct kt_generator *ret, struct kt_err *err)
{
    const struct kt_generator_config config = {.kind = given(settings->gen_type),
                                               .length = settings->gen_length,
                                               .bits = settings->gen_bits,
                                               .alphabet = given(settings->gen_alphabet),
                                               .exclude = given(settings->gen_exclude),
                                               .min_lower = settings->gen_min_lower,
                                               .min_upper = settings->gen_min_upper,
                                               .min_digits = settings->gen_min_digit,
                                               .min_symbols = settings->gen_min_symbol,
                                               .any_first = settings->gen_any_first,
                                               .allow_weak = settings->gen_allow_weak,
                                               .separator = given(settings->gen_separator)};
    return kt_generator_parse(&config, ret, err);
}
