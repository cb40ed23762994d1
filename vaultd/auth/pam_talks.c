#include "vaultd/auth/pam_talk.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/assert.h"
#include "lib/failpoint.h"
#include "lib/random.h"
#include "lib/secret.h"
#include "lib/timespec.h"

#define PLACES       ((size_t)2 * PAMD_LOGINS_MAX) /* open ones, and verdicts that were not fetched yet */
#define GRACE_MS     2000  /* vaultd-pam ends a login by itself; this is for one that does not */
#define STEP_MS      500   /* refusals come on the half second */
#define FORGOTTEN_MS 60000
#define ID_BYTES     32u

/* Not a mount's: whichever mount is asked, the account that may be locked is the host's one. */
static const unsigned char of_the_host[BARRIER_SCOPE];

_Static_assert(sodium_base64_ENCODED_LEN(ID_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING) ==
                   TALK_ID + 1,
               "the id's text");

struct pam_talks {
    const struct kt_clock *clock;
    struct lockout *failures;
    struct wait_list *waiters;
    char socket[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    int bell; /* eventfd: something is to be done */
    pthread_mutex_t lock;
    pthread_t thread;
    bool running, stopping;     /* guarded by lock */
    uint64_t last;              /* guarded by lock; number of the newest talk */
    struct talk places[PLACES]; /* guarded by lock, see state */
};

/* ---- places --------------------------------------------------------------------------------- */

/* The lock is held from here on, unless it says otherwise. */
static void clear(struct talk *talk)
{
    if (talk->socket >= 0)
        (void)close(talk->socket);
    kt_secret_free(talk->secret);
    kt_buf_free(&talk->message);
    kt_buf_free(&talk->groups);
    sodium_memzero(talk, sizeof *talk);
    talk->socket = -1;
}

/* A refusal that is held back still takes its place: else guesses could come faster than modules want. */
static bool is_open(const struct talk *talk)
{
    return talk->state != TALK_FREE && talk->state != TALK_DONE;
}

static void count_failure(struct pam_talks *talks, struct talk *talk, bool failed)
{
    if (!talk->counted && failed)
        lockout_failed(talks->failures, talk->name, kt_mono_ms(talks->clock));
    talk->counted = true;
}

struct crowd {
    unsigned all, network, source;
    unsigned name; /* of this door alone */
    unsigned guesses; /* of the name by both doors, without those that count as failures already */
};

static struct crowd count_open(const struct pam_talks *talks, const struct talk *but,
                               const struct talk_party *party, const unsigned char name[LOCKOUT_KEY])
{
    struct crowd crowd = {0};
    for (size_t i = 0; i < PLACES; i++) {
        const struct talk *talk = &talks->places[i];
        if (!is_open(talk) || talk == but)
            continue;
        crowd.all++;
        crowd.network += !talk->party.local;
        bool guess = !talk->counted && memcmp(talk->name, name, LOCKOUT_KEY) == 0;
        crowd.guesses += guess;
        crowd.name += guess && talk->party.local == party->local;
        crowd.source += !talk->party.local && strcmp(talk->party.source, party->source) == 0;
    }
    return crowd;
}

/* The last one is the Unix socket's: no stranger's guesses keep out who is on the host. */
static unsigned guesses_of(const struct talk_party *party, unsigned max_failures)
{
    return party->local || max_failures <= 1 ? max_failures : max_failures - 1;
}

/* Whether an account may have one guess more, beside those of the crowd. */
static enum talk_begun may_guess(const struct pam_talks *talks, const struct talk_party *party,
                                 const struct crowd *crowd, const unsigned char name[LOCKOUT_KEY],
                                 unsigned max_failures)
{
    unsigned failures = lockout_count(talks->failures, name, kt_mono_ms(talks->clock));
    unsigned most = guesses_of(party, max_failures);
    if (party->question != PAMD_LOGIN)
        return TALK_BEGUN;
    if (failures >= most)
        return TALK_LOCKED;
    return crowd->name >= TALKS_NAME_MAX || failures + crowd->guesses >= most ? TALK_NAME_FULL
                                                                              : TALK_BEGUN;
}

static struct talk *free_place(struct pam_talks *talks)
{
    for (size_t i = 0; i < PLACES; i++)
        if (talks->places[i].state == TALK_FREE)
            return &talks->places[i];
    return NULL;
}

/* False: the thread would not hear of it. One that rings already is not told twice (EAGAIN). */
static bool ring(const struct pam_talks *talks)
{
    const uint64_t one = 1;
    return write(talks->bell, &one, sizeof one) == (ssize_t)sizeof one || errno == EAGAIN;
}

static void ticket_of(const struct pam_talks *talks, const struct talk *talk,
                      struct talk_ticket *ret)
{
    ret->number = talk->number;
    ret->place = (unsigned)(talk - talks->places);
    ret->round = talk->round;
}

/* ---- putting it in place: the lock is held ---------------------------------------------------- */

static void finish(struct talk *talk, int64_t now_ms)
{
    if (talk->socket >= 0)
        (void)close(talk->socket);
    talk->socket = -1;
    kt_secret_free(talk->secret);
    talk->secret = NULL;
    talk->state = TALK_DONE;
    talk->until_ms = now_ms + FORGOTTEN_MS;
}

static void ask_client(struct talk *talk)
{
    unsigned char random[ID_BYTES];
    kt_random(random, sizeof random);
    (void)sodium_bin2base64(talk->id, sizeof talk->id, random, sizeof random,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    talk->told = false;
    talk->state = TALK_PROMPTING;
}

/* PAM's wrong password and its unknown name look the same, but for the time that they took. */
static void hold_back(struct talk *talk, int64_t now_ms, uint32_t delay_ms)
{
    int64_t took_ms = now_ms - talk->asked_ms + delay_ms;
    (void)close(talk->socket);
    talk->socket = -1;
    talk->state = TALK_HELD;
    talk->until_ms = talk->asked_ms + (took_ms / STEP_MS + 1) * STEP_MS;
}

/* From here on its guess is the account's: of all that are on their way to it, and all that failed. */
static enum talk_begun take_name(struct pam_talks *talks, struct talk *talk)
{
    struct pamd_message message;
    bool whole = pamd_decode(kt_buf_bytes(&talk->message), &message);
    KT_ASSERT(whole && message.letter == PAMD_NAMED);
    const struct kt_bytes named = talk->party.barred ? kt_str(talk->party.user) : message.named;
    memcpy(talk->account, named.at, named.len); /* at most PAMD_NAME_MAX; zeros are behind it */
    lockout_key(talks->failures, of_the_host, named, talk->name);
    const struct crowd crowd = count_open(talks, talk, &talk->party, talk->name);
    return may_guess(talks, &talk->party, &crowd, talk->name, talk->max_failures);
}

static bool place_name(struct pam_talks *talks, struct talk *talk, int64_t now_ms)
{
    enum talk_begun may = take_name(talks, talk);
    if (may == TALK_BEGUN) {
        talk->state = TALK_GOES;
        return false;
    }
    talk->end = may == TALK_LOCKED ? TALK_HAD : TALK_CROWDED;
    count_failure(talks, talk, false); /* PAM never heard of it */
    finish(talk, now_ms);
    return true;
}

static void judge(struct pam_talks *talks, struct talk *talk, int64_t now_ms)
{
    struct pamd_message message;
    bool whole = pamd_decode(kt_buf_bytes(&talk->message), &message);
    KT_ASSERT(whole && message.letter == PAMD_VERDICT);
    enum pamd_outcome outcome = message.verdict.outcome;
    talk->end = TALK_VERDICT;
    count_failure(talks, talk, outcome == PAMD_OUT || outcome == PAMD_BROKEN);
    if (outcome == PAMD_OUT && talk->party.question == PAMD_LOGIN)
        hold_back(talk, now_ms, message.verdict.delay_ms);
    else
        finish(talk, now_ms);
}

/* True: whoever waits for it is to look. */
static bool place(struct pam_talks *talks, struct talk *talk, enum found found, int64_t now_ms)
{
    switch (found) {
    case FOUND_NOTHING:
        return false;
    case FOUND_SENT:
        talk->state = TALK_IN_PAM;
        return false;
    case FOUND_NAME:
        return place_name(talks, talk, now_ms);
    case FOUND_PROMPTS:
        ask_client(talk);
        return true;
    case FOUND_VERDICT:
        judge(talks, talk, now_ms);
        return talk->state == TALK_DONE;
    case FOUND_END:
        count_failure(talks, talk, talk->end == TALK_SILENT);
        if (talk->state == TALK_PROMPTING && talk->told)
            clear(talk); /* nobody waits for it */
        else
            finish(talk, now_ms);
        return true;
    }
    return false;
}

/* What time alone does. True as above. */
static bool pass_time(struct pam_talks *talks, struct talk *talk, int64_t now_ms)
{
    if (talk->state == TALK_FREE || now_ms < talk->until_ms)
        return false;
    if (talk->state == TALK_DONE) {
        clear(talk);
        return false;
    }
    if (talk->state == TALK_HELD) {
        finish(talk, now_ms);
        return true;
    }
    talk->end = TALK_SILENT;
    return place(talks, talk, FOUND_END, now_ms);
}

/* ---- the thread ------------------------------------------------------------------------------- */

static bool is_of(const struct request *req, void *arg)
{
    const struct talk_ticket *ticket = req->handler_data;
    return ticket != NULL && ticket->number == *(const uint64_t *)arg;
}

struct round {
    struct pollfd entries[1 + PLACES]; /* the bell, then place i */
    enum talk_state states[PLACES];
    int timeout_ms;
};

static void prepare(const struct pam_talks *talks, struct round *round, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    round->entries[0] = (struct pollfd){.fd = talks->bell, .events = POLLIN};
    for (size_t i = 0; i < PLACES; i++) {
        const struct talk *talk = &talks->places[i];
        round->states[i] = talk->state;
        bool listens = talk->state == TALK_IN_PAM || talk->state == TALK_PROMPTING;
        round->entries[1 + i] =
            (struct pollfd){.fd = listens ? talk->socket : -1, .events = POLLIN};
        if (talk->state == TALK_BEGINS || talk->state == TALK_GOES || talk->state == TALK_SENDS)
            next_ms = now_ms;
        else if (talk->state != TALK_FREE && talk->until_ms < next_ms)
            next_ms = talk->until_ms;
    }
    int64_t left_ms = next_ms > now_ms ? next_ms - now_ms : 0;
    round->timeout_ms = next_ms == INT64_MAX ? -1 : (int)left_ms;
}

/* Without the lock for what the state says is the thread's. */
static enum found work(const struct pam_talks *talks, struct talk *talk, enum talk_state state,
                       short events)
{
    if (state == TALK_BEGINS)
        return talk_connect(talk, talks->socket);
    if (state == TALK_GOES)
        return talk_go(talk);
    if (state == TALK_SENDS)
        return talk_send(talk);
    return state == TALK_IN_PAM && events != 0 ? talk_hear(talk) : FOUND_NOTHING;
}

/* A talk that waits for its client belongs to nobody: vaultd-pam says nothing then, unless it ended. */
static enum found look_at_prompting(struct talk *talk, short events)
{
    return talk->state == TALK_PROMPTING && events != 0 ? talk_ends(talk, TALK_SILENT) : FOUND_NOTHING;
}

static void attend(struct pam_talks *talks, struct round *round)
{
    for (size_t i = 0; i < PLACES; i++) {
        struct talk *talk = &talks->places[i];
        short events = round->entries[1 + i].revents;
        enum found found = work(talks, talk, round->states[i], events);
        (void)pthread_mutex_lock(&talks->lock);
        int64_t now_ms = kt_timespec_mono_ms();
        uint64_t number = talk->number;
        if (round->states[i] == TALK_PROMPTING)
            found = look_at_prompting(talk, events);
        bool wake = place(talks, talk, found, now_ms);
        wake = pass_time(talks, talk, now_ms) || wake;
        (void)pthread_mutex_unlock(&talks->lock);
        if (wake)
            (void)wait_list_wake(talks->waiters, is_of, &number);
    }
}

static void *talks_thread(void *arg)
{
    struct pam_talks *talks = arg;
    struct round round;
    uint64_t rings = 0;
    for (;;) {
        (void)pthread_mutex_lock(&talks->lock);
        bool stopping = talks->stopping;
        prepare(talks, &round, kt_timespec_mono_ms());
        (void)pthread_mutex_unlock(&talks->lock);
        if (stopping)
            return NULL;
        int n = poll(round.entries, 1 + PLACES, round.timeout_ms);
        if (n > 0 && round.entries[0].revents != 0)
            (void)!read(talks->bell, &rings, sizeof rings);
        for (size_t i = 0; n <= 0 && i < PLACES; i++)
            round.entries[1 + i].revents = 0;
        attend(talks, &round);
    }
}

/* ---- for handlers ----------------------------------------------------------------------------- */

static bool start_thread(struct pam_talks *talks)
{
    if (!talks->running)
        talks->running = pthread_create(&talks->thread, NULL, talks_thread, talks) == 0;
    return talks->running;
}

/* *ret_place: a free one, if it may. */
static enum talk_begun may_begin(struct pam_talks *talks, const struct talk_party *party,
                                 const unsigned char name[LOCKOUT_KEY], unsigned max_failures,
                                 struct talk **ret_place)
{
    *ret_place = NULL;
    const struct crowd crowd = count_open(talks, NULL, party, name);
    enum talk_begun guess = may_guess(talks, party, &crowd, name, max_failures);
    if (guess != TALK_BEGUN)
        return guess;
    if (!party->local && crowd.source >= TALKS_SOURCE_MAX)
        return TALK_NAME_FULL;
    if (crowd.all >= PAMD_LOGINS_MAX || (!party->local && crowd.network >= TALKS_NETWORK_MAX))
        return TALK_FULL;
    *ret_place = free_place(talks);
    return *ret_place == NULL ? TALK_FULL : TALK_BEGUN;
}

static void fill(struct pam_talks *talks, struct talk *talk, const struct talk_party *party,
                 const unsigned char name[LOCKOUT_KEY], unsigned max_failures,
                 struct kt_secret *password)
{
    int64_t now_ms = kt_timespec_mono_ms();
    *talk = (struct talk){.state = TALK_BEGINS,
                          .number = ++talks->last,
                          .socket = -1,
                          .party = *party,
                          .max_failures = max_failures,
                          .counted = party->question != PAMD_LOGIN,
                          .begun_ms = now_ms,
                          .asked_ms = now_ms,
                          .until_ms = now_ms + (int64_t)PAMD_TIMEOUT_S * 1000 + GRACE_MS,
                          .secret = password};
    memcpy(talk->name, name, LOCKOUT_KEY);
    kt_buf_init(&talk->message, PAMD_MESSAGE_MAX + 1);
    kt_buf_init(&talk->groups, PAMD_GROUPS_BYTES + (size_t)4 * PAMD_GROUPS_MAX);
}

enum talk_begun pam_talk_may(struct pam_talks *talks, const struct talk_party *party,
                             unsigned max_failures)
{
    unsigned char name[LOCKOUT_KEY];
    struct talk *place = NULL;
    lockout_key(talks->failures, of_the_host, kt_str(party->user), name);
    (void)pthread_mutex_lock(&talks->lock);
    enum talk_begun may = may_begin(talks, party, name, max_failures, &place);
    (void)pthread_mutex_unlock(&talks->lock);
    return may;
}

enum talk_begun pam_talk_begin(struct pam_talks *talks, const struct talk_party *party,
                               unsigned max_failures, struct kt_bytes password,
                               struct talk_ticket *ret)
{
    unsigned char name[LOCKOUT_KEY];
    struct kt_secret *kept = NULL;
    struct talk *talk = NULL;
    if (password.at != NULL && password.len > 0) {
        kept = kt_secret_copy(password);
        if (kept == NULL)
            return TALK_NO_MEMORY;
    }
    lockout_key(talks->failures, of_the_host, kt_str(party->user), name);
    (void)pthread_mutex_lock(&talks->lock);
    enum talk_begun begun = may_begin(talks, party, name, max_failures, &talk);
    if (begun == TALK_BEGUN && (!start_thread(talks) || !ring(talks)))
        begun = TALK_NO_MEMORY;
    if (begun == TALK_BEGUN) {
        fill(talks, talk, party, name, max_failures, kept);
        kept = NULL;
        ticket_of(talks, talk, ret);
    }
    (void)pthread_mutex_unlock(&talks->lock);
    kt_secret_free(kept);
    return begun;
}

static bool is_party(const struct talk_party *a, const struct talk_party *b)
{
    return memcmp(a->scope, b->scope, BARRIER_SCOPE) == 0 && strcmp(a->user, b->user) == 0 &&
           a->local == b->local &&
           (a->local ? a->uid == b->uid : strcmp(a->address, b->address) == 0);
}

/* All are compared, and each whole: how long it takes says nothing. */
static struct talk *find_id(struct pam_talks *talks, const struct talk_party *party, struct kt_bytes id)
{
    struct talk *found = NULL;
    for (size_t i = 0; i < PLACES; i++) {
        struct talk *talk = &talks->places[i];
        if (talk->state == TALK_PROMPTING && kt_secret_equal(kt_bytes(talk->id, TALK_ID), id) &&
            is_party(&talk->party, party))
            found = talk;
    }
    return found;
}

enum talk_answered pam_talk_answer(struct pam_talks *talks, const struct talk_party *party,
                                   struct kt_bytes id, const struct kt_bytes *answers, size_t n,
                                   struct talk_ticket *ret)
{
    struct pamd_message prompts;
    if (n > PAMD_PROMPTS_MAX)
        return TALK_MISCOUNTED;
    struct kt_secret *secret = talk_encode(answers, n);
    if (secret == NULL)
        return TALK_NOT_ANSWERED;
    (void)pthread_mutex_lock(&talks->lock);
    struct talk *talk = find_id(talks, party, id);
    enum talk_answered answered = talk == NULL ? TALK_UNKNOWN : TALK_ANSWERED;
    if (talk != NULL) {
        bool whole = pamd_decode(kt_buf_bytes(&talk->message), &prompts);
        KT_ASSERT(whole && prompts.letter == PAMD_PROMPTS);
        if (prompts.prompts.n != n)
            answered = TALK_MISCOUNTED;
        else if (!ring(talks))
            answered = TALK_NOT_ANSWERED;
    }
    if (answered == TALK_ANSWERED) {
        talk->secret = secret;
        secret = NULL;
        sodium_memzero(talk->id, sizeof talk->id);
        talk->round++;
        talk->asked_ms = kt_timespec_mono_ms();
        talk->state = TALK_SENDS;
        ticket_of(talks, talk, ret);
    }
    (void)pthread_mutex_unlock(&talks->lock);
    kt_secret_free(secret);
    return answered;
}

static bool copy_text(struct kt_arena *arena, struct kt_bytes *text)
{
    const char *copy = kt_arena_text(arena, *text);
    *text = kt_bytes(copy, text->len);
    return copy != NULL;
}

static bool copy_message(struct kt_arena *arena, struct pamd_message *message)
{
    bool ok = true;
    if (message->letter == PAMD_PROMPTS)
        for (size_t i = 0; ok && i < message->prompts.n; i++)
            ok = copy_text(arena, &message->prompts.at[i].text);
    if (message->letter == PAMD_VERDICT)
        ok = copy_text(arena, &message->verdict.name);
    return ok;
}

static bool copy_groups(const struct talk *talk, struct kt_arena *arena, struct string_list *ret)
{
    struct kt_reader r = kt_reader(kt_buf_bytes(&talk->groups));
    const char **at = kt_arena_take(arena, (talk->n_groups + 1) * sizeof *at);
    bool ok = at != NULL;
    for (size_t i = 0; ok && i < talk->n_groups; i++) {
        at[i] = kt_arena_text(arena, kt_read_field(&r));
        ok = at[i] != NULL;
    }
    *ret = (struct string_list){at, ok ? talk->n_groups : 0};
    return ok;
}

static bool tell(const struct talk *talk, struct kt_arena *arena, struct talk_news *ret)
{
    int64_t left_ms = talk->until_ms - GRACE_MS - kt_timespec_mono_ms();
    *ret = (struct talk_news){.asks = talk->state == TALK_PROMPTING,
                              .end = talk->end,
                              .expires_s = left_ms > 0 ? (unsigned)(left_ms / 1000) : 0};
    memcpy(ret->id, talk->id, sizeof ret->id);
    memcpy(ret->account, talk->name, sizeof ret->account);
    memcpy(ret->account_name, talk->account, sizeof ret->account_name);
    if (!ret->asks && talk->end != TALK_VERDICT)
        return true;
    bool whole = pamd_decode(kt_buf_bytes(&talk->message), &ret->message);
    KT_ASSERT(whole);
    bool in = ret->message.letter == PAMD_VERDICT && ret->message.verdict.outcome == PAMD_IN;
    return copy_message(arena, &ret->message) && (!in || copy_groups(talk, arena, &ret->groups));
}

enum talk_taken pam_talk_take(struct pam_talks *talks, const struct talk_ticket *ticket,
                              struct kt_arena *arena, struct talk_news *ret)
{
    enum talk_taken taken = TALK_WAITS;
    (void)pthread_mutex_lock(&talks->lock);
    struct talk *talk = &talks->places[ticket->place];
    if (talk->number != ticket->number || talk->round != ticket->round ||
        (talk->state == TALK_PROMPTING && talk->told))
        taken = TALK_LOST;
    else if (talk->state == TALK_PROMPTING || talk->state == TALK_DONE)
        taken = tell(talk, arena, ret) ? TALK_NEWS : TALK_UNTOLD;
    if (taken == TALK_NEWS && talk->state == TALK_DONE)
        clear(talk);
    else if (taken == TALK_NEWS)
        talk->told = true;
    (void)pthread_mutex_unlock(&talks->lock);
    return taken;
}

void pam_talk_let_in(struct pam_talks *talks, const struct talk_news *news, bool in)
{
    if (in)
        lockout_forget(talks->failures, news->account);
    else
        lockout_failed(talks->failures, news->account, kt_mono_ms(talks->clock));
}

struct wait_list *pam_talk_waiters(struct pam_talks *talks)
{
    return talks->waiters;
}

unsigned pam_talks_open(struct pam_talks *talks)
{
    unsigned n = 0;
    (void)pthread_mutex_lock(&talks->lock);
    for (size_t i = 0; i < PLACES; i++)
        n += is_open(&talks->places[i]);
    (void)pthread_mutex_unlock(&talks->lock);
    return n;
}

/* ---- birth and end ---------------------------------------------------------------------------- */

struct pam_talks *pam_talks_new(struct wait_clock *waits, const struct kt_clock *clock,
                                struct lockout *failures, const char *socket)
{
    struct pam_talks *talks = kt_calloc(1, sizeof *talks);
    if (talks == NULL)
        return NULL;
    talks->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    talks->waiters = wait_list_new(waits);
    for (size_t i = 0; i < PLACES; i++)
        talks->places[i].socket = -1;
    (void)pthread_mutex_init(&talks->lock, NULL);
    if (talks->bell < 0 || talks->waiters == NULL || strlen(socket) >= sizeof talks->socket) {
        pam_talks_free(talks);
        return NULL;
    }
    talks->clock = clock;
    talks->failures = failures;
    memcpy(talks->socket, socket, strlen(socket));
    return talks;
}

void pam_talks_free(struct pam_talks *talks)
{
    if (talks == NULL)
        return;
    (void)pthread_mutex_lock(&talks->lock);
    talks->stopping = true;
    bool running = talks->running;
    (void)pthread_mutex_unlock(&talks->lock);
    while (running && !ring(talks))
        (void)sched_yield();
    if (running)
        (void)pthread_join(talks->thread, NULL);
    for (size_t i = 0; i < PLACES; i++)
        clear(&talks->places[i]);
    if (talks->waiters != NULL)
        wait_list_free(talks->waiters);
    if (talks->bell >= 0)
        (void)close(talks->bell);
    (void)pthread_mutex_destroy(&talks->lock);
    free(talks);
}
