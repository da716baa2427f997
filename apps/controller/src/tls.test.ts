import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { systemClock } from '@roundhouse/base';
import { stepClock } from '@roundhouse/testkit';
import { describe, expect, it } from 'vitest';
import { type Certificates, renewed, trusted } from './tls.ts';

const names = ['roundhouse-control.roundhouse-system.svc', 'roundhouse-control.roundhouse-system.svc.cluster.local'];
const day = 24 * 60 * 60 * 1000;

const count = (bundle: string) => bundle.match(/BEGIN CERTIFICATE/g)?.length ?? 0;

/** Whether a peer that trusts `bundle` trusts what the server shows. */
function isTrusted({ certificate }: Certificates, bundle: string): boolean {
  const authorities = bundle.split(/(?<=-----END CERTIFICATE-----\n)/).map((text) => new X509Certificate(text));
  const shown = new X509Certificate(certificate);
  return authorities.some((authority) => shown.verify(authority.publicKey));
}

describe('certificates of the control port', () => {
  it('serve TLS under the name of the Service', async () => {
    const issued = await renewed(undefined, names, systemClock);
    const { certificate: cert, key } = issued;
    const server = createServer({ cert, key }, (socket) => socket.end('hello')).listen(0, '127.0.0.1');
    await once(server, 'listening');

    const { port } = server.address() as AddressInfo;
    const socket = connect({ port, host: '127.0.0.1', ca: trusted(issued, systemClock), servername: names[0] });
    const [data] = await once(socket, 'data');

    expect(String(data)).toBe('hello');
    expect(socket.authorized).toBe(true);
    socket.destroy();
    server.close();
  });

  it('are renewed in time, by the same CA', async () => {
    const clock = stepClock();
    const first = await renewed(undefined, names, clock);
    expect(await renewed(first, names, clock)).toBe(first);

    clock.advance(70 * day);
    const second = await renewed(first, names, clock);

    expect(second.caCertificate).toBe(first.caCertificate);
    expect(second.certificate).not.toBe(first.certificate);
    expect(await renewed(second, names, clock)).toBe(second);
  });

  it('are trusted all the way from one CA to the next, by peers that learn of it a day later', async () => {
    const clock = stepClock();
    let current = await renewed(undefined, names, clock);
    const authorities = new Set<string>();
    const bundles = [trusted(current, clock)];
    for (let hours = 0; hours < 3640 * 24; hours += 23) {
      clock.advance(23 * 60 * 60 * 1000);
      current = await renewed(current, names, clock);
      authorities.add(current.caCertificate);
      bundles.push(trusted(current, clock));
      const dayOld = bundles.at(-2) ?? '';
      expect(isTrusted(current, dayOld)).toBe(true);
      expect(count(bundles.at(-1) ?? '')).toBeLessThanOrEqual(2);
    }

    expect(authorities.size).toBe(2);
    expect(count(bundles.at(-1) ?? '')).toBe(2);
    clock.advance(90 * day);
    expect(count(trusted(current, clock))).toBe(1);
  });

  it('begin anew when all have ended', async () => {
    const clock = stepClock();
    const first = await renewed(undefined, names, clock);
    clock.advance(3700 * day);
    const second = await renewed(first, names, clock);

    expect(trusted(first, clock)).toBe('');
    expect(isTrusted(second, trusted(second, clock))).toBe(true);
  });

  it('are not taken from a Secret that somebody broke, nor for another name', async () => {
    const good = await renewed(undefined, names, systemClock);
    const broken = await renewed({ ...good, certificate: 'broken' }, names, systemClock);
    const headless = await renewed({ ...good, caCertificate: '' }, names, systemClock);
    const elsewhere = await renewed(good, ['elsewhere.svc'], systemClock);

    expect(broken.caCertificate).toBe(good.caCertificate);
    for (const each of [broken, headless, elsewhere]) expect(isTrusted(each, trusted(each, systemClock))).toBe(true);
    expect(new X509Certificate(elsewhere.certificate).checkHost('elsewhere.svc')).toBe('elsewhere.svc');
  });
});
