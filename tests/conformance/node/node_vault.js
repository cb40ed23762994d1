// npm's node-vault, unchanged, over TLS. Run by tests/conformance/with_node_vault, which starts a new
// vaultd and says where: VAULT_ADDR, KT_CACERT, KT_PKI.
'use strict';

const assert = require('assert').strict;
const crypto = require('crypto');
const fs = require('fs');
const nodeVault = require('node-vault');
const run = require('./tap');

const options = {
    endpoint: process.env.VAULT_ADDR,
    requestOptions: { ca: fs.readFileSync(process.env.KT_CACERT) },
};
const vault = nodeVault(options);
const as = (token, more) => nodeVault({ ...options, ...more, token });
const pki = (file) => fs.readFileSync(`${process.env.KT_PKI}/${file}`, 'utf8');
const shows = (who) => ({ requestOptions: { ...options.requestOptions, cert: pki(`${who}.crt`), key: pki(`${who}.key`) } });

async function refused(promise, status, text) {
    let error;
    try {
        const got = await promise;
        error = new Error(`expected status ${status}, got ${JSON.stringify(got)}`);
    } catch (caught) {
        if (!caught.response) throw caught;
        assert.equal(caught.response.statusCode, status, caught.message);
        if (text !== undefined) assert.match(caught.message, text);
        return caught;
    }
    throw error;
}

// A client that makes or renews a token goes on with that token: such calls get a client of their own.
const create = async (fields, token) => (await as(token || vault.token).tokenCreate(fields)).auth;

async function policy(name, rules) {
    await vault.addPolicy({ name, rules });
    return (await create({ policies: [name] })).client_token;
}

const making = [
    ['before initialising', async () => {
        assert.deepEqual(await vault.initialized(), { initialized: false });
        assert.equal((await vault.health()).initialized, false);
        assert.equal((await vault.status()).sealed, true);
        await refused(vault.read('secret/data/a'), 503, /Vault is sealed/);
    }],
    ['init', async () => {
        const got = await vault.init({ secret_shares: 5, secret_threshold: 3 });
        assert.equal(got.keys.length, 5);
        assert.equal(got.keys_base64.length, 5);
        vault.keys = got.keys;
        vault.token = got.root_token;
        await refused(vault.init({ secret_shares: 5, secret_threshold: 3 }), 400, /already initialized/);
    }],
    ['unseal', async () => {
        assert.equal((await vault.unseal({ secret_shares: 1, key: vault.keys[0] })).progress, 1);
        assert.equal((await vault.unseal({ secret_shares: 1, key: vault.keys[1] })).progress, 2);
        const got = await vault.unseal({ secret_shares: 1, key: vault.keys[4] });
        assert.equal(got.sealed, false);
        assert.equal((await vault.health()).sealed, false);
    }],
    ['mount', async () => {
        await vault.mount({ mount_point: 'secret', type: 'kv', options: { version: '2' } });
        const mounts = await vault.mounts();
        assert.deepEqual(mounts['secret/'].options, { version: '2' });
        assert.deepEqual(mounts.data['secret/'], mounts['secret/']);
    }],
];

