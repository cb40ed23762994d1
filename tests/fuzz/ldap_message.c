/* tests/fuzz/ldap_message.c - what an LDAP server sends: a whole message within the limits, or none; what
 * is read of it lies within it. */
#include "lib/assert.h"
#include "lib/driver/ldap_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void within(struct kt_bytes outer, struct kt_bytes inner)
{
    KT_ASSERT(inner.len == 0 || (inner.at >= outer.at && inner.at + inner.len <= outer.at + outer.len));
}

static void walk(struct kt_bytes message, struct kt_bytes attributes)
{
    struct kt_bytes name, values, value;
    while (kt_ldap_attribute(&attributes, &name, &values)) {
        within(message, name);
        while (kt_ber_take(&values, BER_OCTETS, &value))
            within(message, value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_bytes bytes = kt_bytes(data, size);
    size_t len = 0, again = 0;
    if (kt_ber_whole(bytes, &len) != BER_WHOLE)
        return 0;
    KT_ASSERT(len >= 2 && len <= size);
    struct kt_bytes message = kt_bytes(data, len);
    KT_ASSERT(kt_ber_whole(message, &again) == BER_WHOLE && again == len);
    KT_ASSERT(kt_ber_whole(kt_bytes(data, len - 1), &again) == BER_MORE);
    struct ldap_answer answer;
    if (!kt_ldap_answer(message, &answer))
        return 0;
    within(message, answer.text);
    within(message, answer.attributes);
    walk(message, answer.attributes);
    /* What was read is what we would write. */
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 64);
    kt_ber_add_int(&out, BER_INTEGER, answer.id);
    struct kt_bytes written = kt_buf_bytes(&out);
    int32_t id = 0;
    KT_ASSERT(kt_ber_take_int(&written, BER_INTEGER, &id) && id == answer.id && written.len == 0);
    return 0;
}
