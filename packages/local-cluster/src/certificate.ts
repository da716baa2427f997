import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

/** DER, as far as one certificate needs it: a tag, a length, the content. */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts: readonly Uint8Array[]) => der(0x30, ...parts);
const bits = (content: Uint8Array) => der(0x03, Buffer.from([0]), content);
const octets = (content: Uint8Array) => der(0x04, content);
const objectId = (hex: string) => der(0x06, Buffer.from(hex, 'hex'));
const isTrue = der(0x01, Buffer.from([255]));

const commonName = objectId('550403');
const subjectAltName = objectId('551d11');
const basicConstraints = objectId('551d13');
const ecdsaWithSha256 = sequence(objectId('2a8648ce3d040302'));

function time(epochMs: number): Buffer {
  return der(0x18, Buffer.from(`${new Date(epochMs).toISOString().replaceAll(/[-:T]|\.\d+/g, '')}`));
}

const validForMs = 10 * 365 * 24 * 3600 * 1000;

/**
 * A self-signed certificate for 127.0.0.1 and localhost with its key, both as PEM. Kubernetes clients send tokens over TLS
 * only, even on loopback; the kubeconfig carries the certificate as its own authority.
 */
export function selfSignedCertificate(nowMs: number): { readonly certificate: string; readonly key: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = sequence(der(0x31, sequence(commonName, der(0x0c, Buffer.from('roundhouse-local-cluster')))));
  const names = sequence(der(0x82, Buffer.from('localhost')), der(0x87, Buffer.from([127, 0, 0, 1])));
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1]), randomBytes(15)),
    ecdsaWithSha256,
    name,
    sequence(time(nowMs - 24 * 3600 * 1000), time(nowMs + validForMs)), // a day back: clocks differ
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(
      0xa3,
      sequence(sequence(basicConstraints, isTrue, octets(sequence(isTrue))), sequence(subjectAltName, octets(names))),
    ),
  );
  const certificate = sequence(body, ecdsaWithSha256, bits(sign('sha256', body, privateKey)));
  const lines = certificate.toString('base64').replaceAll(/(.{64})/g, '$1\n');
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines.trimEnd()}\n-----END CERTIFICATE-----\n`,
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  };
}
