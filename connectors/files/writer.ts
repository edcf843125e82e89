/**
 * Writers of file sinks: rows go into files of a format, one after the other, that become visible together. Without
 * checkpoints that is when the job ends in order; with them, when the checkpoint that prepared a file is durable and its
 * committer (committer.ts) gives it its name. It knows no format and no path's meaning.
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { isMillraceError, MillraceError } from '../../core/base/errors.ts';
import type { Json, SinkWriter, WriterContext } from '../../core/ports/connector.ts';
import type { DiskFile } from '../../core/ports/disk.ts';
import type { Batch } from '../../core/record/batch.ts';
import { guarded, type OutputFile, systemError } from './output.ts';
import { timeHandle } from './partition-marks.ts';
import { checkJobKey, finalName, type StagedFile, stagingDirectory } from './staging.ts';

export interface FileFormat {
  /** With its dot. */
  readonly extension: string;
  /** Begins a file; `put` takes its bytes. One file at a time. */
  begin(put: (bytes: Uint8Array) => void): FileBody;
}

export interface FileBody {
  append(batch: Batch): void;
  /** Puts what is buffered, as far as the format can. */
  flush(): void;
  /** Puts what is still missing of a whole file. Nothing follows. */
  end(): void;
  /** Bytes not yet put, about. */
  readonly heldBytes: number;
}

/** When a file is closed and the next begun, besides at checkpoints; null: for no such reason. */
export interface Roll {
  readonly bytes: number | null;
  readonly everyMs: number | null;
}

/** Where bytes go. */
export interface Target {
  write(bytes: Uint8Array): void;
  readonly bytes: number;
}

/** Files that take rows, until they are cut. */
export interface Files<T extends Target> {
  append(batch: Batch): void;
  flush(): void;
  /** Cuts what is old by the clock. */
  cutIfOld(): void;
  /** Ends what is open. */
  cut(): void;
  /** Lets go of the files that are open, and answers them. */
  abandon(): readonly T[];
  readonly bytes: number;
}

/** Files one after the other: `ended` gets each that is whole, with its number of rows. */
export class RollingFiles<T extends Target> implements Files<T> {
  readonly #format: FileFormat;
  readonly #roll: Roll;
  readonly #nowMs: () => number;
  readonly #create: (sequence: number) => T;
  readonly #ended: (target: T, rows: number) => void;
  #open: { readonly target: T; readonly body: FileBody; readonly sinceMs: number; rows: number } | null = null;
  #sequence = 0;
  #endedBytes = 0;

  constructor(
    format: FileFormat,
    roll: Roll,
    nowMs: () => number,
    create: (sequence: number) => T,
    ended: (target: T, rows: number) => void,
  ) {
    this.#format = format;
    this.#roll = roll;
    this.#nowMs = nowMs;
    this.#create = create;
    this.#ended = ended;
  }

