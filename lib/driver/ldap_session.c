/* lib/driver/ldap_session.c - see lib/driver/ldap_session.h. */
#include "lib/driver/ldap_session.h"

#include <sodium.h>
#include <stdio.h>

#include "lib/driver/place.h"

#define PIECE       ((size_t)16 * 1024)
#define REQUEST_MAX ((size_t)64 * 1024)
#define ENTRIES_MAX 16 /* messages until a search has to be at its end */

/* ---- what codes mean ----------------------------------------------------------------------- */

/* clang-format off */
static const struct code_row {
    const char *code;
    enum driver_class class;
    bool barred; /* comes only behind the check of the password, which was right */
    const char *sentence;
} codes[] = {
    /* the server's, by number: RFC 4511, appendix A */
    {"49", DRIVER_REFUSED, false, "the server refused the password, or there is no such entry, or it has no password"},
    {"1", DRIVER_UNREACH, false, "the server could not do it now"},
    {"2", DRIVER_PERMANENT, false, "the server did not understand"},
    {"3", DRIVER_UNREACH, false, "the server took too long"},
    {"8", DRIVER_PERMANENT, false, "the server wants a stronger login"},
    {"10", DRIVER_UNREACH, false, "this server does not take changes: it refers to another one"},
    {"11", DRIVER_UNREACH, false, "the server came to a limit of its own"},
    {"13", DRIVER_PERMANENT, false, "the server wants TLS"},
    {"17", DRIVER_PERMANENT, false, "the server does not know the attribute"},
    {"19", DRIVER_BAD_VALUE, false, "the server's rules for passwords refuse the value"},
    {"32", DRIVER_PERMANENT, false, "there is no such entry, or the administrative login may not see it"},
    {"34", DRIVER_PERMANENT, false, "that is no name of an entry"},
    {"48", DRIVER_PERMANENT, false, "the entry does not log in with a password"},
    {"50", DRIVER_PERMANENT, false, "the login lacks the right"},
    {"51", DRIVER_UNREACH, false, "the server is busy"},
    {"52", DRIVER_UNREACH, false, "the server is shutting down"},
    {"53", DRIVER_PERMANENT, false, "the server is not willing to"},
    {"65", DRIVER_PERMANENT, false, "an entry of its classes cannot have a password"},
    {"80", DRIVER_UNREACH, false, "the server failed"},
    /* the password policy's */
    {"expired", DRIVER_PERMANENT, true, "the password has expired"},
    {"locked", DRIVER_UNREACH, false, "the account is locked for its many wrong passwords, or by an administrator"},
    /* our own, and the stream's */
    {"empty", DRIVER_PERMANENT, false, "a login without a name or a password is let in as nobody by every server, so it was not tried"},
    {"connect", DRIVER_UNREACH, false, "no connection"},
    {"timeout", DRIVER_UNREACH, false, "no answer in time"},
    {"tls", DRIVER_UNREACH, false, "no trusted TLS connection"},
    {"closed", DRIVER_UNREACH, false, "the connection broke"},
    {"protocol", DRIVER_UNREACH, false, "the server does not speak as LDAP does"},
    {"memory", DRIVER_UNREACH, false, "the worker ran out of memory"},
};
/* clang-format on */

static const struct code_row *row_of(const char *code)
{
    static const struct code_row other = {"", DRIVER_PERMANENT, false, "the server refused"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (strcmp(codes[i].code, code) == 0)
            return &codes[i];
    }
    return &other;
}

bool kt_ldap_fail(const struct ldap_session *s, struct driver_result *ret, const char *doing)
{
    const struct code_row *row = row_of(s->code);
    const char *code = kt_ldap_said(s, LDAP_NO_SUCH_ENTRY) ? "missing" : s->code;
    if (s->detail[0] == '\0')
        return kt_driver_say(s->run, ret, row->class, code, "%s: %s", doing, row->sentence);
    return kt_driver_say(s->run, ret, row->class, code, "%s: %s (%s)", doing, row->sentence, s->detail);
}

void kt_ldap_reply(const struct ldap_session *s, struct driver_reply *ret)
{
    *ret = (struct driver_reply){.answer = ANSWER_ACCEPTED};
    if (s->code[0] == '\0')
        return;
    memcpy(ret->code, s->code, sizeof(ret->code));
    ret->answer = kt_ldap_said(s, LDAP_WRONG_PASSWORD) ? ANSWER_REFUSED : ANSWER_UNKNOWN;
    ret->barred = row_of(s->code)->barred;
}

/* ---- messages ------------------------------------------------------------------------------ */

static bool fail(struct ldap_session *s, const char *code, struct kt_bytes detail)
{
    size_t len = detail.len < sizeof(s->detail) - 1 ? detail.len : sizeof(s->detail) - 1;
    (void)!snprintf(s->code, sizeof(s->code), "%.8s", code);
    if (len > 0)
        memcpy(s->detail, detail.at, len);
    s->detail[len] = '\0';
    return false;
}

