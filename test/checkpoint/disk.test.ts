/** Both disks keep the contract that everything durable is built on. */
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { realDisk } from '../../engine/disk.ts';
import { simulatedDisk } from '../../testing/simulated-disk.ts';
import { diskContract } from '../support/disk-contract.ts';

const roots: string[] = [];
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});
const place = (): string => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-disk-'));
  roots.push(root);
  return root;
};

diskContract('the machine’s own', () => ({ disk: realDisk, root: place() }));
diskContract('simulated', () => {
  const disk = simulatedDisk(1);
  disk.makeDirectory('/root');
  return { disk, root: '/root' };
});

test('modes: what is created is private unless said otherwise', () => {
  const root = place();
  realDisk.create(`${root}/a`).close();
  realDisk.create(`${root}/b`, 0o644).close();
  realDisk.makeDirectory(`${root}/c`);
  const mode = (name: string): number => statSync(join(root, name)).mode & 0o777;
  expect([mode('a'), mode('b'), mode('c')]).toEqual([0o600, 0o644 & ~process.umask(), 0o700]);
});

test('links are not followed', () => {
  const root = place();
  writeFileSync(join(root, 'secret'), 'x');
  symlinkSync(join(root, 'secret'), join(root, 'link'));
  expect(() => realDisk.read(`${root}/link`)).toThrow('ELOOP');
  expect(() => realDisk.open(`${root}/link`)).toThrow('ELOOP');
  expect(() => realDisk.create(`${root}/link`)).toThrow('EEXIST');
});
