import { systemClock } from '@roundhouse/base';
import { wire } from '@roundhouse/control-protocol';
import type { PageServer } from '@roundhouse/telemetry';
import { afterEach, describe, expect, it } from 'vitest';
import { createFleet } from '../assignments/fleet.ts';
import { createPublisher } from '../routes/publisher.ts';
import { aBoard, aModel, aReplica, aView } from '../testing/builders.ts';
import { createMetrics } from './metrics.ts';
import { serveHealth, serveMetrics, serveReadApi } from './surfaces.ts';

const at = { host: '127.0.0.1', port: 0 };

const open: PageServer[] = [];
afterEach(async () => {
  for (const surface of open.splice(0)) await surface.close();
});

async function get(surface: PageServer, path: string) {
  open.push(surface);
  return await fetch(`http://127.0.0.1:${surface.port}${path}`);
}

function aFleet() {
  const nothing = () => {};
  const routes = createPublisher(aBoard().board);
  const told = { onStatus: nothing, onOwn: nothing, onModels: nothing, onReleased: nothing };
  const fleet = createFleet({ clock: systemClock, routes, ...told });
  const { replica, reports } = aReplica('one');
  fleet.setService('default', 'shared', aView({ capacityBytes: 2 ** 20 }));
  const model = aModel('iris');
  fleet.setModel(model.key, model);
  fleet.setModel('default/big', aModel('big'));
  const digest = model.assignment.digest;
  reports.set('iris', { name: 'iris', state: wire.ModelState.LOADED, digest, servingDigest: digest, memoryBytes: 7n });
  replica.traffic.set('iris', { requests: 3, errors: 1 });
  fleet.attach(replica);
  return fleet;
}

describe('the surfaces of the controller', () => {
  it('show services, replicas and models', async () => {
    const fleet = aFleet();
    const response = await get(await serveReadApi(at, () => fleet), '/api/v1/services');

    expect(await response.json()).toMatchObject([
      {
        namespace: 'default',
        name: 'shared',
        hosts: ['shared-default.example.com'],
        requests: 3,
        errors: 1,
        freeBytes: 0,
        replicas: [{ pod: 'shared-predictor-one', ready: true, models: { iris: { state: 'loaded', memoryBytes: 7 } } }],
        models: [
          { name: 'big', state: 'waiting' },
          { name: 'iris', state: 'ready', loaded: 1, requests: 3 },
        ],
      },
    ]);
  });

  it('send those who ask a controller that does not lead away', async () => {
    const response = await get(await serveReadApi(at, () => undefined), '/api/v1/services');

    expect(response.status).toBe(503);
  });

  it('answer probes', async () => {
    const surface = await serveHealth(at, { alive: () => true, ready: () => false });

    expect((await get(surface, '/healthz')).status).toBe(200);
    expect((await get(surface, '/readyz')).status).toBe(503);
  });

  it('count for Prometheus', async () => {
    const fleet = aFleet();
    const metrics = createMetrics(() => fleet);
    metrics.reconciled('claims', 'done', 3);
    const text = await (await get(await serveMetrics(at, metrics.render), '/metrics')).text();

    expect(text).toContain('roundhouse_controller_models 2');
    expect(text).toContain('roundhouse_controller_models_waiting 1');
    expect(text).toContain('roundhouse_controller_replicas 1');
    expect(text).toContain('roundhouse_controller_reconcile_seconds_count{queue="claims",outcome="done"} 1');
  });
});
