import { deepStrictEqual } from 'node:assert';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeMatrixOnnx } from '@roundhouse/testkit';
import type { InferRequest } from '@roundhouse/v2-protocol';
import type { Benchmark, Measurement, RatioBound, Subject } from '../frame/benchmark.ts';
import { memoryOf, processes, treeOf } from '../frame/process-tree.ts';
import { quantile } from '../frame/statistics.ts';
import { ask, open, press } from './clients.ts';
import { expected, irisRequest, microsecondsOf, type Predict, predictBare, predictHere } from './in-process.ts';
import {
  addExample,
  pythonOf,
  type Server,
  type SharedModel,
  startKserve,
  startMlserver,
  startOurs,
} from './servers.ts';

const connections = 16;
const pressMs = 3_000;
const loadsPerRound = 40;

/** Every server. */
const shapes = { xgboost: 'XGBoost of 100 trees', lightgbm: 'LightGBM of 100 trees' } as const;
const loads = { xgboost: 'load of a small XGBoost', lightgbm: 'load of a small LightGBM' } as const;
/** Ours, and what it is made of. */
const onnxLoad = 'load of a small ONNX';
const bare = {
  xgboost: 'XGBoost of 100 trees without HTTP',
  lightgbm: 'LightGBM of 100 trees without HTTP',
  onnx: 'small ONNX without HTTP',
} as const;
const many = {
  trees: ['1000 small XGBoost', 1_000, 'cancer-xgboost', 'model.ubj'],
  onnx: ['1000 small ONNX', 1_000, 'iris-onnx', 'model.onnx'],
  manyTrees: ['10000 small XGBoost', 10_000, 'cancer-xgboost', 'model.ubj'],
  manyOnnx: ['10000 small ONNX', 10_000, 'iris-onnx', 'model.onnx'],
} as const;
const quiet = 'others while nothing loads';
const busy = 'others while 500 MB of ONNX load';
/** 11,200 squared floats: 502 MB. */
const matrixWidth = 11_200;

const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const pathOf = (model: string) => `/v2/models/${model}/infer`;
const tensor = { name: 'input-0', datatype: 'FP32', shape: [1, expected.row.length] };
const body = JSON.stringify({ inputs: [{ ...tensor, data: expected.row }] });
const inferOf = (model: string) => ({ method: 'POST', path: pathOf(model), body }) as const;
const request = (): InferRequest => ({
  id: undefined,
  parameters: {},
  inputs: [{ ...tensor, datatype: 'FP32', data: Float32Array.from(expected.row) }],
  outputs: [],
});

/** Refuses to compare servers that do not answer the same. */
async function check(server: Server, model: SharedModel): Promise<void> {
  const { text } = await ask(server.port, inferOf(model));
  const [answer] = JSON.parse(text).outputs[0].data.flat();
  const isSame = Math.abs(answer - expected[model]) < 1e-6;
  deepStrictEqual({ model, isSame, answer }, { model, isSame: true, answer });
}

async function cpuMsOf(server: Server): Promise<number> {
  return treeOf(server.pid, await processes()).reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}

async function pressed(server: Server, model: SharedModel): Promise<Measurement[]> {
  await press(server.port, inferOf(model), connections, after(pressMs / 4));
  const before = await cpuMsOf(server);
  const latencies = (await press(server.port, inferOf(model), connections, after(pressMs))).sort((a, b) => a - b);
  const cpuMs = (await cpuMsOf(server)) - before;
  return [
    { metric: 'CPU time per request', unit: 'µs', value: (cpuMs * 1_000) / latencies.length },
    { metric: 'latency p50', unit: 'ms', value: quantile(latencies, 0.5) },
    { metric: 'latency p99', unit: 'ms', value: quantile(latencies, 0.99) },
    { metric: 'time per request', unit: 'µs', value: (pressMs * 1_000) / latencies.length },
  ];
}

async function loaded(server: Server, model: string, count = loadsPerRound): Promise<Measurement[]> {
  const client = await open(server.port);
  const times: Measurement[] = [];
  for (let at = 0; at < count; at++) {
    const startedMs = performance.now();
    const { status, text } = await client.ask({
      method: 'POST',
      path: `/v2/repository/models/${model}/load`,
      body: '{}',
    });
    if (status !== 200) throw new Error(text);
    times.push({ metric: 'time of a load', unit: 'ms', value: performance.now() - startedMs });
  }
  client.close();
  return times;
}

/** Loads so many models into a new server, eight at a time, and looks at what it takes then. */
async function loadedMany([, count, example, file]: readonly [string, number, string, string]): Promise<Measurement[]> {
  const server = await startOurs();
  try {
    for (let at = 0; at < count; at++) addExample(server.models, `m-${at}`, example, file);
    const startedMs = performance.now();
    const names = Array.from({ length: count }, (_, at) => `m-${at}`).values();
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        const client = await open(server.port);
        for (const name of names) {
          const path = `/v2/repository/models/${name}/load`;
          const { status, text } = await client.ask({ method: 'POST', path, body: '{}' });
          if (status !== 200) throw new Error(text);
        }
        client.close();
      }),
    );
    const seconds = (performance.now() - startedMs) / 1_000;
    const all = treeOf(server.pid, await processes());
    const own = all.find(({ pid }) => pid === server.pid)?.rssBytes ?? Number.NaN;
    const probes = all.reduce((sum, { rssBytes }) => sum + rssBytes, 0) - own;
    return [
      { metric: 'time to load all', unit: 's', value: seconds },
      { metric: 'resident memory', unit: 'MB', value: own / 1e6 },
      { metric: 'memory of its probe', unit: 'MB', value: probes / 1e6 },
      { metric: 'memory with its probe', unit: 'MB', value: memoryOf(all) / 1e6 },
    ];
  } finally {
    await server.stop();
  }
}

