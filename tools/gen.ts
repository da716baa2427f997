// Writes everything that is generated and committed. A test of packages/crds fails when it is out of date.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedFiles } from '../packages/crds/src/generated.ts';

const root = join(import.meta.dirname, '..');

for (const [path, text] of Object.entries(generatedFiles())) {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), text);
}
