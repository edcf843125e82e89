/**
 * The call of a user's function that is under way: which row, which key, what time it is. One object for all calls of an
 * operator, so that nothing is allocated for a row. State handles and timers read it; only the operator writes it.
 */
import { MillraceError } from '../../base/errors.ts';
import { type Batch, batch as batchOf } from '../../record/batch.ts';
import { type ByteSink, byteSink } from '../../record/bytes.ts';
import { writeKeyColumns, writeKeyHash } from '../../record/key-bytes.ts';
import type { Layout } from '../../record/layout.ts';
import type { SlotMemory } from '../../record/memory.ts';

export interface Call {
  /** A function of the user's may be running: its context is alive. */
  active: boolean;
  /** Address of the key's accumulators; 0: there is no key (a broadcast row). */
  entry: number;
  /** Key columns that `row` is of, and where the row's hash is. */
  keys: Batch;
  row: number;
  hash: number;
  /** Event time of the row or of the timer; null: there is none. */
  timeMs: number | null;
  /** What time it is for what lives by event time: never before the watermark. */
  eventMs: number;
  /** The clock, as it was when the batch began. */
  nowMs: number;
  /** Byte of the row's kind. */
  kind: number;
  /** Address of the event time of what is emitted; 0: none. */
  rowtime: number;
  /** Iterations over state that have not come to their end. */
  open: number;
  /** Bytes of the current key, behind its hash, are at [`key.from`, `keyEnd`); 0: they have not been made. */
  readonly key: ByteSink;
  keyEnd: number;
}

/** A key's bytes in an ordered table, with what stands behind them: time, name, the key of a map. */
export const keyRoom = 8 * 1024;

export function newCall(memory: SlotMemory, layout: Layout, name: string): Call {
  const from = memory.arena.allocate(keyRoom, `a key of ${name}`);
  const none = layout.map(() => ({ validity: 0, values: 0, dictionary: null }));
  return {
    active: false,
    entry: 0,
    keys: batchOf(layout, 0, none),
    row: 0,
    hash: 0,
    timeMs: null,
    eventMs: 0,
    nowMs: 0,
    kind: 0,
    rowtime: 0,
    open: 0,
    key: byteSink(memory, from, keyRoom, keyRoom, 'a key of state'),
    keyEnd: 0,
  };
}

/** Makes the bytes of the current key once a call; behind them, at `call.key.at`, a suffix may be written. */
export function keyBytes(call: Call, memory: SlotMemory): ByteSink {
  const { key } = call;
  if (call.keyEnd === 0) {
    key.reset();
    writeKeyHash(memory, call.hash, key);
    writeKeyColumns(memory, call.keys, columnsUpTo(call.keys.columns.length), call.row, key);
    call.keyEnd = key.at;
  }
  key.at = call.keyEnd;
  return key;
}

const lists: number[][] = [];
/** 0, 1, … */
export function columnsUpTo(count: number): readonly number[] {
  let list = lists[count];
  if (list === undefined) {
    list = Array.from({ length: count }, (_, i) => i);
    lists[count] = list;
  }
  return list;
}

/** Errors: `function/misuse` when the call is over. */
export function alive(call: Call): void {
  if (!call.active) throw callOver();
}

export function callOver(): MillraceError {
  return new MillraceError(
    'function/misuse',
    'the context of a process function was used after its call had ended; state, timers and emit belong to the call (an await or a timeout inside it is too late)',
  );
}
