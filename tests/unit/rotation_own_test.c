/* What people log in with here, rotated: secret ids of AppRole's roles and tokens of auth/token's. A run replaces
 * one and ends the old one; on the way back the new one; what was ended stays so. Who may set that, what makes it
 * impossible, and that there is never one that the secret does not have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/meanwhile.h"
#include "tests/support/rotation_scene.h"
#include "vaultd/barrier/tables.h"

/* ---- words ---- */

struct own {
    const char *secret, *account, *field; /* "secret/ci/login"; where it is made; where the value stands */
};
static const struct own by_role = {"ci/login", "auth/approle/role/ci", "secret_id"};
static const struct own by_token = {"ci/token", "auth/token/roles/ci", "token"};

static char role_id[64];

/* 200 or 204, as the API has it. */
static void done(struct scene *s, const char *method, const char *path, const char *body)
{
    unsigned status = test_vault_call(s->vault, method, path, s->vault->root, body);
    if (status != 200 && status != 204)
        fail_msg("%s %s: %u: %s", method, path, status, s->vault->body);
}

static void refused(struct scene *s, const char *token, const char *path, const char *body, unsigned wanted,
                    const char *text)
{
    unsigned status = test_vault_call(s->vault, "POST", path, token, body);
    if (status != wanted)
        fail_msg("%s %s: %u, not %u: %s", path, body, status, wanted, s->vault->body);
    says(s, text);
}

/* Who reads with the root token holds nothing up. */
#define SOON ",\"overlap\":2,\"loose_readers\":\"ignore\""

static void settings_of(const struct own *own, const char *more, char out[1024])
{
    (void)snprintf(out, 1024,
                   "{\"target\":\"here\",\"strategy\":\"overlap\",\"accounts\":[\"%s\"],\"username_field\":\"made_by\","
                   "\"password_field\":\"%s\",\"soak\":0,\"drain\":0,\"max_overlap\":60%s}",
                   own->account, own->field, more);
}

/* The first one, made by the API, is in the secret. */
static void keep_first(struct scene *s, const struct own *own)
{
    char text[160], accessor[64], body[512], path[128];
    bool token = own == &by_token;
    need(s, 200, "POST", token ? "auth/token/create/ci" : "auth/approle/role/ci/secret-id", "{}");
    text_at(s, token ? "auth.client_token" : "data.secret_id", text, sizeof text);
    text_at(s, token ? "auth.accessor" : "data.secret_id_accessor", accessor, sizeof accessor);
    (void)snprintf(body, sizeof body,
                   "{\"data\":{\"made_by\":\"%s\",\"%s\":\"%s\",\"key_id\":\"%s\",\"note\":\"stays\"}}", own->account,
                   own->field, text, accessor);
    (void)snprintf(path, sizeof path, "secret/data/%s", own->secret);
    need(s, 200, "POST", path, body);
}

static void set_own(struct scene *s, const struct own *own)
{
    char body[1024], path[128];
    (void)snprintf(path, sizeof path, "rotation/secrets/secret/%s", own->secret);
    settings_of(own, SOON, body);
    done(s, "POST", path, body);
}

static struct scene *begun(void)
{
    struct scene *s = scene(scene_overlap);
    need(s, 204, "POST", "sys/auth/approle", "{\"type\":\"approle\"}");
    need(s, 204, "POST", "auth/approle/role/ci", "{\"token_policies\":[\"default\"],\"secret_id_num_uses\":40}");
    need(s, 200, "GET", "auth/approle/role/ci/role-id", NULL);
    text_at(s, "data.role_id", role_id, sizeof role_id);
    need(s, 204, "POST", "auth/token/roles/ci",
         "{\"orphan\":true,\"allowed_policies\":[\"agent\"],\"token_period\":\"1h\"}");
    need(s, 204, "POST", "rotation/targets/here", "{\"driver\":\"vault\"}");
    return s;
}

static struct scene *with(const struct own *own)
{
    struct scene *s = begun();
    keep_first(s, own);
    set_own(s, own);
    return s;
}

