/* lib/may_connect.h - whether an address that somebody wrote into the vault's settings may be connected to.
 *
 * What:    All but addresses of the own link (169.254.0.0/16, fe80::/10, fd00:ec2::254: where clouds have their
 *          metadata), multicast ones and none at all, however they were spelt: mapped and translated ones of
 *          version 4 count as what is inside them. Ask with what connect() gets, behind the name's look-up.
 * Threads: any.
 * Source:  RFC 4291, 2.5.5.2; RFC 6052, 2.1. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

bool kt_may_connect(const struct sockaddr *address);
