// What hashing and state must agree on: canonical bits, the NULL tag, the mixer. Inlined, not exported from the .wasm.

export const nullTag: u64 = 0x9ae16a3b2f90404f;
const nan: u64 = 0x7ff8000000000000;

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
