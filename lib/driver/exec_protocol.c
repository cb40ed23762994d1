#include "lib/driver/exec_protocol.h"

#include "lib/json.h"
#include "lib/jsonw.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* ---- the order ------------------------------------------------------------------------------- */

static void text_member(struct kt_jsonw *w, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0')
        kt_jsonw_kv_text(w, name, text);
}

static void put_login(struct kt_jsonw *w, const char *name, const struct driver_login *login,
                      const char *who)
{
    if (login->username == NULL)
        return;
    kt_jsonw_key(w, name);
    kt_jsonw_object(w);
    text_member(w, "who", who);
    kt_jsonw_kv_text(w, "username", login->username);
    kt_jsonw_key(w, "password");
    kt_jsonw_bytes(w, login->password);
    kt_jsonw_end(w);
}

static void put_target(struct kt_jsonw *w, const struct driver_target *target)
{
    kt_jsonw_key(w, "target");
    kt_jsonw_object(w);
    text_member(w, "host", target->host);
    if (target->port != 0)
        kt_jsonw_kv_int(w, "port", target->port);
    text_member(w, "database", target->database);
    text_member(w, "sslmode", target->sslmode);
    text_member(w, "ca", target->ca);
    text_member(w, "server_id", target->server_id);
    kt_jsonw_end(w);
}

void kt_exec_order(const struct driver_step *step, enum driver_who who, uint32_t timeout_ms,
                   struct kt_buf *out)
{
    struct kt_jsonw w = kt_jsonw(out);
    bool sets = step->op == DRIVER_APPLY || step->op == DRIVER_RESTORE;
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "version", EXEC_VERSION);
    kt_jsonw_kv_text(&w, "operation", kt_driver_op_text(step->op));
    kt_jsonw_kv_int(&w, "timeout_ms", timeout_ms);
    put_target(&w, &step->target);
    if (step->logins[DRIVER_ADMIN].username != NULL && step->logins[DRIVER_ADMIN].username[0] != '\0')
        put_login(&w, "admin", &step->logins[DRIVER_ADMIN], NULL);
    if (who < DRIVER_LOGIN_COUNT)
        put_login(&w, "login", &step->logins[who], kt_driver_who_text(who));
    text_member(&w, "account", step->account);
    text_member(&w, "other_account", step->other_account);
    text_member(&w, "group", step->group);
    if (sets) {
        kt_jsonw_key(&w, "password");
        kt_jsonw_bytes(&w, step->logins[DRIVER_NEW].password);
        text_member(&w, "run", step->run);
        kt_jsonw_kv_int(&w, "attempt", step->attempt);
    }
    kt_jsonw_end(&w);
    kt_buf_add_char(out, '\n');
}

/* ---- the answer ------------------------------------------------------------------------------ */

struct reading {
    const struct driver_run *run;
    struct kt_arena *arena;
    struct driver_result *ret;
    struct driver_reply *reply;
    bool versioned, classed, answered;
};
/* False: the value is not what this member takes. */
typedef bool member_fn(struct reading *r, struct kt_json value, size_t at);

static bool read_version(struct reading *r, struct kt_json value, size_t at)
{
    int64_t version = 0;
    (void)at;
    r->versioned = kt_json_i64(value, &version) && version == EXEC_VERSION;
    return r->versioned;
}

static bool read_class(struct reading *r, struct kt_json value, size_t at)
{
    (void)at;
    for (unsigned class = 0; class < DRIVER_CLASS_COUNT; class++)
        if (kt_json_is(value, kt_driver_class_text((enum driver_class)class))) {
            r->ret->class = (enum driver_class)class;
            r->classed = true;
        }
    return r->classed;
}

static bool read_answer(struct reading *r, struct kt_json value, size_t at)
{
    (void)at;
    for (unsigned answer = ANSWER_UNKNOWN; answer < DRIVER_ANSWER_COUNT; answer++)
        if (kt_json_is(value, kt_driver_answer_text((enum driver_answer)answer))) {
            r->reply->answer = (enum driver_answer)answer;
            r->answered = true;
        }
    return r->answered;
}

static bool read_barred(struct reading *r, struct kt_json value, size_t at)
{
    (void)at;
    return kt_json_bool(value, &r->reply->barred);
}

static bool read_number(struct reading *r, struct kt_json value, size_t at)
{
    int64_t number = 0;
    if (!kt_json_i64(value, &number) || number < 0 || number > UINT32_MAX)
        return false;
    uint32_t kept = (uint32_t)number;
    memcpy((char *)r->ret + at, &kept, sizeof kept);
    return true;
}

static const char *text_of(struct reading *r, struct kt_json value)
{
    return kt_json_type(value) == KT_JSON_STRING ? kt_json_text(value, r->arena) : NULL;
}

