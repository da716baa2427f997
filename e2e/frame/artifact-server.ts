import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { constantModel } from '@roundhouse/testkit';

export type ArtifactServer = {
  readonly port: number;
  close(): Promise<void>;
};

/** The path of an artifact that answers `value`, or of the first half of one, that takes `delayMs` to come. */
export const artifactPath = (name: string, value: number | 'corrupt', delayMs = 0) =>
  `/${value}/after-${delayMs}/${name}/model.json`;

/** An HTTP server of artifacts. */
export async function startArtifactServer(host = '127.0.0.1', port = 0): Promise<ArtifactServer> {
  const server = createServer((request, response) => {
    const [, value, delayMs] = /^\/(\d+|corrupt)\/after-(\d+)\/[^/]+\/model\.json$/.exec(request.url ?? '') ?? [];
    const whole = constantModel(value === 'corrupt' ? 0 : Number(value));
    const content = value === 'corrupt' ? whole.slice(0, whole.length / 2) : whole;
    const head = { 'content-length': String(Buffer.byteLength(content)), etag: `"${value}"` };
    setTimeout(
      () => response.writeHead(value === undefined ? 404 : 200, head).end(request.method === 'HEAD' ? '' : content),
      request.method === 'HEAD' ? 0 : Number(delayMs),
    );
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
