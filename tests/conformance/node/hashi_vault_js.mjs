// npm's hashi-vault-js, unchanged, over TLS. Run by tests/conformance/with_hashi_vault_js, which starts a new
// vaultd and says where: VAULT_ADDR, KT_CACERT, KT_MODULES, KT_PKI.
import { strict as assert } from 'node:assert';
import https from 'node:https';
import fs from 'node:fs';
import { pathToFileURL } from 'node:url';
import run from './tap.js';

const source = `${process.env.KT_MODULES}/hashi-vault-js/src/Vault.js`;
const { default: Vault } = await import(pathToFileURL(source));
const options = {
    https: true,
    cacert: process.env.KT_CACERT,
    baseUrl: `${process.env.VAULT_ADDR}/v1`,
    timeout: 30000,
};
const vault = new Vault(options);
const pki = (file) => `${process.env.KT_PKI}/${file}`;
const shows = (who) => new Vault({ ...options, cert: pki(`${who}.crt`), key: pki(`${who}.key`) });
let root;
let keys;

async function refused(promise, status, text) {
    let error;
    try {
        const got = await promise;
        error = new Error(`expected status ${status}, got ${JSON.stringify(got)}`);
    } catch (caught) {
        if (!caught.isVaultError) throw caught;
        assert.equal(caught.response.status, status, caught.message);
        if (text !== undefined) assert.match(caught.response.data.errors.join('\n'), text);
        return;
    }
    throw error;
}

// What this client has no method for.
function raw(method, path, body) {
    const text = JSON.stringify(body);
    return new Promise((resolve, reject) => {
        const request = https.request(`${process.env.VAULT_ADDR}/v1/${path}`, {
            method,
            ca: fs.readFileSync(process.env.KT_CACERT),
            headers: { 'X-Vault-Token': root ?? '', 'Content-Length': Buffer.byteLength(text) },
        }, (response) => {
            let got = '';
            response.on('data', (part) => { got += part; });
            response.on('end', () => (response.statusCode < 300
                ? resolve(got === '' ? {} : JSON.parse(got)) : reject(new Error(`${path}: ${got}`))));
        });
        request.on('error', reject);
        request.end(text);
    });
}

