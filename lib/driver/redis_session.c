/* lib/driver/redis_session.c - see lib/driver/redis_session.h. */
#include "lib/driver/redis_session.h"

#include <stdio.h>

#include "lib/driver/place.h"

#define PIECE       ((size_t)16 * 1024)
#define COMMAND_MAX ((size_t)64 * 1024)

/* The first row that fits: an error begins with the prefix. */
/* clang-format off */
static const struct error_row {
    const char *prefix, *code;
    enum driver_class class;
    const char *sentence;
} errors[] = {
    {"WRONGPASS",  "wrongpw",  DRIVER_REFUSED, "the server refused the password, or the user is off or not there"},
    {"NOAUTH",     "noauth",   DRIVER_UNREACH, "the server did not take the login"},
    {"NOPERM",     "noperm",   DRIVER_PERMANENT, "the administrative user lacks the right"},
    {"LOADING",    "loading",  DRIVER_UNREACH, "the server is loading its data"},
    {"BUSY",       "busy",     DRIVER_UNREACH, "the server is busy with a script"},
    {"MASTERDOWN", "replica",  DRIVER_UNREACH, "this is a replica without its primary"},
    {"READONLY",   "replica",  DRIVER_UNREACH, "this is a replica, not the primary"},
    {"DENIED",     "denied",   DRIVER_UNREACH, "the server is in protected mode"},
    {"MISCONF",    "misconf",  DRIVER_UNREACH, "the server cannot write its data"},
    {"ERR max number of clients", "clients", DRIVER_UNREACH, "the server has no free connection"},
    {"ERR unknown command", "command", DRIVER_PERMANENT, "the server does not know the command: Redis 6 is the first that has ACLs"},
    {"",           "err",      DRIVER_PERMANENT, "the server refused the command"},
};
/* Our own codes, and the stream's. */
static const struct {
    const char *code, *sentence;
} failures[] = {
    {"connect",  "no connection"},
    {"timeout",  "no answer in time"},
    {"tls",      "no trusted TLS connection"},
    {"closed",   "the connection broke"},
    {"protocol", "the server does not speak as Redis does"},
    {"memory",   "the worker ran out of memory"},
};
/* clang-format on */

static bool fail(struct redis_session *s, const char *code, struct kt_bytes detail)
{
    size_t len = detail.len < sizeof(s->detail) - 1 ? detail.len : sizeof(s->detail) - 1;
    (void)!snprintf(s->code, sizeof(s->code), "%.8s", code);
    if (len > 0)
        memcpy(s->detail, detail.at, len);
    s->detail[len] = '\0';
    return false;
}

static bool stream_failed(struct redis_session *s)
{
    return fail(s, s->stream.code, kt_str(s->stream.detail));
}

static const struct error_row *row_of(struct kt_bytes error)
{
    const struct error_row *row = errors;
    while (!kt_bytes_starts(error, row->prefix))
        row++; /* the last prefix is empty and fits all */
    return row;
}

/* ---- commands ------------------------------------------------------------------------------ */

static bool receive(struct redis_session *s, int64_t deadline)
{
    kt_buf_reset(&s->in);
    for (;;) {
        unsigned char piece[PIECE];
        size_t len = 0;
        if (!kt_stream_receive(&s->stream, piece, sizeof(piece), &len, deadline))
            return stream_failed(s);
        kt_buf_add(&s->in, piece, len);
        if (!kt_buf_ok(&s->in))
            return fail(s, "memory", kt_bytes(NULL, 0));
        enum resp_state state = kt_resp_whole(kt_buf_bytes(&s->in), &len);
        if (state == RESP_MORE)
            continue;
        /* One answer to one command: anything behind it is somebody else's word. */
        if (state == RESP_BAD || len != s->in.len)
            return fail(s, "protocol", kt_bytes(NULL, 0));
        s->reply = kt_buf_bytes(&s->in);
        return true;
    }
}

bool kt_redis_ask(struct redis_session *s, size_t n, const struct kt_bytes *words)
{
    struct resp head;
    int64_t deadline = kt_place_deadline(s->run, kt_place_statement_ms(s->run));
    s->code[0] = s->detail[0] = '\0';
    if (!s->stream.is_open)
        return fail(s, "closed", kt_bytes(NULL, 0));
    kt_autobuf struct kt_buf command;
    kt_buf_init(&command, COMMAND_MAX);
    kt_resp_command(n, words, &command);
    if (!kt_buf_ok(&command))
        return fail(s, "memory", kt_bytes(NULL, 0));
    if (!kt_stream_send(&s->stream, kt_buf_bytes(&command), deadline))
        (void)stream_failed(s); /* it may have said why before it closed */
    if (!receive(s, deadline)) {
        kt_redis_close(s);
        return false;
    }
    struct kt_bytes rest = s->reply;
    if (!kt_resp_next(&rest, &head) || head.type != RESP_ERROR)
        return true;
    return fail(s, row_of(head.text)->code, head.text);
}

