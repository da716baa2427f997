import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEnvironment } from '../../interop/environments.ts';
import { Body } from '../../packages/http-relay/src/body.ts';
import { ResponseHead, untilClose } from '../../packages/http-relay/src/response-head.ts';
import type { PassedOn } from '../../packages/http-relay/src/testing/offline.ts';
import type { Reading } from '../http/passing.ts';

const startMsMax = 60_000;
/** A longer field Triton does not read, nor answer: that is a bound, and no other reading. */
const sizeMax = 8_000;
/** Triton answers each request in a millisecond; one that it takes for incomplete is never answered. */
const answerMsMax = 5_000;

let port = 0;

/** Starts the real tritonserver without a model, for as long as this process lives. */
export async function startTriton(): Promise<void> {
  const { sitePackages } = await openEnvironment('triton', { env: process.env, say: console.log });
  const home = join(sitePackages, 'pytriton/tritonserver');
  port = await freePort();
  const flags = {
    ...{ 'model-repository': mkdtempSync(join(tmpdir(), 'roundhouse-triton-')), 'model-control-mode': 'explicit' },
    ...{ 'http-address': '127.0.0.1', 'http-port': port, 'http-header-forward-pattern': '' },
    ...{ 'allow-grpc': false, 'allow-metrics': false, 'backend-directory': join(home, 'backends') },
  };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const server: ChildProcess = spawn(join(home, 'bin/tritonserver'), args, {
    stdio: 'ignore',
    env: { ...process.env, LD_LIBRARY_PATH: join(sitePackages, 'nvidia_pytriton.libs') },
  });
  process.once('exit', () => server.kill('SIGKILL'));
  const endMs = performance.now() + startMsMax;
  for (;;) {
    const live = await fetch(`http://127.0.0.1:${port}/v2/health/live`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (live) return;
    if (server.exitCode !== null) throw new Error(`tritonserver ended with status ${server.exitCode}`);
    if (performance.now() > endMs) throw new Error('tritonserver does not answer');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const last = { method: 'GET', bytes: Buffer.from('GET /v2/health/live HTTP/1.1\r\nHost: end\r\n\r\n') };

/**
 * How many requests Triton answers when each is sent after the answer to the one before, as a relay does; and one of ours behind
 * them, which must be the last one answered. (It answers nothing that is sent ahead.)
 */
export async function readByTriton(_: Buffer, requests: readonly PassedOn[]): Promise<Reading> {
  const socket = connect(port, '127.0.0.1');
  let came = Buffer.alloc(0);
  let ended = false;
  let wake = () => {};
  socket
    .on('data', (part) => {
      came = Buffer.concat([came, part]);
      wake();
    })
    .on('error', () => {})
    .on('close', () => {
      ended = true;
      wake();
    });
  // Its answers to HEAD have a body, against RFC 9110 9.3.2: a relay gives such a connection up.
  const asked = requests.filter(({ line, bytes }) => !line.startsWith('HEAD ') && bytes.length < sizeMax);
  const all = [...asked.map(({ line, bytes }) => ({ method: line.split(' ')[0]!, bytes })), last];
  const statuses: number[] = [];
  for (const { method, bytes } of all) {
    const began = performance.now();
    socket.write(bytes);
    let status = 0;
    for (;;) {
      const answer = answerIn(came, method);
      if (answer !== undefined) {
        came = came.subarray(answer.size);
        status = answer.status;
        break;
      }
      const timer = setTimeout(() => wake(), 100);
      if (ended || performance.now() - began > answerMsMax) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      clearTimeout(timer);
    }
    statuses.push(status);
    if (status === 0 || ended) break;
  }
  socket.destroy();
  const isWhole = statuses.length === all.length && statuses.at(-1) === 200 && came.length === 0;
  return {
    lines: isWhole ? requests.length : statuses.length - 1,
    error: isWhole ? undefined : `answers: ${statuses.join(', ')}, ${came.length} bytes left`,
  };
}

const head = new ResponseHead();
const body = new Body();

/** The first final answer in `bytes` and where it ends; undefined when it is not all there. */
function answerIn(bytes: Buffer, method: string): { readonly status: number; readonly size: number } | undefined {
  for (let at = 0; at < bytes.length; ) {
    at = head.parse(bytes, at, bytes.length);
    if (at <= 0) return undefined;
    if (head.status < 200) continue;
    const bodyless = method === 'HEAD' || head.status === 204 || head.status === 304;
    // Triton leaves the length away where there is no body.
    const length = bodyless || head.bodyLength === untilClose ? 0 : head.bodyLength;
    body.begin(length, false);
    while (at < bytes.length && !body.done && !body.broken) at = body.run(bytes, at, bytes.length);
    return body.done ? { status: head.status, size: at } : undefined;
  }
  return undefined;
}
