import { type Clock, systemClock } from '@roundhouse/base';
import { serveControl } from '@roundhouse/control-protocol';
import type { KubeObject } from '@roundhouse/kube';
import { silentLog } from '@roundhouse/telemetry';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resources } from '../src/cluster.ts';
import { names } from '../src/testing/builders.ts';
import { type Certificates, renewed, trusted } from '../src/tls.ts';
import {
  applyModel,
  applyService,
  conditionOf,
  makeReady,
  openWorld,
  ownedBy,
  podOf,
  real,
  runAgent,
  runRouter,
  startController,
  tokenFor,
  trustedIn,
  type World,
} from './world.ts';

/**
 * Who may speak on the control stream, and for how long, on an API server: the embedded one, or the real one that
 * CONTRACT_KUBECONFIG names.
 */
const forever = new AbortController().signal;
const soon = { timeout: 15_000 };
const dayMs = 24 * 60 * 60 * 1000;

describe(`the control stream (${real === undefined ? 'embedded' : 'real'} API server)`, () => {
  let world: World;
  let pod: KubeObject;
  let controller: Awaited<ReturnType<typeof startController>>;
  let port: number;
  let epoch: number;

  beforeAll(async () => {
    world = await openWorld();
    controller = await startController(world);
    ({ port, epoch } = await controller.leading);
    await applyService(world, 'shared');
    pod = await podOf(world, 'shared');
    await makeReady(world, 'shared', pod);
    await applyModel(world, 'iris', 'shared');
  });
  afterAll(() => world?.close());

  const account = (name = 'default') => ({ namespace: world.namespace, name });
  const own = () => tokenFor(world, account(), pod);
  const secret = () => world.kube.get(resources.secrets, world.system, 'roundhouse-ca', forever);

  it('keeps its CA in a Secret of its own, and gives only certificates to namespaces with services', async () => {
    expect(Object.keys((await secret())?.data as object).sort()).toEqual(['ca.crt', 'ca.key', 'tls.crt', 'tls.key']);
    await expect.poll(() => trustedIn(world, world.namespace), soon).toContain('BEGIN CERTIFICATE');
    const published = await world.kube.get(resources.configMaps, world.namespace, 'roundhouse-ca', forever);

    expect(Object.keys(published?.data as object)).toEqual(['ca.crt']);
    expect(JSON.stringify(published)).not.toContain('PRIVATE');
    expect(await world.kube.get(resources.configMaps, 'default', 'roundhouse-ca', forever)).toBeUndefined();
  });

  it("admits the pod of the service's own Deployment, and makes its model Ready", async () => {
    const agent = runAgent(world, 'shared', pod, { port, token: own });

    await expect.poll(() => agent.assigned.has('iris'), soon).toBe(true);
    await expect
      .poll(() => conditionOf(world, names.trainedModels, 'iris', 'Loaded'), soon)
      .toMatchObject({
        status: 'True',
      });
    await agent.end();
  });

  const refusedAs = async (service: string, claimed: KubeObject, token: () => Promise<string>) => {
    const agent = runAgent(world, service, claimed, { port, token });
    await expect.poll(() => agent.reasons, soon).not.toEqual([]);
    await agent.end();
    expect(agent.assigned.size).toBe(0);
    return agent.reasons[0];
  };

  it('refuses what is no token of this cluster, or a token for another audience', async () => {
    const elsewhere = () => tokenFor(world, account(), pod, 'somewhere-else');

    expect(await refusedAs('shared', pod, async () => 'nonsense')).toContain('not valid for audience');
    expect(await refusedAs('shared', pod, elsewhere)).toContain('not valid for audience');
  });

  it('refuses the token of one pod from whoever says to be another', async () => {
    await applyService(world, 'other');
    const other = await podOf(world, 'other');
    const token = () => tokenFor(world, account(), other);

    expect(await refusedAs('shared', pod, token)).toContain('not of pod');
    expect(await refusedAs('shared', pod, () => tokenFor(world, account()))).toContain('not of pod');
  });

  it('refuses a forged agent: a pod of another Deployment that names this service', async () => {
    await applyService(world, 'forger');
    const other = await podOf(world, 'forger');

    expect(await refusedAs('shared', other, () => tokenFor(world, account(), other))).toContain('does not belong');
  });

  it.each([
    ['no owner', () => []],
    [
      'an owner of the right name and another uid',
      () => [{ ...rightOwner(), uid: '00000000-0000-0000-0000-000000000001' }],
    ],
  ])("refuses a pod with the service's labels and %s", async (_, owners) => {
    const { labels } = pod.metadata;
    const lonely = await world.kube.create(
      resources.pods,
      {
        apiVersion: 'v1',
        kind: 'Pod',
        // Without the label that its ReplicaSet would adopt it by.
        metadata: {
          generateName: 'shared-predictor-',
          namespace: world.namespace,
          labels: { ...labels, app: 'x', 'pod-template-hash': 'x' },
          ownerReferences: owners(),
        },
        spec: pod.spec,
      },
      forever,
    );

    // Of an owner that does not exist the garbage collector may be faster than we.
    expect(await refusedAs('shared', lonely, () => tokenFor(world, account(), lonely))).toMatch(
      /does not belong|no pod|not found|not valid/,
    );
  });
  const rightOwner = () => {
    const [owner] = (pod.metadata.ownerReferences ?? []) as readonly { name: string; uid: string }[];
    return ownedBy({ apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: { name: '', ...owner } });
  };

  it("tells routes only to the router's ServiceAccount in the controller's namespace", async () => {
    const router = { namespace: world.system, name: 'roundhouse-router' };
    const admitted = runRouter(world, { port, token: () => tokenFor(world, router) });
    await expect.poll(() => admitted.models.has('iris'), soon).toBe(true);

    const agentAsRouter = runRouter(world, { port, token: own });
    await expect.poll(() => agentAsRouter.reasons[0], soon).toContain('roundhouse-router');
    expect(agentAsRouter.models.size).toBe(0);
  });

  it('trusts nobody who shows a certificate of another CA', async () => {
    const other = await renewed(undefined, [`roundhouse-control.${world.system}.svc`], systemClock);
    const agent = runAgent(world, 'shared', pod, { port, token: own, ca: async () => trusted(other, systemClock) });

    await expect.poll(() => agent.reasons.join(), soon).toMatch(/certificate/);
    expect(agent.assigned.size).toBe(0);
    await agent.end();
  });

  it('takes a renewed token in the stream, and ends the stream when it is not valid', { timeout: 40_000 }, async () => {
    let token = own;
    const agent = runAgent(world, 'shared', pod, { port, token: () => token() });
    await expect.poll(() => agent.agent.connected, soon).toBe(true);
    const fresh = await own();
    token = async () => fresh;
    await applyModel(world, 'renewed', 'shared');
    await expect.poll(() => agent.assigned.has('renewed'), soon).toBe(true);

    token = async () => 'stolen';
    await expect.poll(() => agent.reasons.join(), { timeout: 20_000 }).toContain('not valid for audience');
    expect(agent.agent.connected).toBe(false);
    token = own;
    await expect.poll(() => agent.agent.connected, { timeout: 20_000 }).toBe(true);
    await agent.end();
  });

  it('is not led by a deposed controller: agents that have seen a later one hang up', async () => {
    const { data } = (await secret()) as { readonly data?: Readonly<Record<string, string>> };
    const pem = (file: string) => Buffer.from(data?.[file] ?? '', 'base64').toString();
    let at = port;
    const agent = runAgent(world, 'shared', pod, { port: () => at, token: own });
    await expect.poll(() => agent.agent.connected, soon).toBe(true);
    let admitted = 0;
    const deposed = await serveControl(
      { clock: systemClock, log: silentLog },
      {
        listen: { host: '127.0.0.1', port: 0 },
        tls: () => ({ cert: pem('tls.crt'), key: pem('tls.key') }),
        epoch: epoch - 1,
        version: '0.1.0',
        authenticateAgent: async () => {},
        authenticateRouter: async () => {},
        onAgent: () => void admitted++,
        onRouter: () => {},
      },
    );
    world.closers.push(() => deposed.close());
    at = deposed.port;
    await controller.end(); // the stream is cut, and the agent turns to the other

    await expect.poll(() => agent.reasons.join(), soon).toMatch(/epoch .* is over/);
    expect(admitted).toBe(0);
    await agent.end();
  });

  it('is led by the next controller under a higher epoch', async () => {
    controller = await startController(world);
    const before = epoch;
    ({ port, epoch } = await controller.leading);

    expect(epoch).toBeGreaterThan(before);
  });

  it('says which pods have no stream, and what to open, when it is cut', { timeout: 40_000 }, async () => {
    await expect
      .poll(() => conditionOf(world, names.inferenceServices, 'shared', 'AgentUnreachable'), { timeout: 35_000 })
      .toMatchObject({
        status: 'True',
        reason: 'NoControlStream',
        message: expect.stringMatching(new RegExp(`${pod.metadata.name}.*port 9443 of roundhouse-control`)),
      });
    const agent = runAgent(world, 'shared', pod, { port, token: own });
    await expect
      .poll(() => conditionOf(world, names.inferenceServices, 'shared', 'AgentUnreachable'), soon)
      .toBeUndefined();
    await agent.end();
  });

  it('goes from one CA to the next without losing anybody who reads what to trust once a day', async () => {
    await controller.end();
    const host = `roundhouse-control.${world.system}.svc`;
    const hosts = [host, `${host}.cluster.local`];
    const at = (daysAgo: number): Clock => ({ ...systemClock, now: () => Date.now() - daysAgo * dayMs });
    const old = await renewed(undefined, hosts, at(3_540)); // its CA has 110 days left
    await store(old);
    controller = await startController(world);
    ({ port } = await controller.leading);
    await expect.poll(async () => (await trustedIn(world, world.namespace)).match(/BEGIN/g)?.length, soon).toBe(2);
    const beforeSwitch = await trustedIn(world, world.namespace);
    await connects(trusted(old, systemClock)); // a pod that has not seen the new one

    await controller.end();
    const staged = await renewed({ ...(await load()), nextCaCertificate: '', nextCaKey: '' }, hosts, at(2));
    await store({ ...staged, certificate: '', key: '' });
    controller = await startController(world);
    ({ port } = await controller.leading);
    await expect.poll(() => trustedIn(world, world.namespace), soon).toContain(staged.nextCaCertificate.trim());
    await connects(trusted(staged, systemClock)); // a pod that has seen both a day ago
    await connects(await trustedIn(world, world.namespace));
    await connects(staged.nextCaCertificate); // signed by the new one now

    expect(beforeSwitch).toContain(old.caCertificate.trim());
    expect((await trustedIn(world, world.namespace)).match(/BEGIN/g)?.length).toBe(2);
  });

  const connects = async (ca: string) => {
    const agent = runAgent(world, 'shared', pod, { port, token: own, ca: async () => ca });
    await expect.poll(() => agent.agent.connected, soon).toBe(true);
    await agent.end();
  };

  const files: readonly (readonly [keyof Certificates, string])[] = [
    ['caCertificate', 'ca.crt'],
    ['caKey', 'ca.key'],
    ['certificate', 'tls.crt'],
    ['key', 'tls.key'],
    ['nextCaCertificate', 'ca-next.crt'],
    ['nextCaKey', 'ca-next.key'],
    ['previousCaCertificate', 'ca-previous.crt'],
  ];
  const store = async (certificates: Certificates) => {
    const data = Object.fromEntries(
      files.map(([field, file]) => [file, certificates[field] === '' ? null : btoa(certificates[field])]),
    );
    await world.kube.patch(resources.secrets, { namespace: world.system, name: 'roundhouse-ca' }, { data }, forever);
  };
  const load = async () => {
    const { data = {} } = (await secret()) as { readonly data?: Readonly<Record<string, string>> };
    return Object.fromEntries(files.map(([field, file]) => [field, atob(data[file] ?? '')])) as Certificates;
  };
});
