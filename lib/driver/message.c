/* lib/driver/message.c - steps and results as bytes; see lib/driver/driver.h.
 *
 * Both messages are a format byte, a kind byte and then what the tables below list, in their order:
 * a text is a field (u32 length, bytes), a number is a u32. Writing and reading walk the same rows,
 * so they cannot differ. */
#include "lib/driver/driver.h"

#include "lib/assert.h"
#include "lib/driver/server.h"

#define FORMAT      3u
#define KIND_STEP   'S'
#define KIND_RESULT 'R'

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* ---- texts of the enums -------------------------------------------------------------------- */

#define X(name, text) [name] = (text),
static const char *const op_texts[] = {DRIVER_OPS(X)};
static const char *const who_texts[] = {DRIVER_LOGINS(X)};
static const char *const class_texts[] = {DRIVER_CLASSES(X)};
static const char *const answer_texts[] = {DRIVER_ANSWERS(X)};
#undef X

const char *kt_driver_op_text(enum driver_op op)
{
    return op < DRIVER_OP_COUNT ? op_texts[op] : "unknown";
}

const char *kt_driver_who_text(enum driver_who who)
{
    return who < DRIVER_LOGIN_COUNT ? who_texts[who] : "unknown";
}

const char *kt_driver_class_text(enum driver_class class)
{
    return class < DRIVER_CLASS_COUNT ? class_texts[class] : "unknown";
}

const char *kt_driver_answer_text(enum driver_answer answer)
{
    return answer < DRIVER_ANSWER_COUNT ? answer_texts[answer] : "unknown";
}

bool kt_driver_op_parse(struct kt_bytes text, enum driver_op *ret)
{
    for (unsigned op = 0; op < DRIVER_OP_COUNT; op++) {
        if (kt_bytes_is(text, op_texts[op])) {
            *ret = (enum driver_op)op;
            return true;
        }
    }
    return false;
}

/* ---- a step -------------------------------------------------------------------------------- */

enum alphabet { ANY_TEXT, LINES, WORD };

static const struct text_row {
    const char *name;
    size_t at;
    size_t max;
    enum alphabet alphabet;
} step_texts[] = {
    {"driver", offsetof(struct driver_step, driver), DRIVER_NAME_MAX, WORD},
    {"host", offsetof(struct driver_step, target.host), DRIVER_NAME_MAX, ANY_TEXT},
    {"database", offsetof(struct driver_step, target.database), DRIVER_NAME_MAX, ANY_TEXT},
    {"program", offsetof(struct driver_step, target.program), DRIVER_NAME_MAX, WORD},
    {"api", offsetof(struct driver_step, target.api), DRIVER_API_MAX, LINES},
    {"sslmode", offsetof(struct driver_step, target.sslmode), DRIVER_NAME_MAX, WORD},
    {"ca", offsetof(struct driver_step, target.ca), DRIVER_CA_MAX, LINES},
    {"server_id", offsetof(struct driver_step, target.server_id), DRIVER_EVIDENCE, ANY_TEXT},
    {"keys_file", offsetof(struct driver_step, target.keys_file), DRIVER_PATH_MAX, ANY_TEXT},
    {"servers", offsetof(struct driver_step, target.servers), DRIVER_SERVERS_TEXT, ANY_TEXT},
    {"sentinel_master", offsetof(struct driver_step, target.sentinel_master), DRIVER_NAME_MAX, WORD},
    {"account", offsetof(struct driver_step, account), DRIVER_NAME_MAX, ANY_TEXT},
    {"other_account", offsetof(struct driver_step, other_account), DRIVER_NAME_MAX, ANY_TEXT},
    {"group", offsetof(struct driver_step, group), DRIVER_NAME_MAX, ANY_TEXT},
    {"secret", offsetof(struct driver_step, secret), DRIVER_NAME_MAX, WORD},
    {"run", offsetof(struct driver_step, run), DRIVER_NAME_MAX, WORD},
    {"digest", offsetof(struct driver_step, digest), DRIVER_NAME_MAX, WORD},
    {"a key's id", offsetof(struct driver_step, ids[DRIVER_CONTROL]), DRIVER_NAME_MAX, ANY_TEXT},
    {"a key's id", offsetof(struct driver_step, ids[DRIVER_NEW]), DRIVER_NAME_MAX, ANY_TEXT},
    {"a key's id", offsetof(struct driver_step, ids[DRIVER_OLD]), DRIVER_NAME_MAX, ANY_TEXT},
};

