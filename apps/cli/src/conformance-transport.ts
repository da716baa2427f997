import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import type { Clock } from '@roundhouse/base';
import { type GrpcAnswer, type GrpcCall, grpcServiceName, type Transport } from '@roundhouse/v2-protocol/conformance';
import { Agent, type Dispatcher } from 'undici';

export type Target = { readonly url: URL; readonly host: string | undefined; readonly grpc: string };

/** Long enough for a first prediction of a slow server; short enough to wait for, should it never answer. */
const answerMsMax = 30_000;
/** Answers to the small requests of the rules are small. */
const answerBytesMax = 64 * 1024 * 1024;

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes);
const asBytes = (bytes: Buffer) => bytes;

/** A server over HTTP and gRPC. The latter uses TLS where the URL does. */
export function openTransport(
  clock: Clock,
  { url, host, grpc }: Target,
  signal: AbortSignal,
): Transport & { close(): Promise<void> } {
  const agent = new Agent({
    headersTimeout: answerMsMax,
    bodyTimeout: answerMsMax,
    maxResponseSize: answerBytesMax,
    connect: { timeout: 5_000 },
  });
  const channel = url.protocol === 'https:' ? credentials.createSsl() : credentials.createInsecure();
  const client = new Client(grpc, channel, {
    'grpc.max_receive_message_length': answerBytesMax,
    ...(host === undefined ? {} : { 'grpc.default_authority': host }),
  });
  return {
    async http({ method, path, headers, body }) {
      const request: Dispatcher.RequestOptions = {
        origin: url.origin,
        path: `${url.pathname.replace(/\/$/, '')}${path}`,
        method,
        headers: { ...(host === undefined ? {} : { host }), ...headers },
        signal,
        ...(body === undefined ? {} : { body }),
      };
      const answer = await agent.request(request);
      const fields = Object.entries(answer.headers).map(([name, value]) => [name, String(value)]);
      return {
        status: answer.statusCode,
        headers: Object.fromEntries(fields),
        body: new Uint8Array(await answer.body.arrayBuffer()),
      };
    },
    grpc: (call) => ask(client, call, new Date(clock.now() + answerMsMax), signal),
    async close() {
      client.close();
      await agent.close();
    },
  };
}

/** A stream of one message is a unary call on the wire, so all are made as streams. */
function ask(client: Client, call: GrpcCall, deadline: Date, signal: AbortSignal): Promise<GrpcAnswer> {
  const stream = client.makeBidiStreamRequest(`/${grpcServiceName}/${call.method}`, asBuffer, asBytes, { deadline });
  const cancel = () => stream.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  const messages: Uint8Array[] = [];
  stream.on('data', (message: Uint8Array) => messages.push(message));
  for (const message of call.messages) stream.write(message);
  stream.end();
  return new Promise((resolve) => {
    const end = (code: number, details: string) => {
      signal.removeEventListener('abort', cancel);
      resolve({ code, details, messages });
    };
    stream.on('error', ({ code, details }: ServiceError) => end(code, details));
    stream.on('end', () => end(0, ''));
  });
}
