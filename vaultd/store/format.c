#include "vaultd/store/format.h"

#include "lib/buf.h"

static bool read_bytes(struct kt_reader *r, unsigned char *out, size_t len)
{
    struct kt_bytes bytes = kt_read_bytes(r, len);
    if (bytes.len != len)
        return false;
    memcpy(out, bytes.at, len);
    return true;
}

static bool read_1(struct kt_bytes record, struct store_head *ret)
{
    struct kt_reader r = kt_reader(record);
    struct store_head head = {0};
    (void)kt_read_u32(&r);
    bool ok = read_bytes(&r, head.history, sizeof head.history);
    head.at = kt_read_u64(&r);
    ok = ok && read_bytes(&r, head.witness, sizeof head.witness) &&
         read_bytes(&r, head.reserved, sizeof head.reserved) && kt_reader_done(&r);
    if (ok)
        *ret = head;
    return ok;
}

const struct store_format store_formats[] = {
    {1, read_1},
};
const size_t store_formats_count = sizeof store_formats / sizeof store_formats[0];

enum kt_kind store_head_read(struct kt_bytes record, const struct store_format *formats, size_t n,
                             struct store_head *ret, struct kt_err *err)
{
    struct kt_reader r = kt_reader(record);
    uint32_t number = kt_read_u32(&r);
    if (r.failed) {
        (void)kt_fail(err, KT_CORRUPT, "the store's head record is damaged (%zu bytes)",
                      record.len);
        kt_hint(err, "restore the newest backup");
        return KT_CORRUPT;
    }
    uint32_t newest = 0;
    for (size_t i = 0; i < n; i++) {
        if (formats[i].number > newest)
            newest = formats[i].number;
        if (formats[i].number != number)
            continue;
        if (formats[i].read(record, ret))
            return KT_OK;
        (void)kt_fail(err, KT_CORRUPT, "the store's head record (format %u) is damaged", number);
        kt_hint(err, "restore the newest backup");
        return KT_CORRUPT;
    }
    if (number > newest) {
        (void)kt_fail(err, KT_PRECONDITION,
                      "the store has format %u, written by a newer Keyturn; this one reads "
                      "up to %u",
                      number, newest);
        kt_hint(err, "start the newer vaultd again, or restore a backup made before the upgrade");
        return KT_PRECONDITION;
    }
    (void)kt_fail(err, KT_CORRUPT, "the store's head names format %u, which never was", number);
    kt_hint(err, "restore the newest backup");
    return KT_CORRUPT;
}

void store_head_write(const struct store_head *head, unsigned char out[STORE_HEAD_BYTES])
{
    unsigned char *at = out;
    kt_put_u32(at, STORE_FORMAT);
    at += 4;
    memcpy(at, head->history, sizeof head->history);
    at += sizeof head->history;
    kt_put_u64(at, head->at);
    at += 8;
    memcpy(at, head->witness, sizeof head->witness);
    at += sizeof head->witness;
    memcpy(at, head->reserved, sizeof head->reserved);
}
_Static_assert(STORE_HEAD_BYTES == 4 + 16 + 8 + STORE_WITNESS_BYTES + 32, "head layout");
