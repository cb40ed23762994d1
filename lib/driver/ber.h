/* lib/driver/ber.h - the Basic Encoding Rules as LDAP uses them: definite lengths, tags of one byte.
 *
 * What:    Nothing is copied or allocated for what is read: kt_ber_whole() says whether an element is
 *          there, kt_ber_next() takes the next one of a body. Bodies in bodies are read one level at a
 *          time, by whoever knows what they are; nothing here is recursive.
 * Owner:   bodies point into the bytes that were read. What is written goes into the caller's buffer.
 * Limits:  BER_MAX bytes an element, whatever its length announces. Integers of at most four bytes.
 * Errors:  BER_BAD: no element that LDAP has, or too large. Reading: false, and nothing was taken.
 * Source:  RFC 4511, section 5.1; ITU-T X.690, sections 8.1 to 8.3.
 * Threads: plain functions. */
#pragma once

#include "lib/buf.h"

#define BER_MAX ((size_t)1024 * 1024)

enum {
    BER_BOOLEAN = 0x01,
    BER_INTEGER = 0x02,
    BER_OCTETS = 0x04,
    BER_ENUMERATED = 0x0a,
    BER_SEQUENCE = 0x30,
    BER_SET = 0x31,
};

struct ber {
    unsigned tag;
    struct kt_bytes body;
};

enum ber_state { BER_WHOLE, BER_MORE, BER_BAD };
/* Does a whole element stand in front? BER_WHOLE: *ret_len is its length with tag and length. */
enum ber_state kt_ber_whole(struct kt_bytes bytes, size_t *ret_len);
/* Takes the next element from *rest. False: there is none. */
bool kt_ber_next(struct kt_bytes *rest, struct ber *ret);
/* The same when it has this tag. */
bool kt_ber_take(struct kt_bytes *rest, unsigned tag, struct kt_bytes *ret_body);
/* An integer or enumerated. */
bool kt_ber_take_int(struct kt_bytes *rest, unsigned tag, int32_t *ret);

void kt_ber_add(struct kt_buf *out, unsigned tag, struct kt_bytes body);
void kt_ber_add_int(struct kt_buf *out, unsigned tag, int32_t number);
/* What is added until kt_ber_end() is in it. */
size_t kt_ber_begin(struct kt_buf *out, unsigned tag);
void kt_ber_end(struct kt_buf *out, size_t begun);
