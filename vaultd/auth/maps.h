/* vaultd/auth/maps.h - the policies that users and groups get whom somebody else knows: the host, or
 * its PAM.
 *
 * What:    One record a user and one a group, a list of policies. Who is not named here, and no group of
 *          his, does not log in.
 * Format:  named.h's ‖ u16 n ‖ n fields policies.
 * Owner:   what is found lives in the request's arena.
 * Threads: any thread, inside of a request's pass. */
#pragma once

#include "vaultd/auth/named.h"

/* Routes, for the one that `which` says. */
enum kt_kind map_read(struct request *req, const struct named *which, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind map_write(struct request *req, const struct named *which, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind map_delete(struct request *req, const struct named *which, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind map_exists(struct request *req, const struct named *which, bool *ret_exists,
                        struct kt_err *err) KT_MUST_CHECK;
#define MAP_FIELDS                                                                                 \
    {"policies", FIELD_COMMA_LIST, "what its tokens may"},                                         \
        {"token_policies", FIELD_COMMA_LIST, "another name of policies"}

/* The policies of that one beside those in the list, sorted, each once; required as below. *ret_known: it is
 * there. KT_INVALID: too many policies. */
enum kt_kind map_add(struct request *req, const struct named *which, struct string_list *policies,
                     bool *ret_known, struct kt_err *err) KT_MUST_CHECK;

struct map_who {
    const char *user;
    struct string_list groups;
};
/* All that he gets, sorted, each once. What was found is required in the request's batch.
 * KT_NOT_FOUND without a text: neither he nor a group of his is there. KT_INVALID: too many policies. */
enum kt_kind map_policies(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                          const struct map_who *who, struct string_list *ret, struct kt_err *err)
    KT_MUST_CHECK;
