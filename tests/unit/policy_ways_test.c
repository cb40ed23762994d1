/* One truth about access: a whole vault is asked in every way that it offers, and the rules said word by
 * word (tests/support/slow_policy.h) answer the same. A token has one of three policies itself, its entity
 * has the second and a group of the entity the third; templates are filled in with the entity's metadata.
 * Asked are the request, sys/capabilities in its three forms, sys/policies/explain, and resultant-acl,
 * which is read back. KT_SEED= and KT_CASES= as in unit/policy_model_test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/jsonw.h"
#include "tests/support/identity_scene.h"
#include "tests/support/policy_cases.h"
#include "tests/support/shown_policy.h"

#define CASES_PER_BOOK 40u

struct scene {
    struct test_vault *vault;
    struct cases cases;
    struct slow_book shown;
    json_t *held; /* what its names lie in; NULL: the token may not see it */
    char token[256], entity[64], accessor[64];
};

static void call(struct scene *scene, const char *method, const char *path, struct kt_buf *body)
{
    struct test_vault *vault = scene->vault;
    unsigned status = test_vault_call(vault, method, path, vault->root, kt_buf_text(body));
    if (status >= 300)
        fail_msg("%s %s %s: %u %s", method, path, kt_buf_text(body), status, vault->body);
}

/* ---- the scene of a book ---- */

static void put_policies(struct scene *scene)
{
    for (unsigned i = 0; i < CASES_POLICIES; i++) {
        char path[64];
        kt_autobuf struct kt_buf body;
        kt_buf_init(&body, 131072);
        (void)snprintf(path, sizeof path, "sys/policies/acl/p%u", i);
        struct kt_jsonw w = kt_jsonw(&body);
        kt_jsonw_object(&w);
        kt_jsonw_kv_text(&w, "policy", kt_buf_text(&scene->cases.text[i]));
        kt_jsonw_end(&w);
        call(scene, "PUT", path, &body);
    }
}

static void put_metadata(struct scene *scene)
{
    static const char prefix[] = "identity.entity.metadata.";
    char path[128];
    kt_autobuf struct kt_buf body;
    kt_buf_init(&body, 4096);
    (void)snprintf(path, sizeof path, "identity/entity/id/%s", scene->entity);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "policies", "p1");
    kt_jsonw_key(&w, "metadata");
    kt_jsonw_object(&w);
    for (size_t i = 0; i < CASES_FACTS; i++)
        if (scene->cases.facts[i].value != NULL)
            kt_jsonw_kv_text(&w, scene->cases.facts[i].directive + strlen(prefix),
                             scene->cases.facts[i].value);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    call(scene, "POST", path, &body);
}

/* What "default" lets a token ask is refused where a denial that cannot be filled in might be meant. */
static bool may_ask(struct scene *scene, const char *path)
{
    return !slow_refuses(&scene->cases.filled, path);
}

static void read_shown(struct scene *scene)
{
    static const char *const of_default[] = {"auth/", "cubbyhole/", "identity/", "sys/", NULL};
    static const char path[] = "sys/internal/ui/resultant-acl";
    struct test_vault *vault = scene->vault;
    bool may = may_ask(scene, path);
    if (test_vault_call(vault, "GET", path, scene->token, NULL) != (may ? 200u : 403u))
        fail_msg("resultant-acl: %s", vault->body);
    json_decref(scene->held);
    scene->held = NULL;
    if (!may)
        return;
    scene->held = json_loads(vault->body, 0, NULL);
    json_t *warnings = json_object_get(scene->held, "warnings");
    assert_int_equal(json_array_size(warnings), scene->cases.filled.n_refused);
    shown_read(json_object_get(scene->held, "data"), of_default, &scene->shown);
}

static void next_book(struct scene *scene)
{
    cases_next_book(&scene->cases);
    put_policies(scene);
    put_metadata(scene);
    read_shown(scene);
}

/* A path that is one, an operation that has a method, data where a body takes them. */
static void next_request(struct scene *scene)
{
    struct slow_request *request = &scene->cases.request;
    bool fine = false;
    while (!fine) {
        cases_next_request(&scene->cases);
        size_t len = strlen(request->path);
        fine = len > 1 && request->path[0] != '/' && strstr(request->path, "//") == NULL;
        if (request->op == OP_CREATE) /* of what is not there to be found */
            request->op = OP_UPDATE;
        bool writes = request->op == OP_UPDATE || request->op == OP_PATCH;
        fine = fine && !(request->path[len - 1] == '/' && writes);
        request->has_data = request->has_data && writes;
        request->n_members = request->has_data ? request->n_members : 0;
        if (request->wrap_ttl_s == 0) /* Vault's way not to ask for it */
            request->wrap_ttl_s = -1;
    }
}

/* ---- the ways ---- */

static void disagree(struct scene *scene, const char *way, const char *slow, const char *fast)
{
    cases_print(&scene->cases);
    fail_msg("%s: the rules say %s, the vault %s", way, slow, fast);
}

static const char *const yes_no[] = {"no", "yes"};

