/** The hash once more, in BigInt, from its description alone. Shares no code with the kernels. */
const mask = (1n << 64n) - 1n;
const k1 = 0xa0761d6478bd642fn;
const k2 = 0xe7037ed1a0b428dbn;
const k3 = 0x8ebc6af09c88c6e3n;
const rotl = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (64n - by))) & mask;

function mix(from: bigint): bigint {
  let x = ((from ^ (from >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
  x = ((x ^ (x >> 27n)) * 0x94d049bb133111ebn) & mask;
  return x ^ (x >> 31n);
}

/** What a key value looks like in JavaScript: DOUBLE a number, integers a bigint. */
export type KeyValue = null | boolean | bigint | number | string;

export function rawHash(value: KeyValue): bigint {
  if (value === null) return 0x9ae16a3b2f90404fn;
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'bigint') return BigInt.asUintN(64, value);
  if (typeof value === 'string') return rawString(new TextEncoder().encode(value));
  if (Number.isNaN(value)) return 0x7ff8000000000000n;
  return new BigUint64Array(new Float64Array([value === 0 ? 0 : value]).buffer)[0] as bigint;
}

export function hashKey(values: readonly KeyValue[], seed: bigint): bigint {
  let hash = 0n;
  values.forEach((value, i) => {
    const raw = rawHash(value);
    hash = i === 0 ? mix(raw ^ seed) : mix(((rotl(hash, 5n) * 0x9e3779b97f4a7c15n) & mask) ^ raw);
  });
  return hash;
}

function rawString(bytes: Uint8Array): bigint {
  const n = bytes.length;
  const word = (at: number, size = 8): bigint => {
    let x = 0n;
    for (let i = size - 1; i >= 0; i--) x = (x << 8n) | BigInt(bytes[at + i] ?? 0);
    return x;
  };
  if (n <= 12) {
    let x = ((word(0) ^ k1) * k2) & mask;
    x = (((x ^ (x >> 32n)) + (word(8, 4) | (BigInt(n) << 32n))) * k3) & mask;
    return x ^ (x >> 29n);
  }
  let a = k1 ^ ((BigInt(n) * k3) & mask);
  let b = k2;
  let at = 0;
  for (; at + 16 <= n; at += 16) {
    a = rotl(((a ^ word(at)) * k2) & mask, 27n);
    b = rotl(((b ^ word(at + 8)) * k3) & mask, 31n);
  }
  if (at + 8 < n) a = rotl(((a ^ word(at)) * k2) & mask, 27n);
  b = ((b ^ word(n - 8)) * k1) & mask;
  const x = ((a ^ (b >> 29n) ^ b) * k3) & mask;
  return x ^ (x >> 32n);
}
