#include "vaultd/identity/own.h"
#include "vaultd/policy/policy_list.h"

#define PAIRS_MAX       64u
#define PAIRS_BYTES_MAX ((size_t)64 * 1024)

static bool failed(enum kt_kind kind)
{
    return kind != KT_OK && kind != KT_NOT_FOUND;
}

enum kt_kind wish_text(struct request *req, const char *name, const char **ret, struct kt_err *err)
{
    *ret = request_param(req, name);
    if ((*ret)[0] != '\0')
        return KT_OK;
    enum kt_kind kind = request_string(req, name, ret, err);
    if (kind == KT_NOT_FOUND)
        *ret = "";
    return failed(kind) ? kind : KT_OK;
}

enum kt_kind wish_pairs(struct request *req, const char *name, struct kt_bytes *ret,
                        struct kt_err *err)
{
    struct kt_bytes pairs = {0};
    enum kt_kind kind = request_pairs(req, name, &pairs, err);
    if (kind != KT_OK)
        return kind;
    if (pairs.len > PAIRS_BYTES_MAX || kt_json_count(kt_json_value(pairs)) > PAIRS_MAX)
        return kt_fail(err, KT_INVALID, "\"%s\" is at most %u pairs and %zu bytes", name, PAIRS_MAX,
                       PAIRS_BYTES_MAX);
    *ret = pairs;
    return KT_OK;
}

enum kt_kind wish_read(struct request *req, struct wish *ret, struct kt_err *err)
{
    *ret = (struct wish){0};
    enum kt_kind kind = wish_text(req, "id", &ret->id, err);
    if (kind == KT_OK)
        kind = wish_text(req, "name", &ret->name, err);
    if (kind == KT_OK && ret->name[0] != '\0')
        kind = index_check_name("name", ret->name, err);
    if (kind != KT_OK)
        return kind;
    kind = wish_pairs(req, "metadata", &ret->metadata, err);
    ret->has_metadata = kind == KT_OK;
    if (failed(kind))
        return kind;
    struct string_list policies = {0};
    kind = request_list(req, "policies", true, &policies, err);
    ret->has_policies = kind == KT_OK;
    return kind == KT_OK    ? policy_list_normal(&req->arena, &policies, &ret->policies, err)
           : failed(kind) ? kind
                          : KT_OK;
}

enum kt_kind wish_spelled(struct request *req, const char *borne, struct kt_err *err)
{
    const char *typed = request_param(req, "name");
    size_t len = strlen(typed);
    if (len == 0 || strcmp(typed, borne) == 0)
        return KT_OK;
    const char *path = kt_arena_printf(&req->arena, "%.*s%s", (int)(req->path_len - len), req->path, borne);
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the path");
    return request_spelled(req, path, err);
}

/* Those that were there but for the one who comes, and the oldest if they are too many. */
static struct string_list others(struct identity_made *made, const char *who, const char **at)
{
    struct string_list kept = {at, 0};
    for (size_t i = 0; i < made->changers.n; i++)
        if (strcmp(made->changers.at[i], who) != 0)
            at[kept.n++] = made->changers.at[i];
    if (kept.n == IDENTITY_CHANGERS_MAX) {
        made->more = true;
        memmove(at, at + 1, --kept.n * sizeof *at);
    }
    return kept;
}

enum kt_kind made_now(struct request *req, struct identity_made *made, bool is_new, struct kt_err *err)
{
    const char *who = identity_asker(req);
    /* An orphan is somebody's, and nobody knows whose any more. Root is who it says. */
    made->more = made->more || req->token == NULL ||
                 (req->token->entity_id[0] == '\0' && !req->token->is_root);
    made->changed_ms = req->now_ms;
    if (is_new) {
        made->created_ms = req->now_ms;
        made->created_by = who;
        return KT_OK;
    }
    const char **at = kt_arena_take(&req->arena, (made->changers.n + 1) * sizeof *at);
    if (at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "changing an identity");
    made->changers = others(made, who, at);
    at[made->changers.n++] = who;
    return KT_OK;
}

enum kt_kind auth_mount_of(struct request *req, const char *accessor, const struct mount **ret,
                           struct kt_err *err)
{
    const struct mount *const *all = NULL;
    size_t n = mounts_all(req, &all);
    for (size_t i = 0; i < n; i++)
        if (strncmp(all[i]->path, "auth/", 5) == 0 && strcmp(all[i]->accessor, accessor) == 0) {
            *ret = all[i];
            return KT_OK;
        }
    (void)kt_fail(err, KT_INVALID, "invalid mount accessor in \"mount_accessor\"");
    kt_hint(err, "secretctl read sys/auth shows the accessors of the ways to log in");
    return KT_INVALID;
}
