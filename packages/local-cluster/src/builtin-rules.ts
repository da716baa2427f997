import type { Random } from '@roundhouse/base';
import { checkDefinition, fillDefinition } from './definitions.ts';
import { type FieldError, fieldError } from './field-errors.ts';
import { asJson, isJson, type Json, jsons, same, valueAt } from './json.ts';

/** What the schema of a built-in kind cannot say of it: defaults that depend on other fields, and checks across them. */
export type Rules = {
  /** Fills in defaults, in place. */
  readonly fill?: (object: Json, random: Random) => void;
  readonly check?: (object: Json, old: Json | undefined) => FieldError[];
};

/** Services get addresses that nothing routes to: the node forwards by name. They are there because clients look at them. */
function fillService(object: Json, random: Random): void {
  const spec = asJson(object.spec);
  for (const port of jsons(spec.ports)) port.targetPort ??= port.port;
  if (spec.type === 'ExternalName') return;
  const part = () => 1 + Math.floor(random() * 254);
  spec.clusterIP ??= `10.96.${part()}.${part()}`;
  spec.clusterIPs ??= [spec.clusterIP];
  spec.ipFamilies ??= ['IPv4'];
  spec.ipFamilyPolicy ??= 'SingleStack';
}

/** As in Kubernetes: what etcd takes. */
const dataSizeBytesMax = 1024 * 1024;

function checkData({ data, binaryData }: Json): FieldError[] {
  const values = Object.values({ ...asJson(data), ...asJson(binaryData) });
  const sizeBytes = values.reduce<number>((sum, value) => sum + Buffer.byteLength(String(value)), 0);
  return sizeBytes > dataSizeBytesMax ? [fieldError.tooLong('', dataSizeBytesMax)] : [];
}

function fillSecret(object: Json): void {
  for (const [key, value] of Object.entries(asJson(object.stringData))) {
    object.data = { ...asJson(object.data), [key]: Buffer.from(String(value)).toString('base64') };
  }
  delete object.stringData;
}

function containersOf(spec: Json): readonly Json[] {
  return [...jsons(spec.initContainers), ...jsons(spec.containers)];
}

function fillPodSpec(value: unknown): void {
  const spec = asJson(value);
  if (spec.serviceAccountName !== undefined) spec.serviceAccount ??= spec.serviceAccountName;
  for (const container of containersOf(spec)) {
    const image = String(container.image);
    const isLatest = /:latest$/.test(image) || !/[:@][^/]*$/.test(image);
    container.imagePullPolicy ??= isLatest ? 'Always' : 'IfNotPresent';
  }
  for (const volume of jsons(spec.volumes)) if (Object.keys(volume).length === 1) volume.emptyDir = {};
}

function fillPod({ spec }: Json): void {
  fillPodSpec(spec);
  for (const { resources } of containersOf(asJson(spec))) {
    const { limits, requests } = asJson(resources);
    if (isJson(limits)) asJson(resources).requests = { ...limits, ...asJson(requests) };
  }
}

function checkPod(object: Json, old: Json | undefined): FieldError[] {
  if (!old || same(pinned(asJson(old.spec)), pinned(asJson(object.spec)))) return [];
  const may =
    'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations)';
  return [fieldError.forbidden('spec', may)];
}

/** What of a Pod's spec no update may change. The node is chosen once. */
function pinned(spec: Json): Json {
  const { activeDeadlineSeconds: _deadline, tolerations: _tolerations, nodeName: _node, ...rest } = spec;
  const withoutImages = (list: unknown) => jsons(list).map(({ image: _image, ...container }) => container);
  return { ...rest, containers: withoutImages(spec.containers), initContainers: withoutImages(spec.initContainers) };
}

export function qosClassOf(spec: unknown): string {
  const all = containersOf(asJson(spec)).map(({ resources }) => asJson(resources));
  const isWhole = ({ limits, requests }: Json) =>
    asJson(limits).cpu !== undefined && asJson(limits).memory !== undefined && same(limits, requests);
  if (all.every(isWhole)) return 'Guaranteed';
  return all.some(({ limits, requests }) => limits ?? requests) ? 'Burstable' : 'BestEffort';
}

function fillTemplate({ spec }: Json): void {
  fillPodSpec(valueAt(spec, 'template.spec'));
}

function fillDeployment(object: Json): void {
  fillTemplate(object);
  const spec = asJson(object.spec);
  spec.revisionHistoryLimit ??= 10;
  spec.progressDeadlineSeconds ??= 600;
  const { type = 'RollingUpdate', rollingUpdate } = asJson(spec.strategy);
  const bounds = { maxUnavailable: '25%', maxSurge: '25%', ...asJson(rollingUpdate) };
  spec.strategy = type === 'RollingUpdate' ? { type, rollingUpdate: bounds } : { type };
}

function nameNamespace({ metadata }: Json): void {
  const { labels, name } = asJson(metadata);
  asJson(metadata).labels = { ...asJson(labels), 'kubernetes.io/metadata.name': name };
}

/** By the store's key. */
export const builtinRules: Readonly<Record<string, Rules>> = {
  '/namespaces': { fill: nameNamespace },
  '/pods': { fill: fillPod, check: checkPod },
  '/services': { fill: fillService },
  '/configmaps': { check: checkData },
  '/secrets': { fill: fillSecret, check: checkData },
  'apps/deployments': { fill: fillDeployment },
  'apps/replicasets': { fill: fillTemplate },
  'apiextensions.k8s.io/customresourcedefinitions': { fill: fillDefinition, check: checkDefinition },
};
