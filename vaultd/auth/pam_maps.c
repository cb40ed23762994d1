#include "vaultd/auth/pam_maps.h"

#include <ctype.h>

#include "vaultd/auth/lockout.h"
#include "vaultd/auth/maps.h"
#include "vaultd/barrier/format.h"

#define KNOWN_MAX 64u
#define FORMAT   1u
#define SETTINGS "config" /* the name of the settings' record */

/* ---- names ---- */

static bool may_begin_or_end(char c)
{
    return islower((unsigned char)c) || isdigit((unsigned char)c) || c == '_';
}

bool pam_is_name(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > NAMED_MAX || !may_begin_or_end(name[0]) || !may_begin_or_end(name[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!may_begin_or_end(name[i]) && strchr("-.@ ", name[i]) == NULL)
            return false;
    return true;
}

enum kt_kind pam_param(struct request *req, const char *param, const char **ret, struct kt_err *err)
{
    const char *name = request_param(req, param);
    if (!pam_is_name(name))
        return kt_fail(err, KT_NOT_FOUND, "1 error occurred:\n\t* unsupported path\n\n");
    *ret = name;
    return KT_OK;
}

/* ---- settings ---- */

struct settings_record {
    struct kt_arena *arena;
    struct pam_settings *settings;
};

static void read_settings_1(struct kt_reader *r, void *ret)
{
    struct settings_record *record = ret;
    (void)kt_read_field(r); /* its name */
    record->settings->max_failures = kt_read_u32(r);
    token_params_take(r, record->arena, &record->settings->params);
}

static format_reader *const settings_readers[] = {[FORMAT] = read_settings_1};

enum kt_kind pam_settings_find(struct request *req, const struct mount *mount,
                               struct pam_settings *ret, struct kt_err *err)
{
    const struct named which = {mount->scope, SETTINGS, NAMED_SETTINGS};
    struct settings_record record = {&req->arena, ret};
    struct kt_bytes bytes = {0};
    *ret = (struct pam_settings){.max_failures = PAM_MAX_FAILURES};
    enum kt_kind kind = named_get(req, &which, &bytes, &ret->changed, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind == KT_OK)
        kind = FORMAT_READ("the settings of a pam mount", bytes, settings_readers, &record, err);
    if (kind == KT_OK && req->arena.failed)
        return kt_fail(err, KT_NO_MEMORY, "reading the settings of a pam mount");
    return kind;
}

enum kt_kind pam_settings_require(struct request *req, const struct mount *mount,
                                  struct pam_settings *ret, struct kt_err *err)
{
    const struct named which = {mount->scope, SETTINGS, NAMED_SETTINGS};
    enum kt_kind kind = pam_settings_find(req, mount, ret, err);
    return kind == KT_OK ? named_require(req, &which, ret->changed, err) : kind;
}

enum kt_kind pam_read_settings(struct request *req, struct kt_err *err)
{
    struct pam_settings settings;
    enum kt_kind kind = pam_settings_find(req, req->mount, &settings, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "max_failures", settings.max_failures);
    token_params_show(&w, &token_params_of_login, &settings.params);
    kt_jsonw_end(&w);
    return KT_OK;
}

static enum kt_kind read_max_failures(struct request *req, unsigned *ret, struct kt_err *err)
{
    int64_t number = 0;
    enum kt_kind kind = request_int(req, "max_failures", &number, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    if (number < 1 || number > LOCKOUT_FAILURES) {
        (void)kt_fail(err, KT_INVALID, "'max_failures' is a number from 1 to %u", LOCKOUT_FAILURES);
        kt_hint(err, "keep it below what the host itself allows: deny= of pam_faillock");
        return KT_INVALID;
    }
    *ret = (unsigned)number;
    return KT_OK;
}

enum kt_kind pam_write_settings(struct request *req, struct kt_err *err)
{
    struct pam_settings settings;
    enum kt_kind kind = pam_settings_find(req, req->mount, &settings, err);
    if (kind == KT_OK)
        kind = read_max_failures(req, &settings.max_failures, err);
    if (kind == KT_OK)
        kind = token_params_read(req, &token_params_of_login, &settings.params, err);
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, NAMED_RECORD_MAX);
    named_begin(&record, FORMAT, SETTINGS);
    kt_buf_add_u32(&record, settings.max_failures);
    token_params_write(&settings.params, &record);
    const struct named which = {req->mount->scope, SETTINGS, NAMED_SETTINGS};
    return named_put(req, &which, settings.changed, &record, err);
}

/* ---- users and groups ---- */

typedef enum kt_kind map_fn(struct request *req, const struct named *which, struct kt_err *err);

static enum kt_kind with(struct request *req, enum named_kind of, map_fn *call, struct kt_err *err)
{
    struct named one = {.scope = req->mount->scope, .kind = of};
    enum kt_kind kind = pam_param(req, "name", &one.name, err);
    return kind == KT_OK ? call(req, &one, err) : kind;
}

/* clang-format off */
#define HANDLERS(one, many, of)                                                                    \
    enum kt_kind pam_list_##many(struct request *req, struct kt_err *err) { return named_list(req, req->mount->scope, of, err); } \
    enum kt_kind pam_read_##one(struct request *req, struct kt_err *err) { return with(req, of, map_read, err); }     \
    enum kt_kind pam_write_##one(struct request *req, struct kt_err *err) { return with(req, of, map_write, err); }   \
    enum kt_kind pam_delete_##one(struct request *req, struct kt_err *err) { return with(req, of, map_delete, err); }
HANDLERS(user, users, NAMED_USERS)
HANDLERS(group, groups, NAMED_GROUPS)
/* clang-format on */

/* ---- what a user gets ---- */

/* Each is a condition of the login's commit. */
static enum kt_kind too_many_known(struct kt_err *err)
{
    (void)kt_fail(err, KT_INVALID, "more than %u groups of this account have policies here", KNOWN_MAX);
    kt_hint(err, "give policies to fewer of them, or to a group that stands for them");
    return KT_INVALID;
}

/* A group of the host whose name could not be written here is none that has policies. */
static enum kt_kind add_groups(struct request *req, const struct mount *mount,
                               const struct string_list *groups, struct string_list *policies,
                               struct string_list *ret_known, struct kt_err *err)
{
    const char **known = kt_arena_take(&req->arena, (groups->n + 1) * sizeof *known);
    enum kt_kind kind = KT_OK;
    if (known == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking for policies");
    *ret_known = (struct string_list){known, 0};
    for (size_t i = 0; kind == KT_OK && i < groups->n; i++) {
        bool is_known = false;
        const struct named group = {mount->scope, groups->at[i], NAMED_GROUPS};
        if (!pam_is_name(groups->at[i]))
            continue;
        kind = map_add(req, &group, policies, &is_known, err);
        if (is_known)
            known[ret_known->n++] = groups->at[i];
        if (kind == KT_OK && ret_known->n > KNOWN_MAX)
            kind = too_many_known(err);
    }
    return kind;
}

enum kt_kind pam_policies(struct request *req, const struct mount *mount, const char *user,
                          const struct string_list *groups, struct token_params *params,
                          struct string_list *ret_known, struct kt_err *err)
{
    const struct named who = {mount->scope, user, NAMED_USERS};
    bool is_known = false;
    enum kt_kind kind = map_add(req, &who, &params->policies, &is_known, err);
    return kind == KT_OK ? add_groups(req, mount, groups, &params->policies, ret_known, err) : kind;
}
