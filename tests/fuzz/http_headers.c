/* Header lines ("Name: value", one a line) in any shape, and the same text as a listener's address.
 */
#include <stdlib.h>

#include "vaultd/http/headers.h"
#include "vaultd/http/socket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever a trusted proxy says: the peer's address, or one that is read back as what it is. */
static void judge_forwarded(const struct headers *headers)
{
    struct forwarded_rules rules = {.trusted = {.at = {{.at = {127}, .bits = 8}}, .n = 1}};
    for (rules.hop_skips = 0; rules.hop_skips < 3; rules.hop_skips++) {
        char out[FORWARDED_ADDRESS], again[FORWARDED_ADDRESS];
        if (forwarded_client(&rules, headers->forwarded, headers->n_forwarded, "127.0.0.1", out) != NULL)
            continue;
        const struct kt_bytes line = kt_str(out);
        const struct forwarded_rules plain = {.trusted = rules.trusted};
        if (forwarded_client(&plain, &line, 1, "127.0.0.1", again) != NULL || strcmp(out, again) != 0)
            abort();
    }
}

static void judge_lines(struct kt_bytes text)
{
    struct headers headers;
    headers_begin(&headers);
    while (text.len > 0) {
        const unsigned char *end = memchr(text.at, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.at);
        const unsigned char *colon = memchr(text.at, ':', len);
        size_t name = colon == NULL ? len : (size_t)(colon - text.at);
        size_t value = name + 1 < len ? name + 1 : len;
        headers_add(&headers, kt_bytes(text.at, name), kt_bytes(text.at + value, len - value));
        text = kt_bytes(text.at + len, text.len - len);
        if (text.len > 0)
            text = kt_bytes(text.at + 1, text.len - 1);
    }
    headers_end(&headers);
    judge_forwarded(&headers);
    struct kt_bytes token = headers_token(&headers);
    bool both = headers.value[HEADER_CONTENT_LENGTH].at != NULL &&
                headers.value[HEADER_TRANSFER_ENCODING].at != NULL;
    if ((both && !headers.framing) || (headers.framing && headers.refusal == NULL) ||
        (token.len > HEADERS_TOKEN_MAX && headers.refusal == NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    judge_lines(kt_bytes(data, size));
    char text[512];
    struct socket_address address;
    size_t len = size < sizeof text - 1 ? size : sizeof text - 1;
    memcpy(text, data, len);
    text[len] = '\0';
    if (socket_address_parse(text, &address, NULL) == KT_OK)
        (void)socket_address_is_loopback(&address);
    return 0;
}
