/* sys/rekey and sys/generate-root through the pipeline: who may, what each step answers and leaves behind,
 * and that nothing is told or done without its record. The gathering alone is ceremony_test's matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <sodium.h>
#include <unistd.h>

#include "lib/num.h"
#include "lib/token_text.h"
#include "tests/support/vault.h"
#include "vaultd/audit/audit.h"
#include "vaultd/barrier/ceremony.h"
#include "vaultd/barrier/inside.h"
#include "vaultd/core/autorotate.h"
#include "vaultd/core/meter.h"
#include "vaultd/core/private.h"

#define TEXT 256

static int make(void **state)
{
    *state = test_vault_new(true);
    return 0;
}

static int end(void **state)
{
    test_vault_free(*state);
    return 0;
}

static void wanted(struct test_vault *vault, unsigned got, unsigned status, const char *says)
{
    if (got != status || (says != NULL && !test_vault_said(vault, says)))
        fail_msg("expected %u%s%s, got %u: %s", status, says == NULL ? "" : " and ",
                 says == NULL ? "" : says, got, vault->body);
}

static void ask(struct test_vault *vault, const char *method, const char *path, const char *token,
                const char *body, unsigned status, const char *says)
{
    wanted(vault, test_vault_call(vault, method, path, token, body), status, says);
}

static char *take(struct test_vault *vault, const char *member, char out[TEXT])
{
    test_vault_text(vault, member, out, TEXT);
    return out;
}

static unsigned give(struct test_vault *vault, const char *path, const char *token, const char *nonce,
                     const unsigned char share[SHAMIR_SHARE_BYTES])
{
    char hex[2 * SHAMIR_SHARE_BYTES + 1], body[512];
    kt_hex_encode(share, SHAMIR_SHARE_BYTES, hex);
    (void)snprintf(body, sizeof body, "{\"key\":\"%s\",\"nonce\":\"%s\"}", hex, nonce);
    return test_vault_call(vault, "PUT", path, token, body);
}

/* What the last answer handed out. */
static unsigned read_keys(struct test_vault *vault, unsigned char out[][SHAMIR_SHARE_BYTES])
{
    unsigned n = 0;
    struct kt_json keys = {0}, base64 = {0};
    struct kt_json all = kt_json_value(kt_str(vault->body));
    assert_true(kt_json_member(all, "keys", &keys) && kt_json_member(all, "keys_base64", &base64));
    struct kt_json_iter hex_at = kt_json_iter(keys), base64_at = kt_json_iter(base64);
    while (kt_json_next(&hex_at)) {
        unsigned char again[SHAMIR_SHARE_BYTES];
        assert_true(kt_json_next(&base64_at));
        const struct kt_json texts[] = {hex_at.value, base64_at.value};
        for (size_t i = 0; i < 2; i++) {
            struct kt_bytes text = kt_bytes((const unsigned char *)texts[i].at + 1, texts[i].len - 2);
            assert_int_equal(shamir_share_parse(text, i == 0 ? out[n] : again, NULL), KT_OK);
        }
        assert_memory_equal(out[n], again, sizeof again);
        n++;
    }
    return n;
}

static bool unseals(struct test_vault *vault, unsigned char shares[][SHAMIR_SHARE_BYTES], unsigned n)
{
    bool unsealed = false;
    enum kt_kind kind = KT_OK;
    core_seal(vault->core, "test");
    for (unsigned i = 0; i < n && kind == KT_OK; i++)
        kind = barrier_unseal_share(vault->core->barrier, shares[i], &unsealed, NULL);
    barrier_unseal_reset(vault->core->barrier);
    return kind == KT_OK && unsealed && core_unsealed(vault->core, false, NULL) == KT_OK;
}

/* ---- rekey ---- */

static void begin_rekey(struct test_vault *vault, const char *more, char nonce[TEXT])
{
    char body[TEXT];
    (void)snprintf(body, sizeof body, "{\"secret_shares\":4,\"secret_threshold\":2%s}", more);
    ask(vault, "PUT", "sys/rekey/init", vault->root, body, 200, "\"started\":true,\"t\":2,\"n\":4,"
        "\"progress\":0,\"required\":3,\"pgp_fingerprints\":null,\"backup\":false");
    (void)take(vault, "nonce", nonce);
}

static void give_three(struct test_vault *vault, const char *path, const char *nonce)
{
    wanted(vault, give(vault, path, NULL, nonce, vault->shares[4]), 200, "\"progress\":1,\"required\":3");
    wanted(vault, give(vault, path, NULL, nonce, vault->shares[0]), 200, "\"progress\":2");
    wanted(vault, give(vault, path, NULL, nonce, vault->shares[2]), 200, "\"complete\":true");
}

