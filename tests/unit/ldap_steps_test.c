/* tests/unit/ldap_steps_test.c - what each step of the LDAP driver changes, with a worker that has no memory
 * left for its texts: a change is what it was to be, or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/driver/form.h"
#include "lib/driver/ldap.h"
#include "lib/driver/ldap_session.h"
#include "lib/ipc.h"
#include "lib/secret.h"
#include "tests/support/rows.h"

#define APP "uid=app,dc=x"

/* The server: what was changed, a change a line, and what it says to the first of them. */
static struct {
    char said[2048];
    const char *code, *detail;
    unsigned changes;
    bool locked;
} server;

bool __wrap_kt_ldap_open(const struct driver_run *run, const struct driver_login *login,
                         struct ldap_session *s);
bool __wrap_kt_ldap_open(const struct driver_run *run, const struct driver_login *login,
                         struct ldap_session *s)
{
    *s = (struct ldap_session){.run = run, .stream.is_open = true, .policy = LDAP_POLICY_NONE, .grace = -1};
    if (kt_bytes_is(login->password, "right"))
        return true;
    memcpy(s->code, "49", sizeof("49"));
    return false;
}

void __wrap_kt_ldap_close(struct ldap_session *s);
void __wrap_kt_ldap_close(struct ldap_session *s)
{
    s->stream.is_open = false;
}

bool __wrap_kt_ldap_change(struct ldap_session *s, const char *dn, enum ldap_change change,
                           const char *attribute, const struct kt_bytes *value);
bool __wrap_kt_ldap_change(struct ldap_session *s, const char *dn, enum ldap_change change,
                           const char *attribute, const struct kt_bytes *value)
{
    static const char *const names[] = {"add", "delete", "replace"};
    size_t len = strlen(server.said);
    (void)snprintf(server.said + len, sizeof(server.said) - len, "%s %s of %s: %.*s\n", names[change],
                   attribute, dn, value == NULL ? 3 : (int)value->len,
                   value == NULL ? "all" : (const char *)value->at);
    bool first = server.changes++ == 0;
    (void)snprintf(s->code, sizeof(s->code), "%s", first ? server.code : "");
    (void)snprintf(s->detail, sizeof(s->detail), "%s", first ? server.detail : "");
    return s->code[0] == '\0';
}

bool __wrap_kt_ldap_look(struct ldap_session *s, const char *dn, size_t n, const char *const *attributes,
                         struct kt_bytes *ret);
bool __wrap_kt_ldap_look(struct ldap_session *s, const char *dn, size_t n, const char *const *attributes,
                         struct kt_bytes *ret)
{
    static const char locked[] = "\x30\x1b\x04\x14pwdAccountLockedTime\x31\x03\x04\x01x";
    (void)s;
    (void)dn;
    bool asked = n == 1 && strcmp(attributes[0], "pwdAccountLockedTime") == 0;
    *ret = asked && server.locked ? kt_bytes(locked, sizeof(locked) - 1) : kt_bytes(NULL, 0);
    return true;
}

static void run_step(struct driver_step step, struct driver_result *ret)
{
    struct kt_arena none;
    kt_arena_init(&none, 0);
    step.driver = "ldap";
    step.account = APP;
    if (step.logins[DRIVER_ADMIN].username == NULL)
        step.logins[DRIVER_ADMIN] = (struct driver_login){"cn=keyturn", kt_str("right")};
    struct kt_redactor *redactor = kt_driver_redactor(&step);
    const struct driver_run run = {
        .step = &step, .arena = &none, .redactor = redactor, .deadline = kt_ipc_deadline(60000)};
    *ret = (struct driver_result){.code = ""};
    kt_ldap_run(&run, ret);
    kt_redactor_free(redactor);
    kt_arena_free(&none);
}