const making = [
    ['sealStatus, healthCheck', async () => {
        assert.equal((await vault.sealStatus()).initialized, false);
        await refused(vault.healthCheck(), 501);
        assert.equal((await vault.healthCheck({ uninitcode: 200 })).initialized, false);
        const made = await raw('PUT', 'sys/init', { secret_shares: 3, secret_threshold: 2 });
        keys = made.keys;
        root = made.root_token;
    }],
    ['sysUnseal', async () => {
        assert.equal((await vault.sysUnseal(root, keys[0], false, false)).progress, 1);
        assert.equal((await vault.sysUnseal(root, null, true, false)).progress, 0);
        await vault.sysUnseal(root, keys[0], false, false);
        assert.equal((await vault.sysUnseal(root, keys[1], false, false)).sealed, false);
        assert.equal((await vault.healthCheck({ standbyok: true })).sealed, false);
        await raw('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
        await raw('PUT', 'sys/policies/acl/reader', { policy: 'path "secret/data/*" { capabilities = ["read"] }' });
    }],
];

const cases = [
    ['system', async () => {
        assert.equal(typeof (await vault.sysHostInfo(root)).host.hostname, 'string');
        const { client_token: token } = await vault.createToken(root, { policies: ['reader'] });
        assert.deepEqual((await vault.sysCapabilities(root, token, ['secret/data/a'])).capabilities, ['read']);
        assert.deepEqual((await vault.sysCapabilitiesSelf(token, ['secret/data/a', 'b']))['secret/data/a'], ['read']);
        assert.equal((await vault.sysInternalCounters(root, 'tokens')).counters.service_tokens.total >= 2, true);
        assert.match(await vault.sysMetrics(root, 'prometheus'), /^# HELP /);
        assert.equal(Array.isArray((await vault.sysMetrics(root)).Gauges), true);
    }],
    ['tokens', async () => {
        const made = await vault.createToken(root, { policies: ['reader'], ttl: '1h', display_name: 'js', meta: { a: 'b' } });
        const found = await vault.lookupToken(root, made.client_token);
        assert.deepEqual([found.display_name, found.meta], ['token-js', { a: 'b' }]);
        assert.equal((await vault.lookupSelfToken(made.client_token)).accessor, made.accessor);
        assert.equal((await vault.renewToken(root, made.client_token, '2h')).lease_duration, 7200);
        assert.equal((await vault.renewSelfToken(made.client_token, '1h')).lease_duration, 3600);
        assert.equal((await vault.renewAccessor(root, made.accessor, '2h')).lease_duration, 7200);
        assert.equal((await vault.listAccessors(root)).keys.includes(made.accessor), true);
        assert.equal((await vault.lookupAccessor(root, made.accessor)).id, '');
        await vault.revokeAccessor(root, made.accessor);
        await refused(vault.lookupSelfToken(made.client_token), 403, /invalid token/);
        const second = await vault.createToken(root, { policies: ['reader'] });
        await vault.revokeToken(root, second.client_token);
        await refused(vault.lookupSelfToken(second.client_token), 403, /invalid token/);
        const third = await vault.createToken(root, { policies: ['default'] });
        await vault.revokeSelfToken(third.client_token);
        await refused(vault.lookupSelfToken(third.client_token), 403, /invalid token/);
    }],
    ['KV', async () => {
        await vault.updateKVEngineConfig(root, { max_versions: 8 });
        assert.equal((await vault.readKVEngineConfig(root)).max_versions, 8);
        assert.equal((await vault.createKVSecret(root, 'app/one', { k: 'v' })).version, 1);
        await refused(vault.createKVSecret(root, 'app/one', { k: 'v' }), 400, /check-and-set parameter did not match/);
        assert.equal((await vault.updateKVSecret(root, 'app/one', { k: 'w' }, 1)).version, 2);
        assert.deepEqual((await vault.readKVSecret(root, 'app/one')).data, { k: 'w' });
        assert.deepEqual((await vault.readKVSecret(root, 'app/one', 1)).data, { k: 'v' });
        assert.deepEqual((await vault.listKVSecrets(root, 'app')).keys, ['one']);
        await vault.deleteLatestVerKVSecret(root, 'app/one');
        await refused(vault.readKVSecret(root, 'app/one'), 404);
        await vault.undeleteVersionsKVSecret(root, 'app/one', [2]);
        await vault.deleteVersionsKVSecret(root, 'app/one', [1]);
        await vault.destroyVersionsKVSecret(root, 'app/one', [1]);
        await vault.updateKVSecretMeta(root, 'app/one', { custom_metadata: { team: 'a' } });
        const meta = await vault.readKVSecretMeta(root, 'app/one');
        assert.deepEqual([meta.versions[1].destroyed, meta.versions[2].deletion_time], [true, '']);
        assert.deepEqual(meta.custom_metadata, { team: 'a' });
        await vault.createKVSecretMeta(root, 'app/two', { max_versions: 3 });
        assert.equal((await vault.readKVSecretMeta(root, 'app/two')).max_versions, 3);
        await vault.eliminateKVSecret(root, 'app/one');
        await refused(vault.readKVSecretMeta(root, 'app/one'), 404);
    }],
    ['userpass', async () => {
        await raw('POST', 'sys/auth/userpass', { type: 'userpass' });
        await vault.createUserpassUser(root, 'ann', 'first-password', ['reader']);
        assert.deepEqual((await vault.readUserpassUser(root, 'ann')).token_policies, ['reader']);
        assert.deepEqual((await vault.listUserpassUsers(root)).keys, ['ann']);
        const login = await vault.loginWithUserpass('ann', 'first-password');
        assert.deepEqual(login.policies, ['default', 'reader']);
        await vault.updateUserpassPassword(root, 'ann', 'second-password');
        await refused(vault.loginWithUserpass('ann', 'first-password'), 400, /invalid username or password/);
        await vault.updateUserpassPolicies(root, 'ann', ['other']);
        assert.deepEqual((await vault.loginWithUserpass('ann', 'second-password')).policies, ['default', 'other']);
        await vault.updateUserpassUser(root, 'ann', 'third-password', ['reader']);
        assert.deepEqual((await vault.loginWithUserpass('ann', 'third-password')).policies, ['default', 'reader']);
        await vault.deleteUserpassUser(root, 'ann');
        await refused(vault.readUserpassUser(root, 'ann'), 404);
    }],
    ['AppRole', async () => {
        await raw('POST', 'sys/auth/approle', { type: 'approle' });
        await raw('POST', 'auth/approle/role/ci', { token_policies: ['reader'] });
        const { data: { role_id: role } } = await raw('GET', 'auth/approle/role/ci/role-id', {});
        const made = await vault.generateAppRoleSecretId(root, 'ci', JSON.stringify({ job: '1' }));
        assert.deepEqual((await vault.readAppRoleSecretId(root, 'ci', made.secret_id)).metadata, { job: '1' });
        const login = await vault.loginWithAppRole(role, made.secret_id);
        assert.deepEqual(login.policies, ['default', 'reader']);
        await vault.destroyAppRoleSecretId(root, 'ci', made.secret_id);
        await refused(vault.loginWithAppRole(role, made.secret_id), 400, /invalid role or secret ID/);
    }],
    ['certificates', async () => {
        await raw('POST', 'sys/auth/cert', { type: 'cert' });
        await raw('POST', 'sys/auth/tls', { type: 'cert' });
        for (const mount of ['cert', 'tls']) {
            await raw('POST', `auth/${mount}/certs/web`, {
                certificate: fs.readFileSync(pki('ca.crt'), 'utf8'), allowed_common_names: 'web', token_policies: [mount],
            });
        }
        const web = shows('web');
        const login = await web.loginWithCert('web');
        assert.deepEqual([login.policies, login.metadata.common_name], [['cert', 'default'], 'web']);
        assert.equal((await web.lookupSelfToken(login.client_token)).meta.cert_name, 'web');
        await web.renewSelfToken(login.client_token, '10m');
        await refused(vault.renewSelfToken(login.client_token, '10m'), 400, /client certificate must be supplied/);
        assert.deepEqual((await web.loginWithCert('web', 'auth/tls')).policies, ['default', 'tls']);
        await refused(web.loginWithCert('other'), 400, /invalid certificate or no client certificate supplied/);
        await refused(shows('mail').loginWithCert('web'), 400, /invalid certificate or no client certificate supplied/);
        await refused(vault.loginWithCert('web'), 400, /client certificate must be supplied/);
    }],
    ["the host's accounts, as LDAP's groups and users", async () => {
        await raw('POST', 'sys/auth/ldap', { type: 'pam' });
        await vault.createLdapGroup(root, 'ops', ['reader']);
        assert.deepEqual((await vault.readLdapGroup(root, 'ops')).policies, ['reader']);
        await vault.updateLdapGroup(root, 'ops', ['other']);
        assert.deepEqual((await vault.listLdapGroups(root)).keys, ['ops']);
        await vault.deleteLdapGroup(root, 'ops');
        await vault.createLdapUser(root, 'bob', ['reader'], '');
        await vault.updateLdapUser(root, 'bob', ['other'], '');
        /* Nobody is there to ask; integration/pam.py logs in at the same path. */
        await refused(vault.loginWithLdap('bob', 'p'), 503);
        assert.deepEqual((await vault.readLdapUser(root, 'bob')).policies, ['other']);
        assert.deepEqual((await vault.listLdapUsers(root)).keys, ['bob']);
        await vault.deleteLdapUser(root, 'bob');
        await refused(vault.readLdapUser(root, 'bob'), 404);
    }],
    ['errors', async () => {
        await refused(vault.readKVSecret('nonsense', 'a'), 403, /permission denied/);
        await refused(vault.sysInternalCounters(root, 'requests'), 404);
        await refused(vault.createToken(root, { ttl: 'soon' }), 400, /ttl/);
    }],
    ['sysSeal', async () => {
        await vault.sysSeal(root);
        assert.equal((await vault.sealStatus()).sealed, true);
        await refused(vault.readKVSecret(root, 'a'), 503, /Vault is sealed/);
    }],
];

await run(making, cases);