static bool read_code(struct reading *r, struct kt_json value, size_t at)
{
    const char *code = text_of(r, value);
    (void)at;
    if (code == NULL || strlen(code) >= sizeof r->ret->code ||
        strspn(code, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != strlen(code))
        return false;
    kt_driver_evidence(r->run, code, r->ret->code, sizeof r->ret->code);
    return true;
}

static bool read_text(struct reading *r, struct kt_json value, size_t at)
{
    const char *text = text_of(r, value);
    (void)at;
    if (text == NULL)
        return false;
    kt_driver_evidence(r->run, text, r->ret->text, sizeof r->ret->text);
    return true;
}

static bool read_evidence(struct reading *r, struct kt_json value, size_t at)
{
    const char *text = text_of(r, value);
    if (text == NULL)
        return false;
    kt_driver_evidence(r->run, text, (char *)r->ret + at, DRIVER_EVIDENCE);
    return true;
}

/* It comes back in later orders, which take no other characters. */
static bool read_server_id(struct reading *r, struct kt_json value, size_t at)
{
    const char *id = text_of(r, value);
    return id != NULL && strlen(id) < DRIVER_NAME_MAX &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
               strlen(id) &&
           read_evidence(r, value, at) && strcmp(r->ret->server_id, id) == 0;
}

static bool read_findings(struct reading *r, struct kt_json value, size_t at)
{
    (void)at;
    if (kt_json_type(value) != KT_JSON_ARRAY || kt_json_count(value) > DRIVER_FINDINGS_MAX)
        return false;
    struct kt_json_iter it = kt_json_iter(value);
    while (kt_json_next(&it)) {
        const char *text = text_of(r, it.value);
        if (text == NULL || text[0] == '\0')
            return false;
        kt_driver_finding(r->run, r->ret, "%s", text);
    }
    return true;
}

#define AT(member) offsetof(struct driver_result, member)
static const struct member {
    const char *name;
    member_fn *read;
    size_t at;
} members[] = {
    {"version", read_version, 0},
    {"class", read_class, 0},
    {"code", read_code, 0},
    {"text", read_text, 0},
    {"answer", read_answer, 0},
    {"barred", read_barred, 0},
    {"server_version", read_evidence, AT(server_version)},
    {"server_id", read_server_id, AT(server_id)},
    {"session_user", read_evidence, AT(session_user)},
    {"current_user", read_evidence, AT(current_user)},
    {"sessions", read_number, AT(sessions)},
    {"ended_sessions", read_number, AT(ended_sessions)},
    {"findings", read_findings, 0},
};
#undef AT

static enum kt_kind read_member(struct reading *r, const struct kt_json_iter *it, struct kt_err *err)
{
    for (size_t i = 0; i < COUNT(members); i++)
        if (kt_json_is(it->key, members[i].name)) {
            if (members[i].read(r, it->value, members[i].at))
                return KT_OK;
            return kt_fail(err, KT_INVALID, "the member \"%s\" of its answer is not as the protocol has it",
                           members[i].name);
        }
    return kt_fail(err, KT_INVALID, "its answer has a member that the protocol does not have");
}

static enum kt_kind read_object(struct reading *r, struct kt_json object, struct kt_err *err)
{
    if (kt_json_type(object) != KT_JSON_OBJECT)
        return kt_fail(err, KT_INVALID, "its answer is no JSON object");
    struct kt_json_iter it = kt_json_iter(object);
    while (kt_json_next(&it)) {
        enum kt_kind kind = read_member(r, &it, err);
        if (kind != KT_OK)
            return kind;
    }
    if (!r->versioned || !r->classed)
        return kt_fail(err, KT_INVALID, "its answer lacks \"version\": %d or \"class\"", EXEC_VERSION);
    if (r->ret->class != DRIVER_OK && r->ret->text[0] == '\0')
        return kt_fail(err, KT_INVALID, "its answer is not ok and has no \"text\" that says why");
    return KT_OK;
}

enum kt_kind kt_exec_answer(const struct driver_run *run, struct kt_bytes text,
                            struct driver_result *ret, struct driver_reply *reply, struct kt_err *err)
{
    static const struct kt_json_limits limits = {.bytes = EXEC_ANSWER_MAX,
                                                 .depth = 2,
                                                 .nodes = 64,
                                                 .keys = COUNT(members),
                                                 .string_bytes = 4096,
                                                 .number_bytes = 16};
    struct kt_json_fault fault = {0};
    enum kt_kind kind = kt_json_find_fault(text, &limits, &fault);
    if (kind != KT_OK)
        return kt_fail(err, KT_INVALID, "its answer is no JSON of the protocol: %s at byte %zu",
                       fault.problem == NULL ? "too much" : fault.problem, fault.offset);
    struct kt_arena arena;
    kt_arena_init(&arena, 4 * EXEC_ANSWER_MAX);
    struct driver_result result = *ret;
    struct driver_reply answer = *reply;
    struct reading r = {.run = run, .arena = &arena, .ret = &result, .reply = &answer};
    kind = read_object(&r, kt_json_value(text), err);
    kt_arena_free(&arena);
    if (kind != KT_OK)
        return kind;
    *ret = result;
    *reply = answer;
    return KT_OK;
}
