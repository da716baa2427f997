import { describe, expect, it } from 'vitest';
import { memoryOf, parseStat, parseTimeMs, processes, treeOf } from './process-tree.ts';

describe('process tree', () => {
  it.each([
    ['00:00:02', 2000],
    ['1:02.50', 62_500],
    ['2-03:04:05', 183_845_000],
  ])('reads the time %s as ps prints it', (text, ms) => {
    expect(parseTimeMs(text)).toBe(ms);
  });

  it('reads a line of /proc whose command has brackets and spaces', () => {
    const line = '42 (a ) b) S 7 42 42 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 11 0 100 1000000 2560 18446744073709551615';

    expect(parseStat(line)).toEqual({ pid: 42, parent: 7, cpuMs: 2000, rssBytes: 2560 * 4096 });
  });

  it('finds this very process with its memory and its time', async () => {
    const [self] = treeOf(process.pid, await processes());

    expect(self?.rssBytes).toBeGreaterThan(10 * 2 ** 20);
    expect(self?.cpuMs).toBeGreaterThan(0);
  });

  it('counts what a process shares with the root of its tree once', async () => {
    const all = await processes();
    const [self] = treeOf(process.pid, all);
    if (self === undefined) throw new Error('this process is not there');

    const twice = memoryOf([self, self]);

    expect(twice).toBeGreaterThan(self.rssBytes);
    expect(twice).toBeLessThanOrEqual(2.2 * self.rssBytes);
  });

  it('takes descendants of descendants along, and no strangers', () => {
    const use = (pid: number, parent: number) => ({ pid, parent, cpuMs: 0, rssBytes: 0 });

    const tree = treeOf(2, [use(1, 0), use(2, 1), use(3, 2), use(4, 3), use(5, 1)]);

    expect(tree.map(({ pid }) => pid)).toEqual([2, 3, 4]);
  });
});
