/**
 * Savepoints: what a checkpoint holds, as a directory that belongs to the user. Self-contained and relocatable: a manifest
 * and one typed Arrow file per state (docs/savepoint-format.md). Made from a checkpoint's files, off the slots' threads;
 * read by making a checkpoint of it again, so that there is one way to restore.
 */
import { createHash } from 'node:crypto';
import { type StateFileWriter, stateFileRows, stateFileWriter } from '../connectors/arrow/state-file.ts';
import { MillraceError } from '../core/base/errors.ts';
import { keyGroups } from '../core/base/limits.ts';
import type { Manifest, StateDirectory } from '../core/ports/checkpoint.ts';
import type { Disk, DiskFile } from '../core/ports/disk.ts';
import { blockFile } from '../state/checkpoint/block-file.ts';
import { Damage } from '../state/checkpoint/block-reader.ts';
import { makeDurable, partName } from '../state/checkpoint/directory.ts';
import { stateError } from '../state/checkpoint/errors.ts';
import {
  blockBytesMax,
  type FooterOperator,
  type FooterTable,
  RecordKind,
  type TableLayout,
} from '../state/checkpoint/format.ts';
import { decodeManifest, encodeManifest } from '../state/checkpoint/manifest.ts';
import { checkpointReader, type StoredPart, type StoredTable } from '../state/checkpoint/reader.ts';
import { valuesToText } from '../state/checkpoint/values.ts';
import { type StateColumn, type StateRow, sliceColumn } from '../state/savepoint/columns.ts';
import { entryCodec, entryWriter } from '../state/savepoint/entries.ts';
import { orderedCodec, orderedWriter } from '../state/savepoint/ordered.ts';

/** One state of one operator: a file. */
export interface SavedState {
  readonly operator: string;
  readonly name: string;
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly rows: number;
  readonly columns: readonly StateColumn[];
  readonly layout: TableLayout;
  readonly format: string;
  /** Slices that there are, empty ones included; null: the state is not sliced. */
  readonly slices: readonly number[] | null;
}

export interface Savepoint extends Manifest {
  readonly kind: 'savepoint';
  readonly states: readonly SavedState[];
  /** What else each subtask held, as text of state/checkpoint/values.ts. */
  readonly values: readonly {
    readonly operator: string;
    readonly keyGroups: readonly [from: number, to: number];
    readonly text: string;
  }[];
}

const manifestFile = 'MANIFEST';
/** Rows between two turns of the thread. */
const rowsPerTurn = 8192;

/**
 * Writes a savepoint of the checkpoint `manifest`, whose files are in `files`, into a new directory below `into`; answers
 * its path. Until it is whole it has another name. Errors: `state/…`.
 */
export async function writeSavepoint(from: {
  readonly disk: Disk;
  readonly into: string;
  readonly manifest: Manifest;
  readonly files: string;
}): Promise<string> {
  const { disk, into, manifest, files } = from;
  const name = freeName(disk, into, `savepoint-${slug(manifest.jobName)}-${manifest.checkpointId}`);
  const partial = `${into}/.${name}.partial`;
  try {
    makeDurable(disk, into);
    disk.removeTree(partial);
    disk.makeDirectory(partial);
    const parts = manifest.parts.flatMap(({ file }) => (file === null ? [] : [file]));
    const reader = checkpointReader(disk, files, manifest.files, parts);
    try {
      const states: SavedState[] = [];
      const values: Savepoint['values'][number][] = [];
      for (const operator of reader.operators) {
        const stored = reader.operator(operator);
        for (const { keyGroups, values: of, keyed } of stored) {
          values.push({
            operator,
            keyGroups: [keyGroups.from, keyGroups.to],
            text: valuesToText({ values: of, keyed }),
          });
        }
        const names = [...new Set(stored.flatMap(({ tables }) => tables.map((table) => table.name)))];
        for (const table of names) {
          const file = `${states.length}-${slug(operator)}-${slug(table)}.arrow`;
          states.push(await writeState(disk, partial, file, operator, tablesOf(stored, table)));
        }
      }
      // Transactions of its checkpoint were committed before it was made.
      const savepoint: Savepoint = { ...manifest, kind: 'savepoint', parts: [], files: [], sinks: [], states, values };
      const made = disk.create(`${partial}/${manifestFile}`);
      made.write(encodeManifest(savepoint));
      await closing(made, made.sync());
    } finally {
      reader.close();
    }
    disk.syncDirectory(partial);
    disk.rename(partial, `${into}/${name}`);
    disk.syncDirectory(into);
    return `${into}/${name}`;
  } catch (error) {
    try {
      disk.removeTree(partial);
    } catch {
      // What is left has a name that says what it is.
    }
    throw stateError(error, partial);
  }
}

