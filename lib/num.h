/* lib/num.h - text to number, strictly: the whole input, a range, a base.
 *
 * What:    Nothing else parses numbers in this project. False leaves *ret untouched.
 * Threads: any thread. */
#pragma once

#include "lib/bytes.h"

bool kt_u64_parse(struct kt_bytes text, uint64_t max, uint64_t *ret);           /* decimal */
bool kt_i64_parse(struct kt_bytes text, int64_t min, int64_t max, int64_t *ret); /* decimal, '-' */
/* Lower-case or upper-case hex of exactly out_len bytes. Constant time in the digits (libsodium). */
bool kt_hex_decode(struct kt_bytes text, unsigned char *out, size_t out_len);
/* out holds 2 * len + 1 bytes. */
void kt_hex_encode(const unsigned char *at, size_t len, char *out);
/* Standard base64 with padding, nothing else in it. Constant time in the characters (libsodium).
 * Use this, not sodium_base642bin: up to 1.0.18 that takes bytes over 0x7F for characters. */
bool kt_base64_decode(struct kt_bytes text, unsigned char *out, size_t out_max, size_t *ret_len);
/* Base64url without padding, of RFC 7515: one text for each value, for bits that stand for nothing are 0. */
bool kt_base64url_decode(struct kt_bytes text, unsigned char *out, size_t out_max, size_t *ret_len);
