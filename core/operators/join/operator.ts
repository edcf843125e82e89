/**
 * The regular join: rows of either side meet the rows of equal key that the other side has had, and are kept for those it
 * will have. Where a row without a match comes out as well, it does so at once and is taken back when its first match
 * comes; on ended input it waits for the end, so that results are final.
 *
 * A side is `tracked` when its rows come out, or do not, by whether they match: each has a count of its matches in state.
 */
import { assert } from '../../base/assert.ts';
import type { PhysicalNode } from '../../plan/physical.ts';
import type { OrderedTable } from '../../ports/state.ts';
import { type Batch, RowKindByte } from '../../record/batch.ts';
import type { ByteSource } from '../../record/bytes.ts';
import { Work } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress } from '../operator.ts';
import { AsOfJoin } from './as-of.ts';
import { InsertJoin, onlyInserts } from './insert-join.ts';
import { IntervalJoin } from './interval.ts';
import { LookupJoin } from './lookup.ts';
import { type Alone, alone, type Residual, residualOf, waitForRoom } from './parts.ts';
import { JoinRows, noRow } from './rows.ts';
import { JoinSide } from './side.ts';
import { WindowJoin } from './window.ts';

type JoinNode = Extract<PhysicalNode, { kind: 'join' }>;

export function joinOperator(node: JoinNode, context: OperatorContext): Operator {
  if (node.lookup) return new LookupJoin(node, context);
  if (node.windowEnd) return new WindowJoin(node, context);
  if (node.asOf) return new AsOfJoin(node, context);
  // On ended input no row is late and none is let go: there the condition says it all.
  if (node.within && node.type !== 'inner' && !context.bounded) return new IntervalJoin(node, context);
  return onlyInserts(node) ? new InsertJoin(node, context) : new Join(node, context);
}

class Join implements Operator {
  readonly #node: JoinNode;
  readonly #context: OperatorContext;
  readonly #sides: readonly [JoinSide, JoinSide];
  readonly #tables: readonly OrderedTable[];
  readonly #alone: readonly [Alone, Alone];
  /** Matches come out as rows of both sides. */
  readonly #pairs: boolean;
  /** By side: whether its rows match is settled by their first match, because no row of the other is taken back. */
  readonly #settled: readonly [boolean, boolean];
  /** A left row that has met its match is never asked for again. */
  readonly #forgets: boolean;
  readonly #rows: JoinRows;
  readonly #residual: Residual | null;
  readonly #work = new Work();

