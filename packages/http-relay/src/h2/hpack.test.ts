import { connect } from 'node:http2';
import { type AddressInfo, createServer } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ownField } from '../own-field.ts';
import { until } from '../testing/rig.ts';
import { Field } from './field.ts';
import { FrameReader, frames, preface } from './frames.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { encoded } from './testing/encoded.ts';

const pairs = (block: ReturnType<HpackDecoder['block']>) => block?.fields.map(({ name, value }) => [name, value]);
const decode = (decoder: HpackDecoder, hex: string) => {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  return pairs(decoder.block(bytes, 0, bytes.length));
};

describe('HPACK', () => {
  it('reads the requests of RFC 7541 C.4, Huffman-coded and with a table', () => {
    const decoder = new HpackDecoder();
    const common = [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'www.example.com'],
    ];

    expect(decode(decoder, '828684418cf1e3c2e5f23a6ba0ab90f4ff')).toEqual(common);
    expect(decode(decoder, '828684be5886a8eb10649cbf')).toEqual([...common, ['cache-control', 'no-cache']]);
    expect(decode(decoder, '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf')).toEqual([
      [':method', 'GET'],
      [':scheme', 'https'],
      [':path', '/index.html'],
      [':authority', 'www.example.com'],
      ['custom-key', 'custom-value'],
    ]);
  });

  it.each([
    ['an index beyond the table', 'be'],
    ['index 0', '80'],
    ['a text longer than the block', '00056162'],
    ['an endless integer', 'ffffffffffffff'],
    ['a table larger than ours', '3fe21f'],
    ['a new table size behind a field', '8220'],
    ['the end mark in a text', '0001618 4ffffffff'],
    ['padding of eight ones', '000161 82 07ff'],
    ['padding that is not ones', '000161 81 00'],
    ['half a field', '40'],
  ])('refuses %s', (_, hex) => {
    expect(decode(new HpackDecoder(), hex)).toBeUndefined();
  });

  it('keeps its table right through a block whose fields are too large to keep', () => {
    const decoder = new HpackDecoder();
    const big = Buffer.concat([Buffer.from('4001617fa11e', 'hex'), Buffer.alloc(4_000, 'b')]);
    decoder.block(big, 0, big.length);
    const bomb = Buffer.alloc(16_000, 0xbe);
    const block = decoder.block(bomb, 0, bomb.length);

    expect(block?.tooLarge).toBe(true);
    expect(block?.fields.length).toBeLessThan(10);
    expect(decode(decoder, 'be')?.[0]?.[0]).toBe('a');
  });

  it('reads what it writes, whatever comes again and however the table is sized', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
    const value = fc.stringMatching(/^[ -~]{0,200}$/);
    const field = fc.tuple(name, value, fc.boolean());
    const pool = fc.array(field, { minLength: 1, maxLength: 30 });
    const blocks = fc.array(fc.tuple(fc.array(fc.nat(), { maxLength: 12 }), fc.nat(6_000)), { maxLength: 60 });
    fc.assert(
      fc.property(pool, blocks, (fields, all) => {
        const made = fields.map(([name, value, secret]) => new Field(name, value, secret));
        const [encoder, decoder] = [new HpackEncoder(), new HpackDecoder()];
        for (const [serial, [picks, size]] of all.entries()) {
          const owner = { serial };
          if (size > 4_000) encoder.resize(size - 4_000);
          const kept = picks.map((pick) => made[pick % made.length]!);
          const [own] = kept.map(({ name, value }) => ownField(name, value));
          const bytes = encoded(kept, encoder, owner, own);
          const again = encoded(kept, encoder, owner);
          const expected = kept.map(({ name, value }) => [name, value]);

          expect(pairs(decoder.block(bytes, 0, bytes.length))).toEqual([...expected, ...expected.slice(0, 1)]);
          expect(pairs(decoder.block(again, 0, again.length))).toEqual(expected);
        }
      }),
    );
  });

  it('empties a table that is full of what nobody uses any more', () => {
    const [encoder, decoder] = [new HpackEncoder(), new HpackDecoder()];
    const write = (text: string) => {
      const bytes = encoded([new Field('x', text)], encoder);
      expect(pairs(decoder.block(bytes, 0, bytes.length))).toEqual([['x', text]]);
      return bytes.length;
    };
    for (let n = 0; n < 200; n++) for (const _ of [1, 2]) write(`${n}`.padEnd(100));
    const before = write('y'.repeat(100));
    for (let n = 0; n < 1_000; n++) write('y'.repeat(100));
    for (const _ of [1, 2, 3]) write('y'.repeat(100));

    expect(before).toBeGreaterThan(100);
    expect(write('y'.repeat(100))).toBe(1);
  });

  it('knows the code of every byte, as nghttp2 writes it', async () => {
    const decoder = new HpackDecoder();
    const texts: string[] = [];
    // Text is only Huffman-coded where that makes it shorter: short codes make up for a long one.
    for (let byte = 0x21; byte < 256; byte++) {
      if (byte !== 0x7f) texts.push(`${String.fromCharCode(byte)}${'a'.repeat(40)}`);
    }
    const blocks = await sentBy(texts);

    expect(blocks.flatMap((block) => pairs(decoder.block(block, 0, block.length)) ?? [])).toEqual(
      expect.arrayContaining(texts.map((text) => ['x', text])),
    );
  });
});

/** The header blocks that Node.js' HTTP/2 client sends for requests with the field x of each text. */
async function sentBy(texts: readonly string[]): Promise<Buffer[]> {
  const blocks: Buffer[] = [];
  const reader = new FrameReader({
    onFrame(type, _flags, _id, bytes, start, end) {
      if (type === frames.headers) blocks.push(Buffer.from(bytes.subarray(start, end)));
      return true;
    },
    onFrameTooLarge() {},
  });
  let greeted = false;
  const server = createServer((socket) => {
    socket
      .on('error', () => {})
      .on('data', (chunk) => {
        reader.read(chunk, greeted ? 0 : preface.length, chunk.length);
        greeted = true;
      });
    socket.write(Buffer.from([0, 0, 0, frames.settings, 0, 0, 0, 0, 0]));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const sizes = [0, 50, 100, 150, 200];
  for (const from of sizes) client.request({ x: texts.slice(from, from + 50) }).on('error', () => {});
  await until(() => blocks.length === sizes.length);
  client.destroy();
  server.close();
  return blocks;
}
