import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DialectName } from '@roundhouse/dialects';
import { parse } from 'yaml';
import type { Environment, EnvironmentName } from './environments.ts';

export type Protocol = 'v1' | 'v2' | 'grpc';

/** As `roundhouse up --images` reads it. */
export type Program = {
  readonly command: readonly string[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly portFlags?: readonly string[];
  readonly portVariables?: readonly string[];
};

/** A model server as it is put to the test: behind the agent, by the runtime that ships for it. */
export type Server = {
  /** Of its ClusterServingRuntime. */
  readonly name: string;
  readonly title: (environment: Environment) => string;
  readonly version: (environment: Environment) => string;
  /** Whose recorded exchanges are its: one server of several that share their code. */
  readonly records?: DialectName;
  /** What it runs in, and its models are made in. */
  readonly environment: EnvironmentName;
  /** As a KServe user writes it: the choice of the runtime is part of the test. */
  readonly predictor: Readonly<Record<string, unknown>>;
  readonly protocols: readonly Protocol[];
  /** Whether it takes the binary tensors of V2 REST. */
  readonly binary: boolean;
  /** Models of these take turns. */
  readonly frameworks: readonly string[];
  readonly program?: (environment: Environment) => Program;
  /** How many models take part in the steps. */
  readonly fleet: number;
  /** What is measured unless the command line says otherwise. */
  readonly sizes: readonly number[];
  /** What a reader of the figures should know. */
  readonly note?: string;
};

const runtimes = join(import.meta.dirname, '../deploy/runtimes');

export const servers: readonly Server[] = [
  {
    name: 'roundhouse-model-server',
    title: () => 'Roundhouse model server',
    version: () => '',
    environment: 'mlserver', // for its models only: the server is part of this checkout
    predictor: { model: { modelFormat: { name: 'xgboost' }, runtime: 'roundhouse-model-server' } },
    protocols: ['v1', 'v2', 'grpc'],
    binary: true,
    frameworks: ['xgboost', 'lightgbm'],
    fleet: 20,
    sizes: [1, 100, 1000],
  },
  kserveServer('sklearnserver', 'sklearn'),
  kserveServer('xgbserver', 'xgboost'),
  kserveServer('lgbserver', 'lightgbm'),
  {
    name: 'kserve-mlserver',
    title: ({ versions }) => `MLServer ${versions.get('mlserver')}`,
    version: ({ versions }) => versions.get('mlserver') ?? '',
    records: 'mlserver',
    environment: 'mlserver',
    predictor: { sklearn: { protocolVersion: 'v2' } },
    protocols: ['v2', 'grpc'],
    binary: false,
    frameworks: ['sklearn', 'xgboost', 'lightgbm'],
    program: ({ bin }) => ({
      command: [join(bin, 'mlserver'), 'start', '/mnt/models'],
      env: { ...quiet, MLSERVER_HOST: '127.0.0.1' },
      portVariables: ['MLSERVER_HTTP_PORT', 'MLSERVER_GRPC_PORT', 'MLSERVER_METRICS_PORT'],
    }),
    fleet: 20,
    sizes: [1, 100, 1000],
    note: 'each load reads the settings of all models on disk: the time for one grows with their number',
  },
  {
    name: 'kserve-tritonserver',
    title: ({ versions }) => `Triton of nvidia-pytriton ${versions.get('nvidia-pytriton')}, Python backend`,
    version: () => '2.51',
    records: 'triton',
    environment: 'triton',
    predictor: { triton: {} },
    protocols: ['v2', 'grpc'],
    binary: true,
    frameworks: ['triton'],
    program: tritonProgram,
    fleet: 4,
    sizes: [1, 100],
    note: 'its Python backend starts a process for each model. Asked for 1,000, it had used up 24 GiB of memory at about 570',
  },
];

/** With a model class of ours: those of KServe are not on PyPI, its server, repository and protocols are. */
function kserveServer(kind: string, framework: string): Server {
  return {
    name: `kserve-${kind}`,
    title: ({ versions }) =>
      `KServe ${versions.get('kserve')} server, ${framework} ${versions.get(libraries[framework] ?? framework)}`,
    version: ({ versions }) => versions.get('kserve') ?? '',
    ...(framework === 'sklearn' ? { records: 'kserve' as const } : {}),
    environment: 'kserve',
    predictor: { [framework]: {} },
    protocols: ['v1', 'v2', 'grpc'],
    binary: true,
    frameworks: [framework],
    program: ({ python }) => ({
      command: [python, join(import.meta.dirname, 'python/kserve_server.py'), `--framework=${framework}`],
      env: quiet,
      portFlags: ['--http_port', '--grpc_port'],
    }),
    fleet: 20,
    sizes: [1, 100, 1000],
  };
}

const libraries: Readonly<Record<string, string>> = { sklearn: 'scikit-learn' };

const quiet = { PYTHONUNBUFFERED: '1', PYTHONDONTWRITEBYTECODE: '1' };

function tritonProgram(environment: Environment): Program {
  const { directory, bin, python, sitePackages } = environment;
  const home = join(sitePackages, 'pytriton/tritonserver');
  const backends = join(directory, 'backends');
  const backend = join(backends, 'python');
  if (!existsSync(join(backend, 'numpy'))) {
    // The wheel has a stub for each Python; the backend wants the one to use beside it, and looks for packages nowhere else.
    const version = /python(3\.\d+)\//.exec(sitePackages)?.[1] ?? '';
    mkdirSync(backends, { recursive: true });
    cpSync(join(home, 'backends/python'), backend, { recursive: true });
    cpSync(join(home, 'python_backend_stubs', version, stubName), join(backend, stubName));
    for (const name of ['numpy.libs', 'numpy']) symlinkSync(join(sitePackages, name), join(backend, name));
  }
  const ask = 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))';
  const pythonLibraries = spawnSync(python, ['-c', ask], { encoding: 'utf8' }).stdout.trim();
  return {
    command: ['/usr/bin/env'],
    args: [
      `--backend-directory=${backends}`,
      ...['--http-address=127.0.0.1', '--grpc-address=127.0.0.1', '--metrics-address=127.0.0.1'],
    ],
    env: {
      // The Python within the stub takes its home from the one that it finds here.
      PATH: `${join(home, 'bin')}:${bin}:/usr/bin:/bin`,
      // Without its libraries the stub cannot start, and a load never ends.
      LD_LIBRARY_PATH: `${join(sitePackages, 'nvidia_pytriton.libs')}:${pythonLibraries}`,
    },
    portFlags: ['--http-port', '--grpc-port', '--metrics-port'],
  };
}

const stubName = 'triton_python_backend_stub';

type Container = {
  readonly image: string;
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
};

/** The server's container, as its shipped runtime has it. */
export function containerOf({ name }: Pick<Server, 'name'>): Required<Container> {
  const { spec }: { spec: { containers: readonly [Container] } } = parse(
    readFileSync(join(runtimes, `${name}.yaml`), 'utf8'),
  );
  return { args: [], env: [], ...spec.containers[0] };
}

/** Writes the file for `roundhouse up --images`: the server's image, as its runtime names it, and the program that stands for it. */
export function writeImages(server: Server, environment: Environment, path: string): void {
  const images = server.program === undefined ? {} : { [containerOf(server).image]: server.program(environment) };
  writeFileSync(path, JSON.stringify(images, undefined, 2));
}
