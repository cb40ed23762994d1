/* cli/move_kv.c - see cli/move_kv.h. */
#include "cli/move_kv.h"

#include <stdio.h>

#include "cli/cli.h"
#include "cli/move_history.h"
#include "cli/move_plain.h"
#include "cli/move_write.h"
#include "lib/clock.h"
#include "lib/jsonw.h"

#define CHUNK_VERSIONS 20u
#define CHUNK_BYTES    ((size_t)700 * 1024)
#define CHUNK_NODES    8000u /* a vault takes 20,000 in one body */
#define BODY_MAX       ((size_t)40 * 1024 * 1024)
#define TRIES          4u

#define NAME_MAX_LEN (KT_API_PATH_MAX + 300u)
static void full_name(const struct move_kv *kv, const char *path, char out[NAME_MAX_LEN])
{
    (void)snprintf(out, NAME_MAX_LEN, "%s%s", kv->mount->path, path);
}

/* KT_OK also when there is none. */
static enum kt_kind history_of(struct kt_api *api, const struct kt_api_mount *mount, const char *path,
                               struct move_history *ret, struct kt_err *err)
{
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    *ret = (struct move_history){0};
    enum kt_kind kind = move_get(api, &reply, err, "%smetadata/%s", mount->path, path);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    return kind == KT_OK ? move_history_read(reply.data, ret, err) : kind;
}

enum kt_kind move_kv_value(struct kt_api *api, const struct kt_api_mount *mount, const char *path, uint32_t number,
                           struct kt_api_reply *reply, struct kt_json *ret, struct kt_err *err)
{
    char full[NAME_MAX_LEN + 8];
    char query[40];
    (void)snprintf(full, sizeof full, "%sdata/%s", mount->path, path);
    (void)snprintf(query, sizeof query, "version=%u", number);
    struct kt_api_request request = {.method = "GET", .path = full, .query = query};
    enum kt_kind kind = move_call(api, &request, reply, err);
    if (kind == KT_OK && !kt_json_member(reply->data, "data", ret))
        return kt_fail(err, KT_CORRUPT, "the answer has no \"data\"");
    return kind;
}

/* ---- what is still to come, in pieces ---- */

struct piece {
    uint32_t cas;           /* what it comes behind; of the first that replaces: what it takes for current */
    bool replaces, makes;
    struct kt_buf versions; /* members of a JSON array */
    unsigned count;
    size_t nodes;
    uint32_t last;
    uint64_t valueless;
};

static void piece_free(struct piece *piece)
{
    kt_buf_free(&piece->versions);
}

/* For what comes behind it. */
static void piece_next(struct piece *piece)
{
    kt_buf_reset(&piece->versions);
    piece->cas = piece->last;
    piece->replaces = piece->makes = false;
    piece->count = 0;
    piece->nodes = 0;
    piece->valueless = 0;
}

/* Not fewer than there are: each but the first follows a comma. */
static size_t nodes_of(struct kt_bytes text)
{
    size_t count = 8;
    for (size_t i = 0; i < text.len; i++)
        count += text.at[i] == ',';
    return count;
}

static void piece_add(struct piece *piece, const struct move_version *v, struct kt_json value)
{
    if (piece->count > 0)
        kt_buf_add_char(&piece->versions, ',');
    struct kt_jsonw w = kt_jsonw(&piece->versions);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "version", v->number);
    kt_jsonw_kv_time(&w, "created_time", v->created_ms);
    kt_jsonw_kv_time(&w, "deletion_time", v->deletion_ms);
    kt_jsonw_kv_bool(&w, "destroyed", v->destroyed);
    if (value.at != NULL)
        kt_jsonw_kv_raw(&w, "data", kt_json_bytes(value));
    kt_jsonw_end(&w);
    piece->count++;
    piece->nodes += nodes_of(kt_json_bytes(value));
    piece->last = v->number;
    piece->valueless += value.at == NULL && !v->destroyed;
}

void move_kv_settings(struct kt_jsonw *w, const struct move_history *h)
{
    char after[KT_TIME_TEXT + 16];
    (void)snprintf(after, sizeof after, "%jds", (intmax_t)(h->delete_after_ms < 0 ? -1 : h->delete_after_ms / 1000));
    kt_jsonw_kv_int(w, "max_versions", h->max_versions);
    kt_jsonw_kv_bool(w, "cas_required", h->cas_required);
    kt_jsonw_kv_text(w, "delete_version_after", after);
    kt_jsonw_kv_raw(w, "custom_metadata", kt_buf_bytes(&h->custom));
}

