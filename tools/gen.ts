// Writes everything that is generated and committed. Tests of packages/crds and deploy fail when it is out of date.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chartFiles } from '../deploy/generate/chart.ts';
import { dockerfiles } from '../deploy/generate/dockerfiles.ts';
import { kustomizeFiles } from '../deploy/generate/kustomize.ts';
import { generatedFiles } from '../packages/crds/src/generated.ts';

const root = join(import.meta.dirname, '..');

write({ ...generatedFiles(), ...chartFiles(), ...dockerfiles() });
// The kustomize base is what the chart renders to, so it comes after the chart.
const base = await kustomizeFiles();
if (base === undefined) console.error('gen: there is no helm here, so deploy/kustomize stays as it is');
else write(base);

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}