static const struct number_row {
    const char *name;
    size_t at;
    uint32_t min, max;
} step_numbers[] = {
    {"port", offsetof(struct driver_step, target.port), 0, 65535},
    {"connect_timeout", offsetof(struct driver_step, target.connect_timeout_ms), 0,
     DRIVER_TIMEOUT_MAX},
    {"statement_timeout", offsetof(struct driver_step, target.statement_timeout_ms), 0,
     DRIVER_TIMEOUT_MAX},
    {"attempt", offsetof(struct driver_step, attempt), 0, UINT32_MAX},
    {"settle", offsetof(struct driver_step, settle_ms), 0, DRIVER_TIMEOUT_MAX},
    {"timeout", offsetof(struct driver_step, timeout_ms), 1, DRIVER_TIMEOUT_MAX},
};

static bool is_in(enum alphabet alphabet, unsigned char c)
{
    switch (alphabet) {
    case WORD:
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    case LINES:
        return c == '\n' || c == '\r' || c == '\t' || (c >= 0x20 && c != 0x7f);
    case ANY_TEXT:
        return c >= 0x20 && c != 0x7f;
    }
    return false;
}

static enum kt_kind check_text(const struct text_row *row, struct kt_bytes text, struct kt_err *err)
{
    if (text.len > row->max)
        return kt_fail(err, KT_INVALID, "%s is longer than %zu characters", row->name, row->max);
    for (size_t i = 0; i < text.len; i++) {
        if (!is_in(row->alphabet, text.at[i]))
            return kt_fail(err, KT_INVALID, "%s has a character that is not allowed in it",
                           row->name);
    }
    return KT_OK;
}

static enum kt_kind check_number(const struct number_row *row, uint32_t value, struct kt_err *err)
{
    if (value < row->min || value > row->max)
        return kt_fail(err, KT_INVALID, "%s must be between %u and %u", row->name, row->min,
                       row->max);
    return KT_OK;
}

/* A password and a public part are C strings at the other end. */
static enum kt_kind check_value(const char *name, struct kt_bytes value, size_t max,
                                struct kt_err *err)
{
    if (value.len > max)
        return kt_fail(err, KT_INVALID, "%s is longer than %zu bytes", name, max);
    if (value.len > 0 && memchr(value.at, '\0', value.len) != NULL)
        return kt_fail(err, KT_INVALID, "%s has a zero byte", name);
    return KT_OK;
}

static const char *text_at(const struct driver_step *step, size_t at)
{
    const char *text;
    memcpy(&text, (const char *)step + at, sizeof(text));
    return text == NULL ? "" : text;
}

static const struct text_row username_row = {"username", 0, DRIVER_NAME_MAX, ANY_TEXT};

static enum kt_kind encode_login(const struct driver_login *login, struct kt_buf *out,
                                 struct kt_err *err)
{
    kt_buf_add_u8(out, login->username != NULL);
    if (login->username == NULL)
        return KT_OK;
    enum kt_kind kind = check_text(&username_row, kt_str(login->username), err);
    if (kind == KT_OK)
        kind = check_value("a password", login->password, DRIVER_PASSWORD_MAX, err);
    kt_buf_add_field(out, kt_str(login->username));
    kt_buf_add_field(out, login->password);
    return kind;
}

static enum kt_kind encoded(const struct kt_buf *out, struct kt_err *err)
{
    if (!kt_buf_ok(out))
        return kt_fail(err, KT_NO_MEMORY, "the message for the driver does not fit");
    return KT_OK;
}

