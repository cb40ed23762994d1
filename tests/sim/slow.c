/* What is slow on purpose need not be here: a login's key is derived in one round instead of 4,096.
 */
#include <gnutls/crypto.h>
#include <malloc.h>

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

int __wrap_malloc_trim(size_t pad);
int __wrap_malloc_trim(size_t pad)
{
    (void)pad;
    return 0;
}

struct mallinfo2 __wrap_mallinfo2(void);
struct mallinfo2 __wrap_mallinfo2(void)
{
    return (struct mallinfo2){0};
}
