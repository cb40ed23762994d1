/* lib/x509_names.h - the names that a certificate is for, as a person writes them.
 *
 * What:    "app.example.com, *.dev.example.com, 10.0.0.7, ops@example.com, spiffe://example/app": words
 *          between commas and blanks; what a word is follows from its form.
 * Limits:  KT_X509_NAMES_MAX words. DNS names are ASCII (IDNs in their xn-- form), labels of letters,
 *          digits, '-' and '_'; a '*' is the whole first label, with two labels behind it at least.
 * Errors:  KT_INVALID names the word by its number and says what is wrong with it.
 * Threads: plain functions.
 * Source:  RFC 5280, section 4.2.1.6; RFC 9525, section 6.3. */
#pragma once

#include "lib/bytes.h"
#include "lib/err.h"

#define KT_X509_NAMES_MAX 32u
#define KT_X509_NAME_MAX  256u

enum kt_x509_name_kind { KT_X509_DNS, KT_X509_ADDRESS, KT_X509_EMAIL, KT_X509_URI };
struct kt_x509_name {
    enum kt_x509_name_kind kind;
    char text[KT_X509_NAME_MAX]; /* DNS names in lower case */
    unsigned char address[16];
    unsigned address_len; /* 4 or 16; of an address */
};
struct kt_x509_names {
    struct kt_x509_name at[KT_X509_NAMES_MAX];
    unsigned n;
};

enum kt_kind kt_x509_names_parse(const char *text, struct kt_x509_names *ret, struct kt_err *err)
    KT_MUST_CHECK;
