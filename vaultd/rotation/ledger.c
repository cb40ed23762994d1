#include "vaultd/rotation/ledger.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "vaultd/auth/token.h"
#include "vaultd/core/rows.h"
#include "vaultd/rotation/rotation.h"

#define RECORD_MAX 4096u
#define WAYS       4u

#define ROW(member, type, most) RECORD_ROW(struct reader, member, type, most)
#define ROWS_1                                                                                     \
    ROW(identity, RECORD_TEXT, 256),                                                               \
    ROW(accessor, RECORD_TEXT, 256),                                                               \
    ROW(host, RECORD_TEXT, 256),                                                                   \
    ROW(version, RECORD_U32, 0),                                                                   \
    ROW(at_ms, RECORD_I64, 1)
static const struct record_row rows_1[] = {ROWS_1};
static const struct record_row rows_2[] = {ROWS_1, ROW(heard_ms, RECORD_I64, 1)};
static const struct record_form forms[] = {RECORD_FORM(2, rows_2), RECORD_FORM(1, rows_1)};
const struct record_kind reader_kind = {"first read", forms, 2, sizeof(struct reader)};

/* Rows that are in the store or on their way: fingerprints in small buckets; the oldest of a bucket
 * makes room. Forgetting one only costs one more write of the same row. */
struct ledger {
    struct core *core;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    unsigned queued; /* guarded by lock */
    unsigned char key[crypto_shorthash_KEYBYTES];
    uint64_t known[LEDGER_KNOWN]; /* guarded by lock */
    unsigned turn;                /* guarded by lock */
};

struct ledger *ledger_new(struct core *core)
{
    struct ledger *ledger = kt_calloc(1, sizeof *ledger);
    if (ledger == NULL)
        return NULL;
    ledger->core = core;
    (void)pthread_mutex_init(&ledger->lock, NULL);
    (void)pthread_cond_init(&ledger->idle, NULL);
    crypto_shorthash_keygen(ledger->key);
    return ledger;
}

void ledger_free(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    (void)pthread_mutex_lock(&ledger->lock);
    while (ledger->queued > 0)
        (void)pthread_cond_wait(&ledger->idle, &ledger->lock);
    (void)pthread_mutex_unlock(&ledger->lock);
    (void)pthread_cond_destroy(&ledger->idle);
    (void)pthread_mutex_destroy(&ledger->lock);
    free(ledger);
}

static uint64_t fingerprint(const struct ledger *ledger, const unsigned char key[LEDGER_KEY])
{
    unsigned char hash[crypto_shorthash_BYTES];
    (void)crypto_shorthash(hash, key, LEDGER_KEY, ledger->key);
    uint64_t print = kt_get_u64(hash);
    return print == 0 ? 1 : print;
}

static uint64_t *bucket_of(struct ledger *ledger, uint64_t print)
{
    return &ledger->known[print % (LEDGER_KNOWN / WAYS) * WAYS];
}

/* True: it was there. False: it is now, and one more is queued. */
static bool known_or_add(struct ledger *ledger, uint64_t print)
{
    bool found = false;
    (void)pthread_mutex_lock(&ledger->lock);
    uint64_t *bucket = bucket_of(ledger, print);
    for (unsigned i = 0; i < WAYS; i++)
        found = found || bucket[i] == print;
    if (!found) {
        bucket[ledger->turn++ % WAYS] = print;
        ledger->queued++;
    }
    (void)pthread_mutex_unlock(&ledger->lock);
    return found;
}

struct queued_row {
    struct ledger *ledger;
    uint64_t print;
};

static void settle(struct ledger *ledger, uint64_t print, bool stored)
{
    (void)pthread_mutex_lock(&ledger->lock);
    uint64_t *bucket = bucket_of(ledger, print);
    for (unsigned i = 0; i < WAYS && !stored; i++)
        if (bucket[i] == print)
            bucket[i] = 0;
    if (--ledger->queued == 0)
        (void)pthread_cond_broadcast(&ledger->idle);
    (void)pthread_mutex_unlock(&ledger->lock);
}

static void row_done(void *arg, const struct commit_result *result)
{
    struct queued_row *row = arg;
    settle(row->ledger, row->print, result->error == STORE_OK);
    free(row);
}

static struct batch *make_batch(struct request *req, const unsigned char key[LEDGER_KEY],
                                const unsigned char head[LEDGER_KEY], uint32_t version)
{
    const struct reader reader = {.identity = token_identity(req->token),
                                  .accessor = req->token->accessor,
                                  .host = req->remote_address,
                                  .version = version,
                                  .at_ms = req->now_ms,
                                  .heard_ms = rotation_steady_ms(req->core->rotation)};
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    record_write(&reader_kind, &reader, &record);
    struct batch *batch = batch_new();
    if (batch == NULL || !kt_buf_ok(&record) ||
        barrier_put(req->core->barrier, batch, kt_bytes(key, LEDGER_KEY), kt_buf_bytes(&record),
                    NULL) != KT_OK) {
        batch_free(batch);
        return NULL;
    }
    batch_put(batch, kt_bytes(head, LEDGER_KEY), kt_bytes("\x01", 1));
    return batch;
}