/** Predictions on a small model while nothing else happens, or while a large file loads. */
async function beside(server: Server, isLoading: boolean): Promise<Measurement[]> {
  const path = join(server.models, 'matrix/model.onnx');
  mkdirSync(join(server.models, 'matrix'), { recursive: true });
  if (isLoading) writeMatrixOnnx(path, matrixWidth);
  await press(server.port, inferOf('xgboost'), connections, after(500));
  const startedMs = performance.now();
  let loadMs = 0;
  const load = async () => {
    await server.load('matrix');
    loadMs = performance.now() - startedMs;
  };
  const latencies = await press(server.port, inferOf('xgboost'), connections, isLoading ? load() : after(pressMs));
  if (isLoading) {
    await ask(server.port, { method: 'POST', path: '/v2/repository/models/matrix/unload', body: '{}' });
    rmSync(path);
  }
  const p99 = quantile(
    latencies.sort((a, b) => a - b),
    0.99,
  );
  const measured: Measurement[] = [{ metric: 'latency p99', unit: 'ms', value: p99 }];
  if (isLoading) measured.push({ metric: 'time of the load', unit: 'ms', value: loadMs });
  return measured;
}

async function timesOf(predict: Promise<Predict>): Promise<Measurement[]> {
  const { elapsed, cpu } = await microsecondsOf(await predict);
  return [
    { metric: 'time of a prediction', unit: 'µs', value: elapsed },
    { metric: 'CPU time of a prediction', unit: 'µs', value: cpu },
  ];
}

/** What every server is asked for. */
async function measureShared(server: Server, shape: string): Promise<readonly Measurement[] | undefined> {
  for (const model of ['xgboost', 'lightgbm'] as const) {
    if (shape === shapes[model]) return pressed(server, model);
    if (shape === loads[model]) return loaded(server, `small-${model}`);
  }
  return undefined;
}

function serverSubject(
  name: string,
  start: () => Promise<Server>,
  measureOwn: (server: Server, shape: string) => Promise<readonly Measurement[]> = async () => [],
): Subject {
  let server: Server | undefined;
  return {
    name,
    async start() {
      server = await start();
      for (const model of ['xgboost', 'lightgbm'] as const) {
        await server.load(model);
        await check(server, model);
      }
    },
    measure: async (shape) => (await measureShared(server as Server, shape)) ?? measureOwn(server as Server, shape),
    async stop() {
      await server?.stop();
    },
  };
}

async function measureOurs(server: Server, shape: string): Promise<readonly Measurement[]> {
  switch (shape) {
    case onnxLoad:
      return loaded(server, 'small-onnx');
    case bare.xgboost:
      return timesOf(predictHere(server.models, 'xgboost', request));
    case bare.lightgbm:
      return timesOf(predictHere(server.models, 'lightgbm', request));
    case bare.onnx:
      return timesOf(predictHere(server.models, 'small-onnx', irisRequest));
    case quiet:
    case busy:
      return beside(server, shape === busy);
  }
  const row = Object.values(many).find(([name]) => name === shape);
  return row === undefined ? [] : loadedMany(row);
}

const [ours, mlserver, kserve] = ['roundhouse', 'MLServer', "KServe's server, our model class"] as const;
const library = 'onnxruntime-node';

function peer(name: string, environment: 'mlserver' | 'kserve', start: (python: string) => Promise<Server>): Subject {
  return {
    ...serverSubject(name, () => start(pythonOf(environment) ?? 'python3')),
    unavailable: async () =>
      pythonOf(environment) === undefined ? 'not installed; `npm run interop` installs it' : undefined,
  };
}

const promisesAgainst = (against: string): RatioBound[] =>
  Object.values(shapes).flatMap((shape) => [
    { subject: ours, shape, metric: 'CPU time per request', against, atMost: 1 / 10 },
    { subject: ours, shape, metric: 'latency p50', against, atMost: 1 / 5 },
  ]);
const median = (shape: string, metric: string, atMost: number) =>
  ({ subject: ours, shape, metric, statistic: 'median', atMost }) as const;

export const benchmark: Benchmark = {
  name: 'model-server',
  summary: 'the embedded model server beside MLServer and KServe’s: predictions, loads, memory',
  rounds: 5,
  shapes: [
    ...Object.values(shapes),
    ...Object.values(loads),
    onnxLoad,
    ...Object.values(bare),
    quiet,
    busy,
    ...Object.values(many).map(([name]) => name),
  ],
  subjects: [
    serverSubject(ours, startOurs, measureOurs),
    peer(mlserver, 'mlserver', startMlserver),
    peer(kserve, 'kserve', startKserve),
    {
      name: library,
      measure: async (shape) => (shape === bare.onnx ? await timesOf(predictBare()) : []),
    },
  ],
  against: [mlserver, kserve, library],
  compared: [ours],
  bounds: [
    ...Object.values(loads).map((shape) => median(shape, 'time of a load', 2)),
    median(onnxLoad, 'time of a load', 2),
    median(bare.xgboost, 'time of a prediction', 20),
    median(bare.lightgbm, 'time of a prediction', 20),
    median(many.trees[0], 'memory with its probe', 200),
    median(many.onnx[0], 'memory with its probe', 300),
    median(many.manyTrees[0], 'time to load all', 30),
    median(many.manyOnnx[0], 'time to load all', 30),
  ],
  ratioBounds: [
    ...promisesAgainst(mlserver),
    ...promisesAgainst(kserve),
    { subject: ours, shape: bare.onnx, metric: 'time of a prediction', against: library, atMost: 1.3 },
    { subject: ours, shape: busy, metric: 'latency p99', against: ours, againstShape: quiet, atMost: 2 },
  ],
};
