import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { request } from 'undici';
import type { Environment } from './environments.ts';
import { until, type World } from './world.ts';

export type ClientAnswer = { readonly way: string; readonly problem: string | undefined };

/** The public clients, each in its own environment: their generated messages exclude each other in one process. */
export type Clients = { readonly triton: Environment | undefined; readonly kserve: Environment | undefined };

const value = 5;

/** Asks one model in every way that the clients know and the server's protocols allow. */
export async function askWithClients(world: World, { triton, kserve }: Clients): Promise<readonly ClientAnswer[]> {
  const service = 'clients';
  await world.serve(service);
  await world.add('asked', service, value);
  await until('the model answers', async () => (await world.predict(service, 'asked')) === value);
  const { protocols } = world.server;
  const address = new URL(world.stack.routerUrl).host;
  const host = world.host(service);
  const script = (name: string) => join(import.meta.dirname, 'python', name);
  const runs = [];
  if (triton !== undefined) {
    const args = [script('triton_client.py'), address, host, 'asked', await outputName(world, host)];
    runs.push(await linesOf(triton.python, args));
  }
  if (kserve !== undefined) {
    runs.push(await linesOf(kserve.python, [script('kserve_client.py'), address, host, 'asked', ...protocols]));
  }
  return runs.flat().filter(({ way }) => world.server.binary || !way.endsWith('binary'));
}

async function outputName({ stack }: World, host: string): Promise<string> {
  const body = JSON.stringify({ inputs: [{ name: 'input-0', datatype: 'FP32', shape: [1, 1], data: [1] }] });
  const headers = { host, 'content-type': 'application/json' };
  const answer = await request(`${stack.routerUrl}/v2/models/asked/infer`, { method: 'POST', headers, body });
  const { outputs } = (await answer.body.json()) as { outputs: readonly { name: string }[] };
  return outputs[0]?.name ?? '';
}

function linesOf(python: string, args: readonly string[]): Promise<ClientAnswer[]> {
  return new Promise((resolve) => {
    const child = spawn(python, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000 });
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      errors += chunk;
    });
    child.on('close', (status) => {
      const lines: { way: string; value?: unknown; error?: string }[] = output
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line));
      const answers = lines.map(({ way, value: got, error }) => {
        const right = got === value || got === true;
        return { way, problem: right ? undefined : (error ?? `it answered ${got}`) };
      });
      if (status !== 0) answers.push({ way: args[0]?.split('/').at(-1) ?? '', problem: errors.slice(-300) });
      resolve(answers);
    });
  });
}
