/* Named requests, each with every single call failing: the first allocation, the second, ... until
 * the request passes untouched; once each, and from there on for good. Whatever fails: no crash, no
 * leak, an answer that says what failed, an effect if and only if the answer says so, and a record of
 * everything that was answered (GHSA-q74w-hv5x-6hxf: told although it was not recorded; CVE-2023-3774: an error
 * that ended the process).
 *
 *     build/release/unit/fault_requests_test ['a request']
 *
 * KT_FAULT_SHOW=1 prints each answer, KT_FAULT_TRACE=1 where the call failed that broke the test,
 * KT_FAULT_ONLY=sync fails calls of one kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <signal.h>
#include <sodium.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/num.h"
#include "tests/support/certs.h"
#include "tests/support/fault.h"
#include "tests/support/fault_vault.h"
#include "tests/support/folder.h"
#include "tests/support/jwt_example.h"
#include "tests/support/sim_target.h"
#include "tests/support/stuck.h"
#include "vaultd/core/autounseal.h"

#define TEXT      2048u
#define TRIES_MAX 5000u  /* calls of one kind in one request */
#define STUCK_S   60u    /* one attempt */

struct scene {
    struct fault_vault v;
    struct sim sim;
    struct rotation_executor executor;
    char token[256]; /* what the last step with `takes` took */
    char id[40];     /* as %u: of this attempt */
    char mark[TEXT]; /* as %k: what stands there as long as there is no effect */
    unsigned attempts;
    char (*answered)[37]; /* ids of requests that were answered with success */
    size_t n_answered, room;
};

struct step {
    /* %u: this attempt, %t: the token, %s: the third share, %o: the third of the other set, %c: an authority's
     * certificate, %l: its revocation list */
    const char *method, *path, *body;
    unsigned wanted;                  /* 0: whatever it says */
    const char *takes;                /* where in the answer the token stands */
    bool as_token;                    /* asked with it, not with the root token */
    const char *wrap_ttl;             /* X-Vault-Wrap-TTL; NULL: none */
    enum { NO_CERT, GOOD_CERT, REVOKED_CERT, SERVERS_CERT } shows; /* asked over TLS, with that */
    bool by_library; /* what GnuTLS wants for itself it gets: libtasn1 (4.19) ends the process for want of memory */
};
#define IN_MEMORY 2u
typedef void arrange_fn(struct scene *s);
struct row {
    const char *name;
    arrange_fn *arrange; /* before `before` */
    struct step before[5], request, probe;
    const char *shows;   /* the effect is there if the probe answers as wanted and has this text; with '!'
                          * before it: and does not have it */
    arrange_fn *success; /* after the request did what it should */
    unsigned either;     /* 1: an error may have the effect, too: a use is a use; IN_MEMORY: and it is
                          * gone after a restart */
};

/* An authority, a client of its, and its list; made before anything fails. */
static struct test_cert *ca, *client, *revoked, *servers;
static char *crl;

static void make_certs(void)
{
    const int64_t from_ms = INT64_C(1600000000000), until_ms = INT64_C(2200000000000);
    ca = test_cert_make(&(struct test_cert_wish){.dn = "CN=ca", .ca = true, .serial = 1, .from_ms = from_ms,
                                                 .until_ms = until_ms});
    client = test_cert_make(&(struct test_cert_wish){.dn = "CN=client", .issuer = ca, .serial = 2,
                                                     .from_ms = from_ms, .until_ms = until_ms});
    revoked = test_cert_make(&(struct test_cert_wish){.dn = "CN=revoked", .issuer = ca, .serial = 3,
                                                      .from_ms = from_ms, .until_ms = until_ms});
    servers = test_cert_make(&(struct test_cert_wish){.dn = "CN=server", .issuer = ca, .serial = 4, .for_servers = true,
                                                      .from_ms = from_ms, .until_ms = until_ms});
    const unsigned three[] = {3};
    crl = test_crl_make(&(struct test_crl_wish){.issuer = ca, .serials = three, .n = 1, .from_ms = from_ms, .until_ms = until_ms});
}

static int free_certs(void **state)
{
    (void)state;
    test_cert_free(ca);
    test_cert_free(client);
    test_cert_free(revoked);
    test_cert_free(servers);
    free(crl);
    return 0;
}

/* ---- asking ---- */

static const char *value_of(const struct scene *s, char letter, char share[2 * SHAMIR_SHARE_BYTES + 1])
{
    if (letter == 's' || letter == 'o')
        kt_hex_encode(letter == 's' ? s->v.shares[2] : s->v.other_shares[2], SHAMIR_SHARE_BYTES, share);
    return letter == 'u'   ? s->id
           : letter == 't' ? s->token
           : letter == 'k' ? s->mark
           : letter == 'c' ? test_cert_pem(ca)
           : letter == 'l' ? crl
           : letter == 's' || letter == 'o' ? share
                                            : NULL;
}

static void expand(struct scene *s, const char *form, char out[TEXT])
{
    size_t len = 0;
    for (const char *at = form; *at != '\0' && len + 1 < TEXT; at++) {
        char share[2 * SHAMIR_SHARE_BYTES + 1] = "";
        const char *value = at[0] == '%' ? value_of(s, at[1], share) : NULL;
        if (value == NULL) {
            out[len++] = *at;
            continue;
        }
        len += (size_t)snprintf(out + len, TEXT - len, "%s", value);
        at++;
    }
    out[len < TEXT ? len : TEXT - 1] = '\0';
}

static void set_fault(void *arg)
{
    fault_set(arg);
}

static void clear_fault(void *arg)
{
    (void)arg;
    (void)fault_clear();
}

static unsigned ask(struct scene *s, const struct step *step, struct fault *fault)
{
    char path[TEXT], body[TEXT], target[TEXT + 8];
    expand(s, step->path, path);
    expand(s, step->body == NULL ? "" : step->body, body);
    (void)snprintf(target, sizeof target, "/v1/%s", path);
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    bool patch = strcmp(step->method, "PATCH") == 0;
    const struct test_cert *const certs[] = {client, client, revoked, servers};
    const struct kt_bytes der = test_cert_der(certs[step->shows]);
    const char *type = patch ? "application/merge-patch+json" : NULL;
    struct test_request request = {.method = kt_str(step->method),
                                   .target = kt_str(target),
                                   .query = kt_str(query),
                                   .token = kt_str(step->as_token ? s->token : s->v.root),
                                   .body = kt_str(step->body == NULL ? NULL : body),
                                   .content_type = kt_str(type),
                                   .wrap_ttl = kt_str(step->wrap_ttl),
                                   .chain = step->shows != NO_CERT ? &der : NULL,
                                   .n_chain = step->shows != NO_CERT ? 1 : 0};
    if (fault != NULL) {
        request.begin = set_fault;
        request.answered = clear_fault;
        request.arg = fault;
    }
    return test_vault_ask(s->v.vault, &request);
}

static void need(struct scene *s, const struct step *step)
{
    unsigned status = ask(s, step, NULL);
    if (status >= 500 && fault_vault_stops(&s->v)) { /* what failed before was noticed just now */
        fault_vault_restart(&s->v);
        status = ask(s, step, NULL);
    }
    if (step->wanted != 0 && status != step->wanted)
        fail_msg("%s %s: %u, not %u: %s", step->method, step->path, status, step->wanted,
                 s->v.vault->body);
    if (step->takes != NULL)
        test_vault_text(s->v.vault, step->takes, s->token, sizeof s->token);
}

static void remember(struct scene *s)
{
    if (s->n_answered == s->room) {
        s->room = s->room * 2 + 256;
        s->answered = reallocarray(s->answered, s->room, sizeof *s->answered);
        assert_non_null(s->answered);
    }
    memcpy(s->answered[s->n_answered++], s->v.vault->id, sizeof s->answered[0]);
}

#define ASK(m, p, b, w)   {.method = (m), .path = (p), .body = (b), .wanted = (w)}
#define TAKE(m, p, b, w, t) {.method = (m), .path = (p), .body = (b), .wanted = (w), .takes = (t)}
#define AS(m, p, b, w)    {.method = (m), .path = (p), .body = (b), .wanted = (w), .as_token = true}

/* ---- arranging what a step cannot ---- */

static void be_unsealed(struct scene *s)
{
    if (barrier_sealed(s->v.vault->core->barrier))
        fault_vault_unseal(&s->v);
}

static bool offer_two_shares(struct scene *s)
{
    core_seal(s->v.vault->core, "test");
    need(s, &(const struct step){"PUT", "sys/unseal", "{\"reset\":true}", 200, NULL, false, NULL, NO_CERT, false});
    bool unsealed = false;
    for (unsigned i = 0; i < 2; i++)
        if (barrier_unseal_share(s->v.vault->core->barrier, s->v.shares[i], &unsealed, NULL) != KT_OK)
            return false;
    return true;
}

/* Sealed, with two of three shares. What a thread of its own met in the attempt before may be noticed
 * only now: then it is started again. */
static void be_nearly_unsealed(struct scene *s)
{
    if (offer_two_shares(s))
        return;
    assert_true(fault_vault_mend(&s->v));
    assert_true(offer_two_shares(s));
}

static void be_new(struct scene *s)
{
    fault_vault_end(&s->v);
    fault_vault_new(&s->v, &s->executor, false);
    s->v.stays_sealed = true;
    s->n_answered = 0;
}

