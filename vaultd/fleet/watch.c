#include <sodium.h>
#include <stdio.h>

#include "lib/num.h"
#include "lib/random.h"
#include "vaultd/auth/token.h"
#include "vaultd/fleet/own.h"
#include "vaultd/rotation/secret.h"

/* One long poll a host. It answers when one of the host's secrets changed its stages after the
 * cursor (the store's history and generation), and is woken by changes of those secrets, of the list of
 * them, of its token, and of the tokens above it. */

#define WAIT_DEFAULT_S  60
#define WAIT_MAX_S      600
#define TOKEN_LEVELS    8
#define SPREAD_HOSTS_MS 2 /* so many hosts a millisecond come back after a wake-up */
#define SCRATCH_MAX     ((size_t)4 * 1024 * 1024)

static bool parse_cursor(struct request *req, const char *text, generation *ret)
{
    unsigned char head[STORE_WITNESS_BYTES], history[16];
    char hex[33];
    generation at = 0;
    store_head(req->core->store, head, &at, history);
    kt_hex_encode(history, sizeof history, hex);
    uint64_t since = 0;
    if (strncmp(text, hex, 32) != 0 || text[32] != '.' ||
        !kt_u64_parse(kt_str(text + 33), UINT64_MAX, &since))
        return false;
    /* A generation that is not there yet belongs to a store that was put back. */
    if (since > snapshot_generation(req->snapshot))
        return false;
    *ret = since;
    return true;
}

static void show_cursor(struct request *req, struct kt_jsonw *w)
{
    unsigned char head[STORE_WITNESS_BYTES], history[16];
    char hex[33], text[64];
    generation at = 0;
    store_head(req->core->store, head, &at, history);
    kt_hex_encode(history, sizeof history, hex);
    (void)snprintf(text, sizeof text, "%s.%llu", hex,
                   (unsigned long long)snapshot_generation(req->snapshot));
    kt_jsonw_kv_text(w, "cursor", text);
}

/* ---- what it waits for ---- */

static bool add_print(struct request *req, struct watch *watch, fleet_print print)
{
    if (watch->n == watch->room) {
        size_t room = watch->room == 0 ? 32 : watch->room * 2;
        fleet_print *more = kt_arena_take(&req->arena, room * sizeof *more);
        if (more == NULL)
            return false;
        if (watch->n > 0)
            memcpy(more, watch->prints, watch->n * sizeof *more);
        watch->prints = more;
        watch->room = room;
    }
    watch->prints[watch->n++] = print;
    return true;
}

/* Whose list of secrets may change; also before it has one. */
static bool add_host(struct request *req, struct watch *watch)
{
    unsigned char key[BARRIER_NAME_KEY];
    host_key(req->core, request_param(req, "host"), key);
    return add_print(req, watch, fleet_print_of_key(kt_bytes(key, sizeof key)));
}

static bool add_tokens(struct request *req, struct watch *watch)
{
    bool ok = add_print(req, watch, fleet_print_of_token(req->token->hash));
    const struct token *token = req->token;
    for (int i = 0; ok && i < TOKEN_LEVELS && token->has_parent; i++) {
        unsigned char parent[32];
        memcpy(parent, token->parent, sizeof parent);
        ok = add_print(req, watch, fleet_print_of_token(parent));
        if (token_find_hash(req->core, req->snapshot, parent, req->life_ms, &token, NULL) != KT_OK)
            break;
    }
    return ok;
}

/* ---- what it answers ---- */

static void show_secret(const struct rotation_secret *secret, const struct kv_secret *kv,
                        const char *name, struct kt_jsonw *w)
{
    char id[RUN_ID_TEXT];
    run_id_text(secret->run, id);
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "secret", name);
    kt_jsonw_kv_int(w, "current", kv->current);
    kt_jsonw_kv_int(w, "pending", kv->pending);
    kt_jsonw_kv_int(w, "previous", kv->previous);
    kt_jsonw_kv_int(w, "want", kv->current);
    kt_jsonw_kv_text(w, "run", secret->active ? id : "");
    kt_jsonw_end(w);
}

