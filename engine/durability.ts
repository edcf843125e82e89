/**
 * What of a job outlives its process: the state directory with its checkpoints, and the second phase of its sinks. Opens,
 * restores, publishes, commits, closes. It decides nothing; engine/job-run asks for each step.
 */
import { sinkConnector } from '../connectors/registry.ts';
import type { Clock } from '../core/base/clock.ts';
import { isMillraceError } from '../core/base/errors.ts';
import type { Prng } from '../core/base/prng.ts';
import { watermarkMin } from '../core/operators/operator.ts';
import type {
  FileRef,
  Manifest,
  ManifestContent,
  Refusal,
  StateDirectory,
  TaskEntry,
} from '../core/ports/checkpoint.ts';
import type { Json, SinkCommitter, Split } from '../core/ports/connector.ts';
import type { Disk } from '../core/ports/disk.ts';
import type { CheckpointPurpose } from '../core/schedule/checkpoints.ts';
import type { JobOutcome, Unread } from '../core/schedule/job.ts';
import { stateError } from '../state/checkpoint/errors.ts';
import type { DurableOptions, Restored, SnapshotPart, TaskSnapshot, Transaction } from './messages.ts';
import { checkFit, type KeepingOperator, type PlanRecord, planRecord, recordOf } from './plan-fit.ts';
import type { Prepared } from './prepare.ts';

/** They bring the Arrow library, which takes a third as long to load as the smallest job runs. */
const savepoints = () => import('./savepoint.ts');

export interface DurabilityWorld {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Prng;
  /** Takes the directory for this process. Errors: `state/…`. */
  openState(path: string, options: { readonly takeOver: boolean }): StateDirectory;
}

export interface Published {
  /** Written for it. */
  readonly bytes: number;
  /** Where the savepoint lies, when it was to be one. */
  readonly savepoint: string | null;
  /** The checkpoint that is on disk: this one, or the last one when nothing has changed since. */
  readonly durableId: number;
}

interface Job {
  readonly plan: PlanRecord['logical'];
  readonly options: { readonly parallelism: number };
}

/** What is known of the checkpoint that the job goes on from. */
export interface RestoredFrom {
  readonly checkpointId: number;
  readonly hashSeed: string;
  readonly finished: boolean;
  /** Operator ids of sources whose splits it has. */
  readonly sources: ReadonlySet<string>;
}

export class Durability {
  readonly #options: DurableOptions;
  readonly #job: Job;
  readonly #world: DurabilityWorld;
  readonly #state: StateDirectory;
  readonly #notice: (text: string) => void;
  readonly #committers = new Map<string, SinkCommitter>();
  #jobKey: string;
  #manifest: Manifest | null = null;
  #passedOver = 0;
  /** By the last look, and not yet passed over for good. */
  #refused: readonly Refusal[] = [];
  #lastId: number;
  #lastText: string | null = null;
  #lost = false;
  #closed = false;

  /** Takes the directory and looks for the checkpoint to go on from. Errors: `state/…`. */
  static async open(
    options: DurableOptions,
    job: Job,
    world: DurabilityWorld,
    notice: (text: string) => void,
  ): Promise<Durability> {
    const state = world.openState(options.stateDir, { takeOver: options.takeOver });
    try {
      const durability = new Durability(options, job, world, state, notice);
      durability.#look();
      if (options.from !== null) await durability.#begin(options.from);
      return durability;
    } catch (error) {
      state.close();
      throw stateError(error, options.stateDir);
    }
  }

  private constructor(
    options: DurableOptions,
    job: Job,
    world: DurabilityWorld,
    state: StateDirectory,
    notice: (text: string) => void,
  ) {
    this.#options = options;
    this.#job = job;
    this.#world = world;
    this.#state = state;
    this.#notice = notice;
    this.#lastId = state.lastCheckpointId;
    this.#jobKey = this.#ownKey();
  }

