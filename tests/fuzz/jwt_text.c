/* tests/fuzz/jwt_text.c - signed tokens: what is read is the one spelling of it, and its claims can be looked at
 * in every way that a role does. */
#include <sodium.h>

#include "lib/assert.h"
#include "tests/fuzz/fuzz.h"
#include "vaultd/auth/jwt_claims.h"

static void check_part(struct kt_bytes part)
{
    static unsigned char bytes[JWT_TEXT_MAX];
    static char again[2 * JWT_TEXT_MAX];
    size_t len = 0;
    KT_ASSERT(sodium_base642bin(bytes, sizeof bytes, (const char *)part.at, part.len, NULL, &len, NULL,
                                sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0);
    (void)sodium_bin2base64(again, sizeof again, bytes, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    KT_ASSERT(kt_bytes_is(part, again));
}

static void look_at_claims(const struct jwt_text *token, struct kt_arena *arena)
{
    static const char *audiences[] = {"vault"};
    static const struct jwt_role role = {
        .name = "r",
        .user_claim = "/a/b~1c/1",
        .user_pointer = true,
        .glob = true,
        .audiences = {audiences, 1},
        .subject = "",
        .groups_claim = "aud",
        .bound = {(const unsigned char *)"{\"sub\":[\"b*\",\"*s\"]}", 18},
        .mappings = {(const unsigned char *)"{\"iss\":\"i\",\"/a\":\"a\"}", 20},
    };
    struct kt_err err = {0};
    struct jwt_who who;
    kt_autobuf struct kt_buf meta;
    kt_buf_init(&meta, JWT_TEXT_MAX);
    (void)!jwt_claims_times(token->claims, &role, 1800000000, &err);
    (void)!jwt_claims_bound(token->claims, &role, "", arena, &err);
    enum kt_kind kind = jwt_claims_who(token->claims, &role, arena, &meta, &who, &err);
    if (kind == KT_OK)
        KT_ASSERT(who.user[0] != '\0' && who.groups.n <= JWT_LIST_MAX &&
                  kt_json_check(kt_buf_bytes(&meta), NULL, &err) == KT_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_arena arena;
    struct jwt_text token;
    struct kt_err err = {0};
    const struct kt_bytes text = kt_bytes(data, size);
    kt_arena_init(&arena, (size_t)1024 * 1024);
    if (jwt_text_read(text, &arena, &token, &err) == KT_OK) {
        const unsigned char *first = memchr(data, '.', size);
        const unsigned char *second = token.input.at + token.input.len;
        KT_ASSERT(size <= JWT_TEXT_MAX && first != NULL && first < second && *second == '.');
        KT_ASSERT(memchr(second + 1, '.', size - token.input.len - 1) == NULL);
        check_part(kt_bytes(data, (size_t)(first - data)));
        check_part(kt_bytes(first + 1, (size_t)(second - first - 1)));
        check_part(kt_bytes(second + 1, size - token.input.len - 1));
        look_at_claims(&token, &arena);
    }
    kt_arena_free(&arena);
    return 0;
}
