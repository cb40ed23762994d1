#include "vaultd/auth/jwt_claims.h"

#include "lib/num.h"
#include "vaultd/auth/glob.h"

#define META_TEXT_MAX 1024u
#define GLOB_TEXT_MAX 2048u /* what is longer fits none: looking costs the product of both lengths */
#define TIME_MAX      INT64_C(253402300799) /* the year 9999 */
#define USER_MAX      512u                  /* as identity has it */

/* ---- finding ---- */

/* One step of RFC 6901, escapes undone; *at is behind it. NULL: no memory, or no such escape. */
static char *next_step(const char **at, struct kt_arena *arena)
{
    size_t len = strcspn(*at, "/"), n = 0;
    char *step = kt_arena_take(arena, len + 1);
    const char *end = *at + len;
    for (const char *c = *at; step != NULL && c < end; c++) {
        if (*c == '~' && (c + 1 == end || (c[1] != '0' && c[1] != '1')))
            return NULL;
        step[n++] = *c != '~' ? *c : c[1] == '0' ? '~' : '/';
        c += *c == '~';
    }
    *at = *end == '/' ? end + 1 : end;
    return step;
}

static bool item_of(struct kt_json list, const char *step, struct kt_json *ret)
{
    uint64_t index = 0;
    if ((step[0] == '0' && step[1] != '\0') || !kt_u64_parse(kt_str(step), JWT_TEXT_MAX, &index))
        return false;
    struct kt_json_iter it = kt_json_iter(list);
    for (uint64_t i = 0; kt_json_next(&it); i++)
        if (i == index) {
            *ret = it.value;
            return true;
        }
    return false;
}

static bool follow(struct kt_json claims, const char *pointer, struct kt_arena *arena,
                   struct kt_json *ret)
{
    const char *at = pointer + 1;
    bool more = true;
    *ret = claims;
    while (more) {
        struct kt_json value = *ret;
        more = strchr(at, '/') != NULL;
        const char *step = next_step(&at, arena);
        if (step == NULL)
            return false;
        bool found = kt_json_type(value) == KT_JSON_ARRAY ? item_of(value, step, ret)
                                                          : kt_json_member(value, step, ret);
        if (!found)
            return false;
    }
    return true;
}

bool jwt_claim(struct kt_json claims, const char *name, bool pointer, struct kt_arena *arena,
               struct kt_json *ret)
{
    bool found = pointer && name[0] == '/' ? follow(claims, name, arena, ret)
                                           : kt_json_member(claims, name, ret);
    return found && kt_json_type(*ret) != KT_JSON_NULL;
}

static enum kt_kind not_found(const char *name, const struct kt_arena *arena, struct kt_err *err)
{
    if (arena->failed)
        return kt_fail(err, KT_NO_MEMORY, "looking at a claim");
    return kt_fail(err, KT_INVALID, "claim \"%.200s\" not found in token", name);
}

/* ---- times ---- */

/* *ret 0: absent. A fraction is cut off: it is less than any leeway. */
static bool time_of(struct kt_json claims, const char *name, int64_t *ret)
{
    struct kt_json value = {0};
    *ret = 0;
    if (!kt_json_member(claims, name, &value))
        return true;
    if (kt_json_type(value) != KT_JSON_NUMBER)
        return false;
    struct kt_bytes text = kt_json_bytes(value);
    const unsigned char *point = memchr(text.at, '.', text.len);
    size_t whole = point == NULL ? text.len : (size_t)(point - text.at);
    for (size_t i = whole + 1; i < text.len; i++)
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
    return kt_i64_parse(kt_bytes(text.at, whole), 1, TIME_MAX, ret);
}

static int64_t leeway(int64_t wish, int64_t usual)
{
    return wish == 0 ? usual : wish < 0 ? 0 : wish;
}

enum kt_kind jwt_claims_times(struct kt_json claims, const struct jwt_role *role, int64_t now_s,
                              struct kt_err *err)
{
    int64_t exp = 0, nbf = 0, iat = 0, skew = leeway(role->skew_s, JWT_SKEW_S);
    if (!time_of(claims, "exp", &exp) || !time_of(claims, "nbf", &nbf) || !time_of(claims, "iat", &iat))
        return kt_fail(err, KT_INVALID, "\"exp\", \"nbf\" or \"iat\" is no number of seconds");
    if (exp == 0 && nbf == 0 && iat == 0)
        return kt_fail(err, KT_INVALID,
                       "no issued at (iat), not before (nbf), or expiration time (exp) claims in token");
    if (exp == 0)
        exp = (iat > nbf ? iat : nbf) + leeway(role->exp_leeway_s, JWT_EXP_LEEWAY_S);
    if (nbf == 0)
        nbf = iat != 0 ? iat : exp - leeway(role->nbf_leeway_s, JWT_NBF_LEEWAY_S);
    if (now_s > exp + skew)
        return kt_fail(err, KT_INVALID, "the token is expired (exp)");
    if (now_s + skew < nbf)
        return kt_fail(err, KT_INVALID, "the token is not valid yet (nbf)");
    if (now_s + skew < iat)
        return kt_fail(err, KT_INVALID, "the token was issued in the future (iat)");
    return KT_OK;
}

