/* lib/driver/form.h - what a target keeps of a password, made on our side.
 *
 * What:    One row a form (DRIVER_FORMS in driver.h): how the public part is made of a password, and
 *          how one looks. A server that is sent the public part never sees the password, nor do its
 *          log and its replicas.
 * Owner:   the caller's buffer. A public part is no secret of ours, but is kept out of texts.
 * Limits:  passwords as the form's own file has it; a public part fits DRIVER_FORM_TEXT.
 * Errors:  KT_INVALID: a password that the form cannot be made of. KT_IO, KT_INTERNAL: the library.
 * Source:  lib/scram.h; lib/ssh_key.h; Redis 7's manual, "ACL SETUSER" (rule #<hash>); OpenLDAP 2.5, slapd-pw-sha2.
 * Threads: any thread. */
#pragma once

#include "lib/driver/driver.h"

#define DRIVER_FORM_TEXT 256u /* NUL included */

enum kt_kind kt_form_make(enum driver_form form, struct kt_bytes password,
                          char ret[DRIVER_FORM_TEXT], struct kt_err *err) KT_MUST_CHECK;
/* Has the text this form, to the last byte? */
bool kt_form_is(enum driver_form form, struct kt_bytes text);
