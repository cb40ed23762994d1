/* Vault's API as its clients know it, asked through the pipeline without a socket. Each scenario is a
 * list of steps; a step that answers otherwise names itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/vault.h"

/* Steps leave out what they do not ask. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define ROOT "R"
#define NONE "-"
#define BAD  "bad"
#define TEXT(s) "\"" s "\""

struct step {
    const char *method, *path;
    const char *who;  /* R root, - nobody, bad: nonsense, T: the scenario's token */
    const char *body; /* NULL: none */
    unsigned status;
    const char *says;     /* NULL: whatever */
    const char *says_not; /* NULL: whatever */
};
struct scenario {
    const char *name;
    const char *policy; /* of T; NULL: there is no T */
    const struct step *steps;
    size_t n;
};

#define STEPS(...) (const struct step[]){__VA_ARGS__}, sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step)

#define EIGHT   "xxxxxxxx"
#define BYTES64 EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT
#define KIB     BYTES64 BYTES64 BYTES64 BYTES64 BYTES64 BYTES64 BYTES64 BYTES64 \
                BYTES64 BYTES64 BYTES64 BYTES64 BYTES64 BYTES64 BYTES64 BYTES64

#define DEEP_10  "a/b/c/d/e/f/g/h/i/"
#define DEEP_30  DEEP_10 "j/" DEEP_10 "j/" DEEP_10 "j"
#define DEEP_31  DEEP_30 "/k"
#define BYTES127 BYTES64 EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT "xxxxxxx"
#define NAME_KIB BYTES127 "/" BYTES127 "/" BYTES127 "/" BYTES127 "/" BYTES127 "/" BYTES127 "/" BYTES127 "/" BYTES127 "x"

