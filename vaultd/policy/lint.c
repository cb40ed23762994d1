#include "vaultd/policy/lint.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/nearest.h"
#include "vaultd/policy/policies.h"
#include "vaultd/policy/reach.h"

#define TEXT_MAX  400u
#define NAMES_MAX 64u /* first words of an engine's rows */
#define WRITES    (CAP_CREATE | CAP_UPDATE | CAP_PATCH)

struct linter {
    struct request *req;
    struct lint *lint;
    const struct acl *acl; /* of this policy alone */
    const struct mount *const *mounts;
    size_t n_mounts;
    bool all_mounts; /* they are all that there are, not only those that the asker may know of */
    size_t n_plus; /* blocks with a '+', all of which a decision walks */
    size_t looks;  /* at rows, and at such blocks for each of them */
};

/* What one block meets. */
struct met {
    const struct rule *rule;
    unsigned asked;     /* of all rows, CAP_ bits */
    unsigned free;      /* what the same rows do for everybody */
    size_t rows, open, sudo; /* open: that ask for no policy; sudo: that want it */
    bool may_sudo;      /* it means something there, for handlers too (asks_for_sudo()) */
    bool capital;       /* in a name that counts in lower case */
    bool decides;       /* for some path that it meets it is the pattern that decides */
    const char *better; /* else: one that decides instead of it */
    uint64_t known;     /* its parameters that some row has, a bit each */
    const struct field *fields; /* of such a row */
};

static void find(struct linter *l, const struct met *met, enum lint_weight weight,
                 const char *instead, const char *format, ...) KT_PRINTF(5, 6);
static void find(struct linter *l, const struct met *met, enum lint_weight weight,
                 const char *instead, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (l->lint->n == LINT_FINDINGS_MAX) {
        l->lint->whole = false;
        return;
    }
    l->lint->at[l->lint->n++] =
        (struct lint_finding){.weight = weight,
                              .pattern = met->rule->pattern,
                              .text = kt_arena_text(&l->req->arena, kt_str(text)),
                              .instead = instead};
}

/* ---- what it meets ---- */

static bool has_field(const struct route *route, const char *name)
{
    for (const struct field *field = route->fields; field != NULL && field->name != NULL; field++)
        if (strcmp(field->name, name) == 0)
            return true;
    return (route->flags & ROUTE_ANY_FIELDS) != 0;
}

/* The name of a rule's i-th parameter, whatever it says of it; NULL: it has not so many. */
static const char *parameter(const struct rule *rule, size_t i)
{
    if (i < rule->allowed.n)
        return rule->allowed.at[i].name;
    i -= rule->allowed.n;
    if (i < rule->denied.n)
        return rule->denied.at[i].name;
    i -= rule->denied.n;
    return i < rule->n_required ? rule->required[i] : NULL;
}

static void note_parameters(struct met *met, const struct route *route)
{
    const char *name = NULL;
    for (size_t i = 0; i < 64 && (name = parameter(met->rule, i)) != NULL; i++)
        if (strcmp(name, "*") == 0 || has_field(route, name))
            met->known |= UINT64_C(1) << i;
    if (met->fields == NULL)
        met->fields = route->fields;
}

static void note_decision(struct linter *l, struct met *met, const char *path, bool list)
{
    char slashed[REACH_PATH + 1];
    size_t len = (size_t)snprintf(slashed, sizeof slashed, "%s%s", path,
                                  list && path[strlen(path) - 1] != '/' ? "/" : "");
    const struct acl_request ask = {.op = list ? OP_LIST : OP_READ,
                                    .path = slashed,
                                    .path_len = len,
                                    .wrap_ttl_s = -1};
    struct acl_decision decision;
    l->looks += l->n_plus;
    acl_check(l->acl, &ask, &decision);
    /* Nobody fills in a template here: it decides of the name that it becomes, whatever stands beside it. */
    bool template = strstr(met->rule->pattern, "{{") != NULL;
    if (decision.pattern == NULL || template || strcmp(decision.pattern, met->rule->pattern) == 0)
        met->decides = true;
    else if (met->better == NULL)
        met->better = decision.pattern;
}

/* Handlers that look at sudo themselves: an orphan's making, a target that is reached in the open. */
static bool asks_for_sudo(const char *type)
{
    return strcmp(type, "token") == 0 || strcmp(type, "rotation") == 0;
}

