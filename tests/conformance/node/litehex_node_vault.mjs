// npm's @litehex/node-vault, unchanged, over TLS. It holds each answer against a schema. Run by
// tests/conformance/with_litehex_node_vault, which starts a new vaultd and says where: VAULT_ADDR, KT_MODULES;
// node itself trusts the vault's certificate (NODE_EXTRA_CA_CERTS).
import { strict as assert } from 'node:assert';
import { pathToFileURL } from 'node:url';
import run from './tap.js';

const source = `${process.env.KT_MODULES}/@litehex/node-vault/dist/index.js`;
const { Client } = await import(pathToFileURL(source));
const vault = new Client({ endpoint: process.env.VAULT_ADDR });
// Its schema for the answer is not Vault's: the call is what counts.
const LOOSE = { strictSchema: false };
let keys;

async function got(promise) {
    const { data, error } = await promise;
    if (error) throw new Error(`${error.message} ${JSON.stringify(error.cause) ?? ''}`);
    return data;
}

async function refused(promise, text) {
    const { data, error } = await promise;
    assert.notEqual(error, undefined, JSON.stringify(data));
    assert.match(error.message, text);
}

const making = [
    ['initialized, init', async () => {
        assert.deepEqual(await got(vault.initialized()), { initialized: false });
        const made = await got(vault.init({ secret_shares: 3, secret_threshold: 2 }));
        keys = made.keys;
        vault.token = made.root_token;
    }],
    ['unseal', async () => {
        assert.equal((await got(vault.unseal({ key: keys[0] }))).progress, 1);
        assert.equal((await got(vault.unseal({ key: keys[1] }))).sealed, false);
        assert.equal((await got(vault.sealStatus())).sealed, false);
        assert.equal((await got(vault.health())).standby, false);
    }],
    ['mount', async () => {
        assert.equal(await got(vault.mount({ mountPath: 'two', type: 'kv-v2' })), true);
        assert.equal(await got(vault.mount({ mountPath: 'one', type: 'kv', description: 'old', options: { version: '1' } })), true);
    }],
];

