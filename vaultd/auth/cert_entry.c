#include "vaultd/auth/cert_entry.h"

#include <stdlib.h>

#include "vaultd/barrier/format.h"
#include "vaultd/core/core.h"
#include "vaultd/core/rows.h"

#define FORMAT       1u
#define DISPLAY_MAX  128u
#define PATTERNS_MAX 256u

static const char *const list_names[CERT_LISTS] = {
    [CERT_NAMES] = "allowed_names",
    [CERT_COMMON_NAMES] = "allowed_common_names",
    [CERT_DNS] = "allowed_dns_sans",
    [CERT_EMAILS] = "allowed_email_sans",
    [CERT_URIS] = "allowed_uri_sans",
    [CERT_UNITS] = "allowed_organizational_units",
    [CERT_REQUIRED] = "required_extensions",
    [CERT_SHOWN] = "allowed_metadata_extensions",
};

/* ---- the record ---- */

static void write_entry(const struct cert_entry *entry, struct kt_buf *out)
{
    named_begin(out, FORMAT, entry->name);
    kt_buf_add_field(out, kt_str(entry->display_name));
    kt_buf_add_u8(out, entry->authorities ? 1 : 0);
    kt_buf_add_u16(out, (uint16_t)entry->n);
    for (size_t i = 0; i < entry->n; i++) {
        kt_buf_add(out, entry->tag[i], X509_HASH);
        kt_buf_add_field(out, entry->der[i]);
    }
    for (size_t i = 0; i < CERT_LISTS; i++)
        token_params_write_list(&entry->lists[i], out);
    token_params_write(&entry->params, out);
}

static void read_certificates(struct kt_reader *r, struct cert_entry *ret)
{
    ret->n = kt_read_u16(r);
    if (ret->n > X509_ANCHORS_MAX)
        r->failed = true;
    for (size_t i = 0; i < ret->n && !r->failed; i++) {
        struct kt_bytes tag = kt_read_bytes(r, X509_HASH);
        if (tag.len == X509_HASH)
            memcpy(ret->tag[i], tag.at, X509_HASH);
        ret->der[i] = kt_read_field(r);
    }
}

static void read_1(struct kt_reader *r, struct kt_arena *arena, struct cert_entry *ret)
{
    ret->name = kt_arena_text(arena, kt_read_field(r));
    ret->display_name = kt_arena_text(arena, kt_read_field(r));
    ret->authorities = (kt_read_u8(r) & 1) != 0;
    read_certificates(r, ret);
    for (size_t i = 0; i < CERT_LISTS; i++)
        token_params_take_list(r, arena, &ret->lists[i]);
    token_params_take(r, arena, &ret->params);
}

typedef void read_fn(struct kt_reader *r, struct kt_arena *arena, struct cert_entry *ret);
static read_fn *const readers[] = {[FORMAT] = read_1};

/* record: in the arena; the certificates point into it. */
static enum kt_kind read_record(struct kt_arena *arena, struct kt_bytes record, struct cert_entry *ret,
                                struct kt_err *err)
{
    struct kt_reader r = kt_reader(record);
    unsigned format = kt_read_u8(&r);
    read_fn *read = FORMAT_ROW(readers, format);
    if (read == NULL)
        return format_refuse("a trusted certificate", format, FORMAT, err);
    read(&r, arena, ret);
    if (arena->failed)
        return kt_fail(err, KT_NO_MEMORY, "reading a trusted certificate");
    return kt_reader_done(&r) ? KT_OK : kt_fail(err, KT_CORRUPT, "a trusted certificate is damaged");
}

enum kt_kind cert_entry_find(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                             const char *name, struct cert_entry *ret, struct kt_err *err)
{
    const struct named which = {scope, name, NAMED_USERS};
    struct kt_bytes record = {0};
    *ret = (struct cert_entry){.name = name, .display_name = ""};
    enum kt_kind kind = named_get(req, &which, &record, &ret->changed, err);
    return kind == KT_OK ? read_record(&req->arena, record, ret, err) : kind;
}

