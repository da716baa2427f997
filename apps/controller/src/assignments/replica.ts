import type { Report } from './copy.ts';
import type { Assignment } from './model.ts';

/** The part of a control stream's session that assignments need. */
export type Session = {
  assign(changed: readonly Assignment[], removed: readonly string[]): void;
  replaceAssignment(all: readonly Assignment[]): void;
};

/** One predictor pod, known by its agent. It outlives its stream: a cut stream says nothing about the pod. */
export type Replica = {
  /** The pod's uid. */
  readonly id: string;
  readonly namespace: string;
  readonly service: string;
  readonly pod: string;
  readonly dataAddress: string;
  readonly zone: string;
  readonly memoryBytes: number;
  reports: ReadonlyMap<string, Report>;
  session: Session | undefined;
  serverReady: boolean;
  draining: boolean;
  readonly traffic: Map<string, { requests: number; errors: number }>;
};
