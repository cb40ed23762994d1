/* vaultd/auth/login.h - what all ways to log in share: from "it is he" to a token, and whether that token
 * may live on.
 *
 * What:    A way to log in is an engine (a table of routes) with a struct auth_method, mounted below
 *          auth/. Its login route finds out who it is, fills in a struct login, and calls
 *          login_grant(): policies, life, bounds and the answer are made there, in one place. A renewal
 *          asks the method whether what the login stood on is still so.
 * Owner:   everything a struct login points at is borrowed until login_grant() returns.
 * Threads: any thread, inside of a request's pass.
 * Errors:  Whoever is not let in hears what Vault says, one sentence for all causes.
 *
 * Add one: a file with an engine and its struct auth_method; a row in vaultd/engine/table.c. */
#pragma once

#include "vaultd/auth/token.h"
#include "vaultd/auth/token_params.h"
#include "vaultd/auth/token_ttl.h"

struct login {
    const char *name;      /* for the display name, behind the mount's; "": the mount's alone */
    const char *alias;     /* who it is there, for identity: never changes for one user or machine */
    const char *role;      /* the user or role, to find it again at a renewal */
    struct kt_bytes meta;  /* JSON object of strings; empty: none */
    bool own_meta;         /* the token's alone: the alias does not carry it */
    const struct string_list *groups; /* that the way says he is in; NULL: it knows none */
    const struct token_params *params;
};

struct auth_method {
    /* What the user or role of a token says today, into *ret, for its renewal. KT_NOT_FOUND: it is not
     * there any more; KT_DENIED: what was shown at the login does not hold any more. One that has to ask
     * somebody waits (request_wait()) and returns KT_OK: it is called again. */
    enum kt_kind (*renewed)(struct request *req, const struct mount *mount,
                            const struct token *token, struct token_params *ret,
                            struct kt_err *err);
};

/* A token for who logged in on req->mount, into the batch, and "auth" of the reply. What the login stands
 * on (the user's record ...) is the method's to require in the batch; that the mount is there is the
 * pipeline's. KT_DENIED: not from this address. */
enum kt_kind login_grant(struct request *req, const struct login *login, struct kt_err *err)
    KT_MUST_CHECK;
/* Whether who logs in by that alias of req->mount is disabled. To be asked when all that was shown is right,
 * before login_grant(), which would say KT_DENIED, and so that it was: the right password of one who is disabled is
 * told, and counted, as a wrong one. Asked of nobody else: whether a name is known, and whether somebody has logged in
 * by it, must not be seen. auth/pam.c alone asks it before, for PAM is not to hear of who is disabled: of whoever may
 * guess now, so that what the two look-ups cost can be measured as often as guesses are allowed, or while vaultd-pam
 * takes none. */
enum kt_kind login_barred(struct request *req, const char *alias, bool *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* For a renewal of a token that logged in: what its life is measured by now. KT_NOT_FOUND: whom it stood
 * on is gone; Vault answers nothing then, and the token is not renewed. */
enum kt_kind login_renewal(struct request *req, const struct token *token,
                           struct token_ttl_wish *wish, struct kt_err *err) KT_MUST_CHECK;
/* Whether a login may come from there: the params' own bounds, before anything is made. */
bool login_address_fits(const struct request *req, const struct string_list *cidrs);
