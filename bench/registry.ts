/** Every benchmark by name; later ones add theirs. */
import type { Bench } from './harness.ts';
import { kernelState } from './kernel-state.ts';

export const benches: readonly Bench[] = [kernelState];
