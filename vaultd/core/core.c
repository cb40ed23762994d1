#include "vaultd/core/core.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/assert.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/log.h"
#include "lib/timespec.h"
#include "vaultd/approval/tidy.h"
#include "vaultd/auth/logins.h"
#include "vaultd/auth/revoker.h"
#include "vaultd/auth/token.h"
#include "vaultd/barrier/ceremony.h"
#include "vaultd/core/autorotate.h"
#include "vaultd/core/autounseal.h"
#include "vaultd/core/heap.h"
#include "vaultd/core/jobs.h"
#include "vaultd/core/key_set.h"
#include "vaultd/core/mounts.h"
#include "vaultd/core/private.h"
#include "vaultd/core/quotas.h"
#include "vaultd/core/upkeep.h"
#include "vaultd/fleet/fleet.h"
#include "vaultd/identity/identity.h"
#include "vaultd/policy/policies.h"
#include "vaultd/rotation/rotation.h"

#define HOUSEKEEPING_MS        1000
#define HOUSEKEEPING_REST_MS   20 /* while there is more to do than one second holds: others' commits come between */
#define HOUSEKEEPING_FAILED_MS 60000
#define AUTOROTATE_MS          60000

/* ---- the housekeeper: what has to be looked at now and then ---------------------------------- */

static bool stopping(struct core_private *own)
{
    (void)pthread_mutex_lock(&own->lock);
    bool stop = own->stopping;
    (void)pthread_mutex_unlock(&own->lock);
    return stop;
}

/* In its own time: nobody waits for it, and the next look comes in a minute. */
static void tidy_approvals(struct core *core)
{
    struct kt_err err = {0};
    unsigned damaged = 0;
    enum kt_kind kind = approvals_tidy(core, &damaged, &err);
    if (kind != KT_OK && kind != KT_SEALED && kind != KT_BUSY && kind != KT_CONFLICT)
        kt_log_err(KT_LOG_WARNING, "approvals_not_tidied", &err);
    if (kind != KT_OK)
        return;
    if (damaged > core->own->approvals_damaged)
        kt_log(KT_LOG_WARNING, "approvals_damaged", "requests=%u next=\"%s\"", damaged,
               "what they asked for was not done: who asked, asks anew");
    core->own->approvals_damaged = damaged;
}

/* Now and then: a term of the keyring is good for long. */
static void look_now_and_then(struct core *core, int64_t now_ms)
{
    struct core_private *own = core->own;
    struct kt_err err = {0};
    bool rotated = false;
    if (now_ms < own->autorotate_at_ms)
        return;
    own->autorotate_at_ms = now_ms + AUTOROTATE_MS;
    enum kt_kind kind = autorotate_run(core, &rotated, &err);
    if (rotated)
        kt_log(KT_LOG_NOTICE, "keyring_rotated", "why=%s", "sys/rotate/config");
    else if (kind != KT_OK && kind != KT_SEALED && kind != KT_BUSY && kind != KT_CONFLICT)
        kt_log_err(KT_LOG_WARNING, "keyring_not_rotated", &err);
    tidy_approvals(core);
}

/* How long it may rest until the next. */
static int64_t housekeep(struct core *core)
{
    ceremonies_expire(core->barrier);
    if (!barrier_enter(core->barrier))
        return HOUSEKEEPING_MS;
    record_counts(core, false);
    barrier_leave(core->barrier);
    struct core_private *own = core->own;
    int64_t begun_ms = kt_mono_ms(&kt_system_clock);
    look_now_and_then(core, begun_ms);
    if (begun_ms < own->jobs_not_before_ms)
        return HOUSEKEEPING_MS;
    bool more = true;
    while (more && kt_mono_ms(&kt_system_clock) - begun_ms < HOUSEKEEPING_MS && !stopping(own)) {
        struct kt_err err = {0};
        enum kt_kind kind = jobs_run(core, &more, &err);
        if (kind == KT_OK || kind == KT_SEALED || kind == KT_BUSY)
            continue;
        /* Each failure is recorded: not every second. */
        kt_log_err(KT_LOG_WARNING, "housekeeping", &err);
        own->jobs_not_before_ms = begun_ms + HOUSEKEEPING_FAILED_MS;
    }
    return more ? HOUSEKEEPING_REST_MS : HOUSEKEEPING_MS;
}

