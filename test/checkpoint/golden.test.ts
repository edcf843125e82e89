/**
 * Golden savepoints, made by this version or an earlier one (test/fixtures/savepoints): each is shown, and the job that
 * goes on from it, at any parallelism, gives exactly what was missing.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { savepointOf } from '../../engine/inspect.ts';
import { simulatedDisk } from '../../testing/simulated-disk.ts';
import { Project, root } from '../cli/support.ts';
import { goldenJobs } from '../fixtures/savepoints/jobs.ts';
import { fromSavepoint } from '../fixtures/savepoints/local.ts';

const fixtures = join(root, 'test', 'fixtures', 'savepoints');
const versions = readdirSync(fixtures).filter((name) => /^\d+\.\d+\.\d+$/.test(name));

test('this version has a golden savepoint of every kind of state', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string };
  expect(readdirSync(join(fixtures, version)).sort()).toEqual(goldenJobs.map(({ name }) => name).sort());
});

for (const version of versions) {
  for (const name of readdirSync(join(fixtures, version))) {
    const job = goldenJobs.find((one) => one.name === name)!;
    const place = join(fixtures, version, name);
    const savepoint = readdirSync(place).find((entry) => entry.startsWith('savepoint-')) as string;
    const before = readFileSync(join(place, 'before.jsonl'), 'utf8').split('\n').slice(0, -1);

    describe(`${name} of version ${version}`, () => {
      test('goes on at parallelism 1, 2 and 5 to the same answer', async () => {
        for (const parallelism of [1, 2, 5]) {
          const disk = simulatedDisk(parallelism);
          disk.makeDirectory('/savepoint');
          for (const file of readdirSync(join(place, savepoint))) {
            const copy = disk.create(`/savepoint/${file}`);
            copy.write(readFileSync(join(place, savepoint, file)));
            copy.close();
          }
          const { after, notices } = await fromSavepoint(job, { disk, path: '/savepoint', parallelism });
          expect(notices).toEqual([]);
          expect(after.length).toBeGreaterThan(0);
          expect([...before, ...after].sort(), `parallelism ${parallelism}`).toEqual(job.expected().sort());
        }
      });

      test('is shown by the command line, each state with its columns', { timeout: 60_000 }, async () => {
        const { states } = savepointOf(join(place, savepoint)).savepoint;
        const project = new Project();
        try {
          const all = await project.run('state', 'show', join(place, savepoint));
          expect(all.code, all.stderr).toBe(0);
          for (const { operator, name: of } of states) {
            expect(all.stdout).toContain(operator);
            expect(all.stdout).toContain(of);
          }
          for (const operator of new Set(states.map((one) => one.operator))) {
            const one = await project.run('state', 'show', join(place, savepoint), operator);
            expect(one.code, one.stderr).toBe(0);
            for (const { columns } of states.filter((of) => of.operator === operator)) {
              for (const column of columns.filter((of) => !of.name.startsWith('$'))) {
                expect(one.stdout).toContain(column.name);
              }
            }
          }
        } finally {
          project.remove();
        }
      });
    });
  }
}
