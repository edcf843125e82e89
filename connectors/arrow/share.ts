/**
 * Makes a caller's Arrow data readable in the slots: descriptors whose buffers are all shared memory. Buffers that are
 * shared already are passed on; the others are copied, once a run: a copy kept for the next one could be stale.
 */
import type { ArrowChunk, ArrowColumn, ArrowData } from './describe.ts';
import { describeArrow } from './describe.ts';

/** What a source of kind `arrow` needs in the slots: plain objects and views of shared memory, ready to be cloned. */
export function prepareArrowTable(from: unknown): ArrowData {
  const data = describeArrow(from);
  const dictionaries = new Map<readonly ArrowColumn[], readonly ArrowColumn[]>();
  const chunks = data.chunks.map(
    (chunk): ArrowChunk => ({ ...chunk, columns: chunk.columns.map((column) => shareColumn(column, dictionaries)) }),
  );
  return { ...data, chunks };
}

type Dictionaries = Map<readonly ArrowColumn[], readonly ArrowColumn[]>;

function shareColumn(column: ArrowColumn, dictionaries: Dictionaries): ArrowColumn {
  return {
    ...column,
    validity: column.validity && shared(column.validity),
    values: column.values && shared(column.values),
    offsets: column.offsets && sharedOffsets(column.offsets),
    buffers: column.buffers.map(shared),
    children: column.children.map((child) => shareColumn(child, dictionaries)),
    dictionary: column.dictionary && shareDictionary(column.dictionary, dictionaries),
  };
}

/** One array in, one array out: who reads the chunks tells a dictionary by its identity. */
function shareDictionary(chunks: readonly ArrowColumn[], known: Dictionaries): readonly ArrowColumn[] {
  let copy = known.get(chunks);
  if (copy === undefined) {
    copy = chunks.map((chunk) => shareColumn(chunk, known));
    known.set(chunks, copy);
  }
  return copy;
}

function sharedOffsets(offsets: Int32Array | BigInt64Array): Int32Array | BigInt64Array {
  if (offsets.buffer instanceof SharedArrayBuffer) return offsets;
  const bytes = shared(new Uint8Array(offsets.buffer, offsets.byteOffset, offsets.byteLength));
  return offsets instanceof Int32Array
    ? new Int32Array(bytes.buffer, bytes.byteOffset, offsets.length)
    : new BigInt64Array(bytes.buffer, bytes.byteOffset, offsets.length);
}

function shared(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer instanceof SharedArrayBuffer) return bytes;
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.byteLength));
  copy.set(bytes);
  return copy;
}
