import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { localImages } from '../../apps/cli/src/system/images.ts';
import { images } from '../../apps/cli/src/system/names.ts';
import { checkout } from '../frame/stack.ts';
import type { Control } from './control.ts';
import { fewModels, host, manyModels, modelName } from './load.ts';
import { freePort, type Running, scratch, startServer } from './process.ts';
import type { Contestant, ModelServerStub, Target } from './subject.ts';

const shipped = localImages({ appsDirectory: join(checkout, 'apps'), node: process.execPath });

/** Starts one of our processes as it ships: its bundle, with the options that every installation has. */
function startOurs(image: string, args: string[], env: Record<string, string>, port: number): Promise<Running> {
  const view = { args, env, port: (containerPort: number) => containerPort };
  const command = shipped[image]?.(view as never) as { file: string; args: string[]; env: Record<string, string> };
  return startServer(command.file, command.args, { env: { PATH: process.env.PATH, ...command.env }, port });
}

/** As the images run. */
const lean = ['--max-semi-space-size=1', '--initial-old-space-size=16', '--v8-pool-size=1', '--no-maglev'];

type Change = () => () => void;

async function startRouter(control: Control, name: string, replicaPort: number, models: number, tlsPort?: number) {
  const port = await freePort();
  const routes = control.routes(name, replicaPort, models);
  const tls = ['--tls-port', `${tlsPort}`, '--tls-cert', control.certFile, '--tls-key', control.keyFile];
  const args = ['--port', `${port}`, '--ops-port', `${await freePort()}`, ...(tlsPort === undefined ? [] : tls)];
  const running = await startOurs(images.router, args, { ...control.environment, POD_NAME: name }, port);
  await routes.settled();
  return { port, running, change: routes.change as Change };
}

async function startAgent(control: Control, name: string, server: ModelServerStub, models: number, socket = false) {
  const port = await freePort();
  const directory = join(scratch, name);
  mkdirSync(directory);
  const args = [
    ...['--port', `${port}`, '--ops-port', `${await freePort()}`, '--model-dir', directory, '--enable-puller'],
    ...['--component-port', `${server.port}`, '--component-grpc-port', `${server.port}`],
    ...(socket ? ['--component-socket', server.socketPath] : []),
  ];
  const identity = { POD_NAME: name, POD_NAMESPACE: 'default', POD_UID: name, POD_IP: '127.0.0.1' };
  const env = { ...control.environment, ...identity, INFERENCE_SERVICE_NAME: 'bench' };
  const running = await startOurs(images.agent, args, env, port);
  const { change } = await control.assign(name, models);
  return { port, running, change: change as Change };
}

const targetOf = ({ port, running }: { port: number; running: Running }): Target => ({ port, running: [running] });

/** Routing by host and model name, limits, metrics and health on, in front of the model server itself. */
export function router(control: () => Control): Contestant {
  let change: Change | undefined;
  return {
    name: 'router',
    holds: true,
    async open({ port }) {
      const tlsPort = await freePort();
      const few = await startRouter(control(), 'router', port, fewModels);
      const many = await startRouter(control(), 'router-many', port, manyModels);
      change = few.change;
      const secure = await startRouter(control(), 'router-tls', port, fewModels, tlsPort);
      const tls = { port: tlsPort, running: [secure.running] };
      const idle = targetOf(await startRouter(control(), 'router-idle', port, fewModels));
      return { http: targetOf(few), grpc: targetOf(few), many: targetOf(many), tls, tlsgrpc: tls, idle };
    },
    changeRoutes: () => change?.() ?? (() => {}),
  };
}

/** What of the router's cost is not the relay's. */
export const bareRouter: Contestant = {
  name: 'bare-router',
  async open(server) {
    const port = await freePort();
    const names = Array.from({ length: fewModels }, (_, index) => modelName(index));
    const script = join(import.meta.dirname, 'bare-router.ts');
    const args = [...lean, script, `${port}`, `${server.port}`, host, ...names];
    const running = [await startServer(process.execPath, args, { port })];
    return { http: { port, running }, grpc: { port, running } };
  },
};

/** The agent with its models loaded, as a sidecar has them. */
export function agent(control: () => Control): Contestant {
  let change: Change | undefined;
  return {
    name: 'agent',
    holds: true,
    async open(server) {
      const few = await startAgent(control(), 'agent', server, fewModels);
      const many = await startAgent(control(), 'agent-many', server, manyModels);
      const socket = await startAgent(control(), 'agent-socket', server, fewModels, true);
      change = few.change;
      const idle = targetOf(await startAgent(control(), 'agent-idle', server, fewModels));
      return { http: targetOf(few), grpc: targetOf(few), many: targetOf(many), uds: targetOf(socket), idle };
    },
    changeRoutes: () => change?.() ?? (() => {}),
  };
}

/** The whole way of a prediction: router, agent, model server. */
export function path(control: () => Control): Contestant {
  return {
    name: 'path',
    async open(server) {
      const behind = await startAgent(control(), 'path-agent', server, fewModels);
      const front = await startRouter(control(), 'path-router', behind.port, fewModels);
      const target = { port: front.port, running: [front.running, behind.running] };
      return { http: target, grpc: target };
    },
  };
}
