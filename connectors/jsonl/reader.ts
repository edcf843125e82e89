/**
 * Reads ranges of bytes of JSON lines into batches. The file's bytes go into slot memory once; texts stay where they
 * were read, and views point at them until the next poll. Knows files and lines; what a line means is columns.ts's.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { MillraceError } from '../../core/base/errors.ts';
import { valueBytesMax } from '../../core/base/limits.ts';
import {
  type Json,
  PollStatus,
  type ReaderContext,
  type SourceReader,
  type Split,
} from '../../core/ports/connector.ts';
import { type Batch, batch } from '../../core/record/batch.ts';
import type { Layout } from '../../core/record/layout.ts';
import { lineNumber } from '../files/lines.ts';
import { readError } from '../files/paths.ts';
import { Look, Tail, type TailOptions } from '../files/tail.ts';
import { replaced } from '../files/watch.ts';
import { type JsonColumns, jsonColumns, readAhead, ScanStop } from './columns.ts';
import { BadLine, type JsonLeaf, lineValues } from './values.ts';

/** First size of the buffer; it grows for longer lines. */
const bufferBytesUsual = 512 * 1024;
/** A line may be longer than a value: names and punctuation come on top. */
const lineBytesMax = valueBytesMax + 1024 * 1024;
const newline = 0x0a;
const markBytes = 3;
/** Of a line that is rejected: more than is shown of it. */
const rejectedBytes = 4096;

interface Range {
  readonly path: string;
  readonly from: number;
  readonly to: number;
  readonly size: number;
  /** Of a watched place: another file of that name is not read instead. */
  readonly inode?: string;
  /** The file grows: there is no end, and a line is one when its end is there. */
  readonly follow?: TailOptions;
}

export function jsonReader(
  leaves: readonly JsonLeaf[],
  layout: Layout,
  context: ReaderContext,
  skip: boolean,
): SourceReader {
  return new JsonReader(leaves, layout, context, skip);
}

class JsonReader implements SourceReader {
  readonly #leaves: readonly JsonLeaf[];
  readonly #layout: Layout;
  readonly #context: ReaderContext;
  readonly #skip: boolean;
  readonly #ahead: number;
  readonly #columns: JsonColumns;
  #buffer = 0;
  #bufferBytes = 0;
  /** End of the bytes in the buffer, and the place in the file of its first byte. */
  #filled = 0;
  #fileAt = 0;
  #range: Range | null = null;
  #fd = -1;
  /** Where lines end that belong to the split, and the file. */
  #to = 0;
  #size = 0;
  /** The file grows no more: its last line may lack its end. */
  #isWhole = true;
  #tail: Tail | null = null;
  /** The line being looked for is the first one: bytes before its start belong to the split before. */
  #seeking = false;
  /** The file begins with a byte order mark, which was left out. */
  #marked = false;
  #batch: Batch | null = null;
  #skipped = 0;

  constructor(leaves: readonly JsonLeaf[], layout: Layout, context: ReaderContext, skip: boolean) {
    this.#leaves = leaves;
    this.#layout = layout;
    this.#context = context;
    this.#skip = skip;
    this.#ahead = readAhead(leaves) + 1;
    this.#columns = jsonColumns(leaves, context.memory, context.kernels, context.batchRows);
    this.#newBuffer(bufferBytesUsual);
  }

  get batch(): Batch {
    return this.#batch!;
  }

  get skipped(): number {
    return this.#skipped;
  }

