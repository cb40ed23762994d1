#include "vaultd/rotation/issue.h"

#include <stdio.h>

#include "lib/clock.h"
#include "lib/duration.h"
#include "lib/x509_make.h"
#include "vaultd/rotation/issue_own.h"

/* What may be asked of each type, and what a new version has of it. */

#define PATCH_MAX ((size_t)1024 * 1024)
#define LIFE_LEAST_S 60
#define LIFE_LEAST   "60s"
#define DAY_S        ((int64_t)86400)

/* clang-format off */
static const struct issue_type types[] = {
    {"x509", ISSUE_ISSUER | ISSUE_COMMON_NAME | ISSUE_NAMES | ISSUE_USAGE | ISSUE_KEY | ISSUE_LIFE | ISSUE_REQUEST,
     ISSUE_ISSUER | ISSUE_NAMES, 90 * DAY_S, 16, 20, x509_leaf_check, x509_leaf_make, x509_leaf_describe},
    {"x509-ca", ISSUE_ISSUER | ISSUE_COMMON_NAME | ISSUE_NAMES | ISSUE_KEY | ISSUE_LIFE,
     ISSUE_COMMON_NAME, 3650 * DAY_S, 16, 20, x509_authority_check, x509_authority_make, x509_authority_describe},
    {"x509-crl", ISSUE_ISSUER | ISSUE_LIFE,
     ISSUE_ISSUER, 7 * DAY_S, 12, 18, x509_crl_check, x509_crl_make, x509_crl_describe},
    {"ssh-krl", ISSUE_ISSUER | ISSUE_LIFE,
     ISSUE_ISSUER, 7 * DAY_S, 12, 18, ssh_krl_check, ssh_krl_make, ssh_krl_describe},
    {"ssh-cert", ISSUE_ISSUER | ISSUE_NAMES | ISSUE_USAGE | ISSUE_LIFE | ISSUE_REQUEST | ISSUE_OPTIONS,
     ISSUE_ISSUER | ISSUE_NAMES, DAY_S, 16, 20, ssh_cert_check, ssh_cert_make, ssh_cert_describe},
};
/* clang-format on */

#define TYPES (sizeof types / sizeof types[0])

static size_t row_of(const struct rotation_settings *settings)
{
    size_t row = 0;
    while (row < TYPES && strcmp(settings->gen_type, types[row].name) != 0)
        row++;
    return row;
}

bool settings_issue(const struct rotation_settings *settings)
{
    return row_of(settings) < TYPES;
}

/* Whoever comes here has asked that. */
static const struct issue_type *type_of(const struct rotation_settings *settings)
{
    size_t row = row_of(settings);
    return &types[row < TYPES ? row : 0];
}

/* ---- what is written ---- */

struct member {
    const char *name, *text;
    unsigned bit;
};
#define MEMBERS 8u
static void members_of(const struct rotation_settings *s, struct member ret[MEMBERS])
{
    const struct member all[MEMBERS] = {{"issuer", s->gen_issuer, ISSUE_ISSUER},
                                        {"common_name", s->gen_common_name, ISSUE_COMMON_NAME},
                                        {"names", s->gen_names, ISSUE_NAMES},
                                        {"usage", s->gen_usage, ISSUE_USAGE},
                                        {"key", s->gen_key, ISSUE_KEY},
                                        {"life", s->gen_life, ISSUE_LIFE},
                                        {"request", s->gen_request, ISSUE_REQUEST},
                                        {"options", s->gen_options, ISSUE_OPTIONS}};
    memcpy(ret, all, sizeof all);
}

static enum kt_kind check_members(const struct rotation_settings *s, const struct issue_type *type,
                                  struct kt_err *err)
{
    struct member members[MEMBERS];
    members_of(s, members);
    if (s->gen_length != 0 || s->gen_bits != 0 || s->gen_alphabet[0] != '\0' || s->gen_exclude[0] != '\0' ||
        s->gen_min_lower != 0 || s->gen_min_upper != 0 || s->gen_min_digit != 0 || s->gen_min_symbol != 0 ||
        s->gen_any_first || s->gen_allow_weak)
        return kt_fail(err, KT_INVALID, "generator: type %s has no length, bits, alphabet or classes", type->name);
    for (size_t i = 0; i < MEMBERS; i++) {
        if (members[i].text[0] != '\0' && (type->may & members[i].bit) == 0)
            return kt_fail(err, KT_INVALID, "generator: type %s has no %s", type->name, members[i].name);
        if (members[i].text[0] != '\0' || (type->must & members[i].bit) == 0)
            continue;
        (void)kt_fail(err, KT_INVALID, "generator: type %s needs %s", type->name, members[i].name);
        kt_hint(err, "generator.%s=...", members[i].name);
        return KT_INVALID;
    }
    return KT_OK;
}

