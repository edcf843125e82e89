/**
 * One simulated life of a job, from a seed: its shape, its layout, its faults, its crashes and restarts. First faults come
 * (safety: nothing that is visible may be wrong), then none come any more (liveness: the job must end, soon, with everything).
 */
import { buildPlan } from '../../core/api/job.ts';
import { type Prng, prng } from '../../core/base/prng.ts';
import type { UserFunction } from '../../core/operators/operator.ts';
import type { Disk, DiskFile } from '../../core/ports/disk.ts';
import type { JobAnswer } from '../../engine/job-run.ts';
import { LocalJob, virtualClock } from '../../engine/local.ts';
import { createMemory } from '../../engine/memories.ts';
import type { MemoryMap } from '../../engine/memory-map.ts';
import { checkOptions } from '../../engine/options.ts';
import { openSavepoint, savedRows } from '../../engine/savepoint.ts';
import { type DiskCall, type SimulatedDisk, simulatedDisk } from '../../testing/simulated-disk.ts';
import { visible, wrong } from './committed.ts';
import { type Draw, type Shape, shapes, startMs } from './shapes.ts';

/** How often what happened, over all seeds. A count of 0 in the end is a failure of the simulation itself. */
export type Coverage = Record<string, number>;

export const noCoverage = (): Coverage => ({
  ...Object.fromEntries(shapes.map(({ name }) => [name, 0])),
  rescaled: 0,
  'disk error': 0,
  'crash before a call': 0,
  'crash after a call': 0,
  'torn write': 0,
  'fault in a commit': 0,
  'write lost': 0,
  'write kept': 0,
  'write torn by a crash': 0,
  'name lost': 0,
  'name kept': 0,
  'power lost': 0,
  'process died': 0,
  'task failed': 0,
  'participant died': 0,
  'slow disk': 0,
  'clock jumped': 0,
  'checkpoint asked for': 0,
  'checkpoint at the end': 0,
  'crash at the end': 0,
  'crash behind a checkpoint at the end': 0,
  'savepoint looked into': 0,
  'checkpoint timed out': 0,
  'checkpoint failed': 0,
  'stopped and started': 0,
  'zombie fenced': 0,
  'file damaged': 0,
  'fell back to an older checkpoint': 0,
  'crash while starting': 0,
  'restarted in the process': 0,
  'went on from a checkpoint': 0,
  'checkpoints completed': 0,
  'run twice': 0,
});

/** What one seed did: two runs of it must be the same. */
export interface Life {
  readonly shape: string;
  readonly calls: number;
  readonly steps: number;
  readonly trace: number;
}

export class Violation extends Error {}

interface Faults {
  /** How many may still come. */
  left: number;
  /** One in so many calls of the disk. */
  readonly perCall: number;
  readonly perTurn: number;
  /** One in so many calls by which a manifest or what a sink promised comes to count; 0: they are like the others. */
  readonly perCommit: number;
}

