// Builds the images: `node tools/images.ts [--base IMAGE] [--tag TAG] [--registry PREFIX] [--stage-only] [APP…]`.
// The bundles in apps/*/dist go in as they are, so run `node tools/bootstrap.mjs setup` before. Platforms of other machines are built by
// deploy/docker/docker-bake.hcl from the same staged folders.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { constants, zstdCompressSync } from 'node:zlib';
import { packedFolder, packedSuffix, unpackedFolder } from '../apps/model-server/src/runtimes/onnx/library.ts';
import { dockerfiles } from '../deploy/generate/dockerfiles.ts';

const root = join(import.meta.dirname, '..');
const apps = Object.keys(dockerfiles()).map((path) => /([^/]+)\.Dockerfile$/.exec(path)?.[1] ?? '');

const libraryName = 'libonnxruntime.so.1';
/** Of zstd: a higher one takes four times as long and saves a thirtieth. */
const compressionLevel = 12;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    base: { type: 'string' },
    tag: { type: 'string', default: '0.1.0' },
    registry: { type: 'string', default: 'roundhouse' },
    'stage-only': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  console.log('node tools/images.ts [--base IMAGE] [--tag TAG] [--registry PREFIX] [--stage-only] [APP…]');
  console.log(`Builds ${apps.join(', ')}; --base is the Node.js image they start from.`);
  process.exit(0);
}

for (const app of positionals.length > 0 ? positionals : apps) {
  if (!apps.includes(app)) fail(`${app} is no image; those are ${apps.join(', ')}`);
  const context = stage(app);
  if (!values['stage-only']) build(app, context);
}

/** Puts what the image holds into `.toolchain/images/APP`: the bundle, and the model server's native library for each platform. */
function stage(app: string): string {
  const bundle = join(root, 'apps', app, 'dist');
  if (!existsSync(bundle)) fail(`there is no bundle of ${app}: run "node tools/bootstrap.mjs setup" first`);
  const context = join(root, '.toolchain/images', app);
  rmSync(context, { recursive: true, force: true });
  mkdirSync(context, { recursive: true });
  cpSync(bundle, join(context, 'app'), { recursive: true });
  if (app === 'model-server') for (const arch of ['x64', 'arm64'] as const) stageOnnxRuntime(context, arch);
  return context;
}

/**
 * The ONNX runtime comes with libraries for every system and with debugging aids: the code and one platform's CPU library go in, the
 * library compressed.
 */
function stageOnnxRuntime(context: string, arch: 'x64' | 'arm64'): void {
  const platform = join(context, 'native', arch === 'x64' ? 'amd64' : 'arm64');
  const modules = join(platform, 'node_modules');
  const runtime = packageDirectory('onnxruntime-node', join(root, 'apps/model-server/package.json'));
  const common = packageDirectory('onnxruntime-common', join(runtime, 'package.json'));
  const [napi = ''] = readdirSync(join(runtime, 'bin'));
  const native = join('bin', napi, 'linux', arch);
  for (const path of ['package.json', 'dist', native]) copyCode(runtime, join(modules, 'onnxruntime-node'), path);
  for (const path of ['package.json', 'dist/cjs']) copyCode(common, join(modules, 'onnxruntime-common'), path);
  const { version } = JSON.parse(readFileSync(join(runtime, 'package.json'), 'utf8'));
  pack(
    join(modules, 'onnxruntime-node', native, libraryName),
    join(platform, packedFolder),
    `onnxruntime-${version}.so`,
  );
}

/** Puts a file compressed into `folder`, and in its place a link to where the model server unpacks it. */
function pack(file: string, folder: string, name: string): void {
  const params = { [constants.ZSTD_c_compressionLevel]: compressionLevel };
  const packed = zstdCompressSync(readFileSync(file), { params });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}${packedSuffix}`), packed);
  rmSync(file);
  symlinkSync(join(unpackedFolder, name), file);
}

function copyCode(from: string, to: string, path: string): void {
  cpSync(join(from, path), join(to, path), {
    recursive: true,
    dereference: true,
    filter: (source) => !/\.(map|d\.ts)$|\.min\.js$/.test(source),
  });
}

function packageDirectory(name: string, importer: string): string {
  let directory = dirname(createRequire(importer).resolve(name));
  while (!existsSync(join(directory, 'bin')) && !directory.endsWith(name)) directory = dirname(directory);
  return directory;
}

function build(app: string, context: string): void {
  const args = ['build', '--quiet', '-f', join(root, 'deploy/docker', `${app}.Dockerfile`)];
  const given = { ...(values.base && { BASE: values.base }), TARGETARCH: process.arch === 'x64' ? 'amd64' : 'arm64' };
  const { status } = spawnSync(
    'docker',
    [
      ...args,
      // Only the Dockerfile that names the platform takes it.
      ...Object.entries(given).flatMap(([name, value]) =>
        name === 'TARGETARCH' && app !== 'model-server' ? [] : ['--build-arg', `${name}=${value}`],
      ),
      ...['-t', `${values.registry}/${app}:${values.tag}`, context],
    ],
    { stdio: 'inherit' },
  );
  if (status !== 0) fail(`docker could not build ${app}; its output is above`);
  console.log(`${values.registry}/${app}:${values.tag}`);
}

function fail(text: string): never {
  console.error(`images: ${text}.`);
  process.exit(1);
}
