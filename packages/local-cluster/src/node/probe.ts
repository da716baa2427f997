import { request } from 'node:http';
import { request as requestTls } from 'node:https';
import { connect } from 'node:net';
import { type Clock, messageOf, within } from '@roundhouse/base';
import type { Container, HTTPGetAction, LifecycleHandler, Probe } from 'kubernetes-types/core/v1.js';

type PortOf = (port: number | string) => number;

/** Resolves to what is wrong, or to undefined when the probe succeeded. `portOf` gives the actual port. */
export async function probeOnce(
  { httpGet, tcpSocket }: LifecycleHandler,
  timeoutMs: number,
  portOf: PortOf,
  signal: AbortSignal,
): Promise<string | undefined> {
  const bound = within(timeoutMs, signal);
  try {
    if (httpGet !== undefined) return await probeHttp(httpGet, portOf(httpGet.port), bound);
    if (tcpSocket !== undefined) return await probeTcp(portOf(tcpSocket.port), bound);
    return 'the probe has no httpGet and no tcpSocket';
  } catch (error) {
    return messageOf(error);
  }
}

function probeHttp(get: HTTPGetAction, port: number, signal: AbortSignal): Promise<string | undefined> {
  const { path = '/', scheme, httpHeaders = [] } = get;
  const headers = Object.fromEntries(httpHeaders.map(({ name, value }) => [name, value]));
  // As the kubelet does, certificates are not checked: a probe asks whether it answers, not who.
  const options = { host: '127.0.0.1', port, path, headers, agent: false, signal, rejectUnauthorized: false };
  return new Promise((resolve, reject) => {
    const sent = (scheme === 'HTTPS' ? requestTls : request)(options, ({ statusCode = 0 }) => {
      resolve(statusCode >= 200 && statusCode < 400 ? undefined : `HTTP probe failed with statuscode: ${statusCode}`);
      sent.destroy();
    });
    sent.on('error', reject).end();
  });
}

function probeTcp(port: number, signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, signal }, () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on('error', reject);
  });
}

export type HealthDeps = {
  readonly clock: Clock;
  readonly portOf: PortOf;
  onChange(isReady: boolean): void;
  /** At most once per period. */
  onFailure(kind: string, message: string): void;
  /** The liveness probe has given up. */
  onDead(): void;
};

const pollMsMin = 20;

/**
 * Probes a running container until `signal` aborts. Until a readiness probe succeeds it is repeated quickly, at a twentieth of
 * the time waited so far, and its initial delay is not kept: starting fast is what a local cluster is for.
 */
export async function watchHealth(container: Container, signal: AbortSignal, deps: HealthDeps): Promise<void> {
  const { readinessProbe, livenessProbe } = container;
  deps.onChange(readinessProbe === undefined);
  try {
    await Promise.all([
      readinessProbe && keepReadiness(readinessProbe, signal, deps),
      livenessProbe && keepLiveness(livenessProbe, signal, deps),
    ]);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function keepReadiness(probe: Probe, signal: AbortSignal, deps: HealthDeps): Promise<void> {
  for (;;) {
    await untilRow('success', 'Readiness', probe, signal, deps);
    deps.onChange(true);
    await untilRow('failure', 'Readiness', probe, signal, deps);
    deps.onChange(false);
  }
}

async function keepLiveness(probe: Probe, signal: AbortSignal, deps: HealthDeps): Promise<void> {
  await deps.clock.sleep((probe.initialDelaySeconds ?? 0) * 1000, signal);
  await untilRow('failure', 'Liveness', probe, signal, deps);
  deps.onDead();
}

/** Probes until there have been as many successes or failures in a row as the probe asks for. */
async function untilRow(
  wanted: 'success' | 'failure',
  kind: string,
  { periodSeconds = 10, timeoutSeconds = 1, successThreshold = 1, failureThreshold = 3, ...handler }: Probe,
  signal: AbortSignal,
  { clock, portOf, onFailure }: HealthDeps,
): Promise<void> {
  const periodMs = periodSeconds * 1000;
  const since = clock.monotonic();
  let reportedAt = since;
  for (let inARow = 0; inARow < (wanted === 'success' ? successThreshold : failureThreshold); ) {
    const soonMs = Math.max(pollMsMin, (clock.monotonic() - since) / 20);
    await clock.sleep(wanted === 'success' ? Math.min(periodMs, soonMs) : periodMs, signal);
    const problem = await probeOnce(handler, timeoutSeconds * 1000, portOf, signal);
    signal.throwIfAborted();
    inARow = (problem === undefined) === (wanted === 'success') ? inARow + 1 : 0;
    const now = clock.monotonic();
    if (problem === undefined || now - reportedAt < periodMs) continue;
    reportedAt = now;
    onFailure(kind, problem);
  }
}
