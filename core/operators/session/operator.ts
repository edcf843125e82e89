/**
 * Session windows by event time. A row finds the youngest session of its key and nearly always is within it, or moves one of
 * its bounds; rows that begin a session while another one waits, come between older ones or join several, go the slow way,
 * one by one. On ended input all sessions are told at its end; else each when event time passes its end, and with allowed
 * lateness it stays a while and tells its corrections. Windows that touch are one, as in Flink.
 */
import { batchRowsMax } from '../../base/limits.ts';
import type { AggregateUpdater } from '../../compile/aggregate.ts';
import type { GroupTable } from '../../ports/state.ts';
import { type Batch, batch as batchOf, type Column, RowKindByte } from '../../record/batch.ts';
import { isComplete, isOver, type SessionWindow } from '../../time/windows.ts';
import { type AggregateNode, type AggregateSetup, aggregateSetup } from '../aggregate/setup.ts';
import { emitRows, resolveRows, resultColumns, Work, waitForPages } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress, watermarkMax, watermarkMin } from '../operator.ts';
import { endAt, Mark, SessionTables, sessionHead, startAt, takenMax, writeNumber, youngest } from './tables.ts';

export class SessionAggregate implements Operator {
  readonly #setup: AggregateSetup;
  readonly #gapMs: number;
  readonly #latenessMs: number;
  /** A row is in the session in which it arrives. */
  readonly #byClock: boolean;
  /** No row is late: sessions end when the input does. */
  readonly #held: boolean;
  readonly #tables: SessionTables;
  readonly #updater: AggregateUpdater;
  /** Offsets, in an entry, of the texts that its accumulators keep. */
  readonly #texts: readonly number[];
  /** Of a head and its accumulators. */
  readonly #bytes: number;
  readonly #watermark: { get(): number; set(value: number): void };
  readonly #results: Column[];
  readonly #kinds: number;
  readonly #late: number;
  #lateCount = 0;
  /** Entries that were made for late rows alone. */
  readonly #blank: number;
  #blankCount = 0;
  /** One entry or row. */
  readonly #one: number;
  readonly #other: number;
  /** Entries and rows of what is looked at. */
  readonly #rows: number;
  readonly #told: number;
  readonly #gone: number;
  readonly #work = new Work();

  constructor(node: AggregateNode, context: OperatorContext) {
    this.#gapMs = (node.window as SessionWindow).gapMs;
    this.#byClock = node.window!.time === 'processing';
    this.#held = context.bounded && !this.#byClock;
    this.#latenessMs = context.bounded ? 0 : node.allowedLatenessMs;
    this.#setup = aggregateSetup(node, context, { marked: false, head: sessionHead });
    const { arena } = context.memory;
    const take = (bytes: number): number => arena.allocate(bytes, `sessions of ${context.name}`);
    this.#tables = new SessionTables(this.#setup, context.inputs[0]!, !this.#held, take(8 * batchRowsMax));
    this.#updater = this.#setup.updater(this.#tables.headAt);
    const { texts, accumulatorBytes } = this.#setup.decl('');
    this.#texts = (texts ?? []).map((offset) => this.#tables.headAt + offset);
    this.#bytes = accumulatorBytes;
    this.#watermark = context.state.value('watermark', watermarkMin, Math.min);
    this.#results = resultColumns(context.outputs[0]!, context.batchRows, context);
    this.#kinds = take(batchRowsMax);
    this.#late = take(4 * batchRowsMax);
    this.#blank = take(4 * batchRowsMax);
    this.#one = take(64);
    this.#other = take(64);
    this.#rows = take(4 * takenMax);
    this.#told = take(4 * takenMax);
    this.#gone = take(4 * takenMax);
  }

  onBatch(batch: Batch, _port: number, out: Output): Progress {
    return batch.size === 0 ? Progress.done : this.#work.start(this.#consume(batch, out));
  }

  resume(): Progress {
    return this.#work.resume();
  }

  /** The clock goes on also where input ends. */
  get holdsToEnd(): boolean {
    return this.#held;
  }