static void order(struct scene *s, const char *what, const struct own *own)
{
    char path[160];
    (void)snprintf(path, sizeof path, "rotation/%s/secret/%s", what, own->secret);
    need(s, 200, "POST", path, "{\"reason\":\"test\"}");
    text_at(s, "data.run", s->run, sizeof s->run);
}

static void value_of(struct scene *s, const struct own *own, unsigned version, char out[160])
{
    char path[160], dotted[64];
    (void)snprintf(path, sizeof path, "secret/data/%s?version=%u", own->secret, version);
    need(s, 200, "GET", path, NULL);
    says(s, "\"note\":\"stays\"");
    (void)snprintf(dotted, sizeof dotted, "data.data.%s", own->field);
    text_at(s, dotted, out, 160);
}

/* Does one log in with it? */
static bool opens(struct scene *s, const struct own *own, const char *value)
{
    char body[256];
    if (own == &by_token)
        return test_vault_call(s->vault, "GET", "auth/token/lookup-self", value, NULL) == 200;
    (void)snprintf(body, sizeof body, "{\"role_id\":\"%s\",\"secret_id\":\"%s\"}", role_id, value);
    return test_vault_call(s->vault, "POST", "auth/approle/login", NULL, body) == 200;
}

static bool version_opens(struct scene *s, const struct own *own, unsigned version)
{
    char value[160];
    value_of(s, own, version, value);
    return opens(s, own, value);
}

static unsigned current_of(struct scene *s, const struct own *own)
{
    char path[160], number[16];
    (void)snprintf(path, sizeof path, "secret/data/%s", own->secret);
    need(s, 200, "GET", path, NULL);
    text_at(s, "data.metadata.version", number, sizeof number);
    return (unsigned)strtoul(number, NULL, 10);
}

static unsigned secret_ids(struct scene *s)
{
    return test_vault_rows(s->vault, TABLE_SECRET_ID);
}

static void story_says(struct scene *s, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s", s->run);
    need(s, 200, "GET", path, NULL);
    says(s, text);
}

/* ---- there and back ---- */

static void a_secret_id_is_replaced(void **state)
{
    (void)state;
    struct scene *s = with(&by_role);
    order(s, "rotate", &by_role);
    until(s, "done");
    assert_int_equal(current_of(s, &by_role), 2);
    assert_true(version_opens(s, &by_role, 2));
    assert_false(version_opens(s, &by_role, 1));
    assert_int_equal(secret_ids(s), 1);
    /* With the role's bounds; the accessor is in the secret. */
    char accessor[64], body[128];
    need(s, 200, "GET", "secret/data/ci/login", NULL);
    text_at(s, "data.data.key_id", accessor, sizeof accessor);
    (void)snprintf(body, sizeof body, "{\"secret_id_accessor\":\"%s\"}", accessor);
    need(s, 200, "POST", "auth/approle/role/ci/secret-id-accessor/lookup", body);
    says(s, "\"secret_id_num_uses\":39"); /* one login was tried */
    /* And once more. */
    order(s, "rotate", &by_role);
    until(s, "done");
    assert_true(version_opens(s, &by_role, 3));
    assert_false(version_opens(s, &by_role, 2));
    assert_int_equal(secret_ids(s), 1);
    scene_end(s);
}

static void a_token_is_replaced(void **state)
{
    (void)state;
    struct scene *s = with(&by_token);
    order(s, "rotate", &by_token);
    until(s, "done");
    assert_false(version_opens(s, &by_token, 1));
    char value[160], accessor[64];
    need(s, 200, "GET", "secret/data/ci/token", NULL);
    text_at(s, "data.data.key_id", accessor, sizeof accessor);
    value_of(s, &by_token, 2, value);
    assert_int_equal(test_vault_call(s->vault, "GET", "auth/token/lookup-self", value, NULL), 200);
    says(s, "\"orphan\":true");
    says(s, "\"path\":\"auth/token/create/ci\"");
    says(s, "\"policies\":[\"agent\",\"default\"]");
    says(s, "\"period\":3600");
    says(s, accessor);
    scene_end(s);
}