function freeName(disk: Disk, into: string, name: string): string {
  const taken = new Set(disk.list(into));
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? name : `${name}-${n}`;
    if (!taken.has(candidate)) return candidate;
  }
}

const slug = (text: string): string => text.replaceAll(/[^A-Za-z0-9_.-]+/g, '-').slice(0, 60) || 'unnamed';

/** The tables of one state: every slice of every subtask; of broadcast state, one subtask's. */
function tablesOf(stored: readonly StoredPart[], name: string): StoredTable[] {
  const tables = stored.flatMap((part) => part.tables.filter((table) => table.name === name));
  const [first] = tables as [StoredTable];
  const { layout } = first;
  return layout.kind === 'ordered' && layout.keyGroupAt === null && !layout.perSubtask ? [first] : tables;
}

async function writeState(
  disk: Disk,
  directory: string,
  file: string,
  operator: string,
  tables: readonly StoredTable[],
): Promise<SavedState> {
  const [{ name, layout, format }] = tables as [StoredTable];
  const sliced = tables.some(({ slice }) => slice !== null);
  const own = layout.kind === 'hash' ? entryCodec(layout).columns : orderedCodec(layout).columns;
  const columns = sliced ? [sliceColumn, ...own] : own;
  const made = disk.create(`${directory}/${file}`);
  const hash = createHash('sha256');
  let writer: StateFileWriter;
  try {
    writer = stateFileWriter(columns, { 'millrace.operator': operator, 'millrace.state': name }, (bytes) => {
      hash.update(bytes);
      made.write(bytes);
    });
    for (const table of tables) {
      for (const row of rowsOf(table)) {
        writer.append(sliced ? [BigInt(table.slice as number), ...row] : row);
        if (writer.rows % rowsPerTurn === 0) await writer.drain();
      }
    }
    await writer.finish();
  } catch (error) {
    made.close();
    throw error;
  }
  await closing(made, made.sync());
  const slices = sliced ? [...new Set(tables.map(({ slice }) => slice as number))].sort((a, b) => a - b) : null;
  const { rows } = writer;
  return { operator, name, file, bytes: made.bytes, sha256: hash.digest('hex'), rows, columns, layout, format, slices };
}

async function closing(file: DiskFile, work: Promise<void>): Promise<void> {
  try {
    await work;
  } finally {
    file.close();
  }
}

/** Rows of a table, with its changes. */
function* rowsOf(table: StoredTable): Generator<StateRow> {
  if (table.layout.kind === 'ordered') {
    const codec = orderedCodec(table.layout);
    for (const record of table.chunks) yield* codec.rows(record);
    return;
  }
  const codec = entryCodec(table.layout);
  /** What replaces or joins the rows of whole pages. */
  const changed = new Map<string, StateRow>();
  for (const record of table.changes ?? []) for (const row of codec.rows(record)) changed.set(codec.keyOf(row), row);
  for (const record of table.chunks) {
    for (const row of codec.rows(record)) {
      if (changed.size === 0) yield row;
      else {
        const key = codec.keyOf(row);
        yield changed.get(key) ?? row;
        changed.delete(key);
      }
    }
  }
  yield* changed.values();
}

/** Looks at a savepoint's manifest. Errors: `state/not-found`, `state/corrupt`. */
export function openSavepoint(disk: Disk, path: string): Savepoint {
  const at = `${path}/${manifestFile}`;
  try {
    if (disk.stat(at)?.kind !== 'file') {
      const isState = disk.stat(`${path}/manifests`) !== null;
      throw new MillraceError(
        'state/not-found',
        isState
          ? `${path} is a state directory, not a savepoint; millrace savepoint --state-dir ${path} makes one of the running job`
          : `${path} is not a savepoint: it holds no ${manifestFile}`,
        { where: { path } },
      );
    }
    const manifest = decodeManifest(disk.read(at), at);
    if (manifest.kind !== 'savepoint') throw new Damage(at, `is the manifest of a ${manifest.kind}`);
    return manifest as Savepoint;
  } catch (error) {
    throw stateError(error, path);
  }
}

