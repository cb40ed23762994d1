#include "agent/config.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/template.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/hcl/hcl.h"
#include "lib/http_address.h"
#include "lib/num.h"

#define TEXT_MAX_BYTES  ((size_t)1024 * 1024)
#define DURATION_MAX_MS ((uint64_t)7 * 86400 * 1000)

struct reader {
    struct config *config;
    const char *text; /* of the file */
    const char *file; /* its name, which lives as long as the configuration */
    struct kt_err *err;
};

/* The tree that has the name of the file is freed before the configuration. */
static struct kt_hcl_pos keep_pos(const struct reader *r, struct kt_hcl_pos pos)
{
    return (struct kt_hcl_pos){r->file, pos.line, pos.column};
}

/* Puts the place in front of an error, where there is one. */
static enum kt_kind at_pos(struct kt_hcl_pos pos, enum kt_kind kind, struct kt_err *err)
{
    if (kind != KT_OK && pos.file != NULL)
        kt_context(err, "%s:%u:%u", pos.file, pos.line, pos.column);
    return kind;
}

/* ---- secrets ---- */

static enum kt_kind add_secret(void *arg, const char *secret, bool candidate, struct kt_err *err)
{
    struct config *config = arg;
    const char *slash = strchr(secret, '/');
    if (slash == NULL || slash == secret || slash[1] == '\0') {
        (void)kt_fail(err, KT_INVALID, "\"%.200s\" is not a secret's path", secret);
        kt_hint(err, "write the mount and the path in it, as in secret/db/orders");
        return KT_INVALID;
    }
    for (size_t i = 0; i < config->n_secrets; i++)
        if (strcmp(config->secrets[i], secret) == 0) {
            config->two[i] = config->two[i] || candidate;
            return KT_OK;
        }
    if (config->n_secrets == CONFIG_SECRETS_MAX)
        return kt_fail(err, KT_INVALID, "a service uses at most %u secrets", CONFIG_SECRETS_MAX);
    const char *copy = kt_arena_text(&config->arena, kt_str(secret));
    if (copy == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the configuration");
    config->two[config->n_secrets] = candidate;
    config->secrets[config->n_secrets++] = copy;
    return KT_OK;
}

/* ---- env ---- */

static enum kt_kind check_env_name(const struct config *config, const char *name,
                                   struct kt_err *err)
{
    static const char *const unsafe[] = {"LD_",          "GLIBC_TUNABLES", "PATH",
                                         "IFS",          "BASH_ENV",       "PYTHON",
                                         "NODE_OPTIONS", "PERL5OPT",       "MALLOC_"};
    bool ok = name[0] != '\0' && strspn(name, "0123456789") == 0;
    for (const char *c = name; *c != '\0'; c++)
        ok = ok && ((*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') ||
                    (*c >= '0' && *c <= '9') || *c == '_');
    if (!ok)
        return kt_fail(err, KT_INVALID, "\"%.60s\" is not a name of an environment variable", name);
    for (size_t i = 0; !config->allow_unsafe_env && i < sizeof unsafe / sizeof unsafe[0]; i++)
        if (strncmp(name, unsafe[i], strlen(unsafe[i])) == 0 || strcmp(name, "ENV") == 0) {
            (void)kt_fail(err, KT_INVALID, "%s decides how programs run: no secret is put there",
                          name);
            kt_hint(err, "use another name, or allow_unsafe_env = true in the service");
            return KT_INVALID;
        }
    return KT_OK;
}

static enum kt_kind push_env(struct config *config, const char *name, const char *secret,
                             const char *field, bool candidate, struct kt_hcl_pos pos, struct kt_err *err)
{
    enum kt_kind kind = check_env_name(config, name, err);
    if (kind == KT_OK)
        kind = add_secret(config, secret, candidate, err);
    if (kind != KT_OK)
        return at_pos(pos, kind, err);
    struct config_env *env = kt_arena_take(&config->arena, (config->n_env + 1) * sizeof *env);
    if (env == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the configuration");
    if (config->n_env > 0)
        memcpy(env, config->env, config->n_env * sizeof *env);
    env[config->n_env] = (struct config_env){kt_arena_text(&config->arena, kt_str(name)),
                                             kt_arena_text(&config->arena, kt_str(secret)),
                                             kt_arena_text(&config->arena, kt_str(field)), candidate, pos};
    config->env = env;
    config->n_env++;
    return config->arena.failed ? kt_fail(err, KT_NO_MEMORY, "reading the configuration") : KT_OK;
}

enum kt_kind agent_config_add_env(struct config *config, const char *text, struct kt_err *err)
{
    const char *equals = strchr(text, '='), *hash = strrchr(text, '#');
    if (equals == NULL || hash == NULL || hash < equals || hash[1] == '\0' || equals == text) {
        (void)kt_fail(err, KT_INVALID, "--env wants NAME=secret/path#field");
        kt_hint(err, "for instance --env PGPASSWORD=secret/db/orders#password");
        return KT_INVALID;
    }
    struct kt_arena *arena = &config->arena;
    const char *name = kt_arena_text(arena, kt_bytes(text, (size_t)(equals - text)));
    const char *secret = kt_arena_text(arena, kt_bytes(equals + 1, (size_t)(hash - equals) - 1));
    if (name == NULL || secret == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading --env");
    return push_env(config, name, secret, hash + 1, false, (struct kt_hcl_pos){0}, err);
}

static enum kt_kind read_env(struct reader *r, const struct kt_hcl_block *block)
{
    static const char *const known[] = {"secret", "field", "candidate", NULL};
    const char *secret = NULL, *field = NULL;
    bool candidate = false;
    enum kt_kind kind = kt_hcl_check_known(block->body, known, NULL, NULL, r->err);
    if (kind == KT_OK)
        kind = kt_hcl_get_text(block->body, "secret", &secret, r->err);
    if (kind == KT_OK)
        kind = kt_hcl_get_text(block->body, "field", &field, r->err);
    if (kind == KT_OK)
        kind = kt_hcl_get_bool(block->body, "candidate", &candidate, r->err);
    if (kind == KT_OK && (secret == NULL || field == NULL))
        kind =
            kt_hcl_fail(block->pos, r->err, "env \"%s\" needs secret and field", block->labels[0]);
    if (kind != KT_OK)
        return kind;
    return push_env(r->config, block->labels[0], secret, field, candidate, keep_pos(r, block->pos), r->err);
}

/* ---- files ---- */

static enum kt_kind read_text(struct reader *r, const char *path, const char **ret)
{
    kt_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        (void)kt_fail(r->err, KT_IO, "cannot read '%s'", path);
        kt_hint(r->err, "check the path and that this user may read it");
        return KT_IO;
    }
    if (!S_ISREG(st.st_mode) || (size_t)st.st_size > TEXT_MAX_BYTES)
        return kt_fail(r->err, KT_INVALID, "'%s' is not a file of at most 1 MiB", path);
    char *text = kt_arena_take(&r->config->arena, (size_t)st.st_size + 1);
    if (text == NULL)
        return kt_fail(r->err, KT_NO_MEMORY, "reading '%s'", path);
    size_t done = 0;
    while (done < (size_t)st.st_size) {
        ssize_t n = read(fd, text + done, (size_t)st.st_size - done);
        if (n <= 0)
            return kt_fail(r->err, KT_IO, "cannot read '%s'", path);
        done += (size_t)n;
    }
    *ret = text;
    return KT_OK;
}

static enum kt_kind read_mode(struct reader *r, const struct kt_hcl_block *block, mode_t *ret)
{
    const char *text = "0400";
    enum kt_kind kind = kt_hcl_get_text(block->body, "mode", &text, r->err);
    if (kind != KT_OK)
        return kind;
    unsigned mode = 0;
    size_t n = strlen(text);
    bool ok = n >= 3 && n <= 4;
    for (size_t i = 0; ok && i < n; i++) {
        ok = text[i] >= '0' && text[i] <= '7';
        mode = mode * 8 + (unsigned)(text[i] - '0');
    }
    if (!ok || (mode & 07002) != 0)
        return kt_hcl_fail(block->pos, r->err,
                           "mode must be like \"0400\", without write access for others");
    *ret = mode;
    return KT_OK;
}

static enum kt_kind read_owner(struct reader *r, const struct kt_hcl_block *block,
                               struct config_file *file)
{
    const char *owner = NULL, *group = NULL;
    enum kt_kind kind = kt_hcl_get_text(block->body, "owner", &owner, r->err);
    if (kind == KT_OK)
        kind = kt_hcl_get_text(block->body, "group", &group, r->err);
    if (kind != KT_OK)
        return kind;
    char buffer[4096];
    struct passwd user, *found_user = NULL;
    struct group entry, *found_group = NULL;
    file->owner = (uid_t)-1;
    file->group = (gid_t)-1;
    if (owner != NULL) {
        if (getpwnam_r(owner, &user, buffer, sizeof buffer, &found_user) != 0 || found_user == NULL)
            return kt_hcl_fail(block->pos, r->err, "there is no user \"%s\" on this host", owner);
        file->owner = user.pw_uid;
        file->group = user.pw_gid;
    }
    if (group != NULL) {
        if (getgrnam_r(group, &entry, buffer, sizeof buffer, &found_group) != 0 ||
            found_group == NULL)
            return kt_hcl_fail(block->pos, r->err, "there is no group \"%s\" on this host", group);
        file->group = entry.gr_gid;
    }
    return KT_OK;
}

/* The character at a place; columns count characters, not bytes. */
static const char *text_at(const char *text, struct kt_hcl_pos pos)
{
    for (unsigned line = 1; line < pos.line && strchr(text, '\n') != NULL; line++)
        text = strchr(text, '\n') + 1;
    for (unsigned column = 1; column < pos.column && *text != '\0'; column++)
        for (text++; ((unsigned char)*text & 0xC0) == 0x80;)
            text++;
    return text;
}

/* A heredoc's lines are lines of the file; in a string they are not. */
static struct template_place place_of(const struct reader *r, struct kt_hcl_pos pos)
{
    char name[4200];
    if (strncmp(text_at(r->text, pos), "<<", 2) == 0)
        return (struct template_place){r->file, pos.line};
    (void)snprintf(name, sizeof name, "%.4000s:%u:%u: contents", r->file, pos.line, pos.column);
    return (struct template_place){kt_arena_text(&r->config->arena, kt_str(name)), 0};
}

/* What else is wrong with it is seen when it is written. */
static enum kt_kind check_path(struct reader *r, const struct kt_hcl_block *block)
{
    const char *path = block->labels[0];
    if (path[0] != '/')
        return kt_hcl_fail(block->pos, r->err, "file \"%s\" must be an absolute path", path);
    if (path[strlen(path) - 1] == '/')
        return kt_hcl_fail(block->pos, r->err, "file \"%s\" must be the path of a file, without a '/' at its end", path);
    return KT_OK;
}

static enum kt_kind read_file(struct reader *r, const struct kt_hcl_block *block,
                              struct config_file *file)
{
    static const char *const known[] = {"template", "contents", "owner", "group", "mode", NULL};
    const char *source = NULL;
    *file =
        (struct config_file){.path = kt_arena_text(&r->config->arena, kt_str(block->labels[0]))};
    enum kt_kind kind = kt_hcl_check_known(block->body, known, NULL, NULL, r->err);
    if (kind == KT_OK)
        kind = check_path(r, block);
    if (kind == KT_OK)
        kind = kt_hcl_get_text(block->body, "template", &source, r->err);
    if (kind == KT_OK)
        kind = kt_hcl_get_text(block->body, "contents", &file->contents, r->err);
    if (kind != KT_OK)
        return kind;
    if ((source == NULL) == (file->contents == NULL))
        return kt_hcl_fail(block->pos, r->err, "file \"%s\" needs either template or contents",
                           block->labels[0]);
    if (source != NULL)
        kind = at_pos(block->pos, read_text(r, source, &file->contents), r->err);
    else
        file->contents = kt_arena_text(&r->config->arena, kt_str(file->contents));
    if (kind == KT_OK)
        kind = read_mode(r, block, &file->mode);
    if (kind == KT_OK)
        kind = read_owner(r, block, file);
    if (kind != KT_OK)
        return kind;
    if (source == NULL)
        file->source = place_of(r, kt_hcl_find(block->body, "contents")->value.pos);
    else
        file->source.file = kt_arena_text(&r->config->arena, kt_str(source));
    if (r->config->arena.failed)
        return kt_fail(r->err, KT_NO_MEMORY, "reading the configuration");
    return template_check(kt_str(file->contents), &file->source, add_secret, r->config, r->err);
}

static enum kt_kind read_files(struct reader *r, const struct kt_hcl_body *body)
{
    struct kt_hcl_block block;
    size_t n = 0;
    struct kt_hcl_blocks count = kt_hcl_blocks(body, "file", 1);
    while (kt_hcl_next(&count, &block, r->err))
        n++;
    if (count.kind != KT_OK)
        return count.kind;
    r->config->files = kt_arena_take(&r->config->arena, (n + 1) * sizeof *r->config->files);
    if (r->config->files == NULL)
        return kt_fail(r->err, KT_NO_MEMORY, "reading the configuration");
    enum kt_kind kind = KT_OK;
    struct kt_hcl_blocks it = kt_hcl_blocks(body, "file", 1);
    while (kind == KT_OK && kt_hcl_next(&it, &block, r->err))
        kind = read_file(r, &block, &r->config->files[r->config->n_files++]);
    return kind == KT_OK ? it.kind : kind;
}

/* ---- activation ---- */

static const struct {
    const char *name;
    enum activation activate;
} activations[] = {{"none", ACTIVATE_NONE},
                   {"signal", ACTIVATE_SIGNAL},
                   {"command", ACTIVATE_COMMAND},
                   {"restart", ACTIVATE_RESTART}};

static const struct {
    const char *name;
    int number;
} signals[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"TERM", SIGTERM},   {"QUIT", SIGQUIT},
               {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}, {"CONT", SIGCONT}};

static enum kt_kind read_command(struct reader *r, const struct kt_hcl_body *body,
                                 char *const **ret)
{
    const char *const *words = NULL;
    size_t n = 0;
    enum kt_kind kind = kt_hcl_get_texts(body, "command", &words, &n, r->err);
    if (kind != KT_OK || n == 0)
        return kind;
    char **copy = kt_arena_take(&r->config->arena, (n + 1) * sizeof *copy);
    if (copy == NULL)
        return kt_fail(r->err, KT_NO_MEMORY, "reading the configuration");
    for (size_t i = 0; i < n; i++)
        copy[i] = kt_arena_text(&r->config->arena, kt_str(words[i]));
    *ret = copy;
    return KT_OK;
}

static enum kt_kind get_ms(struct reader *r, const struct kt_hcl_body *body, const char *key,
                           int64_t *ms)
{
    uint64_t value = (uint64_t)*ms;
    enum kt_kind kind = kt_hcl_get_duration(body, key, &value, r->err);
    if (kind == KT_OK && value > DURATION_MAX_MS)
        return kt_hcl_fail(kt_hcl_find(body, key)->pos, r->err, "%s is longer than a week", key);
    *ms = (int64_t)value;
    return kind;
}

static enum kt_kind read_activation(struct reader *r, const struct kt_hcl_body *body)
{
    struct config *config = r->config;
    const char *activate = NULL, *signal = NULL;
    enum kt_kind kind = kt_hcl_get_text(body, "activate", &activate, r->err);
    if (kind == KT_OK)
        kind = kt_hcl_get_text(body, "signal", &signal, r->err);
    if (kind == KT_OK)
        kind = read_command(r, body, &config->command);
    if (kind == KT_OK)
        kind = get_ms(r, body, "stop_timeout", &config->stop_timeout_ms);
    if (kind == KT_OK)
        kind = get_ms(r, body, "debounce", &config->debounce_ms);
    if (kind == KT_OK)
        kind = get_ms(r, body, "restart_gap", &config->restart_gap_ms);
    if (kind == KT_OK)
        kind = get_ms(r, body, "settle", &config->health.settle_ms);
    if (kind != KT_OK)
        return kind;
    bool known = false;
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++)
        if (activate != NULL && strcmp(activations[i].name, activate) == 0) {
            config->activate = activations[i].activate;
            known = true;
        }
    if (activate != NULL && !known)
        return kt_hcl_fail(body->pos, r->err,
                           "activate must be \"none\", \"signal\", \"command\" or \"restart\"");
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (signal != NULL &&
            strcmp(signals[i].name, strncmp(signal, "SIG", 3) == 0 ? signal + 3 : signal) == 0)
            config->signal = signals[i].number;
    if (signal != NULL && config->signal == 0)
        return kt_hcl_fail(body->pos, r->err,
                           "signal must be one of HUP INT TERM QUIT USR1 USR2 "
                           "WINCH CONT");
    return KT_OK;
}

/* ---- health ---- */

static const char *const health_keys[] = {
    "command", "url",    "address", "expect", "interval",       "timeout",       "pass",
    "fail",    "window", "samples", "grace",  "latency_factor", "latency_floor", NULL};

static enum kt_kind get_count(struct reader *r, const struct kt_hcl_body *body, const char *key,
                              int64_t min, int64_t max, unsigned *ret)
{
    int64_t value = *ret;
    enum kt_kind kind = kt_hcl_get_int(body, key, min, max, &value, r->err);
    *ret = (unsigned)value;
    return kind;
}

static enum kt_kind read_health_numbers(struct reader *r, const struct kt_hcl_body *body)
{
    struct config_health *h = &r->config->health;
    const enum kt_kind kinds[] = {
        get_ms(r, body, "interval", &h->interval_ms),
        get_ms(r, body, "timeout", &h->timeout_ms),
        get_ms(r, body, "window", &h->window_ms),
        get_ms(r, body, "grace", &h->grace_ms),
        get_ms(r, body, "latency_floor", &h->latency_floor_ms),
        get_count(r, body, "pass", 1, 1000, &h->pass),
        get_count(r, body, "fail", 1, 1000, &h->fail),
        get_count(r, body, "samples", 0, 1000, &h->samples),
        get_count(r, body, "expect", 100, 599, &h->expect),
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i] != KT_OK)
            return kinds[i];
    unsigned factor = 0;
    enum kt_kind kind = get_count(r, body, "latency_factor", 1, 1000, &factor);
    h->latency_factor = factor;
    return kind;
}

