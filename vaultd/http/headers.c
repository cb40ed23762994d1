#include "vaultd/http/headers.h"

#include <strings.h>

#include "lib/num.h"

enum repeat_rule {
    REPEAT_NEVER, /* a second line is refused even if it says the same: it is about framing */
    REPEAT_SAME,  /* a second line must say the same */
    REPEAT_LIST   /* a second line goes on */
};

struct header_row {
    const char *name;
    enum repeat_rule repeat;
    unsigned char len;
    /* A folded line arrives glued to the *name* of the line before it (libmicrohttpd 0.9.75), so a
     * longer name that begins with this one may hide it. */
    bool guard_longer;
};

/* clang-format off */
#define ROW(text, rule, guard) {(text), (rule), sizeof(text) - 1, (guard)}
static const struct header_row rows[HEADER_COUNT] = {
    [HEADER_AUTHORIZATION]     = ROW("Authorization",        REPEAT_SAME,  false),
    [HEADER_CONTENT_LENGTH]    = ROW("Content-Length",       REPEAT_NEVER, true),
    [HEADER_CONTENT_TYPE]      = ROW("Content-Type",         REPEAT_SAME,  false),
    [HEADER_HOST]              = ROW("Host",                 REPEAT_NEVER, false),
    [HEADER_REQUEST_KEY]       = ROW("X-Keyturn-Request-Id", REPEAT_SAME,  false),
    [HEADER_TRANSFER_ENCODING] = ROW("Transfer-Encoding",    REPEAT_NEVER, true),
    [HEADER_FORWARDED]         = ROW("X-Forwarded-For",      REPEAT_LIST,  false),
    [HEADER_NAMESPACE]         = ROW("X-Vault-Namespace",    REPEAT_SAME,  false),
    [HEADER_REQUEST_MARK]      = ROW("X-Vault-Request",      REPEAT_SAME,  false),
    [HEADER_TOKEN]             = ROW("X-Vault-Token",        REPEAT_SAME,  false),
    [HEADER_WRAP_TTL]          = ROW("X-Vault-Wrap-TTL",     REPEAT_SAME,  false),
};
/* clang-format on */

void headers_begin(struct headers *headers)
{
    *headers = (struct headers){.status = 400};
}

static void refuse(struct headers *headers, bool framing, const char *why)
{
    if (headers->refusal == NULL) {
        headers->refusal = why;
        headers->status = 400;
    }
    headers->framing = headers->framing || framing;
}

/* RFC 9110 section 5.6.2: digits, letters and !#$%&'*+-.^_`|~, a bit for each. */
static bool is_token(struct kt_bytes name)
{
    static const uint64_t characters[2] = {UINT64_C(0x3ff6cfa00000000), UINT64_C(0x57ffffffc7fffffe)};
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = name.at[i];
        if (c >= 0x80 || (characters[c >> 6] >> (c & 63) & 1) == 0)
            return false;
    }
    return name.len > 0;
}

static bool begins_with(struct kt_bytes name, const struct header_row *row)
{
    return name.len >= row->len && (name.at[0] | 0x20) == (row->name[0] | 0x20) &&
           strncasecmp((const char *)name.at, row->name, row->len) == 0;
}

static void keep_forwarded(struct headers *headers, struct kt_bytes value)
{
    if (headers->n_forwarded < FORWARDED_LINES)
        headers->forwarded[headers->n_forwarded] = value;
    headers->n_forwarded++;
}

static void keep(struct headers *headers, size_t i, struct kt_bytes value)
{
    if (rows[i].repeat == REPEAT_LIST) {
        keep_forwarded(headers, value);
        return;
    }
    struct kt_bytes *kept = &headers->value[i];
    if (kept->at == NULL) {
        *kept = value.at != NULL ? value : kt_str("");
        return;
    }
    if (rows[i].repeat == REPEAT_NEVER)
        refuse(headers, true, "a header line that may appear once appears twice");
    else if (!kt_bytes_equal(*kept, value))
        refuse(headers, false,
               i == HEADER_TOKEN ? "two different X-Vault-Token headers; send one"
                                 : "two different values for one header; send one");
}

void headers_add(struct headers *headers, struct kt_bytes name, struct kt_bytes value)
{
    headers->lines++;
    if (!is_token(name)) {
        refuse(headers, true, "a header line is malformed");
        return;
    }
    for (size_t i = 0; i < HEADER_COUNT; i++) {
        if (!begins_with(name, &rows[i]))
            continue;
        if (name.len == rows[i].len)
            keep(headers, i, value);
        else if (rows[i].guard_longer)
            refuse(headers, true, "a header line is folded or misspelt");
    }
}

static void judge_length(struct headers *headers)
{
    struct kt_bytes length = headers->value[HEADER_CONTENT_LENGTH];
    struct kt_bytes encoding = headers->value[HEADER_TRANSFER_ENCODING];
    if (length.at != NULL && encoding.at != NULL)
        refuse(headers, true, "Content-Length and Transfer-Encoding exclude each other");
    else if (length.at != NULL && !kt_u64_parse(length, UINT64_MAX, &headers->content_length))
        refuse(headers, true, "Content-Length is not a number");
    else if (encoding.at != NULL) {
        headers->chunked = encoding.len == 7 &&
                           strncasecmp((const char *)encoding.at, "chunked", encoding.len) == 0;
        if (!headers->chunked)
            refuse(headers, true, "Transfer-Encoding must be chunked");
    }
}

void headers_end(struct headers *headers)
{
    judge_length(headers);
    bool many = headers->lines > HEADERS_MAX;
    if (!headers->framing && (many || headers_token(headers).len > HEADERS_TOKEN_MAX)) {
        headers->refusal = many ? "too many header lines" : "the token is too long";
        headers->status = 431;
        headers->framing = true;
    }
}

static struct kt_bytes trimmed(struct kt_bytes text)
{
    while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t')) {
        text.at++;
        text.len--;
    }
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

struct kt_bytes headers_token(const struct headers *headers)
{
    static const char scheme[] = "Bearer "; /* exactly so: Vault compares it case-sensitively */
    struct kt_bytes token = headers->value[HEADER_TOKEN];
    struct kt_bytes authorization = headers->value[HEADER_AUTHORIZATION];
    if (token.len > 0)
        return token;
    if (!kt_bytes_starts(authorization, scheme))
        return kt_bytes(NULL, 0);
    return trimmed(
        kt_bytes(authorization.at + sizeof scheme - 1, authorization.len - (sizeof scheme - 1)));
}
