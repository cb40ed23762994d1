/* Which row of an engine's table a path belongs to, and that all the tables are sound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vaultd/core/engine.h"

static const struct route routes[] = {
    {.pattern = "config", .help = "0"},
    {.pattern = "data/{path...}", .help = "1"},
    {.pattern = "names/{path...?}", .help = "2"},
    {.pattern = "mounts/{path...}/tune", .help = "3"},
    {.pattern = "mounts/{path...}", .help = "4"},
    {.pattern = "runs/{id}", .help = "5"},
    {.pattern = "runs/{id}/cancel", .help = "6"},
    {.pattern = "runs", .help = "7"},
    {.pattern = "of/{host}/{path...}", .help = "8"},
    {.pattern = "two/{a}/and/{b}", .help = "9"},
};
static const struct engine engine = {
    .type = "test", .routes = routes, .n_routes = sizeof routes / sizeof routes[0]};

/* clang-format off */
static const struct row {
    const char *rest;
    enum operation op;
    int route; /* -1: none */
    const char *name, *value, *name2, *value2;
} rows[] = {
    {"config", OP_READ, 0, NULL, NULL, NULL, NULL},
    {"config/", OP_READ, -1, NULL, NULL, NULL, NULL},
    {"config/", OP_LIST, 0, NULL, NULL, NULL, NULL},
    {"configs", OP_READ, -1, NULL, NULL, NULL, NULL},
    {"confi", OP_READ, -1, NULL, NULL, NULL, NULL},
    {"", OP_READ, -1, NULL, NULL, NULL, NULL},
    {"data/a", OP_READ, 1, "path", "a", NULL, NULL},
    {"data/a/b/c", OP_READ, 1, "path", "a/b/c", NULL, NULL},
    {"data/a/", OP_READ, 1, "path", "a/", NULL, NULL},
    {"data/", OP_READ, -1, NULL, NULL, NULL, NULL},
    {"data", OP_READ, -1, NULL, NULL, NULL, NULL},
    {"names/", OP_READ, 2, "path", "", NULL, NULL},
    {"names/a/b", OP_LIST, 2, "path", "a/b", NULL, NULL},
    {"names", OP_READ, -1, NULL, NULL, NULL, NULL},
    {"mounts/a/tune", OP_READ, 3, "path", "a", NULL, NULL},
    {"mounts/a/b/tune", OP_READ, 3, "path", "a/b", NULL, NULL},
    {"mounts/tune", OP_READ, 4, "path", "tune", NULL, NULL},
    {"mounts/a/tune/", OP_READ, 4, "path", "a/tune/", NULL, NULL},
    {"mounts/a/tuned", OP_READ, 4, "path", "a/tuned", NULL, NULL},
    {"runs/1", OP_READ, 5, "id", "1", NULL, NULL},
    {"runs/1/cancel", OP_UPDATE, 6, "id", "1", NULL, NULL},
    {"runs/1/other", OP_READ, -1, NULL, NULL, NULL, NULL},
    {"runs/1/cancel/x", OP_READ, -1, NULL, NULL, NULL, NULL},
    {"runs/", OP_READ, -1, NULL, NULL, NULL, NULL},
    {"runs/", OP_LIST, 7, NULL, NULL, NULL, NULL},
    {"runs/1/", OP_LIST, 5, "id", "1", NULL, NULL},
    {"of/web1/secret/db/orders", OP_READ, 8, "host", "web1", "path", "secret/db/orders"},
    {"of/web1/x", OP_READ, 8, "host", "web1", "path", "x"},
    {"of/web1/", OP_READ, -1, NULL, NULL, NULL, NULL},
    {"of/web1", OP_READ, -1, NULL, NULL, NULL, NULL},
    {"of//x", OP_READ, -1, NULL, NULL, NULL, NULL},
    {"two/x/and/y", OP_READ, 9, "a", "x", "b", "y"},
    {"two/x/or/y", OP_READ, -1, NULL, NULL, NULL, NULL},
    {"two/{a}/and/{b}", OP_READ, 9, "a", "{a}", "b", "{b}"},
};
/* clang-format on */

