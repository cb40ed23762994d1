#include <sodium.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/num.h"
#include "vaultd/rotation/issue_own.h"
#include "vaultd/rotation/revoked.h"

/* Lists of revoked certificates: one of each version of the issuer that still stands for some. */

#define CRLS_MAX ((size_t)1024 * 1024)

struct lists {
    struct issuing *by;
    struct kt_x509_crl_wish wish;
    struct kt_x509_revoked *at;
    struct revoked *rows;
    size_t n_rows, n;
    unsigned n_lists;
    struct kt_buf *text;
};

enum kt_kind x509_crl_check(const struct rotation_settings *s, struct kt_err *err)
{
    (void)s;
    (void)err;
    return KT_OK;
}

/* What this version of the issuer signed, and has not ended: that needs no revoking. */
static enum kt_kind take_revoked(struct lists *lists, uint32_t signer, struct kt_err *err)
{
    lists->wish.n = 0;
    for (size_t i = 0; i < lists->n_rows; i++) {
        struct revoked *row = &lists->rows[i];
        struct kt_x509_revoked *to = &lists->at[lists->wish.n];
        size_t len = 0;
        if (row->signer != signer || !revoked_stands(row, false, lists->wish.now_ms))
            continue;
        if (sodium_hex2bin(to->serial, sizeof to->serial, row->serial, strlen(row->serial), NULL, &len, NULL) != 0)
            return kt_fail(err, KT_CORRUPT, "a revoked certificate's serial number is none");
        to->serial_len = (unsigned)len;
        to->revoked_ms = row->revoked_ms;
        row->listed = true;
        lists->wish.n++;
    }
    return KT_OK;
}

uint64_t issue_next_number(const struct issuing *by, const char *member)
{
    struct kt_json old = {0};
    int64_t number = 0;
    if (kt_json_member(by->old, member, &old) && kt_json_i64(old, &number) && number >= by->req->now_ms &&
        number < INT64_MAX)
        return (uint64_t)number + 1;
    return (uint64_t)by->req->now_ms;
}

static enum kt_kind add_list(void *arg, const struct issuer *issuer, struct kt_err *err)
{
    struct lists *lists = arg;
    KT_AUTO(kt_x509_issuer_close_at) struct kt_x509_issuer *by = NULL;
    enum kt_kind kind = kt_x509_issuer_open(issuer->key, issuer->certificate, issuer->chain, &by, err);
    if (kind == KT_OK)
        kind = take_revoked(lists, issuer->version, err);
    if (kind != KT_OK || kt_x509_issuer_until_ms(by) < lists->wish.now_ms)
        return kind; /* nobody believes what it signed, so nobody asks for its list */
    lists->n += lists->wish.n;
    lists->n_lists++;
    return kt_x509_crl_make(&lists->wish, by, lists->text, err);
}

static enum kt_kind load(struct lists *lists, struct kt_err *err)
{
    struct issuing *by = lists->by;
    enum kt_kind kind = revoked_load(by->req, by->settings->gen_issuer, &lists->rows, &lists->n_rows, err);
    if (kind != KT_OK)
        return kind;
    lists->at = kt_arena_take(&by->req->arena, (lists->n_rows + 1) * sizeof *lists->at);
    lists->wish.at = lists->at;
    return lists->at == NULL ? kt_fail(err, KT_NO_MEMORY, "making a revocation list") : KT_OK;
}

enum kt_kind x509_crl_make(struct issuing *by, struct kt_err *err)
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, CRLS_MAX);
    struct lists lists = {.by = by,
                          .wish = {.number = issue_next_number(by, "crl_number"),
                                   .now_ms = by->req->now_ms,
                                   .life_s = by->life_s},
                          .text = &text};
    enum kt_kind kind = load(&lists, err);
    if (kind == KT_OK)
        kind = issuer_each(by->req, by->settings->gen_issuer, add_list, &lists, err);
    if (kind == KT_OK)
        kind = revoked_all_listed(by->req, by->issuer.name, lists.rows, lists.n_rows, false, err);
    if (kind == KT_OK && lists.n_lists == 0)
        kind = kt_fail(err, KT_INVALID, "the issuer has ended: there is nothing to revoke");
    if (kind != KT_OK)
        return kind;
    issue_text(by, "crl", &text);
    kt_jsonw_kv_int(&by->w, "crl_number", (int64_t)lists.wish.number);
    kt_jsonw_kv_int(&by->w, "revoked", (int64_t)lists.n);
    kt_jsonw_kv_time(&by->w, "this_update", by->req->now_ms);
    kt_jsonw_kv_time(&by->w, "next_update", by->req->now_ms + by->life_s * 1000);
    by->text = kt_arena_printf(&by->req->arena, "a list of %zu revoked certificates, by %u versions of %.500s",
                               lists.n, lists.n_lists, by->issuer.name);
    return by->text == NULL ? kt_fail(err, KT_NO_MEMORY, "making a revocation list") : KT_OK;
}

void x509_crl_describe(const struct rotation_settings *s, struct kt_buf *out)
{
    (void)s;
    kt_buf_add_text(out, "a list of revoked certificates");
}
