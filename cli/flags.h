/* cli/flags.h - the flags of all commands: one table, one meaning for each name.
 *
 * What:    One dash or two, before or after the words, "-field=x" and "-field x"; "--" ends them. A
 *          lone "-" is a word. Which flags a command takes stands in its row (cli/commands.h).
 * Owner:   everything points into argv.
 * Errors:  KT_INVALID with the nearest known flag, or why there is none.
 * Threads: one thread. */
#pragma once

#include "lib/err.h"

enum flag_kind {
    FLAG_SWITCH, /* -force, -force=false */
    FLAG_TEXT,
    FLAG_NUMBER,   /* whole, not negative */
    FLAG_DURATION, /* lib/duration.h */
    FLAG_LIST,     /* may be given again */
};

/* id, name, other name or NULL, kind, what the value is called, what it does */
#define CLI_FLAGS(X)                                                                               \
    X(FLAG_ADDRESS, "address", NULL, FLAG_TEXT, "ADDR", "the vault's address (VAULT_ADDR)")        \
    X(FLAG_CA_CERT, "ca-cert", NULL, FLAG_TEXT, "FILE", "trust this CA, PEM (VAULT_CACERT)")       \
    X(FLAG_CLIENT_CERT, "client-cert", NULL, FLAG_TEXT, "FILE",                                    \
      "show this certificate, PEM (VAULT_CLIENT_CERT)")                                            \
    X(FLAG_CLIENT_KEY, "client-key", NULL, FLAG_TEXT, "FILE",                                      \
      "the certificate's private key, PEM (VAULT_CLIENT_KEY); else in the same file")              \
    X(FLAG_TLS_SERVER_NAME, "tls-server-name", NULL, FLAG_TEXT, "NAME",                            \
      "the name in the vault's certificate (VAULT_TLS_SERVER_NAME)")                               \
    X(FLAG_NAMESPACE, "namespace", "ns", FLAG_TEXT, "NAME", "namespace (VAULT_NAMESPACE)")         \
    X(FLAG_FORMAT, "format", "o", FLAG_TEXT, "FORMAT", "table or json (VAULT_FORMAT)")             \
    X(FLAG_FIELD, "field", NULL, FLAG_TEXT, "NAME", "print only this field, as it is")             \
    X(FLAG_CURL, "output-curl-string", NULL, FLAG_SWITCH, NULL,                                    \
      "print the request as a curl command instead of sending it")                                 \
    X(FLAG_HELP, "help", "h", FLAG_SWITCH, NULL, "this text")                                      \
    X(FLAG_MOUNT, "mount", NULL, FLAG_TEXT, "MOUNT", "the KV mount; the path is inside it")        \
    X(FLAG_CAS, "cas", NULL, FLAG_NUMBER, "VERSION",                                               \
      "write only if this is the current version (0: there is none yet)")                          \
    X(FLAG_VERSION, "version", NULL, FLAG_NUMBER, "N", "this version instead of the current one")  \
    X(FLAG_VERSIONS, "versions", NULL, FLAG_TEXT, "N,N", "these versions")                         \
    X(FLAG_REPLACE, "replace", NULL, FLAG_SWITCH, NULL, "drop the keys that are not given again")  \
    X(FLAG_REMOVE, "remove-data", NULL, FLAG_LIST, "KEY", "take this key out")                     \
    X(FLAG_MAX_VERSIONS, "max-versions", NULL, FLAG_NUMBER, "N", "versions that are kept")         \
    X(FLAG_CAS_REQUIRED, "cas-required", NULL, FLAG_SWITCH, NULL, "every write must say -cas")     \
    X(FLAG_DELETE_AFTER, "delete-version-after", NULL, FLAG_TEXT, "DURATION",                      \
      "delete versions when they are so old; none that a target may accept")                                                      \
    X(FLAG_CUSTOM, "custom-metadata", NULL, FLAG_LIST, "KEY=VALUE", "a note beside the secret")    \
    X(FLAG_SHARES, "key-shares", "n", FLAG_NUMBER, "N", "key shares to make")                      \
    X(FLAG_THRESHOLD, "key-threshold", "t", FLAG_NUMBER, "N", "shares that unseal")                \
    X(FLAG_RESET, "reset", NULL, FLAG_SWITCH, NULL, "forget the shares given so far")              \
    X(FLAG_ACCEPT_ROLLBACK, "accept-rollback", NULL, FLAG_SWITCH, NULL,                            \
      "go on with old data that was put back; begins a new history")                               \
    X(FLAG_BY_CREDENTIAL, "by-credential", NULL, FLAG_SWITCH, NULL,                                \
      "try the seals that open by themselves, as a start does; for root on the vault's machine")   \
    X(FLAG_STATUS, "status", NULL, FLAG_SWITCH, NULL, "only say whether it is done already")       \
    X(FLAG_INIT, "init", NULL, FLAG_SWITCH, NULL, "begin")                                         \
    X(FLAG_CANCEL, "cancel", NULL, FLAG_SWITCH, NULL, "give it up, and forget what was given")     \
    X(FLAG_NONCE, "nonce", NULL, FLAG_TEXT, "NONCE", "what the keys are given for, as -init said") \
    X(FLAG_VERIFY, "verify", NULL, FLAG_SWITCH, NULL, "the new keys, after they were handed out")  \
    X(FLAG_DECODE, "decode", NULL, FLAG_SWITCH, NULL, "turn the encoded token into the token")     \
    X(FLAG_OTP, "otp", NULL, FLAG_TEXT, "FILE", "the one-time pad's file")                         \
    X(FLAG_STOP, "stop", NULL, FLAG_SWITCH, NULL, "give up the one that is under way")             \
    X(FLAG_METHOD, "method", NULL, FLAG_TEXT, "METHOD", "token, userpass, pam, approle, cert, jwt or unix")   \
    X(FLAG_DEFAULT_LEASE, "default-lease-ttl", NULL, FLAG_TEXT, "DURATION",                        \
      "how long tokens live that say nothing else; \"system\": as everywhere")                     \
    X(FLAG_MAX_LEASE, "max-lease-ttl", NULL, FLAG_TEXT, "DURATION",                                \
      "no token lives longer; \"system\": as everywhere")                                          \
    X(FLAG_NO_STORE, "no-store", NULL, FLAG_SWITCH, NULL, "do not write ~/.vault-token; show the token") \
    X(FLAG_NO_PRINT, "no-print", NULL, FLAG_SWITCH, NULL, "do not show who the token is for")      \
    X(FLAG_POLICY, "policy", NULL, FLAG_LIST, "NAME", "a policy of the token")                     \
    X(FLAG_WRAP_TTL, "wrap-ttl", NULL, FLAG_DURATION, "DURATION",                                  \
      "wrap the answer: print a token that unwraps it once, for so long")                          \
    X(FLAG_TTL, "ttl", NULL, FLAG_TEXT, "DURATION", "how long it lives")                           \
    X(FLAG_PERIOD, "period", NULL, FLAG_TEXT, "DURATION", "renewable for ever, so long each time") \
    X(FLAG_MAX_TTL, "explicit-max-ttl", NULL, FLAG_TEXT, "DURATION", "dies then, renewed or not")  \
    X(FLAG_USE_LIMIT, "use-limit", NULL, FLAG_NUMBER, "N", "dies after so many requests")          \
    X(FLAG_DISPLAY_NAME, "display-name", NULL, FLAG_TEXT, "NAME", "its name in the audit log")     \
    X(FLAG_METADATA, "metadata", NULL, FLAG_LIST, "KEY=VALUE", "a note in the audit log")          \
    X(FLAG_ORPHAN, "orphan", NULL, FLAG_SWITCH, NULL, "it outlives the token that makes it")       \
    X(FLAG_NO_DEFAULT, "no-default-policy", NULL, FLAG_SWITCH, NULL, "without the policy default") \
    X(FLAG_RENEWABLE, "renewable", NULL, FLAG_SWITCH, NULL, "=false: it cannot be renewed")        \
    X(FLAG_ACCESSOR, "accessor", NULL, FLAG_SWITCH, NULL, "the word is an accessor, no token")     \
    X(FLAG_SELF, "self", NULL, FLAG_SWITCH, NULL, "the token in use")                              \
    X(FLAG_INCREMENT, "increment", "i", FLAG_TEXT, "DURATION", "for so much longer")               \
    X(FLAG_DESCRIPTION, "description", NULL, FLAG_TEXT, "TEXT", "a sentence about it")             \
    X(FLAG_PATH, "path", NULL, FLAG_TEXT, "PATH", "where to mount it")                             \
    X(FLAG_VISIBILITY, "listing-visibility", NULL, FLAG_TEXT, "WHO",                               \
      "unauth: listed without a token too; hidden")                                                \
    X(FLAG_DETAILED, "detailed", NULL, FLAG_SWITCH, NULL, "more columns")                          \
    X(FLAG_WRITE, "w", NULL, FLAG_SWITCH, NULL, "write it back to the file")                       \
    X(FLAG_COUNT, "count", NULL, FLAG_NUMBER, "N", "how many")                                     \
    X(FLAG_FROM, "from", NULL, FLAG_TEXT, "FROM", "where it begins, or comes from")                \
    X(FLAG_TO, "to", NULL, FLAG_TEXT, "TO", "where it ends, or goes to")                           \
    X(FLAG_PEER_TOKEN, "peer-token-file", NULL, FLAG_TEXT, "FILE",                                 \
      "the other vault's token; else it is asked for")                                             \
    X(FLAG_PEER_CA, "peer-ca-cert", NULL, FLAG_TEXT, "FILE", "trust this CA for the other vault")  \
    X(FLAG_PEER_NAME, "peer-tls-server-name", NULL, FLAG_TEXT, "NAME",                             \
      "the name in the other vault's certificate")                                                 \
    X(FLAG_PEER_NAMESPACE, "peer-namespace", NULL, FLAG_TEXT, "NAME",                              \
      "the other vault's namespace")                                                               \
    X(FLAG_DRY_RUN, "dry-run", NULL, FLAG_SWITCH, NULL, "only say what would come; write nothing") \
    X(FLAG_ALL, "all", NULL, FLAG_SWITCH, NULL, "all of them")                                     \
    X(FLAG_FOLLOW, "follow", "f", FLAG_SWITCH, NULL, "go on as they come")                         \
    X(FLAG_KEY, "key", NULL, FLAG_TEXT, "KEY", "the public key, kept from elsewhere")              \
    X(FLAG_CHECKPOINT, "checkpoint", "kept", FLAG_TEXT, "FILE", "a checkpoint kept from earlier")  \
    X(FLAG_PARTIAL, "partial", NULL, FLAG_SWITCH, NULL, "the records are a selection")             \
    X(FLAG_BACK, "back", NULL, FLAG_SWITCH, NULL, "go back to the version before")                 \
    X(FLAG_DETACH, "detach", "d", FLAG_SWITCH, NULL, "do not wait for the end")                    \
    X(FLAG_JOIN, "join", NULL, FLAG_SWITCH, NULL, "follow the run that is active already")         \
    X(FLAG_MINE, "mine", NULL, FLAG_SWITCH, NULL, "what you asked for yourself")                   \
    X(FLAG_REASON, "reason", NULL, FLAG_TEXT, "TEXT", "why, for the audit log and the report")     \
    X(FLAG_SECRET, "secret", NULL, FLAG_TEXT, "SECRET", "only of this secret")                     \
    X(FLAG_LIMIT, "limit", NULL, FLAG_NUMBER, "N", "at most so many")                              \
    X(FLAG_ENTITY, "entity", NULL, FLAG_TEXT, "NAME",                                             \
      "as if this entity's token asked: its policies besides, templates filled in; or its id")    \
    X(FLAG_RECURSIVE, "recursive", "r", FLAG_SWITCH, NULL, "everything below it, too")             \
    X(FLAG_IN, "in", NULL, FLAG_TEXT, "FOLDER", "only below it")                                   \
    X(FLAG_VALUES, "values", NULL, FLAG_SWITCH, NULL, "show the values")                           \
    X(FLAG_CAN, "can", NULL, FLAG_TEXT, "CAPABILITY",                                              \
      "create, read, update, patch, delete or list; or the word before the path")                  \
    X(FLAG_FILE, "file", NULL, FLAG_TEXT, "FILE", "this policy's text besides, stored or not")     \
    X(FLAG_SERVER_NAME, "server-name", NULL, FLAG_TEXT, "NAME", "what servers are asked for (SNI)") \
    X(FLAG_PREFIX, "prefix", NULL, FLAG_SWITCH, NULL, "all leases below that path")                \
    X(FLAG_SYNC, "sync", NULL, FLAG_SWITCH, NULL, "wait until it is done")                         \
    X(FLAG_ALLOW_GAP, "allow-gap", NULL, FLAG_SWITCH, NULL, "consumers may be cut off for a moment") \
    X(FLAG_FORCE, "force", NULL, FLAG_SWITCH, NULL, "do not ask")

