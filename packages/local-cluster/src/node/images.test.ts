import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expand, translatePaths } from './images.ts';

const mounts = [
  { mountPath: '/mnt/models/deep', directory: '/data/deep' },
  { mountPath: '/mnt/models', directory: '/data/models' },
];

describe('translatePaths', () => {
  it.each([
    ['--model-dir=/mnt/models', '--model-dir=/data/models'],
    ['/mnt/models/a:/mnt/models/deep/b:/elsewhere', '/data/models/a:/data/deep/b:/elsewhere'],
    ['file:///mnt/models/iris', 'file:///data/models/iris'],
    ['["/mnt/models","/mnt/models/x"]', '["/data/models","/data/models/x"]'],
    ['/mnt/models-old', '/mnt/models-old'],
    ['/other/mnt/models', '/other/mnt/models'],
    ['http://host/mnt/models', 'http://host/mnt/models'],
  ])('%s', (text, expected) => {
    expect(translatePaths(text, mounts)).toBe(expected);
  });

  it('leaves text alone that names no mount', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!text.includes('/mnt/models'));
        expect(translatePaths(text, mounts)).toBe(text);
      }),
    );
  });
});

describe('expand', () => {
  it('replaces what it knows, keeps what it does not, and lets `$$` stand for `$`', () => {
    expect(expand('$(A) $(B) $$(A) $A', { A: '1' })).toBe('1 $(B) $(A) $A');
  });
});
