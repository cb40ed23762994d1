/* tests/fuzz/mariadb.c - what a MariaDB server says of an account, and names of people: a statement
 * with them has its quotes in pairs, whatever they hold; hashes are taken in one form only. */
#include "lib/assert.h"
#include "lib/driver/maria_statement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FIELD_MAX 512u

/* Up to a line's end, as a C string. */
static struct kt_bytes take_line(struct kt_bytes *rest, char *ret)
{
    size_t len = 0;
    while (len < rest->len && rest->at[len] != '\n' && rest->at[len] != '\0' && len < FIELD_MAX)
        len++;
    memcpy(ret, rest->at, len);
    ret[len] = '\0';
    size_t used = len + (len < rest->len);
    *rest = kt_bytes(rest->at + used, rest->len - used);
    return kt_bytes(ret, len);
}

static void check_hashes(struct kt_bytes line)
{
    struct kt_mariadb_hashes hashes;
    if (!kt_mariadb_split(line, &hashes))
        return;
    KT_ASSERT(strchr(hashes.native, '\'') == NULL && strchr(hashes.ed25519, '\'') == NULL);
    KT_ASSERT(strlen(hashes.native) + 1 + strlen(hashes.ed25519) == line.len);
}

static void check_quotes(const char *text)
{
    size_t quotes = 0;
    for (; *text != '\0'; text++)
        quotes += *text == '\'';
    KT_ASSERT(quotes % 2 == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
#define HASHES                                                                                     \
    {                                                                                              \
        .native = "*0123456789ABCDEF0123456789ABCDEF01234567",                                     \
        .ed25519 = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"                                   \
    }
    static const struct kt_mariadb_hashes hashes[] = {HASHES, HASHES};
    char name[FIELD_MAX + 1], host[FIELD_MAX + 1], plugin[FIELD_MAX + 1], others[FIELD_MAX + 1];
    struct kt_bytes rest = kt_bytes(data, size);
    check_hashes(take_line(&rest, name));
    (void)take_line(&rest, host);
    (void)take_line(&rest, plugin);
    (void)take_line(&rest, others);
    const struct maria_account account = {
        .name = name,
        .entries = {{.host = host, .plugin = plugin, .others = others, .role = ""}},
        .n = 1};
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 8192);
    kt_maria_set_hashes(&account, hashes, 1 + size % 2, &out);
    check_quotes(kt_buf_text(&out));
    /* What was not taken for a known plugin is never changed. */
    if (kt_maria_foreign(&account) == NULL)
        KT_ASSERT(plugin[0] == '\0' || strcmp(plugin, "ed25519") == 0 ||
                  strcmp(plugin, "mysql_native_password") == 0);
    return 0;
}
