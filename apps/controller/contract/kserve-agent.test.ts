import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resources } from '../src/cluster.ts';
import { names } from '../src/testing/builders.ts';
import { applyModel, applyService, openWorld, startController, type World } from './world.ts';

/**
 * The first ConfigMap of a service, read by KServe's own agent: the binary named by KSERVE_AGENT, built from KServe's `cmd/agent`
 * (bench/relay/README.md). It asks for loads on port 8080, whatever it is told, so that this port has to be free.
 */
const { KSERVE_AGENT: binary } = process.env;
const serverPort = 8080;
const forever = new AbortController().signal;

describe.skipIf(binary === undefined)("KServe's own agent (skipped without KSERVE_AGENT)", () => {
  let world: World;
  const asked: string[] = [];

  /** Model server and storage in one: it has every artifact, and takes every load. */
  const listen = async (port: number) => {
    const answer: RequestListener = (request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.setHeader('content-type', 'application/octet-stream');
      response.end('a model');
    };
    const server = createServer(answer).listen(port, '127.0.0.1');
    await once(server, 'listening');
    world.closers.push(async () => void server.close());
    return server.address() as { readonly port: number };
  };

  beforeAll(async () => {
    world = await openWorld();
    await (await startController(world)).leading;
    await applyService(world, 'shared');
  });
  afterAll(() => world?.close());

  it('downloads and loads the models that the controller wrote', { timeout: 60_000 }, async () => {
    await listen(serverPort);
    const { port } = await listen(0);
    for (const name of ['one', 'two'])
      await applyModel(world, name, 'shared', `http://127.0.0.1:${port}/${name}/model.onnx`);
    const written = async () => {
      const stored = await world.kube.get(
        resources.configMaps,
        world.namespace,
        names.modelConfig('shared', 0),
        forever,
      );
      return (stored?.data as Record<string, string> | undefined)?.['models.json'] ?? '';
    };
    await expect.poll(written, { timeout: 15_000 }).toMatch(/"one".*"two"/);

    const configDir = join(world.directory, 'configs');
    const modelDir = join(world.directory, 'models');
    for (const directory of [configDir, modelDir]) mkdirSync(directory);
    writeFileSync(join(configDir, 'models.json'), await written());
    const probe = { tcpSocket: { host: '127.0.0.1', port: serverPort } };
    const agent = spawn(
      String(binary),
      ['--enable-puller', '--config-dir', configDir, '--model-dir', modelDir, '--port', '0'],
      { env: { ...process.env, SERVING_READINESS_PROBE: JSON.stringify(probe) }, stdio: 'ignore' },
    );
    world.closers.push(async () => void agent.kill());

    const loads = ['one', 'two'].map((name) => `POST /v2/repository/models/${name}/load`);
    await expect.poll(() => asked, { timeout: 15_000 }).toEqual(expect.arrayContaining(loads));
    expect(asked).toEqual(expect.arrayContaining(['GET /one/model.onnx', 'GET /two/model.onnx']));
  });
});
