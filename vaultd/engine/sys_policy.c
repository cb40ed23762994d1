#include <stdlib.h>

#include "lib/num.h"
#include "vaultd/core/path.h"
#include "vaultd/engine/sys.h"
#include "vaultd/policy/lint.h"
#include "vaultd/policy/policies.h"

#define TEXT_MAX ((size_t)1024 * 1024)

/* ---- policies ---- */

static void write_names(struct kt_jsonw *w, const char *key, const struct string_list *names,
                        bool with_root)
{
    kt_jsonw_key(w, key);
    kt_jsonw_array(w);
    for (size_t i = 0; i < names->n; i++)
        kt_jsonw_text(w, names->at[i]);
    if (with_root)
        kt_jsonw_text(w, "root");
    kt_jsonw_end(w);
}

static enum kt_kind list(struct request *req, bool old_form, struct kt_err *err)
{
    struct string_list names = {0};
    enum kt_kind kind = policies_list(req->core, req->snapshot, &req->arena, &names, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    write_names(&w, "keys", &names, true);
    if (old_form)
        write_names(&w, "policies", &names, true);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind sys_policy_list(struct request *req, struct kt_err *err)
{
    return list(req, false, err);
}

enum kt_kind sys_policy_old_list(struct request *req, struct kt_err *err)
{
    return list(req, true, err);
}

/* Policies are asked about the path as it is, whatever its case: a space more would be another path to them. */
static enum kt_kind name_in_path(struct request *req, const char **ret, struct kt_err *err)
{
    const char *name = request_param(req, "name");
    size_t len = strlen(name);
    if (len > 0 && (name[0] == ' ' || name[len - 1] == ' ')) {
        (void)kt_fail(err, KT_INVALID, "not a policy name");
        kt_hint(err, "in a path it has no space around it");
        return KT_INVALID;
    }
    return policy_name_normal(&req->arena, name, ret, err);
}

static enum kt_kind read_policy(struct request *req, const char *member, struct kt_err *err)
{
    const char *name = NULL;
    enum kt_kind kind = name_in_path(req, &name, err);
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, TEXT_MAX);
    if (strcmp(name, "root") != 0) {
        kind = policies_text(req->core, req->snapshot, name, &text, NULL, err);
        if (kind == KT_NOT_FOUND)
            return kt_fail(err, KT_NOT_FOUND, "%s", "");
        if (kind != KT_OK)
            return kind;
    }
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "name", name);
    kt_jsonw_key(&w, member);
    kt_jsonw_bytes(&w, kt_buf_bytes(&text));
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind sys_policy_read(struct request *req, struct kt_err *err)
{
    return read_policy(req, "policy", err);
}

enum kt_kind sys_policy_old_read(struct request *req, struct kt_err *err)
{
    return read_policy(req, "rules", err);
}

static const char *const immutable[] = {"root", "response-wrapping"};

static enum kt_kind mutable_name(struct request *req, const char *verb, const char **ret,
                                 struct kt_err *err)
{
    enum kt_kind kind = name_in_path(req, ret, err);
    if (kind != KT_OK)
        return kind;
    for (size_t i = 0; i < sizeof immutable / sizeof immutable[0]; i++)
        if (strcmp(*ret, immutable[i]) == 0)
            return kt_fail(err, KT_INVALID, "cannot %s \"%s\" policy", verb, immutable[i]);
    return KT_OK;
}

/* The standard base64 when the whole text decodes. */
struct kt_bytes sys_policy_text(struct request *req, const char *text)
{
    size_t len = strlen(text), out_len = 0;
    unsigned char *out = kt_arena_take(&req->arena, len + 1);
    if (out != NULL && kt_base64_decode(kt_bytes(text, len), out, len + 1, &out_len))
        return kt_bytes(out, out_len);
    return kt_bytes(text, len);
}

#define LINT_SAID 4u /* findings that the answer has room for beside its other warnings */

/* What cannot have been meant is said with the answer; what perhaps was, to those who ask for it. */
static enum kt_kind warn_wrong(struct request *req, struct policy *policy, struct kt_err *err)
{
    struct lint lint = {0};
    enum kt_kind kind = policy_lint(req, policy, &lint, err);
    size_t wrong = 0;
    for (size_t i = 0; kind == KT_OK && i < lint.n; i++)
        if (lint.at[i].weight == LINT_WRONG && ++wrong <= LINT_SAID)
            request_warn(req, "%s", lint_line(&req->arena, &lint.at[i]));
    if (wrong > LINT_SAID)
        request_warn(req, "%zu more paths are of no effect: sys/policies/lint names them",
                     wrong - LINT_SAID);
    return kind;
}

/* Both of its rows: a rule of approval may name either. */
static enum kt_kind tell_changed(struct request *req, const char *name, struct kt_err *err)
{
    static const char *const rows[] = {"sys/policies/acl/", "sys/policy/"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *path = kt_arena_printf(&req->arena, "%s%s", rows[i], name);
        if (path == NULL)
            return kt_fail(err, KT_NO_MEMORY, "writing a policy");
        request_changes(req, path, false);
    }
    return KT_OK;
}

enum kt_kind sys_policy_write(struct request *req, struct kt_err *err)
{
    const char *name = NULL, *text = "";
    enum kt_kind kind = mutable_name(req, "update", &name, err);
    if (kind != KT_OK)
        return kind;
    kind = request_string(req, "policy", &text, err);
    bool old_field = kind == KT_NOT_FOUND;
    if (old_field)
        kind = request_string(req, "rules", &text, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (text[0] == '\0')
        return kt_fail(err, KT_INVALID, "'policy' parameter not supplied or empty");
    struct kt_bytes body = sys_policy_text(req, text);
    struct policy *policy = NULL;
    kind = policy_parse(name, body, &policy, err);
    if (kind != KT_OK) {
        kt_context(err, "failed to parse policy");
        return kind;
    }
    kind = warn_wrong(req, policy, err);
    policy_unref(policy);
    if (kind != KT_OK)
        return kind;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing a policy");
    if (old_field)
        request_warn(req, "'rules' is deprecated, please use 'policy' instead");
    if (strcmp(name, request_param(req, "name")) != 0)
        request_warn(req, "policy name was converted to %s", name);
    kind = tell_changed(req, name, err);
    return kind == KT_OK ? policies_put(req->core, batch, name, body, err) : kind;
}

enum kt_kind sys_policy_delete(struct request *req, struct kt_err *err)
{
    const char *name = NULL;
    enum kt_kind kind = mutable_name(req, "delete", &name, err);
    if (kind != KT_OK)
        return kind;
    if (strcmp(name, "default") == 0)
        return kt_fail(err, KT_INVALID, "cannot delete default policy");
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "deleting a policy");
    kind = tell_changed(req, name, err);
    return kind == KT_OK ? policies_delete(req->core, batch, name, err) : kind;
}

/* ---- capabilities ---- */

#define PATHS_HERE 256u /* more are looked up where nobody waits for them */

static enum kt_kind read_paths(struct request *req, struct string_list *ret, struct kt_err *err)
{
    enum kt_kind kind = request_list(req, "paths", true, ret, err);
    if (kind == KT_NOT_FOUND)
        kind = request_list(req, "path", true, ret, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && ret->n == 0))
        return kt_fail(err, KT_INVALID, "paths must be supplied");
    for (size_t i = 0; kind == KT_OK && i < ret->n; i++)
        if (strlen(ret->at[i]) > PATH_MAX_BYTES)
            kind = kt_fail(err, KT_INVALID, "a path is longer than %u bytes", PATH_MAX_BYTES);
    return kind;
}