/* Below the mount, where a template does not stand. */
static bool has_capital(const char *pattern, const char *mount)
{
    const char *at = pattern;
    for (const char *c = mount; *c != '\0'; c++)
        if (*c == '/' && (at = strchr(at, '/')) != NULL)
            at++;
        else if (at == NULL)
            return false;
    for (; *at != '\0'; at++) {
        const char *end = strncmp(at, "{{", 2) == 0 ? strstr(at, "}}") : NULL;
        at = end != NULL ? end + 1 : at;
        if (*at >= 'A' && *at <= 'Z')
            return true;
    }
    return false;
}

static void meet_row(struct linter *l, struct met *met, const struct mount *mount,
                     const struct route *route)
{
    char path[REACH_PATH];
    unsigned asked = reach_capabilities(route);
    bool plain = reach_route(met->rule, mount->path, route, false, path);
    l->looks++;
    if (plain && path[0] != '\0')
        note_decision(l, met, path, false);
    bool folder = !plain && route->list != NULL && reach_route(met->rule, mount->path, route, true, path);
    if (!plain && !folder)
        return;
    if (route->list != NULL)
        note_decision(l, met, path, true);
    if (folder)
        asked &= CAP_LIST;
    bool sudo = (route->flags & ROUTE_SUDO) != 0;
    met->capital = met->capital ||
                   ((route->flags & ROUTE_TO_LOWER) != 0 && has_capital(met->rule->pattern, mount->path));
    met->rows++;
    met->open += asked == 0;
    met->sudo += sudo && asked != 0;
    met->may_sudo = met->may_sudo || sudo || asks_for_sudo(mount->type);
    met->asked |= asked;
    met->free |= reach_open(route);
    if ((asked & (WRITES | CAP_READ)) != 0)
        note_parameters(met, route);
}

static void meet_all(struct linter *l, struct met *met)
{
    const struct mount *only = reach_mount(met->rule, l->mounts, l->n_mounts);
    for (size_t i = 0; i < l->n_mounts; i++) {
        const struct mount *mount = l->mounts[i];
        if ((only != NULL && only != mount) || mount->engine == NULL)
            continue;
        for (size_t j = 0; j < mount->engine->n_routes; j++) {
            if (l->looks >= LINT_LOOKS_MAX) {
                l->lint->whole = false;
                return;
            }
            meet_row(l, met, mount, &mount->engine->routes[j]);
        }
    }
}

/* ---- what was perhaps meant ---- */

static bool meets_any(const struct linter *l, const struct rule *rule, const char *pattern,
                      const struct mount *mount)
{
    char path[REACH_PATH];
    struct rule other = *rule;
    other.pattern = pattern;
    other.len = strlen(pattern);
    other.star = other.len > 0 && pattern[other.len - 1] == '*';
    other.len -= other.star;
    (void)l;
    for (size_t i = 0; i < mount->engine->n_routes; i++)
        if (reach_route(&other, mount->path, &mount->engine->routes[i], false, path))
            return true;
    return false;
}

static const char *glue(struct kt_arena *arena, const char *a, const char *b, const char *c)
{
    char text[REACH_PATH];
    int n = snprintf(text, sizeof text, "%s%s%s", a, b, c);
    return n < 0 || (size_t)n >= sizeof text ? NULL : kt_arena_text(arena, kt_str(text));
}

static size_t add_name(const char *pattern, struct kt_arena *arena, const char **names, size_t n)
{
    size_t len = strcspn(pattern, "/");
    if (pattern[0] != '{' && n + 1 < NAMES_MAX)
        names[n++] = kt_arena_text(arena, kt_bytes(pattern, len));
    return n;
}

