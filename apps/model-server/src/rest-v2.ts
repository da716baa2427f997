import {
  decodeInferRequest,
  encodeInferResponse,
  type ModelMetadata,
  type ServerMetadata,
} from '@roundhouse/v2-protocol';
import { counted } from './counters.ts';
import { type Exchange, optionalJson, type RestDeps, type Route } from './route.ts';

const server: ServerMetadata = {
  name: 'roundhouse-model-server',
  version: '0.1.0',
  extensions: ['model_repository', 'binary_tensor_data'],
};

export function v2Routes(deps: RestDeps): Route[] {
  const { repository } = deps;
  return [
    { method: 'GET', path: '/v2', handle: () => ({ json: server }) },
    { method: 'GET', path: '/v2/health/live', handle: () => ({ json: { live: true } }) },
    { method: 'GET', path: '/v2/health/ready', handle: () => ({ json: { ready: true } }) },
    { method: 'GET', path: '/v2/models', handle: () => ({ json: { models: repository.names() } }) },
    ...['/v2/models/:model', '/v2/models/:model/versions/:version'].flatMap((path) => modelRoutes(path, deps)),
    ...repositoryRoutes(deps),
  ];
}

function modelRoutes(path: string, { repository, inference, counters, clock }: RestDeps): Route[] {
  return [
    {
      method: 'GET',
      path,
      handle: ({ params: { model: name = '', version } }) =>
        repository.using(name, version, ({ model, version: loaded }) => {
          const { platform, inputs, outputs } = model;
          const metadata: ModelMetadata = { name, versions: [loaded], platform, inputs, outputs };
          return { json: metadata };
        }),
    },
    {
      method: 'GET',
      path: `${path}/ready`,
      handle: ({ params: { model: name = '', version } }) =>
        repository.using(name, version, () => ({ json: { name, ready: true } })),
    },
    {
      method: 'POST',
      path: `${path}/infer`,
      handle: ({ params: { model: name = '', version }, body, jsonLength }) =>
        counted(counters, clock.monotonic, async () => {
          const request = decodeInferRequest(body, jsonLength);
          return encodeInferResponse(await inference.infer(name, version, request), request);
        }),
    },
  ];
}

function repositoryRoutes({ repository }: RestDeps): Route[] {
  return [
    {
      method: 'POST',
      path: '/v2/repository/index',
      handle: (exchange) => {
        const { ready } = optionalJson(exchange);
        return { json: repository.index().filter(({ state }) => ready !== true || state === 'READY') };
      },
    },
    { method: 'POST', path: '/v2/repository/models/:model/load', handle: load },
    { method: 'POST', path: '/v2/repository/models/:model/unload', handle: unload },
  ];

  async function load(exchange: Exchange) {
    optionalJson(exchange);
    const { model: name = '' } = exchange.params;
    await repository.load(name);
    return { json: { name, load: true } };
  }

  async function unload(exchange: Exchange) {
    optionalJson(exchange);
    const { model: name = '' } = exchange.params;
    await repository.unload(name);
    return { json: { name, unload: true } };
  }
}
