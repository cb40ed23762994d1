/* auth/jwt in a whole vault: settings, roles, what a token has to claim, and what it gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/asking.h"
#include "tests/support/jwt_signer.h"
#include "tests/support/meanwhile.h"
#include "vaultd/auth/jwt_text.h"

/* Rows leave out what they do not need. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TEXT  256u
#define LONG  8192u
#define LOGIN "auth/jwt/login"
#define ROLE  "auth/jwt/role/r"
#define BOUND "\"bound_audiences\":\"vault\""
#define VALID "error validating token"
#define CLAIM "error validating claims"

static struct jwt_signer signer, stranger;

static int make_signing(void **state)
{
    (void)make(state);
    jwt_signer_init(&signer, "ES256", 0);
    jwt_signer_init(&stranger, "ES256", 0);
    return 0;
}

static int end_signing(void **state)
{
    jwt_signer_free(&stranger);
    jwt_signer_free(&signer);
    return end(state);
}

/* ---- asking ---- */

static void settings(const char *more)
{
    char body[LONG];
    (void)snprintf(body, sizeof body, "{\"jwks\":{\"keys\":[%s,\"kid\":\"k\"}]}%s}", signer.jwk, more);
    wants(204, NULL, "POST", "auth/jwt/config", NULL, body);
}

static void role(const char *rest)
{
    char body[LONG];
    (void)snprintf(body, sizeof body, "{\"role_type\":\"jwt\",\"user_claim\":\"sub\",%s}", rest);
    wants(204, NULL, "POST", ROLE, NULL, body);
}

static void begin(void)
{
    wants(204, NULL, "POST", "sys/auth/jwt", NULL, "{\"type\":\"jwt\"}");
    settings("");
    role(BOUND);
}

static int64_t now(void)
{
    return vault->now_ms / 1000;
}

static unsigned show(const char *address, const char *token)
{
    char body[LONG];
    (void)snprintf(body, sizeof body, "{\"role\":\"r\",\"jwt\":\"%s\"}", token);
    return ask_from(address, "POST", LOGIN, "", body);
}

/* A token of somebody who lasts ten minutes, with more claims: ",\"a\":1". */
static const char *token_with(const char *more)
{
    char claims[LONG];
    (void)snprintf(claims, sizeof claims, "{\"sub\":\"bob\",\"aud\":\"vault\",\"iat\":%lld,\"exp\":%lld%s}",
                   (long long)now(), (long long)now() + 600, more);
    return jwt_sign(&signer, NULL, claims);
}

static void is_answered(unsigned status, const char *says, const char *what, unsigned got)
{
    if (got != status || (says != NULL && !test_vault_said(vault, says)))
        fail_msg("%s: wanted %u and %s, got %u: %s", what, status, says == NULL ? "any text" : says, got, vault->body);
}

static void logs_in(unsigned status, const char *says, const char *claims)
{
    is_answered(status, says, claims, show("192.0.2.1", jwt_sign(&signer, NULL, claims)));
}

static void logs_in_with(unsigned status, const char *says, const char *more)
{
    is_answered(status, says, more, show("192.0.2.1", token_with(more)));
}

/* ---- a login ---- */

static void what_a_login_answers(void **state)
{
    (void)state;
    char token[TEXT], entity[TEXT];
    begin();
    role(BOUND ",\"token_policies\":\"b,a\",\"token_ttl\":\"20m\",\"claim_mappings\":{\"/repo/name\":\"repo\",\"n\":\"number\",\"yes\":\"yes\",\"gone\":\"gone\"}");
    logs_in_with(200, "\"policies\":[\"a\",\"b\",\"default\"]",
                 ",\"repo\":{\"name\":\"o/r\"},\"n\":1.50,\"yes\":true");
    is_answered(200, "\"metadata\":{\"role\":\"r\",\"repo\":\"o/r\",\"number\":\"1.50\",\"yes\":\"true\"},\"lease_duration\":1200",
                "metadata", vault->status);
    test_vault_text(vault, "auth.client_token", token, TEXT);
    test_vault_text(vault, "auth.entity_id", entity, TEXT);
    wants(200, "\"display_name\":\"jwt-bob\"", "GET", "auth/token/lookup-self", token, NULL);
    wants(200, "\"path\":\"auth/jwt/login\"", "GET", "auth/token/lookup-self", token, NULL);
    char path[2 * TEXT];
    (void)snprintf(path, sizeof path, "identity/entity/id/%s", entity);
    wants(200, "\"name\":\"bob\"", "GET", path, NULL, NULL);
}

