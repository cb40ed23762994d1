#include "vaultd/core/jobs.h"
#include "vaultd/core/rows.h"
#include "vaultd/identity/entity.h"
#include "vaultd/identity/groups.h"
#include "vaultd/identity/login.h"

/* The aliases of an auth mount that was removed. No login and no look-up reaches them any more: the
 * mount's accessor is nobody's. What is done here is that they do not stay. */

#define ALIAS_ROOM 10u /* operations that taking one alias off takes */

enum kt_kind identity_mount_removed(struct core *core, struct batch *batch,
                                    const unsigned char scope[BARRIER_SCOPE], struct kt_err *err)
{
    unsigned char id[BARRIER_HASH_KEY];
    barrier_hash_key(core->barrier, TABLE_IDENTITY, kt_bytes(scope, BARRIER_SCOPE), id);
    return job_put(core, batch, JOB_ALIASES, id + 1, kt_bytes(scope, BARRIER_SCOPE), err);
}

static enum kt_kind forget_of_entity(struct request *req, const char *id,
                                     const unsigned char *scope, struct kt_err *err)
{
    struct entity old = {0};
    enum kt_kind kind = entity_find(req, id, false, &old, err);
    if (kind != KT_OK)
        return kind;
    struct entity new_ = old;
    new_.aliases = kt_arena_take(&req->arena, (old.n_aliases + 1) * sizeof *new_.aliases);
    new_.n_aliases = 0;
    if (new_.aliases == NULL)
        return kt_fail(err, KT_NO_MEMORY, "removing an alias");
    for (size_t i = 0; i < old.n_aliases; i++)
        if (memcmp(old.aliases[i].scope, scope, BARRIER_SCOPE) != 0)
            new_.aliases[new_.n_aliases++] = old.aliases[i];
    return entity_save(req, &old, 1, &new_, err);
}

static enum kt_kind forget_of_group(struct request *req, const char *id, struct kt_err *err)
{
    struct group old = {0};
    enum kt_kind kind = group_find(req, id, &old, err);
    if (kind != KT_OK)
        return kind;
    struct group new_ = old;
    new_.alias = (struct alias){0};
    new_.modify_index++;
    return group_save(req, &old, &new_, err);
}

static enum kt_kind forget(struct request *req, const struct entry *row,
                           const unsigned char *scope, struct kt_err *err)
{
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, IDENTITY_RECORD_MAX);
    enum index index = INDEX_COUNT;
    struct kt_bytes id = {0};
    enum kt_kind kind = rows_open(req, row, &plain, err);
    if (kind == KT_OK)
        kind = index_read(kt_buf_bytes(&plain), &index, &id, err);
    if (kind != KT_OK)
        return kind;
    const char *text = kt_arena_text(&req->arena, id);
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "removing an alias");
    kind = index == INDEX_ALIAS ? forget_of_entity(req, text, scope, err)
                                : forget_of_group(req, text, err);
    if (kind != KT_NOT_FOUND)
        return kind;
    batch_delete(req->batch, row->key);
    return KT_OK;
}

/* One mount a batch: an entity that has aliases of two of them would be written twice from one reading,
 * and the second would bring back what the first took away. */
enum kt_kind identity_job(struct job_step *step, struct kt_bytes subject, struct kt_err *err)
{
    if (subject.len != BARRIER_SCOPE)
        return kt_fail(err, KT_CORRUPT, "the job of a removed auth mount is damaged");
    if (step->of_identities)
        return KT_OK;
    step->of_identities = true;
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    index_mount_prefix(step->req->core, subject.at, prefix);
    struct rows rows;
    enum kt_kind kind = KT_OK;
    bool more = false;
    rows_begin(&rows, step->req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0),
               "reading the aliases of a removed auth mount");
    while (kind == KT_OK && !more && rows_next(&rows)) {
        more = step->room < ALIAS_ROOM;
        if (!more) {
            step->room -= ALIAS_ROOM;
            kind = forget(step->req, &rows.entry, subject.at, err);
        }
    }
    kind = rows_end(&rows, kind, err);
    step->done = kind == KT_OK && !more;
    return kind;
}
