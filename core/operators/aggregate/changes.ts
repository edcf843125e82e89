/**
 * What changes in groups when rows are added to them: results before and after, as rows of a changelog. One set of rows at
 * a time; the entries must carry marks (setup.ts). Knows neither where groups lie nor when they fire.
 */
import { batchRowsMax } from '../../base/limits.ts';
import { rowsField } from '../../compile/accumulators.ts';
import type { AggregateUpdater } from '../../compile/aggregate.ts';
import type { GroupTable } from '../../ports/state.ts';
import { type Column, RowKindByte } from '../../record/batch.ts';
import type { StorageKind } from '../../record/layout.ts';
import { sameValue } from '../../record/same-value.ts';
import { emitRows, resultColumns } from '../keyed-parts.ts';
import type { Output } from '../operator.ts';
import { type AggregateSetup, markBytes } from './setup.ts';

export class Changes {
  readonly #setup: AggregateSetup;
  readonly #updater: AggregateUpdater;
  /** Offset of the marks in an entry. */
  readonly #marksAt: number;
  readonly #distinct: number;
  readonly #before: number;
  readonly #selection: number;
  readonly #kinds: number;
  readonly #keys: Column[];
  /** Results before, results after: calls, then what the operator added. */
  readonly #old: Column[];
  readonly #new: Column[];
  /** Columns behind the calls' (the window's are filled by `fill`). */
  readonly #fixed: Column[];
  /** Index, among the calls, of a count of all rows: where it is 0 the group is gone. −1: nobody knows. */
  readonly #rowsCall: number;
  /** Where that count stands in the accumulators; −1: there is none. */
  readonly #rowsAt: number;
  readonly #storages: readonly StorageKind[];
  readonly #round: { get(): number; set(value: number): void };

