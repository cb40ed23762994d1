#include "vaultd/rotation/nodes.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/assert.h"
#include "lib/failpoint.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/job.h"
#include "vaultd/rotation/sentinels.h"

/* Least time of one server, however long the others took: its worker has to start. */
#define NODE_LEAST_MS 1000

/* ---- classes ---- */

/* The higher one is what both come to; see the header. */
static unsigned rank(enum driver_class class)
{
    static const unsigned ranks[DRIVER_CLASS_COUNT] = {
        [DRIVER_OK] = 0,      [DRIVER_BAD_VALUE] = 1, [DRIVER_PERMANENT] = 2,
        [DRIVER_UNREACH] = 3, [DRIVER_REFUSED] = 4,   [DRIVER_WRONG_SERVER] = 5,
    };
    return ranks[class];
}

enum driver_class nodes_class(enum driver_class a, enum driver_class b)
{
    enum driver_class higher = rank(a) > rank(b) ? a : b;
    return higher == DRIVER_BAD_VALUE && a != b ? DRIVER_PERMANENT : higher;
}

/* ---- replies ---- */

struct tally {
    size_t accepted, refused, barred, unknown, unasked;
};

static struct tally tally(const struct target_node *nodes, size_t n, enum driver_who who)
{
    struct tally t = {0};
    for (size_t i = 0; i < n; i++) {
        const struct driver_reply *reply = &nodes[i].result.replies[who];
        bool accepted = reply->answer == ANSWER_ACCEPTED;
        bool refused = reply->answer == ANSWER_REFUSED;
        t.accepted += accepted;
        t.refused += refused;
        t.barred += !accepted && !refused && reply->barred;
        t.unknown += !accepted && !refused && !reply->barred;
        t.unasked += accepted && reply->unasked;
    }
    return t;
}

/* The first that does not accept it has a code that says why. */
static void take_code(const struct target_node *nodes, size_t n, enum driver_who who, struct driver_reply *ret)
{
    for (size_t i = 0; i < n; i++) {
        const struct driver_reply *reply = &nodes[i].result.replies[who];
        ret->took_ms = reply->took_ms > ret->took_ms ? reply->took_ms : ret->took_ms;
        if (reply->answer != ANSWER_ACCEPTED && ret->code[0] == '\0')
            memcpy(ret->code, reply->code, sizeof ret->code);
    }
}

static enum driver_answer half(enum node_wish wish, bool new_everywhere)
{
    bool there = wish == WISH_NOWHERE || (wish == WISH_BESIDE && !new_everywhere);
    return there ? ANSWER_ACCEPTED : ANSWER_REFUSED;
}

struct driver_reply nodes_reply(const struct target_node *nodes, size_t n, enum driver_who who, enum node_wish wish,
                                bool new_everywhere)
{
    const struct tally t = tally(nodes, n, who);
    struct driver_reply reply = {.answer = ANSWER_UNKNOWN,
                                 .mixed = t.accepted != n && t.refused != n && t.barred != n && t.unknown != n,
                                 .refused_by_one = t.refused > 0};
    take_code(nodes, n, who, &reply);
    bool alive = t.accepted + t.barred > 0;
    if (t.unasked > 0 || (who == DRIVER_CONTROL && t.accepted > 0)) {
        reply.answer = ANSWER_ACCEPTED;
        reply.unasked = t.unasked > 0;
    } else if (t.accepted == n) {
        reply.answer = ANSWER_ACCEPTED;
    } else if (t.refused == n || (who == DRIVER_ADMIN && t.refused > 0)) {
        reply.answer = ANSWER_REFUSED;
    } else if (t.refused > 0 && t.unknown == 0 && (who == DRIVER_NEW || who == DRIVER_OLD)) {
        reply.answer = half(wish, new_everywhere);
    } else {
        reply.barred = alive && (who == DRIVER_NEW || who == DRIVER_OLD);
    }
    return reply;
}

static bool asks(const struct driver_step *step, enum driver_who who)
{
    return step->op == DRIVER_PROBE && step->logins[who].username != NULL;
}

/* Of two values for an account that has one, one is a wrong password. */
static bool accepts_any(const struct driver_step *step, struct node_aim aim, const struct target_node *node)
{
    return aim.one && asks(step, DRIVER_NEW) && asks(step, DRIVER_OLD) && !asks(step, DRIVER_CONTROL) &&
           node->result.replies[DRIVER_NEW].answer == ANSWER_ACCEPTED &&
           node->result.replies[DRIVER_OLD].answer == ANSWER_ACCEPTED;
}

