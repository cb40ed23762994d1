/* vaultd/main.c - from a command line to a vault that serves, and down again.
 *
 * The order matters: nothing is read from the environment before it is cleaned; ports are bound as
 * root and data is touched only as the vault's user; the process that starts workers is started
 * before any key exists; the sandbox comes before the first thread. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/assert.h"
#include "lib/background.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/process.h"
#include "lib/secret.h"
#include "vaultd/args.h"
#include "vaultd/attend.h"
#include "vaultd/auth/logins.h"
#include "vaultd/confine.h"
#include "vaultd/core/autounseal.h"
#include "vaultd/core/core.h"
#include "vaultd/core/heap.h"
#include "vaultd/dev.h"
#include "vaultd/privileges.h"
#include "vaultd/rotation/spawner.h"

#ifndef KT_VERSION
#define KT_VERSION "0"
#endif

/* Beside the connections: database, log, devices, workers' sockets. */
#define SPARE_DESCRIPTORS 512u
#define DRAIN_MS          5000
#define STOP_S            25u /* below the service manager's 30 */

struct vaultd {
    struct args args;
    struct config config;
    struct identity identity;
    struct dev dev;
    struct scratch scratch; /* of an inmem store without a folder */
    struct confinement confinement;
    struct attend attend;
    char spawn_path[PATH_MAX], worker_path[PATH_MAX];
    const char *folder;
    struct kt_buf listeners; /* as sys/config/state shows them */
    struct audit_device_config devices[CONFIG_DEVICES_MAX];
    const char *seals[CONFIG_SEALS_MAX];
    struct spawner *spawner;
    struct store *store;
    struct core *core;
    struct http_server *http;
    size_t n_tcp; /* listeners bound before the Unix sockets */
};

/* ---- what a person reads --------------------------------------------------------------------- */

static int refuse(const struct kt_err *err)
{
    if (!isatty(STDERR_FILENO))
        kt_log_err(KT_LOG_ERROR, "not_started", err);
    else if (err->hint[0] != '\0')
        (void)fprintf(stderr, "vaultd: %s\n  next: %s\n", err->what, err->hint);
    else
        (void)fprintf(stderr, "vaultd: %s\n", err->what);
    return 1;
}

static int print(void (*describe)(struct kt_buf *out))
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, (size_t)64 * 1024);
    describe(&text);
    return fputs(kt_buf_text(&text), stdout) < 0 || fflush(stdout) != 0 ? 1 : 0;
}

static void print_findings(const struct findings *findings)
{
    for (size_t i = 0; i < findings->n; i++) {
        const struct finding *at = &findings->at[i];
        (void)fprintf(stderr, "%s: %s\n", at->error ? "error" : "warning", at->text.what);
        if (at->text.hint[0] != '\0')
            (void)fprintf(stderr, "  next: %s\n", at->text.hint);
    }
    if (findings->dropped > 0)
        (void)fprintf(stderr, "and %zu more\n", findings->dropped);
}

static void log_findings(const struct findings *findings)
{
    for (size_t i = 0; i < findings->n; i++)
        kt_log_err(findings->at[i].error ? KT_LOG_ERROR : KT_LOG_WARNING, "configuration",
                   &findings->at[i].text);
}

/* ---- the configuration ----------------------------------------------------------------------- */

static enum kt_kind choose_log_level(struct vaultd *vaultd, struct kt_err *err)
{
    static const struct {
        const char *word;
        enum kt_log_level level;
    } levels[] = {{"error", KT_LOG_ERROR}, {"warn", KT_LOG_WARNING}, {"notice", KT_LOG_NOTICE},
                  {"info", KT_LOG_INFO},   {"debug", KT_LOG_INFO},   {"trace", KT_LOG_INFO}};
    const char *wanted = vaultd->args.log_level;
    if (wanted == NULL) {
        kt_log_set_level((enum kt_log_level)vaultd->config.log_level);
        return KT_OK;
    }
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        if (strcmp(levels[i].word, wanted) == 0) {
            kt_log_set_level(levels[i].level);
            return KT_OK;
        }
    return kt_fail(err, KT_INVALID, "--log-level is error, warn, notice or info");
}

static enum kt_kind configure(struct vaultd *vaultd, struct kt_err *err)
{
    static struct findings findings; /* too large for the stack; main runs once */
    enum kt_kind kind;
    if (vaultd->args.dev)
        kind = dev_config(&vaultd->args, &vaultd->dev, &vaultd->config, err);
    else
        kind = config_read(vaultd->args.config, &vaultd->config, &findings, err);
    log_findings(&findings);
    if (kind != KT_OK && findings.errors > 0)
        kt_hint(err, "mend them; vaultd --config FILE --check shows all at once");
    if (kind == KT_OK)
        kind = choose_log_level(vaultd, err);
    return kind;
}

