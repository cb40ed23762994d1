/* lib/driver/place.h - where a target is: found while names and files can still be looked up.
 *
 * What:    kt_place_find() belongs into a driver's prepare: it checks the target's host and sslmode,
 *          looks the host up, and puts the trusted certificates into memory. What a step then does in
 *          the sandbox goes to one of the addresses found here, and one step keeps to one of them.
 * Owner:   the place is the driver's; the certificates' file stays open until the process ends.
 * Threads: one.
 * Errors:  false: *ret says what a person needs to know. */
#pragma once

#include "lib/driver/table.h"

#define PLACE_ADDRESSES_MAX 4u
#define PLACE_ADDRESS_TEXT  64u

struct driver_place {
    char addresses[PLACE_ADDRESSES_MAX][PLACE_ADDRESS_TEXT]; /* none for a socket */
    size_t n_addresses;
    size_t chosen;    /* n_addresses: not yet */
    bool tls;
    char ca_path[40]; /* "" without TLS verification */
};

bool kt_place_find(const struct driver_run *run, struct driver_place *place,
                   struct driver_result *ret);
/* The first that answers, then always that one; NULL for a socket. */
const char *kt_place_address(const struct driver_run *run, struct driver_place *place);

/* The target's setting, or what stands for 0. */
uint32_t kt_place_connect_ms(const struct driver_run *run);
uint32_t kt_place_statement_ms(const struct driver_run *run);
/* In so many ms, but never after the step's own end. */
int64_t kt_place_deadline(const struct driver_run *run, uint32_t ms);
/* False at the deadline. events: as for poll(). */
bool kt_place_wait(int fd, short events, int64_t deadline);
