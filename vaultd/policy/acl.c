#include <stdatomic.h>
#include <stdlib.h>

#include "lib/arena.h"
#include "lib/failpoint.h"
#include "vaultd/policy/rule.h"

/* The merged rules of a token. Exact and prefix patterns stand in one hash table, keyed by kind and
 * text: one walk over a path hashes all its prefixes and asks the table only at lengths that some
 * prefix pattern has. Patterns with '+' are few and stand in a list. */
struct acl {
    atomic_uint refs;
    struct kt_arena arena;
    bool root;
    struct policy **held; /* the rules' texts and parameters are theirs */
    size_t n_held;
    struct rule **slots; /* exact and prefix; open addressing */
    size_t n_slots;      /* a power of two */
    struct rule **plus;
    size_t n_plus;
    const struct rule **unfilled; /* denials whose template cannot be filled in */
    size_t n_unfilled;
    bool *prefix_length; /* by length: some prefix pattern has it */
    size_t longest_prefix;
};

struct acl *acl_ref(struct acl *acl)
{
    (void)atomic_fetch_add(&acl->refs, 1);
    return acl;
}

void acl_unref(struct acl *acl)
{
    if (acl == NULL || atomic_fetch_sub(&acl->refs, 1) != 1)
        return;
    for (size_t i = 0; i < acl->n_held; i++)
        policy_unref(acl->held[i]);
    kt_arena_free(&acl->arena);
    free(acl);
}

/* FNV-1a; the patterns are the operators' own, nobody gains from making them collide. */
#define FNV_START 0xcbf29ce484222325u
static inline uint64_t fnv(uint64_t hash, unsigned char c)
{
    return (hash ^ c) * 0x100000001b3u;
}

static uint64_t hash_text(const char *text, size_t len)
{
    uint64_t hash = FNV_START;
    for (size_t i = 0; i < len; i++)
        hash = fnv(hash, (unsigned char)text[i]);
    return hash;
}

static struct rule **slot_of(const struct acl *acl, enum pattern_kind kind, uint64_t hash,
                             const char *text, size_t len)
{
    size_t at = (size_t)(hash ^ (hash >> 32) ^ (uint64_t)kind) & (acl->n_slots - 1);
    while (acl->slots[at] != NULL) {
        const struct rule *rule = acl->slots[at];
        if (rule->kind == kind && rule->len == len && memcmp(rule->pattern, text, len) == 0)
            break;
        at = (at + 1) & (acl->n_slots - 1);
    }
    return &acl->slots[at];
}

/* ---- merging ---- */

static bool merge_parameter(struct kt_arena *arena, struct rule_parameter *into,
                            const struct rule_parameter *from)
{
    if (into->n_values == 0 || from->n_values == 0) {
        into->n_values = 0;
        return true;
    }
    size_t n = into->n_values + from->n_values;
    struct rule_value *values = kt_arena_take(arena, n * sizeof *values);
    if (values == NULL)
        return false;
    memcpy(values, into->values, into->n_values * sizeof *values);
    memcpy(values + into->n_values, from->values, from->n_values * sizeof *values);
    into->values = values;
    into->n_values = n;
    return true;
}

static bool merge_parameters(struct kt_arena *arena, struct rule_parameters *into,
                             const struct rule_parameters *from)
{
    if (from->n == 0)
        return true;
    struct rule_parameter *at = kt_arena_take(arena, (into->n + from->n) * sizeof *at);
    if (at == NULL)
        return false;
    size_t n = into->n;
    if (n > 0)
        memcpy(at, into->at, n * sizeof *at);
    for (size_t i = 0; i < from->n; i++) {
        size_t j = 0;
        while (j < n && strcmp(at[j].name, from->at[i].name) != 0)
            j++;
        if (j == n)
            at[n++] = from->at[i];
        else if (!merge_parameter(arena, &at[j], &from->at[i]))
            return false;
    }
    *into = (struct rule_parameters){at, n};
    return true;
}

