/** Aggregate operators in tests: nodes and contexts made by hand, inputs from values, outputs as values with their kind. */
import type { KeyGroupRange } from '../../core/base/key-groups.ts';
import { type Prng, prng } from '../../core/base/prng.ts';
import { partialLayout } from '../../core/compile/aggregate.ts';
import type { AggregateCall } from '../../core/expr/tree.ts';
import { aggregateOperator } from '../../core/operators/aggregate/operator.ts';
import type { AggregateNode } from '../../core/operators/aggregate/setup.ts';
import { type Operator, type OperatorContext, type Output, Progress } from '../../core/operators/operator.ts';
import { type Batch, type RowKind, rowKindNames } from '../../core/record/batch.ts';
import { type Layout, type LayoutColumn, rowtimeColumn } from '../../core/record/layout.ts';
import { pagePool } from '../../state/page-pool.ts';
import { slotState } from '../../state/slot-state.ts';
import type { SnapshotPart } from '../../state/snapshot.ts';
import { readValue, type TestValue } from '../support/columns.ts';
import { type TestSlot, testSlot } from '../support/slot.ts';

export interface OutRow {
  readonly port: number;
  readonly kind: RowKind;
  readonly values: readonly TestValue[];
}

export interface Running {
  readonly slot: TestSlot;
  readonly operator: Operator;
  readonly node: AggregateNode;
  readonly outputs: readonly Layout[];
  readonly rows: OutRow[];
  readonly late: () => number;
  readonly state: ReturnType<ReturnType<typeof slotState>['operator']>;
  readonly freePages: () => number;
  readonly basePages: number;
  /** Runs a hook to its end, resuming wherever the output said `more`. `between` is called at each stop. */
  drive(action: (out: Output) => Progress | undefined): void;
  between: (() => void) | null;
}

export const leaf = (name: string, storage: LayoutColumn['storage'], nullable: boolean): LayoutColumn => ({
  name,
  storage,
  nullable,
  type: {
    bit: { kind: 'BOOLEAN' },
    i32: { kind: 'INT' },
    i64: { kind: 'BIGINT' },
    f64: { kind: 'DOUBLE' },
    view: { kind: 'VARCHAR' },
  }[storage] as LayoutColumn['type'],
});

const timestamp = (name: string): LayoutColumn => ({ ...rowtimeColumn, name });

/** What comes out of an aggregate node, as the plan has it. */
export function outputsOf(node: AggregateNode, input: Layout): Layout[] {
  const keys = node.keys.map((key) => input[key] as LayoutColumn);
  if (node.phase === 'partial') {
    const end = node.window === null ? [] : [leaf('$slice', 'i64', false)];
    return [[...keys, ...end, ...partialLayout(node.calls)]];
  }
  const results = node.calls.map((call, i): LayoutColumn => {
    const storage =
      call.fn === 'count'
        ? 'i64'
        : call.fn === 'avg'
          ? 'f64'
          : call.type.kind === 'DOUBLE'
            ? 'f64'
            : call.type.kind === 'VARCHAR'
              ? 'view'
              : call.type.kind === 'INT'
                ? 'i32'
                : 'i64';
    return { name: `r${i}`, type: call.type, nullable: call.nullable, storage };
  });
  if (node.window === null) return [[...keys, ...results]];
  return [[...keys, timestamp('window.start'), timestamp('window.end'), ...results, rowtimeColumn], input];
}

