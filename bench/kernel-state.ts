/**
 * Keyed state alone, on one thread: sum + count by key through the engine's passes (recall, or hash and resolve; compiled
 * update), growth included, beside a JavaScript Map of objects. Counts for no bar; the passes are also timed apart.
 */
import { prng } from '../core/base/prng.ts';
import { aggregateUpdater } from '../core/compile/aggregate.ts';
import type { AggregateCall } from '../core/expr/tree.ts';
import { type Batch, batch } from '../core/record/batch.ts';
import type { Layout, LayoutColumn } from '../core/record/layout.ts';
import { slotMemory } from '../core/record/memory.ts';
import { loadKernels } from '../kernels/load.ts';
import { pagePool } from '../state/page-pool.ts';
import { slotState } from '../state/slot-state.ts';
import type { Bench, BenchCase, CaseOptions, EngineName, Measure } from './harness.ts';

const batchRows = 4096;
const calls: AggregateCall[] = [
  {
    fn: 'sum',
    arg: 1,
    argType: { kind: 'BIGINT' },
    filter: null,
    type: { kind: 'BIGINT' },
    nullable: false,
    argNullable: false,
  },
  { fn: 'count', arg: null, argType: null, filter: null, type: { kind: 'BIGINT' }, nullable: false },
];
type KeyKind = 'i64' | 'view' | 'dictionary';
type Result = Measure & { readonly engine: EngineName; readonly name: string };

function stateCase(name: string, keys: number, kind: KeyKind): BenchCase {
  return {
    name,
    rows: 10_000_000,
    slots: [1],
    bar: 'none',
    measure: async (options) => measureState(options, keys, kind),
  };
}

export const kernelState: Bench = {
  name: 'kernel-state',
  describe: 'sum and count by key in state pages, one thread, ns per row',
  cases: [
    stateCase('10k-i64', 10_000, 'i64'),
    stateCase('1m-i64', 1_000_000, 'i64'),
    stateCase('10k-string', 10_000, 'view'),
    stateCase('1m-string', 1_000_000, 'view'),
    stateCase('10k-dictionary', 10_000, 'dictionary'),
  ],
};

/**
 * The best of several runs, window by window: what others do on the machine in the meantime counts little, and growth,
 * which happens in the first windows of every run, counts in full.
 */
class Windows {
  readonly #best: number[] = [];
  #at = 0;
  #started = 0;

  begin(): void {
    this.#at = 0;
    this.#started = performance.now();
  }

  restart(): void {
    this.#started = performance.now();
  }

  end(): void {
    const now = performance.now();
    const spent = now - this.#started;
    const best = this.#best[this.#at];
    this.#best[this.#at++] = best === undefined ? spent : Math.min(best, spent);
    this.#started = performance.now();
  }

