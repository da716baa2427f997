/** Memory for what is under way, in pieces of one size that go round: making and collecting them would cost more than filling them. */
export const boxSize = 256 * 1024;
/** Kept for later; more are in use only while somebody is slow. */
const spareMax = 32;

const spare: Buffer[] = [];

export const takeBox = (): Buffer => spare.pop() ?? Buffer.allocUnsafeSlow(boxSize);

/** Nobody refers to it any more. */
export function giveBox(box: Buffer): void {
  if (spare.length < spareMax) spare.push(box);
}
