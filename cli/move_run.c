/* cli/move_run.c - see cli/move_run.h. */
#include "cli/move_run.h"

#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"

#define TOLD_MAX   1000u
#define LINE_BYTES ((size_t)4096)

/* Once and without patience: an address or a certificate that is wrong is wrong at once. */
static bool is_vault(struct move_run *run, struct kt_api *api, const char *which)
{
    struct kt_err err = {0};
    bool sealed = true;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct kt_api_request request = {.method = "GET", .path = "sys/seal-status"};
    enum kt_kind kind = kt_api_call(api, &request, -1, &reply, &err);
    if (kind == KT_OK && kt_api_bool(reply.data, "sealed", &sealed) && !sealed)
        return true;
    if (kind == KT_OK)
        (void)kt_fail(&err, KT_SEALED, "it is sealed, or no vault");
    kt_context(&err, "%s, %s", which, kt_api_address(api));
    (void)cli_fail(run->cli, &err);
    run->cli->exit_code = cli_remote_code(run->cli);
    return false;
}

bool move_run_begin(struct move_run *run)
{
    struct kt_err err = {0};
    enum kt_kind kind = move_side_open(&run->from, &run->source, &err);
    if (kind == KT_OK)
        kind = move_side_open(&run->to, &run->destination, &err);
    if (kind != KT_OK)
        run->cli->exit_code = cli_fail(run->cli, &err);
    return kind == KT_OK && is_vault(run, run->source, "the vault that it comes from") &&
           is_vault(run, run->destination, "the vault that it goes to");
}

bool move_run_begin_here(struct move_run *run)
{
    struct kt_err err = {0};
    if (!move_side_here(run->cli, &run->to))
        return false;
    if (move_side_open(&run->to, &run->destination, &err) != KT_OK) {
        run->cli->exit_code = cli_fail(run->cli, &err);
        return false;
    }
    return is_vault(run, run->destination, "the vault");
}

void move_run_end(struct move_run *run)
{
    kt_api_close(run->source);
    kt_api_close(run->destination);
    move_side_free(&run->from);
    move_side_free(&run->to);
    tdestroy(run->coming, free);
}

void move_add(struct move_run *run, enum move_count count, uint64_t more)
{
    atomic_fetch_add(&run->counts[count], more);
}

uint64_t move_counted(const struct move_run *run, enum move_count count)
{
    return atomic_load(&run->counts[count]);
}

KT_PRINTF(2, 0) static void tell(struct move_run *run, const char *format, va_list args)
{
    char line[LINE_BYTES];
    (void)vsnprintf(line, sizeof line, format, args);
    uint64_t told = atomic_fetch_add(&run->told, 1); /* a reader of stderr that stops holds up this thread alone */
    if (told < TOLD_MAX)
        cli_note(run->cli, "%s", line);
    else if (told == TOLD_MAX)
        cli_note(run->cli, "note   and more like these, which are only counted");
}

void move_tell(struct move_run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(run, format, args);
    va_end(args);
}

void move_refused(struct move_run *run, const char *what, const struct kt_err *err)
{
    bool ends = move_ends_all(err);
    (void)pthread_mutex_lock(&run->lock);
    bool first = ends && !run->stopped;
    if (first) {
        run->stopped = true;
        run->why = *err;
    }
    bool silent = run->stopped && !first && ends;
    (void)pthread_mutex_unlock(&run->lock);
    move_add(run, MOVE_REFUSED, 1);
    if (!silent)
        move_tell(run, "refused   %s: %s%s%s", what, err->what, err->hint[0] != '\0' ? "; " : "", err->hint);
}

void move_left(struct move_run *run, const char *what, const char *why)
{
    move_add(run, MOVE_LEFT, 1);
    move_tell(run, "left      %s: %s", what, why);
}

bool move_names(struct move_run *run, const char *what, const char *path, enum move_pass pass, struct names *ret)
{
    struct kt_err err = {0};
    const struct names_ask ask = {.path = path, .patient = true};
    enum kt_kind kind = names_read(run->source, &ask, ret, &err);
    if (kind == KT_NOT_FOUND) /* a vault that has nothing of the kind */
        return true;
    if (kind != KT_OK) {
        move_refused(run, what, &err);
        return false;
    }
    if (ret->bad > 0 && pass == MOVE_COPY) {
        (void)kt_fail(&err, KT_CORRUPT, "%zu of the names in its list are none", ret->bad);
        move_refused(run, what, &err);
    }
    if (ret->rest.kind != KT_OK && pass == MOVE_COPY)
        move_refused(run, what, &ret->rest);
    return true;
}

bool move_stopped(struct move_run *run)
{
    (void)pthread_mutex_lock(&run->lock);
    bool stopped = run->stopped;
    (void)pthread_mutex_unlock(&run->lock);
    return stopped;
}