static void new_keys(void **state)
{
    struct test_vault *vault = *state;
    char nonce[TEXT], before[TEXT], id[TEXT];
    unsigned char fresh[SHAMIR_SHARES_MAX][SHAMIR_SHARE_BYTES];
    ask(vault, "GET", "sys/rekey/init", NULL, NULL, 200,
        "{\"nonce\":\"\",\"started\":false,\"t\":0,\"n\":0,\"progress\":0,\"required\":3,"
        "\"pgp_fingerprints\":null,\"backup\":false,\"verification_required\":false}");
    ask(vault, "GET", "sys/seal-status", NULL, NULL, 200, NULL);
    (void)take(vault, "key_set_id", before);
    begin_rekey(vault, "", nonce);
    ask(vault, "PUT", "sys/rekey/init", vault->root, "{\"secret_shares\":1,\"secret_threshold\":1}", 400,
        "rekey already in progress");
    wanted(vault, give(vault, "sys/rekey/update", NULL, "wrong", vault->shares[0]), 400,
           "incorrect nonce supplied; nonce for this rekey operation is");
    wanted(vault, give(vault, "sys/rekey/update", NULL, nonce, vault->shares[0]), 200, "\"progress\":1");
    wanted(vault, give(vault, "sys/rekey/update", NULL, nonce, vault->shares[0]), 400,
           "given key has already been provided during this generation operation");
    wanted(vault, give(vault, "sys/rekey/update", NULL, nonce, vault->shares[3]), 200, "\"progress\":2");
    wanted(vault, give(vault, "sys/rekey/update", NULL, nonce, vault->shares[1]), 200,
           "\"pgp_fingerprints\":null,\"backup\":false,\"verification_required\":false");
    assert_false(test_vault_said(vault, "verification_nonce"));
    assert_int_equal(read_keys(vault, fresh), 4);
    (void)take(vault, "key_set_id", id);
    assert_string_not_equal(id, before);
    ask(vault, "GET", "sys/seal-status", NULL, NULL, 200, id);
    ask(vault, "GET", "sys/rekey/init", NULL, NULL, 200, "\"started\":false");
    wanted(vault, give(vault, "sys/rekey/update", NULL, nonce, vault->shares[1]), 400,
           "no barrier rekey in progress");
    ask(vault, "POST", "secret/data/a", vault->root, "{\"data\":{\"k\":\"v\"}}", 200, NULL);
    assert_false(unseals(vault, vault->shares, 3));
    assert_true(unseals(vault, fresh + 1, 2));
    ask(vault, "GET", "secret/data/a", vault->root, NULL, 200, "\"k\":\"v\"");
    ask(vault, "GET", "sys/seal-status", NULL, NULL, 200, "\"t\":2,\"n\":4,\"progress\":0");
}

static void new_keys_that_have_to_come_back(void **state)
{
    struct test_vault *vault = *state;
    char nonce[TEXT], verify[TEXT];
    unsigned char fresh[SHAMIR_SHARES_MAX][SHAMIR_SHARE_BYTES];
    ask(vault, "GET", "sys/rekey/verify", NULL, NULL, 400, "no rekey configuration found");
    begin_rekey(vault, ",\"require_verification\":true", nonce);
    ask(vault, "GET", "sys/rekey/verify", NULL, NULL, 200,
        "{\"nonce\":\"\",\"started\":false,\"t\":2,\"n\":4,\"progress\":0}");
    give_three(vault, "sys/rekey/update", nonce);
    assert_true(test_vault_said(vault, "\"verification_required\":true"));
    (void)take(vault, "verification_nonce", verify);
    assert_int_equal(read_keys(vault, fresh), 4);
    ask(vault, "GET", "sys/rekey/init", NULL, NULL, 200, "\"verification_nonce\":\"");
    assert_false(test_vault_said(vault, "\"keys\"")); /* told once */
    wanted(vault, give(vault, "sys/rekey/update", NULL, nonce, vault->shares[1]), 400,
           "rekey operation already finished; verification must be performed");
    wanted(vault, give(vault, "sys/rekey/verify", NULL, nonce, fresh[0]), 400,
           "incorrect nonce supplied; nonce for this verify operation is");
    wanted(vault, give(vault, "sys/rekey/verify", NULL, verify, fresh[0]), 200,
           "\"started\":true,\"t\":2,\"n\":4,\"progress\":1}");
    ask(vault, "DELETE", "sys/rekey/verify", vault->root, NULL, 200, "\"progress\":0}");
    (void)take(vault, "nonce", verify);
    wanted(vault, give(vault, "sys/rekey/verify", NULL, verify, vault->shares[0]), 200, "\"progress\":1");
    wanted(vault, give(vault, "sys/rekey/verify", NULL, verify, vault->shares[1]), 400,
           "rekey verification failed; incorrect key shares supplied");
    wanted(vault, give(vault, "sys/rekey/verify", NULL, verify, fresh[3]), 200, "\"progress\":1");
    wanted(vault, give(vault, "sys/rekey/verify", NULL, verify, fresh[0]), 200, "\"complete\":true");
    assert_false(unseals(vault, vault->shares, 3));
    assert_true(unseals(vault, fresh, 2));
    ask(vault, "GET", "sys/rekey/verify", NULL, NULL, 400, "no rekey configuration found");
}

