import { builtInRuntime, namesFor } from '@roundhouse/crds';
import type { Report } from '../assignments/copy.ts';
import { modelFor } from '../assignments/model.ts';
import type { Replica, Session } from '../assignments/replica.ts';
import type { Installation } from '../cluster.ts';
import type { ServiceIdentity } from '../inference-service/manifests/metadata.ts';
import type { StorageAccess } from '../inference-service/manifests/rendering.ts';
import type { Runtime } from '../inference-service/runtime.ts';
import { parseServiceConfig } from '../inference-service/service-config.ts';
import type { ServiceView } from '../inference-service/view.ts';
import type { RouteChange } from '../routes/publisher.ts';

/** Objects for tests, complete but for what a test says about them. */
export const names = namesFor();

export const installation: Installation = {
  namespace: 'roundhouse-system',
  agentImage: 'roundhouse/agent:0.1.0',
  exposedHosts: [],
};

export const createdAt = '2026-01-01T00:00:00Z';

export function aRuntime(change: Partial<Runtime> = {}): Runtime {
  const { metadata, spec } = builtInRuntime();
  return { name: metadata.name, namespaced: false, createdMs: 0, annotations: metadata.annotations, spec, ...change };
}

export function aServiceIdentity(change: Partial<ServiceIdentity> = {}): ServiceIdentity {
  const owner = {
    apiVersion: 'serving.kserve.io/v1beta1',
    kind: 'InferenceService',
    name: 'shared',
    uid: 'service-uid',
    controller: true,
    blockOwnerDeletion: true,
  } as const;
  return { name: 'shared', namespace: 'default', labels: {}, annotations: {}, owner, ...change };
}

export function aView(change: Partial<ServiceView> = {}): ServiceView {
  return {
    uid: 'service-uid',
    createdMs: 0,
    planning: JSON.stringify([change.capacityBytes, change.multiModel]),
    multiModel: true,
    own: undefined,
    runtime: { name: 'roundhouse-model-server', formats: ['onnx'] },
    supports: (framework) => framework === 'onnx',
    capacityBytes: undefined,
    gpuCapacityBytes: undefined,
    replicas: 1,
    protocol: 'v1',
    ready: true,
    whyNot: undefined,
    url: 'http://shared-default.example.com',
    addressUrl: 'http://shared-predictor.default.svc.cluster.local',
    hosts: ['shared-default.example.com'],
    pathPrefixes: ['/serving/default/shared'],
    traffic: { v1: true, v2: true, grpc: true, auth: [] },
    ...change,
  };
}

export type ModelChange = {
  readonly memory?: string;
  readonly uri?: string;
  readonly framework?: string;
  readonly parent?: string;
  readonly createdAt?: string;
  readonly deleting?: boolean;
  readonly allocated?: boolean;
};

export function aModel(name: string, change: ModelChange = {}) {
  const { memory = '1Mi', uri = `s3://bucket/${name}`, framework = 'onnx', parent = 'shared' } = change;
  return modelFor(names, {
    metadata: {
      name,
      namespace: 'default',
      generation: 1,
      creationTimestamp: change.createdAt ?? createdAt,
      ...(change.deleting ? { deletionTimestamp: createdAt } : {}),
      ...(change.allocated ? { labels: { [names.labels.allocated]: parent } } : {}),
    },
    spec: { inferenceService: parent, model: { storageUri: uri, framework, memory } },
  });
}

/** A replica whose session writes down what it is told. */
export function aReplica(id = 'pod-1') {
  const reports = new Map<string, Report>();
  const assigned = new Map<string, string>();
  const session: Session = {
    assign(changed, removed) {
      for (const { name, digest } of changed) assigned.set(name, digest);
      for (const name of removed) assigned.delete(name);
    },
    replaceAssignment(all) {
      assigned.clear();
      for (const { name, digest } of all) assigned.set(name, digest);
    },
  };
  const replica: Replica = {
    id,
    namespace: 'default',
    service: 'shared',
    pod: `shared-predictor-${id}`,
    dataAddress: '127.0.0.1:1',
    zone: '',
    memoryBytes: 0,
    reports,
    session,
    serverReady: true,
    draining: false,
    traffic: new Map(),
  };
  return { replica, reports, assigned };
}

/** A board that collects what is published; routers acknowledge when the test says so. */
export function aBoard() {
  const changes: RouteChange[] = [];
  let acknowledge = Promise.resolve();
  return {
    changes,
    hold() {
      const gate = Promise.withResolvers<void>();
      acknowledge = gate.promise;
      return gate.resolve;
    },
    board: {
      publish: (change: RouteChange) => void changes.push(change),
      settled: () => acknowledge,
    },
  };
}

/** No configuration at all, and no credentials. */
export const noConfig = parseServiceConfig(undefined).config;
export const noStorage: StorageAccess = { secrets: [], env: {} };
