import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jsonPage, metricsPage, type PageServer, servePages, textPage } from './pages.ts';

let server: PageServer;

beforeAll(async () => {
  server = await servePages(
    { host: '127.0.0.1', port: 0 },
    {
      '/readyz': () => textPage('not ready\n', 503),
      '/metrics': async () => metricsPage('up 1\n'),
      '/models': () => jsonPage([{ name: 'a' }]),
      '/broken': () => {
        throw new Error('no disk');
      },
    },
  );
});
afterAll(() => server.close());

async function ask(path: string, method = 'GET') {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  return [response.status, response.headers.get('content-type'), await response.text()];
}

describe('the pages of a process', () => {
  it.each([
    ['/readyz', 503, 'text/plain; charset=utf-8', 'not ready\n'],
    ['/metrics?x=1', 200, 'text/plain; version=0.0.4; charset=utf-8', 'up 1\n'],
    ['/models', 200, 'application/json', '[{"name":"a"}]'],
    ['/broken', 500, 'application/json', '{"error":"no disk"}'],
    ['/toString', 404, 'application/json', '{"error":"there is /readyz, /metrics, /models, /broken"}'],
  ])('answer %s with %i', async (path, ...answer) => {
    expect(await ask(path)).toEqual(answer);
  });

  it('are read, not written', async () => {
    expect(await ask('/models', 'POST')).toEqual([405, 'application/json', '{"error":"this path takes GET"}']);
  });
});