export async function live(seed: number, coverage: Coverage, only?: Shape): Promise<Life> {
  memories.forget();
  const random = prng(seed);
  const shape = only ?? shapes[seed % shapes.length]!;
  coverage[shape.name]!++;
  const draw: Draw = {
    rows: 40 + random.below(300),
    keys: 1 + random.below(random.below(2) === 0 ? 5 : 40),
    skewed: random.below(3) === 0,
    disorder: random.below(3) === 0,
    format: random.below(4) === 0 ? 'parquet' : 'jsonl',
    mode: random.below(shape.firesAtEnd ? 4 : 2) === 0 ? 'stream' : 'bounded',
  };
  const { ends, expected, held } = shape.build(draw);
  const disk = simulatedDisk(seed);
  const clock = virtualClock(startMs);
  disk.now = () => clock.nowMs();
  const faults: Faults = {
    left: 1 + random.below(6),
    perCall: 40 + random.below(400),
    perTurn: 20 + random.below(300),
    perCommit: random.below(3) === 0 ? 8 + random.below(40) : 0,
  };
  let trace = 0;
  let steps = 0;
  /** A commit failed: nobody knows whether it counts, until the next one looks. */
  let doubted = false;
  const note = (text: string): void => {
    for (let i = 0; i < text.length; i++) trace = (Math.imul(trace, 31) + text.charCodeAt(i)) | 0;
  };
  let safety = true;
  disk.onCall = (call: DiskCall, path: string) => {
    note(`${call} ${path}`);
    const commits =
      faults.perCommit > 0 && (call === 'rename' || call === 'syncDirectory' || path.includes('MANIFEST'));
    if (!safety || faults.left === 0 || random.below(commits ? faults.perCommit : faults.perCall) !== 0) return null;
    faults.left--;
    if (commits) coverage['fault in a commit']!++;
    // What is wrong with the order of a commit is seen by whoever comes after a crash; and what fails there is in doubt.
    const kind = commits ? 1 + random.below(3) : random.below(5);
    const fault =
      kind < 2 ? 'error' : kind === 2 ? 'crashBefore' : kind === 3 ? 'crashAfter' : call === 'write' ? 'torn' : 'error';
    coverage[
      { error: 'disk error', crashBefore: 'crash before a call', crashAfter: 'crash after a call', torn: 'torn write' }[
        fault
      ]
    ]!++;
    note(fault);
    doubted ||= commits && fault === 'error';
    return fault;
  };
  const slow = slowDisk(disk, () => (safety && random.below(8) === 0 ? 1 + random.below(40) : 0));
  let parallelism = 0;
  let damaged = false;
  let violated: Violation | null = null;
  /** Milliseconds a turn may take: from one checkpoint in hundreds of turns to one in every other. */
  const pace = [2, 8, 25][random.below(3)]!;
  let zombie: LocalJob | null = null;
  /** What readers have seen and no loss of power can take: it stays, unless an older checkpoint is gone on from. */
  let seen: ReadonlyMap<string, string> = new Map();
  let fellBack = false;
  /** The last thing that happened to the disk: what it holds is durable. */
  let powerLost = false;

  /** The process that runs. */
  let running: LocalJob | null = null;
  const die = async (lossless: boolean): Promise<void> => {
    const job = running!;
    fellBack ||= job.notices.some((text) => text.includes('was passed over'));
    coverage[lossless ? 'process died' : 'power lost']!++;
    steps += job.steps;
    job.crash();
    zombie?.crash();
    zombie = null;
    disk.crash();
    slow.forget();
    await turn();
    await turn();
    disk.restart({ lossless });
    powerLost = !lossless;
    if (safety && !damaged && random.below(3) === 0 && damageNewest(disk, random)) {
      damaged = true;
      coverage['file damaged']!++;
    }
  };

  /** True: it has ended for good. */
  const incarnation = async (): Promise<boolean> => {
    powerLost = false;
    const next = 1 + random.below(4);
    if (parallelism !== 0 && next !== parallelism) coverage.rescaled!++;
    parallelism = next;
    const every = 10 + random.below(60);
    const timeoutMs = random.below(4) === 0 ? 1 + random.below(5) : 10_000;
    const options = checkOptions({
      parallelism,
      memory: `${parallelism * 64}mb`,
      batchRows: [1, 2, 7, 32][random.below(shape.firesAtEnd ? 2 : 4)]!,
      mode: draw.mode,
      stateDir: '/state',
      takeOver: true,
      checkpoint: {
        every: `${every} ms`,
        timeout: `${safety ? timeoutMs : 10_000} ms`,
        tolerateFailures: random.below(2) === 0 ? 1 : 1000,
      },
      restart: random.below(3) === 0 ? 'none' : { strategy: 'fixedDelay', attempts: 3, delay: '5 ms' },
    });
    const built = buildPlan(ends);
    let failAt = -1;
    let dieAt = -1;
    const job = new LocalJob(
      {
        plan: built.plan,
        options,
        module: null,
        functions: new Map([...built.functions].map(([id, { call }]) => [id, call as UserFunction] as const)),
        resources: built.resources,
        ends: new Map(),
        restore: null,
      },
      {
        seed: random.u32(),
        clock,
        disk: slow.disk,
        memory: memories.take,
        ringBytes: [32, 64, 256][random.below(3)]! * 1024,
        poisonRows: random.below(4) === 0,
        beforeStep(step) {
          if (failAt < 0 || step < failAt) return;
          failAt = -1;
          coverage['task failed']!++;
          throw new Error('a task of the simulation fails');
        },
      },
    );
    running = job;
    await job.start();
    fellBack ||= job.notices.some((text) => text.includes('was passed over'));
    if (disk.crashed) {
      coverage['crash while starting']!++;
      await die(random.below(2) === 0);
      return false;
    }
    if (job.checkpoints?.restoredFrom != null) coverage['went on from a checkpoint']!++;
    if (job.checkpoints?.restoredFromFallback) coverage['fell back to an older checkpoint']!++;
    let quiet = 0;
    /** Nothing has been read for a few turns. */
    let ending = false;
    let rowsBefore = -1;
    let lastDone = '';
    let turns = 0;
    let draining = false;
    /** Turns at the end until a crash; -1: none is meant. */
    let lastBlow = faults.left > 0 && random.below(2) === 0 ? random.below(25) : -1;
    let looked = held === undefined || draw.mode !== 'stream';
    let answer: JobAnswer | null = null;
    let failed = 0;
    let completed = 0;
    while (job.outcome === null) {
      if (++turns > (safety ? patienceTurns : turnsMax)) {
        // With such faults it need not come to its end: whoever runs it loses patience.
        if (safety) {
          await die(true);
          return false;
        }
        throw new Violation(
          `liveness: without faults the job does not end within ${turnsMax} turns: ${JSON.stringify([job.run.state?.phase, job.run.state?.checkpoints.running?.id, job.checkpoints])} ${job.notices.slice(-3).join('; ')}`,
        );
      }
      if (doubted) {
        doubted = false;
        // What was left is met by an attempt that comes before the next checkpoint, and by a process that comes before its own.
        if (safety && random.below(2) === 0) failAt = job.steps + random.below(10);
        if (safety && random.below(2) === 0) dieAt = job.steps + 10 + random.below(80);
      }
      if (dieAt >= 0 && job.steps >= dieAt) {
        await die(random.below(2) === 0);
        return false;
      }
      const moved = job.turn();
      slow.turn();
      if (zombie) {
        zombie.turn();
        if (zombie.outcome !== null) {
          if (zombie.outcome.kind === 'failed' && zombie.outcome.error.code === 'state/fenced')
            coverage['zombie fenced']!++;
          zombie = null;
        }
      }
      if (turns % 4 === 0 || !moved) await turn();
      if (disk.crashed) {
        await die(random.below(2) === 0);
        return false;
      }
      clock.advance(random.below(pace));
      if (job.checkpoints && job.checkpoints.failed !== failed) {
        coverage['checkpoint failed']! += job.checkpoints.failed - failed;
        failed = job.checkpoints.failed;
      }
      if (job.checkpoints && job.checkpoints.completed !== completed) {
        coverage['checkpoints completed']! += job.checkpoints.completed - completed;
        completed = job.checkpoints.completed;
        if (safety && faults.left > 0 && ending && random.below(4) === 0) {
          // The next life goes on from a checkpoint that was taken while the last firing was under way.
          faults.left--;
          coverage['crash behind a checkpoint at the end']!++;
          await die(random.below(2) === 0);
          return false;
        }
      }
      if (safety && faults.left > 0 && turns % 4 === 0) {
        const { rowsIn } = job.numbers();
        ending = rowsIn > 0 && rowsIn === rowsBefore;
        rowsBefore = rowsIn;
      }
      if (safety && faults.left > 0 && ending) {
        // What fires at the end can be interrupted, by a checkpoint and by a crash behind it.
        if (random.below(4) === 0) {
          coverage['checkpoint at the end']!++;
          void job.ask({ kind: 'asked' });
        }
        if (lastBlow >= 0 && lastBlow-- === 0) {
          faults.left--;
          coverage['crash at the end']!++;
          await die(random.below(2) === 0);
          return false;
        }
      }
      if (safety && faults.left > 0 && random.below(faults.perTurn) === 0) {
        faults.left--;
        switch (random.below(8)) {
          case 0:
            await die(true);
            return false;
          case 1:
            await die(false);
            return false;
          case 2:
            failAt = job.steps + random.below(50);
            break;
          case 3: {
            const victim = random.below(parallelism);
            if (job.run.state?.phase === 'running') {
              coverage['participant died']!++;
              job.kill(victim, new Error('a thread of the simulation dies'));
            }
            break;
          }
          case 4:
            coverage['clock jumped']!++;
            clock.advance([100, 20_000, 3_600_000][random.below(3)]!);
            break;
          case 5:
            coverage['checkpoint asked for']!++;
            void job.ask({ kind: 'asked' });
            break;
          case 6:
            // It is stopped by the system, another takes over, and then it goes on.
            zombie?.crash();
            zombie = job;
            return false;
          case 7:
            coverage['stopped and started']!++;
            void job.stop();
            break;
        }
      }
      if (draw.mode !== 'stream' || draining || turns % 20 !== 0) continue;
      // Sources idle at their end: when nothing has been read or passed on for long, all was.
      const { state } = job.run;
      const done = doneSoFar(job);
      const still = state?.phase === 'running' && done === lastDone;
      lastDone = done;
      quiet = still ? quiet + 1 : 0;
      if (quiet < 6) continue;
      if (!looked) {
        looked = true;
        const { watermarkMs } = job.numbers();
        void job.ask({ kind: 'savepoint', directory: '/savepoints' }).then((told) => {
          answer = told;
          if (told.path === null || disk.crashed || watermarkMs === null) return;
          coverage['savepoint looked into']!++;
          const what = held!(holdingKeys(disk, told.path), watermarkMs - startMs);
          if (what !== null) violated = new Violation(`an invariant: ${what}`);
        });
      }
      if (held !== undefined && answer === null) continue;
      if (violated) throw violated;
      draining = true;
      void job.stop({ drain: true });
    }
    coverage['restarted in the process']! += job.checkpoints?.restarts ?? 0;
    coverage['checkpoint timed out']! += job.notices.filter((text) => /was not complete after/.test(text)).length;
    if (disk.crashed) {
      // It had said how it ended, and died while it cleaned up.
      await die(random.below(2) === 0);
      return false;
    }
    fellBack ||= job.notices.some((text) => text.includes('was passed over'));
    steps += job.steps;
    slow.forget();
    const { outcome } = job;
    // Not its stack, which names whoever called.
    note(outcome.kind === 'failed' ? `failed ${outcome.error.code} ${outcome.error.message}` : outcome.kind);
    if (outcome.kind === 'finished') return outcome.resumable !== true;
    if (outcome.kind === 'failed' && !safety)
      throw new Violation(`liveness: without faults the job failed: ${outcome.error.code} ${outcome.error.message}`);
    return false;
  };

  for (let lives = 0; ; lives++) {
    if (lives > 60) throw new Violation('liveness: sixty starts and no end');
    if (faults.left === 0 || lives > 20) {
      safety = false;
      faults.left = 0;
    }
    let ended = await incarnation();
    // Whatever was still under way when it ended may have met its end, too: a sync, or a process that was stopped.
    if (disk.crashed) {
      await die(random.below(2) === 0);
      ended = false;
    }
    const before = disk.onCall;
    disk.onCall = () => null;
    for (const one of expected) {
      const what = await wrong(disk, one, ended);
      if (what !== null) throw new Violation(`${ended ? 'the end' : 'safety'}: ${what}`);
    }
    const sees = visible(disk, expected);
    for (const [path, bytes] of fellBack ? [] : seen) {
      if (sees.get(path) !== bytes)
        throw new Violation(`an invariant: ${path} was committed, and is ${sees.has(path) ? 'another' : 'gone'}`);
    }
    seen = powerLost ? sees : new Map();
    disk.onCall = before;
    if (ended) break;
    clock.advance(random.below(50));
  }
  memories.giveBack();
  coverage['write lost']! += disk.faults.lostWrites;
  coverage['write kept']! += disk.faults.keptWrites;
  coverage['write torn by a crash']! += disk.faults.tornWrites;
  coverage['name lost']! += disk.faults.lostNames;
  coverage['name kept']! += disk.faults.keptNames;
  coverage['slow disk']! += slow.delayed;
  return { shape: shape.name, calls: disk.calls, steps, trace };
}