static bool fail_plainly(struct ldap_session *s, const char *code)
{
    return fail(s, code, kt_bytes(NULL, 0));
}

static bool stream_failed(struct ldap_session *s)
{
    return fail(s, s->stream.code, kt_str(s->stream.detail));
}

bool kt_ldap_said(const struct ldap_session *s, int32_t result)
{
    char number[12];
    (void)!snprintf(number, sizeof(number), "%d", result);
    return strcmp(s->code, number) == 0;
}

/* A number is a code as it stands; what no answer has is none. */
static bool judge(struct ldap_session *s, const struct ldap_answer *answer)
{
    char number[12];
    s->result = answer->result;
    if (answer->result == LDAP_SUCCESS)
        return true;
    (void)!snprintf(number, sizeof(number), "%d", answer->result);
    return strlen(number) < sizeof(s->code) ? fail(s, number, answer->text)
                                            : fail_plainly(s, "protocol");
}

static bool send_request(struct ldap_session *s, struct kt_buf *request, int64_t deadline)
{
    s->code[0] = s->detail[0] = '\0';
    if (!s->stream.is_open)
        return fail_plainly(s, "closed");
    if (!kt_buf_ok(request))
        return fail_plainly(s, "memory");
    return kt_stream_send(&s->stream, kt_buf_bytes(request), deadline) || stream_failed(s);
}

/* One message more than those that were taken from s->in before: *ret points into it. */
static bool receive(struct ldap_session *s, size_t *taken, int64_t deadline, struct ldap_answer *ret)
{
    for (;;) {
        unsigned char piece[PIECE];
        size_t len = 0;
        struct kt_bytes rest = kt_buf_bytes(&s->in);
        rest = kt_bytes(rest.at + *taken, rest.len - *taken);
        enum ber_state state = rest.len > 0 && rest.at[0] != BER_SEQUENCE ? BER_BAD
                                                                          : kt_ber_whole(rest, &len);
        if (state == BER_WHOLE) {
            *taken += len;
            return kt_ldap_answer(kt_bytes(rest.at, len), ret) || fail_plainly(s, "protocol");
        }
        if (state == BER_BAD)
            return fail_plainly(s, "protocol");
        if (!kt_stream_receive(&s->stream, piece, sizeof(piece), &len, deadline))
            return stream_failed(s);
        kt_buf_add(&s->in, piece, len);
        sodium_memzero(piece, len);
        if (!kt_buf_ok(&s->in))
            return fail_plainly(s, "memory");
    }
}

/* Until the answer `wanted` comes; of the entries before it the last one's attributes are given. */
static bool await(struct ldap_session *s, enum ldap_op wanted, int64_t deadline,
                  struct ldap_answer *ret, struct kt_bytes *ret_attributes)
{
    size_t taken = 0;
    kt_buf_reset(&s->in);
    for (int i = 0; i < ENTRIES_MAX; i++) {
        if (!receive(s, &taken, deadline, ret))
            return false;
        if (ret->id == 0 && ret->op == LDAP_EXTENDED)
            return fail(s, "closed", ret->text); /* the server takes its leave, and says why */
        if (ret->id != s->id)
            return fail_plainly(s, "protocol");
        if (ret->op == (unsigned)wanted)
            return taken == s->in.len || fail_plainly(s, "protocol");
        if (wanted != LDAP_READ || (ret->op != LDAP_ENTRY && ret->op != LDAP_REFERENCE))
            return fail_plainly(s, "protocol");
        if (ret->op == LDAP_ENTRY) { /* a copy: the buffer moves when it grows */
            const char *copy = kt_arena_text(s->run->arena, ret->attributes);
            if (copy == NULL)
                return fail_plainly(s, "memory");
            *ret_attributes = kt_bytes(copy, ret->attributes.len);
        }
    }
    return fail_plainly(s, "protocol");
}

static bool ask(struct ldap_session *s, struct kt_buf *request, enum ldap_op wanted, int64_t deadline,
                struct ldap_answer *ret, struct kt_bytes *ret_attributes)
{
    if (send_request(s, request, deadline) && await(s, wanted, deadline, ret, ret_attributes))
        return judge(s, ret);
    kt_stream_close(&s->stream); /* what comes now would be taken for another request's answer */
    return false;
}

static int64_t statement_deadline(const struct ldap_session *s)
{
    return kt_place_deadline(s->run, kt_place_statement_ms(s->run));
}

/* ---- requests ------------------------------------------------------------------------------ */