static void what_is_made_goes_on_the_way_back(void **state)
{
    (void)state;
    const struct own *const each[] = {&by_role, &by_token};
    for (size_t i = 0; i < 2; i++) {
        struct scene *s = begun();
        char body[1024], path[128];
        keep_first(s, each[i]);
        settings_of(each[i], ",\"overlap\":500,\"loose_readers\":\"ignore\"", body);
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/%s", each[i]->secret);
        done(s, "POST", path, body);
        order(s, "rotate", each[i]);
        until(s, "overlapping");
        char value[160];
        value_of(s, each[i], 2, value);
        assert_true(opens(s, each[i], value)); /* both do */
        assert_true(version_opens(s, each[i], 1));
        cancel(s, 200);
        until(s, "rolled_back");
        assert_int_equal(current_of(s, each[i]), 1);
        assert_true(version_opens(s, each[i], 1));
        assert_false(opens(s, each[i], value));
        assert_int_equal(secret_ids(s), i == 0 ? 1 : 0);
        scene_end(s);
    }
}

/* As anywhere: who has read the old one keeps it until he has read the new one. */
static void who_has_read_the_old_one_keeps_it(void **state)
{
    (void)state;
    struct scene *s = begun();
    char body[1024];
    keep_first(s, &by_role);
    settings_of(&by_role, ",\"overlap\":2", body);
    done(s, "POST", "rotation/secrets/secret/ci/login", body);
    assert_int_equal(as_agent(s, "GET", "secret/data/ci/login", NULL), 200);
    order(s, "rotate", &by_role);
    until(s, "overlapping");
    s->vault->now_ms += 20000;
    rotation_wake(s->vault->core->rotation);
    soon_says(s, "1 readers of v1 that are no agents");
    assert_int_equal(secret_ids(s), 2);
    assert_int_equal(as_agent(s, "GET", "secret/data/ci/login", NULL), 200);
    until(s, "done");
    assert_int_equal(secret_ids(s), 1);
    scene_end(s);
}

static void a_drill_leaves_what_was(void **state)
{
    (void)state;
    struct scene *s = with(&by_role);
    order(s, "drill", &by_role);
    until(s, "rolled_back");
    assert_true(version_opens(s, &by_role, 1));
    assert_int_equal(secret_ids(s), 1);
    scene_end(s);
}

/* ---- what was ended stays so ---- */

