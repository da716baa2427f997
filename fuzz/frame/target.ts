/** Something that reads bytes from outside, and what must hold whatever they are. */
export type Target = {
  readonly name: string;
  /** Good inputs to begin with; they are changed, cut and mixed. */
  seeds(): readonly Uint8Array[];
  /** Words of the format, put in at random. */
  readonly words: readonly string[];
  /**
   * Gives what became of the input in a few words, such as its refusal; an input with a new outcome is built upon. Throws when a
   * promise is broken: anything thrown is a finding.
   */
  run(input: Uint8Array): string | Promise<string>;
  /** Inputs of the part that runs with the tests, where each takes long. */
  readonly testRuns?: number;
};

/** What a folder's `fuzz.ts` exports. */
export type TargetGroup = {
  readonly summary: string;
  /** What it takes besides Node.js; such a group does not run with the tests. */
  readonly needs?: string;
  /** Brings that, before the first input. */
  prepare?(): void | Promise<void>;
  readonly targets: readonly Target[];
};