/* The keys that were handed out open it. */
static void keys_open_it(struct scene *s)
{
    for (unsigned i = 0; i < 3; i++) {
        char text[2 * SHAMIR_SHARE_BYTES + 8];
        struct kt_json keys, key = {0};
        assert_true(kt_json_member(kt_json_value(kt_str(s->v.vault->body)), "keys", &keys));
        struct kt_json_iter it = kt_json_iter(keys);
        for (unsigned k = 0; k <= i; k++)
            assert_true(kt_json_next(&it));
        key = it.value;
        (void)snprintf(text, sizeof text, "%.*s", (int)key.len - 2, key.at + 1);
        assert_int_equal(shamir_share_parse(kt_str(text), s->v.shares[i], NULL), KT_OK);
    }
    test_vault_text(s->v.vault, "root_token", s->v.root, sizeof s->v.root);
    if (!fault_vault_mend(&s->v)) /* a thread of its own may have met the failure behind the answer */
        fault_vault_unseal(&s->v);
    need(s, &(const struct step){"GET", "auth/token/lookup-self", NULL, 200, NULL, false, NULL, NO_CERT, false});
}

/* ---- the holders of key shares ---- */

static void want(struct scene *s, const char *method, const char *path, const char *body, unsigned status)
{
    need(s, &(const struct step){method, path, body, status, NULL, false, NULL, NO_CERT, false});
}

static void give_share(struct scene *s, const char *path, const unsigned char *share)
{
    char hex[2 * SHAMIR_SHARE_BYTES + 1], body[TEXT];
    kt_hex_encode(share, SHAMIR_SHARE_BYTES, hex);
    (void)snprintf(body, sizeof body, "{\"key\":\"%s\",\"nonce\":\"%s\"}", hex, s->token);
    want(s, "PUT", path, body, 200);
}

/* The set that the answer handed out, if it did: beside an error, too. */
static void note_other_keys(struct scene *s)
{
    struct kt_json all = kt_json_value(kt_str(s->v.vault->body)), data, keys, id;
    if (kt_json_member(all, "data", &data))
        all = data;
    if (!kt_json_member(all, "keys", &keys) || !kt_json_member(all, "key_set_id", &id))
        return;
    struct kt_json_iter it = kt_json_iter(keys);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(kt_json_next(&it));
        struct kt_bytes text = kt_bytes((const unsigned char *)it.value.at + 1, it.value.len - 2);
        assert_int_equal(shamir_share_parse(text, s->v.other_shares[i], NULL), KT_OK);
    }
    (void)snprintf(s->v.other_id, sizeof s->v.other_id, "%.*s", (int)id.len - 2, id.at + 1);
}

static void begin_with_keys(struct scene *s, const char *path, const char *body)
{
    be_unsealed(s);
    want(s, "DELETE", path, NULL, 204);
    want(s, "PUT", path, body, 200);
    test_vault_text(s->v.vault, "nonce", s->token, sizeof s->token);
}

static void mark_key_set(struct scene *s)
{
    struct barrier_status status;
    barrier_status(s->v.vault->core->barrier, &status);
    (void)snprintf(s->mark, sizeof s->mark, "%s", status.seal_id);
}

static void be_one_share_from_new_keys(struct scene *s)
{
    begin_with_keys(s, "sys/rekey/init", "{\"secret_shares\":5,\"secret_threshold\":3}");
    mark_key_set(s);
    give_share(s, "sys/rekey/update", s->v.shares[0]);
    give_share(s, "sys/rekey/update", s->v.shares[1]);
}

static void be_about_to_hand_keys_out(struct scene *s)
{
    begin_with_keys(s, "sys/rekey/init",
                    "{\"secret_shares\":5,\"secret_threshold\":3,\"require_verification\":true}");
    mark_key_set(s);
    give_share(s, "sys/rekey/update", s->v.shares[0]);
    give_share(s, "sys/rekey/update", s->v.shares[1]);
}

static void be_one_share_from_verified_keys(struct scene *s)
{
    be_about_to_hand_keys_out(s);
    give_share(s, "sys/rekey/update", s->v.shares[2]);
    note_other_keys(s);
    test_vault_text(s->v.vault, "verification_nonce", s->token, sizeof s->token);
    give_share(s, "sys/rekey/verify", s->v.other_shares[0]);
    give_share(s, "sys/rekey/verify", s->v.other_shares[1]);
}

/* After a restart, with the set that the vault names; and that is the new one. */
static void new_keys_open_it(struct scene *s)
{
    fault_vault_restart(&s->v);
    assert_memory_equal(s->v.shares, s->v.other_shares, sizeof s->v.shares);
}

/* ---- seals that open by themselves ---- */

static void be_without_a_seal(struct scene *s)
{
    be_unsealed(s);
    need(s, &(const struct step){"DELETE", "sys/seals/seal", NULL, 0, NULL, false, NULL, NO_CERT, false});
}

static void be_with_a_seal(struct scene *s)
{
    be_unsealed(s);
    want(s, "POST", "sys/seals/seal", NULL, 200);
    test_vault_text(s->v.vault, "data.id", s->mark, sizeof s->mark);
}

static void start_by_credential(struct scene *s, enum kt_kind wanted)
{
    fault_vault_close(&s->v);
    fault_vault_open(&s->v);
    assert_int_equal(autounseal_run(s->v.vault->core, NULL), wanted);
    if (wanted != KT_OK)
        fault_vault_unseal(&s->v);
}

static void the_seal_opens_it(struct scene *s)
{
    start_by_credential(s, KT_OK);
}

static void only_shares_open_it(struct scene *s)
{
    start_by_credential(s, KT_NOT_FOUND);
}

static void mark_accessors(struct scene *s)
{
    struct kt_json all = kt_json_value(kt_str(s->v.vault->body)), data, keys;
    assert_true(kt_json_member(all, "data", &data) && kt_json_member(data, "keys", &keys));
    assert_true(keys.len < sizeof s->mark);
    (void)snprintf(s->mark, sizeof s->mark, "%.*s", (int)keys.len, keys.at);
}

#define PAD "0123456789012345678901234567890123456"

static void be_one_share_from_a_root_token(struct scene *s)
{
    begin_with_keys(s, "sys/generate-root/attempt", "{\"otp\":\"" PAD "\"}");
    give_share(s, "sys/generate-root/update", s->v.shares[0]);
    give_share(s, "sys/generate-root/update", s->v.shares[1]);
    want(s, "LIST", "auth/token/accessors", NULL, 200);
    mark_accessors(s);
}

static void the_token_is_roots(struct scene *s)
{
    char encoded[256];
    size_t len = 0;
    test_vault_text(s->v.vault, "encoded_token", encoded, sizeof encoded);
    assert_int_equal(sodium_base642bin((unsigned char *)s->token, sizeof s->token - 1, encoded,
                                       strlen(encoded), NULL, &len, NULL,
                                       sodium_base64_VARIANT_ORIGINAL_NO_PADDING),
                     0);
    assert_int_equal(len, strlen(PAD));
    for (size_t i = 0; i < len; i++)
        s->token[i] = (char)(s->token[i] ^ PAD[i]);
    s->token[len] = '\0';
    need(s, &(const struct step){"POST", "auth/token/revoke-self", NULL, 204, NULL, true, NULL, NO_CERT, false});
}

/* ---- approvals ---- */

/* Who logs in at the socket; his token is the scene's. */
static void be_somebody(struct scene *s, uint32_t uid)
{
    static const struct peer_groups none = {0};
    const struct test_request request = {
        .method = kt_str("POST"), .target = kt_str("/v1/auth/unix/login"), .local = true, .uid = uid, .groups = &none};
    assert_int_equal(test_vault_ask(s->v.vault, &request), 200);
    test_vault_text(s->v.vault, "auth.client_token", s->token, sizeof s->token);
}

/* Uid 1 approves what is below secret/data/guarded/. */
static void be_ruled(struct scene *s)
{
    char body[TEXT], entity[40];
    be_unsealed(s);
    s->v.vault->now_ms += 10;
    if (ask(s, &(const struct step)ASK("GET", "sys/approvals/rules/r", NULL, 0), NULL) == 200)
        return;
    want(s, "POST", "sys/policies/acl/all",
         "{\"policy\":\"path \\\"*\\\" { capabilities = [\\\"create\\\",\\\"read\\\",\\\"update\\\",\\\"list\\\"] }\"}", 204);
    want(s, "POST", "sys/auth/unix", "{\"type\":\"unix\"}", 0);
    want(s, "POST", "auth/unix/users/1", "{\"policies\":\"all\"}", 204);
    want(s, "POST", "auth/unix/users/2", "{\"policies\":\"all\"}", 204);
    be_somebody(s, 1);
    test_vault_text(s->v.vault, "auth.entity_id", entity, sizeof entity);
    (void)snprintf(body, sizeof body, "{\"member_entity_ids\":\"%s\"}", entity);
    want(s, "POST", "identity/group/name/approvers", body, 200);
    want(s, "POST", "sys/approvals/rules/r", "{\"paths\":\"secret/data/guarded/*\",\"group\":\"approvers\"}", 0); /* with a warning */
    s->v.vault->now_ms += 10;
}

/* Of those before, the ones that still wait are taken back: one person has only so many. */
static void be_an_asker(struct scene *s)
{
    be_ruled(s);
    be_somebody(s, 2);
    unsigned status = ask(s, &(const struct step)AS("LIST", "sys/approvals/requests", NULL, 0), NULL);
    struct kt_json data = {0}, keys = {0};
    char ids[64][40];
    size_t n = 0;
    if (status == 200 && kt_json_member(kt_json_value(kt_str(s->v.vault->body)), "data", &data))
        (void)kt_json_member(data, "keys", &keys);
    struct kt_json_iter it = kt_json_iter(keys);
    while (kt_json_next(&it) && n < 64)
        (void)snprintf(ids[n++], sizeof ids[0], "%.36s", it.value.at + 1);
    for (size_t i = 0; i < n; i++) {
        char path[TEXT];
        (void)snprintf(path, sizeof path, "sys/approvals/mine/%.39s", ids[i]);
        (void)ask(s, &(const struct step)AS("DELETE", path, NULL, 0), NULL);
    }
}

