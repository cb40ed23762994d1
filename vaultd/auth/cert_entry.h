/* vaultd/auth/cert_entry.h - auth/cert/certs/NAME: certificates that are trusted, and for what.
 *
 * What:    An entry trusts authorities, and then whoever they issued a certificate to that fits its
 *          restrictions, or one single certificate of a client, and then that very one.
 * Format:  named.h's ‖ field display name ‖ u8 flags (1: of authorities) ‖ u16 n ‖ n (32 bytes tag ‖ field
 *          DER) ‖ lists of names, common names, DNS names, e-mail addresses, URIs, units, required
 *          extensions, shown extensions (token_params.h's lists) ‖ token_params. The tags are x509_tag()'s:
 *          whether an entry may be meant is seen without reading its certificates.
 * Owner:   everything lives in the request's arena.
 * Threads: any thread, inside of a request's pass. */
#pragma once

#include "vaultd/auth/named.h"
#include "vaultd/auth/token_params.h"
#include "vaultd/auth/x509.h"

enum cert_list {
    CERT_NAMES, /* of its common name, DNS names and e-mail addresses any */
    CERT_COMMON_NAMES,
    CERT_DNS,
    CERT_EMAILS,
    CERT_URIS,
    CERT_UNITS,
    CERT_REQUIRED, /* "OID:value" or "hex:OID:digits", all of them */
    CERT_SHOWN,    /* OIDs whose values go into a token's metadata */
    CERT_LISTS
};
struct cert_entry {
    const char *name;
    const char *display_name; /* "": the name */
    bool authorities;
    size_t n;
    struct kt_bytes der[X509_ANCHORS_MAX];
    unsigned char tag[X509_ANCHORS_MAX][X509_HASH];
    struct string_list lists[CERT_LISTS];
    struct token_params params;
    generation changed; /* 0: there is none of the name */
};

/* KT_NOT_FOUND without a text: *ret is one that is not there yet. */
enum kt_kind cert_entry_find(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                             const char *name, struct cert_entry *ret, struct kt_err *err) KT_MUST_CHECK;
/* Those that a client's chain may be meant by, by name. *ret_aside: say nothing, the handler runs again. */
enum kt_kind cert_entries_for(struct request *req, const struct x509_facts *leaf,
                              const struct kt_bytes *chain, size_t n, struct cert_entry **ret,
                              size_t *ret_n, bool *ret_aside, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind cert_entry_require(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                                const struct cert_entry *entry, struct kt_err *err) KT_MUST_CHECK;

handler_fn cert_entry_list, cert_entry_read, cert_entry_write, cert_entry_delete;

#define CERT_ENTRY_FIELDS                                                                          \
    {"certificate", FIELD_STRING, "PEM of authorities, or of one client"},                         \
        {"display_name", FIELD_STRING, "in the tokens' display names, instead of its name"},       \
        {"allowed_names", FIELD_COMMA_LIST, "globs: its common name, a DNS name or an address fits one"}, \
        {"allowed_common_names", FIELD_COMMA_LIST, "globs: its common name fits one"},             \
        {"allowed_dns_sans", FIELD_COMMA_LIST, "globs: a DNS name of it fits one"},                \
        {"allowed_email_sans", FIELD_COMMA_LIST, "globs: an e-mail address of it fits one"},       \
        {"allowed_uri_sans", FIELD_COMMA_LIST, "globs: a URI of it fits one"},                     \
        {"allowed_organizational_units", FIELD_COMMA_LIST, "globs: a unit of it fits one"},        \
        {"required_extensions", FIELD_COMMA_LIST, "OID:glob or hex:OID:glob; all have to fit"},    \
        {"allowed_metadata_extensions", FIELD_COMMA_LIST, "OIDs whose texts tokens carry"},        \
        {"ocsp_enabled", FIELD_BOOL, "not here: refused when true"}
