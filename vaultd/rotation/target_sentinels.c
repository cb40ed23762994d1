#include "vaultd/rotation/target.h"

/* The Sentinels that a target's list of servers is compared with (sentinels.h). */

#define SENTINEL_PORT 26379u
#define HINT          "sentinels=redis1,redis2:26379 sentinel_master=NAME; none: sentinels="

static enum kt_kind refuse(struct kt_err *err, const char *text)
{
    (void)kt_fail(err, KT_INVALID, "%s", text);
    kt_hint(err, HINT);
    return KT_INVALID;
}

static bool is_there(const struct record_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->at[i], name) == 0)
            return true;
    return false;
}

static enum kt_kind parse(struct request *req, const struct string_list *list, struct rotation_target *t,
                          struct kt_err *err)
{
    struct record_list names = {.at = kt_arena_take(&req->arena, list->n * sizeof(char *))};
    if (names.at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading sentinels");
    for (size_t i = 0; i < list->n; i++) {
        struct driver_server server;
        enum kt_kind kind = kt_server_parse(kt_str(list->at[i]), SENTINEL_PORT, &req->arena, &server, err);
        if (kind == KT_OK && server.host[0] == '/')
            kind = refuse(err, "a Sentinel has a name or an address, and is no socket");
        if (kind != KT_OK) {
            kt_context(err, "sentinels, number %zu", i + 1);
            return kind;
        }
        if (is_there(&names, server.name))
            return kt_fail(err, KT_INVALID, "sentinels names %s twice", server.name);
        names.at[names.n++] = server.name;
    }
    t->sentinels = names;
    return KT_OK;
}

static enum kt_kind read_list(struct request *req, struct rotation_target *t, struct kt_err *err)
{
    struct string_list list = {.n = 0};
    enum kt_kind kind = request_list(req, "sentinels", true, &list, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    if (list.n == 0 || (list.n == 1 && list.at[0][0] == '\0')) {
        t->sentinels = (struct record_list){.n = 0};
        return KT_OK;
    }
    if (list.n > DRIVER_SERVERS_MAX)
        return kt_fail(err, KT_INVALID, "sentinels names %zu, a target has %u at most", list.n, DRIVER_SERVERS_MAX);
    return parse(req, &list, t, err);
}

/* A name as Redis allows it: it goes to whatever answers at that place. */
static bool is_master(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
    return len > 0 && len < DRIVER_NAME_MAX && name[len] == '\0';
}

static enum kt_kind check(const struct rotation_target *t, struct kt_err *err)
{
    const struct driver_info *info = kt_driver_info(t->driver);
    if (t->sentinels.n == 0)
        return t->sentinel_master[0] == '\0' ? KT_OK : refuse(err, "sentinel_master needs sentinels: whom to ask");
    if (info != NULL && !info->sentinels)
        return kt_fail(err, KT_INVALID, "driver %s has no Sentinels", t->driver);
    if (!is_master(t->sentinel_master))
        return refuse(err, "sentinels need sentinel_master: what they call the primary, letters, digits, '.', '-', '_'");
    if (t->nodes.n == 0)
        return refuse(err, "Sentinels check a list of servers: name them all as hosts");
    for (size_t i = 0; i < t->nodes.n; i++)
        if (t->nodes.at[i][0] == '/')
            return refuse(err, "a Sentinel knows servers by address: hosts names a socket");
    return KT_OK;
}

/* They are connected to from vaultd's machine, and who answers for them can hide a server that keeps the old
 * password. */
static enum kt_kind permit(const struct request *req, const struct rotation_target *before,
                           const struct rotation_target *t, struct kt_err *err)
{
    if (req->sudo || target_same_sentinels(before, t))
        return KT_OK;
    (void)kt_fail(err, KT_DENIED, "who is asked whether a target names all its servers is not said by everybody");
    kt_hint(err, "let somebody set sentinels and sentinel_master whose policy grants sudo on %s", req->path);
    return KT_DENIED;
}

enum kt_kind target_sentinels_read(struct request *req, const struct rotation_target *before,
                                   struct rotation_target *t, struct kt_err *err)
{
    const char *master = NULL;
    enum kt_kind kind = read_list(req, t, err);
    if (kind == KT_OK)
        kind = request_string(req, "sentinel_master", &master, err);
    if (kind == KT_OK)
        t->sentinel_master = master;
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (kind == KT_NOT_FOUND && t->sentinels.n == 0 && before->sentinels.n > 0) /* without them it has no meaning */
        t->sentinel_master = "";
    kind = check(t, err);
    return kind == KT_OK ? permit(req, before, t, err) : kind;
}

void target_sentinels_show(const struct rotation_target *target, struct kt_jsonw *w)
{
    kt_jsonw_key(w, "sentinels");
    kt_jsonw_array(w);
    for (size_t i = 0; i < target->sentinels.n; i++)
        kt_jsonw_text(w, target->sentinels.at[i]);
    kt_jsonw_end(w);
    kt_jsonw_kv_text(w, "sentinel_master", target->sentinel_master);
}
