/* lib/driver/maria_statement.h - the statements that change an account, as text.
 *
 * What:    An account's entries, one for each host, and what is said to the server about them.
 * Threads: plain functions; the buffer is the caller's, and says whether it all fitted.
 * Source:  MariaDB 10.11's manual: ALTER USER, CREATE USER, SET DEFAULT ROLE, "String Literals". */
#pragma once

#include "lib/buf.h"
#include "lib/mariadb_hash.h"

#define MARIA_ENTRIES_MAX 32u

struct maria_entry {
    const char *host;
    const char *plugin; /* of its first way in; "" is mysql_native_password */
    const char *others; /* of further ways in: ["ed25519", ...]; "": none */
    const char *role;   /* the default role; "": none */
    bool locked;
};
struct maria_account {
    const char *name;
    struct maria_entry entries[MARIA_ENTRIES_MAX];
    size_t n;
};

/* A literal, for a session with NO_BACKSLASH_ESCAPES: nothing but the quote has a meaning in it. */
void kt_maria_quote(struct kt_buf *out, const char *text);
/* The first entry with a way in that takes no hash, or NULL: such an account is left alone. */
const struct maria_entry *kt_maria_foreign(const struct maria_account *account);
/* Each entry accepts the n (1 or 2) passwords of these hashes, and no other. */
void kt_maria_set_hashes(const struct maria_account *account,
                         const struct kt_mariadb_hashes *hashes, size_t n, struct kt_buf *out);
/* Each entry accepts nothing. Its plugin stays, so that the next password is taken as the last was. */
void kt_maria_retire(const struct maria_account *account, struct kt_buf *out);
/* "PREFIX 'name'@'host', 'name'@'host'" */
void kt_maria_name_all(const struct maria_account *account, const char *prefix, struct kt_buf *out);
