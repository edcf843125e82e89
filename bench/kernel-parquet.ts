/**
 * The Parquet reader alone, on one thread: what reading, unpacking and decoding cost of the flights file, by column, in
 * CPU time; and hyparquet doing the same into JavaScript arrays. Counts for no bar.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { decompressor } from '../connectors/parquet/codec.ts';
import { closeFile, openFile, readExactly, readMetadata } from '../connectors/parquet/files.ts';
import { parquetKernels } from '../connectors/parquet/kernels.ts';
import { readPageHeader } from '../connectors/parquet/page-header.ts';
import { parquetSource } from '../connectors/parquet/source.ts';
import { PollStatus, type ReaderContext } from '../core/ports/connector.ts';
import { layoutOf } from '../core/record/layout.ts';
import { type SlotMemory, slotMemory } from '../core/record/memory.ts';
import { loadKernels } from '../kernels/load.ts';
import type { Bench, BenchCase, CaseOptions, EngineName, Measure } from './harness.ts';

const fileRows = 3_000_000;
const pages = 1024;

type Named = Measure & { readonly engine: EngineName; readonly name: string };

function flightsPath(): string {
  const entry = createRequire(import.meta.url).resolve('vega-datasets');
  return join(entry.slice(0, entry.lastIndexOf('vega-datasets')), 'vega-datasets', 'data', 'flights-3m.parquet');
}

function slot(): SlotMemory {
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return slotMemory(memory, 1024, pages * 65_536);
}

/** Least CPU milliseconds of `turns`. */
function least(turns: number, work: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let turn = 0; turn < turns; turn++) {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1000);
  }
  return best;
}

/** Reads the column chunks' bytes and does nothing with them. */
function readOnly(path: string, columns: readonly string[]): () => void {
  const memory = slot();
  const file = openFile(path);
  const metadata = readMetadata(file);
  closeFile(file);
  return () => {
    const open = openFile(path);
    for (const group of metadata.rowGroups) {
      for (const leaf of metadata.leaves) {
        const chunk = group.columns[leaf.index]!;
        if (columns.includes(leaf.name))
          readExactly(open, memory.u8.subarray(1024, 1024 + chunk.compressedBytes), chunk.offset);
      }
    }
    closeFile(open);
  };
}

/** Unpacks the pages of the columns, which are read before. */
function unpackOnly(path: string, columns: readonly string[]): () => void {
  const memory = slot();
  const unpack = decompressor(memory, parquetKernels(memory));
  const file = openFile(path);
  const metadata = readMetadata(file);
  closeFile(file);
  const bytes = readFileSync(path);
  const found: { codec: number; from: number; bytes: number; unpacked: number }[] = [];
  for (const group of metadata.rowGroups) {
    for (const leaf of metadata.leaves.filter(({ name }) => columns.includes(name))) {
      const chunk = group.columns[leaf.index]!;
      for (let at = chunk.offset; at < chunk.offset + chunk.compressedBytes; ) {
        const header = readPageHeader(bytes.subarray(at))!;
        const body = bytes.subarray(at + header.headerBytes, at + header.headerBytes + header.compressedBytes);
        const from = memory.arena.allocate(body.length + 64, 'pages');
        memory.u8.set(body, from);
        found.push({ codec: chunk.codec, from, bytes: body.length, unpacked: header.uncompressedBytes });
        at += header.headerBytes + header.compressedBytes;
      }
    }
  }
  const to = memory.arena.allocate(Math.max(...found.map(({ unpacked }) => unpacked)) + 64, 'a page');
  return () => {
    for (const page of found) {
      unpack.begin(page.codec, page.from, page.bytes, to, page.unpacked);
      while (!unpack.step());
    }
  };
}

function measured(name: string, columns: readonly string[]): BenchCase {
  return {
    name,
    rows: fileRows,
    slots: [1],
    bar: 'none; aim 10 ns/row for all five columns',
    measure: async (options: CaseOptions): Promise<Named[]> => {
      const path = flightsPath();
      const turns = options.smoke ? 1 : 15;
      const spec = { kind: 'parquet', label: 'flights-3m.parquet', options: { path } };
      const { fields } = await parquetSource.describe(spec, () => undefined);
      const layout = layoutOf(fields.filter((field) => columns.includes(field.name)));
      const request = { layout, prune: [], timeColumn: null };
      const splits = await parquetSource.enumerate(spec, request, 1, () => undefined);
      const memory = slot();
      let id = 0;
      const context: ReaderContext = {
        memory,
        kernels: loadKernels(memory),
        batchRows: 4096,
        subtask: 0,
        wake: () => {},
        monotonicMs: () => performance.now(),
        wakeAt: () => {},
        nowMs: () => Date.now(),
        resource: () => undefined,
        nextDictionaryId: () => ++id,
      };
      const reader = parquetSource.reader(spec, request, context);
      let rows = 0;
      const whole = least(turns, () => {
        rows = 0;
        for (const split of splits) {
          reader.open(split);
          while (reader.poll() === PollStatus.moved) rows += reader.batch.rowCount;
        }
      });
      reader.close();
      const read = least(turns, readOnly(path, columns));
      const unpack = least(turns, unpackOnly(path, columns));
      const checked = rows === fileRows;
      const line = (engine: EngineName, what: string, ms: number, unit: string): Named => ({
        engine,
        name: what,
        value: Number(ms.toPrecision(3)),
        unit,
        checked,
      });
      const lines = [
        line('millrace', 'whole', whole, 'ms'),
        line('millrace', 'per row', (whole * 1e6) / fileRows, 'ns/row'),
        line('millrace', 'read', read, 'ms'),
        line('millrace', 'unpack', unpack, 'ms'),
        line('millrace', 'decode and the rest', Math.max(0, whole - read - unpack), 'ms'),
        line('millrace', 'arena', memory.arena.usedBytes / 1e6, 'MB'),
      ];
      if (!options.smoke) lines.push(line('plain-js', 'hyparquet', await hyparquetMs(path, columns), 'ms'));
      return lines;
    },
  };
}

/** hyparquet with its own compressors, columns into arrays; the better of two. */
async function hyparquetMs(path: string, columns: readonly string[]): Promise<number> {
  const { parquetRead } = await import('hyparquet');
  const { compressors } = await import('hyparquet-compressors');
  const bytes = readFileSync(path);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  let best = Number.POSITIVE_INFINITY;
  for (let turn = 0; turn < 2; turn++) {
    const before = process.cpuUsage();
    await parquetRead({ file, columns: [...columns], compressors, onChunk: () => {} });
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1000);
  }
  return best;
}

const all = ['date', 'delay', 'distance', 'origin', 'destination'];

export const kernelParquet: Bench = {
  name: 'kernel-parquet',
  describe: 'the flights file into batches on one thread, by step, in CPU time',
  cases: [
    measured('flights-all', all),
    measured('flights-demo', ['date', 'delay', 'origin']),
    ...all.map((column) => measured(`flights-${column}`, [column])),
  ],
};
