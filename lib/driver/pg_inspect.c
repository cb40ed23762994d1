/* lib/driver/pg_inspect.c - see lib/driver/pg_inspect.h. */
#include "lib/driver/pg_inspect.h"

#include <stdio.h>

struct inspection {
    const struct driver_run *run;
    struct pg_session *s;
    struct driver_result *ret;
};

static const char *text(const char *maybe)
{
    return maybe == NULL ? "" : maybe;
}

static bool has_group(const struct driver_step *step)
{
    return text(step->group)[0] != '\0';
}

enum column {
    CAN_LOGIN,
    SUPER,
    CREATES_ROLES,
    VALID_UNTIL,
    LIMIT,
    COMMENT,
    SETTINGS,
    STARTS_AS, /* "": as itself */
    SESSIONS,
    OWNS,
    IN_GROUP,
    COLUMNS
};

static const char role_statement[] =
    "SELECT r.rolcanlogin, r.rolsuper, r.rolcreaterole, coalesce(r.rolvaliduntil::text, ''), "
    "r.rolconnlimit, coalesce(shobj_description(r.oid, 'pg_authid'), ''), "
    "coalesce((SELECT string_agg(d.setdatabase || ':' || array_to_string(d.setconfig, ','), ' ' "
    "          ORDER BY d.setdatabase) FROM pg_db_role_setting d WHERE d.setrole = r.oid), ''), "
    /* The nearest setting counts: of the role here, of the role, of this database, of all. */
    "coalesce((SELECT substr(o, 6) FROM pg_db_role_setting d, unnest(d.setconfig) o "
    "  WHERE o LIKE 'role=%' AND d.setrole IN (0, r.oid) AND d.setdatabase IN "
    "  (0, (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())) "
    "  ORDER BY d.setrole = 0, d.setdatabase = 0 LIMIT 1), ''), "
    "(SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid), "
    "(SELECT count(*) FROM pg_shdepend o WHERE o.refclassid = 'pg_authid'::regclass "
    "  AND o.refobjid = r.oid AND o.deptype = 'o'), "
    "coalesce((SELECT pg_has_role(r.oid, g.oid, 'MEMBER') FROM pg_roles g WHERE g.rolname = $2), false) "
    "FROM pg_roles r WHERE r.rolname = $1";

/* The row of `role` as copies; false: reported. *ret_there: is there such a role? */
static bool read_role(struct inspection *c, const char *role, const char *cells[COLUMNS],
                      bool *ret_there)
{
    const char *values[] = {role, text(c->run->step->group)};
    if (!kt_pg_ask(c->s, role_statement, 2, values))
        return false;
    *ret_there = kt_pg_count(c->s) == 1;
    for (size_t i = 0; i < COLUMNS; i++)
        cells[i] = text(kt_arena_text(c->run->arena, kt_str(kt_pg_cell(c->s, 0, i))));
    return true;
}

/* "" where sessions of the role start as the group, which verify asks for; else what mends it. */
static void find_start(struct inspection *c, const char *role, const char *const cells[COLUMNS], char ret[DRIVER_TEXT])
{
    const char *group = text(c->run->step->group);
    ret[0] = '\0';
    if (!has_group(c->run->step))
        return;
    if (strcmp(cells[IN_GROUP], "t") != 0)
        (void)!snprintf(ret, DRIVER_TEXT, "'%s' is not in '%s': GRANT %s TO %s", role, group, group, role);
    else if (strcmp(cells[STARTS_AS], group) != 0)
        (void)!snprintf(ret, DRIVER_TEXT, "'%s' does not start as '%s': ALTER ROLE %s SET role = '%s'", role, group, role,
                        group);
}

static void judge_role(struct inspection *c, const char *role, const char *const cells[COLUMNS])
{
    const struct driver_step *step = c->run->step;
    const char *group = text(step->group);
    if (strcmp(cells[SUPER], "t") == 0 || strcmp(cells[CREATES_ROLES], "t") == 0)
        kt_driver_finding(c->run, c->ret, "'%s' is an administrator (superuser or CREATEROLE)",
                          role);
    if (!has_group(step))
        return;
    if (strcmp(cells[OWNS], "0") != 0)
        kt_driver_finding(c->run, c->ret,
                          "'%s' owns %s objects: REASSIGN OWNED BY %s TO %s in each database", role,
                          cells[OWNS], role, group);
}

