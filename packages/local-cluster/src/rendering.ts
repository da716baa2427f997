import { ApiError, type KubeObject } from './api.ts';
import { partial, tableOf } from './columns.ts';
import type { Call, Server } from './http-call.ts';
import type { Json } from './json.ts';
import { apiVersionOf, served } from './kinds.ts';
import type { Target } from './routes.ts';

type Shape = 'object' | 'table' | 'partial';

/** The first of the accepted media types that we serve. */
function shapeOf({ request }: Call): Shape {
  for (const range of (request.headers.accept ?? '*/*').split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    const as = parameters.find((parameter) => parameter.startsWith('as='))?.slice('as='.length);
    if (as === undefined && /^(application|\*)\/(json|yaml|\*)$/.test(type)) return 'object';
    if (as === undefined || type !== 'application/json' || !parameters.includes('g=meta.k8s.io')) continue;
    if (as === 'Table') return 'table';
    if (as.startsWith('PartialObjectMetadata')) return 'partial';
  }
  const supported = 'only the following media types are accepted: application/json, application/yaml';
  throw new ApiError(406, 'NotAcceptable', supported);
}

/** Shows objects as the client wants them: whole, as tables, or their metadata alone. */
export type Renderer = {
  /** One object, of any number. Of a stream of tables only the first has columns. */
  one(object: KubeObject): unknown;
  list(objects: readonly KubeObject[], metadata: Json): unknown;
};

export function rendererFor({ clock }: Server, call: Call, { kind, version }: Target): Renderer {
  const shape = shapeOf(call);
  const include = call.query.get('includeObject') ?? 'Metadata';
  let withColumns = true;
  const table = (objects: readonly KubeObject[], metadata: Json) => {
    const shown = tableOf(version.columns, objects, { include, nowMs: clock.now(), withColumns, metadata });
    withColumns = false;
    return shown;
  };
  const inVersion = (object: KubeObject) => served(kind, version.name, object);
  switch (shape) {
    case 'table':
      return {
        one: (object) => table([inVersion(object)], { resourceVersion: object.metadata.resourceVersion }),
        list: (objects, metadata) => table(objects.map(inVersion), metadata),
      };
    case 'partial': {
      const own = { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' };
      return { one: partial, list: (objects, metadata) => ({ ...own, metadata, items: objects.map(partial) }) };
    }
    case 'object': {
      const own = { kind: kind.listKind, apiVersion: apiVersionOf(kind, version.name) };
      return { one: inVersion, list: (objects, metadata) => ({ ...own, metadata, items: objects.map(inVersion) }) };
    }
  }
}
