/* lib/mariadb_hash.h - what a MariaDB server stores of a password, computed on our side.
 *
 * What:    Statements with a password in them stand in clear in the server's general, slow and binary
 *          log, hence on each replica; with a hash only the hash does. An account's way of logging in
 *          (its plugin) is the server's affair, and not known when a password is made: so the public
 *          part holds the hashes of both ways that take a hash, "*HEX BASE64", and the driver uses
 *          the one that the account has.
 * Owner:   the caller's buffers. The hashes are no secrets of ours, but keep them out of logs all the
 *          same: neither has a salt, so they are for generated passwords.
 * Limits:  passwords of 1..1024 printable ASCII characters. KT_INVALID for any other.
 * Source:  MariaDB 10.11: "Authentication Plugin - mysql_native_password", "- ed25519";
 *          plugin/auth_ed25519/ for the key (RFC 8032's, but of a password instead of a seed).
 * Threads: any thread. */
#pragma once

#include "lib/err.h"

#define KT_MARIADB_NATIVE_TEXT  42u /* '*', 40 capital hexadecimal digits, NUL */
#define KT_MARIADB_ED25519_TEXT 44u /* 43 characters of base64, NUL */
#define KT_MARIADB_PUBLIC_TEXT  (KT_MARIADB_NATIVE_TEXT + KT_MARIADB_ED25519_TEXT)

struct kt_mariadb_hashes {
    char native[KT_MARIADB_NATIVE_TEXT]; /* mysql_native_password */
    char ed25519[KT_MARIADB_ED25519_TEXT];
};

enum kt_kind kt_mariadb_public(struct kt_bytes password, char ret[KT_MARIADB_PUBLIC_TEXT],
                               struct kt_err *err) KT_MUST_CHECK;
/* False: it is not exactly of that form, *ret is not written. The server would take any 43
 * characters of base64 for a key that nobody has. */
bool kt_mariadb_split(struct kt_bytes text, struct kt_mariadb_hashes *ret);
