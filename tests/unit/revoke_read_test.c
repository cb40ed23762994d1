/* Whose certificate it is that is revoked, and which versions of the issuer are asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ssh_key.h"
#include "tests/support/rotation_scene.h"

#define CA          "secret/ca"
#define TEXT_MAX    8192u
#define UNPROVEN    "no rotation of this secret made it"
#define NOT_ITS_OWN "the key beside the certificate is not its own"

/* ---- words ---- */

/* What stands in a JSON string: PEM has newlines. */
static void escaped(const char *text, char out[2 * TEXT_MAX])
{
    size_t n = 0;
    for (; *text != '\0' && n + 2 < (size_t)2 * TEXT_MAX; text++) {
        if (*text != '\n') {
            out[n++] = *text;
            continue;
        }
        out[n++] = '\\';
        out[n++] = 'n';
    }
    out[n] = '\0';
}

static void path_of(char out[128], const char *what, const char *secret)
{
    (void)snprintf(out, 128, "%s/%s", what, secret);
}

static void set_up(struct scene *s, const char *secret, const char *generator)
{
    static char body[6 * TEXT_MAX];
    char path[128];
    path_of(path, "rotation/secrets", secret);
    (void)snprintf(body, sizeof body, "{\"generator\":{%s}}", generator);
    need(s, 204, "POST", path, body);
}

static void rotates(struct scene *s, const char *secret)
{
    char path[128];
    path_of(path, "rotation/rotate", secret);
    need(s, 200, "POST", path, "{}");
}

/* A member of a secret's current version. `secret` without its mount. */
static void member(struct scene *s, const char *secret, const char *name, char out[TEXT_MAX])
{
    char path[128], dotted[64];
    path_of(path, "secret/data", secret);
    (void)snprintf(dotted, sizeof dotted, "data.data.%s", name);
    need(s, 200, "GET", path, NULL);
    text_at(s, dotted, out, TEXT_MAX);
}

/* A new version with these members, by somebody who may write the secret. */
static void writes(struct scene *s, const char *secret, const char *members)
{
    static char body[6 * TEXT_MAX];
    char path[128];
    path_of(path, "secret/data", secret);
    (void)snprintf(body, sizeof body, "{\"data\":{%s}}", members);
    need(s, 200, "POST", path, body);
}

/* The certificate of one secret stands in another. */
static void writes_certificate_of(struct scene *s, const char *from, const char *to)
{
    static char text[TEXT_MAX], inside[2 * TEXT_MAX], members[5 * TEXT_MAX];
    member(s, from, "certificate", text);
    escaped(text, inside);
    (void)snprintf(members, sizeof members, "\"certificate\":\"%s\"", inside);
    writes(s, to, members);
}

static void revokes_it(struct scene *s, const char *secret)
{
    char path[128];
    path_of(path, "rotation/revoke/secret", secret);
    need(s, 200, "POST", path, "{\"reason\":\"lost\"}");
}

static void refuses(struct scene *s, const char *secret, const char *body, const char *why)
{
    char path[128];
    path_of(path, "rotation/revoke/secret", secret);
    need(s, 400, "POST", path, body);
    says(s, why);
}

static void nothing_is_revoked(struct scene *s)
{
    need(s, 200, "GET", "rotation/issuers/" CA, NULL);
    says(s, "\"revoked\":[]");
}

/* ---- both kinds ---- */

/* A new key's request: PKCS#10 for the one, a line for the other. In a JSON string. */
static void x509_request(char out[2 * TEXT_MAX])
{
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crq_t crq = NULL;
    gnutls_datum_t pem = {NULL, 0};
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(key, GNUTLS_PK_EDDSA_ED25519, 0, 0), 0);
    assert_int_equal(gnutls_x509_crq_init(&crq), 0);
    assert_int_equal(gnutls_x509_crq_set_key(crq, key), 0);
    assert_int_equal(gnutls_x509_crq_sign2(crq, key, GNUTLS_DIG_SHA512, 0), 0);
    assert_int_equal(gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_PEM, &pem), 0);
    escaped((const char *)pem.data, out);
    gnutls_free(pem.data);
    gnutls_x509_crq_deinit(crq);
    gnutls_x509_privkey_deinit(key);
}

