/* vaultd/auth/cidr_list.h - blocks of addresses as tokens, roles and users are bound to them.
 *
 * What:    Lists of texts that token_params_cidrs() let in; what does not parse holds nobody.
 * Threads: any thread. */
#pragma once

#include "vaultd/core/request.h"

/* One of them holds the address. An empty list does not. */
bool cidr_list_holds(const struct string_list *list, const char *address);
/* Each block lies in one of the outer ones. An empty outer list is no bound. */
bool cidr_list_within(const struct string_list *list, const struct string_list *outer);