  open(split: Split): void {
    this.close();
    const range = split.options as unknown as Range;
    this.#range = range;
    if (range.follow) {
      this.#tail = new Tail(range.path, range.follow, split.position, this.#context);
      this.#begin(this.#tail.start);
      return;
    }
    try {
      this.#fd = openSync(range.path, 'r');
    } catch (error) {
      throw readError(error, range.path);
    }
    if (range.inode !== undefined && String(fstatSync(this.#fd, { bigint: true }).ino) !== range.inode) {
      throw replaced(range.path);
    }
    const position = split.position === null ? null : Number(split.position);
    this.#begin(position ?? (range.from > 0 ? range.from - 1 : 0));
    // One byte before: a line starts at `from` if that byte ends a line.
    this.#seeking = position === null && range.from > 0;
  }

  /** The buffer is empty and stands for the byte `at` of what is open. */
  #begin(at: number): void {
    const tail = this.#tail;
    if (tail) this.#fd = tail.fd;
    this.#to = tail ? Number.POSITIVE_INFINITY : this.#range!.to;
    this.#size = tail ? tail.size : this.#range!.size;
    this.#isWhole = tail === null;
    this.#seeking = false;
    this.#fileAt = at;
    this.#filled = this.#buffer;
    this.#marked = false;
    this.#columns.at = this.#buffer;
  }

  position(): Json {
    return this.#tail ? this.#tail.position(Math.min(this.#at, this.#size)) : this.#at;
  }

  /** Where the next line begins, in the file. */
  get #at(): number {
    return this.#placeOf(this.#columns.at);
  }

