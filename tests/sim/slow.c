/* What is slow on purpose need not be here: a login's key is derived in one round instead of 4,096.
 */
#include <gnutls/crypto.h>

int __real_gnutls_pbkdf2(gnutls_mac_algorithm_t mac, const gnutls_datum_t *key,
                         const gnutls_datum_t *salt, unsigned rounds, void *out, size_t len);
int __wrap_gnutls_pbkdf2(gnutls_mac_algorithm_t mac, const gnutls_datum_t *key,
                         const gnutls_datum_t *salt, unsigned rounds, void *out, size_t len);

int __wrap_gnutls_pbkdf2(gnutls_mac_algorithm_t mac, const gnutls_datum_t *key,
                         const gnutls_datum_t *salt, unsigned rounds, void *out, size_t len)
{
    (void)rounds;
    return __real_gnutls_pbkdf2(mac, key, salt, 1, out, len);
}