static void what_somebody_ended_is_made_anew(void **state)
{
    (void)state;
    const struct own *const each[] = {&by_role, &by_token};
    for (size_t i = 0; i < 2; i++) {
        struct scene *s = with(each[i]);
        char value[160], body[256];
        /* Nothing is to be mended. */
        order(s, "reconcile", each[i]);
        until(s, "done");
        assert_int_equal(current_of(s, each[i]), 1);
        value_of(s, each[i], 1, value);
        if (i == 0) {
            (void)snprintf(body, sizeof body, "{\"secret_id\":\"%s\"}", value);
            need(s, 204, "POST", "auth/approle/role/ci/secret-id/destroy", body);
        } else {
            (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", value);
            need(s, 204, "POST", "auth/token/revoke", body);
        }
        order(s, "rotate", each[i]);
        until(s, "frozen");
        story_says(s, "KT-R-010");
        cancel(s, 200);
        until(s, "cancelled");
        order(s, "reconcile", each[i]);
        until(s, "done");
        assert_int_equal(current_of(s, each[i]), 2);
        assert_true(version_opens(s, each[i], 2));
        assert_false(opens(s, each[i], value));
        scene_end(s);
    }
}

#define RECONCILE "rotation/reconcile/secret/ci/login"
#define PAUSE     "{\"reason\":\"migration\"}"

/* It is a rotation, whatever its path is. */
static void to_mend_takes_the_right_to_rotate(void **state)
{
    (void)state;
    struct scene *s = with(&by_role);
    char token[128];
    test_vault_token(s->vault, "mender", "path \"rotation/reconcile/*\" { capabilities = [\"update\"] }", token,
                     sizeof token);
    refused(s, token, RECONCILE, "{}", 403, "permission denied");
    test_vault_token(s->vault, "rotating",
                     "path \"rotation/reconcile/*\" { capabilities = [\"update\"] }\n"
                     "path \"rotation/rotate/*\" { capabilities = [\"update\"] }",
                     token, sizeof token);
    assert_int_equal(test_vault_call(s->vault, "POST", RECONCILE, token, "{}"), 200);
    text_at(s, "data.run", s->run, sizeof s->run);
    until(s, "done");
    scene_end(s);
}

static void nothing_is_made_while_all_is_paused(void **state)
{
    (void)state;
    static const struct visit visits[] = {{"POST", "rotation/pause", NULL, PAUSE, 200, 0}, {0}};
    struct scene *s = with(&by_role);
    need(s, 200, "POST", "rotation/pause", PAUSE);
    refused(s, s->vault->root, RECONCILE, "{}", 400, "KT-R-030");
    says(s, "secretctl run resume");
    assert_false(test_vault_said(s->vault, "--force"));
    need(s, 200, "DELETE", "rotation/pause", NULL);
    /* One that comes while it starts. */
    meanwhile(s->vault, visits, NULL);
    refused(s, s->vault->root, RECONCILE, "{}", 400, "KT-R-030");
    assert_true(meanwhile_over());
    need(s, 404, "LIST", "rotation/runs", NULL);
    scene_end(s);
}

static bool begins(const struct request *req)
{
    return req->path != NULL && strncmp(req->path, "rotation/runs/", 14) == 0 && req->batch != NULL;
}

static void what_makes_another_waits_for_the_end_of_the_pause(void **state)
{
    (void)state;
    static const struct visit visits[] = {{"POST", "rotation/pause", NULL, PAUSE, 200, 0}, {0}};
    struct scene *s = with(&by_role);
    char value[160], body[256];
    value_of(s, &by_role, 1, value);
    (void)snprintf(body, sizeof body, "{\"secret_id\":\"%s\"}", value);
    need(s, 204, "POST", "auth/approle/role/ci/secret-id/destroy", body);
    meanwhile(s->vault, visits, begins);
    order(s, "reconcile", &by_role);
    soon_says(s, "secretctl run resume: rotation is paused by root");
    assert_true(meanwhile_over());
    assert_int_equal(current_of(s, &by_role), 1);
    assert_int_equal(secret_ids(s), 0);
    need(s, 200, "DELETE", "rotation/pause", NULL);
    until(s, "done");
    assert_true(version_opens(s, &by_role, 2));
    scene_end(s);
}

static void nothing_is_set_again(void **state)
{
    (void)state;
    struct scene *s = with(&by_role);
    order(s, "rotate", &by_role);
    until(s, "done");
    refused(s, s->vault->root, "rotation/rotate/secret/ci/login", "{\"reason\":\"t\",\"back\":true}", 400, "KT-R-006");
    scene_end(s);
}

/* The new one is ended before anybody has it: another is made, the old one is not let go. */
static void the_new_one_is_ended_meanwhile(void **state)
{
    (void)state;
    struct scene *s = begun();
    char body[1024], value[160];
    keep_first(s, &by_role);
    settings_of(&by_role, SOON ",\"propagation\":100", body);
    done(s, "POST", "rotation/secrets/secret/ci/login", body);
    order(s, "rotate", &by_role);
    until(s, "verifying");
    value_of(s, &by_role, 2, value);
    (void)snprintf(body, sizeof body, "{\"secret_id\":\"%s\"}", value);
    need(s, 204, "POST", "auth/approle/role/ci/secret-id/destroy", body);
    until(s, "rolled_back");
    assert_true(version_opens(s, &by_role, 1));
    assert_int_equal(secret_ids(s), 1);
    scene_end(s);
}

/* ---- who may, and what cannot be ---- */

static void as_the_api_asks(void **state)
{
    (void)state;
    struct scene *s = begun();
    char body[1024], setter[128], maker[128];
    test_vault_token(s->vault, "setter", "path \"rotation/secrets/*\" { capabilities = [\"create\", \"update\"] }",
                     setter, sizeof setter);
    test_vault_token(s->vault, "maker",
                     "path \"rotation/secrets/*\" { capabilities = [\"create\", \"update\"] }\n"
                     "path \"auth/approle/role/ci/secret-id\" { capabilities = [\"update\"] }\n"
                     "path \"auth/token/create/ci\" { capabilities = [\"update\"] }",
                     maker, sizeof maker);
    const struct own *const each[] = {&by_role, &by_token};
    for (size_t i = 0; i < 2; i++) {
        char path[128];
        keep_first(s, each[i]);
        settings_of(each[i], SOON, body);
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/%s", each[i]->secret);
        refused(s, setter, path, body, 403, "permission denied");
        unsigned status = test_vault_call(s->vault, "POST", path, maker, body);
        if (status != 200 && status != 204)
            fail_msg("%u: %s", status, s->vault->body);
        /* Whatever of it is written. */
        refused(s, setter, path, "{\"overlap\":5}", 403, "permission denied");
    }
    scene_end(s);
}

/* A condition beside the right, and bounds of the token that asks, are not got round either. */
static void with_the_bounds_of_who_sets_it(void **state)
{
    (void)state;
    struct scene *s = begun();
    char body[1024], token[128];
    keep_first(s, &by_role);
    keep_first(s, &by_token);
    settings_of(&by_role, SOON, body);
    test_vault_token(s->vault, "wrapped",
                     "path \"rotation/secrets/*\" { capabilities = [\"create\", \"update\"] }\n"
                     "path \"auth/approle/role/ci/secret-id\" { capabilities = [\"update\"]\n"
                     "  min_wrapping_ttl = \"1s\" max_wrapping_ttl = \"90s\" }",
                     token, sizeof token);
    refused(s, token, "rotation/secrets/secret/ci/login", body, 403, "permission denied");
    need(s, 200, "POST", "auth/token/create", "{\"policies\":[\"root\"],\"num_uses\":5}");
    text_at(s, "auth.client_token", token, sizeof token);
    settings_of(&by_token, SOON, body);
    refused(s, token, "rotation/secrets/secret/ci/token", body, 400, "limited number of uses");
    scene_end(s);
}

/* The accessor would be written over the value: one more that nobody has with each run. */
static void the_id_has_its_own_member(void **state)
{
    (void)state;
    struct scene *s = begun();
    static const char *const fields[] = {"\"username_field\":\"made_by\",\"password_field\":\"key_id\"",
                                         "\"username_field\":\"key_id\",\"password_field\":\"secret_id\""};
    char body[1024];
    need(s, 200, "POST", "secret/data/ci/x",
         "{\"data\":{\"made_by\":\"auth/approle/role/ci\",\"key_id\":\"auth/approle/role/ci\",\"secret_id\":\"y\"}}");
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(body, sizeof body,
                       "{\"target\":\"here\",\"strategy\":\"overlap\",\"accounts\":[\"auth/approle/role/ci\"],%s}",
                       fields[i]);
        refused(s, s->vault->root, "rotation/secrets/secret/ci/x", body, 400,
                "is where a key's id is stored: password_field and username_field must name other members");
    }
    assert_int_equal(secret_ids(s), 0);
    scene_end(s);
}

