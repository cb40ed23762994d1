#include "vaultd/auth/held.h"

#include "vaultd/barrier/format.h"
#include "vaultd/core/rows.h"

#define FORMAT 1u
#define PREFIX 33u

static void held_prefix(const unsigned char token[32], unsigned char key[PREFIX])
{
    key[0] = TABLE_HELD;
    memcpy(key + 1, token, 32);
}

static void held_key(const unsigned char token[32], const unsigned char what[HELD_WHAT],
                     unsigned char key[HELD_KEY])
{
    held_prefix(token, key);
    memcpy(key + PREFIX, what, HELD_WHAT);
}

static void read_1(struct kt_reader *r, void *ret)
{
    uint32_t *bytes = ret;
    *bytes = kt_read_u32(r);
}

static format_reader *const readers[] = {[FORMAT] = read_1};

struct held {
    uint64_t things, bytes;
};

static bool is_over(const struct core_config *config, const struct held *held)
{
    return (config->token_entries != 0 && held->things > config->token_entries) ||
           (config->token_storage != 0 && held->bytes > config->token_storage);
}

/* Besides the row with this key, and no further than it matters. */
static enum kt_kind count(struct request *req, struct kt_bytes key, struct held *held, struct kt_err *err)
{
    struct rows rows;
    enum kt_kind kind = KT_OK;
    rows_begin(&rows, req, kt_bytes(key.at, PREFIX), kt_bytes(NULL, 0), "counting what a token keeps");
    while (kind == KT_OK && !is_over(&req->core->config, held) && rows_next(&rows)) {
        uint32_t bytes = 0;
        if (kt_bytes_equal(rows.entry.key, key))
            continue;
        kind = FORMAT_READ("the size of what a token keeps", rows.entry.value, readers, &bytes, err);
        held->bytes += bytes;
        held->things++;
    }
    return rows_end(&rows, kind, err);
}

static enum kt_kind check_room(struct request *req, struct kt_bytes key, size_t bytes, struct kt_err *err)
{
    const struct core_config *config = &req->core->config;
    struct held held = {1, bytes};
    if (config->token_entries == 0 && config->token_storage == 0)
        return KT_OK;
    enum kt_kind kind = count(req, key, &held, err);
    if (kind != KT_OK || !is_over(config, &held))
        return kind;
    (void)kt_fail(err, KT_INVALID, "one token keeps at most %llu things and %llu bytes in its cubbyhole and in wrapped "
                  "answers", (unsigned long long)config->token_entries,
                  (unsigned long long)config->token_storage);
    kt_hint(err, "delete from the cubbyhole, unwrap or revoke what is wrapped; or change limits "
                 "{ max_token_entries max_token_storage } in the configuration");
    return KT_INVALID;
}

static enum kt_kind put(struct request *req, struct kt_bytes key, size_t bytes, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    unsigned char value[5] = {FORMAT};
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "noting what a token keeps");
    kt_put_u32(value + 1, (uint32_t)bytes);
    batch_put(batch, key, kt_bytes(value, sizeof value));
    return KT_OK;
}

enum kt_kind held_put(struct request *req, const unsigned char token[32],
                      const unsigned char what[HELD_WHAT], size_t bytes, struct kt_err *err)
{
    unsigned char key[HELD_KEY];
    held_key(token, what, key);
    enum kt_kind kind = check_room(req, kt_bytes(key, sizeof key), bytes, err);
    return kind == KT_OK ? put(req, kt_bytes(key, sizeof key), bytes, err) : kind;
}

enum kt_kind held_move(struct request *req, const unsigned char token[32],
                       const unsigned char what[HELD_WHAT], size_t bytes, struct kt_err *err)
{
    unsigned char key[HELD_KEY];
    held_key(token, what, key);
    return put(req, kt_bytes(key, sizeof key), bytes, err);
}

void held_delete(struct batch *batch, const unsigned char token[32], const unsigned char what[HELD_WHAT])
{
    unsigned char key[HELD_KEY];
    held_key(token, what, key);
    batch_delete(batch, kt_bytes(key, sizeof key));
}

enum kt_kind held_clear(struct job_step *step, const unsigned char token[32], bool *ret_all,
                        struct kt_err *err)
{
    unsigned char prefix[PREFIX];
    struct rows rows;
    held_prefix(token, prefix);
    rows_begin(&rows, step->req, kt_bytes(prefix, sizeof prefix), kt_bytes(NULL, 0),
               "clearing what a token kept");
    while (step->room > 0 && rows_next(&rows)) {
        batch_delete(step->batch, rows.entry.key);
        step->room--;
    }
    *ret_all = rows.error == STORE_NOT_FOUND;
    return rows_end(&rows, KT_OK, err);
}
