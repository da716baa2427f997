import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { constantModel } from '@roundhouse/testkit';

export type ArtifactServer = {
  /** The URI of an artifact that answers `value` and takes `delayMs` to come. */
  uri(value: number, delayMs?: number): string;
  close(): Promise<void>;
};

/** An HTTP server whose artifacts take their time. */
export async function startArtifactServer(): Promise<ArtifactServer> {
  const server = createServer((request, response) => {
    const [, value, delayMs] = /^\/(\d+)\/after-(\d+)\/model\.json$/.exec(request.url ?? '') ?? [];
    const content = constantModel(Number(value));
    const head = { 'content-length': String(Buffer.byteLength(content)), etag: `"${value}"` };
    setTimeout(
      () => response.writeHead(value === undefined ? 404 : 200, head).end(request.method === 'HEAD' ? '' : content),
      request.method === 'HEAD' ? 0 : Number(delayMs),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    uri: (value, delayMs = 0) => `http://127.0.0.1:${port}/${value}/after-${delayMs}/model.json`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
