#include "lib/tls_key.h"

#define EXPONENT_MAX 5u /* bytes */

static bool rsa_fits(gnutls_x509_crt_t crt, unsigned bits)
{
    gnutls_datum_t modulus = {NULL, 0}, exponent = {NULL, 0};
    if (bits > KT_TLS_RSA_BITS_MAX || gnutls_x509_crt_get_pk_rsa_raw(crt, &modulus, &exponent) != 0)
        return false;
    unsigned zeros = 0; /* GnuTLS puts one in front of a high bit */
    while (zeros < exponent.size && exponent.data[zeros] == 0)
        zeros++;
    bool fits = exponent.size - zeros <= EXPONENT_MAX;
    gnutls_free(modulus.data);
    gnutls_free(exponent.data);
    return fits;
}

bool kt_tls_key_fits(gnutls_x509_crt_t crt)
{
    unsigned bits = 0;
    switch (gnutls_x509_crt_get_pk_algorithm(crt, &bits)) {
    case GNUTLS_PK_RSA:
    case GNUTLS_PK_RSA_PSS:
        return rsa_fits(crt, bits);
    case GNUTLS_PK_ECDSA:
    case GNUTLS_PK_EDDSA_ED25519:
    case GNUTLS_PK_EDDSA_ED448:
        return true;
    default:
        return false;
    }
}