static void ssh_request(char out[2 * TEXT_MAX])
{
    kt_autosecret struct kt_secret *key = NULL;
    kt_autobuf struct kt_buf line;
    kt_buf_init(&line, KT_SSH_TEXT_MAX);
    assert_int_equal(kt_ssh_key_new(&key, NULL), KT_OK);
    assert_int_equal(kt_ssh_public_write(kt_ssh_public_of(key), "", &line, NULL), KT_OK);
    (void)snprintf(out, (size_t)2 * TEXT_MAX, "%s", kt_buf_text(&line));
}

struct sort {
    const char *authority, *type;
    void (*request)(char out[2 * TEXT_MAX]);
    const char *damaged; /* a version of the issuer whose key is none */
};
static struct sort x509 = {"\"type\":\"x509-ca\",\"common_name\":\"Root\"", "x509", x509_request,
                                 "\"private_key\":\"x\",\"certificate\":\"y\""};
static struct sort ssh = {"\"type\":\"ssh-ed25519\"", "ssh-cert", ssh_request, "\"private_key\":\"x\""};

static char request_text[2 * TEXT_MAX];

/* With the key made here, or for the one of the request. */
static void wants(struct scene *s, const struct sort *sort, const char *secret, bool by_request)
{
    static char generator[5 * TEXT_MAX];
    (void)snprintf(generator, sizeof generator, "\"type\":\"%s\",\"issuer\":\"" CA "\",\"names\":\"a.example.com\"%s%s%s",
                   sort->type, by_request ? ",\"request\":\"" : "", by_request ? request_text : "", by_request ? "\"" : "");
    set_up(s, secret, generator);
}

/* A certificate for a key that somebody else has. */
static void made_by_request(struct scene *s, const struct sort *sort, const char *secret)
{
    sort->request(request_text);
    wants(s, sort, secret, true);
    rotates(s, secret);
}

static struct scene *authority(const struct sort *sort)
{
    struct scene *s = scene(scene_alternate);
    if (strcmp(sort->type, "ssh-cert") == 0)
        need(s, 204, "POST", "rotation/secrets/" CA, "{\"password_field\":\"private_key\",\"username_field\":\"user\"}");
    set_up(s, CA, sort->authority);
    rotates(s, CA);
    return s;
}

static void sets_up_list(struct scene *s, const struct sort *sort)
{
    set_up(s, "secret/list", strcmp(sort->type, "x509") == 0 ? "\"type\":\"x509-crl\",\"issuer\":\"" CA "\""
                                                             : "\"type\":\"ssh-krl\",\"issuer\":\"" CA "\"");
}

static void lists_so_many(struct scene *s, const char *how_many)
{
    rotates(s, "secret/list");
    need(s, 200, "GET", "secret/data/list", NULL);
    says(s, how_many);
}

/* ---- whose it is ---- */

static void by_its_rotation(void **state)
{
    const struct sort *sort = *state;
    struct scene *s = authority(sort);
    made_by_request(s, sort, "secret/host");
    revokes_it(s, "host");
    need(s, 200, "GET", "rotation/issuers/" CA, NULL);
    says(s, "\"secret\":\"secret/host\"");
    scene_end(s);
}

/* Its host has another key now: what was signed for the one before is still this secret's. */
static void of_a_key_of_before(void **state)
{
    const struct sort *sort = *state;
    struct scene *s = authority(sort);
    made_by_request(s, sort, "secret/host");
    made_by_request(s, sort, "secret/host");
    need(s, 200, "POST", "rotation/revoke/secret/host", "{\"version\":1}");
    says(s, "\"version\":1");
    scene_end(s);
}

