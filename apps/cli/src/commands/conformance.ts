import { existsSync, readFileSync } from 'node:fs';
import { CodedError, messageOf } from '@roundhouse/base';
import { decodeInferRequest, type InferRequest, type Surface } from '@roundhouse/v2-protocol';
import { runConformance, type Transport, type Verdict } from '@roundhouse/v2-protocol/conformance';
import type { Output } from '../config.ts';

export type ConformanceDeps = {
  readonly transport: Transport;
  readonly print: (text: string) => void;
  readonly standardInput: () => string;
};

export type ConformanceRequest = {
  readonly url: URL;
  readonly model: string;
  readonly protocols: readonly Surface[] | undefined;
  readonly data: string | undefined;
  readonly output: Output;
};

export async function conformance(
  { transport, print, standardInput }: ConformanceDeps,
  { url, model, protocols, data, output }: ConformanceRequest,
  signal: AbortSignal,
): Promise<number> {
  const request = data === undefined ? undefined : requestFrom(data, standardInput);
  await checkReachable(transport, url);
  const verdicts: Verdict[] = [];
  for await (const verdict of runConformance(transport, { model, request, surfaces: protocols }, signal)) {
    verdicts.push(verdict);
    if (output === 'text') print(verdictText(verdict));
  }
  const count = (outcome: Verdict['outcome']) => verdicts.filter((verdict) => verdict.outcome === outcome).length;
  const counts = { passed: count('pass'), failed: count('fail'), skipped: count('skip') };
  if (output === 'json') print(JSON.stringify({ url: url.href, model, ...counts, rules: verdicts }, undefined, 2));
  else print(`\n${counts.passed} rules pass, ${counts.failed} fail, ${counts.skipped} are skipped`);
  return counts.failed > 0 ? 1 : 0;
}

async function checkReachable(transport: Transport, url: URL) {
  try {
    await transport.http({ method: 'GET', path: '/v2/health/live' });
  } catch (error) {
    throw new CodedError('cli/unreachable', `nothing answers at ${url.href}: ${messageOf(error)}`);
  }
}

function requestFrom(data: string, standardInput: () => string): InferRequest {
  const isJson = data.trimStart().startsWith('{');
  if (data !== '-' && !isJson && !existsSync(data))
    throw new CodedError('cli/usage', `there is no file ${data}; -d takes a file, JSON, or - for standard input`);
  const text = data === '-' ? standardInput() : isJson ? data : readFileSync(data, 'utf8');
  return decodeInferRequest(new TextEncoder().encode(text), undefined);
}

const idWidth = 32;

/** One line, and below a failure what there is to see. */
function verdictText(verdict: Verdict): string {
  const line = `${verdict.outcome}  ${verdict.id.padEnd(idWidth)}  ${verdict.expects}  (${verdict.source})`;
  switch (verdict.outcome) {
    case 'pass':
      return line;
    case 'skip':
      return `${line}: ${verdict.reason}`;
    case 'fail':
      return `${line}\n      ${verdict.problem}\n      sent:     ${verdict.sent}\n      received: ${verdict.received}`;
  }
}
