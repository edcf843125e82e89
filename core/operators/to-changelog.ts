/** The `toChangelog` node: every change becomes a row that is only added, its kind in a column behind the others. It keeps no state. */
import { batchRowsMax } from '../base/limits.ts';
import type { PhysicalNode } from '../plan/physical.ts';
import { type Batch, batch as batchOf, type Column, rowKindNames } from '../record/batch.ts';
import { rowtimeName } from '../record/layout.ts';
import { writeShortView } from '../record/text.ts';
import { type Operator, type OperatorContext, type Output, Progress } from './operator.ts';

export function toChangelogOperator(
  _node: Extract<PhysicalNode, { kind: 'toChangelog' }>,
  context: OperatorContext,
): Operator {
  return new ToChangelog(context);
}

class ToChangelog implements Operator {
  readonly #context: OperatorContext;
  /** Where the kind goes: behind the columns, before the event time. */
  readonly #at: number;
  /** Four words for each kind: its view. */
  readonly #views: Uint32Array;
  /** Every row's kind is +I; and as the batch at hand has them. */
  readonly #inserts: Column;
  readonly #mixed: Column;

  constructor(context: OperatorContext) {
    const { memory, name } = context;
    const { arena } = memory;
    this.#context = context;
    const layout = context.outputs[0]!;
    this.#at = layout.length - (layout.at(-1)!.name === rowtimeName ? 2 : 1);
    const views = arena.allocate(16 * rowKindNames.length, `row kinds of ${name}`);
    rowKindNames.forEach((kind, i) => void writeShortView(memory, views + 16 * i, kind));
    this.#views = memory.u32.slice(views >>> 2, (views >>> 2) + 4 * rowKindNames.length);
    const column = (): Column => ({
      values: arena.allocate(16 * batchRowsMax, `row kinds of ${name}`),
      validity: 0,
      dictionary: null,
    });
    this.#inserts = column();
    this.#mixed = column();
    for (let row = 0; row < batchRowsMax; row++) this.#write(this.#inserts, row, 0);
  }

  onBatch(batch: Batch, _port: number, out: Output): Progress {
    const { memory, outputs } = this.#context;
    let kinds = this.#inserts;
    if (batch.kinds !== 0) {
      kinds = this.#mixed;
      for (let k = 0; k < batch.size; k++) {
        const row = batch.selection === 0 ? k : (memory.u32[(batch.selection >>> 2) + k] as number);
        this.#write(kinds, row, memory.u8[batch.kinds + row] as number);
      }
    }
    const { columns, rowCount, selection, size, origin } = batch;
    const made = [...columns.slice(0, this.#at), kinds, ...columns.slice(this.#at)];
    return out.emit(batchOf(outputs[0]!, rowCount, made, { selection, size, origin }));
  }

  resume(): Progress {
    return Progress.done;
  }

  #write({ values }: Column, row: number, kind: number): void {
    const { u32 } = this.#context.memory;
    const [from, to] = [4 * kind, (values >>> 2) + 4 * row];
    u32[to] = this.#views[from] as number;
    u32[to + 1] = this.#views[from + 1] as number;
    u32[to + 2] = 0;
    u32[to + 3] = 0;
  }
}
