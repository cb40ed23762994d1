#include <stdlib.h>

#include "vaultd/core/mounts.h"
#include "vaultd/engine/sys_approvals.h"

enum kt_kind approval_named(struct request *req, struct approval *ret, struct kt_err *err)
{
    enum kt_kind kind = approval_find(req, request_param(req, "id"), ret, err);
    if (kind != KT_NOT_FOUND)
        return kind;
    (void)kt_fail(err, KT_NOT_FOUND, "no request with this id waits for approval");
    kt_hint(err, "secretctl approvals list");
    return KT_NOT_FOUND;
}

enum kt_kind approval_still_waits(const struct request *req, const struct approval *approval, struct kt_err *err)
{
    if (approval_waits(approval, req->now_ms))
        return KT_OK;
    if (approval->state == APPROVAL_DENIED)
        (void)kt_fail(err, KT_GONE, "it was denied by %s: %s", approval->ended_by, approval->why);
    else
        (void)kt_fail(err, KT_GONE, "it does not wait for approval any more: %s",
                      approval_state_text(approval, req->now_ms));
    kt_hint(err, "who wants it still, asks anew");
    return KT_GONE;
}

/* ---- what was sent ---- */

static void write_hashed(struct request *req, struct kt_jsonw *w, struct kt_bytes text)
{
    char hash[AUDIT_HMAC_TEXT];
    audit_hmac(req->core->audit, text, hash);
    kt_jsonw_text(w, hash);
}

/* What proves who somebody is, or opens something: no read ever gives it back, so no right to read shows it. */
static bool is_credential(const struct mount *mount, const char *key)
{
    static const char *const keys[] = {"admin_password", "jwt",       "key",       "oidc_client_secret", "otp",
                                       "password",       "responses", "secret_id", "token"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return strcmp(mount->type, "token") == 0 && strcmp(key, "id") == 0;
}

/* Whether a read at the row's path gives back all that was written there. */
static bool reads_back(const struct mount_row *row)
{
    return row->route != NULL && strcmp(row->mount->type, "kv") == 0 && row->route->read != NULL;
}

/* Elsewhere only what the row says it takes, and of a secret's rows nothing that may hold its values. */
static bool is_plain(const struct mount_row *row, const char *key)
{
    if (reads_back(row))
        return true;
    const struct field *field = row->route == NULL ? NULL : row->route->fields;
    while (field != NULL && field->name != NULL && strcmp(field->name, key) != 0)
        field++;
    if (field == NULL || field->name == NULL || is_credential(row->mount, key))
        return false;
    return strcmp(row->mount->type, "kv") != 0 || (field->type != FIELD_ANY && field->type != FIELD_MAP);
}

/* A string is hashed as the audit log does it, anything else by its text. */
static void write_value(struct request *req, struct kt_jsonw *w, struct kt_json value, bool shown)
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, APPROVAL_SENT_MAX + 1);
    if (shown)
        kt_jsonw_raw(w, kt_json_bytes(value));
    else if (kt_json_string(value, &text))
        write_hashed(req, w, kt_buf_bytes(&text));
    else
        write_hashed(req, w, kt_json_bytes(value));
}

static void write_sent(struct request *req, struct kt_jsonw *w, const struct approval_sent *sent,
                       const struct mount_row *row, bool shown)
{
    kt_jsonw_kv_bool(w, "values_shown", shown);
    kt_jsonw_key(w, "fields");
    kt_jsonw_object(w);
    struct kt_json body = kt_json_value(sent->body);
    struct kt_json_iter it = kt_json_iter(body);
    while (kt_json_type(body) == KT_JSON_OBJECT && kt_json_next(&it)) {
        const char *key = kt_json_text(it.key, &req->arena);
        kt_jsonw_key(w, key == NULL ? "" : key);
        write_value(req, w, it.value, shown && key != NULL && is_plain(row, key));
    }
    kt_jsonw_end(w);
    if (sent->query.len == 0)
        return;
    kt_jsonw_key(w, "query");
    if (shown && reads_back(row))
        kt_jsonw_bytes(w, sent->query);
    else
        write_hashed(req, w, sent->query);
}

/* ---- how it stands ---- */

