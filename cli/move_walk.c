/* cli/move_walk.c - see cli/move_walk.h. */
#include "cli/move_walk.h"

#include <stdio.h>

#include "cli/move_side.h"

#define FOLDERS_MAX ((size_t)256 * 1024 * 1024)

/* todo: folders still to come, each with its NUL; the last one is next. */
static void push(struct kt_buf *todo, struct kt_bytes folder, struct kt_bytes name)
{
    kt_buf_add_bytes(todo, folder);
    kt_buf_add_bytes(todo, name);
    kt_buf_add_char(todo, '\0');
}

static bool pop(struct kt_buf *todo, struct kt_buf *ret)
{
    kt_buf_reset(ret);
    if (todo->len == 0)
        return false;
    size_t end = todo->len - 1, start = end;
    while (start > 0 && todo->at[start - 1] != '\0')
        start--;
    kt_buf_add(ret, todo->at + start, end - start);
    todo->len = start;
    return kt_buf_ok(ret);
}

static enum kt_kind list(const struct move_walk *walk, const char *folder, struct kt_api_reply *reply,
                         struct kt_err *err)
{
    char path[KT_API_PATH_MAX + 300];
    const char *part = walk->mount->version == 2 ? "metadata/" : "";
    int n = snprintf(path, sizeof path, "%s%s%s", walk->mount->path, part, folder);
    if (n < 0 || (size_t)n >= sizeof path)
        return kt_fail(err, KT_INVALID, "the path is too long");
    struct kt_api_request request = {.method = "LIST", .path = path};
    return move_call(walk->api, &request, reply, err);
}

/* A name in a list is one part of a path, with a '/' behind it where it is a folder: what a vault answers
 * leads nowhere else. */
static bool is_name(struct kt_bytes name)
{
    size_t len = name.len > 0 && name.at[name.len - 1] == '/' ? name.len - 1 : name.len;
    struct kt_bytes part = kt_bytes(name.at, len);
    return len > 0 && memchr(part.at, '/', len) == NULL && memchr(part.at, '\0', len) == NULL &&
           !kt_bytes_equal(part, kt_str(".")) && !kt_bytes_equal(part, kt_str(".."));
}

/* False: enough. */
static bool take_names(const struct move_walk *walk, struct kt_bytes folder, struct kt_json keys,
                       struct kt_buf *todo)
{
    struct kt_json_iter it = kt_json_iter(keys);
    while (kt_json_next(&it)) {
        kt_autobuf struct kt_buf name = {0};
        kt_autobuf struct kt_buf path = {0};
        kt_buf_init(&name, it.value.len + 1);
        kt_buf_init(&path, folder.len + it.value.len + 1);
        if (!kt_json_string(it.value, &name) || !is_name(kt_buf_bytes(&name))) {
            struct kt_err err = {0};
            (void)kt_fail(&err, KT_CORRUPT, "a name in its list is no name of a secret or folder");
            kt_buf_add_bytes(&path, folder);
            walk->denied(walk->arg, kt_buf_text(&path), &err);
            continue;
        }
        kt_buf_add_bytes(&path, folder);
        kt_buf_add_bytes(&path, kt_buf_bytes(&name));
        if (name.at[name.len - 1] == '/')
            push(todo, folder, kt_buf_bytes(&name));
        else if (!walk->found(walk->arg, kt_buf_text(&path)))
            return false;
    }
    return true;
}

static enum kt_kind walk_folders(const struct move_walk *walk, struct kt_buf *todo, struct kt_err *err)
{
    kt_autobuf struct kt_buf folder = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&folder, KT_HTTP_PATH_MAX);
    kt_api_reply_init(&reply);
    while (pop(todo, &folder)) {
        struct kt_json keys = {0};
        enum kt_kind kind = list(walk, kt_buf_text(&folder), &reply, err);
        if (kind == KT_NOT_FOUND)
            continue;
        if (kind != KT_OK && move_ends_all(err))
            return kind;
        if (kind != KT_OK) {
            walk->denied(walk->arg, kt_buf_text(&folder), err);
            continue;
        }
        (void)kt_json_member(reply.data, "keys", &keys);
        if (!take_names(walk, kt_buf_bytes(&folder), keys, todo))
            return KT_OK;
    }
    bool whole = kt_buf_ok(todo) && kt_buf_ok(&folder);
    return whole ? KT_OK : kt_fail(err, KT_TOO_LARGE, "there are too many folders, or a path is too long");
}

/* Is there a secret of this very name? */
static enum kt_kind look(const struct move_walk *walk, const char *path, struct kt_err *err)
{
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    return move_get(walk->api, &reply, err, "%s%s%s", walk->mount->path,
                    walk->mount->version == 2 ? "metadata/" : "", path);
}

enum kt_kind move_walk(const struct move_walk *walk, const char *prefix, struct kt_err *err)
{
    size_t len = strlen(prefix);
    bool exact = len > 0 && prefix[len - 1] != '/';
    kt_autobuf struct kt_buf todo = {0};
    kt_buf_init(&todo, FOLDERS_MAX);
    if (exact) {
        enum kt_kind kind = look(walk, prefix, err);
        if (kind != KT_OK && kind != KT_NOT_FOUND)
            return kind;
        if (kind == KT_OK && !walk->found(walk->arg, prefix))
            return KT_OK;
    }
    push(&todo, kt_bytes(prefix, len), exact ? kt_str("/") : kt_bytes(NULL, 0));
    return walk_folders(walk, &todo, err);
}