/* Everything that can be wrong, seen with the eyes of the user that would run. */
static int check(struct vaultd *vaultd)
{
    static struct findings findings;
    struct kt_err err = {0};
    enum kt_kind kind = config_read(vaultd->args.config, &vaultd->config, &findings, &err);
    if (kind == KT_OK) {
        const char *user = vaultd->args.user != NULL ? vaultd->args.user : vaultd->config.user;
        bool found = privileges_find(user, &vaultd->identity, &err) == KT_OK;
        const char *folder = vaultd->config.storage.path;
        bool given = found && folder != NULL && privileges_would_give_folder(&vaultd->identity, folder);
        if (!found || privileges_drop(&vaultd->identity, &err) != KT_OK)
            findings_add(&findings, true, &err);
        config_check(&vaultd->config, given, kt_wall_ms(&kt_system_clock), &findings);
    } else if (findings.errors == 0) {
        findings_add(&findings, true, &err); /* not readable, or not HCL */
    }
    print_findings(&findings);
    size_t warnings = findings.n - findings.errors;
    if (findings.errors == 0 && warnings > 0)
        (void)printf("%s: no mistakes, but look at the warnings: %zu\n", vaultd->args.config, warnings);
    else if (findings.errors == 0)
        (void)printf("%s: no mistakes\n", vaultd->args.config);
    config_free(&vaultd->config);
    return findings.errors == 0 ? 0 : 1;
}

/* ---- up ------------------------------------------------------------------------------------- */

/* The helpers stand beside this program, wherever that was installed. */
static enum kt_kind find_helpers(struct vaultd *vaultd, struct kt_err *err)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len <= 0)
        return kt_fail(err, KT_IO, "cannot find where this program stands (is /proc mounted?)");
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = '\0';
    int a = snprintf(vaultd->spawn_path, sizeof vaultd->spawn_path, "%.4000s/vaultd-spawn", self);
    int b =
        snprintf(vaultd->worker_path, sizeof vaultd->worker_path, "%.4000s/vaultd-worker", self);
    return a > 0 && b > 0 ? KT_OK : kt_fail(err, KT_INTERNAL, "the program's path is too long");
}

static enum kt_kind bind_listeners(struct vaultd *vaultd, bool unix_ones, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; kind == KT_OK && i < vaultd->config.n_listeners; i++) {
        const struct config_listener *from = &vaultd->config.listeners[i];
        const struct http_listener_config listener = {.is_unix = from->is_unix,
                                                      .address = from->address,
                                                      .mode = (unsigned)from->mode,
                                                      .tls = !from->is_unix && !from->tls_disable,
                                                      .cert_file = from->cert_file,
                                                      .no_client_certs = from->no_client_certs,
                                                      .key_file = from->key_file,
                                                      .forwarded = {
                                                          .trusted = from->forwarded_trusted,
                                                          .hop_skips = (unsigned)from->forwarded_hop_skips,
                                                          .refuse_absent = from->forwarded_refuse_absent,
                                                          .refuse_stranger = from->forwarded_refuse_stranger,
                                                      }};
        if (from->is_unix != unix_ones)
            continue;
        kind = http_server_listen(vaultd->http, &listener, err);
        if (kind == KT_OK && !from->is_unix)
            vaultd->n_tcp++;
    }
    return kind;
}

static enum kt_kind write_pid_file(const struct vaultd *vaultd, struct kt_err *err)
{
    const char *path = vaultd->config.pid_file;
    char text[24];
    if (path == NULL)
        return KT_OK;
    kt_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    int len = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (fd < 0 || fchmod(fd, 0644) != 0 || write(fd, text, (size_t)len) != len)
        return kt_fail(err, KT_IO, "cannot write pid_file '%s'", path);
    return KT_OK;
}

/* As root where that is needed, else as whoever we are; afterwards never root again. */
static enum kt_kind settle(struct vaultd *vaultd, struct kt_err *err)
{
    const struct config_storage *storage = &vaultd->config.storage;
    const char *user = vaultd->args.user != NULL ? vaultd->args.user : vaultd->config.user;
    struct http_limits limits;
    config_http_limits(&vaultd->config, &limits);
    enum kt_kind kind = privileges_find(user, &vaultd->identity, err);
    if (kind == KT_OK)
        kind = http_server_new(&limits, &kt_system_clock, &vaultd->http, err);
    if (kind == KT_OK)
        kind = bind_listeners(vaultd, false, err);
    if (kind == KT_OK && storage->path != NULL)
        kind = privileges_give_folder(&vaultd->identity, storage->path, err);
    if (kind != KT_OK)
        return kind;
    privileges_raise_limits(limits.max_connections + SPARE_DESCRIPTORS);
    return privileges_drop(&vaultd->identity, err);
}

