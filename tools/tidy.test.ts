import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { parseAst } from 'rolldown/parseAst';
import { describe, expect, it } from 'vitest';

/** Our rules as a test: a rule without a check fades. Each finding names the file, the line and the way out. */

const root = join(import.meta.dirname, '..');
const roots = ['packages', 'apps', 'e2e', 'bench', 'deploy', 'fuzz', 'interop', 'tools'];
const files = roots.flatMap((directory) => walk(join(root, directory))).map((path) => relative(root, path));
const isTest = (file: string) => /\.(test|contract|e2e)\.ts$|\/(contract|scenarios|testing)\/|vitest/.test(file);
const isMain = (file: string) => /^apps\/[^/]+\/src\/(main|worker|probe)\.ts$/.test(file);
const isTool = (file: string) => /^(tools|bench|deploy|e2e|fuzz|interop)\//.test(file);
const sources = files.filter((file) => /^(packages|apps)\/[^/]+\/src\//.test(file) && !isTest(file));

type Rule = {
  readonly pattern: RegExp;
  readonly instead: string;
  readonly allowed: (file: string) => boolean;
};

const inBase = (file: string) => file.startsWith('packages/base/');
const inTests = (file: string) => isTest(file) || isTool(file) || file.startsWith('packages/testkit/');

const bannedWords: readonly Rule[] = [
  { pattern: /\bDate\.now\(/, instead: 'take a Clock from deps', allowed: (f) => inBase(f) || inTests(f) },
  { pattern: /\bperformance\.now\(/, instead: 'take a Clock from deps', allowed: (f) => inBase(f) || inTests(f) },
  {
    pattern: /\b(setTimeout|setInterval)\(/,
    instead: 'take a Clock from deps',
    allowed: (f) => inBase(f) || inTests(f),
  },
  { pattern: /\bMath\.random\(/, instead: 'take a Random from deps', allowed: (f) => inBase(f) || inTests(f) },
  { pattern: /\bprocess\.env\b/, instead: 'hand it over from main.ts', allowed: (f) => isMain(f) || inTests(f) },
  {
    pattern: /\bprocess\.exit\(/,
    instead: 'only main.ts (and stopOn) end the process',
    allowed: (f) => isMain(f) || inBase(f) || isTool(f),
  },
  { pattern: /\bconsole\./, instead: 'take a Log from deps', allowed: (f) => isMain(f) || isTest(f) || isTool(f) },
  { pattern: /\b(describe|it|test)\.(only|skip)\(/, instead: 'finish it or delete it', allowed: () => false },
  { pattern: /@ts-(ignore|nocheck)/, instead: 'find the type', allowed: () => false },
  { pattern: /\bvi\.(mock|doMock)\(/, instead: 'start a fake server, or hand the dependency in', allowed: () => false },
  { pattern: /\b(TODO|FIXME|XXX)\b/, instead: 'do it, or say why not', allowed: () => false },
];

/** What macOS does not have, or has otherwise. Who may use it does without where it is missing, as said there. */
const linuxOnly: readonly Rule[] = [
  {
    pattern: /\/(proc|sys|dev\/shm)\//,
    instead: 'there is no such directory on macOS',
    allowed: (f) =>
      [
        'apps/model-server/src/runtimes/onnx/prober.ts',
        'packages/http-relay/src/hangups.ts',
        'packages/local-cluster/src/node/processes.ts',
        'packages/local-cluster/src/testing/cluster.ts',
        'packages/storage/src/tree.ts',
      ].includes(f),
  },
  { pattern: /path: '\\0/, instead: 'abstract sockets are of Linux alone', allowed: () => false },
  { pattern: /\b127\.0\.0\.([02-9]|1\d)/, instead: 'macOS answers on 127.0.0.1 only', allowed: () => false },
  {
    pattern: /\bsed -i\s|readlink -f|\bsetsid\b/,
    instead: 'these commands differ between systems',
    allowed: () => false,
  },
  { pattern: /\.listen\(\s*[1-9]\d/, instead: 'a fixed port may be taken: listen on 0', allowed: () => false },
];

const bannedFileNames = /(^|\/)(utils?|helpers?|common|misc|manager|impl)(\.[a-z.]+|\/)/;

describe('tidy', () => {
  it('has no banned word', () => {
    const findings = files
      .filter((file) => file !== 'tools/tidy.test.ts')
      .flatMap((file) => matchesOf(file, bannedWords));

    expect(findings).toEqual([]);
  });

  it('assumes nothing that only Linux has', () => {
    const findings = files
      .filter((file) => file !== 'tools/tidy.test.ts' && !file.startsWith('bench/'))
      .flatMap((file) => matchesOf(file, linuxOnly));

    expect(findings).toEqual([]);
  });

  it('keeps the local cluster small: it is a means, not the product', () => {
    const own = sources.filter((file) => file.startsWith('packages/local-cluster/'));

    // Lines of code: what explains the code and the air between its parts is not what makes it large.
    const isCode = (line: string) => withoutComment(line).trim() !== '';
    expect(own.flatMap(read).filter(isCode).length).toBeLessThan(5_000);
  });

  it('names files by what they are', () => {
    expect(files.filter((file) => bannedFileNames.test(file) || /[A-Z_]/.test(file))).toEqual([]);
  });

  it('keeps functions within 70 lines', () => {
    const findings = sources.flatMap((file) =>
      longFunctions(file, 70).map(
        ({ name, line, lines }) => `${file}:${line} ${name} has ${lines} lines: split it by question`,
      ),
    );

    expect(findings).toEqual([]);
  });

  it('keeps test files within 600 lines', () => {
    expect(files.filter((file) => isTest(file) && read(file).length > 600)).toEqual([]);
  });

  it('reaches every source file from a test of its package', () => {
    const reached = new Set(files.filter(isTest));
    for (const file of reached) for (const imported of importsOf(file)) reached.add(imported);
    const untested = sources.filter((file) => !reached.has(file) && !isMain(file) && !exportsOnlyTypes(file));

    expect(untested).toEqual([]);
  });

  it('has one title in every document', () => {
    const documents = ['.', 'docs', 'docs/adr', 'docs/how-to', 'docs/migrate', 'docs/spec', 'examples'].flatMap(
      (directory) =>
        list(directory)
          .filter((name) => name.endsWith('.md'))
          .map((name) => join(directory, name)),
    );
    const titles = (file: string) =>
      readFileSync(join(root, file), 'utf8')
        .replaceAll(/```[\s\S]*?```/g, '')
        .match(/^# /gm)?.length;

    expect(documents.filter((file) => titles(file) !== 1)).toEqual([]);
  });
});

function matchesOf(file: string, rules: readonly Rule[]): string[] {
  return read(file).flatMap((line, index) =>
    rules
      .filter(({ pattern, allowed }) => !allowed(file) && pattern.test(withoutComment(line)))
      .map(({ pattern, instead }) => `${file}:${index + 1} matches ${pattern}: ${instead}`),
  );
}

function walk(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    if (['node_modules', 'dist', 'gen', 'fixtures', '__golden__', '.turbo'].includes(entry.name)) return [];
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return walk(path);
    return entry.name.endsWith('.ts') ? [path] : [];
  });
}

function list(directory: string): string[] {
  try {
    return readdirSync(join(root, directory));
  } catch {
    return [];
  }
}

function read(file: string): string[] {
  return readFileSync(join(root, file), 'utf8').split('\n');
}

function withoutComment(line: string): string {
  return line.replace(/(^|\s)(\/\/|\*|\/\*\*).*$/, '');
}

function importsOf(file: string): string[] {
  return read(file).flatMap((line) => {
    // Scenarios run an app's bundle, and with it all that its main.ts imports.
    const bundled = /apps\/([a-z-]+)\/dist\/main\.mjs/.exec(line)?.[1];
    if (bundled !== undefined) return [`apps/${bundled}/src/main.ts`];
    const specifier = /(?:from|import\()\s*'([^']+)'/.exec(line)?.[1] ?? /^import '([^']+)'/.exec(line)?.[1];
    if (specifier === undefined)
      return (
        /new URL\('(\.[^']+\.ts)'/
          .exec(line)
          ?.slice(1, 2)
          .map((url) => normalize(join(dirname(file), url))) ?? []
      );
    if (specifier.startsWith('.')) return [normalize(join(dirname(file), specifier))];
    const [, ours, path = ''] = /^@roundhouse\/([^/]+)(\/.+)?$/.exec(specifier) ?? [];
    if (ours === undefined) return [];
    const { exports } = JSON.parse(readFileSync(join(root, 'packages', ours, 'package.json'), 'utf8'));
    return [join('packages', ours, exports[`.${path}`])];
  });
}

function exportsOnlyTypes(file: string): boolean {
  return !read(file).some((line) => /^(export )?(async )?(function|const|class|let)\b/.test(line));
}

type Node = { readonly type: string; readonly start: number; readonly end: number; readonly [key: string]: unknown };

function longFunctions(file: string, linesMax: number) {
  const text = readFileSync(join(root, file), 'utf8');
  const found: { name: string; line: number; lines: number }[] = [];
  const lineAt = (offset: number) => text.slice(0, offset).split('\n').length;
  const visit = (value: unknown, name: string) => {
    if (Array.isArray(value)) for (const item of value) visit(item, name);
    if (typeof value !== 'object' || value === null || !('type' in value)) return;
    const node = value as Node;
    const own = ((node.id ?? node.key) as { name?: string } | undefined)?.name ?? name;
    if (/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)) {
      // Measured without the functions defined inside: a closure that groups small functions is not a long function.
      const lines = lineAt(node.end) - lineAt(node.start) + 1 - linesOfInnerFunctions(node, lineAt);
      if (lines > linesMax) found.push({ name: own, line: lineAt(node.start), lines });
    }
    for (const key of Object.keys(node)) visit(node[key], own);
  };
  visit(parseAst(text, { lang: 'ts' }).body, '(anonymous)');
  return found;
}

function linesOfInnerFunctions(node: Node, lineAt: (offset: number) => number): number {
  let lines = 0;
  const visit = (value: unknown) => {
    if (Array.isArray(value)) return value.forEach(visit);
    if (typeof value !== 'object' || value === null || !('type' in value)) return;
    const inner = value as Node;
    const isFunction = /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(inner.type);
    if (isFunction) lines += Math.max(0, lineAt(inner.end) - lineAt(inner.start));
    else for (const key of Object.keys(inner)) visit(inner[key]);
  };
  for (const key of Object.keys(node)) visit(node[key]);
  return lines;
}
