import { InferenceError } from '@roundhouse/v2-protocol';
import { measured } from './measure.ts';
import type { Route, ServeDeps } from './route.ts';

export function v1Routes(deps: ServeDeps): Route[] {
  const { repository, inference, codec } = deps;
  return [
    { method: 'GET', path: '/v1/models', handle: () => ({ json: { models: repository.names() } }) },
    {
      method: 'GET',
      path: '/v1/models/:target',
      handle: ({ params: { target = '' } }) =>
        repository.using(target, undefined, () => ({ json: { name: target, ready: true } })),
    },
    {
      method: 'POST',
      path: '/v1/models/:target',
      handle: ({ params: { target = '' }, body }) => {
        const { name, verb } = splitTarget(target);
        if (verb !== 'predict')
          throw new InferenceError(
            verb === 'explain' ? 'inference/unsupported' : 'inference/not-found',
            `models answer to :predict, not to ${JSON.stringify(verb)}`,
          );
        return measured(deps, async (laps) => {
          const outputs = await inference.predictV1(name, body, (inputs) => laps.decoded(name, inputs));
          laps.predicted();
          return { body: await codec.encodeV1Response(outputs) };
        });
      },
    },
  ];
}

/** `iris:predict`; a name may hold a colon, so the last one counts. */
function splitTarget(target: string): { name: string; verb: string } {
  const colon = target.lastIndexOf(':');
  return colon < 0 ? { name: target, verb: '' } : { name: target.slice(0, colon), verb: target.slice(colon + 1) };
}