/* With the eyes of the user that would start them. */
static enum kt_kind check_programs(const struct vaultd *vaultd, struct kt_err *err)
{
    static struct findings findings;
    config_check_programs(&vaultd->config, &findings);
    if (findings.errors == 0)
        return KT_OK;
    *err = findings.at[0].text;
    return err->kind;
}

/* As the vault's user, alone: folders, the process that starts workers, the sandbox. */
static enum kt_kind prepare(struct vaultd *vaultd, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    if (vaultd->args.dev) {
        kind = dev_prepare(&vaultd->dev, &vaultd->config, err);
        if (kind == KT_OK)
            kind = bind_listeners(vaultd, false, err);
    } else if (vaultd->config.storage.path == NULL) {
        kind = scratch_new(&vaultd->scratch, err);
    }
    vaultd->folder =
        vaultd->config.storage.path != NULL ? vaultd->config.storage.path : vaultd->scratch.path;
    if (kind == KT_OK)
        kind = bind_listeners(vaultd, true, err);
    if (kind == KT_OK)
        kind = write_pid_file(vaultd, err);
    if (kind == KT_OK)
        kind = check_programs(vaultd, err);
    if (kind == KT_OK)
        kind = find_helpers(vaultd, err);
    if (kind == KT_OK)
        kind = kt_secret_init(err);
    if (kind != KT_OK)
        return kind;
    kt_json_init();
    heap_settings();
    kind = channels_load(&vaultd->config.notify, err);
    if (kind != KT_OK)
        return kind;
    kind = spawner_start(vaultd->spawn_path, vaultd->worker_path, &vaultd->config.programs,
                         &vaultd->spawner, err);
    if (kind == KT_OK)
        kind = confine(&vaultd->confinement, &vaultd->config, vaultd->args.config, vaultd->folder,
                       err);
    return kind;
}

/* vaultd connects to nobody: a worker does. */
static enum kt_kind fetch(void *arg, const char *url, const char *ca, struct kt_buf *body, struct kt_err *err)
{
    const struct fetch_order order = {.url = url, .ca = ca};
    return spawner_fetch(arg, &order, body, err);
}

/* A worker sends it, too. */
static enum kt_kind send_mail(void *arg, const struct notify_order *order, struct kt_err *err)
{
    const struct fetch_order sent = {
        .url = "", .ca = "", .program = order->channel->program, .posts = true, .post = order->body};
    kt_autobuf struct kt_buf answer;
    kt_buf_init(&answer, FETCH_BODY_MAX);
    return spawner_fetch(arg, &sent, &answer, err);
}

static enum kt_kind send_notice(void *arg, const struct notify_order *order, struct kt_err *err)
{
    if (order->channel->mail.n > 0)
        return send_mail(arg, order, err);
    char id[96], signature[64 + NOTIFY_SIGNATURE];
    (void)snprintf(id, sizeof id, "X-Keyturn-Id: %.64s", order->id);
    (void)snprintf(signature, sizeof signature, "X-Keyturn-Signature: %s", order->signature);
    const struct fetch_order sent = {.url = order->channel->url,
                                     .ca = order->channel->ca == NULL ? "" : order->channel->ca,
                                     .posts = true,
                                     .post = order->body,
                                     .headers = {id, order->signature[0] == '\0' ? NULL : signature}};
    kt_autobuf struct kt_buf answer;
    kt_buf_init(&answer, FETCH_BODY_MAX);
    return spawner_fetch(arg, &sent, &answer, err);
}

