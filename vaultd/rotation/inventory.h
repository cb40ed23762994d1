/* vaultd/rotation/inventory.h - the rotation plan: what is rotated, how, when, and what is missing for it.
 *
 * What:    GET rotation/plan, a page of secrets in the order of the store (each.h). Everything in it is read
 *          from the store at that moment, so that the plan cannot be older than what it is about. It never
 *          holds a value.
 * Owner:   texts live in the request's arena.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/approval/rules.h"
#include "vaultd/fleet/consumer.h"
#include "vaultd/rotation/calendar.h"
#include "vaultd/rotation/classes.h"
#include "vaultd/rotation/overdue.h"
#include "vaultd/rotation/strategy.h"

/* What is the same for all secrets of a page. */
struct inventory_frame {
    const char *paused; /* "": nothing is */
    const struct rotation_classes *classes;
    struct approval_rules *rules;
};

/* A secret with all that its page says. */
struct inventory {
    struct rotation_secret secret;
    struct rotation_target target; /* name "": none */
    struct strategy_instead instead;
    struct overdue overdue;
    const char *paused, *max_age;  /* "": none */
    uint32_t version;              /* current; 0: none */
    struct rotation_when when;     /* its schedule is NULL: it cannot be read */
    int64_t next_ms[2];            /* 0: none */
    struct consumer *consumers;
    size_t n_consumers;
    unsigned runs;                 /* of its newest, that were looked at */
    bool went_back;                /* one of them went back, and ended well */
};

/* ---- inventory_gaps.c: two members, lists of sentences ---- */
/* What an owner has to decide or to mend. */
void inventory_missing(struct request *req, const struct inventory *it, struct kt_jsonw *w);
/* What was never seen to work. */
void inventory_unproven(struct request *req, const struct inventory *it, struct kt_jsonw *w);

/* ---- inventory_people.c: a member, the approvals that a rotation by hand wants now, each with what says so ---- */
enum kt_kind inventory_people(struct request *req, const struct inventory *it, const struct inventory_frame *frame,
                              struct kt_jsonw *w, struct kt_err *err) KT_MUST_CHECK;

/* Route. */
enum kt_kind inventory_read(struct request *req, struct kt_err *err);
