/* tests/support/hearing.h - the other end of all channels, played here: what people were told.
 *
 * What:    A scene (rotation_scene.h) whose vault has channels "ops" and "dba", and what arrived there.
 * Owner:   people_of() .. the next people_of(); the scene is the caller's.
 * Threads: one test at a time. */
#pragma once

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/rotation_scene.h"
#include "vaultd/notify/notice.h"
#include "vaultd/rotation/engine.h"

#define KEPT 64u

/* The other end of all channels. */
struct people {
    pthread_mutex_t lock;
    struct notify_channels channels;
    bool deaf;
    unsigned tries, n;
    struct {
        char channel[16], id[64], body[4096];
    } got[KEPT];
};

static inline enum kt_kind hear(void *arg, const struct notify_order *order, struct kt_err *err)
{
    struct people *p = arg;
    (void)pthread_mutex_lock(&p->lock);
    bool deaf = p->deaf;
    p->tries++;
    if (!deaf && p->n < KEPT) {
        (void)snprintf(p->got[p->n].channel, sizeof p->got[0].channel, "%s", order->channel->name);
        (void)snprintf(p->got[p->n].id, sizeof p->got[0].id, "%s", order->id);
        (void)snprintf(p->got[p->n].body, sizeof p->got[0].body, "%.*s", (int)order->body.len,
                       (const char *)order->body.at);
        p->n++;
    }
    (void)pthread_mutex_unlock(&p->lock);
    return deaf ? kt_fail(err, KT_IO, "nobody answers") : KT_OK;
}

static inline struct people *people_of(size_t n)
{
    static struct people p;
    p = (struct people){.channels = {.at = {{.name = "ops", .url = "https://ops.example/secret-part"},
                                            {.name = "dba", .url = "https://dba.example/"}},
                                     .n = n,
                                     .send = hear}};
    (void)pthread_mutex_init(&p.lock, NULL);
    return &p;
}

static inline struct scene *begin(struct people *p, const char *strategy)
{
    p->channels.arg = p;
    return scene_telling(strategy, &p->channels);
}

static inline unsigned heard(struct people *p, const char *channel, const char *text)
{
    unsigned n = 0;
    (void)pthread_mutex_lock(&p->lock);
    for (unsigned i = 0; i < p->n; i++)
        n += (channel == NULL || strcmp(p->got[i].channel, channel) == 0) &&
             strstr(p->got[i].body, text) != NULL;
    (void)pthread_mutex_unlock(&p->lock);
    return n;
}

static inline unsigned tried(struct people *p)
{
    (void)pthread_mutex_lock(&p->lock);
    unsigned n = p->tries;
    (void)pthread_mutex_unlock(&p->lock);
    return n;
}

static inline void soon_heard(struct people *p, const char *channel, const char *text, unsigned times)
{
    for (int i = 0; i < PATIENCE && heard(p, channel, text) < times; i++)
        pause_ms(1);
    assert_int_equal(heard(p, channel, text), times);
}

/* A channel that did not answer rests by our clock, its message by the vault's: from when that was written down. */
static inline void heard_in_the_end(struct people *p, struct scene *s, const char *channel, const char *text)
{
    for (int i = 0; i < PATIENCE && heard(p, channel, text) == 0; i++) {
        s->vault->now_ms += 1000;
        notifier_wake(s->vault->core->rotation->notifier);
        pause_ms(1);
    }
    assert_int_equal(heard(p, channel, text), 1);
}

/* Nothing waits any more: what was to be told was. */
static inline void all_told(struct scene *s)
{
    for (int i = 0; i < PATIENCE; i++) {
        need(s, 200, "GET", "rotation/notify", NULL);
        if (!test_vault_said(s->vault, "\"waiting\":1") && !test_vault_said(s->vault, "\"waiting\":2") &&
            !test_vault_said(s->vault, "\"waiting\":3"))
            return;
        pause_ms(1);
    }
    says(s, "\"waiting\":0");
}
