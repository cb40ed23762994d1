/* cli/move_pair.c - see cli/move_pair.h. */
#include "cli/move_pair.h"

#include "cli/move_write.h"

#define MARK "keyturn-import"

struct kt_json identity_member(struct kt_json object, const char *name)
{
    struct kt_json value = {0};
    (void)kt_json_member(object, name, &value);
    return value;
}

enum kt_kind identity_find(struct kt_api *api, const char *noun, const char *name, struct kt_api_reply *reply,
                           struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, MOVE_IDENTITY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "name", name);
    kt_jsonw_end(&w);
    if (!kt_buf_ok(&body))
        return kt_fail(err, KT_NO_MEMORY, "looking for it");
    enum kt_kind kind = move_post(api, kt_buf_bytes(&body), reply, err, "identity/lookup/%s", noun);
    return kind == KT_OK && reply->data.at == NULL ? KT_NOT_FOUND : kind;
}

enum kt_kind identity_write(struct move_run *run, const char *path, const struct kt_buf *body, struct kt_err *err)
{
    if (!kt_buf_ok(body))
        return kt_fail(err, KT_TOO_LARGE, "it is too large");
    enum kt_kind kind = move_write(run, run->destination, MOVE_AGAIN, kt_buf_bytes(body), err, "%s", path);
    if (kind == KT_PRECONDITION)
        err->kind = kind = KT_DENIED;
    return kind;
}

void pair_init(struct pair *pair, const struct move_sort *sort)
{
    pair->sort = sort;
    kt_api_reply_init(&pair->source);
    kt_api_reply_init(&pair->here);
}

void pair_free(struct pair *pair)
{
    kt_api_reply_free(&pair->source);
    kt_api_reply_free(&pair->here);
}

static enum kt_kind look_here(struct move_run *run, struct pair *pair, struct kt_err *err)
{
    enum kt_kind kind = identity_find(run->destination, pair->sort->noun, pair->name, &pair->here, err);
    pair->is_here = kind == KT_OK;
    if (kind == KT_OK && !kt_api_text(pair->here.data, "id", pair->id, sizeof pair->id))
        return kt_fail(err, KT_CORRUPT, "its id cannot be read");
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

enum kt_kind pair_look(struct move_run *run, const char *id, struct pair *pair, struct kt_err *err)
{
    enum kt_kind kind = move_get(run->source, &pair->source, err, "%s/id/%s", pair->sort->path, id);
    if (kind == KT_OK && !kt_api_text(pair->source.data, "name", pair->name, sizeof pair->name))
        return kt_fail(err, KT_CORRUPT, "its name cannot be read");
    return kind == KT_OK ? look_here(run, pair, err) : kind;
}

bool pair_is_half(struct kt_json source, struct kt_json here)
{
    struct kt_json mark = identity_member(identity_member(here, "metadata"), MARK);
    return kt_json_type(mark) == KT_JSON_STRING && kt_json_equal(mark, identity_member(source, "id"));
}

enum kt_kind pair_make_half(struct move_run *run, struct pair *pair, struct kt_err *err)
{
    static const struct move_field fields[] = {{"name", NULL}, {"type", NULL}, {"disabled", NULL}, {NULL, NULL}};
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, MOVE_IDENTITY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    move_fields_write(&w, pair->source.data, fields);
    kt_jsonw_key(&w, "metadata");
    kt_jsonw_object(&w);
    kt_jsonw_kv_raw(&w, MARK, kt_json_bytes(identity_member(pair->source.data, "id")));
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    enum kt_kind kind = identity_write(run, pair->sort->path, &body, err);
    return kind == KT_OK && !run->dry ? look_here(run, pair, err) : kind;
}
