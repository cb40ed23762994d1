/* cli/walk.c - see cli/walk.h. */
#include "cli/walk.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/move_side.h"
#include "cli/output.h"
#include "lib/jsonw.h"

#define NAME_ROOM  ((size_t)4096)

struct task {
    char *path; /* inside the mount; a folder is "" or ends in '/' */
    size_t mount;
};

struct walk_own {
    struct kt_api *apis[WALK_WORKERS];
    walk_look_fn *look;
    void *look_arg;
    struct kt_api_mount *mounts;
    size_t n_mounts;

    pthread_mutex_t lock; /* guards what follows, and the findings */
    pthread_cond_t changed;
    struct task *tasks; /* the newest first, so that few wait */
    size_t n_tasks, tasks_room, findings_room, seen;
    unsigned busy;
    enum kt_kind kind; /* of what ended it */
    struct kt_err err;
};

bool walk_begin(struct walk *walk, struct cli *cli, walk_look_fn *look, void *arg)
{
    *walk = (struct walk){0};
    struct walk_own *own = calloc(1, sizeof *own);
    if (own == NULL) {
        cli->exit_code = cli_wrong(cli, "", "not enough memory");
        return false;
    }
    (void)pthread_mutex_init(&own->lock, NULL);
    (void)pthread_cond_init(&own->changed, NULL);
    own->look = look;
    own->look_arg = arg;
    walk->own = own;
    struct kt_err err = {0};
    struct kt_api_options options = {0};
    enum kt_kind kind = cli_api_options(cli, &options, &err);
    for (unsigned i = 0; kind == KT_OK && i < WALK_WORKERS; i++)
        kind = kt_api_open(&options, &own->apis[i], &err);
    if (kind != KT_OK)
        cli->exit_code = cli_fail(cli, &err);
    return kind == KT_OK;
}

void walk_end(struct walk *walk)
{
    struct walk_own *own = walk->own;
    if (own == NULL)
        return;
    for (unsigned i = 0; i < WALK_WORKERS; i++)
        kt_api_close(own->apis[i]);
    for (size_t i = 0; i < own->n_tasks; i++)
        free(own->tasks[i].path);
    for (size_t i = 0; i < walk->n; i++)
        free(walk->at[i].path);
    free(own->tasks);
    free(own->mounts);
    free(walk->at);
    (void)pthread_cond_destroy(&own->changed);
    (void)pthread_mutex_destroy(&own->lock);
    free(own);
    *walk = (struct walk){0};
}

/* ---- with the lock held ---- */

static size_t more_room(size_t room)
{
    return room == 0 ? 64 : room * 2;
}

static bool grow_tasks(struct walk_own *own)
{
    if (own->n_tasks < own->tasks_room)
        return true;
    size_t room = more_room(own->tasks_room);
    struct task *tasks = reallocarray(own->tasks, room, sizeof *tasks);
    if (tasks == NULL)
        return false;
    own->tasks = tasks;
    own->tasks_room = room;
    return true;
}

static bool grow_findings(struct walk *walk)
{
    struct walk_own *own = walk->own;
    if (walk->n < own->findings_room)
        return true;
    size_t room = more_room(own->findings_room);
    struct walk_finding *at = reallocarray(walk->at, room, sizeof *at);
    if (at == NULL)
        return false;
    walk->at = at;
    own->findings_room = room;
    return true;
}

static void fail(struct walk_own *own, enum kt_kind kind, const struct kt_err *err)
{
    if (own->kind != KT_OK)
        return;
    own->kind = kind;
    own->err = *err;
}

static void no_memory(struct walk_own *own)
{
    struct kt_err err = {0};
    fail(own, kt_fail(&err, KT_NO_MEMORY, "not enough memory for the names"), &err);
}

/* Takes path. */
static void add_task(struct walk_own *own, size_t mount, char *path)
{
    struct kt_err err = {0};
    if (path == NULL || !grow_tasks(own) || ++own->seen > WALK_MOST) {
        free(path);
        if (own->seen > WALK_MOST)
            fail(own, kt_fail(&err, KT_TOO_LARGE, "there are more than %zu names", WALK_MOST), &err);
        else
            no_memory(own);
        return;
    }
    own->tasks[own->n_tasks++] = (struct task){path, mount};
    (void)pthread_cond_signal(&own->changed);
}

static void add_finding(struct walk *walk, const struct task *task, enum walk_state state)
{
    struct walk_own *own = walk->own;
    char *path = NULL;
    if (!grow_findings(walk) ||
        asprintf(&path, "%s%s", own->mounts[task->mount].path, task->path) < 0) {
        no_memory(own);
        return;
    }
    walk->at[walk->n++] = (struct walk_finding){path, state};
}

bool walk_from(struct walk *walk, const struct kt_api_mount *mount, const char *folder)
{
    struct walk_own *own = walk->own;
    struct kt_api_mount *mounts = reallocarray(own->mounts, own->n_mounts + 1, sizeof *mounts);
    if (mounts == NULL)
        return false;
    own->mounts = mounts;
    own->mounts[own->n_mounts++] = *mount;
    add_task(own, own->n_mounts - 1, strdup(folder));
    return own->kind == KT_OK;
}

/* ---- on a worker's thread ---- */

static bool is_folder(const char *path)
{
    size_t len = strlen(path);
    return len == 0 || path[len - 1] == '/';
}