static void combine_replies(const struct driver_step *step, struct node_aim aim, const struct target_node *nodes, size_t n,
                            struct driver_result *ret)
{
    const enum node_wish wishes[DRIVER_LOGIN_COUNT] = {[DRIVER_NEW] = aim.new_, [DRIVER_OLD] = aim.old};
    bool everywhere = asks(step, DRIVER_NEW) && tally(nodes, n, DRIVER_NEW).accepted == n;
    for (unsigned who = 0; who < DRIVER_LOGIN_COUNT; who++)
        if (asks(step, (enum driver_who)who))
            ret->replies[who] = nodes_reply(nodes, n, (enum driver_who)who, wishes[who], everywhere);
    for (size_t i = 0; i < n; i++)
        if (accepts_any(step, aim, &nodes[i]))
            ret->replies[DRIVER_CONTROL].answer = ANSWER_ACCEPTED;
}

/* ---- texts ---- */

static bool changes(enum driver_op op)
{
    return op == DRIVER_CREATE || op == DRIVER_APPLY || op == DRIVER_REVOKE || op == DRIVER_RESTORE;
}

/* What does not fit is cut: each text begins with who says it. */
static void append(struct driver_result *ret, const char *format, ...) KT_PRINTF(2, 3);
static void append(struct driver_result *ret, const char *format, ...)
{
    size_t len = strlen(ret->text);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(ret->text + len, sizeof ret->text - len, format, args);
    va_end(args);
}

static const char *words_of(const struct driver_result *result)
{
    return result->text[0] != '\0' ? result->text : kt_driver_class_text(result->class);
}

/* One that cannot be changed as it is has to be known as that, whatever the others say. */
static void take_unfit(const struct target_node *nodes, size_t n, struct driver_result *ret)
{
    for (size_t i = 0; i < n; i++)
        if (nodes[i].result.class == DRIVER_PERMANENT && strcmp(nodes[i].result.code, DRIVER_UNFIT) == 0)
            memcpy(ret->code, DRIVER_UNFIT, sizeof DRIVER_UNFIT);
}

/* Nobody heard of the step: not where one server was really away. */
static bool is_unsent(const struct driver_result *result)
{
    return result->class == DRIVER_UNREACH && strcmp(result->code, DRIVER_UNSENT) == 0;
}

/* The first code of those that say no: that it was not sent is one of the whole step only if none had it. */
static void take_trouble_code(const struct driver_result *result, struct driver_result *ret)
{
    if (ret->code[0] == '\0' || (is_unsent(ret) && !is_unsent(result)))
        memcpy(ret->code, result->code, sizeof ret->code);
}

/* Those that say no, before those that are away: what people have to mend. */
static void say_trouble(enum driver_op op, const struct target_node *nodes, size_t n, struct driver_result *ret)
{
    size_t done = 0;
    take_unfit(nodes, n, ret);
    for (unsigned at = DRIVER_CLASS_COUNT; at-- > 1;)
        for (size_t i = 0; i < n; i++)
            if (rank(nodes[i].result.class) == at) {
                append(ret, "%s%s: %s", ret->text[0] == '\0' ? "" : "; ", nodes[i].name, words_of(&nodes[i].result));
                take_trouble_code(&nodes[i].result, ret);
            }
    for (size_t i = 0; i < n; i++)
        if (nodes[i].result.class == DRIVER_OK)
            append(ret, "%s%s", done++ > 0 ? ", " : changes(op) ? "; done at " : "; no trouble at ", nodes[i].name);
}

static void say_disagreement(const struct driver_step *step, enum driver_who who, const struct target_node *nodes, size_t n,
                             struct driver_result *ret)
{
    static const char *const names[DRIVER_LOGIN_COUNT] = {
        [DRIVER_ADMIN] = "the administrative login", [DRIVER_CONTROL] = "a wrong password",
        [DRIVER_NEW] = "the new one", [DRIVER_OLD] = "the old one"};
    bool alone = who == DRIVER_OLD && !asks(step, DRIVER_NEW);
    append(ret, "%s%s:", ret->text[0] == '\0' ? "" : "; ", alone ? "the stored one" : names[who]);
    for (size_t i = 0; i < n; i++) {
        const struct driver_reply *reply = &nodes[i].result.replies[who];
        append(ret, "%s %s at %s", i == 0 ? "" : ",", kt_driver_answer_text(reply->answer), nodes[i].name);
        if (reply->answer != ANSWER_ACCEPTED && reply->code[0] != '\0')
            append(ret, " (%s)", reply->code);
    }
}

static void combine_texts(const struct driver_step *step, const struct target_node *nodes, size_t n,
                          struct driver_result *ret)
{
    if (ret->class != DRIVER_OK)
        say_trouble(step->op, nodes, n, ret);
    for (unsigned who = 0; who < DRIVER_LOGIN_COUNT; who++)
        if (ret->replies[who].mixed)
            say_disagreement(step, (enum driver_who)who, nodes, n, ret);
    if (ret->text[0] == '\0')
        append(ret, "each of %zu servers: %s", n, words_of(&nodes[0].result));
}

