import type { Random } from '@roundhouse/base';
import { type FieldError, fieldError } from './field-errors.ts';
import { asJson, asList, isJson, type Json, same, valueAt } from './json.ts';
import { checkLabels, dnsLabelMessage, isDnsLabel } from './metadata.ts';
import { matchesSelector } from './selectors.ts';

/** Defaults and checks of a built-in kind: those that our parts and kubectl can tell. */
export type Rules = {
  /** Fills in defaults, in place. */
  readonly fill?: (object: Json, random: Random) => void;
  readonly check?: (object: Json, old: Json | undefined) => FieldError[];
  /** The status of a new object; others start without. */
  readonly initialStatus?: (object: Json) => Json;
  readonly hasGeneration?: true;
};

/** Sets the fields that are absent. */
function fill(target: Json, defaults: Json): void {
  for (const [field, value] of Object.entries(defaults)) target[field] ??= value;
}

const jsons = (value: unknown): Json[] => asList(value).filter(isJson);

function fillProbe(probe: unknown): void {
  if (!isJson(probe)) return;
  fill(probe, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 });
  if (isJson(probe.httpGet)) fill(probe.httpGet, { path: '/', scheme: 'HTTP' });
}

function fillContainer(container: Json): void {
  const image = String(container.image ?? '');
  const isLatest = /:latest$/.test(image) || !/[:@][^/]*$/.test(image);
  fill(container, {
    imagePullPolicy: isLatest ? 'Always' : 'IfNotPresent',
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
  });
  for (const port of jsons(container.ports)) fill(port, { protocol: 'TCP' });
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe']) fillProbe(container[probe]);
  for (const variable of jsons(container.env)) {
    const ref = asJson(variable.valueFrom).fieldRef;
    if (isJson(ref)) fill(ref, { apiVersion: 'v1' });
  }
  const handlers = asJson(container.lifecycle);
  for (const hook of [handlers.preStop, handlers.postStart]) {
    const request = asJson(hook).httpGet;
    if (isJson(request)) fill(request, { path: '/', scheme: 'HTTP' });
  }
}

function fillPodSpec(spec: Json): void {
  fill(spec, {
    restartPolicy: 'Always',
    dnsPolicy: 'ClusterFirst',
    schedulerName: 'default-scheduler',
    securityContext: {},
    terminationGracePeriodSeconds: 30,
  });
  if (typeof spec.serviceAccountName === 'string') fill(spec, { serviceAccount: spec.serviceAccountName });
  for (const container of [...jsons(spec.initContainers), ...jsons(spec.containers)]) fillContainer(container);
  for (const volume of jsons(spec.volumes)) {
    for (const source of ['configMap', 'secret', 'projected', 'downwardAPI']) {
      if (isJson(volume[source])) fill(volume[source], { defaultMode: 0o644 });
    }
    for (const source of jsons(asJson(volume.projected).sources)) {
      if (isJson(source.serviceAccountToken)) fill(source.serviceAccountToken, { expirationSeconds: 3600 });
    }
    const sources = Object.keys(volume).filter((field) => field !== 'name');
    if (sources.length === 0) volume.emptyDir = {};
  }
}

function checkContainers(spec: Json, field: string): FieldError[] {
  const containers = jsons(spec.containers);
  if (containers.length === 0) return [fieldError.required(`${field}.containers`)];
  const volumes = new Set(jsons(spec.volumes).map((volume) => volume.name));
  const seen = new Set<unknown>();
  return ['initContainers', 'containers'].flatMap((list) =>
    jsons(spec[list]).flatMap((container, index) => {
      const at = `${field}.${list}[${index}]`;
      const errors: FieldError[] = [];
      const name = String(container.name ?? '');
      if (name === '') errors.push(fieldError.required(`${at}.name`));
      else if (!isDnsLabel(name)) errors.push(fieldError.invalid(`${at}.name`, name, dnsLabelMessage));
      if (seen.has(name)) errors.push(fieldError.duplicate(`${at}.name`, name));
      seen.add(name);
      if (!container.image) errors.push(fieldError.required(`${at}.image`));
      for (const [mount, { name: volume }] of jsons(container.volumeMounts).entries()) {
        if (volumes.has(volume)) continue;
        const missing = `Not found: ${JSON.stringify(volume)}`;
        errors.push({ field: `${at}.volumeMounts[${mount}].name`, type: 'FieldValueNotFound', body: missing });
      }
      return errors;
    }),
  );
}

