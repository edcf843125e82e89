/** Every benchmark by name; later ones add theirs. */
import { checkpointCost, checkpointPause, incremental, recovery } from './durable.ts';
import { exchange } from './exchange.ts';
import { filterProject } from './filter-project.ts';
import { flights } from './flights.ts';
import { groupBy } from './group-by.ts';
import type { Bench } from './harness.ts';
import { idle } from './idle.ts';
import { kernelExchange } from './kernel-exchange.ts';
import { kernelExpr } from './kernel-expr.ts';
import { kernelOrdered } from './kernel-ordered.ts';
import { kernelParquet } from './kernel-parquet.ts';
import { kernelState } from './kernel-state.ts';
import { latency } from './latency.ts';
import { memory } from './memory.ts';
import { nexmarkBench } from './nexmark.ts';
import { stateAccess, timers, ttl } from './process.ts';
import { scaling } from './scaling.ts';
import { snapshot } from './snapshot.ts';
import { start } from './start.ts';
import { windows } from './window.ts';

export const benches: readonly Bench[] = [
  groupBy,
  filterProject,
  windows,
  exchange,
  flights,
  nexmarkBench,
  scaling,
  start,
  latency,
  idle,
  snapshot,
  memory,
  stateAccess,
  timers,
  ttl,
  checkpointCost,
  checkpointPause,
  incremental,
  recovery,
  kernelState,
  kernelOrdered,
  kernelExchange,
  kernelExpr,
  kernelParquet,
];
