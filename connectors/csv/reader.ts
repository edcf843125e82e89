/**
 * Reads ranges of whole records of csv files into batches. The file's bytes go into slot memory once; texts stay where they
 * were read, and views point at them until the next poll. Knows files and records; what a field means is columns.ts's.
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
import { replaced } from '../files/watch.ts';
import { type CsvColumns, csvColumns } from './columns.ts';
import { type Dialect, newlineByte } from './dialect.ts';
import { namesIn, placesOf } from './header.ts';
import { type RecordFields, recordFields, scanRecord } from './records.ts';

/** First size of the buffer; it grows for longer records. */
const bufferBytesUsual = 512 * 1024;
/** A record may be longer than a value. */
const recordBytesMax = valueBytesMax + 1024 * 1024;
/** Of a record that is rejected: more than is shown of it. */
const rejectedBytes = 4096;

interface Range {
  readonly path: string;
  /** A record begins here (or the header), */
  readonly from: number;
  /** and here the next one that belongs to another split. */
  readonly to: number;
  readonly size: number;
  /** Of a watched place: another file of that name is not read instead. */
  readonly inode?: string;
}

export interface CsvRequest {
  readonly dialect: Dialect;
  /** Columns to read by their names in a header, one for each of `layout`. */
  readonly wanted: readonly string[];
  readonly layout: Layout;
  /** All columns of a file without a header, where they are declared. */
  readonly given: readonly string[] | null;
  /** Bad records are left out and counted. */
  readonly skip: boolean;
}

export function csvReader(request: CsvRequest, context: ReaderContext): SourceReader {
  return new CsvReader(request, context);
}

class CsvReader implements SourceReader {
  readonly #request: CsvRequest;
  readonly #context: ReaderContext;
  readonly #columns: CsvColumns;
  #record: RecordFields = recordFields(0);
  /** Fields of each record of the open file. */
  #width = 0;
  #buffer = 0;
  #bufferBytes = 0;
  /** Where the next record begins, and the end of the bytes in the buffer. */
  #at = 0;
  #filled = 0;
  /** The place in the file of the buffer's first byte. */
  #fileAt = 0;
  #range: Range | null = null;
  #fd = -1;
  #headerDue = false;
  #batch: Batch | null = null;
  #skipped = 0;

