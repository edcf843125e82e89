/**
 * One participant's checkpoints: snapshots of its operators go into one file each time, and only what changed since the
 * last one that counts. A page that was not touched is referred to where it lies; one that was is written whole, or as
 * the entries that were touched, whichever is less. The file ends with a map of every table: where each page is, whatever
 * file that is in. See format.ts.
 *
 * A file whose pages are mostly superseded is retired: what is still needed of it is written again with the next
 * checkpoint, so that it can go. So the number and the size of the files stay in proportion to the state.
 */
import { assert } from '../../core/base/assert.ts';
import type { KeyGroupRange } from '../../core/base/key-groups.ts';
import type { CheckpointFile, CheckpointWriter, FileRef, FinishedPart } from '../../core/ports/checkpoint.ts';
import type { Disk } from '../../core/ports/disk.ts';
import * as at from '../../core/ports/page-layout.ts';
import type { BTree } from '../ordered-table.ts';
import type { Shape } from '../shape.ts';
import {
  emptyChunk,
  formatOf,
  packedChunk,
  type SnapshotHome,
  type SnapshotPart,
  type SnapshotSink,
  type TableSink,
  type TableSource,
} from '../snapshot.ts';
import { type BlockFile, blockFile } from './block-file.ts';
import { partName } from './directory.ts';
import { stateError } from './errors.ts';
import {
  blockBytesMax,
  type FileFooter,
  type FooterOperator,
  type FooterTable,
  RecordKind,
  type Run,
  recordHeaderBytes,
  type TableLayout,
} from './format.ts';
import { type FrozenMap, freezeChanged, type PageTracker, type TrackedFile, WrittenPages } from './page-tracker.ts';
import { valuesToText } from './values.ts';

/** Files that a participant's maps refer to at most: past it the one with the least that counts is retired. */
const filesMax = 96;
/** A file of whose pages less than this share still counts is retired: to write what counts again makes the rest free. */
const liveShareMin = 0.25;
/** A page whose changes come to between half its size and all of it, depending on the page, is written whole: not all at once. */
const changesShare = (id: number): number => 0.5 + ((Math.imul(id, 0x9e3779b1) >>> 24) / 255) * 0.5;

const none = new Uint32Array(0);
const noMap: FrozenMap = {
  ids: none,
  files: none,
  positions: none,
  wanted: none,
  addresses: none,
  generations: none,
  count: 0,
  changedFrom: Number.POSITIVE_INFINITY,
};

export interface WriterSetup {
  readonly disk: Disk;
  /** Where files are written until they count: `StateDirectory.staging`. */
  readonly staging: string;
  readonly epoch: number;
  readonly participant: number;
}

/** A checkpoint that is being written, as the state room sees it. */
export interface CheckpointTarget extends CheckpointFile {
  /** The sink of one operator's snapshot. Entries touched from now on carry the stamp `id` + 1. */
  operator(id: string, home: SnapshotHome, tracker: PageTracker): SnapshotSink;
}

/** What the last checkpoint that counts came to. */
interface Last {
  readonly part: FinishedPart;
  /** Tables and values, as text: equal ones, and no page written or given up, and there is nothing to write. */
  readonly signature: string;
}

/** Changes of a table in one file. */
interface Changes {
  readonly file: number;
  readonly runs: readonly (readonly [from: number, to: number])[];
}

/** What a finished checkpoint will mean once it counts. */
interface Candidate {
  readonly id: number;
  readonly last: Last;
  readonly file: FileRef | null;
  readonly written: WrittenPages | null;
  /** By table. */
  readonly changes: ReadonlyMap<string, readonly Changes[]>;
}

interface TableState {
  readonly key: string;
  readonly operator: number;
  readonly name: string;
  readonly slice: number | null;
  readonly source: TableSource;
  readonly format: string;
  readonly number: number;
  /** The tracker's file numbers in it become 0 for pages that this file holds. */
  map: FrozenMap;
  /** Changes in this file. */
  readonly runs: [number, number][];
}

