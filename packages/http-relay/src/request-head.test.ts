import { describe, expect, it } from 'vitest';
import { RequestHead } from './request-head.ts';
import { routes } from './route.ts';

const head = new RequestHead();

function parse(text: string): number {
  const bytes = Buffer.from(text, 'latin1');
  return head.parse(bytes, 0, bytes.length);
}

const get = (...lines: readonly string[]) => `${['GET /v2 HTTP/1.1', 'Host: a', ...lines, '', ''].join('\r\n')}`;

describe('RequestHead', () => {
  it('reads what a request asks', () => {
    const text = 'POST /v1/models/iris%3Apredict?x=1 HTTP/1.1\r\nhOST: Some.Host:8080\r\nContent-Length:  12 \r\n\r\n';

    expect(parse(text)).toBe(text.length);
    expect(head.classify(0)).toBe(true);
    expect(head.modelName()).toBe('iris');
    expect(head).toMatchObject({ bodyLength: 12, keepAlive: true, http10: false, escaped: true });
    expect(text.slice(head.hostStart, head.hostEnd)).toBe('Some.Host');
    expect(text.slice(head.pathEnd, head.targetEnd)).toBe('?x=1');
  });

  it.each<[string, string, number]>([
    ['a bare LF behind the request line', 'GET /v2 HTTP/1.1\nHost: a\r\n\r\n', -400],
    ['a bare LF behind a field', 'GET /v2 HTTP/1.1\r\nHost: a\n\r\n', -400],
    ['a bare CR in a value', get('x: a\rb'), -400],
    ['NUL in a value', get('x: a\0b'), -400],
    ['NUL in the target', 'GET /v2\0 HTTP/1.1\r\nHost: a\r\n\r\n', -400],
    ['a folded field', get('x: a', ' b'), -400],
    ['a field that begins folded', 'GET /v2 HTTP/1.1\r\n x: y\r\nHost: a\r\n\r\n', -400],
    ['a space before the colon', get('Content-Length : 5'), -400],
    ['a field without a name', get(': x'), -400],
    ['a field without a colon', get('xyz'), -400],
    ['a control character in a name', get('x\x01: y'), -400],
    ['no Host', 'GET /v2 HTTP/1.1\r\n\r\n', -400],
    ['two Hosts', get('Host: b'), -400],
    ['a Host with a path', 'GET /v2 HTTP/1.1\r\nHost: a/b\r\n\r\n', -400],
    ['a Host with user information', 'GET /v2 HTTP/1.1\r\nHost: u@a\r\n\r\n', -400],
    ['two lengths', get('Content-Length: 5', 'Content-Length: 6'), -400],
    ['two equal lengths', get('Content-Length: 5', 'Content-Length: 5'), -400],
    ['a list of lengths', get('Content-Length: 5, 5'), -400],
    ['a signed length', get('Content-Length: +5'), -400],
    ['a negative length', get('Content-Length: -5'), -400],
    ['a hexadecimal length', get('Content-Length: 0x5'), -400],
    ['an empty length', get('Content-Length: '), -400],
    ['a huge length', get('Content-Length: 99999999999999999999'), -400],
    ['length and chunked', get('Content-Length: 5', 'Transfer-Encoding: chunked'), -400],
    ['chunked and length', get('Transfer-Encoding: chunked', 'Content-Length: 5'), -400],
    ['chunked twice', get('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), -400],
    ['chunked in HTTP/1.0', 'GET /v2 HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n', -400],
    ['another coding', get('Transfer-Encoding: gzip'), -501],
    ['a list of codings', get('Transfer-Encoding: gzip, chunked'), -501],
    ['chunked behind another', get('Transfer-Encoding: chunked, identity'), -501],
    ['a disguised chunked', get('Transfer-Encoding: xchunked'), -501],
    ['a coding with a vertical tab', get('Transfer-Encoding: \x0bchunked'), -400],
    ['an unknown expectation', get('Expect: 200-ok'), -417],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', -505],
    ['HTTP/1.2', 'GET /v2 HTTP/1.2\r\nHost: a\r\n\r\n', -505],
    ['a version in small letters', 'GET /v2 http/1.1\r\nHost: a\r\n\r\n', -400],
    ['no version', 'GET /v2\r\nHost: a\r\n\r\n', -400],
    ['two spaces', 'GET  /v2 HTTP/1.1\r\nHost: a\r\n\r\n', -400],
    ['a tab for a space', 'GET\t/v2 HTTP/1.1\r\nHost: a\r\n\r\n', -400],
    ['a space in the target', 'GET /v2 /x HTTP/1.1\r\nHost: a\r\n\r\n', -400],
    ['bytes beyond ASCII in the target', 'GET /v2\xe9 HTTP/1.1\r\nHost: a\r\n\r\n', -400],
    ['a fragment', 'GET /v2#x HTTP/1.1\r\nHost: a\r\n\r\n', -400],
    ['half an escape', 'GET /v2/%4 HTTP/1.1\r\nHost: a\r\n\r\n', -400],
    ['an escape that is none', 'GET /v2/%zz HTTP/1.1\r\nHost: a\r\n\r\n', -400],
    ['a tunnel', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', -501],
    ['an asterisk', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', -400],
    ['an absolute target for another host', 'GET http://b/v2 HTTP/1.1\r\nHost: a\r\n\r\n', -400],
    ['an absolute target with user information', 'GET http://u@a/v2 HTTP/1.1\r\nHost: a\r\n\r\n', -400],
    ['another scheme', 'GET ftp://a/v2 HTTP/1.1\r\nHost: a\r\n\r\n', -400],
    ['more than 100 fields', get(...Array(100).fill('a: b')), -431],
    ['more than 32 KiB', get(`x: ${'y'.repeat(33_000)}`), -431],
    ['more than 32 KiB and no end', `GET /v2 HTTP/1.1\r\nHost: a\r\nx: ${'y'.repeat(33_000)}`, -431],
    ['an endless method', 'A'.repeat(100), -400],
  ])('refuses %s', (_, text, status) => {
    expect(parse(text)).toBe(status);
  });

  it('takes an absolute target for the host that Host names', () => {
    const text = 'GET http://A.b:80/v2/models/x HTTP/1.1\r\nHost: a.B:80\r\n\r\n';

    expect(parse(text)).toBe(text.length);
    expect(text.slice(head.pathStart, head.pathEnd)).toBe('/v2/models/x');
    expect(text.slice(head.hostStart, head.hostEnd)).toBe('A.b');
  });

  it.each([
    ['/v2/models/a%2Fb/infer', true, 0],
    ['/v2/models/a%2561/infer', true, 0],
    ['/v2/models/a%00/infer', false, 9],
    ['/v2/models/a%0d%0a/infer', false, 9],
    ['/v2/models/%61%2E%62/infer', true, 9],
  ])('decodes the model in %s once', (path, wellFormed, route) => {
    parse(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);

    expect(head.classify(0)).toBe(wellFormed);
    if (wellFormed) expect(head.route).toBe(route);
  });

  it('takes dots and what holds a colon for no model, escaped or not', () => {
    for (const name of ['%2e%2e', '.%2E', '%2e', 'iris%3Apredict']) {
      const head = new RequestHead();
      const bytes = Buffer.from(`GET /v2/models/${name}/ready HTTP/1.1\r\nHost: a\r\n\r\n`);
      head.parse(bytes, 0, bytes.length);
      head.classify(0);

      expect(head.route).toBe(routes.unknown);
    }
  });

  it('asks for more as long as nothing is wrong, byte by byte', () => {
    const text = 'POST /v1/models/m:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n';
    const bytes = Buffer.from(text);

    for (let end = 0; end < bytes.length; end++) expect(head.parse(bytes, 0, end)).toBe(0);
    expect(head.parse(bytes, 0, bytes.length)).toBe(bytes.length);
  });
});
