/**
 * Bad input to a job with state: a directory or savepoint that is none or is damaged, a job that changed. Each error names
 * what it is about and what helps, and what was on the disk is there as it was.
 */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Disk } from '../../core/ports/disk.ts';
import { LocalJob, type VirtualClock, virtualClock } from '../../engine/local.ts';
import { submit } from '../../engine/run.ts';
import { from, generator, jsonl, sum, tumble } from '../../index.ts';
import { type SimulatedDisk, simulatedDisk } from '../../testing/simulated-disk.ts';

const totals = (of: 'n' | 'double', named = 'totals') =>
  from(
    generator({
      rows: 3000,
      columns: (g) => ({
        n: g.sequence(),
        double: g.double(0, 1),
        k: g.bigint(0, 3),
        at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 100 }),
      }),
    }),
  )
    .eventTime('at')
    .groupBy('k', tumble('1 second'))
    .aggregate((r) => ({ total: sum(of === 'n' ? r.n : r.double) }))
    .named(named)
    .to(jsonl('/out/totals'));

async function begin(
  disk: Disk,
  clock: VirtualClock,
  what: ReturnType<typeof totals>,
  more: object,
): Promise<LocalJob> {
  const options = { memory: '320mb', parallelism: 1, batchRows: 16, stateDir: '/state', mode: 'stream', ...more };
  const job = new LocalJob(submit(what, options as never, null), { seed: 1, disk, clock });
  await job.start();
  return job;
}

async function turns(job: LocalJob, until: () => boolean): Promise<void> {
  for (let i = 0; i < 20_000 && job.outcome === null && !until(); i++) {
    if (job.turn()) continue;
    await job.settle();
    job.clock.advance(1);
  }
}

/** Files and directories with a hash of what they hold, but for who owns the state now. */
function tree(disk: Disk, at: string, into: Record<string, string> = {}): Record<string, string> {
  for (const name of disk.list(at)) {
    const path = `${at === '/' ? '' : at}/${name}`;
    if (path === '/state/LOCK' || path === '/state/staging') continue;
    if (disk.stat(path)!.kind === 'directory') {
      into[path] = 'directory';
      tree(disk, path, into);
    } else into[path] = createHash('sha256').update(disk.read(path)).digest('hex');
  }
  return into;
}

/** A job halfway, with a savepoint, crashed. */
async function halfway(): Promise<{ disk: SimulatedDisk; clock: VirtualClock; savepoint: string }> {
  const disk = simulatedDisk(1);
  const clock = virtualClock(0);
  const job = await begin(disk, clock, totals('n'), { checkpoint: { every: '10 ms' } });
  await turns(job, () => {
    clock.advance(1);
    return (job.checkpoints?.completed ?? 0) >= 2;
  });
  let savepoint: string | null = null;
  void job.ask({ kind: 'savepoint', directory: '/savepoints' }).then((answer) => {
    savepoint = answer.path;
  });
  await turns(job, () => savepoint !== null);
  job.crash();
  return { disk, clock, savepoint: savepoint! };
}

function overwrite(disk: Disk, path: string, bytes: Uint8Array): void {
  disk.remove(path);
  const file = disk.create(path);
  file.write(bytes);
  file.syncNow();
  file.close();
}

const cases: readonly {
  readonly name: string;
  readonly what?: ReturnType<typeof totals>;
  readonly options?: (savepoint: string) => object;
  readonly damage?: (disk: Disk, savepoint: string) => void;
  readonly code: string;
  readonly says: readonly string[];
}[] = [
  {
    name: 'an operator that got another name',
    what: totals('n', 'others'),
    code: 'snapshot/mismatch',
    says: ['/state', '- totals', '+ others', ".named('", '--allow-non-restored-state'],
  },
  {
    name: 'an operator that keeps something else',
    what: totals('double'),
    code: 'snapshot/mismatch',
    says: ['~ totals', 'sum(BIGINT)', 'sum(DOUBLE)', 'another name'],
  },
  {
    name: 'an operator that keeps something else, whatever is allowed',
    what: totals('double'),
    options: () => ({ allowNonRestoredState: true }),
    code: 'snapshot/mismatch',
    says: ['~ totals'],
  },
  {
    name: 'a savepoint that is not there',
    options: () => ({ stateDir: '/new', from: '/savepoints/none' }),
    code: 'state/not-found',
    says: ['/savepoints/none', 'MANIFEST'],
  },
  {
    name: 'a state directory in the place of a savepoint',
    options: () => ({ stateDir: '/new', from: '/state' }),
    code: 'state/not-found',
    says: ['/state is a state directory', 'millrace savepoint --state-dir'],
  },
  {
    name: 'a savepoint with a damaged file',
    options: (savepoint) => ({ stateDir: '/new', from: savepoint }),
    damage(disk, savepoint) {
      const file = disk.list(savepoint).find((name) => name.endsWith('.arrow'))!;
      const bytes = Uint8Array.from(disk.read(`${savepoint}/${file}`));
      bytes[bytes.length >> 1]! ^= 1;
      overwrite(disk, `${savepoint}/${file}`, bytes);
    },
    code: 'state/corrupt',
    says: ['.arrow', 'hash'],
  },
  {
    name: 'a savepoint of another job',
    what: totals('n', 'others'),
    options: (savepoint) => ({ stateDir: '/new', from: savepoint }),
    code: 'snapshot/mismatch',
    says: ['- totals', '+ others'],
  },
  {
    name: 'checkpoints that are all damaged',
    damage(disk) {
      for (const name of disk.list('/state/manifests'))
        overwrite(disk, `/state/manifests/${name}`, disk.read(`/state/manifests/${name}`).slice(0, -1));
    },
    code: 'state/corrupt',
    says: ['/state/manifests/MANIFEST-', 'savepoint'],
  },
];

for (const { name, what = totals('n'), options, damage, code, says } of cases) {
  test(`${name}: refused, and nothing changes`, async () => {
    const { disk, clock, savepoint } = await halfway();
    damage?.(disk, savepoint);
    const before = tree(disk, '/');
    expect(Object.keys(before).length).toBeGreaterThan(5);
    const job = await begin(disk, clock, what, options?.(savepoint) ?? {});
    await turns(job, () => false);
    expect(job.outcome).toMatchObject({ kind: 'failed', error: { code } });
    for (const part of says) expect(JSON.stringify(job.outcome)).toContain(part);
    const after = tree(disk, '/');
    for (const path of Object.keys(after)) if (path === '/new' || path.startsWith('/new/')) delete after[path];
    expect(after).toEqual(before);
  });
}
