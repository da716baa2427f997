const validForMs = 10 * 365 * 24 * 3600 * 1000;

/**
 * A self-signed certificate for 127.0.0.1 and localhost with its key, both as PEM. Kubernetes clients send tokens over TLS
 * only, even on loopback; the kubeconfig carries the certificate as its own authority.
 */
export async function selfSignedCertificate(
  nowMs: number,
): Promise<{ readonly certificate: string; readonly key: string }> {
  // Loaded when there is one to make, which is once in the life of a store.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=roundhouse-local-cluster',
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(nowMs - 24 * 3600 * 1000), // a day back: clocks differ
    notAfter: new Date(nowMs + validForMs),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        { type: 'ip', value: '127.0.0.1' },
      ]),
    ],
  });
  const key = x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  return { certificate: certificate.toString('pem'), key };
}
