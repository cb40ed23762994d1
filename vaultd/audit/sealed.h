/* vaultd/audit/sealed.h - the stored forms of the log's records and of outcomes in the store.
 *
 * Format:  a record in a segment:
 *            u32 length of the line ‖ u8 kind ‖ u64 generation ‖ u32 place ‖ nonce24 ‖ line ‖ tag16
 *          XChaCha20-Poly1305-IETF over the terse line (terse.h). Generation and place are, for an
 *          outcome, its own; for any other record those of the last outcome before it (0: none). So
 *          whoever opens the last record of a log knows the last outcome in it, and nobody without
 *          the key can say otherwise.
 *          AAD = "kt/audit/1" ‖ vault id ‖ u64 log ‖ u64 sequence number ‖ the first 17 bytes: a
 *          record opens only in its log and at its number.
 *          an outcome in the store: u8 format ‖ u16 room ‖ nonce24 ‖ packed outcome ‖ tag16, AAD =
 *          "kt/outcome/1" ‖ vault id ‖ the first 3 bytes. room: bytes its copy in the log can take.
 * Owner:   caller's buffers. The key is borrowed.
 * Threads: any thread. */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

#define AUDIT_HEADER_BYTES   17u
#define AUDIT_NONCE_BYTES    24u
#define AUDIT_TAG_BYTES      16u
#define AUDIT_OVERHEAD       (AUDIT_HEADER_BYTES + AUDIT_NONCE_BYTES + AUDIT_TAG_BYTES)
#define AUDIT_LINE_MIN       71u                               /* terse; shorter ones are filled up */
#define AUDIT_RECORD_MIN     (AUDIT_OVERHEAD + AUDIT_LINE_MIN) /* so many records fit a segment */
#define AUDIT_LINE_MAX       ((size_t)256 * 1024) /* terse, and expanded */
#define AUDIT_OUTCOME_ROOM_MAX (AUDIT_OVERHEAD + 4096u) /* of an outcome's record */
#define AUDIT_OUTCOME_FORMAT   1u
#define AUDIT_OUTCOME_OVERHEAD (3u + AUDIT_NONCE_BYTES + AUDIT_TAG_BYTES)

enum audit_kind { AUDIT_RECORD = 1, AUDIT_OUTCOME = 2 };

/* Where an outcome stands in the store's order. */
struct audit_mark {
    uint64_t generation;
    uint32_t place;
};
/* Below 0, 0, above 0: before, the same, after. */
int audit_mark_compare(struct audit_mark a, struct audit_mark b);

struct audit_sealer {
    const unsigned char *key; /* 32 bytes */
    unsigned char vault[16];
    uint64_t log;             /* fence, and in the upper 16 bits the history */
};

struct audit_header {
    uint32_t len; /* of the line */
    enum audit_kind kind;
    struct audit_mark mark;
};
/* What stands at a place, before anything is believed: false when no record can begin with these
 * AUDIT_HEADER_BYTES (zeroes, unknown kind, too long). */
bool audit_header_read(const unsigned char *at, struct audit_header *ret);
/* Writes AUDIT_OVERHEAD + header->len bytes to out. */
void audit_record_seal(const struct audit_sealer *sealer, uint64_t seq,
                       const struct audit_header *header, const unsigned char *line,
                       unsigned char *out);
/* record: exactly one, as its header says. line holds header.len bytes. False: not a record of this
 * log with this number. */
bool audit_record_open(const struct audit_sealer *sealer, uint64_t seq, struct kt_bytes record,
                       unsigned char *line);

/* Appends the sealed form to out. */
enum kt_kind audit_outcome_wrap(const struct audit_sealer *sealer, struct kt_bytes packed,
                                uint16_t room, struct kt_buf *out, struct kt_err *err)
    KT_MUST_CHECK;
/* Appends the packed outcome to out. KT_CORRUPT: it does not open. */
enum kt_kind audit_outcome_unwrap(const struct audit_sealer *sealer, struct kt_bytes sealed,
                                  struct kt_buf *out, struct kt_err *err) KT_MUST_CHECK;
/* 0 when the bytes are too short to be one. */
uint16_t audit_outcome_room(struct kt_bytes sealed);
