/**
 * Process functions on one thread, the operator alone: rows come in prepared batches, as from an exchange. State access
 * beside a JavaScript Map of objects; timers set and fired; keys that come, live ten seconds of event time, and go.
 */
import { prng } from '../core/base/prng.ts';
import { type Operator, type OperatorContext, Progress, type UserFunction } from '../core/operators/operator.ts';
import { processOperator } from '../core/operators/process/operator.ts';
import type { PhysicalNode } from '../core/plan/physical.ts';
import type { StateSpec } from '../core/plan/states.ts';
import { type Batch, batch } from '../core/record/batch.ts';
import { writeI64 } from '../core/record/column-reader.ts';
import { type Layout, layoutOf, rowtimeColumn } from '../core/record/layout.ts';
import { type SlotMemory, slotMemory } from '../core/record/memory.ts';
import type { Fields } from '../core/record/types.ts';
import { loadKernels } from '../kernels/load.ts';
import { countOf, recordHeaderBytes } from '../state/checkpoint/format.ts';
import { pagePool } from '../state/page-pool.ts';
import { type StoredState, slotState } from '../state/slot-state.ts';
import type { Bench, CaseOptions, Engine } from './harness.ts';

const batchRows = 4096;
const fields: Fields = [
  { name: 'k', type: { kind: 'BIGINT' }, nullable: false },
  { name: 'v', type: { kind: 'DOUBLE' }, nullable: false },
];
const output: Fields = [{ name: 'fired', type: { kind: 'BIGINT' }, nullable: false }];
const input: Layout = [...layoutOf(fields), rowtimeColumn];

export const stateAccess: Bench = {
  name: 'state-access',
  describe: 'read and write value state per row from a process function, one slot',
  cases: [accessCase('10k', 10_000, 'plain-js × 0.5; aim 1'), accessCase('1m', 1_000_000, 'plain-js × 1; aim 2')],
};

function accessCase(name: string, keys: number, bar: string) {
  return { name, rows: 10_000_000, slots: [1], bar, engines: (options: CaseOptions) => accessEngines(options, keys) };
}

interface Row {
  readonly k: number;
  readonly v: number;
}
interface Context {
  readonly key: { readonly k: number };
  readonly state: { readonly total: { get(): number | null; set(value: number): void } };
  readonly timers: { eventTime(name: string, when: string): void };
  emit(row: object): void;
}

/** An operator over its own memory, with buffers for one batch. */
interface Rig {
  readonly operator: Operator;
  readonly state: StoredState;
  readonly memory: SlotMemory;
  readonly batch: Batch;
  /** Of column i of the batch. */
  readonly values: readonly number[];
  readonly emitted: { rows: number };
}

function rig(
  bytes: number,
  functions: Readonly<Record<string, UserFunction>>,
  state: readonly StateSpec[],
  onTimer: string | null,
): Rig {
  const wasm = new WebAssembly.Memory({ initial: bytes / 65_536, maximum: bytes / 65_536, shared: true });
  const scratch = 64 * 2 ** 20;
  const memory = slotMemory(wasm, 1024, scratch);
  const kernels = loadKernels(memory);
  const stored = slotState({ memory, kernels, pool: pagePool(memory, scratch, bytes), hashSeed: 42n }).operator(
    'bench',
  );
  const node: Extract<PhysicalNode, { kind: 'process' }> = {
    kind: 'process',
    ports: [{ name: 'row', fields, key: { fields: fields.slice(0, 1), leaves: [0] }, rowtime: 2, handler: 'onRow' }],
    output,
    side: [],
    state,
    broadcastState: [],
    onTimer,
    timed: true,
  };
  const context: OperatorContext = {
    memory,
    kernels,
    state: stored,
    counters: { addLate: () => {}, addClosed: () => {}, addSkipped: () => {}, countCall: () => {} },
    batchRows,
    bounded: false,
    hashSeed: 42n,
    subtask: 0,
    parallelism: 1,
    name: 'bench',
    inputs: [input],
    outputs: [layoutOf(output)],
    arrow: { toArrow: () => null as never, fromArrow: () => null as never },
    userFunction: (id) => functions[id] as UserFunction,
  };
  const values = input.map(() => memory.arena.allocate(8 * batchRows, 'bench'));
  return {
    operator: processOperator(node, context),
    state: stored,
    memory,
    values,
    batch: batch(
      input,
      batchRows,
      values.map((at) => ({ values: at, validity: 0, dictionary: null })),
    ),
    emitted: { rows: 0 },
  };
}

function drive({ operator, emitted }: Rig, call: (out: { emit(of: Batch): Progress }) => Progress | undefined): void {
  const out = {
    emit(of: Batch) {
      emitted.rows += of.size;
      return Progress.done;
    },
  };
  let progress = call(out) ?? Progress.done;
  while (progress === Progress.more) progress = operator.resume!(out);
}

