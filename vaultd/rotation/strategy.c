#include "vaultd/rotation/strategy.h"

#include "lib/driver/http_api.h"
#include "vaultd/rotation/text.h"

bool strategy_possible(const struct driver_info *can, enum run_strategy strategy)
{
    const bool possible[STRATEGY_COUNT] = {[STRATEGY_ALTERNATE] = can->alternate,
                                           [STRATEGY_OVERLAP] = can->overlap,
                                           [STRATEGY_IN_PLACE] = can->in_place};
    return possible[strategy];
}

enum kt_kind strategy_abilities(struct request *req, const struct rotation_target *target, struct driver_info *ret,
                                bool *ret_ids, struct kt_err *err)
{
    const struct driver_info *info = kt_driver_info(target->driver);
    struct http_api api;
    *ret_ids = false;
    if (info == NULL)
        return kt_fail(err, KT_INVALID, "target '%s' has a driver that this vaultd does not have",
                       target->name);
    *ret = *info;
    *ret_ids = info->inside;
    if (!info->api)
        return KT_OK;
    enum kt_kind kind = kt_http_api_read(target->api, &req->arena, &api, err);
    if (kind != KT_OK)
        return kind;
    ret->alternate = api.alternate;
    ret->overlap = api.overlap;
    ret->in_place = api.in_place;
    *ret_ids = api.lists;
    return KT_OK;
}

/* ---- without the gap ---- */

/* NULL: no memory. A name with commas is told from the next one by a semicolon. */
static const char *alternate_fields(struct request *req, const struct rotation_settings *s,
                                    const struct driver_info *can)
{
    const char *account = s->accounts[0];
    const char *accounts = kt_arena_printf(&req->arena, "accounts=%s%cSECOND", account,
                                           strchr(account, ',') != NULL ? ';' : ',');
    const char *group = kt_arena_printf(&req->arena, "group=%s", s->group[0] != '\0' ? s->group : "GROUP");
    if (accounts == NULL || group == NULL)
        return NULL;
    accounts = text_word(req, accounts);
    group = text_word(req, group);
    if (accounts == NULL || group == NULL)
        return NULL;
    return kt_arena_printf(&req->arena, "strategy=alternate %s%s%s", accounts, can->groups ? " " : "",
                           can->groups ? group : "");
}

enum kt_kind strategy_instead(struct request *req, const struct rotation_settings *settings,
                              const struct driver_info *can, struct strategy_instead *ret, struct kt_err *err)
{
    *ret = (struct strategy_instead){.n = 0};
    if (settings->strategy != STRATEGY_IN_PLACE)
        return KT_OK;
    if (can->alternate)
        ret->set[ret->n++] = alternate_fields(req, settings, can);
    if (can->overlap)
        ret->set[ret->n++] = "strategy=overlap";
    if (can->alternate && ret->set[0] == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking for a strategy without a gap");
    return KT_OK;
}

enum kt_kind strategy_instead_at(struct request *req, const struct rotation_settings *settings,
                                 const struct rotation_target *target, struct strategy_instead *ret,
                                 struct kt_err *err)
{
    struct driver_info can = {.name = ""};
    struct kt_err unread = {0};
    bool ids = false;
    *ret = (struct strategy_instead){.n = 0};
    if (settings->strategy != STRATEGY_IN_PLACE)
        return KT_OK;
    enum kt_kind kind = strategy_abilities(req, target, &can, &ids, &unread);
    if (kind == KT_INVALID)
        return KT_OK;
    return kind == KT_OK ? strategy_instead(req, settings, &can, ret, err)
                         : kt_fail(err, kind, "%s", unread.what);
}

/* ---- who wants one ---- */

static bool stood(const struct rotation_settings *before, const struct rotation_settings *s)
{
    return before->strategy == STRATEGY_IN_PLACE && !before->allow_gap && strcmp(before->target, s->target) == 0 &&
           strcmp(before->accounts[0], s->accounts[0]) == 0;
}

/* NULL: no memory. Of names that are too long for a hint the strategies are left. */
static const char *ways_of(struct request *req, const struct strategy_instead *instead)
{
    const char *text = NULL, *best = instead->set[0];
    size_t len = best == NULL ? 0 : strlen(best);
    for (int i = 0; i < 2 && best != NULL; i++) {
        text = kt_arena_printf(&req->arena, "%.*s%s%s; if consumers may be cut off: allow_gap=true", (int)len, best,
                               instead->n > 1 ? ", or " : "", instead->n > 1 ? instead->set[1] : "");
        if (text == NULL || strlen(text) < sizeof((struct kt_err *)NULL)->hint)
            break;
        len = strcspn(best, " ");
    }
    return text;
}

enum kt_kind strategy_check_gap(struct request *req, const struct rotation_settings *before,
                                const struct rotation_settings *settings, const struct driver_info *can,
                                struct kt_err *err)
{
    static const char text[] = "in-place, who connects between the change and his own reload is cut off; target '%s' can "
                               "do without";
    struct strategy_instead instead;
    if (settings->allow_gap)
        return KT_OK;
    enum kt_kind kind = strategy_instead(req, settings, can, &instead, err);
    if (kind != KT_OK || instead.n == 0)
        return kind;
    const char *sentence = kt_arena_printf(&req->arena, text, settings->target);
    const char *ways = ways_of(req, &instead);
    if (sentence == NULL || ways == NULL)
        return kt_fail(err, KT_NO_MEMORY, "looking for a strategy without a gap");
    if (stood(before, settings)) {
        request_warn(req, "%s: %s", sentence, ways);
        return KT_OK;
    }
    (void)kt_fail(err, KT_INVALID, "KT-R-032 %s", sentence);
    kt_hint(err, "%s", ways);
    return KT_INVALID;
}

/* ---- what it was ---- */

void strategy_forget_gap(struct rotation_secret *secret)
{
    secret->gap_at_ms = secret->gap_ms = 0;
    secret->gap_until = "";
}

void strategy_show_gap(const struct rotation_secret *secret, const struct strategy_instead *instead, struct kt_jsonw *w)
{
    kt_jsonw_key(w, "gap_instead");
    kt_jsonw_array(w);
    for (size_t i = 0; i < instead->n; i++)
        kt_jsonw_text(w, instead->set[i]);
    kt_jsonw_end(w);
    kt_jsonw_kv_time(w, "last_gap", secret->gap_at_ms);
    kt_jsonw_key(w, "last_gap_ms");
    if (secret->gap_at_ms == 0)
        kt_jsonw_null(w);
    else
        kt_jsonw_int(w, secret->gap_ms);
    kt_jsonw_kv_text(w, "last_gap_until", secret->gap_until);
}