/* Another pattern in the same mount that does meet something. */
static const char *meant(const struct linter *l, const struct rule *rule, const struct mount *mount)
{
    struct kt_arena *arena = &l->req->arena;
    size_t len = strlen(mount->path);
    const char *rest = strlen(rule->pattern) >= len ? rule->pattern + len : "";
    const char *names[NAMES_MAX] = {0}, *tries[3] = {0};
    size_t n = 0;
    for (size_t i = 0; i < mount->engine->n_routes; i++)
        n = add_name(mount->engine->routes[i].pattern, arena, names, n);
    names[n] = NULL;
    bool kv2 = strcmp(mount->type, "kv") == 0 && mount->version != NULL &&
               strcmp(mount->version, "2") == 0;
    const char *word = kt_arena_text(arena, kt_bytes(rest, strcspn(rest, "/")));
    const char *near = word == NULL || word[0] == '\0' ? NULL : kt_nearest(word, names);
    bool known = near != NULL && strcmp(near, word) == 0;
    if (near != NULL && !known)
        tries[0] = glue(arena, mount->path, near, rest + strlen(word));
    if (!rule->star)
        tries[known ? 1 : 2] = glue(arena, rule->pattern, "/*", "");
    if (kv2)
        tries[known ? 2 : 1] =
            glue(arena, mount->path, rule->capabilities == CAP_LIST ? "metadata/" : "data/",
                 rest[0] == '\0' ? "*" : rest);
    for (size_t i = 0; i < 3; i++)
        if (tries[i] != NULL && meets_any(l, rule, tries[i], mount))
            return tries[i];
    return NULL;
}

static const char *mount_meant(const struct linter *l, const struct rule *rule)
{
    struct kt_arena *arena = &l->req->arena;
    const char *names[NAMES_MAX] = {0};
    size_t n = 0, len = strcspn(rule->pattern, "/");
    for (size_t i = 0; i < l->n_mounts && n + 1 < NAMES_MAX; i++)
        n = add_name(l->mounts[i]->path, arena, names, n);
    const char *word = kt_arena_text(arena, kt_bytes(rule->pattern, len));
    const char *near = word == NULL ? NULL : kt_nearest(word, names);
    return near == NULL || strcmp(near, word) == 0 ? NULL : glue(arena, near, rule->pattern + len, "");
}

/* ---- what is said ---- */

static void names_of(unsigned capabilities, char *out, size_t size)
{
    const char *names[8];
    size_t n = capabilities == 0 ? 0 : capability_names(capabilities, names);
    out[0] = '\0';
    for (size_t i = 0; i < n; i++)
        (void)snprintf(out + strlen(out), size - strlen(out), "%s%s", i == 0 ? "" : ", ", names[i]);
}

static void judge_nothing(struct linter *l, const struct met *met)
{
    const struct mount *mount = reach_mount(met->rule, l->mounts, l->n_mounts);
    if (mount == NULL && !l->all_mounts)
        return; /* whether there is one is not his to know */
    if (mount == NULL) {
        find(l, met, LINT_IDLE, mount_meant(l, met->rule),
             "has no effect as long as no mount is there");
        return;
    }
    if (mount->engine == NULL)
        return;
    const char *instead = meant(l, met->rule, mount);
    find(l, met, instead != NULL ? LINT_WRONG : LINT_IDLE, instead,
         "matches nothing that can be asked of %.100s", mount->path);
}

static void judge_capabilities(struct linter *l, const struct met *met)
{
    char idle[128], asked[128];
    unsigned given = met->rule->capabilities & ~(unsigned)CAP_SUDO & ~met->free;
    unsigned used = given & met->asked;
    names_of(given & ~met->asked, idle, sizeof idle);
    names_of(met->asked, asked, sizeof asked);
    if (met->rule->capabilities == 0)
        find(l, met, LINT_IDLE, NULL, "grants nothing: it has no capability");
    else if (given != 0 && used == 0)
        find(l, met, LINT_WRONG, NULL, "grants %s, but only %s is asked for there", idle, asked);
    else if (idle[0] != '\0')
        find(l, met, LINT_IDLE, NULL, "grants %s, which is never asked for there (only %s)", idle,
             asked);
    if (used != 0 && met->sudo == met->rows - met->open && (met->rule->capabilities & CAP_SUDO) == 0)
        find(l, met, LINT_WRONG, NULL, "grants nothing without the capability sudo, which is needed there");
    if ((met->rule->capabilities & CAP_SUDO) != 0 && !met->may_sudo)
        find(l, met, LINT_IDLE, NULL, "grants sudo, which is never asked for there");
}

static void judge_parameters(struct linter *l, const struct met *met)
{
    const struct rule *rule = met->rule;
    const char *name = NULL;
    if (parameter(rule, 0) == NULL)
        return;
    if ((rule->capabilities & (WRITES | CAP_READ)) == 0) {
        find(l, met, LINT_IDLE, NULL, "has parameters, which are not looked at for what it grants");
        return;
    }
    char known[200] = "";
    for (const struct field *field = met->fields; field != NULL && field->name != NULL; field++)
        (void)snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s",
                       known[0] == '\0' ? "" : ", ", field->name);
    for (size_t i = 0; i < 64 && (name = parameter(rule, i)) != NULL; i++)
        if ((met->known & UINT64_C(1) << i) == 0)
            find(l, met, LINT_IDLE, NULL, "names \"%.60s\", which no request there has (known: %s)",
                 name, known);
}

