import { type PassedOn, passOn } from '../../packages/http-relay/src/testing/offline.ts';

/** What some server reads in the bytes of one connection: methods and paths, or how many, where no more can be seen of it. */
export type Reading = { readonly lines: readonly string[] | number; readonly error: string | undefined };

/**
 * The promise: what was passed on as whole requests, one behind the other on a connection as they may go, is read by `read` as
 * just these, with nothing left over and nothing wrong; and nothing is left behind once the client is gone.
 */
export async function holdsFor(
  input: Uint8Array,
  read: (bytes: Buffer, parts: readonly PassedOn[]) => Promise<Reading>,
): Promise<string> {
  const { passed, answer, left } = passOn(cutUp(Buffer.from(input)));
  if (left !== 0) throw new Error(`${left} things are left of a connection that is gone`);
  const whole = passed.filter((one) => one.whole);
  const wanted = whole.map(({ line }) => decoded(line));
  if (whole.length > 0) {
    const { lines, error } = await read(Buffer.concat(whole.map(({ bytes }) => bytes)), whole);
    if (typeof lines === 'number' && lines !== whole.length && error === undefined) {
      throw new Error(`passed on ${JSON.stringify(wanted)}, and the server reads ${lines} requests`);
    }
    const found = typeof lines === 'number' ? wanted : lines.map(decoded);
    if (error !== undefined) throw new Error(`the server cannot read what was passed on: ${error}`);
    if (found.join('\n') !== wanted.join('\n')) {
      throw new Error(`passed on ${JSON.stringify(wanted)}, and the server reads ${JSON.stringify(found)}`);
    }
  }
  const statuses = [...answer.toString('latin1').matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status);
  return `${tally(whole.length)} of ${tally(passed.length)} whole; ${statuses.map(tally).join(' ')}`;
}

/** A number in letters: outcomes that differ only in digits count as one. */
export const tally = (value: number | string | undefined) =>
  `${value}`.replaceAll(/\d/g, (digit) => 'abcdefghij'[Number(digit)]!);

/** A model's name goes on decoded. */
const decoded = (line: string) =>
  line.replaceAll(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));

/** In packets whose size follows from the input. */
function cutUp(bytes: Buffer): Buffer[] {
  const size = bytes.length % 3 === 0 ? bytes.length : 1 + (bytes.length % 17);
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) parts.push(bytes.subarray(at, at + size));
  return parts;
}
