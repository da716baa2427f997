import { type LookupAddress, lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { StorageError } from './error.ts';

/** Where clouds keep what a machine may know about itself, its credentials above all. No artifact lives there. */
const refused = new BlockList();
refused.addSubnet('169.254.0.0', 16, 'ipv4'); // link-local: AWS, Google, Azure, ECS task credentials
refused.addAddress('100.100.100.200', 'ipv4'); // Alibaba
refused.addAddress('168.63.129.16', 'ipv4'); // Azure's wire server
refused.addAddress('192.0.0.192', 'ipv4'); // Oracle
refused.addSubnet('fe80::', 10, 'ipv6'); // link-local
refused.addSubnet('fd00:ec2::', 32, 'ipv6'); // AWS over IPv6
refused.addAddress('fd20:ce::254', 'ipv6'); // Google over IPv6
refused.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6'); // 169.254.0.0/16 through NAT64

export function isRefusedAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && refused.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** A host that is an address already is never looked up, so it is checked before connecting. */
export function checkHost(url: URL): void {
  if (isRefusedAddress(url.hostname.replace(/^\[|\]$/g, ''))) throw refusal(url.hostname);
}

/** `dns.lookup` that fails for a name with a refused address: checked on what is connected to, so no second answer slips by. */
export const checkedLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    if (error) return callback(error, []);
    if (addresses.some(({ address }) => isRefusedAddress(address))) return callback(refusal(hostname), []);
    if (options.all) return callback(null, addresses);
    const first = addresses[0]; // a lookup without error has an address
    callback(null, first?.address ?? '', first?.family);
  });
};

function refusal(host: string) {
  return new StorageError('refused', `${host} is a link-local or metadata address: artifacts are not read from there`);
}
