import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type ApiGroup, apiGroups, kserveGroup, parseQuantity } from '@roundhouse/crds';
import { type Surface, surfaces } from '@roundhouse/v2-protocol';

export type Output = 'text' | 'json';

export type Command =
  | { readonly kind: 'help'; readonly topic: string | undefined }
  | { readonly kind: 'version' }
  | {
      readonly kind: 'up';
      readonly dataDirectory: string;
      readonly port: number;
      readonly examples: boolean;
      readonly fileRoots: readonly string[];
      /** A file that says how further images are run; undefined: none. */
      readonly images: string | undefined;
      /** Of the kinds that are served. */
      readonly apiGroup: ApiGroup;
    }
  | { readonly kind: 'status'; readonly dataDirectory: string; readonly output: Output }
  | {
      readonly kind: 'get';
      readonly dataDirectory: string;
      readonly output: Output;
      readonly what: string;
      readonly name: string | undefined;
      readonly namespace: string | undefined;
    }
  | {
      readonly kind: 'predict';
      readonly dataDirectory: string;
      readonly output: Output;
      readonly model: string;
      readonly namespace: string;
      readonly data: string | undefined;
      readonly protocol: 'v1' | 'v2';
    }
  | {
      readonly kind: 'logs';
      readonly dataDirectory: string;
      readonly target: string;
      readonly namespace: string;
      readonly container: string | undefined;
      readonly follow: boolean;
      readonly tail: number;
    }
  | {
      readonly kind: 'conformance';
      readonly output: Output;
      readonly url: URL;
      readonly model: string;
      /** Sent as `Host` and `:authority`. */
      readonly host: string | undefined;
      /** Host and port of gRPC. */
      readonly grpc: string;
      readonly protocols: readonly Surface[] | undefined;
      readonly data: string | undefined;
    }
  | {
      readonly kind: 'import';
      readonly file: string;
      /** The system that the manifests are of; undefined: told by each object. */
      readonly from: string | undefined;
      /** Of models whose system does not say what they take. */
      readonly memory: string;
      readonly bucket: string | undefined;
      readonly output: 'yaml' | 'json';
    }
  | { readonly kind: 'down'; readonly dataDirectory: string; readonly output: Output };

export type Parsed = { readonly command: Command } | { readonly problems: readonly string[] };

const options = {
  'data-dir': { type: 'string' },
  port: { type: 'string' },
  'no-examples': { type: 'boolean' },
  'file-root': { type: 'string', multiple: true },
  images: { type: 'string' },
  'api-group': { type: 'string' },
  namespace: { type: 'string', short: 'n' },
  output: { type: 'string', short: 'o' },
  data: { type: 'string', short: 'd' },
  protocol: { type: 'string' },
  protocols: { type: 'string' },
  model: { type: 'string', short: 'm' },
  host: { type: 'string' },
  grpc: { type: 'string' },
  container: { type: 'string', short: 'c' },
  follow: { type: 'boolean', short: 'f' },
  tail: { type: 'string' },
  from: { type: 'string' },
  memory: { type: 'string' },
  bucket: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>['values'];

/** Which options a command knows; every other one is a mistake worth naming. */
const known: Readonly<Record<string, readonly (keyof typeof options)[]>> = {
  up: ['data-dir', 'port', 'no-examples', 'file-root', 'images', 'api-group'],
  status: ['data-dir', 'output'],
  get: ['data-dir', 'output', 'namespace'],
  predict: ['data-dir', 'output', 'namespace', 'data', 'protocol'],
  logs: ['data-dir', 'namespace', 'container', 'follow', 'tail'],
  conformance: ['output', 'model', 'host', 'grpc', 'protocols', 'data'],
  import: ['output', 'from', 'memory', 'bucket'],
  down: ['data-dir', 'output'],
};

const importSources: readonly string[] = ['modelmesh', 'seldon', 'kserve'];

export const commandNames: readonly string[] = Object.keys(known);

/** Reads the command line. Reports every mistake at once, each with the way out. `checkout` is where defaults live. */
export function parseCommand(argv: readonly string[], checkout: string): Parsed {
  let values: Values;
  let positionals: string[];
  try {
    ({ values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true }));
  } catch (error) {
    return { problems: [`${(error as Error).message.split('. ')[0]}; "roundhouse --help" lists the options`] };
  }
  const [verb, ...rest] = positionals;
  if (values.version) return { command: { kind: 'version' } };
  if (values.help || verb === undefined || verb === 'help')
    return { command: { kind: 'help', topic: verb === 'help' ? rest[0] : verb } };
  const allowed = known[verb];
  if (allowed === undefined)
    return { problems: [`there is no command "${verb}"; there are ${commandNames.join(', ')}`] };
  const problems = Object.keys(values)
    .filter((name) => !allowed.includes(name as keyof typeof options))
    .map((name) => `"${verb}" has no option --${name}; "roundhouse ${verb} --help" lists its options`);
  const command = commandFor(verb, rest, values, checkout, problems);
  return problems.length > 0 || command === undefined ? { problems } : { command };
}