static enum kt_kind read_health_block(struct reader *r, const struct kt_hcl_block *block)
{
    struct config_health *h = &r->config->health;
    const char *kind_name = block->labels[0];
    enum kt_kind kind = kt_hcl_check_known(block->body, health_keys, NULL, NULL, r->err);
    if (kind == KT_OK && h->kind != HEALTH_NONE)
        kind = kt_hcl_fail(block->pos, r->err, "a service has one health check");
    if (kind != KT_OK)
        return kind;
    if (strcmp(kind_name, "command") == 0) {
        h->kind = HEALTH_COMMAND;
        kind = read_command(r, block->body, &h->command);
        if (kind == KT_OK && h->command == NULL)
            kind = kt_hcl_fail(block->pos, r->err, "health \"command\" needs command = [...]");
    } else if (strcmp(kind_name, "http") == 0 || strcmp(kind_name, "tcp") == 0) {
        bool http = kind_name[0] == 'h';
        h->kind = http ? HEALTH_HTTP : HEALTH_TCP;
        kind = kt_hcl_get_text(block->body, http ? "url" : "address", &h->url, r->err);
        if (kind == KT_OK && h->url == NULL)
            kind = kt_hcl_fail(block->pos, r->err, "health \"%s\" needs %s", kind_name,
                               http ? "url" : "address");
        if (kind == KT_OK)
            h->url = kt_arena_text(&r->config->arena, kt_str(h->url));
    } else {
        kind = kt_hcl_fail(block->pos, r->err, "health must be \"command\", \"http\" or \"tcp\"");
    }
    if (kind == KT_OK)
        kind = read_health_numbers(r, block->body);
    if (kind == KT_OK && h->latency_factor > 0 && h->samples < CONFIG_SAMPLES_TO_COMPARE)
        kind = kt_hcl_fail(block->pos, r->err,
                           "latency_factor compares with a baseline: it needs samples = %u or more",
                           CONFIG_SAMPLES_TO_COMPARE);
    return kind;
}

