import { crc32, deflateRawSync } from 'node:zlib';

export type ArchiveEntry = {
  readonly path: string;
  readonly body?: string | Uint8Array;
  readonly type?: 'file' | 'directory' | 'symlink' | 'hardlink' | 'device';
  /** Where a link leads. */
  readonly target?: string;
  readonly executable?: boolean;
};

const tarTypes = { file: '0', hardlink: '1', symlink: '2', device: '3', directory: '5' };

/** A tar file (POSIX ustar) with exactly these entries, whatever nonsense they are. */
export function tarOf(entries: readonly ArchiveEntry[]): Buffer {
  const blocks = entries.flatMap(({ path, body = '', type = 'file', target = '', executable = false }) => {
    const content = Buffer.from(body);
    const head = Buffer.alloc(512);
    head.write(path, 0, 100);
    head.write(`${executable ? '0000755' : '0000644'}\0`, 100);
    head.write('0000000\0', 108);
    head.write('0000000\0', 116);
    head.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
    head.write('00000000000\0', 136);
    head.write('        ', 148);
    head.write(tarTypes[type], 156);
    head.write(target, 157, 100);
    head.write('ustar\x0000', 257);
    const sum = head.reduce((total, byte) => total + byte, 0);
    head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [head, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

const zipModes = { file: 0o100644, directory: 0o40755, symlink: 0o120777, hardlink: 0o100644, device: 0o20644 };

/** A zip file (APPNOTE.TXT 4.3) with exactly these entries, deflated. */
export function zipOf(entries: readonly ArchiveEntry[]): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const { path, body = '', type = 'file', target = '', executable = false } of entries) {
    const name = Buffer.from(path);
    const content = Buffer.from(type === 'symlink' ? target : body);
    const packed = deflateRawSync(content);
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(0x0800, 2); // names are UTF-8
    shared.writeUInt16LE(8, 4);
    shared.writeUInt32LE(crc32(content), 10);
    shared.writeUInt32LE(packed.length, 14);
    shared.writeUInt32LE(content.length, 18);
    shared.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), shared, name, packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE((zipModes[type] | (executable ? 0o111 : 0)) * 0x10000, 6);
    tail.writeUInt32LE(offset, 10);
    central.push(Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), shared, tail, name]));
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}
