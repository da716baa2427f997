import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { samples } from '../../packages/crds/src/testing/samples.ts';
import { kubectlPath } from '../../tools/kubectl.ts';
import { run } from '../frame/run.ts';
import { checkout } from '../frame/world.ts';

/** The CRDs' rules as a real API server judges them: every good sample is taken, every bad one refused with its field. */

const kubeconfig = process.env.CONTRACT_KUBECONFIG;
const namespace = 'roundhouse-rules';
const versions = { TrainedModel: 'v1alpha1', InferenceService: 'v1beta1', ServingRuntime: 'v1alpha1' } as const;

describe.runIf(kubeconfig !== undefined)('the CRDs on a real API server', () => {
  let file = '';
  const kubectl = (args: readonly string[], input = '') =>
    run(file, args, { input, env: { KUBECONFIG: kubeconfig ?? '' }, timeoutMs: 60_000 });

  beforeAll(async () => {
    file = await kubectlPath();
    const directory = join(checkout, 'deploy/crds');
    // Client-side apply: they are small enough for its annotation.
    for (const name of readdirSync(directory))
      await kubectl(['apply', '-f', '-'], readFileSync(join(directory, name), 'utf8'));
    await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
    await kubectl(['create', 'namespace', namespace]).catch(() => {});
  });
  afterAll(() => kubectl(['delete', 'namespace', namespace, '--wait=false']));

  it('are brought up to date by the Job of the chart, whoever wrote them before, and stay as they are the second time', async () => {
    const crd = 'trainedmodels.serving.kserve.io';
    const columns = JSON.stringify([{ op: 'remove', path: '/spec/versions/0/additionalPrinterColumns' }]);
    await kubectl(['patch', 'crd', crd, '--type=json', '-p', columns]);
    const state = () =>
      kubectl(['get', 'crd', crd, '-o', 'jsonpath={.metadata.generation} {..additionalPrinterColumns[*].name}']);
    const runJob = () =>
      run(process.execPath, [join(checkout, 'apps/controller/dist/main.mjs'), 'apply-crds'], {
        env: { KUBECONFIG: kubeconfig ?? '' },
      });
    const said = await runJob();
    const first = await state();
    await runJob();

    expect(said).toContain(`${crd} is up to date`);
    expect(first).toContain('Copies');
    expect(await state()).toBe(first);
  });

  it.each(samples)('$kind: $title', async ({ kind, name, spec, stored, field }) => {
    const object = (of: object) =>
      JSON.stringify({
        apiVersion: `serving.kserve.io/${versions[kind]}`,
        kind,
        metadata: { name, namespace },
        spec: of,
      });
    const kindOf = `${kind}.serving.kserve.io`;
    // Fields that a version before had are no reason to refuse an object; kubectl's own check would.
    const apply = (of: object) => kubectl(['apply', '--validate=warn', '-f', '-'], object(of));
    if (stored !== undefined) await apply(stored);
    const asked = apply(spec);
    if (field === undefined) await asked;
    else await expect(asked).rejects.toThrow(field);
    await kubectl(['delete', kindOf, name, '-n', namespace, '--ignore-not-found', '--timeout=30s']).catch(() => {});
  });
});
