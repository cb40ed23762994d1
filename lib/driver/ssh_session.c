/* lib/driver/ssh_session.c - see lib/driver/ssh_session.h. */
#include "lib/driver/ssh_session.h"

#include <sodium.h>
#include <stdio.h>

#include "lib/driver/place.h"
#include "lib/driver/sftp_reply.h"

/* Modern ones only: what a server of the last ten years has. */
#define KEX       "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384"
#define HOST_KEYS "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,rsa-sha2-512,rsa-sha2-256"
#define CIPHERS   "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes128-ctr"
#define MACS      "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512"
#define NOWHERE   "/nonexistent"

/* clang-format off */
static const struct failure {
    const char *code;
    enum driver_class class;
    const char *sentence;
} failures[] = {
    {"connect",  DRIVER_UNREACH,      "no connection"},
    {"timeout",  DRIVER_UNREACH,      "no answer in time"},
    {"closed",   DRIVER_UNREACH,      "the connection broke"},
    {"protocol", DRIVER_UNREACH,      "the server does not speak as an SSH server does"},
    {"memory",   DRIVER_UNREACH,      "the worker ran out of memory"},
    {"hostkey",  DRIVER_WRONG_SERVER, "the server's key is not the one that the target names"},
    {"refused",  DRIVER_REFUSED,      "the server did not take the key"},
    {"more",     DRIVER_PERMANENT,    "the server wants more than the key (AuthenticationMethods)"},
    {"key",      DRIVER_PERMANENT,    "the private key cannot be used"},
    {"sftp",     DRIVER_PERMANENT,    "the login has no SFTP"},
    {"exists",   DRIVER_UNREACH,      "somebody else changes the file"},
    {"denied",   DRIVER_PERMANENT,    "the administrative login may not do that"},
    {"nofile",   DRIVER_PERMANENT,    "there is no such file"},
    {DRIVER_UNFIT, DRIVER_PERMANENT,  "it is not changed as it is"},
    {"full",     DRIVER_UNREACH,      "the file could not be written"},
};
/* clang-format on */

bool kt_ssh_set_failure(struct kt_ssh *s, const char *code, const char *detail)
{
    (void)!snprintf(s->code, sizeof(s->code), "%.8s", code);
    (void)!snprintf(s->detail, sizeof(s->detail), "%.*s", (int)sizeof(s->detail) - 1, detail);
    return false;
}

static bool fail_with_error(struct kt_ssh *s, const char *code)
{
    return kt_ssh_set_failure(s, code, ssh_get_error(s->session));
}

/* libssh tells most failures by their sentence alone. */
static bool connection_failed(struct kt_ssh *s)
{
    static const struct {
        const char *part, *code;
    } parts[] = {{"imeout", "timeout"}, {"ocket", "closed"}, {"isconnect", "closed"}, {"EOF", "closed"}};
    const char *said = ssh_get_error(s->session);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (strstr(said, parts[i].part) != NULL)
            return kt_ssh_set_failure(s, parts[i].code, said);
    return kt_ssh_set_failure(s, "protocol", said);
}

/* ---- before the sandbox -------------------------------------------------------------------- */

bool kt_ssh_prepare(struct driver_run *run, struct driver_result *ret)
{
    ssh_key key = NULL;
    struct kt_stream_place *place = kt_arena_take(run->arena, sizeof(*place));
    if (place == NULL)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "memory", "the worker ran out of memory");
    run->own = place;
    /* The first key that OpenSSL makes has it read its settings. */
    if (ssh_init() != SSH_OK || ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) != SSH_OK)
        return kt_driver_say(run, ret, DRIVER_UNREACH, "memory", "libssh could not be started");
    ssh_key_free(key);
    return kt_stream_find_bare(run, place, ret);
}

/* ---- connecting ---------------------------------------------------------------------------- */

static bool set(struct kt_ssh *s, enum ssh_options_e option, const void *value)
{
    return ssh_options_set(s->session, option, value) == SSH_OK;
}

/* Everything that libssh would otherwise look up in files, in the environment or at an agent. */
static bool set_options(struct kt_ssh *s, const char *username)
{
    const bool off = false;
    const int no = 0;
    const long timeout = (long)((kt_place_connect_ms(s->run) + 999) / 1000);
    const socket_t fd = s->stream.fd;
    return set(s, SSH_OPTIONS_HOST, s->run->step->target.host) &&
           set(s, SSH_OPTIONS_PROCESS_CONFIG, &off) && set(s, SSH_OPTIONS_SSH_DIR, NOWHERE) &&
           set(s, SSH_OPTIONS_KNOWNHOSTS, NOWHERE) && set(s, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, NOWHERE) &&
           set(s, SSH_OPTIONS_USER, username) && set(s, SSH_OPTIONS_TIMEOUT, &timeout) &&
           set(s, SSH_OPTIONS_PASSWORD_AUTH, &no) && set(s, SSH_OPTIONS_KBDINT_AUTH, &no) &&
           set(s, SSH_OPTIONS_GSSAPI_AUTH, &no) && set(s, SSH_OPTIONS_KEY_EXCHANGE, KEX) &&
           set(s, SSH_OPTIONS_HOSTKEYS, HOST_KEYS) && set(s, SSH_OPTIONS_CIPHERS_C_S, CIPHERS) &&
           set(s, SSH_OPTIONS_CIPHERS_S_C, CIPHERS) && set(s, SSH_OPTIONS_HMAC_C_S, MACS) &&
           set(s, SSH_OPTIONS_HMAC_S_C, MACS) && set(s, SSH_OPTIONS_COMPRESSION, "no") &&
           set(s, SSH_OPTIONS_FD, &fd);
}