int64_t kt_redis_number(const struct redis_session *s)
{
    struct kt_bytes rest = s->reply;
    struct resp item;
    return kt_resp_next(&rest, &item) && item.type == RESP_NUMBER ? item.number : -1;
}

/* A copy: the reply does not live until the end of the step. */
bool kt_redis_read_user(struct redis_session *s, const char *name, struct redis_user *ret)
{
    if (!KT_REDIS_ASK(s, kt_str("ACL"), kt_str("GETUSER"), kt_str(name)))
        return false;
    const char *kept = kt_arena_text(s->run->arena, s->reply);
    if (kept == NULL)
        return fail(s, "memory", kt_bytes(NULL, 0));
    return kt_redis_user_read(kt_bytes(kept, s->reply.len), ret) ||
           fail(s, "protocol", kt_str("its ACL GETUSER is not understood"));
}

/* ---- logging in ---------------------------------------------------------------------------- */

/* A list of names and values; values that are lists are passed over. */
static void read_hello(struct redis_session *s)
{
    const struct {
        const char *name;
        char *at;
        size_t size;
    } wanted[] = {{"version", s->version, sizeof(s->version)},
                  {"role", s->role, sizeof(s->role)},
                  {"mode", s->mode, sizeof(s->mode)}};
    struct kt_bytes rest = s->reply;
    struct resp name, value;
    if (!kt_resp_next(&rest, &name) || name.type != RESP_LIST)
        return;
    while (kt_resp_next(&rest, &name) && name.type != RESP_LIST) {
        struct kt_bytes before = rest;
        if (!kt_resp_next(&rest, &value))
            return;
        rest = before;
        if (!kt_resp_skip(&rest))
            return;
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
            if (kt_bytes_is(name.text, wanted[i].name) && value.text.len < wanted[i].size)
                (void)!snprintf(wanted[i].at, wanted[i].size, "%.*s", (int)value.text.len,
                                (const char *)value.text.at);
    }
}

bool kt_redis_connect(const struct driver_run *run, struct redis_session *s)
{
    int64_t deadline = kt_place_deadline(run, kt_place_connect_ms(run));
    *s = (struct redis_session){.run = run};
    kt_buf_init(&s->in, RESP_REPLY_MAX + PIECE);
    return kt_stream_open(run->own, deadline, &s->stream) || stream_failed(s);
}

bool kt_redis_open(const struct driver_run *run, const struct driver_login *login, const char *name,
                   struct redis_session *s)
{
    if (!kt_redis_connect(run, s))
        return false;
    /* The name comes first: the server's list of refused logins then has it. */
    if (!KT_REDIS_ASK(s, kt_str("HELLO"), kt_str("2"), kt_str("SETNAME"), kt_str(name),
                      kt_str("AUTH"), kt_str(login->username), login->password))
        return false;
    read_hello(s);
    return true;
}

void kt_redis_close(struct redis_session *s)
{
    kt_stream_close(&s->stream);
    kt_buf_free(&s->in);
    s->reply = kt_bytes(NULL, 0);
}

/* ---- what failures mean -------------------------------------------------------------------- */

bool kt_redis_fail(const struct redis_session *s, struct driver_result *ret, const char *doing)
{
    const char *sentence = "the server refused";
    enum driver_class class = DRIVER_UNREACH;
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
        if (strcmp(failures[i].code, s->code) == 0)
            sentence = failures[i].sentence;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (strcmp(errors[i].code, s->code) != 0)
            continue;
        sentence = errors[i].sentence;
        class = errors[i].class;
        break;
    }
    if (s->detail[0] == '\0')
        return kt_driver_say(s->run, ret, class, s->code, "%s: %s", doing, sentence);
    return kt_driver_say(s->run, ret, class, s->code, "%s: %s (%s)", doing, sentence, s->detail);
}

void kt_redis_answer(const struct redis_session *s, struct driver_reply *ret)
{
    *ret = (struct driver_reply){.answer = ANSWER_ACCEPTED};
    if (s->code[0] == '\0')
        return;
    memcpy(ret->code, s->code, sizeof(ret->code));
    ret->answer = strcmp(s->code, "wrongpw") == 0 ? ANSWER_REFUSED : ANSWER_UNKNOWN;
}
