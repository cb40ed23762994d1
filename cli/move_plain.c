/* cli/move_plain.c - see cli/move_plain.h. */
#include "cli/move_plain.h"

#include "cli/move_write.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/failpoint.h"
#include "lib/jsonw.h"

#define GAP_MAX    1000u
#define BODY_MAX   ((size_t)40 * 1024 * 1024)
#define MARKED_MAX 50u
#define HELD_MAX   ((size_t)64 * 1024 * 1024) /* of one secret's values */

/* ---- is it the same secret? ---- */

enum proof {
    PROOF_SAME,
    PROOF_EMPTY, /* as a move writes it in place of what the source does not show, before it is destroyed */
    PROOF_OPEN,  /* a value, where the source shows none any more */
    PROOF_OTHER
};

static enum kt_kind prove(const struct move_kv *kv, const char *path, const struct move_version *v,
                          uint32_t number, enum proof *ret, struct kt_err *err)
{
    struct kt_json here = {0}, there = {0};
    kt_autoapireply struct kt_api_reply a, b;
    kt_api_reply_init(&a);
    kt_api_reply_init(&b);
    enum kt_kind kind = move_kv_value(kv->destination, kv->mount, path, number, &b, &there, err);
    if (kind != KT_OK)
        return kind;
    bool empty = kt_json_type(there) == KT_JSON_OBJECT && kt_json_count(there) == 0;
    if (v != NULL && !v->destroyed)
        kind = move_kv_value(kv->source, kv->mount, path, number, &a, &here, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (here.at != NULL)
        *ret = kt_json_equal(here, there) ? PROOF_SAME : PROOF_OTHER;
    else if (empty)
        *ret = PROOF_EMPTY;
    else
        *ret = v == NULL ? PROOF_OTHER : PROOF_OPEN;
    return KT_OK;
}

enum kt_kind move_plain_check(const struct move_kv *kv, const char *path, const struct move_history *source,
                              const struct move_history *there, int64_t now_ms, bool *ret_same, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    bool proven = false, open = false;
    *ret_same = false;
    for (size_t i = 0; kind == KT_OK && i < there->count; i++) {
        const struct move_version *theirs = &there->versions[i];
        enum proof proof = PROOF_EMPTY;
        if (theirs->destroyed || move_version_deleted(theirs, now_ms))
            continue;
        const struct move_version *v = move_history_find(source, theirs->number);
        kind = prove(kv, path, v, theirs->number, &proof, err);
        if (proof == PROOF_OTHER)
            return kind;
        proven = proven || proof == PROOF_SAME;
        open = open || proof == PROOF_OPEN;
    }
    *ret_same = proven || !open;
    return kind;
}

/* ---- values ---- */

struct span {
    size_t at, len; /* len 0: there is no value */
};
struct held {
    const struct move_history *source;
    struct span *spans; /* one a version */
    struct kt_buf text;
};

static void held_free(struct held *held)
{
    free(held->spans);
    kt_buf_free(&held->text);
}

static enum kt_kind hold_one(const struct move_kv *kv, const char *path, struct held *held, size_t i, struct kt_err *err)
{
    struct kt_json value = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    enum kt_kind kind = move_kv_fetch(kv, path, &held->source->versions[i], &reply, &value, err);
    if (kind != KT_OK || value.at == NULL)
        return kind;
    held->spans[i] = (struct span){held->text.len, value.len};
    kt_buf_add_bytes(&held->text, kt_json_bytes(value));
    if (kt_buf_ok(&held->text))
        return KT_OK;
    if (!held->text.full)
        return kt_fail(err, KT_NO_MEMORY, "holding a secret's values");
    (void)kt_fail(err, KT_TOO_LARGE, "all values have to be at hand before another secret makes room, and these are "
                                     "more than %zu MiB", HELD_MAX / 1024 / 1024);
    kt_hint(err, "delete the other one there first");
    return KT_TOO_LARGE;
}

static enum kt_kind hold_all(const struct move_kv *kv, const char *path, const struct move_history *source,
                             struct held *ret, struct kt_err *err)
{
    *ret = (struct held){.source = source, .spans = kt_calloc(source->count + 1, sizeof *ret->spans)};
    kt_buf_init(&ret->text, HELD_MAX);
    enum kt_kind kind = ret->spans == NULL ? kt_fail(err, KT_NO_MEMORY, "holding a secret's values") : KT_OK;
    for (size_t i = 0; kind == KT_OK && i < source->count; i++)
        kind = hold_one(kv, path, ret, i, err);
    return kind;
}

/* Held, or else (NULL) as the source shows it now. */
static enum kt_kind value_of(const struct move_kv *kv, const char *path, const struct held *held,
                             const struct move_version *v, struct kt_api_reply *reply, struct kt_json *ret,
                             struct kt_err *err)
{
    if (held == NULL)
        return move_kv_fetch(kv, path, v, reply, ret, err);
    struct span span = held->spans[v - held->source->versions];
    *ret = (struct kt_json){0};
    if (span.len > 0)
        *ret = kt_json_value(kt_bytes(kt_buf_bytes(&held->text).at + span.at, span.len));
    return KT_OK;
}

/* ---- writing ---- */

/* Versions to be deleted or destroyed with one request. */
struct marks {
    const char *what;
    uint32_t numbers[MARKED_MAX];
    unsigned count;
};

static enum kt_kind mark_all(const struct move_kv *kv, const char *path, struct marks *marks, struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, 4096);
    if (marks->count == 0)
        return KT_OK;
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "versions");
    kt_jsonw_array(&w);
    for (unsigned i = 0; i < marks->count; i++)
        kt_jsonw_int(&w, marks->numbers[i]);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    marks->count = 0;
    return move_write(kv->run, kv->destination, MOVE_EITHER, kt_buf_bytes(&body), err, "%s%s/%s", kv->mount->path, marks->what, path);
}