export function runAggregate(
  node: AggregateNode,
  input: Layout,
  options: {
    readonly bounded: boolean;
    readonly batchRows?: number;
    readonly seed?: number;
    readonly keyGroups?: KeyGroupRange;
    readonly restored?: readonly SnapshotPart[];
    /** Chance, in 1/8, that an emit answers `more`. */
    readonly moreOf8?: number;
    readonly mb?: number;
    readonly poolMb?: number;
  },
): Running {
  const slot = testSlot({ bytes: (options.mb ?? 64) << 20, poolBytes: (options.poolMb ?? 24) << 20 });
  const pool = pagePool(slot.memory, slot.poolFrom, slot.poolTo);
  const states = slotState({ memory: slot.memory, kernels: slot.kernels, pool, hashSeed: 42n });
  const basePages = pool.free;
  const state = states.operator('aggregate', options.keyGroups, options.restored);
  const outputs = outputsOf(node, input);
  let late = 0;
  const rows: OutRow[] = [];
  const random: Prng = prng(options.seed ?? 0);
  const context: OperatorContext = {
    memory: slot.memory,
    kernels: slot.kernels,
    state,
    counters: {
      addLate(n) {
        late += n;
      },
      addClosed() {},
      addSkipped() {},
      countCall() {},
    },
    batchRows: options.batchRows ?? 4096,
    bounded: options.bounded,
    hashSeed: 42n,
    subtask: 0,
    parallelism: 1,
    name: 'aggregate',
    inputs: [input],
    outputs,
    arrow: null as unknown as OperatorContext['arrow'],
    userFunction: () => () => null,
  };
  const operator = aggregateOperator(node, context);
  let held = false;
  const out: Output = {
    emit(batch: Batch, port = 0): Progress {
      if (held) throw new Error('emitted while downstream was full');
      if (batch.size > (options.batchRows ?? 4096) || batch.size === 0)
        throw new Error(`a batch of ${batch.size} rows`);
      const layout = outputs[port] as Layout;
      for (let k = 0; k < batch.size; k++) {
        const row = batch.selection ? (slot.memory.u32[(batch.selection >>> 2) + k] as number) : k;
        const kind = rowKindNames[batch.kinds ? (slot.memory.u8[batch.kinds + row] as number) : 0] as RowKind;
        rows.push({ port, kind, values: layout.map((_, c) => readValue(slot.memory, layout, batch, c, row)) });
      }
      held = random.below(8) < (options.moreOf8 ?? 0);
      return held ? Progress.more : Progress.done;
    },
  };
  const running: Running = {
    slot,
    operator,
    node,
    outputs,
    rows,
    late: () => late,
    state,
    freePages: () => pool.free,
    basePages,
    between: null,
    drive(action) {
      let progress = action(out) ?? Progress.done;
      while (progress === Progress.more) {
        held = false;
        running.between?.();
        progress = operator.resume?.(out) ?? Progress.done;
      }
    },
  };
  return running;
}

/** The rows that a changelog leaves, as text → how many times; throws when it takes away what is not there. */
export function materialise(rows: readonly OutRow[], port = 0): Map<string, number> {
  const left = new Map<string, number>();
  for (const row of rows) {
    if (row.port !== port) continue;
    const text = textOf(row.values);
    const now = (left.get(text) ?? 0) + (row.kind === '+I' || row.kind === '+U' ? 1 : -1);
    if (now < 0) throw new Error(`${row.kind} of ${text}, which is not there`);
    if (now === 0) left.delete(text);
    else left.set(text, now);
  }
  return left;
}

export const textOf = (values: readonly TestValue[]): string =>
  values
    .map((v) =>
      v === null
        ? 'NULL'
        : typeof v === 'number'
          ? `n${Object.is(v, -0) ? 0 : v}`
          : typeof v === 'bigint'
            ? `i${v}`
            : `${v}`,
    )
    .join(' | ');

/** A plain aggregation over rows in memory: what the operators must come to. */
export function reference(node: Pick<AggregateNode, 'calls'>, rows: readonly (readonly TestValue[])[]): TestValue[] {
  return node.calls.map((call) => {
    let counted = rows;
    if (call.filter !== null) counted = counted.filter((row) => row[call.filter as number] === true);
    if (call.arg === null) return BigInt(counted.length);
    const values = counted.map((row) => row[call.arg as number] as TestValue).filter((v) => v !== null);
    if (call.fn === 'count') return BigInt(values.length);
    if (values.length === 0) return null;
    if (call.fn === 'sum' || call.fn === 'avg') {
      const sum =
        typeof values[0] === 'bigint'
          ? values.reduce((a, b) => (a as bigint) + (b as bigint), 0n)
          : values.reduce((a, b) => (a as number) + (b as number), 0);
      return call.fn === 'sum' ? sum : Number(sum) / values.length;
    }
    return values.reduce((a, b) => (compare(a, b) <= 0 === (call.fn === 'min') ? a : b));
  }) as TestValue[];
}

function compare(a: TestValue, b: TestValue): number {
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b as string));
  return a === b ? 0 : (a as number) < (b as number) ? -1 : 1;
}

export const call = (
  fn: AggregateCall['fn'],
  arg: number | null,
  type: AggregateCall['type'],
  argType: AggregateCall['argType'],
  filter: number | null = null,
): AggregateCall => ({
  fn,
  arg,
  argType,
  filter,
  type,
  nullable: fn !== 'count',
});