static const struct row {
    const char *name;
    enum driver_op op;
    const char *public_part, *keep, *code, *detail;
    const char *said;
    enum driver_class class;
} rows[] = {
    {"beside the old one", DRIVER_APPLY, "NEW", "OLD", "", "", "add userPassword of " APP ": NEW\n", DRIVER_OK},
    {"it is there already", DRIVER_APPLY, "NEW", "OLD", "20", "modify/add: userPassword: value #0 already exists",
     "add userPassword of " APP ": NEW\n", DRIVER_OK},
    {"alone", DRIVER_APPLY, "NEW", "", "", "", "replace userPassword of " APP ": NEW\n", DRIVER_OK},
    {"alone, and there already", DRIVER_APPLY, "NEW", "", "20", "", "replace userPassword of " APP ": NEW\n",
     DRIVER_PERMANENT},
    {"a policy's history, in the same second", DRIVER_APPLY, "NEW", "OLD", "20",
     "modify/add: pwdHistory: value #0 already exists",
     "add userPassword of " APP ": NEW\nadd userPassword of " APP ": NEW\n", DRIVER_OK},
    {"restored beside", DRIVER_RESTORE, "OLD", "NEW", "", "", "add userPassword of " APP ": OLD\n", DRIVER_OK},
    {"a rule of the server's", DRIVER_APPLY, "NEW", "OLD", "19", "", "add userPassword of " APP ": NEW\n",
     DRIVER_BAD_VALUE},
    {"too soon after the last change", DRIVER_APPLY, "NEW", "OLD", "19", "Password is too young to change",
     "add userPassword of " APP ": NEW\n", DRIVER_PERMANENT},
    {"a policy that refuses hashes", DRIVER_APPLY, "NEW", "OLD", "19", "Password fails quality checking policy",
     "add userPassword of " APP ": NEW\n", DRIVER_PERMANENT},
    {"a policy that refuses hashes by now", DRIVER_REVOKE, "", "NEW", "19", "Password fails quality checking policy",
     "replace userPassword of " APP ": NEW\n", DRIVER_UNREACH},
    {"too soon to leave the new one alone", DRIVER_REVOKE, "", "NEW", "19", "Password is too young to change",
     "replace userPassword of " APP ": NEW\n", DRIVER_UNREACH},
    {"no such entry", DRIVER_APPLY, "NEW", "", "32", "", "replace userPassword of " APP ": NEW\n", DRIVER_PERMANENT},
    {"going on leaves the new one", DRIVER_REVOKE, "", "NEW", "", "", "replace userPassword of " APP ": NEW\n",
     DRIVER_OK},
    {"going back ends the new one", DRIVER_REVOKE, "NEW", "OLD", "", "", "delete userPassword of " APP ": NEW\n",
     DRIVER_OK},
    {"going back, and it is gone", DRIVER_REVOKE, "NEW", "OLD", "16", "", "delete userPassword of " APP ": NEW\n",
     DRIVER_OK},
    {"going back without the right", DRIVER_REVOKE, "NEW", "OLD", "50", "", "delete userPassword of " APP ": NEW\n",
     DRIVER_PERMANENT},
    {"closed", DRIVER_REVOKE, "", "", "", "", "delete userPassword of " APP ": all\n", DRIVER_OK},
    {"closed already", DRIVER_REVOKE, "", "", "16", "", "delete userPassword of " APP ": all\n", DRIVER_OK},
    {"an entry that is gone", DRIVER_REVOKE, "", "", "32", "", "delete userPassword of " APP ": all\n", DRIVER_OK},
    {"closing a class that wants a password", DRIVER_REVOKE, "", "", "65", "", "delete userPassword of " APP ": all\n",
     DRIVER_PERMANENT},
    {"a replica", DRIVER_REVOKE, "", "NEW", "10", "", "replace userPassword of " APP ": NEW\n", DRIVER_UNREACH},
    {"no answer", DRIVER_REVOKE, "", "NEW", "timeout", "", "replace userPassword of " APP ": NEW\n", DRIVER_UNREACH},
};

static void steps(void **state)
{
    const struct row *row = *state;
    struct driver_result ret;
    memset(&server, 0, sizeof(server));
    server.code = row->code;
    server.detail = row->detail;
    run_step((struct driver_step){.op = row->op,
                                  .public_part = kt_str(row->public_part),
                                  .keep_part = kt_str(row->keep)},
             &ret);
    assert_string_equal(server.said, row->said);
    if (ret.class != row->class)
        fail_msg("expected %s, got %s: %s", kt_driver_class_text(row->class), kt_driver_class_text(ret.class),
                 ret.text);
}

/* Who gave no right password is refused, unless the account is locked: then nobody knows. */
static void probes(void **state)
{
    (void)state;
    for (int locked = 0; locked < 2; locked++) {
        struct driver_result ret;
        struct driver_step step = {.op = DRIVER_PROBE};
        memset(&server, 0, sizeof(server));
        server.locked = locked == 1;
        step.logins[DRIVER_CONTROL] = (struct driver_login){APP, kt_str("never-issued")};
        step.logins[DRIVER_NEW] = (struct driver_login){APP, kt_str("right")};
        step.logins[DRIVER_OLD] = (struct driver_login){APP, kt_str("wrong")};
        run_step(step, &ret);
        assert_int_equal(ret.replies[DRIVER_ADMIN].answer, ANSWER_ACCEPTED);
        assert_int_equal(ret.replies[DRIVER_CONTROL].answer, locked ? ANSWER_UNKNOWN : ANSWER_REFUSED);
        assert_int_equal(ret.replies[DRIVER_NEW].answer, locked ? ANSWER_UNKNOWN : ANSWER_ACCEPTED);
        assert_int_equal(ret.replies[DRIVER_OLD].answer, locked ? ANSWER_UNKNOWN : ANSWER_REFUSED);
        assert_string_equal(ret.replies[DRIVER_OLD].code, locked ? "skipped" : "49");
        assert_int_equal(ret.class, locked ? DRIVER_UNREACH : DRIVER_OK);
    }
}

#define COUNT (sizeof(rows) / sizeof(rows[0]))

int main(void)
{
    struct CMUnitTest tests[COUNT + 1] = {cmocka_unit_test(probes)};
    struct kt_err err;
    if (kt_secret_init(&err) != KT_OK)
        return 1;
    (void)add_rows(tests, 1, rows, COUNT, sizeof(rows[0]), steps);
    return cmocka_run_group_tests_name("ldap_steps", tests, NULL, NULL);
}
