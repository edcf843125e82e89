// The engine's one 64-bit hash, a column at a time. It is a file format (core/ports/kernels-hash.ts): the constants and
// the order of operations below may never change. test/state/hash.test.ts holds a second implementation of it.
//
//   raw(integer) = its value as i64        raw(BOOLEAN) = 0 or 1        raw(DOUBLE) = its bits, −0 as 0, one NaN
//   raw(string)  = see rawView             raw(NULL)    = nullTag
//   first column: mix(raw ^ seed)          following:   mix(rotl(h, 5) * again ^ raw)
//
// `mix` is David Stafford's variant 13 of the murmur3 finalizer, a bijection of 64 bits.
import { canonicalBits, mix, nullTag } from './canonical';

const again: u64 = 0x9e3779b97f4a7c15;
const k1: u64 = 0xa0761d6478bd642f;
const k2: u64 = 0xe7037ed1a0b428db;
const k3: u64 = 0x8ebc6af09c88c6e3;

export function hashBit(values: usize, validity: usize, rows: usize, n: i32, seed: u64, first: i32, out: usize): void {
  hashColumn<bool>(values, validity, rows, n, seed, first, out);
}
export function hashI32(values: usize, validity: usize, rows: usize, n: i32, seed: u64, first: i32, out: usize): void {
  hashColumn<i32>(values, validity, rows, n, seed, first, out);
}
export function hashI64(values: usize, validity: usize, rows: usize, n: i32, seed: u64, first: i32, out: usize): void {
  hashColumn<i64>(values, validity, rows, n, seed, first, out);
}
export function hashF64(values: usize, validity: usize, rows: usize, n: i32, seed: u64, first: i32, out: usize): void {
  hashColumn<f64>(values, validity, rows, n, seed, first, out);
}
export function hashView(values: usize, validity: usize, rows: usize, n: i32, seed: u64, first: i32, out: usize): void {
  hashColumn<v128>(values, validity, rows, n, seed, first, out);
}

export function hashCode(codes: usize, hashes: usize, validity: usize, rows: usize, n: i32, seed: u64, first: i32, out: usize): void {
  for (let k: usize = 0; k < <usize>n; k++) {
    const row = rows ? <usize>load<u32>(rows + (k << 2)) : k;
    const raw = isNull(validity, row) ? nullTag : load<u64>(hashes + (<usize>load<u32>(codes + (row << 2)) << 3));
    store<u64>(out + (k << 3), first ? mix(raw ^ seed) : mix(rotl(load<u64>(out + (k << 3)), 5) * again ^ raw));
  }
}

export function hashDictionary(views: usize, count: i32, out: usize): void {
  for (let k: usize = 0; k < <usize>count; k++) store<u64>(out + (k << 3), rawView(views + (k << 4)));
}

/** T stands for the storage: bool = bit, v128 = view. */
// @ts-ignore: decorator
@inline
function hashColumn<T>(values: usize, validity: usize, rows: usize, n: i32, seed: u64, first: i32, out: usize): void {
  if (rows == 0 && validity == 0) {
    if (first) {
      for (let k: usize = 0; k < <usize>n; k++) store<u64>(out + (k << 3), mix(raw<T>(values, k) ^ seed));
    } else {
      for (let k: usize = 0; k < <usize>n; k++) {
        store<u64>(out + (k << 3), mix(rotl(load<u64>(out + (k << 3)), 5) * again ^ raw<T>(values, k)));
      }
    }
    return;
  }
  for (let k: usize = 0; k < <usize>n; k++) {
    const row = rows ? <usize>load<u32>(rows + (k << 2)) : k;
    const r = isNull(validity, row) ? nullTag : raw<T>(values, row);
    store<u64>(out + (k << 3), first ? mix(r ^ seed) : mix(rotl(load<u64>(out + (k << 3)), 5) * again ^ r));
  }
}

// @ts-ignore: decorator
@inline
function raw<T>(values: usize, row: usize): u64 {
  if (isVector<T>()) return rawView(values + (row << 4));
  if (isFloat<T>()) return canonicalBits(load<f64>(values + (row << 3)));
  if (isBoolean<T>()) return <u64>((load<u8>(values + (row >> 3)) >> <u8>(row & 7)) & 1);
  if (sizeof<T>() == 4) return <u64>(<i64>load<i32>(values + (row << 2)));
  return load<u64>(values + (row << 3));
}

// @ts-ignore: decorator
@inline
function isNull(validity: usize, row: usize): bool {
  return validity != 0 && ((load<u8>(validity + (row >> 3)) >> <u8>(row & 7)) & 1) == 0;
}

/**
 * A string's raw hash, by its bytes. Up to 12 bytes: the view's two words (inline bytes are zero-padded). Longer: two
 * lanes of 8 bytes each, 16 bytes a turn, then the last 8 bytes (overlapping).
 */
// @ts-ignore: decorator
@inline
function rawView(view: usize): u64 {
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
