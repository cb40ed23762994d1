/* What "secretctl write" takes as words: names that the API has there, and none that holds a secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cli/write_settings.h"
#include "tests/support/routes.h"

/* Of the API's fields those that hold what nobody else may see, or may hold it. */
static const char *const secrets[] = {"password", "secret_id", "role_id", "token", "key", "jwt", "id", "nonce", "otp",
                                      "responses", "login_id", "metadata", "custom_metadata", "meta", "data", "input",
                                      "value", "policy", "provider_config", "oidc_client_secret", "claim_mappings",
                                      "admin_password", "shares", "secret_id_accessor", "accessor"};

struct looked {
    const char *prefix, *name;
    unsigned found;
};

static void look(void *arg, const struct engine *engine, const struct route *route)
{
    struct looked *l = arg;
    char path[512];
    routes_example(engine, route, path, sizeof path);
    if (route->write == NULL || strncmp(path, l->prefix, strlen(l->prefix)) != 0)
        return;
    for (const struct field *f = route->fields; f != NULL && f->name != NULL; f++)
        l->found += strcmp(f->name, l->name) == 0;
}

static void are_fields_of_the_api(void **state)
{
    const char *prefix = NULL, *const *names = NULL;
    (void)state;
    for (unsigned i = 0; write_settings_row(i, &prefix, &names); i++)
        for (; *names != NULL; names++) {
            struct looked l = {prefix, *names, 0};
            (void)routes_each(look, &l);
            if (l.found == 0)
                fail_msg("%s: no field is named '%s'", prefix, *names);
        }
}

static void are_no_secrets(void **state)
{
    const char *prefix = NULL, *const *names = NULL;
    (void)state;
    for (unsigned i = 0; write_settings_row(i, &prefix, &names); i++)
        for (; *names != NULL; names++)
            for (size_t k = 0; k < sizeof secrets / sizeof secrets[0]; k++)
                if (strcmp(*names, secrets[k]) == 0)
                    fail_msg("%s: '%s' may hold a secret", prefix, *names);
}

static void belong_to_paths(void **state)
{
    static const struct {
        const char *path, *name;
        bool is;
    } rows[] = {{"identity/group", "name", true},
                {"/v1/identity/group/name/x", "policies", true},
                {"v1/auth/cert/certs/web", "token_policies", true},
                {"rotation/clock", "accept", true},
                {"rotation/clocks", "accept", false},
                {"secret/data/identity/group", "name", false},
                {"sys/approvals/rules", "group", false},
                {"auth/userpass/users/bob", "password", false},
                {"auth/token/create", "id", false},
                {"cubbyhole/auth/x", "ttl", false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (write_setting_is_public(rows[i].path, rows[i].name) != rows[i].is)
            fail_msg("%s of %s: wanted %d", rows[i].name, rows[i].path, rows[i].is);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(are_fields_of_the_api),
        cmocka_unit_test(are_no_secrets),
        cmocka_unit_test(belong_to_paths),
    };
    return cmocka_run_group_tests_name("write settings", tests, NULL, NULL);
}