/* ---- what is bound ---- */

static bool list_has(const struct string_list *list, struct kt_json value)
{
    bool is = false;
    for (size_t i = 0; i < list->n; i++)
        is |= kt_json_is(value, list->at[i]);
    return is;
}

/* Of one string, or of a list of them: RFC 7519 has both. Anything else is no audience. */
static enum kt_kind check_audience(struct kt_json claims, const struct jwt_role *role,
                                   struct kt_err *err)
{
    struct kt_json value = {0};
    bool there = kt_json_member(claims, "aud", &value) && kt_json_type(value) != KT_JSON_NULL;
    bool list = kt_json_type(value) == KT_JSON_ARRAY, fits = false;
    struct kt_json_iter it = kt_json_iter(value);
    if (there && role->audiences.n == 0 && !(list && kt_json_count(value) == 0))
        return kt_fail(err, KT_INVALID, "audience claim found in JWT but no audiences bound to the role");
    if (role->audiences.n == 0)
        return KT_OK;
    if (there && !list)
        fits = list_has(&role->audiences, value);
    while (list && kt_json_next(&it)) {
        if (kt_json_type(it.value) != KT_JSON_STRING)
            return kt_fail(err, KT_INVALID, "aud claim is no list of strings");
        fits |= list_has(&role->audiences, it.value);
    }
    return fits ? KT_OK
                : kt_fail(err, KT_INVALID, "aud claim does not match any bound audience");
}

static enum kt_kind check_text(struct kt_json claims, const char *name, const char *wanted,
                               struct kt_err *err)
{
    struct kt_json value = {0};
    if (wanted[0] == '\0' || (kt_json_member(claims, name, &value) && kt_json_is(value, wanted)))
        return KT_OK;
    return kt_fail(err, KT_INVALID, "%s claim does not match the bound one", name);
}

struct bound_look {
    struct kt_arena *arena;
    bool glob;
};

static bool value_fits(const struct bound_look *look, struct kt_json wanted, struct kt_json value)
{
    if (kt_json_type(wanted) != kt_json_type(value))
        return false;
    if (!look->glob || kt_json_type(value) != KT_JSON_STRING)
        return kt_json_equal(wanted, value);
    const char *glob = kt_json_text(wanted, look->arena);
    const char *text = kt_json_text(value, look->arena);
    return glob != NULL && text != NULL && strlen(text) <= GLOB_TEXT_MAX && glob_fits(glob, text);
}

/* A list on either side: one of these has to be one of those. */
static bool some_wanted_fits(const struct bound_look *look, struct kt_json wanted, struct kt_json value)
{
    if (kt_json_type(wanted) != KT_JSON_ARRAY)
        return value_fits(look, wanted, value);
    struct kt_json_iter it = kt_json_iter(wanted);
    while (kt_json_next(&it))
        if (value_fits(look, it.value, value))
            return true;
    return false;
}

static bool some_value_fits(const struct bound_look *look, struct kt_json wanted, struct kt_json value)
{
    if (kt_json_type(value) != KT_JSON_ARRAY)
        return some_wanted_fits(look, wanted, value);
    struct kt_json_iter it = kt_json_iter(value);
    while (kt_json_next(&it))
        if (some_wanted_fits(look, wanted, it.value))
            return true;
    return false;
}

static enum kt_kind check_bound_claims(struct kt_json claims, const struct jwt_role *role,
                                       struct kt_arena *arena, struct kt_err *err)
{
    const struct bound_look look = {arena, role->glob};
    struct kt_json_iter it = kt_json_iter(kt_json_value(role->bound));
    while (kt_json_next(&it)) {
        struct kt_json value = {0};
        const char *name = kt_json_text(it.key, arena);
        if (name == NULL || !jwt_claim(claims, name, true, arena, &value))
            return not_found(name == NULL ? "" : name, arena, err);
        bool fits = some_value_fits(&look, it.value, value);
        if (arena->failed)
            return kt_fail(err, KT_NO_MEMORY, "looking at a claim");
        if (!fits)
            return kt_fail(err, KT_INVALID, "claim \"%.200s\" does not match any associated bound claim values", name);
    }
    return KT_OK;
}

enum kt_kind jwt_claims_bound(struct kt_json claims, const struct jwt_role *role, const char *issuer,
                              struct kt_arena *arena, struct kt_err *err)
{
    enum kt_kind kind = check_text(claims, "iss", issuer, err);
    if (kind == KT_OK)
        kind = check_text(claims, "sub", role->subject, err);
    if (kind == KT_OK)
        kind = check_audience(claims, role, err);
    if (kind == KT_OK)
        kind = check_bound_claims(claims, role, arena, err);
    return kind;
}

