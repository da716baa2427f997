/**
 * Lengths of the codes of the bytes 0 to 255 and of the end mark, from RFC 7541 appendix B. The code is canonical: within one
 * length the codes ascend with the symbols, so that the lengths say it all.
 */
const codeLengths = [
  ...[13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28],
  ...[28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15],
  ...[6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6],
  ...[15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22],
  ...[20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23],
  ...[23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22],
  ...[22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26],
  ...[27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27],
  ...[26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30],
];
const endMark = 256;

/** A machine that reads four bits at a time; a state is an inner node of the code's tree. The shortest code has five bits. */
const next = new Int16Array(endMark * 16);
const emitted = new Int16Array(endMark * 16).fill(-1);
/** Where a text may end: up to seven ones behind the last symbol. */
const final = new Uint8Array(endMark);
build();

function build(): void {
  const children: [number, number][] = [[0, 0]]; // inner nodes are positive, leaves are -1 - symbol
  const order = codeLengths.map((_, symbol) => symbol).sort((a, b) => codeLengths[a]! - codeLengths[b]! || a - b);
  let code = 0;
  let length = codeLengths[order[0]!]!;
  for (const symbol of order) {
    code *= 2 ** (codeLengths[symbol]! - length);
    length = codeLengths[symbol]!;
    let node = 0;
    for (let bit = length - 1; bit >= 0; bit--) {
      const side = Math.floor(code / 2 ** bit) % 2;
      if (bit === 0) children[node]![side] = -1 - symbol;
      else {
        if (children[node]![side] === 0) children[node]![side] = children.push([0, 0]) - 1;
        node = children[node]![side]!;
      }
    }
    code++;
  }
  for (let state = 0; state < children.length; state++) {
    for (let bits = 0; bits < 16; bits++) {
      let node = state;
      for (let bit = 3; bit >= 0 && node >= 0; bit--) {
        node = children[node]![(bits >> bit) & 1]!;
        if (node >= 0) continue;
        if (node === -1 - endMark) break;
        emitted[state * 16 + bits] = -1 - node;
        node = 0;
      }
      next[state * 16 + bits] = node < 0 ? -1 : node;
    }
  }
  for (let node = 0, ones = 0; ones < 8; ones++, node = children[node]![1]) final[node] = 1;
}

/** Decodes `[start, end)` into `target`. Returns the length, or -1 when it is no text or too long for `target`. */
export function huffmanDecode(bytes: Uint8Array, start: number, end: number, target: Uint8Array): number {
  let state = 0;
  let length = 0;
  for (let at = start * 2; at < end * 2; at++) {
    const byte = bytes[at >> 1]!;
    const step = state * 16 + ((at & 1) === 0 ? byte >> 4 : byte & 15);
    const symbol = emitted[step]!;
    if (symbol >= 0) {
      if (length === target.length) return -1;
      target[length++] = symbol;
    }
    state = next[step]!;
    if (state < 0) return -1;
  }
  return final[state] === 1 ? length : -1;
}
