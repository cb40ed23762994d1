#include <sodium.h>

#include "lib/num.h"
#include "lib/ssh_krl.h"
#include "vaultd/rotation/issue_own.h"
#include "vaultd/rotation/revoked.h"

/* OpenSSH's lists of revoked certificates: one, of all versions of the authority, those included that are gone: hosts
 * may trust them for good. */

#define PARTS_MAX 1024u
#define KRL_MAX   ((size_t)256 * 1024)

struct list {
    struct issuing *by;
    struct revoked *rows;
    size_t n_rows, n;
    uint64_t *serials;
    struct kt_ssh_krl krl;
    struct kt_ssh_krl_part *parts;
};

enum kt_kind ssh_krl_check(const struct rotation_settings *s, struct kt_err *err)
{
    (void)s;
    (void)err;
    return KT_OK;
}

/* Of before its public key was kept: by the version's number. */
static bool signed_by(const struct revoked *row, const struct kt_ssh_krl_part *part, uint32_t version)
{
    char authority[REVOKED_AUTHORITY + 1];
    kt_hex_encode(part->authority, KT_SSH_PUBLIC, authority);
    return row->authority[0] == '\0' ? row->signer == version : strcmp(row->authority, authority) == 0;
}

/* What this authority signed, and has not ended. version: of the issuer; 0: it is gone. */
static enum kt_kind take_serials(struct list *list, uint32_t version, struct kt_ssh_krl_part *part, struct kt_err *err)
{
    part->serials = list->serials + list->n;
    for (size_t i = 0; i < list->n_rows; i++) {
        struct revoked *row = &list->rows[i];
        if (row->listed || !revoked_stands(row, true, list->by->req->now_ms) || !signed_by(row, part, version))
            continue;
        if (!kt_u64_parse(kt_str(row->serial), UINT64_MAX, &list->serials[list->n]))
            return kt_fail(err, KT_CORRUPT, "a revoked certificate's serial number is none");
        row->listed = true;
        list->n++;
        part->n++;
    }
    return KT_OK;
}

static enum kt_kind new_part(struct list *list, struct kt_ssh_krl_part **ret, struct kt_err *err)
{
    if (list->krl.n == PARTS_MAX)
        return kt_fail(err, KT_INVALID, "the issuer has more than %u versions", PARTS_MAX);
    *ret = &list->parts[list->krl.n++];
    **ret = (struct kt_ssh_krl_part){.n = 0};
    return KT_OK;
}

static enum kt_kind add_version(void *arg, const struct issuer *issuer, struct kt_err *err)
{
    struct list *list = arg;
    kt_autosecret struct kt_secret *authority = NULL;
    struct kt_ssh_krl_part *part = NULL;
    enum kt_kind kind = kt_ssh_private_read(issuer->key, &authority, err);
    if (kind != KT_OK)
        kt_context(err, "the issuer's private_key");
    else
        kind = new_part(list, &part, err);
    if (kind != KT_OK)
        return kind;
    memcpy(part->authority, kt_ssh_public_of(authority).at, KT_SSH_PUBLIC);
    return take_serials(list, issuer->version, part, err);
}

static enum kt_kind add_gone(struct list *list, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; kind == KT_OK && i < list->n_rows; i++) {
        const struct revoked *row = &list->rows[i];
        if (row->listed || row->authority[0] == '\0' || !revoked_stands(row, true, list->by->req->now_ms))
            continue;
        struct kt_ssh_krl_part *part = NULL;
        kind = new_part(list, &part, err);
        if (kind == KT_OK && !kt_hex_decode(kt_str(row->authority), part->authority, sizeof part->authority))
            return kt_fail(err, KT_CORRUPT, "a revoked certificate's authority is none");
        if (kind == KT_OK)
            kind = take_serials(list, 0, part, err);
    }
    return kind;
}

static enum kt_kind load(struct list *list, struct kt_err *err)
{
    struct issuing *by = list->by;
    enum kt_kind kind = revoked_load(by->req, by->settings->gen_issuer, &list->rows, &list->n_rows, err);
    if (kind != KT_OK)
        return kind;
    list->serials = kt_arena_take(&by->req->arena, (list->n_rows + 1) * sizeof *list->serials);
    list->krl.parts = list->parts = kt_arena_take(&by->req->arena, PARTS_MAX * sizeof *list->parts);
    if (list->serials == NULL || list->parts == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a list of revoked certificates");
    kind = issuer_each(by->req, by->settings->gen_issuer, add_version, list, err);
    if (kind == KT_OK)
        kind = add_gone(list, err);
    return kind == KT_OK ? revoked_all_listed(by->req, by->issuer.name, list->rows, list->n_rows, true, err) : kind;
}

/* Its bytes in base64, for a member of a secret is text. */
static enum kt_kind add_krl(struct issuing *by, const struct kt_ssh_krl *krl, struct kt_err *err)
{
    kt_autobuf struct kt_buf bytes;
    kt_buf_init(&bytes, KRL_MAX);
    enum kt_kind kind = kt_ssh_krl_write(krl, &bytes, err);
    if (kind != KT_OK)
        return kind;
    size_t size = sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_ORIGINAL);
    char *text = kt_arena_take(&by->req->arena, size);
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a list of revoked certificates");
    (void)sodium_bin2base64(text, size, bytes.at, bytes.len, sodium_base64_VARIANT_ORIGINAL);
    kt_jsonw_kv_text(&by->w, "krl", text);
    return KT_OK;
}

enum kt_kind ssh_krl_make(struct issuing *by, struct kt_err *err)
{
    struct list *list = kt_arena_take(&by->req->arena, sizeof *list);
    if (list == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a list of revoked certificates");
    *list = (struct list){.by = by,
                          .krl = {.version = issue_next_number(by, "krl_version"), .made_s = by->req->now_ms / 1000}};
    enum kt_kind kind = load(list, err);
    if (kind == KT_OK)
        kind = add_krl(by, &list->krl, err);
    if (kind != KT_OK)
        return kind;
    kt_jsonw_kv_int(&by->w, "krl_version", (int64_t)list->krl.version);
    kt_jsonw_kv_int(&by->w, "revoked", (int64_t)list->n);
    kt_jsonw_kv_time(&by->w, "this_update", by->req->now_ms);
    by->text = kt_arena_printf(&by->req->arena, "a list of %zu revoked certificates, of %zu versions of %.500s", list->n,
                               list->krl.n, by->issuer.name);
    return by->text == NULL ? kt_fail(err, KT_NO_MEMORY, "making a list of revoked certificates") : KT_OK;
}

void ssh_krl_describe(const struct rotation_settings *s, struct kt_buf *out)
{
    (void)s;
    kt_buf_add_text(out, "a list of revoked SSH certificates");
}