static bool compare_accounts(struct inspection *c, const char *const one[COLUMNS])
{
    const char *account = c->run->step->account, *other = text(c->run->step->other_account);
    const char *two[COLUMNS];
    bool there = false;
    if (other[0] == '\0')
        return true;
    if (!read_role(c, other, two, &there))
        return false;
    if (!there) {
        kt_driver_finding(c->run, c->ret, "there is no role '%s'", other);
        return true;
    }
    char start[DRIVER_TEXT]; /* it is the next run's to need it */
    find_start(c, other, two, start);
    if (start[0] != '\0')
        kt_driver_finding(c->run, c->ret, "%s", start);
    judge_role(c, other, two);
    if (strcmp(one[LIMIT], two[LIMIT]) != 0)
        kt_driver_finding(c->run, c->ret, "connection limits differ: '%s' %s, '%s' %s", account,
                          one[LIMIT], other, two[LIMIT]);
    if (strcmp(one[SETTINGS], two[SETTINGS]) != 0)
        kt_driver_finding(c->run, c->ret, "settings differ: '%s' has %s, '%s' has %s", account,
                          one[SETTINGS], other, two[SETTINGS]);
    return true;
}

static bool find_strangers(struct inspection *c)
{
    const struct driver_step *step = c->run->step;
    const char *values[] = {text(step->group), step->account, text(step->other_account)};
    if (has_group(step)) {
        if (!kt_pg_ask(
                c->s,
                "SELECT a.rolname FROM pg_auth_members m JOIN pg_roles a ON a.oid = m.member "
                "JOIN pg_roles g ON g.oid = m.roleid WHERE g.rolname = $1 AND a.rolcanlogin "
                "AND a.rolname NOT IN ($2, $3) ORDER BY 1 LIMIT 5",
                3, values))
            return false;
        for (size_t i = 0; i < kt_pg_count(c->s); i++)
            kt_driver_finding(c->run, c->ret, "'%s' can log in and is in '%s', too",
                              kt_pg_cell(c->s, i, 0), step->group);
    }
    /* Only a superuser may look; others have the control probe. */
    if (kt_pg_ask(c->s,
                  "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'trust' "
                  "HAVING count(*) > 0",
                  0, NULL) &&
        kt_pg_count(c->s) == 1)
        kt_driver_finding(c->run, c->ret, "pg_hba.conf has %s lines with trust",
                          kt_pg_cell(c->s, 0, 0));
    return true;
}

static void judge_account(struct inspection *c, const char *account,
                          const char *const cells[COLUMNS])
{
    kt_driver_evidence(c->run, cells[COMMENT], c->ret->comment, sizeof(c->ret->comment));
    for (const char *at = cells[SESSIONS]; *at >= '0' && *at <= '9'; at++)
        c->ret->sessions = c->ret->sessions * 10 + (uint32_t)(*at - '0');
    if (strcmp(cells[CAN_LOGIN], "f") == 0)
        kt_driver_finding(c->run, c->ret, "'%s' cannot log in", account);
    if (cells[VALID_UNTIL][0] != '\0' && strcmp(cells[VALID_UNTIL], "infinity") != 0)
        kt_driver_finding(c->run, c->ret, "the password of '%s' is valid until %s", account,
                          cells[VALID_UNTIL]);
    judge_role(c, account, cells);
}

bool kt_pg_inspect(struct pg_session *s, struct driver_result *ret, char ret_unfit[DRIVER_TEXT])
{
    struct inspection c = {s->run, s, ret};
    const char *account = s->run->step->account;
    const char *cells[COLUMNS];
    bool there = false;
    ret_unfit[0] = '\0';
    if (!read_role(&c, account, cells, &there))
        return false;
    if (!there) {
        kt_driver_finding(c.run, ret, "there is no role '%s'", account);
        return find_strangers(&c);
    }
    find_start(&c, account, cells, ret_unfit);
    judge_account(&c, account, cells);
    return compare_accounts(&c, cells) && find_strangers(&c);
}
