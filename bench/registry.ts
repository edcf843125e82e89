/** Every benchmark by name; later ones add theirs. */
import type { Bench } from './harness.ts';

export const benches: readonly Bench[] = [];