static void whose_login_it_is(void **state)
{
    (void)state;
    char first[TEXT], again[TEXT], other[TEXT];
    begin();
    logs_in_with(200, NULL, "");
    test_vault_text(vault, "auth.entity_id", first, TEXT);
    logs_in_with(200, NULL, ",\"x\":1");
    test_vault_text(vault, "auth.entity_id", again, TEXT);
    assert_string_equal(first, again);
    wants(204, NULL, "POST", ROLE, NULL, "{\"user_claim\":\"/who/mail\",\"user_claim_json_pointer\":true}");
    logs_in_with(200, NULL, ",\"who\":{\"mail\":\"bob@x\"}");
    test_vault_text(vault, "auth.entity_id", other, TEXT);
    assert_string_not_equal(first, other);
    static const char *const no_names[] = {"", ",\"who\":{}", ",\"who\":{\"mail\":\"\"}", ",\"who\":{\"mail\":7}",
                                           ",\"who\":{\"mail\":null}", ",\"who\":{\"mail\":[\"a\"]}",
                                           ",\"who\":{\"mail\":\"a\\u0001\"}"};
    for (size_t i = 0; i < sizeof no_names / sizeof no_names[0]; i++)
        logs_in_with(400, "/who/mail", no_names[i]);
}

static void groups_come_along(void **state)
{
    (void)state;
    char accessor[TEXT], group[TEXT], body[LONG];
    begin();
    role(BOUND ",\"groups_claim\":\"groups\"");
    wants(200, NULL, "GET", "sys/auth/jwt", NULL, NULL);
    test_vault_text(vault, "data.accessor", accessor, TEXT);
    wants(200, NULL, "POST", "identity/group", NULL, "{\"name\":\"ops\",\"type\":\"external\",\"policies\":\"ops\"}");
    test_vault_text(vault, "data.id", group, TEXT);
    (void)snprintf(body, sizeof body, "{\"name\":\"team-ops\",\"mount_accessor\":\"%s\",\"canonical_id\":\"%s\"}", accessor, group);
    wants(200, NULL, "POST", "identity/group-alias", NULL, body);
    logs_in_with(200, "\"identity_policies\":[\"ops\"]", ",\"groups\":[\"a\",\"team-ops\"]");
    logs_in_with(200, "\"policies\":[\"default\"],\"token_policies\"", ",\"groups\":[]");
    logs_in_with(200, "\"identity_policies\":[\"ops\"]", ",\"groups\":\"team-ops\"");
    logs_in_with(400, "claim \\\"groups\\\" not found", "");
    static const char *const no_groups[] = {",\"groups\":7", ",\"groups\":{\"a\":\"team-ops\"}", ",\"groups\":[7]",
                                            ",\"groups\":[\"\"]", ",\"groups\":[[\"team-ops\"]]"};
    for (size_t i = 0; i < sizeof no_groups / sizeof no_groups[0]; i++)
        logs_in_with(400, "groups", no_groups[i]);
}

/* Whoever was put out of a group does not keep what it gave by logging in where the role reads no groups. */
static void groups_do_not_stay(void **state)
{
    (void)state;
    char accessor[TEXT], group[TEXT], body[LONG], token[TEXT];
    begin();
    role(BOUND ",\"groups_claim\":\"groups\"");
    wants(200, NULL, "GET", "sys/auth/jwt", NULL, NULL);
    test_vault_text(vault, "data.accessor", accessor, TEXT);
    wants(200, NULL, "POST", "identity/group", NULL, "{\"name\":\"ops\",\"type\":\"external\",\"policies\":\"ops\"}");
    test_vault_text(vault, "data.id", group, TEXT);
    (void)snprintf(body, sizeof body, "{\"name\":\"team-ops\",\"mount_accessor\":\"%s\",\"canonical_id\":\"%s\"}",
                   accessor, group);
    wants(200, NULL, "POST", "identity/group-alias", NULL, body);
    logs_in_with(200, "\"identity_policies\":[\"ops\"]", ",\"groups\":[\"team-ops\"]");
    (void)snprintf(body, sizeof body, "{\"role_type\":\"jwt\",\"user_claim\":\"sub\"," BOUND "}");
    wants(204, NULL, "POST", "auth/jwt/role/plain", NULL, body);
    (void)snprintf(body, sizeof body, "{\"role\":\"plain\",\"jwt\":\"%s\"}", token_with(",\"groups\":[]"));
    assert_int_equal(ask_from("192.0.2.1", "POST", LOGIN, "", body), 200);
    assert_false(test_vault_said(vault, "\"ops\""));
    test_vault_text(vault, "auth.client_token", token, TEXT);
    wants(200, NULL, "GET", "auth/token/lookup-self", token, NULL);
    assert_false(test_vault_said(vault, "identity_policies"));
}

/* ---- what does not get in ---- */

