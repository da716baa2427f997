import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '@roundhouse/base';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { createApi, kubeconfigFor, openStore, serveApi } from '../src/index.ts';
import { type Case, type Client, connect } from './client.ts';
import { definitionCases } from './definitions.ts';
import { lifecycleCases } from './lifecycle.ts';
import { objectCases } from './objects.ts';
import { serverCases } from './server.ts';
import { watchCases } from './watches.ts';

/** What our API server promises to do as a real one does. CONTRACT_KUBECONFIG names a real one to ask the same of. */
const real = process.env.CONTRACT_KUBECONFIG;
let client: Client;
let stop = async () => {};

beforeAll(async () => {
  if (real !== undefined) client = connect(real);
  else {
    const directory = mkdtempSync(join(tmpdir(), 'contract-'));
    const store = openStore({ file: join(directory, 'store.db') });
    const api = createApi({ store, clock: systemClock, random: systemRandom });
    const server = await serveApi({ api, clock: systemClock, adminToken: 'admin', port: 0 });
    writeFileSync(join(directory, 'config'), kubeconfigFor({ ...server, token: 'admin' }));
    client = connect(join(directory, 'config'));
    stop = async () => {
      await server.close();
      api.close();
      store.close();
      rmSync(directory, { recursive: true });
    };
  }
});

afterAll(async () => {
  client.close();
  await stop();
});

const suites: Readonly<Record<string, readonly Case[]>> = {
  objects: objectCases,
  lifecycle: lifecycleCases,
  watches: watchCases,
  definitions: definitionCases,
  server: serverCases,
};

describe.each(Object.entries(suites))('the API contract for %s', (_suite, cases) => {
  it.each(cases)('$name', async ({ run }) => {
    const { body } = await client.post('/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { generateName: 'contract-' },
    });
    try {
      await run(client, body.metadata.name);
    } finally {
      await client.delete(`/api/v1/namespaces/${body.metadata.name}`);
    }
  });
});
