/* auth/cert: clients that show a TLS certificate.
 *
 * TLS has proved that the client has the certificate's key; nothing else is believed of what it sent. An entry
 * (cert_entry.h) trusts authorities or one certificate; the lists of what was revoked (cert_crl.h) are
 * asked of each certificate on the way. The first entry by name that fits is it, or the one that was asked for.
 *
 * A renewal needs the same key, in a certificate that would be let in by the same entry now: the token's role is
 * "ENTRY:HEX", HEX being the SHA-256 of the public key. Nothing of a login is kept for the next one.
 * Source: Vault's API and texts; what is stricter stands in docs/login.md. */
#include "vaultd/auth/cert.h"

#include <ctype.h>
#include <sodium.h>

#include "lib/num.h"
#include "vaultd/auth/cert_crl.h"
#include "vaultd/auth/cert_entry.h"
#include "vaultd/auth/cert_settings.h"
#include "vaultd/auth/glob.h"
#include "vaultd/auth/login.h"

#define BODY_MAX 65536u
/* Each entry may cost as many signatures as it has authorities: more are judged where they hold up nobody. */
#define ENTRIES_HERE 4u

/* ---- whether a certificate fits an entry ---- */

static bool any_fits(const struct string_list *patterns, const struct string_list *texts)
{
    for (size_t p = 0; p < patterns->n; p++)
        for (size_t i = 0; i < texts->n; i++)
            if (glob_fits(patterns->at[p], texts->at[i]))
                return true;
    return false;
}