static void before_there_is_anything(void **state)
{
    (void)state;
    wants(204, NULL, "POST", "sys/auth/jwt", NULL, "{\"type\":\"jwt\"}");
    logs_in_with(400, "could not load configuration", "");
    wants(404, NULL, "GET", "auth/jwt/config", NULL, NULL);
    settings("");
    logs_in_with(400, "role \\\"r\\\" could not be found", "");
    role(BOUND);
    wants(400, "missing role", "POST", LOGIN, "", "{\"jwt\":\"x\"}");
    wants(400, "missing token", "POST", LOGIN, "", "{\"role\":\"r\"}");
    wants(400, "missing token", "POST", LOGIN, "", "{\"role\":\"r\",\"jwt\":\"\"}");
    wants(400, VALID ": malformed token", "POST", LOGIN, "", "{\"role\":\"R\",\"jwt\":\"x\"}");
    wants(400, "role \\\"\\\" could not be found", "POST", LOGIN, "", "{\"role\":\"a/../b\",\"jwt\":\"x\"}");
    logs_in_with(200, NULL, "");
    settings(",\"default_role\":\"R\"");
    wants(400, VALID ": malformed token", "POST", LOGIN, "", "{\"jwt\":\"x\"}");
}

static void somebody_elses_signature(void **state)
{
    (void)state;
    char claims[TEXT], header[TEXT];
    begin();
    (void)snprintf(claims, sizeof claims, "{\"sub\":\"bob\",\"aud\":\"vault\",\"exp\":%lld}", (long long)now() + 60);
    is_answered(200, NULL, "right", show("192.0.2.1", jwt_sign(&signer, NULL, claims)));
    is_answered(400, VALID ": the signature is not", "another's", show("192.0.2.1", jwt_sign(&stranger, NULL, claims)));
    is_answered(400, VALID ": no known key", "no such key",
                show("192.0.2.1", jwt_sign(&signer, "{\"alg\":\"ES256\",\"kid\":\"other\"}", claims)));
    /* The token brings its own key along. */
    char own[LONG];
    (void)snprintf(own, sizeof own, "{\"alg\":\"ES256\",\"jwk\":%s},\"jku\":\"https://192.0.2.1/\",\"x5u\":\"https://192.0.2.1/\"}", stranger.jwk);
    is_answered(400, VALID ": the signature is not", "its own key", show("192.0.2.1", jwt_sign(&stranger, own, claims)));
    static const char *const algs[] = {"none", "HS256", "RS256", "EdDSA", "ES384", "PS256"};
    for (size_t i = 0; i < sizeof algs / sizeof algs[0]; i++) {
        (void)snprintf(header, sizeof header, "{\"alg\":\"%s\"}", algs[i]);
        is_answered(400, VALID, algs[i], show("192.0.2.1", jwt_sign(&signer, header, claims)));
        is_answered(400, VALID, algs[i], show("192.0.2.1", jwt_join(&signer, header, claims, kt_bytes(NULL, 0))));
    }
    settings(",\"jwt_supported_algs\":[\"RS256\",\"EdDSA\"]");
    is_answered(400, "jwt_supported_algs", "not taken", show("192.0.2.1", jwt_sign(&signer, NULL, claims)));
    settings(",\"jwt_supported_algs\":\"ES256\"");
    is_answered(200, NULL, "taken", show("192.0.2.1", jwt_sign(&signer, NULL, claims)));
}

static void keys_as_pem(void **state)
{
    (void)state;
    char body[LONG], pem[2048];
    size_t n = 0;
    begin();
    for (const char *c = stranger.pem; *c != '\0'; c++)
        n += (size_t)snprintf(pem + n, sizeof pem - n, *c == '\n' ? "\\n" : "%c", *c);
    (void)snprintf(body, sizeof body, "{\"jwt_validation_pubkeys\":[\"%s\"]}", pem);
    wants(204, NULL, "POST", "auth/jwt/config", NULL, body);
    logs_in_with(400, VALID ": the signature is not", "");
    wants(200, "BEGIN PUBLIC KEY", "GET", "auth/jwt/config", NULL, NULL);
    n = strlen(pem);
    pem[n++] = ',';
    for (const char *c = signer.pem; *c != '\0'; c++)
        n += (size_t)snprintf(pem + n, sizeof pem - n, *c == '\n' ? "\\n" : "%c", *c);
    (void)snprintf(body, sizeof body, "{\"jwt_validation_pubkeys\":\"%s\"}", pem);
    wants(204, NULL, "POST", "auth/jwt/config", NULL, body);
    logs_in_with(200, NULL, "");
    wants(400, "holds no public key", "POST", "auth/jwt/config", NULL, "{\"jwt_validation_pubkeys\":\"x\"}");
}