function commandFor(
  verb: string,
  rest: readonly string[],
  values: Values,
  checkout: string,
  problems: string[],
): Command | undefined {
  const dataDirectory = resolve(values['data-dir'] ?? join(checkout, '.roundhouse'));
  const output = verb === 'import' ? 'text' : outputOf(values.output, problems);
  const namespace = values.namespace ?? 'default';
  const expect = (names: readonly string[], required: number) => {
    if (rest.length < required)
      problems.push(`"${verb}" needs ${names[rest.length]}; "roundhouse ${verb} --help" shows an example`);
    if (rest.length > names.length) problems.push(`"${verb}" takes no "${rest[names.length]}"`);
  };
  switch (verb) {
    case 'up':
      expect([], 0);
      return {
        kind: 'up',
        dataDirectory,
        port: numberOf('--port', values.port ?? '8080', 65_535, problems),
        examples: values['no-examples'] !== true,
        fileRoots: (values['file-root'] ?? []).map((root) => resolve(root)),
        images: values.images === undefined ? undefined : resolve(values.images),
        apiGroup: apiGroupOf(values['api-group'], problems),
      };
    case 'status':
    case 'down':
      expect([], 0);
      return { kind: verb, dataDirectory, output };
    case 'get':
      expect(['what to get, such as models', 'a name'], 1);
      return { kind: 'get', dataDirectory, output, what: rest[0] ?? '', name: rest[1], namespace: values.namespace };
    case 'predict': {
      expect(['the name of a model'], 1);
      const protocol = values.protocol ?? 'v2';
      if (protocol !== 'v1' && protocol !== 'v2') problems.push(`--protocol is v1 or v2, not "${protocol}"`);
      return {
        kind: 'predict',
        dataDirectory,
        output,
        model: rest[0] ?? '',
        namespace,
        data: values.data,
        protocol: protocol === 'v1' ? 'v1' : 'v2',
      };
    }
    case 'conformance':
      expect(['the URL of a model server'], 1);
      return conformanceFor(rest[0], values, output, problems);
    case 'import':
      expect(['a file of manifests, or "-"'], 1);
      return importFor(rest[0] ?? '', values, problems);
    case 'logs':
      expect(['the name of a model or a pod'], 1);
      return {
        kind: 'logs',
        dataDirectory,
        target: rest[0] ?? '',
        namespace,
        container: values.container,
        follow: values.follow === true,
        tail: numberOf('--tail', values.tail ?? '100', 1_000_000, problems),
      };
  }
  return undefined;
}

function conformanceFor(
  text: string | undefined,
  values: Values,
  output: Output,
  problems: string[],
): Command | undefined {
  const url = URL.parse(/^https?:\/\//.test(text ?? '') ? (text ?? '') : `http://${text}`);
  if (text !== undefined && url === null) problems.push(`"${text}" is no URL; give one such as http://127.0.0.1:8080`);
  if (values.model === undefined) problems.push('"conformance" needs --model, the name of a model that is loaded');
  const named = values.protocols?.split(',').map((each) => each.trim());
  for (const each of named ?? [])
    if (!(surfaces as readonly string[]).includes(each))
      problems.push(`--protocols is a list of ${surfaces.join(', ')}; there is no "${each}"`);
  if (url === null || values.model === undefined) return undefined;
  return {
    kind: 'conformance',
    output,
    url,
    model: values.model,
    host: values.host,
    grpc: values.grpc ?? `${url.hostname}:${url.port || (url.protocol === 'https:' ? 443 : 80)}`,
    protocols: named as readonly Surface[] | undefined,
    data: values.data,
  };
}

function importFor(file: string, { from, memory = '256Mi', bucket, output }: Values, problems: string[]): Command {
  if (from !== undefined && !importSources.includes(from))
    problems.push(`--from is one of ${importSources.join(', ')}, not "${from}"`);
  if (parseQuantity(memory) === undefined || !/[1-9]/.test(memory) || memory.startsWith('-'))
    problems.push(`--memory takes a quantity such as 256Mi, not "${memory}"`);
  if (output !== undefined && output !== 'yaml' && output !== 'json')
    problems.push(`-o of import is yaml or json, not "${output}"`);
  return { kind: 'import', file, from, memory, bucket, output: output === 'json' ? 'json' : 'yaml' };
}

function apiGroupOf(text: string = kserveGroup, problems: string[]): ApiGroup {
  const group = apiGroups.find((each) => each === text);
  if (group === undefined) problems.push(`--api-group is one of ${apiGroups.join(', ')}, not "${text}"`);
  return group ?? kserveGroup;
}

function outputOf(text: string | undefined, problems: string[]): Output {
  if (text === undefined || text === 'text') return 'text';
  if (text === 'json') return 'json';
  problems.push(`-o is text or json, not "${text}"`);
  return 'text';
}

function numberOf(option: string, text: string, max: number, problems: string[]): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= max) return value;
  problems.push(`${option} takes a number from 0 to ${max}, not "${text}"`);
  return 0;
}