const totalState: StateSpec = { name: 'total', kind: 'value', type: { kind: 'DOUBLE' }, nullable: false, ttl: null };

async function accessEngines({ rows }: CaseOptions, keys: number): Promise<Engine[]> {
  const distinct = Math.ceil(Math.min(rows, 1 << 21) / batchRows) * batchRows;
  const random = prng(1);
  const plain = new Float64Array(distinct);
  for (let i = 0; i < distinct; i++) plain[i] = random.below(keys);
  const turns = Math.max(1, Math.round(rows / distinct));
  let checksum = 0;
  const made = rig(
    1 << 29,
    {
      onRow: (row: Row, ctx: Context) => {
        const { total } = ctx.state;
        if (row.v < 0) checksum += total.get() ?? 0;
        else total.set((total.get() ?? 0) + row.v);
      },
    },
    [totalState],
    null,
  );
  const { memory, values } = made;
  const keyAt = memory.arena.allocate(8 * distinct, 'keys');
  for (let i = 0; i < distinct; i++) writeI64(memory, keyAt + 8 * i, plain[i]!);
  for (let i = 0; i < batchRows; i++) memory.f64[(values[1]! >>> 3) + i] = i & 1023;
  const batches = Array.from({ length: distinct / batchRows }, (_, b) =>
    batch(input, batchRows, [
      { values: keyAt + 8 * batchRows * b, validity: 0, dictionary: null },
      ...made.batch.columns.slice(1),
    ]),
  );
  let map = new Map<number, { total: number }>();
  return [
    {
      name: 'millrace',
      slots: 1,
      async run() {
        for (let turn = 0; turn < turns; turn++)
          for (const one of batches) drive(made, (out) => made.operator.onBatch(one, 0, out));
        return null;
      },
      // A row of every key asks for its total.
      rows() {
        const column = (i: number) => made.batch.columns[i]!;
        const asking = memory.arena.allocate(8 * batchRows, 'asking');
        for (let i = 0; i < batchRows; i++) memory.f64[(asking >>> 3) + i] = -1;
        for (let from = 0; from < keys; from += batchRows) {
          const count = Math.min(batchRows, keys - from);
          for (let i = 0; i < count; i++) writeI64(memory, values[0]! + 8 * i, from + i);
          const ask = batch(input, count, [column(0), { ...column(1), values: asking }, column(2)]);
          drive(made, (out) => made.operator.onBatch(ask, 0, out));
        }
        return [[checksum]];
      },
    },
    {
      name: 'plain-js',
      slots: 1,
      async run() {
        for (let turn = 0; turn < turns; turn++) {
          for (let i = 0; i < distinct; i++) {
            const k = plain[i]!;
            const held = map.get(k);
            if (held === undefined) map.set(k, { total: i & 1023 });
            else held.total += i & 1023;
          }
        }
        return null;
      },
      rows: () => [[[...map.values()].reduce((sum, { total }) => sum + total, 0)]],
      close() {
        map = new Map();
      },
    },
  ];
}

export const timers: Bench = {
  name: 'timers',
  describe: 'set an event-time timer per row and fire it, one slot, per second',
  cases: [
    {
      name: '100k-keys',
      rows: 5_000_000,
      slots: [1],
      bar: '1 M/s; aim 3',
      measure: (options) => fireTimers(options, 100_000),
    },
    {
      name: '1m-keys',
      rows: 5_000_000,
      slots: [1],
      bar: '1 M/s; aim 3',
      measure: (options) => fireTimers(options, 1_000_000),
    },
  ],
};

/** Every key in turn, a row a microsecond of a thousandth: a timer fires before its key comes again. */
async function fireTimers({ rows }: CaseOptions, keys: number) {
  let best = 0;
  let right = true;
  for (let turn = 0; turn < 3; turn++) {
    let fired = 0;
    const made = rig(
      1 << 30,
      {
        onRow: (_row: Row, ctx: Context) => ctx.timers.eventTime('timeout', '50 ms'),
        onTimer: () => {
          fired++;
        },
      },
      [],
      'onTimer',
    );
    const { memory, values, operator } = made;
    const started = performance.now();
    let at = 0;
    let ms = 0;
    for (let from = 0; from + batchRows <= rows; from += batchRows) {
      for (let i = 0; i < batchRows; i++) {
        writeI64(memory, values[0]! + 8 * i, at);
        if (++at === keys) at = 0;
        ms = Math.floor(((from + i) * 100) / keys);
        writeI64(memory, values[2]! + 8 * i, ms);
      }
      drive(made, (out) => operator.onBatch(made.batch, 0, out));
      drive(made, (out) => operator.onWatermark!(ms - 1, out));
    }
    drive(made, (out) => operator.onWatermark!(Number.MAX_SAFE_INTEGER, out));
    const seconds = (performance.now() - started) / 1000;
    const set = Math.floor(rows / batchRows) * batchRows;
    best = Math.max(best, fired / seconds);
    right &&= fired === set;
  }
  return [
    {
      engine: 'millrace' as const,
      name: 'timers set and fired',
      value: Number((best / 1e6).toPrecision(4)),
      unit: 'M/s',
      checked: right,
    },
  ];
}

