#include "vaultd/rotation/target.h"

/* A target of several servers: which they are, and what each said it is. */

#define SEVERAL_HINT "all of them: hosts=db1,db2:5433; one alone again: hosts= host=db1"

static bool has_text(const char *text)
{
    return text[0] != '\0';
}

/* ---- as they are stored ---- */

/* ids: NULL, they say none. */
static size_t read_nodes(const struct record_list *names, const struct record_list *ids, struct kt_arena *arena,
                         struct target_node **ret)
{
    size_t n = names->n;
    struct target_node *nodes = n == 0 ? NULL : kt_arena_take(arena, n * sizeof *nodes);
    for (size_t i = 0; nodes != NULL && i < n; i++) {
        struct driver_server server;
        const char *id = ids == NULL ? "" : kt_arena_text(arena, kt_str(ids->at[i]));
        if (id == NULL || kt_server_parse(kt_str(names->at[i]), 1, arena, &server, NULL) != KT_OK)
            return 0;
        nodes[i] = (struct target_node){.name = server.name, .host = server.host, .port = server.port, .server_id = id};
    }
    *ret = nodes;
    return nodes == NULL ? 0 : n;
}

size_t target_nodes(const struct rotation_target *target, struct kt_arena *arena, struct target_node **ret)
{
    return read_nodes(&target->nodes, &target->node_ids, arena, ret);
}

size_t target_sentinels(const struct rotation_target *target, struct kt_arena *arena, struct target_node **ret)
{
    return read_nodes(&target->sentinels, NULL, arena, ret);
}

const char *target_nodes_text(const struct rotation_target *target, struct kt_arena *arena)
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, DRIVER_SERVERS_TEXT);
    for (size_t i = 0; i < target->nodes.n; i++)
        kt_buf_printf(&text, "%s%s", i == 0 ? "" : ",", target->nodes.at[i]);
    const char *kept = kt_buf_ok(&text) ? kt_arena_text(arena, kt_buf_bytes(&text)) : NULL;
    arena->failed = arena->failed || kept == NULL;
    return kept == NULL ? "" : kept;
}

static enum kt_kind check_list(const struct record_list *list, struct kt_arena *arena, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; i < list->n && kind == KT_OK; i++) {
        struct driver_server server;
        kind = kt_server_parse(kt_str(list->at[i]), 1, arena, &server, err);
    }
    return kind;
}

enum kt_kind target_nodes_check(const struct rotation_target *target, struct kt_arena *arena, struct kt_err *err)
{
    enum kt_kind kind = check_list(&target->nodes, arena, err);
    if (kind == KT_OK)
        kind = check_list(&target->sentinels, arena, err);
    if (kind == KT_NO_MEMORY)
        return kind;
    bool right = kind == KT_OK && target->nodes.n != 1 && target->nodes.n == target->node_ids.n;
    return right ? KT_OK : kt_fail(err, KT_CORRUPT, "the servers of target '%s' cannot be read", target->name);
}

static size_t index_of(const struct record_list *list, const char *name)
{
    size_t i = 0;
    while (i < list->n && strcmp(list->at[i], name) != 0)
        i++;
    return i;
}

enum kt_kind target_learn(struct request *req, struct rotation_target *target, const char *name,
                          const char *server_id, bool *news, struct kt_err *err)
{
    size_t i = index_of(&target->nodes, name);
    if (i == target->nodes.n || has_text(target->node_ids.at[i])) /* taken out meanwhile, or known */
        return KT_OK;
    const char *id = kt_arena_text(&req->arena, kt_str(server_id));
    if (id == NULL)
        return kt_fail(err, KT_NO_MEMORY, "noting what a server says it is");
    target->node_ids.at[i] = id;
    if (i == 0)
        target->server_id = id;
    *news = true;
    return KT_OK;
}

static bool same_list(const struct record_list *a, const struct record_list *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; i < a->n && same; i++)
        same = strcmp(a->at[i], b->at[i]) == 0;
    return same;
}

bool target_same_nodes(const struct rotation_target *a, const struct rotation_target *b)
{
    return same_list(&a->nodes, &b->nodes);
}

bool target_same_sentinels(const struct rotation_target *a, const struct rotation_target *b)
{
    return same_list(&a->sentinels, &b->sentinels) && strcmp(a->sentinel_master, b->sentinel_master) == 0;
}