/* clang-format off */
static const struct scenario scenarios[] = {
{ "envelope has all keys", NULL, STEPS(
    { "POST", "secret/data/a", ROOT, "{\"data\":{\"k\":\"v\"}}", 200, "\"version\":1" },
    { "GET", "secret/data/a", ROOT, NULL, 200, "\"lease_id\":\"\",\"renewable\":false,\"lease_duration\":0,\"data\":{\"data\":{\"k\":\"v\"},\"metadata\":{" },
    { "GET", "secret/data/a", ROOT, NULL, 200, "\"wrap_info\":null,\"warnings\":null,\"auth\":null" }) },
{ "PUT and POST are the same", NULL, STEPS(
    { "PUT", "secret/data/a", ROOT, "{\"data\":{\"k\":1}}", 200, "\"version\":1" },
    { "POST", "secret/data/a", ROOT, "{\"data\":{\"k\":2}}", 200, "\"version\":2" }) },
{ "numbers keep every digit", NULL, STEPS(
    { "PUT", "secret/data/n", ROOT, "{\"data\":{\"a\":12345678901234567890,\"b\":1.10,\"c\":1E2}}", 200 },
    { "GET", "secret/data/n", ROOT, NULL, 200, "{\"a\":12345678901234567890,\"b\":1.10,\"c\":1E2}" }) },
{ "every spelling of a list", NULL, STEPS(
    { "PUT", "secret/data/x/y", ROOT, "{\"data\":{}}", 200 },
    { "PUT", "secret/data/b", ROOT, "{\"data\":{}}", 200 },
    { "LIST", "secret/metadata", ROOT, NULL, 200, "{\"keys\":[\"b\",\"x/\"]}" },
    { "LIST", "secret/metadata/", ROOT, NULL, 200, "{\"keys\":[\"b\",\"x/\"]}" },
    { "GET", "secret/metadata?list=true", ROOT, NULL, 200, "{\"keys\":[\"b\",\"x/\"]}" },
    { "GET", "secret/metadata?list=1", ROOT, NULL, 200, "{\"keys\":[\"b\",\"x/\"]}" },
    { "GET", "secret/metadata?list=True", ROOT, NULL, 200, "{\"keys\":[\"b\",\"x/\"]}" },
    { "GET", "secret/metadata?list=yes", ROOT, NULL, 400, "{\"errors\":[]}" },
    { "LIST", "secret/metadata/x", ROOT, NULL, 200, "{\"keys\":[\"y\"]}" },
    { "LIST", "secret/metadata/none", ROOT, NULL, 404, "{\"errors\":[]}" },
    { "DELETE", "secret/metadata/x/y", ROOT, NULL, 204 },
    { "LIST", "secret/metadata", ROOT, NULL, 200, "{\"keys\":[\"b\"]}" },
    { "LIST", "secret/data/b", ROOT, NULL, 405, "unsupported operation" }) },
{ "methods and paths that are not there", "path \"none\" { capabilities = [\"read\"] }", STEPS(
    { "DELETE", "sys/health", ROOT, NULL, 405 },
    { "FOO", "sys/mounts", ROOT, NULL, 405, "{\"errors\":[]}" },
    { "GET", "sys/nope", ROOT, NULL, 404, "unsupported path" },
    { "GET", "nope/x", ROOT, NULL, 404, "no handler for route \\\"nope/x\\\"" },
    { "GET", "sys/nope", "T", NULL, 403 }, { "GET", "nope/x", "T", NULL, 403 },
    { "GET", "nope/x", NONE, NULL, 403, "permission denied" },
    { "POST", "secret/data/a/", NONE, "{}", 400, "cannot write to a path ending in '/'" },
    { "GET", "secret/data/%2e%2e/x", ROOT, NULL, 400, "relative paths not supported" },
    { "GET", "secret/data//x", ROOT, NULL, 400 },
    { "GET", "secret/data/a%00b", ROOT, NULL, 400 }, { "GET", "secret/data/a%zz", ROOT, NULL, 400 },
    { "GET", "secret/data/%ff", ROOT, NULL, 400 } ) },
{ "an escaped slash separates", NULL, STEPS(
    { "PUT", "secret/data/a%2Fb", ROOT, "{\"data\":{\"k\":\"v\"}}", 200 },
    { "GET", "secret/data/a/b", ROOT, NULL, 200, "\"k\":\"v\"" }) },
{ "bodies that are not right", NULL, STEPS(
    { "POST", "secret/data/a", ROOT, "[1]", 400, "failed to decode JSON input" },
    { "POST", "secret/data/a", ROOT, "{\"data\":", 400, "failed to decode JSON input" },
    { "POST", "secret/data/a", ROOT, "{\"data\":{\"a\":1,\"a\":2}}", 400, "failed to decode JSON input" },
    { "POST", "secret/data/a", ROOT, "{\"x\":1}", 400, "no data provided" },
    { "POST", "secret/data/a", ROOT, "{\"data\":\"hunter2\"}", 400, "object", "hunter2" },
    { "POST", "secret/data/a", ROOT, "{\"data\":{}}", 200 },
    { "POST", "secret/data/a", ROOT, "{\"data\":null}", 200 },
    { "POST", "auth/token/create", ROOT, "{\"ttl\":\"hunter2\"}", 400, "ttl", "hunter2" },
    { "POST", "auth/token/create", ROOT, "{\"num_uses\":[\"hunter2\"]}", 400, "num_uses", "hunter2" },
    { "PATCH", "secret/data/a", ROOT, "{\"data\":{\"k\":1}}", 200 } ) },
{ "check and set", NULL, STEPS(
    { "POST", "secret/data/a", ROOT, "{\"data\":{},\"options\":{\"cas\":0}}", 200, "\"version\":1" },
    { "POST", "secret/data/a", ROOT, "{\"data\":{},\"options\":{\"cas\":0}}", 400, "check-and-set parameter did not match" },
    { "POST", "secret/data/a", ROOT, "{\"data\":{},\"options\":{\"cas\":\"1\"}}", 200, "\"version\":2" },
    { "POST", "secret/metadata/a", ROOT, "{\"cas_required\":true}", 204 },
    { "POST", "secret/data/a", ROOT, "{\"data\":{}}", 400, "check-and-set parameter required" } ) },
{ "delete, undelete, destroy", NULL, STEPS(
    { "POST", "secret/data/a", ROOT, "{\"data\":{\"k\":\"1\"}}", 200 },
    { "POST", "secret/data/a", ROOT, "{\"data\":{\"k\":\"2\"}}", 200 },
    { "DELETE", "secret/data/a", ROOT, NULL, 204 },
    { "GET", "secret/data/a", ROOT, NULL, 404, "\"data\":{\"data\":null,\"metadata\"", "\"deletion_time\":\"\"" },
    { "GET", "secret/data/a?version=1", ROOT, NULL, 200, "\"k\":\"1\"" },
    { "POST", "secret/undelete/a", ROOT, "{\"versions\":\"2\"}", 204 },
    { "GET", "secret/data/a", ROOT, NULL, 200, "\"k\":\"2\"" },
    { "POST", "secret/destroy/a", ROOT, "{\"versions\":[2]}", 204 },
    { "GET", "secret/data/a", ROOT, NULL, 404, "\"destroyed\":true" },
    { "POST", "secret/undelete/a", ROOT, "{\"versions\":[2]}", 204 },
    { "GET", "secret/data/a", ROOT, NULL, 404, "\"destroyed\":true" },
    { "POST", "secret/destroy/a", ROOT, "{}", 400, "no version number provided" },
    { "GET", "secret/data/a?version=99", ROOT, NULL, 404, "{\"errors\":[]}" },
    { "GET", "secret/data/a?version=-1", ROOT, NULL, 404, "\"destroyed\":true" },
    { "GET", "secret/data/none", ROOT, NULL, 404, "{\"errors\":[]}" },
    { "DELETE", "secret/data/none", ROOT, NULL, 204 } ) },
{ "metadata and custom metadata", NULL, STEPS(
    { "POST", "secret/metadata/n", ROOT, "{\"custom_metadata\":{\"a\":\"b\"}}", 204 },
    { "GET", "secret/metadata/n", ROOT, NULL, 200, "\"current_version\":0" },
    { "GET", "secret/data/n", ROOT, NULL, 404, "{\"errors\":[]}" },
    { "PATCH", "secret/metadata/n", ROOT, "{\"custom_metadata\":{\"a\":null,\"c\":1}}", 204 },
    { "GET", "secret/metadata/n", ROOT, NULL, 200, "\"custom_metadata\":{\"c\":\"1\"}" },
    { "POST", "secret/data/n", ROOT, "{\"data\":{\"k\":1},\"options\":{\"cas\":0}}", 200 },
    { "POST", "secret/metadata/none", ROOT, "{\"bogus\":1}", 204 },
    { "GET", "secret/metadata/none", ROOT, NULL, 404 },
    { "PATCH", "secret/metadata/none", ROOT, "{\"max_versions\":1}", 404 },
    { "POST", "secret/metadata/n", ROOT, "{\"custom_metadata\":{\"a\":{\"b\":1}}}", 400, "custom_metadata validation failed" },
    { "POST", "secret/metadata/php", ROOT, "{\"custom_metadata\":[]}", 204 },
    { "DELETE", "secret/metadata/n", ROOT, NULL, 204 },
    { "GET", "secret/metadata/n", ROOT, NULL, 404 } ) },
{ "patch merges", NULL, STEPS(
    { "POST", "secret/data/a", ROOT, "{\"data\":{\"x\":{\"y\":1,\"w\":2},\"k\":\"v\"}}", 200 },
    { "PATCH", "secret/data/a", ROOT, "{\"data\":{\"x\":{\"y\":null},\"z\":[1]}}", 200, "\"version\":2" },
    { "GET", "secret/data/a", ROOT, NULL, 200, "{\"x\":{\"w\":2},\"k\":\"v\",\"z\":[1]}" },
    { "PATCH", "secret/data/none", ROOT, "{\"data\":{}}", 404 },
    { "DELETE", "secret/data/a", ROOT, NULL, 204 },
    { "PATCH", "secret/data/a", ROOT, "{\"data\":{}}", 404, "\"version\":2" } ) },
{ "subkeys, config, wrong paths", NULL, STEPS(
    { "POST", "secret/data/a", ROOT, "{\"data\":{\"x\":{\"y\":1},\"k\":[1]}}", 200 },
    { "GET", "secret/subkeys/a", ROOT, NULL, 200, "\"subkeys\":{\"x\":{\"y\":null},\"k\":null}" },
    { "GET", "secret/subkeys/a?depth=1", ROOT, NULL, 200, "\"subkeys\":{\"x\":null,\"k\":null}" },
    { "GET", "secret/config", ROOT, NULL, 200, "\"delete_version_after\":\"0s\"" },
    { "POST", "secret/config", ROOT, "{\"max_versions\":5,\"delete_version_after\":\"3h25m19s\"}", 204 },
    { "GET", "secret/config", ROOT, NULL, 200, "\"delete_version_after\":\"3h25m19s\",\"max_versions\":5" },
    { "GET", "secret/a", ROOT, NULL, 404, "Invalid path for a versioned K/V secrets engine" } ) },
{ "who is asked for", "path \"secret/data/ok\" { capabilities = [\"read\"] }", STEPS(
    { "GET", "secret/data/a", NONE, NULL, 403, "permission denied" },
    { "GET", "secret/data/a", BAD, NULL, 403, "invalid token" },
    { "GET", "secret/data/a", "T", NULL, 403, "permission denied", "invalid token" },
    { "GET", "secret/data/ok", "T", NULL, 404 },
    { "GET", "auth/token/lookup-self", "T", NULL, 200, "\"policies\":[\"default\",\"t\"]" } ) },
{ "create against update", "path \"secret/data/c\" { capabilities = [\"create\"] } path \"secret/data/u\" { capabilities = [\"update\"] }", STEPS(
    { "POST", "secret/data/c", "T", "{\"data\":{}}", 200 },
    { "POST", "secret/data/c", "T", "{\"data\":{}}", 403 },
    { "POST", "secret/data/u", "T", "{\"data\":{}}", 403 },
    { "POST", "secret/data/u", ROOT, "{\"data\":{}}", 200 },
    { "DELETE", "secret/data/u", ROOT, NULL, 204 },
    { "POST", "secret/data/u", "T", "{\"data\":{}}", 200 } ) },
{ "the most specific pattern decides", "path \"secret/data/*\" { capabilities = [\"read\"] } path \"secret/data/super\" { capabilities = [\"deny\"] } path \"secret/data/a/*\" { capabilities = [\"list\"] } path \"secret/metadata\" { capabilities = [\"list\"] }", STEPS(
    { "GET", "secret/data/super", "T", NULL, 403 }, { "GET", "secret/data/superb", "T", NULL, 404 },
    { "GET", "secret/data/a/b", "T", NULL, 403 },
    { "POST", "secret/data/k", ROOT, "{\"data\":{}}", 200 },
    { "LIST", "secret/metadata", "T", NULL, 200 }, { "LIST", "secret/metadata/", "T", NULL, 200 } ) },
{ "tokens: root's look-up", NULL, STEPS(
    { "GET", "auth/token/lookup-self", ROOT, NULL, 200, "\"expire_time\":null" },
    { "GET", "auth/token/lookup-self", ROOT, NULL, 200, "\"meta\":null,\"num_uses\":0,\"orphan\":true,\"path\":\"auth/token/root\",\"policies\":[\"root\"]" },
    { "POST", "auth/token/renew-self", ROOT, NULL, 400 } ) },
{ "tokens: life", NULL, STEPS(
    { "POST", "auth/token/create", ROOT, "{\"policies\":[\"default\"],\"ttl\":\"30m\",\"explicit_max_ttl\":\"5m\"}", 200, "\"lease_duration\":300" },
    { "POST", "auth/token/create", ROOT, "{\"policies\":[\"default\"],\"ttl\":\"2000h\"}", 200, "\"lease_duration\":2764800" },
    { "POST", "auth/token/create", ROOT, "{\"policies\":[\"default\"],\"period\":\"30m\"}", 200, "\"lease_duration\":1800" },
    { "POST", "auth/token/create", ROOT, "{\"policies\":[\"default\"],\"bogus\":1}", 200, "Endpoint ignored these unrecognized parameters: [bogus]" },
    { "POST", "auth/token/create", ROOT, "{\"policies\":[\"zz\"]}", 200, "Policy \\\"zz\\\" does not exist" },
    { "POST", "auth/token/create", ROOT, "{\"policies\":[\"default\"],\"meta\":{\"k\":\"v\"}}", 200, "\"metadata\":{\"k\":\"v\"}" },
    { "POST", "auth/token/create", ROOT, "{\"policies\":[\"default\"],\"meta\":\"k=v\"}", 200, "\"metadata\":{\"k\":\"v\"}" },
    { "POST", "auth/token/create", ROOT, "{\"policies\":[\"default\"]}", 200, "\"metadata\":null" },
    { "POST", "auth/token/create", ROOT, "{\"policies\":[\"\"],\"ttl\":\"5m\"}", 200, "\"token_policies\":[\"default\"]" },
    { "POST", "auth/token/create-orphan", ROOT, "{\"policies\":[\"\",\" \"]}", 200, "\"token_policies\":[\"default\"]" },
    { "POST", "auth/token/create", ROOT, "{\"policies\":[]}", 200, "\"token_policies\":[\"root\"]" },
    { "POST", "auth/token/create", ROOT, "{\"ttl\":\"5m\",\"num_uses\":3}", 200,
      "\"lease_duration\":300,\"renewable\":true,\"entity_id\":\"\",\"token_type\":\"service\",\"orphan\":false,\"mfa_requirement\":null,\"num_uses\":3}" },
    { "POST", "auth/token/create", ROOT, "{\"type\":\"bogus\"}", 400, "invalid 'token_type' value" },
    { "POST", "auth/token/create", ROOT, "{\"id\":\"my-id\"}", 200, "\"client_token\":\"my-id\"" },
    { "POST", "auth/token/create", ROOT, "{\"id\":\"my-id\"}", 400, "duplicate" },
    { "POST", "auth/token/create", ROOT, "{\"id\":\"a.b\"}", 400 },
    { "POST", "auth/token/lookup", ROOT, "{\"token\":\"nope\"}", 403, "bad token" },
    { "POST", "auth/token/lookup-accessor", ROOT, "{\"accessor\":\"nope\"}", 400, "invalid accessor" },
    { "POST", "auth/token/revoke", ROOT, "{\"token\":\"nope\"}", 204 } ) },
{ "tokens: children", "path \"auth/token/create\" { capabilities = [\"update\"] }", STEPS(
    { "POST", "auth/token/create", "T", "{\"policies\":[\"b\"]}", 400, "child policies must be subset of parent" },
    { "POST", "auth/token/create", "T", "{}", 200, "\"policies\":[\"default\",\"t\"]" },
    { "POST", "auth/token/create", "T", "{\"policies\":[\"t\"],\"no_default_policy\":true}", 200, "\"policies\":[\"t\"]" },
    { "POST", "auth/token/create", "T", "{\"period\":\"30m\"}", 400, "root or sudo privileges required" },
    { "POST", "auth/token/create", "T", "{\"no_parent\":true}", 400, "root or sudo privileges required" },
    { "POST", "auth/token/create", "T", "{\"id\":\"x\"}", 400, "root or sudo privileges required" },
    { "LIST", "auth/token/accessors", "T", NULL, 403 }, { "LIST", "auth/token/accessors", ROOT, NULL, 200, "keys" } ) },
{ "policies", "path \"sys/policies/acl/*\" { capabilities = [\"update\"] }", STEPS(
    { "PUT", "sys/policies/acl/FOO", ROOT, "{\"policy\":\"path \\\"a\\\" { policy = \\\"write\\\" }\"}", 200, "policy name was converted to foo" },
    { "GET", "sys/policy/foo", ROOT, NULL, 200, "\"rules\":" },
    { "GET", "sys/policies/acl/foo", ROOT, NULL, 200, "\"policy\":" },
    { "GET", "sys/policy", ROOT, NULL, 200, "\"policies\":[\"default\",\"foo\",\"t\",\"root\"]" },
    { "GET", "sys/policies/acl", ROOT, NULL, 405 },
    { "LIST", "sys/policies/acl", ROOT, NULL, 200, "\"keys\"" },
    { "PUT", "sys/policies/acl/root", ROOT, "{\"policy\":\"x\"}", 400, "cannot update \\\"root\\\" policy" },
    { "DELETE", "sys/policies/acl/default", ROOT, NULL, 400, "cannot delete default policy" },
    { "PUT", "sys/policies/acl/bar", ROOT, "{\"policy\":\"path \\\"a\\\" { capabilities = [\\\"raed\\\"] }\"}", 400, "invalid capability" },
    { "PUT", "sys/policies/acl/bar", ROOT, "{\"policy\":\"\"}", 400, "not supplied or empty" },
    { "PUT", "sys/policies/acl/bar", ROOT, "{\"policy\":\"cGF0aCAiYSIgeyBjYXBhYmlsaXRpZXMgPSBbInJlYWQiXSB9\"}", 204 },
    { "GET", "sys/policies/acl/bar", ROOT, NULL, 200, "path \\\"a\\\"" },
    { "GET", "sys/policies/acl/none", ROOT, NULL, 404 },
    { "DELETE", "sys/policies/acl/none", ROOT, NULL, 204 } ) },
{ "capabilities", "path \"secret/data/a\" { capabilities = [\"read\",\"update\",\"create\"] } path \"secret/metadata\" { capabilities = [\"list\"] }", STEPS(
    { "POST", "sys/capabilities-self", "T", "{\"paths\":[\"secret/data/a\",\"b\"]}", 200, "\"data\":{\"secret/data/a\":[\"create\",\"read\",\"update\"],\"b\":[\"deny\"]}" },
    { "POST", "sys/capabilities-self", "T", "{\"path\":\"secret/data/a\"}", 200, "\"capabilities\":[\"create\",\"read\",\"update\"]" },
    { "POST", "sys/capabilities-self", ROOT, "{\"paths\":\"x\"}", 200, "[\"root\"]" },
    { "POST", "sys/capabilities-self", ROOT, "{}", 400, "paths must be supplied" } ) },
{ "mounts", "path \"kv/data/a\" { capabilities = [\"read\"] }", STEPS(
    { "POST", "sys/mounts/kv", ROOT, "{\"type\":\"kv\",\"options\":{\"version\":2}}", 204 },
    { "GET", "sys/mounts", ROOT, NULL, 200, "\"kv/\":{\"accessor\":\"kv_" },
    { "GET", "sys/mounts/kv", ROOT, NULL, 200, "\"options\":{\"version\":\"2\"}" },
    { "POST", "sys/mounts/kv", ROOT, "{\"type\":\"kv-v2\"}", 400, "path is already in use at kv/" },
    { "POST", "sys/mounts/kv/sub", ROOT, "{\"type\":\"kv-v2\"}", 400, "existing mount at kv/" },
    { "POST", "sys/mounts/x", ROOT, "{\"type\":\"bogus\"}", 400, "plugin not found in the catalog" },
    { "POST", "sys/mounts/x", ROOT, "{}", 400, "backend type must be specified as a string" },
    { "GET", "sys/mounts/kv/tune", ROOT, NULL, 200, "\"default_lease_ttl\":2764800" },
    { "POST", "sys/mounts/kv/tune", ROOT, "{\"default_lease_ttl\":\"3600s\"}", 204 },
    { "GET", "sys/mounts/kv/tune", ROOT, NULL, 200, "\"default_lease_ttl\":3600" },
    { "POST", "sys/mounts/kv/tune", ROOT, "{\"options\":{\"version\":\"1\"}}", 400 },
    { "GET", "sys/internal/ui/mounts/kv/data/a", "T", NULL, 200, "\"path\":\"kv/\"" },
    { "GET", "sys/internal/ui/mounts/secret/data/a", "T", NULL, 403, "preflight capability check returned 403" },
    { "GET", "sys/internal/ui/mounts/unknown/x", "T", NULL, 403, "preflight capability check returned 403" },
    { "GET", "sys/mounts/unknown", ROOT, NULL, 400 },
    { "DELETE", "sys/mounts/kv", ROOT, NULL, 204 }, { "DELETE", "sys/mounts/kv", ROOT, NULL, 204 },
    { "DELETE", "sys/mounts/sys", ROOT, NULL, 400, "cannot unmount" },
    { "GET", "kv/data/a", ROOT, NULL, 404, "no handler for route" } ) },
{ "kv version 1", "path \"kv/a\" { capabilities = [\"create\"] } path \"kv/b\" { capabilities = [\"update\"] }", STEPS(
    { "POST", "sys/mounts/kv", ROOT, "{\"type\":\"kv\"}", 204 },
    { "GET", "sys/mounts/kv", ROOT, NULL, 200, "\"options\":null" },
    { "GET", "kv/a", ROOT, NULL, 404, "{\"errors\":[]}" },
    { "POST", "kv/a", "T", "{\"k\":1.0,\"n\":12345678901234567890,\"d\":{\"x\":[null,true]}}", 204 },
    { "POST", "kv/a", "T", "{\"k\":2}", 403 }, { "GET", "kv/a", "T", NULL, 403 },
    { "GET", "kv/a", ROOT, NULL, 200, "\"lease_id\":\"\",\"renewable\":false,\"lease_duration\":2764800,\"data\":{\"k\":1.0,\"n\":12345678901234567890,\"d\":{\"x\":[null,true]}}" },
    { "PUT", "kv/a", ROOT, "{\"other\":\"v\"}", 204 },
    { "GET", "kv/a", ROOT, NULL, 200, "\"data\":{\"other\":\"v\"}" },
    { "POST", "kv/b", "T", "{\"k\":1}", 403 }, { "POST", "kv/b", ROOT, "{\"data\":{\"k\":1},\"options\":{\"cas\":9}}", 204 },
    { "POST", "kv/b", "T", "{\"data\":{\"k\":1},\"options\":{\"cas\":9}}", 204 },
    { "GET", "kv/b", ROOT, NULL, 200, "\"data\":{\"data\":{\"k\":1},\"options\":{\"cas\":9}}" },
    { "POST", "kv/b/c", ROOT, "{\"deep\":1}", 204 }, { "GET", "kv/b", ROOT, NULL, 200, "cas" },
    { "LIST", "kv", ROOT, NULL, 200, "{\"keys\":[\"a\",\"b\",\"b/\"]}" },
    { "GET", "kv/?list=true", ROOT, NULL, 200, "{\"keys\":[\"a\",\"b\",\"b/\"]}" },
    { "LIST", "kv/b", ROOT, NULL, 200, "{\"keys\":[\"c\"]}" }, { "LIST", "kv/none", ROOT, NULL, 404, "{\"errors\":[]}" },
    { "POST", "kv/a", ROOT, "{}", 400, "missing data fields" }, { "POST", "kv/a", ROOT, NULL, 400, "missing data fields" },
    { "POST", "kv", ROOT, "{\"k\":1}", 400, "missing path" }, { "POST", "kv/a/", ROOT, "{\"k\":1}", 400, "cannot write to a path ending in '/'" },
    { "POST", "kv/a", ROOT, "[1]", 400, "failed to decode JSON input" }, { "GET", "kv", ROOT, NULL, 404, "{\"errors\":[]}" },
    { "PATCH", "kv/a", ROOT, "{\"k\":1}", 405, "unsupported operation" },
    { "DELETE", "kv/b", ROOT, NULL, 204 }, { "DELETE", "kv/b", ROOT, NULL, 204 }, { "DELETE", "kv/b/", ROOT, NULL, 204 },
    { "GET", "kv/b", ROOT, NULL, 404, "{\"errors\":[]}" }, { "GET", "kv/b/c", ROOT, NULL, 200, "\"deep\":1" },
    { "DELETE", "kv/b/c", ROOT, NULL, 204 }, { "LIST", "kv", ROOT, NULL, 200, "{\"keys\":[\"a\"]}" } ) },
{ "kv version 1: when to look again", NULL, STEPS(
    { "POST", "sys/mounts/kv", ROOT, "{\"type\":\"kv-v1\",\"config\":{\"default_lease_ttl\":\"1h\"}}", 204 },
    { "POST", "kv/a", ROOT, "{\"k\":1}", 204 }, { "GET", "kv/a", ROOT, NULL, 200, "\"lease_duration\":3600," },
    { "POST", "kv/a", ROOT, "{\"ttl\":\"90\",\"lease\":\"2h\"}", 204 }, { "GET", "kv/a", ROOT, NULL, 200, "\"lease_duration\":90," },
    { "POST", "kv/a", ROOT, "{\"ttl\":\"1h30m\"}", 204 }, { "GET", "kv/a", ROOT, NULL, 200, "\"lease_duration\":5400," },
    { "POST", "kv/a", ROOT, "{\"ttl\":45}", 204 }, { "GET", "kv/a", ROOT, NULL, 200, "\"lease_duration\":45," },
    { "POST", "kv/a", ROOT, "{\"lease\":\"2h\"}", 204 }, { "GET", "kv/a", ROOT, NULL, 200, "\"lease_duration\":7200," },
    { "POST", "kv/a", ROOT, "{\"ttl\":\"\"}", 204 }, { "GET", "kv/a", ROOT, NULL, 200, "\"lease_duration\":0," },
    { "POST", "kv/a", ROOT, "{\"ttl\":\"soon\",\"lease\":5}", 204 }, { "GET", "kv/a", ROOT, NULL, 200, "\"lease_duration\":3600," },
    { "POST", "kv/a", ROOT, "{\"ttl\":-5}", 204 }, { "GET", "kv/a", ROOT, NULL, 200, "\"lease_duration\":3600," },
    { "POST", "kv/a", ROOT, "{\"ttl\":[1]}", 204 }, { "GET", "kv/a", ROOT, NULL, 200, "\"lease_duration\":3600,\"data\":{\"ttl\":[1]}" } ) },
{ "kv: from version 1 to 2", NULL, STEPS(
    { "POST", "sys/mounts/kv", ROOT, "{\"type\":\"generic\"}", 204 },
    { "POST", "kv/a/b", ROOT, "{\"k\":\"one\"}", 204 }, { "POST", "kv/a/b", ROOT, "{\"k\":\"two\"}", 204 },
    { "POST", "kv/data/a", ROOT, "{\"k\":\"below data\"}", 204 },
    { "POST", "rotation/secrets/kv/a/b", ROOT, "{\"strategy\":\"generate\"}", 400, "KV version 1" },
    { "POST", "sys/mounts/kv/tune", ROOT, "{\"options\":{\"version\":\"3\"}}", 400, "must be 1 or 2" },
    { "POST", "sys/mounts/kv/tune", ROOT, "{\"options\":{\"version\":\"1\"}}", 204 },
    { "GET", "sys/mounts/kv", ROOT, NULL, 200, "\"options\":{\"version\":\"1\"}" },
    { "POST", "sys/mounts/kv/tune", ROOT, "{\"options\":{\"version\":2}}", 200, "\"data\":null,\"wrap_info\":null,\"warnings\":[\"Upgrading mount from version 1 to version 2." },
    { "GET", "sys/mounts/kv", ROOT, NULL, 200, "\"options\":{\"version\":\"2\"}" },
    { "POST", "sys/mounts/kv/tune", ROOT, "{\"options\":{\"version\":\"1\"}}", 400, "cannot downgrade mount from version 2" },
    { "GET", "kv/a/b", ROOT, NULL, 404, "Invalid path for a versioned K/V secrets engine" },
    { "GET", "kv/data/a/b", ROOT, NULL, 200, "\"data\":{\"data\":{\"k\":\"two\"},\"metadata\":{\"created_time\":\"2027" },
    { "GET", "kv/data/data/a", ROOT, NULL, 200, "below data" },
    { "LIST", "kv/metadata", ROOT, NULL, 200, "{\"keys\":[\"a/\",\"data/\"]}" },
    { "GET", "kv/metadata/a/b", ROOT, NULL, 200, "\"current_version\":1,\"custom_metadata\":null,\"delete_version_after\":\"0s\",\"max_versions\":0,\"oldest_version\":0" },
    { "POST", "kv/data/a/b", ROOT, "{\"data\":{\"k\":\"three\"},\"options\":{\"cas\":1}}", 200, "\"version\":2" },
    { "GET", "kv/data/a/b?version=1", ROOT, NULL, 200, "two" },
    { "POST", "kv/destroy/a/b", ROOT, "{\"versions\":[1]}", 204 },
    { "GET", "kv/data/a/b?version=1", ROOT, NULL, 404, "\"destroyed\":true" }, { "GET", "kv/data/a/b", ROOT, NULL, 200, "three" },
    { "POST", "rotation/secrets/kv/a/b", ROOT, "{\"strategy\":\"generate\"}", 204 } ) },
{ "a way to log in is tuned with sudo under both its paths", "path \"sys/mounts/auth/+/tune\" { capabilities = [\"read\", \"update\"] } path \"sys/auth/+/tune\" { capabilities = [\"update\"] } path \"sys/mounts/auth/own/tune\" { capabilities = [\"update\", \"sudo\"] }", STEPS(
    { "POST", "sys/auth/up", ROOT, "{\"type\":\"userpass\"}", 204 },
    { "POST", "sys/auth/own", ROOT, "{\"type\":\"userpass\"}", 204 },
    { "POST", "sys/auth/up/tune", "T", "{\"description\":\"d\"}", 403 },
    { "POST", "sys/mounts/auth/up/tune", "T", "{\"description\":\"d\"}", 204 },
    { "POST", "sys/mounts/auth/up/tune", "T", "{\"audit_non_hmac_request_keys\":[\"password\"]}", 403, "needs \\\"sudo\\\" on this path" },
    { "POST", "sys/mounts/auth/up/tune", "T", "{\"max_lease_ttl\":\"9000h\"}", 403, "needs \\\"sudo\\\"" },
    { "POST", "sys/mounts/auth/up/tune", "T", "{\"listing_visibility\":\"unauth\"}", 403, "needs \\\"sudo\\\"" },
    { "GET", "sys/mounts/auth/up/tune", "T", NULL, 200, "\"default_lease_ttl\":2764800,\"description\":\"d\"" },
    { "POST", "sys/mounts/auth/own/tune", "T", "{\"audit_non_hmac_request_keys\":[\"username\"]}", 204 } ) },
{ "kv: an upgrade lifts denies, so it needs sudo", "path \"sys/mounts/+/tune\" { capabilities = [\"update\"] } path \"sys/mounts/own/tune\" { capabilities = [\"update\", \"sudo\"] }", STEPS(
    { "POST", "sys/mounts/kv", ROOT, "{\"type\":\"kv\"}", 204 }, { "POST", "sys/mounts/own", ROOT, "{\"type\":\"kv\"}", 204 },
    { "POST", "sys/mounts/kv/tune", "T", "{\"description\":\"d\",\"options\":{\"version\":\"1\"}}", 204 },
    { "POST", "sys/mounts/kv/tune", "T", "{\"description\":\"e\",\"options\":{\"version\":\"2\"}}", 403, "needs \\\"sudo\\\" on this path" },
    { "GET", "sys/mounts/kv", ROOT, NULL, 200, "\"description\":\"d\",\"external_entropy_access\":false,\"local\":false,\"options\":{\"version\":\"1\"}" },
    { "POST", "sys/mounts/own/tune", "T", "{\"options\":{\"version\":\"2\"}}", 200, "Upgrading mount" },
    { "POST", "sys/mounts/own/tune", "T", "{\"options\":{\"version\":\"2\"}}", 204 } ) },
{ "a name is reached wherever its mount goes", NULL, STEPS(
    { "POST", "sys/mounts/m", ROOT, "{\"type\":\"kv\"}", 204 },
    { "POST", "m/" DEEP_31, ROOT, "{\"k\":\"v\"}", 400, "the name in the mount is too long: 1024 bytes and 30 segments" },
    { "POST", "m/" DEEP_30, ROOT, "{\"k\":\"deep\"}", 204 },
    { "POST", "m/" NAME_KIB "x", ROOT, "{\"k\":\"v\"}", 400, "the name in the mount is too long" },
    { "POST", "m/" NAME_KIB, ROOT, "{\"k\":\"long\"}", 204 },
    { "POST", "sys/remount", ROOT, "{\"from\":\"m\",\"to\":\"1/2/3/4/5/6/7/8/9\"}", 400, "the mount's path is too long: 255 bytes and 8 segments" },
    { "POST", "sys/remount", ROOT, "{\"from\":\"m\",\"to\":\"" BYTES64 BYTES64 BYTES64 "/" BYTES64 "\"}", 400, "the mount's path is too long" },
    { "POST", "sys/mounts/1/2/3/4/5/6/7/8/9", ROOT, "{\"type\":\"kv\"}", 400, "the mount's path is too long" },
    { "POST", "sys/remount", ROOT, "{\"from\":\"m\",\"to\":\"1/2/3/4/5/6/7/" BYTES64 BYTES64 BYTES64 "\"}", 200 },
    { "POST", "sys/mounts/1/2/3/4/5/6/7/" BYTES64 BYTES64 BYTES64 "/tune", ROOT, "{\"options\":{\"version\":\"2\"}}", 200 },
    { "GET", "1/2/3/4/5/6/7/" BYTES64 BYTES64 BYTES64 "/data/" DEEP_30, ROOT, NULL, 200, "deep" },
    { "GET", "1/2/3/4/5/6/7/" BYTES64 BYTES64 BYTES64 "/data/" NAME_KIB, ROOT, NULL, 200, "long" },
    { "DELETE", "1/2/3/4/5/6/7/" BYTES64 BYTES64 BYTES64 "/metadata/" DEEP_30, ROOT, NULL, 204 },
    { "DELETE", "1/2/3/4/5/6/7/" BYTES64 BYTES64 BYTES64 "/metadata/" NAME_KIB, ROOT, NULL, 204 },
    { "LIST", "1/2/3/4/5/6/7/" BYTES64 BYTES64 BYTES64 "/metadata", ROOT, NULL, 404 } ) },
{ "kv import: as it was elsewhere", "path \"secret/import/*\" { capabilities = [\"create\",\"update\"] }", STEPS(
    { "POST", "secret/import/a", ROOT, "{\"cas\":0,\"created_time\":\"2020-01-01T00:00:00Z\",\"updated_time\":\"2023-05-06T07:08:09.123456789Z\",\"max_versions\":7,\"cas_required\":true,"
      "\"delete_version_after\":\"1h\",\"custom_metadata\":{\"owner\":\"team\"},\"versions\":["
      "{\"version\":3,\"created_time\":\"2021-02-03T04:05:06.7Z\",\"deletion_time\":\"\",\"destroyed\":false,\"data\":{\"k\":1.0,\"n\":12345678901234567890}},"
      "{\"version\":4,\"created_time\":\"2022-01-01T00:00:00Z\",\"deletion_time\":\"2022-01-02T00:00:00Z\",\"destroyed\":true},"
      "{\"version\":5,\"created_time\":\"2022-02-01T00:00:00Z\",\"deletion_time\":\"2022-02-02T00:00:00Z\"},"
      "{\"version\":6,\"created_time\":\"2022-03-01T00:00:00+02:00\",\"deletion_time\":\"2022-03-02T00:00:00Z\",\"data\":{\"k\":\"six\"}},"
      "{\"version\":8,\"created_time\":\"2023-01-01T00:00:00Z\",\"deletion_time\":\"2999-01-01T00:00:00Z\",\"data\":{\"k\":\"eight\"}}]}",
      200, "\"data\":{\"current_version\":8,\"versions\":5}" },
    { "GET", "secret/metadata/a", ROOT, NULL, 200, "{\"cas_required\":true,\"created_time\":\"2020-01-01T00:00:00Z\",\"current_version\":8,\"custom_metadata\":{\"owner\":\"team\"},\"delete_version_after\":\"1h0m0s\","
      "\"max_versions\":7,\"oldest_version\":3,\"updated_time\":\"2023-05-06T07:08:09.123Z\",\"versions\":{\"3\":{\"created_time\":\"2021-02-03T04:05:06.7Z\",\"deletion_time\":\"\",\"destroyed\":false},"
      "\"4\":{\"created_time\":\"2022-01-01T00:00:00Z\",\"deletion_time\":\"2022-01-02T00:00:00Z\",\"destroyed\":true},\"5\":{\"created_time\":\"2022-02-01T00:00:00Z\",\"deletion_time\":\"2022-02-02T00:00:00Z\",\"destroyed\":false},"
      "\"6\":{\"created_time\":\"2022-02-28T22:00:00Z\",\"deletion_time\":\"2022-03-02T00:00:00Z\",\"destroyed\":false},\"8\":{\"created_time\":\"2023-01-01T00:00:00Z\",\"deletion_time\":\"2999-01-01T00:00:00Z\",\"destroyed\":false}}" },
    { "GET", "secret/data/a?version=3", ROOT, NULL, 200, "\"data\":{\"k\":1.0,\"n\":12345678901234567890}" },
    { "GET", "secret/data/a", ROOT, NULL, 200, "eight" }, { "GET", "secret/data/a?version=4", ROOT, NULL, 404, "\"destroyed\":true" },
    { "GET", "secret/data/a?version=7", ROOT, NULL, 404, "{\"errors\":[]}" },
    { "GET", "secret/data/a?version=5", ROOT, NULL, 404, "\"deletion_time\":\"2022-02-02T00:00:00Z\",\"destroyed\":false" },
    { "GET", "secret/subkeys/a?version=5", ROOT, NULL, 404, "\"subkeys\":null" },
    { "POST", "secret/undelete/a", ROOT, "{\"versions\":[4,5,6]}", 200, "Version 5 stays deleted: it was deleted before the secret was brought here" },
    { "GET", "secret/data/a?version=6", ROOT, NULL, 200, "six" }, { "GET", "secret/data/a?version=5", ROOT, NULL, 404, "\"data\":null" },
    { "POST", "secret/copy/a", ROOT, "{\"to\":\"secret/copy\"}", 200, "\"versions\":5" },
    { "GET", "secret/data/copy?version=6", ROOT, NULL, 200, "six" }, { "GET", "secret/data/copy?version=5", ROOT, NULL, 404, "\"destroyed\":false" },
    { "DELETE", "secret/metadata/copy", ROOT, NULL, 204 },
    { "POST", "secret/destroy/a", ROOT, "{\"versions\":[5]}", 204 }, { "GET", "secret/data/a?version=5", ROOT, NULL, 404, "\"destroyed\":true" },
    { "GET", "secret/data/a?version=3", ROOT, NULL, 200, "1.0" }, /* whose metadata the destroyed one's record was not */
    { "LIST", "secret/metadata", ROOT, NULL, 200, "{\"keys\":[\"a\"]}" },
    { "POST", "secret/import/a", "T", "{\"cas\":8}", 403 }, { "POST", "secret/import/b", "T", "{\"cas\":0}", 403 },
    { "POST", "secret/import/a", ROOT, "{\"cas\":0,\"versions\":[{\"version\":9,\"data\":{}}]}", 400, "did not match the current version" },
    { "POST", "secret/import/a", ROOT, "{\"versions\":[]}", 400, "\\\"cas\\\" is required" },
    { "POST", "secret/import/a", ROOT, "{\"cas\":8,\"versions\":[{\"version\":9,\"data\":{\"k\":\"nine\"}}]}", 200, "\"current_version\":9,\"versions\":6" },
    { "POST", "secret/data/a", ROOT, "{\"data\":{\"k\":\"ten\"},\"options\":{\"cas\":9}}", 200, "\"version\":10" },
    { "GET", "secret/metadata/a", ROOT, NULL, 200, "\"oldest_version\":4,", "\"3\":{" },
    { "GET", "secret/data/a?version=9", ROOT, NULL, 200, "nine" }, { "GET", "secret/data/a?version=8", ROOT, NULL, 200, "eight" }, { "GET", "secret/data/a?version=6", ROOT, NULL, 200, "six" } ) },
{ "kv import: what is refused", NULL, STEPS(
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"versions\":{}}", 400, "must be an array" },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"versions\":[1]}", 400, "entry 1" },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"versions\":[{\"data\":{}}]}", 400, "entry 1: needs a version number" },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"versions\":[{\"version\":0,\"data\":{}}]}", 400, "entry 1: needs a version number" },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"versions\":[{\"version\":4294967295,\"data\":{}}]}", 400, "entry 1: needs a version number" },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"versions\":[{\"version\":1,\"data\":{}},{\"version\":1,\"data\":{}}]}", 400, "entry 2: numbers ascend" },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"versions\":[{\"version\":1,\"data\":\"hunter2\"}]}", 400, "\\\"data\\\" must be an object", "hunter2" },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"versions\":[{\"version\":1}]}", 400, "only a deleted or destroyed version" },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"versions\":[{\"version\":1,\"deletion_time\":\"2099-01-01T00:00:00Z\"}]}", 400, "only a deleted or destroyed version" },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"versions\":[{\"version\":1,\"destroyed\":true,\"data\":{\"k\":\"hunter2\"}}]}", 400, "has no \\\"data\\\"", "hunter2" },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"versions\":[{\"version\":1,\"destroyed\":\"hunter2\",\"data\":{}}]}", 400, "destroyed is a boolean", "hunter2" },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"versions\":[{\"version\":1,\"created_time\":\"yesterday\",\"data\":{}}]}", 400, "times are RFC 3339", "yesterday" },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"created_time\":\"yesterday\"}", 400, "\\\"created_time\\\" must be a time", "yesterday" },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"updated_time\":\"yesterday\"}", 400, "\\\"updated_time\\\" must be a time", "yesterday" },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"custom_metadata\":{\"k\":\"\"}}", 400, "custom_metadata validation failed" },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"versions\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26]}", 400, "more than 25 entries" },
    { "LIST", "secret/metadata", ROOT, NULL, 404 },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0}", 200, "\"current_version\":0,\"versions\":0" }, { "GET", "secret/metadata/b", ROOT, NULL, 200, "\"versions\":{}" },
    { "POST", "secret/import/b", ROOT, "{\"cas\":0,\"versions\":[{\"version\":1,\"data\":null}]}", 200, "\"current_version\":1" }, { "GET", "secret/data/b", ROOT, NULL, 200, "{\"data\":null," },
    { "POST", "secret/data/db", ROOT, "{\"data\":{\"username\":\"app\",\"password\":\"p\"}}", 200 },
    { "POST", "rotation/secrets/secret/db", ROOT, "{\"strategy\":\"generate\"}", 204 },
    { "POST", "secret/import/db", ROOT, "{\"cas\":1,\"versions\":[{\"version\":2,\"data\":{}}]}", 200, "\"current_version\":2" } ) },
{ "kv import: in the place of another", "path \"secret/import/*\" { capabilities = [\"create\",\"update\",\"sudo\"] }", STEPS(
    { "POST", "secret/data/a", ROOT, "{\"data\":{\"k\":\"mine 1\"}}", 200 }, { "POST", "secret/data/a", ROOT, "{\"data\":{\"k\":\"mine 2\"}}", 200 },
    { "POST", "secret/metadata/a", ROOT, "{\"max_versions\":9,\"cas_required\":true,\"delete_version_after\":\"1h\",\"custom_metadata\":{\"owner\":\"me\"}}", 204 },
    { "POST", "secret/import/a", "T", "{\"cas\":2,\"replace\":true,\"versions\":[{\"version\":1,\"data\":{\"k\":\"theirs\"}}]}", 403, "permission denied", "mine" },
    { "POST", "secret/import/none", "T", "{\"cas\":0,\"replace\":true,\"versions\":[{\"version\":1,\"data\":{}}]}", 403 }, /* as little is told of what is not there */
    { "POST", "secret/import/a", ROOT, "{\"cas\":1,\"replace\":true,\"versions\":[{\"version\":1,\"data\":{}}]}", 400, "did not match the current version" },
    { "POST", "secret/import/a", ROOT, "{\"cas\":0,\"replace\":true}", 400, "did not match the current version" },
    { "POST", "secret/import/a", ROOT, "{\"cas\":2,\"replace\":true,\"versions\":[{\"version\":1,\"data\":{}},{\"version\":1,\"data\":{}}]}", 400, "entry 2" },
    { "GET", "secret/data/a", ROOT, NULL, 200, "mine 2" }, { "GET", "secret/data/a?version=1", ROOT, NULL, 200, "mine 1" },
    { "POST", "secret/import/a", ROOT, "{\"cas\":2,\"replace\":true,\"created_time\":\"2020-01-01T00:00:00Z\",\"versions\":["
      "{\"version\":2,\"created_time\":\"2021-01-01T00:00:00Z\",\"data\":{\"k\":\"theirs 2\"}}]}", 200, "\"data\":{\"current_version\":2,\"versions\":1}" },
    { "GET", "secret/metadata/a", ROOT, NULL, 200, "{\"cas_required\":false,\"created_time\":\"2020-01-01T00:00:00Z\",\"current_version\":2,\"custom_metadata\":null,\"delete_version_after\":\"0s\","
      "\"max_versions\":0,\"oldest_version\":2,\"updated_time\":\"2021-01-01T00:00:00Z\",\"versions\":{\"2\":{\"created_time\":\"2021-01-01T00:00:00Z\",\"deletion_time\":\"\",\"destroyed\":false}}" },
    { "GET", "secret/data/a", ROOT, NULL, 200, "theirs 2" }, { "GET", "secret/data/a?version=1", ROOT, NULL, 404, "{\"errors\":[]}" },
    { "POST", "secret/undelete/a", ROOT, "{\"versions\":[1]}", 204 }, { "GET", "secret/data/a?version=1", ROOT, NULL, 404 },
    { "LIST", "secret/metadata", ROOT, NULL, 200, "{\"keys\":[\"a\"]}" },
    /* by nothing, and where there is nothing */
    { "POST", "secret/import/a", ROOT, "{\"cas\":2,\"replace\":true,\"custom_metadata\":{\"only\":\"this\"}}", 200, "\"current_version\":0,\"versions\":0" },
    { "GET", "secret/metadata/a", ROOT, NULL, 200, "\"versions\":{}" }, { "GET", "secret/data/a", ROOT, NULL, 404 },
    { "POST", "secret/import/a", ROOT, "{\"cas\":0,\"replace\":true,\"versions\":[{\"version\":7,\"data\":{\"k\":\"seven\"}}]}", 200, "\"current_version\":7" },
    { "GET", "secret/metadata/a", ROOT, NULL, 200, "\"custom_metadata\":null" },
    { "POST", "secret/import/f/b", ROOT, "{\"cas\":0,\"replace\":true,\"versions\":[{\"version\":1,\"data\":{\"k\":\"b\"}}]}", 200, "\"current_version\":1" },
    { "LIST", "secret/metadata", ROOT, NULL, 200, "{\"keys\":[\"a\",\"f/\"]}" }, { "GET", "secret/data/f/b", ROOT, NULL, 200, "\"k\":\"b\"" },
    { "POST", "secret/import/f/b", ROOT, "{\"cas\":1,\"replace\":\"hunter2\"}", 400, "\\\"replace\\\"", "hunter2" } ) },
{ "settings of a mount", NULL, STEPS(
    { "POST", "sys/mounts/kv", ROOT, "{\"type\":\"kv-v2\",\"description\":\"d\",\"config\":{\"max_lease_ttl\":7200,\"force_no_cache\":true,\"listing_visibility\":\"hidden\",\"audit_non_hmac_request_keys\":[\"a\",\"\",\"b\"]}}", 200, "\"warnings\":[\"\\\"force_no_cache\\\" changes nothing" },
    { "GET", "sys/mounts/kv", ROOT, NULL, 200, "\"config\":{\"default_lease_ttl\":0,\"force_no_cache\":true,\"max_lease_ttl\":7200,\"audit_non_hmac_request_keys\":[\"a\",\"b\"],\"listing_visibility\":\"hidden\"}" },
    { "GET", "sys/mounts/kv/tune", ROOT, NULL, 200, "\"default_lease_ttl\":7200,\"description\":\"d\",\"force_no_cache\":true,\"max_lease_ttl\":7200,\"audit_non_hmac_request_keys\":[\"a\",\"b\"],\"listing_visibility\":\"hidden\",\"options\":{\"version\":\"2\"}" },
    { "POST", "sys/mounts/kv/tune", ROOT, "{\"listing_visibility\":\"\",\"audit_non_hmac_request_keys\":\"\",\"audit_non_hmac_response_keys\":\"x, y\",\"passthrough_request_headers\":\"X-A\",\"allowed_response_headers\":[\"X-B\"],\"force_no_cache\":false,\"max_lease_ttl\":\"system\",\"description\":\"\"}", 204 },
    { "GET", "sys/mounts/kv/tune", ROOT, NULL, 200, "\"default_lease_ttl\":2764800,\"description\":\"\",\"force_no_cache\":false,\"max_lease_ttl\":2764800,\"audit_non_hmac_response_keys\":[\"x\",\"y\"],\"passthrough_request_headers\":[\"X-A\"],\"allowed_response_headers\":[\"X-B\"],\"options\"" },
    { "POST", "sys/mounts/kv/tune", ROOT, "{\"default_lease_ttl\":\"2h\",\"max_lease_ttl\":\"1h\"}", 400, "backend max lease TTL of 3600 would be less than backend default lease TTL of 7200" },
    { "POST", "sys/mounts/kv/tune", ROOT, "{\"listing_visibility\":\"hunter2\"}", 400, "listing_visibility", "hunter2" },
    { "POST", "sys/mounts/kv/tune", ROOT, "{\"token_type\":\"batch\"}", 400, "'token_type' can only be modified on auth mounts" },
    { "POST", "sys/mounts/kv/tune", ROOT, "{\"default_lease_ttl\":\"hunter2\"}", 400, "default_lease_ttl", "hunter2" },
    { "POST", "sys/mounts/kv/tune", ROOT, "{\"allowed_response_headers\":\"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63,64,65\"}", 400, "allowed_response_headers has at most 64 names" },
    { "GET", "sys/mounts/kv/tune", ROOT, NULL, 200, "\"default_lease_ttl\":2764800,\"description\":\"\",\"force_no_cache\":false,\"max_lease_ttl\":2764800,\"audit_non_hmac_response_keys\":[\"x\",\"y\"]" },
    { "POST", "sys/mounts/sys/tune", ROOT, "{\"description\":\"mine\"}", 400, "cannot tune \\\"sys/\\\"" },
    { "POST", "sys/mounts/cubbyhole/tune", ROOT, "{\"options\":{\"version\":\"2\"}}", 400, "only for kv" },
    { "POST", "sys/mounts/x", ROOT, "{\"type\":\"kv\",\"config\":[]}", 400, "config" },
    { "POST", "sys/mounts/x", ROOT, "{\"type\":\"kv\",\"description\":\"" KIB "\"}", 204 },
    { "POST", "sys/mounts/x/tune", ROOT, "{\"description\":\"" KIB "y\"}", 400, "description is longer than 1024 bytes" },
    { "POST", "sys/mounts/y", ROOT, "{\"type\":\"kv\",\"description\":\"" KIB "y\"}", 400, "description is longer than 1024 bytes" },
    { "DELETE", "sys/mounts/x", ROOT, NULL, 204 },
    { "POST", "sys/mounts/x", ROOT, "{\"type\":\"kv\",\"config\":{\"listing_visibility\":1}}", 400, "listing_visibility" },
    { "POST", "sys/mounts/x", ROOT, "{\"type\":\"kv\",\"config\":{\"default_lease_ttl\":\"2h\",\"max_lease_ttl\":\"1h\"}}", 400, "would be less than" },
    { "POST", "sys/mounts/x", ROOT, "{\"type\":\"kv\",\"config\":null}", 204 } ) },
{ "keys that a mount wants recorded in clear", NULL, STEPS(
    { "POST", "sys/mounts/kv", ROOT, "{\"type\":\"kv\",\"config\":{\"audit_non_hmac_request_keys\":\"user\"}}", 204 },
    { "POST", "kv/a", ROOT, "{\"user\":\"told-one\",\"pass\":\"hunter2\"}", 204 },
    { "GET", "sys/audit-log/export", ROOT, NULL, 200, "\"data\":{\"user\":\"told-one\",\"pass\":\"hmac-sha256:", "hunter2" },
    { "POST", "secret/data/a", ROOT, "{\"data\":{\"user\":\"hunter3\"}}", 200 }, { "GET", "kv/a", ROOT, NULL, 200 },
    { "GET", "sys/audit-log/export", ROOT, NULL, 200, NULL, "hunter3" },
    { "POST", "sys/mounts/kv/tune", ROOT, "{\"audit_non_hmac_request_keys\":\"\",\"audit_non_hmac_response_keys\":[\"user\"]}", 204 },
    { "POST", "kv/a", ROOT, "{\"user\":\"hunter2\",\"pass\":\"hunter2\"}", 204 },
    { "GET", "sys/audit-log/export", ROOT, NULL, 200, NULL, "hunter2" },
    { "POST", "kv/b", ROOT, "{\"user\":\"told-two\",\"pass\":\"hunter2\"}", 204 }, { "GET", "kv/b", ROOT, NULL, 200 },
    { "GET", "sys/audit-log/export", ROOT, NULL, 200, "\"data\":{\"user\":\"told-two\",\"pass\":\"hmac-sha256:", "hunter2" } ) },
{ "moving a mount", "path \"sys/remount\" { capabilities = [\"update\"] } path \"old/*\" { capabilities = [\"read\"] }", STEPS(
    { "POST", "sys/mounts/old", ROOT, "{\"type\":\"kv-v2\",\"description\":\"d\"}", 204 },
    { "POST", "old/data/a", ROOT, "{\"data\":{\"k\":\"v\"}}", 200 }, { "POST", "old/config", ROOT, "{\"max_versions\":3}", 204 },
    { "POST", "sys/remount", "T", "{\"from\":\"old\",\"to\":\"new/place\"}", 403 },
    { "POST", "sys/remount", ROOT, "{\"from\":\"old\"}", 400, "both 'from' and 'to' path must be specified" },
    { "POST", "sys/remount", ROOT, "{\"from\":\"none\",\"to\":\"new\"}", 400, "no matching mount at \\\"none/\\\"" },
    { "POST", "sys/remount", ROOT, "{\"from\":\"old/data\",\"to\":\"new\"}", 400, "no matching mount" },
    { "POST", "sys/remount", ROOT, "{\"from\":\"old\",\"to\":\"secret\"}", 400, "path already in use at \\\"secret/\\\"" },
    { "POST", "sys/remount", ROOT, "{\"from\":\"old\",\"to\":\"secret/x\"}", 400, "path already in use at \\\"secret/\\\"" },
    { "POST", "sys/remount", ROOT, "{\"from\":\"old\",\"to\":\"old/x\"}", 400, "path already in use" },
    { "POST", "sys/remount", ROOT, "{\"from\":\"old\",\"to\":\"old\"}", 400, "path already in use" },
    { "POST", "sys/remount", ROOT, "{\"from\":\"old\",\"to\":\"sys/x\"}", 400, "cannot remount to destination" },
    { "POST", "sys/remount", ROOT, "{\"from\":\"old\",\"to\":\"auth/x\"}", 400, "cannot remount to destination" },
    { "POST", "sys/remount", ROOT, "{\"from\":\"sys\",\"to\":\"new\"}", 400, "cannot remount \\\"sys/\\\"" },
    { "POST", "sys/remount", ROOT, "{\"from\":\"auth/token\",\"to\":\"auth/x\"}", 400, "cannot remount" },
    { "POST", "sys/remount", ROOT, "{\"from\":\"old\",\"to\":\"new/../x\"}", 400, "relative paths" },
    { "POST", "sys/remount", ROOT, "{\"from\":\"old\",\"to\":\"new//x\"}", 400, "empty path segments" },
    { "POST", "sys/remount", ROOT, "{\"from\":\"old\",\"to\":\"new\\nline\"}", 400, "not printable" },
    { "POST", "sys/remount", ROOT, "{\"from\":\"old\",\"to\":\"new \"}", 400, "trailing whitespace" },
    { "GET", "old/data/a", "T", NULL, 200 },
    { "POST", "sys/remount", ROOT, "{\"from\":\"/old/\",\"to\":\"new/place\"}", 200, "{\"migration_id\":\"", NULL },
    { "GET", "old/data/a", "T", NULL, 404, "no handler" }, { "GET", "new/place/data/a", "T", NULL, 403 },
    { "GET", "new/place/data/a", ROOT, NULL, 200, "\"k\":\"v\"" }, { "GET", "new/place/config", ROOT, NULL, 200, "\"max_versions\":3" },
    { "LIST", "new/place/metadata", ROOT, NULL, 200, "{\"keys\":[\"a\"]}" },
    { "GET", "sys/mounts", ROOT, NULL, 200, "\"new/place/\":", "\"old/\":" },
    { "GET", "sys/remount/status/none", ROOT, NULL, 404, "{\"errors\":[]}" } ) },
{ "a mount does not move away from its rotation and its users", NULL, STEPS(
    { "POST", "secret/data/db", ROOT, "{\"data\":{\"username\":\"u\",\"password\":\"p\"}}", 200 },
    { "POST", "rotation/secrets/secret/db", ROOT, "{\"strategy\":\"generate\"}", 204 },
    { "POST", "sys/remount", ROOT, "{\"from\":\"secret\",\"to\":\"new\"}", 400, "secrets in \\\"secret/\\\" are rotated" },
    { "DELETE", "rotation/secrets/secret/db", ROOT, NULL, 204 },
    { "POST", "fleet/consumers/web-1/secret/db", ROOT, "{\"service\":\"s\",\"version\":1,\"state\":\"registered\"}", 200 },
    { "POST", "sys/remount", ROOT, "{\"from\":\"secret\",\"to\":\"new\"}", 400, "services on host \\\"web-1\\\" use secrets" },
    { "DELETE", "fleet/consumers/web-1/secret/db", ROOT, NULL, 204 },
    { "POST", "sys/remount", ROOT, "{\"from\":\"secret\",\"to\":\"new\"}", 200 },
    { "GET", "new/data/db", ROOT, NULL, 200 } ) },
{ "what a token can reach", "path \"*\" { capabilities = [\"list\"] } path \"kv/*\" { capabilities = [\"deny\"] } path \"secret/data/a\" { capabilities = [\"read\", \"update\"] required_parameters = [\"x\"] allowed_parameters = { \"k\" = [\"a*\", true, [\"in\"]] \"x\" = [] } denied_parameters = { \"z\" = [] } min_wrapping_ttl = \"1m\" max_wrapping_ttl = \"1h\" } path \"secret/+/x/*\" { capabilities = [\"delete\"] } path \"none\" { capabilities = [] }", STEPS(
    { "POST", "sys/mounts/kv", ROOT, "{\"type\":\"kv-v2\"}", 204 },
    { "POST", "sys/mounts/open", ROOT, "{\"type\":\"kv\",\"description\":\"for all\",\"config\":{\"listing_visibility\":\"unauth\"}}", 204 },
    { "GET", "sys/internal/ui/mounts", NONE, NULL, 200, "\"data\":{\"auth\":{},\"secret\":{\"open/\":{\"description\":\"for all\",\"options\":null,\"type\":\"kv\"}}}" },
    { "GET", "sys/internal/ui/mounts", "T", NULL, 200, "\"secret/\":{\"accessor\"", "\"kv/\"" },
    { "GET", "sys/internal/ui/mounts", "T", NULL, 200, "\"open/\":{\"accessor\"" },
    { "GET", "sys/internal/ui/mounts/open", NONE, NULL, 403, "permission denied" },
    { "GET", "sys/internal/ui/mounts/kv/data/a", "T", NULL, 403, "preflight capability check returned 403" },
    { "GET", "sys/internal/ui/resultant-acl", ROOT, NULL, 200, "\"data\":{\"root\":true}" },
    { "GET", "sys/internal/ui/resultant-acl", NONE, NULL, 403 },
    { "GET", "sys/internal/ui/resultant-acl", "T", NULL, 200, "\"secret/data/a\":{\"allowed_parameters\":{\"k\":[\"a*\",true,[\"in\"]],\"x\":[]},\"capabilities\":[\"read\",\"update\"],\"denied_parameters\":{\"z\":[]},\"max_wrapping_ttl\":3600,\"min_wrapping_ttl\":60,\"required_parameters\":[\"x\"]}" },
    { "GET", "sys/internal/ui/resultant-acl", "T", NULL, 200, "\"none\":{\"capabilities\":[]}" },
    { "GET", "sys/internal/ui/resultant-acl", "T", NULL, 200, "\"glob_paths\":{\"\":{\"capabilities\":[\"list\"]},\"cubbyhole/\":{\"capabilities\":[\"create\",\"delete\",\"list\",\"read\",\"update\"]},\"kv/\":{\"capabilities\":[\"deny\"]},\"secret/+/x/\":{\"capabilities\":[\"delete\"]}" } ) },
{ "which mounts a pattern with + is about", "path \"+/in/+/x\" { capabilities = [\"read\"] } path \"only/+/data/*\" { capabilities = [\"read\"] } path \"pre/+/b*\" { capabilities = [\"read\"] } path \"short/+\" { capabilities = [\"read\"] }", STEPS(
    { "POST", "sys/mounts/any/in", ROOT, "{\"type\":\"kv\"}", 204 }, { "POST", "sys/mounts/any/out", ROOT, "{\"type\":\"kv\"}", 204 },
    { "POST", "sys/mounts/only/a", ROOT, "{\"type\":\"kv\"}", 204 }, { "POST", "sys/mounts/pre/a/bc", ROOT, "{\"type\":\"kv\"}", 204 },
    { "POST", "sys/mounts/pre/a/cb", ROOT, "{\"type\":\"kv\"}", 204 }, { "POST", "sys/mounts/short/a/b", ROOT, "{\"type\":\"kv\"}", 204 },
    { "GET", "sys/internal/ui/mounts", "T", NULL, 200, "\"any/in/\"", "\"any/out/\"" }, { "GET", "sys/internal/ui/mounts", "T", NULL, 200, "\"only/a/\"", "\"short/a/b/\"" },
    { "GET", "sys/internal/ui/mounts", "T", NULL, 200, "\"pre/a/bc/\"", "\"pre/a/cb/\"" },
    { "GET", "sys/internal/ui/mounts/any/out/x", "T", NULL, 403, "preflight capability check returned 403" },
    { "GET", "sys/internal/ui/mounts/any/in/x", "T", NULL, 200, "\"path\":\"any/in/\"" } ) },
{ "cubbyhole is the token's own", "path \"none\" { capabilities = [\"read\"] }", STEPS(
    { "POST", "cubbyhole/a/b", "T", "{\"k\":\"v\"}", 204 },
    { "GET", "cubbyhole/a/b", "T", NULL, 200, "\"data\":{\"k\":\"v\"}" },
    { "GET", "cubbyhole/a/b", ROOT, NULL, 404 },
    { "LIST", "cubbyhole/", "T", NULL, 200, "{\"keys\":[\"a/\"]}" },
    { "POST", "cubbyhole/x", "T", "{}", 500, "missing data fields" },
    { "DELETE", "cubbyhole/a/b", "T", NULL, 204 }, { "GET", "cubbyhole/a/b", "T", NULL, 404 } ) },
{ "status", NULL, STEPS(
    { "GET", "sys/init", NONE, NULL, 200, "{\"initialized\":true}" },
    { "PUT", "sys/init", NONE, "{\"secret_shares\":5,\"secret_threshold\":3}", 400, "already initialized" },
    { "GET", "sys/health", NONE, NULL, 200, "\"sealed\":false" },
    { "GET", "sys/health?activecode=299", NONE, NULL, 299 },
    { "GET", "sys/health?sealedcode=abc", NONE, NULL, 400, "{\"errors\":[]}" },
    { "GET", "sys/seal-status", NONE, NULL, 200, "\"t\":3,\"n\":5,\"progress\":0" },
    { "GET", "sys/leader", NONE, NULL, 200, "\"ha_enabled\":false" },
    { "PUT", "sys/unseal", NONE, "{\"reset\":true}", 400, "vault is unsealed" },
    { "GET", "sys/key-status", ROOT, NULL, 200, "\"term\":1" },
    { "PUT", "sys/rotate", ROOT, NULL, 204 },
    { "GET", "sys/key-status", ROOT, NULL, 200, "\"term\":2" } ) },
{ "help and unknown headers", "path \"none\" { capabilities = [\"read\"] }", STEPS(
    { "GET", "sys/mounts?help=1", "T", NULL, 200, "{\"help\":" },
    { "GET", "sys/mounts?help=1", NONE, NULL, 403 } ) },
{ "the audit log over the API", NULL, STEPS(
    { "POST", "secret/data/a", ROOT, "{\"data\":{\"k\":\"hunter2\"}}", 200 },
    { "POST", "sys/audit-log/checkpoint", ROOT, NULL, 200, "\"checkpoint\":\"keyturn/test/f1\\n" },
    { "GET", "sys/audit-log/export", ROOT, NULL, 200, "\"path\":\"secret/data/a\"", "hunter2" },
    { "GET", "sys/audit-log/proof?index=0&size=1", ROOT, NULL, 200, "\"proof\":[]" },
    { "GET", "sys/audit-log/leaves?from=0&to=1", ROOT, NULL, 200, "\"leaves\":\"" },
    { "POST", "sys/audit-hash/file", ROOT, "{\"input\":\"hunter2\"}", 200, "hmac-sha256:", "hunter2" } ) },
};
/* clang-format on */

