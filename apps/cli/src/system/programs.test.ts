import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPrograms } from './programs.ts';

describe('readPrograms', () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'roundhouse-programs-'));
    file = join(directory, 'images.json');
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('runs an image as its program, with the ports and paths that the node chose', () => {
    const settings = {
      command: ['/opt/server', 'start', '/mnt/models'],
      args: ['--host=127.0.0.1'],
      env: { THREADS: '1' },
      portFlags: ['--http-port'],
      portVariables: ['GRPC_PORT', 'NOT_GIVEN'],
    };
    writeFileSync(file, JSON.stringify({ 'example/server:1': settings }));
    const container = {
      args: ['--http-port=80', '--verbose'],
      env: { GRPC_PORT: '90', HOME: '/home' },
      port: (port: number) => port + 1,
      path: (path: string) => path.replace('/mnt', '/volumes'),
    };

    expect(readPrograms(file)['example/server:1']?.(container)).toEqual({
      file: '/opt/server',
      args: ['start', '/volumes/models', '--http-port=81', '--verbose', '--host=127.0.0.1'],
      env: { GRPC_PORT: '91', HOME: '/home', THREADS: '1' },
    });
  });

  it.each([
    ['{"a":{}}', /a.command: Invalid input/],
    ['{"a":{"command":["x"],"ports":[]}}', /a: Unrecognized key: "ports"/],
    ['[]', /is not what it should be/],
    ['{', /cannot be read/],
  ])('says what is wrong with %s', (text, message) => {
    writeFileSync(file, text);

    expect(() => readPrograms(file)).toThrow(message);
  });
});
