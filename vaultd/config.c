#include "vaultd/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/credential.h"
#include "lib/log.h"
#include "lib/nearest.h"
#include "vaultd/setting.h"

/* ---- the settings ---------------------------------------------------------------------------- */

static const struct choice log_levels[] = {{"error", KT_LOG_ERROR},     {"warn", KT_LOG_WARNING},
                                           {"warning", KT_LOG_WARNING}, {"notice", KT_LOG_NOTICE},
                                           {"info", KT_LOG_INFO},       {"debug", KT_LOG_INFO},
                                           {"trace", KT_LOG_INFO},      {NULL, 0}};
static const struct choice sandboxes[] = {
    {"available", SANDBOX_AVAILABLE}, {"required", SANDBOX_REQUIRED}, {NULL, 0}};

#define KEY_AGE_MAX ((uint64_t)36525 * 86400 * 1000) /* a century */
#define AT(type, field) offsetof(struct type, field)

/* clang-format off */
static const struct setting top_settings[] = {
    {"cluster_name", SETTING_TEXT, AT(config, cluster_name), 0, 0, 0, "keyturn", NULL, "The vault's name; it stands in the audit log's origin."},
    {"log_level", SETTING_CHOICE, AT(config, log_level), 0, 0, KT_LOG_INFO, "info", log_levels, "error, warn, notice or info; read again on SIGHUP."},
    {"pid_file", SETTING_TEXT, AT(config, pid_file), 0, 0, 0, NULL, NULL, "Where to write the process id."},
    {"sandbox", SETTING_CHOICE, AT(config, sandbox), 0, 0, SANDBOX_AVAILABLE, "available", sandboxes, "available: use what the kernel offers and name what is missing; required: refuse without."},
    {"user", SETTING_TEXT, AT(config, user), 0, 0, 0, "keyturn", NULL, "Whom to become when started as root."},
};
static const struct setting lmdb_settings[] = {
    {"path", SETTING_TEXT, AT(config_storage, path), 0, 0, 0, NULL, NULL, "The data folder, of the vault's user alone."},
    {"max_size", SETTING_SIZE, AT(config_storage, max_bytes), 16 * MIB, 16 * TIB, 0, NULL, NULL, "Refuse ordinary writes beyond this size of the database; 0: the engine's own limit."},
};
static const struct setting inmem_settings[] = {
    {"path", SETTING_TEXT, AT(config_storage, path), 0, 0, 0, NULL, NULL, "A folder for the audit log; without it a temporary one."},
    {"delay", SETTING_DURATION, AT(config_storage, delay_ms), 0, 10000, 0, NULL, NULL, "Acknowledge each commit this much later, as a store over the network would."},
};
static const struct setting tcp_settings[] = {
    {"address", SETTING_TEXT, AT(config_listener, address), 0, 0, 0, "127.0.0.1:8200", NULL, "HOST:PORT to listen on."},
    {"tls_cert_file", SETTING_TEXT, AT(config_listener, cert_file), 0, 0, 0, NULL, NULL, "The certificate and its chain, PEM; read again on SIGHUP."},
    {"tls_key_file", SETTING_TEXT, AT(config_listener, key_file), 0, 0, 0, NULL, NULL, "Its private key, PEM, readable by its owner (and group) alone."},
    {"tls_disable", SETTING_BOOL, AT(config_listener, tls_disable), 0, 0, false, NULL, NULL, "Serve without TLS: for loopback, or behind a proxy on this machine."},
    {"tls_disable_client_certs", SETTING_BOOL, AT(config_listener, no_client_certs), 0, 0, false, NULL, NULL, "Do not ask TLS clients for a certificate: nobody can log in with one here. Asked for, it may still be missing."},
    {"tls_require_and_verify_client_cert", SETTING_BOOL, AT(config_listener, require_client_cert), 0, 0, false, NULL, NULL, "Refused when true: certificates are verified by the way to log in that they are for."},
    {"x_forwarded_for_authorized_addrs", SETTING_CIDRS, AT(config_listener, forwarded_trusted), 0, 0, 0, NULL, NULL, "Proxies whose X-Forwarded-For names the client: addresses or blocks; none: the header is not looked at."},
    {"x_forwarded_for_hop_skips", SETTING_NUMBER, AT(config_listener, forwarded_hop_skips), 0, 32, 0, NULL, NULL, "How many addresses at its end are proxies of ours."},
    {"x_forwarded_for_reject_not_present", SETTING_BOOL, AT(config_listener, forwarded_refuse_absent), 0, 0, true, NULL, NULL, "Refuse requests without the header."},
    {"x_forwarded_for_reject_not_authorized", SETTING_BOOL, AT(config_listener, forwarded_refuse_stranger), 0, 0, true, NULL, NULL, "Refuse requests with it that come from other addresses; false: the header is not looked at there."},
};
static const struct setting unix_settings[] = {
    {"path", SETTING_TEXT, AT(config_listener, address), 0, 0, 0, NULL, NULL, "Where the socket is made."},
    {"address", SETTING_TEXT, AT(config_listener, address), 0, 0, 0, NULL, NULL, "The same, in Vault's word."},
    {"mode", SETTING_MODE, AT(config_listener, mode), 0, 0777, 0660, NULL, NULL, "Who may connect, as a file mode."},
    {"socket_mode", SETTING_MODE, AT(config_listener, mode), 0, 0777, 0660, NULL, NULL, "The same, in Vault's word."},
};
static const struct setting device_settings[] = {
    {"path", SETTING_TEXT, AT(config_device, path), 0, 0, 0, NULL, NULL, "The file that gets a clear copy of each record; opened anew on SIGHUP."},
    {"timeout", SETTING_DURATION, AT(config_device, timeout_ms), 100, 60000, 2000, NULL, NULL, "How long a request waits for it; then it counts as failing until it caught up."},
};
static const struct setting seal_settings[] = {
    {"name", SETTING_TEXT, AT(config_seal, name), 0, 0, 0, NULL, NULL, "Of a credential of 32 bytes that systemd hands over (LoadCredentialEncrypted=) and that may open the vault."},
};
static const struct setting limit_settings[] = {
    {"max_connections", SETTING_NUMBER, AT(config_limits, max_connections), 16, 1000000, 32768, NULL, NULL, "Connections of one TCP listener."},
    {"max_unix_connections", SETTING_NUMBER, AT(config_limits, max_unix_connections), 16, 1000000, 4096, NULL, NULL, "Connections of one Unix socket."},
    {"max_connections_per_ip", SETTING_NUMBER, AT(config_limits, max_connections_per_ip), 0, 1000000, 256, NULL, NULL, "Connections of one address that never authenticated; 0: no limit."},
    {"header_size", SETTING_SIZE, AT(config_limits, header_bytes), 4 * KIB, 64 * KIB, 8 * KIB, NULL, NULL, "Memory of a connection: a request's header must fit."},
    {"max_request_size", SETTING_SIZE, AT(config_limits, max_request_size), 64 * KIB, 256 * MIB, 32 * MIB, NULL, NULL, "A request's body."},
    {"max_anonymous_bodies", SETTING_SIZE, AT(config_limits, anonymous_bodies), MIB, 64 * GIB, 256 * MIB, NULL, NULL, "Bodies in memory at once, of connections that never authenticated."},
    {"max_bodies", SETTING_SIZE, AT(config_limits, all_bodies), MIB, 64 * GIB, GIB, NULL, NULL, "Bodies in memory at once, all together."},
    {"token_refusals", SETTING_NUMBER, AT(config_limits, token_refusals), 0, 1000000, 100, NULL, NULL, "Refused requests of one token that get an audit record each, a second; more are counted; 0: no limit."},
    {"max_token_entries", SETTING_NUMBER, AT(config_limits, token_entries), 0, 1000000, 4096, NULL, NULL, "Entries of one token's cubbyhole and answers wrapped for it, together; 0: no limit."},
    {"max_token_storage", SETTING_SIZE, AT(config_limits, token_storage), 0, 64 * GIB, 64 * MIB, NULL, NULL, "Their bytes, together; 0: no limit."},
    {"max_token_leases", SETTING_NUMBER, AT(config_limits, token_leases), 0, 1000000, 1000, NULL, NULL, "Leases of secrets that one token has at one time; 0: no limit."},
    {"max_mount_leases", SETTING_NUMBER, AT(config_limits, mount_leases), 0, 100000000, 1000000, NULL, NULL, "Leases of secrets that one mount has at one time; 0: no limit."},
    {"threads", SETTING_NUMBER, AT(config_limits, threads), 0, 256, 0, NULL, NULL, "Threads of each listener; 0: as many as cores."},
    {"header_timeout", SETTING_DURATION, AT(config_limits, header_ms), 100, 600000, 10000, NULL, NULL, "For the TLS handshake and a request's header."},
    {"body_timeout", SETTING_DURATION, AT(config_limits, body_ms), 100, 3600000, 60000, NULL, NULL, "For a request's body."},
    {"idle_timeout", SETTING_DURATION, AT(config_limits, idle_ms), 100, 3600000, 60000, NULL, NULL, "For which an idle connection is kept."},
    {"reply_timeout", SETTING_DURATION, AT(config_limits, reply_ms), 1000, 3600000, 300000, NULL, NULL, "For a client to take its answer."},
    {"max_unseal_per_minute", SETTING_NUMBER, AT(config_limits, unseal_per_minute), 0, 60000, 10, NULL, NULL, "Key shares of one address, and resets while sealed, beyond two whole attempts; 0: no limit."},
};
static const struct setting rotation_settings[] = {
    {"tick", SETTING_DURATION, AT(config, rotation_tick_ms), 100, 3600000, 60000, NULL, NULL, "How often due rotations are looked for besides at their time."},
    {"max_runs", SETTING_NUMBER, AT(config, rotation_max_runs), 1, 16, 4, NULL, NULL, "Rotations that do something at a target at the same time, in all; each target has a max_runs of its own."},
    {"starts_per_minute", SETTING_NUMBER, AT(config, rotation_starts_per_minute), 1, 600, 10, NULL, NULL, "Rotations at targets that schedules may start in a minute, in all."},
    {"max_key_age", SETTING_DURATION, AT(config, max_key_age_ms), 0, KEY_AGE_MAX, 0, NULL, NULL, "How old the key shares, and each credential that opens the vault, may get before they count as overdue; 0: as old as they like."},
};
static const struct setting pam_settings[] = {
    {"socket", SETTING_TEXT, AT(config, pam_socket), 0, 0, 0, "/run/vaultd-pam.sock", NULL, "Where vaultd-pam listens; asked when somebody logs in by auth method \"pam\"."},
};
static const struct setting program_settings[] = {
    {"command", SETTING_WORDS, AT(kt_program, command), 0, 0, 0, NULL, NULL, "The file to start, by its absolute path, and the words behind it. Of root or vaultd's user, writable by nobody else, nor any folder on the way."},
    {"timeout", SETTING_DURATION, AT(kt_program, timeout_ms), 100, PROGRAM_TIMEOUT_MAX, 10000, NULL, NULL, "How long one call may take; then it is killed with all that it started."},
    {"read", SETTING_WORDS, AT(kt_program, read), 0, 0, 0, NULL, NULL, "Files and folders that it may read, besides the system's programs and libraries."},
    {"write", SETTING_WORDS, AT(kt_program, write), 0, 0, 0, NULL, NULL, "Files and folders that it may read and write."},
};
static const struct setting notify_settings[] = {
    {"url", SETTING_TEXT, AT(notify_channel, url), 0, 0, 0, NULL, NULL, "Where each message is sent, as JSON, by POST: https alone."},
    {"mail", SETTING_WORDS, AT(notify_channel, mail), 0, 0, 0, NULL, NULL, "Instead of url: addresses that get each message as mail, eight at most."},
    {"from", SETTING_TEXT, AT(notify_channel, from), 0, 0, 0, NULL, NULL, "Of mail: who it says it is from; without it the program decides."},
    {"program", SETTING_TEXT, AT(notify_channel, program), 0, 0, 0, NULL, NULL, "Of mail: the driver_program that gets each message on its standard input, as sendmail -t takes it. No target may use it then."},
    {"key", SETTING_TEXT, AT(notify_channel, key), 0, 0, 0, NULL, NULL, "Name of a credential of 32 bytes that signs each message (X-Keyturn-Signature)."},
    {"ca_file", SETTING_TEXT, AT(notify_channel, ca_file), 0, 0, 0, NULL, NULL, "Certificates, PEM, that the server is verified with, instead of the system's."},
    {"template", SETTING_TEXT, AT(notify_channel, form), 0, 0, 0, NULL, NULL, "JSON to send instead, in which {{verdict}}, {{hurt}}, {{next}}, {{event}}, {{secret}}, {{run}}, {{id}}, {{at}} and {{cluster}} stand for texts."},
};
/* clang-format on */

