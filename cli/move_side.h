/* cli/move_side.h - the two vaults between which things are moved, and asking them in spite of small
 * troubles.
 *
 * What:    A side is where and with which token to connect; each thread opens a connection of its own.
 *          The other vault's token comes from a file or is asked for; its address, CA and namespace from
 *          flags alone, so that nothing that is set for the vault here goes there.
 * Owner:   move_side_free() wipes the token; the texts are argv's and the environment's.
 * Threads: made by one thread; then constant. */
#pragma once

#include "lib/api.h"
#include "lib/secret.h"

struct cli;

struct move_side {
    struct kt_api_options options;
    struct kt_secret *token; /* of the other vault; NULL for the one here */
    bool is_other;
};

/* False: said what failed; cli->exit_code is set. */
bool move_side_here(struct cli *cli, struct move_side *ret);
/* address: the value of -from or -to. */
bool move_side_there(struct cli *cli, const char *address, struct move_side *ret);
void move_side_free(struct move_side *side);
enum kt_kind move_side_open(const struct move_side *side, struct kt_api **ret,
                            struct kt_err *err) KT_MUST_CHECK;

/* kt_api_call() that waits and asks again, eight times in half a minute, or as long as the vault says each time (Retry-After, at most
 * a minute), while the vault cannot be reached or has
 * too much to do. A write whose answer is lost is not sent again: KT_UNKNOWN. */
enum kt_kind move_call(struct kt_api *api, const struct kt_api_request *request,
                       struct kt_api_reply *reply, struct kt_err *err) KT_MUST_CHECK;
/* The same, but waits only where a quota says that it was too much at once. */
enum kt_kind move_call_quota(struct kt_api *api, const struct kt_api_request *request,
                             struct kt_api_reply *reply, struct kt_err *err) KT_MUST_CHECK;
/* GET of a path put together as printf does. */
enum kt_kind move_get(struct kt_api *api, struct kt_api_reply *reply, struct kt_err *err,
                      const char *format, ...) KT_PRINTF(4, 5) KT_MUST_CHECK;
/* POST of a body to such a path. */
enum kt_kind move_post(struct kt_api *api, struct kt_bytes body, struct kt_api_reply *reply,
                       struct kt_err *err, const char *format, ...) KT_PRINTF(5, 6) KT_MUST_CHECK;
/* Whoever hears this from one call would hear it from each: the vault is away or sealed, the token ended. */
bool move_ends_all(const struct kt_err *err);