function checkReplicas(spec: Json): FieldError[] {
  const { replicas } = spec;
  if (typeof replicas === 'number' && replicas >= 0) return [];
  return [fieldError.invalid('spec.replicas', replicas, 'must be greater than or equal to 0')];
}

function checkWorkload(object: Json, old: Json | undefined): FieldError[] {
  const spec = asJson(object.spec);
  const template = asJson(spec.template);
  const labels = asJson(asJson(template.metadata).labels);
  const errors = [...checkReplicas(spec), ...checkLabels(labels, 'spec.template.metadata.labels')];
  if (Object.keys(asJson(spec.selector)).length === 0) errors.push(fieldError.required('spec.selector'));
  else if (!matchesSelector(spec.selector, labels)) {
    const why = '`selector` does not match template `labels`';
    errors.push(fieldError.invalid('spec.template.metadata.labels', labels, why));
  }
  if (old && !same(spec.selector, asJson(old.spec).selector)) {
    errors.push(fieldError.invalid('spec.selector', spec.selector, 'field is immutable'));
  }
  errors.push(...checkContainers(asJson(template.spec), 'spec.template.spec'));
  return errors;
}

function fillWorkload(object: Json): void {
  const spec = asJson(object.spec);
  fill(spec, { replicas: 1 });
  const template = asJson(spec.template);
  if (isJson(template.spec)) fillPodSpec(template.spec);
}

function fillDeployment(object: Json): void {
  fillWorkload(object);
  const spec = asJson(object.spec);
  fill(spec, { strategy: {}, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 });
  const strategy = asJson(spec.strategy);
  fill(strategy, { type: 'RollingUpdate' });
  if (strategy.type !== 'RollingUpdate') return;
  fill(strategy, { rollingUpdate: {} });
  fill(asJson(strategy.rollingUpdate), { maxUnavailable: '25%', maxSurge: '25%' });
}

