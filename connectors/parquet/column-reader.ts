/**
 * Reads one column chunk page by page: header, body, decompression, then rows as they are asked for, into buffers of its
 * own in slot memory. It knows one column and nothing of batches. Every length that a file claims is compared with what
 * is there before it is used; what does not fit throws `Damage`, or `schema/mismatch` when the file is whole but its values
 * are not what was declared.
 */
import { crc32 } from 'node:zlib';
import { MillraceError } from '../../core/base/errors.ts';
import { dictionaryBytesMax, dictionaryEntriesMax } from '../../core/base/limits.ts';
import type { ReaderContext } from '../../core/ports/connector.ts';
import type { Column, Dictionary } from '../../core/record/batch.ts';
import { type LayoutColumn, valueBytes } from '../../core/record/layout.ts';
import { typeName } from '../../core/record/types.ts';
import { type GrowingBuffer, growingBuffer, slackBytes } from './buffers.ts';
import type { Decompressor } from './codec.ts';
import { Damage } from './damage.ts';
import { type OpenFile, readExactly } from './files.ts';
import { Codec, Encoding, encodingNames, PageType, Physical } from './format.ts';
import type { ParquetKernels } from './kernels.ts';
import type { ColumnChunk, Leaf } from './metadata.ts';
import { type PageHeader, readPageHeader } from './page-header.ts';
import { type Conversion, fileTypeName } from './types.ts';

/** What the columns of one reader share: they load pages one after another. */
export interface SharedBuffers {
  readonly context: ReaderContext;
  readonly kernels: ParquetKernels;
  readonly decompressor: Decompressor;
  /** Pages as they lie in the file. */
  readonly packed: GrowingBuffer;
  /** Dictionary indices of one batch. */
  readonly indices: number;
  /** 64 bytes for a kernel's answers. */
  readonly scratch: number;
}

/** How the values of the open page are read on. */
type Mode = 'none' | 'nulls' | 'fixed' | 'strings' | 'views' | 'fixedStrings' | 'uuids' | 'codes' | 'bits' | 'runBits';

export class ColumnReader {
  readonly column: LayoutColumn;
  /** Rows of the open page that are not yet read. */
  rowsReady = 0;
  /** Pages opened so far, for messages. */
  pages = 0;

  readonly #shared: SharedBuffers;
  readonly #values: number;
  readonly #validity: number;
  readonly #levelCursor: number;
  readonly #valueCursor: number;
  readonly #page: GrowingBuffer;
  readonly #expanded: GrowingBuffer;
  readonly #lengths: GrowingBuffer;
  readonly #levels: GrowingBuffer;
  readonly #dictionaryPage: GrowingBuffer;
  readonly #dictionaryValues: GrowingBuffer;
  readonly #dictionaryHashes: GrowingBuffer;
  #uuidText = 0;

  #file!: OpenFile;
  #leaf!: Leaf;
  #chunk!: ColumnChunk;
  #conversion!: Conversion;
  /** Next byte of the chunk, and its end. */
  #at = 0;
  #end = 0;
  /** Rows that pages still to come hold, and how many of them to leave out. */
  #rowsToCome = 0;
  #rowsToSkip = 0;
  /** The page that is being loaded. */
  #loading: PageHeader | null = null;
  #body = 0;
  #mode: Mode = 'none';
  /** Values of the open page: next byte and end; or next index and count. */
  #next = 0;
  #valuesEnd = 0;
  /** Entries of the chunk's dictionary, −1: none. */
  #entries = -1;
  #dictionary: Dictionary | null = null;

