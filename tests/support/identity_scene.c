#include "tests/support/identity_scene.h"

#include <stdio.h>

#include "vaultd/auth/token.h"
#include "vaultd/core/mounts.h"
#include "vaultd/identity/login.h"

struct call {
    const struct scene_login *login;
    char *token, *entity;
    size_t size;
};

static enum kt_kind make_token(struct request *req, struct call *call, const char *entity_id,
                               struct kt_err *err)
{
    const char *policies[2];
    size_t n = 0;
    policies[n++] = "default";
    if (call->login->policy != NULL) /* sorted */
        policies[strcmp(call->login->policy, "default") < 0 ? 0 : 1] = call->login->policy;
    if (call->login->policy != NULL && policies[0] == call->login->policy)
        policies[1] = "default";
    n += call->login->policy != NULL;
    struct token token = {.display_name = "scene",
                          .entity_id = entity_id,
                          .path = "auth/scene/login",
                          .policies = policies,
                          .n_policies = n,
                          .meta = kt_str("null"),
                          .created_ms = req->now_ms,
                          .expires_ms = req->now_ms + 3600000,
                          .creation_ttl_s = 3600};
    struct kt_buf text;
    kt_buf_init(&text, 4096);
    enum kt_kind kind = token_create(req->core, &req->arena, request_batch(req), &token,
                                     kt_bytes(NULL, 0), &text, err);
    if (kind == KT_OK) {
        (void)snprintf(call->token, call->size, "%s", kt_buf_text(&text));
        (void)snprintf(call->entity, 37, "%s", entity_id);
    }
    kt_buf_free(&text);
    return kind;
}

static enum kt_kind log_in(struct request *req, struct kt_err *err)
{
    struct call *call = req->handler_data;
    const char *rest = NULL, *entity_id = NULL;
    struct identity_login login = {.mount = mounts_find(req, "auth/token/", &rest),
                                   .name = call->login->name,
                                   .metadata = kt_str(call->login->metadata),
                                   .has_groups = call->login->groups != NULL};
    const char *names[16];
    for (size_t i = 0; login.has_groups && call->login->groups[i] != NULL; i++)
        names[login.groups.n++] = call->login->groups[i];
    login.groups.at = names;
    enum kt_kind kind = identity_login(req, &login, &entity_id, err);
    return kind == KT_OK ? make_token(req, call, entity_id, err) : kind;
}

enum kt_kind scene_login(struct test_vault *vault, const struct scene_login *login, char *ret_token,
                         size_t size, char *ret_entity)
{
    struct call call = {login, ret_token, ret_entity, size};
    struct kt_err err = {0};
    return request_internal(vault->core, "auth/scene/login", log_in, &call, &err);
}
