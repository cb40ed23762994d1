#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/plan.h"
#include "vaultd/rotation/target.h"

/* The only look at a target that a person can ask for. */

#define CHECK_WAIT_MS ((int64_t)90 * 1000)
#define CHECKS_MAX    8u

/* server: which one of several it is about; "": the only one. */
static void check_step(struct kt_jsonw *w, const char *server, const char *name, bool ok, const char *text)
{
    kt_autobuf struct kt_buf line;
    kt_buf_init(&line, 1024);
    kt_buf_printf(&line, "%s%s%s", server, server[0] == '\0' ? "" : ": ", text);
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "name", name);
    kt_jsonw_kv_bool(w, "ok", ok);
    kt_jsonw_kv_text(w, "text", kt_buf_text(&line));
    kt_jsonw_end(w);
}

/* What a person does next; "" when all is well. */
static const char *check_next(struct request *req, const struct driver_result *r)
{
    static const struct {
        enum driver_class class;
        const char *code; /* NULL: any */
        const char *text;
    } rows[] = {
        {DRIVER_WRONG_SERVER, NULL, "only if the move was meant: secretctl target set %s server_id="},
        {DRIVER_REFUSED, NULL, "give it the password that works: secretctl target set %s admin_password="},
        {DRIVER_UNREACH, "tls",
         "mend the server's TLS, or say who signs its certificate and which name is in it (ca, host, sslmode): "
         "secretctl target show %s"},
        {DRIVER_UNREACH, DRIVER_UNSENT,
         "the target was not asked: mend what the log of vaultd says, restart it, then: secretctl target check %s"},
        {DRIVER_UNREACH, NULL, "is it up, and are host, port and sslmode right? secretctl target show %s"},
        {DRIVER_PERMANENT, NULL, "see what it lacks, then: secretctl target show %s"},
    };
    if (r->class == DRIVER_OK)
        return r->replies[DRIVER_CONTROL].answer == ANSWER_ACCEPTED
                   ? "PostgreSQL: look for trust, peer or cert lines in pg_hba.conf, mend and reload it; "
                     "MariaDB: was it started with skip-grant-tables?"
                   : "";
    const char *name = request_param(req, "name"), *text = NULL;
    if (r->class == DRIVER_WRONG_SERVER && strncmp(r->server_id, "SHA256:", 7) == 0)
        text = kt_arena_printf(&req->arena,
                               "if the host itself says the same (ssh-keygen -lf "
                               "/etc/ssh/ssh_host_ed25519_key.pub): secretctl target set %s server_id=%s",
                               name, r->server_id);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && text == NULL; i++)
        if (rows[i].class == r->class && (rows[i].code == NULL || strcmp(rows[i].code, r->code) == 0)) {
            const char *mark = strstr(rows[i].text, "%s");
            text = kt_arena_printf(&req->arena, "%.*s%s%s", (int)(mark - rows[i].text), rows[i].text, name,
                                   mark + 2);
        }
    return text == NULL ? "" : text;
}

/* The steps that were made: what comes behind the first that failed was not. */
static void show_steps(struct kt_jsonw *w, const char *server, const struct driver_result *r, bool tried)
{
    bool in = r->replies[DRIVER_ADMIN].answer == ANSWER_ACCEPTED;
    bool refused = r->replies[DRIVER_CONTROL].answer == ANSWER_REFUSED;
    const struct driver_reply *control = &r->replies[DRIVER_CONTROL];
    bool answered = r->class == DRIVER_OK || r->class == DRIVER_REFUSED ||
                    r->class == DRIVER_WRONG_SERVER;
    check_step(w, server, "reach", answered,
               !answered                       ? r->text
               : r->server_version[0] != '\0' ? r->server_version
                                               : "it answers");
    if (!answered)
        return;
    bool same = r->class != DRIVER_WRONG_SERVER;
    if (in || same) /* SSH tells who it is before there is a login */
        check_step(w, server, "admin login", in, in ? "accepted" : r->text);
    if (!in && same)
        return;
    check_step(w, server, "server", same,
               !same                      ? r->text
               : r->server_id[0] != '\0' ? r->server_id
                                          : "it does not tell its identifier");
    if (same)
        check_step(w, server, "wrong password", refused || !tried,
                   !tried ? "not tried: \"test\" has a key's id in its path, and a target has no key; each run tries it"
                   : refused                            ? "refused, as it has to be"
                   : control->answer == ANSWER_ACCEPTED ? "ACCEPTED: no test proves anything here"
                                                          : r->text);
}