  /** Sessions by the clock that are open when all input has ended end then. */
  onWatermark(timeMs: number, out: Output): Progress {
    if (timeMs <= this.#watermark.get() || (this.#byClock && timeMs !== watermarkMax)) return Progress.done;
    this.#watermark.set(timeMs);
    return this.#work.start(timeMs === watermarkMax ? this.#finish(out) : this.#fire(out));
  }

  onProcessingTime(nowMs: number, out: Output): Progress {
    if (!this.#byClock) return Progress.done;
    this.#watermark.set(Math.max(this.#watermark.get(), nowMs - 1));
    return this.#work.start(this.#fire(out));
  }

  /** When the first session may be over. */
  get nextProcessingTimeMs(): number | null {
    const due = this.#byClock ? this.#tables.earliestDueMs : Number.POSITIVE_INFINITY;
    return due === Number.POSITIVE_INFINITY ? null : due + 1;
  }

  onEnd(out: Output): Progress {
    return this.onWatermark(watermarkMax, out);
  }

  // ── rows in ────────────────────────────────────────────────────────────────────────────────────────────────

  *#consume(batch: Batch, out: Output): Generator<void> {
    const setup = this.#setup;
    const tables = this.#tables;
    if (setup.texts) tables.reclaim();
    tables.begin(batch, setup.node.keys);
    yield* resolveRows(tables.current, batch, setup.node.keys, batch.selection, batch.size, setup, (rows, count) =>
      this.#addRows(batch, rows, count, out),
    );
    yield* tables.settle();
  }

  *#addRows(batch: Batch, rows: number, n: number, out: Output): Generator<void> {
    const { u32, i32, f64 } = this.#setup.context.memory;
    const { entries } = this.#setup;
    const tables = this.#tables;
    const gap = this.#gapMs;
    const head = tables.headAt;
    // A clock that was set back does not open sessions that are over.
    const nowMs = this.#byClock ? Math.max(this.#setup.context.nowMs!(), this.#watermark.get() + 1) : 0;
    const times = this.#byClock ? 0 : batch.columns[this.#setup.node.time!]!.values >>> 2;
    const { timed } = tables;
    const byClock = this.#byClock;
    let from = 0;
    for (let k = 0; k < n; k++) {
      const row = rows === 0 ? k : (u32[(rows >>> 2) + k] as number);
      const entry = u32[(entries >>> 2) + k] as number;
      const time = byClock
        ? nowMs
        : (i32[times + 2 * row + 1] as number) * 4294967296 + (u32[times + 2 * row] as number);
      const bounds = (entry + head) >>> 3;
      const marks = tables.marks(entry);
      if ((marks & (Mark.live | Mark.told)) === Mark.live) {
        const end = f64[bounds + endAt] as number;
        const start = f64[bounds + startAt] as number;
        if (time >= start && time <= end) {
          if (time + gap > end) f64[bounds + endAt] = time + gap;
          continue;
        }
        if (time < start && time + gap >= start && (marks & Mark.older) === 0) {
          f64[bounds + startAt] = time;
          continue;
        }
      } else if (marks === 0 && !this.#isComplete(time + gap)) {
        tables.setBounds(entry, time, time + gap);
        tables.setMarks(entry, Mark.live);
        if (timed) {
          tables.open(row);
          tables.setDue(entry, time + gap - 1);
          yield* tables.remind(time + gap - 1, youngest);
        }
        continue;
      }
      this.#update(batch, rows, from, k);
      from = k + 1;
      yield* this.#addSlowly(batch, row, time, entry, out);
    }
    this.#update(batch, rows, from, n);
    yield* this.#leaveLate(batch, out);
  }

  /** Positions [from, to) of the rows to their entries. */
  #update(batch: Batch, rows: number, from: number, to: number): void {
    if (from === to) return;
    const setup = this.#setup;
    setup.target = this.#tables.current;
    const list = rows !== 0 ? rows + 4 * from : from > 0 ? setup.identity + 4 * from : 0;
    setup.add(this.#updater, batch, list, to - from, setup.entries + 4 * from);
  }