static enum kt_kind each_block(struct reader *r, const struct kt_hcl_body *body, const char *type,
                               enum kt_kind (*fn)(struct reader *, const struct kt_hcl_block *))
{
    struct kt_hcl_block block;
    enum kt_kind kind = KT_OK;
    struct kt_hcl_blocks it = kt_hcl_blocks(body, type, 1);
    while (kind == KT_OK && kt_hcl_next(&it, &block, r->err))
        kind = fn(r, &block);
    return kind == KT_OK ? it.kind : kind;
}

/* ---- the whole ---- */

static struct kt_hcl_pos pos_of(const struct reader *r, const struct kt_hcl_body *body, const char *key)
{
    const struct kt_hcl_item *item = kt_hcl_find(body, key);
    return item == NULL ? (struct kt_hcl_pos){0} : keep_pos(r, item->pos);
}

static enum kt_kind read_service(struct reader *r, const struct kt_hcl_block *block)
{
    static const char *const known[] = {"env",         "file",   "activate",         "signal",
                                        "command",     "health", "stop_timeout",     "debounce",
                                        "restart_gap", "settle", "allow_unsafe_env", "candidates", NULL};
    r->config->service = kt_arena_text(&r->config->arena, kt_str(block->labels[0]));
    r->config->pos = keep_pos(r, block->pos);
    r->config->activate_pos = pos_of(r, block->body, "activate");
    r->config->candidates_pos = pos_of(r, block->body, "candidates");
    enum kt_kind kind = kt_hcl_check_known(block->body, known, NULL, NULL, r->err);
    if (kind == KT_OK)
        kind =
            kt_hcl_get_bool(block->body, "allow_unsafe_env", &r->config->allow_unsafe_env, r->err);
    if (kind == KT_OK)
        kind = get_count(r, block->body, "candidates", 1, 2, &r->config->candidates);
    if (kind == KT_OK)
        kind = each_block(r, block->body, "env", read_env);
    if (kind == KT_OK)
        kind = read_files(r, block->body);
    if (kind == KT_OK)
        kind = read_activation(r, block->body);
    if (kind == KT_OK)
        kind = each_block(r, block->body, "health", read_health_block);
    return kind;
}