static enum kt_kind send(const struct move_kv *kv, const char *path, const struct move_history *source,
                         struct piece *piece, struct kt_err *err)
{
    char other[NAME_MAX_LEN + 16];
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "cas", piece->cas);
    if (piece->replaces)
        kt_jsonw_kv_bool(&w, "replace", true);
    kt_jsonw_kv_time(&w, "created_time", source->created_ms);
    kt_jsonw_kv_time(&w, "updated_time", source->updated_ms);
    move_kv_settings(&w, source);
    kt_jsonw_key(&w, "versions");
    kt_jsonw_array(&w);
    kt_jsonw_raw(&w, kt_buf_bytes(&piece->versions));
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    if (!kt_buf_ok(&body))
        return kt_fail(err, KT_TOO_LARGE, "its versions are too large");
    (void)snprintf(other, sizeof other, "%smetadata/%s", kv->mount->path, path);
    enum kt_kind kind = move_write(kv->run, kv->destination, MOVE_SUDO | (piece->makes ? MOVE_MAKES : 0),
                                   kt_buf_bytes(&body), err, "%simport/%s", kv->mount->path, path);
    if (kind == KT_OK && kv->run->dry && piece->replaces) /* it asks for that right, too */
        kind = move_remove(kv->run, kv->destination, other, err);
    if (kind != KT_OK)
        return kind;
    move_add(kv->run, MOVE_VERSIONS, piece->count);
    move_add(kv->run, MOVE_VALUELESS, piece->valueless);
    piece_next(piece);
    return KT_OK;
}

enum kt_kind move_kv_fetch(const struct move_kv *kv, const char *path, const struct move_version *v,
                           struct kt_api_reply *reply, struct kt_json *ret, struct kt_err *err)
{
    *ret = (struct kt_json){0};
    if (v->destroyed)
        return KT_OK;
    enum kt_kind kind = move_kv_value(kv->source, kv->mount, path, v->number, reply, ret, err);
    if (kind != KT_NOT_FOUND)
        return kind;
    return v->deletion_ms != 0 ? KT_OK : kt_fail(err, KT_UNKNOWN, "the secret changes while it is copied");
}

static bool is_full(const struct piece *piece, size_t more)
{
    return piece->count > 0 && (piece->count == CHUNK_VERSIONS || piece->nodes > CHUNK_NODES ||
                                piece->versions.len + more > CHUNK_BYTES);
}

/* All versions behind those that the destination has, or all in their place: they go with the first piece.
 * The settings come with each piece, so at least one is sent. */
static enum kt_kind append(const struct move_kv *kv, const char *path, const struct move_history *source,
                           const struct move_history *here, bool replaces, struct kt_err *err)
{
    KT_AUTO(piece_free) struct piece piece = {.cas = here->current, .replaces = replaces, .makes = !here->exists};
    kt_autoapireply struct kt_api_reply reply;
    bool sent = false;
    kt_buf_init(&piece.versions, BODY_MAX);
    kt_api_reply_init(&reply);
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; kind == KT_OK && i < source->count; i++) {
        const struct move_version *v = &source->versions[i];
        struct kt_json value = {0};
        if (!replaces && v->number <= here->current)
            continue;
        kind = move_kv_fetch(kv, path, v, &reply, &value, err);
        if (kind == KT_OK && is_full(&piece, value.len)) {
            kind = send(kv, path, source, &piece, err);
            sent = true;
        }
        if (kind == KT_OK)
            piece_add(&piece, v, value);
    }
    bool more = piece.count > 0 || !sent;
    return kind == KT_OK && more ? send(kv, path, source, &piece, err) : kind;
}

/* ---- states of versions that are there already ---- */

static enum kt_kind settle_one(const struct move_kv *kv, const char *path, const char *what, uint32_t number,
                               struct kt_err *err)
{
    char body[48];
    (void)snprintf(body, sizeof body, "{\"versions\":[%u]}", number);
    return move_write(kv->run, kv->destination, 0, kt_str(body), err, "%s%s/%s", kv->mount->path, what, path);
}

