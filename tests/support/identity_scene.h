/* tests/support/identity_scene.h - logins without a way to log in, for tests of identities.
 *
 * What:    scene_login() does what a login's handler does once it knows who somebody is: the entity
 *          through identity_login(), a token of it, one commit. The mount is auth/token/, the only one
 *          that is always there.
 * Threads: any thread. */
#pragma once

#include "tests/support/vault.h"

struct scene_login {
    const char *name;
    const char *metadata; /* JSON; NULL: none */
    const char *policy;   /* the token's own, besides "default"; NULL: none */
    const char *const *groups; /* NULL ends; NULL: the login knows of none */
};
/* The kind of the answer; the token's text and its entity's id (37 bytes) where it is KT_OK. */
enum kt_kind scene_login(struct test_vault *vault, const struct scene_login *login, char *ret_token,
                         size_t size, char *ret_entity);