enum kt_kind kt_driver_step_encode(const struct driver_step *step, struct kt_buf *out,
                                   struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    kt_buf_add_u8(out, FORMAT);
    kt_buf_add_u8(out, KIND_STEP);
    if (step->op >= DRIVER_OP_COUNT)
        return kt_fail(err, KT_INVALID, "there is no driver operation %u", (unsigned)step->op);
    kt_buf_add_u8(out, (uint8_t)step->op);
    for (size_t i = 0; i < COUNT(step_texts) && kind == KT_OK; i++) {
        struct kt_bytes text = kt_str(text_at(step, step_texts[i].at));
        kind = check_text(&step_texts[i], text, err);
        kt_buf_add_field(out, text);
    }
    for (size_t i = 0; i < COUNT(step_numbers) && kind == KT_OK; i++) {
        uint32_t value;
        memcpy(&value, (const char *)step + step_numbers[i].at, sizeof(value));
        kind = check_number(&step_numbers[i], value, err);
        kt_buf_add_u32(out, value);
    }
    for (unsigned who = 0; who < DRIVER_LOGIN_COUNT && kind == KT_OK; who++)
        kind = encode_login(&step->logins[who], out, err);
    if (kind == KT_OK)
        kind = check_value("the public part", step->public_part, DRIVER_PUBLIC_MAX, err);
    kt_buf_add_field(out, step->public_part);
    if (kind == KT_OK)
        kind = check_value("the public part that stays", step->keep_part, DRIVER_PUBLIC_MAX, err);
    kt_buf_add_field(out, step->keep_part);
    return kind == KT_OK ? encoded(out, err) : kind;
}

