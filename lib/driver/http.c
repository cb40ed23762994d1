#include "lib/driver/http.h"

#include "lib/driver/http_call.h"
#include "lib/driver/probe.h"
#include "lib/json_pointer.h"

#define KEYS_MAX 1000u

static bool lacks(const char *text)
{
    return text == NULL || text[0] == '\0';
}

bool kt_http_driver_prepare(struct driver_run *run, struct driver_result *ret)
{
    const struct driver_step *step = run->step;
    bool sets = step->op == DRIVER_APPLY || step->op == DRIVER_RESTORE;
    const char *what = NULL;
    if (lacks(step->target.host) || step->target.port == 0)
        what = "the target's host or port";
    else if (step->op != DRIVER_VERIFY && step->logins[DRIVER_ADMIN].username == NULL)
        what = "the administrative login";
    else if (step->op == DRIVER_VERIFY && step->logins[DRIVER_NEW].username == NULL)
        what = "the login to verify";
    else if (step->op != DRIVER_VERIFY && step->op != DRIVER_PROBE && lacks(step->account))
        what = "the account";
    else if (sets && lacks(step->run))
        what = "the run";
    if (what != NULL)
        return kt_driver_say(run, ret, DRIVER_PERMANENT, "step", "the step lacks %s", what);
    run->own = kt_http_call_open(run, ret);
    return run->own != NULL;
}

/* ---- the administrative credential --------------------------------------------------------------- */

static bool same_server(const struct http_call *call, struct kt_json answer, struct driver_result *ret)
{
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    const struct driver_run *run = call->run;
    const char *pointer = call->api.requests[HTTP_ADMIN].server_at, *known = run->step->target.server_id;
    const char *id = kt_http_text(call, answer, pointer);
    if (pointer == NULL)
        return true;
    if (lacks(id) || strlen(id) >= DRIVER_NAME_MAX || id[strspn(id, word)] != '\0')
        return kt_driver_say(run, ret, DRIVER_UNREACH, "answer",
                             "\"admin\" has no identifier of letters and digits where \"server_id\" points");
    kt_driver_evidence(run, id, ret->server_id, sizeof ret->server_id);
    return lacks(known) || strcmp(known, ret->server_id) == 0 ||
           kt_driver_say(run, ret, DRIVER_WRONG_SERVER, "server",
                         "this is another API or account than before: it says it is %s, not %s", ret->server_id,
                         known);
}

static bool ask_admin(struct http_call *call, struct driver_result *ret)
{
    struct http_said said = kt_http_call(call, HTTP_ADMIN, DRIVER_LOGIN_COUNT, "", ret);
    if (said.meaning == HTTP_REFUSED)
        return kt_driver_say(call->run, ret, DRIVER_REFUSED, "login", "the administrative credential was refused");
    return said.meaning == HTTP_OK && same_server(call, said.answer, ret);
}

/* ---- keys in a list ------------------------------------------------------------------------------ */

struct keys {
    const char *ids[KEYS_MAX]; /* "": deleted since */
    bool ours[KEYS_MAX]; /* of this run, by its tag */
    size_t n;
};

static bool take_key(const struct http_call *call, struct kt_json item, const char *tag, struct keys *keys,
                     struct driver_result *ret)
{
    const struct http_request *q = &call->api.requests[HTTP_LIST];
    const char *id = kt_http_text(call, item, q->id_at), *of = kt_http_text(call, item, q->tag_at);
    if (lacks(id) || keys->n == KEYS_MAX)
        return kt_driver_say(call->run, ret, DRIVER_PERMANENT, "answer",
                             keys->n == KEYS_MAX ? "the list has more than %u keys"
                                                 : "a key in the list has no id at the place that \"list\" names",
                             KEYS_MAX);
    keys->ids[keys->n] = id;
    keys->ours[keys->n++] = of != NULL && strcmp(of, tag) == 0;
    return true;
}

/* The rest of a list could hold what is looked for. */
static bool is_whole(const struct http_call *call, struct kt_json answer)
{
    const char *more_at = call->api.requests[HTTP_LIST].more_at;
    struct kt_json more;
    if (more_at == NULL || !kt_json_pointer(answer, more_at, &more))
        return true;
    bool flag = false;
    if (kt_json_bool(more, &flag))
        return !flag;
    return kt_json_type(more) == KT_JSON_NULL || kt_json_is(more, "");
}

