import { create, toBinary } from '@bufbuild/protobuf';
import { CodedError, messageOf } from '@roundhouse/base';
import { ServerLiveRequestSchema } from '../gen/inference_pb.js';
import { isRecord } from '../json.ts';
import { type Rule, type Surface, surfaces } from './rule.ts';
import { binaryRules } from './rules/binary.ts';
import { grpcRules } from './rules/grpc.ts';
import { repositoryRules } from './rules/repository.ts';
import { streamRules } from './rules/stream.ts';
import { v1Rules } from './rules/v1.ts';
import { v2Rules } from './rules/v2.ts';
import { jsonOf, observeSubject, type Subject, type SubjectOptions } from './subject.ts';
import type { GrpcAnswer, GrpcCall, HttpAnswer, HttpRequest, Transport } from './transport.ts';

/** All rules, in the order in which they run: those that change something come last. */
export const rules: readonly Rule[] = [
  ...v1Rules,
  ...v2Rules,
  ...binaryRules,
  ...grpcRules,
  ...streamRules,
  ...repositoryRules,
];

export type Verdict = Pick<Rule, 'id' | 'surface' | 'source' | 'expects'> &
  (
    | { readonly outcome: 'pass' }
    /** The server does not offer this, or the rule does not apply to the model. */
    | { readonly outcome: 'skip'; readonly reason: string }
    /** What was sent and what came, in short, to see for oneself. */
    | { readonly outcome: 'fail'; readonly problem: string; readonly sent: string; readonly received: string }
  );

export type ConformanceOptions = SubjectOptions & {
  /** Surfaces that must be offered. Undefined: those that are, without `repository`, whose rules unload the model. */
  readonly surfaces: readonly Surface[] | undefined;
};

/** Holds a server against the rules, one after the other. Throws `inference/invalid` when no request for the model is known. */
export async function* runConformance(
  transport: Transport,
  options: ConformanceOptions,
  signal: AbortSignal,
): AsyncGenerator<Verdict> {
  const subject = await observeSubject(transport, options);
  for (const surface of options.surfaces ?? surfaces) {
    const missing = options.surfaces === undefined ? await missingFor(surface, transport, subject) : undefined;
    for (const rule of rules.filter((each) => each.surface === surface)) {
      signal.throwIfAborted();
      const { id, source, expects } = rule;
      const common = { id, surface, source, expects };
      yield missing === undefined
        ? { ...common, ...(await judge(rule, transport, subject)) }
        : { ...common, outcome: 'skip', reason: missing };
    }
  }
}

type Judgement =
  | { readonly outcome: 'pass' }
  | { readonly outcome: 'skip'; readonly reason: string }
  | { readonly outcome: 'fail'; readonly problem: string; readonly sent: string; readonly received: string };

async function judge(rule: Rule, transport: Transport, subject: Subject): Promise<Judgement> {
  const sent = rule.send(subject);
  if ('skip' in sent) return { outcome: 'skip', reason: sent.skip };
  const shown = 'path' in sent ? requestText(sent) : callText(sent);
  let problem: string | undefined;
  let received = 'nothing';
  try {
    if (rule.over === 'http') {
      const answer = await transport.http(sent as HttpRequest);
      received = answerText(answer);
      problem = rule.check(answer, subject);
    } else {
      const answer = await transport.grpc(sent as GrpcCall);
      received = grpcAnswerText(answer);
      problem = rule.check(answer, subject);
    }
  } catch (error) {
    problem = `no answer that can be read: ${messageOf(error)}`;
  }
  return problem === undefined ? { outcome: 'pass' } : { outcome: 'fail', problem, sent: shown, received };
}

/** Why a server need not be held against the rules of a surface: it does not say that it has it. */
async function missingFor(surface: Surface, transport: Transport, subject: Subject): Promise<string | undefined> {
  switch (surface) {
    case 'v2':
      return undefined;
    case 'v1':
      return statusMissing(transport, `/v1/models/${encodeURIComponent(subject.model)}`);
    case 'binary': {
      const answer = await transport.http({ method: 'GET', path: '/v2' }).catch(() => undefined);
      const body = answer === undefined ? undefined : jsonOf(answer);
      const extensions = isRecord(body) && Array.isArray(body.extensions) ? body.extensions : [];
      return extensions.includes('binary_tensor_data') ? undefined : 'GET /v2 does not list binary_tensor_data';
    }
    case 'grpc':
      return codeMissing(transport, 'ServerLive', toBinary(ServerLiveRequestSchema, create(ServerLiveRequestSchema)));
    case 'stream':
      return codeMissing(transport, 'ModelStreamInfer');
    case 'repository':
      return 'these rules unload the model and load it again; ask for them by name';
  }
}

async function statusMissing(transport: Transport, path: string): Promise<string | undefined> {
  try {
    const { status } = await transport.http({ method: 'GET', path });
    return status === 404 ? `GET ${path} answers 404` : undefined;
  } catch (error) {
    return messageOf(error);
  }
}

async function codeMissing(transport: Transport, method: string, message?: Uint8Array): Promise<string | undefined> {
  try {
    const { code, details } = await transport.grpc({ method, messages: message === undefined ? [] : [message] });
    // UNAVAILABLE where nothing listens for gRPC, UNIMPLEMENTED where the method is none.
    return code === 12 || code === 14 ? `${method}: ${details}` : undefined;
  } catch (error) {
    if (error instanceof CodedError) return error.message;
    throw error;
  }
}

const shownMax = 400;

function shortened(text: string): string {
  return text.length > shownMax ? `${text.slice(0, shownMax)}… (${text.length} characters)` : text;
}

/** Bytes that are no text are shown as how many they are. */
function bodyText(body: string | Uint8Array): string {
  if (typeof body === 'string') return shortened(body);
  const text = new TextDecoder('utf-8').decode(body);
  return /\p{Cc}|\ufffd/u.test(text.replaceAll(/\s/g, ''))
    ? `${body.length} bytes: ${shortened(text.replaceAll(/[^ -~]+/g, '·'))}`
    : shortened(text);
}

function requestText({ method, path, headers = {}, body }: HttpRequest): string {
  const fields = Object.entries(headers).map(([name, value]) => ` ${name}: ${value}`);
  return `${method} ${path}${fields.join('')}${body === undefined ? '' : ` ${bodyText(body)}`}`;
}

function answerText({ status, body }: HttpAnswer): string {
  return `${status}${body.length === 0 ? '' : ` ${bodyText(body)}`}`;
}

function callText({ method, messages }: GrpcCall): string {
  return `${method} ${messages.map((message) => shortened(Buffer.from(message).toString('hex'))).join(' ')}`;
}

function grpcAnswerText({ code, details, messages }: GrpcAnswer): string {
  const bytes = messages.map((message) => shortened(Buffer.from(message).toString('hex'))).join(' ');
  return `code ${code}${details === '' ? '' : ` ${details}`}${bytes === '' ? '' : ` ${bytes}`}`;
}