export function checkpointWriter(setup: WriterSetup): CheckpointWriter {
  /** One block's room, made when it is first needed. */
  let buffer: Uint8Array | null = null;
  let tracker: PageTracker | null = null;
  let last: Last = { part: { file: null, files: [], bytes: 0 }, signature: '' };
  let candidate: Candidate | null = null;
  /** By table, what has been committed. */
  let changesOf: ReadonlyMap<string, readonly Changes[]> = new Map();
  let open: CheckpointFile | null = null;

  const adopt = (committed: number): void => {
    const now = candidate;
    candidate = null;
    if (now === null || now.id > committed) return;
    last = now.last;
    if (tracker === null) return;
    if (now.file !== null && now.written !== null) {
      const number = tracker.addFile(now.file, now.id, now.written.totalBytes);
      tracker.adopt(now.written, number, now.id);
      // Runs in the file that had no number yet.
      changesOf = new Map(
        [...now.changes].map(([key, list]) => [
          key,
          list.map((one) => (one.file === 0 ? { ...one, file: number } : one)),
        ]),
      );
    } else changesOf = now.changes;
    retire(tracker, changesOf);
  };

  return {
    begin(id, committed, full = false): CheckpointTarget {
      assert(open === null, 'a checkpoint begins while the last one is being written');
      adopt(committed);
      const target = checkpointTarget(id, full);
      open = target;
      return target;
    },
  };

  function checkpointTarget(id: number, full: boolean): CheckpointTarget {
    const operators: (FooterOperator & { readonly text: string })[] = [];
    const tables: TableState[] = [];
    const written = new WrittenPages();
    let file: BlockFile | null = null;
    let failure: unknown = null;
    let ended = false;
    const path = `${setup.staging}/${partName(id, setup.epoch, setup.participant)}`;

    const blocks = (): BlockFile | null => {
      if (file !== null || failure !== null) return file;
      buffer ??= new Uint8Array(blockBytesMax);
      try {
        const name = partName(id, setup.epoch, setup.participant);
        file = blockFile({ ...setup, directory: setup.staging, name, checkpoint: id, buffer });
      } catch (error) {
        failure = error ?? new Error('no file');
      }
      return file;
    };

    const tableSink = (home: SnapshotHome, of: TableState, pages: PageTracker): TableSink => {
      const { shape, tree } = of.source;
      const { memory, kernels, pool, chunk } = home;
      const { number: table } = of;
      const { changedBytes, baseBytes, storedAt, generation } = pages;
      /** Among the wanted: the page that is read now. */
      let current = -1;

      const leaf = (id: number, address: number, from: BTree, index: number): void => {
        const to = blocks();
        if (to === null) return;
        const bytes = from.exportPage(address, chunk);
        const position = to.append(RecordKind.ordered, table, id, 0, memory.u8.subarray(chunk, chunk + bytes));
        of.map.files[index] = 0;
        of.map.positions[index] = position;
        written.add(id, of.map.generations[current] as number, position, recordHeaderBytes + bytes);
      };
      const whole = (id: number, address: number, from: number, { block, stride }: Shape, index: number): void => {
        const to = blocks();
        if (to === null) return;
        const capacity = memory.u32[(address + at.pageCapacityAt) >>> 2] as number;
        let position = -1;
        let bytes = 0;
        for (let place = from; ; ) {
          emptyChunk(memory, chunk);
          place = kernels.exportEntries(block, address, place, chunk, 0, 0);
          const { count, head, tail } = packedChunk(memory, chunk, stride);
          const ends = place === capacity;
          const at = to.append(ends ? RecordKind.page : RecordKind.pageMore, table, id, count, head, tail);
          if (position < 0) position = at;
          bytes += recordHeaderBytes + head.length + tail.length;
          if (ends) break;
        }
        of.map.files[index] = 0;
        of.map.positions[index] = position;
        written.add(id, of.map.generations[current] as number, position, bytes);
      };
      /** Writes what was touched since; false: the whole page is no more than that. */
      const changes = (id: number, address: number, { block, stride, stampAt }: Shape): boolean => {
        emptyChunk(memory, chunk);
        const capacity = memory.u32[(address + at.pageCapacityAt) >>> 2] as number;
        const place = kernels.exportEntries(block, address, 0, chunk, stampAt, storedAt[id] as number);
        if (place !== capacity) return false;
        const { count, head, tail } = packedChunk(memory, chunk, stride);
        const bytes = recordHeaderBytes + head.length + tail.length;
        if ((changedBytes[id] as number) + bytes > (baseBytes[id] as number) * changesShare(id)) return false;
        const to = blocks();
        if (to === null) return true;
        const from = to.append(RecordKind.changes, table, id, count, head, tail);
        const run = of.runs[of.runs.length - 1];
        const end = to.position;
        // A record that begins a new block still follows the last one: blocks have no gaps.
        if (run !== undefined && run[1] === from) run[1] = end;
        else of.runs.push([from, end]);
        written.add(id, of.map.generations[current] as number, null, bytes);
        return true;
      };

      return {
        freeze(ids, from, partly, stamp) {
          const map = freezeChanged(pages, memory.u32, pool.table >>> 2, ids, from, partly, full, stamp);
          of.map = map;
          return { ids: Uint32Array.from(map.wanted, (i) => map.ids[i] as number), addresses: map.addresses };
        },
        page(id, address, place) {
          current++;
          if (failure !== null || ended) return;
          const index = of.map.wanted[current] as number;
          assert(of.map.ids[index] === id, 'pages are read in another order than they froze in');
          if (shape === undefined) {
            leaf(id, address, tree, index);
            return;
          }
          // The id may be another page's by now: what the tracker knows is of that one.
          const same = of.map.generations[current] === generation[id];
          const rewritten = memory.u32[(address + at.pageRewrittenAt) >>> 2] as number;
          const partly = same && !full && place === 0 && pages.hasBase(id) && rewritten <= (storedAt[id] as number);
          if (!(partly && changes(id, address, shape))) whole(id, address, place, shape, index);
        },
        flush() {},
      };
    };

    const abandon = (): void => {
      if (ended) return;
      ended = true;
      open = null;
      file?.abandon();
    };

    return {
      id,
      operator(operatorId, home, pages) {
        tracker ??= pages;
        assert(tracker === pages, 'a participant has one page tracker');
        const operator = operators.length;
        operators.push({ id: operatorId, keyGroups: [0, 0], values: [], text: '' });
        return {
          table(name, slice, source) {
            const key = JSON.stringify([operatorId, name, slice]);
            const table: TableState = {
              key,
              operator,
              name,
              slice,
              source,
              format: source.shape ? formatOf(source.shape) : source.tree.format,
              number: tables.length,
              map: noMap,
              runs: [],
            };
            tables.push(table);
            return tableSink(home, table, pages);
          },
          values(keyGroups: KeyGroupRange, values: SnapshotPart['values'], keyed: SnapshotPart['keyed']): SnapshotPart {
            // All tables are frozen: what is touched from here on is another checkpoint's.
            for (const table of tables) {
              if (table.operator === operator) (table.source.shape ?? table.source.tree).stamp = id + 1;
            }
            const text = valuesToText({ values, keyed });
            operators[operator] = { id: operatorId, keyGroups: [keyGroups.from, keyGroups.to], values: [], text };
            return { keyGroups, values: {}, keyed: {}, tables: [] };
          },
        };
      },
      async finish(): Promise<FinishedPart> {
        assert(!ended, 'a checkpoint is finished that has ended');
        try {
          if (failure !== null) throw failure;
          return await finish();
        } catch (error) {
          abandon();
          throw stateError(error, path);
        }
      },
      abandon,
    };

    async function finish(): Promise<FinishedPart> {
      // In an order of their own: that of the tasks is the order in which the barrier passed them.
      const signature = JSON.stringify([
        operators.map(({ id: of, keyGroups, text }) => JSON.stringify([of, keyGroups, text])).sort(),
        tables.map(({ key, format, map }) => JSON.stringify([key, format, map.count])).sort(),
      ]);
      // A page that is new is written, so as many pages as before are the same pages.
      const changed = full || written.count > 0 || signature !== last.signature;
      if (operators.length === 0 || !changed) {
        const part: FinishedPart =
          operators.length === 0 ? { file: null, files: [], bytes: 0 } : { ...last.part, bytes: 0 };
        candidate = { id, last: { part, signature }, file: null, written: null, changes: changesOf };
        ended = true;
        open = null;
        return part;
      }
      const to = blocks();
      if (to === null) throw failure;
      /** Files that this one refers to, numbered from 1 on as they come. */
      const files: (FileRef & { checkpoint: number })[] = [];
      const numbers = new Map<number, number>([[0, 0]]);
      const trackedFile = (number: number): TrackedFile => {
        const found = tracker?.files[number];
        assert(found != null, `a map refers to file ${number}, which is forgotten`);
        return found;
      };
      const numberOf = (tracked: number): number => {
        let number = numbers.get(tracked);
        if (number === undefined) {
          const { ref, checkpoint } = trackedFile(tracked);
          files.push({ ...ref, checkpoint });
          number = files.length;
          numbers.set(tracked, number);
        }
        return number;
      };
      const nowChanges = new Map<string, readonly Changes[]>();
      const footerTables = tables.map((table): FooterTable => {
        const before = full ? [] : (changesOf.get(table.key) ?? []);
        const changes = before.filter(({ file: of }) => trackedFile(of).checkpoint >= table.map.changedFrom);
        if (table.runs.length > 0) changes.push({ file: 0, runs: table.runs });
        if (changes.length > 0) nowChanges.set(table.key, changes);
        const map = to.appendLong(RecordKind.map, table.number, mapBytes(table.map, numberOf));
        return {
          operator: table.operator,
          name: table.name,
          slice: table.slice,
          format: table.format,
          layout: layoutOf(table.source),
          pages: table.map.count,
          map,
          changes: changes.flatMap(({ file: of, runs }) => runs.map(([from, end]): Run => [numberOf(of), from, end])),
        };
      });
      const footerOperators = operators.map(({ text, ...operator }, i): FooterOperator => {
        return { ...operator, values: to.appendLong(RecordKind.values, i, new TextEncoder().encode(text)) };
      });
      const footer: Pick<FileFooter, 'files' | 'operators' | 'tables'> = {
        files,
        operators: footerOperators,
        tables: footerTables,
      };
      const ref = await to.finish(footer);
      ended = true;
      open = null;
      const part: FinishedPart = {
        file: ref.name,
        files: [...files.map(({ name, bytes, hash }) => ({ name, bytes, hash })), ref],
        bytes: ref.bytes,
      };
      candidate = { id, last: { part, signature }, file: ref, written, changes: nowChanges };
      return part;
    }
  }
}

