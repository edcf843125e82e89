/**
 * The open files of one writer, one for each partition that it has rows of. Encoders share their buffer, so one file at a
 * time has rows in it. Few are open: beyond, the one that got rows longest ago is cut. It knows no format.
 */
import type { Batch } from '../../core/record/batch.ts';
import type { Partitioner } from './partitions.ts';
import { type FileFormat, type Files, type Roll, RollingFiles, type Target } from './writer.ts';

/** Files that one writer has open at most. */
export const openPartitionsMax = 64;

export class PartitionedFiles<T extends Target> implements Files<T> {
  readonly #format: FileFormat;
  readonly #partitioner: Partitioner;
  readonly #make: (directory: string) => RollingFiles<T>;
  /** Those that got rows last come last. */
  readonly #open = new Map<string, RollingFiles<T>>();
  /** Its rows may be in the buffer. */
  #current: RollingFiles<T> | null = null;
  #closedBytes = 0;

  constructor(
    format: FileFormat,
    roll: Roll,
    partitioner: Partitioner,
    nowMs: () => number,
    create: (sequence: number, partition: string) => T,
    ended: (target: T, rows: number) => void,
  ) {
    this.#format = format;
    this.#partitioner = partitioner;
    let sequence = 0;
    this.#make = (directory) => new RollingFiles(this.#format, roll, nowMs, () => create(sequence++, directory), ended);
  }

  append(batch: Batch): void {
    if (batch.size === 0) return;
    this.#partitioner.split(batch, (directory, rows) => {
      const files = this.#of(directory);
      if (this.#current !== files) this.#current?.flush();
      this.#current = files;
      files.append(rows);
    });
  }

  flush(): void {
    this.#current?.flush();
  }

  cutIfOld(): void {
    this.flush();
    for (const files of this.#open.values()) files.cutIfOld();
  }

  cut(): void {
    this.flush();
    for (const directory of [...this.#open.keys()]) this.#close(directory);
  }

  abandon(): readonly T[] {
    const targets = [...this.#open.values()].flatMap((files) => files.abandon());
    this.#open.clear();
    this.#current = null;
    return targets;
  }

  get bytes(): number {
    let bytes = this.#closedBytes;
    for (const files of this.#open.values()) bytes += files.bytes;
    return bytes;
  }

  #of(directory: string): RollingFiles<T> {
    const known = this.#open.get(directory);
    if (known) this.#open.delete(directory);
    else if (this.#open.size === openPartitionsMax) {
      this.flush();
      const [oldest] = this.#open.keys();
      this.#close(oldest!);
    }
    const files = known ?? this.#make(directory);
    this.#open.set(directory, files);
    return files;
  }

  #close(directory: string): void {
    const files = this.#open.get(directory)!;
    files.cut();
    this.#closedBytes += files.bytes;
    this.#open.delete(directory);
    if (this.#current === files) this.#current = null;
  }
}
