import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { systemClock } from '@roundhouse/base';
import { stepClock } from '@roundhouse/testkit';
import { describe, expect, it } from 'vitest';
import { areCurrent, issueCertificates } from './tls.ts';

const names = ['roundhouse-control.roundhouse-system.svc', 'roundhouse-control.roundhouse-system.svc.cluster.local'];
const day = 24 * 60 * 60 * 1000;

describe('certificates of the control port', () => {
  it('serve TLS under the name of the Service', async () => {
    const { caCertificate, certificate, key } = await issueCertificates(undefined, names, systemClock);
    const server = createServer({ cert: certificate, key }, (socket) => socket.end('hello')).listen(0, '127.0.0.1');
    await once(server, 'listening');

    const socket = connect({
      port: (server.address() as AddressInfo).port,
      host: '127.0.0.1',
      ca: caCertificate,
      servername: names[0],
    });
    const [data] = await once(socket, 'data');

    expect(String(data)).toBe('hello');
    expect(socket.authorized).toBe(true);
    socket.destroy();
    server.close();
  });

  it('are renewed in time by the same CA, and the CA only when it nears its end', async () => {
    const clock = stepClock();
    const first = await issueCertificates(undefined, names, clock);
    expect(areCurrent(first, names, clock)).toBe(true);

    clock.advance(70 * day);
    expect(areCurrent(first, names, clock)).toBe(false);
    const second = await issueCertificates(first, names, clock);

    expect(second.caCertificate).toBe(first.caCertificate);
    expect(areCurrent(second, names, clock)).toBe(true);
    expect(new X509Certificate(second.certificate).serialNumber).not.toBe(
      new X509Certificate(first.certificate).serialNumber,
    );
    clock.advance(3500 * day);
    expect((await issueCertificates(second, names, clock)).caCertificate).not.toBe(first.caCertificate);
  });

  it('are not taken from a Secret that somebody broke, nor for another name', async () => {
    const good = await issueCertificates(undefined, names, systemClock);

    expect(areCurrent({ ...good, certificate: 'broken' }, names, systemClock)).toBe(false);
    expect(areCurrent(good, ['elsewhere.svc'], systemClock)).toBe(false);
    expect(
      areCurrent(await issueCertificates({ ...good, caCertificate: '' }, names, systemClock), names, systemClock),
    ).toBe(true);
  });
});
