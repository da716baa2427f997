import { describe, expect, it } from 'vitest';
import { parseConfig } from './config.ts';

describe('the command line', () => {
  it('has defaults for everything', () => {
    expect(parseConfig([])).toEqual({
      config: {
        modelDirectory: '/mnt/models',
        host: '127.0.0.1',
        httpPort: 8080,
        grpcPort: undefined,
        socket: undefined,
        memoryLimitBytes: undefined,
        bodyLimitBytes: undefined,
        tensorLimitBytes: undefined,
        batchLimitRows: 1_048_576,
      },
    });
  });

  it('may use = or a space', () => {
    const argv = [
      '--model-dir=/models',
      '--http-port',
      '0',
      '--grpc-port=9001',
      '--host=0.0.0.0',
      '--socket',
      '/run/s',
      '--memory-limit=1.5Gi',
      '--body-limit=8M',
      '--tensor-limit=4Ki',
      '--batch-limit=100',
    ];

    expect(parseConfig(argv)).toEqual({
      config: {
        modelDirectory: '/models',
        host: '0.0.0.0',
        httpPort: 0,
        grpcPort: 9001,
        socket: '/run/s',
        memoryLimitBytes: 1.5 * 2 ** 30,
        bodyLimitBytes: 8e6,
        tensorLimitBytes: 4096,
        batchLimitRows: 100,
      },
    });
  });

  it('tells every problem at once', () => {
    const wrong = ['--http-port=x', '--grpc-port=70000', '--model-dir=', '--body-limit=0', '--batch-limit=0'];

    expect(parseConfig(wrong)).toEqual({
      problems: [
        '--http-port takes a port from 0 to 65535, not "x"',
        '--grpc-port takes a port from 0 to 65535, not "70000"',
        '--body-limit takes a size such as 512Mi or 2G, not "0"',
        '--batch-limit takes a number of rows from 1 on, not "0"',
        '--model-dir is empty',
      ],
    });
  });

  it('names the options it knows when it meets another', () => {
    expect(parseConfig(['--workers=2'])).toMatchObject({ problems: [expect.stringMatching(/--workers.*--model-dir/)] });
  });
});
