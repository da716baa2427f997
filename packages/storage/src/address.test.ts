import { describe, expect, it } from 'vitest';
import { checkedLookup, isRefusedAddress } from './address.ts';

describe('isRefusedAddress', () => {
  it.each([
    ...['169.254.169.254', '169.254.170.2', '100.100.100.200', '168.63.129.16', '192.0.0.192'],
    ...['fe80::1', 'fd00:ec2::254', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '64:ff9b::a9fe:a9fe', 'fd20:ce::254'],
  ])('refuses %s', (address) => {
    expect(isRefusedAddress(address)).toBe(true);
  });

  it.each(['127.0.0.1', '10.0.0.1', '192.168.1.1', '8.8.8.8', '::1', 'fd12::1', '2001:db8::1', 'models.example.com'])(
    'lets %s pass',
    (address) => {
      expect(isRefusedAddress(address)).toBe(false);
    },
  );
});

describe('checkedLookup', () => {
  const look = (host: string, all: boolean) =>
    new Promise((resolve, reject) =>
      checkedLookup(host, { all }, (error, address) => (error ? reject(error) : resolve(address))),
    );

  it('answers in both forms that sockets ask for', async () => {
    expect(await look('127.0.0.1', false)).toBe('127.0.0.1');
    expect(await look('127.0.0.1', true)).toEqual([{ address: '127.0.0.1', family: 4 }]);
  });

  it('fails for a name that leads to a metadata address', async () => {
    await expect(look('169.254.169.254', true)).rejects.toMatchObject({ code: 'storage/refused' });
  });
});
