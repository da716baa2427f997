import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '@roundhouse/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kubectlPath } from '../../../tools/kubectl.ts';
import { createApi, kubeconfigFor, type LocalApi, openStore, type PodLogs, serveApi } from './index.ts';

const directory = mkdtempSync(join(tmpdir(), 'kubectl-'));
const deployments = { group: 'apps', resource: 'deployments' };
let kubectl: string | undefined;
let api: LocalApi;
let stop = async () => {};

const logs: PodLogs = {
  async *read({ container, tailLines, follow }, signal) {
    yield* ['one', 'two', 'three'].slice(-(tailLines ?? 3)).map((line) => `${container} ${line}`);
    if (follow) yield `${container} more`;
    signal.throwIfAborted();
  },
};

beforeAll(async () => {
  kubectl = await kubectlPath().catch(() => undefined);
  const store = openStore({ file: ':memory:' });
  api = createApi({ store, clock: systemClock, random: systemRandom });
  const server = await serveApi({ api, clock: systemClock, logs, adminToken: 'admin', port: 0 });
  writeFileSync(join(directory, 'config'), kubeconfigFor({ ...server, token: 'admin' }), { mode: 0o600 });
  stop = async () => {
    await server.close();
    api.close();
    store.close();
  };
  file('web.yaml', web(2, 'nginx:1'));
  await run('apply', '-f', at('web.yaml'));
  await run('apply', '-f', file('gizmos.yaml', gizmos));
});

afterAll(async () => {
  await stop();
  rmSync(directory, { recursive: true });
});

const at = (name: string) => join(directory, name);
const environment = () => ({ ...process.env, KUBECONFIG: at('config'), HOME: directory });

function file(name: string, text: string): string {
  writeFileSync(at(name), text);
  return at(name);
}

type Outcome = { readonly code: number; readonly out: string };

/** Runs kubectl to its end; `out` is all that it printed. */
function run(...args: readonly string[]): Promise<Outcome> {
  const options = { env: { ...environment(), KUBE_EDITOR: at('editor') }, timeout: 20_000 };
  return new Promise((resolve) => {
    execFile(kubectl ?? 'kubectl', args, options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out: `${stdout}${stderr}` });
    });
  });
}

