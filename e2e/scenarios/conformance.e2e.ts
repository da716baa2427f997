import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { aModel, aService } from '@roundhouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalWorld, openLocalWorld } from '../frame/local-world.ts';
import { checkout, until } from '../frame/world.ts';

/** What clients may rely on, held against the whole way: router, agent, model server. */

const main = join(checkout, 'apps/cli/dist/main.mjs');
const models = [
  ['iris-onnx', 'onnx'],
  ['wine-xgboost', 'xgboost'],
  ['iris-lightgbm', 'lightgbm'],
] as const;

type Report = { failed: number; rules: { id: string; outcome: string; problem?: string }[] };

describe('the protocols, through router and agent', () => {
  let world: LocalWorld;

  beforeAll(async () => {
    world = await openLocalWorld();
    await world.apply(aService('fleet'));
    const uri = (name: string) => `file://${join(checkout, 'examples/models', name)}`;
    await world.apply(...models.map(([name, framework]) => aModel(name, 'fleet', uri(name), '1Mi', framework)));
    for (const [name] of models) await until(`${name} is Ready`, async () => (await world.readiness(name)) === 'True');
  });
  afterAll(() => world?.close());

  const conformance = async (...args: readonly string[]): Promise<Report> => {
    const all = [main, 'conformance', ...args, '-o', 'json'];
    // It ends with 1 when a rule fails; the report tells which.
    const { stdout } = await promisify(execFile)(process.execPath, all).catch((error) => error);
    return JSON.parse(stdout);
  };

  it.each(models)('are kept for %s, over V1, V2, binary tensors, gRPC and streams', async (name) => {
    const host = 'fleet-default.example.com';
    const protocols = 'v1,v2,binary,grpc,stream';
    const { rules } = await conformance(world.stack.routerUrl, '--host', host, '-m', name, '--protocols', protocols);

    expect(rules.filter(({ outcome }) => outcome !== 'pass')).toEqual([]);
    expect(rules.length).toBeGreaterThan(70);
  });

  it('are kept behind the path prefix too', async () => {
    const url = `${world.stack.routerUrl}/serving/default/fleet`;
    const { rules } = await conformance(url, '-m', 'iris-onnx', '--protocols', 'v1,v2,binary');

    expect(rules.filter(({ outcome }) => outcome !== 'pass')).toEqual([]);
  });
});
