#include "vaultd/auth/jwt_text.h"

#include "lib/num.h"

#define X(name, text) [name] = (text),
static const char *const alg_texts[] = {JWT_ALGS(X)};
#undef X

static const struct kt_json_limits limits = {.bytes = JWT_TEXT_MAX,
                                             .depth = 16,
                                             .nodes = 4096,
                                             .keys = 256,
                                             .string_bytes = JWT_TEXT_MAX,
                                             .number_bytes = 64};

const char *jwt_alg_text(enum jwt_alg alg)
{
    return alg < JWT_ALG_COUNT ? alg_texts[alg] : "unknown";
}

bool jwt_alg_of(const char *text, enum jwt_alg *ret)
{
    for (unsigned alg = 0; alg < JWT_ALG_COUNT; alg++)
        if (strcmp(alg_texts[alg], text) == 0) {
            *ret = (enum jwt_alg)alg;
            return true;
        }
    return false;
}

/* ---- parts ---- */

static bool split(struct kt_bytes text, struct kt_bytes parts[3])
{
    for (size_t i = 0; i < 3; i++) {
        const unsigned char *point = text.len == 0 ? NULL : memchr(text.at, '.', text.len);
        if ((point == NULL) != (i == 2))
            return false;
        size_t len = point == NULL ? text.len : (size_t)(point - text.at);
        if (len == 0)
            return false;
        parts[i] = kt_bytes(text.at, len);
        if (point != NULL)
            text = kt_bytes(point + 1, text.len - len - 1);
    }
    return true;
}

static enum kt_kind decode(struct kt_bytes part, const char *name, struct kt_arena *arena,
                           struct kt_bytes *ret, struct kt_err *err)
{
    size_t len = 0;
    unsigned char *out = kt_arena_take(arena, part.len);
    if (out == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a token");
    if (!kt_base64url_decode(part, out, part.len, &len))
        return kt_fail(err, KT_INVALID, "malformed token: its %s is no base64url", name);
    *ret = kt_bytes(out, len);
    return KT_OK;
}

/* The checker's own words quote nothing, but its limits are none of the caller's business. */
static enum kt_kind decode_object(struct kt_bytes part, const char *name, struct kt_arena *arena,
                                  struct kt_json *ret, struct kt_err *err)
{
    struct kt_bytes text = {0};
    struct kt_json_fault fault = {0};
    enum kt_kind kind = decode(part, name, arena, &text, err);
    if (kind != KT_OK)
        return kind;
    kind = kt_json_find_fault(text, &limits, &fault);
    if (kind == KT_NO_MEMORY)
        return kt_fail(err, KT_NO_MEMORY, "reading a token");
    if (kind != KT_OK)
        return kt_fail(err, KT_INVALID, "malformed token: its %s: %s", name, fault.problem);
    *ret = kt_json_value(text);
    if (kt_json_type(*ret) != KT_JSON_OBJECT)
        return kt_fail(err, KT_INVALID, "malformed token: its %s is no JSON object", name);
    return KT_OK;
}

/* ---- the header ---- */

static bool has(struct kt_json object, const char *name)
{
    struct kt_json value = {0};
    return kt_json_member(object, name, &value);
}

static enum kt_kind read_header(struct kt_json header, struct kt_arena *arena, struct jwt_text *ret,
                                struct kt_err *err)
{
    static const char *const not_understood[] = {"crit", "enc", "zip", "b64"};
    struct kt_json value = {0};
    for (size_t i = 0; i < sizeof not_understood / sizeof not_understood[0]; i++)
        if (has(header, not_understood[i]))
            return kt_fail(err, KT_INVALID, "malformed token: its header has \"%s\"",
                           not_understood[i]);
    const char *alg = kt_json_member(header, "alg", &value) ? kt_json_text(value, arena) : NULL;
    if (arena->failed)
        return kt_fail(err, KT_NO_MEMORY, "reading a token");
    if (alg == NULL || !jwt_alg_of(alg, &ret->alg))
        return kt_fail(err, KT_INVALID, "the token is signed in none of the ways that are taken");
    if (!kt_json_member(header, "kid", &value))
        return KT_OK;
    ret->kid = kt_json_text(value, arena);
    if (arena->failed)
        return kt_fail(err, KT_NO_MEMORY, "reading a token");
    if (ret->kid == NULL || strlen(ret->kid) > JWT_KID_MAX)
        return kt_fail(err, KT_INVALID, "malformed token: its \"kid\" is no string, or too long");
    return KT_OK;
}

enum kt_kind jwt_text_read(struct kt_bytes text, struct kt_arena *arena, struct jwt_text *ret,
                           struct kt_err *err)
{
    struct kt_bytes parts[3];
    struct kt_json header = {0};
    *ret = (struct jwt_text){.kid = NULL};
    if (text.len > JWT_TEXT_MAX)
        return kt_fail(err, KT_INVALID, "malformed token: longer than %u bytes", JWT_TEXT_MAX);
    if (!split(text, parts))
        return kt_fail(err, KT_INVALID, "malformed token: it has not three parts");
    enum kt_kind kind = decode_object(parts[0], "header", arena, &header, err);
    if (kind == KT_OK)
        kind = read_header(header, arena, ret, err);
    if (kind == KT_OK)
        kind = decode_object(parts[1], "payload", arena, &ret->claims, err);
    if (kind == KT_OK)
        kind = decode(parts[2], "signature", arena, &ret->signature, err);
    ret->input = kt_bytes(text.at, parts[0].len + 1 + parts[1].len);
    return kind;
}
