import { stringify } from 'yaml';
import { customResourceDefinitions } from './crd.ts';
import { besideGroup, namesFor } from './names.ts';
import { builtInRuntime, builtInRuntimeName } from './serving-runtime/defaults.ts';

const head = '# Generated from packages/crds by `pnpm gen`. Do not edit.\n';

/** Every generated file of the repository by its path from the root. */
export function generatedFiles(): Readonly<Record<string, string>> {
  const objects = [
    ...customResourceDefinitions().map((crd) => [`deploy/crds/${crd.metadata.name}.yaml`, crd] as const),
    // Helm installs all that lies in a chart's crds/, and what a chart of its own brings only where that is asked for.
    ...customResourceDefinitions(namesFor(besideGroup)).map(
      (crd) => [`deploy/chart/charts/beside/crds/${crd.metadata.name}.yaml`, crd] as const,
    ),
    [`deploy/runtimes/${builtInRuntimeName}.yaml`, builtInRuntime()] as const,
  ];
  return Object.fromEntries(
    objects.map(([path, object]) => [path, head + stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })]),
  );
}
