#include "vaultd/http/deadline.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>

#include "lib/assert.h"
#include "lib/failpoint.h"
#include "lib/random.h"
#include "lib/timespec.h"

#define BUCKETS     4096u
#define TICK_MS_MAX 200
#define TICK_MS_MIN 10
/* A look walks all connections: with very many of them it is taken less often. */
#define TICK_EACH_US    50u
#define TICK_MS_CROWDED 1000
/* A burst of one address may be this many times its limit until the grace is over. */
#define BURST_FACTOR 16u

/* An IPv4 address, or the /64 of an IPv6 one: one customer's usual share. */
struct address {
    unsigned char at[8];
    bool v6;
};

struct address_count {
    struct address_count *next;
    struct address address;
    unsigned open; /* connections of it that never authenticated */
};

struct deadlines {
    struct deadline_limits limits;
    const struct kt_clock *clock;
    _Atomic int64_t now_ms; /* as of the last tick */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ending;               /* guarded by lock, as all below */
    struct conn *first, *last; /* oldest first */
    struct deadline_counts counts;
    struct address_count *buckets[BUCKETS];
    unsigned char seed[crypto_shorthash_KEYBYTES];
};

/* ---- addresses ---- */

static bool address_of(const struct sockaddr *peer, struct address *ret)
{
    *ret = (struct address){0};
    if (peer == NULL)
        return false;
    if (peer->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, peer, sizeof v4);
        memcpy(ret->at, &v4.sin_addr, sizeof v4.sin_addr);
        return true;
    }
    if (peer->sa_family != AF_INET6)
        return false;
    struct sockaddr_in6 v6;
    memcpy(&v6, peer, sizeof v6);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
        memcpy(ret->at, v6.sin6_addr.s6_addr + 12, 4);
    } else {
        memcpy(ret->at, v6.sin6_addr.s6_addr, 8);
        ret->v6 = true;
    }
    return true;
}

/* The slot that points at the address's count, or at NULL where it would be put. */
static struct address_count **find(struct deadlines *table, const struct address *address)
{
    unsigned char hash[crypto_shorthash_BYTES];
    crypto_shorthash(hash, address->at, sizeof address->at, table->seed);
    struct address_count **at = &table->buckets[(hash[0] | (unsigned)hash[1] << 8) % BUCKETS];
    while (*at != NULL && ((*at)->address.v6 != address->v6 ||
                           memcmp((*at)->address.at, address->at, sizeof address->at) != 0))
        at = &(*at)->next;
    return at;
}

static void uncount(struct deadlines *table, struct conn *conn)
{
    struct address_count *count = conn->count;
    if (count == NULL)
        return;
    conn->count = NULL;
    table->counts.unauthenticated--;
    if (--count->open > 0)
        return;
    struct address_count **at = find(table, &count->address);
    KT_ASSERT(*at == count);
    *at = count->next;
    free(count);
}

bool deadlines_admit(struct deadlines *table, const struct sockaddr *peer)
{
    struct address address;
    if (table->limits.per_address == 0 || !address_of(peer, &address))
        return true;
    (void)pthread_mutex_lock(&table->lock);
    const struct address_count *count = *find(table, &address);
    bool admitted = count == NULL || count->open / BURST_FACTOR < table->limits.per_address;
    if (!admitted)
        table->counts.over_address++;
    (void)pthread_mutex_unlock(&table->lock);
    return admitted;
}

/* ---- connections ---- */

static void name_peer(struct conn *conn, const struct sockaddr *peer)
{
    if (peer != NULL && peer->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, peer, sizeof v4);
        (void)inet_ntop(AF_INET, &v4.sin_addr, conn->address, sizeof conn->address);
        conn->port = ntohs(v4.sin_port);
    } else if (peer != NULL && peer->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, peer, sizeof v6);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
            (void)inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, conn->address,
                            sizeof conn->address);
        else
            (void)inet_ntop(AF_INET6, &v6.sin6_addr, conn->address, sizeof conn->address);
        conn->port = ntohs(v6.sin6_port);
    } else {
        memcpy(conn->address, "unix", sizeof "unix");
    }
}

/* Counts the connection for its address; without memory it goes uncounted rather than refused. */
static void count_address(struct deadlines *table, struct conn *conn, const struct address *address)
{
    struct address_count **at = find(table, address);
    if (*at == NULL) {
        *at = kt_calloc(1, sizeof **at);
        if (*at == NULL)
            return;
        (*at)->address = *address;
    }
    (*at)->open++;
    conn->count = *at;
    table->counts.unauthenticated++;
}

