import { type webcrypto, X509Certificate } from 'node:crypto';
import type { Clock } from '@roundhouse/base';

/** PEM texts, as the Secret holds them; '' for what there is none of. */
export type Certificates = {
  readonly caCertificate: string;
  readonly caKey: string;
  readonly certificate: string;
  readonly key: string;
  /** The CA that will sign once everybody trusts it. */
  readonly nextCaCertificate: string;
  readonly nextCaKey: string;
  /** The CA that signed before: connections may still be offered what it signed. */
  readonly previousCaCertificate: string;
};

type Ca = Pick<Certificates, 'caCertificate' | 'caKey'>;

const dayMs = 24 * 60 * 60 * 1000;
const caDays = 3650;
const serverDays = 90;
const renewDaysBefore = 30;

/** Kubelets take minutes to show a changed ConfigMap; a node that is away comes back within a day or starts its pods anew. */
const overlapMs = dayMs;

/**
 * The next step of certificates that serve `names`; `before` itself when none is due. A CA near its end gets a successor, which
 * is trusted for `overlapMs` before it signs anything; the old one stays trusted until it ends.
 */
export async function renewed(
  before: Certificates | undefined,
  names: readonly string[],
  clock: Clock,
): Promise<Certificates> {
  const none = { nextCaCertificate: '', nextCaKey: '', previousCaCertificate: '' };
  if (before === undefined || daysLeft(before.caCertificate, clock) <= 0 || before.caKey === '') {
    const ca = await newCa(clock);
    return { ...none, ...ca, ...(await serverFor(ca, names, clock)) };
  }
  const startedMs = startOf(before.nextCaCertificate);
  if (startedMs !== undefined && before.nextCaKey !== '' && clock.now() >= startedMs + overlapMs) {
    const ca = { caCertificate: before.nextCaCertificate, caKey: before.nextCaKey };
    const server = await serverFor(ca, names, clock);
    return { ...none, ...ca, ...server, previousCaCertificate: before.caCertificate };
  }
  let after = before;
  if (daysLeft(before.caCertificate, clock) < serverDays + renewDaysBefore && startedMs === undefined) {
    const { caCertificate, caKey } = await newCa(clock);
    after = { ...after, nextCaCertificate: caCertificate, nextCaKey: caKey };
  }
  if (!serves(before, names, clock)) after = { ...after, ...(await serverFor(before, names, clock)) };
  return after;
}

/** All CA certificates that peers are to trust now. */
export function trusted(certificates: Certificates, clock: Clock): string {
  const { caCertificate, nextCaCertificate, previousCaCertificate } = certificates;
  return [caCertificate, nextCaCertificate, previousCaCertificate]
    .filter((certificate) => daysLeft(certificate, clock) > 0)
    .map((certificate) => `${certificate.trim()}\n`)
    .join('');
}

/** Whether the server's certificate is good for `names` for a while to come. */
function serves({ caCertificate, certificate }: Certificates, names: readonly string[], clock: Clock): boolean {
  try {
    const server = new X509Certificate(certificate);
    return (
      daysLeft(certificate, clock) > renewDaysBefore &&
      server.verify(new X509Certificate(caCertificate).publicKey) &&
      names.every((name) => server.checkHost(name) !== undefined)
    );
  } catch {
    return false; // not a certificate: somebody edited the Secret
  }
}

function daysLeft(certificate: string, clock: Clock): number {
  try {
    return (Date.parse(new X509Certificate(certificate).validTo) - clock.now()) / dayMs;
  } catch {
    return 0;
  }
}

/** When a CA was made: it is valid from a day earlier, since clocks differ. */
function startOf(certificate: string): number | undefined {
  try {
    return Date.parse(new X509Certificate(certificate).validFrom) + dayMs;
  } catch {
    return undefined;
  }
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const newKeys = () => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
const subject = 'CN=Roundhouse control';

/** Only a leader with something to issue needs the library, and the library needs the polyfill. */
async function library() {
  await import('reflect-metadata');
  return await import('@peculiar/x509');
}

const validity = (days: number, clock: Clock) => ({
  notBefore: new Date(clock.now() - dayMs),
  notAfter: new Date(clock.now() + days * dayMs),
});

async function newCa(clock: Clock): Promise<Ca> {
  const x509 = await library();
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: subject,
    keys,
    signingAlgorithm: algorithm,
    ...validity(caDays, clock),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      // Two CAs of one name are told apart by their keys.
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { caCertificate: certificate.toString('pem'), caKey: await pem(keys.privateKey) };
}

async function serverFor({ caCertificate, caKey }: Ca, names: readonly string[], clock: Clock) {
  const x509 = await library();
  const der = x509.PemConverter.decodeFirst(caKey);
  const signingKey = await crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
  const issuer = new x509.X509Certificate(caCertificate);
  const keys = await newKeys();
  const server = await x509.X509CertificateGenerator.create({
    subject: `CN=${names[0]}`,
    issuer: subject,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    ...validity(serverDays, clock),
    extensions: [
      new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value }))),
      new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1']), // server authentication
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificate: server.toString('pem'), key: await pem(keys.privateKey) };
}

async function pem(key: webcrypto.CryptoKey): Promise<string> {
  const { PemConverter } = await library();
  return PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}
