/* vaultd/barrier/shamir.h - Shamir's secret sharing over GF(256), in constant time.
 *
 * What:    Splits 32 bytes into n shares of which any k give them back. Multiplication is eight
 *          masked shift-and-xor steps over the AES polynomial 0x11B, inversion a fixed chain: no
 *          table, no branch and no index depends on secret data.
 * Format:  a share is 33 bytes: 32 bytes y, then x (1..255): the form that Vault's users know, so
 *          hex (66 characters) and standard base64 both are accepted as text.
 * Owner:   caller's arrays; the caller wipes them.
 * Errors:  combining wrong shares gives wrong bytes, not an error: who opens a sealed record with
 *          them learns it. KT_INVALID for two shares with one x, or x = 0.
 * Source:  A. Shamir, "How to share a secret", CACM 22 (1979); FIPS 197 for the field.
 * Threads: any thread. */
#pragma once

#include "lib/err.h"

#define SHAMIR_SECRET_BYTES 32u
#define SHAMIR_SHARE_BYTES  33u
#define SHAMIR_SHARES_MAX   255u

/* 1 <= threshold <= shares <= 255; n/1 with n > 1 is refused. */
enum kt_kind shamir_split(const unsigned char secret[SHAMIR_SECRET_BYTES], unsigned threshold,
                          unsigned shares, unsigned char ret[][SHAMIR_SHARE_BYTES],
                          struct kt_err *err) KT_MUST_CHECK;
enum kt_kind shamir_combine(const unsigned char shares[][SHAMIR_SHARE_BYTES], unsigned count,
                            unsigned char ret[SHAMIR_SECRET_BYTES], struct kt_err *err)
    KT_MUST_CHECK;
/* Hex or standard base64 of exactly 33 bytes with x != 0. The error never quotes the text. */
enum kt_kind shamir_share_parse(struct kt_bytes text, unsigned char ret[SHAMIR_SHARE_BYTES],
                                struct kt_err *err) KT_MUST_CHECK;
