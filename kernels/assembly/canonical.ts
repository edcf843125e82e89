// What hashing and state must agree on: canonical bits, the NULL tag, the mixer, the hash of a string's bytes. Inlined, not
// exported from the .wasm. All of it is a file format (hash.ts).

export const nullTag: u64 = 0x9ae16a3b2f90404f;
const nan: u64 = 0x7ff8000000000000;

const k1: u64 = 0xa0761d6478bd642f;
const k2: u64 = 0xe7037ed1a0b428db;
const k3: u64 = 0x8ebc6af09c88c6e3;

/** −0 as 0 and one NaN. */
// @ts-ignore: decorator
@inline
export function canonicalBits(value: f64): u64 {
  return value != value ? nan : reinterpret<u64>(value + 0.0);
}

// @ts-ignore: decorator
@inline
export function mix(x: u64): u64 {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/**
 * A string's raw hash, by its bytes. Up to 12 bytes: the view's two words (inline bytes are zero-padded). Longer: two
 * lanes of 8 bytes each, 16 bytes a turn, then the last 8 bytes (overlapping).
 */
// @ts-ignore: decorator
@inline
export function rawView(view: usize): u64 {
  const length = load<u32>(view);
  if (length <= 12) {
    const low = load<u64>(view, 4);
    const high = <u64>load<u32>(view, 12) | (<u64>length << 32);
    let x = (low ^ k1) * k2;
    x = ((x ^ (x >> 32)) + high) * k3;
    return x ^ (x >> 29);
  }
  return rawLong(<usize>load<u32>(view, 12), <usize>length);
}

// @ts-ignore: decorator
@inline
function rawLong(at: usize, length: usize): u64 {
  const last = load<u64>(at + length - 8);
  let a: u64 = k1 ^ (<u64>length * k3);
  let b: u64 = k2;
  const end = at + length;
  while (at + 16 <= end) {
    a = rotl((a ^ load<u64>(at)) * k2, 27);
    b = rotl((b ^ load<u64>(at, 8)) * k3, 31);
    at += 16;
  }
  if (at + 8 < end) a = rotl((a ^ load<u64>(at)) * k2, 27);
  b = (b ^ last) * k1;
  const x = (a ^ (b >> 29) ^ b) * k3;
  return x ^ (x >> 32);
}