static bool merge_required(struct kt_arena *arena, struct rule *into, const struct rule *from)
{
    if (from->n_required == 0)
        return true;
    size_t n = into->n_required + from->n_required;
    const char **names = kt_arena_take(arena, n * sizeof *names);
    if (names == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        names[i] = i < into->n_required ? into->required[i] : from->required[i - into->n_required];
    into->required = names;
    into->n_required = n;
    return true;
}

static int64_t smaller_set(int64_t a, int64_t b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

static bool merge_rule(struct kt_arena *arena, struct rule *into, const struct rule *from)
{
    if (((into->capabilities | from->capabilities) & CAP_DENY) != 0) {
        into->capabilities = CAP_DENY;
        return true;
    }
    into->capabilities |= from->capabilities;
    into->min_wrap_s = smaller_set(into->min_wrap_s, from->min_wrap_s);
    into->max_wrap_s = smaller_set(into->max_wrap_s, from->max_wrap_s);
    if (into->max_wrap_s != 0 && into->max_wrap_s < into->min_wrap_s)
        into->capabilities = CAP_DENY;
    return merge_parameters(arena, &into->allowed, &from->allowed) &&
           merge_parameters(arena, &into->denied, &from->denied) &&
           merge_required(arena, into, from);
}

/* A rule that may be merged into; its texts stay the policy's, which the acl holds. */
static struct rule *own_rule(struct kt_arena *arena, const struct rule *from)
{
    struct rule *rule = kt_arena_take(arena, sizeof *rule);
    if (rule != NULL)
        *rule = *from;
    return rule;
}

static bool add_source(struct kt_arena *arena, struct rule *into, const struct rule *from)
{
    struct rule_source *source = kt_arena_take(arena, sizeof *source);
    if (source == NULL)
        return false;
    *source = (struct rule_source){.rule = from};
    struct rule_source **end = &into->sources;
    while (*end != NULL)
        end = &(*end)->next;
    *end = source;
    return true;
}

static bool add_rule(struct acl *acl, const struct rule *from)
{
    struct rule **slot = NULL;
    if (from->kind == PATTERN_SEGMENTS) {
        size_t i = 0;
        while (i < acl->n_plus && (acl->plus[i]->len != from->len || acl->plus[i]->star != from->star ||
                                   memcmp(acl->plus[i]->pattern, from->pattern, from->len) != 0))
            i++;
        slot = &acl->plus[i];
        acl->n_plus += i == acl->n_plus;
    } else {
        slot = slot_of(acl, from->kind, hash_text(from->pattern, from->len), from->pattern,
                       from->len);
    }
    if (*slot != NULL)
        return merge_rule(&acl->arena, *slot, from) && add_source(&acl->arena, *slot, from);
    *slot = own_rule(&acl->arena, from);
    if (*slot != NULL && from->kind == PATTERN_PREFIX)
        acl->prefix_length[from->len] = true;
    return *slot != NULL && add_source(&acl->arena, *slot, from);
}

static bool denies(const struct rule *rule)
{
    return rule != NULL && (rule->capabilities & CAP_DENY) != 0;
}

/* The rules of all policies in their order, without those that are void. */
struct gathered {
    const struct rule **at;
    size_t n;
};

/* A grant that cannot be filled in is void; a denial must not be. */
static bool gather_template(struct acl *acl, const struct rule *from, const struct acl_source *source,
                            struct gathered *into)
{
    struct template_filled filled = {.text = from->template_form};
    if (source != NULL && !template_fill(&acl->arena, from, source, &filled))
        return false;
    if (!filled.whole && !denies(from))
        return true;
    struct rule *rule = own_rule(&acl->arena, from);
    if (rule == NULL)
        return false;
    rule->template_form = filled.whole ? NULL : filled.text;
    if (filled.whole) {
        rule->pattern = filled.text;
        rule->len = filled.len;
        into->at[into->n++] = rule;
    } else {
        acl->unfilled[acl->n_unfilled++] = rule;
    }
    return true;
}

static bool gather(struct acl *acl, struct policy *const *policies, size_t n,
                   const struct acl_source *source, struct gathered *into)
{
    size_t rules = 0, templates = 0, count = 0;
    for (size_t i = 0; i < n; i++) {
        const struct rule *list = policy_rules(policies[i], &count);
        rules += count;
        for (size_t j = 0; j < count; j++)
            templates += list[j].template_form != NULL;
    }
    into->at = kt_arena_take(&acl->arena, (rules + 1) * sizeof(struct rule *));
    acl->unfilled = kt_arena_take(&acl->arena, (templates + 1) * sizeof(struct rule *));
    acl->held = kt_arena_take(&acl->arena, (n + 1) * sizeof(struct policy *));
    bool ok = !acl->arena.failed;
    for (size_t i = 0; ok && i < n; i++) {
        const struct rule *list = policy_rules(policies[i], &count);
        acl->held[acl->n_held++] = policy_ref(policies[i]);
        for (size_t j = 0; ok && j < count; j++) {
            if (list[j].template_form != NULL)
                ok = gather_template(acl, &list[j], source, into);
            else
                into->at[into->n++] = &list[j];
        }
    }
    return ok;
}

static bool size_tables(struct acl *acl, const struct gathered *rules)
{
    size_t plus = 0;
    for (size_t i = 0; i < rules->n; i++) {
        const struct rule *rule = rules->at[i];
        plus += rule->kind == PATTERN_SEGMENTS;
        if (rule->kind == PATTERN_PREFIX && rule->len > acl->longest_prefix)
            acl->longest_prefix = rule->len;
    }
    acl->n_slots = 16;
    while (acl->n_slots < rules->n * 2)
        acl->n_slots *= 2;
    acl->slots = kt_arena_take(&acl->arena, acl->n_slots * sizeof(struct rule *));
    acl->plus = kt_arena_take(&acl->arena, (plus + 1) * sizeof(struct rule *));
    acl->prefix_length = kt_arena_take(&acl->arena, acl->longest_prefix + 1);
    return !acl->arena.failed;
}

struct acl *acl_build(struct policy *const *policies, size_t n, bool root,
                      const struct acl_source *source)
{
    struct acl *acl = kt_calloc(1, sizeof *acl);
    if (acl == NULL)
        return NULL;
    atomic_init(&acl->refs, 1);
    kt_arena_init(&acl->arena, (size_t)256 * 1024 * 1024);
    acl->root = root;
    struct gathered rules = {0};
    bool ok = gather(acl, policies, n, source, &rules) && size_tables(acl, &rules);
    for (size_t i = 0; ok && i < rules.n; i++)
        ok = add_rule(acl, rules.at[i]);
    if (ok)
        return acl;
    acl_unref(acl);
    return NULL;
}

/* ---- which pattern decides ---- */

/* `rest` of the path against `rest` of a '+' pattern, segment by segment. */
static bool segments_match(const struct rule *rule, const char *path, size_t path_len)
{
    const char *p = rule->pattern, *p_end = p + rule->len;
    const char *s = path, *s_end = path + path_len;
    for (;;) {
        const char *p_slash = memchr(p, '/', (size_t)(p_end - p));
        const char *s_slash = memchr(s, '/', (size_t)(s_end - s));
        size_t p_len = (size_t)((p_slash == NULL ? p_end : p_slash) - p);
        size_t s_len = (size_t)((s_slash == NULL ? s_end : s_slash) - s);
        bool last = p_slash == NULL;
        bool any = p_len == 1 && p[0] == '+';
        if (last && rule->star) {
            /* The last segment of a pattern with '*' is a prefix, and the rest is free. */
            return any ? true : (size_t)(s_end - s) >= p_len && memcmp(s, p, p_len) == 0;
        }
        if (!any && (p_len != s_len || memcmp(p, s, p_len) != 0))
            return false;
        if (last)
            return s_slash == NULL;
        if (s_slash == NULL)
            return false;
        p = p_slash + 1;
        s = s_slash + 1;
    }
}

static size_t first_wildcard(const struct rule *rule)
{
    if (rule->kind != PATTERN_SEGMENTS)
        return rule->len;
    const char *plus = memchr(rule->pattern, '+', rule->len);
    return plus == NULL ? rule->len : (size_t)(plus - rule->pattern);
}

static size_t plus_segments(const struct rule *rule)
{
    size_t n = 0;
    for (size_t i = 0; rule->kind == PATTERN_SEGMENTS && i < rule->len; i++)
        n += rule->pattern[i] == '+' && (i == 0 || rule->pattern[i - 1] == '/') &&
             (i + 1 == rule->len || rule->pattern[i + 1] == '/');
    return n;
}

/* True if a is the more specific one: first difference decides. */
static bool better(const struct rule *a, const struct rule *b)
{
    if (b == NULL)
        return true;
    size_t wild_a = first_wildcard(a), wild_b = first_wildcard(b);
    if (wild_a != wild_b)
        return wild_a > wild_b;
    if (a->star != b->star)
        return !a->star;
    size_t plus_a = plus_segments(a), plus_b = plus_segments(b);
    if (plus_a != plus_b)
        return plus_a < plus_b;
    if (a->len != b->len)
        return a->len > b->len;
    return memcmp(a->pattern, b->pattern, a->len) > 0;
}

static const struct rule *longest_prefix(const struct acl *acl, const char *path, size_t len)
{
    const struct rule *found = NULL;
    uint64_t hash = FNV_START;
    for (size_t i = 0; i <= len && i <= acl->longest_prefix; i++) {
        if (acl->prefix_length[i]) {
            const struct rule *rule = *slot_of(acl, PATTERN_PREFIX, hash, path, i);
            if (rule != NULL)
                found = rule;
        }
        if (i < len)
            hash = fnv(hash, (unsigned char)path[i]);
    }
    return found;
}

static const struct rule *exactly(const struct acl *acl, const char *path, size_t len)
{
    return *slot_of(acl, PATTERN_EXACT, hash_text(path, len), path, len);
}

static const struct rule *decide(const struct acl *acl, const char *path, size_t len)
{
    const struct rule *rule = exactly(acl, path, len);
    if (rule != NULL)
        return rule;
    rule = longest_prefix(acl, path, len);
    for (size_t i = 0; i < acl->n_plus; i++)
        if (segments_match(acl->plus[i], path, len) && better(acl->plus[i], rule))
            rule = acl->plus[i];
    return rule;
}

/* A denial that might be meant for this path, in either form of a folder's name. */
static const struct rule *may_deny(const struct acl *acl, const char *path, size_t len)
{
    bool slash = len > 0 && path[len - 1] == '/';
    for (size_t i = 0; i < acl->n_unfilled; i++) {
        const struct rule *rule = acl->unfilled[i];
        if (template_may_cover(rule->template_form, rule->star, path, len) ||
            (slash && template_may_cover(rule->template_form, rule->star, path, len - 1)))
            return rule;
    }
    return NULL;
}

/* ---- the answer ---- */

unsigned capability_needed(enum operation op)
{
    static const struct {
        enum operation op;
        unsigned capability;
    } rows[] = {{OP_READ, CAP_READ},     {OP_LIST, CAP_LIST},   {OP_CREATE, CAP_CREATE},
                {OP_UPDATE, CAP_UPDATE}, {OP_PATCH, CAP_PATCH}, {OP_DELETE, CAP_DELETE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].op == op)
            return rows[i].capability;
    return 0;
}

const char acl_why_sudo[] = "the deciding pattern does not grant sudo, which this path needs";

static const char *why_not(const struct rule *rule, const struct acl_request *request)
{
    if (rule == NULL)
        return "no pattern matches";
    if (denies(rule))
        return "the deciding pattern denies";
    unsigned capability = capability_needed(request->op);
    if (capability == 0 || (rule->capabilities & capability) == 0)
        return "the deciding pattern does not grant this capability";
    int64_t wrap = request->wrap_ttl_s;
    if (rule->max_wrap_s > 0 && (wrap < 0 || wrap > rule->max_wrap_s))
        return "the deciding pattern wants the answer wrapped for less";
    if (rule->min_wrap_s > 0 && wrap < rule->min_wrap_s)
        return "the deciding pattern wants the answer wrapped for longer";
    unsigned with_data = OP_READ | OP_CREATE | OP_UPDATE | OP_PATCH;
    if (((unsigned)request->op & with_data) != 0) {
        struct kt_json data = request->has_data ? request->data : (struct kt_json){0};
        if (!rule_allows_data(rule, data))
            return "the deciding pattern does not allow these parameters";
    }
    return NULL;
}

/* A folder is named with and without its slash: an explicit deny deciding either wins, otherwise a
 * grant of either is enough, the one that has sudo as well before the other. What does not let this
 * very request through grants nothing. */
static const struct rule *decide_list(const struct acl *acl, const struct acl_request *request)
{
    const char *path = request->path;
    size_t len = request->path_len;
    const struct rule *with = decide(acl, path, len);
    const struct rule *without =
        len > 0 && path[len - 1] == '/' ? decide(acl, path, len - 1) : NULL;
    if (denies(with))
        return with;
    if (denies(without))
        return without;
    bool with_grants = why_not(with, request) == NULL;
    bool without_grants = why_not(without, request) == NULL;
    if (with_grants && without_grants)
        return (with->capabilities & CAP_SUDO) != 0 ? with : without;
    if (with_grants || without_grants)
        return with_grants ? with : without;
    return with != NULL ? with : without;
}

static void check_spelling(const struct acl *acl, const struct acl_request *request, struct acl_decision *ret)
{
    if (acl->root) {
        *ret = (struct acl_decision){
            .allowed = true, .capabilities = ~0u, .sudo = true, .policy = "root"};
        return;
    }
    const struct rule *rule = may_deny(acl, request->path, request->path_len);
    const char *why = "a denial whose template cannot be filled in may be meant";
    if (rule == NULL) {
        rule = request->op == OP_LIST ? decide_list(acl, request)
                                      : decide(acl, request->path, request->path_len);
        why = why_not(rule, request);
    }
    *ret = (struct acl_decision){.allowed = why == NULL, .why = why};
    if (rule != NULL) {
        ret->capabilities = rule->capabilities;
        ret->sudo = (rule->capabilities & CAP_SUDO) != 0;
        ret->pattern = rule->pattern;
        ret->policy = rule->policy;
        ret->sources = rule->sources;
    }
}

/* One thing under several spellings: who restricts one of them means the thing. */
void acl_check(const struct acl *acl, const struct acl_request *request, struct acl_decision *ret)
{
    check_spelling(acl, request, ret);
    if (!ret->allowed || request->other == NULL)
        return;
    struct acl_request other = *request;
    struct acl_decision ruling;
    other.path = request->other;
    check_spelling(acl, &other, &ruling);
    if (ruling.pattern == NULL)
        return;
    if (!ruling.allowed)
        *ret = ruling;
    else
        ret->sudo = ret->sudo && ruling.sudo;
}

static size_t add_name(const char *name, const char **out, size_t n, size_t max)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(out[i], name) == 0)
            return n;
    if (n < max)
        out[n++] = name;
    return n;
}

