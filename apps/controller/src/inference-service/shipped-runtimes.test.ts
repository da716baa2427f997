import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ResolvedPredictor, resolvePredictor, servingRuntimeProblems } from '@roundhouse/crds';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { aRuntime, aServiceIdentity, installation, names, noConfig, noStorage } from '../testing/builders.ts';
import { planInferenceService } from './plan.ts';
import { chooseRuntime, type Runtime } from './runtime.ts';

/** deploy/runtimes: a predictor that was written for KServe must get the server that KServe would have chosen. */

const directory = join(import.meta.dirname, '../../../../deploy/runtimes');

type Manifest = {
  readonly metadata: { readonly name: string; readonly annotations: Readonly<Record<string, string>> };
  readonly spec: Runtime['spec'];
};

const shipped: readonly Runtime[] = readdirSync(directory)
  .filter((file) => file.endsWith('.yaml'))
  .map((file) => {
    const { metadata, spec }: Manifest = parse(readFileSync(join(directory, file), 'utf8'));
    return aRuntime({ name: metadata.name, annotations: metadata.annotations, spec });
  });

type Predictor = Parameters<typeof resolvePredictor>[0];

function chosenFor(predictor: Predictor, runtimes = shipped): string {
  const resolved: ResolvedPredictor = resolvePredictor(predictor);
  const choice = chooseRuntime(resolved, runtimes);
  return 'runtime' in choice ? choice.runtime.name : choice.message;
}

const model = (name: string, more: Partial<Predictor['model']> = {}): Predictor => ({
  model: { modelFormat: { name }, ...more },
});

describe('the runtimes that ship', () => {
  it.each([
    [{ sklearn: {} }, 'kserve-sklearnserver'],
    [{ sklearn: { protocolVersion: 'v2' } }, 'kserve-mlserver'],
    [{ xgboost: {} }, 'kserve-xgbserver'],
    [{ xgboost: { protocolVersion: 'v2' } }, 'kserve-mlserver'],
    [{ lightgbm: {} }, 'kserve-lgbserver'],
    [{ lightgbm: { protocolVersion: 'v2' } }, 'kserve-mlserver'],
    [{ triton: {} }, 'kserve-tritonserver'],
    [{ onnx: {} }, 'kserve-tritonserver'],
    [model('sklearn'), 'kserve-sklearnserver'],
    [model('xgboost', { protocolVersion: 'v2' }), 'kserve-mlserver'],
    [model('mlflow', { protocolVersion: 'v2' }), 'kserve-mlserver'],
    [model('triton'), 'kserve-tritonserver'],
    [model('xgboost', { runtime: 'roundhouse-model-server' }), 'roundhouse-model-server'],
  ] as readonly (readonly [Predictor, string])[])('%j gets %s', (predictor, name) => {
    expect(chosenFor(predictor)).toBe(name);
  });

  it('leaves the embedded server to those who name it, and to formats that no other speaks V1 for', () => {
    expect(chosenFor(model('onnx'))).toBe('roundhouse-model-server');
    expect(chosenFor({ xgboost: {} }, [aRuntime()])).toBe('roundhouse-model-server');
  });

  it('takes a runtime that is marked for many models, which KServe leaves out', () => {
    const marked = aRuntime({ name: 'mine', spec: { ...aRuntime().spec, multiModel: true } });

    expect(chosenFor({ onnx: {} }, [marked])).toBe('mine');
  });

  it.each(shipped.map((runtime) => [runtime.name, runtime] as const))(
    '%s is a valid runtime with HTTP on 8080 and gRPC on 9000',
    (_, { spec }) => {
      const [{ ports = [] } = { ports: [] }] = spec.containers as readonly {
        ports?: readonly { containerPort: number }[];
      }[];

      expect(servingRuntimeProblems(spec)).toEqual([]);
      expect(ports.map(({ containerPort }) => containerPort)).toEqual(expect.arrayContaining([8080, 9000]));
    },
  );

  it('tells Triton in one way only to wait until it is asked for models', () => {
    const triton = shipped.find(({ name }) => name === 'kserve-tritonserver');

    expect(triton?.spec.containers[0]?.args).toEqual(
      expect.arrayContaining(['--model-control-mode=explicit', '--strict-readiness=false', '--exit-on-error=false']),
    );
  });

  it('gives a GPU, a place and a server that waits for models to a pod that asks for them', () => {
    const tolerations = [{ key: 'nvidia.com/gpu', operator: 'Exists' }];
    const plan = planInferenceService({
      names,
      service: aServiceIdentity(),
      spec: {
        predictor: {
          triton: { resources: { limits: { 'nvidia.com/gpu': '1' } } },
          tolerations,
          nodeSelector: { accelerator: 'l4' },
        },
      },
      runtimes: shipped,
      config: noConfig,
      storage: noStorage,
      fileRoots: [],
      installation,
    });
    const deployment = plan.kind === 'apply' ? plan.children.find(({ kind }) => kind === 'Deployment') : undefined;
    const pod = (deployment?.spec as PodTemplate | undefined)?.template.spec;
    const server = pod?.containers.find(({ name }) => name === 'kserve-container');

    expect(pod).toMatchObject({ tolerations, nodeSelector: { accelerator: 'l4' } });
    expect(server?.resources?.limits).toMatchObject({ 'nvidia.com/gpu': '1', memory: '2Gi' });
    expect(server?.args?.filter((arg) => arg.startsWith('--model-control-mode'))).toHaveLength(1);
  });
});

type PodTemplate = {
  readonly template: {
    readonly spec: {
      readonly containers: readonly {
        readonly name: string;
        readonly args?: readonly string[];
        readonly resources?: { readonly limits?: Readonly<Record<string, string>> };
      }[];
    };
  };
};
