// Bundles each app (or those named) into apps/<name>/dist as it ships: one entry, lazily loaded chunks beside it.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const root = join(import.meta.dirname, '..');

/** Native addons and their loaders stay outside; they are found in node_modules at run time. */
const external = [/^node:/, 'onnxruntime-node'];

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