static enum kt_kind keep_text(struct kt_arena *arena, struct kt_bytes text, const char **ret,
                              struct kt_err *err)
{
    char *kept = kt_arena_text(arena, text);
    if (kept == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a driver step");
    *ret = kept;
    return KT_OK;
}

static enum kt_kind keep_value(struct kt_arena *arena, struct kt_bytes value, struct kt_bytes *ret,
                               struct kt_err *err)
{
    const char *kept = NULL;
    enum kt_kind kind = keep_text(arena, value, &kept, err);
    if (kind == KT_OK)
        *ret = kt_bytes(kept, value.len);
    return kind;
}

static enum kt_kind decode_login(struct kt_reader *r, struct kt_arena *arena,
                                 struct driver_login *ret, struct kt_err *err)
{
    uint8_t present = kt_read_u8(r);
    if (present > 1)
        return kt_fail(err, KT_INVALID, "a login is there or not, not %u", present);
    if (present == 0)
        return KT_OK;
    struct kt_bytes username = kt_read_field(r), password = kt_read_field(r);
    enum kt_kind kind = check_text(&username_row, username, err);
    if (kind == KT_OK)
        kind = check_value("a password", password, DRIVER_PASSWORD_MAX, err);
    if (kind == KT_OK)
        kind = keep_text(arena, username, &ret->username, err);
    if (kind == KT_OK)
        kind = keep_value(arena, password, &ret->password, err);
    return kind;
}

static enum kt_kind decode_texts(struct kt_reader *r, struct kt_arena *arena,
                                 struct driver_step *step, struct kt_err *err)
{
    for (size_t i = 0; i < COUNT(step_texts); i++) {
        struct kt_bytes text = kt_read_field(r);
        const char *kept = NULL;
        enum kt_kind kind = check_text(&step_texts[i], text, err);
        if (kind == KT_OK)
            kind = keep_text(arena, text, &kept, err);
        if (kind != KT_OK)
            return kind;
        memcpy((char *)step + step_texts[i].at, &kept, sizeof(const char *));
    }
    return KT_OK;
}

static enum kt_kind decode_numbers(struct kt_reader *r, struct driver_step *step,
                                   struct kt_err *err)
{
    for (size_t i = 0; i < COUNT(step_numbers); i++) {
        uint32_t value = kt_read_u32(r);
        enum kt_kind kind = check_number(&step_numbers[i], value, err);
        if (kind != KT_OK)
            return kind;
        memcpy((char *)step + step_numbers[i].at, &value, sizeof(value));
    }
    return KT_OK;
}

static enum kt_kind decode_head(struct kt_reader *r, uint8_t kind, struct kt_err *err)
{
    uint8_t format = kt_read_u8(r);
    if (format != FORMAT)
        return kt_fail(err, KT_INVALID, "driver message of format %u, this program knows %u",
                       format, FORMAT);
    if (kt_read_u8(r) != kind)
        return kt_fail(err, KT_INVALID, "driver message of another kind");
    return KT_OK;
}

static enum kt_kind decode_part(struct kt_reader *r, struct kt_arena *arena, const char *name,
                                struct kt_bytes *ret, struct kt_err *err)
{
    struct kt_bytes part = kt_read_field(r);
    enum kt_kind kind = check_value(name, part, DRIVER_PUBLIC_MAX, err);
    return kind == KT_OK ? keep_value(arena, part, ret, err) : kind;
}

static enum kt_kind decode_step(struct kt_reader *r, struct kt_arena *arena,
                                struct driver_step *step, struct kt_err *err)
{
    enum kt_kind kind = decode_head(r, KIND_STEP, err);
    if (kind != KT_OK)
        return kind;
    uint8_t op = kt_read_u8(r);
    if (op >= DRIVER_OP_COUNT)
        return kt_fail(err, KT_INVALID, "there is no driver operation %u", op);
    step->op = (enum driver_op)op;
    kind = decode_texts(r, arena, step, err);
    if (kind == KT_OK)
        kind = decode_numbers(r, step, err);
    for (unsigned who = 0; who < DRIVER_LOGIN_COUNT && kind == KT_OK; who++)
        kind = decode_login(r, arena, &step->logins[who], err);
    if (kind == KT_OK)
        kind = decode_part(r, arena, "the public part", &step->public_part, err);
    if (kind == KT_OK)
        kind = decode_part(r, arena, "the public part that stays", &step->keep_part, err);
    return kind;
}

enum kt_kind kt_driver_step_decode(struct kt_bytes message, struct kt_arena *arena,
                                   struct driver_step *ret, struct kt_err *err)
{
    struct kt_reader r = kt_reader(message);
    struct driver_step step = {0};
    enum kt_kind kind = decode_step(&r, arena, &step, err);
    if (kind == KT_NO_MEMORY)
        return kind;
    if (!kt_reader_done(&r))
        return kt_fail(err, KT_INVALID, "driver step cut short, or with something behind it");
    if (kind == KT_OK)
        *ret = step;
    return kind;
}

/* ---- a result ------------------------------------------------------------------------------ */

static const struct array_row {
    size_t at, size;
} result_arrays[] = {
#define ROW(member)                                                                                \
    {                                                                                              \
        offsetof(struct driver_result, member), sizeof(((struct driver_result *)0)->member)        \
    }
    ROW(code),    ROW(text),         ROW(server_version), ROW(server_id),
    ROW(comment), ROW(session_user), ROW(current_user),
#undef ROW
};

static const size_t result_numbers[] = {
    offsetof(struct driver_result, sessions),
    offsetof(struct driver_result, ended_sessions),
    offsetof(struct driver_result, missing_layers),
    offsetof(struct driver_result, took_ms),
};

#define FLAG_BARRED  1u
#define FLAG_UNASKED 2u

static void encode_array(const char *array, size_t size, struct kt_buf *out)
{
    kt_buf_add_field(out, kt_bytes(array, strnlen(array, size - 1)));
}

enum kt_kind kt_driver_result_encode(const struct driver_result *result, struct kt_buf *out,
                                     struct kt_err *err)
{
    kt_buf_add_u8(out, FORMAT);
    kt_buf_add_u8(out, KIND_RESULT);
    KT_ASSERT(result->class < DRIVER_CLASS_COUNT);
    kt_buf_add_u8(out, (uint8_t)result->class);
    for (size_t i = 0; i < COUNT(result_arrays); i++)
        encode_array((const char *)result + result_arrays[i].at, result_arrays[i].size, out);
    for (size_t i = 0; i < COUNT(result_numbers); i++) {
        uint32_t value;
        memcpy(&value, (const char *)result + result_numbers[i], sizeof(value));
        kt_buf_add_u32(out, value);
    }
    for (unsigned who = 0; who < DRIVER_LOGIN_COUNT; who++) {
        const struct driver_reply *reply = &result->replies[who];
        KT_ASSERT(reply->answer < DRIVER_ANSWER_COUNT);
        kt_buf_add_u8(out, (uint8_t)reply->answer);
        kt_buf_add_u8(out, (uint8_t)((reply->barred ? FLAG_BARRED : 0) |
                                     (reply->unasked ? FLAG_UNASKED : 0)));
        encode_array(reply->code, sizeof(reply->code), out);
        kt_buf_add_u32(out, reply->took_ms);
    }
    uint8_t count = 0;
    while (count < DRIVER_FINDINGS_MAX && result->findings[count][0] != '\0')
        count++;
    kt_buf_add_u8(out, count);
    for (uint8_t i = 0; i < count; i++)
        encode_array(result->findings[i], sizeof(result->findings[i]), out);
    KT_ASSERT(result->made.len <= DRIVER_PASSWORD_MAX && result->made_id.len <= DRIVER_NAME_MAX);
    kt_buf_add_field(out, result->made);
    kt_buf_add_field(out, result->made_id);
    return encoded(out, err);
}

/* Foreign text: what is too long is refused, what cannot be printed is replaced. */
static bool decode_array(struct kt_reader *r, char *array, size_t size)
{
    struct kt_bytes text = kt_read_field(r);
    if (text.len >= size)
        return false;
    for (size_t i = 0; i < text.len; i++)
        array[i] = (char)(text.at[i] >= 0x20 && text.at[i] < 0x7f ? text.at[i] : '?');
    array[text.len] = '\0';
    return true;
}

static bool decode_reply(struct kt_reader *r, struct driver_reply *reply)
{
    uint8_t answer = kt_read_u8(r), flags = kt_read_u8(r);
    if (answer >= DRIVER_ANSWER_COUNT || flags > (FLAG_BARRED | FLAG_UNASKED))
        return false;
    reply->answer = (enum driver_answer)answer;
    reply->barred = (flags & FLAG_BARRED) != 0;
    reply->unasked = (flags & FLAG_UNASKED) != 0;
    if (!decode_array(r, reply->code, sizeof(reply->code)))
        return false;
    reply->took_ms = kt_read_u32(r);
    return true;
}

static bool is_printable(struct kt_bytes text, size_t most)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] > '~')
            return false;
    return text.len <= most;
}