/* Its public key is no secret, nor is the certificate: whoever may have the issuer sign, write and revoke a secret of
 * his own sets the one as a request and writes the other. */
static void anothers_by_request(void **state)
{
    const struct sort *sort = *state;
    struct scene *s = authority(sort);
    made_by_request(s, sort, "secret/host");
    wants(s, sort, "secret/mine", true);
    writes_certificate_of(s, "host", "mine");
    refuses(s, "mine", "{}", UNPROVEN);
    nothing_is_revoked(s);
    rotates(s, "secret/mine");
    refuses(s, "mine", "{\"version\":1}", UNPROVEN);
    nothing_is_revoked(s);
    scene_end(s);
}

static void anothers_by_key(void **state)
{
    const struct sort *sort = *state;
    struct scene *s = authority(sort);
    wants(s, sort, "secret/host", false);
    rotates(s, "secret/host");
    wants(s, sort, "secret/mine", false);
    rotates(s, "secret/mine");
    static char key[TEXT_MAX], inside[2 * TEXT_MAX], both[5 * TEXT_MAX], certificate[2 * TEXT_MAX];
    member(s, "mine", "private_key", key);
    escaped(key, inside);
    member(s, "host", "certificate", key);
    escaped(key, certificate);
    (void)snprintf(both, sizeof both, "\"private_key\":\"%s\",\"certificate\":\"%s\"", inside, certificate);
    writes(s, "mine", both);
    refuses(s, "mine", "{}", NOT_ITS_OWN);
    nothing_is_revoked(s);
    scene_end(s);
}

/* A rotation that signs nothing leaves what is in the secret as it is: that makes nothing of it its own. */
static void anothers_by_other_rotations(void **state)
{
    const struct sort *sort = *state;
    struct scene *s = authority(sort);
    made_by_request(s, sort, "secret/host");
    writes_certificate_of(s, "host", "mine");
    set_up(s, "secret/mine", "\"type\":\"password\"");
    rotates(s, "secret/mine");
    wants(s, sort, "secret/mine", true);
    refuses(s, "mine", "{}", UNPROVEN);
    set_up(s, "secret/mine", strcmp(sort->type, "x509") == 0 ? "\"type\":\"x509-crl\",\"issuer\":\"" CA "\""
                                                             : "\"type\":\"ssh-krl\",\"issuer\":\"" CA "\"");
    rotates(s, "secret/mine");
    wants(s, sort, "secret/mine", true);
    refuses(s, "mine", "{}", UNPROVEN);
    nothing_is_revoked(s);
    scene_end(s);
}

/* Going back keeps whose it is: what a rotation made, and what somebody wrote. */
static void back_again(void **state)
{
    const struct sort *sort = *state;
    struct scene *s = authority(sort);
    made_by_request(s, sort, "secret/host");
    wants(s, sort, "secret/mine", true);
    writes_certificate_of(s, "host", "mine");
    rotates(s, "secret/mine");
    need(s, 200, "POST", "rotation/rotate/secret/mine", "{\"back\":true}");
    refuses(s, "mine", "{\"version\":3}", UNPROVEN);
    nothing_is_revoked(s);
    rotates(s, "secret/host");
    need(s, 200, "POST", "rotation/rotate/secret/host", "{\"back\":true}");
    need(s, 200, "POST", "rotation/revoke/secret/host", "{\"version\":3}");
    scene_end(s);
}

/* Who may read a secret and copy it has its certificate, and nothing to say about it. */
static void anothers_by_copy(void **state)
{
    const struct sort *sort = *state;
    struct scene *s = authority(sort);
    made_by_request(s, sort, "secret/host");
    need(s, 200, "POST", "secret/copy/host", "{\"to\":\"secret/mine\"}");
    wants(s, sort, "secret/mine", true);
    refuses(s, "mine", "{}", UNPROVEN);
    nothing_is_revoked(s);
    scene_end(s);
}

