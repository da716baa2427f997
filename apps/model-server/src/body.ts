import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';
import { InferenceError, invalid } from '@roundhouse/v2-protocol';

const empty = Buffer.alloc(0);
const decoders = { gzip: promisify(gunzip), deflate: promisify(inflate) };

/** The body's bytes, decompressed if need be, never more than `sizeBytesMax`. */
export async function readBody(body: unknown, encoding: string | undefined, sizeBytesMax: number): Promise<Buffer> {
  if (!Buffer.isBuffer(body)) return empty;
  if (encoding === undefined || encoding === 'identity') return body;
  if (encoding !== 'gzip' && encoding !== 'deflate')
    throw new InferenceError(
      'inference/unsupported',
      `content-encoding "${encoding}" is not supported; use gzip or deflate`,
    );
  try {
    return await decoders[encoding](body, { maxOutputLength: sizeBytesMax });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw new InferenceError('inference/too-large', `the decompressed body is larger than ${sizeBytesMax} bytes`);
    throw invalid(`the body is not valid ${encoding}`);
  }
}
