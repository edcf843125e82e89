/**
 * One process of the Parquet fuzz: takes files apart (footer, page headers, page bodies before and after compression),
 * changes parts, puts them together again and reads them. Everything must end in rows or in a typed error, within its
 * own buffers (each has a canary behind it) and in time. Arguments: seed, first case, cases, file for the running case.
 */
import { closeSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { decompressor } from '../../connectors/parquet/codec.ts';
import { compressor } from '../../connectors/parquet/compress.ts';
import { closeFile, openFile, readMetadata } from '../../connectors/parquet/files.ts';
import { Codec, PageType } from '../../connectors/parquet/format.ts';
import { parquetKernels } from '../../connectors/parquet/kernels.ts';
import { readPageHeader } from '../../connectors/parquet/page-header.ts';
import { parquetSource } from '../../connectors/parquet/source.ts';
import { asStruct, readThrift, type ThriftStruct, type ThriftValue } from '../../connectors/parquet/thrift.ts';
import { MillraceError } from '../../core/base/errors.ts';
import { type Prng, prng } from '../../core/base/prng.ts';
import { PollStatus, type ReaderContext } from '../../core/ports/connector.ts';
import type { Column } from '../../core/record/batch.ts';
import { layoutOf } from '../../core/record/layout.ts';
import { type SlotMemory, slotMemory } from '../../core/record/memory.ts';
import { loadKernels } from '../../kernels/load.ts';

const rowsMax = 60_000;
const caseMsMax = 2_000;
/** Of ASCII, so that a string that reaches into them is not refused for its UTF-8. */
const canaryBytes = 4096;
const memoryPages = 512;

export interface FuzzReport {
  readonly cases: number;
  readonly failures: string[];
  readonly coverage: Record<string, number>;
  readonly maxRssMb: number;
}

const coverage: Record<string, number> = {};
const count = (what: string): void => {
  coverage[what] = (coverage[what] ?? 0) + 1;
};

// Counts what each kernel answered: the coverage of the decoding code.
const Instance = WebAssembly.Instance;
class CountingInstance {
  readonly exports: Record<string, unknown> = {};
  constructor(module: WebAssembly.Module, imports: Record<string, Record<string, WebAssembly.ImportValue>>) {
    const { exports } = new Instance(module, imports);
    for (const [name, kernel] of Object.entries(exports)) {
      this.exports[name] = (...given: never[]): unknown => {
        const answer = (kernel as (...given: never[]) => unknown)(...given);
        count(typeof answer === 'number' && answer < 0 && answer > -16 ? `${name} ${answer}` : name);
        return answer;
      };
    }
  }
}

/** A file taken apart. */
interface Page {
  header: ThriftStruct;
  /** As it lies in the file, and unpacked (levels included). */
  readonly packed: Uint8Array;
  readonly plain: Uint8Array;
  readonly levels: number;
  readonly isV2: boolean;
}
interface Base {
  readonly name: string;
  readonly footer: ThriftStruct;
  /** By row group and column. */
  readonly chunks: readonly (readonly { readonly codec: number; readonly pages: readonly Page[] }[])[];
}

const memory = new WebAssembly.Memory({ initial: memoryPages, maximum: memoryPages, shared: true });
const plainMemory = (): SlotMemory => slotMemory(memory, 1024, memoryPages * 65_536);

function takeApart(path: string, name: string): Base {
  const bytes = readFileSync(path);
  const file = openFile(path);
  const metadata = readMetadata(file);
  closeFile(file);
  const footerBytes = bytes.readUInt32LE(bytes.length - 8);
  const footer = readThrift(bytes, bytes.length - 8 - footerBytes).struct;
  const chunks = metadata.rowGroups.map((group) =>
    group.columns.map((chunk) => {
      const slot = plainMemory();
      const unpack = decompressor(slot, parquetKernels(slot));
      const pages: Page[] = [];
      for (let at = chunk.offset; at < chunk.offset + chunk.compressedBytes; ) {
        const parsed = readPageHeader(bytes.subarray(at));
        if (parsed === null) throw new Error(`${name}: no page at ${at}`);
        const packed = bytes.subarray(at + parsed.headerBytes, at + parsed.headerBytes + parsed.compressedBytes);
        const levels = parsed.definitionBytes + parsed.repetitionBytes;
        let plain: Uint8Array = new Uint8Array(packed);
        if (chunk.codec !== Codec.uncompressed && parsed.isCompressed && parsed.uncompressedBytes > levels) {
          const from = slot.arena.allocate(packed.length + 64, 'packed');
          const to = slot.arena.allocate(parsed.uncompressedBytes + 64, 'plain');
          slot.u8.set(packed, from);
          unpack.begin(
            chunk.codec,
            from + levels,
            packed.length - levels,
            to + levels,
            parsed.uncompressedBytes - levels,
          );
          while (!unpack.step());
          slot.u8.set(packed.subarray(0, levels), to);
          plain = slot.u8.slice(to, to + parsed.uncompressedBytes);
        }
        const header = readThrift(bytes, at).struct;
        pages.push({ header, packed, plain, levels, isV2: parsed.type === PageType.dataV2 });
        at += parsed.headerBytes + parsed.compressedBytes;
      }
      return { codec: chunk.codec, pages };
    }),
  );
  return { name, footer, chunks };
}

// Thrift again: every integer as i64, which any reader of ours takes.

function serialise(of: ThriftStruct, out: number[]): void {
  let last = 0;
  for (const [id, value] of of.fields.entries()) {
    if (value === undefined) continue;
    out.push(((id - last <= 15 ? id - last : 0) << 4) | typeOf(value));
    if (id - last > 15) varint(id * 2, out);
    if (typeof value !== 'boolean') serialiseValue(value, out);
    last = id;
  }
  out.push(0);
}

function serialiseValue(value: ThriftValue, out: number[]): void {
  if (typeof value === 'boolean') out.push(value ? 1 : 2);
  else if (typeof value === 'number') {
    const whole = BigInt(Math.trunc(value));
    varint(whole < 0n ? -whole * 2n - 1n : whole * 2n, out);
  } else if (value instanceof Uint8Array) {
    varint(value.length, out);
    for (const byte of value) out.push(byte);
  } else if (Array.isArray(value)) {
    const type = value.length === 0 ? 12 : typeOf(value[0]);
    if (value.length < 15) out.push((value.length << 4) | type);
    else {
      out.push(0xf0 | type);
      varint(value.length, out);
    }
    for (const element of value) serialiseValue(element, out);
  } else serialise(asStruct(value), out);
}

function typeOf(value: ThriftValue): number {
  if (typeof value === 'boolean') return value ? 1 : 2;
  if (typeof value === 'number') return 6;
  if (value instanceof Uint8Array) return 8;
  return Array.isArray(value) ? 9 : 12;
}

function varint(value: number | bigint, out: number[]): void {
  let rest = BigInt(value);
  while (rest >= 128n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  out.push(Number(rest));
}

// Changes.

const edges = [
  0, 1, 2, 3, 4, 7, 8, 31, 32, 33, 63, 64, 127, 128, 255, 4096, 65_535, 65_536, 0x7fffffff, 0x80000000, 0xffffffff,
];

function number(random: Prng, near: number): number {
  switch (random.below(4)) {
    case 0:
      return near + random.below(9) - 4;
    case 1:
      return edges[random.below(edges.length)] as number;
    case 2:
      return -1 - random.below(3);
    default:
      return random.below(2) === 0 ? Number.MAX_SAFE_INTEGER - random.below(2) : near * 2 + 1;
  }
}

/** Changes some bytes; `early`: near the start, where lengths and widths are. */
function changeBytes(random: Prng, bytes: Uint8Array, early: boolean): Uint8Array {
  if (bytes.length === 0) return Uint8Array.of(random.below(256));
  const changed = new Uint8Array(bytes);
  for (let n = 1 + random.below(3); n > 0; n--) {
    const at = random.below(early ? Math.min(24, changed.length) : changed.length);
    switch (random.below(5)) {
      case 0:
        changed[at] = (changed[at] as number) ^ (1 << random.below(8));
        break;
      case 1:
        changed[at] = random.below(256);
        break;
      case 2:
        changed[at] = [0, 1, 127, 128, 254, 255][random.below(6)] as number;
        break;
      case 3: {
        // A length.
        const value = number(random, changed.length) >>> 0;
        for (let i = 0; i < 4 && at + i < changed.length; i++) changed[at + i] = value >>> (8 * i);
        break;
      }
      default:
        changed.fill(random.below(2) * 255, at, Math.min(changed.length, at + random.below(16)));
    }
  }
  return changed;
}

/** A copy of a struct with one field, anywhere inside, changed or gone. */
function changeStruct(random: Prng, of: ThriftStruct, depth = 0): ThriftStruct {
  const fields = [...of.fields];
  const present = fields.map((_, id) => id).filter((id) => fields[id] !== undefined);
  if (present.length === 0) return { fields: [undefined, number(random, 1)] };
  const id = present[random.below(present.length)] as number;
  fields[id] = changeValue(random, fields[id] as ThriftValue, depth);
  if (depth > 0 || random.below(6) > 0) return { fields };
  fields[present[random.below(present.length)] as number] = undefined;
  return { fields };
}

function changeValue(random: Prng, value: ThriftValue, depth: number): ThriftValue | undefined {
  if (random.below(24) === 0) return [true, 5, new Uint8Array(3), [], { fields: [] }][random.below(5)];
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'number') return number(random, value);
  if (value instanceof Uint8Array) return changeBytes(random, value, false);
  if (Array.isArray(value)) {
    const list = [...value] as ThriftValue[];
    const at = random.below(Math.max(1, list.length));
    switch (random.below(6)) {
      case 0:
        list.splice(at, 1);
        break;
      case 1:
        if (list[at] !== undefined) list.splice(at, 0, list[at]);
        break;
      default:
        if (list[at] !== undefined) list[at] = changeValue(random, list[at], depth + 1) ?? list[at];
    }
    return list;
  }
  return changeStruct(random, asStruct(value), depth + 1);
}

/** A changed file, and what was changed. */
function changedFile(random: Prng, base: Base): { bytes: Uint8Array; what: string } {
  const slot = plainMemory();
  const snappy = compressor('snappy', slot);
  const target = 1 + random.below(3);
  // The whole file at once, or parts of it.
  const kinds = [
    'body',
    'early body',
    'packed',
    'header',
    'pages',
    'footer',
    'file',
    'levels',
    'values',
    'claim',
  ] as const;
  const chosen = Array.from({ length: target }, () => kinds[random.below(kinds.length)] as (typeof kinds)[number]);
  const what = [...new Set(chosen)].join('+');
  const group = random.below(base.chunks.length);
  const columnCount = (base.chunks[group] ?? []).length;
  const column = random.below(Math.max(1, columnCount));
  // Kept, unpacked, or packed anew, so that changes before compression reach the decoder.
  const repack =
    chosen.includes('packed') && random.below(2) === 0
      ? 'keep'
      : (['plain', 'snappy', 'gzip', 'keep'] as const)[random.below(4)];

  const parts: Uint8Array[] = [Buffer.from('PAR1')];
  let position = 4;
  const put = (bytes: Uint8Array): void => {
    parts.push(bytes);
    position += bytes.length;
  };
  const rowGroups = (base.footer.fields[4] as readonly ThriftValue[]).map((value, g) => {
    const rowGroup = asStruct(value);
    const columns = (rowGroup.fields[1] as readonly ThriftValue[]).map((given, c) => {
      const chunk = asStruct(given);
      const metadata = asStruct(chunk.fields[3] as ThriftValue);
      const from = base.chunks[g]?.[c];
      if (from === undefined) return given;
      const isTarget = g === group && c === column;
      let pages = [...from.pages];
      if (isTarget && chosen.includes('pages')) {
        const at = random.below(pages.length);
        const page = pages[at] as Page;
        if (random.below(3) === 0) pages.splice(at, 1);
        else if (random.below(2) === 0) pages.splice(at, 0, page);
        else pages = [...pages.slice(at), ...pages.slice(0, at)];
      }
      const start = position;
      const target = isTarget ? random.below(Math.max(1, pages.length)) : -1;
      for (const [p, page] of pages.entries()) {
        const isHit = p === target;
        let { plain } = page;
        if (isHit) {
          if (chosen.includes('body')) plain = changeBytes(random, plain, false);
          if (chosen.includes('early body')) plain = changeBytes(random, plain, true);
          const middle = Math.min(plain.length, page.isV2 ? page.levels : levelsEnd(plain));
          if (chosen.includes('levels'))
            plain = join2(changeBytes(random, plain.subarray(0, middle), false), plain.subarray(middle));
          if (chosen.includes('values'))
            plain = join2(plain.subarray(0, middle), changeBytes(random, plain.subarray(middle), true));
        }
        const levels = Math.min(page.levels, plain.length);
        let body: Uint8Array;
        if (repack === 'plain') body = plain;
        else if (repack === 'keep')
          body = isHit && plain !== page.plain && from.codec === Codec.uncompressed ? plain : page.packed;
        else {
          const pack = repack === 'snappy' ? snappy.compress : gzipSync;
          body = join2(plain.subarray(0, levels), pack(plain.subarray(levels)));
        }
        if (isHit && chosen.includes('packed')) body = changeBytes(random, body, random.below(2) === 0);
        const fields = [...page.header.fields];
        fields[2] = plain.length;
        fields[3] = body.length;
        if (isHit && chosen.includes('claim') && plain.length > levels) {
          const claimed = random.below(plain.length - levels);
          body = join2(body.subarray(0, levels), withClaim(body.subarray(levels), claimed));
          fields[2] = levels + claimed;
          fields[3] = body.length;
        }
        // A checksum would hide what lies behind it.
        if (random.below(8) > 0) fields[4] = undefined;
        let header: ThriftStruct = { fields };
        if (isHit && chosen.includes('header')) header = changeStruct(random, header);
        const head: number[] = [];
        serialise(header, head);
        put(Uint8Array.from(head));
        put(body);
      }
      const fields = [...metadata.fields];
      const codec = { plain: Codec.uncompressed, snappy: Codec.snappy, gzip: Codec.gzip, keep: from.codec }[repack];
      fields[4] = codec;
      fields[6] = 1 << 24;
      fields[7] = position - start;
      fields[9] = start;
      fields[11] = undefined;
      return { fields: chunk.fields.map((field, id) => (id === 3 ? { fields } : field)) };
    });
    return { fields: rowGroup.fields.map((field, id) => (id === 1 ? columns : field)) };
  });
  let footer: ThriftStruct = { fields: base.footer.fields.map((field, id) => (id === 4 ? rowGroups : field)) };
  if (chosen.includes('footer')) footer = changeStruct(random, footer);
  const tail: number[] = [];
  serialise(footer, tail);
  put(Uint8Array.from(tail));
  const end = Buffer.alloc(8);
  end.writeUInt32LE(tail.length, 0);
  end.write('PAR1', 4);
  put(end);
  let bytes: Uint8Array = Buffer.concat(parts);
  if (chosen.includes('file')) {
    bytes = random.below(4) === 0 ? bytes.subarray(0, random.below(bytes.length)) : changeBytes(random, bytes, false);
  }
  return { bytes, what };
}

/** A compressed body that says of itself that it unpacks to `bytes`: Zstandard's content size, else Snappy's length. */
function withClaim(body: Uint8Array, bytes: number): Uint8Array {
  const changed = new Uint8Array(body);
  const view = new DataView(changed.buffer);
  if (changed.length > 14 && view.getUint32(0, true) === 0xfd2fb528) {
    const descriptor = changed[4] as number;
    const at = 5 + ((descriptor & 32) === 0 ? 1 : 0);
    const kind = descriptor >> 6;
    if (kind === 1) view.setUint16(at, Math.max(0, bytes - 256), true);
    else if (kind === 2) view.setUint32(at, bytes, true);
    else if (kind === 0) changed[at] = Math.min(255, bytes);
    return changed;
  }
  const length: number[] = [];
  varint(bytes, length);
  const old = changed.findIndex((byte) => byte < 128) + 1;
  return join2(Uint8Array.from(length), changed.subarray(old));
}

function join2(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

/** Where the levels of a v1 page of an optional column end. */
function levelsEnd(plain: Uint8Array): number {
  return plain.length < 4 ? 0 : 4 + new DataView(plain.buffer, plain.byteOffset, 4).getUint32(0, true);
}

// Reading.

interface Guard {
  readonly slot: SlotMemory;
  /** Names a buffer that was written past its end, or null. */
  broken(): string | null;
  /** Whether these bytes lie within one buffer. */
  holds(at: number, bytes: number): boolean;
}

function guardedMemory(): Guard {
  const inner = plainMemory();
  const canaries: { from: number; at: number; purpose: string }[] = [];
  const { arena } = inner;
  const guarded = {
    allocate(bytes: number, purpose: string): number {
      const at = arena.allocate(bytes + canaryBytes, purpose);
      inner.u8.fill(0x5a, at + bytes, at + bytes + canaryBytes);
      canaries.push({ from: at, at: at + bytes, purpose });
      return at;
    },
    get usedBytes() {
      return arena.usedBytes;
    },
    get freeBytes() {
      return Math.max(0, arena.freeBytes - canaryBytes);
    },
  };
  return {
    slot: { ...inner, arena: guarded },
    holds(at, bytes) {
      return canaries.some((buffer) => at >= buffer.from && at + bytes <= buffer.at);
    },
    broken() {
      for (const { at, purpose } of canaries) {
        for (let i = 0; i < canaryBytes; i++) if (inner.u8[at + i] !== 0x5a) return purpose;
      }
      return null;
    },
  };
}

const expectedCodes = new Set([
  'source/corrupt',
  'source/unsupported',
  'source/failed',
  'schema/mismatch',
  'memory/exhausted',
  'plan/unsupported',
]);

async function readCase(path: string, guard: Guard): Promise<string> {
  const spec = { kind: 'parquet', label: path, options: { path } };
  let stage = 'footer';
  let id = 0;
  try {
    const info = await parquetSource.describe(spec, () => undefined);
    const fields = info.fields
      .filter((field) => !['ARRAY', 'MAP', 'DECIMAL', 'TIME'].includes(field.type.kind))
      .map((field) => (field.type.kind === 'BINARY' ? { ...field, type: { kind: 'VARCHAR' } as const } : field));
    const request = { layout: layoutOf(fields), prune: [], timeColumn: fields[0]?.name ?? null };
    const splits = await parquetSource.enumerate(spec, request, 1, () => undefined);
    stage = 'pages';
    count('footers passed');
    const context: ReaderContext = {
      memory: guard.slot,
      kernels: loadKernels(guard.slot),
      batchRows: 1024,
      subtask: 0,
      wake: () => {},
      monotonicMs: () => performance.now(),
      nowMs: () => Date.now(),
      wakeAt: () => {},
      resource: () => undefined,
      nextDictionaryId: () => ++id,
    };
    const reader = parquetSource.reader(spec, request, context);
    try {
      let rows = 0;
      for (const split of splits) {
        reader.open(split);
        while (reader.poll() === PollStatus.moved && rows < rowsMax) {
          const { batch } = reader;
          rows += batch.rowCount;
          for (const [c, column] of batch.columns.entries()) {
            checkStrings(guard, column, batch.layout[c]?.storage, batch.rowCount);
          }
        }
        if (rows >= rowsMax) break;
      }
      return rows >= rowsMax ? 'too many rows' : 'read whole';
    } finally {
      reader.close();
    }
  } catch (error) {
    if (error instanceof MillraceError && expectedCodes.has(error.code)) return `${stage}: ${error.code}`;
    throw error;
  }
}

/** Codes stay below their dictionary's count, and strings within a buffer, whatever the file said. */
function checkStrings(guard: Guard, column: Column, storage: string | undefined, rows: number): void {
  if (storage !== 'view') return;
  const { u32 } = guard.slot;
  for (let i = 0; i < rows; i++) {
    let view = column.values + 16 * i;
    if (column.dictionary !== null) {
      const code = u32[(column.values >>> 2) + i] as number;
      if (code >= Math.max(1, column.dictionary.count)) throw new Error(`code ${code} of ${column.dictionary.count}`);
      view = column.dictionary.views + 16 * code;
    }
    const length = u32[view >>> 2] as number;
    const at = u32[(view >>> 2) + 3] as number;
    if (length > 12 && !guard.holds(at, length)) throw new Error(`a string of ${length} bytes at ${at}`);
  }
}

/** Of this process: a machine that pauses it says nothing of the case. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

export async function main(seed: number, first: number, cases: number, progressPath: string): Promise<FuzzReport> {
  const fixtures = fileURLToPath(new URL('../fixtures/parquet/', import.meta.url));
  const bases = readdirSync(fixtures)
    .filter((name) => name.endsWith('.parquet'))
    .map((name) => takeApart(join(fixtures, name), name));
  (WebAssembly as { Instance: unknown }).Instance = CountingInstance;
  const path = join(tmpdir(), `millrace-fuzz-${process.pid}.parquet`);
  const progress = openSync(progressPath, 'w');
  const failures: string[] = [];
  for (let i = first; i < first + cases; i++) {
    writeSync(progress, `${i}`.padEnd(12), 0);
    const random = prng(seed * 1_000_003 + i);
    const base = bases[random.below(bases.length)] as Base;
    const { bytes, what } = changedFile(random, base);
    writeFileSync(path, bytes);
    const guard = guardedMemory();
    const startMs = cpuMs();
    try {
      count(await readCase(path, guard));
    } catch (error) {
      const shown = error instanceof Error ? `${error.stack}` : String(error);
      failures.push(`seed ${seed} case ${i} (${base.name}, ${what}): ${shown}`);
    }
    const broken = guard.broken();
    if (broken !== null) failures.push(`seed ${seed} case ${i} (${base.name}, ${what}): wrote past ${broken}`);
    const ms = cpuMs() - startMs;
    if (ms > caseMsMax)
      failures.push(`seed ${seed} case ${i} (${base.name}, ${what}): took ${Math.round(ms)} ms of CPU`);
  }
  closeSync(progress);
  rmSync(path, { force: true });
  return { cases, failures: failures.slice(0, 50), coverage, maxRssMb: maxRssMb() };
}

/** Of this process alone: what `resourceUsage` says begins with what its parent held when it was forked. */
function maxRssMb(): number {
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;
}

if (process.argv[1]?.endsWith('fuzz-child.ts')) {
  const [seed, first, cases, progressPath] = process.argv.slice(2) as [string, string, string, string];
  const report = await main(Number(seed), Number(first), Number(cases), progressPath);
  process.stdout.write(JSON.stringify(report));
}
