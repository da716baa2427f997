import { once } from 'node:events';
import type { ServerDuplexStream, StatusObject } from '@grpc/grpc-js';
import { streamAnswerWith, streamErrorFor } from '@roundhouse/v2-protocol/grpc';

type Infer = (request: Buffer) => Uint8Array | Promise<Uint8Array>;
type Failure = Pick<StatusObject, 'code' | 'details'>;

/**
 * ModelStreamInfer, as Triton has it: one answer for each request, in their order, one prediction at a time, so that a client is
 * read no faster than it is answered. What is wrong with a request is an answer; with the metadata `triton_grpc_error: true` it
 * ends the stream.
 */
export function streamOf(infer: Infer, failureOf: (error: unknown) => Failure) {
  return (call: ServerDuplexStream<Buffer, Uint8Array>) => {
    serve(call, infer, failureOf).then(
      () => call.end(),
      (error) => call.emit('error', failureOf(error)),
    );
  };
}

async function serve(
  call: ServerDuplexStream<Buffer, Uint8Array>,
  infer: Infer,
  failureOf: (error: unknown) => Failure,
) {
  const endsOnError = call.metadata.get('triton_grpc_error')[0] === 'true';
  const cancelled = new AbortController();
  call.once('cancelled', () => cancelled.abort());
  // Not destroyed when left: a call that failed has its status to send yet.
  for await (const request of call.iterator({ destroyOnReturn: false })) {
    let answer: Uint8Array;
    try {
      answer = streamAnswerWith(await infer(request));
    } catch (error) {
      if (endsOnError) throw error;
      answer = streamErrorFor(request, failureOf(error).details);
    }
    if (cancelled.signal.aborted) return;
    if (!call.write(answer)) await once(call, 'drain', { signal: cancelled.signal });
  }
}
