#include <sodium.h>

#include "vaultd/core/rows.h"
#include "vaultd/rotation/run.h"

#define RECORD_MAX ((size_t)16 * 1024)

#define ROW(member, type, most) RECORD_ROW(struct run_step, member, type, most)
static const struct record_row rows_1[] = {
    ROW(seq, RECORD_U32, 0),         ROW(kind, RECORD_ENUM, STEP_KIND_COUNT),
    ROW(name, RECORD_TEXT, 64),      ROW(ok, RECORD_BOOL, 1),
    ROW(text, RECORD_WORDS, 4096),    ROW(at_ms, RECORD_I64, 1),
    ROW(took_ms, RECORD_U32, 0),     ROW(count, RECORD_U32, 0),
    ROW(host, RECORD_TEXT, 1024),    ROW(service, RECORD_TEXT, 1024),
    ROW(version, RECORD_U32, 0),     ROW(stamp_ms, RECORD_I64, 1),
};
static const struct record_form forms[] = {RECORD_FORM(1, rows_1)};
const struct record_kind step_kind = {"step of a run", forms, 1, sizeof(struct run_step)};

#define X(name, text) [name] = (text),
static const char *const kind_texts[] = {STEP_KINDS(X)};
#undef X

const char *step_kind_text(enum step_kind kind)
{
    return kind_texts[kind];
}

static void digest_of(const struct run_step *step, unsigned char out[16])
{
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, NULL, 0, 16);
    const char *const texts[] = {kind_texts[step->kind], step->name, step->text, step->host,
                                 step->service, step->ok ? "1" : "0"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *text = texts[i] == NULL ? "" : texts[i];
        (void)crypto_generichash_update(&state, (const unsigned char *)text, strlen(text) + 1);
    }
    (void)crypto_generichash_final(&state, out, 16);
}

enum kt_kind step_add(struct request *req, struct run *run, struct run_step step,
                      struct kt_err *err)
{
    unsigned char digest[16];
    digest_of(&step, digest);
    bool repeat = run->next_seq > 0 && memcmp(digest, run->last_digest, sizeof digest) == 0;
    if (!repeat && run->next_seq >= (step.kind == STEP_ACK ? ACKS_MAX : STEPS_MAX))
        return KT_OK;
    if (!repeat) {
        run->last_step = ++run->next_seq;
        run->repeats = 0;
        memcpy(run->last_digest, digest, sizeof digest);
    }
    step.seq = run->last_step;
    step.at_ms = req->now_ms;
    step.count = ++run->repeats;
    if (run->n_added < STEPS_ADDED)
        run->added[run->n_added++] = step;
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, RECORD_MAX);
    record_write(&step_kind, &step, &record);
    if (batch == NULL || !kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing a run's step");
    unsigned char key[STEP_KEY];
    step_key(run->id, step.seq, key);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record),
                       err);
}

enum kt_kind steps_load(struct request *req, const unsigned char id[RUN_ID], uint32_t since,
                        struct run_step **ret, size_t *ret_n, struct kt_err *err)
{
    unsigned char from[STEP_KEY];
    step_key(id, since == UINT32_MAX ? since : since + 1, from);
    struct run_step *steps = kt_arena_take(&req->arena, STEPS_MAX * sizeof *steps);
    if (steps == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a run's steps");
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, RECORD_MAX);
    enum kt_kind kind = KT_OK;
    size_t n = 0;
    struct rows rows;
    rows_begin(&rows, req, kt_bytes(from, 1 + RUN_ID), kt_bytes(from, sizeof from),
               "reading a run's steps");
    while (kind == KT_OK && n < STEPS_MAX && rows_next(&rows)) {
        if (kt_get_be32(rows.entry.key.at + 1 + RUN_ID) == STEP_REPORT)
            break;
        kind = rows_open(req, &rows.entry, &plain, err);
        if (kind == KT_OK)
            kind = record_read(&step_kind, kt_buf_bytes(&plain), &req->arena, &steps[n++], err);
    }
    kind = rows_end(&rows, kind, err);
    if (kind != KT_OK)
        return kind;
    *ret = steps;
    *ret_n = n;
    return KT_OK;
}

void step_show(const struct run_step *step, struct kt_jsonw *w)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_int(w, "seq", step->seq);
    kt_jsonw_kv_text(w, "kind", step_kind_text(step->kind));
    kt_jsonw_kv_text(w, "name", step->name);
    kt_jsonw_kv_bool(w, "ok", step->ok);
    kt_jsonw_kv_text(w, "text", step->text);
    kt_jsonw_kv_time(w, "at", step->at_ms);
    kt_jsonw_kv_int(w, "took_ms", step->took_ms);
    kt_jsonw_kv_int(w, "count", step->count == 0 ? 1 : step->count);
    if (step->kind == STEP_ACK) {
        kt_jsonw_kv_text(w, "host", step->host);
        kt_jsonw_kv_text(w, "service", step->service);
        kt_jsonw_kv_int(w, "version", step->version);
    }
    kt_jsonw_end(w);
}
