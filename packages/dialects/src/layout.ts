import { CodedError } from '@roundhouse/base';

/** A downloaded artifact: all that decides how it must lie on disk for a server to take it. */
export type Artifact = {
  readonly model: string;
  /** As the user wrote it; compare in lower case. */
  readonly framework: string;
  /** Of all files, relative to the model's directory, with `/`. */
  readonly paths: readonly string[];
  /** What the files hold that the layout reads. */
  readonly texts: ReadonlyMap<string, string>;
};

/** How to make the artifact what the server takes: first the moves, each to a place where nothing is, then the files. */
export type Arrangement = {
  readonly moves: readonly { readonly from: string; readonly to: string }[];
  readonly writes: readonly { readonly path: string; readonly text: string }[];
};

/** What a server wants of a model's directory. */
export type Layout = {
  /** Whether the plan depends on what this file holds. */
  reads(path: string): boolean;
  /** Touches nothing. Throws `server/rejected` for what the server can never take, with the way out. */
  plan(artifact: Artifact): Arrangement;
};

export const asItIs: Arrangement = { moves: [], writes: [] };

export function unfit(message: string): CodedError {
  return new CodedError('server/rejected', message);
}

/** Files at the top of the artifact that end in one of `endings`. */
export function topFiles({ paths }: Artifact, endings: readonly string[]): readonly string[] {
  return paths.filter((path) => !path.includes('/') && endings.some((ending) => path.endsWith(ending)));
}

/** `.a, .b or .c` */
export function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} or ${items.at(-1)}`;
}
