/* What an issuer may not sign: refused where it is set, told of where the issuer changed since. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/rotation_scene.h"

#define CA   "rotation/secrets/secret/ca"
#define LEAF "rotation/secrets/secret/leaf"
#define AUTHORITY(more) "{\"generator\":{\"type\":\"x509-ca\",\"common_name\":\"Web\"," more "}}"
#define NAMES(names)    "{\"generator\":{\"type\":\"x509\",\"issuer\":\"secret/ca\",\"names\":\"" names "\"}}"

static struct scene *authority(const char *strategy, const char *settings)
{
    struct scene *s = scene(strategy);
    need(s, 204, "POST", CA, settings);
    need(s, 200, "POST", "rotation/rotate/secret/ca", "{}");
    return s;
}

static void refused_where_it_is_set(void **state)
{
    static const struct {
        const char *settings, *says;
    } rows[] = {{NAMES("a.example.com,10.0.0.7"), "version 1 of the issuer 'secret/ca': the issuer may not sign for "
                                                  "the name '10.0.0.7': its names are of other kinds"},
                {NAMES("a.example.org"), "may not sign for the name 'a.example.org'\",\"take it out of generator.names"}};
    struct scene *s = authority(*state, AUTHORITY("\"names\":\"example.com\""));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        need(s, 400, "POST", LEAF, rows[i].settings);
        says(s, rows[i].says);
        need(s, 404, "GET", LEAF, NULL);
    }
    need(s, 204, "POST", LEAF, NAMES("a.example.com"));
    need(s, 200, "POST", "rotation/rotate/secret/leaf", "{}");
    scene_end(s);
}

static void warned_of_an_issuer_to_come(void **state)
{
    struct scene *s = scene(*state);
    need(s, 200, "POST", LEAF, NAMES("a.example.com"));
    says(s, "a rotation would be refused now: the issuer 'secret/ca' has no version to sign with");
    need(s, 204, "POST", CA, AUTHORITY("\"life\":\"30d\""));
    need(s, 200, "POST", "rotation/rotate/secret/ca", "{}");
    need(s, 200, "POST", LEAF, NAMES("a.example.com"));
    says(s, "the issuer ends before a certificate of this life would");
    scene_end(s);
}

static void told_of_a_changed_issuer(void **state)
{
    struct scene *s = authority(*state, AUTHORITY("\"names\":\"example.com\""));
    need(s, 204, "POST", LEAF, NAMES("a.example.com"));
    need(s, 200, "GET", LEAF, NULL);
    says(s, "\"refused\":\"\"");
    need(s, 204, "POST", CA, AUTHORITY("\"names\":\"example.org\""));
    need(s, 200, "POST", "rotation/rotate/secret/ca", "{}");
    need(s, 200, "GET", LEAF, NULL);
    says(s, "\"refused\":\"version 2 of the issuer 'secret/ca': the issuer may not sign for the name "
            "'a.example.com'; take it out");
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALTERNATE(refused_where_it_is_set),
        ALTERNATE(warned_of_an_issuer_to_come),
        ALTERNATE(told_of_a_changed_issuer),
    };
    return cmocka_run_group_tests_name("rotation signing", tests, NULL, NULL);
}