static void *housekeeper_thread(void *arg)
{
    struct core *core = arg;
    struct core_private *own = core->own;
    struct heap heap = {0};
    int64_t rest_ms = HOUSEKEEPING_MS;
    (void)pthread_mutex_lock(&own->lock);
    while (!own->stopping) {
        struct timespec until = kt_timespec_of_ms(kt_mono_ms(&kt_system_clock) + rest_ms);
        (void)pthread_cond_timedwait(&own->stop_signal, &own->lock, &until);
        if (own->stopping)
            break;
        (void)pthread_mutex_unlock(&own->lock);
        rest_ms = housekeep(core);
        (void)heap_look(&heap);
        (void)pthread_mutex_lock(&own->lock);
    }
    (void)pthread_mutex_unlock(&own->lock);
    return NULL;
}

static void stop_housekeeper(struct core_private *own)
{
    if (!own->housekeeping)
        return;
    (void)pthread_mutex_lock(&own->lock);
    own->stopping = true;
    (void)pthread_cond_signal(&own->stop_signal);
    (void)pthread_mutex_unlock(&own->lock);
    (void)pthread_join(own->housekeeper, NULL);
    own->housekeeping = false;
}

/* ---- birth and end --------------------------------------------------------------------------- */

/* Of those who did not authenticate: not a setting, for it is no use that anybody could want more of. */
static const struct refusals_rate anonymous_rate = {.per_source = 10, .in_all = 100};

static struct core_private *private_new(const struct core_config *config,
                                        const struct kt_clock *clock)
{
    const struct refusals_rate token_rate = {.per_source = config->token_refusals};
    struct core_private *own = kt_calloc(1, sizeof *own);
    if (own == NULL)
        return NULL;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&own->lock, NULL);
    (void)pthread_mutex_init(&own->sealing, NULL);
    (void)pthread_mutex_init(&own->tidying, NULL);
    (void)pthread_cond_init(&own->idle, NULL);
    (void)pthread_cond_init(&own->stop_signal, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    own->started_ms = kt_wall_ms(clock);
    own->autorotate_at_ms = kt_mono_ms(&kt_system_clock) + AUTOROTATE_MS;
    own->refusals = refusals_new(&anonymous_rate);
    own->token_refusals = refusals_new(&token_rate);
    own->unseals = meter_new(config->unseal_per_minute);
    own->desk = desk_new(pipeline_deferred, NULL);
    own->aside = desk_new(pipeline_aside, "aside");
    own->errands = desk_new(pipeline_deferred, NULL);
    return own;
}

static void private_free(struct core_private *own)
{
    if (own == NULL)
        return;
    desk_free(own->errands);
    desk_free(own->aside);
    desk_free(own->desk);
    meter_free(own->unseals);
    quotas_free(own->quotas);
    refusals_free(own->refusals);
    refusals_free(own->token_refusals);
    (void)pthread_cond_destroy(&own->stop_signal);
    (void)pthread_cond_destroy(&own->idle);
    (void)pthread_mutex_destroy(&own->tidying);
    (void)pthread_mutex_destroy(&own->sealing);
    (void)pthread_mutex_destroy(&own->lock);
    free(own);
}

static void release(struct core *core)
{
    rotation_free(core->rotation);
    fleet_free(core->fleet);
    logins_free(core->logins);
    private_free(core->own);
    revoker_free(core->revoker);
    tokens_free(core->tokens);
    identities_free(core->identities);
    policies_free(core->policies);
    mounts_free(core->mounts);
    wait_clock_free(core->waits);
    barrier_free(core->barrier);
    free(core);
}

