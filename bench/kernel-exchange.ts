/**
 * The exchange alone, on one thread: batches through a real router, its rings and the gates behind them. Five columns, one
 * a plain string of 16 bytes; what one slot pays for a row that it routes and a row that it reads. Counts for no bar.
 */
import { prng } from '../core/base/prng.ts';
import { Progress } from '../core/operators/operator.ts';
import type { Chain, Exchange, PhysicalPlan } from '../core/plan/physical.ts';
import { type Batch, batch } from '../core/record/batch.ts';
import type { Layout, LayoutColumn } from '../core/record/layout.ts';
import { type SlotMemory, slotMemory } from '../core/record/memory.ts';
import { loadKernels } from '../kernels/load.ts';
import { exchangeContext, resetInbox } from '../workers/exchange/context.ts';
import { createGate, type Gate, GateEvent } from '../workers/exchange/gate.ts';
import { planInboxes } from '../workers/exchange/inbox.ts';
import { createRouter, type Router } from '../workers/exchange/router.ts';
import type { Bench, BenchCase, CaseOptions, Measure } from './harness.ts';

const layout: Layout = (
  [
    ['key', 'BIGINT', 'i64'],
    ['time', 'BIGINT', 'i64'],
    ['price', 'DOUBLE', 'f64'],
    ['count', 'INT', 'i32'],
    ['name', 'VARCHAR', 'view'],
  ] as const
).map(([name, kind, storage]): LayoutColumn => ({ name, type: { kind }, nullable: false, storage }));

const batchRows = 4096;
const inboxBytes = 16 * 1024 * 1024;

interface Bed {
  readonly memories: readonly SlotMemory[];
  readonly router: Router;
  readonly gates: readonly Gate[];
  readonly batches: readonly Batch[];
}

/** One producer, in slot 0, and a gate for each of `targets` slots. */
function bed(exchange: Exchange, targets: number, stringBytes: number): Bed {
  const chain = (id: number, parallelism: number, inputs: number[][]): Chain =>
    ({ id, parallelism, place: 'slots', operators: [], inputs }) as unknown as Chain;
  const plan: PhysicalPlan = {
    version: 1,
    name: 'bench',
    bounded: true,
    chains: [chain(0, 1, []), chain(1, targets, [[0]])],
    edges: [
      { id: 0, from: { chain: 0, operator: 0, port: 0 }, to: { chain: 1, port: 0 }, exchange, layout, updating: false },
    ],
  } as unknown as PhysicalPlan;
  const inboxes = planInboxes(plan, targets, { slotBytes: inboxBytes, callerBytes: inboxBytes });
  const pages = 1024;
  const memories = Array.from({ length: targets }, (_, i) => {
    const inbox = inboxes.inboxes[i]!;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    resetInbox(memory.buffer, inbox);
    return slotMemory(memory, inbox.from + inbox.bytes, pages * 65_536);
  });
  let dictionaryId = 1;
  const contexts = memories.map((memory, participant) =>
    exchangeContext({
      plan,
      inboxes,
      participant,
      buffers: [...memories.map((m) => m.buffer), null],
      memory,
      kernels: loadKernels(memory),
      attempt: 1,
      hashSeed: 42n,
      batchRows,
      nextDictionaryId: () => dictionaryId++,
    }),
  );
  return {
    memories,
    router: createRouter(contexts[0]!, plan.edges[0]!, 0),
    gates: contexts.map((context, subtask) => createGate(context, plan.chains[1]!, subtask)),
    batches: Array.from({ length: 8 }, (_, i) => randomBatch(memories[0]!, i, stringBytes)),
  };
}

