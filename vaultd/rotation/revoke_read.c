#include "lib/num.h"
#include "lib/ssh_cert.h"
#include "vaultd/rotation/revoked.h"

/* The certificate that is to be revoked: whose it is, and who signed it. */

#define VALUE_MAX ((size_t)1024 * 1024)

struct kind_row;
struct reading {
    const struct kind_row *kind;
    struct request *req;
    const struct rotation_secret *secret;
    const struct kv_version *version;
    struct kt_bytes certificate, key;
    struct revoked *ret;
    struct kt_ssh_cert_facts ssh;
    bool found;
};

static enum kt_kind take(struct reading *r, struct kt_json object, const char *name, struct kt_bytes *ret,
                         struct kt_err *err)
{
    struct kt_json value = {0};
    *ret = kt_bytes(NULL, 0);
    if (!kt_json_member(object, name, &value) || kt_json_type(value) != KT_JSON_STRING)
        return KT_OK;
    const char *text = kt_json_text(value, &r->req->arena);
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a certificate");
    *ret = kt_str(text);
    return KT_OK;
}

/* ---- X.509 ---- */

static enum kt_kind x509_read(struct reading *r, struct kt_err *err)
{
    struct kt_x509_revoked certificate;
    char serial[KT_X509_SERIAL_TEXT];
    enum kt_kind kind = kt_x509_serial_of(r->certificate, &certificate, &r->ret->until_ms, err);
    if (kind == KT_OK && !r->version->issued)
        kind = kt_x509_of_key(r->certificate, r->key, err);
    if (kind != KT_OK)
        return kind;
    kt_x509_serial_text(&certificate, serial);
    r->ret->serial = kt_arena_text(&r->req->arena, kt_str(serial));
    return r->ret->serial == NULL ? kt_fail(err, KT_NO_MEMORY, "reading a certificate") : KT_OK;
}

static enum kt_kind x509_signed(struct reading *r, const struct issuer *issuer, bool *ret, struct kt_err *err)
{
    *ret = false;
    if (issuer->certificate.len == 0) /* nobody could sign by its key yet */
        return KT_OK;
    return kt_x509_signed_by(r->certificate, issuer->certificate, ret, err);
}

/* ---- SSH ---- */

static enum kt_kind ssh_of_key(struct reading *r, struct kt_err *err)
{
    kt_autosecret struct kt_secret *key = NULL;
    enum kt_kind kind = kt_ssh_private_read(r->key, &key, err);
    if (kind != KT_OK || memcmp(kt_ssh_public_of(key).at, r->ssh.public_key, KT_SSH_PUBLIC) == 0)
        return kind;
    return kt_fail(err, KT_INVALID, "the key beside the certificate is not its own");
}

static enum kt_kind ssh_read(struct reading *r, struct kt_err *err)
{
    enum kt_kind kind = kt_ssh_cert_read(r->certificate, &r->ssh, err);
    if (kind == KT_OK && !r->version->issued)
        kind = ssh_of_key(r, err);
    if (kind == KT_OK && r->ssh.serial == 0)
        kind = kt_fail(err, KT_INVALID, "a certificate without a serial number cannot be revoked by it");
    if (kind != KT_OK)
        return kind;
    r->ret->until_ms = r->ssh.until_s * 1000;
    char authority[REVOKED_AUTHORITY + 1];
    kt_hex_encode(r->ssh.authority, KT_SSH_PUBLIC, authority);
    r->ret->serial = kt_arena_printf(&r->req->arena, "%ju", (uintmax_t)r->ssh.serial);
    r->ret->authority = kt_arena_text(&r->req->arena, kt_str(authority));
    return r->ret->serial == NULL || r->ret->authority == NULL ? kt_fail(err, KT_NO_MEMORY, "reading a certificate") : KT_OK;
}