  constructor(request: CsvRequest, context: ReaderContext) {
    this.#request = request;
    this.#context = context;
    this.#columns = csvColumns(request.layout, context.memory, request.dialect.nullText, context.batchRows);
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
    const { path } = range;
    const { dialect, wanted, given } = this.#request;
    this.#range = range;
    try {
      this.#fd = openSync(path, 'r');
    } catch (error) {
      throw readError(error, path);
    }
    if (range.inode !== undefined && String(fstatSync(this.#fd, { bigint: true }).ino) !== range.inode) {
      throw replaced(path);
    }
    const names = namesIn(this.#fd, path, dialect, given) ?? wanted;
    this.#columns.bind(placesOf(wanted, names, path, dialect));
    this.#width = names.length;
    this.#record = recordFields(names.length);
    this.#fileAt = split.position === null ? range.from : Number(split.position);
    this.#at = this.#buffer;
    this.#filled = this.#buffer;
    this.#headerDue = dialect.header && this.#fileAt === 0;
  }

  position(): Json {
    return this.#placeOf(this.#at);
  }

  poll(): PollStatus {
    const columns = this.#columns;
    const { u8 } = this.#context.memory;
    const { delimiter } = this.#request.dialect;
    const { batchRows } = this.#context;
    columns.reset();
    const first = this.#placeOf(this.#at);
    let stopped = false;
    while (columns.rows < batchRows && this.#placeOf(this.#at) < this.#range!.to) {
      const next = scanRecord(u8, this.#at, this.#filled, delimiter, this.#record);
      if (next >= 0) {
        if (this.#context.rejected?.full) {
          // They go out before the next record is looked at.
          stopped = true;
          break;
        }
        this.#take(next);
        continue;
      }
      // Rows point into the buffer: they go out before it is filled anew.
      if (columns.rows > 0) break;
      if (this.#placeOf(this.#filled) < this.#range!.size) this.#fill();
      else if (!this.#endLine()) this.#refuse('a quoted field does not end', this.#filled);
    }
    if (columns.rows === 0 && !stopped) return PollStatus.ended;
    const origin = { source: `${this.#range!.path}, from byte ${first}`, firstRow: 0 };
    this.#batch = batch(this.#request.layout, columns.rows, columns.columns(), { origin });
    return PollStatus.moved;
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #placeOf(address: number): number {
    return this.#fileAt + (address - this.#buffer);
  }

  /** The whole record at `at`, which ends at `next`. */
  #take(next: number): void {
    const record = this.#record;
    const { u8 } = this.#context.memory;
    if (this.#headerDue) {
      this.#headerDue = false;
      this.#at = next;
      return;
    }
    if (record.count === 1 && this.#width > 1 && record.to[0] === record.from[0] && record.kind[0] === 0) {
      // A line with nothing in it.
      this.#at = next;
      return;
    }
    let problem: string | null = null;
    if (record.badAt >= 0) {
      const found = String.fromCharCode(u8[record.badAt]!);
      problem = `a delimiter or a line end must follow a closing quote, not ${JSON.stringify(found)}; a quote within quotes is doubled`;
    } else if (record.count !== this.#width) {
      problem = `expected ${this.#width} fields, found ${record.count}`;
    } else problem = this.#columns.append(record);
    if (problem === null) this.#at = next;
    else this.#refuse(problem, next);
  }

  /** Leaves out what stands at `at`, up to `next`. Errors: `source/bad-record` where nothing is left out. */
  #refuse(problem: string, next: number): void {
    const { path } = this.#range!;
    const byte = this.#placeOf(this.#at);
    if (!this.#request.skip) {
      throw new MillraceError('source/bad-record', problem, {
        where: { path, position: `line ${lineNumber(this.#fd, byte)}, byte ${byte}` },
      });
    }
    this.#skipped++;
    const { rejected, memory } = this.#context;
    if (rejected) {
      let end = Math.min(next, this.#at + rejectedBytes);
      if (end === next && memory.u8[end - 1] === newlineByte) end--;
      rejected.add(`${path}, byte ${byte}`, problem, Buffer.from(memory.u8.slice(this.#at, end)).toString('utf8'));
    }
    this.#at = next;
  }

  /** The last line of a file may lack its end; there is room for one. False: it has one. */
  #endLine(): boolean {
    const { u8 } = this.#context.memory;
    if (this.#placeOf(this.#filled) > this.#range!.size) return false;
    u8[this.#filled++] = newlineByte;
    return true;
  }

  /** Moves what is left to the front and reads on. Errors: `source/corrupt`, `record/too-large`. */
  #fill(): void {
    const { u8 } = this.#context.memory;
    const { path, size } = this.#range!;
    const left = this.#filled - this.#at;
    if (left > recordBytesMax) {
      throw new MillraceError(
        'record/too-large',
        `a record has more than ${recordBytesMax} bytes; does a quoted field lack its closing quote?`,
        { where: { path, position: `byte ${this.#placeOf(this.#at)}` } },
      );
    }
    const at = this.#at;
    this.#fileAt = this.#placeOf(at);
    if (left >= this.#bufferBytes - 1) this.#newBuffer(this.#bufferBytes * 2);
    u8.copyWithin(this.#buffer, at, at + left);
    this.#at = this.#buffer;
    this.#filled = this.#buffer + left;
    const room = Math.min(this.#bufferBytes - 1 - left, size - this.#placeOf(this.#filled));
    let read = 0;
    try {
      read = readSync(this.#fd, u8, this.#filled, room, this.#placeOf(this.#filled));
    } catch (error) {
      throw readError(error, path);
    }
    if (read === 0) {
      throw new MillraceError('source/corrupt', `${path} has become shorter than its ${size} bytes while it was read`, {
        where: { path, position: `byte ${this.#placeOf(this.#filled)}` },
      });
    }
    this.#filled += read;
    this.#skipMark();
  }

  /** A byte order mark at the beginning of a file is not part of its first record. */
  #skipMark(): void {
    const { u8 } = this.#context.memory;
    const at = this.#at;
    if (this.#placeOf(at) !== 0 || this.#filled - at < 3) return;
    if (u8[at] === 0xef && u8[at + 1] === 0xbb && u8[at + 2] === 0xbf) this.#at += 3;
  }

  #newBuffer(bytes: number): void {
    this.#buffer = this.#context.memory.arena.allocate(bytes, 'csv records');
    this.#bufferBytes = bytes;
  }
}