#define X(id, name, other, kind, value, help) id,
enum flag_id { CLI_FLAGS(X) FLAG_ID_COUNT };
#undef X

struct flag {
    const char *name, *other;
    enum flag_kind kind;
    const char *value, *help;
};
extern const struct flag cli_flag_table[FLAG_ID_COUNT];

#define CLI_WORDS_MAX 512u
#define CLI_FLAGS_MAX 128u

struct flags {
    const char *words[CLI_WORDS_MAX]; /* everything that is no flag */
    size_t word_count;
    struct flag_given {
        enum flag_id id;
        const char *text; /* NULL for a switch without "=" */
    } given[CLI_FLAGS_MAX];
    size_t given_count;
    const char *unknown; /* the first flag that no command has, without its dashes */
};

/* Separates flags from words. Unknown flags are only noted: which words there are decides what may
 * be suggested. argv[0] is skipped. */
enum kt_kind flags_split(int argc, char *const *argv, struct flags *ret,
                         struct kt_err *err) KT_MUST_CHECK;
/* Is every flag one of the allowed ones (FLAG_ID_COUNT ends), and its value of its kind? */
enum kt_kind flags_check(const struct flags *flags, const enum flag_id *allowed, size_t count,
                         const char *command, struct kt_err *err) KT_MUST_CHECK;

bool flags_has(const struct flags *flags, enum flag_id id);
/* A switch's state. */
bool flags_on(const struct flags *flags, enum flag_id id);
/* The last value, or NULL. */
const char *flags_text(const struct flags *flags, enum flag_id id);
/* Checked before, so they do not fail; absent: the default. */
uint64_t flags_number(const struct flags *flags, enum flag_id id, uint64_t otherwise);
/* The next value of a list from *at on, or NULL. */
const char *flags_next(const struct flags *flags, enum flag_id id, size_t *at);
