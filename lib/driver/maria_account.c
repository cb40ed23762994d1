/* lib/driver/maria_account.c - see lib/driver/maria_account.h. */
#include "lib/driver/maria_account.h"

#include "lib/num.h"

#define STATEMENT_MAX ((size_t)4096)

/* A routine that runs with its caller's rights is none of ours: who made it would have them. */
bool kt_maria_uses_routines(struct maria_session *s)
{
    return !kt_maria_run(s, "SELECT 1 FROM mysql.global_priv LIMIT 0") &&
           kt_maria_run(s, "SELECT COUNT(*) FROM information_schema.ROUTINES "
                           "WHERE ROUTINE_SCHEMA = 'keyturn' AND SECURITY_TYPE = 'DEFINER' AND "
                           "ROUTINE_NAME IN ('set_hashes', 'retire', 'end_sessions', 'sessions')") &&
           strcmp(kt_maria_cell(s, 0, 0), "4") == 0;
}

/* The same columns in both: the view that the routines come with, and the server's own table. */
static const char from_view[] = "SELECT host, plugin, others, role, locked FROM keyturn.accounts "
                                "WHERE account = ";
static const char from_table[] =
    "SELECT host, COALESCE(JSON_VALUE(priv, '$.plugin'), ''), "
    "COALESCE(JSON_EXTRACT(priv, '$.auth_or[*].plugin'), ''), "
    "COALESCE(JSON_VALUE(priv, '$.default_role'), ''), "
    "COALESCE(JSON_VALUE(priv, '$.account_locked'), 0) FROM mysql.global_priv "
    "WHERE JSON_VALUE(priv, '$.is_role') IS NULL AND user = ";

static bool no_memory(struct maria_session *s)
{
    memcpy(s->code, "memory", sizeof("memory"));
    s->detail[0] = '\0';
    return false;
}

static bool ask_about(struct maria_session *s, const char *question, const char *name,
                      const char *end)
{
    kt_autobuf struct kt_buf statement;
    kt_buf_init(&statement, STATEMENT_MAX);
    kt_buf_add_text(&statement, question);
    kt_maria_quote(&statement, name);
    kt_buf_add_text(&statement, end);
    return kt_buf_ok(&statement) ? kt_maria_run(s, kt_buf_text(&statement)) : no_memory(s);
}

static const char *copy(struct maria_session *s, size_t row, size_t column)
{
    return kt_arena_text(s->run->arena, kt_str(kt_maria_cell(s, row, column)));
}

/* False without memory: an empty host would name another account, an empty plugin is another way in. */
static bool read_entry(struct maria_session *s, size_t row, struct maria_entry *ret)
{
    *ret = (struct maria_entry){.host = copy(s, row, 0),
                                .plugin = copy(s, row, 1),
                                .others = copy(s, row, 2),
                                .role = copy(s, row, 3),
                                .locked = strcmp(kt_maria_cell(s, row, 4), "0") != 0};
    return ret->host != NULL && ret->plugin != NULL && ret->others != NULL && ret->role != NULL;
}

bool kt_maria_read_account(struct maria_session *s, bool routines, const char *name,
                           struct maria_account *ret)
{
    *ret = (struct maria_account){.name = name};
    if (!ask_about(s, routines ? from_view : from_table, name, " ORDER BY host"))
        return false;
    for (size_t row = 0; row < kt_maria_count(s) && row < MARIA_ENTRIES_MAX; row++)
        if (!read_entry(s, row, &ret->entries[ret->n++]))
            return no_memory(s);
    if (kt_maria_count(s) <= MARIA_ENTRIES_MAX)
        return true;
    memcpy(s->code, "hosts", sizeof("hosts"));
    (void)memcpy(s->detail, "the account has too many hosts", sizeof("the account has too many hosts"));
    return false;
}

/* As the tables of rights write it, in quotes. A user's name may have an '@' in it, a host has none:
 * the last one is between them. */
#define ME                                                                                         \
    "CONCAT('''', INSERT(CURRENT_USER(), CHAR_LENGTH(CURRENT_USER()) - "                           \
    "CHAR_LENGTH(SUBSTRING_INDEX(CURRENT_USER(), '@', -1)), 1, '''@'''), '''')"

bool kt_maria_may(struct maria_session *s, const char *privilege)
{
    return ask_about(s, "SELECT 1 FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = ",
                     privilege,
                     " AND GRANTEE IN (" ME ", CONCAT('''', CURRENT_ROLE(), '''@'''''))") &&
           kt_maria_count(s) > 0;
}

bool kt_maria_sessions(struct maria_session *s, bool routines, const char *name, uint32_t *ret,
                       bool *ret_seen)
{
    uint64_t sessions = 0;
    *ret = 0;
    /* Without it a login sees its own only, and no other is no proof that there is none. */
    *ret_seen = routines || kt_maria_may(s, "PROCESS");
    if (!*ret_seen)
        return s->conn != NULL;
    bool ok = routines ? ask_about(s, "SELECT keyturn.sessions(", name, ")")
                       : ask_about(s, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE user = ",
                                   name, "");
    if (!ok)
        return false;
    if (!kt_u64_parse(kt_str(kt_maria_cell(s, 0, 0)), UINT32_MAX, &sessions))
        return false;
    *ret = (uint32_t)sessions;
    return true;
}
