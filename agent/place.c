#include "agent/place.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/file.h"
#include "agent/service.h"
#include "agent/template.h"
#include "lib/failpoint.h"
#include "lib/log.h"

#define FILE_MAX ((size_t)1024 * 1024)

/* ---- files ---- */

static void rendered_free(const struct config *config, struct kt_buf *rendered)
{
    for (size_t i = 0; rendered != NULL && i < config->n_files; i++)
        kt_buf_free(&rendered[i]);
    free(rendered);
}

/* rendered_free() takes them, after an error as well. */
static enum kt_kind render_files(const struct config *config, const struct values *values,
                                 struct kt_buf **ret_rendered, struct kt_err *err)
{
    struct kt_buf *rendered = kt_calloc(config->n_files + 1, sizeof *rendered);
    *ret_rendered = rendered;
    if (rendered == NULL)
        return kt_fail(err, KT_NO_MEMORY, "rendering files");
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; i < config->n_files; i++)
        kt_buf_init(&rendered[i], FILE_MAX);
    for (size_t i = 0; i < config->n_files && kind == KT_OK; i++)
        kind = template_render(kt_str(config->files[i].contents), &config->files[i].source,
                               config->host, values, &rendered[i], err);
    return kind;
}

enum kt_kind place_files(struct service *service, const struct values *values, struct kt_err *err)
{
    const struct config *config = service->config;
    struct kt_buf *rendered = NULL;
    enum kt_kind kind = render_files(config, values, &rendered, err);
    for (size_t i = 0; i < config->n_files && kind == KT_OK; i++) {
        const struct config_file *file = &config->files[i];
        const struct file_wish wish = {file->path, file->owner, file->group, file->mode};
        bool changed = false;
        kind = file_put(&wish, kt_buf_bytes(&rendered[i]), &changed, err);
    }
    rendered_free(config, rendered);
    for (size_t i = 0; i < values->n && kind == KT_OK; i++)
        service->place.holds[i] = values->at[i].other_version;
    return kind;
}

/* ---- the program ---- */

struct env {
    char **at; /* NULL ends */
    size_t n;
};

static void env_free(struct env *env)
{
    for (size_t i = 0; i < env->n; i++) {
        sodium_memzero(env->at[i], strlen(env->at[i]));
        free(env->at[i]);
    }
    free(env->at);
    *env = (struct env){0};
}

static enum kt_kind make_env(const struct config *config, const struct values *values,
                             struct env *env, struct kt_err *err)
{
    env->at = kt_calloc(config->n_env + 1, sizeof(char *));
    if (env->at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making the environment");
    for (size_t i = 0; i < config->n_env; i++) {
        const struct config_env *entry = &config->env[i];
        kt_autobuf struct kt_buf text;
        kt_buf_init(&text, FILE_MAX);
        kt_buf_printf(&text, "%s=", entry->name);
        enum kt_kind kind = (entry->candidate ? values_candidate : values_field)(values, entry->secret, entry->field,
                                                                                 &text, err);
        if (kind != KT_OK)
            return kind;
        if (memchr(text.at, '\0', text.len) != NULL)
            return kt_fail(err, KT_INVALID, "%s: the value has a NUL byte", entry->name);
        char *copy = kt_calloc(1, text.len + 1);
        if (copy == NULL)
            return kt_fail(err, KT_NO_MEMORY, "making the environment");
        memcpy(copy, text.at, text.len);
        env->at[env->n++] = copy;
    }
    return KT_OK;
}

static enum kt_kind start_program(struct service *service, const struct values *values,
                                  struct kt_err *err)
{
    struct env env = {0};
    enum kt_kind kind = make_env(service->config, values, &env, err);
    /* NOT_FOUND and DENIED are words about the program here, not about a field. */
    kind = kind == KT_OK ? child_start(service->s, env.at, err) : KT_INVALID;
    env_free(&env);
    service->place.lost = kind != KT_OK;
    return kind;
}

enum kt_kind place_check(const struct config *config, const struct values *values, struct kt_err *err)
{
    struct env env = {0};
    struct kt_buf *rendered = NULL;
    enum kt_kind kind = make_env(config, values, &env, err);
    if (kind == KT_OK)
        kind = render_files(config, values, &rendered, err);
    env_free(&env);
    rendered_free(config, rendered);
    return kind;
}

enum kt_kind place_start(struct service *service, struct kt_err *err)
{
    for (size_t i = 0; i < service->config->n_files; i++)
        file_sweep(service->config->files[i].path);
    enum kt_kind kind = place_check(service->config, service->values, err);
    if (kind == KT_OK)
        kind = place_files(service, service->values, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND || kind == KT_DENIED ? KT_IO : kind;
    service->place.last_restart_ms = kt_mono_ms(&kt_system_clock);
    return start_program(service, service->values, err);
}

/* ---- activation ---- */

static void wait_until(struct service *service, int64_t at_ms)
{
    for (;;) {
        int64_t left = at_ms - kt_mono_ms(&kt_system_clock);
        if (left <= 0 || service->s->ending || service->s->state != CHILD_RUNNING)
            return;
        (void)child_events(service->s, (int)left);
    }
}

static bool activate(struct service *service, const struct values *values, char detail[160])
{
    const struct config *config = service->config;
    struct kt_err err = {0};
    switch (config->activate) {
    case ACTIVATE_NONE:
        return true;
    case ACTIVATE_SIGNAL:
        child_signal(service->s, config->signal);
        return true;
    case ACTIVATE_COMMAND:
        if (child_helper(service->s, config->command, 30000))
            return true;
        (void)snprintf(detail, 160, "the command that activates a version failed");
        return false;
    case ACTIVATE_RESTART:
        break;
    }
    wait_until(service, service->place.last_restart_ms + config->restart_gap_ms);
    if (service->s->ending)
        return false;
    child_stop(service->s);
    if (service->s->ending)
        return false;
    service->place.last_restart_ms = kt_mono_ms(&kt_system_clock);
    if (start_program(service, values, &err) == KT_OK)
        return true;
    kt_log_err(KT_LOG_ERROR, "restart-failed", &err);
    (void)snprintf(detail, 160, "%.150s", err.what);
    return false;
}

bool place_put(struct service *service, const struct values *values, char detail[160])
{
    struct kt_err err = {0};
    bool written = place_files(service, values, &err) == KT_OK;
    if (!written) {
        kt_log_err(KT_LOG_ERROR, "files-failed", &err);
        (void)snprintf(detail, 160, "%.150s", err.what);
    }
    service->place.astray = !written || !activate(service, values, detail);
    if (service->place.astray)
        service->place.again_ms = kt_mono_ms(&kt_system_clock) + 1 + kt_pace_next_ms(&service->place.pace);
    else
        kt_pace_init(&service->place.pace);
    return !service->place.astray;
}

bool place_may_touch(struct service *service)
{
    (void)child_events(service->s, 0);
    if (service->config->activate == ACTIVATE_RESTART)
        wait_until(service, service->place.last_restart_ms + service->config->restart_gap_ms);
    return !service->s->ending && service->s->state == CHILD_RUNNING;
}