static void take_text(const char *from, char *to, size_t size)
{
    if (to[0] == '\0')
        memcpy(to, from, size);
}

static void take_findings(const struct target_node *node, struct driver_result *ret)
{
    size_t at = 0;
    while (at < DRIVER_FINDINGS_MAX && ret->findings[at][0] != '\0')
        at++;
    for (size_t i = 0; i < DRIVER_FINDINGS_MAX && at < DRIVER_FINDINGS_MAX && node->result.findings[i][0] != '\0'; i++)
        if (snprintf(ret->findings[at], sizeof ret->findings[at], "%s: %s", node->name, node->result.findings[i]) > 0)
            at++;
}

static uint32_t sum(uint32_t a, uint32_t b)
{
    return UINT32_MAX - a < b ? UINT32_MAX : a + b;
}

static void take_evidence(const struct target_node *node, struct driver_result *ret)
{
    const struct driver_result *r = &node->result;
    take_text(r->server_version, ret->server_version, sizeof ret->server_version);
    take_text(r->server_id, ret->server_id, sizeof ret->server_id);
    take_text(r->comment, ret->comment, sizeof ret->comment);
    take_text(r->session_user, ret->session_user, sizeof ret->session_user);
    take_text(r->current_user, ret->current_user, sizeof ret->current_user);
    take_findings(node, ret);
    ret->sessions = sum(ret->sessions, r->sessions);
    ret->ended_sessions = sum(ret->ended_sessions, r->ended_sessions);
    ret->took_ms = sum(ret->took_ms, r->took_ms);
    ret->missing_layers |= r->missing_layers;
}

/* ---- all ---- */

static size_t ran(const struct target_node *nodes, size_t n)
{
    size_t i = 0;
    while (i < n && nodes[i].ran)
        i++;
    return i;
}

void nodes_combine(const struct driver_step *step, struct node_aim aim, const struct target_node *nodes, size_t n,
                   struct driver_result *ret)
{
    n = ran(nodes, n);
    KT_ASSERT(n > 0);
    *ret = (struct driver_result){.class = nodes[0].result.class};
    for (size_t i = 0; i < n; i++) {
        ret->class = nodes_class(ret->class, nodes[i].result.class);
        take_evidence(&nodes[i], ret);
    }
    combine_replies(step, aim, nodes, n, ret);
    combine_texts(step, nodes, n, ret);
}

static bool ends_here(const struct job_part *part, const struct driver_result *result)
{
    return changes(part->step.op) && !part->aim.all && result->class != DRIVER_OK;
}

static void lose_answer(struct driver_result *result)
{
    *result = (struct driver_result){.class = DRIVER_UNREACH, .code = "lost"};
    memcpy(result->text, "the answer was lost", sizeof "the answer was lost");
}

/* What is left for this one: those behind it have to be reached and asked, too. Where that is more than a step may
 * take, each has the same. */
static uint32_t share_ms(const struct driver_step *step, int64_t left_ms, size_t behind)
{
    int64_t each = (int64_t)step->target.connect_timeout_ms + step->target.statement_timeout_ms;
    int64_t even = left_ms / ((int64_t)behind + 1);
    int64_t share = left_ms - (int64_t)behind * each;
    share = share < even ? even : share;
    return share < NODE_LEAST_MS ? NODE_LEAST_MS : (uint32_t)share;
}

void nodes_run(struct rotation *rotation, struct job_part *part, struct kt_arena *arena)
{
    if (part->n_nodes == 0) {
        rotation_run_step(rotation, &part->step, arena, &part->result);
        return;
    }
    if (part->n_sentinels > 0)
        sentinels_ask(rotation, part, arena);
    const struct kt_clock *clock = rotation->core->clock;
    int64_t end = kt_mono_ms(clock) + part->step.timeout_ms;
    for (size_t i = 0; i < part->n_nodes; i++) {
        struct target_node *node = &part->nodes[i];
        struct driver_step step = part->step;
        step.target.host = node->host;
        step.target.port = node->port;
        step.target.server_id = node->server_id;
        step.timeout_ms = share_ms(&step, end - kt_mono_ms(clock), part->n_nodes - 1 - i);
        rotation_run_step(rotation, &step, arena, &node->result);
        node->ran = true;
        if (changes(step.op) && KT_FAILPOINT(run_node_changed))
            lose_answer(&node->result);
        if (ends_here(part, &node->result))
            break;
    }
    nodes_combine(&part->step, part->aim, part->nodes, part->n_nodes, &part->result);
    if (part->n_sentinels > 0 && part->step.op == DRIVER_INSPECT)
        sentinels_weigh(part);
}
