/* lib/driver/table.c - the drivers, and how they speak; see lib/driver/table.h. */
#include "lib/driver/table.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/driver/exec.h"
#include "lib/driver/http.h"
#include "lib/driver/ldap.h"
#include "lib/driver/listener.h"
#include "lib/driver/mariadb.h"
#include "lib/driver/postgresql.h"
#include "lib/driver/redis.h"
#include "lib/driver/ssh_keys.h"

static const struct driver drivers[] = {
    {.name = "postgresql", .prepare = kt_postgresql_prepare, .run = kt_postgresql_run},
    {.name = "mariadb", .prepare = kt_mariadb_prepare, .run = kt_mariadb_run},
    {.name = "redis", .prepare = kt_redis_prepare, .run = kt_redis_run},
    {.name = "ldap", .prepare = kt_ldap_prepare, .run = kt_ldap_run},
    {.name = "ssh-key", .prepare = kt_ssh_keys_prepare, .run = kt_ssh_keys_run},
    {.name = "exec", .starts_program = true, .prepare = kt_exec_prepare, .run = kt_exec_run},
    {.name = "http", .prepare = kt_http_driver_prepare, .run = kt_http_driver_run},
    {.name = "tls", .prepare = kt_listener_prepare, .run = kt_listener_run},
};

const struct driver *kt_driver_find(const char *name)
{
    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
        if (strcmp(drivers[i].name, name) == 0)
            return &drivers[i];
    }
    return NULL;
}

/* A verifier's parts after its prefix are looked for one by one, too: a server may echo a piece. */
static bool add_parts(struct kt_redactor *redactor, struct kt_bytes value)
{
    size_t start = 0;
    for (size_t i = 0; i <= value.len; i++) {
        if (i < value.len && value.at[i] != '$' && value.at[i] != ':' &&
            value.at[i] != ' ' && value.at[i] != '}')
            continue;
        struct kt_bytes part = kt_bytes(value.at + start, i - start);
        if (part.len >= 20 && kt_redactor_add(redactor, part, NULL) != KT_OK)
            return false;
        start = i + 1;
    }
    return true;
}

struct kt_redactor *kt_driver_redactor(const struct driver_step *step)
{
    struct kt_redactor *redactor = kt_redactor_new();
    if (redactor == NULL)
        return NULL;
    bool ok = kt_redactor_add(redactor, step->public_part, NULL) == KT_OK &&
              add_parts(redactor, step->public_part) &&
              kt_redactor_add(redactor, step->keep_part, NULL) == KT_OK &&
              add_parts(redactor, step->keep_part);
    for (unsigned who = 0; who < DRIVER_LOGIN_COUNT && ok; who++)
        ok = kt_redactor_add(redactor, step->logins[who].password, NULL) == KT_OK;
    if (ok)
        return redactor;
    kt_redactor_free(redactor);
    return NULL;
}

void kt_driver_evidence(const struct driver_run *run, const char *text, char *ret, size_t size)
{
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, KT_REDACT_TEXT_MAX);
    const char *clean = "(withheld: it could not be checked for secrets)";
    if (kt_redact(run->redactor, kt_str(text), &out, NULL) == KT_OK && kt_buf_ok(&out))
        clean = kt_buf_text(&out);
    size_t len = strnlen(clean, size - 1);
    for (size_t i = 0; i < len; i++)
        ret[i] = (char)(clean[i] >= 0x20 && clean[i] < 0x7f ? clean[i] : '?');
    ret[len] = '\0';
}

bool kt_driver_say(const struct driver_run *run, struct driver_result *ret, enum driver_class class,
                   const char *code, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    ret->class = class;
    kt_driver_evidence(run, code, ret->code, sizeof(ret->code));
    kt_driver_evidence(run, n < 0 ? "" : text, ret->text, sizeof(ret->text));
    return false;
}

void kt_driver_finding(const struct driver_run *run, struct driver_result *ret, const char *format,
                       ...)
{
    size_t at = 0;
    while (at < DRIVER_FINDINGS_MAX && ret->findings[at][0] != '\0')
        at++;
    if (at == DRIVER_FINDINGS_MAX)
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n > 0)
        kt_driver_evidence(run, text, ret->findings[at], sizeof(ret->findings[at]));
}