static const char *tag_of(const struct http_call *call)
{
    struct template_values values;
    char attempt[16];
    kt_autobuf struct kt_buf tag;
    kt_buf_init(&tag, 4096);
    kt_http_values(call->run->step, DRIVER_LOGIN_COUNT, "", attempt, &values);
    kt_template_fill(call->api.requests[HTTP_LIST].tag, &values, &tag);
    return kt_buf_ok(&tag) ? kt_arena_text(call->run->arena, kt_buf_bytes(&tag)) : NULL;
}

static bool list_keys(struct http_call *call, struct keys *keys, struct driver_result *ret)
{
    const char *tag = tag_of(call);
    struct kt_json items;
    keys->n = 0;
    if (tag == NULL)
        return kt_driver_say(call->run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
    struct http_said said = kt_http_call(call, HTTP_LIST, DRIVER_LOGIN_COUNT, "", ret);
    if (said.meaning != HTTP_OK)
        return false;
    if (!kt_json_pointer(said.answer, call->api.requests[HTTP_LIST].items_at, &items) ||
        kt_json_type(items) != KT_JSON_ARRAY)
        return kt_driver_say(call->run, ret, DRIVER_UNREACH, "answer", "\"list\" has no list where \"items\" points");
    if (!is_whole(call, said.answer))
        return kt_driver_say(call->run, ret, DRIVER_PERMANENT, "answer",
                             "the list goes on on another page: let \"list\" ask for all keys of one account at once");
    struct kt_json_iter it = kt_json_iter(items);
    while (kt_json_next(&it))
        if (!take_key(call, it.value, tag, keys, ret))
            return false;
    return true;
}

static bool delete_key(struct http_call *call, const char *id, struct driver_result *ret)
{
    return kt_http_call(call, HTTP_DELETE, DRIVER_LOGIN_COUNT, id, ret).meaning == HTTP_OK;
}

/* What this run made and whose answer nobody has; what is kept is not touched. Nor is, where another one is to be
 * made, the one that is stored: until that is stored in turn, services have no other, and it may have been refused for
 * a moment only. What became of it is an orphan when something is revoked. */
static bool delete_orphans(struct http_call *call, struct keys *keys, struct driver_result *ret)
{
    const struct driver_step *step = call->run->step;
    const char *stored = step->op == DRIVER_APPLY && step->ids[DRIVER_NEW] != NULL ? step->ids[DRIVER_NEW] : "";
    unsigned deleted = 0;
    if (!list_keys(call, keys, ret))
        return false;
    for (size_t i = 0; i < keys->n; i++) {
        if (!keys->ours[i] || kt_bytes_is(step->keep_part, keys->ids[i]) || strcmp(stored, keys->ids[i]) == 0)
            continue;
        if (!delete_key(call, keys->ids[i], ret))
            return false;
        keys->ids[i] = "";
        deleted++;
    }
    if (deleted > 0)
        kt_driver_finding(call->run, ret, "keys of this run whose answers were lost, deleted: %u", deleted);
    return true;
}

/* ---- setting ------------------------------------------------------------------------------------- */

/* It was there before it was asked for: an API that gives what it has, or a pointer to something else. Taken for the
 * new one it would end the old one later, or somebody else's. */
static bool is_known(const struct driver_step *step, const struct keys *keys, const char *id)
{
    bool known = kt_bytes_is(step->keep_part, id);
    for (size_t who = 0; who < DRIVER_LOGIN_COUNT; who++)
        known = known || (step->ids[who] != NULL && strcmp(step->ids[who], id) == 0);
    for (size_t i = 0; i < keys->n; i++)
        known = known || strcmp(keys->ids[i], id) == 0;
    return known;
}

/* Nothing of such an answer is quoted: the value is in it. */
static bool take_made(const struct http_call *call, const struct keys *keys, struct kt_json answer,
                      struct driver_result *ret)
{
    const struct http_request *q = &call->api.requests[HTTP_CREATE];
    const char *value = kt_http_text(call, answer, q->value_at);
    const char *id = call->api.lists ? kt_http_text(call, answer, q->id_at) : "";
    if (answer.at == NULL)
        return kt_driver_say(call->run, ret, DRIVER_UNREACH, "answer",
                             "\"create\" was answered with what is no JSON, or only half of it");
    bool usable = !lacks(value) && strlen(value) < DRIVER_PASSWORD_MAX && id != NULL && strlen(id) < DRIVER_NAME_MAX;
    for (const char *c = value; usable && *c != '\0'; c++)
        usable = *c > ' ' && *c <= '~';
    for (const char *c = id; usable && *c != '\0'; c++)
        usable = *c > ' ' && *c <= '~';
    if (!usable || (call->api.lists && id[0] == '\0'))
        return kt_driver_say(call->run, ret, DRIVER_PERMANENT, "answer",
                             "the answer to \"create\" has no value of at most %u printable characters, or no id, "
                             "where the declaration says",
                             DRIVER_PASSWORD_MAX - 1);
    if (call->api.lists && is_known(call->run->step, keys, id))
        return kt_driver_say(call->run, ret, DRIVER_PERMANENT, "answer",
                             "\"create\" was answered with the id of a key that was there before: it makes none, or "
                             "\"id\" points elsewhere");
    ret->made = kt_str(value);
    ret->made_id = kt_str(id);
    return kt_driver_say(call->run, ret, DRIVER_OK, "", "the API made a new key");
}

/* Who makes the value stands fast while a run is under way; the declaration of the moment may say otherwise. */
static bool is_of_this_kind(const struct http_call *call, struct driver_result *ret)
{
    bool brought = call->run->step->logins[DRIVER_NEW].password.len > 0;
    if (brought != call->api.makes)
        return true;
    return kt_driver_say(call->run, ret, DRIVER_PERMANENT, "step",
                         brought ? "the vault made a value, and the declaration says that the API makes it"
                                 : "there is no value to set: the run began when the API made its values itself");
}

static void set(struct http_call *call, struct driver_result *ret)
{
    if (is_of_this_kind(call, ret))
        (void)kt_http_call(call, HTTP_SET, DRIVER_NEW, "", ret);
}

static void apply(struct http_call *call, struct keys *keys, struct driver_result *ret)
{
    if (!call->api.makes) {
        set(call, ret);
        return;
    }
    if (!is_of_this_kind(call, ret) || (call->api.lists && !delete_orphans(call, keys, ret)))
        return;
    struct http_said said = kt_http_call(call, HTTP_CREATE, DRIVER_LOGIN_COUNT, "", ret);
    if (said.meaning == HTTP_OK)
        (void)take_made(call, keys, said.answer, ret);
}

static void restore(struct http_call *call, struct driver_result *ret)
{
    if (call->api.makes)
        (void)kt_driver_say(call->run, ret, DRIVER_PERMANENT, "step",
                            "this API makes its values itself: a stored one cannot be set again, only a new one made");
    else
        set(call, ret);
}

static void revoke(struct http_call *call, struct keys *keys, struct driver_result *ret)
{
    const struct driver_step *step = call->run->step;
    if (!call->api.requests[HTTP_DELETE].declared) {
        (void)kt_driver_say(call->run, ret, DRIVER_PERMANENT, "step", "the declaration has no \"delete\"");
        return;
    }
    if (!call->api.lists) {
        (void)delete_key(call, "", ret);
        return;
    }
    if (step->public_part.len > 0 && kt_bytes_equal(step->public_part, step->keep_part)) {
        (void)kt_driver_say(call->run, ret, DRIVER_PERMANENT, "step", "the key to end is the one that stays");
        return;
    }
    /* First what is meant: an id that the vault knows is deleted whatever the list says. */
    if (step->public_part.len > 0) {
        const char *id = kt_arena_text(call->run->arena, step->public_part);
        if (id == NULL || !delete_key(call, id, ret))
            return;
    }
    if (delete_orphans(call, keys, ret))
        (void)kt_driver_say(call->run, ret, DRIVER_OK, "", "the key is deleted");
}

/* ---- looking ------------------------------------------------------------------------------------- */

static void inspect(struct http_call *call, struct keys *keys, struct driver_result *ret)
{
    struct kt_bytes known = call->run->step->keep_part;
    bool found = false;
    unsigned others = 0;
    if (!ask_admin(call, ret) || !call->api.lists || !list_keys(call, keys, ret))
        return;
    for (size_t i = 0; i < keys->n; i++) {
        bool is_known = known.len > 0 && kt_bytes_is(known, keys->ids[i]);
        found = found || is_known;
        others += !is_known;
    }
    if (others > 0)
        kt_driver_finding(call->run, ret, "the account has keys besides the vault's current one: %u; they stay as they are",
                          others);
    if (known.len > 0 && !found)
        kt_driver_finding(call->run, ret, "the current key's id is not in the list");
    (void)kt_driver_say(call->run, ret, DRIVER_OK, "", "the account has %zu keys", keys->n);
}

static void verify(struct http_call *call, struct driver_result *ret)
{
    struct http_said said = kt_http_call(call, HTTP_TEST, DRIVER_NEW, "", ret);
    if (said.meaning == HTTP_REFUSED)
        (void)kt_driver_say(call->run, ret, DRIVER_REFUSED, "login", "the new value was refused");
    else if (said.meaning != HTTP_OK && ret->class != DRIVER_UNREACH)
        ret->class = DRIVER_UNREACH;
}

static enum driver_answer answer_of(enum http_meaning meaning)
{
    return meaning == HTTP_OK ? ANSWER_ACCEPTED : meaning == HTTP_REFUSED ? ANSWER_REFUSED : ANSWER_UNKNOWN;
}

struct trial {
    struct http_call *call;
    struct driver_result *ret;
};

static bool try_admin(const struct trial *t, struct driver_reply *reply)
{
    struct driver_result *ret = t->ret;
    bool in = ask_admin(t->call, ret);
    reply->answer = in || ret->class == DRIVER_WRONG_SERVER ? ANSWER_ACCEPTED
                    : ret->class == DRIVER_REFUSED          ? ANSWER_REFUSED
                                                            : ANSWER_UNKNOWN;
    memcpy(reply->code, ret->code, sizeof reply->code);
    if (ret->class == DRIVER_PERMANENT)
        return kt_driver_say(t->call->run, ret, DRIVER_REFUSED, "login",
                             "the administrative credential is known, and may not do what \"admin\" asks");
    return in;
}

static bool try_login(void *own, enum driver_who who, struct driver_reply *reply)
{
    const struct trial *t = own;
    if (who == DRIVER_ADMIN)
        return try_admin(t, reply);
    reply->answer = answer_of(kt_http_call(t->call, HTTP_TEST, who, "", t->ret).meaning);
    memcpy(reply->code, t->ret->code, sizeof reply->code);
    return true;
}

static void probe(struct http_call *call, struct driver_result *ret)
{
    struct trial trial = {call, ret};
    const struct driver_prober prober = {try_login, &trial, "the declared \"test\" proves nothing"};
    kt_driver_probe(call->run, &prober, ret);
}

static void carry_out(const struct driver_run *run, struct driver_result *ret)
{
    struct http_call *call = run->own;
    struct keys *keys = kt_arena_take(run->arena, sizeof *keys);
    if (keys == NULL) {
        (void)kt_driver_say(run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
        return;
    }
    switch (run->step->op) {
    case DRIVER_INSPECT:
        inspect(call, keys, ret);
        break;
    case DRIVER_CREATE:
        (void)kt_driver_say(run, ret, DRIVER_PERMANENT, "step",
                            "an API's accounts are made by hand: only their keys are declared");
        break;
    case DRIVER_APPLY:
        apply(call, keys, ret);
        break;
    case DRIVER_RESTORE:
        restore(call, ret);
        break;
    case DRIVER_VERIFY:
        verify(call, ret);
        break;
    case DRIVER_PROBE:
        probe(call, ret);
        break;
    case DRIVER_REVOKE:
        revoke(call, keys, ret);
        break;
    case DRIVER_OP_COUNT:
        break;
    }
}

void kt_http_driver_run(const struct driver_run *run, struct driver_result *ret)
{
    carry_out(run, ret);
    kt_http_call_close(run->own);
    if (!run->arena->failed)
        return;
    /* What seemed to be missing in an answer may have been there. */
    ret->made = ret->made_id = kt_bytes(NULL, 0);
    (void)kt_driver_say(run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
}
