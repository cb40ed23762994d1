#include "lib/fetch.h"

#define FORMAT      1u
#define KIND_ORDER  'F'
#define KIND_POST   'P'
#define KIND_CALL   'M'
#define KIND_RESULT 'G'

static enum kt_kind finish(const struct kt_buf *out, struct kt_err *err)
{
    return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "writing a message about a fetch");
}

static enum kt_kind malformed(struct kt_err *err)
{
    return kt_fail(err, KT_INVALID, "a message about a fetch is malformed");
}

static enum kt_kind encode_call(const struct fetch_order *order, struct kt_buf *out, struct kt_err *err)
{
    if (strlen(order->program) > FETCH_NAME_MAX || order->post.len > FETCH_POST_MAX)
        return kt_fail(err, KT_INVALID, "what a program is to get is longer than %zu bytes, or its name is",
                       FETCH_POST_MAX);
    kt_buf_add_u8(out, FORMAT);
    kt_buf_add_u8(out, KIND_CALL);
    kt_buf_add_field(out, kt_str(order->program));
    kt_buf_add_field(out, order->post);
    return finish(out, err);
}

enum kt_kind kt_fetch_order_encode(const struct fetch_order *order, struct kt_buf *out, struct kt_err *err)
{
    if (order->program != NULL)
        return encode_call(order, out, err);
    if (strlen(order->url) > FETCH_URL_MAX || strlen(order->ca) > FETCH_CA_MAX)
        return kt_fail(err, KT_INVALID, "the address, or its CA, is too long");
    if (order->post.len > FETCH_POST_MAX)
        return kt_fail(err, KT_INVALID, "what is to be sent is longer than %zu bytes", FETCH_POST_MAX);
    kt_buf_add_u8(out, FORMAT);
    kt_buf_add_u8(out, order->posts ? KIND_POST : KIND_ORDER);
    kt_buf_add_field(out, kt_str(order->url));
    kt_buf_add_field(out, kt_str(order->ca));
    if (!order->posts)
        return finish(out, err);
    kt_buf_add_field(out, order->post);
    for (size_t i = 0; i < FETCH_HEADERS; i++)
        kt_buf_add_field(out, kt_str(order->headers[i] == NULL ? "" : order->headers[i]));
    return finish(out, err);
}

bool kt_fetch_is_call(struct kt_bytes message)
{
    return message.len >= 2 && message.at[1] == KIND_CALL;
}

bool kt_fetch_is_order(struct kt_bytes message)
{
    return message.len >= 2 &&
           (message.at[1] == KIND_ORDER || message.at[1] == KIND_POST || message.at[1] == KIND_CALL);
}

static bool begins(struct kt_reader *r, unsigned kind)
{
    unsigned format = kt_read_u8(r);
    return kt_read_u8(r) == kind && format == FORMAT;
}

/* A NUL would end the text before its end. */
static bool is_text(struct kt_bytes text, size_t max)
{
    return text.len <= max && (text.len == 0 || memchr(text.at, '\0', text.len) == NULL);
}

/* One line: nothing that would begin another one. */
static bool is_header(struct kt_bytes text)
{
    if (!is_text(text, FETCH_HEADER_MAX))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < ' ' || text.at[i] > '~')
            return false;
    return true;
}

static bool read_post(struct kt_reader *r, struct kt_arena *arena, struct fetch_order *ret)
{
    bool good = true;
    ret->post = kt_read_field(r);
    for (size_t i = 0; i < FETCH_HEADERS; i++) {
        struct kt_bytes header = kt_read_field(r);
        good = good && is_header(header);
        ret->headers[i] = good && header.len > 0 ? kt_arena_text(arena, header) : NULL;
    }
    return good && ret->post.len <= FETCH_POST_MAX;
}

static enum kt_kind decode_call(struct kt_bytes message, struct kt_arena *arena, struct fetch_order *ret,
                                struct kt_err *err)
{
    struct kt_reader r = kt_reader(message);
    bool ours = begins(&r, KIND_CALL);
    struct kt_bytes program = kt_read_field(&r);
    *ret = (struct fetch_order){.url = "", .ca = "", .posts = true, .post = kt_read_field(&r)};
    if (!ours || !kt_reader_done(&r) || !is_text(program, FETCH_NAME_MAX) || ret->post.len > FETCH_POST_MAX)
        return malformed(err);
    ret->program = kt_arena_text(arena, program);
    return ret->program == NULL ? kt_fail(err, KT_NO_MEMORY, "reading what to start") : KT_OK;
}

enum kt_kind kt_fetch_order_decode(struct kt_bytes message, struct kt_arena *arena, struct fetch_order *ret,
                                   struct kt_err *err)
{
    if (kt_fetch_is_call(message))
        return decode_call(message, arena, ret, err);
    struct kt_reader r = kt_reader(message);
    *ret = (struct fetch_order){.posts = message.len >= 2 && message.at[1] == KIND_POST};
    bool ours = begins(&r, ret->posts ? KIND_POST : KIND_ORDER);
    struct kt_bytes url = kt_read_field(&r), ca = kt_read_field(&r);
    ours = ours && (!ret->posts || read_post(&r, arena, ret));
    if (!ours || !kt_reader_done(&r) || !is_text(url, FETCH_URL_MAX) || !is_text(ca, FETCH_CA_MAX))
        return malformed(err);
    ret->url = kt_arena_text(arena, url);
    ret->ca = kt_arena_text(arena, ca);
    return arena->failed ? kt_fail(err, KT_NO_MEMORY, "reading what to fetch") : KT_OK;
}

enum kt_kind kt_fetch_result_encode(const struct fetch_result *result, struct kt_buf *out, struct kt_err *err)
{
    struct kt_bytes text = result->text;
    if (result->body.len > FETCH_BODY_MAX)
        return kt_fail(err, KT_INVALID, "what was fetched is too long");
    if (text.len > FETCH_TEXT_MAX)
        text.len = FETCH_TEXT_MAX;
    kt_buf_add_u8(out, FORMAT);
    kt_buf_add_u8(out, KIND_RESULT);
    kt_buf_add_u8(out, result->done);
    kt_buf_add_field(out, text);
    kt_buf_add_field(out, result->body);
    return finish(out, err);
}

enum kt_kind kt_fetch_result_decode(struct kt_bytes message, struct fetch_result *ret, struct kt_err *err)
{
    struct kt_reader r = kt_reader(message);
    bool ours = begins(&r, KIND_RESULT);
    unsigned done = kt_read_u8(&r);
    ret->done = done == 1;
    ret->text = kt_read_field(&r);
    ret->body = kt_read_field(&r);
    if (!ours || done > 1 || !kt_reader_done(&r) || ret->text.len > FETCH_TEXT_MAX || ret->body.len > FETCH_BODY_MAX)
        return malformed(err);
    for (size_t i = 0; i < ret->text.len; i++)
        if (ret->text.at[i] < ' ' || ret->text.at[i] > '~')
            return malformed(err);
    return KT_OK;
}
