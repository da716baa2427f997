/** An object is at most 1.5 MiB in etcd; escaped, with managed fields, it stays under this. */
const lineBytesMax = 16 * 1024 * 1024;

const newline = 10;

/** One value for each line. A last line without its end is dropped: the stream broke in the middle of it. */
export async function* parseJsonLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  let head: Uint8Array[] = [];
  let headBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      const line = Buffer.concat([...head, chunk.subarray(start, end)]).toString();
      head = [];
      headBytes = 0;
      start = end + 1;
      if (line.trim() !== '') yield JSON.parse(line);
    }
    if (start === chunk.byteLength) continue;
    head.push(chunk.subarray(start));
    headBytes += chunk.byteLength - start;
    if (headBytes > lineBytesMax) throw new Error(`a line of more than ${lineBytesMax} bytes`);
  }
}
