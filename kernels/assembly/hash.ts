// The engine's one 64-bit hash, a column at a time. It is a file format (core/ports/kernels-hash.ts): the constants and
// the order of operations below may never change. test/state/hash.test.ts holds a second implementation of it.
//
//   raw(integer) = its value as i64        raw(BOOLEAN) = 0 or 1        raw(DOUBLE) = its bits, −0 as 0, one NaN
//   raw(string)  = see rawView (canonical.ts)             raw(NULL)    = nullTag
//   first column: mix(raw ^ seed)          following:   mix(rotl(h, 5) * again ^ raw)
//
// `mix` is David Stafford's variant 13 of the murmur3 finalizer, a bijection of 64 bits.
import { canonicalBits, mix, nullTag, rawView } from './canonical';

const again: u64 = 0x9e3779b97f4a7c15;

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
