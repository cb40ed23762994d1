#include "vaultd/confine.h"

#include <stdlib.h>

#include "lib/log.h"

static enum kt_kind keep(struct confinement *confinement, char *take_path, bool write,
                         struct kt_err *err)
{
    if (take_path == NULL || confinement->n_paths == CONFINE_PATHS_MAX) {
        free(take_path);
        return kt_fail(err, KT_NO_MEMORY, "no room for the sandbox's list of folders");
    }
    confinement->paths[confinement->n_paths++] = take_path;
    if (write)
        confinement->write[confinement->n_write++] = take_path;
    else
        confinement->read[confinement->n_read++] = take_path;
    return KT_OK;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* The folder a file stands in, since files are replaced by renaming; and the one it really stands
 * in when the name is a link, as certificates of Let's Encrypt are. */
static enum kt_kind keep_folder_of(struct confinement *confinement, const char *path, bool write,
                                   struct kt_err *err)
{
    enum kt_kind kind = keep(confinement, folder_of(path), write, err);
    char *real = realpath(path, NULL);
    if (kind == KT_OK && real != NULL && strcmp(real, path) != 0)
        kind = keep(confinement, folder_of(real), write, err);
    free(real);
    return kind;
}

static enum kt_kind collect(struct confinement *confinement, const struct config *config,
                            const char *config_file, const char *folder, struct kt_err *err)
{
    /* Time zones for schedules; the rest is libc's and GnuTLS's. */
    static const char *const always[] = {"/usr/share/zoneinfo", "/etc/localtime", "/dev/urandom",
                                         "/etc/gnutls", "/usr/lib/locale"};
    enum kt_kind kind = keep(confinement, strdup(folder), true, err);
    for (size_t i = 0; kind == KT_OK && i < sizeof always / sizeof always[0]; i++)
        kind = keep(confinement, strdup(always[i]), false, err);
    if (kind == KT_OK && config_file != NULL)
        kind = keep_folder_of(confinement, config_file, false, err);
    for (size_t i = 0; kind == KT_OK && i < config->n_listeners; i++) {
        const struct config_listener *listener = &config->listeners[i];
        if (listener->is_unix) {
            kind = keep_folder_of(confinement, listener->address, true, err); /* to remove it */
        } else if (!listener->tls_disable) {
            kind = keep_folder_of(confinement, listener->cert_file, false, err);
            if (kind == KT_OK)
                kind = keep_folder_of(confinement, listener->key_file, false, err);
        }
    }
    for (size_t i = 0; kind == KT_OK && i < config->n_devices; i++)
        kind = keep_folder_of(confinement, config->devices[i].path, true, err);
    const char *credentials = secure_getenv("CREDENTIALS_DIRECTORY");
    bool signs = false;
    for (size_t i = 0; i < config->notify.n; i++)
        signs = signs || config->notify.at[i].key != NULL;
    if (kind == KT_OK && (config->n_seals > 0 || signs) && credentials != NULL)
        kind = keep(confinement, strdup(credentials), false, err);
    if (kind == KT_OK && config->pid_file != NULL)
        kind = keep_folder_of(confinement, config->pid_file, true, err);
    return kind;
}

static enum kt_kind judge(struct confinement *confinement, uint32_t missing,
                          enum config_sandbox wanted, struct kt_err *err)
{
    size_t n = 0;
    kt_autobuf struct kt_buf names;
    kt_buf_init(&names, 512);
    for (unsigned layer = 0; layer < KT_LAYER_COUNT; layer++) {
        if ((missing & (1u << layer)) == 0)
            continue;
        enum kt_sandbox_layer at = (enum kt_sandbox_layer)layer;
        confinement->notes[n++] = kt_sandbox_layer_missing(at);
        kt_buf_printf(&names, "%s%s", n > 1 ? ", " : "", kt_sandbox_layer_text(at));
    }
    if (n == 0)
        return KT_OK;
    if (wanted == SANDBOX_REQUIRED) {
        enum kt_kind kind =
            kt_fail(err, KT_PRECONDITION, "sandbox = \"required\", and this kernel lacks: %s",
                    kt_buf_text(&names));
        kt_hint(err, "use a newer kernel (6.12 has them all), or sandbox = \"available\"");
        return kind;
    }
    kt_log(KT_LOG_NOTICE, "sandbox_incomplete", "missing=\"%s\"", kt_buf_text(&names));
    return KT_OK;
}

enum kt_kind confine(struct confinement *confinement, const struct config *config,
                     const char *config_file, const char *folder, struct kt_err *err)
{
    enum kt_kind kind = collect(confinement, config, config_file, folder, err);
    if (kind != KT_OK)
        return kind;
    const char *notify = secure_getenv("NOTIFY_SOCKET");
    const struct kt_sandbox sandbox = {
        .calls = KT_CALLS_DAEMON,
        .limit_files = true,
        .read_paths = confinement->read,
        .write_paths = confinement->write,
        .limit_connect = true, /* every connection outwards is a worker's */
        .limit_scope = notify == NULL || notify[0] != '@',
    };
    uint32_t missing = 0;
    kind = kt_sandbox_enter(&sandbox, &missing, err);
    return kind != KT_OK ? kind
                         : judge(confinement, missing, (enum config_sandbox)config->sandbox, err);
}
