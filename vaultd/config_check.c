/* What only the machine can say of a configuration. Nothing is changed: ports are bound and given
 * back, folders are looked at, not made. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "vaultd/config.h"
#include "vaultd/http/certificate.h"
#include "vaultd/http/socket.h"

/* The folder a path stands in. */
static bool parent_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    if (len >= PATH_MAX)
        return false;
    if (slash == NULL || len == 0) {
        (void)snprintf(out, PATH_MAX, "%s", slash == NULL ? "." : "/");
        return true;
    }
    memcpy(out, path, len);
    out[len] = '\0';
    return true;
}

static void check_parent(const char *path, const char *what, struct findings *findings)
{
    char folder[PATH_MAX];
    struct stat st;
    if (!parent_of(path, folder))
        findings_addf(findings, true, NULL, "the path of %s is too long", what);
    else if (stat(folder, &st) != 0)
        findings_addf(findings, true, "make it: install -d -o keyturn -g keyturn -m 0700 FOLDER",
                      "the folder '%s' of %s cannot be used: %s", folder, what,
                      kt_errno_text(errno));
    else if (!S_ISDIR(st.st_mode))
        findings_addf(findings, true, NULL, "'%s' of %s is not a folder", folder, what);
    else if (access(folder, W_OK | X_OK) != 0)
        findings_addf(findings, true, "vaultd's user must be able to write there",
                      "the folder '%s' of %s is not writable", folder, what);
}

static void check_folder(const char *path, const char *what, struct findings *findings)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        if (errno == ENOENT)
            check_parent(path, what, findings); /* it will be made */
        else
            findings_addf(findings, true, "vaultd's user must be able to reach it",
                          "%s '%s' cannot be used: %s", what, path, kt_errno_text(errno));
        return;
    }
    if (!S_ISDIR(st.st_mode))
        findings_addf(findings, true, NULL, "%s '%s' is not a folder", what, path);
    else if (access(path, R_OK | W_OK | X_OK) != 0)
        findings_addf(findings, true, "chown keyturn: and chmod 700 the folder",
                      "%s '%s' cannot be read and written by this user", what, path);
    else if ((st.st_mode & 0077) != 0)
        findings_addf(findings, true, "chmod 700 the folder",
                      "%s '%s' is open to others (mode %04o)", what, path,
                      (unsigned)st.st_mode & 07777u);
}

static void check_certificate(const struct config_listener *listener, int64_t now_ms,
                              struct findings *findings)
{
    struct certificate *certificate = NULL;
    struct kt_err err = {0};
    if (certificate_load(listener->cert_file, listener->key_file, now_ms, &certificate, &err) !=
        KT_OK) {
        findings_add(findings, true, &err);
        return;
    }
    int64_t left_days = (certificate_expires_ms(certificate) - now_ms) / 86400000;
    if (left_days < 14)
        findings_addf(findings, false, "renew it; a running vaultd takes the new one on SIGHUP",
                      "the certificate in '%s' expires in %jd days", listener->cert_file,
                      (intmax_t)left_days);
    certificate_free(certificate);
}

/* A vaultd that runs already holds its addresses, so one in use is odd, not wrong. */
static void check_tcp(const struct config_listener *listener, struct findings *findings)
{
    struct socket_address address;
    struct kt_err err = {0};
    if (socket_address_parse(listener->address, &address, &err) != KT_OK) {
        findings_add(findings, true, &err);
        return;
    }
    if (listener->tls_disable && !socket_address_is_loopback(&address))
        findings_addf(findings, false, "set tls_cert_file and tls_key_file",
                      "%s serves without TLS: tokens and secrets can be read on the way",
                      listener->address);
    int fd = -1;
    unsigned port = 0;
    if (socket_listen_tcp(listener->address, &fd, &port, &err) == KT_OK)
        (void)close(fd);
    else if (err.saved_errno == EADDRINUSE)
        findings_addf(findings, false, "no matter if that is the vaultd which runs with this file",
                      "%s is in use", listener->address);
    else
        findings_add(findings, true, &err);
}

static void check_unix(const struct config_listener *listener, struct findings *findings)
{
    struct sockaddr_un name;
    struct stat st;
    if (listener->address[0] != '/' || strlen(listener->address) >= sizeof name.sun_path)
        findings_addf(findings, true, "path = \"/run/vaultd/vaultd.sock\"",
                      "'%.120s' cannot be a Unix socket: give a short absolute path",
                      listener->address);
    else if (lstat(listener->address, &st) == 0 && !S_ISSOCK(st.st_mode))
        findings_addf(findings, true, "choose another path", "'%s' exists and is not a socket",
                      listener->address);
    else
        check_parent(listener->address, "a Unix listener", findings);
}

static void check_device(const struct config_device *device, struct findings *findings)
{
    struct stat st;
    if (stat(device->path, &st) != 0)
        check_parent(device->path, "an audit device", findings);
    else if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
        findings_addf(findings, true, NULL, "the audit device '%s' is not a file", device->path);
    else if (access(device->path, W_OK) != 0)
        findings_addf(findings, true, "vaultd's user must be able to write it",
                      "the audit device '%s' is not writable", device->path);
}

void config_check_programs(const struct config *config, struct findings *findings)
{
    for (size_t i = 0; i < config->programs.n; i++) {
        struct kt_err err = {0};
        if (kt_program_check(&config->programs.at[i], &err) != KT_OK)
            findings_add(findings, true, &err);
    }
}

void config_check(const struct config *config, bool given, int64_t now_ms, struct findings *findings)
{
    if (config->storage.path != NULL && !given)
        check_folder(config->storage.path, "the data folder", findings);
    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct config_listener *listener = &config->listeners[i];
        if (listener->is_unix) {
            check_unix(listener, findings);
            continue;
        }
        check_tcp(listener, findings);
        if (!listener->tls_disable)
            check_certificate(listener, now_ms, findings);
    }
    for (size_t i = 0; i < config->n_devices; i++)
        check_device(&config->devices[i], findings);
    if (config->pid_file != NULL)
        check_parent(config->pid_file, "pid_file", findings);
    config_check_programs(config, findings);
}
