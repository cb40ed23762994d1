#include <stdio.h>

#include "lib/log.h"
#include "vaultd/auth/token.h"
#include "vaultd/core/private.h"
#include "vaultd/identity/identity.h"

/* What the audit log is told of a request. */

/* Of the public status paths only looking is free: who writes to them is recorded. */
static bool recorded(const struct request *req)
{
    if (!req->own->entered || req->core->audit == NULL)
        return false;
    bool looks = (req->op & (OP_READ | OP_HEAD | OP_HELP)) != 0;
    return req->route == NULL || (req->route->flags & ROUTE_NO_AUDIT) == 0 || !looks;
}

_Static_assert(REQUEST_SOURCE == REFUSALS_SOURCE, "a source");

void request_source(const struct request *req, char out[REFUSALS_SOURCE])
{
    if (req->origin == ORIGIN_UNIX)
        (void)snprintf(out, REFUSALS_SOURCE, "uid %u", req->peer_uid);
    else
        refusals_source(req->remote_address, out);
}

#define ANONYMOUS_DATA 512u /* of the data of those who did not authenticate; more is one HMAC */
#define STRING_GROWS   8u   /* a short string's HMAC is so many times as long */

/* Nothing was done and nothing was told, not even that something is not there. */
static bool refusal(enum kt_kind kind)
{
    return kind == KT_DENIED || kind == KT_INVALID || kind == KT_METHOD || kind == KT_TOO_LARGE ||
           kind == KT_MEDIA_TYPE;
}

/* Records of refusals are rationed: without a token nobody is accountable; with one, each is told
 * within the token's own limit. */
static bool rationed(struct request *req, const struct audit_event *event, enum kt_kind kind)
{
    char source[REFUSALS_SOURCE];
    bool granted = req->own->authenticated || req->own->owner || req->own->attempt_recorded;
    if (req->origin == ORIGIN_INTERNAL || (granted && !refusal(kind)))
        return false;
    bool whole = event->data_max == 0 || event->request_data.len <= event->data_max;
    size_t bytes = req->path_len + (whole ? event->request_data.len * STRING_GROWS : 0);
    int64_t now_ms = kt_mono_ms(req->core->clock);
    if (req->own->authenticated && req->token != NULL)
        return !refusals_admit(req->core->own->token_refusals, req->token->accessor, bytes, now_ms);
    if (req->own->authenticated)
        return false;
    request_source(req, source);
    return !refusals_admit(req->core->own->refusals, source, bytes, now_ms);
}

static const struct audit_auth *describe_auth(const struct request *req, struct audit_auth *auth)
{
    if (req->origin == ORIGIN_INTERNAL) {
        *auth = (struct audit_auth){.display_name = "keyturn", .accessor = "", .entity_id = ""};
        return auth;
    }
    const struct token *token = req->token;
    if (req->own->owner) {
        *auth = (struct audit_auth){.display_name = req->own->owner_name, .entity_id = ""};
        return auth;
    }
    if (token == NULL && req->token_text.len == 0)
        return NULL;
    *auth = (struct audit_auth){.token = req->token_text};
    if (token != NULL) {
        auth->accessor = token->accessor;
        auth->display_name = token->display_name;
        auth->entity_id = token->entity_id;
        auth->policies = token->policies;
        auth->n_policies = token->n_policies;
        auth->meta = token->meta;
        auth->expires_ms = request_wall_time(req, token->expires_ms);
        memcpy(auth->hash, token->hash, sizeof auth->hash);
        auth->changed = token->changed;
    }
    if (token != NULL && req->identity != NULL) {
        auth->identity_policies = req->identity->policies;
        auth->n_identity_policies = req->identity->n_policies;
        auth->identity_at = req->identity->at;
    }
    return auth;
}

static const struct audit_ruling *describe_ruling(const struct request *req,
                                                  struct audit_ruling *ruling)
{
    const struct request_private *own = req->own;
    if (!own->ruled)
        return NULL;
    *ruling = (struct audit_ruling){.allowed = own->ruling.allowed,
                                    .pattern = own->ruling.pattern,
                                    .why = own->ruling.why};
    ruling->n_names = acl_deciders(&own->ruling, own->ruled_op, ruling->names, AUDIT_DECIDERS_MAX);
    return ruling;
}

/* Now is when the pass began; a commit, or the desk's work, takes its time. */
static bool in_pass(const struct request *req)
{
    return req->own->stage == STAGE_PASS && req->now_ms != 0;
}

static struct audit_keys clear_keys(const struct mount *mount, enum mount_list list)
{
    return (struct audit_keys){mount->lists[list].at, mount->lists[list].n};
}

/* What the event borrows. */
struct described {
    struct audit_auth auth;
    struct audit_ruling ruling;
};

