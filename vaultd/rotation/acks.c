#include "vaultd/rotation/acks.h"

#include "vaultd/auth/token.h"
#include "vaultd/fleet/fleet.h"
#include "vaultd/rotation/rotation.h"

bool consumer_acked(const struct run *run, const struct consumer *consumer)
{
    return consumer->state == CONSUMER_HEALTHY && consumer->version >= run->to;
}

/* Whether it is well with the one before again or not. */
bool consumer_in_trouble(const struct run *run, const struct consumer *consumer)
{
    return run->promoted_ms != 0 && consumer->failed_ms >= run_given_ms(run) &&
           consumer->failed_version == run->to;
}

void acks_judge(const struct run *run, const struct consumer *consumers, size_t n,
                struct acks *ret)
{
    *ret = (struct acks){.required = n};
    for (size_t i = 0; i < n; i++) {
        const struct consumer *c = &consumers[i];
        if (c->heard_ms > ret->moved_ms)
            ret->moved_ms = c->heard_ms;
        if (c->version == run->to && ret->on_new++ == 0)
            ret->runs_new = c;
        if (consumer_acked(run, c))
            ret->acked++;
        else if (ret->missing == NULL)
            ret->missing = c;
        if (consumer_in_trouble(run, c) &&
            (ret->trouble == NULL || c->failed_ms > ret->trouble->failed_ms))
            ret->trouble = c;
        if (c->state == CONSUMER_UNHEALTHY && c->version != run->to && ret->sick == NULL)
            ret->sick = c;
    }
}

bool consumer_lost(const struct request *req, const struct consumer *consumer)
{
    int64_t seen_ms = fleet_last_sign(req->core->fleet, consumer->host).heard_ms;
    int64_t heard_ms = consumer->heard_ms > seen_ms ? consumer->heard_ms : seen_ms;
    int64_t age_ms = rotation_steady_ms(req->core->rotation) - heard_ms;
    return age_ms < 0 || age_ms >= FLEET_LOST_MS; /* a crash took what that clock had; who lives says something soon */
}

void acks_lost(struct request *req, const struct consumer *consumers, size_t n, size_t *ret_n,
               const struct consumer **ret_first)
{
    *ret_n = 0;
    *ret_first = NULL;
    for (size_t i = 0; i < n; i++) {
        if (consumer_lost(req, &consumers[i]) && (*ret_n)++ == 0)
            *ret_first = &consumers[i];
    }
}

struct unsaid {
    uint32_t version;
    const struct consumer *consumers, *first;
    size_t n_consumers, n;
};

static bool count_unsaid(void *arg, const struct reader *reader)
{
    struct unsaid *unsaid = arg;
    for (size_t i = 0; i < unsaid->n_consumers; i++) {
        const struct consumer *c = &unsaid->consumers[i];
        if (c->version == unsaid->version || c->heard_ms > reader->heard_ms ||
            strcmp(c->identity, reader->identity) != 0)
            continue;
        if (unsaid->n++ == 0)
            unsaid->first = c;
    }
    return true;
}

enum kt_kind acks_unsaid(struct request *req, const struct run *run,
                         const struct consumer *consumers, size_t n, size_t *ret_n,
                         const struct consumer **ret_first, struct kt_err *err)
{
    struct unsaid unsaid = {.version = run->to, .consumers = consumers, .n_consumers = n};
    enum kt_kind kind = readers_behind(req, run->secret_id, run->to, UINT32_MAX, count_unsaid,
                                       &unsaid, err);
    *ret_n = unsaid.n;
    *ret_first = unsaid.first;
    return kind;
}

struct slowest {
    const struct run *run;
    const struct consumer *consumers, *who;
    size_t n_consumers;
    int64_t most_ms;
};

