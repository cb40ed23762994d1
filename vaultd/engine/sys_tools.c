/* sys/tools/: random bytes and hashes for who has nothing better at hand. */
#include <gnutls/crypto.h>
#include <sodium.h>

#include "lib/num.h"
#include "lib/random.h"
#include "vaultd/engine/sys.h"

#define RANDOM_MAX 131072
#define DIGEST_MAX 64u

/* ---- output ---- */

enum format { FORMAT_BASE64, FORMAT_HEX };

/* absent: what the endpoint says without the field. */
static enum kt_kind read_format(struct request *req, enum format absent, enum format *ret,
                                struct kt_err *err)
{
    const char *format = NULL;
    enum kt_kind kind = request_string(req, "format", &format, err);
    *ret = absent;
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    if (strcmp(format, "hex") == 0)
        *ret = FORMAT_HEX;
    else if (strcmp(format, "base64") == 0)
        *ret = FORMAT_BASE64;
    else
        return kt_fail(err, KT_INVALID,
                       "unsupported encoding \"format\"; must be \"hex\" or \"base64\"");
    return KT_OK;
}

static enum kt_kind write_bytes(struct request *req, const char *key, struct kt_bytes bytes,
                                enum format format, struct kt_err *err)
{
    char *text = kt_arena_take(&req->arena, 2 * bytes.len + 8);
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "answering");
    if (format == FORMAT_HEX)
        kt_hex_encode(bytes.at, bytes.len, text);
    else
        (void)sodium_bin2base64(text, 2 * bytes.len + 8, bytes.at, bytes.len,
                                sodium_base64_VARIANT_ORIGINAL);
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, key, text);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* ---- random ---- */

static bool is_source(const char *text)
{
    static const char *const sources[] = {"platform", "seal", "all"};
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        if (strcmp(text, sources[i]) == 0)
            return true;
    return false;
}

/* "random/platform/16", "random/16", "random/platform", or the fields of the body. All sources are the
 * kernel's here: no seal brings one of its own. */
static enum kt_kind read_count(struct request *req, int64_t *ret, struct kt_err *err)
{
    const char *source = request_param(req, "source"), *count = request_param(req, "urlbytes");
    enum kt_kind kind = KT_OK;
    if (source[0] == '\0') {
        kind = request_string(req, "source", &source, err);
        source = kind == KT_OK ? source : "platform";
    } else if (count[0] == '\0' && !is_source(source)) {
        count = source;
        source = "platform";
    }
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (!is_source(source))
        return kt_fail(err, KT_INVALID,
                       "unsupported entropy \"source\"; must be \"platform\", \"seal\" or \"all\"");
    *ret = 32;
    if (count[0] != '\0')
        return kt_i64_parse(kt_str(count), INT64_MIN + 1, INT64_MAX, ret)
                   ? KT_OK
                   : kt_fail(err, KT_INVALID, "error parsing url-set byte count: no whole number");
    kind = request_int(req, "bytes", ret, err);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

enum kt_kind sys_random(struct request *req, struct kt_err *err)
{
    int64_t n = 0;
    enum format format = FORMAT_HEX;
    enum kt_kind kind = read_count(req, &n, err);
    if (kind == KT_OK)
        kind = read_format(req, FORMAT_BASE64, &format, err);
    if (kind != KT_OK)
        return kind;
    if (n < 1)
        return kt_fail(err, KT_INVALID, "\"bytes\" cannot be less than 1");
    if (n > RANDOM_MAX)
        return kt_fail(err, KT_INVALID, "\"bytes\" should be less than %d", RANDOM_MAX);
    unsigned char *bytes = kt_arena_take(&req->arena, (size_t)n);
    if (bytes == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making random bytes");
    kt_random(bytes, (size_t)n);
    return write_bytes(req, "random_bytes", kt_bytes(bytes, (size_t)n), format, err);
}

/* ---- hash ---- */

static bool find_digest(const char *name, gnutls_digest_algorithm_t *ret)
{
    static const struct {
        const char *name;
        gnutls_digest_algorithm_t digest;
    } rows[] = {
        {"sha2-224", GNUTLS_DIG_SHA224},   {"sha2-256", GNUTLS_DIG_SHA256},
        {"sha2-384", GNUTLS_DIG_SHA384},   {"sha2-512", GNUTLS_DIG_SHA512},
        {"sha3-224", GNUTLS_DIG_SHA3_224}, {"sha3-256", GNUTLS_DIG_SHA3_256},
        {"sha3-384", GNUTLS_DIG_SHA3_384}, {"sha3-512", GNUTLS_DIG_SHA3_512},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, name) == 0) {
            *ret = rows[i].digest;
            return true;
        }
    return false;
}

static enum kt_kind read_input(struct request *req, struct kt_bytes *ret, struct kt_err *err)
{
    const char *text = "";
    enum kt_kind kind = request_string(req, "input", &text, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    size_t len = strlen(text), n = 0;
    unsigned char *bytes = kt_arena_take(&req->arena, len + 1);
    if (bytes == NULL)
        return kt_fail(err, KT_NO_MEMORY, "hashing");
    if (sodium_base642bin(bytes, len + 1, text, len, NULL, &n, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return kt_fail(err, KT_INVALID, "unable to decode \"input\" as base64");
    *ret = kt_bytes(bytes, n);
    return KT_OK;
}

enum kt_kind sys_hash(struct request *req, struct kt_err *err)
{
    const char *algorithm = request_param(req, "urlalgorithm");
    enum kt_kind kind = KT_OK;
    if (algorithm[0] == '\0')
        kind = request_string(req, "algorithm", &algorithm, err);
    if (kind == KT_NOT_FOUND) {
        algorithm = "sha2-256";
        kind = KT_OK;
    }
    enum format format = FORMAT_HEX;
    struct kt_bytes input = {0};
    if (kind == KT_OK)
        kind = read_format(req, FORMAT_HEX, &format, err);
    if (kind == KT_OK)
        kind = read_input(req, &input, err);
    if (kind != KT_OK)
        return kind;
    gnutls_digest_algorithm_t digest;
    if (!find_digest(algorithm, &digest))
        return kt_fail(err, KT_INVALID,
                       "unsupported \"algorithm\"; one of sha2-224, sha2-256, sha2-384, sha2-512, "
                       "sha3-224, sha3-256, sha3-384, sha3-512");
    unsigned char sum[DIGEST_MAX];
    if (gnutls_hash_fast(digest, input.at, input.len, sum) < 0)
        return kt_fail(err, KT_NO_MEMORY, "no memory to hash it");
    return write_bytes(req, "sum", kt_bytes(sum, gnutls_hash_get_len(digest)), format, err);
}