const cases = [
    ['write, read, list', async () => {
        const first = await vault.write('secret/data/a/b', { data: { k: 'v', n: [1, { x: null }] } });
        assert.equal(first.data.version, 1);
        assert.equal((await vault.write('secret/data/a/b', { data: { k: 'w' } })).data.version, 2);
        assert.deepEqual((await vault.read('secret/data/a/b')).data.data, { k: 'w' });
        assert.deepEqual((await vault.read('secret/data/a/b?version=1')).data.data, { k: 'v', n: [1, { x: null }] });
        assert.deepEqual((await vault.list('secret/metadata/a')).data.keys, ['b']);
        assert.deepEqual((await as(vault.token, { noCustomHTTPVerbs: true }).list('secret/metadata')).data.keys.includes('a/'), true);
        await refused(vault.list('secret/metadata/none'), 404, /Status 404/);
        await refused(vault.read('secret/data/none'), 404, /Status 404/);
    }],
    ['update is PATCH', async () => {
        await vault.write('secret/data/p', { data: { a: 1, b: { c: 2, d: 3 } } });
        assert.equal((await vault.update('secret/data/p', { data: { b: { c: null }, e: 4 } })).data.version, 2);
        assert.deepEqual((await vault.read('secret/data/p')).data.data, { a: 1, b: { d: 3 }, e: 4 });
        await refused(vault.update('secret/data/none', { data: {} }), 404);
        await vault.write('secret/metadata/p', { custom_metadata: { a: 'x', b: 'y' } });
        await vault.update('secret/metadata/p', { custom_metadata: { a: null } });
        assert.deepEqual((await vault.read('secret/metadata/p')).data.custom_metadata, { b: 'y' });
    }],
    ['check-and-set', async () => {
        await vault.write('secret/data/cas', { data: {}, options: { cas: 0 } });
        await refused(vault.write('secret/data/cas', { data: {}, options: { cas: 0 } }), 400, /check-and-set/);
    }],
    ['delete, undelete, destroy', async () => {
        await vault.write('secret/data/d', { data: { n: 1 } });
        assert.equal(await vault.delete('secret/data/d'), '');
        const gone = await refused(vault.read('secret/data/d'), 404);
        assert.equal(gone.response.body.data.metadata.version, 1);
        assert.notEqual(gone.response.body.data.metadata.deletion_time, '');
        await vault.write('secret/undelete/d', { versions: [1] });
        assert.equal((await vault.read('secret/data/d')).data.data.n, 1);
        await vault.destroySecretVersions({ path: 'd', versions: [1] });
        assert.equal((await refused(vault.read('secret/data/d'), 404)).response.body.data.metadata.destroyed, true);
        await vault.delete('secret/metadata/d');
        await refused(vault.read('secret/metadata/d'), 404);
    }],
    ['names that mustache would escape', async () => {
        await vault.write('secret/data/path/with+marks-and_more.txt', { data: { k: 1 } });
        assert.equal((await vault.read('secret/data/path/with+marks-and_more.txt')).data.data.k, 1);
    }],
    ['a root token from key shares', async () => {
        const start = await vault.generateRootInit({});
        assert.equal(start.otp.length, start.otp_length);
        assert.equal((await vault.read('sys/generate-root/attempt')).nonce, start.nonce);
        await refused(vault.generateRootInit({}), 400, /already in progress/);
        let got;
        for (const key of vault.keys.slice(0, 3)) got = await vault.generateRootUpdate({ key, nonce: start.nonce });
        assert.equal(got.complete, true);
        const token = Buffer.from(got.encoded_root_token, 'base64').map((byte, i) => byte ^ start.otp.charCodeAt(i));
        assert.deepEqual((await as(token.toString()).tokenLookupSelf()).data.policies, ['root']);
        await vault.generateRootInit({});
        await vault.generateRootCancel();
        assert.equal((await vault.read('sys/generate-root/attempt')).started, false);
    }],
    ['step down', async () => {
        assert.equal(await vault.stepDown(), '');
    }],
    ['mounts', async () => {
        await vault.mount({ mount_point: 'team', type: 'kv-v2', description: 'x' });
        assert.equal((await vault.mounts()).data['team/'].description, 'x');
        await refused(vault.mount({ mount_point: 'team', type: 'kv-v2' }), 400, /path is already in use at team\//);
        await vault.unmount({ mount_point: 'team' });
        assert.equal((await vault.mounts()).data['team/'], undefined);
        assert.equal((await vault.auths()).data['token/'].type, 'token');
    }],
    ['token roles', async () => {
        await vault.addTokenRole({ role_name: 'node', allowed_policies: 'p,q', orphan: true, path_suffix: 'x' });
        assert.deepEqual((await vault.getTokenRole({ role_name: 'node' })).data.allowed_policies, ['p', 'q']);
        assert.deepEqual((await vault.tokenRoles()).data.keys, ['node']);
        const made = (await as(vault.token).tokenCreateRole({ role_name: 'node', policies: ['q'] })).auth;
        assert.deepEqual([made.policies, made.orphan], [['default', 'q'], true]);
        await vault.removeTokenRole({ role_name: 'node' });
        await refused(vault.getTokenRole({ role_name: 'node' }), 404);
    }],
    ['ways to log in', async () => {
        await vault.enableAuth({ mount_point: 'people', type: 'userpass', description: 'x' });
        assert.equal((await vault.auths()).data['people/'].description, 'x');
        await vault.disableAuth({ mount_point: 'people' });
        assert.equal((await vault.auths()).data['people/'], undefined);
    }],
    ['userpass', async () => {
        await vault.enableAuth({ mount_point: 'userpass', type: 'userpass' });
        await vault.write('auth/userpass/users/bob', { password: 'right', policies: 'p' });
        const bob = as('none');
        const got = await bob.userpassLogin({ username: 'bob', password: 'right' });
        assert.deepEqual([got.auth.policies, got.auth.metadata], [['default', 'p'], { username: 'bob' }]);
        assert.equal((await bob.tokenLookupSelf()).data.display_name, 'userpass-bob');
        await refused(as('none').userpassLogin({ username: 'bob', password: 'wrong' }), 400,
            /invalid username or password/);
    }],
    ['jwt', async () => {
        const { privateKey, publicKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const part = (o) => Buffer.from(JSON.stringify(o)).toString('base64url');
        const token = (claims) => {
            const text = `${part({ alg: 'ES256' })}.${part({ aud: 'vault', exp: Math.floor(Date.now() / 1000) + 60, ...claims })}`;
            return `${text}.${crypto.sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
        };
        await vault.enableAuth({ mount_point: 'jwt', type: 'jwt' });
        await vault.write('auth/jwt/config', { jwks: { keys: [publicKey.export({ format: 'jwk' })] } });
        await vault.write('auth/jwt/role/ci', { role_type: 'jwt', user_claim: 'sub', bound_audiences: ['vault'], token_policies: ['p'] });
        const job = as('none');
        const got = await job.jwtLogin({ role: 'ci', jwt: token({ sub: 'job' }) });
        assert.deepEqual([got.auth.policies, got.auth.metadata], [['default', 'p'], { role: 'ci' }]);
        assert.equal((await job.tokenLookupSelf()).data.display_name, 'jwt-job');
        await refused(as('none').jwtLogin({ role: 'ci', jwt: token({ sub: 'job', aud: 'other' }) }), 400, /error validating claims/);
    }],
    ['certificates', async () => {
        await vault.enableAuth({ mount_point: 'cert', type: 'cert' });
        await vault.write('auth/cert/certs/web', {
            certificate: pki('ca.crt'), allowed_common_names: 'web', display_name: 'Web', token_policies: ['p'], token_ttl: '20m',
        });
        const web = as('none', shows('web'));
        const { auth } = await web.certLogin();
        assert.deepEqual([auth.policies, auth.lease_duration], [['default', 'p'], 1200]);
        assert.deepEqual([auth.metadata.cert_name, auth.metadata.common_name], ['web', 'web']);
        assert.equal((await web.tokenLookupSelf()).data.display_name, 'cert-Web');
        assert.equal((await web.tokenRenewSelf()).auth.lease_duration, 1200);
        await refused(as(auth.client_token).tokenRenewSelf(), 400, /client certificate must be supplied/);
        await refused(as('none', shows('mail')).certLogin(), 400, /invalid certificate or no client certificate supplied/);
        await refused(as('none').certLogin(), 400, /client certificate must be supplied/);
    }],
    ['approle', async () => {
        const role = { role_name: 'node' };
        await vault.enableAuth({ mount_point: 'approle', type: 'approle' });
        await vault.addApproleRole({ ...role, policies: 'p', secret_id_num_uses: 3, token_ttl: 600 });
        assert.deepEqual((await vault.approleRoles()).data.keys, ['node']);
        assert.equal((await vault.getApproleRole(role)).data.token_ttl, 600);
        await vault.updateApproleRoleId({ ...role, role_id: 'chosen' });
        assert.equal((await vault.getApproleRoleId(role)).data.role_id, 'chosen');
        const made = (await vault.getApproleRoleSecret({ ...role, metadata: '{"host":"h1"}' })).data;
        const machine = as('none');
        const got = await machine.approleLogin({ role_id: 'chosen', secret_id: made.secret_id });
        assert.deepEqual(got.auth.metadata, { role_name: 'node', host: 'h1' });
        assert.equal((await machine.tokenLookupSelf()).data.display_name, 'approle');
        const accessor = made.secret_id_accessor;
        assert.deepEqual((await vault.approleSecretAccessors(role)).data.keys, [accessor]);
        const seen = (await vault.approleSecretLookup({ ...role, secret_id: made.secret_id })).data;
        assert.equal(seen.secret_id_num_uses, 2);
        assert.equal((await vault.approleSecretAccessorLookup({ ...role, secret_id_accessor: accessor }))
            .data.secret_id_accessor, accessor);
        await vault.approleSecretDestroy({ ...role, secret_id: made.secret_id });
        await refused(as('none').approleLogin({ role_id: 'chosen', secret_id: made.secret_id }), 400,
            /invalid role or secret ID/);
        const other = (await vault.getApproleRoleSecret(role)).data;
        await vault.approleSecretAccessorDestroy({ ...role, secret_id_accessor: other.secret_id_accessor });
        await refused(as('none').approleLogin({ role_id: 'chosen', secret_id: other.secret_id }), 400);
        await vault.deleteApproleRole(role);
        await refused(vault.getApproleRole(role), 404);
    }],
    ['moving a mount', async () => {
        await vault.mount({ mount_point: 'src', type: 'kv-v2' });
        await vault.write('src/data/a', { data: { k: 'v' } });
        const moved = await vault.remount({ from: 'src', to: 'dst' });
        assert.equal(typeof moved.data.migration_id, 'string');
        assert.equal((await vault.read('dst/data/a')).data.data.k, 'v');
        await refused(vault.read('src/data/a'), 404, /no handler for route/);
        await refused(vault.remount({ from: 'src', to: 'x' }), 400, /no matching mount/);
    }],
    ['KV version 1', async () => {
        await vault.mount({ mount_point: 'one', type: 'kv' });
        assert.equal(await vault.write('one/a/b', { k: 'v', n: [1, { x: null }] }), '');
        const got = await vault.read('one/a/b');
        assert.deepEqual([got.data, got.lease_duration], [{ k: 'v', n: [1, { x: null }] }, 2764800]);
        assert.deepEqual((await vault.list('one/a')).data.keys, ['b']);
        await refused(vault.update('one/a/b', { k: 'w' }), 405, /unsupported operation/);
        assert.equal(await vault.delete('one/a/b'), '');
        await refused(vault.read('one/a/b'), 404, /Status 404/);
        await refused(vault.write('one/a', {}), 400, /missing data fields/);
    }],
    ['policies', async () => {
        const rules = 'path "secret/data/a/*" { capabilities = ["read"] }';
        await vault.addPolicy({ name: 'reader', rules });
        assert.equal((await vault.getPolicy({ name: 'reader' })).rules, rules);
        assert.ok((await vault.policies()).policies.includes('reader'));
        const reader = as((await create({ policies: ['reader'] })).client_token);
        assert.equal((await reader.read('secret/data/a/b')).data.data.k, 'w');
        await refused(reader.write('secret/data/a/b', { data: {} }), 403, /permission denied/);
        await vault.removePolicy({ name: 'reader' });
        await refused(reader.read('secret/data/a/b'), 403, /permission denied/);
        await refused(vault.getPolicy({ name: 'reader' }), 404);
        await refused(vault.addPolicy({ name: 'bad', rules: 'path {' }), 400, /failed to parse policy/);
    }],
    ['tokens', async () => {
        const made = await create({ policies: ['default'], ttl: '1h', meta: { a: 'b' }, num_uses: 0 });
        assert.deepEqual([made.policies, made.lease_duration, made.metadata], [['default'], 3600, { a: 'b' }]);
        const own = as(made.client_token);
        assert.equal((await own.tokenLookupSelf()).data.accessor, made.accessor);
        assert.equal((await own.tokenRenewSelf({ increment: '2h' })).auth.lease_duration, 7200);
        assert.equal((await vault.tokenLookup({ token: made.client_token })).data.id, made.client_token);
        assert.equal((await vault.tokenLookupAccessor({ accessor: made.accessor })).data.id, '');
        assert.equal((await as(vault.token).tokenRenew({ token: made.client_token, increment: 60 })).auth.lease_duration, 60);
        assert.ok((await vault.tokenAccessors()).data.keys.includes(made.accessor));
        await vault.tokenRevoke({ token: made.client_token });
        await refused(own.tokenLookupSelf(), 403, /permission denied/);
        const other = await create({ policies: ['default'] });
        await vault.tokenRevokeAccessor({ accessor: other.accessor });
        await refused(as(other.client_token).tokenLookupSelf(), 403);
        const orphan = (await as(vault.token).tokenCreateOrphan({ policies: ['default'] })).auth;
        assert.equal(orphan.orphan, true);
        await as(orphan.client_token).tokenRevokeSelf();
        await refused(as(orphan.client_token).tokenLookupSelf(), 403);
    }],
    ['leases of tokens', async () => {
        const made = (await create({ policies: ['default'], ttl: '1h' })).client_token;
        const ids = (await vault.list('sys/leases/lookup/auth/token/create')).data.keys;
        assert.match(ids[0], /^h[0-9a-f]{64}$/);
        const lease_id = 'auth/token/create/' + ids[0];
        await refused(vault.renew({ lease_id, increment: 60 }), 400, /tokens cannot be renewed/);
        await vault.revoke({ lease_id });
        await refused(vault.renew({ lease_id }), 400, /lease not found/);
        await vault.revokePrefix({ path_prefix: 'auth/token/create' });
        await refused(as(made).tokenLookupSelf(), 403, /permission denied/);
    }],
    ['a client goes on with the token it made', async () => {
        const own = as(vault.token);
        const made = (await own.tokenCreate({ policies: ['default'] })).auth;
        assert.equal(own.token, made.client_token);
        assert.equal((await own.tokenLookupSelf()).data.accessor, made.accessor);
    }],
    ['a revoked parent takes its children', async () => {
        const parent = await policy('maker', 'path "auth/token/create" { capabilities = ["update"] }');
        const child = (await create({}, parent)).client_token;
        await as(child).tokenLookupSelf();
        await vault.tokenRevoke({ token: parent });
        await refused(as(child).tokenLookupSelf(), 403, /invalid token/);
    }],
    ['a revoked parent that leaves its children', async () => {
        const parent = await policy('maker', 'path "auth/token/create" { capabilities = ["update"] }');
        const child = (await create({}, parent)).client_token;
        await vault.tokenRevokeOrphan({ token: parent });
        await refused(as(parent).tokenLookupSelf(), 403, /invalid token/);
        assert.equal((await as(child).tokenLookupSelf()).data.orphan, true);
    }],
    ['health, leader, help, rotate', async () => {
        const health = await vault.health();
        assert.deepEqual([health.initialized, health.sealed, health.standby], [true, false, false]);
        assert.equal((await vault.health({ sealedcode: 200 })).sealed, false);
        assert.equal((await vault.leader()).ha_enabled, false);
        assert.equal(typeof (await vault.help('sys/mounts')).help, 'string');
        assert.equal(typeof (await vault.help('secret')).help, 'string');
        await vault.rotate();
    }],
    ['unwrap', async () => {
        const headers = { 'X-Vault-Wrap-TTL': '5m' };
        await vault.write('secret/data/wrapped', { data: { k: 'v' } });
        const { wrap_info: info } = await vault.read('secret/data/wrapped', { headers });
        assert.equal(info.creation_path, 'secret/data/wrapped');
        assert.deepEqual((await vault.unwrap({ token: info.token })).data.data, { k: 'v' });
        await refused(vault.unwrap({ token: info.token }), 400, /wrapping token is not valid or does not exist/);
    }],
    ['error objects', async () => {
        const denied = await refused(as('nonsense').read('secret/data/a/b'), 403, /permission denied/);
        assert.deepEqual(Object.keys(denied.response.body), ['errors']);
        const bad = await refused(vault.write('secret/data/a/b', { nodata: 1 }), 400, /^no data provided$/);
        assert.deepEqual(bad.response.body.errors[0], 'no data provided');
        await refused(vault.write('auth/token/create', { ttl: 'soon' }), 400, /ttl/);
        await refused(vault.read('nope/x'), 404, /no handler for route "nope\/x"/);
        await refused(vault.read('sys/nope'), 404, /unsupported path/);
        assert.deepEqual((await vault.audits()).data, {});
        await refused(vault.enableAudit({ name: 'file', type: 'file', options: { file_path: '/tmp/x' } }), 400,
            /config-based audit device management/);
        await refused(vault.disableAudit({ name: 'file' }), 400, /cannot disable/);
    }],
    ['seal', async () => {
        await vault.seal();
        assert.equal((await vault.status()).sealed, true);
        assert.equal((await vault.health()).sealed, true);
        await refused(vault.read('secret/data/a/b'), 503, /Vault is sealed/);
        for (const key of vault.keys.slice(1, 4)) await vault.unseal({ secret_shares: 1, key });
        assert.equal((await vault.read('secret/data/a/b')).data.data.k, 'w');
    }],
];

run(making, cases);
