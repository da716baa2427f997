// Bundles each app (or those named) into apps/<name>/dist as it ships: one entry, lazily loaded chunks beside it.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const root = join(import.meta.dirname, '..');

/** Native addons and their loaders stay outside; they are found in node_modules at run time. */
const external = [/^node:/, 'onnxruntime-node'];

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
      plugins: [withoutProtoLoader],
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