/* ---- who it is ---- */

static enum kt_kind read_name(struct kt_json value, const char *claim, struct kt_arena *arena,
                              const char **ret, struct kt_err *err)
{
    const char *text = kt_json_text(value, arena);
    if (arena->failed)
        return kt_fail(err, KT_NO_MEMORY, "looking at a claim");
    bool ok = text != NULL && text[0] != '\0' && strlen(text) <= USER_MAX;
    for (const char *c = text; ok && *c != '\0'; c++)
        ok = (unsigned char)*c >= ' ' && *c != 0x7f;
    if (!ok)
        return kt_fail(err, KT_INVALID,
                       "claim \"%.200s\" could not be converted to a name: 1 to %u bytes without control characters",
                       claim, USER_MAX);
    *ret = text;
    return KT_OK;
}

static enum kt_kind read_groups(struct kt_json claims, const struct jwt_role *role,
                                struct kt_arena *arena, struct string_list *ret, struct kt_err *err)
{
    struct kt_json value = {0};
    if (!jwt_claim(claims, role->groups_claim, true, arena, &value))
        return not_found(role->groups_claim, arena, err);
    bool list = kt_json_type(value) == KT_JSON_ARRAY;
    size_t n = list ? kt_json_count(value) : 1;
    struct kt_json_iter it = kt_json_iter(value);
    if (n > JWT_LIST_MAX)
        return kt_fail(err, KT_INVALID, "claim \"%.200s\" names more than %u groups", role->groups_claim,
                       JWT_LIST_MAX);
    *ret = (struct string_list){kt_arena_take(arena, (n + 1) * sizeof(char *)), 0};
    if (ret->at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking at a claim");
    enum kt_kind kind = list ? KT_OK : read_name(value, role->groups_claim, arena, &ret->at[0], err);
    while (kind == KT_OK && list && kt_json_next(&it)) {
        kind = read_name(it.value, role->groups_claim, arena, &ret->at[ret->n], err);
        ret->n += kind == KT_OK;
    }
    ret->n = list ? ret->n : n;
    return kind;
}

/* A string as it is, a number as it is written, true or false; else false. */
static bool write_value(struct kt_jsonw *w, struct kt_json value)
{
    enum kt_json_type type = kt_json_type(value);
    bool scalar = type == KT_JSON_NUMBER || type == KT_JSON_BOOL;
    if (value.len > META_TEXT_MAX)
        return false;
    if (type == KT_JSON_STRING)
        kt_jsonw_raw(w, kt_json_bytes(value));
    else if (scalar)
        kt_jsonw_bytes(w, kt_json_bytes(value));
    return scalar || type == KT_JSON_STRING;
}

static enum kt_kind write_meta(struct kt_json claims, const struct jwt_role *role,
                               struct kt_arena *arena, struct kt_buf *meta, struct kt_err *err)
{
    struct kt_jsonw w = kt_jsonw(meta);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "role", role->name);
    struct kt_json_iter it = kt_json_iter(kt_json_value(role->mappings));
    while (kt_json_next(&it)) {
        struct kt_json value = {0};
        const char *claim = kt_json_text(it.key, arena);
        const char *name = kt_json_text(it.value, arena);
        bool there = claim != NULL && name != NULL && jwt_claim(claims, claim, true, arena, &value);
        if (arena->failed)
            return kt_fail(err, KT_NO_MEMORY, "looking at a claim");
        if (!there)
            continue;
        kt_jsonw_key(&w, name);
        if (!write_value(&w, value))
            return kt_fail(err, KT_INVALID, "claim \"%.200s\" cannot be metadata: no string, number or boolean, or too long", claim);
    }
    kt_jsonw_end(&w);
    if (meta->full)
        return kt_fail(err, KT_INVALID, "the mapped claims are longer than %zu bytes", meta->max);
    return kt_buf_ok(meta) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "looking at a claim");
}

enum kt_kind jwt_claims_who(struct kt_json claims, const struct jwt_role *role, struct kt_arena *arena,
                            struct kt_buf *meta, struct jwt_who *ret, struct kt_err *err)
{
    struct kt_json value = {0};
    *ret = (struct jwt_who){.user = NULL};
    if (!jwt_claim(claims, role->user_claim, role->user_pointer, arena, &value))
        return not_found(role->user_claim, arena, err);
    enum kt_kind kind = read_name(value, role->user_claim, arena, &ret->user, err);
    if (kind == KT_OK && role->groups_claim[0] != '\0')
        kind = read_groups(claims, role, arena, &ret->groups, err);
    if (kind == KT_OK)
        kind = write_meta(claims, role, arena, meta, err);
    return kind;
}
