import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '@roundhouse/base';
import { kserveGroup } from '@roundhouse/crds';
import { startLocalCluster } from '@roundhouse/local-cluster';
import { silentLog } from '@roundhouse/telemetry';
import { describe, expect, it } from 'vitest';
import { applyObjects } from './apply.ts';
import { localImages, withLocalPorts } from './images.ts';
import { images } from './names.ts';
import { systemObjects } from './objects.ts';

const options = { apiGroup: kserveGroup, routerPort: 8080, fileRoots: ['/models'], domain: 'example.com' };

describe('what Roundhouse itself consists of', () => {
  it('is applied once, and again only where it changed', async () => {
    const dataDirectory = mkdtempSync(join(tmpdir(), 'roundhouse-system-'));
    const deps = { dataDirectory, images: {}, clock: systemClock, random: systemRandom, log: silentLog };
    const cluster = await startLocalCluster(deps);
    const deployments = { group: 'apps', resource: 'deployments' };
    const generations = () =>
      cluster.api
        .list(deployments)
        .items.map(({ metadata: { name, generation } }) => `${name} ${generation}`)
        .sort();
    applyObjects(cluster.api, systemObjects(options));
    const first = generations();
    applyObjects(cluster.api, systemObjects(options));
    const second = generations();
    applyObjects(cluster.api, systemObjects({ ...options, routerPort: 9090 }));
    const third = generations();
    await cluster.close();
    rmSync(dataDirectory, { recursive: true });

    expect(first).toEqual(['roundhouse-controller 1', 'roundhouse-router 1']);
    expect(second).toEqual(first);
    expect(third).toEqual(['roundhouse-controller 1', 'roundhouse-router 2']);
  });

  it('has an image for each of its containers', () => {
    const known = Object.keys(localImages({ appsDirectory: '/apps', node: '/node' })).sort();

    expect(known).toEqual(Object.values(images).sort());
  });

  it('gives each process the ports that the node chose, in both forms of an argument', () => {
    const port = (containerPort: number) => containerPort + 1;

    expect(
      withLocalPorts(
        ['--port', '80', '--ops-port=90', '--domain=a=b', '--other', '80'],
        ['--port', '--ops-port'],
        port,
      ),
    ).toEqual(['--port', '81', '--ops-port=91', '--domain=a=b', '--other', '80']);
  });
});
