#include "tests/support/store_load.h"

#include <stdio.h>

#define TABLE 1
#define PARTS 3u

static const unsigned char last_key[] = {2, 'l', 'a', 's', 't'};

static void make_key(uint32_t i, unsigned part, unsigned char out[6])
{
    out[0] = TABLE;
    /* Spread over the tree, as hashed names are. */
    kt_put_be32(out + 1, i * UINT32_C(2654435761));
    out[5] = (unsigned char)part;
}

/* Lengths from a few bytes to overflow pages. */
static size_t make_value(uint32_t i, unsigned part, unsigned char out[6000])
{
    size_t len = part == 1 && i % 16 == 0 ? 5000 : 20 + (i * 7 + part * 13) % 300;
    for (size_t n = 0; n < len; n++)
        out[n] = (unsigned char)(i + part * 3 + n * 5);
    kt_put_u32(out, i);
    return len;
}

struct batch *store_load_batch(uint32_t i)
{
    struct batch *batch = batch_new();
    if (batch == NULL)
        return NULL;
    unsigned char key[6], value[6000];
    for (unsigned part = 0; part < PARTS; part++) {
        make_key(i, part, key);
        size_t len = make_value(i, part, value);
        batch_require(batch, KEY_ABSENT, kt_bytes(key, sizeof key), 0);
        batch_put(batch, kt_bytes(key, sizeof key), kt_bytes(value, len));
    }
    if (i > STORE_LOAD_BACK) {
        make_key(i - STORE_LOAD_BACK, 2, key);
        batch_delete(batch, kt_bytes(key, sizeof key));
    }
    kt_put_u32(value, i);
    batch_put(batch, kt_bytes(last_key, sizeof last_key), kt_bytes(value, 4));
    batch_outcome(batch, kt_bytes(value, 4));
    return batch;
}

struct outcomes_seen {
    uint32_t next;  /* 0: none yet */
    generation at;
    bool gap;
};

static void see_outcome(void *arg, generation at, unsigned place, struct kt_bytes record)
{
    struct outcomes_seen *seen = arg;
    uint32_t i = record.len == 4 ? kt_get_u32(record.at) : 0;
    if ((seen->next != 0 && i != seen->next) || i == 0 || at < seen->at ||
        (at > seen->at && place != 0))
        seen->gap = true;
    seen->next = i + 1;
    seen->at = at;
}

static const char *check_batch(struct snapshot *snapshot, uint32_t i, uint32_t last,
                               generation *newest, char text[400])
{
    generation changed = 0;
    for (unsigned part = 0; part < PARTS; part++) {
        unsigned char key[6], value[6000];
        make_key(i, part, key);
        size_t len = make_value(i, part, value);
        struct entry entry;
        enum store_error error = snapshot_get(snapshot, kt_bytes(key, sizeof key), &entry);
        bool gone = part == 2 && i + STORE_LOAD_BACK <= last;
        if (error != (gone ? STORE_NOT_FOUND : STORE_OK)) {
            (void)snprintf(text, 400, "batch %u of %u, part %u: %s", i, last, part,
                           store_error_text(error));
            return text;
        }
        if (gone)
            continue;
        if (!kt_bytes_equal(entry.value, kt_bytes(value, len)) ||
            (changed != 0 && entry.changed != changed)) {
            (void)snprintf(text, 400, "batch %u of %u, part %u is torn", i, last, part);
            return text;
        }
        changed = entry.changed;
    }
    if (changed < *newest) {
        (void)snprintf(text, 400, "batch %u changed at %ju, an earlier one at %ju", i,
                       (uintmax_t)changed, (uintmax_t)*newest);
        return text;
    }
    *newest = changed;
    return NULL;
}

static const char *check_store(struct store *store, uint32_t acknowledged, uint32_t *ret_last,
                               char text[400])
{
    struct snapshot *snapshot = NULL;
    if (snapshot_begin(store, &snapshot) != STORE_OK)
        return "no snapshot";
    struct entry entry;
    enum store_error error =
        snapshot_get(snapshot, kt_bytes(last_key, sizeof last_key), &entry);
    uint32_t last = error == STORE_OK ? kt_get_u32(entry.value.at) : 0;
    generation newest = 0, at = snapshot_generation(snapshot);
    const char *wrong = NULL;
    if (last < acknowledged) {
        (void)snprintf(text, 400, "batch %u was acknowledged, the last one there is %u",
                       acknowledged, last);
        wrong = text;
    }
    for (uint32_t i = 1; i <= last && wrong == NULL; i++)
        wrong = check_batch(snapshot, i, last, &newest, text);
    snapshot_end(snapshot);
    struct outcomes_seen seen = {0};
    if (wrong == NULL && store_outcomes(store, 0, see_outcome, &seen) != STORE_OK)
        wrong = "outcomes cannot be read";
    if (wrong == NULL && (seen.gap || (last != 0 && seen.next != 0 && seen.next != last + 1) ||
                          (seen.next != 0 && seen.at != newest))) {
        (void)snprintf(text, 400, "outcomes: next %u at %ju, gap %d; last %u at %ju", seen.next,
                       (uintmax_t)seen.at, seen.gap, last, (uintmax_t)newest);
        wrong = text;
    }
    if (wrong == NULL && at != newest) {
        (void)snprintf(text, 400, "the head is at %ju, the newest change at %ju", (uintmax_t)at,
                       (uintmax_t)newest);
        wrong = text;
    }
    *ret_last = last;
    return wrong;
}

const char *store_load_check(const char *folder, uint32_t acknowledged, uint32_t *ret_last,
                             char text[400])
{
    struct store_config config = {.engine = STORE_LMDB, .path = folder};
    struct store *store = NULL;
    struct kt_err err = {0};
    if (store_open(&config, &store, &err) != KT_OK) {
        (void)snprintf(text, 400, "refused: %s", err.what);
        return text;
    }
    const char *wrong = check_store(store, acknowledged, ret_last, text);
    store_close(store);
    return wrong;
}