struct conn *conn_add(struct deadlines *table, int fd, const struct sockaddr *peer, void *owner)
{
    struct conn *conn = kt_calloc(1, sizeof *conn);
    if (conn == NULL)
        return NULL;
    conn->magic = CONN_MAGIC;
    conn->fd = fd;
    conn->owner = owner;
    conn->table = table;
    conn->peer_uid = UINT32_MAX;
    name_peer(conn, peer);
    atomic_init(&conn->phase, CONN_HEADER);
    atomic_init(&conn->since_ms, kt_mono_ms(table->clock));
    struct address address;
    bool counted = address_of(peer, &address);
    (void)pthread_mutex_lock(&table->lock);
    conn->prev = table->last;
    *(table->last != NULL ? &table->last->next : &table->first) = conn;
    table->last = conn;
    table->counts.open++;
    if (counted)
        count_address(table, conn, &address);
    (void)pthread_mutex_unlock(&table->lock);
    return conn;
}

void conn_remove(struct conn *conn)
{
    if (conn == NULL)
        return;
    KT_ASSERT(conn->magic == CONN_MAGIC);
    struct deadlines *table = conn->table;
    (void)pthread_mutex_lock(&table->lock);
    uncount(table, conn);
    *(conn->prev != NULL ? &conn->prev->next : &table->first) = conn->next;
    *(conn->next != NULL ? &conn->next->prev : &table->last) = conn->prev;
    table->counts.open--;
    (void)pthread_mutex_unlock(&table->lock);
    conn->magic = 0;
    free(conn->peer_groups);
    free(conn);
}

void conn_phase(struct conn *conn, enum conn_phase phase)
{
    /* The time first: the thread that reads both must never pair a new phase with an old time. */
    atomic_store_explicit(&conn->since_ms,
                          atomic_load_explicit(&conn->table->now_ms, memory_order_relaxed),
                          memory_order_release);
    atomic_store_explicit(&conn->phase, (int)phase, memory_order_release);
}

void conn_body(struct conn *conn, uint64_t bytes)
{
    atomic_store_explicit(&conn->body_bytes, bytes, memory_order_relaxed);
}

void conn_uncounted(struct conn *conn)
{
    (void)pthread_mutex_lock(&conn->table->lock);
    uncount(conn->table, conn);
    (void)pthread_mutex_unlock(&conn->table->lock);
}

void conn_authenticated(struct conn *conn)
{
    if (atomic_load_explicit(&conn->authenticated, memory_order_relaxed))
        return;
    atomic_store_explicit(&conn->authenticated, true, memory_order_relaxed);
    (void)pthread_mutex_lock(&conn->table->lock);
    uncount(conn->table, conn);
    (void)pthread_mutex_unlock(&conn->table->lock);
}

static void shut(struct conn *conn)
{
    if (conn->shut)
        return;
    conn->shut = true;
    (void)shutdown(conn->fd, SHUT_RDWR); /* fails only when the peer was faster */
}

/* ---- the thread ---- */

static bool is_late(const struct deadlines *table, struct conn *conn, int64_t now_ms)
{
    const struct deadline_limits *limits = &table->limits;
    enum conn_phase phase =
        (enum conn_phase)atomic_load_explicit(&conn->phase, memory_order_acquire);
    int64_t age = now_ms - atomic_load_explicit(&conn->since_ms, memory_order_acquire);
    switch (phase) {
    case CONN_HEADER:
        return age > limits->header_ms;
    case CONN_BODY:
        if (age > limits->body_ms)
            return true;
        return age > limits->body_grace_ms &&
               atomic_load_explicit(&conn->body_bytes, memory_order_relaxed) <
                   (uint64_t)age * limits->body_rate / 1000;
    case CONN_BUSY:
        return false;
    case CONN_REPLY:
        return age > limits->reply_ms;
    case CONN_IDLE:
        return age > limits->idle_ms;
    }
    return false;
}

