/** What `npm run long` runs: a proof in many seeded cases. A failure prints the seed that reproduces it. */
export interface LongOptions {
  readonly cases: number;
  readonly seed: number;
  readonly log: (line: string) => void;
}
export interface LongReport {
  readonly cases: number;
  /** One line each, with the seed. */
  readonly failures: readonly string[];
  /** What was covered, by name: counts that must not be 0. */
  readonly coverage: Readonly<Record<string, number>>;
}
export interface LongSuite {
  readonly name: string;
  readonly describe: string;
  /** Cases of the long run, and of its share in CI. */
  readonly cases: number;
  readonly casesInCi: number;
  run(options: LongOptions): Promise<LongReport>;
}
