#include "vaultd/auth/maps.h"

#include "vaultd/auth/policy_names.h"
#include "vaultd/auth/token_params.h"
#include "vaultd/barrier/format.h"

#define FORMAT 1u

struct map {
    struct kt_arena *arena;
    struct string_list policies;
    generation changed; /* 0: there is none */
};

static void read_1(struct kt_reader *r, void *ret)
{
    struct map *map = ret;
    (void)kt_read_field(r); /* its name */
    token_params_take_list(r, map->arena, &map->policies);
}

static format_reader *const readers[] = {[FORMAT] = read_1};

static enum kt_kind find(struct request *req, const struct named *which, struct map *ret,
                         struct kt_err *err)
{
    struct kt_bytes record = {0};
    *ret = (struct map){.arena = &req->arena};
    enum kt_kind kind = named_get(req, which, &record, &ret->changed, err);
    if (kind == KT_OK)
        kind = FORMAT_READ("a user's or group's policies", record, readers, ret, err);
    if (kind == KT_OK && req->arena.failed)
        return kt_fail(err, KT_NO_MEMORY, "reading policies");
    return kind;
}

/* ---- routes ---- */

enum kt_kind map_read(struct request *req, const struct named *which, struct kt_err *err)
{
    struct map map;
    enum kt_kind kind = find(req, which, &map, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    token_params_list(&w, "policies", &map.policies);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind map_write(struct request *req, const struct named *which, struct kt_err *err)
{
    static const struct token_params_form form = {PARAM_BIT(PARAM_POLICIES),
                                                  PARAM_BIT(PARAM_POLICIES)};
    struct map map;
    enum kt_kind kind = find(req, which, &map, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    struct token_params params = {.policies = map.policies};
    kind = token_params_read(req, &form, &params, err);
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, NAMED_RECORD_MAX);
    named_begin(&record, FORMAT, which->name);
    token_params_write_list(&params.policies, &record);
    return named_put(req, which, map.changed, &record, err);
}

enum kt_kind map_delete(struct request *req, const struct named *which, struct kt_err *err)
{
    struct map map;
    enum kt_kind kind = find(req, which, &map, err);
    if (kind == KT_NOT_FOUND) /* it is not there: that was asked for */
        return KT_OK;
    return kind == KT_OK ? named_delete(req, which, map.changed, err) : kind;
}

enum kt_kind map_exists(struct request *req, const struct named *which, bool *ret_exists,
                        struct kt_err *err)
{
    struct map map;
    enum kt_kind kind = find(req, which, &map, err);
    *ret_exists = kind == KT_OK;
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

/* ---- who gets what ---- */

enum kt_kind map_add(struct request *req, const struct named *which, struct string_list *policies,
                     bool *ret_known, struct kt_err *err)
{
    struct map map;
    *ret_known = false;
    enum kt_kind kind = find(req, which, &map, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind == KT_OK)
        kind = named_require(req, which, map.changed, err);
    *ret_known = true;
    for (size_t i = 0; kind == KT_OK && i < map.policies.n; i++)
        kind = policy_names_add(&req->arena, policies, map.policies.at[i], policies, err);
    return kind;
}

enum kt_kind map_policies(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                          const struct map_who *who, struct string_list *ret, struct kt_err *err)
{
    const struct named user = {scope, who->user, NAMED_USERS};
    bool known = false, any = false;
    *ret = (struct string_list){0};
    enum kt_kind kind = map_add(req, &user, ret, &any, err);
    for (size_t i = 0; kind == KT_OK && i < who->groups.n; i++) {
        const struct named group = {scope, who->groups.at[i], NAMED_GROUPS};
        kind = map_add(req, &group, ret, &known, err);
        any = any || known;
    }
    return kind == KT_OK && !any ? KT_NOT_FOUND : kind;
}