/* Until they come back the old ones are the vault's. */
static void the_old_keys_stay(void **state)
{
    struct test_vault *vault = *state;
    char nonce[TEXT];
    unsigned char fresh[SHAMIR_SHARES_MAX][SHAMIR_SHARE_BYTES];
    begin_rekey(vault, ",\"require_verification\":true", nonce);
    give_three(vault, "sys/rekey/update", nonce);
    (void)read_keys(vault, fresh);
    assert_false(unseals(vault, fresh, 2));
    assert_true(unseals(vault, vault->shares, 3));
    ask(vault, "GET", "sys/rekey/init", NULL, NULL, 200, "\"started\":false"); /* sealing ended it */
    begin_rekey(vault, ",\"require_verification\":true", nonce);
    give_three(vault, "sys/rekey/update", nonce);
    ask(vault, "DELETE", "sys/rekey/init?nonce=another", vault->root, NULL, 400, "incorrect nonce");
    ask(vault, "DELETE", "sys/rekey/init", vault->root, NULL, 204, NULL);
    ask(vault, "DELETE", "sys/rekey/init", vault->root, NULL, 204, NULL);
    assert_true(unseals(vault, vault->shares, 3));
}

static void plans_that_are_none(void **state)
{
    struct test_vault *vault = *state;
    static const struct {
        const char *body, *says;
    } rows[] = {
        {"{}", "invalid rekey seal configuration: shares must be at least one"},
        {"{\"secret_shares\":5}", "threshold must be at least one"},
        {"{\"secret_shares\":3,\"secret_threshold\":5}", "threshold cannot be larger than shares"},
        {"{\"secret_shares\":3,\"secret_threshold\":1}", "greater than one for multiple shares"},
        {"{\"secret_shares\":256,\"secret_threshold\":3}", "at most 255"},
        {"{\"secret_shares\":1,\"secret_threshold\":1,\"pgp_keys\":[\"x\"]}",
         "pgp_keys: encryption to PGP keys is not offered"},
        {"{\"secret_shares\":1,\"secret_threshold\":1,\"backup\":true}",
         "cannot request a backup of the new keys without providing PGP keys"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ask(vault, "PUT", "sys/rekey/init", vault->root, rows[i].body, 400, rows[i].says);
    ask(vault, "PUT", "sys/rekey/init", vault->root,
        "{\"secret_shares\":1,\"secret_threshold\":1,\"pgp_keys\":[],\"stored_shares\":1}", 200, NULL);
    ask(vault, "PUT", "sys/rekey/update", NULL, "{\"nonce\":\"x\"}", 400, "'key' must be specified");
    ask(vault, "PUT", "sys/rekey/update", NULL, "{\"key\":\"hunter2\"}", 400, "valid hex or base64");
    assert_false(test_vault_said(vault, "hunter2"));
    ask(vault, "GET", "sys/rekey/backup", vault->root, NULL, 400, "no backed-up keys found");
    ask(vault, "DELETE", "sys/rekey/backup", vault->root, NULL, 204, NULL);
    ask(vault, "GET", "sys/rekey-recovery-key/init", vault->root, NULL, 400,
        "recovery rekeying not supported");
}

/* ---- root tokens ---- */

static void decode(const char *encoded, const char *pad, char out[TEXT])
{
    size_t len = 0;
    assert_null(strchr(encoded, '='));
    assert_int_equal(sodium_base642bin((unsigned char *)out, TEXT, encoded, strlen(encoded), NULL, &len,
                                       NULL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING),
                     0);
    assert_int_equal(len, strlen(pad));
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(out[i] ^ pad[i]);
    out[len] = '\0';
}

static void a_root_token(void **state)
{
    struct test_vault *vault = *state;
    char nonce[TEXT], pad[TEXT], encoded[TEXT], same[TEXT], token[TEXT], length[TEXT];
    ask(vault, "GET", "sys/generate-root/attempt", NULL, NULL, 200,
        "{\"nonce\":\"\",\"started\":false,\"progress\":0,\"required\":3,\"complete\":false,"
        "\"encoded_token\":\"\",\"encoded_root_token\":\"\",\"pgp_fingerprint\":\"\",\"otp\":\"\","
        "\"otp_length\":37}");
    ask(vault, "PUT", "sys/generate-root/attempt", vault->root, "{}", 200, "\"started\":true");
    (void)take(vault, "nonce", nonce);
    (void)take(vault, "otp", pad);
    (void)take(vault, "otp_length", length);
    assert_int_equal(strlen(pad), atoi(length));
    assert_int_equal(strlen(pad), strspn(pad, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"));
    ask(vault, "GET", "sys/generate-root", NULL, NULL, 200, "\"otp\":\"\"");
    ask(vault, "PUT", "sys/generate-root/attempt", vault->root, "{}", 400,
        "root generation already in progress");
    /* The old one is gone, as it is where a new one is needed. */
    ask(vault, "POST", "auth/token/revoke-self", vault->root, NULL, 204, NULL);
    wanted(vault, give(vault, "sys/generate-root/update", vault->root, "wrong", vault->shares[0]), 400,
           "incorrect nonce supplied; nonce for this root generation operation is");
    give_three(vault, "sys/generate-root/update", nonce);
    assert_true(test_vault_said(vault, "\"started\":true,\"progress\":3,\"required\":3"));
    (void)take(vault, "encoded_token", encoded);
    assert_string_equal(take(vault, "encoded_root_token", same), encoded);
    decode(encoded, pad, token);
    assert_int_equal(kt_token_form(kt_str(token)), KT_TOKEN_OURS);
    ask(vault, "GET", "auth/token/lookup-self", token, NULL, 200, "\"policies\":[\"root\"]");
    ask(vault, "GET", "sys/generate-root/attempt", NULL, NULL, 200, "\"started\":false");
    assert_int_equal(test_vault_call(vault, "PUT", "sys/seal", token, NULL), 204);
    assert_true(unseals(vault, vault->shares, 3)); /* the same keys */
}

static void pads_of_ones_own(void **state)
{
    struct test_vault *vault = *state;
    char nonce[TEXT], encoded[TEXT], token[TEXT];
    static const char pad[] = "0123456789012345678901234567890123456";
    ask(vault, "PUT", "sys/generate-root/attempt", vault->root, "{\"otp\":\"short\"}", 400,
        "OTP string is wrong length");
    ask(vault, "PUT", "sys/generate-root", vault->root, "{\"pgp_key\":\"x\"}", 400,
        "pgp_key: encryption to PGP keys is not offered");
    ask(vault, "PUT", "sys/generate-root", vault->root,
        "{\"otp\":\"0123456789012345678901234567890123456\"}", 200, "\"otp\":\"\"");
    (void)take(vault, "nonce", nonce);
    for (unsigned i = 0; i < 3; i++) {
        unsigned char junk[SHAMIR_SHARE_BYTES] = {[SHAMIR_SHARE_BYTES - 1] = (unsigned char)(i + 1)};
        wanted(vault, give(vault, "sys/generate-root/update", vault->root, nonce, junk), i < 2 ? 200 : 400,
               i < 2 ? NULL : "root generation aborted: incorrect key shares supplied");
    }
    give_three(vault, "sys/generate-root/update", nonce);
    decode(take(vault, "encoded_token", encoded), pad, token);
    ask(vault, "GET", "auth/token/lookup-self", token, NULL, 200, "\"path\":\"auth/token/root\"");
    ask(vault, "DELETE", "sys/generate-root", token, NULL, 204, NULL);
}

/* ---- who may ---- */

static unsigned locally(struct test_vault *vault, const char *method, const char *target, uint32_t uid,
                        const char *token, const char *body)
{
    const struct test_request request = {.method = kt_str(method),
                                         .target = kt_str(target),
                                         .token = kt_str(token),
                                         .body = kt_str(body),
                                         .local = true,
                                         .uid = uid};
    return test_vault_ask(vault, &request);
}

/* Begin and cancel: sudo, or who owns the vault's process; all of them, or one is a way to stop others. */
static void only_who_may_begins_and_cancels(void **state)
{
    struct test_vault *vault = *state;
    static const struct {
        const char *method, *path, *body;
        unsigned status;
    } rows[] = {
        {"PUT", "sys/rekey/init", "{\"secret_shares\":3,\"secret_threshold\":2}", 200},
        {"POST", "sys/rekey/init", "{\"secret_shares\":3,\"secret_threshold\":2}", 400}, /* twice */
        {"DELETE", "sys/rekey/verify", NULL, 400},
        {"DELETE", "sys/rekey/init", NULL, 204},
        {"PUT", "sys/generate-root/attempt", "{}", 200},
        {"POST", "sys/generate-root", "{}", 400},
        {"DELETE", "sys/generate-root", NULL, 204},
        {"DELETE", "sys/generate-root/attempt", NULL, 204},
    };
    char weak[TEXT], able[TEXT], target[TEXT];
    test_vault_token(vault, "weak", "path \"sys/*\" { capabilities = [\"create\", \"update\", \"delete\"] }",
                     weak, sizeof weak);
    test_vault_token(vault, "able",
                     "path \"sys/*\" { capabilities = [\"update\", \"delete\", \"sudo\"] }", able, sizeof able);
    const uint32_t others[] = {12345, geteuid() == 0 ? 12346 : geteuid()};
    for (unsigned round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            const char *strangers[] = {NULL, "hvs.unknown", weak};
            (void)snprintf(target, sizeof target, "/v1/%s", rows[i].path);
            for (size_t k = 0; k < 3; k++)
                ask(vault, rows[i].method, rows[i].path, strangers[k], rows[i].body, 403, NULL);
            for (size_t k = 0; k < 2; k++)
                wanted(vault, locally(vault, rows[i].method, target, others[k], NULL, rows[i].body), 403, NULL);
            if (round == 0)
                ask(vault, rows[i].method, rows[i].path, able, rows[i].body, rows[i].status, NULL);
            else
                wanted(vault, locally(vault, rows[i].method, target, 0, "hvs.dead", rows[i].body),
                       rows[i].status, NULL);
        }
    assert_true(test_vault_logged(vault, "\"display_name\":\"uid 0\"") >= 8);
    /* Nothing else opens itself to them. */
    wanted(vault, locally(vault, "PUT", "/v1/sys/seal", 0, NULL, NULL), 403, NULL);
}

/* A token is not needed for a share, and none is used up; a dead one does not hinder. */
static void shares_need_no_token(void **state)
{
    struct test_vault *vault = *state;
    char nonce[TEXT], once[TEXT];
    begin_rekey(vault, "", nonce);
    ask(vault, "POST", "auth/token/create", vault->root, "{\"policies\":[\"default\"],\"num_uses\":1}", 200,
        NULL);
    (void)take(vault, "auth.client_token", once);
    wanted(vault, give(vault, "sys/rekey/update", "hvs.dead", nonce, vault->shares[0]), 200,
           "\"progress\":1");
    wanted(vault, give(vault, "sys/rekey/update", once, nonce, vault->shares[1]), 200, "\"progress\":2");
    ask(vault, "GET", "sys/rekey/init", once, NULL, 200, "\"progress\":2");
    ask(vault, "GET", "auth/token/lookup-self", once, NULL, 200, NULL);
    wanted(vault, give(vault, "sys/rekey/update", vault->root, nonce, vault->shares[2]), 200,
           "\"complete\":true");
}

/* A stranger's false share does not take away what people with a token, or on the socket, have given. */
static void strangers_spoil_only_strangers(void **state)
{
    struct test_vault *vault = *state;
    char nonce[TEXT], hex[2 * SHAMIR_SHARE_BYTES + 1], body[512];
    unsigned char junk[SHAMIR_SHARE_BYTES] = {[SHAMIR_SHARE_BYTES - 1] = 5};
    begin_rekey(vault, "", nonce);
    wanted(vault, give(vault, "sys/rekey/update", vault->root, nonce, vault->shares[0]), 200,
           "\"progress\":1");
    wanted(vault, give(vault, "sys/rekey/update", NULL, nonce, junk), 200, "\"progress\":2");
    kt_hex_encode(vault->shares[1], SHAMIR_SHARE_BYTES, hex);
    (void)snprintf(body, sizeof body, "{\"key\":\"%s\",\"nonce\":\"%s\"}", hex, nonce);
    wanted(vault, locally(vault, "PUT", "/v1/sys/rekey/update", 54321, NULL, body), 400, "2 of 3 are left");
    wanted(vault, give(vault, "sys/rekey/update", vault->root, nonce, vault->shares[2]), 200,
           "\"complete\":true");
}

/* Any token is one that many have: it cannot stop who may begin. */
static void a_weak_token_spoils_no_strong_ones(void **state)
{
    struct test_vault *vault = *state;
    char nonce[TEXT], weak[TEXT], able[TEXT];
    unsigned char junk[SHAMIR_SHARE_BYTES] = {[SHAMIR_SHARE_BYTES - 1] = 5};
    test_vault_token(vault, "weak", "path \"none\" { capabilities = [\"read\"] }", weak, sizeof weak);
    test_vault_token(vault, "able", "path \"sys/*\" { capabilities = [\"update\", \"sudo\"] }", able,
                     sizeof able);
    begin_rekey(vault, "", nonce);
    wanted(vault, give(vault, "sys/rekey/update", able, nonce, vault->shares[0]), 200, "\"progress\":1");
    junk[SHAMIR_SHARE_BYTES - 1] = vault->shares[0][SHAMIR_SHARE_BYTES - 1];
    wanted(vault, give(vault, "sys/rekey/update", weak, nonce, junk), 400, NULL);
    ask(vault, "GET", "sys/rekey/init", NULL, NULL, 200, "\"progress\":1");
    junk[SHAMIR_SHARE_BYTES - 1] = 99;
    wanted(vault, give(vault, "sys/rekey/update", weak, nonce, junk), 200, "\"progress\":2");
    wanted(vault, give(vault, "sys/rekey/update", able, nonce, vault->shares[1]), 400, "2 of 3 are left");
    wanted(vault, give(vault, "sys/rekey/update", able, nonce, vault->shares[2]), 200, "\"complete\":true");
}

/* Who asks for wrapping never gets the new keys bare; a share that was refused for it was not taken. */
static void no_share_is_wrapped(void **state)
{
    struct test_vault *vault = *state;
    char nonce[TEXT], hex[2 * SHAMIR_SHARE_BYTES + 1], body[512];
    begin_rekey(vault, "", nonce);
    kt_hex_encode(vault->shares[0], SHAMIR_SHARE_BYTES, hex);
    (void)snprintf(body, sizeof body, "{\"key\":\"%s\",\"nonce\":\"%s\"}", hex, nonce);
    const struct test_request request = {.method = kt_str("PUT"),
                                         .target = kt_str("/v1/sys/rekey/update"),
                                         .body = kt_str(body),
                                         .wrap_ttl = kt_str("60")};
    assert_int_equal(test_vault_ask(vault, &request), 400);
    assert_true(test_vault_said(vault, "the answer of this path cannot be wrapped"));
    ask(vault, "GET", "sys/rekey/init", NULL, NULL, 200, "\"progress\":0");
    give_three(vault, "sys/rekey/update", nonce);
}

/* Whatever else stands in a stranger's share, its record is short. */
static void a_strangers_share_is_a_short_record(void **state)
{
    struct test_vault *vault = *state;
    static char body[9000] = "{\"key\":\"x\",\"nonce\":\"x\",\"x\":[\"\"";
    struct audit_status before, after;
    char nonce[TEXT];
    begin_rekey(vault, "", nonce);
    for (size_t len = strlen(body); len + 8 < sizeof body; len += 3)
        memcpy(body + len, ",\"\"", 4);
    memcpy(body + strlen(body), "]}", 3);
    audit_status(vault->core->audit, &before);
    ask(vault, "PUT", "sys/rekey/update", NULL, body, 400, NULL);
    audit_status(vault->core->audit, &after);
    assert_in_range(after.bytes - before.bytes, 1, 8192);
}

static void a_source_has_a_budget(void **state)
{
    struct test_vault *vault = *state;
    struct core_private *own = vault->core->own;
    meter_free(own->unseals);
    own->unseals = meter_new(10);
    char nonce[TEXT];
    unsigned char junk[SHAMIR_SHARE_BYTES] = {[SHAMIR_SHARE_BYTES - 1] = 1};
    unsigned before = test_vault_logged(vault, "sys/rekey/update"), taken = 0;
    begin_rekey(vault, "", nonce);
    while (taken < 100 && give(vault, "sys/rekey/update", NULL, nonce, junk) != 429)
        taken++;
    assert_int_equal(taken, 16);
    assert_true(test_vault_said(vault, "too many key shares from this address"));
    wanted(vault, give(vault, "sys/generate-root/update", NULL, "x", junk), 400, "no root generation");
    vault->now_ms += 60000;
    for (unsigned i = 0; i < 11; i++)
        wanted(vault, give(vault, "sys/rekey/update", vault->root, nonce, junk), i < 10 ? 400 : 429, NULL);
    /* What is taken is recorded, refusals as those of other strangers; */
    assert_in_range(test_vault_logged(vault, "sys/rekey/update") - before, 16, 100);
    vault->now_ms += 60000;
    ask(vault, "DELETE", "sys/rekey/init", vault->root, NULL, 204, NULL);
    begin_rekey(vault, "", nonce);
    give_three(vault, "sys/rekey/update", nonce);
    /* and who has proved to be the holders gives everybody his budget back. */
    ask(vault, "PUT", "sys/rekey/init", vault->root, "{\"secret_shares\":5,\"secret_threshold\":3}", 200,
        NULL);
    (void)take(vault, "nonce", nonce);
    for (unsigned i = 0; i < 10; i++)
        wanted(vault, give(vault, "sys/rekey/update", NULL, nonce, junk), i == 0 ? 200 : 400, NULL);
}

static unsigned give_locally(struct test_vault *vault, const char *target, const char *nonce, uint32_t uid)
{
    char hex[2 * SHAMIR_SHARE_BYTES + 1], body[512];
    unsigned char junk[SHAMIR_SHARE_BYTES] = {[SHAMIR_SHARE_BYTES - 1] = 1};
    kt_hex_encode(junk, SHAMIR_SHARE_BYTES, hex);
    (void)snprintf(body, sizeof body, "{\"key\":\"%s\",\"nonce\":\"%s\"}", hex, nonce);
    const struct test_request request = {.method = kt_str("PUT"),
                                         .target = kt_str(target),
                                         .body = kt_str(body),
                                         .local = true,
                                         .uid = uid};
    return test_vault_ask(vault, &request);
}

/* Who may only connect to the Unix socket is a stranger as others are; root there opens the vault even while
 * somebody floods it. */
static void a_local_user_has_a_budget(void **state)
{
    struct test_vault *vault = *state;
    struct core_private *own = vault->core->own;
    meter_free(own->unseals);
    own->unseals = meter_new(10);
    char nonce[TEXT];
    begin_rekey(vault, "", nonce);
    for (unsigned i = 0; i < 16; i++)
        wanted(vault, give_locally(vault, "/v1/sys/rekey/update", nonce, 1000), i == 0 ? 200 : 400, NULL);
    wanted(vault, give_locally(vault, "/v1/sys/rekey/update", nonce, 1000), 429,
           "too many key shares from this user");
    wanted(vault, give_locally(vault, "/v1/sys/rekey/update", nonce, 1001), 400, NULL);
    for (unsigned i = 0; i < 40; i++)
        assert_int_not_equal(give_locally(vault, "/v1/sys/rekey/update", nonce, 0), 429);
}

/* Sealed, the same. */
static void a_local_user_has_a_budget_to_unseal(void **state)
{
    struct test_vault *vault = *state;
    struct core_private *own = vault->core->own;
    meter_free(own->unseals);
    own->unseals = meter_new(10);
    core_seal(vault->core, "test");
    unsigned taken = 0;
    while (taken < 100 && give_locally(vault, "/v1/sys/unseal", "", 1000) != 429)
        taken++;
    assert_int_equal(taken, 16);
    assert_int_not_equal(give_locally(vault, "/v1/sys/unseal", "", 0), 429);
}

/* As many as it takes, twice, also when the new set is larger than the vault's. */
static void a_large_set_is_verified(void **state)
{
    struct test_vault *vault = *state;
    struct core_private *own = vault->core->own;
    meter_free(own->unseals);
    own->unseals = meter_new(10);
    char nonce[TEXT], verify[TEXT];
    static unsigned char fresh[SHAMIR_SHARES_MAX][SHAMIR_SHARE_BYTES];
    ask(vault, "PUT", "sys/rekey/init", vault->root,
        "{\"secret_shares\":45,\"secret_threshold\":40,\"require_verification\":true}", 200, "\"t\":40,\"n\":45");
    (void)take(vault, "nonce", nonce);
    give_three(vault, "sys/rekey/update", nonce);
    (void)take(vault, "verification_nonce", verify);
    assert_int_equal(read_keys(vault, fresh), 45);
    for (unsigned i = 0; i < 40; i++)
        wanted(vault, give(vault, "sys/rekey/verify", NULL, verify, fresh[i]), 200,
               i + 1 < 40 ? "\"progress\"" : "\"complete\":true");
    assert_true(unseals(vault, fresh, 40));
}

/* ---- at one time ---- */

struct holder {
    pthread_t thread;
    struct test_vault *vault;
    const char *path, *nonce;
    unsigned number;
    unsigned status;
    char answer[4096];
};

static void *give_mine(void *arg)
{
    struct holder *holder = arg;
    char hex[2 * SHAMIR_SHARE_BYTES + 1], body[512], target[TEXT];
    kt_hex_encode(holder->vault->shares[holder->number], SHAMIR_SHARE_BYTES, hex);
    (void)snprintf(body, sizeof body, "{\"key\":\"%s\",\"nonce\":\"%s\"}", hex, holder->nonce);
    (void)snprintf(target, sizeof target, "/v1/%s", holder->path);
    const struct test_request request = {.method = kt_str("PUT"),
                                         .target = kt_str(target),
                                         .token = kt_str(holder->vault->root),
                                         .body = kt_str(body)};
    holder->status =
        test_vault_ask_apart(holder->vault, &request, holder->answer, sizeof holder->answer);
    return NULL;
}

/* Five holders give theirs at one time, where three are enough: one of them ends it. Returns his answer. */
static const char *give_at_once(struct test_vault *vault, const char *path, const char *nonce,
                                struct holder holders[5])
{
    const char *complete = NULL;
    for (unsigned i = 0; i < 5; i++) {
        holders[i] = (struct holder){.vault = vault, .path = path, .nonce = nonce, .number = i};
        assert_int_equal(pthread_create(&holders[i].thread, NULL, give_mine, &holders[i]), 0);
    }
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(pthread_join(holders[i].thread, NULL), 0);
    for (unsigned i = 0; i < 5; i++) {
        bool ends = strstr(holders[i].answer, "\"complete\":true") != NULL;
        if (holders[i].status != 200 && holders[i].status != 400)
            fail_msg("%u %s", holders[i].status, holders[i].answer);
        if (ends && complete != NULL)
            fail_msg("two of them: %s %s", complete, holders[i].answer);
        complete = ends ? holders[i].answer : complete;
    }
    assert_non_null(complete);
    return complete;
}

static void holders_who_meet(void **state)
{
    struct test_vault *vault = *state;
    struct holder *holders = calloc(5, sizeof *holders);
    unsigned char fresh[SHAMIR_SHARES_MAX][SHAMIR_SHARE_BYTES];
    char nonce[TEXT];
    assert_non_null(holders);
    for (unsigned round = 0; round < 10; round++) {
        ask(vault, "PUT", "sys/generate-root", vault->root, "{}", 200, NULL);
        (void)take(vault, "nonce", nonce);
        (void)give_at_once(vault, "sys/generate-root/update", nonce, holders);
        ask(vault, "GET", "sys/generate-root", NULL, NULL, 200, "\"started\":false");
        ask(vault, "PUT", "sys/rekey/init", vault->root, "{\"secret_shares\":5,\"secret_threshold\":3}", 200,
            NULL);
        (void)take(vault, "nonce", nonce);
        const char *answer = give_at_once(vault, "sys/rekey/update", nonce, holders);
        free(vault->body);
        vault->body = strdup(answer);
        assert_int_equal(read_keys(vault, fresh), 5);
        memcpy(vault->shares, fresh, sizeof vault->shares);
    }
    ask(vault, "LIST", "auth/token/accessors", vault->root, NULL, 200, NULL);
    unsigned accessors = 0;
    for (const char *at = strstr(vault->body, "\"keys\":["); at != NULL && *at != ']'; at++)
        accessors += *at == ',';
    assert_int_equal(accessors, 10); /* root's and one each */
    assert_true(unseals(vault, vault->shares, 3));
    free(holders);
}

/* ---- records ---- */

static void each_step_is_recorded(void **state)
{
    struct test_vault *vault = *state;
    char nonce[TEXT], hex[2 * SHAMIR_SHARE_BYTES + 1];
    unsigned char fresh[SHAMIR_SHARES_MAX][SHAMIR_SHARE_BYTES];
    begin_rekey(vault, ",\"require_verification\":true", nonce);
    give_three(vault, "sys/rekey/update", nonce);
    assert_int_equal(read_keys(vault, fresh), 4);
    ask(vault, "DELETE", "sys/rekey/init", vault->root, NULL, 204, NULL);
    ask(vault, "PUT", "sys/generate-root/attempt", vault->root, "{}", 200, NULL);
    (void)take(vault, "nonce", nonce);
    give_three(vault, "sys/generate-root/update", nonce);
    /* An attempt and a result each. */
    static const struct {
        const char *path;
        unsigned records;
    } rows[] = {
        {"\"path\":\"sys/rekey/init\"", 4},
        {"\"path\":\"sys/rekey/update\"", 6},
        {"\"path\":\"sys/generate-root/attempt\"", 2},
        {"\"path\":\"sys/generate-root/update\"", 6},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(test_vault_logged(vault, rows[i].path), rows[i].records);
    for (unsigned i = 0; i < 5; i++) {
        kt_hex_encode(i < 3 ? vault->shares[2 * i] : fresh[i - 3], SHAMIR_SHARE_BYTES, hex);
        assert_int_equal(test_vault_logged(vault, hex), 0);
    }
}

/* ---- the keyring turns by itself ---- */

static void a_term_ends_by_itself(void **state)
{
    struct test_vault *vault = *state;
    bool rotated = true;
    ask(vault, "GET", "sys/rotate/config", vault->root, NULL, 200,
        "{\"enabled\":true,\"interval\":0,\"max_operations\":3865470566}");
    ask(vault, "PUT", "sys/rotate/config", vault->root, "{\"interval\":\"1h\"}", 400,
        "interval must be greater or equal to 24h0m0s");
    ask(vault, "PUT", "sys/rotate/config", vault->root, "{\"max_operations\":999999}", 400,
        "max_operations must be in the range [1000000,3865470566]");
    ask(vault, "PUT", "sys/rotate/config", vault->root, "{\"max_operations\":3865470567}", 400, "range");
    ask(vault, "PUT", "sys/rotate/config", vault->root, "{\"interval\":\"48h\"}", 204, NULL);
    ask(vault, "GET", "sys/rotate/keyring/config", vault->root, NULL, 200,
        "{\"enabled\":true,\"interval\":\"48h0m0s\",\"max_operations\":3865470566}");
    vault->now_ms += INT64_C(48) * 3600000 - 1;
    assert_int_equal(autorotate_run(vault->core, &rotated, NULL), KT_OK);
    assert_false(rotated);
    vault->now_ms += 1;
    ask(vault, "PUT", "sys/rotate/config", vault->root, "{\"enabled\":false}", 204, NULL);
    assert_int_equal(autorotate_run(vault->core, &rotated, NULL), KT_OK);
    assert_false(rotated);
    ask(vault, "PUT", "sys/rotate/config", vault->root, "{\"enabled\":true,\"max_operations\":1000000}", 204,
        NULL);
    assert_int_equal(autorotate_run(vault->core, &rotated, NULL), KT_OK);
    assert_true(rotated);
    ask(vault, "GET", "sys/key-status", vault->root, NULL, 200, "\"term\":2");
    assert_int_equal(test_vault_logged(vault, "\"path\":\"sys/rotate\""), 2);
    assert_int_equal(autorotate_run(vault->core, &rotated, NULL), KT_OK);
    assert_false(rotated);
    atomic_store(&vault->core->barrier->ring->encryptions, 999999);
    assert_int_equal(autorotate_run(vault->core, &rotated, NULL), KT_OK);
    assert_false(rotated);
    atomic_store(&vault->core->barrier->ring->encryptions, 1000000);
    assert_int_equal(autorotate_run(vault->core, &rotated, NULL), KT_OK);
    assert_true(rotated);
    core_seal(vault->core, "test");
    assert_int_equal(autorotate_run(vault->core, &rotated, NULL), KT_SEALED);
}

static void nobody_to_step_down_for(void **state)
{
    struct test_vault *vault = *state;
    char weak[TEXT];
    test_vault_token(vault, "weak", "path \"sys/step-down\" { capabilities = [\"update\"] }", weak, sizeof weak);
    ask(vault, "PUT", "sys/step-down", vault->root, NULL, 204, NULL);
    ask(vault, "PUT", "sys/step-down", weak, NULL, 403, NULL);
    ask(vault, "GET", "sys/step-down", vault->root, NULL, 405, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(new_keys),
        TEST(new_keys_that_have_to_come_back),
        TEST(the_old_keys_stay),
        TEST(plans_that_are_none),
        TEST(a_root_token),
        TEST(pads_of_ones_own),
        TEST(only_who_may_begins_and_cancels),
        TEST(shares_need_no_token),
        TEST(strangers_spoil_only_strangers),
        TEST(a_weak_token_spoils_no_strong_ones),
        TEST(no_share_is_wrapped),
        TEST(a_strangers_share_is_a_short_record),
        TEST(a_source_has_a_budget),
        TEST(a_local_user_has_a_budget),
        TEST(a_local_user_has_a_budget_to_unseal),
        TEST(a_large_set_is_verified),
        TEST(holders_who_meet),
        TEST(each_step_is_recorded),
        TEST(a_term_ends_by_itself),
        TEST(nobody_to_step_down_for),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("key_holders", tests, NULL, NULL);
}
