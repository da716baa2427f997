import { createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import { readByNode } from './testing/node-reading.ts';
import { passOn } from './testing/offline.ts';

const smuggled = 'POST /v1/models/hidden:predict HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n';
const head = (...lines: readonly string[]) => ['POST /v1/models/a:predict HTTP/1.1', ...lines, '', ''].join('\r\n');
const length = smuggled.length;

/** Requests that one parser ends here and another there. What is refused goes no further; what is passed on has one reading. */
const corpus: readonly (readonly [string, string, 'refused' | 'one' | 'two'])[] = [
  [
    'CL.TE',
    `${head('Host: a', `Content-Length: ${5 + length}`, 'Transfer-Encoding: chunked')}0\r\n\r\n${smuggled}`,
    'refused',
  ],
  ['TE.CL', `${head('Host: a', 'Transfer-Encoding: chunked', 'Content-Length: 4')}0\r\n\r\n${smuggled}`, 'refused'],
  [
    'TE.TE',
    `${head('Host: a', 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity')}0\r\n\r\n${smuggled}`,
    'refused',
  ],
  ['TE list', `${head('Host: a', 'Transfer-Encoding: gzip, chunked')}0\r\n\r\n${smuggled}`, 'refused'],
  ['TE with a tab', `${head('Host: a', 'Transfer-Encoding:\tchunked')}0\r\n\r\n${smuggled}`, 'two'],
  ['TE with a vertical tab', `${head('Host: a', 'Transfer-Encoding:\x0bchunked')}0\r\n\r\n`, 'refused'],
  ['TE with a trailing NUL', `${head('Host: a', 'Transfer-Encoding: chunked\0')}0\r\n\r\n`, 'refused'],
  ['TE in quotes', `${head('Host: a', 'Transfer-Encoding: "chunked"')}0\r\n\r\n`, 'refused'],
  ['TE that is nearly chunked', head('Host: a', 'Transfer-Encoding: xchunked', 'Content-Length: 0'), 'refused'],
  ['TE in HTTP/1.0', `${head('Host: a', 'Transfer-Encoding: chunked').replace('1.1', '1.0')}0\r\n\r\n`, 'refused'],
  ['TE with an underscore', head('Host: a', 'Transfer_Encoding: chunked', 'Content-Length: 0') + smuggled, 'two'],
  ['TE before the colon', `${head('Host: a', 'Transfer-Encoding : chunked')}0\r\n\r\n`, 'refused'],
  ['TE in capitals', `${head('Host: a', 'TRANSFER-ENCODING: CHUNKED')}0\r\n\r\n${smuggled}`, 'two'],
  ['two lengths that differ', head('Host: a', 'Content-Length: 0', `Content-Length: ${length}`) + smuggled, 'refused'],
  ['two lengths that agree', head('Host: a', 'Content-Length: 0', 'Content-Length: 0') + smuggled, 'refused'],
  ['a list of lengths', head('Host: a', 'Content-Length: 0, 0') + smuggled, 'refused'],
  ['a signed length', head('Host: a', 'Content-Length: +0') + smuggled, 'refused'],
  ['a negative length', head('Host: a', 'Content-Length: -1') + smuggled, 'refused'],
  ['a hexadecimal length', head('Host: a', 'Content-Length: 0x10') + smuggled, 'refused'],
  ['a huge length', head('Host: a', 'Content-Length: 18446744073709551616') + smuggled, 'refused'],
  ['a length with leading zeros', head('Host: a', 'Content-Length: 0000') + smuggled, 'two'],
  ['an empty length', head('Host: a', 'Content-Length: ') + smuggled, 'refused'],
  ['a length with a space inside', head('Host: a', 'Content-Length: 1 0') + smuggled, 'refused'],
  ['obs-fold of a framing field', `${head('Host: a', 'Transfer-Encoding:', ' chunked')}0\r\n\r\n`, 'refused'],
  ['obs-fold of any field', head('Host: a', 'X: 1', '\tContent-Length: 9'), 'refused'],
  ['a space before the first field', head(' Host: a', 'Content-Length: 0'), 'refused'],
  ['bare LF between fields', 'POST /v1/models/a:predict HTTP/1.1\nHost: a\nContent-Length: 0\n\n', 'refused'],
  ['bare LF in one field', head('Host: a\nContent-Length: 9', 'X: 1'), 'refused'],
  ['bare CR in a field', head('Host: a', 'X: 1\rContent-Length: 9'), 'refused'],
  ['NUL in a field', head('Host: a', 'X: a\0b'), 'refused'],
  ['NUL in a name', head('Host: a', 'X\0: a'), 'refused'],
  ['NUL in the target', head('Host: a').replace('/a:', '/a\0:'), 'refused'],
  ['a chunk size with a sign', `${head('Host: a', 'Transfer-Encoding: chunked')}+0\r\n\r\n${smuggled}`, 'refused'],
  ['a chunk size with 0x', `${head('Host: a', 'Transfer-Encoding: chunked')}0x3\r\nabc\r\n0\r\n\r\n`, 'refused'],
  ['a chunk size with a space', `${head('Host: a', 'Transfer-Encoding: chunked')}3 \r\nabc\r\n0\r\n\r\n`, 'refused'],
  ['a huge chunk size', `${head('Host: a', 'Transfer-Encoding: chunked')}10000000000000000\r\nabc`, 'refused'],
  ['a chunk that ends in LF', `${head('Host: a', 'Transfer-Encoding: chunked')}3\nabc\r\n0\r\n\r\n`, 'refused'],
  ['a chunk longer than it says', `${head('Host: a', 'Transfer-Encoding: chunked')}3\r\nabcd\r\n0\r\n\r\n`, 'refused'],
  [
    'a line end in an extension',
    `${head('Host: a', 'Transfer-Encoding: chunked')}3;a\nb\r\nabc\r\n0\r\n\r\n`,
    'refused',
  ],
  ['an extension', `${head('Host: a', 'Transfer-Encoding: chunked')}3;a="b"\r\nabc\r\n0\r\n\r\n${smuggled}`, 'two'],
  [
    'a length in a trailer',
    `${head('Host: a', 'Transfer-Encoding: chunked')}0\r\nContent-Length: 9\r\n\r\n${smuggled}`,
    'two',
  ],
  ['absolute form', head('Host: a', 'Content-Length: 0').replace(' /v1', ' http://a/v1') + smuggled, 'two'],
  [
    'absolute form for another host',
    head('Host: a', 'Content-Length: 0').replace(' /v1', ' http://b/v1') + smuggled,
    'refused',
  ],
  ['two hosts', head('Host: a', 'Host: b', 'Content-Length: 0'), 'refused'],
  ['two hosts that agree', head('Host: a', 'Host: a', 'Content-Length: 0'), 'refused'],
  ['no host', head('Content-Length: 0'), 'refused'],
  ['a host with a path', head('Host: a/b', 'Content-Length: 0'), 'refused'],
  ['a host with a user', head('Host: u@a', 'Content-Length: 0'), 'refused'],
  [
    'framing named by Connection',
    `${head('Host: a', 'Connection: content-length', 'Content-Length: 3')}abc${smuggled}`,
    'two',
  ],
  [
    'a body on GET',
    `${head('Host: a', `Content-Length: ${length}`).replace('POST', 'GET').replace(':predict', '')}${smuggled}`,
    'one',
  ],
  ['an upgrade', head('Host: a', 'Connection: upgrade', 'Upgrade: h2c', 'Content-Length: 0') + smuggled, 'two'],
  ['HTTP/1.2', head('Host: a').replace('1.1', '1.2'), 'refused'],
  ['HTTP/0.9', 'GET /v2\r\n\r\n', 'refused'],
  ['a version without a number', head('Host: a').replace('HTTP/1.1', 'HTTP/'), 'refused'],
  ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n', 'refused'],
  ['a second line before the request', `\r\n\r\n${head('Host: a', 'Content-Length: 0')}`, 'refused'],
  ['white space in the request line', head('Host: a', 'Content-Length: 0').replace(' /v1', '  /v1'), 'refused'],
];

describe('a request that could be read in two ways', () => {
  const server = createServer();

  it.each(corpus)('%s', async (_, text, expected) => {
    const { passed, answer } = passOn([Buffer.from(text, 'latin1')]);
    const whole = passed.filter((one) => one.whole);

    expect(whole).toHaveLength({ refused: 0, one: 1, two: 2 }[expected]);
    if (expected === 'refused') expect(answer.toString()).toMatch(/^HTTP\/1.1 (400|417|431|501|505) /);
    // On one connection, one behind the other, as they may go: the same requests, and nothing is left over.
    const reading = await readByNode(server, Buffer.concat(whole.map(({ bytes }) => bytes)));
    expect(reading.error).toBeUndefined();
    expect(reading.requests.map(({ line }) => line)).toEqual(whole.map(({ line }) => line));
  });

  it.each(corpus)('%s, byte by byte', (_, text) => {
    const bytes = Buffer.from(text, 'latin1');
    const pieces = Array.from(bytes, (byte) => Buffer.from([byte]));
    // What is broken further on may have been begun, and is withdrawn.
    const lines = (parts: readonly Buffer[]) =>
      passOn(parts)
        .passed.filter(({ whole }) => whole)
        .map(({ line }) => line);

    expect(lines(pieces)).toEqual(lines([bytes]));
  });
});