static enum kt_kind copy_text(struct reader *r, const struct kt_hcl_body *body, const char *key,
                              const char **ret)
{
    const char *text = NULL;
    enum kt_kind kind = kt_hcl_get_text(body, key, &text, r->err);
    if (kind == KT_OK && text != NULL)
        *ret = kt_arena_text(&r->config->arena, kt_str(text));
    return kind;
}

static enum kt_kind check_address(struct reader *r, const struct kt_hcl_body *vault)
{
    struct kt_http_address address = {0};
    if (r->config->address == NULL || r->config->address[0] == '\0')
        return KT_OK;
    return at_pos(kt_hcl_find(vault, "address")->pos, kt_http_address_parse(r->config->address, &address, r->err), r->err);
}

static enum kt_kind read_vault(struct reader *r, const struct kt_hcl_body *root)
{
    static const char *const known[] = {"address", "ca_file", "token_file", "namespace", NULL};
    const struct kt_hcl_body *vault = NULL;
    enum kt_kind kind = kt_hcl_only_block(root, "vault", &vault, r->err);
    if (kind != KT_OK || vault == NULL)
        return kind;
    kind = kt_hcl_check_known(vault, known, NULL, NULL, r->err);
    if (kind == KT_OK)
        kind = copy_text(r, vault, "address", &r->config->address);
    if (kind == KT_OK)
        kind = check_address(r, vault);
    if (kind == KT_OK)
        kind = copy_text(r, vault, "ca_file", &r->config->ca_file);
    if (kind == KT_OK)
        kind = copy_text(r, vault, "token_file", &r->config->token_file);
    if (kind == KT_OK)
        kind = copy_text(r, vault, "namespace", &r->config->namespace_path);
    r->config->says_address = r->config->address != NULL;
    r->config->says_ca_file = r->config->ca_file != NULL;
    return kind;
}