/* ---- the issuer's versions ---- */

/* A note from before it was an issuer, and one between: neither signed anything. */
static void versions_without_a_key(void **state)
{
    const struct sort *sort = *state;
    struct scene *s = scene(scene_alternate);
    writes(s, "ca", "\"note\":\"to do\"");
    if (strcmp(sort->type, "ssh-cert") == 0)
        need(s, 204, "POST", "rotation/secrets/" CA, "{\"password_field\":\"private_key\",\"username_field\":\"user\"}");
    set_up(s, CA, sort->authority);
    writes(s, "ca", "\"private_key\":null,\"certificate\":null");
    writes(s, "ca", "\"private_key\":\"\"");
    rotates(s, CA);
    wants(s, sort, "secret/host", false);
    rotates(s, "secret/host");
    revokes_it(s, "host");
    sets_up_list(s, sort);
    lists_so_many(s, "\"revoked\":1");
    scene_end(s);
}

static void damaged_with(const struct sort *sort, const char *members, const char *why)
{
    struct scene *s = authority(sort);
    wants(s, sort, "secret/host", false);
    rotates(s, "secret/host");
    sets_up_list(s, sort);
    writes(s, "ca", members);
    rotates(s, CA);
    need(s, 400, "POST", "rotation/rotate/secret/list", "{}");
    says(s, "version 2 of the issuer '" CA "'");
    says(s, why);
    says(s, "secretctl kv delete -versions=2 " CA);
    need(s, 204, "POST", "secret/delete/ca", "{\"versions\":[2]}");
    need(s, 200, "POST", "rotation/rotate/secret/list", "{}");
    scene_end(s);
}

static void a_damaged_key_is_named(void **state)
{
    const struct sort *sort = *state;
    damaged_with(sort, sort->damaged, "");
    damaged_with(sort, "\"private_key\":{\"a\":1}", "its private_key is no text");
}

/* Each version ends by itself one day: until then it is there. */
static void versions_that_will_end(void **state)
{
    const struct sort *sort = *state;
    struct scene *s = scene(scene_alternate);
    need(s, 204, "POST", "secret/metadata/ca", "{\"delete_version_after\":\"24h\"}");
    if (strcmp(sort->type, "ssh-cert") == 0)
        need(s, 204, "POST", "rotation/secrets/" CA, "{\"password_field\":\"private_key\",\"username_field\":\"user\"}");
    set_up(s, CA, sort->authority);
    rotates(s, CA);
    wants(s, sort, "secret/host", false);
    rotates(s, "secret/host");
    revokes_it(s, "host");
    scene_end(s);
}

/* ---- the issuer's versions come and go, the lists have what they signed ---- */

/* A list of one that the first version of the issuer signed. */
static struct scene *one_is_revoked(const struct sort *sort)
{
    struct scene *s = authority(sort);
    wants(s, sort, "secret/host", false);
    rotates(s, "secret/host");
    revokes_it(s, "host");
    sets_up_list(s, sort);
    lists_so_many(s, "\"revoked\":1");
    return s;
}

/* Not though the issuer has a new version as often as KV keeps some. */
static void nothing_is_forgotten(void **state)
{
    struct scene *s = one_is_revoked(*state);
    for (int i = 0; i < 12; i++)
        rotates(s, CA);
    lists_so_many(s, "\"revoked\":1");
    scene_end(s);
}

static void passes(struct scene *s, int64_t ms)
{
    while (!goes_by(s, ms))
        pause_ms(1);
}

