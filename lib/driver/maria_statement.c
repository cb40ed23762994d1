/* lib/driver/maria_statement.c - see lib/driver/maria_statement.h. */
#include "lib/driver/maria_statement.h"

#include <sodium.h>

#include "lib/random.h"

#define NATIVE  "mysql_native_password"
#define ED25519 "ed25519"

void kt_maria_quote(struct kt_buf *out, const char *text)
{
    kt_buf_add_char(out, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            kt_buf_add_char(out, '\'');
        kt_buf_add_char(out, *text);
    }
    kt_buf_add_char(out, '\'');
}

static void name_entry(const struct maria_account *account, size_t i, struct kt_buf *out)
{
    kt_maria_quote(out, account->name);
    kt_buf_add_char(out, '@');
    kt_maria_quote(out, account->entries[i].host);
}

void kt_maria_name_all(const struct maria_account *account, const char *prefix, struct kt_buf *out)
{
    kt_buf_add_text(out, prefix);
    for (size_t i = 0; i < account->n; i++) {
        kt_buf_add_text(out, i == 0 ? " " : ", ");
        name_entry(account, i, out);
    }
}

static bool takes_hash(const char *plugin, size_t len)
{
    return (len == sizeof NATIVE - 1 && memcmp(plugin, NATIVE, len) == 0) ||
           (len == sizeof ED25519 - 1 && memcmp(plugin, ED25519, len) == 0);
}

/* Each quoted word of the list; a null stands for the first way. */
static bool all_take_hash(const char *list)
{
    for (const char *at = list; (at = strchr(at, '"')) != NULL;) {
        size_t len = strcspn(++at, "\"");
        if (!takes_hash(at, len))
            return false;
        at += len + (at[len] == '"');
    }
    return true;
}

const struct maria_entry *kt_maria_foreign(const struct maria_account *account)
{
    for (size_t i = 0; i < account->n; i++) {
        const struct maria_entry *entry = &account->entries[i];
        bool known = entry->plugin[0] == '\0' || takes_hash(entry->plugin, strlen(entry->plugin));
        if (!known || !all_take_hash(entry->others))
            return entry;
    }
    return NULL;
}

static bool is_ed25519(const struct maria_entry *entry)
{
    return strcmp(entry->plugin, ED25519) == 0;
}

static void alter(const struct maria_account *account, const struct kt_mariadb_hashes *hashes,
                  size_t n, const char *lock, struct kt_buf *out)
{
    kt_buf_add_text(out, "ALTER USER");
    for (size_t i = 0; i < account->n; i++) {
        bool key = is_ed25519(&account->entries[i]);
        kt_buf_add_text(out, i == 0 ? " " : ", ");
        name_entry(account, i, out);
        for (size_t way = 0; way < n; way++) {
            kt_buf_add_text(out, way == 0 ? " IDENTIFIED VIA " : " OR ");
            kt_buf_add_text(out, key ? ED25519 " USING " : NATIVE " USING ");
            kt_maria_quote(out, key ? hashes[way].ed25519 : hashes[way].native);
        }
    }
    kt_buf_add_text(out, lock);
}

void kt_maria_set_hashes(const struct maria_account *account,
                         const struct kt_mariadb_hashes *hashes, size_t n, struct kt_buf *out)
{
    alter(account, hashes, n, " ACCOUNT UNLOCK", out);
}

/* "invalid" is the server's own word for a hash that nothing has. For a key it has none: a random one
 * is as good, since nobody has what it would be made of. */
void kt_maria_retire(const struct maria_account *account, struct kt_buf *out)
{
    unsigned char key[32];
    struct kt_mariadb_hashes nothing = {.native = "invalid"};
    kt_random(key, sizeof key);
    (void)sodium_bin2base64(nothing.ed25519, sizeof nothing.ed25519, key, sizeof key,
                            sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    alter(account, &nothing, 1, " ACCOUNT LOCK", out);
}
