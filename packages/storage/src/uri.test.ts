import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StorageError } from './error.ts';
import { parseStorageUri } from './uri.ts';

describe('parseStorageUri', () => {
  it.each([
    ['s3://models/iris', { scheme: 's3', bucket: 'models', key: 'iris' }],
    ['s3://models', { scheme: 's3', bucket: 'models', key: '' }],
    ['gs://models/a b/ü%20/', { scheme: 'gs', bucket: 'models', key: 'a b/ü%20/' }],
    ['file:///models/iris/', { scheme: 'file', path: '/models/iris' }],
    ['file:///my models/iris%3F', { scheme: 'file', path: '/my models/iris?' }],
    ['https://example.com/a/model.tgz', { scheme: 'https', text: 'https://example.com/a/model.tgz' }],
    ['http://example.com/m?X-Amz-Signature=abc', { scheme: 'http', text: 'http://example.com/m' }],
  ])('reads %s', (text, expected) => {
    expect(parseStorageUri(text)).toMatchObject(expected);
  });

  it.each([
    ['', 'needs a scheme'],
    ['/models/iris', 'needs a scheme'],
    ['S3://models/iris', 'needs a scheme in lower case'],
    ['pvc://claim/iris', 'scheme pvc:// is not supported; supported are s3://, gs://, https://, http://, file://'],
    ['s3://', 'the bucket must have'],
    ['s3://mo/iris', 'the bucket must have'],
    ['s3://-models/iris', 'the bucket must have'],
    ['s3://models//iris', 'empty segment'],
    ['s3://models/a/../b', 'empty segment, "." or ".."'],
    ['s3://models/iris?versionId=1', '"?" and "#" are not allowed'],
    ['gs://models/iris\n', 'control characters'],
    [' s3://models/iris', 'spaces around it'],
    ['file://models/iris', 'three slashes'],
    ['file:///models/../etc', '"." and ".." are not allowed'],
    ['file:///models/a#b', '%3F and %23'],
    ['file:///models/%zz', 'not followed by a valid code'],
    ['file:///models/a%2Fb', 'not followed by a valid code'],
    ['file:///models/%00', 'not followed by a valid code'],
    ['https://', 'not a valid URL'],
    ['https://user:pass@example.com/m', 'credentials belong in a Secret'],
    ['https://example.com/m#part', '"#" part'],
    [`s3://models/${'x'.repeat(1025)}`, 'longer than 1024 bytes'],
    [`https://example.com/${'x'.repeat(5000)}`, 'longer than 4096 characters'],
  ])('refuses %j and says what is wrong', (text, why) => {
    expect(() => parseStorageUri(text)).toThrow(why);
    expect(() => parseStorageUri(text)).toThrow(expect.objectContaining({ code: 'storage/invalid-uri' }));
  });

  it('shows neither a query string nor a password', () => {
    for (const text of [
      'https://example.com/m?sig=hunter2#x',
      'https://user:hunter2@example.com/m',
      'ftp://a/b?p=hunter2',
    ]) {
      expect(() => parseStorageUri(text)).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining('hunter2') }),
      );
    }
  });

  it('fails on any text with nothing but its own error', () => {
    const anyText = fc.oneof(
      fc.string(),
      fc
        .tuple(fc.constantFrom('s3://', 'gs://', 'http://', 'https://', 'file://'), fc.string({ unit: 'binary' }))
        .map((p) => p.join('')),
    );
    fc.assert(
      fc.property(anyText, (text) => {
        try {
          parseStorageUri(text);
        } catch (error) {
          expect(error).toBeInstanceOf(StorageError);
        }
      }),
    );
  });
});