  /** `entry`: the key's youngest session, or a new one without marks. */
  *#addSlowly(batch: Batch, row: number, time: number, entry: number, out: Output): Generator<void> {
    const tables = this.#tables;
    const end = time + this.#gapMs;
    const marks = tables.marks(entry);
    tables.open(row);
    if (marks === 0) {
      if (this.#isLate(end)) return this.#drop(row, entry);
      tables.setMarks(entry, Mark.live);
      return yield* this.#begin(batch, row, time, entry, youngest, out);
    }
    if (time > tables.end(entry)) {
      if (this.#isLate(end)) return this.#drop(row, 0);
      yield* this.#retire(entry);
      return yield* this.#begin(batch, row, time, entry, youngest, out);
    }
    if (end >= tables.start(entry)) return yield* this.#join(batch, row, time, entry, youngest, out);

    if ((marks & Mark.older) !== 0 && tables.firstOlder(time) && tables.olderStart <= end) {
      const number = tables.olderNumber;
      return yield* this.#join(batch, row, time, yield* tables.find(number), number, out);
    }
    if (this.#isLate(end)) return this.#drop(row, 0);
    tables.setMarks(entry, marks | Mark.older);
    const older = yield* tables.find(time);
    tables.setMarks(older, Mark.live);
    tables.note(time, end, time);
    yield* this.#begin(batch, row, time, older, time, out);
  }

  /** The first row of a session whose marks are set. The youngest's note of when it is due may be there already. */
  *#begin(batch: Batch, row: number, time: number, entry: number, number: number, out: Output): Generator<void> {
    const tables = this.#tables;
    tables.setBounds(entry, time, time + this.#gapMs);
    this.#updateOne(batch, row, entry, number);
    if (this.#isComplete(time + this.#gapMs)) yield* this.#tell(entry, number, RowKindByte.insert, out);
    yield* this.#keepDue(entry, number);
  }

  #updateOne(batch: Batch, row: number, entry: number, number: number): void {
    const { u32 } = this.#setup.context.memory;
    this.#setup.target = number === youngest ? this.#tables.current : this.#tables.older;
    u32[this.#one >>> 2] = row;
    u32[this.#other >>> 2] = entry;
    this.#setup.add(this.#updater, batch, this.#one, 1, this.#other);
  }

  /** The key's youngest session becomes one of the older; `entry` is empty then, for the next. */
  *#retire(entry: number): Generator<void> {
    const tables = this.#tables;
    const { memory } = this.#setup.context;
    const [start, end, due] = [tables.start(entry), tables.end(entry), tables.due(entry)];
    const older = yield* tables.find(start);
    const from = entry + tables.headAt;
    const bytes = this.#bytes;
    const to = older + tables.headAt;
    for (const text of this.#texts) tables.older.keepText(older + text, entry + text);
    const kept = this.#texts.map((text) => memory.u8.slice(older + text, older + text + 16));
    memory.u8.copyWithin(to, from, from + bytes);
    kept.forEach((view, i) => {
      memory.u8.set(view, older + this.#texts[i]!);
    });
    memory.u8.fill(0, this.#other, this.#other + 16);
    for (const text of this.#texts) tables.current.keepText(entry + text, this.#other);
    memory.u8.fill(0, from, from + bytes);
    tables.setMarks(older, tables.marks(older) & ~Mark.older);
    tables.setMarks(entry, Mark.live | Mark.older);
    tables.setDue(entry, due);
    tables.note(start, end, start);
    tables.setDue(older, 0);
    yield* this.#keepDue(older, start);
  }

  /** The row joins session `entry`, number `number`, and all others that it touches; all end up in that one. */
  *#join(batch: Batch, row: number, time: number, entry: number, number: number, out: Output): Generator<void> {
    const tables = this.#tables;
    const { memory } = this.#setup.context;
    let start = Math.min(time, tables.start(entry));
    let end = Math.max(time + this.#gapMs, tables.end(entry));
    const before = { start: tables.start(entry), end: tables.end(entry) };
    const merged: { start: number; end: number; number: number }[] = [];
    const old = (tables.marks(entry) & Mark.older) !== 0 || number !== youngest;
    for (let more = old && tables.firstOlder(time); more; more = tables.nextOlder()) {
      if (tables.olderStart > time + this.#gapMs) break;
      if (tables.olderNumber === number) continue;
      merged.push({ start: tables.olderStart, end: tables.olderEnd, number: tables.olderNumber });
      start = Math.min(start, tables.olderStart);
      end = Math.max(end, tables.olderEnd);
    }
    const same = merged.length === 0 && start === before.start && end === before.end;
    const wasTold = (tables.marks(entry) & Mark.told) !== 0;
    if (wasTold) yield* this.#tell(entry, number, same ? RowKindByte.updateBefore : RowKindByte.delete, out);
    let target = entry;
    for (const one of merged) {
      const other = yield* tables.find(one.number);
      // What `find` did may have moved an older one.
      if (number !== youngest) target = yield* tables.find(number);
      const from = number === youngest ? other : yield* tables.find(one.number);
      if ((tables.marks(from) & Mark.told) !== 0) yield* this.#tell(from, one.number, RowKindByte.delete, out);
      memory.u32[this.#one >>> 2] = from;
      memory.u32[this.#other >>> 2] = target;
      this.#setup.target = number === youngest ? tables.current : tables.older;
      this.#updater.mergeEntries(this.#one, this.#other, 1);
      yield* tables.unremind(tables.due(from), one.number);
      tables.forget(one.start, one.end, one.number);
      yield* this.#remove(tables.older, from - tables.shift);
      if (number !== youngest) target = yield* tables.find(number);
    }
    if (number !== youngest && !same) {
      tables.forget(before.start, before.end, number);
      tables.note(start, end, number);
    }
    tables.setBounds(target, start, end);
    tables.setMarks(target, tables.marks(target) & ~Mark.told);
    this.#updateOne(batch, row, target, number);
    if (this.#isComplete(end))
      yield* this.#tell(target, number, same && wasTold ? RowKindByte.updateAfter : RowKindByte.insert, out);
    yield* this.#keepDue(target, number);
  }

  /** The session is noted for no later than it is wanted. */
  *#keepDue(entry: number, number: number): Generator<void> {
    const tables = this.#tables;
    if (!tables.timed) return;
    const wanted = this.#wantedAt(entry);
    const due = tables.due(entry);
    if (due !== 0 && due <= wanted) return;
    if (due !== 0) yield* tables.unremind(due, number);
    tables.setDue(entry, wanted);
    yield* tables.remind(wanted, number);
  }

  /** The event time at which something happens to a session: it is told, or gone. */
  #wantedAt(entry: number): number {
    const end = this.#tables.end(entry) - 1;
    return (this.#tables.marks(entry) & Mark.told) === 0 ? end : end + this.#latenessMs;
  }

  *#remove(table: GroupTable, entry: number): Generator<void> {
    const { memory, state } = this.#setup.context;
    memory.u32[this.#one >>> 2] = entry;
    while (table.remove(this.#one, 1) === 0) yield* waitForPages(table.stop, state);
  }

  #isComplete(end: number): boolean {
    return !this.#held && isComplete(end, this.#watermark.get());
  }

  #isLate(end: number): boolean {
    return !this.#held && isOver(end, this.#latenessMs, this.#watermark.get());
  }

  /** `blank`: the entry that was made for it, or 0. */
  #drop(row: number, blank: number): void {
    const { u32 } = this.#setup.context.memory;
    u32[(this.#late >>> 2) + this.#lateCount++] = row;
    if (blank !== 0) u32[(this.#blank >>> 2) + this.#blankCount++] = blank;
  }

  *#leaveLate(batch: Batch, out: Output): Generator<void> {
    if (this.#lateCount === 0) return;
    const { context } = this.#setup;
    const { u32 } = context.memory;
    context.counters.addLate(this.#lateCount);
    yield* emitRows(batch, this.#late, this.#lateCount, context.batchRows, out, 1);
    this.#lateCount = 0;
    const list = u32.subarray(this.#blank >>> 2, (this.#blank >>> 2) + this.#blankCount);
    const blank = [...new Set(list)].filter((entry) => this.#tables.marks(entry) === 0);
    this.#blankCount = 0;
    u32.set(blank, this.#blank >>> 2);
    yield* this.#removeAll(this.#tables.current, this.#blank, blank.length);
  }

  *#removeAll(table: GroupTable, entries: number, n: number): Generator<void> {
    for (let done = 0; done < n; ) {
      done += table.remove(entries + 4 * done, n - done);
      if (done < n) yield* waitForPages(table.stop, this.#setup.context.state);
    }
  }

  // ── sessions out ───────────────────────────────────────────────────────────────────────────────────────────

  *#fire(out: Output): Generator<void> {
    const tables = this.#tables;
    const { u32 } = this.#setup.context.memory;
    for (;;) {
      if (this.#setup.texts) tables.reclaim();
      const taken = yield* tables.take(this.#watermark.get());
      if (taken === 0) return;
      for (const old of [false, true]) {
        let n = 0;
        for (let i = 0; i < taken; i++) {
          if ((tables.takenNumber(i) !== youngest) === old) u32[(this.#rows >>> 2) + n++] = i;
        }
        for (let done = 0; done < n; ) {
          const found = tables.findTaken(this.#rows + 4 * done, n - done, old, this.#setup.entries);
          yield* this.#look(this.#rows + 4 * done, found, old, out);
          done += found;
          if (done < n) yield* waitForPages((old ? tables.older : tables.current).stop, this.#setup.context.state);
        }
      }
    }
  }

  /** Sessions of the rows that were taken, found: they are told, go, or are noted for later. */
  *#look(rows: number, n: number, old: boolean, out: Output): Generator<void> {
    const tables = this.#tables;
    const { u32 } = this.#setup.context.memory;
    const shift = old ? tables.shift : 0;
    const watermark = this.#watermark.get();
    let told = 0;
    let gone = 0;
    for (let k = 0; k < n; k++) {
      const at = u32[(this.#setup.entries >>> 2) + k] as number;
      const entry = at + shift;
      const i = u32[(rows >>> 2) + k] as number;
      if (this.#wantedAt(entry) <= watermark) {
        const marks = tables.marks(entry);
        if ((marks & Mark.told) === 0) {
          u32[(this.#told >>> 2) + told++] = at;
          tables.setMarks(entry, marks | Mark.told);
        }
      }
      const wanted = this.#wantedAt(entry);
      if (wanted > watermark) {
        tables.setDue(entry, wanted);
        tables.openTaken(i);
        yield* tables.remind(wanted, old ? tables.takenNumber(i) : youngest);
        continue;
      }
      u32[(this.#gone >>> 2) + gone++] = at;
      if (!old) continue;
      tables.openTaken(i);
      tables.forget(tables.start(entry), tables.end(entry), tables.takenNumber(i));
    }
    const table = old ? tables.older : tables.current;
    this.#setup.context.counters.addClosed(told);
    yield* this.#emit(table, this.#told, told, RowKindByte.insert, out);
    yield* this.#removeAll(table, this.#gone, gone);
  }

  /** The end of all input: what has not been told. */
  *#finish(out: Output): Generator<void> {
    const tables = this.#tables;
    const { context, entries } = this.#setup;
    const { u32 } = context.memory;
    for (const table of [tables.current, tables.older]) {
      const shift = table === tables.older ? tables.shift : 0;
      for (let n = table.drain(entries, context.batchRows); n > 0; n = table.drain(entries, context.batchRows)) {
        let kept = 0;
        for (let k = 0; k < n; k++) {
          const entry = u32[(entries >>> 2) + k] as number;
          if ((tables.marks(entry + shift) & Mark.told) === 0) u32[(entries >>> 2) + kept++] = entry;
        }
        context.counters.addClosed(kept);
        yield* this.#emit(table, entries, kept, RowKindByte.insert, out);
      }
    }
    tables.clear();
  }

  /** One session, whose entry is spoken of as a youngest's. A result that is there is marked. */
  *#tell(entry: number, number: number, kind: number, out: Output): Generator<void> {
    const tables = this.#tables;
    const adds = kind === RowKindByte.insert || kind === RowKindByte.updateAfter;
    if (adds) tables.setMarks(entry, tables.marks(entry) | Mark.told);
    const old = number !== youngest;
    this.#setup.context.memory.u32[this.#one >>> 2] = old ? entry - tables.shift : entry;
    yield* this.#emit(old ? tables.older : tables.current, this.#one, 1, kind, out);
  }

  /** Results of `n` entries of a table: keys, bounds, calls, event time (end − 1 ms). */
  *#emit(table: GroupTable, entries: number, n: number, kind: number, out: Output): Generator<void> {
    const { context, node } = this.#setup;
    const { u8, u32 } = context.memory;
    const tables = this.#tables;
    const keys = node.keys.length;
    const shift = table === tables.older ? tables.shift : 0;
    const [start, end, rowtime] = [
      this.#results[keys]!,
      this.#results[keys + 1]!,
      this.#results[keys + 2 + node.calls.length],
    ];
    for (let done = 0; done < n; ) {
      const from = entries + 4 * done;
      const count = Math.min(n - done, context.batchRows);
      for (let i = 0; i < keys; i++) {
        const column = this.#results[i] as Column;
        table.readKey(i, from, count, column.values, column.validity);
      }
      // The updater counts from where the youngest have their accumulators.
      if (shift !== 0)
        for (let k = 0; k < count; k++) u32[(from >>> 2) + k] = (u32[(from >>> 2) + k] as number) + shift;
      this.#updater.finish(from, count, this.#results.slice(keys + 2, keys + 2 + node.calls.length));
      for (let k = 0; k < count; k++) {
        const entry = u32[(from >>> 2) + k] as number;
        writeNumber(u32, (start.values >>> 2) + 2 * k, tables.start(entry));
        writeNumber(u32, (end.values >>> 2) + 2 * k, tables.end(entry));
        if (rowtime) writeNumber(u32, (rowtime.values >>> 2) + 2 * k, tables.end(entry) - 1);
      }
      for (const { validity } of [start, end])
        if (validity !== 0) u8.fill(0xff, validity, validity + ((count + 7) >>> 3));
      if (kind !== RowKindByte.insert) u8.fill(kind, this.#kinds, this.#kinds + count);
      done += count;
      const kinds = kind === RowKindByte.insert ? {} : { kinds: this.#kinds };
      if (out.emit(batchOf(context.outputs[0]!, count, this.#results, kinds)) === Progress.more) yield;
    }
  }
}
