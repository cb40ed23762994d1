#include <stdlib.h>

#include "vaultd/core/rows.h"
#include "vaultd/identity/own.h"

#define INFO_PAGE    ((size_t)12 * 1024 * 1024) /* said of the keys of one page */
#define INFO_MAX     (2 * INFO_PAGE + IDENTITY_RECORD_MAX * 2)

enum kt_kind listing_begin(struct listing *listing, struct request *req, bool with_info, struct kt_err *err)
{
    int64_t limit = 0;
    *listing = (struct listing){.req = req, .with_info = with_info, .after = ""};
    kt_buf_init(&listing->info, INFO_MAX);
    enum kt_kind kind = request_string(req, "after", &listing->after, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_int(req, "limit", &limit, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    listing->wanted_less = limit > 0 && limit <= (int64_t)LISTED_MAX;
    listing->limit = listing->wanted_less ? (size_t)limit : LISTED_MAX;
    return KT_OK;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct listed *)a)->key, ((const struct listed *)b)->key);
}

/* How many of the first keys one page holds; at least one. */
static size_t page_of(const struct listing *listing)
{
    size_t n = 0, bytes = 0;
    while (n < listing->n && n < listing->limit) {
        bytes += listing->items[n].len;
        if (n > 0 && bytes > INFO_PAGE)
            break;
        n++;
    }
    return n;
}

/* Lets go of what is on a later page. */
static void shrink(struct listing *listing)
{
    if (listing->n == 0)
        return;
    qsort(listing->items, listing->n, sizeof *listing->items, by_key);
    size_t n = page_of(listing);
    if (n == listing->n)
        return;
    struct kt_buf kept;
    kt_buf_init(&kept, INFO_MAX);
    for (size_t i = 0; i < n; i++) {
        struct listed *item = &listing->items[i];
        size_t at = kept.len;
        kt_buf_add(&kept, listing->info.at + item->at, item->len);
        item->at = at;
    }
    kt_buf_free(&listing->info);
    listing->info = kept;
    listing->n = n;
    listing->last = listing->items[n - 1].key;
}

bool listing_add(struct listing *listing, const char *key, struct kt_jsonw *ret)
{
    if (strcmp(key, listing->after) <= 0 || (listing->last != NULL && strcmp(key, listing->last) > 0) ||
        listing->req->arena.failed || !kt_buf_ok(&listing->info))
        return false;
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
    if (listing->n >= 2 * listing->limit || listing->info.len > 2 * INFO_PAGE)
        shrink(listing);
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
    shrink(listing);
    if (!kt_buf_ok(&listing->info) || listing->req->arena.failed)
        return kt_fail(err, KT_NO_MEMORY, "listing identities");
    if (listing->n == 0)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
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
    if (listing->last != NULL && (!listing->wanted_less || listing->n < listing->limit))
        request_warn(listing->req, "these %zu are not all: after=%s lists those behind them", listing->n,
                     listing->last);
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
        *ret_aside = ++opened == LISTED_HERE && request_aside(req);
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