/* The scene's mark is the id of what waits. */
static void have_asked(struct scene *s)
{
    be_an_asker(s);
    need(s, &(const struct step)AS("POST", "secret/data/guarded/%u", "{\"data\":{\"k\":\"v\"}}", 202));
    test_vault_text(s->v.vault, "data.approval_id", s->mark, sizeof s->mark);
    s->v.vault->now_ms += 10;
}

static void be_an_approver(struct scene *s)
{
    have_asked(s);
    be_somebody(s, 1);
}

static void be_approved(struct scene *s)
{
    be_an_approver(s);
    need(s, &(const struct step)AS("POST", "sys/approvals/requests/%k/approve", NULL, 200));
    be_somebody(s, 2);
}

/* ---- the requests ---- */

/* clang-format off */
#define ASK_X509(m, p, b, w) {.method = (m), .path = (p), .body = (b), .wanted = (w), .by_library = true}
#define PUT_A      ASK("POST", "secret/data/a", "{\"data\":{\"k\":\"v%u\"}}", 200)
#define READ_A     ASK("GET", "secret/data/a", NULL, 200)
#define FORGET_A   ASK("DELETE", "secret/metadata/a", NULL, 204)
#define DELETE_A   ASK("DELETE", "secret/data/a", NULL, 204)
#define READ_META  ASK("GET", "secret/metadata/a", NULL, 200)
#define MAKE_TOKEN TAKE("POST", "auth/token/create", "{\"policies\":[\"default\"],\"ttl\":\"1h\",\"meta\":{\"n\":\"%u\"}}", 200, "auth.client_token")
#define MAKE_ACCESSOR TAKE("POST", "auth/token/create", "{\"policies\":[\"default\"],\"ttl\":\"1h\"}", 200, "auth.accessor")
#define NO_LEASES  ASK("PUT", "sys/leases/revoke-prefix/auth/token/", NULL, 204)
#define LOOK_TOKEN ASK("POST", "auth/token/lookup", "{\"token\":\"%t\"}", 200)
#define POLICY     "{\"policy\":\"path \\\"secret/data/n%u\\\" { capabilities = [\\\"read\\\"] }\"}"
#define PUT_POLICY ASK("PUT", "sys/policies/acl/p", POLICY, 204)
#define TARGET     "{\"driver\":\"postgresql\",\"host\":\"/run/n%u\",\"database\":\"d\",\"sslmode\":\"disable\",\"admin_username\":\"kt\",\"admin_password\":\"admin\"}"
#define PUT_TARGET ASK("POST", "rotation/targets/pg", TARGET, 204)
#define DRIVEN     "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app\"],\"drain\":%u}"
#define DRILLED    "{\"target\":\"pg\",\"strategy\":\"in-place\",\"accounts\":[\"app\"],\"allow_gap\":true,\"drill\":\"0 4 1 * *\",\"rto\":%u}"
#define PUT_LOGIN  ASK("POST", "secret/data/db", "{\"data\":{\"username\":\"app\",\"password\":\"p\"}}", 0)
#define PUT_DRIVEN ASK("POST", "rotation/secrets/secret/db", DRIVEN, 204)
/* A password that cannot be ended, and then can. */
#define API(ends)  "{\"driver\":\"http\",\"host\":\"127.0.0.1\",\"sslmode\":\"disable\",\"admin_username\":\"kt\",\"admin_password\":\"admin\",\"api\":\"{" \
    "\\\"admin\\\":{\\\"method\\\":\\\"GET\\\",\\\"path\\\":\\\"/\\\",\\\"headers\\\":{\\\"A\\\":\\\"{admin}\\\"}}," \
    "\\\"test\\\":{\\\"method\\\":\\\"GET\\\",\\\"path\\\":\\\"/\\\",\\\"basic\\\":[\\\"{account}\\\",\\\"{value}\\\"]}," \
    "\\\"set\\\":{\\\"method\\\":\\\"PUT\\\",\\\"path\\\":\\\"/\\\",\\\"body\\\":{\\\"p\\\":\\\"{value}\\\"}}" ends "}\"}"
#define ENDS       ",\\\"delete\\\":{\\\"method\\\":\\\"DELETE\\\",\\\"path\\\":\\\"/\\\",\\\"headers\\\":{\\\"A\\\":\\\"{admin}\\\"}}"
#define PUT_API(ends) ASK("POST", "rotation/targets/api", API(ends), 200)
#define PUT_GAP(name) ASK("POST", "secret/data/" name, "{\"data\":{\"username\":\"" name "\",\"password\":\"p\"}}", 0)
#define PUT_HERE   ASK("POST", "rotation/targets/here", "{\"driver\":\"vault\"}", 204)
#define PUT_OWN(account) ASK("POST", "secret/data/own", "{\"data\":{\"username\":\"" account "\",\"password\":\"p\",\"key_id\":\"i\"}}", 0)
#define OWN(account, drain) "{\"target\":\"here\",\"strategy\":\"overlap\",\"accounts\":[\"" account "\"],\"max_age\":\"1h\",\"drain\":" drain "}"
#define SET_OWN(account) ASK("POST", "rotation/secrets/secret/own", OWN(account, "%u"), 0)
#define PUT_FREEZE ASK("POST", "rotation/calendars/freeze", "{\"ranges\":\"2027-01-17..2027-01-18 f\"}", 200)
#define PUT_ROOT ASK("POST", "rotation/secrets/secret/root", "{\"generator\":{\"type\":\"x509-ca\",\"common_name\":\"Root\"}}", 204)
#define MAKE_ROOT ASK("POST", "rotation/rotate/secret/root", "{}", 0)
#define PUT_LEAF ASK_X509("POST", "rotation/secrets/secret/leaf", "{\"after\":[\"secret/root\"],\"generator\":{\"type\":\"x509\",\"issuer\":\"secret/root\",\"names\":\"n%u.example.com\"}}", 204)
#define PUT_FROZEN ASK("POST", "rotation/secrets/secret/db", "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app\"],\"cron\":\"@daily\",\"blackout\":\"freeze\"}", 204)
#define CERT       ASK("POST", "sys/auth/ct", "{\"type\":\"cert\"}", 0)
#define PUT_CERT   ASK("POST", "auth/ct/certs/c", "{\"certificate\":\"%c\"}", 204)
#define PUT_SERVED ASK_X509("POST", "rotation/secrets/secret/s%u", "{\"served_at\":\"h.example.com\",\"on_ack_timeout\":\"hold\",\"generator\":{\"type\":\"x509\",\"issuer\":\"secret/root\",\"names\":\"n.example.com\"}}", 204)
#define PUT_CRL    ASK("POST", "auth/ct/crls/l", "{\"crl\":\"%l\"}", 204)
#define APPROLE    "{\"type\":\"approle\"}"
#define PAM        "{\"type\":\"pam\"}"
#define JWT        ASK("POST", "sys/auth/jw", "{\"type\":\"jwt\"}", 0)
#define JWT_KEYS   ASK("POST", "auth/jw/config", "{\"jwks\":" JWT_EXAMPLE_SET "}", 204)
#define JWT_ROLE   "{\"role_type\":\"jwt\",\"user_claim\":\"sub\",\"bound_audiences\":\"vault\",\"bound_claims_type\":\"glob\",\"bound_claims\":{\"sub\":\"b*\"},\"claim_mappings\":{\"/aud\":\"aud\"},\"groups_claim\":\"sub\"}"
#define REGISTER   ASK("POST", "fleet/consumers/h%u/secret/db", "{\"service\":\"s\",\"version\":1,\"state\":\"registered\"}", 200)

#define REGISTER1  ASK("POST", "fleet/consumers/h1/secret/db", "{\"service\":\"s\",\"version\":1,\"state\":\"registered\"}", 200)
#define HOLDS      ASK("POST", "fleet/consumers/h%u/secret/db", "{\"service\":\"s\",\"version\":1,\"state\":\"healthy\",\"candidates\":2,\"holds\":1}", 200)
#define ASIDE      "rotation/quarantine/h1/secret/db"
#define PUT_ASIDE  ASK("POST", ASIDE, "{\"service\":\"s\",\"reason\":\"r%u\"}", 200)
#define WITH_SHARE   "{\"key\":\"%s\",\"nonce\":\"%t\"}"
#define CANCEL_REKEY ASK("DELETE", "sys/rekey/init", NULL, 204)
#define BEGIN_REKEY  TAKE("PUT", "sys/rekey/init", "{\"secret_shares\":5,\"secret_threshold\":3}", 200, "nonce")
#define READ_REKEY   ASK("GET", "sys/rekey/init", NULL, 200)
#define WRAP(m, p, b)  {.method = (m), .path = (p), .body = (b), .wanted = 200, .takes = "wrap_info.token", .wrap_ttl = "1h"}
#define WRAP_IT    WRAP("POST", "sys/wrapping/wrap", "{\"k\":\"w%u\"}")
#define LOOK_WRAP  ASK("POST", "sys/wrapping/lookup", "{\"token\":\"%t\"}", 200)
#define NO_WRAP    ASK("POST", "sys/wrapping/lookup", "{\"token\":\"%t\"}", 400)

/* A certificate that can be revoked, once: with each new one the list, and the work, would grow. */
static void be_certified(struct scene *s)
{
    static const struct step steps[] = {
        PUT_ROOT, MAKE_ROOT, PUT_LEAF, ASK("POST", "rotation/rotate/secret/leaf", "{}", 0)};
    be_unsealed(s);
    if (ask(s, &(const struct step)ASK("GET", "secret/data/leaf", NULL, 0), NULL) == 200)
        return;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        need(s, &steps[i]);
}

static void be_listed(struct scene *s)
{
    be_certified(s);
    if (ask(s, &(const struct step)ASK("GET", "rotation/secrets/secret/crl", NULL, 0), NULL) == 200)
        return;
    want(s, "POST", "rotation/revoke/secret/leaf", "{}", 200); /* before there is a list that its thread would make */
    want(s, "POST", "rotation/secrets/secret/crl", "{\"generator\":{\"type\":\"x509-crl\",\"issuer\":\"secret/root\"}}", 204);
}

