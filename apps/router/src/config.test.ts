import { describe, expect, it } from 'vitest';
import { helpText, parseConfig } from './config.ts';

describe('parseConfig', () => {
  it('takes both forms of a flag, and finds the name to expect in the address', () => {
    const { config } = parseConfig({ ROUNDHOUSE_CONTROL_ADDRESS: 'control.system.svc:9443', POD_NAME: 'r-1' }, [
      '--port',
      '0',
      '--ops-port=1',
    ]);

    expect(config).toMatchObject({
      host: '0.0.0.0',
      port: 0,
      opsPort: 1,
      controlAddress: 'control.system.svc:9443',
      controlServerName: 'control.system.svc',
      podName: 'r-1',
    });
  });

  it('says everything that is wrong at once', () => {
    const { problems } = parseConfig({ ROUNDHOUSE_CONTROL_ADDRESS: 'nowhere' }, [
      ...['--port=70000', '--ops-port', '--colour=red', 'extra'],
    ]);

    expect(problems).toEqual([
      '--ops-port needs a value',
      '--colour: there is no such flag',
      'extra: there is no such argument',
      '--port "70000" is not valid: port of the data path',
      'ROUNDHOUSE_CONTROL_ADDRESS "nowhere" is not valid: host:port of the control stream',
    ]);
  });

  it('reads durations, sizes and shares, and refuses what is none', () => {
    const { config } = parseConfig({}, [
      '--head-timeout=500ms',
      '--body-max=16Mi',
      '--trace-ratio=off',
      '--concurrency=5',
    ]);
    const { problems } = parseConfig({}, [
      ...['--head-timeout=10', '--body-max=big', '--access-log=2', '--trace-ratio=maybe', '--tls-cert=a'],
    ]);

    expect(config).toMatchObject({
      limits: { headTimeoutMs: 500, idleTimeoutMs: 60_000, bodySizeMax: 16 * 2 ** 20 },
      serviceLimits: { concurrency: 5, modelConcurrency: Number.POSITIVE_INFINITY },
      traceRatio: undefined,
      accessLogRatio: 0.01,
      tls: undefined,
    });
    expect(problems.map((problem) => problem.split(' ')[0])).toEqual([
      ...['--head-timeout', '--body-max', '--access-log', '--trace-ratio', '--tls-cert'],
    ]);
  });

  it('explains every setting', () => {
    expect(helpText()).toMatch(/--ops-port .*9090.*ROUNDHOUSE_TOKEN_FILE/s);
  });
});
