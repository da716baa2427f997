import { request } from 'node:http';
import { request as requestTls } from 'node:https';
import { connect } from 'node:net';
import { type Clock, messageOf, within } from '@roundhouse/base';
import type { Container, Handler, Probe } from '../workloads/kinds.ts';

/** Resolves to what is wrong, or to undefined when the probe succeeded. `portOf` gives the actual port. */
export async function probeOnce(
  handler: Handler,
  timeoutMs: number,
  portOf: (port: number | string) => number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const bound = within(timeoutMs, signal);
  try {
    if (handler.httpGet !== undefined) return await probeHttp(handler.httpGet, portOf(handler.httpGet.port), bound);
    if (handler.tcpSocket !== undefined) return await probeTcp(portOf(handler.tcpSocket.port), bound);
    return 'the probe has no httpGet and no tcpSocket';
  } catch (error) {
    return messageOf(error);
  }
}

function probeHttp(
  { path = '/', scheme = 'HTTP', httpHeaders = [] }: NonNullable<Handler['httpGet']>,
  port: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const headers = Object.fromEntries(httpHeaders.map(({ name, value }) => [name, value]));
  // As the kubelet does, certificates are not checked: a probe asks whether it answers, not who.
  const options = { host: '127.0.0.1', port, path, headers, agent: false, signal, rejectUnauthorized: false };
  return new Promise((resolve, reject) => {
    const onAnswer = ({ statusCode = 0 }: { statusCode?: number | undefined }) => {
      resolve(statusCode >= 200 && statusCode < 400 ? undefined : `HTTP probe failed with statuscode: ${statusCode}`);
      sent.destroy();
    };
    const sent = scheme === 'HTTPS' ? requestTls(options, onAnswer) : request(options, onAnswer);
    sent.on('error', reject);
    sent.end();
  });
}

function probeTcp(port: number, signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, signal });
    socket.on('error', reject);
    socket.on('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
  });
}

export type Health = { readonly started: boolean; readonly ready: boolean };

export type HealthDeps = {
  readonly clock: Clock;
  portOf(port: number | string): number;
  onChange(health: Health): void;
  /** At most once per period. */
  onFailure(kind: string, message: string): void;
  /** A startup or liveness probe has given up. */
  onDead(kind: string): void;
};

const pollMsMin = 50;

/**
 * Probes a running container until `signal` aborts. Until a startup or readiness probe succeeds it is repeated quickly, at
 * a twentieth of the time waited so far, and initial delays are not kept: starting fast is what a local cluster is for.
 */
export async function watchHealth(deps: HealthDeps, container: Container, signal: AbortSignal): Promise<void> {
  const { startupProbe, readinessProbe, livenessProbe } = container;
  try {
    if (startupProbe !== undefined && !(await untilStarted(deps, startupProbe, signal))) return;
    deps.onChange({ started: true, ready: readinessProbe === undefined });
    await Promise.all([
      readinessProbe && keepReadiness(deps, readinessProbe, signal),
      livenessProbe && keepLiveness(deps, livenessProbe, signal),
    ]);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function limitsOf(probe: Probe) {
  const {
    initialDelaySeconds = 0,
    periodSeconds = 10,
    timeoutSeconds = 1,
    failureThreshold = 3,
    successThreshold = 1,
  } = probe;
  return {
    initialDelayMs: initialDelaySeconds * 1000,
    periodMs: periodSeconds * 1000,
    timeoutMs: timeoutSeconds * 1000,
    failureThreshold,
    successThreshold,
  };
}

/** Polls until the probe has succeeded as often as it must in a row, or `giveUpMs` have passed. */
async function untilSuccess(deps: HealthDeps, kind: string, probe: Probe, giveUpMs: number, signal: AbortSignal) {
  const { clock } = deps;
  const { periodMs, timeoutMs, initialDelayMs, successThreshold } = limitsOf(probe);
  const since = clock.monotonic();
  let reported = since + initialDelayMs;
  let successes = 0;
  for (;;) {
    const problem = await probeOnce(probe, timeoutMs, deps.portOf, signal);
    signal.throwIfAborted();
    successes = problem === undefined ? successes + 1 : 0;
    if (successes >= successThreshold) return true;
    const now = clock.monotonic();
    if (problem !== undefined && now - reported >= periodMs) {
      reported = now;
      deps.onFailure(kind, problem);
    }
    if (now - since >= giveUpMs) return false;
    await clock.sleep(Math.min(periodMs, Math.max(pollMsMin, (now - since) / 20)), signal);
  }
}

async function untilStarted(deps: HealthDeps, probe: Probe, signal: AbortSignal): Promise<boolean> {
  const { initialDelayMs, periodMs, failureThreshold } = limitsOf(probe);
  const started = await untilSuccess(deps, 'Startup', probe, initialDelayMs + failureThreshold * periodMs, signal);
  if (!started) deps.onDead('startup');
  return started;
}

async function keepReadiness(deps: HealthDeps, probe: Probe, signal: AbortSignal): Promise<void> {
  for (;;) {
    await untilSuccess(deps, 'Readiness', probe, Number.POSITIVE_INFINITY, signal);
    deps.onChange({ started: true, ready: true });
    await untilFailure(deps, 'Readiness', probe, signal);
    deps.onChange({ started: true, ready: false });
  }
}

async function keepLiveness(deps: HealthDeps, probe: Probe, signal: AbortSignal): Promise<void> {
  await deps.clock.sleep(limitsOf(probe).initialDelayMs, signal);
  await untilFailure(deps, 'Liveness', probe, signal);
  deps.onDead('liveness');
}

async function untilFailure(deps: HealthDeps, kind: string, probe: Probe, signal: AbortSignal): Promise<void> {
  const { periodMs, timeoutMs, failureThreshold } = limitsOf(probe);
  for (let failures = 0; failures < failureThreshold; ) {
    await deps.clock.sleep(periodMs, signal);
    const problem = await probeOnce(probe, timeoutMs, deps.portOf, signal);
    signal.throwIfAborted();
    failures = problem === undefined ? 0 : failures + 1;
    if (problem !== undefined) deps.onFailure(kind, problem);
  }
}