void ledger_note(struct ledger *ledger, struct request *req, const unsigned char secret[RUN_ID],
                 uint32_t version)
{
    if (req->token == NULL)
        return;
    unsigned char key[LEDGER_KEY], head[LEDGER_KEY];
    ledger_key(req->core, secret, token_identity(req->token), version, key);
    uint64_t print = fingerprint(ledger, key);
    if (known_or_add(ledger, print))
        return;
    ledger_head(req->core, secret, head);
    struct queued_row *row = kt_malloc(sizeof *row);
    struct batch *batch = row == NULL ? NULL : make_batch(req, key, head, version);
    if (batch == NULL) {
        free(row);
        settle(ledger, print, false);
        return;
    }
    *row = (struct queued_row){ledger, print};
    store_commit(req->core->store, batch, row_done, row);
}

/* ---- reading it ---- */

static void begin_rows(struct request *req, const unsigned char secret[RUN_ID], struct rows *rows)
{
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    ledger_prefix(req->core, secret, prefix);
    rows_begin(rows, req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0),
               "reading who read a secret");
}

static enum kt_kind open_row(struct request *req, struct kt_bytes key, struct reader *ret,
                             struct kt_err *err)
{
    struct kt_bytes record;
    enum kt_kind kind = request_record(req, key, &record, NULL, err);
    if (kind == KT_OK)
        kind = record_read(&reader_kind, record, &req->arena, ret, err);
    if (kind == KT_OK && ret->heard_ms == 0) /* of format 1 */
        ret->heard_ms = ret->at_ms;
    return kind;
}

/* One identity's rows, which adjoin: what their keys tell. */
struct group {
    unsigned char name[BARRIER_NAME_KEY];
    bool any, read_it, went_on;
};

static enum kt_kind end_group(struct request *req, const struct group *group, uint32_t version,
                              bool (*each)(void *arg, const struct reader *reader), void *arg,
                              bool *ret_on, struct kt_err *err)
{
    if (!group->any || !group->read_it || group->went_on)
        return KT_OK;
    unsigned char key[LEDGER_KEY];
    memcpy(key, group->name, sizeof group->name);
    kt_put_be32(key + BARRIER_NAME_KEY, version);
    struct reader reader;
    enum kt_kind kind = open_row(req, kt_bytes(key, sizeof key), &reader, err);
    if (kind == KT_OK)
        *ret_on = each(arg, &reader);
    return kind;
}

enum kt_kind readers_behind(struct request *req, const unsigned char secret[RUN_ID],
                            uint32_t version, uint32_t newer,
                            bool (*each)(void *arg, const struct reader *reader), void *arg,
                            struct kt_err *err)
{
    unsigned char head[LEDGER_KEY];
    ledger_head(req->core, secret, head);
    struct rows rows;
    begin_rows(req, secret, &rows);
    enum kt_kind kind = KT_OK;
    struct group group = {.any = false};
    bool on = true;
    while (kind == KT_OK && on && rows_next(&rows)) {
        struct kt_bytes key = rows.entry.key;
        if (key.len != LEDGER_KEY || kt_bytes_equal(key, kt_bytes(head, sizeof head)))
            continue;
        if (!group.any || memcmp(group.name, key.at, sizeof group.name) != 0) {
            kind = end_group(req, &group, version, each, arg, &on, err);
            group = (struct group){.any = true};
            memcpy(group.name, key.at, sizeof group.name);
        }
        uint32_t number = kt_get_be32(key.at + BARRIER_NAME_KEY);
        group.read_it = group.read_it || number == version;
        group.went_on = group.went_on || number >= newer;
    }
    kind = rows_end(&rows, kind, err);
    return kind == KT_OK && on ? end_group(req, &group, version, each, arg, &on, err) : kind;
}

bool reader_is_there(struct request *req, const unsigned char secret[RUN_ID], const char *identity,
                     uint32_t version)
{
    unsigned char key[LEDGER_KEY];
    ledger_key(req->core, secret, identity, version, key);
    struct entry entry;
    return snapshot_get(req->snapshot, kt_bytes(key, sizeof key), &entry) == STORE_OK;
}

void reader_require(struct request *req, const unsigned char secret[RUN_ID], const char *identity,
                    uint32_t version, struct batch *batch)
{
    unsigned char key[LEDGER_KEY];
    ledger_key(req->core, secret, identity, version, key);
    batch_require(batch, KEY_PRESENT, kt_bytes(key, sizeof key), 0);
}

void readers_require(struct request *req, const unsigned char secret[RUN_ID], struct batch *batch)
{
    unsigned char head[LEDGER_KEY];
    ledger_head(req->core, secret, head);
    batch_require(batch, KEY_NOT_AFTER, kt_bytes(head, sizeof head),
                  snapshot_generation(req->snapshot));
}

enum kt_kind readers_forget(struct request *req, const unsigned char secret[RUN_ID],
                            uint32_t version, unsigned most, bool *ret_more, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    unsigned char head[LEDGER_KEY];
    ledger_head(req->core, secret, head);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "forgetting first reads");
    bool more = false;
    struct rows rows;
    begin_rows(req, secret, &rows);
    while (!more && rows_next(&rows)) {
        struct kt_bytes key = rows.entry.key;
        if (key.len != LEDGER_KEY || kt_bytes_equal(key, kt_bytes(head, sizeof head)) ||
            kt_get_be32(key.at + BARRIER_NAME_KEY) >= version)
            continue;
        more = most == 0;
        if (!more) {
            batch_delete(batch, key);
            most--;
        }
    }
    enum kt_kind kind = rows_end(&rows, KT_OK, err);
    if (kind == KT_OK)
        *ret_more = more;
    return kind;
}
