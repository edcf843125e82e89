/**
 * The state that a manifest names, operator by operator, for whoever restores it: whole pages in the order in which they
 * lie on disk, then changes, oldest first. Everything is under a checksum before it is handed out; what is wrong is
 * `state/corrupt`, naming the file.
 */
import type { FileRef } from '../../core/ports/checkpoint.ts';
import type { Disk } from '../../core/ports/disk.ts';
import type { KeyedValue } from '../../core/ports/state.ts';
import type { RestoredPart, RestoredTable } from '../snapshot.ts';
import { type BlockReader, Damage, openBlocks } from './block-reader.ts';
import { stateError } from './errors.ts';
import { type FooterTable, RecordKind, type TableLayout } from './format.ts';
import { valuesFromText } from './values.ts';

/** A table of a checkpoint, with what tools need to read it without its job. */
export interface StoredTable extends RestoredTable {
  readonly layout: TableLayout;
  readonly pages: number;
}

export interface StoredPart extends RestoredPart {
  /** Number of the participant's file among `parts`. */
  readonly part: number;
  readonly tables: readonly StoredTable[];
}

export interface CheckpointReader {
  /** Ids of operators with state, each once. */
  readonly operators: readonly string[];
  /** What every participant's subtask of that operator held. Errors: `state/corrupt`. */
  operator(id: string): readonly StoredPart[];
  close(): void;
}

/** `parts`: names of the participants' files, each one of `files`. Errors: `state/corrupt`, those of the disk. */
export function checkpointReader(
  disk: Disk,
  directory: string,
  files: readonly FileRef[],
  parts: readonly string[],
): CheckpointReader {
  const refs = new Map(files.map((ref) => [ref.name, ref]));
  const opened = new Map<string, BlockReader>();
  const blocksOf = (name: string): BlockReader => {
    let blocks = opened.get(name);
    if (blocks === undefined) {
      const ref = refs.get(name);
      const path = `${directory}/${name}`;
      if (ref === undefined) throw new Damage(path, 'is referred to, but the manifest does not name it');
      blocks = openBlocks(disk, path, ref);
      opened.set(name, blocks);
    }
    return blocks;
  };
  const guarded = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw stateError(error, directory);
    }
  };
  const mains = guarded(() => parts.map(blocksOf));

  return {
    operators: [...new Set(mains.flatMap(({ footer }) => footer.operators.map(({ id }) => id)))],
    operator: (id) =>
      guarded(() =>
        mains.flatMap((main, part) =>
          main.footer.operators.flatMap((operator, index): StoredPart[] => {
            if (operator.id !== id) return [];
            const { values, keyed } = valuesOf(main, operator.values);
            const [from, to] = operator.keyGroups;
            const tables = main.footer.tables.filter((table) => table.operator === index);
            const stored = tables.map((table) => storedTable(main, table, blocksOf, directory));
            return [{ part, keyGroups: { from, to }, values, keyed, tables: stored }];
          }),
        ),
      ),
    close() {
      for (const blocks of opened.values()) blocks.close();
      opened.clear();
    },
  };
}

interface Values {
  readonly values: Readonly<Record<string, unknown>>;
  readonly keyed: Readonly<Record<string, readonly KeyedValue<unknown>[]>>;
}

function valuesOf(main: BlockReader, positions: readonly number[]): Values {
  if (positions.length === 0) return { values: {}, keyed: {} };
  return valuesFromText(new TextDecoder().decode(bytesAt(main, positions, RecordKind.values))) as Values;
}

