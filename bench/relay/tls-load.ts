import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { host, type LoadResult, modelName, type Shape } from './load.ts';
import { cores, pinned, programAt, scratch } from './process.ts';

/** Whether the programs are there that load a port with TLS. */
export const canLoadTls = () => programAt('wrk') !== undefined && programAt('h2load') !== undefined;

/** Loads `port` over TLS, HTTP/1.1 with wrk and gRPC with h2load, which offers h2 by ALPN. Whole seconds. */
export async function loadTls(shape: Shape, port: number, seconds: number): Promise<LoadResult> {
  const [program, args] = shape.proto === 'h1' ? wrk(shape, port, seconds) : h2load(shape, port, seconds);
  const [file, all] = pinned(cores.rest, program, args);
  const { stdout } = await promisify(execFile)(file, all);
  const count = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1] ?? 0);
  const requests = shape.proto === 'h1' ? count(/(\d+) requests in/) : count(/ (\d+) succeeded/);
  const bad =
    shape.proto === 'h1'
      ? count(/Non-2xx or 3xx responses: (\d+)/) + count(/Socket errors:.*?read (\d+)/)
      : count(/ (\d+) failed/);
  return { requests, bad: requests === 0 ? 1 : bad, seconds, p50: 0, p99: 0, p999: 0 };
}

function wrk({ conns, bodyBytes }: Shape, port: number, seconds: number): [string, string[]] {
  const script = join(scratch, 'post.lua');
  const lines = [
    'wrk.method = "POST"',
    `wrk.headers["Host"] = "${host}"`,
    'wrk.headers["Content-Type"] = "application/json"',
    `wrk.body = string.rep(" ", ${bodyBytes})`,
  ];
  writeFileSync(script, lines.join('\n'));
  const url = `https://127.0.0.1:${port}/v2/models/${modelName(0)}/infer`;
  return [programAt('wrk')!, ['-t1', `-c${conns}`, `-d${seconds}s`, '-s', script, url]];
}

function h2load({ conns, streams = 1, bodyBytes }: Shape, port: number, seconds: number): [string, string[]] {
  const name = Buffer.from(modelName(0));
  const raw = bodyBytes - 5 - 2 - name.length - 3;
  const message = Buffer.concat([Buffer.from([10, name.length]), name, Buffer.from([58, (raw & 127) | 128, raw >> 7])]);
  const body = Buffer.alloc(bodyBytes, ' ');
  body.writeUInt8(0, 0);
  body.writeUInt32BE(bodyBytes - 5, 1);
  message.copy(body, 5);
  const file = join(scratch, 'message.bin');
  writeFileSync(file, body);
  const headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];
  const load = ['-t1', `-c${conns}`, `-m${streams}`, '-D', `${seconds}`, '-d', file];
  const url = `https://${host}/inference.GRPCInferenceService/ModelInfer`;
  return [programAt('h2load')!, [...load, ...headers, `--connect-to=127.0.0.1:${port}`, url]];
}