static const char *who(const struct step *step, const struct test_vault *vault, const char *token)
{
    if (strcmp(step->who, ROOT) == 0)
        return vault->root;
    if (strcmp(step->who, NONE) == 0)
        return NULL;
    return strcmp(step->who, "T") == 0 ? token : "hvs.nonsense";
}

static void plays(void **state)
{
    const struct scenario *scenario = *state;
    struct test_vault *vault = test_vault_new(true);
    char token[256] = "";
    if (scenario->policy != NULL)
        test_vault_token(vault, "t", scenario->policy, token, sizeof token);
    for (size_t i = 0; i < scenario->n; i++) {
        const struct step *step = &scenario->steps[i];
        unsigned status = test_vault_call(vault, step->method, step->path,
                                          who(step, vault, token), step->body);
        bool said = step->says == NULL || test_vault_said(vault, step->says);
        bool silent = step->says_not == NULL || !test_vault_said(vault, step->says_not);
        if (status != step->status || !said || !silent)
            fail_msg("%s step %zu: %s %s: expected %u%s%s, got %u %.1500s", scenario->name, i + 1,
                     step->method, step->path, step->status, step->says == NULL ? "" : " and ",
                     step->says == NULL ? "" : step->says, status, vault->body);
    }
    test_vault_free(vault);
}