  constructor(node: JoinNode, context: OperatorContext) {
    const { type, keys, output, residual, updating } = node;
    this.#node = node;
    this.#context = context;
    this.#alone = alone[type];
    this.#pairs = type !== 'semi' && type !== 'anti';
    this.#settled = [!updating[1], !updating[0]];
    this.#forgets = !this.#pairs && !updating[0] && !updating[1];
    const side = (i: 0 | 1): JoinSide => {
      const kept = new Set([...output[i], ...(residual?.leaves[i] ?? [])]);
      return new JoinSide(
        {
          name: i === 0 ? 'left' : 'right',
          input: context.inputs[i]!,
          keys: keys[i],
          kept: [...kept].sort((a, b) => a - b),
          // Right rows that are equal are as good as one where only the left side comes out.
          counted: updating[i] || (i === 1 && !this.#pairs),
          tracked: this.#alone[i] !== 'never',
        },
        context,
      );
    };
    const sides = [side(0), side(1)] as const;
    this.#sides = sides;
    this.#tables = sides.map(({ table }) => table);
    const leaves = (of: readonly [readonly number[], readonly number[]]) =>
      [
        { leaves: of[0], shape: sides[0].shape },
        { leaves: of[1], shape: sides[1].shape },
      ] as const;
    this.#rows = new JoinRows(context.outputs[0]!, leaves(output), context.batchRows, context);
    this.#residual = residual === null ? null : residualOf(residual, context, leaves(residual.leaves));
  }

  onBatch(batch: Batch, port: number, out: Output): Progress {
    return batch.size === 0 ? Progress.done : this.#work.start(this.#consume(batch, port, out));
  }

  resume(): Progress {
    return this.#work.resume();
  }

  onEnd(out: Output): Progress {
    return this.#work.start(this.#finish(out));
  }

  *#consume(batch: Batch, port: number, out: Output): Generator<void> {
    const { memory, state } = this.#context;
    const own = this.#sides[port]!;
    const rows = this.#rows;
    own.begin(batch);
    rows.begin(batch, port);
    this.#residual?.begin(batch, port);
    for (let k = 0; k < batch.size; k++) {
      const row = batch.selection === 0 ? k : (memory.u32[(batch.selection >>> 2) + k] as number);
      const kind = batch.kinds === 0 ? 0 : (memory.u8[batch.kinds + row] as number);
      if (state.reading) yield* waitForRoom(this.#context.state, this.#tables);
      if (own.hasKey(row)) yield* this.#row(k, row, kind, port, out);
      else if (this.#alone[port] === 'unmatched') yield* this.#emit(row, null, this.#kindOf(kind), out);
    }
    yield* this.#leave(out);
    own.end();
    rows.begin(null, 0);
  }

  /** Row `row`, the `k`th that is in, comes or goes: what it changes in the result, then in its own side. */
  *#row(k: number, row: number, kind: number, port: number, out: Output): Generator<void> {
    const own = this.#sides[port]!;
    const other = this.#sides[1 - port]!;
    const { counted } = own.spec;
    const adds = kind === RowKindByte.insert || kind === RowKindByte.updateAfter;
    own.open(k, row);
    own.encode(row);
    const found = counted ? own.find(k) : 0;
    if (!adds) {
      assert(counted, `a row that is taken back came to ${this.#context.name}, which was told that none would`);
      if (found === 0) {
        this.#context.counters.addSkipped(1);
        return;
      }
    } else if (found > 0 && !this.#pairs && port === 1 && this.#settled[0]) return;

    const kindOut = this.#kindOf(kind);
    const settled = this.#alone[port] !== 'never' && this.#settled[port]!;
    let matches = 0;
    own.probe(other);
    while (other.matches.next()) {
      const kept = other.matches.value();
      if (this.#residual !== null && !this.#residual.holds(row, kept)) continue;
      const count = other.count(kept);
      matches += count;
      if (this.#alone[1 - port] !== 'never') yield* this.#matched(other, 1 - port, kept, count, adds, out);
      if (!this.#pairs) {
        if (settled) break;
        continue;
      }
      const shown = other.matches.value();
      for (let i = 0; i < count; i++) {
        while (!this.#rows.add(row, shown, kindOut)) yield* this.#leave(out);
      }
    }

    if (this.#showsAlone(port, matches) && this.#isFinal(port)) yield* this.#emit(row, null, kindOut, out);
    if (this.#forgets && port === 0 && matches > 0) return;
    const kept = settled ? Math.min(matches, 1) : matches;
    if (found === 0) own.put(kept);
    else own.change(adds ? found + 1 : found - 1, kept);
  }

  /** A kept row of `side`, there `count` times, gets a match more or less: it may come out alone now, or no longer. */
  *#matched(
    side: JoinSide,
    port: number,
    kept: ByteSource,
    count: number,
    adds: boolean,
    out: Output,
  ): Generator<void> {
    const before = side.matched(kept);
    if (this.#settled[port] && before > 0) return;
    const after = before + (adds ? 1 : -1);
    const [showed, shows] = [this.#showsAlone(port, before), this.#showsAlone(port, after)];
    if (showed !== shows && this.#isFinal(port)) {
      const kind = shows ? RowKindByte.insert : RowKindByte.delete;
      for (let i = 0; i < count; i++) yield* this.#emit(noRow, kept, kind, out);
    }
    if (this.#context.state.reading) yield* waitForRoom(this.#context.state, this.#tables);
    if (this.#forgets) side.matches.delete();
    else side.setMatched(kept, after);
  }

  /** That a row has no match is known at the end of ended input only. */
  get holdsToEnd(): boolean {
    return this.#context.bounded && this.#alone.includes('unmatched');
  }

  #showsAlone(port: number, matches: number): boolean {
    const when = this.#alone[port];
    return when === 'unmatched' ? matches === 0 : when === 'matched' && matches > 0;
  }

  /** Whether what shows alone now may be said now. */
  #isFinal(port: number): boolean {
    return !this.#context.bounded || this.#alone[port] !== 'unmatched';
  }

  /** An inner join passes kinds on; what others give is there or not, without being an update of something. */
  #kindOf(kind: number): number {
    if (this.#node.type === 'inner') return kind;
    return kind === RowKindByte.insert || kind === RowKindByte.updateAfter ? RowKindByte.insert : RowKindByte.delete;
  }

  *#emit(row: number, kept: ByteSource | null, kind: number, out: Output): Generator<void> {
    while (!this.#rows.add(row, kept, kind)) yield* this.#leave(out);
  }

  *#leave(out: Output): Generator<void> {
    if (this.#rows.size > 0 && out.emit(this.#rows.take()) === Progress.more) yield;
    this.#rows.reset();
  }

  /** Ended input: rows that have met no match. */
  *#finish(out: Output): Generator<void> {
    if (!this.#context.bounded) return;
    for (const port of [0, 1] as const) {
      if (this.#alone[port] !== 'unmatched') continue;
      const side = this.#sides[port];
      this.#rows.begin(null, 1 - port);
      side.matches.prefix(0, 0);
      while (side.matches.next()) {
        const kept = side.matches.value();
        if (side.matched(kept) > 0) continue;
        const count = side.count(kept);
        for (let i = 0; i < count; i++) yield* this.#emit(noRow, kept, RowKindByte.insert, out);
      }
      yield* this.#leave(out);
    }
    for (const side of this.#sides) side.table.clear();
  }
}