size_t acl_deciders(const struct acl_decision *decision, enum operation op, const char **out,
                    size_t max)
{
    unsigned wanted = decision->allowed ? capability_needed(op) : (unsigned)CAP_DENY;
    const struct rule_source *first = decision->sources;
    size_t n = 0;
    for (const struct rule_source *at = first; at != NULL; at = at->next)
        if ((at->rule->capabilities & wanted) != 0)
            n = add_name(at->rule->policy, out, n, max);
    bool all = n == 0;
    for (const struct rule_source *at = first; all && at != NULL; at = at->next)
        n = add_name(at->rule->policy, out, n, max);
    if (n == 0 && decision->policy != NULL)
        n = add_name(decision->policy, out, n, max);
    return n;
}

/* What a list of the folder would be granted, whatever it may want besides: both forms of the name are
 * looked at, as by the request. undecided: what it is where no pattern decides. */
static unsigned list_capabilities(const struct acl *acl, const char *path, size_t len, unsigned undecided)
{
    bool slash = len > 0 && path[len - 1] == '/';
    size_t bare = slash ? len - 1 : len;
    char *folder = malloc(bare + 1);
    if (folder == NULL)
        return 0; /* what cannot be looked at is not granted */
    if (bare > 0)
        memcpy(folder, path, bare);
    folder[bare] = '/';
    const struct rule *forms[] = {decide(acl, folder, bare + 1), decide(acl, folder, bare)};
    bool denied = may_deny(acl, folder, bare + 1) != NULL || denies(forms[0]) || denies(forms[1]);
    free(folder);
    unsigned granted = forms[0] == NULL && forms[1] == NULL && !denied ? undecided : 0;
    for (size_t i = 0; i < 2 && !denied; i++)
        if (forms[i] != NULL && (forms[i]->capabilities & CAP_LIST) != 0)
            granted |= forms[i]->capabilities & (CAP_LIST | CAP_SUDO);
    return granted;
}