enum kt_kind issue_none(const struct rotation_settings *s, struct kt_err *err)
{
    struct member members[MEMBERS];
    members_of(s, members);
    for (size_t i = 0; i < MEMBERS; i++)
        if (members[i].text[0] != '\0')
            return kt_fail(err, KT_INVALID, "generator: %s belongs to certificates: type = x509, x509-ca, x509-crl, ssh-cert, "
                                            "ssh-krl",
                           members[i].name);
    return KT_OK;
}

enum kt_kind issue_life(const struct rotation_settings *s, int64_t *ret_s, struct kt_err *err)
{
    uint64_t ms = 0;
    *ret_s = type_of(s)->life_s;
    if (s->gen_life[0] == '\0')
        return KT_OK;
    if (kt_duration_parse(kt_str(s->gen_life), &ms, NULL) != KT_OK || ms < (uint64_t)LIFE_LEAST_S * 1000 ||
        ms > (uint64_t)36500 * DAY_S * 1000)
        return kt_fail(err, KT_INVALID, "generator: life must be a time such as 90d or 12h, from a minute "
                                        "to a hundred years");
    *ret_s = (int64_t)(ms / 1000);
    return KT_OK;
}

/* ---- the schedule that follows from the life ---- */

struct schedule_texts {
    char period[KT_DURATION_TEXT], jitter[KT_DURATION_TEXT], max_age[KT_DURATION_TEXT];
};
static void texts_for(const struct issue_type *type, int64_t life_s, struct schedule_texts *ret)
{
    kt_duration_text((uint64_t)(life_s * type->renew / 24) * 1000, ret->period);
    kt_duration_text((uint64_t)(life_s / 24) * 1000, ret->jitter);
    kt_duration_text((uint64_t)(life_s * type->alarm / 24) * 1000, ret->max_age);
}

static bool names_member(struct request *req, const char *name)
{
    struct kt_json value = {0};
    return request_member(req, name, &value) == KT_OK && kt_json_type(value) != KT_JSON_NULL;
}

static enum kt_kind take_text(struct request *req, const char *text, const char **ret, struct kt_err *err)
{
    *ret = kt_arena_text(&req->arena, kt_str(text));
    return *ret == NULL ? kt_fail(err, KT_NO_MEMORY, "planning a certificate's renewal") : KT_OK;
}

/* Where nobody chose one, or the one that is there was made here for another life. */
static enum kt_kind set_schedule(struct request *req, const struct rotation_settings *before,
                                 struct rotation_settings *s, struct kt_err *err)
{
    int64_t life = 0, life_before = 0;
    struct schedule_texts now, then = {"", "", ""};
    enum kt_kind kind = issue_life(s, &life, err);
    if (kind != KT_OK)
        return kind;
    texts_for(type_of(s), life, &now);
    if (settings_issue(before) && issue_life(before, &life_before, NULL) == KT_OK)
        texts_for(type_of(before), life_before, &then);
    bool chosen = names_member(req, "period") || names_member(req, "cron") || s->cron[0] != '\0' ||
                  (s->period[0] != '\0' && strcmp(s->period, then.period) != 0);
    bool aged = names_member(req, "max_age") || (s->max_age[0] != '\0' && strcmp(s->max_age, then.max_age) != 0);
    if (!chosen)
        kind = take_text(req, now.period, &s->period, err);
    if (kind == KT_OK && !chosen && !names_member(req, "jitter"))
        kind = take_text(req, now.jitter, &s->jitter, err);
    if (kind == KT_OK && !aged)
        kind = take_text(req, now.max_age, &s->max_age, err);
    return kind;
}

static enum kt_kind check_issuer(struct request *req, const struct rotation_secret *secret, struct kt_err *err)
{
    const struct mount *mount = NULL;
    const char *path = NULL, *issuer = secret->settings.gen_issuer;
    if (issuer[0] == '\0')
        return KT_OK;
    enum kt_kind kind = secret_place(req, issuer, &mount, &path, err);
    if (kind != KT_OK)
        return KT_INVALID;
    if (mount == secret->mount && strcmp(path, secret->path) == 0)
        return kt_fail(err, KT_INVALID, "generator: '%s' cannot be its own issuer", issuer);
    return issuer_permit(req, issuer, strcmp(secret->settings.gen_type, "x509-ca") == 0, err);
}