enum kt_kind cert_entry_require(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                                const struct cert_entry *entry, struct kt_err *err)
{
    const struct named which = {scope, entry->name, NAMED_USERS};
    return named_require(req, &which, entry->changed, err);
}

/* ---- whom a chain may be meant by ---- */

/* What an entry may be found by: the leaf itself, and the subjects of who issued the chain's certificates. */
struct wanted {
    unsigned char tag[X509_CHAIN_MAX + 1][X509_HASH];
    size_t n;
    const char **names;
    size_t n_names, room;
};

static enum kt_kind wanted_of(struct request *req, const struct x509_facts *leaf,
                              const struct kt_bytes *chain, size_t n, struct wanted *ret)
{
    memcpy(ret->tag[ret->n++], leaf->print, X509_HASH);
    memcpy(ret->tag[ret->n++], leaf->issuer, X509_HASH);
    for (size_t i = 1; i < n && i < X509_CHAIN_MAX; i++) {
        struct x509_facts facts;
        enum kt_kind kind = x509_read(chain[i], &req->arena, &facts, NULL);
        if (kind == KT_NO_MEMORY)
            return kind;
        if (kind == KT_OK) /* what cannot be read leads nowhere */
            memcpy(ret->tag[ret->n++], facts.issuer, X509_HASH);
    }
    return KT_OK;
}

static bool is_wanted(const struct wanted *wanted, const struct kt_bytes tag)
{
    for (size_t i = 0; i < wanted->n; i++)
        if (memcmp(wanted->tag[i], tag.at, X509_HASH) == 0)
            return true;
    return false;
}

