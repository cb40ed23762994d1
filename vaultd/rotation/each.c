#include "vaultd/rotation/each.h"

#include "vaultd/core/mounts.h"
#include "vaultd/core/rows.h"

#define HERE      500u /* more of them go aside */
#define PLAIN_MAX ((size_t)64 * 1024)
#define ARENA_MAX ((size_t)256 * 1024)

struct walk {
    struct request *req;
    struct secrets_part *part;
    secret_visit *visit;
    void *arg;
    struct kt_buf plain;
    struct kt_arena arena; /* of the one that is visited */
    unsigned n;
};

bool secret_below(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);
    while (len > 0 && prefix[len - 1] == '/')
        len--;
    return strncmp(name, prefix, len) == 0 && (len == 0 || name[len] == '/' || name[len] == '\0');
}

static enum kt_kind visit_row(struct walk *w, const struct entry *entry, struct kt_err *err)
{
    struct rotation_secret secret;
    kt_arena_reset(&w->arena);
    enum kt_kind kind = rows_open(w->req, entry, &w->plain, err);
    if (kind == KT_OK)
        kind = record_read(&secret_kind, kt_buf_bytes(&w->plain), &w->arena, &secret, err);
    if (kind == KT_OK && secret_below(secret.name, w->part->below))
        kind = w->visit(w->arg, &secret, err);
    if (kind == KT_CORRUPT && w->part->passes) {
        w->part->unreadable++;
        kt_err_clear(err);
        kind = KT_OK;
    }
    if (kind == KT_OK)
        w->part->aside = ++w->n == HERE && request_aside(w->req);
    return kind;
}

/* A mount that is gone by now has its place in the order all the same. */
static bool has_part(const struct secrets_part *part, const struct mount *mount, const char **ret_after)
{
    size_t len = strlen(mount->path);
    bool in = strncmp(part->after, mount->path, len) == 0;
    *ret_after = in ? part->after + len : "";
    return strcmp(mount->type, "kv") == 0 && (in || strcmp(mount->path, part->after) > 0) &&
           (secret_below(mount->path, part->below) || secret_below(part->below, mount->path));
}

static enum kt_kind visit_mount(struct walk *w, const struct mount *mount, const char *after,
                                struct kt_err *err)
{
    unsigned char prefix[BARRIER_FOLDER_PREFIX], last[BARRIER_NAME_KEY];
    struct kt_bytes from = kt_bytes(last, after[0] != '\0' ? sizeof last : 0);
    enum kt_kind kind = KT_OK;
    struct rows rows;
    secrets_prefix(w->req->core, mount->scope, prefix);
    secret_key(w->req->core, mount->scope, after, last);
    rows_begin(&rows, w->req, kt_bytes(prefix, sizeof prefix), from, "looking at what is rotated");
    while (kind == KT_OK && !w->part->aside && !w->part->enough && rows_next(&rows))
        if (!kt_bytes_equal(rows.entry.key, from))
            kind = visit_row(w, &rows.entry, err);
    return rows_end(&rows, kind, err);
}

enum kt_kind secrets_each(struct request *req, struct secrets_part *part, secret_visit *visit, void *arg,
                          struct kt_err *err)
{
    const struct mount *const *mounts = NULL;
    const char *after = NULL;
    size_t n = mounts_all(req, &mounts);
    struct walk w = {.req = req, .part = part, .visit = visit, .arg = arg};
    enum kt_kind kind = KT_OK;
    kt_buf_init(&w.plain, PLAIN_MAX);
    kt_arena_init(&w.arena, ARENA_MAX);
    for (size_t i = 0; i < n && kind == KT_OK && !part->aside && !part->enough; i++)
        if (has_part(part, mounts[i], &after))
            kind = visit_mount(&w, mounts[i], after, err);
    kt_buf_free(&w.plain);
    kt_arena_free(&w.arena);
    return kind;
}
