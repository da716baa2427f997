import { describe, expect, it } from 'vitest';
import { commandNames, parseCommand } from './config.ts';
import { helpFor } from './help.ts';

const parse = (...argv: string[]) => parseCommand(argv, '/checkout');

describe('the command line', () => {
  it('starts the cluster with the defaults that the help names', () => {
    expect(parse('up')).toEqual({
      command: { kind: 'up', dataDirectory: '/checkout/.roundhouse', port: 8080, examples: true, fileRoots: [] },
    });
  });

  it('takes every option of up', () => {
    expect(parse('up', '--port', '0', '--data-dir=/data', '--no-examples', '--file-root', '/models')).toEqual({
      command: { kind: 'up', dataDirectory: '/data', port: 0, examples: false, fileRoots: ['/models'] },
    });
  });

  it('reports every mistake at once, each with the way out', () => {
    expect(parse('up', '--port', 'eighty', '--tail', '5', 'now')).toEqual({
      problems: [
        '"up" has no option --tail; "roundhouse up --help" lists its options',
        '"up" takes no "now"',
        '--port takes a number from 0 to 65535, not "eighty"',
      ],
    });
  });

  it.each([
    [['fly'], /there is no command "fly"; there are up, status/],
    [['predict'], /"predict" needs the name of a model/],
    [['predict', 'm', '--protocol', 'v3'], /--protocol is v1 or v2/],
    [['status', '-o', 'yaml'], /-o is text or json/],
    [['status', '--frobnicate'], /"roundhouse --help" lists the options/],
  ])('%j is refused', (argv, message) => {
    const parsed = parseCommand(argv, '/checkout');

    expect('problems' in parsed && parsed.problems.join('\n')).toMatch(message);
  });

  it.each([
    [['--help'], undefined],
    [['up', '--help'], 'up'],
    [['help', 'logs'], 'logs'],
    [[], undefined],
  ])('%j shows help', (argv, topic) => {
    expect(parseCommand(argv, '/checkout')).toEqual({ command: { kind: 'help', topic } });
  });

  it('has help of its own for each command', () => {
    expect(commandNames.filter((name) => !helpFor(name).includes('Usage:') || helpFor(name) === helpFor(''))).toEqual(
      [],
    );
  });
});
