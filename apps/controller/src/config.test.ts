import { describe, expect, it } from 'vitest';
import { help, parseConfig } from './config.ts';

describe('parseConfig', () => {
  it('takes both spellings of flags', () => {
    const { config } = parseConfig({ KUBECONFIG: '/k', POD_UID: 'me' }, ['--api-port', '1', '--file-roots=/a:/b']);

    expect(config).toMatchObject({
      apiPort: 1,
      fileRoots: ['/a', '/b'],
      kubeconfig: '/k',
      identity: 'me',
      controlPort: 9443,
    });
  });

  it('knows its own namespace and those that it serves', () => {
    const { config } = parseConfig({ POD_NAMESPACE: 'models' }, ['--namespaces=a,b', '--agent-image=mirror/agent:1']);

    expect(config).toMatchObject({
      namespaces: ['a', 'b'],
      installation: { namespace: 'models', agentImage: 'mirror/agent:1', exposedHosts: [] },
    });
  });

  it("serves KServe's group or the one beside it, and no other", () => {
    expect(parseConfig({}, []).config?.apiGroup).toBe('serving.kserve.io');
    expect(parseConfig({}, ['--api-group=serving.roundhouse.dev']).config?.apiGroup).toBe('serving.roundhouse.dev');
    expect(parseConfig({}, ['--api-group=serving.example.com']).problems.join()).toMatch(/^--api-group: .*roundhouse/);
  });

  it('names every problem at once', () => {
    const { problems } = parseConfig({}, [
      '--api-port=x',
      '--health-port',
      '99999',
      '--nonsense=1',
      'extra',
      '--domain',
    ]);

    expect(problems).toHaveLength(5);
    for (const word of ['--api-port', '--health-port', '--nonsense', 'extra', '--domain']) {
      expect(problems.join('\n')).toContain(word);
    }
  });

  it('explains each flag', () => {
    expect(help).toContain('--control-port   port of the control stream (default 9443)');
  });
});
