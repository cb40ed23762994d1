/* vaultd/config.h - vaultd's configuration file: HCL or its JSON form, in Vault's words.
 *
 * What:    config_parse() reads the text into a struct config; what is wrong, odd or unknown
 *          becomes a finding, so that one look names everything. config_check() adds what only the
 *          machine can say: files, folders, ports. The settings are one table (config_describe()
 *          prints it).
 * Owner:   struct config owns its texts; config_free() ends it. Findings are plain values.
 * Errors:  a syntax error is KT_INVALID with its place; everything else is a finding, and
 *          KT_INVALID comes back when one of them is an error. Values are quoted in findings only
 *          where they name a file or an address.
 * Threads: one thread at a time.
 * Source:  Vault's server configuration (storage, listener, audit, cluster_name, log_level). */
#pragma once

#include "lib/driver/program.h"
#include "lib/hcl/hcl.h"
#include "vaultd/audit/audit.h"
#include "vaultd/findings.h"
#include "vaultd/http/listener.h"
#include "vaultd/notify/channel.h"
#include "vaultd/store/store.h"

#define CONFIG_LISTENERS_MAX 16u
#define CONFIG_DEVICES_MAX   8u
#define CONFIG_SEALS_MAX     8u

enum config_sandbox { SANDBOX_AVAILABLE, SANDBOX_REQUIRED };

struct config_storage {
    enum store_engine engine;
    const char *path; /* inmem: may be NULL, then vaultd makes a folder for the audit log */
    uint64_t max_bytes, delay_ms;
};
struct config_listener {
    bool is_unix;
    struct kt_hcl_pos pos;
    const char *address; /* or the path */
    const char *cert_file, *key_file;
    bool tls_disable;
    bool no_client_certs, require_client_cert;
    struct kt_cidrs forwarded_trusted;
    uint64_t forwarded_hop_skips;
    bool forwarded_refuse_absent, forwarded_refuse_stranger;
    uint64_t mode;
};
struct config_device {
    const char *path;
    uint64_t timeout_ms;
};
struct config_seal {
    const char *name; /* of a credential */
    struct kt_hcl_pos pos;
};
struct config_limits {
    uint64_t max_connections, max_unix_connections, max_connections_per_ip;
    uint64_t header_bytes, max_request_size, anonymous_bodies, all_bodies, threads;
    uint64_t token_refusals;
    uint64_t header_ms, body_ms, idle_ms, reply_ms;
    uint64_t unseal_per_minute;
    uint64_t token_entries, token_storage;
    uint64_t token_leases, mount_leases;
};
struct config {
    struct kt_hcl_body *tree;
    const char *cluster_name, *user, *pid_file;
    uint64_t log_level; /* enum kt_log_level */
    uint64_t sandbox;   /* enum config_sandbox */
    bool has_storage;
    struct config_storage storage;
    struct config_listener listeners[CONFIG_LISTENERS_MAX];
    size_t n_listeners;
    struct config_device devices[CONFIG_DEVICES_MAX];
    size_t n_devices;
    struct config_seal seals[CONFIG_SEALS_MAX];
    size_t n_seals;
    struct config_limits limits;
    uint64_t rotation_tick_ms, rotation_max_runs, rotation_starts_per_minute, max_key_age_ms;
    const char *pam_socket;
    struct kt_programs programs; /* what the driver "exec" may start */
    struct kt_hcl_pos program_pos[PROGRAMS_MAX];
    struct notify_channels notify; /* who is told what happens */
    struct kt_hcl_pos notify_pos[NOTIFY_CHANNELS_MAX];
};

/* All defaults, no storage and no listener. */
void config_init(struct config *config);
void config_free(struct config *config);
/* file: the name for messages. */
enum kt_kind config_parse(struct kt_bytes text, const char *file, struct config *ret,
                          struct findings *findings, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind config_read(const char *file, struct config *ret, struct findings *findings,
                         struct kt_err *err) KT_MUST_CHECK;
/* Looks at the machine: certificates, folders, addresses in use. Changes nothing. given: the data folder is one that the
 * start makes or hands over while it is root (privileges.h), which the user of now cannot see. */
void config_check(const struct config *config, bool given, int64_t now_ms, struct findings *findings);
/* Of what checks files, only: may each driver_program be started, and by nobody else be replaced? */
void config_check_programs(const struct config *config, struct findings *findings);
/* What the listeners' limits come to. */
void config_http_limits(const struct config *config, struct http_limits *ret);
/* The listeners as sys/config/state shows them: an allow-list of what holds no secret, as JSON. */
void config_listeners(const struct config *config, struct kt_buf *out);
/* Every setting with its default and meaning, as text. */
void config_describe(struct kt_buf *out);
