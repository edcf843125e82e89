/** Sum of `n` i64 at `from`. */
export function sumI64(from: usize, n: i32): i64 {
  let s: i64 = 0;
  for (let i = 0; i < n; i++) s += load<i64>(from + (<usize>i << 3));
  return s;
}
