/* tests/support/vault.h - a whole vault in the test's own process, asked without a socket.
 *
 * A store in memory, a core, an audit log in a temporary folder; initialised and unsealed. Requests go
 * through the same pipeline as over HTTP.
 * Owner:   test_vault_new() .. test_vault_free() (which removes the folder). A reply belongs to the
 *          vault until the next call.
 * Threads: one thread at a time. */
#pragma once

#include "vaultd/core/core.h"
#include "vaultd/core/pipeline.h"

struct test_vault {
    struct core *core;
    struct store *store;
    char folder[64];
    char root[256];                 /* the root token */
    unsigned char shares[5][SHAMIR_SHARE_BYTES];
    unsigned status;                /* of the last call */
    char id[37];                    /* and its request id */
    unsigned retry_after_s;         /* what its header lines would say */
    struct request_limit limit;
    unsigned suspended;             /* how often the last call was: for a commit, for the aside thread */
    char *body;                     /* of the last call, NUL-terminated */
    _Atomic int64_t now_ms;         /* the clock; starts in 2027; the vault's threads read it, too */
    _Atomic int64_t wall_ahead_ms;  /* the wall clock alone, set by somebody */
    struct kt_clock clock;
    char pam_socket[80];            /* where nobody listens, if the test says nothing else */
    bool keeps_folder;              /* it was there before */
    struct inmem_image *image;      /* of its store; NULL: it is on the disk */
};

/* Aborts with a message when it cannot be made: a test has no use for less. dev: KV at secret/. */
struct test_vault *test_vault_new(bool dev);
/* With something else than vaultd-spawn that carries out the steps of rotations. */
struct rotation_executor;
struct test_vault *test_vault_with(bool dev, const struct rotation_executor *executor);
/* With people that are told as well. */
struct notify_channels;
struct test_vault *test_vault_telling(const struct rotation_executor *executor,
                                      const struct notify_channels *channels, const char *credentials);
/* With a vaultd-pam of the test's own that listens there (tests/support/fake_pam.h). */
struct test_vault *test_vault_pam(bool dev, const char *pam_socket);
/* On the system's own clock, for on another one it looks around all the time: its rotation thread sleeps
 * for a day where nothing happens. */
#define TEST_VAULT_REST_MS (24 * 3600 * 1000)
struct test_vault *test_vault_at_rest(void);
/* Seals, and unseals with the same shares: rotation starts anew from what is in the store. */
void test_vault_reseal(struct test_vault *vault);
/* Another vaultd on the same store: only what test_vault_new(true) makes. */
void test_vault_restart(struct test_vault *vault);
void test_vault_free(struct test_vault *vault);
/* A vault over LMDB in a folder that is there and stays, with the real time: sealed, or not yet
 * initialised. Errors are returned. */
enum kt_kind test_vault_on_disk(const char *folder, struct test_vault **ret, struct kt_err *err);
/* With shares in hexadecimal, as many as the threshold wants. */
enum kt_kind test_vault_unseal(struct test_vault *vault, const char *const *shares, size_t n,
                               bool accept_rollback, struct kt_err *err);
/* path without "/v1/", perhaps with "?query"; token NULL: none; body NULL: none. Returns the status. */
unsigned test_vault_call(struct test_vault *vault, const char *method, const char *path,
                         const char *token, const char *body);
/* A request of any bytes; what is not set is absent. */
struct test_request {
    struct kt_bytes method, target, query, token, body;
    struct kt_bytes content_type; /* at NULL: absent */
    struct kt_bytes wrap_ttl;     /* X-Vault-Wrap-TTL; at NULL: absent */
    bool local;   /* over the Unix socket, by uid */
    uint32_t uid;
    const struct peer_groups *groups; /* its groups; NULL: not known */
    const char *address; /* over TCP; NULL: "" */
    const struct kt_bytes *chain; /* what a TLS client showed, and that it came over TLS; NULL: neither */
    size_t n_chain;
    bool forwarded;
    bool hurry; /* a request that waits for news is not waited for: the vault's clock goes on */
    void (*begin)(void *arg), (*answered)(void *arg); /* around the pipeline; may be NULL */
    void *arg;
};
unsigned test_vault_ask(struct test_vault *vault, const struct test_request *request);
/* Any thread, several at a time: the answer goes into out and leaves the vault's last one alone. */
unsigned test_vault_ask_apart(struct test_vault *vault, const struct test_request *request,
                              char *out, size_t size);
/* test_vault_call() with a media type. */
unsigned test_vault_call_as(struct test_vault *vault, const char *method, const char *path,
                            const char *token, const char *body, const char *content_type);
/* True if the last body contains the text. */
bool test_vault_said(const struct test_vault *vault, const char *text);
/* How often the exported audit log says a text. The vault's own threads write records, too: name what
 * only the test's requests say, and compare with what was there before. */
unsigned test_vault_logged(struct test_vault *vault, const char *text);
/* The string at a dotted path of the last body ("auth.client_token") into out; aborts if absent. */
void test_vault_text(const struct test_vault *vault, const char *dotted, char *out, size_t size);
/* Makes a policy and a token with it; the token's text into out. */
void test_vault_token(struct test_vault *vault, const char *policy_name, const char *policy,
                      char *out, size_t size);
/* ---- looking at the store ---- */
/* How many rows a table has. */
unsigned test_vault_rows(struct test_vault *vault, enum table table);
/* Housekeeping until nothing is due; how many steps it took. */
unsigned test_vault_tidy(struct test_vault *vault);