  constructor(setup: AggregateSetup, updater: AggregateUpdater, accumulatorOffset: number) {
    const { context, node, calls } = setup;
    const { arena } = context.memory;
    this.#setup = setup;
    this.#updater = updater;
    this.#marksAt = accumulatorOffset;
    const list = (purpose: string): number => arena.allocate(4 * (batchRowsMax + 1), `${purpose} of ${context.name}`);
    this.#distinct = list('changed entries');
    this.#before = list('earlier marks');
    this.#selection = list('changed rows');
    this.#kinds = arena.allocate(batchRowsMax, `row kinds of ${context.name}`);
    const layout = context.outputs[0]!;
    const [keys, fixed, callsFrom] = [
      node.keys.length,
      node.window === null ? 0 : 2,
      node.keys.length + (node.window === null ? 0 : 2),
    ];
    this.#keys = resultColumns(layout.slice(0, keys), batchRowsMax, context);
    this.#fixed = resultColumns(
      [...layout.slice(keys, keys + fixed), ...layout.slice(callsFrom + node.calls.length)],
      batchRowsMax,
      context,
    );
    const results = layout.slice(callsFrom, callsFrom + node.calls.length);
    const hidden = calls
      .slice(node.calls.length)
      .map((_, i) => ({ name: `$${i}`, type: { kind: 'BIGINT' } as const, nullable: false, storage: 'i64' as const }));
    this.#old = resultColumns([...results, ...hidden], batchRowsMax, context);
    this.#new = resultColumns([...results, ...hidden], batchRowsMax, context);
    this.#rowsCall = calls.findIndex((call) => call.fn === 'count' && call.arg === null && call.filter === null);
    const rows = rowsField(calls);
    this.#rowsAt = rows === null || this.#rowsCall < 0 ? -1 : updater.layout.fields[rows]!.offset;
    this.#storages = results.map((column) => column.storage);
    this.#round = context.state.value('round', 0, Math.max);
  }

  /** Sets the marks of entries whose change is not told. */
  mark(entries: number, n: number): void {
    const { kernels } = this.#setup.context;
    kernels.distinctEntries(entries, n, this.#marksAt, this.#nextRound(), this.#distinct, this.#before);
  }

  /**
   * Runs `update` on `n` entries and emits what it changed: −U and +U, +I where a group had no result, −D where it is
   * gone. `markIsResult`: a mark of any kind says that the result was emitted (fired windows); else the flag beside it does.
   * `fill` writes the columns that are neither keys nor results.
   */
  *run(
    table: GroupTable,
    entries: number,
    n: number,
    update: () => void,
    markIsResult: boolean,
    fill: ((fixed: readonly Column[], rows: number) => void) | null,
    out: Output,
  ): Generator<void> {
    const { context, node } = this.#setup;
    const { kernels, memory } = context;
    const changed = kernels.distinctEntries(entries, n, this.#marksAt, this.#nextRound(), this.#distinct, this.#before);
    this.#keys.forEach((column, i) => {
      table.readKey(i, this.#distinct, changed, column.values, column.validity);
    });
    this.#updater.finish(this.#distinct, changed, this.#old);
    update();
    this.#refuse(changed);
    this.#updater.finish(this.#distinct, changed, this.#new);
    fill?.(this.#fixed, changed);

    const { u8, u32 } = memory;
    const calls = node.calls.length;
    const [distinct, before, selection] = [this.#distinct >>> 2, this.#before >>> 2, this.#selection >>> 2];
    const rows = this.#rowsCall < 0 ? 0 : (this.#new[this.#rowsCall] as Column).values >>> 2;
    // −U and −D leave first; whether a group had a result is needed once more for what follows.
    let size = 0;
    for (let i = 0; i < changed; i++) {
      const flag = (((u32[distinct + i] as number) + this.#marksAt) >>> 2) + 1;
      const had = markIsResult ? u32[before + i] !== 0 : u32[flag] === 1;
      const has = this.#rowsCall < 0 || u32[rows + 2 * i] !== 0 || u32[rows + 2 * i + 1] !== 0;
      u32[before + i] = (had ? 1 : 0) + (has ? 2 : 0);
      u32[flag] = has ? 1 : 0;
      if (!had) continue;
      // What comes out as it was (DISTINCT always) is no change.
      if (has && this.#isSame(i, calls)) {
        u32[before + i] = 0;
        continue;
      }
      if (has && node.withoutBefore) continue;
      u32[selection + size++] = i;
      u8[this.#kinds + i] = has ? RowKindByte.updateBefore : RowKindByte.delete;
    }
    yield* this.#emit(changed, this.#old.slice(0, calls), size, this.#kinds, out);
    size = 0;
    let kinds = 0;
    for (let i = 0; i < changed; i++) {
      const how = u32[before + i] as number;
      if (how < 2) continue;
      u32[selection + size++] = i;
      u8[this.#kinds + i] = how === 3 ? RowKindByte.updateAfter : RowKindByte.insert;
      if (how === 3) kinds = this.#kinds;
    }
    yield* this.#emit(changed, this.#new.slice(0, calls), size, kinds, out);
  }

  /** Whether changed entry `i` has the results it had. */
  #isSame(i: number, calls: number): boolean {
    for (let call = 0; call < calls; call++) {
      const storage = this.#storages[call] as StorageKind;
      if (!sameValue(this.#setup.context.memory, storage, this.#old[call] as Column, this.#new[call] as Column, i))
        return false;
    }
    return true;
  }

  /** Groups from which more rows were taken than they had begin anew, and the rows that were never there are counted. */
  #refuse(changed: number): void {
    if (this.#rowsAt < 0) return;
    const { memory, counters } = this.#setup.context;
    const { u32, u8 } = memory;
    for (let i = 0; i < changed; i++) {
      const from = (u32[(this.#distinct >>> 2) + i] as number) + this.#marksAt + markBytes;
      const high = u32[((from + this.#rowsAt) >>> 2) + 1] as number;
      if (high < 0x80000000) continue;
      counters.addSkipped(
        (4294967295 - high) * 4294967296 + (4294967296 - (u32[(from + this.#rowsAt) >>> 2] as number)),
      );
      u8.fill(0, from, from + this.#updater.layout.bytes);
    }
  }

  #emit(rowCount: number, results: readonly Column[], size: number, kinds: number, out: Output): Generator<void> {
    const { context } = this.#setup;
    const window = this.#fixed.slice(0, 2);
    const columns = [...this.#keys, ...window, ...results, ...this.#fixed.slice(2)];
    return emitRows(
      { layout: context.outputs[0]!, rowCount, columns, kinds },
      this.#selection,
      size,
      context.batchRows,
      out,
    );
  }

  #nextRound(): number {
    // 0 means "never"; four thousand million batches later it begins again.
    const round = (this.#round.get() % 0xffff_fffe) + 1;
    this.#round.set(round);
    return round;
  }
}
