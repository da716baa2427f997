import type { Artifact } from '../../artifact.ts';
import { type Model, unsupported } from '../../model.ts';
export async function loadLightgbm(_artifact: Artifact): Promise<Model> {
  throw unsupported('soon');
}