static void judge(struct linter *l, const struct rule *rule)
{
    struct met met = {.rule = rule};
    bool was_whole = l->lint->whole;
    meet_all(l, &met);
    if (was_whole && !l->lint->whole)
        return; /* half a look is none */
    if (met.rows == 0) {
        judge_nothing(l, &met);
        return;
    }
    if (!met.decides && met.better != NULL)
        find(l, &met, LINT_WRONG, NULL, "never decides: \"%.200s\" is more specific wherever it matches",
             met.better);
    if (met.capital)
        find(l, &met, LINT_WRONG, NULL,
             "has a capital letter in a name that counts in lower case: it grants nothing, and denies nothing "
             "to who types it otherwise");
    if ((rule->capabilities & CAP_DENY) != 0)
        return;
    if (met.rows == met.open) {
        find(l, &met, LINT_IDLE, NULL, "grants what no policy is asked for");
        return;
    }
    judge_capabilities(l, &met);
    judge_parameters(l, &met);
}

/* Who may write policies need not know what is mounted: as in sys/internal/ui/mounts, all mounts for who may read
 * sys/mounts, else those that his own token reaches. */
static enum kt_kind choose_mounts(struct linter *l, struct kt_err *err)
{
    static const char table[] = "sys/mounts";
    struct request *req = l->req;
    struct acl *own = NULL;
    const struct mount *const *all = NULL;
    size_t n = mounts_all(req, &all);
    enum kt_kind kind =
        req->token == NULL ? KT_OK : policies_acl(req->core, req->snapshot, req->token, &own, err);
    if (kind != KT_OK)
        return kind;
    l->all_mounts = own != NULL && (acl_capabilities(own, table, NULL, strlen(table)) & CAP_READ) != 0;
    const struct mount **seen = kt_arena_take(&req->arena, (n + 1) * sizeof(const struct mount *));
    for (size_t i = 0; own != NULL && seen != NULL && i < n; i++)
        if (l->all_mounts || acl_touches(own, all[i]->path))
            seen[l->n_mounts++] = all[i];
    l->mounts = seen;
    acl_unref(own);
    return seen == NULL ? kt_fail(err, KT_NO_MEMORY, "looking at a policy") : KT_OK;
}

enum kt_kind policy_lint(struct request *req, struct policy *policy, struct lint *ret,
                         struct kt_err *err)
{
    *ret = (struct lint){.whole = true};
    ret->at = kt_arena_take(&req->arena, LINT_FINDINGS_MAX * sizeof *ret->at);
    struct acl *acl = acl_build(&policy, 1, false, NULL);
    if (ret->at == NULL || acl == NULL) {
        acl_unref(acl);
        return kt_fail(err, KT_NO_MEMORY, "looking at a policy");
    }
    struct linter l = {.req = req, .lint = ret, .acl = acl};
    enum kt_kind kind = choose_mounts(&l, err);
    if (kind != KT_OK) {
        acl_unref(acl);
        return kind;
    }
    size_t n = 0;
    const struct rule *rules = policy_rules(policy, &n);
    for (size_t i = 0; i < n; i++)
        l.n_plus += strchr(rules[i].pattern, '+') != NULL;
    for (size_t i = 0; i < n && ret->whole; i++)
        judge(&l, &rules[i]);
    acl_unref(acl);
    return req->arena.failed ? kt_fail(err, KT_NO_MEMORY, "looking at a policy") : KT_OK;
}

const char *lint_line(struct kt_arena *arena, const struct lint_finding *finding)
{
    char line[REACH_PATH + TEXT_MAX];
    int n = snprintf(line, sizeof line, "path \"%.200s\" %s%s%.200s%s", finding->pattern, finding->text,
                     finding->instead == NULL ? "" : ": did you mean \"",
                     finding->instead == NULL ? "" : finding->instead,
                     finding->instead == NULL ? "" : "\"?");
    return n < 0 ? "" : kt_arena_text(arena, kt_str(line));
}