static enum kt_kind settle(const struct move_kv *kv, const char *path, const struct move_history *source,
                           const struct move_history *here, int64_t now_ms, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; kind == KT_OK && i < here->count; i++) {
        const struct move_version *mine = &here->versions[i];
        const struct move_version *v = move_history_find(source, mine->number);
        if (mine->destroyed || (v == NULL && !kv->run->plain))
            continue;
        if (v == NULL) { /* empty, in place of a number that the source has no more: move_plain_check() */
            kind = settle_one(kv, path, "destroy", mine->number, err);
            continue;
        }
        bool gone = move_version_deleted(v, now_ms), is_gone = move_version_deleted(mine, now_ms);
        if (v->destroyed)
            kind = settle_one(kv, path, "destroy", mine->number, err);
        else if (gone != is_gone)
            kind = settle_one(kv, path, gone ? "delete" : "undelete", mine->number, err);
    }
    return kind;
}

/* ---- one secret ---- */

/* Another secret stays until what comes in its place is at hand. */
static enum kt_kind write_over(const struct move_kv *kv, const char *path, const struct move_history *source,
                               const struct move_history *here, struct kt_err *err)
{
    return kv->run->plain ? move_plain_replace(kv, path, source, err) : append(kv, path, source, here, true, err);
}

static enum kt_kind write_behind(const struct move_kv *kv, const char *path, const struct move_history *source,
                                 const struct move_history *here, int64_t now_ms, struct kt_err *err)
{
    enum kt_kind kind = settle(kv, path, source, here, now_ms, err);
    if (kind != KT_OK)
        return kind;
    return kv->run->plain ? move_plain_append(kv, path, source, here, err)
                          : append(kv, path, source, here, false, err);
}

/* One look at both sides and what follows from it. KT_UNKNOWN: look again. */
static enum kt_kind step(const struct move_kv *kv, const char *path, bool *ret_wrote, struct kt_err *err)
{
    KT_AUTO(move_history_free) struct move_history source = {0};
    KT_AUTO(move_history_free) struct move_history here = {0};
    int64_t now_ms = kt_wall_ms(&kt_system_clock);
    enum kt_kind kind = history_of(kv->source, kv->mount, path, &source, err);
    if (kind == KT_OK)
        kind = history_of(kv->destination, kv->mount, path, &here, err);
    if (kind != KT_OK || !source.exists) /* it went meanwhile: there is nothing to take */
        return kind;
    enum move_relation relation = move_history_compare(&source, &here, kv->run->plain, now_ms);
    bool same = true;
    if (kv->run->plain && relation == MOVE_BEHIND)
        kind = move_plain_check(kv, path, &source, &here, now_ms, &same, err);
    if (kind != KT_OK || relation == MOVE_EQUAL)
        return kind;
    if (!same)
        relation = MOVE_OTHER;
    if (relation == MOVE_OTHER && !kv->run->replace) {
        (void)kt_fail(err, KT_CONFLICT, "another secret of that name is there already");
        kt_hint(err, "-replace writes over it, all its versions");
        return KT_CONFLICT;
    }
    *ret_wrote = true;
    return relation == MOVE_OTHER ? write_over(kv, path, &source, &here, err)
                                  : write_behind(kv, path, &source, &here, now_ms, err);
}

/* An answer that was lost, or somebody who wrote between look and write. */
static bool look_again(const struct kt_err *err)
{
    return err->kind == KT_UNKNOWN || strstr(err->what, "check-and-set parameter did not match") != NULL;
}

static enum kt_kind copy_versions(const struct move_kv *kv, const char *path, bool *ret_wrote,
                                  struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    for (unsigned i = 0; i < TRIES; i++) {
        *err = (struct kt_err){0};
        kind = step(kv, path, ret_wrote, err);
        if (kind == KT_OK || !look_again(err))
            break;
    }
    return kind;
}

/* KT_NOT_FOUND is none of the errors. */
static enum kt_kind value_v1(struct kt_api *api, const struct move_kv *kv, const char *path,
                             struct kt_api_reply *reply, struct kt_err *err)
{
    return move_get(api, reply, err, "%s%s", kv->mount->path, path);
}

