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
      },
    });
  });

  it('tells every problem at once', () => {
    expect(parseConfig(['--http-port=x', '--grpc-port=70000', '--model-dir=', '--body-limit=0'])).toEqual({
      problems: [
        '--http-port takes a port from 0 to 65535, not "x"',
        '--grpc-port takes a port from 0 to 65535, not "70000"',
        '--body-limit takes a size such as 512Mi or 2G, not "0"',
        '--model-dir is empty',
      ],
    });
  });

  it('names the options it knows when it meets another', () => {
    expect(parseConfig(['--workers=2'])).toMatchObject({ problems: [expect.stringMatching(/--workers.*--model-dir/)] });
  });
});