static void times(void **state)
{
    (void)state;
    char claims[TEXT];
    begin();
    /* Seconds from now, 0: absent; each with a leeway of its own kind. */
    static const struct {
        int exp, nbf, iat;
        const char *says; /* NULL: gets in */
    } rows[] = {
        {600, -1, -1, NULL}, {200, 0, 0, NULL}, {600, 0, 0, "not valid yet"}, {0, 0, -1, NULL}, {0, -1, 0, NULL},
        {-59, 0, 0, NULL}, {-61, 0, 0, "expired"}, {-61, -600, -600, "expired"},
        {600, 59, 0, NULL}, {600, 61, 0, "not valid yet"}, {600, 0, 59, NULL}, {600, 0, 61, "not valid yet"},
        {600, -1, 61, "issued in the future"},
        {0, 0, -209, NULL}, {0, 0, -211, "expired"}, {0, -209, -600, NULL}, {0, -211, -600, "expired"},
        {209, 0, 0, NULL}, {212, 0, 0, "not valid yet"}, {0, 0, 0, "no issued at"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = (size_t)snprintf(claims, sizeof claims, "{\"sub\":\"bob\",\"aud\":\"vault\"");
        const struct {
            const char *name;
            int at;
        } parts[] = {{"exp", rows[i].exp}, {"nbf", rows[i].nbf}, {"iat", rows[i].iat}};
        for (size_t k = 0; k < 3; k++)
            if (parts[k].at != 0)
                n += (size_t)snprintf(claims + n, sizeof claims - n, ",\"%s\":%lld", parts[k].name, (long long)now() + parts[k].at);
        (void)snprintf(claims + n, sizeof claims - n, "}");
        logs_in(rows[i].says == NULL ? 200 : 400, rows[i].says, claims);
    }
}

static void leeways(void **state)
{
    (void)state;
    char claims[TEXT];
    begin();
    role(BOUND ",\"clock_skew_leeway\":-1,\"expiration_leeway\":\"-5\",\"not_before_leeway\":10");
    wants(200, "\"expiration_leeway\":-1,\"not_before_leeway\":10,\"clock_skew_leeway\":-1", "GET", ROLE, NULL, NULL);
    (void)snprintf(claims, sizeof claims, "{\"sub\":\"b\",\"aud\":\"vault\",\"exp\":%lld}", (long long)now() - 1);
    logs_in(400, "expired", claims);
    (void)snprintf(claims, sizeof claims, "{\"sub\":\"b\",\"aud\":\"vault\",\"iat\":%lld}", (long long)now() - 1);
    logs_in(400, "expired", claims);
    (void)snprintf(claims, sizeof claims, "{\"sub\":\"b\",\"aud\":\"vault\",\"exp\":%lld}", (long long)now() + 10);
    logs_in(200, NULL, claims);
    (void)snprintf(claims, sizeof claims, "{\"sub\":\"b\",\"aud\":\"vault\",\"exp\":%lld}", (long long)now() + 12);
    logs_in(400, "not valid yet", claims);
    wants(400, "at most 600 seconds", "POST", ROLE, NULL, "{\"clock_skew_leeway\":601}");
    wants(400, "at most 86400 seconds", "POST", ROLE, NULL, "{\"expiration_leeway\":\"25h\"}");
    wants(400, "wanted seconds", "POST", ROLE, NULL, "{\"not_before_leeway\":\"soon\"}");
    static const char *const no_times[] = {"\"%lld\"", "null", "[%lld]", "%llde0", "-%lld", "{}", "true", "0", "1e400"};
    for (size_t i = 0; i < sizeof no_times / sizeof no_times[0]; i++) {
        static const char *const names[] = {"exp", "nbf", "iat"};
        for (size_t k = 0; k < 3; k++) {
            int n = snprintf(claims, sizeof claims, "{\"sub\":\"b\",\"aud\":\"vault\",\"%s\":", names[k]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            n += snprintf(claims + n, sizeof claims - (size_t)n, no_times[i], (long long)now());
#pragma GCC diagnostic pop
            (void)snprintf(claims + n, sizeof claims - (size_t)n, "%s}", "");
            logs_in(400, NULL, claims);
        }
    }
    (void)snprintf(claims, sizeof claims, "{\"sub\":\"b\",\"aud\":\"vault\",\"iat\":%lld.25,\"exp\":%lld.75}", (long long)now() - 1, (long long)now() + 9);
    logs_in(200, NULL, claims);
}

static void audiences(void **state)
{
    (void)state;
    char claims[TEXT];
    begin();
    role("\"bound_audiences\":[\"vault\",\"other\"]");
    static const struct {
        const char *aud;
        bool fits;
    } rows[] = {
        {",\"aud\":\"vault\"", true}, {",\"aud\":[\"x\",\"other\"]", true}, {"", false}, {",\"aud\":null", false},
        {",\"aud\":[]", false}, {",\"aud\":\"\"", false}, {",\"aud\":\"vaul\"", false}, {",\"aud\":\"vault2\"", false},
        {",\"aud\":\"Vault\"", false}, {",\"aud\":\"vault,other\"", false}, {",\"aud\":\"vault \"", false},
        {",\"aud\":{\"vault\":\"vault\"}", false}, {",\"aud\":[[\"vault\"]]", false}, {",\"aud\":true", false},
        {",\"aud\":[\"vault\",7]", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(claims, sizeof claims, "{\"sub\":\"bob\",\"exp\":%lld%s}", (long long)now() + 60, rows[i].aud);
        logs_in(rows[i].fits ? 200 : 400, rows[i].fits ? NULL : CLAIM ": aud claim", claims);
    }
    role("\"bound_audiences\":[],\"bound_subject\":\"bob\"");
    logs_in_with(400, "audience claim found in JWT but no audiences bound to the role", "");
    (void)snprintf(claims, sizeof claims, "{\"sub\":\"bob\",\"exp\":%lld}", (long long)now() + 60);
    logs_in(200, NULL, claims);
}

static void issuer_and_subject(void **state)
{
    (void)state;
    begin();
    role(BOUND ",\"bound_subject\":\"bob\"");
    settings(",\"bound_issuer\":\"https://issuer\"");
    logs_in_with(200, NULL, ",\"iss\":\"https://issuer\"");
    static const char *const others[] = {"", ",\"iss\":\"https://issuer/\"", ",\"iss\":\"https://issuer.x\"",
                                         ",\"iss\":[\"https://issuer\"]", ",\"iss\":null"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        logs_in_with(400, CLAIM ": iss claim", others[i]);
    role(BOUND ",\"bound_subject\":\"bo\"");
    logs_in_with(400, CLAIM ": sub claim", ",\"iss\":\"https://issuer\"");
}

static void claims_that_are_bound(void **state)
{
    (void)state;
    begin();
    /* Of what is bound on the left, what a token says on the right. */
    static const struct {
        const char *bound, *said;
        bool fits;
    } rows[] = {
        {"{\"c\":\"a\"}", ",\"c\":\"a\"", true},
        {"{\"c\":\"a\"}", ",\"c\":[\"b\",\"a\"]", true},
        {"{\"c\":[\"a\",\"b\"]}", ",\"c\":\"b\"", true},
        {"{\"c\":[\"a\",\"b\"]}", ",\"c\":[\"c\",\"b\"]", true},
        {"{\"c\":\"a\"}", "", false},
        {"{\"c\":\"a\"}", ",\"c\":null", false},
        {"{\"c\":\"a\"}", ",\"c\":[]", false},
        {"{\"c\":\"a\"}", ",\"c\":{\"a\":\"a\"}", false},
        {"{\"c\":\"a\"}", ",\"c\":\"A\"", false},
        {"{\"c\":\"a\"}", ",\"c\":[[\"a\"]]", false},
        {"{\"c\":\"a\"}", ",\"C\":\"a\"", false},
        {"{\"c\":\"\"}", "", false},
        {"{\"c\":\"\"}", ",\"c\":null", false},
        {"{\"c\":\"\"}", ",\"c\":false", false},
        {"{\"c\":\"1\"}", ",\"c\":1", false},
        {"{\"c\":1}", ",\"c\":\"1\"", false},
        {"{\"c\":1}", ",\"c\":1", true},
        {"{\"c\":1}", ",\"c\":true", false},
        {"{\"c\":true}", ",\"c\":true", true},
        {"{\"c\":true}", ",\"c\":\"true\"", false},
        {"{\"c\":\"true\"}", ",\"c\":true", false},
        {"{\"c\":false}", "", false},
        {"{\"c\":12345678901234567890}", ",\"c\":12345678901234567891", false},
        {"{\"c\":\"a\",\"d\":\"b\"}", ",\"c\":\"a\"", false},
        {"{\"c\":\"a\",\"d\":\"b\"}", ",\"c\":\"a\",\"d\":\"b\"", true},
        {"{\"/k/ns\":\"x\"}", ",\"k\":{\"ns\":\"x\"}", true},
        {"{\"/k/ns\":\"x\"}", ",\"/k/ns\":\"x\"", false},
        {"{\"c\":\"a*\"}", ",\"c\":\"ab\"", false},
        {"{\"c\":\"a*\"}", ",\"c\":\"a*\"", true},
    };
    char body[LONG / 2];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(body, sizeof body, BOUND ",\"bound_claims\":%s", rows[i].bound);
        role(body);
        is_answered(rows[i].fits ? 200 : 400, rows[i].fits ? NULL : CLAIM ": claim", body,
                    show("192.0.2.1", token_with(rows[i].said)));
    }
    role(BOUND ",\"bound_claims_type\":\"glob\",\"bound_claims\":{\"sub\":[\"x\",\"repo:o/*:ref:refs/heads/*\"],\"n\":\"*\"}");
    logs_in_with(400, CLAIM ": claim \\\"sub\\\"", ",\"n\":\"1\"");
    char claims[TEXT];
    (void)snprintf(claims, sizeof claims, "{\"sub\":\"repo:o/r:ref:refs/heads/main\",\"aud\":\"vault\",\"n\":\"\",\"exp\":%lld}", (long long)now() + 60);
    logs_in(200, NULL, claims);
    (void)snprintf(claims, sizeof claims, "{\"sub\":\"repo:o/r:ref:refs/heads/main\",\"aud\":\"vault\",\"n\":1,\"exp\":%lld}", (long long)now() + 60);
    logs_in(400, CLAIM ": claim \\\"n\\\"", claims);
}

static void addresses_bind(void **state)
{
    (void)state;
    char token[TEXT];
    begin();
    role("\"token_bound_cidrs\":\"10.0.0.0/8\",\"bound_audiences\":\"vault\"");
    is_answered(403, "permission denied", "from elsewhere", show("192.0.2.1", token_with("")));
    is_answered(403, "permission denied", "and wrong", show("192.0.2.1", "x"));
    is_answered(200, NULL, "from there", show("10.1.2.3", token_with("")));
    test_vault_text(vault, "auth.client_token", token, TEXT);
    assert_int_equal(ask_from("10.9.9.9", "GET", "auth/token/lookup-self", token, NULL), 200);
    assert_int_equal(ask_from("192.0.2.1", "GET", "auth/token/lookup-self", token, NULL), 403);
}

/* ---- a token's life ---- */

static void renewals_ask_the_role(void **state)
{
    (void)state;
    char token[TEXT];
    begin();
    role(BOUND ",\"token_policies\":\"a\",\"token_ttl\":\"20m\"");
    logs_in_with(200, NULL, "");
    test_vault_text(vault, "auth.client_token", token, TEXT);
    wants(200, "\"lease_duration\":1200", "POST", "auth/token/renew-self", token, "{}");
    role("\"token_ttl\":\"30m\"");
    wants(200, "\"lease_duration\":1800", "POST", "auth/token/renew-self", token, "{}");
    role("\"token_policies\":\"a,b\"");
    wants(500, "policies have changed", "POST", "auth/token/renew-self", token, "{}");
    role("\"token_policies\":\"a\",\"token_bound_cidrs\":\"10.0.0.0/8\"");
    wants(403, NULL, "POST", "auth/token/renew-self", token, "{}");
    role("\"token_bound_cidrs\":[]");
    wants(204, NULL, "DELETE", ROLE, NULL, NULL);
    wants(204, NULL, "POST", "auth/token/renew-self", token, "{}");
    wants(200, NULL, "GET", "auth/token/lookup-self", token, NULL);
    wants(204, NULL, "DELETE", "sys/auth/jwt", NULL, NULL);
    wants(403, NULL, "GET", "auth/token/lookup-self", token, NULL);
    (void)test_vault_tidy(vault);
    assert_int_equal(test_vault_rows(vault, TABLE_NAMED), 0);
}

/* What a login stood on changes while it commits: it is looked at again. */
static void changed_meanwhile(void **state)
{
    (void)state;
    begin();
    const struct visit tighter[] = {{"POST", ROLE, NULL, "{\"bound_audiences\":\"other\"}", 204}, {NULL}};
    char token[LONG / 2];
    (void)snprintf(token, sizeof token, "%s", token_with(""));
    meanwhile(vault, tighter, NULL);
    is_answered(400, CLAIM ": aud claim", "role", show("192.0.2.1", token));
    assert_true(meanwhile_over());
    role(BOUND);
    char body[LONG];
    (void)snprintf(body, sizeof body, "{\"jwks\":{\"keys\":[%s}]}}", stranger.jwk);
    const struct visit distrusted[] = {{"POST", "auth/jwt/config", NULL, body, 204}, {NULL}};
    meanwhile(vault, distrusted, NULL);
    is_answered(400, VALID ": the signature is not", "settings", show("192.0.2.1", token));
    assert_true(meanwhile_over());
}

/* ---- settings and roles ---- */

static void settings_that_are_none(void **state)
{
    (void)state;
    begin();
    static const struct {
        const char *body, *says;
    } rows[] = {
        {"{}", "exactly one of"},
        {"{\"bound_issuer\":\"x\"}", "exactly one of"},
        {"{\"jwks\":\"\",\"jwks_url\":\"\"}", "exactly one of"},
        {"{\"jwks_url\":\"https://a/b\",\"oidc_discovery_url\":\"https://a\"}", "exactly one of"},
        {"{\"jwks\":\"[]\"}", "\\\"jwks\\\""},
        {"{\"jwks\":[]}", "\\\"jwks\\\""},
        {"{\"jwks\":7}", "\\\"jwks\\\""},
        {"{\"jwks\":{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}}", "private key"},
        {"{\"jwks_url\":\"https://a/b\",\"jwt_supported_algs\":\"HS256\"}", "jwt_supported_algs"},
        {"{\"jwks_url\":\"https://a/b\",\"jwt_supported_algs\":[\"RS256\",\"none\"]}", "jwt_supported_algs"},
        {"{\"jwks_url\":\"https://a/b\",\"oidc_client_secret\":\"canary\"}", "oidc_client_secret"},
        {"{\"jwks_url\":\"https://a/b\",\"oidc_client_id\":\"x\"}", "oidc_client_id"},
        {"{\"jwks_url\":\"https://a/b\",\"provider_config\":{\"provider\":\"azure\"}}", "provider_config"},
        {"{\"jwks_url\":\"https://a/b\",\"oidc_discovery_ca_pem\":\"x\"}", "oidc_discovery_ca_pem"},
        {"{\"jwks_url\":\"https://a/b\",\"default_role\":\"a/b\"}", "default_role"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        wants(400, rows[i].says, "POST", "auth/jwt/config", NULL, rows[i].body);
        assert_false(test_vault_said(vault, "canary"));
        assert_false(test_vault_said(vault, "c2VjcmV0"));
    }
    logs_in_with(200, NULL, "");
    /* A write is the whole of it. */
    settings(",\"bound_issuer\":\"https://issuer\",\"default_role\":\"r\"");
    wants(200, "\"bound_issuer\":\"https://issuer\"", "GET", "auth/jwt/config", NULL, NULL);
    settings(",\"jwt_supported_algs\":[\"ES256\"],\"provider_config\":{},\"oidc_client_id\":\"\",\"oidc_response_types\":[]");
    wants(200, "\"bound_issuer\":\"\",\"default_role\":\"\",\"jwt_supported_algs\":[\"ES256\"]", "GET", "auth/jwt/config", NULL, NULL);
}

static void roles_that_are_none(void **state)
{
    (void)state;
    begin();
#define JWT "{\"role_type\":\"jwt\",\"user_claim\":\"sub\","
    static const struct {
        const char *body, *says;
    } rows[] = {
        {"{\"user_claim\":\"sub\"," BOUND "}", "\\\"oidc\\\" are not offered"},
        {"{\"role_type\":\"oidc\",\"user_claim\":\"sub\"," BOUND "}", "\\\"oidc\\\" are not offered"},
        {"{\"role_type\":\"\",\"user_claim\":\"sub\"," BOUND "}", "\\\"oidc\\\" are not offered"},
        {"{\"role_type\":\"x\",\"user_claim\":\"sub\"," BOUND "}", "invalid 'role_type'"},
        {"{\"role_type\":\"jwt\"," BOUND "}", "a user claim must be defined"},
        {"{\"role_type\":\"jwt\",\"user_claim\":\"sub\"}", "at least one bound constraint"},
        {JWT "\"bound_audiences\":\"\",\"bound_claims\":{},\"bound_subject\":\"\"}", "at least one bound constraint"},
        {JWT "\"bound_audiences\":[\"\"]}", "bound_audiences"},
        {JWT "\"bound_claims\":{\"a\":[]}}", "bound_claims"},
        {JWT "\"bound_claims\":{\"a\":null}}", "bound_claims"},
        {JWT "\"bound_claims\":{\"a\":{}}}", "bound_claims"},
        {JWT "\"bound_claims\":{\"a\":[[\"b\"]]}}", "bound_claims"},
        {JWT "\"bound_claims\":{\"\":\"a\"}}", "bound_claims"},
        {JWT "\"bound_claims_type\":\"glob\",\"bound_claims\":{\"a\":1}}", "bound_claims"},
        {JWT "\"bound_claims_type\":\"regex\",\"bound_claims\":{\"a\":\"b\"}}", "bound_claims_type"},
        {JWT BOUND ",\"claim_mappings\":{\"a\":\"role\"}}", "reserved"},
        {JWT BOUND ",\"claim_mappings\":{\"a\":\"x\",\"b\":\"x\"}}", "two claims for one"},
        {JWT BOUND ",\"claim_mappings\":{\"\":\"x\"}}", "empty name"},
        {JWT BOUND ",\"token_policies\":\"ROOT\"}", "root"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        wants(400, rows[i].says, "POST", "auth/jwt/role/new", NULL, rows[i].body);
        wants(404, NULL, "GET", "auth/jwt/role/new", NULL, NULL);
    }
    wants(400, "at least one bound constraint", "POST", ROLE, NULL, "{\"bound_audiences\":[]}");
    wants(400, "bound_claims", "POST", ROLE, NULL, "{\"bound_claims\":{\"a\":1},\"bound_claims_type\":\"glob\"}");
    logs_in_with(200, NULL, "");
}

static void roles_are_kept(void **state)
{
    (void)state;
    begin();
    wants(204, NULL, "POST", "auth/jwt/role/CI", NULL,
          "{\"role_type\":\"jwt\",\"user_claim\":\"/a/b\",\"user_claim_json_pointer\":true,\"bound_audiences\":\"x,y\",\"bound_subject\":\"s\","
          "\"bound_claims\":{\"a\":[\"b\", \"c\"],\"n\":1.50},\"claim_mappings\":{\"c\":\"m\"},\"groups_claim\":\"g\","
          "\"allowed_redirect_uris\":[\"https://x\"],\"oidc_scopes\":\"s1,s2\",\"token_policies\":\"p\",\"verbose_oidc_logging\":true,\"max_age\":5}");
    static const char *const says[] = {"\"role_type\":\"jwt\",\"user_claim\":\"/a/b\",\"user_claim_json_pointer\":true",
                                       "\"bound_audiences\":[\"x\",\"y\"],\"bound_subject\":\"s\",\"bound_claims_type\":\"string\"",
                                       "\"bound_claims\":{\"a\":[\"b\",\"c\"],\"n\":1.50},\"claim_mappings\":{\"c\":\"m\"},\"groups_claim\":\"g\"",
                                       "\"allowed_redirect_uris\":[\"https://x\"],\"oidc_scopes\":[\"s1\",\"s2\"]",
                                       "\"verbose_oidc_logging\":false,\"max_age\":0", "\"token_policies\":[\"p\"]"};
    for (size_t i = 0; i < sizeof says / sizeof says[0]; i++)
        wants(200, says[i], "GET", "auth/jwt/role/ci", NULL, NULL);
    wants(204, NULL, "POST", "auth/jwt/role/ci", NULL, "{\"bound_claims\":{}}");
    wants(200, "\"bound_claims\":null", "GET", "auth/jwt/role/ci", NULL, NULL);
    wants(200, "\"bound_subject\":\"s\"", "GET", "auth/jwt/role/ci", NULL, NULL);
    wants(200, "\"keys\":[\"ci\",\"r\"]", "LIST", "auth/jwt/role", NULL, NULL);
    wants(204, NULL, "DELETE", "auth/jwt/role/Ci", NULL, NULL);
    wants(204, NULL, "DELETE", "auth/jwt/role/ci", NULL, NULL);
    wants(404, NULL, "GET", "auth/jwt/role/ci", NULL, NULL);
}

/* ---- the tokens that people have ---- */

static void tokens_of_the_wild(void **state)
{
    (void)state;
    begin();
    static const struct {
        const char *role, *claims, *says;
    } rows[] = {
        /* A projected service account's. */
        {"\"user_claim\":\"sub\",\"bound_audiences\":\"vault\",\"bound_subject\":\"system:serviceaccount:web:api\","
         "\"claim_mappings\":{\"/kubernetes.io/namespace\":\"namespace\"}",
         "\"aud\":[\"vault\"],\"iss\":\"https://kubernetes.default.svc.cluster.local\",\"kubernetes.io\":{\"namespace\":\"web\","
         "\"pod\":{\"name\":\"api-0\",\"uid\":\"u\"},\"serviceaccount\":{\"name\":\"api\",\"uid\":\"u\"}},\"sub\":\"system:serviceaccount:web:api\"",
         "\"namespace\":\"web\""},
        /* A GitHub Actions job's. */
        {"\"user_claim\":\"actor\",\"bound_audiences\":\"https://github.com/o\",\"bound_subject\":\"\",\"bound_claims_type\":\"glob\","
         "\"bound_claims\":{\"sub\":\"repo:o/r:ref:refs/heads/*\",\"repository_owner_id\":\"65\"},\"claim_mappings\":{\"run_id\":\"run\"}",
         "\"aud\":\"https://github.com/o\",\"iss\":\"https://token.actions.githubusercontent.com\",\"actor\":\"octo\",\"run_id\":\"77\","
         "\"sub\":\"repo:o/r:ref:refs/heads/main\",\"repository_owner_id\":\"65\",\"repository_visibility\":\"private\"",
         "\"run\":\"77\""},
        /* A GitLab CI job's: what GitHub says in booleans it says in strings. */
        {"\"user_claim\":\"user_email\",\"bound_audiences\":\"https://vault\",\"bound_claims_type\":\"string\","
         "\"bound_claims\":{\"project_id\":\"22\",\"ref_type\":\"branch\",\"ref_protected\":\"true\"},\"claim_mappings\":{\"job_id\":\"job\"}",
         "\"aud\":\"https://vault\",\"iss\":\"https://gitlab.example\",\"sub\":\"project_path:g/p:ref_type:branch:ref:main\",\"project_id\":\"22\","
         "\"ref_type\":\"branch\",\"ref_protected\":\"true\",\"user_email\":\"b@x\",\"job_id\":\"9\",\"groups_direct\":[\"g\"]",
         "\"job\":\"9\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char body[LONG], claims[LONG];
        (void)snprintf(body, sizeof body, "{\"role_type\":\"jwt\",%s}", rows[i].role);
        wants(204, NULL, "POST", ROLE, NULL, body);
        (void)snprintf(claims, sizeof claims, "{%s,\"iat\":%lld,\"nbf\":%lld,\"exp\":%lld,\"jti\":\"j\"}", rows[i].claims,
                       (long long)now(), (long long)now() - 5, (long long)now() + 300);
        logs_in(200, rows[i].says, claims);
    }
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_signing, end_signing)
    const struct CMUnitTest tests[] = {
        TEST(what_a_login_answers),   TEST(whose_login_it_is),     TEST(groups_come_along), TEST(groups_do_not_stay),
        TEST(before_there_is_anything), TEST(somebody_elses_signature), TEST(keys_as_pem),
        TEST(times),                  TEST(leeways),               TEST(audiences),
        TEST(issuer_and_subject),     TEST(claims_that_are_bound), TEST(addresses_bind),
        TEST(renewals_ask_the_role),  TEST(changed_meanwhile),     TEST(settings_that_are_none),
        TEST(roles_that_are_none),    TEST(roles_are_kept),        TEST(tokens_of_the_wild),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("jwt login", tests, NULL, NULL);
}
