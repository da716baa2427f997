import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import { namesFor } from '@roundhouse/crds';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ModelStatus } from '../commands/status.ts';
import { changeLines, liveBlock } from './live-view.ts';
import { claimPort } from './ports.ts';
import { redrawnBlock } from './screen.ts';
import { shellWord, welcome } from './welcome.ts';

const model = (name: string, ready = true, reason = ''): ModelStatus => ({
  namespace: 'default',
  name,
  service: 'examples',
  ready,
  copies: ready ? '1/1' : '0/1',
  reason,
  url: '',
});

describe('the live view', () => {
  it('shows what is not ready first, with its reason', () => {
    const models = [model('a'), model('b', false, 'DownloadFailed: not found')];

    expect(liveBlock({ models, requests: 7, errors: 1 }, 3, 80)).toEqual([
      '1 of 2 models ready · 7 requests, 1 failed · 3 per second',
      '  ○ b 0/1 DownloadFailed: not found',
      '  ● a 1/1',
    ]);
  });

  it('never gets longer than a screen, whatever the number of models, nor wider', () => {
    const models = Array.from({ length: 5_000 }, (_, index) => model(`a-model-with-a-long-name-${index}`));
    const lines = liveBlock({ models, requests: 0, errors: 0 }, 0, 20);

    expect(lines).toHaveLength(14);
    expect(Math.max(...lines.map((line) => line.length))).toBe(20);
  });

  it('writes nothing while nothing changes, and goes back over what it wrote', () => {
    const written: string[] = [];
    const draw = redrawnBlock({ isTerminal: true, columns: () => 80, write: (text) => written.push(text) });
    draw(['a', 'b']);
    draw(['a', 'b']);
    draw(['c']);

    expect(written).toEqual(['a\nb\n', '\u001b[2F\u001b[Jc\n']);
  });

  it('tells pipes what changed, model by model', () => {
    const before = [model('a'), model('b'), model('c', false, 'Downloading')];
    const after = [model('a'), model('c'), model('d', false, 'Downloading')];

    expect(changeLines(before, after)).toEqual([
      'default/c: ready (1/1)',
      'default/d: not ready: Downloading',
      'default/b: removed',
    ]);
  });
});

describe('the next steps', () => {
  it('are words that a shell reads back as they were', () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes('\0')),
        (text) => {
          expect(execFileSync('/bin/sh', ['-c', `printf %s ${shellWord(text)}`], { encoding: 'utf8' })).toBe(text);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('name the kubeconfig, one request per protocol, and the way to stop', () => {
    const request = { v1: { instances: [[1]] }, v2: { inputs: [] } };
    const example = { model: 'iris', request, host: 'examples-default.example.com', service: 'examples' };
    const text = welcome({
      names: namesFor(),
      kubeconfigPath: '/d/kubeconfig',
      routerUrl: 'http://127.0.0.1:1',
      example,
      dataDirectory: '/d',
    });

    for (const part of [
      'KUBECONFIG=/d/kubeconfig',
      '/v1/models/iris:predict',
      '/v2/models/iris/infer',
      'kubectl get tm',
      'Ctrl-C',
    ])
      expect(text).toContain(part);
  });
});

describe('claimPort', () => {
  it('finds a free port for 0, and says what to do about a taken one', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };

    expect(await claimPort(0)).toBeGreaterThan(0);
    await expect(claimPort(port)).rejects.toThrow(`port ${port} of 127.0.0.1 is taken; choose another with --port N`);
    server.close();
  });
});