function randomBatch(memory: SlotMemory, seed: number, stringBytes: number): Batch {
  const random = prng(seed + 1);
  const take = (bytes: number): number => memory.arena.allocate(bytes, 'a batch');
  const [key, time, price, count, name] = [8, 8, 8, 4, 16].map((bytes) => take(bytes * batchRows)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const text = take(stringBytes * batchRows);
  for (let i = 0; i < batchRows; i++) {
    memory.i64[(key >>> 3) + i] = BigInt(random.u32());
    memory.i64[(time >>> 3) + i] = BigInt(random.u32());
    memory.f64[(price >>> 3) + i] = random.next();
    memory.i32[(count >>> 2) + i] = random.below(100);
    const at = stringBytes > 12 ? text + i * stringBytes : name + i * 16 + 4;
    for (let b = 0; b < stringBytes; b++) memory.u8[at + b] = 97 + random.below(26);
    memory.u32[(name >>> 2) + i * 4] = stringBytes;
    if (stringBytes > 12) {
      memory.u8.copyWithin(name + i * 16 + 4, at, at + 4);
      memory.u32[(name >>> 2) + i * 4 + 3] = at;
    }
  }
  return batch(
    layout,
    batchRows,
    [key, time, price, count, name].map((values) => ({ validity: 0, values, dictionary: null })),
  );
}

/** Routes and reads `rows` rows (whole batches); `look` sees each batch that arrives. Answers the rows read. */
function pass({ router, gates, batches }: Bed, rows: number, look: (batch: Batch, subtask: number) => void): number {
  let read = 0;
  const settle = (progress: Progress): void => {
    for (;;) {
      if (progress === Progress.done) return;
      drain();
      progress = router.resume();
    }
  };
  const drain = (): void => {
    for (const [subtask, gate] of gates.entries()) {
      while (gate.poll() === GateEvent.batch) {
        read += gate.batch.size;
        look(gate.batch, subtask);
        gate.release();
      }
    }
  };
  for (let i = 0; i * batchRows < rows; i++) settle(router.emit(batches[i % batches.length]!));
  settle(router.flush());
  drain();
  return read;
}

/** Whether the keys that arrive sum up to those that were sent. */
function arrives(bed: Bed, copies: number): boolean {
  const sum = (memory: SlotMemory, { columns, size }: Batch): bigint => {
    let total = 0n;
    for (let i = 0; i < size; i++) total += memory.i64[(columns[0]!.values >>> 3) + i]!;
    return total;
  };
  let received = 0n;
  pass(bed, batchRows * bed.batches.length, (from, subtask) => {
    received += sum(bed.memories[subtask]!, from);
  });
  return received === BigInt(copies) * bed.batches.reduce((total, from) => total + sum(bed.memories[0]!, from), 0n);
}

function measured(name: string, exchange: Exchange, targets: number, stringBytes: number): BenchCase {
  return {
    name,
    rows: 8_000_000,
    slots: [1],
    bar: 'none; aim 66 ns/row',
    measure: async (options: CaseOptions) => {
      const made = bed(exchange, targets, stringBytes);
      const rows = options.smoke ? 100_000 : options.rows;
      let best = Number.POSITIVE_INFINITY;
      const copies = exchange.kind === 'broadcast' ? targets : 1;
      let checked = arrives(made, copies);
      for (let turn = 0; turn < (options.smoke ? 1 : 7); turn++) {
        const before = process.cpuUsage();
        const read = pass(made, rows, () => {});
        const { user, system } = process.cpuUsage(before);
        best = Math.min(best, ((user + system) * 1000) / read);
        checked = checked && read === Math.ceil(rows / batchRows) * batchRows * copies;
      }
      const measure: Measure = { value: Number(best.toPrecision(3)), unit: 'ns/row', checked };
      return [{ ...measure, engine: 'millrace' as const, name: 'route and read' }];
    },
  };
}

export const kernelExchange: Bench = {
  name: 'kernel-exchange',
  describe: 'hashing, partitioning, gathering, crossing and reading, on one thread, in CPU time',
  cases: [
    measured('hash-2', { kind: 'hash', keys: [0] }, 2, 16),
    measured('hash-2-short-strings', { kind: 'hash', keys: [0] }, 2, 12),
    measured('hash-2-by-string', { kind: 'hash', keys: [4] }, 2, 16),
    measured('hash-8', { kind: 'hash', keys: [0] }, 8, 16),
    measured('hash-64', { kind: 'hash', keys: [0] }, 64, 16),
    measured('forward', { kind: 'forward' }, 1, 16),
    measured('rebalance', { kind: 'rebalance' }, 2, 16),
    measured('broadcast-2', { kind: 'broadcast' }, 2, 16),
  ],
};