static void matches(void **state)
{
    const struct row *row = *state;
    struct request req = {.op = row->op};
    kt_arena_init(&req.arena, 65536);
    bool found = route_match(&engine, row->rest, &req);
    int got = found ? (int)(req.route - routes) : -1;
    unsigned wanted_params = row->name2 != NULL ? 2 : row->name != NULL ? 1 : 0;
    bool fine = got == row->route && req.n_params == wanted_params;
    if (fine && row->name != NULL)
        fine = strcmp(request_param(&req, row->name), row->value) == 0;
    if (fine && row->name2 != NULL)
        fine = strcmp(request_param(&req, row->name2), row->value2) == 0;
    if (!fine)
        fail_msg("'%s': expected row %d with %s, got row %d with %u parameters, first '%s'",
                 row->rest, row->route, row->name == NULL ? "none" : row->value, got, req.n_params,
                 req.n_params == 0 ? "" : req.params[0].value);
    assert_string_equal(request_param(&req, "nothing"), "");
    kt_arena_free(&req.arena);
}

/* ---- the real tables ---- */

typedef void check_fn(const struct engine *of, const struct route *route);

static void each(check_fn *check)
{
    for (size_t i = 0; i < n_engines; i++)
        for (size_t j = 0; j < engines[i]->n_routes; j++)
            check(engines[i], &engines[i]->routes[j]);
}

static void check_help(const struct engine *of, const struct route *route)
{
    const char *help = route->help;
    size_t len = help == NULL ? 0 : strlen(help);
    if (len < 4 || help[len - 1] != '.' || !(help[0] >= 'A' && help[0] <= 'Z'))
        fail_msg("%s %s: the help must be a sentence, not '%s'", of->type, route->pattern,
                 help == NULL ? "" : help);
    for (const struct field *f = route->fields; f != NULL && f->name != NULL; f++)
        if (f->help == NULL || f->help[0] == '\0')
            fail_msg("%s %s: the field %s has no help", of->type, route->pattern, f->name);
}

static void help_is_a_sentence(void **state)
{
    (void)state;
    each(check_help);
}

static void check_handler(const struct engine *of, const struct route *route)
{
    if (route->read == NULL && route->list == NULL && route->write == NULL &&
        route->patch == NULL && route->delete_ == NULL)
        fail_msg("%s %s does nothing", of->type, route->pattern);
    if (route->exists != NULL && route->write == NULL)
        fail_msg("%s %s: an existence check without a write", of->type, route->pattern);
}

static void each_row_does_something(void **state)
{
    (void)state;
    each(check_handler);
}

static void patterns_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_engines; i++)
        for (size_t j = 0; j < engines[i]->n_routes; j++)
            for (size_t k = 0; k < j; k++)
                if (strcmp(engines[i]->routes[j].pattern, engines[i]->routes[k].pattern) == 0)
                    fail_msg("%s has %s twice", engines[i]->type, engines[i]->routes[j].pattern);
}

/* Whoever adds a row that nobody has to authenticate for adds it here too. */
static const char *const public_rows[] = {"init", "seal-status", "unseal", "health", "leader",
                                          "wrapping/lookup"};
static const char *const without_policy[] = {"internal/ui/mounts", "internal/ui/mounts/{path...}",
                                             "internal/specs/openapi", "approvals/mine", "approvals/mine/{id}",
                                             "approvals/mine/{id}/finish"};
/* Of these, what changes something: one's own request alone, and the policies were asked when it was made
 * and are asked again when it is carried out. */
static const char *const own_rows[] = {"approvals/mine/{id}", "approvals/mine/{id}/finish"};

/* Whoever lets a method of a row be asked without a token adds it here too. */
static const struct {
    const char *pattern;
    unsigned open;
} open_rows[] = {
    {"rekey/init", OP_READ},
    {"rekey/update", OP_UPDATE},
    {"rekey/verify", OP_READ | OP_UPDATE},
    {"generate-root/attempt", OP_READ},
    {"generate-root", OP_READ},
    {"generate-root/update", OP_UPDATE},
};
/* Where who owns the vault's process needs no token. */
static const char *const owner_rows[] = {"rekey/init", "rekey/verify", "generate-root/attempt",
                                         "generate-root"};

