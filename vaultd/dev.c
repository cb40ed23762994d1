#include "vaultd/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/json.h"
#include "lib/jsonw.h"
#include "lib/log.h"
#include "vaultd/core/core.h"
#include "vaultd/http/certificate.h"
#include "vaultd/http/socket.h"
#include "vaultd/local_call.h"

#define DAY_MS   INT64_C(86400000)
#define TEXT_MAX 1024u

/* ---- before anything is made ----------------------------------------------------------------- */

/* The file is the caller's, who may be root: it is opened before privileges are given up. */
static int open_token_file(void)
{
    const char *home = secure_getenv("HOME");
    char path[512];
    int len = home == NULL ? -1 : snprintf(path, sizeof path, "%s/.vault-token", home);
    if (len < 0 || (size_t)len >= sizeof path)
        return -1;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fchmod(fd, 0600) == 0)
        return fd;
    kt_log(KT_LOG_WARNING, "token_not_stored", "file=\"%s\" reason=\"%s\"", path,
           kt_errno_text(errno));
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

enum kt_kind dev_config(const struct args *args, struct dev *ret, struct config *ret_config,
                        struct kt_err *err)
{
    struct dev dev = {
        .tls = args->dev_tls, .root_token_id = args->dev_root_token_id, .token_fd = -1};
    struct socket_address address;
    const char *wanted = args->dev_listen_address;
    if (wanted == NULL)
        wanted = secure_getenv("VAULT_DEV_LISTEN_ADDRESS");
    if (dev.root_token_id == NULL)
        dev.root_token_id = secure_getenv("VAULT_DEV_ROOT_TOKEN_ID");
    if (wanted == NULL || wanted[0] == '\0')
        wanted = "127.0.0.1:8200";
    enum kt_kind kind = socket_address_parse(wanted, &address, err);
    if (kind != KT_OK)
        return kind;
    if (!socket_address_is_loopback(&address)) {
        kind = kt_fail(err, KT_INVALID, "--dev does not listen on '%.200s', which others can reach",
                       wanted);
        kt_hint(err, "use 127.0.0.1:PORT, or a configuration with TLS: vaultd --config FILE");
        return kind;
    }
    if (dev.root_token_id != NULL && strpbrk(dev.root_token_id, " ./\"\\\t\r\n") != NULL)
        return kt_fail(err, KT_INVALID, "--dev-root-token-id: no spaces, dots, slashes or quotes");
    (void)snprintf(dev.address, sizeof dev.address, "%s", wanted);
    (void)snprintf(dev.host, sizeof dev.host, "%s", address.host);
    if (!args->dev_no_store_token)
        dev.token_fd = open_token_file();
    config_init(ret_config);
    ret_config->has_storage = true;
    ret_config->storage.engine = STORE_LMDB;
    ret_config->limits.max_connections_per_ip = 0; /* everybody comes from loopback */
    *ret = dev;
    return KT_OK;
}

enum kt_kind dev_prepare(struct dev *dev, struct config *config, struct kt_err *err)
{
    enum kt_kind kind = scratch_new(&dev->scratch, err);
    if (kind != KT_OK)
        return kind;
    (void)snprintf(dev->folder, sizeof dev->folder, "%s/data", dev->scratch.path);
    (void)snprintf(dev->cert_file, sizeof dev->cert_file, "%s/cert.pem", dev->scratch.path);
    (void)snprintf(dev->key_file, sizeof dev->key_file, "%s/key.pem", dev->scratch.path);
    config->storage.path = dev->folder;
    config->listeners[0] = (struct config_listener){.address = dev->address,
                                                    .tls_disable = !dev->tls,
                                                    .cert_file = dev->tls ? dev->cert_file : NULL,
                                                    .key_file = dev->tls ? dev->key_file : NULL};
    config->n_listeners = 1;
    if (mkdir(dev->folder, 0700) != 0)
        return kt_fail(err, KT_IO, "cannot make the folder '%s'", dev->folder);
    int64_t now_ms = kt_wall_ms(&kt_system_clock);
    return !dev->tls ? KT_OK
                     : certificate_make(dev->scratch.path, dev->host, now_ms - DAY_MS,
                                        now_ms + 30 * DAY_MS, err);
}

/* ---- the vault ------------------------------------------------------------------------------- */

static enum kt_kind refused(struct kt_err *err, const char *what, unsigned status)
{
    return kt_fail(err, KT_INTERNAL, "%s was answered with status %u", what, status);
}

