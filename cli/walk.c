/* cli/walk.c - see cli/walk.h. */
#include "cli/walk.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/move_side.h"
#include "cli/names.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/jsonw.h"

struct task {
    char *path; /* inside the mount; a folder is "" or ends in '/' */
    size_t mount;
};

struct walk_own {
    struct kt_api *apis[WALK_WORKERS];
    struct walk_how how;
    struct kt_api_mount *mounts;
    size_t n_mounts;

    pthread_mutex_t lock; /* guards what follows, and the findings */
    pthread_cond_t changed;
    struct task *tasks; /* the newest first, so that few wait */
    size_t n_tasks, tasks_room, findings_room;
    unsigned busy;
    enum kt_kind kind; /* of what ended it */
    struct kt_err err;
};

enum kt_kind walk_begin(struct walk *walk, const struct walk_how *how, struct kt_err *err)
{
    *walk = (struct walk){0};
    struct walk_own *own = kt_calloc(1, sizeof *own);
    if (own == NULL)
        return kt_fail(err, KT_NO_MEMORY, "not enough memory for the names");
    (void)pthread_mutex_init(&own->lock, NULL);
    (void)pthread_cond_init(&own->changed, NULL);
    own->how = *how;
    walk->own = own;
    enum kt_kind kind = KT_OK;
    for (unsigned i = 0; kind == KT_OK && i < WALK_WORKERS; i++)
        kind = kt_api_open(how->options, &own->apis[i], err);
    own->how.options = NULL;
    return kind;
}

