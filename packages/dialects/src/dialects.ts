import type { Dialect, DialectName } from './dialect.ts';
import { kserve } from './kserve.ts';
import { mlserver } from './mlserver.ts';
import { triton } from './triton.ts';
import { embedded, v2 } from './v2.ts';

const dialects: Readonly<Record<DialectName, Dialect>> = { embedded, v2, kserve, mlserver, triton };

/** In the order in which a person would look for one. */
export const dialectNames: readonly DialectName[] = ['embedded', 'v2', 'kserve', 'mlserver', 'triton'];

export function dialectFor(name: DialectName): Dialect {
  return dialects[name];
}
