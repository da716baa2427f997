import { describe, expect, it } from 'vitest';
import { commandNames, parseCommand } from './config.ts';
import { helpFor } from './help.ts';

const parse = (...argv: string[]) => parseCommand(argv, '/checkout');

describe('the command line', () => {
  it('starts the cluster with the defaults that the help names', () => {
    expect(parse('up')).toEqual({
      command: {
        ...{ kind: 'up', dataDirectory: '/checkout/.roundhouse', port: 8080, examples: true, fileRoots: [] },
        apiGroup: 'serving.kserve.io',
      },
    });
  });

  it('takes every option of up', () => {
    const given = ['--port', '0', '--data-dir=/data', '--no-examples', '--file-root', '/models'];
    const apiGroup = 'serving.roundhouse.dev';
    expect(parse('up', ...given, '--api-group', apiGroup)).toEqual({
      command: { kind: 'up', dataDirectory: '/data', port: 0, examples: false, fileRoots: ['/models'], apiGroup },
    });
  });

  it('takes the URL of a server with or without its scheme, and gRPC where the URL points unless told', () => {
    const conformance = (...argv: string[]) => parse('conformance', '-m', 'iris', ...argv);

    expect(conformance('127.0.0.1:8080')).toMatchObject({
      command: { url: new URL('http://127.0.0.1:8080'), model: 'iris', grpc: '127.0.0.1:8080', protocols: undefined },
    });
    expect(conformance('https://models.example.com/serving/a/b')).toMatchObject({
      command: { url: new URL('https://models.example.com/serving/a/b'), grpc: 'models.example.com:443' },
    });
    expect(conformance('h:1', '--grpc', 'h:2', '--protocols', 'v1, grpc', '--host', 'a')).toMatchObject({
      command: { grpc: 'h:2', protocols: ['v1', 'grpc'], host: 'a' },
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
    [['up', '--api-group', 'example.com'], /--api-group is one of serving.kserve.io, serving.roundhouse.dev, not/],
    [['predict'], /"predict" needs the name of a model/],
    [['predict', 'm', '--protocol', 'v3'], /--protocol is v1 or v2/],
    [['status', '-o', 'yaml'], /-o is text or json/],
    [['conformance'], /needs the URL of a model server/],
    [['conformance', 'http://'], /"http:\/\/" is no URL/],
    [['conformance', 'host:1'], /needs --model/],
    [['conformance', 'host:1', '-m', 'x', '--protocols', 'v1,v3'], /--protocols is a list of v1, .*; there is no "v3"/],
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
