/** Kinds that a cluster may have or not, by the fields of theirs that we write: as their public schemas name and bound them. */

const object = (properties: object, required: readonly string[] = []) => ({
  type: 'object',
  properties,
  ...(required.length > 0 && { required }),
});
const list = (items: object) => ({ type: 'array', items });
const text = { type: 'string', minLength: 1, maxLength: 253 };
const number = { type: 'integer', format: 'int32' };
const anything = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

type Kind = { readonly group: string; readonly version: string; readonly plural: string; readonly kind: string };

function definition({ group, version, plural, kind }: Kind, spec: object) {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${group}`,
      // Groups of Kubernetes' own community are taken only with a word about who approved of them.
      annotations: { 'api-approved.kubernetes.io': 'unapproved, for tests' },
    },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: { openAPIV3Schema: object({ spec, status: anything }, ['spec']) },
        },
      ],
    },
  };
}

const hostname = {
  ...text,
  pattern: String.raw`^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`,
};
const reference = { group: { type: 'string', maxLength: 253 }, kind: text, name: text, namespace: text };
const duration = { type: 'string', pattern: '^([0-9]{1,5}(h|m|s|ms)){1,4}$' };

/** HTTPRoute of gateway.networking.k8s.io/v1. */
export const httpRoutes = definition(
  { group: 'gateway.networking.k8s.io', version: 'v1', plural: 'httproutes', kind: 'HTTPRoute' },
  object({
    parentRefs: { ...list(object({ ...reference, sectionName: text, port: number }, ['name'])), maxItems: 32 },
    hostnames: { ...list(hostname), maxItems: 16 },
    rules: {
      ...list(
        object({
          matches: list(
            object({
              path: object({
                type: { type: 'string', enum: ['Exact', 'PathPrefix', 'RegularExpression'] },
                value: { type: 'string', maxLength: 1024 },
              }),
            }),
          ),
          backendRefs: list(object({ ...reference, port: { ...number, minimum: 1 }, weight: number }, ['name'])),
          timeouts: object({ request: duration, backendRequest: duration }),
        }),
      ),
      minItems: 1,
      maxItems: 16,
    },
  }),
);

/** ScaledObject of keda.sh/v1alpha1. */
export const scaledObjects = definition(
  { group: 'keda.sh', version: 'v1alpha1', plural: 'scaledobjects', kind: 'ScaledObject' },
  object(
    {
      scaleTargetRef: object({ apiVersion: text, kind: text, name: text }, ['name']),
      minReplicaCount: number,
      maxReplicaCount: number,
      advanced: object({ horizontalPodAutoscalerConfig: object({ behavior: anything, name: text }) }),
      triggers: list(
        object(
          {
            type: text,
            name: text,
            metricType: { type: 'string', enum: ['AverageValue', 'Value', 'Utilization'] },
            metadata: { type: 'object', additionalProperties: { type: 'string' } },
          },
          ['metadata', 'type'],
        ),
      ),
    },
    ['scaleTargetRef', 'triggers'],
  ),
);
