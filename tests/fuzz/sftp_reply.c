/* tests/fuzz/sftp_reply.c - what an SFTP server sends: an answer whose parts lie within it, or none. */
#include "lib/assert.h"
#include "lib/driver/sftp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void lies_within(struct kt_bytes part, const uint8_t *data, size_t size)
{
    KT_ASSERT(part.len == 0 || (part.at >= data && part.at + part.len <= data + size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_sftp_reply reply;
    bool renames = false, syncs = false;
    if (kt_sftp_read_version(kt_bytes(data, size), &renames, &syncs))
        KT_ASSERT(data[0] == 2);
    uint32_t id = size < 5 ? 0 : kt_get_be32(data + 1);
    if (!kt_sftp_read_reply(kt_bytes(data, size), id, &reply))
        return 0;
    lies_within(reply.message, data, size);
    lies_within(reply.bytes, data, size);
    KT_ASSERT(reply.answer != SFTP_HANDLE || reply.bytes.len <= 256);
    KT_ASSERT(!kt_sftp_read_reply(kt_bytes(data, size), id + 1, &reply));
    KT_ASSERT(!kt_sftp_read_reply(kt_bytes(data, size - 1), id, &reply));
    return 0;
}
