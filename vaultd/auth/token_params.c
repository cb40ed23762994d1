#include "vaultd/auth/token_params.h"

#include "lib/cidr.h"
#include "vaultd/auth/policy_names.h"

enum stored_flag { STORED_NO_DEFAULT = 1, STORED_SERVICE = 2 };

/* ---- one field of each kind ---- */

typedef enum kt_kind read_fn(struct request *req, const char *name, void *at, struct kt_err *err);
typedef void show_fn(struct kt_jsonw *w, const char *name, const void *at);

static enum kt_kind read_duration(struct request *req, const char *name, void *at, struct kt_err *err)
{
    return request_duration_s(req, name, at, err);
}

static enum kt_kind read_uses(struct request *req, const char *name, void *at, struct kt_err *err)
{
    int64_t uses = 0;
    enum kt_kind kind = request_int(req, name, &uses, err);
    if (kind == KT_OK && uses < 0)
        return kt_fail(err, KT_INVALID, "'%s' cannot be negative", name);
    if (kind == KT_OK)
        *(int64_t *)at = uses;
    return kind;
}

static enum kt_kind read_bool(struct request *req, const char *name, void *at, struct kt_err *err)
{
    return request_bool(req, name, at, err);
}

static enum kt_kind read_policies(struct request *req, const char *name, void *at, struct kt_err *err)
{
    struct string_list given = {0}, names = {0};
    enum kt_kind kind = request_list(req, name, true, &given, err);
    if (kind == KT_OK)
        kind = policy_names(&req->arena, given.at, given.n, &names, err);
    /* Root comes from root tokens, and from the holders of the key shares, alone. */
    if (kind == KT_OK && policy_names_have(&names, "root"))
        return kt_fail(err, KT_INVALID, "'%s' cannot have \"root\": no login gives a root token", name);
    if (kind == KT_OK)
        *(struct string_list *)at = names;
    return kind;
}

enum kt_kind token_params_cidrs(struct request *req, const char *name, struct string_list *ret,
                                struct kt_err *err)
{
    struct string_list given = {0};
    enum kt_kind kind = request_list(req, name, true, &given, err);
    if (kind != KT_OK)
        return kind;
    size_t n = 0;
    for (size_t i = 0; i < given.n; i++) {
        struct kt_cidr cidr;
        if (given.at[i][0] == '\0')
            continue;
        if (!kt_cidr_parse(kt_str(given.at[i]), &cidr)) {
            (void)kt_fail(err, KT_INVALID, "'%s' holds something that is no block of addresses", name);
            kt_hint(err, "write addresses as 10.0.0.0/8, fd00::/8 or 192.0.2.7");
            return KT_INVALID;
        }
        given.at[n++] = given.at[i];
    }
    if (n > TOKEN_CIDRS_MAX)
        return kt_fail(err, KT_INVALID, "'%s' has more than %u blocks", name, TOKEN_CIDRS_MAX);
    *ret = (struct string_list){given.at, n};
    return KT_OK;
}

static enum kt_kind read_cidrs(struct request *req, const char *name, void *at, struct kt_err *err)
{
    return token_params_cidrs(req, name, at, err);
}

static enum kt_kind read_type(struct request *req, const char *name, void *at, struct kt_err *err)
{
    const char *text = "";
    enum kt_kind kind = request_string(req, name, &text, err);
    if (kind != KT_OK)
        return kind;
    static const struct {
        const char *text;
        bool service;
    } words[] = {{"", false}, {"default", false}, {"default-service", false}, {"service", true}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i].text, text) == 0) {
            *(bool *)at = words[i].service;
            return KT_OK;
        }
    (void)kt_fail(err, KT_INVALID, "invalid '%s' value", name);
    kt_hint(err, "\"default\" or \"service\": batch tokens are not offered by this version");
    return KT_INVALID;
}