/** Records that were cut, in one piece. */
function bytesAt(main: BlockReader, positions: readonly number[], kind: RecordKind): Uint8Array {
  const pieces = positions.map((position) => {
    const record = main.record(position);
    if (record.kind !== kind)
      throw new Damage(main.path, `position ${position} holds a record of kind ${record.kind}, not ${kind}`);
    return record.body.slice();
  });
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

function storedTable(
  main: BlockReader,
  table: FooterTable,
  blocksOf: (name: string) => BlockReader,
  directory: string,
): StoredTable {
  const { footer } = main;
  /** File 0 is the one that the map stands in. */
  const fileOf = (file: number): BlockReader => {
    if (file === 0) return main;
    const ref = footer.files[file - 1];
    if (ref === undefined) throw new Damage(main.path, `refers to its file ${file}, and names ${footer.files.length}`);
    return blocksOf(ref.name);
  };
  const checkpointOf = (file: number): number =>
    file === 0 ? footer.checkpoint : ((footer.files[file - 1]?.checkpoint ?? 0) as number);
  const wrong = (blocks: BlockReader, position: number, what: string): never => {
    throw new Damage(blocks.path, `position ${position} ${what}; table '${table.name}' was expected`);
  };
  const whole: number = table.layout.kind === 'hash' ? RecordKind.page : RecordKind.ordered;

  function* chunks(): Generator<Uint8Array> {
    const map = mapOf(main, table);
    // As they lie on disk: each block is read once.
    const order = Uint32Array.from(map.ids, (_, i) => i).sort(
      (a, b) => map.files[a]! - map.files[b]! || map.positions[a]! - map.positions[b]!,
    );
    for (const i of order) {
      const blocks = fileOf(map.files[i] as number);
      for (let position = map.positions[i] as number; ; ) {
        const record = blocks.record(position);
        if (record.page !== map.ids[i] || (record.kind !== whole && record.kind !== RecordKind.pageMore)) {
          wrong(blocks, position, `holds page ${record.page} (kind ${record.kind}), not page ${map.ids[i]}`);
        }
        yield record.record;
        if (record.kind === whole) break;
        position = record.next;
      }
    }
  }

  function* changes(): Generator<Uint8Array> {
    if (table.changes.length === 0) return;
    const map = mapOf(main, table);
    /** By page id: the checkpoint of its whole record. */
    const since = new Map<number, number>();
    map.ids.forEach((id, i) => {
      since.set(id, checkpointOf(map.files[i] as number));
    });
    for (const [file, from, to] of table.changes) {
      const blocks = fileOf(file);
      const checkpoint = checkpointOf(file);
      for (let position = from; position < to; ) {
        const record = blocks.record(position);
        if (record.kind !== RecordKind.changes) wrong(blocks, position, `holds a record of kind ${record.kind}`);
        // A page that has gone, or was written whole later, has no use for them.
        if ((since.get(record.page) ?? Number.POSITIVE_INFINITY) < checkpoint) yield record.record;
        position = record.next;
      }
    }
  }

  return {
    name: table.name,
    slice: table.slice,
    format: table.format,
    layout: table.layout,
    pages: table.pages,
    chunks: { [Symbol.iterator]: () => guardedIterator(chunks(), directory) },
    changes: { [Symbol.iterator]: () => guardedIterator(changes(), directory) },
  };
}

function mapOf(
  main: BlockReader,
  table: FooterTable,
): { ids: Uint32Array; files: Uint32Array; positions: Uint32Array } {
  const bytes = bytesAt(main, table.map, RecordKind.map);
  const n = table.pages;
  if (bytes.length !== 8 + 12 * n) {
    throw new Damage(
      main.path,
      `the map of table '${table.name}' has ${bytes.length} bytes, ${8 + 12 * n} were expected for ${n} pages`,
    );
  }
  const words = new Uint32Array(bytes.buffer, 8);
  return { ids: words.subarray(0, n), files: words.subarray(n, 2 * n), positions: words.subarray(2 * n) };
}

/** Damage that shows while it is read is an error for people. */
function* guardedIterator(from: Generator<Uint8Array>, directory: string): Generator<Uint8Array> {
  try {
    yield* from;
  } catch (error) {
    throw stateError(error, directory);
  }
}