/* The oldest go first, so a client that comes now is served while squatters are put out. */
static bool is_over_address(const struct deadlines *table, struct conn *conn, int64_t now_ms)
{
    const struct deadline_limits *limits = &table->limits;
    if (conn->count == NULL || limits->per_address == 0 || conn->count->open <= limits->per_address)
        return false;
    enum conn_phase phase =
        (enum conn_phase)atomic_load_explicit(&conn->phase, memory_order_acquire);
    int64_t age = now_ms - atomic_load_explicit(&conn->since_ms, memory_order_acquire);
    return (phase == CONN_HEADER || phase == CONN_IDLE) && age > limits->address_grace_ms;
}

static void look(struct deadlines *table, int64_t now_ms)
{
    for (struct conn *conn = table->first; conn != NULL; conn = conn->next) {
        if (conn->shut)
            continue;
        bool over = is_over_address(table, conn, now_ms);
        if (!over && !is_late(table, conn, now_ms))
            continue;
        if (over)
            table->counts.over_address++;
        else
            table->counts.late++;
        shut(conn);
        uncount(table, conn);
    }
}

static int64_t tick_ms(const struct deadline_limits *limits)
{
    const int64_t spans[] = {limits->header_ms, limits->body_ms, limits->body_grace_ms,
                             limits->reply_ms,  limits->idle_ms, limits->address_grace_ms};
    int64_t tick = TICK_MS_MAX;
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++)
        if (spans[i] / 4 < tick)
            tick = spans[i] / 4;
    return tick < TICK_MS_MIN ? TICK_MS_MIN : tick;
}

static int64_t crowded_ms(const struct deadlines *table, int64_t tick)
{
    int64_t crowded = tick + (int64_t)table->counts.open * TICK_EACH_US / 1000;
    return crowded < TICK_MS_CROWDED ? crowded : TICK_MS_CROWDED;
}

static void *run(void *arg)
{
    struct deadlines *table = arg;
    const int64_t tick = tick_ms(&table->limits);
    (void)pthread_mutex_lock(&table->lock);
    while (!table->ending) {
        int64_t now_ms = kt_mono_ms(table->clock);
        atomic_store_explicit(&table->now_ms, now_ms, memory_order_relaxed);
        look(table, now_ms);
        struct timespec until = kt_timespec_in_ns(crowded_ms(table, tick) * KT_NS_PER_MS);
        (void)pthread_cond_timedwait(&table->wake, &table->lock, &until);
    }
    (void)pthread_mutex_unlock(&table->lock);
    return NULL;
}

enum kt_kind deadlines_new(const struct deadline_limits *limits, const struct kt_clock *clock,
                           struct deadlines **ret, struct kt_err *err)
{
    struct deadlines *table = kt_calloc(1, sizeof *table);
    if (table == NULL)
        return kt_fail(err, KT_NO_MEMORY, "no memory for the table of connections");
    table->limits = *limits;
    table->clock = clock;
    atomic_init(&table->now_ms, kt_mono_ms(clock));
    kt_random(table->seed, sizeof table->seed);
    pthread_condattr_t attributes;
    (void)pthread_mutex_init(&table->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&table->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    int error = pthread_create(&table->thread, NULL, run, table);
    if (error != 0) {
        (void)pthread_cond_destroy(&table->wake);
        (void)pthread_mutex_destroy(&table->lock);
        free(table);
        errno = error;
        return kt_fail(err, KT_IO, "cannot start the thread for deadlines");
    }
    *ret = table;
    return KT_OK;
}

void deadlines_free(struct deadlines *table)
{
    if (table == NULL)
        return;
    (void)pthread_mutex_lock(&table->lock);
    KT_ASSERT(table->first == NULL);
    table->ending = true;
    (void)pthread_cond_signal(&table->wake);
    (void)pthread_mutex_unlock(&table->lock);
    (void)pthread_join(table->thread, NULL);
    (void)pthread_cond_destroy(&table->wake);
    (void)pthread_mutex_destroy(&table->lock);
    free(table);
}

void deadlines_shut_idle(struct deadlines *table)
{
    (void)pthread_mutex_lock(&table->lock);
    for (struct conn *conn = table->first; conn != NULL; conn = conn->next) {
        int phase = atomic_load_explicit(&conn->phase, memory_order_acquire);
        if (phase == CONN_IDLE || phase == CONN_HEADER)
            shut(conn);
    }
    (void)pthread_mutex_unlock(&table->lock);
}

void deadlines_counts(struct deadlines *table, struct deadline_counts *ret)
{
    (void)pthread_mutex_lock(&table->lock);
    *ret = table->counts;
    (void)pthread_mutex_unlock(&table->lock);
}
