// Event-time bookkeeping over whole columns; see core/ports/kernels-time.ts.

export function maxI64(values: usize, n: i32): i64 {
  let a: i64 = load<i64>(values);
  let b: i64 = a;
  let i = 1;
  for (; i + 1 < n; i += 2) {
    const x = load<i64>(values + (<usize>i << 3));
    const y = load<i64>(values + (<usize>i << 3), 8);
    a = x > a ? x : a;
    b = y > b ? y : b;
  }
  if (i < n) {
    const x = load<i64>(values + (<usize>i << 3));
    a = x > a ? x : a;
  }
  return a > b ? a : b;
}

export function firstNull(validity: usize, n: i32): i32 {
  for (let i = 0; i < n; i += 8) {
    const bits: u32 = load<u8>(validity + (<usize>i >> 3));
    const missing = ~bits & 0xff;
    if (missing == 0) continue;
    const at = i + ctz<i32>(<i32>missing);
    return at < n ? at : -1;
  }
  return -1;
}
