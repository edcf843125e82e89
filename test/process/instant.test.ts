/** Very many timers due at one instant: fired in pieces, each of which a snapshot may follow, each timer once. */
import { expect, test } from 'vitest';
import { type Operator, type Output, Progress, type UserFunction } from '../../core/operators/operator.ts';
import type { PhysicalNode } from '../../core/plan/physical.ts';
import { batch } from '../../core/record/batch.ts';
import { writeI64 } from '../../core/record/column-reader.ts';
import { layoutOf, rowtimeColumn } from '../../core/record/layout.ts';
import type { Fields } from '../../core/record/types.ts';
import { pagePool } from '../../state/page-pool.ts';
import { type StoredState, slotState } from '../../state/slot-state.ts';
import type { SnapshotPart } from '../../state/snapshot.ts';
import { operatorContext } from '../support/operator-harness.ts';
import { createOperator } from '../support/operators.ts';
import { testSlot } from '../support/slot.ts';

const fields: Fields = [{ name: 'k', type: { kind: 'BIGINT' }, nullable: false }];
const input = [...layoutOf(fields), rowtimeColumn];
const node: PhysicalNode = {
  kind: 'process',
  ports: [{ name: 'row', fields, key: { fields, leaves: [0] }, rowtime: 1, handler: 'onRow' }],
  output: null,
  side: [],
  state: [],
  broadcastState: [],
  onTimer: 'onTimer',
  timed: true,
};
const out: Output = { emit: () => Progress.done };
const keys = 100_000;
const rows = 4000;

function operatorOf(fired: Uint8Array, parts: readonly SnapshotPart[]) {
  const slot = testSlot({ bytes: 128 * 2 ** 20, poolBytes: 96 * 2 ** 20 });
  const { memory, kernels } = slot;
  const pool = pagePool(memory, slot.poolFrom, slot.poolTo);
  const state: StoredState = slotState({ memory, kernels, pool, hashSeed: 42n }).operator('operator', undefined, parts);
  const functions: Record<string, UserFunction> = {
    onRow: (_row, ctx) => ctx.timers.eventTime('t', new Date(1000)),
    onTimer: (_timer, ctx) => {
      fired[ctx.key.k] = (fired[ctx.key.k] ?? 0) + 1;
    },
  };
  const context = operatorContext(
    { node, input, outputs: [[]], bounded: false, functions },
    { memory, kernels, state, batchRows: 4096 },
  );
  return { operator: createOperator(node, context), memory, state };
}

function whole(operator: Operator, progress: Progress | undefined): void {
  for (let now = progress; now === Progress.more; ) now = operator.resume!(out);
}

test('100,000 timers of one instant fire in pieces, and exactly once through a snapshot in their middle', () => {
  const fired = new Uint8Array(keys);
  const first = operatorOf(fired, []);
  const { memory } = first;
  const at = [memory.arena.allocate(8 * rows, 'k'), memory.arena.allocate(8 * rows, 'time')];
  const columns = at.map((values) => ({ values, validity: 0, dictionary: null }));
  for (let from = 0; from < keys; from += rows) {
    for (let i = 0; i < rows; i++) {
      writeI64(memory, at[0]! + 8 * i, from + i);
      writeI64(memory, at[1]! + 8 * i, 0);
    }
    whole(first.operator, first.operator.onBatch(batch(input, rows, columns), 0, out));
  }
  let progress = first.operator.onWatermark!(1000, out);
  let pieces = 0;
  let part: SnapshotPart | null = null;
  let firedThen: Uint8Array | null = null;
  while (progress === Progress.more) {
    if (first.operator.firesFromState) pieces++;
    if (pieces === 40 && part === null) {
      const snapshot = first.state.snapshot();
      while (!snapshot.read(100));
      part = structuredClone(snapshot.part) as SnapshotPart;
      firedThen = fired.slice();
    }
    progress = first.operator.resume!(out);
  }
  expect(pieces).toBeGreaterThan(90);
  expect(fired.every((times) => times === 1)).toBe(true);

  // The snapshot's successor is told the same event time again, and fires what had not fired.
  const again = firedThen!;
  const before = again.reduce((sum, times) => sum + times, 0);
  expect(before).toBeGreaterThan(30_000);
  expect(before).toBeLessThan(50_000);
  const second = operatorOf(again, [part!]);
  whole(second.operator, second.operator.onWatermark!(1000, out));
  expect(again.every((times) => times === 1)).toBe(true);
});
