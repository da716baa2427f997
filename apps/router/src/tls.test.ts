import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { aModel, aReplica, aService, createRig, type Rig, until, warm } from './testing/rig.ts';

const name = 'models.example.com';
let rig: Rig;
beforeEach(async () => {
  rig = await createRig();
});
afterEach(() => rig.close());

async function secureSocket(port: number): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, servername: name, ca: rig.authority.ca });
  await once(socket, 'secureConnect');
  return socket;
}

async function ask(socket: TLSSocket): Promise<string> {
  const host = 'Host: examples-default.example.com';
  socket.write(`POST /v1/models/iris:predict HTTP/1.1\r\n${host}\r\nContent-Length: 2\r\n\r\n{}`);
  const [answer] = await once(socket, 'data');
  return answer.toString();
}

describe('a router with a certificate', () => {
  it('takes the next one as soon as it is there and fits its key, without closing a connection', async () => {
    const [cert, key] = [join(rig.directory, 'tls.crt'), join(rig.directory, 'tls.key')];
    const write = async (identity: { readonly cert: string; readonly key: string }) => {
      await writeFile(cert, identity.cert);
      await writeFile(key, identity.key);
    };
    const first = await rig.authority.issue(name);
    await write(first);
    const control = await rig.startControl();
    const agent = await rig.startAgent('a');
    rig.board.publish({ services: [aService()], replicas: [aReplica(agent)], models: [aModel('iris', { a: warm })] });
    const { tlsPort } = await rig.startRouter(control.port, ['--tls-port=0', '--tls-cert', cert, '--tls-key', key]);
    const open = await secureSocket(tlsPort);
    expect(await ask(open)).toContain('200 OK');
    const before = open.getPeerCertificate().fingerprint256;

    await writeFile(cert, (await rig.authority.issue(name)).cert); // its key is not there yet
    await until(async () => (await fingerprint(tlsPort)) === before);
    await write(await rig.authority.issue(name));
    await until(async () => (await fingerprint(tlsPort)) !== before);

    expect(await ask(open)).toContain('200 OK');
    open.destroy();
  });
});

async function fingerprint(port: number): Promise<string> {
  const socket = await secureSocket(port);
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}