enum kt_kind core_new(const struct core_config *config, struct store *store,
                      const struct kt_clock *clock, struct core **ret, struct kt_err *err)
{
    struct core *core = kt_calloc(1, sizeof *core);
    if (core == NULL)
        return kt_fail(err, KT_NO_MEMORY, "starting the vault");
    core->config = *config;
    core->clock = clock;
    core->store = store;
    enum kt_kind kind = barrier_new(store, &core->barrier, err);
    if (kind != KT_OK) {
        release(core);
        return kind;
    }
    core->own = private_new(config, clock);
    core->waits = wait_clock_new(clock, look_due);
    core->mounts = mounts_new(store);
    core->tokens = tokens_new(store);
    core->revoker = revoker_new(core);
    core->identities = identities_new(store);
    core->policies = policies_new(store);
    if (core->own != NULL)
        core->own->quotas = quotas_new(store);
    bool made = core->own != NULL && core->own->desk != NULL &&
                core->own->aside != NULL && core->own->errands != NULL && core->own->refusals != NULL &&
                core->own->token_refusals != NULL && core->own->unseals != NULL &&
                core->own->quotas != NULL &&
                core->waits != NULL && core->mounts != NULL && core->tokens != NULL && core->revoker != NULL &&
                core->identities != NULL && core->policies != NULL && look_follow(core);
    if (made) {
        core->logins = logins_new(core->waits, clock, config->pam_socket);
        made = core->logins != NULL;
    }
    if (made) {
        core->rotation = rotation_new(core);
        core->fleet = fleet_new(core);
        made = core->rotation != NULL && core->fleet != NULL;
    }
    if (made)
        made = revoker_start(core->revoker);
    if (made)
        made = core->own->housekeeping =
            pthread_create(&core->own->housekeeper, NULL, housekeeper_thread, core) == 0;
    if (made) {
        core->upkeep = upkeep_new(core);
        made = core->upkeep != NULL;
        if (!made)
            stop_housekeeper(core->own);
    }
    if (!made) {
        release(core);
        return kt_fail(err, KT_NO_MEMORY, "starting the vault");
    }
    *ret = core;
    return KT_OK;
}

void core_free(struct core *core)
{
    if (core == NULL)
        return;
    stop_housekeeper(core->own);
    revoker_stop(core->revoker);
    upkeep_free(core->upkeep);
    core_seal(core, "stop");
    release(core);
}

/* ---- init ------------------------------------------------------------------------------------ */

struct waited_commit {
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool ready;
    struct commit_result result;
};

static void commit_done(void *arg, const struct commit_result *result)
{
    struct waited_commit *wait = arg;
    (void)pthread_mutex_lock(&wait->lock);
    wait->result = *result;
    wait->ready = true;
    (void)pthread_cond_signal(&wait->done);
    (void)pthread_mutex_unlock(&wait->lock);
}

static struct commit_result commit_and_wait(struct store *store, struct batch *batch)
{
    struct waited_commit wait = {.ready = false};
    (void)pthread_mutex_init(&wait.lock, NULL);
    (void)pthread_cond_init(&wait.done, NULL);
    store_commit(store, batch, commit_done, &wait);
    (void)pthread_mutex_lock(&wait.lock);
    while (!wait.ready)
        (void)pthread_cond_wait(&wait.done, &wait.lock);
    (void)pthread_mutex_unlock(&wait.lock);
    (void)pthread_cond_destroy(&wait.done);
    (void)pthread_mutex_destroy(&wait.lock);
    return wait.result;
}

static enum kt_kind first_records(struct core *core, struct batch *batch, struct kt_arena *arena,
                                  struct kt_buf *ret_root_token, struct kt_err *err)
{
    char id[37];
    barrier_key_set(core->barrier, id);
    enum kt_kind kind = mounts_init(core, batch, core->config.dev, err);
    if (kind == KT_OK)
        kind = key_set_put(core, batch, id, kt_wall_ms(core->clock), err);
    if (kind == KT_OK)
        kind = policies_put(core, batch, "default", kt_str(policy_builtin("default")), err);
    if (kind == KT_OK)
        kind = token_create_root(core, arena, batch, ret_root_token, err);
    return kind;
}

enum kt_kind core_init(struct core *core, unsigned shares, unsigned threshold,
                       unsigned char ret_shares[][SHAMIR_SHARE_BYTES],
                       struct kt_buf *ret_root_token, struct kt_err *err)
{
    struct core_private *own = core->own;
    struct batch *batch = batch_new();
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "initialising the vault");
    (void)pthread_mutex_lock(&own->sealing);
    struct kt_arena arena;
    kt_arena_init(&arena, 65536);
    enum kt_kind kind = barrier_init(core->barrier, shares, threshold, kt_wall_ms(core->clock),
                                     batch, ret_shares, err);
    if (kind == KT_OK) {
        kind = first_records(core, batch, &arena, ret_root_token, err);
        struct commit_result result = {.error = STORE_BROKEN};
        if (kind == KT_OK)
            result = commit_and_wait(core->store, KT_TAKE(batch));
        barrier_init_done(core->barrier, kind == KT_OK && result.error == STORE_OK);
        if (kind == KT_OK && result.error == STORE_CONFLICT)
            kind = kt_fail(err, KT_INVALID, "Vault is already initialized");
        else if (kind == KT_OK && result.error != STORE_OK)
            kind = kt_fail(err, result.error == STORE_NO_MEMORY ? KT_NO_MEMORY : KT_INTERNAL,
                           "the new vault could not be written: %s",
                           store_error_text(result.error));
    }
    batch_free(batch);
    kt_arena_free(&arena);
    (void)pthread_mutex_unlock(&own->sealing);
    return kind;
}