static void show_int(struct kt_jsonw *w, const char *name, const void *at)
{
    kt_jsonw_kv_int(w, name, *(const int64_t *)at);
}

static void show_bool(struct kt_jsonw *w, const char *name, const void *at)
{
    kt_jsonw_kv_bool(w, name, *(const bool *)at);
}

static void show_list(struct kt_jsonw *w, const char *name, const void *at)
{
    token_params_list(w, name, at);
}

static void show_type(struct kt_jsonw *w, const char *name, const void *at)
{
    kt_jsonw_kv_text(w, name, *(const bool *)at ? "service" : "default");
}

/* ---- the table ---- */

/* Where a field is, and how large. */
#define AT(member) offsetof(struct token_params, member), sizeof(((struct token_params *)0)->member)

static const struct param {
    const char *name, *old_name;
    size_t offset, size;
    read_fn *read;
    show_fn *show;
} rows[PARAM_COUNT] = {
    [PARAM_TTL] = {"token_ttl", "ttl", AT(ttl_s), read_duration, show_int},
    [PARAM_MAX_TTL] = {"token_max_ttl", "max_ttl", AT(max_ttl_s),
                       read_duration, show_int},
    [PARAM_POLICIES] = {"token_policies", "policies", AT(policies),
                        read_policies, show_list},
    [PARAM_BOUND_CIDRS] = {"token_bound_cidrs", "bound_cidrs",
                           AT(bound_cidrs), read_cidrs, show_list},
    [PARAM_EXPLICIT_MAX_TTL] = {"token_explicit_max_ttl", "explicit_max_ttl",
                                AT(explicit_max_ttl_s), read_duration,
                                show_int},
    [PARAM_NO_DEFAULT] = {"token_no_default_policy", NULL,
                          AT(no_default_policy), read_bool, show_bool},
    [PARAM_NUM_USES] = {"token_num_uses", "num_uses", AT(num_uses),
                        read_uses, show_int},
    [PARAM_PERIOD] = {"token_period", "period", AT(period_s),
                      read_duration, show_int},
    [PARAM_TYPE] = {"token_type", NULL, AT(service), read_type,
                    show_type},
};

const struct token_params_form token_params_of_login = {
    .fields = (1u << PARAM_COUNT) - 1,
    .old_names = PARAM_BIT(PARAM_TTL) | PARAM_BIT(PARAM_MAX_TTL) | PARAM_BIT(PARAM_POLICIES) |
                 PARAM_BIT(PARAM_BOUND_CIDRS) | PARAM_BIT(PARAM_NUM_USES) | PARAM_BIT(PARAM_PERIOD),
};

/* The new name wins where both are given. */
static enum kt_kind read_row(struct request *req, unsigned i, bool by_old_name,
                             struct token_params *params, struct kt_err *err)
{
    const struct param *row = &rows[i];
    unsigned char *at = (unsigned char *)params + row->offset;
    enum kt_kind by_old = by_old_name ? row->read(req, row->old_name, at, err) : KT_NOT_FOUND;
    if (by_old != KT_OK && by_old != KT_NOT_FOUND)
        return by_old;
    enum kt_kind by_new = row->read(req, row->name, at, err);
    if (by_new != KT_OK && by_new != KT_NOT_FOUND)
        return by_new;
    if (by_old == KT_OK)
        params->old_names |= PARAM_BIT(i);
    else if (by_new == KT_OK)
        params->old_names &= ~PARAM_BIT(i);
    return KT_OK;
}