/* Two places of one list: the same text in the order of the places. */
static int by_text_and_place(const void *a, const void *b)
{
    const char *const *one = *(const char *const *const *)a, *const *other = *(const char *const *const *)b;
    int order = strcmp(*one, *other);
    return order != 0 ? order : (one > other) - (one < other);
}

/* For each path whether it stands in the list before: an answer has each once. NULL: no memory. */
static const bool *find_repeated(struct kt_arena *arena, const struct string_list *paths)
{
    bool *repeated = kt_arena_take(arena, paths->n * sizeof *repeated);
    const char ***sorted = kt_arena_take(arena, paths->n * sizeof *sorted);
    if (repeated == NULL || sorted == NULL)
        return NULL;
    for (size_t i = 0; i < paths->n; i++)
        sorted[i] = &paths->at[i];
    qsort(sorted, paths->n, sizeof *sorted, by_text_and_place);
    for (size_t i = 0; i < paths->n; i++)
        repeated[sorted[i] - paths->at] = i > 0 && strcmp(*sorted[i], *sorted[i - 1]) == 0;
    return repeated;
}

static enum kt_kind write_paths(struct request *req, const struct acl *acl, const struct string_list *paths,
                                struct kt_err *err)
{
    const bool *repeated = find_repeated(&req->arena, paths);
    if (repeated == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking up capabilities");
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    for (size_t i = 0; i < paths->n; i++) {
        if (repeated[i])
            continue;
        const char *path = paths->at[i][0] == '/' ? paths->at[i] + 1 : paths->at[i];
        struct mount_row row;
        enum kt_kind kind = mounts_row(req, OP_LIST, path, &row, err);
        if (kind != KT_OK)
            return kind;
        unsigned capabilities = acl_capabilities(acl, row.path, row.other, strlen(path));
        capability_list(&w, paths->at[i], capabilities);
        if (paths->n == 1)
            capability_list(&w, "capabilities", capabilities);
    }
    kt_jsonw_end(&w);
    return KT_OK;
}

static enum kt_kind answer(struct request *req, const struct token *token, struct kt_err *err)
{
    struct string_list paths = {0};
    enum kt_kind kind = read_paths(req, &paths, err);
    if (kind != KT_OK || (paths.n > PATHS_HERE && request_aside(req)))
        return kind;
    struct acl *acl = NULL;
    kind = policies_acl(req->core, req->snapshot, token, &acl, err);
    if (kind != KT_OK)
        return kind;
    kind = write_paths(req, acl, &paths, err);
    acl_unref(acl);
    return kind;
}

enum kt_kind sys_capabilities_self(struct request *req, struct kt_err *err)
{
    return answer(req, req->token, err);
}

enum kt_kind sys_capabilities(struct request *req, struct kt_err *err)
{
    const char *text = "";
    enum kt_kind kind = request_string(req, "token", &text, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    const struct token *token = NULL;
    kind = token_find(req->core, req->snapshot, kt_str(text), req->life_ms, &token, NULL);
    if (kind != KT_OK)
        return kt_fail(err, KT_INVALID, "invalid token");
    return answer(req, token, err);
}

enum kt_kind sys_capabilities_accessor(struct request *req, struct kt_err *err)
{
    const char *accessor = "";
    enum kt_kind kind = request_string(req, "accessor", &accessor, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    const struct token *token = NULL;
    kind = token_find_accessor(req->core, req->snapshot, accessor, req->life_ms, &token, err);
    return kind == KT_OK ? answer(req, token, err) : kind;
}
