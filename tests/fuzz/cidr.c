/* A block is within its bounds, holds its own address, and another reader (inet_pton) agrees on which
 * addresses there are. Input: a block, a line feed, an address. */
#include "lib/cidr.h"

#include <arpa/inet.h>

#include "lib/assert.h"
#include "tests/fuzz/fuzz.h"

static bool is_address(struct kt_bytes text)
{
    char copy[KT_CIDR_TEXT];
    unsigned char to[16];
    if (text.len >= sizeof copy)
        return false;
    if (text.len > 0)
        memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    if (strlen(copy) != text.len)
        return false;
    return inet_pton(AF_INET, copy, to) == 1 || inet_pton(AF_INET6, copy, to) == 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size == 0 ? NULL : memchr(data, '\n', size);
    size_t len = end == NULL ? size : (size_t)(end - data);
    struct kt_cidr cidr = {.bits = 999};
    if (!kt_cidr_parse(kt_bytes(data, len), &cidr)) {
        KT_ASSERT(cidr.bits == 999 && !is_address(kt_bytes(data, len)));
        return 0;
    }
    KT_ASSERT(cidr.bits <= (cidr.v6 ? 128 : 32) && kt_cidr_within(&cidr, &cidr));
    char own[KT_CIDR_TEXT];
    KT_ASSERT(inet_ntop(cidr.v6 ? AF_INET6 : AF_INET, cidr.at, own, sizeof own) != NULL);
    KT_ASSERT(kt_cidr_holds(&cidr, kt_str(own)));
    if (end == NULL)
        return 0;
    struct kt_bytes address = kt_bytes(end + 1, size - len - 1);
    bool holds = kt_cidr_holds(&cidr, address);
    KT_ASSERT(!holds || is_address(address) || memchr(address.at, '%', address.len) != NULL);
    return 0;
}
