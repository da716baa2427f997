import { describe, expect, it } from 'vitest';
import { parseConfig } from './config.ts';

describe('parseConfig', () => {
  it('reads both forms of flags, and has the defaults of KServe', () => {
    const parsed = parseConfig({ ROUNDHOUSE_FILE_ROOTS: '/a:/b' }, [
      '--port=1',
      '--component-port',
      '8081',
      '--enable-puller',
    ]);

    expect(parsed).toMatchObject({
      kind: 'config',
      config: {
        flags: {
          port: 1,
          'component-port': 8081,
          'component-grpc-port': 9000,
          'enable-puller': true,
          'config-dir': '/mnt/configs',
          control: true,
        },
        env: { ROUNDHOUSE_FILE_ROOTS: ['/a', '/b'], ROUNDHOUSE_DIALECT: 'auto', ROUNDHOUSE_PLACEMENT: 'replicate' },
      },
    });
  });

  it('names every problem at once', () => {
    const parsed = parseConfig({ ROUNDHOUSE_DIALECT: 'tritton', ROUNDHOUSE_CONTROL_ADDRESS: 'nowhere' }, [
      '--port',
      '70000',
      '--colour',
      '--model-dir',
    ]);

    expect(parsed).toEqual({
      kind: 'problems',
      problems: [
        '--colour: there is no such flag; --help lists them',
        '--model-dir needs a value: directory shared with the model server',
        '--port "70000" is not valid: port of the data path',
        'ROUNDHOUSE_DIALECT "tritton" is not valid: kind of model server: embedded, v2, kserve, mlserver, triton; auto asks it, once it answers',
        'INFERENCE_SERVICE_NAME is needed for control',
        'ROUNDHOUSE_CONTROL_ADDRESS must be host:port',
      ],
    });
  });

  it('takes the flags of KServe that it has no use for, and says which', () => {
    const parsed = parseConfig({}, [
      '--enable-batcher',
      '--max-batchsize',
      '32',
      '--log-url=http://sink',
      '--no-control',
    ]);

    expect(parsed).toMatchObject({
      config: { withoutEffect: ['--enable-batcher', '--max-batchsize', '--log-url'], flags: { control: false } },
    });
  });

  it('explains itself', () => {
    expect(parseConfig({}, ['--port', '1', '--help'])).toMatchObject({
      kind: 'help',
      text: expect.stringMatching(/--component-port .*\(8080\)\n[\s\S]*ROUNDHOUSE_FILE_ROOTS/),
    });
  });
});
