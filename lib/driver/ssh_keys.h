/* lib/driver/ssh_keys.h - the driver "ssh-key": which key an account's file of authorized keys has.
 *
 * What:    Strategy overlap: two lines, two keys that are accepted, then only the new one. Public parts
 *          are FORM_SSH. See docs/rotation.md, "SSH keys", for the login that changes the file.
 * Source:  sshd(8), sshd_config(5) of OpenSSH 9.2.
 * Threads: one. */
#pragma once

#include "lib/driver/table.h"

bool kt_ssh_keys_prepare(struct driver_run *run, struct driver_result *ret);
void kt_ssh_keys_run(const struct driver_run *run, struct driver_result *ret);
