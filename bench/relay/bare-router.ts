// The router without metrics, health and limits: its relay, its look-up by host and model name, names and traces.
// bare-router PORT UPSTREAM_PORT HOST MODEL...
import { systemClock, systemRandom } from '@roundhouse/base';
import { createRelay, ModelTable, type Upstream } from '@roundhouse/http-relay';

const [port, upstreamPort, host = '', ...names] = process.argv.slice(2);
const hosts = new ModelTable<number>();
const models = new ModelTable<Upstream>();
const none = Number.POSITIVE_INFINITY;

const relay = createRelay({
  clock: systemClock,
  random: systemRandom,
  name: 'bare',
  edge: true,
  traceRatio: 0.01,
  limits: { parkedMax: none, connectionsMax: none, upstreamConnectionsMax: none, upstreamIdleMax: none },
  pick({ bytes, hostStart, hostEnd, modelBytes, modelStart, modelEnd }) {
    const scope = hosts.find(0, bytes, hostStart, hostEnd);
    const upstream = scope === undefined ? undefined : models.find(scope, modelBytes, modelStart, modelEnd);
    return upstream ?? { status: 404, reason: 'model-not-found', message: 'there is no such model' };
  },
});
const upstream = relay.upstream({ host: '127.0.0.1', port: Number(upstreamPort) });
hosts.set(0, host, 1);
for (const name of names) models.set(1, name, upstream);
await relay.listen({ host: '127.0.0.1', port: Number(port) });
