import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { wire } from '@roundhouse/control-protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from './testing/free-port.ts';
import { createRig, type Rig, until } from './testing/rig.ts';

const root = join(import.meta.dirname, '../../..');

describe('an agent beside the embedded server', () => {
  let rig: Rig;
  let child: ChildProcess;
  let port: number;
  let offersSocket: boolean;
  const startServer = () => {
    const main = join(root, 'apps/model-server/src/main.ts');
    const socket = ['--socket', rig.path('models/.server.sock')];
    const args = [main, '--model-dir', rig.path('models'), '--http-port', `${port}`, ...(offersSocket ? socket : [])];
    child = spawn(process.execPath, args, { stdio: 'ignore' });
  };
  const killServer = async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  beforeEach(async () => {
    rig = await createRig();
    port = await freePort();
    offersSocket = true;
    startServer();
  });
  afterEach(async () => {
    await killServer();
    await rig.close();
  });

  it('loads a real model that predicts as its library does, and again after the server was killed', async () => {
    const files = join(root, 'examples/models/iris-lightgbm');
    await mkdir(rig.path('store/iris'));
    for (const name of await readdir(files)) await copyFile(join(files, name), rig.path(`store/iris/${name}`));
    const expected = JSON.parse(await readFile(join(root, 'examples/expected/iris-lightgbm.json'), 'utf8'));
    await rig.startControl();
    const agent = await rig.startAgent(`--component-port=${port}`);
    await until(() => rig.session?.reported === true);
    const storageUri = `file://${rig.path('store/iris')}`;
    rig.session?.assign([{ name: 'iris', storageUri, framework: 'lightgbm', memory: '1Mi', digest: '1' }], []);
    await until(() => rig.session?.reports.get('iris')?.state === wire.ModelState.LOADED);
    const predict = async () => {
      const url = `http://127.0.0.1:${agent.dataPort}/v1/models/iris:predict`;
      const headers = { 'content-type': 'application/json' };
      return await fetch(url, { method: 'POST', headers, body: JSON.stringify(expected.request.v1) });
    };
    const isLocal = async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${agent.opsPort}/metrics`)).text();
      return /_server_by_socket 1$/m.test(metrics);
    };
    await until(isLocal);
    const first = await (await predict()).text();

    const numbers: number[] = expected.response.v1.predictions.flat(9);
    const tolerance = (value: number) => Math.abs(value) * expected.toleranceRelative;
    const got: number[] = JSON.parse(first).predictions.flat(9);
    expect(got).toHaveLength(numbers.length);
    expect(numbers.filter((value, at) => !(Math.abs(value - (got[at] ?? Number.NaN)) <= tolerance(value)))).toEqual([]);

    await killServer();
    startServer();
    const again = await predict();

    expect([again.status, await again.text()]).toEqual([200, first]);
    await until(isLocal);

    await killServer(); // its socket is left behind, and nobody is there
    offersSocket = false;
    startServer();
    const byPort = await predict();

    expect([byPort.status, await byPort.text()]).toEqual([200, first]);
    expect(await isLocal()).toBe(false);
  });
});
