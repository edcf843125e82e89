// xxHash64 with seed 0 (https://github.com/Cyan4973/xxHash, specification 0.1.1), for content checksums.
// @ts-ignore: decorator
@inline const P1: u64 = 0x9e3779b185ebca87;
// @ts-ignore: decorator
@inline const P2: u64 = 0xc2b2ae3d27d4eb4f;
// @ts-ignore: decorator
@inline const P3: u64 = 0x165667b19e3779f9;
// @ts-ignore: decorator
@inline const P4: u64 = 0x85ebca77c2b2ae63;
// @ts-ignore: decorator
@inline const P5: u64 = 0x27d4eb2f165667c5;

// @ts-ignore: decorator
@inline
function round(acc: u64, lane: u64): u64 {
  return rotl<u64>(acc + lane * P2, 31) * P1;
}

export function xxh64(from: usize, length: u32): u64 {
  let at = from;
  const end = from + length;
  let h: u64;
  if (length >= 32) {
    let a: u64 = P1 + P2;
    let b: u64 = P2;
    let d: u64 = 0;
    let e: u64 = 0 - P1;
    do {
      a = round(a, load<u64>(at));
      b = round(b, load<u64>(at, 8));
      d = round(d, load<u64>(at, 16));
      e = round(e, load<u64>(at, 24));
      at += 32;
    } while (end - at >= 32);
    h = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(d, 12) + rotl<u64>(e, 18);
    h = (h ^ round(0, a)) * P1 + P4;
    h = (h ^ round(0, b)) * P1 + P4;
    h = (h ^ round(0, d)) * P1 + P4;
    h = (h ^ round(0, e)) * P1 + P4;
  } else h = P5;
  h += length;
  while (end - at >= 8) {
    h = rotl<u64>(h ^ round(0, load<u64>(at)), 27) * P1 + P4;
    at += 8;
  }
  if (end - at >= 4) {
    h = rotl<u64>(h ^ (<u64>load<u32>(at) * P1), 23) * P2 + P3;
    at += 4;
  }
  while (at < end) h = rotl<u64>(h ^ (<u64>load<u8>(at++) * P5), 11) * P1;
  h = (h ^ (h >> 33)) * P2;
  h = (h ^ (h >> 29)) * P3;
  return h ^ (h >> 32);
}
