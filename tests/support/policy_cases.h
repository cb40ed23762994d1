/* tests/support/policy_cases.h - policies and questions that nobody would think of, from a seed.
 *
 * What:    A book is the blocks of three policies of one token, some with templates, and what is known of
 *          who asks; each policy is written as HCL or as JSON. The words are few, so that patterns and
 *          paths meet. The same seed makes the same ones.
 * Owner:   cases_init() .. cases_free(); what is made lies there until the next is made.
 * Threads: one thread at a time. */
#pragma once

#include "tests/support/slow_policy.h"

#define CASES_POLICIES 3u
#define CASES_FACTS    3u

struct cases {
    uint64_t seed;
    struct slow_book written, filled; /* filled: for who asks */
    struct kt_buf text[CASES_POLICIES];
    struct slow_fact facts[CASES_FACTS]; /* "identity.entity.metadata.n", ... */
    struct slow_request request;
    char path[SLOW_PATTERN];
    struct kt_buf data; /* the request's, as JSON */
};

/* seed: KT_SEED instead, where it is set. */
void cases_init(struct cases *cases, uint64_t seed);
void cases_free(struct cases *cases);
/* KT_CASES instead of so many, where it is set. */
uint64_t cases_wanted(uint64_t number);
/* Below a number; for what a test draws besides. */
uint64_t cases_draw(struct cases *cases, uint64_t below);
void cases_next_book(struct cases *cases);
void cases_next_request(struct cases *cases);
/* The policies and the question, for a message about a disagreement. */
void cases_print(struct cases *cases);
