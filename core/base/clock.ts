/** Time comes in as an argument: the real clock is engine's, the simulated one is a test's. */
export interface Clock {
  /** Wall-clock time, milliseconds since the epoch. May jump. */
  nowMs(): number;
  /** Monotonic time in milliseconds with a fraction; only differences mean anything. */
  monotonicMs(): number;
}