static enum kt_kind look_at(struct request *req, const char *name, generation since, bool all,
                            struct watch *watch, struct kt_jsonw *w, size_t *shown,
                            struct kt_err *err)
{
    struct kt_arena scratch;
    kt_arena_init(&scratch, SCRATCH_MAX);
    struct rotation_secret secret;
    struct kv_secret *kv = NULL;
    const struct mount *mount = NULL;
    const char *path = NULL;
    enum kt_kind kind = secret_place(req, name, &mount, &path, NULL);
    watch->unsure = watch->unsure || kind != KT_OK;
    if (kind == KT_OK && !add_print(req, watch, fleet_print_of_secret(req->core, mount, path)))
        kind = kt_fail(err, KT_NO_MEMORY, "watching");
    if (kind == KT_OK)
        kind = kv_load(req->core, mount, req->snapshot, &scratch, path, &kv, err);
    if (kind == KT_OK && (all || kv->changed > since)) {
        kind = secret_load(req, name, &secret, err);
        if (kind == KT_OK || kind == KT_NOT_FOUND) {
            show_secret(&secret, kv, name, w);
            (*shown)++;
        }
    }
    kt_arena_free(&scratch);
    if (kind == KT_NOT_FOUND && err != NULL)
        *err = (struct kt_err){0};
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

static enum kt_kind look_at_all(struct request *req, generation since, bool all,
                                struct watch *watch, struct kt_jsonw *w, size_t *shown,
                                struct kt_err *err)
{
    struct host host;
    enum kt_kind kind = host_load(req, request_param(req, "host"), &host, err);
    if (kind == KT_NOT_FOUND) {
        *err = (struct kt_err){0};
        return KT_OK;
    }
    for (size_t i = 0; i < host.secrets.n && kind == KT_OK; i++)
        kind = look_at(req, host.secrets.at[i], since, all, watch, w, shown, err);
    return kind;
}

/* News may have come to all hosts at once: what they do next is spread. */
static void show_rest(struct request *req, bool news, struct kt_jsonw *w)
{
    size_t hosts = wait_list_count(req->core->fleet->watches);
    uint32_t spread = news ? (uint32_t)(hosts / SPREAD_HOSTS_MS) + 1 : 1;
    kt_jsonw_kv_int(w, "next_poll_ms", kt_random_below(spread));
    kt_jsonw_kv_int(w, "hosts", (int64_t)hosts);
    kt_autobuf struct kt_buf note;
    kt_buf_init(&note, 8192);
    kt_jsonw_key(w, "vault");
    kt_jsonw_object(w);
    if (req->core->audit != NULL &&
        audit_last_checkpoint(req->core->audit, &note, NULL) == KT_OK)
        kt_jsonw_kv_text(w, "checkpoint", kt_buf_text(&note));
    else
        kt_jsonw_kv_null(w, "checkpoint");
    kt_jsonw_end(w);
}

/* Nothing that this watch waits for changed, nor what it waits for: else it had been told. */
static bool nothing_new(struct request *req, const struct watch *watch)
{
    return watch != NULL && !watch->unsure && request_quiet(req);
}

static enum kt_kind read_wait(struct request *req, int64_t *ret_s, const char **ret_since,
                              struct kt_err *err)
{
    *ret_s = WAIT_DEFAULT_S;
    *ret_since = "";
    enum kt_kind kind = request_duration_s(req, "wait", ret_s, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_string(req, "since", ret_since, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (*ret_s > WAIT_MAX_S)
        *ret_s = WAIT_MAX_S;
    return KT_OK;
}

enum kt_kind watch_read(struct request *req, struct kt_err *err)
{
    int64_t wait_s = 0;
    const char *text = NULL;
    generation since = 0;
    enum kt_kind kind = read_wait(req, &wait_s, &text, err);
    if (kind != KT_OK)
        return kind;
    if (req->wakes == 0) /* that the vault looks again is no sign of the host's life */
        fleet_saw(req, request_param(req, "host"));
    int64_t deadline = req->received_mono_ms + wait_s * 1000;
    struct watch *watch = req->handler_data;
    if (nothing_new(req, watch) && kt_mono_ms(req->core->clock) < deadline) {
        request_wait(req, req->core->fleet->watches, deadline);
        return KT_OK;
    }
    bool all = !parse_cursor(req, text, &since);
    if (watch == NULL)
        watch = kt_arena_take(&req->arena, sizeof *watch);
    if (watch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "watching");
    *watch = (struct watch){.prints = watch->prints, .room = watch->room};
    size_t shown = 0;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "secrets");
    kt_jsonw_array(&w);
    kind = look_at_all(req, since, all, watch, &w, &shown, err);
    kt_jsonw_end(&w);
    if (kind != KT_OK)
        return kind;
    if (shown == 0 && !all && kt_mono_ms(req->core->clock) < deadline) {
        if (!add_host(req, watch) || !add_tokens(req, watch))
            return kt_fail(err, KT_NO_MEMORY, "watching");
        for (size_t i = 0; i < watch->n; i++)
            awaited_add(&req->core->fleet->awaited, watch->prints[i]);
        req->handler_data = watch;
        request_wait(req, req->core->fleet->watches, deadline);
        return KT_OK;
    }
    show_cursor(req, &w);
    show_rest(req, shown > 0, &w);
    kt_jsonw_end(&w);
    return KT_OK;
}