/* Vault's settings that mean nothing here: naming them "unknown" would send people searching. */
static const struct {
    const char *name, *why;
} idle_settings[] = {
    {"api_addr", "one node needs no address to send clients to"},
    {"cluster_addr", "one node has no cluster port"},
    {"default_lease_ttl", "set it on the mount or the token"},
    {"disable_cache", "there is no cache to disable"},
    {"disable_mlock", "only buffers that hold secrets are locked, never the process"},
    {"max_lease_ttl", "set it on the mount or the token"},
    {"raw_storage_endpoint", "the raw storage is not offered"},
    {"ui", "there is no web interface"},
};

/* A finding at a place of the file. */
static void complain(struct findings *findings, struct kt_hcl_pos pos, bool error, const char *hint,
                     const char *what)
{
    struct kt_err text = {0};
    (void)kt_hcl_fail(pos, &text, "%s", what);
    if (hint != NULL)
        kt_hint(&text, "%s", hint);
    findings_add(findings, error, &text);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

struct loading {
    struct config *config;
    struct findings *findings;
    const char *label; /* of the block that is read; NULL: none */
};

/* Where a block's settings go; NULL: it is not wanted, and a finding says why. */
typedef void *block_target_fn(struct loading *loading, struct kt_hcl_pos pos);

static void *storage_target(struct loading *loading, struct kt_hcl_pos pos,
                            enum store_engine engine)
{
    if (loading->config->has_storage) {
        complain(loading->findings, pos, true, "keep one storage block", "a second storage block");
        return NULL;
    }
    loading->config->has_storage = true;
    loading->config->storage.engine = engine;
    return &loading->config->storage;
}

static void *lmdb_target(struct loading *loading, struct kt_hcl_pos pos)
{
    return storage_target(loading, pos, STORE_LMDB);
}

static void *inmem_target(struct loading *loading, struct kt_hcl_pos pos)
{
    return storage_target(loading, pos, STORE_INMEM);
}

static void *listener_target(struct loading *loading, struct kt_hcl_pos pos, bool is_unix)
{
    struct config *config = loading->config;
    if (config->n_listeners == CONFIG_LISTENERS_MAX) {
        complain(loading->findings, pos, true, "remove some", "more than 16 listeners");
        return NULL;
    }
    struct config_listener *listener = &config->listeners[config->n_listeners++];
    *listener = (struct config_listener){.is_unix = is_unix, .pos = pos};
    return listener;
}

static void *tcp_target(struct loading *loading, struct kt_hcl_pos pos)
{
    return listener_target(loading, pos, false);
}

static void *unix_target(struct loading *loading, struct kt_hcl_pos pos)
{
    return listener_target(loading, pos, true);
}

static void *device_target(struct loading *loading, struct kt_hcl_pos pos)
{
    struct config *config = loading->config;
    if (config->n_devices == CONFIG_DEVICES_MAX) {
        complain(loading->findings, pos, true, "remove some", "more than 8 audit devices");
        return NULL;
    }
    return &config->devices[config->n_devices++];
}

static void *seal_target(struct loading *loading, struct kt_hcl_pos pos)
{
    struct config *config = loading->config;
    if (config->n_seals == CONFIG_SEALS_MAX) {
        complain(loading->findings, pos, true, "remove some", "more than 8 seals");
        return NULL;
    }
    struct config_seal *seal = &config->seals[config->n_seals++];
    *seal = (struct config_seal){.pos = pos};
    return seal;
}

static void *program_target(struct loading *loading, struct kt_hcl_pos pos)
{
    struct config *config = loading->config;
    if (config->programs.n == PROGRAMS_MAX) {
        complain(loading->findings, pos, true, "remove some", "more than 16 driver_programs");
        return NULL;
    }
    config->program_pos[config->programs.n] = pos;
    struct kt_program *program = &config->programs.at[config->programs.n++];
    program->name = loading->label;
    return program;
}

static void *notify_target(struct loading *loading, struct kt_hcl_pos pos)
{
    struct config *config = loading->config;
    if (config->notify.n == NOTIFY_CHANNELS_MAX) {
        complain(loading->findings, pos, true, "remove some", "more than 8 notify blocks");
        return NULL;
    }
    config->notify_pos[config->notify.n] = pos;
    struct notify_channel *channel = &config->notify.at[config->notify.n++];
    channel->name = loading->label;
    return channel;
}

static void *limits_target(struct loading *loading, struct kt_hcl_pos pos)
{
    (void)pos;
    return &loading->config->limits;
}

static void *config_target(struct loading *loading, struct kt_hcl_pos pos)
{
    (void)pos;
    return loading->config;
}

#define ANY_LABEL "NAME"
struct block_row {
    const char *type, *label; /* label NULL: none; ANY_LABEL: a name that the configuration gives */
    const struct setting *settings;
    size_t n;
    block_target_fn *target;
};
#define SETTINGS(of) (of), sizeof(of) / sizeof((of)[0])
static const struct block_row block_rows[] = {
    {"storage", "lmdb", SETTINGS(lmdb_settings), lmdb_target},
    {"storage", "inmem", SETTINGS(inmem_settings), inmem_target},
    {"listener", "tcp", SETTINGS(tcp_settings), tcp_target},
    {"listener", "unix", SETTINGS(unix_settings), unix_target},
    {"audit", "file", SETTINGS(device_settings), device_target},
    {"seal", "credential", SETTINGS(seal_settings), seal_target},
    {"limits", NULL, SETTINGS(limit_settings), limits_target},
    {"rotation", NULL, SETTINGS(rotation_settings), config_target},
    {"pam", NULL, SETTINGS(pam_settings), config_target},
    {"driver_program", ANY_LABEL, SETTINGS(program_settings), program_target},
    {"notify", ANY_LABEL, SETTINGS(notify_settings), notify_target},
};
#define BLOCK_ROWS (sizeof block_rows / sizeof block_rows[0])

/* What is near to nothing may be another Vault's, and is left out with a warning. A block that is near to one of ours, or a
 * name that one slip of the hand makes of one, was meant to be that: without it vaultd would serve without the audit
 * device, or with another limit than somebody believes. */
static void unknown_setting(const struct kt_hcl_item *item, const char *nearest, void *arg)
{
    struct findings *findings = arg;
    struct kt_err text = {0};
    for (size_t i = 0; i < sizeof idle_settings / sizeof idle_settings[0]; i++)
        if (strcmp(item->key, idle_settings[i].name) == 0) {
            (void)kt_hcl_fail(item->pos, &text, "'%s' has no effect here: %s", item->key,
                              idle_settings[i].why);
            findings_add(findings, false, &text);
            return;
        }
    (void)kt_hcl_fail(item->pos, &text, "unknown setting '%s'", item->key);
    if (nearest != NULL)
        kt_hint(&text, "did you mean '%s'?", nearest);
    else
        kt_hint(&text, "vaultd --settings lists them all");
    findings_add(findings, nearest != NULL && (item->block || kt_one_slip(item->key, nearest)), &text);
}

#define KNOWN_MAX 32u

static void read_settings(const struct kt_hcl_body *body, const struct block_row *row, char *target,
                          struct findings *findings)
{
    const char *known[KNOWN_MAX] = {0};
    size_t n = 0;
    for (size_t i = 0; i < row->n; i++) {
        const struct setting *setting = &row->settings[i];
        const struct kt_hcl_item *item = kt_hcl_find(body, setting->name);
        struct kt_err text = {0};
        known[n++] = setting->name;
        if (item != NULL && setting_read(setting, &item->value, target, &text) != KT_OK)
            findings_add(findings, true, &text);
    }
    for (size_t i = 0; row->type == NULL && i < BLOCK_ROWS; i++)
        known[n++] = block_rows[i].type;
    if (kt_hcl_check_known(body, known, unknown_setting, findings, NULL) != KT_OK)
        findings_addf(findings, true, NULL, "the settings could not be compared");
}
_Static_assert(sizeof limit_settings / sizeof limit_settings[0] < KNOWN_MAX &&
                   sizeof top_settings / sizeof top_settings[0] + BLOCK_ROWS < KNOWN_MAX,
               "room for the NULL that ends the list");

static void unknown_label(struct findings *findings, const char *type, const char *label,
                          struct kt_hcl_pos pos)
{
    struct kt_err text = {0};
    char hint[160] = "there is ";
    (void)kt_hcl_fail(pos, &text, "no %s is called '%s'", type, label);
    for (size_t i = 0; i < BLOCK_ROWS; i++)
        if (strcmp(block_rows[i].type, type) == 0) {
            size_t len = strlen(hint);
            (void)snprintf(hint + len, sizeof hint - len, "%s %s \"%s\"", len > 9 ? " and" : "",
                           type, block_rows[i].label);
        }
    kt_hint(&text, "%s", hint);
    findings_add(findings, true, &text);
}

static const struct block_row *find_row(const char *type, const char *label)
{
    for (size_t i = 0; i < BLOCK_ROWS; i++)
        if (strcmp(block_rows[i].type, type) == 0 &&
            (label == NULL || strcmp(block_rows[i].label, ANY_LABEL) == 0 ||
             strcmp(block_rows[i].label, label) == 0))
            return &block_rows[i];
    return NULL;
}

/* All blocks of one type. */
static void read_blocks(struct loading *loading, const char *type, size_t labels)
{
    struct kt_hcl_blocks it = kt_hcl_blocks(loading->config->tree, type, labels);
    struct kt_hcl_block block;
    struct kt_err text = {0};
    while (kt_hcl_next(&it, &block, &text)) {
        const char *label = labels == 1 ? block.labels[0] : NULL;
        const struct block_row *row = find_row(type, label);
        if (row == NULL) {
            unknown_label(loading->findings, type, label, block.pos);
            if (strcmp(type, "storage") == 0) { /* one finding about it is enough */
                loading->config->has_storage = true;
                loading->config->storage.engine = STORE_INMEM;
            }
            continue;
        }
        loading->label = label;
        char *target = row->target(loading, block.pos);
        if (target == NULL)
            continue;
        settings_default(row->settings, row->n, target);
        read_settings(block.body, row, target, loading->findings);
    }
    if (it.kind != KT_OK)
        findings_add(loading->findings, true, &text);
}

/* ---- rules between settings ------------------------------------------------------------------ */

static void need_text(struct findings *findings, struct kt_hcl_pos pos, const char *text,
                      const char *what, const char *hint)
{
    if (text == NULL)
        complain(findings, pos, true, hint, what);
}

static void judge_listener(const struct config_listener *listener, struct findings *findings)
{
    if (listener->is_unix) {
        need_text(findings, listener->pos, listener->address, "a Unix listener without a path",
                  "path = \"/run/vaultd/vaultd.sock\"");
        return;
    }
    if (listener->require_client_cert)
        complain(findings, listener->pos, true,
                 "leave it out: auth/cert verifies certificates of those who log in with one, and a "
                 "firewall or a TLS proxy keeps others away",
                 "tls_require_and_verify_client_cert is not built");
    if (listener->tls_disable)
        return;
    if (listener->cert_file == NULL || listener->key_file == NULL)
        complain(findings, listener->pos, true,
                 "set tls_cert_file and tls_key_file, or tls_disable = true for a loopback address",
                 "a TCP listener without a certificate");
}

static void judge_twins(const struct config *config, struct findings *findings)
{
    for (size_t i = 0; i < config->n_listeners; i++)
        for (size_t k = 0; k < i; k++) {
            const struct config_listener *a = &config->listeners[i], *b = &config->listeners[k];
            if (a->is_unix == b->is_unix && a->address != NULL && b->address != NULL &&
                strcmp(a->address, b->address) == 0)
                complain(findings, a->pos, true, "remove one of them",
                         "two listeners have the same address");
        }
}

static void judge_seals(const struct config *config, struct findings *findings)
{
    static const char example[] = "name = \"vaultd-seal\"";
    for (size_t i = 0; i < config->n_seals; i++) {
        const struct config_seal *seal = &config->seals[i];
        if (seal->name == NULL)
            complain(findings, seal->pos, true, example, "seal \"credential\" without a name");
        else if (!kt_credential_name_ok(seal->name))
            complain(findings, seal->pos, true, example,
                     "a credential's name is 1 to 64 letters, digits, '-', '_' and '.', which is not the first");
        for (size_t k = 0; k < i; k++)
            if (seal->name != NULL && config->seals[k].name != NULL &&
                strcmp(seal->name, config->seals[k].name) == 0)
                complain(findings, seal->pos, true, "remove one of them", "two seals have the same name");
    }
}

static void judge_programs(const struct config *config, struct findings *findings)
{
    for (size_t i = 0; i < config->programs.n; i++) {
        const struct kt_program *program = &config->programs.at[i];
        struct kt_hcl_pos pos = config->program_pos[i];
        struct kt_err err = {0};
        if (kt_program_judge(program, &err) != KT_OK)
            complain(findings, pos, true, err.hint, err.what);
        for (size_t k = 0; k < i; k++)
            if (strcmp(config->programs.at[k].name, program->name) == 0)
                complain(findings, pos, true, "remove one of them",
                         "two driver_programs have the same name");
    }
}

static void judge_channels(const struct config *config, struct findings *findings)
{
    for (size_t i = 0; i < config->notify.n; i++) {
        const struct notify_channel *channel = &config->notify.at[i];
        struct kt_err err = {0};
        if (channel_judge(channel, &err) != KT_OK)
            complain(findings, config->notify_pos[i], true, err.hint, err.what);
        if (channel->program != NULL && kt_program_find(&config->programs, channel->program) == NULL)
            complain(findings, config->notify_pos[i], true,
                     "driver_program \"mail\" { command = [\"/usr/bin/msmtp\", \"-t\"] }",
                     "a notify block names a driver_program that there is not");
        if (channel_find(&config->notify, channel->name) != channel)
            complain(findings, config->notify_pos[i], true, "remove one of them",
                     "two notify blocks have the same name");
    }
}

static void judge(const struct config *config, struct findings *findings)
{
    struct kt_hcl_pos top = config->tree->pos;
    if (!config->has_storage)
        complain(findings, top, true, "storage \"lmdb\" { path = \"/var/lib/vaultd\" }",
                 "no storage");
    else if (config->storage.engine == STORE_LMDB)
        need_text(findings, top, config->storage.path, "storage \"lmdb\" without a path",
                  "path = \"/var/lib/vaultd\"");
    const char *folder = config->storage.engine == STORE_LMDB ? config->storage.path : NULL;
    if (folder != NULL && folder[0] != '\0' && folder[0] != '/')
        findings_addf(findings, false, "give it an absolute path: path = \"/var/lib/vaultd\"",
                      "the data folder '%s' depends on where vaultd is started", folder);
    if (config->n_listeners == 0)
        complain(findings, top, true,
                 "listener \"tcp\" { address = \"127.0.0.1:8200\" tls_disable = true }",
                 "no listener");
    for (size_t i = 0; i < config->n_listeners; i++)
        judge_listener(&config->listeners[i], findings);
    for (size_t i = 0; i < config->n_devices; i++)
        need_text(findings, top, config->devices[i].path, "audit \"file\" without a path",
                  "path = \"/var/log/vaultd/audit.log\"");
    judge_twins(config, findings);
    judge_seals(config, findings);
    judge_programs(config, findings);
    judge_channels(config, findings);
}

/* ---- the whole ------------------------------------------------------------------------------- */

void config_init(struct config *config)
{
    *config = (struct config){0};
    settings_default(top_settings, sizeof top_settings / sizeof top_settings[0], (char *)config);
    settings_default(rotation_settings, sizeof rotation_settings / sizeof rotation_settings[0],
                     (char *)config);
    settings_default(pam_settings, sizeof pam_settings / sizeof pam_settings[0], (char *)config);
    settings_default(limit_settings, sizeof limit_settings / sizeof limit_settings[0],
                     (char *)&config->limits);
}

void config_free(struct config *config)
{
    channels_free(&config->notify);
    kt_hcl_free(config->tree);
    *config = (struct config){0};
}

enum kt_kind config_parse(struct kt_bytes text, const char *file, struct config *ret,
                          struct findings *findings, struct kt_err *err)
{
    static const struct block_row top = {NULL, NULL, SETTINGS(top_settings), config_target};
    struct config config;
    config_init(&config);
    enum kt_kind kind = kt_hcl_parse(text, file, &config.tree, err);
    if (kind != KT_OK)
        return kind;
    struct loading loading = {&config, findings, NULL};
    read_settings(config.tree, &top, (char *)&config, findings);
    read_blocks(&loading, "storage", 1);
    read_blocks(&loading, "listener", 1);
    read_blocks(&loading, "audit", 1);
    read_blocks(&loading, "seal", 1);
    read_blocks(&loading, "limits", 0);
    read_blocks(&loading, "rotation", 0);
    read_blocks(&loading, "pam", 0);
    read_blocks(&loading, "driver_program", 1);
    read_blocks(&loading, "notify", 1);
    judge(&config, findings);
    if (findings->errors > 0) {
        config_free(&config);
        return kt_fail(err, KT_INVALID, "%zu mistakes in '%s'", findings->errors, file);
    }
    *ret = config;
    return KT_OK;
}

enum kt_kind config_read(const char *file, struct config *ret, struct findings *findings,
                         struct kt_err *err)
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, KT_HCL_MAX_BYTES);
    kt_autoclose int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        enum kt_kind kind = kt_fail(err, KT_IO, "cannot open the configuration '%s'", file);
        kt_hint(err, "vaultd --config FILE; vaultd --dev needs none");
        return kind;
    }
    for (;;) {
        unsigned char *at = kt_buf_grow(&text, 4096);
        if (at == NULL)
            return kt_fail(err, KT_TOO_LARGE, "'%s' is too large to be a configuration", file);
        ssize_t n = read(fd, at, 4096);
        text.len -= 4096u - (n > 0 ? (size_t)n : 0);
        if (n == 0)
            return config_parse(kt_buf_bytes(&text), file, ret, findings, err);
        if (n < 0 && errno != EINTR)
            return kt_fail(err, KT_IO, "cannot read '%s'", file);
    }
}

