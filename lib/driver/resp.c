/* lib/driver/resp.c - see lib/driver/resp.h. */
#include "lib/driver/resp.h"

#define DIGITS_MAX 18u

/* The line behind the type's character; *ret_len counts type, line and its end. */
static enum resp_state line_of(struct kt_bytes bytes, struct kt_bytes *ret, size_t *ret_len)
{
    const unsigned char *end = bytes.len == 0 ? NULL : memchr(bytes.at, '\n', bytes.len);
    if (end == NULL)
        return bytes.len > RESP_REPLY_MAX ? RESP_BAD : RESP_MORE;
    size_t len = (size_t)(end - bytes.at);
    if (len < 2 || bytes.at[len - 1] != '\r')
        return RESP_BAD;
    *ret = kt_bytes(bytes.at + 1, len - 2);
    *ret_len = len + 1;
    return RESP_WHOLE;
}

static bool number_of(struct kt_bytes line, int64_t *ret)
{
    bool negative = line.len > 0 && line.at[0] == '-';
    size_t first = negative ? 1 : 0, digits = line.len - first;
    int64_t number = 0;
    if (digits == 0 || digits > DIGITS_MAX)
        return false;
    for (size_t i = first; i < line.len; i++) {
        if (line.at[i] < '0' || line.at[i] > '9')
            return false;
        number = number * 10 + (line.at[i] - '0');
    }
    *ret = negative ? -number : number;
    return true;
}

/* A text of so many bytes behind the line. */
static enum resp_state bulk_of(struct kt_bytes bytes, size_t size, struct kt_bytes *ret,
                               size_t *len)
{
    if (bytes.len - *len < size + 2)
        return RESP_MORE;
    const unsigned char *at = bytes.at + *len;
    if (at[size] != '\r' || at[size + 1] != '\n')
        return RESP_BAD;
    *ret = kt_bytes(at, size);
    *len += size + 2;
    return RESP_WHOLE;
}

/* '$' and '*': a length, which -1 says is none. */
static enum resp_state sized(struct kt_bytes bytes, struct kt_bytes line, struct resp *ret,
                             size_t *len)
{
    bool list = bytes.at[0] == '*';
    if (!number_of(line, &ret->number) || ret->number < -1 ||
        ret->number > (list ? (int64_t)RESP_ITEMS_MAX : (int64_t)RESP_REPLY_MAX))
        return RESP_BAD;
    ret->type = ret->number == -1 ? RESP_NIL : list ? RESP_LIST : RESP_BULK;
    if (ret->type != RESP_BULK)
        return RESP_WHOLE;
    return bulk_of(bytes, (size_t)ret->number, &ret->text, len);
}

static enum resp_state item_of(struct kt_bytes bytes, struct resp *ret, size_t *ret_len)
{
    struct kt_bytes line;
    *ret = (struct resp){.type = RESP_NIL};
    if (bytes.len > 0 && memchr("+-:$*", bytes.at[0], 5) == NULL)
        return RESP_BAD;
    enum resp_state state = line_of(bytes, &line, ret_len);
    if (state != RESP_WHOLE)
        return state;
    switch (bytes.at[0]) {
    case '+':
    case '-':
        ret->type = bytes.at[0] == '+' ? RESP_TEXT : RESP_ERROR;
        ret->text = line;
        return RESP_WHOLE;
    case ':':
        ret->type = RESP_NUMBER;
        return number_of(line, &ret->number) ? RESP_WHOLE : RESP_BAD;
    default:
        return sized(bytes, line, ret, ret_len);
    }
}

enum resp_state kt_resp_whole(struct kt_bytes bytes, size_t *ret_len)
{
    size_t at = 0;
    uint64_t wanted = 1, items = 0;
    while (wanted > 0) {
        struct resp item;
        size_t len = 0;
        enum resp_state state = item_of(kt_bytes(bytes.at + at, bytes.len - at), &item, &len);
        if (state == RESP_MORE && bytes.len > RESP_REPLY_MAX)
            return RESP_BAD;
        if (state != RESP_WHOLE)
            return state;
        at += len;
        wanted += item.type == RESP_LIST ? (uint64_t)item.number : 0;
        wanted--;
        if (++items + wanted > RESP_ITEMS_MAX)
            return RESP_BAD;
    }
    *ret_len = at;
    return at > RESP_REPLY_MAX ? RESP_BAD : RESP_WHOLE;
}

bool kt_resp_next(struct kt_bytes *rest, struct resp *ret)
{
    size_t len = 0;
    if (rest->len == 0 || item_of(*rest, ret, &len) != RESP_WHOLE)
        return false;
    *rest = kt_bytes(rest->at + len, rest->len - len);
    return true;
}

bool kt_resp_skip(struct kt_bytes *rest)
{
    size_t len = 0;
    if (rest->len == 0 || kt_resp_whole(*rest, &len) != RESP_WHOLE)
        return false;
    *rest = kt_bytes(rest->at + len, rest->len - len);
    return true;
}

void kt_resp_command(size_t n, const struct kt_bytes *words, struct kt_buf *out)
{
    kt_buf_printf(out, "*%zu\r\n", n);
    for (size_t i = 0; i < n; i++) {
        kt_buf_printf(out, "$%zu\r\n", words[i].len);
        kt_buf_add_bytes(out, words[i]);
        kt_buf_add_text(out, "\r\n");
    }
}
