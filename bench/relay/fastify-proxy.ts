// The peer on Node's usual stack: fastify with its proxy plug-in. fastify-proxy PORT UPSTREAM_PORT
import proxy from '@fastify/http-proxy';
import fastify from 'fastify';

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const server = fastify({ bodyLimit: 16 * 1024 * 1024 });
await server.register(proxy, { upstream: `http://127.0.0.1:${upstreamPort}` });
await server.listen({ host: '127.0.0.1', port: port ?? 0 });