static enum kt_kind choose_service(struct reader *r, const struct kt_hcl_body *root,
                                   const char *service)
{
    struct kt_hcl_block block, chosen = {0};
    size_t n = 0;
    struct kt_hcl_blocks it = kt_hcl_blocks(root, "service", 1);
    while (kt_hcl_next(&it, &block, r->err)) {
        if (service != NULL && strcmp(service, block.labels[0]) != 0)
            continue;
        chosen = block;
        n++;
    }
    if (it.kind != KT_OK)
        return it.kind;
    if (n == 1)
        return read_service(r, &chosen);
    if (n == 0)
        return kt_hcl_fail(root->pos, r->err,
                           service == NULL ? "no service block" : "no service of that name");
    (void)kt_hcl_fail(root->pos, r->err, "there are %zu services", n);
    kt_hint(r->err, "say which one: secret-agent run --service NAME ...");
    return KT_INVALID;
}

static enum kt_kind read_root(struct reader *r, const char *path, const char *service)
{
    static const char *const known[] = {"host", "vault", "service", NULL};
    const char *text = NULL;
    enum kt_kind kind = read_text(r, path, &text);
    struct kt_hcl_body *root = NULL;
    if (kind == KT_OK)
        kind = kt_hcl_parse(kt_str(text), path, &root, r->err);
    r->text = text;
    r->file = kt_arena_text(&r->config->arena, kt_str(path));
    if (kind == KT_OK && r->file == NULL)
        kind = kt_fail(r->err, KT_NO_MEMORY, "reading the configuration");
    if (kind != KT_OK)
        return kind;
    kind = kt_hcl_check_known(root, known, NULL, NULL, r->err);
    if (kind == KT_OK)
        kind = copy_text(r, root, "host", &r->config->host);
    if (kind == KT_OK)
        kind = read_vault(r, root);
    if (kind == KT_OK)
        kind = choose_service(r, root, service);
    kt_hcl_free(root);
    return kind;
}