static bool names_fit(const struct cert_entry *entry, const struct x509_facts *facts)
{
    const char *name = facts->common_name;
    const struct string_list common = {&name, name[0] == '\0' ? 0 : 1};
    const struct {
        enum cert_list list;
        const struct string_list *texts[3];
    } rows[] = {
        {CERT_NAMES, {&common, &facts->dns, &facts->emails}},
        {CERT_COMMON_NAMES, {&common}},
        {CERT_DNS, {&facts->dns}},
        {CERT_EMAILS, {&facts->emails}},
        {CERT_URIS, {&facts->uris}},
        {CERT_UNITS, {&facts->units}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct string_list *patterns = &entry->lists[rows[i].list];
        bool fits = patterns->n == 0;
        for (size_t t = 0; t < 3 && rows[i].texts[t] != NULL; t++)
            fits = fits || any_fits(patterns, rows[i].texts[t]);
        if (!fits)
            return false;
    }
    return true;
}

static const char *hex_of(struct kt_arena *arena, struct kt_bytes bytes)
{
    char *text = kt_arena_take(arena, bytes.len * 2 + 1);
    if (text != NULL)
        kt_hex_encode(bytes.at, bytes.len, text);
    return text;
}

/* *ret: it has the extension with such a value. */
static enum kt_kind extension_fits(struct request *req, const struct x509_facts *facts, const char *wanted,
                                   bool *ret, struct kt_err *err)
{
    bool hex = strncmp(wanted, "hex:", 4) == 0;
    const char *oid_at = hex ? wanted + 4 : wanted, *colon = strchr(oid_at, ':'), *text = NULL;
    struct kt_bytes value;
    *ret = false;
    if (colon == NULL)
        return KT_OK;
    const char *oid = kt_arena_text(&req->arena, kt_bytes(oid_at, (size_t)(colon - oid_at)));
    if (oid == NULL)
        return kt_fail(err, KT_NO_MEMORY, "logging in");
    enum kt_kind kind = x509_extension(facts->der, oid, &req->arena, &value, &text, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    if (hex)
        text = hex_of(&req->arena, value);
    *ret = text != NULL && glob_fits(colon + 1, text);
    return req->arena.failed ? kt_fail(err, KT_NO_MEMORY, "logging in") : KT_OK;
}

static enum kt_kind extensions_fit(struct request *req, const struct cert_entry *entry,
                                   const struct x509_facts *facts, struct kt_err *err)
{
    const struct string_list *wanted = &entry->lists[CERT_REQUIRED];
    for (size_t i = 0; i < wanted->n; i++) {
        bool fits = false;
        enum kt_kind kind = extension_fits(req, facts, wanted->at[i], &fits, err);
        if (kind != KT_OK)
            return kind;
        if (!fits)
            return kt_fail(err, KT_DENIED, "an extension is missing");
    }
    return KT_OK;
}

/* To the anchor; a pinned certificate is one itself. Unless it is its own issuer, that one's key is not known: a
 * list of the name is believed. */
static enum kt_kind find_path(struct request *req, const struct cert_entry *entry,
                              const struct x509_facts *facts, struct x509_path *ret, struct kt_err *err)
{
    if (entry->authorities)
        return x509_verify(req->chain, req->n_chain, entry->der, entry->n, req->now_ms, ret, err);
    if (entry->n != 1 || !x509_pinned(facts, entry->der[0], req->now_ms))
        return kt_fail(err, KT_DENIED, "another certificate");
    *ret = (struct x509_path){.at = {facts->der}, .n = 1};
    return KT_OK;
}

/* KT_DENIED: it does not fit. KT_INVALID: nobody can tell, and what has to be done. Names come first: they are
 * cheap, and many entries have one authority. */
static enum kt_kind judge(struct request *req, const struct mount *mount, const struct cert_entry *entry,
                          const struct x509_facts *facts, bool *ret_aside, struct kt_err *err)
{
    struct x509_path path;
    *ret_aside = false;
    if (!names_fit(entry, facts) || !login_address_fits(req, &entry->params.bound_cidrs))
        return kt_fail(err, KT_DENIED, "it does not fit");
    if (facts->is_ca || !facts->for_clients)
        return kt_fail(err, KT_DENIED, "no certificate of a client");
    enum kt_kind kind = extensions_fit(req, entry, facts, err);
    if (kind == KT_OK)
        kind = find_path(req, entry, facts, &path, err);
    return kind == KT_OK ? cert_crl_check(req, mount->scope, &path, ret_aside, err) : kind;
}

/* ---- who asks ---- */

static enum kt_kind refuse(struct kt_err *err, const char *why, const char *hint)
{
    (void)kt_fail(err, KT_INVALID, "%s", why);
    kt_hint(err, "%s", hint);
    return KT_INVALID;
}

static enum kt_kind no_match(struct kt_err *err)
{
    return kt_fail(err, KT_INVALID, "invalid certificate or no client certificate supplied");
}

static enum kt_kind check_peer(const struct request *req, struct kt_err *err)
{
    if (!req->tls)
        return refuse(err, "tls connection required",
                      "set VAULT_ADDR to https:// and a listener \"tcp\" that serves TLS itself");
    if (req->forwarded)
        return refuse(err, "a proxy stands between the client and the vault: its certificate is not seen here",
                      "ask the vault itself, or let the proxy hand the TLS connection on as it is");
    if (req->n_chain == 0)
        return refuse(err, "client certificate must be supplied",
                      "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY (-client-cert, -client-key) name its PEM files; "
                      "the listener must not have tls_disable_client_certs");
    return KT_OK;
}

static enum kt_kind read_peer(struct request *req, struct x509_facts *ret, struct kt_err *err)
{
    enum kt_kind kind = check_peer(req, err);
    return kind == KT_OK ? x509_read(req->chain[0], &req->arena, ret, err) : kind;
}

/* ---- logging in ---- */

static enum kt_kind add_shown(struct request *req, const struct cert_entry *entry,
                              const struct x509_facts *facts, struct kt_jsonw *w, struct kt_err *err)
{
    const struct string_list *shown = &entry->lists[CERT_SHOWN];
    for (size_t i = 0; i < shown->n; i++) {
        struct kt_bytes value;
        const char *text = NULL;
        enum kt_kind kind = x509_extension(facts->der, shown->at[i], &req->arena, &value, &text, err);
        if (kind != KT_OK && kind != KT_NOT_FOUND)
            return kind;
        char *key = kt_arena_text(&req->arena, kt_str(shown->at[i]));
        if (key == NULL)
            return kt_fail(err, KT_NO_MEMORY, "logging in");
        for (char *c = key; *c != '\0'; c++)
            *c = *c == '.' ? '-' : *c;
        if (kind == KT_OK && text != NULL)
            kt_jsonw_kv_text(w, key, text);
    }
    return KT_OK;
}

static enum kt_kind write_meta(struct request *req, const struct cert_entry *entry,
                               const struct x509_facts *facts, struct kt_buf *out, struct kt_err *err)
{
    struct kt_jsonw w = kt_jsonw(out);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "authority_key_id", facts->authority_key);
    kt_jsonw_kv_text(&w, "cert_name", entry->name);
    kt_jsonw_kv_text(&w, "common_name", facts->common_name);
    kt_jsonw_kv_text(&w, "serial_number", facts->serial);
    kt_jsonw_kv_text(&w, "subject_key_id", facts->subject_key);
    enum kt_kind kind = add_shown(req, entry, facts, &w, err);
    kt_jsonw_end(&w);
    return kind != KT_OK || kt_buf_ok(out) ? kind : kt_fail(err, KT_NO_MEMORY, "logging in");
}

static enum kt_kind grant(struct request *req, const struct cert_entry *entry,
                          const struct x509_facts *facts, struct kt_err *err)
{
    struct cert_settings settings;
    kt_autobuf struct kt_buf meta;
    kt_buf_init(&meta, 65536);
    if (facts->common_name[0] == '\0')
        return refuse(err, "the certificate has no common name: nobody could say who it is",
                      "issue it with a CN: that is the alias of the client's entity");
    enum kt_kind kind = write_meta(req, entry, facts, &meta, err);
    const char *key = hex_of(&req->arena, kt_bytes(facts->key, X509_HASH));
    const char *role = kt_arena_printf(&req->arena, "%s:%s", entry->name, key == NULL ? "" : key);
    if (kind == KT_OK && (key == NULL || role == NULL))
        kind = kt_fail(err, KT_NO_MEMORY, "logging in");
    if (kind == KT_OK)
        kind = cert_settings_get(req, req->mount->scope, &settings, err);
    if (kind == KT_OK)
        kind = cert_settings_require(req, req->mount->scope, &settings, err);
    if (kind == KT_OK)
        kind = cert_entry_require(req, req->mount->scope, entry, err);
    if (kind != KT_OK)
        return kind;
    const char *name = entry->display_name[0] == '\0' ? entry->name : entry->display_name;
    const struct login login = {.name = name,
                                .alias = facts->common_name,
                                .role = role,
                                .meta = kt_buf_bytes(&meta),
                                .own_meta = !settings.alias_metadata,
                                .params = &entry->params};
    return login_grant(req, &login, err);
}

/* Names are lowered, as in paths. */
static enum kt_kind read_name(struct request *req, const char **ret, struct kt_err *err)
{
    const char *text = "";
    *ret = NULL;
    enum kt_kind kind = request_string(req, "name", &text, err);
    if (kind != KT_OK || text[0] == '\0')
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    char *name = kt_arena_text(&req->arena, kt_str(text));
    if (name == NULL)
        return kt_fail(err, KT_NO_MEMORY, "logging in");
    for (char *c = name; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    *ret = name;
    return named_is_name(name) ? KT_OK : no_match(err);
}

static enum kt_kind find_entries(struct request *req, const char *name, const struct x509_facts *facts,
                                 struct cert_entry **ret, size_t *ret_n, bool *ret_aside, struct kt_err *err)
{
    *ret_n = 0;
    *ret_aside = false;
    if (name == NULL)
        return cert_entries_for(req, facts, req->chain, req->n_chain, ret, ret_n, ret_aside, err);
    *ret = kt_arena_take(&req->arena, sizeof **ret);
    if (*ret == NULL)
        return kt_fail(err, KT_NO_MEMORY, "logging in");
    enum kt_kind kind = cert_entry_find(req, req->mount->scope, name, *ret, err);
    *ret_n = kind == KT_OK ? 1 : 0;
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

static enum kt_kind login(struct request *req, struct kt_err *err)
{
    struct x509_facts facts;
    struct cert_entry *entries = NULL;
    const char *name = NULL;
    size_t n = 0;
    bool aside = false;
    enum kt_kind kind = read_peer(req, &facts, err);
    if (kind == KT_OK)
        kind = read_name(req, &name, err);
    if (kind == KT_OK)
        kind = find_entries(req, name, &facts, &entries, &n, &aside, err);
    if (kind != KT_OK || aside || (n > ENTRIES_HERE && request_aside(req)))
        return kind;
    for (size_t i = 0; i < n; i++) {
        kind = judge(req, req->mount, &entries[i], &facts, &aside, err);
        if (aside)
            return KT_OK;
        if (kind == KT_OK)
            return grant(req, &entries[i], &facts, err);
        if (kind != KT_DENIED)
            return kind;
    }
    return no_match(err);
}

/* ---- renewing ---- */

static enum kt_kind same_client(struct request *req, const struct mount *mount,
                                const struct cert_entry *entry, const char *key, struct kt_err *err)
{
    struct x509_facts facts;
    unsigned char bound[X509_HASH];
    bool aside = false;
    enum kt_kind kind = read_peer(req, &facts, err);
    if (kind != KT_OK)
        return kind;
    if (!kt_hex_decode(kt_str(key), bound, sizeof bound) ||
        sodium_memcmp(bound, facts.key, sizeof bound) != 0)
        return kt_fail(err, KT_DENIED, "permission denied");
    kind = judge(req, mount, entry, &facts, &aside, err); /* aside: all of this pass is done again */
    return kind == KT_DENIED ? kt_fail(err, KT_DENIED, "permission denied") : kind;
}

static enum kt_kind renewed(struct request *req, const struct mount *mount, const struct token *token,
                            struct token_params *ret, struct kt_err *err)
{
    struct cert_settings settings;
    struct cert_entry entry;
    const char *colon = strrchr(token->role, ':');
    if (colon == NULL)
        return KT_NOT_FOUND;
    const char *name = kt_arena_text(&req->arena, kt_bytes(token->role, (size_t)(colon - token->role)));
    if (name == NULL)
        return kt_fail(err, KT_NO_MEMORY, "renewing a token");
    enum kt_kind kind = cert_settings_get(req, mount->scope, &settings, err);
    if (kind == KT_OK)
        kind = cert_entry_find(req, mount->scope, name, &entry, err);
    if (kind == KT_OK && !settings.disable_binding)
        kind = same_client(req, mount, &entry, colon + 1, err);
    if (kind == KT_OK)
        kind = cert_settings_require(req, mount->scope, &settings, err);
    if (kind == KT_OK)
        kind = cert_entry_require(req, mount->scope, &entry, err);
    if (kind == KT_OK)
        *ret = entry.params;
    return kind;
}

/* ---- routes ---- */

/* clang-format off */
#define FIELDS(...) (const struct field[]){ __VA_ARGS__, { NULL, FIELD_ANY, NULL } }

static const struct route routes[] = {
    { .pattern = "login", .flags = ROUTE_PUBLIC, .write = login, .body_max = BODY_MAX,
      .fields = FIELDS({ "name", FIELD_STRING, "of the entry that is to be taken" }),
      .help = "Logs in the client whose certificate the connection was made with." },
    { .pattern = "certs", .list = cert_entry_list, .help = "Names of the entries." },
    { .pattern = "certs/{name}", .flags = ROUTE_TO_LOWER, .read = cert_entry_read,
      .write = cert_entry_write, .delete_ = cert_entry_delete,
      .fields = FIELDS(CERT_ENTRY_FIELDS, TOKEN_PARAMS_FIELDS, TOKEN_PARAMS_OLD_FIELDS),
      .help = "A trusted certificate, for whom, and what tokens they get." },
    { .pattern = "crls", .list = cert_crl_list, .help = "Names of the revocation lists." },
    { .pattern = "crls/{name}", .flags = ROUTE_TO_LOWER, .read = cert_crl_read, .write = cert_crl_write,
      .delete_ = cert_crl_delete,
      .fields = FIELDS({ "crl", FIELD_STRING, "the list, PEM" }, { "url", FIELD_STRING, "not here: refused" }),
      .help = "A revocation list of an authority." },
    { .pattern = "config", .flags = ROUTE_OF_MOUNT, .read = cert_settings_read, .write = cert_settings_write,
      .fields = FIELDS({ "disable_binding", FIELD_BOOL, "renewals need no certificate" },
                       { "enable_identity_alias_metadata", FIELD_BOOL, "aliases carry the metadata, too" }),
      .help = "What holds of all logins with certificates." },
};
/* clang-format on */

static const struct auth_method method = {.renewed = renewed};

const struct engine cert_engine = {
    .type = "cert",
    .help = "Clients that show a TLS certificate.",
    .routes = routes,
    .n_routes = sizeof routes / sizeof routes[0],
    .auth = &method,
};