/** Services get addresses that nothing routes to: the node forwards by name. They are there because clients look at them. */
function fillService(object: Json, random: Random): void {
  const spec = asJson(object.spec);
  fill(spec, { type: 'ClusterIP', sessionAffinity: 'None', internalTrafficPolicy: 'Cluster' });
  if (spec.type !== 'ExternalName') {
    const part = () => 1 + Math.floor(random() * 254);
    fill(spec, { clusterIP: `10.96.${part()}.${part()}` });
    fill(spec, { clusterIPs: [spec.clusterIP], ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' });
  }
  for (const port of jsons(spec.ports)) fill(port, { protocol: 'TCP', targetPort: port.port });
}

function checkService(object: Json, old: Json | undefined): FieldError[] {
  const spec = asJson(object.spec);
  const ports = jsons(spec.ports);
  const errors = ports.flatMap(({ port, name }, index) => {
    const isPort = typeof port === 'number' && port >= 1 && port <= 65_535;
    const at = `spec.ports[${index}]`;
    const found = isPort ? [] : [fieldError.invalid(`${at}.port`, port, 'must be between 1 and 65535, inclusive')];
    return ports.length > 1 && !name ? [...found, fieldError.required(`${at}.name`)] : found;
  });
  if (ports.length === 0 && spec.type !== 'ExternalName' && spec.clusterIP !== 'None') {
    errors.push(fieldError.required('spec.ports'));
  }
  const address = valueAt(old, 'spec.clusterIP');
  if (typeof address === 'string' && spec.type !== 'ExternalName' && spec.clusterIP !== address) {
    errors.push(fieldError.invalid('spec.clusterIP', spec.clusterIP, 'field is immutable'));
  }
  return errors;
}

/** As in Kubernetes: what etcd takes. */
const dataSizeBytesMax = 1024 * 1024;

function checkData(object: Json, old: Json | undefined): FieldError[] {
  const data = { ...asJson(object.data), ...asJson(object.binaryData) };
  const errors: FieldError[] = [];
  let sizeBytes = 0;
  for (const [key, value] of Object.entries(data)) {
    sizeBytes += Buffer.byteLength(String(value));
    if (/^[-._a-zA-Z0-9]{1,253}$/.test(key) && key !== '.' && !key.startsWith('..')) continue;
    const why =
      "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    errors.push(fieldError.invalid(`data[${key}]`, key, why));
  }
  if (sizeBytes > dataSizeBytesMax) errors.push(fieldError.tooLong('', dataSizeBytesMax));
  if (old?.immutable !== true) return errors;
  for (const field of ['data', 'binaryData', 'immutable']) {
    if (same(object[field], old[field])) continue;
    errors.push(fieldError.forbidden(field, 'field is immutable when `immutable` is set'));
  }
  return errors;
}

function fillSecret(object: Json): void {
  fill(object, { type: 'Opaque' });
  if (!isJson(object.stringData)) return;
  const encoded = Object.entries(object.stringData).map(([key, value]) => [
    key,
    Buffer.from(String(value)).toString('base64'),
  ]);
  object.data = { ...asJson(object.data), ...Object.fromEntries(encoded) };
  delete object.stringData;
}

function checkPod(object: Json, old: Json | undefined): FieldError[] {
  const spec = asJson(object.spec);
  const errors = checkContainers(spec, 'spec');
  if (!old || same(pinned(asJson(old.spec)), pinned(spec))) return errors;
  const may =
    'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';
  return [...errors, fieldError.forbidden('spec', may)];
}

/** What of a Pod's spec no update may change. The node is chosen once. */
function pinned(spec: Json): Json {
  const { activeDeadlineSeconds: _deadline, tolerations: _tolerations, nodeName: _node, ...rest } = spec;
  const withoutImages = (list: unknown) => jsons(list).map(({ image: _image, ...container }) => container);
  return { ...rest, containers: withoutImages(spec.containers), initContainers: withoutImages(spec.initContainers) };
}

function qosClassOf(spec: Json): string {
  const resources = jsons(spec.containers).map((container) => asJson(container.resources));
  const isGuaranteed = resources.every(({ limits, requests }) => {
    const isWhole = ['cpu', 'memory'].every((name) => asJson(limits)[name] !== undefined);
    return isWhole && same(asJson(limits), asJson(requests));
  });
  if (isGuaranteed) return 'Guaranteed';
  return resources.some(({ limits, requests }) => limits ?? requests) ? 'Burstable' : 'BestEffort';
}

export const builtinRules: Readonly<Record<string, Rules>> = {
  '/namespaces': {
    fill: (object) => {
      const metadata = asJson(object.metadata);
      metadata.labels = { ...asJson(metadata.labels), 'kubernetes.io/metadata.name': metadata.name };
      object.spec ??= { finalizers: ['kubernetes'] };
    },
    initialStatus: () => ({ phase: 'Active' }),
  },
  '/pods': {
    fill: (object) => {
      const spec = asJson(object.spec);
      fill(spec, { serviceAccountName: 'default', enableServiceLinks: true });
      fillPodSpec(spec);
      for (const { resources } of [...jsons(spec.initContainers), ...jsons(spec.containers)]) {
        const { limits, requests } = asJson(resources);
        if (isJson(limits)) asJson(resources).requests = { ...limits, ...asJson(requests) };
      }
    },
    check: checkPod,
    initialStatus: (object) => ({ phase: 'Pending', qosClass: qosClassOf(asJson(object.spec)) }),
    hasGeneration: true,
  },
  '/services': { fill: fillService, check: checkService, initialStatus: () => ({ loadBalancer: {} }) },
  '/configmaps': { check: checkData },
  '/secrets': { fill: fillSecret, check: checkData },
  '/events': { fill: (object) => fill(object, { type: 'Normal' }) },
  'apps/deployments': { fill: fillDeployment, check: checkWorkload, initialStatus: () => ({}), hasGeneration: true },
  'apps/replicasets': {
    fill: fillWorkload,
    check: checkWorkload,
    initialStatus: () => ({ replicas: 0 }),
    hasGeneration: true,
  },
  'autoscaling/horizontalpodautoscalers': { fill: (object) => fill(asJson(object.spec), { minReplicas: 1 }) },
  'policy/poddisruptionbudgets': { hasGeneration: true },
  'networking.k8s.io/networkpolicies': { hasGeneration: true },
  'networking.k8s.io/ingresses': { hasGeneration: true },
};
