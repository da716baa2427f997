import { describe, expect, it } from 'vitest';
import { createLog } from './index.ts';

describe('a log', () => {
  it('is lines of JSON with the time and the fields of its parents', () => {
    const lines: string[] = [];
    const log = createLog('agent', 'info', { write: (line) => lines.push(line) });
    log.child({ model: 'iris' }).warn({ attempt: 2 }, 'not loaded');
    log.debug({}, 'too fine');

    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 'warn',
      name: 'agent',
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      model: 'iris',
      attempt: 2,
      msg: 'not loaded',
    });
  });
});
