import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Path, type Route, routes } from './route.ts';

function parsed(path: string) {
  const bytes = Buffer.from(path, 'latin1');
  const result = new Path();
  const route = result.parse(bytes, 0, bytes.length);
  return { route, model: path.slice(result.modelStart, result.modelEnd) };
}

describe('Path', () => {
  it.each<[string, Route, string]>([
    ['/v1/models', routes.v1List, ''],
    ['/v1/models/iris', routes.v1Model, 'iris'],
    ['/v1/models/iris:predict', routes.v1Predict, 'iris'],
    ['/v1/models/iris%3Apredict', routes.v1Predict, 'iris'],
    ['/v1/models/a.b-c%20d:predict', routes.v1Predict, 'a.b-c%20d'],
    ['/v2', routes.v2Server, ''],
    ['/v2/', routes.v2Server, ''],
    ['/v2/health/live', routes.v2Live, ''],
    ['/v2/health/ready', routes.v2Ready, ''],
    ['/v2/models/iris', routes.v2Model, 'iris'],
    ['/v2/models/iris/ready', routes.v2ModelReady, 'iris'],
    ['/v2/models/iris/infer', routes.v2Infer, 'iris'],
    ['/v2/models/iris/versions/1', routes.v2Model, 'iris'],
    ['/v2/models/iris/versions/1/ready', routes.v2ModelReady, 'iris'],
    ['/v2/models/iris/versions/1/infer', routes.v2Infer, 'iris'],
  ])('lets %s pass', (path, route, model) => {
    expect(parsed(path)).toEqual({ route, model });
  });

  it.each([
    '/',
    '',
    '/v1',
    '/v1/model',
    '/v1/modelsx',
    '/v1/models/',
    '/v1/models/:predict',
    '/v1/models/iris:explain',
    '/v1/models/a:b:predict',
    '/v1/models/a/b:predict',
    '/v1/models/iris:predict/',
    '/V1/models/iris:predict',
    '//v1/models/iris:predict',
    '/v1/../v2/repository/index',
    '/v1/models/..',
    '/v1/models/.:predict',
    '/v2/models/../infer',
    '/v2/models/iris/versions/..',
    '/v2/models',
    '/v2/models/',
    '/v2/models//infer',
    '/v2/models/iris/',
    '/v2/models/iris/infer/',
    '/v2/models/iris/generate',
    '/v2/models/iris/config',
    '/v2/models/iris/stats',
    '/v2/models/iris/versions//infer',
    '/v2/models/iris/versions/%2e%2e/infer',
    '/v2/models/iris/../../repository/index',
    '/v2/repository/index',
    '/v2/repository/models/iris/load',
    '/v2/repository/models/iris/unload',
    '/v2/systemsharedmemory/status',
    '/v2/cudasharedmemory/region/a/register',
    '/v2/trace/setting',
    '/v2/logging',
    '/metrics',
    '/docs',
  ])('keeps %s out', (path) => {
    expect(parsed(path).route).toBe(routes.unknown);
  });

  it('lets nothing pass that names the repository, whatever surrounds it', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (before, after) => {
        const path = `/v2/repository${before}/${after}`;
        expect(parsed(path).route).toBe(routes.unknown);
      }),
    );
  });
});
