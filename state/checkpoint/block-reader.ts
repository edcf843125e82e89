/**
 * Reads a checkpoint file. Nothing that it says is believed before its checksum was seen: the footer against the hash that
 * a manifest gives, every block against the footer. Lengths are held against the file's size before anything is
 * allocated. What is wrong is told as `Damage`, which names the file, what was found and what was expected.
 */
import { createHash } from 'node:crypto';
import type { FileRef } from '../../core/ports/checkpoint.ts';
import type { Disk, DiskReader } from '../../core/ports/disk.ts';
import {
  blockBytesMax,
  checksumOf,
  countOf,
  decodeTrailer,
  type FileFooter,
  fileVersion,
  footerBytesMax,
  headerBytes,
  headerVersion,
  kindOf,
  padded,
  recordHeaderBytes,
  trailerBytes,
} from './format.ts';

/** A file is not what it should be. The message names it; whoever catches it decides what to go on with. */
export class Damage extends Error {
  readonly path: string;
  constructor(path: string, what: string) {
    super(`${path}: ${what}`);
    this.name = 'Damage';
    this.path = path;
  }
}

export interface FileRecord {
  readonly table: number;
  readonly page: number;
  readonly kind: number;
  readonly count: number;
  /** With its header; valid until another block is read. */
  readonly record: Uint8Array;
  readonly body: Uint8Array;
  /** Where the next record begins. */
  readonly next: number;
}

export interface BlockReader {
  readonly path: string;
  readonly footer: FileFooter;
  /** The record at a position. Errors: `Damage`. */
  record(position: number): FileRecord;
  /** Reads every block and compares. Errors: `Damage`. `onBytes` hears how far it has come. */
  verify(onBytes?: (bytes: number) => void): void;
  close(): void;
}

/** `expected`: what the manifest says of it; null: the file is looked at by itself. Errors: `Damage`, those of the disk. */
export function openBlocks(disk: Disk, path: string, expected: Pick<FileRef, 'bytes' | 'hash'> | null): BlockReader {
  if (disk.stat(path)?.kind !== 'file') throw new Damage(path, 'is missing');
  const file = disk.open(path);
  try {
    return reader(file, path, expected);
  } catch (error) {
    file.close();
    throw error;
  }
}

function reader(file: DiskReader, path: string, expected: Pick<FileRef, 'bytes' | 'hash'> | null): BlockReader {
  const damage = (what: string): never => {
    throw new Damage(path, what);
  };
  const read = (at: number, bytes: number): Uint8Array => {
    const got = file.read(at, bytes);
    if (got.length !== bytes) damage(`ends after ${at + got.length} bytes, ${at + bytes} were expected`);
    return got;
  };
  if (expected !== null && file.bytes !== expected.bytes)
    damage(`has ${file.bytes} bytes, ${expected.bytes} were expected`);
  if (file.bytes < headerBytes + trailerBytes) damage(`has ${file.bytes} bytes, too few for a checkpoint file`);
  const header = read(0, headerBytes);
  const version = headerVersion(header);
  if (version === null) return damage('does not begin as a checkpoint file does');
  if (version !== fileVersion) damage(`is of format ${version}, this version reads format ${fileVersion}`);
  const trailer = decodeTrailer(read(file.bytes - trailerBytes, trailerBytes));
  if (trailer === null) return damage('does not end as a checkpoint file does: it is cut or damaged');
  const { footerAt, footerBytes } = trailer;
  if (trailer.version !== fileVersion) damage(`ends as format ${trailer.version}, format ${fileVersion} was expected`);
  if (footerAt + footerBytes + trailerBytes !== file.bytes || footerBytes > footerBytesMax) {
    damage(
      `its footer is said to take ${footerBytes} bytes at ${footerAt}, which does not fit its ${file.bytes} bytes`,
    );
  }
  const bytes = read(footerAt, footerBytes);
  if (checksumOf(bytes) !== trailer.checksum) damage('the checksum of its footer does not match');
  if (expected !== null && createHash('sha256').update(bytes).digest('hex') !== expected.hash) {
    damage('is not the file that the manifest names: the hash of its footer differs');
  }
  const footer = JSON.parse(new TextDecoder().decode(bytes)) as FileFooter;
  if (checksumOf(header) !== footer.blocks[0]?.[1]) damage('the checksum of its header does not match');

  /** Where each block begins, and the end of the last. */
  const starts = new Float64Array(footer.blocks.length + 1);
  footer.blocks.forEach(([length], i) => {
    if (!(length > 0 && length <= blockBytesMax && length % 8 === 0))
      damage(`block ${i} is said to have ${length} bytes`);
    starts[i + 1] = (starts[i] as number) + length;
  });
  if (starts[footer.blocks.length] !== footerAt) damage('its blocks do not fill it');

  let loaded = -1;
  let block: Uint8Array = new Uint8Array(0);
  let view = new DataView(block.buffer);
  const load = (i: number): void => {
    if (loaded === i) return;
    loaded = -1;
    const [length, checksum] = footer.blocks[i] as readonly [number, number];
    block = read(starts[i] as number, length);
    if (checksumOf(block) !== checksum)
      damage(`the checksum of block ${i} (${length} bytes at ${starts[i]}) does not match`);
    view = new DataView(block.buffer, block.byteOffset, block.length);
    loaded = i;
  };
  const blockAt = (at: number): number => {
    if (loaded >= 0 && at >= (starts[loaded] as number) && at < (starts[loaded + 1] as number)) return loaded;
    let low = 1;
    let high = footer.blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((starts[middle + 1] as number) <= at) low = middle + 1;
      else high = middle;
    }
    if (low >= footer.blocks.length) damage(`position ${at / 8} is outside its blocks`);
    return low;
  };

  return {
    path,
    footer,
    record(position) {
      const at = position * 8;
      const i = blockAt(at);
      load(i);
      const offset = at - (starts[i] as number);
      if (offset < 0 || offset + recordHeaderBytes > block.length) damage(`no record begins at position ${position}`);
      const length = view.getUint32(offset + 12, true);
      const end = offset + recordHeaderBytes + length;
      if (end > block.length) damage(`the record at position ${position} is said to have ${length} bytes`);
      const word = view.getUint32(offset + 8, true);
      return {
        table: view.getUint32(offset, true),
        page: view.getUint32(offset + 4, true),
        kind: kindOf(word),
        count: countOf(word),
        record: block.subarray(offset, end),
        body: block.subarray(offset + recordHeaderBytes, end),
        next: position + padded(recordHeaderBytes + length) / 8,
      };
    },
    verify(onBytes) {
      for (let i = 0; i < footer.blocks.length; i++) {
        load(i);
        onBytes?.(starts[i + 1] as number);
      }
    },
    close: () => file.close(),
  };
}

/** Reads all of a file and compares it with what a manifest says. Null: it is whole; otherwise what is wrong. */
export function damageOf(
  disk: Disk,
  path: string,
  expected: FileRef,
  onBytes?: (bytes: number) => void,
): string | null {
  try {
    const blocks = openBlocks(disk, path, expected);
    try {
      blocks.verify(onBytes);
    } finally {
      blocks.close();
    }
    return null;
  } catch (error) {
    if (error instanceof Damage) return error.message;
    // A disk that cannot read a file (EIO) has lost it as well; one that is only not to be opened is another matter.
    if ((error as NodeJS.ErrnoException | null)?.code === 'EIO') return `${path}: ${(error as Error).message}`;
    throw error;
  }
}
