#include "vaultd/audit/sealed.h"

#include "lib/aead.h"
#include "lib/assert.h"
#include "lib/random.h"
#include "vaultd/barrier/format.h"

#define RECORD_LABEL  "kt/audit/1"
#define OUTCOME_LABEL "kt/outcome/1"
#define RECORD_AAD    (sizeof RECORD_LABEL - 1 + 16 + 8 + 8 + AUDIT_HEADER_BYTES)
#define OUTCOME_HEAD  3u
#define OUTCOME_AAD   (sizeof OUTCOME_LABEL - 1 + 16 + OUTCOME_HEAD)

_Static_assert(AUDIT_NONCE_BYTES == KT_AEAD_NONCE, "nonce");
_Static_assert(AUDIT_TAG_BYTES == KT_AEAD_TAG, "tag");

int audit_mark_compare(struct audit_mark a, struct audit_mark b)
{
    if (a.generation != b.generation)
        return a.generation < b.generation ? -1 : 1;
    return a.place == b.place ? 0 : a.place < b.place ? -1 : 1;
}

/* ---- records ---- */

static void header_write(const struct audit_header *header, unsigned char *out)
{
    kt_put_u32(out, header->len);
    out[4] = (unsigned char)header->kind;
    kt_put_u64(out + 5, header->mark.generation);
    kt_put_u32(out + 13, header->mark.place);
}

bool audit_header_read(const unsigned char *at, struct audit_header *ret)
{
    uint32_t len = kt_get_u32(at);
    if (len < AUDIT_LINE_MIN || len > AUDIT_LINE_MAX)
        return false;
    if (at[4] != AUDIT_RECORD && at[4] != AUDIT_OUTCOME)
        return false;
    *ret = (struct audit_header){.len = len,
                                 .kind = at[4] == AUDIT_OUTCOME ? AUDIT_OUTCOME : AUDIT_RECORD,
                                 .mark = {kt_get_u64(at + 5), kt_get_u32(at + 13)}};
    return true;
}

static void record_aad(const struct audit_sealer *sealer, uint64_t seq, const unsigned char *header,
                       unsigned char out[RECORD_AAD])
{
    unsigned char *at = out;
    memcpy(at, RECORD_LABEL, sizeof RECORD_LABEL - 1);
    at += sizeof RECORD_LABEL - 1;
    memcpy(at, sealer->vault, 16);
    kt_put_u64(at + 16, sealer->log);
    kt_put_u64(at + 24, seq);
    memcpy(at + 32, header, AUDIT_HEADER_BYTES);
}

void audit_record_seal(const struct audit_sealer *sealer, uint64_t seq,
                       const struct audit_header *header, const unsigned char *line,
                       unsigned char *out)
{
    unsigned char aad[RECORD_AAD];
    KT_ASSERT(header->len >= AUDIT_LINE_MIN && header->len <= AUDIT_LINE_MAX);
    header_write(header, out);
    record_aad(sealer, seq, out, aad);
    unsigned char *nonce = out + AUDIT_HEADER_BYTES;
    kt_random_id(nonce, AUDIT_NONCE_BYTES);
    kt_aead_seal(sealer->key, nonce, kt_bytes(aad, sizeof aad), kt_bytes(line, header->len),
                 nonce + AUDIT_NONCE_BYTES);
}

bool audit_record_open(const struct audit_sealer *sealer, uint64_t seq, struct kt_bytes record,
                       unsigned char *line)
{
    struct audit_header header;
    if (record.len < AUDIT_OVERHEAD || !audit_header_read(record.at, &header) ||
        record.len != AUDIT_OVERHEAD + header.len)
        return false;
    unsigned char aad[RECORD_AAD];
    record_aad(sealer, seq, record.at, aad);
    const unsigned char *nonce = record.at + AUDIT_HEADER_BYTES;
    return kt_aead_open(sealer->key, nonce, kt_bytes(aad, sizeof aad),
                        kt_bytes(nonce + AUDIT_NONCE_BYTES, header.len + AUDIT_TAG_BYTES), line);
}

/* ---- outcomes in the store ---- */

static void outcome_aad(const struct audit_sealer *sealer, const unsigned char *head,
                        unsigned char out[OUTCOME_AAD])
{
    memcpy(out, OUTCOME_LABEL, sizeof OUTCOME_LABEL - 1);
    memcpy(out + sizeof OUTCOME_LABEL - 1, sealer->vault, 16);
    memcpy(out + sizeof OUTCOME_LABEL - 1 + 16, head, OUTCOME_HEAD);
}

enum kt_kind audit_outcome_wrap(const struct audit_sealer *sealer, struct kt_bytes packed,
                                uint16_t room, struct kt_buf *out, struct kt_err *err)
{
    unsigned char aad[OUTCOME_AAD];
    unsigned char *to = kt_buf_grow(out, AUDIT_OUTCOME_OVERHEAD + packed.len);
    if (to == NULL)
        return kt_fail(err, KT_NO_MEMORY, "sealing an audit outcome");
    to[0] = AUDIT_OUTCOME_FORMAT;
    kt_put_u16(to + 1, room);
    unsigned char *nonce = to + OUTCOME_HEAD;
    kt_random_id(nonce, AUDIT_NONCE_BYTES);
    outcome_aad(sealer, to, aad);
    kt_aead_seal(sealer->key, nonce, kt_bytes(aad, sizeof aad), packed, nonce + AUDIT_NONCE_BYTES);
    return KT_OK;
}

static enum kt_kind unwrap_1(const struct audit_sealer *sealer, struct kt_bytes sealed,
                             struct kt_buf *out, struct kt_err *err)
{
    if (sealed.len < AUDIT_OUTCOME_OVERHEAD)
        return kt_fail(err, KT_CORRUPT, "an audit outcome in the store is cut");
    size_t len = sealed.len - AUDIT_OUTCOME_OVERHEAD;
    unsigned char aad[OUTCOME_AAD], empty[1];
    unsigned char *to = len == 0 ? empty : kt_buf_grow(out, len);
    if (to == NULL)
        return kt_fail(err, KT_NO_MEMORY, "opening an audit outcome");
    outcome_aad(sealer, sealed.at, aad);
    const unsigned char *nonce = sealed.at + OUTCOME_HEAD;
    if (!kt_aead_open(sealer->key, nonce, kt_bytes(aad, sizeof aad),
                      kt_bytes(nonce + AUDIT_NONCE_BYTES, len + AUDIT_TAG_BYTES), to))
        return kt_fail(err, KT_CORRUPT, "an audit outcome in the store does not open");
    return KT_OK;
}

typedef enum kt_kind unwrap_fn(const struct audit_sealer *sealer, struct kt_bytes sealed,
                               struct kt_buf *out, struct kt_err *err);
static unwrap_fn *const unwrappers[] = {[AUDIT_OUTCOME_FORMAT] = unwrap_1};

enum kt_kind audit_outcome_unwrap(const struct audit_sealer *sealer, struct kt_bytes sealed,
                                  struct kt_buf *out, struct kt_err *err)
{
    unsigned number = sealed.len == 0 ? 0 : sealed.at[0];
    unwrap_fn *unwrap = FORMAT_ROW(unwrappers, number);
    if (unwrap == NULL)
        return format_refuse("an audit outcome in the store", number, AUDIT_OUTCOME_FORMAT, err);
    return unwrap(sealer, sealed, out, err);
}

uint16_t audit_outcome_room(struct kt_bytes sealed)
{
    return sealed.len < AUDIT_OUTCOME_OVERHEAD ? 0 : kt_get_u16(sealed.at + 1);
}
