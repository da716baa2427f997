import type { Target, TargetGroup } from '../frame/target.ts';
import { seeds, words } from '../http/corpus.ts';
import { holdsFor } from '../http/passing.ts';
import { python, readByPython } from './python.ts';

const target = (name: 'httptools' | 'h11'): Target => ({
  name,
  seeds,
  words,
  run: (input) => holdsFor(input, (bytes) => readByPython(name, bytes)),
});

export const group: TargetGroup = {
  summary: "what goes on to a model server, against uvicorn's parsers",
  needs: 'Python 3 with pip',
  prepare: () => void python(),
  targets: [target('httptools'), target('h11')],
};
