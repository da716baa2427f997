import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { systemCodeOf } from '@roundhouse/base';
import { corrupt, ModelRefused, unsupported } from './model.ts';

export type Format = 'onnx' | 'xgboost' | 'lightgbm';

/** The one file of a model's directory that holds the model. */
export type Artifact = {
  readonly path: string;
  readonly format: Format;
  readonly version: string;
  readonly sizeBytes: number;
  /** With `ino`: whether the file is still the one that was looked at. */
  readonly mtimeMs: number;
  readonly ino: number;
  /** All of a small file, since it was read anyway. */
  readonly content: Buffer | undefined;
};

const modelExtensions = ['.onnx', '.bst', '.ubj', '.json', '.model', '.xgb', '.txt', '.lgb'];
const python = ['.pkl', '.pickle', '.joblib'];
const foreign = ['.pt', '.pth', '.plan', '.pb', '.h5', '.keras', '.safetensors', '.mar', '.graphdef', '.cbm'];

/** Files that other servers read beside the model. */
const companions = /^(model-settings|settings|metadata|requirements|conda|MLmodel|README|labels|config)\b/i;

/**
 * Finds the model's file: in the directory itself, or in its highest numbered version folder. On the spot, in some 30 µs: these are
 * five system calls on files that have just been written, and each of them would wait longer for a thread than it takes.
 */
export function findArtifact(directory: string): Artifact {
  const names = list(directory);
  const versions = names.filter((name) => /^[1-9]\d{0,8}$/.test(name)).sort((a, b) => Number(b) - Number(a));
  const here = candidatesAmong(names);
  const version = here.length === 0 ? versions[0] : undefined;
  if (version === undefined) return inspect(join(directory, chosen(here, names)), '1');
  const inside = list(join(directory, version));
  return inspect(join(directory, version, chosen(candidatesAmong(inside), inside)), version);
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => !name.startsWith('.'))
      .sort();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCodeOf(error) ?? ''))
      throw new ModelRefused('model/not-found', 'there are no files for this model');
    throw error;
  }
}

function candidatesAmong(names: readonly string[]): string[] {
  return names.filter((name) => endsWithAny(name, modelExtensions) && !companions.test(name));
}

function endsWithAny(name: string, extensions: readonly string[]): boolean {
  return extensions.some((extension) => name.toLowerCase().endsWith(extension));
}

function chosen(candidates: readonly string[], all: readonly string[]): string {
  const [first, second] = candidates;
  if (first !== undefined && second === undefined) return first;
  if (first !== undefined) {
    const named = candidates.filter((name) => /^(model|xgboost|lightgbm)\./.test(name));
    if (named.length === 1 && named[0] !== undefined) return named[0];
    throw unsupported(
      `several files could be the model: ${candidates.slice(0, 5).join(', ')}; leave one, or name it model.*`,
    );
  }
  const pickle = all.find((name) => endsWithAny(name, python));
  if (pickle !== undefined) throw pickled(pickle);
  const other = all.find((name) => endsWithAny(name, foreign));
  if (other !== undefined)
    throw unsupported(
      `${other} is for another runtime; this server takes ONNX, XGBoost (.json, .ubj, .bst) and LightGBM (.txt)`,
    );
  throw unsupported('there is no model file; expected .onnx, XGBoost (.json, .ubj, .bst) or LightGBM (.txt)');
}

function pickled(name: string): ModelRefused {
  return unsupported(
    `${name} is a Python pickle, which only Python can read: use a Python runtime, or export the model (scikit-learn: skl2onnx; XGBoost, LightGBM: save_model)`,
  );
}

/** Enough to tell formats apart. */
const headBytes = 64;
/** Files of up to this size are read whole; they are parsed on the spot. */
export const smallBytesMax = 96 * 1024;

function inspect(path: string, version: string): Artifact {
  const name = path.slice(path.lastIndexOf('/') + 1);
  // Without the flag, a named pipe would be waited for.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = fstatSync(file);
    const { size: sizeBytes, mtimeMs, ino } = status;
    if (!status.isFile()) throw corrupt(`${name} is not a regular file`);
    if (sizeBytes === 0) throw corrupt(`${name} is empty`);
    // One read more or less is noticed where thousands of small models are loaded.
    const bytes = Buffer.allocUnsafeSlow(sizeBytes <= smallBytesMax ? sizeBytes : headBytes);
    const bytesRead = readSync(file, bytes, 0, bytes.length, 0);
    const format = formatOf(name, bytes.subarray(0, Math.min(bytesRead, headBytes)));
    const content = bytesRead === sizeBytes ? bytes : undefined;
    return { path, format, version, sizeBytes, mtimeMs, ino, content };
  } finally {
    closeSync(file);
  }
}

/** By content where it tells, since `.bst` may hold either library's model; by extension for ONNX, which has no signature. */
function formatOf(name: string, head: Buffer): Format {
  const text = head.toString('latin1');
  if (name.toLowerCase().endsWith('.onnx')) return 'onnx';
  if (/^tree\r?\n/.test(text)) return 'lightgbm';
  if (/^\s*\{/.test(text)) return 'xgboost';
  if (head[0] === 0x80 || text.startsWith('\x1f\x8b')) throw pickled(name);
  if (endsWithAny(name, ['.txt', '.lgb']))
    throw corrupt(`${name} is not a LightGBM model: it does not begin with "tree"`);
  if (endsWithAny(name, ['.bst', '.model', '.xgb']))
    throw unsupported(
      `${name} is in XGBoost's old binary format; load it with XGBoost 1.7 to 3.0 and save it as .json or .ubj`,
    );
  throw corrupt(`${name} is not an XGBoost model: it does not begin with "{"`);
}