/* Nor when somebody deletes what signed it: an X.509 list needs its key, which stays. */
static void who_signed_is_kept(void **state)
{
    static const char *const ways[] = {"secret/delete/ca", "secret/destroy/ca"};
    const struct sort *sort = *state;
    struct scene *s = one_is_revoked(sort);
    rotates(s, CA);
    rotates(s, CA);
    for (size_t i = 0; i < 2; i++) {
        need(s, strcmp(sort->type, "x509") == 0 ? 400 : 204, "POST", ways[i], "{\"versions\":[1]}");
        if (strcmp(sort->type, "x509") == 0)
            says(s, "version 1 signed certificates that were revoked");
        lists_so_many(s, "\"revoked\":1");
    }
    scene_end(s);
}

static void kept_until_they_end(void **state)
{
    struct scene *s = one_is_revoked(*state);
    rotates(s, CA);
    rotates(s, CA);
    passes(s, (int64_t)100 * 86400 * 1000);
    need(s, 204, "POST", "secret/destroy/ca", "{\"versions\":[1]}");
    lists_so_many(s, "\"revoked\":0");
    scene_end(s);
}

/* Nor by itself. */
static void it_does_not_delete_itself(void **state)
{
    struct scene *s = authority(*state);
    need(s, 204, "POST", "secret/metadata/ca", "{\"delete_version_after\":\"1h\"}");
    rotates(s, CA);
    wants(s, *state, "secret/host", false);
    rotates(s, "secret/host");
    revokes_it(s, "host");
    rotates(s, CA);
    rotates(s, CA);
    sets_up_list(s, *state);
    passes(s, (int64_t)2 * 3600 * 1000);
    lists_so_many(s, "\"revoked\":1");
    scene_end(s);
}

/* The whole authority is gone, with a warning, and another has its name. A host may trust SSH's for good, so its list
 * has it still; an X.509 list cannot be signed, and does not lack one without a word. */
static void another_of_the_same_name(void **state)
{
    const struct sort *sort = *state;
    bool is_x509 = strcmp(sort->type, "x509") == 0;
    struct scene *s = authority(sort);
    rotates(s, CA);
    wants(s, sort, "secret/host", false);
    rotates(s, "secret/host");
    revokes_it(s, "host");
    sets_up_list(s, sort);
    need(s, 204, "DELETE", "rotation/secrets/" CA, NULL);
    need(s, is_x509 ? 200 : 204, "DELETE", "secret/metadata/ca", NULL);
    if (is_x509)
        says(s, "there will be no list of them any more");
    else
        need(s, 204, "POST", "rotation/secrets/" CA, "{\"password_field\":\"private_key\",\"username_field\":\"user\"}");
    set_up(s, CA, sort->authority);
    rotates(s, CA);
    if (is_x509) {
        need(s, 400, "POST", "rotation/rotate/secret/list", "{}");
        says(s, "version 2 of the issuer '" CA "', which signed 1 revoked certificate that has not ended, is gone");
    } else {
        lists_so_many(s, "\"revoked\":1");
    }
    scene_end(s);
}

#define EACH_SORT(fn)                                                                                                  \
    {#fn " (x509)", fn, NULL, NULL, &x509}, {#fn " (ssh)", fn, NULL, NULL, &ssh}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_SORT(by_its_rotation),
        EACH_SORT(of_a_key_of_before),
        EACH_SORT(anothers_by_request),
        EACH_SORT(anothers_by_key),
        EACH_SORT(anothers_by_other_rotations),
        EACH_SORT(back_again),
        EACH_SORT(anothers_by_copy),
        EACH_SORT(versions_without_a_key),
        EACH_SORT(a_damaged_key_is_named),
        EACH_SORT(versions_that_will_end),
        EACH_SORT(nothing_is_forgotten),
        EACH_SORT(who_signed_is_kept),
        {"kept_until_they_end", kept_until_they_end, NULL, NULL, &x509},
        {"it_does_not_delete_itself", it_does_not_delete_itself, NULL, NULL, &x509},
        EACH_SORT(another_of_the_same_name),
    };
    return cmocka_run_group_tests_name("whose certificate is revoked", tests, NULL, NULL);
}
