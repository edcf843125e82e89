/**
 * What a checkpoint is on disk, as everyone sees it who takes part: the manifest that names everything, the state
 * directory that holds manifests and files, and one writer per participant. state/checkpoint implements it over a `Disk`.
 *
 * The order of one checkpoint: each participant begins a file at its barrier, writes frozen pages into it, and finishes it
 * (durable in `staging`). The coordinator commits: files are renamed into place, then the manifest. Its rename is the
 * moment from which the checkpoint counts. Then sinks commit, then `clean` removes what nobody refers to any more.
 */
import type { Json, Split } from './connector.ts';

/** A published file, and what it must be. */
export interface FileRef {
  readonly name: string;
  readonly bytes: number;
  /** SHA-256 of its footer, in hexadecimal; the footer holds the length and checksum of every block. */
  readonly hash: string;
}

/** One task as a checkpoint has it. What its operators hold stands in the files of its participant. */
export interface TaskEntry {
  /** Ids of its operators. Restoring goes by them: another parallelism may cut the plan into other chains. */
  readonly operators: readonly string[];
  readonly subtask: number;
  /** Those of them that had ended here, in order: each is restored as ended when it had in all its subtasks. */
  readonly ended: readonly string[];
  /** Null: none yet. */
  readonly watermarkMs: number | null;
  readonly source: {
    readonly operator: string;
    readonly splits: readonly Split[];
    readonly watermarkMs: number | null;
  } | null;
  /** Rows handed to each sink before the barrier, by operator id. */
  readonly written: Readonly<Record<string, number>>;
}

/** What one participant's checkpoint came to. */
export interface ParticipantPart {
  readonly participant: number;
  /** The file whose maps describe the participant's state; null: it has none. Not necessarily written for this checkpoint. */
  readonly file: string | null;
}

/** What the coordinator knows of a checkpoint, before the directory adds its own. */
export interface ManifestContent {
  readonly checkpointId: number;
  readonly jobName: string;
  /** Stable over restarts; another job's state is refused by it. */
  readonly jobKey: string;
  readonly timestampMs: number;
  /** The logical plan. */
  readonly plan: Json;
  readonly parallelism: number;
  /** Seed of the key hash, without which no key is found again. */
  readonly hashSeed: string;
  /** The job had ended in order: there is nothing to go on with. */
  readonly finished: boolean;
  readonly tasks: readonly TaskEntry[];
  readonly parts: readonly ParticipantPart[];
  /** Splits that nobody had taken, by source (its operator id), and what enumerators want to remember. */
  readonly sources: readonly {
    readonly operator: string;
    readonly unread: readonly Split[];
    readonly enumerator: Json;
  }[];
  /** Transactions prepared and not yet known to be committed, by sink (its operator id). */
  readonly sinks: readonly { readonly operator: string; readonly handles: readonly Json[] }[];
  /** Every file that `parts` need, those of earlier checkpoints included, each once. */
  readonly files: readonly FileRef[];
}

export interface Manifest extends ManifestContent {
  readonly version: 1;
  readonly kind: 'checkpoint' | 'savepoint';
  /** Of the owner that wrote it. */
  readonly epoch: number;
}

/** A manifest that could not be used, and why; one event each. */
export interface Refusal {
  /** Path of the manifest. */
  readonly manifest: string;
  readonly checkpointId: number;
  /** Names the file, what was found and what was expected. */
  readonly reason: string;
}

/**
 * A state directory that this process owns. Everything here throws `state/fenced` once a successor has taken over, and
 * changes nothing then.
 */
export interface StateDirectory {
  readonly path: string;
  /** Larger than that of every owner before. */
  readonly epoch: number;
  /** Where participants write; the path is gone when a successor has taken over. */
  readonly staging: string;
  /** Published files. */
  readonly files: string;
  /** The largest checkpoint id that was ever used; the next one must be larger. */
  readonly lastCheckpointId: number;
  /** A `commit` threw behind the moment from which its checkpoint may count. Only `latest` finds out. */
  readonly inDoubt: boolean;
  /**
   * The newest manifest that verifies, with all its files, by what lies in the directory now, which is durable when this returns; null: there is none at all. Those that did not are in `refused`, for the
   * caller to say so loudly. Errors: `state/corrupt` when there are manifests and none verifies.
   */
  latest(): { readonly manifest: Manifest | null; readonly refused: readonly Refusal[] };
  /**
   * What `latest` refused counts no more, also where it would verify later (a disk that failed once). Before anybody acts on the
   * older one: sinks take back what came after it.
   */
  passOver(refused: readonly Refusal[]): void;
  /**
   * Publishes staged files and the manifest. When it returns, the checkpoint is durable. When it throws, it is not, unless `inDoubt`: then
   * what it promised may be owed, so nobody may take that back or go on before `latest` was asked.
   */
  commit(content: ManifestContent): Manifest;
  /** Removes old manifests but the newest `retain` (at least 2), and files that no manifest refers to. */
  clean(retain: number): void;
  /** The checkpoint did not come about: what was staged for it goes. */
  discard(checkpointId: number): void;
  /** Gives the directory up, for the next owner. Idempotent. */
  close(): void;
}

/** Who holds a state directory. */
export interface Owner {
  readonly pid: number;
  /** Of the process, in clock ticks since boot. */
  readonly startTime: string;
  readonly bootId: string;
  /** Process ids mean something only within it. */
  readonly pidNamespace: string;
  readonly host: string;
}

/** What `CheckpointFile.finish` answers; goes into `ParticipantPart` and `ManifestContent.files`. */
export interface FinishedPart {
  /** See `ParticipantPart.file`. */
  readonly file: string | null;
  /** Every file that the part needs. */
  readonly files: readonly FileRef[];
  /** Written for this checkpoint; 0: nothing had changed and there is no new file. */
  readonly bytes: number;
}

/** One participant's side, in its own thread. */
export interface CheckpointWriter {
  /**
   * A checkpoint begins. `committed`: id of the newest checkpoint whose manifest is durable (0: none), which decides what the next one may
   * refer to. `full`: everything is written, nothing referred to. One at a time: the last one is finished or abandoned.
   */
  begin(id: number, committed: number, full?: boolean): CheckpointFile;
}

/** Where one participant's snapshots go; passed to `StoredState.snapshot` of each operator. */
export interface CheckpointFile {
  readonly id: number;
  /**
   * All snapshots taken into it were read: writes maps and footer, makes the file durable. Nothing may be written meanwhile. Errors:
   * those of the disk (the file is gone then), `state/fenced`.
   */
  finish(): Promise<FinishedPart>;
  /** Gives it up; the file goes. Idempotent, and nothing after `finish`. */
  abandon(): void;
}