  open(): void {
    if (this.#open) return;
    const target = this.#create(this.#sequence++);
    const body = this.#format.begin((bytes) => target.write(bytes));
    this.#open = { target, body, sinceMs: this.#nowMs(), rows: 0 };
  }

  append(batch: Batch): void {
    if (batch.size === 0) return;
    this.cutIfOld();
    this.open();
    const open = this.#open!;
    open.body.append(batch);
    open.rows += batch.size;
    if (this.#roll.bytes !== null && open.target.bytes + open.body.heldBytes >= this.#roll.bytes) this.cut();
  }

  flush(): void {
    this.#open?.body.flush();
  }

  cutIfOld(): void {
    const { everyMs } = this.#roll;
    if (everyMs !== null && this.#open && this.#open.rows > 0 && this.#nowMs() - this.#open.sinceMs >= everyMs)
      this.cut();
  }

  cut(): void {
    if (!this.#open) return;
    const { target, body, rows } = this.#open;
    body.end();
    this.#open = null;
    this.#endedBytes += target.bytes;
    this.#ended(target, rows);
  }

  abandon(): readonly T[] {
    const targets = this.#open ? [this.#open.target] : [];
    this.#open = null;
    return targets;
  }

  get bytes(): number {
    return this.#endedBytes + (this.#open ? this.#open.target.bytes + this.#open.body.heldBytes : 0);
  }
}

/** `create`: the file that will become the `sequence`th part. `finished`: all have their names; their number. */
export function writerVisibleAtEnd(
  format: FileFormat,
  roll: Roll,
  create: (sequence: number) => OutputFile,
  finished: (files: number) => void = () => {},
): SinkWriter {
  const whole: OutputFile[] = [];
  const files = new RollingFiles(format, roll, Date.now, create, (file: OutputFile) => whole.push(file));
  // A forbidden place shows before the first row, and an empty result is a file without rows.
  files.open();
  return {
    write(batch) {
      files.append(batch);
      return true;
    },
    flush: () => files.flush(),
    finish() {
      files.cut();
      for (const file of whole) file.commit();
      finished(whole.length);
    },
    close() {
      for (const file of [...whole, ...files.abandon()]) file.discard();
    },
    get bytes() {
      return files.bytes;
    },
  };
}

/** A staged file from its last byte on. */
interface Prepared extends StagedFile {
  readonly durable: Promise<void>;
}

/** Makes the files of a writer: `create` makes the `sequence`th, `ended` gets those that are whole. */
export type MakeFiles = (
  nowMs: () => number,
  create: (sequence: number, partition: string | null) => StagedTarget,
  ended: (file: StagedTarget, rows: number) => void,
) => Files<StagedTarget>;

/** Only for a `context` with a transaction. `path`: the directory, taken over by its committer before. */
export function writerVisibleAtCheckpoints(
  format: FileFormat,
  roll: Roll,
  path: string,
  context: WriterContext,
): SinkWriter {
  return stagedWriter(
    format,
    path,
    context,
    (nowMs, create, ended) =>
      new RollingFiles<StagedTarget>(format, roll, nowMs, (sequence) => create(sequence, null), ended),
  );
}

/** As `writerVisibleAtCheckpoints`, with files of any kind. `tellsTime`: each checkpoint is told the writer's event time, too. */
export function stagedWriter(
  format: FileFormat,
  path: string,
  context: WriterContext,
  makeFiles: MakeFiles,
  tellsTime = false,
): SinkWriter {
  const { epoch, jobKey, disk, nowMs } = context.transaction!;
  checkJobKey(jobKey);
  const staging = stagingDirectory(path, jobKey, epoch);
  const stem = `${epoch}-${context.attemptId.replace(/[^\w-]/g, '_')}-${context.subtask}`;
  /** Whole, not yet prepared. */
  let ended: { readonly file: StagedTarget; readonly rows: number; readonly durable: Promise<void> }[] = [];
  /** Prepared, not known to stand in a durable checkpoint. */
  let prepared: Prepared[] = [];
  let watermarkMs: number | null = null;

  const staged = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw stagedError(error, path);
    }
  };
  const files = makeFiles(
    () => nowMs(),
    (sequence, partition) => {
      const name = `${stem}-${sequence}${format.extension}`;
      return new StagedTarget(
        name,
        sequence,
        partition,
        staged(() => disk.create(join(staging, name), 0o666)),
        path,
      );
    },
    (file, rows) => {
      const durable = file.makeDurable();
      // Who waits for it hears of it; nobody may be waiting yet.
      durable.catch(() => {});
      ended.push({ file, rows, durable });
    },
  );

  return {
    write(batch) {
      files.append(batch);
      return true;
    },
    // Nothing is visible before a checkpoint: only age counts.
    flush: () => files.cutIfOld(),
    finish: () => files.cut(),
    prepare(checkpoint) {
      files.cut();
      for (const { file, rows, durable } of ended) {
        const own = finalName(jobKey, checkpoint, context.subtask, file.sequence, format.extension);
        const final = file.partition === null ? own : `${file.partition}/${own}`;
        const { name, bytes, checksum } = file;
        prepared.push({ staged: name, final, checkpoint, bytes, rows, checksum, durable });
      }
      const isNew = ended.length > 0;
      ended = [];
      const named = prepared;
      const time: Json[] = tellsTime ? [timeHandle(context, watermarkMs)] : [];
      if (named.length === 0) return time;
      return Promise.all(named.map((file) => file.durable)).then(() => {
        if (isNew) staged(() => disk.syncDirectory(staging));
        return [...named.map(({ durable: _, ...handle }): Json => handle), ...time];
      });
    },
    completed(checkpoint) {
      prepared = prepared.filter((file) => file.checkpoint > checkpoint);
    },
    close() {
      // What is prepared may stand in a checkpoint: that is for the committer to know.
      for (const file of [...ended.map((one) => one.file), ...files.abandon()]) {
        file.close();
        try {
          disk.remove(join(staging, file.name));
        } catch {
          // The committer of the next attempt takes it away.
        }
      }
      ended = [];
    },
    ...(tellsTime
      ? {
          watermark(timeMs: number) {
            watermarkMs = timeMs;
          },
        }
      : {}),
    get bytes() {
      return files.bytes;
    },
  };
}

/** A file in the staging directory. */
export class StagedTarget implements Target {
  readonly name: string;
  readonly sequence: number;
  /** The partition it will be in; null: there are none. */
  readonly partition: string | null;
  readonly #file: DiskFile;
  readonly #path: string;
  #syncing = false;
  checksum = 0;
  bytes = 0;

  constructor(name: string, sequence: number, partition: string | null, file: DiskFile, path: string) {
    this.name = name;
    this.sequence = sequence;
    this.partition = partition;
    this.#file = file;
    this.#path = path;
  }

  write(bytes: Uint8Array): void {
    guarded(this.#path, () => this.#file.write(bytes));
    this.checksum = crc32(bytes, this.checksum);
    this.bytes += bytes.length;
  }

  /** All bytes are in: syncs and closes. */
  async makeDurable(): Promise<void> {
    this.#syncing = true;
    try {
      await this.#file.sync();
    } catch (error) {
      throw systemError(error, this.#path);
    } finally {
      this.#syncing = false;
      this.#file.close();
    }
  }

  /** Lets go of it. While it is being synced it closes itself afterwards. */
  close(): void {
    if (!this.#syncing) this.#file.close();
  }
}

/** The staging directory is there from the take-over to the end: where it is gone, somebody else has it. */
function stagedError(error: unknown, path: string): Error {
  if (isMillraceError(error)) return error;
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return systemError(error, path);
  return new MillraceError('state/fenced', `another process has taken over ${path}; nothing more is written here`, {
    where: { path },
    cause: error,
  });
}
