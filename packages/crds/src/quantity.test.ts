import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, formatQuantity, parseQuantity } from './index.ts';
import { quantityPattern } from './quantity.ts';

const canonical = (input: unknown) => {
  const quantity = parseQuantity(input);
  return quantity === undefined ? undefined : formatQuantity(quantity);
};

describe('quantities', () => {
  // As `kubectl get -o yaml` shows what was applied in the left column.
  it.each([
    ['1Gi', '1Gi'],
    ['1024Mi', '1Gi'],
    ['256Mi', '256Mi'],
    ['0.5Gi', '512Mi'],
    ['512', '512'],
    [1024, '1024'],
    ['1.5', '1500m'],
    ['1000k', '1M'],
    ['1e3', '1e3'],
    ['12e4', '120e3'],
    ['0.1Ki', '102400m'],
    ['500Ki', '500Ki'],
    ['0.001n', '1n'],
    ['-1Gi', '-1Gi'],
    ['+2', '2'],
    ['0Gi', '0'],
    ['1e99', '9223372036854775807e0'.replace('e0', '')],
  ])('writes %s as %s', (given, text) => {
    expect(canonical(given)).toBe(text);
  });

  it.each(['', '.', '1KB', '1 Gi', 'Gi', '--1', '1e', undefined, null, {}])('does not take %j for one', (given) => {
    expect(parseQuantity(given)).toBeUndefined();
  });

  it('counts bytes', () => {
    expect(bytesOf('1Gi')).toBe(2 ** 30);
    expect(bytesOf('1500m')).toBe(2);
    expect(bytesOf('much')).toBeUndefined();
  });

  it('keeps its value when written, whatever it is', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[+-]?\d{1,12}(\.\d{1,12})?([KMGTPE]i|[numkMGTP]|e-?\d)?$/), (text) => {
        const quantity = parseQuantity(text);

        expect(parseQuantity(canonical(text))?.nanos).toBe(quantity?.nanos);
        expect(new RegExp(quantityPattern).test(text)).toBe(true);
      }),
    );
  });
});
