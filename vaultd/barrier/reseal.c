#include "vaultd/barrier/reseal.h"

#include "vaultd/barrier/inside.h"

#define PIECE_BYTES   ((size_t)256 * 1024) /* of rewritten values; one larger entry goes alone */
#define SUFFIX_BYTES  4u

static enum table_sealing sealing_of(unsigned char table)
{
    switch (table) { /* two tables with one byte do not compile */
#define X(name, byte, sealing, text)                                                               \
    case name:                                                                                     \
        return sealing;
        TABLES(X)
#undef X
    default:
        break;
    }
    return SEALED_TERM; /* what does not open then stops the walk instead of being lost */
}

static bool is_version(struct kt_bytes key)
{
    return key.len == BARRIER_NAME_KEY + SUFFIX_BYTES && kt_get_be32(key.at + BARRIER_NAME_KEY) != 0;
}

uint32_t reseal_term(struct kt_bytes key, struct kt_bytes value)
{
    enum table_sealing sealing = key.len == 0 ? SEALED_CLEAR : sealing_of(key.at[0]);
    bool by_term = sealing == SEALED_TERM || (sealing == SEALED_META && !is_version(key));
    return by_term ? entry_term(value) : 0;
}

static enum kt_kind rewrite(struct barrier *barrier, const struct entry *entry, struct batch *batch,
                            struct kt_err *err)
{
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, STORE_VALUE_MAX);
    enum kt_kind kind = barrier_open_entry(barrier, entry->key, entry->value, &plain, err);
    if (kind != KT_OK)
        return kind;
    batch_require(batch, KEY_CHANGED_AT, entry->key, entry->changed);
    kind = barrier_put(barrier, batch, entry->key, kt_buf_bytes(&plain), err);
    if (kind == KT_OK && batch_failed(batch))
        kind = kt_fail(err, KT_NO_MEMORY, "sealing an entry anew");
    return kind;
}

static enum kt_kind walk_on(struct barrier *barrier, struct cursor *cursor, uint32_t below,
                            unsigned rewrite_max, struct batch *batch, struct reseal *walk,
                            struct kt_err *err)
{
    struct entry entry;
    enum store_error found = STORE_OK;
    size_t bytes = 0;
    while (walk->looked_at < RESEAL_LOOK && (found = cursor_next(cursor, &entry)) == STORE_OK) {
        if (entry.key.len == walk->at_len && memcmp(entry.key.at, walk->at, walk->at_len) == 0)
            continue;
        uint32_t term = reseal_term(entry.key, entry.value);
        if (term != 0 && term < below) {
            if (walk->rewritten == rewrite_max ||
                (bytes != 0 && bytes + entry.value.len > PIECE_BYTES))
                return KT_OK;
            enum kt_kind kind = rewrite(barrier, &entry, batch, err);
            if (kind != KT_OK)
                return kind;
            bytes += entry.value.len;
            walk->rewritten++;
        }
        memcpy(walk->at, entry.key.at, entry.key.len);
        walk->at_len = entry.key.len;
        walk->looked_at++;
    }
    if (found != STORE_OK && found != STORE_NOT_FOUND)
        return barrier_store_failed(found, "reading the store", err);
    walk->whole = found == STORE_NOT_FOUND;
    return KT_OK;
}

enum kt_kind barrier_reseal(struct barrier *barrier, struct snapshot *snapshot, uint32_t below,
                            unsigned rewrite_max, struct batch *batch, struct reseal *walk,
                            struct kt_err *err)
{
    struct reseal next = *walk;
    next.looked_at = next.rewritten = 0;
    struct cursor *cursor = NULL;
    enum store_error error = cursor_open(snapshot, kt_bytes(NULL, 0),
                                         kt_bytes(next.at, next.at_len), &cursor);
    if (error != STORE_OK)
        return barrier_store_failed(error, "reading the store", err);
    enum kt_kind kind = walk_on(barrier, cursor, below, rewrite_max, batch, &next, err);
    cursor_close(cursor);
    if (kind == KT_OK)
        *walk = next;
    return kind;
}
