// Bundles each app (or those named) into apps/<name>/dist as it ships: one entry, lazily loaded chunks beside it.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { type Plugin, rolldown } from 'rolldown';

const root = join(import.meta.dirname, '..');

/**
 * Native addons and their loaders stay outside; they are found in node_modules at run time. `lightHttp` sees to node:http.
 * gRPC asks for its proto loader only to serve diagnostics that we do not serve: it stays away, 2 MB.
 */
const external = [/^node:(?!http$)/, 'onnxruntime-node', '@grpc/proto-loader'];

/**
 * An `import` of node:http reads every property of it, also the getters of WebSocket and its events, and with them loads the
 * HTTP client that is built into Node: 12 MB in each process. Taken as an object it comes alone. ADR 5 says what was measured.
 */
const lightHttp: Plugin = {
  name: 'light-http',
  resolveId: (source, _, { kind }) =>
    /^(node:)?http$/.test(source) && kind !== 'require-call' ? '\0light-http' : null,
  load(id) {
    if (id !== '\0light-http') return null;
    const names = Object.keys(http).filter((name) => !['WebSocket', 'CloseEvent', 'MessageEvent'].includes(name));
    const exports = names.map((name) => `export const ${name} = /* @__PURE__ */ (() => http.${name})();`);
    return `const http = process.getBuiltinModule('node:http');\nexport default http;\n${exports.join('\n')}`;
  },
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
      plugins: [lightHttp],
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