static enum kt_kind copy_value(const struct move_kv *kv, const char *path, bool *ret_wrote, struct kt_err *err)
{
    kt_autoapireply struct kt_api_reply source, here;
    kt_api_reply_init(&source);
    kt_api_reply_init(&here);
    enum kt_kind kind = value_v1(kv->source, kv, path, &source, err);
    if (kind == KT_NOT_FOUND) /* it went meanwhile */
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    kind = value_v1(kv->destination, kv, path, &here, err);
    if (kind == KT_OK && kt_json_equal(source.data, here.data))
        return KT_OK;
    if (kind == KT_OK && !kv->run->replace) {
        (void)kt_fail(err, KT_CONFLICT, "another value is there already");
        kt_hint(err, "-replace writes over it");
        return KT_CONFLICT;
    }
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    *ret_wrote = true;
    unsigned makes = kind == KT_NOT_FOUND ? MOVE_MAKES : 0;
    kind = move_write(kv->run, kv->destination, MOVE_AGAIN | makes, kt_json_bytes(source.data), err, "%s%s", kv->mount->path, path);
    if (kind == KT_OK)
        move_add(kv->run, MOVE_VERSIONS, 1);
    return kind;
}

void move_kv_copy(const struct move_kv *kv, const char *path)
{
    struct kt_err err = {0};
    char name[NAME_MAX_LEN];
    bool wrote = false;
    if (move_stopped(kv->run))
        return;
    full_name(kv, path, name);
    enum kt_kind kind = kv->mount->version == 2 ? copy_versions(kv, path, &wrote, &err)
                                                : copy_value(kv, path, &wrote, &err);
    if (kind != KT_OK)
        move_refused(kv->run, name, &err);
    else
        move_add(kv->run, wrote ? MOVE_TAKEN : MOVE_SAME, 1);
}

/* ---- comparing ---- */

static enum kt_kind compare_values(const struct move_kv *kv, const char *path, const struct move_history *source,
                                   int64_t now_ms, bool *ret_equal, struct kt_err *err)
{
    kt_autoapireply struct kt_api_reply there, here;
    kt_api_reply_init(&there);
    kt_api_reply_init(&here);
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; kind == KT_OK && *ret_equal && i < source->count; i++) {
        const struct move_version *v = &source->versions[i];
        struct kt_json a = {0}, b = {0};
        if (v->destroyed || move_version_deleted(v, now_ms))
            continue;
        kind = move_kv_value(kv->source, kv->mount, path, v->number, &there, &a, err);
        if (kind == KT_OK)
            kind = move_kv_value(kv->destination, kv->mount, path, v->number, &here, &b, err);
        *ret_equal = kind == KT_OK && kt_json_equal(a, b);
    }
    return kind;
}

static enum kt_kind compare_versions(const struct move_kv *kv, const char *path, bool *ret_equal,
                                     struct kt_err *err)
{
    KT_AUTO(move_history_free) struct move_history source = {0};
    KT_AUTO(move_history_free) struct move_history here = {0};
    int64_t now_ms = kt_wall_ms(&kt_system_clock);
    enum kt_kind kind = history_of(kv->source, kv->mount, path, &source, err);
    if (kind == KT_OK)
        kind = history_of(kv->destination, kv->mount, path, &here, err);
    *ret_equal = kind == KT_OK && (!source.exists || move_history_compare(&source, &here, kv->run->plain, now_ms) == MOVE_EQUAL);
    return *ret_equal ? compare_values(kv, path, &source, now_ms, ret_equal, err) : kind;
}

static enum kt_kind compare_value(const struct move_kv *kv, const char *path, bool *ret_equal, struct kt_err *err)
{
    kt_autoapireply struct kt_api_reply source, here;
    kt_api_reply_init(&source);
    kt_api_reply_init(&here);
    enum kt_kind kind = value_v1(kv->source, kv, path, &source, err);
    if (kind == KT_OK)
        kind = value_v1(kv->destination, kv, path, &here, err);
    *ret_equal = kind == KT_OK && kt_json_equal(source.data, here.data);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

void move_kv_compare(const struct move_kv *kv, const char *path)
{
    struct kt_err err = {0};
    char name[NAME_MAX_LEN];
    bool equal = false;
    if (move_stopped(kv->run))
        return;
    full_name(kv, path, name);
    enum kt_kind kind = kv->mount->version == 2 ? compare_versions(kv, path, &equal, &err)
                                                : compare_value(kv, path, &equal, &err);
    if (kind == KT_OK && equal) {
        move_add(kv->run, MOVE_COMPARED, 1);
        return;
    }
    move_add(kv->run, MOVE_DIFFERENT, 1);
    if (kind == KT_OK)
        move_tell(kv->run, "different %s: it is not the same on both sides", name);
    else
        move_refused(kv->run, name, &err);
}