static bool read_host_key(struct kt_ssh *s)
{
    ssh_key key = NULL;
    unsigned char *hash = NULL;
    size_t len = 0;
    char *text = NULL;
    if (ssh_get_server_publickey(s->session, &key) == SSH_OK &&
        ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &len) == SSH_OK)
        text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, len);
    if (text != NULL)
        (void)!snprintf(s->host_key, sizeof(s->host_key), "%s", text);
    ssh_string_free_char(text);
    ssh_clean_pubkey_hash(&hash);
    ssh_key_free(key);
    return s->host_key[0] != '\0' || kt_ssh_set_failure(s, "memory", "");
}

/* Several, with commas between them, while a server changes its own. */
static bool is_named(const char *names, const char *host_key)
{
    size_t len = strlen(host_key);
    for (const char *at = names; at != NULL && *at != '\0';) {
        size_t one = strcspn(at, ",");
        if (one == len && memcmp(at, host_key, len) == 0)
            return true;
        at += one + (at[one] == ',' ? 1 : 0);
    }
    return false;
}

static bool check_host_key(struct kt_ssh *s)
{
    const char *names = s->run->step->target.server_id;
    if (is_named(names, s->host_key))
        return true;
    char detail[160];
    bool none = names == NULL || names[0] == '\0';
    (void)!snprintf(detail, sizeof(detail), none ? "it shows %s, and the target names none yet"
                                                 : "it shows %s",
                    s->host_key);
    return kt_ssh_set_failure(s, "hostkey", detail);
}

static bool connect_session(struct kt_ssh *s, const char *username)
{
    int64_t deadline = kt_place_deadline(s->run, kt_place_connect_ms(s->run));
    if (!kt_stream_open(s->run->own, deadline, &s->stream))
        return kt_ssh_set_failure(s, s->stream.code, s->stream.detail);
    s->session = ssh_new();
    if (s->session == NULL || !set_options(s, username))
        return kt_ssh_set_failure(s, "memory", "");
    s->stream.is_open = false; /* libssh closes it now */
    if (ssh_connect(s->session) != SSH_OK)
        return connection_failed(s);
    const char *banner = ssh_get_serverbanner(s->session);
    (void)!snprintf(s->version, sizeof(s->version), "%.63s", banner == NULL ? "" : banner);
    return read_host_key(s) && check_host_key(s);
}

/* ---- logging in ---------------------------------------------------------------------------- */

static bool log_in(struct kt_ssh *s, struct kt_bytes private_key)
{
    ssh_key key = NULL;
    char *text = kt_arena_text(s->run->arena, private_key);
    const long timeout = (long)((kt_place_statement_ms(s->run) + 999) / 1000);
    if (text == NULL)
        return kt_ssh_set_failure(s, "memory", "");
    if (!set(s, SSH_OPTIONS_TIMEOUT, &timeout)) {
        sodium_memzero(text, private_key.len);
        return kt_ssh_set_failure(s, "memory", "");
    }
    int rc = ssh_pki_import_privkey_base64(text, NULL, NULL, NULL, &key);
    sodium_memzero(text, private_key.len);
    if (rc != SSH_OK)
        return kt_ssh_set_failure(s, "key", "");
    int answer = ssh_userauth_publickey(s->session, NULL, key);
    ssh_key_free(key);
    switch (answer) {
    case SSH_AUTH_SUCCESS:
        return true;
    case SSH_AUTH_DENIED:
        return kt_ssh_set_failure(s, "refused", "");
    case SSH_AUTH_PARTIAL:
        return kt_ssh_set_failure(s, "more", "");
    default:
        return ssh_is_connected(s->session) ? connection_failed(s) : fail_with_error(s, "closed");
    }
}

bool kt_ssh_open(const struct driver_run *run, const struct driver_login *login, struct kt_ssh *s)
{
    *s = (struct kt_ssh){.run = run};
    kt_buf_init(&s->in, SFTP_PACKET_MAX);
    kt_buf_init(&s->out, SFTP_PACKET_MAX);
    return connect_session(s, login->username) && log_in(s, login->password);
}

void kt_ssh_close(struct kt_ssh *s)
{
    if (s->channel != NULL)
        ssh_channel_free(s->channel);
    if (s->session != NULL) {
        ssh_disconnect(s->session);
        ssh_free(s->session);
    }
    s->channel = NULL;
    s->session = NULL;
    kt_buf_free(&s->in);
    kt_buf_free(&s->out);
    kt_stream_close(&s->stream);
}

/* ---- what failures mean -------------------------------------------------------------------- */

bool kt_ssh_fail(const struct kt_ssh *s, struct driver_result *ret, const char *doing)
{
    const struct failure *row = &failures[0];
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
        if (strcmp(failures[i].code, s->code) == 0)
            row = &failures[i];
    if (s->detail[0] == '\0')
        return kt_driver_say(s->run, ret, row->class, s->code, "%s: %s", doing, row->sentence);
    return kt_driver_say(s->run, ret, row->class, s->code, "%s: %s (%s)", doing, row->sentence,
                         s->detail);
}

void kt_ssh_answer(const struct kt_ssh *s, struct driver_reply *ret)
{
    *ret = (struct driver_reply){.answer = ANSWER_ACCEPTED};
    if (s->code[0] == '\0')
        return;
    memcpy(ret->code, s->code, sizeof(ret->code));
    ret->answer = strcmp(s->code, "refused") == 0 ? ANSWER_REFUSED : ANSWER_UNKNOWN;
    ret->barred = strcmp(s->code, "more") == 0;
}