/* What only the target names is to be known, and no obstacle. */
static void show_sentinel(struct kt_jsonw *w, const struct driver_result *said)
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 4096);
    kt_buf_add_text(&text, said->text);
    for (size_t i = 0; i < DRIVER_FINDINGS_MAX && said->findings[i][0] != '\0'; i++)
        kt_buf_printf(&text, "; %s", said->findings[i]);
    check_step(w, "", "sentinels", said->class == DRIVER_OK, kt_buf_text(&text));
}

static const char *sentinel_next(struct request *req, const struct driver_result *said)
{
    const char *name = request_param(req, "name");
    const char *text = "";
    if (said->class == DRIVER_UNREACH && strcmp(said->code, "resolve") == 0)
        text = kt_arena_printf(&req->arena, "the name has no address where vaultd runs: secretctl target show %s", name);
    else if (said->class == DRIVER_UNREACH)
        text = kt_arena_printf(&req->arena, "are they up? Where there are none any more: secretctl target set %s sentinels=",
                               name);
    else if (said->class != DRIVER_OK)
        text = kt_arena_printf(&req->arena, "name all servers, and the primary as they do: secretctl target set %s "
                                            "hosts=... sentinel_master=",
                               name);
    return text == NULL ? "" : text;
}

static void show_check(struct request *req, const struct job_part *part)
{
    const struct driver_result *r = &part->result;
    bool tried = part->step.logins[DRIVER_CONTROL].username != NULL;
    bool in = r->replies[DRIVER_ADMIN].answer == ANSWER_ACCEPTED;
    bool refused = r->replies[DRIVER_CONTROL].answer == ANSWER_REFUSED;
    bool asked = part->n_sentinels > 0;
    bool well = r->class == DRIVER_OK && in && (refused || !tried);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "ok", well && (!asked || part->sentinel.class == DRIVER_OK));
    kt_jsonw_key(&w, "steps");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < part->n_nodes; i++)
        show_steps(&w, part->nodes[i].name, &part->nodes[i].result, tried);
    if (part->n_nodes == 0)
        show_steps(&w, "", r, tried);
    if (asked)
        show_sentinel(&w, &part->sentinel);
    kt_jsonw_end(&w);
    kt_jsonw_kv_text(&w, "next", well && asked ? sentinel_next(req, &part->sentinel) : check_next(req, r));
    kt_jsonw_kv_int(&w, "took_ms", r->took_ms);
    kt_jsonw_end(&w);
}

static unsigned checks_open(struct rotation *rotation)
{
    unsigned n = 0;
    (void)pthread_mutex_lock(&rotation->lock);
    for (const struct job *job = rotation->jobs; job != NULL; job = job->next)
        n += job->kind == JOB_CHECK;
    (void)pthread_mutex_unlock(&rotation->lock);
    return n;
}

static enum kt_kind begin_check(struct request *req, struct kt_err *err)
{
    struct rotation *rotation = req->core->rotation;
    struct rotation_target target;
    enum kt_kind kind = target_load_named(req, &target, err);
    if (kind != KT_OK)
        return kind;
    if (!rotation_can_run(rotation))
        return kt_fail(err, KT_INVALID, "this vaultd was started without what runs drivers");
    if (checks_open(rotation) >= CHECKS_MAX)
        return kt_fail(err, KT_BUSY, "%u checks are under way", CHECKS_MAX);
    kind = target_login(req, &target, err);
    if (kind != KT_OK)
        return kind;
    unsigned char *id = kt_arena_take(&req->arena, RUN_ID);
    if (id == NULL)
        return kt_fail(err, KT_NO_MEMORY, "checking a target");
    run_id_make(req->now_ms, id);
    struct job *job = NULL;
    kind = plan_check(req, &target, id, &job, err);
    if (kind != KT_OK)
        return kind;
    req->handler_data = id;
    job_post(rotation, job);
    request_wait(req, rotation->news, req->received_mono_ms + CHECK_WAIT_MS);
    return KT_OK;
}

enum kt_kind target_check(struct request *req, struct kt_err *err)
{
    struct rotation *rotation = req->core->rotation;
    const unsigned char *id = req->handler_data;
    if (id == NULL)
        return begin_check(req, err);
    struct job *job = job_take_check(rotation, id);
    if (job == NULL) {
        int64_t deadline = req->received_mono_ms + CHECK_WAIT_MS;
        if (kt_mono_ms(req->core->clock) >= deadline)
            return kt_fail(err, KT_TIMEOUT, "the check did not come to an end");
        request_wait(req, rotation->news, deadline);
        return KT_OK;
    }
    show_check(req, &job->parts[0]);
    job_free(job);
    return KT_OK;
}