static unsigned open_to(const char *pattern)
{
    for (size_t i = 0; i < sizeof open_rows / sizeof open_rows[0]; i++)
        if (strcmp(open_rows[i].pattern, pattern) == 0)
            return open_rows[i].open;
    return 0;
}

static bool listed(const char *const *list, size_t n, const char *pattern)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], pattern) == 0)
            return true;
    return false;
}

static void check_flags(const struct engine *of, const struct route *route)
{
    const unsigned sealed = ROUTE_WHILE_SEALED | ROUTE_NO_AUDIT, open = ROUTE_PUBLIC;
    bool system = strcmp(of->type, "system") == 0;
    bool may =
        system && listed(public_rows, sizeof public_rows / sizeof *public_rows, route->pattern);
    bool login = of->auth != NULL && strncmp(route->pattern, "login", strlen("login")) == 0;
    if (((route->flags & open) != 0) != (may || login))
        fail_msg("%s %s is public, or should be", of->type, route->pattern);
    if ((route->flags & sealed) != 0 && !may)
        fail_msg("%s %s: only the status paths answer while sealed or without a record", of->type,
                 route->pattern);
    bool free_of_policy =
        system &&
        listed(without_policy, sizeof without_policy / sizeof *without_policy, route->pattern);
    if (((route->flags & ROUTE_ANY_TOKEN) != 0) != free_of_policy)
        fail_msg("%s %s asks no policy, or should not", of->type, route->pattern);
    if (route->open != (system ? open_to(route->pattern) : 0))
        fail_msg("%s %s may be asked without a token, or should be", of->type, route->pattern);
    bool owners = system && listed(owner_rows, sizeof owner_rows / sizeof *owner_rows, route->pattern);
    if (((route->flags & ROUTE_OWNER) != 0) != owners)
        fail_msg("%s %s: who owns the process needs no token there, or should not", of->type,
                 route->pattern);
    if (route->open != 0 && (route->body_max == 0 || route->body_max > 65536))
        fail_msg("%s %s: strangers may send large bodies", of->type, route->pattern);
    if (route->open != 0 && (route->flags & ROUTE_SUDO) == 0)
        fail_msg("%s %s: what is not open there wants sudo", of->type, route->pattern);
    bool own = system && listed(own_rows, sizeof own_rows / sizeof *own_rows, route->pattern);
    if ((route->flags & ROUTE_ANY_TOKEN) != 0 && !own &&
        ((route->write != NULL && route->write != route->read) || route->patch != NULL ||
         route->delete_ != NULL))
        fail_msg("%s %s changes something without a policy", of->type, route->pattern);
    if ((route->flags & ROUTE_MAYBE_TOKEN) != 0 && (route->flags & ROUTE_ANY_TOKEN) == 0)
        fail_msg("%s %s: a token that may be missing meets a policy", of->type, route->pattern);
    if ((route->flags & ROUTE_PUBLIC) != 0 && route->write != NULL &&
        (route->body_max == 0 || route->body_max > 65536))
        fail_msg("%s %s: strangers may send large bodies", of->type, route->pattern);
}

static void flags_are_consistent(void **state)
{
    (void)state;
    each(check_flags);
}

#define N     (sizeof rows / sizeof rows[0])
#define TABLE 4u

int main(int argc, char **argv)
{
    struct CMUnitTest tests[TABLE + N] = {
        {.name = "help is a sentence", .test_func = help_is_a_sentence},
        {.name = "each row does something", .test_func = each_row_does_something},
        {.name = "patterns are unique", .test_func = patterns_are_unique},
        {.name = "flags are consistent", .test_func = flags_are_consistent},
    };
    for (size_t i = 0; i < N; i++)
        tests[i + TABLE] =
            (struct CMUnitTest){.name = rows[i].rest[0] == '\0' ? "(empty)" : rows[i].rest,
                                .test_func = matches,
                                .initial_state = (void *)(uintptr_t)&rows[i]};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
