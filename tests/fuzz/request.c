/* Requests as text, through the whole pipeline of a vault in memory, several in one input:
 *
 *     METHOD TARGET[?QUERY] WHO [MEDIA-TYPE][tab WRAP-TTL]
 *     WHO: R root, T a token of one folder, W the newest wrapping token, - nobody, other text
 * body lines, up to an empty line
 *
 * No answer is an internal error, every body is JSON, strangers reach only the public paths, and
 * the token of one folder changes and sees nothing of other secrets, a wrapping token only unwraps,
 * and what is wrapped does not stand in the answer. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/assert.h"
#include "lib/num.h"
#include "lib/random.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/vault.h"
#include "vaultd/core/path.h"

#define REQUESTS_A_VAULT 3000u

static struct test_vault *vault;
static char folder_token[256];
static char wrapping_token[256]; /* "": there was none */
static char precious[33]; /* in a secret that only root may read; no input can know it */
static unsigned asked;

static void end(void)
{
    test_vault_free(vault);
    vault = NULL;
}

static void begin(void)
{
    static bool registered;
    if (vault != NULL && asked < REQUESTS_A_VAULT)
        return;
    end();
    if (!registered)
        KT_ASSERT(atexit(end) == 0);
    registered = true;
    asked = 0;
    wrapping_token[0] = '\0';
    vault = test_vault_new(true);
    test_vault_token(vault, "folder",
                     "path \"secret/data/mine/*\" { capabilities = "
                     "[\"create\",\"read\",\"update\",\"patch\",\"delete\"] }",
                     folder_token, sizeof folder_token);
    unsigned char bytes[16];
    char body[80];
    kt_random_id(bytes, sizeof bytes);
    kt_hex_encode(bytes, sizeof bytes, precious);
    (void)snprintf(body, sizeof body, "{\"data\":{\"k\":\"%s\"}}", precious);
    (void)test_vault_call(vault, "PUT", "secret/data/other", vault->root, body);
}

static struct kt_bytes until(struct kt_bytes *rest, char mark)
{
    const unsigned char *at = rest->len == 0 ? NULL : memchr(rest->at, mark, rest->len);
    size_t len = at == NULL ? rest->len : (size_t)(at - rest->at);
    struct kt_bytes got = kt_bytes(rest->at, len);
    size_t skip = at == NULL ? len : len + 1;
    *rest = kt_bytes(rest->at + skip, rest->len - skip);
    return got;
}

/* Lines up to an empty one. */
static struct kt_bytes body_of(struct kt_bytes *rest)
{
    const unsigned char *at = rest->len == 0 ? NULL : memmem(rest->at, rest->len, "\n\n", 2);
    size_t len = at == NULL ? rest->len : (size_t)(at - rest->at);
    struct kt_bytes got = kt_bytes(rest->at, len);
    size_t skip = at == NULL ? len : len + 2;
    *rest = kt_bytes(rest->at + skip, rest->len - skip);
    return got;
}

