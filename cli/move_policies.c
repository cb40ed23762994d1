/* cli/move_policies.c - see cli/move_policies.h. */
#include "cli/move_policies.h"

#include <stdio.h>

#include "cli/move_write.h"
#include "lib/cleanup.h"
#include "lib/jsonw.h"

#define POLICY_MAX ((size_t)2 * 1024 * 1024)

/* KT_NOT_FOUND: there is none. */
static enum kt_kind text_of(struct kt_api *api, const char *name, struct kt_buf *ret, struct kt_err *err)
{
    struct kt_json text = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    kt_buf_init(ret, POLICY_MAX);
    enum kt_kind kind = move_get(api, &reply, err, "sys/policies/acl/%s", name);
    if (kind != KT_OK)
        return kind;
    bool good = kt_json_member(reply.data, "policy", &text) && kt_json_string(text, ret);
    return good ? KT_OK : kt_fail(err, KT_CORRUPT, "the policy cannot be read");
}

/* Whether the text is one that can be written here; a vault without that request is not asked. */
static enum kt_kind would_be_taken(struct move_run *run, struct kt_bytes body, struct kt_err *err)
{
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    enum kt_kind kind = move_post(run->destination, body, &reply, err, "sys/policies/lint");
    if (kind != KT_NOT_FOUND && kind != KT_DENIED && kind != KT_METHOD)
        return kind;
    *err = (struct kt_err){0};
    return KT_OK;
}

static enum kt_kind write_policy(struct move_run *run, const char *name, struct kt_bytes text, struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, 8 * POLICY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "policy");
    kt_jsonw_bytes(&w, text);
    kt_jsonw_end(&w);
    enum kt_kind kind = run->dry && !run->plain ? would_be_taken(run, kt_buf_bytes(&body), err) : KT_OK;
    if (kind != KT_OK)
        return kind;
    return move_write(run, run->destination, MOVE_AGAIN, kt_buf_bytes(&body), err, "sys/policies/acl/%s", name);
}

static enum kt_kind copy(struct move_run *run, const char *name, bool *ret_wrote, struct kt_err *err)
{
    kt_autobuf struct kt_buf source = {0};
    kt_autobuf struct kt_buf here = {0};
    enum kt_kind kind = text_of(run->source, name, &source, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind == KT_OK)
        kind = text_of(run->destination, name, &here, err);
    if (kind == KT_OK && kt_bytes_equal(kt_buf_bytes(&source), kt_buf_bytes(&here)))
        return KT_OK;
    if (kind == KT_OK && !run->replace) {
        (void)kt_fail(err, KT_CONFLICT, "another policy of that name is there already");
        kt_hint(err, "-replace writes over it");
        return KT_CONFLICT;
    }
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    *ret_wrote = true;
    return write_policy(run, name, kt_buf_bytes(&source), err);
}

static enum kt_kind compare(struct move_run *run, const char *name, bool *ret_equal, struct kt_err *err)
{
    kt_autobuf struct kt_buf source = {0};
    kt_autobuf struct kt_buf here = {0};
    enum kt_kind kind = text_of(run->source, name, &source, err);
    if (kind == KT_OK)
        kind = text_of(run->destination, name, &here, err);
    *ret_equal = kind == KT_OK && kt_bytes_equal(kt_buf_bytes(&source), kt_buf_bytes(&here));
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

static void one(struct move_run *run, const char *name, enum move_pass pass)
{
    struct kt_err err = {0};
    char what[600];
    bool wrote = false, equal = false;
    (void)snprintf(what, sizeof what, "the policy %.500s", name);
    if (pass == MOVE_COMPARE) {
        enum kt_kind kind = compare(run, name, &equal, &err);
        move_add(run, equal ? MOVE_COMPARED : MOVE_DIFFERENT, 1);
        if (kind != KT_OK)
            move_refused(run, what, &err);
        else if (!equal)
            move_tell(run, "different %s", what);
        return;
    }
    if (copy(run, name, &wrote, &err) != KT_OK)
        move_refused(run, what, &err);
    else
        move_add(run, wrote ? MOVE_TAKEN : MOVE_SAME, 1);
}

void move_policies(struct move_run *run, enum move_pass pass)
{
    static const char *const own[] = {"root", "default", "response-wrapping"};
    KT_AUTO(names_free) struct names names = {0};
    if (!move_names(run, "the policies", "sys/policies/acl", pass, &names))
        return;
    for (size_t i = 0; i < names.count && !move_stopped(run); i++) {
        bool is_own = false;
        for (size_t k = 0; k < sizeof own / sizeof own[0]; k++)
            is_own = is_own || strcmp(names.at[i], own[k]) == 0;
        if (!is_own)
            one(run, names.at[i], pass);
    }
}