#define N (sizeof scenarios / sizeof scenarios[0])

/* Whatever the wall clock says since. */
static void deleted_stays_deleted(void **state)
{
    static const struct {
        const char *method, *path, *body;
        unsigned status;
    } steps[] = {
        {"POST", "secret/data/a", "{\"data\":{\"k\":\"v\"}}", 200},
        {"POST", "secret/data/a", "{\"data\":{\"k\":\"v\"}}", 200},
        {"DELETE", "secret/data/a", NULL, 204},
        {"POST", "secret/delete/a", "{\"versions\":[1]}", 204},
        {NULL, NULL, NULL, 0}, /* the clock is set back */
        {"GET", "secret/data/a", NULL, 404},
        {"GET", "secret/data/a?version=1", NULL, 404},
        {"DELETE", "secret/data/a", NULL, 204},
        {"POST", "secret/undelete/a", "{\"versions\":[1]}", 204},
        {"GET", "secret/data/a?version=1", NULL, 200},
        {"GET", "secret/data/a", NULL, 404},
    };
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (steps[i].method == NULL) {
            vault->wall_ahead_ms -= 3600000;
            continue;
        }
        unsigned status = test_vault_call(vault, steps[i].method, steps[i].path, vault->root, steps[i].body);
        if (status != steps[i].status)
            fail_msg("step %zu, %s %s: %u instead of %u: %s", i, steps[i].method, steps[i].path, status,
                     steps[i].status, vault->body);
    }
    test_vault_free(vault);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[N + 1] = {[N] = cmocka_unit_test(deleted_stays_deleted)};
    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){.name = scenarios[i].name,
                                       .test_func = plays,
                                       .initial_state = (void *)(uintptr_t)&scenarios[i]};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("vault_api", tests, NULL, NULL);
}
