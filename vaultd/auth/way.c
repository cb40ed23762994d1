#include "vaultd/auth/way.h"

#include "vaultd/auth/approle_role.h"
#include "vaultd/auth/named.h"
#include "vaultd/auth/token.h"
#include "vaultd/core/rows.h"

enum kt_kind way_clear_rows(struct job_step *step, struct kt_bytes prefix, bool *ret_all,
                            struct kt_err *err)
{
    struct rows rows;
    rows_begin(&rows, step->req, prefix, kt_bytes(NULL, 0), "removing what is left of a login");
    while (step->room > 0 && rows_next(&rows)) {
        batch_delete(step->batch, rows.entry.key);
        step->room--;
    }
    *ret_all = rows.error == STORE_NOT_FOUND;
    return rows_end(&rows, KT_OK, err);
}

/* Of tables whose keys go on with a scope. What is left by expiry goes when its time comes. */
static enum kt_kind clear_tables(struct job_step *step, const enum table *tables, size_t n,
                                 struct kt_bytes below, bool *ret_all, struct kt_err *err)
{
    unsigned char prefix[1 + BARRIER_SCOPE + APPROLE_ID];
    enum kt_kind kind = KT_OK;
    *ret_all = true;
    memcpy(prefix + 1, below.at, below.len);
    for (size_t i = 0; i < n && kind == KT_OK && *ret_all; i++) {
        prefix[0] = (unsigned char)tables[i];
        kind = way_clear_rows(step, kt_bytes(prefix, 1 + below.len), ret_all, err);
    }
    return kind;
}

enum kt_kind way_role_job(struct job_step *step, struct kt_bytes subject, struct kt_err *err)
{
    static const enum table tables[] = {TABLE_SECRET_ID, TABLE_SECRET_OF};
    if (subject.len != BARRIER_SCOPE + APPROLE_ID)
        return kt_fail(err, KT_CORRUPT, "the job of a role is damaged");
    bool all = false;
    enum kt_kind kind = clear_tables(step, tables, 2, subject, &all, err);
    step->done = kind == KT_OK && all;
    return kind;
}

enum kt_kind way_job(struct job_step *step, struct kt_bytes subject, struct kt_err *err)
{
    static const enum table tables[] = {TABLE_SECRET_ID, TABLE_SECRET_OF, TABLE_ROLE_ID};
    if (subject.len != BARRIER_SCOPE)
        return kt_fail(err, KT_CORRUPT, "the job of a way to log in is damaged");
    bool all = false;
    enum kt_kind kind = token_way_closed(step, subject.at, &all, err);
    if (kind == KT_OK && all)
        kind = clear_tables(step, tables, 3, subject, &all, err);
    for (enum named_kind of = 0; kind == KT_OK && all && of < NAMED_KINDS; of++) {
        unsigned char prefix[BARRIER_FOLDER_PREFIX];
        named_prefix(step->req->core, subject.at, of, prefix);
        kind = way_clear_rows(step, kt_bytes(prefix, sizeof prefix), &all, err);
    }
    step->done = kind == KT_OK && all;
    return kind;
}
