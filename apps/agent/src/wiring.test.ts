import { mkdir, readdir, rename, symlink, writeFile } from 'node:fs/promises';
import { wire } from '@roundhouse/control-protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRig, type Rig, type RunningAgent, until } from './testing/rig.ts';

describe('an agent, end to end', () => {
  let rig: Rig;
  beforeEach(async () => {
    rig = await createRig((model) => (model === 'broken' ? 'the file is empty' : undefined));
  });
  afterEach(() => rig.close());

  const predict = async ({ dataPort }: RunningAgent, model: string) => {
    const url = `http://127.0.0.1:${dataPort}/v2/models/${model}/infer`;
    const response = await fetch(url, { method: 'POST', body: '{"inputs":[]}' });
    return { response, status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const ops = (agent: RunningAgent, path: string) => fetch(`http://127.0.0.1:${agent.opsPort}${path}`);
  const stateOf = (name: string) => rig.session?.reports.get(name)?.state;
  const attached = async () => {
    await until(() => rig.session?.reported === true);
    return rig.session!;
  };

  it('downloads, loads and answers for what it is assigned, and says so', async () => {
    await rig.startControl();
    const agent = await rig.startAgent();
    const session = await attached();
    session.assign([await rig.aModel('iris')], []);
    await until(() => stateOf('iris') === wire.ModelState.LOADED);

    expect(session.hello).toMatchObject({ service: 'shop', dataAddress: `127.0.0.1:${agent.dataPort}` });
    expect(session.reports.get('iris')).toMatchObject({ digest: 'iris weights', servingDigest: 'iris weights' });
    expect(await predict(agent, 'iris')).toMatchObject({ status: 200, body: { model_name: 'iris' } });
    expect((await readdir(rig.path('models/iris'))).map((name) => name.slice(0, 8))).toEqual(['SUCCESS.', 'model.on']);
    expect(
      agent.lines.filter((line) => / iris: /.test(line)).map((line) => line.replaceAll(/[\d.]+ m?s$|^\S+ /g, '')),
    ).toEqual([
      `iris: downloading from file://${rig.path('store/iris-weights')}`,
      'iris: downloaded 1 file, 7 bytes in ',
      'iris: loaded in ',
    ]);

    session.assign([], ['iris']);
    await until(() => !session.reports.has('iris'));

    const { response, status, body } = await predict(agent, 'iris');
    expect([status, body, response.headers.get('x-roundhouse-not-here')]).toEqual([
      404,
      { error: 'model iris is not found' },
      '1',
    ]);
    expect(rig.server.loaded.size).toBe(0);
  });

  it('sends to other replicas what waits for a server that is gone, once the pod is going', async () => {
    await rig.startControl();
    const agent = await rig.startAgent();
    const session = await attached();
    session.assign([await rig.aModel('iris')], []);
    await until(() => stateOf('iris') === wire.ModelState.LOADED);
    await rig.server.stop();
    const waiting = predict(agent, 'iris');
    await until(async () => (await (await ops(agent, '/metrics')).text()).includes('requests_waiting 1'));
    const stopping = agent.stop();

    const { response, status } = await waiting;
    expect([status, response.headers.get('x-roundhouse-not-here')]).toEqual([503, '1']);
    await stopping;
  });

  it('fails no request while models come and go', async () => {
    await rig.startControl();
    const agent = await rig.startAgent();
    const session = await attached();
    rig.server.inferMs = 2;
    session.assign([await rig.aModel('steady')], []);
    await until(() => stateOf('steady') === wire.ModelState.LOADED);
    let over = false;
    const statuses = new Map<number, number>();
    const clients = Array.from({ length: 8 }, async () => {
      while (!over) {
        const { status } = await predict(agent, 'steady');
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    });
    for (let round = 0; round < 5; round++) {
      session.assign([await rig.aModel('guest', `${round}`), await rig.aModel('steady', `weights${round}`)], []);
      await until(() => stateOf('guest') === wire.ModelState.LOADED && stateOf('steady') === wire.ModelState.LOADED);
      expect((await predict(agent, 'guest')).status).toBe(200);
      session.assign([], ['guest']);
      await until(() => !session.reports.has('guest'));
    }
    over = true;
    await Promise.all(clients);

    expect([...statuses.keys()]).toEqual([200]);
    expect(statuses.get(200)).toBeGreaterThan(50);
  });

  it('lets requests wait while the model server restarts, and refills it', async () => {
    await rig.startControl();
    const agent = await rig.startAgent();
    (await attached()).assign([await rig.aModel('a'), await rig.aModel('b')], []);
    await until(() => stateOf('a') === wire.ModelState.LOADED && stateOf('b') === wire.ModelState.LOADED);
    await rig.server.stop();
    const waiting = [predict(agent, 'a'), predict(agent, 'b')];
    await until(async () => (await (await ops(agent, '/metrics')).text()).includes('requests_waiting 2'));
    await rig.server.start();

    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200]);
    expect(agent.lines.filter((line) => line.includes('downloaded'))).toHaveLength(2);
  });

  it('notices a server that was replaced between two looks', async () => {
    await rig.startControl();
    const agent = await rig.startAgent();
    (await attached()).assign([await rig.aModel('a')], []);
    await until(() => stateOf('a') === wire.ModelState.LOADED);
    await rig.server.stop();
    await rig.server.start();
    await until(() => rig.server.loaded.get('a') === 1);

    expect((await predict(agent, 'a')).status).toBe(200);
  });

  it('says why a model does not load, keeps the others, and marks its refusal', async () => {
    await rig.startControl();
    const agent = await rig.startAgent();
    const session = await attached();
    const lost = { ...(await rig.aModel('lost')), storageUri: `file://${rig.path('store/nowhere')}` };
    session.assign([await rig.aModel('good'), await rig.aModel('broken'), lost], []);
    await until(() => stateOf('good') === wire.ModelState.LOADED);
    await until(() => stateOf('broken') === wire.ModelState.LOAD_FAILED);
    await until(() => stateOf('lost') === wire.ModelState.DOWNLOAD_FAILED);

    expect(session.reports.get('broken')?.failure).toMatchObject({
      class: wire.FailureClass.INVALID,
      reason: 'ModelRejected',
      message: expect.stringContaining('the file is empty'),
    });
    expect(session.reports.get('lost')?.failure).toMatchObject({ class: wire.FailureClass.NOT_FOUND });
    expect((await predict(agent, 'good')).status).toBe(200);
    const { response, status } = await predict(agent, 'lost');
    expect([status, response.headers.has('retry-after'), response.headers.has('x-roundhouse-not-here')]).toEqual([
      503,
      true,
      true,
    ]);
  });

  it('serves from the mounted ConfigMap without a controller, and follows its changes', async () => {
    const entryOf = async (name: string) => {
      const { storageUri, framework, memory } = await rig.aModel(name);
      return { modelName: name, modelSpec: { storageUri, framework, memory } };
    };
    const mount = async (version: string, ...names: readonly string[]) => {
      await mkdir(rig.path(`configs/..${version}`));
      const entries = await Promise.all(names.map(entryOf));
      await writeFile(rig.path(`configs/..${version}/models.json`), JSON.stringify(entries));
      await symlink(`..${version}`, rig.path('configs/..data_tmp'));
      await rename(rig.path('configs/..data_tmp'), rig.path('configs/..data'));
    };
    await mount('1', 'a', 'b');
    await symlink('..data/models.json', rig.path('configs/models.json'));
    const agent = await rig.startAgent('--no-control');
    await until(() => rig.server.loaded.size === 2);
    await mount('2', 'b', 'c');
    await until(() => rig.server.loaded.has('c') && !rig.server.loaded.has('a'));

    expect((await predict(agent, 'b')).status).toBe(200);
    expect(rig.server.loaded.get('b')).toBe(1);
  });

  it('goes on after a crash with what is loaded, and without the controller', async () => {
    const control = await rig.startControl();
    const first = await rig.startAgent();
    (await attached()).assign([await rig.aModel('a')], []);
    await until(() => stateOf('a') === wire.ModelState.LOADED);
    await until(async () => (await readdir(rig.path('models/.roundhouse'))).includes('assignment.json'));
    await first.stop();
    await control.close();
    const second = await rig.startAgent();

    expect((await predict(second, 'a')).status).toBe(200);
    expect(rig.server.loaded.get('a')).toBe(1);
  });

  it('drains: unready, told to the controller, and done when nothing is in flight', async () => {
    await rig.startControl();
    const agent = await rig.startAgent();
    const session = await attached();
    session.assign([await rig.aModel('a')], []);
    await until(() => stateOf('a') === wire.ModelState.LOADED);

    expect((await ops(agent, '/readyz')).status).toBe(200);

    let draining = false;
    session.onHeartbeat((heartbeat) => {
      draining ||= heartbeat.draining;
    });
    rig.server.inferMs = 800;
    const slow = predict(agent, 'a');
    await until(() => rig.server.calls.includes('POST /v2/models/a/infer'));
    const drained = ops(agent, '/drain');
    await until(async () => (await ops(agent, '/readyz')).status === 503);
    await drained;

    expect((await slow).status).toBe(200);
    expect(draining).toBe(true);
  });

  it('shows its table and refuses repository calls from outside', async () => {
    await rig.startControl();
    const agent = await rig.startAgent();
    (await attached()).assign([await rig.aModel('a')], []);
    await until(() => stateOf('a') === wire.ModelState.LOADED);
    const url = `http://127.0.0.1:${agent.dataPort}/v2/repository/models/a/unload`;

    expect((await fetch(url, { method: 'POST' })).status).toBe(404);
    expect(await (await ops(agent, '/models')).json()).toMatchObject([{ name: 'a', state: 'loaded', inFlight: 0 }]);
    expect((await ops(agent, '/healthz')).status).toBe(200);
    expect(rig.server.loaded.has('a')).toBe(true);
  });
});
