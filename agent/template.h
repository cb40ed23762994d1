/* agent/template.h - text with holes for secrets.
 *
 * What:    {{ secret "db/orders" "password" }}           a field of the current version
 *          {{ with secret "db/orders" }}{{ .Data.data.username }}{{ end }}   Vault Agent's form
 *          {{ candidate "db/orders" "password" }}        a field of the other version that may be accepted
 *          {{ version "db/orders" }} {{ host }}          what is not secret
 *          {{ secret "a" "b" | json }}                   pipes: agent/pipes.h, default "x"
 *          {{- trims white space before, -}} after; {{! a comment }}.
 *          Paths are literals, so what a template needs is known without rendering it. No files, no
 *          programs, no environment, no loops.
 * Rules:   A missing secret, field or null is an error unless `default` says otherwise; nothing is
 *          rendered then. Errors name file:line:column, function and path, never a value.
 * Limits:  1 MiB of output, 10,000 actions. Escaping is explicit: a pipe says for which grammar.
 * Threads: one thread at a time. */
#pragma once

#include "agent/values.h"

/* Calls each(arg, path, ...) for every secret that the template names; checks its syntax. candidate: it wants the
 * other version of it. */
typedef enum kt_kind template_secret_fn(void *arg, const char *secret, bool candidate, struct kt_err *err);
/* For errors: the file that the text stands in, and how many lines of it stand before the text. */
struct template_place {
    const char *file;
    unsigned lines_before;
};
enum kt_kind template_check(struct kt_bytes text, const struct template_place *place, template_secret_fn *each,
                            void *arg, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind template_render(struct kt_bytes text, const struct template_place *place, const char *host,
                             const struct values *values, struct kt_buf *out,
                             struct kt_err *err) KT_MUST_CHECK;
