/**
 * The `blackhole` sink: rows end here, in the slots. Options: `resource` (id of a `SharedArrayBuffer` of 24 bytes: three
 * i64, added to atomically when a writer finishes): [0] wrapping sum of a 64-bit hash of every row's every byte, [1] rows
 * added less rows taken away, [2] rows in all. Rows taken away (-U, -D) count negative in the sum, so it tells the final
 * multiset of rows, whatever order, slot or correction they came in.
 */

import { MillraceError } from '../../core/base/errors.ts';
import { batchRowsMax, dictionaryEntriesMax } from '../../core/base/limits.ts';
import type { SinkConnector, SinkWriter, WriterContext } from '../../core/ports/connector.ts';
import type { Batch, Column } from '../../core/record/batch.ts';
import type { StorageKind } from '../../core/record/layout.ts';
import { batchBytes } from '../rows/bytes.ts';

export const checksumBytes = 24;

export const blackholeSink: SinkConnector = {
  kind: 'blackhole',
  /** A checksum counts what is taken back; without one nobody looks. */
  describe: ({ options }) => ({
    accepts: 'all',
    parallelismMax: Number.MAX_SAFE_INTEGER,
    place: 'slot',
    ...(options.resource === undefined || options.resource === null ? { updateBefore: false } : {}),
  }),
  writer(spec, _fields, context) {
    const id = spec.options.resource;
    if (id === undefined || id === null) return counting();
    const cell = context.resource(String(id));
    if (!(cell instanceof SharedArrayBuffer) || cell.byteLength < checksumBytes) {
      throw new MillraceError(
        'option/invalid',
        `${spec.label}: checksum is a SharedArrayBuffer of ${checksumBytes} bytes`,
      );
    }
    return summing(new BigInt64Array(cell), context);
  },
};

function counting(): SinkWriter {
  let bytes = 0;
  return {
    write(batch) {
      bytes += batchBytes(batch);
      return true;
    },
    flush() {},
    finish() {},
    close() {},
    get bytes() {
      return bytes;
    },
  };
}

function summing(cell: BigInt64Array, context: WriterContext): SinkWriter {
  const { memory, kernels, layout } = context;
  const plain = counting();
  const hashes = memory.arena.allocate(batchRowsMax * 8, 'checksum');
  let dictionaryHashes = 0;
  let sum = 0n;
  let rows = 0;
  let net = 0;

  const hashColumn = (column: Column, storage: StorageKind, batch: Batch, first: number): void => {
    const { values, validity, dictionary } = column;
    const { selection, size } = batch;
    if (dictionary) {
      let known = dictionary.hashes;
      if (known === 0) {
        if (dictionaryHashes === 0) dictionaryHashes = memory.arena.allocate(dictionaryEntriesMax * 8, 'checksum');
        known = dictionaryHashes;
        kernels.hashDictionary(dictionary.views, dictionary.count, known);
      }
      kernels.hashCode(values, known, validity, selection, size, seed, first, hashes);
      return;
    }
    kernels[hashKernel[storage]](values, validity, selection, size, seed, first, hashes);
  };

  return {
    write(batch) {
      plain.write(batch);
      for (let i = 0; i < layout.length; i++) hashColumn(batch.columns[i]!, layout[i]!.storage, batch, i === 0 ? 1 : 0);
      rows += batch.size;
      if (batch.kinds === 0) {
        net += batch.size;
        sum += kernels.sumU64(hashes, batch.size);
        return true;
      }
      sum += kernels.sumU64Signed(hashes, batch.kinds, batch.selection, batch.size);
      for (let k = 0; k < batch.size; k++) {
        const row = batch.selection === 0 ? k : memory.u32[(batch.selection >>> 2) + k]!;
        net += memory.u8[batch.kinds + row]! & 1 ? -1 : 1;
      }
      return true;
    },
    flush() {},
    finish() {
      Atomics.add(cell, 0, BigInt.asIntN(64, sum));
      Atomics.add(cell, 1, BigInt(net));
      Atomics.add(cell, 2, BigInt(rows));
      sum = 0n;
      net = 0;
      rows = 0;
    },
    close() {},
    get bytes() {
      return plain.bytes;
    },
  };
}

/** Any: the sum only has to be the same in every slot and run. */
const seed = 0x6d696c6c72616365n;
const hashKernel = { bit: 'hashBit', i32: 'hashI32', i64: 'hashI64', f64: 'hashF64', view: 'hashView' } as const;
