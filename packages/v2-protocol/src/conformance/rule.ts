import type { Subject } from './subject.ts';
import type { GrpcAnswer, GrpcCall, HttpAnswer, HttpRequest } from './transport.ts';

/** Parts of the protocols that a server may offer; each has its rules. */
export const surfaces = ['v1', 'v2', 'binary', 'grpc', 'stream', 'repository'] as const;
export type Surface = (typeof surfaces)[number];

/** Why a rule says nothing about this model. */
export type Inapplicable = { readonly skip: string };

/** What is wrong with an answer, in a few words; undefined when nothing is. */
export type Problem = string | undefined;

type Common = {
  /** Stable, such as `v2/infer-echoes-id`. */
  readonly id: string;
  readonly surface: Surface;
  /** The document, and the place in it. */
  readonly source: string;
  /** What is sent, and what a server that conforms does then. */
  readonly expects: string;
};

export type HttpRule = Common & {
  readonly over: 'http';
  readonly send: (subject: Subject) => HttpRequest | Inapplicable;
  readonly check: (answer: HttpAnswer, subject: Subject) => Problem;
};

export type GrpcRule = Common & {
  readonly over: 'grpc';
  readonly send: (subject: Subject) => GrpcCall | Inapplicable;
  readonly check: (answer: GrpcAnswer, subject: Subject) => Problem;
};

export type Rule = HttpRule | GrpcRule;
