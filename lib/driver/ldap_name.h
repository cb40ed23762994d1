/* lib/driver/ldap_name.h - names of entries, each in one spelling only.
 *
 * What:    A directory takes many spellings for one entry: capital letters, blanks, \XX for any byte. Who
 *          compares names byte by byte needs them plain: no capital letter of ASCII, no blank beside a
 *          separator, at an end or behind another one, "\" only before what cannot stand without it
 *          (,;+"<>\), no value in hexadecimal digits (#04...), no set of several attributes (a+b), whose order
 *          is anybody's. What is left with several spellings: letters beyond ASCII, and attributes that have
 *          several names (uid, userid).
 * Errors:  kt_ldap_name_fold() false: no room.
 * Threads: plain functions.
 * Source:  RFC 4514, sections 2.4 and 3; RFC 4518, section 2.6.1 (blanks). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

bool kt_ldap_name_is_plain(const char *name);
/* The same name without its capital letters and the blanks that say nothing: plain, where only those were not. */
bool kt_ldap_name_fold(const char *name, char *out, size_t size);
