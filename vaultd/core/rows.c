#include "vaultd/core/rows.h"

#include "vaultd/core/core.h"

#define ROOM_FIRST 16u

void rows_begin(struct rows *rows, struct request *req, struct kt_bytes prefix, struct kt_bytes from,
                const char *doing)
{
    *rows = (struct rows){.doing = doing};
    rows->error = cursor_open(req->snapshot, prefix, from, &rows->cursor);
}

bool rows_next(struct rows *rows)
{
    if (rows->error == STORE_OK)
        rows->error = cursor_next(rows->cursor, &rows->entry);
    return rows->error == STORE_OK;
}

enum kt_kind rows_end(struct rows *rows, enum kt_kind kind, struct kt_err *err)
{
    cursor_close(rows->cursor);
    rows->cursor = NULL;
    if (kind != KT_OK || rows->error == STORE_OK || rows->error == STORE_NOT_FOUND)
        return kind;
    return kt_fail(err, KT_IO, "%s: %s", rows->doing, store_error_text(rows->error));
}

enum kt_kind rows_open(struct request *req, const struct entry *entry, struct kt_buf *plain,
                       struct kt_err *err)
{
    kt_buf_reset(plain);
    return barrier_open_entry(req->core->barrier, entry->key, entry->value, plain, err);
}

void *rows_room(struct request *req, void *all, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return all;
    size_t most = *room == 0 ? ROOM_FIRST : *room * 2;
    void *more = kt_arena_take(&req->arena, most * size);
    if (more == NULL)
        return NULL;
    if (n > 0)
        memcpy(more, all, n * size);
    *room = most;
    return more;
}