/* An authority of SSH's, for nobody. */
#define SSH_KEY \
    "-----BEGIN OPENSSH PRIVATE KEY-----\\n" \
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\\n" \
    "QyNTUxOQAAACCUqaOnFV80c5xto/j8uQ2/vq9RK7TPTJ+UgW0WDcwCYQAAAIhUwshKVMLI\\n" \
    "SgAAAAtzc2gtZWQyNTUxOQAAACCUqaOnFV80c5xto/j8uQ2/vq9RK7TPTJ+UgW0WDcwCYQ\\n" \
    "AAAEDMNb5G/Hct5Zdpt80LmeKKe1Z/kicPP+4M3+PhgXUrSJSpo6cVXzRznG2j+Py5Db++\\n" \
    "r1ErtM9Mn5SBbRYNzAJhAAAAAAECAwQF\\n" \
    "-----END OPENSSH PRIVATE KEY-----\\n"

static void be_certified_by_ssh(struct scene *s)
{
    be_unsealed(s);
    if (ask(s, &(const struct step)ASK("GET", "secret/data/user", NULL, 0), NULL) == 200)
        return;
    want(s, "POST", "secret/data/sshca", "{\"data\":{\"private_key\":\"" SSH_KEY "\"}}", 200);
    want(s, "POST", "rotation/secrets/secret/user",
         "{\"generator\":{\"type\":\"ssh-cert\",\"issuer\":\"secret/sshca\",\"names\":\"deploy\",\"life\":\"36500d\"}}", 204);
    want(s, "POST", "rotation/rotate/secret/user", "{}", 200);
}

static void be_listed_by_ssh(struct scene *s)
{
    be_certified_by_ssh(s);
    if (ask(s, &(const struct step)ASK("GET", "rotation/secrets/secret/krl", NULL, 0), NULL) == 200)
        return;
    want(s, "POST", "rotation/revoke/secret/user", "{}", 200);
    want(s, "POST", "rotation/secrets/secret/krl", "{\"generator\":{\"type\":\"ssh-krl\",\"issuer\":\"secret/sshca\"}}", 204);
}

