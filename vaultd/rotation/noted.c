#include <sodium.h>
#include <stdlib.h>

#include "lib/failpoint.h"
#include "vaultd/rotation/pass.h"

/* Which of the consumers' words are among the run's steps already. */

static void noted_digest(const char *host, const char *service, unsigned char out[16])
{
    unsigned char text[1024];
    size_t a = strnlen(host, 400), b = strnlen(service, 400);
    memcpy(text, host, a);
    text[a] = '\0';
    memcpy(text + a + 1, service, b);
    (void)crypto_generichash(out, 16, text, a + 1 + b, NULL, 0);
}

static bool is_noted(const struct active *active, const unsigned char digest[16], int64_t at_ms)
{
    for (size_t i = 0; i < active->n_noted; i++)
        if (memcmp(active->noted[i].digest, digest, 16) == 0)
            return active->noted[i].at_ms == at_ms;
    return false;
}

void noted_add(struct active *active, const struct noted *noted)
{
    size_t at = 0;
    while (at < active->n_noted && memcmp(active->noted[at].digest, noted->digest, 16) != 0)
        at++;
    if (at == active->noted_room) {
        size_t room = active->noted_room == 0 ? 16 : active->noted_room * 2;
        struct noted *more = kt_calloc(room, sizeof *more);
        if (more == NULL)
            return; /* it is noted once more, that is all */
        if (active->n_noted > 0)
            memcpy(more, active->noted, active->n_noted * sizeof *more);
        free(active->noted);
        active->noted = more;
        active->noted_room = room;
    }
    active->noted[at] = *noted;
    if (at == active->n_noted)
        active->n_noted++;
}

/* Words that came since the promotion become steps, a few a commit. */
enum kt_kind pass_note_acks(struct pass *p, struct work *w, struct kt_err *err)
{
    const struct run *run = &w->run;
    if (run->promoted_ms == 0 || run->machine.state == RUN_FROZEN)
        return KT_OK;
    enum kt_kind kind = KT_OK;
    for (size_t i = 0; i < w->n_consumers && kind == KT_OK && p->n_noted < PASS_ACKS_MAX; i++) {
        const struct consumer *c = &w->consumers[i];
        unsigned char digest[16];
        noted_digest(c->host, c->service, digest);
        if (c->heard_ms < run_given_ms(run) || is_noted(p->active, digest, c->at_ms))
            continue;
        const char *text = kt_arena_printf(&w->req->arena, "%s@%s: v%u %s%s%s", c->service, c->host,
                                           c->version, consumer_state_text(c->state),
                                           c->detail[0] == '\0' ? "" : ": ", c->detail);
        kind = step_add(w->req, &w->run,
                        (struct run_step){.kind = STEP_ACK,
                                          .name = consumer_state_text(c->state),
                                          .ok = c->state != CONSUMER_UNHEALTHY &&
                                                c->state != CONSUMER_ROLLED_BACK,
                                          .text = text == NULL ? "" : text,
                                          .host = c->host,
                                          .service = c->service,
                                          .version = c->version,
                                          .stamp_ms = c->at_ms},
                        err);
        struct noted *noted = &p->noted[p->n_noted++];
        memcpy(noted->digest, digest, sizeof digest);
        noted->at_ms = c->at_ms;
    }
    if (kind == KT_OK && p->n_noted > 0) {
        p->moved = true;
        kind = run_save(w->req, &w->run, err);
    }
    return kind;
}

enum kt_kind noted_load(struct active *active, struct request *req, const struct run *run,
                        struct kt_err *err)
{
    active->n_noted = 0;
    if (run->promoted_ms == 0)
        return KT_OK;
    struct run_step *steps = NULL;
    size_t n = 0;
    enum kt_kind kind = steps_load(req, run->id, 0, &steps, &n, err);
    for (size_t i = 0; i < n && kind == KT_OK; i++) {
        struct noted noted = {.at_ms = steps[i].stamp_ms};
        if (steps[i].kind != STEP_ACK)
            continue;
        noted_digest(steps[i].host, steps[i].service, noted.digest);
        noted_add(active, &noted);
    }
    return kind;
}