static bool log_in(struct ldap_session *s, const struct driver_login *login, int64_t deadline)
{
    struct ldap_answer answer = {.policy = LDAP_POLICY_NONE, .grace = -1};
    kt_autobuf struct kt_buf request;
    kt_buf_init(&request, REQUEST_MAX);
    kt_ldap_bind(++s->id, login->username, login->password, &request);
    bool in = ask(s, &request, LDAP_BOUND, deadline, &answer, NULL);
    s->policy = answer.policy;
    s->grace = answer.grace;
    if (in || !kt_ldap_said(s, LDAP_WRONG_PASSWORD))
        return in;
    /* Both are told by the same result as a wrong password. An expired one was right. */
    if (s->policy == LDAP_EXPIRED)
        memcpy(s->code, "expired", sizeof("expired"));
    if (s->policy == LDAP_LOCKED)
        memcpy(s->code, "locked", sizeof("locked"));
    return false;
}

/* Whatever came behind the answer came before TLS, from anybody: await() has it refused. */
static bool start_tls(struct ldap_session *s, int64_t deadline)
{
    const struct kt_stream_place *place = s->run->own;
    struct ldap_answer answer;
    if (!place->tls || !place->later)
        return true;
    kt_autobuf struct kt_buf request;
    kt_buf_init(&request, REQUEST_MAX);
    kt_ldap_start_tls(++s->id, &request);
    if (ask(s, &request, LDAP_EXTENDED, deadline, &answer, NULL))
        return kt_stream_secure(place, deadline, &s->stream) || stream_failed(s);
    if (s->stream.is_open) /* it answered: it has no TLS to offer, or none now */
        memcpy(s->code, "tls", sizeof("tls"));
    return false;
}

bool kt_ldap_open(const struct driver_run *run, const struct driver_login *login,
                  struct ldap_session *s)
{
    int64_t deadline = kt_place_deadline(run, kt_place_connect_ms(run));
    *s = (struct ldap_session){.run = run, .policy = LDAP_POLICY_NONE, .grace = -1};
    kt_buf_init(&s->in, BER_MAX + PIECE);
    if (login->username[0] == '\0' || login->password.len == 0)
        return fail_plainly(s, "empty");
    return (kt_stream_open(run->own, deadline, &s->stream) || stream_failed(s)) &&
           start_tls(s, deadline) && log_in(s, login, deadline);
}

void kt_ldap_close(struct ldap_session *s)
{
    if (s->stream.is_open) { /* a courtesy: without it the server only logs that it was hung up on */
        kt_autobuf struct kt_buf request;
        kt_buf_init(&request, REQUEST_MAX);
        kt_ldap_unbind(++s->id, &request);
        if (kt_buf_ok(&request))
            (void)kt_stream_send(&s->stream, kt_buf_bytes(&request), statement_deadline(s));
    }
    kt_stream_close(&s->stream);
    kt_buf_free(&s->in);
}

bool kt_ldap_change(struct ldap_session *s, const char *dn, enum ldap_change change,
                    const char *attribute, const struct kt_bytes *value)
{
    struct ldap_answer answer;
    kt_autobuf struct kt_buf request;
    kt_buf_init(&request, REQUEST_MAX);
    kt_ldap_modify(++s->id, dn, change, attribute, value, &request);
    return ask(s, &request, LDAP_MODIFIED, statement_deadline(s), &answer, NULL);
}

bool kt_ldap_look(struct ldap_session *s, const char *dn, size_t n, const char *const *attributes,
                  struct kt_bytes *ret)
{
    struct ldap_answer answer;
    kt_autobuf struct kt_buf request;
    kt_buf_init(&request, REQUEST_MAX);
    *ret = kt_bytes(NULL, 0);
    kt_ldap_read(++s->id, dn, n, attributes, &request);
    return ask(s, &request, LDAP_READ, statement_deadline(s), &answer, ret);
}

/* ---- what an entry has --------------------------------------------------------------------- */

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : c;
}

/* Names of attributes do not tell capital letters. */
static bool is_named(struct kt_bytes name, const char *wanted)
{
    if (name.len != strlen(wanted))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (lower(name.at[i]) != lower((unsigned char)wanted[i]))
            return false;
    return true;
}

static struct kt_bytes values_of(struct kt_bytes attributes, const char *wanted)
{
    struct kt_bytes name, values;
    while (kt_ldap_attribute(&attributes, &name, &values))
        if (is_named(name, wanted))
            return values;
    return kt_bytes(NULL, 0);
}

size_t kt_ldap_count(struct kt_bytes attributes, const char *name)
{
    struct kt_bytes values = values_of(attributes, name), value;
    size_t n = 0;
    while (kt_ber_take(&values, BER_OCTETS, &value))
        n++;
    return n;
}

const char *kt_ldap_first(const struct ldap_session *s, struct kt_bytes attributes, const char *name)
{
    struct kt_bytes values = values_of(attributes, name), value;
    if (!kt_ber_take(&values, BER_OCTETS, &value))
        return "";
    const char *text = kt_arena_text(s->run->arena, value);
    return text == NULL ? "" : text;
}