static const struct row rows[] = {
    /* As long as there are few: it looks at each. */
    {"token tree", NULL, {{0}}, ASK("GET", "auth/token/tree", NULL, 200), {0}, NULL, NULL, false},
    {"kv put, first version", NULL, {PUT_A, FORGET_A}, PUT_A, READ_A, "v%u", NULL, false},
    {"kv put, next version", NULL, {PUT_A, ASK("POST", "secret/data/a", "{\"data\":{\"k\":\"old\"}}", 200)}, PUT_A, READ_A, "v%u", NULL, false},
    {"kv get", NULL, {PUT_A}, READ_A, {0}, NULL, NULL, false},
    {"kv get, nothing there", NULL, {FORGET_A}, ASK("GET", "secret/data/a", NULL, 404), {0}, NULL, NULL, false},
    {"kv patch", NULL, {PUT_A}, ASK("PATCH", "secret/data/a", "{\"data\":{\"p\":\"q%u\"}}", 200), READ_A, "q%u", NULL, false},
    {"kv list", NULL, {PUT_A}, ASK("LIST", "secret/metadata/", NULL, 200), {0}, NULL, NULL, false},
    {"kv delete", NULL, {FORGET_A, PUT_A}, DELETE_A, ASK("GET", "secret/data/a", NULL, 404), NULL, NULL, false},
    {"kv undelete", NULL, {FORGET_A, PUT_A, DELETE_A}, ASK("POST", "secret/undelete/a", "{\"versions\":[1]}", 204), READ_A, NULL, NULL, false},
    {"kv destroy", NULL, {FORGET_A, PUT_A}, ASK("POST", "secret/destroy/a", "{\"versions\":[1]}", 204), READ_META, "\"destroyed\":true", NULL, false},
    {"kv metadata get", NULL, {PUT_A}, READ_META, {0}, NULL, NULL, false},
    {"kv metadata put", NULL, {PUT_A}, ASK("POST", "secret/metadata/a", "{\"custom_metadata\":{\"n\":\"m%u\"}}", 204), READ_META, "m%u", NULL, false},
    {"kv import", NULL, {FORGET_A}, ASK("POST", "secret/import/a", "{\"cas\":0,\"versions\":[{\"version\":2,\"data\":{\"k\":\"old\"}},{\"version\":5,\"data\":{\"k\":\"v%u\"}}]}", 200), READ_A, "v%u", NULL, false},
    {"kv import, in the place of another", NULL, {FORGET_A, PUT_A}, ASK("POST", "secret/import/a", "{\"cas\":1,\"replace\":true,\"versions\":[{\"version\":1,\"data\":{\"k\":\"new %u\"}}]}", 200), READ_A, "new %u", NULL, false},
    {"kv metadata patch", NULL, {PUT_A}, ASK("PATCH", "secret/metadata/a", "{\"custom_metadata\":{\"n\":\"m%u\"}}", 204), READ_META, "m%u", NULL, false},
    {"kv copy", NULL, {PUT_A}, ASK("POST", "secret/copy/a", "{\"to\":\"secret/f%u/b\"}", 200), ASK("GET", "secret/data/f%u/b", NULL, 200), "\"v%u\"", NULL, false},
    {"kv move", NULL, {FORGET_A, PUT_A}, ASK("POST", "secret/move/a", "{\"to\":\"secret/f%u/b\"}", 200), ASK("GET", "secret/data/f%u/b", NULL, 200), "\"v%u\"", NULL, false},
    {"kv metadata delete", NULL, {PUT_A}, FORGET_A, ASK("GET", "secret/metadata/a", NULL, 404), NULL, NULL, false},
    {"token create", NULL, {{0}}, ASK("POST", "auth/token/create", "{\"id\":\"own-%u\",\"policies\":[\"default\"],\"ttl\":\"1h\",\"meta\":{\"n\":\"x\"}}", 200), ASK("POST", "auth/token/lookup", "{\"token\":\"own-%u\"}", 200), NULL, NULL, false},
    {"token lookup-self", NULL, {MAKE_TOKEN}, AS("GET", "auth/token/lookup-self", NULL, 200), {0}, NULL, NULL, false},
    {"token lookup by accessor", NULL, {MAKE_ACCESSOR}, ASK("POST", "auth/token/lookup-accessor", "{\"accessor\":\"%t\"}", 200), {0}, NULL, NULL, false},
    {"token renew-self", NULL, {MAKE_TOKEN}, AS("POST", "auth/token/renew-self", "{\"increment\":\"30m\"}", 200), {0}, NULL, NULL, false},
    {"token revoke", NULL, {MAKE_TOKEN}, ASK("POST", "auth/token/revoke", "{\"token\":\"%t\"}", 204), ASK("POST", "auth/token/lookup", "{\"token\":\"%t\"}", 403), NULL, NULL, false},
    {"token revoke-self", NULL, {MAKE_TOKEN}, AS("POST", "auth/token/revoke-self", NULL, 204), ASK("POST", "auth/token/lookup", "{\"token\":\"%t\"}", 403), NULL, NULL, false},
    {"token with one use", .either = true, .before = {TAKE("POST", "auth/token/create", "{\"policies\":[\"default\"],\"num_uses\":1}", 200, "auth.client_token")}, .request = AS("GET", "auth/token/lookup-self", NULL, 200), .probe = ASK("POST", "auth/token/lookup", "{\"token\":\"%t\"}", 403)},
    {"refusal of a token", NULL, {MAKE_TOKEN}, AS("GET", "secret/data/a", NULL, 403), {0}, NULL, NULL, false},
    {"kept for approval", be_an_asker, .request = AS("POST", "secret/data/guarded/%u", "{\"data\":{\"k\":\"v\"}}", 202), .probe = ASK("LIST", "sys/approvals/requests", NULL, 200), .shows = "guarded/%u"},
    {"approve", be_an_approver, .request = AS("POST", "sys/approvals/requests/%k/approve", NULL, 200), .probe = ASK("GET", "sys/approvals/requests/%k", NULL, 200), .shows = "\"approved\":1"},
    {"approved and carried out", be_approved, .request = AS("POST", "sys/approvals/mine/%k/finish", NULL, 200), .probe = ASK("GET", "secret/data/guarded/%u", NULL, 200)},
    {"a rotation kept for its people", be_an_asker, {ASK("POST", "secret/data/people%u", "{\"data\":{\"password\":\"p\"}}", 200), ASK("POST", "rotation/secrets/secret/people%u", "{\"approvals\":1,\"approvers\":\"r\",\"risk\":\"low\"}", 204)}, AS("POST", "rotation/rotate/secret/people%u", "{}", 202), ASK("LIST", "sys/approvals/requests", NULL, 200), "rotate/secret/people%u", NULL, false},
    {"policy write", NULL, {{0}}, PUT_POLICY, ASK("GET", "sys/policies/acl/p", NULL, 200), "n%u", NULL, false},
    {"policy read", NULL, {PUT_POLICY}, ASK("GET", "sys/policies/acl/p", NULL, 200), {0}, NULL, NULL, false},
    {"policy list", NULL, {PUT_POLICY}, ASK("LIST", "sys/policies/acl", NULL, 200), {0}, NULL, NULL, false},
    {"policy delete", NULL, {PUT_POLICY}, ASK("DELETE", "sys/policies/acl/p", NULL, 204), ASK("GET", "sys/policies/acl/p", NULL, 404), NULL, NULL, false},
    {"policy explain", NULL, {PUT_POLICY}, ASK("POST", "sys/policies/explain", "{\"policies\":\"p,default\",\"capability\":\"read\",\"path\":\"secret/data/a\"}", 200), {0}, NULL, NULL, false},
    {"policy lint", NULL, {{0}}, ASK("POST", "sys/policies/lint", "{\"policy\":\"path \\\"secret/a\\\" { capabilities = [\\\"read\\\"] }\"}", 200), {0}, NULL, NULL, false},
    {"capabilities-self", NULL, {MAKE_TOKEN}, AS("POST", "sys/capabilities-self", "{\"paths\":[\"secret/data/a\",\"auth/token/lookup-self\"]}", 200), {0}, NULL, NULL, false},
    {"entity write", NULL, {{0}}, ASK("POST", "identity/entity/name/e%u", "{\"policies\":\"p\"}", 200), ASK("GET", "identity/entity/name/e%u", NULL, 200), NULL, NULL, false},
    {"entity list", NULL, {ASK("POST", "identity/entity/name/e", "{}", 0)}, ASK("LIST", "identity/entity/id", NULL, 200), {0}, NULL, NULL, false},
    {"group write", NULL, {{0}}, ASK("POST", "identity/group/name/g%u", "{\"policies\":\"p\"}", 200), ASK("GET", "identity/group/name/g%u", NULL, 200), NULL, NULL, false},
    {"mounts", NULL, {{0}}, ASK("GET", "sys/mounts", NULL, 200), {0}, NULL, NULL, false},
    {"way enabled", NULL, {ASK("DELETE", "sys/auth/w", NULL, 204)}, ASK("POST", "sys/auth/w", "{\"type\":\"approle\"}", 204), ASK("GET", "sys/auth", NULL, 200), "\"w/\"", NULL, false},
    {"way disabled", NULL, {ASK("POST", "sys/auth/w", "{\"type\":\"approle\"}", 0)}, ASK("DELETE", "sys/auth/w", NULL, 204), ASK("GET", "sys/auth/w", NULL, 400), NULL, NULL, false},
    {"token role", NULL, {ASK("DELETE", "auth/token/roles/r%u", NULL, 204)}, ASK("POST", "auth/token/roles/r%u", "{\"allowed_policies\":\"p\"}", 204), ASK("GET", "auth/token/roles/r%u", NULL, 200), NULL, NULL, false},
    {"token with a role", NULL, {ASK("POST", "auth/token/roles/r", "{\"allowed_policies\":\"default\"}", 204)}, ASK("POST", "auth/token/create/r", "{\"id\":\"role-%u\",\"ttl\":\"1h\"}", 200), ASK("POST", "auth/token/lookup", "{\"token\":\"role-%u\"}", 200), NULL, NULL, false},
    {"unix user", NULL, {ASK("POST", "sys/auth/un", "{\"type\":\"unix\"}", 0), ASK("DELETE", "auth/un/users/%u", NULL, 204)}, ASK("POST", "auth/un/users/%u", "{\"policies\":\"p\"}", 204), ASK("GET", "auth/un/users/%u", NULL, 200), NULL, NULL, false},
    {"approle role", NULL, {ASK("POST", "sys/auth/ar", APPROLE, 0)}, ASK("POST", "auth/ar/role/r%u", "{}", 204), ASK("GET", "auth/ar/role/r%u/role-id", NULL, 200), NULL, NULL, false},
    {"approle secret id", NULL, {ASK("POST", "sys/auth/ar", APPROLE, 0), ASK("POST", "auth/ar/role/r", "{}", 204)}, ASK("POST", "auth/ar/role/r/custom-secret-id", "{\"secret_id\":\"s%u\",\"ttl\":\"1h\"}", 200), ASK("POST", "auth/ar/role/r/secret-id/lookup", "{\"secret_id\":\"s%u\"}", 200), NULL, NULL, false},
    {"approle login, the last use", .either = true, .before = {ASK("POST", "sys/auth/ar", APPROLE, 0), ASK("POST", "auth/ar/role/r", "{\"role_id\":\"i\"}", 204), ASK("POST", "auth/ar/role/r/custom-secret-id", "{\"secret_id\":\"once%u\",\"num_uses\":1}", 200)}, .request = ASK("POST", "auth/ar/login", "{\"role_id\":\"i\",\"secret_id\":\"once%u\"}", 200), .probe = ASK("POST", "auth/ar/role/r/secret-id/lookup", "{\"secret_id\":\"once%u\"}", 204)},
    {"jwt settings", NULL, {JWT}, ASK("POST", "auth/jw/config", "{\"jwks\":" JWT_EXAMPLE_SET ",\"bound_issuer\":\"i%u\"}", 204), ASK("GET", "auth/jw/config", NULL, 200), "\"i%u\"", NULL, false},
    {"jwt role", NULL, {JWT}, ASK("POST", "auth/jw/role/r%u", JWT_ROLE, 204), ASK("GET", "auth/jw/role/r%u", NULL, 200), NULL, NULL, false},
    {"jwt login", NULL, {JWT, JWT_KEYS, ASK("POST", "auth/jw/role/r", JWT_ROLE, 204)}, ASK("POST", "auth/jw/login", "{\"role\":\"r\",\"jwt\":\"" JWT_EXAMPLE_TOKEN "\"}", 200), {0}, NULL, NULL, false},
    {"cert entry", .before = {CERT}, .request = ASK_X509("POST", "auth/ct/certs/c%u", "{\"certificate\":\"%c\"}", 204), .probe = ASK("GET", "auth/ct/certs/c%u", NULL, 200)},
    {"cert list", .before = {CERT}, .request = ASK_X509("POST", "auth/ct/crls/l%u", "{\"crl\":\"%l\"}", 204), .probe = ASK("GET", "auth/ct/crls/l%u", NULL, 200)},
    {"cert list away", .before = {CERT, PUT_CRL}, .request = ASK("DELETE", "auth/ct/crls/l", NULL, 204), .probe = ASK("GET", "auth/ct/crls/l", NULL, 404)},
    {"cert settings", .before = {CERT}, .request = ASK("POST", "auth/ct/config", "{\"disable_binding\":true}", 204)},
    {"cert login", .before = {CERT, PUT_CRL, PUT_CERT}, .request = {.method = "POST", .path = "auth/ct/login", .body = "{}", .wanted = 200, .shows = GOOD_CERT, .by_library = true}},
    {"cert login of a revoked one", .before = {CERT, PUT_CRL, PUT_CERT}, .request = {.method = "POST", .path = "auth/ct/login", .body = "{}", .wanted = 400, .shows = REVOKED_CERT, .by_library = true}},
    {"cert login of a server", .before = {CERT, PUT_CERT}, .request = {.method = "POST", .path = "auth/ct/login", .body = "{}", .wanted = 400, .shows = SERVERS_CERT, .by_library = true}},
    {"cert renewal", .before = {CERT, PUT_CERT, {.method = "POST", .path = "auth/ct/login", .body = "{}", .wanted = 200, .takes = "auth.client_token", .shows = GOOD_CERT, .by_library = true}}, .request = {.method = "POST", .path = "auth/token/renew-self", .body = "{}", .wanted = 200, .as_token = true, .shows = GOOD_CERT, .by_library = true}},
    {"pam group", NULL, {ASK("POST", "sys/auth/pm", PAM, 0)}, ASK("POST", "auth/pm/groups/g%u", "{\"policies\":\"p\"}", 204), ASK("GET", "auth/pm/groups/g%u", NULL, 200), NULL, NULL, false},
    {"pam settings", NULL, {ASK("POST", "sys/auth/pm", PAM, 0)}, ASK("POST", "auth/pm/config", "{\"token_policies\":\"p%u\"}", 204), ASK("GET", "auth/pm/config", NULL, 200), "\"p%u\"", NULL, false},
    {"mount", NULL, {ASK("DELETE", "sys/mounts/m", NULL, 0)}, ASK("POST", "sys/mounts/m", "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}", 204), ASK("GET", "sys/mounts", NULL, 200), "\"m/\"", NULL, false},
    {"unmount", NULL, {ASK("POST", "sys/mounts/m", "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}", 0)}, ASK("DELETE", "sys/mounts/m", NULL, 204), ASK("GET", "sys/mounts/m/tune", NULL, 400), NULL, NULL, false},
    {"lease list", NULL, {NO_LEASES, MAKE_TOKEN}, ASK("LIST", "sys/leases/lookup/auth/token/create", NULL, 200), {0}, NULL, NULL, false},
    {"lease count", NULL, {NO_LEASES, MAKE_TOKEN}, ASK("GET", "sys/leases/count?type=all", NULL, 200), {0}, NULL, NULL, false},
    {"lease revoke-prefix", NULL, {NO_LEASES, MAKE_TOKEN}, NO_LEASES, ASK("POST", "auth/token/lookup", "{\"token\":\"%t\"}", 403), NULL, NULL, false},
    {"lease tidy", NULL, {{0}}, ASK("POST", "sys/leases/tidy", NULL, 202), {0}, NULL, NULL, false},
    {"tune", NULL, {{0}}, ASK("POST", "sys/mounts/secret/tune", "{\"description\":\"d%u\",\"audit_non_hmac_request_keys\":\"k%u\"}", 204), ASK("GET", "sys/mounts/secret/tune", NULL, 200), "\"d%u\"", NULL, false},
    {"upgrade", NULL, {ASK("DELETE", "sys/mounts/up", NULL, 204), ASK("POST", "sys/mounts/up", "{\"type\":\"kv\"}", 204), ASK("POST", "up/a", "{\"k\":\"v\"}", 204)}, ASK("POST", "sys/mounts/up/tune", "{\"options\":{\"version\":\"2\"}}", 200), ASK("GET", "up/data/a", NULL, 200), NULL, NULL, false},
    {"remount", NULL, {ASK("DELETE", "sys/mounts/to", NULL, 204), ASK("POST", "sys/mounts/from", "{\"type\":\"kv\"}", 0), ASK("POST", "from/a", "{\"k\":\"v%u\"}", 204)}, ASK("POST", "sys/remount", "{\"from\":\"from\",\"to\":\"to\"}", 200), ASK("GET", "to/a", NULL, 200), "v%u", NULL, false},
    {"kv version 1 put", NULL, {ASK("POST", "sys/mounts/one", "{\"type\":\"kv\"}", 0)}, ASK("POST", "one/a", "{\"k\":\"v%u\"}", 204), ASK("GET", "one/a", NULL, 200), "v%u", NULL, false},
    {"kv version 1 get", NULL, {ASK("POST", "sys/mounts/one", "{\"type\":\"kv\"}", 0), ASK("POST", "one/a", "{\"k\":\"v\"}", 204)}, ASK("GET", "one/a", NULL, 200), {0}, NULL, NULL, false},
    {"kv version 1 delete", NULL, {ASK("POST", "sys/mounts/one", "{\"type\":\"kv\"}", 0), ASK("POST", "one/a", "{\"k\":\"v\"}", 204)}, ASK("DELETE", "one/a", NULL, 204), ASK("GET", "one/a", NULL, 404), NULL, NULL, false},
    {"kv version 1 list", NULL, {ASK("POST", "sys/mounts/one", "{\"type\":\"kv\"}", 0), ASK("POST", "one/a", "{\"k\":\"v\"}", 204)}, ASK("LIST", "one/", NULL, 200), {0}, NULL, NULL, false},
    {"what a token can reach", NULL, {MAKE_TOKEN}, AS("GET", "sys/internal/ui/mounts", NULL, 200), {0}, NULL, NULL, false},
    {"quota", NULL, {{0}}, ASK("POST", "sys/quotas/rate-limit/q", "{\"rate\":1%u00000}", 204), ASK("GET", "sys/quotas/rate-limit/q", NULL, 200), "\"rate\":1%u00000", NULL, false},
    {"quota list", NULL, {ASK("POST", "sys/quotas/rate-limit/q", "{\"rate\":1000000}", 204)}, ASK("LIST", "sys/quotas/rate-limit", NULL, 200), {0}, NULL, NULL, false},
    {"quota delete", NULL, {ASK("POST", "sys/quotas/rate-limit/q", "{\"rate\":1000000}", 204)}, ASK("DELETE", "sys/quotas/rate-limit/q", NULL, 204), ASK("GET", "sys/quotas/rate-limit/q", NULL, 404), NULL, NULL, false},
    {"quota settings", NULL, {{0}}, ASK("POST", "sys/quotas/config", "{\"rate_limit_exempt_paths\":[\"secret/n%u\"]}", 204), ASK("GET", "sys/quotas/config", NULL, 200), "secret/n%u\"", NULL, false},
    {"cubbyhole put", NULL, {{0}}, ASK("POST", "cubbyhole/c", "{\"k\":\"c%u\"}", 204), ASK("GET", "cubbyhole/c", NULL, 200), "\"c%u\"", NULL, false},
    {"kv get, wrapped", .before = {PUT_A}, .request = WRAP("GET", "secret/data/a", NULL)},
    {"kv put, wrapped", .before = {PUT_A, FORGET_A}, .request = WRAP("POST", "secret/data/a", "{\"data\":{\"k\":\"v%u\"}}"), .probe = READ_A, .shows = "v%u"},
    {"wrapping lookup", .before = {WRAP_IT}, .request = LOOK_WRAP},
    {"unwrap", .before = {WRAP_IT}, .request = ASK("POST", "sys/wrapping/unwrap", "{\"token\":\"%t\"}", 200), .probe = NO_WRAP},
    {"unwrap by itself", .before = {WRAP_IT}, .request = AS("POST", "sys/wrapping/unwrap", NULL, 200), .probe = NO_WRAP},
    {"rewrap", .before = {WRAP_IT}, .request = ASK("POST", "sys/wrapping/rewrap", "{\"token\":\"%t\"}", 200), .probe = NO_WRAP},
    {"rotation target, by secret", NULL, {ASK("POST", "secret/data/adm", "{\"data\":{\"username\":\"a\",\"password\":\"p\"}}", 0), ASK("POST", "rotation/secrets/secret/adm", "{}", 204)},
     ASK("POST", "rotation/targets/ad", "{\"driver\":\"postgresql\",\"host\":\"/run/n%u\",\"database\":\"d\",\"sslmode\":\"disable\",\"admin_secret\":\"secret/adm\"}", 204), ASK("GET", "rotation/targets/ad", NULL, 200), "n%u", NULL, false},
    {"rotation, together", NULL, {PUT_TARGET, PUT_LOGIN, PUT_DRIVEN, ASK("POST", "secret/data/db2", "{\"data\":{\"username\":\"app2\",\"password\":\"p\"}}", 0), ASK("POST", "rotation/secrets/secret/db2", "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"app2\"],\"together\":[]}", 204)},
     ASK("POST", "rotation/secrets/secret/db2", "{\"together\":[\"secret/db\"],\"drain\":%u}", 204), ASK("GET", "rotation/secrets/secret/db2", NULL, 200), "\"drain\":%u,", NULL, false},
    {"rotation target", NULL, {{0}}, PUT_TARGET, ASK("GET", "rotation/targets/pg", NULL, 200), "n%u", NULL, false},
    {"rotation target, watched", NULL, {{0}},
     ASK("POST", "rotation/targets/w", "{\"driver\":\"redis\",\"hosts\":\"r1,r2\",\"sentinels\":\"s1,n%u\",\"sentinel_master\":\"m\",\"admin_username\":\"kt\",\"admin_password\":\"admin\"}", 204),
     ASK("GET", "rotation/targets/w", NULL, 200), "n%u", NULL, false},
    {"rotation secret", NULL, {PUT_TARGET, PUT_LOGIN}, PUT_DRIVEN, ASK("GET", "rotation/secrets/secret/db", NULL, 200), "\"drain\":%u,", NULL, false},
    {"rotation with a gap, refused", .before = {PUT_TARGET, PUT_GAP("gap")},
     .request = ASK("POST", "rotation/secrets/secret/gap", "{\"target\":\"pg\",\"strategy\":\"in-place\",\"accounts\":[\"gap\"]}", 400)},
    {"rotation with a gap, as it stood", NULL, {PUT_API(""), PUT_GAP("api"), ASK("POST", "rotation/secrets/secret/api", "{\"target\":\"api\",\"strategy\":\"in-place\",\"accounts\":[\"api\"]}", 0), PUT_API(ENDS)},
     ASK("POST", "rotation/secrets/secret/api", "{\"drain\":%u}", 200), ASK("GET", "rotation/secrets/secret/api", NULL, 200), "\"drain\":%u,", NULL, false},
    {"rotation with a gap, shown", .before = {PUT_TARGET, PUT_LOGIN, PUT_DRIVEN}, .request = ASK("GET", "rotation/secrets/secret/db", NULL, 200)},
    {"rotation of secret ids", NULL, {ASK("POST", "sys/auth/ar", APPROLE, 0), ASK("POST", "auth/ar/role/r", "{}", 204), PUT_HERE, PUT_OWN("auth/ar/role/r")},
     SET_OWN("auth/ar/role/r"), ASK("GET", "rotation/secrets/secret/own", NULL, 200), "\"drain\":%u,", NULL, false},
    {"rotation of tokens", NULL, {ASK("POST", "auth/token/roles/o", "{\"orphan\":true,\"allowed_policies\":[\"default\"]}", 204), PUT_HERE, PUT_OWN("auth/token/roles/o")},
     SET_OWN("auth/token/roles/o"), ASK("GET", "rotation/secrets/secret/own", NULL, 200), "\"drain\":%u,", NULL, false},
    {"rotation of tokens, reconciled", NULL, {ASK("POST", "auth/token/roles/o", "{\"orphan\":true,\"allowed_policies\":[\"default\"]}", 204), PUT_HERE, PUT_OWN("auth/token/roles/o"), ASK("POST", "rotation/secrets/secret/own", OWN("auth/token/roles/o", "1"), 0)},
     ASK("POST", "rotation/reconcile/secret/own", "{}", 0), {0}, NULL, NULL, false},
    {"rotation runs", NULL, {{0}}, ASK("LIST", "rotation/runs", NULL, 0), {0}, NULL, NULL, false},
    {"rotation due", NULL, {PUT_TARGET, PUT_LOGIN, PUT_DRIVEN}, ASK("GET", "rotation/due", NULL, 200), {0}, NULL, NULL, false},
    {"rotation dry run", NULL, {PUT_TARGET, PUT_LOGIN, PUT_DRIVEN}, ASK("POST", "rotation/dry-run/secret/db", "{}", 200), {0}, NULL, NULL, false},
    {"certificate", NULL, {PUT_ROOT, MAKE_ROOT}, PUT_LEAF, ASK("GET", "rotation/secrets/secret/leaf", NULL, 200), "n%u.example.com", NULL, false},
    {"certificate, dry run", NULL, {PUT_ROOT, MAKE_ROOT, PUT_LEAF}, ASK_X509("POST", "rotation/dry-run/secret/leaf", "{}", 200), {0}, NULL, NULL, false},
    {"certificate, made", NULL, {PUT_ROOT, MAKE_ROOT, PUT_LEAF}, ASK_X509("POST", "rotation/rotate/secret/leaf", "{}", 0), {0}, NULL, NULL, false},
    {"rotation drills", NULL, {PUT_TARGET, PUT_LOGIN}, ASK("POST", "rotation/secrets/secret/db", DRILLED, 204), ASK("GET", "rotation/secrets/secret/db", NULL, 200), "\"rto\":%u,", NULL, false},
    {"rotation classes", NULL, {{0}}, ASK("POST", "rotation/classes", "{\"high\":{\"max_age\":\"9%ud\"}}", 204), ASK("GET", "rotation/classes", NULL, 200), "\"max_age\":\"9%ud\"", NULL, false},
    {"rotation overdue", NULL, {PUT_TARGET, PUT_LOGIN, PUT_DRIVEN}, ASK("GET", "rotation/overdue", NULL, 200), {0}, NULL, NULL, false},
    {"rotation plan", NULL, {PUT_TARGET, PUT_LOGIN, PUT_FREEZE, PUT_FROZEN}, ASK("GET", "rotation/plan", NULL, 200), {0}, NULL, NULL, false},
    {"certificate, listeners", be_certified, {{0}}, ASK("POST", "rotation/secrets/secret/leaf", "{\"served_at\":\"h%u.example.com\"}", 204), ASK("GET", "rotation/secrets/secret/leaf", NULL, 200), "\"h%u.example.com:443\"", NULL, false},
    {"certificate, listeners are waited for", .before = {PUT_ROOT, MAKE_ROOT, PUT_SERVED}, .request = ASK_X509("POST", "rotation/rotate/secret/s%u", "{}", 0), .probe = ASK("GET", "secret/data/s%u", NULL, 200)},
    {"certificate, revoked", be_certified, {{0}}, ASK_X509("POST", "rotation/revoke/secret/leaf", "{\"reason\":\"r%u\"}", 200), ASK("GET", "rotation/issuers/secret/root", NULL, 200), "\"reason\":\"r%u\"", NULL, false},
    {"SSH certificate, revoked", be_certified_by_ssh, {{0}}, ASK("POST", "rotation/revoke/secret/user", "{\"reason\":\"r%u\"}", 200), ASK("GET", "rotation/issuers/secret/sshca", NULL, 200), "\"reason\":\"r%u\"", NULL, false},
    {"SSH's revocation list, made", be_listed_by_ssh, {{0}}, ASK("POST", "rotation/rotate/secret/krl", "{}", 0), {0}, NULL, NULL, false},
    {"revocation list, made", be_listed, {{0}}, ASK_X509("POST", "rotation/rotate/secret/crl", "{}", 0), {0}, NULL, NULL, false},
    {"rotation pause", NULL, {ASK("DELETE", "rotation/pause", NULL, 0)}, ASK("POST", "rotation/pause", "{\"reason\":\"r%u\"}", 200), ASK("GET", "rotation/pause", NULL, 200), "\"reason\":\"r%u\"", NULL, false},
    {"rotation resume", NULL, {ASK("POST", "rotation/pause", "{\"reason\":\"r\"}", 200)}, ASK("DELETE", "rotation/pause", NULL, 200), ASK("GET", "rotation/pause", NULL, 200), "\"paused\":false", NULL, false},
    {"fleet report", NULL, {PUT_TARGET, PUT_LOGIN, PUT_DRIVEN}, REGISTER, ASK("GET", "fleet/consumers/h%u/secret/db", NULL, 200), NULL, NULL, false},
    {"fleet report of a candidate", NULL, {PUT_TARGET, PUT_LOGIN, PUT_DRIVEN, ASK("GET", "secret/data/db?version=1", NULL, 200)}, HOLDS, ASK("GET", "fleet/consumers/h%u/secret/db", NULL, 200), "\"holds\":1", NULL, false},
    {"rotation zombies", NULL, {{0}}, ASK("GET", "rotation/zombies", NULL, 200), {0}, NULL, NULL, false},
    {"notify list", NULL, {{0}}, ASK("GET", "rotation/notify", NULL, 200), {0}, NULL, NULL, false},
    {"rotation quarantine", NULL, {PUT_LOGIN, REGISTER1, ASK("DELETE", ASIDE "?service=s", NULL, 0)}, PUT_ASIDE, ASK("GET", "rotation/quarantine", NULL, 200), "\"reason\":\"r%u\"", NULL, false},
    {"rotation release", NULL, {PUT_LOGIN, REGISTER1, PUT_ASIDE}, ASK("DELETE", ASIDE "?service=s", NULL, 200), ASK("GET", "rotation/quarantine", NULL, 200), "\"quarantined\":0", NULL, false},
    {"fleet watch", NULL, {PUT_TARGET, PUT_LOGIN, REGISTER}, ASK("GET", "fleet/watch/h%u", NULL, 200), {0}, NULL, NULL, false},
    {"keyring rotate", NULL, {{0}}, ASK("PUT", "sys/rotate", NULL, 0), {0}, NULL, NULL, false},
    {"keyring settings", NULL, {{0}}, ASK("PUT", "sys/rotate/config", "{\"max_operations\":1000%u000}", 204), ASK("GET", "sys/rotate/config", NULL, 200), "1000%u000", NULL, false},
    /* What only memory holds: its attempt was recorded before it, so that its result may be missing. */
    {"rekey begin", .either = IN_MEMORY, .before = {CANCEL_REKEY}, .request = BEGIN_REKEY, .probe = READ_REKEY, .shows = "\"started\":true"},
    {"rekey cancel", .either = IN_MEMORY, .before = {CANCEL_REKEY, BEGIN_REKEY}, .request = CANCEL_REKEY, .probe = READ_REKEY, .shows = "\"started\":false"},
    {"rekey, a share", .either = IN_MEMORY, .before = {CANCEL_REKEY, BEGIN_REKEY}, .request = ASK("PUT", "sys/rekey/update", WITH_SHARE, 200), .probe = READ_REKEY, .shows = "\"progress\":1"},
    {"rekey, the last share", .arrange = be_one_share_from_new_keys, .request = ASK("PUT", "sys/rekey/update", WITH_SHARE, 200), .probe = ASK("GET", "sys/seal-status", NULL, 200), .shows = "!%k", .success = new_keys_open_it},
    /* Handed out and not told: the old ones stay, another rekey makes others. */
    {"rekey, handing out", .arrange = be_about_to_hand_keys_out, .request = ASK("PUT", "sys/rekey/update", WITH_SHARE, 200), .probe = ASK("GET", "sys/seal-status", NULL, 200), .shows = "\"key_set_id\":\"%k", .either = true},
    {"rekey, the last new share", .arrange = be_one_share_from_verified_keys, .request = ASK("PUT", "sys/rekey/verify", "{\"key\":\"%o\",\"nonce\":\"%t\"}", 200), .probe = ASK("GET", "sys/seal-status", NULL, 200), .shows = "!%k", .success = new_keys_open_it},
    {"root token, the last share", .arrange = be_one_share_from_a_root_token, .request = ASK("PUT", "sys/generate-root/update", WITH_SHARE, 200), .probe = ASK("LIST", "auth/token/accessors", NULL, 200), .shows = "!%k", .success = the_token_is_roots},
    {"seal, made", .arrange = be_without_a_seal, .request = ASK("POST", "sys/seals/seal", NULL, 200), .probe = ASK("GET", "sys/seals", NULL, 200), .shows = "\"name\":\"seal\"", .success = the_seal_opens_it},
    {"seal, made anew", .arrange = be_with_a_seal, .request = ASK("POST", "sys/seals/seal", NULL, 200), .probe = ASK("GET", "sys/seals", NULL, 200), .shows = "!%k", .success = the_seal_opens_it},
    {"seal, removed", .arrange = be_with_a_seal, .request = ASK("DELETE", "sys/seals/seal", NULL, 204), .probe = ASK("GET", "sys/seals", NULL, 200), .shows = "!\"name\":\"seal\"", .success = only_shares_open_it},
    {"audit hash", NULL, {{0}}, ASK("POST", "sys/audit-hash/file", "{\"input\":\"x\"}", 200), {0}, NULL, NULL, false},
    {"audit checkpoint", NULL, {PUT_A}, ASK("POST", "sys/audit-log/checkpoint", NULL, 200), {0}, NULL, NULL, false},
    {"audit export", NULL, {{0}}, ASK("GET", "sys/audit-log/export?from=0&to=3", NULL, 200), {0}, NULL, NULL, false},
    {"random bytes", NULL, {{0}}, ASK("POST", "sys/tools/random", "{}", 200), {0}, NULL, NULL, false},
    {"hash", NULL, {{0}}, ASK("POST", "sys/tools/hash", "{\"input\":\"YWJj\"}", 200), {0}, NULL, NULL, false},
    {"token count", NULL, {{0}}, ASK("GET", "sys/internal/counters/tokens", NULL, 200), {0}, NULL, NULL, false},
    {"host info", NULL, {{0}}, ASK("GET", "sys/host-info", NULL, 200), {0}, NULL, NULL, false},
    {"OpenAPI", NULL, {{0}}, ASK("GET", "sys/internal/specs/openapi", NULL, 200), {0}, NULL, NULL, false},
    {"health", NULL, {{0}}, ASK("GET", "sys/health", NULL, 200), {0}, NULL, NULL, false},
    {"seal-status", NULL, {{0}}, ASK("GET", "sys/seal-status", NULL, 200), {0}, NULL, NULL, false},
    {"seal", be_unsealed, {{0}}, ASK("PUT", "sys/seal", NULL, 204), ASK("GET", "sys/seal-status", NULL, 200), "\"sealed\":true", NULL, false},
    {"unseal", be_nearly_unsealed, {{0}}, ASK("PUT", "sys/unseal", "{\"key\":\"%s\"}", 200), ASK("GET", "sys/seal-status", NULL, 200), "\"sealed\":false", NULL, false},
    {"init", be_new, {{0}}, ASK("PUT", "sys/init", "{\"secret_shares\":3,\"secret_threshold\":3}", 200), ASK("GET", "sys/init", NULL, 200), "\"initialized\":true", keys_open_it, false},
};
/* clang-format on */