  nsPerRow(rows: number): number {
    return (this.#best.reduce((sum, ms) => sum + ms, 0) * 1e6) / rows;
  }
}
const windowBatches = 16;

function measureState({ rows, smoke }: CaseOptions, keys: number, kind: KeyKind): Result[] {
  const distinctRows = Math.min(rows, 1 << 21);
  const bytes = 1 << 30;
  const wasm = new WebAssembly.Memory({ initial: bytes / 65_536, maximum: bytes / 65_536, shared: true });
  const scratch = 96 * 2 ** 20 + 32 * distinctRows;
  const memory = slotMemory(wasm, 1024, scratch);
  const kernels = loadKernels(memory);
  const random = prng(1);
  const take = (size: number): number => memory.arena.allocate(size, 'bench');
  const width = kind === 'i64' ? 8 : kind === 'view' ? 16 : 4;
  const [keyColumn, values, hashes, entries] = [
    take(width * distinctRows),
    take(8 * distinctRows),
    take(8 * batchRows),
    take(4 * batchRows),
  ];
  const plain = new Float64Array(distinctRows);
  const writeView = (at: number, key: number): void => {
    const text = `key${String(key).padStart(8, '0')}`;
    memory.u32[at >>> 2] = 11;
    for (let i = 0; i < 11; i++) memory.u8[at + 4 + i] = text.charCodeAt(i);
  };
  const dictionary =
    kind === 'dictionary' ? { id: 1, views: take(16 * keys), count: keys, hashes: take(8 * keys) } : null;
  if (dictionary) {
    for (let i = 0; i < keys; i++) writeView(dictionary.views + 16 * i, i);
    kernels.hashDictionary(dictionary.views, keys, dictionary.hashes);
  }
  for (let i = 0; i < distinctRows; i++) {
    const key = random.below(keys);
    plain[i] = key;
    if (kind === 'i64') memory.u32[(keyColumn >>> 2) + 2 * i] = key;
    else if (kind === 'view') writeView(keyColumn + 16 * i, key);
    else memory.u32[(keyColumn >>> 2) + i] = key;
    memory.u32[(values >>> 2) + 2 * i] = i & 1023;
  }
  const layout: Layout = [
    {
      name: 'k',
      type: { kind: kind === 'i64' ? 'BIGINT' : 'VARCHAR' },
      nullable: false,
      storage: kind === 'i64' ? 'i64' : 'view',
    },
    { name: 'x', type: { kind: 'BIGINT' }, nullable: false, storage: 'i64' },
  ] satisfies LayoutColumn[];
  const batches: Batch[] = [];
  for (let from = 0; from + batchRows <= distinctRows; from += batchRows) {
    batches.push(
      batch(layout, batchRows, [
        { values: keyColumn + width * from, validity: 0, dictionary },
        { values: values + 8 * from, validity: 0, dictionary: null },
      ]),
    );
  }
  const turns = Math.max(1, Math.round(rows / (batches.length * batchRows)));
  const state = slotState({ memory, kernels, pool: pagePool(memory, scratch, bytes), hashSeed: 42n });
  const passes = { recall: new Windows(), hash: new Windows(), resolve: new Windows(), update: new Windows() };
  let checksum = 0n;
  const decl = { name: 'g', keys: layout.slice(0, 1), accumulatorBytes: 16 };
  const updaters = new Map<number, ReturnType<typeof aggregateUpdater>>();
  const ours = (windows: Windows | null): void => {
    const operator = state.operator('bench');
    const table = operator.groups(decl);
    let updater = updaters.get(table.accumulatorOffset);
    if (!updater) {
      updater = aggregateUpdater(calls, table.accumulatorOffset, { memory, kernels });
      updaters.set(table.accumulatorOffset, updater);
    }
    let n = 0;
    if (windows) windows.begin();
    else for (const pass of Object.values(passes)) pass.begin();
    for (let turn = 0; turn < turns; turn++) {
      for (const one of batches) {
        const column = one.columns[0]!;
        if (!windows) passes.recall.restart();
        const recalled = table.recall(one, [0], 0, batchRows, entries);
        if (!windows) {
          passes.recall.end();
          passes.hash.restart();
        }
        // Operators resolve only the rows that are left; here, where those are few batches, all of them again.
        if (recalled < batchRows) {
          if (kind === 'i64') kernels.hashI64(column.values, 0, 0, batchRows, 42n, 1, hashes);
          else if (kind === 'view') kernels.hashView(column.values, 0, 0, batchRows, 42n, 1, hashes);
          else kernels.hashCode(column.values, dictionary!.hashes, 0, 0, batchRows, 42n, 1, hashes);
        }
        if (!windows) {
          passes.hash.end();
          passes.resolve.restart();
        }
        if (recalled < batchRows && table.resolve(one, [0], hashes, 0, batchRows, entries) !== batchRows)
          throw new Error('out of pages');
        if (!windows) {
          passes.resolve.end();
          passes.update.restart();
        }
        updater.update(one, 0, batchRows, entries);
        if (!windows) passes.update.end();
        else if (++n % windowBatches === 0) windows.end();
      }
    }
    checksum = BigInt(table.size);
    operator.dispose();
  };
  let mapSize = 0;
  const map = (windows: Windows): void => {
    windows.begin();
    const groups = new Map<number | string, { sum: number; count: number }>();
    const texts = kind === 'i64' ? null : Array.from({ length: keys }, (_, i) => `key${String(i).padStart(8, '0')}`);
    for (let turn = 0; turn < turns; turn++) {
      for (let i = 0; i < batches.length * batchRows; i++) {
        const key = texts ? (texts[plain[i]!] as string) : plain[i]!;
        const group = groups.get(key);
        if (group) {
          group.sum += i & 1023;
          group.count++;
        } else groups.set(key, { sum: i & 1023, count: 1 });
        if ((i + 1) % (windowBatches * batchRows) === 0) windows.end();
      }
    }
    mapSize = groups.size;
  };
  const total = turns * batches.length * batchRows;
  const mine = new Windows();
  const theirs = new Windows();
  for (let i = 0; i < (smoke ? 1 : 7); i++) {
    ours(mine);
    if (i < 3) map(theirs);
  }
  for (let i = 0; i < (smoke ? 1 : 3); i++) ours(null);
  const checked = Number(checksum) === mapSize;
  const result = (engine: EngineName, name: string, value: number): Result => ({
    engine,
    name,
    value: Number(value.toPrecision(3)),
    unit: 'ns/row',
    checked,
  });
  return [
    result('millrace', 'all passes', mine.nsPerRow(total)),
    result('millrace', 'recall', passes.recall.nsPerRow(total)),
    result('millrace', 'hash', passes.hash.nsPerRow(total)),
    result('millrace', 'resolve', passes.resolve.nsPerRow(total)),
    result('millrace', 'update', passes.update.nsPerRow(total)),
    result('plain-js', 'Map of objects', theirs.nsPerRow(total)),
  ];
}