enum kt_kind agent_config_read(const char *path, const char *service, struct config **ret,
                               struct kt_err *err)
{
    struct config *config = kt_calloc(1, sizeof *config);
    if (config == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the configuration");
    kt_arena_init(&config->arena, (size_t)32 * 1024 * 1024);
    config->activate = ACTIVATE_RESTART;
    config->candidates = 1;
    config->stop_timeout_ms = 30000;
    config->debounce_ms = 500;
    config->restart_gap_ms = 10000;
    config->health = (struct config_health){.expect = 200,
                                            .interval_ms = 1000,
                                            .timeout_ms = 2000,
                                            .window_ms = 30000,
                                            .grace_ms = 10000,
                                            .settle_ms = 3000,
                                            .latency_floor_ms = 20,
                                            .pass = 3,
                                            .fail = 3,
                                            .samples = 10};
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) == 0)
        config->host = kt_arena_text(&config->arena, kt_str(host));
    config->service = service != NULL ? kt_arena_text(&config->arena, kt_str(service)) : NULL;
    struct reader reader = {.config = config, .err = err};
    enum kt_kind kind = path == NULL ? KT_OK : read_root(&reader, path, service);
    if (kind == KT_OK && config->arena.failed)
        kind = kt_fail(err, KT_NO_MEMORY, "reading the configuration");
    if (kind != KT_OK) {
        agent_config_free(config);
        return kind;
    }
    *ret = config;
    return KT_OK;
}

