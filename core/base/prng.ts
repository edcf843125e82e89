/**
 * Seeded chance (SplitMix64 over two 32-bit halves would need BigInt; this is sfc32, Chris Doty-Humphrey's Small Fast
 * Counter, which passes PractRand). Core never calls Math.random.
 */
export interface Prng {
  /** A uniform integer in [0, 2^32). */
  u32(): number;
  /** A uniform double in [0, 1). */
  next(): number;
  /** A uniform integer in [0, below). `below` at most 2^32. */
  below(below: number): number;
  /** A generator whose stream is independent of this one's future. */
  fork(): Prng;
}

export function prng(seed: number): Prng {
  let a = 0x9e3779b9 ^ seed;
  let b = 0x243f6a88;
  let c = Math.floor(seed / 4294967296) >>> 0;
  let counter = 1;
  const u32 = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    return t >>> 0;
  };
  for (let i = 0; i < 15; i++) u32();
  return {
    u32,
    next: () => u32() / 4294967296,
    below: (below) => Math.floor((u32() / 4294967296) * below),
    fork: () => prng(u32() * 2097152 + (u32() >>> 11)),
  };
}