/* The head of a record alone, in any format so far. */
static enum kt_kind look(struct request *req, struct kt_bytes record, void *arg, struct kt_err *err)
{
    struct wanted *wanted = arg;
    struct kt_reader r = kt_reader(record);
    bool found = false;
    (void)kt_read_u8(&r);
    struct kt_bytes name = kt_read_field(&r);
    (void)kt_read_field(&r);
    (void)kt_read_u8(&r);
    size_t n = kt_read_u16(&r);
    for (size_t i = 0; i < n && !r.failed && !found; i++) {
        struct kt_bytes tag = kt_read_bytes(&r, X509_HASH);
        (void)kt_read_field(&r);
        found = !r.failed && is_wanted(wanted, tag);
    }
    if (r.failed)
        return kt_fail(err, KT_CORRUPT, "a trusted certificate is damaged");
    if (!found)
        return KT_OK;
    const char **more = rows_room(req, wanted->names, wanted->n_names, &wanted->room, sizeof *more);
    char *copy = kt_arena_text(&req->arena, name);
    if (more == NULL || copy == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking for trusted certificates");
    wanted->names = more;
    wanted->names[wanted->n_names++] = copy;
    return KT_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum kt_kind cert_entries_for(struct request *req, const struct x509_facts *leaf,
                              const struct kt_bytes *chain, size_t n, struct cert_entry **ret,
                              size_t *ret_n, bool *ret_aside, struct kt_err *err)
{
    struct wanted wanted = {.n = 0};
    *ret_n = 0;
    enum kt_kind kind = wanted_of(req, leaf, chain, n, &wanted);
    if (kind == KT_OK)
        kind = named_each(req, req->mount->scope, NAMED_USERS, look, &wanted, ret_aside, err);
    if (kind != KT_OK || *ret_aside || wanted.n_names == 0)
        return kind;
    qsort(wanted.names, wanted.n_names, sizeof *wanted.names, by_text);
    *ret = kt_arena_take(&req->arena, wanted.n_names * sizeof **ret);
    if (*ret == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking for trusted certificates");
    for (size_t i = 0; kind == KT_OK && i < wanted.n_names; i++)
        kind = cert_entry_find(req, req->mount->scope, wanted.names[i], &(*ret)[(*ret_n)++], err);
    return kind == KT_NOT_FOUND ? kt_fail(err, KT_CORRUPT, "a trusted certificate is not found by its name")
                                : kind;
}

/* ---- routes ---- */

enum kt_kind cert_entry_list(struct request *req, struct kt_err *err)
{
    return named_list(req, req->mount->scope, NAMED_USERS, err);
}

static enum kt_kind named_entry(struct request *req, struct cert_entry *ret, struct kt_err *err)
{
    const char *name = NULL;
    enum kt_kind kind = named_param(req, "name", &name, err);
    *ret = (struct cert_entry){.name = NULL};
    return kind == KT_OK ? cert_entry_find(req, req->mount->scope, name, ret, err) : kind;
}

enum kt_kind cert_entry_read(struct request *req, struct kt_err *err)
{
    struct cert_entry entry;
    kt_autobuf struct kt_buf pem;
    kt_buf_init(&pem, (size_t)X509_PEM_MAX * 2);
    enum kt_kind kind = named_entry(req, &entry, err);
    if (kind == KT_OK)
        kind = x509_write_pem(entry.der, entry.n, &pem, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "certificate");
    kt_jsonw_bytes(&w, kt_buf_bytes(&pem));
    kt_jsonw_kv_text(&w, "display_name", entry.display_name[0] == '\0' ? entry.name : entry.display_name);
    for (size_t i = 0; i < CERT_LISTS; i++)
        token_params_list(&w, list_names[i], &entry.lists[i]);
    token_params_show(&w, &token_params_of_login, &entry.params);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* ---- writing one ---- */

static bool is_oid(struct kt_bytes text)
{
    bool digit = false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '.' && !digit)
            return false;
        if (text.at[i] != '.' && (text.at[i] < '0' || text.at[i] > '9'))
            return false;
        digit = text.at[i] != '.';
    }
    return digit && text.len < X509_OID_MAX && memchr(text.at, '.', text.len) != NULL;
}

/* "OID:glob", "hex:OID:glob". */
static bool is_requirement(const char *text)
{
    const char *oid = strncmp(text, "hex:", 4) == 0 ? text + 4 : text;
    const char *colon = strchr(oid, ':');
    return colon != NULL && is_oid(kt_bytes(oid, (size_t)(colon - oid)));
}

static enum kt_kind check_list(enum cert_list which, const struct string_list *list, struct kt_err *err)
{
    if (list->n > PATTERNS_MAX)
        return kt_fail(err, KT_INVALID, "\"%s\" has more than %u items", list_names[which], PATTERNS_MAX);
    for (size_t i = 0; i < list->n; i++) {
        if (which == CERT_REQUIRED && !is_requirement(list->at[i]))
            return kt_fail(err, KT_INVALID, "\"required_extensions\" are OID:value or hex:OID:value");
        if (which == CERT_SHOWN && !is_oid(kt_str(list->at[i])))
            return kt_fail(err, KT_INVALID, "\"allowed_metadata_extensions\" are OIDs");
    }
    return KT_OK;
}

static enum kt_kind read_lists(struct request *req, struct cert_entry *entry, struct kt_err *err)
{
    for (size_t i = 0; i < CERT_LISTS; i++) {
        enum kt_kind kind = request_list(req, list_names[i], true, &entry->lists[i], err);
        if (kind == KT_OK)
            kind = check_list((enum cert_list)i, &entry->lists[i], err);
        if (kind != KT_OK && kind != KT_NOT_FOUND)
            return kind;
    }
    return KT_OK;
}

/* One that is trusted: authorities all, or a single client's. */
static enum kt_kind check_one(struct request *req, const struct x509_facts *facts,
                              const struct cert_entry *entry, struct kt_err *err)
{
    if (facts->weak)
        return kt_fail(err, KT_INVALID, "\"certificate\" has a key that is too short");
    if (facts->is_ca != entry->authorities || (!facts->is_ca && entry->n > 1)) {
        (void)kt_fail(err, KT_INVALID, "\"certificate\" holds authorities alone, or one client's");
        kt_hint(err, "write an entry for each certificate that is no authority's");
        return KT_INVALID;
    }
    if (!facts->is_ca && (!facts->says_clients || !facts->for_clients)) {
        (void)kt_fail(err, KT_INVALID, "non-CA certificates should have TLS client authentication set "
                                       "as an extended key usage");
        kt_hint(err, "trust its authority instead, with allowed_common_names");
        return KT_INVALID;
    }
    if (req->now_ms >= facts->until_ms)
        request_warn(req, "the certificate has expired: nobody can log in with it");
    return KT_OK;
}

static enum kt_kind read_certificates_of(struct request *req, struct cert_entry *entry, struct kt_err *err)
{
    const char *pem = "";
    enum kt_kind kind = request_string(req, "certificate", &pem, err);
    if (kind == KT_NOT_FOUND && entry->n > 0)
        return KT_OK;
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (pem[0] == '\0')
        return kt_fail(err, KT_INVALID, "missing certificate");
    kind = x509_read_pem(kt_str(pem), &req->arena, entry->der, &entry->n, err);
    for (size_t i = 0; kind == KT_OK && i < entry->n; i++) {
        struct x509_facts facts;
        kind = x509_read(entry->der[i], &req->arena, &facts, err);
        if (kind != KT_OK)
            return kind;
        if (i == 0)
            entry->authorities = facts.is_ca;
        x509_tag(&facts, entry->tag[i]);
        kind = check_one(req, &facts, entry, err);
    }
    return kind;
}

static enum kt_kind read_display_name(struct request *req, struct cert_entry *entry, struct kt_err *err)
{
    enum kt_kind kind = request_string(req, "display_name", &entry->display_name, err);
    if (kind == KT_OK && strlen(entry->display_name) > DISPLAY_MAX)
        return kt_fail(err, KT_INVALID, "\"display_name\" is longer than %u bytes", DISPLAY_MAX);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

static enum kt_kind refuse_ocsp(struct request *req, struct kt_err *err)
{
    bool wanted = false;
    enum kt_kind kind = request_bool(req, "ocsp_enabled", &wanted, err);
    if (!wanted)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    (void)kt_fail(err, KT_INVALID, "\"ocsp_enabled\": nobody is asked over OCSP here");
    kt_hint(err, "write the authority's CRL to crls/NAME below the path of this way");
    return KT_INVALID;
}

enum kt_kind cert_entry_write(struct request *req, struct kt_err *err)
{
    struct cert_entry entry;
    enum kt_kind kind = named_entry(req, &entry, err);
    if (kind != KT_OK && (kind != KT_NOT_FOUND || entry.name == NULL))
        return kind;
    kind = refuse_ocsp(req, err);
    if (kind == KT_OK)
        kind = read_certificates_of(req, &entry, err);
    if (kind == KT_OK)
        kind = read_display_name(req, &entry, err);
    if (kind == KT_OK)
        kind = read_lists(req, &entry, err);
    if (kind == KT_OK)
        kind = token_params_read(req, &token_params_of_login, &entry.params, err);
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, NAMED_RECORD_MAX);
    write_entry(&entry, &record);
    const struct named which = {req->mount->scope, entry.name, NAMED_USERS};
    return named_put(req, &which, entry.changed, &record, err);
}

enum kt_kind cert_entry_delete(struct request *req, struct kt_err *err)
{
    struct cert_entry entry;
    enum kt_kind kind = named_entry(req, &entry, err);
    if (kind == KT_NOT_FOUND && entry.name != NULL)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    const struct named which = {req->mount->scope, entry.name, NAMED_USERS};
    return named_delete(req, &which, entry.changed, err);
}