void agent_config_free(struct config *config)
{
    if (config == NULL)
        return;
    kt_arena_free(&config->arena);
    free(config);
}

/* A program that is given two has to try both, and a vault that is told so gives it two. */
static enum kt_kind check_candidates(const struct config *config, struct kt_err *err)
{
    bool named = false;
    for (size_t i = 0; i < config->n_secrets; i++)
        named = named || config->two[i];
    if (named == (config->candidates == 2))
        return KT_OK;
    if (named) {
        (void)kt_fail(err, KT_INVALID, "a candidate is asked for, and the service does not say candidates = 2");
        (void)at_pos(config->candidates_pos.file != NULL ? config->candidates_pos : config->pos, KT_INVALID, err);
        kt_hint(err, "say so in the service if its program tries the candidate when the other one is refused");
        return KT_INVALID;
    }
    (void)kt_fail(err, KT_INVALID, "candidates = 2, and neither a file nor env asks for a candidate");
    (void)at_pos(config->candidates_pos, KT_INVALID, err);
    kt_hint(err, "{{ candidate \"secret/path\" \"field\" }} in a file, or candidate = true in env");
    return KT_INVALID;
}

enum kt_kind agent_config_check(const struct config *config, struct kt_err *err)
{
    if (config->n_secrets == 0) {
        (void)kt_fail(err, KT_INVALID, "no secret is asked for");
        kt_hint(err, "--env NAME=secret/path#field, or --config with env and file blocks");
        return KT_INVALID;
    }
    enum kt_kind kind = check_candidates(config, err);
    if (kind != KT_OK)
        return kind;
    if (config->activate == ACTIVATE_SIGNAL && config->signal == 0)
        kind = kt_fail(err, KT_INVALID, "activate = \"signal\" needs signal = \"HUP\" or another");
    else if (config->activate == ACTIVATE_COMMAND && config->command == NULL)
        kind = kt_fail(err, KT_INVALID, "activate = \"command\" needs command = [\"/path\"]");
    if (kind != KT_OK)
        return at_pos(config->activate_pos, kind, err);
    if (config->n_env == 0 || config->activate == ACTIVATE_RESTART)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "an environment is fixed for the life of a process: env needs a restart");
    kt_hint(err, "activate = \"restart\", or give the secret in a file");
    return at_pos(config->env[0].pos.file != NULL ? config->env[0].pos : config->activate_pos, KT_INVALID, err);
}

/* A name without a slash is looked for in PATH, when it is run. */
static bool is_missing(const char *path, int mode)
{
    return path != NULL && strchr(path, '/') != NULL && access(path, mode) != 0;
}

void agent_config_missing(const struct config *config, config_missing_fn *missing, void *arg)
{
    const struct {
        const char *what, *path;
        int mode;
    } rows[] = {
        {"ca_file", config->ca_file, R_OK},
        {"token_file", config->token_file, R_OK},
        {"the command that activates a version", config->command != NULL ? config->command[0] : NULL, X_OK},
        {"the command of the health check", config->health.command != NULL ? config->health.command[0] : NULL, X_OK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (is_missing(rows[i].path, rows[i].mode))
            missing(arg, rows[i].what, rows[i].path);
}