/* Whatever the time: of the shortest life. An issuer may be written after what it signs. */
static enum kt_kind check_ever(struct request *req, const struct rotation_secret *secret, struct kt_err *err)
{
    struct issuer issuer;
    struct rotation_settings brief = secret->settings;
    if (brief.gen_issuer[0] != '\0' && issuer_load(req, brief.gen_issuer, &issuer, NULL) != KT_OK)
        return KT_OK;
    brief.gen_life = LIFE_LEAST;
    return issue_try(req, secret->name, &brief, err);
}

static enum kt_kind check_signing(struct request *req, const struct rotation_secret *secret, struct kt_err *err)
{
    struct kt_err now = {0};
    enum kt_kind kind = issue_try(req, secret->name, &secret->settings, &now);
    if (kind != KT_INVALID)
        return kind == KT_OK ? KT_OK : kt_fail(err, kind, "%s", now.what);
    kind = check_ever(req, secret, err);
    if (kind == KT_OK)
        request_warn(req, "a rotation would be refused now: %s", now.what);
    return kind;
}

enum kt_kind issue_check(struct request *req, const struct rotation_settings *before,
                         struct rotation_secret *secret, struct kt_err *err)
{
    struct rotation_settings *s = &secret->settings;
    const struct issue_type *type = type_of(s);
    int64_t life = 0;
    if (settings_has_target(s) || s->strategy != STRATEGY_GENERATE)
        return kt_fail(err, KT_INVALID, "generator: type %s is made in the vault: it has no target", type->name);
    enum kt_kind kind = check_members(s, type, err);
    if (kind == KT_OK)
        kind = issue_life(s, &life, err);
    if (kind == KT_OK)
        kind = type->check(s, err);
    if (kind != KT_OK || !names_member(req, "generator"))
        return kind;
    kind = check_issuer(req, secret, err);
    if (kind == KT_OK)
        kind = check_signing(req, secret, err);
    return kind == KT_OK ? set_schedule(req, before, s, err) : kind;
}

/* ---- making ---- */

static enum kt_kind make_patch(struct issuing *by, struct kt_buf *patch, struct kt_err *err)
{
    by->w = kt_jsonw(patch);
    kt_jsonw_object(&by->w);
    enum kt_kind kind = issue_life(by->settings, &by->life_s, err);
    if (kind == KT_OK && by->settings->gen_issuer[0] != '\0')
        kind = issuer_load(by->req, by->settings->gen_issuer, &by->issuer, err);
    if (kind == KT_OK)
        kind = type_of(by->settings)->make(by, err);
    kt_jsonw_end(&by->w);
    return kind;
}

enum kt_kind issue_make(struct request *req, const struct run *run, struct kt_bytes json, struct kt_buf *out,
                        const char **ret_text, struct kt_err *err)
{
    struct issuing by = {.req = req, .run = run, .settings = &run->settings, .text = ""};
    kt_autobuf struct kt_buf patch;
    kt_buf_init(&patch, PATCH_MAX);
    by.old = kt_json_value(json.len == 0 ? kt_str("{}") : json);
    enum kt_kind kind = make_patch(&by, &patch, err);
    if (kind != KT_OK)
        return kind;
    if (!kt_buf_ok(&patch) || !kt_json_merge_patch(by.old, kt_json_value(kt_buf_bytes(&patch)), out))
        return kt_fail(err, KT_NO_MEMORY, "making a new version");
    *ret_text = by.text;
    return KT_OK;
}

enum kt_kind issue_try(struct request *req, const char *name, const struct rotation_settings *settings,
                       struct kt_err *err)
{
    const char *made = "";
    struct run *run = kt_arena_take(&req->arena, sizeof *run);
    kt_autobuf struct kt_buf value;
    kt_buf_init(&value, PATCH_MAX);
    if (run == NULL)
        return kt_fail(err, KT_NO_MEMORY, "trying a certificate");
    *run = (struct run){.name = name, .settings = *settings};
    return issue_make(req, run, kt_bytes(NULL, 0), &value, &made, err);
}

void issue_describe(const struct rotation_settings *settings, struct kt_buf *out)
{
    char life[KT_DURATION_TEXT] = "";
    int64_t life_s = 0;
    type_of(settings)->describe(settings, out);
    if (issue_life(settings, &life_s, NULL) == KT_OK && life_s % DAY_S != 0)
        kt_duration_text((uint64_t)life_s * 1000, life);
    else
        (void)snprintf(life, sizeof life, "%jdd", (intmax_t)(life_s / DAY_S));
    kt_buf_printf(out, ": %s", life);
    if (settings->gen_issuer[0] != '\0')
        kt_buf_printf(out, ", signed by %s", settings->gen_issuer);
}
