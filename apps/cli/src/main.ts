import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError, messageOf, stopOn, systemClock, systemRandom } from '@roundhouse/base';
import { createLog } from '@roundhouse/telemetry';
import { clusterClient } from './cluster-client.ts';
import { down } from './commands/down.ts';
import { get } from './commands/get.ts';
import { importManifests } from './commands/import.ts';
import { logs } from './commands/logs.ts';
import { predict } from './commands/predict.ts';
import { status } from './commands/status.ts';
import { up } from './commands/up.ts';
import { type Command, parseCommand } from './config.ts';
import { helpFor } from './help.ts';
import { readConnection, readState } from './local-state.ts';
import { version } from './system/names.ts';

const checkout = join(import.meta.dirname, '../../..');
const print = (text: string) => console.log(text);

const parsed = parseCommand(process.argv.slice(2), checkout);
if ('problems' in parsed) {
  for (const problem of parsed.problems) console.error(`roundhouse: ${problem}.`);
  process.exit(2);
}
try {
  process.exitCode = await run(parsed.command, stopOn('SIGINT', 'SIGTERM'));
} catch (error) {
  const expected = error instanceof CodedError;
  console.error(expected ? `roundhouse: ${error.message}` : error);
  if (!expected) console.error(`roundhouse: this is a bug (${messageOf(error)}); please report it`);
  process.exitCode = 1;
}
process.exit();

function run(command: Command, signal: AbortSignal): Promise<number> | number {
  const client = () => clusterClient(readConnection(dataDirectoryOf(command)));
  switch (command.kind) {
    case 'help':
      print(helpFor(command.topic));
      return 0;
    case 'version':
      print(version);
      return 0;
    case 'up':
      return up(upDeps(command.dataDirectory), command, signal);
    case 'status':
      return status({ client: client(), print, ...readState(command.dataDirectory) }, command);
    case 'get':
      return get({ client: client(), print, ...readState(command.dataDirectory) }, command);
    case 'predict': {
      const examplesDirectory = join(checkout, 'examples');
      const standardInput = () => readFileSync(0, 'utf8');
      const state = readState(command.dataDirectory);
      return predict({ client: client(), print, ...state, examplesDirectory, standardInput }, command, signal);
    }
    case 'conformance':
      return conformanceOf(command, signal);
    case 'import': {
      const standardInput = () => readFileSync(0, 'utf8');
      return importManifests({ print, printNote: (text) => console.error(text), standardInput }, command);
    }
    case 'logs':
      return logs({ client: client(), print, ...readState(command.dataDirectory) }, command, signal);
    case 'down':
      return down({ clock: systemClock, print }, command, signal);
  }
}

/** Loaded when it is asked for: it brings the gRPC library along. */
async function conformanceOf(command: Command & { kind: 'conformance' }, signal: AbortSignal): Promise<number> {
  const [{ conformance }, { openTransport }] = await Promise.all([
    import('./commands/conformance.ts'),
    import('./conformance-transport.ts'),
  ]);
  const transport = openTransport(systemClock, command, signal);
  try {
    return await conformance({ transport, print, standardInput: () => readFileSync(0, 'utf8') }, command, signal);
  } finally {
    await transport.close();
  }
}

function dataDirectoryOf(command: Command): string {
  if (!('dataDirectory' in command)) return '';
  readState(command.dataDirectory); // says so when no cluster runs there
  return command.dataDirectory;
}

function upDeps(dataDirectory: string) {
  mkdirSync(dataDirectory, { recursive: true });
  const file = createWriteStream(join(dataDirectory, 'cluster.log'), { flags: 'a' });
  return {
    clock: systemClock,
    random: systemRandom,
    log: createLog('local-cluster', 'info', file),
    screen: {
      isTerminal: process.stdout.isTTY === true,
      columns: () => process.stdout.columns ?? 80,
      write: (text: string) => process.stdout.write(text),
    },
    checkout,
    node: process.execPath,
    pid: process.pid,
  };
}