  /**
   * The job's key before its first checkpoint, which then holds it. On disk before any sink begins: whoever starts again after
   * a crash without a checkpoint finds what the sinks had staged under the same key.
   */
  #ownKey(): string {
    const { disk, random } = this.#world;
    const path = `${this.#state.path}/JOB`;
    if (disk.stat(path) !== null) {
      const found = new TextDecoder().decode(disk.read(path)).trim();
      if (/^[0-9a-z]+$/.test(found)) return found;
    }
    const key = `${random.u32().toString(36)}${random.u32().toString(36)}`;
    const staged = `${this.#state.staging}/JOB`;
    const file = disk.create(staged);
    try {
      file.write(new TextEncoder().encode(`${key}\n`));
      file.syncNow();
    } finally {
      file.close();
    }
    disk.rename(staged, path);
    disk.syncDirectory(this.#state.path);
    return key;
  }

  #look(): void {
    const { manifest, refused } = this.#state.latest();
    for (const { reason, checkpointId } of refused) {
      this.#notice(`checkpoint ${checkpointId} is damaged and was passed over: ${reason}`);
    }
    this.#passedOver += refused.length;
    this.#refused = refused;
    this.#manifest = manifest;
    this.#lastText = null;
    if (manifest) this.#jobKey = manifest.jobKey;
  }

  /** A savepoint becomes the first checkpoint, where there is none. */
  async #begin(path: string): Promise<void> {
    const { disk } = this.#world;
    if (this.#manifest) {
      const { checkpointId } = this.#manifest;
      this.#notice(
        `the job goes on from checkpoint ${checkpointId} of its state directory, not from savepoint ${path}`,
      );
      return;
    }
    const { importSavepoint } = await savepoints();
    this.#manifest = await importSavepoint({ disk, path, state: this.#state, jobKey: this.#jobKey });
    this.#lastId = this.#manifest.checkpointId;
  }

  get restored(): RestoredFrom | null {
    const manifest = this.#manifest;
    if (!manifest) return null;
    return {
      checkpointId: manifest.checkpointId,
      hashSeed: manifest.hashSeed,
      finished: manifest.finished,
      sources: new Set(manifest.sources.map(({ operator }) => operator)),
    };
  }

  /** Newer checkpoints than the restored one that did not verify. */
  get passedOver(): number {
    return this.#passedOver;
  }

  get nextCheckpoint(): number {
    return this.#lastId + 1;
  }

  get directory(): string {
    return this.#state.path;
  }

  get transaction(): Transaction {
    const { epoch, staging, files } = this.#state;
    return { epoch, staging, files, jobKey: this.#jobKey, committed: this.#manifest?.checkpointId ?? 0 };
  }

  /** What was published may be there or not, and this attempt cannot find out. */
  get isLost(): boolean {
    return this.#lost;
  }

  /** The plan is made: state must fit it, sinks are taken over. Errors: `snapshot/mismatch`, `sink/…`, `state/…`. */
  async use(prepared: Prepared): Promise<void> {
    const { physical } = prepared.planned;
    const { disk } = this.#world;
    const record = this.#manifest ? recordOf(this.#manifest.plan) : null;
    const orphans = this.#manifest && record ? this.#fit(record, prepared) : [];
    for (const { node, id } of physical.chains.flatMap((chain) => chain.operators)) {
      if (node.kind !== 'sink') continue;
      const connector = await sinkConnector(node.connector.kind);
      const committer = connector.committer?.(node.connector, { disk, jobKey: this.#jobKey });
      if (committer) this.#committers.set(id, committer);
    }
    this.#passOver();
    await this.#commitOrphans(orphans);
    this.#openSinks();
  }

  /** Whoever goes on from an older checkpoint never comes back to a newer one: its sinks take back what that one promised. */
  #passOver(): void {
    try {
      this.#state.passOver(this.#refused);
    } catch (error) {
      throw stateError(error, this.#state.path);
    }
    this.#refused = [];
  }

  #fit(record: PlanRecord, prepared: Prepared): readonly KeepingOperator[] {
    const { orphans, added } = checkFit(record, prepared.planned.physical, {
      checkpoint: `${this.#state.path}, checkpoint ${this.#manifest!.checkpointId}`,
      allowNonRestored: this.#options.allowNonRestoredState,
    });
    for (const { id, keeps } of orphans) this.#notice(`the state of operator '${id}' is dropped: ${keeps}`);
    for (const { id, keeps } of added) this.#notice(`operator '${id}' is new and begins without state: ${keeps}`);
    return orphans;
  }

  /** Sinks that the job has no more still owe what their last checkpoint promised. */
  async #commitOrphans(orphans: readonly KeepingOperator[]): Promise<void> {
    const { disk } = this.#world;
    for (const { id, connector: spec } of orphans) {
      const handles = this.#handlesOf(id);
      if (!spec || handles.length === 0) continue;
      const connector = await sinkConnector(spec.kind);
      const committer = connector.committer?.(spec, { disk, jobKey: this.#jobKey });
      committer?.open(this.#state.epoch, handles, this.#manifest!.checkpointId);
      committer?.close();
    }
  }

  #openSinks(): void {
    for (const [id, committer] of this.#committers)
      committer.open(this.#state.epoch, this.#handlesOf(id), this.#manifest?.checkpointId ?? 0);
  }

  #handlesOf(operator: string): readonly Json[] {
    return this.#manifest?.sinks.find((sink) => sink.operator === operator)?.handles ?? [];
  }

  /** What the first attempt goes on from; null: a fresh start. */
  begin(): Restored | null {
    const { allowNonRestoredState } = this.#options;
    return this.#manifest ? restoredFrom(this.#manifest, this.#state.files, allowNonRestoredState) : null;
  }

  /** The same for a restart: the newest checkpoint that verifies, with what it promised committed. */
  async again(): Promise<Restored | null> {
    this.#look();
    if (this.#manifest) this.#lastId = Math.max(this.#lastId, this.#manifest.checkpointId);
    this.#lost = false;
    this.#passOver();
    this.#openSinks();
    return this.begin();
  }

  async publish(checkpoint: {
    readonly id: number;
    readonly purpose: CheckpointPurpose;
    readonly parts: ReadonlyMap<number, SnapshotPart>;
    readonly unread: Unread;
    readonly enumerators: ReadonlyMap<string, unknown>;
    readonly prepared: Prepared;
  }): Promise<Published> {
    const { id, purpose, parts } = checkpoint;
    const content = this.#contentOf(checkpoint);
    const bytes = [...parts.values()].reduce((sum, part) => sum + (part.file?.bytes ?? 0), 0);
    const text = JSON.stringify({ ...content, checkpointId: 0, timestampMs: 0 });
    const unchanged = bytes === 0 && text === this.#lastText && purpose.kind !== 'final';
    if (unchanged && this.#manifest) {
      this.discard(id);
      return { bytes: 0, savepoint: await this.#savepoint(purpose), durableId: this.#manifest.checkpointId };
    }
    try {
      this.#manifest = this.#state.commit(content);
    } catch (error) {
      if (isFenced(error) || this.#state.inDoubt) this.#lost = true;
      throw stateError(error, this.#state.path);
    }
    this.#lastText = text;
    this.#lastId = Math.max(this.#lastId, id);
    try {
      for (const [operator, committer] of this.#committers) {
        const handles = this.#handlesOf(operator);
        if (handles.length > 0) committer.commit(handles);
      }
    } catch (error) {
      // The checkpoint counts; what it promised is kept when the next attempt begins.
      this.#lost = true;
      throw error;
    }
    const savepoint = await this.#savepoint(purpose);
    this.#clean();
    return { bytes, savepoint, durableId: id };
  }

  #contentOf({
    id,
    purpose,
    parts,
    unread,
    enumerators,
    prepared,
  }: Parameters<Durability['publish']>[0]): ManifestContent {
    const files = new Map<string, FileRef>();
    for (const part of parts.values()) for (const ref of part.file?.files ?? []) files.set(ref.name, ref);
    const handles = new Map<string, Json[]>();
    for (const part of parts.values()) {
      for (const { operator, handles: more } of part.handles)
        handles.set(operator, [...(handles.get(operator) ?? []), ...more]);
    }
    return {
      checkpointId: id,
      jobName: this.#job.plan.name,
      jobKey: this.#jobKey,
      timestampMs: this.#world.clock.nowMs(),
      plan: planRecord(this.#job.plan, prepared.planned.physical) as unknown as Json,
      parallelism: this.#job.options.parallelism,
      hashSeed: prepared.hashSeed,
      finished: purpose.kind === 'final',
      tasks: [...parts].sort(byParticipant).flatMap(([, part]) => part.tasks.map(taskEntry).sort(byOperator)),
      parts: [...parts]
        .sort(byParticipant)
        .map(([participant, part]) => ({ participant, file: part.file?.file ?? null })),
      sources: [...prepared.readers.keys()].map((operator) => ({
        operator,
        unread: [...(unread.get(operator) ?? [])],
        enumerator: (enumerators.get(operator) as Json | undefined) ?? null,
      })),
      sinks: [...handles].filter(([, all]) => all.length > 0).map(([operator, all]) => ({ operator, handles: all })),
      files: [...files.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    };
  }

  async #savepoint(purpose: CheckpointPurpose): Promise<string | null> {
    const directory =
      purpose.kind === 'savepoint' ? purpose.directory : 'savepoint' in purpose ? purpose.savepoint : null;
    if (directory === null) return null;
    const manifest = this.#manifest as Manifest;
    const { writeSavepoint } = await savepoints();
    return await writeSavepoint({ disk: this.#world.disk, into: directory, manifest, files: this.#state.files });
  }

  /** A failure here costs room, not the job. */
  #clean(): void {
    try {
      this.#state.clean(this.#options.retain);
    } catch (error) {
      if (isFenced(error)) {
        this.#lost = true;
        throw error;
      }
      this.#notice(`old checkpoints could not be removed: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** What was staged for checkpoint `id` goes. */
  discard(id: number): void {
    if (this.#closed) return;
    try {
      this.#state.discard(id);
    } catch {
      // Fenced, or the disk fails: whoever owns the directory next cleans up.
    }
  }

  /** The job is over. Errors: of sinks that could not take away what they do not need any more. */
  close(outcome: JobOutcome): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      const ended = outcome.kind === 'finished' && outcome.resumable !== true;
      if (ended) for (const committer of this.#committers.values()) committer.close();
    } finally {
      this.#state.close();
    }
  }
}

type ByParticipant = readonly [number, SnapshotPart];
/** A participant's tasks come in the order in which the barrier passed them: what has not changed must say the same. */
const byOperator = (a: TaskEntry, b: TaskEntry): number => {
  const [one, other] = [a, b].map(({ operators, subtask }) => `${operators.join()} ${subtask}`) as [string, string];
  return one < other ? -1 : 1;
};
const byParticipant = (a: ByParticipant, b: ByParticipant): number => a[0] - b[0];

const isFenced = (error: unknown): boolean => isMillraceError(error) && error.code === 'state/fenced';

function taskEntry({ operators, ended, subtask, watermarkMs, source, written }: TaskSnapshot): TaskEntry {
  return {
    operators,
    ended,
    subtask,
    watermarkMs: timeOrNull(watermarkMs),
    source: source
      ? { operator: source.operator, splits: [...source.splits], watermarkMs: timeOrNull(source.watermarkMs) }
      : null,
    written: Object.fromEntries(written),
  };
}

const timeOrNull = (ms: number): number | null => (ms === watermarkMin ? null : ms);

function restoredFrom(manifest: Manifest, directory: string, mayDrop: boolean): Restored {
  const tasks = manifest.tasks.map(
    (task): TaskSnapshot => ({
      operators: task.operators,
      ended: task.ended,
      subtask: task.subtask,
      watermarkMs: task.watermarkMs ?? watermarkMin,
      source: task.source ? { ...task.source, watermarkMs: task.source.watermarkMs ?? watermarkMin } : null,
      written: new Map(Object.entries(task.written)),
      state: new Map(),
    }),
  );
  return {
    parts: [{ tasks, file: null, handles: [] }],
    unread: new Map(manifest.sources.map(({ operator, unread }) => [operator, unread as readonly Split[]])),
    enumerators: new Map(manifest.sources.map(({ operator, enumerator }) => [operator, enumerator])),
    files: { directory, parts: manifest.parts, refs: manifest.files, mayDrop },
  };
}