/**
 * Memories of slots are used again by later seeds, as they are by later jobs: with whatever lies in them. Those of a life
 * that ended by a violation are not given back, something may still be at work in them.
 */
const memories = (() => {
  const free: { readonly memory: WebAssembly.Memory; readonly map: MemoryMap }[] = [];
  let taken: typeof free = [];
  return {
    take(map: MemoryMap): WebAssembly.Memory {
      const at = free.findIndex(({ map: of }) => of.bytes === map.bytes && of.inboxTo === map.inboxTo);
      const memory = at >= 0 ? free.splice(at, 1)[0]!.memory : createMemory(map.bytes);
      taken.push({ memory, map });
      return memory;
    },
    giveBack(): void {
      free.push(...taken);
      taken = [];
    },
    forget(): void {
      taken = [];
    },
  };
})();

const turnsMax = 20_000;
const patienceTurns = 1_500;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What all tasks have done so far: equal twice, nothing happened. */
const doneSoFar = (job: LocalJob): string =>
  JSON.stringify(
    job
      .numbers()
      .tasks.map(({ rowsRead, rowsReceived, rowsSent, rowsWritten }) => [
        rowsRead,
        rowsReceived,
        rowsSent,
        rowsWritten,
      ]),
  );

/** Which keys hold which states of process functions, by a savepoint. */
function holdingKeys(disk: SimulatedDisk, path: string): { state: string; k: number }[] {
  return untouched(disk, () =>
    openSavepoint(disk, path).states.flatMap((saved) => {
      if (/^(timers|ttl)\./.test(saved.name)) return [];
      const of = (name: string): number => saved.columns.findIndex((column) => column.name === name);
      const values = saved.columns.flatMap(({ name }, i) => (/^\$|^k$/.test(name) ? [] : [i]));
      return [...savedRows(disk, path, saved)].flatMap((row) =>
        values.filter((i) => row[i] !== null).map((i) => ({ state: saved.columns[i]!.name, k: Number(row[of('k')]) })),
      );
    }),
  );
}

