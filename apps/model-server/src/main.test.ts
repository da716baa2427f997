import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { openGrpcClient } from './testing/grpc-client.ts';
import { examples } from './testing/model-directory.ts';

const main = join(import.meta.dirname, 'main.ts');
const started: ChildProcess[] = [];

function start(...args: string[]) {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  const output = { text: '' };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => (output.text += part));
  return { child, output };
}

afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

describe('the process', () => {
  it('serves until it is asked to stop', async () => {
    const { child, output } = start('--model-dir', join(examples, 'models'), '--http-port=0', '--grpc-port=0');
    await expect.poll(() => output.text, { timeout: 10_000 }).toMatch(/model server listens/);
    const port = /"port":(\d+)/.exec(output.text)?.[1];
    const load = await fetch(`http://127.0.0.1:${port}/v2/repository/models/digits-onnx/load`, { method: 'POST' });
    const client = openGrpcClient(Number(/"grpcPort":(\d+)/.exec(output.text)?.[1]));
    const ready = await client.ask('modelReady', { name: 'digits-onnx' });
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    client.close();

    expect(load.status).toBe(200);
    expect(ready).toMatchObject({ ready: true });
    expect(code).toBe(0);
  });

  it('says what is wrong with its options, and exits with 2', async () => {
    const { child, output } = start('--http-port', 'many', '--grpc-port', 'few');
    const [code] = await once(child, 'close');

    expect(code).toBe(2);
    expect(output.text).toMatch(/--http-port.*\n--grpc-port/);
  });

  it('says that its port is taken, and exits with 1', async () => {
    const first = start('--http-port=0');
    await expect.poll(() => first.output.text, { timeout: 10_000 }).toMatch(/model server listens/);
    const port = /"port":(\d+)/.exec(first.output.text)?.[1];

    expect(first.output.text).not.toMatch(/grpcPort/);
    for (const ports of [[`--http-port=${port}`], ['--http-port=0', `--grpc-port=${port}`]]) {
      const second = start(...ports);
      const [code] = await once(second.child, 'close');

      expect(code).toBe(1);
      expect(second.output.text).toMatch(/EADDRINUSE/);
    }
  });
});
