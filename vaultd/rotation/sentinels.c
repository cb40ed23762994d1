#include "vaultd/rotation/sentinels.h"

#include <stdio.h>

#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/job.h"

/* Least time of one, however long the others took: its worker has to start. */
#define SENTINEL_LEAST_MS 1000

static struct driver_step step_for(const struct job_part *part, const struct target_node *sentinel)
{
    struct driver_step step = {.driver = part->step.driver, .op = DRIVER_INSPECT, .target = part->step.target};
    step.target.host = sentinel->host;
    step.target.port = sentinel->port;
    step.target.server_id = "";
    step.target.sentinel_master = part->sentinel_master;
    return step;
}

/* Its worker speaks for a stranger: that a login was refused, or a server another one, is none of its matters. */
static void tame(struct driver_result *result)
{
    if (result->class != DRIVER_OK && result->class != DRIVER_UNREACH)
        result->class = DRIVER_PERMANENT;
}

static bool has_answer(const struct driver_result *result)
{
    return result->class == DRIVER_OK ||
           (result->class == DRIVER_PERMANENT && strcmp(result->code, DRIVER_UNFIT) == 0);
}

static bool knows_fewer(const struct driver_result *result)
{
    return result->class == DRIVER_OK && result->findings[0][0] != '\0';
}

/* The one with an answer, or all of those that had none. */
static void conclude(struct job_part *part, const struct target_node *first, size_t n)
{
    const struct driver_step asked = {.op = DRIVER_INSPECT};
    struct driver_result *said = &part->sentinel;
    nodes_combine(&asked, (struct node_aim){.all = true}, first, n, said);
    if (said->class == DRIVER_PERMANENT)
        memcpy(said->code, DRIVER_UNFIT, sizeof DRIVER_UNFIT);
    if (said->class == DRIVER_OK)
        (void)snprintf(said->text, sizeof said->text, "%s: %.300s", first->name, first->result.text);
}

void sentinels_ask(struct rotation *rotation, struct job_part *part, struct kt_arena *arena)
{
    const struct kt_clock *clock = rotation->core->clock;
    const struct driver_target *target = &part->step.target;
    const struct target_node *fewer = NULL;
    int64_t end = kt_mono_ms(clock) + target->connect_timeout_ms + target->statement_timeout_ms;
    for (size_t i = 0; i < part->n_sentinels; i++) {
        struct target_node *sentinel = &part->sentinels[i];
        struct driver_step step = step_for(part, sentinel);
        int64_t share = (end - kt_mono_ms(clock)) / (int64_t)(part->n_sentinels - i);
        step.timeout_ms = share < SENTINEL_LEAST_MS ? SENTINEL_LEAST_MS : (uint32_t)share;
        rotation_run_step(rotation, &step, arena, &sentinel->result);
        sentinel->ran = true;
        tame(&sentinel->result);
        /* One that knows fewer than are named was reset just now, or sees a part: the next one may know more. */
        if (knows_fewer(&sentinel->result))
            fewer = fewer == NULL ? sentinel : fewer;
        else if (has_answer(&sentinel->result)) {
            conclude(part, sentinel, 1);
            return;
        }
    }
    if (fewer != NULL)
        conclude(part, fewer, 1);
    else
        conclude(part, part->sentinels, part->n_sentinels);
}

static void take_findings(const struct driver_result *from, struct driver_result *to)
{
    size_t at = 0;
    while (at < DRIVER_FINDINGS_MAX && to->findings[at][0] != '\0')
        at++;
    for (size_t i = 0; i < DRIVER_FINDINGS_MAX && at < DRIVER_FINDINGS_MAX && from->findings[i][0] != '\0'; i++)
        memcpy(to->findings[at++], from->findings[i], sizeof to->findings[0]);
}

void sentinels_weigh(struct job_part *part)
{
    const struct driver_result *said = &part->sentinel;
    struct driver_result *ret = &part->result;
    char servers[sizeof ret->text];
    take_findings(said, ret);
    if (said->class == DRIVER_OK)
        return;
    bool well = ret->class == DRIVER_OK;
    memcpy(servers, ret->text, sizeof servers);
    ret->class = nodes_class(ret->class, said->class);
    if (well || said->class == DRIVER_PERMANENT)
        memcpy(ret->code, said->code, sizeof ret->code);
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 2 * sizeof ret->text + 2);
    kt_buf_printf(&text, "%s%s%s", said->text, well ? "" : "; ", well ? "" : servers);
    (void)snprintf(ret->text, sizeof ret->text, "%.*s", (int)sizeof ret->text - 1, kt_buf_text(&text));
}
