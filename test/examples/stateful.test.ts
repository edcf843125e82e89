/** examples/fraud.ts, monitoring.ts and rules.ts against plain loops over the same rows (examples/models.ts); killed, too. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { models } from '../../examples/models.ts';
import { millrace, node, root, rowsIn, sorted, temporary } from './support.ts';

const rows = 30_000;
/** Fewer results of an end than this would show little. */
const least: Readonly<Record<string, number>> = { scored: rows, alerts: 500, reports: 1000, lives: 1500, hits: 1000 };

for (const [name, model] of Object.entries(models)) {
  describe(name, () => {
    let expected: [string, unknown[]][];
    beforeAll(async () => {
      expected = Object.entries(await model(rows)).map(([end, lines]) => [end, lines.map((line) => JSON.parse(line))]);
    });

    for (const slots of [1, 2, 3]) {
      test(`on ${slots} slots: the plain loop's answer`, async () => {
        const out = temporary();
        await millrace(`${name}.ts`, out, { rows }, ['-p', `${slots}`]);
        expectAnswer(out);
      });
    }

    test('with a state directory: the same in committed files', async () => {
      const out = temporary();
      const state = join(out, 'state');
      const { stderr } = await millrace(`${name}.ts`, join(out, 'out'), { rows, rate: 20_000 }, [
        ...['--state-dir', state, '--checkpoint', '200ms'],
      ]);
      expect(stderr).toMatch(/\d+ checkpoints?, the last one/);
      expectAnswer(join(out, 'out'));
      const again = await millrace(`${name}.ts`, join(out, 'out'), { rows }, ['--state-dir', state]);
      expect(again.stderr).toContain('nothing left to do');
      expectAnswer(join(out, 'out'));
    });

    function expectAnswer(out: string): void {
      for (const [end, lines] of expected) {
        expect(lines.length, end).toBeGreaterThanOrEqual(least[end]!);
        expect(sorted(rowsIn(join(out, end))), end).toEqual(sorted(lines));
      }
    }
  });
}

test('npm run kill: killed three times, every result is there once', async () => {
  const { stdout } = await node([
    ...[join(root, 'examples', 'kill.mjs'), 'fraud', '--kills', '3', '--rows', '20000', '--seed', '1'],
  ]);
  expect(stdout).toContain('killed 3 times, and every result is there once');
});