/* ---- unseal and seal ------------------------------------------------------------------------- */

#define UNSEALED_MAX 1024u
#define UNSEALER     (KT_CREDENTIAL_NAME + 20u)

/* Who opened it, and what was tried before: what the log's first record says. */
static void describe_unseal(struct core *core, char name[UNSEALER], struct kt_buf *out)
{
    struct barrier_status status;
    barrier_status(core->barrier, &status);
    if (status.opened_by[0] == '\0')
        (void)snprintf(name, UNSEALER, "unseal key shares");
    else
        (void)snprintf(name, UNSEALER, "credential %.64s", status.opened_by);
    struct kt_jsonw w = kt_jsonw(out);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "failed_attempts", status.failed_attempts);
    kt_jsonw_kv_int(&w, "refused_while_sealed",
                    (int64_t)atomic_exchange(&core->own->refused_sealed, 0));
    kt_jsonw_kv_int(&w, "seals_not_opened", autounseal_failing(core));
    kt_jsonw_end(&w);
}

static enum kt_kind open_log(struct core *core, bool accept_rollback, struct kt_err *err)
{
    struct leadership leadership = {0};
    store_leader(core->store, &leadership);
    char origin[160];
    (void)snprintf(origin, sizeof origin, "keyturn/%s", core->config.cluster_name);
    const struct audit_config config = {.folder = core->config.data_folder,
                                        .origin = origin,
                                        .devices = core->config.devices,
                                        .n_devices = core->config.n_devices,
                                        .fence = leadership.fence,
                                        .sync_ms = 1000,
                                        .checkpoint_ms = 10000,
                                        .segment_bytes = core->config.audit_segment_bytes,
                                        .accept_rollback = accept_rollback,
                                        .broken = core->config.audit_broken,
                                        .broken_arg = core->config.audit_broken_arg};
    struct audit *audit = NULL;
    enum kt_kind kind =
        audit_open(&config, core->barrier, core->store, core->clock, &audit, err);
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf counts;
    kt_buf_init(&counts, UNSEALED_MAX);
    char name[UNSEALER];
    describe_unseal(core, name, &counts);
    const struct audit_auth auth = {.display_name = name, .entity_id = ""};
    const struct audit_event event = {.type = "response",
                                      .request_id = "",
                                      .time_ms = kt_wall_ms(core->clock),
                                      .operation = "update",
                                      .path = "sys/unseal",
                                      .auth = &auth,
                                      .response_data = kt_buf_bytes(&counts),
                                      .status = 200};
    kind = kt_buf_ok(&counts) ? audit_append(audit, &event, err)
                              : kt_fail(err, KT_NO_MEMORY, "recording the unsealing");
    if (kind != KT_OK) {
        audit_close(audit);
        return kind;
    }
    core->audit = audit;
    return KT_OK;
}

#define UNSEALS_AT_ONCE 10u /* besides two whole attempts */

/* Of the attempt that takes most shares: with the vault's own, or to try those of a new set. */
static unsigned shares_wanted(struct barrier *barrier)
{
    struct barrier_status status;
    struct ceremony_status rekey;
    barrier_status(barrier, &status);
    ceremony_status(barrier, CEREMONY_REKEY, &rekey);
    return rekey.plan.threshold > status.threshold ? rekey.plan.threshold : status.threshold;
}

