/** What an aggregate node comes to in one task: declaration of its tables, compiled updates, buffers. Knows no phase's logic. */

import { batchRowsMax } from '../../base/limits.ts';
import { sumTypeOf } from '../../compile/accumulators.ts';
import { type AggregateUpdater, accumulatorLayout, aggregateUpdater } from '../../compile/aggregate.ts';
import type { AggregateCall } from '../../expr/tree.ts';
import type { PhysicalNode } from '../../plan/physical.ts';
import type { AccumulatorLeaf, GroupTable, GroupTableDecl } from '../../ports/state.ts';
import type { Batch } from '../../record/batch.ts';
import { identityRows, KeyHasher, type ResolveBuffers, waitForPages } from '../keyed-parts.ts';
import type { OperatorContext } from '../operator.ts';

export type AggregateNode = Extract<PhysicalNode, { kind: 'aggregate' }>;

export interface AggregateSetup extends ResolveBuffers {
  readonly node: AggregateNode;
  readonly context: OperatorContext;
  /** Calls with those that the operator added for itself behind. */
  readonly calls: readonly AggregateCall[];
  /** Leaves that tables know groups by: the keys and, where groups are let go, their time. */
  readonly tableKeys: readonly number[];
  /** Bytes behind the accumulators begin so far from their start. */
  readonly tailAt: number;
  /** Accumulators begin so far from the start of what is the operator's in an entry. */
  readonly accumulatorsAt: number;
  /** Declaration of a table of groups. */
  decl(name: string): GroupTableDecl;
  /** Compiles the updates for tables with that `accumulatorOffset`. */
  updater(accumulatorOffset: number): AggregateUpdater;
  /** The table whose accumulators keep texts during the next update or merge. */
  target: GroupTable | null;
  /** Whether accumulators keep texts at all. */
  readonly texts: boolean;
  /** Adds rows (or, in `final`, partial results) to their entries. */
  add(updater: AggregateUpdater, batch: Batch, rows: number, n: number, entries: number): void;
}

/** Bytes before an entry's accumulators that belong to the operator: {u32 round of the last change, u32 emitted}. */
export const markBytes = 8;

export function aggregateSetup(
  node: AggregateNode,
  context: OperatorContext,
  options: {
    readonly calls?: readonly AggregateCall[];
    readonly marked: boolean;
    /** What the operator itself keeps of a group, before the accumulators; instead of marks. */
    readonly head?: { readonly bytes: number; readonly leaves: readonly AccumulatorLeaf[] };
    readonly tailBytes?: number;
    readonly extremesApart?: boolean;
  },
): AggregateSetup {
  const { memory, kernels, state } = context;
  const input = context.inputs[0] ?? [];
  const calls = options.calls ?? node.calls;
  const head = options.head?.bytes ?? (options.marked ? markBytes : 0);
  const layout = accumulatorLayout(calls);
  const textOffsets = layout.fields.filter((f) => f.storage === 'view').map((f) => head + f.offset + 8);
  const firstPartial = node.keys.length + (node.window === null ? 0 : 1);
  const tail = options.tailBytes ?? 0;
  const leaves = [...(options.head?.leaves ?? []), ...accumulatorLeaves(layout, head, calls)];
  if (tail > 0) leaves.push({ name: '$group', type: { kind: 'INT' }, offset: head + layout.bytes, coding: 'i32' });
  const tableKeys = node.frees ? [...node.keys, node.frees.leaf] : node.keys;
  const setup: AggregateSetup = {
    tableKeys,
    node,
    context,
    calls,
    state,
    identity: identityRows(memory),
    hasher: new KeyHasher(context, input, node.keys),
    hashes: memory.arena.allocate(8 * batchRowsMax, `hashes of ${context.name}`),
    entries: memory.arena.allocate(4 * (batchRowsMax + 1), `entries of ${context.name}`),
    target: null,
    texts: textOffsets.length > 0,
    tailAt: head + layout.bytes,
    accumulatorsAt: head,
    decl: (name) => ({
      name,
      keys: tableKeys.map((key) => input[key]!),
      accumulatorBytes: head + layout.bytes + tail,
      texts: textOffsets,
      leaves,
    }),
    updater: (accumulatorOffset) =>
      aggregateUpdater(calls, accumulatorOffset + head, {
        memory,
        kernels,
        name: context.name,
        extremesApart: options.extremesApart ?? false,
        keepText: (target, view) => setup.target?.keepText(target, view),
      }),
    add:
      node.phase === 'final'
        ? (updater, batch, rows, n, entries) => updater.mergePartials(batch, firstPartial, rows, n, entries)
        : (updater, batch, rows, n, entries) => updater.update(batch, rows, n, entries),
  };
  return setup;
}

/** The entry of the one group that all rows of a batch go to where there are no keys. Yields and fails as `resolveRows`. */
export function* resolveGroup(setup: AggregateSetup, table: GroupTable, batch: Batch): Generator<void, number> {
  const { hasher, hashes, entries, state } = setup;
  hasher.hash(batch, 0, 1, hashes);
  while (table.resolve(batch, [], hashes, 0, 1, entries) === 0) yield* waitForPages(table.stop, state);
  return setup.context.memory.u32[entries >>> 2] as number;
}

/** What the accumulators hold: `count(*)`, `sum(price)`. */
export function accumulatorLeaves(
  { fields, calls: parts }: ReturnType<typeof accumulatorLayout>,
  head: number,
  calls: readonly AggregateCall[],
): AccumulatorLeaf[] {
  return fields.map(({ kind, type, storage, arg, offset }, i): AccumulatorLeaf => {
    const call = calls[parts.findIndex(({ count, value }) => count === i || value === i)];
    const name = `${kind}(${arg === null ? '*' : (call?.argText ?? arg)})`;
    const at = head + offset;
    if (kind === 'count') return { name, type: { kind: 'BIGINT' }, offset: at, coding: 'i64' };
    if (kind === 'sum') {
      return { name, type: sumTypeOf({ storage, type }), offset: at, coding: storage === 'f64' ? 'f64' : 'i64' };
    }
    return { name, type, offset: at, coding: storage === 'view' ? `${kind}View` : kind };
  });
}