static enum kt_kind mark(const struct move_kv *kv, const char *path, struct marks *marks, uint32_t number,
                         struct kt_err *err)
{
    marks->numbers[marks->count++] = number;
    return marks->count == MARKED_MAX ? mark_all(kv, path, marks, err) : KT_OK;
}

static enum kt_kind put(const struct move_kv *kv, const char *path, uint32_t number, struct kt_json value,
                        struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "options");
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "cas", (int64_t)number - 1);
    kt_jsonw_end(&w);
    kt_jsonw_kv_raw(&w, "data", value.at != NULL ? kt_json_bytes(value) : kt_str("{}"));
    kt_jsonw_end(&w);
    if (!kt_buf_ok(&body))
        return kt_fail(err, KT_TOO_LARGE, "version %u is too large", number);
    return move_write(kv->run, kv->destination, MOVE_EITHER, kt_buf_bytes(&body), err, "%sdata/%s", kv->mount->path, path);
}

/* The secret's own with `last`, else those for while its versions are written. */
static enum kt_kind write_settings(const struct move_kv *kv, const char *path, const struct move_history *source,
                                   bool last, int64_t after_ms, struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    struct move_history settings = *source;
    if (!last)
        move_history_first_settings(source, after_ms, &settings);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    move_kv_settings(&w, &settings);
    kt_jsonw_end(&w);
    return move_write(kv->run, kv->destination, MOVE_EITHER, kt_buf_bytes(&body), err, "%smetadata/%s", kv->mount->path, path);
}

static enum kt_kind write_one(const struct move_kv *kv, const char *path, const struct move_history *source,
                              const struct held *held, uint32_t number, struct marks *destroyed,
                              struct marks *deleted, struct kt_err *err)
{
    struct kt_json value = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    const struct move_version *v = move_history_find(source, number);
    enum kt_kind kind = v == NULL ? KT_OK : value_of(kv, path, held, v, &reply, &value, err);
    int64_t left_ms = value.at == NULL || v == NULL ? 0 : v->deletion_ms - kt_wall_ms(&kt_system_clock);
    if (kind == KT_OK && left_ms > 0) /* it is to delete itself then, there too */
        kind = write_settings(kv, path, source, false, left_ms < 1000 ? 1000 : left_ms, err);
    if (kind == KT_OK)
        kind = put(kv, path, number, value, err);
    if (kind == KT_OK && left_ms > 0)
        kind = write_settings(kv, path, source, false, -1, err);
    if (kind != KT_OK)
        return kind;
    if (v == NULL || v->destroyed)
        return mark(kv, path, destroyed, number, err);
    move_add(kv->run, MOVE_VERSIONS, 1);
    if (value.at != NULL)
        return KT_OK;
    move_add(kv->run, MOVE_VALUELESS, 1);
    return mark(kv, path, deleted, number, err);
}

/* Behind version `last`. */
static enum kt_kind check_gaps(const struct move_history *source, uint32_t last, struct kt_err *err)
{
    if (last >= source->current || source->current - last <= source->count ||
        source->current - last - source->count <= GAP_MAX)
        return KT_OK;
    return kt_fail(err, KT_INVALID,
                   "more than %u version numbers are missing in front, and plain writes cannot leave them out", GAP_MAX);
}

static enum kt_kind write_all(const struct move_kv *kv, const char *path, const struct move_history *source,
                              const struct held *held, uint32_t last, struct kt_err *err)
{
    struct marks destroyed = {.what = "destroy"}, deleted = {.what = "delete"};
    enum kt_kind kind = last < source->current ? write_settings(kv, path, source, false, -1, err) : KT_OK;
    for (uint32_t n = last + 1; kind == KT_OK && n <= source->current; n++)
        kind = write_one(kv, path, source, held, n, &destroyed, &deleted, err);
    if (kind == KT_OK)
        kind = mark_all(kv, path, &destroyed, err);
    if (kind == KT_OK)
        kind = mark_all(kv, path, &deleted, err);
    return kind == KT_OK ? write_settings(kv, path, source, true, 0, err) : kind;
}

enum kt_kind move_plain_append(const struct move_kv *kv, const char *path, const struct move_history *source,
                               const struct move_history *there, struct kt_err *err)
{
    enum kt_kind kind = check_gaps(source, there->current, err);
    return kind == KT_OK ? write_all(kv, path, source, NULL, there->current, err) : kind;
}

static enum kt_kind remove_other(const struct move_kv *kv, const char *path, struct kt_err *err)
{
    char full[KT_API_PATH_MAX + 320];
    (void)snprintf(full, sizeof full, "%smetadata/%s", kv->mount->path, path);
    return move_remove(kv->run, kv->destination, full, err);
}

enum kt_kind move_plain_replace(const struct move_kv *kv, const char *path, const struct move_history *source,
                                struct kt_err *err)
{
    KT_AUTO(held_free) struct held held = {0};
    enum kt_kind kind = check_gaps(source, 0, err);
    if (kind == KT_OK)
        kind = hold_all(kv, path, source, &held, err);
    if (kind == KT_OK)
        kind = remove_other(kv, path, err);
    return kind == KT_OK ? write_all(kv, path, source, &held, 0, err) : kind;
}