static enum kt_kind ssh_signed(struct reading *r, const struct issuer *issuer, bool *ret, struct kt_err *err)
{
    kt_autosecret struct kt_secret *authority = NULL;
    enum kt_kind kind = kt_ssh_private_read(issuer->key, &authority, err);
    if (kind == KT_OK)
        *ret = memcmp(kt_ssh_public_of(authority).at, r->ssh.authority, KT_SSH_PUBLIC) == 0;
    return kind;
}

/* ---- which kind ---- */

static const struct kind_row {
    const char *type;
    bool ssh;
    enum kt_kind (*read)(struct reading *r, struct kt_err *err);
    enum kt_kind (*signed_by)(struct reading *r, const struct issuer *issuer, bool *ret, struct kt_err *err);
} kinds[] = {
    {"x509", false, x509_read, x509_signed},
    {"x509-ca", false, x509_read, x509_signed},
    {"ssh-cert", true, ssh_read, ssh_signed},
};

static const struct kind_row *kind_of(const struct rotation_settings *s)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].type, s->gen_type) == 0 && s->gen_issuer[0] != '\0')
            return &kinds[i];
    return NULL;
}

static enum kt_kind ask_issuer(void *arg, const struct issuer *issuer, struct kt_err *err)
{
    struct reading *r = arg;
    bool here = false;
    enum kt_kind kind = r->found ? KT_OK : r->kind->signed_by(r, issuer, &here, err);
    if (kind == KT_OK && here) {
        r->found = true;
        r->ret->signer = issuer->version;
    }
    return kind;
}

/* Whoever may write this secret may have copied it from anywhere. */
static enum kt_kind refuse_unproven(const struct reading *r, struct kt_err *err)
{
    (void)kt_fail(err, KT_INVALID,
                  "version %u of '%s' has no private_key, and no rotation of this secret made it: whose certificate "
                  "that is is not known", r->version->number, r->secret->name);
    kt_hint(err, "revoke the version that the rotation made, of the secret that it was made for: secretctl certificate "
                 "revoke --version=N SECRET");
    return KT_INVALID;
}

static enum kt_kind read_value(struct reading *r, struct kt_err *err)
{
    const struct rotation_secret *secret = r->secret;
    const struct kv_version *version = r->version;
    kt_autobuf struct kt_buf value;
    kt_buf_init(&value, VALUE_MAX);
    enum kt_kind kind =
        kv_value(r->req->core, secret->mount, r->req->snapshot, secret->path, version, &value, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "version %u of '%s' is gone", version->number, secret->name);
    struct kt_json object = kt_json_value(kt_buf_bytes(&value));
    if (kind == KT_OK)
        kind = take(r, object, "certificate", &r->certificate, err);
    if (kind == KT_OK)
        kind = take(r, object, "private_key", &r->key, err);
    if (kind == KT_OK && r->certificate.len == 0)
        return kt_fail(err, KT_INVALID, "version %u of '%s' has no certificate", version->number, secret->name);
    if (kind == KT_OK && r->key.len == 0 && !version->issued)
        return refuse_unproven(r, err);
    return kind;
}

enum kt_kind revoke_read(struct request *req, const struct rotation_secret *secret, const struct kv_version *version,
                         struct revoked *ret, struct kt_err *err)
{
    const char *name = secret->settings.gen_issuer;
    const struct kind_row *row = kind_of(&secret->settings);
    struct reading r = {.kind = row, .req = req, .secret = secret, .version = version, .ret = ret};
    if (row == NULL)
        return kt_fail(err, KT_INVALID, "'%s' is no certificate that an issuer signed", secret->name);
    ret->ssh = row->ssh;
    enum kt_kind kind = read_value(&r, err);
    if (kind == KT_OK)
        kind = row->read(&r, err);
    if (kind == KT_OK)
        kind = issuer_each(req, name, ask_issuer, &r, err);
    if (kind != KT_OK || r.found)
        return kind;
    (void)kt_fail(err, KT_INVALID, "no version of the issuer '%s' that is still there signed version %u of '%s'", name,
                  version->number, secret->name);
    kt_hint(err, "if another one did: name it as generator.issuer, revoke, and name this one again");
    return KT_INVALID;
}