static unsigned spelling_capabilities(const struct acl *acl, const char *path, size_t len, unsigned undecided)
{
    const struct rule *rule = decide(acl, path, len);
    if (rule == NULL && len > 0 && path[len - 1] == '/')
        rule = decide(acl, path, len - 1);
    if (may_deny(acl, path, len) != NULL || denies(rule))
        return 0;
    unsigned list = list_capabilities(acl, path, len, undecided & (CAP_LIST | CAP_SUDO));
    if (rule == NULL)
        return list | (undecided & ~(unsigned)CAP_LIST);
    return (rule->capabilities & ~(unsigned)CAP_LIST) | (list & CAP_LIST);
}

unsigned acl_capabilities(const struct acl *acl, const char *path, const char *other, size_t path_len)
{
    if (acl->root)
        return ~0u;
    unsigned granted = spelling_capabilities(acl, path, path_len, 0);
    if (other != NULL)
        granted &= spelling_capabilities(acl, other, path_len, ~(unsigned)CAP_DENY);
    return granted == 0 ? CAP_DENY : granted;
}

/* ---- all rules ---- */

size_t acl_unfilled(const struct acl *acl, const struct rule *const **ret)
{
    *ret = acl->unfilled;
    return acl->n_unfilled;
}

bool acl_is_root(const struct acl *acl)
{
    return acl->root;
}

