/* agent/candidates.h - the other credential of a program that tries two.
 *
 * What:    Of a secret whose candidate a file or env names: the version that is `pending`, from when the vault has it;
 *          once that is the one to run, the version of before, for as long as the rotation is under way and may
 *          go back. So between two logins of a program one of both is always accepted, also where one account
 *          has one password. Else there is none, and who asks for the candidate gets the version that runs.
 * Owner:   borrowed.
 * Threads: one. */
#pragma once

#include "agent/service.h"

/* The candidate's version, if `runs` is the version to run; 0: none. */
uint64_t candidate_wanted(const struct service *service, const struct wanted *wanted, size_t i, uint64_t runs);
/* So, without one that is not asked for now (denied.h). */
uint64_t candidate_planned(const struct service *service, const struct wanted *wanted, size_t i, uint64_t runs);
/* Puts the one that *value names into it, from what the service has, else from the vault. One that is not there (any
 * more) is none, and is not asked for again; one that may not be read is none for now (denied.h). */
enum kt_kind candidate_fetch(struct service *service, size_t i, struct value *value, struct kt_err *err) KT_MUST_CHECK;
/* Of two sets of the same secrets. */
bool candidates_differ(const struct values *a, const struct values *b, size_t i);
/* The new set has the same versions, and no candidate that the old one does not have: there is less to be tried,
 * and the program need not know at once. */
bool candidates_only_end(const struct values *old, const struct values *values);
