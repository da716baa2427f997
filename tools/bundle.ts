// Bundles each app (or those named) into apps/<name>/dist as it ships: one entry, lazily loaded chunks beside it.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import http from 'node:http';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const root = join(import.meta.dirname, '..');

const isHttp = (id: string) => id === 'node:http' || id === 'http';

/** Native addons and their loaders stay outside; they are found in node_modules at run time. */
const external = (id: string) =>
  (builtinModules.includes(id) || id.startsWith('node:') || id === 'onnxruntime-node') && !isHttp(id);

/**
 * grpc-js imports a loader of .proto files, and with it a whole protobuf library, for its channelz service alone, which we switch
 * off. Left out, agent, router and controller are some megabytes smaller.
 */
const withoutProtoLoader = {
  name: 'without-proto-loader',
  resolveId: (id: string) => (id === '@grpc/proto-loader' ? '\0proto-loader' : undefined),
  load: (id: string) =>
    id === '\0proto-loader'
      ? 'export function loadSync() { throw new Error("channelz is not part of this bundle"); }'
      : undefined,
};

/** Those of node:http but the ones that come from that client. */
const plainExports = Object.keys(http).filter((name) => !['WebSocket', 'CloseEvent', 'MessageEvent'].includes(name));

/**
 * An `import` of node:http evaluates all that it exports, and one of them loads a whole second HTTP client: 12 MB of memory. Asked
 * for as an object, only what is used is evaluated.
 */
const leanHttp = {
  name: 'lean-http',
  resolveId: (id: string) => (isHttp(id) ? '\0lean-http' : undefined),
  load: (id: string) =>
    id === '\0lean-http'
      ? `const http = process.getBuiltinModule('node:http');
         export default http;
         export const { ${plainExports.join(', ')} } = http;`
      : undefined,
};

const named = process.argv.slice(2);

await Promise.all(
  (named.length > 0 ? named : readdirSync(join(root, 'apps'))).map(async (name) => {
    const entries = ['main', 'worker', 'probe'].filter((entry) =>
      existsSync(join(root, 'apps', name, 'src', `${entry}.ts`)),
    );
    const directory = join(root, 'apps', name, 'dist');
    rmSync(directory, { recursive: true, force: true });
    const bundle = await rolldown({
      input: Object.fromEntries(entries.map((entry) => [entry, join(root, 'apps', name, 'src', `${entry}.ts`)])),
      platform: 'node',
      external,
      plugins: [withoutProtoLoader, leanHttp],
      logLevel: 'silent',
    });
    await bundle.write({
      dir: directory,
      format: 'esm',
      entryFileNames: '[name].mjs',
      chunkFileNames: '[name]-[hash].mjs',
      minify: true,
    });
    await bundle.close();
  }),
);