static void what_cannot_be_made(void **state)
{
    (void)state;
    struct scene *s = begun();
    static const struct {
        const char *account, *text;
    } rows[] = {
        {"auth/approle/role/none", "there is no role 'none'"},
        {"auth/approle/role/.nobody", "there is no role '.nobody'"},
        {"auth/approle/role/CI", "there is no role 'CI'"},
        {"auth/approle/role/open", "takes logins without a secret id"},
        {"auth/token/roles/none", "there is no role 'none'"},
        {"auth/token/roles/child", "end with the one that made them"},
        {"auth/token/roles/any", "does not say which policies"},
        {"auth/token/roles/twice", "is disallowed by this role"},
        {"auth/token/create/ci", "nothing that this vault makes"},
        {"auth/approle/role/ci/secret-id", "nothing that this vault makes"},
        {"secret/role/ci", "nothing that this vault makes"},
        {"ci", "nothing that this vault makes"},
    };
    need(s, 204, "POST", "auth/approle/role/open",
         "{\"bind_secret_id\":false,\"secret_id_bound_cidrs\":[\"10.0.0.0/8\"]}");
    need(s, 204, "POST", "auth/token/roles/child", "{\"allowed_policies\":[\"agent\"]}");
    need(s, 204, "POST", "auth/token/roles/any", "{\"orphan\":true,\"allowed_policies_glob\":[\"*\"]}");
    need(s, 204, "POST", "auth/token/roles/twice",
         "{\"orphan\":true,\"allowed_policies\":[\"agent\"],\"disallowed_policies\":[\"agent\"]}");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct own own = {"ci/x", rows[i].account, "value"};
        char body[1024];
        settings_of(&own, SOON, body);
        need(s, 200, "POST", "secret/data/ci/x", "{\"data\":{\"made_by\":\"x\",\"value\":\"y\"}}");
        refused(s, s->vault->root, "rotation/secrets/secret/ci/x", body, 400, rows[i].text);
    }
    refused(s, s->vault->root, "rotation/targets/there", "{\"driver\":\"vault\",\"host\":\"elsewhere\"}", 400,
            "has no place");
    refused(s, s->vault->root, "rotation/targets/there", "{\"driver\":\"vault\",\"admin_secret\":\"secret/x\"}", 400,
            "has no place");
    need(s, 200, "POST", "rotation/targets/here/check", "{}");
    says(s, "\"ok\":true");
    scene_end(s);
}