const web = (replicas: number, image: string) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {tier: front}}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "${image}", env: [{name: A, value: a}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
`;

const gizmos = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gizmos.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: gizmos, kind: Gizmo, shortNames: [gz]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns:
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    - {name: URL, type: string, jsonPath: .spec.url, priority: 1}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {url: {type: string, description: Where it is.}, size: {type: integer, maximum: 3}}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
`;

const gizmo = (name: string, spec: string) =>
  `{apiVersion: example.com/v1, kind: Gizmo, metadata: {name: ${name}}, spec: ${spec}}`;

const pod = (name: string) => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {app: ${name}}}
spec: {nodeName: here, containers: [{name: main, image: i}, {name: side, image: i}]}
`;

/** Without a kubectl (no binary for this system, none on the PATH) the cases pass with a note. */
const withKubectl = (name: string, body: () => Promise<void>) =>
  it(name, async ({ annotate }) => {
    if (kubectl === undefined) await annotate('no kubectl for this system: put one on the PATH');
    else await body();
  });

describe('kubectl', () => {
  withKubectl('finds what is served', async () => {
    const { out } = await run('api-resources', '--no-headers');

    expect(out).toMatch(/^gizmos +gz +example.com\/v1 +true +Gizmo$/m);
    expect(out).toMatch(/^deployments +deploy +apps\/v1 +true +Deployment$/m);
    expect((await run('version')).out).toMatch(/Server Version: v1\.34/);
  });

  withKubectl('explains a kind', async () => {
    expect((await run('explain', 'gizmo.spec.url')).out).toMatch(/FIELD: url <string>[\s\S]*Where it is\./);
    expect((await run('explain', 'deploy')).out).toMatch(/KIND: +Deployment/);
  });

  withKubectl('gets objects in every form', async () => {
    expect((await run('get', 'deploy,svc')).out).toMatch(/deployment.apps\/web +0\/2 +0 +0 +\d+s/);
    expect((await run('get', 'deploy', '-o', 'wide', '-l', 'tier=front')).out).toMatch(/web .* c +nginx:1 +app=web/);
    expect((await run('get', 'deploy', 'web', '-o', 'jsonpath={.spec.replicas}')).out).toBe('2');
    expect((await run('get', 'deploy', '-o', 'name')).out).toBe('deployment.apps/web\n');
    expect(JSON.parse((await run('get', 'svc', 'web', '-o', 'json')).out)).toMatchObject({ kind: 'Service' });
    expect((await run('get', 'deploy', 'web', '-o', 'yaml')).out).toMatch(/^apiVersion: apps\/v1\nkind: Deployment/);
    expect((await run('get', 'sa', '-A')).out).toMatch(/kube-system +default/);
    expect((await run('get', 'ns', '--field-selector', 'metadata.name=default', '-o', 'name')).out).toBe(
      'namespace/default\n',
    );
    expect((await run('get', 'deploy', 'none')).out).toContain('deployments.apps "none" not found');
  });

  withKubectl('follows changes with get -w', async () => {
    const watch = spawn(kubectl ?? 'kubectl', ['get', 'cm', '-w', '-n', 'kube-public'], { env: environment() });
    let out = '';
    watch.stdout.on('data', (chunk) => {
      out += chunk;
    });
    await run(
      'create',
      '-n',
      'kube-public',
      '-f',
      file('a.yaml', '{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}'),
    );
    await expect.poll(() => out, { timeout: 10_000 }).toMatch(/^a +0/m);
    watch.kill();

    expect(out).toMatch(/^NAME +DATA +AGE/);
  });

  withKubectl('applies, and tells what differs', async () => {
    file('web.yaml', web(3, 'nginx:2'));
    const diff = await run('diff', '-f', at('web.yaml'));
    const applied = await run('apply', '-f', at('web.yaml'));
    const again = await run('apply', '-f', at('web.yaml'));

    expect(diff.code).toBe(1);
    expect(diff.out).toMatch(/^\+ {2}replicas: 3$/m);
    expect(applied.out).toContain('deployment.apps/web configured');
    expect(again.out).toBe('deployment.apps/web unchanged\nservice/web unchanged\n');
    expect((await run('apply', '--server-side', '-f', at('web.yaml'))).out).toContain('use client-side apply');
  });

  withKubectl('edits, patches, labels and annotates', async () => {
    writeFileSync(at('editor'), '#!/bin/sh\nsed -i.before "s/value: a/value: edited/" "$1"\n');
    chmodSync(at('editor'), 0o755);

    expect((await run('edit', 'deploy', 'web')).out).toContain('deployment.apps/web edited');
    expect(
      (
        await run(
          'patch',
          'deploy',
          'web',
          '-p',
          '{"spec":{"template":{"spec":{"containers":[{"name":"c","tty":true}]}}}}',
        )
      ).code,
    ).toBe(0);
    expect((await run('patch', 'deploy', 'web', '--type=merge', '-p', '{"spec":{"minReadySeconds":4}}')).code).toBe(0);
    const operations = '[{"op":"add","path":"/spec/paused","value":true}]';
    expect((await run('patch', 'deploy', 'web', '--type=json', '-p', operations)).code).toBe(0);
    await run('label', 'deploy', 'web', 'colour=blue');
    await run('annotate', 'deploy', 'web', 'note=worthy');
    await run('set', 'image', 'deploy/web', 'c=nginx:3');
    const { metadata, spec } = JSON.parse((await run('get', 'deploy', 'web', '-o', 'json')).out);
    expect(metadata).toMatchObject({ labels: { colour: 'blue', tier: 'front' }, annotations: { note: 'worthy' } });
    expect(spec).toMatchObject({ minReadySeconds: 4, paused: true });
    expect(spec.template.spec.containers).toMatchObject([
      { name: 'c', image: 'nginx:3', tty: true, env: [{ name: 'A', value: 'edited' }] },
    ]);
    await run('patch', 'deploy', 'web', '--type=json', '-p', '[{"op":"remove","path":"/spec/paused"}]');
  });

  withKubectl('scales, and waits for a rollout and a condition', async () => {
    expect((await run('scale', 'deploy', 'web', '--replicas=1')).out).toContain('scaled');
    const deployment = api.get(deployments, 'default', 'web');
    if (!deployment) throw new Error('no deployment');
    const counts = { replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 };
    const conditions = [{ type: 'Available', status: 'True' }];
    const status = { observedGeneration: deployment.metadata.generation, ...counts, conditions };
    api.update(deployments, { ...deployment, status }, 'status');

    expect((await run('rollout', 'status', 'deploy/web', '--timeout=5s')).out).toContain('successfully rolled out');
    expect((await run('wait', '--for=condition=Available', 'deploy/web', '--timeout=5s')).out).toContain(
      'condition met',
    );
    expect((await run('rollout', 'restart', 'deploy/web')).out).toContain('restarted');
  });

  withKubectl('shows custom objects and why they are refused', async () => {
    const bad = await run('apply', '-f', file('bad.yaml', gizmo('bad', '{size: 7}')));
    const unknown = await run('apply', '-f', file('unknown.yaml', gizmo('unknown', '{colour: red}')));
    await run('apply', '-f', file('good.yaml', gizmo('good', '{url: "http://here"}')));

    expect(bad.out).toBe(
      'The Gizmo "bad" is invalid: spec.size: Invalid value: 7: spec.size in body should be less than or equal to 3\n',
    );
    expect(unknown.out).toContain('strict decoding error: unknown field "spec.colour"');
    expect((await run('get', 'gz', '-o', 'wide')).out).toMatch(/NAME +READY +URL\ngood +http:\/\/here/);
    expect((await run('describe', 'gz', 'good')).out).toMatch(/URL: +http:\/\/here/);
  });

  withKubectl('describes an object with its Events', async () => {
    const { uid } = JSON.parse((await run('get', 'svc', 'web', '-o', 'json')).out).metadata;
    const involvedObject = { apiVersion: 'v1', kind: 'Service', name: 'web', namespace: 'default', uid };
    api.create(
      { group: '', resource: 'events' },
      {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: 'web.1', namespace: 'default' },
        involvedObject,
        reason: 'Noticed',
        message: 'it is there',
        type: 'Normal',
        count: 1,
        lastTimestamp: new Date().toISOString(),
      },
    );

    expect((await run('describe', 'svc', 'web')).out).toMatch(/Normal +Noticed .*it is there/);
    expect((await run('events', '--for', 'svc/web')).out).toMatch(/Noticed +Service\/web +it is there/);
    expect((await run('get', 'events')).out).toMatch(/Noticed +service\/web +it is there/);
    expect((await run('describe', 'deploy', 'web')).out).toMatch(/Name: +web/);
  });

  withKubectl('reads logs, and is told what is not there', async () => {
    await run('apply', '-f', file('pod.yaml', pod('noisy')));

    expect((await run('logs', 'noisy', '-c', 'side')).out).toBe('side one\nside two\nside three\n');
    expect((await run('logs', 'noisy', '-c', 'main', '-f', '--tail=1')).out).toBe('main three\nmain more\n');
    expect((await run('describe', 'pod', 'noisy')).out).toMatch(/Name: +noisy/);
    expect((await run('exec', 'noisy', '-c', 'main', '--', 'ls')).out).toContain('does not support exec');
    expect((await run('delete', 'pod', 'noisy', '--grace-period=0', '--force')).code).toBe(0);
  });

  withKubectl('makes objects by its own commands', async () => {
    expect((await run('create', 'namespace', 'made')).out).toBe('namespace/made created\n');
    expect((await run('create', 'configmap', 'm', '-n', 'made', '--from-literal=a=b')).out).toContain('created');
    expect((await run('create', 'deployment', 'd', '-n', 'made', '--image=i:1', '--replicas=2')).out).toContain(
      'created',
    );
    expect((await run('expose', 'deployment', 'd', '-n', 'made', '--port=80')).out).toContain('exposed');
    expect((await run('auth', 'can-i', 'create', 'pods')).out).toBe('yes\n');
    expect((await run('auth', 'whoami')).out).toContain('kubernetes-admin');
    expect((await run('create', 'token', 'default')).out).toMatch(/^ey[\w-]+\.[\w-]+\.[\w-]+$/);
    expect((await run('get', 'cm', 'm', '-n', 'made', '-o', 'jsonpath={.data.a}')).out).toBe('b');
    expect((await run('get', 'deploy', 'd', '-n', 'made')).out).toMatch(/d +0\/2/);
  });

  withKubectl('deletes as told: orphans, foreground, finalizers', async () => {
    const owner = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'owner', namespace: 'default' } };
    const configMaps = { group: '', resource: 'configmaps' };
    const child = (name: string) => {
      const { metadata } = api.create(configMaps, { ...owner, metadata: { ...owner.metadata, name: `${name}-owner` } });
      const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: metadata.name, uid: metadata.uid ?? '' }];
      api.create(configMaps, { ...owner, metadata: { name, namespace: 'default', ownerReferences } });
    };
    child('kept');
    child('taken');

    expect((await run('delete', 'cm', 'kept-owner', '--cascade=orphan')).out).toContain('deleted');
    expect((await run('delete', 'cm', 'taken-owner', '--cascade=foreground')).out).toContain('deleted');
    expect(api.get(configMaps, 'default', 'kept')?.metadata.ownerReferences).toBeUndefined();
    await expect.poll(() => api.get(configMaps, 'default', 'taken')).toBeUndefined();
    await run('patch', 'cm', 'kept', '--type=merge', '-p', '{"metadata":{"finalizers":["example.com/wait"]}}');
    await run('delete', 'cm', 'kept', '--wait=false');
    expect((await run('get', 'cm', 'kept')).code).toBe(0);
    await run('patch', 'cm', 'kept', '--type=merge', '-p', '{"metadata":{"finalizers":null}}');
    expect((await run('wait', '--for=delete', 'cm/kept', '--timeout=5s')).code).toBe(0);
    expect((await run('delete', '-f', at('web.yaml'))).out).toMatch(/"web" deleted[\s\S]*"web" deleted/);
    expect((await run('delete', 'crd', 'gizmos.example.com')).code).toBe(0);
  });
});