static void by_request(struct scene *scene, bool slow)
{
    static const struct {
        enum operation op;
        const char *method;
    } methods[] = {{OP_READ, "GET"},      {OP_LIST, "LIST"},   {OP_UPDATE, "POST"},
                   {OP_DELETE, "DELETE"}, {OP_PATCH, "PATCH"}};
    const struct slow_request *request = &scene->cases.request;
    char ttl[32], target[SLOW_PATTERN + 8];
    (void)snprintf(target, sizeof target, "/v1/%s", request->path);
    struct test_request ask = {.target = kt_str(target), .token = kt_str(scene->token)};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (methods[i].op == request->op)
            ask.method = kt_str(methods[i].method);
    if (request->has_data)
        ask.body = kt_buf_bytes(&scene->cases.data);
    if (request->op == OP_PATCH)
        ask.content_type = kt_str("application/merge-patch+json");
    (void)snprintf(ttl, sizeof ttl, "%d", (int)request->wrap_ttl_s);
    if (request->wrap_ttl_s > 0)
        ask.wrap_ttl = kt_str(ttl);
    unsigned status = test_vault_ask(scene->vault, &ask);
    if (status != (slow ? 404u : 403u))
        disagree(scene, "the request", yes_no[slow], scene->vault->body);
}

static void by_capabilities(struct scene *scene)
{
    const struct {
        const char *path, *asks, *key, *value;
    } ways[] = {{"sys/capabilities-self", scene->token, NULL, NULL},
                {"sys/capabilities", scene->vault->root, "token", scene->token},
                {"sys/capabilities-accessor", scene->vault->root, "accessor", scene->accessor}};
    const char *path = scene->cases.request.path;
    kt_autobuf struct kt_buf said;
    kt_buf_init(&said, 4096);
    struct kt_jsonw w = kt_jsonw(&said);
    kt_jsonw_object(&w);
    capability_list(&w, "capabilities", slow_capabilities(&scene->cases.filled, path));
    kt_buf_add_char(&said, ',');
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        kt_autobuf struct kt_buf body;
        kt_buf_init(&body, 4096);
        struct kt_jsonw b = kt_jsonw(&body);
        kt_jsonw_object(&b);
        kt_jsonw_kv_text(&b, "paths", path);
        if (ways[i].key != NULL)
            kt_jsonw_kv_text(&b, ways[i].key, ways[i].value);
        kt_jsonw_end(&b);
        unsigned status = test_vault_call(scene->vault, "POST", ways[i].path, ways[i].asks,
                                          kt_buf_text(&body));
        if (status == 403 && ways[i].asks == scene->token && !may_ask(scene, ways[i].path))
            continue;
        if (status != 200 || !test_vault_said(scene->vault, kt_buf_text(&said) + 1))
            disagree(scene, ways[i].path, kt_buf_text(&said), scene->vault->body);
    }
}

/* It is not asked about parameters and wrapping. */
static void by_explain(struct scene *scene)
{
    const struct slow_request *request = &scene->cases.request;
    struct slow_request plain = {.op = request->op, .path = request->path, .wrap_ttl_s = -1};
    bool sudo = false, slow = slow_allows(&scene->cases.filled, &plain, &sudo);
    kt_autobuf struct kt_buf body;
    kt_buf_init(&body, 4096);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "policies", "default,p0");
    kt_jsonw_kv_text(&w, "entity", scene->entity);
    kt_jsonw_kv_text(&w, "capability", operation_name(request->op));
    kt_jsonw_kv_text(&w, "path", request->path);
    kt_jsonw_end(&w);
    call(scene, "POST", "sys/policies/explain", &body);
    if (!test_vault_said(scene->vault, slow ? "\"allowed\":true" : "\"allowed\":false"))
        disagree(scene, "policy explain", yes_no[slow], scene->vault->body);
}

static void by_shown(struct scene *scene, bool slow)
{
    bool sudo = false;
    const struct slow_request *request = &scene->cases.request;
    if (scene->held == NULL)
        return;
    bool shown = !slow_refuses(&scene->cases.filled, request->path) &&
                 slow_allows(&scene->shown, request, &sudo);
    if (shown != slow)
        disagree(scene, "resultant-acl", yes_no[slow], yes_no[shown]);
}

/* ---- all of it ---- */

static void begin(struct scene *scene)
{
    struct test_vault *vault = test_vault_new(false);
    static const struct scene_login login = {.name = "u", .policy = "p0"};
    kt_autobuf struct kt_buf group;
    kt_buf_init(&group, 4096);
    scene->vault = vault;
    cases_init(&scene->cases, 20261126);
    assert_int_equal(scene_login(vault, &login, scene->token, sizeof scene->token, scene->entity), KT_OK);
    assert_int_equal(test_vault_call(vault, "GET", "auth/token/lookup-self", scene->token, NULL), 200);
    test_vault_text(vault, "data.accessor", scene->accessor, sizeof scene->accessor);
    kt_buf_printf(&group, "{\"policies\":\"p2\",\"member_entity_ids\":\"%s\"}", scene->entity);
    call(scene, "POST", "identity/group/name/g", &group);
}

static void every_way_says_the_same(void **state)
{
    (void)state;
    static struct scene scene;
    uint64_t wanted = cases_wanted(40000), n = 0, allowed = 0;
    begin(&scene);
    while (n < wanted) {
        next_book(&scene);
        for (unsigned i = 0; i < CASES_PER_BOOK; i++, n++) {
            bool sudo = false;
            next_request(&scene);
            bool slow = slow_allows(&scene.cases.filled, &scene.cases.request, &sudo);
            allowed += slow;
            by_request(&scene, slow);
            by_capabilities(&scene);
            by_explain(&scene);
            by_shown(&scene, slow);
        }
    }
    assert_true(allowed > n / 20 && allowed < n / 2);
    json_decref(scene.held);
    cases_free(&scene.cases);
    test_vault_free(scene.vault);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_says_the_same),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("policy_ways", tests, NULL, NULL);
}