const cases = [
    ['mounts', async () => {
        const mounts = (await got(vault.mounts())).data;
        assert.equal(mounts['two/'].options.version, '2');
        assert.equal((await got(vault.engineInfo({ mountPath: 'one' }))).data.description, 'old');
        assert.equal((await got(vault.kv2.info({ mountPath: 'two' }))).data.type, 'kv');
        assert.equal((await got(vault.kv.info({ mountPath: 'one' }))).data.type, 'kv');
        await got(vault.tuneMount({ mountPath: 'one', default_lease_ttl: 1800, max_lease_ttl: 86400 }));
        assert.equal((await got(vault.tune({ mountPath: 'one' }))).default_lease_ttl, 1800);
        await got(vault.mount({ mountPath: 'more', type: 'kv' }));
        assert.equal(await got(vault.unmount({ mountPath: 'more' })), true);
    }],
    ['read, write, list, delete of any path', async () => {
        await got(vault.write({ path: 'one/any', data: { k: 'v' } }, LOOSE));
        assert.deepEqual((await got(vault.read({ path: 'one/any' }))).data, { k: 'v' });
        assert.deepEqual((await got(vault.list({ path: 'one' }))).data.keys, ['any']);
        await got(vault.delete({ path: 'one/any' }));
        await refused(vault.read({ path: 'one/any' }), /Not Found/);
    }],
    ['KV version 1', async () => {
        const where = { mountPath: 'one', path: 'a/b' };
        assert.equal(await got(vault.kv.write({ ...where, data: { k: 'v' } })), true);
        assert.deepEqual((await got(vault.kv.read(where))).data, { k: 'v' });
        assert.deepEqual((await got(vault.kv.list({ mountPath: 'one', path: 'a' }))).data.keys, ['b']);
        assert.equal(await got(vault.kv.delete(where)), true);
        await refused(vault.kv.read(where), /Not Found/);
    }],
    ['KV version 2', async () => {
        const where = { mountPath: 'two', path: 'a/b' };
        assert.equal(await got(vault.kv2.config({ mountPath: 'two', max_versions: 7 })), true);
        assert.equal((await got(vault.kv2.readConfig({ mountPath: 'two' }))).data.max_versions, 7);
        /* The client's own has no fields to send, so that nothing changes. */
        await got(vault.config({ mountPath: 'two' }, LOOSE));
        assert.equal((await got(vault.kv2.readConfig({ mountPath: 'two' }))).data.max_versions, 7);
        assert.equal((await got(vault.kv2.write({ ...where, data: { k: 'v' } }))).data.version, 1);
        assert.equal((await got(vault.kv2.write({ ...where, data: { k: 'w' }, options: { cas: 1 } }))).data.version, 2);
        await refused(vault.kv2.write({ ...where, data: { k: 'x' }, options: { cas: 1 } }), /check-and-set/);
        assert.deepEqual((await got(vault.kv2.read(where))).data.data, { k: 'w' });
        /* With a '/' in the name the client loses what follows it once there are parameters. */
        const plain = { mountPath: 'two', path: 'plain' };
        for (const k of ['v', 'w']) await got(vault.kv2.write({ ...plain, data: { k } }));
        assert.deepEqual((await got(vault.kv2.read({ ...plain, version: 1 }))).data.data, { k: 'v' });
        assert.deepEqual((await got(vault.kv2.subKeys({ ...plain, depth: 1 }))).data.subkeys, { k: null });
        assert.equal((await got(vault.kv2.patch({ ...where, data: { l: 'm' } }))).data.version, 3);
        assert.deepEqual((await got(vault.kv2.subKeys(where))).data.subkeys, { k: null, l: null });
        assert.equal(await got(vault.kv2.deleteLatest(where)), true);
        assert.equal(await got(vault.kv2.undelete({ ...where, versions: [3] })), true);
        assert.equal(await got(vault.kv2.delete({ ...where, versions: [1] })), true);
        assert.equal(await got(vault.kv2.destroy({ ...where, versions: [1] })), true);
        assert.equal(await got(vault.kv2.writeMetadata({ ...where, max_versions: 5, custom_metadata: { team: 'a' } })), true);
        assert.equal(await got(vault.kv2.patchMetadata({ ...where, custom_metadata: { team: 'b' } })), true);
        const meta = (await got(vault.kv2.readMetadata(where))).data;
        assert.deepEqual([meta.custom_metadata, meta.versions[1].destroyed], [{ team: 'b' }, true]);
        assert.deepEqual((await got(vault.kv2.list({ mountPath: 'two', path: 'a' }))).data.keys, ['b']);
        assert.equal(await got(vault.kv2.deleteMetadata(where)), true);
        await refused(vault.kv2.readMetadata(where), /Not Found/);
    }],
    ['system', async () => {
        assert.equal((await got(vault.hostInfo(undefined, LOOSE))).data.host.os, 'linux');
        const asked = await got(vault.queryCapabilities({ token: vault.token, paths: ['a'] }, LOOSE));
        assert.deepEqual(asked.data.capabilities, ['root']);
        assert.deepEqual((await got(vault.listDevices())).data, {});
        await refused(vault.enableDevice({ path: 'file' }), /config-based audit device management|type/);
        await refused(vault.disableDevice({ path: 'file' }), /cannot disable/);
    }],
    ['a root token from the keys', async () => {
        assert.equal((await got(vault.getRootGenerationProgress())).started, false);
        const otp = 'o'.repeat((await got(vault.getRootGenerationProgress())).otp_length);
        const begun = await got(vault.startRootGeneration({ otp }, LOOSE));
        assert.equal(begun.started, true);
        assert.equal((await got(vault.provideKeyShare({ key: keys[0], nonce: begun.nonce }))).progress, 1);
        await got(vault.cancelRootGeneration());
        const again = await got(vault.startRootGeneration({ otp }, LOOSE));
        await got(vault.provideKeyShare({ key: keys[0], nonce: again.nonce }));
        const done = await got(vault.provideKeyShare({ key: keys[1], nonce: again.nonce }));
        const token = Buffer.from(done.encoded_token, 'base64').map((byte, i) => byte ^ otp.charCodeAt(i)).toString();
        const own = new Client({ endpoint: process.env.VAULT_ADDR, token });
        assert.equal((await got(own.mounts())).data['two/'].type, 'kv');
    }],
    ['errors', async () => {
        const stranger = new Client({ endpoint: process.env.VAULT_ADDR, token: 'nonsense' });
        await refused(stranger.mounts(), /permission denied/);
        await refused(vault.read({ path: 'nope/x' }), /no handler for route/);
    }],
    ['seal', async () => {
        assert.equal(await got(vault.seal()), true);
        assert.equal((await got(vault.sealStatus())).sealed, true);
        await refused(vault.mounts(), /Vault is sealed/);
    }],
];

await run(making, cases);