enum kt_kind token_params_read(struct request *req, const struct token_params_form *form,
                               struct token_params *params, struct kt_err *err)
{
    for (unsigned i = 0; i < PARAM_COUNT; i++) {
        if ((form->fields & PARAM_BIT(i)) == 0)
            continue;
        enum kt_kind kind = read_row(req, i, (form->old_names & PARAM_BIT(i)) != 0, params, err);
        if (kind != KT_OK)
            return kind;
    }
    if (params->policies.n == POLICY_NAMES_MAX && !params->no_default_policy &&
        !policy_names_have(&params->policies, "default"))
        return kt_fail(err, KT_INVALID, "a token has at most %u policies, and \"default\" would be one more",
                       POLICY_NAMES_MAX);
    if (params->max_ttl_s > 0 && params->ttl_s > params->max_ttl_s)
        return kt_fail(err, KT_INVALID, "'token_ttl' cannot be greater than 'token_max_ttl'");
    return KT_OK;
}

void token_params_list(struct kt_jsonw *w, const char *name, const struct string_list *list)
{
    kt_jsonw_key(w, name);
    kt_jsonw_array(w);
    for (size_t i = 0; i < list->n; i++)
        kt_jsonw_text(w, list->at[i]);
    kt_jsonw_end(w);
}

void token_params_show(struct kt_jsonw *w, const struct token_params_form *form,
                       const struct token_params *params)
{
    for (unsigned i = 0; i < PARAM_COUNT; i++) {
        const unsigned char *at = (const unsigned char *)params + rows[i].offset;
        if ((form->fields & PARAM_BIT(i)) != 0)
            rows[i].show(w, rows[i].name, at);
        if ((form->old_names & params->old_names & PARAM_BIT(i)) != 0)
            rows[i].show(w, rows[i].old_name, at);
    }
}

void token_params_reset(struct token_params *params, unsigned fields)
{
    for (unsigned i = 0; i < PARAM_COUNT; i++)
        if ((fields & PARAM_BIT(i)) != 0) {
            memset((unsigned char *)params + rows[i].offset, 0, rows[i].size);
            params->old_names &= ~PARAM_BIT(i);
        }
}

/* ---- as a part of a record ---- */

void token_params_write_list(const struct string_list *list, struct kt_buf *out)
{
    kt_buf_add_u16(out, (uint16_t)list->n);
    for (size_t i = 0; i < list->n; i++)
        kt_buf_add_field(out, kt_str(list->at[i]));
}

void token_params_write(const struct token_params *params, struct kt_buf *out)
{
    const int64_t numbers[] = {params->ttl_s, params->max_ttl_s, params->explicit_max_ttl_s,
                               params->period_s, params->num_uses};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        kt_buf_add_i64(out, numbers[i]);
    kt_buf_add_u8(out, (uint8_t)((params->no_default_policy ? STORED_NO_DEFAULT : 0) |
                                 (params->service ? STORED_SERVICE : 0)));
    kt_buf_add_u16(out, (uint16_t)params->old_names);
    token_params_write_list(&params->policies, out);
    token_params_write_list(&params->bound_cidrs, out);
}

void token_params_take_list(struct kt_reader *r, struct kt_arena *arena, struct string_list *ret)
{
    size_t n = kt_read_u16(r);
    const char **at = kt_arena_take(arena, (n + 1) * sizeof *at);
    *ret = (struct string_list){at, 0};
    for (size_t i = 0; at != NULL && i < n && !r->failed; i++) {
        at[i] = kt_arena_text(arena, kt_read_field(r));
        ret->n += at[i] != NULL;
    }
}

void token_params_take(struct kt_reader *r, struct kt_arena *arena, struct token_params *ret)
{
    *ret = (struct token_params){0};
    int64_t *const numbers[] = {&ret->ttl_s, &ret->max_ttl_s, &ret->explicit_max_ttl_s,
                                &ret->period_s, &ret->num_uses};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        *numbers[i] = kt_read_i64(r);
    unsigned flags = kt_read_u8(r);
    ret->no_default_policy = (flags & STORED_NO_DEFAULT) != 0;
    ret->service = (flags & STORED_SERVICE) != 0;
    ret->old_names = kt_read_u16(r);
    token_params_take_list(r, arena, &ret->policies);
    token_params_take_list(r, arena, &ret->bound_cidrs);
}
