import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stepClock } from '@roundhouse/testkit';
import type { Volume } from 'kubernetes-types/core/v1.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LocalApi } from '../create-api.ts';
import { startApi } from '../testing/cluster.ts';
import type { Pod } from '../workloads/kinds.ts';
import { configMaps } from '../workloads/kinds.ts';
import { openVolumes } from './volumes.ts';

let directory: string;
let api: LocalApi;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'volumes-'));
  api = startApi();
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const podWith = (...volumes: Volume[]) =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'pod', namespace: 'default', uid: 'uid' },
    spec: { containers: [], volumes },
  }) as Pod;

describe('openVolumes', () => {
  it('renews a token when a fifth of its life is left, and not before', () => {
    const clock = stepClock();
    let issued = 0;
    const volumes = openVolumes({ api, clock, tokens: { issue: () => `token ${++issued}` } }, directory);
    const source = { serviceAccountToken: { path: 'token', expirationSeconds: 1000 } };
    const pod = podWith({ name: 'token', projected: { sources: [source] } });
    const read = () => readFileSync(join(directory, 'token', 'token'), 'utf8');
    volumes.refresh(pod);
    volumes.refresh(pod);

    expect([read(), volumes.renewAtMs]).toEqual(['token 1', 800_000]);
    clock.advance(800_000);
    volumes.refresh(pod);
    expect([read(), volumes.renewAtMs]).toEqual(['token 2', 1_600_000]);
  });

  it('refuses what leads out of the volume, what is missing, and what it does not have', () => {
    const volumes = openVolumes({ api, clock: stepClock(), tokens: api.tokens }, directory);
    api.create(configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings', namespace: 'default' },
      data: { key: 'value' },
    });
    const items = (path: string, key = 'key') => [{ key, path }];
    const refresh = (volume: object) => () => volumes.refresh(podWith({ name: 'one', ...volume }));

    expect(refresh({ configMap: { name: 'settings', items: items('../../out') } })).toThrow('leaves its volume');
    expect(refresh({ configMap: { name: 'settings', items: items('a', 'none') } })).toThrow('no key "none"');
    expect(refresh({ configMap: { name: 'nothing' } })).toThrow('not found');
    expect(refresh({ hostPath: { path: '/' } })).toThrow('hostPath');
  });
});