/** Without faults, and without leaving a trace. */
function untouched<T>(disk: SimulatedDisk, work: () => T): T {
  const before = disk.onCall;
  disk.onCall = () => null;
  try {
    return work();
  } finally {
    disk.onCall = before;
  }
}

/**
 * Up to 64 bytes of the newest checkpoint become others, of its manifest or of a file that no older one needs. False: there
 * are not two, or it wrote no file.
 */
function damageNewest(disk: SimulatedDisk, random: Prng): boolean {
  return untouched(disk, () => {
    if (disk.stat('/state/manifests') === null) return false;
    const manifests = disk.list('/state/manifests').filter((name) => name.startsWith('MANIFEST-'));
    const idOf = (name: string): number => Number(/\d+/.exec(name)?.[0]);
    manifests.sort((a, b) => idOf(b) - idOf(a));
    if (manifests.length < 2) return false;
    const id = idOf(manifests[0]!);
    const own = disk.list('/state/files').filter((name) => idOf(name) === id);
    const paths = [`/state/manifests/${manifests[0]}`, ...own.map((name) => `/state/files/${name}`)];
    const path = paths[random.below(paths.length)]!;
    const bytes = disk.read(path);
    const at = random.below(bytes.length);
    const to = Math.min(bytes.length, at + 1 + random.below(64));
    for (let i = at; i < to; i++) bytes[i]! ^= 1 + random.below(255);
    disk.remove(path);
    const file = disk.create(path);
    file.write(bytes);
    file.syncNow();
    file.close();
    disk.syncDirectory(path.slice(0, path.lastIndexOf('/')));
    return true;
  });
}

/** A disk whose asynchronous syncs take some turns. */
function slowDisk(disk: SimulatedDisk, turnsOf: () => number) {
  let waiting: { turns: number; go: () => void }[] = [];
  let delayed = 0;
  const slowed = (file: DiskFile): DiskFile => ({
    get bytes() {
      return file.bytes;
    },
    write: (bytes) => file.write(bytes),
    async sync() {
      const turns = turnsOf();
      if (turns > 0) {
        delayed++;
        await new Promise<void>((go) => waiting.push({ turns, go }));
      }
      await file.sync();
    },
    syncNow: () => file.syncNow(),
    close: () => file.close(),
  });
  const wrapped: Disk = { ...disk, create: (path) => slowed(disk.create(path)) };
  return {
    disk: wrapped,
    get delayed() {
      return delayed;
    },
    turn() {
      for (const one of waiting) one.turns--;
      const due = waiting.filter(({ turns }) => turns <= 0);
      waiting = waiting.filter(({ turns }) => turns > 0);
      for (const { go } of due) go();
    },
    /** Whoever waits has died. */
    forget() {
      waiting = [];
    },
  };
}
