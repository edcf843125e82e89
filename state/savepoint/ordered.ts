/**
 * Rows of ordered tables as a savepoint shows them, and back: blocks of leaves (core/ports/ordered-layout.ts) on one side,
 * key parts and value fields on the other. A long value lies in chunks, which may stand in several blocks.
 */
import { orderedInlineBytesMax, orderedKeyBytesMax, orderedValueBytesMax } from '../../core/base/limits.ts';
import { blockEntryBytes, slotLong } from '../../core/ports/ordered-layout.ts';
import { pageSize } from '../../core/ports/page-layout.ts';
import type { ByteSink, ByteSource } from '../../core/record/bytes.ts';
import { type KeyCodec, type KeyPart, keyCodec } from '../../core/record/key-bytes.ts';
import { rowCodec } from '../../core/record/row-bytes.ts';
import { recordHeaderBytes, type TableLayout } from '../checkpoint/format.ts';
import { named, type StateColumn, type StateRow, storedType } from './columns.ts';

type OrderedLayout = Extract<TableLayout, { kind: 'ordered' }>;

/** Of a long value, in each chunk; the first has its length before them. */
const chunkBytes = orderedInlineBytesMax - 4;

function planOf({ key, value }: OrderedLayout) {
  const codecs = key.map((part): KeyCodec => {
    const type: KeyPart['type'] = part.type.kind === 'HASH' ? part.type : storedType(part.type);
    return keyCodec({ ...part, type });
  });
  const fields = value.map((field) => ({ ...field, type: storedType(field.type) }));
  const columns = named([...key, ...value].map(({ name, type, nullable }): StateColumn => ({ name, type, nullable })));
  return { codecs, fields, columns, row: value.length === 0 ? null : rowCodec(fields) };
}

export interface OrderedCodec {
  readonly columns: readonly StateColumn[];
  /** Rows that a record completes. */
  rows(record: Uint8Array): Generator<StateRow>;
}

export function orderedCodec(layout: OrderedLayout): OrderedCodec {
  const { codecs, fields, columns, row } = planOf(layout);
  /** Long values whose chunks are not all there yet, by key. */
  const open = new Map<string, { bytes: number; readonly chunks: Uint8Array[]; have: number }>();
  const source: ByteSource = { u8: new Uint8Array(0), view: new DataView(new ArrayBuffer(0)), at: 0, end: 0 };
  const opened = (bytes: Uint8Array): ByteSource => {
    source.u8 = bytes;
    source.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    source.at = 0;
    source.end = bytes.length;
    return source;
  };
  const rowOf = (key: Uint8Array, value: Uint8Array): StateRow => {
    const from = opened(key);
    const parts = codecs.map((codec) => codec.read(from));
    if (row === null) return parts;
    const values = row.read(opened(value)) as Record<string, unknown>;
    return [...parts, ...fields.map(({ name }) => values[name])];
  };
  return {
    columns,
    *rows(record) {
      const view = new DataView(record.buffer, record.byteOffset, record.length);
      for (let at = recordHeaderBytes; at < record.length; ) {
        const keyBytes = view.getUint16(at, true);
        const word = view.getUint16(at + 2, true);
        const chunk = view.getUint16(at + 4, true);
        const valueBytes = word & ~slotLong;
        const key = record.slice(at + blockEntryBytes, at + blockEntryBytes + keyBytes);
        const value = record.slice(at + blockEntryBytes + keyBytes, at + blockEntryBytes + keyBytes + valueBytes);
        at += blockEntryBytes + keyBytes + valueBytes;
        if (chunk === 0 && (word & slotLong) === 0) {
          yield rowOf(key, value);
          continue;
        }
        const name = Buffer.from(key).toString('latin1');
        let long = open.get(name);
        if (long === undefined) {
          long = { bytes: -1, chunks: [], have: 0 };
          open.set(name, long);
        }
        if (chunk === 0) long.bytes = new DataView(value.buffer).getUint32(0, true);
        const part = chunk === 0 ? value.subarray(4) : value;
        long.chunks[chunk] = part;
        long.have += part.length;
        if (long.have !== long.bytes) continue;
        open.delete(name);
        yield rowOf(key, Buffer.concat(long.chunks));
      }
    },
  };
}

/** Packs rows into blocks; `leave` gets each when it is full. */
export function orderedWriter(layout: OrderedLayout, leave: (block: Uint8Array) => void) {
  const { codecs, fields, row } = planOf(layout);
  const block = new Uint8Array(pageSize - 64);
  const view = new DataView(block.buffer);
  const key = heapSink(orderedKeyBytesMax);
  const value = heapSink(orderedValueBytesMax);
  let used = 0;
  const flush = (): void => {
    if (used > 0) leave(block.subarray(0, used));
    used = 0;
  };
  const put = (keyBytes: Uint8Array, bytes: Uint8Array, word: number, chunk: number): void => {
    if (used + blockEntryBytes + keyBytes.length + bytes.length > block.length) flush();
    view.setUint16(used, keyBytes.length, true);
    view.setUint16(used + 2, word, true);
    view.setUint16(used + 4, chunk, true);
    block.set(keyBytes, used + blockEntryBytes);
    block.set(bytes, used + blockEntryBytes + keyBytes.length);
    used += blockEntryBytes + keyBytes.length + bytes.length;
  };
  return {
    add(given: StateRow): void {
      key.reset();
      codecs.forEach((codec, i) => {
        codec.write(given[i], key);
      });
      value.reset();
      row?.write(Object.fromEntries(fields.map(({ name }, i) => [name, given[codecs.length + i]])), value);
      const keyBytes = key.u8.subarray(0, key.at);
      const bytes = value.u8.subarray(0, value.at);
      if (bytes.length <= orderedInlineBytesMax) {
        put(keyBytes, bytes, bytes.length, 0);
        return;
      }
      for (let from = 0, chunk = 0; from < bytes.length; from += chunkBytes, chunk++) {
        const part = bytes.subarray(from, from + chunkBytes);
        if (chunk > 0) put(keyBytes, part, part.length, chunk);
        else {
          const first = new Uint8Array(4 + part.length);
          new DataView(first.buffer).setUint32(0, bytes.length, true);
          first.set(part, 4);
          put(keyBytes, first, first.length | slotLong, 0);
        }
      }
    },
    flush,
  };
}

function heapSink(most: number): ByteSink {
  const sink: ByteSink = {
    u8: new Uint8Array(4096),
    view: new DataView(new ArrayBuffer(0)),
    from: 0,
    at: 0,
    end: 4096,
    inMemory: false,
    reset() {
      sink.at = 0;
    },
    grow(bytes) {
      if (sink.at + bytes <= sink.end) return;
      if (sink.at + bytes > most + 4096) throw new RangeError(`a value of more than ${most} bytes`);
      const larger = new Uint8Array(Math.max(sink.at + bytes, 2 * sink.u8.length));
      larger.set(sink.u8.subarray(0, sink.at));
      sink.u8 = larger;
      sink.view = new DataView(larger.buffer);
      sink.end = larger.length;
    },
  };
  sink.view = new DataView(sink.u8.buffer);
  return sink;
}