/** The file of a state, whole and as its manifest says. Errors: `state/corrupt`. */
function bytesOf(disk: Disk, path: string, state: SavedState): Uint8Array {
  const at = `${path}/${state.file}`;
  const found = disk.stat(at);
  if (found === null) throw new Damage(at, 'is missing');
  if (found.bytes !== state.bytes) throw new Damage(at, `has ${found.bytes} bytes, ${state.bytes} were expected`);
  const reader = disk.open(at);
  try {
    const bytes = reader.read(0, state.bytes);
    if (createHash('sha256').update(bytes).digest('hex') !== state.sha256)
      throw new Damage(at, 'its hash does not match');
    return bytes;
  } finally {
    reader.close();
  }
}

/** Rows of a state, as its columns say. Errors: `state/corrupt`. */
export function* savedRows(disk: Disk, path: string, state: SavedState): Generator<StateRow> {
  try {
    yield* stateFileRows(bytesOf(disk, path, state), state.columns);
  } catch (error) {
    throw stateError(error instanceof TypeError ? new Damage(`${path}/${state.file}`, error.message) : error, path);
  }
}

/**
 * Makes a savepoint the first checkpoint of a state directory that has none; from there it is restored as any other.
 * Errors: `state/…`; nothing counts then.
 */
export async function importSavepoint(from: {
  readonly disk: Disk;
  readonly path: string;
  readonly state: StateDirectory;
  /** Of the job that begins with it: what another one that began with the same savepoint stages is not its own. */
  readonly jobKey?: string;
}): Promise<Manifest> {
  const { disk, path, state } = from;
  const savepoint = openSavepoint(disk, path);
  const checkpoint = state.lastCheckpointId + 1;
  const { epoch } = state;
  const name = partName(checkpoint, epoch, 0);
  const file = blockFile({
    disk,
    directory: state.staging,
    name,
    checkpoint,
    epoch,
    participant: 0,
    buffer: new Uint8Array(blockBytesMax),
  });
  try {
    const operators: FooterOperator[] = savepoint.values.map(({ operator, keyGroups: own, text }, i) => ({
      id: operator,
      keyGroups: own,
      values: file.appendLong(RecordKind.values, i, new TextEncoder().encode(text)),
    }));
    const tables: FooterTable[] = [];
    for (const saved of savepoint.states) {
      const operator = operators.length;
      operators.push({ id: saved.operator, keyGroups: [0, keyGroups], values: [] });
      const slices = new Map<number | null, ReturnType<typeof tableWriter>>();
      const sliceOf = (slice: number | null): ReturnType<typeof tableWriter> => {
        let of = slices.get(slice);
        if (of === undefined) {
          of = tableWriter(file, tables.length + slices.size, saved.layout);
          slices.set(slice, of);
        }
        return of;
      };
      if (saved.slices === null) sliceOf(null);
      else for (const slice of saved.slices) sliceOf(slice);
      let rows = 0;
      for (const row of savedRows(disk, path, saved)) {
        if (saved.slices === null) sliceOf(null).add(row);
        else sliceOf(Number(row[0])).add(row.slice(1));
        if (++rows % rowsPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      for (const [slice, of] of slices) {
        const { pages, map } = of.finish();
        const { name: table, format, layout } = saved;
        tables.push({ operator, name: table, slice, format, layout, pages, map, changes: [] });
      }
    }
    const ref = await file.finish({ files: [], operators, tables });
    const { version: _, kind: _kind, epoch: _epoch, states: _states, values: _values, ...content } = savepoint;
    return state.commit({
      ...content,
      jobKey: from.jobKey ?? content.jobKey,
      checkpointId: checkpoint,
      parts: [{ participant: 0, file: ref.name }],
      files: [ref],
      sinks: [],
    });
  } catch (error) {
    file.abandon();
    throw stateError(error, path);
  }
}

/** Packs rows of one table into records, and remembers where they lie. */
function tableWriter(file: ReturnType<typeof blockFile>, table: number, layout: TableLayout) {
  const positions: number[] = [];
  const writer =
    layout.kind === 'hash'
      ? entryWriter(layout, (head, tail, count) => {
          positions.push(file.append(RecordKind.page, table, positions.length + 1, count, head, tail));
        })
      : orderedWriter(layout, (block) => {
          positions.push(file.append(RecordKind.ordered, table, positions.length + 1, 0, block));
        });
  return {
    add: (row: StateRow) => writer.add(row),
    finish() {
      writer.flush();
      const n = positions.length;
      const words = new Uint32Array(2 + 3 * n);
      words[0] = n;
      positions.forEach((position, i) => {
        words[2 + i] = i + 1;
        words[2 + 2 * n + i] = position;
      });
      return { pages: n, map: file.appendLong(RecordKind.map, table, new Uint8Array(words.buffer)) };
    },
  };
}