static bool decode_body(struct kt_reader *r, struct driver_result *result)
{
    uint8_t class = kt_read_u8(r);
    if (class >= DRIVER_CLASS_COUNT)
        return false;
    result->class = (enum driver_class) class;
    for (size_t i = 0; i < COUNT(result_arrays); i++) {
        if (!decode_array(r, (char *)result + result_arrays[i].at, result_arrays[i].size))
            return false;
    }
    for (size_t i = 0; i < COUNT(result_numbers); i++) {
        uint32_t value = kt_read_u32(r);
        memcpy((char *)result + result_numbers[i], &value, sizeof(value));
    }
    for (unsigned who = 0; who < DRIVER_LOGIN_COUNT; who++) {
        if (!decode_reply(r, &result->replies[who]))
            return false;
    }
    uint8_t count = kt_read_u8(r);
    for (uint8_t i = 0; i < count; i++) {
        if (i >= DRIVER_FINDINGS_MAX ||
            !decode_array(r, result->findings[i], sizeof(result->findings[i])))
            return false;
    }
    result->made = kt_read_field(r);
    result->made_id = kt_read_field(r);
    return kt_reader_done(r) && is_printable(result->made, DRIVER_PASSWORD_MAX - 1) &&
           is_printable(result->made_id, DRIVER_NAME_MAX - 1);
}

static enum kt_kind keep_made(struct kt_arena *arena, struct driver_result *result, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    if (arena == NULL && (result->made.len > 0 || result->made_id.len > 0))
        return kt_fail(err, KT_INVALID, "the driver's result has a value that nobody asked for");
    if (result->made.len > 0)
        kind = keep_value(arena, result->made, &result->made, err);
    if (kind == KT_OK && result->made_id.len > 0)
        kind = keep_value(arena, result->made_id, &result->made_id, err);
    return kind;
}

enum kt_kind kt_driver_result_decode(struct kt_bytes message, struct kt_arena *arena,
                                     struct driver_result *ret, struct kt_err *err)
{
    struct kt_reader r = kt_reader(message);
    struct driver_result result = {0};
    enum kt_kind kind = decode_head(&r, KIND_RESULT, err);
    if (kind != KT_OK)
        return kind;
    if (!decode_body(&r, &result))
        return kt_fail(err, KT_INVALID, "the driver's result is not well-formed");
    kind = keep_made(arena, &result, err);
    if (kind != KT_OK)
        return kind;
    *ret = result;
    return KT_OK;
}