static void add_children(struct walk *walk, const struct task *task, const struct kt_api_reply *reply)
{
    struct walk_own *own = walk->own;
    struct kt_json keys = {0};
    (void)kt_json_member(reply->data, "keys", &keys);
    struct kt_json_iter it = kt_json_iter(keys);
    (void)pthread_mutex_lock(&own->lock);
    while (own->kind == KT_OK && kt_json_next(&it)) {
        kt_autobuf struct kt_buf name = {0};
        kt_buf_init(&name, NAME_ROOM);
        char *path = NULL;
        if (!kt_json_string(it.value, &name) || name.len == 0)
            continue;
        if (asprintf(&path, "%s%s", task->path, kt_buf_text(&name)) < 0) {
            no_memory(own);
        } else if (own->look != NULL || is_folder(path)) {
            add_task(own, task->mount, path);
        } else {
            const struct task secret = {path, task->mount};
            add_finding(walk, &secret, WALK_SECRET);
            free(path);
            own->seen++;
        }
    }
    (void)pthread_mutex_unlock(&own->lock);
}

/* A folder that is not there any more has nothing in it. */
static enum kt_kind list(struct walk *walk, struct kt_api *api, const struct task *task,
                         enum walk_state *ret, struct kt_err *err)
{
    const struct kt_api_mount *mount = &walk->own->mounts[task->mount];
    char path[KT_API_PATH_MAX];
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    int n = snprintf(path, sizeof path, "%s%s%s", mount->path, mount->version == 2 ? "metadata/" : "",
                     task->path);
    if (n < 0 || (size_t)n >= sizeof path)
        return kt_fail(err, KT_INVALID, "a path is too long");
    struct kt_api_request request = {.method = "LIST", .path = path};
    enum kt_kind kind = move_call_quota(api, &request, &reply, err);
    *ret = kind == KT_DENIED ? WALK_REFUSED : WALK_PASSED;
    if (kind == KT_OK)
        add_children(walk, task, &reply);
    return kind == KT_DENIED || cli_is_empty(&reply, err) ? KT_OK : kind;
}

static void work(struct walk *walk, struct kt_api *api, struct task task)
{
    struct walk_own *own = walk->own;
    struct kt_err err = {0};
    enum walk_state state = WALK_PASSED;
    (void)pthread_mutex_unlock(&own->lock);
    enum kt_kind kind = is_folder(task.path) ? list(walk, api, &task, &state, &err)
                                             : own->look(api, &own->mounts[task.mount], task.path,
                                                         own->look_arg, &state, &err);
    (void)pthread_mutex_lock(&own->lock);
    if (kind != KT_OK)
        fail(own, kind, &err);
    else if (state != WALK_PASSED)
        add_finding(walk, &task, state);
    free(task.path);
}

struct worker {
    struct walk *walk;
    struct kt_api *api;
    pthread_t thread;
};

static void *run(void *arg)
{
    const struct worker *worker = arg;
    struct walk_own *own = worker->walk->own;
    (void)pthread_mutex_lock(&own->lock);
    while (own->kind == KT_OK && (own->n_tasks > 0 || own->busy > 0)) {
        if (own->n_tasks == 0) {
            (void)pthread_cond_wait(&own->changed, &own->lock);
            continue;
        }
        struct task task = own->tasks[--own->n_tasks];
        own->busy++;
        work(worker->walk, worker->api, task);
        own->busy--;
        if (own->busy == 0 || own->kind != KT_OK)
            (void)pthread_cond_broadcast(&own->changed);
    }
    (void)pthread_mutex_unlock(&own->lock);
    return NULL;
}

static int by_path(const void *a, const void *b)
{
    const struct walk_finding *x = a, *y = b;
    return strcmp(x->path, y->path);
}

/* The command's own thread works too: where no other can be started, it does everything. */
enum kt_kind walk_run(struct walk *walk, struct kt_err *err)
{
    struct walk_own *own = walk->own;
    struct worker workers[WALK_WORKERS];
    unsigned started = 0;
    for (unsigned i = 0; i < WALK_WORKERS; i++)
        workers[i] = (struct worker){.walk = walk, .api = own->apis[i]};
    while (started + 1 < WALK_WORKERS &&
           pthread_create(&workers[started + 1].thread, NULL, run, &workers[started + 1]) == 0)
        started++;
    (void)run(&workers[0]);
    for (unsigned i = 1; i <= started; i++)
        (void)pthread_join(workers[i].thread, NULL);
    if (walk->n > 0)
        qsort(walk->at, walk->n, sizeof *walk->at, by_path);
    if (own->kind != KT_OK)
        *err = own->err;
    return own->kind;
}

/* ---- telling ---- */

#define TOLD_MAX 10u

void walk_print_json(struct cli *cli, const struct walk *walk)
{
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, SIZE_MAX / 2);
    struct kt_jsonw w = kt_jsonw(&text);
    kt_jsonw_array(&w);
    for (size_t i = 0; i < walk->n; i++)
        if (walk->at[i].state == WALK_SECRET)
            kt_jsonw_text(&w, walk->at[i].path);
    kt_jsonw_end(&w);
    output_json(&cli->out, kt_json_value(kt_buf_bytes(&text)));
}

size_t walk_tell_refused(struct cli *cli, const struct walk *walk, const char *what)
{
    size_t refused = 0;
    for (size_t i = 0; i < walk->n; i++) {
        if (walk->at[i].state != WALK_REFUSED)
            continue;
        if (refused++ < TOLD_MAX)
            cli_note(cli, "note   left out, for it may not %s by this token: %s", what, walk->at[i].path);
    }
    if (refused > TOLD_MAX)
        cli_note(cli, "note   and %zu more", refused - TOLD_MAX);
    return refused;
}