void target_nodes_show(const struct rotation_target *target, struct kt_jsonw *w)
{
    kt_jsonw_key(w, "hosts");
    kt_jsonw_array(w);
    for (size_t i = 0; i < target->nodes.n; i++)
        kt_jsonw_text(w, target->nodes.at[i]);
    kt_jsonw_end(w);
}

void target_servers_show(const struct rotation_target *target, struct kt_jsonw *w)
{
    kt_jsonw_key(w, "servers");
    kt_jsonw_array(w);
    for (size_t i = 0; i < target->nodes.n; i++) {
        kt_jsonw_object(w);
        kt_jsonw_kv_text(w, "name", target->nodes.at[i]);
        kt_jsonw_kv_text(w, "server_id", target->node_ids.at[i]);
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
}

/* ---- as they are written ---- */

static enum kt_kind refuse(struct kt_err *err, const char *text)
{
    (void)kt_fail(err, KT_INVALID, "%s", text);
    kt_hint(err, SEVERAL_HINT);
    return KT_INVALID;
}

/* Of a server that was there before, what it said then. */
static const char *known_id(const struct rotation_target *before, const struct driver_server *server)
{
    size_t i = index_of(&before->nodes, server->name);
    if (i < before->nodes.n)
        return before->node_ids.at[i];
    bool was = before->nodes.n == 0 && strcmp(before->host, server->host) == 0 && before->port == server->port;
    return was ? before->server_id : "";
}

/* What a name without a port means. */
struct meant {
    const struct rotation_target *known; /* the port that this one has it with; NULL: one is given */
    uint32_t usual;
};

/* *ret is 0 where none of the servers has that host. */
static enum kt_kind known_port(struct request *req, const struct rotation_target *before, const char *host,
                               uint32_t *ret, struct kt_err *err)
{
    *ret = 0;
    for (size_t i = 0; i < before->nodes.n; i++) {
        struct driver_server server;
        enum kt_kind kind = kt_server_parse(kt_str(before->nodes.at[i]), 1, &req->arena, &server, err);
        if (kind != KT_OK)
            return kind;
        if (strcmp(server.host, host) != 0)
            continue;
        if (*ret != 0)
            return kt_fail(err, KT_INVALID, "two of the servers are at %s: say the port", host);
        *ret = server.port;
    }
    return KT_OK;
}

static enum kt_kind read_server(struct request *req, const char *text, const struct meant *meant,
                                struct driver_server *ret, struct kt_err *err)
{
    uint32_t port = 0;
    enum kt_kind kind = kt_server_parse(kt_str(text), meant->usual, &req->arena, ret, err);
    if (kind == KT_OK && meant->known != NULL && !ret->own_port)
        kind = known_port(req, meant->known, ret->host, &port, err);
    if (kind != KT_OK || port == 0)
        return kind;
    ret->port = port;
    ret->name = kt_server_name(ret->host, port, &req->arena);
    return ret->name == NULL ? kt_fail(err, KT_NO_MEMORY, "reading hosts") : KT_OK;
}

static enum kt_kind parse(struct request *req, const struct string_list *list, const struct meant *meant,
                          const struct rotation_target *before, struct rotation_target *t, struct kt_err *err)
{
    struct record_list nodes = {.at = kt_arena_take(&req->arena, list->n * sizeof(char *))};
    struct record_list ids = {.at = kt_arena_take(&req->arena, list->n * sizeof(char *))};
    if (nodes.at == NULL || ids.at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading hosts");
    for (size_t i = 0; i < list->n; i++) {
        struct driver_server server;
        enum kt_kind kind = read_server(req, list->at[i], meant, &server, err);
        if (kind != KT_OK) {
            kt_context(err, "hosts, number %zu", i + 1);
            return kind;
        }
        if (index_of(&nodes, server.name) < nodes.n)
            return kt_fail(err, KT_INVALID, "hosts names %s twice", server.name);
        nodes.at[nodes.n++] = server.name;
        ids.at[ids.n++] = known_id(before, &server);
        if (i > 0)
            continue;
        if (t->host != before->host && has_text(t->host) && strcmp(t->host, server.host) != 0)
            return refuse(err, "hosts names all servers: leave host out");
        t->host = server.host;
        t->port = server.port;
    }
    bool several = nodes.n > 1;
    t->nodes = several ? nodes : (struct record_list){.n = 0};
    t->node_ids = several ? ids : (struct record_list){.n = 0};
    return KT_OK;
}

/* The port that is given, or was given to a single server. Where neither is so, each of several servers stays the one
 * that it is: the same request once more changes nothing. */
static struct meant meant_by(const struct rotation_target *before, const struct rotation_target *t, bool said)
{
    const struct driver_info *info = kt_driver_info(t->driver);
    uint32_t own = info == NULL || info->default_port == 0 ? 1 : info->default_port;
    bool given = said || before->nodes.n == 0;
    return (struct meant){given ? NULL : before, given && t->port != 0 ? t->port : own};
}

/* One of several servers, alone from now on, is at the port that it is at. */
static enum kt_kind read_alone(struct request *req, const struct rotation_target *before, struct rotation_target *t,
                               bool said, struct kt_err *err)
{
    uint32_t port = 0;
    enum kt_kind kind = KT_OK;
    t->nodes = t->node_ids = (struct record_list){.n = 0};
    if (!said && strcmp(t->host, before->host) != 0)
        kind = known_port(req, before, t->host, &port, err);
    if (port != 0)
        t->port = port;
    return kind;
}

static enum kt_kind read_list(struct request *req, const struct rotation_target *before, struct rotation_target *t,
                              struct kt_err *err)
{
    struct string_list list = {.n = 0};
    int64_t port = 0;
    bool said = request_int(req, "port", &port, err) == KT_OK;
    enum kt_kind kind = request_list(req, "hosts", true, &list, err);
    if (kind == KT_NOT_FOUND) {
        bool other = strcmp(t->host, before->host) != 0 || t->port != before->port;
        return t->nodes.n > 0 && other ? refuse(err, "this target is several servers: hosts names them, and host "
                                                     "and port none")
                                       : KT_OK;
    }
    if (kind != KT_OK)
        return kind;
    if (list.n == 0 || (list.n == 1 && list.at[0][0] == '\0'))
        return read_alone(req, before, t, said, err);
    if (list.n > DRIVER_SERVERS_MAX)
        return kt_fail(err, KT_INVALID, "hosts names %zu servers, a target has %u at most", list.n,
                       DRIVER_SERVERS_MAX);
    struct meant meant = meant_by(before, t, said);
    return parse(req, &list, &meant, before, t, err);
}

static enum kt_kind forget_ids(struct request *req, struct rotation_target *t, struct kt_err *err)
{
    const char **ids = kt_arena_take(&req->arena, t->nodes.n * sizeof(char *));
    if (ids == NULL)
        return kt_fail(err, KT_NO_MEMORY, "forgetting what servers said they are");
    for (size_t i = 0; i < t->nodes.n; i++)
        ids[i] = "";
    t->node_ids = (struct record_list){.at = ids, .n = t->nodes.n};
    return KT_OK;
}

/* One of several servers, alone from now on, is still the one that it said it is. */
static enum kt_kind keep_id(struct request *req, const struct rotation_target *before, struct rotation_target *t,
                            struct kt_err *err)
{
    const char *name = kt_server_name(t->host, t->port, &req->arena);
    if (name == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a server's name");
    size_t i = index_of(&before->nodes, name);
    t->server_id = i < before->nodes.n ? before->node_ids.at[i] : "";
    return KT_OK;
}

enum kt_kind target_nodes_read(struct request *req, const struct rotation_target *before,
                               struct rotation_target *t, struct kt_err *err)
{
    const struct driver_info *info = kt_driver_info(t->driver);
    enum kt_kind kind = read_list(req, before, t, err);
    if (kind == KT_OK && t->nodes.n == 0 && before->nodes.n > 0 && t->server_id == before->server_id)
        return keep_id(req, before, t, err);
    if (kind != KT_OK || t->nodes.n == 0)
        return kind;
    if (info != NULL && !info->several) {
        (void)kt_fail(err, KT_INVALID, "with driver %s a target is one server", t->driver);
        kt_hint(err, "a target and a secret for each, which rotate as one: secretctl schedule set SECRET together=OTHER");
        return KT_INVALID;
    }
    if (t->server_id != before->server_id && has_text(t->server_id) && strcmp(t->server_id, before->server_id) != 0)
        return refuse(err, "each of several servers is asked who it is: server_id can only be emptied, for all");
    bool forgets = t->server_id != before->server_id && !has_text(t->server_id);
    if (forgets)
        kind = forget_ids(req, t, err);
    if (kind == KT_OK && t->node_ids.at != NULL)
        t->server_id = t->node_ids.at[0];
    return kind;
}
