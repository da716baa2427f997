import type { TargetGroup } from '../frame/target.ts';
import { seeds, words } from '../http/corpus.ts';
import { holdsFor } from '../http/passing.ts';
import { readByTriton, startTriton } from './triton.ts';

export const group: TargetGroup = {
  summary: "what goes on to a model server, against Triton's own parser",
  needs: 'what `npm run interop` needs for Triton',
  prepare: startTriton,
  targets: [{ name: 'triton', seeds, words, run: (input) => holdsFor(input, readByTriton) }],
};