  constructor(column: LayoutColumn, shared: SharedBuffers) {
    const { memory, batchRows } = shared.context;
    const purpose = `Parquet column ${column.name}`;
    this.column = column;
    this.#shared = shared;
    this.#values = memory.arena.allocate(valueBytes(column.storage, batchRows) + slackBytes, purpose);
    this.#validity = memory.arena.allocate(valueBytes('bit', batchRows) + slackBytes, purpose);
    this.#levelCursor = memory.arena.allocate(64, purpose);
    this.#valueCursor = memory.arena.allocate(64, purpose);
    this.#page = growingBuffer(memory, `a page of ${purpose}`);
    this.#expanded = growingBuffer(memory, `a page of ${purpose}`);
    this.#lengths = growingBuffer(memory, `lengths of ${purpose}`);
    this.#levels = growingBuffer(memory, `levels of ${purpose}`);
    this.#dictionaryPage = growingBuffer(memory, `the dictionary of ${purpose}`);
    this.#dictionaryValues = growingBuffer(memory, `the dictionary of ${purpose}`);
    this.#dictionaryHashes = growingBuffer(memory, `the dictionary of ${purpose}`);
  }

  /** Starts on a chunk of `rows` rows, of which the first `skip` are left out. */
  open(file: OpenFile, leaf: Leaf, chunk: ColumnChunk, conversion: Conversion, rows: number, skip: number): void {
    this.#file = file;
    this.#leaf = leaf;
    this.#chunk = chunk;
    this.#conversion = conversion;
    this.#at = chunk.offset;
    this.#end = chunk.offset + chunk.compressedBytes;
    this.#rowsToCome = rows;
    this.#rowsToSkip = skip;
    this.#loading = null;
    this.#mode = 'none';
    this.#entries = -1;
    this.#dictionary = null;
    this.rowsReady = 0;
    this.pages = 0;
    if (chunk.values !== rows) throw new Damage(`it has ${chunk.values} values for ${rows} rows`);
  }