static bool is_public(const char *path)
{
    static const char *const paths[] = {"sys/init",   "sys/seal-status",        "sys/unseal",
                                        "sys/health", "sys/internal/ui/mounts", "sys/leader",
                                        "sys/wrapping/lookup"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (strcmp(paths[i], path) == 0)
            return true;
    return false;
}

static void check_status(const char *path)
{
    static const unsigned known[] = {200, 204, 400, 403, 404, 405, 409, 413, 415, 503};
    bool fine = strcmp(path, "sys/health") == 0; /* the caller chooses */
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        fine = fine || vault->status == known[i];
    /* Vault's own oddity. */
    fine = fine || (vault->status == 500 && test_vault_said(vault, "missing data fields"));
    KT_ASSERT(fine);
}

/* Help is for everybody with a token, about everything. */
static bool is_help(const struct test_request *request)
{
    return kt_bytes_is(request->method, "HELP") || test_vault_said(vault, "{\"help\":");
}

#ifdef __clang__
#define UNSEEN __attribute__((no_sanitize("coverage")))
#else
#define UNSEEN
#endif

/* The fuzzer watches comparisons and would put what it sees into its inputs. */
UNSEEN static bool answer_has_precious(void)
{
    size_t len = strlen(vault->body);
    for (size_t i = 0; i + 32 <= len; i++) {
        size_t n = 0;
        while (n < 32 && vault->body[i + n] == precious[n])
            n++;
        if (n == 32)
            return true;
    }
    return false;
}

static void check_rights(const struct test_request *request, struct kt_bytes who, const char *path)
{
    if (vault->status >= 300 || is_help(request))
        return;
    if (kt_bytes_is(who, "-"))
        KT_ASSERT(is_public(path));
    if (kt_bytes_is(who, "T") && strncmp(path, "secret/", 7) == 0)
        KT_ASSERT(strncmp(path, "secret/data/mine/", 17) == 0);
    if (kt_bytes_is(who, "W"))
        KT_ASSERT(is_public(path) || strcmp(path, "sys/wrapping/unwrap") == 0 ||
                  strcmp(path, "cubbyhole/response") == 0);
    if (!kt_bytes_is(who, "R") && !kt_bytes_is(who, "W"))
        KT_ASSERT(!answer_has_precious());
    if (test_vault_said(vault, "\"wrap_info\":{\"token\":\"hvs.")) {
        KT_ASSERT(!answer_has_precious());
        test_vault_text(vault, "wrap_info.token", wrapping_token, sizeof wrapping_token);
    }
}

static void check_answer(const struct test_request *request, struct kt_bytes who)
{
    struct kt_arena arena;
    const char *path = "";
    size_t len = 0;
    kt_arena_init(&arena, 65536);
    if (path_canonical(&arena, request->target, &path, &len, NULL) != KT_OK)
        path = "";
    check_status(path);
    check_rights(request, who, path);
    bool lines = strcmp(path, "sys/audit-log/export") == 0 ||
                 strcmp(path, "sys/wrapping/unwrap") == 0; /* it may be an export */
    struct kt_bytes body = kt_str(vault->body);
    const struct kt_json_limits limits = {.bytes = SIZE_MAX,
                                          .depth = 128,
                                          .nodes = SIZE_MAX,
                                          .keys = SIZE_MAX,
                                          .string_bytes = SIZE_MAX,
                                          .number_bytes = 64};
    if (body.len > 0 && !lines)
        KT_ASSERT(kt_json_check(body, &limits, NULL) == KT_OK);
    kt_arena_free(&arena);
}

static void one(struct kt_bytes *rest)
{
    struct kt_bytes line = until(rest, '\n');
    struct test_request request = {.hurry = true};
    request.method = until(&line, ' ');
    struct kt_bytes target = until(&line, ' ');
    struct kt_bytes who = until(&line, ' ');
    request.target = until(&target, '?');
    request.query = target;
    request.content_type = until(&line, '\t');
    request.wrap_ttl = line.len > 0 ? line : kt_str(NULL);
    if (request.content_type.len == 0)
        request.content_type = kt_bytes_is(request.method, "PATCH")
                                   ? kt_str("application/merge-patch+json")
                                   : kt_str(NULL);
    request.token = kt_bytes_is(who, "R")   ? kt_str(vault->root)
                    : kt_bytes_is(who, "T") ? kt_str(folder_token)
                    : kt_bytes_is(who, "W") ? kt_str(wrapping_token)
                    : kt_bytes_is(who, "-") ? kt_bytes(NULL, 0)
                                            : who;
    request.body = body_of(rest);
    (void)test_vault_ask(vault, &request);
    check_answer(&request, who);
    if (barrier_sealed(vault->core->barrier)) {
        barrier_unseal_reset(vault->core->barrier);
        test_vault_reseal(vault);
    }
    asked++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 32768)
        return 0;
    begin();
    struct kt_bytes rest = kt_bytes(data, size);
    for (int i = 0; i < 16 && rest.len > 0; i++)
        one(&rest);
    /* The root token may have been revoked, policies changed. */
    if (test_vault_call(vault, "GET", "auth/token/lookup-self", vault->root, NULL) != 200 ||
        test_vault_call(vault, "GET", "sys/policies/acl/folder", vault->root, NULL) != 200 ||
        !test_vault_said(vault, "secret/data/mine"))
        end();
    return 0;
}
