import { decodeRawRequest, invalid, isRawRequest, isRecord } from '@roundhouse/v2-protocol';
import { measured } from './measure.ts';
import { type Exchange, optionalJson, type Route, type ServeDeps } from './route.ts';
import { createV2, serverMetadata } from './v2.ts';

type V2 = ReturnType<typeof createV2>;

export function v2Routes(deps: ServeDeps): Route[] {
  const v2 = createV2(deps.repository);
  return [
    { method: 'GET', path: '/v2', handle: () => ({ json: serverMetadata }) },
    { method: 'GET', path: '/v2/health/live', handle: () => ({ json: { live: true } }) },
    { method: 'GET', path: '/v2/health/ready', handle: () => ({ json: { ready: true } }) },
    { method: 'GET', path: '/v2/models', handle: () => ({ json: { models: deps.repository.names() } }) },
    // As in Triton's protocol, so the metadata of a model named "stats" is found only with its version.
    {
      method: 'GET',
      path: '/v2/models/stats',
      handle: async () => ({ json: await v2.statistics(undefined, undefined) }),
    },
    ...['/v2/models/:model', '/v2/models/:model/versions/:version'].flatMap((path) => modelRoutes(path, deps, v2)),
    ...repositoryRoutes(v2),
  ];
}

function modelRoutes(path: string, deps: ServeDeps, v2: V2): Route[] {
  return [
    {
      method: 'GET',
      path,
      handle: async ({ params: { model = '', version } }) => ({ json: await v2.metadata(model, version) }),
    },
    {
      method: 'GET',
      path: `${path}/ready`,
      handle: async ({ params: { model = '', version } }) => ({ json: await v2.ready(model, version) }),
    },
    {
      method: 'GET',
      path: `${path}/stats`,
      handle: async ({ params: { model = '', version } }) => ({ json: await v2.statistics(model, version) }),
    },
    {
      method: 'POST',
      path: `${path}/infer`,
      handle: ({ params: { model = '', version }, body, jsonLength }) =>
        measured(deps, async (laps) => {
          const request = isRawRequest(jsonLength)
            ? await rawRequest(deps, model, version, body)
            : await deps.codec.decodeInferRequest(body, jsonLength);
          laps.decoded(model, request.inputs);
          const response = await deps.inference.infer(model, version, request);
          laps.predicted();
          return await deps.codec.encodeInferResponse(response, request);
        }),
    },
  ];
}

/** What the bytes are is known only with the model. */
function rawRequest({ repository, limits }: ServeDeps, name: string, version: string | undefined, body: Buffer) {
  return repository.using(name, version, ({ model }) => decodeRawRequest(body, model.inputs, limits));
}

function repositoryRoutes(v2: V2): Route[] {
  return [
    {
      method: 'POST',
      path: '/v2/repository/index',
      handle: (exchange) => ({ json: v2.index(optionalJson(exchange).ready === true) }),
    },
    {
      method: 'POST',
      path: '/v2/repository/models/:model/load',
      handle: async (exchange) => ({ json: await v2.load(exchange.params.model ?? '', parameterNames(exchange)) }),
    },
    {
      method: 'POST',
      path: '/v2/repository/models/:model/unload',
      handle: async (exchange) => {
        optionalJson(exchange);
        return { json: await v2.unload(exchange.params.model ?? '') };
      },
    },
  ];
}

function parameterNames(exchange: Exchange): string[] {
  const { parameters = {} } = optionalJson(exchange);
  if (!isRecord(parameters)) throw invalid('"parameters" is not an object');
  return Object.keys(parameters);
}
