import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffMs, messageOf, Secret, systemClock, systemCodeOf, timestamp } from './index.ts';

describe('backoffMs', () => {
  it('stays between half the first delay and the maximum, whatever the attempt', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (attempt, r) => {
        const delay = backoffMs({ firstMs: 100, maxMs: 30_000 }, attempt, () => r);
        expect(delay).toBeGreaterThanOrEqual(50);
        expect(delay).toBeLessThanOrEqual(30_000);
      }),
    );
  });
});

describe('Secret', () => {
  it('shows itself in no form of text', () => {
    const secret = new Secret('hunter2');

    for (const text of [`${secret}`, JSON.stringify({ secret }), inspect({ secret }, { depth: 9 }), String(secret)]) {
      expect(text).not.toContain('hunter2');
    }
    expect(secret.reveal()).toBe('hunter2');
  });
});

describe('systemClock', () => {
  it('ends a sleep with the reason of its signal', async () => {
    const controller = new AbortController();
    const sleep = systemClock.sleep(60_000, controller.signal);

    controller.abort(new Error('enough'));

    await expect(sleep).rejects.toThrow('enough');
  });

  it('writes timestamps as Kubernetes does', () => {
    expect(timestamp(1_767_225_600_123)).toBe('2026-01-01T00:00:00Z');
  });
});

describe('errors', () => {
  it('finds the system code behind causes', () => {
    const inner = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });

    expect(systemCodeOf(new Error('fetch failed', { cause: inner }))).toBe('ECONNREFUSED');
    expect(systemCodeOf(new Error('plain'))).toBeUndefined();
  });

  it('keeps messages on one line', () => {
    expect(messageOf(new Error('one\n  two'))).toBe('one two');
  });
});
