import type { Names } from '@roundhouse/crds';
import { type Need, served } from '../need.ts';

/** What models take. */
export function modelNeeds(names: Names): readonly Need[] {
  return [
    served(names.trainedModels, ['list', 'watch', 'patch'], 'the models to serve, with their finalizer and owner'),
    served(names.trainedModels, ['patch'], 'says how a model does', 'status'),
  ];
}