static void describe(const struct request *req, struct described *at, struct audit_event *event)
{
    *event = (struct audit_event){
        .type = "response",
        .request_id = req->id,
        .time_ms = in_pass(req) ? req->now_ms : kt_wall_ms(req->core->clock),
        .operation = operation_name(req->op),
        .path = req->path,
        .destination = req->destination,
        .report = req->report,
        .mount_point = req->mount == NULL ? NULL : req->mount->path,
        .mount_type = req->mount == NULL ? NULL : req->mount->type,
        .remote_address = req->remote_address[0] == '\0' ? NULL : req->remote_address,
        .remote_port = req->remote_port,
        .auth = describe_auth(req, &at->auth),
        .ruling = describe_ruling(req, &at->ruling),
        .wrap_ttl_s = req->wrap_ttl_s > 0 ? req->wrap_ttl_s : 0,
    };
    event->approval = approve_carried(req, &event->approved_by);
    if (req->told != NULL)
        event->clear_request = (struct audit_keys){req->told->at, req->told->n};
    else if (req->mount != NULL)
        event->clear_request = clear_keys(req->mount, MOUNT_CLEAR_REQUEST);
    if (req->mount != NULL)
        event->clear_response = clear_keys(req->mount, MOUNT_CLEAR_RESPONSE);
    if (req->has_data)
        event->request_data = kt_json_bytes(req->data);
    bool known = req->own->authenticated || req->own->owner || req->origin == ORIGIN_INTERNAL;
    event->data_max = known ? 0 : ANONYMOUS_DATA;
}

static unsigned expected_status(const struct request *req, enum kt_kind kind)
{
    const struct reply *reply = &req->reply;
    if (reply->status != 0)
        return reply->status;
    if (kind != KT_OK)
        return kt_kind_http(kind);
    if (reply->form != REPLY_ENVELOPE)
        return 200;
    return render_nothing(reply) ? (req->op == OP_LIST ? 404 : 204) : 200;
}

enum kt_kind record_attempt(struct request *req, struct kt_err *err)
{
    if (!recorded(req))
        return KT_OK;
    struct described described;
    struct audit_event event;
    describe(req, &described, &event);
    event.type = "request";
    return audit_append(req->core->audit, &event, err);
}

enum kt_kind record_result(struct request *req, enum kt_kind kind, const struct kt_err *err_of,
                           struct kt_err *err)
{
    /* The vault's own look that found nothing to do is no event. */
    if (!recorded(req) || (req->origin == ORIGIN_INTERNAL && kind == KT_OK))
        return KT_OK;
    struct described described;
    struct audit_event event;
    describe(req, &described, &event);
    if (rationed(req, &event, kind))
        return KT_OK;
    event.status = expected_status(req, kind);
    if (kind != KT_OK)
        event.error = err_of->what[0] != '\0' ? err_of->what : kt_kind_text(kind);
    if (kind == KT_OK && req->reply.form == REPLY_ENVELOPE && req->reply.data.len > 0) {
        event.response_data = kt_buf_bytes(&req->reply.data);
        event.response_key = req->reply.key;
    }
    event.wrapped = req->reply.secret_token;
    return audit_append(req->core->audit, &event, err);
}

enum kt_kind record_outcome(struct request *req, struct kt_err *err)
{
    struct described described;
    struct audit_event event;
    describe(req, &described, &event);
    event.request_data = kt_bytes(NULL, 0);
    event.status = expected_status(req, req->own->outcome_kind);
    if (req->own->outcome_kind != KT_OK)
        event.error = req->own->err.what;
    event.wrapped = req->reply.secret_token;
    event.wrap = req->own->outcome_kind == KT_OK ? req->reply.wrap : NULL;
    return audit_outcome_seal(req->core->audit, &event, &req->own->outcome, err);
}

static enum kt_kind record_count(struct core *core, const struct refusal_count *counted,
                                 bool of_token, struct kt_err *err)
{
    char data[96], error[96];
    (void)snprintf(data, sizeof data, "{\"refused\":%llu,\"milliseconds\":%lld,\"shared\":%s}",
                   (unsigned long long)counted->refused,
                   (long long)(counted->until_ms - counted->since_ms),
                   counted->shared ? "true" : "false");
    (void)snprintf(error, sizeof error, "%llu more requests %s were refused",
                   (unsigned long long)counted->refused,
                   of_token ? "with this token" : "without a token");
    const struct audit_auth auth = {.accessor = counted->source};
    const struct audit_event event = {.type = "response",
                                      .request_id = "",
                                      .time_ms = kt_wall_ms(core->clock),
                                      .operation = "refused",
                                      .path = "",
                                      .auth = of_token ? &auth : NULL,
                                      .remote_address = of_token ? NULL : counted->source,
                                      .response_data = kt_str(data),
                                      .error = error};
    return audit_append(core->audit, &event, err);
}

void record_counts(struct core *core, bool all)
{
    struct refusals *const both[] = {core->own->refusals, core->own->token_refusals};
    struct refusal_count counted;
    for (size_t i = 0; i < 2; i++)
        while (refusals_take(both[i], kt_mono_ms(core->clock), all, &counted)) {
            struct kt_err err = {0};
            if (record_count(core, &counted, i == 1, &err) == KT_OK)
                continue;
            refusals_give_back(both[i], &counted);
            kt_log_err(KT_LOG_WARNING, "refusals-not-recorded", &err);
            return;
        }
}