/* The right is asked for when a secret is set: no target becomes this vault behind it. */
static void no_target_becomes_this_vault(void **state)
{
    (void)state;
    struct scene *s = with(&by_role);
    refused(s, s->vault->root, "rotation/targets/pg", "{\"driver\":\"vault\",\"host\":\"\",\"sslmode\":\"verify-full\","
            "\"port\":0,\"admin_username\":\"\",\"admin_password\":\"\"}", 400, "not with values that people log in");
    refused(s, s->vault->root, "rotation/targets/here", "{\"driver\":\"redis\",\"host\":\"/run/sim\","
            "\"admin_username\":\"a\",\"admin_password\":\"b\",\"sslmode\":\"disable\"}", 400,
            "with values that people log in");
    scene_end(s);
}

/* Three in a row, one of them of a secret whose old one is meant to be dead: each is over before it changed anything,
 * and the vault is not to blame. */
static void no_run_begins(struct scene *s, const struct own *own, unsigned version)
{
    char body[1024], path[128];
    for (unsigned i = 0; i < 3; i++) {
        settings_of(own, i == 1 ? SOON ",\"old_is_dead\":true" : SOON, body);
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/%s", own->secret);
        done(s, "POST", path, body);
        order(s, "rotate", own);
        until(s, "cancelled");
        story_says(s, "the stored one is accepted but would not be ended");
        assert_int_equal(current_of(s, own), version);
    }
    need(s, 200, "GET", "rotation/targets/here", NULL);
    says(s, "\"failures\":0");
}

/* What another role made is none of this one's, though whoever wrote the secret knows it. */
static void nothing_else_is_ended(void **state)
{
    (void)state;
    struct scene *s = begun();
    char root[160], accessor[64], body[1024];
    need(s, 200, "POST", "auth/token/create", "{\"policies\":[\"agent\"],\"no_parent\":true}");
    text_at(s, "auth.client_token", root, sizeof root);
    text_at(s, "auth.accessor", accessor, sizeof accessor);
    (void)snprintf(body, sizeof body,
                   "{\"data\":{\"made_by\":\"%s\",\"token\":\"%s\",\"key_id\":\"%s\",\"note\":\"stays\"}}",
                   by_token.account, root, accessor);
    need(s, 200, "POST", "secret/data/ci/token", body);
    no_run_begins(s, &by_token, 1);
    assert_true(opens(s, &by_token, root));
    scene_end(s);
}

static void write_other(struct scene *s, const struct own *own, const char *value, const char *accessor)
{
    char body[1024], path[128];
    (void)snprintf(body, sizeof body,
                   "{\"data\":{\"made_by\":\"%s\",\"%s\":\"%s\",\"key_id\":\"%s\",\"note\":\"stays\"}}",
                   own->account, own->field, value, accessor);
    (void)snprintf(path, sizeof path, "secret/data/%s", own->secret);
    need(s, 200, "POST", path, body);
}

/* Another machine's of the same role: who writes the secret knows it, which is no right to end it. Nor is it called
 * dead while it opens the vault. */
