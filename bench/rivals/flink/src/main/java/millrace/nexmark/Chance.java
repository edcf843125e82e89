package millrace.nexmark;

import java.nio.charset.StandardCharsets;

/** SplitMix64 read at position n of a stream per column, as kernels/assembly/nexmark.ts has it. */
final class Chance {
  private static final long GAMMA = 0x9e3779b97f4a7c15L;

  private Chance() {}

  static long draw(long seed, long n) {
    long z = seed + n * GAMMA;
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }

  /** The upper half of x as a number below range, which is at most 2^32. */
  static long below(long x, long range) {
    return ((x >>> 32) * range) >>> 32;
  }

  /** The lower half, likewise. */
  static long belowLow(long x, long range) {
    return ((x & 0xffffffffL) * range) >>> 32;
  }

  /** The seed of a column: FNV-1a of its name, mixed with the source's. */
  static long columnSeed(long seed, String name, String purpose) {
    long hash = 0xcbf29ce484222325L ^ seed;
    for (byte b : (purpose + "\0" + name).getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
    }
    return hash * GAMMA;
  }
}