static bool look_at_slow(void *arg, const struct reader *reader)
{
    struct slowest *slowest = arg;
    int64_t given_ms = run_given_ms(slowest->run);
    for (size_t i = 0; i < slowest->n_consumers; i++) {
        const struct consumer *c = &slowest->consumers[i];
        /* A word that is repeated later makes nobody slower, nor does it to have read it beforehand. */
        int64_t said_ms = c->heard_ms < slowest->run->acked_ms ? c->heard_ms : slowest->run->acked_ms;
        bool early = c->candidates == CONSUMER_TWO && reader->heard_ms < given_ms;
        int64_t took_ms = said_ms - (early ? given_ms : reader->heard_ms);
        if (!consumer_acked(slowest->run, c) || took_ms <= slowest->most_ms ||
            strcmp(c->identity, reader->identity) != 0)
            continue;
        slowest->most_ms = took_ms;
        slowest->who = c;
    }
    return true;
}

enum kt_kind acks_slowest(struct request *req, const struct run *run,
                          const struct consumer *consumers, size_t n, int64_t *ret_ms,
                          const struct consumer **ret_who, struct kt_err *err)
{
    struct slowest slowest = {.run = run, .consumers = consumers, .n_consumers = n};
    enum kt_kind kind = n == 0 ? KT_OK
                               : readers_behind(req, run->secret_id, run->to, UINT32_MAX,
                                                look_at_slow, &slowest, err);
    *ret_ms = slowest.most_ms;
    *ret_who = slowest.who;
    return kind;
}

/* ---- readers that are no agents ---- */

static bool is_agent(const char *identity, const struct consumer *consumers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(consumers[i].identity, identity) == 0)
            return true;
    return false;
}

static bool token_ended(struct request *req, const struct reader *reader)
{
    const struct token *token = NULL;
    enum kt_kind kind = token_find_accessor(req->core, req->snapshot, reader->accessor,
                                            req->life_ms, &token, NULL);
    return kind == KT_INVALID || kind == KT_DENIED;
}

struct look {
    struct request *req;
    const struct consumer *consumers;
    size_t n_consumers;
    struct loose *loose;
    struct kt_jsonw *w; /* NULL: they are only counted */
};

static bool take_reader(void *arg, const struct reader *reader)
{
    struct look *look = arg;
    struct loose *loose = look->loose;
    if (is_agent(reader->identity, look->consumers, look->n_consumers) ||
        token_ended(look->req, reader))
        return true;
    if (loose->n++ == 0)
        loose->first = *reader;
    if (look->w == NULL)
        return true;
    kt_jsonw_object(look->w);
    kt_jsonw_kv_text(look->w, "identity", reader->identity);
    kt_jsonw_kv_text(look->w, "host", reader->host);
    kt_jsonw_kv_int(look->w, "version", reader->version);
    kt_jsonw_kv_time(look->w, "at", reader->at_ms);
    kt_jsonw_end(look->w);
    return true;
}

static enum kt_kind each_loose(struct request *req, const struct run *run,
                               const struct consumer *consumers, size_t n_consumers,
                               struct loose *ret, struct kt_jsonw *w, struct kt_err *err)
{
    struct look look = {req, consumers, n_consumers, ret, w};
    return readers_behind(req, run->secret_id, run->from, run->to, take_reader, &look, err);
}

enum kt_kind loose_look(struct request *req, const struct run *run,
                        const struct consumer *consumers, size_t n_consumers, struct loose *ret,
                        struct kt_err *err)
{
    *ret = (struct loose){0};
    return each_loose(req, run, consumers, n_consumers, ret, NULL, err);
}

enum kt_kind loose_show(struct request *req, const struct run *run,
                        const struct consumer *consumers, size_t n_consumers, struct kt_jsonw *w,
                        struct kt_err *err)
{
    struct loose loose = {0};
    kt_jsonw_array(w);
    enum kt_kind kind = each_loose(req, run, consumers, n_consumers, &loose, w, err);
    kt_jsonw_end(w);
    return kind;
}
