/** Every benchmark by name; later ones add theirs. */
import type { Bench } from './harness.ts';
import { kernelExchange } from './kernel-exchange.ts';
import { kernelState } from './kernel-state.ts';

export const benches: readonly Bench[] = [kernelExchange, kernelState];