static enum kt_kind start(struct vaultd *vaultd, struct kt_err *err)
{
    const struct config *config = &vaultd->config;
    const struct store_config storage = {.engine = config->storage.engine,
                                         .path = vaultd->folder,
                                         .max_bytes = config->storage.max_bytes,
                                         .delay_ms = (int64_t)config->storage.delay_ms};
    for (size_t i = 0; i < config->n_devices; i++)
        vaultd->devices[i] = (struct audit_device_config){
            "file", "file", config->devices[i].path, (int64_t)config->devices[i].timeout_ms};
    for (size_t i = 0; i < config->n_seals; i++)
        vaultd->seals[i] = config->seals[i].name;
    vaultd->config.notify.send = send_notice;
    vaultd->config.notify.arg = vaultd->spawner;
    kt_buf_init(&vaultd->listeners, (size_t)64 * 1024);
    config_listeners(config, &vaultd->listeners);
    const struct core_config core = {.cluster_name = config->cluster_name,
                                     .data_folder = vaultd->folder,
                                     .storage_type =
                                         config->storage.engine == STORE_LMDB ? "lmdb" : "inmem",
                                     .listeners = kt_buf_text(&vaultd->listeners),
                                     .devices = vaultd->devices,
                                     .n_devices = config->n_devices,
                                     .worker_path = vaultd->worker_path,
                                     .spawner = vaultd->spawner,
                                     .notify = &config->notify,
                                     .pam_socket = config->pam_socket,
                                     .credentials = secure_getenv("CREDENTIALS_DIRECTORY"),
                                     .seals = vaultd->seals,
                                     .n_seals = config->n_seals,
                                     .dev = vaultd->args.dev,
                                     .notes = vaultd->confinement.notes,
                                     .tick_ms = (int64_t)config->rotation_tick_ms,
                                     .rotation_max_runs = (unsigned)config->rotation_max_runs,
                                     .rotation_starts_per_minute =
                                         (unsigned)config->rotation_starts_per_minute,
                                     .max_key_age_ms = (int64_t)config->max_key_age_ms,
                                     .unseal_per_minute =
                                         (unsigned)config->limits.unseal_per_minute,
                                     .token_refusals = (int64_t)config->limits.token_refusals,
                                     .token_entries = config->limits.token_entries,
                                     .token_storage = config->limits.token_storage,
                                     .token_leases = config->limits.token_leases,
                                     .mount_leases = config->limits.mount_leases,
                                     .audit_broken = attend_audit_broken,
                                     .audit_broken_arg = &vaultd->attend};
    enum kt_kind kind = store_open(&storage, &vaultd->store, err);
    if (kind != KT_OK)
        return kind;
    store_on_broken(vaultd->store, attend_store_broken, &vaultd->attend);
    kt_background_allow();
    kind = core_new(&core, vaultd->store, &kt_system_clock, &vaultd->core, err);
    if (kind == KT_OK && vaultd->args.dev) /* who connects before waits, and does not find it sealed */
        kind = dev_begin(&vaultd->dev, vaultd->core, http_server_port(vaultd->http, 0), err);
    if (kind == KT_OK)
        jwt_sources_set_fetch(vaultd->core->logins->jwt, fetch, vaultd->spawner);
    if (kind == KT_OK)
        kind = http_server_start(vaultd->http, vaultd->core, err);
    return kind;
}

/* What it cannot open is left to key shares, and is no reason not to serve them. */
static void unseal_by_itself(const struct vaultd *vaultd)
{
    struct kt_err err = {0};
    if (vaultd->args.dev || !barrier_initialized(vaultd->core->barrier))
        return;
    enum kt_kind kind = autounseal_run(vaultd->core, &err);
    if (kind == KT_SEALED)
        kt_log_err(KT_LOG_WARNING, "stays_sealed", &err);
}

static void say_ready(const struct vaultd *vaultd)
{
    KT_ASSERT(vaultd->core != NULL);
    size_t tcp = 0;
    for (size_t i = 0; i < vaultd->config.n_listeners; i++) {
        const struct config_listener *listener = &vaultd->config.listeners[i];
        if (listener->is_unix)
            kt_log(KT_LOG_NOTICE, "listening", "path=\"%s\"", listener->address);
        else
            kt_log(KT_LOG_NOTICE, "listening", "address=\"%s\" port=%u tls=%s", listener->address,
                   http_server_port(vaultd->http, tcp++), listener->tls_disable ? "no" : "yes");
    }
    kt_log(KT_LOG_NOTICE, "ready", "version=%s storage=%s sealed=%s", KT_VERSION,
           vaultd->config.storage.engine == STORE_LMDB ? "lmdb" : "inmem",
           barrier_sealed(vaultd->core->barrier) ? "yes" : "no");
    attend_notify("READY=1");
}

/* ---- while it runs -------------------------------------------------------------------------- */

/* On a thread of its own (attend.h). */
static void reload(void *arg)
{
    struct vaultd *vaultd = arg;
    static struct findings findings;
    struct kt_err err = {0};
    findings = (struct findings){0};
    if (vaultd->args.config != NULL) {
        struct config fresh;
        if (config_read(vaultd->args.config, &fresh, &findings, &err) == KT_OK) {
            vaultd->config.log_level = fresh.log_level;
            (void)choose_log_level(vaultd, &err);
            config_free(&fresh);
        } else {
            log_findings(&findings);
            kt_log_err(KT_LOG_ERROR, "configuration_kept", &err);
        }
    }
    http_server_reload(vaultd->http);
    core_reload(vaultd->core);
    kt_log(KT_LOG_NOTICE, "reloaded", "what=\"certificates, log level, audit devices\"");
}