/* ---- one attempt ---- */

static struct {
    const char *row, *kind;
    unsigned long nth;
    bool for_good;
} at; /* for the words of a crash, too */

static bool visible(struct scene *s, const struct row *row)
{
    unsigned status = ask(s, &row->probe, NULL);
    if (status >= 500) { /* it may not tell; an operator starts it again */
        if (!fault_vault_stops(&s->v))
            fail_msg("%s, %s %lu%s: %u without having stopped: %s", at.row, at.kind, at.nth,
                     at.for_good ? " and on" : "", status, s->v.vault->body);
        fault_vault_restart(&s->v);
        status = ask(s, &row->probe, NULL);
    }
    char text[TEXT] = "";
    if (row->shows != NULL)
        expand(s, row->shows, text);
    bool not = text[0] == '!';
    return status == row->probe.wanted &&
           (row->shows == NULL || test_vault_said(s->v.vault, text + not) != not);
}

static const char *said(const struct scene *s)
{
    return s->v.vault->body == NULL ? "(nothing)" : s->v.vault->body;
}

/* An error is one that a person can act on. */
static void judge_refusal(struct scene *s, const struct fault *fault, unsigned status)
{
    static const char *const words[FAULT_KINDS][4] = {
        [FAULT_ALLOC] = {"memory", "outcome unknown", "stopped"},
        [FAULT_READ] = {"Input/output error", "stopped"},
        [FAULT_WRITE] = {"Input/output error", "outcome unknown", "stopped"},
        [FAULT_SYNC] = {"Input/output error", "outcome unknown", "stopped"},
        [FAULT_NAME] = {"Input/output error", "stopped", "outcome unknown"},
        [FAULT_START] = {"temporarily unavailable", "memory"},
        [FAULT_LIBRARY] = {"the store", "outcome unknown", "memory", "Input/output error"},
    };
    bool named = false;
    for (size_t i = 0; i < 4 && words[fault->kind][i] != NULL; i++)
        named = named || test_vault_said(s->v.vault, words[fault->kind][i]);
    bool status_right = status == 500 || status == 503;
    bool says = test_vault_said(s->v.vault, "{\"errors\":[\"") &&
                !test_vault_said(s->v.vault, "{\"errors\":[\"\"");
    if (getenv("KT_FAULT_SHOW") != NULL)
        (void)printf("# %-24s %s %lu%s: %u %s", at.row, at.kind, at.nth, at.for_good ? "+" : "",
                     status, said(s));
    if (!status_right || !says || !named)
        fail_msg("%s, %s %lu%s (errno %d): %u %s", at.row, at.kind, at.nth,
                 at.for_good ? " and on" : "", fault->error, status, said(s));
}

