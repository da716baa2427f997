import { wire } from '@roundhouse/control-protocol';
import { type FakeHttpStore, startFakeHttpStore } from '@roundhouse/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRig, type Rig, until } from './testing/rig.ts';
import { createVolume, diskUsage } from './volume.ts';

const mebibyte = 2 ** 20;

describe('an agent whose volume has a size limit', () => {
  let rig: Rig;
  let store: FakeHttpStore;
  beforeEach(async () => {
    [rig, store] = [await createRig(), await startFakeHttpStore()];
    rig.modelDiskBytes = 4 * mebibyte;
    await rig.startControl();
  });
  afterEach(async () => {
    await rig.close();
    await store.close();
  });

  const aModel = (name: string, mebibytes: number, version = '1') => {
    store.files.set(`/${name}-${version}/model.onnx`, { body: Buffer.alloc(mebibytes * mebibyte, name) });
    const storageUri = `${store.url}/${name}-${version}/model.onnx`;
    return { name, storageUri, framework: 'onnx', memory: '1Mi', digest: `${name} ${version}` };
  };
  const started = async () => {
    const before = rig.session;
    const agent = await rig.startAgent();
    await until(() => rig.session !== before && rig.session?.reported === true);
    return agent;
  };
  const reportOf = (name: string) => rig.session?.reports.get(name);
  const isIn = (name: string, state: wire.ModelState) => until(() => reportOf(name)?.state === state);
  const requestsFor = (name: string) => store.requests.filter((request) => request.includes(`/${name}`));
  const used = () => diskUsage(rig.path('models'));

  it('refuses what does not fit before it comes, and names the limit and the way out', async () => {
    await started();
    rig.session?.assign([aModel('small', 2)], []);
    await isIn('small', wire.ModelState.LOADED);
    rig.session?.assign([aModel('large', 3)], []);
    await isIn('large', wire.ModelState.DOWNLOAD_FAILED);

    expect(reportOf('large')?.failure).toMatchObject({
      class: wire.FailureClass.NO_SPACE,
      reason: 'NoSpace',
      message: expect.stringMatching(
        /needs 3\.0 MiB of a volume limited to 4\.0 MiB, of which 2\.\d MiB are taken: remove models, or raise roundhouse\.dev\/model-disk/,
      ),
    });
    expect(requestsFor('large')).toHaveLength(1); // that of the listing
    expect(reportOf('small')?.state).toBe(wire.ModelState.LOADED);
  });

  it('stops a download of unknown size at the limit, and frees what it wrote', async () => {
    await started();
    rig.session?.assign([aModel('small', 1)], []);
    await isIn('small', wire.ModelState.LOADED);
    const before = await used();
    store.knobs.chunked = true;
    rig.session?.assign([aModel('endless', 16)], []);
    await isIn('endless', wire.ModelState.DOWNLOAD_FAILED);

    expect(reportOf('endless')?.failure).toMatchObject({ class: wire.FailureClass.NO_SPACE, reason: 'NoSpace' });
    expect((await used()) - before).toBeLessThan(mebibyte / 8);

    store.knobs.chunked = false;
    rig.session?.assign([aModel('fits', 2)], []);
    await isIn('fits', wire.ModelState.LOADED);
  });

  it('takes a model once another has made room, and knows what is there after a restart', async () => {
    const agent = await started();
    rig.session?.assign([aModel('first', 3)], []);
    await isIn('first', wire.ModelState.LOADED);
    await agent.stop();
    await started();
    rig.session?.assign([aModel('first', 3), aModel('second', 3)], []);
    await isIn('second', wire.ModelState.DOWNLOAD_FAILED);
    rig.session?.assign([], ['first']);
    await isIn('second', wire.ModelState.LOADED);

    expect(await used()).toBeLessThan(4 * mebibyte);
  });

  it('serves the old version where there is no room for both', async () => {
    await started();
    rig.session?.assign([aModel('iris', 3)], []);
    await isIn('iris', wire.ModelState.LOADED);
    rig.session?.assign([aModel('iris', 3, '2')], []);
    await until(() => reportOf('iris')?.failure !== undefined);

    expect(reportOf('iris')?.failure).toMatchObject({ reason: 'NoSpace' });
    expect(requestsFor('iris-2')).toHaveLength(1);
    expect(rig.server.loaded.has('iris')).toBe(true);
  });
});

describe('a volume', () => {
  it('gives room to the one who asks first, and takes back what was not used', () => {
    const volume = createVolume(64 * mebibyte);
    const [one, two] = [volume.open(), volume.open()];

    expect(one.reach(40 * mebibyte)).toBeUndefined();
    expect(two.reach(40 * mebibyte)).toContain('40.0 MiB are taken');
    expect(one.reach(10 * mebibyte)).toBeUndefined();

    one.settle(10 * mebibyte);
    expect(two.reach(40 * mebibyte)).toBeUndefined();

    two.release();
    expect(two.reach(53 * mebibyte)).toBeUndefined();
    expect(two.reach(54 * mebibyte)).toContain('limited to 64.0 MiB');
  });

  it('has room for everything where it has no limit', () => {
    expect(
      createVolume(0)
        .open()
        .reach(2 ** 60),
    ).toBeUndefined();
  });
});