static enum kt_kind write_rules(struct request *req, struct kt_jsonw *w, const struct approval *approval,
                                const struct approval_rules *rules, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    kt_jsonw_key(w, "rules");
    kt_jsonw_array(w);
    for (size_t i = 0; kind == KT_OK && i < approval->rules.n; i++) {
        const struct approval_rule *rule = approval_rules_find(rules, approval->rules.at[i]);
        unsigned have = 0;
        if (rule == NULL)
            continue;
        /* What is done may want more of them than the rule itself, or fewer. */
        unsigned needed = approval->needed == NULL || approval->needed[i] == 0 ? rule->needed : approval->needed[i];
        kind = approval_count(req, rule, approval, &have, err);
        kt_jsonw_object(w);
        kt_jsonw_kv_int(w, "approved", have);
        kt_jsonw_kv_text(w, "group_id", rule->group);
        kt_jsonw_kv_text(w, "name", rule->name);
        kt_jsonw_kv_int(w, "needed", needed);
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
    return kind;
}

static void write_approvers(struct kt_jsonw *w, const struct approval *approval)
{
    kt_jsonw_key(w, "approvals");
    kt_jsonw_array(w);
    for (size_t i = 0; i < approval->n_approvers; i++) {
        kt_jsonw_object(w);
        kt_jsonw_kv_text(w, "entity_id", approval->approvers[i].entity_id);
        kt_jsonw_kv_text(w, "name", approval->approvers[i].name);
        kt_jsonw_kv_time(w, "time", approval->approvers[i].at_ms);
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
}

static void write_head(struct request *req, struct kt_jsonw *w, const struct approval *approval)
{
    kt_jsonw_key(w, "asked_by");
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "entity_id", approval->entity_id);
    kt_jsonw_kv_text(w, "name", approval->name);
    kt_jsonw_end(w);
    kt_jsonw_kv_time(w, "created_time", approval->created_ms);
    kt_jsonw_kv_time(w, "expires_at", approval->expires_ms);
    kt_jsonw_kv_text(w, "id", approval->id);
    kt_jsonw_kv_text(w, "operation", operation_name(approval->op));
    kt_jsonw_kv_text(w, "path", approval->path);
    kt_jsonw_kv_text(w, "reason", approval->reason);
    kt_jsonw_kv_text(w, "about", approval->about);
    kt_jsonw_kv_text(w, "state", approval_state_text(approval, req->now_ms));
}

enum kt_kind approval_show(struct request *req, const struct approval *approval, const struct approval_sent *sent,
                           bool shown, struct kt_err *err)
{
    struct approval_rules rules;
    struct mount_row row = {0};
    enum kt_kind kind = approval_rules_load(req, &rules, err);
    if (kind == KT_OK)
        kind = mounts_row(req, approval->op, approval->path, &row, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    write_head(req, &w, approval);
    write_approvers(&w, approval);
    kind = write_rules(req, &w, approval, &rules, err);
    kt_jsonw_kv_bool(&w, "break_glass", approval->break_glass);
    kt_jsonw_kv_text(&w, "ended_by", approval->ended_by);
    kt_jsonw_kv_time(&w, "ended_time", approval->ended_ms);
    kt_jsonw_kv_text(&w, "why", approval->why);
    if (sent != NULL)
        write_sent(req, &w, sent, &row, shown);
    kt_jsonw_end(&w);
    return kind;
}

/* ---- lists ---- */

/* The newest first. */
static int by_time(const void *a, const void *b)
{
    const struct approval *left = a, *right = b;
    if (left->created_ms != right->created_ms)
        return left->created_ms < right->created_ms ? 1 : -1;
    return strcmp(left->id, right->id);
}

static enum kt_kind choose(struct request *req, struct approval_list *all, approval_wanted_fn *wanted,
                           struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    size_t n = 0;
    for (size_t i = 0; kind == KT_OK && i < all->n; i++) {
        bool wants = false;
        kind = wanted(req, &all->at[i], &wants, err);
        if (wants)
            all->at[n++] = all->at[i];
    }
    all->n = n;
    if (n > 0)
        qsort(all->at, n, sizeof *all->at, by_time);
    return kind;
}

enum kt_kind approvals_show(struct request *req, approval_wanted_fn *wanted, struct kt_err *err)
{
    struct approval_list all;
    enum kt_kind kind = approvals_all(req, &all, err);
    if (kind == KT_OK && all.damaged > 0)
        request_warn(req, "%u more cannot be read: what they asked for was not done", all.damaged);
    if (kind == KT_OK)
        kind = choose(req, &all, wanted, err);
    if (kind == KT_OK && all.n == 0 && all.damaged == 0)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "key_info");
    kt_jsonw_object(&w);
    for (size_t i = 0; i < all.n; i++) {
        kt_jsonw_key(&w, all.at[i].id);
        kt_jsonw_object(&w);
        write_head(req, &w, &all.at[i]);
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    kt_jsonw_key(&w, "keys");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < all.n; i++)
        kt_jsonw_text(&w, all.at[i].id);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return KT_OK;
}