/* What may have been committed, and is of no use if nobody has it. */
static void judge_unknown(struct scene *s, const struct row *row)
{
    if (row->arrange == be_one_share_from_new_keys && test_vault_said(s->v.vault, "outcome unknown") &&
        !test_vault_said(s->v.vault, "\"keys_base64\":["))
        fail_msg("%s, %s %lu: new keys that may be the vault's are not told: %s", at.row, at.kind, at.nth,
                 said(s));
}

/* After a failure: it works, or says that it stopped. */
static void look_after(struct scene *s)
{
    static const struct step look = {.method = "GET", .path = "sys/policies/acl/default"};
    if (fault_vault_mend(&s->v))
        return;
    if (barrier_sealed(s->v.vault->core->barrier))
        fault_vault_restart(&s->v);
    if (ask(s, &look, NULL) == 200)
        return;
    if (!fault_vault_stops(&s->v))
        fail_msg("%s, %s %lu: it neither works nor stops: %s", at.row, at.kind, at.nth,
                 s->v.vault->body);
    fault_vault_restart(&s->v);
}

static void prepare(struct scene *s, const struct row *row)
{
    if (fault_hits() > 0 && row->arrange != be_new)
        look_after(s);
    (void)snprintf(s->id, sizeof s->id, "%u", ++s->attempts);
    if (row->arrange != NULL)
        row->arrange(s);
    for (size_t i = 0; i < sizeof row->before / sizeof row->before[0]; i++)
        if (row->before[i].method != NULL)
            need(s, &row->before[i]);
}

