import { type webcrypto, X509Certificate } from 'node:crypto';
import type { Clock } from '@roundhouse/base';

/** PEM texts, as the Secret holds them. */
export type Certificates = {
  readonly caCertificate: string;
  readonly caKey: string;
  readonly certificate: string;
  readonly key: string;
};

const dayMs = 24 * 60 * 60 * 1000;
const caDays = 3650;
const serverDays = 90;
/** Far longer than any copy of the certificate takes to arrive. */
const renewDaysBefore = 30;

/** Whether `certificates` serve `names` for a while to come. */
export function areCurrent(
  { caCertificate, certificate }: Certificates,
  names: readonly string[],
  clock: Clock,
): boolean {
  try {
    const server = new X509Certificate(certificate);
    const ca = new X509Certificate(caCertificate);
    const renewAt = Math.min(Date.parse(server.validTo), Date.parse(ca.validTo)) - renewDaysBefore * dayMs;
    return (
      renewAt > clock.now() &&
      server.verify(ca.publicKey) &&
      names.every((name) => server.checkHost(name) !== undefined)
    );
  } catch {
    return false; // not a certificate: somebody edited the Secret
  }
}

/** A server certificate for `names`, by the CA of `before` while that lasts, else by a new one. */
export async function issueCertificates(
  before: Certificates | undefined,
  names: readonly string[],
  clock: Clock,
): Promise<Certificates> {
  // Only a leader with something to issue needs the library, and the library needs the polyfill.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const newKeys = () => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const pem = async (key: webcrypto.CryptoKey) =>
    x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
  const validity = (days: number) => ({
    notBefore: new Date(clock.now() - dayMs), // clocks differ
    notAfter: new Date(clock.now() + days * dayMs),
  });
  const subject = 'CN=Roundhouse control';

  const newCa = async () => {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: subject,
      keys,
      signingAlgorithm: algorithm,
      ...validity(caDays),
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      ],
    });
    return { caCertificate: certificate.toString('pem'), caKey: await pem(keys.privateKey) };
  };

  const reusable = before !== undefined && lasts(before, clock);
  const { caCertificate, caKey } = reusable ? before : await newCa();
  const signingKey = await crypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(caKey), algorithm, false, [
    'sign',
  ]);
  const keys = await newKeys();
  const server = await x509.X509CertificateGenerator.create({
    subject: `CN=${names[0]}`,
    issuer: subject,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    ...validity(serverDays),
    extensions: [
      new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value }))),
      new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1']), // server authentication
    ],
  });
  return { caCertificate, caKey, certificate: server.toString('pem'), key: await pem(keys.privateKey) };
}

/** Whether the CA outlives a server certificate that it would sign now. */
function lasts({ caCertificate, caKey }: Certificates, clock: Clock): boolean {
  try {
    return (
      caKey !== '' &&
      Date.parse(new X509Certificate(caCertificate).validTo) > clock.now() + (serverDays + renewDaysBefore) * dayMs
    );
  } catch {
    return false;
  }
}
