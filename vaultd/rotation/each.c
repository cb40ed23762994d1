#include "vaultd/rotation/each.h"

#include "vaultd/core/mounts.h"
#include "vaultd/core/rows.h"

#define HERE      500u /* more of them go aside */
#define PLAIN_MAX ((size_t)64 * 1024)
#define ARENA_MAX ((size_t)256 * 1024)

struct walk {
    struct request *req;
    secret_visit *visit;
    void *arg;
    struct kt_buf plain;
    struct kt_arena arena; /* of the one that is visited */
    unsigned n;
    bool aside;
};

static enum kt_kind visit_row(struct walk *w, const struct entry *entry, struct kt_err *err)
{
    struct rotation_secret secret;
    kt_arena_reset(&w->arena);
    enum kt_kind kind = rows_open(w->req, entry, &w->plain, err);
    if (kind == KT_OK)
        kind = record_read(&secret_kind, kt_buf_bytes(&w->plain), &w->arena, &secret, err);
    if (kind == KT_OK)
        kind = w->visit(w->arg, &secret, err);
    if (kind == KT_OK)
        w->aside = ++w->n == HERE && request_aside(w->req);
    return kind;
}

static enum kt_kind visit_mount(struct walk *w, const struct mount *mount, struct kt_err *err)
{
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    enum kt_kind kind = KT_OK;
    struct rows rows;
    secrets_prefix(w->req->core, mount->scope, prefix);
    rows_begin(&rows, w->req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0),
               "looking at what is rotated");
    while (kind == KT_OK && !w->aside && rows_next(&rows))
        kind = visit_row(w, &rows.entry, err);
    return rows_end(&rows, kind, err);
}

enum kt_kind secrets_each(struct request *req, secret_visit *visit, void *arg, bool *ret_aside,
                          struct kt_err *err)
{
    const struct mount *const *mounts = NULL;
    size_t n = mounts_all(req, &mounts);
    struct walk w = {.req = req, .visit = visit, .arg = arg};
    enum kt_kind kind = KT_OK;
    kt_buf_init(&w.plain, PLAIN_MAX);
    kt_arena_init(&w.arena, ARENA_MAX);
    for (size_t i = 0; i < n && kind == KT_OK && !w.aside; i++)
        if (strcmp(mounts[i]->type, "kv") == 0)
            kind = visit_mount(&w, mounts[i], err);
    kt_buf_free(&w.plain);
    kt_arena_free(&w.arena);
    *ret_aside = w.aside;
    return kind;
}
