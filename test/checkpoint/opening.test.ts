/** State directories of this machine: who owns them, where they may be, what the disk says. */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Disk } from '../../core/ports/disk.ts';
import { realDisk } from '../../engine/disk.ts';
import { life, openState, thisOwner } from '../../engine/state-directory.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-state-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let made = 0;
const place = (): string => join(root, `s${made++}`);

describe('who lives', () => {
  test('this process does; one that ended, one of another start or boot does not; another machine’s cannot be seen', async () => {
    const me = thisOwner();
    expect(life(me)).toBe('alive');
    expect(life({ ...me, startTime: '1' })).toBe('dead');
    expect(life({ ...me, bootId: 'other' })).toBe('dead');
    expect(life({ ...me, host: 'elsewhere' })).toBe('unknown');
    expect(life({ ...me, pidNamespace: '1' })).toBe('unknown');
    const child = spawn(process.execPath, ['-e', '0']);
    await new Promise((resolve) => child.once('exit', resolve));
    expect(life({ ...me, pid: child.pid!, startTime: '5' })).toBe('dead');
  });

  test('a second start is refused and names the first; with takeOver the first is fenced', () => {
    const path = place();
    const first = openState(path);
    expect(() => openState(path)).toThrow(expect.objectContaining({ code: 'state/locked' }));
    expect(() => openState(path)).toThrow(new RegExp(`in use by process ${process.pid} since .*--take-over`));
    const second = openState(path, { takeOver: true });
    expect(() => first.discard(1)).not.toThrow();
    expect(() => first.clean(2)).not.toThrow();
    first.close();
    expect(readdirSync(join(path, 'staging'))).toHaveLength(1);
    second.close();
    openState(path).close();
  });
});

describe('where state may be', () => {
  test('directories are 0700 and files 0600', () => {
    const path = place();
    const state = openState(path);
    for (const name of ['', 'files', 'manifests', 'staging'])
      expect(statSync(join(path, name)).mode & 0o777).toBe(0o700);
    expect(statSync(join(path, 'LOCK')).mode & 0o777).toBe(0o600);
    state.close();
  });

  test('not where everybody may write, not in a file, not among other things', () => {
    const open = place();
    mkdirSync(open);
    chmodSync(open, 0o777);
    expect(() => openState(open)).toThrow(expect.objectContaining({ code: 'state/forbidden' }));
    expect(() => openState(open)).toThrow(/chmod o-w/);
    const file = place();
    writeFileSync(file, 'x');
    expect(() => openState(file)).toThrow(expect.objectContaining({ code: 'state/not-found' }));
    expect(() => openState(root)).toThrow(expect.objectContaining({ code: 'state/not-found' }));
    expect(readdirSync(open)).toEqual([]);
  });
});

describe('what the disk says', () => {
  const failing = (code: string): Disk => ({
    ...realDisk,
    makeDirectory() {
      throw Object.assign(new Error(`${code}: simulated`), { code });
    },
  });
  test.each([
    ['ENOSPC', 'state/disk-full'],
    ['EROFS', 'state/forbidden'],
    ['EIO', 'state/failed'],
  ])('%s is %s, with the path', (code, expected) => {
    const path = place();
    expect(() => openState(path, { disk: failing(code) })).toThrow(
      expect.objectContaining({ code: expected, where: { path }, retryable: code === 'ENOSPC' }),
    );
  });
});