  /** Does a bounded piece of loading: true when rows are ready. Errors: `Damage`, `memory/exhausted`, `source/…`. */
  load(): boolean {
    if (this.rowsReady > 0) return true;
    if (this.#loading === null) {
      this.#loading = this.#startPage();
      return false;
    }
    const header = this.#loading;
    if (this.#isPacked(header) && !this.#shared.decompressor.step()) return false;
    this.#loading = null;
    if (header.type === PageType.dictionary) this.#openDictionary(header);
    else this.#openData(header);
    if (this.#rowsToSkip > 0 && this.rowsReady > 0) this.#skipRows();
    return this.rowsReady > 0;
  }

  /** The next `n` rows, at most `rowsReady`, valid until the next `read` or `load`. */
  read(n: number): Column {
    const { kernels } = this.#shared;
    let count = n;
    let validity = 0;
    if (this.#leaf.maxDefinition > 0) {
      count = kernels.hybridBits(this.#levelCursor, n, this.#leaf.maxDefinition, this.#validity);
      if (count < 0) throw new Damage(`the definition levels are damaged: ${levelFailures[-count]}`);
      if (count < n) validity = this.#validity;
    }
    if (this.#mode === 'nulls' && count > 0) {
      // A column of type UNKNOWN has no values, whatever its levels say.
      this.#shared.context.memory.u8.fill(0, this.#validity, this.#validity + ((n + 7) >>> 3));
      validity = this.#validity;
      count = 0;
    }
    this.rowsReady -= n;
    if (validity !== 0 && !this.column.nullable) {
      throw new MillraceError(
        'schema/mismatch',
        `column ${this.column.name} is declared NOT NULL but holds NULL; declare it nullable`,
      );
    }
    const dictionary = this.#readValues(count, validity, n);
    if (validity !== 0) this.#spread(validity, n, count, dictionary !== null);
    return { validity, values: this.#values, dictionary };
  }

  /** Reads the header and body of the next page that matters; null: what was there could be passed over. */
  #startPage(): PageHeader | null {
    const header = this.#readHeader();
    const body = this.#at + header.headerBytes;
    if (header.compressedBytes > this.#end - body) {
      throw new Damage(`a page of ${header.compressedBytes} bytes begins ${this.#end - body} before the column's end`);
    }
    this.#at = body + header.compressedBytes;
    this.pages += 1;
    if (header.type === PageType.dictionary) {
      if (this.#entries >= 0) throw new Damage('it has two dictionaries');
    } else if (header.type !== PageType.data && header.type !== PageType.dataV2) return null;
    else if (header.values > this.#rowsToCome) {
      throw new Damage(`its pages hold ${header.values - this.#rowsToCome} rows more than the row group`);
    } else if (header.values <= this.#rowsToSkip) {
      this.#rowsToCome -= header.values;
      this.#rowsToSkip -= header.values;
      return null;
    }
    this.#readBody(header, body);
    return header;
  }

  #readHeader(): PageHeader {
    if (this.#at >= this.#end) {
      throw new Damage(`its pages end ${this.#rowsToCome} rows before the row group`);
    }
    for (let size = 256; ; size *= 8) {
      const bytes = new Uint8Array(Math.min(size, this.#end - this.#at));
      readExactly(this.#file, bytes, this.#at);
      const header = readPageHeader(bytes);
      if (header !== null) return header;
      if (bytes.length < size || size > 1 << 24) throw new Damage('the page header has no end');
    }
  }

  /** Whether the values of a page were compressed at all. */
  #isCompressed(header: PageHeader): boolean {
    return this.#chunk.codec !== Codec.uncompressed && header.isCompressed;
  }

  /** Whether there is something to unpack: no values may still be some bytes of an empty frame. */
  #isPacked(header: PageHeader): boolean {
    const values = header.uncompressedBytes - header.definitionBytes - header.repetitionBytes;
    return this.#isCompressed(header) && values > 0;
  }

  /** Brings a page's bytes to where they are read from, or to where they are unpacked from. */
  #readBody(header: PageHeader, offset: number): void {
    const { context, decompressor, packed } = this.#shared;
    const { u8 } = context.memory;
    const { compressedBytes, uncompressedBytes } = header;
    const strings = header.type === PageType.dictionary && this.#conversion.kind === 'views';
    const page = strings ? this.#dictionaryPage : this.#page;
    const isCompressed = this.#isCompressed(header);
    if (!isCompressed && compressedBytes !== uncompressedBytes) {
      throw new Damage(`a page that is not compressed has ${compressedBytes} bytes of ${uncompressedBytes}`);
    }
    this.#body = page.ensure(uncompressedBytes);
    const to = isCompressed ? packed.ensure(compressedBytes) : this.#body;
    readExactly(this.#file, u8.subarray(to, to + compressedBytes), offset);
    if (header.crc !== null && crc32(u8.subarray(to, to + compressedBytes)) !== header.crc >>> 0) {
      throw new Damage('the checksum of a page differs');
    }
    if (!isCompressed) return;
    const levels = header.definitionBytes + header.repetitionBytes;
    u8.copyWithin(this.#body, to, to + levels);
    if (!this.#isPacked(header)) return;
    decompressor.begin(
      this.#chunk.codec,
      to + levels,
      compressedBytes - levels,
      this.#body + levels,
      uncompressedBytes - levels,
    );
  }

  #openDictionary(header: PageHeader): void {
    const { context, kernels } = this.#shared;
    const conversion = this.#conversion;
    const plain = header.encoding === Encoding.plain || header.encoding === Encoding.plainDictionary;
    if (!plain) throw new Damage(`a dictionary in the encoding ${encodingName(header.encoding)}`);
    const count = header.values;
    const end = this.#body + header.uncompressedBytes;
    if (conversion.kind === 'bits') throw new Damage('a dictionary of booleans');
    if (conversion.kind === 'nulls') {
      this.#entries = count;
      return;
    }
    if (conversion.kind === 'fixed') {
      if (count * conversion.width > header.uncompressedBytes) {
        throw new Damage(`a dictionary of ${count} entries in ${header.uncompressedBytes} bytes`);
      }
      const out = this.#dictionaryValues.ensure(valueBytes(this.column.storage, count));
      const done = kernels.castValues(conversion.cast, this.#body, count, conversion.parameter, out);
      if (done !== count) throw this.#doesNotFit(`entry ${done} of the dictionary`);
    } else {
      // An entry takes 4 bytes at least, or its fixed width: so the views are bounded by the page.
      const least = conversion.form === 'bytes' ? 4 : conversion.width;
      if (count * least > header.uncompressedBytes) {
        throw new Damage(`a dictionary of ${count} entries in ${header.uncompressedBytes} bytes`);
      }
      const views = this.#dictionaryValues.ensure(Math.max(1, count) * 16);
      context.memory.u8.fill(0, views, views + 16);
      this.#viewsOf(conversion, this.#body, end, count, views, true);
      this.#dictionary = this.#announce(views, count, header.uncompressedBytes);
    }
    this.#entries = count;
  }

  /** A dictionary that batches may carry; null when it is too large to travel as codes. */
  #announce(views: number, count: number, bytes: number): Dictionary | null {
    if (count > dictionaryEntriesMax || bytes > dictionaryBytesMax) return null;
    const { context } = this.#shared;
    let hashes = 0;
    if (typeof context.kernels.hashDictionary === 'function') {
      hashes = this.#dictionaryHashes.ensure(Math.max(1, count) * 8);
      context.kernels.hashDictionary(views, count, hashes);
    }
    return { id: context.nextDictionaryId(), views, count, hashes };
  }

  #openData(header: PageHeader): void {
    const { kernels, context } = this.#shared;
    const { u32, u8 } = context.memory;
    const { maxDefinition } = this.#leaf;
    const rows = header.values;
    const end = this.#body + header.uncompressedBytes;
    let at = this.#body;
    this.#rowsToCome -= rows;
    if (header.type === PageType.dataV2) {
      at += header.repetitionBytes;
      const width = 32 - Math.clz32(maxDefinition);
      kernels.hybridBegin(this.#levelCursor, at, at + header.definitionBytes, width);
      at += header.definitionBytes;
    } else if (maxDefinition > 0) {
      const width = 32 - Math.clz32(maxDefinition);
      if (header.levelEncoding === Encoding.bitPacked) {
        const bytes = Math.ceil((rows * width) / 8);
        if (bytes > end - at) throw new Damage('the definition levels are longer than the page');
        const levels = this.#levels.ensure(rows);
        kernels.unpackBigEndian(at, rows, width, levels);
        // One packed run of 8-bit levels.
        kernels.hybridBegin(this.#levelCursor, at, at, 8);
        const cursor = this.#levelCursor >>> 2;
        u32[cursor + 3] = rows;
        u32[cursor + 4] = 1;
        u32[cursor + 6] = levels;
        u32[cursor + 7] = 0;
        at += bytes;
      } else {
        if (header.levelEncoding !== Encoding.rle) {
          throw new Damage(`definition levels in the encoding ${encodingName(header.levelEncoding)}`);
        }
        const bytes = end - at < 4 ? -1 : uint32(u8, at);
        if (bytes < 0 || bytes > end - at - 4) throw new Damage('the definition levels are longer than the page');
        kernels.hybridBegin(this.#levelCursor, at + 4, at + 4 + bytes, width);
        at += 4 + bytes;
      }
    }
    this.#openValues(header, at, end);
    this.rowsReady = rows;
  }

  /** Prepares the values between `at` and `end`; the delta and split encodings are expanded whole. */
  #openValues(header: PageHeader, at: number, end: number): void {
    const { kernels, context } = this.#shared;
    const conversion = this.#conversion;
    const { encoding } = header;
    this.#next = at;
    this.#valuesEnd = end;
    if (conversion.kind === 'nulls') {
      this.#mode = 'nulls';
      return;
    }
    if (encoding === Encoding.rleDictionary || encoding === Encoding.plainDictionary) {
      if (conversion.kind === 'bits') throw this.#wrongEncoding(encoding);
      if (this.#entries < 0) throw new Damage('dictionary indices without a dictionary');
      const width = at < end ? (context.memory.u8[at] as number) : 0;
      if (width > 32) throw new Damage(`dictionary indices of ${width} bits`);
      kernels.hybridBegin(this.#valueCursor, Math.min(end, at + 1), end, width);
      this.#mode = 'codes';
      return;
    }
    if (conversion.kind === 'bits') {
      if (encoding === Encoding.rle) {
        const bytes = end - at < 4 ? -1 : uint32(context.memory.u8, at);
        if (bytes < 0 || bytes > end - at - 4) throw new Damage('the run-length booleans are longer than the page');
        kernels.hybridBegin(this.#valueCursor, at + 4, at + 4 + bytes, 1);
        this.#mode = 'runBits';
      } else if (encoding === Encoding.plain) {
        this.#next = 0;
        this.#body = at;
        this.#valuesEnd = (end - at) * 8;
        this.#mode = 'bits';
      } else throw this.#wrongEncoding(encoding);
      return;
    }
    if (conversion.kind === 'fixed') {
      this.#openFixed(conversion.width, encoding, header.values, at, end);
      this.#mode = 'fixed';
      return;
    }
    if (conversion.form !== 'bytes') {
      this.#openFixed(conversion.width, encoding, header.values, at, end);
      this.#mode = conversion.form === 'uuid' ? 'uuids' : 'fixedStrings';
      return;
    }
    if (encoding === Encoding.plain) {
      this.#mode = 'strings';
      return;
    }
    const views = this.#expandStrings(encoding, header.values, at, end);
    this.#next = views.at;
    this.#valuesEnd = views.at + views.count * 16;
    this.#mode = 'views';
  }

  /** Values of a fixed width as PLAIN has them, at `#next`. */
  #openFixed(width: number, encoding: number, rows: number, at: number, end: number): void {
    const { kernels, scratch, context } = this.#shared;
    const { physical } = this.#leaf;
    switch (encoding) {
      case Encoding.plain:
        return;
      case Encoding.deltaBinaryPacked: {
        if (physical !== Physical.int32 && physical !== Physical.int64) throw this.#wrongEncoding(encoding);
        const out = this.#expanded.ensure(rows * width);
        const wide = physical === Physical.int64 ? 1 : 0;
        this.#need(kernels.deltaIntegers(at, end, rows, wide, scratch, out));
        this.#next = out;
        this.#valuesEnd = out + (context.memory.u32[(scratch >>> 2) + 2] as number) * width;
        return;
      }
      case Encoding.byteStreamSplit: {
        const count = (end - at) / width;
        if (!Number.isInteger(count) || count > rows) {
          throw new Damage(`${end - at} bytes of split values of ${width} bytes for ${rows} rows`);
        }
        const out = this.#expanded.ensure(end - at);
        kernels.unsplit(at, count, width, out);
        this.#next = out;
        this.#valuesEnd = out + (end - at);
        return;
      }
      case Encoding.deltaByteArray: {
        if (physical !== Physical.fixed) throw this.#wrongEncoding(encoding);
        const views = this.#expandStrings(encoding, rows, at, end);
        const out = this.#page.ensure(views.count * width);
        this.#need(kernels.viewsToFixed(views.at, views.count, width, out));
        this.#next = out;
        this.#valuesEnd = out + views.count * width;
        return;
      }
      default:
        throw this.#wrongEncoding(encoding);
    }
  }

  /** Views of the delta encodings of byte arrays. */
  #expandStrings(encoding: number, rows: number, from: number, end: number): { at: number; count: number } {
    const { kernels, scratch, context } = this.#shared;
    const { u32 } = context.memory;
    const utf8 = this.#conversion.kind === 'views' && this.#conversion.form === 'bytes' ? 1 : 0;
    if (encoding === Encoding.deltaLengthByteArray) {
      const lengths = this.#lengths.ensure(rows * 4);
      const at = from + this.#need(kernels.deltaIntegers(from, end, rows, 0, scratch, lengths));
      const count = u32[(scratch >>> 2) + 2] as number;
      const views = this.#expanded.ensure(count * 16);
      this.#need(kernels.lengthViews(at, end, lengths, count, utf8, views));
      return { at: views, count };
    }
    if (encoding !== Encoding.deltaByteArray) throw this.#wrongEncoding(encoding);
    const prefixes = this.#lengths.ensure(rows * 8);
    let at = from + this.#need(kernels.deltaIntegers(from, end, rows, 0, scratch, prefixes));
    const count = u32[(scratch >>> 2) + 2] as number;
    const suffixes = prefixes + count * 4;
    at += this.#need(kernels.deltaIntegers(at, end, rows, 0, scratch, suffixes));
    if (u32[(scratch >>> 2) + 2] !== count) throw new Damage('prefixes and suffixes differ in number');
    const bytes = Number(kernels.prefixBytes(prefixes, suffixes, count, end - at));
    if (bytes < 0) throw new Damage('a prefix or suffix is longer than what it is taken from');
    const views = this.#expanded.ensure(count * 16 + slackBytes + bytes);
    this.#need(kernels.prefixViews(at, prefixes, suffixes, count, utf8, views + count * 16 + slackBytes, views));
    return { at: views, count };
  }

  /** Checks a kernel's answer. */
  #need(answer: number): number {
    if (answer < 0) throw new Damage(valueFailures[-answer] ?? 'the values are damaged');
    return answer;
  }

  /** `count` values, densely, into this column's buffer; answers the dictionary when they are codes. */
  #readValues(count: number, validity: number, rows: number): Dictionary | null {
    const { kernels, indices } = this.#shared;
    const conversion = this.#conversion;
    const out = this.#values;
    switch (this.#mode) {
      case 'codes': {
        const isCoded = this.#dictionary !== null;
        const to = isCoded ? out : indices;
        const answer = kernels.hybridValues(this.#valueCursor, count, this.#entries, to);
        if (answer < 0) {
          const why = answer === -3 ? `a dictionary index is not below ${this.#entries}` : levelFailures[-answer];
          throw new Damage(`the dictionary indices are damaged: ${why}`);
        }
        const table = this.#dictionaryValues.address;
        if (!isCoded) {
          if (this.column.storage === 'i32') kernels.gather32(to, count, table, out);
          else if (this.column.storage === 'view') kernels.gather128(to, count, table, out);
          else kernels.gather64(to, count, table, out);
        }
        return this.#dictionary;
      }
      case 'fixed': {
        if (conversion.kind !== 'fixed') break;
        this.#room(count, conversion.width);
        const done = kernels.castValues(conversion.cast, this.#next, count, conversion.parameter, out);
        if (done !== count) throw this.#doesNotFit(`value ${done} of ${count} in this batch of ${rows} rows`);
        this.#next += count * conversion.width;
        return null;
      }
      case 'strings':
        this.#next += this.#need(kernels.plainViews(this.#next, this.#valuesEnd, count, 1, out));
        return null;
      case 'views': {
        this.#room(count, 16);
        this.#shared.context.memory.u8.copyWithin(out, this.#next, this.#next + count * 16);
        this.#next += count * 16;
        return null;
      }
      case 'fixedStrings':
      case 'uuids': {
        if (conversion.kind !== 'views') break;
        this.#room(count, conversion.width);
        this.#viewsOf(conversion, this.#next, this.#valuesEnd, count, out, false);
        this.#next += count * conversion.width;
        return null;
      }
      case 'bits': {
        if (count > this.#valuesEnd - this.#next) throw new Damage('the page has fewer values than its levels say');
        kernels.copyBits(this.#body, this.#next, count, out);
        this.#next += count;
        return null;
      }
      case 'runBits': {
        const answer = kernels.hybridBits(this.#valueCursor, count, 1, out);
        if (answer < 0) throw new Damage(`the run-length booleans are damaged: ${levelFailures[-answer]}`);
        return null;
      }
      case 'nulls':
        this.#shared.context.memory.u8.fill(0, out, out + valueBytes(this.column.storage, rows));
        return null;
      case 'none':
        break;
    }
    throw new Error(`Parquet column ${this.column.name}: read without a page (validity ${validity})`);
  }

  /** Views of `count` PLAIN values; a dictionary's UUID text lies with the dictionary. */
  #viewsOf(
    conversion: Extract<Conversion, { kind: 'views' }>,
    from: number,
    end: number,
    count: number,
    out: number,
    isDictionary: boolean,
  ): void {
    const { kernels, context } = this.#shared;
    if (conversion.form === 'bytes') this.#need(kernels.plainViews(from, end, count, 1, out));
    else if (conversion.form === 'fixed') this.#need(kernels.fixedViews(from, count, conversion.width, 1, out));
    else if (isDictionary) kernels.uuidViews(from, count, this.#expanded.ensure(count * 36), out);
    else {
      if (this.#uuidText === 0) {
        this.#uuidText = context.memory.arena.allocate(
          context.batchRows * 36 + slackBytes,
          `Parquet column ${this.column.name}`,
        );
      }
      kernels.uuidViews(from, count, this.#uuidText, out);
    }
  }

  #room(count: number, width: number): void {
    if (count * width > this.#valuesEnd - this.#next) throw new Damage('the page has fewer values than its levels say');
  }

  #spread(validity: number, n: number, count: number, isCoded: boolean): void {
    const { kernels } = this.#shared;
    const out = this.#values;
    const { storage } = this.column;
    if (isCoded || storage === 'i32') kernels.spread32(out, validity, n, count);
    else if (storage === 'bit') kernels.spreadBits(out, validity, n, count);
    else if (storage === 'view') kernels.spread128(out, validity, n, count);
    else kernels.spread64(out, validity, n, count);
  }

  /** Passes over the first rows of a page. */
  #skipRows(): void {
    while (this.#rowsToSkip > 0) {
      const n = Math.min(this.#rowsToSkip, this.#shared.context.batchRows);
      this.#rowsToSkip -= n;
      this.read(n);
    }
  }

  #wrongEncoding(encoding: number): Damage {
    return new Damage(`${fileTypeName(this.#leaf)} values in the encoding ${encodingName(encoding)}`);
  }

  #doesNotFit(what: string): MillraceError {
    const from = fileTypeName(this.#leaf);
    return new MillraceError(
      'schema/mismatch',
      `column ${this.column.name}: ${what} is a ${from} that does not fit in ${typeName(this.column.type)}`,
    );
  }
}

function encodingName(encoding: number): string {
  return encodingNames[encoding] ?? String(encoding);
}

function uint32(u8: Uint8Array, at: number): number {
  const [a, b, c, d] = [u8[at], u8[at + 1], u8[at + 2], u8[at + 3]] as [number, number, number, number];
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}

/** By the negative of `hybridBits`' and `hybridValues`' answers. */
const levelFailures: Readonly<Record<number, string>> = {
  1: 'they end too early',
  2: 'a run has an impossible length',
  3: 'a value is above the maximum',
};

/** By the negative of the answers of the value kernels (plain.ts, delta.ts). */
const valueFailures: Readonly<Record<number, string>> = {
  1: 'the values end too early',
  2: 'a value has a length that cannot be',
  3: 'a string is no UTF-8',
  4: 'the header of a delta encoding is damaged',
  5: 'there are more values than rows',
};
