/* vaultd/policy/policy.h - ACL policies in Vault's language, compiled once, asked often.
 *
 * What:    policy_parse() turns HCL (or its JSON form) into rules; acl_build() merges the policies of
 *          a token per identical pattern; acl_check() finds the one pattern that decides.
 * Rules:   exactly Vault's: exact, prefix '*', segment '+'; the most specific pattern decides; deny
 *          wins among blocks of one pattern; parameters only with read, create, update, patch. For
 *          LIST both forms of the path are asked, with and without the trailing slash: an explicit
 *          deny deciding either wins, otherwise a grant of either is enough.
 * Templates: a {{directive}} in a path is filled in when the acl is built, with text that is part of one
 *          segment: a value that is empty, "." or "..", or that has a slash, a star, one of + , { } or a
 *          control character is refused. A block that cannot be filled in grants nothing; where it denies, every
 *          path that it could become is refused, before anything else is looked at: a value that is
 *          missing could be any text within its segment, one that was refused any text at all, slashes
 *          included.
 * Owner:   both are immutable and reference-counted: _ref() and _unref().
 * Threads: any thread once made.
 * Speed:   acl_check() over 1,000 rules must not look at 1,000 rules: exact patterns hash, prefixes a
 *          sorted array or radix tree, '+' patterns a list. */
#pragma once

#include "lib/err.h"
#include "lib/json.h"
#include "vaultd/core/request.h"

enum capability {
    CAP_DENY = 1 << 0,
    CAP_CREATE = 1 << 1,
    CAP_READ = 1 << 2,
    CAP_UPDATE = 1 << 3,
    CAP_DELETE = 1 << 4,
    CAP_LIST = 1 << 5,
    CAP_SUDO = 1 << 6,
    CAP_PATCH = 1 << 7
};

struct policy;
enum kt_kind policy_parse(const char *name, struct kt_bytes text, struct policy **ret,
                          struct kt_err *err) KT_MUST_CHECK;
struct policy *policy_ref(struct policy *policy);
void policy_unref(struct policy *policy);
const char *policy_name(const struct policy *policy);
/* Some path of it has {{directives}}. */
bool policy_has_template(const struct policy *policy);

struct acl;
/* Where the values of directives come from. value(): false: there is none; what it gives may lie in the
 * arena. */
struct acl_source {
    bool (*value)(const void *arg, struct kt_bytes directive, struct kt_arena *arena,
                  struct kt_bytes *ret);
    const void *arg;
};
/* root: everything is allowed. policies may be empty. source NULL: no directive has a value. */
struct acl *acl_build(struct policy *const *policies, size_t n, bool root,
                      const struct acl_source *source);
struct acl *acl_ref(struct acl *acl);
void acl_unref(struct acl *acl);

struct acl_request {
    enum operation op;
    const char *path; /* canonical; for LIST with its trailing '/' */
    size_t path_len;
    const char *other; /* the same thing, spelled otherwise in as many bytes: a pattern that decides this has
                        * to allow it, too; NULL: there is no other spelling */
    struct kt_json data; /* the parameters; only looked at when has_data */
    bool has_data;
    int64_t wrap_ttl_s; /* -1: no wrapping asked for */
};
struct rule_source;
struct acl_decision {
    bool allowed;
    unsigned capabilities;   /* of the deciding pattern; 0: nothing matched */
    bool sudo;
    const char *pattern;     /* deciding one, borrowed from the acl; NULL: none */
    const char *policy;      /* name of a policy that has it */
    const struct rule_source *sources; /* whose blocks it was merged from; NULL: none, or root */
    const char *why;         /* static text when not allowed: "no pattern matches", "denied", ... */
};
void acl_check(const struct acl *acl, const struct acl_request *request,
               struct acl_decision *ret);
/* `why` of what is granted, by a pattern without the sudo that the path needs as well. */
extern const char acl_why_sudo[];
/* Names of the policies that decided so: whose block grants what was asked for, or else denies, or else
 * has the pattern. Borrowed from the acl, each once. Returns how many, at most max. */
size_t acl_deciders(const struct acl_decision *decision, enum operation op, const char **out,
                    size_t max);
/* The merged patterns that match a path (as op's request has it: of a list both forms), the one that
 * decides before the others: for explaining, it looks at every rule. Returns how many, at most max. */
struct rule;
size_t acl_matching(const struct acl *acl, enum operation op, const char *path, size_t len,
                    const struct rule **out, size_t max);
/* What sys/capabilities says of a path: CAP_ bits; CAP_DENY alone for none; root: ~0u. other: as in a
 * request, NULL: none. */
unsigned acl_capabilities(const struct acl *acl, const char *path, const char *other, size_t path_len);
/* Whether something below this prefix is granted (the mount preflight): to the prefix itself, which
 * the one pattern that decides there says, or by a pattern that reaches below it. */
bool acl_touches(const struct acl *acl, const char *prefix);
/* All of it as Vault shows it (sys/internal/ui/resultant-acl): {"root": true}, or exact_paths and
 * glob_paths, each path with its capabilities, wrapping and parameters. arena: for sorting. */
enum kt_kind acl_show(const struct acl *acl, struct kt_arena *arena, struct kt_jsonw *w,
                      struct kt_err *err) KT_MUST_CHECK;

/* The CAP_ bit that an operation asks for; 0: none grants it. */
unsigned capability_needed(enum operation op);
/* Sorted names ("create", "delete", ...) of CAP_ bits as Vault lists them, into out[8]; "root" and
 * "deny" by themselves. Returns how many. */
size_t capability_names(unsigned capabilities, const char *out[8]);
/* The same as a member: a list of them. */
void capability_list(struct kt_jsonw *w, const char *key, unsigned capabilities);

/* Text of the built-in policy, NULL if there is no built-in of that name. */
const char *policy_builtin(const char *name);
/* Of one that nobody can write, and that is not stored; NULL: it is none such. */
const char *policy_unalterable(const char *name);