static enum kt_kind unseal(struct core *core, const char *key, struct kt_err *err)
{
    kt_autobuf struct kt_buf body, answer;
    kt_buf_init(&body, TEXT_MAX);
    kt_buf_init(&answer, (size_t)64 * 1024);
    kt_buf_printf(&body, "{\"key\":\"%s\"}", key);
    unsigned status = local_call(core, "PUT", "/v1/sys/unseal", NULL, kt_buf_text(&body), &answer);
    return status == 200 ? KT_OK : refused(err, "unsealing", status);
}

/* Makes a second root token with the wished text and ends the first. */
static enum kt_kind take_wished_token(struct core *core, const char *wished, struct kt_buf *root,
                                      struct kt_err *err)
{
    kt_autobuf struct kt_buf body, answer;
    kt_buf_init(&body, TEXT_MAX);
    kt_buf_init(&answer, (size_t)64 * 1024);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "id", wished);
    kt_jsonw_kv_raw(&w, "policies", kt_str("[\"root\"]"));
    kt_jsonw_kv_bool(&w, "no_parent", true);
    kt_jsonw_kv_text(&w, "display_name", "token");
    kt_jsonw_end(&w);
    unsigned status = local_call(core, "POST", "/v1/auth/token/create", kt_buf_text(root),
                                 kt_buf_text(&body), &answer);
    if (status != 200)
        return refused(err, "making the token of --dev-root-token-id", status);
    status =
        local_call(core, "POST", "/v1/auth/token/revoke-self", kt_buf_text(root), NULL, &answer);
    if (status != 204)
        return refused(err, "revoking the first root token", status);
    kt_buf_reset(root);
    kt_buf_add_text(root, wished);
    return KT_OK;
}

/* Another ~/.vault-token is replaced whole. */
static void store_token(const struct dev *dev, struct kt_buf *token)
{
    struct kt_bytes text = kt_buf_bytes(token);
    if (dev->token_fd < 0)
        return;
    if (ftruncate(dev->token_fd, 0) != 0 ||
        pwrite(dev->token_fd, text.at, text.len, 0) != (ssize_t)text.len)
        kt_log(KT_LOG_WARNING, "token_not_stored", "reason=\"%s\"", kt_errno_text(errno));
}

static void announce(const struct dev *dev, unsigned port, const char *key, struct kt_buf *token)
{
    (void)printf("WARNING! dev mode is enabled! This vault is unsealed, has one unseal key, and\n"
                 "everything in it is gone when it stops.\n\n"
                 "You may need to set the following environment variables:\n\n");
    const char *bracket = strchr(dev->host, ':') != NULL ? "[" : "";
    (void)printf("    $ export VAULT_ADDR='%s://%s%s%s:%u'\n", dev->tls ? "https" : "http", bracket,
                 dev->host, bracket[0] != '\0' ? "]" : "", port);
    if (dev->tls)
        (void)printf("    $ export VAULT_CACERT='%s'\n", dev->cert_file);
    (void)printf("\nThe unseal key and root token are displayed below in case you want to\n"
                 "seal/unseal the vault or log in again.\n\n"
                 "Unseal Key: %s\nRoot Token: %s\n\n"
                 "KV version 2 is at secret/. Do NOT run production on dev mode.\n\n",
                 key, kt_buf_text(token));
    (void)fflush(stdout);
}

enum kt_kind dev_begin(struct dev *dev, struct core *core, unsigned port, struct kt_err *err)
{
    unsigned char share[1][SHAMIR_SHARE_BYTES];
    char key[sodium_base64_ENCODED_LEN(SHAMIR_SHARE_BYTES, sodium_base64_VARIANT_ORIGINAL)];
    kt_autobuf struct kt_buf root;
    kt_buf_init(&root, TEXT_MAX);
    enum kt_kind kind = core_init(core, 1, 1, share, &root, err);
    if (kind != KT_OK)
        return kind;
    (void)sodium_bin2base64(key, sizeof key, share[0], sizeof share[0],
                            sodium_base64_VARIANT_ORIGINAL);
    kind = unseal(core, key, err);
    if (kind == KT_OK && dev->root_token_id != NULL)
        kind = take_wished_token(core, dev->root_token_id, &root, err);
    if (kind == KT_OK) {
        store_token(dev, &root);
        announce(dev, port, key, &root);
    }
    sodium_memzero(share, sizeof share);
    sodium_memzero(key, sizeof key);
    return kind;
}

void dev_end(struct dev *dev)
{
    if (dev == NULL)
        return;
    if (dev->token_fd >= 0)
        (void)close(dev->token_fd);
    dev->token_fd = -1;
    scratch_free(&dev->scratch);
}