/* True: the fault was met. */
static bool attempt(struct scene *s, const struct row *row, struct fault *fault)
{
    prepare(s, row);
    at.row = row->name;
    at.nth = fault->nth;
    at.for_good = fault->for_good;
    stuck_after(STUCK_S, "the attempt stands in the line before");
    unsigned status = ask(s, &row->request, fault);
    stuck_after(0, NULL);
    note_other_keys(s);
    bool met = fault_hits() > 0;
    bool ok = status == row->request.wanted || (row->request.wanted == 0 && status < 500);
    if (!met && !ok && fault_vault_mend(&s->v))
        return true; /* what a thread of its own met in the attempt before was noticed only now */
    if (!met && !ok)
        fail_msg("%s, untouched: %u %s", at.row, status, said(s));
    if (!ok)
        judge_refusal(s, fault, status);
    judge_unknown(s, row);
    bool unknown = !ok && (row->either != 0 || test_vault_said(s->v.vault, "outcome unknown"));
    if (ok && row->request.wanted != 400) /* refusals of strangers share records */
        remember(s);
    if (ok && row->success != NULL) {
        row->success(s);
        return met;
    }
    if (row->probe.method == NULL)
        return met;
    unsigned starts = s->v.starts;
    bool there = visible(s, row);
    if (row->either == IN_MEMORY && s->v.starts != starts)
        return met;
    if (!unknown && there != ok)
        fault_where(STDERR_FILENO);
    if (!unknown && there != ok)
        fail_msg("%s, %s %lu%s: answered %u %s, but the effect is %sthere", at.row, at.kind, at.nth,
                 at.for_good ? " and on" : "", status, said(s), there ? "" : "not ");
    /* And what was seen stays. */
    if (atomic_load(&s->v.stopped) > 0) {
        fault_vault_restart(&s->v);
        if (row->arrange == NULL && visible(s, row) != there)
            fail_msg("%s, %s %lu: the effect was %sthere before it was started again", at.row,
                     at.kind, at.nth, there ? "" : "not ");
    }
    return met;
}

static unsigned long each_call(struct scene *s, const struct row *row, enum fault_kind kind,
                               bool for_good)
{
    unsigned long n = 1;
    at.kind = fault_kind_name(kind);
    for (; n < TRIES_MAX; n++) {
        struct fault fault = {
            .kind = kind, .nth = n, .for_good = for_good, .own = row->request.by_library,
            .trace = getenv("KT_FAULT_TRACE") != NULL};
        if (!attempt(s, row, &fault))
            break;
    }
    if (n == TRIES_MAX)
        fail_msg("%s: %s after %s, without an end", row->name, at.kind, at.kind);
    return n - 1;
}

static void begin(struct scene *s)
{
    *s = (struct scene){.n_answered = 0};
    (void)fault_clear(); /* of a row that failed */
    sim_init(&s->sim);
    sim_executor(&s->sim, &s->executor);
    fault_vault_new(&s->v, &s->executor, true);
}

static void end(struct scene *s)
{
    fault_vault_end(&s->v);
    sim_free(&s->sim);
    free(s->answered);
}

/* Allocations at rest: after a vault's life in which nothing failed, so that what a thread keeps for
 * the next one is the same each time. */
static long at_rest(void)
{
    struct scene s;
    struct fault none = {.kind = FAULT_ALLOC};
    begin(&s);
    (void)attempt(&s, &rows[0], &none);
    fault_vault_restart(&s.v);
    fault_vault_check_log(&s.v, NULL, 0);
    end(&s);
    return fault_live();
}

/* What libraries and threads keep for good, they have after this. */
static int settle(void **state)
{
    (void)state;
    make_certs();
    for (unsigned i = 0; i < 3; i++) {
        struct scene s;
        (void)at_rest();
        begin(&s);
        struct fault none = {.kind = FAULT_ALLOC, .trace = true};
        for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++)
            if (rows[k].arrange == NULL)
                (void)attempt(&s, &rows[k], &none);
        end(&s);
    }
    return 0;
}

static void each_request(void **state)
{
    const struct row *row = *state;
    struct scene s;
    long live = at_rest();
    unsigned long met[FAULT_KINDS] = {0}, all = 0;
    begin(&s);
    const char *only = getenv("KT_FAULT_ONLY");
    for (enum fault_kind kind = 0; kind < FAULT_KINDS; kind++) {
        if (only != NULL && strcmp(only, fault_kind_name(kind)) != 0)
            continue;
        met[kind] = each_call(&s, row, kind, false) + each_call(&s, row, kind, true);
        all += met[kind];
    }
    if (s.v.vault->core->audit == NULL && s.n_answered > 0 && row->arrange != be_new)
        fault_vault_unseal(&s.v);
    if (row->arrange != be_new) {
        fault_vault_restart(&s.v);
        if (strcmp(row->name, "health") != 0 && strcmp(row->name, "seal-status") != 0 &&
            row->arrange == NULL)
            fault_vault_check_log(&s.v, (const char(*)[37])s.answered, s.n_answered);
        else
            fault_vault_check_log(&s.v, NULL, 0);
    }
    unsigned starts = s.v.starts;
    end(&s);
    (void)printf("# %-26s", row->name);
    for (enum fault_kind kind = 0; kind < FAULT_KINDS; kind++)
        (void)printf(" %s %lu", fault_kind_name(kind), met[kind]);
    (void)printf(", started %u times\n", starts);
    long left = at_rest() - live;
    for (unsigned i = 0; i < 5 && left != 0; i++) /* a leak stays; a thread's end passes */
        left = at_rest() - live;
    if (left != 0)
        fail_msg("%s: %ld allocations are left", row->name, left);
    assert_true(all > 0);
}

int main(int argc, char **argv)
{
    enum { ROWS = sizeof rows / sizeof rows[0] };
    struct CMUnitTest tests[ROWS];
    if (getenv("KT_FAULT_SHOW") == NULL)
        kt_log_set_level((enum kt_log_level)0); /* failures are what is tested here */
    for (size_t i = 0; i < ROWS; i++) {
        union {
            const struct row *row;
            void *state;
        } initial = {.row = &rows[i]};
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = each_request,
                                       .initial_state = initial.state};
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("fault_requests", tests, settle, free_certs);
}