bool walk_begin_here(struct walk *walk, struct cli *cli, walk_look_fn *look, void *arg)
{
    struct kt_err err = {0};
    struct kt_api_options options = {0};
    enum kt_kind kind = cli_api_options(cli, &options, &err);
    if (kind == KT_OK)
        kind = walk_begin(walk, &(struct walk_how){.options = &options, .look = look, .arg = arg}, &err);
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

static bool is_full(const struct walk *walk)
{
    return walk->n + walk->own->n_tasks >= WALK_MOST;
}

/* Takes path. */
static void add_task(struct walk *walk, size_t mount, char *path)
{
    struct walk_own *own = walk->own;
    struct kt_err err = {0};
    if (path == NULL || is_full(walk) || !grow_tasks(own)) {
        bool full = path != NULL && is_full(walk);
        free(path);
        if (full)
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
    struct kt_err err = {0};
    char *path = NULL;
    if (is_full(walk))
        fail(own, kt_fail(&err, KT_TOO_LARGE, "there are more than %zu names", WALK_MOST), &err);
    else if (!grow_findings(walk) || asprintf(&path, "%s%s", own->mounts[task->mount].path, task->path) < 0)
        no_memory(own);
    else
        walk->at[walk->n++] = (struct walk_finding){path, state};
}

static bool is_folder(const char *path)
{
    size_t len = strlen(path);
    return len == 0 || path[len - 1] == '/';
}

/* Takes path. */
static void add(struct walk *walk, size_t mount, char *path)
{
    const struct task found = {path, mount};
    if (path == NULL || walk->own->how.look != NULL || is_folder(path)) {
        add_task(walk, mount, path);
        return;
    }
    add_finding(walk, &found, WALK_SECRET);
    free(path);
}

static bool add_mount(struct walk_own *own, const struct kt_api_mount *mount)
{
    struct kt_api_mount *mounts = reallocarray(own->mounts, own->n_mounts + 1, sizeof *mounts);
    if (mounts == NULL)
        return false;
    own->mounts = mounts;
    own->mounts[own->n_mounts++] = *mount;
    return true;
}

bool walk_from(struct walk *walk, const struct kt_api_mount *mount, const char *folder)
{
    struct walk_own *own = walk->own;
    if (!add_mount(own, mount))
        return false;
    add_task(walk, own->n_mounts - 1, strdup(folder));
    return own->kind == KT_OK;
}

enum kt_kind walk_from_any(struct walk *walk, const struct kt_api_mount *mount, const char *path, struct kt_err *err)
{
    struct walk_own *own = walk->own;
    kt_autofree char *folder = NULL;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    enum kt_kind kind = KT_NOT_FOUND;
    if (asprintf(&folder, "%s%s", path, is_folder(path) ? "" : "/") < 0) {
        folder = NULL;
        return kt_fail(err, KT_NO_MEMORY, "not enough memory for the names");
    }
    if (!is_folder(path))
        kind = move_get(own->apis[0], &reply, err, "%s%s%s", mount->path, mount->version == 2 ? "metadata/" : "", path);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (!walk_from(walk, mount, folder))
        return kt_fail(err, KT_NO_MEMORY, "not enough memory for the names");
    if (kind == KT_OK)
        add(walk, own->n_mounts - 1, strdup(path));
    return KT_OK;
}

/* ---- on a worker's thread ---- */

static void add_children(struct walk *walk, const struct task *task, const struct names *names)
{
    struct walk_own *own = walk->own;
    (void)pthread_mutex_lock(&own->lock);
    for (size_t i = 0; own->kind == KT_OK && i < names->count; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s%s", task->path, names->at[i]) < 0)
            path = NULL;
        add(walk, task->mount, path);
    }
    (void)pthread_mutex_unlock(&own->lock);
}

/* Of a list that was read: what is amiss with it. */
static enum kt_kind tell_amiss(const struct walk_own *own, const struct task *task, const struct names *names,
                               struct kt_err *err)
{
    struct kt_err amiss = {0};
    enum kt_kind kind = KT_OK;
    if (names->bad > 0)
        kind = kt_fail(&amiss, KT_CORRUPT, "a name in its list is no name of a secret or folder");
    for (size_t i = 0; i < names->bad && own->how.trouble != NULL; i++)
        own->how.trouble(own->how.arg, task->path, &amiss);
    if (names->rest.kind != KT_OK) {
        kind = names->rest.kind;
        amiss = names->rest;
        if (own->how.trouble != NULL)
            own->how.trouble(own->how.arg, task->path, &amiss);
    }
    if (kind == KT_OK || own->how.trouble != NULL)
        return KT_OK;
    kt_context(&amiss, "%s%s", own->mounts[task->mount].path, task->path);
    *err = amiss;
    return kind;
}

/* A folder that is not there any more has nothing in it. */
static enum kt_kind list(struct walk *walk, struct kt_api *api, const struct task *task,
                         enum walk_state *ret, struct kt_err *err)
{
    const struct walk_own *own = walk->own;
    const struct kt_api_mount *mount = &own->mounts[task->mount];
    char path[KT_API_PATH_MAX + 300];
    KT_AUTO(names_free) struct names names = {0};
    struct names_ask ask = {.path = path, .patient = own->how.trouble != NULL, .folder = true};
    enum kt_kind kind = KT_OK;
    int n = snprintf(path, sizeof path, "%s%s%s", mount->path, mount->version == 2 ? "metadata/" : "", task->path);
    *ret = WALK_PASSED;
    if (n < 0 || (size_t)n >= sizeof path)
        kind = kt_fail(err, KT_INVALID, "the path is too long");
    else
        kind = names_read(api, &ask, &names, err);
    if (kind == KT_OK) {
        add_children(walk, task, &names);
        return tell_amiss(own, task, &names, err);
    }
    if (own->how.trouble != NULL && !move_ends_all(err) && kind != KT_NO_MEMORY)
        own->how.trouble(own->how.arg, task->path, err);
    else if (kind == KT_DENIED && own->how.trouble == NULL)
        *ret = WALK_REFUSED;
    else
        return kind;
    return KT_OK;
}

static void work(struct walk *walk, unsigned worker, struct task task)
{
    struct walk_own *own = walk->own;
    struct kt_err err = {0};
    enum walk_state state = WALK_PASSED;
    struct walk_place place = {.api = own->apis[worker], .worker = worker, .mount = &own->mounts[task.mount],
                               .path = task.path};
    (void)pthread_mutex_unlock(&own->lock);
    enum kt_kind kind = is_folder(task.path) ? list(walk, place.api, &task, &state, &err)
                                             : own->how.look(&place, own->how.arg, &state, &err);
    (void)pthread_mutex_lock(&own->lock);
    if (kind != KT_OK)
        fail(own, kind, &err);
    else if (state != WALK_PASSED)
        add_finding(walk, &task, state);
    free(task.path);
}

struct worker {
    struct walk *walk;
    unsigned number;
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
        work(worker->walk, worker->number, task);
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
        workers[i] = (struct worker){.walk = walk, .number = i};
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
    struct kt_buf *out = &cli->out;
    size_t printed = 0;
    kt_buf_add_char(out, '[');
    for (size_t i = 0; i < walk->n; i++) {
        if (walk->at[i].state != WALK_SECRET)
            continue;
        kt_buf_add_text(out, printed++ == 0 ? "\n  " : ",\n  ");
        kt_json_quote(out, kt_str(walk->at[i].path));
    }
    kt_buf_add_text(out, printed == 0 ? "]\n" : "\n]\n");
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