static void what_the_id_does_not_name_stays(void **state)
{
    (void)state;
    const struct own *const each[] = {&by_role, &by_token};
    for (size_t i = 0; i < 2; i++) {
        struct scene *s = with(each[i]);
        char other[160], accessor[64], first[64], path[128];
        need(s, 200, "POST", i == 0 ? "auth/approle/role/ci/secret-id" : "auth/token/create/ci", "{}");
        text_at(s, i == 0 ? "data.secret_id" : "auth.client_token", other, sizeof other);
        text_at(s, i == 0 ? "data.secret_id_accessor" : "auth.accessor", accessor, sizeof accessor);
        need(s, 200, "GET", i == 0 ? "secret/data/ci/login" : "secret/data/ci/token", NULL);
        text_at(s, "data.data.key_id", first, sizeof first);
        write_other(s, each[i], other, first);
        no_run_begins(s, each[i], 2);
        assert_true(opens(s, each[i], other));
        (void)snprintf(path, sizeof path, "rotation/dry-run/secret/%s", each[i]->secret);
        need(s, 200, "POST", path, "{}");
        says(s, "NOT READY");
        says(s, "would not be ended");
        says(s, "version 2 is accepted");
        /* Named, it is ended as any other. */
        write_other(s, each[i], other, accessor);
        order(s, "rotate", each[i]);
        until(s, "done");
        assert_false(opens(s, each[i], other));
        assert_true(version_opens(s, each[i], 4));
        scene_end(s);
    }
}

static void without_an_id_none_is_set(void **state)
{
    (void)state;
    struct scene *s = begun();
    char body[1024];
    need(s, 200, "POST", "secret/data/ci/login", "{\"data\":{\"made_by\":\"auth/approle/role/ci\",\"secret_id\":\"y\"}}");
    settings_of(&by_role, SOON, body);
    refused(s, s->vault->root, "rotation/secrets/secret/ci/login", body, 400, "has no text member \\\"key_id\\\"");
    scene_end(s);
}

static void a_role_that_is_gone_changes_nothing(void **state)
{
    (void)state;
    struct scene *s = with(&by_token);
    need(s, 204, "DELETE", "auth/token/roles/ci", NULL);
    order(s, "rotate", &by_token);
    until(s, "cancelled");
    story_says(s, "there is no role 'ci'");
    assert_true(version_opens(s, &by_token, 1));
    scene_end(s);
}

static void it_is_told_when_it_would_end_by_itself(void **state)
{
    (void)state;
    struct scene *s = begun();
    char body[1024];
    keep_first(s, &by_token);
    settings_of(&by_token, SOON, body);
    need(s, 200, "POST", "rotation/secrets/secret/ci/token", body);
    says(s, "lasts 1h0m0s unless it is renewed");
    settings_of(&by_token, SOON ",\"period\":\"20m\",\"max_age\":\"50m\"", body);
    need(s, 204, "POST", "rotation/secrets/secret/ci/token", body);
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_id_is_replaced),
        cmocka_unit_test(a_token_is_replaced),
        cmocka_unit_test(what_is_made_goes_on_the_way_back),
        cmocka_unit_test(who_has_read_the_old_one_keeps_it),
        cmocka_unit_test(a_drill_leaves_what_was),
        cmocka_unit_test(what_somebody_ended_is_made_anew),
        cmocka_unit_test(to_mend_takes_the_right_to_rotate),
        cmocka_unit_test(nothing_is_made_while_all_is_paused),
        cmocka_unit_test(what_makes_another_waits_for_the_end_of_the_pause),
        cmocka_unit_test(nothing_is_set_again),
        cmocka_unit_test(the_new_one_is_ended_meanwhile),
        cmocka_unit_test(as_the_api_asks),
        cmocka_unit_test(with_the_bounds_of_who_sets_it),
        cmocka_unit_test(the_id_has_its_own_member),
        cmocka_unit_test(what_cannot_be_made),
        cmocka_unit_test(no_target_becomes_this_vault),
        cmocka_unit_test(nothing_else_is_ended),
        cmocka_unit_test(what_the_id_does_not_name_stays),
        cmocka_unit_test(without_an_id_none_is_set),
        cmocka_unit_test(a_role_that_is_gone_changes_nothing),
        cmocka_unit_test(it_is_told_when_it_would_end_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
