import { encodeGrpcRequest } from '../../grpc-infer.ts';
import { decodeGrpcStreamAnswer, type StreamAnswer } from '../../grpc-stream.ts';
import type { InferRequest } from '../../infer.ts';
import type { GrpcRule, Problem } from '../rule.ts';
import type { Subject } from '../subject.ts';
import type { GrpcAnswer } from '../transport.ts';
import { codes, hasCode } from './grpc.ts';

const rule = (id: string, rest: Pick<GrpcRule, 'expects' | 'send' | 'check'>): GrpcRule => ({
  id: `stream/${id}`,
  surface: 'stream',
  source: 'Triton, GRPCInferenceService, ModelStreamInfer',
  over: 'grpc',
  ...rest,
});

const request = ({ model: modelName, request: asked }: Subject, change: Partial<InferRequest>) =>
  encodeGrpcRequest({ modelName, modelVersion: undefined, request: { ...asked, ...change }, form: 'raw' });

function answers(
  { code, messages, details }: GrpcAnswer,
  check: (answers: readonly StreamAnswer[]) => Problem,
): Problem {
  return (
    hasCode({ code, messages, details }, codes.ok) ?? check(messages.map((bytes) => decodeGrpcStreamAnswer(bytes)))
  );
}

const idOf = (answer: StreamAnswer) => ('response' in answer ? answer.response.id : `refused: ${answer.error}`);

export const streamRules: readonly GrpcRule[] = [
  rule('answers', {
    expects: 'each request of a stream has an answer with its id',
    send: (subject) => ({
      method: 'ModelStreamInfer',
      messages: ['1', '2', '3'].map((id) => request(subject, { id })),
    }),
    check: (answer) =>
      answers(answer, (all) => {
        const ids = all.map(idOf).sort().join(', ');
        return ids === '1, 2, 3' ? undefined : `the ids are ${ids}`;
      }),
  }),
  rule('errors', {
    expects: 'what is wrong with a request is an error_message, and the stream goes on',
    send: (subject) => ({
      method: 'ModelStreamInfer',
      messages: [
        request(subject, { id: 'bad', outputs: [{ name: 'no-such-output', parameters: {} }] }),
        request(subject, { id: 'good' }),
      ],
    }),
    check: (answer) =>
      answers(answer, (all) => {
        const refused = all.filter((each) => 'error' in each).length;
        if (refused !== 1 || all.length !== 2) return `there are ${all.length} answers, ${refused} of them errors`;
        return all.some((each) => idOf(each) === 'good') ? undefined : 'the good request has no answer';
      }),
  }),
];