export const ttl: Bench = {
  name: 'ttl',
  describe:
    'keys that are written once and live ten seconds of event time: memory and snapshot from the second to the last',
  cases: [{ name: '50m-keys', rows: 50_000_000, slots: [1], bar: 'flat', measure: throughTtl }],
};

async function throughTtl({ rows }: CaseOptions) {
  const made = rig(
    1 << 30,
    { onRow: (row: Row, ctx: Context) => ctx.state.total.set(row.v) },
    [{ ...totalState, ttl: { ms: 10_000, time: 'event' } }],
    null,
  );
  const { memory, values, operator, state } = made;
  // Two hundred seconds of event time: a twentieth of all keys are alive at a time.
  const perMs = rows / 200_000;
  const points: { bytes: number; snapshot: number; resident: number }[] = [];
  let right = true;
  const every = Math.floor(rows / batchRows / 10);
  const started = performance.now();
  for (let from = 0, b = 0; from + batchRows <= rows; from += batchRows, b++) {
    const ms = Math.floor(from / perMs);
    for (let i = 0; i < batchRows; i++) {
      writeI64(memory, values[0]! + 8 * i, from + i);
      writeI64(memory, values[2]! + 8 * i, Math.floor((from + i) / perMs));
    }
    drive(made, (out) => operator.onBatch(made.batch, 0, out));
    drive(made, (out) => operator.onWatermark!(ms - 1, out));
    if (b % every !== every - 1) continue;
    // What the snapshots of this benchmark leave behind is not the job's.
    (globalThis as { gc?: () => void }).gc?.();
    const resident = process.memoryUsage.rss();
    const { bytes, keys } = snapshotOf(state);
    points.push({ bytes: state.usedBytes, snapshot: bytes, resident });
    right &&= holdsWhatLives(keys, from + batchRows - Math.max(0, Math.ceil((ms - 10_000) * perMs)));
  }
  const seconds = (performance.now() - started) / 1000;
  // When the last one's life is over, nothing is left.
  drive(made, (out) => operator.onWatermark!(200_000 + 20_000, out));
  right &&= points.length >= 10 && holdsWhatLives(snapshotOf(state).keys, 0);
  const grown = (of: keyof (typeof points)[0]): number =>
    Number(((points.at(-1)![of] / points[1]![of] - 1) * 100).toFixed(2));
  const line = (name: string, value: number, unit: string) => ({
    engine: 'millrace' as const,
    name,
    value,
    unit,
    checked: right,
  });
  return [
    line('state, second to last tenth', grown('bytes'), '%'),
    line('snapshot, second to last tenth', grown('snapshot'), '%'),
    line('resident, second to last tenth', grown('resident'), '%'),
    line('state', Number((points.at(-1)!.bytes / 1e6).toFixed(1)), 'MB'),
    line('keys through', Number((rows / seconds / 1e6).toFixed(2)), 'M/s'),
  ];
}

/**
 * Of `lives` keys that may be read none is missing, and none of the others stays: they are freed a sixteenth of their life
 * later, and entries that hold nothing leave when they are a quarter of all and more than 4,096.
 */
function holdsWhatLives(keys: number, lives: number): boolean {
  const most = (lives * 17) / 16 / 0.75 + 4096 + 2 * batchRows;
  if (keys >= lives && keys <= most) return true;
  console.error(`ttl: ${keys} keys are held where ${lives} live`);
  return false;
}

/** Bytes of all tables, and entries of the keys. */
function snapshotOf(state: StoredState): { readonly bytes: number; readonly keys: number } {
  const snapshot = state.snapshot();
  while (!snapshot.read(256));
  const { tables } = snapshot.part as {
    readonly tables: readonly { readonly name: string; readonly chunks: readonly Uint8Array[] }[];
  };
  let bytes = 0;
  let keys = 0;
  for (const { name, chunks } of tables) {
    for (const chunk of chunks) {
      bytes += chunk.length;
      if (name !== 'keys') continue;
      const word = new DataView(chunk.buffer, chunk.byteOffset, recordHeaderBytes).getUint32(8, true);
      keys += countOf(word);
    }
  }
  return { bytes, keys };
}