/* ---- down ----------------------------------------------------------------------------------- */

/* What is stuck, so that nothing it may still touch can be freed; NULL: nothing. */
static const char *stop(struct vaultd *vaultd)
{
    attend_notify("STOPPING=1");
    attend_deadline(STOP_S);
    if (vaultd->core != NULL) {
        http_server_drain(vaultd->http, DRAIN_MS / 5);
        if (vaultd->spawner != NULL)
            spawner_interrupt(vaultd->spawner);
        core_seal(vaultd->core, "stop");
    }
    if (vaultd->http != NULL && !http_server_stop(vaultd->http, DRAIN_MS))
        return "a request did not end";
    return attend_settle(&vaultd->attend, DRAIN_MS / 5) ? NULL : "a reload did not end";
}

static void release(struct vaultd *vaultd)
{
    http_server_free(vaultd->http);
    core_free(vaultd->core);
    store_close(vaultd->store);
    spawner_stop(vaultd->spawner);
    if (vaultd->config.pid_file != NULL)
        (void)unlink(vaultd->config.pid_file);
    if (vaultd->args.dev)
        dev_end(&vaultd->dev);
    scratch_free(&vaultd->scratch);
    attend_end(&vaultd->attend);
    config_free(&vaultd->config);
    kt_buf_free(&vaultd->listeners);
}

static int serve(struct vaultd *vaultd)
{
    struct kt_err err = {0};
    int code = 0;
    enum kt_kind kind = attend_begin(&vaultd->attend, &err);
    if (kind == KT_OK)
        kind = configure(vaultd, &err);
    if (kind == KT_OK)
        kind = settle(vaultd, &err);
    if (kind == KT_OK)
        kind = prepare(vaultd, &err);
    if (kind == KT_OK)
        kind = start(vaultd, &err);
    if (kind == KT_OK) {
        unseal_by_itself(vaultd);
        say_ready(vaultd);
        code = attend_loop(&vaultd->attend, reload, vaultd) == ATTEND_STOP ? 0 : 1;
    } else {
        code = refuse(&err);
    }
    const char *stuck = stop(vaultd);
    if (stuck != NULL) {
        kt_log(KT_LOG_ERROR, "stopped_hard", "reason=\"%s\"", stuck);
        _exit(1);
    }
    release(vaultd);
    if (kind == KT_OK)
        kt_log(KT_LOG_NOTICE, "stopped", "code=%d", code);
    return code;
}

int main(int argc, char **argv)
{
    static const char *const environment[] = {"HOME",
                                              "TZ",
                                              "LANG",
                                              "NOTIFY_SOCKET",
                                              "WATCHDOG_USEC",
                                              "WATCHDOG_PID",
                                              "CREDENTIALS_DIRECTORY",
                                              "VAULT_DEV_ROOT_TOKEN_ID",
                                              "VAULT_DEV_LISTEN_ADDRESS",
#ifdef KT_FAULT
                                              "KEYTURN_FAILPOINTS",
                                              "ASAN_OPTIONS",
                                              "UBSAN_OPTIONS",
                                              "LSAN_OPTIONS",
#endif
                                              NULL};
    static struct vaultd vaultd = {.attend = {.signals = -1, .broken = -1, .reloaded = -1}, .dev = {.token_fd = -1}};
    const struct kt_process_options options = {.keep_env = environment};
    struct kt_err err = {0};
    if (kt_process_start(&options, &err) != KT_OK ||
        args_parse(argc, argv, &vaultd.args, &err) != KT_OK)
        return refuse(&err);
    if (vaultd.args.help)
        return print(args_help);
    if (vaultd.args.settings)
        return print(config_describe);
    if (vaultd.args.version)
        return printf("Keyturn vaultd v%s\n", KT_VERSION) < 0 ? 1 : 0;
    if (vaultd.args.dev == (vaultd.args.config != NULL)) {
        (void)kt_fail(&err, KT_INVALID,
                      vaultd.args.dev ? "--dev takes no configuration" : "nothing to serve");
        kt_hint(&err, "vaultd --dev to try it out, vaultd --config FILE in earnest, vaultd --help");
        return refuse(&err);
    }
    return vaultd.args.check ? check(&vaultd) : serve(&vaultd);
}