size_t acl_rules(const struct acl *acl, const struct rule **ret, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < acl->n_slots + acl->n_plus; i++) {
        const struct rule *rule = i < acl->n_slots ? acl->slots[i] : acl->plus[i - acl->n_slots];
        if (rule == NULL)
            continue;
        if (found < n)
            ret[found] = rule;
        found++;
    }
    return found;
}

/* ---- for explaining ---- */

static bool matches(const struct rule *rule, const char *path, size_t len)
{
    if (rule->kind == PATTERN_SEGMENTS)
        return segments_match(rule, path, len);
    bool fits = rule->kind == PATTERN_PREFIX ? rule->len <= len : rule->len == len;
    return fits && memcmp(rule->pattern, path, rule->len) == 0;
}

static bool before(const struct rule *a, const struct rule *b)
{
    bool exact_a = a->kind == PATTERN_EXACT, exact_b = b->kind == PATTERN_EXACT;
    return exact_a != exact_b ? exact_a : better(a, b);
}

static size_t insert(const struct rule *rule, const struct rule **out, size_t n, size_t max)
{
    size_t at = 0;
    while (at < n && !before(rule, out[at]))
        at++;
    if (at == max)
        return n;
    size_t kept = n < max ? n : max - 1;
    memmove(&out[at + 1], &out[at], (kept - at) * sizeof(struct rule *));
    out[at] = rule;
    return kept + 1;
}