function layoutOf({ shape, tree }: TableSource): TableLayout {
  if (shape === undefined) {
    const { key, value, keyGroupAt, perSubtask } = tree.decl;
    return { kind: 'ordered', key, value, keyGroupAt, ...(perSubtask ? { perSubtask } : {}) };
  }
  const { keys, accumulatorBytes, texts = [], leaves = [] } = shape.decl;
  return { kind: 'hash', keys, accumulatorBytes, texts, stamped: shape.stampAt !== 0, leaves };
}

/** Ids, file numbers and positions, column by column. */
function mapBytes({ ids, files, positions, count: n }: FrozenMap, numberOf: (tracked: number) => number): Uint8Array {
  const words = new Uint32Array(2 + 3 * n);
  words[0] = n;
  words.set(ids, 2);
  for (let i = 0; i < n; i++) words[2 + n + i] = numberOf(files[i] as number);
  words.set(positions, 2 + 2 * n);
  return new Uint8Array(words.buffer);
}

/**
 * Forgets files that nothing refers to, and marks what is to be written again: pages in files that count for little, and
 * when files have become too many, pages with the oldest changes.
 */
function retire(tracker: PageTracker, changesOf: ReadonlyMap<string, readonly Changes[]>): void {
  const { files } = tracker;
  const live = tracker.liveBytes();
  const withChanges = new Set<number>();
  for (const list of changesOf.values()) {
    for (const { file, runs } of list) {
      withChanges.add(file);
      for (const [from, to] of runs) (live[file] as number) += 8 * (to - from);
    }
  }
  const kept: TrackedFile[] = [];
  for (let i = 1; i < files.length; i++) {
    const file = files[i] as TrackedFile | null;
    if (file === null) continue;
    if (live[i] === 0 && !withChanges.has(i)) files[i] = null;
    else {
      // Its map and footer are no reason: a small file has little else, and what counts of it would be written for ever.
      if ((live[i] as number) < liveShareMin * file.pageBytes) file.retired = true;
      kept.push(file);
    }
  }
  const tooMany = kept.length - filesMax;
  tracker.retiredUpTo = 0;
  if (tooMany <= 0) return;
  // The oldest go: their pages, and pages whose changes they hold.
  for (const file of kept.slice(0, tooMany)) {
    file.retired = true;
    tracker.retiredUpTo = Math.max(tracker.retiredUpTo, file.checkpoint);
  }
}