  poll(): PollStatus {
    const columns = this.#columns;
    columns.reset();
    const first = this.#at;
    let stopped = false;
    for (;;) {
      if (this.#seeking && !this.#seek()) continue;
      if (this.#ended()) break;
      const stop = this.#stop();
      if (stop === null) {
        // Rows point into the buffer: they go out before it is filled anew.
        if (columns.rows > 0) break;
        if (this.#tail && this.#placeOf(this.#filled) >= this.#size) {
          if (!this.#follow(this.#tail)) return PollStatus.starved;
          continue;
        }
        this.#fill();
        continue;
      }
      const why = columns.scan(stop);
      if (why === ScanStop.full) break;
      if (why !== ScanStop.refused) continue;
      if (this.#context.rejected?.full) {
        // They go out before the next one is looked at.
        stopped = true;
        break;
      }
      this.#refused();
    }
    if (columns.rows === 0 && !stopped) return PollStatus.ended;
    const origin = { source: `${this.#range!.path}, from byte ${first}`, firstRow: 0 };
    this.#batch = batch(this.#layout, columns.rows, columns.columns(), { origin });
    return PollStatus.moved;
  }

  close(): void {
    if (this.#tail) this.#tail.close();
    else if (this.#fd >= 0) closeSync(this.#fd);
    this.#tail = null;
    this.#fd = -1;
  }

  /** All that is known of a growing file is in the buffer: is there more? False: not now. */
  #follow(tail: Tail): boolean {
    if (this.#isWhole) {
      tail.next();
      this.#begin(0);
      return true;
    }
    switch (tail.look(this.#placeOf(this.#filled))) {
      case Look.wait:
        return false;
      case Look.more:
        this.#size = tail.size;
        return true;
      case Look.restart:
        this.#begin(0);
        return true;
      case Look.complete:
        // A last line without its end is a line once nobody can end it any more.
        this.#isWhole = true;
        return true;
    }
  }

  #placeOf(address: number): number {
    return this.#fileAt + (address - this.#buffer);
  }

  get #atEndOfFile(): boolean {
    return this.#isWhole && this.#placeOf(this.#filled) >= this.#size;
  }

  /** No further line starts in the split. The first line of a file with a byte order mark starts with it. */
  #ended(): boolean {
    const at = this.#at;
    return at >= this.#to && (at >= this.#size || !this.#behindMark);
  }

  get #behindMark(): boolean {
    return this.#marked && this.#at === markBytes;
  }

  /** Where the lines end that are whole and start in the split; null when there is no such line in the buffer. */
  #stop(): number | null {
    const { u8 } = this.#context.memory;
    const { at } = this.#columns;
    if (this.#atEndOfFile && this.#filled > at && u8[this.#filled - 1] !== newline) {
      // The last line of a file may lack its end; there is room for one.
      u8[this.#filled] = newline;
      this.#filled++;
    }
    const last = u8.subarray(at, this.#filled).lastIndexOf(newline);
    if (last < 0) return null;
    const limit = this.#buffer + (this.#to - this.#fileAt);
    return Math.min(at + last + 1, this.#behindMark ? Math.max(limit, at + 1) : limit);
  }

  /** Goes to the first line that starts in the split. False: not yet there. */
  #seek(): boolean {
    const { u8 } = this.#context.memory;
    const found = u8.subarray(this.#columns.at, this.#filled).indexOf(newline);
    if (found >= 0) {
      this.#columns.at += found + 1;
      this.#seeking = false;
      return true;
    }
    this.#columns.at = this.#filled;
    if (this.#at >= this.#to) {
      // A line of another split covers all of this one.
      this.#seeking = false;
      return true;
    }
    this.#fill();
    return false;
  }

  /** Moves what is left to the front and reads on. Errors: `source/corrupt`, `record/too-large`. */
  #fill(): void {
    const { u8 } = this.#context.memory;
    const { path } = this.#range!;
    const size = this.#size;
    const { at } = this.#columns;
    const left = this.#filled - at;
    if (left > lineBytesMax) {
      throw new MillraceError('record/too-large', `a line has more than ${lineBytesMax} bytes`, {
        where: { path, position: `byte ${this.#at}` },
      });
    }
    this.#fileAt = this.#at;
    if (left >= this.#bufferBytes - this.#ahead) this.#newBuffer(this.#bufferBytes * 2);
    u8.copyWithin(this.#buffer, at, this.#filled);
    this.#columns.at = this.#buffer;
    this.#filled = this.#buffer + left;
    const room = Math.min(this.#bufferBytes - this.#ahead - left, size - this.#placeOf(this.#filled));
    let read = 0;
    try {
      read = readSync(this.#fd, u8, this.#filled, room, this.#placeOf(this.#filled));
    } catch (error) {
      throw readError(error, path);
    }
    if (read === 0 && this.#tail) {
      // It was cut meanwhile: the next look tells.
      this.#size = this.#placeOf(this.#filled);
      return;
    }
    if (read === 0) {
      throw new MillraceError('source/corrupt', `${path} has become shorter than its ${size} bytes while it was read`, {
        where: { path, position: `byte ${this.#placeOf(this.#filled)}` },
      });
    }
    this.#filled += read;
    this.#skipMark();
  }

  /** A byte order mark at the beginning of a file is not part of its first line. */
  #skipMark(): void {
    const { u8 } = this.#context.memory;
    const at = this.#columns.at;
    if (this.#placeOf(at) !== 0 || this.#filled - at < 3) return;
    this.#marked = u8[at] === 0xef && u8[at + 1] === 0xbb && u8[at + 2] === 0xbf;
    if (this.#marked) this.#columns.at = at + markBytes;
  }

  #newBuffer(bytes: number): void {
    this.#buffer = this.#context.memory.arena.allocate(bytes, 'JSON lines');
    this.#bufferBytes = bytes;
  }

  /** The kernel has left the line at `at` to us. */
  #refused(): void {
    const { u8 } = this.#context.memory;
    const { at } = this.#columns;
    const end = u8.indexOf(newline, at);
    try {
      this.#append(lineText(u8, at, end), at, end - at);
    } catch (error) {
      if (!(error instanceof BadLine)) throw error;
      if (!this.#skip) throw this.#badRecord(error, at);
      this.#skipped++;
      const record = Buffer.from(u8.slice(at, Math.min(end, at + rejectedBytes))).toString('utf8');
      // Which line it is would have to be counted from the beginning, for each of them.
      this.#context.rejected?.add(`${this.#range!.path}, byte ${this.#placeOf(at)}`, error.message, record);
    }
    this.#columns.at = end + 1;
  }

  #append(text: string, at: number, room: number): void {
    const values = lineValues(text, this.#leaves);
    if (this.#columns.append(values, at, room)) return;
    // Texts that come from the line more than once: they need room of their own.
    const bytes = values.reduce((sum: number, value) => sum + (typeof value === 'string' ? value.length * 3 : 0), 0);
    this.#columns.append(values, this.#context.memory.arena.allocate(bytes, 'texts of a line'), bytes);
  }

  #badRecord(error: BadLine, at: number): MillraceError {
    const { path } = this.#range!;
    const byte = this.#placeOf(at);
    return new MillraceError('source/bad-record', error.message, {
      where: { path, position: `line ${lineNumber(this.#fd, byte)}, byte ${byte}` },
    });
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Errors: `BadLine` for bytes that are no UTF-8. */
function lineText(u8: Uint8Array, from: number, to: number): string {
  try {
    return decoder.decode(u8.slice(from, to));
  } catch {
    throw new BadLine('this is no UTF-8');
  }
}
