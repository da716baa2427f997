import type { Context, Measurement, Subject } from '../frame/benchmark.ts';
import { processes, treeOf } from '../frame/process-tree.ts';
import { hold, type LoadResult, load, type Shape, type ShapeName, shapes, type Variant } from './load.ts';
import { pause, pssBytes, type Running } from './process.ts';
import { canLoadTls, loadTls } from './tls-load.ts';

/** One configuration of a proxy: where it listens, and whose CPU time counts. */
export type Target = { readonly port: number; readonly running: readonly Running[] };

export type Contestant = {
  readonly name: string;
  unavailable?(): Promise<string | undefined>;
  /** Starts it in front of the model server. Variants that it has not are not measured. */
  open(server: ModelServerStub): Promise<Partial<Record<Variant, Target>>>;
  /** Changes routes while the load is paced; returns what ends that. */
  changeRoutes?(): () => void;
  /** Whether what idle connections cost is asked of it. */
  readonly holds?: boolean;
};

/** The model server behind all of them. */
export type ModelServerStub = {
  readonly port: number;
  readonly socketPath: string;
  /** For those who serve TLS in front of it, PEM. */
  readonly certFile: string;
  readonly keyFile: string;
};

const measureSeconds = 1;
/** Optimising compilers are done after some number of requests, however long these take on a busy machine. */
const warmUp = { requests: 40_000, seconds: 1, timesMax: 5 } as const;
/** Shapes at one connection say what a proxy adds to an answer. */
const latencyShapes: readonly string[] = ['lat', 'grpclat'];
const memoryShapes: readonly string[] = ['post', 'grpc', 'big', 'grpcbig'];

export function subjectFor(proxy: Contestant, server: () => ModelServerStub): Subject {
  let targets: Partial<Record<Variant, Target>> = {};
  /** Requests per second that it reached, by shape. */
  const reached = new Map<string, number>();
  return {
    name: proxy.name,
    async unavailable() {
      return proxy.unavailable?.();
    },
    async start({ say, signal }: Context) {
      signal.throwIfAborted();
      say(`starting ${proxy.name}`);
      targets = await proxy.open(server());
      for (const shape of [shapes.post, shapes.many, shapes.uds, shapes.grpc, shapes.tls, shapes.tlsgrpc]) {
        const target = canBeLoaded(shape) ? targets[shape.variant] : undefined;
        let asked = 0;
        for (let times = 0; target !== undefined && asked < warmUp.requests && times < warmUp.timesMax; times++) {
          asked += (await loadFor(shape)(shape, target.port, warmUp.seconds)).requests;
        }
      }
    },
    async measure(name, { say }) {
      const shape: Shape = shapes[name as ShapeName];
      const target = targets[shape.variant];
      if (target === undefined || !canBeLoaded(shape)) return [];
      if (shape.held) return proxy.holds ? await idleMemory(shape, target) : [];
      const rate = shape.paced === undefined ? 0 : 0.7 * (reached.get(shape.paced) ?? 0);
      if (shape.paced !== undefined && rate === 0) return [];
      const direct = latencyShapes.includes(name) ? await load(shape, server().port, measureSeconds / 4) : undefined;
      const stopChanging = shape.paced === undefined ? undefined : proxy.changeRoutes?.();
      const before = await cpuMs(target);
      const result = await loadFor(shape)(shape, target.port, measureSeconds, rate);
      const cpu = (await cpuMs(target)) - before;
      stopChanging?.();
      reached.set(name, result.requests / result.seconds);
      if (result.bad > 0) say(`${proxy.name}, ${name}: ${result.bad} of ${result.requests} requests went wrong`);
      return [...measurementsOf(name, shape, result, cpu, direct), ...(await memoryOf(name, target))];
    },
    async stop() {
      for (const { running } of Object.values(targets)) for (const each of running) await each.stop();
    },
  };
}

const isTls = ({ variant }: Shape) => variant === 'tls' || variant === 'tlsgrpc';
const loadFor = (shape: Shape) => (isTls(shape) ? loadTls : load);
const canBeLoaded = (shape: Shape) => !isTls(shape) || canLoadTls();

function measurementsOf(name: string, shape: Shape, result: LoadResult, cpuMs: number, direct?: LoadResult) {
  const { requests, bad, p50, p99, p999 } = result;
  const measured: Measurement[] = [{ metric: 'failed requests', unit: '', value: bad }];
  if (shape.paced === undefined)
    measured.push({ metric: 'CPU', unit: 'µs/request', value: (cpuMs * 1_000) / requests });
  else {
    measured.push(
      { metric: 'latency p50', unit: 'µs', value: p50 },
      { metric: 'latency p99', unit: 'µs', value: p99 },
      { metric: 'latency p99.9', unit: 'µs', value: p999 },
    );
  }
  if (latencyShapes.includes(name) && direct !== undefined)
    measured.push({ metric: 'added latency p50', unit: 'µs', value: p50 - direct.p50 });
  return measured;
}

async function memoryOf(name: string, target: Target): Promise<Measurement[]> {
  if (!memoryShapes.includes(name)) return [];
  return [{ metric: 'memory (PSS)', unit: 'MB', value: (await pssOf(target)) / 1e6 }];
}

async function idleMemory(shape: Shape, target: Target): Promise<Measurement[]> {
  const before = await pssOf(target);
  const held = await hold(shape, target.port);
  const each = (await pssOf(target)) - before;
  await held.release();
  return [{ metric: 'memory (PSS) per connection', unit: 'KB', value: each / shape.conns / 1e3 }];
}

async function pssOf({ running }: Target): Promise<number> {
  const all = await processes();
  return pssBytes(running.flatMap(({ pid }) => treeOf(pid, all).map((each) => each.pid)));
}

async function cpuMs({ running }: Target): Promise<number> {
  await pause(20); // what was answered last is still being put away
  const all = await processes();
  return running.reduce((sum, { pid }) => sum + treeOf(pid, all).reduce((each, { cpuMs }) => each + cpuMs, 0), 0);
}