enum kt_kind core_unseal_admit(struct request *req, struct kt_err *err)
{
    struct core *core = req->core;
    char source[REFUSALS_SOURCE];
    int64_t wait_ms = 0;
    if (req->origin == ORIGIN_UNIX && req->peer_uid == 0)
        return KT_OK;
    request_source(req, source);
    if (meter_admit(core->own->unseals, source, UNSEALS_AT_ONCE + 2 * shares_wanted(core->barrier),
                    kt_mono_ms(core->clock), &wait_ms))
        return KT_OK;
    req->reply.retry_after_s = (unsigned)((wait_ms + 999) / 1000);
    (void)kt_fail(err, KT_TOO_MANY, "too many key shares from this %s: try again in %u s",
                  req->origin == ORIGIN_UNIX ? "user" : "address", req->reply.retry_after_s);
    kt_hint(err, "shares that root enters on the vault's own machine, through its Unix socket, are "
                 "not counted");
    return KT_TOO_MANY;
}

void core_shares_proved(struct core *core)
{
    meter_forget(core->own->unseals);
}

enum kt_kind core_unseal_share(struct core *core, const unsigned char share[SHAMIR_SHARE_BYTES],
                               bool accept_rollback, bool *ret_unsealed, bool *ret_all,
                               struct kt_err *err)
{
    struct core_private *own = core->own;
    struct barrier_status status;
    (void)pthread_mutex_lock(&own->lock);
    barrier_status(core->barrier, &status);
    bool all = accept_rollback && (status.progress == 0 || own->accepted_by_all);
    enum kt_kind kind = barrier_unseal_share(core->barrier, share, ret_unsealed, err);
    own->accepted_by_all = all;
    (void)pthread_mutex_unlock(&own->lock);
    *ret_all = all;
    return kind;
}

enum kt_kind core_unsealed(struct core *core, bool accept_rollback, struct kt_err *err)
{
    struct core_private *own = core->own;
    bool opened = false;
    (void)pthread_mutex_lock(&own->sealing);
    enum kt_kind kind = KT_OK;
    if (core->audit == NULL) {
        if (!barrier_enter_early(core->barrier)) {
            kind = kt_fail(err, KT_SEALED, "%s", kt_kind_text(KT_SEALED));
        } else {
            kind = open_log(core, accept_rollback, err);
            rotation_clock_set(core->rotation);
            barrier_leave(core->barrier);
        }
        if (kind == KT_OK) {
            (void)pthread_mutex_lock(&own->lock);
            own->refusing = false;
            (void)pthread_mutex_unlock(&own->lock);
            wait_clock_drain(core->waits, false);
            barrier_admit(core->barrier);
            core_shares_proved(core);
            kt_log(KT_LOG_NOTICE, "unsealed", "%s", "state=unsealed");
            opened = true;
            kind = rotation_start(core->rotation, err);
            upkeep_wake(core->upkeep);
        } else {
            kt_log_err(KT_LOG_ERROR, "not_unsealed", err);
            barrier_seal(core->barrier);
        }
    }
    (void)pthread_mutex_unlock(&own->sealing);
    if (opened && kind != KT_OK) { /* a vault that rotates nothing must not look well */
        kt_log_err(KT_LOG_ERROR, "rotation_not_started", err);
        core_seal(core, "rotation cannot be started");
    }
    return kind;
}

void core_seal(struct core *core, const char *why)
{
    struct core_private *own = core->own;
    (void)pthread_mutex_lock(&own->sealing);
    if (core->audit != NULL) {
        rotation_stop(core->rotation);
        (void)pthread_mutex_lock(&own->lock);
        own->refusing = true;
        while (own->committing > 0)
            (void)pthread_cond_wait(&own->idle, &own->lock);
        (void)pthread_mutex_unlock(&own->lock);
        barrier_close(core->barrier);  /* nobody is inside any more, the keys still are */
        record_counts(core, true);
        audit_close(core->audit);
        core->audit = NULL;
        kt_log(KT_LOG_NOTICE, "sealed", "why=%s", why);
    }
    barrier_seal(core->barrier);
    wait_clock_drain(core->waits, true);
    (void)pthread_mutex_unlock(&own->sealing);
}

const struct counts *core_counts(const struct core *core)
{
    return &core->own->counts;
}

int64_t core_quota_refusals(const struct core *core)
{
    return quotas_refused(core->own->quotas);
}

int64_t core_steady_ms(const struct core *core)
{
    return rotation_steady_ms(core->rotation);
}

int64_t core_started_ms(const struct core *core)
{
    return core->own->started_ms;
}

void core_reload(struct core *core)
{
    (void)pthread_mutex_lock(&core->own->sealing);
    if (core->audit != NULL)
        audit_reopen(core->audit);
    (void)pthread_mutex_unlock(&core->own->sealing);
}
