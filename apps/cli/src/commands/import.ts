import { existsSync, readFileSync } from 'node:fs';
import { CodedError } from '@roundhouse/base';
import { parseAllDocuments, stringify } from 'yaml';
import { convertManifests, type Result } from '../import/convert.ts';
import { isManifest, isRecord, type Manifest, type Note } from '../import/manifest.ts';

export type ImportDeps = {
  readonly print: (text: string) => void;
  /** Notes go beside the result, so that the result can be piped on. */
  readonly printNote: (text: string) => void;
  readonly standardInput: () => string;
};

export type ImportRequest = {
  readonly file: string;
  readonly from: string | undefined;
  readonly memory: string;
  readonly bucket: string | undefined;
  readonly output: 'yaml' | 'json';
};

/** Converts a file of manifests. 1 when something could not be converted; what could be is printed all the same. */
export function importManifests(deps: ImportDeps, { file, from, output, ...options }: ImportRequest): number {
  if (file !== '-' && !existsSync(file))
    throw new CodedError('cli/usage', `there is no file ${file}; "-" is standard input`);
  const text = file === '-' ? deps.standardInput() : readFileSync(file, 'utf8');
  const result = convertManifests(parseManifests(text, file), options, from);
  if (output === 'json') deps.print(jsonText(result));
  else if (result.objects.length > 0)
    deps.print(
      result.objects
        .map((object) => stringify(object, { aliasDuplicateObjects: false }))
        .join('---\n')
        .trimEnd(),
    );
  if (output === 'yaml') for (const note of result.notes) deps.printNote(noteText(note));
  return result.notes.some(({ severity }) => severity === 'problem') ? 1 : 0;
}

/** A List of Kubernetes, which kubectl takes, with the notes beside it. */
function jsonText({ objects, notes }: Result): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects, notes }, undefined, 2);
}

const noteText = ({ severity, object, field, message }: Note) =>
  `${severity}: ${object}${field === undefined ? '' : `, ${field}`}: ${message}`;

/** All objects of YAML or JSON, those of Lists as well. Throws cli/usage that says what is no object and where. */
function parseManifests(text: string, file: string): Manifest[] {
  const name = file === '-' ? 'standard input' : file;
  return parseAllDocuments(text).flatMap((document, index) => {
    const problem = document.errors[0]?.message.split('\n')[0];
    if (problem !== undefined) throw new CodedError('cli/usage', `${name}: ${problem}`);
    const value: unknown = document.toJS();
    if (value === null || value === undefined) return [];
    const items: readonly unknown[] = isRecord(value) && Array.isArray(value.items) ? value.items : [value];
    return items.map((item, at) => {
      if (isManifest(item)) return item;
      const place = items.length > 1 ? `document ${index + 1}, item ${at + 1}` : `document ${index + 1}`;
      throw new CodedError('cli/usage', `${name}: ${place} has no apiVersion, kind and metadata.name`);
    });
  });
}
