#include <stdlib.h>

#include "vaultd/core/rows.h"
#include "vaultd/identity/own.h"

#define INFO_MAX     ((size_t)15 * 1024 * 1024)
#define RECORDS_HERE 2000u /* opened on the carrier's thread: some milliseconds */

void listing_begin(struct listing *listing, struct request *req, bool with_info)
{
    *listing = (struct listing){.req = req, .with_info = with_info};
    kt_buf_init(&listing->info, INFO_MAX);
}

bool listing_add(struct listing *listing, const char *key, struct kt_jsonw *ret)
{
    if (listing->n >= LISTED_MAX) {
        listing->more = true;
        return false;
    }
    listing->items = rows_room(listing->req, listing->items, listing->n, &listing->room,
                               sizeof *listing->items);
    const char *copy = kt_arena_text(&listing->req->arena, kt_str(key));
    if (listing->items == NULL || copy == NULL)
        return false;
    listing->items[listing->n++] = (struct listed){.key = copy, .at = listing->info.len};
    *ret = kt_jsonw(&listing->info);
    kt_jsonw_object(ret);
    return true;
}

void listing_added(struct listing *listing, struct kt_jsonw *w)
{
    struct listed *item = &listing->items[listing->n - 1];
    kt_jsonw_end(w);
    item->len = listing->info.len - item->at;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct listed *)a)->key, ((const struct listed *)b)->key);
}

static void write_info(struct listing *listing, struct kt_jsonw *w)
{
    kt_jsonw_key(w, "key_info");
    kt_jsonw_object(w);
    for (size_t i = 0; i < listing->n; i++)
        kt_jsonw_kv_raw(w, listing->items[i].key,
                        kt_bytes(listing->info.at + listing->items[i].at, listing->items[i].len));
    kt_jsonw_end(w);
}

static enum kt_kind write_listing(struct listing *listing, struct kt_err *err)
{
    if (!kt_buf_ok(&listing->info) || listing->req->arena.failed)
        return kt_fail(err, KT_NO_MEMORY, "the list is too long, or memory is out");
    if (listing->n == 0)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    qsort(listing->items, listing->n, sizeof *listing->items, by_key);
    struct kt_jsonw w = kt_jsonw(&listing->req->reply.data);
    kt_jsonw_object(&w);
    if (listing->with_info)
        write_info(listing, &w);
    kt_jsonw_key(&w, "keys");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < listing->n; i++)
        kt_jsonw_text(&w, listing->items[i].key);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    if (listing->more)
        request_warn(listing->req, "only %u of them are listed", LISTED_MAX);
    return KT_OK;
}

enum kt_kind listing_end(struct listing *listing, enum kt_kind kind, struct kt_err *err)
{
    if (kind == KT_OK)
        kind = write_listing(listing, err);
    kt_buf_free(&listing->info);
    return kind;
}

enum kt_kind entities_walk(struct request *req, entity_fn *each, void *arg, bool *ret_aside,
                           struct kt_err *err)
{
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    struct kt_arena arena;
    struct rows rows;
    enum kt_kind kind = KT_OK;
    bool go_on = true;
    unsigned opened = 0;
    *ret_aside = false;
    kt_arena_init(&arena, IDENTITY_RECORD_MAX * 4);
    index_prefix(req->core, INDEX_ENTITY, prefix);
    rows_begin(&rows, req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0), "reading the entities");
    while (kind == KT_OK && go_on && rows_next(&rows)) {
        struct entity entity;
        *ret_aside = ++opened == RECORDS_HERE && request_aside(req);
        if (*ret_aside)
            break;
        kt_arena_reset(&arena);
        kind = entity_of_row(req, &rows.entry, &arena, &entity, err);
        if (kind == KT_OK)
            go_on = each(arg, &entity);
    }
    kind = rows_end(&rows, kind, err);
    kt_arena_free(&arena);
    return kind;
}
