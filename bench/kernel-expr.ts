/**
 * Compiled expressions alone, on one thread, in cache: filters, projections and sums beside the loop that a careful
 * person writes in JavaScript over the same typed arrays. Counts for no bar.
 */
import { Bench as TinyBench } from 'tinybench';
import { prng } from '../core/base/prng.ts';
import { aggregateUpdater } from '../core/compile/aggregate.ts';
import { projector } from '../core/compile/projector.ts';
import { bind } from '../core/expr/bind.ts';
import type { AggregateCall, UnboundExpr } from '../core/expr/tree.ts';
import { batch } from '../core/record/batch.ts';
import { type Layout, storageOf } from '../core/record/layout.ts';
import { slotMemory } from '../core/record/memory.ts';
import { writeView } from '../core/record/text.ts';
import type { DataType } from '../core/record/types.ts';
import { loadKernels } from '../kernels/load.ts';
import type { Bench, BenchCase, CaseOptions, EngineName, Measure } from './harness.ts';

const rows = 4096;
const leaf = (name: string, type: DataType): Layout[number] => ({
  name,
  type,
  nullable: false,
  storage: storageOf(type),
});
const layout: Layout = [
  leaf('i', { kind: 'INT' }),
  leaf('l', { kind: 'BIGINT' }),
  leaf('d', { kind: 'DOUBLE' }),
  leaf('s', { kind: 'VARCHAR' }),
];
const column = (name: string): UnboundExpr => ({ kind: 'column', path: [name] });
const literal = (value: number | string): UnboundExpr => ({ kind: 'literal', value, type: null });
const call = (fn: string, ...args: UnboundExpr[]): UnboundExpr => ({ kind: 'call', fn, args });
const sumOf = (arg: number, type: DataType): AggregateCall => ({
  fn: 'sum',
  arg,
  argType: type,
  argNullable: false,
  filter: null,
  type: type.kind === 'DOUBLE' ? type : { kind: 'BIGINT' },
  nullable: false,
});

interface Data {
  readonly i: Int32Array;
  readonly d: Float64Array;
  readonly s: readonly string[];
}
interface Setup {
  readonly filter: UnboundExpr | null;
  readonly columns: readonly UnboundExpr[];
  /** Sums output column 0. */
  readonly sum: boolean;
  /** The same by hand; answers the sum, or how many rows. */
  js(data: Data): number;
}

const cases: Readonly<Record<string, Setup>> = {
  'filter-sum-int32': {
    filter: call('lt', column('i'), literal(500)),
    columns: [column('i')],
    sum: true,
    js({ i }) {
      let sum = 0;
      for (let k = 0; k < rows; k++) if ((i[k] as number) < 500) sum += i[k] as number;
      return sum;
    },
  },
  'filter-arithmetic-sum': {
    filter: call('lt', column('i'), literal(500)),
    columns: [call('plus', call('times', column('d'), literal(2)), literal(1))],
    sum: true,
    js({ i, d }) {
      let sum = 0;
      for (let k = 0; k < rows; k++) if ((i[k] as number) < 500) sum += (d[k] as number) * 2 + 1;
      return sum;
    },
  },
  'like-plain': {
    filter: call('like', column('s'), literal('%7')),
    columns: [column('i')],
    sum: false,
    js: ({ s }) => s.reduce((n, text) => n + (text.endsWith('7') ? 1 : 0), 0),
  },
  'upper-plain': {
    filter: null,
    columns: [call('upper', column('s'))],
    sum: false,
    js: ({ s }) => s.reduce((n, text) => n + (text.toUpperCase() === '' ? 0 : 1), 0),
  },
};

export const kernelExpr: Bench = {
  name: 'kernel-expr',
  describe: 'compiled filters, projections and sums against typed arrays in JavaScript, ns per row',
  cases: Object.entries(cases).map(
    ([name, setup]): BenchCase => ({
      name,
      rows,
      slots: [1],
      bar: 'none',
      measure: (options) => measure(setup, options),
    }),
  ),
};

type Result = Measure & { readonly engine: EngineName; readonly name: string };

async function measure(setup: Setup, { smoke }: CaseOptions): Promise<Result[]> {
  const pages = 512;
  const memory = slotMemory(
    new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }),
    1024,
    pages * 65_536,
  );
  const kernels = loadKernels(memory);
  const random = prng(7);
  const take = (bytes: number): number => memory.arena.allocate(bytes, 'bench');
  const [i, l, d, s] = [take(4 * rows), take(8 * rows), take(8 * rows), take(16 * rows)];
  const texts: string[] = [];
  const bytes = take(64);
  for (let k = 0; k < rows; k++) {
    memory.i32[(i >>> 2) + k] = random.below(1000);
    memory.i64[(l >>> 3) + k] = BigInt(random.below(1000));
    memory.f64[(d >>> 3) + k] = random.below(1000) / 4;
    const text = `AP${random.below(1000)}`;
    texts.push(text);
    for (let at = 0; at < text.length; at++) memory.u8[bytes + at] = text.charCodeAt(at);
    writeView(memory, s + 16 * k, bytes, text.length);
  }
  const data: Data = {
    i: new Int32Array(memory.buffer, i, rows),
    d: new Float64Array(memory.buffer, d, rows),
    s: texts,
  };
  const columns = setup.columns.map((c) => bind(c, layout));
  const output = columns.map((c, at) => leaf(`c${at}`, c.type));
  const filter = setup.filter && bind(setup.filter, layout);
  const of = projector(filter, columns, { memory, kernels, input: layout, output, name: 'bench' });
  const updater = setup.sum ? aggregateUpdater([sumOf(0, output[0]!.type)], 0, { memory, kernels }) : null;
  const entry = take(64);
  const input = batch(
    layout,
    rows,
    [i, l, d, s].map((values) => ({ values, validity: 0, dictionary: null })),
  );
  const ours = (): number => {
    let n = 0;
    of.begin(input);
    for (let out = of.next(); out !== null; out = of.next()) {
      updater?.updateOne(out, out.selection, out.size, entry);
      n += out.size;
    }
    return n;
  };
  const n = ours();
  const isDouble = output[0]!.type.kind === 'DOUBLE';
  const sumAt = (entry + (updater?.layout.fields.find((f) => f.kind === 'sum')?.offset ?? 0)) >>> 3;
  const got = setup.sum ? (isDouble ? (memory.f64[sumAt] as number) : Number(memory.i64[sumAt])) : n;
  const checked = got === setup.js(data);
  const tiny = new TinyBench({ time: smoke ? 20 : 500, warmupTime: smoke ? 5 : 100 });
  let sink = 0;
  tiny.add('millrace', () => {
    sink += ours();
    // Sums of millions of turns would leave BIGINT.
    memory.i64[sumAt] = 0n;
  });
  tiny.add('plain-js', () => {
    sink += setup.js(data);
  });
  await tiny.run();
  if (sink === Number.POSITIVE_INFINITY) throw new Error('never');
  return tiny.tasks.map((task): Result => {
    const { result } = task;
    const ms = 'latency' in result ? result.latency.p50 : Number.NaN;
    return { engine: task.name as EngineName, name: 'time per row', value: (ms * 1e6) / rows, unit: 'ns', checked };
  });
}
