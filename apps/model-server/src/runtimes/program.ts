import type { LightgbmProgram } from './lightgbm/program.ts';
import type { XgboostProgram } from './xgboost/program.ts';

/** A model of trees (or weights) as plain data in shared memory: any thread can evaluate it, and none holds a copy. */
export type Program = XgboostProgram | LightgbmProgram;

/** Bytes of the arrays that a program is made of. */
export function bytesOf(value: unknown): number {
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (typeof value !== 'object' || value === null) return 0;
  return Object.values(value).reduce((sum, part) => sum + bytesOf(part), 0);
}

export function treesOf(program: Program): number {
  if (program.library === 'lightgbm') return program.forest.roots.length;
  return program.booster.kind === 'trees' ? program.booster.forest.roots.length : 1;
}