void config_http_limits(const struct config *config, struct http_limits *ret)
{
    const struct config_limits *from = &config->limits;
    *ret = http_default_limits;
    ret->max_connections = (unsigned)from->max_connections;
    ret->max_unix_connections = (unsigned)from->max_unix_connections;
    ret->threads = (unsigned)from->threads;
    ret->header_bytes = (size_t)from->header_bytes;
    ret->max_request_bytes = from->max_request_size;
    ret->anonymous_body_bytes = from->anonymous_bodies;
    ret->body_bytes = from->all_bodies;
    ret->deadlines.per_address = (unsigned)from->max_connections_per_ip;
    ret->deadlines.header_ms = (int64_t)from->header_ms;
    ret->deadlines.body_ms = (int64_t)from->body_ms;
    ret->deadlines.idle_ms = (int64_t)from->idle_ms;
    ret->deadlines.reply_ms = (int64_t)from->reply_ms;
}

/* ---- the manual ------------------------------------------------------------------------------ */

void config_describe(struct kt_buf *out)
{
    settings_describe("at the top", SETTINGS(top_settings), out);
    for (size_t i = 0; i < BLOCK_ROWS; i++) {
        const struct block_row *row = &block_rows[i];
        char head[64];
        (void)snprintf(head, sizeof head, row->label != NULL ? "%s \"%s\" { }" : "%s { }",
                       row->type, row->label);
        settings_describe(head, row->settings, row->n, out);
    }
}
