import { annotations } from '@roundhouse/crds';
import { describe, expect, it } from 'vitest';
import { aRuntime, aServiceIdentity, installation, names, noConfig, noStorage } from '../../testing/builders.ts';
import { type Child, planChild, type StoredChild } from '../children.ts';
import { type Facts, planInferenceService } from '../plan.ts';
import { withStoredTemplate } from './release.ts';

const chartRuntime = (version: number, annotated = true) => {
  const runtime = aRuntime();
  const [server] = runtime.spec.containers;
  const containers = [{ ...server, name: 'kserve-container', image: `model-server:${version}` }];
  const marks = annotated ? { [annotations.chart]: String(version) } : {};
  return { ...runtime, annotations: { ...runtime.annotations, ...marks }, spec: { ...runtime.spec, containers } };
};

const facts = (change: Partial<Facts> = {}): Facts => ({
  names,
  service: aServiceIdentity(),
  spec: { predictor: { model: { modelFormat: { name: 'onnx' } } } },
  runtimes: [chartRuntime(1)],
  config: noConfig,
  storage: noStorage,
  fileRoots: [],
  installation,
  ...change,
});

function deploymentOf(given: Facts): Child {
  const plan = planInferenceService(given);
  const found = plan.kind === 'apply' ? plan.children.find(({ kind }) => kind === 'Deployment') : undefined;
  if (found === undefined) throw new Error('no Deployment is planned');
  return found;
}

/** What is left to do when `given` holds and the Deployment is one that was rendered from `before`. */
function next(before: Facts, given: Facts) {
  const stored = planChild(deploymentOf(before), undefined, 'service-uid');
  if (stored?.kind !== 'create') throw new Error('it is not created');
  const current = stored.object as StoredChild;
  const step = planChild(withStoredTemplate(deploymentOf(given), current), current, 'service-uid');
  const changed = step?.kind === 'replace' ? step.object : undefined;
  const templateOf = (of: { readonly spec?: unknown } | undefined) =>
    (of?.spec as { template?: unknown } | undefined)?.template;
  return {
    step,
    rolls: changed !== undefined && JSON.stringify(templateOf(changed)) !== JSON.stringify(templateOf(current)),
  };
}

const upgraded = (change: Partial<Facts> = {}) =>
  facts({
    installation: { ...installation, agentImage: 'roundhouse/agent:2' },
    runtimes: [chartRuntime(2)],
    ...change,
  });

describe('an upgrade of Roundhouse', () => {
  it('rolls no predictor, and leaves nothing to do', () => {
    expect(next(facts(), upgraded()).step).toBeUndefined();
  });

  it('rolls none either while the last controller still leads and the next runtime is there', () => {
    expect(next(facts(), facts({ runtimes: [chartRuntime(2)] })).step).toBeUndefined();
  });

  it('still scales', () => {
    const spec = { predictor: { model: { modelFormat: { name: 'onnx' } }, minReplicas: 3 } };
    const { step, rolls } = next(facts(), upgraded({ spec }));

    expect(step?.kind).toBe('replace');
    expect(rolls).toBe(false);
  });

  it.each([
    ['the predictor', { spec: { predictor: { model: { modelFormat: { name: 'onnx' }, args: ['--more'] } } } }],
    ['an annotation', { service: aServiceIdentity({ annotations: { 'roundhouse.dev/rolled-out': 'now' } }) }],
    ['the credentials', { storage: { secrets: ['storage'], env: {} } }],
    ['a runtime that is not the chart’s', { runtimes: [chartRuntime(2, false)] }],
  ])('reaches a predictor with the next change of %s', (_, change) => {
    expect(next(facts(), upgraded(change)).rolls).toBe(true);
  });

  it('repairs what somebody changed by hand, in its own release', () => {
    const current = planChild(deploymentOf(facts()), undefined, 'service-uid');
    if (current?.kind !== 'create') throw new Error('it is not created');
    const spec = { ...current.object.spec, template: { spec: { containers: [] } } };
    const edited = { ...current.object, spec } as StoredChild;

    expect(planChild(withStoredTemplate(deploymentOf(facts()), edited), edited, 'service-uid')?.kind).toBe('replace');
  });
});