size_t acl_matching(const struct acl *acl, enum operation op, const char *path, size_t len,
                    const struct rule **out, size_t max)
{
    size_t n = 0;
    const struct rule *unfilled = may_deny(acl, path, len);
    bool folder = op == OP_LIST && len > 0 && path[len - 1] == '/';
    for (size_t i = 0; i < acl->n_slots + acl->n_plus; i++) {
        const struct rule *rule = i < acl->n_slots ? acl->slots[i] : acl->plus[i - acl->n_slots];
        if (rule != NULL && (matches(rule, path, len) || (folder && matches(rule, path, len - 1))))
            n = insert(rule, out, n, max);
    }
    if (unfilled == NULL || max == 0)
        return n;
    n = n < max ? n : max - 1;
    memmove(&out[1], &out[0], n * sizeof(struct rule *));
    out[0] = unfilled;
    return n + 1;
}

bool rule_restricts(const struct rule *rule)
{
    return rule->allowed.n + rule->denied.n + rule->n_required > 0 || rule->min_wrap_s > 0 ||
           rule->max_wrap_s > 0;
}

/* ---- the mount preflight ---- */

/* Segment by segment: a '+' is any one, and what is behind the prefix is free. */
static bool segments_reach(const struct rule *rule, const char *prefix, size_t len)
{
    const char *p = rule->pattern, *p_end = p + rule->len;
    for (const char *s = prefix; s < prefix + len;) {
        const char *p_slash = memchr(p, '/', (size_t)(p_end - p));
        size_t p_len = (size_t)((p_slash == NULL ? p_end : p_slash) - p), s_len = strcspn(s, "/");
        bool any = p_len == 1 && p[0] == '+';
        if (p_slash == NULL) /* it ends in what must be all of the path, or with '*' its beginning */
            return rule->star && (any || (p_len <= s_len && memcmp(p, s, p_len) == 0));
        if (!any && (p_len != s_len || memcmp(p, s, p_len) != 0))
            return false;
        p = p_slash + 1;
        s += s_len + 1;
    }
    return true;
}

/* Something below the prefix, which has a '/' at its end; a shorter prefix pattern does not count, for
 * another one may decide there. */
static bool reaches_below(const struct rule *rule, const char *prefix, size_t len)
{
    if (denies(rule) || rule->capabilities == 0)
        return false;
    if (rule->kind == PATTERN_SEGMENTS)
        return segments_reach(rule, prefix, len);
    return rule->len >= len && memcmp(rule->pattern, prefix, len) == 0;
}

bool acl_touches(const struct acl *acl, const char *prefix)
{
    size_t len = strlen(prefix);
    if (acl->root || (acl_capabilities(acl, prefix, NULL, len) & ~(unsigned)CAP_DENY) != 0)
        return true;
    for (size_t i = 0; i < acl->n_slots; i++)
        if (acl->slots[i] != NULL && reaches_below(acl->slots[i], prefix, len))
            return true;
    for (size_t i = 0; i < acl->n_plus; i++)
        if (reaches_below(acl->plus[i], prefix, len))
            return true;
    return false;
}
