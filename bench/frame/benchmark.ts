/** One measured value. `metric` says what, such as `cpu per request`; smaller is always better. */
export type Measurement = { readonly metric: string; readonly unit: string; readonly value: number };

export type Context = {
  /** Progress for people, on standard error. */
  say(line: string): void;
  readonly signal: AbortSignal;
};

/** Something that is measured side by side with others: our router, nginx, … */
export type Subject = {
  readonly name: string;
  /** Why it cannot be measured here (a peer that is not installed), said by name in the report. */
  unavailable?(): Promise<string | undefined>;
  /** Called once before the first round; what it starts is ended by `stop`. */
  start?(context: Context): Promise<void>;
  /** One round of one shape. Values of one call are one sample each; a list is one sample per entry. */
  measure(shape: string, context: Context): Promise<readonly Measurement[]>;
  stop?(): Promise<void>;
};

export type Benchmark = {
  readonly name: string;
  /** One line for `--list`. */
  readonly summary: string;
  readonly rounds: number;
  readonly shapes: readonly string[];
  readonly subjects: readonly Subject[];
  /** Names of subjects that the others are compared to, per round. */
  readonly against: readonly string[];
  /** Names of subjects that are compared; all when left out. */
  readonly compared?: readonly string[];
  /** Versions of what took part, recorded with the result. */
  versions?(): Promise<Readonly<Record<string, string>>>;
  /** What the figures promise, checked by the medians; a broken one makes the command fail. */
  readonly bounds?: readonly Bound[];
  readonly ratioBounds?: readonly RatioBound[];
};

export type Bound = {
  readonly subject: string;
  readonly shape: string;
  readonly metric: string;
  /** The statistic that is held against the bound. */
  readonly statistic: 'median' | 'p99' | 'max';
  readonly atMost: number;
};

/** A promise relative to a peer: the median of the ratios per round. Not checked where either subject is not installed. */
export type RatioBound = {
  readonly subject: string;
  readonly shape: string;
  readonly metric: string;
  readonly against: string;
  /** When it is another one: how cost grows from shape to shape. */
  readonly againstShape?: string;
  readonly atMost: number;
};
