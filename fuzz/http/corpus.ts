/** Connections of clients, as far as parsers have disagreed about such. */
const hidden = 'POST /v1/models/hidden:predict HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n';
const head = (line: string, ...fields: readonly string[]) =>
  [`${line} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n');
const predict = 'POST /v1/models/a:predict';
const get = head('GET /v2/models/b/versions/1/ready');

const connections = [
  `${head(predict, 'Content-Length: 3')}abc${get}`,
  `${head(predict, `Content-Length: ${hidden.length}`)}${hidden}${get}`,
  `${head(predict, 'Transfer-Encoding: chunked')}3;x="y"\r\nabc\r\n0\r\nX-T: 1\r\n\r\n${get}`,
  `${head(predict, 'Transfer-Encoding: chunked')}${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n${hidden}`,
  head('POST http://a/v2/models/c/infer', 'Content-Length: 0', 'Connection: keep-alive, x-a', 'X-A: 1'),
  `${head('POST /v1/models/e%3Apredict', 'Expect: 100-continue', 'Content-Length: 1')}x${head('HEAD /v2')}`,
  `POST /v2/models/d/infer HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}${get}`,
  head('GET /v2/health/live', 'TE: trailers', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk', 'Connection: close'),
];

export const seeds = (): Uint8Array[] => connections.map((text) => new Uint8Array(Buffer.from(text, 'latin1')));

export const words = [
  ...[
    '\r',
    '\n',
    '\r\n',
    '\r\n\r\n',
    '\n\n',
    '\0',
    ' ',
    '\t',
    '\x0b',
    ':',
    ';',
    ',',
    '+',
    '-',
    '0',
    '0x',
    'f',
    '%',
    '%2F',
  ],
  ...['%00', '\x80', '\xa0', '\xff', '"', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'http://b/', '*', '?', '#', '//', '..'],
  ...['\r\nContent-Length: 3', '\r\nContent-Length: 0', '\r\nContent-Length: 00', '\r\nContent-Length : 1'],
  ...['\r\nTransfer-Encoding: chunked', '\r\nTransfer-Encoding: identity', '\r\nTransfer-Encoding:\x0bchunked'],
  ...['\r\n Transfer-Encoding: chunked', '\r\nTransfer_Encoding: chunked', '\r\nTransfer-Encoding: chunked, chunked'],
  ...[
    '\r\nHost: b',
    '\r\nHost:',
    '\r\nConnection: close',
    '\r\nConnection: transfer-encoding',
    '\r\nUpgrade: websocket',
  ],
  ...[
    '\r\nExpect: 100-continue',
    '0\r\n\r\n',
    '3\r\nabc\r\n',
    '\r\nX:\r\n y',
    hidden,
    'CONNECT a:1',
    'GET',
    'PRI * HTTP/2.0',
  ],
];
